//! Suites that check an implementation of a seam against its contract. They panic on the first difference.

#![expect(clippy::panic, reason = "a conformance suite reports by panicking, like any test")]

use std::sync::Arc;
use std::thread;

use crate::entropy::OsEntropy;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, WRAPPED_KEY_BYTES_MAX,
    WrappedKey,
};
use crate::storage::{Backend, Batch, Durability, KEY_BYTES_MAX, RECORD_BYTES_MAX};

fn ok<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

fn check(what: &str, holds: bool) {
    assert!(holds, "{what}");
}

fn batch(changes: &[(&[u8], Option<&[u8]>)]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key.to_vec(), value.to_vec()),
            None => batch.remove(key.to_vec()),
        }
    }
    batch
}

/// Checks a [`Backend`]. `open` opens the same data each time it is called, empty at first; the suite closes one before
/// it opens the next.
///
/// # Panics
///
/// If the backend does not keep its contract.
pub fn backend_conformance<B: Backend + 'static>(open: impl Fn() -> B) {
    let get = |backend: &B, key: &[u8]| ok("get", backend.get(key)).map(|stored| stored.as_ref().to_vec());
    let keys = |backend: &B, prefix: &[u8], after: Option<&[u8]>, limit| -> Vec<Vec<u8>> {
        ok("scan", backend.scan(prefix, after, limit)).into_iter().map(|(key, _)| key).collect()
    };

    let backend = open();
    check("a new backend is empty", get(&backend, b"a").is_none() && keys(&backend, b"", None, 10).is_empty());

    let first = batch(&[(b"a1", Some(b"one")), (b"a2", Some(b"")), (b"b", Some(b"three")), (b"\xff", Some(b"last"))]);
    ok("commit", backend.commit(&first, Durability::Immediate));
    check("a committed value is read back", get(&backend, b"a1").as_deref() == Some(b"one"));
    check("an empty value is a value", get(&backend, b"a2").as_deref() == Some(b""));
    check("other keys are absent", get(&backend, b"a").is_none() && get(&backend, b"a11").is_none());

    let all: [&[u8]; 4] = [b"a1", b"a2", b"b", b"\xff"];
    check("a scan without a prefix gives every key in order", keys(&backend, b"", None, 10) == all);
    check("a scan keeps to its prefix", keys(&backend, b"a", None, 10) == all[..2]);
    check("a scan keeps to its limit", keys(&backend, b"", None, 3) == all[..3]);
    check("a scan begins after the key it is given", keys(&backend, b"", Some(b"a2"), 10) == all[2..]);
    check("the key need not exist", keys(&backend, b"", Some(b"a20"), 10) == all[2..]);
    check("a key before the prefix does no harm", keys(&backend, b"b", Some(b"a1"), 10) == all[2..3]);
    check("a prefix of high bytes works", keys(&backend, b"\xff", None, 10) == all[3..]);

    let second =
        batch(&[(b"a1", None), (b"b", Some(b"four")), (b"b", Some(b"five")), (b"none", None), (b"c", Some(b"6"))]);
    ok("commit", backend.commit(&second, Durability::Eventual));
    check("a removed key is absent", get(&backend, b"a1").is_none());
    check("the last change of a key in a batch counts", get(&backend, b"b").as_deref() == Some(b"five"));
    ok("flush", backend.flush());

    let largest = vec![0xa5; RECORD_BYTES_MAX];
    let longest = vec![b'k'; KEY_BYTES_MAX];
    ok("the largest record is taken", backend.commit(&batch(&[(&longest, Some(&largest))]), Durability::Immediate));
    check("the largest record is read back", get(&backend, &longest).as_deref() == Some(&largest));
    let too_large = vec![0; RECORD_BYTES_MAX + 1];
    let refused = batch(&[(b"d", Some(b"7")), (b"e", Some(&too_large))]);
    check("a larger record is refused", backend.commit(&refused, Durability::Immediate).is_err());
    check("nothing of a refused batch is applied", get(&backend, b"d").is_none() && get(&backend, b"e").is_none());
    ok("stats", backend.stats());
    ok("close", backend.close());
    drop(backend);

    let backend = open();
    check("everything is there after reopening", get(&backend, b"b").as_deref() == Some(b"five"));
    check("what was removed stays removed", get(&backend, b"a1").is_none());
    check("the largest record is there after reopening", get(&backend, &longest).as_deref() == Some(&largest));
    let backend = Arc::new(backend);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let backend = Arc::clone(&backend);
            thread::spawn(move || {
                (0..200).all(|_| {
                    let value = backend.get(b"counter").ok().flatten().map(|stored| stored.as_ref().to_vec());
                    value
                        .is_none_or(|value| value.len() == 1000 && value.iter().all(|byte| Some(byte) == value.first()))
                })
            })
        })
        .collect();
    for round in 0..100_u8 {
        ok("commit", backend.commit(&batch(&[(b"counter", Some(&[round; 1000]))]), Durability::Eventual));
    }
    for reader in readers {
        check("readers beside a writer see whole values", reader.join().unwrap_or(false));
    }
    ok("close", backend.close());
}

