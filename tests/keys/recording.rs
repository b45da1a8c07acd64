//! What a store asks its key provider, call by call.

use strongroom::testing::{FaultyProvider, ProviderOperation, RecordingProvider, ReplyFault};
use strongroom::{
    Call, DataKey, EncryptionContext, ExportOptions, ImportOptions, KeyError, KeyProvider, LocalKeyring, MemoryBackend,
    OsEntropy, StaticKey, WRAPPED_KEY_BYTES_MAX,
};

use crate::doubles::{PAIRS, Scripted, find, make};
use crate::fixture::{World, home, id};

use ProviderOperation::{Generate, Resolve, Unwrap, Wrap};

#[test]
fn calls_are_recorded_in_their_order_with_what_became_of_them() {
    let inner = Scripted::new("inner", 7);
    let provider = RecordingProvider::new(inner.clone());
    let handle = find(&provider, "alias/x").unwrap();
    let (data_key, wrapped) = make(&provider, &handle).unwrap();
    find(&provider, "").unwrap();
    let (entropy, context) = (OsEntropy::default(), EncryptionContext::new(&PAIRS[..1]));
    let call = Call::new(&entropy);
    provider.unwrap(&wrapped, &context, &call).unwrap_err();
    inner.fail_with(Some(KeyError::Throttled));
    provider.wrap(&handle, &data_key, &EncryptionContext::new(&[]), &call).unwrap_err();
    let found: Vec<_> = provider
        .calls()
        .into_iter()
        .map(|call| (call.operation, call.key, call.context.len(), call.provider, call.outcome))
        .collect();
    let arn = "arn:aws:kms:us-east-1:000000000000:alias/x".to_owned();
    let row = |operation, key: &str, pairs, outcome| (operation, key.to_owned(), pairs, "inner".to_owned(), outcome);
    assert_eq!(
        found,
        [
            row(Resolve, "alias/x", 0, Some(Ok(()))),
            row(Generate, &arn, 2, Some(Ok(()))),
            row(Resolve, "alias/aws/secretsmanager", 0, Some(Ok(()))),
            row(Unwrap, &arn, 1, Some(Err(KeyError::Corrupt))),
            row(Wrap, &arn, 0, Some(Err(KeyError::Throttled))),
        ]
    );
    assert_eq!(provider.clone().take_calls().len(), 5, "clones share the record");
    assert_eq!((provider.calls(), provider.count(Resolve)), (vec![], 0));
}

/// A panic, and a record that is taken away during a call.
#[test]
fn a_call_without_an_answer_is_recorded_without_an_outcome() {
    let inner = Scripted::new("inner", 7);
    let provider = RecordingProvider::new(inner.clone());
    inner.panic_from_now_on(true);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| find(&provider, "")));
    assert!(panicked.is_err());
    inner.panic_from_now_on(false);
    assert_eq!(provider.take_calls()[0].outcome, None);

    let gate = FaultyProvider::new(inner, 1);
    let provider = RecordingProvider::new(gate.clone());
    std::thread::scope(|threads| {
        let _end = crate::doubles::ReleasesAtTheEnd(&gate);
        gate.hold("alias/slow");
        let slow = threads.spawn(|| find(&provider, "alias/slow").unwrap());
        assert!(gate.wait_for_held(1, crate::doubles::PATIENCE));
        assert_eq!(provider.take_calls()[0].outcome, None);
        find(&provider, "alias/quick").unwrap();
        gate.release();
        slow.join().unwrap();
    });
    let left: Vec<_> = provider.calls().into_iter().map(|call| (call.key, call.outcome)).collect();
    assert_eq!(left, [("alias/quick".to_owned(), Some(Ok(())))]);
}

/// Everything that a store does with keys is bound to what it is for, and to nothing else.
#[test]
fn a_store_uses_exactly_the_contexts_of_the_service_and_its_own() {
    let keyring = LocalKeyring::in_memory();
    let [one, two] = [(); 2].map(|()| keyring.create_key(home()).unwrap());
    let provider = RecordingProvider::new(keyring);
    let backend = MemoryBackend::new();
    let world = World::on(backend.clone(), provider.clone());
    world.create("s", &one).unwrap();
    world.put("s", 2, &[]).unwrap();
    world.put("s", 2, &[]).unwrap();
    world.read("s").unwrap();
    world.read_version("s", 1).unwrap();
    world.change_key("s", &two).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("export");
    world.store.export(&path, &provider, &ExportOptions::new(), &mut |_| ()).unwrap();
    let report = world.store.import(&path, &provider, &ImportOptions::new().dry_run(true), &mut |_| ()).unwrap();
    assert_eq!(report.created, 0);
    world.store.close().unwrap();
    let world = World::on(backend, provider.clone());
    world.read("s").unwrap();
    world.store.maintain().unwrap();
    let checked = provider.check_contexts().unwrap_or_else(|call| panic!("{call:?}"));
    let calls = provider.calls();
    assert_eq!(checked, calls.len() - provider.count(Resolve));
    let arn = world.describe("s").arn;
    let of = |name: &str, value: &str| {
        let is_it = |(n, v): &(String, String)| n == name && v.contains(value);
        calls.iter().filter(|call| call.context.iter().any(is_it)).count()
    };
    assert!(of("strongroom:store", "") >= 2, "made and opened");
    assert!(of("strongroom:export", "") >= 1);
    assert_eq!(of("SecretARN", &arn), of("SecretVersionId", ""));
    for version in [1, 2] {
        assert!(of("SecretVersionId", &id(version)) >= 2, "made, read and wrapped anew");
    }
    assert!(calls.iter().all(|call| call.provider == "local-keyring" && call.outcome == Some(Ok(()))));
}

