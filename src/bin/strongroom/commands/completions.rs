//! `strongroom completions`.

use clap::{Command, CommandFactory as _};

use crate::arguments::{Arguments, Completions};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut shown(&Arguments::command()), "strongroom", &mut script);
    output::bytes(&script)
}

/// The command without what is hidden, which completions would offer all the same.
fn shown(whole: &Command) -> Command {
    Command::new("strongroom")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
}
