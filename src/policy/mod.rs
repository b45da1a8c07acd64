//! Policies: their language, what they say of a request, and whether they give access to everybody. Pure.

mod condition;
mod context;
mod document;
mod evaluate;
mod fault;
mod json;
mod literal;
mod parse;
mod pattern;
mod principal;
mod print;
mod public;
mod template;

use std::fmt;
use std::sync::Arc;

pub use context::RequestContext;
pub(crate) use context::{Known, Values};
use document::Document;
pub use document::Effect;
pub(crate) use evaluate::{Asked, of_principal};
pub use evaluate::{
    AuthorizationRequest, Decision, Evaluation, Explanation, Policies, PolicyKind, PolicySource, StatementExplanation,
    StatementOutcome, StatementRef,
};
pub use fault::{PolicyFault, PolicyFaultReason};
use parse::Attachment;
pub use principal::Principal;

/// Longest document, in characters.
pub(crate) const POLICY_CHARS_MAX: usize = 20_480;

/// A policy that is attached to a secret: it says who may do what with it.
///
/// `Display` writes an equivalent document that is not longer. Two are equal if they have the same statements, in the same order.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html>
#[derive(Clone)]
pub struct ResourcePolicy(Arc<Document>);

/// A policy that is attached to a user or a role: it says what they may do.
///
/// `Display` writes an equivalent document that is not longer. Two are equal if they have the same statements, in the same order.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html>
#[derive(Clone)]
pub struct IdentityPolicy(Arc<Document>);

impl ResourcePolicy {
    /// Reads a document of at most 20,480 characters. Every statement names a principal.
    ///
    /// # Errors
    ///
    /// The first fault that is found: JSON that cannot be read comes before elements that cannot be understood.
    ///
    /// ```
    /// use strongroom::ResourcePolicy;
    ///
    /// let policy = ResourcePolicy::parse(
    ///     r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}}"#,
    /// )?;
    /// assert_eq!(policy.public_statement(), Some(0));
    /// assert_eq!(
    ///     policy.to_string(),
    ///     r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"*"}}"#,
    /// );
    /// # Ok::<(), strongroom::PolicyFault>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, PolicyFault> {
        read(text, Attachment::Resource).map(Self)
    }

    /// The same for bytes, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// [`PolicyFaultReason::NotUtf8`], and those of [`parse`](Self::parse).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PolicyFault> {
        Self::parse(utf8(bytes)?)
    }

    /// The place, from 0, of the first statement that gives access to people whom nobody has named. `None`: the policy is not
    /// public.
    ///
    /// Such a statement allows, its principal is `*` (or an identity provider that belongs to no account), and no condition
    /// confines it. A condition does if it is met only by fixed values (without wildcards and policy variables) of
    /// `aws:SourceArn`, `aws:SourceVpc`, `aws:SourceVpce`, `aws:SourceAccount`, `aws:PrincipalOrgID`, `aws:PrincipalAccount`,
    /// `aws:PrincipalArn` or `aws:userid` (`StringEquals`, `StringLike`, `ArnEquals`, `ArnLike`, also with `ForAnyValue`), or by
    /// blocks of `aws:SourceIp` with a prefix of at least 8 bits, 32 for IPv6 (`IpAddress`).
    ///
    /// What this calls not public gives nothing to somebody whom it does not name, who comes from no address, VPC, endpoint,
    /// organization, resource or account that it names. It may call a policy public that is not.
    #[must_use]
    pub fn public_statement(&self) -> Option<usize> {
        self.0.public_statement()
    }

    fn document(&self) -> &Document {
        &self.0
    }
}

impl IdentityPolicy {
    /// Reads a document of at most 20,480 characters. No statement names a principal.
    ///
    /// # Errors
    ///
    /// The first fault that is found: JSON that cannot be read comes before elements that cannot be understood.
    ///
    /// ```
    /// use strongroom::{IdentityPolicy, PolicyFaultReason};
    ///
    /// assert!(IdentityPolicy::parse(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#).is_ok());
    /// let fault = IdentityPolicy::parse(r#"{"Statement": {"Effect": "Allow", "Action": "*"}}"#).unwrap_err();
    /// assert_eq!((fault.reason, fault.column), (PolicyFaultReason::MissingElement, 15));
    /// ```
    pub fn parse(text: &str) -> Result<Self, PolicyFault> {
        read(text, Attachment::Identity).map(Self)
    }

    /// The same for bytes, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// [`PolicyFaultReason::NotUtf8`], and those of [`parse`](Self::parse).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PolicyFault> {
        Self::parse(utf8(bytes)?)
    }

    fn document(&self) -> &Document {
        &self.0
    }
}

fn read(text: &str, attachment: Attachment) -> Result<Arc<Document>, PolicyFault> {
    let too_long = text.char_indices().nth(POLICY_CHARS_MAX);
    if let Some((offset, _)) = too_long {
        return Err(fault::Found::new(PolicyFaultReason::TooLong, offset).locate(text));
    }
    parse::document(text, attachment).map(Arc::new).map_err(|found| found.locate(text))
}

fn utf8(bytes: &[u8]) -> Result<&str, PolicyFault> {
    std::str::from_utf8(bytes).map_err(|error| fault::not_utf8(bytes, error.valid_up_to()))
}

macro_rules! shown_as_document {
    ($($policy:ident)*) => {$(
        impl fmt::Display for $policy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// Tells how many statements there are, not what they say.
        impl fmt::Debug for $policy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($policy)).field("statements", &self.0.statements.len()).finish_non_exhaustive()
            }
        }

        impl PartialEq for $policy {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl Eq for $policy {}

        impl std::str::FromStr for $policy {
            type Err = PolicyFault;

            fn from_str(text: &str) -> Result<Self, PolicyFault> {
                Self::parse(text)
            }
        }
    )*};
}

shown_as_document! { ResourcePolicy IdentityPolicy }
