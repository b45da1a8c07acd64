//! What the commands on keys have in common: a count of keys before and after, and what stayed as it was.

use serde::Serialize;
use strongroom::{KeyCensus, KeyProblem, KeyUsage, Progress, SecretStore};

use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::progress;

/// What an operation gave, and which keys opened what around it.
pub(super) struct Done<T> {
    pub(super) outcome: T,
    before: KeyCensus,
    /// `None`: nothing was to be changed.
    after: Option<KeyCensus>,
}

/// Does one operation on the keys of a store, between two counts, and closes it.
pub(super) fn between<T>(
    store: SecretStore,
    what: &'static str,
    is_dry_run: bool,
    work: impl FnOnce(&SecretStore, &mut dyn FnMut(Progress)) -> strongroom::Result<T>,
) -> Result<Done<T>, Failure> {
    let done = census(&store).and_then(|before| {
        let outcome = progress::follow(what, |tell| work(&store, tell))?;
        let after = if is_dry_run { None } else { Some(census(&store)?) };
        Ok(Done { outcome, before, after })
    });
    store.close()?;
    done
}

/// Says what an operation on every secret would do, and closes the store.
pub(super) fn rehearse(
    store: SecretStore,
    is_json: bool,
    would: impl FnOnce(&KeyCensus) -> String,
) -> Result<(), Failure> {
    let census = census(&store)?;
    store.close()?;
    print_census("now", &census, is_json)?;
    if is_json {
        let KeyCensus { secrets, versions, .. } = census;
        let line = serde_json::json!({ "dry_run": true, "secrets": secrets, "versions": versions });
        return output::json_line(&line);
    }
    output::line(would(&census))
}

pub(super) fn census(store: &SecretStore) -> Result<KeyCensus, Failure> {
    Ok(progress::follow("counting keys", |tell| store.key_census(tell))?)
}

impl<T> Done<T> {
    pub(super) fn print_censuses(&self, is_json: bool) -> Result<(), Failure> {
        let Self { before, after, .. } = self;
        let Some(after) = after else { return print_census("now", before, is_json) };
        print_census("before", before, is_json)?;
        print_census("after", after, is_json)
    }
}

/// One line for programs about a key.
#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    census: &'static str,
    provider: &'a str,
    key: &'a str,
    key_version: &'a str,
    versions: u64,
    only_key_of: u64,
    opens_store: bool,
    recovery: bool,
}

/// The keys of a census, under the time at which it was taken.
pub(super) fn print_census(when: &'static str, census: &KeyCensus, is_json: bool) -> Result<(), Failure> {
    if !is_json {
        if when != "now" {
            output::line(format_args!("{when}:"))?;
        }
        let header = ["PROVIDER", "KEY", "KEY VERSION", "WRAPPED", "ONLY KEY OF", "STORE", "RECOVERY"];
        return output::table(&header, census.keys.iter().map(row));
    }
    for KeyUsage { key, versions, only_key_of, opens_store, .. } in &census.keys {
        output::json_line(&Line {
            kind: "key",
            census: when,
            provider: &key.provider,
            key: &key.key_arn,
            key_version: &key.key_version,
            versions: *versions,
            only_key_of: *only_key_of,
            opens_store: *opens_store,
            recovery: key.is_recovery,
        })?;
    }
    Ok(())
}

fn row(usage: &KeyUsage) -> Vec<String> {
    let KeyUsage { key, versions, only_key_of, opens_store, .. } = usage;
    let said = |is_so: bool, word: &str| if is_so { word.to_owned() } else { String::new() };
    vec![
        key.provider.clone(),
        key.key_arn.clone(),
        key.key_version.clone(),
        versions.to_string(),
        only_key_of.to_string(),
        said(*opens_store, "opens"),
        said(key.is_recovery, "recovery"),
    ]
}

/// Prints what stayed as it was, one on each line.
pub(super) fn print_problems(problems: &[KeyProblem], total: u64, is_json: bool) -> Result<(), Failure> {
    for KeyProblem { arn, version_id, error, .. } in problems {
        let text = error.to_string();
        if is_json {
            let line = serde_json::json!({ "kind": "problem", "subject": arn, "version_id": version_id, "text": text });
            output::json_line(&line)?;
            continue;
        }
        let subject = match version_id {
            Some(version_id) => format!("{arn}, version {version_id}"),
            None => arn.clone(),
        };
        output::line(output::shown(&format!("problem: {subject}: {text}")))?;
    }
    let rest = total.saturating_sub(problems.len() as u64);
    if rest > 0 && !is_json {
        output::line(format_args!("and {} more", counted(rest, "problem")))?;
    }
    Ok(())
}

/// The end of a command that left something as it was, if it did.
pub(super) fn require_none(problems: u64, code: Code, why: &str) -> Result<(), Failure> {
    if problems == 0 {
        return Ok(());
    }
    Err(Failure::new(code, format!("not everything was done: {why} ({})", counted(problems, "problem"))))
}
