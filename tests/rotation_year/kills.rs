//! Processes that are killed while secrets rotate, by themselves and because somebody asks, and others meddle with them.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    CancelRotateSecretRequest, Clock, CreateSecretRequest, DescribeSecretRequest, Entropy, Error,
    GetSecretValueRequest, LocalKeyring, PutSecretValueRequest, RotateSecretRequest, RotationCall, RotationError,
    RotationFunction, RotationStep, SecretStore, SecretsManager, Timestamp, UpdateSecretVersionStageRequest,
    VerifyOptions,
};

use crate::calendar::{DAY, START, Spec};
use crate::child::{self, say};
use crate::year::{do_step, rules_of, value_of};

const KILLS: u64 = 20;

/// Days between the times at which two children begin.
const DAYS_OF_A_CHILD: i64 = 10;
/// Hours by which each of its two threads of maintenance moves the clock.
const HOURS_OF_A_THREAD: usize = 60;

/// What the secrets rotate by. `None`: only when somebody asks.
const SPECS: [Option<Spec>; 8] = [
    None,
    Some(Spec::expression("rate(4 hours)")),
    Some(Spec::days(1)),
    Some(Spec::expression("cron(0 8 * * ? *)")),
    None,
    Some(Spec::expression("rate(6 hours)").open("2h")),
    Some(Spec::expression("rate(12 hours)")),
    Some(Spec::days(2).open("4h")),
];

fn name_of(secret: usize) -> String {
    format!("kill/{secret}")
}

fn names() -> impl Iterator<Item = String> {
    (0..SPECS.len()).map(name_of)
}

fn arn_of(secret: usize) -> String {
    let function = if secret.is_multiple_of(2) { "fast" } else { "slow" };
    format!("arn:aws:lambda:us-east-1:000000000000:function:{function}")
}

/// Numbers that look like chance and repeat.
struct Chance(SeededEntropy);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_be_bytes(bytes) % end
    }

    fn secret(&self) -> String {
        name_of(usize::try_from(self.below(SPECS.len() as u64)).unwrap())
    }
}

/// A function that says what it does, before it does it and afterwards.
#[derive(Clone)]
struct Telling {
    tell: Arc<dyn Fn(String) + Send + Sync>,
    is_slow: bool,
}

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Telling")
    }
}

impl RotationFunction for Telling {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let described = call.secrets.describe_secret(DescribeSecretRequest::new(&call.secret_id))?;
        let (name, token, step) = (described.name, &call.client_request_token, call.step);
        let is_test = call.secrets.rotation_status(&name)?.and_then(|status| status.in_progress);
        let is_test = is_test.is_some_and(|job| job.version_id == *token && job.is_test);
        if !is_test {
            (self.tell)(format!("step\t{name}\t{token}\t{step}"));
        }
        if self.is_slow {
            // So that a kill finds it at work.
            thread::sleep(Duration::from_millis(8));
        }
        do_step(call, token.ends_with('0'))?;
        if call.step == RotationStep::FinishSecret {
            (self.tell)(format!("moved\t{name}\t{token}"));
        }
        Ok(())
    }
}

fn open(place: &Path, clock: &ManualClock, tell: impl Fn(String) + Send + Sync + 'static) -> SecretStore {
    let keyring = LocalKeyring::open_or_create(place.join("keys")).expect("the key file opens");
    let fast = Telling { tell: Arc::new(tell), is_slow: false };
    let slow = Telling { is_slow: true, ..fast.clone() };
    let builder = SecretStore::builder(place.join("store")).key_provider(keyring).clock(clock.clone());
    let builder = builder.rotation_function(arn_of(0), fast).rotation_function(arn_of(1), slow).rotation_workers(3);
    builder.open().unwrap_or_else(|error| panic!("the store does not open: {error:?}"))
}

/// Who has `AWSPENDING`.
fn pending_of(secrets: &SecretsManager, name: &str) -> Result<Option<String>, Error> {
    let described = secrets.describe_secret(DescribeSecretRequest::new(name))?;
    let labels = described.version_ids_to_stages.unwrap_or_default();
    let holds = |labels: &Vec<String>| labels.iter().any(|label| label == "AWSPENDING");
    Ok(labels.into_iter().find(|(_, labels)| holds(labels)).map(|(id, _)| id))
}

