//! `strongroom keys rotate-root` and `strongroom keys shred`.

use serde_json::json;

use strongroom::KeyCensus;

use crate::arguments::keys::RootWork;
use crate::commands::keys::report;
use crate::failure::Failure;
use crate::output::{self, counted};
use crate::place;

const STEP: &str = "sealing anew";

pub(crate) fn rotate(arguments: &RootWork) -> Result<(), Failure> {
    let RootWork { dry_run, report: format, holder } = arguments;
    let store = place::open_store(&holder.place)?;
    if *dry_run {
        return report::rehearse(store, format.json, would_seal);
    }
    let done = report::between(store, STEP, false, |store, tell| store.rotate_root_key(tell))?;
    done.print_censuses(format.json)?;
    let outcome = &done.outcome;
    if format.json {
        return output::json_line(&json!({
            "generation": outcome.generation,
            "secrets": outcome.secrets,
            "versions": outcome.versions,
            "resumed": outcome.was_resumed,
        }));
    }
    output::line(format_args!(
        "sealed {} with {} under a root key of generation {}{}",
        counted(outcome.secrets, "secret"),
        counted(outcome.versions, "version"),
        outcome.generation,
        if outcome.was_resumed { ", going on with an interrupted change" } else { "" },
    ))
}

fn would_seal(census: &KeyCensus) -> String {
    let KeyCensus { secrets, versions, root_generation, is_root_changing, .. } = *census;
    format!(
        "would seal {} with {} under a root key of generation {}{}",
        counted(secrets, "secret"),
        counted(versions, "version"),
        u64::from(root_generation) + u64::from(!is_root_changing),
        if is_root_changing { ", going on with an interrupted change" } else { "" },
    )
}

pub(crate) fn shred(arguments: &RootWork) -> Result<(), Failure> {
    let RootWork { dry_run, report: format, holder } = arguments;
    let store = place::open_store(&holder.place)?;
    if *dry_run {
        return report::rehearse(store, format.json, would_seal);
    }
    let done = report::between(store, STEP, false, |store, tell| store.shred(tell))?;
    done.print_censuses(format.json)?;
    let outcome = &done.outcome;
    if format.json {
        return output::json_line(&json!({
            "purged_secrets": outcome.purged_secrets,
            "generation": outcome.generation,
            "secrets": outcome.secrets,
        }));
    }
    output::line(format_args!(
        "removed {} past the recovery window, and sealed {} under a root key of generation {}",
        counted(outcome.purged_secrets, "secret"),
        counted(outcome.secrets, "secret"),
        outcome.generation,
    ))?;
    output::line("what was deleted is unreadable in this store; backups and copies of before are not changed")
}
