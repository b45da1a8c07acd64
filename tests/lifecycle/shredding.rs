//! What was deleted before a store was shredded cannot be read by anybody any more, and what was not is as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    Builder, DeleteSecretRequest, DescribeSecretRequest, ErrorKind, GetSecretValueRequest, LocalKeyring,
    RestoreSecretRequest, SecretStore, limits,
};

use crate::insider::{Header, Insider, Stored, count_in, records_of, tenant_of, windows_of};
use crate::keys::{new_key, rotate_all};
use crate::stores::{NOW, TENANTS, assert_clean, copy, fill, manager, name_of, names, put, read, token, value_of};

const KEPT: std::ops::Range<usize> = 0..10;
const DELETED: std::ops::Range<usize> = 10..20;
/// Has so many versions that old ones go.
const CROWDED: usize = 20;
const RESTORABLE: usize = 21;
const EXPIRING: usize = 22;
const VERSIONS_OF_CROWDED: usize = limits::VERSIONS_KEPT + 8;

struct Place {
    directory: tempfile::TempDir,
    keyring: LocalKeyring,
    clock: ManualClock,
    /// Every version as it was stored before anything was deleted.
    before: BTreeMap<String, Stored>,
    /// Ids of versions of which nothing may be readable after the store is shredded.
    deleted: Vec<String>,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn builder(&self, name: &str) -> Builder {
        SecretStore::builder(self.path(name)).key_provider(self.keyring.clone()).clock(self.clock.clone())
    }

    fn open(&self, name: &str) -> SecretStore {
        self.builder(name).open().unwrap_or_else(|error| panic!("`{name}` does not open: {error:?}"))
    }

    fn insider(&self, name: &str) -> Insider {
        Insider::of(&Header::all_in(&self.path(name)), &self.keyring)
    }

    /// How many of the versions of before can be opened with what is in a directory, by those that were deleted and those
    /// that were kept.
    fn opened_by(&self, name: &str) -> [usize; 2] {
        let insider = self.insider(name);
        let mut opened = [0; 2];
        for (id, stored) in &self.before {
            if let Some(value) = insider.open(stored, &self.keyring) {
                assert_eq!(value, value_of(id));
                opened[usize::from(!self.deleted.contains(id))] += 1;
            }
        }
        opened
    }

    /// A store with everything, then with a part of it deleted: `store`, closed.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keyring = LocalKeyring::in_memory();
        let own = new_key(&keyring);
        let clock = ManualClock::at_millis(NOW);
        let mut place = Self { directory, keyring, clock, before: BTreeMap::new(), deleted: Vec::new() };
        let store = place.open("store");
        fill(&store, 0..EXPIRING + 1, 2, |secret| (secret % 6 == 1).then(|| own.clone()));
        for version in 2..VERSIONS_OF_CROWDED {
            put(&manager(&store, CROWDED), CROWDED, version);
        }
        let versions_of = |secret| if secret == CROWDED { VERSIONS_OF_CROWDED } else { 2 };
        let arn_of = |secret| {
            let describe = DescribeSecretRequest::new(name_of(secret));
            manager(&store, secret).describe_secret(describe).unwrap().arn
        };
        let arns: Vec<_> = (0..=EXPIRING).map(arn_of).collect();
        store.close().unwrap();
        let (insider, records) = (place.insider("store"), records_of(&place.path("store")));
        for (secret, arn) in arns.iter().enumerate() {
            for id in (0..versions_of(secret)).map(|version| token(secret, version)) {
                let found = insider.find(&records, tenant_of(secret), [&name_of(secret), arn, &id]);
                place.before.insert(id, found.expect("a record that is there is found"));
            }
        }

