//! Memory that is given back holds no value and no key.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{
    BatchGetSecretValueRequest, Call, CreateSecretRequest, DataKey, DeleteSecretRequest, EncryptionContext, Entropy,
    EntropyError, Filter, FilterKey, GetRandomPasswordRequest, GetSecretValueRequest, KeyProvider, KeyRef, KeyScope,
    LocalKeyring, PutSecretValueRequest, Result, SecretBytes, SecretStore, SecretString, SecretValue, SecretsManager,
    StaticKey, UpdateSecretRequest, limits,
};
use zeroize::Zeroizing;

use crate::allocator::{SECRET_BYTES, Watch, secret_byte};

/// A value that is nowhere else, made letter by letter.
fn watch() -> Watch {
    Watch::new(|at| b"kqzxjv"[at * at % 6] ^ u8::try_from(at % 3).unwrap())
}

fn token(number: usize) -> String {
    format!("token-{number:030}")
}

/// Sizes around the steps of the padding, and the largest.
const SIZES: [usize; 6] = [SECRET_BYTES, 28, 252, 253, 5_000, limits::VALUE_BYTES_MAX];

type Work = fn(&Watch);

#[test]
fn the_watch_sees_what_is_left_behind_and_only_that() {
    let watch = watch();
    let rows: [(&str, Work, usize); 6] = [
        ("a text that is dropped as it is", |watch| drop(watch.text(100)), 1),
        ("bytes in a box", |watch| drop(watch.bytes(100).into_boxed_slice()), 1),
        ("a text that was wiped", |watch| drop(Zeroizing::new(watch.text(100))), 0),
        ("a value of the library", |watch| drop(SecretValue::from(watch.text(100))), 0),
        ("half of the secret", |watch| drop(watch.bytes(SECRET_BYTES / 2)), 0),
        (
            "a buffer that grew and was wiped",
            |watch| {
                let mut grown = Zeroizing::new(watch.bytes(SECRET_BYTES));
                grown.reserve_exact(100_000);
            },
            1,
        ),
    ];
    for (row, work, expected) in rows {
        assert_eq!(watch.during(|| work(&watch)).1, expected, "{row}");
    }
    let thread = |watch: &Watch| std::thread::scope(|threads| drop(threads.spawn(|| drop(watch.text(50))).join()));
    assert_eq!(watch.during(|| thread(&watch)).1, 1, "other threads are watched too");
}

/// Makes a call and fails if a block was freed with the value in it.
fn clean<T>(watch: &Watch, call: &str, work: impl FnOnce() -> T) -> T {
    let (done, found) = watch.during(work);
    assert_eq!(found, 0, "{call} left the value in {found} freed blocks");
    done
}

fn check_read(watch: &Watch, read: &strongroom::GetSecretValueResponse, size: usize) {
    let text = read.secret_string.as_ref().map(|text| text.expose().as_bytes());
    let value = text.or(read.secret_binary.as_ref().map(SecretBytes::expose)).unwrap();
    assert!(value.len() == size && watch.is_secret(value), "another value was read");
}

/// Every call that carries a value, with values of one size. Whatever a call returns is dropped while it is watched.
fn every_call_with_a_value(watch: &Watch, secrets: &SecretsManager, size: usize) {
    let name = format!("secret-{size}");
    let binary = format!("binary-{size}");
    let text = || SecretString::from(watch.text(size));
    let bytes = || SecretBytes::from(watch.bytes(size));
    let create = || CreateSecretRequest::new(&name).client_request_token(token(1)).secret_string(text());
    let put = || PutSecretValueRequest::new(&name, text()).client_request_token(token(2));
    let update = || UpdateSecretRequest::new(&name).client_request_token(token(3)).secret_string(text());

    clean(watch, "create", || secrets.create_secret(create()).map(drop)).unwrap();
    clean(watch, "create, repeated", || secrets.create_secret(create()).map(drop)).unwrap();
    let request = || CreateSecretRequest::new(&binary).client_request_token(token(1)).secret_binary(bytes());
    clean(watch, "create with bytes", || secrets.create_secret(request()).map(drop)).unwrap();
    clean(watch, "create with bytes, repeated", || secrets.create_secret(request()).map(drop)).unwrap();
    clean(watch, "put", || secrets.put_secret_value(put()).map(drop)).unwrap();
    clean(watch, "put, repeated", || secrets.put_secret_value(put()).map(drop)).unwrap();
    let request = || PutSecretValueRequest::new(&binary, bytes()).client_request_token(token(2));
    clean(watch, "put bytes", || secrets.put_secret_value(request()).map(drop)).unwrap();
    clean(watch, "put bytes, repeated", || secrets.put_secret_value(request()).map(drop)).unwrap();
    clean(watch, "update", || secrets.update_secret(update()).map(drop)).unwrap();
    clean(watch, "update, repeated", || secrets.update_secret(update()).map(drop)).unwrap();
    let request = || UpdateSecretRequest::new(&name).kms_key_id("alias/another");
    clean(watch, "update of the key", || secrets.update_secret(request()).map(drop)).unwrap();

    for request in [
        GetSecretValueRequest::new(&name),
        GetSecretValueRequest::new(&name).version_id(token(1)),
        GetSecretValueRequest::new(&name).version_stage("AWSPREVIOUS"),
        GetSecretValueRequest::new(&binary),
    ] {
        clean(watch, "get", || check_read(watch, &secrets.get_secret_value(request).unwrap(), size));
    }
    clean(watch, "batch get by ids", || {
        let ids = [name.as_str(), binary.as_str(), "nothing"];
        let batch = secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list(ids)).unwrap();
        assert_eq!((batch.secret_values.len(), batch.errors.len()), (2, 1));
    });
    clean(watch, "batch get by filters", || {
        let filter = Filter::new(FilterKey::Name, [name.as_str(), binary.as_str()]);
        let batch = secrets.batch_get_secret_value(BatchGetSecretValueRequest::new().filters([filter])).unwrap();
        assert_eq!(batch.secret_values.len(), 2);
    });
    refused_calls(watch, secrets, &name, size);
    let delete = || DeleteSecretRequest::new(&name).force_delete_without_recovery(true);
    clean(watch, "delete", || secrets.delete_secret(delete()).map(drop)).unwrap();
}

