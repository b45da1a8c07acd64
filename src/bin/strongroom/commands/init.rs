//! `strongroom init`.

use std::time::Duration;

use strongroom::OpenMode;

use crate::arguments::Init;
use crate::failure::{Code, Failure};
use crate::output;
use crate::place::{self, Keys};

pub(crate) fn run(arguments: &Init) -> Result<(), Failure> {
    let directory = arguments.place.dir.display();
    if place::is_made(&arguments.place.dir)? {
        return Err(Failure::new(Code::Conflict, format!("there is a store in `{directory}` already")));
    }
    let keys = Keys::new(&arguments.place, place::tell_made)?;
    // Whoever is at work there is making it.
    let builder = keys.builder().mode(OpenMode::CreateNew).wait_for_lock(Duration::ZERO);
    keys.open(builder)?.close()?;
    output::line(format_args!("made a store in {directory}"))
}
