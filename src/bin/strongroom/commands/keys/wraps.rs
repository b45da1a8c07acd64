//! `strongroom keys rewrap`, `reencrypt`, `drop-wraps` and `add-recipient`.

use serde_json::json;
use strongroom::{KeyOptions, RewrapReport};

use crate::arguments::keys::{AddRecipient, DropWraps, Reencrypt, Rewrap, Scope};
use crate::commands::keys::report::{self, Done};
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place;

pub(crate) fn rewrap(arguments: Rewrap) -> Result<(), Failure> {
    let Rewrap { replace, scope, report: format, holder } = arguments;
    let mut options = options(&scope)?;
    if let Some([from, to]) = replace.as_deref() {
        options = options.replace_key(from, to);
    }
    let done = report::between(place::open_store(&holder.place)?, "rewrapping", scope.dry_run, |store, tell| {
        store.rewrap(&options, tell)
    })?;
    print_rewrap(&done, scope.dry_run, format.json)
}

pub(crate) fn add_recipient(arguments: &AddRecipient) -> Result<(), Failure> {
    let AddRecipient { key, dry_run, report: format, holder } = arguments;
    if *dry_run {
        return report::rehearse(place::open_store(&holder.place)?, format.json, |census| {
            format!("would wrap {} and the root key for `{key}`", counted(census.versions, "version"))
        });
    }
    place::make_others(&holder.place)?;
    let done = report::between(place::open_store(&holder.place)?, "rewrapping", false, |store, tell| {
        store.add_recipient(key, tell)
    })?;
    print_rewrap(&done, false, format.json)
}

pub(super) fn print_rewrap(done: &Done<RewrapReport>, is_dry_run: bool, is_json: bool) -> Result<(), Failure> {
    let RewrapReport { secrets, versions, rewrapped_versions, root_rewrapped, problems, problems_total, .. } =
        &done.outcome;
    done.print_censuses(is_json)?;
    report::print_problems(problems, *problems_total, is_json)?;
    if is_json {
        output::json_line(&json!({
            "clean": *problems_total == 0,
            "dry_run": is_dry_run,
            "secrets": secrets,
            "versions": versions,
            "rewrapped_versions": rewrapped_versions,
            "root_rewrapped": root_rewrapped,
            "problems": problems_total,
        }))?;
    } else {
        output::line(format_args!(
            "{} {} of {} in {}{}",
            if is_dry_run { "would rewrap" } else { "rewrapped" },
            rewrapped_versions,
            counted(*versions, "version"),
            counted(*secrets, "secret"),
            if *root_rewrapped { ", and the root key" } else { "" },
        ))?;
    }
    require_usable_keys(*problems_total)
}

pub(crate) fn reencrypt(arguments: &Reencrypt) -> Result<(), Failure> {
    let Reencrypt { scope, anew, report: format, holder } = arguments;
    let options = options(scope)?.anew(*anew);
    let what = "encrypting anew";
    let done = report::between(place::open_store(&holder.place)?, what, scope.dry_run, |store, tell| {
        store.reencrypt(&options, tell)
    })?;
    let outcome = &done.outcome;
    done.print_censuses(format.json)?;
    report::print_problems(&outcome.problems, outcome.problems_total, format.json)?;
    if format.json {
        output::json_line(&json!({
            "clean": outcome.problems_total == 0,
            "dry_run": scope.dry_run,
            "secrets": outcome.secrets,
            "versions": outcome.versions,
            "resumed": outcome.was_resumed,
            "problems": outcome.problems_total,
        }))?;
    } else {
        output::line(format_args!(
            "{} {} in {}{}",
            if scope.dry_run { "would encrypt anew" } else { "encrypted anew" },
            counted(outcome.versions, "version"),
            counted(outcome.secrets, "secret"),
            if outcome.was_resumed { ", those before an interruption included" } else { "" },
        ))?;
    }
    require_usable_keys(outcome.problems_total)
}

pub(crate) fn drop_wraps(arguments: &DropWraps) -> Result<(), Failure> {
    let DropWraps { key, scope, report: format, holder } = arguments;
    let options = options(scope)?;
    let what = "removing wrapped keys";
    let done = report::between(place::open_store(&holder.place)?, what, scope.dry_run, |store, tell| {
        store.drop_wraps(key, &options, tell)
    })?;
    let outcome = &done.outcome;
    if outcome.versions == 0 && !outcome.root_dropped && outcome.problems_total == 0 {
        return Err(Failure::new(Code::Key, format!("nothing is wrapped under a key `{key}`"))
            .hint("`strongroom keys census` shows the ARNs of the keys that are in use"));
    }
    done.print_censuses(format.json)?;
    report::print_problems(&outcome.problems, outcome.problems_total, format.json)?;
    if format.json {
        output::json_line(&json!({
            "clean": outcome.problems_total == 0,
            "dry_run": scope.dry_run,
            "secrets": outcome.secrets,
            "versions": outcome.versions,
            "root_dropped": outcome.root_dropped,
            "problems": outcome.problems_total,
        }))?;
    } else {
        output::line(format_args!(
            "{} from {}{}",
            if scope.dry_run { "would remove the key" } else { "removed the key" },
            counted(outcome.versions, "version"),
            if outcome.root_dropped { ", and from the root key" } else { "" },
        ))?;
    }
    require_all_dropped(outcome.problems_total)
}

/// Which secrets, and whether in earnest.
fn options(scope: &Scope) -> Result<KeyOptions, Failure> {
    let mut options = KeyOptions::new().dry_run(scope.dry_run);
    for tenant in &scope.only {
        let Some((account, region)) = tenant.split_once('/') else {
            return Err(Failure::usage(format!("--only wants ACCOUNT/REGION, and got `{tenant}`")));
        };
        // Before the store is opened, and before its root key is touched.
        place::require_tenant(account, region)?;
        options = options.only(account, region);
    }
    Ok(options)
}

fn require_usable_keys(problems: u64) -> Result<(), Failure> {
    report::require_none(problems, Code::Key, "a key is in the way")
        .map_err(|failure| failure.hint("once the key can be used, call this again"))
}

fn require_all_dropped(problems: u64) -> Result<(), Failure> {
    report::require_none(problems, Code::Conflict, "nothing else opens what the key opens").map_err(|failure| {
        failure.hint("`strongroom keys rewrap --replace KEY OTHER` wraps under another key what this one opens")
    })
}
