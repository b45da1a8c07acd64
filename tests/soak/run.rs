//! The parent: it keeps an account of what was acknowledged, kills one process after the other, and inspects what is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use strongroom::testing::ManualClock;
use strongroom::{ListSecretVersionIdsRequest, OpenMode, SecretStore, VerifyOptions};

use crate::desk::{Desk, Renew};
use crate::fill::fill;
use crate::plan::{Chance, Kind, Plan, START, builder, millis, name_of, store_in};
use crate::process::Running;
use crate::state::{State, after};
use crate::told::{Counts, Stopwatch, Tick, Told, disk_bytes};
use crate::work::{Life, Model, clock_at, ledger_of, model_in, verify};

/// Of so many processes one is killed early, most of the time before the store is open.
const EARLY_EVERY: u64 = 8;

/// How long one process lives afterwards that nobody kills, for each second in which processes were killed.
const UNKILLED: f64 = 0.5;

/// Ticks of which the memory of a process is the median.
const GROWN_TICKS: usize = 5;

/// Rounds of maintenance after which nothing may be left that is due.
const ROUNDS_MAX: usize = 20;

/// How large a process was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Seconds since the beginning.
    pub(crate) at: f64,
    /// Bytes that it had from the system, if that could be told.
    pub(crate) resident: Option<f64>,
    /// Bytes that it had in use itself.
    pub(crate) heap: f64,
}

/// How large the store was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    /// Seconds since the beginning.
    pub(crate) at: f64,
    /// Bytes of all files of its directory.
    pub(crate) bytes: f64,
    /// Bytes of the values that can be read.
    pub(crate) values: f64,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) kills: u64,
    pub(crate) kills_before_open: u64,
    pub(crate) kills_before_work: u64,
    /// Changes that were under way when a process was killed, and were made; and those that were not.
    pub(crate) applied: u64,
    pub(crate) not_applied: u64,
    /// Values that were read after kills.
    pub(crate) verified_values: u64,
    pub(crate) rotations_asked_for: u64,
    /// Seconds from the start of a process until the store was open.
    pub(crate) openings: Vec<f64>,
    /// Of each process that was killed, after as much work as the others had done; of those that came so far.
    pub(crate) lives: Vec<Memory>,
    /// Of the process that was not killed.
    pub(crate) unkilled: Vec<Memory>,
    pub(crate) disk: Vec<Disk>,
    pub(crate) last: Last,
}

/// What the last inspection found.
#[derive(Debug, Default)]
pub(crate) struct Last {
    pub(crate) secrets: u64,
    /// Bytes of everything that is live, as a backup has it.
    pub(crate) live_bytes: f64,
    /// Bytes of the directory, as the work has left it.
    pub(crate) grown_bytes: f64,
    /// Whether the job that keeps files in bounds had something to do.
    pub(crate) is_compacted: bool,
    pub(crate) maintained_bytes: f64,
    pub(crate) compacted_bytes: f64,
}

/// What is known of the store, from what was told.
struct Account {
    plan: Plan,
    model: Model,
    /// The version of the last rotation that each secret was asked to make.
    asked: BTreeMap<usize, String>,
    outcome: Outcome,
}

impl Account {
    fn hear(&mut self, told: &Told) {
        let Self { model: Model { states, pending }, asked, outcome, .. } = self;
        match told {
            Told::Will { secret, change } => {
                let before = pending.insert(*secret, change.clone());
                assert_eq!(before, None, "two changes of secret {secret} at a time");
            }
            Told::Done { secret } => {
                let change = pending.remove(secret).unwrap();
                states[*secret] = after(states[*secret].as_ref(), &change);
            }
            Told::Verified { values, applied } => {
                outcome.verified_values += values;
                for (secret, change) in std::mem::take(pending) {
                    let is_applied = applied.contains(&secret);
                    outcome.applied += u64::from(is_applied);
                    outcome.not_applied += u64::from(!is_applied);
                    if is_applied {
                        states[secret] = after(states[secret].as_ref(), &change);
                    }
                }
            }
            Told::Asked { secret, version } => {
                outcome.rotations_asked_for += 1;
                asked.insert(*secret, version.clone());
            }
            Told::Open { .. } | Told::Tick(_) | Told::Ended | Told::Fault(_) => {}
        }
    }

