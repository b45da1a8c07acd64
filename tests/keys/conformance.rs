//! The suites for implementers of the seams: what we ship passes them, and what is broken does not.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use strongroom::testing::{
    FaultyBackend, FaultyProvider, RecordingBackend, SeededEntropy, backend_conformance, key_provider_conformance,
};
use strongroom::{
    Backend, BackendError, BackendStats, Batch, Call, DataKey, Durability, EncryptionContext, KEY_NAME_BYTES_MAX,
    KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, LocalKeyring, MemoryBackend, SledBackend, StaticKey, Stored,
    WrappedKey,
};

use crate::fixture::home;

#[test]
fn a_local_keyring_keeps_the_contract_of_providers() {
    let directory = tempfile::tempdir().unwrap();
    let on_file = LocalKeyring::open_or_create(directory.path().join("keys")).unwrap();
    for keyring in [LocalKeyring::in_memory(), on_file] {
        key_provider_conformance(&keyring, None);
        let arn = keyring.create_key(home()).unwrap();
        keyring.create_alias("alias/app", &arn).unwrap();
        let names =
            [&arn, arn.rsplit_once('/').unwrap().1, "alias/app", "arn:aws:kms:us-east-1:000000000000:alias/app"];
        for name in names {
            key_provider_conformance(&keyring, Some(name));
        }
        keyring.rotate_key(&arn).unwrap();
        key_provider_conformance(&keyring, Some(&arn));
    }
}

#[test]
fn a_static_key_keeps_the_contract_of_providers() {
    for name in [None, Some("alias/x"), Some("arn:aws:kms:us-east-1:000000000000:key/x")] {
        key_provider_conformance(&StaticKey::new([7; 32]), name);
    }
}

#[test]
fn a_faulty_provider_keeps_the_contract_while_it_does_not_fail() {
    let provider = FaultyProvider::new(LocalKeyring::in_memory(), 1);
    key_provider_conformance(&provider, None);
    assert!(provider.calls() > 400, "{}", provider.calls());
    provider.fail_with(Some(KeyError::Unavailable));
    assert!(rejects_provider(&provider).is_some());
}

#[test]
fn backends_in_memory_keep_the_contract_of_backends() {
    let (memory, recording) = (MemoryBackend::new(), RecordingBackend::new());
    backend_conformance(|| memory.clone());
    backend_conformance(|| recording.clone());
    let under_faulty = MemoryBackend::new();
    backend_conformance(|| FaultyBackend::new(under_faulty.clone()));
}

#[test]
fn sled_keeps_the_contract_of_backends() {
    let directory = tempfile::tempdir().unwrap();
    backend_conformance(|| SledBackend::open(directory.path(), 16 * 1024 * 1024).unwrap());
    // And with next to no cache.
    let directory = tempfile::tempdir().unwrap();
    backend_conformance(|| SledBackend::open(directory.path(), 1024).unwrap());
}

/// What a broken backend does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Breach {
    None,
    LosesTheLastRecord,
    ShowsTheWrongValue,
    ScansBackwards,
    IgnoresThePrefix,
    IgnoresTheLimit,
    IncludesTheStart,
    KeepsRemovedRecords,
    FirstChangeWins,
    DropsEmptyValues,
    TakesAnySize,
    AppliesHalfABatch,
    CutsLargeRecords,
    ForgetsOnReopening,
    FailsToFlush,
    FailsToClose,
}

/// A backend that can be broken in every way that the suite looks for.
#[derive(Debug, Clone)]
struct Broken {
    records: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    breach: Breach,
}

