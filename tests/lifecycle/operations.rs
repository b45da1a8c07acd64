//! The operations on keys, and what is so when each of them is done.

use strongroom::{Error, ErrorKind, KeyCensus, KeyOptions, KeyUsage, LocalKeyring, Progress, SecretStore};

/// Keys that the operations are about.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    /// A recipient that is to come.
    pub(crate) newcomer: String,
    /// A recipient that is to go.
    pub(crate) leaver: String,
}

/// An operation on keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Rewrap,
    Reencrypt,
    AddRecipient,
    DropWraps,
    RotateRootKey,
    Shred,
}

pub(crate) const ALL: [Operation; 6] = [
    Operation::Rewrap,
    Operation::Reencrypt,
    Operation::AddRecipient,
    Operation::DropWraps,
    Operation::RotateRootKey,
    Operation::Shred,
];

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rewrap => "rewrap",
            Self::Reencrypt => "reencrypt",
            Self::AddRecipient => "add recipient",
            Self::DropWraps => "drop wraps",
            Self::RotateRootKey => "rotate root key",
            Self::Shred => "shred",
        }
    }

    pub(crate) fn of_name(name: &str) -> Self {
        ALL.into_iter().find(|operation| operation.name() == name).unwrap()
    }

    /// Does it. Versions that a key is in the way of are a failure here: no key is.
    pub(crate) fn run(self, store: &SecretStore, cast: &Cast, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let options = KeyOptions::new();
        let problems = match self {
            Self::Rewrap => store.rewrap(&options, progress)?.problems,
            Self::Reencrypt => store.reencrypt(&options, progress)?.problems,
            Self::AddRecipient => store.add_recipient(&cast.newcomer, progress)?.problems,
            Self::DropWraps => store.drop_wraps(&cast.leaver, &options, progress)?.problems,
            Self::RotateRootKey => store.rotate_root_key(progress).map(|_| Vec::new())?,
            Self::Shred => store.shred(progress).map(|_| Vec::new())?,
        };
        match problems.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(problem.error),
        }
    }

    /// What is wrong with a store on which the operation has just been done, as the census tells it.
    pub(crate) fn unfinished(self, store: &SecretStore, keyring: &LocalKeyring, cast: &Cast) -> Option<String> {
        let census = store.key_census(&mut |_| {}).unwrap();
        match self {
            Self::Rewrap => outdated(&census, keyring, true),
            Self::Reencrypt => outdated(&census, keyring, false),
            Self::AddRecipient => {
                let versions: u64 = usages(&census, &cast.newcomer).map(|usage| usage.versions).sum();
                let opens_store = usages(&census, &cast.newcomer).any(|usage| usage.opens_store);
                let is_everywhere = versions == census.versions && opens_store;
                (!is_everywhere).then(|| format!("{census:#?}"))
            }
            Self::DropWraps => usages(&census, &cast.leaver).next().map(|usage| format!("{usage:?}")),
            Self::RotateRootKey | Self::Shred => {
                (census.is_root_changing || census.root_generation < 2).then(|| format!("{census:#?}"))
            }
        }
    }
}

/// What there is under a key, with each version of its material.
fn usages<'a>(census: &'a KeyCensus, key: &'a str) -> impl Iterator<Item = &'a KeyUsage> {
    census.keys.iter().filter(move |usage| usage.key.key_arn == key)
}

/// A wrap that is not under the newest version of its key.
fn outdated(census: &KeyCensus, keyring: &LocalKeyring, with_root: bool) -> Option<String> {
    let newest = |arn: &str| keyring.keys().into_iter().find(|key| key.arn == arn).unwrap().versions.to_string();
    census
        .keys
        .iter()
        .filter(|usage| usage.versions > 0 || with_root)
        .find(|usage| usage.key.key_version != newest(&usage.key.key_arn))
        .map(|usage| format!("{usage:?}"))
}

/// Whether an error says that the key provider is failing.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::KeyProviderOutage(_))
}
