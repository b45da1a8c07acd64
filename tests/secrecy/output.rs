//! Output: no value and no key in anything that can be printed.

use std::error::Error as _;
use std::fmt::Debug;

use strongroom::testing::{FaultyBackend, FaultyProvider, ManualClock, RecordingBackend, SeededEntropy};
use strongroom::{
    Backend, Batch, BatchGetSecretValueRequest, Call, CreateSecretRequest, DataKey, EncryptionContext, Error,
    GetRandomPasswordRequest, GetSecretValueRequest, KeyProvider, KeyRef, KeyScope, LocalKeyring, MemoryBackend,
    OsEntropy, PutSecretValueRequest, SecretBytes, SecretStore, SecretString, SecretValue, SledBackend, StaticKey,
    Stored, UpdateSecretRequest, limits,
};

/// Digits are not in it, so that no number can look like it.
const CANARY: &str = "canary-zwxqvkjy-PLMNBTRW-canary-hg";

/// Every way in which `Debug` might write bytes down.
fn forms(secret: &[u8]) -> Vec<String> {
    let list = format!("{:?}", &secret[..8]);
    let inner = list.trim_matches(['[', ']']).to_owned();
    let lines = inner.replace(", ", ",\n        ");
    let compact: String = secret[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![inner, lines, compact.to_uppercase(), compact];
    if let Ok(text) = str::from_utf8(&secret[..12]) {
        forms.push(text.to_owned());
    }
    forms
}

fn shows(output: &str, secret: &[u8]) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    forms(secret).iter().any(|form| output.contains(form) || squeezed(output).contains(&squeezed(form)))
}

fn check(what: &str, value: &dyn Debug) {
    for output in [format!("{value:?}"), format!("{value:#?}")] {
        for secret in [CANARY.as_bytes(), &KEY] {
            assert!(!shows(&output, secret), "{what} shows a secret: {output}");
        }
    }
}

/// A key that is as recognisable as the canary.
const KEY: [u8; 32] = *b"key-of-the-canary-QWZXVKJYPLMNBT";

#[test]
fn the_check_recognises_a_secret_in_every_form() {
    let canary = CANARY.as_bytes();
    for output in [format!("{CANARY:?}"), format!("{canary:?}"), format!("{canary:#?}"), format!("{canary:x?}")] {
        let hex = output.replace(", ", "");
        assert!(shows(&output, canary) || shows(&hex, canary), "{output}");
    }
    assert!(!shows("SecretString([redacted; 34 bytes])", canary));
}

#[test]
fn values_and_what_carries_them_show_nothing() {
    check("SecretString", &SecretString::from(CANARY));
    check("SecretBytes", &SecretBytes::from(CANARY.as_bytes()));
    check("SecretValue", &[SecretValue::from(CANARY), SecretValue::from(CANARY.as_bytes())]);
    let text = || SecretString::from(CANARY);
    let bytes = || SecretBytes::from(CANARY.as_bytes());
    check("CreateSecretRequest", &CreateSecretRequest::new("name").secret_string(text()).secret_binary(bytes()));
    check("PutSecretValueRequest", &PutSecretValueRequest::new("name", CANARY).rotation_token(CANARY));
    check("PutSecretValueRequest", &PutSecretValueRequest::new("name", CANARY.as_bytes()));
    check("UpdateSecretRequest", &UpdateSecretRequest::new("name").secret_string(text()).secret_binary(bytes()));
    check("Some(SecretString)", &Some(vec![text()]));

    let store = SecretStore::in_memory().key_provider(StaticKey::new(KEY)).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("text").secret_string(CANARY)).unwrap();
    secrets.create_secret(CreateSecretRequest::new("bytes").secret_binary(bytes())).unwrap();
    for name in ["text", "bytes"] {
        let read = secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        let value = read.secret_string.as_ref().map(|text| text.expose().as_bytes());
        assert_eq!(value.or(read.secret_binary.as_ref().map(SecretBytes::expose)), Some(CANARY.as_bytes()));
        check("GetSecretValueResponse", &read);
    }
    let batch = BatchGetSecretValueRequest::new().secret_id_list(["text", "bytes", "none"]);
    let batch = secrets.batch_get_secret_value(batch).unwrap();
    assert_eq!(batch.secret_values.len(), 2);
    check("SecretValueEntry", &batch.secret_values[0]);
    check("BatchGetSecretValueError", &batch.errors[0]);
    check("BatchGetSecretValueResponse", &batch);

    let made = secrets.get_random_password(GetRandomPasswordRequest::new().password_length(64)).unwrap();
    for output in [format!("{made:?}"), format!("{made:#?}")] {
        assert!(!shows(&output, made.random_password.expose().as_bytes()), "{output}");
    }
}

