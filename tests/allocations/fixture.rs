//! Stores in memory, and the calls whose allocations are counted.

use allocation_counter::AllocationInfo;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest,
    ListSecretsRequest, PutSecretValueRequest, SecretStore, SecretsManager, StaticKey,
};

const START_MILLIS: i64 = 1_700_000_000_000;

/// Secrets that calls are about.
const TOUCHED: usize = 100;

/// A store of secrets with values of 1 KiB. The first of them were read today.
pub(crate) fn filled(secrets: usize) -> SecretsManager {
    let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32]));
    let builder = builder.clock(ManualClock::at_millis(START_MILLIS)).entropy(SeededEntropy::new(1));
    let manager = builder.open().unwrap().default_secrets_manager();
    (0..secrets).for_each(|number| create(&manager, number));
    (0..TOUCHED).for_each(|number| get(&manager, number));
    manager
}

pub(crate) fn name(number: usize) -> String {
    format!("allocations/application/secret-{number:06}")
}

/// 1 KiB of text.
fn value(number: usize) -> String {
    format!("{number:01024}")
}

pub(crate) fn create(manager: &SecretsManager, number: usize) {
    manager.create_secret(CreateSecretRequest::new(name(number)).secret_string(value(number))).unwrap();
}

pub(crate) fn get(manager: &SecretsManager, number: usize) {
    let read = manager.get_secret_value(GetSecretValueRequest::new(name(number))).unwrap();
    assert_eq!(read.secret_string.unwrap().expose().len(), 1024);
}

pub(crate) fn put(manager: &SecretsManager, number: usize) {
    manager.put_secret_value(PutSecretValueRequest::new(name(number), value(number + 1))).unwrap();
}

pub(crate) fn describe(manager: &SecretsManager, number: usize) {
    assert!(manager.describe_secret(DescribeSecretRequest::new(name(number))).unwrap().deleted_date.is_none());
}

pub(crate) fn delete(manager: &SecretsManager, number: usize) {
    let request = DeleteSecretRequest::new(name(number)).force_delete_without_recovery(true);
    manager.delete_secret(request).unwrap();
}

pub(crate) fn list(manager: &SecretsManager, _: usize) {
    let page = manager.list_secrets(ListSecretsRequest::new().max_results(100)).unwrap();
    assert_eq!(page.secret_list.len(), 100);
}

pub(crate) fn get_twenty(manager: &SecretsManager, number: usize) {
    let request = BatchGetSecretValueRequest::new().secret_id_list((number..number + 20).map(name));
    assert_eq!(manager.batch_get_secret_value(request).unwrap().secret_values.len(), 20);
}

/// What the call allocates.
pub(crate) fn measure(call: impl FnOnce()) -> AllocationInfo {
    allocation_counter::measure(call)
}
