//! An observer that writes every record into a file, bound to the one before it by a hash.
//!
//! Bytes are only ever appended, so that the file can be one that the system lets nobody shorten. What a crash or a full
//! disk leaves of a line stays where it is, and the next line says so.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::observe::Observer;
use crate::observe::chain::{AuditHash, Head, LINE_BYTES_MAX, Line, Resumption, hash_of};
use crate::observe::record::AuditRecord;

/// The version of the format of the file.
const VERSION: u16 = 1;

/// How much of the end of a file is looked at for its last whole line, at first and at most. The most holds a line, one before
/// it, and what two crashes can leave behind it.
const TAIL_BYTES: [u64; 2] = [64 * 1024, 4 * (LINE_BYTES_MAX as u64 + 1)];

/// An [`Observer`] that appends one line of JSON for every record to a file, in which each line is bound to all before it
/// by a hash.
///
/// The file is made with mode 0600, is open in one process at a time, and is gone on with when it is opened again. Lines
/// are handed to the system before the caller's operation returns; [`AuditFileOptions::sync`] also waits for the disk.
///
/// [`verify`](Self::verify) finds every line that was changed, taken out, put in or moved by somebody who did not compute
/// all later lines anew. Whoever can write the file can do that too: then only a [`head`](Self::head) that was kept
/// elsewhere tells.
///
/// An operation whose record cannot be written has been carried out all the same: see [`failure`](Self::failure).
///
/// ```
/// use std::sync::Arc;
///
/// use strongroom::{AuditFile, AuditFileOptions, CreateSecretRequest, SecretStore, StaticKey};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("audit.jsonl");
/// let audit = Arc::new(AuditFile::open(&path, AuditFileOptions::new())?);
/// let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).observer(Arc::clone(&audit)).open()?;
/// store.default_secrets_manager().create_secret(CreateSecretRequest::new("db/main").secret_string("s3cret"))?;
///
/// assert!(audit.failure().is_none());
/// let report = AuditFile::verify(&path, Some(audit.head()))?;
/// assert!(report.is_whole());
/// assert_eq!(report.records, 1);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    options: AuditFileOptions,
    state: Mutex<State>,
}

/// How an [`AuditFile`] is written.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct AuditFileOptions {
    sync: bool,
}

impl AuditFileOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every operation waits until its line is on disk. Default: `false`: a crash of the process loses nothing, a
    /// power cut can lose the last lines.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }
}

/// Why an [`AuditFile`] does not have everything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFailure {
    /// What went wrong first.
    pub reason: String,
    /// Records that are not in the file. 0 if all of them are, and only their way to the disk failed.
    pub lost_records: u64,
}

#[derive(Debug)]
struct State {
    file: File,
    head: Head,
    /// Whether the file ends with the line of the head, as far as is known.
    is_whole: bool,
    /// Records that were lost since the last line was written.
    lost: u64,
    failure: Option<AuditFailure>,
}

