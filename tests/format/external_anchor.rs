//! An anchor outside the store's directory: when it is told, what its failures do, and what it finds out.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use strongroom::{
    Backend, Builder, Durability, ErrorKind, ExternalAnchor, GetSecretValueRequest, MemoryBackend, OpenMode,
    SecretStore,
};

use crate::fixture::{assert_unchanged, builder, copy, create, in_directory, names, tree};

/// Remembers every call. Clones share the memory, as whatever stands behind an anchor would.
#[derive(Debug, Clone, Default)]
struct Remembered(Arc<Mutex<State>>, Arc<Mutex<()>>);

#[derive(Debug, Default)]
struct State {
    told: Vec<u64>,
    loads: usize,
    is_unreadable: bool,
    is_unwritable: bool,
}

impl ExternalAnchor for Remembered {
    fn load(&self) -> io::Result<Option<u64>> {
        let mut state = self.0.lock().unwrap();
        state.loads += 1;
        if state.is_unreadable { Err(io::Error::other("unreadable")) } else { Ok(state.told.iter().max().copied()) }
    }

    fn advance(&self, epoch: u64) -> io::Result<()> {
        // Nobody else may be telling anything at this time. Whoever asks what was told only waits.
        let _telling = self.1.try_lock().map_err(|_| io::Error::other("two at once"))?;
        let mut state = self.0.lock().unwrap();
        if state.is_unwritable {
            return Err(io::Error::other("unwritable"));
        }
        state.told.push(epoch);
        Ok(())
    }
}

impl Remembered {
    fn told(&self) -> Vec<u64> {
        self.0.lock().unwrap().told.clone()
    }

    fn newest(&self) -> u64 {
        self.told().into_iter().max().unwrap_or(0)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }
}

/// A store, wherever it is.
#[derive(Clone)]
enum Place {
    Directory(PathBuf),
    Backend(MemoryBackend),
}

impl Place {
    fn each(directory: &tempfile::TempDir) -> [Self; 2] {
        [Self::Directory(directory.path().join("store")), Self::Backend(MemoryBackend::new())]
    }

    fn under(&self, anchor: &Remembered) -> Builder {
        let builder = match self {
            Self::Directory(path) => in_directory(path, 3),
            Self::Backend(backend) => builder(backend.clone(), 3),
        };
        builder.external_anchor(anchor.clone())
    }
}

#[test]
fn every_durable_commit_is_told_before_its_call_returns() {
    let directory = tempfile::tempdir().unwrap();
    for place in Place::each(&directory) {
        let anchor = Remembered::default();
        let store = place.under(&anchor).open().unwrap();
        assert!(anchor.told().is_empty(), "a store that is only made has nothing to tell");
        for number in 0..4 {
            create(&store, &format!("secret-{number}")).unwrap();
            assert_eq!(anchor.told().len(), number + 1);
            assert_eq!(anchor.newest(), store.stats().unwrap().epoch);
            // A read leaves a note that need not survive; the next commit takes its number along.
            let request = GetSecretValueRequest::new(format!("secret-{number}"));
            store.default_secrets_manager().get_secret_value(request).unwrap();
        }
        assert!(create(&store, "secret-0").is_err(), "what fails is not told");
        assert_eq!(anchor.told().len(), 4);
        store.close().unwrap();
        assert_eq!(anchor.told().len(), 5, "closing makes the last note durable too");
        let store = place.under(&anchor).mode(OpenMode::OpenExisting).open().unwrap();
        create(&store, "after opening again").unwrap_err();
        create(&store, "after-opening-again").unwrap();
        let told = anchor.told();
        assert!(told.len() == 6 && told.is_sorted_by(|a, b| a < b), "{told:?}");
    }
}

#[test]
fn many_callers_tell_rising_numbers_one_at_a_time() {
    let anchor = Remembered::default();
    let store = builder(MemoryBackend::new(), 3).external_anchor(anchor.clone()).open().unwrap();
    thread::scope(|scope| {
        for caller in 0..4 {
            let (store, anchor) = (&store, &anchor);
            scope.spawn(move || {
                let mut before = 0;
                for number in 0..25 {
                    create(store, &format!("secret-{caller}-{number}")).unwrap();
                    // Whatever others do meanwhile, this call's own commit has been told.
                    let newest = anchor.newest();
                    assert!(newest > before, "{newest} after {before}");
                    before = newest;
                }
            });
        }
    });
    let told = anchor.told();
    assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    assert_eq!(told.last(), Some(&store.stats().unwrap().epoch));
    assert_eq!(names(&store).len(), 100);
}

