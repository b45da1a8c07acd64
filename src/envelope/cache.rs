//! Data keys that were unwrapped a short while ago.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use ring::digest;

use crate::clock::{Clock, SystemClock};
use crate::envelope::ad::push_field;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, ProviderTraits, WrappedKey,
};
use crate::envelope::timeout::remaining;
use crate::time::{DAY, Timestamp};

const ENTRIES: usize = 1000;
const ENTRIES_MAX: usize = 100_000;
const AGE: TimeDelta = TimeDelta::seconds(300);
const AGE_MAX: TimeDelta = DAY;

/// A [`KeyProvider`] over another one that remembers data keys which it unwrapped a short while ago.
///
/// For providers that are slow or cost money by the call: the second read of a version asks nobody. Only
/// [`unwrap`](KeyProvider::unwrap) is remembered, and only its successes. Everything else is passed through.
///
/// **A key that is disabled, deleted or refused stays usable for what was read before, up to the age that entries may
/// reach.** Whoever switches a key off and cannot wait calls [`invalidate`](Self::invalidate). The keys that are remembered
/// are in the memory of the process; they are wiped when their entry goes.
///
/// An entry is used only for exactly the same request: provider, wrapped key, ARN and version of the key, encryption
/// context in any order. It goes, and is asked for again,
///
/// * when it has reached the age ([`max_age`](Self::max_age), 300 seconds unless told otherwise), counted from before the
///   other provider was asked. An entry that nobody asks for is wiped by the next `unwrap` of any key, or by
///   [`sweep`](Self::sweep);
/// * when there are more entries than allowed ([`entries`](Self::entries), 1,000 unless told otherwise): the oldest goes;
/// * when it was used as often as allowed ([`uses`](Self::uses), without a limit unless told otherwise);
/// * by [`invalidate`](Self::invalidate) and [`clear`](Self::clear);
/// * when the clock is seen to go backwards: then no age can be told, and all entries go. A clock that jumps forwards makes
///   entries old.
///
/// Callers that want the same key at the same time ask the other provider once: the first does, with its own
/// [`Call`], and the others wait for its answer. That answer is theirs too if it is an error, even one that comes from the
/// first caller's deadline; the next caller asks again. A caller with a deadline waits no longer than that
/// ([`KeyError::Timeout`]). If the other provider panics, those who waited get [`KeyError::Internal`]. No lock is held while
/// the other provider works.
///
/// Clones share their entries, so that one can be kept to invalidate them.
///
/// ```
/// use std::time::Duration;
/// use strongroom::{DataKeyCache, LocalKeyring, SecretStore};
///
/// let cache = DataKeyCache::new(LocalKeyring::in_memory()).max_age(Duration::from_secs(60)).entries(500);
/// let store = SecretStore::in_memory().key_provider(cache.clone()).open()?;
/// // Somebody disabled this key a moment ago.
/// cache.invalidate("arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab");
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct DataKeyCache {
    inner: Arc<dyn KeyProvider>,
    clock: Arc<dyn Clock>,
    entries: usize,
    max_age: TimeDelta,
    uses: Option<u64>,
    state: Arc<Mutex<State>>,
}

