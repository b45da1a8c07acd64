//! What a process does that is killed sooner or later: it opens the store, looks whether everything is there, and works.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use chrono::{TimeZone as _, Utc};
use serde::{Deserialize, Serialize};
use strongroom::testing::ManualClock;
use strongroom::{OpenMode, SecretStore, SecretsManager};

use crate::desk::{Desk, Renew};
use crate::heap::bytes_in_use;
use crate::ledger::{Known, Ledger};
use crate::plan::{ASKED_EVERY, BUSY_EVERY, Chance, DAY, Kind, Plan, VERSIONS_MAX, builder};
use crate::process::say;
use crate::reads::{Reader, observe};
use crate::state::{Change, Label, State, TAGS, after};
use crate::told::{Stopwatch, Tick, Told, resident_bytes};

/// What a child is to do, as JSON.
const LIFE: &str = "STRONGROOM_SOAK_LIFE";

/// Time between two ticks, and between two rounds of maintenance.
const TICK: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(200);

/// Times at which a thread looks whether something is due, one of so many.
const DUE_EVERY: usize = 12;

/// What a process is told when it begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) plan: Plan,
    pub(crate) place: PathBuf,
    /// Its number.
    pub(crate) number: u64,
    /// What the store's clock shows.
    pub(crate) clock: i64,
}

/// What is in the store as far as anybody was told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) states: Vec<Option<State>>,
    /// Changes that somebody was about to make when they were killed.
    pub(crate) pending: BTreeMap<usize, Change>,
}

pub(crate) fn model_in(place: &Path) -> PathBuf {
    place.join("model")
}

impl Life {
    pub(crate) fn give_to(&self, command: &mut Command) {
        command.env(LIFE, serde_json::to_string(self).unwrap());
    }

    /// The one that this process is to have, if it is to have one.
    pub(crate) fn given() -> Option<Self> {
        env::var(LIFE).ok().map(|text| serde_json::from_str(&text).unwrap())
    }

    /// Works until the process is killed or its input ends.
    pub(crate) fn live(&self) {
        let watch = Stopwatch::start();
        let clock = clock_at(self.clock);
        let Model { states, pending } =
            serde_json::from_reader(BufReader::new(File::open(model_in(&self.place)).unwrap())).unwrap();
        let mut chance = Chance::new(self.plan.seed.wrapping_mul(1_000_003).wrapping_add(self.number));
        let ledger = ledger_of(&self.plan, states, self.clock, &mut chance);
        let tell = |told: &Told| say(&serde_json::to_string(told).unwrap());
        let desk = Arc::new(Desk::new(&self.plan, &clock, self.number, ledger, tell));
        let (is_over, is_working) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if is_working.load(Ordering::Relaxed) {
                        let passed = self.plan.passed(watch.elapsed());
                        clock.set(Utc.timestamp_millis_opt(self.clock + passed).unwrap());
                    }
                    tick(&desk, &watch);
                    thread::sleep(TICK);
                }
            });
            let open = builder(&self.place, &self.plan, &clock, Renew(Arc::clone(&desk))).mode(OpenMode::OpenExisting);
            let store = open.open().unwrap_or_else(|error| desk.fault(format!("the store does not open: {error:?}")));
            desk.tell(&Told::Open { after_ms: millis_of(&watch) });
            verify(&desk, &store.default_secrets_manager(), &pending);
            is_working.store(true, Ordering::Relaxed);
            work(&desk, &store, &is_over, chance.next());
            tick(&desk, &watch);
            if let Err(error) = store.close() {
                desk.fault(format!("the store does not close: {error:?}"));
            }
            desk.tell(&Told::Ended);
        });
    }
}

pub(crate) fn clock_at(millis: i64) -> ManualClock {
    ManualClock::at_millis(millis)
}

/// A ledger of these states.
pub(crate) fn ledger_of(plan: &Plan, states: Vec<Option<State>>, now: i64, chance: &mut Chance) -> Ledger {
    Ledger::new(states.into_iter().enumerate().map(|(secret, state)| {
        let newest = state.as_ref().and_then(|state| state.versions.last()).map_or(now, |made| made.at);
        let last_at = match plan.kind(secret) {
            // Another process asked for rotations before; they go on as often as before.
            Kind::Turning => now - i64::try_from(chance.below(usize::try_from(ASKED_EVERY).unwrap())).unwrap(),
            _ => newest,
        };
        (state.map(Arc::new), last_at)
    }))
}

fn millis_of(watch: &Stopwatch) -> u64 {
    u64::try_from(watch.elapsed().as_millis()).unwrap()
}

fn tick(desk: &Desk, watch: &Stopwatch) {
    desk.tell(&Told::Tick(Tick {
        age_ms: millis_of(watch),
        clock: desk.now(),
        resident_bytes: resident_bytes(),
        heap_bytes: bytes_in_use(),
        counts: desk.counts(),
    }));
}

/// Reads everything. Of a change that was pending, either all is there or nothing.
pub(crate) fn verify(desk: &Desk, secrets: &SecretsManager, pending: &BTreeMap<usize, Change>) {
    let (mut values, mut applied) = (0, Vec::new());
    for secret in 0..desk.plan.secrets() {
        let before = desk.ledger.acknowledged(secret);
        let without = contradiction(desk, secrets, secret, &before, &mut values);
        let Some(change) = pending.get(&secret) else {
            if let Some(fault) = without {
                desk.fault(format!("secret {secret} is not what was acknowledged: {fault}\n{before:?}"));
            }
            continue;
        };
        let Some(without) = without else { continue };
        let with = after(before.as_deref(), change).map(Arc::new);
        if let Some(fault) = contradiction(desk, secrets, secret, &with, &mut values) {
            desk.fault(format!("secret {secret}, {change:?} pending: not before ({without}), not after ({fault})"));
        }
        desk.ledger.intend(secret, with);
        desk.ledger.acknowledge(secret);
        applied.push(secret);
    }
    desk.tell(&Told::Verified { values, applied });
}

