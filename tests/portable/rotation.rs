//! Rotations on their way to another store: everything of them arrives but what is under way, and what cannot be is
//! refused.

use chrono::TimeDelta;
use serde_json::{Value, json};
use strongroom::testing::{SeededEntropy, format};
use strongroom::{
    Call, CancelRotateSecretRequest, ConflictReason, CreateSecretRequest, EncryptionContext,
    ExternalSecretRotationMetadataItem, KeyProvider, RotateSecretRequest, RotationRules, SecretStore, SecretsManager,
    WrappedKey,
};

use crate::fixture::{
    Exported, START_MILLIS, Source, Target, current, export_key, file_is_refused, function_arn, import, import_lines,
};
use crate::lines::{file, id, secret};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotate";

/// A rotation with everything that can be written.
fn rotation() -> Value {
    json!({
        "RotationEnabled": true,
        "RotationLambdaARN": FUNCTION,
        "RotationRules": {"Duration": "3h", "ScheduleExpression": "cron(0 4 1 * ? *)"},
        "ExternalSecretRotationMetadata": [{"Key": "k", "Value": "v"}, {"Key": "ключ", "Value": "w"}],
        "ExternalSecretRotationRoleArn": "arn:aws:iam::000000000000:role/r",
        "LastRotatedDate": -1.5,
        "ConfiguredDate": 1_600_000_000,
        "CountsFromDate": 1_600_000_000.25,
        "WindowStartDate": 1_601_524_800,
        "WindowEndDate": 1_601_535_600,
        "NextRotationDate": 1_601_535_599,
        "DaysBetweenRotations": 30,
    })
}

fn with(rotation: Value) -> String {
    let mut secret = secret();
    secret["Rotation"] = rotation;
    file(&[secret.to_string()], 1, 2)
}

/// The rotation of a secret, as an export in plain text has it.
fn exported(store: &SecretStore, name: &str) -> Value {
    let mut lines = Vec::new();
    store.export_plaintext(&mut lines, &Default::default(), &mut |_| ()).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let secrets: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    secrets.into_iter().find(|secret| secret["Name"] == name).unwrap()["Rotation"].take()
}

/// Numbers that are the same are written alike.
fn alike(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(list) => list.iter().map(alike).collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), alike(value)))
            .collect(),
        other => other.clone(),
    }
}

type Change = fn(&mut Value);

fn disable(rotation: &mut Value) {
    for member in ["WindowStartDate", "WindowEndDate", "NextRotationDate"] {
        rotation[member] = Value::Null;
    }
    rotation["RotationEnabled"] = json!(false);
}

#[test]
fn every_member_of_a_rotation_arrives_by_lines_and_encrypted() {
    let rows: [(&str, Change); 15] = [
        ("everything", |_| ()),
        ("disabled", disable),
        ("nothing but what is needed", |r| {
            *r = json!({"RotationEnabled": false, "ConfiguredDate": 0, "CountsFromDate": -0.001});
        }),
        ("no function", |r| r["RotationLambdaARN"] = Value::Null),
        ("a function with a version", |r| r["RotationLambdaARN"] = json!(format!("{FUNCTION}:$LATEST"))),
        ("days", |r| r["RotationRules"] = json!({"AutomaticallyAfterDays": 1000})),
        ("days with a duration", |r| r["RotationRules"] = json!({"AutomaticallyAfterDays": 1, "Duration": "24h"})),
        ("a rate", |r| r["RotationRules"] = json!({"ScheduleExpression": "rate(23 hours)", "Duration": "23h"})),
        ("only a duration", |r| {
            disable(r);
            r["RotationRules"] = json!({"Duration": "1h"});
        }),
        ("no metadata", |r| r["ExternalSecretRotationMetadata"] = Value::Null),
        ("an empty list of metadata", |r| r["ExternalSecretRotationMetadata"] = json!([])),
        ("no role", |r| r["ExternalSecretRotationRoleArn"] = Value::Null),
        ("never rotated", |r| r["LastRotatedDate"] = Value::Null),
        ("a window of a whole day", |r| r["WindowEndDate"] = json!(1_601_611_200)),
        ("a date of an earlier window", |r| {
            r["NextRotationDate"] = json!(1_500_000_000.999);
            r["DaysBetweenRotations"] = Value::Null;
        }),
    ];
    for (what, change) in rows {
        let mut given = rotation();
        change(&mut given);
        let (by_lines, encrypted) = (Target::new(), Target::new());
        let text = with(given.clone());
        assert_eq!(import_lines(&by_lines.store, text.as_bytes()).unwrap().created, 1, "{what}");
        assert_eq!(alike(&exported(&by_lines.store, "s")), alike(&given), "{what}");
        let place = Exported::place();
        place.from(&by_lines.store).unwrap();
        assert_eq!(import(&encrypted.store, &place.path).unwrap().created, 1, "{what}");
        assert_eq!(exported(&encrypted.store, "s"), exported(&by_lines.store, "s"), "{what}");
        for store in [&by_lines.store, &encrypted.store] {
            assert_eq!(import_lines(store, text.as_bytes()).unwrap().unchanged, 1, "{what}");
            assert_eq!(import(store, &place.path).unwrap().unchanged, 1, "{what}");
            let report = store.verify(strongroom::VerifyOptions::new(), &mut |_| ()).unwrap();
            assert!(report.is_clean(), "{what}: {:?}", report.findings);
        }
    }
}

