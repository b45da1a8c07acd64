//! The rotation of a secret in a line of JSON.

use serde::{Deserialize, Serialize};

use crate::json::Exact;
use crate::json::lines::{Bounded, Date};
use crate::model::rotation::{External, ExternalSecretRotationMetadataItem, Rotation, RotationRules};
use crate::rotation::RotationWindow;

/// Entries of the metadata that are read: a bound against absurd input.
const METADATA_READ_MAX: usize = crate::model::shape::LISTED_MAX;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WrittenRotation<'a> {
    rotation_enabled: bool,
    #[serde(rename = "RotationLambdaARN", skip_serializing_if = "Option::is_none")]
    rotation_lambda_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_rules: Option<&'a RotationRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_secret_rotation_metadata: Option<&'a [ExternalSecretRotationMetadataItem]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_secret_rotation_role_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotated_date: Option<Date>,
    configured_date: Date,
    counts_from_date: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_start_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_end_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_between_rotations: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ReadRotation {
    rotation_enabled: bool,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<Exact<ReadRules>>,
    external_secret_rotation_metadata: Option<Bounded<ReadItem, METADATA_READ_MAX>>,
    external_secret_rotation_role_arn: Option<String>,
    last_rotated_date: Option<Date>,
    configured_date: Date,
    counts_from_date: Date,
    window_start_date: Option<Date>,
    window_end_date: Option<Date>,
    next_rotation_date: Option<Date>,
    days_between_rotations: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReadRules {
    automatically_after_days: Option<i64>,
    duration: Option<String>,
    schedule_expression: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ReadItem {
    key: String,
    value: String,
}

impl<'a> WrittenRotation<'a> {
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
            // It does not leave its store.
            job: _,
        } = rotation;
        Self {
            rotation_enabled: *is_enabled,
            rotation_lambda_arn: function_arn.as_deref(),
            rotation_rules: rules.as_ref(),
            external_secret_rotation_metadata: metadata.as_deref(),
            external_secret_rotation_role_arn: role_arn.as_deref(),
            last_rotated_date: last_rotated_at.map(Date),
            configured_date: Date(*configured_at),
            counts_from_date: Date(*counts_from),
            window_start_date: window.map(|window| Date(window.start)),
            window_end_date: window.map(|window| Date(window.end)),
            next_rotation_date: next_date.map(Date),
            days_between_rotations: *days,
        }
    }
}

impl ReadRotation {
    /// `None` if a window has only one end.
    pub(super) fn rotation(self) -> Option<Rotation> {
        let date = |date: Option<Date>| date.map(|Date(at)| at);
        let window = match (self.window_start_date, self.window_end_date) {
            (Some(Date(start)), Some(Date(end))) => Some(RotationWindow { start, end }),
            (None, None) => None,
            _ => return None,
        };
        Some(Rotation {
            is_enabled: self.rotation_enabled,
            function_arn: self.rotation_lambda_arn,
            rules: self.rotation_rules.map(|Exact(rules)| RotationRules {
                automatically_after_days: rules.automatically_after_days,
                duration: rules.duration,
                schedule_expression: rules.schedule_expression,
            }),
            external: External {
                metadata: self.external_secret_rotation_metadata.map(|Bounded(items)| {
                    items
                        .into_iter()
                        .map(|item| ExternalSecretRotationMetadataItem::new(item.key, item.value))
                        .collect()
                }),
                role_arn: self.external_secret_rotation_role_arn,
            },
            last_rotated_at: date(self.last_rotated_date),
            configured_at: self.configured_date.0,
            counts_from: self.counts_from_date.0,
            window,
            next_date: date(self.next_rotation_date),
            days: self.days_between_rotations,
            job: None,
        })
    }
}
