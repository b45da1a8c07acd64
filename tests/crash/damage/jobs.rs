//! What is done with a damaged store, each in a process of its own, and what that process tells.

use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use strongroom::{Error, ErrorKind, FindingKind, SecretStore, VerifyOptions};

use crate::child::{self, say, store_in};
use crate::damage::contents::{Contents, What};
use crate::damage::templates::builder;

/// Lines of one kind that a child says. More of the same say nothing new.
const LINES_MAX: usize = 5;

/// Where a salvaged store is made.
pub(super) fn salvaged_in(place: &Path) -> PathBuf {
    place.join("salvaged")
}

fn name_of(error: &Error) -> String {
    let shown = format!("{:?}", error.kind());
    shown.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Says the outcome of something that may panic.
fn tell<T>(doing: &str, work: impl FnOnce() -> Result<T, Error>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            say(&format!("error\t{doing}\t{}\t{error}", name_of(&error)));
            None
        }
        Err(_) => {
            say(&format!("panic\t{doing}"));
            None
        }
    }
}

/// Reads everything, and says how it differs from what was stored.
fn tell_differences(store: &SecretStore, contents: &Contents) {
    let differences = match catch_unwind(AssertUnwindSafe(|| contents.differences(store))) {
        Ok(differences) => differences,
        Err(_) => return say("panic\tread"),
    };
    for (what, word) in [
        (What::Lost, "lost"),
        (What::BroughtBack, "brought back"),
        (What::Wrong, "wrong"),
        (What::Unreadable, "unreadable"),
    ] {
        let these: Vec<_> = differences.iter().filter(|difference| difference.what == what).collect();
        let names: BTreeSet<_> = these.iter().map(|difference| &difference.name).collect();
        if !names.is_empty() {
            say(&format!("count\t{word}\t{}", names.len()));
        }
        for difference in these.iter().take(LINES_MAX) {
            say(&format!("{word}\t{}\t{}", difference.name, difference.text));
        }
    }
}

fn tell_findings(store: &SecretStore) {
    let Some(report) = tell("verify", || store.verify(VerifyOptions::new(), &mut |_| {})) else { return };
    for finding in report.findings.iter().take(LINES_MAX) {
        say(&format!("finding\t{finding}"));
    }
    if report.closed_values > 0 {
        say(&format!("finding\t{}: {} values stayed closed", FindingKind::Version, report.closed_values));
    }
}

/// In the child: opens a damaged store, reads everything, verifies it, closes it, and does so once more.
pub(crate) fn read(place: &Path, secrets: usize) {
    let contents = Contents::of(secrets);
    let Some(store) = tell("open", || builder(&store_in(place), 7).open()) else { return say("end") };
    say("opened");
    // First, and as a client would: what was stored must be found.
    if store.stats().is_ok_and(|stats| stats.secrets == 0) {
        say("empty");
    }
    tell_differences(&store, &contents);
    tell_findings(&store);
    if tell("close", || store.close()).is_some()
        && let Some(store) = tell("open again", || builder(&store_in(place), 7).open())
    {
        tell_findings(&store);
        tell("close again", || store.close());
    }
    say("end");
}

/// In the child: salvages a damaged store and looks at what came of it.
pub(crate) fn salvage(place: &Path, secrets: usize) {
    let contents = Contents::of(secrets);
    let reader = child::command("read engine", place, 0);
    let made = || builder(&salvaged_in(place), 7).salvage(store_in(place), Some(reader), &mut |_| {});
    let Some((store, report)) = tell("salvage", made) else { return say("end") };
    say(&format!("salvaged\t{}\t{}", report.is_whole, report.secrets));
    for finding in report.findings.iter().take(LINES_MAX) {
        say(&format!("missing\t{finding}"));
    }
    tell_findings(&store);
    tell_differences(&store, &contents);
    tell("close", || store.close());
    say("end");
}

/// In the child: the engine's part of a salvage. The two paths are the last arguments.
pub(crate) fn read_engine() {
    let mut arguments = env::args_os().rev();
    let (out, directory) = (arguments.next().unwrap(), arguments.next().unwrap());
    drop(SecretStore::read_engine_files(directory, out));
}

/// Whether an error may be the answer to damage of a file.
pub(super) fn is_expected(kind: &str, is_header_hit: bool) -> bool {
    match kind {
        "Corrupted" | "LostCommits" | "Storage" | "NotAStore" | "UnsupportedFormat" => true,
        "WrongKey" => is_header_hit,
        _ => false,
    }
}

/// Kinds whose names are compared in [`is_expected`], so that a renamed one is noticed.
#[test]
fn the_errors_that_damage_may_give_are_still_called_so() {
    let lost = ErrorKind::LostCommits { have: 1, expected: 2 };
    let newer = ErrorKind::UnsupportedFormat { found: 2, newest: 1 };
    for kind in [ErrorKind::Corrupted, lost, ErrorKind::Storage, ErrorKind::NotAStore, newer] {
        let shown = format!("{kind:?}");
        assert!(is_expected(shown.split(' ').next().unwrap(), false), "{shown}");
    }
}
