//! One user, whose password changes.

use std::fmt;
use std::sync::Arc;

use crate::functions::credential::Credential;
use crate::functions::password::PasswordRules;
use crate::functions::strategy::{self, Rotation, Strategy};
use crate::model::stages::PREVIOUS;
use crate::model::value::SecretString;
use crate::store::{RotationCall, RotationError, RotationFunction};

/// A system that passwords open: a database, a directory, a device.
///
/// What a [`RotationError`] of it says is kept and shown, and must contain no secret.
pub trait CredentialTarget: Send + Sync + fmt::Debug {
    /// Logs in, and out again.
    ///
    /// # Errors
    ///
    /// It did not work, whether the system refused or could not be reached.
    fn test_login(&self, credential: &Credential) -> Result<(), RotationError>;

    /// Logs in with `login`, which is a credential of the same user, and gives the user the password of `new`. When this
    /// returns, `new` opens the system.
    ///
    /// # Errors
    ///
    /// It did not work, or nobody knows whether it did. It may be called again with either outcome.
    fn set_password(&self, new: &Credential, login: &Credential) -> Result<(), RotationError>;
}

impl<T: CredentialTarget + ?Sized> CredentialTarget for Arc<T> {
    fn test_login(&self, credential: &Credential) -> Result<(), RotationError> {
        (**self).test_login(credential)
    }

    fn set_password(&self, new: &Credential, login: &Credential) -> Result<(), RotationError> {
        (**self).set_password(new, login)
    }
}

/// A [`RotationFunction`] that gives one user a new password (feature `json`).
///
/// The value of the secret is a JSON document with `username` and `password`; a rotation changes `password` and nothing
/// else. Between the steps `setSecret` and `finishSecret` the current value does not open the system, and the pending one
/// does; [`AlternatingUsers`](crate::AlternatingUsers) has no such time.
///
/// * `createSecret` makes the password, unless an earlier attempt did.
/// * `setSecret` does nothing if the pending password works already. Otherwise it logs in with the current password or, if
///   that does not work, with the previous one. A pending value for another `username` or `host` is refused.
/// * `testSecret` logs in with the pending password.
/// * `finishSecret` moves `AWSCURRENT`. `AWSPENDING` stays where it is, which the next rotation does not mind.
///
/// ```
/// use strongroom::{Credential, CredentialTarget, RotationError, SecretStore, SingleUser, StaticKey};
///
/// #[derive(Debug)]
/// struct Appliance;
///
/// impl CredentialTarget for Appliance {
///     fn test_login(&self, credential: &Credential) -> Result<(), RotationError> {
///         // Log in to `credential.member("host")` as `credential.username()` with `credential.password()`.
///         Ok(())
///     }
///
///     fn set_password(&self, new: &Credential, login: &Credential) -> Result<(), RotationError> {
///         // Log in with `login`, and change the password to `new.password()`.
///         Ok(())
///     }
/// }
///
/// let function = SingleUser::new(Appliance).password_length(40).exclude_characters("\"'\\@/ ");
/// let store = SecretStore::in_memory()
///     .key_provider(StaticKey::new([7; 32]))
///     .rotation_function("arn:aws:lambda:us-east-1:000000000000:function:appliance", function)
///     .open()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets_strategies.html>
#[derive(Debug, Clone)]
pub struct SingleUser<T> {
    target: T,
    rules: PasswordRules,
}

impl<T: CredentialTarget> SingleUser<T> {
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
}

impl<T: CredentialTarget> RotationFunction for SingleUser<T> {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        strategy::run(self, call)
    }
}

impl<T: CredentialTarget> Strategy for SingleUser<T> {
    fn rules(&self) -> &PasswordRules {
        &self.rules
    }

    fn next(&self, current: &Credential, password: &SecretString) -> Result<Credential, RotationError> {
        current.with_password(password)
    }

    fn set(&self, pending: &Credential, rotation: &Rotation<'_>) -> Result<(), RotationError> {
        let current = rotation.current()?;
        let same_user = |login: &Credential| {
            let another = "the pending value is for another user or host than the one that would log in";
            if pending.is_for_the_same_user(login) { Ok(()) } else { Err(RotationError::from(another)) }
        };
        same_user(&current)?;
        let Err(refused) = self.target.test_login(&current) else {
            return self.target.set_password(pending, &current);
        };
        // After a change of the label by hand, the one before may be what the system knows.
        let Ok(previous) = rotation.labelled(PREVIOUS) else { return Err(refused) };
        same_user(&previous)?;
        self.target.test_login(&previous)?;
        self.target.set_password(pending, &previous)
    }

    fn test(&self, credential: &Credential) -> Result<(), RotationError> {
        self.target.test_login(credential)
    }
}
