//! Calls that change a store, and what a store must hold after them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use strongroom::testing::SeededEntropy;
use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Entropy, Error, ErrorKind, GetSecretValueRequest,
    ListSecretVersionIdsRequest, ListSecretsRequest, PutSecretValueRequest, RestoreSecretRequest, SecretValue,
    SecretsManager, Tag, TagResourceRequest, UntagResourceRequest, UpdateSecretRequest,
    UpdateSecretVersionStageRequest,
};

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

/// One call of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Create { name: String, token: Option<String> },
    Put { name: String, token: String, labels: Vec<String> },
    Update { name: String, token: Option<String>, description: String },
    Move { name: String, label: String, from: Option<String>, to: Option<String> },
    Tag { name: String, key: String, value: String },
    Untag { name: String, key: String },
    Schedule { name: String },
    Restore { name: String },
    Purge { name: String },
}

/// The token of a version says which value the version has.
pub(crate) fn token(is_binary: bool, bytes: usize, unique: u64) -> String {
    let kind = if is_binary { 'b' } else { 's' };
    format!("{kind}-{bytes:05}-{unique:024}")
}

/// The value that belongs to a token: no two tokens have the same.
pub(crate) fn value_of(token: &str) -> SecretValue {
    let bytes = token.split('-').nth(1).unwrap().parse().unwrap();
    let text: String = token.chars().cycle().take(bytes).collect();
    if token.starts_with('b') { SecretValue::from(text.into_bytes()) } else { SecretValue::from(text) }
}

impl Call {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Create { name, .. }
            | Self::Put { name, .. }
            | Self::Update { name, .. }
            | Self::Move { name, .. }
            | Self::Tag { name, .. }
            | Self::Untag { name, .. }
            | Self::Schedule { name }
            | Self::Restore { name }
            | Self::Purge { name } => name,
        }
    }

    /// Makes the call.
    pub(crate) fn run(&self, secrets: &SecretsManager) -> Result<(), Error> {
        match self {
            Self::Create { name, token } => {
                let mut request = CreateSecretRequest::new(name);
                if let Some(token) = token {
                    request = request.client_request_token(token);
                    request = match value_of(token) {
                        SecretValue::String(text) => request.secret_string(text),
                        SecretValue::Binary(bytes) => request.secret_binary(bytes),
                    };
                }
                secrets.create_secret(request).map(drop)
            }
            Self::Put { name, token, labels } => {
                let mut request = PutSecretValueRequest::new(name, value_of(token)).client_request_token(token);
                if !labels.is_empty() {
                    request = request.version_stages(labels);
                }
                secrets.put_secret_value(request).map(drop)
            }
            Self::Update { name, token, description } => {
                let mut request = UpdateSecretRequest::new(name).description(description);
                if let Some(token) = token {
                    request = request.client_request_token(token);
                    request = match value_of(token) {
                        SecretValue::String(text) => request.secret_string(text),
                        SecretValue::Binary(bytes) => request.secret_binary(bytes),
                    };
                }
                secrets.update_secret(request).map(drop)
            }
            Self::Move { name, label, from, to } => {
                let mut request = UpdateSecretVersionStageRequest::new(name, label);
                if let Some(from) = from {
                    request = request.remove_from_version_id(from);
                }
                if let Some(to) = to {
                    request = request.move_to_version_id(to);
                }
                secrets.update_secret_version_stage(request).map(drop)
            }
            Self::Tag { name, key, value } => {
                secrets.tag_resource(TagResourceRequest::new(name, [Tag::new(key, value)]))
            }
            Self::Untag { name, key } => secrets.untag_resource(UntagResourceRequest::new(name, [key])),
            Self::Schedule { name } => secrets.delete_secret(DeleteSecretRequest::new(name)).map(drop),
            Self::Restore { name } => secrets.restore_secret(RestoreSecretRequest::new(name)).map(drop),
            Self::Purge { name } => {
                secrets.delete_secret(DeleteSecretRequest::new(name).force_delete_without_recovery(true)).map(drop)
            }
        }
    }

    /// Reads what `Display` wrote.
    pub(crate) fn parse(text: &str) -> Self {
        let fields: Vec<&str> = text.split('\t').collect();
        let text = |index: usize| fields[index].to_owned();
        let option = |index: usize| (fields[index] != "-").then(|| fields[index].to_owned());
        let name = text(1);
        match fields[0] {
            "create" => Self::Create { name, token: option(2) },
            "put" => {
                let labels = fields[3].split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect();
                Self::Put { name, token: text(2), labels }
            }
            "update" => Self::Update { name, token: option(2), description: text(3) },
            "move" => Self::Move { name, label: text(2), from: option(3), to: option(4) },
            "tag" => Self::Tag { name, key: text(2), value: text(3) },
            "untag" => Self::Untag { name, key: text(2) },
            "schedule" => Self::Schedule { name },
            "restore" => Self::Restore { name },
            "purge" => Self::Purge { name },
            other => panic!("no such call: {other}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        match self {
            Self::Create { name, token } => write!(f, "create\t{name}\t{}", or_dash(token)),
            Self::Put { name, token, labels } => write!(f, "put\t{name}\t{token}\t{}", labels.join(",")),
            Self::Update { name, token, description } => {
                write!(f, "update\t{name}\t{}\t{description}", or_dash(token))
            }
            Self::Move { name, label, from, to } => {
                write!(f, "move\t{name}\t{label}\t{}\t{}", or_dash(from), or_dash(to))
            }
            Self::Tag { name, key, value } => write!(f, "tag\t{name}\t{key}\t{value}"),
            Self::Untag { name, key } => write!(f, "untag\t{name}\t{key}"),
            Self::Schedule { name } => write!(f, "schedule\t{name}"),
            Self::Restore { name } => write!(f, "restore\t{name}"),
            Self::Purge { name } => write!(f, "purge\t{name}"),
        }
    }
}

