//! Page tokens: any text as the `NextToken` of any list, in a store with several accounts and Regions.
//!
//! Of an input, the first bytes choose the account and Region, the query, and the size of the page. Then `r` and the text
//! itself, or `e`, two bytes for a token that was issued, and edits of it.
//!
//! A text is taken if it is, to the letter, a token that this store issued for this query to this account and Region. Then
//! the page is the right one. Everything else is refused as an invalid token.

#![no_main]

use std::collections::HashMap;
use std::sync::OnceLock;

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    BatchGetSecretValueRequest, CreateSecretRequest, DeleteSecretRequest, Error, Filter, FilterKey,
    ListSecretVersionIdsRequest, ListSecretsRequest, MemoryBackend, PutSecretValueRequest, SecretStore, SecretsManager,
    SortBy, SortOrder,
};
use strongroom_fuzz::{INVALID_TOKEN, Input, START, VALIDATION, code, edit, open};

const TENANTS: [(&str, &str); 3] =
    [("000000000000", "us-east-1"), ("000000000000", "eu-west-1"), ("123456789012", "us-east-1")];
const QUERIES: usize = 14;
const NAMES: [&str; 5] = ["app", "b", "db/main", "db/other", "z"];

/// What a page shows, in order, and the token of the next one.
type Page = (Vec<String>, Option<String>);

fn page(secrets: &SecretsManager, query: usize, max: Option<i32>, token: Option<String>) -> Result<Page, Error> {
    let db = || Filter::new(FilterKey::Name, ["db/"]);
    match query {
        0..8 => {
            let mut list = ListSecretsRequest::new();
            (list.max_results, list.next_token) = (max, token);
            match query {
                0 => {}
                1 => list.include_planned_deletion = Some(true),
                2 => list.sort_order = Some(SortOrder::Desc),
                3 => list.sort_by = Some(SortBy::Name),
                4 => (list.sort_by, list.sort_order) = (Some(SortBy::Name), Some(SortOrder::Desc)),
                5 => list.sort_by = Some(SortBy::LastChangedDate),
                6 => (list.sort_by, list.sort_order) = (Some(SortBy::LastAccessedDate), Some(SortOrder::Desc)),
                _ => list.filters = Some(vec![db()]),
            }
            let listed = secrets.list_secrets(list)?;
            Ok((listed.secret_list.into_iter().map(|entry| entry.arn).collect(), listed.next_token))
        }
        8..10 => {
            let mut batch = BatchGetSecretValueRequest::new();
            (batch.max_results, batch.next_token) = (max, token);
            batch.filters = Some(if query == 8 { vec![db()] } else { Vec::new() });
            let batch = secrets.batch_get_secret_value(batch)?;
            assert!(batch.errors.is_empty());
            let value =
                |value: &Option<strongroom::SecretString>| value.as_ref().map(|value| value.expose().to_owned());
            let shown =
                |entry: strongroom::SecretValueEntry| format!("{} {:?}", entry.arn, value(&entry.secret_string));
            Ok((batch.secret_values.into_iter().map(shown).collect(), batch.next_token))
        }
        _ => {
            let mut list = ListSecretVersionIdsRequest::new(if query % 2 == 0 { "app" } else { "b" });
            list.include_deprecated = Some(query >= 12);
            (list.max_results, list.next_token) = (max, token);
            let listed = secrets.list_secret_version_ids(list)?;
            let shown = |id: String| format!("{} {id}", listed.arn);
            Ok((listed.versions.into_iter().map(|version| shown(version.version_id)).collect(), listed.next_token))
        }
    }
}

/// Where a token goes on.
#[derive(Clone, Copy)]
struct Issued {
    is_foreign: bool,
    tenant: usize,
    query: usize,
    after: usize,
}

struct World {
    _store: SecretStore,
    handles: Vec<SecretsManager>,
    /// By account and Region, then by query.
    lists: Vec<Vec<Vec<String>>>,
    issued: HashMap<String, Issued>,
    /// The same, in the order in which they were issued.
    tokens: Vec<String>,
}

