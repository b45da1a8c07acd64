//! `strongroom serve --enforce-policies`: who must be named, who signs, and what they may do then.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use ring::{digest, hmac};
use serde_json::{Value, json};
use strongroom::{Clock as _, SystemClock};

use crate::fixture::Folder;
use crate::server::{Answer, Server, api, with_token};

const HOME: &str = "111122223333";
const AWAY: &str = "444455556666";

/// One who may do everything in the account, one with a policy, and one of another account.
fn credentials() -> String {
    let entry = |id: &str, account: &str, name: &str, more: Value| {
        let mut entry = json!({
            "access_key_id": id, "secret_access_key": format!("hush-{id}"), "account": account,
            "principal": format!("arn:aws:iam::{account}:{name}"),
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let read = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"],
         "Resource": "*", "Condition": {"StringEquals": {"secretsmanager:ResourceTag/team": "${aws:PrincipalTag/team}"}}},
        {"Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"},
    ]});
    let everything = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let reader = json!({"policies": [read], "tags": {"team": "payments"}, "organization": "o-a1b2c3d4e5", "user_id": "AIDAREADER"});
    let entries = [
        entry("AKIDROOT", HOME, "root", json!({})),
        entry("AKIDREADER", HOME, "user/reader", reader),
        entry("AKIDSTRANGER", AWAY, "user/stranger", json!({ "policies": [everything] })),
    ];
    json!({ "credentials": entries }).to_string()
}

fn enforcing(more: &str) -> (Folder, Server) {
    let folder = Folder::with_store();
    folder.write("credentials", credentials(), 0o600);
    let server = Server::start(&folder, &format!("--enforce-policies --credentials credentials {more}"));
    (folder, server)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A head with the signature of somebody; what is signed are the host, the time and the operation.
fn signed(id: &str, head: &[&str], body: &[u8]) -> Vec<String> {
    let time = SystemClock.now().format("%Y%m%dT%H%M%SZ").to_string();
    let date = time.get(..8).unwrap();
    let mut lines: Vec<String> = head.iter().map(|line| (*line).to_owned()).collect();
    lines.push(format!("X-Amz-Date: {time}"));
    let mut headers: Vec<(String, String)> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let canonical: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut words = lines[0].split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let payload = hex(digest::digest(&digest::SHA256, body));
    let request = format!("{method}\n{path}\n\n{canonical}\n{names}\n{payload}");
    let scope = format!("{date}/us-east-1/secretsmanager/aws4_request");
    let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let first = sign(format!("AWS4hush-{id}").as_bytes(), date);
    let key =
        ["us-east-1", "secretsmanager", "aws4_request"].into_iter().fold(first, |key, text| sign(key.as_ref(), text));
    let signature = hex(sign(key.as_ref(), &text));
    lines.push(format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    ));
    lines
}

/// Calls an operation on behalf of somebody.
fn call(server: &Server, id: &str, operation: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let body = if operation == "CreateSecret" { with_token(&body) } else { body };
    let head = signed(id, &api(operation).each_ref().map(String::as_str), body.as_bytes());
    server.send(&head.iter().map(String::as_str).collect::<Vec<_>>(), body.as_bytes())
}

#[track_caller]
fn is_denied(answer: &Answer, text: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (400, "AccessDeniedException"), "{answer:?}");
    assert_eq!(answer.json()["message"], text);
}

