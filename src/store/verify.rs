//! Verification: reading everything, and saying what is wrong with it.

use std::fmt;
use std::path::Path;

use crate::envelope::{Identity, StoredVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::model::secret::Secret;
use crate::records::header::Header;
use crate::records::keys::{Family, SecretKey};
use crate::records::sweep::disagreement;
use crate::records::{Loaded, Records, StoredRecord};
use crate::storage::BackendError;
use crate::store::builder::{Builder, CheckRecords, OpenMode};
use crate::store::progress::{Meter, Progress};
use crate::store::{Inner, SecretStore};

/// Findings that a report lists. What is beyond is only counted.
const FINDINGS_MAX: usize = 10_000;

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Whether every value is opened, for which the key provider is asked once for each version. Default: `true`.
    pub opens_values: bool,
}

impl VerifyOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { opens_values: true }
    }

    /// Sets whether every value is opened.
    #[must_use]
    pub fn opens_values(mut self, opens_values: bool) -> Self {
        self.opens_values = opens_values;
        self
    }
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// What is wrong. The first 10,000.
    pub findings: Vec<Finding>,
    /// How much is wrong, what is not listed included.
    pub findings_total: u64,
    /// Number of the newest commit. 0 if the store does not open.
    pub epoch: u64,
    /// Records that were read.
    pub records: u64,
    /// Secrets that were read.
    pub secrets: u64,
    /// Versions with a value.
    pub versions: u64,
    /// Values that were opened.
    pub opened_values: u64,
    /// Values whose key cannot be used now, so that nobody can tell: it is disabled, deleted, unknown to the key provider, or
    /// the provider is out. That is no damage.
    pub closed_values: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings_total == 0
    }

    fn add(&mut self, kind: FindingKind, subject: impl Into<String>, text: impl Into<String>) {
        let list = std::mem::take(&mut self.findings);
        let mut findings = Findings { list, total: self.findings_total };
        findings.add(kind, subject, text);
        (self.findings, self.findings_total) = (findings.list, findings.total);
    }
}

/// Findings, of which only so many are listed.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    pub(super) total: u64,
}

impl Findings {
    pub(super) fn add(&mut self, kind: FindingKind, subject: impl Into<String>, text: impl Into<String>) {
        self.total += 1;
        if self.list.len() < FINDINGS_MAX {
            self.list.push(Finding { kind, subject: subject.into(), text: text.into() });
        }
    }
}

/// One thing that is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// With what: an account, Region and name, or the storage key of a record in hexadecimal, or a file.
    pub subject: String,
    /// The same for people.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kind, self.subject, self.text)
    }
}

/// What can be wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// The store cannot be opened.
    Store,
    /// One copy of the header is damaged; the other one serves.
    HeaderCopy,
    /// One slot of the anchor is damaged; the other one serves.
    AnchorSlot,
    /// A record does not authenticate, cannot be decoded, is of no known kind, or is in the place of another.
    Record,
    /// A version's value is missing or does not authenticate.
    Version,
    /// Versions and labels of a secret do not fit together.
    Labels,
    /// Something that is due has no entry, or an entry has nothing that is due.
    Due,
    /// A value belongs to no secret.
    Orphan,
    /// There are more or fewer secrets than were acknowledged.
    Count,
    /// The records are not those that were acknowledged: some are missing, older, or too many.
    SetHash,
}

