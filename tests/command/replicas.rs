//! Replicas from the shell: in other Regions, in another account, and those that a server leaves for later.

use serde_json::{Value, json};

use crate::fixture::{Folder, Outcome, until};
use crate::server::Server;

const OTHER_ACCOUNT: &str = "444455556666";
const NO_KEY: &str = "Replication failed: Access to KMS is not allowed";

/// The rows of a table, as the texts that are in their columns.
fn rows(printed: &Outcome) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    printed.text().lines().map(cells).collect()
}

/// With a store `vault` and a secret `db` with the value `first`.
fn with_secret() -> Folder {
    let folder = Folder::with_store();
    folder.vault_with("create db", b"first").quiet();
    folder
}

fn described(folder: &Folder, line: &str) -> Value {
    folder.vault(&format!("describe {line} --json")).quiet().json()
}

fn arn(folder: &Folder, line: &str) -> String {
    described(folder, line)["ARN"].as_str().unwrap().to_owned()
}

#[track_caller]
fn reads(folder: &Folder, line: &str, value: &str) {
    assert_eq!(folder.vault(&format!("get {line}")).quiet().text(), value, "{line}");
}

/// Region and status of every replica, as the list for programs has them.
fn statuses(folder: &Folder, name: &str) -> Vec<(String, String)> {
    let listed = folder.vault(&format!("replicas list {name} --json")).quiet().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let replicas = listed["ReplicationStatus"].as_array().unwrap().iter();
    replicas.map(|replica| (text(&replica["Region"]), text(&replica["Status"]))).collect()
}

#[test]
fn a_secret_has_replicas_that_follow_it_until_they_are_removed() {
    let folder = with_secret();
    let added = folder.vault("replicas add db eu-west-1 ap-south-1").quiet();
    assert!(added.text().contains("eu-west-1  InSync") && added.text().contains("ap-south-1  InSync"), "{added:?}");
    reads(&folder, "db --region eu-west-1", "first");
    folder.vault_with("put db", b"second").quiet();
    reads(&folder, "db --region ap-south-1", "second");
    let refused = folder.vault_with("put db --region eu-west-1", b"third");
    refused.fails(5, &["InvalidParameterException", "primary secret's region"]);
    folder.vault("delete db").fails(5, &["eu-west-1, ap-south-1"]);

    let removed = folder.vault("replicas remove db eu-west-1 sa-east-1 --json").quiet().json();
    assert_eq!(removed["ReplicationStatus"].as_array().map(Vec::len), Some(1), "{removed}");
    folder.vault("get db --region eu-west-1").fails(3, &["ResourceNotFoundException"]);
    let removed = folder.vault("replicas remove db ap-south-1").quiet();
    assert_eq!(removed.text(), format!("ARN  {}\n", arn(&folder, "db")));
    folder.vault("delete db --force").quiet();
}

