//! The key file of a `LocalKeyring`: who may read it, what damage does, and that no key is ever lost.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use strongroom::{
    Call, CreateSecretRequest, EncryptionContext, ErrorKind, GetSecretValueRequest, KeyProvider, KeyRef, KeyState,
    LocalKeyring, OsEntropy, Result, SecretStore,
};
use tempfile::TempDir;

use crate::fixture::home;

/// A directory with a key file of two keys, one of them rotated, disabled and named.
fn furnished() -> (TempDir, PathBuf, LocalKeyring) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let keyring = LocalKeyring::open_or_create(&path).unwrap();
    let arn = keyring.create_key(home()).unwrap();
    keyring.create_key(home()).unwrap();
    keyring.rotate_key(&arn).unwrap();
    keyring.create_alias("alias/app", &arn).unwrap();
    keyring.disable_key(&arn).unwrap();
    (directory, path, keyring)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[track_caller]
fn refused(result: Result<LocalKeyring>, text: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::KeyFile), "{error:?}");
    assert!(error.to_string().contains(text), "{error} does not say `{text}`");
}

/// Neither way of opening takes the file.
#[track_caller]
fn both_refuse(path: &Path, text: &str) {
    refused(LocalKeyring::open(path), text);
    refused(LocalKeyring::open_or_create(path), text);
}

#[test]
fn everything_survives_reopening() {
    let (_directory, path, keyring) = furnished();
    assert_eq!(keyring.path().as_deref(), Some(path.as_path()));
    let before = keyring.keys();
    drop(keyring);
    for reopened in [LocalKeyring::open(&path).unwrap(), LocalKeyring::open_or_create(&path).unwrap()] {
        assert_eq!(reopened.keys(), before);
    }
    let [first, second] = before.as_slice() else { panic!("{before:?}") };
    assert_eq!(first.versions + second.versions, 3);
    assert_eq!(first.aliases.len() + second.aliases.len(), 1);
}

#[test]
fn a_missing_file_is_opened_only_if_it_may_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    refused(LocalKeyring::open(&path), "there is no key file");
    assert!(!path.exists());
    LocalKeyring::open_or_create(&path).unwrap();
    assert_eq!(LocalKeyring::open(&path).unwrap().keys(), []);
    refused(LocalKeyring::open(directory.path().join("no/such/directory")), "there is no key file");
}

/// Run by `the_file_is_for_its_owner_alone_whatever_the_umask` in a process with another umask.
#[test]
#[ignore = "only of use as a child process"]
fn child_makes_a_key_file() {
    let Some(path) = std::env::var_os("STRONGROOM_TEST_KEY_FILE") else { return };
    let keyring = LocalKeyring::open_or_create(path).unwrap();
    keyring.create_key(home()).unwrap();
}

fn make_under_umask(umask: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let made = Command::new("sh")
        .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "keyring_file::child_makes_a_key_file", "--include-ignored", "--quiet"])
        .env("STRONGROOM_TEST_KEY_FILE", &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stdout).into_owned() + &String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() && path.exists(), "umask {umask}: {said}");
    (directory, path)
}

#[test]
fn the_file_is_for_its_owner_alone_whatever_the_umask() {
    for umask in ["000", "002", "022", "027", "077"] {
        let (_directory, path) = make_under_umask(umask);
        assert_eq!(format!("{:o}", mode(&path)), "600", "umask {umask}");
        assert_eq!(LocalKeyring::open(&path).unwrap().keys().len(), 1, "umask {umask}");
    }
}

/// A umask that takes something from the owner must not leave a file that the next start cannot read.
#[test]
fn the_owner_can_read_and_write_the_file_whatever_the_umask() {
    for umask in ["177", "277", "477"] {
        let (_directory, path) = make_under_umask(umask);
        assert_eq!(format!("{:o}", mode(&path)), "600", "umask {umask}");
    }
}

#[test]
fn the_file_stays_private_when_it_changes() {
    let (directory, path, keyring) = furnished();
    keyring.create_key(home()).unwrap();
    assert_eq!(format!("{:o}", mode(&path)), "600");
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()) & 0o077, 0, "{}", entry.path().display());
    }
}

/// A file that others can read or write is not trusted, whoever opened it up.
#[test]
fn a_file_that_is_open_to_others_is_refused() {
    let (_directory, path, keyring) = furnished();
    for exposed in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o660, 0o666, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
        both_refuse(&path, "can be read or written by others");
        assert!(keyring.create_key(home()).is_err(), "{exposed:o}");
        assert!(keyring.reload().is_err(), "{exposed:o}");
        assert_eq!(mode(&path), exposed, "nothing was repaired behind the owner's back");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(LocalKeyring::open(&path).unwrap().keys(), keyring.keys());
}

