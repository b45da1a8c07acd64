//! Pages, filters, and the catalogue that they are taken from.
//!
//! `STRONGROOM_BENCH_SECRETS` sets the size of the large store.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

#[path = "floor/records.rs"]
mod records;
#[path = "floor/store.rs"]
mod store;

use std::fs;
use std::hint::black_box;

use strongroom::{
    CreateSecretRequest, Durability, Filter, FilterKey, ListSecretsRequest, MemoryBackend, SecretStore, SecretsManager,
    SortBy, Tag,
};

use crate::records::{Layout, Seals};
use measure::{Effort, Lane, Quantiles, Run, timed};

const CACHE_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Longest time that a filter may take for each secret: 100 ms for 100,000.
const FILTER_BAR_SECONDS: f64 = 1e-6;
/// Most memory that the catalogue may take for a secret.
const CATALOGUE_BAR_BYTES: f64 = 300.0;

fn main() {
    let mut run = Run::begin();
    let many = std::env::var("STRONGROOM_BENCH_SECRETS").ok().and_then(|secrets| secrets.parse().ok());
    let many: usize = run.scale(many.unwrap_or(100_000));
    let few = run.scale(1_000);

    let large = in_memory(many, store::fill);
    // Measured first: afterwards memory that was freed would be used again unseen.
    measure_catalogue(&mut run, &large, many);
    let large = large.default_secrets_manager();
    let small = in_memory(few, store::fill);
    let small = small.default_secrets_manager();

    for (order, sort_by) in [("in order of creation", SortBy::CreatedDate), ("by name", SortBy::Name)] {
        let mut of_large = |operations| timed(|| (0..operations).for_each(|_| first_page(&large, &sort_by)));
        let mut of_small = |operations| timed(|| (0..operations).for_each(|_| first_page(&small, &sort_by)));
        let mut lanes = [
            Lane { name: "the large store", bar: None, work: &mut of_large },
            Lane { name: "1,000 secrets", bar: Some(0.0..=2.0), work: &mut of_small },
        ];
        let title = format!("first page of 100 {order}, {many} secrets");
        run.compare(&title, Effort { rounds: 501, operations: 2 }, &mut lanes);
    }
    let described = in_memory(many, describe);
    let described = described.default_secrets_manager();
    measure_filters(&mut run, &described, many);
    build_catalogue(&mut run, many);

    let mut criterion = run.criterion();
    let mut group = criterion.benchmark_group("list");
    group.bench_function("first page, 1,000 secrets", |bencher| {
        bencher.iter(|| first_page(&small, &SortBy::CreatedDate));
    });
    group.bench_function("first page, the large store", |bencher| {
        bencher.iter(|| first_page(&large, &SortBy::CreatedDate));
    });
    group.sample_size(10);
    for (key, _) in FILTERS {
        group.bench_function(format!("no match by {}, the large store", key.as_str()), |bencher| {
            bencher.iter(|| find_nothing(&described, &key));
        });
    }
    group.finish();
    criterion.final_summary();
    run.finish();
}

fn in_memory(secrets: usize, fill: impl FnOnce(&SecretsManager, usize)) -> SecretStore {
    let backend = MemoryBackend::new();
    let open = || store::with_key(SecretStore::with_backend(backend.clone())).durability(Durability::Eventual).open();
    let filled = open().expect("the store opens");
    fill(&filled.default_secrets_manager(), secrets);
    filled.close().expect("the store closes");
    // Opened again, it has no catalogue yet.
    open().expect("the store opens")
}

/// Secrets with a description and two tags: there is more to search.
fn describe(manager: &SecretsManager, secrets: usize) {
    for index in 0..secrets {
        let tags = [Tag::new("team", "payments"), Tag::new("stage", "production")];
        let request = CreateSecretRequest::new(store::name(index)).secret_string("s3cret").tags(tags);
        let request = request.description("Credentials of the reporting database, changed every month");
        manager.create_secret(request).expect("the secret is created");
    }
}

fn first_page(manager: &SecretsManager, sort_by: &SortBy) {
    let page = manager.list_secrets(ListSecretsRequest::new().sort_by(sort_by.clone())).expect("a page");
    black_box(page.secret_list.len());
}

const FILTERS: [(FilterKey, &str); 2] = [(FilterKey::Name, "name"), (FilterKey::All, "all")];

fn find_nothing(manager: &SecretsManager, key: &FilterKey) {
    let request = ListSecretsRequest::new().filters([Filter::new(key.clone(), ["nowhere"])]);
    assert!(manager.list_secrets(request).expect("a page").secret_list.is_empty(), "nothing has that name");
}

fn measure_filters(run: &mut Run, manager: &SecretsManager, secrets: usize) {
    for (key, name) in FILTERS {
        let mut find = |operations| timed(|| (0..operations).for_each(|_| find_nothing(manager, &key)));
        let mut lanes = [Lane { name, bar: None, work: &mut find }];
        let times = run.interleave(Effort { rounds: 31, operations: 1 }, &mut lanes);
        let title = format!("filter by {name} that matches nothing, described and tagged, {secrets} secrets");
        let bar = 0.0..=FILTER_BAR_SECONDS * secrets as f64;
        run.figure(&title, Quantiles::of(times.concat()), "s", Some(bar));
    }
}

/// Memory of the process in bytes. `None` where the system does not say.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn measure_catalogue(run: &mut Run, store: &SecretStore, secrets: usize) {
    let before = resident_bytes();
    store.warm_up().expect("the catalogue is built");
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let each = Quantiles::of(vec![(after - before) / secrets as f64]);
        let title = format!("memory of the catalogue for each secret, {secrets} secrets");
        run.figure(&title, each, "bytes", Some(0.0..=CATALOGUE_BAR_BYTES));
    }
}

/// Building the catalogue from the disk, beside a scan that opens every record and keeps nothing.
fn build_catalogue(run: &mut Run, secrets: usize) {
    let places = [store::directory(), store::directory()];
    store::make(places[0].path(), secrets, CACHE_BYTES);
    let db = store::raw_sled(places[1].path(), CACHE_BYTES);
    let seals = Seals::new();
    let layout = Layout::of_puts(0).pop().expect("a create was recorded");
    let keys = records::fill(&db, &seals, &layout, secrets);
    assert_eq!(keys.len(), secrets, "the floor reads as many records");

    let mut engine = |_| {
        let store = store::open(places[0].path(), CACHE_BYTES);
        let seconds = timed(|| store.warm_up().expect("the catalogue is built"));
        store.close().expect("the store closes");
        seconds
    };
    let mut floor = |_| {
        timed(|| {
            for record in db.scan_prefix(b"s") {
                let (_, sealed) = record.expect("sled scans");
                black_box(seals.metadata.open("metadata", &layout.record_ad, &sealed[8..]).expect("it opens"));
            }
        })
    };
    let mut lanes = [
        Lane { name: "catalogue", bar: None, work: &mut engine },
        Lane { name: "scan that opens every record", bar: None, work: &mut floor },
    ];
    let effort = Effort { rounds: 9, operations: secrets };
    run.compare(&format!("build of the catalogue, for each of {secrets} secrets"), effort, &mut lanes);
}
