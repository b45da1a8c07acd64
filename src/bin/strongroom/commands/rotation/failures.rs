//! What went wrong in rotations while a command worked.

use std::sync::{Arc, Mutex, PoisonError};

use strongroom::{AuditRecord, Observer, ParameterValue};

/// Remembers why rotations, and trials of functions, have failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<Vec<String>>>);

/// Reasons that are kept: enough to see what is wrong.
const KEPT_MAX: usize = 16;

impl Failures {
    /// Why, in the order in which it happened; only the first ones.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Failures {
    fn observe(&self, record: &AuditRecord) {
        if !matches!(record.event_name, "RotationFailed" | "TestRotationFailed") {
            return;
        }
        let member = |name: &str| record.additional_event_data.iter().find(|(known, _)| known == name);
        let text = |name: &str| member(name).and_then(|(_, value)| ParameterValue::as_text(value)).unwrap_or_default();
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.len() < KEPT_MAX {
            reasons.push(format!("{}: {}", text("SecretId"), text("reason")));
        }
    }
}
