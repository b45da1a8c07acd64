//! A store whose root key is being changed: records of two generations, each under its own keys and in its own places,
//! and what a crash leaves at each step.

use std::fs;

use strongroom::testing::format;
use strongroom::{
    CheckRecords, CreateSecretRequest, DeleteSecretRequest, Error, ErrorKind, GetSecretValueRequest,
    ListSecretsRequest, PutSecretValueRequest, RestoreSecretRequest, VerifyOptions,
};

use crate::anchor::{Place, name};
use crate::contents::{Contents, Secret, TENANTS};
use crate::fixture::{
    Dump, Hex, PROVIDER_KEY, Record, Records, backend, builder, create, in_directory, names, records,
};
use crate::golden::{as_listed, check, written};
use crate::insider::{Insider, is_counted, mark_at};
use crate::script::run;
use crate::victim::is_not_opened;

/// The root key of the generation that follows in stores in directories.
const NEXT: [u8; 32] = [9; 32];

/// A store in the middle: 255 is the generation before, 256 the newest, whose mark is 0.
pub(crate) fn changing() -> (Records, Contents) {
    written("v1/written_in_a_change.json")
}

const MAIN: [&str; 2] = ["111122223333", "eu-central-1"];

#[test]
fn a_store_in_the_middle_of_a_change_of_its_root_key_opens_and_reads() {
    let (records, expected) = changing();
    let marks = |family: u8| -> Vec<u8> {
        let of_family = records.keys().filter(|key| key[0] == family);
        of_family.map(|key| key[mark_at(key)]).collect()
    };
    for family in *b"svd" {
        assert!(marks(family).contains(&0) && marks(family).contains(&255), "{family} of both generations");
    }
    check(&records, &expected);
}

/// Also where what an interrupted operation remembers is among the records.
#[test]
fn a_store_in_the_middle_of_a_change_of_its_root_key_is_verified_as_sound() {
    let (records, _) = changing();
    assert!(records.keys().any(|key| key[0] == b'j'));
    let store = builder(backend(&records), 2).open().unwrap();
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.records, report.secrets), (116, 24));
}

/// Nothing was committed since the header was replaced.
#[test]
fn its_head_may_be_by_the_generation_before() {
    let (mut records, expected) = changing();
    let insider = Insider::of(&records);
    let (epoch, plain) = (*records[b"h".as_slice()].first_chunk().unwrap(), insider.open(&records, b"h"));
    let seal = |metadata| insider.seal_under(metadata, b"h", u64::from_be_bytes(epoch), &plain);
    let (before, other) = (seal(&insider.former_key("root/metadata")), seal(&[7; 32]));
    records.insert(b"h".to_vec(), before);
    check(&records, &expected);
    records.insert(b"h".to_vec(), other);
    is_not_opened("a head by a third key", &records);
}

fn mark_of_secret(records: &Records, insider: &Insider, name: &str) -> u8 {
    let former =
        format::secret_key(&insider.former_key("root/index"), insider.generation() - 1, MAIN[0], MAIN[1], name);
    let places = [insider.secret(MAIN, name), former.unwrap()];
    let found: Vec<_> = places.iter().filter(|place| records.contains_key(*place)).collect();
    assert_eq!(found.len(), 1, "{name} is there once");
    found[0][1]
}

