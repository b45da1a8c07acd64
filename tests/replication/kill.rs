//! Processes that are killed while they change a primary with replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use strongroom::{
    CreateSecretRequest, LocalKeyring, PutSecretValueRequest, RemoveRegionsFromReplicationRequest,
    ReplicateSecretToRegionsRequest, SecretStore, SecretsManager, StatusType, Tag, TagResourceRequest, VerifyOptions,
};

use crate::child::{self, say};
use crate::fixture::{ACCOUNT, HOME, Seen, describe, token};
use crate::random::{Chance, set};

const REGIONS: [&str; 3] = ["eu-west-1", "eu-west-2", "sa-east-1"];
const KILLS: u64 = 10;
/// Changes of one secret before the next one is made.
const CHANGES: usize = 30;
const BYTES: [usize; 5] = [20, 20, 200, 5_000, 60_000];

/// One change of the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Create(String),
    Put(String),
    Tag(String),
    Remove(String),
    Replicate(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, what) = match self {
            Self::Create(what) => ("create", what),
            Self::Put(what) => ("put", what),
            Self::Tag(what) => ("tag", what),
            Self::Remove(what) => ("remove", what),
            Self::Replicate(what) => ("replicate", what),
        };
        write!(f, "{kind} {what}")
    }
}

impl Change {
    fn parse(text: &str) -> Self {
        let (kind, what) = text.split_once(' ').unwrap();
        let what = what.to_owned();
        match kind {
            "create" => Self::Create(what),
            "put" => Self::Put(what),
            "tag" => Self::Tag(what),
            "remove" => Self::Remove(what),
            _ => Self::Replicate(what),
        }
    }

    fn make(&self, secrets: &SecretsManager, name: &str) {
        match self {
            Self::Create(id) => {
                let create = CreateSecretRequest::new(name).client_request_token(id.as_str());
                drop(secrets.create_secret(create.secret_string(value_of(id)).add_replica_regions(REGIONS)).unwrap());
            }
            Self::Put(id) => {
                let put = PutSecretValueRequest::new(name, value_of(id)).client_request_token(id.as_str());
                drop(secrets.put_secret_value(put).unwrap());
            }
            Self::Tag(value) => {
                secrets.tag_resource(TagResourceRequest::new(name, [Tag::new("t", value.as_str())])).unwrap();
            }
            Self::Remove(region) => {
                let remove = RemoveRegionsFromReplicationRequest::new(name, [region.as_str()]);
                drop(secrets.remove_regions_from_replication(remove).unwrap());
            }
            Self::Replicate(region) => {
                let replicate = ReplicateSecretToRegionsRequest::new(name, [region.as_str()]);
                drop(secrets.replicate_secret_to_regions(replicate).unwrap());
            }
        }
    }
}

/// The value that belongs to a version id.
fn value_of(id: &str) -> String {
    let number: usize = id.split('-').next().unwrap().parse().unwrap();
    id.chars().cycle().take(BYTES[number % BYTES.len()]).collect()
}

/// What a secret must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Kept {
    ids: BTreeSet<String>,
    current: Option<String>,
    tag: Option<String>,
    regions: BTreeSet<String>,
}

impl Kept {
    fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::Create(id) => {
                self.regions = REGIONS.map(str::to_owned).into();
                self.ids.insert(id.clone());
                self.current = Some(id);
            }
            Change::Put(id) => {
                self.ids.insert(id.clone());
                self.current = Some(id);
            }
            Change::Tag(value) => self.tag = Some(value),
            Change::Remove(region) => drop(self.regions.remove(&region)),
            Change::Replicate(region) => drop(self.regions.insert(region)),
        }
    }

    fn observe(secrets: &SecretsManager, name: &str) -> Self {
        let seen = Seen::of(secrets, name);
        for (id, version) in &seen.versions {
            assert_eq!(version.value.as_deref(), Some(value_of(id).as_str()));
        }
        let is_current =
            |version: &crate::fixture::SeenVersion| version.labels.iter().any(|label| label == "AWSCURRENT");
        let current = seen.versions.iter().find(|(_, version)| is_current(version)).map(|(id, _)| id.clone());
        let statuses = describe(secrets, name).replication_status.unwrap_or_default();
        Self {
            ids: seen.versions.into_keys().collect(),
            current,
            tag: seen.tags.and_then(|tags| tags.first().map(|tag| tag.value.clone())),
            regions: statuses.into_iter().map(|status| status.region).collect(),
        }
    }
}

fn open(place: &Path) -> SecretStore {
    let keyring = LocalKeyring::open_or_create(place.join("keys")).unwrap();
    SecretStore::builder(place.join("store")).key_provider(keyring).open().unwrap()
}

