//! A provider that hangs is given up.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use strongroom::testing::{FaultyProvider, RecordingProvider, SeededEntropy};
use strongroom::{
    Call, DataKey, EncryptionContext, Entropy, EntropyError, KeyError, KeyFaultReason, KeyHandle, KeyProvider, KeyRef,
    KeyScope, OsEntropy, StaticKey, TimeoutProvider, WrappedKey,
};

use crate::doubles::{MOMENT, PAIRS, PATIENCE, ReleasesAtTheEnd, Scripted, find, make, make_with, open};
use crate::fixture::{World, fault, home};

#[expect(clippy::disallowed_methods, reason = "a deadline is an instant of the system")]
fn after(time: Duration) -> Instant {
    Instant::now() + time
}

fn faulty() -> FaultyProvider {
    FaultyProvider::new(StaticKey::new([7; 32]), 1)
}

/// Looks for a key, within a time.
fn find_within(provider: &dyn KeyProvider, time: Duration) -> Result<KeyHandle, KeyError> {
    let entropy = OsEntropy::default();
    provider.resolve(&home(), KeyRef::Default, &Call::new(&entropy).with_deadline(after(time)))
}

/// Makes a call that is given up, until so many hang. On a busy machine the time may be up before a call is begun.
fn until_held(inner: &FaultyProvider, calls: usize, give_up: impl Fn() -> Result<(), KeyError>) {
    let is_held = (0..1000).any(|_| {
        assert_eq!(give_up(), Err(KeyError::Timeout));
        inner.wait_for_held(calls, MOMENT)
    });
    assert!(is_held, "{calls} calls should hang");
}

#[test]
fn every_call_of_a_provider_that_hangs_is_given_up() {
    let inner = faulty();
    let patient = TimeoutProvider::new(inner.clone(), PATIENCE);
    let hasty = TimeoutProvider::new(inner.clone(), MOMENT).threads(64);
    let handle = find(&patient, "alias/x").unwrap();
    let (data_key, wrapped) = make(&patient, &handle).unwrap();
    inner.hold("");
    let (entropy, context) = (OsEntropy::default(), EncryptionContext::new(&PAIRS));
    let call = Call::new(&entropy);
    until_held(&inner, 1, || find(&hasty, "alias/x").map(drop));
    until_held(&inner, 2, || make(&hasty, &handle).map(drop));
    until_held(&inner, 3, || hasty.wrap(&handle, &data_key, &context, &call).map(drop));
    until_held(&inner, 4, || open(&hasty, &wrapped).map(drop));
    inner.release();
    assert_eq!(open(&patient, &wrapped), Ok(data_key), "nothing was broken");
}

/// A deadline that is earlier than the timeout counts, and one that is later does not.
#[test]
fn the_earlier_of_two_deadlines_counts() {
    let inner = faulty();
    inner.hold("");
    assert_eq!(find_within(&TimeoutProvider::new(inner.clone(), PATIENCE), MOMENT), Err(KeyError::Timeout));
    assert_eq!(find_within(&TimeoutProvider::new(inner.clone(), Duration::MAX), MOMENT), Err(KeyError::Timeout));
    assert_eq!(find_within(&TimeoutProvider::new(inner.clone(), MOMENT), PATIENCE), Err(KeyError::Timeout));
    inner.release();
    let inner = faulty();
    assert_eq!(find(&TimeoutProvider::new(inner.clone(), Duration::ZERO), ""), Err(KeyError::Timeout));
    assert_eq!(find_within(&TimeoutProvider::new(inner.clone(), Duration::ZERO), PATIENCE), Err(KeyError::Timeout));
    assert_eq!(inner.calls(), 0, "what is too late from the beginning is not begun");
    assert!(find(&TimeoutProvider::new(inner, Duration::MAX), "").is_ok());
}

