//! Arguments that say who rotates secrets.

use std::net::SocketAddr;

use clap::Args;
use strongroom::LambdaEndpointFunction;

use crate::arguments::address;

/// The ARNs that a function stands for if none is given.
pub(crate) const EVERY_ARN: &str = "arn:*";

/// Who does the work of a rotation. Without any of these, `RotateSecret` answers that the function cannot be invoked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rotation")]
pub(crate) struct Rotation {
    /// An endpoint that speaks Lambda's API, which is called for every function ARN that has no --rotation-command
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub(crate) lambda_endpoint: Option<LambdaEndpointFunction>,

    /// A program that stands for the function ARN, or for every ARN that begins with it if it ends with `*`; without an ARN
    /// for all. It runs once for each step of a rotation, with the event on its standard input (can be given several times)
    #[cfg(unix)]
    #[arg(long, value_name = "[ARN=]PROGRAM", value_parser = RotationCommand::parse)]
    pub(crate) rotation_command: Vec<RotationCommand>,
}

impl Rotation {
    /// Whether nobody does the work.
    pub(crate) fn is_nobody(&self) -> bool {
        #[cfg(unix)]
        if !self.rotation_command.is_empty() {
            return false;
        }
        self.lambda_endpoint.is_none()
    }

    /// The function ARN that is meant, if there is only one that could be.
    pub(crate) fn only_arn(&self) -> Option<&str> {
        #[cfg(unix)]
        if let ([command], None) = (self.rotation_command.as_slice(), &self.lambda_endpoint) {
            return Some(command.arn.as_str()).filter(|arn| !arn.ends_with('*'));
        }
        None
    }
}

/// Who does the work of the rotations that a command makes without a server, and where they find the secrets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rotation")]
pub(crate) struct Beside {
    #[command(flatten)]
    pub(crate) rotation: Rotation,

    /// Where the API is served for them, on this machine only, until the work is done. Needed with --lambda-endpoint, whose
    /// functions have to be told; programs are told by themselves [default: a free port]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "Rotation", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,
}

fn endpoint(url: &str) -> Result<LambdaEndpointFunction, String> {
    LambdaEndpointFunction::new(url).map_err(|error| error.to_string())
}

/// A program, and the function ARNs that it stands for.
#[cfg(unix)]
#[derive(Debug, Clone)]
pub(crate) struct RotationCommand {
    /// An ARN, or the beginning of one with `*` behind it.
    pub(crate) arn: String,
    pub(crate) program: std::path::PathBuf,
}

#[cfg(unix)]
impl RotationCommand {
    /// Only what begins like an ARN is one, so that programs may have a `=` in their paths.
    fn parse(text: &str) -> Result<Self, String> {
        let (arn, program) = match text.split_once('=').filter(|_| text.starts_with("arn:")) {
            Some((arn, program)) => (arn, program),
            None if text.starts_with("arn:") => return Err("there is no PROGRAM".to_owned()),
            None => (EVERY_ARN, text),
        };
        if program.is_empty() {
            return Err("there is no PROGRAM".to_owned());
        }
        if arn.trim_end_matches('*').contains('*') || arn.ends_with("**") {
            return Err("an ARN has a `*` at its end only".to_owned());
        }
        Ok(Self { arn: arn.to_owned(), program: program.into() })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_an_arn_before_it() {
        let rows = [
            ("./rotate", Some(("arn:*", "./rotate"))),
            ("/opt/a=b", Some(("arn:*", "/opt/a=b"))),
            (
                "arn:aws:lambda:us-east-1:1:function:f=/opt/a=b",
                Some(("arn:aws:lambda:us-east-1:1:function:f", "/opt/a=b")),
            ),
            ("arn:aws:lambda:us-*=rotate", Some(("arn:aws:lambda:us-*", "rotate"))),
            ("arn:*=rotate", Some(("arn:*", "rotate"))),
            ("", None),
            ("arn:aws:lambda:us-east-1:1:function:f", None),
            ("arn:aws:lambda:us-east-1:1:function:f=", None),
            ("arn:aws:*:us-east-1=rotate", None),
            ("arn:**=rotate", None),
        ];
        for (text, expected) in rows {
            let parsed = RotationCommand::parse(text).ok();
            let found = parsed.as_ref().map(|parsed| (parsed.arn.as_str(), parsed.program.to_str().unwrap()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
