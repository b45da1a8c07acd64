//! What is known of a request, by condition key.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The values of condition keys.
pub(crate) trait Known {
    /// The values of a key, which is in lower case.
    fn values<'a>(&'a self, key: &str) -> Values<'a>;
}

/// The values of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Values<'a> {
    /// The request has no such key.
    Absent,
    One(Cow<'a, str>),
    /// Also of a list of one, or of none.
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Values<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self::One(Cow::Borrowed(text))
    }

    pub(crate) fn option(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, Self::text)
    }

    pub(crate) fn flag(flag: Option<bool>) -> Self {
        flag.map_or(Self::Absent, |flag| Self::text(if flag { "true" } else { "false" }))
    }

    /// The only value, if there is exactly one.
    pub(super) fn single(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Absent => None,
            Self::One(value) => Some(value),
            Self::Many(mut values) => {
                if values.len() == 1 {
                    values.pop()
                } else {
                    None
                }
            }
        }
    }

    pub(super) fn as_slice(&self) -> &[Cow<'a, str>] {
        match self {
            Self::Absent => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// The condition keys of a request and their values. Names of keys do not tell upper case from lower case.
///
/// ```
/// use strongroom::RequestContext;
///
/// let context = RequestContext::new().with("aws:SourceIp", "203.0.113.7").with_list("aws:TagKeys", ["team", "stage"]);
/// assert_eq!(context.get("AWS:sourceip"), Some(&["203.0.113.7".to_owned()][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestContext(BTreeMap<String, Vec<String>>);

impl RequestContext {
    /// A context without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same context with a key that has one value.
    #[must_use]
    pub fn with(self, key: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.with_list(key, [value])
    }

    /// The same context with a key that has a list of values, which may be empty.
    #[must_use]
    pub fn with_list<V: Into<String>>(mut self, key: impl AsRef<str>, values: impl IntoIterator<Item = V>) -> Self {
        self.0.insert(key.as_ref().to_lowercase(), values.into_iter().map(Into::into).collect());
        self
    }

    /// The values of a key. `None` if the request has no such key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }

    /// Keys, in lower case and in order, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }
}

impl Known for RequestContext {
    fn values<'a>(&'a self, key: &str) -> Values<'a> {
        match self.0.get(key).map(Vec::as_slice) {
            None => Values::Absent,
            Some([value]) => Values::text(value),
            Some(values) => Values::Many(values.iter().map(|value| Cow::Borrowed(value.as_str())).collect()),
        }
    }
}
