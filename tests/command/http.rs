//! HTTP as it comes over the wire, well-formed and otherwise.

use crate::fixture::Folder;
use crate::server::{Server, api, with_token};

fn server() -> (Folder, Server) {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "");
    (folder, server)
}

fn head(operation: &str, more: &[&str]) -> String {
    let mut lines = api(operation).to_vec();
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

#[test]
fn every_answer_has_a_request_id_and_a_type() {
    let (_folder, server) = server();
    let rows = [
        ("GET /health", 200, "application/json"),
        ("GET /", 405, "application/x-amz-json-1.1"),
        ("PUT /", 405, "application/x-amz-json-1.1"),
        ("POST /", 400, "application/x-amz-json-1.1"),
        ("GET /absent", 404, "application/x-amz-json-1.1"),
        ("POST /absent", 404, "application/x-amz-json-1.1"),
        ("POST /health", 405, "application/x-amz-json-1.1"),
        ("GET //", 404, "application/x-amz-json-1.1"),
        ("GET /../../etc/passwd", 404, "application/x-amz-json-1.1"),
        ("GET /_strongroom/stats", 404, "application/x-amz-json-1.1"),
    ];
    for (line, status, content_type) in rows {
        let answer = server.send(&[&format!("{line} HTTP/1.1"), "Host: localhost"], b"");
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{line}");
        assert_eq!(answer.header("x-amzn-requestid").unwrap().len(), 36, "{line}");
    }
}

#[test]
fn a_call_needs_the_type_of_the_protocol() {
    let (_folder, server) = server();
    let rows = [
        (&["Content-Type: application/x-amz-json-1.1"][..], 200),
        (&["Content-Type: APPLICATION/X-AMZ-JSON-1.1; charset=utf-8"], 200),
        (&["Content-Type: application/x-amz-json-1.0"], 400),
        (&["Content-Type: application/json"], 400),
        (&["Content-Type: text/plain"], 400),
        (&["Content-Type: "], 400),
        (&[], 400),
    ];
    for (headers, status) in rows {
        let head = ["POST / HTTP/1.1", "Host: localhost", "X-Amz-Target: secretsmanager.ListSecrets"];
        let answer = server.send(&[&head, headers].concat(), b"{}");
        assert_eq!(answer.status, status, "{headers:?}");
        assert!(status == 200 || answer.code() == "UnknownOperationException");
    }
}

#[test]
fn a_host_that_is_not_ours_and_a_web_page_are_refused_whatever_they_ask() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin --allow-host vault.test");
    let rows: [(&[&str], bool); 14] = [
        (&["Host: localhost"], true),
        (&["Host: 127.0.0.1:4566"], true),
        (&["Host: [::1]"], true),
        (&["Host: vault.test:80"], true),
        (&["HOST:LOCALHOST"], true),
        (&["Host: evil.example"], false),
        (&["Host: evil.example:4566"], false),
        (&["Host: localhost.evil.example"], false),
        (&["Host: 127.0.0.1.evil.example"], false),
        (&["Host: localhost@evil.example"], false),
        (&["Host: "], false),
        (&["Host: localhost", "Origin: http://localhost"], false),
        (&["Host: localhost", "Origin: null"], false),
        (&["Host: localhost", "origin: https://evil.example"], false),
    ];
    let calls = [
        &["POST / HTTP/1.1", "Content-Type: application/x-amz-json-1.1", "X-Amz-Target: secretsmanager.ListSecrets"][..],
        &["GET /health HTTP/1.1"],
        &["GET /_strongroom/stats HTTP/1.1"],
        &["POST /_strongroom/maintain HTTP/1.1", "Content-Type: application/json"],
    ];
    for (headers, is_served) in rows {
        for call in calls {
            let answer = server.send(&[call, headers].concat(), b"");
            assert_eq!(answer.status, if is_served { 200 } else { 403 }, "{call:?} {headers:?}: {answer:?}");
            assert!(is_served || answer.code() == "AccessDeniedException");
        }
        let preflight = ["OPTIONS / HTTP/1.1", "Access-Control-Request-Method: POST"];
        let answer = server.send(&[&preflight[..], headers].concat(), b"");
        assert!(answer.status >= 400 && answer.header("access-control-allow-origin").is_none(), "{answer:?}");
    }
    let two = server.send(&["GET /health HTTP/1.1", "Host: localhost", "Host: evil.example"], b"");
    assert!(two.status >= 400, "two names are one too many: {two:?}");
}

