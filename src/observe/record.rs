//! One record: who did what to which secret, and how it ended, in the shape of AWS CloudTrail.

use uuid::Uuid;

use crate::model::tenant::Tenant;
use crate::observe::parameters::{Budget, ParameterValue};
use crate::policy::Principal;
use crate::time::Timestamp;

/// The version of CloudTrail's record that ours follows.
const EVENT_VERSION: &str = "1.08";
const EVENT_SOURCE: &str = "secretsmanager.amazonaws.com";
const EVENT_CATEGORY: &str = "Management";
const API_CALL: &str = "AwsApiCall";
const SERVICE_EVENT: &str = "AwsServiceEvent";

/// Says that something did not fit into the record.
const TRUNCATED: &str = "truncated";

/// What an [`Observer`](crate::Observer) is told of one operation, or of one event of a rotation.
///
/// Members are those of a record of AWS CloudTrail, and mean the same. Who called is told where the engine knows it. The values of secrets, generated passwords, rotation tokens and page tokens are left out altogether; texts of
/// more than 256 KiB in all are cut, and `additional_event_data` says `truncated` then.
///
/// With feature `json` a record is serialised as CloudTrail writes it.
///
/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// The version of the shape of the record.
    pub event_version: &'static str,
    /// Who called, if the handle acts for somebody ([`SecretsManager::as_caller`](crate::SecretsManager::as_caller)).
    pub user_identity: Option<UserIdentity>,
    /// When the operation was over, by the store's clock.
    pub event_time: Timestamp,
    /// `secretsmanager.amazonaws.com`.
    pub event_source: &'static str,
    /// The operation, for example `PutSecretValue`, or the event, for example `RotationStarted`.
    pub event_name: &'static str,
    /// The Region of the secret.
    pub aws_region: String,
    /// The service's code, if the operation failed.
    pub error_code: Option<&'static str>,
    /// The service's text, if the operation failed.
    pub error_message: Option<String>,
    /// What was asked for, in the order of the API, named as CloudTrail names it: `secretId`.
    pub request_parameters: Vec<(String, ParameterValue)>,
    /// What was answered. `None` if the operation failed, only reads, or has no answer.
    pub response_elements: Option<Vec<(String, ParameterValue)>>,
    /// What else is to be said.
    pub additional_event_data: Vec<(String, ParameterValue)>,
    /// The host's own id of the request, from [`SecretsManager::with_request_id`](crate::SecretsManager::with_request_id).
    pub request_id: Option<String>,
    /// Tells the record from every other one.
    pub event_id: Uuid,
    /// Whether the operation only reads.
    pub read_only: bool,
    /// `AwsApiCall` for an operation, `AwsServiceEvent` for an event of a rotation.
    pub event_type: &'static str,
    /// Always `true`.
    pub management_event: bool,
    /// The account that the handle works in: that of the secret, or of a caller who reaches the secret of another account.
    pub recipient_account_id: String,
    /// `Management`.
    pub event_category: &'static str,
}

/// Who called, as CloudTrail tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserIdentity {
    /// `Root`, `IAMUser`, `Role`, `AssumedRole`, `FederatedUser`, `AWSService` or `Unknown`.
    pub identity_type: &'static str,
    /// The ARN of the principal, or the name of a service. `None` for somebody anonymous.
    pub arn: Option<String>,
    /// The account of the principal.
    pub account_id: Option<String>,
    /// The name of a user.
    pub user_name: Option<String>,
}

impl UserIdentity {
    fn new(principal: &Principal) -> Self {
        let identity_type = principal.identity_type();
        Self {
            identity_type,
            arn: (identity_type != "Unknown").then(|| principal.to_string()),
            account_id: principal.account().map(str::to_owned),
            user_name: principal.username().map(str::to_owned),
        }
    }
}

/// What every record has.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) at: Timestamp,
    pub(crate) event_id: Uuid,
    pub(crate) caller: Option<&'a Principal>,
}

/// How a call ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) response: Option<ParameterValue>,
    pub(crate) error: Option<(&'static str, String)>,
}

impl AuditRecord {
    /// The id of the secret that it is about, as far as it is known: the ARN that was answered or is rotated, else the
    /// `SecretId` or `Name` that was asked for.
    #[must_use]
    pub fn secret_id(&self) -> Option<&str> {
        let answered = self.response_elements.iter().flatten().find(|(name, _)| name == "arn");
        let rotated = self.additional_event_data.iter().find(|(name, _)| name == "SecretId");
        let asked = self.request_parameters.iter().find(|(name, _)| name == "secretId" || name == "name");
        answered.or(rotated).or(asked).and_then(|(_, value)| value.as_text())
    }

    pub(super) fn of_call(
        subject: &Subject<'_>,
        operation: &'static str,
        read_only: bool,
        request_parameters: Vec<(String, ParameterValue)>,
        outcome: Outcome,
        request_id: Option<String>,
        budget: &Budget,
    ) -> Self {
        let Outcome { response, error } = outcome;
        let response_elements = match response {
            Some(ParameterValue::Members(members)) => Some(members),
            _ => None,
        };
        let (error_code, error_message) = error.unzip();
        Self {
            error_code,
            error_message,
            request_parameters,
            response_elements,
            request_id,
            read_only,
            additional_event_data: truncation(budget),
            ..Self::bare(subject, operation, API_CALL)
        }
    }