impl Backend for Broken {
    fn get(&self, key: &[u8]) -> Result<Option<Stored>, BackendError> {
        let found = self.records.lock().unwrap().get(key).cloned();
        Ok(found.map(|mut value| {
            if self.breach == Breach::ShowsTheWrongValue {
                value.reverse();
            }
            Stored::new(value)
        }))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<(Vec<u8>, Stored)>, BackendError> {
        let records = self.records.lock().unwrap();
        let is_after = |key: &Vec<u8>| match self.breach {
            Breach::IncludesTheStart => after.is_none_or(|after| key.as_slice() >= after),
            _ => after.is_none_or(|after| key.as_slice() > after),
        };
        let has_prefix = |key: &Vec<u8>| self.breach == Breach::IgnoresThePrefix || key.starts_with(prefix);
        let limit = if self.breach == Breach::IgnoresTheLimit { usize::MAX } else { limit };
        let found = records.iter().filter(|(key, _)| is_after(key) && has_prefix(key)).take(limit);
        let mut found: Vec<_> = found.map(|(key, value)| (key.clone(), Stored::new(value.clone()))).collect();
        if self.breach == Breach::ScansBackwards {
            found.reverse();
        }
        Ok(found)
    }

    fn commit(&self, batch: &Batch, _: Durability) -> Result<(), BackendError> {
        let mut records = self.records.lock().unwrap();
        let check = batch.check();
        if self.breach != Breach::TakesAnySize && self.breach != Breach::AppliesHalfABatch {
            check?;
        }
        let mut seen = HashSet::new();
        let count = batch.iter().count();
        for (index, (key, value)) in batch.iter().enumerate() {
            if self.breach == Breach::LosesTheLastRecord && count > 1 && index + 1 == count
                || self.breach == Breach::FirstChangeWins && !seen.insert(key.to_vec())
                || self.breach == Breach::DropsEmptyValues && value.is_some_and(<[u8]>::is_empty)
            {
                continue;
            }
            if self.breach == Breach::AppliesHalfABatch {
                let mut one = Batch::new();
                one.put(key.to_vec(), value.unwrap_or_default().to_vec());
                one.check()?;
            }
            match value {
                Some(value) if self.breach == Breach::CutsLargeRecords => {
                    records.insert(key.to_vec(), value[..value.len().min(65_536)].to_vec());
                }
                Some(value) => drop(records.insert(key.to_vec(), value.to_vec())),
                None if self.breach == Breach::KeepsRemovedRecords => {}
                None => drop(records.remove(key)),
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        if self.breach == Breach::FailsToFlush { Err(BackendError::Closed) } else { Ok(()) }
    }

    fn stats(&self) -> Result<BackendStats, BackendError> {
        Ok(BackendStats::new(0))
    }

    fn close(&self) -> Result<(), BackendError> {
        if self.breach == Breach::FailsToClose { Err(BackendError::Closed) } else { Ok(()) }
    }
}

/// What the suite says of a backend. `None`: it passes.
fn rejects_backend(breach: Breach) -> Option<String> {
    let records = Arc::default();
    let open = || {
        let is_forgetful = breach == Breach::ForgetsOnReopening;
        Broken { records: if is_forgetful { Arc::default() } else { Arc::clone(&records) }, breach }
    };
    said(catch_unwind(AssertUnwindSafe(|| backend_conformance(open))))
}

fn said(outcome: std::thread::Result<()>) -> Option<String> {
    let panic = outcome.err()?;
    Some(panic.downcast::<String>().map_or_else(|_| "said nothing readable".to_owned(), |text| *text))
}

#[test]
fn the_suite_rejects_broken_backends() {
    assert_eq!(rejects_backend(Breach::None), None, "the double itself is sound");
    for (breach, complaint) in [
        (Breach::LosesTheLastRecord, "a scan without a prefix gives every key in order"),
        (Breach::ShowsTheWrongValue, "a committed value is read back"),
        (Breach::ScansBackwards, "a scan without a prefix gives every key in order"),
        (Breach::IgnoresThePrefix, "a scan keeps to its prefix"),
        (Breach::IgnoresTheLimit, "a scan keeps to its limit"),
        (Breach::IncludesTheStart, "a scan begins after the key it is given"),
        (Breach::KeepsRemovedRecords, "a removed key is absent"),
        (Breach::FirstChangeWins, "the last change of a key in a batch counts"),
        (Breach::DropsEmptyValues, "an empty value is a value"),
        (Breach::TakesAnySize, "a larger record is refused"),
        (Breach::AppliesHalfABatch, "nothing of a refused batch is applied"),
        (Breach::CutsLargeRecords, "the largest record is read back"),
        (Breach::ForgetsOnReopening, "everything is there after reopening"),
        (Breach::FailsToFlush, "flush"),
        (Breach::FailsToClose, "close"),
    ] {
        let said = rejects_backend(breach).unwrap_or_else(|| panic!("{breach:?} passes"));
        assert!(said.starts_with(complaint), "{breach:?}: {said}");
    }
}

/// What a broken provider does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fraud {
    None,
    NamesNoArn,
    NamesAnotherKey,
    IsNowhere,
    IsDisabled,
    HasNoId,
    WrapsInTheClear,
    WrapsToNothing,
    IgnoresTheContext,
    IgnoresTheEndOfABlob,
    UnwrapsAnything,
    AlwaysMakesTheSameKey,
    DropsItsKeys,
    CallsAMissingKeyAnOutage,
    CallsDamageAnOutage,
    IgnoresTheKey,
    IgnoresTheProvider,
    IgnoresTheNamesInAContext,
    WrapsTheSameEveryTime,
    HasAnEndlessName,
    HasNoDefaultKey,
    FindsAnotherVersionEachTime,
    FailsAfterADeadline,
    ForgetsBesideOthers,
}

#[derive(Debug)]
struct Fraudulent {
    good: StaticKey,
    fraud: Fraud,
    found: AtomicU64,
}

fn values_only<'a>(context: &EncryptionContext<'a>) -> Vec<(&'static str, &'a str)> {
    context.pairs().iter().map(|(_, value)| ("", *value)).collect()
}

fn wrapped_as(wrapped: WrappedKey, key_arn: Arc<str>, blob: Vec<u8>) -> WrappedKey {
    WrappedKey::new(wrapped.provider, key_arn, wrapped.key_version, blob)
}

impl KeyProvider for Fraudulent {
    fn id(&self) -> &str {
        if self.fraud == Fraud::HasNoId { "" } else { self.good.id() }
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        let handle = self.good.resolve(scope, key, call)?;
        match self.fraud {
            Fraud::IsNowhere => Err(KeyError::NotFound),
            Fraud::HasNoDefaultKey if key == KeyRef::Default => Err(KeyError::NotFound),
            Fraud::HasAnEndlessName => Ok(KeyHandle::new(handle.arn, "1".repeat(KEY_NAME_BYTES_MAX + 1))),
            Fraud::FindsAnotherVersionEachTime => {
                Ok(KeyHandle::new(handle.arn, self.found.fetch_add(1, Ordering::SeqCst).to_string()))
            }
            Fraud::FailsAfterADeadline if call.deadline.is_some() => Err(KeyError::Internal),
            Fraud::NamesNoArn => Ok(KeyHandle::new("my key", "1")),
            Fraud::IsDisabled => Ok(handle.with_state(strongroom::KeyState::Disabled)),
            _ => Ok(handle),
        }
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        if self.fraud == Fraud::CallsAMissingKeyAnOutage && key.arn.ends_with("no-such-key") {
            return Err(KeyError::Unavailable);
        }
        let nothing = EncryptionContext::new(&[]);
        let values = values_only(context);
        let values = EncryptionContext::new(&values);
        let bound_to = match self.fraud {
            Fraud::IgnoresTheContext => &nothing,
            Fraud::IgnoresTheNamesInAContext => &values,
            _ => context,
        };
        let always = SeededEntropy::new(1);
        let repeating = Call::new(&always);
        let call = if self.fraud == Fraud::WrapsTheSameEveryTime { &repeating } else { call };
        let one = KeyHandle::new("arn:one", "1");
        let used = if self.fraud == Fraud::IgnoresTheKey { &one } else { key };
        let wrapped = self.good.wrap(used, data_key, bound_to, call)?;
        let wrapped = wrapped_as(wrapped.clone(), key.arn.clone(), wrapped.blob.to_vec());
        let (arn, blob) = (wrapped.key_arn.clone(), wrapped.blob.to_vec());
        Ok(match self.fraud {
            Fraud::NamesAnotherKey => wrapped_as(wrapped, "arn:aws:kms:other".into(), blob),
            Fraud::WrapsToNothing => wrapped_as(wrapped, arn, Vec::new()),
            Fraud::WrapsInTheClear => wrapped_as(wrapped, arn, [&blob, data_key.expose().as_slice()].concat()),
            Fraud::IgnoresTheEndOfABlob => wrapped_as(wrapped, arn, [blob.as_slice(), b"tail"].concat()),
            _ => wrapped,
        })
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        let nothing = EncryptionContext::new(&[]);
        let values = values_only(context);
        let with_provider = |provider: &str, arn: &str| {
            WrappedKey::new(provider, arn, wrapped.key_version.clone(), wrapped.blob.clone())
        };
        match self.fraud {
            Fraud::CallsDamageAnOutage => self.good.unwrap(wrapped, context, call).map_err(|_| KeyError::Internal),
            Fraud::IgnoresTheKey => self.good.unwrap(&with_provider(&wrapped.provider, "arn:one"), context, call),
            Fraud::IgnoresTheProvider => {
                self.good.unwrap(&with_provider(self.good.id(), &wrapped.key_arn), context, call)
            }
            Fraud::IgnoresTheNamesInAContext => self.good.unwrap(wrapped, &EncryptionContext::new(&values), call),
            Fraud::ForgetsBesideOthers if self.found.fetch_add(1, Ordering::SeqCst) > 450 => Err(KeyError::Corrupt),
            Fraud::UnwrapsAnything => Ok(DataKey::from_slice(&[1; 32]).unwrap()),
            Fraud::DropsItsKeys => Err(KeyError::NotFound),
            Fraud::IgnoresTheContext => self.good.unwrap(wrapped, &nothing, call),
            Fraud::IgnoresTheEndOfABlob => {
                let end = wrapped.blob.len().saturating_sub(4);
                let blob = wrapped.blob[..end].to_vec();
                self.good.unwrap(&wrapped_as(wrapped.clone(), wrapped.key_arn.clone(), blob), context, call)
            }
            _ => self.good.unwrap(wrapped, context, call),
        }
    }