type Attempt<'a> = Box<dyn Fn() -> Result<()> + 'a>;

/// Calls that bring a value and are refused.
fn refused_calls(watch: &Watch, secrets: &SecretsManager, name: &str, size: usize) {
    let other = |size| SecretString::from(watch.text(size));
    let rows: Vec<(&str, Attempt<'_>)> = vec![
        ("an empty id", Box::new(|| secrets.put_secret_value(PutSecretValueRequest::new("", other(size))).map(drop))),
        (
            "a bad name",
            Box::new(|| secrets.create_secret(CreateSecretRequest::new("a b").secret_string(other(size))).map(drop)),
        ),
        (
            "no such secret",
            Box::new(|| secrets.put_secret_value(PutSecretValueRequest::new("no", other(size))).map(drop)),
        ),
        (
            "an existing name",
            Box::new(|| secrets.create_secret(CreateSecretRequest::new(name).secret_string(other(size))).map(drop)),
        ),
        (
            "a token with another value",
            Box::new(|| {
                let put = PutSecretValueRequest::new(name, other(size + SECRET_BYTES).expose().len().to_string());
                secrets.put_secret_value(put.client_request_token(token(2))).map(drop)
            }),
        ),
        (
            "a token with another value of the same kind",
            Box::new(|| {
                let update = UpdateSecretRequest::new(name).client_request_token(token(2));
                let size = if size > SECRET_BYTES { size - 1 } else { size + 1 };
                secrets.update_secret(update.secret_string(other(size))).map(drop)
            }),
        ),
        (
            "a token that is too short",
            Box::new(|| {
                let put = PutSecretValueRequest::new(name, other(size)).client_request_token("short");
                secrets.put_secret_value(put).map(drop)
            }),
        ),
        (
            "both forms",
            Box::new(|| {
                let update = UpdateSecretRequest::new(name).secret_string(other(size));
                secrets.update_secret(update.secret_binary(watch.bytes(size))).map(drop)
            }),
        ),
        (
            "too long a text",
            Box::new(|| {
                let create = CreateSecretRequest::new("new").secret_string(other(limits::VALUE_BYTES_MAX + 1));
                secrets.create_secret(create).map(drop)
            }),
        ),
        (
            "too many bytes",
            Box::new(|| {
                let put = PutSecretValueRequest::new(name, watch.bytes(limits::VALUE_BYTES_MAX + 1));
                secrets.put_secret_value(put).map(drop)
            }),
        ),
        (
            "a rotation token that is too long",
            Box::new(|| {
                let put = PutSecretValueRequest::new(name, other(size)).rotation_token(watch.text(300));
                secrets.put_secret_value(put).map(drop)
            }),
        ),
    ];
    for (row, call) in rows {
        let refused = clean(watch, row, || call().map_err(|error| format!("{error} {error:?} {error:#?}")));
        drop(refused.expect_err(row));
    }
}

#[test]
fn no_call_leaves_a_value_in_memory_that_it_gives_back() {
    let watch = watch();
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    for size in SIZES {
        every_call_with_a_value(&watch, &store.default_secrets_manager(), size);
    }
    clean(&watch, "close", || store.close().unwrap());
}

