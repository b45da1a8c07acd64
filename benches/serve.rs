//! A request to `strongroom serve` beside the same call in process and the round trip to an empty handler.

#![expect(clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

#[path = "floor/http.rs"]
mod http;

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use strongroom::{
    CreateSecretRequest, GetSecretValueRequest, LocalKeyring, PutSecretValueRequest, SecretStore, SecretsManager,
};

use crate::http::{Connection, Server};
use measure::{Effort, Lane, Quantiles, Run, timed};

const NAME: &str = "bench/secret";
/// Has a version for every put, which makes it slower to read.
const CHANGING: &str = "bench/changing";
const VALUE_BYTES: usize = 1024;
const CONNECTIONS: usize = 32;
const REQUESTS: usize = 10_000;
/// Times the sum of its parts that a request may take.
const BAR: f64 = 3.0;

/// Our server on a store of its own.
fn start(directory: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error", "--dir"]).arg(directory);
    Server::start(&mut command).expect("it says where it listens")
}

/// A server whose handler does nothing.
fn empty_server() -> SocketAddr {
    let (send, receive) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            send.send(listener.local_addr().expect("it has an address")).expect("somebody waits");
            let router = Router::new().route("/", post(|_: Bytes| async {}));
            let builder = hyper::server::conn::http1::Builder::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("it takes the option");
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let connection = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    });
    receive.recv().expect("the server starts")
}

fn repeat(mut work: impl FnMut()) -> impl FnMut(usize) -> f64 {
    move |operations| timed(|| (0..operations).for_each(|_| work()))
}

/// What a request costs, to the sum of the call in process and the empty round trip.
fn compare(run: &mut Run, title: &str, effort: Effort, lanes: [&mut dyn FnMut(usize) -> f64; 3]) {
    let [served, in_process, empty] = lanes;
    let mut lanes = [("served", served), ("in process", in_process), ("empty", empty)].map(|(name, work)| Lane {
        name,
        bar: None,
        work,
    });
    let times = run.interleave(effort, &mut lanes);
    let [served, in_process, empty] = times.as_slice() else { panic!("three lanes") };
    let parts = in_process.iter().zip(empty);
    let ratio = Quantiles::of(served.iter().zip(parts).map(|(served, (call, trip))| served / (call + trip)).collect());
    run.figure(&format!("{title}: served, to the sum of in process and empty round trip"), ratio, "x", Some(0.0..=BAR));
    for (what, times) in [("served", served), ("in process", in_process), ("empty round trip", empty)] {
        run.figure(&format!("{title}: {what}"), Quantiles::of(times.clone()), "s", None);
    }
}

fn many_connections(run: &mut Run, server: SocketAddr, body: &str) {
    let requests = run.scale(REQUESTS) / CONNECTIONS + 1;
    let failed = std::sync::atomic::AtomicUsize::new(0);
    let seconds = timed(|| {
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    let mut connection = Connection::open(server);
                    let bad = (0..requests).filter(|_| connection.call("GetSecretValue", body).0 != 200).count();
                    failed.fetch_add(bad, std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
    });
    let all = requests * CONNECTIONS;
    let failed = failed.into_inner();
    assert_eq!(failed, 0, "every request is answered");
    let title = format!("gets over {CONNECTIONS} connections, {all} of which none failed: a second");
    run.figure(&title, Quantiles::of(vec![all as f64 / seconds]), "1/s", None);
}

fn store(directory: &Path, value: &str) -> (SecretStore, SecretsManager) {
    let keyring = LocalKeyring::open_or_create(directory.join("own.keyring")).expect("a keyring");
    let store = SecretStore::builder(directory.join("own")).key_provider(keyring).open().expect("a store");
    let secrets = store.default_secrets_manager();
    for name in [NAME, CHANGING] {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string(value)).expect("a secret");
    }
    (store, secrets)
}

fn main() {
    let mut run = Run::begin();
    let mut criterion = run.criterion();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let value = "x".repeat(VALUE_BYTES);
    let (_store, secrets) = store(directory.path(), &value);
    let server = start(&directory.path().join("served"));
    let empty = empty_server();

    let mut to_server = Connection::open(server.address);
    let mut to_empty = Connection::open(empty);
    let mut calls = 0;
    let mut write = |member: &str, name: &str| {
        calls += 1;
        format!(r#"{{"{member}":"{name}","SecretString":"{value}","ClientRequestToken":"{calls:032}"}}"#)
    };
    for name in [NAME, CHANGING] {
        to_server.must("CreateSecret", &write("Name", name));
    }
    let get = format!(r#"{{"SecretId":"{NAME}"}}"#);

    compare(
        &mut run,
        "get of 1 KiB",
        Effort { rounds: 60, operations: 500 },
        [
            &mut repeat(|| drop(to_server.must("GetSecretValue", &get))),
            &mut repeat(|| {
                let read = secrets.get_secret_value(GetSecretValueRequest::new(NAME)).expect("it is read");
                black_box(read);
            }),
            &mut repeat(|| drop(to_empty.must("GetSecretValue", &get))),
        ],
    );
    compare(
        &mut run,
        "durable put of 1 KiB",
        Effort { rounds: 30, operations: 30 },
        [
            &mut repeat(|| drop(to_server.must("PutSecretValue", &write("SecretId", CHANGING)))),
            &mut repeat(|| {
                let put = secrets.put_secret_value(PutSecretValueRequest::new(CHANGING, value.as_str()));
                black_box(put.expect("it is stored"));
            }),
            &mut repeat(|| drop(to_empty.must("PutSecretValue", &get))),
        ],
    );
    run.compare(
        "get of 1 KiB",
        Effort { rounds: 30, operations: 500 },
        &mut [
            Lane { name: "served", bar: None, work: &mut repeat(|| drop(to_server.must("GetSecretValue", &get))) },
            Lane { name: "empty", bar: None, work: &mut repeat(|| drop(to_empty.must("GetSecretValue", &get))) },
        ],
    );
    many_connections(&mut run, server.address, &get);
    criterion.bench_function("serve/get/1 KiB", |bencher| bencher.iter(|| to_server.must("GetSecretValue", &get)));
    criterion.final_summary();
    run.finish();
}
