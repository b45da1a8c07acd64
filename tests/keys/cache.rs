//! Data keys that are remembered for a while.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use strongroom::testing::{FaultyProvider, ManualClock, ProviderOperation, RecordingProvider};
use strongroom::{
    Call, Clock, DataKey, DataKeyCache, EncryptionContext, KeyError, KeyFaultReason, KeyHandle, KeyOperation,
    KeyProvider, LocalKeyring, MemoryBackend, OsEntropy, StaticKey, WrappedKey,
};

use crate::doubles::{MOMENT, PAIRS, PATIENCE, ReleasesAtTheEnd, Scripted, find, make, open};
use crate::fixture::{START_MILLIS, World, home, key_failure};

/// A cache over a provider that is watched and can be stopped.
struct Watched {
    clock: ManualClock,
    inner: Scripted,
    gate: FaultyProvider,
    calls: RecordingProvider,
    cache: DataKeyCache,
}

impl Watched {
    fn new(configure: impl FnOnce(DataKeyCache) -> DataKeyCache) -> Self {
        let clock = ManualClock::at_millis(START_MILLIS);
        let inner = Scripted::new("inner", 7);
        let gate = FaultyProvider::new(inner.clone(), 1);
        let calls = RecordingProvider::new(gate.clone());
        let cache = configure(DataKeyCache::new(calls.clone()).clock(clock.clone()));
        Self { clock, inner, gate, calls, cache }
    }

    fn handle(&self, name: &str) -> KeyHandle {
        find(&self.cache, name).unwrap()
    }

    fn make(&self, name: &str) -> (DataKey, WrappedKey) {
        make(&self.cache, &self.handle(name)).unwrap()
    }

    /// How many keys the provider has been asked to unwrap.
    fn asked(&self) -> usize {
        self.calls.count(ProviderOperation::Unwrap)
    }

    /// How many it was asked to unwrap for this.
    fn asked_for(&self, wrapped: &WrappedKey) -> usize {
        let before = self.asked();
        open(&self.cache, wrapped).unwrap();
        self.asked() - before
    }

    fn advance(&self, millis: i64) {
        self.clock.advance(TimeDelta::milliseconds(millis));
    }
}

#[test]
fn what_was_unwrapped_a_moment_ago_is_not_asked_for_again() {
    let watched = Watched::new(|cache| cache);
    let (data_key, wrapped) = watched.make("alias/x");
    assert!(watched.cache.is_empty(), "what was wrapped is not remembered");
    for _ in 0..10 {
        assert_eq!(open(&watched.cache, &wrapped).as_ref(), Ok(&data_key));
    }
    assert_eq!((watched.asked(), watched.cache.len()), (1, 1));
    for _ in 0..3 {
        watched.make("alias/x");
    }
    let count = |operation| watched.calls.count(operation);
    assert_eq!((count(ProviderOperation::Resolve), count(ProviderOperation::Generate)), (4, 4), "passed through");
    let swapped = [PAIRS[1], PAIRS[0]];
    let entropy = OsEntropy::default();
    let unwrapped = watched.cache.unwrap(&wrapped, &EncryptionContext::new(&swapped), &Call::new(&entropy));
    assert_eq!((unwrapped, watched.asked()), (Ok(data_key), 1), "the order of the context does not matter");
}

/// Milliseconds since the provider was asked, and whether it is asked again.
#[test]
fn an_entry_is_used_until_it_has_reached_its_age() {
    for (age, millis, asked) in [
        (None, 299_999, 0),
        (None, 300_000, 1),
        (None, 300_001, 1),
        (Some(Duration::from_secs(1)), 999, 0),
        (Some(Duration::from_secs(1)), 1000, 1),
        (Some(Duration::from_millis(1)), 0, 0),
        (Some(Duration::from_millis(1)), 1, 1),
        (Some(Duration::ZERO), 0, 1),
        (Some(Duration::from_micros(999)), 0, 1),
        (Some(Duration::MAX), 86_399_999, 0),
        (Some(Duration::MAX), 86_400_000, 1),
    ] {
        let watched = Watched::new(|cache| age.map_or(cache.clone(), |age| cache.max_age(age)));
        let (_, wrapped) = watched.make("alias/x");
        assert_eq!(watched.asked_for(&wrapped), 1);
        watched.advance(millis);
        assert_eq!(watched.asked_for(&wrapped), asked, "{age:?} {millis}");
    }
}

