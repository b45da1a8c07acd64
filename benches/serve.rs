//! A request to `strongroom serve` beside the same call in process and the round trip to an empty handler.

#![expect(clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

mod floor;

use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use strongroom::{
    CreateSecretRequest, GetSecretValueRequest, LocalKeyring, PutSecretValueRequest, SecretStore, SecretsManager,
};

use crate::floor::{Effort, Lane, Quantiles, Run, show, timed};

const NAME: &str = "bench/secret";
/// Has a version for every put, which makes it slower to read.
const CHANGING: &str = "bench/changing";
const VALUE_BYTES: usize = 1024;
const CONNECTIONS: usize = 32;
const REQUESTS: usize = 10_000;

/// Our server on a store of its own, until it is dropped.
struct Server(Child, SocketAddr);

impl Server {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error", "--dir"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().rsplit('/').next().and_then(|text| text.parse().ok());
        Self(child, address.expect("an address"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

/// One connection that is kept, and as little else as possible.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it connects");
        stream.set_nodelay(true).expect("it takes the option");
        Self(BufReader::new(stream))
    }

    /// Sends a request, and gives the status and the length of the answer.
    fn call(&mut self, operation: &str, body: &str) -> (u16, usize) {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.{operation}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).expect("it is sent");
        let mut status = 0;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("it is answered");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status");
            } else if let Some(number) = line.strip_prefix("content-length: ") {
                length = number.parse().expect("a length");
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the whole answer");
        black_box(body);
        (status, length)
    }

    fn must(&mut self, operation: &str, body: &str) {
        let (status, _) = self.call(operation, body);
        assert_eq!(status, 200, "{operation}");
    }
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
    let median = |times: &Vec<f64>| show(Quantiles::of(times.clone()).median);
    let is_missed = if ratio.median <= 3.0 { "" } else { ": MISSED" };
    run.say(format!(
        "{title}: served {}, in process {} and empty round trip {}, ratio to their sum {:.2} [{:.2} to {:.2}] (bar 3{is_missed})",
        median(served),
        median(in_process),
        median(empty),
        ratio.median,
        ratio.low,
        ratio.high,
    ));
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
    run.say(format!(
        "{all} requests over {CONNECTIONS} connections: {failed} failed, {:.0} a second",
        all as f64 / seconds
    ));
    assert_eq!(failed, 0, "every request is answered");
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
    let server = Server::start(&directory.path().join("served"));
    let empty = empty_server();

    let mut to_server = Connection::open(server.1);
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
            &mut repeat(|| to_server.must("GetSecretValue", &get)),
            &mut repeat(|| {
                let read = secrets.get_secret_value(GetSecretValueRequest::new(NAME)).expect("it is read");
                black_box(read);
            }),
            &mut repeat(|| to_empty.must("GetSecretValue", &get)),
        ],
    );
    compare(
        &mut run,
        "durable put of 1 KiB",
        Effort { rounds: 30, operations: 30 },
        [
            &mut repeat(|| to_server.must("PutSecretValue", &write("SecretId", CHANGING))),
            &mut repeat(|| {
                let put = secrets.put_secret_value(PutSecretValueRequest::new(CHANGING, value.as_str()));
                black_box(put.expect("it is stored"));
            }),
            &mut repeat(|| to_empty.must("PutSecretValue", &get)),
        ],
    );
    run.compare(
        "get of 1 KiB",
        Effort { rounds: 30, operations: 500 },
        &mut [
            Lane { name: "served", bar: None, work: &mut repeat(|| to_server.must("GetSecretValue", &get)) },
            Lane { name: "empty", bar: None, work: &mut repeat(|| to_empty.must("GetSecretValue", &get)) },
        ],
    );
    many_connections(&mut run, server.1, &get);
    criterion.bench_function("serve/get/1 KiB", |bencher| bencher.iter(|| to_server.must("GetSecretValue", &get)));
    criterion.final_summary();
    run.finish();
}