    /// Bytes of all values that are kept at a time.
    fn value_bytes(&self, now: i64) -> usize {
        let bytes = |(secret, state): (usize, &State)| {
            let versions = state.kept(now).into_iter();
            versions.map(|made| made.bytes(&self.plan, secret)).sum::<usize>()
        };
        let states = self.model.states.iter().enumerate();
        states.filter_map(|(secret, state)| Some(bytes((secret, state.as_ref()?)))).sum()
    }

    fn is_there(&self, secret: usize, now: i64) -> bool {
        self.model.states[secret].as_ref().is_some_and(|state| state.deletion_at.is_none_or(|at| at > now))
    }
}

/// A soak at work.
struct Soak<'a> {
    place: &'a Path,
    command: &'a dyn Fn() -> Command,
    watch: Stopwatch,
    account: Account,
    clock: i64,
}

/// What one process told.
#[derive(Default)]
struct Heard {
    is_open: bool,
    is_verified: bool,
    is_ended: bool,
    last: Option<Tick>,
    /// From when it had done as much as the others when they were looked at.
    grown: Vec<Tick>,
}

fn median(numbers: impl Iterator<Item = u64>) -> Option<f64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).map(|number| *number as f64)
}

/// Does all of it. Whatever is not as it should be ends it with a panic that says what.
pub(crate) fn run(plan: &Plan, place: &Path, command: &dyn Fn() -> Command) -> Outcome {
    let states = fill(place, plan);
    let model = Model { states, pending: BTreeMap::new() };
    let account = Account { plan: plan.clone(), model, asked: BTreeMap::new(), outcome: Outcome::default() };
    let mut soak = Soak { place, command, watch: Stopwatch::start(), account, clock: START };
    let mut chance = Chance::new(plan.seed);
    let until = |part: f64| Duration::from_secs_f64(plan.seconds as f64 * part);
    let mut number = 0_u64;
    while soak.watch.elapsed() < until(1.0) {
        number += 1;
        let life = usize::try_from(plan.life_ms).unwrap();
        let life = if number.is_multiple_of(EARLY_EVERY) {
            chance.below(life / 8)
        } else {
            life * 4 / 5 + chance.below(life * 2 / 5)
        };
        soak.live_and_die(number, Duration::from_millis(life as u64));
    }
    soak.live_on(number + 1, until(1.0 + UNKILLED));
    soak.inspect();
    soak.account.outcome
}

