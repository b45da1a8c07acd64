//! Root keys one after the other: marks that wrap around, tokens and backups of before, and everything that an operator
//! does with a store in the middle of a change.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use strongroom::testing::ManualClock;
use strongroom::{
    Builder, Durability, ExportOptions, ImportOptions, ListSecretsRequest, LocalKeyring, MemoryBackend, SecretStore,
    SecretsManager,
};

use crate::stores::{NOW, TENANTS, assert_clean, copy, fill, manager, name_of, on, put, read, seen, token, value_of};

const ROTATIONS: u32 = 300;

/// Secrets of the store whose root key is being changed: more than go over together.
const SECRETS: usize = 75;

/// Names that a listing gives from a token on.
fn listed_after(manager: &SecretsManager, mut next: Option<String>) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(token) = next {
        let page = manager.list_secrets(ListSecretsRequest::new().max_results(3).next_token(token)).unwrap();
        names.extend(page.secret_list.into_iter().map(|entry| entry.name));
        next = page.next_token;
    }
    names
}

#[test]
fn marks_that_wrap_around_mix_nothing_up() {
    let clock = ManualClock::at_millis(NOW);
    let keyring = LocalKeyring::in_memory();
    let memory = MemoryBackend::new();
    let mut store = on(memory.clone(), keyring.clone(), &clock).open().unwrap();
    fill(&store, 0..24, 2, |_| None);
    let mut versions = 2;
    let mut reopened = 0;
    for number in 1..=ROTATIONS {
        let home = manager(&store, 0);
        let first = home.list_secrets(ListSecretsRequest::new().max_results(3)).unwrap();
        let report = store.rotate_root_key(&mut |_| {}).unwrap();
        assert_eq!((report.generation, report.secrets, report.versions), (number + 1, 24, 24 + 24 * (versions - 1)));
        // The page after the change follows the one before it.
        let mut names: Vec<_> = first.secret_list.into_iter().map(|entry| entry.name).collect();
        names.extend(listed_after(&home, first.next_token));
        assert_eq!(names, (0..24).step_by(3).map(name_of).collect::<Vec<_>>(), "generation {}", number + 1);
        let secret = usize::try_from(number).unwrap() % 24;
        let id = token(secret, 1);
        assert_eq!(read(&manager(&store, secret), &name_of(secret), &id), value_of(&id));
        if number % 50 == 0 {
            (0..24).for_each(|secret| put(&manager(&store, secret), secret, usize::try_from(versions).unwrap()));
            versions += 1;
        }
        if number % 60 == 0 || [254, 255, 256, 257].contains(&number) {
            store.close().unwrap();
            store = on(memory.clone(), keyring.clone(), &clock).open().unwrap();
            assert_clean(&store);
            assert_eq!(seen(&store).len() as u64, 24 + 24 * versions);
            reopened += 1;
        }
    }
    assert_clean(&store);
    eprintln!("{ROTATIONS} root keys one after the other, opened again {reopened} times: 0 lost");
}

struct Place {
    directory: tempfile::TempDir,
    keyring: LocalKeyring,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), keyring: LocalKeyring::in_memory() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn builder(&self, name: &str) -> Builder {
        SecretStore::builder(self.path(name)).key_provider(self.keyring.clone()).clock(ManualClock::at_millis(NOW))
    }

    fn open(&self, name: &str) -> SecretStore {
        self.builder(name).open().unwrap_or_else(|error| panic!("`{name}` does not open: {error:?}"))
    }

    /// A store with many secrets, and a copy of it for each step of a change of its root key, as a crash would leave it.
    fn interrupted(&self) -> Vec<String> {
        let store = self.builder("store").durability(Durability::Eventual).open().unwrap();
        fill(&store, 0..SECRETS, 2, |_| None);
        store.close().unwrap();
        let store = self.open("store");
        let mut images = Vec::new();
        store
            .rotate_root_key(&mut |_| {
                let image = format!("image {}", images.len());
                copy(&self.path("store"), &self.path(&image));
                images.push(image);
            })
            .unwrap();
        assert!(images.len() >= 3, "{images:?}");
        store.close().unwrap();
        // Nothing has been moved, a part has, and everything has.
        let (middle, last) = (images.len() / 2, images.len() - 1);
        [0, middle, last].map(|number| images[number].clone()).to_vec()
    }
}

/// Brings a change of the root key to its end, and sees that all is well.
fn finish(store: &SecretStore, was_resumed: bool) {
    let report = store.rotate_root_key(&mut |_| {}).unwrap();
    assert_eq!(report.was_resumed, was_resumed);
    let census = store.key_census(&mut |_| {}).unwrap();
    assert!(!census.is_root_changing && census.root_generation == report.generation);
    assert_clean(store);
}

