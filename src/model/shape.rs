//! Shape constraints of the API model: length, range, pattern and enum, all violations in one message.
//!
//! Nothing here touches state, and everything here runs before anything else does.

use std::fmt::Arguments;

use crate::error::{Error, Result};
use crate::model::limits as lim;
use crate::model::policy::is_policy_name;
use crate::model::replication::ReplicaRegionType;
use crate::model::tag::Tag;
use crate::model::tenant::is_region;
use crate::model::value::{SecretBytes, SecretString};

/// Collects the violations of one request, in the order of its members.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    violations: Vec<String>,
}

/// How much of a refused value is shown.
///
/// DIFFERENCE: the service shows all of it. Every limit but those of secret values is below this.
const SHOWN_CHARS_MAX: usize = 24_576;

/// How many violations are told.
const VIOLATIONS_MAX: usize = 64;

/// How many entries of a list without a limit of its own are looked at. Such a list breaks another rule long before.
pub(crate) const LISTED_MAX: usize = 1024;

impl Shape {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn refuse(&mut self, value: Option<&str>, path: &str, constraint: Arguments<'_>) {
        match value {
            // The whole message stays bounded, whatever was sent.
            Some(value) => {
                let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
                self.note(format_args!(" '{shown}'"), path, constraint);
            }
            None => self.note(format_args!(""), path, constraint),
        }
    }

