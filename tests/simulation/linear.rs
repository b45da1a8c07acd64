//! Whether some order explains all answers: the search of Wing and Gong, with a memory of what was tried in vain.
//!
//! A call takes effect at one moment between its invocation and its response. The order is searched for one secret at a
//! time; the reference model says what a call answers in a state.

use std::collections::HashSet;

use serde_json::Value;

use crate::model::{Outcome, Secret, Settings, Tenant, World};
use crate::request::Request;

/// Milliseconds since 1970 at which the clock stands still.
pub(crate) const NOW: i64 = 1_700_000_000_000;
const SETTINGS: Settings = Settings { require_token: false, versions_max: 1_000, secrets_max: 500_000 };

/// A call of a history, between two readings of a counter that all threads share.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) request: Request,
    pub(crate) outcome: Outcome,
    pub(crate) invoked: u64,
    pub(crate) answered: u64,
}

pub(crate) fn tenant() -> Tenant {
    Tenant { account: "000000000000".into(), region: "us-east-1".into() }
}

/// What a call answers in a state, and the state after it. The date of the last change tells the changes apart, because
/// it rises with each of them although the clock stands still.
pub(crate) fn applied(state: Option<&Secret>, request: &Request, learned: &Value) -> (Outcome, Option<Secret>) {
    let mut world = World::new(SETTINGS, NOW);
    world.secrets.extend(state.cloned());
    let outcome = world.call(&tenant(), request, learned);
    (without_day(outcome), world.secrets.pop())
}

/// The day of the last read is noted after the read, and a note that loses a race is left to the next read: neither has
/// a place in the order.
pub(crate) fn without_day(mut outcome: Outcome) -> Outcome {
    if let Ok(Value::Object(members)) = &mut outcome {
        members.remove("LastAccessedDate");
        for version in members.get_mut("Versions").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(version) = version {
                version.remove("LastAccessedDate");
            }
        }
    }
    outcome
}

/// States of a search, each tried once.
#[derive(Default)]
pub(crate) struct Search {
    /// What was done, and the secret then.
    tried: HashSet<(u128, String)>,
}

impl Search {
    /// Whether there is an order of these calls on one secret that explains their answers.
    pub(crate) fn explains(&mut self, events: &[Event]) -> bool {
        assert!(events.len() <= 128, "a history of one secret has at most 128 calls");
        let mut events = events.to_vec();
        // Mostly calls take effect in the order in which they are answered.
        events.sort_by_key(|event| event.answered);
        self.goes_on(&events, 0, None)
    }

    /// States that were looked at.
    pub(crate) fn states(&self) -> u64 {
        self.tried.len() as u64
    }

    fn goes_on(&mut self, events: &[Event], done: u128, state: Option<&Secret>) -> bool {
        let is_done = |at: &usize| done & (1 << at) != 0;
        let open: Vec<usize> = (0..events.len()).filter(|at| !is_done(at)).collect();
        let Some(first_answer) = open.iter().map(|at| events[*at].answered).min() else { return true };
        if !self.tried.insert((done, identity(state))) {
            return false;
        }
        // Whatever was invoked after some other call was answered comes after that call.
        open.into_iter().filter(|at| events[*at].invoked < first_answer).any(|at| {
            let Event { request, outcome, .. } = &events[at];
            let learned = outcome.clone().unwrap_or_default();
            let (expected, after) = applied(state, request, &learned);
            expected == *outcome && self.goes_on(events, done | 1 << at, after.as_ref())
        })
    }
}

/// All of a state that later answers depend on.
fn identity(state: Option<&Secret>) -> String {
    let Some(secret) = state else { return String::new() };
    let mut secret = secret.clone();
    secret.accessed = None;
    for version in &mut secret.versions {
        version.accessed = None;
    }
    format!("{secret:?}")
}