/// Reading an entry does not make it younger.
#[test]
fn an_entry_that_is_used_all_the_time_grows_old_too() {
    let watched = Watched::new(|cache| cache);
    let (_, wrapped) = watched.make("alias/x");
    let asked: Vec<usize> = (0..10)
        .map(|_| {
            let asked = watched.asked_for(&wrapped);
            watched.advance(100_000);
            asked
        })
        .collect();
    assert_eq!(asked, [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]);
}

#[test]
fn entries_that_nobody_asks_for_go_when_they_are_old() {
    let watched = Watched::new(|cache| cache);
    for second in 0..10 {
        assert_eq!(watched.cache.len(), second);
        watched.asked_for(&watched.make("alias/x").1);
        watched.advance(1000);
    }
    watched.advance(290_000);
    for second in (0..10).rev() {
        watched.cache.sweep();
        let shown = format!("{:?}", watched.cache);
        assert!(shown.ends_with(&format!("remembered: {second} }}")), "{shown}");
        watched.advance(1000);
    }
}

/// The clock is moved while there is an entry.
#[test]
fn a_clock_that_jumps_never_makes_an_entry_last_longer() {
    let moved = |jumps: &[i64]| {
        let watched = Watched::new(|cache| cache);
        let (_, wrapped) = watched.make("alias/x");
        watched.asked_for(&wrapped);
        watched.advance(100_000);
        assert_eq!(watched.asked_for(&wrapped), 0);
        for jump in jumps {
            watched.advance(*jump);
            watched.cache.sweep();
        }
        (watched.asked_for(&wrapped), watched.asked_for(&wrapped))
    };
    for (jumps, asked) in [
        (&[1][..], 0),
        // Even if the entry is older than the clock still: its age cannot be told any more.
        (&[-1], 1),
        (&[-99_999], 1),
        (&[-100_000], 1),
        (&[-100_001], 1),
        (&[-1, 1], 1),
        (&[-1_000_000, 1_000_000], 1),
        (&[-10_000_000_000_000], 1),
        (&[199_999], 0),
        (&[200_000], 1),
        (&[10_000_000_000_000, -10_000_000_000_000], 1),
        (&[i64::MAX / 2_000_000], 1),
    ] {
        assert_eq!(moved(jumps), (asked, 0), "{jumps:?}");
    }
}

/// At the ends of the calendar.
#[test]
fn a_clock_that_shows_nonsense_does_no_harm() {
    let watched = Watched::new(|cache| cache);
    let (_, wrapped) = watched.make("alias/x");
    let ends = [chrono::DateTime::<chrono::Utc>::MIN_UTC, chrono::DateTime::<chrono::Utc>::MAX_UTC];
    for to in ends.into_iter().chain(ends) {
        watched.clock.set(to);
        assert_eq!((watched.asked_for(&wrapped), watched.asked_for(&wrapped)), (1, 0), "{:?}", watched.clock.now());
    }
}

#[test]
fn a_call_that_took_longer_than_the_age_is_not_remembered() {
    let watched = Watched::new(|cache| cache);
    let (_, wrapped) = watched.make("alias/x");
    for (millis, remembered) in [(299_999, 1), (300_000, 0), (-1, 0)] {
        watched.cache.clear();
        watched.gate.hold("");
        thread::scope(|threads| {
            let _end = ReleasesAtTheEnd(&watched.gate);
            let call = threads.spawn(|| open(&watched.cache, &wrapped).unwrap());
            assert!(watched.gate.wait_for_held(1, PATIENCE));
            watched.advance(millis);
            watched.gate.release();
            call.join().unwrap();
        });
        assert_eq!(watched.cache.len(), remembered, "{millis}");
    }
}

