//! `strongroom serve` beside moto's server, over the loopback interface, asked by the same client.

use std::fs::{self, File};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use measure::{Effort, Lane, Run};
use peer::{name, number, number_of, together, value};
use tempfile::TempDir;

use crate::contestants::{Missing, built, here};
use crate::http::{Connection, Server};
use crate::{at_most, miss, plural, store};

/// So many that none of them gets many versions.
const SECRETS: usize = 256;
const CONNECTIONS_MAX: usize = 8;
/// Highest ratio of our times to theirs that we set ourselves as a goal.
const BAR: f64 = 0.1;
const MOTO: &str = "moto";
const REQUIREMENTS: &str = include_str!("moto/requirements.txt");

/// A server with its secrets, and clients that stay connected if the server lets them.
struct Served {
    name: &'static str,
    clients: Vec<Client>,
    /// The number in the value that each secret was given last.
    written: Vec<AtomicU64>,
    server: Server,
    _directory: TempDir,
}

struct Client {
    connection: Connection,
    calls: usize,
}

impl Served {
    fn start(name: &'static str, command: &mut Command, directory: TempDir) -> Result<Self, Missing> {
        let complaints = directory.path().join("stderr");
        let file = File::create(&complaints).expect("a file is made");
        let server = Server::start(command.stderr(file)).ok_or_else(|| {
            let complaints = fs::read_to_string(&complaints).unwrap_or_default();
            Missing::new(name, command, &complaints)
        })?;
        Ok(Self { name, clients: Vec::new(), written: Vec::new(), server, _directory: directory })
    }

    /// New clients: a server hangs up on those who were silent for a while.
    fn connect(&mut self, clients: usize) {
        let address = self.server.address;
        self.clients = (0..clients).map(|_| Client { connection: Connection::open(address), calls: 0 }).collect();
    }

    fn create(&mut self, operations: usize) -> f64 {
        let first = self.written.len();
        self.written.extend((first..first + operations).map(|index| number(index, 0).into()));
        together(&mut self.clients, operations, |_, client, operations| {
            (first..first + operations).for_each(|index| client.write("CreateSecret", "Name", index, number(index, 0)));
        })
    }

    fn work(&mut self, operation: &str, operations: usize) -> f64 {
        match operation {
            "CreateSecret" => self.create(operations),
            "GetSecretValue" => self.get(operations),
            _ => self.put(operations),
        }
    }

    fn get(&mut self, operations: usize) -> f64 {
        let Self { clients, written, .. } = self;
        let connections = clients.len();
        together(clients, operations, |client_number, client, operations| {
            for _ in 0..operations {
                let index = client.next(client_number, connections, written.len());
                let body = format!(r#"{{"SecretId":"{}"}}"#, name(index));
                let answer = client.connection.must("GetSecretValue", &body);
                assert_eq!(secret_in(&answer), Some(written[index].load(Ordering::Relaxed)), "what was written last");
            }
        })
    }

    fn put(&mut self, operations: usize) -> f64 {
        let Self { clients, written, .. } = self;
        let connections = clients.len();
        together(clients, operations, |client_number, client, operations| {
            for _ in 0..operations {
                let index = client.next(client_number, connections, written.len());
                let next = written[index].load(Ordering::Relaxed) + number(0, 1);
                client.write("PutSecretValue", "SecretId", index, next);
                written[index].store(next, Ordering::Relaxed);
            }
        })
    }
}

impl Client {
    /// The secret whose turn it is. Every client has secrets of its own.
    fn next(&mut self, client: usize, clients: usize, secrets: usize) -> usize {
        self.calls += 1;
        client + self.calls % (secrets / clients) * clients
    }

    fn write(&mut self, operation: &str, member: &str, index: usize, number: u64) {
        let [name, value] = [name(index), value(number)];
        // A token is a version's id: the number is another one each time.
        let body = format!(r#"{{"{member}":"{name}","SecretString":"{value}","ClientRequestToken":"{number:032x}"}}"#);
        self.connection.must(operation, &body);
    }
}

/// The number in the value of a secret in an answer.
fn secret_in(answer: &[u8]) -> Option<u64> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    number_of(answer.get("SecretString")?.as_str()?.as_bytes())
}

fn strongroom() -> Result<Served, Missing> {
    let directory = store::directory();
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error", "--dir"]);
    command.arg(directory.path().join("served"));
    Served::start("strongroom serve", &mut command, directory)
}

fn moto() -> Result<Served, Missing> {
    let mut command = Command::new(here("moto").join("run"));
    command.env("STRONGROOM_MOTO_VENV", built().join("moto"));
    Served::start(MOTO, &mut command, store::directory())
}

/// An operation, and over how many connections at once it is asked for.
const WORK: [(&str, usize); 5] = [
    ("CreateSecret", 1),
    ("GetSecretValue", 1),
    ("GetSecretValue", CONNECTIONS_MAX),
    ("PutSecretValue", 1),
    ("PutSecretValue", CONNECTIONS_MAX),
];

pub(crate) fn compare(run: &mut Run) {
    let mut all = vec![strongroom().expect("our own server starts")];
    if run.is_measured() {
        match moto() {
            Ok(moto) => {
                let versions: Vec<&str> = REQUIREMENTS.lines().filter(|line| line.contains("==")).collect();
                let what =
                    "in memory; encryption: none; an acknowledged write: survives nothing; versions: all are kept";
                run.note(MOTO, &format!("{}; {what}", versions.join(", ")));
                all.push(moto);
            }
            Err(Missing { name, why }) => miss(run, name, &why),
        }
    }
    for served in &mut all {
        served.connect(1);
        served.create(run.scale(SECRETS).next_multiple_of(CONNECTIONS_MAX));
    }
    for (operation, connections) in WORK {
        let mut runners: Vec<_> = Vec::new();
        for served in &mut all {
            served.connect(connections);
            if operation == "GetSecretValue" {
                // As with all reads: the first one of a day is noted.
                served.get(served.written.len());
            }
            runners.push((served.name, |operations| served.work(operation, operations)));
        }
        let lane = |(name, work)| Lane { name, bar: Some(at_most(BAR)), work };
        let mut lanes: Vec<_> = runners.iter_mut().map(|(name, work)| lane((*name, work))).collect();
        let title = format!("{operation} of 1 KiB over HTTP, {connections} connection{}", plural(connections));
        // So many at a time that a server is not measured while it wakes up: it slept while the other was asked.
        run.compare(&title, Effort { rounds: 21, operations: 200 }, &mut lanes);
    }
}
