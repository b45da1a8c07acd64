//! Rotations that `rotate` and `maintain` carry out themselves, with a program or an endpoint that does the work: it reaches
//! the store through the API, which the command serves meanwhile.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use strongroom::{GetSecretValueRequest, PutSecretValueRequest};

use crate::fixture::{Folder, Outcome, command, run};
use crate::rotation::{FUNCTION, begin, furnish, split, token};
use crate::server::{Connection, api};

const STEPS: &str = "createSecret\nsetSecret\ntestSecret made for";

/// A folder with a store, a secret `db`, and the program `rotate`. `None` where the program could not run.
fn with_program() -> Option<Folder> {
    if !Command::new("python3").arg("--version").output().is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: there is no python3");
        return None;
    }
    let folder = Folder::with_store();
    // Written by another process, so that nobody holds the file open while it is run.
    let mut write = command("sh");
    write.args(["-c", "cat > rotate && chmod 700 rotate"]).current_dir(folder.path());
    run(&mut write, include_bytes!("rotation_function.py")).quiet();
    folder.vault_with("create db", b"old").quiet();
    Some(folder)
}

/// Runs `rotate db` with the program.
fn rotate(folder: &Folder, more: &str) -> Outcome {
    folder.vault(&format!("rotate db --rotation-command ./rotate {more}"))
}

fn events(folder: &Folder) -> String {
    fs::read_to_string(folder.join("events")).unwrap_or_default()
}

fn told(done: &Outcome, name: &str) -> String {
    let line = done.text().lines().map(split).find(|(told, _)| told == name);
    line.unwrap_or_else(|| panic!("{name} is missing: {done:?}")).1
}

#[test]
fn a_program_has_rotated_the_secret_when_rotate_returns() {
    let Some(folder) = with_program() else { return };
    let done = rotate(&folder, &format!("--function {FUNCTION} --every-days 30")).quiet();
    assert_eq!(told(&done, "Rotation"), "done");
    let first = told(&done, "Version");
    assert_eq!(events(&folder), format!("{STEPS} {first}\nfinishSecret\n"));
    assert_eq!(folder.vault("get db").quiet().text(), format!("made for {first}"));
    assert_eq!(folder.vault("get db --version-stage AWSPREVIOUS").quiet().text(), "old");

    // The function and the schedule are stored; who does its work is not.
    let done = rotate(&folder, &format!("--json --token {}", token(7))).quiet().json();
    assert_eq!(done["VersionId"], token(7));
    assert_eq!(folder.vault("get db").quiet().text(), format!("made for {}", token(7)));
    let status = folder.vault("rotation status db --json").quiet().json();
    assert_eq!((&status["RotationLambdaARN"], status.get("InProgress")), (&json!(FUNCTION), None));
    folder.vault("rotate db").fails(9, &["AccessDeniedException", "hint: --rotation-command"]);
}

#[test]
fn maintain_has_a_program_rotate_what_is_due_in_every_account() {
    let Some(folder) = with_program() else { return };
    let accounts = ["000000000000", "111122223333"];
    furnish(&folder, |store, _, _, _| {
        for (number, account) in (0..).zip(accounts) {
            let secrets = store.secrets_manager(account, "us-east-1").unwrap();
            begin(&secrets, "due", 100 + 10 * number, None);
        }
    });
    // As a shell that was furnished for the cloud would have it.
    let mut maintain = folder.command(&["maintain", "--dir", "vault", "--json", "--rotation-command", "./rotate"]);
    let cloud = [("AWS_ACCESS_KEY_ID", "AKIDCLOUD"), ("AWS_SECRET_ACCESS_KEY", "c"), ("AWS_SESSION_TOKEN", "t")];
    let done = run(maintain.envs(cloud).env("AWS_REGION", "eu-central-1"), b"").quiet().json();
    assert_eq!((&done["rotated_secrets"], &done["failed_rotations"]), (&json!(2), &json!(0)), "{}", events(&folder));
    for (number, account) in (0..).zip(accounts) {
        let got = folder.vault(&format!("get due --account {account}")).quiet();
        assert_eq!(got.text(), format!("made for {}", token(101 + 10 * number)), "{account}");
    }
    let none = folder.vault("maintain --rotation-command ./rotate").quiet();
    assert_eq!(told(&none, "Rotated"), "0 secrets");
}

