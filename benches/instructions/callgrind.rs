//! Counting by valgrind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use crate::CASE;
use crate::cases::Case;

/// Repetitions of the two runs of a case. The first of them are not counted, so that nothing in them is new.
const FEW: usize = 10;
const MANY: usize = 60;

/// Part of the names of the functions that hash, in every variant for every processor.
const SHA256: &str = "sha256_block_data_order";

/// Instructions of something.
#[derive(Debug, Clone, Copy, Default)]
struct Instructions {
    /// In the functions that hash.
    sha256: u64,
    others: u64,
}

/// Looks whether valgrind is there. What to do if it is not.
pub(crate) fn require() -> Result<(), String> {
    let asked = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match asked {
        Ok(status) if status.success() => Ok(()),
        _ => Err("Instructions are counted by valgrind, and there is no `valgrind` on the PATH. \
                  On Debian: apt-get install valgrind"
            .to_owned()),
    }
}

/// Instructions of one repetition of each case, one line for those that hash and one for all others. Cases run side by
/// side: a count does not depend on the time it takes.
pub(crate) fn count(cases: &[&Case]) -> Vec<(String, u64)> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(place) else { return };
                    let (few, many) = (instructions(case, FEW), instructions(case, MANY));
                    let each = |few: u64, many: u64| many.saturating_sub(few) / (MANY - FEW) as u64;
                    let others = (case.name.to_owned(), each(few.others, many.others));
                    let sha256 = (format!("{},sha256", case.name), each(few.sha256, many.sha256));
                    counted.lock().expect("nobody panicked").push((place, [others, sha256]));
                }
            });
        }
    });
    let mut counted = counted.into_inner().expect("nobody panicked");
    counted.sort_by_key(|(place, _)| *place);
    let lines = counted.into_iter().flat_map(|(_, lines)| lines);
    lines.filter(|(_, count)| *count > 0).collect()
}

/// Instructions of a whole process that does a case so many times.
fn instructions(case: &Case, times: usize) -> Instructions {
    let this = env::current_exe().expect("this program has a path");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let profile = directory.path().join("profile");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
    valgrind.arg(this).args([CASE, case.name, &times.to_string()]);
    let output = valgrind.output().expect("valgrind was there a moment ago");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} failed under valgrind:\n{said}", case.name);
    read(&profile)
}

/// Adds up a profile, in which `fn=` begins a function and lines of a position and a count are its own instructions. Lines
/// after `calls=` are those of the function that is called, which come again with it.
fn read(profile: &Path) -> Instructions {
    let text = fs::read_to_string(profile).expect("valgrind wrote a profile");
    let mut sum = Instructions::default();
    let (mut is_sha256, mut is_of_callee) = (false, false);
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            is_sha256 = function.contains(SHA256);
        } else if line.starts_with(|first: char| first.is_ascii_digit()) && !is_of_callee {
            let count = line.split_once(' ').and_then(|(_, count)| count.parse::<u64>().ok());
            let sum = if is_sha256 { &mut sum.sha256 } else { &mut sum.others };
            *sum += count.expect("a position and a count");
        }
        is_of_callee = line.starts_with("calls=");
    }
    sum
}
