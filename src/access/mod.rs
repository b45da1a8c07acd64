//! Who calls, what an operation asks for, and what policies see of both. Pure.

mod caller;
mod policies;

use std::borrow::Cow;

use crate::model::replication::NewReplica;
use crate::model::secret::Secret;
use crate::model::tag::Tag;
use crate::policy::{Known, Values, of_principal};
use crate::time::Timestamp;

pub use crate::access::caller::Caller;
pub(crate) use crate::access::policies::ParsedPolicies;

/// What an operation asks for: its action, and what conditions can be about. What the request left out is absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access<'a> {
    /// The name of the operation.
    pub(crate) action: &'static str,
    /// The name of the secret that is to be made.
    pub(crate) name: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) kms_key_id: Option<&'a str>,
    pub(crate) secret_type: Option<&'a str>,
    pub(crate) version_id: Option<&'a str>,
    pub(crate) version_stage: Option<&'a str>,
    pub(crate) recovery_window_in_days: Option<i64>,
    pub(crate) force_delete_without_recovery: Option<bool>,
    pub(crate) block_public_policy: Option<bool>,
    pub(crate) rotation_lambda_arn: Option<&'a str>,
    pub(crate) modify_rotation_rules: Option<bool>,
    pub(crate) rotate_immediately: Option<bool>,
    /// Regions that the secret is to be replicated to.
    pub(crate) replica_regions: Option<&'a [NewReplica]>,
    pub(crate) force_overwrite_replica_secret: Option<bool>,
    /// The secret that is to be made is the replica of one in another account.
    pub(crate) is_cross_account_replica: bool,
    /// Tags that are to be attached.
    pub(crate) request_tags: Option<&'a [Tag]>,
    /// Keys of tags that are to be removed.
    pub(crate) tag_keys: Option<&'a [String]>,
}

impl Access<'_> {
    /// For an action of which nothing else is asked.
    pub(crate) const fn to(action: &'static str) -> Self {
        Self {
            action,
            name: None,
            description: None,
            kms_key_id: None,
            secret_type: None,
            version_id: None,
            version_stage: None,
            recovery_window_in_days: None,
            force_delete_without_recovery: None,
            block_public_policy: None,
            rotation_lambda_arn: None,
            modify_rotation_rules: None,
            rotate_immediately: None,
            replica_regions: None,
            force_overwrite_replica_secret: None,
            is_cross_account_replica: false,
            request_tags: None,
            tag_keys: None,
        }
    }
}

/// Everything that conditions can be about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) access: &'a Access<'a>,
    /// The secret, if it is about one that exists.
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) region: &'a str,
    /// Whose the resource is.
    pub(crate) resource_account: &'a str,
    pub(crate) now: Timestamp,
}

const SERVICE: &str = "secretsmanager:";
const GLOBAL: &str = "aws:";

impl Known for Facts<'_> {
    fn values<'a>(&'a self, key: &str) -> Values<'a> {
        if let Some(key) = key.strip_prefix(SERVICE) {
            return self.of_service(key);
        }
        match key.strip_prefix(GLOBAL) {
            Some(global) => self.of_request(global).unwrap_or_else(|| self.caller.values(key)),
            None => self.caller.values(key),
        }
    }
}

