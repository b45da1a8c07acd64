//! Many callers at once: of a primary, of its replicas, and of those that come and go.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest,
    ListSecretVersionIdsRequest, PutSecretValueRequest, RemoveRegionsFromReplicationRequest,
    ReplicateSecretToRegionsRequest, SecretsManager, StatusType, StopReplicationToReplicaRequest,
};

use crate::fixture::{Fixture, assert_equal, statuses, token};

const WRITERS: usize = 8;
const PUTS: usize = 15;
/// The first stays, the others come and go.
const REGIONS: [&str; 3] = ["eu-west-1", "eu-west-2", "sa-east-1"];

/// The versions that a Region shows as current and previous, in one answer.
fn labelled(secrets: &SecretsManager) -> Option<(String, Option<String>)> {
    let stages = secrets.describe_secret(DescribeSecretRequest::new("db")).ok()?.version_ids_to_stages?;
    let holder = |label: &str| {
        stages.iter().find(|(_, stages)| stages.iter().any(|stage| stage == label)).map(|(id, _)| id.clone())
    };
    Some((holder("AWSCURRENT").unwrap(), holder("AWSPREVIOUS")))
}

fn put(home: &SecretsManager, replica: &SecretsManager, writer: usize) {
    for index in 0..PUTS {
        let id = token(1 + writer * PUTS + index);
        let request = PutSecretValueRequest::new("db", format!("value of {id}")).client_request_token(id.as_str());
        home.put_secret_value(request).unwrap();
        let read = replica.get_secret_value(GetSecretValueRequest::new("db").version_id(id.as_str())).unwrap();
        assert_eq!(read.secret_string.unwrap().expose(), format!("value of {id}"), "it is at the replica at once");
    }
}

/// One Region comes and goes in every way there is.
fn come_and_go(home: &SecretsManager, region: &SecretsManager, is_over: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !is_over.load(Ordering::SeqCst) || rounds < 12 {
        let added = [region.region()];
        home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", added)).unwrap();
        if rounds % 2 == 0 {
            home.remove_regions_from_replication(RemoveRegionsFromReplicationRequest::new("db", added)).unwrap();
        } else {
            region.stop_replication_to_replica(StopReplicationToReplicaRequest::new("db")).unwrap();
            let delete = DeleteSecretRequest::new("db").force_delete_without_recovery(true);
            region.delete_secret(delete).unwrap();
        }
        rounds += 1;
    }
    rounds
}

#[test]
fn a_replica_shows_only_states_that_its_primary_had_whatever_goes_on() {
    let fixture = Fixture::new();
    let home = fixture.home();
    let create = CreateSecretRequest::new("db").client_request_token(token(0)).secret_string("first");
    home.create_secret(create.add_replica_regions(REGIONS)).unwrap();
    let replicas: Vec<SecretsManager> = REGIONS.iter().map(|region| fixture.region(region)).collect();
    let (is_over, writing) = (AtomicBool::new(false), AtomicUsize::new(WRITERS));
    let observed = Mutex::new(BTreeMap::<usize, Vec<(String, Option<String>)>>::new());
    let rounds = AtomicUsize::new(0);
    thread::scope(|threads| {
        for writer in 0..WRITERS {
            let (home, replica, is_over, writing) = (&home, &replicas[0], &is_over, &writing);
            threads.spawn(move || {
                put(home, replica, writer);
                if writing.fetch_sub(1, Ordering::SeqCst) == 1 {
                    is_over.store(true, Ordering::SeqCst);
                }
            });
        }
        for region in &replicas[1..] {
            let (home, is_over, rounds) = (&home, &is_over, &rounds);
            threads.spawn(move || rounds.fetch_add(come_and_go(home, region, is_over), Ordering::SeqCst));
        }
        for (reader, region) in replicas.iter().enumerate() {
            let (observed, is_over) = (&observed, &is_over);
            threads.spawn(move || {
                let mut seen = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    let labels = labelled(region);
                    if labels.is_some() && seen.last() != labels.as_ref() {
                        seen.extend(labels);
                    }
                    thread::yield_now();
                }
                observed.lock().unwrap().insert(reader, seen);
            });
        }
    });

    let mut order = Vec::new();
    let mut next = None;
    loop {
        let mut request = ListSecretVersionIdsRequest::new("db").include_deprecated(true).max_results(100);
        request.next_token = next.take();
        let page = home.list_secret_version_ids(request).unwrap();
        order.extend(page.versions.into_iter().map(|version| version.version_id));
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(order.len(), 1 + WRITERS * PUTS);
    let place = |id: &String| order.iter().position(|known| known == id).unwrap();
    let mut states = 0;
    for (reader, seen) in observed.into_inner().unwrap() {
        let mut last = 0;
        for (current, previous) in seen {
            let at = place(&current);
            let before = at.checked_sub(1).map(|before| order[before].clone());
            assert_eq!(previous, before, "the primary never had these labels, {}", REGIONS[reader]);
            assert!(at >= last, "{} went back", REGIONS[reader]);
            (last, states) = (at, states + 1);
        }
    }
    home.replicate_secret_to_regions(ReplicateSecretToRegionsRequest::new("db", REGIONS)).unwrap();
    assert!(statuses(&home, "db").iter().all(|(_, status, _)| *status == StatusType::InSync));
    assert_equal(&fixture, "db", &REGIONS);
    let rounds = rounds.into_inner();
    eprintln!(
        "{} puts by {WRITERS} threads, {rounds} times a Region came and went, {states} states seen at replicas",
        WRITERS * PUTS
    );
    assert!(states > 0 && rounds > 0);
}
