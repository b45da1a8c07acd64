//! Stored records changed by somebody without keys: every byte, every length, every exchange of two. Opening counts the
//! records and refuses each; and where they are not counted, each is reported by whatever needs the record, with a typed
//! error, and never answered with something else.

use strongroom::{
    Backend as _, Batch, CheckRecords, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Durability,
    ErrorKind, GetSecretValueRequest, PutSecretValueRequest,
};
use strongroom::{RestoreSecretRequest, TagResourceRequest};

use crate::fixture::{Records, backend, builder, records};
use crate::insider::{Insider, is_counted};
use crate::victim::{A, B, Victim, is_not_opened, open, store};

const ONE: &str = "one of 111122223333";
const LIST: &str = "list of 111122223333";
const LIST_B: &str = "list of 444455556666";

/// A name, where a record is put, where it is taken from, and the questions that notice it.
type Copied<'a> = (&'a str, &'a [u8], &'a [u8], &'a [&'a str]);

/// One record of each sealed type: its name, its key, and the questions that need it.
fn one_of_each(victim: &Victim) -> [(&'static str, Vec<u8>, &'static [&'static str]); 4] {
    [
        ("secret", victim.secret(A, "one"), &[LIST, LIST_B, ONE]),
        ("version", victim.value_of_one(), &[ONE]),
        ("due", victim.family(b'd').remove(0), &["maintenance"]),
        ("head", b"h".to_vec(), &["open"]),
    ]
}

#[test]
fn every_changed_byte_of_a_record_is_reported() {
    let victim = Victim::new();
    let mut counts = Vec::new();
    for (name, key, noticed_by) in one_of_each(&victim) {
        for at in 0..victim.records[&key].len() {
            let mut changed = victim.records[&key].clone();
            changed[at] ^= 1 << (at % 8);
            victim.check(&format!("{name}, byte {at}"), &key, Some(&changed), noticed_by);
        }
        counts.push(format!("{} bytes of a {name}", victim.records[&key].len()));
    }
    eprintln!("changed and refused, by opening and by reading: {}: all of them", counts.join(", "));
}

#[test]
fn every_other_length_of_a_record_is_reported() {
    let victim = Victim::new();
    for (name, key, noticed_by) in one_of_each(&victim) {
        let record = &victim.records[&key];
        for length in 0..record.len() {
            victim.check(&format!("{name}, {length} bytes"), &key, Some(&record[..length]), noticed_by);
        }
        for more in [1, 16, 32, 4096] {
            let longer = [record.as_slice(), &vec![0; more]].concat();
            victim.check(&format!("{name}, {more} bytes more"), &key, Some(&longer), noticed_by);
        }
        victim.check(&format!("{name}, zeros"), &key, Some(&vec![0; record.len()]), noticed_by);
    }
}

#[test]
fn any_two_records_exchanged_are_reported() {
    let victim = Victim::new();
    let keys: Vec<_> = victim.records.keys().collect();
    assert_eq!(keys.len(), 15, "2 single records, 5 secrets, 6 versions, 2 due entries");
    for (i, one) in keys.iter().enumerate() {
        for other in &keys[i + 1..] {
            let mut records = victim.records.clone();
            records.insert(one.to_vec(), victim.records[*other].clone());
            records.insert(other.to_vec(), victim.records[*one].clone());
            let what = format!("{} and {}", one.escape_ascii(), other.escape_ascii());
            assert!(!victim.errors(&what, &records, |_| true).is_empty(), "{what}: not noticed");
            assert!(open(&records, CheckRecords::UnlessSealed).is_err(), "{what}: opened");
            assert!(open(&records, CheckRecords::Always).is_err(), "{what}: opened");
        }
    }
}

#[test]
fn any_record_copied_over_another_is_reported() {
    let victim = Victim::new();
    for (to, old) in &victim.records {
        for (from, new) in victim.records.iter().filter(|(from, new)| *from != to && *new != old) {
            let mut records = victim.records.clone();
            records.insert(to.clone(), new.clone());
            let what = format!("{} over {}", from.escape_ascii(), to.escape_ascii());
            assert!(!victim.errors(&what, &records, |_| true).is_empty(), "{what}: not noticed");
            assert!(open(&records, CheckRecords::UnlessSealed).is_err(), "{what}: opened");
            assert!(open(&records, CheckRecords::Always).is_err(), "{what}: opened");
        }
    }
}

#[test]
fn a_record_of_another_tenant_is_reported() {
    let victim = Victim::new();
    let (a, b) = (victim.secret(A, "one"), victim.secret(B, "one"));
    let rows: [Copied<'_>; 2] = [
        ("the secret of B for that of A", &a, &b, &[LIST, LIST_B, ONE]),
        ("the secret of A for that of B", &b, &a, &[LIST, LIST_B, "one of 444455556666"]),
    ];
    for (name, to, from, noticed_by) in rows {
        victim.check(name, to, Some(&victim.records[from]), noticed_by);
    }
}

/// Two stores under the same key of the provider: nothing of the one is of use in the other.
#[test]
fn a_record_of_another_store_is_reported() {
    let victim = Victim::new();
    let other = store(77);
    let first = |records: &Records, family: u8| records.keys().find(|key| key[0] == family).unwrap().clone();
    for (name, key, noticed_by) in one_of_each(&victim) {
        let foreign = &other[&first(&other, key[0])];
        victim.check(&format!("{name} of another store"), &key, Some(foreign), noticed_by);
    }
    victim.check("header of another store", b"m", Some(&other[b"m".as_slice()]), &["open"]);
}

/// A record under a key at which the store has none.
#[test]
fn a_record_in_a_place_of_its_own_is_reported_by_what_reads_the_whole_family() {
    let victim = Victim::new();
    let secret = victim.secret(A, "one");
    let due = victim.family(b'd').remove(0);
    let mut sooner = due.clone();
    sooner[8] ^= 1;
    let rows: [Copied<'_>; 4] = [
        ("a secret twice", &[secret.as_slice(), &[0]].concat(), &secret, &[LIST, LIST_B]),
        ("a due entry at another time", &sooner, &due, &["maintenance"]),
        ("a secret among the due entries", &sooner, &secret, &["maintenance"]),
        ("a due entry without a time", b"d", &due, &["maintenance"]),
    ];
    for (name, to, from, noticed_by) in rows {
        victim.check(name, to, Some(&victim.records[from]), noticed_by);
    }
}

#[test]
fn a_missing_record_is_reported() {
    let victim = Victim::new();
    let rows: [(&str, Vec<u8>, &[&str]); 2] =
        [("version", victim.value_of_one(), &[ONE]), ("head", b"h".to_vec(), &["open"])];
    for (name, key, noticed_by) in rows {
        victim.check(&format!("no {name}"), &key, None, noticed_by);
    }
}

/// A store that lost its header is damaged, not new: nothing is made in its place, and nothing of it is written over.
#[test]
fn records_without_a_header_are_not_taken_for_an_empty_place() {
    let victim = Victim::new();
    let mut left = victim.records.clone();
    left.remove(b"m".as_slice());
    let shared = backend(&left);
    let opened = builder(shared.clone(), 2).open().map(drop).map_err(|error| error.kind().clone());
    assert!(matches!(opened, Err(ErrorKind::NotAStore | ErrorKind::Corrupted)), "{opened:?}");
    assert_eq!(records(&shared), left);
}

/// The part of a version's record that no seal covers: how many wrapped data keys there are, and how long.
#[test]
fn other_counts_and_lengths_around_wrapped_data_keys_are_reported() {
    let victim = Victim::new();
    let key = victim.value_of_one();
    let record = &victim.records[&key];
    assert_eq!(record[0], 1, "one wrapped data key");
    let length = usize::try_from(u32::from_be_bytes(record[1..5].try_into().unwrap())).unwrap();
    let (wrap, value) = (&record[1..5 + length], &record[5 + length..]);
    let rows: [(&str, Vec<u8>); 6] = [
        ("no wrapped data key", [&[0], value].concat()),
        ("a count of none before one", [&[0], wrap, value].concat()),
        ("a count of two before one", [&[2], wrap, value].concat()),
        ("the same one twice", [&[2], wrap, wrap, value].concat()),
        ("a length beyond everything", [&[1, 0xff, 0xff, 0xff, 0xff], &wrap[4..], value].concat()),
        ("255 of them", [&[255], wrap.repeat(255).as_slice(), value].concat()),
    ];
    for (name, changed) in rows {
        victim.check(name, &key, Some(&changed), &[ONE]);
    }
}

/// A story that changes, adds and removes records of every family: what was stored after each of its steps.
fn history() -> Vec<Records> {
    let shared = backend(&Records::new());
    let store = builder(shared.clone(), 5).open().unwrap();
    let manager = store.secrets_manager(A[0], A[1]).unwrap();
    let mut steps = vec![records(&shared)];
    let mut step = || steps.push(records(&shared));
    for name in ["one", "two", "three"] {
        manager.create_secret(CreateSecretRequest::new(name).secret_string(name)).unwrap();
        step();
    }
    manager.put_secret_value(PutSecretValueRequest::new("one", "again")).unwrap();
    step();
    manager.tag_resource(TagResourceRequest::new("two", [strongroom::Tag::new("k", "v")])).unwrap();
    step();
    for days in [7, 8] {
        manager.delete_secret(DeleteSecretRequest::new("two").recovery_window_in_days(days)).unwrap();
        step();
        manager.restore_secret(RestoreSecretRequest::new("two")).unwrap();
        step();
    }
    manager.delete_secret(DeleteSecretRequest::new("one").recovery_window_in_days(30)).unwrap();
    step();
    manager.delete_secret(DeleteSecretRequest::new("three").force_delete_without_recovery(true)).unwrap();
    step();
    store.close().unwrap();
    steps
}

/// The head at every step is that of all records of the step: so what is refused below is refused for what it is.
#[test]
fn the_head_counts_the_records_after_every_step() {
    let steps = history();
    for (number, step) in steps.iter().enumerate() {
        let insider = Insider::of(step);
        assert_eq!(insider.tally(step), insider.right_tally(step), "step {number}");
        assert!(open(step, CheckRecords::Always).is_ok(), "step {number}");
    }
    assert_eq!(Insider::of(&steps[0]).tally(&steps[0]), (0, [0; 32]), "an empty store");
}

/// What authenticates by itself, and was right once. No single read can tell.
#[test]
fn no_store_opens_with_a_record_that_was_removed_reverted_doubled_exchanged_or_brought_back() {
    let steps = history();
    let (newest, older) = steps.split_last().unwrap();
    let [mut removed, mut reverted, mut brought_back, mut doubled, mut exchanged] = [0; 5];

    for key in newest.keys().filter(|key| is_counted(key)) {
        let mut records = newest.clone();
        records.remove(key);
        is_not_opened(&format!("without {}", key.escape_ascii()), &records);
        removed += 1;
    }

    for (number, step) in older.iter().enumerate() {
        for (key, old) in step.iter().filter(|(key, old)| newest.get(*key) != Some(old)) {
            let mut records = newest.clone();
            let replaced = records.insert(key.clone(), old.clone());
            is_not_opened(&format!("{} of step {number}", key.escape_ascii()), &records);
            if replaced.is_some() { reverted += 1 } else { brought_back += 1 }
        }
        // The newest head with everything else from before, and the other way round.
        for (head, rest) in [(newest, step), (step, newest)] {
            let mut records = rest.clone();
            records.insert(b"h".to_vec(), head[b"h".as_slice()].clone());
            is_not_opened(&format!("heads exchanged with step {number}"), &records);
        }
    }

    let counted: Vec<_> = newest.iter().filter(|(key, _)| is_counted(key)).collect();
    for (key, value) in &counted {
        let mut beside = key.to_vec();
        *beside.last_mut().unwrap() ^= 1;
        let longer = [key.as_slice(), &[0]].concat();
        let of_others = counted.iter().filter(|(other, _)| other[0] == key[0] && other != key);
        for place in [beside, longer].into_iter().chain(of_others.map(|(other, _)| other.to_vec())) {
            let mut records = newest.clone();
            records.insert(place.clone(), value.to_vec());
            is_not_opened(&format!("{} at {} too", key.escape_ascii(), place.escape_ascii()), &records);
            doubled += 1;
        }
    }

    for (i, (one, value)) in counted.iter().enumerate() {
        for (other, other_value) in &counted[i + 1..] {
            let mut records = newest.clone();
            records.insert(one.to_vec(), other_value.to_vec());
            records.insert(other.to_vec(), value.to_vec());
            is_not_opened(&format!("{} and {}", one.escape_ascii(), other.escape_ascii()), &records);
            exchanged += 1;
        }
    }
    assert!(removed >= 6 && reverted >= 10 && brought_back >= 6 && doubled >= 20 && exchanged >= 15);
    eprintln!(
        "not opened: {removed} removed, {reverted} reverted, {brought_back} brought back, {doubled} doubled, {exchanged} \
         exchanged: all of them"
    );
}

/// Everything from before is a whole store: only a number that somebody remembers elsewhere tells.
#[test]
fn a_whole_older_store_opens_unless_a_newer_commit_is_expected() {
    let steps = history();
    let newest = u64::try_from(steps.len() - 1).unwrap();
    for (have, step) in (0..newest).zip(&steps) {
        let store = builder(backend(step), 2).open().unwrap();
        assert_eq!(store.stats().unwrap().epoch, have);
        let opened = builder(backend(step), 2).open_expecting(newest).open().map(drop);
        assert_eq!(*opened.unwrap_err().kind(), ErrorKind::LostCommits { have, expected: newest });
    }
}

#[test]
fn a_record_that_changes_under_an_open_store_is_reported_however_often_it_was_read() {
    let victim = Victim::new();
    let memory = backend(&victim.records);
    let store = builder(memory.clone(), 1).open().unwrap();
    let secrets = store.secrets_manager(A[0], A[1]).unwrap();
    let read = || secrets.get_secret_value(GetSecretValueRequest::new("one")).map(|read| read.secret_string);
    let describe = || secrets.describe_secret(DescribeSecretRequest::new("one"));
    let put = |record: &[u8]| {
        let mut batch = Batch::new();
        batch.put(victim.secret(A, "one"), record.to_vec());
        memory.commit(&batch, Durability::Immediate).unwrap();
    };
    // The day of the read is noted with the first one.
    let value = read().unwrap();
    let record = memory.get(&victim.secret(A, "one")).unwrap().unwrap().as_ref().to_vec();
    for at in 0..record.len() {
        // Often enough for whatever is kept of it.
        (0..20).for_each(|_| assert_eq!(read().unwrap(), value, "byte {at}"));
        let mut changed = record.clone();
        changed[at] ^= 1 << (at % 8);
        put(&changed);
        for error in [read().unwrap_err(), describe().unwrap_err()] {
            let is_reported = matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. });
            assert!(is_reported, "byte {at}: {error:?}");
        }
        put(&record);
    }
    assert_eq!(read().unwrap(), value);
}
