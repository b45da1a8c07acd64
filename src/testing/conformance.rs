//! Suites that check an implementation of a seam against its contract. They panic on the first difference.

#![expect(clippy::panic, reason = "a conformance suite reports by panicking, like any test")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::entropy::OsEntropy;
use crate::envelope::provider::{
    Call, DataKey, EncryptionContext, KEY_NAME_BYTES_MAX, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, KeyState,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::envelope::timeout::now;
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

/// Checks a [`KeyProvider`]. `key` names an enabled key that it has; `None`: its default key, which it must have in any
/// case.
///
/// What is checked: keys are found, again and with bounded names; what is wrapped is bounded, different each time, unwraps
/// from eight threads at once, and only under exactly the same context, key and provider; whatever else is unwrapped is
/// refused, and never as an outage; `generate` makes keys that unwrap; a deadline that has passed does no harm; nothing
/// secret is in `Debug` of anything, nor in errors. A provider whose calls leave the machine is called some 1,500 times.
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
    check("the key is found again", ok("resolve", provider.resolve(&scope, key, &call)) == handle);
    check("a key has an ARN", handle.arn.starts_with("arn:"));
    check("a provider has an id", !provider.id().is_empty());
    let id = provider.id().to_owned();
    let default = ok("the default key is found", provider.resolve(&scope, KeyRef::Default, &call));
    check("the default key is enabled", default.state.require_enabled().is_ok());

    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:a-AbCdEf";
    let pairs = [("SecretARN", arn), ("SecretVersionId", "v")];
    let context = EncryptionContext::new(&pairs);
    let data_key = ok("random", DataKey::generate(&entropy));
    let wrapped = ok("wrap", provider.wrap(&handle, &data_key, &context, &call));
    check("a wrapped key names its key", wrapped.key_arn == handle.arn);
    check("a wrapped key is not empty and not too long", (1..=WRAPPED_KEY_BYTES_MAX).contains(&wrapped.blob.len()));
    let names = [&*handle.arn, &handle.version, &wrapped.provider, &wrapped.key_version, &id];
    let are_bounded = names.into_iter().all(|name| (1..=KEY_NAME_BYTES_MAX).contains(&name.len()));
    check("names are not empty and not too long", are_bounded);
    let is_readable = wrapped.blob.windows(32).any(|window| window == data_key.expose());
    check("a wrapped key does not show the data key", !is_readable);

    let unwrap = |wrapped: &WrappedKey, context: &EncryptionContext<'_>| provider.unwrap(wrapped, context, &call);
    check("unwrap after wrap gives the key back", unwrap(&wrapped, &context).as_ref() == Ok(&data_key));
    let again = ok("wrap", provider.wrap(&handle, &data_key, &context, &call));
    check("wrapping twice gives two wrapped keys", again.blob != wrapped.blob);
    check("both of them unwrap", unwrap(&again, &context).as_ref() == Ok(&data_key));
    let swapped = [pairs[1], pairs[0]];
    check("the order of the context does not matter", unwrap(&wrapped, &EncryptionContext::new(&swapped)).is_ok());

    check_contexts(&wrapped, unwrap);
    check_blobs(&wrapped, &context, unwrap);

    let named =
        |provider: &str, arn: &str| WrappedKey::new(provider, arn, wrapped.key_version.clone(), wrapped.blob.clone());
    let foreign = "arn:aws:kms:us-east-1:000000000000:key/no-such-key";
    refused("what another provider wrapped is refused", unwrap(&named("no-such-provider", &handle.arn), &context));
    refused("a wrapped key under another key's name is refused", unwrap(&named(&wrapped.provider, foreign), &context));
    // Another key, if the provider has one by these names.
    for other in [KeyRef::Default, KeyRef::Alias("alias/conformance"), KeyRef::Id("conformance")] {
        let Ok(other) = provider.resolve(&scope, other, &call) else { continue };
        if other.arn == handle.arn || other.state.require_enabled().is_err() {
            continue;
        }
        let theirs = ok("wrap", provider.wrap(&other, &data_key, &context, &call));
        check("another key's wrapped key unwraps", unwrap(&theirs, &context).as_ref() == Ok(&data_key));
        let as_ours = WrappedKey::new(theirs.provider, handle.arn.clone(), wrapped.key_version.clone(), theirs.blob);
        refused("another key's wrapped key is refused", unwrap(&as_ours, &context));
    }

    let (made, generated) = ok("generate", provider.generate(&handle, &context, &call));
    check("a generated key names its key", generated.key_arn == handle.arn);
    check("a generated key unwraps", unwrap(&generated, &context) == Ok(made));
    let (another, _) = ok("generate", provider.generate(&handle, &context, &call));
    let (third, wrapped) = ok("generate", provider.generate(&handle, &context, &call));
    check("generated keys differ", another != third);

    let missing = provider.wrap(&KeyHandle::new(foreign, "1"), &third, &context, &call);
    if let Err(error) = &missing {
        check("a key that is not there is not an outage", matches!(error, KeyError::NotFound | KeyError::AccessDenied));
    }
    let damaged = unwrap(&with_blob(&wrapped, &[1, 2, 3]), &context).err();
    check("the last key unwraps", unwrap(&wrapped, &context).as_ref() == Ok(&third));
    let shown = format!("{provider:?} {handle:?} {third:?} {wrapped:?} {missing:?} {damaged:?}");
    let hex: String = third.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    let is_shown = [hex.to_uppercase(), hex, format!("{:?}", third.expose())].iter().any(|key| shown.contains(key));
    check("nothing secret is in `Debug`", !is_shown);

    // A deadline is a wish: it may be kept or not, but what comes of it is the answer or `Timeout`.
    let late = now().checked_sub(Duration::from_secs(1)).map_or(call, |passed| call.with_deadline(passed));
    let is_harmless = match provider.unwrap(&wrapped, &context, &late) {
        Ok(unwrapped) => unwrapped == third,
        Err(error) => error == KeyError::Timeout,
    };
    check("a deadline that has passed does no harm", is_harmless);
    let searched = provider.resolve(&scope, key, &late).err();
    let wrapped_late = provider.wrap(&handle, &third, &context, &late).err();
    let is_harmless = [searched, wrapped_late].into_iter().flatten().all(|error| error == KeyError::Timeout);
    check("a deadline that has passed is the only error that comes of it", is_harmless);
    check("the next call is as good as any", unwrap(&wrapped, &context) == Ok(third));

    thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                for _ in 0..25 {
                    let (made, wrapped) = ok("generate", provider.generate(&handle, &context, &Call::new(&entropy)));
                    check("a key unwraps beside other threads", unwrap(&wrapped, &context) == Ok(made));
                }
            });
        }
    });
    check("the id of a provider stays", provider.id() == id);
}

