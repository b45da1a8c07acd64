//! `SecretStore::maintain`: what is due is done, nothing else is, and the answer says when to come back.

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    Backend, Batch, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Durability, ErrorKind,
    GetSecretValueRequest, ListSecretsRequest, MaintenanceReport, MemoryBackend, PutSecretValueRequest,
    RestoreSecretRequest, SecretStore, SecretsManager, StaticKey, Timestamp, UpdateSecretVersionStageRequest,
};

use crate::fixture::{NOT_FOUND, START_MILLIS, World, id, refused};

fn world() -> World {
    World::over(StaticKey::new([7; 32]))
}

/// So many milliseconds after the start.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(START_MILLIS + millis).unwrap()
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn create(secrets: &SecretsManager, name: &str) {
    secrets.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
}

fn schedule(secrets: &SecretsManager, name: &str, days: i64) -> Timestamp {
    let request = DeleteSecretRequest::new(name).recovery_window_in_days(days);
    secrets.delete_secret(request).unwrap().deletion_date
}

fn exists(secrets: &SecretsManager, name: &str) -> bool {
    secrets.describe_secret(DescribeSecretRequest::new(name)).is_ok()
}

/// What was done, as `(purged secrets, removed versions, when to come back)`.
fn maintain(world: &World) -> (u64, u64, Option<Timestamp>) {
    let report: MaintenanceReport = world.store.maintain().unwrap();
    (report.purged_secrets, report.removed_versions, report.next_due_at)
}

#[test]
fn a_store_without_anything_due_has_nothing_to_do() {
    let world = world();
    assert_eq!(maintain(&world), (0, 0, None));
    create(&world.secrets, "s");
    world.clock.advance(TimeDelta::days(10_000));
    assert_eq!(maintain(&world), (0, 0, None));
    assert!(exists(&world.secrets, "s"));
}

/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html>
#[test]
fn exactly_what_is_past_its_window_is_purged() {
    let world = world();
    for (name, days) in [("seven", 7), ("eight", 8), ("thirty", 30)] {
        create(&world.secrets, name);
        assert_eq!(schedule(&world.secrets, name, days), at(days * DAY));
    }
    create(&world.secrets, "kept");
    let rows = [
        (7 * DAY - 1, (0, 0, Some(at(7 * DAY))), 4),
        (7 * DAY, (1, 0, Some(at(8 * DAY))), 3),
        (8 * DAY - 1, (0, 0, Some(at(8 * DAY))), 3),
        (9 * DAY, (1, 0, Some(at(30 * DAY))), 2),
        (30 * DAY, (1, 0, None), 1),
        (31 * DAY, (0, 0, None), 1),
    ];
    for (millis, done, left) in rows {
        world.clock.set(at(millis));
        assert_eq!(maintain(&world), done, "after {millis} ms");
        assert_eq!(maintain(&world), (0, 0, done.2), "once more after {millis} ms");
        assert_eq!(world.store.stats().unwrap().secrets, left, "after {millis} ms");
    }
    assert!(exists(&world.secrets, "kept"));
}

/// Past its window a secret is gone, and its name is free, whether maintenance has run or not.
#[test]
fn an_expired_secret_is_out_of_reach_before_it_is_purged() {
    let world = world();
    create(&world.secrets, "s");
    schedule(&world.secrets, "s", 7);
    world.clock.set(at(7 * DAY));
    let code = "ResourceNotFoundException";
    refused(world.secrets.describe_secret(DescribeSecretRequest::new("s")), code, NOT_FOUND);
    refused(world.secrets.restore_secret(RestoreSecretRequest::new("s")), code, NOT_FOUND);
    refused(world.secrets.get_secret_value(GetSecretValueRequest::new("s")), code, NOT_FOUND);
    create(&world.secrets, "s");
    assert_eq!(maintain(&world), (0, 0, None), "the new secret of that name is not due");
    assert_eq!(world.read("s").unwrap(), "v");
    assert_eq!(world.store.stats().unwrap().secrets, 1);
}

#[test]
fn a_restored_secret_is_not_purged() {
    let world = world();
    create(&world.secrets, "s");
    schedule(&world.secrets, "s", 7);
    world.clock.set(at(7 * DAY - 1));
    world.secrets.restore_secret(RestoreSecretRequest::new("s")).unwrap();
    world.clock.set(at(100 * DAY));
    assert_eq!(maintain(&world), (0, 0, None));
    assert_eq!(world.read("s").unwrap(), "v");
}

#[test]
fn only_the_last_schedule_counts() {
    let world = world();
    create(&world.secrets, "s");
    schedule(&world.secrets, "s", 7);
    world.secrets.restore_secret(RestoreSecretRequest::new("s")).unwrap();
    schedule(&world.secrets, "s", 30);
    world.clock.set(at(8 * DAY));
    assert_eq!(maintain(&world), (0, 0, Some(at(30 * DAY))));
    world.secrets.restore_secret(RestoreSecretRequest::new("s")).unwrap();
    assert_eq!(maintain(&world), (0, 0, None));
    assert_eq!(world.read("s").unwrap(), "v");
}

