//! `strongroom keys`: what is wrapped under which key, and how that is changed.

use std::fs;

use serde_json::Value;

use crate::fixture::{Folder, Outcome, contains};
use crate::server::Server;

/// Secrets `a` and `b` under the default key, `a` with two versions, and `p` under `alias/pay`.
fn furnished() -> Folder {
    let folder = Folder::with_store();
    folder.vault("keys create --alias alias/pay").quiet();
    for (line, value) in
        [("create a", "a1"), ("put a", "a2"), ("create b", "b"), ("create p --kms-key-id alias/pay", "p")]
    {
        folder.vault_with(line, value.as_bytes()).quiet();
    }
    folder
}

const VERSIONS: u64 = 4;

#[track_caller]
fn all_is_readable(folder: &Folder) {
    for (id, value) in [("a", "a2"), ("a --version-stage AWSPREVIOUS", "a1"), ("b", "b"), ("p", "p")] {
        assert_eq!(folder.vault(&format!("get {id}")).quiet().text(), value, "{id}");
    }
    folder.vault("verify").quiet();
}

/// The ARN of the key to which an alias leads.
#[track_caller]
pub(crate) fn arn(folder: &Folder, alias: &str) -> String {
    let listed = folder.vault("keys list --json").quiet();
    let keys = lines(&listed);
    let has = |key: &&Value| key["aliases"].as_array().is_some_and(|of| of.iter().any(|of| ends(of, alias)));
    keys.iter().find(has).unwrap_or_else(|| panic!("{alias}: {keys:?}"))["key"].as_str().unwrap().to_owned()
}

pub(crate) fn ends(arn: &Value, name: &str) -> bool {
    arn.as_str().is_some_and(|arn| arn.ends_with(&format!(":{name}")))
}

pub(crate) const DEFAULT: &str = "alias/aws/secretsmanager";

pub(crate) fn lines(done: &Outcome) -> Vec<Value> {
    done.text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A report in JSON, taken apart: keys by the time of their census, problems, and the summary.
struct Report {
    keys: Vec<Value>,
    problems: Vec<Value>,
    summary: Value,
}

impl Report {
    #[track_caller]
    fn of(done: &Outcome) -> Self {
        let mut lines = lines(done);
        let summary = lines.pop().unwrap_or_else(|| panic!("no summary: {done:?}"));
        let (keys, rest): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["kind"] == "key");
        assert!(rest.iter().all(|line| line["kind"] == "problem"), "{rest:?}");
        Self { keys, problems: rest, summary }
    }

    /// What a key opened at that time: versions, those of them that nothing else opens, and whether the store.
    fn usage(&self, when: &str, arn: &str) -> Option<(u64, u64, bool)> {
        let key = self.keys.iter().find(|key| key["census"] == when && key["key"] == arn)?;
        Some((key["versions"].as_u64()?, key["only_key_of"].as_u64()?, key["opens_store"].as_bool()?))
    }

    fn versions_of(&self, when: &str, arn: &str) -> Vec<&str> {
        let of = self.keys.iter().filter(|key| key["census"] == when && key["key"] == arn);
        of.filter_map(|key| key["key_version"].as_str()).collect()
    }
}

#[track_caller]
fn report(folder: &Folder, line: &str) -> Report {
    Report::of(&folder.vault(&format!("keys {line} --json")).quiet())
}

/// What changes if anything is written: the number of the newest commit, and the header.
#[track_caller]
fn state(folder: &Folder) -> (Value, Vec<u8>) {
    let verified = lines(&folder.vault("verify --json").quiet()).pop().unwrap();
    (verified["epoch"].clone(), fs::read(folder.join("vault/store.hdr")).unwrap())
}

