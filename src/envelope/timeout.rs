//! A key provider that is not waited for without end.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError};
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, ProviderTraits, WrappedKey,
};

const THREADS: usize = 8;
const THREADS_MAX: usize = 256;

/// Random bytes that are fetched from the caller at once.
const ENTROPY_BYTES: usize = 4096;

/// What a deadline is compared with. Durations that somebody waits are the one thing that the `Clock` seam, which may
/// stand still, cannot tell.
#[expect(clippy::disallowed_methods, reason = "a deadline is an `Instant`, and nothing that is stored depends on it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long there is until a deadline. `None`: for ever.
pub(super) fn remaining(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(now()))
}

/// A [`KeyProvider`] over another one that gives up after a time with [`KeyError::Timeout`].
///
/// A device or a service may hang in a call from which nothing returns. A call through this provider returns after
/// `timeout` at the latest, or at [`Call::deadline`] if that is earlier. The call of the other provider goes on, on a thread
/// of its own; what it answers too late is thrown away, and keys in it are wiped. The other provider is told the same
/// deadline, so that it can give up by itself.
///
/// There are at most eight such threads, or as many as [`threads`](Self::threads) says. They are started when they are
/// first needed, and end when this provider is dropped, or, if they hang, when their call returns. While all of them are
/// occupied a call waits for one, within its own time: the timeout counts from the beginning of the call. So a provider that
/// hangs for ever costs at most that many threads, and every call after them ends in time with [`KeyError::Timeout`], until
/// one of the hanging calls returns.
///
/// [`id`](KeyProvider::id) and [`traits`](KeyProvider::traits) are those of the other provider, which is asked for them on
/// the caller's own thread. Random bytes are taken from the caller's source, on the caller's thread, as many as are asked
/// for; once the caller has given up there are none ([`KeyError::Entropy`] for the other provider).
///
/// # Errors of every call, the first that applies
///
/// 1. [`KeyError::Timeout`]: the time is up. For a call that wraps, nobody knows whether it was done; nothing is kept of it.
/// 2. [`KeyError::Internal`]: the other provider panicked, which costs no thread, or no thread could be started.
/// 3. Whatever the other provider answers.
///
/// ```
/// use std::time::Duration;
/// use strongroom::{SecretStore, StaticKey, TimeoutProvider};
///
/// let keys = TimeoutProvider::new(StaticKey::new([7; 32]), Duration::from_secs(5)).threads(4);
/// let store = SecretStore::in_memory().key_provider(keys).open()?;
/// # drop(store);
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct TimeoutProvider {
    inner: Arc<dyn KeyProvider>,
    timeout: Duration,
    threads: usize,
    pool: Arc<Pool>,
}

impl TimeoutProvider {
    /// Gives up on this provider after `timeout`. A timeout of zero gives up on everything; one that is longer than the
    /// system can tell, such as [`Duration::MAX`], leaves only [`Call::deadline`].
    #[must_use]
    pub fn new(inner: impl KeyProvider + 'static, timeout: Duration) -> Self {
        Self { inner: Arc::new(inner), timeout, threads: THREADS, pool: Arc::default() }
    }

    /// How many calls may be under way at a time: 1 to 256, and the nearest of these for other numbers. The default is 8.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, THREADS_MAX);
        self
    }

    /// Has something done on another thread, and waits for it as long as there is time.
    fn run<T: Send + 'static>(
        &self,
        call: &Call<'_>,
        work: impl FnOnce(&dyn KeyProvider, &Call<'_>) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let ours = now().checked_add(self.timeout);
        let deadline = ours.into_iter().chain(call.deadline).min();
        if remaining(deadline) == Some(Duration::ZERO) {
            return Err(KeyError::Timeout);
        }
        let (ask, asked) = mpsc::channel();
        let (give, given) = mpsc::channel();
        let entropy =
            Relay { caller: Mutex::new(Caller { ask: ask.clone(), given }), is_for_tests: call.entropy.is_for_tests() };
        let (inner, is_proof) = (Arc::clone(&self.inner), call.is_proof);
        let job = Box::new(move || {
            let call = Call { deadline, entropy: &entropy, is_proof };
            // Nobody may be left to hear it; the answer, with its keys, is dropped then.
            let _ = ask.send(Event::Done(work(&*inner, &call)));
        });
        self.pool.start(job, self.threads, deadline)?;
        serve(call.entropy, &asked, &give, deadline)
    }
}

/// Answers what another thread asks until it is done.
fn serve<T>(
    entropy: &dyn Entropy,
    asked: &Receiver<Event<T>>,
    give: &Sender<Random>,
    deadline: Option<Instant>,
) -> Result<T, KeyError> {
    loop {
        let event = match remaining(deadline) {
            Some(left) => asked.recv_timeout(left),
            None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Done(answer)) => return answer,
            // A provider that never has enough must not hold its caller.
            Ok(Event::NeedsRandom(_)) if remaining(deadline) == Some(Duration::ZERO) => return Err(KeyError::Timeout),
            Ok(Event::NeedsRandom(length)) => {
                let mut bytes = Zeroizing::new(vec![0; length.min(ENTROPY_BYTES)]);
                let filled = entropy.fill(&mut bytes);
                let _ = give.send(filled.map(|()| bytes));
            }
            Err(RecvTimeoutError::Timeout) => return Err(KeyError::Timeout),
            // The provider panicked.
            Err(RecvTimeoutError::Disconnected) => return Err(KeyError::Internal),
        }
    }
}

