//! Damaged stores in real files.
//!
//! The engine repairs what it finds as it thinks right, may panic, and may end the process, so every try has a process
//! of its own. Whatever is done to whichever file, the store that opens is the whole store, or it does not open and says
//! why.

mod contents;
mod inflict;
mod jobs;
mod templates;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ring::digest::{SHA256, digest};

use crate::child::{self, Running, store_in};
use crate::damage::contents::Contents;
use crate::damage::inflict::{Damage, Done, choose, inflict};
use crate::damage::jobs::{is_expected, salvaged_in};
use crate::damage::templates::{End, Template};
use crate::history::Chance;

pub(crate) use crate::damage::jobs::{read, read_engine, salvage};

/// Secrets of the small stores, and of the large ones, which only long runs damage: every so many tries.
const SMALL: usize = 300;
const LARGE: usize = 5_000;
const LARGE_EVERY: u64 = 5;

/// Tries at random places, unless `STRONGROOM_DAMAGES` says otherwise.
const TRIES: u64 = 18;

/// Of what was refused, every so many stores are salvaged: in short runs, and in long ones.
const SALVAGED_OF_SHORT: usize = 3;
const SALVAGED_OF_LONG: usize = 5;

/// Of the tries that do something to a whole file, a short run takes one in so many.
const WHOLE_FILE_TRIES_OF_SHORT: usize = 11;

const AT_ONCE: usize = 2;

/// Whoever is not done by then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const PATIENCE_WITH_HUGE: Duration = Duration::from_secs(20);

/// Longer files are not read, only measured.
const READ_BYTES_MAX: u64 = 1 << 30;

/// One store to be damaged.
struct Try<'a> {
    template: &'a Template,
    seed: u64,
    /// The file is chosen by the seed, unless it is given.
    file: Option<PathBuf>,
    damage: Damage,
}

#[derive(Default)]
struct Tally {
    tries: usize,
    /// By what was done and what came of it.
    outcomes: BTreeMap<(String, String), usize>,
    salvaged: usize,
    salvaged_whole: usize,
    salvage_refused: usize,
    /// The most secrets that one salvage lost, by what was done.
    most_lost: BTreeMap<String, usize>,
    /// Stores that were not closed, of which the engine had changed the files before they were refused.
    changed_by_refusal: usize,
    failures: Vec<String>,
}

impl Tally {
    fn count(&mut self, damage: Damage, outcome: &str) {
        *self.outcomes.entry((format!("{damage:?}"), outcome.to_owned())).or_default() += 1;
    }

    fn of(&self, outcome: &str) -> usize {
        self.outcomes.iter().filter(|((_, found), _)| found == outcome).map(|(_, count)| count).sum()
    }

    fn summary(&self) -> String {
        let Self { tries, salvaged, salvaged_whole, salvage_refused, most_lost, changed_by_refusal, .. } = self;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for ((damage, _), count) in &self.outcomes {
            *kinds.entry(damage).or_default() += count;
        }
        let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
        for ((_, outcome), count) in &self.outcomes {
            if let Some(kind) = outcome.strip_prefix("refused: ") {
                *refused.entry(kind).or_default() += count;
            }
        }
        let bad: Vec<String> = BAD.iter().map(|outcome| format!("{} {outcome}", self.of(outcome))).collect();
        format!(
            "damage: {tries} tries {kinds:?}: {} whole, {refused:?} refused ({changed_by_refusal} after the engine had \
             changed the files), {}; {salvaged} salvaged, {salvaged_whole} of \
             them whole, {salvage_refused} not salvageable, most secrets lost: {most_lost:?}",
            self.of("whole"),
            bad.join(", ")
        )
    }
}

/// Outcomes that must not be, in the words of the summary.
const BAD: [&str; 9] = [
    "silent losses",
    "wrong values",
    "empty stores",
    "brought back",
    "panics",
    "aborts",
    "hangs",
    "errors after opening",
    "changes of sealed files",
];

