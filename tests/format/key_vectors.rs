//! Associated data, derived keys, keys of records, wrapped keys, headers, heads, set hashes and key files, byte for byte
//! as an independent implementation makes them.

use std::os::unix::fs::PermissionsExt;

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use strongroom::testing::format::{self, HeaderWrap};
use strongroom::testing::{SeededEntropy, fuzzing};
use strongroom::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, LocalKeyring, StaticKey, WrappedKey,
};

use crate::fixture::{Hex, Known, at, pattern, read};
use crate::insider::mark_at;

#[derive(Deserialize)]
struct Vectors {
    store: Hex,
    instance: Hex,
    associated_data: Vec<AssociatedData>,
    derived_keys: Vec<DerivedKey>,
    storage_keys: Vec<StorageKeys>,
    local_wraps: Vec<LocalWrap>,
    headers: Vec<Header>,
    heads: Vec<Head>,
    jobs: Vec<Job>,
    secrets: Vec<Secret>,
    set_hash: SetHash,
    key_file: KeyFile,
}

#[derive(Deserialize)]
struct AssociatedData {
    name: String,
    ad: Hex,
    #[serde(flatten)]
    of: Of,
}

#[derive(Deserialize)]
#[serde(tag = "of")]
enum Of {
    #[serde(rename = "value")]
    Value { account: String, region: String, arn: String, uid: Hex, version_id: String, binary: bool },
    #[serde(rename = "data key")]
    DataKey { uid: Hex, version_id: String, provider: String, key_arn: String, key_version: String, index: u8 },
    #[serde(rename = "record")]
    Record { key: Hex, revision: String },
    #[serde(rename = "head")]
    Head { epoch: String },
    #[serde(rename = "token")]
    Token { account: String, region: String, digest: Hex, issued: i64 },
    #[serde(rename = "former root")]
    FormerRoot { generation: u32 },
}

#[derive(Deserialize)]
struct DerivedKey {
    root: Hex,
    generation: u32,
    purpose: String,
    key: Hex,
}

#[derive(Deserialize)]
struct StorageKeys {
    generation: u32,
    index_key: Hex,
    rows: Vec<StorageKey>,
}

#[derive(Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
enum StorageKey {
    Secret { account: String, region: String, name: String, key: Hex },
    Version { uid: Hex, version_id: String, key: Hex },
    Purge { at: i64, secret: Hex, key: Hex },
    Rotation { at: i64, secret: Hex, key: Hex },
    Replication { at: i64, secret: Hex, key: Hex },
    Job { key: Hex },
}

#[derive(Deserialize)]
struct LocalWrap {
    name: String,
    kek: Hex,
    key_id: String,
    key_arn: String,
    key_version: u32,
    data_key: Hex,
    context: Vec<(String, String)>,
    r: Hex,
    wrapped: Hex,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    root: Hex,
    generation: u32,
    flags: u16,
    wraps: Vec<Wrap>,
    former: Option<Former>,
    copy_len: usize,
    copy_without_zeros: Hex,
    sha256: Hex,
}

#[derive(Deserialize)]
struct Wrap {
    recovery: bool,
    requested: String,
    provider: String,
    arn: String,
    version: String,
    wrapped: Hex,
}

