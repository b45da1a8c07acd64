//! Passes: credentials that a server gives to the programs that it runs, each for as long as the program runs.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use strongroom::{Entropy as _, EntropyError, OsEntropy};
use zeroize::Zeroizing;

use crate::serve::credentials::{Credential, Credentials};
use crate::serve::sigv4::hex;

/// The passes that are out. Copies share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Passes(Arc<RwLock<Credentials>>);

impl Passes {
    /// Where whoever lets callers in looks their passes up.
    pub(super) fn credentials(&self) -> Arc<RwLock<Credentials>> {
        Arc::clone(&self.0)
    }

    /// A new pass for an account.
    pub(super) fn issue(&self, account: &str) -> Result<Pass, EntropyError> {
        let access_key_id = format!("PASS{}", random::<8>()?.to_ascii_uppercase());
        let (secret_access_key, session_token) = (random::<32>()?, random::<32>()?);
        let credential = Credential::temporary(&secret_access_key, &session_token, account);
        self.lock().insert(access_key_id.clone(), credential);
        Ok(Pass { passes: self.clone(), access_key_id, secret_access_key, session_token })
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Credentials> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A credential that is good until this is dropped.
pub(super) struct Pass {
    passes: Passes,
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
}

impl Pass {
    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(super) fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    pub(super) fn session_token(&self) -> &str {
        &self.session_token
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.passes.lock().remove(&self.access_key_id);
    }
}

/// Random bytes as hexadecimal digits.
fn random<const BYTES: usize>() -> Result<Zeroizing<String>, EntropyError> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    OsEntropy::default().fill(bytes.as_mut_slice())?;
    Ok(Zeroizing::new(hex(bytes.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_of_one_account_and_good_until_it_is_given_back() {
        let passes = Passes::default();
        let known = |pass: &Pass| {
            let credentials = passes.credentials();
            let credentials = credentials.read().unwrap();
            credentials.identify(pass.access_key_id()).map(|(account, principal)| {
                assert_eq!(principal, None);
                account.to_owned()
            })
        };
        let (one, other) = (passes.issue("111122223333").unwrap(), passes.issue("444455556666").unwrap());
        assert_eq!((known(&one).as_deref(), known(&other).as_deref()), (Some("111122223333"), Some("444455556666")));
        let texts = [&one, &other].map(|pass| [pass.access_key_id(), pass.secret_access_key(), pass.session_token()]);
        let mut different = texts.concat();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 6, "{different:?}");
        drop(one);
        assert_eq!((passes.0.read().unwrap().is_empty(), known(&other).as_deref()), (false, Some("444455556666")));
        drop(other);
        assert!(passes.0.read().unwrap().is_empty());
    }
}