/// Threads that hang are not replaced, and work again once they can.
#[test]
fn threads_are_bounded_and_come_back() {
    let inner = faulty();
    // Calls are recorded when they begin.
    let begun = RecordingProvider::new(inner.clone());
    let provider = TimeoutProvider::new(begun.clone(), PATIENCE).threads(2);
    inner.hold("");
    until_held(&inner, 2, || find_within(&provider, MOMENT).map(drop));
    for _ in 0..5 {
        assert_eq!(find_within(&provider, MOMENT), Err(KeyError::Timeout), "no thread is free");
    }
    assert!(!inner.wait_for_held(3, Duration::ZERO), "two threads, and no more");
    thread::scope(|threads| {
        let _end = ReleasesAtTheEnd(&inner);
        let waiting: Vec<_> = (0..4).map(|_| threads.spawn(|| find(&provider, "").unwrap())).collect();
        inner.release();
        for call in waiting {
            call.join().unwrap();
        }
    });
    for _ in 0..20 {
        find(&provider, "").unwrap();
    }
    assert_eq!(begun.calls().len(), 2 + 4 + 20, "the calls that found no thread were never made");
}

#[test]
fn the_number_of_threads_has_bounds() {
    for (asked, expected) in [(0, 1), (1, 1), (256, 256), (usize::MAX, 256)] {
        let shown = format!("{:?}", TimeoutProvider::new(faulty(), PATIENCE).threads(asked));
        assert!(shown.contains(&format!("threads: {expected}")), "{shown}");
    }
}

/// With one thread, which would be gone after the first panic.
#[test]
fn a_provider_that_panics_fails_and_costs_no_thread() {
    let inner = Scripted::new("inner", 7);
    let provider = TimeoutProvider::new(inner.clone(), PATIENCE).threads(1);
    let handle = find(&provider, "").unwrap();
    inner.panic_from_now_on(true);
    for _ in 0..20 {
        assert_eq!(make(&provider, &handle).unwrap_err(), KeyError::Internal);
    }
    inner.panic_from_now_on(false);
    let (data_key, wrapped) = make(&provider, &handle).unwrap();
    assert_eq!(open(&provider, &wrapped), Ok(data_key));
}

/// What the inner provider answers and what it is told is what it would be without the timeout.
#[test]
fn nothing_is_different_while_the_provider_answers_in_time() {
    let key = || StaticKey::new([7; 32]);
    let provider = TimeoutProvider::new(key(), PATIENCE);
    for name in ["", "1234", "alias/x", "arn:aws:kms:us-east-1:000000000000:key/x", "arn:aws:kms:a:b:alias/x"] {
        assert_eq!(find(&provider, name), find(&key(), name), "{name}");
    }
    let handle = find(&key(), "alias/x").unwrap();
    // The same source of random bytes gives the same wrapped keys, so exactly as many bytes are taken from it.
    let (direct, relayed) = (SeededEntropy::new(1), SeededEntropy::new(1));
    for _ in 0..10 {
        assert_eq!(make_with(&provider, &handle, &relayed).unwrap(), make_with(&key(), &handle, &direct).unwrap());
    }
    for error in [KeyError::NotFound, KeyError::Disabled, KeyError::Throttled, KeyError::Corrupt] {
        let failing = TimeoutProvider::new(Scripted::new("x", 7).failing(error.clone()), PATIENCE);
        assert_eq!(find(&failing, ""), Err(error));
    }
    let remote = TimeoutProvider::new(Scripted::new("far", 7).remote(), PATIENCE);
    assert_eq!((remote.id(), remote.traits().remote), ("far", true));
}

/// A provider whose search is whatever a test wants.
struct Does<F>(F);

impl<F> std::fmt::Debug for Does<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Does")
    }
}

impl<F: Fn(&Call<'_>) -> Result<(), KeyError> + Send + Sync> KeyProvider for Does<F> {
    fn id(&self) -> &str {
        "does"
    }
    fn resolve(&self, _: &KeyScope<'_>, _: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        (self.0)(call).map(|()| KeyHandle::new("arn:x", "1"))
    }
    fn wrap(
        &self,
        _: &KeyHandle,
        _: &DataKey,
        _: &EncryptionContext<'_>,
        _: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        Err(KeyError::Internal)
    }
    fn unwrap(&self, _: &WrappedKey, _: &EncryptionContext<'_>, _: &Call<'_>) -> Result<DataKey, KeyError> {
        Err(KeyError::Internal)
    }
}