impl FindingKind {
    /// A short name for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::HeaderCopy => "header-copy",
            Self::AnchorSlot => "anchor-slot",
            Self::Record => "record",
            Self::Version => "version",
            Self::Labels => "labels",
            Self::Due => "due",
            Self::Orphan => "orphan",
            Self::Count => "count",
            Self::SetHash => "set-hash",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SecretStore {
    /// Reads everything that the store holds, while others go on working, and reports what is wrong with it.
    ///
    /// Every record is opened and compared with what belongs to it: seals, revisions, versions and labels, due entries,
    /// counts, the set hash, both copies of the header and both slots of the anchor. Nothing is changed. Values without a
    /// secret are looked for only if nothing is committed meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`], [`ErrorKind::Poisoned`], [`ErrorKind::Closed`]: it could not be read. Damage is no error but a
    /// finding. [`ErrorKind::Replication`] with [`StillSeeding`](crate::ReplicationFault::StillSeeding): it is a standby that is
    /// being filled, so that its secrets are of different commits and nobody can say what it should hold.
    ///
    /// ```
    /// # use strongroom::{SecretStore, StaticKey, VerifyOptions};
    /// # let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).open()?;
    /// let report = store.verify(VerifyOptions::new(), &mut |_| {})?;
    /// assert!(report.is_clean(), "{:?}", report.findings);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    pub fn verify(&self, options: VerifyOptions, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport> {
        self.inner.verify(options, progress)
    }
}

