//! Reading, and comparing every answer with what may be there.

use std::collections::{BTreeMap, BTreeSet};

use strongroom::{
    BatchGetSecretValueRequest, DescribeSecretRequest, Error, ErrorKind, Filter, FilterKey, GetResourcePolicyRequest,
    GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest, SecretsManager,
};

use crate::desk::Desk;
use crate::ledger::Known;
use crate::plan::{Chance, Kind, Plan, name_of, secret_of};
use crate::state::{About, Label, Observed, State, policy};
use crate::value::{Made, recognise};

/// Entries of one page of a list: several pages for the names that begin alike.
const PAGE: i32 = 40;

/// Which value is asked for.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Current,
    Labelled(Label),
    Version(Made),
}

/// What somebody who asks for something of a secret is told.
#[derive(Debug, PartialEq, Eq)]
enum Seen<T> {
    NotFound,
    Scheduled,
    Found(T),
}

/// What the answer may be by the state of the secret alone, and the state if it is there to be read.
enum Standing<'a> {
    /// The window ended while somebody was reading.
    Ending,
    Gone,
    Scheduled,
    There(&'a State),
}

/// A time during which something was read.
#[derive(Clone, Copy)]
struct Span {
    begin: i64,
    end: i64,
}

impl Span {
    fn standing(self, known: &Known) -> Standing<'_> {
        let Some(state) = known.as_deref() else { return Standing::Gone };
        match state.deletion_at {
            None => Standing::There(state),
            Some(at) if at <= self.begin => Standing::Gone,
            Some(at) if at > self.end => Standing::Scheduled,
            Some(_) => Standing::Ending,
        }
    }
}

fn classify<T>(answer: Result<T, &Error>) -> Result<Seen<T>, String> {
    match answer {
        Ok(found) => Ok(Seen::Found(found)),
        Err(error) if *error.kind() == ErrorKind::ResourceNotFound => Ok(Seen::NotFound),
        Err(error) if *error.kind() == ErrorKind::InvalidRequest => Ok(Seen::Scheduled),
        Err(error) => Err(format!("an unexpected error: {error:?}")),
    }
}

/// Whether an answer fits a state, `fits` saying so of what was found in one that can be read.
fn is_possible<T>(seen: &Seen<T>, known: &Known, span: Span, fits: impl Fn(Option<&T>, &State) -> bool) -> bool {
    match (span.standing(known), seen) {
        (Standing::Gone | Standing::Ending, Seen::NotFound) => true,
        (Standing::Scheduled | Standing::Ending, Seen::Scheduled) => true,
        (Standing::There(state), Seen::NotFound) => fits(None, state),
        (Standing::There(state), Seen::Found(found)) => fits(Some(found), state),
        _ => false,
    }
}

/// What a thread reads with.
pub(crate) struct Reader<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) secrets: &'a SecretsManager,
}