#[test]
fn a_census_counts_what_each_key_opens_in_words_and_in_json() {
    let folder = furnished();
    let (default, pay) = (arn(&folder, DEFAULT), arn(&folder, "alias/pay"));
    let text = folder.vault("keys census").quiet();
    let words = |name: &str| {
        let line = text.text().lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {text:?}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(&default), ["local-keyring", &default, "1", "3", "3", "opens"]);
    assert_eq!(words(&pay), ["local-keyring", &pay, "1", "1", "1"]);
    assert!(text.text().ends_with("3 secrets with 4 versions, root key of generation 1\n"), "{text:?}");
    let report = report(&folder, "census");
    assert_eq!(report.usage("now", &default), Some((3, 3, true)));
    assert_eq!(report.usage("now", &pay), Some((1, 1, false)));
    let expected = serde_json::json!({
        "secrets": 3, "versions": VERSIONS, "keys": 2, "recipients": [], "root_generation": 1, "root_changing": false,
    });
    assert_eq!(report.summary, expected);
    let members: Vec<&String> = report.keys[0].as_object().unwrap().keys().collect();
    let mut expected =
        ["kind", "census", "provider", "key", "key_version", "versions", "only_key_of", "opens_store", "recovery"];
    expected.sort_unstable();
    assert_eq!(members, expected);
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let folder = furnished();
    folder.vault("keys create --alias alias/recovery").quiet();
    folder.vault("keys add-recipient alias/recovery").quiet();
    folder.vault("keys rotate alias/pay").quiet();
    let before = state(&folder);
    // The operation, the member of its summary that counts, and the count.
    let rows = [
        ("rewrap", "rewrapped_versions", 1),
        ("rewrap --only 000000000000/eu-west-1", "rewrapped_versions", 0),
        ("rewrap --replace alias/pay alias/aws/secretsmanager", "rewrapped_versions", 1),
        ("reencrypt", "versions", VERSIONS),
        ("reencrypt --only 000000000000/us-east-1 --only 000000000000/eu-west-1", "versions", VERSIONS),
        ("drop-wraps alias/recovery", "versions", VERSIONS),
        ("drop-wraps alias/pay", "versions", 1),
    ];
    for (line, member, count) in rows {
        let report = report(&folder, &format!("{line} --dry-run"));
        assert_eq!(report.summary[member], count, "{line}: {}", report.summary);
        assert_eq!(report.summary["dry_run"], true, "{line}");
        assert!(!report.keys.is_empty() && report.keys.iter().all(|key| key["census"] == "now"), "{line}");
        let text = folder.vault(&format!("keys {line} --dry-run")).quiet();
        assert!(text.text().contains("would ") && !text.text().contains("after:"), "{line}: {text:?}");
        assert_eq!(state(&folder), before, "{line}");
    }
}

#[test]
fn rewrap_brings_everything_over_to_a_rotated_key_and_is_done_then() {
    let folder = furnished();
    let (default, pay) = (arn(&folder, DEFAULT), arn(&folder, "alias/pay"));
    folder.vault(&format!("keys rotate {default}")).quiet();
    folder.vault("keys rotate alias/pay").quiet();
    let first = report(&folder, "rewrap");
    for key in [&default, &pay] {
        assert_eq!(
            (first.versions_of("before", key), first.versions_of("after", key)),
            (vec!["1"], vec!["2"]),
            "{key}"
        );
    }
    let expected = serde_json::json!({
        "clean": true, "dry_run": false, "secrets": 3, "versions": VERSIONS, "rewrapped_versions": VERSIONS,
        "root_rewrapped": true, "problems": 0,
    });
    assert_eq!(first.summary, expected);
    let again = folder.vault("keys rewrap").quiet();
    assert!(again.text().starts_with("before:\n") && again.text().contains("\nafter:\n"), "{again:?}");
    assert!(again.text().ends_with("\nrewrapped 0 of 4 versions in 3 secrets\n"), "{again:?}");
    all_is_readable(&folder);
}