/// A change leaves a secret under its generation; what is new, and every version that is written, is under the newest.
#[test]
fn a_store_in_the_middle_can_be_changed_and_read_by_the_script() {
    let (before, _) = changing();
    let insider = Insider::of(&before);
    let shared = backend(&before);
    let store = builder(shared.clone(), 2).open().unwrap();
    let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
    for name in ["plain", "bytes", "many"] {
        manager.put_secret_value(PutSecretValueRequest::new(name, format!("of {name}"))).unwrap();
    }
    manager.create_secret(CreateSecretRequest::new("new").secret_string("of new")).unwrap();
    for name in ["scheduled", "scheduled-too"] {
        manager.restore_secret(RestoreSecretRequest::new(name)).unwrap();
    }
    manager.delete_secret(DeleteSecretRequest::new("long-ago").recovery_window_in_days(9)).unwrap();
    manager.delete_secret(DeleteSecretRequest::new("new").recovery_window_in_days(9)).unwrap();
    let gone = DeleteSecretRequest::new("everything").force_delete_without_recovery(true);
    // A service manages it.
    manager.as_owning_service("rds").unwrap().delete_secret(gone).unwrap();
    store.close().unwrap();

    let after = records(&shared);
    assert_eq!(insider.tally(&after), insider.right_tally(&after), "the head counts the records of both generations");
    let rows = [("plain", 0), ("bytes", 255), ("many", 255), ("new", 0), ("scheduled", 255), ("long-ago", 255)];
    for (name, mark) in rows {
        assert_eq!(mark_of_secret(&after, &insider, name), mark, "{name}");
    }
    let is_new_version = |key: &&Vec<u8>| key[0] == b'v' && !before.contains_key(*key);
    let written: Vec<_> = after.keys().filter(is_new_version).map(|key| key[1]).collect();
    assert_eq!(written, [0; 4], "four versions, all under the newest");

    let contents = Contents::with_placeholders(&builder(backend(&after), 3).open().unwrap()).unwrap();
    for name in ["plain", "bytes", "many"] {
        let store = builder(backend(&after), 3).open().unwrap();
        let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
        let read = manager.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), format!("of {name}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let [dump, expected] = ["dump.json", "expected.json"].map(|name| directory.path().join(name));
    let listed = after.into_iter().map(|(key, value)| Record { key: Hex(key), value: Hex(value) }).collect();
    let records = Dump { provider_key: Hex(PROVIDER_KEY.to_vec()), records: listed };
    fs::write(&dump, serde_json::to_string(&records).unwrap()).unwrap();
    fs::write(&expected, serde_json::to_string(&contents).unwrap()).unwrap();
    let arguments = ["--verify-golden", dump.to_str().unwrap(), "--expected", expected.to_str().unwrap()];
    let Some(said) = run(&arguments) else { return };
    let said = said.unwrap();
    assert!(
        said.ends_with("\nas expected\n")
            && said.contains("5 purge")
            && said.contains("4 rotate")
            && said.contains("1 replicate")
            && said.contains("1 jobs"),
        "{said}"
    );
}

/// Opens records that a head counts, asks everything, and gives how many answers are errors. No answer is a wrong one,
/// but that a secret which is not where it belongs is not found.
#[track_caller]
fn errors(what: &str, records: &Records, expected: &Contents) -> usize {
    let store = builder(backend(records), 2).check_records(CheckRecords::Always).open();
    let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut errors = 0;
    let mut is_error = |error: Option<Error>, may_be_missing: bool| {
        if let Some(error) = error {
            let is_missing = may_be_missing && *error.kind() == ErrorKind::ResourceNotFound;
            assert!(is_missing || *error.kind() == ErrorKind::Corrupted, "{what}: {error:?}");
            errors += usize::from(!is_missing);
        }
    };
    is_error(store.maintain().err(), false);
    for (account, region) in TENANTS {
        let manager = store.secrets_manager(account, region).unwrap();
        let list = manager.list_secrets(ListSecretsRequest::new().include_planned_deletion(true));
        is_error(list.err(), false);
    }
    for secret in &expected.secrets {
        let manager = store.secrets_manager(&secret.account, &secret.region).unwrap();
        match Secret::of(&manager, &secret.name) {
            Ok(found) => assert_eq!(found, as_listed(secret), "{what}"),
            Err(error) => is_error(Some(error), true),
        }
    }
    errors
}

/// The mark says under which keys a record is, and is itself part of what its seal is bound to.
#[test]
fn no_record_can_be_given_the_mark_of_another_generation() {
    let (records, expected) = changing();
    let insider = Insider::of(&records);
    assert_eq!(errors("as it is", &records, &expected), 0);
    let (mut moved, mut doubled, mut noticed) = (0, 0, 0);
    for key in records.keys().filter(|key| is_counted(key)) {
        let shown = key.escape_ascii();
        let mut place = key.clone();
        let mark = &mut place[mark_at(key)];
        *mark = if *mark == 0 { 255 } else { 0 };
        let (mut there, mut both) = (records.clone(), records.clone());
        let value = there.remove(key).unwrap();
        both.insert(place.clone(), value.clone());
        there.insert(place, value);
        is_not_opened(&format!("{shown} under the other mark"), &there);
        is_not_opened(&format!("{shown} under both marks"), &both);
        moved += 1;
        doubled += 1;
        // Whoever has the keys can make the head count it, and is found out by what reads the record. Nothing reads a job.
        if key[0] != b'j' {
            let what = format!("{shown} under the other mark, and counted");
            assert!(errors(&what, &insider.with_right_head(there), &expected) > 0, "{what}: not noticed");
            noticed += 1;
        }
    }
    assert!(moved == 116 && doubled == 116 && noticed == 115);
    eprintln!("under another mark: {moved} moved and {doubled} doubled, not opened; {noticed} counted, noticed");
}

#[test]
fn records_of_a_third_generation_are_refused() {
    let (records, expected) = changing();
    let insider = Insider::of(&records);
    let newest = insider.generation();
    let own = insider.secret(MAIN, "plain");
    let (plain, revision) = (insider.open(&records, &own), u64::from_be_bytes(*records[&own].first_chunk().unwrap()));
    let other = |generation, purpose| format::derived_key(&[5; 32], insider.store, generation, purpose).unwrap();
    let by = |index: [u8; 32], metadata: [u8; 32], generation: u32| {
        let place = format::secret_key(&index, generation, MAIN[0], MAIN[1], "plain").unwrap();
        (place.clone(), insider.seal_under(&metadata, &place, revision, &plain))
    };
    let keys = |generation| (other(generation, "root/index"), other(generation, "root/metadata"));
    let of = |generation: u32| {
        let (index, metadata) = keys(generation);
        by(index, metadata, generation)
    };
    let (index, metadata) = (insider.key("root/index"), insider.key("root/metadata"));
    let (index_before, metadata_before) = (insider.former_key("root/index"), insider.former_key("root/metadata"));
    let rows = [
        ("the next generation", of(newest + 1)),
        ("the one before the one before", of(newest - 2)),
        ("256 generations later, which has the mark of the newest", of(newest + 256)),
        ("256 generations earlier, which has the mark of the newest", of(newest - 256)),
        ("the keys of the newest under a mark that nobody has", by(index, metadata, newest + 1)),
        ("the keys of the one before under a mark that nobody has", by(index_before, metadata_before, newest + 1)),
        ("the keys of the one before under the mark of the newest", by(index_before, metadata_before, newest)),
        ("the keys of the newest under the mark of the one before", by(index, metadata, newest - 1)),
        ("the place of the newest with the metadata key of the one before", by(index, metadata_before, newest)),
    ];
    for (name, (place, value)) in rows {
        let (mut beside, mut instead) = (records.clone(), records.clone());
        beside.insert(place.clone(), value.clone());
        instead.remove(&own);
        instead.insert(place, value);
        for (how, changed) in [("beside it", beside), ("in its stead", instead)] {
            let what = format!("{name}, {how}");
            is_not_opened(&what, &changed);
            assert!(errors(&what, &insider.with_right_head(changed), &expected) > 0, "{what}: not noticed");
        }
    }
}

/// What a kill leaves of a store after these commits. No seed may be used twice for one store.
fn killed_after(place: &Place, seed: u64, commits: std::ops::Range<usize>) -> Place {
    let store = in_directory(&place.path(), seed).open().unwrap();
    commits.for_each(|number| create(&store, &name(number)).unwrap());
    let killed = place.copy();
    store.close().unwrap();
    killed
}

/// A store in a directory, as a kill leaves it right after its header was replaced by that of the next generation.
fn just_begun(secrets: usize) -> Place {
    let killed = killed_after(&Place::empty(), 10, 0..secrets);
    let header = Insider::of_header(&fs::read(killed.path().join("store.hdr")).unwrap()).next_header(NEXT);
    fs::write(killed.path().join("store.hdr"), header).unwrap();
    killed
}

fn insider(place: &Place) -> Insider {
    Insider::of_header(&fs::read(place.path().join("store.hdr")).unwrap())
}

/// Which slots of the anchor are by the newest generation, and which by the one before.
fn slots(place: &Place, newest: &[u8; 32], former: &[u8; 32]) -> Vec<&'static str> {
    let anchor = fs::read(place.anchor()).unwrap();
    let is_by = |slot: &[u8], key: &[u8; 32]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        ring::hmac::verify(&key, &slot[..50], &slot[50..82]).is_ok()
    };
    let by = |slot: &[u8]| match (is_by(slot, newest), is_by(slot, former)) {
        (true, false) => "newest",
        (false, true) => "former",
        other => panic!("{other:?}"),
    };
    anchor.chunks(512).map(by).collect()
}

