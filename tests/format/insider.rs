//! Somebody who has the store's keys, and can so seal anything: what the seal cannot catch, the reader of the plaintext
//! has to.

use strongroom::testing::{SeededEntropy, format};
use strongroom::{Call, EncryptionContext, KeyProvider, StaticKey, WrappedKey};

use crate::fixture::{PROVIDER_KEY, Records};

#[derive(Debug)]
pub(crate) struct Insider {
    pub(crate) store: [u8; 16],
    pub(crate) instance: [u8; 16],
    root: [u8; 32],
    generation: u32,
}

/// The body of a header, without what is around it.
pub(crate) fn header_body(header: &[u8]) -> &[u8] {
    let (length, rest) = header.split_first_chunk().unwrap();
    &rest[..usize::try_from(u32::from_be_bytes(*length)).unwrap()]
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn field<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = u32::from_be_bytes(take(bytes, 4).try_into().unwrap());
    take(bytes, usize::try_from(length).unwrap())
}

fn text<'a>(bytes: &mut &'a [u8]) -> &'a str {
    std::str::from_utf8(field(bytes)).unwrap()
}

impl Insider {
    pub(crate) fn of(records: &Records) -> Self {
        Self::of_header(&records[b"m".as_slice()])
    }

    /// Whose store has this header.
    pub(crate) fn of_header(header: &[u8]) -> Self {
        let mut body = &header_body(header)[16..];
        let store: [u8; 16] = take(&mut body, 16).try_into().unwrap();
        let generation = u32::from_be_bytes(take(&mut body, 4).try_into().unwrap());
        let instance = field(&mut body).try_into().unwrap();
        assert_eq!(take(&mut body, 2), [0, 1], "one wrap");
        let (provider, arn, version) = (text(&mut body), text(&mut body), text(&mut body));
        let wrapped = WrappedKey::new(provider, arn, version, field(&mut body));
        let id = uuid::Uuid::from_bytes(store).hyphenated().to_string();
        let pairs = [("strongroom:store", id.as_str())];
        let entropy = SeededEntropy::new(9);
        let root = StaticKey::new(PROVIDER_KEY)
            .unwrap(&wrapped, &EncryptionContext::new(&pairs), &Call::new(&entropy))
            .unwrap();
        Self { store, instance, root: *root.expose(), generation }
    }

    pub(crate) fn key(&self, purpose: &str) -> [u8; 32] {
        format::derived_key(&self.root, self.store, self.generation, purpose).unwrap()
    }

    /// Where a secret is stored.
    pub(crate) fn secret(&self, [account, region]: [&str; 2], name: &str) -> Vec<u8> {
        format::secret_key(&self.key("root/index"), account, region, name).unwrap()
    }

    /// How many records a head says there are, and their set hash.
    pub(crate) fn tally(&self, records: &Records) -> (u8, [u8; 32]) {
        let plain = self.open(records, b"h");
        // Every number of such a small store is one byte.
        assert_eq!(plain.len(), 37);
        (plain[4], plain[5..].try_into().unwrap())
    }

    /// What the head should say.
    pub(crate) fn right_tally(&self, records: &Records) -> (u8, [u8; 32]) {
        let key = self.key("root/manifest");
        let counted = records.iter().filter(|(key, _)| !matches!(key.as_slice(), b"h" | b"m"));
        counted.fold((0, [0; 32]), |(count, sum), (at, value)| {
            (count + 1, format::set_hash_plus(sum, format::element(&key, at, value)))
        })
    }

    /// The same records with a head that counts them.
    pub(crate) fn with_right_head(&self, mut records: Records) -> Records {
        let mut plain = self.open(&records, b"h");
        let (count, sum) = self.right_tally(&records);
        plain[4] = count;
        plain[5..].copy_from_slice(&sum);
        let head = self.replace(&records, b"h", &plain);
        records.insert(b"h".to_vec(), head);
        records
    }

    fn sealer(&self) -> format::Sealer {
        format::Sealer::new(&self.key("root/metadata"))
    }

    fn label_and_ad(&self, key: &[u8], revision: u64) -> (&'static str, Vec<u8>) {
        match key {
            b"h" => ("head", format::head_ad(self.store, revision)),
            _ => ("metadata", format::record_ad(self.store, key, revision)),
        }
    }

    /// The plaintext of a record without a value.
    pub(crate) fn open(&self, records: &Records, key: &[u8]) -> Vec<u8> {
        let (revision, sealed) = records[key].split_first_chunk().unwrap();
        let (label, ad) = self.label_and_ad(key, u64::from_be_bytes(*revision));
        self.sealer().open(label, &ad, sealed).unwrap().to_vec()
    }

    /// The same record with another plaintext, sealed as it should be.
    pub(crate) fn replace(&self, records: &Records, key: &[u8], plain: &[u8]) -> Vec<u8> {
        let revision = *records[key].first_chunk().unwrap();
        let (label, ad) = self.label_and_ad(key, u64::from_be_bytes(revision));
        let sealed = self.sealer().seal(label, &ad, plain, &SeededEntropy::new(8)).unwrap();
        [revision.as_slice(), &sealed].concat()
    }
}