/// In the child: one secret after the other is changed in random ways, which are told before and after.
pub(crate) fn write_until_killed(place: &Path, seed: u64) {
    let store = open(place);
    let secrets = store.secrets_manager(ACCOUNT, HOME).unwrap();
    let chance = Chance::new(seed);
    say("open");
    let mut made = usize::try_from(seed).unwrap() * 100_000;
    for number in 0_u64.. {
        let name = format!("db/{seed}-{number}");
        for index in 0..CHANGES {
            made += 1;
            let change = match chance.below(10) {
                _ if index == 0 => Change::Create(token(made)),
                0 => Change::Remove((*chance.pick(&REGIONS)).to_owned()),
                1..3 => Change::Replicate((*chance.pick(&REGIONS)).to_owned()),
                3 => Change::Tag(made.to_string()),
                _ => Change::Put(token(made)),
            };
            say(&format!("will {name} {change}"));
            change.make(&secrets, &name);
            say("done");
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    applied: usize,
    not_applied: usize,
    compared: usize,
}

/// Kills one writer, opens the store again and compares.
fn kill_once(place: &Path, seed: u64, kept: &mut BTreeMap<String, Kept>, tally: &mut Tally) {
    let chance = Chance::new(seed + 1_000_000);
    let writer = child::start(place, seed);
    assert_eq!(writer.hear(), "open");
    thread::sleep(Duration::from_micros(chance.below(150_000) as u64));
    let mut pending = None;
    for line in writer.kill() {
        match (line.strip_prefix("will "), pending.take()) {
            (Some(call), None) => {
                let (name, change) = call.split_once(' ').unwrap();
                pending = Some((name.to_owned(), Change::parse(change)));
            }
            (None, Some((name, change))) if line == "done" => {
                kept.entry(name).or_default().apply(&change);
                tally.acknowledged += 1;
            }
            _ => panic!("a call failed: {line}"),
        }
    }

    let store = open(place);
    let report = store.verify(VerifyOptions::new(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "seed {seed}: {report:#?}");
    let home = store.secrets_manager(ACCOUNT, HOME).unwrap();
    if let Some((name, change)) = pending {
        let before = kept.get(&name).cloned();
        let mut after = before.clone().unwrap_or_default();
        after.apply(&change);
        let is_there = home.describe_secret(strongroom::DescribeSecretRequest::new(name.as_str())).is_ok();
        let now = is_there.then(|| Kept::observe(&home, &name));
        if now == before {
            tally.not_applied += 1;
        } else {
            assert_eq!(now.as_ref(), Some(&after), "half of {change} of {name} is there, seed {seed}");
            tally.applied += 1;
            kept.insert(name, after);
        }
    }
    let mut secrets = 0;
    for (name, kept) in kept.iter() {
        secrets += 1 + kept.regions.len();
        // What earlier kills left is looked at again now and then.
        if !name.starts_with(&format!("db/{seed}-")) && !chance.one_in(10) {
            continue;
        }
        assert_eq!(Kept::observe(&home, name), *kept, "what was acknowledged of {name}, seed {seed}");
        let primary = Seen::of(&home, name);
        for status in describe(&home, name).replication_status.unwrap_or_default() {
            assert_eq!(status.status, StatusType::InSync, "{name} in {}, seed {seed}", status.region);
            let region = store.secrets_manager(ACCOUNT, &status.region).unwrap();
            assert_eq!(Seen::of(&region, name), primary, "{name} in {}, seed {seed}", status.region);
            tally.compared += 1;
        }
    }
    assert_eq!(store.stats().unwrap().secrets, secrets as u64, "no replica is there that nobody wants, seed {seed}");
    store.close().unwrap();
}

#[test]
fn no_kill_loses_an_acknowledged_change_or_leaves_a_replica_in_sync_that_differs() {
    let kills = set("STRONGROOM_REPLICATION_KILLS").unwrap_or(KILLS);
    let first = set("STRONGROOM_REPLICATION_SEED").unwrap_or(1);
    let place = tempfile::tempdir().unwrap();
    let (mut kept, mut tally) = (BTreeMap::new(), Tally::default());
    for seed in first..first + kills {
        kill_once(place.path(), seed, &mut kept, &mut tally);
    }
    let Tally { acknowledged, applied, not_applied, compared } = tally;
    eprintln!(
        "{kills} kills: {acknowledged} changes acknowledged, {applied} unacknowledged and applied, {not_applied} not, 0 lost; \
         {compared} replicas compared with their primaries, 0 differ"
    );
    assert!(acknowledged > 0 && compared > 0, "the kills came at no interesting time");
}
