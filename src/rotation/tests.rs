//! Schedules as the service documents them, one by one.

use chrono::DateTime;

use super::*;

const INVALID: &str = "Invalid schedule expression.";
const BOTH: &str = "You cannot specify both rotation frequency and schedule expression together.";
const HOURS: &str = "Rate in hour should be least 4 and less than 24.";
const DAYS: &str = "Rate in day should be greater than 0 and less than 1000.";
const DURATION: &str = "Duration must be at least 1 hour, at most 24 hour.";
const LONGER_THAN_RATE: &str = "Duration cannot be greater than Rate in hour.";
const NEXT_DAY: &str = "Starting hour and duration must be within a day.";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(expression: &str, duration: Option<&str>) -> RotationSchedule {
    RotationSchedule::parse(None, Some(expression), duration)
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
        .unwrap()
}

fn refusal(days: Option<i64>, expression: Option<&str>, duration: Option<&str>) -> Error {
    RotationSchedule::parse(days, expression, duration).expect_err(&format!("{days:?} {expression:?} {duration:?}"))
}

/// The windows after an instant, from which days and hours are counted too.
fn windows(schedule: &RotationSchedule, from: &str, count: usize) -> Vec<(String, String)> {
    let origin = at(from);
    let mut after = origin;
    let mut next = || {
        let window = schedule.next_window(origin, after).unwrap();
        after = window.start;
        let show = |at: Timestamp| at.format("%a %F %H:%M:%S").to_string();
        (show(window.start), show(window.next_rotation_date()))
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn each_refusal_has_the_text_of_the_service() {
    let one_expression = |text, expected| (None, Some(text), None, expected);
    let rows = [
        (Some(1), Some("rate(10 days)"), None, BOTH),
        (Some(0), Some("nonsense"), Some("nonsense"), BOTH),
        one_expression("rate(3 hours)", HOURS),
        one_expression("rate(1 hour)", HOURS),
        one_expression("rate(0 hours)", HOURS),
        one_expression("rate(24 hours)", HOURS),
        one_expression("rate(99999999999999999999 hours)", HOURS),
        one_expression("rate(0 days)", DAYS),
        one_expression("rate(1000 days)", DAYS),
        one_expression("rate(99999999999999999999 days)", DAYS),
        one_expression("", INVALID),
        one_expression("daily", INVALID),
        one_expression("rate(10 days", INVALID),
        one_expression("rate 10 days", INVALID),
        one_expression("rate()", INVALID),
        one_expression("rate(10)", INVALID),
        one_expression("rate(days)", INVALID),
        one_expression("rate(10days)", INVALID),
        one_expression("rate(-1 days)", INVALID),
        one_expression("rate(+1 days)", INVALID),
        one_expression("rate(1.5 days)", INVALID),
        one_expression("rate(10 minutes)", INVALID),
        one_expression("rate(10 weeks)", INVALID),
        one_expression("rate(10 Days)", INVALID),
        one_expression("rate(10 days 3)", INVALID),
        one_expression("RATE(10 days)", INVALID),
        one_expression("CRON(0 8 1 * ? *)", INVALID),
        one_expression(" rate(10 days)", INVALID),
        one_expression("rate(10 days) ", INVALID),
        one_expression("rate(10\tdays)", INVALID),
        one_expression("rate(cron(0 8 1 * ? *))", INVALID),
        (None, Some("rate(99 hours)"), Some("nonsense"), HOURS),
        (None, Some("nonsense"), Some("25h"), INVALID),
        (Some(1), None, Some("0h"), DURATION),
        (Some(1), None, Some("25h"), DURATION),
        (Some(1), None, Some("h"), DURATION),
        (Some(1), None, Some(""), DURATION),
        (Some(1), None, Some("3"), DURATION),
        (Some(1), None, Some("3H"), DURATION),
        (Some(1), None, Some("3hh"), DURATION),
        (Some(1), None, Some("-3h"), DURATION),
        (Some(1), None, Some("99999999999999999999h"), DURATION),
        (None, None, Some("0h"), DURATION),
        (None, Some("rate(4 hours)"), Some("5h"), LONGER_THAN_RATE),
        (None, Some("rate(23 hours)"), Some("24h"), LONGER_THAN_RATE),
        (None, Some("cron(0 16 1 * ? *)"), Some("9h"), NEXT_DAY),
        (None, Some("cron(0 23 1 * ? *)"), Some("2h"), NEXT_DAY),
        (None, Some("cron(0 8/8 * * ? *)"), Some("9h"), NEXT_DAY),
        (None, Some("cron(0 1 ? * MON *)"), Some("24h"), NEXT_DAY),
    ];
    for (days, expression, duration, expected) in rows {
        let error = refusal(days, expression, duration);
        assert_eq!(error.code(), "InvalidParameterException", "{days:?} {expression:?} {duration:?}");
        assert_eq!(error.message(), expected, "{days:?} {expression:?} {duration:?}");
    }
    for days in [i64::MIN, -1, 0, 1_001, i64::MAX] {
        assert_eq!(refusal(Some(days), None, None).code(), "InvalidParameterException", "{days}");
    }
}

#[test]
fn what_is_just_within_the_limits_is_taken() {
    let rows = [
        (Some(1), None, None),
        (Some(1_000), None, Some("24h")),
        (Some(1), None, Some("1h")),
        (Some(1), None, Some("03h")),
        (None, Some("rate(1 day)"), Some("24h")),
        (None, Some("rate(1 days)"), None),
        (None, Some("rate(999 day)"), None),
        (None, Some("rate(4 hour)"), Some("4h")),
        (None, Some("rate(23 hours)"), Some("23h")),
        (None, Some("rate(0010 days)"), None),
        (None, Some("rate(  10   days )"), None),
        (None, Some("cron(0 16 1 * ? *)"), Some("8h")),
        (None, Some("cron(0 0 1 * ? *)"), Some("24h")),
        (None, Some("cron(0 8/8 * * ? *)"), Some("8h")),
        (None, Some("cron(  00  08   1 * ? *  )"), None),
    ];
    for (days, expression, duration) in rows {
        let schedule = RotationSchedule::parse(days, expression, duration).unwrap().unwrap();
        assert_eq!(schedule.has_duration(), duration.is_some());
    }
    for duration in [None, Some("1h"), Some("24h")] {
        assert_eq!(RotationSchedule::parse(None, None, duration).unwrap(), None);
    }
}

/// Each row is a part of an expression that is fine otherwise.
#[test]
fn a_cron_expression_with_anything_else_in_it_is_refused() {
    let fields = [
        // Minutes.
        ["*", "1", "60", "0,0", "0/30", "-", "O", "+0"].map(|text| format!("{text} 8 1 * ? *")).to_vec(),
        // Hours.
        [
            "24", "*", "?", "-1", "8-", "-8", "8-12", "0-23", "8,9", "8,11", "0,4,7", "0/3", "/0", "0/24", "/", "8/",
            "*/3",
        ]
        .map(|text| format!("0 {text} 1 * ? *"))
        .to_vec(),
        ["8/8/8", "8,", ",8", ",", "20-4", "1e1", "L", "8#1", "MON", "٣", "99999999999999999999", "*,8", "23/0"]
            .map(|text| format!("0 {text} 1 * ? *"))
            .to_vec(),
        // Days of the month.
        [
            "0", "32", "1-32", "10-5", "1-", "-1", "?,1", "?/2", "15W", "LW", "L-3", "1-L", "L/2", "1L", "XXL", "SUN",
            "SUNL/2",
        ]
        .map(|text| format!("0 8 {text} * ? *"))
        .to_vec(),
        ["MON-FRIL", "SUNL-TUEL", "SUNLL", "LL", "1#1", "1/0", "1/32", "1-5/", "*-5", "5-*", "**", "JAN", "?", "1-2-3"]
            .map(|text| format!("0 8 {text} * ? *"))
            .to_vec(),
        // Months.
        ["0", "13", "?", "L", "JANUARY", "JA", "1/0", "1/13", "JAN-", "-JAN", "JAN-13", "SUN", "1#1", ",", "JAN/FEB"]
            .map(|text| format!("0 8 1 {text} ? *"))
            .to_vec(),
        // Days of the week.
        [
            "0",
            "8",
            "MONDAY",
            "MO",
            "TUE#0",
            "TUE#6",
            "TUE#",
            "#3",
            "TUE#3#3",
            "TUE#3/2",
            "MON-FRI#1",
            "*#1",
            "L#1",
            "SUNL",
        ]
        .map(|text| format!("0 8 ? * {text} *"))
        .to_vec(),
        ["1L", "L-1", "1/0", "1/8", "1-8", "JAN", "15W", "?,1", "TUE#99999999999999999999", "MON,", ",MON", "MON,,TUE"]
            .map(|text| format!("0 8 ? * {text} *"))
            .to_vec(),
        // Years, and which of the two fields of days is left open.
        ["?", "2030", "*/2", "2030-2031", "**"].map(|text| format!("0 8 1 * ? {text}")).to_vec(),
        ["* * *", "? * ?", "1 * MON", "1 * *", "* * MON"].map(|text| format!("0 8 {text} *")).to_vec(),
        // Too few and too many fields.
        ["", " ", "0", "0 8 1 *", "0 8 1 * ?", "0 8 1 * ? * *", "0 0 8 1 * ? *", "0\t8 1 * ? *", "0\u{a0}8 1 * ? *"]
            .map(str::to_owned)
            .to_vec(),
        // Days that no year has.
        ["30 2", "30,31 FEB", "31 2,4,6,9,11", "31 APR", "30-31 2-2"].map(|text| format!("0 8 {text} ? *")).to_vec(),
    ];
    for text in fields.concat() {
        let expression = format!("cron({text})");
        assert_eq!(refusal(None, Some(&expression), None).message(), INVALID, "{expression}");
    }
}

#[test]
fn documented_expressions_name_the_windows_that_are_documented() {
    let from = "2026-01-01T12:00:00Z";
    let rows: [(&str, &[(&str, &str)]); 16] = [
        ("rate(10 days)", &[("Sun 2026-01-11 00", "Sun 2026-01-11 23"), ("Wed 2026-01-21 00", "Wed 2026-01-21 23")]),
        ("rate(1 day)", &[("Fri 2026-01-02 00", "Fri 2026-01-02 23"), ("Sat 2026-01-03 00", "Sat 2026-01-03 23")]),
        ("rate(4 hours)", &[("Thu 2026-01-01 16", "Thu 2026-01-01 16"), ("Thu 2026-01-01 20", "Thu 2026-01-01 20")]),
        (
            "cron(0 8/8 * * ? *)",
            &[("Thu 2026-01-01 16", "Thu 2026-01-01 16"), ("Fri 2026-01-02 08", "Fri 2026-01-02 08")],
        ),
        (
            "cron(0 2/10 * * ? *)",
            &[
                ("Thu 2026-01-01 22", "Thu 2026-01-01 22"),
                ("Fri 2026-01-02 02", "Fri 2026-01-02 02"),
                ("Fri 2026-01-02 12", "Fri 2026-01-02 12"),
            ],
        ),
        (
            "cron(0 /12 * * ? *)",
            &[("Fri 2026-01-02 00", "Fri 2026-01-02 00"), ("Fri 2026-01-02 12", "Fri 2026-01-02 12")],
        ),
        (
            "cron(0 18 ? * SAT *)",
            &[("Sat 2026-01-03 18", "Sat 2026-01-03 23"), ("Sat 2026-01-10 18", "Sat 2026-01-10 23")],
        ),
        (
            "cron(0 8 1 * ? *)",
            &[("Sun 2026-02-01 08", "Sun 2026-02-01 23"), ("Sun 2026-03-01 08", "Sun 2026-03-01 23")],
        ),
        (
            "cron(0 1 ? 1/3 SUN#1 *)",
            &[
                ("Sun 2026-01-04 01", "Sun 2026-01-04 23"),
                ("Sun 2026-04-05 01", "Sun 2026-04-05 23"),
                ("Sun 2026-07-05 01", "Sun 2026-07-05 23"),
                ("Sun 2026-10-04 01", "Sun 2026-10-04 23"),
                ("Sun 2027-01-03 01", "Sun 2027-01-03 23"),
            ],
        ),
        (
            "cron(0 17 L * ? *)",
            &[("Sat 2026-01-31 17", "Sat 2026-01-31 23"), ("Sat 2026-02-28 17", "Sat 2026-02-28 23")],
        ),
        (
            "cron(0 17 SUNL * ? *)",
            &[("Sun 2026-01-25 17", "Sun 2026-01-25 23"), ("Sun 2026-02-22 17", "Sun 2026-02-22 23")],
        ),
        (
            "cron(0 8 ? * MON-FRI *)",
            &[("Fri 2026-01-02 08", "Fri 2026-01-02 23"), ("Mon 2026-01-05 08", "Mon 2026-01-05 23")],
        ),
        (
            "cron(0 16 1,15 * ? *)",
            &[
                ("Thu 2026-01-01 16", "Thu 2026-01-01 23"),
                ("Thu 2026-01-15 16", "Thu 2026-01-15 23"),
                ("Sun 2026-02-01 16", "Sun 2026-02-01 23"),
            ],
        ),
        (
            "cron(0 0 ? * TUE#3 *)",
            &[("Tue 2026-01-20 00", "Tue 2026-01-20 23"), ("Tue 2026-02-17 00", "Tue 2026-02-17 23")],
        ),
        (
            "cron(0 0 ? * L *)",
            &[("Sat 2026-01-03 00", "Sat 2026-01-03 23"), ("Sat 2026-01-10 00", "Sat 2026-01-10 23")],
        ),
        (
            "cron(0 0 29 2 ? *)",
            &[("Tue 2028-02-29 00", "Tue 2028-02-29 23"), ("Sun 2032-02-29 00", "Sun 2032-02-29 23")],
        ),
    ];
    for (expression, expected) in rows {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(start, last)| (format!("{start}:00:00"), format!("{last}:59:59"))).collect();
        assert_eq!(windows(&schedule(expression, None), from, expected.len()), expected, "{expression}");
    }
}

/// `NextRotationDate` as it was seen in answers of the service, or stands in its API reference.
#[test]
fn the_next_rotation_dates_that_were_seen_are_shown() {
    let after = |days| RotationSchedule::parse(Some(days), None, None).unwrap().unwrap();
    let rows = [
        (after(30), "2024-02-22T07:16:15.807Z", "2024-03-23T23:59:59Z"),
        (schedule("cron(0 0 ? * 2 *)", None), "2023-10-16T07:18:02.417Z", "2023-10-23T23:59:59Z"),
        (after(30), "2026-02-03T11:00:00Z", "2026-03-05T23:59:59Z"),
        (schedule("cron(0 16 1,15 * ? *)", Some("2h")), "2026-03-02T00:00:00Z", "2026-03-15T17:59:59Z"),
    ];
    for (schedule, rotated, expected) in rows {
        let window = schedule.next_window(at(rotated), at(rotated)).unwrap();
        assert_eq!(window.next_rotation_date(), at(expected));
    }
}

#[test]
fn a_window_ends_with_its_duration_the_day_or_the_next_window() {
    let rows = [
        ("rate(10 days)", "3h", "Sun 2026-01-11 00:00:00", "02:59:59"),
        ("rate(1 day)", "24h", "Fri 2026-01-02 00:00:00", "23:59:59"),
        ("rate(9 hours)", "9h", "Thu 2026-01-01 18:00:00", "23:59:59"),
        ("rate(9 hours)", "2h", "Thu 2026-01-01 18:00:00", "19:59:59"),
        ("cron(0 18 ? * SAT *)", "3h", "Sat 2026-01-03 18:00:00", "20:59:59"),
        ("cron(0 18 ? * SAT *)", "6h", "Sat 2026-01-03 18:00:00", "23:59:59"),
        ("cron(0 0,8 ? * SAT *)", "16h", "Sat 2026-01-03 00:00:00", "07:59:59"),
        ("cron(0 8/8 * * ? *)", "8h", "Thu 2026-01-01 16:00:00", "23:59:59"),
        ("cron(0 4,8 ? * SAT *)", "4h", "Sat 2026-01-03 04:00:00", "07:59:59"),
    ];
    for (expression, duration, start, end) in rows {
        let (found_start, found_end) =
            windows(&schedule(expression, Some(duration)), "2026-01-01T12:00:00Z", 1).remove(0);
        assert_eq!(found_start, start, "{expression} {duration}");
        assert!(found_end.ends_with(end), "{expression} {duration}: {found_end}");
    }
}

#[test]
fn days_are_counted_from_the_day_and_hours_from_its_midnight() {
    let start = |schedule: &RotationSchedule, origin, after| schedule.next_window(at(origin), at(after)).unwrap().start;
    let ten_days = schedule("rate(10 days)", None);
    let five_hours = schedule("rate(5 hours)", None);
    let origin = "2026-01-01T23:59:59.999Z";
    let rows = [
        (&ten_days, "2000-01-01T00:00:00Z", "2026-01-11T00:00:00Z"),
        (&ten_days, "2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z"),
        (&ten_days, "2026-01-10T23:59:59.999Z", "2026-01-11T00:00:00Z"),
        (&ten_days, "2026-01-11T00:00:00Z", "2026-01-21T00:00:00Z"),
        (&ten_days, "2026-04-11T00:00:00.001Z", "2026-04-21T00:00:00Z"),
        (&five_hours, "2000-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        (&five_hours, "2026-01-01T00:00:00Z", "2026-01-01T05:00:00Z"),
        (&five_hours, "2026-01-01T20:00:00Z", "2026-01-02T01:00:00Z"),
        (&five_hours, "2026-01-02T00:59:59.999Z", "2026-01-02T01:00:00Z"),
        (&five_hours, "2026-01-06T00:00:00Z", "2026-01-06T05:00:00Z"),
    ];
    for (schedule, after, expected) in rows {
        assert_eq!(start(schedule, origin, after), at(expected), "{after}");
    }
}

#[test]
fn fields_mean_what_they_look_like() {
    // Days of a month that begins on a Thursday and has 31 days.
    let rows = [
        ("1/2 1 ?", "1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31"),
        ("/10 1 ?", "1 11 21 31"),
        ("*/10 1 ?", "1 11 21 31"),
        ("1-10/3 1 ?", "1 4 7 10"),
        ("5-5 1 ?", "5"),
        ("20/31 1 ?", "20"),
        ("1,1,L,L 1 ?", "1 31"),
        ("L,SUNL,saTl 1 ?", "25 31"),
        ("29-31,3 jan ?", "3 29 30 31"),
        ("3 NOV-FEB ?", "3"),
        ("3 12-1 ?", "3"),
        ("3 /6 ?", "3"),
        ("3 dec/1,Jan ?", "3"),
        ("? 1 1/2", "1 3 4 6 8 10 11 13 15 17 18 20 22 24 25 27 29 31"),
        ("? 1 2", "5 12 19 26"),
        ("? 1 FRI-MON/2", "2 4 9 11 16 18 23 25 30"),
        ("? 1 6-1", "2 3 4 9 10 11 16 17 18 23 24 25 30 31"),
        ("? 1 Sat", "3 10 17 24 31"),
        ("? 1 l", "3 10 17 24 31"),
        ("? 1 5#5,SAT#5,THU#1", "1 29 31"),
        ("? 1 2#3", "19"),
        ("? 1 MON,L", "3 5 10 12 17 19 24 26 31"),
    ];
    for (fields, expected) in rows {
        let schedule = schedule(&format!("cron(0 0 {fields} *)"), None);
        let mut days = Vec::new();
        let mut after = at("2025-12-31T23:59:59.999Z");
        while let Some(window) =
            schedule.next_window(after, after).filter(|next| next.start < at("2026-02-01T00:00:00Z"))
        {
            days.push(window.start.format("%-d").to_string());
            after = window.start;
        }
        assert_eq!(days.join(" "), expected, "{fields}");
    }
}

#[test]
fn the_days_between_two_rotations_are_shown() {
    let now = "2026-01-07T12:00:00Z";
    let rows = [
        ("rate(10 days)", now, 10),
        ("rate(999 days)", now, 999),
        ("rate(4 hours)", now, 1),
        ("rate(23 hours)", now, 1),
        ("cron(0 8/8 * * ? *)", now, 1),
        ("cron(0 8 * * ? *)", now, 1),
        ("cron(0 0 ? * 2 *)", now, 7),
        ("cron(0 8 ? * MON-FRI *)", now, 1),
        ("cron(0 8 ? * MON-FRI *)", "2026-01-09T08:00:00Z", 3),
        ("cron(0 8 ? * MON-FRI *)", "2026-01-09T07:59:59.999Z", 1),
        ("cron(0 16 1,15 * ? *)", "2026-01-01T16:00:00Z", 14),
        ("cron(0 16 1,15 * ? *)", "2026-01-14T00:00:00Z", 14),
        ("cron(0 16 1,15 * ? *)", "2026-01-15T16:00:00Z", 17),
        ("cron(0 16 1,15 * ? *)", "2026-02-20T00:00:00Z", 14),
        ("cron(0 0/12 ? * MON *)", "2026-01-05T00:00:00Z", 1),
        ("cron(0 0/12 ? * MON *)", "2026-01-05T12:00:00Z", 7),
        ("cron(0 8 L * ? *)", "2026-02-10T00:00:00Z", 28),
        ("cron(0 8 1 1 ? *)", "2028-05-05T00:00:00Z", 366),
        ("cron(0 8 29 2 ? *)", "2098-01-01T00:00:00Z", 2_921),
    ];
    for (expression, now, expected) in rows {
        assert_eq!(schedule(expression, None).automatically_after_days(at(now)), expected, "{expression} {now}");
    }
    let days = RotationSchedule::parse(Some(1_000), None, Some("3h")).unwrap().unwrap();
    assert_eq!(days.automatically_after_days(at(now)), 1_000);
}

/// 29 February is a Thursday in 1872 and then not before 1912, because 1900 has none.
#[test]
fn the_rarest_day_is_found_across_a_century() {
    let rarest = schedule("cron(0 0 ? 2 THU#5 *)", None);
    let window = rarest.next_window(at("1872-03-01T00:00:00Z"), at("1872-03-01T00:00:00Z")).unwrap();
    assert_eq!(window.start, at("1912-02-29T00:00:00Z"));
    assert_eq!(rarest.automatically_after_days(at("1911-12-31T00:00:00Z")), 14_609);
}

#[test]
fn there_is_nothing_behind_the_end_of_the_calendar() {
    let (first, last) = (DateTime::<chrono::Utc>::MIN_UTC, DateTime::<chrono::Utc>::MAX_UTC);
    let expressions =
        ["rate(999 days)", "rate(4 hours)", "cron(0 0 ? 2 THU#5 *)", "cron(0 0/4 * * ? *)", "cron(0 23 31 12 ? *)"];
    for expression in expressions {
        for duration in [None, Some("1h")] {
            let schedule = schedule(expression, duration);
            assert_eq!(schedule.next_window(first, last), None, "{expression}");
            assert_eq!(schedule.next_window(last, last), None, "{expression}");
            for origin in [first, last, at("2026-01-01T00:00:00Z")] {
                assert!(
                    schedule.next_window(origin, first).is_none_or(|next| first <= next.start && next.start < next.end)
                );
            }
            assert!(schedule.automatically_after_days(first) >= 1);
            assert!(schedule.automatically_after_days(last) >= 1);
        }
    }
    // The last window but one: the last day would end behind the calendar.
    let daily = schedule("cron(0 0 * * ? *)", None);
    assert!(daily.next_window(first, last - TimeDelta::days(2)).is_some());
    assert_eq!(daily.next_window(first, last - TimeDelta::days(1)), None);
    let mut window = daily.next_window(first, first).unwrap();
    window.end = first;
    assert_eq!(window.next_rotation_date(), first);
}
