//! Names, ARNs, and what a `SecretId` can mean.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::tenant::Tenant;

/// Characters of the random part at the end of a secret's ARN.
pub(crate) const SUFFIX_CHARS: usize = 6;

/// The alphabet of the random part.
pub(crate) const SUFFIX_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A legal name: the service's characters only. Its length is a shape constraint and is checked before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SecretName(Arc<str>);

impl SecretName {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte)) && !text.is_empty() {
            Ok(Self(text.into()))
        } else {
            Err(invalid_name())
        }
    }

    /// A name that came out of an authenticated record.
    pub(crate) fn from_record(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn invalid_name() -> Error {
    Error::validation(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    )
}

/// The ARN of a secret.
pub(crate) fn arn(tenant: &Tenant, name: &SecretName, suffix: &str) -> String {
    format!("arn:{}:secretsmanager:{}:{}:secret:{name}-{suffix}", tenant.partition(), tenant.region(), tenant.account())
}

/// The ARN of the same secret in another Region.
pub(crate) fn arn_in_region(arn: &str, region: &str) -> String {
    let fields = arn.splitn(7, ':').enumerate().map(|(index, field)| if index == 3 { region } else { field });
    fields.collect::<Vec<_>>().join(":")
}

/// What a `SecretId` points at, seen from one account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretId {
    /// A name, or an ARN without its random part.
    Name(SecretName),
    /// A complete ARN: the secret of that name must have exactly this ARN.
    Arn {
        /// The name inside the ARN.
        name: SecretName,
        /// The whole ARN.
        arn: String,
    },
    /// An ARN that cannot belong to a secret of this account and Region.
    Elsewhere {
        /// What was given.
        arn: String,
    },
}

impl SecretId {
    /// What was asked for: a name, also for an ARN without its random part, or an ARN.
    pub(crate) fn as_given(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Arn { arn, .. } | Self::Elsewhere { arn } => arn,
        }
    }

    /// The account and Region that an ARN of elsewhere names, if they can be ones.
    pub(crate) fn tenant_elsewhere(&self) -> Option<Tenant> {
        let Self::Elsewhere { arn } = self else { return None };
        let mut fields = arn.split(':').skip(1);
        let (partition, region, account) = (fields.next()?, fields.nth(1)?, fields.next()?);
        Tenant::parse(account, region).ok().filter(|tenant| tenant.partition() == partition)
    }

    /// What the ARN of another account points at, seen from that account in the same Region: only complete ARNs.
    pub(crate) fn across_accounts(&self, from: &Tenant) -> Option<(Tenant, SecretName)> {
        let tenant = self.tenant_elsewhere().filter(|tenant| tenant.region() == from.region())?;
        match Self::parse(self.as_given(), &tenant) {
            Ok(Self::Arn { name, .. }) => Some((tenant, name)),
            _ => None,
        }
    }

    /// Reads a `SecretId`.
    ///
    /// A plain name must be legal. An ARN whose resource ends in a hyphen and six letters or digits is complete;
    /// any other ARN is taken as one without its random part.
    pub(crate) fn parse(text: &str, tenant: &Tenant) -> Result<Self> {
        if !text.starts_with("arn:") {
            return SecretName::parse(text).map(Self::Name);
        }
        let mut fields = text.splitn(7, ':').skip(1);
        let (Some(partition), Some("secretsmanager"), Some(region), Some(account), Some("secret"), Some(resource)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(invalid_name());
        };
        if resource.is_empty() {
            return Err(invalid_name());
        }
        let elsewhere = || Self::Elsewhere { arn: text.to_owned() };
        if partition != tenant.partition() || region != tenant.region() || account != tenant.account() {
            return Ok(elsewhere());
        }
        let (name, complete) = match split_suffix(resource) {
            Some(name) => (name, true),
            None => (resource, false),
        };
        Ok(match SecretName::parse(name) {
            Err(_) => elsewhere(),
            Ok(name) if complete => Self::Arn { name, arn: text.to_owned() },
            Ok(name) => Self::Name(name),
        })
    }
}

/// The account, Region and name that a complete ARN tells.
pub(crate) fn place_of(arn: &str) -> Option<(Arc<Tenant>, SecretName)> {
    let mut fields = arn.split(':').skip(3);
    let (region, account) = (fields.next()?, fields.next()?);
    let tenant = Tenant::parse(account, region).ok()?;
    match SecretId::parse(arn, &tenant).ok()? {
        SecretId::Arn { name, .. } => Some((Arc::new(tenant), name)),
        SecretId::Name(_) | SecretId::Elsewhere { .. } => None,
    }
}

/// The place that a complete ARN tells, if primary and replica of different accounts can be there and at `own`.
pub(crate) fn counterpart_of(arn: &str, own: &Tenant) -> Option<(Arc<Tenant>, SecretName)> {
    // The Region tells the partition, so that the ARN is of the same one.
    place_of(arn).filter(|(tenant, _)| tenant.region() == own.region() && tenant.account() != own.account())
}

/// The name part of `{name}-{6 letters or digits}`.
pub(crate) fn split_suffix(resource: &str) -> Option<&str> {
    let (name, suffix) = resource.rsplit_once('-')?;
    let complete = suffix.len() == SUFFIX_CHARS && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (complete && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Tenant {
        Tenant::parse("123456789012", "us-east-1").unwrap()
    }

    #[test]
    fn an_arn_is_complete_only_with_six_letters_or_digits_after_the_last_hyphen() {
        for (resource, name) in [
            ("a-a1b2c3", Some("a")),
            ("a-b-a1b2c3", Some("a-b")),
            ("a-a1b2", None),
            ("a-a1b2c3-", None),
            ("a-a1b2c34", None),
            ("a-a1b2c_", None),
            ("-a1b2c3", None),
            ("a", None),
            ("a-é1b2c", None),
        ] {
            assert_eq!(split_suffix(resource), name, "{resource}");
        }
    }

    #[test]
    fn arns_of_other_scopes_point_elsewhere_and_broken_ones_are_refused() {
        let own = "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-a1b2c3";
        assert!(matches!(SecretId::parse(own, &tenant()), Ok(SecretId::Arn { .. })));
        for arn in [
            "arn:aws:secretsmanager:us-east-2:123456789012:secret:x-a1b2c3",
            "arn:aws:secretsmanager:us-east-1:123456789013:secret:x-a1b2c3",
            "arn:aws-cn:secretsmanager:us-east-1:123456789012:secret:x-a1b2c3",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:x y",
        ] {
            assert!(matches!(SecretId::parse(arn, &tenant()), Ok(SecretId::Elsewhere { .. })), "{arn}");
        }
        for arn in ["arn:", "arn:aws", "arn:aws:s3:::bucket", "arn:aws:secretsmanager:us-east-1:123456789012:secret:"] {
            assert!(SecretId::parse(arn, &tenant()).is_err(), "{arn}");
        }
    }
}
