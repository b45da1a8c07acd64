//! Two attempts to fill a standby, or two standbys that are filled at once: a standby is of one copy only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use strongroom::{
    Changes, Error, FeedPosition, ReplicationFault, ReplicationLink, SecretStore, Seed, StandbyDirectory, StandbyState,
};

use crate::pair::{Pair, Wiretap, assert_clean, create, epoch, fault, put, replicate};

/// Both are from the same commit, and under the key of the same feed.
#[test]
fn a_frame_of_another_copy_neither_fills_nor_completes_a_standby() {
    let pair = Pair::new();
    let source = pair.open("source");
    for index in 0..60 {
        create(&source, &format!("secret-{index}"), &"v".repeat(65_000));
    }
    source.keep_changes(100).unwrap();
    let copied = |name: &str| {
        let link = pair.link(name);
        let wiretap = Wiretap::new(&link);
        replicate(&source, &wiretap);
        let seed = wiretap.seeds.lock().unwrap()[0].clone();
        let frames = wiretap.frames.lock().unwrap().clone();
        (seed, frames)
    };
    let (one, other) = (copied("one"), copied("other"));
    assert_eq!(one.1[0].from(), other.1[0].from(), "the store has made no commit meanwhile");
    assert!(one.1.len() > 2);

    let link = pair.link("standby");
    link.begin(&one.0).unwrap();
    let standby = link.store().unwrap();
    for (at, frame) in one.1.iter().enumerate() {
        for foreign in &other.1 {
            let before = epoch(&standby);
            assert_eq!(fault(link.apply(foreign)), ReplicationFault::OtherCopy, "after {at} frames");
            assert_eq!(epoch(&standby), before);
        }
        link.apply(frame).unwrap();
    }
    assert_eq!(fault(link.apply(&other.1[0])), ReplicationFault::OtherCopy);
    assert_eq!(standby.stats().unwrap().secrets, 60);
    assert_clean(&standby);
}

/// In the middle of whose first frame somebody else fills the same standby.
#[derive(Debug)]
struct Overtaken<'a> {
    link: &'a StandbyDirectory,
    source: &'a SecretStore,
    was_overtaken: AtomicBool,
}

impl ReplicationLink for Overtaken<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.link.position()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.link.begin(seed)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        if !self.was_overtaken.swap(true, Ordering::SeqCst) {
            replicate(self.source, self.link);
        }
        self.link.apply(changes)
    }
}

#[test]
fn of_two_calls_that_fill_one_standby_at_once_the_overtaken_one_fails_and_the_standby_is_whole() {
    let pair = Pair::new();
    let source = pair.open("source");
    for index in 0..60 {
        create(&source, &format!("secret-{index}"), &"v".repeat(65_000));
    }
    let link = pair.link("standby");
    let overtaken = Overtaken { link: &link, source: &source, was_overtaken: AtomicBool::new(false) };
    assert_eq!(fault(source.replicate_to(&overtaken, &mut |_| {})), ReplicationFault::OtherCopy);
    let standby = link.store().unwrap();
    assert_eq!(standby.standby_status().unwrap().unwrap().state, StandbyState::Following);
    assert_eq!(standby.stats().unwrap().secrets, 60);
    assert_clean(&standby);
}

#[test]
fn calls_with_one_link_go_one_after_the_other() {
    let pair = Pair::new();
    let source = pair.open("source");
    for index in 0..40 {
        create(&source, &format!("secret-{index}"), &"v".repeat(65_000));
    }
    let link = pair.link("standby");
    let seeded: usize = thread::scope(|threads| {
        let calls: Vec<_> =
            (0..3).map(|_| threads.spawn(|| source.replicate_to(&link, &mut |_| {}).unwrap())).collect();
        calls.into_iter().map(|call| usize::from(call.join().unwrap().seeded_secrets.is_some())).sum()
    });
    assert_eq!(seeded, 1, "the others found it filled");
    assert_clean(&link.store().unwrap());
}

/// It was copied while the store went on, and the changes that it lacks are gone.
#[test]
fn a_standby_that_was_never_whole_and_can_no_longer_be_is_begun_anew() {
    for (name, anew) in [("kept anew", true), ("kept no longer", false)] {
        let pair = Pair::new();
        let source = pair.open("source");
        create(&source, "db/main", "one");
        source.keep_changes(5).unwrap();
        let link = pair.link("standby");
        // One frame of secrets and the end of the copy, and nothing of what was changed meanwhile.
        let wiretap = Wiretap { breaks_after: 2, ..Wiretap::new(&link) };
        let changing = Changing { wiretap: &wiretap, source: &source };
        assert_eq!(fault(source.replicate_to(&changing, &mut |_| {})), ReplicationFault::Link, "{name}");
        assert_eq!(wiretap.frames.lock().unwrap().len(), 2);
        let standby = link.store().unwrap();
        assert_eq!(standby.standby_status().unwrap().unwrap().state, StandbyState::Seeding);
        assert!(link.position().unwrap().is_some(), "it could go on");
        let verified = standby.verify(strongroom::VerifyOptions::new(), &mut |_| {});
        assert_eq!(fault(verified), ReplicationFault::StillSeeding, "nobody knows what it should hold");
        drop(standby);
        if anew {
            source.stop_keeping_changes().unwrap();
        } else {
            (0..10).for_each(|number| put(&source, "db/main", &format!("later {number}")));
        }
        let report = source.replicate_to(&link, &mut |_| {}).unwrap();
        assert_eq!(report.seeded_secrets, Some(1), "{name}");
        assert_eq!(link.store().unwrap().standby_status().unwrap().unwrap().state, StandbyState::Following);
        assert_clean(&link.store().unwrap());

        // One that was whole is left as it is, and open.
        let standby = link.store().unwrap();
        source.stop_keeping_changes().unwrap();
        let refused = fault(source.replicate_to(&link, &mut |_| {}));
        assert!(matches!(refused, ReplicationFault::BeginsLater { .. }), "{refused:?}");
        assert_eq!(standby.stats().unwrap().secrets, 1);
    }
}

/// The store is changed before each frame.
#[derive(Debug)]
struct Changing<'a> {
    wiretap: &'a Wiretap<'a>,
    source: &'a SecretStore,
}

impl ReplicationLink for Changing<'_> {
    fn position(&self) -> Result<Option<FeedPosition>, Error> {
        self.wiretap.position()
    }

    fn begin(&self, seed: &Seed) -> Result<(), Error> {
        self.wiretap.begin(seed)
    }

    fn apply(&self, changes: &Changes) -> Result<FeedPosition, Error> {
        put(self.source, "db/main", &format!("at {}", epoch(self.source)));
        self.wiretap.apply(changes)
    }
}

#[test]
fn a_link_that_cannot_be_asked_changes_nothing_in_the_store() {
    let pair = Pair::new();
    let source = pair.open("source");
    pair.open("other").close().unwrap();
    assert_eq!(fault(source.replicate_to(&pair.link("other"), &mut |_| {})), ReplicationFault::NotAStandby);
    assert_eq!(source.kept_changes().unwrap(), None);
    assert_eq!(epoch(&source), 0);
}
