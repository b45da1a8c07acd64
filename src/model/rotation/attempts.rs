//! Attempts to rotate a secret: taking up what is due, and noting what came of it.

use chrono::TimeDelta;

use crate::error::Result;
use crate::model::rotation::{Job, JobKind};
use crate::model::secret::Secret;
use crate::model::stages::{CURRENT, PENDING};
use crate::model::version::VersionId;
use crate::rotation::{RotationSchedule, RotationWindow};
use crate::time::{Timestamp, after};

/// Characters of the reason of a failure that are kept.
pub(crate) const REASON_CHARS_MAX: usize = 1_024;

/// Why a rotation failed whose function did everything it was asked to.
pub(crate) const NOT_CURRENT: &str = "AWSCURRENT is not on the new version after the step finishSecret";

/// How often, and how soon again, a rotation that fails is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retries {
    /// Attempts in one window.
    pub(crate) attempts: u32,
    /// Time between the first failure and the second attempt. It doubles with every failure.
    pub(crate) pause: TimeDelta,
}

/// What is to be done for a secret whose rotation is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing, any more.
    Nothing,
    /// Its window was missed: another one was planned.
    Postponed,
    /// The process ended during the last attempt, or the window did before the next one.
    GivenUp(Attempt),
    /// The next attempt. It was noted as begun.
    Attempt(Attempt),
}

/// An attempt to rotate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) token: VersionId,
    pub(crate) kind: JobKind,
    pub(crate) rotation_token: String,
    /// From 1.
    pub(crate) number: u32,
}

impl Attempt {
    fn of(job: &Job) -> Self {
        let Job { token, kind, rotation_token, attempts, .. } = job;
        Self { token: token.clone(), kind: *kind, rotation_token: rotation_token.clone(), number: *attempts }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The rotation is over, and did what it was to do.
    Succeeded,
    /// It failed, and is tried again at this time, or in the next window.
    Failed { again_at: Option<Timestamp> },
    /// Somebody ended it meanwhile.
    Gone,
}

/// New ids, for a rotation that begins by itself.
pub(crate) type NewIds<'a> = &'a mut dyn FnMut() -> Result<(VersionId, String)>;

impl Secret {
    /// A rotation of which every attempt failed begins again at once.
    pub(crate) fn resume_rotation(&mut self, now: Timestamp) {
        if let Some(job) = self.rotation.as_mut().and_then(|rotation| rotation.job.as_mut()) {
            (job.attempts, job.due_at, job.until) = (0, Some(now), None);
        }
    }

    /// When a rotation may be looked at: not while the secret is scheduled for deletion, and never that of a replica.
    pub(crate) fn rotation_due(&self) -> Option<Timestamp> {
        if self.deletion_at.is_some() || self.is_replica() {
            return None;
        }
        self.rotation.as_ref()?.due_at()
    }

    /// Finds what is to be done for a secret whose rotation may be due, and notes it.
    pub(crate) fn take_up_rotation(
        &mut self,
        retries: &Retries,
        versions_max: usize,
        now: Timestamp,
        new_ids: NewIds<'_>,
    ) -> Result<Due> {
        if self.rotation_due().is_none_or(|due| due > now) {
            return Ok(Due::Nothing);
        }
        let Some(mut rotation) = self.rotation.take() else { return Ok(Due::Nothing) };
        if rotation.job.as_ref().is_none_or(|job| job.due_at.is_none()) {
            let Some(window) = rotation.window else { return Ok(Due::Nothing) };
            let schedule = rotation.schedule();
            if now >= window.end && schedule.as_ref().is_some_and(RotationSchedule::has_duration) {
                // Whoever gave a duration wants no rotation outside it.
                rotation.window = schedule.and_then(|schedule| window_now(&schedule, rotation.origin(&schedule), now));
                self.rotation = Some(rotation);
                return Ok(Due::Postponed);
            }
            // A window that is made up for lasts as long as it would have.
            let until = if window.end > now { window.end } else { after(now, window.end - window.start) };
            self.rotation = Some(rotation);
            self.begin_window(until, versions_max, now, new_ids)?;
        } else {
            self.rotation = Some(rotation);
        }
        let current = self.stages.holder(CURRENT).cloned();
        let Some(job) = self.rotation.as_mut().and_then(|rotation| rotation.job.as_mut()) else {
            return Ok(Due::Nothing);
        };
        // What became the current version in an attempt that did not end is looked at once more, and is finished then.
        let is_made = job.kind == JobKind::Rotation && current.as_ref() == Some(&job.token);
        if !is_made && (job.attempts >= retries.attempts || job.until.is_some_and(|until| until <= now)) {
            let attempt = Attempt::of(job);
            self.give_up(now);
            return Ok(Due::GivenUp(attempt));
        }
        job.attempts = job.attempts.saturating_add(1);
        Ok(Due::Attempt(Attempt::of(job)))
    }

