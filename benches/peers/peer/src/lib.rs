//! What the programs of the peers bench share: what a peer has to be able to do, and the secrets that all of them keep.
//!
//! Each peer is a program that is asked on its standard input, [`converse`] is all of its `main`. It takes times by
//! itself, so that nothing between the bench and the program is measured.

mod conversation;
mod sealing;

use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

pub use crate::conversation::{About, converse, locked};
pub use crate::sealing::Master;

/// Something that keeps secrets in a directory.
pub trait Peer: Sized {
    /// What one thread works with for as long as the peer is open.
    type Session: Session;

    fn about() -> About;

    /// Writes all of these, new or not, in the fastest way that there is. All of it is on the disk at the end.
    fn fill(place: &Place, entries: impl Iterator<Item = (String, String)>);

    /// Opens what is in the directory, or makes it.
    fn open(place: &Place) -> Self;

    fn session(&self) -> Self::Session;

    /// Called after all sessions are gone.
    fn close(self);
}

/// What a thread does with an open peer.
pub trait Session: Send {
    /// Reads the current value of a secret and shows it.
    fn read<T>(&mut self, name: &str, see: impl FnOnce(&[u8]) -> T) -> T;

    /// Gives a secret that exists a new value, as durably as the peer can.
    fn put(&mut self, name: &str, value: &str);

    /// The names of the first so many secrets, in their order if the peer knows one.
    fn list(&mut self, count: usize) -> Vec<String>;
}

/// Where a peer keeps its files, and how much memory it may take for what they hold.
#[derive(Debug)]
pub struct Place {
    pub directory: PathBuf,
    pub cache_bytes: u64,
}

pub const VALUE_BYTES: usize = 1_024;

/// The name of a secret: as long as those in all other benches.
pub fn name(index: usize) -> String {
    format!("bench/application/secret-{index:08}")
}

/// 1 KiB of text that begins with a number.
pub fn value(number: u64) -> String {
    format!("{number:016x}{}", "x".repeat(VALUE_BYTES - 16))
}

/// The number that a value of the right length begins with.
pub fn number_of(value: &[u8]) -> Option<u64> {
    let digits = value.get(..16).filter(|_| value.len() == VALUE_BYTES)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What a secret holds after it was written to so often.
pub fn number(index: usize, rounds: u64) -> u64 {
    rounds << 32 | index as u64
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Seconds that the work takes.
pub fn timed(work: impl FnOnce()) -> f64 {
    let start = now();
    work();
    start.elapsed().as_secs_f64()
}

/// Seconds that so many operations take, shared among workers who all begin at once. Each is told its number and how
/// many operations are its own.
pub fn together<W: Send>(workers: &mut [W], operations: usize, work: impl Fn(usize, &mut W, usize) + Sync) -> f64 {
    let each = operations.div_ceil(workers.len());
    if let [worker] = workers {
        return timed(|| work(0, worker, each));
    }
    let all = each * workers.len();
    let gate = Barrier::new(workers.len());
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let start = |(number, worker)| {
            let (gate, work) = (&gate, &work);
            scope.spawn(move || {
                gate.wait();
                let start = now();
                work(number, worker, each);
                (start, now())
            })
        };
        let threads: Vec<_> = workers.iter_mut().enumerate().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("the work is done")).collect()
    });
    let start = spans.iter().map(|(start, _)| *start).min().expect("there are workers");
    let end = spans.iter().map(|(_, end)| *end).max().expect("there are workers");
    // As if exactly so many had been asked for.
    (end - start).as_secs_f64() * operations as f64 / all as f64
}