        let store = place.open("store");
        rotate_all(&place.keyring);
        for secret in DELETED {
            let delete = DeleteSecretRequest::new(name_of(secret)).force_delete_without_recovery(true);
            manager(&store, secret).delete_secret(delete).unwrap();
        }
        for (secret, days) in [(RESTORABLE, 30), (EXPIRING, 7)] {
            let delete = DeleteSecretRequest::new(name_of(secret)).recovery_window_in_days(days);
            manager(&store, secret).delete_secret(delete).unwrap();
        }
        place.clock.advance(TimeDelta::days(8));
        store.close().unwrap();
        let gone = DELETED.chain([EXPIRING]).flat_map(|secret| [token(secret, 0), token(secret, 1)]);
        place.deleted = gone.chain((0..8).map(|version| token(CROWDED, version))).collect();
        place
    }

    /// What a user of the store finds: all that was kept, and nothing that was deleted.
    fn check_contents(&self, store: &SecretStore, what: &str) {
        let shown: usize = TENANTS
            .map(|[account, region]| {
                let manager = store.secrets_manager(account, region).unwrap();
                let found = names(&manager);
                for secret in DELETED.chain([EXPIRING]) {
                    assert!(!found.contains(&name_of(secret)), "{what}: secret {secret} is listed");
                }
                found.len()
            })
            .iter()
            .sum();
        assert_eq!(shown, KEPT.len() + 2, "{what}: secrets that are listed");
        for secret in KEPT {
            for id in [token(secret, 0), token(secret, 1)] {
                assert_eq!(read(&manager(store, secret), &name_of(secret), &id), value_of(&id), "{what}");
            }
        }
        let newest = token(CROWDED, VERSIONS_OF_CROWDED - 1);
        assert_eq!(read(&manager(store, CROWDED), &name_of(CROWDED), &newest), value_of(&newest), "{what}");
        for secret in DELETED.chain([CROWDED, EXPIRING]) {
            let get = GetSecretValueRequest::new(name_of(secret)).version_id(token(secret, 0));
            let error = manager(store, secret).get_secret_value(get).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::ResourceNotFound, "{what}: secret {secret}: {error:?}");
        }
    }

    fn check_restorable(&self, store: &SecretStore, what: &str) {
        let manager = manager(store, RESTORABLE);
        manager.restore_secret(RestoreSecretRequest::new(name_of(RESTORABLE))).unwrap();
        for id in [token(RESTORABLE, 0), token(RESTORABLE, 1)] {
            assert_eq!(read(&manager, &name_of(RESTORABLE), &id), value_of(&id), "{what}");
        }
        assert_clean(store);
    }
}

fn damage_the_log(path: &Path) {
    let log = path.join("sled/db");
    let mut bytes = fs::read(&log).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written * 9 / 10] ^= 0x10;
    fs::write(&log, bytes).unwrap();
    fs::remove_file(path.join("store.seal")).unwrap();
}