impl AuditFile {
    /// Opens an audit file, or makes a new one where there is none.
    ///
    /// Of a file that is there, the first line and the last whole one are checked; [`verify`](Self::verify) checks all. Behind
    /// what a crash has left of a line, a line is written that says how much there is of it.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Storage`]: the file is a symbolic link or no file, or cannot be opened, read or written.
    /// 2. [`ErrorKind::AlreadyOpen`]: another opener, in this process or another, has not dropped it.
    /// 3. [`ErrorKind::UnsupportedFormat`]: a newer version has written it.
    /// 4. [`ErrorKind::Corrupted`]: it is no audit file, or its end is not as it was written. Nothing was changed.
    pub fn open(path: impl AsRef<Path>, options: AuditFileOptions) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = open_alone(&path)?;
        let failed = |doing| storage(doing, &path);
        let length = file.metadata().map_err(failed("read"))?.len();
        let (first, head) = Head::first();
        let beginning = read_at(&file, 0, first.len()).map_err(failed("read"))?;
        let mut state = State { file, head, is_whole: true, lost: 0, failure: None };
        match first.strip_prefix(beginning.as_slice()) {
            // Nothing, or what a crash has left of the first line.
            Some(rest) if length < first.len() as u64 => {
                state.file.write_all(rest).and_then(|()| state.file.sync_all()).map_err(failed("write"))?;
                files::sync_directory(files::parent(&path)).map_err(failed("write"))?;
            }
            Some(_) => {
                let gone_on = read_tail(&state.file).and_then(|tail| state.go_on(tail, options.sync));
                gone_on.map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidData => damaged(&path, &error.to_string()),
                    _ => failed("go on with")(error),
                })?;
            }
            None => {
                let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
                return Err(match Line::read(line).and_then(|line| line.version()) {
                    Some(found) if found > VERSION => Error::new(
                        ErrorKind::UnsupportedFormat { found, newest: VERSION },
                        format!("the audit file `{}` was written by a newer version", path.display()),
                    ),
                    _ => damaged(&path, "it does not begin as an audit file does"),
                });
            }
        }
        Ok(Self { path, options, state: Mutex::new(state) })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hash of the last line. Kept where nobody who can write the file can write, it shows that nothing up to here was
    /// taken out or written anew: give it to [`verify`](Self::verify).
    #[must_use]
    pub fn head(&self) -> AuditHash {
        self.state().head.hash
    }

    /// What went wrong first, since the file was opened, and how many records are missing. `None` if nothing did.
    ///
    /// After a failure it is tried again with every record. The first line that can be written then says how many records
    /// are missing before it.
    #[must_use]
    pub fn failure(&self) -> Option<AuditFailure> {
        self.state().failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for AuditFile {
    fn observe(&self, record: &AuditRecord) {
        self.state().append(record, self.options.sync);
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        let sync = self.options.sync;
        let mut state = self.state();
        if state.lost > 0 {
            // The last chance to say so in the file. Whoever wants to know asks `failure`.
            let _ = state.resume(sync);
        }
        // Closing alone does not do it while a process that was just forked still has the file.
        let _ = state.file.unlock();
    }
}

impl State {
    fn append(&mut self, record: &AuditRecord, sync: bool) {
        let written = self.resume(sync).and_then(|()| {
            let line = self.head.record(record);
            let (line, head) = line.ok_or_else(|| io::Error::other("a record is too long for a line"))?;
            self.write(&line, head)
        });
        let (lost, synced) = match written {
            Ok(()) => (0, if sync { self.file.sync_data() } else { Ok(()) }),
            Err(error) => (1, Err(error)),
        };
        self.lost += lost;
        if let Err(error) = synced {
            let failure =
                self.failure.get_or_insert_with(|| AuditFailure { reason: error.to_string(), lost_records: 0 });
            failure.lost_records += lost;
        }
    }

    /// Appends a line. After a failure nobody knows where the file ends.
    fn write(&mut self, line: &[u8], head: Head) -> io::Result<()> {
        self.is_whole = false;
        self.file.write_all(line)?;
        self.is_whole = true;
        self.head = head;
        Ok(())
    }

    /// After a failure, sees that the file ends with a whole line that says what is missing before it.
    fn resume(&mut self, sync: bool) -> io::Result<()> {
        if self.is_whole && self.lost == 0 {
            return Ok(());
        }
        let tail = read_tail(&self.file)?;
        if tail.head.next > self.head.next {
            // All of a line was written but its end.
            let (told, found) = tail.resumption.map_or((1, 1), |resumption| (resumption.lost_records, 0));
            self.lost = self.lost.saturating_sub(told);
            if let Some(failure) = &mut self.failure {
                failure.lost_records = failure.lost_records.saturating_sub(found);
            }
        } else if tail.head != self.head {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "somebody else has written to it"));
        }
        self.go_on(tail, sync)
    }

    /// Goes on behind the end of a file, with a line that says what is there and what is missing, if anything is.
    fn go_on(&mut self, tail: Tail, sync: bool) -> io::Result<()> {
        let Tail { head, resumption: _, torn } = tail;
        let mut written = Vec::new();
        let rest = match torn {
            Torn::Nothing => Vec::new(),
            Torn::End => {
                written.push(b'\n');
                Vec::new()
            }
            Torn::Rest(mut rest) => {
                if !rest.ends_with(b"\n") {
                    rest.push(b'\n');
                    written.push(b'\n');
                }
                rest
            }
        };
        let mut next = head;
        if !rest.is_empty() || self.lost > 0 {
            let torn_bytes = u64::try_from(rest.len()).unwrap_or(u64::MAX);
            let resumption = Resumption { torn_bytes, torn_hash: AuditHash::of(&rest), lost_records: self.lost };
            let (line, behind) = head.resumption(&resumption);
            written.extend(line);
            next = behind;
        }
        self.head = head;
        self.write(&written, next)?;
        self.lost = 0;
        if sync && !written.is_empty() { self.file.sync_data() } else { Ok(()) }
    }
}

