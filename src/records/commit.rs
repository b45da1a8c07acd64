//! The one committer: callers that wait together are made durable together.
//!
//! Whoever finds nobody leading leads: it takes everything that waits, checks each guard, merges the batches, brings the
//! head up to date and hands the whole to the backend, while the others wait for their outcome. So N threads cost one
//! flush, not N, and sled is never written to from two threads.
//!
//! The steps of a commit, and what a crash after each of them leaves, are argued in `docs/FORMAT.md`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::envelope::root::{KeyTime, Roots};
use crate::error::{Error, ErrorKind, Result};
use crate::model::tenant::Tenant;
use crate::records::anchor::{HeadTag, head_tag};
use crate::records::catalogue::CatalogueChange;
use crate::records::codec::Head;
use crate::records::feed::Trimmed;
use crate::records::keys::Family;
use crate::records::manifest::{Effect, Tally};
use crate::records::sweep::Sweeps;
use crate::records::{Records, seal_head, split_revision, storage};
use crate::storage::{BackendError, Batch, Durability};
use crate::time::Timestamp;

/// Bytes that one group may write. A group of the largest legal values still goes through in one piece.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a leader waits for the next caller that is on its way. Each one that comes in time starts the wait anew.
const LINGER: Duration = Duration::from_micros(50);

/// A change that waits to be committed.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) batch: Batch,
    /// What each change of the batch does to the set hash.
    pub(super) effects: Vec<Effect>,
    /// When it was made.
    pub(super) time: KeyTime,
    /// Whether it brings versions, whose data keys were wrapped at that time.
    pub(super) is_sealing: bool,
    /// One for each secret that changes.
    pub(super) parts: Vec<Part>,
    /// What standbys are told of it. `None`: nobody kept changes when it was made.
    pub(super) told: Option<Vec<u8>>,
}

/// What a change is for one secret.
#[derive(Debug)]
pub(super) struct Part {
    /// What must still stand.
    pub(super) guard: Guard,
    /// How many secrets more there are afterwards.
    pub(super) secrets_delta: i8,
    pub(super) quota: Option<Quota>,
    pub(super) catalogue: CatalogueChange,
}

impl Commit {
    /// Takes in another one, so that both are applied or neither. Whether that can be: not if they were made for different
    /// times.
    pub(super) fn join(&mut self, other: Self) -> bool {
        let Self { batch, effects, time, is_sealing, parts, told } = other;
        if time != self.time {
            return false;
        }
        self.batch.append(batch);
        self.effects.extend(effects);
        self.is_sealing |= is_sealing;
        self.parts.extend(parts);
        self.told = self.told.take().zip(told).map(|(own, others)| [own, others].concat());
        true
    }
}

/// The record under `key` must have this revision, or be absent.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) key: Vec<u8>,
    pub(super) revision: Option<u64>,
}

/// The account and Region may have at most so many secrets.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) tenant: Arc<Tenant>,
    pub(super) secrets_max: u64,
    /// Secrets that are past their recovery window by now do not count.
    pub(super) now: Timestamp,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is applied, and durable if that was asked for.
    Done,
    /// The secret was changed by somebody else; nothing was applied.
    Stale,
    /// An account and Region have as many secrets as they may have; nothing was applied. `part`: of which of the secrets that
    /// were to change.
    OverQuota { part: usize },
}

/// Orders commits and groups them.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) durability: Durability,
    queue: Mutex<Queue>,
    /// Somebody stopped leading.
    changed: Condvar,
    /// Somebody queued while another was leading.
    joined: Condvar,
    /// Calls that have begun and may bring a change.
    on_their_way: AtomicUsize,
    /// What the last commit wrote.
    head: Mutex<(Head, HeadTag)>,
    /// Sweeps over all records that have to hear of every change.
    pub(super) sweeps: Sweeps,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Somebody is committing. Only they may touch the backend's write side.
    is_led: bool,
}

#[derive(Debug)]
struct Waiting {
    commit: Commit,
    durability: Durability,
    verdict: Arc<Mutex<Option<Verdict>>>,
    /// Nobody waits for the verdict.
    is_note: bool,
}

