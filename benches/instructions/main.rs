//! How many instructions a call takes, beside the counts that the repository keeps.
//!
//! ```text
//! cargo bench --bench instructions                 shows all cases beside the baseline
//! cargo bench --bench instructions -- list         those with `list` in their name
//! cargo bench --bench instructions -- --check      fails if one of them takes over 5 % more
//! cargo bench --bench instructions -- --save       writes `benches/instructions/baseline.txt`
//! ```
//!
//! The program starts itself under valgrind, which has to be installed, with one case and two numbers of repetitions: the
//! difference has no set-up in it. That is all that is needed of a framework, and so there is no runner to be installed in
//! the same version, and the baseline is text that is reviewed together with what changed it.
//!
//! Counts follow the compiler and the C library, not the machine: the store is in memory, clock and random bytes are always
//! the same, one thread works, and valgrind shows every program the same processor. It has no SHA instructions,
//! so hashing would be three quarters of everything; it has lines of its own, beside which the rest can be seen.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

mod callgrind;
mod cases;
#[path = "../floor/store.rs"]
#[expect(dead_code, reason = "a store in memory is enough")]
mod store;

use std::process::{Command, ExitCode};
use std::{env, fs};

use measure::{Counts, Run};

use crate::cases::{CASES, Case};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.txt");

/// How a child is asked for a case: its name and the number of repetitions follow.
const CASE: &str = "--case";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, times] = arguments.as_slice()
        && flag == CASE
    {
        let case = CASES.iter().find(|case| case.name == name).expect("there is such a case");
        (case.work)(times.parse().expect("it is a number"));
        return ExitCode::SUCCESS;
    }
    let mut run = Run::begin();
    if !run.is_measured() {
        CASES.iter().for_each(|case| (case.work)(1));
        return ExitCode::SUCCESS;
    }
    let asked = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (is_check, is_save) = (asked("--check"), asked("--save"));
    if let Err(fault) = callgrind::require() {
        eprintln!("{fault}");
        return if is_check || is_save { ExitCode::from(2) } else { ExitCode::SUCCESS };
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).filter(|_| !is_save);
    let is_chosen = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    let chosen: Vec<&Case> = CASES.iter().filter(|case| is_chosen(case.name)).collect();
    let (compiler, target) = compiler();
    let counts = Counts { compiler, target, cases: callgrind::count(&chosen) };
    run.counts(&counts, "instructions");
    run.finish();

    let baseline = fs::read_to_string(BASELINE).unwrap_or_default().parse::<Counts>();
    if is_save {
        if let Ok(baseline) = &baseline {
            eprint!("{}", counts.compare(baseline));
        }
        let head = "# Instructions of one call each. Written by `cargo bench --bench instructions -- --save`.\n";
        fs::write(BASELINE, format!("{head}{counts}")).expect("the baseline is written");
        eprintln!("{BASELINE} is written.");
        return ExitCode::SUCCESS;
    }
    let mut baseline = match baseline {
        Ok(baseline) => baseline,
        Err(fault) => {
            eprintln!("{counts}\nThere is nothing to compare with. {BASELINE}: {fault}");
            return if is_check { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    baseline.cases.retain(|(name, _)| is_chosen(name));
    let comparison = counts.compare(&baseline);
    eprint!("{comparison}");
    eprintln!("{}", comparison.conclusion());
    if !is_check || comparison.is_passed() {
        return ExitCode::SUCCESS;
    }
    eprintln!("If it has to be so, `cargo bench --bench instructions -- --save` makes these counts the baseline.");
    ExitCode::FAILURE
}

/// The version of the compiler, and what it compiles for.
fn compiler() -> (String, String) {
    let output = Command::new("rustc").arg("-vV").output().expect("the compiler tells its version");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = |label: &str| said.lines().find_map(|line| line.strip_prefix(label)).unwrap_or("unknown").to_owned();
    (word("release: "), word("host: "))
}
