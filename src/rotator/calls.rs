//! Calling a function so that neither a panic nor a call that never returns stops anybody else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::store::rotation::RotatingNow;
use crate::store::{RotationCall, RotationFunction};

type Outcome = Result<(), String>;

/// Calls functions, one at a time.
#[derive(Debug)]
pub(super) struct Caller {
    timeout: Option<Duration>,
    /// The thread that calls, where there is a timeout. Started when it is first needed.
    hand: Option<Hand>,
}

/// A thread that calls what it is given, until nobody gives it anything any more.
#[derive(Debug)]
struct Hand {
    give: Sender<Task>,
    outcomes: Receiver<Outcome>,
}

struct Task {
    function: Arc<dyn RotationFunction>,
    call: RotationCall,
    guard: Arc<RotatingNow>,
}

impl Caller {
    /// Gives up on a call after `timeout`. `None`: calls on the thread of the caller, and waits for it.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, hand: None }
    }

    /// Calls a function. The secret counts as being rotated as long as the call has not returned, even if it was given up.
    pub(super) fn call(
        &mut self,
        function: Arc<dyn RotationFunction>,
        call: RotationCall,
        guard: Arc<RotatingNow>,
    ) -> Outcome {
        let task = Task { function, call, guard };
        let Some(timeout) = self.timeout else { return task.run() };
        let hand = match self.hand.take() {
            Some(hand) => hand,
            None => Hand::start().ok_or("no thread could be started")?,
        };
        if hand.give.send(task).is_err() {
            return Err("the thread of the function ended".to_owned());
        }
        match hand.outcomes.recv_timeout(timeout) {
            Ok(outcome) => {
                self.hand = Some(hand);
                outcome
            }
            // The thread ends when the call returns.
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("the function did not return within {} seconds", timeout.as_secs_f64()))
            }
            Err(RecvTimeoutError::Disconnected) => Err("the thread of the function ended".to_owned()),
        }
    }
}

impl Hand {
    fn start() -> Option<Self> {
        let (give, given) = mpsc::channel::<Task>();
        let (tell, outcomes) = mpsc::channel();
        let work = move || {
            for task in given {
                if tell.send(task.run()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("strongroom-rotation".to_owned()).spawn(work).ok()?;
        Some(Self { give, outcomes })
    }
}

impl Task {
    fn run(self) -> Outcome {
        let Self { function, call, guard } = self;
        let called = catch_unwind(AssertUnwindSafe(|| {
            let outcome = function.invoke(&call).map_err(|error| error.to_string());
            // What the caller holds, the store included, is given back before anybody hears of it.
            drop((function, call));
            outcome
        }));
        drop(guard);
        called.unwrap_or_else(|_| Err("the function panicked".to_owned()))
    }
}