#[test]
fn the_oldest_entry_goes_when_there_are_too_many() {
    let watched = Watched::new(|cache| cache.entries(3));
    let wrapped: Vec<WrappedKey> = (0..5).map(|_| watched.make("alias/x").1).collect();
    for wrapped in &wrapped {
        watched.asked_for(wrapped);
        watched.advance(1);
        assert!(watched.cache.len() <= 3);
    }
    let asked: Vec<usize> = [4, 3, 2, 1].iter().map(|index| watched.asked_for(&wrapped[*index])).collect();
    assert_eq!(asked, [0, 0, 0, 1]);
    assert_eq!(watched.asked_for(&wrapped[2]), 1, "the next oldest went for it");
    let none = Watched::new(|cache| cache.entries(0));
    let (_, wrapped) = none.make("alias/x");
    assert_eq!((none.asked_for(&wrapped), none.asked_for(&wrapped), none.cache.len()), (1, 1, 0));
}

#[test]
fn a_thousand_keys_are_remembered_unless_told_otherwise() {
    let watched = Watched::new(|cache| cache);
    let wrapped: Vec<WrappedKey> = (0..1001).map(|_| watched.make("alias/x").1).collect();
    let asked: usize = wrapped.iter().map(|wrapped| watched.asked_for(wrapped)).sum();
    assert_eq!((asked, watched.cache.len()), (1001, 1000));
    assert_eq!((watched.asked_for(&wrapped[1]), watched.asked_for(&wrapped[0])), (0, 1));
    assert!(
        format!("{:?}", DataKeyCache::new(StaticKey::new([7; 32])).entries(usize::MAX)).contains("entries: 100000")
    );
}

#[test]
fn an_entry_is_used_as_often_as_allowed() {
    for (uses, expected) in [(0, [1; 6]), (1, [1, 0, 1, 0, 1, 0]), (2, [1, 0, 0, 1, 0, 0]), (5, [1, 0, 0, 0, 0, 0])] {
        let watched = Watched::new(|cache| cache.uses(uses));
        let (_, wrapped) = watched.make("alias/x");
        let asked: Vec<usize> = (0..6).map(|_| watched.asked_for(&wrapped)).collect();
        assert_eq!(asked, expected, "{uses}");
    }
}

/// Whatever is different in a request makes it another one, and what another one opened is never given out for it.
#[test]
fn an_entry_answers_only_exactly_the_same_request() {
    let watched = Watched::new(|cache| cache);
    let (_, good) = watched.make("alias/x");
    open(&watched.cache, &good).unwrap();
    let WrappedKey { provider, key_arn, key_version, blob, .. } = good.clone();
    let wrapped = |provider: &str, arn: &str, version: &str, blob: &[u8]| WrappedKey::new(provider, arn, version, blob);
    let other_blob = [&blob[..], b"x"].concat();
    let others = [
        wrapped("other", &key_arn, &key_version, &blob),
        wrapped(&provider, "arn:other", &key_version, &blob),
        wrapped(&provider, &key_arn, &key_version, &other_blob),
        wrapped(&provider, &key_arn, &key_version, &blob[..blob.len() - 1]),
        // The same bytes, divided otherwise.
        wrapped(&provider, &format!("{key_arn}{key_version}"), "", &blob),
    ];
    let entropy = OsEntropy::default();
    let asks = |wrapped: &WrappedKey, pairs: &[(&str, &str)]| {
        let before = watched.asked();
        let answer = watched.cache.unwrap(wrapped, &EncryptionContext::new(pairs), &Call::new(&entropy));
        (answer.is_ok(), watched.asked() - before)
    };
    for other in &others {
        assert_eq!(asks(other, &PAIRS), (false, 1), "{other:?}");
    }
    for pairs in [&[][..], &PAIRS[..1], &[PAIRS[0], ("SecretVersionId", "w")], &[PAIRS[0], PAIRS[1], PAIRS[1]]] {
        assert_eq!(asks(&good, pairs), (false, 1), "{pairs:?}");
    }
    // The provider takes any version; it is a request of its own all the same.
    assert_eq!(asks(&wrapped(&provider, &key_arn, "2", &blob), &PAIRS), (true, 1));
    assert_eq!(asks(&good, &PAIRS), (true, 0));
}

