//! Checks an audit file from its first line to its last.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use ring::digest::{Context, SHA256};

use crate::error::Result;
use crate::files;
use crate::observe::chain::{AuditHash, Head, LINE_BYTES_MAX, Line};
use crate::observe::file::{AuditFile, storage};

/// What [`AuditFile::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Records up to the end, or up to the first line that is not as it was written.
    pub records: u64,
    /// Records that could not be written, as the file itself says.
    pub lost_records: u64,
    /// How often something of a line that was torn by a crash or a full disk stands between two lines.
    pub torn_lines: u64,
    /// The hash of the last line that is as it was written. `None` if there is none.
    pub head: Option<AuditHash>,
    /// The first line that is not as it was written.
    pub broken: Option<AuditBreak>,
}

impl AuditReport {
    /// Whether every line is as it was written, and the expected one is among them.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.broken.is_none()
    }
}

/// Where an audit file is broken, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditBreak {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub kind: AuditBreakKind,
}

/// What is wrong with a line of an audit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditBreakKind {
    /// The first line is not that of an audit file, or of one of another version.
    NotAnAuditFile,
    /// The line has its number, and its hash is another one: it was changed, or the one before it was and its hash with it.
    Changed,
    /// Lines before it are missing.
    Removed,
    /// The line belongs elsewhere: it stands twice, or lines were exchanged.
    Reordered,
    /// The line has not the form of one. It was put in, or changed beyond recognition.
    Foreign,
    /// The file ends within the line. A crash does that, and so does a writer who is at it just now;
    /// [`AuditFile::open`] goes on behind it.
    Torn,
    /// All lines fit, and none has the expected hash: the end is cut off, or all was written anew.
    HeadMissing,
}

impl AuditBreakKind {
    /// A word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAnAuditFile => "not-an-audit-file",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Foreign => "foreign",
            Self::Torn => "torn",
            Self::HeadMissing => "head-missing",
        }
    }
}

impl fmt::Display for AuditBreakKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnAuditFile => "the first line is not that of an audit file",
            Self::Changed => "the line, or the one before it, was changed",
            Self::Removed => "lines before it are missing",
            Self::Reordered => "the line belongs elsewhere",
            Self::Foreign => "it is no line of an audit file",
            Self::Torn => "the file ends within the line",
            Self::HeadMissing => "no line has the expected hash: the end is cut off, or everything was written anew",
        })
    }
}

impl AuditFile {
    /// Checks every line of an audit file, which may be open elsewhere. Takes time in proportion to the file, and memory for
    /// one line of at most 2 MiB.
    ///
    /// A line that was changed, removed, put in or moved breaks the chain there. What the chain alone cannot tell is that lines
    /// at the end were cut off, or that somebody wrote everything anew: for that, `expected_head` is the hash of a line that
    /// is known to have been there, from [`AuditFile::head`] or an earlier [`AuditReport::head`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage): it cannot be read. Whatever is in it is told in the report.
    pub fn verify(path: impl AsRef<Path>, expected_head: Option<AuditHash>) -> Result<AuditReport> {
        let path = path.as_ref();
        let file = files::open_given(path).map_err(storage("open", path))?;
        check(BufReader::new(file), expected_head).map_err(storage("read", path))
    }
}

/// What lies between two lines that follow each other.
struct Gap {
    line: u64,
    bytes: u64,
    hash: Context,
}