#[test]
fn keys_and_what_holds_them_show_nothing() {
    let scope = KeyScope::new("aws", "000000000000", "us-east-1");
    let (provider, entropy) = (StaticKey::new(KEY), OsEntropy::default());
    let call = Call::new(&entropy);
    let handle = provider.resolve(&scope, KeyRef::Default, &call).unwrap();
    let data_key = DataKey::from_slice(&KEY).unwrap();
    let wrapped = provider.wrap(&handle, &data_key, &EncryptionContext::new(&[]), &call).unwrap();
    for output in [format!("{wrapped:?}"), format!("{wrapped:#?}")] {
        assert!(!shows(&output, &wrapped.blob), "WrappedKey shows its bytes: {output}");
    }
    check("StaticKey", &provider);
    check("DataKey", &data_key);
    check("KeyHandle", &handle);
    check("WrappedKey", &wrapped);
    check("Call", &call);
    check("OsEntropy", &entropy);
    check("FaultyProvider", &FaultyProvider::new(StaticKey::new(KEY), 1));

    /// Makes the recognisable key, and nothing else.
    #[derive(Debug)]
    struct Fixed;
    impl strongroom::Entropy for Fixed {
        fn fill(&self, dest: &mut [u8]) -> Result<(), strongroom::EntropyError> {
            dest.iter_mut().zip(KEY).for_each(|(byte, key)| *byte = key);
            Ok(())
        }
    }
    let keyring = LocalKeyring::in_memory_with_entropy(Fixed);
    keyring.create_key(scope).unwrap();
    check("LocalKeyring", &keyring);
    check("KeyDescription", &keyring.keys());
    check("a store with fixed keys", &SecretStore::in_memory().key_provider(keyring).entropy(Fixed).open().unwrap());
}

#[test]
fn a_seeded_source_does_not_show_what_comes_next() {
    let entropy = SeededEntropy::new(42);
    let mut next = [0; 32];
    strongroom::Entropy::fill(&entropy.clone(), &mut next).unwrap();
    let output = format!("{:?} {:#?}", SeededEntropy::new(42), entropy);
    assert!(!shows(&output, &next), "{output}");
}

#[test]
fn stores_and_backends_show_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (memory, recording) = (MemoryBackend::new(), RecordingBackend::new());
    let faulty = FaultyBackend::new(MemoryBackend::new());
    for builder in [
        SecretStore::builder(place.path().join("store")),
        SecretStore::with_backend(memory.clone()),
        SecretStore::with_backend(recording.clone()),
        SecretStore::with_backend(faulty.clone()),
    ] {
        let builder = builder.key_provider(StaticKey::new(KEY)).clock(ManualClock::at_millis(0)).test_only(true);
        check("Builder", &builder);
        let store = builder.open().unwrap();
        let secrets = store.default_secrets_manager();
        let create = CreateSecretRequest::new(CANARY).secret_string(CANARY).description(CANARY);
        secrets.create_secret(create).unwrap();
        secrets.get_secret_value(GetSecretValueRequest::new(CANARY)).unwrap();
        store.warm_up().unwrap();
        let value = SecretString::from(CANARY);
        drop(value);
        // The name and the description are no secrets to whoever holds the store; the value and the key are.
        let output = format!("{store:?} {store:#?} {secrets:?} {:?}", store.stats().unwrap());
        assert!(!shows(&output, &KEY), "{output}");
    }
    let sealed = |backend: &dyn Backend| format!("{backend:?} {backend:#?}");
    for output in [sealed(&memory), sealed(&recording), sealed(&faulty)] {
        assert!(!shows(&output, CANARY.as_bytes()) && !shows(&output, &KEY));
    }
    let sled = SledBackend::open(place.path().join("sled"), 1 << 20).unwrap();
    let mut batch = Batch::new();
    batch.put(b"key".to_vec(), b"sealed".to_vec());
    sled.commit(&batch, strongroom::Durability::Immediate).unwrap();
    check("SledBackend", &sled);
    check("Batch", &batch);
    check("Stored", &Stored::new(CANARY.as_bytes().to_vec()));
}

