//! Disks that are full, and files that may not grow any more.

use std::fs::{self, File};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use strongroom::{
    Builder, CreateSecretRequest, Durability, Error, ErrorKind, GetSecretValueRequest, OpenMode, SecretStore,
    StaticKey, VerifyOptions,
};
use tempfile::TempDir;

use crate::child::{self, Running, say, store_in};
use crate::history::{token, value_of};

/// Values of this size fill a small disk with a few dozen calls.
const VALUE_BYTES: usize = 65_536;

/// Far more calls than fit.
const CALLS_MAX: u64 = 2_000;

/// What a small disk, on which calls are made until one fails, and a larger one, on which everything else is done, hold.
const SMALL_DISK_MIB: u64 = 32;
const DISK_MIB: u64 = 48;

/// What a file may hold, in the 512 bytes that the shell counts.
const FILE_BLOCKS: u64 = 20 * 2048;

/// Kept free for later. The engine needs room for one more segment of its log, of 8 MiB, to open its files.
const BALLAST_BYTES: usize = 12 * 1024 * 1024;

const PATIENCE: Duration = Duration::from_secs(90);

fn builder(store: &Path) -> Builder {
    SecretStore::builder(store).key_provider(StaticKey::new([7; 32]))
}

fn name(number: u64) -> String {
    format!("secret-{number:04}")
}

fn create(store: &SecretStore, number: u64) -> Result<(), Error> {
    let token = token(true, VALUE_BYTES, number);
    let value = value_of(&token);
    let strongroom::SecretValue::Binary(bytes) = value else { panic!("values of tests are bytes here") };
    let create = CreateSecretRequest::new(name(number)).client_request_token(token).secret_binary(bytes);
    store.default_secrets_manager().create_secret(create).map(drop)
}

/// Whether a secret is there with its value.
fn is_there(store: &SecretStore, number: u64) -> bool {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name(number)));
    read.is_ok_and(|read| read.secret_binary.is_some_and(|bytes| value_of(&read.version_id) == bytes.into()))
}

/// In the child: makes calls until one fails, and says what each of them gave, and what the store says afterwards.
pub(crate) fn fill(place: &Path) {
    let tell = |what: &str, result: Result<(), Error>| match result {
        Ok(()) => say(&format!("{what}\tok")),
        Err(error) => say(&format!("{what}\t{:?}\t{error}", error.kind())),
    };
    let work = || {
        let store = match builder(&store_in(place)).open() {
            Ok(store) => store,
            Err(error) => return tell("open", Err(error)),
        };
        let first = store.stats().unwrap().secrets;
        for number in first..first + CALLS_MAX {
            match create(&store, number) {
                Ok(()) => say(&format!("done\t{number}")),
                Err(error) => {
                    tell("failed", Err(error));
                    break;
                }
            }
        }
        let secrets = store.default_secrets_manager();
        tell("write", create(&store, CALLS_MAX * 10));
        tell("read", secrets.get_secret_value(GetSecretValueRequest::new(name(0))).map(drop));
        tell("flush", store.flush());
        tell("verify", store.verify(VerifyOptions::new(), &mut |_| {}).map(drop));
        tell("close", store.close());
    };
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        say("panic");
    }
    say("end");
}

/// Checks what a child said, and gives the number of secrets that must be there.
fn acknowledged(said: &[String]) -> u64 {
    let done: Vec<u64> = said.iter().filter_map(|line| line.strip_prefix("done\t")?.parse().ok()).collect();
    let rest: Vec<String> = said.iter().filter(|line| !line.starts_with("done")).map(|line| first_two(line)).collect();
    let expected = [
        "failed\tStorage",
        "write\tPoisoned",
        "read\tPoisoned",
        "flush\tPoisoned",
        "verify\tPoisoned",
        "close\tPoisoned",
        "end",
    ];
    assert_eq!(rest, expected, "{said:#?}");
    assert!(!done.is_empty(), "no call succeeded: {said:#?}");
    done.last().unwrap() + 1
}

fn first_two(line: &str) -> String {
    line.splitn(3, '\t').take(2).collect::<Vec<_>>().join("\t")
}

