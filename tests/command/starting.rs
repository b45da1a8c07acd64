//! How a server starts and what it refuses to start with; how it ends.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::fixture::{Folder, until};
use crate::server::{Connection, Server, api, with_token};

const GOOD: &str =
    r#"{"credentials": [{"access_key_id": "AKIDALICE", "secret_access_key": "k3y", "account": "111122223333"}]}"#;

#[test]
fn a_server_that_anybody_could_reach_has_to_verify_signatures() {
    let folder = Folder::new();
    folder.write("credentials", GOOD, 0o600);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "10.0.0.1:4566"] {
        for more in ["", "--credentials credentials", "--admin"] {
            let refused = folder.run(&format!("serve --dir vault --listen {address} {more}"));
            refused.fails(2, &[address, "hint", "127.0.0.1", "--verify-signatures", "--credentials"]);
        }
    }
    assert!(!folder.has("vault") && !folder.has("vault.keyring"), "nothing was made");
    let open = Server::start(&folder, "");
    assert!(open.is_well());
    drop(open);
    let mut anywhere = folder.command(&["serve", "--dir", "vault", "--listen", "0.0.0.0:0"]);
    anywhere.args(["--verify-signatures", "--credentials", "credentials"]);
    let mut child = anywhere.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("listening on http://0.0.0.0:"), "{line:?}");
}