/// A secret with a rotation, and one that never had any, are not the same either.
#[test]
fn secrets_that_differ_only_in_their_rotation_are_a_conflict() {
    let rows: [(&str, Change); 13] = [
        ("disabled", disable),
        ("function", |r| r["RotationLambdaARN"] = json!(format!("{FUNCTION}2"))),
        ("rules", |r| r["RotationRules"] = json!({"AutomaticallyAfterDays": 30})),
        ("duration", |r| r["RotationRules"]["Duration"] = json!("4h")),
        ("no metadata", |r| r["ExternalSecretRotationMetadata"] = Value::Null),
        ("metadata", |r| r["ExternalSecretRotationMetadata"][0]["Value"] = json!("w")),
        ("role", |r| r["ExternalSecretRotationRoleArn"] = json!("arn:aws:iam::000000000000:role/s")),
        ("last rotated", |r| r["LastRotatedDate"] = json!(0)),
        ("configured", |r| r["ConfiguredDate"] = json!(1_600_000_001)),
        ("counts from", |r| r["CountsFromDate"] = json!(1_600_000_000.251)),
        ("window", |r| r["WindowEndDate"] = json!(1_601_535_601)),
        ("next date", |r| r["NextRotationDate"] = json!(1_601_535_598)),
        ("none", |r| *r = Value::Null),
    ];
    let (target, place) = (Target::new(), Exported::place());
    import_lines(&target.store, with(rotation()).as_bytes()).unwrap();
    let epoch = target.epoch();
    for (what, change) in rows {
        let mut other = rotation();
        change(&mut other);
        let text = with(other);
        let source = Target::new();
        assert_eq!(import_lines(&source.store, text.as_bytes()).unwrap().created, 1, "{what}");
        let _ = std::fs::remove_file(&place.path);
        place.from(&source.store).unwrap();
        for report in [import_lines(&target.store, text.as_bytes()), import(&target.store, &place.path)] {
            let conflicts: Vec<_> = report.unwrap().conflicts.into_iter().map(|conflict| conflict.reason).collect();
            assert_eq!(conflicts, [ConflictReason::Differs("Rotation")], "{what}");
        }
        assert_eq!(target.epoch(), epoch, "{what}");
    }
}

#[test]
fn a_secret_that_was_rotated_meanwhile_is_left_as_it_is() {
    let source = Rotating::new();
    let exported = source.export();
    let rotated: fn(&SecretsManager, &SecretStore) =
        |_, store| assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
    let cancelled: fn(&SecretsManager, &SecretStore) = |secrets, _| {
        secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("db")).unwrap();
    };
    for (what, change) in [("rotated", rotated), ("cancelled", cancelled)] {
        let target = Target::new();
        import(&target.store, &exported.path).unwrap();
        target.clock.advance(TimeDelta::days(60));
        change(&target.home(), &target.store);
        let conflicts = import(&target.store, &exported.path).unwrap().conflicts;
        assert_eq!(conflicts[0].reason, ConflictReason::Differs("Rotation"), "{what}");
    }
}

