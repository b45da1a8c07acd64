//! The store with everything under it: its disk, its keys, its clock, and the means to break each of them.

use strongroom::testing::{FaultyBackend, FaultyProvider, ManualClock, RecordingBackend, SeededEntropy};
use strongroom::{
    Backend as _, Batch, Durability, Error, LocalKeyring, SecretStore, SecretsManager, StaticKey, Stored,
};

use crate::engine::Renew;
use crate::model::{Settings, Tenant};
use crate::steps::Fault;

pub(crate) struct Machine {
    pub(crate) clock: ManualClock,
    pub(crate) provider: FaultyProvider,
    /// What was written, and how much of it a power cut cannot take.
    pub(crate) disk: RecordingBackend,
    pub(crate) engine: FaultyBackend,
    entropy: SeededEntropy,
    durability: Durability,
    settings: Settings,
    tenants: Vec<Tenant>,
    store: Option<SecretStore>,
    pub(crate) handles: Vec<SecretsManager>,
}

impl Machine {
    pub(crate) fn new(seed: u64, start: i64, settings: Settings, tenants: &[Tenant]) -> Self {
        let entropy = SeededEntropy::new(seed);
        let provider = if has_keyring(seed) {
            FaultyProvider::new(LocalKeyring::in_memory_with_entropy(entropy.clone()), seed)
        } else {
            FaultyProvider::new(StaticKey::new([7; 32]), seed)
        };
        let disk = RecordingBackend::new();
        Self {
            clock: ManualClock::at_millis(start),
            provider,
            engine: FaultyBackend::new(disk.clone()),
            disk,
            entropy,
            durability: if seed.is_multiple_of(3) { Durability::Eventual } else { Durability::Immediate },
            settings,
            tenants: tenants.to_vec(),
            store: None,
            handles: Vec::new(),
        }
    }

    pub(crate) fn open(&mut self) -> Result<(), Error> {
        self.engine = FaultyBackend::new(self.disk.clone());
        let store = SecretStore::with_backend(self.engine.clone())
            .key_provider(self.provider.clone())
            .clock(self.clock.clone())
            .entropy(self.entropy.clone())
            .durability(self.durability)
            .require_client_request_token(self.settings.require_token)
            .versions_per_secret_max(self.settings.versions_max)
            .secrets_max(self.settings.secrets_max as u64)
            .rotation_function("arn:*", Renew)
            .open()?;
        let handle = |tenant: &Tenant| store.secrets_manager(&tenant.account, &tenant.region).unwrap();
        self.handles = self.tenants.iter().map(handle).collect();
        self.store = Some(store);
        Ok(())
    }

    pub(crate) fn store(&self) -> &SecretStore {
        self.store.as_ref().unwrap()
    }

    /// Takes the open store away, to be closed or dropped.
    pub(crate) fn take(&mut self) -> SecretStore {
        self.handles.clear();
        self.store.take().unwrap()
    }

    /// "A method that changes something returns when the change is durable", unless the store was opened otherwise.
    pub(crate) fn check_durable(&self, commits_before: usize) -> Result<(), String> {
        let (durable, commits) = (self.disk.durable_commits(), self.disk.commits());
        if self.durability == Durability::Immediate && commits > commits_before && durable < commits {
            return Err(format!("acknowledged after {commits} commits, of which a power cut leaves {durable}"));
        }
        Ok(())
    }

    /// One of the next writes fails. Gives the number of that write.
    pub(crate) fn fail_write(&self, fault: Fault, after: u64) -> u64 {
        match fault {
            Fault::Commit => self.engine.fail_commit(after),
            Fault::Flush => self.engine.fail_flush(after),
            Fault::Panic => self.engine.panic_in_commit(after),
        }
        self.engine.commits() + after
    }

    /// The disk as it is when only the first `commits` commits arrived. All of them are there to stay.
    pub(crate) fn keep_only(&mut self, commits: usize) {
        let image = self.disk.image(commits).unwrap();
        let mut whole = Batch::new();
        for (key, value) in image.scan(&[], None, usize::MAX).unwrap() {
            whole.put(key, Stored::as_ref(&value).to_vec());
        }
        self.disk = RecordingBackend::new();
        self.disk.commit(&whole, Durability::Immediate).unwrap();
    }
}

/// Whether the keys of this seed are in a keyring, which knows the default key only.
pub(crate) fn has_keyring(seed: u64) -> bool {
    seed.is_multiple_of(4)
}
