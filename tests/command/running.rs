//! A server among clients that are slow, many or gone.

use std::net::TcpStream;
use std::thread;

use crate::fixture::Folder;
use crate::server::{Server, api, with_token};

#[test]
fn clients_that_say_nothing_or_half_of_it_do_not_stop_others() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "");
    let mut slow = Vec::new();
    let head = api("CreateSecret").join("\r\n");
    let beginnings = [
        "",
        "P",
        "POST / HTTP/1.1\r\nHost: local",
        &format!("{head}\r\n"),
        &format!("{head}\r\nContent-Length: 100\r\n\r\n"),
        &format!("{head}\r\nContent-Length: 100\r\n\r\n{{\"Name\": "),
        &format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{\"N"),
    ];
    for beginning in beginnings {
        for _ in 0..20 {
            let mut connection = server.connect();
            assert!(connection.write(beginning.as_bytes()));
            slow.push(connection);
        }
    }
    for number in 0..20 {
        server.call("CreateSecret", &format!(r#"{{"Name": "s{number}", "SecretString": "v"}}"#)).ok();
    }
    drop(slow);
    let listed = server.call("ListSecrets", r#"{"MaxResults": 100}"#).ok().json();
    assert_eq!(listed["SecretList"].as_array().unwrap().len(), 20, "half a request has no effect");
}

#[test]
fn more_connections_than_are_served_at_once_do_no_harm() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "");
    let mut crowd = Vec::new();
    for _ in 0..1100 {
        match TcpStream::connect(("127.0.0.1", server.port)) {
            Ok(stream) => crowd.push(stream),
            Err(error) => {
                eprintln!("this machine allows {} connections: {error}", crowd.len());
                break;
            }
        }
    }
    assert!(server.child.try_wait().unwrap().is_none(), "{}", server.log());
    drop(crowd);
    assert!(server.is_well());
    server.call("CreateSecret", r#"{"Name": "x", "SecretString": "v"}"#).ok();
    server.stop();
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn a_server_that_is_full_can_be_stopped() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "");
    let crowd: Vec<_> = (0..1100).map_while(|_| TcpStream::connect(("127.0.0.1", server.port)).ok()).collect();
    server.stop();
    drop(crowd);
    folder.vault("list").quiet();
}

#[test]
fn clients_that_hang_up_in_the_middle_leave_nothing_behind() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "");
    let body = with_token(&format!(r#"{{"Name": "x", "SecretString": "{}"}}"#, "v".repeat(60_000)));
    let request = format!("{}\r\nContent-Length: {}\r\n\r\n{body}", api("CreateSecret").join("\r\n"), body.len());
    for length in (1..request.len()).step_by(request.len() / 40) {
        let mut connection = server.connect();
        connection.write(&request.as_bytes()[..length]);
    }
    assert!(server.is_well());
    assert_eq!(server.call("DescribeSecret", r#"{"SecretId": "x"}"#).code(), "ResourceNotFoundException");
    server.stop();
    assert!(!server.log().contains("panicked") && !server.log().contains("ERROR"), "{}", server.log());
}

/// A client that leaves does not take back what it asked for, so the log must say what was done.
#[test]
fn what_was_done_for_a_client_that_left_is_in_the_log() {
    let folder = Folder::with_store();
    let mut server = Server::start(&folder, "");
    for number in 0..40 {
        let body = with_token(&format!(r#"{{"Name": "x{number}"}}"#));
        let mut connection = server.connect();
        let head = api("CreateSecret");
        connection.send(&head.each_ref().map(String::as_str), body.as_bytes());
    }
    assert!(server.is_well());
    server.stop();
    let logged = server.log().lines().filter(|line| line.contains("CreateSecret") && line.contains("200")).count();
    let made = folder.vault("list --json").quiet().text().matches("\"Name\"").count();
    assert_eq!(logged, made, "{}", server.log());
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--durability eventual");
    thread::scope(|scope| {
        for client in 0..16 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                let head = api("CreateSecret");
                for number in 0..20 {
                    let body = with_token(&format!(r#"{{"Name": "c{client}-{number}", "SecretString": "v"}}"#));
                    connection.send(&head.each_ref().map(String::as_str), body.as_bytes());
                    assert_eq!(connection.answer().ok().json()["Name"], format!("c{client}-{number}"));
                }
            });
        }
    });
    drop(server);
    let listed = folder.vault("list --json").quiet().json();
    assert!(listed["SecretList"].as_array().unwrap().len() <= 320);
}