/// The same over files: nothing in the clear reaches the storage engine's caches and buffers.
#[test]
fn no_call_on_files_leaves_a_value_in_memory_that_it_gives_back() {
    let watch = watch();
    let place = tempfile::tempdir().unwrap();
    let open = || {
        let builder = SecretStore::builder(place.path().join("store"));
        builder.key_provider(StaticKey::new([7; 32])).open().unwrap()
    };
    let store = open();
    every_call_with_a_value(&watch, &store.default_secrets_manager(), 1_000);
    clean(&watch, "close", || store.close().unwrap());
    let store = clean(&watch, "open", open);
    clean(&watch, "maintain", || store.maintain().map(drop)).unwrap();
    clean(&watch, "close", || store.close().unwrap());
}

#[test]
fn a_call_that_is_refused_because_of_its_key_leaves_no_value() {
    let watch = watch();
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let store = SecretStore::in_memory().key_provider(keyring.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    let create = CreateSecretRequest::new("main").kms_key_id(&key).secret_string(watch.text(500));
    clean(&watch, "create", || secrets.create_secret(create).map(drop)).unwrap();
    keyring.disable_key(&key).unwrap();
    let put = || secrets.put_secret_value(PutSecretValueRequest::new("main", watch.text(500))).map(drop);
    assert_eq!(clean(&watch, "put", put).unwrap_err().code(), "EncryptionFailure");
    let get = || secrets.get_secret_value(GetSecretValueRequest::new("main")).map(drop);
    assert_eq!(clean(&watch, "get", get).unwrap_err().code(), "DecryptionFailure");
    let create = || {
        let create = CreateSecretRequest::new("new").kms_key_id("alias/missing").secret_string(watch.text(500));
        secrets.create_secret(create).map(drop)
    };
    assert_eq!(clean(&watch, "create", create).unwrap_err().code(), "AccessDeniedException");
}

/// A password of one letter is known before it is made.
#[test]
fn a_random_password_is_not_left_in_memory() {
    let watch = Watch::new(|_| b'q');
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
    let secrets = store.default_secrets_manager();
    for length in [40, 4_096] {
        let others: String = ('a'..='z').filter(|letter| *letter != 'q').collect();
        let request = GetRandomPasswordRequest::new().password_length(length).exclude_characters(others);
        let request = request.exclude_numbers(true).exclude_punctuation(true).exclude_uppercase(true);
        clean(&watch, "get a random password", || {
            let made = secrets.get_random_password(request).unwrap();
            let password = made.random_password.expose().as_bytes();
            assert!(i64::try_from(password.len()) == Ok(length) && watch.is_secret(password));
        });
    }
}

/// A random source that makes every key the one that is looked for, of which it holds no copy itself. Nothing else asks
/// for 32 bytes but salts.
#[derive(Debug, Clone)]
struct KeyMaker {
    inner: SeededEntropy,
    made: Arc<AtomicU64>,
}

impl KeyMaker {
    fn new() -> Self {
        Self { inner: SeededEntropy::new(5), made: Arc::default() }
    }
}

impl Entropy for KeyMaker {
    fn fill(&self, dest: &mut [u8]) -> std::result::Result<(), EntropyError> {
        if dest.len() == 32 {
            dest.iter_mut().enumerate().for_each(|(at, byte)| *byte = secret_byte(at));
            self.made.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.inner.fill(dest)
    }

    fn is_for_tests(&self) -> bool {
        true
    }
}

/// The root key of the store and the data keys of versions.
#[test]
fn no_key_of_a_store_is_left_in_memory() {
    let watch = watch();
    let maker = KeyMaker::new();
    let open = || {
        let builder = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).entropy(maker.clone());
        builder.clock(ManualClock::at_millis(1_700_000_000_000)).open().unwrap()
    };
    let store = clean(&watch, "open", open);
    let secrets = store.default_secrets_manager();
    assert!(maker.made.load(Ordering::Relaxed) > 0, "the root key is not the one that is looked for");
    let create = CreateSecretRequest::new("main").client_request_token(token(1)).secret_string("first");
    clean(&watch, "create", || secrets.create_secret(create).map(drop)).unwrap();
    for _ in 0..2 {
        let put = PutSecretValueRequest::new("main", "second").client_request_token(token(2));
        clean(&watch, "put", || secrets.put_secret_value(put).map(drop)).unwrap();
    }
    clean(&watch, "get", || secrets.get_secret_value(GetSecretValueRequest::new("main")).map(drop)).unwrap();
    let rewrap = UpdateSecretRequest::new("main").kms_key_id("alias/another");
    clean(&watch, "update", || secrets.update_secret(rewrap).map(drop)).unwrap();
    clean(&watch, "close", || {
        drop(secrets);
        store.close().unwrap();
    });
}

#[test]
fn no_key_in_hand_is_left_in_memory() {
    let watch = watch();
    let key = std::array::from_fn(secret_byte);
    clean(&watch, "a static key", || drop(StaticKey::new(key)));
    clean(&watch, "a data key", || drop(DataKey::from_slice(&key).unwrap()));
    clean(&watch, "a store under a static key", || {
        let store = SecretStore::in_memory().key_provider(StaticKey::new(key)).open().unwrap();
        let secrets = store.default_secrets_manager();
        secrets.create_secret(CreateSecretRequest::new("main").secret_string("value")).unwrap();
        secrets.get_secret_value(GetSecretValueRequest::new("main")).unwrap();
        drop(secrets);
        store.close().unwrap();
    });
}

/// A life of a keyring, of which every key and every data key is the one that is looked for.
#[test]
fn no_key_of_a_keyring_is_left_in_memory() {
    let watch = watch();
    let maker = KeyMaker::new();
    let scope = KeyScope::new("aws", "000000000000", "us-east-1");
    let keyring = clean(&watch, "make", || LocalKeyring::in_memory_with_entropy(maker.clone()));
    let key = clean(&watch, "create a key", || keyring.create_key(scope)).unwrap();
    for _ in 0..10 {
        clean(&watch, "rotate", || keyring.rotate_key(&key)).unwrap();
    }
    for _ in 0..10 {
        clean(&watch, "create another key", || keyring.create_key(scope)).unwrap();
    }
    assert!(maker.made.load(Ordering::Relaxed) >= 21);
    let call = Call::new(&maker);
    let pairs = [("SecretARN", "arn"), ("SecretVersionId", "id")];
    let context = EncryptionContext::new(&pairs);
    clean(&watch, "generate and unwrap", || {
        let handle = keyring.resolve(&scope, KeyRef::Default, &call).unwrap();
        let (data_key, wrapped) = keyring.generate(&handle, &context, &call).unwrap();
        let unwrapped = keyring.unwrap(&wrapped, &context, &call).unwrap();
        assert!(unwrapped == data_key && watch.is_secret(unwrapped.expose()));
        assert!(keyring.unwrap(&wrapped, &EncryptionContext::new(&[]), &call).is_err());
    });
    clean(&watch, "switch off and on", || {
        keyring.disable_key(&key).unwrap();
        keyring.enable_key(&key).unwrap();
        keyring.schedule_key_deletion(&key).unwrap();
        keyring.create_alias("alias/main", &key).unwrap();
        drop(keyring.keys());
    });
    clean(&watch, "drop", || drop(keyring));
}

/// The first key of a key file, read without leaving a copy on the heap.
fn watch_first_key(path: &Path) -> Watch {
    let mut file = Zeroizing::new(std::fs::read(path).unwrap());
    // Key material is the only field of 32 bytes.
    let marker = 32_u32.to_be_bytes();
    let start = file.windows(4).position(|window| window == marker).unwrap() + 4;
    let watch = Watch::new(|at| file[start + at]);
    file.fill(0);
    watch
}

#[test]
fn no_key_of_a_key_file_is_left_in_memory() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keys");
    let scope = KeyScope::new("aws", "000000000000", "us-east-1");
    let key = LocalKeyring::open_or_create(&path).unwrap().create_key(scope).unwrap();
    let watch = watch_first_key(&path);
    let keyring = clean(&watch, "open", || LocalKeyring::open(&path)).unwrap();
    let other = clean(&watch, "open or create", || LocalKeyring::open_or_create(&path)).unwrap();
    clean(&watch, "reload", || other.reload()).unwrap();
    for _ in 0..20 {
        clean(&watch, "create another key", || keyring.create_key(scope)).unwrap();
        clean(&watch, "rotate", || keyring.rotate_key(&key)).unwrap();
    }
    clean(&watch, "create an alias", || keyring.create_alias("alias/main", &key)).unwrap();
    clean(&watch, "disable", || keyring.disable_key(&key)).unwrap();
    clean(&watch, "fail", || keyring.disable_key("no-such-key").map_err(drop)).unwrap_err();
    clean(&watch, "reload", || other.reload()).unwrap();
    clean(&watch, "drop", || drop((keyring, other)));

    let mut bytes = Zeroizing::new(std::fs::read(&path).unwrap());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &*bytes).unwrap();
    bytes.fill(0);
    clean(&watch, "open a damaged file", || LocalKeyring::open(&path).map(drop).map_err(drop)).unwrap_err();
}
