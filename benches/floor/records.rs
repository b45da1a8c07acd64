//! Records as a store writes them: their sizes, taken from a store, and the same seals without the store.

use ring::digest;
use strongroom::testing::RecordingBackend;
use strongroom::testing::format::{Sealer, data_key_ad, head_ad, record_ad, value_ad};
use strongroom::{Batch, EncryptionContext, Entropy, OsEntropy, PutSecretValueRequest, SecretStore};

use super::store;

const STORE: [u8; 16] = [1; 16];
const UID: [u8; 16] = [2; 16];
const VERSION: &str = "11111111-2222-4333-8444-555555555555";
const ACCOUNT: [&str; 2] = ["000000000000", "us-east-1"];
const KEY_ARN: &str = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager";

/// Bytes that a seal adds to its frame: suite, salt, commitment, tag.
pub(crate) const SEAL_BYTES: usize = 2 + 32 + 32 + 16;

/// What precedes the sealed key in a wrapped key: suite, key id with its length, key version.
pub(crate) const WRAP_PREFIX_BYTES: usize = 2 + 4 + "static".len() + 4;

/// A key of the store's length: a family, the mark of a generation, and 24 bytes that look random.
pub(crate) fn key(family: u8, number: usize) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, &number.to_be_bytes());
    [family, 1].into_iter().chain(digest.as_ref().iter().copied().take(24)).collect()
}

/// Sizes of the three records that a change of a value writes, and what they are bound to.
pub(crate) struct Layout {
    /// Plaintext of the aggregate that fills the same frame.
    pub(crate) aggregate: Vec<u8>,
    head: Vec<u8>,
    pub(crate) record_ad: Vec<u8>,
    head_ad: Vec<u8>,
    pub(crate) data_key_ad: Vec<u8>,
    pub(crate) wrap_ad: Vec<u8>,
    pub(crate) value_ad: Vec<u8>,
}

impl Layout {
    /// The layouts of a create and of so many puts to the same secret after it.
    pub(crate) fn of_puts(puts: usize) -> Vec<Self> {
        let backend = RecordingBackend::new();
        let store = store::with_key(SecretStore::with_backend(backend.clone())).open().expect("the store opens");
        let manager = store.default_secrets_manager();
        let before = backend.commits();
        store::fill(&manager, 1);
        for number in 0..puts {
            let request = PutSecretValueRequest::new(store::name(0), store::value(number));
            manager.put_secret_value(request).expect("the value is put");
        }
        backend.batches().split_off(before).iter().map(Self::of_batch).collect()
    }

    fn of_batch(batch: &Batch) -> Self {
        let frame = |sealed: usize| vec![0x5a; sealed - SEAL_BYTES - 4];
        let value_of = |family: u8| {
            let record = batch.iter().find(|(key, _)| key.first() == Some(&family));
            record.and_then(|(_, value)| value).expect("the record was written")
        };
        let version = value_of(b'v');
        let arn = format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{}-AbCdEf", store::name(0));
        let pairs = [("SecretARN", arn.as_str()), ("SecretVersionId", VERSION)];
        let context = EncryptionContext::new(&pairs).canonical();
        let layout = Self {
            aggregate: frame(value_of(b's').len() - 8),
            head: frame(value_of(b'h').len() - 8),
            record_ad: record_ad(STORE, &key(b's', 0), 1),
            head_ad: head_ad(STORE, 1),
            data_key_ad: data_key_ad(STORE, UID, VERSION, ["static", KEY_ARN, "1"], 0),
            wrap_ad: fields(&[b"wrap", &context, KEY_ARN.as_bytes(), &1_u32.to_be_bytes()]),
            value_ad: value_ad(STORE, ACCOUNT, &arn, UID, VERSION, false).expect("a possible account"),
        };
        let seals = Seals::new();
        let ours = [seals.aggregate(&layout), seals.version(&layout, store::value(0).as_bytes()), seals.head(&layout)];
        let theirs = [value_of(b's'), version, value_of(b'h')];
        assert_eq!(ours.map(|record| record.len()), theirs.map(<[u8]>::len), "the floor must write the same sizes");
        layout
    }
}

/// Length-prefixed fields, as all associated data.
fn fields(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend(u32::try_from(field.len()).expect("a short field").to_be_bytes());
        out.extend(*field);
    }
    out
}

/// The long-lived keys of a store.
pub(crate) struct Seals {
    pub(crate) metadata: Sealer,
    pub(crate) outer: Sealer,
    pub(crate) provider: Sealer,
    entropy: OsEntropy,
}

impl Seals {
    pub(crate) fn new() -> Self {
        let entropy = OsEntropy::default();
        let [metadata, outer] = [[5; 32], [6; 32]];
        Self {
            metadata: Sealer::new(&metadata),
            outer: Sealer::new(&outer),
            provider: Sealer::new(&store::KEY),
            entropy,
        }
    }

    /// The record of a secret.
    pub(crate) fn aggregate(&self, layout: &Layout) -> Vec<u8> {
        let sealed = self.metadata.seal("metadata", &layout.record_ad, &layout.aggregate, &self.entropy);
        numbered(&sealed.expect("it seals"))
    }

    /// The record of the head.
    pub(crate) fn head(&self, layout: &Layout) -> Vec<u8> {
        let sealed = self.metadata.seal("head", &layout.head_ad, &layout.head, &self.entropy);
        numbered(&sealed.expect("it seals"))
    }

    /// The record of a version, under a data key of its own.
    pub(crate) fn version(&self, layout: &Layout, value: &[u8]) -> Vec<u8> {
        let mut data_key = [0; 32];
        self.entropy.fill(&mut data_key).expect("random bytes");
        let mut blob = vec![0; WRAP_PREFIX_BYTES];
        blob.extend(self.provider.seal("wrap", &layout.wrap_ad, &data_key, &self.entropy).expect("it seals"));
        let wrap = self.outer.seal("data-key", &layout.data_key_ad, &blob, &self.entropy).expect("it seals");
        let value = Sealer::new(&data_key).seal("value", &layout.value_ad, value, &self.entropy).expect("it seals");
        let length = u32::try_from(wrap.len()).expect("a small number");
        [&[1], length.to_be_bytes().as_slice(), &wrap, &value].concat()
    }
}

/// Writes what a store of so many secrets writes, and gives the keys of each secret and its version.
pub(crate) fn fill(db: &sled::Db, seals: &Seals, layout: &Layout, secrets: usize) -> Vec<[Vec<u8>; 2]> {
    let write = |index| {
        let keys = [key(b's', index), key(b'v', index)];
        let mut batch = sled::Batch::default();
        batch.insert(keys[0].as_slice(), seals.aggregate(layout));
        batch.insert(keys[1].as_slice(), seals.version(layout, store::value(index).as_bytes()));
        batch.insert(b"h", seals.head(layout));
        db.apply_batch(batch).expect("sled applies a batch");
        keys
    };
    let keys = (0..secrets).map(write).collect();
    db.flush().expect("sled flushes");
    keys
}

/// A revision or an epoch, then the sealed text.
fn numbered(sealed: &[u8]) -> Vec<u8> {
    [&1_u64.to_be_bytes(), sealed].concat()
}
