//! Stores with replicas: whatever an operator does for one, its replicas are in sync afterwards and follow their primary.

use std::path::Path;

use strongroom::{
    AssociateCrossAccountReplicaRequest, CreateSecretRequest, DescribeSecretRequest, GetSecretValueRequest, KeyCensus,
    KeyOptions, PutSecretValueRequest, ReplicaRegionType, SecretStore, StatusType,
};

use crate::stores::{assert_clean, builder};

/// A primary, its replicas in other Regions, and the one in another account; with the key of each.
const PLACES: [(&str, &str, &str, Option<&str>); 4] = [
    ("111122223333", "us-east-1", "db", None),
    ("111122223333", "eu-west-1", "db", Some("alias/app")),
    ("111122223333", "eu-west-2", "db", None),
    ("444455556666", "us-east-1", "copy", Some("alias/shared")),
];

const ROLE: &str = "arn:aws:iam::111122223333:role/replicates";

/// Two versions of `db`, of which the second is `two`, and replicas of it everywhere.
fn fill(store: &SecretStore) {
    let [home, other] = [PLACES[0], PLACES[3]].map(|place| store.secrets_manager(place.0, place.1).unwrap());
    let regions = [ReplicaRegionType::new("eu-west-1").kms_key_id("alias/app"), ReplicaRegionType::new("eu-west-2")];
    let create = CreateSecretRequest::new("db").secret_string("one").add_replica_regions(regions);
    let arn = home.create_secret(create).unwrap().arn;
    let create = CreateSecretRequest::new("copy").kms_key_id("alias/shared").cross_account_primary_arn(arn);
    let copy = other.create_secret(create).unwrap().arn;
    let associate = AssociateCrossAccountReplicaRequest::new("db", copy).replication_role_arn(ROLE);
    home.associate_cross_account_replica(associate).unwrap();
    put(store, "two");
}

fn put(store: &SecretStore, value: &str) {
    let home = store.secrets_manager(PLACES[0].0, PLACES[0].1).unwrap();
    home.put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
}

/// The current and the previous value in every place.
fn read(store: &SecretStore) -> [(String, String); 4] {
    PLACES.map(|(account, region, name, _)| {
        let manager = store.secrets_manager(account, region).unwrap();
        let read = |label| {
            let read = manager.get_secret_value(GetSecretValueRequest::new(name).version_stage(label)).unwrap();
            read.secret_string.unwrap().expose().to_owned()
        };
        (read("AWSCURRENT"), read("AWSPREVIOUS"))
    })
}

/// What the primary says of its replicas, and a replica of its primary.
fn statuses(store: &SecretStore) -> Vec<StatusType> {
    let describe = |(account, region, name, _): (&str, &str, &str, Option<&str>)| {
        store.secrets_manager(account, region).unwrap().describe_secret(DescribeSecretRequest::new(name)).unwrap()
    };
    let (primary, copy) = (describe(PLACES[0]), describe(PLACES[3]));
    let regions = primary.replication_status.unwrap().into_iter().map(|replica| replica.status);
    let accounts = primary.cross_account_replicas.unwrap().into_iter().map(|replica| replica.replication_status);
    regions.chain(accounts).chain([copy.cross_account_primary.unwrap().replication_status]).collect()
}

fn census(store: &SecretStore) -> KeyCensus {
    store.key_census(&mut |_| ()).unwrap()
}

/// Versions under each key that opens any.
fn keys(store: &SecretStore) -> Vec<(String, u64)> {
    let keys = census(store).keys.into_iter().map(|usage| (usage.key.key_arn, usage.versions));
    let mut keys: Vec<_> = keys.filter(|(_, versions)| *versions > 0).collect();
    keys.sort();
    keys
}

type Work = fn(SecretStore, &Path) -> SecretStore;

fn open(place: &Path) -> SecretStore {
    builder(&place.join("store")).open().unwrap()
}

#[test]
fn replicas_are_in_sync_and_follow_whatever_was_done_for_their_store() {
    let rows: [(&str, Work); 10] = [
        ("nothing", |store, _| store),
        ("closed and opened", |store, place| {
            store.close().unwrap();
            open(place)
        }),
        ("verified", |store, _| {
            let report = store.verify(strongroom::VerifyOptions::new(), &mut |_| ()).unwrap();
            assert_eq!((report.secrets, report.is_clean()), (4, true), "{:?}", report.findings);
            store
        }),
        ("restored from a backup", |store, place| {
            store.backup(place.join("backup"), &mut |_| ()).unwrap();
            builder(&place.join("restored")).restore(place.join("backup"), &mut |_| ()).unwrap()
        }),
        ("salvaged", |store, place| {
            store.close().unwrap();
            std::fs::remove_file(place.join("store/store.anchor")).unwrap();
            let (saved, report) =
                builder(&place.join("saved")).salvage(place.join("store"), None, &mut |_| ()).unwrap();
            assert_eq!(report.secrets, 4, "{report:?}");
            saved
        }),
        ("compacted", |store, place| {
            store.close().unwrap();
            builder(&place.join("store")).compact(&mut |_| ()).unwrap();
            open(place)
        }),
        ("rewrapped", |store, _| {
            let report = store.rewrap(&KeyOptions::new(), &mut |_| ()).unwrap();
            assert_eq!((report.secrets, report.versions, report.problems_total), (4, 8, 0));
            store
        }),
        ("re-encrypted", |store, _| {
            let report = store.reencrypt(&KeyOptions::new(), &mut |_| ()).unwrap();
            assert_eq!((report.versions, report.problems_total), (8, 0));
            store
        }),
        ("under another root key", |store, _| {
            assert_eq!(store.rotate_root_key(&mut |_| ()).unwrap().secrets, 4);
            store
        }),
        ("shredded", |store, _| {
            store.shred(&mut |_| ()).unwrap();
            store
        }),
    ];
    for (what, work) in rows {
        let place = tempfile::tempdir().unwrap();
        let store = open(place.path());
        fill(&store);
        let before = keys(&store);
        let counts: Vec<u64> = before.iter().map(|(_, versions)| *versions).collect();
        assert_eq!(counts, [2; 4], "two versions under the key of each place");
        let store = work(store, place.path());
        let counted = census(&store);
        assert_eq!((counted.secrets, counted.versions), (4, 8), "{what}");
        assert_eq!(keys(&store), before, "{what}: every replica is under its own key");
        for (value, previous, versions) in [("two", "one", 8), ("three", "two", 12)] {
            if value == "three" {
                put(&store, value);
            }
            assert_eq!(statuses(&store), [StatusType::InSync; 4], "{what}");
            assert_eq!(read(&store), [(); 4].map(|()| (value.to_owned(), previous.to_owned())), "{what}");
            assert_eq!(census(&store).versions, versions, "{what}");
            for (account, region, name, key) in PLACES {
                let manager = store.secrets_manager(account, region).unwrap();
                let described = manager.describe_secret(DescribeSecretRequest::new(name)).unwrap();
                assert_eq!(described.kms_key_id.as_deref(), key, "{what}: {account} {region}");
            }
        }
        assert_eq!(store.maintain().unwrap().next_due_at, None, "{what}: nothing is left to do");
        assert_clean(&store);
    }
}
