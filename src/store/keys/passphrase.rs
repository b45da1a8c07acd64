//! Another passphrase for everything that is under one.

use crate::envelope::passphrase::PassphraseProvider;
use crate::envelope::provider::{Call, KeyProvider as _, KeyScope};
use crate::error::{Error, Result};
use crate::model::value::SecretString;
use crate::model::version::KmsKeyId;
use crate::store::keys::{KeyOptions, RewrapReport};
use crate::store::progress::Progress;
use crate::store::{Inner, SecretStore};

impl SecretStore {
    /// Changes the passphrase of a store that was opened with `provider`: from now on everything is wrapped under a key
    /// derived from `new`, with a fresh salt, and what is there is [rewrapped](Self::rewrap). When this returns, and reports
    /// no problem, the old passphrase opens nothing of the store any more; backups and copies of before open with it still.
    ///
    /// Interrupted, some versions are under the old passphrase and some under the new one: open the store with
    /// [`PassphraseProvider::changing`], and call [`rewrap`](Self::rewrap).
    ///
    /// Of a standby only the root key goes over: its versions are under the passphrase of the store that it follows.
    ///
    /// # Errors
    ///
    /// As for [`PassphraseProvider::change_to`] and [`rewrap`](Self::rewrap).
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the store was opened with another provider.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use strongroom::{PassphraseProvider, SecretStore};
    ///
    /// let provider = Arc::new(PassphraseProvider::new("old passphrase")?);
    /// let store = SecretStore::builder("vault").key_provider(Arc::clone(&provider)).open()?;
    /// let report = store.change_passphrase(&provider, "new passphrase", &mut |_| {})?;
    /// assert_eq!(report.problems_total, 0);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn change_passphrase(
        &self,
        provider: &PassphraseProvider,
        new: impl Into<SecretString>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RewrapReport> {
        let _work = self.inner.begin_wrap_work()?;
        provider.change_to(new)?;
        self.inner.require_provider(provider)?;
        self.inner.rewrap_all(&KeyOptions::new(), progress)
    }
}

impl Inner {
    /// Refuses a provider that the store does not use: what it wraps with is not what the store would wrap with.
    fn require_provider(&self, provider: &PassphraseProvider) -> Result<()> {
        let key = KmsKeyId::Default;
        let home = self.envelope.home();
        let scope = KeyScope::new(home.partition(), home.account(), home.region());
        let theirs = provider.resolve(&scope, key.as_key_ref(), &Call::new(&*self.entropy));
        let ours = self.envelope.resolve_for_store(&key)?;
        if theirs.is_ok_and(|theirs| theirs.version == ours.version) {
            return Ok(());
        }
        Err(Error::configuration(
            "the passphrase of another provider was changed than the one that the store was opened with",
        ))
    }
}
