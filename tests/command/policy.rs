//! `strongroom policy`: attaching policies, looking at them, checking them, and finding out what they say of a request.

use serde_json::{Value, json};

use crate::fixture::{Folder, Outcome};
use crate::server::Server;

const ALICE: &str = "arn:aws:iam::000000000000:user/alice";

/// Alice may read, and nobody may from outside the office. It ends without a newline.
const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Readers", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:user/alice"},
     "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
    {"Sid": "Office", "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
     "Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}
  ]
}"#;

const OPEN: &str = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
/// The one statement denies it to the account itself.
const LOCKED: &str = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
const PERMIT: &str =
    "{\"Statement\": {\n  \"Effect\": \"Permit\", \"Principal\": \"*\", \"Action\": \"*\", \"Resource\": \"*\"}}";
const GROUP: &str = r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:group/all"},
    "Action": "*", "Resource": "*"}}"#;

/// With a secret `db/main` that has a tag, and files of policies.
fn furnished() -> Folder {
    let folder = Folder::with_store();
    folder.vault_with("create db/main --tag team=payments", b"v").quiet();
    for (name, text) in
        [("policy", POLICY), ("open", OPEN), ("locked", LOCKED), ("permit", PERMIT), ("group", GROUP), ("none", "nope")]
    {
        folder.write(name, text, 0o600);
    }
    folder
}

#[test]
fn a_policy_is_attached_printed_listed_and_detached() {
    let folder = furnished();
    folder.vault("policy get db/main").fails(3, &["no policy is attached to `db/main`", "hint", "policy put"]);
    folder.vault("policy get db/main --json").fails(3, &["no policy"]);
    assert_eq!(folder.vault("policy list db/main").quiet().text(), "POLICY\n");
    assert_eq!(folder.vault("policy list db/main --json").quiet().json(), json!({"ResourcePolicies": []}));

    let put = folder.vault("policy put db/main policy").quiet();
    assert!(put.text().starts_with("ARN     arn:aws:secretsmanager:us-east-1:000000000000:secret:db/main-"), "{put:?}");
    assert_eq!(put.text().lines().nth(1), Some("Policy  default"));
    assert_eq!(folder.vault("policy get db/main").quiet().text(), format!("{POLICY}\n"), "as it was attached");
    assert_eq!(folder.vault("policy list db/main").quiet().text(), "POLICY\ndefault\n");
    assert_eq!(
        folder.vault("policy list db/main --json").quiet().json(),
        json!({"ResourcePolicies": [{"PolicyName": "default"}]})
    );
    let got = folder.vault("policy get db/main --json").quiet().json();
    let arn = got["ARN"].as_str().unwrap();
    assert!(arn.contains(":secret:db/main-"));
    let expected = json!({"ARN": arn, "Name": "db/main", "ResourcePolicy": POLICY, "PolicyName": "default"});
    assert_eq!(got, expected);

    let newline = format!("{OPEN}\n");
    let put = folder.vault_with("policy put db/main - --json", newline.as_bytes()).quiet().json();
    assert_eq!(put, json!({"ARN": arn, "Name": "db/main", "PolicyName": "default"}));
    assert_eq!(folder.vault(&format!("policy get {arn}")).quiet().text(), newline, "no newline is added to one");
    assert_eq!(folder.vault("policy delete db/main").quiet().text(), "db/main has no policy now\n");
    folder.vault("policy get db/main").fails(3, &["no policy"]);
    let deleted = folder.vault("policy delete db/main --json").quiet().json();
    assert_eq!(deleted, json!({"ARN": arn, "Name": "db/main", "PolicyName": "default"}), "without one nothing changes");
}

#[test]
fn a_policy_that_is_refused_is_not_attached_and_the_place_of_the_fault_is_told() {
    let folder = furnished();
    folder.vault("policy put db/main policy").quiet();
    folder.write("long", format!("{OPEN}{}", " ".repeat(20_480)), 0o600);
    folder.write("longest", " ".repeat(100_000), 0o600);
    folder.write("latin", b"{\"Statement\": \"\xe9\"}", 0o600);
    folder.write("empty", "", 0o600);
    let rows: [(&str, i32, &[&str]); 11] = [
        ("none", 5, &["MalformedPolicyDocumentException", "line 1, column 1", "not JSON"]),
        ("permit", 5, &["syntax error", "line 2, column 13, Statement.Effect", "neither Allow nor Deny"]),
        ("group", 5, &["unsupported principal", "line 1, column 56, Statement.Principal.AWS"]),
        ("locked", 5, &["InvalidParameterException", "will not allow you to manage this secret"]),
        ("open --block-public-policy", 5, &["PublicPolicyException", "statement 1", "hint"]),
        ("long", 5, &["ValidationException", "20480"]),
        ("longest", 5, &["longest", "at most 81920 bytes"]),
        ("latin", 5, &["latin", "not UTF-8", "byte 16"]),
        ("empty", 5, &["ValidationException"]),
        ("absent", 1, &["absent", "No such file"]),
        ("policy --block-public-policy=x", 2, &["block-public-policy"]),
    ];
    for (arguments, code, named) in rows {
        folder.vault(&format!("policy put db/main {arguments}")).fails(code, named);
        assert_eq!(folder.vault("policy get db/main").quiet().text(), format!("{POLICY}\n"), "{arguments}");
    }
    folder.vault("policy put db/main policy --block-public-policy").quiet();
    folder.vault("policy put db/main open").quiet();
}

