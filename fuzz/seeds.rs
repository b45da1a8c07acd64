//! Writes the seeds that follow from the stored format, into `fuzz/seeds`:
//!
//!     cargo run --manifest-path fuzz/Cargo.toml --example seeds
//!
//! Run it again when the format has changed. Whoever holds the key of a store can open everything in it, so real records
//! are opened as they are, whatever they hold; only the places of what is needed for that are known here. The other
//! seeds are texts that are written by hand.

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use strongroom::testing::{ManualClock, RecordingBackend, SeededEntropy, format, fuzzing};
use strongroom::{
    AssociateCrossAccountReplicaRequest, Backend, Call, CancelRotateSecretRequest, CreateSecretRequest, DataKey,
    DeleteSecretRequest, EncryptionContext, ExternalSecretRotationMetadataItem, GetSecretValueRequest, KeyError,
    KeyHandle, KeyProvider, KeyRef, KeyScope, PutResourcePolicyRequest, PutSecretValueRequest, ReplicaRegionType,
    ReplicateSecretToRegionsRequest, RotateSecretRequest, RotationCall, RotationError, RotationFunction, RotationRules,
    SecretStore, SecretsManager, StaticKey, Tag, WrappedKey,
};
use strongroom_fuzz::START;

/// A provider that keeps every key it wraps. The first one is the store's root key.
#[derive(Debug)]
struct Witness {
    inner: StaticKey,
    wrapped: Arc<Mutex<Vec<[u8; 32]>>>,
}

impl KeyProvider for Witness {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.wrapped.lock().expect("nobody panicked").push(*data_key.expose());
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.inner.unwrap(wrapped, context, call)
    }
}

/// A function that never succeeds.
#[derive(Debug)]
struct Fails;

impl RotationFunction for Fails {
    fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
        Err("the database does not answer".into())
    }
}

type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A store with secrets of several shapes: its root key, and its records.
fn filled() -> ([u8; 32], Records) {
    let (recorder, clock) = (RecordingBackend::new(), ManualClock::at_millis(START));
    let wrapped = Arc::default();
    let store = SecretStore::with_backend(recorder.clone())
        .key_provider(Witness { inner: StaticKey::new([7; 32]), wrapped: Arc::clone(&wrapped) })
        .clock(clock.clone())
        .entropy(SeededEntropy::new(1))
        .rotation_function("arn:*", Fails)
        .rotation_timeout(None)
        .open()
        .expect("a store is made");
    let secrets = store.default_secrets_manager();
    fill(&secrets, &clock);
    rotate(&secrets, &store, &clock);
    replicate(&secrets, &store);
    let records = recorder.scan(&[], None, usize::MAX).expect("memory is read");
    let root = wrapped.lock().expect("nobody panicked")[0];
    (root, records.into_iter().map(|(key, value)| (key, value.as_ref().to_vec())).collect())
}

fn fill(secrets: &SecretsManager, clock: &ManualClock) {
    let create = |request| secrets.create_secret(request).expect("a secret is made");
    create(CreateSecretRequest::new("none"));
    create(CreateSecretRequest::new("one").secret_string("v").description("a secret").kms_key_id("alias/app"));
    create(CreateSecretRequest::new("tags").tags((0..50).map(|number| Tag::new(format!("key{number}"), "value"))));
    create(CreateSecretRequest::new("versions").secret_binary(vec![1]));
    for number in 0..6 {
        clock.advance(TimeDelta::hours(1));
        let put = PutSecretValueRequest::new("versions", "v").version_stages([format!("own{number}")]);
        secrets.put_secret_value(put).expect("a version is made");
        secrets.put_secret_value(PutSecretValueRequest::new("versions", "w")).expect("a version is made");
    }
    create(CreateSecretRequest::new("policy").secret_string("v"));
    let policy =
        r#" {"Id": "größer", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
    secrets.put_resource_policy(PutResourcePolicyRequest::new("policy", policy)).expect("it is a policy");
    create(CreateSecretRequest::new("deleted").secret_string("v"));
    secrets.get_secret_value(GetSecretValueRequest::new("versions")).expect("it is read");
    secrets.delete_secret(DeleteSecretRequest::new("deleted")).expect("it is scheduled");
}