#[test]
fn a_rotation_that_cannot_be_is_refused_with_its_line() {
    let rows: Vec<(&str, Change)> = vec![
        ("a text", |r| *r = json!("daily")),
        ("a list", |r| *r = json!([true])),
        ("not said whether enabled", |r| r["RotationEnabled"] = Value::Null),
        ("enabled as a number", |r| r["RotationEnabled"] = json!(1)),
        ("never configured", |r| r["ConfiguredDate"] = Value::Null),
        ("counting from nothing", |r| r["CountsFromDate"] = Value::Null),
        ("an empty ARN", |r| r["RotationLambdaARN"] = json!("")),
        ("no ARN", |r| r["RotationLambdaARN"] = json!("rotate")),
        ("an ARN of another service", |r| r["RotationLambdaARN"] = json!(FUNCTION.replace("lambda", "s3"))),
        ("an ARN of another Region", |r| r["RotationLambdaARN"] = json!(FUNCTION.replace("us-east-1", "us-east-2"))),
        ("an ARN of another partition", |r| {
            r["RotationLambdaARN"] = json!(FUNCTION.replace("arn:aws:", "arn:aws-cn:"))
        }),
        ("a long ARN", |r| r["RotationLambdaARN"] = json!(format!("{FUNCTION}{}", "x".repeat(2_048)))),
        ("both schedules", |r| r["RotationRules"]["AutomaticallyAfterDays"] = json!(30)),
        ("no days", |r| r["RotationRules"] = json!({"AutomaticallyAfterDays": 0})),
        ("too many days", |r| r["RotationRules"] = json!({"AutomaticallyAfterDays": 1001})),
        ("days as a text", |r| r["RotationRules"] = json!({"AutomaticallyAfterDays": "30"})),
        ("an expression that is none", |r| r["RotationRules"]["ScheduleExpression"] = json!("weekly")),
        ("an expression that never comes", |r| r["RotationRules"]["ScheduleExpression"] = json!("cron(0 4 31 2 ? *)")),
        ("an expression with a line in it", |r| r["RotationRules"]["ScheduleExpression"] = json!("rate(1 day)\n")),
        ("a long expression", |r| r["RotationRules"]["ScheduleExpression"] = json!("x".repeat(257))),
        ("a duration in minutes", |r| r["RotationRules"]["Duration"] = json!("30m")),
        ("a duration of nothing", |r| r["RotationRules"]["Duration"] = json!("0h")),
        ("a duration into the next day", |r| r["RotationRules"]["Duration"] = json!("21h")),
        ("an unknown rule", |r| r["RotationRules"]["Weekly"] = json!(true)),
        ("rules as a list", |r| r["RotationRules"] = json!([30, "3h"])),
        ("metadata without a key", |r| r["ExternalSecretRotationMetadata"] = json!([{"Value": "v"}])),
        ("metadata with an empty key", |r| r["ExternalSecretRotationMetadata"][0]["Key"] = json!("")),
        ("metadata with an empty value", |r| r["ExternalSecretRotationMetadata"][0]["Value"] = json!("")),
        ("metadata with a long key", |r| r["ExternalSecretRotationMetadata"][0]["Key"] = json!("k".repeat(257))),
        ("metadata with a long value", |r| r["ExternalSecretRotationMetadata"][0]["Value"] = json!("v".repeat(2_049))),
        ("metadata with an unknown member", |r| r["ExternalSecretRotationMetadata"][0]["More"] = json!(1)),
        ("metadata as an object", |r| r["ExternalSecretRotationMetadata"] = json!({"k": "v"})),
        ("metadata of 2,000 entries", |r| {
            r["ExternalSecretRotationMetadata"] = (0..2_000).map(|_| json!({"Key": "k", "Value": "v"})).collect();
        }),
        ("a short role", |r| r["ExternalSecretRotationRoleArn"] = json!("role")),
        ("a long role", |r| r["ExternalSecretRotationRoleArn"] = json!("r".repeat(2_049))),
        ("a window without an end", |r| r["WindowEndDate"] = Value::Null),
        ("a window without a start", |r| r["WindowStartDate"] = Value::Null),
        ("a window that ends before it starts", |r| r["WindowEndDate"] = json!(1_601_524_799.999)),
        ("a window that ends when it starts", |r| r["WindowEndDate"] = json!(1_601_524_800)),
        ("a window longer than a day", |r| r["WindowEndDate"] = json!(1_601_611_200.001)),
        ("a window as long as the calendar", |r| {
            r["WindowStartDate"] = json!(-8_000_000_000_000_i64);
            r["WindowEndDate"] = json!(8_000_000_000_000_i64);
        }),
        ("a window beyond the calendar", |r| r["WindowEndDate"] = json!(1e15)),
        ("a date beyond all numbers", |r| r["NextRotationDate"] = json!(u64::MAX)),
        ("disabled with a window", |r| {
            disable(r);
            r["WindowStartDate"] = json!(1_601_524_800);
            r["WindowEndDate"] = json!(1_601_535_600);
        }),
        ("disabled with a next date", |r| {
            disable(r);
            r["NextRotationDate"] = json!(1_601_535_599);
        }),
        ("planned without rules", |r| r["RotationRules"] = Value::Null),
        ("planned without a schedule", |r| r["RotationRules"] = json!({"Duration": "3h"})),
        ("no days between rotations", |r| r["DaysBetweenRotations"] = json!(0)),
        ("fewer days than none", |r| r["DaysBetweenRotations"] = json!(i64::MIN)),
        ("a broken number of days", |r| r["DaysBetweenRotations"] = json!(1.5)),
        ("an unknown member", |r| r["RotationToken"] = json!("x")),
        ("a job", |r| r["Job"] = json!({"VersionId": id(1)})),
    ];
    let target = Target::new();
    let epoch = target.epoch();
    for (what, change) in &rows {
        let mut bad = rotation();
        change(&mut bad);
        let error = file_is_refused(import_lines(&target.store, with(bad).as_bytes()), what).to_string();
        assert!(error.starts_with("line 2: "), "{what}: {error}");
        assert_eq!(target.epoch(), epoch, "{what}");
    }
    let twice = with(rotation()).replace("\"ConfiguredDate\":", "\"ConfiguredDate\":1,\"ConfiguredDate\":");
    file_is_refused(import_lines(&target.store, twice.as_bytes()), "a member twice");
    eprintln!("{} rotations that cannot be", rows.len() + 1);
}

