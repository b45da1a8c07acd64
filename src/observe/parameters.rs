//! What a record says of a request and of a response: names and values of their members, without what is secret.
//!
//! Every type of a member says itself what may be told of it ([`Parameter`]); `SecretString` and `SecretBytes` tell nothing,
//! so a member of these types cannot get into a record. `request!` and `response!` collect the members, so a new one
//! cannot be forgotten.

use std::collections::BTreeMap;

use crate::model::filter::{Filter, FilterKey, SortBy, SortOrder};
use crate::model::replication::{ReplicaRegionType, StatusType};
use crate::model::rotation::{ExternalSecretRotationMetadataItem, RotationRules};
use crate::model::tag::Tag;
use crate::model::value::{SecretBytes, SecretString};
use crate::time::Timestamp;

/// The value of a member in an [`AuditRecord`](crate::AuditRecord).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterValue {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    Time(Timestamp),
    /// A list.
    List(Vec<ParameterValue>),
    /// A structure: names and values, in the order of the API.
    Members(Vec<(String, ParameterValue)>),
}

impl ParameterValue {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Bytes of the texts that one record tells. The largest request that is not refused is below this: ten filters with ten
/// values of 512 characters each.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// What every value counts besides its text, so that lists of nothing come to an end too.
const VALUE_BYTES: usize = 16;

/// Bytes of the text of an error that a record tells.
const MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// What stands at the end of a text that was cut.
const CUT: &str = "…";

/// The one member of requests that is a text and that no record tells: whoever has it can go on with somebody's listing.
const PAGE_TOKEN: &str = "next_token";

/// How the service begins what it says of a page token that is too long.
const PAGE_TOKEN_REFUSED: &str = "' at 'nextToken' failed";

/// What is left of the room of a record. Without a bound, a request that is refused for its size would fill whatever records
/// are kept in.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    is_cut: bool,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { left: TEXT_BYTES_MAX, is_cut: false }
    }

    /// Whether something did not fit.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The text, or its beginning.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let shown = beginning(text, self.left);
        self.left = self.left.saturating_sub(text.len().max(1));
        if shown.len() == text.len() {
            return text.to_owned();
        }
        self.is_cut = true;
        format!("{shown}{CUT}")
    }

    /// The text of an error, without the page token that some of them quote.
    pub(crate) fn message(&mut self, message: &str) -> String {
        let mut message = message.to_owned();
        if let Some(end) = message.find(PAGE_TOKEN_REFUSED)
            && let Some(before) = message.get(..end)
            && let Some(begin) = before.rfind("Value '").map(|at| at + "Value '".len())
            && begin < end
        {
            message.replace_range(begin..end, CUT);
        }
        let shown = beginning(&message, MESSAGE_BYTES_MAX);
        if shown.len() == message.len() {
            return message;
        }
        self.is_cut = true;
        format!("{shown}{CUT}")
    }

    /// Whether there is room for one more value.
    fn takes(&mut self) -> bool {
        let has_room = self.left > VALUE_BYTES;
        self.left = self.left.saturating_sub(VALUE_BYTES);
        self.is_cut |= !has_room;
        has_room
    }
}

/// The longest beginning of so many bytes that cuts no character.
fn beginning(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    (0..=bytes).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// A type of members.
pub(crate) trait Parameter {
    /// What a record says of it. `None`: nothing, not even that it is there.
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue>;
}

/// A request of the API.
pub(crate) trait Request {
    /// The name of its type, which is that of the operation and `Request`.
    const TYPE: &str;

    /// What a record says of it, in the order of its members.
    fn parameters(&self, budget: &mut Budget) -> Vec<(String, ParameterValue)>;

    /// The operation that it is for.
    fn operation() -> &'static str {
        Self::TYPE.strip_suffix("Request").unwrap_or(Self::TYPE)
    }
}

/// Adds a member, if something may be said of it.
pub(crate) fn add(
    members: &mut Vec<(String, ParameterValue)>,
    name: &str,
    member: &impl Parameter,
    budget: &mut Budget,
) {
    if name == PAGE_TOKEN {
        return;
    }
    if let Some(value) = member.value(budget) {
        members.push((camel_case(name), value));
    }
}

/// A member's name as records write it: `secret_id` is `secretId`.
fn camel_case(name: &str) -> String {
    let name = name.trim_start_matches("r#");
    let mut words = name.split('_');
    let mut written = words.next().unwrap_or_default().to_owned();
    for word in words {
        // The API writes it so everywhere but in one name.
        if word == "arn" && name != "external_secret_rotation_role_arn" {
            written.push_str("ARN");
            continue;
        }
        let mut characters = word.chars();
        written.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        written.push_str(characters.as_str());
    }
    written
}

/// Makes a structure a [`Parameter`] with these members.
macro_rules! parameter_members {
    ($type:ty { $($member:ident),+ $(,)? }) => {
        impl $crate::observe::parameters::Parameter for $type {
            fn value(
                &self,
                budget: &mut $crate::observe::parameters::Budget,
            ) -> Option<$crate::observe::parameters::ParameterValue> {
                let mut members = Vec::new();
                $($crate::observe::parameters::add(&mut members, stringify!($member), &self.$member, budget);)+
                Some($crate::observe::parameters::ParameterValue::Members(members))
            }
        }
    };
}

