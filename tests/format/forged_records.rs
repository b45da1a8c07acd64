//! Records that are sealed correctly, by somebody with the keys or by a faulty version, and make no sense inside.

use strongroom::{CheckRecords, ErrorKind};

use crate::victim::{A, Victim, is_not_opened, open};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Found {
    Corrupted,
    Newer,
}

/// Replaces the plaintext of a record and asks everything: some question is answered with this error, none wrongly.
#[track_caller]
fn check(victim: &Victim, what: &str, key: &[u8], plain: &[u8], expected: Found) {
    let mut records = victim.records.clone();
    records.insert(key.to_vec(), victim.insider.replace(&victim.records, key, plain));
    if key != b"h" {
        is_not_opened(what, &records);
        // Whoever has the keys can make the head count the new record, too.
        records = victim.insider.with_right_head(records);
        assert!(open(&records, CheckRecords::Always).is_ok(), "{what}: the head is right");
    }
    let errors = victim.errors(what, &records, |_| true);
    assert!(!errors.is_empty(), "{what}: not noticed");
    for (question, error) in errors {
        let found = match error.kind() {
            ErrorKind::UnsupportedFormat { .. } => Found::Newer,
            _ => Found::Corrupted,
        };
        assert_eq!(found, expected, "{what}: {question}: {error:?}");
    }
}

/// One record of each type that has a version and a plaintext.
fn one_of_each(victim: &Victim) -> [(&'static str, Vec<u8>); 3] {
    [("secret", victim.secret(A, "one")), ("due", victim.family(b'd').remove(0)), ("head", b"h".to_vec())]
}

fn replaced(plain: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = plain.windows(from.len()).position(|window| window == from).unwrap();
    [&plain[..at], to, &plain[at + from.len()..]].concat()
}

#[test]
fn the_insider_can_seal_what_was_there() {
    let victim = Victim::new();
    for (name, key) in one_of_each(&victim) {
        let mut records = victim.records.clone();
        let plain = victim.insider.open(&victim.records, &key);
        records.insert(key.clone(), victim.insider.replace(&victim.records, &key, &plain));
        victim.check_all(name, &records, &[]);
        victim.check_all(name, &victim.insider.with_right_head(records), &[]);
    }
}

#[test]
fn a_record_of_a_newer_version_is_called_that() {
    let victim = Victim::new();
    for (name, key) in one_of_each(&victim) {
        let mut plain = victim.insider.open(&victim.records, &key);
        assert_eq!(plain[0], 1);
        for version in [2, 3, 255] {
            plain[0] = version;
            check(&victim, &format!("{name} of version {version}"), &key, &plain, Found::Newer);
        }
    }
}

#[test]
fn a_record_cut_anywhere_or_with_a_byte_left_over_is_corrupted() {
    let victim = Victim::new();
    for (name, key) in one_of_each(&victim) {
        let plain = victim.insider.open(&victim.records, &key);
        for length in 0..plain.len() {
            check(&victim, &format!("{name}, {length} bytes"), &key, &plain[..length], Found::Corrupted);
        }
        let longer = [plain.as_slice(), &[0]].concat();
        check(&victim, &format!("{name}, a byte more"), &key, &longer, Found::Corrupted);
    }
}

#[test]
fn a_secret_that_makes_no_sense_is_corrupted() {
    let victim = Victim::new();
    let key = victim.secret(A, "one");
    let plain = victim.insider.open(&victim.records, &key);
    // It ends with the labels: text and index of the version, for each.
    let end = plain.len() - 1;
    let index = |index: &[u8]| [&plain[..end], index].concat();
    let rows: [(&str, Vec<u8>); 11] = [
        ("a label on a version that is not there", index(&[2])),
        ("a label on the last version of all", index(&[252, 0xff, 0xff, 0xff, 0xff])),
        ("an index beyond 32 bits", index(&[253, 0, 0, 0, 1, 0, 0, 0, 0])),
        ("an unknown varint", index(&[254])),
        ("a text of 2^64 bytes", replaced(&plain, b"\x0c111122223333", &[[253].as_slice(), &[0xff; 8]].concat())),
        ("a text of 1 GiB", replaced(&plain, b"\x0c111122223333", b"\xfc\x40\0\0\0")),
        ("a text that is not UTF-8", replaced(&plain, b"\x03one", b"\x03o\xffe")),
        ("an account that is none", replaced(&plain, b"\x0c111122223333", b"\x0c11112222333x")),
        ("a Region that is none", replaced(&plain, b"\x0ceu-central-1", b"\x0ceu central-1")),
        ("a value that is neither text nor bytes", replaced(&plain, b"\x01\x00\x01\x00", b"\x01\x02\x01\x00")),
        ("a version under a key that is not there", replaced(&plain, b"\x01\x00\x01\x00", b"\x01\x00\x01\x07")),
    ];
    for (name, changed) in rows {
        check(&victim, name, &key, &changed, Found::Corrupted);
    }
}
