//! `strongroom get`.

use std::io::{self, IsTerminal as _, Write as _};

use strongroom::GetSecretValueRequest;

use crate::arguments::{Get, Secret};
use crate::failure::{Code, Failure};
use crate::{output, place};

pub(crate) fn run(arguments: Get) -> Result<(), Failure> {
    let Get { secret: Secret { id, place, format }, version_id, version_stage } = arguments;
    let mut request = GetSecretValueRequest::new(id);
    request.version_id = version_id;
    request.version_stage = version_stage;
    let read = place::open(&place)?.get_secret_value(request)?;

    let is_terminal = io::stdout().is_terminal();
    if is_terminal {
        writeln!(
            io::stderr(),
            "warning: the value is shown on this terminal, which may keep it; a pipe or a file would not"
        )?;
    }
    match (format.json, &read.secret_string, &read.secret_binary) {
        (true, ..) => output::json(&read),
        (false, Some(text), _) => output::secret(text.expose()),
        (false, None, Some(_)) if is_terminal => Err(Failure::new(Code::Invalid, "the value is binary")
            .hint("send it to a file or a pipe, or use --json for base64")),
        (false, None, Some(bytes)) => output::bytes(bytes.expose()),
        (false, None, None) => Ok(()),
    }
}
