//! fjall: a keyspace of names and sealed values, read and written by any number of threads.

use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use peer::{About, Master, Peer, Place, Session, converse, locked};

#[derive(Clone)]
struct Fjall {
    database: Database,
    secrets: Keyspace,
    master: Arc<Master>,
}

impl Fjall {
    fn insert(&self, name: &str, value: &str) {
        self.secrets.insert(name, self.master.seal(name, value.as_bytes())).expect("it is inserted");
    }
}

impl Peer for Fjall {
    type Session = Fjall;

    fn about() -> About {
        About {
            version: locked(include_str!("../Cargo.lock"), "fjall"),
            encryption: "none of its own; the bench's: a data key for each value, AES-256-GCM",
            names: "plain",
            durability: "fdatasync of the journal after each insert (PersistMode::SyncData)",
            versions: "none: the record is replaced",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        let open = Self::open(place);
        entries.for_each(|(name, value)| open.insert(&name, &value));
        open.database.persist(PersistMode::SyncAll).expect("it is on the disk");
    }

    fn open(place: &Place) -> Self {
        let database = Database::builder(&place.directory).cache_size(place.cache_bytes).open().expect("it opens");
        let secrets = database.keyspace("secrets", KeyspaceCreateOptions::default).expect("there is a keyspace");
        Self { database, secrets, master: Arc::default() }
    }

    fn session(&self) -> Fjall {
        self.clone()
    }

    fn close(self) {}
}

impl Session for Fjall {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let mut record = self.secrets.get(name).expect("it reads").expect("it is there").to_vec();
        see(self.master.open(name, &mut record))
    }

    fn put(&mut self, name: &str, value: &str) {
        self.insert(name, value);
        self.database.persist(PersistMode::SyncData).expect("it is on the disk");
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        let keys = self.secrets.iter().take(count).map(|entry| entry.key().expect("a key"));
        keys.map(|key| String::from_utf8(key.to_vec()).expect("a name")).collect()
    }
}

fn main() {
    converse::<Fjall>(std::env::args().skip(1));
}
