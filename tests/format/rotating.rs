//! Secrets that rotate: what a store tells of one that the script wrote, and of one that makes no sense inside.

use serde_json::Value;
use strongroom::testing::{format, fuzzing};
use strongroom::{
    CheckRecords, DescribeSecretRequest, ErrorKind, ListSecretsRequest, RotationCall, RotationError, RotationFunction,
    SecretStore, Timestamp, VerifyOptions, VerifyReport,
};

use crate::contents::Running;
use crate::fixture::{NOW, Records, at, backend, builder};
use crate::golden::written;
use crate::insider::Insider;

const MAIN: [&str; 2] = ["111122223333", "eu-central-1"];

#[derive(Debug)]
struct Refuses;

impl RotationFunction for Refuses {
    fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
        Err("never".into())
    }
}

fn open(records: &Records) -> strongroom::Result<SecretStore> {
    let builder = builder(backend(records), 2).rotation_function("*", Refuses).rotation_timeout(None);
    builder.check_records(CheckRecords::Always).open()
}

/// The rotation of each secret, as lines of an export have it.
fn exported(store: &SecretStore, name: &str) -> Value {
    let mut lines = Vec::new();
    store.export_plaintext(&mut lines, &strongroom::ExportOptions::new(), &mut |_| {}).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let secrets: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    secrets.into_iter().find(|secret| secret["Name"] == name).unwrap()["Rotation"].take()
}

#[test]
fn what_only_an_export_tells_of_a_rotation_is_what_the_script_wrote() {
    let (records, _) = written("v1/written_by_script.json");
    let store = open(&records).unwrap();
    for (name, configured, counts_from) in
        [("rotates/everything", -1_099_511_627.776, 0.251), ("rotates/nothing", 1_699_999_996.0, 1_699_999_996.0)]
    {
        let rotation = exported(&store, name);
        assert_eq!(rotation["ConfiguredDate"].as_f64(), Some(configured), "{name}");
        assert_eq!(rotation["CountsFromDate"].as_f64(), Some(counts_from), "{name}");
    }
    assert_eq!(exported(&store, "plain"), Value::Null);
}

/// What is due of a store that the script wrote is due for the engine, too, and nothing else is.
#[test]
fn a_rotation_that_the_script_wrote_goes_on_when_it_is_due() {
    let (records, expected) = written("v1/written_by_script.json");
    let is_tested = |name: &str| name == "rotates/tested";
    let Running { version, next, .. } =
        expected.secrets.iter().find(|s| is_tested(&s.name)).unwrap().rotation.clone().unwrap().running.unwrap();
    assert_eq!(next, Some(NOW + 1));
    let store = open(&records).unwrap();
    let report = store.maintain().unwrap();
    assert_eq!((report.failed_rotations, report.next_due_at), (0, Some(at(NOW + 1))));

    let clock = strongroom::testing::ManualClock::at_millis(NOW + 1);
    let later = builder(backend(&records), 2).clock(clock).rotation_function("*", Refuses).open().unwrap();
    let report = later.maintain().unwrap();
    assert_eq!((report.failed_rotations, report.tested_rotations), (1, 0));
    let manager = later.secrets_manager(MAIN[0], MAIN[1]).unwrap();
    assert_eq!(manager.rotation_status("rotates/tested").unwrap().unwrap().in_progress, None, "a test is over");
    let described = manager.describe_secret(DescribeSecretRequest::new("rotates/tested")).unwrap();
    assert!(!described.version_ids_to_stages.unwrap().contains_key(&version));
    assert_eq!(report.next_due_at, Some(at(NOW + 60_000)), "that of the secret with everything");
}

fn number(number: u64) -> Vec<u8> {
    match number {
        0..=250 => vec![u8::try_from(number).unwrap()],
        _ => [&[253], number.to_be_bytes().as_slice()].concat(),
    }
}

fn signed(number_: i64) -> Vec<u8> {
    number((number_ << 1 ^ number_ >> 63).cast_unsigned())
}

fn text(text: &str) -> Vec<u8> {
    [number(text.len() as u64), text.as_bytes().to_vec()].concat()
}

fn option<T>(encode: impl Fn(T) -> Vec<u8>, value: Option<T>) -> Vec<u8> {
    value.map_or_else(|| vec![0], |value| [vec![1], encode(value)].concat())
}

