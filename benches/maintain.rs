//! `maintain` when nothing is due, among few secrets and among many that all rotate some day, and what one rotation costs.
//!
//! `STRONGROOM_BENCH_SECRETS` sets the size of the large store.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

#[expect(dead_code, reason = "other benches use more of it")]
#[path = "floor/store.rs"]
mod store;

use std::hint::black_box;

use strongroom::{
    Builder, CreateSecretRequest, DescribeSecretRequest, Durability, MemoryBackend, PutSecretValueRequest,
    RotateSecretRequest, RotationCall, RotationError, RotationFunction, RotationRules, RotationStep, SecretStore,
    SecretsManager, UpdateSecretVersionStageRequest,
};

use measure::{Effort, Lane, Quantiles, Run, timed};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:renew";
const PARTNER: &str = "partner";
const CACHE_BYTES: u64 = 1024 * 1024 * 1024;
/// Secrets that are rotated and put to in turn, so that none of them gets many versions.
const ROTATED: usize = 512;
/// Longest time that `maintain` may take when nothing is due.
const BAR_SECONDS: f64 = 0.001;

/// Does what has to be done: a new value in the first step, which the last one makes current.
#[derive(Debug)]
struct Renew;

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
        match call.step {
            RotationStep::CreateSecret => {
                let put = PutSecretValueRequest::new(id, store::value(0)).client_request_token(token);
                secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
            }
            RotationStep::FinishSecret => {
                let labels = secrets.describe_secret(DescribeSecretRequest::new(id))?.version_ids_to_stages;
                let holds = |labels: &Vec<String>| labels.iter().any(|label| label == "AWSCURRENT");
                let current = labels.unwrap_or_default().into_iter().find(|(_, labels)| holds(labels));
                let (current, _) = current.ok_or("nothing is current")?;
                let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
                secrets.update_secret_version_stage(finish.remove_from_version_id(current))?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn main() {
    let mut run = Run::begin();
    let many = std::env::var("STRONGROOM_BENCH_SECRETS").ok().and_then(|secrets| secrets.parse().ok());
    let many: usize = run.scale(many.unwrap_or(1_000_000));
    let middle = run.scale(100_000);
    let few = run.scale(1_000);

    let small = idle(SecretStore::with_backend(MemoryBackend::new()), few);
    let medium = idle(SecretStore::with_backend(MemoryBackend::new()), middle);
    let large = idle(SecretStore::with_backend(MemoryBackend::new()), many);
    let place = store::directory();
    let on_disk = idle(SecretStore::builder(place.path()).cache_capacity_bytes(CACHE_BYTES), middle);
    measure_idle(&mut run, &[(&small, few, "in memory"), (&medium, middle, "in memory"), (&large, many, "in memory")]);
    measure_idle(&mut run, &[(&on_disk, middle, "in sled")]);
    drop((medium, large, on_disk));

    let memory = rotated(SecretStore::with_backend(MemoryBackend::new()));
    measure_rotation(&mut run, &memory, "in memory", Effort { rounds: 31, operations: 16 });
    let place = store::directory();
    let disk = rotated(SecretStore::builder(place.path()).cache_capacity_bytes(CACHE_BYTES));
    measure_rotation(&mut run, &disk, "durable, in sled", Effort { rounds: 21, operations: 8 });

    let mut criterion = run.criterion();
    let mut group = criterion.benchmark_group("maintain");
    group.bench_function("nothing due, 1,000 secrets", |bencher| bencher.iter(|| find_nothing(&small)));
    group.finish();
    criterion.final_summary();
    run.finish();
}

/// A store of secrets that rotate in a thousand days. A partner rotates them: no function has to be tried before.
fn idle(builder: Builder, secrets: usize) -> SecretStore {
    let builder = store::with_key(builder).durability(Durability::Eventual).partner_rotation(PARTNER, Renew);
    let store = builder.open().expect("the store opens");
    let manager = store.default_secrets_manager();
    for index in 0..secrets {
        let mut create = CreateSecretRequest::new(store::name(index));
        create.r#type = Some(PARTNER.to_owned());
        manager.create_secret(create).expect("the secret is created");
        let rotate = RotateSecretRequest::new(store::name(index)).rotate_immediately(false);
        let rules = RotationRules::new().automatically_after_days(1_000);
        manager.rotate_secret(rotate.rotation_rules(rules)).expect("the rotation is scheduled");
    }
    store
}

fn find_nothing(store: &SecretStore) {
    let report = store.maintain().expect("the store is maintained");
    assert!(report.next_due_at.is_some() && report.rotated_secrets == 0, "nothing is due, and something is scheduled");
    black_box(report);
}

/// `maintain` in several stores by turns.
fn measure_idle(run: &mut Run, stores: &[(&SecretStore, usize, &str)]) {
    let mut work: Vec<_> = stores
        .iter()
        .map(|(store, ..)| move |operations| timed(|| (0..operations).for_each(|_| find_nothing(store))))
        .collect();
    let mut lanes: Vec<Lane<'_>> = work.iter_mut().map(|work| Lane { name: "maintain", bar: None, work }).collect();
    let times = run.interleave(Effort { rounds: 101, operations: 20 }, &mut lanes);
    for ((_, secrets, place), times) in stores.iter().zip(times) {
        let title = format!("maintain with nothing due, {secrets} secrets that rotate some day, {place}");
        run.figure(&title, Quantiles::of(times), "s", Some(0.0..=BAR_SECONDS));
    }
}

fn rotated(builder: Builder) -> SecretStore {
    let builder = store::with_key(builder).rotation_function(ARN, Renew).rotation_timeout(None);
    let store = builder.open().expect("the store opens");
    store::fill(&store.default_secrets_manager(), ROTATED);
    store
}

/// One rotation, from when it is found due to when it is noted as done, beside one put.
fn measure_rotation(run: &mut Run, store: &SecretStore, place: &str, effort: Effort) {
    let manager = store.default_secrets_manager();
    let mut turn = 0;
    let mut rotate = |operations| {
        let one = |_| {
            turn += 1;
            // Being asked for it is not part of it.
            begin(&manager, &store::name(turn % (ROTATED / 2)));
            timed(|| {
                let report = store.maintain().expect("the store is maintained");
                assert_eq!(report.rotated_secrets, 1, "one secret is rotated");
            })
        };
        (0..operations).map(one).sum()
    };
    let mut number = 0;
    let mut put = |operations| {
        timed(|| {
            for _ in 0..operations {
                number += 1;
                let name = store::name(ROTATED / 2 + number % (ROTATED / 2));
                let request = PutSecretValueRequest::new(name, store::value(number));
                manager.put_secret_value(request).expect("the value is put");
            }
        })
    };
    let mut lanes =
        [Lane { name: "rotation", bar: None, work: &mut rotate }, Lane { name: "put", bar: None, work: &mut put }];
    run.compare(&format!("one rotation {place}, 1 KiB"), effort, &mut lanes);
}

fn begin(manager: &SecretsManager, name: &str) {
    let rotate = RotateSecretRequest::new(name).rotation_lambda_arn(ARN);
    manager.rotate_secret(rotate).expect("the rotation is begun");
}