#[test]
fn what_is_not_there_scheduled_for_deletion_or_in_use_has_the_exit_code_of_other_commands() {
    let folder = furnished();
    folder.vault_with("create leaving", b"v").quiet();
    folder.vault("delete leaving").quiet();
    for line in ["put ID policy", "get ID", "delete ID", "list ID", "validate policy --secret ID"] {
        let line = format!("policy {line}");
        folder.vault(&line.replace("ID", "absent")).fails(3, &["ResourceNotFoundException"]);
        folder.vault(&line.replace("ID", "leaving")).fails(4, &["marked for deletion"]);
        folder.run(&format!("{} --dir nowhere", line.replace("ID", "x"))).fails(3, &["no store in `", "nowhere"]);
        let _server = Server::start(&folder, "");
        folder.vault(&line.replace("ID", "db/main")).fails(7, &["open elsewhere"]);
    }
    let explain = format!("policy explain --principal {ALICE} --action GetSecretValue --secret");
    folder.vault(&format!("{explain} absent")).fails(3, &["ResourceNotFoundException"]);
    folder.vault(&format!("{explain} leaving")).fails(4, &["marked for deletion"]);
    // Nothing is read before it is known that there is a store for it.
    folder.run("policy put x absent --dir nowhere").fails(3, &["no store"]);
    for line in [
        "policy",
        "policy frobnicate",
        "policy put db/main --dir vault",
        "policy get --dir vault",
        "policy validate --dir vault",
        "policy validate policy --secret db/main",
        "policy explain --action GetSecretValue --resource * --dir vault",
        "policy explain --principal alice --action GetSecretValue --resource *",
        "policy explain --principal arn:aws:iam::1:root --action GetSecretValue --resource *",
        "policy explain --principal arn:aws:iam::000000000000:root --resource *",
        "policy explain --principal arn:aws:iam::000000000000:root --action GetSecretValue",
        "policy explain --principal arn:aws:iam::000000000000:root --action A --resource * --secret x --dir vault",
        "policy explain --principal arn:aws:iam::000000000000:root --action A --resource * --context nothing",
        "policy explain --principal arn:aws:iam::000000000000:root --action A --resource * --policy - --identity-policy -",
    ] {
        let refused = folder.run_with(line, OPEN.as_bytes());
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
        assert!(!refused.stderr.is_empty() && !refused.stderr.contains("panicked"), "{line}: {refused:?}");
    }
}

