//! The everyday commands: what they do, what a person reads, what a program reads.

use serde_json::{Value, json};

use crate::fixture::Folder;

const NAME: &str = "app/db";

fn with_secret() -> Folder {
    let folder = Folder::with_store();
    folder.vault_with(&format!("create {NAME}"), b"first").quiet();
    folder
}

fn arn(folder: &Folder) -> String {
    folder.vault(&format!("describe {NAME} --json")).quiet().json()["ARN"].as_str().unwrap().to_owned()
}

#[track_caller]
fn has_members(value: &Value, expected: &[&str]) {
    let found: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut sorted = found;
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "{value}");
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
}

/// Seconds since 1970 of about now: this century, and not milliseconds.
#[track_caller]
fn is_date(value: &Value) {
    let seconds = value.as_f64().unwrap();
    assert!((1_500_000_000.0..5_000_000_000.0).contains(&seconds), "{value}");
}

#[test]
fn init_makes_a_store_and_says_so() {
    let folder = Folder::new();
    let done = folder.run("init --dir vault").ok();
    assert_eq!(done.text(), "made a store in vault\n");
    assert_eq!(folder.vault("list --json").quiet().json(), json!({ "SecretList": [] }));
    folder.run("init --dir vault").fails(4, &["vault", "already"]);
}

#[test]
fn create_shows_where_the_secret_is_and_never_its_value() {
    let folder = Folder::with_store();
    let shown = folder.vault_with("create a", b"canary-1").quiet();
    says(shown.text(), &["arn:aws:secretsmanager:us-east-1:000000000000:secret:a-"]);
    let created = folder.vault_with("create b --json", b"canary-2").quiet().json();
    has_members(&created, &["ARN", "Name", "VersionId"]);
    assert_eq!(created["Name"], "b");
    assert_eq!(created["VersionId"].as_str().unwrap().len(), 36);
    assert!(!shown.text().contains("canary") && !created.to_string().contains("canary"));
}

#[test]
fn create_takes_everything_else_that_is_known_of_a_secret() {
    let folder = Folder::with_store();
    let token = "0123456789abcdef0123456789abcdef";
    let arguments = [
        "create",
        "x",
        "--dir",
        "vault",
        "--description",
        "what it is for",
        "--tag",
        "team=a=b",
        "--tag",
        "empty=",
        "--token",
        token,
        "--json",
    ];
    let created = folder.arguments(&arguments, b"v").quiet().json();
    assert_eq!(created["VersionId"], token);
    assert_eq!(folder.arguments(&arguments, b"v").quiet().json(), created, "a repeated call is harmless");
    folder.arguments(&arguments, b"w").fails(4, &["ResourceExistsException"]);
    let described = folder.vault("describe x --json").quiet().json();
    assert_eq!(described["Description"], "what it is for");
    assert_eq!(described["Tags"], json!([{"Key": "team", "Value": "a=b"}, {"Key": "empty", "Value": ""}]));
}

#[test]
fn create_without_a_value_makes_a_secret_that_has_none() {
    let folder = Folder::with_store();
    let created = folder.vault("create x --no-value --json").quiet().json();
    has_members(&created, &["ARN", "Name"]);
    folder.vault("get x").fails(3, &["AWSCURRENT"]);
    folder.vault_with("put x", b"later").quiet();
    assert_eq!(folder.vault("get x").quiet().stdout, b"later");
}

#[test]
fn get_finds_a_secret_by_name_and_by_arn_and_a_version_by_id_and_by_label() {
    let folder = with_secret();
    let second = folder.vault_with(&format!("put {NAME} --json"), b"second").quiet().json();
    let id = second["VersionId"].as_str().unwrap();
    let arn = arn(&folder);
    let rows = [
        (format!("get {NAME}"), "second"),
        (format!("get {arn}"), "second"),
        (format!("get {NAME} --version-stage AWSPREVIOUS"), "first"),
        (format!("get {NAME} --version-id {id}"), "second"),
        (format!("get {NAME} --version-id {id} --version-stage AWSCURRENT"), "second"),
    ];
    for (line, value) in rows {
        assert_eq!(folder.vault(&line).quiet().text(), value, "{line}");
    }
}

