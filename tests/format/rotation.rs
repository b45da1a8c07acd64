//! Changes of the root key by the engine itself, in stores that others wrote, and read again by others.

use std::fs;

use strongroom::testing::RecordingBackend;
use strongroom::{Backend, Batch, Durability};

use crate::fixture::{Dump, Hex, PROVIDER_KEY, Record, Records, builder, path, records};
use crate::generations::changing;
use crate::golden::{check, golden};
use crate::insider::{Insider, is_counted, mark_at};
use crate::script::run;

fn recording(records: &Records) -> RecordingBackend {
    let (backend, mut batch) = (RecordingBackend::new(), Batch::new());
    for (key, value) in records {
        batch.put(key.clone(), value.clone());
    }
    backend.commit(&batch, Durability::Immediate).unwrap();
    backend
}

/// The marks that the records of a store have.
fn marks(records: &Records) -> Vec<u8> {
    let mut marks: Vec<_> = records.keys().filter(|key| is_counted(key)).map(|key| key[mark_at(key)]).collect();
    marks.sort_unstable();
    marks.dedup();
    marks
}

/// Says what the script says of records, or `None` if it cannot be run here.
fn said(records: &Records, expected: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let dump = directory.path().join("dump.json");
    let records = records.iter().map(|(key, value)| Record { key: Hex(key.clone()), value: Hex(value.clone()) });
    let written = Dump { provider_key: Hex(PROVIDER_KEY.to_vec()), records: records.collect() };
    fs::write(&dump, serde_json::to_string(&written).unwrap()).unwrap();
    run(&["--verify-golden", dump.to_str().unwrap(), "--expected", path(expected).to_str().unwrap()])
        .map(Result::unwrap)
}

#[test]
fn the_golden_store_reads_as_it_was_written_after_every_change_of_its_root_key() {
    let (mut records_now, expected) = golden();
    for generation in 2..5 {
        let shared = recording(&records_now);
        let store = builder(shared.clone(), u64::from(generation)).open().unwrap();
        assert_eq!(store.rotate_root_key(&mut |_| {}).unwrap().generation, generation);
        store.close().unwrap();
        records_now = records(&shared);
        assert_eq!(u32::from(marks(&records_now)[0]), generation);
        assert_eq!(marks(&records_now).len(), 1, "nothing is left under the root key before");
        check(&records_now, &expected);
        let Some(said) = said(&records_now, "v1/expected.json") else { continue };
        assert!(said.ends_with(&format!("171 of generation {generation}\nas expected\n")), "{said}");
    }
}

#[test]
fn a_change_that_the_script_has_begun_is_finished_by_the_engine() {
    let (before, expected) = changing();
    let shared = recording(&before);
    let store = builder(shared.clone(), 7).open().unwrap();
    let report = store.rotate_root_key(&mut |_| {}).unwrap();
    assert_eq!((report.generation, report.secrets, report.was_resumed), (256, 17, true));
    store.close().unwrap();
    let after = records(&shared);
    assert_eq!(marks(&after), [0]);
    check(&after, &expected);
    let root = Insider::of(&before).root();
    assert_eq!(Insider::of(&after).root(), root, "it was gone on with, and not begun anew");
}

/// On a backend of the caller's, a crash leaves some of the commits, in order.
#[test]
fn a_crash_anywhere_in_a_change_leaves_a_store_that_opens_that_the_script_reads_and_that_can_be_finished() {
    let (before, expected) = golden();
    let shared = recording(&before);
    let store = builder(shared.clone(), 2).open().unwrap();
    let begun_at = shared.commits();
    store.rotate_root_key(&mut |_| {}).unwrap();
    let (mut of_both, mut read) = (0, 0);
    for commits in begun_at..=shared.commits() {
        let left = records(&shared.image(commits).unwrap());
        check(&left, &expected);
        let insider = Insider::of(&left);
        let generation = if commits == begun_at { 1 } else { 2 };
        assert_eq!(insider.generation(), generation, "{commits} commits");
        of_both += usize::from(insider.has_former());
        assert_eq!(insider.has_former(), commits > begun_at && commits < shared.commits(), "{commits} commits");
        if let Some(said) = said(&left, "v1/expected.json") {
            assert!(said.ends_with("\nas expected\n"), "{commits} commits: {said}");
            read += 1;
        }

        let again = recording(&left);
        let store = builder(again.clone(), 100 + commits as u64).open().unwrap();
        let report = store.rotate_root_key(&mut |_| {}).unwrap();
        assert_eq!(report.was_resumed, insider.has_former(), "{commits} commits");
        store.close().unwrap();
        let finished = records(&again);
        assert_eq!(marks(&finished).len(), 1, "{commits} commits");
        check(&finished, &expected);
    }
    assert!(of_both >= 4, "a header, records, and a head twice: {of_both}");
    eprintln!("crashes in a change of the root key: {} opened and finished, {read} read by the script", of_both + 2);
}
