//! Filters and order of listings.

use std::fmt;

use crate::error::{Error, Result};
use crate::model::limits as lim;
use crate::model::shape::Shape;
use crate::model::words;

/// An enum of the API whose unknown values must survive until they can be refused in the service's words.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[cfg_attr(feature = "json", derive(serde::Deserialize), serde(from = "String"))]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// Anything else. Every operation refuses it with a `ValidationException`.
            Unknown(String),
        }

        impl $name {
            /// The values that the service knows, in the order in which it names them.
            pub(crate) const KNOWN: &[&str] = &[$($text),+];

            /// The value as the API writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from(text.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_enum! {
    /// What a [`Filter`] looks at.
    FilterKey {
        /// Words of the description, in any case.
        Description = "description",
        /// Beginning of the name, case-sensitive.
        Name = "name",
        /// Beginning of a tag key, case-sensitive.
        TagKey = "tag-key",
        /// Beginning of a tag value, case-sensitive.
        TagValue = "tag-value",
        /// Beginning of the primary Region, case-sensitive.
        PrimaryRegion = "primary-region",
        /// Beginning of the owning service, in any case.
        OwningService = "owning-service",
        /// Words of the name, the description, a tag key or a tag value, in any case.
        All = "all",
    }
}

text_enum! {
    /// What a listing is sorted by. Ties are broken by name; secrets without the date come first.
    SortBy {
        /// Creation date. The default.
        CreatedDate = "created-date",
        /// Day of the last successful read.
        LastAccessedDate = "last-accessed-date",
        /// Date of the last change.
        LastChangedDate = "last-changed-date",
        /// Name, byte by byte.
        Name = "name",
    }
}

text_enum! {
    /// The direction of a listing.
    SortOrder {
        /// Smallest first. The default.
        Asc = "asc",
        /// Largest first.
        Desc = "desc",
    }
}

/// One condition of a listing. A secret must satisfy every filter of a request; within one filter, any value will do.
///
/// A value that begins with `!` is satisfied by secrets of which no attribute matches the rest of it.
///
/// ```
/// use strongroom::{Filter, FilterKey};
///
/// let production = Filter::new(FilterKey::Name, ["prod/"]);
/// let not_retired = Filter::new("tag-key", ["!retired"]);
/// assert_eq!(not_retired.key, Some(FilterKey::TagKey));
/// # let _ = production;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Deserialize), serde(rename_all = "PascalCase"))]
#[non_exhaustive]
pub struct Filter {
    /// What is looked at. Required by every operation.
    pub key: Option<FilterKey>,
    /// 1 to 10 values of at most 512 characters.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::or_empty"))]
    pub values: Vec<String>,
}

impl Filter {
    /// A filter. Limits are checked by the operation that uses it.
    pub fn new<V: Into<String>>(key: impl Into<FilterKey>, values: impl IntoIterator<Item = V>) -> Self {
        Self { key: Some(key.into()), values: values.into_iter().map(Into::into).collect() }
    }
}

/// What filters can look at.
#[derive(Debug)]
pub(crate) struct Searchable<'a, Tags> {
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    /// Keys and values.
    pub(crate) tags: Tags,
    pub(crate) primary_region: Option<&'a str>,
    pub(crate) owning_service: Option<&'a str>,
}

/// Checks the shape of the filters of a request.
pub(crate) fn check_shape(filters: &[Filter], shape: &mut Shape) {
    shape.list("filters", filters, 0, lim::FILTERS_MAX);
    // One filter too many is said once; it is not a reason to read on without end.
    for (filter, index) in filters.iter().take(lim::FILTERS_MAX).zip(1..) {
        let path = format!("filters.{index}.member");
        if let Some(key) = &filter.key {
            shape.one_of(&format!("{path}.key"), key.as_str(), FilterKey::KNOWN);
        }
        shape.list(&format!("{path}.values"), &filter.values, 0, lim::FILTER_VALUES_MAX);
        for (value, index) in filter.values.iter().take(lim::FILTER_VALUES_MAX).zip(1..) {
            let path = format!("{path}.values.{index}.member");
            shape.text(&path, value, 0, lim::FILTER_VALUE_CHARS_MAX);
            if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" :_@/+=.-!".contains(&byte)) {
                shape.pattern(&path, Some(value), r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$");
            }
        }
    }
}