#[test]
fn create_makes_replicas_under_the_keys_that_it_is_given() {
    let folder = Folder::with_store();
    folder.vault("keys create --alias alias/app --region eu-west-1").quiet();
    let line = "create db --replica-region eu-west-1=alias/app --replica-region eu-central-1 --json";
    let created = folder.vault_with(line, b"v").quiet().json();
    let in_sync = |region: &str, key: &str| json!({ "Region": region, "KmsKeyId": key, "Status": "InSync" });
    let expected = json!([in_sync("eu-west-1", "alias/app"), in_sync("eu-central-1", "alias/aws/secretsmanager")]);
    assert_eq!(created["ReplicationStatus"], expected);
    let replica = described(&folder, "db --region eu-west-1");
    assert_eq!((&replica["KmsKeyId"], &replica["PrimaryRegion"]), (&json!("alias/app"), &json!("us-east-1")));
    let of_the_primary = created["ARN"].as_str().unwrap();
    assert_eq!(replica["ARN"].as_str().unwrap(), of_the_primary.replace("us-east-1", "eu-west-1"));
    let shown = folder.vault_with("create shown --replica-region eu-west-1", b"v").quiet();
    assert!(shown.text().ends_with("\nReplicas  eu-west-1  InSync\n"), "{shown:?}");

    folder.vault_with("create alone", b"v").quiet();
    for (filter, expected) in [("us-east-1", vec!["db", "shown"]), ("eu-west-1", Vec::new())] {
        for region in ["us-east-1", "eu-west-1"] {
            let line = format!("list --filter primary-region={filter} --region {region} --json");
            let listed = folder.vault(&line).quiet().json();
            let names: Vec<&str> =
                listed["SecretList"].as_array().unwrap().iter().map(|entry| entry["Name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{line}");
        }
    }
}

#[test]
fn the_list_tells_key_status_last_day_of_access_and_why_a_replica_failed() {
    let folder = with_secret();
    let added = folder.vault("replicas add db eu-west-1 eu-central-1=alias/none").ok();
    assert_eq!(added.stderr, format!("warning: the replica eu-central-1 is Failed: {NO_KEY}\n"));
    let read = folder.vault("get db --region eu-west-1 --json").quiet();
    assert_eq!(read.json()["SecretString"], "first");
    let today = described(&folder, "db --region eu-west-1")["LastAccessedDate"].clone();

    let listed = folder.vault("replicas list db").quiet();
    let listed = rows(&listed);
    assert_eq!(listed[0], ["REGION", "KEY", "STATUS", "LAST READ", "MESSAGE"]);
    assert_eq!(listed[1][..3], ["eu-west-1", "alias/aws/secretsmanager", "InSync"]);
    assert_eq!(listed[2], ["eu-central-1", "alias/none", "Failed", "never", NO_KEY]);
    assert_eq!(listed.len(), 3);
    let expected = json!({
        "ARN": arn(&folder, "db"),
        "Name": "db",
        "PrimaryRegion": "us-east-1",
        "ReplicationStatus": [
            {
                "Region": "eu-west-1",
                "KmsKeyId": "alias/aws/secretsmanager",
                "Status": "InSync",
                "LastAccessedDate": today,
            },
            { "Region": "eu-central-1", "KmsKeyId": "alias/none", "Status": "Failed", "StatusMessage": NO_KEY },
        ],
        "CrossAccountReplicas": [],
    });
    assert_eq!(folder.vault("replicas list db --json").quiet().json(), expected);
    let shown = folder.vault("describe db").quiet();
    let lines = ["Primary Region  us-east-1", "Replicas        eu-west-1  InSync", &format!("Failed: {NO_KEY}")];
    for line in lines {
        assert!(shown.text().contains(line), "`{line}` is missing: {}", shown.text());
    }

    // What was missing is there now, and the same call tries it again.
    folder.vault("keys create --alias alias/none --region eu-central-1").quiet();
    folder.vault("replicas add db eu-central-1").quiet();
    reads(&folder, "db --region eu-central-1", "first");

    folder.vault_with("create alone", b"v").quiet();
    let said = [
        ("db --region eu-west-1", "db is a replica, its primary is in us-east-1\n"),
        ("alone", "alone has no replicas\n"),
    ];
    for (line, text) in said {
        assert_eq!(folder.vault(&format!("replicas list {line}")).quiet().text(), text);
    }
}

#[test]
fn a_secret_that_is_in_the_way_is_replaced_only_if_that_is_said() {
    let folder = Folder::with_store();
    for region in ["eu-west-1", "eu-central-1"] {
        folder.vault_with(&format!("create db --region {region}"), b"theirs").quiet();
    }
    let created = folder.vault_with("create db --replica-region eu-west-1", b"ours").ok();
    assert!(created.stderr.starts_with("warning: the replica eu-west-1 is Failed: "), "{created:?}");
    reads(&folder, "db --region eu-west-1", "theirs");
    folder.vault("replicas add db eu-west-1 eu-central-1").ok();
    let failed = |region: &str| (region.to_owned(), "Failed".to_owned());
    assert_eq!(statuses(&folder, "db"), [failed("eu-west-1"), failed("eu-central-1")]);
    folder.vault("replicas add db eu-west-1 --overwrite").ok();
    reads(&folder, "db --region eu-west-1", "ours");
    reads(&folder, "db --region eu-central-1", "theirs");

    folder.vault_with("create other --region eu-west-1", b"theirs").quiet();
    folder.vault_with("create other --replica-region eu-west-1 --overwrite-replicas", b"ours").quiet();
    reads(&folder, "other --region eu-west-1", "ours");
}

#[test]
fn a_promoted_replica_is_a_secret_of_its_own() {
    let folder = with_secret();
    folder.vault("replicas add db eu-west-1 ap-south-1").quiet();
    let replica = arn(&folder, "db --region eu-west-1");
    let promoted = folder.vault("replicas promote db --region eu-west-1").quiet();
    assert_eq!(promoted.text(), format!("ARN  {replica}\n"));
    let promoted = folder.vault("replicas promote db --region ap-south-1 --json").quiet().json();
    assert_eq!(promoted, json!({ "ARN": arn(&folder, "db --region ap-south-1") }));
    assert_eq!(folder.vault("replicas list db").quiet().text(), "db has no replicas\n");
    folder.vault_with("put db --region eu-west-1", b"its own").quiet();
    reads(&folder, "db --region eu-west-1", "its own");
    reads(&folder, "db", "first");
    let again = folder.vault("replicas promote db --region eu-west-1");
    again.fails(4, &["InvalidRequestException"]);
}

#[test]
fn a_replica_in_another_account_follows_once_both_accounts_have_agreed() {
    let folder = with_secret();
    let primary = arn(&folder, "db");
    let theirs = format!("copy --account {OTHER_ACCOUNT}");
    folder.vault(&format!("keys create --alias alias/shared --account {OTHER_ACCOUNT}")).quiet();
    folder.vault(&format!("create {theirs} --kms-key-id alias/shared --cross-account-primary {primary}")).quiet();
    let waiting = folder.vault(&format!("replicas list {theirs}")).quiet();
    assert_eq!(waiting.text(), format!("copy is a replica of {primary}, Pending\n"));

    let replica = arn(&folder, &theirs);
    let role = "arn:aws:iam::000000000000:role/replicate";
    let line = format!("replicas associate db {replica} --role {role} --any-organization");
    let associated = folder.vault(&line).quiet();
    assert_eq!(associated.text(), format!("ARN      {primary}\nReplica  {replica}  InSync\n"));
    folder.vault_with("put db", b"second").quiet();
    reads(&folder, &theirs, "second");
    folder.vault_with(&format!("put {theirs}"), b"v").fails(5, &["cross-account replica"]);

    folder.vault("replicas add db eu-west-1").quiet();
    let listed = rows(&folder.vault("replicas list db").quiet());
    let in_sync = [replica.as_str(), "InSync", role].map(str::to_owned).to_vec();
    assert_eq!(listed[3..], [["REPLICA", "STATUS", "ROLE", "MESSAGE"].map(str::to_owned).to_vec(), in_sync]);
    let entry = json!([{ "ReplicaSecretARN": replica, "ReplicationRoleARN": role, "ReplicationStatus": "InSync" }]);
    let listed = folder.vault("replicas list db --json").quiet().json();
    assert_eq!(listed["CrossAccountReplicas"], entry);
    let listed = folder.vault(&format!("replicas list {theirs} --json")).quiet().json();
    assert_eq!(listed["CrossAccountPrimary"], json!({ "PrimarySecretARN": primary, "ReplicationStatus": "InSync" }));
    for (line, text) in [("db", format!("{replica}  InSync")), (theirs.as_str(), format!("{primary}  InSync"))] {
        let shown = folder.vault(&format!("describe {line}")).quiet();
        assert!(shown.text().contains(&text), "`{text}` is missing: {}", shown.text());
    }

    let ended = folder.vault(&format!("replicas disassociate db {replica}")).quiet();
    assert_eq!(ended.text(), format!("ARN                      {primary}\nNo longer replicated to  {replica}\n"));
    let left = folder.vault(&format!("replicas list {theirs}")).quiet();
    assert_eq!(left.text(), format!("copy is a replica of {primary}, Detached\n"));
    folder.vault(&format!("replicas promote {theirs}")).quiet();
    folder.vault_with(&format!("put {theirs}"), b"its own").quiet();
    reads(&folder, "db", "second");
}

#[test]
fn a_replica_in_another_account_whose_key_is_disabled_is_told_with_the_reason() {
    let folder = with_secret();
    let primary = arn(&folder, "db");
    let theirs = format!("copy --account {OTHER_ACCOUNT}");
    folder.vault(&format!("keys create --alias alias/shared --account {OTHER_ACCOUNT}")).quiet();
    folder.vault(&format!("create {theirs} --kms-key-id alias/shared --cross-account-primary {primary}")).quiet();
    folder.vault(&format!("keys disable alias/shared --account {OTHER_ACCOUNT}")).quiet();
    let replica = arn(&folder, &theirs);
    let associated = folder.vault(&format!("replicas associate db {replica} --json")).ok();
    assert_eq!(associated.json()["ReplicationStatus"], "Failed");
    let told = format!("warning: the replica {replica} is Failed: Replication failed: ");
    assert!(
        associated.stderr.starts_with(&told) && associated.stderr.contains("the KMS key of the replica"),
        "{associated:?}"
    );
    folder.vault(&format!("keys enable alias/shared --account {OTHER_ACCOUNT}")).quiet();
    folder.vault(&format!("replicas associate db {replica}")).quiet();
    reads(&folder, &theirs, "first");
}

#[test]
fn regions_that_aws_does_not_have_are_taken_if_they_are_named() {
    let folder = with_secret();
    let lines = ["replicas add db mars-1", "create new --replica-region mars-1"];
    for line in lines {
        folder.vault_with(line, b"v").fails(5, &["Invalid replica region."]);
        folder.vault_with(&format!("{line} --also-region mars-1"), b"v").quiet();
    }
    reads(&folder, "db --region mars-1", "first");
    folder.vault_with("put db", b"second").quiet();
    reads(&folder, "db --region mars-1", "second");
    folder.vault("replicas remove db mars-1").quiet();
    let body = r#"{"SecretId": "db", "AddReplicaRegions": [{"Region": "mars-1"}]}"#;
    for (options, status) in [("", 400), ("--also-region venus-1 --also-region mars-1", 200)] {
        let mut server = Server::start(&folder, options);
        assert_eq!(server.call("ReplicateSecretToRegions", body).status, status, "{options}");
        server.stop();
    }
}

#[test]
fn a_server_that_defers_replication_leaves_replicas_in_progress_until_it_is_maintained() {
    let folder = with_secret();
    let server = Server::start(&folder, "--admin --deferred-replication");
    let status = || {
        let described = server.call("DescribeSecret", r#"{"SecretId": "db"}"#).ok().json();
        described["ReplicationStatus"][0]["Status"].as_str().unwrap().to_owned()
    };
    let body = r#"{"SecretId": "db", "AddReplicaRegions": [{"Region": "eu-west-1"}]}"#;
    let begun = server.call("ReplicateSecretToRegions", body).ok().json();
    assert_eq!(begun["ReplicationStatus"][0]["Status"], "InProgress");
    assert_eq!(status(), "InProgress");
    let done = server.admin("maintain", Some("{}")).ok().json();
    assert_eq!((&done["replicated_secrets"], &done["failed_replications"]), (&json!(1), &json!(0)), "{done}");
    assert_eq!(status(), "InSync");
    server.call("PutSecretValue", r#"{"SecretId": "db", "SecretString": "second"}"#).ok();
    assert_eq!(status(), "InProgress");
    drop(server);

    // Without a server to wait for, the command line does what is due.
    let done = folder.vault("maintain").quiet();
    assert!(done.text().contains("\nReplicated  1 secret\n"), "{done:?}");
    reads(&folder, "db --region eu-west-1", "second");
}

#[test]
fn a_server_that_maintains_itself_brings_deferred_replicas_up_to_date_soon() {
    let folder = with_secret();
    folder.vault("replicas add db eu-west-1").quiet();
    let mut server = Server::start(&folder, "--maintain-every 86400 --deferred-replication");
    let put = server.call("PutSecretValue", r#"{"SecretId": "db", "SecretString": "second"}"#);
    assert_eq!(put.status, 200);
    until("the replication", || {
        let described = server.call("DescribeSecret", r#"{"SecretId": "db"}"#).ok().json();
        described["ReplicationStatus"][0]["Status"] == "InSync"
    });
    // Its word for a replica that is in sync may come before that is durable, which ends with a kill.
    server.stop();
    reads(&folder, "db --region eu-west-1", "second");
}

#[test]
fn maintain_warns_of_replicas_that_it_could_not_bring_up_to_date_and_its_exit_code_is_0() {
    let folder = with_secret();
    folder.vault("keys create --alias alias/app --region eu-west-1").quiet();
    let mut server = Server::start(&folder, "--admin --deferred-replication");
    let body = r#"{"SecretId": "db", "AddReplicaRegions": [{"Region": "eu-west-1", "KmsKeyId": "alias/app"}]}"#;
    server.call("ReplicateSecretToRegions", body).ok();
    server.stop();
    folder.vault("keys disable alias/app --region eu-west-1").quiet();
    let done = folder.vault("maintain").ok();
    assert!(done.stderr.starts_with("warning: 1 replication failed; `strongroom replicas list` "), "{done:?}");
    for line in ["Replicated  0 secrets", "Failed      0 rotations\n            1 replication\n"] {
        assert!(done.text().contains(line), "`{line}` is missing: {done:?}");
    }
    assert!(!done.text().contains("nothing is scheduled"), "it is tried again: {done:?}");
    assert_eq!(statuses(&folder, "db"), [("eu-west-1".to_owned(), "Failed".to_owned())]);
}

#[test]
fn wrong_usage_of_replicas_is_told_before_anything_is_opened() {
    let folder = Folder::new();
    let lines = [
        "replicas",
        "replicas add db",
        "replicas add db eu-west-1=",
        "replicas add db =alias/app",
        "replicas remove db",
        "replicas list",
        "replicas associate db",
        "replicas promote db eu-west-1",
        "create db --replica-region",
        "create db --overwrite-replicas",
        "create db --cross-account-primary arn:aws:secretsmanager:us-east-1:000000000000:secret:db-abcdef",
        "create db --cross-account-primary x --kms-key-id alias/a --replica-region eu-west-1",
        "create db --cross-account-primary x --kms-key-id alias/a --value-file -",
    ];
    for line in lines {
        let refused = folder.vault(line);
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
        assert!(refused.stderr.contains("--help"), "{line}: {refused:?}");
    }
    assert!(folder.files().is_empty());
}
