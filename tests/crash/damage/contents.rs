//! What the stores that are damaged hold, known from the calls that filled them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use strongroom::testing::ManualClock;
use strongroom::{
    DescribeSecretRequest, ErrorKind, GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest,
    SecretStore, SecretValue, SecretsManager, Timestamp,
};

use crate::history::{CURRENT, Call, Kept, PENDING, State, token, value_of};

/// When the first call is made, and what passes between two calls.
const BEGIN: i64 = 1_700_000_000_000;
const STEP: i64 = 1_000;

/// When damaged stores are opened: after every call, and before anything is due.
pub(super) const OPENED_AT: i64 = BEGIN + 2 * 86_400_000;

const RECOVERY_DAYS: i64 = 30;

/// Calls of the last session, each of which is durable when it returns.
const LATE_CALLS: usize = 12;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap()
}

fn name(index: usize) -> String {
    format!("app-{}/secret-{index:05}", index % 10)
}

fn is_binary(index: usize) -> bool {
    index.is_multiple_of(4)
}

fn unique(index: usize, call: u64) -> u64 {
    index as u64 * 10 + call
}

/// What is known of one secret besides what [`Kept`] says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Dates {
    created: Timestamp,
    changed: Timestamp,
    deleted: Option<Timestamp>,
    /// By version.
    versions: BTreeMap<String, Timestamp>,
}

/// The calls that fill a store, in two sessions, and what is there afterwards.
#[derive(Default)]
pub(super) struct Contents {
    early: Vec<(i64, Call)>,
    late: Vec<(i64, Call)>,
    state: State,
    dates: BTreeMap<String, Dates>,
    purged: BTreeSet<String>,
}

impl Contents {
    /// Calls for a number of secrets, of which some are purged again.
    pub(super) fn of(secrets: usize) -> Self {
        let mut contents = Self::default();
        for index in 0..secrets {
            let bytes = if index % 97 == 1 { 20_000 } else { [10, 60, 200, 1_000][index / 4 % 4] };
            let token = (index % 17 != 3).then(|| token(is_binary(index), bytes, unique(index, 0)));
            contents.add(Call::Create { name: name(index), token });
        }
        for index in (0..secrets).step_by(2) {
            contents.put(index, 1, vec![]);
        }
        for index in (0..secrets).step_by(3) {
            contents.put(index, 2, vec![PENDING.to_owned()]);
        }
        for index in (0..secrets).step_by(5) {
            contents.add(Call::Tag { name: name(index), key: "team".to_owned(), value: format!("team {index}") });
        }
        for index in (0..secrets).step_by(7) {
            let token = Some(token(false, 40, unique(index, 3)));
            contents.add(Call::Update { name: name(index), token, description: format!("description {index}") });
        }
        for index in (0..secrets).step_by(11) {
            contents.add(Call::Purge { name: name(index) });
        }
        for index in (5..secrets).step_by(6).filter(|index| index % 11 != 0) {
            contents.add(Call::Schedule { name: name(index) });
        }
        contents.early = std::mem::take(&mut contents.late);
        for index in (0..secrets).filter(|index| index % 6 != 5 && index % 11 != 0).take(LATE_CALLS) {
            contents.put(index, 4, vec!["late".to_owned()]);
        }
        contents
    }

    fn put(&mut self, index: usize, call: u64, labels: Vec<String>) {
        let token = token(is_binary(index), 50, unique(index, call));
        self.add(Call::Put { name: name(index), token, labels });
    }

    fn add(&mut self, call: Call) {
        let millis = BEGIN + STEP * (self.early.len() + self.late.len()) as i64;
        let dates = self.dates.entry(call.name().to_owned()).or_default();
        dates.changed = at(millis);
        match &call {
            Call::Create { token, .. } => {
                dates.created = at(millis);
                dates.versions.extend(token.iter().map(|token| (token.clone(), at(millis))));
            }
            Call::Put { token, .. } | Call::Update { token: Some(token), .. } => {
                dates.versions.insert(token.clone(), at(millis));
            }
            Call::Schedule { .. } => dates.deleted = Some(at(millis) + TimeDelta::days(RECOVERY_DAYS)),
            Call::Purge { name } => _ = self.purged.insert(name.clone()),
            _ => {}
        }
        self.state.apply(&call);
        self.late.push((millis, call));
    }

    /// How many secrets there are in the end.
    pub(super) fn secrets(&self) -> usize {
        self.state.secrets.len()
    }

    /// Makes the calls of the first session.
    pub(super) fn run_early(&self, store: &SecretStore, clock: &ManualClock) {
        run(&self.early, store, clock);
    }

    /// Makes the calls of the last session.
    pub(super) fn run_late(&self, store: &SecretStore, clock: &ManualClock) {
        run(&self.late, store, clock);
    }