#[test]
fn rewrap_of_one_account_and_region_leaves_the_others_as_they_are() {
    let folder = furnished();
    folder.run_with("create far --dir vault --region eu-west-1", b"v").quiet();
    let keys: Vec<Value> = lines(&folder.vault("keys list --json").quiet());
    let far = keys.iter().find(|key| key["key"].as_str().is_some_and(|arn| arn.contains(":eu-west-1:"))).unwrap();
    let far = far["key"].as_str().unwrap().to_owned();
    folder.vault(&format!("keys rotate {far}")).quiet();
    folder.vault("keys rotate alias/pay").quiet();
    let report = report(&folder, "rewrap --only 000000000000/eu-west-1");
    assert_eq!(
        (report.versions_of("after", &far), report.versions_of("after", &arn(&folder, "alias/pay"))),
        (vec!["2"], vec!["1"])
    );
}

#[test]
fn a_key_is_replaced_by_its_name_and_then_nothing_needs_it() {
    let folder = furnished();
    let (default, pay) = (arn(&folder, DEFAULT), arn(&folder, "alias/pay"));
    let report = report(&folder, &format!("rewrap --replace {DEFAULT} alias/pay"));
    assert_eq!((report.usage("after", &default), report.usage("after", &pay)), (None, Some((4, 4, true))));
    folder.vault_with("put b", b"b").quiet();
    assert_eq!(self::report(&folder, "census").usage("now", &default), None, "new values are under the other key too");
    all_is_readable(&folder);
}

/// A census shows ARNs, so this is the name that somebody has at hand.
#[test]
fn a_key_is_replaced_by_its_arn_for_the_store_and_for_new_values_too() {
    let folder = furnished();
    let (default, pay) = (arn(&folder, DEFAULT), arn(&folder, "alias/pay"));
    let report = report(&folder, &format!("rewrap --replace {default} alias/pay"));
    assert_eq!((report.usage("after", &default), report.usage("after", &pay)), (None, Some((4, 4, true))));
    folder.vault_with("put b", b"b").quiet();
    assert_eq!(self::report(&folder, "census").usage("now", &default), None, "new values are under the other key too");
}

#[test]
fn reencrypt_gives_every_version_another_ciphertext_and_keeps_what_it_says() {
    let folder = furnished();
    let described = folder.vault("describe a --json").quiet();
    let (before, _) = state(&folder);
    let report = report(&folder, "reencrypt");
    let expected = serde_json::json!({
        "clean": true, "dry_run": false, "secrets": 3, "versions": VERSIONS, "resumed": false, "problems": 0,
    });
    assert_eq!(report.summary, expected);
    let default = arn(&folder, DEFAULT);
    assert_eq!(report.usage("before", &default), report.usage("after", &default));
    assert_ne!(state(&folder).0, before, "something was written");
    assert_eq!(folder.vault("describe a --json").quiet().json(), described.json());
    let text = folder.vault("keys reencrypt").quiet();
    assert!(text.text().ends_with("\nencrypted anew 4 versions in 3 secrets\n"), "{text:?}");
    all_is_readable(&folder);
}

#[test]
fn a_recipient_opens_everything_old_and_new_until_it_is_dropped() {
    let folder = furnished();
    let recovery = folder.vault("keys create --alias alias/recovery").quiet().text().trim_end().to_owned();
    let added = report(&folder, "add-recipient alias/recovery");
    assert_eq!((added.usage("before", &recovery), added.usage("after", &recovery)), (None, Some((4, 0, true))));
    let of = |key: &&Value| key["key"] == recovery.as_str();
    assert!(added.keys.iter().filter(of).all(|key| key["recovery"] == true));
    folder.vault_with("put b", b"b").quiet();
    let census = report(&folder, "census");
    assert_eq!(census.usage("now", &recovery), Some((5, 0, true)));
    assert_eq!(census.summary["recipients"], serde_json::json!(["alias/recovery"]));
    assert!(folder.vault("keys census").quiet().text().ends_with("\nrecovery keys: alias/recovery\n"));
    let again = report(&folder, "add-recipient alias/recovery");
    assert_eq!((&again.summary["rewrapped_versions"], &again.summary["root_rewrapped"]), (&0.into(), &false.into()));

    let dropped = report(&folder, "drop-wraps alias/recovery");
    assert_eq!((dropped.usage("before", &recovery), dropped.usage("after", &recovery)), (Some((5, 0, true)), None));
    assert_eq!((&dropped.summary["versions"], &dropped.summary["root_dropped"]), (&5.into(), &true.into()));
    folder.vault_with("put b", b"b").quiet();
    assert_eq!(report(&folder, "census").usage("now", &recovery), None, "it ceased to be a recipient");
    folder.vault("keys drop-wraps alias/recovery").fails(6, &["nothing is wrapped under", "alias/recovery", "census"]);
    all_is_readable(&folder);
}

