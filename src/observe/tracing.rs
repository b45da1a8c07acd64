//! Feature `tracing`: records as events, for hosts that have a log already.

use tracing::{error, info, warn};

use crate::observe::Observer;
use crate::observe::record::AuditRecord;

/// An [`Observer`] that emits one event of `tracing` for each record, with the target `strongroom::audit`.
///
/// | what ended | level |
/// |---|---|
/// | an operation that succeeded, an event of a rotation | `INFO` |
/// | an operation that was refused, a rotation that failed | `WARN` |
/// | an operation that the store failed, a rotation that was given up | `ERROR` |
///
/// The fields are `event_name`, `event_id`, `account`, `region`, `read_only`, `secret_id` (as far as it is known),
/// `request_id`, `error_code`, `error_message`, and of a rotation `reason`; what does not apply is left out. Descriptions,
/// tags and whatever else a request has are not among them.
///
/// ```
/// use strongroom::{SecretStore, StaticKey, TracingObserver};
///
/// let store =
///     SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).observer(TracingObserver::default()).open()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TracingObserver;

macro_rules! emit {
    ($level:ident, $record:expr) => {{
        let record: &AuditRecord = $record;
        let reason = record.additional_event_data.iter().find(|(name, _)| name == "reason");
        $level!(
            target: "strongroom::audit",
            event_name = record.event_name,
            event_id = %record.event_id,
            account = record.recipient_account_id.as_str(),
            region = record.aws_region.as_str(),
            read_only = record.read_only,
            secret_id = record.secret_id(),
            request_id = record.request_id.as_deref(),
            error_code = record.error_code,
            error_message = record.error_message.as_deref(),
            reason = reason.and_then(|(_, reason)| reason.as_text()),
        );
    }};
}

impl Observer for TracingObserver {
    fn observe(&self, record: &AuditRecord) {
        match (record.error_code, record.event_name) {
            (Some("InternalServiceError"), _) | (None, "RotationAbandoned") => emit!(error, record),
            (Some(_), _) | (None, "RotationFailed" | "TestRotationFailed") => emit!(warn, record),
            (None, _) => emit!(info, record),
        }
    }
}
