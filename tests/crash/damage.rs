//! Damaged files of the storage engine.
//!
//! The engine repairs what it finds as it thinks right, may panic, and may end the process, so every try has a process
//! of its own.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use strongroom::{
    DescribeSecretRequest, ErrorKind, GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest,
    SecretStore, SecretValue,
};
use tempfile::TempDir;

use crate::child::{self, Running, builder, say, store_in};
use crate::history::{Chance, State, next_call, value_of};

const CALLS: u64 = 80;

/// Damaged copies of each store, unless `STRONGROOM_DAMAGES` says otherwise.
const TRIES: u64 = 24;

/// In the child: opens a damaged store and reads everything it can. Says what came of it, and `end` if it lived.
pub(crate) fn read(place: &Path) {
    match catch_unwind(AssertUnwindSafe(|| builder(place).open())) {
        Err(_) => say("panic\tin open"),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::Storage | ErrorKind::Corrupted => say("refused"),
            other => say(&format!("wrong kind\t{other:?}")),
        },
        Ok(Ok(store)) => {
            say("opened");
            match catch_unwind(AssertUnwindSafe(|| read_everything(&store))) {
                Err(_) => say("panic\twhile reading"),
                Ok(wrong) => wrong.iter().for_each(|wrong| say(&format!("wrong value\t{wrong}"))),
            }
            if catch_unwind(AssertUnwindSafe(|| drop(store.close()))).is_err() {
                say("panic\tin close");
            }
        }
    }
    say("end");
}

/// Versions that have another value than was stored. What cannot be read is no harm.
fn read_everything(store: &SecretStore) -> Vec<String> {
    let secrets = store.default_secrets_manager();
    let mut wrong = Vec::new();
    drop(secrets.list_secrets(ListSecretsRequest::new()));
    for name in names() {
        drop(secrets.describe_secret(DescribeSecretRequest::new(&name)));
        let versions = ListSecretVersionIdsRequest::new(&name).include_deprecated(true);
        let Ok(versions) = secrets.list_secret_version_ids(versions) else { continue };
        for version in versions.versions {
            let get = GetSecretValueRequest::new(&name).version_id(&version.version_id);
            let Ok(read) = secrets.get_secret_value(get) else { continue };
            let value = match (read.secret_string, read.secret_binary) {
                (Some(text), _) => SecretValue::from(text),
                (_, Some(bytes)) => SecretValue::from(bytes),
                (None, None) => SecretValue::from(""),
            };
            if value != value_of(&version.version_id) {
                wrong.push(version.version_id);
            }
        }
    }
    wrong
}

fn names() -> Vec<String> {
    (0..6).map(|index| format!("secret-{index}")).collect()
}

/// A place whose store has a history. It is closed, or, if not, left as a crash would leave it.
fn template(is_closed: bool) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    builder(place.path()).open().unwrap().close().unwrap();
    let store = builder(place.path()).open().unwrap();
    let secrets = store.default_secrets_manager();
    let (chance, mut state) = (Chance::new(5), State::default());
    for unique in 0..CALLS {
        let call = next_call(&chance, &state, &names(), &[10, 1_000, 20_000], unique);
        call.run(&secrets).unwrap();
        state.apply(&call);
    }
    if is_closed {
        store.close().unwrap();
        return place;
    }
    let crashed = tempfile::tempdir().unwrap();
    copy(place.path(), crashed.path());
    crashed
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Damages one file of the engine at a place that means something.
fn damage(file: &Path, chance: &Chance) -> String {
    let bytes = fs::read(file).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let at = chance.below(written);
    let open = || OpenOptions::new().write(true).open(file).unwrap();
    match chance.below(4) {
        0 => {
            File::set_len(&open(), at as u64).unwrap();
            format!("cut at {at} of {written}")
        }
        1 => {
            let at = at / 512 * 512;
            open().write_all_at(&[0; 512], at as u64).unwrap();
            format!("512 zeros at {at} of {written}")
        }
        _ => {
            open().write_all_at(&[bytes[at] ^ 1 << chance.below(8)], at as u64).unwrap();
            format!("a bit flipped at {at} of {written}")
        }
    }
}

/// Opens a damaged place in a child and gives what is worse than a refusal.
fn outcome(place: &Path, tally: &mut BTreeMap<String, usize>) -> Vec<String> {
    let reader = Running::start(child::command("read damaged", place, 0));
    let (said, _) = reader.finish();
    let what = said.first().cloned().unwrap_or_else(|| "the process ended".to_owned());
    *tally.entry(what).or_default() += 1;
    let is_bad = |line: &&String| !matches!(line.as_str(), "opened" | "refused" | "end");
    let mut bad: Vec<String> = said.iter().filter(is_bad).cloned().collect();
    if said.last().is_none_or(|last| last != "end") {
        bad.push("the process ended".to_owned());
    }
    bad
}

fn engine_files(place: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(store_in(place).join("sled")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Damage is reported or does no harm: no panic comes out of the library, and no value is another than was stored.
#[test]
fn damaged_engine_files_give_an_error_or_older_contents_and_never_a_panic_or_a_wrong_value() {
    let mut failures = Vec::new();
    let mut tally = BTreeMap::new();
    let tries = env::var("STRONGROOM_DAMAGES").map_or(TRIES, |text| text.parse().unwrap());
    for is_closed in [true, false] {
        let template = template(is_closed);
        for seed in 0..tries {
            let chance = Chance::new(seed);
            let place = tempfile::tempdir().unwrap();
            copy(template.path(), place.path());
            let files = engine_files(place.path());
            // Most of what can be damaged is in the log.
            let log = store_in(place.path()).join("sled/db");
            let file = if seed % 4 < 2 { &log } else { &files[chance.below(files.len())] };
            let what = damage(file, &chance);
            let bad = outcome(place.path(), &mut tally);
            if !bad.is_empty() {
                let file = file.file_name().unwrap().to_owned();
                failures.push(format!("closed: {is_closed}, seed {seed}, {file:?}: {what}: {bad:?}"));
            }
        }
    }
    eprintln!("damaged engine files: {tally:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tally.contains_key("refused"), "no damage was worth refusing: {tally:?}");
}

#[test]
fn engine_files_that_are_missing_give_an_error_and_never_an_empty_store() {
    let template = template(true);
    let mut failures = Vec::new();
    for index in 0..engine_files(template.path()).len() {
        let place = tempfile::tempdir().unwrap();
        copy(template.path(), place.path());
        let file = engine_files(place.path()).swap_remove(index);
        fs::remove_file(&file).unwrap();
        let bad = outcome(place.path(), &mut BTreeMap::new());
        if !bad.is_empty() {
            failures.push(format!("{}: {bad:?}", file.display()));
        }
        if let Ok(store) = builder(place.path()).open()
            && store.stats().unwrap().secrets == 0
        {
            failures.push(format!("{}: an empty store", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
