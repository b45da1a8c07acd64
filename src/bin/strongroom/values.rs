//! Reading the value of a secret from where the arguments say.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::Path;

use strongroom::{SecretBytes, SecretString, SecretValue, limits};
use zeroize::Zeroizing;

use crate::arguments::{Key, Value};
use crate::failure::{Code, Failure};

/// The value, which is never echoed and never an argument unless that was asked for twice.
pub(crate) fn read(value: &Value, key: &Key) -> Result<SecretValue, Failure> {
    let is_from_input = value.value.is_none() && value.value_file.as_deref().is_none_or(|path| path == Path::new("-"));
    if is_from_input && key.passphrase_fd == Some(0) {
        return Err(Failure::usage("standard input cannot be both the passphrase and the value")
            .hint("use another descriptor, or --value-file FILE"));
    }
    let bytes = match (&value.value, &value.value_file) {
        (Some(text), _) => Zeroizing::new(text.clone().into_bytes()),
        (None, Some(path)) if path != Path::new("-") => {
            let file = File::open(path).map_err(|error| Failure::from(error).during(path.display()))?;
            read_all(file).map_err(|failure| failure.during(path.display()))?
        }
        (None, Some(_)) => read_all(io::stdin().lock())?,
        (None, None) if io::stdin().is_terminal() => prompt()?,
        (None, None) => read_all(io::stdin().lock())?,
    };
    if value.binary {
        return Ok(SecretValue::Binary(SecretBytes::from(bytes.as_slice())));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(SecretValue::String(SecretString::from(text))),
        Err(_) => Err(Failure::new(Code::Invalid, "the value is not UTF-8 text").hint("store it with --binary")),
    }
}

/// All of it, up to one byte more than a value may have.
fn read_all(source: impl Read) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let most = limits::VALUE_BYTES_MAX + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    source.take(most as u64).read_to_end(&mut bytes)?;
    if bytes.len() == most {
        return Err(Failure::new(Code::Invalid, format!("the value has more than {} bytes", most - 1)));
    }
    Ok(bytes)
}

fn prompt() -> Result<Zeroizing<Vec<u8>>, Failure> {
    writeln!(io::stderr(), "The value is not shown while you type. To store a file: --value-file FILE.")?;
    Ok(Zeroizing::new(rpassword::prompt_password("Value: ")?.into_bytes()))
}