/// A forced deletion leaves nothing due.
#[test]
fn a_removed_secret_is_not_due() {
    let world = world();
    create(&world.secrets, "s");
    schedule(&world.secrets, "s", 7);
    world.secrets.delete_secret(DeleteSecretRequest::new("s").force_delete_without_recovery(true)).unwrap();
    assert_eq!(maintain(&world), (0, 0, None));
    world.clock.set(at(8 * DAY));
    assert_eq!(maintain(&world), (0, 0, None));
}

#[test]
fn maintenance_serves_every_account_and_region() {
    let world = world();
    let tenants: Vec<SecretsManager> =
        [("111111111111", "us-east-1"), ("111111111111", "eu-west-1"), ("222222222222", "cn-north-1")]
            .map(|(account, region)| world.store.secrets_manager(account, region).unwrap())
            .into();
    for (days, secrets) in (7..).zip(&tenants) {
        create(secrets, "s");
        create(secrets, "kept");
        schedule(secrets, "s", days);
    }
    world.clock.set(at(8 * DAY));
    assert_eq!(maintain(&world), (2, 0, Some(at(9 * DAY))));
    for (secrets, is_left) in tenants.iter().zip([false, false, true]) {
        assert_eq!((exists(secrets, "s"), exists(secrets, "kept")), (is_left, true));
    }
    world.clock.set(at(9 * DAY));
    assert_eq!(maintain(&world), (1, 0, None));
}

#[test]
fn thousands_of_secrets_are_purged_in_one_run() {
    let world = world();
    for number in 0..3_000 {
        let name = format!("s{number}");
        world.secrets.create_secret(CreateSecretRequest::new(&name)).unwrap();
        if number % 3 != 0 {
            // Spread over the days, many at the same instant.
            schedule(&world.secrets, &name, 7 + number % 20);
        }
    }
    world.clock.set(at(16 * DAY));
    let due = (0..3_000).filter(|number| number % 3 != 0 && number % 20 <= 9).count();
    assert_eq!(maintain(&world), (u64::try_from(due).unwrap(), 0, Some(at(17 * DAY))));
    world.clock.set(at(26 * DAY));
    assert_eq!(maintain(&world), (2_000 - u64::try_from(due).unwrap(), 0, None));
    assert_eq!(world.store.stats().unwrap().secrets, 1_000);
    let page = world.secrets.list_secrets(ListSecretsRequest::new().include_planned_deletion(true)).unwrap();
    assert!(page.secret_list.iter().all(|entry| entry.deleted_date.is_none()));
}

/// A secret with so many versions, one millisecond apart from a given time on.
fn with_versions(world: &World, name: &str, count: usize) {
    world.secrets.create_secret(CreateSecretRequest::new(name)).unwrap();
    add_versions(world, name, 1..=count);
}

fn add_versions(world: &World, name: &str, numbers: std::ops::RangeInclusive<usize>) {
    for number in numbers {
        world.clock.advance(TimeDelta::milliseconds(1));
        let request = PutSecretValueRequest::new(name, number.to_string()).client_request_token(id(number));
        world.secrets.put_secret_value(request).unwrap();
    }
}

fn readable(world: &World, name: &str, numbers: std::ops::RangeInclusive<usize>) -> Vec<usize> {
    numbers.filter(|number| world.read_version(name, *number).is_ok()).collect()
}

/// Beyond a hundred versions, unlabelled ones go, oldest first, none younger than a day.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
#[test]
fn old_versions_beyond_a_hundred_are_removed_once_they_are_a_day_old() {
    let world = world();
    with_versions(&world, "s", 103);
    // The third version was made at 3 ms; each becomes due a day after it was made.
    assert_eq!(maintain(&world), (0, 0, Some(at(DAY + 1))));
    world.clock.set(at(DAY));
    assert_eq!(maintain(&world), (0, 0, Some(at(DAY + 1))), "none is a day old");
    assert_eq!(readable(&world, "s", 1..=103).len(), 103);
    world.clock.set(at(DAY + 1));
    assert_eq!(maintain(&world), (0, 1, Some(at(DAY + 2))));
    assert_eq!(maintain(&world), (0, 0, Some(at(DAY + 2))));
    world.clock.set(at(2 * DAY));
    assert_eq!(maintain(&world), (0, 2, None), "a hundred stay, however old");
    assert_eq!(readable(&world, "s", 1..=103), (4..=103).collect::<Vec<_>>());
    world.clock.set(at(100 * DAY));
    assert_eq!(maintain(&world), (0, 0, None));
}

