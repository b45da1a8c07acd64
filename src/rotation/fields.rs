//! The fields of expressions: numbers, names, lists, ranges and steps, as sets of bits.

const MONTH_NAMES: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAY_NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) const HOURS: Field = Field { first: 0, last: 23, names: &[], is_round: false };
pub(super) const DAYS: Field = Field { first: 1, last: 31, names: &[], is_round: false };
pub(super) const MONTHS: Field = Field { first: 1, last: 12, names: &MONTH_NAMES, is_round: true };
/// 1 is Sunday.
pub(super) const WEEKDAYS: Field = Field { first: 1, last: 7, names: &WEEKDAY_NAMES, is_round: true };

/// The values that a field can have.
#[derive(Debug)]
pub(super) struct Field {
    first: u32,
    /// At most 31.
    last: u32,
    /// In their order, from the first value on.
    names: &'static [&'static str],
    /// Whether a range may go on at the first value once it has passed the last one.
    is_round: bool,
}

impl Field {
    /// The values of a list, a bit for each. `None` if it names something else.
    pub(super) fn list(&self, text: &str) -> Option<u32> {
        text.split(',').try_fold(0, |values, item| Some(values | self.item(item)?))
    }

    /// The values of an item of a list: a value, `*`, or a range, each with or without a step.
    pub(super) fn item(&self, text: &str) -> Option<u32> {
        let (base, step) = match text.split_once('/') {
            Some((base, step)) => (base, Some(number(step).filter(|step| (1..=self.last).contains(step))?)),
            None => (text, None),
        };
        let (start, end) = match (base, base.split_once('-'), step) {
            ("*", ..) | ("", _, Some(_)) => (self.first, self.last),
            (_, Some((start, end)), _) => (self.value(start)?, self.value(end)?),
            (_, None, Some(_)) => (self.value(base)?, self.last),
            (_, None, None) => (self.value(base)?, self.value(base)?),
        };
        let count = self.last - self.first + 1;
        let end = match (end < start, self.is_round) {
            (false, _) => end,
            (true, true) => end + count,
            (true, false) => return None,
        };
        let mut values = 0;
        let mut value = start;
        while value <= end {
            values |= 1 << if value > self.last { value - count } else { value };
            value += step.unwrap_or(1);
        }
        Some(values)
    }

    /// A number within the field, or a name.
    pub(super) fn value(&self, text: &str) -> Option<u32> {
        let value = self.name(text).or_else(|| number(text))?;
        (self.first..=self.last).contains(&value).then_some(value)
    }

    /// The value with this name, in any case.
    pub(super) fn name(&self, text: &str) -> Option<u32> {
        let named = (self.first..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
        named.map(|(value, _)| value)
    }
}

/// What is parted by spaces.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// A number in digits, with zeros before it or without. The largest possible one stands for all that are larger.
pub(super) fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let append = |number: u32, digit: u8| number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
    is_number.then(|| text.bytes().fold(0, append))
}
