//! The audit file of a server, and its verification.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::Folder;
use crate::server::Server;

const CANARY: &str = "canary-3f1e-77aa";

/// A store whose server has written an audit file of three calls, and what their request ids were.
fn served() -> (Folder, Vec<String>) {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "--audit-file audit.jsonl --region eu-west-1");
    let mut ids = Vec::new();
    for (operation, body) in [
        ("CreateSecret", format!(r#"{{"Name": "db/main", "SecretString": "{CANARY}"}}"#)),
        ("GetSecretValue", r#"{"SecretId": "db/main"}"#.to_owned()),
        ("GetSecretValue", r#"{"SecretId": "nope"}"#.to_owned()),
    ] {
        let answer = server.call(operation, &body);
        ids.push(answer.header("x-amzn-requestid").unwrap().to_owned());
    }
    // What never comes to the engine leaves no line.
    assert_eq!(server.call("Nonsense", "{}").status, 400);
    assert_eq!(server.call("GetSecretValue", "{").status, 400);
    server.stop();
    (folder, ids)
}

#[test]
fn a_server_writes_what_was_asked_and_how_it_ended() {
    let (folder, ids) = served();
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    assert!(!text.contains(CANARY));
    assert_eq!(folder.mode("audit.jsonl"), 0o600);
    let lines: Vec<Value> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<Value> = lines
        .iter()
        .map(|line| json!([line["eventName"], line["awsRegion"], line["errorCode"], line["requestID"]]))
        .collect();
    let expected = json!([
        ["CreateSecret", "eu-west-1", null, ids[0]],
        ["GetSecretValue", "eu-west-1", null, ids[1]],
        ["GetSecretValue", "eu-west-1", "ResourceNotFoundException", ids[2]],
    ]);
    assert_eq!(Value::from(told), expected);
}

#[test]
fn an_audit_file_is_verified_with_and_without_a_head() {
    let (folder, _) = served();
    let whole = folder.run("audit verify audit.jsonl").quiet();
    assert!(whole.text().starts_with("whole: 3 records, head "), "{whole:?}");
    let summary = folder.run("audit verify audit.jsonl --json").quiet().json();
    let head = summary["head"].as_str().unwrap().to_owned();
    assert_eq!(summary, json!({"clean": true, "records": 3, "lost_records": 0, "torn_lines": 0, "head": head}));
    assert_eq!(whole.text(), format!("whole: 3 records, head {head}\n"));
    // The next server goes on with it, and the head stays in it.
    let mut server = Server::start(&folder, "--audit-file audit.jsonl");
    server.call("ListSecrets", "{}");
    server.stop();
    let more = folder.run(&format!("audit verify audit.jsonl --expect-head {head}")).quiet();
    assert!(more.text().starts_with("whole: 4 records"), "{more:?}");

    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let rows = [
        ("changed", text.replacen("nope", "none", 1), "changed: line 4: "),
        ("cut", text.lines().take(3).map(|line| format!("{line}\n")).collect(), "head-missing: line 4: "),
        ("torn", text.get(..text.len() - 9).unwrap().to_owned(), "torn: line 5: "),
        ("other", "hello\n".to_owned(), "not-an-audit-file: line 1: "),
    ];
    for (name, text, said) in rows {
        folder.write(name, text, 0o600);
        let done = folder.run(&format!("audit verify {name} --expect-head {head}"));
        assert_eq!(done.code, Some(8), "{done:?}");
        assert!(done.text().starts_with(said), "{done:?}");
        assert!(done.stderr.starts_with("error: ") && done.stderr.contains(name), "{done:?}");
        let done = folder.run(&format!("audit verify {name} --json --expect-head {head}"));
        let lines: Vec<Value> = done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{done:?}");
        let kind = said.split(':').next().unwrap();
        assert_eq!((&lines[0]["kind"], &lines[1]["clean"]), (&json!(kind), &json!(false)), "{done:?}");
    }
    folder.run("audit verify nowhere").fails(3, &["nowhere"]);
    folder.run("audit verify audit.jsonl --expect-head 12").fails(2, &["--expect-head"]);
}

#[test]
fn a_server_does_not_start_on_a_file_that_is_no_audit_file_or_is_in_use() {
    let folder = Folder::with_store();
    folder.write("other", "hello\n", 0o600);
    let serve = "serve --dir vault --listen 127.0.0.1:0 --audit-file";
    folder.run(&format!("{serve} other")).fails(8, &["other", "audit verify"]);
    assert_eq!(fs::read(folder.join("other")).unwrap(), b"hello\n");
    let mut server = Server::start(&folder, "--audit-file audit.jsonl");
    folder.run(&format!("{serve} audit.jsonl")).fails(7, &["audit.jsonl"]);
    server.stop();
}