/// Secrets that rotate: by days and by an expression, tried, failed, cancelled, and by a partner.
fn rotate(secrets: &SecretsManager, store: &SecretStore, clock: &ManualClock) {
    let create = |request| drop(secrets.create_secret(request).expect("a secret is made"));
    let begin = |request| drop(secrets.rotate_secret(request).expect("a rotation is begun"));
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:rotate";
    let rotate = |name: &str| RotateSecretRequest::new(name).rotation_lambda_arn(arn);
    for name in ["failed", "cancelled", "begun", "tested"] {
        create(CreateSecretRequest::new(name).secret_string("v"));
    }
    let weekly = RotationRules::new().schedule_expression("cron(0 4 ? * SUN#2 *)").duration("3h");
    begin(rotate("failed").rotation_rules(RotationRules::new().automatically_after_days(30)));
    store.maintain().expect("it is tried");
    begin(rotate("cancelled").rotation_rules(weekly.clone()));
    secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("cancelled")).expect("it is cancelled");
    begin(rotate("begun"));
    clock.advance(TimeDelta::seconds(1));
    begin(rotate("tested").rotation_rules(weekly.clone()).rotate_immediately(false));
    create(CreateSecretRequest::new("partner").secret_string("v").r#type("Partner"));
    let partner = RotateSecretRequest::new("partner").rotation_rules(weekly).rotate_immediately(false);
    let partner = partner.external_secret_rotation_role_arn("arn:aws:iam::000000000000:role/rotate");
    let items = ["key", "ключ"].map(|key| ExternalSecretRotationMetadataItem::new(key, "value"));
    begin(partner.external_secret_rotation_metadata(items));
}

/// Secrets with replicas that are in sync, in the way of another secret, and in another account, where one still waits.
fn replicate(secrets: &SecretsManager, store: &SecretStore) {
    let [ireland, other] = [("000000000000", "eu-west-1"), ("111122223333", "us-east-1")]
        .map(|(account, region)| store.secrets_manager(account, region).expect("it is an account and a Region"));
    let create = |secrets: &SecretsManager, request| secrets.create_secret(request).expect("a secret is made").arn;
    create(&ireland, CreateSecretRequest::new("replicated").secret_string("in the way"));
    let regions = [ReplicaRegionType::new("eu-west-2").kms_key_id("alias/app"), ReplicaRegionType::new("eu-west-1")];
    let primary = CreateSecretRequest::new("replicated").secret_string("v").add_replica_regions(regions);
    let primary = create(secrets, primary);
    let copy = |name: &str| CreateSecretRequest::new(name).kms_key_id("alias/app").cross_account_primary_arn(&primary);
    let replica = create(&other, copy("copy"));
    create(&other, copy("waiting"));
    let associate =
        AssociateCrossAccountReplicaRequest::new("replicated", replica).replica_restriction("NoRestriction");
    let associate = associate.replication_role_arn("arn:aws:iam::000000000000:role/replicate");
    secrets.associate_cross_account_replica(associate).expect("it is associated");
    create(secrets, CreateSecretRequest::new("one-region").secret_string("v"));
    let replicate = ReplicateSecretToRegionsRequest::new("one-region", ["ap-south-1"]);
    secrets.replicate_secret_to_regions(replicate).expect("it is replicated");
}

/// The records of a store without their seals, each behind the letter of its kind.
fn opened(root: &[u8; 32], header: &[u8], records: &Records) -> Vec<(String, Vec<u8>)> {
    // Behind the length: magic, four numbers, the id of the store.
    let store: [u8; 16] = *header[20..].first_chunk().expect("a header has a store");
    let key = format::derived_key(root, store, 1, "root/metadata").expect("it is a purpose");
    let sealer = format::Sealer::new(&key);
    let mut seeds = Vec::new();
    for (place, stored) in records {
        let (revision, sealed) = stored.split_first_chunk().expect("a record has a revision");
        let revision = u64::from_be_bytes(*revision);
        let (kind, label, ad) = match place[0] {
            b'h' => ("head", "head", format::head_ad(store, revision)),
            b's' => ("secret", "metadata", format::record_ad(store, place, revision)),
            b'd' => ("due", "metadata", format::record_ad(store, place, revision)),
            _ => continue,
        };
        let plain = sealer.open(label, &ad, sealed).expect("the root key opens it");
        assert!(fuzzing::decode_record(kind, &plain), "{kind} is read as it is written");
        seeds.push((format!("{kind}-{}", seeds.len()), [&kind.as_bytes()[..1], plain.as_slice()].concat()));
    }
    for (name, cursor) in [
        ("cursor-of-a-date", fuzzing::cursor(Some(START), "db/main")),
        ("cursor-of-a-name", fuzzing::cursor(None, "app")),
    ] {
        seeds.push((name.to_owned(), [b"c".as_slice(), &cursor.expect("it is small")].concat()));
    }
    for (name, job) in [
        ("job-of-nothing", format::job("", ["", "", ""], [0, 0])),
        ("job-of-many", format::job("alias/app", ["000000000000", "us-east-1", "versions"], [u64::MAX, 65_536])),
    ] {
        seeds.push((name.to_owned(), [b"j".as_slice(), &job.expect("it is small")].concat()));
    }
    seeds
}