/// The end of a file.
struct Tail {
    head: Head,
    /// What the last whole line says, if it is no record.
    resumption: Option<Resumption>,
    torn: Torn,
}

/// What is behind the last whole line.
enum Torn {
    Nothing,
    /// Only its end is missing.
    End,
    /// A part of another.
    Rest(Vec<u8>),
}

/// Finds the last whole line.
fn read_tail(file: &File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    for most in TAIL_BYTES {
        let begin = length.saturating_sub(most);
        let bytes = read_at(file, begin, usize::try_from(length - begin).unwrap_or(usize::MAX))?;
        match tail_of(&bytes, begin == 0) {
            Some(tail) => return tail,
            None if begin == 0 => break,
            None => {}
        }
    }
    Err(not_as_written())
}

fn not_as_written() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its end is not as it was written")
}

/// The last line that follows the one before it. `None` if it may be further up.
fn tail_of(bytes: &[u8], is_all: bool) -> Option<io::Result<Tail>> {
    // From the last one to the first, each with where it ends.
    let mut end = bytes.len();
    let mut rest = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut is_torn = false;
    loop {
        let begin = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = rest.get(begin..).unwrap_or_default();
        let is_whole_in_sight = is_all || begin > 0;
        if let Some(line) = Line::read(text).filter(|_| is_whole_in_sight) {
            let follows = match begin {
                0 => line.is_first(),
                _ => match line_before(bytes, begin) {
                    // It begins further up.
                    None if !is_all => return None,
                    before => before.is_some_and(|(hash, end)| {
                        line.follows(hash, line.sequence) && tells_of(&line, bytes.get(end..begin).unwrap_or_default())
                    }),
                },
            };
            if !follows {
                // Nothing but a hand makes a line that has the form and does not follow.
                return Some(Err(not_as_written()));
            }
            let head = Head { hash: line.hash, next: line.sequence.saturating_add(1) };
            let behind = bytes.get(end..).unwrap_or_default();
            let torn = match () {
                () if is_torn => Torn::Rest(behind.to_vec()),
                () if bytes.get(end.saturating_sub(1)) == Some(&b'\n') => Torn::Nothing,
                () => Torn::End,
            };
            return Some(Ok(Tail { head, resumption: line.resumption(), torn }));
        }
        if begin == 0 {
            return None;
        }
        is_torn = true;
        end = begin;
        rest = rest.get(..begin.saturating_sub(1)).unwrap_or_default();
    }
}

/// The hash of the last line before `begin` that has one, and where that line ends.
fn line_before(bytes: &[u8], begin: usize) -> Option<(AuditHash, usize)> {
    let mut end = begin;
    loop {
        let rest = bytes.get(..end.checked_sub(1)?)?;
        let start = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if let Some(hash) = rest.get(start..).and_then(hash_of) {
            return Some((hash, end));
        }
        end = start;
    }
}

/// Whether a line says what is between it and the line before it.
fn tells_of(line: &Line<'_>, between: &[u8]) -> bool {
    let tells = |told: Resumption| {
        usize::try_from(told.torn_bytes) == Ok(between.len()) && told.torn_hash == AuditHash::of(between)
    };
    between.is_empty() || line.resumption().is_some_and(tells)
}

fn read_at(file: &File, begin: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut file = file;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file for appending, or makes it, and takes its lock.
fn open_alone(path: &Path) -> Result<File> {
    let failed = |doing| storage(doing, path);
    match fs::symlink_metadata(path) {
        Ok(about) if !about.is_file() => {
            return Err(failed("open")(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => match files::create_private(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed("make")(error)),
            _ => {}
        },
        Err(error) => return Err(failed("open")(error)),
    }
    let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed("open"))?;
    if !is_at(&file, path).map_err(failed("open"))? {
        return Err(failed("open")(io::Error::other("it was replaced while it was being opened")));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(
                ErrorKind::AlreadyOpen,
                format!("the audit file `{}` is open elsewhere", path.display()),
            ));
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
    }
    files::set_private(path, false).map_err(failed("protect"))?;
    Ok(file)
}

/// Whether a path names a file that was opened by it, and no symbolic link to it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (open, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok(named.is_file() && (open.dev(), open.ino()) == (named.dev(), named.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.is_file())
}