#[test]
fn a_key_that_is_gone_is_replaced_with_the_help_of_a_recipient() {
    let folder = furnished();
    folder.vault("keys create --alias alias/recovery").quiet();
    folder.vault("keys add-recipient alias/recovery").quiet();
    let pay = arn(&folder, "alias/pay");
    folder.vault("keys schedule-deletion alias/pay").quiet();
    let replaced = report(&folder, &format!("rewrap --replace alias/pay {DEFAULT}"));
    assert_eq!((replaced.usage("before", &pay), replaced.usage("after", &pay)), (Some((1, 0, false)), None));
    all_is_readable(&folder);
}

#[test]
fn a_key_that_is_not_there_takes_the_place_of_none() {
    let folder = furnished();
    let before = state(&folder);
    for (from, versions, root) in [("alias/pay", 1, 0), (DEFAULT, 3, 1)] {
        let refused = folder.vault(&format!("keys rewrap --replace {from} alias/none --json"));
        assert_eq!(refused.code, Some(6), "{refused:?}");
        let report = Report::of(&refused);
        assert_eq!(report.summary["problems"], versions + root, "{from}: {:?}", report.problems);
        let of_root = report.problems.iter().filter(|problem| problem["version_id"].is_null());
        let subjects: Vec<_> = of_root.map(|problem| &problem["subject"]).collect();
        assert_eq!(subjects, vec!["the root key of the store"; root], "{from}");
        assert_eq!(state(&folder), before, "{from}");
    }
    all_is_readable(&folder);
}

#[test]
fn the_last_wrap_is_kept_and_listed() {
    let folder = furnished();
    let (default, pay) = (arn(&folder, DEFAULT), arn(&folder, "alias/pay"));
    for (key, dry_run, versions, root) in
        [(&pay, "--dry-run", 1, 0), (&pay, "", 1, 0), (&default, "--dry-run", 3, 1), (&default, "", 3, 1)]
    {
        let before = state(&folder);
        let line = format!("keys drop-wraps {key} {dry_run}");
        let refused = folder.vault(&format!("{line} --json"));
        assert_eq!(refused.code, Some(4), "{refused:?}");
        let report = Report::of(&refused);
        assert_eq!((&report.summary["clean"], &report.summary["versions"]), (&false.into(), &0.into()), "{line}");
        assert_eq!(report.summary["problems"], versions + root, "{line}");
        let of_versions = report.problems.iter().filter(|problem| !problem["version_id"].is_null());
        let named =
            |problem: &&Value| problem["subject"].as_str().is_some_and(|arn| arn.starts_with("arn:aws:secretsm"));
        assert_eq!(of_versions.filter(named).count(), versions, "{line}");
        assert!(
            report.problems.iter().all(|problem| problem["text"].as_str().unwrap().contains(key.as_str())),
            "{line}"
        );
        let text = folder.vault(&line);
        assert_eq!(
            text.text().lines().filter(|line| line.starts_with("problem: ")).count(),
            versions + root,
            "{text:?}"
        );
        assert!(text.stderr.starts_with("error: not everything was done: nothing else opens"), "{text:?}");
        assert!(text.stderr.contains("hint: ") && text.stderr.contains("--replace"), "{text:?}");
        assert_eq!(state(&folder), before, "{line}");
    }
    all_is_readable(&folder);
}

