//! securestore: a JSON file that is in memory while it is open, and is written anew by every save.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use peer::{About, Peer, Place, Session, converse, locked};
use securestore::{KeySource, SecretsManager};

#[derive(Clone)]
struct SecureStore(Arc<RwLock<SecretsManager>>);

fn paths(place: &Place) -> [PathBuf; 2] {
    ["secrets.json", "secrets.key"].map(|file| place.directory.join(file))
}

impl Peer for SecureStore {
    type Session = SecureStore;

    fn about() -> About {
        About {
            version: locked(include_str!("../Cargo.lock"), "securestore"),
            encryption: "every value by itself: AES-128-CBC and HMAC-SHA-1, without the name; the key is a file",
            names: "plain",
            durability: "none: the file is truncated and written anew, without fsync or rename",
            versions: "none: the value is replaced",
        }
    }

    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>) {
        let store = Self::open(place);
        let mut secrets = store.0.write().expect("nobody panicked");
        entries.for_each(|(name, value)| secrets.set(&name, value));
        secrets.save().expect("it is written");
    }

    fn open(place: &Place) -> Self {
        let [file, key] = paths(place);
        if !file.exists() {
            let new = SecretsManager::new(KeySource::Csprng).expect("a new store");
            new.export_key(&key).and_then(|()| new.save_as(&file)).expect("it is written");
        }
        let secrets = SecretsManager::load(file, KeySource::Path(&key)).expect("it opens");
        Self(Arc::new(RwLock::new(secrets)))
    }

    fn session(&self) -> SecureStore {
        self.clone()
    }

    fn close(self) {}
}

impl Session for SecureStore {
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T {
        let value = self.0.read().expect("nobody panicked").get(name).expect("it is read");
        see(value.as_bytes())
    }

    fn put(&mut self, name: &str, value: &str) {
        let mut secrets = self.0.write().expect("nobody panicked");
        secrets.set(name, value);
        secrets.save().expect("it is written");
    }

    fn list(&mut self, count: usize) -> Vec<String> {
        self.0.read().expect("nobody panicked").keys().take(count).map(str::to_owned).collect()
    }
}

fn main() {
    converse::<SecureStore>(std::env::args().skip(1));
}
