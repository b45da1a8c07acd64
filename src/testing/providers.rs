//! A key provider that fails or stops on purpose, and one that remembers what it was asked.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::entropy::{Dice, Entropy};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, ProviderTraits,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::model::version::DEFAULT_KEY_ALIAS;
use crate::testing::SeededEntropy;

/// A provider over another one that fails when it is told to, or by a seeded chance. Clones share the faults.
#[derive(Debug, Clone)]
pub struct FaultyProvider {
    inner: Arc<dyn KeyProvider>,
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
    chance: SeededEntropy,
}

#[derive(Debug, Default)]
struct State {
    always: Option<KeyError>,
    /// Of a hundred calls, how many fail.
    per_cent: usize,
    calls: u64,
    spoiled: Option<ReplyFault>,
    /// Of a hundred wrapped keys, how many are spoiled.
    spoiled_per_cent: usize,
}

/// What can be wrong with a wrapped key that a provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyFault {
    /// It has no bytes.
    Empty,
    /// It has one byte more than any provider may make.
    Oversized,
    /// Some bytes are missing at its end, as many as the seed says.
    Truncated,
    /// There is one byte too many at its end.
    Lengthened,
    /// One bit is another, the one that the seed says.
    BitFlipped,
}

impl ReplyFault {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Empty, Self::Oversized, Self::Truncated, Self::Lengthened, Self::BitFlipped];
}

/// What holds calls up until it is opened.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    /// Calls about something with this text in it wait.
    holds: Option<String>,
    /// How often calls were let go, so that those who were meant go on although others are held up again at once.
    releases: u64,
    held: usize,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass<'a>(&self, about: impl Iterator<Item = &'a str>) {
        let mut state = self.state();
        let mut about = about;
        let is_meant = |holds: &String| about.any(|text| text.contains(holds.as_str()));
        if !state.holds.as_ref().is_some_and(is_meant) {
            return;
        }
        state.held += 1;
        self.changed.notify_all();
        let begun = state.releases;
        let opened = self.changed.wait_while(state, |state| state.releases == begun);
        opened.unwrap_or_else(PoisonError::into_inner).held -= 1;
    }
}

impl FaultyProvider {
    /// A provider that works until it is told otherwise.
    #[must_use]
    pub fn new(inner: impl KeyProvider + 'static, seed: u64) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default(), gate: Arc::default(), chance: SeededEntropy::new(seed) }
    }

    /// From now on every call fails like this, or works again.
    pub fn fail_with(&self, error: Option<KeyError>) {
        self.state().always = error;
    }

    /// From now on, so many calls of a hundred fail with one outage or another.
    pub fn fail_per_cent(&self, per_cent: usize) {
        self.state().per_cent = per_cent;
    }

    /// From now on every wrapped key has this fault, or none.
    pub fn spoil_with(&self, fault: Option<ReplyFault>) {
        self.state().spoiled = fault;
    }

    /// From now on, so many wrapped keys of a hundred have one fault or another.
    pub fn spoil_per_cent(&self, per_cent: usize) {
        self.state().spoiled_per_cent = per_cent;
    }

    /// From now on a call stops, before it does anything, if this text is in the name of the key that is looked for, the ARN
    /// of the key that is used or a value of the encryption context. The empty text stops every call.
    pub fn hold(&self, text: impl Into<String>) {
        self.gate.state().holds = Some(text.into());
    }

    /// Waits until so many calls have been stopped, and says whether that came about in the given time.
    #[must_use]
    pub fn wait_for_held(&self, calls: usize, patience: Duration) -> bool {
        let waited = self.gate.changed.wait_timeout_while(self.gate.state(), patience, |state| state.held < calls);
        waited.unwrap_or_else(PoisonError::into_inner).0.held >= calls
    }

