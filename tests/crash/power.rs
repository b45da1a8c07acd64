//! The two processes of the power-cut proof, `tests/crash/power/run`: one that writes, and one that checks what is left.
//!
//! Both work on the store in `PLACE/disk`, a file system of its own whose device is cut off at some moment; the key file
//! is beside it. `PLACE/history` holds what a writer had said: the lines before [`CUT`] when the power went, and behind it
//! those of which nobody knows on which side of the cut they were.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use strongroom::{
    Builder, CreateSecretRequest, Durability, GetSecretValueRequest, LocalKeyring, OpenMode, SecretStore,
    SecretsManager, VerifyOptions,
};

use crate::child::{await_end_of_input, say};
use crate::history::{Call, Chance, State, next_call, observe_one};

const STEP: &str = "STRONGROOM_POWER_STEP";
const THREADS: &str = "STRONGROOM_POWER_THREADS";
const SIZES: &str = "STRONGROOM_POWER_SIZES";
const DURABILITY: &str = "STRONGROOM_POWER_DURABILITY";

/// The line between what was certainly said before the cut and what was perhaps said after it.
const CUT: &str = "cut";

const NAMES_OF_A_THREAD: usize = 4;

/// Sizes of values in bytes.
const SMALL: [usize; 6] = [1, 7, 20, 20, 100, 1_000];
const LARGE: [usize; 8] = [1, 100, 3_000, 20_000, 40_000, 60_000, 65_536, 65_536];

/// The secret that the check creates at the end, to see that the store can be used.
const AFTERWARDS: &str = "afterwards";

pub(crate) fn job(place: &Path, seed: u64) {
    match env::var(STEP).unwrap().as_str() {
        "make key" => drop(builder(place)),
        "write" => write(place, seed),
        "check" => check(place),
        other => panic!("no such step: {other}"),
    }
}

fn builder(place: &Path) -> Builder {
    let keyring = LocalKeyring::open_or_create(place.join("keys")).expect("the key file opens");
    SecretStore::builder(place.join("disk").join("store")).key_provider(keyring)
}

fn names(thread: usize) -> Vec<String> {
    (0..NAMES_OF_A_THREAD).map(|index| format!("thread-{thread}/secret-{index}")).collect()
}

/// Every thread changes secrets of its own, and says so before and after each call.
fn write(place: &Path, seed: u64) {
    let threads: usize = env::var(THREADS).unwrap().parse().unwrap();
    let sizes: &[usize] = if env::var(SIZES).unwrap() == "large" { &LARGE } else { &SMALL };
    let durability = match env::var(DURABILITY).unwrap().as_str() {
        "eventual" => Durability::Eventual,
        _ => Durability::Immediate,
    };
    let store = builder(place).durability(durability).open().unwrap_or_else(|error| {
        say(&format!("failed\topen\t{error:?}"));
        process::exit(1);
    });
    say("open");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..threads {
            let secrets = store.default_secrets_manager();
            let is_over = &is_over;
            scope.spawn(move || write_on(&secrets, thread, seed, sizes, is_over));
        }
        await_end_of_input();
        is_over.store(true, Ordering::Relaxed);
    });
}

fn write_on(secrets: &SecretsManager, thread: usize, seed: u64, sizes: &[usize], is_over: &AtomicBool) {
    let names = names(thread);
    let kept = names.iter().filter_map(|name| Some((name.clone(), observe_one(secrets, name)?)));
    let mut state = State { secrets: kept.collect() };
    let first = (seed * 100 + thread as u64) * 1_000_000;
    let chance = Chance::new(first);
    for unique in first.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let call = next_call(&chance, &state, &names, sizes, unique);
        say(&format!("will\t{thread}\t{call}"));
        if let Err(error) = call.run(secrets) {
            say(&format!("failed\t{thread}\t{error:?}"));
            return;
        }
        say(&format!("done\t{thread}"));
        state.apply(&call);
    }
}

/// The calls of one thread, in order.
#[derive(Debug, Default)]
struct Calls {
    begun: Vec<Call>,
    /// How many of them were acknowledged before the cut.
    acknowledged: usize,
}

