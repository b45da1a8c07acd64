//! Exports that somebody wants to have imported. The first byte of an input is its kind:
//!
//! - `p`: the rest is an export in plain text, as it is.
//! - `q`: the rest edits a real export in plain text.
//! - `r`: the rest is an encrypted export, as it is.
//! - `e`: the rest edits a real encrypted export, as damage would.
//! - `b`: the rest edits a real backup.
//!
//! What is refused leaves nothing. What is taken makes a sound store, is there the second time, and goes through another
//! export and import unchanged. No edit of an encrypted export or of a backup is taken.

#![no_main]

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::OnceLock;

use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, Error, ErrorKind, ExportOptions, ExternalSecretRotationMetadataItem,
    ImportOptions, ImportReport, MemoryBackend, PutResourcePolicyRequest, PutSecretValueRequest, RotateSecretRequest,
    RotationRules, SecretStore, StaticKey, Tag, VerifyOptions,
};
use strongroom_fuzz::{Input, START, edit, open};

const KEY: [u8; 32] = [9; 32];

/// Real files of each kind.
struct Base {
    plain: Vec<u8>,
    sealed: Vec<u8>,
    backup: Vec<u8>,
    /// Where files are put for those who read files.
    scratch: PathBuf,
}

fn store() -> SecretStore {
    open(MemoryBackend::new(), &ManualClock::at_millis(START), 1).expect("a store is made")
}

impl Base {
    fn new() -> Self {
        let store = store();
        let secrets = store.default_secrets_manager();
        let create = CreateSecretRequest::new("app/db").secret_string("one").description("the database");
        secrets.create_secret(create.tags([Tag::new("team", "payments")])).expect("a secret is made");
        secrets.put_secret_value(PutSecretValueRequest::new("app/db", "two")).expect("a version is made");
        secrets.create_secret(CreateSecretRequest::new("bytes").secret_binary(vec![0, 255])).expect("a secret is made");
        secrets.delete_secret(DeleteSecretRequest::new("bytes")).expect("it is scheduled for deletion");
        let create = CreateSecretRequest::new("partner").secret_string("three").r#type("Partner");
        secrets.create_secret(create).expect("a secret is made");
        let rules = RotationRules::new().schedule_expression("cron(0 4 ? * SUN#2 *)").duration("3h");
        let rotate = RotateSecretRequest::new("partner").rotation_rules(rules).rotate_immediately(false);
        let items = [ExternalSecretRotationMetadataItem::new("key", "value")];
        secrets.rotate_secret(rotate.external_secret_rotation_metadata(items)).expect("its rotation is configured");
        let policy = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
        let put = PutResourcePolicyRequest::new("app/db", policy);
        secrets.put_resource_policy(put).expect("it is a policy");
        let create = CreateSecretRequest::new("replicated").secret_string("four").add_replica_regions(["eu-west-1"]);
        secrets.create_secret(create).expect("it is replicated");
        let scratch = std::env::temp_dir().join(format!("strongroom-fuzz-import-{}", std::process::id()));
        fs::create_dir_all(&scratch).expect("there is a place for files");
        let mut plain = Vec::new();
        store.export_plaintext(&mut plain, &ExportOptions::new(), &mut |_| {}).expect("secrets are exported");
        let read = |name: &str| {
            let path = scratch.join(name);
            let bytes = fs::read(&path).expect("the file is there");
            fs::remove_file(path).expect("the file is removed");
            bytes
        };
        let key = StaticKey::new(KEY);
        store.export(scratch.join("export"), &key, &ExportOptions::new(), &mut |_| {}).expect("secrets are exported");
        let sealed = read("export");
        store.backup(scratch.join("backup"), &mut |_| {}).expect("a backup is made");
        let backup = read("backup");
        Self { plain, sealed, backup, scratch }
    }
}

fn plain(store: &SecretStore, bytes: &[u8]) -> Result<ImportReport, Error> {
    store.import_plaintext(&mut Cursor::new(bytes), &ImportOptions::new(), &mut |_| {})
}

fn sealed(store: &SecretStore, base: &Base, bytes: &[u8]) -> Result<ImportReport, Error> {
    let path = base.scratch.join("input");
    fs::write(&path, bytes).expect("the input is written");
    store.import(&path, &StaticKey::new(KEY), &ImportOptions::new(), &mut |_| {})
}

fn in_plain_text(store: &SecretStore) -> Vec<u8> {
    let mut text = Vec::new();
    store.export_plaintext(&mut text, &ExportOptions::new(), &mut |_| {}).expect("what is there can be exported");
    text
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static BASE: OnceLock<Base> = OnceLock::new();
    let base = BASE.get_or_init(Base::new);
    let Some((kind, rest)) = data.split_first() else { return };
    let edited = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        edit(&mut bytes, &mut Input(rest));
        bytes
    };
    let store = store();
    let (bytes, outcome) = match kind {
        b'p' => (rest.to_vec(), plain(&store, rest)),
        b'q' => {
            let bytes = edited(&base.plain);
            let outcome = plain(&store, &bytes);
            (bytes, outcome)
        }
        b'r' => (rest.to_vec(), sealed(&store, base, rest)),
        b'e' => {
            let bytes = edited(&base.sealed);
            let outcome = sealed(&store, base, &bytes);
            assert_eq!(outcome.is_ok(), bytes == base.sealed, "an edited export is taken");
            (bytes, outcome)
        }
        b'b' => {
            let bytes = edited(&base.backup);
            let path = base.scratch.join("input");
            fs::write(&path, &bytes).expect("the input is written");
            let target = base.scratch.join("store");
            let builder = SecretStore::builder(&target).key_provider(StaticKey::new([7; 32])).test_only(true);
            if bytes != base.backup {
                builder.restore(&path, &mut |_| {}).map(drop).expect_err("an edited backup makes no store");
                assert!(!SecretStore::exists(&target).expect("nothing strange is left"));
            }
            return;
        }
        _ => return,
    };
    let secrets = store.stats().expect("the store tells").secrets;
    match outcome {
        Err(error) => {
            let is_of_the_file = matches!(
                error.kind(),
                ErrorKind::BackupFile
                    | ErrorKind::UnsupportedFormat { .. }
                    | ErrorKind::WrongKey(_)
                    | ErrorKind::LimitExceeded
                    | ErrorKind::InvalidRequest
                    | ErrorKind::KeyAccessDenied(_)
            );
            assert!(is_of_the_file, "{error:?}");
            assert_eq!(secrets, 0, "what is refused leaves nothing: {error}");
        }
        Ok(report) => {
            assert_eq!(report.created, secrets);
            let verified = store.verify(VerifyOptions::new(), &mut |_| {}).expect("the store can be read");
            assert!(verified.is_clean(), "{:#?}", verified.findings);
            let again = match kind {
                b'p' | b'q' => plain(&store, &bytes),
                _ => sealed(&store, base, &bytes),
            };
            let again = again.expect("what was taken once is taken twice");
            assert_eq!((again.created, again.conflicts.len() as u64), (0, report.conflicts.len() as u64));
            let text = in_plain_text(&store);
            let other = self::store();
            plain(&other, &text).expect("an export can be imported");
            assert_eq!(in_plain_text(&other).len(), text.len());
        }
    }
});