impl Reader<'_> {
    fn plan(&self) -> &Plan {
        &self.desk.plan
    }

    /// Reads something of one secret, and compares.
    fn check<T: std::fmt::Debug>(
        &self,
        secret: usize,
        what: &str,
        read: impl FnOnce() -> Result<Seen<T>, String>,
        fits: impl Fn(Option<&T>, &State, Span) -> bool,
    ) {
        let from = self.desk.ledger.begin_reading(secret);
        let begin = self.desk.now();
        let seen = read().unwrap_or_else(|fault| self.desk.fault(format!("{what} of secret {secret}: {fault}")));
        let span = Span { begin, end: self.desk.now() };
        let known = self.desk.ledger.end_reading(secret, from);
        if !known.iter().any(|known| is_possible(&seen, known, span, |found, state| fits(found, state, span))) {
            self.desk.fault(format!("{what} of secret {secret} was {seen:?}, which is none of {known:?}"));
        }
        self.desk.count(|counts| {
            counts.calls += 1;
            counts.reads += 1;
        });
    }

    /// One value.
    pub(crate) fn get(&self, chance: &mut Chance) {
        let secret = chance.below(self.plan().secrets());
        let is_turning = self.plan().kind(secret) == Kind::Turning;
        let ask = match (chance.below(4), self.desk.ledger.acknowledged(secret)) {
            (0, Some(state)) if !is_turning => Ask::Version(*chance.pick(&state.versions)),
            (1, _) if !is_turning => Ask::Labelled(*chance.pick(&Label::ALL)),
            _ => Ask::Current,
        };
        let request = GetSecretValueRequest::new(name_of(secret));
        let request = match ask {
            Ask::Current => request,
            Ask::Labelled(label) => request.version_stage(label.name()),
            Ask::Version(made) => request.version_id(made.token(secret)),
        };
        let read = || {
            let answer = self.secrets.get_secret_value(request);
            classify(answer.as_ref())?.then(|read| {
                self.desk.count(|counts| counts.values += 1);
                let made = recognise(self.plan(), secret, read.secret_string.as_ref(), read.secret_binary.as_ref())?;
                self.same_version(secret, made, &read.version_id)
            })
        };
        self.check(secret, &format!("{ask:?}"), read, |found, state, span| match ask {
            Ask::Current => found.copied() == state.holder(Label::Current),
            Ask::Labelled(label) => found.copied() == state.holder(label),
            Ask::Version(made) => match found {
                Some(found) => *found == made && state.versions.contains(&made),
                None => !state.versions.contains(&made) || state.may_be_gone(made, span.end),
            },
        });
    }

    /// The value says of which version it is. Versions of rotations have ids of their own.
    fn same_version(&self, secret: usize, made: Made, version: &str) -> Result<Made, String> {
        if self.plan().kind(secret) != Kind::Turning && made.token(secret) != version {
            return Err(format!("version {version} has the value {made:?}"));
        }
        Ok(made)
    }

    /// Several values at once.
    pub(crate) fn batch(&self, chance: &mut Chance) {
        let wanted: BTreeSet<usize> = (0..20).map(|_| chance.below(self.plan().secrets())).collect();
        let from: BTreeMap<usize, usize> =
            wanted.iter().map(|secret| (*secret, self.desk.ledger.begin_reading(*secret))).collect();
        let begin = self.desk.now();
        let request = BatchGetSecretValueRequest::new().secret_id_list(wanted.iter().map(|secret| name_of(*secret)));
        let answer = self.secrets.batch_get_secret_value(request);
        let answer = answer.unwrap_or_else(|error| self.desk.fault(format!("a batch failed: {error:?}")));
        let mut seen = BTreeMap::new();
        for read in &answer.secret_values {
            let Some(secret) = secret_of(&read.name) else { self.desk.fault(format!("{} in a batch", read.name)) };
            let made = recognise(self.plan(), secret, read.secret_string.as_ref(), read.secret_binary.as_ref())
                .and_then(|made| self.same_version(secret, made, &read.version_id));
            let made = made.unwrap_or_else(|fault| self.desk.fault(format!("secret {secret} in a batch: {fault}")));
            if seen.insert(secret, Seen::Found(made)).is_some() {
                self.desk.fault(format!("secret {secret} is in a batch twice"));
            }
        }
        for failed in &answer.errors {
            let secret = secret_of(&failed.secret_id).unwrap_or(usize::MAX);
            match classify(Err(&failed.error)) {
                Ok(told) => _ = seen.insert(secret, told),
                Err(fault) => self.desk.fault(format!("secret {secret} in a batch: {fault}")),
            }
        }
        let span = Span { begin, end: self.desk.now() };
        for (secret, from) in from {
            let known = self.desk.ledger.end_reading(secret, from);
            let seen = seen.get(&secret);
            let fits = |found: Option<&Made>, state: &State| found.copied() == state.holder(Label::Current);
            let is_right = seen.is_some_and(|seen| known.iter().any(|known| is_possible(seen, known, span, fits)));
            if !is_right {
                self.desk.fault(format!("secret {secret} in a batch was {seen:?}, which is none of {known:?}"));
            }
        }
        self.desk.count(|counts| {
            counts.calls += 1;
            counts.reads += wanted.len() as u64;
            counts.values += answer.secret_values.len() as u64;
        });
    }

    /// Everything but values. Also of what is scheduled for deletion.
    pub(crate) fn describe(&self, chance: &mut Chance) {
        let secret = chance.below(self.plan().secrets());
        let from = self.desk.ledger.begin_reading(secret);
        let begin = self.desk.now();
        let about = about(self.secrets, secret).unwrap_or_else(|fault| self.desk.fault(fault));
        let span = Span { begin, end: self.desk.now() };
        let known = self.desk.ledger.end_reading(secret, from);
        let is_right = known.iter().any(|known| match (&about, known.as_deref(), span.standing(known)) {
            (None, _, Standing::Gone | Standing::Ending) => true,
            (Some(about), Some(state), Standing::There(_) | Standing::Scheduled | Standing::Ending) => {
                about.is_of(state, self.plan(), secret)
            }
            _ => false,
        });
        if !is_right {
            self.desk.fault(format!("secret {secret} is described as {about:?}, which is none of {known:?}"));
        }
        self.desk.count(|counts| {
            counts.calls += 1;
            counts.reads += 1;
        });
    }

    pub(crate) fn policy(&self, chance: &mut Chance) {
        let secret = chance.below(self.plan().secrets());
        let read = || {
            let answer = self.secrets.get_resource_policy(GetResourcePolicyRequest::new(name_of(secret)));
            classify(answer.as_ref().map(|answer| answer.resource_policy.clone()))
        };
        self.check(secret, "the policy", read, |found, state, _| {
            found == Some(&(state.policy != 0).then(|| policy(state.policy)))
        });
    }

    /// All secrets whose names begin alike, page by page.
    pub(crate) fn list(&self, chance: &mut Chance) {
        let first = chance.below(self.plan().secrets()) / 100;
        let prefix = format!("soak/secret-{first:03}");
        let wanted = first * 100..((first + 1) * 100).min(self.plan().secrets());
        let from: Vec<usize> = wanted.clone().map(|secret| self.desk.ledger.begin_reading(secret)).collect();
        let begin = self.desk.now();
        let mut listed: BTreeMap<usize, Vec<About>> = BTreeMap::new();
        let mut next_token: Option<String> = None;
        let mut pages = 0;
        loop {
            let mut request = ListSecretsRequest::new().filters([Filter::new(FilterKey::Name, [&prefix])]);
            request = request.max_results(PAGE);
            if let Some(token) = next_token {
                request = request.next_token(token);
            }
            let page = self.secrets.list_secrets(request);
            let page = page.unwrap_or_else(|error| self.desk.fault(format!("a list failed: {error:?}")));
            pages += 1;
            for entry in page.secret_list {
                let secret = secret_of(&entry.name).filter(|secret| wanted.contains(secret));
                let Some(secret) = secret else { self.desk.fault(format!("{} in the list of {prefix}", entry.name)) };
                let is_scheduled = entry.deleted_date.is_some();
                let about = About::new(entry.description, entry.tags, entry.secret_versions_to_stages, is_scheduled);
                listed.entry(secret).or_default().push(about);
            }
            next_token = page.next_token;
            if next_token.is_none() {
                break;
            }
        }
        let span = Span { begin, end: self.desk.now() };
        for (secret, from) in wanted.clone().zip(from) {
            let known = self.desk.ledger.end_reading(secret, from);
            let entries = listed.remove(&secret).unwrap_or_default();
            let is_listed = |entry: &About| {
                let fits = |known: &Known| match span.standing(known) {
                    Standing::There(state) => entry.is_of(state, self.plan(), secret),
                    _ => false,
                };
                known.iter().any(fits)
            };
            let may_be_missing = known.iter().any(|known| !matches!(span.standing(known), Standing::There(_)));
            let is_right = match entries.as_slice() {
                [] => may_be_missing,
                [entry] => is_listed(entry),
                // It was deleted on an earlier page and created again on a later one.
                entries => may_be_missing && entries.iter().all(is_listed),
            };
            if !is_right {
                self.desk.fault(format!("secret {secret} is listed as {entries:?}, which is none of {known:?}"));
            }
        }
        self.desk.count(|counts| {
            counts.calls += pages;
            counts.reads += wanted.len() as u64;
        });
    }

    /// The ids of all versions of a secret that does not rotate.
    pub(crate) fn versions(&self, chance: &mut Chance) {
        let secret = chance.below(self.plan().secrets());
        if self.plan().kind(secret) == Kind::Turning {
            return;
        }
        let from = self.desk.ledger.begin_reading(secret);
        let begin = self.desk.now();
        let listed = versions(self.secrets, secret).unwrap_or_else(|fault| self.desk.fault(fault));
        let span = Span { begin, end: self.desk.now() };
        let known = self.desk.ledger.end_reading(secret, from);
        // The pages are of several moments, so that each version is looked at on its own.
        let all: BTreeMap<String, Made> = known
            .iter()
            .flatten()
            .flat_map(|state| state.versions.iter().map(|made| (made.token(secret), *made)))
            .collect();
        let may_be_missing = |made: Made| {
            known.iter().any(|known| match known.as_deref() {
                None => true,
                Some(state) => {
                    !matches!(span.standing(known), Standing::There(_) | Standing::Scheduled)
                        || !state.versions.contains(&made)
                        || state.may_be_gone(made, span.end)
                }
            })
        };
        let unknown = listed.iter().flatten().find(|version| !all.contains_key(*version));
        let is_listed = |version: &String| listed.as_ref().is_some_and(|listed| listed.contains(version));
        let missing = all.iter().find(|(version, made)| !is_listed(version) && !may_be_missing(**made));
        if unknown.is_some() || missing.is_some() {
            self.desk
                .fault(format!("versions of secret {secret}: unknown {unknown:?}, missing {missing:?} of {known:?}"));
        }
        self.desk.count(|counts| {
            counts.calls += 1;
            counts.reads += 1;
        });
    }
}

