//! What a store keeps of its commits, frames and standbys, read by the script.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;
use strongroom::{
    Changes, CreateSecretRequest, DeleteSecretRequest, Error, FeedPosition, MemoryBackend, PutSecretValueRequest,
    ReplicationLink, SecretStore, Seed, StandbyDirectory,
};

use crate::fixture::{Dump, Hex, PROVIDER_KEY, Record, builder, in_directory, records};
use crate::script::run;

/// Keeps what it carries.
#[derive(Debug)]
struct Carrier {
    link: StandbyDirectory,
    seeds: Mutex<Vec<Seed>>,
    frames: Mutex<Vec<Changes>>,
}

impl ReplicationLink for Carrier {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.link.position()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.seeds.lock().unwrap().push(seed.clone());
        self.link.begin(seed)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        self.frames.lock().unwrap().push(changes.clone());
        self.link.apply(changes)
    }
}

fn create(store: &SecretStore, name: &str, value: &str) {
    store.default_secrets_manager().create_secret(CreateSecretRequest::new(name).secret_string(value)).unwrap();
}

fn put(store: &SecretStore, name: &str, value: &str) {
    store.default_secrets_manager().put_secret_value(PutSecretValueRequest::new(name, value)).unwrap();
}

fn remove(store: &SecretStore, name: &str) {
    let delete = DeleteSecretRequest::new(name).force_delete_without_recovery(true);
    store.default_secrets_manager().delete_secret(delete).unwrap();
}

/// A frame as the script reads it.
fn read_by_the_script(directory: &Path, seed: &Seed, frame: &Changes) -> Option<Value> {
    let (seed_file, frame_file) = (directory.join("seed"), directory.join("frame"));
    fs::write(&seed_file, seed.expose()).unwrap();
    fs::write(&frame_file, frame.as_bytes()).unwrap();
    let said = run(&["--open-frame", frame_file.to_str().unwrap(), "--seed", seed_file.to_str().unwrap()])?;
    Some(serde_json::from_str(&said.unwrap()).unwrap())
}

#[test]
fn the_script_reads_seeds_and_frames_of_every_kind() {
    let place = tempfile::tempdir().unwrap();
    let store = in_directory(&place.path().join("store"), 1).open().unwrap();
    create(&store, "one", "value");
    create(&store, "large", &"v".repeat(65_536));
    put(&store, "large", &"w".repeat(65_536));
    create(&store, "larger", &"x".repeat(65_536));
    let link = StandbyDirectory::new(in_directory(&place.path().join("standby"), 2));
    let carrier = Carrier { link, seeds: Mutex::default(), frames: Mutex::default() };
    store.replicate_to(&carrier, &mut |_| {}).unwrap();
    put(&store, "one", "another");
    put(&store, "one", "a third");
    remove(&store, "large");
    let position = store.replicate_to(&carrier, &mut |_| {}).unwrap().position;

    let seed = carrier.seeds.lock().unwrap()[0].clone();
    let frames = carrier.frames.lock().unwrap().clone();
    let mut read = Vec::new();
    for frame in &frames {
        let Some(said) = read_by_the_script(place.path(), &seed, frame) else { return };
        assert_eq!(said["seed"]["for tests"], true);
        assert_eq!(said["frame"]["from"]["store"], said["seed"]["position"]["store"]);
        if said["frame"]["kind"] != "changes" {
            assert_eq!(said["frame"]["copy"], said["seed"]["copy"]);
        }
        read.push(said["frame"].clone());
    }
    let kinds: Vec<&str> = read.iter().map(|frame| frame["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["copy", "end of copy", "changes"]);
    let names = |frame: &Value| {
        let mut names: Vec<String> = Vec::new();
        for state in frame["states"].as_array().unwrap() {
            let versions = state["versions"].as_object().map_or(0, serde_json::Map::len);
            if let Some(withdrawn) = state["ids"].as_array() {
                names.push(format!("withdrawn {}", withdrawn.len()));
                continue;
            }
            let versions = if state["ahead"] == true { format!("ahead {versions}") } else { versions.to_string() };
            names.push(format!("{} {versions}", state["name"].as_str().or(state["gone"].as_str()).unwrap()));
        }
        names.sort();
        names
    };
    assert_eq!(names(&read[0]), ["large 2", "larger 1", "one 1"]);
    assert_eq!(names(&read[1]), [""; 0]);
    assert_eq!(read[1]["complete at"], 4);
    assert_eq!(names(&read[2]), ["large 0", "one 2"]);
    assert_eq!(read[2]["to"]["epoch"], position.epoch());
    assert_eq!(read[2]["latest"], true);
}

/// A secret is changed while a part of it is on its way.
#[derive(Debug)]
struct Changing<'a> {
    carrier: &'a Carrier,
    store: &'a SecretStore,
}

impl ReplicationLink for Changing<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.carrier.position()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.carrier.begin(seed)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        if self.carrier.frames.lock().unwrap().is_empty() {
            remove(self.store, "large");
            create(self.store, "large", "small now");
        }
        self.carrier.apply(changes)
    }
}