#[test]
fn what_need_not_survive_is_told_when_it_is_flushed() {
    let directory = tempfile::tempdir().unwrap();
    for place in Place::each(&directory) {
        let anchor = Remembered::default();
        let store = place.under(&anchor).durability(Durability::Eventual).open().unwrap();
        for round in 0..3 {
            let told = anchor.told();
            for number in 0..5 {
                create(&store, &format!("secret-{round}-{number}")).unwrap();
                assert_eq!(anchor.told(), told, "not durable yet");
            }
            store.flush().unwrap();
            assert_eq!(anchor.told(), [told, vec![store.stats().unwrap().epoch]].concat());
        }
    }
}

#[test]
fn a_commit_that_cannot_be_told_is_not_acknowledged() {
    for durability in [Durability::Immediate, Durability::Eventual] {
        let directory = tempfile::tempdir().unwrap();
        for place in Place::each(&directory) {
            let anchor = Remembered::default();
            let store = place.under(&anchor).durability(durability).open().unwrap();
            create(&store, "before").unwrap();
            store.flush().unwrap();
            anchor.set(|state| state.is_unwritable = true);
            let failed = match durability {
                Durability::Immediate => create(&store, "untold"),
                _ => create(&store, "untold").and_then(|()| store.flush()),
            };
            let error = failed.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Storage, "{error}");
            anchor.set(|state| state.is_unwritable = false);
            for (what, refused) in [
                ("a change", create(&store, "later")),
                ("a read", store.default_secrets_manager().list_secrets(Default::default()).map(drop)),
                ("a flush", store.flush()),
                ("closing", store.close()),
            ] {
                assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Poisoned, "{what}");
            }
            // What was not acknowledged may be there; everything else is.
            let store = place.under(&anchor).open().unwrap();
            let found: BTreeSet<_> = names(&store).into_iter().collect();
            assert!(found.contains("before") && !found.contains("later") && found.len() <= 2, "{found:?}");
            create(&store, "later").unwrap();
        }
    }
}

#[test]
fn a_store_is_not_opened_while_its_anchor_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    for place in Place::each(&directory) {
        let anchor = Remembered::default();
        anchor.set(|state| state.is_unreadable = true);
        let error = place.under(&anchor).open().map(drop).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Storage, "no store was there: {error}");
        anchor.set(|state| state.is_unreadable = false);
        let store = place.under(&anchor).mode(OpenMode::CreateNew).open().unwrap();
        create(&store, "one").unwrap();
        store.close().unwrap();

        anchor.set(|state| state.is_unreadable = true);
        let before = if let Place::Directory(path) = &place { Some((path, tree(path))) } else { None };
        let error = place.under(&anchor).open().map(drop).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Storage, "{error}");
        assert!(error.to_string().contains("unreadable"), "{error}");
        if let Some((path, before)) = before {
            assert_unchanged("unreadable", &before, path);
        }
        anchor.set(|state| state.is_unreadable = false);
        assert_eq!(names(&place.under(&anchor).open().unwrap()), ["one"]);
        assert!(anchor.0.lock().unwrap().loads >= 4);
    }
}

