//! Two users that take turns, so that one of them always works.

use std::sync::Arc;

use crate::functions::credential::Credential;
use crate::functions::password::PasswordRules;
use crate::functions::single_user::CredentialTarget;
use crate::functions::strategy::{self, Rotation, Strategy};
use crate::model::value::SecretString;
use crate::store::{RotationCall, RotationError, RotationFunction};

/// What the name of the second user ends with.
const CLONE: &str = "_clone";

/// The member that names the superuser's secret.
const SUPERUSER: &str = "masterarn";

/// A system whose users can be made by a superuser.
///
/// It is a [`CredentialTarget`] too: the superuser's own secret opens the same system, and can be rotated with
/// [`SingleUser`](crate::SingleUser).
pub trait UserTarget: CredentialTarget {
    /// Logs in with `login`, the superuser. Makes the user of `new` with its password and with the rights of the user of
    /// `like`; if the user is there already, gives it the password. When this returns, `new` opens the system.
    ///
    /// # Errors
    ///
    /// It did not work, or nobody knows how far it came. It may be called again with every outcome, also with a user that
    /// was made without its rights.
    fn create_or_update_user(
        &self,
        new: &Credential,
        like: &Credential,
        login: &Credential,
    ) -> Result<(), RotationError>;

    /// Characters that the name of a user may have. A user whose second name would be longer is not rotated.
    fn username_chars_max(&self) -> usize;
}

impl<T: UserTarget + ?Sized> UserTarget for Arc<T> {
    fn create_or_update_user(
        &self,
        new: &Credential,
        like: &Credential,
        login: &Credential,
    ) -> Result<(), RotationError> {
        (**self).create_or_update_user(new, like, login)
    }

    fn username_chars_max(&self) -> usize {
        (**self).username_chars_max()
    }
}

/// A [`RotationFunction`] for two users that take turns (feature `json`).
///
/// The value of the secret is a JSON document with `username`, `password` and `masterarn`, the ARN or name of the secret
/// with which a superuser logs in. A rotation gives a new password to the user that is not in use, and makes that user if
/// it is not there: the second name of `app` is `app_clone`, and that of `app_clone` is `app`. The value that was current
/// until then goes on working until the rotation after this one.
///
/// * `createSecret` makes the other user's credential, unless an earlier attempt did. Members other than `username` and
///   `password` stay as they are.
/// * `setSecret` does nothing if the pending credential works already. Otherwise the current one must work, and the
///   superuser makes or changes the other user. A pending value for any other `username`, and another `host` in any of
///   the three, are refused.
/// * `testSecret` and `finishSecret` are those of [`SingleUser`](crate::SingleUser).
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets_strategies.html>
#[derive(Debug, Clone)]
pub struct AlternatingUsers<T> {
    target: T,
    rules: PasswordRules,
}

impl<T: UserTarget> AlternatingUsers<T> {
    /// For secrets that open this system.
    #[must_use]
    pub fn new(target: T) -> Self {
        Self { target, rules: PasswordRules::default() }
    }

    /// Characters of a new password: 1 to 4,096. Default: 32.
    #[must_use]
    pub fn password_length(mut self, length: i64) -> Self {
        self.rules.length = Some(length);
        self
    }

    /// Characters that are in no new password, at most 4,096. Default: ``:/@"'\``.
    #[must_use]
    pub fn exclude_characters(mut self, characters: impl Into<String>) -> Self {
        self.rules.exclude_characters = characters.into();
        self
    }

    /// The name of the user that takes the next turn.
    fn other_name(&self, name: &str) -> Result<SecretString, RotationError> {
        let other = match name.strip_suffix(CLONE).filter(|name| !name.is_empty()) {
            Some(first) => first.to_owned(),
            None => format!("{name}{CLONE}"),
        };
        let most = self.target.username_chars_max();
        if other.chars().count() > most {
            return Err(RotationError::new(format!(
                "the name of the second user would have more than {most} characters"
            )));
        }
        Ok(SecretString::from(other))
    }
}

impl<T: UserTarget> RotationFunction for AlternatingUsers<T> {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        strategy::run(self, call)
    }
}

impl<T: UserTarget> Strategy for AlternatingUsers<T> {
    fn rules(&self) -> &PasswordRules {
        &self.rules
    }

    fn next(&self, current: &Credential, password: &SecretString) -> Result<Credential, RotationError> {
        current.with_user(&self.other_name(current.username())?, password)
    }

    fn set(&self, pending: &Credential, rotation: &Rotation<'_>) -> Result<(), RotationError> {
        let current = rotation.current()?;
        if self.other_name(current.username())?.expose() != pending.username() {
            return Err("the pending value is not for the user whose turn it is".into());
        }
        let superuser = current.member(SUPERUSER).ok_or("the value of the secret has no text `masterarn`")?;
        let superuser = rotation.of_other_secret(superuser.expose())?;
        if !pending.is_for_the_same_host(&current) || !superuser.is_for_the_same_host(&current) {
            return Err("the current value, the pending value and the superuser's are not for the same host".into());
        }
        // A secret that opens nothing is no reason to make a user.
        self.target.test_login(&current)?;
        self.target.create_or_update_user(pending, &current, &superuser)
    }

    fn test(&self, credential: &Credential) -> Result<(), RotationError> {
        self.target.test_login(credential)
    }
}