impl Soak<'_> {
    fn start(&mut self, number: u64) -> Running {
        let Account { plan, model, .. } = &self.account;
        fs::write(model_in(self.place), serde_json::to_string(model).unwrap()).unwrap();
        self.clock = self.clock.max(START + plan.passed(self.watch.elapsed()));
        let life = Life { plan: plan.clone(), place: self.place.to_owned(), number, clock: self.clock };
        let mut command = (self.command)();
        life.give_to(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        Running::start(command)
    }

    fn hear(&mut self, line: &str, heard: &mut Heard) {
        let told: Told = serde_json::from_str(line).unwrap();
        self.account.hear(&told);
        match told {
            Told::Open { after_ms } => {
                heard.is_open = true;
                self.account.outcome.openings.push(after_ms as f64 / 1_000.0);
            }
            Told::Verified { .. } => heard.is_verified = true,
            Told::Ended => heard.is_ended = true,
            Told::Tick(tick) => {
                self.clock = self.clock.max(tick.clock);
                heard.last = Some(tick);
                if tick.counts.calls >= self.account.plan.grown_calls && heard.grown.len() < GROWN_TICKS {
                    heard.grown.push(tick);
                }
                self.measure_disk();
            }
            Told::Fault(text) => panic!("soak, seed {}: {text}", self.account.plan.seed),
            Told::Will { .. } | Told::Done { .. } | Told::Asked { .. } => {}
        }
    }

    /// Once a second.
    fn measure_disk(&mut self) {
        let at = self.watch.elapsed().as_secs_f64();
        let Account { outcome, .. } = &self.account;
        if outcome.disk.last().is_some_and(|last| at < last.at + 1.0) {
            return;
        }
        let (bytes, values) = (disk_bytes(&store_in(self.place)) as f64, self.account.value_bytes(self.clock) as f64);
        self.account.outcome.disk.push(Disk { at, bytes, values });
    }

    /// One process, which is killed.
    fn live_and_die(&mut self, number: u64, life: Duration) {
        let begin = self.watch.elapsed();
        let running = self.start(number);
        let mut heard = Heard::default();
        if number.is_multiple_of(EARLY_EVERY) {
            thread::sleep(life);
        } else {
            // Every other one comes to its work, however slow the machine is.
            let has_to_work = !number.is_multiple_of(2);
            let mut end = begin + life;
            while self.watch.elapsed() < end || (has_to_work && !heard.is_verified) {
                let Some(line) = running.hear_if_any() else { panic!("a process ended by itself") };
                let was_verified = heard.is_verified;
                self.hear(&line, &mut heard);
                if has_to_work && heard.is_verified && !was_verified {
                    end = end.max(self.watch.elapsed() + life / 2);
                }
            }
        }
        for line in running.kill() {
            self.hear(&line, &mut heard);
        }
        let outcome = &mut self.account.outcome;
        outcome.kills += 1;
        outcome.kills_before_open += u64::from(!heard.is_open);
        outcome.kills_before_work += u64::from(heard.is_open && !heard.is_verified);
        let Some(last) = heard.last else { return };
        outcome.counts.add(&last.counts);
        let at = self.watch.elapsed().as_secs_f64();
        if let Some(heap) = median(heard.grown.iter().map(|tick| tick.heap_bytes)) {
            let resident = median(heard.grown.iter().filter_map(|tick| tick.resident_bytes));
            outcome.lives.push(Memory { at, resident, heap });
        }
    }

    /// One process, which may work until a time and is then asked to end.
    fn live_on(&mut self, number: u64, end: Duration) {
        let running = self.start(number);
        let mut heard = Heard::default();
        while self.watch.elapsed() < end || !heard.is_verified {
            let Some(line) = running.hear_if_any() else { panic!("a process ended by itself") };
            let before = heard.last.map(|tick| tick.age_ms);
            self.hear(&line, &mut heard);
            if let Some(tick) = heard.last.filter(|tick| Some(tick.age_ms) != before && heard.is_verified) {
                let (at, heap) = (self.watch.elapsed().as_secs_f64(), tick.heap_bytes as f64);
                let resident = tick.resident_bytes.map(|bytes| bytes as f64);
                self.account.outcome.unkilled.push(Memory { at, resident, heap });
            }
        }
        let (lines, status) = running.finish();
        for line in lines {
            self.hear(&line, &mut heard);
        }
        assert!(heard.is_ended && status.success(), "the last process ended with {status}");
        let pending = &self.account.model.pending;
        assert!(pending.is_empty(), "a process ended that was about to do something: {pending:?}");
        if let Some(last) = heard.last {
            self.account.outcome.counts.add(&last.counts);
        }
    }
}

