//! Where `AWSPENDING` is decides whether a rotation can begin, on demand and by its schedule.

use crate::fixture::{Bench, STEPS, Scripted, days, refusal, token};

const INCOMPLETE: &str = "A previous rotation isn't complete. That rotation will be reattempted.";

struct Row {
    what: &'static str,
    /// Brings a secret with version 1 into the state.
    arrange: fn(&Bench),
    labels: &'static str,
    /// The labels after RotateSecret with token 7. `None`: it is refused.
    begun: Option<&'static str>,
    /// The version that the schedule goes on with. `None`: a new one.
    goes_on_with: Option<u32>,
    /// The labels after the function of the schedule did its work.
    rotated: &'static str,
}

const TABLE: [Row; 7] = [
    Row {
        what: "nowhere",
        arrange: |_| {},
        labels: "1 CURRENT",
        begun: Some("1 CURRENT, 7 PENDING"),
        goes_on_with: None,
        rotated: "1 PREVIOUS, new CURRENT+PENDING",
    },
    Row {
        what: "nowhere, after others",
        arrange: |bench| bench.put(2, &[]),
        labels: "1 PREVIOUS, 2 CURRENT",
        begun: Some("1 PREVIOUS, 2 CURRENT, 7 PENDING"),
        goes_on_with: None,
        rotated: "2 PREVIOUS, new CURRENT+PENDING",
    },
    Row {
        what: "on the current version",
        arrange: |bench| {
            bench.put(2, &["AWSPENDING"]);
            bench.move_label("AWSCURRENT", Some(1), Some(2));
        },
        labels: "1 PREVIOUS, 2 CURRENT+PENDING",
        begun: Some("1 PREVIOUS, 2 CURRENT, 7 PENDING"),
        goes_on_with: None,
        rotated: "2 PREVIOUS, new CURRENT+PENDING",
    },
    Row {
        what: "on the current version, which is the only one",
        arrange: |bench| bench.move_label("AWSPENDING", None, Some(1)),
        labels: "1 CURRENT+PENDING",
        begun: Some("1 CURRENT, 7 PENDING"),
        goes_on_with: None,
        rotated: "1 PREVIOUS, new CURRENT+PENDING",
    },
    Row {
        what: "on another version, which has a value",
        arrange: |bench| bench.put(2, &["AWSPENDING"]),
        labels: "1 CURRENT, 2 PENDING",
        begun: None,
        goes_on_with: Some(2),
        rotated: "1 PREVIOUS, 2 CURRENT+PENDING",
    },
    Row {
        what: "on the previous version, after going back",
        arrange: |bench| {
            bench.put(2, &["AWSPENDING"]);
            bench.move_label("AWSCURRENT", Some(1), Some(2));
            bench.move_label("AWSCURRENT", Some(2), Some(1));
        },
        labels: "1 CURRENT, 2 PENDING+PREVIOUS",
        begun: None,
        goes_on_with: Some(2),
        rotated: "1 PREVIOUS, 2 CURRENT+PENDING",
    },
    Row {
        what: "on a version that was deprecated, and has a label of somebody's own",
        arrange: |bench| {
            bench.put(2, &["blue"]);
            bench.put(3, &[]);
            bench.move_label("AWSPENDING", None, Some(2));
        },
        labels: "1 PREVIOUS, 2 PENDING+blue, 3 CURRENT",
        begun: None,
        goes_on_with: Some(2),
        rotated: "2 CURRENT+PENDING+blue, 3 PREVIOUS",
    },
];

/// A secret that rotates every day, in the state of a row.
fn bench(row: &Row) -> Bench {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    (row.arrange)(&bench);
    assert_eq!(bench.labels(), row.labels, "{}", row.what);
    bench
}

#[test]
fn on_demand_a_rotation_begins_unless_another_version_is_pending() {
    for row in &TABLE {
        let bench = bench(row);
        let before = (bench.describe(), bench.status());
        let rotated = bench.secrets.rotate_secret(bench.rotate(7));
        match row.begun {
            Some(labels) => {
                assert_eq!(rotated.unwrap().version_id, token(7), "{}", row.what);
                assert_eq!(bench.labels(), labels, "{}", row.what);
            }
            None => {
                assert_eq!(refusal(rotated), ("InvalidRequestException", INCOMPLETE.to_owned()), "{}", row.what);
                assert_eq!((bench.describe(), bench.status()), before, "{}", row.what);
            }
        }
    }
}