/// A rotation, as `docs/FORMAT.md` writes it.
#[derive(Clone)]
struct Written {
    enabled: u8,
    function: Option<&'static str>,
    rules: Option<(Option<i64>, Option<&'static str>)>,
    metadata: Option<u64>,
    rotated: Option<i64>,
    configured: i64,
    counts_from: i64,
    window: Option<(i64, i64)>,
    next: Option<i64>,
    days: Option<i64>,
    running: Option<Job>,
}

/// What is running.
#[derive(Clone)]
struct Job {
    version: &'static str,
    attempts: Vec<u8>,
    next: Option<i64>,
    until: Option<i64>,
    failure: Option<i64>,
}

impl Written {
    fn nothing() -> Self {
        let (configured, counts_from) = (NOW - 4000, NOW - 4000);
        let (rules, function, metadata, rotated, window) = (None, None, None, None, None);
        let (next, days, running) = (None, None, None);
        Self { enabled: 0, function, rules, metadata, rotated, configured, counts_from, window, next, days, running }
    }

    /// Every hour that a rate in hours names.
    fn planned() -> Self {
        let function = Some("arn:aws:lambda:eu-central-1:111122223333:function:rotate");
        let rules = Some((None, Some("rate(12 hours)")));
        let (window, next) = (Some((NOW, NOW + 3_600_000)), Some(NOW + 3_599_000));
        Self { enabled: 1, function, rules, window, next, days: Some(1), ..Self::nothing() }
    }

    fn running(version: &'static str) -> Self {
        let running = Job { version, attempts: vec![0], next: Some(NOW), until: None, failure: None };
        Self { running: Some(running), ..Self::planned() }
    }

    /// When it is due.
    fn due(&self) -> Option<i64> {
        if self.enabled == 0 {
            return None;
        }
        let next = self.running.as_ref().and_then(|running| running.next);
        next.or(self.window.map(|(start, _)| start))
    }

    fn bytes(&self) -> Vec<u8> {
        let rules = |(days, expression)| [option(signed, days), vec![0], option(text, expression)].concat();
        let metadata = |count: u64| [number(count), [1, b'k', 1, b'v'].repeat(2)].concat();
        let running = |running: &Job| {
            let Job { version, attempts, next, until, failure } = running.clone();
            let failed = |at| [signed(at), text("why")].concat();
            let times = [option(signed, next), option(signed, until), option(failed, failure)].concat();
            [text(version), vec![0], text("token"), attempts, times].concat()
        };
        let window = |(start, end)| [signed(start), signed(end)].concat();
        [
            vec![1, self.enabled],
            option(text, self.function),
            option(rules, self.rules),
            option(metadata, self.metadata),
            vec![0],
            option(signed, self.rotated),
            signed(self.configured),
            signed(self.counts_from),
            option(window, self.window),
            option(signed, self.next),
            option(signed, self.days),
            option(running, self.running.as_ref()),
        ]
        .concat()
    }
}

/// The store of the script, of which the secret without versions has this rotation, and is due at this time.
fn forged(records: &Records, rotation: &[u8], due: Option<i64>) -> Records {
    let insider = Insider::of(records);
    let key = insider.secret(MAIN, "rotates/nothing");
    let plain = insider.open(records, &key);
    let nothing = Written::nothing().bytes();
    // The script writes numbers as short as they can be, and so are these: in eight bytes.
    let place = plain.windows(nothing.len()).position(|window| window == nothing).expect("it has that rotation");
    let changed = [&plain[..place], rotation, &plain[place + nothing.len()..]].concat();
    let mut records = records.clone();
    records.insert(key.clone(), insider.replace(&records, &key, &changed));
    if let Some(due) = due {
        // A time outside of the calendar is the nearest one in it.
        let [first, last] = [Timestamp::MIN_UTC, Timestamp::MAX_UTC].map(|at| at.timestamp_millis());
        let (index, time) = (insider.key("root/index"), at(due.clamp(first, last)));
        let due = format::rotation_key(&index, insider.generation(), time, &key).unwrap();
        let plain = [vec![1], number(key.len() as u64), key].concat();
        records.insert(due.clone(), insider.seal_under(&insider.key("root/metadata"), &due, 1, &plain));
    }
    insider.with_right_head(records)
}

fn verified(store: &SecretStore) -> VerifyReport {
    store.verify(VerifyOptions::new(), &mut |_| {}).unwrap()
}

/// Asks everything that reads the secret, and has everything done that is due.
fn use_it(what: &str, store: &SecretStore) {
    let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
    manager.describe_secret(DescribeSecretRequest::new("rotates/nothing")).unwrap();
    manager.list_secrets(ListSecretsRequest::new()).unwrap();
    assert!(manager.rotation_status("rotates/nothing").unwrap().is_some(), "{what}");
    exported(store, "rotates/nothing");
    for _ in 0..3 {
        store.maintain().unwrap();
    }
    manager.rotate_secret(strongroom::RotateSecretRequest::new("rotates/nothing")).map(drop).unwrap_or_else(|error| {
        assert!(!matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Storage), "{what}: {error}");
    });
    store.maintain().unwrap();
    let cancel = strongroom::CancelRotateSecretRequest::new("rotates/nothing");
    manager.cancel_rotate_secret(cancel).unwrap();
    assert!(verified(store).findings.is_empty(), "{what}: nothing is left of it once rotation was cancelled");
}