/// In the child: maintenance on two threads, and users on three.
pub(crate) fn work(place: &Path, seed: u64) {
    let clock = ManualClock::at_millis(START + DAYS_OF_A_CHILD * DAY * i64::try_from(seed).unwrap());
    let store = open(place, &clock, |line| say(&line));
    say("open");
    thread::scope(|threads| {
        for number in 0..2 {
            let (store, clock) = (&store, &clock);
            threads.spawn(move || {
                for round in 0.. {
                    if round < HOURS_OF_A_THREAD {
                        clock.advance(TimeDelta::hours(1));
                    } else {
                        thread::sleep(Duration::from_millis(3));
                    }
                    say(&format!("round\t{number}"));
                    if let Err(error) = store.maintain() {
                        return say(&format!("failed\tmaintain\t{error:?}"));
                    }
                }
            });
        }
        for thread in 0..3 {
            let secrets = store.default_secrets_manager();
            threads.spawn(move || meddle(&secrets, thread, seed));
        }
    });
}

/// Calls of one user, each told before and afterwards.
fn meddle(secrets: &SecretsManager, thread: u64, seed: u64) {
    let chance = Chance::new(seed * 10 + thread);
    for number in 0_u64.. {
        let (name, token) = (chance.secret(), format!("{:036}", (seed * 10 + thread) * 1_000_000 + number));
        let verb = match (thread, chance.below(4)) {
            (0, 0) => "test",
            (0, _) => "rotate",
            (1, _) => "put",
            (_, 0) => "cancel",
            _ => "clear",
        };
        say(&format!("will\t{thread}\t{verb}\t{name}\t{token}"));
        let rotate = RotateSecretRequest::new(&name).client_request_token(&token);
        let done = match verb {
            "test" => secrets.rotate_secret(rotate.rotate_immediately(false)).map(drop),
            "rotate" => secrets.rotate_secret(rotate).map(drop),
            "put" => {
                let put = PutSecretValueRequest::new(&name, value_of(&token)).client_request_token(&token);
                secrets.put_secret_value(put).map(drop)
            }
            "cancel" => secrets.cancel_rotate_secret(CancelRotateSecretRequest::new(&name)).map(drop),
            _ => pending_of(secrets, &name).and_then(|pending| {
                let Some(pending) = pending else { return Ok(()) };
                let clear = UpdateSecretVersionStageRequest::new(&name, "AWSPENDING").remove_from_version_id(pending);
                secrets.update_secret_version_stage(clear).map(drop)
            }),
        };
        match done {
            Ok(()) => say(&format!("done\t{thread}")),
            // Another rotation stands in the way, or somebody else took the label away first.
            Err(error) if verb != "put" && is_refusal(&error) => say(&format!("refused\t{thread}")),
            Err(error) => say(&format!("failed\t{verb}\t{error:?}")),
        }
        thread::sleep(Duration::from_millis(3));
    }
}

fn is_refusal(error: &Error) -> bool {
    ["InvalidRequestException", "InvalidParameterException", "ResourceNotFoundException"].contains(&error.code())
}

/// What a killed child had said of one secret, by the number of the line.
#[derive(Default)]
struct Heard {
    /// Rotations that were begun for sure, and since when.
    begun: BTreeMap<String, usize>,
    /// Rotations that may have been begun.
    perhaps_begun: BTreeSet<String>,
    moved: BTreeSet<String>,
    /// The last line at which a call that ends rotations could have been under way. The largest number: when it was killed.
    ended_until: Option<usize>,
}

fn listen(lines: &[String], known: &BTreeMap<String, String>, tally: &mut Tally) -> BTreeMap<String, Heard> {
    let mut heard: BTreeMap<String, Heard> = names().map(|name| (name, Heard::default())).collect();
    for (name, token) in known {
        heard.get_mut(name).unwrap().begun.insert(token.clone(), 0);
    }
    let mut under_way: BTreeMap<&str, (usize, &str, &str, &str)> = BTreeMap::new();
    // A rotation that began by itself did so after the call of `maintain` had begun that called the function.
    let mut rounds: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["open"] => {}
            ["round", thread] => _ = rounds.insert(thread, number),
            ["step", name, token, _] => {
                tally.steps += 1;
                let began = rounds.values().copied().min().unwrap_or(0);
                heard.get_mut(name).unwrap().begun.entry(token.to_owned()).or_insert(began);
            }
            ["moved", name, token] => {
                tally.moved += 1;
                heard.get_mut(name).unwrap().moved.insert(token.to_owned());
            }
            ["will", thread, verb, name, token] => _ = under_way.insert(thread, (number, verb, name, token)),
            ["refused", thread] => _ = under_way.remove(thread),
            ["done", thread] => {
                let (begun, verb, name, token) = under_way.remove(thread).unwrap();
                let heard = heard.get_mut(name).unwrap();
                match verb {
                    "rotate" => {
                        tally.acknowledged += 1;
                        heard.begun.insert(token.to_owned(), begun);
                    }
                    "test" => tally.tests += 1,
                    _ => heard.ended_until = heard.ended_until.max(Some(number)),
                }
            }
            _ => panic!("the child says: {line}"),
        }
    }
    for (_, verb, name, token) in under_way.into_values() {
        let heard = heard.get_mut(name).unwrap();
        match verb {
            "rotate" => _ = heard.perhaps_begun.insert(token.to_owned()),
            "test" => {}
            _ => heard.ended_until = Some(usize::MAX),
        }
    }
    heard
}