#[test]
fn errors_are_not_remembered() {
    let watched = Watched::new(|cache| cache);
    let (data_key, wrapped) = watched.make("alias/x");
    for error in [KeyError::Unavailable, KeyError::Disabled, KeyError::Corrupt, KeyError::NotFound] {
        watched.inner.fail_with(Some(error.clone()));
        assert_eq!(open(&watched.cache, &wrapped), Err(error));
    }
    watched.inner.fail_with(None);
    assert_eq!(open(&watched.cache, &wrapped), Ok(data_key));
    assert_eq!(watched.asked(), 5);
}

#[test]
fn callers_that_want_the_same_key_at_once_ask_once() {
    let watched = Watched::new(|cache| cache);
    let (data_key, wrapped) = watched.make("alias/x");
    let (_, other) = watched.make("alias/y");
    watched.gate.hold("alias/x");
    thread::scope(|threads| {
        let _end = ReleasesAtTheEnd(&watched.gate);
        let (begin, begun) = mpsc::channel();
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let begin = begin.clone();
                let (watched, wrapped) = (&watched, &wrapped);
                threads.spawn(move || {
                    begin.send(()).unwrap();
                    open(&watched.cache, wrapped)
                })
            })
            .collect();
        (0..8).for_each(|_| begun.recv_timeout(PATIENCE).unwrap());
        assert!(watched.gate.wait_for_held(1, PATIENCE));
        assert_eq!(watched.asked_for(&other), 1, "another key is not held up");
        assert!(!watched.gate.wait_for_held(2, MOMENT), "somebody asked a second time");
        watched.gate.release();
        for caller in callers {
            assert_eq!(caller.join().unwrap().as_ref(), Ok(&data_key));
        }
    });
    assert_eq!(watched.asked(), 2);
}

/// A caller waits for another's answer no longer than it wants to.
#[test]
fn a_caller_with_a_deadline_does_not_wait_for_another() {
    let watched = Watched::new(|cache| cache);
    let (data_key, wrapped) = watched.make("alias/x");
    watched.gate.hold("");
    thread::scope(|threads| {
        let _end = ReleasesAtTheEnd(&watched.gate);
        let first = threads.spawn(|| open(&watched.cache, &wrapped));
        assert!(watched.gate.wait_for_held(1, PATIENCE));
        let entropy = OsEntropy::default();
        #[expect(clippy::disallowed_methods, reason = "a deadline is an instant of the system")]
        let soon = Instant::now() + MOMENT;
        let late =
            watched.cache.unwrap(&wrapped, &EncryptionContext::new(&PAIRS), &Call::new(&entropy).with_deadline(soon));
        assert_eq!(late, Err(KeyError::Timeout));
        watched.gate.release();
        assert_eq!(first.join().unwrap(), Ok(data_key));
    });
    assert_eq!(watched.asked(), 1);
}

/// Those who waited for a call that failed or panicked are told, and the next one asks again.
#[test]
fn nobody_is_left_waiting_for_a_call_that_fails() {
    for panics in [false, true] {
        let watched = Watched::new(|cache| cache);
        let (data_key, wrapped) = watched.make("alias/x");
        watched.gate.hold("");
        watched.inner.panic_from_now_on(panics);
        watched.inner.fail_with(Some(KeyError::Internal));
        thread::scope(|threads| {
            let _end = ReleasesAtTheEnd(&watched.gate);
            let first = threads.spawn(|| open(&watched.cache, &wrapped));
            assert!(watched.gate.wait_for_held(1, PATIENCE));
            let others: Vec<_> = (0..4).map(|_| threads.spawn(|| open(&watched.cache, &wrapped))).collect();
            assert!(!watched.gate.wait_for_held(2, MOMENT));
            watched.gate.release();
            assert_eq!(first.join().is_err(), panics);
            for other in others {
                // One that came too late to wait asked, and failed, by itself.
                assert!(other.join().map_or(panics, |answer| answer == Err(KeyError::Internal)));
            }
        });
        watched.inner.panic_from_now_on(false);
        watched.inner.fail_with(None);
        assert_eq!(open(&watched.cache, &wrapped), Ok(data_key), "panics: {panics}");
        assert_eq!(watched.asked_for(&wrapped), 0);
    }
}