/// The names of the checks that have failed.
fn failed(outcome: &Outcome) -> Vec<String> {
    let checked = outcome.json();
    assert_eq!(checked["PolicyValidationPassed"], json!(outcome.code == Some(0)), "{outcome:?}");
    let errors = checked["ValidationErrors"].as_array().unwrap();
    errors.iter().map(|error| error["CheckName"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_check_that_a_policy_does_not_pass_is_a_row() {
    let folder = furnished();
    let rows: [(&str, &[&str], &[&str]); 5] = [
        ("policy", &[], &["the policy passes every check"]),
        ("permit", &["SyntaxCheck"], &["line 2, column 13, Statement.Effect"]),
        ("group", &["SyntaxCheck"], &["unsupported principal", "line 1, column 56"]),
        ("open", &["BlockPublicPolicyCheck"], &["broad access"]),
        ("locked", &["LockOutCheck"], &["will not allow you to manage this secret"]),
    ];
    for (name, checks, named) in rows {
        for more in ["", "--secret db/main --dir vault", "--secret db/main --dir vault --json", "--json"] {
            let done = folder.run(&format!("policy validate {name} {more}"));
            assert_eq!(done.code, Some(if checks.is_empty() { 0 } else { 5 }), "{name}: {done:?}");
            if more.ends_with("--json") {
                assert_eq!(failed(&done), checks, "{name}: {done:?}");
            } else {
                let shown: Vec<&str> = done.text().lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
                assert_eq!(shown, checks, "{name}: {done:?}");
            }
            for text in named.iter().filter(|_| !more.ends_with("--json") || !checks.is_empty()) {
                assert!(done.text().contains(text), "{name}: `{text}` is missing: {done:?}");
            }
            assert_eq!(done.stderr.contains("does not pass 1 check"), !checks.is_empty(), "{name}: {done:?}");
        }
    }
    folder.run("policy validate none").fails(5, &["MalformedPolicyDocumentException", "line 1, column 1", "not JSON"]);
    let piped = folder.run_with("policy validate - --json", OPEN.as_bytes());
    assert_eq!(failed(&piped), ["BlockPublicPolicyCheck"]);
    assert_eq!(folder.vault("policy list db/main").quiet().text(), "POLICY\n", "nothing was attached");
}

/// Whether somebody may do something, as a script sees it.
fn explained(folder: &Folder, line: &str) -> (Option<i32>, Value) {
    let done = folder.run(&format!("policy explain {line} --json"));
    let decision = done.json();
    (done.code, decision)
}

const READ: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db/main-a1b2c3";

#[test]
fn a_decision_is_explained_statement_by_statement() {
    let folder = furnished();
    folder.vault("policy put db/main policy").quiet();
    folder.write(
        "alice",
        r#"{"Statement": [
            {"Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"},
            {"Sid": "Orders", "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
             "Condition": {"StringEquals": {"aws:ResourceTag/team": "orders"}}}]}"#,
        0o600,
    );
    let ask = format!(
        "policy explain --principal {ALICE} --action GetSecretValue --secret db/main --identity-policy alice --dir vault"
    );
    let denied = folder.run(&ask);
    assert_eq!(denied.code, Some(10), "{denied:?}");
    let expected = "\
denied by a statement

POLICY      STATEMENT  EFFECT  OUTCOME
identity 1  1          Allow   is about another action
identity 1  2 Orders   Allow   StringEquals aws:ResourceTag/team orders is not met: the request has payments
resource    1 Readers  Allow   applies
resource    2 Office   Deny    applies
";
    assert_eq!(denied.text(), expected);
    for part in ["error: ", ALICE, "may not do secretsmanager:GetSecretValue on arn:aws:secretsmanager:", "db/main-"] {
        assert!(denied.stderr.contains(part), "{part}: {denied:?}");
    }
    let allowed = folder.run(&format!("{ask} --context aws:SourceIp=203.0.113.7")).quiet();
    assert!(allowed.text().starts_with("allowed\n\nPOLICY "), "{allowed:?}");
    // What the secret says of itself can be imagined otherwise.
    let imagined = format!("{ask} --context AWS:resourcetag/TEAM=orders --context aws:SourceIp=203.0.113.7 --json");
    let decision = folder.run(&imagined).quiet().json();
    let decisive = |statement: &&Value| statement["Decides"] == json!(true);
    let statements = decision["Statements"].as_array().unwrap();
    assert_eq!(decision["Decision"], "Allow");
    let sids: Vec<&Value> = statements.iter().filter(decisive).map(|statement| &statement["Sid"]).collect();
    assert_eq!(sids, ["Orders", "Readers"]);
    let expected = json!({
        "Policy": "resource", "Statement": 1, "Sid": "Readers", "Effect": "Allow", "Applies": true, "Decides": true,
        "Outcome": "applies",
    });
    assert_eq!(statements[2], expected);
    assert_eq!((&statements[0]["PolicyNumber"], &statements[0]["Sid"]), (&json!(1), &Value::Null));
    // A policy that is not attached yet is tried in the place of the one that is.
    let tried = folder.run(&format!("{ask} --policy open")).quiet();
    assert!(tried.text().contains("resource    1          Allow   applies\n"), "{tried:?}");
    assert!(!tried.text().contains("Office"), "{tried:?}");
}

#[test]
fn policies_are_explained_without_a_store() {
    let folder = Folder::new();
    folder.write("policy", POLICY, 0o600);
    folder.write("all", r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#, 0o600);
    folder.write(
        "here",
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {
            "StringEquals": {"aws:ResourceAccount": "000000000000", "aws:RequestedRegion": "us-east-1"},
            "DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}, "NumericGreaterThan": {"aws:EpochTime": "1"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}, "Null": {"aws:TagKeys": "false"}}}}"#,
        0o600,
    );
    let (other, root) = ("arn:aws:iam::111122223333:user/bob", "arn:aws:iam::000000000000:root");
    let inside = "--context aws:SourceIp=203.0.113.7";
    let keys = "--context aws:TagKeys=a --context aws:TagKeys=b";
    let rows = [
        (ALICE, "GetSecretValue", READ, format!("--policy policy {inside}"), "Allow", None),
        (ALICE, "secretsmanager:getsecretvalue", READ, format!("--policy policy {inside}"), "Allow", None),
        (ALICE, "GetSecretValue", READ, "--policy policy".to_owned(), "ExplicitDeny", None),
        (ALICE, "DeleteSecret", READ, format!("--policy policy {inside}"), "ImplicitDeny", Some("identity")),
        (ALICE, "DeleteSecret", READ, "--identity-policy all".to_owned(), "Allow", None),
        (other, "DeleteSecret", READ, "--identity-policy all".to_owned(), "ImplicitDeny", Some("resource")),
        (root, "DeleteSecret", READ, String::new(), "Allow", None),
        (ALICE, "ListSecrets", "*", "--identity-policy all".to_owned(), "Allow", None),
        (ALICE, "ListSecrets", "*", String::new(), "ImplicitDeny", Some("identity")),
        ("lambda.amazonaws.com", "GetSecretValue", READ, String::new(), "ImplicitDeny", Some("resource")),
        (ALICE, "TagResource", READ, format!("--identity-policy here {keys}"), "Allow", None),
        (
            ALICE,
            "TagResource",
            READ,
            format!("--identity-policy here {keys} --context aws:TagKeys=c"),
            "ImplicitDeny",
            Some("identity"),
        ),
        (ALICE, "TagResource", READ, "--identity-policy here".to_owned(), "ImplicitDeny", Some("identity")),
    ];
    for (principal, action, resource, more, decision, missing) in rows {
        let line = format!("--principal {principal} --action {action} --resource {resource} {more}");
        let (code, found) = explained(&folder, &line);
        assert_eq!(code, Some(if decision == "Allow" { 0 } else { 10 }), "{line}: {found}");
        assert_eq!((&found["Decision"], found["Missing"].as_str()), (&json!(decision), missing), "{line}: {found}");
    }
    let line = format!("policy explain --principal {ALICE} --action DeleteSecret --resource {READ}");
    let bare = folder.run(&line);
    assert_eq!(
        bare.text(),
        "not allowed: no policy of the principal allows it, and that of the resource is not enough by itself\n"
    );
    let root = folder.run(&line.replace("user/alice", "root")).quiet();
    assert_eq!(root.text(), "allowed to the root user of the account, who needs no statement\n");

    folder.write("permit", PERMIT, 0o600);
    for option in ["--policy", "--identity-policy"] {
        folder.run(&format!("{line} {option} permit")).fails(5, &["permit: line 2, column 13, Statement.Effect"]);
        folder.run(&format!("{line} {option} absent")).fails(1, &["absent: "]);
    }
    folder.run(&format!("{line} --identity-policy policy")).fails(5, &["policy: line 4, column", "names no principal"]);
    assert_eq!(folder.files().len(), 4, "no store and no keyring was made");
}

#[test]
fn what_others_wrote_does_not_command_the_terminal() {
    let folder = furnished();
    let wild = "\u{9b}31m";
    let condition = format!(r#""StringEquals": {{"aws:userid": "\u001b[31m{wild}""#);
    let policy = POLICY.replace("Readers", &format!("R{wild}"));
    let policy = policy.replace(r#""NotIpAddress": {"aws:SourceIp": "203.0.113.0/24""#, &condition);
    assert_eq!(policy.matches(wild).count(), 2);
    folder.write("wild", &policy, 0o600);
    folder.vault("policy put db/main wild").quiet();
    let ask = format!("policy explain --principal {ALICE} --action GetSecretValue --secret db/main");
    for more in ["", "--json", &format!("--context aws:userid=x{wild}")] {
        let shown = folder.vault(&format!("{ask} {more}")).ok();
        let is_tame = |c: char| !c.is_control() || c == '\n';
        assert!(shown.text().chars().all(is_tame), "{more}: {shown:?}");
        assert!(shown.text().contains("9b"), "{more}: {shown:?}");
    }
    let json = folder.vault("policy get db/main --json").quiet();
    assert!(!json.text().contains('\u{9b}') && json.json()["ResourcePolicy"] == json!(policy), "{json:?}");
    // For a program it is what it is.
    assert_eq!(folder.vault("policy get db/main").quiet().text(), format!("{policy}\n"));
    if folder.shell("command -v script >/dev/null").code == Some(0) {
        let seen = folder.shell(r#"script -qec '"$BIN" policy get db/main --dir vault' /dev/null </dev/null"#).ok();
        assert!(!seen.text().contains('\u{9b}') && seen.text().contains(r"\u{9b}31m"), "{seen:?}");
        assert!(seen.text().lines().count() > 5, "{seen:?}");
    }
    folder.write("keys", OPEN.replacen('{', r#"{"\u001b[31mA": 1, "#, 1), 0o600);
    let refused = folder.vault("policy put db/main keys");
    refused.fails(5, &["line 1, column 2", "[31mA", "no such element"]);
    assert!(!refused.stderr.contains('\u{1b}'), "{refused:?}");
}