#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    kills_before_open: usize,
    steps: usize,
    moved: usize,
    acknowledged: usize,
    tests: usize,
    ended_by_somebody: usize,
    unfinished: usize,
    finished_later: usize,
}

/// The labels of a secret: the version of each. No label is on two, and there is a current version.
fn labels_of(secrets: &SecretsManager, name: &str) -> BTreeMap<String, String> {
    let described = secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap();
    let mut labels = BTreeMap::new();
    for (version, held) in described.version_ids_to_stages.unwrap_or_default() {
        for label in held {
            let other = labels.insert(label.clone(), version.clone());
            assert_eq!(other, None, "{name}: {label} is on two versions");
        }
    }
    assert!(labels.contains_key("AWSCURRENT"), "{name} has no current version: {labels:?}");
    labels
}

/// The value of a version, if it has one.
fn value(secrets: &SecretsManager, name: &str, version: &str) -> Option<String> {
    match secrets.get_secret_value(GetSecretValueRequest::new(name).version_id(version)) {
        Ok(read) => Some(read.secret_string.unwrap().expose().to_owned()),
        Err(error) if error.code() == "ResourceNotFoundException" => None,
        Err(error) => panic!("{name}, {version}: {error:?}"),
    }
}

/// The version of the rotation that a secret is in, tests apart.
fn job_of(secrets: &SecretsManager, name: &str) -> Option<String> {
    let status = secrets.rotation_status(name).unwrap()?;
    status.in_progress.filter(|job| !job.is_test).map(|job| job.version_id)
}

/// A secret after a kill: everything that was begun is done, under way, or was ended by somebody. Gives what is under way.
fn check(secrets: &SecretsManager, name: &str, heard: &Heard, tally: &mut Tally) -> Option<String> {
    let labels = labels_of(secrets, name);
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        if let Some(version) = labels.get(label) {
            assert_eq!(value(secrets, name, version), Some(value_of(version)), "{name}: the value with {label}");
        }
    }
    let job = job_of(secrets, name);
    if let Some(job) = &job {
        let holds = |label| labels.get(label) == Some(job);
        assert!(
            holds("AWSPENDING") || holds("AWSCURRENT"),
            "{name}: no label on {job}, which is being made: {labels:?}"
        );
        let stored = value(secrets, name, job);
        assert!(stored.is_none_or(|stored| stored == value_of(job)), "{name}: the value of {job}");
    }
    for (token, since) in &heard.begun {
        let is_finished = heard.moved.contains(token)
            || ["AWSCURRENT", "AWSPREVIOUS"].iter().any(|label| labels.get(*label) == Some(token));
        if is_finished || job.as_ref() == Some(token) {
            continue;
        }
        let is_ended = heard.ended_until.is_some_and(|until| until > *since);
        assert!(is_ended, "{name}: the rotation to {token} was begun and is lost; now {job:?}, {labels:?}");
        tally.ended_by_somebody += 1;
    }
    // Tokens of users are numbers, those of schedules are not.
    if let Some(job) = job.as_ref().filter(|job| job.bytes().all(|byte| byte.is_ascii_digit())) {
        let is_known = heard.begun.contains_key(job) || heard.perhaps_begun.contains(job);
        assert!(is_known, "{name}: nobody asked for {job}");
    }
    job
}

