//! Processes that are killed while they write.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::thread;
use std::time::Duration;

use strongroom::{
    CreateSecretRequest, GetSecretValueRequest, OpenMode, PutSecretValueRequest, SecretStore, SecretsManager,
    VerifyOptions,
};

use crate::child::{self, Running, await_end_of_input, builder, say};
use crate::history::{Call, Chance, State, next_call, observe_one};

const THREADS: usize = 4;
const NAMES_OF_A_THREAD: usize = 4;
const KILLS: usize = 100;
const KILLS_WHILE_MADE: usize = 12;

/// Sizes of values in bytes. Most are small, so that there are many calls between two kills.
const BYTES: [usize; 8] = [1, 20, 20, 100, 100, 1_000, 5_000, 65_536];

fn open(place: &Path) -> SecretStore {
    builder(place).open().unwrap_or_else(|error| panic!("the store does not open after a kill: {error:?}"))
}

fn names(thread: usize) -> Vec<String> {
    (0..NAMES_OF_A_THREAD).map(|index| format!("thread-{thread}/secret-{index}")).collect()
}

/// In the child: every thread changes secrets of its own, and says so before and after each call.
pub(crate) fn write_until_killed(place: &Path, seed: u64) {
    let store = open(place);
    say("open");
    thread::scope(|threads| {
        for thread in 0..THREADS {
            let secrets = store.default_secrets_manager();
            threads.spawn(move || write_on(&secrets, thread, seed));
        }
    });
}

fn write_on(secrets: &SecretsManager, thread: usize, seed: u64) {
    let names = names(thread);
    let kept = names.iter().filter_map(|name| Some((name.clone(), observe_one(secrets, name)?)));
    let mut state = State { secrets: kept.collect() };
    let chance = Chance::new(seed * 100 + thread as u64);
    for number in 0_u64.. {
        let unique = (seed * 100 + thread as u64) * 1_000_000 + number;
        let call = next_call(&chance, &state, &names, &BYTES, unique);
        say(&format!("will\t{thread}\t{call}"));
        if let Err(error) = call.run(secrets) {
            say(&format!("failed\t{thread}\t{error:?}"));
            return;
        }
        say(&format!("done\t{thread}"));
        state.apply(&call);
    }
}

/// What a killed child had said.
#[derive(Default)]
struct Heard {
    acknowledged: usize,
    /// By thread, the call that nobody knows the outcome of.
    pending: BTreeMap<String, Call>,
}

/// Brings the state up to date with the calls that were acknowledged.
fn replay(lines: &[String], state: &mut State) -> Heard {
    let mut heard = Heard::default();
    for line in lines {
        let mut fields = line.splitn(3, '\t');
        match (fields.next(), fields.next(), fields.next()) {
            (Some("will"), Some(thread), Some(call)) => {
                heard.pending.insert(thread.to_owned(), Call::parse(call));
            }
            (Some("done"), Some(thread), None) => {
                state.apply(&heard.pending.remove(thread).unwrap());
                heard.acknowledged += 1;
            }
            (Some("open"), None, None) => {}
            _ => panic!("a call failed without a reason: {line}"),
        }
    }
    heard
}

#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    kills_before_open: usize,
    acknowledged: usize,
    applied: usize,
    not_applied: usize,
}