#[test]
fn a_key_in_the_way_is_a_problem_that_is_listed_and_the_rest_is_done() {
    let folder = furnished();
    let default = arn(&folder, DEFAULT);
    folder.vault(&format!("keys rotate {default}")).quiet();
    folder.vault("keys rotate alias/pay").quiet();
    folder.vault("keys disable alias/pay").quiet();
    for line in ["rewrap", "reencrypt"] {
        let refused = folder.vault(&format!("keys {line} --json"));
        assert_eq!(refused.code, Some(6), "{refused:?}");
        let report = Report::of(&refused);
        assert_eq!((&report.summary["clean"], &report.summary["problems"]), (&false.into(), &1.into()), "{line}");
        let [problem] = report.problems.as_slice() else { panic!("{line}: {:?}", report.problems) };
        assert!(problem["subject"].as_str().unwrap().contains(":secret:p-"), "{problem}");
        assert!(problem["version_id"].as_str().is_some_and(|id| id.len() == 36), "{problem}");
        assert!(problem["text"].as_str().unwrap().contains("disabled"), "{problem}");
        let others = |key: &&Value| key["census"] == "after" && key["key"] == default.as_str();
        let wrapped: Vec<_> =
            report.keys.iter().filter(others).map(|key| (&key["key_version"], &key["versions"])).collect();
        // The root key keeps its older wrap until everything is done.
        assert_eq!(wrapped, [(&"1".into(), &0.into()), (&"2".into(), &3.into())], "{line}: the others are done");
        let text = folder.vault(&format!("keys {line}"));
        assert!(
            text.text().contains("\nproblem: arn:aws:secretsmanager:") && text.text().contains(", version "),
            "{text:?}"
        );
        assert!(text.stderr.starts_with("error: not everything was done: a key is in the way"), "{text:?}");
    }
    folder.vault("keys enable alias/pay").quiet();
    assert_eq!(report(&folder, "rewrap").summary["rewrapped_versions"], 1);
    all_is_readable(&folder);
}

#[test]
fn another_root_key_seals_everything_anew() {
    let folder = furnished();
    let first = report(&folder, "rotate-root");
    let expected = serde_json::json!({ "generation": 2, "secrets": 3, "versions": VERSIONS, "resumed": false });
    assert_eq!(first.summary, expected);
    let text = folder.vault("keys rotate-root").quiet();
    assert!(text.text().ends_with("\nsealed 3 secrets with 4 versions under a root key of generation 3\n"), "{text:?}");
    assert_eq!(report(&folder, "census").summary["root_generation"], 3);
    all_is_readable(&folder);
}

#[test]
fn shred_keeps_what_is_there_and_changes_the_root_key() {
    let folder = furnished();
    folder.vault_with("create gone", b"v").quiet();
    folder.vault("delete gone --force").quiet();
    folder.vault_with("create leaving", b"still here").quiet();
    folder.vault("delete leaving").quiet();
    let done = report(&folder, "shred");
    assert_eq!(done.summary, serde_json::json!({ "purged_secrets": 0, "generation": 2, "secrets": 4 }));
    folder.vault("restore leaving").quiet();
    assert_eq!(folder.vault("get leaving").quiet().text(), "still here");
    let text = folder.vault("keys shred").quiet();
    assert!(text.text().contains("\nremoved 0 secrets past the recovery window, and sealed 4 secrets"), "{text:?}");
    assert!(text.text().contains("backups and copies of before are not changed"), "{text:?}");
    all_is_readable(&folder);
}

