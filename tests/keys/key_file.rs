//! A `KeyFileProvider` and its file: who may read it, what damage does, and that no key is ever replaced.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use strongroom::testing::key_provider_conformance;
use strongroom::{
    Call, CreateSecretRequest, DataKey, EncryptionContext, ErrorKind, GetSecretValueRequest, KeyError, KeyFaultReason,
    KeyFileProvider, KeyProvider, KeyRef, OsEntropy, Result, SecretStore, StaticKey, WrappedKey,
};
use tempfile::TempDir;

use crate::fixture::{fault, home};

/// A key file that was not made by this crate, and its key.
const FOREIGN: &str = "strongroom-key-file 1\n\
                       id 01234567-89ab-4cde-8f01-23456789abcd\n\
                       key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\
                       sha256 f87b3fad0907e19af2fbe4d6c8ba38b8dfd23757d75078fee97b141919fcc9c4\n";

/// The data key `[0x2a; 32]` under that key, by the same independent script.
const FOREIGN_WRAP: &str = "\
    00010000002430313233343536372d383961622d346364652d386630312d3233343536373839616263640000000100012be2d825e3015c8fda\
    d5c039a7d095cc58d1e62145e804659c8420760497a5fdfcbfd935c2c4f8dd95f78c3375b36a61d3047b0a3f789c5192058589ac31451e633b\
    48991c246e0594230a18238c941dae667ff13edb2988c9cfd7ef91a8a29fa961471cf95aea47007e56c448b4758596b8a53e63bcef294d2a2b\
    096511b0651e50499d924db33e100b8c1d1b9fb3a5";

const DAMAGED: &str = "is not a key file, or is damaged";
const NOT_A_FILE: &str = "is a symbolic link or not a file";
const EXPOSED: &str = "can be read or written by others";

/// A directory with a key file.
fn furnished() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.key");
    KeyFileProvider::create(&path).unwrap();
    (directory, path)
}

/// Writes bytes as a key file that only its owner can read.
fn plant(path: &Path, bytes: impl AsRef<[u8]>) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
    set_mode(path, 0o600);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names_in(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn refused(result: Result<KeyFileProvider>, text: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::KeyFile), "{error:?}");
    assert!(error.to_string().contains(text), "{error} does not say `{text}`");
}

/// No way of opening takes the file.
#[track_caller]
fn all_refuse(path: &Path, text: &str) {
    refused(KeyFileProvider::open(path), text);
    refused(KeyFileProvider::open_or_create(path), text);
    refused(KeyFileProvider::open_shared(path), text);
}

/// Puts the right last line, the SHA-256 of everything before it, at the end of a forged file.
fn with_checksum(body: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{body}sha256 {hex}\n")
}

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn pairs() -> [(&'static str, &'static str); 2] {
    [("SecretARN", "a"), ("SecretVersionId", "v")]
}

fn wrap_with(provider: &dyn KeyProvider) -> (DataKey, WrappedKey) {
    let entropy = OsEntropy::default();
    let handle = provider.resolve(&home(), KeyRef::Default, &Call::new(&entropy)).unwrap();
    provider.generate(&handle, &EncryptionContext::new(&pairs()), &Call::new(&entropy)).unwrap()
}

fn unwrap_with(provider: &dyn KeyProvider, wrapped: &WrappedKey) -> Result<DataKey, KeyError> {
    provider.unwrap(wrapped, &EncryptionContext::new(&pairs()), &Call::new(&OsEntropy::default()))
}

#[test]
fn a_key_file_keeps_the_contract_of_providers_under_every_name() {
    let (_directory, path) = furnished();
    let provider = KeyFileProvider::open(&path).unwrap();
    for name in [None, Some("alias/x"), Some("x"), Some("arn:aws:kms:us-east-1:000000000000:key/x")] {
        key_provider_conformance(&provider, name);
    }
}

