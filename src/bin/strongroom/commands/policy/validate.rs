//! `strongroom policy validate`.

use strongroom::{ResourcePolicy, SecretStore, SecretsManager, StaticKey, ValidateResourcePolicyRequest};

use crate::arguments::policy::ValidatePolicy;
use crate::commands::policy::read;
use crate::failure::{Code, Failure};
use crate::output::{self, counted};
use crate::place;

pub(crate) fn run(arguments: ValidatePolicy) -> Result<(), Failure> {
    let ValidatePolicy { file, secret, place, format } = arguments;
    let text = read(&file, &place.key)?;
    let mut request = ValidateResourcePolicyRequest::new(text.as_str());
    let secrets = match &secret {
        Some(_) => place::open(&place.of_secret()?)?,
        None => of_nothing(&place.account, &place.region)?,
    };
    request.secret_id = secret;
    let mut checked = secrets.validate_resource_policy(request)?;
    // The service's text does not say what is wrong, and where.
    let fault = ResourcePolicy::parse(&text).err();
    for error in checked.validation_errors.iter_mut().filter(|error| error.check_name == "SyntaxCheck") {
        if let Some(fault) = &fault {
            error.error_message = format!("{} ({fault})", error.error_message);
        }
    }
    if format.json {
        output::json(&checked)?;
    } else {
        let rows =
            checked.validation_errors.iter().map(|error| vec![error.check_name.clone(), error.error_message.clone()]);
        match rows.len() {
            0 => output::line("the policy passes every check")?,
            _ => output::table(&["CHECK", "MESSAGE"], rows)?,
        }
    }
    match checked.validation_errors.len() {
        0 => Ok(()),
        failed => {
            let failed = counted(u64::try_from(failed).unwrap_or(u64::MAX), "check");
            Err(Failure::new(Code::Invalid, format!("the policy does not pass {failed}")).during(file.display()))
        }
    }
}

/// An account and a Region of a store that is nowhere.
fn of_nothing(account: &str, region: &str) -> Result<SecretsManager, Failure> {
    let store = SecretStore::in_memory().key_provider(StaticKey::new([0; 32])).open()?;
    Ok(store.secrets_manager(account, region)?)
}
