//! Staging labels: where they go when versions are made and when they are moved by hand.
//!
//! Sources: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html>,
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>

use std::collections::BTreeMap;

use strongroom::GetSecretValueRequest;

use crate::fixture::{
    CURRENT, Fixture, MARKED, NOT_FOUND, PENDING, PREVIOUS, code, error, moving, refused, sorted, token, value,
};

/// One call of a worked table. Versions are numbered in the order in which they are made, from 1.
#[derive(Debug)]
enum Call {
    Create,
    CreateEmpty,
    /// With these labels; none means that the request has no list.
    Put(&'static [&'static str]),
    Update,
    Move(&'static str, usize, usize),
    Remove(&'static str, usize),
    Attach(&'static str, usize),
}
use Call::{Attach, Create, CreateEmpty, Move, Put, Remove, Update};

/// A call and the labels of each version after it. A version without labels is deprecated.
type Row = (Call, &'static [&'static [&'static str]]);

const C: &str = CURRENT;
const P: &str = PREVIOUS;
const N: &str = PENDING;
const S: &str = "AWSSOMETHING";
const S0: &str = "SAMPLESTAGE0";
const S1: &str = "SAMPLESTAGE1";
/// Not `AWSPENDING`, but a custom label that looks like it.
const CUSTOM: &str = "PENDING";

/// Recorded against the service, but for the rows that are marked otherwise.
const TABLES: &[(&str, &[Row])] = &[
    (
        "W1 default chain of puts",
        &[
            (Create, &[&[C]]),
            (Put(&[]), &[&[P], &[C]]),
            (Put(&[]), &[&[], &[P], &[C]]),
            (Put(&[]), &[&[], &[], &[P], &[C]]),
        ],
    ),
    (
        "W1 default chain of updates",
        &[(Create, &[&[C]]), (Update, &[&[P], &[C]]), (Update, &[&[], &[P], &[C]]), (Update, &[&[], &[], &[P], &[C]])],
    ),
    (
        "W2 manual promotion, then the pending label disappears altogether",
        &[
            (Create, &[&[C]]),
            (Put(&[N]), &[&[C], &[N]]),
            (Move(C, 1, 2), &[&[P], &[C, N]]),
            (Put(&[]), &[&[], &[P], &[C]]),
        ],
    ),
    (
        "W3 cycle like a rotation",
        &[
            (Create, &[&[C]]),
            (Put(&[N]), &[&[C], &[N]]),
            (Move(C, 1, 2), &[&[P], &[C, N]]),
            (Put(&[N]), &[&[P], &[C], &[N]]),
            (Move(C, 2, 3), &[&[], &[P], &[C, N]]),
        ],
    ),
    (
        "W4 custom labels ride along",
        &[
            (Create, &[&[C]]),
            (Put(&[S, N, "PUT1"]), &[&[C], &[N, S, "PUT1"]]),
            (Move(C, 1, 2), &[&[P], &[C, N, S, "PUT1"]]),
            (Put(&[N, "PUT2"]), &[&[P], &[C, S, "PUT1"], &[N, "PUT2"]]),
            (Move(C, 2, 3), &[&[], &[P, S, "PUT1"], &[C, N, "PUT2"]]),
        ],
    ),
    (
        "W5 a custom label keeps an old version alive",
        &[
            (Create, &[&[C]]),
            (Put(&[C, "PUT0"]), &[&[P], &[C, "PUT0"]]),
            (Put(&[N, "PUT1"]), &[&[P], &[C, "PUT0"], &[N, "PUT1"]]),
            (Move(C, 2, 3), &[&[], &[P, "PUT0"], &[C, N, "PUT1"]]),
            (Put(&[N, "PUT2"]), &[&[], &[P, "PUT0"], &[C, "PUT1"], &[N, "PUT2"]]),
            (Move(C, 3, 4), &[&[], &["PUT0"], &[P, "PUT1"], &[C, N, "PUT2"]]),
        ],
    ),
    (
        // The labels of the last row are not recorded; only what is read by default is.
        "W6 custom labels only",
        &[
            (Create, &[&[C]]),
            (Put(&[S0, S1]), &[&[C], &[S0, S1]]),
            (Put(&[S0, S1]), &[&[C], &[], &[S0, S1]]),
            (Put(&[N]), &[&[C], &[], &[S0, S1], &[N]]),
            (Put(&[]), &[&[P], &[], &[S0, S1], &[], &[C]]),
        ],
    ),
    (
        "W7 full replacement",
        &[
            (Create, &[&[C]]),
            (Put(&["one", "two", "three"]), &[&[C], &["one", "two", "three"]]),
            (Put(&["one", "two", "three", "four"]), &[&[C], &[], &["one", "two", "three", "four"]]),
        ],
    ),
    (
        "W7 partial replacement",
        &[
            (Create, &[&[C]]),
            (Put(&["one", "two", "three"]), &[&[C], &["one", "two", "three"]]),
            (Put(&["one", "two", "four"]), &[&[C], &["three"], &["one", "two", "four"]]),
        ],
    ),
    (
        "W8 removing a custom label",
        &[
            (Create, &[&[C]]),
            (Put(&[CUSTOM]), &[&[C], &[CUSTOM]]),
            (Move(C, 1, 2), &[&[P], &[C, CUSTOM]]),
            (Remove(CUSTOM, 2), &[&[P], &[C]]),
        ],
    ),
    (
        // As documented.
        "W11 rollback",
        &[(Create, &[&[C]]), (Put(&[]), &[&[P], &[C]]), (Move(C, 2, 1), &[&[C], &[P]])],
    ),
    (
        // As documented; that pending stays behind is our choice.
        "W11 rollback of a pending version",
        &[
            (Create, &[&[C]]),
            (Put(&[N]), &[&[C], &[N]]),
            (Move(C, 1, 2), &[&[P], &[C, N]]),
            (Move(C, 2, 1), &[&[C], &[P, N]]),
        ],
    ),
    (
        // As documented.
        "W12 the first version is current even if it is put as pending",
        &[(CreateEmpty, &[]), (Put(&[N]), &[&[N, C]])],
    ),
];

/// What follows from the rules above where nothing is recorded.
const MORE: &[(&str, &[Row])] = &[
    (
        "a new current version ends what is pending on a third version, by put and by update",
        &[
            (Create, &[&[C]]),
            (Put(&[N]), &[&[C], &[N]]),
            (Put(&[]), &[&[P], &[], &[C]]),
            (Put(&[N, "keep"]), &[&[P], &[], &[C], &[N, "keep"]]),
            (Update, &[&[], &[], &[P], &["keep"], &[C]]),
        ],
    ),
    (
        "a new current version that is pending too takes both labels",
        &[(Create, &[&[C]]), (Put(&[N]), &[&[C], &[N]]), (Put(&[C, N]), &[&[P], &[], &[C, N]])],
    ),
    (
        "a version that does not become current leaves pending alone",
        &[(Create, &[&[C]]), (Put(&[N]), &[&[C], &[N]]), (Put(&["blue"]), &[&[C], &[N], &["blue"]])],
    ),
    (
        "moving current by hand leaves pending alone on a third version",
        &[
            (Create, &[&[C]]),
            (Put(&["blue"]), &[&[C], &["blue"]]),
            (Put(&[N]), &[&[C], &["blue"], &[N]]),
            (Move(C, 1, 2), &[&[P], &[C, "blue"], &[N]]),
        ],
    ),
    (
        "previous that was moved by hand is set anew when current moves",
        &[
            (Create, &[&[C]]),
            (Put(&[]), &[&[P], &[C]]),
            (Put(&["blue"]), &[&[P], &[C], &["blue"]]),
            (Move(P, 1, 3), &[&[], &[C], &[P, "blue"]]),
            (Put(&[]), &[&[], &[P], &["blue"], &[C]]),
        ],
    ),
    (
        "a deprecated version comes back with a label, also as the current one",
        &[
            (Create, &[&[C]]),
            (Put(&[]), &[&[P], &[C]]),
            (Put(&[]), &[&[], &[P], &[C]]),
            (Attach("blue", 1), &[&["blue"], &[P], &[C]]),
            (Remove("blue", 1), &[&[], &[P], &[C]]),
            (Move(C, 3, 1), &[&[C], &[], &[P]]),
        ],
    ),
    (
        "pending and previous can be removed by hand",
        &[
            (Create, &[&[C]]),
            (Put(&[]), &[&[P], &[C]]),
            (Put(&[N]), &[&[P], &[C], &[N]]),
            (Remove(N, 3), &[&[P], &[C], &[]]),
            (Remove(P, 1), &[&[], &[C], &[]]),
            (Put(&[]), &[&[], &[P], &[], &[C]]),
        ],
    ),
    (
        "moving a custom label makes no previous",
        &[
            (Create, &[&[C]]),
            (Put(&["blue"]), &[&[C], &["blue"]]),
            (Move("blue", 2, 1), &[&[C, "blue"], &[]]),
            (Move("blue", 1, 2), &[&[C], &["blue"]]),
        ],
    ),
    (
        "moving a label to where it is changes nothing",
        &[
            (Create, &[&[C]]),
            (Put(&[]), &[&[P], &[C]]),
            (Move(C, 2, 2), &[&[P], &[C]]),
            (Attach(C, 2), &[&[P], &[C]]),
            (Attach(P, 1), &[&[P], &[C]]),
        ],
    ),
];

/// Makes the call for a secret `app` of which `made` versions exist.
fn perform(fixture: &Fixture, call: &Call, made: usize) {
    let next = made + 1;
    match call {
        Create => drop(fixture.create("app")),
        CreateEmpty => {
            fixture.secrets.create_secret(strongroom::CreateSecretRequest::new("app")).unwrap();
        }
        Put(labels) => drop(fixture.put("app", next, labels)),
        Update => {
            let update = strongroom::UpdateSecretRequest::new("app").client_request_token(token(next));
            let updated = fixture.secrets.update_secret(update.secret_string(value(next))).unwrap();
            assert_eq!(updated.version_id, Some(token(next)));
        }
        Move(label, from, to) => fixture.move_label("app", label, Some(*from), Some(*to)).unwrap(),
        Remove(label, from) => fixture.move_label("app", label, Some(*from), None).unwrap(),
        Attach(label, to) => fixture.move_label("app", label, None, Some(*to)).unwrap(),
    }
}

/// The secret has exactly these labels, seen through every operation that shows them.
fn check(fixture: &Fixture, state: &[&[&str]], case: &str) {
    let expected: Vec<Vec<String>> =
        state.iter().map(|labels| sorted(labels.iter().map(|label| (*label).to_owned()).collect())).collect();

    let labelled: BTreeMap<_, _> =
        (1..).zip(&expected).filter(|(_, labels)| !labels.is_empty()).map(|(n, l)| (token(n), l.clone())).collect();
    assert_eq!(fixture.labels("app"), labelled, "{case}: described");

    let listed: Vec<_> = fixture
        .versions("app")
        .into_iter()
        .map(|version| (version.version_id, version.version_stages.map(sorted)))
        .collect();
    let versions: Vec<_> =
        (1..).zip(&expected).map(|(n, labels)| (token(n), (!labels.is_empty()).then(|| labels.clone()))).collect();
    assert_eq!(listed, versions, "{case}: listed");

    for (n, labels) in (1..).zip(&expected) {
        let read = fixture.get(GetSecretValueRequest::new("app").version_id(token(n)));
        assert_eq!(read.version_stages.unwrap_or_default().len(), labels.len(), "{case}: read {n}");
        assert_eq!(read.secret_string.unwrap().expose(), value(n), "{case}: values never change");
        for label in labels {
            let by_label = fixture.get(GetSecretValueRequest::new("app").version_stage(label));
            assert_eq!(by_label.version_id, token(n), "{case}: read by {label}");
        }
    }
    if let Some(current) = expected.iter().position(|labels| labels.iter().any(|label| label == CURRENT)) {
        assert_eq!(fixture.read("app"), value(current + 1), "{case}: read by default");
    }
}

#[test]
fn labels_go_where_they_were_recorded_to_go() {
    for (table, rows) in TABLES.iter().chain(MORE) {
        let fixture = Fixture::new();
        let mut made = 0;
        for (call, state) in *rows {
            perform(&fixture, call, made);
            check(&fixture, state, &format!("{table}: {call:?}"));
            made = state.len();
        }
    }
}

#[test]
fn labels_are_shown_in_the_order_in_which_they_were_attached() {
    let fixture = Fixture::with_secret("app");
    let put = fixture.secrets.put_secret_value(crate::fixture::putting("app", 1).version_stages([PENDING])).unwrap();
    assert_eq!(put.version_stages, [PENDING, CURRENT]);
    fixture.move_label("app", "b", None, Some(1)).unwrap();
    fixture.move_label("app", "a", None, Some(1)).unwrap();
    let shown = [PENDING, CURRENT, "b", "a"];
    assert_eq!(fixture.describe("app").version_ids_to_stages.unwrap()[&token(1)], shown);
    assert_eq!(fixture.get(GetSecretValueRequest::new("app")).version_stages.unwrap(), shown);
    assert_eq!(fixture.versions("app")[0].version_stages.as_ref().unwrap(), &shown);
}

#[test]
fn a_moved_label_is_answered_with_the_arn_and_the_name() {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    let moved = fixture.secrets.update_secret_version_stage(moving("app", CURRENT, Some(2), Some(1))).unwrap();
    assert_eq!((moved.arn, moved.name.as_str()), (fixture.describe("app").arn, "app"));
}

/// Three versions: `v1[AWSPREVIOUS]`, `v2[AWSCURRENT]`, `v3[blue]`, and `v4` without labels.
fn four_versions() -> Fixture {
    let fixture = Fixture::with_value("app");
    fixture.put("app", 2, &[]);
    fixture.put("app", 3, &["blue"]);
    fixture.put("app", 4, &["red"]);
    fixture.move_label("app", "red", Some(4), None).unwrap();
    fixture
}

#[test]
fn a_label_is_not_taken_from_a_version_that_the_caller_does_not_name() {
    let fixture = four_versions();
    let before = fixture.describe("app");
    for (label, holder, to) in [(CURRENT, 2, 1), (CURRENT, 2, 4), (PREVIOUS, 1, 2), ("blue", 3, 1)] {
        let id = token(holder);
        let text = format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version \
             {id}, so you must explicitly reference that version in RemoveFromVersionId."
        );
        refused(fixture.move_label("app", label, None, Some(to)), ("InvalidParameterException", &text));
    }
    assert_eq!(fixture.describe("app"), before);
}

#[test]
fn current_is_moved_and_never_removed() {
    let fixture = four_versions();
    let before = fixture.describe("app");
    let text =
        "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.";
    refused(fixture.move_label("app", CURRENT, Some(2), None), ("InvalidParameterException", text));
    assert_eq!(fixture.describe("app"), before);
}

#[test]
fn a_label_is_not_taken_from_a_version_that_does_not_have_it() {
    let fixture = four_versions();
    let before = fixture.describe("app");
    for (label, from, to) in [
        (CURRENT, 1, Some(3)),
        (CURRENT, 1, Some(2)),
        (CURRENT, 4, None),
        ("blue", 2, Some(4)),
        ("blue", 2, None),
        ("none", 2, None),
        ("none", 2, Some(3)),
        (PENDING, 2, None),
    ] {
        let error = error(fixture.move_label("app", label, Some(from), to));
        let start = format!(
            "When you move staging label {label}, if you specify RemoveFromVersionId, it must be set to the version that \
             currently has the staging label"
        );
        assert_eq!(error.code(), "InvalidParameterException", "{label} {from} {to:?}");
        assert!(error.message().starts_with(&start), "{label} {from} {to:?}: {}", error.message());
    }
    assert_eq!(fixture.describe("app"), before);
}

#[test]
fn an_unknown_version_is_named_in_the_refusal() {
    let fixture = four_versions();
    let before = fixture.describe("app");
    let text = format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(9));
    for (label, from, to) in [
        (CURRENT, Some(2), Some(9)),
        (CURRENT, Some(9), Some(2)),
        (CURRENT, None, Some(9)),
        ("blue", Some(9), None),
        ("none", None, Some(9)),
    ] {
        refused(fixture.move_label("app", label, from, to), ("ResourceNotFoundException", &text));
    }
    assert_eq!(fixture.describe("app"), before);
}

#[test]
fn a_move_needs_a_version_and_a_secret_that_is_there() {
    let fixture = four_versions();
    assert_eq!(code(fixture.move_label("app", CURRENT, None, None)), "InvalidParameterException");
    refused(fixture.move_label("nope", CURRENT, Some(1), Some(2)), NOT_FOUND);
    fixture.secrets.delete_secret(strongroom::DeleteSecretRequest::new("app")).unwrap();
    refused(fixture.move_label("app", CURRENT, Some(2), Some(1)), MARKED);
}

/// No walk through the calls leads to a label on two versions, or to a secret with a value and without a current one.
#[test]
fn labels_move_but_never_fork() {
    const LABELS: [&str; 4] = [CURRENT, PREVIOUS, PENDING, "blue"];
    let fixture = Fixture::with_value("app");
    let mut made = 1;
    // A fixed sequence that looks random, so that a failure repeats.
    let mut state: u32 = 12_345;
    let mut pick = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::from(u16::try_from(state >> 16).unwrap()) % below
    };
    for step in 0..400 {
        let label = LABELS[pick(4)];
        let before = fixture.describe("app");
        let result = match pick(6) {
            0 if made < 40 => {
                made += 1;
                drop(fixture.put("app", made, [&[C][..], &[N], &["blue"], &[C, "blue"]][pick(4)]));
                Ok(())
            }
            1 => fixture.move_label("app", label, Some(pick(made) + 1), None),
            2 => fixture.move_label("app", label, None, Some(pick(made) + 1)),
            _ => {
                let holder = fixture
                    .versions("app")
                    .iter()
                    .position(|version| version.version_stages.iter().flatten().any(|held| held == label));
                fixture.move_label("app", label, holder.map(|index| index + 1), Some(pick(made) + 1))
            }
        };
        let after = fixture.describe("app");
        if result.is_err() {
            assert_eq!(after, before, "step {step}: a refused call changes nothing");
        }
        let stages = after.version_ids_to_stages.unwrap();
        let mut labels: Vec<_> = stages.values().flatten().collect();
        labels.sort();
        let all = labels.len();
        labels.dedup();
        assert_eq!(labels.len(), all, "step {step}: {stages:?}");
        assert!(labels.iter().any(|label| *label == CURRENT), "step {step}: {stages:?}");
        assert!(stages.values().all(|labels| !labels.is_empty()), "step {step}: {stages:?}");
        if result.is_ok() {
            let moved_from = before.version_ids_to_stages.as_ref().and_then(|map| holder(map, CURRENT));
            let now_on = holder(&stages, CURRENT);
            if moved_from != now_on {
                let left = holder(&stages, PREVIOUS);
                assert_eq!(left, moved_from, "step {step}: previous marks where current came from");
            }
        }
    }
    assert!(made >= 20, "the walk made {made} versions");
}

fn holder(stages: &BTreeMap<String, Vec<String>>, label: &str) -> Option<String> {
    stages.iter().find(|(_, labels)| labels.iter().any(|held| held == label)).map(|(version, _)| version.clone())
}