/// Opens the store that was left behind: it verifies clean, and everything that was acknowledged is there. Of the call
/// that failed, all or nothing is.
fn check_left(store: &Path, acknowledged: u64) {
    let opened = builder(store).mode(OpenMode::OpenExisting).open();
    let opened = opened.unwrap_or_else(|error| panic!("once there is room, the store does not open: {error:?}"));
    let report = opened.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let lost: Vec<u64> = (0..acknowledged).filter(|number| !is_there(&opened, *number)).collect();
    assert!(lost.is_empty(), "of {acknowledged} acknowledged calls these are lost: {lost:?}");
    let secrets = opened.stats().unwrap().secrets;
    assert!(secrets == acknowledged || secrets == acknowledged + 1, "{secrets} secrets, {acknowledged} acknowledged");
    create(&opened, 100_000).unwrap();
    assert!(is_there(&opened, 100_000));
    opened.close().unwrap();
    assert!(store.join("store.seal").exists());
}

/// A store with a few secrets.
fn made(store: &Path, secrets: u64) {
    let opened = builder(store).durability(Durability::Eventual).open().unwrap();
    (0..secrets).for_each(|number| create(&opened, number).unwrap());
    opened.close().unwrap();
}

#[test]
fn a_file_that_may_not_grow_fails_the_call_and_everything_acknowledged_is_there_afterwards() {
    let place = tempfile::tempdir().unwrap();
    made(&store_in(place.path()), 3);
    let plain = child::command("fill disk", place.path(), 0);
    let mut limited = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {FILE_BLOCKS}; exec \"$0\" \"$@\"");
    limited.args(["-c", &script]).arg(plain.get_program()).args(plain.get_args());
    limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let said = Running::start(limited).finish_within(PATIENCE).expect("the child hangs");
    let acknowledged = acknowledged(&said);
    eprintln!("limited files: {acknowledged} secrets before the limit was reached, 0 lost");
    check_left(&store_in(place.path()), acknowledged);
}

/// A small file system of its own. Dropped, it is gone.
struct Disk {
    mounted: PathBuf,
    _directory: TempDir,
}

impl Disk {
    /// `None`: this is not a place where a file system can be made and mounted.
    fn new(mebibytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let (image, mounted) = (directory.path().join("image"), directory.path().join("mounted"));
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(&mounted).unwrap();
        let run = |command: &mut Command| {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success()).then_some(())
        };
        let made = run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))
            .and_then(|()| run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted)));
        if made.is_none() {
            eprintln!("full disks: skipped, because no file system can be made and mounted here");
            return None;
        }
        Some(Self { mounted, _directory: directory })
    }

    fn place(&self) -> &Path {
        &self.mounted
    }

    fn ballast(&self) -> PathBuf {
        self.mounted.join("ballast")
    }

    /// Leaves no room for a single byte.
    fn fill(&self) {
        let mut file = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for bytes in [1 << 20, 1 << 16, 4096, 512, 1] {
            while file.write_all(&vec![0xaa; bytes]).and_then(|()| file.sync_data()).is_ok() {}
        }
    }

    /// Makes room again.
    fn relieve(&self) {
        fs::remove_file(self.ballast()).unwrap();
        File::open(&self.mounted).unwrap().sync_all().unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmount = |option: &[&str]| {
            Command::new("umount").args(option).arg(&self.mounted).status().is_ok_and(|status| status.success())
        };
        let _ = unmount(&[]) || unmount(&["-l"]);
    }
}

#[test]
fn a_full_disk_fails_the_call_and_everything_acknowledged_is_there_once_there_is_room() {
    let Some(disk) = Disk::new(SMALL_DISK_MIB) else { return };
    fs::write(disk.ballast(), vec![0xaa; BALLAST_BYTES]).unwrap();
    made(&store_in(disk.place()), 3);
    let filler = Running::start(child::command("fill disk", disk.place(), 0));
    let said = filler.finish_within(PATIENCE).expect("the child hangs");
    let acknowledged = acknowledged(&said);
    // As long as there is no room, a typed error or the whole store.
    match builder(&store_in(disk.place())).open() {
        Err(error) => assert_eq!(*error.kind(), ErrorKind::Storage, "{error:?}"),
        Ok(store) => assert!((0..acknowledged).all(|number| is_there(&store, number))),
    }
    disk.relieve();
    check_left(&store_in(disk.place()), acknowledged);
    eprintln!("full disks: {acknowledged} secrets before the disk was full, 0 lost");
}

/// What may be in the directory of a store that is closed.
fn leftovers(store: &Path) -> Vec<String> {
    let known = ["LOCK", "store.hdr", "store.anchor", "store.seal", "sled"];
    let Ok(entries) = fs::read_dir(store) else { return vec![] };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !known.contains(&name.as_str())).collect()
}

type Work = fn(&Path, &Path) -> Result<(), Error>;

