//! Where a call of the engine is made, which may wait for the disk or for a key provider.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task;

/// Calls that are being made.
#[derive(Debug, Default)]
pub(super) struct AtWork(Arc<AtomicUsize>);

/// One of them, until it is dropped.
pub(super) struct Begun {
    is_alone: bool,
    at_work: Arc<AtomicUsize>,
}

impl AtWork {
    pub(super) fn begin(&self) -> Begun {
        let at_work = Arc::clone(&self.0);
        Begun { is_alone: at_work.fetch_add(1, Ordering::Relaxed) == 0, at_work }
    }
}

impl Begun {
    /// Makes the call: on a thread that may wait, or, if no other is being made, on this one, which saves waking up two threads
    /// one after the other. `None`: it panicked.
    pub(super) async fn make<T: Send + 'static>(self, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if self.is_alone {
            // The thread's other tasks go to another one meanwhile.
            return task::block_in_place(|| panic::catch_unwind(AssertUnwindSafe(call))).ok();
        }
        let made = move || {
            let made = call();
            drop(self);
            made
        };
        task::spawn_blocking(made).await.ok()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_call_that_is_alone_is_made_on_the_spot_and_others_go_on_meanwhile() {
        let at_work = AtWork::default();
        let here = thread::current().id();
        assert_eq!(at_work.begin().make(|| thread::current().id()).await, Some(here));

        let (go_on, waits) = mpsc::channel::<()>();
        let first = at_work.begin();
        let slow = tokio::spawn(first.make(move || waits.recv().is_ok()));
        let second = at_work.begin();
        assert!(!second.is_alone);
        assert_eq!(second.make(|| 2).await, Some(2));
        go_on.send(()).unwrap();
        assert_eq!(slow.await.unwrap(), Some(true));
        assert!(at_work.begin().is_alone);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_call_that_panics_is_over() {
        let at_work = AtWork::default();
        for _ in 0..2 {
            assert_eq!(at_work.begin().make(|| -> u8 { panic!("on purpose") }).await, None);
            let other = at_work.begin();
            assert_eq!(at_work.begin().make(|| -> u8 { panic!("on purpose") }).await, None);
            drop(other);
        }
        assert!(at_work.begin().is_alone);
    }
}
