//! Processes that are killed while one store follows the other.

use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use strongroom::{
    Builder, Error, ErrorKind, GetSecretValueRequest, ReplicationFault, SecretStore, StandbyDirectory, StandbyState,
    StaticKey, VerifyOptions,
};

use crate::child::{self, say};
use crate::history::{Call, Chance, State, next_call};
use crate::pair::{assert_clean, epoch, fault, observe};

const KILLS: u64 = 10;

/// Sizes of values in bytes. Most are small, so that there are many calls between two kills.
const BYTES: [usize; 8] = [1, 20, 20, 100, 100, 1_000, 5_000, 65_536];

fn builder(place: &Path, name: &str) -> Builder {
    SecretStore::builder(place.join(name)).key_provider(StaticKey::new([7; 32]))
}

fn names() -> Vec<String> {
    (0..12).map(|index| format!("secret-{index}")).collect()
}

fn link(place: &Path) -> StandbyDirectory {
    StandbyDirectory::new(builder(place, "standby"))
}

/// In the child: one thread changes secrets, and says so before and after each call; another one follows; a third one reads,
/// so that there are commits that nobody waits for.
pub(crate) fn write_and_follow(place: &Path, seed: u64) {
    let store = builder(place, "source").open().unwrap();
    let mut state = observe(&store);
    store.flush().unwrap();
    say(&format!("open\t{}", epoch(&store)));
    let is_over = AtomicBool::new(false);
    let failed = |who: &str, error: Error| {
        if !is_over.swap(true, Ordering::SeqCst) {
            say(&format!("failed\t{who}\t{error:?}"));
        }
    };
    thread::scope(|threads| {
        threads.spawn(|| {
            let link = link(place);
            while !is_over.load(Ordering::SeqCst) {
                match store.replicate_to(&link, &mut |_| {}) {
                    Ok(report) => say(&format!("followed\t{}", report.position.epoch())),
                    Err(error) => failed("follower", error),
                }
            }
        });
        let secrets = store.default_secrets_manager();
        let chance = Chance::new(seed);
        for number in 0_u64.. {
            let call = next_call(&chance, &state, &names(), &BYTES, seed * 1_000_000 + number);
            say(&format!("will\t{call}"));
            if let Err(error) = call.run(&secrets) {
                failed("writer", error);
                return;
            }
            say(&format!("done\t{}", epoch(&store)));
            state.apply(&call);
            if number % 8 == 0 {
                // The first read of a version on a day is noted.
                let _ = secrets.get_secret_value(GetSecretValueRequest::new(call.name()));
                say(&format!("read\t{}", epoch(&store)));
            }
        }
    });
}

/// In the child: a store that nobody changes is followed again and again, from the beginning.
pub(crate) fn follow(place: &Path) {
    let store = builder(place, "source").open().unwrap();
    say("open");
    let link = link(place);
    store.replicate_to(&link, &mut |_| {}).unwrap();
    say("followed");
}

/// What a killed child had said: what the store held at its commits, and the call that nobody knows the outcome of.
#[derive(Default)]
struct Heard {
    /// By the number of the commit.
    states: Vec<(u64, State)>,
    pending: Option<Call>,
    followed: u64,
}

fn replay(lines: &[String], mut state: State) -> Heard {
    // Where the standby was left before, the store held the same.
    let mut heard = Heard { states: vec![(0, state.clone())], ..Heard::default() };
    for line in lines {
        let (what, rest) = line.split_once('\t').unwrap_or((line.as_str(), ""));
        match what {
            "open" | "read" => heard.states.push((rest.parse().unwrap(), state.clone())),
            "will" => heard.pending = Some(Call::parse(rest)),
            "done" => {
                state.apply(&heard.pending.take().unwrap());
                heard.states.push((rest.parse().unwrap(), state.clone()));
            }
            "followed" => heard.followed = rest.parse().unwrap(),
            _ => panic!("something failed: {line}"),
        }
    }
    heard
}

impl Heard {
    /// What the store may have held after a commit.
    fn at(&self, epoch: u64) -> Vec<State> {
        let (newest, last) = self.states.last().unwrap();
        let mut may_be: Vec<State> =
            self.states.iter().rfind(|(at, _)| *at <= epoch).map(|(_, state)| state.clone()).into_iter().collect();
        if epoch > *newest
            && let Some(pending) = &self.pending
        {
            may_be.push(last.after(pending));
        }
        may_be
    }
}

#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    still_seeding: u64,
    behind: u64,
    calls: usize,
    commits_behind: u64,
}

