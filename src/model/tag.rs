//! Tags, and what may be done to them.

use crate::error::{Error, Result};
use crate::model::limits as lim;

/// A tag: a key and a value, both chosen by the caller.
///
/// ```
/// use strongroom::Tag;
///
/// let tag = Tag::new("team", "payments");
/// assert_eq!((tag.key.as_str(), tag.value.as_str()), ("team", "payments"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Deserialize, serde::Serialize), serde(rename_all = "PascalCase"))]
#[non_exhaustive]
pub struct Tag {
    /// 1 to 128 characters; keys that begin with `aws:` are reserved.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::or_empty"))]
    pub key: String,
    /// 0 to 256 characters.
    #[cfg_attr(feature = "json", serde(default, deserialize_with = "crate::json::or_empty"))]
    pub value: String,
}

impl Tag {
    /// A tag. Limits are checked by the operation that uses it.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// Tags that may be attached: no key twice, and none reserved unless a service attaches them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewTags(Vec<Tag>);

impl NewTags {
    pub(crate) fn parse(tags: Vec<Tag>) -> Result<Self> {
        let is_reserved = |tag: &Tag| tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
        Self::parse_unless(tags, is_reserved)
    }

    /// As [`parse`](Self::parse), of tags that a service attaches, whose keys may be reserved.
    pub(crate) fn parse_any(tags: Vec<Tag>) -> Result<Self> {
        Self::parse_unless(tags, |_| false)
    }

    fn parse_unless(tags: Vec<Tag>, is_reserved: impl Fn(&Tag) -> bool) -> Result<Self> {
        // First, so that comparing every pair below stays cheap whatever was sent.
        if tags.len() > lim::TAGS_MAX {
            return Err(too_many());
        }
        for (index, tag) in tags.iter().enumerate() {
            if is_reserved(tag) {
                return Err(Error::invalid_parameter(format!(
                    "Tag keys that begin with aws: are reserved for system use. Remove the tag with key {}.",
                    tag.key
                )));
            }
            if tags.iter().take(index).any(|earlier| earlier.key == tag.key) {
                return Err(Error::invalid_parameter(format!(
                    "Tag key {} appears more than once in the request.",
                    tag.key
                )));
            }
        }
        Ok(Self(tags))
    }

    pub(crate) fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    pub(crate) fn into_vec(self) -> Vec<Tag> {
        self.0
    }

    /// Overwrites in place what is there and appends the rest.
    pub(crate) fn merge_into(self, tags: &mut Vec<Tag>) -> Result<()> {
        for new in self.0 {
            match tags.iter_mut().find(|tag| tag.key == new.key) {
                Some(tag) => tag.value = new.value,
                None => tags.push(new),
            }
        }
        if tags.len() > lim::TAGS_MAX { Err(too_many()) } else { Ok(()) }
    }
}

fn too_many() -> Error {
    Error::invalid_parameter(format!("A secret can have at most {} tags.", lim::TAGS_MAX))
}