#[test]
fn another_context_is_found_out() {
    let arn = PAIRS[0];
    let entropy = OsEntropy::default();
    let data_key = DataKey::from_slice(&[1; 32]).unwrap();
    for (pairs, is_fine) in [
        (&PAIRS[..], true),
        (&[PAIRS[1], PAIRS[0]], true),
        (&[("strongroom:store", "1")], true),
        (&[("strongroom:export", "1")], true),
        (&[], false),
        (&[arn], false),
        (&[arn, ("SecretVersionId", "")], false),
        (&[("SecretARN", "s"), PAIRS[1]], false),
        (&[arn, PAIRS[1], ("more", "x")], false),
        (&[("strongroom:store", "")], false),
        (&[("strongroom:store", "1"), ("strongroom:export", "1")], false),
        (&[("store", "1")], false),
    ] {
        let provider = RecordingProvider::new(StaticKey::new([7; 32]));
        let handle = find(&provider, "").unwrap();
        make(&provider, &handle).unwrap();
        provider.wrap(&handle, &data_key, &EncryptionContext::new(pairs), &Call::new(&entropy)).unwrap();
        let found = provider.check_contexts();
        assert_eq!(found.as_ref().ok(), is_fine.then_some(&2), "{pairs:?}");
        assert!(found.err().is_none_or(|call| call.operation == Wrap && call.context.len() == pairs.len()));
    }
}

#[test]
fn a_record_shows_no_key() {
    let provider = RecordingProvider::new(StaticKey::new([0xcd; 32]));
    let handle = find(&provider, "").unwrap();
    let data_key = DataKey::from_slice(&[0xab; 32]).unwrap();
    let entropy = OsEntropy::default();
    provider.wrap(&handle, &data_key, &EncryptionContext::new(&PAIRS), &Call::new(&entropy)).unwrap();
    let shown = format!("{provider:?} {:?}", provider.calls()).to_lowercase();
    for key in ["abab", "cdcd", "171, 171", "205, 205"] {
        assert!(!shown.contains(key), "{shown}");
    }
}

/// The replies of a provider that is told to spoil them, and again with the same seed.
#[test]
fn spoiled_replies_are_what_they_are_called_and_the_same_for_each_seed() {
    let spoiled = |seed, fault| {
        let provider = FaultyProvider::new(StaticKey::new([7; 32]), seed);
        let handle = find(&provider, "").unwrap();
        let entropy = strongroom::testing::SeededEntropy::new(9);
        let context = EncryptionContext::new(&PAIRS);
        let good = provider.generate(&handle, &context, &Call::new(&entropy)).unwrap().1.blob;
        provider.spoil_with(Some(fault));
        let entropy = strongroom::testing::SeededEntropy::new(9);
        let bad = provider.generate(&handle, &context, &Call::new(&entropy)).unwrap().1.blob;
        (good, bad)
    };
    for fault in ReplyFault::ALL {
        for seed in 0..50 {
            let (good, bad) = spoiled(seed, fault);
            let differences = good.iter().zip(&bad).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            let is_so = match fault {
                ReplyFault::Empty => bad.is_empty(),
                ReplyFault::Oversized => bad.len() == WRAPPED_KEY_BYTES_MAX + 1,
                ReplyFault::Truncated => (1..good.len()).contains(&bad.len()) && differences == 0,
                ReplyFault::Lengthened => bad.len() == good.len() + 1 && differences == 0,
                ReplyFault::BitFlipped => bad.len() == good.len() && differences == 1,
                other => panic!("{other:?} is not known"),
            };
            assert!(is_so, "{fault:?} {seed}");
            assert_eq!(spoiled(seed, fault), (good, bad), "{fault:?} {seed}");
        }
    }
}
