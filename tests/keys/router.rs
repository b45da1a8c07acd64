//! Several providers behind one.

use strongroom::testing::{ProviderOperation, RecordingProvider};
use strongroom::{
    DataKey, EncryptionContext, KeyError, KeyFaultReason, KeyHandle, KeyOperation, KeyProvider, KeyState, LocalKeyring,
    MemoryBackend, RouterProvider, StaticKey, WrappedKey,
};

use crate::doubles::{Scripted, find, make, open};
use crate::fixture::{World, home, key_failure};

#[test]
fn a_key_goes_to_the_first_route_that_matches_what_was_written() {
    let rows = [
        ("", "default"),
        ("alias/aws/secretsmanager", "default"),
        ("alias/pay", "pay"),
        ("alias/payments", "pay"),
        ("alias/repayments", "default"),
        ("arn:aws:kms:us-east-1:000000000000:alias/payments", "pay"),
        ("arn:aws:kms:us-east-1:000000000000:alias/else", "default"),
        ("arn:aws:kms:us-east-1:111111111111:key/1234", "theirs"),
        ("arn:aws:kms:us-east-1:111111111111:alias/payments", "pay"),
        ("exact", "theirs"),
        ("exactly", "default"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "default"),
        ("not a key \u{1f511} * at all", "default"),
    ];
    let default = RecordingProvider::new(Scripted::new("default", 1));
    let pay = RecordingProvider::new(Scripted::new("pay", 2));
    let theirs = RecordingProvider::new(Scripted::new("theirs", 3));
    let router = RouterProvider::new(default.clone())
        .route("alias/pay*", pay.clone())
        .route("arn:*:alias/pay*", pay.clone())
        .route("arn:aws:kms:*:111111111111:*", theirs.clone())
        .route("exact", theirs.clone());
    for (written, expected) in rows {
        let handle = find(&router, written).unwrap();
        let (_, wrapped) = make(&router, &handle).unwrap();
        assert_eq!(&*wrapped.provider, expected, "{written}");
        for (name, provider) in [("default", &default), ("pay", &pay), ("theirs", &theirs)] {
            let asked: Vec<_> = provider.take_calls().into_iter().map(|call| call.operation).collect();
            let all = [ProviderOperation::Resolve, ProviderOperation::Generate];
            assert_eq!(asked, if name == expected { &all[..] } else { &[] }, "{written}: {name}");
        }
    }
}

/// An ARN says nothing of the alias that led to it.
#[test]
fn a_key_that_was_found_by_its_alias_is_used_by_whoever_found_it() {
    let payments = LocalKeyring::in_memory();
    let key = payments.create_key(home()).unwrap();
    payments.create_alias("alias/payments", &key).unwrap();
    let world = World::over(RouterProvider::new(StaticKey::new([7; 32])).route("alias/pay*", payments.clone()));
    world.create("card", "alias/payments").unwrap();
    world.create("mail", "alias/mail").unwrap();
    for _ in 0..3 {
        world.put("card", 2, &[]).unwrap();
    }
    payments.disable_key(&key).unwrap();
    assert_eq!(world.read("mail").unwrap(), "1");
    let disabled = (KeyFaultReason::Disabled, KeyOperation::Unwrap);
    key_failure(world.read("card"), "DecryptionFailure", &key, disabled.0, disabled.1);
    key_failure(world.put("card", 3, &[]), "EncryptionFailure", &key, KeyFaultReason::Disabled, KeyOperation::Wrap);
    payments.enable_key(&key).unwrap();
    world.change_key("card", "alias/mail").unwrap();
    payments.disable_key(&key).unwrap();
    assert_eq!(world.read("card").unwrap(), "2", "the key in hand opens it now");
}

/// The same ARN from two providers, whose keys have versions of their own.
#[test]
fn keys_with_one_arn_and_two_versions_are_told_apart() {
    let [here, there] = ["here", "there"].map(|id| StaticKey::with_id(id, [7; 32]).unwrap());
    let router = RouterProvider::new(here).route("alias/x", there);
    let by_alias = find(&router, "alias/x").unwrap();
    let by_arn = find(&router, "arn:aws:kms:us-east-1:000000000000:alias/x").unwrap();
    assert_eq!(by_alias.arn, by_arn.arn);
    for (handle, expected) in [(&by_alias, "there"), (&by_arn, "here"), (&by_alias, "there")] {
        assert_eq!(&*make(&router, handle).unwrap().1.key_version, expected);
    }
}

