//! Somebody who has the store's keys, and can so seal anything: what the seal cannot catch, the reader of the plaintext
//! has to.

use strongroom::testing::{SeededEntropy, format};
use strongroom::{Call, EncryptionContext, KeyProvider, StaticKey, WrappedKey};

use crate::fixture::{PROVIDER_KEY, Records};

#[derive(Debug)]
pub(crate) struct Insider {
    pub(crate) store: [u8; 16],
    pub(crate) instance: [u8; 16],
    /// Generations and root keys that are in use, the newest first.
    roots: Vec<(u32, [u8; 32])>,
}

/// Where the mark of a record's generation is in its key.
pub(crate) fn mark_at(key: &[u8]) -> usize {
    if key[0] == b'd' { 9 } else { 1 }
}

/// Whether a record counts in the set hash.
pub(crate) fn is_counted(key: &[u8]) -> bool {
    !matches!(key, b"h" | b"m") && key[0] != b'c'
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
        let count = u16::from_be_bytes(take(&mut body, 2).try_into().unwrap());
        let wraps: Vec<_> = (0..count)
            .map(|_| {
                let (_role, _requested) = (take(&mut body, 1), text(&mut body));
                let (provider, arn, version) = (text(&mut body), text(&mut body), text(&mut body));
                WrappedKey::new(provider, arn, version, field(&mut body))
            })
            .collect();
        let mut insider = Self { store, instance, roots: vec![] };
        let root = wraps.iter().find_map(|wrapped| insider.unwrap(wrapped)).unwrap();
        insider.roots.push((generation, root));
        let former = field(&mut body);
        assert!(body.is_empty(), "nothing follows");
        if let Some((before, sealed)) = former.split_first_chunk() {
            let before = u32::from_be_bytes(*before);
            let sealer = format::Sealer::new(&insider.key("root/former"));
            let root = sealer.open("former-root", &format::former_root_ad(store, before), sealed).unwrap();
            insider.roots.push((before, root.as_slice().try_into().unwrap()));
        }
        insider
    }

    /// A root key that is wrapped under the key of the tests.
    fn unwrap(&self, wrapped: &WrappedKey) -> Option<[u8; 32]> {
        let id = uuid::Uuid::from_bytes(self.store).hyphenated().to_string();
        let (pairs, entropy) = ([("strongroom:store", id.as_str())], SeededEntropy::new(9));
        let (provider, context) = (StaticKey::new(PROVIDER_KEY), EncryptionContext::new(&pairs));
        provider.unwrap(wrapped, &context, &Call::new(&entropy)).ok().map(|root| *root.expose())
    }

    /// The generation that is the newest.
    pub(crate) fn generation(&self) -> u32 {
        self.roots[0].0
    }

    /// The root key of the newest generation.
    pub(crate) fn root(&self) -> [u8; 32] {
        self.roots[0].1
    }

    /// Whether the header has the root key of the generation before.
    pub(crate) fn has_former(&self) -> bool {
        self.roots.len() > 1
    }

    /// A key derived from the root key of the newest generation.
    pub(crate) fn key(&self, purpose: &str) -> [u8; 32] {
        self.key_of(self.roots[0], purpose)
    }

    /// A key derived from the root key of the generation before, which is in use too.
    pub(crate) fn former_key(&self, purpose: &str) -> [u8; 32] {
        self.key_of(self.roots[1], purpose)
    }

    fn key_of(&self, (generation, root): (u32, [u8; 32]), purpose: &str) -> [u8; 32] {
        format::derived_key(&root, self.store, generation, purpose).unwrap()
    }

    /// The generation and the root key of a record. One of no generation in use is taken for one of the newest.
    fn root_of(&self, key: &[u8]) -> (u32, [u8; 32]) {
        let is_marked = |(generation, _): &&(u32, [u8; 32])| {
            is_counted(key) && generation.to_be_bytes().last() == key.get(mark_at(key))
        };
        *self.roots.iter().find(is_marked).unwrap_or(&self.roots[0])
    }

    /// The header of the next generation: with a new root key, under which the present one is sealed.
    pub(crate) fn next_header(&self, next: [u8; 32]) -> Vec<u8> {
        let (generation, root) = self.roots[0];
        let former = self.former(&next, (generation, root));
        self.header_of((generation + 1, next), former)
    }

    /// What a header has of a root key before `next`.
    pub(crate) fn former(&self, next: &[u8; 32], (generation, root): (u32, [u8; 32])) -> Vec<u8> {
        let newest = (next, self.generation() + 1);
        format::former_root(newest, self.store, (&root, generation), &SeededEntropy::new(7)).unwrap()
    }

    /// A header of a generation.
    pub(crate) fn header_of(&self, (generation, root): (u32, [u8; 32]), former: Vec<u8>) -> Vec<u8> {
        let arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager";
        let id = uuid::Uuid::from_bytes(self.store).hyphenated().to_string();
        let (pairs, entropy) = ([("strongroom:store", id.as_str())], SeededEntropy::new(7));
        let context = EncryptionContext::new(&pairs);
        let wrapped = format::local_wrap(&PROVIDER_KEY, ["static", arn], 1, &root, &context, &entropy).unwrap();
        let wraps = vec![format::HeaderWrap::new("", false, WrappedKey::new("static", arn, "1", wrapped))];
        format::header(&root, [self.store, self.instance], generation, 1, wraps, former).unwrap()
    }

    /// Where a secret is stored.
    pub(crate) fn secret(&self, [account, region]: [&str; 2], name: &str) -> Vec<u8> {
        format::secret_key(&self.key("root/index"), self.generation(), account, region, name).unwrap()
    }

    /// How many records a head says there are, and their set hash.
    pub(crate) fn tally(&self, records: &Records) -> (u8, [u8; 32]) {
        let plain = self.open(records, b"h");
        let (numbers, sum) = plain.split_last_chunk().unwrap();
        // The number of records in such a small store is one byte.
        (*numbers.last().unwrap(), *sum)
    }

    /// What the head should say.
    pub(crate) fn right_tally(&self, records: &Records) -> (u8, [u8; 32]) {
        let counted = records.iter().filter(|(key, _)| is_counted(key));
        counted.fold((0, [0; 32]), |(count, sum), (at, value)| {
            let key = self.key_of(self.root_of(at), "root/manifest");
            (count + 1, format::set_hash_plus(sum, format::element(&key, at, value)))
        })
    }

    /// The same records with a head that counts them.
    pub(crate) fn with_right_head(&self, mut records: Records) -> Records {
        let mut plain = self.open(&records, b"h");
        let (count, sum) = self.right_tally(&records);
        let at = plain.len() - sum.len();
        plain[at - 1] = count;
        plain[at..].copy_from_slice(&sum);
        let head = self.replace(&records, b"h", &plain);
        records.insert(b"h".to_vec(), head);
        records
    }

    fn sealer(&self, key: &[u8]) -> format::Sealer {
        format::Sealer::new(&self.key_of(self.root_of(key), "root/metadata"))
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
        self.sealer(key).open(label, &ad, sealed).unwrap().to_vec()
    }

    /// The same record with another plaintext, sealed as it should be.
    pub(crate) fn replace(&self, records: &Records, key: &[u8], plain: &[u8]) -> Vec<u8> {
        let revision = *records[key].first_chunk().unwrap();
        let (label, ad) = self.label_and_ad(key, u64::from_be_bytes(revision));
        let sealed = self.sealer(key).seal(label, &ad, plain, &SeededEntropy::new(8)).unwrap();
        [revision.as_slice(), &sealed].concat()
    }

    /// A record without a value, sealed under a metadata key of the caller's choice.
    pub(crate) fn seal_under(&self, metadata: &[u8; 32], key: &[u8], revision: u64, plain: &[u8]) -> Vec<u8> {
        let (label, ad) = self.label_and_ad(key, revision);
        let sealed = format::Sealer::new(metadata).seal(label, &ad, plain, &SeededEntropy::new(8)).unwrap();
        [revision.to_be_bytes().as_slice(), &sealed].concat()
    }
}