/// A store keeps no value in anything it can print, whatever it was asked to do.
#[test]
fn a_store_that_has_values_does_not_print_them() {
    let store = SecretStore::in_memory().key_provider(StaticKey::new(KEY)).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new("a").secret_string(CANARY)).unwrap();
    secrets.put_secret_value(PutSecretValueRequest::new("a", CANARY)).unwrap();
    let read = secrets.get_secret_value(GetSecretValueRequest::new("a")).unwrap();
    store.warm_up().unwrap();
    check("SecretStore", &store);
    check("SecretsManager", &secrets);
    drop(read);
}

/// Everything that can be got out of an error.
fn everything_of(error: &Error) -> String {
    let mut output = format!("{error} {error:?} {error:#?} {} {} {:?}", error.code(), error.message(), error.kind());
    let mut source = error.source();
    while let Some(error) = source {
        output += &format!(" {error} {error:?} {error:#?}");
        source = error.source();
    }
    output
}

#[test]
fn no_error_of_a_refused_call_contains_its_value() {
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let faulty = FaultyBackend::new(MemoryBackend::new());
    let store = SecretStore::with_backend(faulty.clone()).key_provider(keyring.clone()).open().unwrap();
    let secrets = store.default_secrets_manager();
    let token = || "token-000000000000000000000000000000".to_owned();
    let create = CreateSecretRequest::new("main").client_request_token(token()).kms_key_id(&key);
    secrets.create_secret(create.secret_string("another value")).unwrap();
    let put = |id: &str| PutSecretValueRequest::new(id, CANARY);
    let long = || CANARY.repeat(limits::VALUE_BYTES_MAX / CANARY.len() + 1);
    let mut refused = Vec::new();
    let mut add = |row: &'static str, error: Error| refused.push((row, error));

    add("too long a text", secrets.put_secret_value(PutSecretValueRequest::new("main", long())).unwrap_err());
    let bytes = PutSecretValueRequest::new("main", long().into_bytes());
    add("too many bytes", secrets.put_secret_value(bytes).unwrap_err());
    let create = CreateSecretRequest::new("new").secret_string(long()).secret_binary(long().into_bytes());
    add("both too long", secrets.create_secret(create).unwrap_err());
    add(
        "too long an update",
        secrets.update_secret(UpdateSecretRequest::new("main").secret_string(long())).unwrap_err(),
    );
    let both = UpdateSecretRequest::new("main").secret_string(CANARY).secret_binary(CANARY.as_bytes());
    add("both forms", secrets.update_secret(both).unwrap_err());
    add("no such secret", secrets.put_secret_value(put("missing")).unwrap_err());
    add("a bad id", secrets.put_secret_value(put("a b")).unwrap_err());
    add("an empty id", secrets.put_secret_value(put("")).unwrap_err());
    add("a used token", secrets.put_secret_value(put("main").client_request_token(token())).unwrap_err());
    add("a short token", secrets.put_secret_value(put("main").client_request_token("short")).unwrap_err());
    add("no labels", secrets.put_secret_value(put("main").version_stages([""; 0])).unwrap_err());
    let rotation = put("main").rotation_token(format!("{CANARY} {}", CANARY.repeat(10)));
    add("a bad rotation token", secrets.put_secret_value(rotation).unwrap_err());
    let short = put("main").rotation_token(CANARY.chars().take(20).collect::<String>());
    add("a short rotation token", secrets.put_secret_value(short).unwrap_err());
    let create = CreateSecretRequest::new("main").secret_string(CANARY);
    add("an existing name", secrets.create_secret(create).unwrap_err());
    let create = CreateSecretRequest::new("new").secret_string(CANARY).kms_key_id("alias/missing");
    add("no such key", secrets.create_secret(create).unwrap_err());
    keyring.disable_key(&key).unwrap();
    add("a disabled key", secrets.put_secret_value(put("main")).unwrap_err());
    add("a disabled key to compare with", {
        let put = put("main").client_request_token(token());
        secrets.put_secret_value(put).unwrap_err()
    });
    keyring.enable_key(&key).unwrap();
    faulty.fail_reads(0);
    add("a failing read", secrets.put_secret_value(put("main")).unwrap_err());
    faulty.fail_reads(u64::MAX);
    faulty.fail_commit(0);
    add("a failing commit", secrets.put_secret_value(put("main")).unwrap_err());
    add("a poisoned store", secrets.put_secret_value(put("main")).unwrap_err());
    drop(store);

    for (row, error) in refused {
        let output = everything_of(&error);
        assert!(!shows(&output, CANARY.as_bytes()), "{row}: {output}");
    }
}
