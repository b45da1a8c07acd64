//! What happens in a simulation: calls, time, maintenance, and everything that can go wrong.

use strongroom::KeyError;

use crate::chance::Chance;
use crate::request::{Bytes, Filter, Given, Listing, Metadata, Password, Request, Tags};

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Commit,
    Flush,
    Panic,
}

/// One step of a simulation.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A call of a tenant.
    Call(usize, Request),
    /// So many new versions of a secret.
    Burst(usize, String, usize),
    /// The clock moves by milliseconds.
    Clock(i64),
    /// The clock moves to when something is due next, and by so many milliseconds beyond.
    ClockToDue(i64),
    Maintain,
    Flush,
    /// The store is closed, or just dropped, and opened again.
    Reopen {
        is_closed: bool,
    },
    /// The power fails. Of the commits that it may take, it takes some.
    PowerCut {
        spared: usize,
    },
    /// One of the next writes fails. Then the power fails too, or the store is just opened again.
    FailWrite {
        fault: Fault,
        after: u64,
        power_cut: Option<usize>,
    },
    /// The next call finds a disk that cannot be read after so many reads.
    FailReads {
        after: u64,
    },
    /// From now on the key provider answers with this error, or works again.
    Outage(Option<KeyError>),
    /// From now on, of a hundred calls of the key provider so many fail.
    Flaky(usize),
}

pub(crate) const NAMES: [&str; 5] = ["app", "db/main", "queue-a1b2c3", "/lead", "z"];
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The steps of a simulation, which follow from its seed.
pub(crate) fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut maker = Maker { chance: Chance::new(seed), bursts: 0 };
    (0..count).map(|_| maker.step()).collect()
}

struct Maker {
    chance: Chance,
    bursts: usize,
}

impl Maker {
    fn step(&mut self) -> Step {
        let chance = &mut self.chance;
        match chance.below(1_000) {
            0..640 => self.call(),
            640..790 => Step::Clock(self.moved()),
            790..820 => Step::ClockToDue(chance.pick(&[-1, 0, 0, 1])),
            820..870 => Step::Maintain,
            870..875 => Step::Flush,
            875..885 => Step::Reopen { is_closed: chance.is_one_of(2) },
            885..905 => Step::PowerCut { spared: chance.below(1_000) },
            905..945 => Step::FailWrite {
                fault: chance.pick(&[Fault::Commit, Fault::Flush, Fault::Panic]),
                after: chance.number() % 3,
                power_cut: chance.is_one_of(2).then(|| chance.below(1_000)),
            },
            945..965 => Step::FailReads { after: chance.number() % 6 },
            965..975 => Step::Outage(Some(self.outage())),
            975..983 => Step::Flaky(chance.pick(&[20, 50, 80])),
            983..998 => Step::Outage(None),
            _ if self.bursts < 1 => {
                self.bursts += 1;
                Step::Burst(0, self.name(), 95 + self.chance.below(20))
            }
            _ => Step::Maintain,
        }
    }

    fn outage(&mut self) -> KeyError {
        use KeyError as K;
        self.chance.pick(&[K::Throttled, K::Unavailable, K::Timeout, K::Internal, K::Disabled, K::AccessDenied])
    }

    /// From milliseconds to months.
    fn moved(&mut self) -> i64 {
        let chance = &mut self.chance;
        match chance.below(40) {
            0..6 => chance.within(1..5),
            6..12 => chance.within(1..60) * MINUTE,
            12..20 => chance.within(1..30) * HOUR,
            20..22 => DAY + chance.within(-1..2),
            22..32 => chance.within(1..8) * DAY,
            32..35 => chance.pick(&[7, 30]) * DAY,
            35..39 => chance.within(10..130) * DAY,
            _ => chance.pick(&[-1, -5 * SECOND, -HOUR, -25 * HOUR]),
        }
    }

    fn name(&mut self) -> String {
        self.chance.pick(&NAMES).to_owned()
    }

    fn id(&mut self) -> String {
        let name = self.name();
        match self.chance.below(20) {
            0..13 => name,
            13..17 => format!("<arn {name}>"),
            17..19 => format!("<partial {name}>"),
            _ => format!("<old {name}>"),
        }
    }

    fn maybe<T>(&mut self, of: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance.is_one_of(of).then(|| make(self))
    }

    fn token(&mut self) -> Option<String> {
        let again = "token-again-000000000000000000001";
        let token = self.chance.weighted(&[(6, "<fresh>"), (1, again), (1, "<version>"), (1, "<version 2>"), (3, "")]);
        (!token.is_empty()).then(|| token.to_owned())
    }

    fn value(&mut self) -> Given {
        match self.chance.below(12) {
            0..8 => Given { string: Some(self.chance.pick(&["one", "two", "three"]).to_owned()), binary: None },
            8..11 => Given { string: None, binary: Some(Bytes(self.chance.pick(&[vec![0, 255], vec![7; 40]]))) },
            _ => Given { string: Some("x".repeat(16_000)), binary: None },
        }
    }

    fn metadata(&mut self) -> Metadata {
        let texts = ["", "a secret", "of the team", "one and two"];
        let keys = ["", "alias/aws/secretsmanager", "alias/app", "<key arn>"];
        Metadata {
            token: self.token(),
            description: self.maybe(2, |make| make.chance.pick(&texts).to_owned()),
            key: self.maybe(5, |make| make.chance.pick(&keys).to_owned()),
            kind: self.maybe(12, |_| "Partner".to_owned()),
        }
    }