impl<T> Seen<T> {
    fn then<U>(self, look: impl FnOnce(T) -> Result<U, String>) -> Result<Seen<U>, String> {
        match self {
            Self::Found(found) => look(found).map(Seen::Found),
            Self::NotFound => Ok(Seen::NotFound),
            Self::Scheduled => Ok(Seen::Scheduled),
        }
    }
}

/// What is said of a secret, if it is there.
fn about(secrets: &SecretsManager, secret: usize) -> Result<Option<About>, String> {
    match secrets.describe_secret(DescribeSecretRequest::new(name_of(secret))) {
        Ok(said) => {
            let is_scheduled = said.deleted_date.is_some();
            Ok(Some(About::new(said.description, said.tags, said.version_ids_to_stages, is_scheduled)))
        }
        Err(error) if *error.kind() == ErrorKind::ResourceNotFound => Ok(None),
        Err(error) => Err(format!("secret {secret} cannot be described: {error:?}")),
    }
}

/// The ids of all versions that have a value, if the secret is there.
fn versions(secrets: &SecretsManager, secret: usize) -> Result<Option<BTreeSet<String>>, String> {
    let mut versions = BTreeSet::new();
    let mut next_token: Option<String> = None;
    loop {
        let mut request = ListSecretVersionIdsRequest::new(name_of(secret)).include_deprecated(true);
        if let Some(token) = next_token {
            request = request.next_token(token);
        }
        match secrets.list_secret_version_ids(request) {
            Ok(page) => {
                versions.extend(page.versions.into_iter().map(|version| version.version_id));
                next_token = page.next_token;
            }
            Err(error) if *error.kind() == ErrorKind::ResourceNotFound => return Ok(None),
            Err(error) => return Err(format!("the versions of secret {secret} cannot be listed: {error:?}")),
        }
        if next_token.is_none() {
            return Ok(Some(versions));
        }
    }
}

