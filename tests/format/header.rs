//! Headers that hostile or careless hands changed, with and without the keys to authenticate them.

use ring::digest::{SHA256, digest};
use ring::hmac;
use strongroom::ErrorKind;
use strongroom::testing::{SeededEntropy, format};

use crate::fixture::{backend, builder};
use crate::insider::header_body;
use crate::victim::Victim;

/// A header with this body, and a checksum that fits. Authenticated if `key` is given.
fn header(body: &[u8], key: Option<&[u8; 32]>) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.unwrap_or(&[0; 32])), body);
    let mut copy = [&length, body, digest(&SHA256, body).as_ref(), mac.as_ref()].concat();
    copy.resize(copy.len().next_multiple_of(4096), 0);
    copy.repeat(2)
}

fn victim_header(victim: &Victim) -> &[u8] {
    &victim.records[b"m".as_slice()]
}

/// Bytes of a copy that are not filler.
fn used(victim: &Victim) -> usize {
    4 + header_body(victim_header(victim)).len() + 64
}

fn open(victim: &Victim, header: &[u8]) -> Result<(), ErrorKind> {
    let mut records = victim.records.clone();
    records.insert(b"m".to_vec(), header.to_vec());
    builder(backend(&records), 2).open().map(drop).map_err(|error| error.kind().clone())
}

#[track_caller]
fn is_refused(victim: &Victim, what: &str, header: &[u8]) {
    let opened = open(victim, header);
    assert!(matches!(opened, Err(ErrorKind::Corrupted | ErrorKind::NotAStore)), "{what}: {opened:?}");
}

#[test]
fn every_byte_changed_in_both_copies_is_refused() {
    let victim = Victim::new();
    for at in 0..used(&victim) {
        let mut changed = victim_header(&victim).to_vec();
        changed[at] ^= 1 << (at % 8);
        changed[4096 + at] ^= 1 << (at % 8);
        is_refused(&victim, &format!("byte {at}"), &changed);
    }
}

#[test]
fn every_byte_changed_in_the_second_copy_does_no_harm() {
    let victim = Victim::new();
    for at in 4096..4096 + used(&victim) {
        let mut changed = victim_header(&victim).to_vec();
        changed[at] ^= 1 << (at % 8);
        assert_eq!(open(&victim, &changed), Ok(()), "byte {at}");
    }
}

/// The second copy is there for this.
#[test]
fn every_byte_changed_in_the_first_copy_is_made_good_by_the_second() {
    let victim = Victim::new();
    let mac = used(&victim) - 32;
    for at in 0..mac {
        let mut changed = victim_header(&victim).to_vec();
        changed[at] ^= 1 << (at % 8);
        assert_eq!(open(&victim, &changed), Ok(()), "byte {at}");
    }
}

/// The checksum does not cover the code behind it, so the second copy need not be tried; nothing else may happen.
#[test]
fn every_byte_changed_in_the_code_of_the_first_copy_is_refused_or_made_good() {
    let victim = Victim::new();
    for at in used(&victim) - 32..used(&victim) {
        let mut changed = victim_header(&victim).to_vec();
        changed[at] ^= 1 << (at % 8);
        let opened = open(&victim, &changed);
        assert!(matches!(opened, Ok(()) | Err(ErrorKind::Corrupted)), "byte {at}: {opened:?}");
    }
}

#[test]
fn a_header_opens_as_long_as_one_copy_is_whole() {
    let victim = Victim::new();
    let whole = victim_header(&victim);
    let zeros = [0; 4096];
    let rows: [(&str, Vec<u8>); 6] = [
        ("as it was written", whole.to_vec()),
        ("the first copy is gone", [&zeros, &whole[4096..]].concat()),
        ("the second copy is gone", [&whole[..4096], &zeros].concat()),
        ("the first copy only", whole[..4096].to_vec()),
        ("the end of the second is cut", whole[..8000].to_vec()),
        ("a filler of other bytes", {
            let mut changed = whole.to_vec();
            changed[used(&victim)..4096].fill(0xff);
            changed[4096 + used(&victim)..].fill(0xff);
            changed
        }),
    ];
    for (name, header) in rows {
        assert_eq!(open(&victim, &header), Ok(()), "{name}");
    }
}

#[test]
fn every_length_without_a_whole_copy_is_refused() {
    let victim = Victim::new();
    for length in 0..used(&victim) {
        is_refused(&victim, &format!("{length} bytes"), &victim_header(&victim)[..length]);
    }
    for length in (used(&victim)..8192).step_by(97) {
        assert_eq!(open(&victim, &victim_header(&victim)[..length]), Ok(()), "{length} bytes");
    }
}

