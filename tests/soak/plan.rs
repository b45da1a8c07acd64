//! How large a soak is, and what of it the chance of a number decides.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{Builder, Clock as _, Entropy, RotationFunction, SecretStore, StaticKey};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The clock at the beginning of the work, in milliseconds: the evening before a leap day, so that dates change on the way.
pub(crate) const START: i64 = 1_709_157_600_000;

/// What the clock goes through while processes are killed.
const SOAKED: i64 = DAY;

/// Times between two values of a busy secret. A day of them is almost three times the versions that are kept.
pub(crate) const BUSY_EVERY: i64 = 5 * MINUTE;

/// Shortest time between two requests for a rotation of one secret, besides those that its schedule asks for.
pub(crate) const ASKED_EVERY: i64 = 2 * HOUR;

/// Versions at which a plain secret is deleted at once instead of growing on.
pub(crate) const VERSIONS_MAX: usize = 7;

pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:renew";

/// One soak.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// How long processes are killed, in seconds: a day of the store's clock. Filling the store, the life of a process that is
    /// not killed, and the last inspection come on top.
    pub(crate) seconds: u64,
    /// How long each process lives that is killed, on average, in milliseconds.
    pub(crate) life_ms: u64,
    /// Calls after which the memory of a process that is killed is looked at: after as long it would depend on the load.
    pub(crate) grown_calls: u64,
    pub(crate) seed: u64,
    pub(crate) threads: u64,
    pub(crate) cache_bytes: u64,
    /// Secrets that get a value every few minutes, so that their old versions are removed all the time.
    pub(crate) busy: usize,
    /// Secrets that rotate, by their schedule and because somebody asks.
    pub(crate) turning: usize,
    /// Secrets that were scheduled for deletion a week ago: the windows of most end in the course of the soak.
    pub(crate) doomed: usize,
    /// Secrets with which everything else is done.
    pub(crate) plain: usize,
}

/// What is done with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Busy,
    Turning,
    Doomed,
    Plain,
}

impl Plan {
    /// As it is measured: more than 50 MB of live records.
    pub(crate) fn measured(seconds: u64, seed: u64) -> Self {
        Self {
            seconds,
            life_ms: 5_000,
            grown_calls: 5_000,
            seed,
            threads: 8,
            cache_bytes: 64 * 1024 * 1024,
            busy: 20,
            turning: 50,
            doomed: 150,
            plain: 2_000,
        }
    }

    /// As it runs with the tests.
    pub(crate) fn small(seconds: u64, seed: u64) -> Self {
        let measured = Self::measured(seconds, seed);
        Self { life_ms: 2_000, grown_calls: 500, busy: 2, turning: 6, doomed: 20, plain: 150, ..measured }
    }

    pub(crate) fn secrets(&self) -> usize {
        self.busy + self.turning + self.doomed + self.plain
    }

    pub(crate) fn kind(&self, secret: usize) -> Kind {
        let (busy, turning) = (self.busy, self.busy + self.turning);
        match secret {
            secret if secret < busy => Kind::Busy,
            secret if secret < turning => Kind::Turning,
            secret if secret < turning + self.doomed => Kind::Doomed,
            _ => Kind::Plain,
        }
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = usize> {
        (0..self.secrets()).filter(move |secret| self.kind(*secret) == kind)
    }

    /// How far the store's clock goes in a time of ours, in milliseconds.
    pub(crate) fn passed(&self, time: Duration) -> i64 {
        let passed = time.as_millis() * u128::from(SOAKED.unsigned_abs()) / (u128::from(self.seconds) * 1_000);
        i64::try_from(passed).unwrap()
    }

    /// When the window of a doomed secret ends: one after the other, from the first hour to the last.
    pub(crate) fn end_of_doomed(&self, secret: usize) -> i64 {
        let number = (secret - self.busy - self.turning) as i64;
        START + HOUR + number * (SOAKED - HOUR) / self.doomed as i64
    }
}

pub(crate) fn name_of(secret: usize) -> String {
    format!("soak/secret-{secret:05}")
}

/// The number of a secret of this name.
pub(crate) fn secret_of(name: &str) -> Option<usize> {
    name.strip_prefix("soak/secret-")?.parse().ok()
}

/// The store of a place.
pub(crate) fn builder(
    place: &Path,
    plan: &Plan,
    clock: &ManualClock,
    function: impl RotationFunction + 'static,
) -> Builder {
    let builder = SecretStore::builder(store_in(place)).key_provider(StaticKey::new([7; 32])).clock(clock.clone());
    // The function works on the thread that maintains the store, and holds nothing while it waits.
    let builder = builder.rotation_function(FUNCTION, function).rotation_timeout(None).rotation_workers(2);
    builder.cache_capacity_bytes(plan.cache_bytes)
}

pub(crate) fn store_in(place: &Path) -> PathBuf {
    place.join("store")
}

pub(crate) fn millis(clock: &ManualClock) -> i64 {
    clock.now().timestamp_millis()
}

/// Numbers that look like chance and repeat.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bytes = [0; 8];
        SeededEntropy::new(seed).fill(&mut bytes).unwrap();
        Self(u64::from_be_bytes(bytes) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() >> 8) % bound as u64).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