#[test]
fn everybody_must_be_named_before_a_server_enforces_policies() {
    let folder = Folder::new();
    let serve = "serve --dir vault --listen 127.0.0.1:0 --enforce-policies";
    let bare = folder.run(serve);
    assert_eq!((bare.code, bare.text()), (Some(2), ""), "{bare:?}");
    assert!(bare.stderr.contains("--credentials <FILE>"), "{bare:?}");
    let entry = |more: &str| {
        let base = r#""access_key_id": "AKID", "secret_access_key": "hush-hush", "account": "111122223333""#;
        format!(r#"{{"credentials": [{{{base}{more}}}]}}"#)
    };
    let bob = r#", "principal": "arn:aws:iam::111122223333:user/bob""#;
    let arn = "must be the ARN of a user, role, session or account root";
    let rows: [(String, &[&str]); 8] = [
        (r#"{"credentials": []}"#.to_owned(), &["no entry"]),
        (entry(""), &["entry 1", "--enforce-policies", "`principal` must be there"]),
        (entry(r#", "principal": "bob""#), &["entry 1", arn]),
        (entry(r#", "principal": "arn:aws:iam::111122223333:group/all""#), &["entry 1", arn]),
        (entry(&bob.replace(HOME, AWAY)), &["entry 1", "must be of the `account`"]),
        (entry(&format!(r#"{bob}, "policies": ["hush-hush"]"#)), &["entry 1: policy 1: line 1, column 1"]),
        (
            entry(&format!("{bob}, \"policies\": [\n {{\"Statement\": [],\n  \"hush\": 1}}]")),
            &["entry 1: policy 1: line 2, column 3, "],
        ),
        (entry(&format!(r#"{bob}, "tags": {{"team": 7}}"#)), &["entry 1", "`tags` is not an object of plain texts"]),
    ];
    for (text, named) in rows {
        folder.write("credentials", &text, 0o600);
        folder.run(&format!("{serve} --credentials credentials")).fails(2, named);
    }
    assert!(!folder.has("vault") && !folder.has("vault.keyring"), "nothing was made");

    // Enforcing includes verifying, so that others may reach it.
    folder.write("credentials", credentials(), 0o600);
    let mut anywhere = folder.command(&["serve", "--dir", "vault", "--listen", "0.0.0.0:0"]);
    anywhere.args(["--enforce-policies", "--credentials", "credentials"]);
    let mut child = anywhere.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("listening on http://0.0.0.0:"), "{line:?}");
}

#[test]
fn what_is_said_of_callers_is_checked_everywhere_and_counts_only_where_it_is_enforced() {
    let folder = Folder::with_store();
    folder.write("credentials", credentials().replace("Allow", "Permit"), 0o600);
    let serve = "serve --dir vault --listen 127.0.0.1:0 --credentials credentials";
    folder.run(serve).fails(2, &["entry 2: policy 1: line 1, column", "Statement[0].Effect"]);
    folder.write("credentials", credentials(), 0o600);
    for more in ["", "--verify-signatures"] {
        let server = Server::start(&folder, &format!("--credentials credentials {more}"));
        let name = format!("made{more}");
        call(&server, "AKIDREADER", "CreateSecret", &json!({ "Name": name })).ok();
        call(&server, "AKIDREADER", "DeleteSecret", &json!({"SecretId": name, "ForceDeleteWithoutRecovery": true}))
            .ok();
    }
}

#[test]
fn callers_may_do_what_policies_allow_and_no_more() {
    let (_folder, server) = enforcing("");
    // Nobody is let in who does not sign, or with another's key.
    assert_eq!(server.call("ListSecrets", "{}").code(), "MissingAuthenticationTokenException");
    assert_eq!(call(&server, "AKIDNOBODY", "ListSecrets", &json!({})).code(), "UnrecognizedClientException");

    let mut arns = Vec::new();
    for (name, team) in [("pay/main", "payments"), ("ord/main", "orders")] {
        let tags = json!([{"Key": "team", "Value": team}]);
        let created =
            call(&server, "AKIDROOT", "CreateSecret", &json!({"Name": name, "SecretString": "v", "Tags": tags}));
        arns.push(created.ok().json()["ARN"].as_str().unwrap().to_owned());
    }
    let (paid, ordered) = (arns[0].as_str(), arns[1].as_str());
    assert!(paid.contains(&format!(":{HOME}:secret:pay/main-")), "{paid}");

    let got = call(&server, "AKIDREADER", "GetSecretValue", &json!({"SecretId": "pay/main"})).ok().json();
    assert_eq!(got["SecretString"], "v");
    let reader = format!("User: arn:aws:iam::{HOME}:user/reader is not authorized to perform: secretsmanager:");
    let why = |action: &str| format!("because no identity-based policy allows the secretsmanager:{action} action");
    for (operation, id) in [("GetSecretValue", ordered), ("DeleteSecret", paid), ("DescribeSecret", paid)] {
        let denied = call(&server, "AKIDREADER", operation, &json!({"SecretId": id}));
        is_denied(&denied, &format!("{reader}{operation} on resource: {id} {}", why(operation)));
    }
    let denied = call(&server, "AKIDREADER", "ListSecrets", &json!({}));
    is_denied(&denied, &format!("{reader}ListSecrets {}", why("ListSecrets")));
    let denied = call(&server, "AKIDREADER", "CreateSecret", &json!({"Name": "new"}));
    assert!(denied.json()["message"].as_str().unwrap().contains(" on resource: new because "), "{denied:?}");
    let both = json!({"SecretIdList": [paid, ordered]});
    let batch = call(&server, "AKIDREADER", "BatchGetSecretValue", &both).ok().json();
    assert_eq!(batch["SecretValues"].as_array().unwrap().len(), 1, "{batch}");
    assert_eq!(
        (&batch["Errors"][0]["SecretId"], &batch["Errors"][0]["ErrorCode"]),
        (&json!(ordered), &json!("AccessDeniedException"))
    );

    // In their own account a stranger may do everything, and here only what the secret's policy allows.
    assert_eq!(call(&server, "AKIDSTRANGER", "ListSecrets", &json!({})).ok().json()["SecretList"], json!([]));
    let denied = call(&server, "AKIDSTRANGER", "DescribeSecret", &json!({"SecretId": paid}));
    assert_eq!(denied.code(), "AccessDeniedException");
    let allow = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": AWAY}, "Action": "secretsmanager:DescribeSecret", "Resource": "*"}});
    let put = json!({"SecretId": paid, "ResourcePolicy": allow.to_string()});
    assert_eq!(call(&server, "AKIDSTRANGER", "PutResourcePolicy", &put).code(), "AccessDeniedException");
    call(&server, "AKIDROOT", "PutResourcePolicy", &put).ok();
    assert_eq!(call(&server, "AKIDSTRANGER", "DescribeSecret", &json!({"SecretId": paid})).ok().json()["ARN"], paid);
    for id in ["pay/main", ordered] {
        assert_ne!(call(&server, "AKIDSTRANGER", "DescribeSecret", &json!({ "SecretId": id })).status, 200, "{id}");
    }
}

#[test]
fn conditions_see_where_a_request_comes_from_and_who_sends_it() {
    let (_folder, server) = enforcing("");
    call(&server, "AKIDROOT", "CreateSecret", &json!({"Name": "x", "SecretString": "v"})).ok();
    let rows = [
        (json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), false),
        (json!({"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}}), false),
        (json!({"Bool": {"aws:SecureTransport": "false"}}), true),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), false),
        (json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), true),
        (json!({"StringEquals": {"aws:PrincipalOrgID": "o-other"}}), false),
        (json!({"StringEquals": {"aws:userid": "AIDAREADER", "aws:username": "reader"}}), true),
        (json!({"StringEquals": {"aws:userid": "AIDAROOT"}}), false),
        (json!({"StringEquals": {"aws:PrincipalTag/TEAM": "payments"}}), true),
        (json!({"StringEquals": {"aws:RequestedRegion": "us-east-1", "aws:ResourceAccount": HOME}}), true),
        (json!({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), false),
        (json!({"Null": {"aws:SourceVpc": "true", "aws:SourceVpce": "true"}}), true),
    ];
    for (condition, is_allowed) in rows {
        let allow = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{HOME}:user/reader")},
            "Action": "secretsmanager:GetSecretValue", "Resource": "*", "Condition": condition});
        let policy = json!({"Version": "2012-10-17", "Statement": allow}).to_string();
        call(&server, "AKIDROOT", "PutResourcePolicy", &json!({"SecretId": "x", "ResourcePolicy": policy})).ok();
        let answer = call(&server, "AKIDREADER", "GetSecretValue", &json!({"SecretId": "x"}));
        assert_eq!(answer.status, if is_allowed { 200 } else { 400 }, "{condition}: {answer:?}");
        assert!(is_allowed || answer.code() == "AccessDeniedException", "{condition}: {answer:?}");
    }
}

#[test]
fn administration_is_for_everybody_who_signs_and_the_log_tells_who_was_refused() {
    let (_folder, mut server) = enforcing("--admin --log-format json");
    let head = ["GET /_strongroom/stats HTTP/1.1", "Host: localhost", "Content-Type: application/json"];
    assert_eq!(server.send(&head, b"").code(), "MissingAuthenticationTokenException");
    let head = signed("AKIDSTRANGER", &head, b"");
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    assert_eq!(server.send(&head, b"").ok().json()["secrets"], 0);
    call(&server, "AKIDREADER", "CreateSecret", &json!({"Name": "x"}));
    server.stop();
    let lines: Vec<Value> = server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ready = lines.iter().find(|line| line["message"] == "ready").unwrap();
    assert_eq!((&ready["verifies_signatures"], &ready["enforces_policies"]), (&json!(true), &json!(true)));
    let refused = lines.iter().find(|line| line["operation"] == "CreateSecret").unwrap();
    assert_eq!(refused["error_code"], "AccessDeniedException");
    assert_eq!(refused["principal"], format!("arn:aws:iam::{HOME}:user/reader"));
    assert!(!server.log().contains("hush"), "{}", server.log());
}