fn check(mut file: BufReader<File>, expected: Option<AuditHash>) -> io::Result<AuditReport> {
    let mut report = AuditReport { records: 0, lost_records: 0, torn_lines: 0, head: None, broken: None };
    let mut head: Option<Head> = None;
    let mut gap: Option<Gap> = None;
    let mut is_expected_seen = expected.is_none();
    let mut number = 0_u64;
    let mut text = Vec::new();
    let broken = loop {
        let mut hash = gap.as_ref().map_or_else(|| Context::new(&SHA256), |gap| gap.hash.clone());
        let Some(read) = read_line(&mut file, &mut text, &mut hash)? else {
            break gap.map(|gap| AuditBreak { line: gap.line, kind: AuditBreakKind::Foreign });
        };
        number = number.saturating_add(1);
        let line = Line::read(&text).filter(|_| !read.is_too_long);
        let Some(behind) = &mut head else {
            match line {
                Some(line) if line.is_first() && read.has_end => {
                    head = Some(Head { hash: line.hash, next: 1 });
                    report.head = Some(line.hash);
                    is_expected_seen |= expected == Some(line.hash);
                    continue;
                }
                _ => break Some(AuditBreak { line: number, kind: AuditBreakKind::NotAnAuditFile }),
            }
        };
        if !read.has_end {
            let line = gap.map_or(number, |gap| gap.line);
            break Some(AuditBreak { line, kind: AuditBreakKind::Torn });
        }
        match line {
            Some(line) if line.follows(behind.hash, behind.next) => {
                let resumption = line.resumption();
                if let Some(gap) = gap.take() {
                    let is_told = resumption.is_some_and(|told| {
                        told.torn_bytes == gap.bytes && told.torn_hash == AuditHash::finish(gap.hash)
                    });
                    if !is_told {
                        break Some(AuditBreak { line: gap.line, kind: AuditBreakKind::Foreign });
                    }
                    report.torn_lines = report.torn_lines.saturating_add(1);
                } else if resumption.is_some_and(|told| told.torn_bytes > 0) {
                    // What it tells of is gone.
                    break Some(AuditBreak { line: number, kind: AuditBreakKind::Removed });
                }
                match resumption {
                    Some(told) => report.lost_records = report.lost_records.saturating_add(told.lost_records),
                    None => report.records = report.records.saturating_add(1),
                }
                is_expected_seen |= expected == Some(line.hash);
                report.head = Some(line.hash);
                *behind = Head { hash: line.hash, next: behind.next.saturating_add(1) };
            }
            Some(line) => {
                let kind = match line.sequence.cmp(&behind.next) {
                    _ if gap.is_some() => AuditBreakKind::Foreign,
                    std::cmp::Ordering::Equal => AuditBreakKind::Changed,
                    std::cmp::Ordering::Less => AuditBreakKind::Reordered,
                    std::cmp::Ordering::Greater if is_further_on(&mut file, &mut text, behind.next)? => {
                        AuditBreakKind::Reordered
                    }
                    std::cmp::Ordering::Greater => AuditBreakKind::Removed,
                };
                break Some(AuditBreak { line: gap.map_or(number, |gap| gap.line), kind });
            }
            None => {
                let before = gap.take();
                let line = before.as_ref().map_or(number, |gap| gap.line);
                let bytes = before.map_or(0, |gap| gap.bytes).saturating_add(read.bytes);
                gap = Some(Gap { line, bytes, hash });
            }
        }
    };
    let missing = AuditBreak { line: number.saturating_add(1), kind: AuditBreakKind::HeadMissing };
    let nothing = AuditBreak { line: 1, kind: AuditBreakKind::NotAnAuditFile };
    let broken = broken.or_else(|| head.is_none().then_some(nothing));
    report.broken = broken.or_else(|| (!is_expected_seen).then_some(missing));
    Ok(report)
}

/// Whether a line of this number stands in the rest of the file.
fn is_further_on(file: &mut BufReader<File>, text: &mut Vec<u8>, sequence: u64) -> io::Result<bool> {
    while let Some(read) = read_line(file, text, &mut Context::new(&SHA256))? {
        if !read.is_too_long && Line::read(text).is_some_and(|line| line.sequence == sequence) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A line that was read.
struct Read {
    /// All of it, its end included.
    bytes: u64,
    has_end: bool,
    is_too_long: bool,
}

/// Reads a line into `text`, without its end and at most as much of it as a line may have, and hashes all of it. `None` at
/// the end of the file.
fn read_line(file: &mut BufReader<File>, text: &mut Vec<u8>, hash: &mut Context) -> io::Result<Option<Read>> {
    text.clear();
    let mut read = Read { bytes: 0, has_end: false, is_too_long: false };
    while !read.has_end {
        let found = match file.fill_buf() {
            Ok([]) => return Ok((read.bytes > 0).then_some(read)),
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = found.iter().position(|byte| *byte == b'\n');
        let taken = found.get(..end.map_or(found.len(), |end| end + 1)).unwrap_or_default();
        hash.update(taken);
        let content = taken.strip_suffix(b"\n").unwrap_or(taken);
        if text.len().saturating_add(content.len()) > LINE_BYTES_MAX {
            read.is_too_long = true;
        } else {
            text.extend_from_slice(content);
        }
        read.has_end = end.is_some();
        let taken = taken.len();
        read.bytes = read.bytes.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        file.consume(taken);
    }
    Ok(Some(read))
}
