//! When a request was signed: how it is written, and how far from now it may be.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::SignatureError;

const BASIC_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// How far the clocks of client and server may be apart.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

/// Refuses a request that was signed too long ago, or in what is still the future.
pub(super) fn check_skew(time: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), SignatureError> {
    // In whole seconds, like the texts.
    let now = DateTime::from_timestamp(now.timestamp(), 0).unwrap_or(now);
    let earliest = now.checked_sub_signed(SKEW_MAX).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let latest = now.checked_add_signed(SKEW_MAX).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let [signed, now, from, to] = [time, now, earliest, latest].map(basic_text);
    if time < earliest {
        let message = format!("Signature expired: {signed} is now earlier than {from} ({now} - 5 min.)");
        return Err(SignatureError::invalid(message));
    }
    if time > latest {
        let message = format!("Signature not yet current: {signed} is still later than {to} ({now} + 5 min.)");
        return Err(SignatureError::invalid(message));
    }
    Ok(())
}

/// `20260101T000000Z`.
pub(super) fn basic_time(text: &str) -> Option<DateTime<Utc>> {
    // The parser would take signs, spaces and single digits as well.
    let is_shape = |(index, byte): (usize, u8)| match index {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let is_basic = text.len() == 16 && text.bytes().enumerate().all(is_shape);
    let time = is_basic.then(|| NaiveDateTime::parse_from_str(text, BASIC_FORMAT).ok())??;
    Some(time.and_utc())
}

pub(super) fn basic_text(time: DateTime<Utc>) -> String {
    time.format(BASIC_FORMAT).to_string()
}

/// The forms of RFC 7231: `Sun, 06 Nov 1994 08:49:37 GMT`, also with a numeric zone, and the two obsolete ones.
pub(super) fn http_time(text: &str) -> Option<DateTime<Utc>> {
    let obsolete = || {
        let formats = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let current = DateTime::parse_from_rfc2822(text).ok().map(|time| time.with_timezone(&Utc));
    current.or_else(|| obsolete().map(|time| time.and_utc()))
}
