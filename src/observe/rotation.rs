//! Events of a rotation, which no caller has asked for and observers are told of all the same.

use std::fmt;

use crate::model::tenant::Tenant;
use crate::observe::Observers;
use crate::observe::parameters::{Budget, ParameterValue};
use crate::observe::record::{AuditRecord, Subject};
use crate::time::Timestamp;

/// What happened in a rotation: the [`event_name`](AuditRecord::event_name) of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationEventKind {
    /// A rotation began, in this window.
    RotationStarted,
    /// It came to its end.
    RotationSucceeded,
    /// An attempt failed. It is made again, in this window or in the next one.
    RotationFailed,
    /// Somebody ended it: the secret was given another value, the label `AWSPENDING` was taken away, rotation was cancelled,
    /// or the secret was deleted.
    RotationAbandoned,
    /// A rotation function is being tried without a rotation.
    TestRotationStarted,
    /// The trial succeeded.
    TestRotationSucceeded,
    /// The trial failed.
    TestRotationFailed,
}

impl RotationEventKind {
    /// The name of the event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RotationStarted => "RotationStarted",
            Self::RotationSucceeded => "RotationSucceeded",
            Self::RotationFailed => "RotationFailed",
            Self::RotationAbandoned => "RotationAbandoned",
            Self::TestRotationStarted => "TestRotationStarted",
            Self::TestRotationSucceeded => "TestRotationSucceeded",
            Self::TestRotationFailed => "TestRotationFailed",
        }
    }
}

impl fmt::Display for RotationEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event to tell of. `reason` must not quote what a rotation function has to do with the value of a secret.
#[derive(Debug)]
pub(crate) struct RotationEvent<'a> {
    pub(crate) kind: RotationEventKind,
    pub(crate) tenant: &'a Tenant,
    pub(crate) secret_arn: &'a str,
    pub(crate) version_id: &'a str,
    pub(crate) attempt: Option<u32>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) at: Timestamp,
}

impl Observers {
    /// Tells of an event of a rotation. To be called when its outcome is certain, with no lock held.
    pub(crate) fn rotation(&self, event: &RotationEvent<'_>) {
        if self.is_empty() {
            return;
        }
        let RotationEvent { kind, tenant, secret_arn, version_id, attempt, reason, at } = *event;
        let mut budget = Budget::new();
        let mut text = |text: &str| ParameterValue::Text(budget.text(text));
        let mut data = vec![
            ("SecretId".to_owned(), text(secret_arn)),
            ("versionId".to_owned(), text(version_id)),
            ("ClientRequestToken".to_owned(), text(version_id)),
        ];
        data.extend(attempt.map(|attempt| ("attempt".to_owned(), ParameterValue::Number(attempt.into()))));
        data.extend(reason.map(|reason| ("reason".to_owned(), text(reason))));
        let subject = Subject { tenant, at, event_id: self.ids.next(at), caller: None };
        self.tell(&AuditRecord::of_event(&subject, kind.as_str(), data, &budget));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use uuid::Uuid;

    use super::*;
    use crate::entropy::OsEntropy;
    use crate::observe::Observer;
    use crate::time::from_millis;

    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<AuditRecord>>);

    impl Observer for Seen {
        fn observe(&self, record: &AuditRecord) {
            self.0.lock().unwrap().push(record.clone());
        }
    }

    #[test]
    fn an_event_of_a_rotation_names_the_secret_the_version_and_what_went_wrong() {
        let seen = Arc::new(Seen::default());
        let observers = Observers::new(vec![seen.clone()], Uuid::nil(), &OsEntropy::default()).unwrap();
        let tenant = Tenant::parse("123456789012", "eu-central-1").unwrap();
        let rows = [
            (RotationEventKind::RotationStarted, "RotationStarted", Some(1), None),
            (RotationEventKind::RotationSucceeded, "RotationSucceeded", None, None),
            (RotationEventKind::RotationFailed, "RotationFailed", Some(2), Some("it did not answer")),
            (RotationEventKind::RotationAbandoned, "RotationAbandoned", Some(5), Some("no more attempts")),
            (RotationEventKind::TestRotationStarted, "TestRotationStarted", None, None),
            (RotationEventKind::TestRotationSucceeded, "TestRotationSucceeded", None, None),
            (RotationEventKind::TestRotationFailed, "TestRotationFailed", None, Some("it refused")),
        ];
        for (kind, name, attempt, reason) in rows {
            let at = from_millis(1_700_000_000_123);
            let event =
                RotationEvent { kind, tenant: &tenant, secret_arn: "arn:s", version_id: "v", attempt, reason, at };
            observers.rotation(&event);
            let record = seen.0.lock().unwrap().pop().unwrap();
            assert_eq!((record.event_name, record.event_type, record.event_time), (name, "AwsServiceEvent", at));
            assert_eq!(
                (record.recipient_account_id.as_str(), record.aws_region.as_str()),
                ("123456789012", "eu-central-1")
            );
            assert_eq!((record.secret_id(), record.error_code, record.read_only), (Some("arn:s"), None, false));
            assert!(record.request_parameters.is_empty() && record.response_elements.is_none());
            let text = |text: &str| ParameterValue::Text(text.to_owned());
            let mut data =
                vec![("SecretId", text("arn:s")), ("versionId", text("v")), ("ClientRequestToken", text("v"))];
            data.extend(attempt.map(|attempt| ("attempt", ParameterValue::Number(attempt.into()))));
            data.extend(reason.map(|reason| ("reason", text(reason))));
            let found: Vec<_> =
                record.additional_event_data.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            assert_eq!(found, data);
        }
        assert!(seen.0.lock().unwrap().is_empty(), "each event is told once");
    }
}
