//! The store at the beginning: as if it had been used like this for a week.

use std::path::Path;
use std::sync::Arc;

use strongroom::testing::ManualClock;
use strongroom::{Durability, OpenMode, RotationCall, RotationError, RotationFunction, SecretsManager};

use crate::desk::{make, schedule_rotation};
use crate::plan::{BUSY_EVERY, Chance, DAY, Kind, Plan, START, VERSIONS_MAX, builder, millis};
use crate::state::{Change, Label, State, after};
use crate::value::Made;
use crate::work::clock_at;

/// Nothing rotates before the first process works.
#[derive(Debug)]
struct Never;

impl RotationFunction for Never {
    fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
        Err("too early".into())
    }
}

struct Filler<'a> {
    plan: &'a Plan,
    clock: ManualClock,
    secrets: SecretsManager,
    states: Vec<Option<State>>,
    next: u64,
}

impl Filler<'_> {
    fn set_clock(&self, millis: i64) {
        self.clock.set(chrono::DateTime::from_timestamp_millis(millis).unwrap());
    }

    fn made(&mut self) -> Made {
        self.next += 1;
        Made { at: millis(&self.clock), number: self.next }
    }

    fn change(&mut self, secret: usize, change: &Change) {
        let before = self.states[secret].take();
        self.states[secret] = after(before.as_ref(), change);
        make(&self.secrets, self.plan, secret, before.map(Arc::new), change).unwrap();
    }
}

/// Makes the store, and gives what is in it.
pub(crate) fn fill(place: &Path, plan: &Plan) -> Vec<Option<State>> {
    let clock = clock_at(START - 8 * DAY);
    let open = builder(place, plan, &clock, Never).mode(OpenMode::CreateNew).durability(Durability::Eventual);
    let store = open.open().unwrap();
    let secrets = store.default_secrets_manager();
    let states = vec![None; plan.secrets()];
    let mut filler = Filler { plan, clock, secrets, states, next: 0 };
    for secret in plan.of_kind(Kind::Doomed) {
        let end = plan.end_of_doomed(secret);
        filler.set_clock(end - 7 * DAY);
        let made = filler.made();
        filler.change(secret, &Change::Create(made));
        filler.change(secret, &Change::Schedule(end));
    }
    for at in (START - DAY..START).step_by(usize::try_from(BUSY_EVERY).unwrap()) {
        filler.set_clock(at);
        for secret in plan.of_kind(Kind::Busy) {
            let made = filler.made();
            let is_first = filler.states[secret].is_none();
            let change = if is_first { Change::Create(made) } else { Change::Put(made, Label::Current) };
            filler.change(secret, &change);
        }
    }
    filler.set_clock(START);
    let mut chance = Chance::new(plan.seed);
    for secret in plan.of_kind(Kind::Plain) {
        let made = filler.made();
        filler.change(secret, &Change::Create(made));
        for _ in 0..chance.below(VERSIONS_MAX) {
            let made = filler.made();
            filler.change(secret, &Change::Put(made, Label::Current));
        }
    }
    for secret in plan.of_kind(Kind::Turning) {
        let made = filler.made();
        filler.change(secret, &Change::Create(made));
        schedule_rotation(&filler.secrets, secret);
    }
    let states = filler.states;
    store.close().unwrap();
    states
}