/// What of a secret contradicts what is known, while nobody changes it and the clock stands still.
fn contradiction(
    desk: &Desk,
    secrets: &SecretsManager,
    secret: usize,
    known: &Known,
    values: &mut u64,
) -> Option<String> {
    let now = desk.now();
    let there = known.as_deref().filter(|state| state.deletion_at.is_none_or(|at| at > now));
    match (observe(secrets, &desk.plan, secret), there) {
        (Err(fault), _) => Some(fault),
        (Ok((None, _)), None) => None,
        (Ok((None, _)), Some(_)) => Some("it is gone".to_owned()),
        (Ok((Some(_), _)), None) => Some("it is there".to_owned()),
        (Ok((Some(observed), read)), Some(state)) => {
            *values += read;
            observed.fault(state, &desk.plan, secret, now).map(|fault| format!("{fault}; there is {observed:?}"))
        }
    }
}

/// All threads, until the input ends.
fn work(desk: &Desk, store: &SecretStore, is_over: &AtomicBool, seed: u64) {
    thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                desk.maintain(store);
                thread::sleep(PAUSE);
            }
        });
        for thread in 0..desk.plan.threads {
            let (secrets, mut chance) = (store.default_secrets_manager(), Chance::new(seed ^ thread));
            threads.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    work_once(desk, &secrets, &mut chance);
                }
            });
        }
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        is_over.store(true, Ordering::Relaxed);
    });
}

fn work_once(desk: &Desk, secrets: &SecretsManager, chance: &mut Chance) {
    if chance.below(DUE_EVERY) == 0 {
        do_if_due(desk, secrets, chance);
    }
    let reader = Reader { desk, secrets };
    match chance.below(100) {
        0..50 => reader.get(chance),
        50..54 => reader.batch(chance),
        54..62 => reader.describe(chance),
        62..66 => reader.policy(chance),
        66..68 => reader.list(chance),
        68..70 => reader.versions(chance),
        _ => change_something(desk, secrets, chance),
    }
}

/// A secret of a kind, by chance, if there are any.
fn one_of(desk: &Desk, kind: Kind, chance: &mut Chance) -> Option<usize> {
    let count = desk.plan.of_kind(kind).count();
    desk.plan.of_kind(kind).nth(chance.below(count.max(1)))
}

/// A value for a busy secret, or a rotation, if it is time.
fn do_if_due(desk: &Desk, secrets: &SecretsManager, chance: &mut Chance) {
    let (kind, every) = *chance.pick(&[(Kind::Busy, BUSY_EVERY), (Kind::Turning, ASKED_EVERY)]);
    let Some(secret) = one_of(desk, kind, chance) else { return };
    let Some(mut writer) = desk.ledger.take_if_free(secret) else { return };
    if desk.now() < writer.last_at + every {
        return;
    }
    writer.last_at = desk.now();
    if kind == Kind::Busy {
        desk.change(secrets, secret, &writer, Change::Put(desk.made(), Label::Current));
    } else {
        desk.ask_to_rotate(secrets, secret);
    }
}

fn change_something(desk: &Desk, secrets: &SecretsManager, chance: &mut Chance) {
    let kind = if chance.below(20) == 0 { Kind::Turning } else { Kind::Plain };
    let Some(secret) = one_of(desk, kind, chance) else { return };
    // Whoever comes second looks for something else.
    let Some(writer) = desk.ledger.take_if_free(secret) else { return };
    let change = match (kind, desk.ledger.acknowledged(secret)) {
        (Kind::Turning, Some(_)) => about_it(desk, chance),
        (_, state) => next_change(desk, chance, state.as_deref()),
    };
    desk.change(secrets, secret, &writer, change);
}

/// A change that has nothing to do with values.
fn about_it(desk: &Desk, chance: &mut Chance) -> Change {
    match chance.below(6) {
        0 => Change::Describe(desk.number()),
        1 | 2 => Change::Tag(chance.below(TAGS), desk.number()),
        3 => Change::Untag(chance.below(TAGS)),
        4 => Change::Attach(desk.number()),
        _ => Change::Detach,
    }
}

/// A change that succeeds on a plain secret in this state.
pub(crate) fn next_change(desk: &Desk, chance: &mut Chance, state: Option<&State>) -> Change {
    let Some(state) = state else { return Change::Create(desk.made()) };
    if state.deletion_at.is_some() {
        return if chance.below(4) == 0 { Change::Purge } else { Change::Restore };
    }
    if state.versions.len() >= VERSIONS_MAX {
        return Change::Purge;
    }
    match chance.below(20) {
        0..9 => Change::Put(desk.made(), Label::Current),
        9 => Change::Put(desk.made(), Label::Pending),
        10 => Change::Put(desk.made(), Label::Blue),
        11 | 12 => {
            let label = *chance.pick(&[Label::Current, Label::Blue]);
            let to = *chance.pick(&state.versions);
            if state.holder(label) == Some(to) { about_it(desk, chance) } else { Change::Move(label, to) }
        }
        13 => {
            let label = *chance.pick(&[Label::Pending, Label::Blue]);
            if state.holder(label).is_none() { about_it(desk, chance) } else { Change::Remove(label) }
        }
        14 => Change::Schedule(desk.now() + 7 * DAY),
        15 if chance.below(2) == 0 => Change::Purge,
        _ => about_it(desk, chance),
    }
}
