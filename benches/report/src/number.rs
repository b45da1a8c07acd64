//! Numbers as people read them.

use crate::results::{Bar, Spread};

/// The factor and the name of the unit that suits a number.
fn scale(number: f64, unit: &str) -> (f64, String) {
    let steps: &[(f64, f64, &str)] = match unit {
        "s" => &[(1e-6, 1e9, " ns"), (1e-3, 1e6, " µs"), (1.0, 1e3, " ms"), (f64::INFINITY, 1.0, " s")],
        "bytes" => &[(1e4, 1.0, " bytes"), (1e6, 1e-3, " kB"), (1e9, 1e-6, " MB"), (f64::INFINITY, 1e-9, " GB")],
        "bytes/s" => {
            &[(1e4, 1.0, " bytes/s"), (1e6, 1e-3, " kB/s"), (1e9, 1e-6, " MB/s"), (f64::INFINITY, 1e-9, " GB/s")]
        }
        "1/s" => &[(f64::INFINITY, 1.0, "/s")],
        "x" | "" => &[(f64::INFINITY, 1.0, "")],
        unit => return (1.0, format!(" {unit}")),
    };
    let step = steps.iter().find(|(below, ..)| number.abs() < *below);
    step.map_or((1.0, String::new()), |(_, factor, name)| (*factor, (*name).to_owned()))
}

/// Three digits that count, with commas between thousands.
pub(crate) fn digits(number: f64) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    let decimals = match number.abs() {
        0.0 => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    grouped(&format!("{number:.decimals$}"))
}

/// The same without zeros at the end.
fn short(number: f64) -> String {
    let text = digits(number);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn grouped(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, rest) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    rest.map_or(out.clone(), |rest| format!("{out}.{rest}"))
}

/// A number with its unit.
pub(crate) fn shown(number: f64, unit: &str) -> String {
    let (factor, name) = scale(number, unit);
    format!("{}{name}", digits(number * factor))
}

/// A round number with its unit: 10 ms, 1,000.
pub(crate) fn round(number: f64, unit: &str) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let (factor, name) = scale(number * (1.0 + 1e-9), unit);
    format!("{}{name}", short(number * factor))
}

/// The median and in brackets where most lie, all in the unit of the median. What was measured once has no brackets, unless
/// it is a ratio: a ratio never comes without.
pub(crate) fn spread(of: &Spread, unit: &str) -> String {
    let Spread { low, median, high } = *of;
    if unit != "x" && low == median && median == high {
        return shown(median, unit);
    }
    let (factor, name) = scale(median, unit);
    let [low, median, high] = [low, median, high].map(|number| digits(number * factor));
    format!("{median}{name} [{low} to {high}]")
}

/// What was to be reached, and whether it was.
pub(crate) fn bar(bar: Option<Bar>, reached: f64, unit: &str) -> String {
    let Some(bar) = bar else { return "–".to_owned() };
    let text = match bar {
        Bar::AtMost(bar) => round(bar, unit),
        Bar::AtLeast(bar) => format!("at least {}", round(bar, unit)),
    };
    if bar.is_met(reached) { text } else { format!("{text}: **missed**") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_the_unit_that_suits_them() {
        let cases = [
            (1.0e-6, "s", "1.00 µs"),
            (16.24e-6, "s", "16.2 µs"),
            (0.0024, "s", "2.40 ms"),
            (339.0, "bytes", "339 bytes"),
            (21_925_888.0, "bytes", "21.9 MB"),
            (7_773.4, "1/s", "7,773/s"),
            (1_234_567.0, "1/s", "1,234,567/s"),
            (1.224, "x", "1.22"),
            (f64::NAN, "x", "–"),
        ];
        for (number, unit, expected) in cases {
            assert_eq!(shown(number, unit), expected);
        }
    }

    #[test]
    fn round_numbers_are_short() {
        let cases = [
            (0.0, "s", "0"),
            (1e-6, "s", "1 µs"),
            (0.01, "s", "10 ms"),
            (1.5, "x", "1.5"),
            (1_000.0, "", "1,000"),
            (1e6, "", "1,000,000"),
        ];
        for (number, unit, expected) in cases {
            assert_eq!(round(number, unit), expected);
        }
    }

    #[test]
    fn a_spread_is_in_one_unit_and_a_ratio_always_has_one() {
        let of = |low, median, high| Spread { low, median, high };
        assert_eq!(spread(&of(510e-6, 540e-6, 2.62e-3), "s"), "540 µs [510 to 2,620]");
        assert_eq!(spread(&of(2.0, 2.0, 2.0), "s"), "2.00 s");
        assert_eq!(spread(&of(2.0, 2.0, 2.0), "x"), "2.00 [2.00 to 2.00]");
    }
}