    /// Nothing can be begun in this window.
    pub(crate) fn skip_window(&mut self, now: Timestamp) {
        if let Some(rotation) = &mut self.rotation {
            rotation.postpone(now);
        }
    }

    /// A window begins: with the version that is pending already, or with a new one.
    fn begin_window(
        &mut self,
        until: Timestamp,
        versions_max: usize,
        now: Timestamp,
        new_ids: NewIds<'_>,
    ) -> Result<()> {
        let waits = self.job().is_some_and(|job| self.stages.holder(CURRENT) != Some(&job.token));
        if waits {
            self.resume_rotation(now);
        } else {
            let (id, rotation_token) = new_ids()?;
            let token = self.pending().cloned().unwrap_or(id);
            self.begin_rotation(&token, JobKind::Rotation, rotation_token, versions_max, now)?;
        }
        if let Some(job) = self.rotation.as_mut().and_then(|rotation| rotation.job.as_mut()) {
            job.until = Some(until);
        }
        Ok(())
    }

    /// No attempt any more in this window. A test ends altogether.
    fn give_up(&mut self, now: Timestamp) {
        let Some(rotation) = &mut self.rotation else { return };
        if rotation.job.as_ref().is_some_and(|job| job.until.is_some()) {
            rotation.postpone(now);
        }
        match &mut rotation.job {
            Some(job) if job.kind == JobKind::Test => {
                let token = job.token.clone();
                self.end_test(&token, now);
            }
            Some(job) => job.due_at = None,
            None => {}
        }
    }

    /// The version of a test goes, and its label with it.
    fn end_test(&mut self, token: &VersionId, now: Timestamp) {
        if let Some(rotation) = &mut self.rotation {
            rotation.job = None;
        }
        if self.pending() == Some(token) {
            self.stages.detach(PENDING);
            if !self.stages.is_labelled(token) {
                self.versions.retain(|version| version.id != *token);
            }
            self.touch(now);
        }
    }

    /// Notes what came of an attempt. `failure`: why it failed.
    pub(crate) fn end_attempt(
        &mut self,
        attempt: &Attempt,
        failure: Option<&str>,
        retries: &Retries,
        now: Timestamp,
    ) -> Ending {
        let is_current = self.stages.holder(CURRENT) == Some(&attempt.token);
        let Some(rotation) = &mut self.rotation else { return Ending::Gone };
        let Some(job) = rotation.job.as_mut().filter(|job| job.token == attempt.token) else { return Ending::Gone };
        match (failure, attempt.kind) {
            (None, JobKind::Test) => {
                self.end_test(&attempt.token, now);
                Ending::Succeeded
            }
            (None, JobKind::Rotation) if is_current => {
                rotation.job = None;
                rotation.last_rotated_at = Some(now);
                rotation.count_from(now);
                Ending::Succeeded
            }
            (failure, kind) => {
                let reason = failure.unwrap_or(NOT_CURRENT);
                job.failure = Some((now, reason.chars().take(REASON_CHARS_MAX).collect()));
                let doublings = job.attempts.saturating_sub(1).min(20);
                let pause = retries.pause.checked_mul(1 << doublings).unwrap_or(TimeDelta::MAX);
                let again_at = after(now, pause);
                let is_over = job.attempts >= retries.attempts || job.until.is_some_and(|until| until <= again_at);
                if is_over && is_current && kind == JobKind::Rotation {
                    // The last step did what it was for before it failed.
                    rotation.job = None;
                    rotation.last_rotated_at = Some(now);
                    rotation.count_from(now);
                    return Ending::Succeeded;
                }
                if is_over || kind == JobKind::Test {
                    self.give_up(now);
                    return Ending::Failed { again_at: self.rotation_due() };
                }
                job.due_at = Some(again_at);
                Ending::Failed { again_at: Some(again_at) }
            }
        }
    }
}

/// The window that `now` is in, or else the first one after it.
fn window_now(schedule: &RotationSchedule, origin: Timestamp, now: Timestamp) -> Option<RotationWindow> {
    // No window is longer than a day.
    let mut window = schedule.next_window(origin, after(now, -TimeDelta::hours(25)))?;
    while window.end <= now {
        window = schedule.next_window(origin, window.start)?;
    }
    Some(window)
}