#[test]
fn a_store_is_opened_again_with_its_key_file_and_with_no_other() {
    let (directory, path) = furnished();
    let store = directory.path().join("app.secrets");
    let open = |key: &Path| SecretStore::builder(&store).key_provider(KeyFileProvider::open_or_create(key)?).open();
    let created = open(&path).unwrap();
    let request = CreateSecretRequest::new("s").secret_string("v").kms_key_id("alias/anything");
    created.default_secrets_manager().create_secret(request).unwrap();
    created.close().unwrap();

    let (_, wrong) = fault(open(&directory.path().join("other.key")));
    assert_eq!(wrong.reason, KeyFaultReason::NotFound);
    let moved = directory.path().join("moved.key");
    fs::rename(&path, &moved).unwrap();
    fault(open(&path));

    let reopened = open(&moved).unwrap();
    let read = reopened.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("s")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), "v");
    reopened.close().unwrap();
}

/// Told apart: a key that is not this one, and damage.
#[test]
fn what_another_key_file_wrapped_is_not_found_and_what_is_damaged_is_corrupt() {
    let (directory, path) = furnished();
    let provider = KeyFileProvider::open(&path).unwrap();
    let (key, wrapped) = wrap_with(&provider);
    assert_eq!(unwrap_with(&KeyFileProvider::open(&path).unwrap(), &wrapped), Ok(key));
    // The version of the key is the id of the file. It is a name and decides nothing.
    let handle = provider.resolve(&home(), KeyRef::Default, &Call::new(&OsEntropy::default())).unwrap();
    assert_eq!([&*handle.version, &*wrapped.key_version], [provider.key_id(); 2]);
    let renamed = WrappedKey::new("key-file", wrapped.key_arn.clone(), "1", wrapped.blob.clone());
    assert!(unwrap_with(&provider, &renamed).is_ok());
    let other = KeyFileProvider::create(directory.path().join("other")).unwrap();
    assert_eq!(unwrap_with(&other, &wrapped), Err(KeyError::NotFound));
    assert_eq!(unwrap_with(&provider, &wrap_with(&StaticKey::new([7; 32])).1), Err(KeyError::NotFound));
    let mut blob = wrapped.blob.to_vec();
    *blob.last_mut().unwrap() ^= 1;
    let damaged = WrappedKey::new(wrapped.provider, wrapped.key_arn, wrapped.key_version, blob);
    assert_eq!(unwrap_with(&provider, &damaged), Err(KeyError::Corrupt));
}

/// The file and the wrapped key come from a script that shares no code with this crate.
#[test]
fn a_file_from_elsewhere_opens_what_was_wrapped_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    plant(&path, FOREIGN);
    let provider = KeyFileProvider::open(&path).unwrap();
    assert_eq!(provider.key_id(), "01234567-89ab-4cde-8f01-23456789abcd");
    let arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager";
    let wrapped = WrappedKey::new("key-file", arn, "1", from_hex(FOREIGN_WRAP));
    assert_eq!(unwrap_with(&provider, &wrapped), Ok(DataKey::from_slice(&[0x2a; 32]).unwrap()));
}

#[test]
fn a_file_has_one_form_and_a_key_of_its_own() {
    let (directory, path) = furnished();
    let provider = KeyFileProvider::open(&path).unwrap();
    assert_eq!(provider.path(), path);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{}", lines.len());
    assert_eq!(lines[..2], ["strongroom-key-file 1", &format!("id {}", provider.key_id())]);
    assert_eq!(with_checksum(&text[..text.len() - 72]), text);
    let other = directory.path().join("other");
    assert_ne!(KeyFileProvider::create(&other).unwrap().key_id(), provider.key_id());
    assert_ne!(fs::read_to_string(&other).unwrap().lines().nth(2), Some(lines[2]));
    let mut names = names_in(directory.path());
    names.sort_unstable();
    assert_eq!(names, ["app.key", "other"], "nothing else is left behind");
}

#[test]
fn a_missing_file_is_opened_only_if_it_may_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    refused(KeyFileProvider::open(&path), "there is no key file");
    refused(KeyFileProvider::open_shared(&path), "there is no key file");
    assert!(!path.exists());
    let made = KeyFileProvider::open_or_create(&path).unwrap();
    assert_eq!(KeyFileProvider::open_or_create(&path).unwrap().key_id(), made.key_id());
    refused(KeyFileProvider::create(directory.path().join("no/such/directory")), "cannot make key file");
}