#[test]
fn what_was_deleted_before_a_store_was_shredded_opens_for_nobody() {
    let place = Place::new();
    let (all, deleted) = (place.before.len(), place.deleted.len());
    // Whoever takes a copy before the shredding can open everything: so would this test find it.
    copy(&place.path("store"), &place.path("copy before"));
    assert_eq!(place.opened_by("copy before"), [deleted, all - deleted]);
    let old = Header::all_in(&place.path("copy before"));
    assert_eq!(old.len(), 1, "one header");

    let store = place.open("store");
    let mut images = 0;
    let report = store.shred(&mut |_| {
        copy(&place.path("store"), &place.path(&format!("image {images}")));
        images += 1;
    });
    let report = report.unwrap();
    assert_eq!((report.purged_secrets, report.secrets, report.generation), (1, KEPT.len() as u64 + 2, 2));
    store.close().unwrap();

    let mut places = vec!["store".to_owned()];
    for number in [0, images - 1] {
        // A crash in the middle of it, after which it is done again.
        let name = format!("image {number}");
        let store = place.open(&name);
        place.check_contents(&store, &name);
        store.shred(&mut |_| {}).unwrap();
        store.close().unwrap();
        places.push(name);
    }
    let mut searched = 0;
    for name in &places {
        copy(&place.path(name), &place.path("copy after"));
        let new = Header::all_in(&place.path("copy after"));
        assert!(new.len() == 1 && new.iter().all(|header| header.generation > 1 && header.former.is_empty()), "{name}");
        assert_eq!(place.opened_by("copy after"), [0, 0], "{name}: versions of before that open");
        let windows = windows_of(old.first().unwrap());
        assert!(windows.len() >= 16, "{} windows", windows.len());
        assert!(count_in(&place.path("copy before"), &windows) >= windows.len(), "they are where they should be");
        assert_eq!(count_in(&place.path("copy after"), &windows), 0, "{name}: parts of the old wrapped root key");
        searched += windows.len();

        for (is_damaged, target) in [(false, "salvaged"), (true, "salvaged damaged")] {
            if is_damaged {
                damage_the_log(&place.path("copy after"));
            }
            let (salvaged, report) =
                place.builder(target).salvage(place.path("copy after"), None, &mut |_| {}).unwrap();
            assert!(report.is_whole || is_damaged, "{name}: {report:#?}");
            for id in &place.deleted {
                let secret = usize::from_str_radix(id.get(..16).unwrap(), 16).unwrap();
                let get = GetSecretValueRequest::new(name_of(secret)).version_id(id);
                assert!(manager(&salvaged, secret).get_secret_value(get).is_err(), "{name}, {target}: {id}");
            }
            if !is_damaged {
                place.check_contents(&salvaged, target);
            }
            salvaged.close().unwrap();
            fs::remove_dir_all(place.path(target)).unwrap();
        }
        fs::remove_dir_all(place.path("copy after")).unwrap();

        let store = place.open(name);
        place.check_contents(&store, name);
        place.check_restorable(&store, name);
        store.close().unwrap();
    }
    eprintln!(
        "shredding: {deleted} deleted and {} kept versions of before, all of them open before and none after it, in {} \
         directories (two after a crash in the middle); {searched} windows of the old header, 0 found",
        all - deleted,
        places.len()
    );
    assert!(images >= 2);
}

/// Such a value is under the root key that the interrupted change would have kept.
#[test]
fn what_was_deleted_in_the_middle_of_a_change_of_the_root_key_is_shredded_too() {
    let mut place = Place::new();
    let store = place.open("store");
    store.maintain().unwrap();
    let mut images = 0;
    store
        .rotate_root_key(&mut |_| {
            copy(&place.path("store"), &place.path(&format!("image {images}")));
            images += 1;
        })
        .unwrap();
    store.close().unwrap();
    let name = format!("image {}", images - 1);
    let store = place.open(&name);
    assert!(store.key_census(&mut |_| {}).unwrap().is_root_changing);
    let arns: Vec<_> = KEPT
        .map(|secret| {
            let describe = DescribeSecretRequest::new(name_of(secret));
            manager(&store, secret).describe_secret(describe).unwrap().arn
        })
        .collect();
    store.close().unwrap();
    let (insider, records) = (place.insider(&name), records_of(&place.path(&name)));
    for (secret, arn) in KEPT.zip(&arns) {
        let id = token(secret, 1);
        let found = insider.find(&records, tenant_of(secret), [&name_of(secret), arn, &id]);
        place.before.insert(id, found.expect("it was moved to the new root key"));
    }
    place.before.retain(|id, _| KEPT.map(|secret| token(secret, 1)).any(|kept| kept == *id));
    assert_eq!(place.opened_by(&name), [0, KEPT.len()], "what this test would find");

    let store = place.open(&name);
    for secret in KEPT {
        let delete = DeleteSecretRequest::new(name_of(secret)).force_delete_without_recovery(true);
        manager(&store, secret).delete_secret(delete).unwrap();
    }
    assert_eq!(store.shred(&mut |_| {}).unwrap().generation, 3);
    assert_clean(&store);
    store.close().unwrap();
    assert_eq!(place.opened_by(&name), [0, 0]);
}