impl Soak<'_> {
    /// Opens the store, has everything done that is due, then and nine days later, reads everything, and measures.
    fn inspect(&mut self) {
        let clock = clock_at(self.clock);
        let told = Arc::new(Mutex::new(Vec::new()));
        let plan = self.account.plan.clone();
        let ledger = ledger_of(&plan, self.account.model.states.clone(), self.clock, &mut Chance::new(0));
        let tell = Arc::clone(&told);
        let desk = Desk::new(&plan, &clock, u64::from(u32::MAX >> 1), ledger, move |line: &Told| {
            tell.lock().unwrap().push(line.clone());
        });
        let desk = Arc::new(desk);
        let open = || builder(self.place, &plan, &clock, Renew(Arc::clone(&desk))).mode(OpenMode::OpenExisting);
        let store = open().open().unwrap();
        verify(&desk, &store.default_secrets_manager(), &BTreeMap::new());
        for days in [0, 9] {
            clock.advance(chrono::TimeDelta::days(days));
            let is_done = (0..ROUNDS_MAX).any(|_| {
                let report = desk.maintain(&store);
                report.rotated_secrets + report.purged_secrets + report.removed_versions == 0
            });
            assert!(is_done, "maintenance has no end");
        }
        verify(&desk, &store.default_secrets_manager(), &BTreeMap::new());
        for line in told.lock().unwrap().drain(..) {
            self.account.hear(&line);
        }
        self.check_counts(&store, &clock);
        let live = store.backup(self.place.join("backup"), &mut |_| {}).unwrap();
        let grown_bytes = disk_bytes(&store_in(self.place)) as f64;
        store.close().unwrap();
        let is_compacted = open().compact_if_recommended(&mut |_| {}).unwrap().is_compacted;
        let maintained_bytes = disk_bytes(&store_in(self.place)) as f64;
        open().compact(&mut |_| {}).unwrap();
        let compacted_bytes = disk_bytes(&store_in(self.place)) as f64;
        let store = open().open().unwrap();
        verify(&desk, &store.default_secrets_manager(), &BTreeMap::new());
        store.close().unwrap();
        self.account.outcome.last = Last {
            secrets: live.secrets,
            live_bytes: live.bytes as f64,
            grown_bytes,
            is_compacted,
            maintained_bytes,
            compacted_bytes,
        };
    }

    /// Nothing is left of what is past its time, nothing is missing, and every rotation was carried out.
    fn check_counts(&self, store: &SecretStore, clock: &ManualClock) {
        let (account, plan, now) = (&self.account, &self.account.plan, millis(clock));
        let there = (0..plan.secrets()).filter(|secret| account.is_there(*secret, now)).count() as u64;
        assert_eq!(store.stats().unwrap().secrets, there, "secrets, after maintenance");
        let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "{report:#?}");
        let secrets = store.default_secrets_manager();
        let versions = |secret: usize| -> Vec<String> {
            let mut versions = Vec::new();
            let mut token: Option<String> = None;
            loop {
                let mut request = ListSecretVersionIdsRequest::new(name_of(secret)).include_deprecated(true);
                if let Some(token) = token {
                    request = request.next_token(token);
                }
                let page = secrets.list_secret_version_ids(request).unwrap();
                versions.extend(page.versions.into_iter().map(|version| version.version_id));
                token = page.next_token;
                if token.is_none() {
                    return versions;
                }
            }
        };
        for secret in plan.of_kind(Kind::Busy) {
            let kept = account.model.states[secret].as_ref().unwrap().kept(now);
            let kept: Vec<String> = kept.into_iter().map(|made| made.token(secret)).collect();
            assert_eq!(versions(secret), kept, "versions of secret {secret} that are left");
        }
        for (secret, version) in &account.asked {
            assert!(versions(*secret).contains(version), "rotation {version} of secret {secret} was not carried out");
        }
    }
}

impl Outcome {
    /// In one line.
    pub(crate) fn summary(&self) -> String {
        let Counts { calls, changes, reads, values, rotated, purged, removed_versions } = self.counts;
        let Self { kills, kills_before_open, kills_before_work, applied, not_applied, verified_values, .. } = self;
        let under_way = applied + not_applied;
        format!(
            "{kills} kills ({kills_before_open} before the store was open, {kills_before_work} while everything was read), \
             {calls} calls, {changes} changes acknowledged, {reads} answers and {values} values compared, \
             {verified_values} values read after kills, {under_way} changes under way at kills ({applied} of them made), \
             {rotated} rotations, {purged} secrets purged, {removed_versions} versions removed; 0 lost, 0 wrong"
        )
    }
}