/// Whatever is there already stays as it is.
#[test]
fn a_file_is_never_made_in_the_place_of_something() {
    let (directory, path) = furnished();
    let before = fs::read(&path).unwrap();
    refused(KeyFileProvider::create(&path), "there is a file");
    assert_eq!(fs::read(&path).unwrap(), before);

    let dangling = directory.path().join("dangling");
    symlink(directory.path().join("nowhere"), &dangling).unwrap();
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let empty = directory.path().join("empty");
    plant(&empty, "");
    for taken in [&dangling, &folder, &empty] {
        refused(KeyFileProvider::create(taken), "there is a file");
    }
    refused(KeyFileProvider::open_or_create(&empty), DAMAGED);
    assert!(!directory.path().join("nowhere").exists());
    assert_eq!(fs::read(&empty).unwrap(), b"");
    assert_eq!(names_in(directory.path()).len(), 4, "{:?}", names_in(directory.path()));
}

/// As when several services start at once: one makes the file, and nobody sees half of it.
#[test]
fn several_makers_at_once_get_the_same_key() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let ids: Vec<String> = thread::scope(|scope| {
            let make = || KeyFileProvider::open_or_create(&path).unwrap().key_id().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(KeyFileProvider::open(&path).unwrap().key_id(), ids[0]);
        assert_eq!(names_in(directory.path()), ["key"]);
    }
}

#[test]
fn a_symbolic_link_a_directory_or_a_pipe_is_refused() {
    let (directory, path) = furnished();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    for other in [&link, &folder, &pipe, Path::new("/dev/null")] {
        all_refuse(other, NOT_A_FILE);
    }
    KeyFileProvider::open(fs::canonicalize(&link).unwrap()).unwrap();
}

/// A file that others can read or write is not trusted unless that was asked for, and never if they can write it.
#[test]
fn a_key_that_is_open_to_others_is_refused() {
    let (_directory, path) = furnished();
    for exposed in [0o640, 0o610, 0o604, 0o601, 0o644, 0o444, 0o755] {
        set_mode(&path, exposed);
        refused(KeyFileProvider::open(&path), EXPOSED);
        refused(KeyFileProvider::open_or_create(&path), EXPOSED);
        KeyFileProvider::open_shared(&path).unwrap();
        assert_eq!(mode(&path), exposed, "nothing was repaired behind the owner's back");
    }
    for writable in [0o620, 0o602, 0o660, 0o666, 0o777, 0o422] {
        set_mode(&path, writable);
        refused(KeyFileProvider::open(&path), EXPOSED);
        refused(KeyFileProvider::open_or_create(&path), EXPOSED);
        refused(KeyFileProvider::open_shared(&path), "can be written by others");
    }
    for private in [0o600, 0o400, 0o700] {
        set_mode(&path, private);
        KeyFileProvider::open(&path).unwrap();
        KeyFileProvider::open_shared(&path).unwrap();
    }
}

/// Run by `the_key_is_for_its_owner_alone_whatever_the_umask` in a process with another umask.
#[test]
#[ignore = "only of use as a child process"]
fn child_makes_a_file_of_one_key() {
    let Some(path) = std::env::var_os("STRONGROOM_TEST_KEY_FILE") else { return };
    KeyFileProvider::create(path).unwrap();
}

#[test]
fn the_key_is_for_its_owner_alone_whatever_the_umask() {
    for umask in ["000", "022", "027", "077", "177", "477"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "key_file::child_makes_a_file_of_one_key", "--include-ignored", "--quiet"])
            .env("STRONGROOM_TEST_KEY_FILE", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(made.status.success() && path.exists(), "umask {umask}: {}", String::from_utf8_lossy(&made.stdout));
        assert_eq!(format!("{:o}", mode(&path)), "600", "umask {umask}");
        KeyFileProvider::open(&path).unwrap();
    }
}

#[test]
fn every_changed_bit_of_a_key_file_is_noticed() {
    let (_directory, path) = furnished();
    let good = fs::read(&path).unwrap();
    for position in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[position] ^= 1 << bit;
            plant(&path, &bytes);
            refused(KeyFileProvider::open(&path), DAMAGED);
        }
    }
    plant(&path, &good);
    KeyFileProvider::open(&path).unwrap();
}