#[test]
fn a_symbolic_link_or_a_directory_is_refused() {
    let (directory, path, _) = furnished();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    both_refuse(&link, "is a symbolic link or not a file");
    let dangling = directory.path().join("dangling");
    symlink(directory.path().join("nowhere"), &dangling).unwrap();
    both_refuse(&dangling, "is a symbolic link or not a file");
    assert!(!directory.path().join("nowhere").exists());
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).unwrap();
    both_refuse(&folder, "is a symbolic link or not a file");
}

/// Writes bytes as a key file that only its owner can read.
fn plant(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
}

const DAMAGED: &str = "is not a key file, or is damaged";

#[test]
fn a_file_that_is_damaged_anywhere_is_refused() {
    let (_directory, path, _) = furnished();
    let good = fs::read(&path).unwrap();
    for position in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[position] ^= change;
            plant(&path, &bytes);
            refused(LocalKeyring::open(&path), DAMAGED);
        }
        assert!(!bytes_were_replaced(&path, &good), "a damaged file is left as it is");
    }
    plant(&path, &good);
    LocalKeyring::open(&path).unwrap();
}

fn bytes_were_replaced(path: &Path, good: &[u8]) -> bool {
    fs::read(path).unwrap() == good
}

#[test]
fn a_file_of_another_length_is_refused() {
    let (_directory, path, _) = furnished();
    let good = fs::read(&path).unwrap();
    for length in 0..good.len() {
        plant(&path, &good[..length]);
        both_refuse(&path, DAMAGED);
    }
    for extra in [&b"\0"[..], b"\n", &[0; 32], &good] {
        plant(&path, &[&good, extra].concat());
        both_refuse(&path, DAMAGED);
        plant(&path, &[extra, &good].concat());
        both_refuse(&path, DAMAGED);
    }
    plant(&path, b"[default]\naws_access_key_id = nothing of ours\n");
    both_refuse(&path, DAMAGED);
}

/// Puts the right checksum, SHA-256 of everything before it, at the end of a forged file.
fn with_checksum(mut body: Vec<u8>) -> Vec<u8> {
    let checksum = ring::digest::digest(&ring::digest::SHA256, &body);
    body.extend_from_slice(checksum.as_ref());
    body
}

#[test]
fn a_file_of_a_newer_format_is_refused_by_its_number() {
    let (_directory, path, _) = furnished();
    let good = fs::read(&path).unwrap();
    let body = &good[..good.len() - 32];
    assert_eq!(with_checksum(body.to_vec()), good, "the last 32 bytes are the checksum");
    assert_eq!(&body[..10], b"STRONGKR\0\x01");
    for format in [2_u16, 3, 0x0100, u16::MAX] {
        let mut newer = body.to_vec();
        newer[8..10].copy_from_slice(&format.to_be_bytes());
        plant(&path, &with_checksum(newer.clone()));
        both_refuse(&path, &format!("has the newer format {format}; this version reads up to 1"));
        // Whatever else the newer format changed.
        newer.truncate(10);
        plant(&path, &with_checksum(newer));
        both_refuse(&path, &format!("has the newer format {format}"));
    }
}

/// Right checksum, wrong contents: cut after every byte, and with every number made huge.
#[test]
fn a_forged_file_with_a_right_checksum_does_no_harm() {
    let (_directory, path, _) = furnished();
    let good = fs::read(&path).unwrap();
    let body = &good[..good.len() - 32];
    for length in 0..body.len() {
        plant(&path, &with_checksum(body[..length].to_vec()));
        assert!(LocalKeyring::open(&path).is_err(), "cut after {length} bytes");
    }
    for position in 10..body.len() - 4 {
        let mut forged = body.to_vec();
        forged[position..position + 4].fill(0xff);
        plant(&path, &with_checksum(forged));
        // Key material may be anything; everything else is refused. Nothing panics, nothing is allocated without end.
        let _ = LocalKeyring::open(&path);
    }
    let mut endless = body[..10].to_vec();
    endless.extend_from_slice(&[0xff; 8]);
    plant(&path, &with_checksum(endless));
    both_refuse(&path, DAMAGED);
}

/// A keyring whose file was lost does not begin a new one behind its owner's back.
#[test]
fn a_file_that_disappears_is_not_made_again() {
    let (_directory, path, keyring) = furnished();
    let before = keyring.keys();
    fs::remove_file(&path).unwrap();
    assert!(matches!(keyring.create_key(home()).unwrap_err().kind(), ErrorKind::KeyFile));
    assert!(matches!(keyring.reload().unwrap_err().kind(), ErrorKind::KeyFile));
    assert!(!path.exists());
    assert_eq!(keyring.keys(), before, "the keys in memory stay as they were");
}

#[test]
fn a_damaged_file_is_not_overwritten_by_the_next_change() {
    let (_directory, path, keyring) = furnished();
    let before = keyring.keys();
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    plant(&path, &bytes);
    assert!(keyring.create_key(home()).is_err());
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(keyring.keys(), before);
}

