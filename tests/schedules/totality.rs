//! Whatever text somebody sends as rules: it is taken or refused at once, and what is taken works.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use strongroom::{RotationSchedule, Timestamp};

use crate::expressions::DOCUMENTED;
use crate::{at, is_long, seed};

const REFUSALS: [&str; 8] = [
    "You cannot specify both rotation frequency and schedule expression together.",
    "AutomaticallyAfterDays must be between 1 and 1000.",
    "Invalid schedule expression.",
    "Rate in hour should be least 4 and less than 24.",
    "Rate in day should be greater than 0 and less than 1000.",
    "Duration must be at least 1 hour, at most 24 hour.",
    "Duration cannot be greater than Rate in hour.",
    "Starting hour and duration must be within a day.",
];

/// Gives whether the rules were taken.
fn try_rules(days: Option<i64>, expression: Option<&str>, duration: Option<&str>, after: Timestamp) -> bool {
    match RotationSchedule::parse(days, expression, duration) {
        Ok(None) => {
            assert_eq!((days, expression), (None, None));
            false
        }
        Ok(Some(schedule)) => {
            assert_eq!(schedule.has_duration(), duration.is_some());
            let window = schedule.next_window(after, after).unwrap_or_else(|| panic!("{expression:?} after {after}"));
            assert!(after < window.start && window.start < window.end);
            true
        }
        Err(error) => {
            assert_eq!(error.code(), "InvalidParameterException");
            assert!(REFUSALS.contains(&error.message()), "{error}");
            false
        }
    }
}

fn check(cases: u32, what: &str, expressions: impl Strategy<Value = String>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_be_bytes());
    let config =
        Config { cases: if is_long() { cases * 50 } else { cases }, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let days = prop_oneof![20 => Just(None), 1 => any::<i64>().prop_map(Some), 1 => (0..1_002_i64).prop_map(Some)];
    let duration = prop_oneof![
        8 => Just(None),
        4 => "[0-9]{1,2}h".prop_map(Some),
        1 => "[0-9h]{0,5}".prop_map(Some),
        1 => ".{0,5}".prop_map(Some),
    ];
    let taken = Cell::new(0_usize);
    let tried = Cell::new(0_usize);
    let instants = 0..4_102_444_800_000_i64;
    let inputs = (days, prop_oneof![1 => Just(None), 20 => expressions.prop_map(Some)], duration, instants);
    let outcome = runner.run(&inputs, |(days, expression, duration, millis)| {
        let after = Timestamp::from_timestamp_millis(millis).unwrap();
        tried.set(tried.get() + 1);
        taken.set(taken.get() + usize::from(try_rules(days, expression.as_deref(), duration.as_deref(), after)));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{what}: {} tried, {} taken", tried.get(), taken.get());
}

#[test]
fn any_text_is_taken_or_refused() {
    check(2_000, "any text", any::<String>());
}

#[test]
fn any_text_of_the_legal_letters_is_taken_or_refused() {
    check(5_000, "legal letters", "[0-9A-Za-z()#?*/, -]{0,256}");
}

#[test]
fn fields_in_any_order_and_number_are_taken_or_refused() {
    let field = "[0-9*?/,#L-]{1,4}|[0-9]{1,2}|[*?]|(MON|sun|FEB|L|SUNL)([-#/,][0-9A-Z]{1,3})?";
    let fields = prop::collection::vec(field, 0..8).prop_map(|fields| format!("cron({})", fields.join(" ")));
    let likely = (0..24_u8, "[0-9]{1,2}|L|[1-9]/[0-9]", "[0-9]{1,2}|\\*")
        .prop_map(|(hour, days, months)| format!("cron(0 {hour} {days} {months} ? *)"));
    let rate = "rate\\([0-9]{1,4} (hour|day)s?\\)";
    check(5_000, "fields", prop_oneof![fields, likely, rate]);
}

#[test]
fn documented_expressions_with_a_few_other_letters_are_taken_or_refused() {
    let edited =
        (prop::sample::select(&DOCUMENTED[..]), any::<prop::sample::Index>(), "[0-9A-Z()#?*/, -]{0,3}", 0..4_usize);
    let edited = edited.prop_map(|(text, place, letters, removed)| {
        let place = place.index(text.len());
        let kept = text.chars().skip(place + removed);
        text.chars().take(place).chain(letters.chars()).chain(kept).collect::<String>()
    });
    check(5_000, "edited expressions", edited);
}

/// Long texts, of which each field has as much as it can. Their length is limited where requests are checked, but not here.
#[test]
fn long_expressions_are_read_in_one_pass() {
    let now = at("2026-01-01T00:00:00Z");
    for length in [256, 1_000_000] {
        let rows = [
            (",".repeat(length), false),
            (" ".repeat(length), false),
            ("9".repeat(length), false),
            (format!("cron(0 8 {} * ? *)", ",".repeat(length)), false),
            (format!("cron(0 8 {} * ? *)", "/".repeat(length)), false),
            (format!("cron(0 8 {} * ? *)", "-".repeat(length)), false),
            (format!("cron(0 8 ? * {} *)", "#".repeat(length)), false),
            (format!("cron(0 8 ? * {} *)", "L".repeat(length)), false),
            (format!("cron(0 8 1/{} * ? *)", "9".repeat(length)), false),
            (format!("cron(0 8 ? * TUE#{} *)", "9".repeat(length)), false),
            (format!("rate({} days)", "9".repeat(length)), false),
            (format!("rate({}9 days)", "0".repeat(length)), true),
            (format!("rate(9{}days)", " ".repeat(length)), true),
            (format!("cron(0 8 1{} * ? *)", ",1-31".repeat(length / 5)), true),
            (format!("cron(0 8 ? * 1{} *)", ",SUN-SAT/2".repeat(length / 10)), true),
        ];
        for (expression, is_taken) in rows {
            let start: String = expression.chars().take(30).collect();
            assert_eq!(try_rules(None, Some(&expression), None, now), is_taken, "{start} and so on, {length}");
        }
        assert!(!try_rules(Some(1), None, Some(&format!("{}h", "9".repeat(length))), now));
    }
}
