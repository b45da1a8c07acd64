//! SQLCipher: a table of names and values in an encrypted SQLite file, one connection for each thread.

use std::time::Duration;

use peer::{About, Peer, Place, Session, converse, locked};
use rusqlite::Connection;

/// A passphrase would be stretched anew for every connection. A key is used as it is.
const KEY: &str = r#"PRAGMA key = "x'0707070707070707070707070707070707070707070707070707070707070707'""#;
const PUT: &str = "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";

struct SqlCipher(Place);
struct OneConnection(Connection);

fn connect(place: &Place) -> Connection {
    let connection = Connection::open(place.directory.join("secrets.db")).expect("it opens");
    connection.execute_batch(KEY).expect("it takes the key");
    connection.pragma_update(None, "journal_mode", "WAL").expect("it has a write-ahead log");
    connection.pragma_update(None, "synchronous", "FULL").expect("it syncs every commit");
    let cache_kib = i64::try_from(place.cache_bytes / 1024).expect("a possible size");
    connection.pragma_update(None, "cache_size", -cache_kib).expect("it takes a size");
    // Writers wait for each other here, asleep.
    connection.busy_timeout(Duration::from_secs(60)).expect("it waits");
    let table = "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL)";
    connection.execute(table, ()).expect("there is a table");
    connection
}

impl Peer for SqlCipher {
    type Session = OneConnection;

    fn about() -> About {
        let connection = Connection::open_in_memory().expect("it opens");
        connection.execute_batch(KEY).expect("it takes the key");
        let text = |query| connection.query_row(query, (), |row| row.get::<_, String>(0)).expect("it answers");
        let [cipher, provider, sqlite] =
            ["PRAGMA cipher_version", "PRAGMA cipher_provider_version", "SELECT sqlite_version()"].map(text);
        About {
            version: format!(
                "SQLCipher {cipher} with {provider}, SQLite {sqlite}, {}",
                locked(include_str!("../Cargo.lock"), "rusqlite")
            ),
            encryption: "every page of the file: AES-256-CBC and HMAC-SHA-512; what is cached is plain",
            names: "encrypted",
            durability: "fsync of the write-ahead log for each commit",
            versions: "none: the row is replaced",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        let mut connection = connect(place);
        let transaction = connection.transaction().expect("it begins");
        let mut put = transaction.prepare(PUT).expect("it is understood");
        entries.for_each(|entry| assert_eq!(put.execute(entry).expect("it is written"), 1));
        drop(put);
        transaction.commit().expect("it is committed");
    }

    fn open(place: &Place) -> Self {
        Self(Place { directory: place.directory.clone(), cache_bytes: place.cache_bytes })
    }

    fn session(&self) -> OneConnection {
        OneConnection(connect(&self.0))
    }

    fn close(self) {}
}

impl Session for OneConnection {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let mut get = self.0.prepare_cached("SELECT value FROM secrets WHERE name = ?1").expect("it is understood");
        let seen = get.query_row([name], |row| Ok(see(row.get_ref(0)?.as_bytes()?)));
        seen.expect("it is read")
    }

    fn put(&mut self, name: &str, value: &str) {
        let mut put = self.0.prepare_cached(PUT).expect("it is understood");
        put.execute((name, value)).expect("it is written");
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        let mut list =
            self.0.prepare_cached("SELECT name FROM secrets ORDER BY name LIMIT ?1").expect("it is understood");
        let count = i64::try_from(count).expect("a possible number");
        let names = list.query_map([count], |row| row.get(0)).expect("it lists");
        names.map(|name| name.expect("a name")).collect()
    }
}

fn main() {
    converse::<SqlCipher>(std::env::args().skip(1));
}
