//! The header of a store, byte by byte.

use std::fs;

use ring::digest::{SHA256, digest};
use strongroom::testing::FaultyProvider;
use strongroom::{
    Backend, Batch, Durability, Error, ErrorKind, LocalKeyring, MemoryBackend, OpenMode, SecretStore, StaticKey,
};

use crate::child::{builder, store_in};
use crate::directory::{picture, place_with_store};

/// A copy begins at a multiple of this.
const COPY_BYTES: usize = 4096;
const DIGEST_BYTES: usize = 32;

/// Where the parts of a copy are: its length, then a body that begins with these, a checksum, a code.
const BODY: usize = 4;
const MIN_READER: usize = BODY + 10;
const SUITE: usize = BODY + 12;
const FLAGS: usize = BODY + 14;
const STORE: usize = BODY + 16;
const GENERATION: usize = BODY + 32;

/// A store in memory, of which one record is the header.
struct Fixture {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    key: Vec<u8>,
    header: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let memory = MemoryBackend::new();
        SecretStore::with_backend(memory.clone()).key_provider(StaticKey::new([7; 32])).open().unwrap();
        let records = memory.scan(b"", None, 100).unwrap().into_iter();
        let records: Vec<_> = records.map(|(key, value)| (key, value.as_ref().to_vec())).collect();
        let (key, header) = records.iter().find(|(_, value)| is_header(value)).unwrap().clone();
        assert_eq!(header.len(), 2 * COPY_BYTES);
        Self { records, key, header }
    }

    /// Bytes of a copy that mean something.
    fn used(&self) -> usize {
        used(&self.header)
    }

    /// Opens the store with another header. Gives the calls that the key provider saw, too.
    fn open_with(&self, header: &[u8]) -> (Result<SecretStore, Error>, u64) {
        let memory = MemoryBackend::new();
        let mut batch = Batch::new();
        for (key, value) in &self.records {
            batch.put(key.clone(), if *key == self.key { header.to_vec() } else { value.clone() });
        }
        memory.commit(&batch, Durability::Immediate).unwrap();
        let provider = FaultyProvider::new(StaticKey::new([7; 32]), 0);
        let store = SecretStore::with_backend(memory).key_provider(provider.clone()).mode(OpenMode::OpenExisting);
        (store.open(), provider.calls())
    }
}

fn is_header(value: &[u8]) -> bool {
    value.get(BODY..BODY + 8) == Some(b"STRONGRM".as_slice())
}

fn body_len(header: &[u8]) -> usize {
    u32::from_be_bytes(header[..BODY].try_into().unwrap()) as usize
}

fn used(header: &[u8]) -> usize {
    BODY + body_len(header) + 2 * DIGEST_BYTES
}

/// Both copies of the header with other bytes at an offset, and with the checksum that belongs to them.
fn edited(header: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    let end = BODY + body_len(&header);
    for copy in [0, COPY_BYTES] {
        header[copy + offset..copy + offset + bytes.len()].copy_from_slice(bytes);
        let checksum = digest(&SHA256, &header[copy + BODY..copy + end]);
        header[copy + end..copy + end + DIGEST_BYTES].copy_from_slice(checksum.as_ref());
    }
    header
}

fn kind(result: Result<SecretStore, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind().clone())
}

/// "Two copies, so that one damaged block loses nothing."
#[test]
fn one_damaged_copy_of_the_header_loses_nothing() {
    let fixture = Fixture::new();
    for (copy, name) in [(0, "first"), (COPY_BYTES, "second")] {
        let mut failures = Vec::new();
        for offset in 0..COPY_BYTES {
            let mut header = fixture.header.clone();
            header[copy + offset] ^= 1 << (offset % 8);
            failures.extend(kind(fixture.open_with(&header).0).map(|kind| (offset, kind)));
        }
        let used = fixture.used();
        assert!(failures.is_empty(), "a bit flipped in the {name} copy, of which {used} bytes are used: {failures:?}");
        for garbage in [0x00, 0xff] {
            let mut header = fixture.header.clone();
            header[copy..copy + COPY_BYTES].fill(garbage);
            assert_eq!(kind(fixture.open_with(&header).0), None, "the {name} copy is all {garbage:x}");
        }
    }
}

#[test]
fn damage_in_both_copies_of_the_header_is_reported_and_no_key_is_asked() {
    let fixture = Fixture::new();
    for offset in 0..fixture.used() {
        let mut header = fixture.header.clone();
        for copy in [0, COPY_BYTES] {
            header[copy + offset] ^= 1 << (offset % 8);
        }
        let (result, calls) = fixture.open_with(&header);
        let kind = kind(result);
        let is_magic = (BODY..BODY + 8).contains(&offset);
        let expected = if is_magic { ErrorKind::NotAStore } else { ErrorKind::Corrupted };
        assert_eq!(kind, Some(expected), "byte {offset}");
        // The code at the end can only be checked with the key; everything before it is checked without.
        let is_code = offset >= fixture.used() - DIGEST_BYTES;
        assert!(is_code || calls == 0, "byte {offset}: {calls} calls");
    }
}