    /// Lets the calls that were stopped go on, and stops no more.
    pub fn release(&self) {
        {
            let mut state = self.gate.state();
            state.holds = None;
            state.releases += 1;
        }
        self.gate.changed.notify_all();
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Result<(), KeyError> {
        let mut state = self.state();
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

    fn spoil(&self, wrapped: WrappedKey) -> Result<WrappedKey, KeyError> {
        let state = self.state();
        let mut dice = Dice::new(&self.chance as &dyn Entropy);
        let fault = match state.spoiled {
            Some(fault) => fault,
            None if state.spoiled_per_cent == 0 || dice.below(100)? >= state.spoiled_per_cent => return Ok(wrapped),
            None => *ReplyFault::ALL.get(dice.below(ReplyFault::ALL.len())?).ok_or(KeyError::Internal)?,
        };
        let mut blob = wrapped.blob.to_vec();
        match fault {
            ReplyFault::Empty => blob.clear(),
            ReplyFault::Oversized => blob.resize(WRAPPED_KEY_BYTES_MAX + 1, 0),
            ReplyFault::Truncated => blob.truncate(dice.below(blob.len())?.max(1)),
            ReplyFault::Lengthened => blob.push(0),
            ReplyFault::BitFlipped => {
                let (index, bit) = (dice.below(blob.len())?, dice.below(8)?);
                blob.iter_mut().skip(index).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
        }
        Ok(WrappedKey::new(wrapped.provider, wrapped.key_arn, wrapped.key_version, blob))
    }
}

fn values<'a>(context: &EncryptionContext<'a>) -> impl Iterator<Item = &'a str> {
    context.pairs().iter().map(|(_, value)| *value)
}

fn name_of<'a>(key: &KeyRef<'a>) -> &'a str {
    match key {
        KeyRef::Default => DEFAULT_KEY_ALIAS,
        KeyRef::Id(name) | KeyRef::Arn(name) | KeyRef::Alias(name) | KeyRef::AliasArn(name) => name,
    }
}

impl KeyProvider for FaultyProvider {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.gate.pass([name_of(&key)].into_iter());
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
        self.gate.pass(values(context).chain([&*key.arn]));
        self.admit()?;
        self.spoil(self.inner.wrap(key, data_key, context, call)?)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.gate.pass(values(context).chain([&*wrapped.key_arn]));
        self.admit()?;
        self.inner.unwrap(wrapped, context, call)
    }

    fn traits(&self) -> ProviderTraits {
        self.inner.traits()
    }
}

/// What a provider was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderOperation {
    /// [`KeyProvider::resolve`].
    Resolve,
    /// [`KeyProvider::wrap`].
    Wrap,
    /// [`KeyProvider::unwrap`].
    Unwrap,
    /// [`KeyProvider::generate`].
    Generate,
}

/// A call of a provider, without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedCall {
    /// What was asked.
    pub operation: ProviderOperation,
    /// The name that was looked for, or else the ARN of the key. The default key is `alias/aws/secretsmanager`.
    pub key: String,
    /// The encryption context, in the order in which it was given. Empty for `Resolve`.
    pub context: Vec<(String, String)>,
    /// The provider's id: for `Unwrap` the one that the wrapped key names, for `Wrap` and `Generate` the one that the
    /// answer names, and the provider's own where there is no such.
    pub provider: String,
    /// What the provider answered. `None`: nothing yet, or it panicked.
    pub outcome: Option<Result<(), KeyError>>,
}

/// A provider over another one that remembers every call, in the order in which they began. Clones share the record.
///
/// ```
/// use strongroom::testing::{ProviderOperation, RecordingProvider};
/// use strongroom::{CreateSecretRequest, SecretStore, StaticKey};
///
/// let keys = RecordingProvider::new(StaticKey::new([7; 32]));
/// let store = SecretStore::in_memory().key_provider(keys.clone()).open()?;
/// store.default_secrets_manager().create_secret(CreateSecretRequest::new("s").secret_string("v"))?;
///
/// let last = keys.calls().pop().unwrap();
/// assert_eq!((last.operation, last.outcome), (ProviderOperation::Generate, Some(Ok(()))));
/// assert_eq!(keys.check_contexts(), Ok(3)); // the store's root key, wrapped and unwrapped again, and a version
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct RecordingProvider {
    inner: Arc<dyn KeyProvider>,
    calls: Arc<Mutex<Record>>,
}

/// Calls since the record was begun, and how often that was.
#[derive(Default)]
struct Record {
    begun: u64,
    calls: Vec<RecordedCall>,
}

