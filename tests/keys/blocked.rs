//! A key provider that stops: whoever does not need it goes on.

use std::sync::mpsc;
use std::thread;

use strongroom::testing::{FaultyProvider, RecordingProvider};
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest, KeyProvider,
    ListSecretVersionIdsRequest, ListSecretsRequest, MemoryBackend, RouterProvider, StaticKey, Tag, TagResourceRequest,
    VerifyOptions,
};

use crate::doubles::{PATIENCE, ReleasesAtTheEnd};
use crate::fixture::World;

/// A reader, a writer, a listing and a maintenance run finish while a get and a put are stopped in the provider.
#[test]
fn everybody_else_goes_on_while_a_get_and_a_put_are_stopped() {
    let gate = FaultyProvider::new(StaticKey::new([7; 32]), 1);
    go_on_beside_stopped_calls(&gate, gate.clone());
}

/// Also where only one provider of several stops.
#[test]
fn everybody_else_goes_on_while_a_provider_behind_a_router_is_stopped() {
    let gate = FaultyProvider::new(StaticKey::new([7; 32]), 1);
    go_on_beside_stopped_calls(&gate, RouterProvider::new(StaticKey::new([8; 32])).route("alias/slow", gate.clone()));
}

fn go_on_beside_stopped_calls(gate: &FaultyProvider, provider: impl KeyProvider + 'static) {
    let calls = RecordingProvider::new(provider);
    let world = World::on(MemoryBackend::new(), calls.clone());
    world.create("slow", "alias/slow").unwrap();
    world.create("quick", "alias/quick").unwrap();
    gate.hold(":secret:slow-");
    thread::scope(|threads| {
        let _end = ReleasesAtTheEnd(gate);
        let put = threads.spawn(|| world.put("slow", 2, &[]));
        assert!(gate.wait_for_held(1, PATIENCE));
        let get = threads.spawn(|| world.read_version("slow", 1));
        assert!(gate.wait_for_held(2, PATIENCE));

        // Each on a thread of its own, so that none hides behind another.
        let (done, others) = mpsc::channel();
        let begin = |name: &'static str, work: fn(&World)| {
            let (done, world) = (done.clone(), &world);
            threads.spawn(move || {
                work(world);
                done.send(name).unwrap();
            });
        };
        begin("reader", |world| {
            for _ in 0..10 {
                world.secrets.get_secret_value(GetSecretValueRequest::new("quick")).unwrap();
            }
        });
        begin("writer", |world| {
            for number in 10..20 {
                world.put("quick", number, &[]).unwrap();
            }
            world.secrets.create_secret(CreateSecretRequest::new("new").secret_string("v")).unwrap();
            let gone = DeleteSecretRequest::new("new").force_delete_without_recovery(true);
            world.secrets.delete_secret(gone).unwrap();
        });
        begin("listing", |world| {
            let listed = world.secrets.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
            assert!(listed.len() >= 2);
            world.secrets.list_secret_version_ids(ListSecretVersionIdsRequest::new("slow")).unwrap();
        });
        begin("change of the same secret", |world| {
            let tagged = TagResourceRequest::new("slow", [Tag::new("meanwhile", "tagged")]);
            world.secrets.tag_resource(tagged).unwrap();
            world.secrets.describe_secret(DescribeSecretRequest::new("slow")).unwrap();
        });
        begin("maintenance", |world| {
            world.store.maintain().unwrap();
            world.store.flush().unwrap();
            world.store.stats().unwrap();
        });
        begin("verification without values", |world| {
            world.store.verify(VerifyOptions::new().opens_values(false), &mut |_| ()).unwrap();
        });
        for count in 0..6 {
            others.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {count} of 6 went on"));
        }
        assert!(
            gate.wait_for_held(2, PATIENCE) && !put.is_finished() && !get.is_finished(),
            "the two are still stopped"
        );
        gate.release();
        put.join().unwrap().unwrap();
        assert_eq!(get.join().unwrap().unwrap(), "1");
    });
    assert_eq!(world.read("slow").unwrap(), "2", "the delayed value arrived");
    assert_eq!(world.describe("slow").tags.map(|tags| tags.len()), Some(1), "and undid nothing");
    assert_eq!(world.read("quick").unwrap(), "19");
    calls.check_contexts().unwrap();
}