/// Everything in a directory: what it is and what is in it, but for files that are far too long.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut snapshot = BTreeMap::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let what = if about.is_dir() {
            rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else if about.is_file() && about.len() < READ_BYTES_MAX {
            format!("{} bytes, {:?}", about.len(), digest(&SHA256, &fs::read(&path).unwrap()))
        } else {
            format!("{:?}, {} bytes", about.file_type(), about.len())
        };
        snapshot.insert(path, what);
    }
    snapshot
}

fn fields(line: &str) -> Vec<&str> {
    line.split('\t').collect()
}

/// What a reader of a damaged store said, in one of the words of [`BAD`], or `whole`, or `refused: ` and the error.
fn outcome(said: &[String], done: &Done) -> String {
    let has = |word: &str| said.iter().any(|line| fields(line)[0] == word);
    let error = |when: &str| said.iter().map(|line| fields(line)).find(|line| line[0] == "error" && line[1] == when);
    let tolerated = |line: &str| {
        done.is_of("store.hdr") && line.starts_with("finding\theader-copy")
            || done.is_of("store.anchor") && line.starts_with("finding\tanchor-slot")
    };
    let bad = if has("wrong") {
        "wrong values"
    } else if has("empty") {
        "empty stores"
    } else if has("lost") {
        "silent losses"
    } else if has("brought back") {
        "brought back"
    } else if has("panic") {
        "panics"
    } else if said.last().is_none_or(|last| last != "end") {
        "aborts"
    } else if let Some(refused) = error("open") {
        return if is_expected(refused[2], done.is_of("store.hdr")) {
            format!("refused: {}", refused[2])
        } else {
            format!("refused with {}", refused[2])
        };
    } else if has("error") || has("unreadable") {
        "errors after opening"
    } else if said.iter().any(|line| line.starts_with("finding") && !tolerated(line)) {
        "silent losses"
    } else {
        "whole"
    };
    bad.to_owned()
}

/// Damages a store, reads it in a child, and salvages it if it is refused and `is_salvaged` says so.
fn try_one(one: &Try<'_>, is_salvaged: &dyn Fn(usize) -> bool, tally: &Mutex<Tally>) {
    let Try { template, seed, damage, .. } = one;
    let chance = Chance::new(*seed);
    let place = template.copied();
    let store = store_in(place.path());
    let files = template.files();
    let file = one.file.as_deref().unwrap_or_else(|| choose(&files, &chance));
    let done = inflict(template, &store, file, *damage, &chance);
    let is_sealed = fs::symlink_metadata(store.join("store.seal")).is_ok();
    let before = snapshot(&store);

    let reader = Running::start(child::command("read damaged", place.path(), template.secrets as u64));
    let said = reader.finish_within(if *damage == Damage::Huge { PATIENCE_WITH_HUGE } else { PATIENCE });
    let mut outcome = match &said {
        None => "hangs".to_owned(),
        Some(said) => outcome(said, &done),
    };
    let is_refused = outcome.starts_with("refused: ");
    let after = snapshot(&store);
    if is_refused && is_sealed && after != before {
        outcome = "changes of sealed files".to_owned();
    }
    let refusals = {
        let mut tally = tally.lock().unwrap();
        tally.tries += 1;
        tally.count(done.damage, &outcome);
        tally.changed_by_refusal += usize::from(is_refused && !is_sealed && after != before);
        if outcome != "whole" && !is_refused {
            let text =
                format!("{} secrets, {:?}, seed {seed}: {done}: {outcome}: {said:#?}", template.secrets, template.end);
            tally.failures.push(text);
        }
        tally.outcomes.iter().filter(|((_, found), _)| found.starts_with("refused")).map(|(_, count)| count).sum()
    };
    // A copy of a file that long would fill the disk.
    if !is_refused || *damage == Damage::Huge || !is_salvaged(refusals) {
        return;
    }
    salvage_one(template, *seed, place.path(), &done, "after it was refused", tally);
    if !is_sealed {
        // The engine was let in before: what would have come of it otherwise?
        let place = template.copied();
        let chance = Chance::new(*seed);
        if one.file.is_none() {
            choose(&files, &chance);
        }
        let done = inflict(template, &store_in(place.path()), &done.file, *damage, &chance);
        salvage_one(template, *seed, place.path(), &done, "untouched", tally);
    }
}