#[test]
fn a_store_that_was_killed_in_a_change_of_its_root_key_opens_at_every_step() {
    let begun = just_begun(3);
    let insider = insider(&begun);
    let keys = (insider.key("root/anchor"), insider.former_key("root/anchor"));
    assert_eq!(slots(&begun, &keys.0, &keys.1), ["former", "former"]);
    begun.copy().opens_with("right after the header was replaced", 3);

    let mut killed = begun;
    let mut by = Vec::new();
    for (seed, commits) in (11..).zip(3..6) {
        killed = killed_after(&killed, seed, commits..commits + 1);
        by.push(slots(&killed, &keys.0, &keys.1));
        killed.copy().opens_with(&format!("{commits} commits, and one more"), commits + 1);
    }
    // The opening itself may write a slot anew.
    assert!(by[0].contains(&"newest"), "{by:?}");
    assert_eq!(by[1..], [["newest"; 2]; 2], "two commits bring both over");

    // It was closed in the middle: the seal is by the newest.
    let closed = killed.copy();
    closed.go_on(20, 6..7);
    assert!(closed.seal().exists());
    closed.opens_with("closed in the middle", 7);
    let (directory, key) = (closed.path(), Hex(PROVIDER_KEY.to_vec()).to_string());
    let Some(said) = run(&["--verify-closed", directory.to_str().unwrap(), "--key", &key]) else { return };
    assert!(said.unwrap().contains("files as they were sealed"));
}