impl Builder {
    /// Opens the store that is there, [verifies](SecretStore::verify) it, and closes it.
    ///
    /// A store that does not open because it is damaged is a report with one finding, which says why; it is left as it is.
    /// [`mode`](Self::mode) and [`check_records`](Self::check_records) do not matter.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), but for damage.
    pub fn verify(self, options: VerifyOptions, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport> {
        let subject = self.place_shown();
        let directory = self.directory();
        let inspection = self.mode(OpenMode::OpenExisting).check_records(CheckRecords::Never).inspection();
        let checked = match inspection.open() {
            Ok(store) => match store.verify(options, progress) {
                // It is not to be verified now, and its files are to be as they were.
                Err(error) if matches!(error.kind(), ErrorKind::Replication(_)) => {
                    store.inner.close_inspected().and(Err(error))
                }
                verified => verified.and_then(|report| store.inner.close_inspected().map(|()| report)),
            },
            Err(error) => Err(error),
        };
        match checked {
            Err(error) if is_damage(&error) || (is_unrecognised(&error) && was_a_store(directory.as_deref())) => {
                let mut report = VerifyReport::default();
                report.add(FindingKind::Store, subject, error.to_string());
                Ok(report)
            }
            checked => checked,
        }
    }
}

fn is_unrecognised(error: &Error) -> bool {
    *error.kind() == ErrorKind::NotAStore
}

/// Whether what is not recognised as a store once was one: there is a header, of some kind, or there are records.
fn was_a_store(directory: Option<&Path>) -> bool {
    match directory.map(SecretStore::exists) {
        Some(Ok(is_there)) => is_there,
        Some(Err(error)) => *error.kind() == ErrorKind::Corrupted,
        None => false,
    }
}

/// Whether an error says that the store is damaged, and not that it could not be reached.
fn is_damage(error: &Error) -> bool {
    let is_of_the_engine = || {
        let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
        matches!(source, Some(BackendError::Engine { .. } | BackendError::Panicked { .. }))
    };
    match error.kind() {
        ErrorKind::Corrupted | ErrorKind::LostCommits { .. } => true,
        ErrorKind::Storage => is_of_the_engine(),
        _ => false,
    }
}

/// A storage key for people.
pub(super) fn hexadecimal(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A secret for people: names are unique within an account and Region only.
pub(super) fn shown(secret: &Secret) -> String {
    format!("{}/{}/{}", secret.tenant.account(), secret.tenant.region(), secret.name.as_str())
}

/// Counts of what belongs to the secrets that were read.
#[derive(Debug, Default)]
struct Counts {
    dues: u64,
    versions: u64,
    expected_dues: u64,
    expected_versions: u64,
}

impl Inner {
    fn verify(&self, options: VerifyOptions, progress: &mut dyn FnMut(Progress)) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let records = &self.records;
        records.usable()?;
        records.readable()?;
        self.verify_files(&mut report)?;
        let _steady = self.steady();
        let begin = records.head();
        let mut meter = Meter::new("verifying records", begin.records, progress);
        let mut counts = Counts::default();
        let mut sweep = records.sweep(false);
        loop {
            let step = sweep.step()?;
            for (key, stored) in step.found {
                let (key, stored) = (key.as_slice(), &records.steady_record(&key, stored));
                report.records += 1;
                meter.advance(1);
                match key.first() {
                    Some(&family) if family == Family::Secret as u8 => {
                        self.verify_secret(key, stored, options, &mut report, &mut counts)?;
                    }
                    Some(&family) if family == Family::Due as u8 => {
                        counts.dues += 1;
                        verify_due(records, key, stored, &mut report)?;
                    }
                    Some(&family) if family == Family::Version as u8 => counts.versions += 1,
                    Some(&family) if family == Family::Standby as u8 => {
                        if let Err(error) = records.check_followed(key, stored) {
                            report.add(FindingKind::Record, hexadecimal(key), error.to_string());
                        }
                    }
                    Some(&family) if family == Family::Job as u8 => {
                        if let Err(error) = records.check_job(key, stored) {
                            report.add(FindingKind::Record, hexadecimal(key), error.to_string());
                        }
                    }
                    _ => report.add(FindingKind::Record, hexadecimal(key), "is of no kind that this version knows"),
                }
            }
            let Some((head, _)) = step.end else { continue };
            report.epoch = head.epoch;
            if let Some(what) = disagreement(&head, sweep.tally()) {
                report.add(FindingKind::SetHash, "all records", what);
            }
            if head.epoch == begin.epoch {
                verify_counts(&head, &counts, &mut report);
            }
            meter.finish();
            return Ok(report);
        }
    }

    fn verify_files(&self, report: &mut VerifyReport) -> Result<()> {
        let directory = self.directory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(directory) = &*directory {
            let header = directory.read_header()?;
            if Header::whole_copies(&header) < 2 || header != self.header().stored {
                report.add(FindingKind::HeaderCopy, "store.hdr", "one of its two copies is damaged");
            }
        }
        if self.records.whole_anchor_slots() < 2 {
            report.add(FindingKind::AnchorSlot, "store.anchor", "one of its two slots was damaged when it was opened");
        }
        Ok(())
    }

    fn verify_secret(
        &self,
        key: &[u8],
        stored: &StoredRecord,
        options: VerifyOptions,
        report: &mut VerifyReport,
        counts: &mut Counts,
    ) -> Result<()> {
        let records = &self.records;
        let Some(secret_key) = SecretKey::from_bytes(key) else {
            report.add(FindingKind::Record, hexadecimal(key), "has a key of impossible length");
            return Ok(());
        };
        let mut loaded = match records.open_found(secret_key.clone(), stored, None) {
            Ok(loaded) => loaded,
            Err(error) => {
                report.add(FindingKind::Record, hexadecimal(key), error.to_string());
                return Ok(());
            }
        };
        loop {
            let findings = self.faults_of(&loaded, options, report)?;
            if !findings.is_empty() {
                match records.load_by_key(&secret_key)? {
                    // It was removed while it was looked at.
                    None => return Ok(()),
                    Some(now) if now.revision != loaded.revision => {
                        loaded = now;
                        continue;
                    }
                    Some(_) => {}
                }
            }
            let secret = &loaded.secret;
            report.secrets += 1;
            let with_value = secret.versions.iter().filter(|version| version.has_value()).count() as u64;
            report.versions += with_value;
            counts.expected_versions += with_value;
            counts.expected_dues += records.due_keys(&loaded).count() as u64;
            for (kind, text) in findings {
                report.add(kind, shown(secret), text);
            }
            return Ok(());
        }
    }

    /// What is wrong with a secret, as it was read and with what belongs to it.
    fn faults_of(
        &self,
        loaded: &Loaded,
        options: VerifyOptions,
        report: &mut VerifyReport,
    ) -> Result<Vec<(FindingKind, String)>> {
        let Loaded { secret, revision, .. } = loaded;
        let records = &self.records;
        let mut faults = Vec::new();
        if *revision >= records.next_revision() {
            faults.push((FindingKind::Record, format!("has revision {revision}, which no commit has reached")));
        }
        if let Some(fault) = secret.inconsistency() {
            faults.push((FindingKind::Labels, fault));
        }
        for due in records.due_keys(loaded) {
            if !records.has(&due)? {
                faults.push((FindingKind::Due, format!("the due entry {} is missing", hexadecimal(&due))));
            }
        }
        let (mut opened, mut closed) = (0, 0);
        for version in &secret.versions {
            let Some(content) = &version.content else { continue };
            let id = version.id.as_str();
            let Some(StoredRecord { stored, root }) = records.load_version(secret, &version.id)? else {
                faults.push((FindingKind::Version, format!("the value of version {id} is missing")));
                continue;
            };
            let identity =
                Identity { tenant: &secret.tenant, arn: &secret.arn, uid: &secret.uid, version: &version.id };
            let (root, current) = (&*root, &secret.kms_key_id);
            let stored = StoredVersion { root, identity, current, content, record: stored.as_ref() };
            if let Err(error) = self.envelope.check(&stored) {
                faults.push((FindingKind::Version, format!("the value of version {id}: {error}")));
                continue;
            }
            if !options.opens_values {
                continue;
            }
            match self.envelope.open(&stored) {
                Ok(_) => opened += 1,
                Err(error) if is_key_at_fault(&error) => closed += 1,
                Err(error) => faults.push((FindingKind::Version, format!("the value of version {id}: {error}"))),
            }
        }
        if faults.is_empty() {
            report.opened_values += opened;
            report.closed_values += closed;
        }
        Ok(faults)
    }
}

/// Whether a value stays closed because of its key, and not because it is damaged.
pub(super) fn is_key_at_fault(error: &Error) -> bool {
    use crate::error::KeyFaultReason::Corrupt;
    match error.kind() {
        ErrorKind::DecryptionFailure(fault) => fault.reason != Corrupt,
        ErrorKind::KeyAccessDenied(_) | ErrorKind::KeyProviderOutage(_) | ErrorKind::Entropy => true,
        _ => false,
    }
}

/// An entry must be one of those that its secret calls for.
fn verify_due(records: &Records, key: &[u8], stored: &StoredRecord, report: &mut VerifyReport) -> Result<()> {
    let secret_key = match records.open_due(key, stored) {
        Ok(secret_key) => secret_key,
        Err(error) => {
            report.add(FindingKind::Due, hexadecimal(key), error.to_string());
            return Ok(());
        }
    };
    let mut last_revision = None;
    loop {
        let loaded = match records.load_by_key(&secret_key) {
            Ok(loaded) => loaded,
            // Reported with the secret.
            Err(error) if *error.kind() == ErrorKind::Corrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        let is_called_for = loaded.as_ref().is_some_and(|loaded| records.due_keys(loaded).any(|due| due == key));
        if is_called_for || !records.has(key)? {
            return Ok(());
        }
        let revision = Some(loaded.map(|loaded| loaded.revision));
        if revision == last_revision {
            report.add(FindingKind::Due, hexadecimal(key), "no secret calls for this entry");
            return Ok(());
        }
        // The secret may have been changed after the entry was read.
        last_revision = revision;
    }
}

fn verify_counts(head: &crate::records::codec::Head, counts: &Counts, report: &mut VerifyReport) {
    if report.secrets != head.secrets {
        let text = format!("{} can be read where {} were acknowledged", report.secrets, head.secrets);
        report.add(FindingKind::Count, "secrets", text);
    }
    // Those that are missing have been reported with their secrets.
    let orphans = counts.versions.saturating_sub(counts.expected_versions);
    if orphans > 0 {
        report.add(FindingKind::Orphan, "values", format!("{orphans} belong to no secret that can be read"));
    }
    let orphans = counts.dues.saturating_sub(counts.expected_dues);
    if orphans > 0 {
        report.add(FindingKind::Orphan, "due entries", format!("{orphans} belong to no secret that can be read"));
    }
}