/// An outcome that can be given to every waiter of a group.
#[derive(Debug, Clone)]
enum Verdict {
    Outcome(Outcome),
    Failed { kind: ErrorKind, text: String },
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Committer {
    pub(super) fn new(durability: Durability) -> Self {
        Self {
            durability,
            queue: Mutex::default(),
            changed: Condvar::new(),
            joined: Condvar::new(),
            on_their_way: AtomicUsize::new(0),
            head: Mutex::default(),
            sweeps: Sweeps::default(),
        }
    }

    pub(super) fn set_head(&self, head: Head, tag: HeadTag) {
        *lock(&self.head) = (head, tag);
    }

    pub(super) fn head(&self) -> Head {
        self.head_and_tag().0
    }

    pub(super) fn head_and_tag(&self) -> (Head, HeadTag) {
        *lock(&self.head)
    }

    /// Waits a moment for calls that are on their way, so that callers whom the last commit woke all at once share the
    /// next one too. A caller that works alone never waits, and one that is held up is waited for only once a commit.
    fn gather<'a>(&self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        loop {
            let waiting = queue.waiting.len();
            if waiting >= self.on_their_way.load(Ordering::Relaxed) {
                return queue;
            }
            (queue, _) = self.joined.wait_timeout(queue, LINGER).unwrap_or_else(PoisonError::into_inner);
            if queue.waiting.len() == waiting {
                return queue;
            }
        }
    }

    /// Takes the lead as soon as nobody has it, and gives it back when the result is dropped.
    fn lead(&self) -> Lead<'_> {
        let queue = lock(&self.queue);
        let mut queue = self.changed.wait_while(queue, |queue| queue.is_led).unwrap_or_else(PoisonError::into_inner);
        queue.is_led = true;
        Lead::new(self)
    }
}

/// The right to commit. Given back on drop, also while unwinding, so that nobody waits for ever.
struct Lead<'a> {
    committer: &'a Committer,
    is_given_back: bool,
}

impl<'a> Lead<'a> {
    /// For whoever has set `is_led`.
    fn new(committer: &'a Committer) -> Self {
        Self { committer, is_given_back: false }
    }

    fn give_back(mut self, mut queue: MutexGuard<'_, Queue>) {
        queue.is_led = false;
        self.is_given_back = true;
        drop(queue);
        self.committer.changed.notify_all();
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.is_given_back {
            lock(&self.committer.queue).is_led = false;
            self.committer.changed.notify_all();
        }
    }
}

/// A call that may bring a change, until it is dropped.
#[derive(Debug)]
pub(crate) struct OnItsWay<'a>(&'a AtomicUsize);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A group whose members get an answer even if the leader panics.
struct Group<'a> {
    records: &'a Records,
    members: Vec<Waiting>,
    /// Every member has its verdict, or has taken it already.
    is_answered: bool,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.records.failed.store(true, Ordering::Release);
        for member in &self.members {
            let text = "the committing thread panicked".to_owned();
            *lock(&member.verdict) = Some(Verdict::Failed { kind: ErrorKind::Storage, text });
        }
    }
}