/// Salvages what was refused.
///
/// One flipped bit is in one record of the log at most, and every other record still authenticates on its own, so at most
/// one secret may be missing, older, back again or without one of its values. How many records a cut or a longer
/// stretch of zeros takes along depends on where it is, so of those only the honesty of the report is asked.
fn salvage_one(template: &Template, seed: u64, place: &Path, done: &Done, when: &str, tally: &Mutex<Tally>) {
    let title = format!("salvage {when} of {} secrets, {:?}, seed {seed}: {done}", template.secrets, template.end);
    let store = store_in(place);
    let before = snapshot(&store);
    let worker = Running::start(child::command("salvage", place, template.secrets as u64));
    let said = worker.finish_within(PATIENCE);
    let mut faults: Vec<&str> = Vec::new();
    if snapshot(&store) != before {
        faults.push("the damaged store was changed");
    }
    let Some(said) = said else {
        return tally.lock().unwrap().failures.push(format!("{title}: hangs"));
    };
    let lines = || said.iter().map(|line| fields(line));
    let has = |word: &str| lines().any(|line| line[0] == word);
    let count = |word: &str| {
        lines().find(|line| line[0] == "count" && line[1] == word).map_or(0, |line| line[2].parse().unwrap())
    };
    let lost: usize = count("lost") + count("unreadable") + count("brought back");
    let is_whole = lines().any(|line| line[0] == "salvaged" && line[1] == "true");
    let refused = lines().find(|line| line[0] == "error" && line[1] == "salvage").map(|line| line[2].to_owned());
    if let Some(kind) = &refused {
        // Without a header nothing can be opened, and without its lock nobody knows whether the store is in use.
        let is_vital = done.is_of("store.hdr") || done.is_of("LOCK");
        // Where there is no log there is nothing to salvage.
        let is_log_gone = done.is_of("sled/db")
            && matches!(done.damage, Damage::Delete | Damage::Directory | Damage::Pipe | Damage::Link);
        let is_allowed = (is_vital || is_log_gone) && is_expected(kind, done.is_of("store.hdr"));
        if !is_allowed {
            faults.push("was refused");
        }
    } else if !has("salvaged") {
        faults.push("gave nothing");
    }
    for (word, fault) in
        [("panic", "a panic"), ("wrong", "a value that was never stored"), ("finding", "the new store does not verify")]
    {
        if has(word) {
            faults.push(fault);
        }
    }
    if said.last().is_none_or(|last| last != "end") {
        faults.push("the process ended");
    }
    if lines().any(|line| line[0] == "error" && line[1] != "salvage") {
        faults.push("an error with the new store");
    }
    if is_whole && lost > 0 {
        faults.push("the report says that nothing is missing");
    }
    if refused.is_none() && !is_whole && !has("missing") {
        faults.push("the report does not say what is missing");
    }
    let allowed = match done.damage {
        Damage::Flip if done.is_of_the_engine() => 1,
        _ if !done.is_of_the_engine() => 0,
        _ => usize::MAX,
    };
    if lost > allowed {
        faults.push("more was lost than was hit");
    }
    let mut tally = tally.lock().unwrap();
    if refused.is_some() {
        tally.salvage_refused += 1;
    } else {
        tally.salvaged += 1;
        tally.salvaged_whole += usize::from(is_whole);
        let most = tally.most_lost.entry(format!("{:?} {when}", done.damage)).or_default();
        *most = lost.max(*most);
    }
    if !faults.is_empty() {
        tally.failures.push(format!("{title}: {faults:?}: {said:#?}"));
    }
}