/// A failure of the system on an audit file.
pub(super) fn storage(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        let text = format!("cannot {doing} the audit file `{}`: {error}", path.display());
        Error::new(ErrorKind::Storage, text).with_source(error)
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    let path = path.display();
    Error::corrupted(format!("the audit file `{path}` cannot be gone on with: {why}; verify it, and begin another one"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::Tenant;
    use crate::observe::parameters::Budget;
    use crate::observe::record::Subject;
    use crate::time::from_millis;
    use uuid::Uuid;

    fn record() -> AuditRecord {
        let tenant = Tenant::parse("000000000000", "us-east-1").unwrap();
        let subject = Subject { tenant: &tenant, at: from_millis(0), event_id: Uuid::nil(), caller: None };
        AuditRecord::of_event(&subject, "RotationStarted", Vec::new(), &Budget::new())
    }

    /// While `work` runs, nothing can be written.
    fn while_unwritable(audit: &AuditFile, work: impl FnOnce()) {
        let unwritable = File::open(&audit.path).unwrap();
        let writable = std::mem::replace(&mut audit.state().file, unwritable);
        work();
        audit.state().file = writable;
    }

    fn report(audit: &AuditFile) -> (u64, u64, u64) {
        let report = AuditFile::verify(&audit.path, Some(audit.head())).unwrap();
        assert_eq!(report.broken, None);
        (report.records, report.lost_records, report.torn_lines)
    }

    #[test]
    fn the_chain_says_how_many_records_are_missing() {
        let directory = tempfile::tempdir().unwrap();
        let audit = AuditFile::open(directory.path().join("a"), AuditFileOptions::new()).unwrap();
        audit.observe(&record());
        while_unwritable(&audit, || (0..3).for_each(|_| audit.observe(&record())));
        let failure = audit.failure().unwrap();
        assert_eq!(failure.lost_records, 3);
        assert_eq!(report(&audit), (1, 0, 0));
        audit.observe(&record());
        assert_eq!(report(&audit), (2, 3, 0));

        // A part of a line gets through, then nothing.
        while_unwritable(&audit, || {
            audit.observe(&record());
            OpenOptions::new().append(true).open(&audit.path).unwrap().write_all(b"{\"sequence\":4,\"ev").unwrap();
            audit.observe(&record());
        });
        audit.observe(&record());
        assert_eq!(report(&audit), (3, 5, 1));
        // The first reason stays.
        assert_eq!(audit.failure(), Some(AuditFailure { lost_records: 5, ..failure }));

        // The last chance is when it is dropped.
        let path = audit.path.clone();
        audit.state().lost = 2;
        drop(audit);
        let reopened = AuditFile::open(&path, AuditFileOptions::new()).unwrap();
        assert_eq!(report(&reopened), (3, 7, 1));
    }

    #[test]
    fn a_line_that_lacks_only_its_end_is_no_loss() {
        let directory = tempfile::tempdir().unwrap();
        let audit = AuditFile::open(directory.path().join("a"), AuditFileOptions::new()).unwrap();
        let (line, _) = audit.state().head.record(&record()).unwrap();
        while_unwritable(&audit, || {
            audit.observe(&record());
            let mut file = OpenOptions::new().append(true).open(&audit.path).unwrap();
            file.write_all(line.strip_suffix(b"\n").unwrap()).unwrap();
        });
        assert_eq!(audit.failure().unwrap().lost_records, 1);
        audit.observe(&record());
        assert_eq!(report(&audit), (2, 0, 0));
        assert_eq!(audit.failure().unwrap().lost_records, 0);
    }

    /// Somebody who writes into the file without its lock is not written over, and nothing is chained to it.
    #[test]
    fn what_somebody_else_has_written_is_not_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let audit = AuditFile::open(directory.path().join("a"), AuditFileOptions::new()).unwrap();
        let (line, _) = audit.state().head.record(&record()).unwrap();
        while_unwritable(&audit, || audit.observe(&record()));
        let mut changed = line.clone();
        changed.splice(20..21, *b"x");
        OpenOptions::new().append(true).open(&audit.path).unwrap().write_all(&changed).unwrap();
        audit.observe(&record());
        assert_eq!(audit.failure().unwrap().lost_records, 2);
        let broken = AuditFile::verify(&audit.path, None).unwrap().broken.unwrap();
        assert_eq!(broken.line, 2);
    }
}