/// Checks a [`KeyProvider`]. `key` names an enabled key that it has; `None`: its default key.
///
/// # Panics
///
/// If the provider does not keep its contract.
pub fn key_provider_conformance(provider: &(impl KeyProvider + ?Sized), key: Option<&str>) {
    let entropy = OsEntropy::default();
    let call = Call::new(&entropy);
    let scope = KeyScope::new("aws", "000000000000", "us-east-1");
    let key = key.map_or(KeyRef::Default, KeyRef::parse);

    let handle = ok("the key is found", provider.resolve(&scope, key, &call));
    check("the key is enabled", handle.state.require_enabled().is_ok());
    check("the key is found again", ok("resolve", provider.resolve(&scope, key, &call)).arn == handle.arn);
    check("a key has an ARN", handle.arn.starts_with("arn:"));
    check("a provider has an id", !provider.id().is_empty());

    let pairs =
        [("SecretARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:a-AbCdEf"), ("SecretVersionId", "v")];
    let context = EncryptionContext::new(&pairs);
    let data_key = ok("random", DataKey::generate(&entropy));
    let wrapped = ok("wrap", provider.wrap(&handle, &data_key, &context, &call));
    check("a wrapped key names its key", wrapped.key_arn == handle.arn);
    check("a wrapped key is not empty and not too long", (1..=WRAPPED_KEY_BYTES_MAX).contains(&wrapped.blob.len()));
    let is_readable = wrapped.blob.windows(32).any(|window| window == data_key.expose());
    check("a wrapped key does not show the data key", !is_readable);

    let unwrap = |wrapped: &WrappedKey, context: &EncryptionContext<'_>| provider.unwrap(wrapped, context, &call);
    check("unwrap after wrap gives the key back", unwrap(&wrapped, &context) == Ok(data_key));
    let swapped = [pairs[1], pairs[0]];
    check("the order of the context does not matter", unwrap(&wrapped, &EncryptionContext::new(&swapped)).is_ok());

    for other in [
        &[("SecretARN", pairs[0].1), ("SecretVersionId", "w")][..],
        &[("SecretARN", "arn"), ("SecretVersionId", "v")],
        &[pairs[0]],
        &[],
    ] {
        check("another context is refused", unwrap(&wrapped, &EncryptionContext::new(other)).is_err());
    }
    let with_blob = |blob: &[u8]| {
        WrappedKey::new(wrapped.provider.clone(), wrapped.key_arn.clone(), wrapped.key_version.clone(), blob)
    };
    for length in 0..wrapped.blob.len() {
        let cut = wrapped.blob.get(..length).unwrap_or_default();
        check("a cut wrapped key is refused", unwrap(&with_blob(cut), &context).is_err());
        let mut flipped = wrapped.blob.to_vec();
        if let Some(byte) = flipped.get_mut(length) {
            *byte ^= 1;
        }
        check("a changed wrapped key is refused", unwrap(&with_blob(&flipped), &context).is_err());
    }
    let huge = vec![0; WRAPPED_KEY_BYTES_MAX + 1];
    check("an oversized wrapped key is refused", unwrap(&with_blob(&huge), &context).is_err());

    let (made, wrapped) = ok("generate", provider.generate(&handle, &context, &call));
    check("a generated key unwraps", unwrap(&wrapped, &context) == Ok(made));
    let (another, _) = ok("generate", provider.generate(&handle, &context, &call));
    let (third, _) = ok("generate", provider.generate(&handle, &context, &call));
    check("generated keys differ", another != third);

    let foreign = KeyHandle::new("arn:aws:kms:us-east-1:000000000000:key/no-such-key", "1");
    if let Err(error) = provider.wrap(&foreign, &third, &context, &call) {
        check("a key that is not there is not an outage", matches!(error, KeyError::NotFound | KeyError::AccessDenied));
    }
    let shown = format!("{provider:?} {third:?} {wrapped:?}");
    let hex: String = third.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    check("nothing secret is in `Debug`", !shown.contains(&hex) && !shown.contains(&format!("{:?}", third.expose())));

    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    let (made, wrapped) = ok("generate", provider.generate(&handle, &context, &Call::new(&entropy)));
                    check("a key unwraps beside other threads", unwrap(&wrapped, &context) == Ok(made));
                }
            });
        }
    });
}
