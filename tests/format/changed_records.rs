//! Stored records changed by somebody without keys: every byte, every length, every exchange of two. Each is reported by
//! whatever needs the record, with a typed error, and never answered with something else.

use strongroom::ErrorKind;

use crate::fixture::{Records, backend, builder, records};
use crate::victim::{A, B, Victim, store};

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
    for (name, key, noticed_by) in one_of_each(&victim) {
        for at in 0..victim.records[&key].len() {
            let mut changed = victim.records[&key].clone();
            changed[at] ^= 1 << (at % 8);
            victim.check(&format!("{name}, byte {at}"), &key, Some(&changed), noticed_by);
        }
    }
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
