//! Rotation where something is used up or out of reach: versions, labels, keys, the store itself.

use chrono::TimeDelta;
use strongroom::testing::{FaultyBackend, SeededEntropy};
use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, KeyScope, LocalKeyring, MemoryBackend,
    PutSecretValueRequest, RotateSecretRequest, SecretStore, StaticKey,
};

use crate::fixture::{ARN, Bench, Scripted, at, clock, days, refusal, token};

/// Puts values until the secret has as many versions as it may have.
fn fill(bench: &Bench, versions: u32) {
    for number in 2..=versions {
        bench.put(number, &[]);
    }
}

#[test]
fn a_secret_with_as_many_versions_as_it_may_have_is_not_rotated() {
    let bench = Bench::with(Scripted::working(), |builder| builder.versions_per_secret_max(3));
    fill(&bench, 3);
    let before = bench.describe();
    for immediately in [true, false] {
        let request = bench.rotate(9).rotation_rules(days(1)).rotate_immediately(immediately);
        assert_eq!(refusal(bench.secrets.rotate_secret(request)).0, "LimitExceededException");
        assert_eq!(bench.describe(), before);
    }
    assert_eq!(bench.maintain().next_due_at, None);
}

#[test]
fn its_schedule_leaves_windows_out_and_goes_on_when_there_is_room() {
    let bench = Bench::with(Scripted::working(), |builder| builder.versions_per_secret_max(102));
    bench.schedule(days(1));
    fill(&bench, 102);
    for (now, next) in
        [("2026-01-16T00:00:00Z", "2026-01-17T00:00:00Z"), ("2026-01-16T06:00:00Z", "2026-01-17T00:00:00Z")]
    {
        bench.at(now);
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, bench.steps().len()), (0, 0), "{now}");
        assert!(report.next_due_at.is_some_and(|due| due > at(now)), "{now}");
        assert!(bench.status().next_window.unwrap().start >= at(next), "{now}");
        assert_eq!(bench.status().in_progress, None, "{now}");
        // It is not gone about again and again.
        assert_eq!(bench.maintain().rotated_secrets, 0, "{now}");
    }
    assert_eq!(bench.describe().next_rotation_date, Some(at("2026-01-16T23:59:59Z")));
    // A day later old versions can go.
    bench.at("2026-01-17T12:00:00Z");
    let report = bench.maintain();
    assert_eq!((report.removed_versions, report.rotated_secrets), (2, 1));
}

#[test]
fn a_secret_with_as_many_labels_as_it_may_have_is_not_rotated() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    for number in 1..=19 {
        bench.move_label(&format!("label{number}"), None, Some(1));
    }
    assert_eq!(refusal(bench.secrets.rotate_secret(bench.rotate(2))).0, "LimitExceededException");
    bench.at("2026-01-16T00:00:00Z");
    let report = bench.maintain();
    assert_eq!((report.rotated_secrets, report.failed_rotations, bench.steps().len()), (0, 0, 0));
    assert_eq!(report.next_due_at, Some(at("2026-01-17T00:00:00Z")));
    bench.move_label("label1", Some(1), None);
    bench.move_label("label2", Some(1), None);
    bench.at("2026-01-17T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
}

#[test]
fn a_version_that_is_pending_already_needs_no_room() {
    let bench = Bench::with(Scripted::working(), |builder| builder.versions_per_secret_max(3));
    bench.schedule(days(1));
    fill(&bench, 2);
    bench.put(3, &["AWSPENDING"]);
    bench.at("2026-01-16T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert_eq!(bench.labels(), "2 PREVIOUS, 3 CURRENT+PENDING");
}

#[test]
fn a_key_that_is_disabled_during_a_rotation_makes_it_fail_until_it_is_enabled() {
    let keyring = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(2));
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let provider = keyring.clone();
    let bench = Bench::with(Scripted::working(), |builder| builder.key_provider(provider));
    let create = CreateSecretRequest::new("locked").client_request_token(token(1)).secret_string("first");
    bench.secrets.create_secret(create.kms_key_id(&key)).unwrap();
    let request = RotateSecretRequest::new("locked").client_request_token(token(2)).rotation_lambda_arn(ARN);
    bench.secrets.rotate_secret(request.rotation_rules(days(1))).unwrap();
    keyring.disable_key(&key).unwrap();
    for minutes in [0, 1] {
        bench.advance(TimeDelta::minutes(minutes));
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.failed_rotations), (0, 1));
    }
    let job = bench.secrets.rotation_status("locked").unwrap().unwrap().in_progress.unwrap();
    assert_eq!((job.attempts, job.version_id), (2, token(2)));
    keyring.enable_key(&key).unwrap();
    bench.advance(TimeDelta::minutes(2));
    assert_eq!(bench.maintain().rotated_secrets, 1);
    let read = bench.secrets.get_secret_value(GetSecretValueRequest::new("locked")).unwrap();
    assert_eq!(read.version_id, token(2));
}

