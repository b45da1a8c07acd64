//! `strongroom policy`.

mod delete;
mod explain;
mod get;
mod list;
mod put;
mod validate;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::arguments::Key;
use crate::arguments::policy::PolicyCommand;
use crate::failure::{Code, Failure};

/// Longest document that is read, in bytes. None of as many characters as a policy may have is longer.
const POLICY_BYTES_MAX: usize = 4 * 20_480;

pub(crate) fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Put(put) => put::run(put),
        PolicyCommand::Get(secret) => get::run(secret),
        PolicyCommand::Delete(secret) => delete::run(secret),
        PolicyCommand::List(secret) => list::run(secret),
        PolicyCommand::Validate(validate) => validate::run(validate),
        PolicyCommand::Explain(explain) => explain::run(explain),
    }
}

/// The text of a policy in a file, or on standard input if that is `-`.
fn read(path: &Path, key: &Key) -> Result<String, Failure> {
    let bytes = if path != Path::new("-") {
        File::open(path).map_err(Failure::from).and_then(read_all).map_err(|failure| failure.during(path.display()))?
    } else if key.passphrase_fd == Some(0) {
        return Err(Failure::usage("standard input cannot be both the passphrase and a policy")
            .hint("use another descriptor, or a FILE"));
    } else {
        read_all(io::stdin().lock())?
    };
    String::from_utf8(bytes).map_err(|error| {
        let text = format!("it is not UTF-8 text from byte {} on", error.utf8_error().valid_up_to() + 1);
        Failure::new(Code::Invalid, text).during(path.display())
    })
}

fn read_all(source: impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    source.take(POLICY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(Failure::new(Code::Invalid, format!("a policy has at most {POLICY_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