#[test]
fn a_header_that_was_cut_opens_only_while_one_copy_is_whole() {
    let fixture = Fixture::new();
    for length in 0..fixture.header.len() {
        let (result, calls) = fixture.open_with(&fixture.header[..length]);
        match kind(result) {
            None => assert!(length >= fixture.used(), "opened with {length} bytes"),
            Some(kind) => {
                assert!(length < fixture.used(), "{length} bytes: {kind:?}");
                let is_expected = matches!(kind, ErrorKind::Corrupted | ErrorKind::NotAStore);
                assert!(is_expected && calls == 0, "{length} bytes: {kind:?}, {calls} calls");
                assert!(length < BODY + 8 || kind == ErrorKind::Corrupted, "{length} bytes: {kind:?}");
            }
        }
    }
}

/// Readers refuse what is newer than they are, and unknown flags are fatal; no key is asked for it.
#[test]
fn a_header_of_a_newer_version_is_refused_before_any_key_is_asked() {
    let fixture = Fixture::new();
    for (row, offset, bytes, number) in [
        ("a newer oldest reader", MIN_READER, [0, 2], 2),
        ("a far newer oldest reader", MIN_READER, [0xff, 0xff], 0xffff),
        ("a newer suite", SUITE, [0, 2], 2),
        ("an unknown flag", FLAGS, [0, 2], 2),
        ("an unknown high flag", FLAGS, [0x80, 0], 0x8000),
    ] {
        let (result, calls) = fixture.open_with(&edited(&fixture.header, offset, &bytes));
        let kind = kind(result);
        assert!(matches!(kind, Some(ErrorKind::UnsupportedFormat { found, .. }) if found == number), "{row}: {kind:?}");
        assert_eq!(calls, 0, "{row}");
    }
}

/// Whoever edits the header and knows how checksums work still lacks the key that authenticates it.
#[test]
fn an_edited_header_with_a_right_checksum_does_not_authenticate() {
    let fixture = Fixture::new();
    let text = |text: &str| fixture.header.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    // The version of the key is the last text before the wrapped key, one byte with its length before it.
    let version = text("alias/aws/secretsmanager") + "alias/aws/secretsmanager".len() + 4;
    assert_eq!(fixture.header[version], b'1');
    for (row, offset, bytes) in [
        ("marked as made for tests", FLAGS, &[0, 1][..]),
        ("another generation", GENERATION, &[0, 0, 0, 2]),
        ("another format", BODY + 8, &[0, 2]),
        ("an older oldest reader", MIN_READER, &[0, 0]),
        ("another version of the key", version, b"2"),
    ] {
        let (result, _) = fixture.open_with(&edited(&fixture.header, offset, bytes));
        assert_eq!(kind(result), Some(ErrorKind::Corrupted), "{row}");
    }
    let (result, _) = fixture.open_with(&edited(&fixture.header, STORE, &[9; 16]));
    let kind = kind(result);
    let is_refused = matches!(kind, Some(ErrorKind::WrongKey(_) | ErrorKind::Corrupted));
    assert!(is_refused, "another store's id, to which the wrapped root key is bound: {kind:?}");
}

#[test]
fn the_header_of_another_store_does_not_open_this_one() {
    let (this, other) = (Fixture::new(), Fixture::new());
    let (result, _) = this.open_with(&other.header);
    assert_eq!(kind(result), Some(ErrorKind::Corrupted), "the records belong to another root key");
}

/// The same on real files: what is refused is not touched.
#[test]
fn a_header_file_that_is_refused_leaves_the_directory_as_it_was() {
    let place = place_with_store();
    let path = store_in(place.path()).join("store.hdr");
    let good = fs::read(&path).unwrap();
    let used = used(&good);
    let both = |offset: usize| {
        let mut bad = good.clone();
        bad[offset] ^= 1;
        bad[COPY_BYTES + offset] ^= 1;
        bad
    };
    let mut rows: Vec<(String, Vec<u8>)> = vec![
        ("a newer version".to_owned(), edited(&good, MIN_READER, &[0, 9])),
        ("an unknown flag".to_owned(), edited(&good, FLAGS, &[0, 8])),
        ("an edit".to_owned(), edited(&good, FLAGS, &[0, 1])),
        ("another generation".to_owned(), edited(&good, GENERATION, &[0, 0, 0, 9])),
        ("no bytes".to_owned(), vec![]),
        ("zeros".to_owned(), vec![0; good.len()]),
        ("text".to_owned(), b"not a header".repeat(600)),
    ];
    rows.extend((0..used).step_by(7).map(|offset| (format!("byte {offset}"), both(offset))));
    rows.extend((0..used).step_by(11).map(|length| (format!("cut at {length}"), good[..length].to_vec())));
    for (row, header) in rows {
        fs::write(&path, &header).unwrap();
        let before = picture(&store_in(place.path()));
        let provider = LocalKeyring::open(place.path().join("keys")).unwrap();
        let result = SecretStore::builder(store_in(place.path())).key_provider(provider).open();
        let error = result.expect_err(&row);
        let is_expected =
            matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::NotAStore | ErrorKind::UnsupportedFormat { .. });
        assert!(is_expected, "{row}: {error:?}");
        assert_eq!(picture(&store_in(place.path())), before, "{row}");
    }
    for offset in [0, 4, 20, used / 2, used - 40, COPY_BYTES, COPY_BYTES + 20] {
        let mut header = good.clone();
        header[offset] ^= 0x10;
        fs::write(&path, &header).unwrap();
        let store = builder(place.path()).open().unwrap_or_else(|error| panic!("one copy, byte {offset}: {error:?}"));
        store.close().unwrap();
    }
    fs::write(&path, &good).unwrap();
    builder(place.path()).open().unwrap();
}
