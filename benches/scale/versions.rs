//! One secret with many versions, and with many labels.

use std::hint::black_box;

use measure::{Effort, Lane, Quantiles, Run, timed};
use strongroom::testing::ManualClock;
use strongroom::{
    CreateSecretRequest, GetSecretValueRequest, PutSecretValueRequest, SecretStore, SecretsManager, Timestamp,
};

use crate::{CACHE_BYTES, grouped, store};

/// How many versions secrets have, and how many such secrets there are: so many that puts do not add many versions.
const VERSIONS: [(usize, usize); 4] = [(1, 512), (10, 256), (100, 64), (1_000, 16)];
/// Above what the puts of this bench come to.
const VERSIONS_MAX: usize = 2_000;
/// With `AWSCURRENT` and `AWSPREVIOUS`, as many as a secret can have.
const OWN_LABELS: usize = 18;
const LABELLED: usize = 64;
const BEGIN_SECONDS: i64 = 1_800_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Secrets that are alike, gone through in turn.
struct Group {
    manager: SecretsManager,
    names: Vec<String>,
    at: usize,
}

impl Group {
    fn make(manager: &SecretsManager, name: &str, secrets: usize) -> Self {
        let names: Vec<String> = (0..secrets).map(|index| format!("bench/{name}/{index:04}")).collect();
        for name in &names {
            let request = CreateSecretRequest::new(name.as_str()).secret_string(store::value(0));
            manager.create_secret(request).expect("the secret is created");
        }
        Self { manager: manager.clone(), names, at: 0 }
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.names[self.at % self.names.len()].clone()
    }

    fn get(&mut self) {
        let request = GetSecretValueRequest::new(self.next());
        black_box(self.manager.get_secret_value(request).expect("the value is read").secret_string);
    }

    fn put(&mut self) {
        let request = PutSecretValueRequest::new(self.next(), store::value(self.at));
        self.manager.put_secret_value(request).expect("the value is put");
    }

    fn put_to_all(&mut self, times: usize) {
        (0..times * self.names.len()).for_each(|_| self.put());
    }

    /// A version for each label of its own.
    fn label(&mut self) {
        for label in 0..OWN_LABELS {
            for name in &self.names {
                let request = PutSecretValueRequest::new(name.as_str(), store::value(label));
                let request = request.version_stages([format!("LABEL{label}")]);
                self.manager.put_secret_value(request).expect("the value is put");
            }
        }
        // The first one becomes the previous one.
        self.put_to_all(1);
    }
}

pub(crate) fn measure(run: &mut Run) {
    let place = store::directory();
    let clock = ManualClock::new(at(0));
    let builder = store::with_key(SecretStore::builder(place.path())).cache_capacity_bytes(CACHE_BYTES);
    let builder = builder.clock(clock.clone()).test_only(true).versions_per_secret_max(VERSIONS_MAX);
    let opened = builder.open().expect("the store opens");
    let manager = opened.default_secrets_manager();

    let mut groups: Vec<(usize, Group)> = Vec::new();
    for (versions, secrets) in VERSIONS {
        let name = format!("versions-{versions}");
        let (versions, secrets) = if run.is_measured() { (versions, secrets) } else { (versions.min(3), 2) };
        let mut group = Group::make(&manager, &name, secrets);
        group.put_to_all(versions - 1);
        groups.push((versions, group));
    }
    type Work = fn(&mut Group);
    let works: [(&str, Work, Effort); 2] = [
        ("get", Group::get, Effort { rounds: 201, operations: 16 }),
        ("durable put", Group::put, Effort { rounds: 10, operations: 16 }),
    ];
    for (what, work, effort) in works {
        let mut lanes: Vec<_> = groups
            .iter_mut()
            .map(|(_, group)| move |operations: usize| timed(|| (0..operations).for_each(|_| work(group))))
            .collect();
        let lanes = lanes.iter_mut().map(|work| Lane { name: what, bar: None, work });
        let times = run.interleave(effort, &mut lanes.collect::<Vec<Lane<'_>>>());
        let first = times[0].clone();
        for ((versions, _), times) in groups.iter().zip(times) {
            let ratios = times.iter().zip(&first).map(|(own, first)| own / first).collect();
            let shown =
                if *versions == 1 { "1 version".to_owned() } else { format!("{} versions", grouped(*versions)) };
            let title = format!("{what}, a secret with {shown}");
            run.figure(&title, Quantiles::of(times.clone()), "s", None);
            if *versions > 1 {
                let title = format!("growth of {what} from 1 to {shown}");
                run.figure(&title, Quantiles::of(ratios), "x", None);
            }
            run.point("versions", what, *versions as f64, Quantiles::of(times), "s");
        }
    }

    // Versions without a label are kept for a day. The put after it removes all but a hundred.
    let (versions, mut many) = groups.pop().expect("there are groups");
    clock.set(at(DAY_SECONDS + 1));
    many.put_to_all(1);
    let mut get = |operations| timed(|| (0..operations).for_each(|_| many.get()));
    let lane = Lane { name: "get", bar: None, work: &mut get };
    let times = run.interleave(Effort { rounds: 201, operations: 16 }, &mut [lane]).concat();
    let title = format!("get, a secret that had {} versions a day before", grouped(versions));
    run.figure(&title, Quantiles::of(times), "s", None);

    measure_labels(run, &manager);
    opened.close().expect("the store closes");
}

fn measure_labels(run: &mut Run, manager: &SecretsManager) {
    let secrets = run.scale(LABELLED);
    let mut labelled = Group::make(manager, "labelled", secrets);
    labelled.label();
    let mut plain = Group::make(manager, "plain", secrets);
    plain.put_to_all(OWN_LABELS + 1);
    for (what, rounds) in [("get", 201), ("durable put", 20)] {
        let work = |group: &mut Group| if what == "get" { group.get() } else { group.put() };
        let mut by_labelled = |operations| timed(|| (0..operations).for_each(|_| work(&mut labelled)));
        let mut by_plain = |operations| timed(|| (0..operations).for_each(|_| work(&mut plain)));
        let mut lanes = [
            Lane { name: "20 labels", bar: None, work: &mut by_labelled },
            Lane { name: "as many versions with 2 labels", bar: None, work: &mut by_plain },
        ];
        run.compare(&format!("{what}, a secret with labels"), Effort { rounds, operations: 16 }, &mut lanes);
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(BEGIN_SECONDS + seconds, 0).expect("it is in the calendar")
}