#[test]
fn the_provider_is_told_the_deadline() {
    let told = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&told);
    let provider = Does(move |call: &Call<'_>| {
        *seen.lock().unwrap() = call.deadline;
        Ok(())
    });
    let before = after(Duration::ZERO);
    let provider = TimeoutProvider::new(provider, PATIENCE);
    find(&provider, "").unwrap();
    let ours = told.lock().unwrap().take().unwrap();
    assert!(before + PATIENCE <= ours && ours <= after(PATIENCE));
    let entropy = OsEntropy::default();
    for (theirs, expected) in [(before + PATIENCE / 2, before + PATIENCE / 2), (before + 3 * PATIENCE, ours)] {
        provider.resolve(&home(), KeyRef::Default, &Call::new(&entropy).with_deadline(theirs)).unwrap();
        let found = told.lock().unwrap().take().unwrap();
        assert!(found >= expected && found <= theirs && found <= after(PATIENCE));
    }
}

/// A source that gives out so many bytes and then fails.
#[derive(Debug)]
struct Limited(Mutex<usize>);

impl Entropy for Limited {
    fn fill(&self, dest: &mut [u8]) -> Result<(), EntropyError> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(dest.len()).ok_or_else(EntropyError::new)?;
        dest.fill(7);
        Ok(())
    }
    fn is_for_tests(&self) -> bool {
        true
    }
}

#[test]
fn random_bytes_come_from_the_caller_however_many_there_are() {
    let is_same = |call: &Call<'_>| {
        let mut bytes = vec![0; 100_000];
        call.entropy.fill(&mut bytes)?;
        assert!(call.entropy.is_for_tests() && bytes.iter().all(|byte| *byte == 7));
        call.entropy.fill(&mut [])?;
        Ok(())
    };
    let provider = TimeoutProvider::new(Does(is_same), PATIENCE);
    let asks = |bytes| {
        let source = Limited(Mutex::new(bytes));
        provider.resolve(&home(), KeyRef::Default, &Call::new(&source)).map(drop)
    };
    assert_eq!(asks(100_000), Ok(()));
    assert_eq!(asks(99_999), Err(KeyError::Entropy), "a source that fails is told from a provider that fails");
    assert_eq!(asks(100_000), Ok(()));
}

/// The caller of a provider that never has enough is let go, and then the provider gets no more.
#[test]
fn a_provider_that_asks_for_random_bytes_for_ever_is_given_up() {
    let (tell, told): (Sender<KeyError>, Receiver<KeyError>) = mpsc::channel();
    let tell = Mutex::new(tell);
    let insatiable = move |call: &Call<'_>| {
        loop {
            if let Err(error) = call.entropy.fill(&mut [0; 64]) {
                tell.lock().unwrap().send(error.into()).unwrap();
                return Err(error.into());
            }
        }
    };
    let provider = TimeoutProvider::new(Does(insatiable), MOMENT).threads(1);
    assert_eq!(find(&provider, ""), Err(KeyError::Timeout));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(KeyError::Entropy));
}

/// What comes too late harms nobody, not even if the provider is gone by then.
#[test]
fn a_provider_is_dropped_while_a_call_hangs() {
    let inner = faulty();
    let provider = TimeoutProvider::new(inner.clone(), MOMENT);
    let handle = find(&TimeoutProvider::new(inner.clone(), PATIENCE), "").unwrap();
    inner.hold("");
    until_held(&inner, 1, || make(&provider, &handle).map(drop));
    drop(provider);
    inner.release();
    assert!(find(&inner, "").is_ok());
}

#[test]
fn a_store_goes_on_after_a_call_that_hung() {
    let inner = faulty();
    // The first is for what has to work however busy the machine is.
    let clock_free = TimeoutProvider::new(inner.clone(), PATIENCE);
    let world = World::on(strongroom::MemoryBackend::new(), clock_free);
    world.create("s", "").unwrap();
    let hasty = TimeoutProvider::new(inner.clone(), MOMENT);
    inner.hold("");
    let opening = strongroom::SecretStore::in_memory().key_provider(hasty).open();
    let (code, failed) = fault(opening);
    assert_eq!((code, failed.reason), ("InternalServiceError", KeyFaultReason::Timeout));
    inner.release();
    assert_eq!(world.read("s").unwrap(), "1");
    world.put("s", 2, &[]).unwrap();
    assert_eq!(world.read("s").unwrap(), "2");
}
