//! What the threads of one process know: of each secret, what was acknowledged and what is under way.
//!
//! Only one thread at a time changes a secret, so its states are a sequence. A reader must see one of those between the
//! last that was acknowledged when it began and the last that somebody had begun with when it ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use crate::state::State;

/// A secret in one of its states. `None`: it does not exist.
pub(crate) type Known = Option<Arc<State>>;

pub(crate) struct Ledger(Vec<Slot>);

struct Slot {
    writer: Mutex<Writer>,
    history: Mutex<History>,
}

/// Whoever has it may change the secret.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The clock when something was last done that is not to be done too often.
    pub(crate) last_at: i64,
}

struct History {
    /// From the earliest that a reader still asks about to the latest that somebody began with.
    states: VecDeque<Known>,
    /// How many states there were before these.
    before: usize,
    /// The last that was acknowledged.
    acknowledged: usize,
    readers: usize,
}

impl History {
    fn forget(&mut self) {
        if self.readers == 0 {
            while self.before < self.acknowledged {
                self.states.pop_front();
                self.before += 1;
            }
        }
    }
}

impl Ledger {
    /// From what was acknowledged of each secret, and when something was last done that is not to be done too often.
    pub(crate) fn new(states: impl IntoIterator<Item = (Known, i64)>) -> Self {
        let slot = |(state, last_at)| Slot {
            writer: Mutex::new(Writer { last_at }),
            history: Mutex::new(History { states: VecDeque::from([state]), before: 0, acknowledged: 0, readers: 0 }),
        };
        Self(states.into_iter().map(slot).collect())
    }

    fn history(&self, secret: usize) -> MutexGuard<'_, History> {
        self.0[secret].history.lock().unwrap()
    }

    /// The right to change a secret, after waiting for it.
    pub(crate) fn take(&self, secret: usize) -> MutexGuard<'_, Writer> {
        self.0[secret].writer.lock().unwrap()
    }

    /// The right to change a secret, unless somebody has it.
    pub(crate) fn take_if_free(&self, secret: usize) -> Option<MutexGuard<'_, Writer>> {
        match self.0[secret].writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(_)) => panic!("somebody found a fault in secret {secret}"),
        }
    }

    /// What was acknowledged last.
    pub(crate) fn acknowledged(&self, secret: usize) -> Known {
        let history = self.history(secret);
        history.states[history.acknowledged - history.before].clone()
    }

    /// Somebody is about to change the secret.
    pub(crate) fn intend(&self, secret: usize, state: Known) {
        self.history(secret).states.push_back(state);
    }

    /// The change is made.
    pub(crate) fn acknowledge(&self, secret: usize) {
        let mut history = self.history(secret);
        history.acknowledged += 1;
        history.forget();
    }

    /// Begins reading a secret: where to begin to look in [`end_reading`](Self::end_reading).
    pub(crate) fn begin_reading(&self, secret: usize) -> usize {
        let mut history = self.history(secret);
        history.readers += 1;
        history.acknowledged
    }

    /// Ends reading a secret: every state in which it may have been meanwhile.
    pub(crate) fn end_reading(&self, secret: usize, from: usize) -> Vec<Known> {
        let mut history = self.history(secret);
        let states = history.states.iter().skip(from - history.before).cloned().collect();
        history.readers -= 1;
        history.forget();
        states
    }
}
