//! Whether a policy gives access to people whom nobody has named.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>, section "The
//! meaning of public", to which the service's own documentation refers.

use super::condition::{Condition, Expected, Operator, Quantifier, Test};
use super::document::{Document, Effect, Statement};
use super::principal::{Form, is_provider_arn};

/// Shortest prefixes of address blocks that are no more than a part of the internet.
const V4_PREFIX_MIN: u8 = 8;
const V6_PREFIX_MIN: u8 = 32;

/// Keys that say who asks, or from where. Somebody from elsewhere has another value, or none.
const CONFINING: [&str; 9] = [
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceaccount",
    "aws:principalorgid",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:userid",
    "aws:sourceip",
];

impl Document {
    /// The first statement that gives access to people whom nobody has named.
    pub(super) fn public_statement(&self) -> Option<usize> {
        self.statements.iter().position(Statement::is_public)
    }
}

impl Statement {
    fn is_public(&self) -> bool {
        let Some(principals) = &self.principals else { return false };
        let is_anybody = principals.is_negated
            || principals.any_of.iter().any(|entry| match entry.form {
                Form::Everyone => true,
                // Who has an account with the provider is not for the policy to say.
                Form::Federated => !is_provider_arn(&entry.written),
                Form::Account { .. } | Form::Aws(_) | Form::Service | Form::CanonicalUser => false,
            });
        self.effect == Effect::Allow && is_anybody && !self.conditions.iter().any(Condition::confines)
    }
}

impl Condition {
    /// Whether it is met only by requests that come from somewhere in particular.
    fn confines(&self) -> bool {
        // Without the key neither `IfExists` nor `ForAllValues` asks for anything.
        let Operator { quantifier, test, if_exists } = self.operator;
        if if_exists || quantifier == Some(Quantifier::All) || !CONFINING.contains(&self.lookup.as_str()) {
            return false;
        }
        match (&self.values, test) {
            (Expected::Texts { any_of, .. }, Test::StringEquals | Test::StringLike) => {
                // Somebody who did not sign has an account too, which is called `anonymous`.
                let is_somebody = |text: &str| {
                    !text.is_empty()
                        && !text.contains("${")
                        && (self.lookup != "aws:principalaccount" || text.bytes().all(|byte| byte.is_ascii_digit()))
                };
                self.lookup != "aws:sourceip" && any_of.iter().all(|text| text.as_fixed().is_some_and(is_somebody))
            }
            (Expected::Arns(any_of), Test::ArnEquals | Test::ArnLike) => {
                self.lookup != "aws:sourceip" && any_of.iter().all(|arn| arn.is_fixed())
            }
            (Expected::Blocks(any_of), Test::IpAddress) => {
                let is_part = |block: &super::literal::Block| {
                    block.prefix >= if block.is_v4() { V4_PREFIX_MIN } else { V6_PREFIX_MIN }
                };
                self.lookup == "aws:sourceip" && any_of.iter().all(is_part)
            }
            _ => false,
        }
    }
}