#[test]
fn a_rotation_that_contradicts_itself_is_found_and_harms_nothing() {
    let (records, _) = written("v1/written_by_script.json");
    let planned = Written::planned;
    let running = Written::running;
    let disabled = |rotation: Written| Written { enabled: 0, ..rotation };
    let until = |until| {
        let job = Job { attempts: vec![252, 255, 255, 255, 255], until: Some(until), ..running("v").running.unwrap() };
        Written { running: Some(job), ..planned() }
    };
    let window = |start, end| Written { window: Some((start, end)), ..planned() };
    let not_there = "makes the version v, which is not there";
    let no_window = "does not end within a day after its start";
    let rows: [(&str, Written, &str); 16] = [
        ("in progress without its version", running("v"), not_there),
        ("in progress and disabled", Written { window: None, next: None, ..disabled(running("v")) }, "is disabled"),
        ("planned and disabled", disabled(planned()), "a rotation is planned"),
        ("planned without rules", Written { rules: None, ..planned() }, "a rotation is planned"),
        ("planned without a schedule", Written { rules: Some((None, None)), ..planned() }, "a rotation is planned"),
        ("shown and disabled", Written { window: None, ..disabled(planned()) }, "a rotation is planned"),
        ("a window that ends before it starts", window(NOW, NOW - 1), no_window),
        ("a window that ends when it starts", window(NOW, NOW), no_window),
        ("a window that is longer than a day", window(NOW, NOW + 86_400_001), no_window),
        ("a window from the beginning to the end of time", window(i64::MIN, i64::MAX), no_window),
        ("a window from the end to the beginning of time", window(i64::MAX, i64::MIN), no_window),
        ("as many attempts as can be counted", until(NOW + 1), not_there),
        ("an end at the beginning of time", until(i64::MIN), not_there),
        ("an end at the end of time", until(i64::MAX), not_there),
        (
            "a failure at the end of time",
            Written {
                running: Some(Job { failure: Some(i64::MAX), next: Some(i64::MIN), ..running("v").running.unwrap() }),
                ..planned()
            },
            not_there,
        ),
        ("an empty version", running(""), "makes the version "),
    ];
    for (what, rotation, expected) in rows {
        let store = open(&forged(&records, &rotation.bytes(), rotation.due())).unwrap();
        let findings = verified(&store).findings;
        assert!(findings.iter().any(|finding| finding.text.contains(expected)), "{what}: {findings:?}");
        use_it(what, &store);
    }
}

/// Not even with an entry that says that it is due.
#[test]
fn a_secret_whose_rotation_is_disabled_is_not_rotated_whatever_its_record_says() {
    let (records, _) = written("v1/written_by_script.json");
    for rotation in [Written::planned(), Written::running("v")] {
        let due = rotation.due();
        let disabled = Written { enabled: 0, ..rotation };
        let store = open(&forged(&records, &disabled.bytes(), due)).unwrap();
        assert_eq!(store.maintain().unwrap().failed_rotations, 0);
        let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
        let described = manager.describe_secret(DescribeSecretRequest::new("rotates/nothing")).unwrap();
        assert_eq!(described.version_ids_to_stages, None);
    }
}