    fn generate(
        &self,
        key: &KeyHandle,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<(DataKey, WrappedKey), KeyError> {
        let data_key = match self.fraud {
            Fraud::AlwaysMakesTheSameKey => DataKey::from_slice(&[2; 32]).unwrap(),
            _ => DataKey::generate(call.entropy).map_err(|_| KeyError::Internal)?,
        };
        let wrapped = self.wrap(key, &data_key, context, call)?;
        Ok((data_key, wrapped))
    }
}

fn rejects_provider(provider: &dyn KeyProvider) -> Option<String> {
    said(catch_unwind(AssertUnwindSafe(|| key_provider_conformance(provider, None))))
}

#[test]
fn the_suite_rejects_broken_providers() {
    let rejects =
        |fraud| rejects_provider(&Fraudulent { good: StaticKey::new([7; 32]), fraud, found: AtomicU64::new(0) });
    assert_eq!(rejects(Fraud::None), None, "the double itself is sound");
    for (fraud, complaint) in [
        (Fraud::NamesNoArn, "a key has an ARN"),
        (Fraud::NamesAnotherKey, "a wrapped key names its key"),
        (Fraud::IsNowhere, "the key is found"),
        (Fraud::IsDisabled, "the key is enabled"),
        (Fraud::HasNoId, "a provider has an id"),
        (Fraud::WrapsInTheClear, "a wrapped key does not show the data key"),
        (Fraud::WrapsToNothing, "a wrapped key is not empty"),
        (Fraud::IgnoresTheContext, "another context is refused"),
        (Fraud::IgnoresTheEndOfABlob, "a changed wrapped key is refused"),
        (Fraud::UnwrapsAnything, "unwrap after wrap gives the key back"),
        (Fraud::AlwaysMakesTheSameKey, "generated keys differ"),
        (Fraud::DropsItsKeys, "unwrap after wrap gives the key back"),
        (Fraud::CallsAMissingKeyAnOutage, "a key that is not there is not an outage"),
        (Fraud::CallsDamageAnOutage, "another context is refused"),
        (Fraud::IgnoresTheKey, "a wrapped key under another key's name is refused"),
        (Fraud::IgnoresTheProvider, "what another provider wrapped is refused"),
        (Fraud::IgnoresTheNamesInAContext, "another context is refused"),
        (Fraud::WrapsTheSameEveryTime, "wrapping twice gives two wrapped keys"),
        (Fraud::HasAnEndlessName, "names are not empty and not too long"),
        (Fraud::FindsAnotherVersionEachTime, "the key is found again"),
        (Fraud::FailsAfterADeadline, "a deadline that has passed is the only error that comes of it"),
    ] {
        let said = rejects(fraud).unwrap_or_else(|| panic!("{fraud:?} passes"));
        assert!(said.starts_with(complaint), "{fraud:?}: {said}");
    }
}

#[test]
fn the_suite_rejects_providers_that_break_down_late() {
    let rejects = |fraud, key| {
        let provider = Fraudulent { good: StaticKey::new([7; 32]), fraud, found: AtomicU64::new(0) };
        said(catch_unwind(AssertUnwindSafe(|| key_provider_conformance(&provider, key)))).unwrap()
    };
    assert!(rejects(Fraud::HasNoDefaultKey, Some("alias/x")).starts_with("the default key is found"));
    // In a thread of the suite's own, whose words are lost.
    rejects(Fraud::ForgetsBesideOthers, None);
}

/// A provider that prints its keys is found out.
#[test]
fn the_suite_rejects_a_provider_that_prints_keys() {
    struct Talkative {
        good: StaticKey,
        last: Mutex<Vec<u8>>,
    }
    impl std::fmt::Debug for Talkative {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "last key: {:?}", self.last.lock().unwrap())
        }
    }
    impl KeyProvider for Talkative {
        fn id(&self) -> &str {
            self.good.id()
        }
        fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
            self.good.resolve(scope, key, call)
        }
        fn wrap(
            &self,
            key: &KeyHandle,
            data_key: &DataKey,
            context: &EncryptionContext<'_>,
            call: &Call<'_>,
        ) -> Result<WrappedKey, KeyError> {
            *self.last.lock().unwrap() = data_key.expose().to_vec();
            self.good.wrap(key, data_key, context, call)
        }
        fn unwrap(
            &self,
            wrapped: &WrappedKey,
            context: &EncryptionContext<'_>,
            call: &Call<'_>,
        ) -> Result<DataKey, KeyError> {
            self.good.unwrap(wrapped, context, call)
        }
    }
    let talkative = Talkative { good: StaticKey::new([7; 32]), last: Mutex::default() };
    assert_eq!(rejects_provider(&talkative).as_deref(), Some("nothing secret is in `Debug`"));
}
