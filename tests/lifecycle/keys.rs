//! A key provider that is watched: what it was asked, which data keys went through it, and where it stops or fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};

use ring::digest;
use strongroom::{
    Call, DataKey, EncryptionContext, KeyError, KeyHandle, KeyProvider, KeyRef, KeyScope, LocalKeyring, WrappedKey,
};

use crate::stores::HOME;

/// A new key of the account and Region that stores are of.
pub(crate) fn new_key(keyring: &LocalKeyring) -> String {
    let [account, region] = HOME;
    keyring.create_key(KeyScope::new("aws", account, region)).unwrap()
}

/// Gives every key new material.
pub(crate) fn rotate_all(keyring: &LocalKeyring) {
    for key in keyring.keys() {
        keyring.rotate_key(&key.arn).unwrap();
    }
}

/// Whether a call is to stop, seen by what it does and what it is about.
type Gate = Box<dyn Fn(&str, &EncryptionContext<'_>) -> bool + Send + Sync>;

/// A keyring that is watched. Clones share everything.
#[derive(Clone)]
pub(crate) struct Watched {
    inner: LocalKeyring,
    state: Arc<State>,
}

struct State {
    /// By the version that it is of, the digest of the data key that was seen last.
    data_keys: Mutex<BTreeMap<String, [u8; 32]>>,
    calls: AtomicU64,
    wraps: AtomicU64,
    /// The call of this number fails.
    fails_at: AtomicU64,
    /// Of this key nothing can be unwrapped by this caller.
    only_wraps: Mutex<Option<String>>,
    gate: Mutex<Option<(Gate, Sender<()>)>>,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    pub(crate) fn new(inner: LocalKeyring) -> Self {
        let state = State {
            data_keys: Mutex::default(),
            calls: AtomicU64::new(0),
            wraps: AtomicU64::new(0),
            fails_at: AtomicU64::new(u64::MAX),
            only_wraps: Mutex::default(),
            gate: Mutex::default(),
            is_open: Mutex::new(false),
            opened: Condvar::new(),
        };
        Self { inner, state: Arc::new(state) }
    }

    /// Digests of the data keys that were seen, by version id.
    pub(crate) fn data_keys(&self) -> BTreeMap<String, [u8; 32]> {
        self.state.data_keys.lock().unwrap().clone()
    }

    /// Data keys that were wrapped so far.
    pub(crate) fn wraps(&self) -> u64 {
        self.state.wraps.load(Ordering::SeqCst)
    }

    /// After so many more calls, one fails.
    pub(crate) fn fail_call(&self, after: u64) {
        self.state.fails_at.store(self.state.calls.load(Ordering::SeqCst) + after, Ordering::SeqCst);
    }

    /// No call fails any more. Whether one has.
    pub(crate) fn stop_failing(&self) -> bool {
        let at = self.state.fails_at.swap(u64::MAX, Ordering::SeqCst);
        self.state.calls.load(Ordering::SeqCst) > at
    }

    /// From now on this caller may wrap under this key, and unwrap nothing that is under it.
    pub(crate) fn only_wrap_under(&self, key: &str) {
        *self.state.only_wraps.lock().unwrap() = Some(key.to_owned());
    }

    /// From now on calls of which `stops` says so wait until they are released. Says when one waits.
    pub(crate) fn stop(
        &self,
        stops: impl Fn(&str, &EncryptionContext<'_>) -> bool + Send + Sync + 'static,
    ) -> Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        *self.state.is_open.lock().unwrap() = false;
        *self.state.gate.lock().unwrap() = Some((Box::new(stops), sender));
        receiver
    }

    /// Nothing waits any more.
    pub(crate) fn release(&self) {
        *self.state.gate.lock().unwrap() = None;
        *self.state.is_open.lock().unwrap() = true;
        self.state.opened.notify_all();
    }

    fn admit(&self, doing: &str, context: &EncryptionContext<'_>) -> Result<(), KeyError> {
        let stopped = {
            let gate = self.state.gate.lock().unwrap();
            gate.as_ref().filter(|(stops, _)| stops(doing, context)).map(|(_, sender)| sender.clone())
        };
        if let Some(sender) = stopped {
            let _ = sender.send(());
            let is_open = self.state.is_open.lock().unwrap();
            drop(self.state.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
        }
        let number = self.state.calls.fetch_add(1, Ordering::SeqCst);
        if number == self.state.fails_at.load(Ordering::SeqCst) { Err(KeyError::Unavailable) } else { Ok(()) }
    }

    fn note(&self, context: &EncryptionContext<'_>, data_key: &DataKey) {
        if let Some((_, version)) = context.pairs().iter().find(|(name, _)| *name == "SecretVersionId") {
            let digest = digest::digest(&digest::SHA256, data_key.expose());
            self.state.data_keys.lock().unwrap().insert((*version).to_owned(), digest.as_ref().try_into().unwrap());
        }
    }
}

impl KeyProvider for Watched {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn resolve(&self, scope: &KeyScope<'_>, key: KeyRef<'_>, call: &Call<'_>) -> Result<KeyHandle, KeyError> {
        self.admit("resolve", &EncryptionContext::new(&[]))?;
        self.inner.resolve(scope, key, call)
    }

    fn wrap(
        &self,
        key: &KeyHandle,
        data_key: &DataKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<WrappedKey, KeyError> {
        self.admit("wrap", context)?;
        self.state.wraps.fetch_add(1, Ordering::SeqCst);
        self.inner.wrap(key, data_key, context, call)
    }

    fn unwrap(
        &self,
        wrapped: &WrappedKey,
        context: &EncryptionContext<'_>,
        call: &Call<'_>,
    ) -> Result<DataKey, KeyError> {
        self.admit("unwrap", context)?;
        if self.state.only_wraps.lock().unwrap().as_deref() == Some(&*wrapped.key_arn) {
            return Err(KeyError::AccessDenied);
        }
        let data_key = self.inner.unwrap(wrapped, context, call)?;
        self.note(context, &data_key);
        Ok(data_key)
    }
}