/// Tries at random places: flipped bits and cuts, two to one, and now and then a sector.
fn random_tries<'a>(templates: &'a [Template], large: &'a [Template], tries: u64) -> Vec<Try<'a>> {
    let plan = |seed: u64| {
        let templates = if seed.is_multiple_of(LARGE_EVERY) && !large.is_empty() { large } else { templates };
        let turn = usize::try_from(seed / 3).unwrap();
        // Half of the stores were closed.
        let template = [&templates[0], &templates[1], &templates[0], &templates[2]][turn % 4];
        let damage = if seed % 3 == 2 { Damage::Cut } else { Damage::Flip };
        Try { template, seed, file: None, damage }
    };
    let sectors = (0..tries / 9).map(move |seed| {
        let turn = usize::try_from(seed).unwrap();
        let damage = [Damage::Zeros(512), Damage::Zeros(4096)][turn / 3 % 2];
        Try { template: &templates[turn % 3], seed: 1_000_000 + seed, file: None, damage }
    });
    (0..tries).map(plan).chain(sectors).collect()
}

/// Everything that can be done to a whole file, for every file, and what puts other files in the place of the store's.
fn whole_file_tries(templates: &[Template]) -> Vec<Try<'_>> {
    let mut tries = Vec::new();
    for template in templates {
        let seed = 2_000_000;
        for file in template.files() {
            for damage in Damage::WHOLE_FILE {
                tries.push(Try { template, seed, file: Some(file.clone()), damage });
            }
        }
        for (file, damage) in [
            ("sled/db", Damage::Older),
            ("sled/db", Damage::Foreign),
            ("store.hdr", Damage::ForeignFile),
            ("store.hdr", Damage::MixedHeader),
            ("store.anchor", Damage::ForeignFile),
            ("store.seal", Damage::ForeignFile),
        ] {
            tries.push(Try { template, seed, file: Some(file.into()), damage });
        }
        tries.push(Try { template, seed: seed + 1, file: Some("store.hdr".into()), damage: Damage::MixedHeader });
    }
    tries
}

#[test]
fn whatever_happens_to_its_files_a_store_is_whole_or_is_refused_and_can_be_salvaged() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let long = number("STRONGROOM_DAMAGES");
    let templates = |secrets| End::ALL.map(|end| Template::new(secrets, end));
    let small = templates(SMALL);
    let large: Vec<_> = if long.is_some() { templates(LARGE).into() } else { vec![] };
    let mut tries = random_tries(&small, &large, long.unwrap_or(TRIES));
    let whole_file = whole_file_tries(&small);
    let every = if long.is_some() { 1 } else { WHOLE_FILE_TRIES_OF_SHORT };
    tries.extend(whole_file.into_iter().step_by(every));
    if let Some(seed) = number("STRONGROOM_SEED") {
        tries.retain(|one| one.seed == seed);
    }

    let tally = Mutex::new(Tally::default());
    let next = AtomicUsize::new(0);
    let salvaged_of = if long.is_some() { SALVAGED_OF_LONG } else { SALVAGED_OF_SHORT };
    thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some(one) = tries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(one, &|refusals| refusals.is_multiple_of(salvaged_of), &tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    eprintln!("{}", tally.summary());
    assert!(tally.failures.is_empty(), "{} failures\n{}", tally.failures.len(), tally.failures.join("\n"));
    assert!(tally.of("whole") > 0, "no damage was harmless");
    assert!(tally.outcomes.keys().any(|(_, outcome)| outcome.starts_with("refused")), "no damage was noticed");
    assert!(tally.salvaged > 0, "nothing was salvaged");
}

/// The model of what is stored is right: of a store that nobody damaged, everything is there, also after a crash, and a
/// salvage of it says that it is whole.
#[test]
fn what_is_not_damaged_is_whole_and_so_is_what_is_salvaged_of_it() {
    for end in End::ALL {
        let template = Template::new(SMALL, end);
        let place = template.copied();
        assert_eq!(Contents::of(SMALL).secrets(), SMALL - SMALL.div_ceil(11));
        let worker = Running::start(child::command("salvage", place.path(), SMALL as u64));
        let said = worker.finish_within(PATIENCE).unwrap();
        assert_eq!(said, [&format!("salvaged\ttrue\t{}", Contents::of(SMALL).secrets()), "end"], "{end:?}");
        assert!(salvaged_in(place.path()).join("store.seal").exists());
        let reader = Running::start(child::command("read damaged", place.path(), SMALL as u64));
        assert_eq!(reader.finish_within(PATIENCE).unwrap(), ["opened", "end"], "{end:?}");
    }
}
