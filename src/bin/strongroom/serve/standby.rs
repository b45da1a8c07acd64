//! The standby of a server: on a thread of its own, which brings over what has changed, at most every second.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{io, thread};

use strongroom::{ReplicationReport, StandbyDirectory};

use crate::failure::{Code, Failure};
use crate::serve::connections::STOP_PATIENCE;
use crate::serve::shelf::Shelf;
use crate::standby::{Stop, Stoppable};

/// Between two catch-ups.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the last catch-up may take.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// A standby that follows as long as this is kept.
#[derive(Debug)]
pub(super) struct Standby {
    follower: Arc<Follower>,
    ended: mpsc::Receiver<()>,
}

#[derive(Debug)]
struct Follower {
    shelf: Arc<Shelf>,
    link: StandbyDirectory,
    /// Nothing more is to come: what there is, is brought over.
    over: Stop,
    /// Nobody waits any longer.
    cut: Stop,
}

/// How the catch-ups until now have ended.
#[derive(Debug, Default)]
struct Past {
    /// The commit of the store at which the standby is. `None`: it is to be found out.
    reached: Option<u64>,
    /// What the last one has failed with, if it has.
    failure: Option<String>,
}

impl Standby {
    pub(super) fn start(shelf: Arc<Shelf>, link: StandbyDirectory) -> io::Result<Self> {
        let follower = Arc::new(Follower { shelf, link, over: Stop::default(), cut: Stop::default() });
        let following = Arc::clone(&follower);
        let (alive, ended) = mpsc::channel();
        thread::Builder::new().name("standby".to_owned()).spawn(move || {
            following.work();
            drop(alive);
        })?;
        Ok(Self { follower, ended })
    }

    /// Brings over what is left, and closes the standby.
    pub(super) fn finish(self) {
        self.follower.over.ask();
        if self.has_ended(LAST_PATIENCE) {
            return;
        }
        tracing::warn!("the standby is not where the store is; the next start goes on");
        self.follower.cut.ask();
        self.has_ended(STOP_PATIENCE);
    }

    fn has_ended(&self, patience: Duration) -> bool {
        self.ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Follower {
    fn work(&self) {
        let mut past = Past::default();
        loop {
            let is_last =
                self.over.wait(if past.reached.is_none() && past.failure.is_none() { Duration::ZERO } else { PAUSE });
            let caught_up = catch_unwind(AssertUnwindSafe(|| self.catch_up(past.reached)));
            let caught_up = caught_up.unwrap_or_else(|_| Err(Failure::new(Code::Other, "replication ended early")));
            past.note(caught_up);
            if is_last {
                break;
            }
        }
        if let Err(error) = self.link.close() {
            tracing::error!(%error, "the standby was not closed");
        }
    }

    /// `None`: nothing has changed.
    fn catch_up(&self, reached: Option<u64>) -> Result<Option<ReplicationReport>, Failure> {
        let link = Stoppable::new(&self.link, &self.cut);
        self.shelf.with(|store| {
            if Some(store.stats()?.epoch) == reached {
                return Ok(None);
            }
            store.replicate_to(&link, &mut |_| {}).map(Some)
        })
    }
}

impl Past {
    /// Lines in the log. A failure that lasts is told once.
    fn note(&mut self, caught_up: Result<Option<ReplicationReport>, Failure>) {
        match caught_up {
            Ok(None) => {}
            Ok(Some(report)) => {
                let (epoch, commits) = (report.position.epoch(), report.commits);
                let is_news = self.reached.is_none();
                self.reached = Some(epoch);
                self.failure = None;
                match report.seeded_secrets {
                    Some(seeded_secrets) => tracing::info!(epoch, seeded_secrets, commits, "made a standby"),
                    None if is_news => tracing::info!(epoch, commits, "the standby follows"),
                    None => tracing::debug!(epoch, commits, "the standby follows"),
                }
            }
            Err(failure) => {
                let text = failure.to_string();
                if self.failure.as_ref() != Some(&text) {
                    tracing::error!(error = text, "the standby does not follow");
                }
                (self.reached, self.failure) = (None, Some(text));
            }
        }
    }
}