/// The last step: nothing is left under the generation before, and the header forgets its root key.
#[test]
fn a_store_opens_without_the_root_key_before_once_nothing_is_under_it_and_not_earlier() {
    let begun = just_begun(0);
    let begun_insider = insider(&begun);
    let finished = |place: &Place| {
        let place = place.copy();
        let header = begun_insider.header_of((begun_insider.generation(), NEXT), vec![]);
        fs::write(place.path().join("store.hdr"), header).unwrap();
        place
    };
    let refused = |what: &str, place: &Place| {
        let error = finished(place).open().map(drop).expect_err(what);
        assert_eq!(*error.kind(), ErrorKind::Corrupted, "{what}: {error}");
    };
    refused("no slot of the anchor is by the newest", &begun);
    let done = killed_after(&begun, 11, 0..2);
    finished(&done).opens_with("two commits later", 2);

    let too_early = killed_after(&just_begun(1), 11, 1..3);
    too_early.copy().opens_with("with the root key before", 3);
    let header = insider(&too_early).header_of((2, NEXT), vec![]);
    fs::write(too_early.path().join("store.hdr"), header).unwrap();
    let error = too_early.open().map(drop).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Corrupted, "a secret is left under it: {error}");
}

#[test]
fn a_backup_of_a_store_in_the_middle_is_restored_in_the_middle() {
    let place = just_begun(2);
    let directory = tempfile::tempdir().unwrap();
    let backup = directory.path().join("backup");
    let store = place.open().unwrap();
    create(&store, "third").unwrap();
    let expected = names(&store);
    store.backup(&backup, &mut |_| {}).unwrap();
    store.close().unwrap();
    let restored = directory.path().join("restored");
    let store = in_directory(&restored, 5).restore(&backup, &mut |_| {}).unwrap();
    assert_eq!(names(&store), expected);
    store.close().unwrap();
    let (was, is) = (fs::read(place.path().join("store.hdr")), fs::read(restored.join("store.hdr")));
    let [was, is] = [was, is].map(|header| Insider::of_header(&header.unwrap()));
    assert_eq!((was.root(), was.former_key("root/index")), (is.root(), is.former_key("root/index")));
    assert_ne!(was.instance, is.instance);
    let store = in_directory(&restored, 6).open().unwrap();
    assert_eq!(names(&store), expected);
}

/// Some of its records are under the root key before, and some under the newest.
#[test]
fn what_is_salvaged_of_a_store_in_the_middle_is_all_under_the_newest_root_key() {
    let killed = killed_after(&just_begun(2), 11, 2..4);
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved");
    let (store, report) = in_directory(&saved, 12).salvage(killed.path(), None, &mut |_| {}).unwrap();
    assert_eq!((report.secrets, report.findings), (4, vec![]));
    assert_eq!(names(&store), (0..4).map(name).collect::<Vec<_>>());
    store.close().unwrap();
    let [was, is] =
        [killed.path(), saved.clone()].map(|path| Insider::of_header(&fs::read(path.join("store.hdr")).unwrap()));
    assert_eq!((was.has_former(), is.has_former()), (true, false));
    assert_eq!((was.root(), was.generation()), (is.root(), is.generation()));
    let store = in_directory(&saved, 13).open().unwrap();
    assert_eq!(names(&store).len(), 4);
}