#[test]
fn a_hundred_versions_are_never_due() {
    let world = world();
    with_versions(&world, "s", 100);
    assert_eq!(maintain(&world), (0, 0, None));
    world.clock.advance(TimeDelta::days(1_000));
    assert_eq!(maintain(&world), (0, 0, None));
    assert_eq!(readable(&world, "s", 1..=100).len(), 100);
}

#[test]
fn labelled_versions_are_never_removed() {
    let world = world();
    with_versions(&world, "s", 3);
    for (label, version) in [("one", 1), ("two", 2)] {
        let attach = UpdateSecretVersionStageRequest::new("s", label).move_to_version_id(id(version));
        world.secrets.update_secret_version_stage(attach).unwrap();
    }
    add_versions(&world, "s", 4..=105);
    world.clock.advance(TimeDelta::days(2));
    assert_eq!(maintain(&world), (0, 5, None));
    assert_eq!(readable(&world, "s", 1..=8), [1, 2, 8]);
    // A label that is taken away makes a version one of many again, and the next one too many goes.
    let detach = UpdateSecretVersionStageRequest::new("s", "one").remove_from_version_id(id(1));
    world.secrets.update_secret_version_stage(detach).unwrap();
    assert_eq!(maintain(&world), (0, 0, None));
    add_versions(&world, "s", 106..=106);
    maintain(&world);
    assert_eq!(readable(&world, "s", 1..=8), [2, 8]);
}

/// Adding a version removes what may go, so a store that is never maintained does not grow without end.
#[test]
fn adding_a_version_removes_old_ones_too() {
    let world = world();
    with_versions(&world, "s", 150);
    world.clock.advance(TimeDelta::days(2));
    add_versions(&world, "s", 151..=151);
    assert_eq!(readable(&world, "s", 1..=151), (52..=151).collect::<Vec<_>>());
    assert_eq!(maintain(&world), (0, 0, None));
}

#[test]
fn versions_of_a_scheduled_secret_are_kept_like_those_of_any_other() {
    let world = world();
    with_versions(&world, "s", 102);
    schedule(&world.secrets, "s", 7);
    world.clock.set(at(3 * DAY));
    maintain(&world);
    world.secrets.restore_secret(RestoreSecretRequest::new("s")).unwrap();
    assert_eq!(world.read("s").unwrap(), "102");
    assert!(readable(&world, "s", 1..=102).len() >= 100);
    world.clock.set(at(20 * DAY));
    maintain(&world);
    assert_eq!(readable(&world, "s", 1..=102).len(), 100);
}

/// The answer is the earliest thing that is due after the run, also if the run itself made it due.
#[test]
fn the_time_to_come_back_is_the_earliest_one() {
    let world = world();
    create(&world.secrets, "later");
    schedule(&world.secrets, "later", 7);
    with_versions(&world, "s", 1);
    world.clock.set(at(20 * HOUR));
    add_versions(&world, "s", 2..=103);
    assert_eq!(maintain(&world).2, Some(at(DAY + 1)), "version 1 was made after a millisecond");
    world.clock.set(at(DAY + 1));
    // Version 1 goes; 102 are left, and version 2 is a day old 20 hours later, long before the other secret goes.
    assert_eq!(maintain(&world), (0, 1, Some(at(DAY + 20 * HOUR + 1))));
}

/// Purges and removals of several secrets in one run.
#[test]
fn one_run_does_everything_that_is_due() {
    let world = world();
    with_versions(&world, "many", 105);
    create(&world.secrets, "goes");
    let gone_at = schedule(&world.secrets, "goes", 7);
    world.clock.set(gone_at);
    assert_eq!(maintain(&world), (1, 5, None));
    assert_eq!(maintain(&world), (0, 0, None));
}

#[test]
fn a_clock_that_goes_backwards_does_no_harm() {
    let world = world();
    create(&world.secrets, "s");
    let due = schedule(&world.secrets, "s", 7);
    world.clock.advance(TimeDelta::days(-1_000));
    assert_eq!(maintain(&world), (0, 0, Some(due)));
    assert!(exists(&world.secrets, "s"));
    world.secrets.restore_secret(RestoreSecretRequest::new("s")).unwrap();
    assert_eq!(world.read("s").unwrap(), "v");
    create(&world.secrets, "early");
    let early = schedule(&world.secrets, "early", 7);
    assert!(early < due);
    assert_eq!(maintain(&world), (0, 0, Some(early)));
    world.clock.set(due);
    assert_eq!(maintain(&world), (1, 0, None));
    assert_eq!(world.read("s").unwrap(), "v");
}

