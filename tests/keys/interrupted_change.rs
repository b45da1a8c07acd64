//! Ordinary work on a store in which a change of the root key was interrupted, and a check beside a change of the header.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest, KeyOptions, LocalKeyring,
    PutSecretValueRequest, RestoreSecretRequest, SecretStore, StaticKey, Tag, TagResourceRequest, UpdateSecretRequest,
    VerifyOptions,
};

use crate::fixture::{START_MILLIS, home};

fn assert_clean(store: &SecretStore, when: &str) {
    let report = store.verify(VerifyOptions::new().opens_values(true), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{when}: {:?}", report.findings);
}

#[test]
fn everything_works_in_the_middle_of_an_interrupted_change() {
    for stop_at in [0, 1, 2, 3] {
        let keyring = Arc::new(LocalKeyring::in_memory());
        let [main, second] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
        let clock = ManualClock::at_millis(START_MILLIS);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        let open = || {
            SecretStore::builder(&path)
                .key_provider(Arc::clone(&keyring))
                .clock(clock.clone())
                .test_only(true)
                .root_key_id(&main)
                .open()
                .unwrap()
        };
        let name = |number: usize| format!("s/{number:04}");
        let store = open();
        let secrets = store.default_secrets_manager();
        for number in 0..150 {
            let create = CreateSecretRequest::new(name(number)).secret_string("1").kms_key_id(&main);
            secrets.create_secret(create).unwrap();
            if number % 10 == 3 {
                secrets.delete_secret(DeleteSecretRequest::new(name(number)).recovery_window_in_days(7)).unwrap();
            }
        }
        let mut calls = 0;
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _ = store.rotate_root_key(&mut |_| {
                assert!(calls < stop_at, "stopped");
                calls += 1;
            });
        }));
        let work = |store: &SecretStore, round: usize| {
            let secrets = store.default_secrets_manager();
            for number in (0..150).filter(|number| number % 10 != 3) {
                let name = name(number);
                match (number + round) % 9 {
                    0 => drop(secrets.put_secret_value(PutSecretValueRequest::new(&name, "2")).unwrap()),
                    1 => drop(secrets.update_secret(UpdateSecretRequest::new(&name).kms_key_id(&second)).unwrap()),
                    2 => secrets.tag_resource(TagResourceRequest::new(&name, [Tag::new("a", "b")])).map(drop).unwrap(),
                    3 => {
                        let delete = DeleteSecretRequest::new(&name).force_delete_without_recovery(true);
                        secrets.delete_secret(delete).unwrap();
                        secrets.create_secret(CreateSecretRequest::new(&name).secret_string("3")).unwrap();
                    }
                    4 => {
                        secrets.delete_secret(DeleteSecretRequest::new(&name)).unwrap();
                        secrets.restore_secret(RestoreSecretRequest::new(&name)).unwrap();
                    }
                    5 => drop(secrets.get_secret_value(GetSecretValueRequest::new(&name)).unwrap()),
                    _ => drop(secrets.describe_secret(DescribeSecretRequest::new(&name)).unwrap()),
                }
            }
        };
        work(&store, 0);
        assert_clean(&store, "after work");
        clock.advance(TimeDelta::days(8));
        assert_eq!(store.maintain().unwrap().purged_secrets, 15);
        assert_clean(&store, "after a purge");
        store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
        store.add_recipient(&second, &mut |_| {}).unwrap();
        assert_clean(&store, "after a recipient");
        work(&store, 4);
        store.close().unwrap();
        let store = open();
        work(&store, 7);
        store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
        assert_clean(&store, "after a restart");
        store.rotate_root_key(&mut |_| {}).unwrap();
        assert_clean(&store, "after the end");
        assert!(!store.key_census(&mut |_| {}).unwrap().is_root_changing);
        store.close().unwrap();
        let store = open();
        work(&store, 2);
        assert_clean(&store, "at last");
    }
}

#[test]
fn a_sound_header_is_never_called_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let store = SecretStore::builder(&path).key_provider(StaticKey::new([7; 32])).open().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1_500 {
                store.add_recipient("alias/recovery", &mut |_| {}).unwrap();
                store.drop_wraps("alias/recovery", &KeyOptions::new(), &mut |_| {}).unwrap();
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut checks = 0_u64;
        while !is_over.load(Ordering::Relaxed) {
            let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
            checks += 1;
            if !report.is_clean() {
                is_over.store(true, Ordering::Relaxed);
                panic!("check {checks}: {:?}", report.findings);
            }
        }
        eprintln!("{checks} checks");
    });
}