impl RecordingProvider {
    /// A provider whose record is empty.
    #[must_use]
    pub fn new(inner: impl KeyProvider + 'static) -> Self {
        Self { inner: Arc::new(inner), calls: Arc::default() }
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.record().calls.clone()
    }

    /// Takes the calls so far out of the record.
    #[must_use]
    pub fn take_calls(&self) -> Vec<RecordedCall> {
        let mut record = self.record();
        record.begun += 1;
        std::mem::take(&mut record.calls)
    }

    /// How many calls of this kind there were so far.
    #[must_use]
    pub fn count(&self, operation: ProviderOperation) -> usize {
        self.record().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Checks that every `Wrap`, `Unwrap` and `Generate` had exactly one of the contexts that a store uses, and gives their
    /// number: `SecretARN` (a secret's ARN) and `SecretVersionId` for a version, `strongroom:store` for the root key,
    /// `strongroom:export` for an export. No value may be empty.
    ///
    /// # Errors
    ///
    /// The first call with another context.
    pub fn check_contexts(&self) -> Result<usize, Box<RecordedCall>> {
        let record = self.record();
        let is_about_a_context = |call: &&RecordedCall| call.operation != ProviderOperation::Resolve;
        let mut checked = 0;
        for call in record.calls.iter().filter(is_about_a_context) {
            if !is_of_a_store(&call.context) {
                return Err(Box::new(call.clone()));
            }
            checked += 1;
        }
        Ok(checked)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call, and what became of it. `provider_of` tells whose answer it was.
    fn recorded<T>(
        &self,
        operation: ProviderOperation,
        key: &str,
        pairs: &[(&str, &str)],
        provider: &str,
        act: impl FnOnce() -> Result<T, KeyError>,
        provider_of: impl FnOnce(&T) -> Option<Arc<str>>,
    ) -> Result<T, KeyError> {
        let context = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let call =
            RecordedCall { operation, key: key.to_owned(), context, provider: provider.to_owned(), outcome: None };
        let (begun, index) = {
            let mut record = self.record();
            record.calls.push(call);
            (record.begun, record.calls.len() - 1)
        };
        let answer = act();
        let answered_by = answer.as_ref().ok().and_then(provider_of);
        let mut record = self.record();
        let is_there = record.begun == begun;
        if let Some(call) = record.calls.get_mut(index).filter(|_| is_there) {
            call.outcome = Some(answer.as_ref().map(drop).map_err(KeyError::clone));
            if let Some(provider) = answered_by {
                call.provider = provider.to_string();
            }
        }
        answer
    }
}

fn is_of_a_store(context: &[(String, String)]) -> bool {
    let mut pairs: Vec<_> = context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    pairs.sort_unstable();
    match *pairs {
        [("SecretARN", arn), ("SecretVersionId", version)] => arn.starts_with("arn:") && !version.is_empty(),
        [("strongroom:store" | "strongroom:export", id)] => !id.is_empty(),
        _ => false,
    }
}

impl KeyProvider for RecordingProvider {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let act = || self.inner.resolve(scope, key, call);
        self.recorded(ProviderOperation::Resolve, name_of(&key), &[], self.id(), act, |_| None)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let act = || self.inner.wrap(key, data_key, context, call);
        let provider_of = |wrapped: &WrappedKey| Some(Arc::clone(&wrapped.provider));
        self.recorded(ProviderOperation::Wrap, &key.arn, context.pairs(), self.id(), act, provider_of)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let act = || self.inner.unwrap(wrapped, context, call);
        self.recorded(ProviderOperation::Unwrap, &wrapped.key_arn, context.pairs(), &wrapped.provider, act, |_| None)
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        let act = || self.inner.generate(key, context, call);
        let provider_of = |(_, wrapped): &(DataKey, WrappedKey)| Some(Arc::clone(&wrapped.provider));
        self.recorded(ProviderOperation::Generate, &key.arn, context.pairs(), self.id(), act, provider_of)
    }

    fn traits(&self) -> ProviderTraits {
        self.inner.traits()
    }
}

impl fmt::Debug for RecordingProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.record().calls.len();
        f.debug_struct("RecordingProvider").field("inner", &self.inner).field("calls", &calls).finish()
    }
}