/// No rule says anything about these, and reading them has an end.
#[test]
fn a_rotation_with_absurd_numbers_is_read() {
    let (records, _) = written("v1/written_by_script.json");
    let planned = Written::planned;
    let rules = |days, expression| Written { rules: Some((days, expression)), ..planned() };
    let rows: [(&str, Written); 9] = [
        ("as it should be", planned()),
        ("configured at the end of time", Written { configured: i64::MAX, ..planned() }),
        ("configured at the beginning of time", Written { configured: i64::MIN, ..planned() }),
        ("counted from the end of time", Written { counts_from: i64::MAX, ..rules(Some(1000), None) }),
        ("counted from the beginning of time", Written { counts_from: i64::MIN, ..rules(Some(1), None) }),
        ("rotated and shown outside of time", Written { rotated: Some(i64::MIN), next: Some(i64::MAX), ..planned() }),
        ("days beyond all numbers", Written { days: Some(i64::MIN), ..rules(Some(i64::MAX), None) }),
        ("both days and an expression", rules(Some(1), Some("rate(1 day)"))),
        ("an expression of a later version", rules(None, Some("at(noon)"))),
    ];
    for (what, rotation) in rows {
        let store = open(&forged(&records, &rotation.bytes(), rotation.due())).unwrap();
        assert!(verified(&store).is_clean(), "{what}: {:?}", verified(&store).findings);
        use_it(what, &store);
    }
    let last = Timestamp::MAX_UTC.timestamp_millis();
    let rotation = Written { configured: i64::MAX, ..planned() };
    let store = open(&forged(&records, &rotation.bytes(), rotation.due())).unwrap();
    let shown = exported(&store, "rotates/nothing")["ConfiguredDate"].as_f64().unwrap();
    assert!((shown * 1000.0 - last as f64).abs() < 2.0, "the last instant of the calendar: {shown}");
}

#[test]
fn a_rotation_that_is_none_is_corrupted() {
    let (records, _) = written("v1/written_by_script.json");
    let (good, running) = (Written::planned().bytes(), Written::running("v").running.unwrap());
    let attempts = |attempts: &[u8]| {
        let running = Job { attempts: attempts.to_vec(), ..running.clone() };
        Written { running: Some(running), ..Written::planned() }.bytes()
    };
    let metadata = |count| Written { metadata: Some(count), ..Written::planned() }.bytes();
    assert!(open(&forged(&records, &metadata(2), Some(NOW))).is_ok());
    let rows: [(&str, Vec<u8>); 8] = [
        ("neither enabled nor disabled", Written { enabled: 2, ..Written::planned() }.bytes()),
        ("neither there nor not", [&[2], &good[1..]].concat()),
        ("attempts beyond 32 bits", attempts(&[253, 0, 0, 0, 1, 0, 0, 0, 0])),
        ("an unknown varint", attempts(&[254])),
        ("more metadata than there is", metadata(3)),
        ("less metadata than there is", metadata(1)),
        ("metadata without end", metadata(u64::MAX)),
        ("a byte more", [good.as_slice(), &[0]].concat()),
    ];
    for (what, rotation) in rows {
        let store = builder(backend(&forged(&records, &rotation, Some(NOW))), 2).open().unwrap();
        let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
        let error = manager.describe_secret(DescribeSecretRequest::new("rotates/nothing")).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupted, "{what}");
        assert_eq!(*store.maintain().unwrap_err().kind(), ErrorKind::Corrupted, "{what}");
    }
}

/// Whatever becomes of a byte, the record is read as something that is written as the same thing, or is refused.
#[test]
fn every_changed_byte_of_a_secret_that_rotates_is_read_or_refused() {
    let (records, _) = written("v1/written_by_script.json");
    let insider = Insider::of(&records);
    let (mut read, mut refused) = (0, 0);
    for name in ["rotates/everything", "rotates/nothing", "rotates/waits"] {
        let plain = insider.open(&records, &insider.secret(MAIN, name));
        for at in 0..plain.len() {
            for byte in [0, 1, 2, 127, 250, 251, 252, 253, 254, 255] {
                let mut changed = plain.clone();
                changed[at] = byte;
                if fuzzing::decode_record("secret", &changed) {
                    assert!(fuzzing::encode_again("secret", &changed).is_some(), "{name}, byte {at}: {byte}");
                    read += 1;
                } else {
                    refused += 1;
                }
            }
            assert!(!fuzzing::decode_record("secret", &plain[..at]), "{name}, {at} bytes");
        }
    }
    assert!(read > 1_000 && refused > 1_000);
    eprintln!("changed bytes of secrets that rotate: {read} read, {refused} refused");
}