    /// How a store differs from what was put into it.
    pub(super) fn differences(&self, store: &SecretStore) -> Vec<Difference> {
        let secrets = store.default_secrets_manager();
        let mut differences = Vec::new();
        let mut add = |what: What, name: &str, text: String| {
            differences.push(Difference { what, name: name.to_owned(), text });
        };
        for (name, kept) in &self.state.secrets {
            self.compare(&secrets, name, kept, &mut |what, text| add(what, name, text));
        }
        for name in &self.purged {
            match secrets.describe_secret(DescribeSecretRequest::new(name)) {
                Err(error) if *error.kind() == ErrorKind::ResourceNotFound => {}
                Err(error) => add(What::Unreadable, name, format!("{error:?}")),
                Ok(_) => add(What::BroughtBack, name, "was purged and is there".to_owned()),
            }
        }
        match listed(&secrets) {
            Err(error) => add(What::Unreadable, "the list", format!("{error:?}")),
            Ok(listed) => {
                let expected: BTreeSet<&String> = self.state.secrets.keys().collect();
                for name in expected.iter().filter(|name| !listed.contains(**name)) {
                    add(What::Lost, name, "is not listed".to_owned());
                }
                for name in listed.iter().filter(|name| !expected.contains(name)) {
                    add(What::BroughtBack, name, "is listed".to_owned());
                }
            }
        }
        differences
    }

    fn compare(&self, secrets: &SecretsManager, name: &str, kept: &Kept, add: &mut dyn FnMut(What, String)) {
        let dates = &self.dates[name];
        let about = match secrets.describe_secret(DescribeSecretRequest::new(name)) {
            Ok(about) => about,
            Err(error) => return add(What::of(&error), format!("describing: {error:?}")),
        };
        let mut labels = BTreeMap::new();
        for (version, of_it) in about.version_ids_to_stages.unwrap_or_default() {
            labels.extend(of_it.into_iter().map(|label| (label, version.clone())));
        }
        let tags: BTreeMap<_, _> = about.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        let described = (about.created_date, about.last_changed_date, about.deleted_date);
        if labels != kept.labels || tags != kept.tags || about.description != kept.description {
            add(What::Lost, format!("has {labels:?}, {tags:?}, {:?}", about.description));
        }
        if described != (dates.created, dates.changed, dates.deleted) || about.last_accessed_date.is_some() {
            add(What::Lost, format!("has the dates {described:?}, {:?}", about.last_accessed_date));
        }
        let versions = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
        match secrets.list_secret_version_ids(versions) {
            Err(error) => add(What::of(&error), format!("listing versions: {error:?}")),
            Ok(page) => {
                let of = |version: strongroom::SecretVersionsListEntry| (version.version_id, version.created_date);
                let found: BTreeMap<_, _> = page.versions.into_iter().map(of).collect();
                if found != dates.versions {
                    add(What::Lost, format!("has the versions {found:?}"));
                }
            }
        }
        if kept.is_scheduled {
            return;
        }
        for version in &kept.versions {
            let mut get = GetSecretValueRequest::new(name);
            let is_current = kept.labels.get(CURRENT) == Some(version);
            if !is_current {
                get = get.version_id(version);
            }
            let read = match secrets.get_secret_value(get) {
                Ok(read) => read,
                Err(error) => {
                    add(What::of(&error), format!("reading {version}: {error:?}"));
                    continue;
                }
            };
            let value = match (read.secret_string, read.secret_binary) {
                (Some(text), None) => Some(SecretValue::from(text)),
                (None, Some(bytes)) => Some(SecretValue::from(bytes)),
                _ => None,
            };
            if value != Some(value_of(&read.version_id)) {
                add(What::Wrong, format!("version {version} has another value"));
            }
            if read.version_id != *version || read.created_date != dates.versions[version] {
                add(What::Lost, format!("version {version} is {} of {}", read.version_id, read.created_date));
            }
        }
    }
}

fn run(calls: &[(i64, Call)], store: &SecretStore, clock: &ManualClock) {
    let secrets = store.default_secrets_manager();
    for (millis, call) in calls {
        clock.set(at(*millis));
        call.run(&secrets).unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
}

fn listed(secrets: &SecretsManager) -> Result<BTreeSet<String>, strongroom::Error> {
    let mut names = BTreeSet::new();
    let mut next_token: Option<String> = None;
    loop {
        let mut request = ListSecretsRequest::new().include_planned_deletion(true).max_results(100);
        if let Some(token) = next_token {
            request = request.next_token(token);
        }
        let page = secrets.list_secrets(request)?;
        names.extend(page.secret_list.into_iter().map(|entry| entry.name));
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(names);
        }
    }
}

/// How something differs from what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// It is not there, or is older than it was.
    Lost,
    /// It is there again after it was deleted for good.
    BroughtBack,
    /// It has a value that was never stored.
    Wrong,
    /// It gives a typed error that says what is wrong.
    Unreadable,
}

impl What {
    fn of(error: &strongroom::Error) -> Self {
        match error.kind() {
            ErrorKind::ResourceNotFound | ErrorKind::InvalidRequest => Self::Lost,
            _ => Self::Unreadable,
        }
    }
}

#[derive(Debug)]
pub(super) struct Difference {
    pub(super) what: What,
    pub(super) name: String,
    pub(super) text: String,
}