    pub(super) fn of_event(
        subject: &Subject<'_>,
        event: &'static str,
        mut data: Vec<(String, ParameterValue)>,
        budget: &Budget,
    ) -> Self {
        data.extend(truncation(budget));
        Self { additional_event_data: data, ..Self::bare(subject, event, SERVICE_EVENT) }
    }

    fn bare(subject: &Subject<'_>, event_name: &'static str, event_type: &'static str) -> Self {
        let Subject { tenant, at, event_id, caller } = *subject;
        Self {
            event_version: EVENT_VERSION,
            user_identity: caller.map(UserIdentity::new),
            event_time: at,
            event_source: EVENT_SOURCE,
            event_name,
            aws_region: tenant.region().to_owned(),
            error_code: None,
            error_message: None,
            request_parameters: Vec::new(),
            response_elements: None,
            additional_event_data: Vec::new(),
            request_id: None,
            event_id,
            read_only: false,
            event_type,
            management_event: true,
            recipient_account_id: tenant.account().to_owned(),
            event_category: EVENT_CATEGORY,
        }
    }
}

fn truncation(budget: &Budget) -> Vec<(String, ParameterValue)> {
    budget.is_cut().then(|| (TRUNCATED.to_owned(), ParameterValue::Flag(true))).into_iter().collect()
}

#[cfg(feature = "json")]
mod json {
    use serde::ser::{Serialize, SerializeMap, Serializer};

    use super::{AuditRecord, ParameterValue, UserIdentity};
    use crate::time::Timestamp;

    /// `2026-11-22T14:30:05Z`.
    fn time(at: &Timestamp) -> String {
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    struct Members<'a>(&'a [(String, ParameterValue)]);

    impl Serialize for Members<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
        }
    }

    impl Serialize for ParameterValue {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Text(text) => serializer.serialize_str(text),
                Self::Number(number) => serializer.serialize_i64(*number),
                Self::Flag(flag) => serializer.serialize_bool(*flag),
                Self::Time(at) => serializer.serialize_str(&time(at)),
                Self::List(entries) => serializer.collect_seq(entries),
                Self::Members(members) => Members(members).serialize(serializer),
            }
        }
    }

    impl Serialize for UserIdentity {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self { identity_type, arn, account_id, user_name } = self;
            let mut members = serializer.serialize_map(None)?;
            members.serialize_entry("type", identity_type)?;
            let told = [("arn", arn), ("accountId", account_id), ("userName", user_name)];
            for (name, text) in told.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
                members.serialize_entry(name, text)?;
            }
            members.end()
        }
    }

    impl Serialize for AuditRecord {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut members = serializer.serialize_map(None)?;
            self.write(&mut members)?;
            members.end()
        }
    }

    impl AuditRecord {
        /// Writes the members into an object that may have others.
        pub(crate) fn write<M: SerializeMap>(&self, members: &mut M) -> Result<(), M::Error> {
            // Every member is named, so that a new one cannot be forgotten.
            let Self {
                event_version,
                user_identity,
                event_time,
                event_source,
                event_name,
                aws_region,
                error_code,
                error_message,
                request_parameters,
                response_elements,
                additional_event_data,
                request_id,
                event_id,
                read_only,
                event_type,
                management_event,
                recipient_account_id,
                event_category,
            } = self;
            members.serialize_entry("eventVersion", event_version)?;
            if let Some(identity) = user_identity {
                members.serialize_entry("userIdentity", identity)?;
            }
            members.serialize_entry("eventTime", &time(event_time))?;
            members.serialize_entry("eventSource", event_source)?;
            members.serialize_entry("eventName", event_name)?;
            members.serialize_entry("awsRegion", aws_region)?;
            if let Some(code) = error_code {
                members.serialize_entry("errorCode", code)?;
            }
            if let Some(message) = error_message {
                members.serialize_entry("errorMessage", message)?;
            }
            let asked = (!request_parameters.is_empty()).then_some(Members(request_parameters));
            members.serialize_entry("requestParameters", &asked)?;
            members.serialize_entry("responseElements", &response_elements.as_deref().map(Members))?;
            if !additional_event_data.is_empty() {
                members.serialize_entry("additionalEventData", &Members(additional_event_data))?;
            }
            if let Some(id) = request_id {
                members.serialize_entry("requestID", id)?;
            }
            members.serialize_entry("eventID", &event_id.to_string())?;
            members.serialize_entry("readOnly", read_only)?;
            members.serialize_entry("eventType", event_type)?;
            members.serialize_entry("managementEvent", management_event)?;
            members.serialize_entry("recipientAccountId", recipient_account_id)?;
            members.serialize_entry("eventCategory", event_category)
        }
    }
}
