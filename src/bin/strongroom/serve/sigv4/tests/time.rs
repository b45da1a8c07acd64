//! When a request was signed.

use chrono::TimeDelta;

use super::*;

#[test]
fn clocks_may_be_five_minutes_apart() {
    for row in recorded() {
        for seconds in [300, -300, 299, -1] {
            row.changed(|row| row.now += TimeDelta::seconds(seconds)).accepted(&format!("{seconds} s later"));
        }
        for seconds in [301, -301, 86_400, -86_400, 3_000_000_000] {
            let what = format!("{seconds} s later");
            row.changed(|row| row.now += TimeDelta::seconds(seconds)).refused(&what, INVALID, None);
        }
        row.changed(|row| row.now += TimeDelta::milliseconds(300_999)).accepted("less than a second too late");
        for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            row.changed(|row| row.now = now).refused("at the end of time", INVALID, None);
        }
    }
}

#[test]
fn the_texts_about_time_name_the_times() {
    let row = usual();
    row.changed(|row| row.now += TimeDelta::minutes(10)).refused(
        "late",
        INVALID,
        Some("Signature expired: 20260101T120000Z is now earlier than 20260101T120500Z (20260101T121000Z - 5 min.)"),
    );
    row.changed(|row| row.now -= TimeDelta::minutes(10)).refused(
        "early",
        INVALID,
        Some(
            "Signature not yet current: 20260101T120000Z is still later than 20260101T115500Z (20260101T115000Z + 5 \
             min.)",
        ),
    );
    row.changed(|row| row.set("X-Amz-Date", "2026-01-01T12:00:00Z")).refused(
        "extended format",
        INCOMPLETE,
        Some(
            "Date must be in ISO-8601 'basic format'. Got '2026-01-01T12:00:00Z'. See \
             http://en.wikipedia.org/wiki/ISO_8601",
        ),
    );
    row.changed(|row| row.set("X-Amz-Date", "20260102T000000Z")).refused(
        "another day",
        INVALID,
        Some(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260101' != \
             '20260102', from '20260102T000000Z'.",
        ),
    );
    row.changed(|row| row.set("X-Amz-Date", "20260101T120001Z")).refused("another second", INVALID, Some(MISMATCH));
    let long = row.changed(|row| row.set("X-Amz-Date", &"é".repeat(1000))).verify().unwrap_err();
    assert!(long.message().len() < 300, "a refusal repeats only a little");
}

#[test]
fn dates_are_read_in_each_of_their_forms_and_no_other() {
    let noon = basic_time("20260101T120000Z");
    assert_eq!(noon.map(|time| time.timestamp()), Some(1_767_268_800));
    for text in [
        "Thu, 01 Jan 2026 12:00:00 GMT",
        "Thu, 01 Jan 2026 12:00:00 -0000",
        "Thu, 01 Jan 2026 13:00:00 +0100",
        "Thursday, 01-Jan-26 12:00:00 GMT",
        "Thu Jan  1 12:00:00 2026",
    ] {
        assert_eq!(http_time(text), noon, "{text}");
        assert_eq!(basic_time(text), None, "{text}");
    }
    for text in [
        "",
        "Z",
        "20260101T120000",
        "20260101T120000z",
        "20260101t120000Z",
        "20260101T1200000",
        "2026010 T120000Z",
        "+2026101T120000Z",
        "20261301T120000Z",
        "20260230T120000Z",
        "20260101T250000Z",
        "20260101T126000Z",
        "20260101T120000ZZ",
        "２０260101T12Z",
        "Thu, 01 Jan 2026 12:00:00",
        "Fri, 01 Jan 2026 12:00:00 GMT",
        "1767268800",
        "2026-01-01T12:00:00Z",
        "2026 101T120000Z",
    ] {
        assert_eq!((basic_time(text), http_time(text)), (None, None), "{text}");
    }
}

#[test]
fn either_date_header_says_when_and_the_one_of_aws_comes_first() {
    let dated = recorded().into_iter().find(|row| row.name == "Date header").unwrap();
    let same = ["Thu, 01 Jan 2026 12:00:00 GMT", "20260101T120000Z"];
    for text in same {
        // Signed, and therefore not to be rewritten, although it is the same time.
        dated.changed(|row| row.set("Date", text)).refused(text, INVALID, Some(MISMATCH));
    }
    let row = usual();
    row.changed(|row| row.set("Date", "Mon, 01 Jan 2001 00:00:00 GMT")).accepted("another date in the other header");
    let undated = row.changed(|row| row.headers.retain(|(name, _)| name != "X-Amz-Date"));
    let names = undated.signed_headers().join(";");
    let undated = undated.replacing(&names, &names.replace(";x-amz-date", ""));
    let error = undated.verify().unwrap_err();
    assert!(
        error.message().starts_with("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date'")
    );
    for text in same {
        undated.changed(|row| row.set("Date", text)).refused("an honest date", INVALID, Some(MISMATCH));
    }
    undated.changed(|row| row.set("Date", "never")).refused("no date", INCOMPLETE, None);
}
