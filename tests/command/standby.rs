//! Standbys from the shell and of a server: made, followed, killed, refused and promoted.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::fixture::{Folder, Outcome, command, end_of, run, until};
use crate::server::Server;

/// What opens the standby too.
const KEYS: &str = "--keyring vault.keyring";

fn standby(folder: &Folder, line: &str) -> Outcome {
    folder.run_with(&format!("{line} --dir standby {KEYS}"), b"its own")
}

/// Changes the store `vault`, or waits until whoever brings the standby up to date has done so.
fn change(folder: &Folder, line: &str, value: &str) {
    until(line, || {
        let done = folder.vault_with(line, value.as_bytes());
        assert!(matches!(done.code, Some(0 | 7)), "{line}: {done:?}");
        done.code == Some(0)
    });
}

fn status(folder: &Folder, directory: &str) -> Value {
    folder.run(&format!("standby status {directory} {KEYS} --json")).quiet().json()
}

#[track_caller]
fn is_whole(folder: &Folder, directory: &str) {
    let verified = folder.run(&format!("verify --dir {directory} {KEYS}")).quiet();
    assert!(verified.text().starts_with("whole: "), "{directory}: {verified:?}");
}

/// With a store `vault` and a secret `db` with the value `first`.
fn with_secret() -> Folder {
    let folder = Folder::with_store();
    folder.vault_with("create db", b"first").quiet();
    folder
}

/// A command that goes on, with its outputs in files. It is killed when it is dropped.
struct Follower<'a> {
    child: Child,
    folder: &'a Folder,
}

impl<'a> Follower<'a> {
    fn start(folder: &'a Folder) -> Self {
        let file = |name| Stdio::from(File::create(folder.join(name)).unwrap());
        let mut command = folder.command(&["replicate", "standby", "--dir", "vault", "--follow"]);
        let child = command.stdin(Stdio::null()).stdout(file("told")).stderr(file("warned")).spawn().unwrap();
        Self { child, folder }
    }

    fn told(&self) -> String {
        fs::read_to_string(self.folder.join("told")).unwrap()
    }