/// The standby of a store that was killed, with everything that follows it, is the store as it was at one of its commits; it
/// catches up; and neither has anything wrong with it.
#[test]
fn wherever_the_store_is_killed_its_standby_is_a_prefix_of_it_and_catches_up() {
    let number = |variable: &str| env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("STRONGROOM_STANDBY_KILLS").unwrap_or(KILLS);
    let first_seed = number("STRONGROOM_SEED").unwrap_or(1);
    let place = tempfile::tempdir().unwrap();
    let mut state = State::default();
    let mut tally = Tally::default();
    for seed in first_seed..first_seed + kills {
        let chance = Chance::new(seed);
        let child = child::start("write and follow", place.path(), seed);
        let mut lines = vec![child.hear()];
        thread::sleep(Duration::from_micros(chance.below(250_000) as u64));
        lines.extend(child.kill());
        let heard = replay(&lines, state.clone());
        tally.kills += 1;
        tally.calls += heard.states.len();

        // The standby by itself, before the store is asked for anything.
        match builder(place.path(), "standby").open_existing() {
            Some(standby) => {
                let status = standby.standby_status().unwrap().unwrap();
                if status.state == StandbyState::Following {
                    let at = status.position.epoch();
                    let (is, may_be) = (observe(&standby), heard.at(at));
                    assert!(may_be.contains(&is), "seed {seed}, commit {at}: {is:#?}\n{may_be:#?}");
                    assert!(at >= heard.followed, "seed {seed}: the standby has lost what it had");
                    let newest = heard.states.last().unwrap().0;
                    tally.behind += u64::from(at < newest);
                    tally.commits_behind += newest.saturating_sub(at);
                    assert_clean(&standby);
                } else {
                    tally.still_seeding += 1;
                    let verified = standby.verify(VerifyOptions::new(), &mut |_| {});
                    assert_eq!(fault(verified), ReplicationFault::StillSeeding, "seed {seed}");
                }
                standby.close().unwrap();
            }
            None => tally.still_seeding += 1,
        }

        let source = builder(place.path(), "source").open().unwrap();
        let before = source.stats().unwrap().epoch;
        let link = link(place.path());
        let report = source.replicate_to(&link, &mut |_| {}).unwrap();
        assert!(report.position.epoch() >= before);
        state = observe(&source);
        let (_, last) = heard.states.last().unwrap();
        let may_be = [Some(last.clone()), heard.pending.as_ref().map(|call| last.after(call))];
        assert!(may_be.contains(&Some(state.clone())), "seed {seed}");
        assert_eq!(observe(&link.store().unwrap()), state, "seed {seed}");
        assert_clean(&source);
        assert_clean(&link.store().unwrap());
        link.close().unwrap();
        source.close().unwrap();
    }
    let Tally { kills, still_seeding, behind, calls, commits_behind } = tally;
    eprintln!(
        "{kills} kills of the store and its follower over {calls} calls: {still_seeding} while it was being filled, \
         {behind} standbys behind by {commits_behind} commits altogether, every one a prefix, all caught up and clean"
    );
    assert!(calls > 20, "the kills came at no interesting time");
}

trait OpenExisting {
    /// The store, if there is one.
    fn open_existing(self) -> Option<SecretStore>;
}

impl OpenExisting for Builder {
    fn open_existing(self) -> Option<SecretStore> {
        match self.mode(strongroom::OpenMode::OpenExisting).open() {
            Ok(store) => Some(store),
            Err(error) if *error.kind() == ErrorKind::NotAStore => None,
            Err(error) => panic!("the standby does not open after a kill: {error:?}"),
        }
    }
}

/// Kills come while the standby is made, while it is copied to, while it catches up, and while it follows.
#[test]
fn wherever_a_standby_is_killed_while_it_is_filled_it_is_none_or_whole() {
    let rounds = env::var("STRONGROOM_STANDBY_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let source = builder(place.path(), "source").open().unwrap();
    source.keep_changes(1_000).unwrap();
    let chance = Chance::new(77);
    let mut state = State::default();
    for number in 0..400 {
        let call = next_call(&chance, &state, &names(), &BYTES, number);
        call.run(&source.default_secrets_manager()).unwrap();
        state.apply(&call);
    }
    source.close().unwrap();
    let (mut whole, mut half) = (0, 0);
    for round in 0..rounds {
        let child = child::start("follow", place.path(), round);
        assert_eq!(child.hear(), "open");
        thread::sleep(Duration::from_micros(chance.below(600_000) as u64));
        child.kill();
        let standby = builder(place.path(), "standby").open_existing();
        let is_following = |standby: &SecretStore| {
            standby.standby_status().unwrap().is_some_and(|status| status.state == StandbyState::Following)
        };
        match standby {
            Some(standby) if is_following(&standby) => {
                assert_eq!(observe(&standby), state);
                assert_clean(&standby);
                whole += 1;
                standby.close().unwrap();
                std::fs::remove_dir_all(place.path().join("standby")).unwrap();
            }
            Some(standby) => {
                let status = standby.standby_status().unwrap().expect("a directory that is half made is no store");
                assert_eq!(status.state, StandbyState::Seeding);
                half += 1;
            }
            None => half += 1,
        }
    }
    let source = builder(place.path(), "source").open().unwrap();
    let link = link(place.path());
    source.replicate_to(&link, &mut |_| {}).unwrap();
    assert_eq!(observe(&link.store().unwrap()), state);
    assert_clean(&link.store().unwrap());
    eprintln!(
        "{rounds} kills of a standby that was being filled: {whole} whole, {half} none or unfilled, gone on with"
    );
}