/// Filters of which every one has a key and values.
#[derive(Debug, Clone)]
pub(crate) struct Filters(Vec<Vec<Condition>>);

#[derive(Debug, Clone)]
struct Condition {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Name(String),
    TagKey(String),
    TagValue(String),
    PrimaryRegion(String),
    OwningService(String),
    /// `None`: the empty value, which any description satisfies.
    Description(Option<Vec<String>>),
    All(Option<Vec<String>>),
}

impl Filters {
    pub(crate) fn parse(filters: &[Filter]) -> Result<Self> {
        let mut parsed = Vec::with_capacity(filters.len());
        for filter in filters {
            let Some(key) = &filter.key else { return Err(Error::invalid_parameter("Invalid filter key")) };
            if filter.values.is_empty() {
                return Err(Error::invalid_parameter(format!("Invalid filter values for key: {key}")));
            }
            let conditions = filter.values.iter().map(|value| Condition::parse(key, value)).collect::<Result<_>>()?;
            parsed.push(conditions);
        }
        Ok(Self(parsed))
    }

    pub(crate) fn matches<'a>(
        &self,
        secret: &Searchable<'a, impl Iterator<Item = (&'a str, &'a str)> + Clone>,
    ) -> bool {
        self.0.iter().all(|any_of| any_of.iter().any(|condition| condition.matches(secret)))
    }
}

impl Condition {
    fn parse(key: &FilterKey, value: &str) -> Result<Self> {
        let (negated, value) = match value.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let text = || value.to_owned();
        let wanted = || (!value.is_empty()).then(|| words::wanted(value));
        let test = match key {
            FilterKey::Name => Test::Name(text()),
            FilterKey::TagKey => Test::TagKey(text()),
            FilterKey::TagValue => Test::TagValue(text()),
            FilterKey::PrimaryRegion => Test::PrimaryRegion(text()),
            FilterKey::OwningService => Test::OwningService(text().to_ascii_lowercase()),
            FilterKey::Description => Test::Description(wanted()),
            FilterKey::All => Test::All(wanted()),
            FilterKey::Unknown(_) => return Err(Error::invalid_parameter("Invalid filter key")),
        };
        Ok(Self { negated, test })
    }

    fn matches<'a>(&self, secret: &Searchable<'a, impl Iterator<Item = (&'a str, &'a str)> + Clone>) -> bool {
        let Searchable { name, description, ref tags, primary_region, owning_service } = *secret;
        let mut tags = tags.clone();
        let has = |text: &str, wanted: &Option<Vec<String>>| match wanted {
            None => true,
            Some(wanted) => words::matches(wanted, text),
        };
        let found = match &self.test {
            Test::Name(start) => name.starts_with(start.as_str()),
            Test::TagKey(start) => tags.any(|(key, _)| key.starts_with(start.as_str())),
            Test::TagValue(start) => tags.any(|(_, value)| value.starts_with(start.as_str())),
            Test::PrimaryRegion(start) => primary_region.is_some_and(|region| region.starts_with(start.as_str())),
            Test::OwningService(start) => {
                owning_service.is_some_and(|service| service.to_ascii_lowercase().starts_with(start.as_str()))
            }
            Test::Description(wanted) => description.is_some_and(|text| has(text, wanted)),
            Test::All(wanted) => {
                has(name, wanted)
                    || description.is_some_and(|text| has(text, wanted))
                    || tags.any(|(key, value)| has(key, wanted) || has(value, wanted))
            }
        };
        // Secrets without a primary Region are never found by it, negated or not.
        let applies = !matches!(self.test, Test::PrimaryRegion(_)) || primary_region.is_some();
        applies && found != self.negated
    }
}