/// The store's own anchor goes back with the directory. This one does not.
#[test]
fn a_directory_that_was_rolled_back_or_deleted_as_a_whole_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let [path, earlier] = ["store", "earlier"].map(|name| directory.path().join(name));
    let (anchor, place) = (Remembered::default(), Place::Directory(path.clone()));
    let go_on = |secrets: std::ops::Range<usize>| {
        let store = place.under(&anchor).open().unwrap();
        secrets.for_each(|number| create(&store, &format!("secret-{number}")).unwrap());
        store.close().unwrap();
    };
    go_on(0..2);
    copy(&path, &earlier);
    go_on(2..5);
    let newest = directory.path().join("newest");
    copy(&path, &newest);

    for is_closed in [true, false] {
        fs::remove_dir_all(&path).unwrap();
        copy(&earlier, &path);
        if !is_closed {
            fs::remove_file(path.join("store.seal")).unwrap();
        }
        let before = tree(&path);
        let error = place.under(&anchor).open().map(drop).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::LostCommits { have: 2, expected: 5 }, "{error}");
        if is_closed {
            assert_unchanged("rolled back", &before, &path);
        }
    }
    let unaware = in_directory(&path, 3).open().unwrap();
    assert_eq!(names(&unaware), ["secret-0", "secret-1"], "nobody else can tell");
    unaware.close().unwrap();

    for mode in [OpenMode::OpenOrCreate, OpenMode::CreateNew] {
        fs::remove_dir_all(&path).unwrap();
        let error = place.under(&anchor).mode(mode).open().map(drop).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::LostCommits { have: 0, expected: 5 }, "{mode:?}: {error}");
        assert!(!SecretStore::exists(&path).unwrap(), "{mode:?}: no store is made");
        fs::create_dir_all(&path).unwrap();
    }
    fs::remove_dir_all(&path).unwrap();
    copy(&newest, &path);
    assert_eq!(names(&place.under(&anchor).open().unwrap()).len(), 5);
}

#[test]
fn a_backend_that_was_rolled_back_or_emptied_is_noticed() {
    let (anchor, shared) = (Remembered::default(), MemoryBackend::new());
    let store = Place::Backend(shared.clone()).under(&anchor).open().unwrap();
    let mut older = Vec::new();
    for number in 0..4_u64 {
        older.push((number, crate::fixture::records(&shared)));
        create(&store, &format!("secret-{number}")).unwrap();
    }
    store.close().unwrap();
    for (have, records) in older {
        let place = Place::Backend(crate::fixture::backend(&records));
        let error = place.under(&anchor).open().map(drop).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::LostCommits { have, expected: 4 }, "{error}");
    }
    let empty = MemoryBackend::new();
    let error = Place::Backend(empty.clone()).under(&anchor).open().map(drop).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::LostCommits { have: 0, expected: 4 }, "{error}");
    assert!(empty.scan(b"", None, 1).unwrap().is_empty(), "nothing is written into it");
    let mut headless = crate::fixture::records(&shared);
    headless.remove(b"h".as_slice());
    let place = Place::Backend(crate::fixture::backend(&headless));
    let error = place.under(&anchor).open().map(drop).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::LostCommits { have: 0, expected: 4 }, "{error}");
}

#[test]
fn a_store_that_replaces_another_goes_on_above_its_number() {
    let directory = tempfile::tempdir().unwrap();
    let (anchor, path) = (Remembered::default(), directory.path().join("store"));
    let place = Place::Directory(path.clone());
    let store = place.under(&anchor).open().unwrap();
    (0..5).for_each(|number| create(&store, &format!("secret-{number}")).unwrap());
    store.close().unwrap();
    let old = directory.path().join("old");
    copy(&path, &old);

    let store = place.under(&anchor).mode(OpenMode::Replace).open().unwrap();
    assert_eq!((names(&store).len(), store.stats().unwrap().epoch), (0, 5));
    create(&store, "new").unwrap();
    assert_eq!(anchor.told(), [1, 2, 3, 4, 5, 6]);
    store.close().unwrap();
    assert_eq!(names(&place.under(&anchor).open().unwrap()), ["new"]);

    fs::remove_dir_all(&path).unwrap();
    copy(&old, &path);
    let newest = anchor.newest();
    let error = place.under(&anchor).open().map(drop).unwrap_err();
    assert_eq!(
        *error.kind(),
        ErrorKind::LostCommits { have: 5, expected: newest },
        "the old store in its place: {error}"
    );

    fs::remove_dir_all(&path).unwrap();
    let store = place.under(&anchor).mode(OpenMode::Replace).open().unwrap();
    create(&store, "newer").unwrap();
    assert_eq!(anchor.newest(), newest + 1, "where nothing is left to be replaced");
}