/// The root key of the generation before.
#[derive(Deserialize)]
struct Former {
    root: Hex,
    generation: u32,
    r: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
struct Head {
    epoch: String,
    secrets: String,
    revision: String,
    records: String,
    set_hash: Hex,
    plain: Hex,
}

#[derive(Deserialize)]
struct Job {
    scope: String,
    after: [String; 3],
    secrets: String,
    versions: String,
    plain: Hex,
}

/// What a store that the script wrote holds.
#[derive(Deserialize)]
struct Secret {
    name: String,
    plain: Hex,
}

#[derive(Deserialize)]
struct SetHash {
    key: Hex,
    elements: Vec<Element>,
    sums: Vec<Sum>,
    carries: Vec<Carry>,
}

#[derive(Deserialize)]
struct Element {
    key: Hex,
    value: Option<Hex>,
    /// The length of a value that is made by a rule.
    pattern: Option<usize>,
    element: Hex,
}

/// Of the first elements.
#[derive(Deserialize)]
struct Sum {
    of: usize,
    sum: Hex,
}

#[derive(Deserialize)]
struct Carry {
    name: String,
    a: Hex,
    b: Hex,
    sum: Hex,
    difference: Hex,
}

#[derive(Deserialize)]
struct KeyFile {
    file: Hex,
    context: Vec<(String, String)>,
    wraps: Vec<KeyFileWrap>,
}

#[derive(Deserialize)]
struct KeyFileWrap {
    key_arn: String,
    key_version: String,
    data_key: Hex,
    wrapped: Hex,
    enabled: bool,
}

fn vectors() -> Vectors {
    read("vectors.json")
}

fn pairs(context: &[(String, String)]) -> Vec<(&str, &str)> {
    context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn associated_data_of_every_kind() {
    let Vectors { store, associated_data, .. } = vectors();
    let store = store.array();
    assert_eq!(associated_data.len(), 36);
    for AssociatedData { name, ad, of } in associated_data {
        let made = match of {
            Of::Value { account, region, arn, uid, version_id, binary } => {
                format::value_ad(store, [&account, &region], &arn, uid.array(), &version_id, binary).unwrap()
            }
            Of::DataKey { uid, version_id, provider, key_arn, key_version, index } => {
                format::data_key_ad(store, uid.array(), &version_id, [&provider, &key_arn, &key_version], index)
            }
            Of::Record { key, revision } => format::record_ad(store, &key, revision.parse().unwrap()),
            Of::Head { epoch } => format::head_ad(store, epoch.parse().unwrap()),
            Of::Token { account, region, digest, issued } => {
                format::token_ad(store, [&account, &region], &digest.array(), issued).unwrap()
            }
            Of::FormerRoot { generation } => format::former_root_ad(store, generation),
        };
        assert_eq!(Hex(made), ad, "{name}");
    }
}

#[test]
fn keys_derived_for_every_purpose_and_several_generations() {
    let Vectors { store, derived_keys, .. } = vectors();
    assert_eq!(derived_keys.len(), 70);
    for DerivedKey { root, generation, purpose, key } in derived_keys {
        let made = format::derived_key(&root.array(), store.array(), generation, &purpose).unwrap();
        assert_eq!(made, *key, "{purpose} of generation {generation}");
    }
    assert_eq!(format::derived_key(&[0; 32], store.array(), 1, "root/other"), None);
}

#[test]
fn keys_of_records_of_several_generations() {
    let groups = vectors().storage_keys;
    assert_eq!(groups.len(), 4);
    for (StorageKeys { generation, index_key, rows }, mark) in groups.into_iter().zip([1, 255, 0, 0]) {
        let index = index_key.array();
        assert_eq!(rows.len(), 18);
        for row in rows {
            let (made, key) = match row {
                StorageKey::Secret { account, region, name, key } => {
                    (format::secret_key(&index, generation, &account, &region, &name).unwrap(), key)
                }
                StorageKey::Version { uid, version_id, key } => {
                    (format::version_key(&index, generation, uid.array(), &version_id), key)
                }
                StorageKey::Purge { at: millis, secret, key } => {
                    (format::purge_key(&index, generation, at(millis), &secret).unwrap(), key)
                }
                StorageKey::Rotation { at: millis, secret, key } => {
                    (format::rotation_key(&index, generation, at(millis), &secret).unwrap(), key)
                }
                StorageKey::Replication { at: millis, secret, key } => {
                    (format::replication_key(&index, generation, at(millis), &secret).unwrap(), key)
                }
                StorageKey::Job { key } => (format::reencryption_key(&index, generation), key),
            };
            assert_eq!(key[mark_at(&key)], mark, "the mark of generation {generation}");
            assert_eq!(Hex(made), key);
        }
    }
}

#[test]
fn due_entries_sort_by_time_before_1970_too() {
    let groups = vectors().storage_keys;
    let mut due: Vec<_> = groups
        .into_iter()
        .flat_map(|group| group.rows)
        .filter_map(|row| match row {
            StorageKey::Purge { at, key, .. } => Some((key, at)),
            _ => None,
        })
        .collect();
    due.sort();
    let times: Vec<_> = due.into_iter().map(|(_, at)| at).collect();
    let of_one = [-31_536_000_000, -1, 0, 1_700_000_000_000, 253_402_300_799_999];
    assert_eq!(times, of_one.map(|at| [at; 4]).concat(), "whatever their generation");
}

#[test]
fn local_wraps_whatever_the_order_of_the_context() {
    let vectors = vectors().local_wraps;
    assert_eq!(vectors.len(), 6);
    for LocalWrap { name, kek, key_id, key_arn, key_version, data_key, context, r, wrapped } in vectors {
        let (context, r) = (pairs(&context), Known::new(&r));
        let context = EncryptionContext::new(&context);
        let key = [key_id.as_str(), key_arn.as_str()];
        let made = format::local_wrap(&kek.array(), key, key_version, &data_key.array(), &context, &r).unwrap();
        assert_eq!(Hex(made), wrapped, "{name}");
    }
}

/// The vector of a `StaticKey`.
fn of_static_key() -> LocalWrap {
    vectors().local_wraps.into_iter().find(|vector| vector.key_id == "static").unwrap()
}

fn unwrap(kek: [u8; 32], wrapped: &WrappedKey, context: &[(&str, &str)]) -> Result<DataKey, KeyError> {
    let entropy = SeededEntropy::new(1);
    StaticKey::new(kek).unwrap(wrapped, &EncryptionContext::new(context), &Call::new(&entropy))
}

#[test]
fn a_static_key_wraps_and_unwraps_as_described() {
    let LocalWrap { kek, key_arn, data_key, context, r, wrapped, .. } = of_static_key();
    let (context, known) = (pairs(&context), Known::new(&r));
    let (key, data_key) = (KeyHandle::new(key_arn.as_str(), "1"), DataKey::from_slice(&data_key).unwrap());
    let made = StaticKey::new(kek.array())
        .wrap(&key, &data_key, &EncryptionContext::new(&context), &Call::new(&known))
        .unwrap();
    assert_eq!(made, WrappedKey::new("static", key_arn, "1", wrapped.0));
    let reversed: Vec<_> = context.iter().rev().copied().collect();
    for context in [&context, &reversed] {
        assert_eq!(unwrap(kek.array(), &made, context).unwrap(), data_key);
    }
}

#[test]
fn a_static_key_refuses_every_single_change() {
    let LocalWrap { kek, key_arn, context, wrapped, .. } = of_static_key();
    let context = pairs(&context);
    let check = |what: &str, kek: &[u8], arn: &str, blob: &[u8], context: &[(&str, &str)]| {
        let unwrapped = unwrap(kek.try_into().unwrap(), &WrappedKey::new("static", arn, "1", blob), context);
        assert!(unwrapped.is_err(), "{what}");
    };
    for at in 0..wrapped.len() {
        let mut changed = wrapped.0.clone();
        changed[at] ^= 1 << (at % 8);
        check(&format!("byte {at}"), &kek, &key_arn, &changed, &context);
        check(&format!("{at} bytes"), &kek, &key_arn, &wrapped[..at], &context);
    }
    check("one byte more", &kek, &key_arn, &[&wrapped, [0].as_slice()].concat(), &context);
    check("another key", &[7; 32], &key_arn, &wrapped, &context);
    check("another ARN", &kek, &format!("{key_arn}x"), &wrapped, &context);
    check("no context", &kek, &key_arn, &wrapped, &[]);
    check("half the context", &kek, &key_arn, &wrapped, &context[..1]);
    check("more context", &kek, &key_arn, &wrapped, &[context[0], context[1], ("", "")]);
    check("values exchanged", &kek, &key_arn, &wrapped, &[(context[0].0, context[1].1), (context[1].0, context[0].1)]);
}

#[test]
fn headers_with_wraps_recipients_and_the_root_key_before() {
    let Vectors { store, instance, headers, .. } = vectors();
    assert_eq!(headers.len(), 9);
    for Header { name, root, generation, flags, wraps, former, copy_len, copy_without_zeros, sha256 } in headers {
        let wrap = |Wrap { recovery, requested, provider, arn, version, wrapped }: Wrap| {
            HeaderWrap::new(&requested, recovery, WrappedKey::new(provider, arn, version, wrapped.0))
        };
        let wraps = wraps.into_iter().map(wrap).collect();
        let root = root.array();
        let former = former.map_or_else(Vec::new, |Former { root: before, generation: of, r, sealed }| {
            let (next, before, r) = ((&root, generation), before.array(), Known::new(&r));
            let made = format::former_root(next, store.array(), (&before, of), &r).unwrap();
            assert_eq!(Hex(made), sealed, "{name}: the root key before");
            sealed.0
        });
        let ids = [store.array(), instance.array()];
        let made = format::header(&root, ids, generation, flags, wraps, former).unwrap();
        assert_eq!(made.len(), 2 * copy_len, "{name}");
        let (one, other) = made.split_at(copy_len);
        assert_eq!(one, other, "{name}");
        assert_eq!(one[..copy_without_zeros.len()], *copy_without_zeros, "{name}");
        assert_eq!(digest(&SHA256, &made).as_ref(), &*sha256, "{name}");
    }
}

#[test]
fn heads_of_small_and_of_large_numbers() {
    let heads = vectors().heads;
    assert_eq!(heads.len(), 4);
    for Head { epoch, secrets, revision, records, set_hash, plain } in heads {
        let numbers = [&epoch, &secrets, &revision, &records].map(|number| number.parse().unwrap());
        assert_eq!(Hex(format::head(numbers, set_hash.array()).unwrap()), plain, "epoch {epoch}");
    }
}

#[test]
fn what_a_long_operation_remembers() {
    let jobs = vectors().jobs;
    assert_eq!(jobs.len(), 3);
    for Job { scope, after: [account, region, name], secrets, versions, plain } in jobs {
        let counts = [&secrets, &versions].map(|number| number.parse().unwrap());
        assert_eq!(Hex(format::job(&scope, [&account, &region, &name], counts).unwrap()), plain, "{scope}");
    }
}

/// That they are read as what they say is seen in the stores that hold them.
#[test]
fn secrets_are_written_as_the_script_writes_them() {
    let secrets = vectors().secrets;
    for (prefix, count) in [("rotates/", 6), ("governed/", 3), ("replicated/", 6)] {
        assert_eq!(secrets.iter().filter(|secret| secret.name.starts_with(prefix)).count(), count, "{prefix}");
    }
    for Secret { name, plain } in secrets {
        let written = fuzzing::encode_again("secret", &plain).unwrap_or_else(|| panic!("{name} cannot be read"));
        assert_eq!(Hex(written), plain, "{name}");
    }
}

#[test]
fn elements_of_the_set_hash_and_their_sums_in_any_order() {
    let SetHash { key, elements, sums, .. } = vectors().set_hash;
    assert_eq!((elements.len(), sums.len()), (9, 10));
    for Element { key: record, value, pattern: length, element } in &elements {
        let value = value.clone().unwrap_or_else(|| Hex(pattern(length.unwrap())));
        assert_eq!(format::element(&key.array(), record, &value), **element, "{record}");
    }
    for Sum { of, sum } in &sums {
        let counted = elements[..*of].iter().map(|element| element.element.array());
        assert_eq!(counted.clone().fold([0; 32], format::set_hash_plus), **sum, "{of} elements");
        assert_eq!(counted.clone().rev().fold([0; 32], format::set_hash_plus), **sum, "{of} elements, backwards");
        assert_eq!(counted.fold(sum.array(), format::set_hash_minus), [0; 32], "{of} elements, taken away again");
    }
}

#[test]
fn the_set_hash_carries_through_all_256_bits() {
    let carries = vectors().set_hash.carries;
    assert_eq!(carries.len(), 13);
    for Carry { name, a, b, sum, difference } in carries {
        assert_eq!(format::set_hash_plus(a.array(), b.array()), *sum, "{name}");
        assert_eq!(format::set_hash_plus(b.array(), a.array()), *sum, "{name}, the other way round");
        assert_eq!(format::set_hash_minus(sum.array(), b.array()), *a, "{name}, taken away again");
        assert_eq!(format::set_hash_minus(a.array(), b.array()), *difference, "{name}, the difference");
    }
}

#[test]
fn a_key_file_that_the_script_wrote_opens_and_its_keys_unwrap() {
    let KeyFile { file, context, wraps } = vectors().key_file;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    std::fs::write(&path, &*file).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keyring = LocalKeyring::open(&path).unwrap();
    assert_eq!(keyring.keys().len(), 2);
    let (context, entropy) = (pairs(&context), SeededEntropy::new(1));
    assert_eq!(wraps.len(), 3);
    for KeyFileWrap { key_arn, key_version, data_key, wrapped, enabled } in wraps {
        let what = format!("version {key_version} of {key_arn}");
        let wrapped = WrappedKey::new("local-keyring", key_arn.as_str(), key_version, wrapped.0);
        let unwrapped = keyring.unwrap(&wrapped, &EncryptionContext::new(&context), &Call::new(&entropy));
        match unwrapped {
            Ok(key) => assert!(enabled && *key.expose() == *data_key, "{what}"),
            Err(error) => assert!(!enabled && error == KeyError::Disabled, "{what}: {error}"),
        }
    }
}
