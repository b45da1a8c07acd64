//! A key provider that fails on purpose.

use std::sync::{Arc, Mutex, PoisonError};

use crate::entropy::{Dice, Entropy};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, ProviderTraits, WrappedKey,
};
use crate::testing::SeededEntropy;

/// A provider over another one that fails when it is told to, or by a seeded chance. Clones share the faults.
#[derive(Debug, Clone)]
pub struct FaultyProvider {
    inner: Arc<dyn KeyProvider>,
    state: Arc<Mutex<State>>,
    chance: SeededEntropy,
}

#[derive(Debug, Default)]
struct State {
    always: Option<KeyError>,
    /// Of a hundred calls, how many fail.
    per_cent: usize,
    calls: u64,
}

impl FaultyProvider {
    /// A provider that works until it is told otherwise.
    #[must_use]
    pub fn new(inner: impl KeyProvider + 'static, seed: u64) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default(), chance: SeededEntropy::new(seed) }
    }

    /// From now on every call fails like this, or works again.
    pub fn fail_with(&self, error: Option<KeyError>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).always = error;
    }

    /// From now on, so many calls of a hundred fail with one outage or another.
    pub fn fail_per_cent(&self, per_cent: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).per_cent = per_cent;
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls
    }

    fn admit(&self) -> Result<(), KeyError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls += 1;
        if let Some(error) = &state.always {
            return Err(error.clone());
        }
        let mut dice = Dice::new(&self.chance as &dyn Entropy);
        if dice.below(100).map_err(|_| KeyError::Internal)? >= state.per_cent {
            return Ok(());
        }
        let outages = [KeyError::Throttled, KeyError::Unavailable, KeyError::Timeout, KeyError::Internal];
        let index = dice.below(outages.len()).map_err(|_| KeyError::Internal)?;
        Err(outages.into_iter().nth(index).unwrap_or(KeyError::Internal))
    }
}

impl KeyProvider for FaultyProvider {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.admit()?;
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.admit()?;
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.admit()?;
        self.inner.unwrap(wrapped, context, call)
    }

    fn traits(&self) -> ProviderTraits {
        self.inner.traits()
    }
}