/// Brings every rotation to its end that is under way, by nothing but time, or by asking for the same again.
fn finish(store: &SecretStore, clock: &ManualClock, mut unfinished: BTreeMap<String, String>, tally: &mut Tally) {
    let secrets = store.default_secrets_manager();
    for _ in 0..200 {
        for (name, token) in &unfinished {
            let status = secrets.rotation_status(name).unwrap().unwrap();
            let job = status.in_progress.unwrap_or_else(|| panic!("{name}: {token} is forgotten"));
            assert_eq!(job.version_id, *token, "{name}: another version is being made");
            if job.next_attempt_at.is_none() && status.next_window.is_none() {
                let again = RotateSecretRequest::new(name).client_request_token(token);
                assert_eq!(secrets.rotate_secret(again).unwrap().version_id, *token);
            }
        }
        let report = store.maintain().unwrap();
        unfinished.retain(|name, token| {
            if job_of(&secrets, name).as_ref() == Some(token) {
                return true;
            }
            let labels = labels_of(&secrets, name);
            assert_eq!(labels["AWSCURRENT"], *token, "{name}: what is current after the rotation");
            assert_eq!(value(&secrets, name, token), Some(value_of(token)), "{name}: the value after the rotation");
            let described = secrets.describe_secret(DescribeSecretRequest::new(name)).unwrap();
            assert_eq!(described.last_rotated_date, Some(clock.now()), "{name}: when it was rotated");
            tally.finished_later += 1;
            false
        });
        if unfinished.is_empty() {
            return;
        }
        let soon = clock.now() + TimeDelta::minutes(1);
        clock.set(report.next_due_at.map_or(soon, |due| due.max(soon)));
    }
    panic!("these rotations never end: {unfinished:?}");
}

fn time_of(seed: u64) -> Timestamp {
    // Later than every child of this seed could have made it.
    let begun = START + DAYS_OF_A_CHILD * DAY * i64::try_from(seed).unwrap();
    Timestamp::from_timestamp_millis(begun + 6 * DAY).unwrap()
}

/// A store with secrets that rotate.
fn make(place: &Path) {
    let store = open(place, &ManualClock::at_millis(START), |_| {});
    let secrets = store.default_secrets_manager();
    for (secret, spec) in SPECS.iter().enumerate() {
        let (name, token) = (name_of(secret), format!("first-{secret:030}"));
        let create = CreateSecretRequest::new(&name).client_request_token(&token);
        secrets.create_secret(create.secret_string(value_of(&token))).unwrap();
        let mut rotate = RotateSecretRequest::new(&name).rotation_lambda_arn(arn_of(secret));
        rotate.rotation_rules = spec.as_ref().map(rules_of);
        secrets.rotate_secret(rotate).unwrap();
    }
    assert_eq!(store.maintain().unwrap().rotated_secrets, SPECS.len() as u64);
    store.close().unwrap();
}

#[test]
fn no_kill_loses_a_rotation_or_makes_two_of_one() {
    let number = |variable: &str, default| env::var(variable).map_or(default, |text| text.parse::<u64>().unwrap());
    let (kills, first) = (number("STRONGROOM_KILLS", KILLS), number("STRONGROOM_SEED", 1));
    let place = tempfile::tempdir().unwrap();
    make(place.path());
    let mut tally = Tally::default();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for seed in first..first + kills {
        let chance = Chance::new(seed);
        let child = child::start(place.path(), seed);
        let mut lines = Vec::new();
        if chance.below(6) == 0 {
            thread::sleep(Duration::from_micros(chance.below(120_000)));
        } else {
            lines.extend(child.hear_if_any());
            thread::sleep(Duration::from_micros(chance.below(400_000)));
        }
        lines.extend(child.kill());
        tally.kills += 1;
        tally.kills_before_open += usize::from(lines.is_empty());
        let heard = listen(&lines, &known, &mut tally);

        let clock = ManualClock::new(time_of(seed));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = {
            let told = Arc::clone(&told);
            move |line: String| told.lock().unwrap().push(line)
        };
        let store = open(place.path(), &clock, tell);
        let secrets = store.default_secrets_manager();
        let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
        assert!(report.is_clean(), "seed {seed}: {report:#?}");
        known.clear();
        for (name, heard) in &heard {
            known.extend(check(&secrets, name, heard, &mut tally).map(|token| (name.clone(), token)));
        }
        tally.unfinished += known.len();
        // Otherwise the next child goes on with them.
        if chance.below(2) == 0 {
            finish(&store, &clock, std::mem::take(&mut known), &mut tally);
            known.extend(names().filter_map(|name| Some((name.clone(), job_of(&secrets, &name)?))));
        }
        if chance.below(2) == 0 {
            store.close().unwrap();
        }
    }
    let Tally { kills, kills_before_open, steps, moved, acknowledged, .. } = tally;
    let Tally { tests, ended_by_somebody, unfinished, finished_later, .. } = tally;
    eprintln!(
        "rotations under kills: {kills} kills ({kills_before_open} before the store was open), {acknowledged} rotations \
         and {tests} tests acknowledged, {steps} steps, {moved} rotations finished by children, {unfinished} found under \
         way, {finished_later} of them finished by the next process, {ended_by_somebody} ended by somebody, 0 lost"
    );
    assert!(acknowledged > 0 && moved > 0, "the kills came at no interesting time");
    assert!((kills as u64) < KILLS || (unfinished > 0 && finished_later > 0), "no rotation was interrupted");
}