/// Kills one writer, opens the store again and compares. Every difference from what was acknowledged is a failure.
fn kill_once(place: &Path, seed: u64, chance: &Chance, state: &mut State, tally: &mut Tally) {
    let writer = Running::start(child::command("write", place, seed));
    let mut lines = Vec::new();
    // A third of the kills come at any time from the start of the process on, the others while it writes.
    if chance.below(3) == 0 {
        thread::sleep(Duration::from_micros(chance.below(120_000) as u64));
    } else {
        lines.push(writer.hear());
        thread::sleep(Duration::from_micros(chance.below(150_000) as u64));
    }
    lines.extend(writer.kill());
    let heard = replay(&lines, state);
    tally.kills += 1;
    tally.kills_before_open += usize::from(lines.is_empty());
    tally.acknowledged += heard.acknowledged;

    let store = open(place);
    let observed = State::observe(&store.default_secrets_manager());
    let stats = store.stats().unwrap();
    assert_eq!(stats.secrets, observed.secrets.len() as u64, "the count of secrets, seed {seed}");
    assert_eq!(stats.unsynced_bytes, 0, "bytes that the engine does not sync, seed {seed}");
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "seed {seed}: {report:#?}");
    for call in heard.pending.values() {
        let (before, after) = (state.secrets.get(call.name()), state.after(call));
        let is = observed.secrets.get(call.name());
        if is == before {
            tally.not_applied += 1;
        } else if is == after.secrets.get(call.name()) {
            tally.applied += 1;
            *state = after;
        } else {
            panic!("half of a call is there, seed {seed}: {call}\nbefore: {before:#?}\nnow: {is:#?}");
        }
    }
    assert_eq!(observed, *state, "what was acknowledged, seed {seed}");
    if chance.below(2) == 0 {
        store.close().unwrap();
    }
}

/// What was acknowledged is there after a kill at any moment, and of what was not, either all or nothing.
#[test]
fn no_kill_loses_an_acknowledged_call_or_leaves_half_of_one() {
    let number = |variable: &str| env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("STRONGROOM_KILLS").unwrap_or(KILLS as u64);
    let first_seed = number("STRONGROOM_SEED").unwrap_or(1);
    let place = tempfile::tempdir().unwrap();
    let mut state = State::default();
    let mut tally = Tally::default();
    for seed in first_seed..first_seed + kills {
        kill_once(place.path(), seed, &Chance::new(seed), &mut state, &mut tally);
    }
    let Tally { kills, kills_before_open, acknowledged, applied, not_applied } = tally;
    eprintln!(
        "{kills} kills ({kills_before_open} before the store was open), {acknowledged} calls acknowledged, {applied} \
         unacknowledged and applied, {not_applied} unacknowledged and not applied, 0 lost, 0 half applied"
    );
    assert!(acknowledged > 0 && kills_before_open > 0, "the kills came at no interesting time");
}

#[test]
fn a_kill_while_the_store_is_being_made_leaves_none_or_a_whole_one() {
    let chance = Chance::new(7);
    for seed in 0..KILLS_WHILE_MADE as u64 {
        let place = tempfile::tempdir().unwrap();
        let mut state = State::default();
        let writer = Running::start(child::command("write", place.path(), seed));
        thread::sleep(Duration::from_micros(chance.below(60_000) as u64));
        let heard = replay(&writer.kill(), &mut state);

        let store = open(place.path());
        let observed = State::observe(&store.default_secrets_manager());
        let with_pending = heard.pending.values().fold(state.clone(), |state, call| state.after(call));
        let is_whole = observed
            .secrets
            .iter()
            .all(|(name, kept)| state.secrets.get(name) == Some(kept) || with_pending.secrets.get(name) == Some(kept));
        assert!(is_whole, "seed {seed}: {observed:#?}");
        store.close().unwrap();
    }
}

/// In the child: one value, and then nothing more.
pub(crate) fn write_once(place: &Path) {
    let store = builder(place).mode(OpenMode::CreateNew).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("first")).unwrap();
    secrets.put_secret_value(PutSecretValueRequest::new("db/main", "second")).unwrap();
    say("done");
    await_end_of_input();
}

#[test]
fn a_value_that_was_put_before_the_kill_is_read_after_it() {
    let place = tempfile::tempdir().unwrap();
    let writer = Running::start(child::command("write once", place.path(), 0));
    assert_eq!(writer.hear(), "done");
    writer.kill();
    let store = builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap();
    let secrets = store.default_secrets_manager();
    let read = |label| {
        let read = secrets.get_secret_value(GetSecretValueRequest::new("db/main").version_stage(label)).unwrap();
        read.secret_string.unwrap().expose().to_owned()
    };
    assert_eq!((read("AWSCURRENT").as_str(), read("AWSPREVIOUS").as_str()), ("second", "first"));
}
