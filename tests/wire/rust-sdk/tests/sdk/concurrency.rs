//! Many clients at once, and answers that get lost.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use aws_sdk_secretsmanager::config::Credentials;

use crate::server::{Server, client};

const CLIENTS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn clients_work_side_by_side() {
    let server = Server::start();
    server.client().create_secret().name("shared").secret_string("first").send().await.unwrap();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = server.client();
            tokio::spawn(async move {
                let name = format!("own-{number}");
                client.create_secret().name(&name).secret_string("0").send().await.unwrap();
                for value in 1..5 {
                    let value = value.to_string();
                    client.put_secret_value().secret_id(&name).secret_string(&value).send().await.unwrap();
                    let got = client.get_secret_value().secret_id(&name).send().await.unwrap();
                    assert_eq!(got.secret_string, Some(value));
                }
                let token = format!("{number:032}");
                let put = client.put_secret_value().secret_id("shared").secret_string(&name);
                put.client_request_token(&token).send().await.unwrap();
                let got = client.get_secret_value().secret_id("shared").version_id(&token).send().await.unwrap();
                assert_eq!(got.secret_string, Some(name));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let client = server.client();
    let listed = client.list_secrets().send().await.unwrap();
    assert_eq!(listed.secret_list().len(), CLIENTS + 1);
    let versions = client.list_secret_version_ids().secret_id("shared").include_deprecated(true).send().await.unwrap();
    assert_eq!(versions.versions().len(), CLIENTS + 1);
    let mut labels: Vec<_> = versions.versions().iter().flat_map(|version| version.version_stages()).collect();
    labels.sort();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_of_many_creates_a_name() {
    let server = Server::start();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let create = server.client().create_secret().name("once").secret_string("x");
            tokio::spawn(async move {
                match create.send().await {
                    Ok(created) => created.version_id,
                    Err(error) => {
                        assert!(error.into_service_error().is_resource_exists_exception());
                        None
                    }
                }
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.unwrap());
    }
    let got = server.client().get_secret_value().secret_id("once").send().await.unwrap();
    assert_eq!(winners, [got.version_id.unwrap()]);
}

/// The client repeats by itself, with the token it made for the first attempt.
#[tokio::test]
async fn a_client_that_repeats_after_a_lost_answer_writes_once() {
    let server = Server::start();
    let (port, requests) = forgetful(server.port());
    let forgetful = client(port, "us-east-1", Credentials::new("111122223333", "any", None, None, "test"));
    let created = forgetful.create_secret().name("a").secret_string("one").send().await.unwrap();
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    let client = server.client();
    let versions = client.list_secret_version_ids().secret_id("a").include_deprecated(true).send().await.unwrap();
    let ids: Vec<_> = versions.versions().iter().map(|version| version.version_id.clone()).collect();
    assert_eq!(ids, [created.version_id]);
}

/// Passes requests on to a server, and hangs up instead of passing on the first answer.
fn forgetful(server_port: u16) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Some(request) = read_request(&client) else { continue };
            let mut server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
            server.write_all(&request).unwrap();
            let mut answer = vec![0; 65_536];
            let length = server.read(&mut answer).unwrap();
            if counted.fetch_add(1, Ordering::Relaxed) > 0 {
                (&client).write_all(&answer[..length]).unwrap();
            }
        }
    });
    (port, requests)
}

/// Head and body of one request, unless the connection ends before.
fn read_request(mut client: &TcpStream) -> Option<Vec<u8>> {
    let (mut request, mut block) = (Vec::new(), [0; 4_096]);
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
            if request.len() - end - 4 >= length {
                return Some(request);
            }
        }
        match client.read(&mut block).ok()? {
            0 => return None,
            length => request.extend_from_slice(&block[..length]),
        }
    }
}
