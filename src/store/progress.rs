//! How far long work has come.

/// How far a long piece of work has come. Work that takes longer than a moment calls back with these, from the thread that
/// does it, a few hundred times at most for each step.
///
/// What is called back may work with secrets. It must not begin other long work on the same store: backups, verifications,
/// exports and a change of the root key wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done, for people: `reading records`.
    pub step: &'static str,
    /// How much of the step is done. It never falls within a step.
    pub done: u64,
    /// How much there is to do, if that is known. What others add meanwhile may push `done` beyond it.
    pub total: Option<u64>,
}

/// Counts, and calls back now and then.
pub(crate) struct Meter<'a> {
    step: &'static str,
    done: u64,
    total: u64,
    next_call: u64,
    call: &'a mut dyn FnMut(Progress),
}

/// Calls back for each step of work, at most.
const CALLS_MAX: u64 = 200;

impl<'a> Meter<'a> {
    pub(crate) fn new(step: &'static str, total: u64, call: &'a mut dyn FnMut(Progress)) -> Self {
        call(Progress { step, done: 0, total: Some(total) });
        let mut meter = Self { step, done: 0, total, next_call: 0, call };
        meter.next_call = meter.stride();
        meter
    }

    fn stride(&self) -> u64 {
        self.total.max(self.done).div_ceil(CALLS_MAX).max(1)
    }

    pub(crate) fn advance(&mut self, by: u64) {
        self.reach(self.done.saturating_add(by));
    }

    pub(crate) fn reach(&mut self, done: u64) {
        self.done = done;
        if done >= self.next_call {
            self.next_call = done.saturating_add(self.stride());
            (self.call)(Progress { step: self.step, done, total: Some(self.total) });
        }
    }

    /// As [`reach`](Self::reach), for work whose extent is known only now.
    pub(crate) fn reach_of(&mut self, done: u64, total: u64) {
        self.total = total;
        self.next_call = self.next_call.max(self.stride());
        self.reach(done);
    }

    /// The step is done, however much of it there was.
    pub(crate) fn finish(self) {
        (self.call)(Progress { step: self.step, done: self.done, total: Some(self.done) });
    }
}
