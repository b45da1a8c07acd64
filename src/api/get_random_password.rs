//! `GetRandomPassword`.

use crate::access::Access;
use crate::entropy::{Dice, Entropy};
use crate::error::{Error, Result};
use crate::model::limits as lim;
use crate::model::shape::Shape;
use crate::model::value::SecretString;
use crate::store::SecretsManager;
use zeroize::Zeroizing;

request! {
    /// Request of [`SecretsManager::get_random_password`].
    GetRandomPasswordRequest {
        optional {
            /// 1 to 4,096. Absent: 32.
            password_length: i64,
            /// Characters that must not appear, at most 4,096.
            exclude_characters: String,
            /// Whether digits are left out.
            exclude_numbers: bool,
            /// Whether punctuation is left out: ``!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~``.
            exclude_punctuation: bool,
            /// Whether upper-case letters are left out.
            exclude_uppercase: bool,
            /// Whether lower-case letters are left out.
            exclude_lowercase: bool,
            /// Whether a space may appear.
            include_space: bool,
            /// Whether at least one character of every type that is not left out must appear. Absent: yes.
            require_each_included_type: bool,
        }
    }
}

response! {
    /// Response of [`SecretsManager::get_random_password`].
    #[derive(Debug)]
    GetRandomPasswordResponse {
        /// The password.
        random_password: SecretString,
    }
}

const UPPERCASE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWERCASE: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const NUMBERS: &[u8] = b"0123456789";
const PUNCTUATION: &[u8] = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

impl SecretsManager {
    /// Makes a random password. Nothing is stored.
    ///
    /// Every character is drawn uniformly from what is allowed, by rejection. Characters that must appear are drawn
    /// first, uniformly from their type, and then all are shuffled.
    ///
    /// # Errors
    ///
    /// In this order, the first that applies:
    ///
    /// 1. [`ErrorKind::Validation`](crate::ErrorKind::Validation): the length or the excluded characters are out of
    ///    range.
    /// 2. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): no character is left.
    /// 3. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): none of a required type is left.
    /// 4. [`ErrorKind::InvalidParameter`](crate::ErrorKind::InvalidParameter): the password is too short for the required
    ///    types.
    /// 5. [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned), [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    /// 6. [`ErrorKind::Entropy`](crate::ErrorKind::Entropy): the random source failed.
    ///
    /// # Example
    ///
    /// ```
    /// # use strongroom::*;
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// # let secrets = store.default_secrets_manager();
    /// let made = secrets.get_random_password(GetRandomPasswordRequest::new().password_length(20).exclude_punctuation(true))?;
    /// assert_eq!(made.random_password.expose().len(), 20);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html>
    pub fn get_random_password(&self, request: GetRandomPasswordRequest) -> Result<GetRandomPasswordResponse> {
        self.call(request, |request| {
            let recipe = Recipe::parse(request)?;
            self.records().usable()?;
            self.authorize_call(&Access::to("GetRandomPassword"))?;
            Ok(GetRandomPasswordResponse { random_password: recipe.make(self.entropy())? })
        })
    }
}

/// What a password may consist of.
#[derive(Debug)]
struct Recipe {
    length: usize,
    /// Types of which at least one character must appear.
    required: Vec<Vec<u8>>,
    pool: Vec<u8>,
}

impl Recipe {
    fn parse(request: GetRandomPasswordRequest) -> Result<Self> {
        let GetRandomPasswordRequest {
            password_length,
            exclude_characters,
            exclude_numbers,
            exclude_punctuation,
            exclude_uppercase,
            exclude_lowercase,
            include_space,
            require_each_included_type,
        } = request;
        let length = password_length.unwrap_or(lim::PASSWORD_CHARS_DEFAULT);
        let mut shape = Shape::new();
        shape.number("passwordLength", length, 1, lim::PASSWORD_CHARS_MAX);
        shape.optional_text("excludeCharacters", exclude_characters.as_ref(), 0, lim::EXCLUDE_CHARS_MAX);
        shape.finish()?;
        let length = usize::try_from(length).unwrap_or_default();

        let excluded = exclude_characters.unwrap_or_default();
        let left = |of: &[u8]| -> Vec<u8> {
            of.iter().copied().filter(|character| !excluded.as_bytes().contains(character)).collect()
        };
        let types: Vec<Vec<u8>> = [
            (exclude_uppercase, UPPERCASE),
            (exclude_lowercase, LOWERCASE),
            (exclude_numbers, NUMBERS),
            (exclude_punctuation, PUNCTUATION),
        ]
        .into_iter()
        .filter(|(is_excluded, _)| *is_excluded != Some(true))
        .map(|(_, characters)| left(characters))
        .collect();
        let mut pool = types.concat();
        if include_space == Some(true) {
            pool.extend(left(b" "));
        }
        if pool.is_empty() {
            return Err(Error::invalid_parameter("All characters have been excluded from selection."));
        }
        let required = if require_each_included_type == Some(false) { Vec::new() } else { types };
        if required.iter().any(Vec::is_empty) {
            return Err(Error::invalid_parameter("All characters of the desired type have been excluded."));
        }
        if length < required.len() {
            return Err(Error::invalid_parameter("Password length is too short based on the required types."));
        }
        Ok(Self { length, required, pool })
    }

    fn make(&self, entropy: &dyn Entropy) -> Result<SecretString> {
        let Self { length, required, pool } = self;
        let mut dice = Dice::new(entropy);
        // Exactly sized, so that it never moves and leaves a copy behind.
        let mut password = Zeroizing::new(Vec::with_capacity(*length));
        let sets = required.iter().chain(std::iter::repeat(pool)).take(*length);
        for set in sets {
            password.extend(set.get(dice.below(set.len())?).copied());
        }
        for last in (1..password.len()).rev() {
            password.swap(last, dice.below(last + 1)?);
        }
        // Only ASCII was put in.
        let text = String::from_utf8(std::mem::take(&mut *password)).unwrap_or_default();
        Ok(SecretString::from(text))
    }
}