/// What is kept of one secret. The value of a version follows from its token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Kept {
    pub(crate) versions: BTreeSet<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) is_scheduled: bool,
}

impl Kept {
    fn attach(&mut self, label: &str, token: &str) {
        let former = self.labels.insert(label.to_owned(), token.to_owned());
        if label == CURRENT
            && let Some(former) = former.filter(|former| former != token)
        {
            self.labels.insert(PREVIOUS.to_owned(), former);
        }
    }

    fn add(&mut self, token: &str, labels: &[String]) {
        let is_first = self.versions.is_empty();
        self.versions.insert(token.to_owned());
        let has = |label: &str| labels.iter().any(|given| given == label);
        for label in labels {
            self.attach(label, token);
        }
        let is_current = is_first || labels.is_empty() || has(CURRENT);
        if is_current {
            self.attach(CURRENT, token);
            if !has(PENDING) {
                self.labels.remove(PENDING);
            }
        }
    }
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) secrets: BTreeMap<String, Kept>,
}

impl State {
    /// What is there after a call that succeeded.
    pub(crate) fn apply(&mut self, call: &Call) {
        if let Call::Purge { name } = call {
            self.secrets.remove(name);
            return;
        }
        let kept = self.secrets.entry(call.name().to_owned()).or_default();
        match call {
            Call::Create { token, .. } => {
                if let Some(token) = token {
                    kept.add(token, &[]);
                }
            }
            Call::Put { token, labels, .. } => kept.add(token, labels),
            Call::Update { token, description, .. } => {
                if let Some(token) = token {
                    kept.add(token, &[]);
                }
                kept.description = Some(description.clone()).filter(|text| !text.is_empty());
            }
            Call::Move { label, to: Some(to), .. } => kept.attach(label, to),
            Call::Move { label, .. } => drop(kept.labels.remove(label)),
            Call::Tag { key, value, .. } => drop(kept.tags.insert(key.clone(), value.clone())),
            Call::Untag { key, .. } => drop(kept.tags.remove(key)),
            Call::Schedule { .. } => kept.is_scheduled = true,
            Call::Restore { .. } => kept.is_scheduled = false,
            Call::Purge { .. } => {}
        }
    }

    /// What is there after a call, this state being what was there before it.
    pub(crate) fn after(&self, call: &Call) -> Self {
        let mut after = self.clone();
        after.apply(call);
        after
    }

    /// Everything a store holds, read through every operation that reads.
    ///
    /// Panics if a value is not the one that was stored, or if what the operations say does not fit together.
    pub(crate) fn observe(secrets: &SecretsManager) -> Self {
        let mut state = Self::default();
        let mut next_token: Option<String> = None;
        loop {
            let mut request = ListSecretsRequest::new().include_planned_deletion(true);
            if let Some(token) = next_token {
                request = request.next_token(token);
            }
            let page = secrets.list_secrets(request).unwrap();
            for entry in page.secret_list {
                let kept = observe_one(secrets, &entry.name);
                let kept = kept.unwrap_or_else(|| panic!("`{}` is listed and cannot be found", entry.name));
                let is_new = state.secrets.insert(entry.name.clone(), kept).is_none();
                assert!(is_new, "`{}` is listed twice", entry.name);
            }
            next_token = page.next_token;
            if next_token.is_none() {
                return state;
            }
        }
    }
}