/// Two openers of one file, as two processes would be: neither loses what the other made.
#[test]
fn two_openers_of_a_file_do_not_lose_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let openers: Vec<LocalKeyring> = (0..4).map(|_| LocalKeyring::open_or_create(&path).unwrap()).collect();
    thread::scope(|scope| {
        for (index, keyring) in openers.iter().enumerate() {
            scope.spawn(move || {
                for number in 0..10 {
                    let arn = keyring.create_key(home()).unwrap();
                    keyring.create_alias(&format!("alias/{index}-{number}"), &arn).unwrap();
                }
            });
        }
    });
    let all = LocalKeyring::open(&path).unwrap().keys();
    assert_eq!(all.len(), 40);
    assert!(all.iter().all(|key| key.aliases.len() == 1));
    for keyring in &openers {
        keyring.reload().unwrap();
        assert_eq!(keyring.keys(), all);
    }
}

#[test]
fn two_openers_make_one_default_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let openers: Vec<LocalKeyring> = (0..4).map(|_| LocalKeyring::open_or_create(&path).unwrap()).collect();
    let arns: Vec<_> = thread::scope(|scope| {
        let resolve = |keyring: &LocalKeyring| {
            keyring.resolve(&home(), KeyRef::Default, &Call::new(&OsEntropy::default())).unwrap().arn
        };
        let threads: Vec<_> = openers.iter().map(|keyring| scope.spawn(move || resolve(keyring))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(arns.iter().all(|arn| *arn == arns[0]), "{arns:?}");
    assert_eq!(LocalKeyring::open(&path).unwrap().keys().len(), 1);
}

/// What another opener changed counts after a reload.
#[test]
fn a_reload_shows_what_others_changed() {
    let (_directory, path, keyring) = furnished();
    let other = LocalKeyring::open(&path).unwrap();
    let arn = other.create_key(home()).unwrap();
    let find = |keyring: &LocalKeyring| keyring.keys().into_iter().find(|key| key.arn == arn);
    assert_eq!(find(&keyring), None);
    keyring.reload().unwrap();
    assert_eq!(find(&keyring).unwrap().state, KeyState::Enabled);
    other.disable_key(&arn).unwrap();
    keyring.reload().unwrap();
    assert_eq!(find(&keyring).unwrap().state, KeyState::Disabled);
}

/// The default key is on disk before the first secret is stored under it.
#[test]
fn a_store_is_opened_again_with_the_keys_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let backend = strongroom::MemoryBackend::new();
    let open = || {
        let keyring = LocalKeyring::open_or_create(&path).unwrap();
        SecretStore::with_backend(backend.clone()).key_provider(keyring).open()
    };
    let store = open().unwrap();
    let manager = store.secrets_manager("111111111111", "eu-west-1").unwrap();
    manager.create_secret(CreateSecretRequest::new("s").secret_string("v")).unwrap();
    store.close().unwrap();
    let store = open().unwrap();
    let manager = store.secrets_manager("111111111111", "eu-west-1").unwrap();
    let read = manager.get_secret_value(GetSecretValueRequest::new("s")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "v");
    store.close().unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(open().unwrap_err().kind(), ErrorKind::WrongKey(_)), "new keys do not open an old store");
}

/// An unfinished file of a process that was killed is in nobody's way.
#[test]
fn an_unfinished_replacement_does_no_harm() {
    let (directory, path, keyring) = furnished();
    plant(&directory.path().join("keys.tmp"), b"half a key file");
    assert_eq!(LocalKeyring::open(&path).unwrap().keys(), keyring.keys());
    let arn = keyring.create_key(home()).unwrap();
    assert!(LocalKeyring::open(&path).unwrap().keys().iter().any(|key| key.arn == arn));
}

/// Keys made before and after a rotation, read by another opener from the file alone.
#[test]
fn rotated_material_survives_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let keyring = LocalKeyring::open_or_create(&path).unwrap();
    let arn = keyring.create_key(home()).unwrap();
    let (entropy, context) = (OsEntropy::default(), EncryptionContext::new(&[("SecretARN", "a")]));
    let wrap = || {
        let handle = keyring.resolve(&home(), KeyRef::Arn(&arn), &Call::new(&entropy)).unwrap();
        keyring.generate(&handle, &context, &Call::new(&entropy)).unwrap()
    };
    let mut made = vec![wrap()];
    for _ in 0..5 {
        keyring.rotate_key(&arn).unwrap();
        made.push(wrap());
    }
    let reopened = LocalKeyring::open(&path).unwrap();
    for (key, wrapped) in made {
        assert_eq!(reopened.unwrap(&wrapped, &context, &Call::new(&entropy)), Ok(key));
    }
}
