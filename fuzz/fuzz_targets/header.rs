//! The header of a store, in any state. The first byte of an input is its kind:
//!
//! - `r`: the rest is the header, as it is.
//! - `e`: the rest edits a real header, as damage would.
//! - `1`, `2`, `b`: the rest edits the body of a real header, and the first copy, the second or both are made of it with a
//!   right checksum, as somebody without keys could.
//!
//! A store opens only by a header that was written with its keys, opens whenever one copy was not touched by damage,
//! and then holds what it held. What cannot be opened is left as it is.

#![no_main]

use std::sync::OnceLock;

use peak_alloc::PeakAlloc;
use ring::digest;
use strongroom::testing::{ManualClock, RecordingBackend};
use strongroom::{
    Backend, Batch, CreateSecretRequest, Durability, ErrorKind, GetSecretValueRequest, MemoryBackend, RECORD_BYTES_MAX,
};
use strongroom_fuzz::{Input, START, edit, open};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A header can say that it is long, and is not believed.
const BYTES_PER_BYTE: usize = 32;
const FIRST_BYTES: usize = 4 << 20;

type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A store with a secret.
struct Base {
    others: Records,
    header_key: Vec<u8>,
    header: Vec<u8>,
}

impl Base {
    fn new() -> Self {
        let backend = RecordingBackend::new();
        let store = open(backend.clone(), &ManualClock::at_millis(START), 1).expect("a store is made");
        let create = CreateSecretRequest::new("app").secret_string("held");
        store.default_secrets_manager().create_secret(create).expect("a secret is made");
        let is_header = |(_, value): &(Vec<u8>, Vec<u8>)| value.get(4..12) == Some(b"STRONGRM".as_slice());
        let (headers, others): (Records, Records) = all(&backend).into_iter().partition(is_header);
        let [(header_key, header)] = headers.try_into().expect("there is one header");
        Self { others, header_key, header }
    }

    /// The same records with another header.
    fn with(&self, header: &[u8]) -> MemoryBackend {
        let backend = MemoryBackend::new();
        let mut batch = Batch::new();
        for (key, value) in &self.others {
            batch.put(key.clone(), value.clone());
        }
        batch.put(self.header_key.clone(), header.to_vec());
        backend.commit(&batch, Durability::Immediate).expect("memory takes it");
        backend
    }

    /// What is signed: length, magic, and everything up to the checksum.
    fn body(&self) -> &[u8] {
        let length = self.header.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).unwrap_or_default();
        &self.header[4..4 + usize::try_from(length).unwrap_or_default()]
    }

    /// The authentication code behind body and checksum.
    fn mac(&self) -> &[u8] {
        let at = 4 + self.body().len() + 32;
        &self.header[at..at + 32]
    }

    /// A copy with this body, a right checksum, and the only code there is.
    fn copy(&self, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
        let checksum = digest::digest(&digest::SHA256, body);
        let mut copy = [&length, body, checksum.as_ref(), self.mac()].concat();
        copy.resize(copy.len().next_multiple_of(4096), 0);
        copy
    }
}

fn all(backend: &impl Backend) -> Records {
    let found = backend.scan(&[], None, usize::MAX).expect("memory is read");
    found.into_iter().map(|(key, value)| (key, value.as_ref().to_vec())).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static BASE: OnceLock<Base> = OnceLock::new();
    let base = BASE.get_or_init(Base::new);
    let mut input = Input(input);
    let kind = input.byte();
    let mut header = base.header.clone();
    match kind {
        b'1' | b'2' | b'b' => {
            let mut body = base.body().to_vec();
            edit(&mut body, &mut input);
            let (real, edited) = (base.copy(base.body()), base.copy(&body));
            let second = if kind == b'1' { &real } else { &edited };
            header = [if kind == b'2' { &real } else { &edited }, second.as_slice()].concat();
        }
        b'r' => header = input.0.to_vec(),
        _ => edit(&mut header, &mut input),
    }
    // No backend has to take more.
    header.truncate(RECORD_BYTES_MAX);
    let half = base.header.len() / 2;
    let is_damaged = kind != b'1' && kind != b'b' && header.len() == base.header.len();
    let must_open = is_damaged && (header[..half] == base.header[..half] || header[half..] == base.header[half..]);

    let backend = base.with(&header);
    let before = all(&backend);
    MEMORY.reset_peak_usage();
    let in_use = MEMORY.current_usage();
    let opened = open(backend.clone(), &ManualClock::at_millis(START), 2);
    let claimed = MEMORY.peak_usage().saturating_sub(in_use);
    assert!(claimed <= FIRST_BYTES + BYTES_PER_BYTE * header.len(), "{claimed} bytes for {} bytes", header.len());

    match opened {
        Ok(store) => {
            assert!(contains(&header, base.body()) && contains(&header, base.mac()), "nobody signed this header");
            let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("app"));
            let value = read.expect("the secret is read").secret_string.expect("it is a text");
            assert_eq!(value.expose(), "held");
        }
        Err(error) => {
            assert!(!must_open, "one copy is as it was: {error:?}");
            let is_of_a_header = matches!(
                error.kind(),
                ErrorKind::NotAStore
                    | ErrorKind::Corrupted
                    | ErrorKind::UnsupportedFormat { .. }
                    | ErrorKind::WrongKey(_)
            );
            assert!(is_of_a_header, "{error:?}");
            assert!(all(&backend) == before, "a store that cannot be opened was changed");
        }
    }
});