impl Facts<'_> {
    /// The service's own keys, of which a host can set none.
    fn of_service(&self, key: &str) -> Values<'_> {
        let Access {
            action: _,
            name,
            description,
            kms_key_id,
            secret_type,
            version_id,
            version_stage,
            recovery_window_in_days,
            force_delete_without_recovery,
            block_public_policy,
            rotation_lambda_arn,
            modify_rotation_rules,
            rotate_immediately,
            replica_regions,
            force_overwrite_replica_secret,
            is_cross_account_replica: _,
            request_tags: _,
            tag_keys: _,
        } = self.access;
        match key {
            "secretprimaryregion" => {
                let primary =
                    self.secret.map(|secret| secret.primary_region.as_deref().unwrap_or(secret.tenant.region()));
                Values::option(primary)
            }
            "secretid" => Values::option(self.secret.map(|secret| secret.arn.as_str())),
            "name" => Values::option(*name),
            "description" => Values::option(*description),
            "kmskeyid" => Values::option(*kms_key_id),
            "type" => Values::option(*secret_type),
            "versionid" => Values::option(*version_id),
            "versionstage" => Values::option(*version_stage),
            "recoverywindowindays" => match recovery_window_in_days {
                Some(days) => Values::One(Cow::Owned(days.to_string())),
                None => Values::Absent,
            },
            "forcedeletewithoutrecovery" => Values::flag(*force_delete_without_recovery),
            "blockpublicpolicy" => Values::flag(*block_public_policy),
            "rotationlambdaarn" => Values::option(*rotation_lambda_arn),
            "modifyrotationrules" => Values::flag(*modify_rotation_rules),
            "addreplicaregions" => match replica_regions {
                Some(asked) => {
                    Values::Many(asked.iter().map(|replica| Cow::Borrowed(replica.region.as_str())).collect())
                }
                None => Values::Absent,
            },
            "forceoverwritereplicasecret" => Values::flag(*force_overwrite_replica_secret),
            "rotateimmediately" => Values::flag(*rotate_immediately),
            "resource/allowrotationlambdaarn" => {
                let rotation = self.secret.and_then(|secret| secret.rotation.as_deref());
                Values::option(rotation.and_then(|rotation| rotation.function_arn.as_deref()))
            }
            _ => key.strip_prefix("resourcetag/").map_or(Values::Absent, |key| self.resource_tag(key)),
        }
    }

    fn resource_tag(&self, key: &str) -> Values<'_> {
        tag(self.secret.and_then(|secret| secret.tags.as_deref()), key)
    }

    /// Global keys that follow from the request. `None`: it is for the caller to say.
    fn of_request(&self, key: &str) -> Option<Values<'_>> {
        Some(match key {
            "currenttime" => Values::One(Cow::Owned(self.now.to_rfc3339())),
            "epochtime" => Values::One(Cow::Owned(self.now.timestamp().to_string())),
            "requestedregion" => Values::text(self.region),
            "resourceaccount" => Values::text(self.resource_account),
            "tagkeys" => match (self.access.request_tags, self.access.tag_keys) {
                (Some(tags), _) => Values::Many(tags.iter().map(|tag| Cow::Borrowed(tag.key.as_str())).collect()),
                (None, Some(keys)) => Values::Many(keys.iter().map(|key| Cow::Borrowed(key.as_str())).collect()),
                (None, None) => Values::Absent,
            },
            _ => match key.split_once('/') {
                Some(("resourcetag", key)) => self.resource_tag(key),
                Some(("requesttag", key)) => tag(self.access.request_tags, key),
                _ => return None,
            },
        })
    }
}

/// The value of a tag. `key` is in lower case: condition keys do not tell upper case from lower case.
fn tag<'a>(tags: Option<&'a [Tag]>, key: &str) -> Values<'a> {
    let is_meant = |tag: &&Tag| {
        if tag.key.is_ascii() { tag.key.eq_ignore_ascii_case(key) } else { tag.key.to_lowercase() == key }
    };
    let mut found = tags.unwrap_or_default().iter().filter(is_meant).map(|tag| tag.value.as_str());
    match (found.next(), found.next()) {
        (None, _) => Values::Absent,
        (Some(only), None) => Values::text(only),
        // Two keys that differ in case are one to a condition.
        (Some(first), Some(second)) => {
            Values::Many([first, second].into_iter().chain(found).map(Cow::Borrowed).collect())
        }
    }
}

impl Caller {
    /// What the keys say that follow from who calls.
    fn values(&self, key: &str) -> Values<'_> {
        if let Some(key) = key.strip_prefix("aws:principaltag/") {
            return tag(Some(self.principal_tags()), key);
        }
        match self.context().values(key) {
            Values::Absent => of_principal(self.principal(), key),
            values => values,
        }
    }
}
