//! `strongroom random-password`. Needs no store.

use strongroom::{DataKey, GetRandomPasswordRequest, OsEntropy, SecretStore, StaticKey};

use crate::arguments::random_password::{CharacterType, RandomPassword};
use crate::failure::{Code, Failure};
use crate::output;

pub(crate) fn run(arguments: RandomPassword) -> Result<(), Failure> {
    let RandomPassword { length, exclude_characters, exclude, include_space, any_types, format } = arguments;
    let excludes = |kind| exclude.contains(&kind);
    let mut request = GetRandomPasswordRequest::new()
        .password_length(length)
        .exclude_numbers(excludes(CharacterType::Numbers))
        .exclude_punctuation(excludes(CharacterType::Punctuation))
        .exclude_uppercase(excludes(CharacterType::Uppercase))
        .exclude_lowercase(excludes(CharacterType::Lowercase))
        .include_space(include_space)
        .require_each_included_type(!any_types);
    request.exclude_characters = exclude_characters;

    let key = DataKey::generate(&OsEntropy::default()).map_err(|error| Failure::new(Code::Other, error.to_string()))?;
    let store = SecretStore::in_memory().key_provider(StaticKey::new(*key.expose())).open()?;
    let made = store.default_secrets_manager().get_random_password(request)?;
    if format.json {
        return output::json(&made);
    }
    output::secret(made.random_password.expose())
}
