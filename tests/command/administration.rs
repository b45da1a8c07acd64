//! The administrative endpoint, row by row.

use std::fs;

use serde_json::json;

use crate::fixture::Folder;
use crate::server::Server;

#[test]
fn without_the_option_there_is_no_such_endpoint() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "");
    for action in ["reset", "clock", "maintain", "stats", ""] {
        assert_eq!(server.admin(action, None).status, 404, "{action}");
        assert_eq!(server.admin(action, Some("{}")).status, 404, "{action}");
    }
}

#[test]
fn an_action_is_asked_for_by_its_method_and_its_type() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin");
    server.call("CreateSecret", r#"{"Name": "x"}"#).ok();
    let rows: [(&str, &[&str], u16); 13] = [
        ("GET /_strongroom/stats", &[], 200),
        ("HEAD /_strongroom/stats", &[], 200),
        ("POST /_strongroom/stats", &["Content-Type: application/json"], 405),
        ("GET /_strongroom/reset", &[], 405),
        ("DELETE /_strongroom/reset", &[], 405),
        ("GET /_strongroom/maintain", &[], 405),
        ("POST /_strongroom/maintain", &["Content-Type: application/json; charset=utf-8"], 200),
        ("POST /_strongroom/maintain", &[], 415),
        ("POST /_strongroom/reset", &["Content-Type: text/plain"], 415),
        ("POST /_strongroom/reset", &["Content-Type: application/json", "Origin: http://localhost"], 403),
        ("POST /_strongroom/nothing", &["Content-Type: application/json"], 404),
        ("POST /_strongroom/reset/", &["Content-Type: application/json"], 404),
        ("POST /_strongroom", &["Content-Type: application/json"], 404),
    ];
    for (line, headers, status) in rows {
        let line = format!("{line} HTTP/1.1");
        let mut connection = server.connect();
        connection.send(&[&[line.as_str(), "Host: localhost"], headers].concat(), b"");
        let status_line = connection.line().unwrap();
        assert_eq!(status_line.split(' ').nth(1), Some(status.to_string().as_str()), "{line} {headers:?}");
    }
    assert_eq!(server.admin("stats", None).ok().json()["secrets"], 1, "nothing was reset");
}