#[test]
fn what_is_invalidated_is_asked_for_again_and_nothing_else() {
    let watched = Watched::new(|cache| cache);
    let [(_, one), (_, two)] = ["alias/one", "alias/two"].map(|name| watched.make(name));
    let asked = || [watched.asked_for(&one), watched.asked_for(&two)];
    assert_eq!(asked(), [1, 1]);
    watched.cache.invalidate(&one.key_arn);
    assert_eq!(asked(), [1, 0]);
    for nothing in ["", "arn:other", &one.key_arn[..one.key_arn.len() - 1], &format!("{}x", one.key_arn)] {
        watched.cache.invalidate(nothing);
        assert_eq!(asked(), [0, 0], "{nothing}");
    }
    watched.cache.clone().clear();
    assert_eq!((watched.cache.len(), asked()), (0, [1, 1]), "clones share their entries");
}

/// Somebody disables a key while a call is under way that began before.
#[test]
fn a_call_that_began_before_an_invalidation_is_not_remembered() {
    let watched = Watched::new(|cache| cache);
    let (data_key, wrapped) = watched.make("alias/x");
    let forget: [(&str, &dyn Fn()); 2] =
        [("invalidate", &|| watched.cache.invalidate(&wrapped.key_arn)), ("clear", &|| watched.cache.clear())];
    for (what, forget) in forget {
        watched.gate.hold("");
        thread::scope(|threads| {
            let _end = ReleasesAtTheEnd(&watched.gate);
            let before = threads.spawn(|| open(&watched.cache, &wrapped));
            assert!(watched.gate.wait_for_held(1, PATIENCE));
            forget();
            let after = threads.spawn(|| open(&watched.cache, &wrapped));
            assert!(watched.gate.wait_for_held(2, PATIENCE), "a caller from afterwards gets no answer from before");
            forget();
            watched.gate.release();
            assert_eq!(before.join().unwrap().as_ref(), Ok(&data_key));
            assert_eq!(after.join().unwrap().as_ref(), Ok(&data_key));
        });
        assert_eq!((watched.cache.len(), watched.asked_for(&wrapped)), (0, 1), "{what}");
        forget();
    }
}

/// The price of a cache, in the words of its documentation.
#[test]
fn a_disabled_key_stays_usable_up_to_the_age_of_its_entries() {
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(home()).unwrap();
    let clock = ManualClock::at_millis(START_MILLIS);
    let cache = DataKeyCache::new(keyring.clone()).clock(clock.clone());
    let world = World::on(MemoryBackend::new(), cache.clone());
    let disabled = |result| {
        key_failure(result, "DecryptionFailure", &key, KeyFaultReason::Disabled, KeyOperation::Unwrap);
    };
    world.create("read", &key).unwrap();
    world.create("unread", &key).unwrap();
    world.read("read").unwrap();
    keyring.disable_key(&key).unwrap();
    disabled(world.read("unread"));
    clock.advance(TimeDelta::milliseconds(299_999));
    assert_eq!(world.read("read").unwrap(), "1");
    assert_eq!(world.put("read", 2, &[]).unwrap_err().code(), "EncryptionFailure", "writes never use the cache");
    clock.advance(TimeDelta::milliseconds(1));
    disabled(world.read("read"));
    keyring.enable_key(&key).unwrap();
    world.read("read").unwrap();
    keyring.disable_key(&key).unwrap();
    cache.invalidate(&key);
    disabled(world.read("read"));
}

#[test]
fn nothing_shows_a_key_that_is_remembered() {
    let key = [0xab; 32];
    let watched = Watched::new(|cache| cache);
    let handle = watched.handle("alias/x");
    let data_key = DataKey::from_slice(&key).unwrap();
    let entropy = OsEntropy::default();
    let wrapped =
        watched.cache.wrap(&handle, &data_key, &EncryptionContext::new(&PAIRS), &Call::new(&entropy)).unwrap();
    assert_eq!(open(&watched.cache, &wrapped), Ok(data_key));
    let shown = format!("{:?} {:#?}", watched.cache, watched.cache).to_lowercase();
    assert!(shown.contains("remembered: 1"), "{shown}");
    assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
}
