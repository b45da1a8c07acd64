//! Who rotates secrets, as `serve` is told.

use crate::fixture::Folder;
use crate::server::Server;

#[test]
fn a_server_says_at_once_what_cannot_rotate_anything() {
    let folder = Folder::with_store();
    folder.write("plain", "#!/bin/sh\n", 0o600);
    let rows: [(&str, &[&str]); 12] = [
        ("--lambda-endpoint https://127.0.0.1:3001", &["--lambda-endpoint", "http://"]),
        ("--lambda-endpoint 127.0.0.1:3001", &["--lambda-endpoint"]),
        ("--lambda-endpoint http://user:hunter2@host", &["--lambda-endpoint"]),
        ("--lambda-endpoint http://host/?query", &["query"]),
        ("--rotation-command ./missing", &["./missing"]),
        ("--rotation-command .", &["`.`"]),
        ("--rotation-command ./plain", &["./plain"]),
        ("--rotation-command a-program-that-nobody-has", &["a-program-that-nobody-has"]),
        ("--rotation-command arn:aws:lambda:us-east-1:000000000000:function:f", &["--rotation-command", "PROGRAM"]),
        ("--rotation-command arn:aws:*:f=/bin/true", &["--rotation-command", "*"]),
        ("--rotation-command /bin/true --rotation-command /bin/false", &["arn:*"]),
        ("--lambda-endpoint http://127.0.0.1:1 --rotation-command /bin/true", &["arn:*", "ARN=PROGRAM"]),
    ];
    for (options, named) in rows {
        folder.vault(&format!("serve --listen 127.0.0.1:0 {options}")).fails(2, named);
    }
}

#[test]
fn programs_for_some_functions_and_an_endpoint_for_the_others_go_together() {
    let folder = Folder::with_store();
    let server = Server::start(
        &folder,
        "--lambda-endpoint http://127.0.0.1:1/path --rotation-command arn:aws:lambda:us-east-1:000000000000:function:f=/bin/true \
         --rotation-command arn:aws:lambda:eu-*=true --admin",
    );
    server.call("CreateSecret", r#"{"Name": "one", "SecretString": "v"}"#).ok();
}
