//! The search for an order can fail: histories that no order explains, beside others that differ in one thing only.

use serde_json::{Value, json};

use crate::linear::{Event, Search, applied};
use crate::request::{Given, Metadata, Request};

const ONE: &str = "token-one-00000000000000000000001";
const TWO: &str = "token-two-00000000000000000000002";
const THREE: &str = "token-three-000000000000000000003";

fn given(token: &str) -> Given {
    Given { string: Some(format!("value of {token}")), binary: None }
}

fn create() -> Request {
    let metadata = Metadata { token: Some(ONE.to_owned()), ..Metadata::default() };
    Request::CreateSecret { name: "s".to_owned(), value: given(ONE), metadata, tags: None }
}

fn put(token: &str) -> Request {
    let (id, token) = ("s".to_owned(), token.to_owned());
    Request::PutSecretValue { id, value: given(&token), token: Some(token), stages: None, rotation_token: None }
}

fn blue(from: Option<&str>, to: &str) -> Request {
    let (id, stage) = ("s".to_owned(), "blue".to_owned());
    let from = from.map(str::to_owned);
    Request::UpdateSecretVersionStage { id, stage, from, to: Some(to.to_owned()) }
}

fn get() -> Request {
    Request::GetSecretValue { id: "s".to_owned(), version: None, stage: None }
}

fn describe() -> Request {
    Request::DescribeSecret { id: "s".to_owned() }
}

fn delete(is_forced: bool) -> Request {
    Request::DeleteSecret { id: "s".to_owned(), days: None, force: Some(is_forced) }
}

/// The calls one after the other, with the answers that the reference model gives in this order.
fn sequence(requests: Vec<Request>) -> Vec<Event> {
    let learned = json!({ "ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s-AbCd12" });
    let mut state = None;
    let mut events: Vec<Event> = Vec::new();
    for request in requests {
        let (outcome, after) = applied(state.as_ref(), &request, &learned);
        let invoked = 10 * events.len() as u64;
        events.push(Event { thread: 0, request, outcome, invoked, answered: invoked + 5 });
        state = after;
    }
    events
}

/// What a call would have answered before the last `back` calls that came before it.
fn stale(mut events: Vec<Event>, back: usize) -> Vec<Event> {
    let last = events.pop().unwrap();
    let mut earlier: Vec<_> = events[..events.len() - back].iter().map(|event| event.request.clone()).collect();
    earlier.push(last.request.clone());
    let outcome = sequence(earlier).pop().unwrap().outcome;
    events.push(Event { outcome, ..last });
    events
}

/// The last call begins before the one before it is answered.
fn overlapping(mut events: Vec<Event>) -> Vec<Event> {
    let last = events.len() - 1;
    events[last].invoked = events[last - 1].invoked + 1;
    events
}

/// Without a call, whose effect the others still show.
fn without(mut events: Vec<Event>, at: usize) -> Vec<Event> {
    events.remove(at);
    events
}

/// Another answer to the last call.
fn answered(mut events: Vec<Event>, change: impl FnOnce(&mut Value)) -> Vec<Event> {
    change(events.last_mut().unwrap().outcome.as_mut().unwrap());
    events
}

#[test]
fn a_history_that_no_order_explains_is_refused() {
    let read = || sequence(vec![create(), put(TWO), get()]);
    let three = || sequence(vec![create(), put(TWO), put(THREE), describe()]);
    let moved = || sequence(vec![create(), put(TWO), blue(None, ONE), blue(Some(ONE), TWO), describe()]);
    let deleted = || sequence(vec![create(), delete(false), get()]);
    let created_twice = || {
        let mut events = sequence(vec![create(), delete(true), create()]);
        events.remove(1);
        // The first was deleted by nobody.
        events[1].outcome = events[1].outcome.clone().map(|mut done| {
            done["ARN"] = json!("arn:aws:secretsmanager:us-east-1:000000000000:secret:s-ZyXw98");
            done
        });
        events
    };
    let two_labels = |labels: &mut Value| {
        labels["VersionIdsToStages"][ONE] = json!(["AWSPREVIOUS", "blue"]);
    };
    let rows: [(&str, Vec<Event>, bool); 17] = [
        ("a read after a put", read(), true),
        ("a read beside a put, of the new value", overlapping(read()), true),
        ("a read beside a put, of the old value", overlapping(stale(read(), 1)), true),
        ("a stale read after an acknowledged put", stale(read(), 1), false),
        ("a value that was never put", answered(read(), |read| read["SecretString"] = json!("other")), false),
        ("a read of what nobody put", without(read(), 1), false),
        ("two puts", three(), true),
        ("an update that is lost", stale(three(), 1), false),
        ("an update that is lost, of two", stale(three(), 2), false),
        ("a change that nobody made", without(three(), 2), false),
        ("a label that moves", moved(), true),
        ("a label on two versions", answered(moved(), two_labels), false),
        ("a label that did not move", stale(moved(), 1), false),
        (
            "two moves of a label from one version",
            {
                let mut events = sequence(vec![create(), put(TWO), put(THREE), blue(None, ONE), blue(Some(ONE), TWO)]);
                let second = Event { request: blue(Some(ONE), THREE), ..events[4].clone() };
                events.push(Event { invoked: 41, answered: 46, ..second });
                events
            },
            false,
        ),
        ("a deleted secret", deleted(), true),
        ("a deleted secret that is read", stale(deleted(), 1), false),
        ("two that created the same secret", created_twice(), false),
    ];
    for (what, events, is_explained) in rows {
        assert_eq!(Search::default().explains(&events), is_explained, "{what}: {events:#?}");
    }
}

/// An order is found also where it is not that of the answers: each call but the last is answered late.
#[test]
fn an_order_that_is_not_that_of_the_answers_is_found() {
    let mut events = sequence(vec![create(), put(TWO), put(THREE), blue(None, TWO), describe(), delete(false)]);
    let count = events.len() as u64;
    for (at, event) in (0..).zip(&mut events) {
        (event.invoked, event.answered) = (at, 100 + count - at);
    }
    let mut search = Search::default();
    assert!(search.explains(&events));
    assert!(search.states() < 100, "{} states", search.states());
    // With one answer that fits nowhere, all orders are tried, and that comes to an end.
    if let Ok(about) = &mut events[4].outcome {
        about["Description"] = json!("other");
    }
    assert!(!Search::default().explains(&events));
}
