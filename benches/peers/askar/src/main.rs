//! aries-askar on an SQLite file: its asynchronous API, on its own runtime, from any number of threads.

use aries_askar::future::block_on;
use aries_askar::storage::backend::OrderBy;
use aries_askar::{PassKey, Store, StoreKeyMethod};
use peer::{About, Peer, Place, Session, converse, locked};

const CATEGORY: &str = "secret";
const PROFILE: &str = "bench";

struct Askar(Store);

fn key() -> PassKey<'static> {
    Store::new_raw_key(Some(&[7; 32])).expect("a key")
}

/// Everything as it comes: a pool of connections, a write-ahead log, `synchronous=FULL`, SQLite's own page cache.
fn store(place: &Place) -> Store {
    let url = format!("sqlite://{}", place.directory.join("askar.db").display());
    let store = Store::provision(&url, StoreKeyMethod::RawKey, key(), Some(PROFILE.to_owned()), false);
    block_on(store).expect("it opens")
}

impl Peer for Askar {
    type Session = Askar;

    fn about() -> About {
        About {
            version: locked(include_str!("../Cargo.lock"), "aries-askar"),
            encryption: "every item by itself: ChaCha20-Poly1305, names and categories so that they can be found",
            names: "encrypted, so that the only order is that of insertion",
            durability: "fsync of SQLite's write-ahead log for each commit",
            versions: "none: the item is replaced",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        let store = store(place);
        block_on(async {
            let mut transaction = store.transaction(None).await.expect("it begins");
            let is_new = transaction.count(Some(CATEGORY), None).await.expect("it counts") == 0;
            for (name, value) in entries {
                let value = value.as_bytes();
                let written = if is_new {
                    transaction.insert(CATEGORY, &name, value, None, None).await
                } else {
                    transaction.replace(CATEGORY, &name, value, None, None).await
                };
                written.expect("it is written");
            }
            transaction.commit().await.expect("it is committed");
        });
        Self(store).close();
    }

    fn open(place: &Place) -> Self {
        Self(store(place))
    }

    fn session(&self) -> Askar {
        Self(self.0.clone())
    }

    fn close(self) {
        block_on(self.0.close()).expect("it closes");
    }
}

/// A session of askar for each operation: it holds one of a few connections, so that threads must not keep theirs.
impl Session for Askar {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let entry = block_on(async { self.0.session(None).await?.fetch(CATEGORY, name, false).await });
        see(&entry.expect("it reads").expect("it is there").value)
    }

    fn put(&mut self, name: &str, value: &str) {
        let put = async { self.0.session(None).await?.replace(CATEGORY, name, value.as_bytes(), None, None).await };
        block_on(put).expect("it is written");
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        let count = i64::try_from(count).expect("a possible number");
        let category = Some(CATEGORY.to_owned());
        block_on(async {
            let mut names = Vec::new();
            let scan = self.0.scan(None, category, None, None, Some(count), Some(OrderBy::Id), false);
            let mut scan = scan.await.expect("it scans");
            while let Some(entries) = scan.fetch_next().await.expect("it scans on") {
                names.extend(entries.into_iter().map(|entry| entry.name));
            }
            names
        })
    }
}

fn main() {
    converse::<Askar>(std::env::args().skip(1));
}