#[test]
fn stats_and_maintenance_tell_what_there_is() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin --maintain-every 0");
    let before = server.admin("stats", None).ok().json();
    assert_eq!(before["secrets"], 0);
    server.call("CreateSecret", r#"{"Name": "x", "SecretString": "v"}"#).ok();
    let after = server.admin("stats", None).ok().json();
    assert_eq!(after["secrets"], 1);
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64() && after["stored_bytes"].is_u64(), "{after}");
    let idle = json!({
        "purged_secrets": 0,
        "removed_versions": 0,
        "rotated_secrets": 0,
        "tested_rotations": 0,
        "failed_rotations": 0,
        "replicated_secrets": 0,
        "failed_replications": 0,
        "next_due_at": null,
    });
    assert_eq!(server.admin("maintain", Some("{}")).ok().json(), idle);
    server.call("DeleteSecret", r#"{"SecretId": "x", "RecoveryWindowInDays": 7}"#).ok();
    assert!(server.admin("maintain", Some("")).ok().json()["next_due_at"].is_f64());
    server.admin("clock", Some(r#"{"advance_seconds": 691200}"#)).ok();
    assert_eq!(server.admin("maintain", Some("{}")).ok().json()["purged_secrets"], 1);
    assert_eq!(server.admin("stats", None).ok().json()["secrets"], 0);
}

#[test]
fn the_clock_is_stopped_moved_and_released() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin");
    let clock = |body: Option<&str>| server.admin("clock", body).ok().json();
    let now = clock(None);
    assert_eq!((&now["frozen"], &now["offset_seconds"]), (&json!(false), &json!(0.0)));
    let frozen = json!({ "now": 1_700_000_000.5, "frozen": true, "offset_seconds": 0.0 });
    assert_eq!(clock(Some(r#"{"freeze_at": 1700000000.5}"#)), frozen);
    assert_eq!(clock(None), frozen);
    server.call("CreateSecret", r#"{"Name": "x"}"#).ok();
    let described = server.call("DescribeSecret", r#"{"SecretId": "x"}"#).ok().json();
    assert_eq!(described["CreatedDate"], 1_700_000_000.5);
    assert_eq!(clock(Some(r#"{"advance_seconds": 3600.25}"#))["now"], 1_700_003_600.75);
    assert_eq!(clock(Some(r#"{"advance_seconds": -0.75}"#))["now"], 1_700_003_600.0);
    let released = clock(Some(r#"{"release": true}"#));
    assert!(released["frozen"] == false && released["now"].as_f64() > Some(1_750_000_000.0), "{released}");
    assert_eq!(clock(Some(r#"{"advance_seconds": 60}"#))["offset_seconds"], 60.0);
    let stopped = clock(Some(r#"{"freeze": true}"#));
    assert_eq!(clock(None), stopped);
}

#[test]
fn a_change_of_the_clock_that_makes_no_sense_is_refused_and_nothing_moves() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin");
    let at = server.admin("clock", Some(r#"{"freeze_at": 1000}"#)).ok().json();
    let rows = [
        "",
        "{}",
        "[]",
        "null",
        "{",
        "freeze",
        r#"{"freeze": false}"#,
        r#"{"release": false}"#,
        r#"{"freeze": 1}"#,
        r#"{"freeze": true, "release": true}"#,
        r#"{"freeze": true, "freeze": true}"#,
        r#"{"freeze_at": "now"}"#,
        r#"{"freeze_at": 1e300}"#,
        r#"{"freeze_at": -1e300}"#,
        r#"{"advance_seconds": 1e16}"#,
        r#"{"freeze_at": 1e999}"#,
        r#"{"advance_seconds": 9e12}"#,
        r#"{"advance_seconds": 1, "freeze_at": 1}"#,
        r#"{"sleep": 1}"#,
        "\u{1f511}",
    ];
    for body in rows {
        let answer = server.admin("clock", Some(body));
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.json()["error"].is_string(), "{body}");
        assert_eq!(server.admin("clock", None).ok().json(), at, "{body}");
    }
}

#[test]
fn a_reset_empties_the_store_and_keeps_its_key() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "--admin");
    for round in 0..3 {
        server.call("CreateSecret", r#"{"Name": "x", "SecretString": "v"}"#).ok();
        assert_eq!(server.admin("reset", Some("{}")).ok().json(), json!({}), "round {round}");
        assert_eq!(server.call("GetSecretValue", r#"{"SecretId": "x"}"#).code(), "ResourceNotFoundException");
        assert_eq!(server.admin("stats", None).ok().json()["secrets"], 0);
    }
    server.call("CreateSecret", r#"{"Name": "y", "SecretString": "w"}"#).ok();
    server.stop();
    assert_eq!(folder.vault("get y").quiet().text(), "w");
    assert!(!folder.has("vault.reset") && folder.mode("vault") == 0o700);
}

#[test]
fn calls_during_a_reset_fail_or_work_and_never_break_the_server() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin");
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let server = &server;
                scope.spawn(move || {
                    for round in 0..15 {
                        let body = format!(r#"{{"Name": "c{caller}-{round}", "SecretString": "v"}}"#);
                        server.call("CreateSecret", &body).ok();
                    }
                })
            })
            .collect();
        for _ in 0..5 {
            server.admin("reset", Some("{}")).ok();
        }
        for caller in callers {
            caller.join().unwrap();
        }
    });
    server.admin("reset", Some("{}")).ok();
    assert_eq!(server.admin("stats", None).ok().json()["secrets"], 0);
}

/// What else is beside the store belongs to somebody.
#[test]
fn a_reset_removes_nothing_but_the_store() {
    let folder = Folder::with_store();
    fs::create_dir(folder.join("vault.reset")).unwrap();
    folder.write("vault.reset/thesis", b"not ours", 0o644);
    let server = Server::start(&folder, "--admin");
    server.call("CreateSecret", r#"{"Name": "x"}"#).ok();
    let answer = server.admin("reset", Some("{}"));
    assert!(folder.has("vault.reset/thesis"), "a directory that is not ours was removed: {answer:?}");
    let listed = server.call("ListSecrets", "{}");
    assert_eq!(listed.status, 200, "the server has lost its store: {answer:?}, {listed:?}");
}

#[test]
fn a_reset_behind_a_symbolic_link_removes_the_secrets_and_keeps_the_link() {
    let folder = Folder::new();
    folder.run("init --dir real --keyring vault.keyring").ok();
    std::os::unix::fs::symlink("real", folder.join("vault")).unwrap();
    let mut server = Server::start(&folder, "--admin");
    server.call("CreateSecret", r#"{"Name": "x", "SecretString": "v"}"#).ok();
    let answer = server.admin("reset", Some("{}"));
    assert_eq!(server.call("ListSecrets", "{}").ok().json(), json!({ "SecretList": [] }), "{answer:?}");
    server.stop();
    let left = folder.run("get x --dir real --keyring vault.keyring");
    assert_eq!(left.code, Some(3), "the old store is still there: {left:?}");
    assert!(fs::symlink_metadata(folder.join("vault")).unwrap().is_symlink());
}

/// The directory of a store can be a place that cannot be renamed, such as a volume of a container.
#[test]
fn a_reset_that_fails_leaves_a_server_that_works() {
    let folder = Folder::with_store();
    // In the way of whoever would move the store aside, and not a directory that could be removed.
    folder.write("vault.reset", b"not ours", 0o644);
    let server = Server::start(&folder, "--admin");
    server.call("CreateSecret", r#"{"Name": "x"}"#).ok();
    let answer = server.admin("reset", Some("{}"));
    assert!(folder.has("vault.reset"), "a file that is not ours was removed");
    let listed = server.call("ListSecrets", "{}");
    assert_eq!(listed.status, 200, "the server has lost its store: {answer:?}, {listed:?}");
    let again = server.admin("reset", Some("{}"));
    assert_eq!(again.status, answer.status, "{again:?}");
}

/// The old store or none is there, whenever the server dies, and in the place of none a new one is made.
#[test]
fn a_server_that_is_killed_during_a_reset_starts_again() {
    let folder = Folder::with_store();
    for round in 0..12 {
        let mut server = Server::start(&folder, "--admin");
        assert_eq!(server.call("CreateSecret", &format!(r#"{{"Name": "r{round}"}}"#)).status, 200);
        let reset = ["POST /_strongroom/reset HTTP/1.1", "Host: localhost", "Content-Type: application/json"];
        let mut connection = server.connect();
        connection.send(&reset, b"{}");
        std::thread::sleep(std::time::Duration::from_millis(2 * round));
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        let server = Server::start(&folder, "");
        let listed = server.call("ListSecrets", "{}").ok().json();
        let names: Vec<_> = listed["SecretList"].as_array().unwrap().iter().map(|entry| &entry["Name"]).collect();
        assert!(names.is_empty() || names.contains(&&format!("r{round}").into()), "round {round}: {names:?}");
    }
}
