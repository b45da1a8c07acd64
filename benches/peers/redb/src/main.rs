//! redb: a table of names and sealed values, read and written by any number of threads.

use std::sync::Arc;

use peer::{About, Master, Peer, Place, Session, converse, locked};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

const SECRETS: TableDefinition<&str, &[u8]> = TableDefinition::new("secrets");

#[derive(Clone)]
struct Redb {
    database: Arc<Database>,
    master: Arc<Master>,
}

impl Redb {
    fn write(&self, entries: impl Iterator<Item = (String, String)>) {
        let mut transaction = self.database.begin_write().expect("it begins");
        transaction.set_durability(Durability::Immediate).expect("it may be durable");
        let mut table = transaction.open_table(SECRETS).expect("there is a table");
        for (name, value) in entries {
            let sealed = self.master.seal(&name, value.as_bytes());
            table.insert(name.as_str(), sealed.as_slice()).expect("it is inserted");
        }
        drop(table);
        transaction.commit().expect("it is committed");
    }
}

impl Peer for Redb {
    type Session = Redb;

    fn about() -> About {
        About {
            version: locked(include_str!("../Cargo.lock"), "redb"),
            encryption: "none of its own; the bench's: a data key for each value, AES-256-GCM",
            names: "plain",
            durability: "fdatasync for each commit (Durability::Immediate)",
            versions: "none: the record is replaced",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        Self::open(place).write(entries);
    }

    fn open(place: &Place) -> Self {
        let cache = usize::try_from(place.cache_bytes).expect("a possible size");
        let database = Database::builder().set_cache_size(cache).create(place.directory.join("secrets.redb"));
        Self { database: Arc::new(database.expect("it opens")), master: Arc::default() }
    }

    fn session(&self) -> Redb {
        self.clone()
    }

    fn close(self) {}
}

impl Session for Redb {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let transaction = self.database.begin_read().expect("it begins");
        let table = transaction.open_table(SECRETS).expect("there is a table");
        let mut record = table.get(name).expect("it reads").expect("it is there").value().to_vec();
        see(self.master.open(name, &mut record))
    }

    fn put(&mut self, name: &str, value: &str) {
        self.write([(name.to_owned(), value.to_owned())].into_iter());
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        let transaction = self.database.begin_read().expect("it begins");
        let table = transaction.open_table(SECRETS).expect("there is a table");
        let entries = table.iter().expect("it lists").take(count);
        entries.map(|entry| entry.expect("an entry").0.value().to_owned()).collect()
    }
}

fn main() {
    converse::<Redb>(std::env::args().skip(1));
}
