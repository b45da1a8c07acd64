//! Filters, order and pages of lists, compared with a walk through all secrets.
//!
//! An input is lines of fields that are separated by `|`:
//!
//! - `secret|NAME|DESCRIPTION|TAG KEY|TAG VALUE|…` makes a secret; an empty description is none.
//! - `delete|NAME`, `read|NAME`, `tick|MILLISECONDS` do so.
//! - `filter|KEY|VALUE|…` adds a filter to the next list; an empty key is none.
//! - `list|SORT BY|SORT ORDER|PAGE SIZE|PLANNED` lists by the filters, page by page, and `batch|PAGE SIZE` reads by them.

#![no_main]

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Filter, FilterKey,
    GetSecretValueRequest, ListSecretsRequest, MemoryBackend, SecretsManager, SortBy, SortOrder, Tag,
};
use strongroom_fuzz::{START, VALIDATION, code, open};

const SECRETS_MAX: usize = 24;
const LISTS_MAX: usize = 8;
const LINES_MAX: usize = 256;
const KEYS: [&str; 7] = ["description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all"];
const ORDERS: [&str; 4] = ["created-date", "last-accessed-date", "last-changed-date", "name"];

#[derive(Debug)]
struct Secret {
    name: String,
    description: Option<String>,
    tags: Vec<(String, String)>,
    is_deleted: bool,
}

type Given = (Option<String>, Vec<String>);

/// The code of a refusal, if the filters are to be refused.
fn refusal(filters: &[Given]) -> Option<&'static str> {
    let is_char = |c: char| c.is_ascii_alphanumeric() || " :_@/+=.-!".contains(c);
    let is_value = |value: &String| value.chars().count() <= 512 && value.chars().all(is_char);
    let is_filter = |(key, values): &Given| {
        key.as_ref().is_none_or(|key| KEYS.contains(&key.as_str())) && values.len() <= 10 && values.iter().all(is_value)
    };
    if filters.len() > 10 || !filters.iter().all(is_filter) {
        return Some(VALIDATION);
    }
    let lacks = filters.iter().any(|(key, values)| key.is_none() || values.is_empty());
    lacks.then_some("InvalidParameterException")
}

impl Secret {
    fn satisfies(&self, (key, values): &Given) -> bool {
        let key = key.as_deref().unwrap_or_default();
        // Nobody here has a primary Region, and of nobody is it then said that it is not this one.
        let is_never = key == "primary-region";
        values.iter().any(|value| match value.strip_prefix('!') {
            Some(rest) => !is_never && !self.has(key, rest),
            None => self.has(key, value),
        })
    }

    fn has(&self, key: &str, wanted: &str) -> bool {
        let keys = self.tags.iter().map(|(key, _)| key.as_str());
        let values = self.tags.iter().map(|(_, value)| value.as_str());
        match key {
            "name" => self.name.starts_with(wanted),
            "tag-key" => keys.into_iter().any(|key| key.starts_with(wanted)),
            "tag-value" => values.into_iter().any(|value| value.starts_with(wanted)),
            "description" => self.description.iter().any(|text| words_match(text, wanted)),
            "all" => {
                let texts = [self.name.as_str()].into_iter().chain(self.description.as_deref());
                texts.chain(keys).chain(values).any(|text| words_match(text, wanted))
            }
            _ => false,
        }
    }
}

fn words_match(text: &str, wanted: &str) -> bool {
    let (texts, wanted_words) = (words(text), words(wanted));
    let begins = |wanted: &String| texts.iter().any(|word| word.starts_with(wanted.as_str()));
    wanted.is_empty() || !wanted_words.is_empty() && wanted_words.iter().all(begins)
}