    fn warned(&self) -> String {
        fs::read_to_string(self.folder.join("warned")).unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&mut self, name: &str) -> Option<i32> {
        run(command("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]), b"").quiet();
        end_of(&mut self.child).code()
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_standby_is_filled_follows_is_read_and_takes_the_place_of_the_store() {
    let folder = with_secret();
    folder.vault_with("create other", b"v").quiet();
    let filled = folder.vault("replicate standby").quiet();
    let expected =
        "copied 2 secrets: the standby is at commit 2\nopen it with: --dir standby --keyring vault.keyring\n";
    assert_eq!(filled.text(), expected);
    assert_eq!(folder.vault("replicate standby").quiet().text(), "nothing new: the standby is at commit 2\n");

    folder.vault_with("put db", b"second").quiet();
    folder.vault("tag other team=a").quiet();
    assert_eq!(folder.vault("replicate standby").quiet().text(), "applied 2 commits: the standby is at commit 4\n");
    folder.vault("delete other --force").quiet();
    let round = folder.vault("replicate standby --json").quiet().json();
    let counts = [&round["seeded_secrets"], &round["frames"], &round["commits"], &round["epoch"]];
    assert_eq!(counts, [&Value::Null, &json!(1), &json!(1), &json!(5)], "{round}");
    assert_eq!(standby(&folder, "get db").quiet().text(), "second");
    standby(&folder, "get other").fails(3, &["ResourceNotFoundException"]);

    for line in ["put db", "create new", "delete db", "tag db a=b", "replicas add db eu-west-1", "keys rotate-root"] {
        standby(&folder, line).fails(4, &["is a standby", "hint: `strongroom standby promote"]);
    }
    standby(&folder, "replicate third").fails(4, &["is a standby"]);
    assert!(!folder.has("third"));
    let shown = folder.run(&format!("standby status standby {KEYS}")).quiet();
    assert_eq!(shown.text(), "State   following\nCommit  5 of the store that it follows or followed\n");
    let of_the_store = folder.run("standby status vault").quiet();
    assert_eq!(of_the_store.text(), "State          no standby\nKeeps changes  3 to 5, at most 100,000 commits\n");

    let promoted = folder.run(&format!("standby promote standby {KEYS}")).quiet();
    assert_eq!(promoted.text(), "promoted at commit 5: it is a store like any other now\n");
    assert_eq!(status(&folder, "standby"), json!({ "state": "promoted", "epoch": 5, "kept": null }));
    standby(&folder, "put db").quiet();
    assert_eq!(standby(&folder, "get db").quiet().text(), "its own");
    folder.run(&format!("standby promote standby {KEYS}")).fails(4, &["no standby"]);
    for directory in ["vault", "standby"] {
        is_whole(&folder, directory);
    }
    // The other way round, once the old store is out of the way.
    folder.shell("mv vault old").quiet();
    standby(&folder, "replicate vault").quiet();
    assert_eq!(folder.vault("get db").quiet().text(), "its own");
}

#[test]
fn replicas_in_other_regions_are_in_the_standby_with_their_primary() {
    let folder = with_secret();
    folder.vault_with("create db --region eu-west-1", b"theirs").quiet();
    folder.vault("replicate standby").quiet();
    folder.vault("replicas add db eu-west-1 ap-south-1 --overwrite").quiet();
    folder.vault_with("put db", b"second").quiet();
    folder.vault("replicate standby").quiet();
    for region in ["us-east-1", "eu-west-1", "ap-south-1"] {
        assert_eq!(standby(&folder, &format!("get db --region {region}")).quiet().text(), "second");
    }
    let listed = |directory: &str| {
        folder.run(&format!("replicas list db --dir {directory} {KEYS} --json")).quiet().json()["ReplicationStatus"]
            .clone()
    };
    assert_eq!(listed("standby"), listed("vault"));
    folder.vault("replicas promote db --region ap-south-1").quiet();
    folder.vault("replicas remove db eu-west-1").quiet();
    folder.vault("replicate standby").quiet();
    is_whole(&folder, "standby");
    standby(&folder, "get db --region eu-west-1").fails(3, &["ResourceNotFoundException"]);
    assert_eq!(standby(&folder, "replicas list db").quiet().text(), "db has no replicas\n");

    // What follows from a change there, follows in the promoted store as well.
    folder.vault("replicas add db eu-west-1").quiet();
    folder.vault("replicate standby").quiet();
    folder.run(&format!("standby promote standby {KEYS}")).quiet();
    standby(&folder, "put db").quiet();
    assert_eq!(standby(&folder, "get db --region eu-west-1").quiet().text(), "its own");
    is_whole(&folder, "standby");
}

/// What the secrets hold after each change.
struct Model(Vec<[String; 3]>);

impl Model {
    /// How many changes are in the standby. It holds what the store held after one of them, and never anything else.
    fn reached(&self, folder: &Folder) -> usize {
        let value = |number: usize| {
            let read = standby(folder, &format!("get s{number}"));
            if read.code == Some(3) { String::new() } else { read.quiet().text().to_owned() }
        };
        let found = [value(0), value(1), value(2)];
        let reached = self.0.iter().position(|after| *after == found);
        reached.unwrap_or_else(|| panic!("the store never held {found:?}: {:?}", self.0))
    }
}

#[test]
fn a_follower_that_is_killed_at_any_moment_leaves_a_standby_that_goes_on() {
    let rounds: usize = std::env::var("STRONGROOM_STANDBY_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let folder = Folder::with_store();
    let mut model = Model(vec![Default::default()]);
    let write = |model: &mut Model, secret: usize| {
        let mut after = model.0.last().unwrap().clone();
        let is_new = after[secret].is_empty();
        after[secret] = format!("value {}", model.0.len());
        change(&folder, &format!("{} s{secret}", if is_new { "create" } else { "put" }), &after[secret]);
        model.0.push(after);
    };
    (0..3).for_each(|secret| write(&mut model, secret));
    let (mut random, mut reached, mut followed) = (0x9e37_79b9_7f4a_7c15_u64, 0, 0);
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for round in 0..rounds {
        let mut follower = Follower::start(&folder);
        // The first one is killed while it copies, or soon afterwards.
        let writes = if round == 0 { 0 } else { draw(4) };
        if round == 0 {
            until("the copy", || folder.has("standby/LOCK"));
        }
        for _ in 0..writes {
            write(&mut model, usize::try_from(draw(3)).unwrap());
        }
        if round > 0 && draw(2) == 0 {
            let before = follower.told();
            write(&mut model, 0);
            until("a catch-up", || follower.told() != before);
        }
        follower.kill();
        is_whole(&folder, "vault");
        if !folder.has("standby/store.hdr") || status(&folder, "standby")["state"] != "following" {
            continue;
        }
        followed += 1;
        is_whole(&folder, "standby");
        let now = model.reached(&folder);
        assert!(now >= reached, "round {round}: {now} of {reached} changes are left");
        reached = now;
    }
    folder.vault("replicate standby").ok();
    assert_eq!(model.reached(&folder), model.0.len() - 1);
    folder.run(&format!("standby promote standby {KEYS}")).quiet();
    assert_eq!(model.reached(&folder), model.0.len() - 1, "what it holds does not change with what it is");
    standby(&folder, "put s0").quiet();
    for directory in ["vault", "standby"] {
        is_whole(&folder, directory);
    }
    eprintln!("standby kills: {rounds} kills, {followed} while it followed, {} changes", model.0.len() - 1);
}

#[test]
fn a_follower_brings_over_what_others_change_waits_for_a_server_and_ends_when_it_is_told() {
    let folder = with_secret();
    let mut follower = Follower::start(&folder);
    until("the copy", || follower.told() == "copied 1 secret: the standby is at commit 1\n");
    change(&folder, "put db", "second");
    until("the first round", || follower.told().ends_with("applied 1 commit: the standby is at commit 2\n"));
    assert_eq!(standby(&folder, "get db").quiet().text(), "second");

    let mut server = Server::start(&folder, "");
    server.call("PutSecretValue", r#"{"SecretId": "db", "SecretString": "third"}"#).ok();
    until("a word", || follower.warned().contains("waiting: "));
    assert!(server.is_well());
    server.stop();
    until("the second round", || follower.told().ends_with("applied 1 commit: the standby is at commit 3\n"));
    assert_eq!(follower.signal("INT"), Some(0), "{}", follower.warned());
    assert_eq!((follower.told().lines().count(), follower.warned().lines().count()), (3, 1), "{}", follower.warned());
    assert_eq!(standby(&folder, "get db").quiet().text(), "third");
    for name in ["TERM", "INT"] {
        let mut idle = Follower::start(&folder);
        until("a word", || idle.told() == "nothing new: the standby is at commit 3\n");
        assert_eq!((idle.signal(name), idle.warned()), (Some(0), String::new()));
    }

    let mut left_behind = Follower::start(&folder);
    until("a word", || !left_behind.told().is_empty());
    until("the promotion", || folder.run(&format!("standby promote standby {KEYS}")).code == Some(0));
    change(&folder, "put db", "fourth");
    assert_eq!(end_of(&mut left_behind.child).code(), Some(4), "{}", left_behind.warned());
    assert!(left_behind.warned().contains("different histories"), "{}", left_behind.warned());
}

#[test]
fn what_is_no_standby_of_this_store_is_refused_and_left_as_it_is() {
    let folder = with_secret();
    folder.run(&format!("init --dir plain {KEYS}")).quiet();
    folder.run("init --dir locked").ok();
    folder.run(&format!("init --dir source {KEYS}")).quiet();
    folder.run(&format!("replicate foreign --dir source {KEYS}")).quiet();
    folder.vault("replicate promoted").quiet();
    folder.run(&format!("standby promote promoted {KEYS}")).quiet();
    folder.vault("replicate behind --keep 2").quiet();
    for value in ["a", "b", "c", "d"] {
        folder.vault_with("put db", value.as_bytes()).quiet();
    }
    folder.shell("mkdir folder && touch folder/file").quiet();
    folder.write("file", "", 0o600);
    let rows: [(&str, i32, &[&str]); 9] = [
        ("plain", 4, &["the standby `plain`", "is no standby", "give another one"]),
        ("locked", 6, &["the standby `locked`", "not the key of the store"]),
        ("foreign", 4, &["a standby of another store", "give another one"]),
        ("promoted", 4, &["the standby `promoted`", "different histories", "that does not count"]),
        ("behind", 4, &["the standby is at commit 1", "make a new standby", "--keep"]),
        ("folder", 4, &["folder"]),
        ("file", 4, &["file"]),
        ("vault", 2, &["same directory"]),
        ("vault/inside", 2, &["one inside the other"]),
    ];
    for (directory, code, named) in rows {
        folder.vault(&format!("replicate {directory}")).fails(code, named);
    }
    for directory in ["plain", "foreign", "promoted", "behind", "vault"] {
        is_whole(&folder, directory);
    }
    folder.run("verify --dir locked").quiet();
    assert!(folder.has("folder/file") && !folder.has("folder/store.hdr") && !folder.has("vault/inside"));

    // What the text says helps.
    folder.shell("mv behind away").quiet();
    folder.vault("replicate behind").quiet();
    assert_eq!(status(&folder, "vault")["kept"]["commits_max"], 2);
    folder.vault("standby forget").quiet();
    assert_eq!(status(&folder, "vault"), json!({ "state": null, "epoch": null, "kept": null }));
    folder.vault("replicate behind").fails(4, &["make a new standby"]);
    let _server = Server::start(&folder, "");
    folder.vault("replicate behind").fails(7, &["vault`", "open elsewhere"]);
    folder.run("replicate behind --dir nowhere").fails(3, &["no store in `nowhere`"]);
    folder.run(&format!("standby status nowhere {KEYS}")).fails(3, &["no store in `nowhere`"]);
}

#[test]
fn a_standby_can_have_a_key_of_its_own_and_its_values_keep_theirs() {
    let folder = with_secret();
    let made = folder.vault("replicate standby --standby-key-file standby.key").ok();
    assert!(made.stderr.starts_with("made a key file: standby.key\n"), "{made:?}");
    assert!(made.text().ends_with("open it with: --dir standby --key-file standby.key\n"), "{made:?}");
    standby(&folder, "list").fails(6, &["not the key of the store"]);
    let listed = folder.run("list --dir standby --key-file standby.key --json").quiet().json();
    assert_eq!(listed["SecretList"][0]["Name"], "db");
    folder.run("get db --dir standby --key-file standby.key").fails(6, &["DecryptionFailure"]);
    let read = standby(&folder, "get db --also-key-file standby.key").quiet();
    assert_eq!(read.text(), "first");
    folder.vault_with("put db", b"second").quiet();
    folder.vault("replicate standby").fails(6, &["the standby `standby`", "not the key of the store"]);
    folder.vault("replicate standby --standby-key-file standby.key").quiet();
    assert_eq!(standby(&folder, "get db --also-key-file standby.key").quiet().text(), "second");
}

#[test]
fn a_server_keeps_a_standby_up_to_date_and_brings_over_the_rest_when_it_ends() {
    let folder = with_secret();
    let mut server = Server::start(&folder, "--standby standby --log-level debug");
    until("the copy", || server.log().contains("made a standby"));
    server.call("PutSecretValue", r#"{"SecretId": "db", "SecretString": "second"}"#).ok();
    until("the round", || server.log().contains("the standby follows"));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert_eq!(standby(&folder, "get db").quiet().text(), "second");

    let mut server = Server::start(&folder, "--standby standby");
    server.call("PutSecretValue", r#"{"SecretId": "db", "SecretString": "third"}"#).ok();
    server.stop();
    assert_eq!(standby(&folder, "get db").quiet().text(), "third");
    for directory in ["vault", "standby"] {
        is_whole(&folder, directory);
    }
}

#[test]
fn a_server_whose_standby_cannot_follow_says_so_once_and_serves() {
    let folder = with_secret();
    folder.run(&format!("init --dir plain {KEYS}")).quiet();
    let mut server = Server::start(&folder, "--standby plain");
    until("a word", || server.log().contains("the standby does not follow"));
    server.call("PutSecretValue", r#"{"SecretId": "db", "SecretString": "second"}"#).ok();
    assert!(server.is_well());
    server.signal("TERM");
    let (code, _, log) = server.end();
    assert_eq!((code, log.matches("the standby does not follow").count()), (Some(0), 1), "{log}");
    assert_eq!(folder.vault("get db").quiet().text(), "second");
    let refused = folder.vault("serve --listen 127.0.0.1:0 --standby vault");
    refused.fails(2, &["same directory"]);
}

#[test]
fn a_server_on_a_standby_answers_what_reads_and_refuses_what_writes() {
    let folder = Folder::new();
    folder.run("init --dir origin --keyring vault.keyring").ok();
    folder.run_with(&format!("create db --dir origin {KEYS}"), b"first").quiet();
    folder.run(&format!("replicate vault --dir origin {KEYS}")).quiet();
    let mut server = Server::start(&folder, "");
    let read = server.call("GetSecretValue", r#"{"SecretId": "db"}"#).ok().json();
    assert_eq!(read["SecretString"], "first");
    assert_eq!(server.call("DescribeSecret", r#"{"SecretId": "db"}"#).status, 200);
    assert_eq!(server.call("ListSecrets", "{}").ok().json()["SecretList"][0]["Name"], "db");
    for (operation, body) in [
        ("PutSecretValue", r#"{"SecretId": "db", "SecretString": "second"}"#),
        ("CreateSecret", r#"{"Name": "new", "SecretString": "v"}"#),
        ("DeleteSecret", r#"{"SecretId": "db"}"#),
    ] {
        let refused = server.call(operation, body);
        assert_eq!(refused.status, 400, "{operation}");
        assert_eq!(refused.json()["__type"], "InvalidRequestException", "{operation}");
    }
    assert!(server.is_well());
    server.stop();
    folder.run_with(&format!("put db --dir origin {KEYS}"), b"second").quiet();
    folder.run(&format!("replicate vault --dir origin {KEYS}")).quiet();
    assert_eq!(folder.vault("get db").quiet().text(), "second");
}

#[test]
fn wrong_usage_of_standbys_is_told_before_anything_is_opened() {
    let folder = Folder::new();
    let lines = [
        "replicate --dir vault",
        "replicate standby",
        "replicate standby --dir vault --interval 2",
        "replicate standby --dir vault --follow --interval 0",
        "replicate standby --dir vault --keep 0",
        "replicate standby --dir vault --standby-keyring a --standby-key-file b",
        "replicate standby other --dir vault",
        "serve --dir vault --standby-key-file key",
        "standby",
        "standby status",
        "standby promote a b",
        "standby forget",
    ];
    for line in lines {
        let refused = folder.run(line);
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
        assert!(refused.stderr.contains("--help"), "{line}: {refused:?}");
    }
    assert!(folder.files().is_empty());
}