fn filled(seed: u64) -> (SecretStore, Vec<SecretsManager>) {
    let clock = ManualClock::at_millis(START);
    let store = open(MemoryBackend::new(), &clock, seed).expect("a store is made");
    let handles: Vec<_> =
        TENANTS.map(|(account, region)| store.secrets_manager(account, region).expect("it is one")).into();
    for (handle, tenant) in handles.iter().zip(0..) {
        for name in NAMES {
            // Some are of the same moment.
            clock.advance(TimeDelta::milliseconds(i64::from(name.len() > 1)));
            let create = CreateSecretRequest::new(name).secret_string(format!("{tenant} {name}"));
            handle.create_secret(create).expect("a secret is made");
        }
        for number in 0..4 {
            let put = PutSecretValueRequest::new("app", "more").version_stages([format!("own{number}")]);
            handle.put_secret_value(put).expect("a version is made");
            handle.put_secret_value(PutSecretValueRequest::new("b", "more")).expect("a version is made");
        }
        handle.delete_secret(DeleteSecretRequest::new("z")).expect("it is scheduled");
        // Reading notes the day, which is over before anything is compared.
        page(handle, 8, None, None).expect("a batch is read");
        page(handle, 9, None, None).expect("a batch is read");
    }
    (store, handles)
}

impl World {
    fn new() -> Self {
        let (store, handles) = filled(1);
        let (_other, foreign) = filled(2);
        let mut world = Self { _store: store, handles, lists: Vec::new(), issued: HashMap::new(), tokens: Vec::new() };
        for (tenant, handle) in world.handles.clone().iter().enumerate() {
            let lists = (0..QUERIES).map(|query| world.walk(handle, tenant, query, false)).collect();
            world.lists.push(lists);
        }
        world.walk(&foreign[0], 0, 0, true);
        world.walk(&foreign[0], 0, 9, true);
        world.walk(&foreign[0], 0, 12, true);
        world
    }

    /// All pages of one entry, and their tokens.
    fn walk(&mut self, handle: &SecretsManager, tenant: usize, query: usize, is_foreign: bool) -> Vec<String> {
        let mut list = Vec::new();
        let mut next = None;
        loop {
            let (shown, token) = page(handle, query, Some(1), next).expect("a token is taken where it belongs");
            list.extend(shown);
            let Some(token) = token else { break };
            self.issued.insert(token.clone(), Issued { is_foreign, tenant, query, after: list.len() });
            self.tokens.push(token.clone());
            next = Some(token);
        }
        let (whole, token) = page(handle, query, None, None).expect("the first page needs no token");
        assert!(token.is_none() && whole == list, "pages of one entry make the whole list");
        list
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::new);
    let mut input = Input(input);
    let (mut tenant, mut query) = (input.below(TENANTS.len()), input.below(QUERIES));
    let max = match input.below(8) {
        0 => None,
        max => i32::try_from(max).ok(),
    };
    let token = match input.byte() {
        b'r' => String::from_utf8_lossy(input.0).into_owned(),
        kind => {
            let token = &world.tokens[input.far_below(world.tokens.len())];
            if kind == b'o' {
                // Asked for where it belongs.
                Issued { tenant, query, .. } = world.issued[token];
            }
            let mut token = token.clone().into_bytes();
            edit(&mut token, &mut input);
            String::from_utf8_lossy(&token).into_owned()
        }
    };

    let outcome = page(&world.handles[tenant], query, max, Some(token.clone()));
    let issued = world.issued.get(&token);
    match issued.filter(|issued| !issued.is_foreign && issued.tenant == tenant && issued.query == query) {
        Some(Issued { after, .. }) => {
            let rest = &world.lists[tenant][query][*after..];
            let shown = max.map_or(rest.len(), |max| rest.len().min(usize::try_from(max).unwrap_or_default()));
            let (page, next) = outcome.expect("the token was issued for this");
            assert_eq!(page, rest[..shown]);
            assert_eq!(next.is_some(), shown < rest.len(), "there is a next page if anything is left");
        }
        None if !(1..=4096).contains(&token.chars().count()) => assert_eq!(code(&outcome), VALIDATION),
        None => assert_eq!(code(&outcome), INVALID_TOKEN, "{token}"),
    }
});