/// The words of a text in lower case, by looking at every place between two characters.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_lower = |at: usize| chars.get(at).is_some_and(|c| c.is_lowercase());
    // Something that is neither a digit nor a small letter, before a small letter.
    let is_capital = |at: usize| !is_lower(at) && !chars[at].is_numeric() && is_lower(at + 1);
    let mut words = vec![String::new()];
    let mut is_in_capitalised = false;
    for (at, c) in chars.iter().enumerate() {
        let is_joined = c.is_alphanumeric()
            && !words.last().is_some_and(String::is_empty)
            && chars[at - 1].is_numeric() == c.is_numeric()
            && !is_capital(at)
            && (!is_in_capitalised || is_lower(at));
        if !is_joined {
            words.push(String::new());
            is_in_capitalised = false;
        }
        if c.is_alphanumeric() {
            is_in_capitalised |= is_capital(at);
            words.last_mut().expect("there is one").push(*c);
        }
    }
    words.retain(|word| !word.is_empty());
    words.iter().map(|word| word.to_lowercase()).collect()
}

struct World {
    clock: ManualClock,
    handle: SecretsManager,
    secrets: Vec<Secret>,
    filters: Vec<Given>,
    lists: usize,
}

impl World {
    fn line(&mut self, line: &str) {
        let mut fields = line.split('|');
        let (kind, rest): (_, Vec<&str>) = (fields.next().unwrap_or_default(), fields.collect());
        let field = |at: usize| rest.get(at).copied().unwrap_or_default();
        match kind {
            "secret" if self.secrets.len() < SECRETS_MAX => {
                self.create(field(0), field(1), rest.get(2..).unwrap_or_default())
            }
            "delete" => {
                let done = self.handle.delete_secret(DeleteSecretRequest::new(field(0)));
                let named = self.secrets.iter_mut().find(|secret| secret.name == field(0));
                named.into_iter().filter(|_| done.is_ok()).for_each(|secret| secret.is_deleted = true);
            }
            "read" => drop(self.handle.get_secret_value(GetSecretValueRequest::new(field(0)))),
            // Less than a recovery window in all.
            "tick" => self.clock.advance(TimeDelta::milliseconds(field(0).parse::<u16>().unwrap_or(1).into())),
            "filter" => {
                let key = Some(field(0).to_owned()).filter(|key| !key.is_empty());
                self.filters.push((key, rest.iter().skip(1).map(|value| (*value).to_owned()).collect()));
            }
            "list" | "batch" if self.lists < LISTS_MAX => {
                self.lists += 1;
                let filters = std::mem::take(&mut self.filters);
                match kind {
                    "list" => self.list(&filters, field(0), field(1), field(2), field(3) == "true"),
                    _ => self.batch(&filters, field(0)),
                }
            }
            _ => {}
        }
    }

    fn create(&mut self, name: &str, description: &str, tags: &[&str]) {
        let tag = |pair: &[&str]| (pair[0].to_owned(), pair.get(1).copied().unwrap_or_default().to_owned());
        let tags: Vec<_> = tags.chunks(2).map(tag).collect();
        let mut create = CreateSecretRequest::new(name).secret_string(name.to_owned() + ".");
        create = create.tags(tags.iter().map(|(key, value)| Tag::new(key.as_str(), value.as_str())));
        let description = Some(description.to_owned()).filter(|text| !text.is_empty());
        create.description.clone_from(&description);
        if self.handle.create_secret(create).is_ok() {
            self.secrets.push(Secret { name: name.to_owned(), description, tags, is_deleted: false });
        }
    }

    /// The names that a list must show, in order.
    fn expected(&self, filters: &[Given], sort_by: &str, is_descending: bool, planned: bool) -> Vec<String> {
        let shown = self.secrets.iter().filter(|secret| planned || !secret.is_deleted);
        let shown = shown.filter(|secret| filters.iter().all(|filter| secret.satisfies(filter)));
        let mut keyed: Vec<_> = shown
            .map(|secret| {
                let described =
                    self.handle.describe_secret(DescribeSecretRequest::new(&secret.name)).expect("it is there");
                let at = match sort_by {
                    "name" => None,
                    "last-changed-date" => Some(described.last_changed_date),
                    "last-accessed-date" => described.last_accessed_date,
                    _ => Some(described.created_date),
                };
                (at, secret.name.clone())
            })
            .collect();
        keyed.sort();
        if is_descending {
            keyed.reverse();
        }
        keyed.into_iter().map(|(_, name)| name).collect()
    }