#[test]
fn a_server_that_verifies_signatures_needs_to_know_them() {
    let folder = Folder::new();
    let refused = folder.run("serve --dir vault --verify-signatures");
    assert_eq!((refused.code, refused.text()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("--credentials <FILE>"), "{refused:?}");
    folder.write("credentials", GOOD, 0o600);
    let server = Server::start(&folder, "--verify-signatures --credentials credentials --admin");
    assert!(server.is_well());
    for operation in ["ListSecrets", "GetRandomPassword", "Nonsense"] {
        let answer = server.call(operation, "{}");
        assert_eq!((answer.status, answer.code().as_str()), (400, "MissingAuthenticationTokenException"));
    }
    for (action, body) in
        [("stats", None), ("clock", None), ("reset", Some("{}")), ("clock", Some(r#"{"freeze": true}"#))]
    {
        let answer = server.admin(action, body);
        assert_eq!(answer.status, 400, "{action} is for those who sign: {answer:?}");
    }
}

#[test]
fn a_file_of_credentials_that_cannot_be_used_is_refused_before_anything_is_made() {
    let folder = Folder::new();
    let entry = |members: &str| format!(r#"{{"credentials": [{{{members}}}]}}"#);
    let base = r#""access_key_id": "AKID", "secret_access_key": "hush-hush", "account": "111122223333""#;
    let rows: [(String, u32, &[&str]); 17] = [
        (GOOD.to_owned(), 0o640, &["by others", "chmod 600"]),
        (GOOD.to_owned(), 0o604, &["by others", "chmod 600"]),
        (GOOD.to_owned(), 0o622, &["by others", "chmod 600"]),
        (String::new(), 0o600, &["line 1"]),
        ("hush-hush".to_owned(), 0o600, &["line 1"]),
        (GOOD.replace("}]}", "}]"), 0o600, &["line 1"]),
        ("[]".to_owned(), 0o600, &["credentials"]),
        ("{}".to_owned(), 0o600, &["`credentials` is missing"]),
        (r#"{"credentials": {}}"#.to_owned(), 0o600, &["`credentials` is not a list"]),
        (r#"{"credentials": ["hush-hush"]}"#.to_owned(), 0o600, &["entry 1", "not an object"]),
        (
            entry(r#""access_key_id": "AKID", "account": "111122223333""#),
            0o600,
            &["entry 1", "`secret_access_key` is missing"],
        ),
        (entry(&base.replace("111122223333", "hush-hush")), 0o600, &["entry 1", "`account` must be 12 digits"]),
        (entry(&base.replace("AKID", "hush hush")), 0o600, &["entry 1", "`access_key_id` must be"]),
        (entry(&format!(r#"{base}, "secret": "hush-hush""#)), 0o600, &["entry 1", "no member `secret`"]),
        (entry(&format!(r#"{base}, "account": "111122223333""#)), 0o600, &["entry 1", "`account` is given twice"]),
        (format!(r#"{{"credentials": [{{{base}}}, {{{base}}}]}}"#), 0o600, &["entry 2", "earlier entry"]),
        (entry(&base.replace(r#""hush-hush""#, "31337")), 0o600, &["entry 1", "`secret_access_key`"]),
    ];
    for (text, mode, named) in rows {
        folder.write("credentials", &text, mode);
        let refused = folder.run("serve --dir vault --listen 127.0.0.1:0 --credentials credentials");
        refused.fails(2, &[&["credentials file `credentials`"], named].concat());
        assert!(!refused.stderr.contains("hush") && !refused.stderr.contains("31337"), "{refused:?}");
    }
    folder.run("serve --dir vault --credentials absent").fails(2, &["credentials file `absent`", "No such file"]);
    folder.run("serve --dir vault --credentials .").fails(2, &["credentials file `.`", "not a file"]);
    assert!(!folder.has("vault") && !folder.has("vault.keyring"), "nothing was made");
}

#[test]
fn an_address_that_is_taken_is_a_failure_that_names_it_and_lets_go_of_the_store() {
    let folder = Folder::with_store();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.run(&format!("serve --dir vault --listen {address}")).fails(1, &["cannot listen on", &address, "in use"]);
    folder.vault("list").quiet();
    let fresh = Folder::new();
    fresh.run(&format!("serve --dir vault --listen {address}")).fails(1, &[&address]);
    fresh.run("serve --dir vault --listen 192.0.2.1:1").fails(2, &["192.0.2.1:1"]);
}

#[test]
fn one_line_on_standard_output_says_where_and_everything_else_is_log() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "--admin --log-level debug --maintain-every 1");
    server.call("CreateSecret", r#"{"Name": "x", "SecretString": "v"}"#).ok();
    server.call("Nonsense", "{");
    server.admin("stats", None).ok();
    server.signal("TERM");
    let (code, rest, log) = server.end();
    assert_eq!((code, rest.as_str()), (Some(0), ""));
    for word in ["ready", "CreateSecret", "stopped"] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert!(!log.contains('\u{1b}'), "colours are for terminals: {log}");
    let mut silent = Server::start(&folder, "--log-level off");
    silent.call("ListSecrets", "{}").ok();
    silent.call("GetSecretValue", "{").code();
    silent.signal("TERM");
    assert_eq!(silent.end(), (Some(0), String::new(), String::new()));
}

#[test]
fn lines_of_the_log_are_json_with_what_a_program_wants_to_know() {
    let folder = Folder::new();
    let mut server = Server::start(&folder, "--log-format json --account 999999999999 --region eu-west-1");
    let created = server.call("CreateSecret", r#"{"Name": "x"}"#).ok();
    let request_id = created.header("x-amzn-requestid").unwrap().to_owned();
    assert_eq!(request_id.len(), 36);
    let [line, host, content_type, target] = api("GetSecretValue");
    let scope = "Authorization: AWS4-HMAC-SHA256 Credential=111122223333/20260101/us-west-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0";
    let missing = server.send(&[&line, &host, &content_type, &target, scope], br#"{"SecretId": "x"}"#);
    assert_eq!(missing.code(), "ResourceNotFoundException");
    server.stop();
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for member in ["timestamp", "level", "message"] {
            assert!(line[member].is_string(), "{member}: {line}");
        }
    }
    let requests: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    let expected = [
        ("CreateSecret", 200, "", "999999999999", "eu-west-1"),
        ("GetSecretValue", 400, "ResourceNotFoundException", "111122223333", "us-west-2"),
    ];
    assert_eq!(requests.len(), expected.len(), "{log}");
    for (line, (operation, status, error_code, account, region)) in requests.iter().zip(expected) {
        assert_eq!(line["operation"], operation);
        assert_eq!(line["status"], status);
        assert_eq!(line["error_code"], error_code);
        assert_eq!((&line["account"], &line["region"]), (&account.into(), &region.into()));
        assert!(line["micros"].is_u64(), "{line}");
    }
    assert_eq!(requests[0]["request_id"], request_id.as_str());
    assert_ne!(requests[1]["request_id"], request_id.as_str());
    let made = lines.iter().find(|line| line["path"].as_str().is_some_and(|path| path.ends_with("vault.keyring")));
    assert!(made.is_some_and(|line| line["message"].as_str().unwrap().contains("made a keyring")), "{log}");
}

#[test]
fn what_was_administered_is_named_in_the_log() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "--admin --log-format json");
    server.admin("reset", Some("{}"));
    server.admin("clock", Some(r#"{"freeze": true}"#));
    server.admin("maintain", Some("{}"));
    server.admin("stats", None);
    assert!(server.is_well());
    server.stop();
    let operations = ["admin:reset", "admin:clock", "admin:maintain", "admin:stats", "health"];
    for operation in operations {
        assert!(server.log().contains(&format!(r#""operation":"{operation}""#)), "{operation}: {}", server.log());
    }
}

#[test]
fn a_server_that_nobody_could_use_does_not_start() {
    let folder = Folder::with_store();
    folder.write("credentials", r#"{"credentials": []}"#, 0o600);
    let line = "serve --dir vault --listen 127.0.0.1:0 --credentials credentials";
    folder.run(&format!("{line} --verify-signatures")).fails(2, &["no entry"]);
}

#[test]
fn a_request_that_is_signed_for_no_region_is_refused_and_not_served_elsewhere() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "");
    let [line, host, content_type, target] = api("ListSecrets");
    for (region, status) in [("eu-west-1", 200), ("local", 400), ("", 400), ("EU-WEST-1", 400)] {
        let scope = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/{region}/secretsmanager/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = server.send(&[&line, &host, &content_type, &target, &scope], b"{}");
        assert_eq!(answer.status, status, "{region}: {answer:?}");
        assert!(status == 200 || answer.code() == "InvalidSignatureException", "{region}: {answer:?}");
    }
}

/// A connection on which a request has been answered and the next has not begun.
fn idle(server: &Server) -> Connection {
    let mut connection = server.connect();
    connection.send(&["GET /health HTTP/1.1", "Host: localhost"], b"");
    assert_eq!(connection.answer().status, 200);
    connection
}

#[test]
fn a_server_that_is_asked_to_stop_does_not_wait_for_clients_that_say_nothing() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::with_store();
        let mut server = Server::start(&folder, "");
        let mut idle = idle(&server);
        let mut silent = server.connect();
        // The server has to have taken both before it is stopped.
        thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        assert!(idle.is_over() && silent.is_over());
        let (code, rest, log) = server.end();
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{log}");
        assert!(log.contains("stopped") && !log.contains("did not finish"), "{signal}: {log}");
        folder.vault("list").quiet();
    }
}

#[test]
fn a_request_that_is_under_way_is_finished_before_the_server_stops() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::with_store();
        let mut server = Server::start(&folder, "");
        let mut connection = server.connect();
        let body = with_token(r#"{"Name": "late", "SecretString": "v"}"#);
        let head = api("CreateSecret").join("\r\n");
        let head = format!("{head}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len());
        assert!(connection.write(head.as_bytes()));
        assert_eq!(connection.answer().status, 100, "the server is waiting for the body");
        server.signal(signal);
        until("the refusal of new connections", || std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err());
        assert!(connection.write(body.as_bytes()));
        assert_eq!(connection.answer().ok().json()["Name"], "late");
        assert!(connection.is_over());
        assert_eq!(server.end().0, Some(0));
        assert_eq!(folder.vault("get late").quiet().text(), "v");
    }
}

#[test]
fn a_client_that_never_finishes_does_not_keep_the_server() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "");
    let mut stuck = server.connect();
    let head = api("CreateSecret").join("\r\n");
    assert!(stuck.write(format!("{head}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n").as_bytes()));
    assert_eq!(stuck.answer().status, 100, "the server is waiting for the body");
    assert!(stuck.write(b"{"));
    server.stop();
    folder.vault("list").quiet();
}

#[test]
fn what_was_acknowledged_survives_the_death_of_the_server() {
    let folder = Folder::with_store();
    for round in 0..5 {
        let mut server = Server::start(&folder, "");
        server.call("CreateSecret", &format!(r#"{{"Name": "s{round}", "SecretString": "v{round}"}}"#)).ok();
        server.child.kill().unwrap();
        server.child.wait().unwrap();
    }
    for round in 0..5 {
        assert_eq!(folder.vault(&format!("get s{round}")).quiet().text(), format!("v{round}"));
    }
}
