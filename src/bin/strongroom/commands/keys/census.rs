//! `strongroom keys census`.

use serde::Serialize;

use crate::arguments::keys::Census;
use crate::commands::keys::report;
use crate::failure::Failure;
use crate::output::{self, counted};
use crate::place;

/// The last line for programs.
#[derive(Serialize)]
struct Summary {
    secrets: u64,
    versions: u64,
    keys: usize,
    recipients: Vec<String>,
    root_generation: u32,
    root_changing: bool,
}

pub(crate) fn run(arguments: &Census) -> Result<(), Failure> {
    let Census { report: format, whole } = arguments;
    let store = place::open_whole(whole)?;
    let census = report::census(&store);
    let recipients = store.recipients();
    store.close()?;
    let census = census?;
    report::print_census("now", &census, format.json)?;
    if format.json {
        return output::json_line(&Summary {
            secrets: census.secrets,
            versions: census.versions,
            keys: census.keys.len(),
            recipients,
            root_generation: census.root_generation,
            root_changing: census.is_root_changing,
        });
    }
    output::line(format_args!(
        "{} with {}, root key of generation {}",
        counted(census.secrets, "secret"),
        counted(census.versions, "version"),
        census.root_generation,
    ))?;
    if !recipients.is_empty() {
        output::line(output::shown(&format!("recovery keys: {}", recipients.join(", "))))?;
    }
    if census.is_root_changing {
        output::line("the root key is being changed: `strongroom keys rotate-root` goes on with it")?;
    }
    Ok(())
}