    fn note(&mut self, shown: Arguments<'_>, path: &str, constraint: Arguments<'_>) {
        if self.violations.len() >= VIOLATIONS_MAX {
            return;
        }
        self.violations.push(format!("Value{shown} at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// Characters of a text.
    pub(crate) fn text(&mut self, path: &str, text: &str, min: usize, max: usize) {
        self.length(path, Some(text), text.chars().count(), min, max);
    }

    /// A member that must be there. If it is not, [`finish`](Self::finish) fails, and what this gives is not used.
    pub(crate) fn required<T: Default>(&mut self, path: &str, member: Option<T>) -> T {
        member.unwrap_or_else(|| {
            self.note(format_args!(" null"), path, format_args!("Member must not be null"));
            T::default()
        })
    }

    /// As [`required`](Self::required), of so many characters.
    pub(crate) fn required_text(&mut self, path: &str, text: Option<String>, min: usize, max: usize) -> String {
        if let Some(text) = &text {
            self.text(path, text, min, max);
        }
        self.required(path, text)
    }

    pub(crate) fn optional_text(&mut self, path: &str, text: Option<&String>, min: usize, max: usize) {
        if let Some(text) = text {
            self.text(path, text, min, max);
        }
    }

    fn length(&mut self, path: &str, shown: Option<&str>, length: usize, min: usize, max: usize) {
        if length < min {
            self.refuse(shown, path, format_args!("Member must have length greater than or equal to {min}"));
        } else if length > max {
            self.refuse(shown, path, format_args!("Member must have length less than or equal to {max}"));
        }
    }

    /// Entries of a list.
    pub(crate) fn list<T: std::fmt::Debug>(&mut self, path: &str, list: &[T], min: usize, max: usize) {
        let shown = if list.is_empty() { "[]".to_owned() } else { format!("[{} members]", list.len()) };
        self.length(path, Some(&shown), list.len(), min, max);
    }

    /// The value of a secret, which is never shown.
    pub(crate) fn value(&mut self, string: Option<&SecretString>, binary: Option<&SecretBytes>) {
        if let Some(string) = string {
            // DIFFERENCE: the model limits characters and the quota limits bytes; the stricter one is enforced.
            self.length("secretString", None, string.expose().len(), 1, lim::VALUE_BYTES_MAX);
        }
        if let Some(binary) = binary {
            self.length("secretBinary", None, binary.expose().len(), 1, lim::VALUE_BYTES_MAX);
        }
    }

    pub(crate) fn rotation_token(&mut self, token: Option<&SecretString>) {
        let Some(token) = token else { return };
        let text = token.expose();
        self.length(
            "rotationToken",
            None,
            text.chars().count(),
            lim::ROTATION_TOKEN_CHARS_MIN,
            lim::ROTATION_TOKEN_CHARS_MAX,
        );
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            self.pattern("rotationToken", None, "^[a-zA-Z0-9\\-]+$");
        }
    }

    pub(crate) fn number(&mut self, path: &str, number: i64, min: i64, max: i64) {
        let shown = number.to_string();
        if number < min {
            self.refuse(Some(&shown), path, format_args!("Member must have value greater than or equal to {min}"));
        } else if number > max {
            self.refuse(Some(&shown), path, format_args!("Member must have value less than or equal to {max}"));
        }
    }

    pub(crate) fn one_of(&mut self, path: &str, text: &str, allowed: &[&str]) {
        if !allowed.contains(&text) {
            self.refuse(Some(text), path, format_args!("Member must satisfy enum value set: [{}]", allowed.join(", ")));
        }
    }

    pub(crate) fn pattern(&mut self, path: &str, shown: Option<&str>, pattern: &str) {
        self.refuse(shown, path, format_args!("Member must satisfy regular expression pattern: {pattern}"));
    }

    // The members that many operations share.

    pub(crate) fn secret_id(&mut self, secret_id: Option<String>) -> String {
        self.required_text("secretId", secret_id, 1, lim::SECRET_ID_CHARS_MAX)
    }

    pub(crate) fn client_request_token(&mut self, token: Option<&String>) {
        self.optional_text("clientRequestToken", token, lim::VERSION_ID_CHARS_MIN, lim::VERSION_ID_CHARS_MAX);
    }

    pub(crate) fn version_id(&mut self, path: &str, id: Option<&String>) {
        self.optional_text(path, id, lim::VERSION_ID_CHARS_MIN, lim::VERSION_ID_CHARS_MAX);
    }

    pub(crate) fn metadata(&mut self, description: Option<&String>, kms_key_id: Option<&String>) {
        self.optional_text("description", description, 0, lim::DESCRIPTION_CHARS_MAX);
        self.optional_text("kmsKeyId", kms_key_id, 0, lim::KMS_KEY_ID_CHARS_MAX);
    }

    pub(crate) fn tags(&mut self, tags: &[Tag]) {
        for (tag, index) in tags.iter().take(LISTED_MAX).zip(1..) {
            self.tag_key(&format!("tags.{index}.member.key"), &tag.key);
            self.text(&format!("tags.{index}.member.value"), &tag.value, 0, lim::TAG_VALUE_CHARS_MAX);
        }
    }

    pub(crate) fn version_stages(&mut self, labels: &[String]) {
        self.list("versionStages", labels, 1, lim::LABELS_MAX);
        for (label, index) in labels.iter().take(lim::LABELS_MAX).zip(1..) {
            self.text(&format!("versionStages.{index}.member"), label, 1, lim::LABEL_CHARS_MAX);
        }
    }

    pub(crate) fn tag_key(&mut self, path: &str, key: &str) {
        self.text(path, key, 1, lim::TAG_KEY_CHARS_MAX);
    }

    pub(crate) fn resource_policy(&mut self, text: Option<String>) -> String {
        self.required_text("resourcePolicy", text, 1, lim::RESOURCE_POLICY_CHARS_MAX)
    }

    pub(crate) fn policy_name(&mut self, name: Option<&String>) {
        let Some(name) = name else { return };
        self.text("policyName", name, 1, lim::POLICY_NAME_CHARS_MAX);
        if !is_policy_name(name) {
            self.pattern("policyName", Some(name), r"[0-9A-Za-z\-\_]+");
        }
    }

    /// Regions to replicate to.
    pub(crate) fn replica_regions(&mut self, regions: &[ReplicaRegionType]) {
        self.list("addReplicaRegions", regions, 1, usize::MAX);
        for (ReplicaRegionType { region, kms_key_id }, index) in regions.iter().take(LISTED_MAX).zip(1..) {
            let path = format!("addReplicaRegions.{index}.member");
            self.region(&format!("{path}.region"), region);
            self.optional_text(&format!("{path}.kmsKeyId"), kms_key_id.as_ref(), 0, lim::KMS_KEY_ID_CHARS_MAX);
        }
    }

    pub(crate) fn region(&mut self, path: &str, region: &str) {
        self.text(path, region, 1, lim::REGION_CHARS_MAX);
        if !region.is_empty() && region.len() <= lim::REGION_CHARS_MAX && !is_region(region) {
            self.pattern(path, Some(region), r"^([a-z]+-)+\d+$");
        }
    }

    pub(crate) fn secret_arn(&mut self, path: &str, arn: Option<&String>) {
        self.optional_text(path, arn, lim::SECRET_ARN_CHARS_MIN, lim::SECRET_ARN_CHARS_MAX);
    }

    pub(crate) fn page(&mut self, max_results: Option<i32>, most: i32, next_token: Option<&String>) {
        if let Some(max_results) = max_results {
            self.number("maxResults", max_results.into(), 1, most.into());
        }
        self.optional_text("nextToken", next_token, 1, lim::NEXT_TOKEN_CHARS_MAX);
    }

    /// One error with every violation, or nothing.
    pub(crate) fn finish(self) -> Result<()> {
        match self.violations.len() {
            0 => Ok(()),
            1 => Err(Error::validation(format!("1 validation error detected: {}", self.violations.join("; ")))),
            many => {
                Err(Error::validation(format!("{many} validation errors detected: {}", self.violations.join("; "))))
            }
        }
    }
}
