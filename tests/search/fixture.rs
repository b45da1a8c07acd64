//! A store whose time is moved by hand, and the few calls that these tests make.

use std::fmt::Debug;

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, DeleteSecretRequest, Filter, GetSecretValueRequest,
    ListSecretsRequest, LocalKeyring, MemoryBackend, PutSecretValueRequest, Result, SecretStore, SecretsManager,
    StaticKey, Timestamp, UpdateSecretRequest,
};

/// 2023-11-14 22:13:20 UTC.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_000;

pub(crate) const NOT_FOUND: &str = "Secrets Manager can't find the specified secret.";
pub(crate) const MARKED: &str = "You can't perform this operation on the secret because it was marked for deletion.";
pub(crate) const INVALID_NAME: &str =
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
pub(crate) const INVALID_TOKEN: &str = "The NextToken value is invalid.";

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: SecretStore,
    pub(crate) secrets: SecretsManager,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(MemoryBackend::new(), 1)
    }

    /// A store on a backend that outlives it, with randomness of its own.
    pub(crate) fn on(backend: MemoryBackend, seed: u64) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let store = SecretStore::with_backend(backend)
            .key_provider(StaticKey::new([7; 32]))
            .clock(clock.clone())
            .entropy(SeededEntropy::new(seed))
            .open()
            .unwrap();
        let secrets = store.default_secrets_manager();
        Self { clock, store, secrets }
    }

    /// A store whose keys can be switched off.
    pub(crate) fn with_keyring(keyring: &LocalKeyring) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let store = SecretStore::in_memory()
            .key_provider(keyring.clone())
            .clock(clock.clone())
            .entropy(SeededEntropy::new(1))
            .open()
            .unwrap();
        let secrets = store.default_secrets_manager();
        Self { clock, store, secrets }
    }

    /// Lets a second go by.
    pub(crate) fn tick(&self) {
        self.clock.advance(TimeDelta::seconds(1));
    }

    pub(crate) fn days(&self, days: i64) {
        self.clock.advance(TimeDelta::days(days));
    }

    /// A second later than anything before it, creates a secret whose value is its own name.
    pub(crate) fn create(&self, name: &str) -> String {
        self.create_with(CreateSecretRequest::new(name).secret_string(name))
    }

    pub(crate) fn create_with(&self, request: CreateSecretRequest) -> String {
        self.tick();
        self.secrets.create_secret(request).unwrap().arn
    }

    pub(crate) fn describe(&self, name: &str, description: &str) {
        self.tick();
        self.secrets.update_secret(UpdateSecretRequest::new(name).description(description)).unwrap();
    }

    pub(crate) fn put(&self, name: &str, value: &str) -> String {
        self.tick();
        self.secrets.put_secret_value(PutSecretValueRequest::new(name, value)).unwrap().version_id
    }

    pub(crate) fn read(&self, name: &str) {
        self.secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
    }

    /// Schedules a secret for deletion in seven days.
    pub(crate) fn schedule_deletion(&self, name: &str) -> Timestamp {
        let request = DeleteSecretRequest::new(name).recovery_window_in_days(7);
        self.secrets.delete_secret(request).unwrap().deletion_date
    }

    pub(crate) fn remove(&self, name: &str) {
        self.secrets.delete_secret(DeleteSecretRequest::new(name).force_delete_without_recovery(true)).unwrap();
    }

    /// Every name of a listing, over all of its pages.
    pub(crate) fn names(&self, request: impl Fn() -> ListSecretsRequest) -> Vec<String> {
        walk(|token| {
            let page = self.secrets.list_secrets(paged(request(), token)).unwrap();
            (page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token)
        })
        .concat()
    }

    /// The names of the secrets that a batch reads by filters, over all of its pages.
    pub(crate) fn batch_names(&self, filters: impl Fn() -> Vec<Filter>) -> Vec<String> {
        walk(|token| {
            let mut request = BatchGetSecretValueRequest::new().filters(filters());
            request.next_token = token;
            let page = self.secrets.batch_get_secret_value(request).unwrap();
            (page.secret_values.into_iter().map(|value| value.name).collect(), page.next_token)
        })
        .concat()
    }
}

/// The same request for the page that a token leads to.
pub(crate) fn paged(mut request: ListSecretsRequest, token: Option<String>) -> ListSecretsRequest {
    request.next_token = token;
    request
}

/// Follows page tokens to the end. Gives up after as many pages as no test has.
pub(crate) fn walk<T>(mut page: impl FnMut(Option<String>) -> (Vec<T>, Option<String>)) -> Vec<Vec<T>> {
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let (entries, next) = page(token);
        pages.push(entries);
        match next {
            None => return pages,
            next => token = next,
        }
        assert!(pages.len() < 1_000, "the pages do not end");
    }
}

/// Filters as tests write them: `description=one|two & name=a` is two filters, the first with two values.
pub(crate) fn filters(text: &str) -> Vec<Filter> {
    let filter = |text: &str| {
        let (key, values) = text.split_once('=').unwrap();
        Filter::new(key, values.split('|'))
    };
    text.split(" & ").map(filter).collect()
}

/// What a refused call answers.
#[track_caller]
pub(crate) fn refused<T: Debug>(result: Result<T>, code: &str, message: &str) {
    match result {
        Ok(done) => panic!("not refused: {done:?}"),
        Err(error) => assert_eq!((error.code(), error.message()), (code, message)),
    }
}

/// A call that is refused for its shape, with a message that ends like this.
#[track_caller]
pub(crate) fn malformed<T: Debug>(result: Result<T>, ending: &str) {
    match result {
        Ok(done) => panic!("not refused: {done:?}"),
        Err(error) => {
            assert_eq!(error.code(), "ValidationException", "{error}");
            assert!(error.message().ends_with(ending), "`{}` does not end in `{ending}`", error.message());
        }
    }
}
