//! A store in memory that is observed, and a list of what was seen.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{AuditRecord, Builder, Observer, SecretStore, SecretsManager, StaticKey, wire};

/// 2023-11-14T22:13:20.123Z.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_123;

/// Remembers every record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<AuditRecord>>>);

impl Seen {
    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Vec<AuditRecord> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The one record that was seen since the last time.
    #[track_caller]
    pub(crate) fn one(&self) -> AuditRecord {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Observer for Seen {
    fn observe(&self, record: &AuditRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

/// A builder of a store in memory whose records are the same in every run.
pub(crate) fn builder() -> Builder {
    SecretStore::in_memory()
        .key_provider(StaticKey::new([7; 32]))
        .clock(ManualClock::at_millis(START_MILLIS))
        .entropy(SeededEntropy::new(1))
}

pub(crate) fn observed_by(observer: impl Observer + 'static) -> (SecretStore, SecretsManager) {
    let store = builder().observer(observer).open().unwrap();
    let secrets = store.default_secrets_manager();
    (store, secrets)
}

/// Calls an operation with a body. Gives the status and the answer.
pub(crate) fn call(secrets: &SecretsManager, operation: &str, body: &str) -> (u16, Value) {
    let answer = wire::dispatch(secrets, &format!("secretsmanager.{operation}"), body.as_bytes());
    let text = answer.body.expose();
    (answer.status, if text.is_empty() { Value::Null } else { serde_json::from_slice(text).unwrap() })
}

/// Every operation of the API model.
pub(crate) fn operations() -> Vec<String> {
    let model: Value = serde_json::from_str(include_str!("../protocol/api_model.json")).unwrap();
    let operations = model["operations"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(operations.len(), 26, "the API model was not found");
    operations
}