/// As many as the operation takes, that many an export has to be able to move.
#[test]
fn metadata_that_is_taken_can_be_moved_in_either_form() {
    let item = |number: usize| ExternalSecretRotationMetadataItem::new(number.to_string(), "v");
    for count in [0, 1, 1_023, 1_024, 1_025, 2_000] {
        let source = Source::empty();
        let create = CreateSecretRequest::new("external").secret_string("v").r#type("partner/type");
        source.home().create_secret(create).unwrap();
        let rotate = RotateSecretRequest::new("external").rotate_immediately(false);
        let rotate = rotate.external_secret_rotation_metadata((0..count).map(item));
        let Err(error) = source.home().rotate_secret(rotate) else {
            for is_encrypted in [true, false] {
                let target = Target::new();
                let imported = if is_encrypted {
                    import(&target.store, &source.export().path)
                } else {
                    import_lines(&target.store, &source.lines())
                };
                let imported = imported.map(|report| report.created);
                assert!(matches!(imported, Ok(1)), "{count} entries, encrypted: {is_encrypted}: {imported:?}");
            }
            continue;
        };
        assert!(count > 1_024, "{error}");
        assert_eq!(error.code(), "ValidationException", "{count}");
    }
}

/// A secret `db` whose rotation was begun and did not come far: days 1, and a version that waits for its value.
struct Rotating {
    source: Source,
    token: String,
}

impl std::ops::Deref for Rotating {
    type Target = Source;

    fn deref(&self) -> &Source {
        &self.source
    }
}

impl Rotating {
    fn new() -> Self {
        Self::with("db", true)
    }

    fn with(name: &str, is_immediate: bool) -> Self {
        let source = Source::empty();
        source.create(name, "first");
        let rules = RotationRules::new().automatically_after_days(30);
        let rotate = RotateSecretRequest::new(name).rotation_lambda_arn(function_arn("000000000000", "us-east-1"));
        let rotate = rotate.rotation_rules(rules).rotate_immediately(is_immediate).client_request_token(id(7));
        source.home().rotate_secret(rotate).unwrap();
        Self { source, token: id(7) }
    }
}

fn is_in_progress(store: &SecretStore, name: &str) -> bool {
    store.default_secrets_manager().rotation_status(name).unwrap().unwrap().in_progress.is_some()
}

