//! `strongroom compact`.

use serde::Serialize;

use crate::arguments::upkeep::Compact;
use crate::failure::Failure;
use crate::output::{self, counted};
use crate::place::{self, WholeKeys};

#[derive(Serialize)]
struct Summary {
    compacted: bool,
    records: u64,
    live_bytes: u64,
    bytes_before: u64,
    bytes_after: u64,
}

pub(crate) fn run(arguments: Compact) -> Result<(), Failure> {
    let Compact { if_recommended, whole, report: format } = arguments;
    place::require_store_in(&whole.dir)?;
    let keys = WholeKeys::new(&whole, &whole.dir)?;
    let done = keys.opened(format!("opening {}", whole.dir.display()), |builder, tell| {
        if if_recommended { builder.compact_if_recommended(tell) } else { builder.compact(tell) }
    })?;
    if format.json {
        return output::json_line(&Summary {
            compacted: done.is_compacted,
            records: done.records,
            live_bytes: done.live_bytes,
            bytes_before: done.bytes_before,
            bytes_after: done.bytes_after,
        });
    }
    output::members([
        ("Compacted", vec![if done.is_compacted { "yes" } else { "no" }.to_owned()]),
        ("Records", vec![counted(done.records, "record")]),
        ("Live", vec![counted(done.live_bytes, "byte")]),
        ("Before", vec![counted(done.bytes_before, "byte")]),
        ("After", vec![counted(done.bytes_after, "byte")]),
    ])
}
