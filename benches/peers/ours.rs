//! strongroom and the floor behind the same questions as everybody else.

use std::fs::File;
use std::sync::Arc;

use peer::{About, Master, Peer, Place, Session, locked};
use strongroom::{
    CreateSecretRequest, Durability, ErrorKind, GetSecretValueRequest, ListSecretsRequest, PutSecretValueRequest,
    SecretStore, SecretsManager, SortBy,
};

use crate::store;

/// The engine as an application uses it.
pub(crate) struct Strongroom(SecretStore);

pub(crate) struct Manager(SecretsManager);

impl Peer for Strongroom {
    type Session = Manager;

    fn about() -> About {
        About {
            version: format!("strongroom {}", env!("CARGO_PKG_VERSION")),
            encryption: "every record, and every value under a data key of its own: AES-256-GCM with committed, derived keys",
            names: "encrypted",
            durability: "fdatasync for each commit, which may hold the calls of several threads",
            versions: "a new version with each put, with labels and a history",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        let builder = store::with_key(SecretStore::builder(&place.directory)).cache_capacity_bytes(place.cache_bytes);
        let store = builder.durability(Durability::Eventual).open().expect("the store opens");
        let manager = store.default_secrets_manager();
        for (name, value) in entries {
            let request = CreateSecretRequest::new(name.as_str()).secret_string(value.as_str());
            match manager.create_secret(request) {
                Ok(_) => (),
                Err(error) if *error.kind() == ErrorKind::ResourceExists => {
                    let request = PutSecretValueRequest::new(name, value);
                    manager.put_secret_value(request).expect("the value is put");
                }
                Err(error) => panic!("{name} is not created: {error}"),
            }
        }
        store.close().expect("the store closes");
    }

    fn open(place: &Place) -> Self {
        Self(store::open(&place.directory, place.cache_bytes))
    }

    fn session(&self) -> Manager {
        Manager(self.0.default_secrets_manager())
    }

    fn close(self) {
        self.0.close().expect("the store closes");
    }
}

impl Session for Manager {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let read = self.0.get_secret_value(GetSecretValueRequest::new(name)).expect("the value is read");
        see(read.secret_string.expect("it is text").expose().as_bytes())
    }

    fn put(&mut self, name: &str, value: &str) {
        self.0.put_secret_value(PutSecretValueRequest::new(name, value)).expect("the value is put");
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        let count = i32::try_from(count).expect("a page");
        let page = self.0.list_secrets(ListSecretsRequest::new().max_results(count).sort_by(SortBy::Name));
        page.expect("a page").secret_list.into_iter().map(|secret| secret.name).collect()
    }
}

/// sled as the engine configures it, with the least sealing that there is, and the engine's commit protocol.
#[derive(Clone)]
pub(crate) struct Floor {
    db: sled::Db,
    log: Arc<File>,
    master: Arc<Master>,
}

impl Floor {
    fn insert(&self, name: &str, value: &str) {
        let mut batch = sled::Batch::default();
        batch.insert(name, self.master.seal(name, value.as_bytes()));
        self.db.apply_batch(batch).expect("sled applies a batch");
    }

    fn sync(&self) {
        self.db.flush().expect("sled flushes");
        self.log.sync_data().expect("the log is synced");
    }
}

impl Peer for Floor {
    type Session = Floor;

    fn about() -> About {
        About {
            version: locked(include_str!("../../Cargo.lock"), "sled"),
            encryption: "none of its own; the bench's: a data key for each value, AES-256-GCM",
            names: "plain",
            durability: "flush and fdatasync after each batch of one",
            versions: "none: the record is replaced",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        let floor = Self::open(place);
        entries.for_each(|(name, value)| floor.insert(&name, &value));
        floor.sync();
    }

    fn open(place: &Place) -> Self {
        let db = store::raw_sled(&place.directory, place.cache_bytes);
        let log = File::open(place.directory.join("db")).expect("sled has a log");
        Self { db, log: Arc::new(log), master: Arc::default() }
    }

    fn session(&self) -> Floor {
        self.clone()
    }

    fn close(self) {}
}

impl Session for Floor {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let mut record = self.db.get(name).expect("sled reads").expect("the record is there").to_vec();
        see(self.master.open(name, &mut record))
    }

    fn put(&mut self, name: &str, value: &str) {
        self.insert(name, value);
        self.sync();
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        let keys = self.db.iter().keys().take(count);
        keys.map(|key| String::from_utf8(key.expect("a key").to_vec()).expect("a name")).collect()
    }
}