/// A handle that another router found, as after a restart.
#[test]
fn a_key_that_nobody_remembers_is_used_by_whoever_has_it() {
    let rings = [LocalKeyring::in_memory(), LocalKeyring::in_memory(), LocalKeyring::in_memory()];
    let router = || {
        let router = RouterProvider::new(rings[0].clone()).route("alias/one", rings[1].clone());
        router.route("alias/two", rings[2].clone())
    };
    for ring in &rings {
        let key = ring.create_key(home()).unwrap();
        let handle = find(ring, &key).unwrap();
        let (data_key, wrapped) = make(&router(), &handle).unwrap();
        assert_eq!((open(ring, &wrapped), open(&router(), &wrapped).is_ok()), (Ok(data_key), true));
        ring.disable_key(&key).unwrap();
        assert_eq!(make(&router(), &handle).unwrap_err(), KeyError::Disabled);
    }
    let missing = KeyHandle::new("arn:aws:kms:us-east-1:000000000000:key/none", "1");
    assert_eq!(make(&router(), &missing).unwrap_err(), KeyError::NotFound);
    let down = router().route("alias/three", Scripted::new("down", 1).failing(KeyError::Unavailable));
    assert_eq!(make(&down, &missing).unwrap_err(), KeyError::Unavailable, "it may be there");
}

#[test]
fn a_provider_for_older_keys_is_never_asked_for_anything_new() {
    let old = RecordingProvider::new(Scripted::new("old", 1));
    let router = RouterProvider::new(LocalKeyring::in_memory()).also(old.clone());
    assert_eq!(find(&router, "alias/missing"), Err(KeyError::NotFound));
    let missing = KeyHandle::new("arn:aws:kms:us-east-1:000000000000:key/none", "1");
    assert_eq!(make(&router, &missing).unwrap_err(), KeyError::NotFound);
    make(&router, &find(&router, "").unwrap()).unwrap();
    assert_eq!(old.take_calls(), []);
    let (data_key, wrapped) = make(&old, &find(&old, "alias/x").unwrap()).unwrap();
    assert_eq!(open(&router, &wrapped), Ok(data_key));
}

/// What several providers of one id answer, and what the router makes of it; then how many of them were asked.
#[test]
fn a_wrapped_key_is_tried_with_every_provider_of_its_id() {
    use KeyError as E;
    type Answer = Result<(), KeyError>;
    let rows: [(&[Answer], Answer, u64); 21] = [
        (&[Err(E::NotFound), Err(E::NotFound)], Err(E::NotFound), 2),
        (&[Ok(()), Err(E::Corrupt)], Ok(()), 1),
        (&[Err(E::NotFound), Ok(())], Ok(()), 2),
        (&[Err(E::Corrupt), Ok(())], Ok(()), 2),
        (&[Err(E::Corrupt), Err(E::NotFound), Ok(())], Ok(()), 3),
        (&[Err(E::Corrupt), Err(E::NotFound)], Err(E::Corrupt), 2),
        (&[Err(E::NotFound), Err(E::Corrupt)], Err(E::Corrupt), 2),
        (&[Err(E::Unavailable), Ok(())], Ok(()), 2),
        (&[Err(E::Unavailable), Err(E::NotFound)], Err(E::Unavailable), 2),
        (&[Err(E::NotFound), Err(E::Timeout)], Err(E::Timeout), 2),
        (&[Err(E::Corrupt), Err(E::Throttled)], Err(E::Throttled), 2),
        (&[Err(E::Throttled), Err(E::Corrupt)], Err(E::Throttled), 2),
        (&[Err(E::Throttled), Err(E::Timeout)], Err(E::Throttled), 2),
        (&[Err(E::Internal), Err(E::Entropy), Err(E::NotFound)], Err(E::Internal), 3),
        (&[Err(E::Disabled), Ok(())], Err(E::Disabled), 1),
        (&[Err(E::PendingDeletion), Ok(())], Err(E::PendingDeletion), 1),
        (&[Err(E::PendingImport), Ok(())], Err(E::PendingImport), 1),
        (&[Err(E::AccessDenied), Ok(())], Err(E::AccessDenied), 1),
        (&[Err(E::WrongUsage), Ok(())], Err(E::WrongUsage), 1),
        (&[Err(E::NotFound), Err(E::Disabled), Ok(())], Err(E::Disabled), 2),
        (&[Err(E::Corrupt), Err(E::Disabled), Ok(())], Err(E::Corrupt), 2),
    ];
    let maker = Scripted::new("same", 7);
    let (data_key, wrapped) = make(&maker, &find(&maker, "alias/x").unwrap()).unwrap();
    for (answers, expected, asked) in rows {
        let providers: Vec<Scripted> = answers
            .iter()
            .map(|answer| {
                let provider = Scripted::new("same", 7);
                provider.fail_with(answer.clone().err());
                provider
            })
            .collect();
        let strangers = [Scripted::new("stranger", 7), Scripted::new("stranger", 7), Scripted::new("stranger", 7)];
        // As default, as routes, and as older ones: the order is what counts.
        let older = |router: RouterProvider, providers: &[Scripted]| {
            providers.iter().fold(router, |router, provider| router.also(provider.clone()))
        };
        let routes = |providers: &[Scripted]| {
            let begin = RouterProvider::new(strangers[0].clone()).route("x", strangers[1].clone());
            providers.iter().fold(begin, |router, provider| router.route("alias/*", provider.clone()))
        };
        let first = RouterProvider::new(providers[0].clone()).also(strangers[2].clone());
        for router in
            [older(first, &providers[1..]), routes(&providers), older(routes(&providers[..1]), &providers[1..])]
        {
            let before: u64 = providers.iter().map(Scripted::calls).sum();
            let answer = open(&router, &wrapped);
            assert_eq!(answer.as_ref(), expected.as_ref().map(|()| &data_key), "{answers:?}");
            assert_eq!(providers.iter().map(Scripted::calls).sum::<u64>() - before, asked, "{answers:?}");
        }
        assert!(strangers.iter().all(|stranger| stranger.calls() == 0), "another id was asked");
    }
}

