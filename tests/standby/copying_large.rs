//! Copying secrets that are larger than a frame.

use std::sync::Mutex;

use strongroom::{
    Changes, DeleteSecretRequest, Error, FeedPosition, GetSecretValueRequest, KeyOptions, ListSecretVersionIdsRequest,
    ReplicationLink, SecretStore, Seed, StandbyDirectory,
};

use crate::pair::{Pair, Wiretap, assert_clean, create, put, replicate};

/// A frame is of about 2 MiB, and one version more.
const FRAME_BYTES: usize = 2 * 1024 * 1024 + 256 * 1024;

fn create_large(store: &SecretStore, name: &str, versions: usize) {
    create(store, name, &format!("{:065000}", 0));
    (1..versions).for_each(|number| put(store, name, &format!("{number:065000}")));
}

/// The version ids of a secret with their values.
fn values(store: &SecretStore, name: &str) -> Vec<(String, String)> {
    let secrets = store.default_secrets_manager();
    let listed = secrets
        .list_secret_version_ids(ListSecretVersionIdsRequest::new(name).include_deprecated(true).max_results(100))
        .unwrap();
    let ids = listed.versions.into_iter().map(|version| version.version_id);
    let mut values: Vec<_> = ids
        .map(|id| {
            let get = GetSecretValueRequest::new(name).version_id(&id);
            let value = secrets.get_secret_value(get).unwrap().secret_string.unwrap().expose().to_owned();
            (id, value)
        })
        .collect();
    values.sort();
    values
}

#[test]
fn a_secret_with_many_large_versions_is_copied_in_frames_of_bounded_size() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "before", "small");
    create_large(&source, "large", 70);
    create(&source, "small", "small");
    let link = pair.link("standby");
    let wiretap = Wiretap::new(&link);
    replicate(&source, &wiretap);
    let sizes: Vec<usize> = wiretap.frames.lock().unwrap().iter().map(|frame| frame.as_bytes().len()).collect();
    assert!(sizes.iter().all(|bytes| *bytes < FRAME_BYTES), "{sizes:?}");
    assert!(sizes.iter().sum::<usize>() > 70 * 65_000);
    let standby = link.store().unwrap();
    assert_clean(&standby);
    assert_eq!(values(&standby, "large"), values(&source, "large"));
    assert_eq!(values(&source, "large").len(), 70);
}

type Change = fn(&SecretStore, usize);

/// What becomes of a secret of which a part was sent.
const CHANGES: [(&str, Change); 5] = [
    ("another version", |store, at| put(store, "large", &format!("another {at}"))),
    ("all values anew", |store, at| {
        if at < 2 {
            store.reencrypt(&KeyOptions::new().anew(true), &mut |_| {}).unwrap();
        }
    }),
    ("gone", |store, at| {
        if at == 0 {
            delete(store);
        }
    }),
    ("another of its name", |store, at| {
        if at == 0 {
            delete(store);
            create_large(store, "large", 40);
        }
    }),
    ("fewer versions", |store, at| {
        if at == 0 {
            delete(store);
            create(store, "large", "small now");
        }
    }),
];

fn delete(store: &SecretStore) {
    let delete = DeleteSecretRequest::new("large").force_delete_without_recovery(true);
    store.default_secrets_manager().delete_secret(delete).unwrap();
}

/// The store changes before each of the first frames.
#[derive(Debug)]
struct Changing<'a> {
    link: &'a StandbyDirectory,
    source: &'a SecretStore,
    change: Change,
    frames: Mutex<usize>,
}

impl ReplicationLink for Changing<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.link.position()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.link.begin(seed)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        let mut frames = self.frames.lock().unwrap();
        if *frames < 4 {
            (self.change)(self.source, *frames);
        }
        *frames += 1;
        drop(frames);
        self.link.apply(changes)
    }
}

#[test]
fn what_was_sent_of_a_secret_that_changes_meanwhile_leaves_nothing_behind() {
    for (name, change) in CHANGES {
        let pair = Pair::new();
        let source = pair.open("source");
        create_large(&source, "large", 45);
        let link = pair.link("standby");
        let changing = Changing { link: &link, source: &source, change, frames: Mutex::new(0) };
        let report = source.replicate_to(&changing, &mut |_| {}).unwrap();
        assert!(report.seeded_secrets.is_some(), "{name}");
        replicate(&source, &link);
        let standby = link.store().unwrap();
        // Values that belong to no secret would be found.
        assert_clean(&standby);
        let count = source.stats().unwrap().secrets;
        assert_eq!(standby.stats().unwrap().secrets, count, "{name}");
        if count > 0 {
            assert_eq!(values(&standby, "large"), values(&source, "large"), "{name}");
        }
    }
}
