//! What is known of one secret, what changes it, and whether what was seen of it agrees.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::plan::{DAY, Kind, Plan};
use crate::value::Made;

/// Versions that stay, however old they are.
const VERSIONS_KEPT: usize = 100;

pub(crate) const TAGS: usize = 3;

/// A label that the soak knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Label {
    Current,
    Previous,
    Pending,
    Blue,
}

impl Label {
    pub(crate) const ALL: [Self; 4] = [Self::Current, Self::Previous, Self::Pending, Self::Blue];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
            Self::Pending => "AWSPENDING",
            Self::Blue => "blue",
        }
    }
}

/// What a secret is to be. Numbers stand for texts; 0 for none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Oldest first, those included that are old enough to be removed. Of secrets that rotate, none are told apart.
    pub(crate) versions: Vec<Made>,
    /// Who has each of [`Label::ALL`]. Of a secret that rotates, only the value that is current.
    pub(crate) labels: [Option<Made>; 4],
    pub(crate) description: u64,
    pub(crate) tags: [u64; TAGS],
    pub(crate) policy: u64,
    /// When its window ends, or a time before, which is later than the end of the soak.
    pub(crate) deletion_at: Option<i64>,
}

/// One change of one secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    Create(Made),
    Put(Made, Label),
    Move(Label, Made),
    Remove(Label),
    Describe(u64),
    Tag(usize, u64),
    Untag(usize),
    Attach(u64),
    Detach,
    Schedule(i64),
    Restore,
    Purge,
    /// A rotation makes its value the current one.
    Turn(Made),
}

impl State {
    pub(crate) fn holder(&self, label: Label) -> Option<Made> {
        self.labels[label as usize]
    }

    fn attach(&mut self, label: Label, made: Made) {
        let former = self.labels[label as usize].replace(made);
        if label == Label::Current
            && let Some(former) = former.filter(|former| *former != made)
        {
            self.labels[Label::Previous as usize] = Some(former);
        }
    }

    pub(crate) fn is_labelled(&self, made: Made) -> bool {
        self.labels.contains(&Some(made))
    }

    /// Whether maintenance may have removed a version by now.
    pub(crate) fn may_be_gone(&self, made: Made, now: i64) -> bool {
        self.versions.len() > VERSIONS_KEPT && made.at + DAY <= now && !self.is_labelled(made)
    }

    /// What is left of the versions when everything that is due by `now` was done.
    pub(crate) fn kept(&self, now: i64) -> Vec<Made> {
        let mut surplus = self.versions.len().saturating_sub(VERSIONS_KEPT);
        let mut kept = self.versions.clone();
        kept.retain(|made| {
            let goes = surplus > 0 && self.may_be_gone(*made, now);
            surplus -= usize::from(goes);
            !goes
        });
        kept
    }
}

/// What is there after a change.
pub(crate) fn after(state: Option<&State>, change: &Change) -> Option<State> {
    if *change == Change::Purge {
        return None;
    }
    let mut state = state.cloned().unwrap_or_default();
    match *change {
        Change::Create(made) => {
            state.versions.push(made);
            state.attach(Label::Current, made);
        }
        Change::Put(made, label) => {
            state.versions.push(made);
            state.attach(label, made);
            if label == Label::Current {
                state.labels[Label::Pending as usize] = None;
            }
        }
        Change::Move(label, made) => state.attach(label, made),
        Change::Remove(label) => state.labels[label as usize] = None,
        Change::Describe(text) => state.description = text,
        Change::Tag(key, value) => state.tags[key] = value,
        Change::Untag(key) => state.tags[key] = 0,
        Change::Attach(policy) => state.policy = policy,
        Change::Detach => state.policy = 0,
        Change::Schedule(at) => state.deletion_at = Some(at),
        Change::Restore => state.deletion_at = None,
        Change::Turn(made) => state.labels = [Some(made), None, None, None],
        Change::Purge => {}
    }
    Some(state)
}

pub(crate) fn description(number: u64) -> String {
    format!("description {number}")
}

pub(crate) fn tag_key(key: usize) -> String {
    format!("tag-{key}")
}

pub(crate) fn policy(number: u64) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"s{number}","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::000000000000:root"}},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}]}}"#
    )
}

/// What a description or an entry of a list says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) description: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// By label, the id of the version.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) is_scheduled: bool,
}

impl About {
    pub(crate) fn new(
        description: Option<String>,
        tags: Option<Vec<strongroom::Tag>>,
        stages: Option<BTreeMap<String, Vec<String>>>,
        is_scheduled: bool,
    ) -> Self {
        let tags = tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        let stages = stages.unwrap_or_default().into_iter();
        let labels = stages.flat_map(|(id, labels)| labels.into_iter().map(move |label| (label, id.clone()))).collect();
        Self { description, tags, labels, is_scheduled }
    }

    /// What should be said of a secret in that state. The labels of a secret that rotates are what its rotation makes them.
    pub(crate) fn is_of(&self, state: &State, plan: &Plan, secret: usize) -> bool {
        let tags = state.tags.iter().enumerate().filter(|(_, value)| **value != 0);
        let labels = Label::ALL.iter().zip(&state.labels);
        let labels = labels.filter_map(|(label, made)| Some((label.name().to_owned(), (*made)?.token(secret))));
        self.description == (state.description != 0).then(|| description(state.description))
            && self.is_scheduled == state.deletion_at.is_some()
            && self.tags == tags.map(|(key, value)| (tag_key(key), value.to_string())).collect()
            && (plan.kind(secret) == Kind::Turning || self.labels == labels.collect())
    }
}

/// Everything that can be seen of a secret.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) about: About,
    pub(crate) policy: Option<String>,
    pub(crate) versions: BTreeSet<String>,
    /// The current value, by what it says itself.
    pub(crate) current: Option<Made>,
}

impl Observed {
    /// What contradicts a state, if anything does.
    pub(crate) fn fault(&self, state: &State, plan: &Plan, secret: usize, now: i64) -> Option<String> {
        if !self.about.is_of(state, plan, secret) {
            return Some("the description, tags, labels or schedule".to_owned());
        }
        if state.deletion_at.is_none() {
            if self.policy != (state.policy != 0).then(|| policy(state.policy)) {
                return Some("the policy".to_owned());
            }
            if self.current != state.holder(Label::Current) {
                return Some("the current value".to_owned());
            }
        }
        if plan.kind(secret) == Kind::Turning {
            return None;
        }
        let known: BTreeSet<String> = state.versions.iter().map(|made| made.token(secret)).collect();
        if let Some(unknown) = self.versions.difference(&known).next() {
            return Some(format!("a version that should not be there: {unknown}"));
        }
        if self.versions.len() < known.len().min(VERSIONS_KEPT) {
            return Some("too few versions".to_owned());
        }
        let gone = state.versions.iter().find(|made| !self.versions.contains(&made.token(secret)));
        let mut lost = state
            .versions
            .iter()
            .filter(|made| !self.versions.contains(&made.token(secret)) && !state.may_be_gone(**made, now));
        match (gone, lost.next()) {
            (Some(_), Some(lost)) => Some(format!("a version is missing: {}", lost.token(secret))),
            _ => None,
        }
    }
}
