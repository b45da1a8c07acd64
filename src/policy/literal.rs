//! Numbers, dates, addresses and bytes as policies and requests write them.

use std::cmp::Ordering;
use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};

use crate::time::Timestamp;

/// A whole number, exact, or any other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
        if !text.chars().all(is_number) {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        text.parse().ok().filter(|real: &f64| real.is_finite()).map(Self::Real)
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.real().partial_cmp(&b.real()),
        }
    }

    fn real(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the other one is not exact either")]
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

/// Seconds since 1970, or a date of ISO 8601: a day, or a day and a time with its zone.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    if let Some(first) = month_or_year(text) {
        return Some(first.and_time(NaiveTime::MIN).and_utc());
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return DateTime::from_timestamp(seconds, 0);
    }
    if let Ok(seconds) = text.parse::<f64>()
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
    {
        // Whole milliseconds: more is nowhere kept.
        let millis = (seconds * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and no such date exists")]
        return DateTime::from_timestamp_millis(millis as i64);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    // What chrono reads leniently is not a date here.
    let is_tight = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:TZ".contains(&byte));
    if !is_tight || text.starts_with(['+', '-']) {
        return None;
    }
    if text.len() == "2027-03-01".len()
        && let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d")
    {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    let (minute, zone) = text.strip_suffix('Z').map_or_else(|| split_zone(text), |minute| Some((minute, 0)))?;
    let at = (minute.len() == "2027-03-01T12:00".len()).then_some(minute)?;
    let at = chrono::NaiveDateTime::parse_from_str(at, "%Y-%m-%dT%H:%M").ok()?;
    at.and_utc().checked_sub_signed(TimeDelta::minutes(zone))
}

/// The first day of a month, `2027-03`, or of a year, `2027`.
fn month_or_year(text: &str) -> Option<NaiveDate> {
    let (year, month) = text.split_once('-').map_or((text, "01"), |(year, month)| (year, month));
    let is_digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(year, 4) || !is_digits(month, 2) {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
}

/// A time and its distance from UTC, in minutes.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    let (time, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let (hours, minutes) = zone.split_once(':').filter(|_| !zone.contains(['+', '-']))?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some((time, sign * (hours * 60 + minutes)))
}

/// An address, or a block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    address: IpAddr,
    /// Bits that count.
    pub(super) prefix: u8,
}

impl Block {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let written: IpAddr = address.parse().ok()?;
        let address = written.to_canonical();
        // The bits of IPv6 in front of an address of IPv4.
        let mapping: u8 = if written.is_ipv6() && address.is_ipv4() { 96 } else { 0 };
        let longest = if written.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => longest,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
        };
        (prefix <= longest).then_some(())?;
        Some(Self { address, prefix: prefix.checked_sub(mapping)? })
    }

    pub(super) fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                block.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                block.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// An address. One of IPv4 that is written as one of IPv6 is the same.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

pub(super) fn truth(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") { Some(true) } else { text.eq_ignore_ascii_case("false").then_some(false) }
}

/// The bytes of a base64 text with the standard alphabet; padding may be left out.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || (text.len() != digits.len() && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits).to_be_bytes()[3]);
            held &= (1 << bits) - 1;
        }
    }
    // A single digit is no byte, and what is left over must be nothing.
    (bits < 6 && held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_times_with_zones_or_seconds() {
        let at = |text| date(text).map(|at| at.timestamp_millis());
        for (text, millis) in [
            ("1970-01-02", Some(86_400_000)),
            ("2009-12-31T12:00:00Z", Some(1_262_260_800_000)),
            ("2009-12-31T12:00Z", Some(1_262_260_800_000)),
            ("2009-12-31T14:00+02:00", Some(1_262_260_800_000)),
            ("2009-12-31T10:30:00-01:30", Some(1_262_260_800_000)),
            ("1262260800", Some(1_262_260_800_000)),
            ("1262260800.5", Some(1_262_260_800_500)),
            ("-1", Some(-1000)),
            ("1971", Some(31_536_000_000)),
            ("1970-02", Some(2_678_400_000)),
            ("1970-13", None),
            ("2009-13-31", None),
            ("2020-1-1", None),
            (" 2020-01-01", None),
            ("+2020-01-01", None),
            ("2020- 1-01", None),
            ("2009-12-31T12:00", None),
            ("12:00", None),
            ("", None),
            ("inf", None),
            ("9999999999999999999", None),
            ("é23456", None),
        ] {
            assert_eq!(at(text), millis, "{text}");
        }
    }

    #[test]
    fn addresses_are_compared_by_the_bits_that_count() {
        for (block, address, contains) in [
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.7/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8:1234:5678::/64", "2001:db8:1234:5678:9999::1", true),
            ("2001:db8:1234:5678::/64", "2001:db8:1234:5679::1", false),
            ("::/0", "2001:db8::1", true),
            ("203.0.113.0/24", "::ffff:203.0.113.9", true),
            ("::ffff:203.0.113.0/120", "203.0.113.9", true),
            ("::ffff:203.0.113.0/120", "203.0.114.9", false),
        ] {
            assert_eq!(Block::parse(block).unwrap().contains(ip(address).unwrap()), contains, "{block} {address}");
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "1.2.3.4/8/8",
            "::/129",
            "host",
            "1.2.3.0/255.0.0.0",
            "::ffff:1.2.3.4/8",
        ] {
            assert!(Block::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn bytes_are_base64() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("QmluYXJ5VmFsdWVJbkJhc2U2NA==", Some(b"BinaryValueInBase64")),
            ("QmluYXJ5VmFsdWVJbkJhc2U2NA", Some(b"BinaryValueInBase64")),
            ("QQ==", Some(b"A")),
            ("QR==", None),
            ("Q", None),
            ("QQ=", None),
            ("QQ===", None),
            ("Q!==", None),
        ] {
            assert_eq!(bytes(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_exact_as_long_as_they_are_whole() {
        let compare = |a: &str, b: &str| Number::parse(a)?.compare(Number::parse(b)?);
        assert_eq!(compare("9007199254740993", "9007199254740992"), Some(Ordering::Greater));
        assert_eq!(compare("10.0", "10"), Some(Ordering::Equal));
        assert_eq!(compare("1e3", "999.5"), Some(Ordering::Greater));
        assert_eq!(compare("-1", "0"), Some(Ordering::Less));
        for bad in ["", "ten", "NaN", "inf", "0x10", "1 0"] {
            assert!(Number::parse(bad).is_none(), "{bad}");
        }
    }
}
