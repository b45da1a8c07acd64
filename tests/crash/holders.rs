//! Whoever has a store open, and is killed.

use std::env;
use std::fs;
use std::path::Path;

use strongroom::{
    CreateSecretRequest, DescribeSecretRequest, ErrorKind, GetSecretValueRequest, OpenMode, SecretStore, VerifyOptions,
};

use crate::child::{self, Running, await_end_of_input, builder, say, store_in};
use crate::directory::place_with_store;

/// Kills, unless `STRONGROOM_HOLDERS` says otherwise.
const KILLS: u64 = 10;

fn name(round: u64) -> String {
    format!("round-{round}")
}

/// In the child: opens the store, writes one secret, says so, and holds the store.
pub(crate) fn write_and_hold(place: &Path, round: u64) {
    let store = builder(place).mode(OpenMode::OpenExisting).open().unwrap();
    let secrets = store.default_secrets_manager();
    secrets.create_secret(CreateSecretRequest::new(name(round)).secret_string(name(round))).unwrap();
    say("written");
    await_end_of_input();
}

fn is_there(store: &SecretStore, round: u64) -> bool {
    let read = store.default_secrets_manager().get_secret_value(GetSecretValueRequest::new(name(round)));
    read.is_ok_and(|read| read.secret_string.is_some_and(|value| value.expose() == name(round)))
}

/// Only a store that was closed is sealed. The anchor is there at every moment, and says what was acknowledged last.
#[test]
fn a_killed_holder_leaves_an_anchor_and_no_seal() {
    let place = place_with_store();
    let store = store_in(place.path());
    let (seal, anchor) = (store.join("store.seal"), store.join("store.anchor"));
    let closed_anchor = fs::read(&anchor).unwrap();
    assert!(seal.exists(), "a store that was closed is sealed");

    let holder = Running::start(child::command("write and hold", place.path(), 1));
    assert_eq!(holder.hear(), "written");
    assert!(!seal.exists(), "while it is open the seal would say nothing");
    holder.kill();
    assert!(!seal.exists());
    let killed_anchor = fs::read(&anchor).unwrap();
    assert_ne!(killed_anchor, closed_anchor, "the anchor knows of the commit that was acknowledged");

    let opened = builder(place.path()).mode(OpenMode::OpenExisting).open().unwrap();
    let epoch = opened.stats().unwrap().epoch;
    assert!(is_there(&opened, 1) && !seal.exists());
    assert!(opened.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
    opened.close().unwrap();
    assert!(seal.exists(), "closed in order, it is sealed again");

    // The files of before the kill, under the anchor of after it, are what an engine would leave that lost the commit.
    let older = place_with_store();
    let error = {
        let holder = Running::start(child::command("write and hold", older.path(), 1));
        assert_eq!(holder.hear(), "written");
        holder.kill();
        let kept = older.path().join("kept");
        copy_files(&store_in(older.path()).join("sled"), &kept);
        let holder = Running::start(child::command("write and hold", older.path(), 2));
        assert_eq!(holder.hear(), "written");
        holder.kill();
        let records = store_in(older.path()).join("sled");
        fs::remove_dir_all(&records).unwrap();
        copy_files(&kept, &records);
        builder(older.path()).open().unwrap_err()
    };
    assert!(matches!(error.kind(), ErrorKind::LostCommits { .. }), "{error:?}");
    assert!(epoch > 0);
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_files(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The system gives the lock of a killed process free at once: nobody has to wait, and nothing has to be cleaned up.
#[test]
fn after_each_of_many_kills_the_store_opens_at_once_with_everything_that_was_acknowledged() {
    let kills = env::var("STRONGROOM_HOLDERS").map_or(KILLS, |text| text.parse().unwrap());
    let place = place_with_store();
    for round in 0..kills {
        let holder = Running::start(child::command("write and hold", place.path(), round));
        assert_eq!(holder.hear(), "written");
        let refused = builder(place.path()).open().unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::AlreadyOpen, "round {round}: {refused:?}");
        holder.kill();
        let store = builder(place.path()).mode(OpenMode::OpenExisting).open();
        let store = store.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        assert_eq!(store.stats().unwrap().secrets, round + 2, "round {round}");
        assert!(is_there(&store, round), "round {round}");
        let last = DescribeSecretRequest::new(name(round + 1));
        assert!(store.default_secrets_manager().describe_secret(last).is_err(), "round {round}");
        store.close().unwrap();
    }
    let store = builder(place.path()).open().unwrap();
    assert!((0..kills).all(|round| is_there(&store, round)));
    assert!(store.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
    eprintln!("killed holders: {kills} kills, {kills} reopened at once, 0 acknowledged secrets lost");
}