#[test]
fn a_rotation_that_is_in_progress_stays_behind() {
    let source = Rotating::new();
    assert!(is_in_progress(&source.store, "db"));
    let lines = String::from_utf8(source.lines()).unwrap();
    let members: Vec<String> = exported(&source.store, "db").as_object().unwrap().keys().cloned().collect();
    let expected = [
        "ConfiguredDate",
        "CountsFromDate",
        "DaysBetweenRotations",
        "NextRotationDate",
        "RotationEnabled",
        "RotationLambdaARN",
        "RotationRules",
        "WindowEndDate",
        "WindowStartDate",
    ];
    assert_eq!(members, expected);
    for is_encrypted in [true, false] {
        let target = Target::new();
        let place = source.export();
        let report = if is_encrypted {
            import(&target.store, &place.path)
        } else {
            import_lines(&target.store, lines.as_bytes())
        };
        assert_eq!(report.unwrap().created, 1);
        assert!(!is_in_progress(&target.store, "db"));
        assert_eq!(target.store.maintain().unwrap().rotated_secrets, 0, "nothing is due before its window");
        assert_eq!(current(&target.store, "db").unwrap(), "first");
        // It is no difference, either.
        assert_eq!(import(&source.store, &place.path).unwrap().unchanged, 1);
        assert_eq!(import_lines(&source.store, lines.as_bytes()).unwrap().unchanged, 1);
    }
    assert!(is_in_progress(&source.store, "db"), "and the source goes on");
    assert_eq!(source.store.maintain().unwrap().rotated_secrets, 1);
}

/// Of a version without a value, and of one that has its value already.
#[test]
fn the_next_rotation_takes_the_version_that_was_pending() {
    for (name, is_immediate, has_value) in [("db", true, false), ("db", false, false), ("stuck", true, true)] {
        let source = Rotating::with(name, is_immediate);
        if has_value {
            assert_eq!(source.store.maintain().unwrap().failed_rotations, 1);
        }
        let what = format!("{name}, immediately: {is_immediate}");
        for is_encrypted in [true, false] {
            let target = Target::new();
            if is_encrypted {
                import(&target.store, &source.export().path).unwrap();
            } else {
                import_lines(&target.store, &source.lines()).unwrap();
            }
            let secrets = target.home();
            let labels = || {
                let described = secrets.describe_secret(strongroom::DescribeSecretRequest::new(name)).unwrap();
                let mut labels = described.version_ids_to_stages.unwrap().remove(&source.token).unwrap();
                labels.sort();
                labels.join("+")
            };
            assert_eq!(labels(), "AWSPENDING", "{what}");
            let error = secrets.rotate_secret(RotateSecretRequest::new(name)).unwrap_err();
            assert_eq!(error.code(), "InvalidRequestException", "{what}: it waits for its window");

            let due = target.store.maintain().unwrap().next_due_at.unwrap();
            let midnight = START_MILLIS / 86_400_000 * 86_400_000;
            assert_eq!(due.timestamp_millis(), midnight + 30 * 86_400_000, "{what}");
            target.clock.set(due);
            let report = target.store.maintain().unwrap();
            assert_eq!((report.rotated_secrets, report.failed_rotations), if has_value { (0, 1) } else { (1, 0) });
            if has_value {
                let status = secrets.rotation_status(name).unwrap().unwrap();
                assert_eq!(status.in_progress.unwrap().version_id, source.token, "{what}");
                continue;
            }
            assert_eq!(labels(), "AWSCURRENT+AWSPENDING", "{what}");
            assert_eq!(current(&target.store, name).unwrap(), format!("made for {}", source.token), "{what}");
        }
    }
}

#[test]
fn a_window_that_passed_on_the_way_is_made_up_for() {
    let (source, target) = (Rotating::new(), Target::new());
    assert_eq!(source.store.maintain().unwrap().rotated_secrets, 1);
    target.clock.advance(TimeDelta::days(90));
    import(&target.store, &source.export().path).unwrap();
    assert_eq!(target.store.maintain().unwrap().rotated_secrets, 1);
}

/// Somebody with the key of an export, who can so write anything.
struct Forger {
    key: [u8; 32],
    id: Vec<u8>,
    header: Vec<u8>,
    chunks: Vec<Vec<u8>>,
}

fn field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    rest.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap())
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

impl Forger {
    fn new(file: &[u8]) -> Self {
        let id = file[10..26].to_vec();
        let (provider, rest) = field(&file[26..]);
        let (arn, rest) = field(rest);
        let (version, rest) = field(rest);
        let (wrapped, rest) = field(rest);
        let [provider, arn, version] = [provider, arn, version].map(|text| std::str::from_utf8(text).unwrap());
        let export = uuid::Uuid::from_slice(&id).unwrap().hyphenated().to_string();
        let pairs = [("strongroom:export", export.as_str())];
        let (context, entropy) = (EncryptionContext::new(&pairs), SeededEntropy::new(1));
        let wrapped = WrappedKey::new(provider, arn, version, wrapped.to_vec());
        let key = *export_key().unwrap(&wrapped, &context, &Call::new(&entropy)).unwrap().expose();
        let header = file[..file.len() - rest.len() + 32].to_vec();
        let mut forger = Self { key, id, header, chunks: Vec::new() };
        let mut rest = &rest[32..];
        while !rest.is_empty() {
            let (sealed, more) = field(rest);
            let ad = forger.ad(forger.chunks.len());
            forger.chunks.push(format::Sealer::new(&key).open("export", &ad, sealed).unwrap().to_vec());
            rest = more;
        }
        forger
    }

