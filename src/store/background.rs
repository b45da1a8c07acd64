//! The store's own thread, where somebody asked for one, and what it waits for.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::model::secret::Owner;
use crate::model::tenant::Tenant;
use crate::store::maintenance::MaintenanceReport;
use crate::store::{Inner, SecretsManager};

/// Shortest time between two runs, unless something is asked for.
const PAUSE_MIN: Duration = Duration::from_millis(200);

type Report = dyn Fn(&Result<MaintenanceReport>) + Send + Sync;

/// How the store's own thread works.
#[derive(Clone)]
pub(crate) struct Background {
    interval: Duration,
    maintain: fn(&SecretsManager) -> Result<MaintenanceReport>,
    report: Arc<Report>,
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Background {
    pub(crate) fn new(
        interval: Duration,
        maintain: fn(&SecretsManager) -> Result<MaintenanceReport>,
        report: impl Fn(&Result<MaintenanceReport>) + Send + Sync + 'static,
    ) -> Self {
        Self { interval, maintain, report: Arc::new(report) }
    }

    /// Starts the thread. It keeps nothing open between its runs.
    pub(super) fn start(self, inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<()> {
        let (store, tenant) = (Arc::downgrade(inner), Arc::clone(tenant));
        let thread = thread::Builder::new().name("strongroom-maintenance".to_owned());
        let started = thread.spawn(move || self.work(&store, &tenant));
        started.map(drop).map_err(|error| {
            Error::new(ErrorKind::Configuration, "the thread for maintenance cannot be started").with_source(error)
        })
    }

    fn work(&self, store: &Weak<Inner>, tenant: &Arc<Tenant>) {
        while let Some(inner) = store.upgrade() {
            let alarm = Arc::clone(&inner.alarm);
            if alarm.is_over() {
                return;
            }
            let manager = SecretsManager {
                inner,
                tenant: Arc::clone(tenant),
                owner: Owner::default(),
                caller: None,
                request_id: None,
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| (self.maintain)(&manager)))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Contended, "the maintenance ended early")));
            // Whoever is told and panics is told the next time all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.report)(&outcome)));
            let due = outcome.ok().and_then(|report| report.next_due_at);
            let until_due = due.map(|due| (due - manager.now()).to_std().unwrap_or_default());
            drop(manager);
            if !alarm.wait(until_due.unwrap_or(self.interval).clamp(PAUSE_MIN, self.interval.max(PAUSE_MIN))) {
                return;
            }
        }
    }
}

/// Wakes a thread before its time.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_ringing: bool,
    is_over: bool,
}

impl Alarm {
    /// There is something to do at once.
    pub(crate) fn ring(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_ringing = true;
        self.changed.notify_all();
    }

    /// There will be nothing to do any more.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.changed.notify_all();
    }

    fn is_over(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over
    }

    /// Waits for so long, or until there is something to do. Whether to go on.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_quiet = |state: &mut State| !state.is_ringing && !state.is_over;
        let (mut state, _) =
            self.changed.wait_timeout_while(state, time, is_quiet).unwrap_or_else(PoisonError::into_inner);
        state.is_ringing = false;
        !state.is_over
    }
}