#[test]
fn requests_may_be_sent_before_the_answers_are_read() {
    let (_folder, server) = server();
    let mut connection = server.connect();
    let mut bytes = String::new();
    for number in 0..50 {
        let body = with_token(&format!(r#"{{"Name": "p{number:02}"}}"#));
        bytes += &head("CreateSecret", &[&format!("Content-Length: {}", body.len())]);
        bytes += &body;
    }
    assert!(connection.write(bytes.as_bytes()));
    for number in 0..50 {
        assert_eq!(connection.answer().ok().json()["Name"], format!("p{number:02}"));
    }
}

#[test]
fn older_clients_are_served() {
    let (_folder, server) = server();
    let mut connection = server.connect();
    assert!(connection.write(b"GET /health HTTP/1.0\r\n\r\n"));
    assert_eq!(connection.answer().status, 200);
    assert!(connection.is_over(), "a client of that age expects the end of the connection");
    let mut kept = server.connect();
    for _ in 0..2 {
        assert!(kept.write(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_eq!(kept.answer().status, 200);
    }
    let body = with_token(r#"{"Name": "old"}"#);
    let request = head("CreateSecret", &[&format!("Content-Length: {}", body.len())]).replace("HTTP/1.1", "HTTP/1.0");
    let mut connection = server.connect();
    assert!(connection.write(format!("{request}{body}").as_bytes()));
    assert_eq!(connection.answer().ok().json()["Name"], "old");
}

#[test]
fn a_body_may_come_in_chunks_of_any_size() {
    let (folder, server) = server();
    let body = with_token(r#"{"Name": "chunked", "SecretString": "v"}"#);
    let mut connection = server.connect();
    assert!(connection.write(head("CreateSecret", &["Transfer-Encoding: chunked"]).as_bytes()));
    for byte in body.bytes() {
        assert!(connection.write(&[b"1;note=x\r\n", &[byte][..], b"\r\n"].concat()));
    }
    assert!(connection.write(b"0\r\nTrailer-Of: no-interest\r\n\r\n"));
    assert_eq!(connection.answer().ok().json()["Name"], "chunked");
    for broken in ["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "4\r\nabcdefgh\r\n"] {
        let mut connection = server.connect();
        assert!(connection.write(head("CreateSecret", &["Transfer-Encoding: chunked"]).as_bytes()));
        connection.write(broken.as_bytes());
        assert!(connection.try_answer().is_none_or(|answer| answer.status == 400), "{broken:?}");
    }
    drop(server);
    assert_eq!(folder.vault("get chunked").quiet().text(), "v");
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told() {
    let (_folder, server) = server();
    let body = with_token(r#"{"Name": "patient"}"#);
    let mut connection = server.connect();
    let length = format!("Content-Length: {}", body.len());
    assert!(connection.write(head("CreateSecret", &[&length, "Expect: 100-continue"]).as_bytes()));
    assert_eq!(connection.answer().status, 100);
    assert!(connection.write(body.as_bytes()));
    assert_eq!(connection.answer().ok().json()["Name"], "patient");
}

#[test]
fn a_body_that_is_too_long_is_answered_and_not_stored() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--max-body-bytes 1000");
    let body = |length: usize| {
        let empty = with_token(r#"{"Name": "x", "Description": ""}"#);
        let filler = "d".repeat(length - empty.len());
        empty.replace(r#""Description": ""#, &format!(r#""Description": "{filler}"#))
    };
    let head_lines = api("CreateSecret");
    let send = |body: &str| server.send(&head_lines.each_ref().map(String::as_str), body.as_bytes());
    assert_eq!(body(1000).len(), 1000);
    let too_long = send(&body(1001));
    assert_eq!((too_long.status, too_long.code().as_str()), (413, "RequestEntityTooLargeException"));
    let mut connection = server.connect();
    assert!(connection.write(head("CreateSecret", &["Transfer-Encoding: chunked"]).as_bytes()));
    for _ in 0..2000 {
        connection.write(format!("400\r\n{}\r\n", "d".repeat(1024)).as_bytes());
    }
    connection.write(b"0\r\n\r\n");
    assert_eq!(connection.answer().status, 413);
    let mut announced = server.connect();
    announced.write(head("CreateSecret", &["Content-Length: 99999999999999"]).as_bytes());
    announced.write(&[b'x'; 4096]);
    assert!(server.is_well());
    send(&body(1000)).ok();
}

#[test]
fn a_head_without_end_or_sense_is_refused() {
    let (_folder, server) = server();
    let huge = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Huge: {}\r\n\r\n", "h".repeat(1 << 20));
    let many = format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: 1\r\n".repeat(100_000));
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "p".repeat(1 << 20));
    let rows: [&[u8]; 12] = [
        huge.as_bytes(),
        many.as_bytes(),
        long.as_bytes(),
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello by TLS\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET  /health  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\nhello",
    ];
    for row in rows {
        let mut connection = server.connect();
        connection.write(row);
        let start = String::from_utf8_lossy(&row[..row.len().min(60)]).into_owned();
        if let Some(answer) = connection.try_answer() {
            assert!((400..=505).contains(&answer.status), "{start:?}: {answer:?}");
        }
        assert!(server.is_well(), "{start:?}");
    }
}

/// Two ways to tell the length of a body are a way to hide one request inside another.
#[test]
fn a_body_with_two_lengths_hides_no_request() {
    let (_folder, server) = server();
    let hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut connection = server.connect();
    let both = head("ListSecrets", &["Content-Length: 4", "Transfer-Encoding: chunked"]);
    connection.write(format!("{both}0\r\n\r\n{hidden}").as_bytes());
    let first = connection.try_answer();
    let second = connection.try_answer();
    assert!(first.is_none_or(|answer| answer.status == 400) || second.is_none(), "the connection was used again");
    assert!(server.is_well());
}
