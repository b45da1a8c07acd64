//! The rotation of a secret, as it is stored with the secret and as exports have it.

use serde::{Deserialize, Serialize};

use crate::model::rotation::{External, ExternalSecretRotationMetadataItem, Job, JobKind, Rotation, RotationRules};
use crate::model::version::VersionId;
use crate::rotation::RotationWindow;
use crate::time::{Timestamp, from_millis};

#[derive(PartialEq, Serialize, Deserialize)]
pub(super) struct StoredRotation<'a> {
    is_enabled: bool,
    function_arn: Option<&'a str>,
    #[serde(borrow)]
    rules: Option<StoredRules<'a>>,
    /// Keys and values.
    #[serde(borrow)]
    metadata: Option<Vec<(&'a str, &'a str)>>,
    role_arn: Option<&'a str>,
    last_rotated_at: Option<i64>,
    configured_at: i64,
    counts_from: i64,
    /// Start and end.
    window: Option<(i64, i64)>,
    next_date: Option<i64>,
    days: Option<i64>,
    #[serde(borrow)]
    job: Option<StoredJob<'a>>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct StoredRules<'a> {
    automatically_after_days: Option<i64>,
    duration: Option<&'a str>,
    schedule_expression: Option<&'a str>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct StoredJob<'a> {
    token: &'a str,
    is_test: bool,
    rotation_token: &'a str,
    attempts: u32,
    due_at: Option<i64>,
    until: Option<i64>,
    failure: Option<(i64, &'a str)>,
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.timestamp_millis())
}

impl<'a> StoredRotation<'a> {
    pub(super) fn new(rotation: &'a Rotation) -> Self {
        let Rotation {
            is_enabled,
            function_arn,
            rules,
            external: External { metadata, role_arn },
            last_rotated_at,
            configured_at,
            counts_from,
            window,
            next_date,
            days,
            job,
        } = rotation;
        Self {
            is_enabled: *is_enabled,
            function_arn: function_arn.as_deref(),
            rules: rules.as_ref().map(|rules| StoredRules {
                automatically_after_days: rules.automatically_after_days,
                duration: rules.duration.as_deref(),
                schedule_expression: rules.schedule_expression.as_deref(),
            }),
            metadata: metadata
                .as_ref()
                .map(|items| items.iter().map(|item| (item.key.as_str(), item.value.as_str())).collect()),
            role_arn: role_arn.as_deref(),
            last_rotated_at: millis(*last_rotated_at),
            configured_at: configured_at.timestamp_millis(),
            counts_from: counts_from.timestamp_millis(),
            window: window.map(|window| (window.start.timestamp_millis(), window.end.timestamp_millis())),
            next_date: millis(*next_date),
            days: *days,
            job: job.as_ref().map(|job| StoredJob {
                token: job.token.as_str(),
                is_test: job.kind == JobKind::Test,
                rotation_token: &job.rotation_token,
                attempts: job.attempts,
                due_at: millis(job.due_at),
                until: millis(job.until),
                failure: job.failure.as_ref().map(|(at, reason)| (at.timestamp_millis(), reason.as_str())),
            }),
        }
    }

    /// Without the job, which does not leave its store.
    pub(super) fn without_job(self) -> Self {
        Self { job: None, ..self }
    }

    /// As it is read from an export: without a job. `None` if one of its instants is outside the calendar.
    pub(super) fn read_exported(self) -> Option<Rotation> {
        let stored = self.without_job();
        let rotation = stored.read();
        // An instant outside the calendar is read as the nearest one in it.
        let is_same = StoredRotation::new(&rotation) == stored;
        is_same.then_some(rotation)
    }

    pub(super) fn read(&self) -> Rotation {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let instant = |millis: Option<i64>| millis.map(from_millis);
        Rotation {
            is_enabled: self.is_enabled,
            function_arn: text(self.function_arn),
            rules: self.rules.as_ref().map(|rules| {
                let StoredRules { automatically_after_days, duration, schedule_expression } = *rules;
                let (duration, schedule_expression) = (text(duration), text(schedule_expression));
                RotationRules { automatically_after_days, duration, schedule_expression }
            }),
            external: External {
                metadata: self.metadata.as_ref().map(|items| {
                    let item = |(key, value): &(&str, &str)| ExternalSecretRotationMetadataItem::new(*key, *value);
                    items.iter().map(item).collect()
                }),
                role_arn: text(self.role_arn),
            },
            last_rotated_at: instant(self.last_rotated_at),
            configured_at: from_millis(self.configured_at),
            counts_from: from_millis(self.counts_from),
            window: self.window.map(|(start, end)| RotationWindow { start: from_millis(start), end: from_millis(end) }),
            next_date: instant(self.next_date),
            days: self.days,
            job: self.job.as_ref().map(|job| Job {
                token: VersionId::new(job.token),
                kind: if job.is_test { JobKind::Test } else { JobKind::Rotation },
                rotation_token: job.rotation_token.to_owned(),
                attempts: job.attempts,
                due_at: instant(job.due_at),
                until: instant(job.until),
                failure: job.failure.map(|(at, reason)| (from_millis(at), reason.to_owned())),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::codec::{decode, encode};

    /// With everything set, and so many entries of metadata.
    fn rotation(entries: usize) -> Rotation {
        let at = |millis: i64| from_millis(millis);
        let item = |_| ExternalSecretRotationMetadataItem::new("", "");
        let rules = RotationRules::new().schedule_expression("rate(4 hours)").duration("1h");
        Rotation {
            is_enabled: true,
            function_arn: Some("arn".to_owned()),
            rules: Some(rules),
            external: External { metadata: Some((0..entries).map(item).collect()), role_arn: Some("role".to_owned()) },
            last_rotated_at: Some(at(-1)),
            configured_at: at(0),
            counts_from: at(251),
            window: Some(RotationWindow { start: at(1 << 16), end: at(1 << 32) }),
            next_date: Some(at((1 << 32) - 1_000)),
            days: Some(1),
            job: Some(Job {
                token: VersionId::new("v"),
                kind: JobKind::Test,
                rotation_token: "t".to_owned(),
                attempts: u32::MAX,
                due_at: Some(at(i64::MIN)),
                until: Some(at(i64::MAX)),
                failure: Some((at(5), "why".to_owned())),
            }),
        }
    }

    fn nothing() -> Rotation {
        Rotation {
            is_enabled: false,
            function_arn: None,
            rules: None,
            external: External::default(),
            last_rotated_at: None,
            window: None,
            next_date: None,
            days: None,
            job: None,
            ..rotation(0)
        }
    }

    #[test]
    fn whatever_can_be_encoded_can_be_decoded() {
        for rotation in [nothing(), rotation(0), rotation(1), rotation(28_000), rotation(57_000)] {
            let bytes = encode(&StoredRotation::new(&rotation)).unwrap();
            assert_eq!(decode::<StoredRotation<'_>>(&bytes).unwrap().read(), rotation);
        }
    }

    #[test]
    fn an_export_has_everything_but_the_job() {
        for rotation in [nothing(), rotation(2)] {
            let expected = Rotation { job: None, ..rotation.clone() };
            let bytes = encode(&StoredRotation::new(&rotation).without_job()).unwrap();
            assert_eq!(bytes.last(), Some(&0));
            assert_eq!(decode::<StoredRotation<'_>>(&bytes).unwrap().read_exported(), Some(expected.clone()));
            assert_eq!(StoredRotation::new(&rotation).read_exported(), Some(expected), "a job in spite of that");
        }
    }

    #[test]
    fn an_instant_outside_the_calendar_is_the_nearest_one_of_a_record_and_none_of_an_export() {
        let (rotation, outside) = (rotation(0), [i64::MIN, i64::MAX]);
        let stored = || StoredRotation::new(&rotation).without_job();
        for millis in outside {
            let rows = [
                StoredRotation { configured_at: millis, ..stored() },
                StoredRotation { counts_from: millis, ..stored() },
                StoredRotation { last_rotated_at: Some(millis), ..stored() },
                StoredRotation { next_date: Some(millis), ..stored() },
                StoredRotation { window: Some((millis, 0)), ..stored() },
                StoredRotation { window: Some((0, millis)), ..stored() },
            ];
            for (index, row) in rows.into_iter().enumerate() {
                let read = row.read();
                assert_eq!(StoredRotation::new(&read).read(), read, "{index}");
                assert_eq!(row.read_exported(), None, "{index}: {millis}");
            }
        }
        assert!(stored().read_exported().is_some());
    }
}