#[test]
fn by_its_schedule_a_secret_goes_on_with_the_version_that_is_pending() {
    for row in &TABLE {
        let bench = bench(row);
        bench.at("2026-01-16T00:00:00Z");
        let report = bench.maintain();
        assert_eq!((report.rotated_secrets, report.failed_rotations), (1, 0), "{}", row.what);
        let calls = bench.function.calls();
        assert_eq!(calls.iter().map(|(step, _)| step.as_str()).collect::<Vec<_>>(), STEPS, "{}", row.what);
        let is_meant = |id: &String| match row.goes_on_with {
            Some(number) => *id == token(number),
            None => (1..10).all(|number| *id != token(number)),
        };
        assert!(calls.iter().all(|(_, id)| is_meant(id) && *id == calls[0].1), "{}: {calls:?}", row.what);
        assert_eq!(bench.labels(), row.rotated, "{}", row.what);
        assert_eq!(
            bench.describe().last_rotated_date,
            Some(crate::fixture::at("2026-01-16T00:00:00Z")),
            "{}",
            row.what
        );
    }
}

#[test]
fn a_version_without_value_blocks_a_rotation_and_is_carried_on_by_the_schedule() {
    let bench = Bench::new(Scripted::working());
    bench.schedule(days(1));
    bench.function.answers(|_| Err("no".into()));
    bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
    for minutes in [0, 1, 2, 4, 8] {
        bench.advance(chrono::TimeDelta::minutes(minutes));
        assert_eq!(bench.maintain().failed_rotations, 1);
    }
    assert_eq!(bench.labels(), "1 CURRENT, 2 PENDING");
    let refused = refusal(bench.secrets.rotate_secret(bench.rotate(3)));
    assert_eq!(refused, ("InvalidRequestException", INCOMPLETE.to_owned()));
    bench.function.calls();
    bench.function.answers(|call| crate::fixture::work(call, false));
    bench.at("2026-01-16T00:00:00Z");
    assert_eq!(bench.maintain().rotated_secrets, 1);
    assert!(bench.function.calls().iter().all(|(_, id)| *id == token(2)));
    assert_eq!(bench.labels(), "1 PREVIOUS, 2 CURRENT+PENDING");
}

#[test]
fn what_blocks_a_rotation_can_be_cleared() {
    type Clear = fn(&Bench);
    let rows: [(&str, Clear, &str); 4] = [
        ("the label is removed", |bench| bench.move_label("AWSPENDING", Some(2), None), "1 CURRENT, 7 PENDING"),
        ("a value is put", |bench| bench.put(3, &[]), "1 PREVIOUS, 3 CURRENT, 7 PENDING"),
        (
            "a value is put by an update",
            |bench| {
                let update = strongroom::UpdateSecretRequest::new("db").client_request_token(token(3));
                bench.secrets.update_secret(update.secret_string("value 3")).unwrap();
            },
            "1 PREVIOUS, 3 CURRENT, 7 PENDING",
        ),
        (
            "the pending version is made current",
            |bench| {
                bench.put(2, &["AWSPENDING"]);
                bench.move_label("AWSCURRENT", Some(1), Some(2));
            },
            "1 PREVIOUS, 2 CURRENT, 7 PENDING",
        ),
    ];
    for (what, clear, labels) in rows {
        for has_value in [false, true] {
            let bench = Bench::new(Scripted::new(|_| Err("no".into())));
            bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
            if has_value {
                bench.put(2, &["AWSPENDING"]);
            }
            bench.maintain();
            assert_eq!(refusal(bench.secrets.rotate_secret(bench.rotate(7))).1, INCOMPLETE, "{what}");
            clear(&bench);
            bench.secrets.rotate_secret(bench.rotate(7)).unwrap();
            assert_eq!(bench.labels(), labels, "{what}, has a value: {has_value}");
        }
    }
}

#[test]
fn other_changes_do_not_end_a_rotation() {
    type Change = fn(&Bench);
    let rows: [(&str, Change, &str); 4] = [
        ("a version with a label of its own", |bench| bench.put(3, &["blue"]), "1 CURRENT, 2 PENDING, 3 blue"),
        (
            "a label of somebody's own on the pending version",
            |bench| bench.move_label("blue", None, Some(2)),
            "1 CURRENT, 2 PENDING+blue",
        ),
        (
            "another version is made current by hand",
            |bench| {
                bench.put(3, &["blue"]);
                bench.move_label("AWSCURRENT", Some(1), Some(3));
            },
            "1 PREVIOUS, 2 PENDING, 3 CURRENT+blue",
        ),
        (
            "the description",
            |bench| {
                let update = strongroom::UpdateSecretRequest::new("db").description("described");
                bench.secrets.update_secret(update).unwrap();
            },
            "1 CURRENT, 2 PENDING",
        ),
    ];
    for (what, change, labels) in rows {
        let bench = Bench::new(Scripted::working());
        bench.secrets.rotate_secret(bench.rotate(2)).unwrap();
        change(&bench);
        assert_eq!(bench.labels(), labels, "{what}");
        assert_eq!(bench.job().version_id, token(2), "{what}");
        assert_eq!(bench.maintain().rotated_secrets, 1, "{what}");
        assert_eq!(bench.current(), format!("made for {}", token(2)), "{what}");
    }
}