#[test]
fn a_key_that_is_disabled_keeps_a_function_from_being_tried() {
    let keyring = LocalKeyring::in_memory_with_entropy(SeededEntropy::new(2));
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let provider = keyring.clone();
    let bench = Bench::with(Scripted::working(), |builder| builder.key_provider(provider));
    let create = CreateSecretRequest::new("locked").client_request_token(token(1)).secret_string("first");
    bench.secrets.create_secret(create.kms_key_id(&key)).unwrap();
    let request = RotateSecretRequest::new("locked").rotation_lambda_arn(ARN).rotation_rules(days(1));
    bench.secrets.rotate_secret(request.rotate_immediately(false)).unwrap();
    keyring.disable_key(&key).unwrap();
    let report = bench.maintain();
    assert_eq!((report.tested_rotations, report.failed_rotations, bench.steps().len()), (0, 1, 0));
    let described = bench.secrets.describe_secret(DescribeSecretRequest::new("locked")).unwrap();
    assert_eq!((described.rotation_enabled, described.version_ids_to_stages.unwrap().len()), (Some(true), 1));
}

#[test]
fn a_commit_that_fails_leaves_the_rotation_where_it_was() {
    // Commits of a whole rotation: it is begun, an attempt is begun, a value is put, the label moves, the attempt ends.
    for failing in 0..6 {
        let memory = MemoryBackend::new();
        let clock = clock("2026-01-15T12:00:00Z");
        let open = |backend: FaultyBackend, function: &Scripted| {
            let builder = SecretStore::with_backend(backend).key_provider(StaticKey::new([7; 32]));
            let builder = builder.clock(clock.clone()).rotation_function(ARN, function.clone());
            builder.open().unwrap()
        };
        let function = Scripted::working();
        let backend = FaultyBackend::new(memory.clone());
        let store = open(backend.clone(), &function);
        let secrets = store.default_secrets_manager();
        let create = CreateSecretRequest::new("db").client_request_token(token(1)).secret_string("first");
        secrets.create_secret(create).unwrap();
        backend.fail_commit(failing);
        let request = || RotateSecretRequest::new("db").client_request_token(token(2)).rotation_lambda_arn(ARN);
        let begun = secrets.rotate_secret(request());
        let done = store.maintain();
        assert!(begun.is_err() || done.is_err() || done.unwrap().rotated_secrets == 1, "commit {failing}");
        drop((secrets, store));
        // Whatever was stored, it can be gone on with.
        let store = open(FaultyBackend::new(memory), &function);
        let secrets = store.default_secrets_manager();
        let described = || secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
        if described().last_rotated_date.is_none() {
            if described().rotation_enabled.is_none() {
                secrets.rotate_secret(request()).unwrap();
            }
            clock.advance(TimeDelta::minutes(10));
            assert_eq!(store.maintain().unwrap().rotated_secrets, 1, "commit {failing}");
        }
        let read = secrets.get_secret_value(GetSecretValueRequest::new("db")).unwrap();
        assert_eq!(read.version_id, token(2), "commit {failing}");
        assert!(described().last_rotated_date.is_some(), "commit {failing}");
    }
}

#[test]
fn a_value_of_the_largest_size_can_be_rotated() {
    let bench = Bench::new(Scripted::working());
    let large = "x".repeat(65_536);
    let put = PutSecretValueRequest::new("db", large.as_str()).client_request_token(token(2));
    bench.secrets.put_secret_value(put).unwrap();
    bench.secrets.rotate_secret(bench.rotate(3).rotate_immediately(false)).unwrap();
    assert_eq!(bench.maintain().tested_rotations, 1);
    assert_eq!(bench.current(), large);
}

#[test]
fn settings_that_would_rotate_nothing_are_refused() {
    let clock = clock("2026-01-15T12:00:00Z");
    let minute = TimeDelta::minutes(1);
    for builder in [
        crate::fixture::builder(&clock).rotation_workers(0),
        crate::fixture::builder(&clock).rotation_retries(0, minute),
        crate::fixture::builder(&clock).rotation_retries(1, -minute),
    ] {
        assert_eq!(*builder.open().unwrap_err().kind(), strongroom::ErrorKind::Configuration);
    }
}
