//! What is kept of a secret in memory, in as few bytes as its texts allow.

use crate::model::filter::Searchable;
use crate::model::secret::Secret;
use crate::records::codec::Cursor;
use crate::time::Timestamp;

/// What a listing needs to know of a secret before it reads it.
#[derive(Debug)]
pub(crate) struct Entry {
    texts: Texts,
    created_at: i64,
    last_changed_at: i64,
    accessed_on: Instant,
    deletion_at: Instant,
}

/// Milliseconds since the epoch, if there is such an instant.
#[derive(Debug, Clone, Copy)]
struct Instant(i64);

impl Instant {
    /// No instant of the calendar is that early.
    const NONE: Self = Self(i64::MIN);

    fn new(at: Option<i64>) -> Self {
        at.map_or(Self::NONE, Self)
    }

    fn get(self) -> Option<i64> {
        (self.0 != Self::NONE.0).then_some(self.0)
    }
}

/// Which of an entry's dates an order goes by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Date {
    Created,
    LastChanged,
    LastAccessed,
}

impl Entry {
    pub(crate) fn new(secret: &Secret) -> Self {
        let millis = |at: Option<Timestamp>| Instant::new(at.map(|at| at.timestamp_millis()));
        Self {
            texts: Texts::of(&secret.searchable()),
            created_at: secret.created_at.timestamp_millis(),
            last_changed_at: secret.last_changed_at.timestamp_millis(),
            accessed_on: millis(secret.accessed_on),
            deletion_at: millis(secret.deletion_at),
        }
    }

    /// An entry that stands, in every order, where a cursor points.
    pub(super) fn at(cursor: &Cursor) -> Self {
        let no_tags = std::iter::empty::<(&str, &str)>();
        let nothing = Searchable {
            name: &cursor.name,
            description: None,
            tags: no_tags,
            primary_region: None,
            owning_service: None,
        };
        let at = Instant::new(cursor.at);
        Self {
            texts: Texts::of(&nothing),
            created_at: at.0,
            last_changed_at: at.0,
            accessed_on: at,
            deletion_at: Instant::NONE,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.texts.name()
    }

    /// Sorts like the name, and faster.
    pub(super) fn name_bytes(&self) -> &[u8] {
        self.texts.name_bytes()
    }

    pub(super) fn date(&self, date: Date) -> Option<i64> {
        match date {
            Date::Created => Some(self.created_at),
            Date::LastChanged => Some(self.last_changed_at),
            Date::LastAccessed => self.accessed_on.get(),
        }
    }

    pub(super) fn deletion_at(&self) -> Option<i64> {
        self.deletion_at.get()
    }

    pub(super) fn searchable(&self) -> Searchable<'_, impl Iterator<Item = (&str, &str)> + Clone> {
        self.texts.read()
    }
}

/// What filters look at: one byte that says which of the optional texts there are, and then each text behind its length, the
/// tags last.
#[derive(Debug)]
struct Texts(Box<[u8]>);

const DESCRIPTION: u8 = 1;
const PRIMARY_REGION: u8 = 2;
const OWNING_SERVICE: u8 = 4;

impl Texts {
    fn of<'a>(secret: &Searchable<'a, impl Iterator<Item = (&'a str, &'a str)> + Clone>) -> Self {
        let Searchable { name, description, tags, primary_region, owning_service } = secret;
        let optional = [(DESCRIPTION, description), (PRIMARY_REGION, primary_region), (OWNING_SERVICE, owning_service)];
        let there = || optional.iter().filter_map(|(flag, text)| text.map(|text| (flag, text)));
        let flags = there().fold(0, |flags, (flag, _)| flags | flag);
        let tags = tags.clone().flat_map(|(key, value)| [key, value]);
        let texts = || std::iter::once(*name).chain(there().map(|(_, text)| text)).chain(tags.clone());
        let mut bytes = Vec::with_capacity(1 + texts().map(|text| 4 + text.len()).sum::<usize>());
        bytes.push(flags);
        for text in texts() {
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or_default().to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Self(bytes.into_boxed_slice())
    }

    fn name(&self) -> &str {
        std::str::from_utf8(self.name_bytes()).unwrap_or_default()
    }

    fn name_bytes(&self) -> &[u8] {
        Reader(self.0.get(1..).unwrap_or_default()).next_bytes().unwrap_or_default()
    }

    fn read(&self) -> Searchable<'_, impl Iterator<Item = (&str, &str)> + Clone> {
        let (flags, rest) = self.0.split_first().map_or((0, &[][..]), |(flags, rest)| (*flags, rest));
        let mut texts = Reader(rest);
        let name = texts.next().unwrap_or_default();
        let mut optional = |flag| if flags & flag == 0 { None } else { texts.next() };
        let description = optional(DESCRIPTION);
        let primary_region = optional(PRIMARY_REGION);
        let owning_service = optional(OWNING_SERVICE);
        Searchable { name, description, tags: Pairs(texts), primary_region, owning_service }
    }
}

/// Texts behind their lengths.
#[derive(Clone)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next_bytes(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(text)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next_bytes()?).ok()
    }
}

#[derive(Clone)]
struct Pairs<'a>(Reader<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_can_be_searched() {
        let tags = [("team", "payments"), ("stage", ""), ("größe", "✓")];
        for (description, primary_region, owning_service) in [
            (None, None, None),
            (Some("Credentials"), None, None),
            (Some(""), Some("us-east-1"), Some("rds")),
            (None, None, Some("rds")),
        ] {
            for tags in [&tags[..], &[]] {
                let secret = Searchable {
                    name: "prod/db",
                    description,
                    tags: tags.iter().copied(),
                    primary_region,
                    owning_service,
                };
                let kept = Texts::of(&secret);
                let read = kept.read();
                assert_eq!((kept.name(), read.name), ("prod/db", "prod/db"));
                let others = (read.description, read.primary_region, read.owning_service);
                assert_eq!(others, (description, primary_region, owning_service));
                assert_eq!(read.tags.collect::<Vec<_>>(), tags);
            }
        }
    }
}