#[test]
fn a_program_that_fails_is_quoted_and_the_rotation_waits_for_its_next_attempt() {
    let Some(folder) = with_program() else { return };
    folder.write("broken", "", 0o600);
    let done = rotate(&folder, &format!("--function {FUNCTION} --token {}", token(7)));
    assert_eq!((done.code, told(&done, "Rotation").as_str()), (Some(9), "failed"), "{done:?}");
    for named in ["setSecret", "rotate: exit status 1: the system is [31mdown for today", "hint: ", "maintain` with"] {
        assert!(done.stderr.contains(named), "{named}: {done:?}");
    }
    assert_eq!(folder.vault("get db").quiet().text(), "old");
    let waiting = folder.vault("maintain --rotation-command ./rotate").quiet();
    assert_eq!((told(&waiting, "Rotated").as_str(), told(&waiting, "Failed").as_str()), ("0 secrets", "0 rotations"));
    let status = folder.vault("rotation status db --json").quiet().json();
    assert_eq!((&status["InProgress"]["VersionId"], &status["InProgress"]["Attempts"]), (&json!(token(7)), &json!(1)));
}

#[test]
fn a_program_is_only_tried_where_nothing_is_to_be_rotated_now() {
    let Some(folder) = with_program() else { return };
    let done = rotate(&folder, &format!("--function {FUNCTION} --no-run-now --every-days 3")).quiet();
    assert_eq!(told(&done, "Rotation"), "not now");
    assert_eq!(events(&folder), "testSecret old\n");
    assert_eq!(folder.vault("get db").quiet().text(), "old");
    assert_eq!(folder.vault("versions db --json").quiet().json()["Versions"].as_array().map(Vec::len), Some(1));
}

#[test]
fn nobody_but_the_program_is_let_in_while_it_runs() {
    let Some(folder) = with_program() else { return };
    folder.write("others", "", 0o600);
    let done = rotate(&folder, &format!("--function {FUNCTION}")).quiet();
    assert_eq!(told(&done, "Rotation"), "done");
    let events = events(&folder);
    let answers = events.lines().find_map(|line| line.strip_prefix("setSecret ")).unwrap();
    let expected = [
        "400:MissingAuthenticationTokenException",
        "400:UnrecognizedClientException",
        "400:InvalidSignatureException",
        "400:UnrecognizedClientException",
        "400:UnrecognizedClientException",
    ];
    assert_eq!(answers.split(' ').collect::<Vec<_>>(), expected);
}

#[test]
fn a_secret_that_names_no_function_is_told_how_it_gets_one() {
    let Some(folder) = with_program() else { return };
    let other = "arn:aws:lambda:us-east-1:000000000000:function:other";
    let named = format!("rotate db --rotation-command {FUNCTION}=./rotate");
    folder.vault(&named).fails(4, &["No Lambda rotation function ARN", &format!("--function {FUNCTION} says")]);
    rotate(&folder, "").fails(4, &["hint: --function ARN", "arn:aws:lambda:us-east-1:000000000000:function:rotate-db"]);
    folder.vault(&format!("{named} --function {other}")).fails(9, &["AccessDeniedException", other, "hint: "]);
    folder.vault(&format!("{named} --function {FUNCTION}")).quiet();
    assert_eq!(events(&folder).lines().count(), 4);
}

#[test]
fn what_cannot_rotate_anything_is_refused_before_the_store_is_opened() {
    let folder = Folder::with_store();
    folder.vault_with("create db", b"old").quiet();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let on_taken = format!("--rotation-command true --listen {}", taken.local_addr().unwrap());
    let rows: [(&str, i32, &[&str]); 9] = [
        ("--rotation-command ./missing", 2, &["./missing"]),
        ("--rotation-command arn:aws:*:f=true", 2, &["--rotation-command"]),
        ("--rotation-command true --rotation-command false", 2, &["arn:*"]),
        ("--lambda-endpoint https://127.0.0.1:1", 2, &["--lambda-endpoint", "http://"]),
        ("--lambda-endpoint http://127.0.0.1:1", 2, &["--listen"]),
        ("--lambda-endpoint http://127.0.0.1:1 --listen 0.0.0.0:0", 2, &["0.0.0.0:0", "serve"]),
        ("--rotation-command true --listen [::]:0", 2, &["[::]:0"]),
        ("--listen 127.0.0.1:0", 2, &["--rotation-command"]),
        (&on_taken, 1, &["cannot listen"]),
    ];
    let before = folder.files();
    for (options, code, named) in rows {
        for command in ["rotate db", "maintain"] {
            let line = format!("{command} --dir vault {options}");
            let done = folder.run(&line);
            assert_eq!((done.code, done.text()), (Some(code), ""), "{line}: {done:?}");
            for name in named {
                assert!(done.stderr.contains(name), "{line}: `{name}` is missing: {done:?}");
            }
        }
    }
    assert_eq!(folder.files(), before);
    for command in ["rotate db", "maintain"] {
        folder.run(&format!("{command} --dir nowhere --rotation-command true")).fails(3, &["no store in `"]);
    }
}

