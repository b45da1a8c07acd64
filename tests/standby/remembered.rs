//! Standbys whose commits are remembered elsewhere too.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom::{Durability, ExternalAnchor, ReplicationFault, StandbyDirectory};

use crate::pair::{Journal, Pair, Wiretap, assert_clean, create, epoch, fault, observe, put, replicate};

/// Remembers a number. 0: none.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<AtomicU64>);

impl Memory {
    fn newest(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl ExternalAnchor for Memory {
    fn load(&self) -> io::Result<Option<u64>> {
        Ok(Some(self.newest()).filter(|newest| *newest > 0))
    }

    fn advance(&self, epoch: u64) -> io::Result<()> {
        self.0.store(epoch, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_standby_with_an_external_anchor_is_begun_anew_after_an_interrupted_copy_and_after_it_was_removed() {
    let pair = Pair::new();
    let source = pair.open("source");
    for index in 0..60 {
        create(&source, &format!("secret-{index}"), &"v".repeat(65_000));
    }
    let memory = Memory::default();
    let link = StandbyDirectory::new(pair.builder("standby").external_anchor(memory.clone()));
    let mut before = 0;
    for _ in 0..3 {
        let wiretap = Wiretap { breaks_after: 1, ..Wiretap::new(&link) };
        assert_eq!(fault(source.replicate_to(&wiretap, &mut |_| {})), ReplicationFault::Link);
        link.close().unwrap();
        assert!(memory.newest() > before, "closing makes the interrupted copy remembered");
        before = memory.newest();
    }
    replicate(&source, &link);
    assert_clean(&link.store().unwrap());
    assert_eq!(memory.newest(), epoch(&link.store().unwrap()));

    // The standby is lost, or was thrown away, and only the number of its newest commit is left.
    link.close().unwrap();
    before = memory.newest();
    fs::remove_dir_all(pair.path("standby")).unwrap();
    let report = source.replicate_to(&link, &mut |_| {}).unwrap();
    assert_eq!(report.seeded_secrets, Some(60));
    assert!(memory.newest() > before);
    link.close().unwrap();
    put(&source, "secret-1", "another");
    replicate(&source, &link);
    assert_clean(&link.store().unwrap());
}

#[test]
fn a_standby_that_has_to_be_beyond_a_commit_is_begun_beyond_it() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = StandbyDirectory::new(pair.builder("standby").open_expecting(5_000));
    replicate(&source, &link);
    assert!(epoch(&link.store().unwrap()) > 5_000);
}

/// An anchor is told of what is durable.
#[test]
fn a_position_is_durable_whatever_the_standby_was_opened_with() {
    let pair = Pair::new();
    let source = pair.open("source");
    let mut journal = Journal::new(50, &source);
    journal.run(&source, 10);
    let memory = Memory::default();
    let builder = pair.builder("standby").durability(Durability::Eventual).external_anchor(memory.clone());
    let link = StandbyDirectory::new(builder);
    for _ in 0..5 {
        replicate(&source, &link);
        assert_eq!(memory.newest(), epoch(&link.store().unwrap()));
        journal.run(&source, 5);
    }
    replicate(&source, &link);
    assert_eq!(observe(&link.store().unwrap()), journal.now);
}
