//! Decisions against those of two other evaluators, `iam-rs` and `awsim-iam-policy`, on generated policies and requests.
//!
//! 10,000 pairs for each, 100,000 or any other number with `STRONGROOM_POLICY_PAIRS`; the seed is 1 unless `STRONGROOM_SEED`
//! says otherwise.
//!
//! Both evaluators differ from the documentation in places. Each such place is a [`Reason`] with a rewriting: it puts the
//! same question in a form in which that place does not matter. So a disagreement has an explanation if the other evaluator
//! gives our answer once the pair was rewritten for as few reasons as possible, and only then. On every pair our answer must
//! not depend on the rewriting, and the other evaluator must agree once all rewritings were made.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod evaluators;
#[path = "../generate.rs"]
#[expect(unused_imports, reason = "other tests make documents alone")]
mod generate;
mod reasons;
#[path = "../wildcards.rs"]
mod wildcards;

use std::collections::BTreeMap;

use evaluators::Oracle;
use reasons::Reason;
use strongroom::Decision;

use crate::generate::{Pair, Profile, Random};

fn seed() -> u64 {
    std::env::var("STRONGROOM_SEED").map_or(1, |seed| seed.parse().unwrap())
}

fn pairs() -> usize {
    std::env::var("STRONGROOM_POLICY_PAIRS").map_or(10_000, |pairs| pairs.parse().unwrap())
}

/// What was counted.
#[derive(Default)]
struct Tally {
    allowed: usize,
    denied: usize,
    agreed: usize,
    /// By reason: disagreements that it explains alone, and together with others.
    explained: BTreeMap<Reason, (usize, usize)>,
}

impl Tally {
    fn compare(&mut self, oracle: Oracle, pair: &Pair) {
        let ours = pair.decision();
        self.allowed += usize::from(ours == Decision::Allow);
        self.denied += usize::from(ours == Decision::ExplicitDeny);
        let all: Vec<Reason> = oracle.reasons().collect();
        let plain = rewritten(oracle, pair, &all);
        assert_eq!(plain.decision(), ours, "our answer depends on the form of the question: {}", pair.shown());
        let theirs = oracle.decision(&plain);
        assert_eq!(theirs, Ok(ours), "{oracle:?}, with nothing to explain it: {}", plain.shown());
        if oracle.decision(pair) == Ok(ours) {
            self.agreed += 1;
            return;
        }
        // What can be left out is no cause.
        let mut causes = all;
        for reason in oracle.reasons() {
            let fewer: Vec<Reason> = causes.iter().copied().filter(|cause| *cause != reason).collect();
            if fewer.len() < causes.len() && oracle.decision(&rewritten(oracle, pair, &fewer)) == Ok(ours) {
                causes = fewer;
            }
        }
        for cause in &causes {
            let (alone, together) = self.explained.entry(*cause).or_default();
            *if causes.len() == 1 { alone } else { together } += 1;
        }
    }
}

/// A pair rewritten for some reasons, one after the other.
fn rewritten(oracle: Oracle, pair: &Pair, reasons: &[Reason]) -> Pair {
    let mut pair = pair.clone();
    for reason in oracle.reasons().filter(|reason| reasons.contains(reason)) {
        if let Some(next) = reason.rewrite(oracle, &pair) {
            pair = next;
        }
    }
    pair
}

fn agree(oracle: Oracle, profile: Profile) {
    let mut random = Random(seed());
    let mut tally = Tally::default();
    let pairs = pairs();
    for _ in 0..pairs {
        tally.compare(oracle, &generate::pair(&mut random, profile));
    }
    let Tally { allowed, denied, agreed, explained } = tally;
    let implicit = pairs - allowed - denied;
    let counts: Vec<String> = explained
        .iter()
        .map(|(reason, (alone, together))| format!("{reason:?} {alone} alone and {together} with others"))
        .collect();
    eprintln!(
        "{oracle:?}: {pairs} pairs ({allowed} allowed, {denied} denied, {implicit} not allowed), {agreed} agreements, \
         {} disagreements explained: {}",
        pairs - agreed,
        counts.join(", ")
    );
    let share = |count: usize| count * 100 / pairs;
    assert!(share(allowed) >= 20 && share(denied) >= 10 && share(implicit) >= 30, "the decisions are not mixed");
    // A few pairs may not meet all of them.
    for reason in oracle.reasons().filter(|_| pairs >= 100_000) {
        assert!(explained.contains_key(&reason), "{reason:?} explains nothing");
    }
}

#[test]
fn decisions_are_those_of_iam_rs_but_for_its_known_differences() {
    agree(Oracle::IamRs, Profile::Statements);
}

#[test]
fn decisions_are_those_of_awsim_but_for_its_known_differences() {
    agree(Oracle::Awsim, Profile::Accounts);
}