/// Makes a structure a [`Request`] with these members.
macro_rules! request_members {
    ($type:ident { $($member:ident),* $(,)? }) => {
        impl $crate::observe::parameters::Request for $type {
            const TYPE: &str = stringify!($type);

            fn parameters(
                &self,
                budget: &mut $crate::observe::parameters::Budget,
            ) -> Vec<(String, $crate::observe::parameters::ParameterValue)> {
                let mut members = Vec::new();
                $($crate::observe::parameters::add(&mut members, stringify!($member), &self.$member, budget);)*
                members
            }
        }
    };
}

pub(crate) use {parameter_members, request_members};

parameter_members!(Tag { key, value });
parameter_members!(ReplicaRegionType { region, kms_key_id });
parameter_members!(Filter { key, values });
parameter_members!(RotationRules { automatically_after_days, duration, schedule_expression });
parameter_members!(ExternalSecretRotationMetadataItem { key, value });

/// Secrets are never told.
impl Parameter for SecretString {
    fn value(&self, _: &mut Budget) -> Option<ParameterValue> {
        None
    }
}

impl Parameter for SecretBytes {
    fn value(&self, _: &mut Budget) -> Option<ParameterValue> {
        None
    }
}

/// The answer of operations that have none.
impl Parameter for () {
    fn value(&self, _: &mut Budget) -> Option<ParameterValue> {
        None
    }
}

impl Parameter for String {
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
        budget.takes().then(|| ParameterValue::Text(budget.text(self)))
    }
}

macro_rules! text_parameter {
    ($($type:ty),+) => {
        $(impl Parameter for $type {
            fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
                budget.takes().then(|| ParameterValue::Text(budget.text(self.as_str())))
            }
        })+
    };
}
text_parameter!(FilterKey, SortBy, SortOrder, StatusType);

macro_rules! number_parameter {
    ($($type:ty),+) => {
        $(impl Parameter for $type {
            fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
                budget.takes().then(|| ParameterValue::Number(i64::from(*self)))
            }
        })+
    };
}
number_parameter!(i32, i64);

impl Parameter for bool {
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
        budget.takes().then_some(ParameterValue::Flag(*self))
    }
}

impl Parameter for Timestamp {
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
        budget.takes().then_some(ParameterValue::Time(*self))
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
        self.as_ref().and_then(|member| member.value(budget))
    }
}

impl<T: Parameter> Parameter for Vec<T> {
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
        let mut entries = Vec::new();
        for entry in self {
            if !budget.takes() {
                break;
            }
            entries.extend(entry.value(budget));
        }
        Some(ParameterValue::List(entries))
    }
}

impl<T: Parameter> Parameter for BTreeMap<String, T> {
    fn value(&self, budget: &mut Budget) -> Option<ParameterValue> {
        let mut members = Vec::new();
        for (name, member) in self {
            if !budget.takes() {
                break;
            }
            let name = budget.text(name);
            members.extend(member.value(budget).map(|value| (name, value)));
        }
        Some(ParameterValue::Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_as_the_service_names_them_in_its_trail() {
        let rows = [
            ("secret_id", "secretId"),
            ("arn", "arn"),
            ("r#type", "type"),
            ("kms_key_id", "kmsKeyId"),
            ("recovery_window_in_days", "recoveryWindowInDays"),
            ("rotation_lambda_arn", "rotationLambdaARN"),
            ("cross_account_primary_arn", "crossAccountPrimaryARN"),
            ("external_secret_rotation_role_arn", "externalSecretRotationRoleArn"),
        ];
        for (name, written) in rows {
            assert_eq!(camel_case(name), written);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_says_so() {
        let mut budget = Budget::new();
        assert_eq!(budget.text(&"a".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
        assert!(!budget.is_cut());
        assert_eq!(budget.text("b"), CUT);
        assert!(budget.is_cut());

        let mut budget = Budget::new();
        let text = budget.text(&"€".repeat(TEXT_BYTES_MAX));
        assert!(budget.is_cut() && text.ends_with("€…") && text.len() <= TEXT_BYTES_MAX + CUT.len());
    }

    #[test]
    fn a_list_without_end_comes_to_an_end() {
        let mut budget = Budget::new();
        let Some(ParameterValue::List(entries)) = vec![String::new(); 1_000_000].value(&mut budget) else {
            panic!("a list is a list")
        };
        assert!(budget.is_cut());
        assert!(entries.len() < TEXT_BYTES_MAX / VALUE_BYTES);
    }

    #[test]
    fn a_refused_page_token_is_not_quoted() {
        let message = "2 validation errors detected: Value 'a' at 'filters' failed to satisfy constraint: x; \
                       Value 'to'ken' at 'nextToken' failed to satisfy constraint: y";
        let told = Budget::new().message(message);
        assert!(
            !told.contains("to'ken") && told.contains("Value '…' at 'nextToken' failed") && told.contains("Value 'a'")
        );
    }
}
