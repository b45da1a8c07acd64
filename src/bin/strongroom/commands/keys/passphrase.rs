//! `strongroom keys change-passphrase`.

use strongroom::KeyOptions;

use crate::arguments::keys::ChangePassphrase;
use crate::commands::keys::{report, wraps};
use crate::failure::Failure;
use crate::{output, place};

pub(crate) fn change(arguments: &ChangePassphrase) -> Result<(), Failure> {
    let ChangePassphrase { new, dry_run, report: format, holder } = arguments;
    let store = place::open_changing(&holder.place, new)?;
    let options = KeyOptions::new().dry_run(*dry_run);
    let done = report::between(store, "rewrapping", *dry_run, |store, tell| store.rewrap(&options, tell))?;
    wraps::print_rewrap(&done, *dry_run, format.json)?;
    if format.json || *dry_run {
        return Ok(());
    }
    output::line("the passphrase is changed: only the new one opens the store")
}
