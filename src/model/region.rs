//! Regions that the service has, by partition.

use crate::model::tenant::partition_of;

/// Regions in which the service can be used, as of 2026 (AWS General Reference, service endpoints).
const REGIONS: [&str; 46] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];

/// Whether a secret in one Region can have a replica in another: one that the service has, or that the host has added, in
/// the same partition.
pub(crate) fn is_replica_region(region: &str, of: &str, added: &[String]) -> bool {
    let is_known = REGIONS.contains(&region) || added.iter().any(|known| known == region);
    is_known && region != of && partition_of(region) == partition_of(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_in_other_known_regions_of_the_same_partition() {
        let added = ["xx-test-1".to_owned()];
        for (region, of, expected) in [
            ("eu-west-1", "us-east-1", true),
            ("us-east-1", "us-east-1", false),
            ("us-nowhere-1", "us-east-1", false),
            ("xx-test-1", "us-east-1", true),
            ("us-east-1", "xx-test-1", true),
            ("cn-north-1", "us-east-1", false),
            ("cn-northwest-1", "cn-north-1", true),
            ("us-gov-east-1", "us-gov-west-1", true),
            ("us-gov-east-1", "us-west-1", false),
        ] {
            assert_eq!(is_replica_region(region, of, &added), expected, "{region} of {of}");
        }
    }
}
