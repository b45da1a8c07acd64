//! A standby that follows: it is the store as it was at one of its commits.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;

use chrono::TimeDelta;
use strongroom::{
    Call, DataKey, DescribeSecretRequest, EncryptionContext, ErrorKind, GetSecretValueRequest, KeyError, KeyHandle,
    KeyProvider, KeyRef, KeyScope, ListSecretsRequest, OpenMode, SecretStore, StandbyDirectory, StandbyState,
    StaticKey, WrappedKey,
};

use crate::history::Chance;
use crate::pair::{Journal, Pair, Wiretap, assert_clean, create, epoch, observe, put, replicate};

#[test]
fn a_new_standby_holds_what_the_store_holds_and_follows_from_there() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(1, &source);
    journal.run(&source, 60);
    let link = pair.link("standby");
    let report = source.replicate_to(&link, &mut |_| {}).unwrap();
    assert_eq!(report.seeded_secrets, Some(journal.now.secrets.len() as u64));
    assert_eq!(report.position.epoch(), epoch(&source));
    for _ in 0..5 {
        assert_eq!(observe(&link.store().unwrap()), journal.now);
        assert_clean(&link.store().unwrap());
        journal.run(&source, 20);
        let report = source.replicate_to(&link, &mut |_| {}).unwrap();
        assert_eq!(report.seeded_secrets, None);
        assert_eq!(report.position.epoch(), epoch(&source));
        assert!(report.commits > 0 && report.commits <= 20, "{report:?}");
    }
    assert_eq!(observe(&link.store().unwrap()), journal.now);
    let report = source.replicate_to(&link, &mut |_| {}).unwrap();
    assert_eq!((report.frames, report.commits), (0, 0), "there is nothing left to do");
    assert_clean(&source);
    assert_clean(&link.store().unwrap());
}

/// After every single frame, of whatever size, the standby is exactly the store at the commit where it says it is.
#[test]
fn after_every_frame_the_standby_is_the_store_at_that_commit() {
    let rounds = std::env::var("STRONGROOM_STANDBY_ROUNDS").map_or(3, |text| text.parse().unwrap());
    let (mut frames, mut commits) = (0, 0);
    for seed in 0..rounds {
        let pair = Pair::new();
        let source = pair.open("source");
        let mut journal = Journal::new(seed, &source);
        journal.run(&source, 30);
        let link = pair.link("standby");
        let mut position = replicate(&source, &link);
        journal.run(&source, 80);
        let standby = link.store().unwrap();
        let chance = Chance::new(seed);
        loop {
            let changes = source.changes_since(&position, [1, 3_000, 100_000][chance.below(3)]).unwrap();
            assert_eq!(changes.from(), position);
            if changes.is_empty() {
                break;
            }
            assert!(changes.to().epoch() > position.epoch());
            commits += changes.to().epoch() - position.epoch();
            position = standby.apply_changes(&changes).unwrap();
            assert_eq!(standby.standby_status().unwrap().unwrap().position, position);
            assert_eq!(observe(&standby), *journal.at(position.epoch()), "seed {seed}, commit {}", position.epoch());
            frames += 1;
        }
        assert_eq!(position.epoch(), epoch(&source));
        assert_clean(&standby);
    }
    eprintln!("{rounds} rounds, {frames} frames over {commits} commits, every one exactly a state of the store");
    assert!(frames > rounds && commits > frames);
}

#[test]
fn it_goes_on_after_both_were_closed_and_opened_again() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(2, &source);
    journal.run(&source, 10);
    let link = pair.link("standby");
    replicate(&source, &link);
    journal.run(&source, 10);
    source.close().unwrap();
    link.close().unwrap();

    let source = pair.open("source");
    journal.run(&source, 10);
    let link = pair.link("standby");
    let report = source.replicate_to(&link, &mut |_| {}).unwrap();
    assert_eq!(report.seeded_secrets, None);
    link.close().unwrap();

    let standby = pair.builder("standby").mode(OpenMode::OpenExisting).open().unwrap();
    assert!(standby.is_standby());
    assert_eq!(standby.standby_status().unwrap().unwrap().state, StandbyState::Following);
    assert_eq!(observe(&standby), journal.now);
    assert!(!source.is_standby());
    assert_eq!(source.standby_status().unwrap(), None);
}

