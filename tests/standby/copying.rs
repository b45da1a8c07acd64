//! A standby that is being filled: it is nothing yet, and is begun anew wherever it was interrupted.

use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom::{
    Changes, Error, ErrorKind, FeedPosition, GetSecretValueRequest, ListSecretsRequest, ReplicationFault,
    ReplicationLink, Seed, StandbyDirectory, StandbyState,
};

use crate::pair::{Journal, Pair, Wiretap, assert_clean, create, fault, observe, put, replicate};

#[test]
fn until_it_is_whole_a_standby_shows_nothing() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    let wiretap = Wiretap { breaks_after: 1, ..Wiretap::new(&link) };
    assert_eq!(fault(source.replicate_to(&wiretap, &mut |_| {})), ReplicationFault::Link);
    let standby = link.store().unwrap();
    assert_eq!(standby.standby_status().unwrap().unwrap().state, StandbyState::Seeding);
    let secrets = standby.default_secrets_manager();
    let read = secrets.get_secret_value(GetSecretValueRequest::new("db/main"));
    assert_eq!(fault(read), ReplicationFault::StillSeeding);
    assert_eq!(fault(secrets.list_secrets(ListSecretsRequest::new())), ReplicationFault::StillSeeding);
    let next = source.changes_since(&source.keep_changes(100).unwrap(), 1).unwrap();
    assert_eq!(fault(standby.apply_changes(&next)), ReplicationFault::StillSeeding);
}

#[test]
fn a_copy_that_was_interrupted_anywhere_is_begun_anew_in_the_same_directory() {
    let pair = Pair::new();
    let source = pair.open("source");
    for index in 0..60 {
        create(&source, &format!("secret-{index}"), &"v".repeat(65_000));
    }
    let link = pair.link("standby");
    let mut interrupted = 0;
    for breaks_after in 0.. {
        let wiretap = Wiretap { breaks_after, ..Wiretap::new(&link) };
        put(&source, "secret-3", &format!("{breaks_after}"));
        match source.replicate_to(&wiretap, &mut |_| {}) {
            Err(_) => {
                interrupted += 1;
                // The last of the copy, before what was changed meanwhile, is not repeated.
                link.close().unwrap();
            }
            Ok(report) => {
                assert_eq!(report.seeded_secrets, Some(60));
                break;
            }
        }
    }
    assert!(interrupted >= 2, "{interrupted}");
    let standby = link.store().unwrap();
    let read = standby.default_secrets_manager().get_secret_value(GetSecretValueRequest::new("secret-3")).unwrap();
    assert_eq!(read.secret_string.unwrap().expose(), interrupted.to_string());
    assert_eq!(standby.stats().unwrap().secrets, 60);
    assert_clean(&standby);
}

/// A link during whose calls the store goes on changing.
#[derive(Debug)]
struct Busy<'a> {
    link: &'a StandbyDirectory,
    source: &'a strongroom::SecretStore,
    journal: std::sync::Mutex<Option<&'a mut JournalCell>>,
    calls: AtomicUsize,
}

/// `Journal` is not `Debug`, which links are.
struct JournalCell(Journal);

impl std::fmt::Debug for JournalCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalCell")
    }
}

impl ReplicationLink for Busy<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.link.position()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.link.begin(seed)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        if self.calls.fetch_add(1, Ordering::SeqCst) < 40
            && let Some(journal) = &mut *self.journal.lock().unwrap()
        {
            journal.0.run(self.source, 15);
        }
        self.link.apply(changes)
    }
}

#[test]
fn what_changes_while_it_is_copied_is_there_when_it_is_whole() {
    for seed in 20..24 {
        let pair = Pair::new();
        let source = pair.open("source");
        for index in 0..40 {
            create(&source, &format!("large/{index}"), &"v".repeat(65_000));
        }
        let names = (0..40).map(|index| format!("large/{index}")).collect::<Vec<_>>();
        for name in names {
            let delete = strongroom::DeleteSecretRequest::new(name).force_delete_without_recovery(true);
            // Half of them go again while the copy is under way.
            if seed % 2 == 0 {
                source.default_secrets_manager().delete_secret(delete).unwrap();
            }
        }
        let mut journal = JournalCell(if seed % 2 == 0 {
            Journal::new(seed, &source)
        } else {
            // Of the large ones, values have no token that says what they are: they are not observed.
            Journal::new(seed, &pair.open("empty"))
        });
        journal.0.run(&source, 40);
        let link = pair.link("standby");
        let busy = Busy {
            link: &link,
            source: &source,
            journal: std::sync::Mutex::new(Some(&mut journal)),
            calls: AtomicUsize::new(0),
        };
        let report = source.replicate_to(&busy, &mut |_| {}).unwrap();
        assert!(report.seeded_secrets.is_some() && report.commits > 0, "{report:?}");
        *busy.journal.lock().unwrap() = None;
        replicate(&source, &link);
        let standby = link.store().unwrap();
        assert_eq!(standby.stats().unwrap().secrets, source.stats().unwrap().secrets);
        if seed % 2 == 0 {
            assert_eq!(observe(&standby), journal.0.now, "seed {seed}");
        }
        assert_clean(&standby);
    }
}

#[test]
fn a_standby_is_only_made_where_there_is_no_store() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    let wiretap = Wiretap::new(&link);
    replicate(&source, &wiretap);
    let seed = wiretap.seeds.lock().unwrap()[0].clone();
    link.close().unwrap();
    pair.open("store").close().unwrap();
    for taken in ["standby", "store"] {
        let error = pair.builder(taken).begin_standby(&seed).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::StoreExists, "{taken}");
    }
    std::fs::create_dir(pair.path("files")).unwrap();
    std::fs::write(pair.path("files").join("diary"), "dear").unwrap();
    assert_eq!(*pair.builder("files").begin_standby(&seed).unwrap_err().kind(), ErrorKind::NotAStore);
    let in_memory = strongroom::SecretStore::in_memory().key_provider(strongroom::StaticKey::new([7; 32]));
    assert_eq!(*in_memory.begin_standby(&seed).unwrap_err().kind(), ErrorKind::Configuration);
    // A store that was made for tests stays one for tests.
    let for_real =
        strongroom::SecretStore::builder(pair.path("real")).key_provider(strongroom::StaticKey::new([7; 32]));
    assert_eq!(*for_real.begin_standby(&seed).unwrap_err().kind(), ErrorKind::Configuration);
    assert_eq!(observe_names(&pair.open("standby")), ["db/main"]);
}

fn observe_names(store: &strongroom::SecretStore) -> Vec<String> {
    let page = store.default_secrets_manager().list_secrets(ListSecretsRequest::new()).unwrap();
    page.secret_list.into_iter().map(|entry| entry.name).collect()
}
