//! Questions on standard input, one on each line, and an answer to each on standard output.
//!
//! | question | answer |
//! |---|---|
//! | `about` | what the peer is, separated by tabs |
//! | `fill SECRETS ROUNDS` | writes all secrets as after so many rounds of overwriting; seconds |
//! | `open SECRETS ROUNDS` | opens what was filled so, and reads one secret; seconds |
//! | `check THREADS` | every thread reads every secret; how many there are |
//! | `get THREADS OPERATIONS` | seconds |
//! | `put THREADS OPERATIONS` | seconds |
//! | `list OPERATIONS` | lists the first hundred so often; seconds |
//! | `close` | seconds |
//!
//! Whatever is read is compared with what was written last. What goes wrong is a panic, and the end of the program.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Peer, Place, Session, name, number, number_of, timed, together, value};

const LISTED: usize = 100;
/// Far above every number of secrets: with steps of a prime all of them come once before any comes again.
const STEP: usize = 1_000_000_007;

/// What a peer is and what it does not do, in words.
#[derive(Debug)]
pub struct About {
    /// Names and exact versions, from where they cannot go stale.
    pub version: String,
    pub encryption: &'static str,
    pub names: &'static str,
    /// What an acknowledged write has survived.
    pub durability: &'static str,
    pub versions: &'static str,
}

/// The version of a package in a lock file.
pub fn locked(lock: &str, package: &str) -> String {
    let start = format!("name = \"{package}\"\nversion = \"");
    let rest = lock.split_once(&start).map(|(_, rest)| rest).expect("the package is locked");
    let version = rest.split('"').next().unwrap_or_default();
    format!("{package} {version}")
}

/// Answers until nobody asks any more. Arguments are a directory and how many bytes may be cached.
pub fn converse<P: Peer>(mut arguments: impl Iterator<Item = String>) {
    let directory = arguments.next().expect("a directory").into();
    let cache_bytes = arguments.next().and_then(|bytes| bytes.parse().ok()).expect("a number of bytes");
    let place = Place { directory, cache_bytes };
    let mut open: Option<Open<P>> = None;
    for line in io::stdin().lines() {
        let line = line.expect("a line");
        let (question, numbers) = line.split_once(' ').unwrap_or((&line, ""));
        let numbers: Vec<usize> = numbers.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let answer = match (question, numbers.as_slice()) {
            ("about", []) => {
                let About { version, encryption, names, durability, versions } = P::about();
                [version.as_str(), encryption, names, durability, versions].join("\t")
            }
            ("fill", [secrets, rounds]) => {
                let entries = (0..*secrets).map(|index| (name(index), value(number(index, *rounds as u64))));
                timed(|| P::fill(&place, entries)).to_string()
            }
            ("open", [secrets, rounds]) => {
                let names = (0..*secrets).map(name).collect();
                let written = (0..*secrets).map(|index| number(index, *rounds as u64).into()).collect();
                timed(|| open = Some(Open::new(&place, names, written))).to_string()
            }
            ("close", []) => {
                let Open { peer, workers, .. } = open.take().expect("it is open");
                drop(workers);
                timed(|| peer.close()).to_string()
            }
            (question, numbers) => open.as_mut().expect("it is open").answer(question, numbers),
        };
        let mut output = io::stdout().lock();
        writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody listens");
    }
}

/// A peer, and what its secrets hold.
struct Open<P: Peer> {
    peer: P,
    names: Vec<String>,
    /// The number in the value that each secret was given last.
    written: Vec<AtomicU64>,
    workers: Vec<Worker<P::Session>>,
}

struct Worker<S> {
    session: S,
    at: usize,
    puts: usize,
}

impl<P: Peer> Open<P> {
    fn new(place: &Place, names: Vec<String>, written: Vec<AtomicU64>) -> Self {
        let mut open = Self { peer: P::open(place), names, written, workers: Vec::new() };
        open.hire(1);
        open.read_first(1, 0);
        open
    }

    fn answer(&mut self, question: &str, numbers: &[usize]) -> String {
        match (question, numbers) {
            ("check", [threads]) => {
                self.hire(*threads);
                (0..*threads).for_each(|thread| self.read_first(self.names.len(), thread));
                self.names.len().to_string()
            }
            ("get", [threads, operations]) => self.get(*threads, *operations).to_string(),
            ("put", [threads, operations]) => self.put(*threads, *operations).to_string(),
            ("list", [operations]) => timed(|| (0..*operations).for_each(|_| self.list())).to_string(),
            _ => panic!("nobody knows what {question} is"),
        }
    }

    /// Sees to it that there are so many sessions.
    fn hire(&mut self, threads: usize) {
        while self.workers.len() < threads {
            let at = self.workers.len() * 7;
            self.workers.push(Worker { session: self.peer.session(), at, puts: 0 });
        }
    }

    fn read_first(&mut self, secrets: usize, thread: usize) {
        let Self { names, written, workers, .. } = self;
        let session = &mut workers[thread].session;
        names.iter().zip(written).take(secrets).for_each(|(name, written)| session.verify(name, written));
    }

    fn get(&mut self, threads: usize, operations: usize) -> f64 {
        self.hire(threads);
        let Self { names, written, workers, .. } = self;
        together(&mut workers[..threads], operations, |_, worker, operations| {
            for _ in 0..operations {
                worker.at = (worker.at + STEP) % names.len();
                worker.session.verify(&names[worker.at], &written[worker.at]);
            }
        })
    }

    /// Every thread has secrets of its own, and goes through them in turn.
    fn put(&mut self, threads: usize, operations: usize) -> f64 {
        self.hire(threads);
        let Self { names, written, workers, .. } = self;
        let own = names.len() / threads;
        together(&mut workers[..threads], operations, |thread, worker, operations| {
            for _ in 0..operations {
                let index = thread + worker.puts % own * threads;
                let next = written[index].load(Ordering::Relaxed) + number(0, 1);
                worker.session.put(&names[index], &value(next));
                written[index].store(next, Ordering::Relaxed);
                worker.puts += 1;
            }
        })
    }

    fn list(&mut self) {
        let expected = &self.names[..LISTED.min(self.names.len())];
        let worker = self.workers.first_mut().expect("one was hired");
        assert_eq!(worker.session.list(expected.len()), expected, "the first secrets are listed");
    }
}

trait Verify {
    fn verify(&mut self, name: &str, written: &AtomicU64);
}

impl<S: Session> Verify for S {
    fn verify(&mut self, name: &str, written: &AtomicU64) {
        let seen = self.read(name, number_of);
        assert_eq!(seen, Some(written.load(Ordering::Relaxed)), "{name} holds what was written last");
    }
}