    fn list(&self, filters: &[Given], sort_by: &str, order: &str, max: &str, planned: bool) {
        let max: Option<i32> = max.parse().ok();
        let request = |token: Option<String>| {
            let mut list = ListSecretsRequest::new();
            list.filters = Some(translated(filters));
            list.include_planned_deletion = Some(planned);
            list.sort_by = (!sort_by.is_empty()).then(|| SortBy::from(sort_by));
            list.sort_order = (!order.is_empty()).then(|| SortOrder::from(order));
            (list.max_results, list.next_token) = (max, token);
            list
        };
        let is_known = (sort_by.is_empty() || ORDERS.contains(&sort_by)) && ["", "asc", "desc"].contains(&order);
        let is_page = max.is_none_or(|max| (1..=100).contains(&max));
        if let Some(expected) = if is_known && is_page { refusal(filters) } else { Some(VALIDATION) } {
            assert_eq!(code(&self.handle.list_secrets(request(None))), expected);
            return;
        }
        let names = all_pages(max, |token| {
            let page = self.handle.list_secrets(request(token)).expect("the request is legal");
            (page.secret_list.into_iter().map(|entry| entry.name).collect(), page.next_token)
        });
        assert_eq!(names, self.expected(filters, sort_by, order == "desc", planned), "{filters:?} {sort_by} {order}");
    }

    fn batch(&self, filters: &[Given], max: &str) {
        let max: Option<i32> = max.parse().ok();
        let request = |token: Option<String>| {
            let mut batch = BatchGetSecretValueRequest::new();
            batch.filters = Some(translated(filters));
            (batch.max_results, batch.next_token) = (max, token);
            batch
        };
        let is_page = max.is_none_or(|max| (1..=20).contains(&max));
        if let Some(expected) = if is_page { refusal(filters) } else { Some(VALIDATION) } {
            assert_eq!(code(&self.handle.batch_get_secret_value(request(None))), expected);
            return;
        }
        let names = all_pages(max, |token| {
            let page = self.handle.batch_get_secret_value(request(token)).expect("the request is legal");
            assert!(page.errors.is_empty());
            let is_its_own = |entry: &strongroom::SecretValueEntry| {
                entry.secret_string.as_ref().is_some_and(|value| value.expose() == entry.name.clone() + ".")
            };
            assert!(page.secret_values.iter().all(is_its_own));
            (page.secret_values.into_iter().map(|entry| entry.name).collect(), page.next_token)
        });
        assert_eq!(names, self.expected(filters, "", false, false), "{filters:?}");
    }
}

/// The names on all pages. Every page but the last is full.
fn all_pages(max: Option<i32>, mut page: impl FnMut(Option<String>) -> (Vec<String>, Option<String>)) -> Vec<String> {
    let mut names = Vec::new();
    let mut next = None;
    loop {
        let (shown, token) = page(next);
        let is_full = max.is_none_or(|max| usize::try_from(max).is_ok_and(|max| shown.len() == max));
        assert!(token.is_none() || is_full, "{} on a page of {max:?}", shown.len());
        names.extend(shown);
        next = token;
        if next.is_none() {
            return names;
        }
    }
}

fn translated(filters: &[Given]) -> Vec<Filter> {
    let translated = |(key, values): &Given| {
        let mut filter = Filter::new("", values.iter().map(String::as_str));
        filter.key = key.as_deref().map(FilterKey::from);
        filter
    };
    filters.iter().map(translated).collect()
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let clock = ManualClock::at_millis(START);
    let store = open(MemoryBackend::new(), &clock, 1).expect("a store is made");
    let handle = store.default_secrets_manager();
    let mut world = World { clock, handle, secrets: Vec::new(), filters: Vec::new(), lists: 0 };
    for line in String::from_utf8_lossy(input).lines().take(LINES_MAX) {
        world.line(line);
    }
});
