//! `strongroom completions`.

use clap::CommandFactory as _;

use crate::arguments::{Arguments, Completions};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "strongroom", &mut script);
    output::bytes(&script)
}
