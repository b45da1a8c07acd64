//! Copies of the header, for the day on which both of its own are lost; and what is wrong when a store does not open.

use std::fs;
use std::path::Path;

use strongroom::{
    CreateSecretRequest, ErrorKind, GetSecretValueRequest, KeyProvider, LocalKeyring, Result, SecretStore, StaticKey,
};

const KEY: [u8; 32] = [7; 32];

fn open(path: &Path, provider: impl KeyProvider + 'static) -> Result<SecretStore> {
    SecretStore::builder(path).mode(strongroom::OpenMode::OpenExisting).key_provider(provider).open()
}

fn make(path: &Path, name: &str) -> SecretStore {
    let store = SecretStore::builder(path).key_provider(StaticKey::new(KEY)).open().unwrap();
    let create = CreateSecretRequest::new(name).secret_string("v");
    store.default_secrets_manager().create_secret(create).unwrap();
    store
}

fn restore(path: &Path, copy: &Path, key: [u8; 32]) -> Result<SecretStore> {
    SecretStore::builder(path).key_provider(StaticKey::new(key)).restore_header(copy)
}

#[test]
fn a_store_whose_header_is_lost_or_damaged_opens_again_with_its_copy() {
    let directory = tempfile::tempdir().unwrap();
    let [path, copy] = ["vault", "copy"].map(|name| directory.path().join(name));
    let store = make(&path, "s");
    store.backup_header(&copy).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    store.close().unwrap();
    let header = path.join("store.hdr");
    let sound = fs::read(&header).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), sound);
    for damage in [None, Some(vec![0; sound.len()]), Some(Vec::new()), Some(sound[..100].to_vec())] {
        match &damage {
            None => fs::remove_file(&header).unwrap(),
            Some(bytes) => fs::write(&header, bytes).unwrap(),
        }
        let kind = open(&path, StaticKey::new(KEY)).unwrap_err().kind().clone();
        assert!(matches!(kind, ErrorKind::Corrupted | ErrorKind::NotAStore), "{kind:?}");
        let store = restore(&path, &copy, KEY).unwrap();
        let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("s")).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), "v");
        store.close().unwrap();
        assert_eq!(fs::read(&header).unwrap(), sound);
    }
}

#[test]
fn only_a_copy_of_this_very_store_and_time_is_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let path = file("vault");
    let store = make(&path, "s");
    store.backup_header(file("old")).unwrap();
    store.rotate_root_key(&mut |_| {}).unwrap();
    store.backup_header(file("new")).unwrap();
    let open_already = restore(&path, &file("new"), KEY).unwrap_err();
    assert_eq!(*open_already.kind(), ErrorKind::AlreadyOpen);
    store.close().unwrap();
    let other = make(&file("other"), "s");
    other.backup_header(file("foreign")).unwrap();
    drop(other);
    fs::write(file("cut"), &fs::read(file("new")).unwrap()[..200]).unwrap();
    fs::write(file("text"), "not a header").unwrap();
    let before = fs::read(path.join("store.hdr")).unwrap();
    for (copy, key, expected) in [
        ("missing", KEY, ErrorKind::BackupFile),
        ("text", KEY, ErrorKind::NotAStore),
        ("cut", KEY, ErrorKind::Corrupted),
        ("old", KEY, ErrorKind::Corrupted),
        ("foreign", KEY, ErrorKind::Corrupted),
    ] {
        let error = restore(&path, &file(copy), key).unwrap_err();
        assert_eq!(*error.kind(), expected, "{copy}: {error}");
        assert_eq!(fs::read(path.join("store.hdr")).unwrap(), before, "{copy}: the header is as it was");
    }
    let error = restore(&path, &file("new"), [8; 32]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error}");
    restore(&path, &file("new"), KEY).unwrap().close().unwrap();
}

#[test]
fn a_wrong_key_and_a_damaged_header_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    make(&path, "s").close().unwrap();
    for provider in [Box::new(StaticKey::new([8; 32])) as Box<dyn KeyProvider>, Box::new(LocalKeyring::in_memory())] {
        let error = open(&path, std::sync::Arc::<dyn KeyProvider>::from(provider)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error}");
    }
    let header = path.join("store.hdr");
    let sound = fs::read(&header).unwrap();
    let mut damaged = sound.clone();
    for copy in [20, sound.len() / 2 + 20] {
        damaged[copy] ^= 1;
    }
    fs::write(&header, &damaged).unwrap();
    for key in [KEY, [8; 32]] {
        let error = open(&path, StaticKey::new(key)).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupted, "{error}");
    }
}

#[test]
fn the_old_header_is_written_over_when_the_root_key_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault");
    let store = make(&path, "s");
    // A second name of the old file shows what becomes of its bytes.
    let kept = directory.path().join("kept");
    fs::hard_link(path.join("store.hdr"), &kept).unwrap();
    assert!(fs::read(&kept).unwrap().iter().any(|byte| *byte != 0));
    store.shred(&mut |_| {}).unwrap();
    assert!(fs::read(&kept).unwrap().iter().all(|byte| *byte == 0));
}
