//! `--verify-signatures` with a credentials file.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::primitives::Blob;

use crate::server::{Folder, Server, client, refused};

const CREDENTIALS: &str = r#"{"credentials": [
    {"access_key_id": "AKIDALICE", "secret_access_key": "alice/secret+key", "account": "111122223333"},
    {"access_key_id": "ASIABOB", "secret_access_key": "bob/secret+key", "session_token": "bob+token==",
     "account": "444455556666", "principal": "arn:aws:iam::444455556666:user/bob"}
]}"#;

fn start(folder: &Folder) -> Server {
    let path = folder.path().join("credentials.json");
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&path).unwrap();
    file.write_all(CREDENTIALS.as_bytes()).unwrap();
    Server::start_in(folder, &["--verify-signatures", "--credentials", path.to_str().unwrap()])
}

fn with_key(server: &Server, id: &str, secret: &str, token: Option<&str>) -> Client {
    let credentials = Credentials::new(id, secret, token.map(str::to_owned), None, "test");
    client(server.port(), "eu-west-1", credentials)
}

#[tokio::test]
async fn the_right_keys_work() {
    let folder = Folder::new();
    let server = start(&folder);
    let alice = with_key(&server, "AKIDALICE", "alice/secret+key", None);
    let arn =
        alice.create_secret().name("a/b_+=.@-c!").secret_string("\u{1f511}'\"").send().await.unwrap().arn.unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:eu-west-1:111122223333:secret:a/b_+=.@-c!-"), "{arn}");
    let value = Blob::new(vec![255; 65_536]);
    alice.put_secret_value().secret_id(&arn).secret_binary(value.clone()).send().await.unwrap();
    assert_eq!(alice.get_secret_value().secret_id(&arn).send().await.unwrap().secret_binary, Some(value));

    let bob = with_key(&server, "ASIABOB", "bob/secret+key", Some("bob+token=="));
    let arn = bob.create_secret().name("his").send().await.unwrap().arn.unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:eu-west-1:444455556666:secret:his-"), "{arn}");
}

#[tokio::test]
async fn everything_else_is_refused() {
    let folder = Folder::new();
    let server = start(&folder);
    for (id, secret, token, code) in [
        ("AKIDALICE", "wrong", None, "InvalidSignatureException"),
        ("AKIDALICE", "bob/secret+key", None, "InvalidSignatureException"),
        ("ASIABOB", "wrong", Some("bob+token=="), "InvalidSignatureException"),
        ("AKIDNOBODY", "alice/secret+key", None, "UnrecognizedClientException"),
        ("111122223333", "alice/secret+key", None, "UnrecognizedClientException"),
        ("ASIABOB", "bob/secret+key", None, "UnrecognizedClientException"),
        ("ASIABOB", "bob/secret+key", Some("another"), "UnrecognizedClientException"),
    ] {
        let wrong = with_key(&server, id, secret, token);
        refused(wrong.create_secret().name("intruder").secret_string("x").send().await, 400, code, None);
        refused(wrong.list_secrets().send().await, 400, code, None);
    }
    for (id, secret, token) in
        [("AKIDALICE", "alice/secret+key", None), ("ASIABOB", "bob/secret+key", Some("bob+token=="))]
    {
        let right = with_key(&server, id, secret, token);
        assert!(right.list_secrets().send().await.unwrap().secret_list().is_empty());
    }
}
