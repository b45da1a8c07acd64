//! Conditions: operators, keys, and when they are met.

use std::borrow::Cow;

use super::context::{Known, Values};
use super::literal::{self, Block, Number};
use super::template::{ArnTemplate, BadVariable, Reading, Template};
use crate::time::Timestamp;

/// One operator with one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    /// As it is written.
    pub(super) key: String,
    /// In lower case.
    pub(super) lookup: String,
    /// As they are written.
    pub(super) written: Vec<Scalar>,
    pub(super) values: Expected,
}

/// A value of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// A number or a truth value, without quotation marks.
    pub(super) is_bare: bool,
}

/// A condition operator with its prefix and suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) quantifier: Option<Quantifier>,
    pub(super) test: Test,
    pub(super) if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// A test of one value of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    StringEquals,
    StringNotEquals,
    StringEqualsIgnoreCase,
    StringNotEqualsIgnoreCase,
    StringLike,
    StringNotLike,
    NumericEquals,
    NumericNotEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    DateEquals,
    DateNotEquals,
    DateLessThan,
    DateLessThanEquals,
    DateGreaterThan,
    DateGreaterThanEquals,
    Bool,
    BinaryEquals,
    IpAddress,
    NotIpAddress,
    ArnEquals,
    ArnLike,
    ArnNotEquals,
    ArnNotLike,
    Null,
}

const TESTS: [(&str, Test); 27] = [
    ("StringEquals", Test::StringEquals),
    ("StringNotEquals", Test::StringNotEquals),
    ("StringEqualsIgnoreCase", Test::StringEqualsIgnoreCase),
    ("StringNotEqualsIgnoreCase", Test::StringNotEqualsIgnoreCase),
    ("StringLike", Test::StringLike),
    ("StringNotLike", Test::StringNotLike),
    ("NumericEquals", Test::NumericEquals),
    ("NumericNotEquals", Test::NumericNotEquals),
    ("NumericLessThan", Test::NumericLessThan),
    ("NumericLessThanEquals", Test::NumericLessThanEquals),
    ("NumericGreaterThan", Test::NumericGreaterThan),
    ("NumericGreaterThanEquals", Test::NumericGreaterThanEquals),
    ("DateEquals", Test::DateEquals),
    ("DateNotEquals", Test::DateNotEquals),
    ("DateLessThan", Test::DateLessThan),
    ("DateLessThanEquals", Test::DateLessThanEquals),
    ("DateGreaterThan", Test::DateGreaterThan),
    ("DateGreaterThanEquals", Test::DateGreaterThanEquals),
    ("Bool", Test::Bool),
    ("BinaryEquals", Test::BinaryEquals),
    ("IpAddress", Test::IpAddress),
    ("NotIpAddress", Test::NotIpAddress),
    ("ArnEquals", Test::ArnEquals),
    ("ArnLike", Test::ArnLike),
    ("ArnNotEquals", Test::ArnNotEquals),
    ("ArnNotLike", Test::ArnNotLike),
    ("Null", Test::Null),
];

/// What the values of a policy are compared as.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    Texts {
        any_of: Vec<Template>,
        caseless: bool,
    },
    Numbers(Vec<Number>),
    Dates(Vec<Timestamp>),
    Truths(Vec<bool>),
    Bytes(Vec<Vec<u8>>),
    Blocks(Vec<Block>),
    Arns(Vec<ArnTemplate>),
    /// Whether the key is to be absent.
    Absence(Vec<bool>),
}

/// Why a condition could not be read.
#[derive(Debug)]
pub(super) enum BadCondition {
    Value,
    Variable,
}

impl From<BadVariable> for BadCondition {
    fn from(_: BadVariable) -> Self {
        Self::Variable
    }
}

