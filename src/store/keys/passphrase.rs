//! Another passphrase for everything that is under one.

use crate::envelope::passphrase::PassphraseProvider;
use crate::error::Result;
use crate::model::value::SecretString;
use crate::store::SecretStore;
use crate::store::keys::{KeyOptions, RewrapReport};
use crate::store::progress::Progress;

impl SecretStore {
    /// Changes the passphrase of a store that was opened with `provider`: from now on everything is wrapped under a key
    /// derived from `new`, with a fresh salt, and what is there is [rewrapped](Self::rewrap). When this returns, and reports
    /// no problem, the old passphrase opens nothing of the store any more; backups and copies of before open with it still.
    ///
    /// Interrupted, some versions are under the old passphrase and some under the new one: open the store with
    /// [`PassphraseProvider::changing`], and call [`rewrap`](Self::rewrap).
    ///
    /// # Errors
    ///
    /// As for [`PassphraseProvider::change_to`] and [`rewrap`](Self::rewrap).
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
        let _work = self.inner.begin_key_work()?;
        provider.change_to(new)?;
        self.inner.rewrap_all(&KeyOptions::new(), progress)
    }
}