#[test]
fn get_for_programs_has_the_members_of_the_api() {
    let folder = with_secret();
    let text = folder.vault(&format!("get {NAME} --json")).quiet().json();
    has_members(&text, &["ARN", "CreatedDate", "Name", "SecretString", "VersionId", "VersionStages"]);
    assert_eq!(text["SecretString"], "first");
    assert_eq!(text["VersionStages"], json!(["AWSCURRENT"]));
    is_date(&text["CreatedDate"]);
    folder.vault_with("create bytes --binary", b"\0\xff\xfe").quiet();
    let bytes = folder.vault("get bytes --json").quiet().json();
    has_members(&bytes, &["ARN", "CreatedDate", "Name", "SecretBinary", "VersionId", "VersionStages"]);
    assert_eq!(bytes["SecretBinary"], "AP/+");
}

#[test]
fn put_makes_a_new_version_with_the_labels_that_it_is_given() {
    let folder = with_secret();
    let shown = folder.vault_with(&format!("put {NAME}"), b"second").quiet();
    says(shown.text(), &["arn:aws:secretsmanager:", "AWSCURRENT"]);
    let token = "fedcba9876543210fedcba9876543210";
    let line = format!("put {NAME} --version-stage BLUE --version-stage GREEN --token {token} --json");
    let put = folder.vault_with(&line, b"third").quiet().json();
    has_members(&put, &["ARN", "Name", "VersionId", "VersionStages"]);
    assert_eq!((&put["VersionId"], &put["VersionStages"]), (&json!(token), &json!(["BLUE", "GREEN"])));
    assert_eq!(folder.vault(&format!("get {NAME}")).quiet().text(), "second");
    assert_eq!(folder.vault(&format!("get {NAME} --version-stage GREEN")).quiet().text(), "third");
    folder.vault_with(&line, b"fourth").fails(4, &["ResourceExistsException"]);
}

#[test]
fn stage_takes_a_secret_back_to_the_value_before() {
    let folder = with_secret();
    folder.vault_with(&format!("put {NAME}"), b"second").quiet();
    let versions = folder.vault(&format!("versions {NAME} --json")).quiet().json();
    let id = |label: &str| {
        let mut versions = versions["Versions"].as_array().unwrap().iter();
        let found = versions.find(|version| version["VersionStages"].as_array().unwrap().contains(&label.into()));
        found.unwrap()["VersionId"].as_str().unwrap().to_owned()
    };
    let (current, previous) = (id("AWSCURRENT"), id("AWSPREVIOUS"));
    let first = folder.vault(&format!("get {NAME} --version-stage AWSPREVIOUS")).quiet().text().to_owned();
    folder.vault(&format!("stage {NAME} AWSCURRENT --to {previous}")).fails(5, &[&current]);
    let moved =
        folder.vault(&format!("stage {NAME} AWSCURRENT --from {current} --to {previous} --json")).quiet().json();
    has_members(&moved, &["ARN", "Name"]);
    assert_eq!(folder.vault(&format!("get {NAME}")).quiet().text(), first);
    assert_eq!(folder.vault(&format!("get {NAME} --version-stage AWSPREVIOUS")).quiet().text(), "second");
    folder.vault(&format!("stage {NAME} BLUE --to {current}")).quiet();
    assert_eq!(folder.vault(&format!("get {NAME} --version-stage BLUE")).quiet().text(), "second");
    folder.vault(&format!("stage {NAME} BLUE --from {current}")).quiet();
    folder.vault(&format!("get {NAME} --version-stage BLUE")).fails(3, &["BLUE"]);
    folder.vault(&format!("stage {NAME} BLUE")).fails(2, &["--to"]);
}

#[test]
fn update_changes_what_is_known_of_a_secret_and_no_value() {
    let folder = with_secret();
    let before = folder.vault(&format!("versions {NAME} --json")).quiet().json();
    let updated = folder.vault(&format!("update {NAME} --description new --json")).quiet().json();
    has_members(&updated, &["ARN", "Name"]);
    let described = || folder.vault(&format!("describe {NAME} --json")).quiet().json();
    assert_eq!(described()["Description"], "new");
    folder.arguments(&["update", NAME, "--dir", "vault", "--description", ""], b"").quiet();
    assert_eq!(described().get("Description"), None);
    folder.vault(&format!("update {NAME} --kms-key-id alias/none")).fails(6, &["Access to KMS is not allowed", "hint"]);
    folder.vault(&format!("update {NAME}")).fails(2, &["--description"]);
    assert_eq!(folder.vault(&format!("versions {NAME} --json")).quiet().json(), before);
}

