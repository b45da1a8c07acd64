//! Who rotates the secrets of a store that is served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use strongroom::{Builder, RotationFunction};

use crate::arguments::rotation::{EVERY_ARN, Rotation};
use crate::failure::Failure;
use crate::serve::passes::Passes;

/// With which access key a program comes.
#[derive(Debug, Clone)]
pub(super) enum AccessKey {
    /// With one that it was given by whoever started this process, if any.
    Inherited,
    /// The same, or else with the account of the secret: nobody checks keys.
    Account,
    /// With one of its own for each call.
    Pass(Passes),
}

/// Rotation functions with the ARNs that they stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Functions(Vec<(String, Arc<dyn RotationFunction>)>);

impl Functions {
    /// Those that the arguments name. Programs are told that the server listens at `address`.
    pub(super) fn new(rotation: &Rotation, address: SocketAddr, access_key: &AccessKey) -> Result<Self, Failure> {
        let mut functions: Vec<(String, Arc<dyn RotationFunction>)> = Vec::new();
        if let Some(endpoint) = &rotation.lambda_endpoint {
            functions.push((EVERY_ARN.to_owned(), Arc::new(endpoint.clone())));
        }
        #[cfg(unix)]
        for command in &rotation.rotation_command {
            let program = program::Program::new(&command.program, address, access_key.clone())?;
            functions.push((command.arn.clone(), Arc::new(program)));
        }
        #[cfg(not(unix))]
        let _ = (address, access_key);
        for (index, (arn, _)) in functions.iter().enumerate() {
            if functions.iter().skip(index + 1).any(|(other, _)| other == arn) {
                let text =
                    format!("one of --lambda-endpoint and --rotation-command can stand for `{arn}`, not several");
                return Err(Failure::usage(text).hint("--rotation-command ARN=PROGRAM names a function of its own"));
            }
        }
        Ok(Self(functions))
    }

    pub(super) fn register(&self, builder: Builder) -> Builder {
        self.0
            .iter()
            .fold(builder, |builder, (arn, function)| builder.rotation_function(arn.as_str(), Arc::clone(function)))
    }
}

/// Where a program of this machine reaches the server: one that listens everywhere also listens on the loopback interface.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(unix)]
mod program {
    //! Programs that find the server through their environment.

    use std::net::SocketAddr;
    use std::path::Path;

    use strongroom::{CommandFunction, RotationCall, RotationError, RotationFunction};

    use crate::failure::Failure;
    use crate::serve::functions::AccessKey;

    /// A program with what an SDK in it needs to know.
    #[derive(Debug)]
    pub(super) struct Program {
        command: CommandFunction,
        access_key: AccessKey,
    }

    impl Program {
        pub(super) fn new(program: &Path, address: SocketAddr, access_key: AccessKey) -> Result<Self, Failure> {
            let command = CommandFunction::new(program).env("AWS_ENDPOINT_URL_SECRETS_MANAGER", super::url(address));
            if !command.is_invocable("") {
                return Err(Failure::usage(format!("`{}` is no program that can be run", program.display())));
            }
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let access_key = match access_key {
                AccessKey::Account if is_set("AWS_ACCESS_KEY_ID") || is_set("AWS_SECRET_ACCESS_KEY") => {
                    AccessKey::Inherited
                }
                access_key => access_key,
            };
            Ok(Self { command, access_key })
        }
    }

    impl RotationFunction for Program {
        fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
            let account = call.secrets.account();
            let with_key = |id: &str, secret: &str| {
                self.command.clone().env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret)
            };
            match &self.access_key {
                AccessKey::Inherited => self.command.invoke(call),
                AccessKey::Account => with_key(account, "any").invoke(call),
                AccessKey::Pass(passes) => {
                    let pass = passes.issue(account).map_err(|error| RotationError::new(error.to_string()))?;
                    let command = with_key(pass.access_key_id(), pass.secret_access_key());
                    command.env("AWS_SESSION_TOKEN", pass.session_token()).invoke(call)
                }
            }
        }

        fn is_invocable(&self, function_arn: &str) -> bool {
            self.command.is_invocable(function_arn)
        }
    }

    #[cfg(test)]
    mod tests {
        use std::fs;
        use std::process::Command;

        use strongroom::{RotationStep, SecretStore, StaticKey};

        use super::*;
        use crate::serve::passes::Passes;

        #[test]
        fn an_sdk_in_the_program_finds_the_server_and_the_secret() {
            let folder = tempfile::tempdir().unwrap();
            let (program, out) = (folder.path().join("program"), folder.path().join("program.out"));
            let script =
                "#!/bin/sh\necho \"$AWS_ENDPOINT_URL_SECRETS_MANAGER $AWS_REGION $AWS_ACCESS_KEY_ID\" > $0.out\n";
            // Written by another process, so that nobody holds the file open while it is run.
            let write = Command::new("sh")
                .args(["-c", "printf '%s' \"$1\" > \"$2\" && chmod +x \"$2\"", "sh", script])
                .arg(&program)
                .status();
            assert!(write.unwrap().success());
            let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open().unwrap();
            let secrets = store.secrets_manager("123456789012", "eu-central-1").unwrap();
            let call = RotationCall::new(RotationStep::CreateSecret, "s", "t", secrets);
            let inherited = std::env::var("AWS_ACCESS_KEY_ID").unwrap_or_default();
            let invoke = |access_key: AccessKey| {
                let made = Program::new(&program, "0.0.0.0:4566".parse().unwrap(), AccessKey::Inherited).unwrap();
                Program { access_key, ..made }.invoke(&call).unwrap();
                let found = fs::read_to_string(&out).unwrap();
                let key =
                    found.strip_prefix("http://127.0.0.1:4566 eu-central-1 ").and_then(|key| key.strip_suffix('\n'));
                key.unwrap_or_else(|| panic!("{found:?}")).to_owned()
            };
            assert_eq!(invoke(AccessKey::Account), "123456789012");
            assert_eq!(invoke(AccessKey::Inherited), inherited);
            let passes = Passes::default();
            let keys = [invoke(AccessKey::Pass(passes.clone())), invoke(AccessKey::Pass(passes.clone()))];
            assert!(keys.iter().all(|key| key.starts_with("PASS")) && keys[0] != keys[1], "{keys:?}");
            assert!(passes.credentials().read().unwrap().is_empty(), "a pass is good as long as its program runs");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_an_address_that_it_can_reach() {
        let rows = [
            ("127.0.0.1:4566", "http://127.0.0.1:4566"),
            ("0.0.0.0:4566", "http://127.0.0.1:4566"),
            ("[::]:4566", "http://[::1]:4566"),
            ("[::1]:80", "http://[::1]:80"),
            ("10.1.2.3:80", "http://10.1.2.3:80"),
        ];
        for (address, expected) in rows {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