impl Expected {
    /// With the values of the request in the place of variables. What cannot be told fits nothing.
    fn resolved(&self, known: &impl Known) -> Cow<'_, Self> {
        let has_variables = match self {
            Self::Texts { any_of, .. } => any_of.iter().any(|text| matches!(text, Template::Variable(_))),
            Self::Arns(any_of) => any_of.iter().any(|arn| matches!(arn, ArnTemplate::Variable(_))),
            _ => false,
        };
        if !has_variables {
            return Cow::Borrowed(self);
        }
        Cow::Owned(match self {
            Self::Texts { any_of, caseless } => {
                let resolved = any_of.iter().filter_map(|text| text.resolved(known, *caseless));
                Self::Texts { any_of: resolved.map(Cow::into_owned).collect(), caseless: *caseless }
            }
            Self::Arns(any_of) => {
                Self::Arns(any_of.iter().filter_map(|arn| arn.resolved(known)).map(Cow::into_owned).collect())
            }
            other => other.clone(),
        })
    }

    /// Whether a value of the request fits any of these, in the sense of the test without its negation.
    fn equals_any(&self, test: Test, value: &str) -> bool {
        match self {
            Self::Texts { any_of, caseless: false } => any_of.iter().any(|expected| expected.matches(value)),
            Self::Texts { any_of, caseless: true } => {
                let value = value.to_lowercase();
                any_of.iter().any(|expected| expected.matches(&value))
            }
            Self::Numbers(any_of) => Number::parse(value)
                .is_some_and(|value| any_of.iter().any(|expected| test.fits(value.compare(*expected)))),
            Self::Dates(any_of) => literal::date(value)
                .is_some_and(|value| any_of.iter().any(|expected| test.fits(Some(value.cmp(expected))))),
            Self::Truths(any_of) => literal::truth(value).is_some_and(|value| any_of.contains(&value)),
            Self::Bytes(any_of) => literal::bytes(value).is_some_and(|value| any_of.contains(&value)),
            Self::Blocks(any_of) => {
                literal::ip(value).is_some_and(|value| any_of.iter().any(|block| block.contains(value)))
            }
            Self::Arns(any_of) => any_of.iter().any(|expected| expected.matches(value)),
            Self::Absence(_) => false,
        }
    }
}

impl Operator {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (quantifier, name) = match text.split_once(':') {
            Some(("ForAnyValue", name)) => (Some(Quantifier::Any), name),
            Some(("ForAllValues", name)) => (Some(Quantifier::All), name),
            Some(_) => return None,
            None => (None, text),
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (_, test) = *TESTS.iter().find(|(known, _)| *known == name)?;
        // Whether a key is there can be asked neither of its values nor only if it is there.
        let is_known = test != Test::Null || (quantifier.is_none() && !if_exists);
        is_known.then_some(Self { quantifier, test, if_exists })
    }
}

impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.quantifier {
            None => "",
            Some(Quantifier::Any) => "ForAnyValue:",
            Some(Quantifier::All) => "ForAllValues:",
        })?;
        f.write_str(TESTS.iter().find(|(_, test)| *test == self.test).map_or("", |(name, _)| name))?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}

impl Test {
    /// Whether it is met by what does not fit.
    pub(super) fn is_negated(self) -> bool {
        matches!(
            self,
            Self::StringNotEquals
                | Self::StringNotEqualsIgnoreCase
                | Self::StringNotLike
                | Self::NumericNotEquals
                | Self::DateNotEquals
                | Self::NotIpAddress
                | Self::ArnNotEquals
                | Self::ArnNotLike
        )
    }

