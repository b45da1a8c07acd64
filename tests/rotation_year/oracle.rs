//! What should happen to one secret within the year, by a reading of the rules of its own.

use crate::calendar::{Calendar, DAY, MINUTE, Origin, START, Spec, Window};

/// Attempts in one window.
const ATTEMPTS: u32 = 5;

/// What a user does, and what becomes of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Create,
    /// `RotateSecret` with rules.
    Configure {
        spec: Spec,
        immediately: bool,
    },
    /// `RotateSecret` without rules.
    Rotate {
        immediately: bool,
    },
    Put,
    Cancel,
    Delete,
    Restore,
    /// From now on the function fails, or works again.
    Function(Option<Fault>),
}

/// How a function fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// In this step, from 0 on, in which it does nothing.
    InStep(usize),
    /// It does everything, and then says that it failed.
    AfterFinish,
    /// It does nothing, and says that it did it.
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: i64,
    pub(crate) deed: Deed,
}

/// What `DescribeSecret` shows. Versions are numbered in the order in which they are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    pub(crate) enabled: Option<bool>,
    pub(crate) last: Option<i64>,
    pub(crate) next: Option<i64>,
    pub(crate) current: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Did(Deed),
    /// An earlier rotation stands in the way.
    Refused(Deed),
    /// An attempt, with the number of its version and of the steps that were called.
    Rotated {
        version: u32,
        steps: usize,
    },
    Failed {
        version: u32,
        steps: usize,
    },
    Tested {
        version: u32,
    },
}

/// Something that happens to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: i64,
    pub(crate) secret: usize,
    pub(crate) what: What,
    pub(crate) before: Shown,
    pub(crate) after: Shown,
}

impl Line {
    pub(crate) fn is_firing(&self) -> bool {
        !matches!(self.what, What::Did(_) | What::Refused(_))
    }
}

/// A rotation that was begun.
struct Job {
    version: u32,
    is_test: bool,
    attempts: u32,
    /// `None`: it waits for a window.
    due: Option<i64>,
    /// No attempt begins after it.
    until: Option<i64>,
}

pub(crate) struct Oracle<'a> {
    calendar: &'a Calendar,
    secret: usize,
    spec: Option<Spec>,
    origin: Origin,
    is_enabled: bool,
    is_deleted: bool,
    window: Option<Window>,
    date: Option<i64>,
    last: Option<i64>,
    made: u32,
    current: u32,
    pending: Option<u32>,
    job: Option<Job>,
    fault: Option<Fault>,
    lines: Vec<Line>,
}

impl<'a> Oracle<'a> {
    /// Everything that happens to a secret before `end`.
    pub(crate) fn lines(calendar: &'a Calendar, secret: usize, events: &[Event], end: i64) -> Vec<Line> {
        let mut oracle = Self {
            calendar,
            secret,
            spec: None,
            origin: Origin { days_from: 0, hours_from: 0 },
            is_enabled: false,
            is_deleted: false,
            window: None,
            date: None,
            last: None,
            made: 0,
            current: 0,
            pending: None,
            job: None,
            fault: None,
            lines: Vec::new(),
        };
        let mut now = START;
        let mut events = events.iter().peekable();
        loop {
            let due = oracle.due().map(|due| due.max(now)).filter(|due| *due < end);
            let event = events.peek().map(|event| event.at).filter(|at| *at < end);
            match (due, event) {
                (Some(due), event) if event.is_none_or(|event| due < event) => {
                    now = due;
                    oracle.fire(now);
                }
                (_, Some(event)) => {
                    now = event;
                    oracle.take(events.next().unwrap());
                }
                _ => return oracle.lines,
            }
        }
    }

    fn shown(&self) -> Shown {
        Shown {
            enabled: self.spec.map(|_| self.is_enabled),
            last: self.last.filter(|_| self.is_enabled),
            next: self.date.filter(|_| self.is_enabled),
            current: self.current,
        }
    }

    fn due(&self) -> Option<i64> {
        if self.is_deleted || !self.is_enabled {
            return None;
        }
        let attempt = self.job.as_ref().and_then(|job| job.due);
        attempt.or(self.window.map(Window::start))
    }