type Random = Result<Zeroizing<Vec<u8>>, EntropyError>;

/// What a thread that works tells the caller.
enum Event<T> {
    /// At most [`ENTROPY_BYTES`].
    NeedsRandom(usize),
    Done(Result<T, KeyError>),
}

/// The caller's source of random bytes, as seen from another thread.
struct Relay<T> {
    caller: Mutex<Caller<T>>,
    is_for_tests: bool,
}

struct Caller<T> {
    ask: Sender<Event<T>>,
    given: Receiver<Random>,
}

impl<T: Send> Entropy for Relay<T> {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in dest.chunks_mut(ENTROPY_BYTES) {
            // Both fail once the caller has given up.
            caller.ask.send(Event::NeedsRandom(chunk.len())).map_err(|_| EntropyError::new())?;
            let bytes = caller.given.recv().map_err(|_| EntropyError::new())??;
            if bytes.len() != chunk.len() {
                return Err(EntropyError::new());
            }
            chunk.copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn is_for_tests(&self) -> bool {
        self.is_for_tests
    }
}

impl<T> fmt::Debug for Relay<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that work, and whoever waits for one.
#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    /// There is a job, or there will be none.
    work: Condvar,
    /// There is a thread for one more job.
    free: Condvar,
}

#[derive(Default)]
struct State {
    /// Never more than there are idle threads.
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a job to a thread, once one of at most `threads` has time.
    fn start(self: &Arc<Self>, job: Job, threads: usize, deadline: Option<Instant>) -> Result<(), KeyError> {
        let is_full = |state: &mut State| state.jobs.len() >= state.idle && state.threads >= threads;
        let state = self.state();
        let mut state = match remaining(deadline) {
            None => self.free.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.free.wait_timeout_while(state, left, is_full);
                let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if is_full(&mut state) {
                    return Err(KeyError::Timeout);
                }
                state
            }
        };
        if state.jobs.len() >= state.idle {
            let pool = Arc::clone(self);
            let started = thread::Builder::new().name("strongroom-keys".to_owned()).spawn(move || pool.work());
            started.map_err(|_| KeyError::Internal)?;
            state.threads += 1;
            // It is on its way to the job.
            state.idle += 1;
        }
        state.jobs.push_back(job);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// What a thread does. It counts as idle when it begins.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.idle -= 1;
                drop(state);
                // What the job held is dropped in any case, which is how its caller learns of a panic.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.state();
                state.idle += 1;
                self.free.notify_one();
            } else if state.closed {
                state.idle -= 1;
                state.threads -= 1;
                return;
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Drop for TimeoutProvider {
    fn drop(&mut self) {
        self.pool.state().closed = true;
        self.pool.work.notify_all();
    }
}

/// A context that outlives its caller.
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn of(context: &EncryptionContext<'_>) -> Self {
        Self(context.pairs().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn with<T>(&self, act: impl FnOnce(&EncryptionContext<'_>) -> T) -> T {
        let pairs: Vec<(&str, &str)> = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        act(&EncryptionContext::new(&pairs))
    }
}

type MakeRef = for<'a> fn(&'a str) -> KeyRef<'a>;

impl KeyProvider for TimeoutProvider {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let [partition, account, region] = [scope.partition, scope.account, scope.region].map(str::to_owned);
        let (make, text): (MakeRef, &str) = match key {
            KeyRef::Default => (|_| KeyRef::Default, ""),
            KeyRef::Id(text) => (|text| KeyRef::Id(text), text),
            KeyRef::Arn(text) => (|text| KeyRef::Arn(text), text),
            KeyRef::Alias(text) => (|text| KeyRef::Alias(text), text),
            KeyRef::AliasArn(text) => (|text| KeyRef::AliasArn(text), text),
        };
        let text = text.to_owned();
        self.run(call, move |inner, call| {
            inner.resolve(&KeyScope::new(&partition, &account, &region), make(&text), call)
        })
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        let (key, pairs) = (key.clone(), Pairs::of(context));
        let data_key = DataKey::from_slice(data_key.expose()).ok_or(KeyError::Internal)?;
        self.run(call, move |inner, call| pairs.with(|context| inner.wrap(&key, &data_key, context, call)))
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let (wrapped, pairs) = (wrapped.clone(), Pairs::of(context));
        self.run(call, move |inner, call| pairs.with(|context| inner.unwrap(&wrapped, context, call)))
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        let (key, pairs) = (key.clone(), Pairs::of(context));
        self.run(call, move |inner, call| pairs.with(|context| inner.generate(&key, context, call)))
    }

    fn traits(&self) -> ProviderTraits {
        self.inner.traits()
    }
}

impl fmt::Debug for TimeoutProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, timeout, threads, pool: _ } = self;
        f.debug_struct("TimeoutProvider")
            .field("inner", inner)
            .field("timeout", timeout)
            .field("threads", threads)
            .finish()
    }
}