/// Versions whose dates are not in order, because the clock was set back, are still removed when they are old enough.
#[test]
fn versions_from_before_a_clock_was_set_back_are_removed_in_the_end() {
    let world = world();
    with_versions(&world, "s", 60);
    world.clock.advance(TimeDelta::days(-30));
    add_versions(&world, "s", 61..=130);
    let young = readable(&world, "s", 1..=130).len();
    assert_eq!(young, 130, "none is a day old by any count");
    world.clock.set(at(2 * DAY));
    maintain(&world);
    let left = readable(&world, "s", 1..=130);
    assert_eq!(left.len(), 100);
    assert!(left.ends_with(&[129, 130]));
}

/// Before 1970 and at the end of the calendar.
#[test]
fn maintenance_works_at_the_ends_of_time() {
    let world = world();
    world.clock.set(Timestamp::from_timestamp_millis(-10 * DAY).unwrap());
    create(&world.secrets, "old");
    let due = schedule(&world.secrets, "old", 7);
    assert_eq!(due.timestamp_millis(), -3 * DAY);
    assert_eq!(maintain(&world), (0, 0, Some(due)));
    world.clock.set(Timestamp::from_timestamp_millis(0).unwrap());
    assert_eq!(maintain(&world), (1, 0, None));
    world.clock.set(Timestamp::MAX_UTC);
    create(&world.secrets, "last");
    schedule(&world.secrets, "last", 30);
    assert!(world.store.maintain().is_ok());
}

/// What is due survives closing.
#[test]
fn what_is_due_is_known_after_reopening() {
    let backend = MemoryBackend::new();
    let clock = ManualClock::at_millis(START_MILLIS);
    let open = || {
        let store = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32]));
        store.clock(clock.clone()).open().unwrap()
    };
    let store = open();
    create(&store.default_secrets_manager(), "s");
    schedule(&store.default_secrets_manager(), "s", 7);
    store.close().unwrap();
    clock.advance(TimeDelta::days(7));
    let store = open();
    assert_eq!(store.maintain().unwrap().purged_secrets, 1);
    store.close().unwrap();
    assert_eq!(open().maintain().unwrap(), MaintenanceReport::default());
}

/// Several threads maintain at once while others work: every secret is purged once.
#[test]
fn several_may_maintain_at_once() {
    let world = world();
    for number in 0..300 {
        create(&world.secrets, &format!("s{number}"));
        schedule(&world.secrets, &format!("s{number}"), 7);
    }
    world.clock.set(at(7 * DAY));
    let purged: u64 = std::thread::scope(|scope| {
        let store = &world.store;
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| store.maintain().unwrap().purged_secrets)).collect();
        let secrets = &world.secrets;
        scope.spawn(move || (0..100).for_each(|number| create(secrets, &format!("new{number}"))));
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert_eq!(purged, 300);
    assert_eq!(world.store.stats().unwrap().secrets, 100);
    assert_eq!(maintain(&world), (0, 0, None));
}

/// A record that nobody can read any more does not keep the others from being purged, and is reported.
#[test]
fn one_damaged_secret_does_not_hold_up_the_others() {
    let clock = ManualClock::at_millis(START_MILLIS);
    let backend = MemoryBackend::new();
    let open = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32])).clock(clock.clone());
    let store = open.open().unwrap();
    let secrets = store.default_secrets_manager();
    for number in 0..10 {
        let name = format!("s{number}");
        create(&secrets, &name);
        schedule(&secrets, &name, 7);
    }
    let (key, stored) = backend.scan(b"s", None, 1).unwrap().pop().unwrap();
    let mut damaged = stored.as_ref().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new();
    batch.put(key, damaged);
    backend.commit(&batch, Durability::Immediate).unwrap();
    clock.advance(TimeDelta::days(8));
    for _ in 0..2 {
        let error = store.maintain().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Corrupted, "it is still there to be looked at");
        assert_eq!(store.stats().unwrap().secrets, 1, "the others are gone");
    }
}

/// The time of a due entry stands in its key: a moved entry is noticed before its time comes.
#[test]
fn a_due_entry_that_was_moved_is_reported() {
    let backend = MemoryBackend::new();
    let open = SecretStore::with_backend(backend.clone()).key_provider(StaticKey::new([7; 32]));
    let store = open.clock(ManualClock::at_millis(START_MILLIS)).open().unwrap();
    let secrets = store.default_secrets_manager();
    for (name, days) in [("a", 7), ("b", 8)] {
        create(&secrets, name);
        schedule(&secrets, name, days);
    }
    let (key, stored) = backend.scan(b"d", None, 1).unwrap().pop().unwrap();
    let mut moved = key.clone();
    moved[6] ^= 1;
    let mut batch = Batch::new();
    batch.remove(key);
    batch.put(moved, stored.as_ref().to_vec());
    backend.commit(&batch, Durability::Immediate).unwrap();
    assert_eq!(store.maintain().unwrap_err().kind(), &ErrorKind::Corrupted);
}