#[test]
fn newer_formats_suites_and_flags_are_named() {
    let victim = Victim::new();
    let key = victim.insider.key("root/header");
    let body = header_body(victim_header(&victim));
    let newer = |found, newest| Err(ErrorKind::UnsupportedFormat { found, newest });
    // Bytes 8 to 15 are format, min reader, suite and flags. The store of the tests has flag 1.
    let rows: [(&str, usize, u16, Result<(), ErrorKind>); 9] = [
        ("a newer format that this version may read", 8, 2, Ok(())),
        ("a newer min reader", 10, 2, newer(2, 1)),
        ("the newest min reader", 10, 0xffff, newer(0xffff, 1)),
        ("suite 0", 12, 0, newer(0, 1)),
        ("suite 2", 12, 2, newer(2, 1)),
        ("suite 257", 12, 257, newer(257, 1)),
        ("flag 2", 14, 3, newer(3, 1)),
        ("flag 2 alone", 14, 2, newer(2, 1)),
        ("the last flag", 14, 0x8001, newer(0x8001, 1)),
    ];
    for (name, at, number, expected) in rows {
        let mut changed = body.to_vec();
        changed[at..at + 2].copy_from_slice(&number.to_be_bytes());
        assert_eq!(open(&victim, &header(&changed, Some(&key))), expected, "{name}");
    }
}

/// The checksum is no secret: anybody can make it fit.
#[test]
fn a_header_that_somebody_edited_and_summed_anew_is_refused() {
    let victim = Victim::new();
    let body = header_body(victim_header(&victim));
    assert_eq!(open(&victim, &header(body, Some(&victim.insider.key("root/header")))), Ok(()), "the control");
    is_refused(&victim, "the code of another key", &header(body, Some(&[7; 32])));
    is_refused(&victim, "no code", &header(body, None));
    for at in 0..body.len() {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        let opened = open(&victim, &header(&changed, None)).unwrap_err();
        let is_typed = matches!(
            opened,
            ErrorKind::Corrupted | ErrorKind::NotAStore | ErrorKind::UnsupportedFormat { .. } | ErrorKind::WrongKey(_)
        );
        assert!(is_typed, "byte {at}: {opened:?}");
    }
}

/// Such headers were written by nobody; a reader that trusts their numbers would read past their end.
#[test]
fn an_authentic_header_that_makes_no_sense_is_refused() {
    let victim = Victim::new();
    let key = victim.insider.key("root/header");
    let body = header_body(victim_header(&victim));
    // Magic, four numbers, store id, generation; then the instance id as a field, the wraps, and no root key before.
    let (start, instance, count, rest) = (&body[..36], &body[36..56], &body[56..58], &body[58..]);
    let (wraps, former) = rest.split_at(rest.len() - 4);
    assert_eq!((wraps[0], former), (0, [0; 4].as_slice()), "the role of the wrap, and an empty field");
    let role = |role: u8| [start, instance, count, &[role], &wraps[1..], former].concat();
    let rows: [(&str, Vec<u8>); 16] = [
        ("nothing after the magic", b"STRONGRM".to_vec()),
        ("no generation", start[..32].to_vec()),
        ("no wraps", [start, instance, &[0, 0], former].concat()),
        ("fewer wraps than counted", [start, instance, &[0, 2], wraps, former].concat()),
        ("more wraps than counted", [start, instance, count, wraps, wraps, former].concat()),
        ("65 wraps", [start, instance, &[0, 65], &wraps.repeat(65), former].concat()),
        ("65535 wraps", [start, instance, &[0xff, 0xff], wraps, former].concat()),
        ("a wrap of an unknown role", role(2)),
        ("a wrap of the last role of all", role(255)),
        ("no field for the root key before", [start, instance, count, wraps].concat()),
        ("a root key before that is longer than the rest", [start, instance, count, wraps, &[0, 0, 0, 1]].concat()),
        ("a byte left over", [body, &[0]].concat()),
        ("the last byte missing", body[..body.len() - 1].to_vec()),
        ("no instance id", [start, &[0, 0, 0, 0], count, rest].concat()),
        ("an instance id of 15 bytes", [start, &[0, 0, 0, 15], &instance[5..], count, rest].concat()),
        ("an instance id of 17 bytes", [start, &[0, 0, 0, 17, 7], &instance[4..], count, rest].concat()),
    ];
    for (name, changed) in rows {
        is_refused(&victim, name, &header(&changed, Some(&key)));
    }
    let mut long = victim_header(&victim).to_vec();
    for copy in [0, 4096] {
        long[copy..copy + 4].fill(0xff);
    }
    is_refused(&victim, "a body of 4 GiB", &long);
}