impl DataKeyCache {
    /// A cache over this provider, with the system's clock and the default bounds.
    #[must_use]
    pub fn new(inner: impl KeyProvider + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            clock: Arc::new(SystemClock),
            entries: ENTRIES,
            max_age: AGE,
            uses: None,
            state: Arc::default(),
        }
    }

    /// How many keys are remembered at most: up to 100,000, which is also taken for more. 0 remembers none.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries.min(ENTRIES_MAX);
        self
    }

    /// How old an entry may become, in whole milliseconds: up to a day, which is also taken for more. 0 remembers none.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = TimeDelta::from_std(max_age).map_or(AGE_MAX, |age| age.min(AGE_MAX));
        self
    }

    /// How often an entry is used before the other provider is asked again. The answer that made the entry, and callers that
    /// waited for it, do not count. 0 remembers none.
    #[must_use]
    pub fn uses(mut self, uses: u64) -> Self {
        self.uses = Some(uses);
        self
    }

    /// Tells the age of entries by this clock. Give the store's clock to a store for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Forgets everything that a key wrapped. `key_arn` is the ARN that versions show, compared letter for letter.
    ///
    /// An answer that is under way is given to those who wait for it, and is not remembered.
    pub fn invalidate(&self, key_arn: &str) {
        let mut state = self.state();
        state.forget_if(|arn| arn == key_arn);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.state().clear();
    }

    /// Wipes what is too old. For applications that read seldom and do not want keys to stay in memory until they do; the
    /// cost is that of what is wiped.
    pub fn sweep(&self) {
        self.observe(&mut self.state());
    }

    /// How many keys are remembered, after what is too old has gone.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut state = self.state();
        self.observe(&mut state);
        state.entries.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_off(&self) -> bool {
        self.entries == 0 || self.max_age < TimeDelta::milliseconds(1) || self.uses == Some(0)
    }

    /// Reads the clock, under the lock so that the time of no two threads is mixed up, and drops what is too old.
    fn observe(&self, state: &mut State) -> Timestamp {
        let now = self.clock.now();
        if state.latest.is_some_and(|latest| now < latest) {
            state.clear();
        }
        state.latest = Some(now);
        while let Some(((asked_at, _), _)) = state.by_age.first_key_value()
            && now.signed_duration_since(asked_at) >= self.max_age
        {
            state.pop_oldest();
        }
        now
    }

    /// What is to be done for a caller.
    fn enter(&self, digest: KeyDigest, key_arn: &Arc<str>) -> Role {
        let mut state = self.state();
        let now = self.observe(&mut state);
        if let Some(found) = state.take(&digest, self.uses) {
            return Role::Known(found);
        }
        if let Some(flight) = state.flights.get(&digest) {
            return Role::Follower(Arc::clone(flight));
        }
        let flight =
            Arc::new(Flight { key_arn: Arc::clone(key_arn), landed: Mutex::default(), changed: Condvar::new() });
        state.flights.insert(digest, Arc::clone(&flight));
        Role::Leader(flight, now)
    }
}

/// A request, in the length of a digest.
type KeyDigest = [u8; 32];

fn digest_of(wrapped: &WrappedKey, context: &EncryptionContext<'_>) -> Option<KeyDigest> {
    let WrappedKey { provider, key_arn, key_version, blob } = wrapped;
    let mut request = Vec::with_capacity(512 + blob.len());
    for field in [provider.as_bytes(), blob, key_arn.as_bytes(), key_version.as_bytes(), &context.canonical()] {
        push_field(&mut request, field);
    }
    digest::digest(&digest::SHA256, &request).as_ref().try_into().ok()
}

fn copy_of(data_key: &DataKey) -> Result<DataKey, KeyError> {
    DataKey::from_slice(data_key.expose()).ok_or(KeyError::Internal)
}

struct Entry {
    data_key: DataKey,
    key_arn: Arc<str>,
    place: (Timestamp, u64),
    used: u64,
}

#[derive(Default)]
struct State {
    entries: HashMap<KeyDigest, Entry>,
    /// By when the provider was asked, oldest first. The number makes each place unique.
    by_age: BTreeMap<(Timestamp, u64), KeyDigest>,
    number: u64,
    /// What is being asked for. Whoever is not in here is not remembered.
    flights: HashMap<KeyDigest, Arc<Flight>>,
    /// When the clock was read last.
    latest: Option<Timestamp>,
}

impl State {
    fn clear(&mut self) {
        self.entries.clear();
        self.by_age.clear();
        self.flights.clear();
    }

    fn forget_if(&mut self, is_meant: impl Fn(&str) -> bool) {
        let by_age = &mut self.by_age;
        self.entries.retain(|_, entry| {
            let stays = !is_meant(&entry.key_arn);
            if !stays {
                by_age.remove(&entry.place);
            }
            stays
        });
        self.flights.retain(|_, flight| !is_meant(&flight.key_arn));
    }

    fn pop_oldest(&mut self) {
        if let Some((_, digest)) = self.by_age.pop_first() {
            self.entries.remove(&digest);
        }
    }

    fn remove(&mut self, digest: &KeyDigest) {
        if let Some(entry) = self.entries.remove(digest) {
            self.by_age.remove(&entry.place);
        }
    }