#[test]
fn a_link_that_breaks_down_between_two_frames_is_gone_on_with() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(5, &source);
    journal.run(&source, 40);
    let link = pair.link("standby");
    replicate(&source, &link);
    for breaks_after in 0..3 {
        // Values of 64 KiB: several frames of 4 MiB.
        for _ in 0..100 {
            source
                .default_secrets_manager()
                .create_secret(
                    strongroom::CreateSecretRequest::new(format!("large/{}", epoch(&source)))
                        .secret_string("v".repeat(65_536)),
                )
                .unwrap();
        }
        let wiretap = Wiretap { breaks_after, ..Wiretap::new(&link) };
        let broken = source.replicate_to(&wiretap, &mut |_| {});
        if let Err(error) = broken {
            assert_eq!(*error.kind(), ErrorKind::Replication(strongroom::ReplicationFault::Link));
            assert_eq!(wiretap.frames.lock().unwrap().len(), breaks_after);
        } else {
            panic!("{breaks_after} frames were enough");
        }
    }
    replicate(&source, &link);
    let names = |store: &SecretStore| {
        let mut names = Vec::new();
        let mut request = ListSecretsRequest::new().include_planned_deletion(true);
        loop {
            let page = store.default_secrets_manager().list_secrets(request).unwrap();
            names.extend(page.secret_list.into_iter().map(|entry| entry.name));
            let Some(token) = page.next_token else { return names };
            request = ListSecretsRequest::new().include_planned_deletion(true).next_token(token);
        }
    };
    assert_eq!(names(&link.store().unwrap()), names(&source));
    assert_clean(&link.store().unwrap());
}

#[test]
fn secrets_of_every_account_and_region_are_followed() {
    let pair = Pair::new();
    let source = pair.open("source");
    let link = pair.link("standby");
    replicate(&source, &link);
    let tenants = [("123456789012", "eu-central-1"), ("000000000000", "us-east-1"), ("123456789012", "cn-north-1")];
    for (account, region) in tenants {
        let secrets = source.secrets_manager(account, region).unwrap();
        secrets
            .create_secret(
                strongroom::CreateSecretRequest::new("same/name").secret_string(format!("{account}{region}")),
            )
            .unwrap();
    }
    replicate(&source, &link);
    for (account, region) in tenants {
        let secrets = link.store().unwrap().secrets_manager(account, region).unwrap();
        let read = secrets.get_secret_value(GetSecretValueRequest::new("same/name")).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), format!("{account}{region}"));
    }
}

#[test]
fn the_day_of_the_last_read_is_followed_and_a_read_of_the_standby_is_not_noted() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    replicate(&source, &link);
    let standby = link.store().unwrap();
    let accessed = |store: &SecretStore| {
        let described = store.default_secrets_manager().describe_secret(DescribeSecretRequest::new("db/main"));
        described.unwrap().last_accessed_date
    };
    let read = |store: &SecretStore| {
        store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("db/main")).unwrap();
    };
    let before = epoch(&standby);
    read(&standby);
    assert_eq!((accessed(&standby), epoch(&standby)), (None, before));
    pair.clock.advance(TimeDelta::days(3));
    read(&source);
    assert!(accessed(&source).is_some());
    replicate(&source, &link);
    assert_eq!(accessed(&standby), accessed(&source));
}

#[test]
fn nothing_that_was_said_can_be_read_in_either_directory_or_in_a_frame() {
    const SAID: [&str; 4] = ["a/telling/name", "a telling value", "a telling description", "a telling tag"];
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "before", "value");
    let link = pair.link("standby");
    let wiretap = Wiretap::new(&link);
    replicate(&source, &wiretap);
    let [name, value, description, tag] = SAID;
    let create = strongroom::CreateSecretRequest::new(name).secret_string(value).description(description);
    let secrets = source.default_secrets_manager();
    secrets.create_secret(create.tags([strongroom::Tag::new("key", tag)])).unwrap();
    replicate(&source, &wiretap);
    let read = link.store().unwrap().default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name));
    assert_eq!(read.unwrap().secret_string.unwrap().expose(), value);
    drop(secrets);
    source.close().unwrap();
    link.close().unwrap();
    let mut files: Vec<Vec<u8>> = Vec::new();
    let mut rest = vec![pair.path("source"), pair.path("standby")];
    while let Some(directory) = rest.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { rest.push(path) } else { files.push(fs::read(path).unwrap()) }
        }
    }
    let frames = wiretap.frames.lock().unwrap();
    let carried = frames.iter().map(|frame| frame.as_bytes().to_vec());
    let all: Vec<Vec<u8>> = files.into_iter().chain(carried).collect();
    assert!(all.len() > 8);
    for said in SAID {
        let is_there = |bytes: &Vec<u8>| bytes.windows(said.len()).any(|window| window == said.as_bytes());
        assert!(!all.iter().any(is_there), "{said}");
    }
}

