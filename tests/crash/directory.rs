//! The directory of a store: what is refused, who may open it, and what it looks like to others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use strongroom::{
    CreateSecretRequest, Durability, ErrorKind, GetSecretValueRequest, LocalKeyring, OpenMode, SecretStore, StaticKey,
};
use tempfile::TempDir;

use crate::child::{self, Running, await_end_of_input, builder, say, store_in};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A place with a store that was closed, and its key file beside it.
pub(crate) fn place_with_store() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let store = builder(place.path()).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret")).unwrap();
    store.close().unwrap();
    place
}

fn is_readable(store: &SecretStore) -> bool {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("db/main"));
    read.is_ok_and(|read| read.secret_string.is_some_and(|value| value.expose() == "s3cret"))
}

/// Everything under a directory but the lock file: what it is, and a digest of what is in it.
pub(crate) fn picture(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut picture = BTreeMap::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        let what = if about.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else if about.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else {
            let bytes = fs::read(&path).unwrap();
            format!("{} bytes, {:?}", bytes.len(), digest(&SHA256, &bytes))
        };
        if path != directory.join("LOCK") || about.is_symlink() || about.is_dir() {
            picture.insert(path, what);
        }
    }
    picture
}

type Spoil = fn(&Path);

/// What cannot be opened is refused with its reason, and left as it is.
#[test]
fn what_holds_no_sound_store_is_refused_and_left_as_it_was() {
    use ErrorKind::{Corrupted, NotAStore, StoreExists};
    use OpenMode::{CreateNew, OpenExisting, OpenOrCreate};
    let nothing: Spoil = |store| fs::remove_dir_all(store).unwrap();
    let rows: [(&str, Spoil, OpenMode, ErrorKind); 19] = [
        ("no directory", nothing, OpenExisting, NotAStore),
        ("an empty directory", |store| empty(store), OpenExisting, NotAStore),
        (
            "a file",
            |store| {
                nothing_there(store);
                fs::write(store, "x").unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "a file, asked for",
            |store| {
                nothing_there(store);
                fs::write(store, "x").unwrap()
            },
            OpenExisting,
            NotAStore,
        ),
        (
            "files of others",
            |store| {
                empty(store);
                fs::write(store.join("notes"), "x").unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "files of others, asked for",
            |store| {
                empty(store);
                fs::write(store.join("notes"), "x").unwrap()
            },
            OpenExisting,
            NotAStore,
        ),
        (
            "files of others beside a lock",
            |store| {
                empty(store);
                fs::write(store.join("LOCK"), "").unwrap();
                fs::write(store.join("notes"), "x").unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "a lock alone, asked for",
            |store| {
                empty(store);
                fs::write(store.join("LOCK"), "").unwrap()
            },
            OpenExisting,
            NotAStore,
        ),
        (
            "the lock is a directory",
            |store| {
                fs::remove_file(store.join("LOCK")).unwrap();
                fs::create_dir(store.join("LOCK")).unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "the lock is a link",
            |store| {
                fs::remove_file(store.join("LOCK")).unwrap();
                symlink("store.hdr", store.join("LOCK")).unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "the lock is a link to nowhere",
            |store| {
                fs::remove_file(store.join("LOCK")).unwrap();
                symlink("nowhere", store.join("LOCK")).unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "the header is a directory",
            |store| {
                fs::remove_file(store.join("store.hdr")).unwrap();
                fs::create_dir(store.join("store.hdr")).unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        (
            "the header is a link",
            |store| {
                fs::rename(store.join("store.hdr"), store.join("../hdr")).unwrap();
                symlink("../hdr", store.join("store.hdr")).unwrap()
            },
            OpenOrCreate,
            NotAStore,
        ),
        ("the header is missing", |store| fs::remove_file(store.join("store.hdr")).unwrap(), OpenOrCreate, Corrupted),
        (
            "the header is missing, new asked for",
            |store| fs::remove_file(store.join("store.hdr")).unwrap(),
            CreateNew,
            Corrupted,
        ),
        ("the records are missing", |store| fs::remove_dir_all(store.join("sled")).unwrap(), OpenOrCreate, Corrupted),
        (
            "the records are a file",
            |store| {
                fs::remove_dir_all(store.join("sled")).unwrap();
                fs::write(store.join("sled"), "x").unwrap()
            },
            OpenOrCreate,
            Corrupted,
        ),
        ("the directory of the records is empty", |store| empty(&store.join("sled")), OpenOrCreate, Corrupted),
        ("a sound store, new asked for", |_| {}, CreateNew, StoreExists),
    ];
    let mut failures = Vec::new();
    for (row, spoil, mode, kind) in rows {
        let place = place_with_store();
        spoil(&store_in(place.path()));
        let before = picture(&store_in(place.path()));
        match builder(place.path()).mode(mode).open() {
            Err(error) if *error.kind() == kind => {}
            Err(error) => failures.push(format!("{row}: {error:?} instead of {kind:?}")),
            Ok(_) => failures.push(format!("{row}: opened instead of {kind:?}")),
        }
        let after = picture(&store_in(place.path()));
        if before != after {
            failures.push(format!("{row}: was changed, from {before:#?} to {after:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn nothing_there(store: &Path) {
    fs::remove_dir_all(store).unwrap();
}

fn empty(directory: &Path) {
    fs::remove_dir_all(directory).unwrap();
    fs::create_dir(directory).unwrap();
}

#[test]
fn the_wrong_key_is_named_as_the_reason_and_nothing_is_changed() {
    let place = place_with_store();
    let before = picture(&store_in(place.path()));
    let builder = || SecretStore::builder(store_in(place.path()));
    for (keys, error) in [
        ("another keyring", builder().key_provider(LocalKeyring::in_memory()).open()),
        ("another kind of key", builder().key_provider(StaticKey::new([1; 32])).open()),
    ] {
        let error = error.expect_err(keys);
        assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{keys}: {error:?}");
    }
    assert_eq!(picture(&store_in(place.path())), before);
    assert!(is_readable(&child::builder(place.path()).open().unwrap()), "the right key opens the store afterwards");
}

#[test]
fn a_wrong_key_of_the_same_kind_is_told_from_damage() {
    let place = tempfile::tempdir().unwrap();
    let builder = |byte| SecretStore::builder(place.path().join("store")).key_provider(StaticKey::new([byte; 32]));
    builder(1).open().unwrap().close().unwrap();
    let before = picture(place.path());
    let error = builder(2).open().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{error:?}");
    assert_eq!(picture(place.path()), before);
    builder(1).open().unwrap();
}

#[test]
fn a_place_where_nothing_can_be_made_is_a_storage_error() {
    // A file system in which nobody, not even root, can make a directory.
    if !Path::new("/proc/self").exists() {
        return;
    }
    let keys = StaticKey::new([7; 32]);
    let error = SecretStore::builder("/proc/strongroom").key_provider(keys).open().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Storage, "{error:?}");
    assert!(!Path::new("/proc/strongroom").exists());
}

#[test]
fn a_store_is_open_once_in_a_process() {
    let place = place_with_store();
    let first = builder(place.path()).open().unwrap();
    for mode in [OpenMode::OpenOrCreate, OpenMode::OpenExisting, OpenMode::CreateNew] {
        let error = builder(place.path()).mode(mode).open().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::AlreadyOpen, "{mode:?}: {error:?}");
        assert!(error.is_retryable());
    }
    assert!(is_readable(&first), "the one that is open goes on");
    first.close().unwrap();
    let second = builder(place.path()).open().unwrap();
    drop(second);
    assert!(is_readable(&builder(place.path()).open().unwrap()), "dropping gives the directory free too");
}

#[test]
fn of_threads_that_make_the_same_store_one_gets_it() {
    let place = tempfile::tempdir().unwrap();
    LocalKeyring::open_or_create(place.path().join("keys")).unwrap();
    let results: Vec<_> = thread::scope(|threads| {
        let threads: Vec<_> = (0..4).map(|_| threads.spawn(|| builder(place.path()).open())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (opened, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!(!opened.is_empty(), "{refused:?}");
    for error in refused.into_iter().filter_map(Result::err) {
        assert_eq!(*error.kind(), ErrorKind::AlreadyOpen, "{error:?}");
    }
}

/// In the child: keeps the store open until the parent has had enough.
pub(crate) fn hold(place: &Path) {
    let store = builder(place).open().unwrap();
    say("held");
    await_end_of_input();
    store.close().unwrap();
}

#[test]
fn a_store_that_another_process_has_open_is_refused_until_that_process_closes_it() {
    let place = place_with_store();
    let holder = Running::start(child::command("hold", place.path(), 0));
    assert_eq!(holder.hear(), "held");
    let error = builder(place.path()).open().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AlreadyOpen, "{error:?}");
    let error = builder(place.path()).wait_for_lock(Duration::from_millis(30)).open().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AlreadyOpen, "patience ends: {error:?}");
    let (_, status) = holder.finish();
    assert!(status.success());
    assert!(is_readable(&builder(place.path()).open().unwrap()));
}

#[test]
fn a_killed_process_holds_nothing() {
    let place = place_with_store();
    let holder = Running::start(child::command("hold", place.path(), 0));
    assert_eq!(holder.hear(), "held");
    holder.kill();
    assert!(is_readable(&builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap()));
}

#[test]
fn whoever_is_patient_gets_the_store_when_it_becomes_free() {
    let place = place_with_store();
    let holder = Running::start(child::command("hold", place.path(), 0));
    assert_eq!(holder.hear(), "held");
    let (waiting, told) = mpsc::channel();
    thread::scope(|threads| {
        let waiter = threads.spawn(|| {
            let error = builder(place.path()).open().unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::AlreadyOpen);
            waiting.send(()).unwrap();
            builder(place.path()).wait_for_lock(PATIENCE).open()
        });
        told.recv_timeout(PATIENCE).unwrap();
        holder.finish();
        assert!(is_readable(&waiter.join().unwrap().unwrap()));
    });

    let first = builder(place.path()).open().unwrap();
    let (waiting, told) = mpsc::channel();
    thread::scope(|threads| {
        let waiter = threads.spawn(|| {
            waiting.send(()).unwrap();
            builder(place.path()).wait_for_lock(PATIENCE).open()
        });
        told.recv_timeout(PATIENCE).unwrap();
        first.close().unwrap();
        assert!(is_readable(&waiter.join().unwrap().unwrap()), "and within one process");
    });
}

/// A crash while a store is made leaves things behind that are not a store; the next opener makes one in their place.
#[test]
fn what_an_interrupted_making_left_is_replaced_by_a_new_store() {
    let rows: [(&str, Spoil); 6] = [
        ("a lock", |store| {
            empty(store);
            fs::write(store.join("LOCK"), "").unwrap();
        }),
        ("unfinished records without a lock", |store| {
            empty(store);
            fs::create_dir(store.join("sled.new")).unwrap();
        }),
        ("unfinished records", |store| {
            fs::rename(store.join("sled"), store.join("sled.new")).unwrap();
            fs::remove_file(store.join("store.hdr")).unwrap();
        }),
        ("unfinished records that are damaged", |store| {
            empty(store);
            fs::write(store.join("LOCK"), "").unwrap();
            fs::create_dir(store.join("sled.new")).unwrap();
            fs::write(store.join("sled.new").join("db"), "half").unwrap();
            fs::write(store.join("sled.new").join("unfinished"), "").unwrap();
        }),
        ("finished records without a header", |store| {
            fs::remove_file(store.join("store.hdr")).unwrap();
            fs::write(store.join("sled").join("unfinished"), "").unwrap();
        }),
        ("half a header", |store| {
            fs::rename(store.join("store.hdr"), store.join("store.hdr.tmp")).unwrap();
            fs::write(store.join("sled").join("unfinished"), "").unwrap();
        }),
    ];
    for (row, spoil) in rows {
        for mode in [OpenMode::OpenOrCreate, OpenMode::CreateNew] {
            let place = place_with_store();
            spoil(&store_in(place.path()));
            let error = builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::NotAStore, "{row}: there is none yet: {error:?}");
            let store = builder(place.path()).mode(mode).open().unwrap_or_else(|error| panic!("{row}: {error:?}"));
            assert_eq!(store.stats().unwrap().secrets, 0, "{row}");
            let create = CreateSecretRequest::new("db/main").secret_string("s3cret");
            store.default_secrets_manager().create_secret(create).unwrap();
            store.close().unwrap();
            let names: Vec<_> = picture(&store_in(place.path())).into_keys().collect();
            let leftover = names.iter().find(|path| path.ends_with("sled.new") || path.ends_with("unfinished"));
            assert_eq!(leftover, None, "{row}");
            let store = builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap();
            assert!(is_readable(&store), "{row}, {mode:?}");
        }
    }
}

#[test]
fn a_store_whose_mark_of_being_made_was_not_yet_removed_is_whole() {
    let place = place_with_store();
    let mark = store_in(place.path()).join("sled").join("unfinished");
    fs::write(&mark, "").unwrap();
    let store = builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap();
    assert!(is_readable(&store));
    assert!(!mark.exists(), "with a header the store is made, and the mark goes");
}

#[test]
fn a_store_that_is_replaced_is_empty_and_its_keys_open_nothing_of_the_old_one() {
    let place = place_with_store();
    let old = fs::read(store_in(place.path()).join("store.hdr")).unwrap();
    let store = builder(place.path()).mode(OpenMode::Replace).open().unwrap();
    assert_eq!(store.stats().unwrap().secrets, 0);
    assert!(!is_readable(&store));
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("new").secret_string("s")).unwrap();
    store.close().unwrap();
    assert_ne!(fs::read(store_in(place.path()).join("store.hdr")).unwrap(), old);
    let store = builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap();
    assert_eq!(store.stats().unwrap().secrets, 1, "what was put into the new one stays");
    store.close().unwrap();
    // Where there is none, one is made.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(builder(empty.path()).mode(OpenMode::Replace).open().unwrap().stats().unwrap().secrets, 0);
}

/// Replacing writes the mark, then removes the header, then makes a store.
#[test]
fn a_replacement_that_is_interrupted_leaves_the_old_store_or_a_new_one() {
    let interrupted: [(&str, bool, Spoil); 5] = [
        ("the mark is there", true, |store| fs::write(store.join("sled").join("unfinished"), "").unwrap()),
        ("the header is gone", false, |store| {
            fs::write(store.join("sled").join("unfinished"), "").unwrap();
            fs::remove_file(store.join("store.hdr")).unwrap();
        }),
        ("new records are being made", false, |store| {
            fs::write(store.join("sled").join("unfinished"), "").unwrap();
            fs::remove_file(store.join("store.hdr")).unwrap();
            fs::create_dir(store.join("sled.new")).unwrap();
        }),
        ("the old records are being removed", false, |store| {
            fs::remove_file(store.join("store.hdr")).unwrap();
            fs::rename(store.join("sled"), store.join("sled.new")).unwrap();
            fs::remove_file(store.join("sled.new").join("conf")).unwrap();
        }),
        ("the old records are gone", false, |store| {
            fs::remove_file(store.join("store.hdr")).unwrap();
            fs::remove_dir_all(store.join("sled")).unwrap();
        }),
    ];
    for (row, is_old, interrupt) in interrupted {
        let place = place_with_store();
        interrupt(&store_in(place.path()));
        assert_eq!(SecretStore::exists(store_in(place.path())).unwrap(), is_old, "{row}");
        let store = builder(place.path()).open().unwrap_or_else(|error| panic!("{row}: {error:?}"));
        assert_eq!(is_readable(&store), is_old, "{row}");
        assert_eq!(store.stats().unwrap().secrets, u64::from(is_old), "{row}");
    }
}

#[test]
fn a_store_is_not_replaced_while_it_is_open_or_if_there_is_no_key_or_no_store_but_other_files() {
    let place = place_with_store();
    let holder = Running::start(child::command("hold", place.path(), 0));
    assert_eq!(holder.hear(), "held");
    let error = builder(place.path()).mode(OpenMode::Replace).open().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AlreadyOpen);
    assert!(holder.finish().1.success());
    let keyless = SecretStore::builder(store_in(place.path())).mode(OpenMode::Replace).open().unwrap_err();
    assert_eq!(*keyless.kind(), ErrorKind::Configuration);
    assert!(is_readable(&builder(place.path()).open().unwrap()));

    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("photo.jpg"), "not ours").unwrap();
    let replace = SecretStore::builder(foreign.path()).key_provider(StaticKey::new([7; 32])).mode(OpenMode::Replace);
    assert_eq!(*replace.open().unwrap_err().kind(), ErrorKind::NotAStore);
    assert!(foreign.path().join("photo.jpg").exists());
    let in_memory = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).mode(OpenMode::Replace);
    assert_eq!(*in_memory.open().unwrap_err().kind(), ErrorKind::Configuration);
}

#[test]
fn whether_there_is_a_store_is_told_without_a_key_and_without_changing_anything() {
    let place = place_with_store();
    let store = store_in(place.path());
    let before = picture(place.path());
    assert!(SecretStore::exists(&store).unwrap());
    assert!(!SecretStore::exists(place.path().join("nowhere")).unwrap());
    let exists = |path: &Path| SecretStore::exists(path).map_err(|error| error.kind().clone());
    assert_eq!(exists(&store.join("store.hdr")), Err(ErrorKind::NotAStore), "a file");
    assert_eq!(exists(place.path()), Err(ErrorKind::NotAStore), "other files");
    assert!(picture(place.path()) == before);
    fs::remove_file(store.join("store.hdr")).unwrap();
    assert_eq!(exists(&store), Err(ErrorKind::Corrupted), "the header was lost");
    let bare = tempfile::tempdir().unwrap();
    assert!(!SecretStore::exists(bare.path()).unwrap());
    symlink("looped", bare.path().join("looped")).unwrap();
    assert_eq!(exists(&bare.path().join("looped")), Err(ErrorKind::Storage), "it cannot be looked at");
    assert!(!bare.path().join("LOCK").exists());
}

/// A process that is killed while sled writes a snapshot leaves an unfinished file that sled itself cannot cope with.
#[test]
fn an_unfinished_snapshot_is_removed_and_the_store_opens() {
    let place = place_with_store();
    let snapshot = store_in(place.path()).join("sled").join("snap.00000000000003E8.generating");
    for content in [&b""[..], b"garbage", &[0; 4096]] {
        fs::remove_file(store_in(place.path()).join("store.seal")).unwrap();
        fs::write(&snapshot, content).unwrap();
        let store = builder(place.path()).open().unwrap_or_else(|error| panic!("{content:?}: {error:?}"));
        assert!(is_readable(&store));
        assert!(!snapshot.exists());
        store.close().unwrap();
    }
}

/// Everything in a place that others could get at.
fn exposed(place: &Path) -> Vec<String> {
    let mut exposed = Vec::new();
    let mut rest = vec![store_in(place), place.join("keys"), place.join("keys.lock")];
    while let Some(path) = rest.pop() {
        // sled renames and removes its snapshots whenever it likes.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        let mode = about.permissions().mode() & 0o777;
        if mode != if about.is_dir() { 0o700 } else { 0o600 } {
            exposed.push(format!("{} {mode:o}", path.display()));
        }
        if about.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    exposed
}

/// In the child, in which every file is made for everybody: says what of a store is exposed at each stage of its life.
pub(crate) fn fill(place: &Path) {
    let tell = |stage: &str| say(&format!("{stage}: {:?}", exposed(place)));
    let open = || builder(place).durability(Durability::Eventual).open().unwrap();
    let store = open();
    tell("made");
    let secrets = store.default_secrets_manager();
    for number in 0..5_000 {
        let create = CreateSecretRequest::new(format!("secret-{number}")).secret_string("value");
        secrets.create_secret(create).unwrap();
    }
    store.flush().unwrap();
    tell("filled");
    store.close().unwrap();
    tell("closed");
    let store = open();
    tell("opened again");
    store.close().unwrap();
    tell("closed again");
}

#[test]
fn nothing_of_a_store_is_open_to_others_whatever_the_umask() {
    let place = tempfile::tempdir().unwrap();
    let filler = Running::start(child::command_without_umask("fill", place.path(), 0));
    for stage in ["made", "filled", "closed", "opened again", "closed again"] {
        assert_eq!(filler.hear(), format!("{stage}: []"));
    }
    assert!(filler.finish().1.success());
}

#[test]
fn a_store_directory_that_was_opened_to_others_is_closed_to_them() {
    let place = place_with_store();
    let store = store_in(place.path());
    for path in [store.clone(), store.join("sled"), store.join("store.hdr"), store.join("LOCK"), store.join("sled/db")]
    {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let opened = builder(place.path()).open().unwrap();
    assert_eq!(exposed(place.path()), [""; 0]);
    opened.close().unwrap();
}
