//! Key providers that do what a test says.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use strongroom::testing::FaultyProvider;
use strongroom::{
    Call, DataKey, EncryptionContext, Entropy, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, KeyState, OsEntropy,
    ProviderTraits, StaticKey, WrappedKey,
};

use crate::fixture::home;

/// Longer than anything takes. Whoever waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Short, for what never comes.
pub(crate) const MOMENT: Duration = Duration::from_millis(25);

/// A key in hand with any id, any state and any failure, which counts what it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    id: String,
    key: Arc<StaticKey>,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug)]
struct Script {
    state: KeyState,
    fails: Option<KeyError>,
    panics: bool,
    remote: bool,
    calls: u64,
}

impl Scripted {
    pub(crate) fn new(id: &str, key: u8) -> Self {
        let script = Script { state: KeyState::Enabled, fails: None, panics: false, remote: false, calls: 0 };
        Self { id: id.to_owned(), key: Arc::new(StaticKey::new([key; 32])), script: Arc::new(Mutex::new(script)) }
    }

    pub(crate) fn failing(self, error: KeyError) -> Self {
        self.script().fails = Some(error);
        self
    }

    pub(crate) fn remote(self) -> Self {
        self.script().remote = true;
        self
    }

    pub(crate) fn fail_with(&self, error: Option<KeyError>) {
        self.script().fails = error;
    }

    pub(crate) fn set_state(&self, state: KeyState) {
        self.script().state = state;
    }

    pub(crate) fn panic_from_now_on(&self, panics: bool) {
        self.script().panics = panics;
    }

    pub(crate) fn calls(&self) -> u64 {
        self.script().calls
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn enter(&self) -> Result<KeyState, KeyError> {
        let (panics, fails, state) = {
            let mut script = self.script();
            script.calls += 1;
            (script.panics, script.fails.clone(), script.state)
        };
        if panics {
            // Without a word in the output of the tests.
            resume_unwind(Box::new("the provider panics"));
        }
        fails.map_or(Ok(state), Err)
    }
}

impl KeyProvider for Scripted {
    fn id(&self) -> &str {
        &self.id
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let state = self.enter()?;
        Ok(self.key.resolve(scope, key, call)?.with_state(state))
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.enter()?.require_enabled()?;
        let wrapped = self.key.wrap(key, data_key, context, call)?;
        Ok(WrappedKey::new(&*self.id, wrapped.key_arn, wrapped.key_version, wrapped.blob))
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let state = self.enter()?;
        if *wrapped.provider != *self.id {
            return Err(KeyError::NotFound);
        }
        state.require_enabled()?;
        let WrappedKey { key_arn, key_version, blob, .. } = wrapped.clone();
        self.key.unwrap(&WrappedKey::new(self.key.id(), key_arn, key_version, blob), context, call)
    }

    fn traits(&self) -> ProviderTraits {
        if self.script().remote { ProviderTraits::remote() } else { ProviderTraits::default() }
    }
}

/// The context of one version.
pub(crate) const PAIRS: [(&str, &str); 2] =
    [("SecretARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:a-AbCdEf"), ("SecretVersionId", "v")];

/// Finds a key by its name.
pub(crate) fn find(provider: &dyn KeyProvider, name: &str) -> Result<KeyHandle, KeyError> {
    provider.resolve(&home(), KeyRef::parse(name), &Call::new(&OsEntropy::default()))
}

/// A new data key, wrapped under a key that was found.
pub(crate) fn make(provider: &dyn KeyProvider, key: &KeyHandle) -> Result<(DataKey, WrappedKey), KeyError> {
    make_with(provider, key, &OsEntropy::default())
}

pub(crate) fn make_with(
    provider: &dyn KeyProvider,
    key: &KeyHandle,
    entropy: &dyn Entropy,
) -> Result<(DataKey, WrappedKey), KeyError> {
    provider.generate(key, &EncryptionContext::new(&PAIRS), &Call::new(entropy))
}

/// What was wrapped for [`PAIRS`].
pub(crate) fn open(provider: &dyn KeyProvider, wrapped: &WrappedKey) -> Result<DataKey, KeyError> {
    provider.unwrap(wrapped, &EncryptionContext::new(&PAIRS), &Call::new(&OsEntropy::default()))
}

/// Lets everybody go when a test ends, also if it fails, because its threads are waited for.
pub(crate) struct ReleasesAtTheEnd<'a>(pub(crate) &'a FaultyProvider);

impl Drop for ReleasesAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}