/// What was said around one cut.
#[derive(Debug, Default)]
struct Heard {
    threads: BTreeMap<usize, Calls>,
    /// The store was open before the cut.
    is_open: bool,
}

impl Heard {
    fn read(text: &str) -> Self {
        let mut heard = Self::default();
        let mut is_before = true;
        for line in text.lines() {
            let mut fields = line.splitn(3, '\t');
            match (fields.next(), fields.next(), fields.next()) {
                (Some("will"), Some(thread), Some(call)) => {
                    let calls = heard.threads.entry(thread.parse().unwrap()).or_default();
                    calls.begun.push(Call::parse(call));
                }
                (Some("done"), Some(thread), None) if is_before => {
                    let calls = heard.threads.get_mut(&thread.parse().unwrap()).unwrap();
                    calls.acknowledged += 1;
                }
                (Some("done"), Some(_), None) => {}
                (Some("open"), None, None) => heard.is_open |= is_before,
                (Some(CUT), None, None) => is_before = false,
                _ => panic!("this cannot be in a history: {line}"),
            }
        }
        assert!(!is_before, "the history has no cut");
        heard
    }
}

/// Opens the store on a device that lost its power and compares it with what had been acknowledged.
fn check(place: &Path) {
    let heard = Heard::read(&fs::read_to_string(place.join("history")).unwrap());
    let path = place.join("disk").join("store");
    let exists = SecretStore::exists(&path).unwrap_or_else(|error| panic!("what is there is no store: {error:?}"));
    assert!(exists || !heard.is_open, "the store is gone");
    let mode = if heard.is_open { OpenMode::OpenExisting } else { OpenMode::OpenOrCreate };
    let store = builder(place).mode(mode).open().unwrap_or_else(|error| panic!("the store does not open: {error:?}"));
    say(if exists { "opened" } else { "made" });

    let secrets = store.default_secrets_manager();
    let observed = State::observe(&secrets);
    let stats = store.stats().unwrap();
    assert_eq!(stats.secrets, observed.secrets.len() as u64, "the count of secrets");
    assert_eq!(stats.unsynced_bytes, 0, "bytes that the engine does not sync");
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{report:#?}");

    let mut rest = observed;
    for (thread, calls) in &heard.threads {
        let of_thread = names(*thread).into_iter().filter_map(|name| rest.secrets.remove_entry(&name));
        say(&compare(*thread, calls, &State { secrets: of_thread.collect() }));
    }
    assert_eq!(rest, State::default(), "secrets that nobody created");
    use_and_close(store, &secrets, place);
    say("checked");
}

/// What became of the calls of a thread. They were made one after the other, so what is there must be what is there
/// after some number of them, and no fewer than were acknowledged.
fn compare(thread: usize, calls: &Calls, observed: &State) -> String {
    let mut state = State::default();
    let mut lost = None;
    for number in 0..=calls.begun.len() {
        if state == *observed {
            if number >= calls.acknowledged {
                return format!("found\t{thread}\t{number}");
            }
            lost = Some(number);
        }
        if let Some(call) = calls.begun.get(number) {
            state.apply(call);
        }
    }
    let of = calls.acknowledged;
    if let Some(number) = lost {
        return format!("lost\t{thread}\t{}\tof {of}: {}", of - number, calls.begun[number]);
    }
    let expected = calls.begun[..of].iter().fold(State::default(), |state, call| state.after(call));
    let pending = &calls.begun[of..];
    format!("partial\t{thread}\tpending {pending:?}, expected {expected:?}, is {observed:?}")
}

/// What survived is not only readable: it takes a further change, and opens once more.
fn use_and_close(store: SecretStore, secrets: &SecretsManager, place: &Path) {
    secrets.create_secret(CreateSecretRequest::new(AFTERWARDS).secret_string("works")).unwrap();
    store.close().unwrap();
    let store = builder(place).mode(OpenMode::OpenExisting).open().unwrap();
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(AFTERWARDS)).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "works");
    store.close().unwrap();
}