impl Records {
    /// Announces a call that may bring a change.
    pub(crate) fn announce(&self) -> OnItsWay<'_> {
        self.committer.on_their_way.fetch_add(1, Ordering::Relaxed);
        OnItsWay(&self.committer.on_their_way)
    }

    /// Queues a change and waits until somebody, perhaps this thread, has committed it.
    pub(super) fn submit(&self, commit: Commit) -> Result<Outcome> {
        let outcomes = self.submit_some(vec![Some(commit)])?;
        Ok(outcomes.first().copied().unwrap_or(Outcome::Stale))
    }

    /// Queues changes and waits until somebody, perhaps this thread, has committed them. What is no change is stale.
    pub(super) fn submit_some(&self, commits: Vec<Option<Commit>>) -> Result<Vec<Outcome>> {
        self.usable()?;
        for commit in commits.iter().flatten() {
            commit.batch.check().map_err(|error| match error {
                BackendError::TooLarge { .. } => super::too_large(),
                other => storage(other),
            })?;
        }
        let durability = self.committer.durability;
        let mut verdicts = Vec::with_capacity(commits.len());
        let mut queue = lock(&self.committer.queue);
        for commit in commits {
            let Some(commit) = commit else {
                verdicts.push(Arc::new(Mutex::new(Some(Verdict::Outcome(Outcome::Stale)))));
                continue;
            };
            let verdict = Arc::default();
            verdicts.push(Arc::clone(&verdict));
            queue.waiting.push(Waiting { commit, durability, verdict, is_note: false });
        }
        if queue.is_led {
            self.committer.joined.notify_one();
        }
        let mut outcomes = Vec::with_capacity(verdicts.len());
        loop {
            while let Some(verdict) = verdicts.get(outcomes.len()).and_then(|verdict| lock(verdict).take()) {
                match verdict {
                    Verdict::Outcome(outcome) => outcomes.push(outcome),
                    Verdict::Failed { kind, text } => return Err(Error::new(kind, text)),
                }
            }
            if outcomes.len() == verdicts.len() {
                return Ok(outcomes);
            }
            if queue.is_led {
                queue = self.committer.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.is_led = true;
            let lead = Lead::new(&self.committer);
            queue = self.committer.gather(queue);
            let members = take_group(&mut queue.waiting);
            drop(queue);
            self.commit_group(members);
            self.step_down(lead);
            queue = lock(&self.committer.queue);
        }
    }

    /// Runs something on the write side of the backend while nobody commits.
    pub(super) fn exclusively(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.while_nobody_commits(|| work().inspect_err(|_| self.failed.store(true, Ordering::Release)))
    }

    /// Runs something between two commits.
    pub(super) fn while_nobody_commits<T>(&self, work: impl FnOnce() -> T) -> T {
        let lead = self.committer.lead();
        let done = work();
        self.step_down(lead);
        done
    }

    fn commit_group(&self, members: Vec<Waiting>) {
        let mut group = Group { records: self, members, is_answered: false };
        let batches = group.members.iter_mut().map(|member| std::mem::take(&mut member.commit.batch)).collect();
        let result = self.try_commit_group(&group.members, batches);
        for (index, member) in group.members.iter().enumerate() {
            let verdict = match &result {
                Ok(outcomes) => Verdict::Outcome(outcomes.get(index).copied().unwrap_or(Outcome::Stale)),
                Err(error) => Verdict::Failed { kind: error.kind().clone(), text: error.to_string() },
            };
            *lock(&member.verdict) = Some(verdict);
        }
        group.is_answered = true;
    }

    /// Gives the lead back, after committing the notes that came meanwhile and that nobody else would take along.
    fn step_down(&self, lead: Lead<'_>) {
        let mut queue = lock(&self.committer.queue);
        while !queue.waiting.is_empty() && queue.waiting.iter().all(|waiting| waiting.is_note) {
            let notes = take_group(&mut queue.waiting);
            drop(queue);
            self.commit_group(notes);
            queue = lock(&self.committer.queue);
        }
        // Under the same lock, so that no note can come between.
        lead.give_back(queue);
    }

    /// Queues a change that need not survive a crash and may be lost to a race, and waits for nobody: whoever is
    /// committing takes it along. If nobody is, it is applied at once, without a flush.
    pub(super) fn submit_note(&self, commit: Commit) -> Result<()> {
        self.usable()?;
        commit.batch.check().map_err(|_| super::too_large())?;
        let note = Waiting { commit, durability: Durability::Eventual, verdict: Arc::default(), is_note: true };
        let mut queue = lock(&self.committer.queue);
        if queue.is_led {
            queue.waiting.push(note);
            return Ok(());
        }
        queue.is_led = true;
        drop(queue);
        let lead = Lead::new(&self.committer);
        self.commit_group(vec![note]);
        self.step_down(lead);
        Ok(())
    }

    /// Commits what members of a group ask for, with the batch of each.
    fn try_commit_group(&self, members: &[Waiting], batches: Vec<Batch>) -> Result<Vec<Outcome>> {
        // Between queueing and leading, another group may have failed or the store been closed.
        self.usable()?;
        let roots = self.roots();
        let mut head = self.committer.head();
        let mut tally = Tally { records: head.records, set: head.set };
        let mut merged = Batch::new();
        let mut touched: HashSet<&[u8]> = HashSet::new();
        let mut outcomes = Vec::with_capacity(members.len());
        let mut durability = Durability::Eventual;
        // Secrets that earlier members of this group add, by tenant: the catalogue does not know them yet.
        let mut added: Vec<(&Arc<Tenant>, i64)> = Vec::new();
        for (Waiting { commit, durability: asked, .. }, batch) in members.iter().zip(batches) {
            let outcome = self.admit(commit, &roots, &head, &touched, &added)?;
            outcomes.push(outcome);
            if outcome != Outcome::Done {
                continue;
            }
            for Part { guard, secrets_delta, quota, catalogue: _ } in &commit.parts {
                touched.insert(&guard.key);
                if let Some(Quota { tenant, .. }) = quota {
                    added.push((tenant, 1));
                }
                head.secrets = head.secrets.saturating_add_signed((*secrets_delta).into());
            }
            commit.effects.iter().for_each(|effect| tally.apply(effect));
            merged.append(batch);
            if *asked == Durability::Immediate {
                durability = Durability::Immediate;
            }
        }
        if merged.is_empty() {
            return Ok(outcomes);
        }
        head.epoch = head.epoch.checked_add(1).ok_or_else(no_more_commits)?;
        head.revision = self.next_revision.load(Ordering::Relaxed);
        (head.records, head.set) = (tally.records, tally.set);
        let sealed = seal_head(&roots.newest, &self.store, &*self.entropy, &head)?;
        let tag = head_tag(&sealed);
        merged.put(vec![Family::Head as u8], sealed);
        let done = members.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Done);
        let trimmed = self.log_changes(
            &roots,
            head.epoch,
            done.filter_map(|(member, _)| member.commit.told.as_deref()),
            &mut merged,
        )?;
        let commit = || {
            self.backend.commit(&merged, durability).map_err(storage)?;
            // Only what is durable may be remembered, and only what is remembered may be acknowledged.
            match durability {
                Durability::Immediate => self.anchors.advance(&roots.newest.anchor, head.epoch, &tag),
                Durability::Eventual => Ok(()),
            }
        };
        commit().inspect_err(|_| self.failed.store(true, Ordering::Release))?;
        self.committer.set_head(head, tag);
        trimmed.into_iter().for_each(Trimmed::was_committed);
        let applied = || members.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Done);
        // What members changed comes first, each change with its effect.
        self.committer.sweeps.tell(merged.iter().zip(applied().flat_map(|(member, _)| &member.commit.effects)));
        let changed = applied().flat_map(|(member, _)| member.commit.parts.iter().map(|part| &part.catalogue));
        self.catalogue.apply(changed);
        Ok(outcomes)
    }

    /// Whether a change may be applied after everything in this group that comes before it.
    fn admit(
        &self,
        commit: &Commit,
        roots: &Roots,
        head: &Head,
        touched: &HashSet<&[u8]>,
        added: &[(&Arc<Tenant>, i64)],
    ) -> Result<Outcome> {
        let is_of_now =
            if commit.is_sealing { commit.time == roots.time() } else { commit.time.is_of_generation(&roots.newest) };
        if !is_of_now {
            return Ok(Outcome::Stale);
        }
        if commit.told.is_none() && self.keeps_changes() {
            return Ok(Outcome::Stale);
        }
        for Part { guard: Guard { key, revision }, .. } in &commit.parts {
            if touched.contains(key.as_slice()) {
                return Ok(Outcome::Stale);
            }
            let stored = self.backend.get(key).map_err(|error| self.failed_read(error))?;
            let standing = stored.as_ref().map(|stored| split_revision(stored.as_ref())).transpose()?;
            if standing.map(|(revision, _)| revision) != *revision {
                return Ok(Outcome::Stale);
            }
        }
        for (part, Part { quota, .. }) in commit.parts.iter().enumerate() {
            if let Some(Quota { tenant, secrets_max, now }) = quota
                && head.secrets >= *secrets_max
            {
                // Only a store with that many secrets needs to know whose they are.
                self.warm_up()?;
                let pending: i64 = added.iter().filter(|(other, _)| other == &tenant).map(|(_, count)| count).sum();
                if self.catalogue.count(tenant, *now).saturating_add_signed(pending) >= *secrets_max {
                    return Ok(Outcome::OverQuota { part });
                }
            }
        }
        Ok(Outcome::Done)
    }
}

/// Only an anchor that is out of its mind leads here.
pub(crate) fn no_more_commits() -> Error {
    Error::new(ErrorKind::Storage, "there is no number left for a further commit")
}

/// As many of the waiting as fit into one group, at least one, in order.
fn take_group(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut bytes = 0;
    let fit = waiting.iter().take_while(|waiting| {
        bytes += waiting.commit.batch.bytes();
        bytes <= GROUP_BYTES_MAX
    });
    let count = fit.count().max(1).min(waiting.len());
    waiting.drain(..count).collect()
}