#[test]
fn a_wrapped_key_of_an_unknown_provider_is_not_found() {
    let asked = Scripted::new("known", 7);
    let router = RouterProvider::new(asked.clone()).route("*", asked.clone()).also(asked.clone());
    for provider in ["", "unknown", "Known", "known ", "router", "*"] {
        let wrapped = WrappedKey::new(provider, "arn:x", "1", vec![1; 100]);
        assert_eq!(open(&router, &wrapped), Err(KeyError::NotFound), "{provider}");
    }
    assert_eq!(asked.calls(), 0);
}

/// Two keys under one id of a provider, as with two passphrases.
#[test]
fn a_key_that_does_not_fit_does_not_hide_the_one_that_does() {
    let (first, second) = (StaticKey::new([1; 32]), StaticKey::new([2; 32]));
    let (data_key, wrapped) = make(&second, &find(&second, "alias/x").unwrap()).unwrap();
    assert_eq!(open(&first, &wrapped), Err(KeyError::Corrupt));
    assert_eq!(open(&RouterProvider::new(first).also(second), &wrapped), Ok(data_key));
}

#[test]
fn a_router_can_be_put_over_a_store_and_taken_away_again() {
    let backend = MemoryBackend::new();
    let key = || StaticKey::new([7; 32]);
    let nested = || RouterProvider::new(LocalKeyring::in_memory()).route("*", RouterProvider::new(key()));
    let twice = || RouterProvider::new(nested()).also(StaticKey::new([9; 32]));
    let providers: [Box<dyn Fn() -> World>; 4] = [
        Box::new(|| World::on(backend.clone(), key())),
        Box::new(|| World::on(backend.clone(), RouterProvider::new(key()))),
        Box::new(|| World::on(backend.clone(), nested())),
        Box::new(|| World::on(backend.clone(), twice())),
    ];
    for (number, open) in providers.iter().chain(providers.iter().rev()).enumerate() {
        let world = open();
        world.create(&format!("s{number}"), "alias/x").unwrap();
        for earlier in 0..=number {
            assert_eq!(world.read(&format!("s{earlier}")).unwrap(), "1", "{number}");
        }
        world.store.close().unwrap();
    }
}

#[test]
fn a_state_of_a_key_counts_through_a_router() {
    let inner = Scripted::new("inner", 7);
    let router = RouterProvider::new(Scripted::new("default", 1)).route("alias/x", inner.clone());
    let handle = find(&router, "alias/x").unwrap();
    let (data_key, wrapped) = make(&router, &handle).unwrap();
    inner.set_state(KeyState::Disabled);
    assert_eq!(find(&router, "alias/x").unwrap().state, KeyState::Disabled);
    assert_eq!(make(&router, &handle).unwrap_err(), KeyError::Disabled);
    assert_eq!(
        router.wrap(
            &handle,
            &data_key,
            &EncryptionContext::new(&[]),
            &strongroom::Call::new(&strongroom::OsEntropy::default())
        ),
        Err(KeyError::Disabled)
    );
    assert_eq!(open(&router, &wrapped), Err::<DataKey, _>(KeyError::Disabled));
}

#[test]
fn a_router_is_remote_if_one_of_its_providers_is() {
    let (here, there) = (Scripted::new("here", 1), Scripted::new("there", 2).remote());
    for (router, remote) in [
        (RouterProvider::new(here.clone()).route("a", here.clone()).also(here.clone()), false),
        (RouterProvider::new(there.clone()).route("a", here.clone()), true),
        (RouterProvider::new(here.clone()).route("a", there.clone()), true),
        (RouterProvider::new(here.clone()).also(there.clone()), true),
    ] {
        assert_eq!((router.id(), router.traits().remote), ("router", remote), "{router:?}");
    }
}