/// Lambda functions behind an endpoint: they are called five times, once to see whether they are there, and use the API that
/// listens on the port.
fn functions(listener: &TcpListener, port: u16) -> Vec<String> {
    let mut steps = Vec::new();
    for _ in 0..5 {
        let mut connection = Connection::accept(listener);
        let (head, body) = connection.request();
        let answer = if head.iter().any(|line| line.eq_ignore_ascii_case("x-amz-invocation-type: DryRun")) {
            "HTTP/1.1 204 No Content\r\n\r\n"
        } else {
            let event: Value = serde_json::from_slice(&body).unwrap();
            steps.push(event["Step"].as_str().unwrap().to_owned());
            step(port, &event);
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"
        };
        assert!(connection.write(answer.as_bytes()));
    }
    steps
}

fn step(port: u16, event: &Value) {
    let call = |operation: &str, body: Value| {
        let mut connection = Connection::open(port);
        connection.send(&api(operation).each_ref().map(String::as_str), body.to_string().as_bytes());
        connection.answer().ok().json()
    };
    let (secret, version) = (&event["SecretId"], &event["ClientRequestToken"]);
    if event["Step"] == "createSecret" {
        let put = json!({ "SecretId": secret, "ClientRequestToken": version, "SecretString": "new", "VersionStages": ["AWSPENDING"] });
        call("PutSecretValue", put);
    }
    if event["Step"] == "finishSecret" {
        let described = call("DescribeSecret", json!({ "SecretId": secret }));
        let stages = described["VersionIdsToStages"].as_object().unwrap();
        let (current, _) = stages.iter().find(|(_, labels)| labels[0] == "AWSCURRENT").unwrap();
        let finish = json!({ "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": version, "RemoveFromVersionId": current });
        call("UpdateSecretVersionStage", finish);
    }
}

#[test]
fn functions_behind_an_endpoint_find_the_api_where_they_were_told() {
    let folder = Folder::with_store();
    folder.vault_with("create db --account 111122223333", b"old").quiet();
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", endpoint.local_addr().unwrap());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = format!("--lambda-endpoint {url} --listen {free} --account 111122223333");
    let working = thread::spawn(move || functions(&endpoint, free.port()));
    let function = FUNCTION.replace("000000000000", "111122223333");
    let done = folder.vault(&format!("rotate db --function {function} {options}")).quiet();
    assert_eq!(told(&done, "Rotation"), "done");
    assert_eq!(working.join().unwrap(), ["createSecret", "setSecret", "testSecret", "finishSecret"]);
    assert_eq!(folder.vault("get db --account 111122223333").quiet().text(), "new");
    // The endpoint is gone, and so is everything that was served.
    folder.vault(&format!("rotate db {options}")).fails(9, &["AccessDeniedException", "hint: the endpoint of"]);
    assert!(TcpListener::bind(free).is_ok());
}

#[test]
fn a_store_is_as_it_would_be_without_a_server_beside() {
    let Some(folder) = with_program() else { return };
    rotate(&folder, &format!("--function {FUNCTION}")).quiet();
    folder.vault("verify").quiet();
    furnish(&folder, |_, secrets, _, _| {
        let read = secrets.get_secret_value(GetSecretValueRequest::new("db")).unwrap();
        assert!(read.secret_string.unwrap().expose().starts_with("made for "));
        secrets.put_secret_value(PutSecretValueRequest::new("db", "by hand")).unwrap();
    });
    assert_eq!(folder.vault("get db").quiet().text(), "by hand");
}