    /// As section 3 of `docs/FORMAT.md` says.
    fn ad(&self, index: usize) -> Vec<u8> {
        let fields = [b"exp".as_slice(), &[0, 1], &self.id, &(index as u64).to_be_bytes()];
        fields.into_iter().flat_map(with_length).collect()
    }

    /// The file with other bytes in its first chunk.
    fn replaced(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let first = &self.chunks[0][5..];
        let at = first.windows(from.len()).position(|window| window == from).unwrap();
        let record = [&first[..at], to, &first[at + from.len()..]].concat();
        let chunk = [&[1], with_length(&record).as_slice()].concat();
        let mut file = self.header.clone();
        for (index, chunk) in std::iter::once(&chunk).chain(&self.chunks[1..]).enumerate() {
            let sealed = format::Sealer::new(&self.key).seal("export", &self.ad(index), chunk, &SeededEntropy::new(2));
            file.extend(with_length(&sealed.unwrap()));
        }
        file
    }
}

/// A large number as records have it.
fn signed(number: i64) -> Vec<u8> {
    [&[253], (number << 1 ^ number >> 63).to_be_bytes().as_slice()].concat()
}

#[test]
fn an_encrypted_export_with_a_rotation_that_cannot_be_is_refused_and_a_job_in_it_is_ignored() {
    let source = Rotating::new();
    let forger = Forger::new(&source.export().bytes());
    let status = source.home().rotation_status("db").unwrap().unwrap();
    let window = status.next_window.unwrap();
    let [start, end] = [window.start, window.end].map(|at| signed(at.timestamp_millis()));
    let window = [[1].as_slice(), &start, &end].concat();
    // Next date, days, and no job.
    let rest =
        [[1].as_slice(), &signed(status.next_window.unwrap().end.timestamp_millis() - 1000), &[1, 60, 0]].concat();
    let whole = [window.as_slice(), &rest].concat();
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let job = |attempts: &[u8]| {
        let job =
            [[1].as_slice(), &text(&source.token), &[0], &text("token"), attempts, &[1], &signed(0), &[0, 0]].concat();
        [&whole[..whole.len() - 1], &job].concat()
    };
    let configured = signed(START_MILLIS + 7);
    let twice = [configured.clone(), configured.clone()].concat();
    let target = Target::new();
    let place = Exported::place();
    let refused = |what: &str, from: &[u8], to: &[u8]| {
        std::fs::write(&place.path, forger.replaced(from, to)).unwrap();
        file_is_refused(import(&target.store, &place.path), what);
        assert!(crate::fixture::names(&target.home()).is_empty());
    };
    let ended = |start: &[u8], end: &[u8]| [[1].as_slice(), start, end].concat();
    let (long, first) = (signed(i64::MAX), signed(i64::MIN));
    refused("configured beyond the calendar", &twice, &[long.clone(), configured.clone()].concat());
    refused("counted from beyond the calendar", &twice, &[configured, first.clone()].concat());
    refused("a window beyond the calendar", &window, &ended(&first, &long));
    refused("a window that ends before it starts", &window, &ended(&end, &start));
    refused("a window of no time", &window, &ended(&start, &start));
    refused("no days", &rest, &[&rest[..rest.len() - 2], &[0, 0]].concat());
    refused("a date beyond the calendar", &rest, &[[1].as_slice(), &long, &[1, 60, 0]].concat());
    refused("days that a text says", &rest, &[&rest[..rest.len() - 2], &[254, 0]].concat());
    refused("attempts beyond 32 bits", &whole, &job(&[253, 0, 0, 0, 1, 0, 0, 0, 0]));
    refused("a function of another Region", b"lambda:us-east-1", b"lambda:us-east-2");

    std::fs::write(&place.path, forger.replaced(&whole, &job(&[252, 255, 255, 255, 255]))).unwrap();
    assert_eq!(import(&target.store, &place.path).unwrap().created, 1);
    assert!(!is_in_progress(&target.store, "db"), "an import makes no job");
    assert_eq!(target.store.maintain().unwrap().failed_rotations, 0);
    let report = target.store.verify(strongroom::VerifyOptions::new(), &mut |_| ()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}