/// What is there of one secret, if it exists.
pub(crate) fn observe_one(secrets: &SecretsManager, name: &str) -> Option<Kept> {
    let about = match secrets.describe_secret(DescribeSecretRequest::new(name)) {
        Ok(about) => about,
        Err(error) if *error.kind() == ErrorKind::ResourceNotFound => return None,
        Err(error) => panic!("`{name}` cannot be described: {error}"),
    };
    let mut kept = Kept {
        description: about.description,
        tags: about.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
        is_scheduled: about.deleted_date.is_some(),
        ..Kept::default()
    };
    for (version, labels) in about.version_ids_to_stages.unwrap_or_default() {
        for label in labels {
            let former = kept.labels.insert(label.clone(), version.clone());
            assert_eq!(former, None, "`{label}` is on two versions of `{name}`");
        }
    }
    let mut next_token: Option<String> = None;
    loop {
        let mut request = ListSecretVersionIdsRequest::new(name).include_deprecated(true);
        if let Some(token) = next_token {
            request = request.next_token(token);
        }
        let page = secrets.list_secret_version_ids(request).unwrap();
        for version in page.versions {
            for label in version.version_stages.unwrap_or_default() {
                assert_eq!(kept.labels.get(&label), Some(&version.version_id), "`{label}` of `{name}`");
            }
            kept.versions.insert(version.version_id);
        }
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    for (label, version) in &kept.labels {
        assert!(kept.versions.contains(version), "`{label}` of `{name}` is on a version that is not there");
    }
    assert_eq!(kept.versions.is_empty(), !kept.labels.contains_key(CURRENT), "`{name}` and its current version");
    if !kept.is_scheduled {
        check_values(secrets, name, &kept);
    }
    Some(kept)
}

fn check_values(secrets: &SecretsManager, name: &str, kept: &Kept) {
    for version in &kept.versions {
        let read = secrets.get_secret_value(GetSecretValueRequest::new(name).version_id(version));
        let read = read.unwrap_or_else(|error| panic!("version {version} of `{name}` cannot be read: {error}"));
        let value = match (read.secret_string, read.secret_binary) {
            (Some(text), None) => SecretValue::from(text),
            (None, Some(bytes)) => SecretValue::from(bytes),
            both => panic!("version {version} of `{name}` has {both:?}"),
        };
        assert!(value == value_of(version), "version {version} of `{name}` has another value than was stored");
    }
    if let Some(current) = kept.labels.get(CURRENT) {
        let read = secrets.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
        assert_eq!(read.version_id, *current, "the current version of `{name}`");
    }
}

/// Numbers that are the same for the same seed.
pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_be_bytes(bytes) % bound as u64).unwrap()
    }

    fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Versions at which a secret is purged instead of growing on.
const VERSIONS_MAX: usize = 10;

/// A call that will succeed on this state. `unique` is of no other call; `bytes` are the sizes to choose from.
pub(crate) fn next_call(chance: &Chance, state: &State, names: &[String], bytes: &[usize], unique: u64) -> Call {
    let name = chance.pick(names).clone();
    let token = token(chance.below(4) == 0, *chance.pick(bytes), unique);
    let Some(kept) = state.secrets.get(&name) else {
        return Call::Create { name, token: (chance.below(8) > 0).then_some(token) };
    };
    if kept.is_scheduled {
        return if chance.below(4) == 0 { Call::Purge { name } } else { Call::Restore { name } };
    }
    if kept.versions.len() >= VERSIONS_MAX {
        return Call::Purge { name };
    }
    let versions: Vec<&String> = kept.versions.iter().collect();
    match chance.below(16) {
        0..8 => {
            let labels = [vec![], vec![], vec![PENDING], vec!["blue"], vec![CURRENT, "blue"]];
            let labels = chance.pick(&labels).iter().map(|label| (*label).to_owned()).collect();
            Call::Put { name, token, labels }
        }
        8 => Call::Update { name, token: None, description: format!("description {unique}") },
        9 => Call::Update { name, token: Some(token), description: format!("description {unique}") },
        10 | 11 if !versions.is_empty() => {
            let label = (*chance.pick(&[CURRENT, PENDING, "blue", "green"])).to_owned();
            let from = kept.labels.get(&label).cloned();
            let to = (*chance.pick(&versions)).clone();
            match from {
                Some(_) if label != CURRENT && chance.below(3) == 0 => Call::Move { name, label, from, to: None },
                from => Call::Move { name, label, from, to: Some(to) },
            }
        }
        12 => Call::Untag { name, key: format!("key-{}", chance.below(4)) },
        13 => Call::Schedule { name },
        14 => Call::Purge { name },
        _ => Call::Tag { name, key: format!("key-{}", chance.below(4)), value: format!("value {unique}") },
    }
}