#[test]
fn a_backup_of_before_restores_after_another_root_key() {
    let place = Place::new();
    let store = place.open("store");
    fill(&store, 0..20, 2, |_| None);
    let before = seen(&store);
    let backup = place.path("backup");
    store.backup(&backup, &mut |_| {}).unwrap();
    store.rotate_root_key(&mut |_| {}).unwrap();
    store.shred(&mut |_| {}).unwrap();
    store.close().unwrap();
    let restored = place.builder("restored").restore(&backup, &mut |_| {}).unwrap();
    assert!(seen(&restored) == before);
    assert_clean(&restored);
    finish(&restored, false);
    assert!(seen(&restored) == before);
}

type Do = fn(&Place, &str, &Path) -> SecretStore;

/// What an operator may do in the middle of a change of the root key. Gives a store that is in the middle of it, or not.
fn rows() -> [(&'static str, bool, Do); 7] {
    [
        ("nothing", true, |place, image, _| place.open(image)),
        ("backup and restore", true, |place, image, scratch| {
            let store = place.open(image);
            store.backup(scratch.join("backup"), &mut |_| {}).unwrap();
            store.close().unwrap();
            let builder = place.builder(&format!("{image} restored"));
            builder.restore(scratch.join("backup"), &mut |_| {}).unwrap()
        }),
        ("salvage", false, |place, image, _| {
            let builder = place.builder(&format!("{image} salvaged"));
            let (store, report) = builder.salvage(place.path(image), None, &mut |_| {}).unwrap();
            assert!(report.is_whole, "{report:#?}");
            store
        }),
        ("compaction", true, |place, image, _| {
            place.open(image).close().unwrap();
            place.builder(image).compact(&mut |_| {}).unwrap();
            place.open(image)
        }),
        ("export and import", false, |place, image, scratch| {
            let store = place.open(image);
            let key = strongroom::StaticKey::new([3; 32]);
            store.export(scratch.join("export"), &key, &ExportOptions::new(), &mut |_| {}).unwrap();
            let imported = place.open(&format!("{image} imported"));
            let report = imported.import(scratch.join("export"), &key, &ImportOptions::new(), &mut |_| {}).unwrap();
            assert!(report.conflicts.is_empty(), "{report:?}");
            imported
        }),
        ("plaintext import into it", true, |place, image, _| {
            let store = place.open(image);
            let mut lines = Vec::new();
            store.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| {}).unwrap();
            let report = store.import_plaintext(&mut Cursor::new(lines), &ImportOptions::new(), &mut |_| {}).unwrap();
            assert!(report.conflicts.is_empty(), "{report:?}");
            store
        }),
        ("a header that is put back", true, |place, image, scratch| {
            let store = place.open(image);
            store.backup_header(scratch.join("header")).unwrap();
            store.close().unwrap();
            std::fs::write(place.path(image).join("store.hdr"), b"lost").unwrap();
            place.builder(image).restore_header(scratch.join("header")).unwrap()
        }),
    ]
}

#[test]
fn whatever_an_operator_does_in_the_middle_of_a_change_of_the_root_key_works_and_it_can_be_finished() {
    let place = Place::new();
    let images = place.interrupted();
    let expected = seen(&place.open("store"));
    let mut done = 0;
    for (what, is_still_changing, act) in rows() {
        for image in &images {
            let (scratch, copied) = (tempfile::tempdir().unwrap(), format!("{what}, {image}"));
            copy(&place.path(image), &place.path(&copied));
            let store = act(&place, &copied, scratch.path());
            assert_eq!(store.key_census(&mut |_| {}).unwrap().is_root_changing, is_still_changing, "{what}, {image}");
            assert_clean(&store);
            let shown = seen(&store);
            // Imports make ARNs of their own.
            assert!(what.starts_with("export") || shown == expected, "{what}, {image}: something else is seen");
            assert!(shown.keys().eq(expected.keys()), "{what}, {image}: something else is seen");
            // The next page follows one of before the end of it.
            let [account, region] = TENANTS[0];
            let home = store.secrets_manager(account, region).unwrap();
            let first = home.list_secrets(ListSecretsRequest::new().max_results(3)).unwrap();
            finish(&store, is_still_changing);
            assert_eq!(listed_after(&home, first.next_token).len(), SECRETS / 3 - 3, "{what}, {image}");
            store.close().unwrap();
            done += 1;
        }
    }
    eprintln!("in the middle of a change of the root key: {done} works of an operator, 0 lost");
}
