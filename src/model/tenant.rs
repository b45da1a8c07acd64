//! An account and a Region: the scope in which names are unique.

use crate::error::{Error, Result};
use crate::policy::Principal;

/// The account and Region that a handle works in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tenant {
    account: String,
    region: String,
}

impl Tenant {
    pub(crate) fn parse(account: &str, region: &str) -> Result<Self> {
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::configuration(format!("account `{}` is not 12 digits", account.escape_debug())));
        }
        if !is_region(region) {
            return Err(Error::configuration(format!(
                "Region `{}` is not of the form `us-east-1`",
                region.escape_debug()
            )));
        }
        Ok(Self { account: account.to_owned(), region: region.to_owned() })
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// The account as a principal.
    pub(crate) fn root(&self) -> Option<Principal> {
        Principal::root(self.partition(), &self.account)
    }

    /// The partition that the Region belongs to.
    pub(crate) fn partition(&self) -> &'static str {
        partition_of(&self.region)
    }
}

/// The partition that a Region belongs to.
pub(crate) fn partition_of(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Whether the text is a Region: `^([a-z]+-)+\d+$`, at most 128 characters (API model).
pub(crate) fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    text.len() <= 128
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && words.split('-').all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_regions_are_checked() {
        for (account, region, good) in [
            ("000000000000", "us-east-1", true),
            ("123456789012", "ap-southeast-2", true),
            ("12345678901", "us-east-1", false),
            ("1234567890123", "us-east-1", false),
            ("12345678901x", "us-east-1", false),
            ("123456789012", "", false),
            ("123456789012", "useast1", false),
            ("123456789012", "us--1", false),
            ("123456789012", "us-east-", false),
            ("123456789012", "US-EAST-1", false),
            ("123456789012", "us-east-1\n", false),
        ] {
            assert_eq!(Tenant::parse(account, region).is_ok(), good, "{account} {region}");
        }
    }

    #[test]
    fn the_partition_follows_from_the_region() {
        for (region, partition) in [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
            assert_eq!(Tenant::parse("000000000000", region).unwrap().partition(), partition);
        }
    }
}