    fn tags(&mut self) -> Tags {
        let key = self.chance.pick(&["team", "stage", "Team"]).to_owned();
        vec![(key, self.chance.pick(&["", "payments", "test"]).to_owned())]
    }

    fn label(&mut self) -> String {
        self.chance.pick(&["AWSCURRENT", "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "blue", "green"]).to_owned()
    }

    fn version(&mut self) -> String {
        self.chance.pick(&["<version>", "<version 1>", "<version 2>", "<version 3>", "<holder>", "<other>"]).to_owned()
    }

    fn filters(&mut self) -> Vec<Filter> {
        let (key, value) = self.chance.pick(&[
            ("name", "a"),
            ("name", "!db"),
            ("description", "secret"),
            ("tag-key", "team"),
            ("tag-value", "pay"),
            ("all", "one"),
            ("all", "z"),
        ]);
        vec![Filter { key: Some(key.to_owned()), values: vec![value.to_owned()] }]
    }

    fn page(&mut self) -> (Option<i32>, Option<String>) {
        let max = self.maybe(2, |make| make.chance.pick(&[1, 2, 3, 50, 0]));
        (max, self.maybe(4, |make| make.chance.pick(&["<next>", "<next>", "<next anyway>"]).to_owned()))
    }

    fn call(&mut self) -> Step {
        let tenant = usize::from(self.chance.is_one_of(12));
        let request = match self.chance.below(110) {
            0..14 => {
                let given = self.value();
                let value = if self.chance.is_one_of(8) { Given::default() } else { given };
                let tags = self.maybe(4, Self::tags);
                Request::CreateSecret { name: self.name(), value, metadata: self.metadata(), tags }
            }
            14..32 => {
                let stages = match self.chance.below(6) {
                    0 => Some(vec!["AWSPENDING".to_owned()]),
                    1 => Some(vec![self.label(), "blue".to_owned()]),
                    _ => None,
                };
                let (id, token, value) = (self.id(), self.token(), self.value());
                Request::PutSecretValue { id, token, value, stages, rotation_token: None }
            }
            32..42 => {
                let version = self.maybe(4, Self::version);
                let stage = self.maybe(4, Self::label);
                Request::GetSecretValue { id: self.id(), version, stage }
            }
            42..50 => {
                let value = self.maybe(2, Self::value).unwrap_or_default();
                Request::UpdateSecret { id: self.id(), value, metadata: self.metadata() }
            }
            50..54 => Request::DescribeSecret { id: self.id() },
            54..59 => self.list(),
            59..64 => self.batch(),
            64..68 => {
                let (max, next) = self.page();
                let deprecated = self.maybe(2, |make| make.chance.is_one_of(2));
                Request::ListSecretVersionIds { id: self.id(), max, next, deprecated }
            }
            68..76 => {
                let (to, from) = (self.version(), "<holder>".to_owned());
                let to = (!self.chance.is_one_of(5)).then_some(to);
                let from = (!self.chance.is_one_of(5)).then_some(from);
                Request::UpdateSecretVersionStage { id: self.id(), stage: self.label(), from, to }
            }
            76..81 => Request::TagResource { id: self.id(), tags: self.tags() },
            81..84 => {
                Request::UntagResource { id: self.id(), keys: vec![self.chance.pick(&["team", "stage"]).to_owned()] }
            }
            84..92 => {
                let days = self.maybe(2, |make| make.chance.within(7..31));
                let force = if days.is_none() { self.maybe(5, |_| true) } else { None };
                Request::DeleteSecret { id: self.id(), days, force }
            }
            92..98 => Request::RestoreSecret { id: self.id() },
            98..102 => {
                let (id, (policy, _)) = (self.id(), self.chance.pick(&crate::policies::TEXTS));
                Request::PutResourcePolicy { id, policy: policy.to_owned(), name: None, block: None }
            }
            102..104 => Request::DeleteResourcePolicy { id: self.id(), name: None },
            104..105 => Request::GetResourcePolicy { id: self.id(), name: None },
            105..106 => Request::ListResourcePolicies { id: self.id(), max: None, next: None },
            106..108 => {
                let (id, (policy, _)) = (self.maybe(2, Self::id), self.chance.pick(&crate::policies::TEXTS));
                Request::ValidateResourcePolicy { id, policy: policy.to_owned() }
            }
            _ => {
                let length = Some(self.chance.pick(&[8, 40, 0]));
                Request::GetRandomPassword(Password { length, ..Password::default() })
            }
        };
        Step::Call(tenant, request)
    }

    fn list(&mut self) -> Request {
        let (max, next) = self.page();
        let orders = ["name", "created-date", "last-accessed-date", "last-changed-date"];
        Request::ListSecrets(Listing {
            planned: self.maybe(2, |make| make.chance.is_one_of(2)),
            filters: self.maybe(3, Self::filters),
            sort_by: self.maybe(2, |make| make.chance.pick(&orders).to_owned()),
            order: self.maybe(2, |make| make.chance.pick(&["asc", "desc"]).to_owned()),
            max,
            next,
        })
    }

    fn batch(&mut self) -> Request {
        if self.chance.is_one_of(2) {
            let ids = (0..=self.chance.below(4)).map(|_| self.id()).collect();
            return Request::BatchGetSecretValue { ids: Some(ids), filters: None, max: None, next: None };
        }
        let (max, next) = self.page();
        Request::BatchGetSecretValue { ids: None, filters: Some(self.filters()), max, next }
    }
}