/// A refusal that is about what was asked, and not about the provider.
fn refused(what: &str, answer: Result<DataKey, KeyError>) {
    match answer {
        Ok(_) => panic!("{what}: it unwraps"),
        Err(error) => assert!(!error.is_outage(), "{what}: {error:?} is an outage"),
    }
}

fn with_blob(wrapped: &WrappedKey, blob: &[u8]) -> WrappedKey {
    WrappedKey::new(wrapped.provider.clone(), wrapped.key_arn.clone(), wrapped.key_version.clone(), blob)
}

/// Every context but the one of the suite is refused.
fn check_contexts(
    wrapped: &WrappedKey,
    unwrap: impl Fn(&WrappedKey, &EncryptionContext<'_>) -> Result<DataKey, KeyError>,
) {
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:a-AbCdEf";
    let (first, second) = (("SecretARN", arn), ("SecretVersionId", "v"));
    for other in [
        // Each value and each name changed.
        &[first, ("SecretVersionId", "w")][..],
        &[("SecretARN", "arn"), second],
        &[("SecretArn", arn), second],
        &[first, ("SecretVersionID", "v")],
        &[first, ("SecretVersionId", "")],
        // Each pair dropped, and both.
        &[first],
        &[second],
        &[],
        // A pair added.
        &[first, second, ("more", "x")],
        &[first, second, ("", "")],
        &[first, second, second],
        // The same letters, divided otherwise.
        &[first, ("SecretVersionI", "dv")],
        &[("SecretARN", "v"), ("SecretVersionId", arn)],
    ] {
        refused("another context is refused", unwrap(wrapped, &EncryptionContext::new(other)));
    }
}

/// Every other blob than the one that was wrapped is refused.
fn check_blobs(
    wrapped: &WrappedKey,
    context: &EncryptionContext<'_>,
    unwrap: impl Fn(&WrappedKey, &EncryptionContext<'_>) -> Result<DataKey, KeyError>,
) {
    for length in 0..wrapped.blob.len() {
        let cut = wrapped.blob.get(..length).unwrap_or_default();
        refused("a cut wrapped key is refused", unwrap(&with_blob(wrapped, cut), context));
        let mut flipped = wrapped.blob.to_vec();
        if let Some(byte) = flipped.get_mut(length) {
            *byte ^= 1;
        }
        refused("a changed wrapped key is refused", unwrap(&with_blob(wrapped, &flipped), context));
    }
    for length in [1, WRAPPED_KEY_BYTES_MAX, WRAPPED_KEY_BYTES_MAX + 1] {
        for byte in [0, 0xff] {
            let invented = vec![byte; length];
            refused("an invented wrapped key is refused", unwrap(&with_blob(wrapped, &invented), context));
        }
    }
    // A good one with something behind it.
    for length in [wrapped.blob.len() + 1, WRAPPED_KEY_BYTES_MAX, WRAPPED_KEY_BYTES_MAX + 1] {
        let mut longer = wrapped.blob.to_vec();
        longer.resize(length.max(longer.len() + 1), 0);
        refused("an oversized wrapped key is refused", unwrap(&with_blob(wrapped, &longer), context));
    }
}

/// Checks what a [`KeyProvider`] with key states does in each of them. `key` names a key that it has, enabled at first.
/// `set_state` puts the key into a state, and answers whether the provider has that state; it must have
/// [`KeyState::Enabled`].
///
/// In every state the key is found, with that state, and nothing but an enabled key wraps, makes or unwraps data keys; the
/// error is the one that stands for the state. Enabled again, the key opens everything that it wrapped.
///
/// # Panics
///
/// If the provider does not keep its contract.
pub fn key_provider_state_conformance(
    provider: &(impl KeyProvider + ?Sized),
    key: &str,
    set_state: impl Fn(KeyState) -> bool,
) {
    let entropy = OsEntropy::default();
    let call = Call::new(&entropy);
    let scope = KeyScope::new("aws", "000000000000", "us-east-1");
    let key = KeyRef::parse(key);
    let pairs =
        [("SecretARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:a-AbCdEf"), ("SecretVersionId", "v")];
    let context = EncryptionContext::new(&pairs);

    check("the key can be enabled", set_state(KeyState::Enabled));
    let enabled = ok("the key is found", provider.resolve(&scope, key, &call));
    let (data_key, wrapped) = ok("generate", provider.generate(&enabled, &context, &call));
    let states = [KeyState::Disabled, KeyState::PendingDeletion, KeyState::PendingImport, KeyState::Unavailable];
    for state in states {
        if !set_state(state) {
            continue;
        }
        let said = |what: &str| format!("{state:?}: {what}");
        let expected = state.require_enabled().err();
        let handle = ok(&said("the key is found in every state"), provider.resolve(&scope, key, &call));
        check(&said("the key is the same in every state"), handle.arn == enabled.arn);
        check(&said("the state is told"), handle.state == state);
        // Somebody may have looked before the state was set.
        for handle in [&handle, &enabled] {
            let wrapped = provider.wrap(handle, &data_key, &context, &call).map(drop).err();
            check(&said("nothing is wrapped"), wrapped == expected);
            let generated = provider.generate(handle, &context, &call).map(drop).err();
            check(&said("nothing is made"), generated == expected);
        }
        let unwrapped = provider.unwrap(&wrapped, &context, &call).map(drop).err();
        check(&said("nothing is unwrapped"), unwrapped == expected);
        check("the key can be enabled", set_state(KeyState::Enabled));
        let handle = ok("the key is found", provider.resolve(&scope, key, &call));
        check(&said("an enabled key says so"), handle.state == KeyState::Enabled);
        check(
            &said("what was wrapped before opens"),
            provider.unwrap(&wrapped, &context, &call).as_ref() == Ok(&data_key),
        );
        let (made, wrapped) = ok(&said("generate"), provider.generate(&handle, &context, &call));
        check(&said("the key works again"), provider.unwrap(&wrapped, &context, &call) == Ok(made));
    }
}