/// What each store had its provider wrap for the store itself.
#[derive(Debug, Clone)]
struct Watching {
    inner: Arc<StaticKey>,
    roots: Arc<Mutex<Vec<(String, DataKey)>>>,
}

impl KeyProvider for Watching {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        if let Some((_, store)) = context.pairs().iter().find(|(name, _)| *name == "strongroom:store") {
            let copy = DataKey::from_slice(data_key.expose()).unwrap();
            self.roots.lock().unwrap().push(((*store).to_owned(), copy));
        }
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.inner.unwrap(wrapped, context, call)
    }
}

#[test]
fn the_standby_has_the_id_of_the_store_and_a_root_key_of_its_own() {
    let pair = Pair::new();
    let keys = Watching { inner: Arc::new(StaticKey::new([7; 32])), roots: Arc::default() };
    let open = |name: &str| pair.builder(name).key_provider(keys.clone());
    let source = open("source").open().unwrap();
    let mut journal = Journal::new(9, &source);
    journal.run(&source, 40);
    let link = StandbyDirectory::new(open("standby"));
    replicate(&source, &link);
    {
        let roots = keys.roots.lock().unwrap();
        let [(of_source, source_root), (of_standby, standby_root)] = &roots[..] else { panic!("{}", roots.len()) };
        assert_eq!(of_source, of_standby, "values are bound to it");
        assert!(source_root != standby_root);
    }
    source.close().unwrap();
    link.close().unwrap();
    // Nor do the header of the one and the records of the other make a store.
    let [header, other] = ["standby", "source"].map(|name| pair.path(name).join("store.hdr"));
    let own = fs::read(&header).unwrap();
    fs::copy(other, &header).unwrap();
    assert!(open("standby").open().is_err());
    fs::write(&header, own).unwrap();
    assert_eq!(observe(&open("standby").open().unwrap()), journal.now);
}

#[test]
fn a_standby_whose_provider_lacks_the_keys_follows_and_cannot_read_values() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let other_key = || pair.builder("standby").key_provider(StaticKey::new([8; 32]));
    let link = StandbyDirectory::new(other_key());
    replicate(&source, &link);
    put(&source, "db/main", "two");
    replicate(&source, &link);
    let standby = link.store().unwrap();
    let secrets = standby.default_secrets_manager();
    let described = secrets.describe_secret(DescribeSecretRequest::new("db/main")).unwrap();
    assert_eq!(described.version_ids_to_stages.unwrap().len(), 2);
    let error = secrets.get_secret_value(GetSecretValueRequest::new("db/main")).unwrap_err();
    assert_eq!(error.code(), "DecryptionFailure");
    drop((secrets, standby));
    link.close().unwrap();
    // Its root key is under its own provider's key; with that of the values it does not open.
    assert!(matches!(pair.builder("standby").open().unwrap_err().kind(), ErrorKind::WrongKey(_)));
}

#[test]
fn a_standby_follows_while_many_write() {
    let pair = Pair::new();
    let source = pair.open("source");
    let link = pair.link("standby");
    thread::scope(|threads| {
        for thread in 0..4 {
            let source = &source;
            threads.spawn(move || {
                let mut chance = 0_u64;
                for number in 0..40 {
                    create(source, &format!("{thread}/{number}"), "first");
                    chance = chance.wrapping_mul(31).wrapping_add(number);
                    put(source, &format!("{thread}/{}", chance % (number + 1)), &format!("value {number}"));
                }
            });
        }
        for _ in 0..10 {
            replicate(&source, &link);
        }
    });
    replicate(&source, &link);
    assert_eq!(observe_plain(&link.store().unwrap()), observe_plain(&source));
    assert_clean(&link.store().unwrap());
    assert_clean(&source);
}

/// Names and current values.
fn observe_plain(store: &SecretStore) -> BTreeMap<String, String> {
    let secrets = store.default_secrets_manager();
    let mut all = BTreeMap::new();
    let mut request = ListSecretsRequest::new();
    loop {
        let page = secrets.list_secrets(request).unwrap();
        for entry in page.secret_list {
            let read = secrets.get_secret_value(GetSecretValueRequest::new(&entry.name)).unwrap();
            all.insert(entry.name, read.secret_string.unwrap().expose().to_owned());
        }
        let Some(token) = page.next_token else { return all };
        request = ListSecretsRequest::new().next_token(token);
    }
}