    /// Uses an entry.
    fn take(&mut self, digest: &KeyDigest, uses: Option<u64>) -> Option<DataKey> {
        let entry = self.entries.get_mut(digest)?;
        entry.used += 1;
        let is_used_up = uses.is_some_and(|uses| entry.used >= uses);
        let data_key = copy_of(&entry.data_key).ok();
        if is_used_up {
            self.remove(digest);
        }
        data_key
    }

    fn insert(&mut self, digest: KeyDigest, key_arn: &Arc<str>, data_key: DataKey, asked_at: Timestamp, most: usize) {
        self.remove(&digest);
        self.number += 1;
        let place = (asked_at, self.number);
        self.by_age.insert(place, digest);
        self.entries.insert(digest, Entry { data_key, key_arn: Arc::clone(key_arn), place, used: 0 });
        while self.entries.len() > most {
            self.pop_oldest();
        }
    }
}

/// One call of the other provider, and whoever waits for its answer.
struct Flight {
    key_arn: Arc<str>,
    landed: Mutex<Option<Result<DataKey, KeyError>>>,
    changed: Condvar,
}

impl Flight {
    fn land(&self, answer: Result<DataKey, KeyError>) {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(answer);
        self.changed.notify_all();
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<DataKey, KeyError> {
        let landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_under_way = |landed: &mut Option<_>| landed.is_none();
        let landed = match remaining(deadline) {
            None => self.changed.wait_while(landed, is_under_way).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                self.changed.wait_timeout_while(landed, left, is_under_way).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        match &*landed {
            Some(Ok(data_key)) => copy_of(data_key),
            Some(Err(error)) => Err(error.clone()),
            None => Err(KeyError::Timeout),
        }
    }
}

enum Role {
    Known(DataKey),
    Follower(Arc<Flight>),
    Leader(Arc<Flight>, Timestamp),
}

/// Ends a flight, also if its leader panics.
struct Landing<'a> {
    cache: &'a DataKeyCache,
    digest: KeyDigest,
    flight: &'a Arc<Flight>,
}

impl Landing<'_> {
    /// Whether the flight still counted: nothing was forgotten since it began.
    fn leave(&self, state: &mut State) -> bool {
        let counts = state.flights.get(&self.digest).is_some_and(|flight| Arc::ptr_eq(flight, self.flight));
        if counts {
            state.flights.remove(&self.digest);
        }
        counts
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.leave(&mut self.cache.state());
        self.flight.land(Err(KeyError::Internal));
    }
}

impl KeyProvider for DataKeyCache {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        if self.is_off() || call.is_proof {
            return self.inner.unwrap(wrapped, context, call);
        }
        let digest = digest_of(wrapped, context).ok_or(KeyError::Internal)?;
        let (flight, asked_at) = match self.enter(digest, &wrapped.key_arn) {
            Role::Known(data_key) => return Ok(data_key),
            Role::Follower(flight) => return flight.wait(call.deadline),
            Role::Leader(flight, asked_at) => (flight, asked_at),
        };
        let landing = Landing { cache: self, digest, flight: &flight };
        let answer = self.inner.unwrap(wrapped, context, call);
        let shared = match &answer {
            Ok(data_key) => copy_of(data_key),
            Err(error) => Err(error.clone()),
        };
        if let Ok(data_key) = &answer {
            let kept = copy_of(data_key)?;
            let mut state = self.state();
            let now = self.observe(&mut state);
            if landing.leave(&mut state) && now.signed_duration_since(asked_at) < self.max_age {
                state.insert(digest, &wrapped.key_arn, kept, asked_at, self.entries);
            }
        }
        flight.land(shared);
        answer
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        self.inner.generate(key, context, call)
    }

    fn traits(&self) -> ProviderTraits {
        self.inner.traits()
    }
}

impl fmt::Debug for DataKeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, clock: _, entries, max_age, uses, state: _ } = self;
        f.debug_struct("DataKeyCache")
            .field("inner", inner)
            .field("entries", entries)
            .field("max_age", max_age)
            .field("uses", uses)
            .field("remembered", &self.state().entries.len())
            .finish()
    }
}
