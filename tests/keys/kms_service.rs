//! A key service with permissions: a keyring that refuses what it is told to refuse, and notes what it is asked.

use std::sync::{Arc, Mutex, MutexGuard};

use strongroom::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyOperation, KeyProvider, KeyRef, KeyScope, KeyState,
    LocalKeyring, WrappedKey,
};

/// Clones share the keys and the permissions.
#[derive(Debug, Clone)]
pub(crate) struct Kms {
    pub(crate) keyring: LocalKeyring,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    refusals: Vec<(KeyOperation, String, KeyError)>,
    states: Vec<(String, KeyState)>,
    /// Further names of keys: what a caller may write, and the ARN that it stands for.
    names: Vec<(String, String)>,
    asked: Vec<String>,
    calls: usize,
}

impl Kms {
    pub(crate) fn new() -> Self {
        Self { keyring: LocalKeyring::in_memory(), inner: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// From now on this is what the operation with the key fails with.
    pub(crate) fn refuse(&self, operation: KeyOperation, key: &str, error: KeyError) {
        self.inner().refusals.push((operation, key.to_owned(), error));
    }

    /// From now on the caller may do nothing with the key.
    pub(crate) fn refuse_all(&self, key: &str, error: &KeyError) {
        for operation in [KeyOperation::Resolve, KeyOperation::Wrap, KeyOperation::Unwrap] {
            self.refuse(operation, key, error.clone());
        }
    }

    /// The key is found in this state, in which it can do nothing.
    pub(crate) fn put_into(&self, key: &str, state: KeyState) {
        let error = state.require_enabled().unwrap_err();
        self.refuse(KeyOperation::Wrap, key, error.clone());
        self.refuse(KeyOperation::Unwrap, key, error);
        self.inner().states.push((key.to_owned(), state));
    }

    /// Everything is permitted again.
    pub(crate) fn permit(&self) {
        let mut inner = self.inner();
        inner.refusals.clear();
        inner.states.clear();
    }

    /// Gives a key another name, in whatever form.
    pub(crate) fn name(&self, name: &str, key: &str) {
        self.inner().names.push((name.to_owned(), key.to_owned()));
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.inner().calls
    }

    /// What [`KeyProvider::resolve`] was asked for since the last time, as it was given.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.inner().asked)
    }

    fn admit(&self, operation: KeyOperation, key: &str) -> Result<(), KeyError> {
        let mut inner = self.inner();
        inner.calls += 1;
        let refusal = inner.refusals.iter().find(|(refused, of, _)| *refused == operation && of == key);
        refusal.map_or(Ok(()), |(_, _, error)| Err(error.clone()))
    }
}

impl KeyProvider for Kms {
    fn id(&self) -> &str {
        self.keyring.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let text = match key {
            KeyRef::Id(text) | KeyRef::Arn(text) | KeyRef::Alias(text) | KeyRef::AliasArn(text) => text,
            _ => "",
        };
        self.inner().asked.push(format!("{key:?}"));
        let named = self.inner().names.iter().find(|(name, _)| name == text).map(|(_, key)| key.clone());
        let found = self.keyring.resolve(scope, named.as_deref().map_or(key, KeyRef::Arn), call);
        let arn = found.as_ref().map_or(text, |found| &found.arn);
        self.admit(KeyOperation::Resolve, arn)?;
        let state = self.inner().states.iter().find(|(of, _)| *of == *arn).map(|(_, state)| *state);
        found.map(|found| state.map_or(found.clone(), |state| found.with_state(state)))
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.admit(KeyOperation::Wrap, &key.arn)?;
        self.keyring.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.admit(KeyOperation::Unwrap, &wrapped.key_arn)?;
        self.keyring.unwrap(wrapped, context, call)
    }
}