/// One edit of `fuzz/src/lib.rs`.
fn edited(kind: u8, at: u16, count: u16, byte: u8) -> Vec<u8> {
    [&[b'0' + kind], at.to_be_bytes().as_slice(), &count.to_be_bytes(), &[byte]].concat()
}

fn headers(header: &[u8]) -> Vec<(String, Vec<u8>)> {
    let raw = |bytes: &[u8]| [b"r", bytes].concat();
    let edits = |kind: u8, edits: &[Vec<u8>]| [&[kind], edits.concat().as_slice()].concat();
    let half = header.len() / 2;
    let second = u16::try_from(half).expect("a header is small");
    let mut seeds = vec![
        ("whole".to_owned(), raw(header)),
        ("empty".to_owned(), raw(&[])),
        ("one-copy".to_owned(), raw(&header[..half])),
        ("cut-in-the-first".to_owned(), raw(&header[..300])),
        ("cut-in-the-second".to_owned(), raw(&header[..half + 300])),
        ("first-begins-later".to_owned(), raw(&header[1..])),
        ("first-damaged".to_owned(), edits(b'e', &[edited(1, 40, 0, 8)])),
        ("second-damaged".to_owned(), edits(b'e', &[edited(1, second + 40, 0, 8)])),
        ("both-damaged".to_owned(), edits(b'e', &[edited(1, 40, 0, 8), edited(1, second + 40, 0, 8)])),
        ("first-longer".to_owned(), edits(b'e', &[edited(0, 0, 0, 255)])),
        ("nothing-damaged".to_owned(), edits(b'e', &[])),
    ];
    // Behind the length of the body.
    let body = header.first_chunk().map(|length| u32::from_be_bytes(*length)).expect("a header has a body");
    let end = u16::try_from(body).expect("a header is small");
    // Parts of the body by their place: format, least reader, suite, flags, store, generation, what follows; the role of
    // the only wrap, and the root key before, which is an empty field.
    for (name, at) in [
        ("format", 9),
        ("reader", 11),
        ("suite", 13),
        ("flags", 15),
        ("store", 16),
        ("generation", 35),
        ("rest", 39),
        ("role", 58),
        ("root-before", end - 1),
    ] {
        for copies in [b'1', b'2', b'b'] {
            let name = format!("edited-{name}-{}", char::from(copies));
            seeds.push((name, edits(copies, &[edited(1, at, 0, 3)])));
        }
    }
    seeds.push(("edited-longer".to_owned(), edits(b'b', &[edited(5, 0, 200, 0), edited(4, 60, 0, 255)])));
    seeds
}

fn write(target: &str, seeds: Vec<(String, Vec<u8>)>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("old seeds are removed");
    }
    std::fs::create_dir_all(&directory).expect("a directory is made");
    eprintln!("{target}: {} seeds", seeds.len());
    for (name, seed) in seeds {
        std::fs::write(directory.join(name), seed).expect("a seed is written");
    }
}

fn main() {
    let (root, records) = filled();
    let is_header = |(_, value): &&(Vec<u8>, Vec<u8>)| value.get(4..12) == Some(b"STRONGRM".as_slice());
    let (_, header) = records.iter().find(is_header).expect("there is a header");
    write("records", opened(&root, header, &records));
    write("header", headers(header));
}