#[test]
fn a_key_file_of_another_length_is_refused() {
    let (_directory, path) = furnished();
    let good = fs::read(&path).unwrap();
    for length in 0..good.len() {
        plant(&path, &good[..length]);
        all_refuse(&path, DAMAGED);
        assert_eq!(fs::read(&path).unwrap(), &good[..length], "a damaged file is left as it is");
    }
    for extra in [&b"\0"[..], b"\n", b" ", &[0; 32], &good] {
        plant(&path, [&good, extra].concat());
        all_refuse(&path, DAMAGED);
        plant(&path, [extra, &good].concat());
        all_refuse(&path, DAMAGED);
    }
    plant(&path, [&good, vec![b'\n'; 10_000_000].as_slice()].concat());
    all_refuse(&path, DAMAGED);
    plant(&path, "[default]\naws_access_key_id = nothing of ours\n");
    all_refuse(&path, DAMAGED);
}

#[test]
fn a_key_file_of_a_newer_format_is_refused_by_its_number() {
    let (_directory, path) = furnished();
    for (body, format) in
        [("2\nwhatever\n", 2), ("17\n", 17), (&format!("{}\n{}", u16::MAX, "long\n".repeat(600)), u16::MAX)]
    {
        plant(&path, with_checksum(&format!("strongroom-key-file {body}")));
        all_refuse(
            &path,
            &format!("has the newer format {format}, and this version reads up to 1; use a newer version"),
        );
    }
}

/// Right checksum, wrong contents: the same key written otherwise is not the same file.
#[test]
fn a_forged_key_file_with_a_right_checksum_is_refused() {
    let (_directory, path) = furnished();
    let body = &FOREIGN[..FOREIGN.len() - 72];
    assert_eq!(with_checksum(body), FOREIGN);
    for (from, to) in [
        (" 1\n", " 0\n"),
        (" 1\n", " 01\n"),
        (" 1\n", " +1\n"),
        (" 1\n", " -1\n"),
        (" 1\n", " 65536\n"),
        (" 1\n", " 1\r\n"),
        (" 1\n", "\n"),
        ("89abcd\n", "89abcD\n"),
        ("89abcd\n", "89abc\n"),
        ("89abcd\n", "89abcd\u{e9}\n"),
        ("-89ab-4cde-8f01-", "89ab4cde8f01"),
        ("id ", ""),
        ("id ", "id  "),
        ("key ", ""),
        ("key ", "key +"),
        ("key 00", "key "),
        ("key 00", "key 0000"),
        ("key 00", "key +0"),
        ("key 00", "key \u{e9}"),
        ("1e1f\n", "1E1F\n"),
        ("1e1f\n", "1e1g\n"),
        ("1e1f\n", "1e1f"),
        ("1e1f\n", "1e1f\n\n"),
        ("1e1f\n", "1e1f\nkey 00\n"),
    ] {
        assert!(body.contains(from), "{from:?}");
        plant(&path, with_checksum(&body.replacen(from, to, 1)));
        all_refuse(&path, DAMAGED);
    }
    for length in 0..body.len() {
        plant(&path, with_checksum(&body[..length]));
        all_refuse(&path, DAMAGED);
    }
    plant(&path, with_checksum(body));
    KeyFileProvider::open(&path).unwrap();
}

#[test]
fn a_key_file_shows_its_key_neither_when_printed_nor_in_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    plant(&path, FOREIGN);
    let shown = format!("{:?}", KeyFileProvider::open(&path).unwrap());
    assert!(shown.contains("01234567-89ab-4cde-8f01-23456789abcd") && shown.contains("[redacted]"), "{shown}");
    plant(&path, FOREIGN.replace("f87b", "f87c"));
    let error = KeyFileProvider::open(&path).unwrap_err();
    for text in [shown, format!("{error} {error:?}")] {
        assert!(!text.contains("08090a") && !text.contains("8, 9, 10"), "{text}");
    }
}
