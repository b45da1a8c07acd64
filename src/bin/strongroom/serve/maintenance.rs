//! Maintaining the store of a server: on a thread of its own, one run at a time, when something is due or was asked for.
//!
//! Rotation functions are called meanwhile, which may take long, and may hang. So no request and no runtime waits for a run
//! in a way that could not be given up.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use strongroom::{Clock as _, MaintenanceReport};
use tokio::sync::oneshot;

use crate::failure::{Code, Failure};
use crate::serve::clock::ServerClock;
use crate::serve::shelf::Shelf;

/// Shortest time between a run and the next one that nobody has asked for.
const PAUSE_MIN: Duration = Duration::from_secs(1);

type Outcome = Result<MaintenanceReport, Failure>;

#[derive(Debug)]
pub(super) struct Maintenance {
    shelf: Arc<Shelf>,
    clock: ServerClock,
    /// Longest time between two runs. `None`: nothing is done unless somebody asks.
    interval: Option<Duration>,
    asked: Mutex<Asked>,
    changed: Condvar,
}

/// What the next run is for.
#[derive(Debug, Default)]
struct Asked {
    is_asked: bool,
    /// Who wants to know what a run of their own has done.
    waiting: VecDeque<oneshot::Sender<Outcome>>,
    is_over: bool,
}

impl Maintenance {
    /// Starts the thread. The second result is ready when it has ended.
    pub(super) fn start(
        shelf: Arc<Shelf>,
        clock: ServerClock,
        interval: Option<Duration>,
    ) -> io::Result<(Arc<Self>, oneshot::Receiver<()>)> {
        let started = Arc::new(Self { shelf, clock, interval, asked: Mutex::default(), changed: Condvar::new() });
        let (alive, ended) = oneshot::channel();
        let maintenance = Arc::clone(&started);
        thread::Builder::new().name("maintenance".to_owned()).spawn(move || {
            maintenance.work();
            drop(alive);
        })?;
        Ok((started, ended))
    }

    /// There is something to do: has a run begin at once, or when the present one has ended.
    pub(super) fn ask(&self) {
        self.lock().is_asked = true;
        self.changed.notify_all();
    }

    /// Something may be due that was not when the last run ended: the time was changed, or replicas are behind.
    pub(super) fn look_again(&self) {
        if self.interval.is_some() {
            self.ask();
        }
    }

    /// Has a run made, and tells what it did.
    pub(super) async fn run(&self) -> Outcome {
        let (tell, told) = oneshot::channel();
        self.lock().waiting.push_back(tell);
        self.changed.notify_all();
        told.await.unwrap_or_else(|_| Err(Failure::new(Code::Other, "the server is stopping")))
    }

    /// No further run. The present one goes on.
    pub(super) fn stop(&self) {
        let mut asked = self.lock();
        asked.is_over = true;
        asked.waiting.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut pause = self.interval.map(|_| Duration::ZERO);
        while let Some(tell) = self.wait(pause) {
            let done = catch_unwind(AssertUnwindSafe(|| self.shelf.maintain()));
            let done = done.unwrap_or_else(|_| Err(Failure::new(Code::Other, "maintenance ended early")));
            note(&done);
            pause = self.pause(&done);
            if let Some(tell) = tell {
                // Whoever asked may have left.
                let _ = tell.send(done);
            }
        }
    }

    /// Waits until there is something to do. `None` at the end; who wants to be told otherwise, if anybody.
    fn wait(&self, pause: Option<Duration>) -> Option<Option<oneshot::Sender<Outcome>>> {
        let is_idle = |asked: &mut Asked| !asked.is_asked && asked.waiting.is_empty() && !asked.is_over;
        let asked = self.lock();
        let mut asked = match pause {
            Some(pause) => {
                let waited = self.changed.wait_timeout_while(asked, pause, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(asked, is_idle).unwrap_or_else(PoisonError::into_inner),
        };
        if asked.is_over {
            return None;
        }
        asked.is_asked = false;
        Some(asked.waiting.pop_front())
    }

    /// Until something is due, by the clock of the store, or the interval is over.
    fn pause(&self, done: &Outcome) -> Option<Duration> {
        let interval = self.interval?;
        let due = done.as_ref().ok().and_then(|report| report.next_due_at);
        let until_due = due.map(|due| (due - self.clock.now()).to_std().unwrap_or_default());
        Some(until_due.unwrap_or(interval).max(PAUSE_MIN).min(interval))
    }
}

/// A line in the log, if something was done.
fn note(outcome: &Outcome) {
    let report = match outcome {
        Ok(report) => report,
        Err(error) => return tracing::error!(%error, "maintenance failed"),
    };
    let MaintenanceReport {
        purged_secrets,
        removed_versions,
        rotated_secrets,
        tested_rotations,
        replicated_secrets,
        failed_rotations,
        failed_replications,
        ..
    } = *report;
    let done = purged_secrets + removed_versions + rotated_secrets + tested_rotations + replicated_secrets;
    if failed_rotations + failed_replications > 0 {
        tracing::warn!(
            purged_secrets,
            removed_versions,
            rotated_secrets,
            tested_rotations,
            replicated_secrets,
            failed_rotations,
            failed_replications,
            "maintained"
        );
    } else if done > 0 {
        tracing::info!(
            purged_secrets,
            removed_versions,
            rotated_secrets,
            tested_rotations,
            replicated_secrets,
            failed_rotations,
            failed_replications,
            "maintained"
        );
    }
}