#[test]
fn the_script_reads_parts_of_secrets_that_came_ahead_and_were_withdrawn() {
    let place = tempfile::tempdir().unwrap();
    let store = in_directory(&place.path().join("store"), 1).open().unwrap();
    create(&store, "large", &"v".repeat(65_536));
    (0..40).for_each(|_| put(&store, "large", &"w".repeat(65_536)));
    let link = StandbyDirectory::new(in_directory(&place.path().join("standby"), 2));
    let carrier = Carrier { link, seeds: Mutex::default(), frames: Mutex::default() };
    store.replicate_to(&Changing { carrier: &carrier, store: &store }, &mut |_| {}).unwrap();
    let seed = carrier.seeds.lock().unwrap()[0].clone();
    let frames = carrier.frames.lock().unwrap().clone();
    let mut read = Vec::new();
    for frame in &frames {
        let Some(said) = read_by_the_script(place.path(), &seed, frame) else { return };
        read.push(said["frame"].clone());
    }
    let [ahead, rest, end, ..] = &read[..] else { panic!("{} frames", read.len()) };
    let came = ahead["states"][0]["versions"].as_object().unwrap().len();
    assert!(ahead["states"][0]["ahead"] == true && came > 30, "{came}");
    assert_eq!(rest["states"][0]["ids"].as_array().unwrap().len(), came);
    assert_eq!(rest["states"][1]["versions"].as_object().unwrap().len(), 1);
    assert_eq!(end["kind"], "end of copy");
    // And what a promoted standby has left of it all.
    carrier.link.store().unwrap().promote().unwrap();
}

#[test]
fn the_script_reads_what_a_store_keeps_of_its_commits() {
    let backend = std::sync::Arc::new(MemoryBackend::new());
    let store = builder(Shared(std::sync::Arc::clone(&backend)), 3).open().unwrap();
    create(&store, "before", "value");
    store.keep_changes(5).unwrap();
    for index in 0..6 {
        create(&store, &format!("secret-{index}"), "value");
    }
    put(&store, "secret-5", &"v".repeat(65_536));
    remove(&store, "secret-4");
    let records = records(&*backend);
    assert_eq!(records.keys().filter(|key| key[0] == b'c').count(), 1 + 5 + 1, "one commit takes two entries");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dump.json");
    // What is missing at the beginning is what is kept no longer.
    let cases = [
        (None, Ok("5 kept commits, 2 told secrets\n")),
        (Some(1), Ok("4 kept commits, 1 told secrets\n")),
        (Some(3), Err("refused: a commit is missing\n")),
        (Some(5), Err("does not have all of its entries\n")),
        (Some(6), Err("refused: the newest commit is not among those that are kept\n")),
    ];
    for (removed, expected) in cases {
        let mut records = records.clone();
        if let Some(removed) = removed {
            let key = records.keys().filter(|key| key[0] == b'c').nth(removed).unwrap().clone();
            records.remove(&key);
        }
        let records = records.into_iter().map(|(key, value)| Record { key: Hex(key), value: Hex(value) }).collect();
        let dump = Dump { provider_key: Hex(PROVIDER_KEY.to_vec()), records };
        fs::write(&file, serde_json::to_string(&dump).unwrap()).unwrap();
        let Some(said) = run(&["--count", file.to_str().unwrap()]) else { return };
        match (&said, expected) {
            (Ok(said), Ok(end)) | (Err(said), Err(end)) => assert!(said.ends_with(end), "{removed:?}: {said}"),
            _ => panic!("{removed:?}: {said:?}"),
        }
    }
}

/// A backend that outlives its store.
#[derive(Debug)]
struct Shared(std::sync::Arc<MemoryBackend>);

impl strongroom::Backend for Shared {
    fn get(&self, key: &[u8]) -> Result<Option<strongroom::Stored>, strongroom::BackendError> {
        self.0.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, strongroom::Stored)>, strongroom::BackendError> {
        self.0.scan(prefix, after, limit)
    }

    fn commit(
        &self,
        batch: &strongroom::Batch,
        durability: strongroom::Durability,
    ) -> Result<(), strongroom::BackendError> {
        self.0.commit(batch, durability)
    }

    fn flush(&self) -> Result<(), strongroom::BackendError> {
        self.0.flush()
    }

    fn stats(&self) -> Result<strongroom::BackendStats, strongroom::BackendError> {
        self.0.stats()
    }

    fn close(&self) -> Result<(), strongroom::BackendError> {
        Ok(())
    }
}
