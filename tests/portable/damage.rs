//! Exports that are not what was written: each is refused with its reason, and nothing of it arrives.

use std::fs;
use std::ops::Range;

use strongroom::{CreateSecretRequest, ErrorKind, ExportOptions, PassphraseProvider, PutSecretValueRequest, StaticKey};

use crate::fixture::{Exported, Source, Target, export_key, file_is_refused, import};

/// Bytes of a checksum at the end of the header.
const CHECKSUM: usize = 32;

/// Where the header ends, and where each chunk is.
fn parts(bytes: &[u8]) -> (usize, Vec<Range<usize>>) {
    let field = |at: usize| at + 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let header = (0..4).fold(8 + 2 + 16, |at, _| field(at)) + CHECKSUM;
    let mut chunks = Vec::new();
    let mut at = header;
    while at < bytes.len() {
        chunks.push(at..field(at));
        at = field(at);
    }
    (header, chunks)
}

/// A file of the header of one export and of these chunks.
fn joined<'a>(header: &[u8], chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = header.to_vec();
    chunks.into_iter().for_each(|chunk| bytes.extend_from_slice(chunk));
    bytes
}

fn chunks_of(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, chunks) = parts(bytes);
    (&bytes[..header], chunks.into_iter().map(|range| &bytes[range]).collect())
}

/// Imports changed files into one store, in which nothing may ever arrive.
struct Tried {
    target: Target,
    exported: Exported,
    epoch: u64,
    count: usize,
}

impl Tried {
    fn new() -> Self {
        let target = Target::new();
        let epoch = target.epoch();
        Self { target, exported: Exported::place(), epoch, count: 0 }
    }

    #[track_caller]
    fn refused(&mut self, bytes: &[u8], what: &str) -> strongroom::Error {
        fs::write(&self.exported.path, bytes).unwrap();
        let error = import(&self.target.store, &self.exported.path).map(|done| panic!("{what}: {done:?}")).unwrap_err();
        assert_eq!(self.target.epoch(), self.epoch, "{what}: something was written");
        self.count += 1;
        error
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let bytes = Source::small().export().bytes();
    let mut tried = Tried::new();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let error = tried.refused(&changed, &format!("byte {at}"));
            match error.kind() {
                ErrorKind::BackupFile => {}
                ErrorKind::UnsupportedFormat { .. } if (8..10).contains(&at) => {}
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
    eprintln!("{} changed files", tried.count);
}

#[test]
fn a_file_that_is_cut_anywhere_or_goes_on_is_refused() {
    let bytes = Source::small().export().bytes();
    let mut tried = Tried::new();
    for length in 0..bytes.len() {
        let error = tried.refused(&bytes[..length], &format!("{length} bytes"));
        assert_eq!(*error.kind(), ErrorKind::BackupFile, "{length} bytes");
    }
    for more in [&[0][..], &bytes, b"\n"] {
        let error = tried.refused(&[&bytes, more].concat(), "something behind");
        assert_eq!(*error.kind(), ErrorKind::BackupFile);
    }
    eprintln!("{} cut files", tried.count);
}

#[test]
fn chunks_that_are_swapped_dropped_or_repeated_are_refused() {
    let source = Source::several(3);
    source.home().put_secret_value(PutSecretValueRequest::new("secret/1", "second")).unwrap();
    let bytes = source.export().bytes();
    let (header, chunks) = chunks_of(&bytes);
    assert_eq!(chunks.len(), 3 + 4 + 1, "secrets, versions and the end");
    let mut tried = Tried::new();
    let mut refused = |chunks: &[&[u8]], what: &str| {
        let error = tried.refused(&joined(header, chunks.iter().copied()), what);
        assert_eq!(*error.kind(), ErrorKind::BackupFile, "{what}");
    };
    for one in 0..chunks.len() {
        for other in 0..one {
            let mut changed = chunks.clone();
            changed.swap(one, other);
            refused(&changed, &format!("{one} and {other} swapped"));
            let mut changed = chunks.clone();
            let moved = changed.remove(one);
            changed.insert(other, moved);
            refused(&changed, &format!("{one} moved to {other}"));
            let mut changed = chunks.clone();
            changed.drain(other..one);
            refused(&changed, &format!("{other} to {one} dropped"));
            let mut changed = chunks.clone();
            changed[one] = changed[other];
            refused(&changed, &format!("{other} in the place of {one}"));
        }
        let mut changed = chunks.clone();
        changed.remove(one);
        refused(&changed, &format!("{one} dropped"));
        let mut changed = chunks.clone();
        changed.insert(one, changed[one]);
        refused(&changed, &format!("{one} repeated"));
        let mut changed = chunks.clone();
        changed.push(changed[one]);
        refused(&changed, &format!("{one} again at the end"));
    }
    eprintln!("{} rearranged files", tried.count);
}

#[test]
fn chunks_of_another_export_under_the_same_key_are_refused() {
    let source = Source::several(2);
    let (one, other) = (source.export().bytes(), source.export().bytes());
    let ((header, chunks), (other_header, others)) = (chunks_of(&one), chunks_of(&other));
    assert_eq!(chunks.len(), others.len());
    let mut tried = Tried::new();
    for at in 0..chunks.len() {
        let mut changed = chunks.clone();
        changed[at] = others[at];
        let error = tried.refused(&joined(header, changed), "one chunk of another export");
        assert_eq!(*error.kind(), ErrorKind::BackupFile);
    }
    let without_end = &chunks[..chunks.len() - 1];
    for (what, bytes) in [
        ("the header of another", joined(other_header, chunks.clone())),
        ("two exports joined", joined(header, without_end.iter().chain(&others).copied())),
        ("two whole exports joined", [one.as_slice(), &other].concat()),
    ] {
        assert_eq!(*tried.refused(&bytes, what).kind(), ErrorKind::BackupFile, "{what}");
    }
}

#[test]
fn a_wrong_key_is_told_from_damage() {
    let source = Source::small();
    let passphrase = |text: &str| PassphraseProvider::cheap_for_tests(text).unwrap();
    let exported = Exported::place();
    source.store.export(&exported.path, &passphrase("right"), &ExportOptions::new(), &mut |_| ()).unwrap();
    let target = Target::new();
    let try_with =
        |key: &dyn strongroom::KeyProvider| target.store.import(&exported.path, key, &Default::default(), &mut |_| ());
    let others: [&dyn strongroom::KeyProvider; 3] = [&passphrase("wrong"), &StaticKey::new([1; 32]), &target.keyring];
    for other in others {
        let error = try_with(other).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WrongKey(_)), "{}: {error:?}", other.id());
    }
    let mut bytes = exported.bytes();
    let (header, _) = parts(&bytes);
    // In the wrapped key, where only the checksum can tell.
    bytes[header - CHECKSUM - 3] ^= 1;
    fs::write(&exported.path, &bytes).unwrap();
    for key in ["right", "wrong"] {
        file_is_refused(try_with(&passphrase(key)), "a damaged header");
    }
}