    /// Reads the values of a policy.
    fn expected(self, values: &[Scalar], variables: bool) -> Result<Expected, BadCondition> {
        fn all<T>(values: &[Scalar], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, BadCondition> {
            values.iter().map(|value| read(&value.text).ok_or(BadCondition::Value)).collect()
        }
        let texts = |wildcards, caseless| -> Result<Expected, BadCondition> {
            let reading = Reading { variables, wildcards, caseless };
            let any_of = values.iter().map(|value| Template::parse(&value.text, reading)).collect::<Result<_, _>>()?;
            Ok(Expected::Texts { any_of, caseless })
        };
        Ok(match self {
            Self::StringEquals | Self::StringNotEquals => texts(false, false)?,
            Self::StringEqualsIgnoreCase | Self::StringNotEqualsIgnoreCase => texts(false, true)?,
            Self::StringLike | Self::StringNotLike => texts(true, false)?,
            Self::NumericEquals
            | Self::NumericNotEquals
            | Self::NumericLessThan
            | Self::NumericLessThanEquals
            | Self::NumericGreaterThan
            | Self::NumericGreaterThanEquals => Expected::Numbers(all(values, Number::parse)?),
            Self::DateEquals
            | Self::DateNotEquals
            | Self::DateLessThan
            | Self::DateLessThanEquals
            | Self::DateGreaterThan
            | Self::DateGreaterThanEquals => Expected::Dates(all(values, literal::date)?),
            Self::Bool => Expected::Truths(all(values, literal::truth)?),
            Self::BinaryEquals => Expected::Bytes(all(values, literal::bytes)?),
            Self::IpAddress | Self::NotIpAddress => Expected::Blocks(all(values, Block::parse)?),
            Self::ArnEquals | Self::ArnLike | Self::ArnNotEquals | Self::ArnNotLike => {
                let arns = values.iter().map(|value| ArnTemplate::parse(&value.text, variables));
                let arns: Vec<ArnTemplate> = arns.collect::<Result<_, _>>()?;
                if !arns.iter().all(ArnTemplate::is_arn) {
                    return Err(BadCondition::Value);
                }
                Expected::Arns(arns)
            }
            Self::Null => Expected::Absence(all(values, literal::truth)?),
        })
    }

    /// How the value of a request must stand to that of the policy.
    fn fits(self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self {
            Self::NumericLessThan | Self::DateLessThan => order.is_lt(),
            Self::NumericLessThanEquals | Self::DateLessThanEquals => order.is_le(),
            Self::NumericGreaterThan | Self::DateGreaterThan => order.is_gt(),
            Self::NumericGreaterThanEquals | Self::DateGreaterThanEquals => order.is_ge(),
            _ => order.is_eq(),
        }
    }
}

impl Condition {
    pub(super) fn new(
        operator: Operator,
        key: &str,
        written: Vec<Scalar>,
        variables: bool,
    ) -> Result<Self, BadCondition> {
        let values = operator.test.expected(&written, variables)?;
        Ok(Self { operator, key: key.to_owned(), lookup: key.to_lowercase(), written, values })
    }

    /// Whether the request meets it.
    pub(super) fn is_met(&self, known: &impl Known) -> bool {
        let found = known.values(&self.lookup);
        let Operator { quantifier, test, if_exists } = self.operator;
        // To a set, a text without characters is as good as no value.
        let is_empty = quantifier.is_some() && found.as_slice().iter().all(|value| value.is_empty());
        let values = if is_empty { &[] } else { found.as_slice() };
        if let Expected::Absence(any_of) = &self.values {
            return any_of.contains(&values.is_empty());
        }
        if values.is_empty() {
            return if_exists
                || match quantifier {
                    None => test.is_negated(),
                    Some(Quantifier::Any) => false,
                    Some(Quantifier::All) => true,
                };
        }
        let expected = self.values.resolved(known);
        let is_met_by = |value: &Cow<'_, str>| expected.equals_any(test, value) != test.is_negated();
        match quantifier {
            Some(Quantifier::All) => values.iter().all(is_met_by),
            Some(Quantifier::Any) => values.iter().any(is_met_by),
            // Without a prefix, several values are one too many for a negated test and one of them is enough for any other.
            None if test.is_negated() => values.iter().all(is_met_by),
            None => values.iter().any(is_met_by),
        }
    }

    /// The values that the request has for the key.
    pub(super) fn found(&self, known: &impl Known) -> Option<Vec<String>> {
        match known.values(&self.lookup) {
            Values::Absent => None,
            values => Some(values.as_slice().iter().map(|value| value.clone().into_owned()).collect()),
        }
    }
}