fn damage_header(folder: &Folder) {
    let path = folder.join("vault/store.hdr");
    let mut bytes = fs::read(&path).unwrap();
    let copy = bytes.len() / 2;
    bytes[100] ^= 0x40;
    bytes[100 + copy] ^= 0x40;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_copy_of_the_header_brings_back_a_store_that_has_lost_both_of_its_own() {
    let folder = furnished();
    let made = folder.vault("keys backup-header head").quiet();
    assert_eq!(made.text(), "copied the header, with the root key of generation 1, to head\n");
    assert_eq!(folder.mode("head"), 0o600);
    folder.vault("keys backup-header head").fails(4, &["head` exists already", "hint"]);
    folder.vault("keys backup-header none/head").fails(1, &["none"]);

    damage_header(&folder);
    folder.vault("get b").fails(8, &["header"]);
    let put_back = folder.vault("keys restore-header head").quiet();
    assert_eq!(put_back.text(), "put the header of the store in vault back, and opened it: 3 secrets\n");
    all_is_readable(&folder);
    fs::remove_file(folder.join("vault/store.hdr")).unwrap();
    folder.vault("get b").fails(8, &["header was lost"]);
    assert_eq!(folder.vault("keys restore-header head --json").quiet().json(), serde_json::json!({ "secrets": 3 }));
    all_is_readable(&folder);
}

#[test]
fn a_copy_of_the_header_that_does_not_fit_is_refused_and_changes_nothing() {
    let folder = furnished();
    folder.vault("keys backup-header old").quiet();
    let copied = folder.vault("keys backup-header old2 --json").quiet();
    assert_eq!(copied.json(), serde_json::json!({ "generation": 1 }));
    folder.vault("keys rotate-root").quiet();
    folder.run("init --dir other --keyring vault.keyring").quiet();
    folder.run("keys backup-header other.header --dir other --keyring vault.keyring").quiet();
    folder.run("init --dir strange").ok();
    folder.run("keys backup-header strange.header --dir strange").quiet();
    folder.write("noise", b"no header at all", 0o600);
    let mut cut = fs::read(folder.join("old")).unwrap();
    cut.truncate(cut.len() / 3);
    folder.write("cut", &cut, 0o600);
    damage_header(&folder);
    let before = fs::read(folder.join("vault/store.hdr")).unwrap();
    let rows = [
        ("old", 8, "another time"),
        ("other.header", 8, "another store"),
        ("strange.header", 6, "key"),
        ("noise", 8, "header"),
        ("cut", 8, "header"),
        ("absent", 3, "there is no file `absent`"),
    ];
    for (file, code, named) in rows {
        folder.vault(&format!("keys restore-header {file}")).fails(code, &[named]);
        assert!(fs::read(folder.join("vault/store.hdr")).unwrap() == before, "{file}");
    }
    folder.run("keys restore-header old --dir nowhere").fails(3, &["nowhere"]);
    assert!(!folder.has("nowhere"));
}

/// Every operation on the keys of a store.
const OPERATIONS: [&str; 8] = [
    "census",
    "rewrap",
    "reencrypt",
    "drop-wraps alias/pay",
    "add-recipient alias/pay",
    "rotate-root",
    "shred",
    "backup-header head",
];

#[test]
fn an_operation_on_a_store_that_cannot_be_opened_says_why_and_changes_nothing() {
    let folder = furnished();
    folder.run("init --dir other --key-file key").ok();
    folder.vault("keys backup-header kept").quiet();
    let before = state(&folder);
    for line in OPERATIONS {
        folder.vault(&format!("keys {line} --key-file key")).fails(6, &["not the key of the store"]);
        folder.vault(&format!("keys {line} --keyring none")).fails(6, &["there is no keyring `none`"]);
        folder.run(&format!("keys {line} --dir nowhere")).fails(3, &["no store in `nowhere`"]);
    }
    let mut server = Server::start(&folder, "");
    for line in OPERATIONS.into_iter().chain(["restore-header kept"]) {
        folder.vault(&format!("keys {line}")).fails(7, &["open elsewhere", "hint"]);
    }
    // A keyring is no store: its keys can be made while the server runs.
    let key = folder.vault("keys create").quiet().text().trim_end().to_owned();
    server.stop();
    drop(server);
    assert_eq!(state(&folder).1, before.1);
    assert!(!folder.has("head"));
    folder.vault_with(&format!("create late --kms-key-id {key}"), b"v").quiet();
}

/// The keys of a store stay in the account and Region in which they are, whatever the options say.
#[test]
fn no_key_is_made_in_another_account_and_region_than_the_store_is_in() {
    let folder = Folder::new();
    let home = "--account 123456789012 --region eu-west-1";
    folder.run(&format!("init --dir vault {home}")).ok();
    folder.vault_with(&format!("create x {home}"), b"v").quiet();
    let keyring = fs::read(folder.join("vault.keyring")).unwrap();
    for elsewhere in ["", "--account 123456789012", "--region eu-west-1", home] {
        let lines = ["rewrap --dry-run", "rewrap", "reencrypt", "rotate-root --dry-run", "rotate-root", "shred"];
        for line in lines {
            folder.vault(&format!("keys {line} {elsewhere}")).quiet();
            assert!(fs::read(folder.join("vault.keyring")).unwrap() == keyring, "{line} {elsewhere}");
            assert_eq!(folder.vault(&format!("get x {home}")).quiet().text(), "v", "{line} {elsewhere}");
        }
    }
}

/// A rehearsal of every operation says what would be done, and changes nothing.
#[test]
fn every_operation_can_be_rehearsed() {
    let folder = Folder::with_store();
    folder.vault_with("create a", b"v").quiet();
    folder.vault("keys create --alias alias/recovery").quiet();
    let census = folder.vault("keys census --json").quiet().text().to_owned();
    let rows = [
        ("rewrap", "would rewrap 0 of "),
        ("reencrypt", "would encrypt anew "),
        ("add-recipient alias/recovery", "would wrap "),
        ("rotate-root", "under a root key of generation 2"),
        ("shred", "under a root key of generation 2"),
    ];
    for (line, expected) in rows {
        let told = folder.vault(&format!("keys {line} --dry-run")).quiet().text().to_owned();
        assert!(told.contains(expected), "{line}: {told}");
        assert!(folder.vault(&format!("keys {line} --dry-run --json")).quiet().text().contains("\"dry_run\":true"));
        assert_eq!(folder.vault("keys census --json").quiet().text(), census, "{line}");
    }
}

#[test]
fn wrong_options_and_unknown_keys_are_refused_before_anything_is_changed() {
    let folder = furnished();
    let before = state(&folder);
    let rows: [(&str, i32, &[&str]); 12] = [
        ("add-recipient alias/none", 6, &["Access to KMS is not allowed"]),
        ("add-recipient 00000000-0000-4000-8000-000000000000", 6, &["Access to KMS is not allowed"]),
        ("drop-wraps alias/none", 6, &["nothing is wrapped under a key `alias/none`", "census"]),
        ("rewrap --only here", 2, &["--only", "ACCOUNT/REGION", "`here`"]),
        ("rewrap --only 12/us-east-1", 2, &["account"]),
        ("reencrypt --only 000000000000/nowhere", 2, &["nowhere"]),
        ("drop-wraps alias/pay --only 000000000000", 2, &["ACCOUNT/REGION"]),
        ("rewrap --replace alias/pay", 2, &["--replace"]),
        ("rewrap alias/pay", 2, &["alias/pay"]),
        ("drop-wraps", 2, &["KEY"]),
        ("rotate-root --account 12", 2, &["account"]),
        ("frobnicate", 2, &["frobnicate"]),
    ];
    for (line, code, named) in rows {
        folder.vault(&format!("keys {line}")).fails(code, named);
        assert_eq!(state(&folder), before, "{line}");
    }
}

#[test]
fn nothing_that_is_printed_about_keys_shows_a_value() {
    let folder = Folder::with_store();
    folder.vault_with("create x", b"canary-2f61").quiet();
    for line in ["census", "rewrap", "reencrypt", "rotate-root", "shred", "backup-header head"] {
        for json in ["", "--json"] {
            let done = folder.vault(&format!("keys {line} {json}")).ok();
            assert!(!contains(&done.stdout, b"canary") && !done.stderr.contains("canary"), "{line}: {done:?}");
            if line.starts_with("backup-header") {
                fs::remove_file(folder.join("head")).unwrap();
            }
        }
    }
}