/// Everything that needs room besides the calls of the API. Each is tried on a full disk, and again when there is room.
#[test]
fn whatever_is_done_on_a_full_disk_fails_in_order_and_works_once_there_is_room() {
    const SECRETS: u64 = 40;
    let Some(disk) = Disk::new(DISK_MIB) else { return };
    let store = store_in(disk.place());
    made(&store, SECRETS);
    let outside = tempfile::tempdir().unwrap();
    let opened = builder(&store).open().unwrap();
    opened.backup(outside.path().join("backup"), &mut |_| {}).unwrap();
    opened.close().unwrap();

    let rows: [(&str, Work); 6] = [
        ("open and close", |disk, _| builder(&store_in(disk)).open().and_then(SecretStore::close)),
        ("verify", |disk, _| {
            let report = builder(&store_in(disk)).verify(VerifyOptions::new(), &mut |_| {})?;
            assert!(report.is_clean(), "a full disk is no damage: {:?}", report.findings);
            Ok(())
        }),
        ("back up", |disk, _| {
            let store = builder(&store_in(disk)).open()?;
            let path = disk.join("backup");
            let written = store.backup(&path, &mut |_| {});
            assert_eq!(path.exists(), written.is_ok(), "a backup is there if it was written");
            assert!(!disk.join("backup.tmp").exists(), "half a backup is left");
            written?;
            fs::remove_file(path).unwrap();
            store.close()
        }),
        ("compact", |disk, _| builder(&store_in(disk)).compact(&mut |_| {}).map(drop)),
        ("restore", |disk, outside| {
            let target = disk.join("restored");
            let store = builder(&target).restore(outside.join("backup"), &mut |_| {})?;
            assert_eq!(store.stats()?.secrets, SECRETS);
            store.close()?;
            assert_eq!(leftovers(&target), [""; 0]);
            fs::remove_dir_all(target).unwrap();
            Ok(())
        }),
        ("salvage", |disk, _| {
            let target = disk.join("salvaged");
            let (store, report) = builder(&target).salvage(store_in(disk), None, &mut |_| {})?;
            assert!(report.is_whole && report.secrets == SECRETS, "{report:?}");
            store.close()?;
            assert_eq!(leftovers(&target), [""; 0]);
            fs::remove_dir_all(target).unwrap();
            Ok(())
        }),
    ];
    let mut failures = Vec::new();
    let mut outcomes = Vec::new();
    for (row, work) in rows {
        disk.fill();
        let attempt = || catch_unwind(AssertUnwindSafe(|| work(disk.place(), outside.path())));
        match attempt() {
            Ok(Ok(())) => outcomes.push(format!("{row}: works")),
            Ok(Err(error)) if *error.kind() == ErrorKind::Storage => outcomes.push(format!("{row}: Storage")),
            Ok(Err(error)) => failures.push(format!("{row} on a full disk: {error:?}")),
            Err(_) => failures.push(format!("{row} on a full disk: a panic")),
        }
        disk.relieve();
        match attempt() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failures.push(format!("{row} once there is room: {error:?}")),
            Err(_) => failures.push(format!("{row} once there is room: a panic")),
        }
        let left = catch_unwind(AssertUnwindSafe(|| {
            let opened = builder(&store).mode(OpenMode::OpenExisting).open().unwrap();
            assert!((0..SECRETS).all(|number| is_there(&opened, number)));
            assert!(opened.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
            opened.close().unwrap();
        }));
        if left.is_err() || !leftovers(&store).is_empty() {
            failures.push(format!("{row}: the store was harmed, or has leftovers: {:?}", leftovers(&store)));
        }
    }
    eprintln!("full disks, everything else: {}", outcomes.join(", "));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The store is open when the disk becomes full: it cannot be sealed, and loses nothing.
#[test]
fn a_store_that_is_closed_on_a_full_disk_loses_nothing() {
    let Some(disk) = Disk::new(DISK_MIB) else { return };
    let store = store_in(disk.place());
    made(&store, 5);
    for round in 0..3 {
        let opened = builder(&store).open().unwrap();
        create(&opened, 5 + round).unwrap();
        disk.fill();
        let closed = opened.close();
        let sealed = store.join("store.seal").exists();
        if let Err(error) = &closed {
            assert_eq!(*error.kind(), ErrorKind::Storage, "{error:?}");
        }
        assert!(closed.is_ok() || !sealed, "what could not be closed is not sealed");
        disk.relieve();
        let opened = builder(&store).open().unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        assert!((0..=5 + round).all(|number| is_there(&opened, number)), "round {round}");
        assert!(opened.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean(), "round {round}");
        opened.close().unwrap();
        assert!(sealed == closed.is_ok() && leftovers(&store).is_empty(), "{:?}", leftovers(&store));
    }
}