/// Everything of a secret, every value included, while nobody changes it. Gives the number of values too.
pub(crate) fn observe(secrets: &SecretsManager, plan: &Plan, secret: usize) -> Result<(Option<Observed>, u64), String> {
    let Some(about) = about(secrets, secret)? else { return Ok((None, 0)) };
    let versions = versions(secrets, secret)?.ok_or("its versions are gone")?;
    let (mut policy, mut current, mut values) = (None, None, 0);
    if !about.is_scheduled {
        let said = secrets.get_resource_policy(GetResourcePolicyRequest::new(name_of(secret)));
        policy = said.map_err(|error| format!("its policy cannot be read: {error:?}"))?.resource_policy;
        for version in &versions {
            let read = secrets.get_secret_value(GetSecretValueRequest::new(name_of(secret)).version_id(version));
            let read = read.map_err(|error| format!("version {version} cannot be read: {error:?}"))?;
            let made = recognise(plan, secret, read.secret_string.as_ref(), read.secret_binary.as_ref())?;
            if plan.kind(secret) != Kind::Turning && made.token(secret) != *version {
                return Err(format!("version {version} has the value {made:?}"));
            }
            if about.labels.get(Label::Current.name()) == Some(version) {
                current = Some(made);
            }
            values += 1;
        }
    }
    Ok((Some(Observed { about, policy, versions, current }), values))
}
