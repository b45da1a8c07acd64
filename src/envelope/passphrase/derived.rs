//! The passphrases of a provider, at most two, and the keys that were derived from them: which one wraps, and which are
//! kept so that nothing is derived twice.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::envelope::passphrase::setting::{PassphraseParameters, SALT_BYTES, Setting};
use crate::envelope::seal::SealingKey;
use crate::model::value::SecretString;

/// Keys that have opened something and are kept at a time, besides the one that wraps.
const PROVEN_MAX: usize = 3;
/// Keys that have opened nothing yet and are kept at a time.
const TRIED_MAX: usize = 64;

/// A passphrase. Two of the same text are two.
pub(super) struct Passphrase {
    number: u64,
    text: SecretString,
}

impl Passphrase {
    pub(super) fn expose(&self) -> &str {
        self.text.expose()
    }
}

/// A key, and what it was derived from.
#[derive(Clone)]
pub(super) struct Derived {
    pub(super) passphrase: Arc<Passphrase>,
    pub(super) setting: Setting,
    pub(super) key: Arc<SealingKey>,
}

impl Derived {
    fn is_of(&self, passphrase: &Passphrase) -> bool {
        self.passphrase.number == passphrase.number
    }

    fn is_same(&self, other: &Self) -> bool {
        self.is_of(&other.passphrase) && self.setting == other.setting
    }
}

/// What is known of the keys of a setting.
pub(super) enum Known {
    /// This key has opened something with this setting, or made it.
    Proven(Derived),
    /// These keys were derived and have opened nothing, and these passphrases were not tried, the newest first.
    Open { tried: Vec<Derived>, untried: Vec<Arc<Passphrase>> },
}

/// The passphrases and the keys that are kept.
pub(super) struct Keys {
    newest: Arc<Passphrase>,
    /// What was wrapped under it still unwraps.
    older: Option<Arc<Passphrase>>,
    /// For the next setting that is made here.
    parameters: PassphraseParameters,
    /// Whether the first setting that is met under the newest passphrase may be the one that wraps.
    adopts: bool,
    /// Whether anything is known to be wrapped under the newest passphrase.
    is_used: bool,
    /// INVARIANT: once there is one it is exchanged by [`change`](Self::change) only, and its key is of the newest
    /// passphrase.
    wrapping: Option<(Setting, Option<Arc<SealingKey>>)>,
    /// The newest last. INVARIANT: at most [`PROVEN_MAX`], each of a passphrase that is here.
    proven: Vec<Derived>,
    /// The newest last. INVARIANT: at most [`TRIED_MAX`], each of a passphrase that is here.
    tried: VecDeque<Derived>,
}

impl Keys {
    pub(super) fn new(passphrase: SecretString, older: Option<SecretString>, parameters: PassphraseParameters) -> Self {
        let newest = Arc::new(Passphrase { number: 1, text: passphrase });
        let older = older.filter(|older| *older != newest.text).map(|text| Arc::new(Passphrase { number: 0, text }));
        Self {
            newest,
            older,
            parameters,
            adopts: true,
            is_used: false,
            wrapping: None,
            proven: Vec::new(),
            tried: VecDeque::new(),
        }
    }

    pub(super) fn parameters(&self) -> PassphraseParameters {
        self.parameters
    }

    /// From now on what is wrapped is wrapped under this passphrase, with a salt of its own.
    pub(super) fn change(&mut self, text: SecretString, parameters: PassphraseParameters) {
        if let Some((setting, Some(key))) = self.wrapping.take() {
            self.keep(Derived { passphrase: Arc::clone(&self.newest), setting, key });
        }
        if text != self.newest.text {
            let number = self.newest.number + 1;
            let before = std::mem::replace(&mut self.newest, Arc::new(Passphrase { number, text }));
            // A passphrase that nothing was wrapped under is the one to forget, if one has to be.
            if self.is_used || self.older.is_none() {
                self.older = Some(before);
            }
            self.is_used = false;
        }
        (self.parameters, self.adopts) = (parameters, false);
        let (newest, older) = (&self.newest, &self.older);
        let is_here = |derived: &Derived| derived.is_of(newest) || older.as_ref().is_some_and(|it| derived.is_of(it));
        self.proven.retain(is_here);
        self.tried.retain(is_here);
    }

    /// What is wrapped with, if that is known.
    pub(super) fn setting(&self) -> Option<Setting> {
        self.wrapping.as_ref().map(|(setting, _)| *setting)
    }

    /// Wraps with this salt and the parameters for new settings, unless it is known already what is wrapped with.
    pub(super) fn set_salt(&mut self, salt: [u8; SALT_BYTES]) -> Setting {
        let parameters = self.parameters;
        self.wrapping.get_or_insert_with(|| (Setting { parameters, salt }, None)).0
    }

    /// The key that wraps, if it was derived.
    pub(super) fn wrapping(&self) -> Option<Derived> {
        let (setting, key) = self.wrapping.as_ref()?;
        Some(Derived { passphrase: Arc::clone(&self.newest), setting: *setting, key: Arc::clone(key.as_ref()?) })
    }

    pub(super) fn newest(&self) -> Arc<Passphrase> {
        Arc::clone(&self.newest)
    }

    pub(super) fn known(&self, setting: &Setting) -> Known {
        let wrapping = self.wrapping().filter(|wrapping| wrapping.setting == *setting);
        if let Some(proven) = wrapping.or_else(|| self.proven.iter().find(|kept| kept.setting == *setting).cloned()) {
            return Known::Proven(proven);
        }
        let tried: Vec<_> = self.tried.iter().filter(|kept| kept.setting == *setting).cloned().collect();
        let here = [Some(&self.newest), self.older.as_ref()].into_iter().flatten();
        let untried = here.filter(|passphrase| !tried.iter().any(|kept| kept.is_of(passphrase))).cloned().collect();
        Known::Open { tried, untried }
    }

    /// Keeps a key that has opened something, or that is about to wrap. The first one of the newest passphrase wraps from
    /// now on, unless it was said that what wraps is made here.
    pub(super) fn prove(&mut self, derived: Derived) {
        self.tried.retain(|kept| !kept.is_same(&derived));
        let is_newest = derived.is_of(&self.newest);
        self.is_used |= is_newest;
        match &mut self.wrapping {
            Some((setting, key)) if is_newest && *setting == derived.setting => *key = Some(derived.key),
            None if is_newest && self.adopts => self.wrapping = Some((derived.setting, Some(derived.key))),
            _ => self.keep(derived),
        }
    }

    /// Keeps a key that has opened nothing, so that it is not derived again. It does not push out any that has.
    pub(super) fn keep_tried(&mut self, derived: Derived) {
        if !self.is_here(&derived) {
            return;
        }
        if self.tried.len() >= TRIED_MAX {
            self.tried.pop_front();
        }
        self.tried.push_back(derived);
    }

    fn keep(&mut self, derived: Derived) {
        if !self.is_here(&derived) || self.proven.iter().any(|kept| kept.is_same(&derived)) {
            return;
        }
        if self.proven.len() >= PROVEN_MAX {
            self.proven.remove(0);
        }
        self.proven.push(derived);
    }

    fn is_here(&self, derived: &Derived) -> bool {
        derived.is_of(&self.newest) || self.older.as_ref().is_some_and(|older| derived.is_of(older))
    }
}
