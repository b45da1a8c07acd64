//! `strongroom compact`.

use serde::Serialize;

use crate::arguments::upkeep::Compact;
use crate::failure::Failure;
use crate::output::{self, counted};
use crate::place::{self, WholeKeys};

#[derive(Serialize)]
struct Summary {
    records: u64,
    bytes_before: u64,
    bytes_after: u64,
}

pub(crate) fn run(arguments: Compact) -> Result<(), Failure> {
    let Compact { whole, report: format } = arguments;
    place::require_store_in(&whole.dir)?;
    let keys = WholeKeys::new(&whole, &whole.dir)?;
    let done = keys.opened(format!("opening {}", whole.dir.display()), |builder, tell| builder.compact(tell))?;
    if format.json {
        let (records, bytes_before, bytes_after) = (done.records, done.bytes_before, done.bytes_after);
        return output::json_line(&Summary { records, bytes_before, bytes_after });
    }
    output::members([
        ("Records", vec![counted(done.records, "record")]),
        ("Before", vec![counted(done.bytes_before, "byte")]),
        ("After", vec![counted(done.bytes_after, "byte")]),
    ])
}