#[test]
fn list_shows_every_secret_of_every_page_in_the_order_that_is_asked_for() {
    let folder = Folder::with_store();
    for number in 0..5 {
        folder.vault_with(&format!("create n{number} --description about-{number}"), b"v").quiet();
    }
    let text = folder.vault("list").quiet();
    let lines: Vec<&str> = text.text().lines().collect();
    assert_eq!(lines.len(), 6, "a header and five secrets");
    says(lines[0], &["NAME", "CHANGED", "READ", "VERSIONS", "STATE", "DESCRIPTION"]);
    says(lines[1], &["n0", "about-0", "never", " UTC"]);
    let names = |line: &str| -> Vec<String> {
        let listed = folder.vault(line).quiet().json();
        listed["SecretList"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["Name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("list --json"), ["n0", "n1", "n2", "n3", "n4"]);
    assert_eq!(names("list --json --descending"), ["n4", "n3", "n2", "n1", "n0"]);
    assert_eq!(names("list --json --sort-by created-date --descending"), ["n4", "n3", "n2", "n1", "n0"]);
    assert_eq!(names("list --json --filter description=about-3"), ["n3"]);
    assert_eq!(names("list --json --filter name=n --filter name=!n1"), ["n0", "n2", "n3", "n4"]);
    let first = &folder.vault("list --json").quiet().json()["SecretList"][0];
    has_members(first, &["ARN", "CreatedDate", "Description", "LastChangedDate", "Name", "SecretVersionsToStages"]);
    is_date(&first["LastChangedDate"]);
}

#[test]
fn list_goes_through_all_pages_of_a_large_store() {
    let folder = Folder::with_store();
    let server = crate::server::Server::start(&folder, "");
    for number in 0..105 {
        server.call("CreateSecret", &format!(r#"{{"Name": "many-{number:03}"}}"#)).ok();
    }
    drop(server);
    let listed = folder.vault("list --json").quiet().json();
    has_members(&listed, &["SecretList"]);
    let names: Vec<&str> =
        listed["SecretList"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..105).map(|number| format!("many-{number:03}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn describe_shows_everything_but_values() {
    let folder = with_secret();
    folder.vault(&format!("tag {NAME} team=payments stage=test")).quiet();
    let text = folder.vault(&format!("describe {NAME}")).quiet();
    says(
        text.text(),
        &[NAME, "arn:aws:secretsmanager:", "team=payments", "stage=test", "AWSCURRENT", "Created", " UTC", "KMS key"],
    );
    assert!(!text.text().contains("first"));
    let described = folder.vault(&format!("describe {NAME} --json")).quiet().json();
    has_members(&described, &["ARN", "CreatedDate", "LastChangedDate", "Name", "Tags", "VersionIdsToStages"]);
    assert_eq!(described["VersionIdsToStages"].as_object().unwrap().len(), 1);
    is_date(&described["CreatedDate"]);
}

#[test]
fn versions_shows_those_with_labels_and_all_of_them_if_asked() {
    let folder = with_secret();
    for value in ["second", "third"] {
        folder.vault_with(&format!("put {NAME}"), value.as_bytes()).quiet();
    }
    let text = folder.vault(&format!("versions {NAME}")).quiet();
    says(text.text(), &["VERSION", "CREATED", "READ", "LABELS", "AWSCURRENT", "AWSPREVIOUS"]);
    assert_eq!(text.text().lines().count(), 3);
    let all = folder.vault(&format!("versions {NAME} --include-deprecated --json")).quiet().json();
    has_members(&all, &["ARN", "Name", "Versions"]);
    let versions = all["Versions"].as_array().unwrap();
    assert_eq!(versions.len(), 3);
    let labels: Vec<&Value> = versions.iter().filter_map(|version| version.get("VersionStages")).collect();
    assert_eq!(labels.len(), 2, "{all}");
    for version in versions.iter().filter(|version| version.get("VersionStages").is_some()) {
        has_members(version, &["CreatedDate", "KmsKeyIds", "VersionId", "VersionStages"]);
    }
}

#[test]
fn tag_adds_changes_and_removes() {
    let folder = with_secret();
    let tags = || folder.vault(&format!("describe {NAME} --json")).quiet().json()["Tags"].clone();
    assert_eq!(folder.vault(&format!("tag {NAME} a=1 b=2")).quiet().text(), "");
    assert_eq!(tags(), json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]));
    folder.vault(&format!("tag {NAME} b=3 c=x=y --remove a")).quiet();
    assert_eq!(tags(), json!([{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "x=y"}]));
    folder.vault(&format!("tag {NAME} --remove b --remove c")).quiet();
    assert!(matches!(tags(), Value::Null) || tags() == json!([]), "{}", tags());
}

#[test]
fn delete_can_be_taken_back_until_its_day_unless_it_is_forced() {
    let folder = with_secret();
    says(folder.vault(&format!("delete {NAME}")).quiet().text(), &[NAME, "until", " UTC"]);
    folder.vault(&format!("get {NAME}")).fails(4, &["marked for deletion"]);
    assert_eq!(folder.vault("list --json").quiet().json(), json!({ "SecretList": [] }));
    let listed = folder.vault("list --include-deleted").quiet();
    says(listed.text(), &[NAME, "deletion on "]);
    says(folder.vault(&format!("describe {NAME}")).quiet().text(), &["Deletion on"]);

    says(folder.vault(&format!("restore {NAME}")).quiet().text(), &[NAME]);
    assert_eq!(folder.vault(&format!("get {NAME}")).quiet().text(), "first");
    let deleted = folder.vault(&format!("delete {NAME} --recovery-window 7 --json")).quiet().json();
    has_members(&deleted, &["ARN", "DeletionDate", "Name"]);
    is_date(&deleted["DeletionDate"]);
    let restored = folder.vault(&format!("restore {NAME} --json")).quiet().json();
    has_members(&restored, &["ARN", "Name"]);

    says(folder.vault(&format!("delete {NAME} --force")).quiet().text(), &[NAME, "gone"]);
    folder.vault(&format!("get {NAME}")).fails(3, &["ResourceNotFoundException"]);
    folder.vault(&format!("restore {NAME}")).fails(3, &["ResourceNotFoundException"]);
}

#[test]
fn random_password_needs_no_store_and_keeps_to_what_is_asked() {
    let folder = Folder::new();
    let plain = folder.run("random-password").quiet();
    let password = plain.text().trim_end_matches('\n');
    assert_eq!(password.chars().count(), 32);
    assert_ne!(folder.run("random-password").quiet().stdout, plain.stdout);
    let other = folder.run("random-password --length 4096 --exclude punctuation,uppercase,lowercase --json").quiet();
    has_members(&other.json(), &["RandomPassword"]);
    let digits = other.json()["RandomPassword"].as_str().unwrap().to_owned();
    assert!(digits.len() == 4096 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let picked = folder.arguments(
        &["random-password", "--length", "500", "--exclude", "numbers", "--exclude-characters", "abc", "--any-types"],
        b"",
    );
    assert!(!picked.quiet().text().contains(|c: char| c.is_ascii_digit() || "abc".contains(c)));
    let spaced = folder.run("random-password --length 4096 --include-space").quiet();
    assert!(spaced.text().contains(' '));
    assert!(folder.files().is_empty(), "nothing is left behind");
}

#[test]
fn accounts_and_regions_have_secrets_of_their_own() {
    let folder = Folder::with_store();
    let tenants = ["", "--account 111122223333", "--region eu-west-1", "--account 111122223333 --region eu-west-1"];
    for tenant in tenants {
        folder.vault_with(&format!("create same {tenant}"), tenant.as_bytes().get(2..).unwrap_or(b"none")).quiet();
    }
    for tenant in tenants {
        let value = folder.vault(&format!("get same {tenant}")).quiet();
        assert_eq!(value.stdout, tenant.as_bytes().get(2..).unwrap_or(b"none"), "{tenant}");
        assert_eq!(
            folder.vault(&format!("list --json {tenant}")).quiet().json()["SecretList"].as_array().unwrap().len(),
            1
        );
    }
    let arn = folder.vault("describe same --json --account 111122223333 --region eu-west-1").quiet().json();
    let arn = arn["ARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:eu-west-1:111122223333:secret:same-"), "{arn}");
    folder.vault("get same --account 999999999999").fails(3, &["ResourceNotFoundException"]);
}

#[test]
fn the_environment_stands_in_for_the_options_and_the_options_win() {
    let folder = Folder::with_store();
    folder.run("init --dir other").ok();
    folder.vault_with("create x --account 111122223333 --region eu-west-1", b"from-vault").quiet();
    folder.run_with("create x --dir other", b"from-other").quiet();
    let mut command = folder.command(&["get", "x"]);
    command.env("STRONGROOM_DIR", "vault").env("STRONGROOM_ACCOUNT", "111122223333");
    command.env("STRONGROOM_REGION", "eu-west-1");
    assert_eq!(crate::fixture::run(&mut command, b"").quiet().text(), "from-vault");
    command.args(["--dir", "other", "--account", "000000000000", "--region", "us-east-1"]);
    assert_eq!(crate::fixture::run(&mut command, b"").quiet().text(), "from-other");
}