    fn log(&mut self, at: i64, what: What, before: Shown) {
        let line = Line { at, secret: self.secret, what, before, after: self.shown() };
        self.lines.push(line);
    }

    fn plan(&mut self, now: i64) {
        self.postpone(now);
        self.date = self.window.map(Window::date);
    }

    fn postpone(&mut self, now: i64) {
        self.window = self.spec.map(|spec| self.calendar.next(&spec, self.origin, now));
    }

    fn new_version(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    fn begin(&mut self, is_test: bool, now: i64) {
        let version = self.new_version();
        self.pending = Some(version);
        self.job = Some(Job { version, is_test, attempts: 0, due: Some(now), until: None });
    }

    fn take(&mut self, event: &Event) {
        let Event { at, deed } = *event;
        let before = self.shown();
        let day = (at - START).div_euclid(DAY);
        let is_blocked = self.pending.is_some_and(|pending| pending != self.current);
        let mut what = What::Did(deed);
        match deed {
            Deed::Configure { .. } | Deed::Rotate { .. } if is_blocked => what = What::Refused(deed),
            Deed::Create => self.current = self.new_version(),
            Deed::Configure { spec, immediately } => {
                (self.spec, self.is_enabled) = (Some(spec), true);
                self.origin = Origin { days_from: day, hours_from: day };
                self.plan(at);
                self.begin(!immediately, at);
            }
            Deed::Rotate { immediately } => {
                if !self.is_enabled {
                    self.is_enabled = true;
                    self.plan(at);
                }
                self.begin(!immediately, at);
            }
            Deed::Put => {
                self.current = self.new_version();
                (self.pending, self.job) = (None, None);
                self.origin.days_from = day;
                if self.is_enabled {
                    self.plan(at);
                }
            }
            Deed::Cancel => (self.is_enabled, self.job, self.window, self.date) = (false, None, None, None),
            Deed::Delete => self.is_deleted = true,
            Deed::Restore => self.is_deleted = false,
            Deed::Function(fault) => self.fault = fault,
        }
        self.log(at, what, before);
    }

    /// Does what is due.
    fn fire(&mut self, now: i64) {
        let before = self.shown();
        if self.job.as_ref().is_none_or(|job| job.due.is_none()) {
            let (spec, window) = (self.spec.unwrap(), self.window.unwrap());
            if now >= window.end() && spec.duration.is_some() {
                // A window with a duration is not made up for.
                self.window = Some(self.calendar.open_or_next(&spec, self.origin, now));
                return;
            }
            let until = if now < window.end() { window.end() } else { now + window.end() - window.start() };
            if self.job.is_none() {
                self.begin(false, now);
            }
            let job = self.job.as_mut().unwrap();
            (job.attempts, job.until) = (0, Some(until));
        }
        let fault = self.fault;
        let job = self.job.as_mut().unwrap();
        let version = job.version;
        if job.until.is_some_and(|until| until <= now) {
            // The secret was deleted, and the window passed.
            job.due = None;
            return self.postpone(now);
        }
        job.attempts += 1;
        if job.is_test {
            (self.job, self.pending) = (None, None);
            return self.log(now, What::Tested { version }, before);
        }
        let steps = if let Some(Fault::InStep(step)) = fault { step + 1 } else { 4 };
        if matches!(fault, None | Some(Fault::AfterFinish)) {
            self.current = version;
        }
        if self.current == version && matches!(fault, None | Some(Fault::Idle)) {
            self.job = None;
            self.last = Some(now);
            self.origin.days_from = (now - START).div_euclid(DAY);
            self.plan(now);
            return self.log(now, What::Rotated { version, steps }, before);
        }
        let job = self.job.as_mut().unwrap();
        let again = now + (MINUTE << (job.attempts - 1));
        if job.attempts == ATTEMPTS || job.until.is_some_and(|until| until <= again) {
            job.due = None;
            if job.until.is_some() {
                self.postpone(now);
            }
        } else {
            job.due = Some(again);
        }
        self.log(now, What::Failed { version, steps }, before);
    }
}