/// The key that opens a store need not be the first, nor one that is no recipient.
#[test]
fn a_store_opens_with_any_wrap_of_its_root_key() {
    let victim = Victim::new();
    let key = victim.insider.key("root/header");
    let body = header_body(victim_header(&victim));
    let (start, rest) = (&body[..56], &body[58..]);
    let (wrap, former) = rest.split_at(rest.len() - 4);
    let lost = |role: u8| {
        let fields = [&[0; 4], [0, 0, 0, 1, b'p'].as_slice(), &[0, 0, 0, 1, b'a'], &[0; 4], &[0, 0, 0, 1, 7]];
        [&[role], fields.concat().as_slice()].concat()
    };
    let as_recovery = [&[1], &wrap[1..]].concat();
    let rows: [(&str, u8, Vec<u8>); 5] = [
        ("the only one is a recipient's", 1, as_recovery.clone()),
        ("after one that nobody opens", 2, [lost(0), wrap.to_vec()].concat()),
        ("after a recipient's that nobody opens", 2, [lost(1), wrap.to_vec()].concat()),
        ("a recipient's, after the key that is lost", 2, [lost(0), as_recovery].concat()),
        ("64 wraps", 64, [lost(0).repeat(63), wrap.to_vec()].concat()),
    ];
    for (name, count, wraps) in rows {
        let changed = [start, &[0, count], &wraps, former].concat();
        assert_eq!(open(&victim, &header(&changed, Some(&key))), Ok(()), "{name}");
    }
    let nobody = header(&[start, &[0, 1], &lost(0), former].concat(), Some(&key));
    assert!(matches!(open(&victim, &nobody), Err(ErrorKind::WrongKey(_))), "no wrap opens");
}

/// The root key of the generation before is what it is, or the store is refused: a header without it would say that
/// nothing is under it any more.
#[test]
fn a_root_key_before_that_is_cut_changed_or_sealed_otherwise_is_refused() {
    let victim = Victim::new();
    let (insider, next) = (&victim.insider, [9; 32]);
    let (store, root, entropy) = (insider.store, insider.root(), SeededEntropy::new(3));
    assert_eq!(insider.generation(), 1);
    let with = |former: Vec<u8>| insider.header_of((2, next), former);
    let former = |newest: (&[u8; 32], u32), store: [u8; 16], before: (&[u8; 32], u32)| {
        format::former_root(newest, store, before, &entropy).unwrap()
    };
    let right = former((&next, 2), store, (&root, 1));
    assert_eq!(open(&victim, &with(right.clone())), Ok(()), "the control");
    for length in 0..right.len() {
        is_refused(&victim, &format!("{length} bytes"), &with(right[..length].to_vec()));
    }
    for at in 0..right.len() {
        let mut changed = right.clone();
        changed[at] ^= 1 << (at % 8);
        let opened = open(&victim, &with(changed));
        // The number of the suite is one of these bytes.
        let is_typed = matches!(opened, Err(ErrorKind::Corrupted | ErrorKind::UnsupportedFormat { .. }));
        assert!(is_typed, "byte {at}: {opened:?}");
    }
    let sealed = |purpose: &str, label: &str, plain: &[u8]| {
        let key = format::derived_key(&next, store, 2, purpose).unwrap();
        let sealed = format::Sealer::new(&key).seal(label, &format::former_root_ad(store, 1), plain, &entropy).unwrap();
        with([1_u32.to_be_bytes().as_slice(), &sealed].concat())
    };
    assert_eq!(open(&victim, &sealed("root/former", "former-root", &root)), Ok(()), "the control");
    let beyond = [right.clone(), vec![0; 513 - right.len()]].concat();
    let rows: [(&str, Vec<u8>); 11] = [
        ("a byte more", with([right.as_slice(), &[0]].concat())),
        ("513 bytes", with(beyond)),
        ("sealed under another root key", with(former((&[8; 32], 2), store, (&root, 1)))),
        ("sealed under itself", with(former((&root, 1), store, (&root, 1)))),
        ("sealed under the key of another generation", with(former((&next, 3), store, (&root, 1)))),
        ("of another store", with(former((&next, 2), [7; 16], (&root, 1)))),
        ("another root key", with(former((&next, 2), store, (&[8; 32], 1)))),
        ("of the generation that is the newest", with(former((&next, 2), store, (&root, 2)))),
        ("for another purpose", sealed("root/metadata", "former-root", &root)),
        ("under another label", sealed("root/former", "metadata", &root)),
        ("a key of 31 bytes", sealed("root/former", "former-root", &root[..31])),
    ];
    for (name, header) in rows {
        is_refused(&victim, name, &header);
    }
}

/// Marks of generations come again after 256 of them, so no others than two that follow each other can be told apart.
#[test]
fn a_root_key_of_any_other_generation_than_the_one_before_is_refused() {
    let victim = Victim::new();
    let (insider, next) = (&victim.insider, [9; 32]);
    for generation in [3, 257, u32::MAX] {
        let before = (&insider.root(), 1);
        let former = format::former_root((&next, generation), insider.store, before, &SeededEntropy::new(3)).unwrap();
        let header = insider.header_of((generation, next), former);
        is_refused(&victim, &format!("1 before {generation}"), &header);
    }
}

#[test]
fn what_is_no_header_is_no_store() {
    let victim = Victim::new();
    let rows: [(&str, Vec<u8>); 4] = [
        ("empty", vec![]),
        ("zeros", vec![0; 8192]),
        ("another magic", header(b"SQLite format 3\0", None)),
        ("text", b"Lorem ipsum dolor sit amet, consetetur sadipscing elitr".to_vec()),
    ];
    for (name, bytes) in rows {
        assert_eq!(open(&victim, &bytes), Err(ErrorKind::NotAStore), "{name}");
    }
}
