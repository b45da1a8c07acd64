//! What is left of a standby, or for one, where something was to go: shredding, and salvage.

use strongroom::{FindingKind, ReplicationFault, ReplicationLink};

use crate::pair::{Pair, Wiretap, assert_clean, create, epoch, fault, put, replicate};

#[test]
fn shredding_a_store_ends_its_feed_and_its_standbys_are_made_anew() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let link = pair.link("standby");
    replicate(&source, &link);
    put(&source, "db/main", "two");
    let before = replicate(&source, &link);
    for _ in 0..2 {
        source.shred(&mut |_| {}).unwrap();
        let kept = source.kept_changes().unwrap().unwrap();
        assert_eq!(kept.commits_max, strongroom::limits::CHANGES_KEPT_DEFAULT, "as many are kept as before");
        assert!(kept.oldest > before.epoch());
    }
    // Also one that was up to date: what it has of the key is of no use any more.
    let late = fault(source.replicate_to(&link, &mut |_| {}));
    assert!(matches!(late, ReplicationFault::BeginsLater { position, .. } if position == before.epoch()), "{late:?}");
    let since = source.keep_changes(100).unwrap();
    put(&source, "db/main", "three");
    let frame = source.changes_since(&since, 1 << 20).unwrap();
    assert!(matches!(fault(link.apply(&frame)), ReplicationFault::BeginsLater { .. }));

    let second = pair.link("second");
    let wiretap = Wiretap::new(&second);
    replicate(&source, &wiretap);
    put(&source, "db/main", "four");
    source.close().unwrap();
    let source = pair.open("source");
    put(&source, "db/main", "five");
    let report = source.replicate_to(&second, &mut |_| {}).unwrap();
    assert_eq!((report.seeded_secrets, report.position.epoch()), (None, epoch(&source)));
    assert_clean(&source);
    assert_clean(&second.store().unwrap());
}

#[test]
fn a_salvaged_standby_is_a_store_and_the_report_says_that_it_is_not_what_it_was() {
    let pair = Pair::new();
    let source = pair.open("source");
    create(&source, "db/main", "one");
    let filled = pair.link("filled");
    replicate(&source, &filled);
    let promoted = pair.link("promoted");
    replicate(&source, &promoted);
    promoted.store().unwrap().promote().unwrap();
    let filling = pair.link("filling");
    let wiretap = Wiretap { breaks_after: 1, ..Wiretap::new(&filling) };
    assert_eq!(fault(source.replicate_to(&wiretap, &mut |_| {})), ReplicationFault::Link);
    for link in [filled, promoted, filling] {
        link.close().unwrap();
    }
    for (name, is_whole) in [("filled", false), ("promoted", true), ("filling", false)] {
        let place = pair.builder(&format!("salvaged-{name}"));
        let (store, report) = place.salvage(pair.path(name), None, &mut |_| {}).unwrap();
        assert_eq!((report.is_whole, report.secrets), (is_whole, 1), "{name}: {report:?}");
        let said = report.findings.iter().any(|one| one.kind == FindingKind::Store && one.subject == "standby");
        assert_eq!(said, !is_whole, "{name}: {report:?}");
        assert!(!store.is_standby());
        assert_clean(&store);
    }
}