#[test]
fn what_is_no_export_is_refused() {
    let mut tried = Tried::new();
    let key_file = b"strongroom-key-file 1\nid ".as_slice();
    for bytes in [&[][..], b"STRONGEX", b"STRONGEX\0\x01", b"STRONGRM\0\x01", key_file, &[0xff; 4096]] {
        assert_eq!(*tried.refused(bytes, "no export").kind(), ErrorKind::BackupFile);
    }
    // Lengths far beyond what any key has, or any file.
    let huge = [b"STRONGEX\0\x01".as_slice(), &[7; 16], &[0xff; 4], &[0; 100]].concat();
    assert_eq!(*tried.refused(&huge, "a huge field").kind(), ErrorKind::BackupFile);
    let newer = [b"STRONGEX\0\x02".as_slice(), &[0; 100]].concat();
    let error = tried.refused(&newer, "a newer format");
    assert_eq!(*error.kind(), ErrorKind::UnsupportedFormat { found: 2, newest: 1 });

    let target = Target::new();
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("missing")] {
        file_is_refused(import(&target.store, &path), "no file");
    }
}

#[test]
fn an_error_names_the_file_and_the_place() {
    let exported = Source::several(2).export();
    let mut bytes = exported.bytes();
    let (_, chunks) = parts(&bytes);
    bytes[chunks[2].start + 50] ^= 1;
    fs::write(&exported.path, &bytes).unwrap();
    let error = file_is_refused(import(&Target::new().store, &exported.path), "damage").to_string();
    assert!(error.contains("secrets.export") && error.contains("chunk 3"), "{error}");
}

/// A file that is exchanged or cut after it was checked, while it is imported.
#[test]
fn a_file_that_changes_during_the_import_leaves_whole_secrets_only() {
    let source = Source::several(40);
    for number in 0..40 {
        let second = PutSecretValueRequest::new(format!("secret/{number}"), "second");
        source.home().put_secret_value(second).unwrap();
    }
    let exported = source.export();
    let bytes = exported.bytes();
    let target = Target::new();
    let mut is_cut = false;
    let result = target.store.import(&exported.path, &export_key(), &Default::default(), &mut |at| {
        if at.step == "importing secrets" && !is_cut {
            is_cut = true;
            let file = fs::OpenOptions::new().write(true).open(&exported.path).unwrap();
            file.set_len(bytes.len() as u64 / 2).unwrap();
        }
    });
    file_is_refused(result, "a file that was cut meanwhile");
    let arrived = crate::fixture::names(&target.home());
    assert!(!arrived.is_empty() && arrived.len() < 40, "{}", arrived.len());
    for name in &arrived {
        assert_eq!(crate::fixture::see(&target.home(), name).versions.len(), 2);
    }
    fs::write(&exported.path, &bytes).unwrap();
    let again = import(&target.store, &exported.path).unwrap();
    assert_eq!((again.created, again.unchanged), (40 - arrived.len() as u64, arrived.len() as u64));
}

#[test]
fn a_secret_created_by_a_request_of_every_size_survives_the_padding() {
    let source = Source::empty();
    let lengths = [1, 31, 32, 33, 255, 256, 257, 4_095, 4_096, 65_535, 65_536];
    for length in lengths {
        let request = CreateSecretRequest::new(format!("s{length}")).secret_binary(vec![7; length]);
        source.home().create_secret(request).unwrap();
    }
    let target = Target::new();
    import(&target.store, &source.export().path).unwrap();
    for length in lengths {
        let seen = crate::fixture::see(&target.home(), &format!("s{length}"));
        assert_eq!(seen.versions[0].value, Some(crate::fixture::Value::Bytes(vec![7; length])));
    }
}
