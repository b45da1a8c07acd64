//! Rotation from the shell, and of a server, where nobody does the work: stores are furnished through the library, with a
//! function that the command does not have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use serde_json::{Value, json};
use strongroom::testing::ManualClock;
use strongroom::{
    CancelRotateSecretRequest, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, Durability,
    LocalKeyring, OpenMode, PutSecretValueRequest, RotateSecretRequest, RotationCall, RotationError, RotationFunction,
    RotationRules, RotationStep, SecretStore, SecretsManager, Timestamp, UpdateSecretVersionStageRequest,
};

use crate::fixture::{Folder, Outcome, until};
use crate::server::Server;

pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotate-db";
const UNKNOWN: &str = "No rotation function is registered for arn:aws:lambda:us-east-1:000000000000:function:rotate-db";

/// Long gone, so that whatever is due then is due for the command.
const PAST: &str = "2020-01-15T12:00:00Z";
/// So late that nothing is due before.
const FUTURE: &str = "2090-01-15T12:00:00Z";

/// Makes the version current and does nothing else, or refuses if it is told to.
#[derive(Debug, Clone, Default)]
struct Renew {
    refuses: Arc<AtomicBool>,
}

impl RotationFunction for Renew {
    fn invoke(&self, call: &RotationCall) -> Result<(), RotationError> {
        let (secrets, id, token) = (&call.secrets, call.secret_id.as_str(), call.client_request_token.as_str());
        if self.refuses.load(Ordering::Relaxed) {
            return Err("not \u{1b}[31mtoday".into());
        }
        match call.step {
            RotationStep::CreateSecret => {
                let put = PutSecretValueRequest::new(id, "renewed").client_request_token(token);
                secrets.put_secret_value(put.version_stages(["AWSPENDING"]))?;
            }
            RotationStep::FinishSecret => {
                let stages = secrets.describe_secret(DescribeSecretRequest::new(id))?.version_ids_to_stages;
                let is_current = |labels: &Vec<String>| labels.contains(&"AWSCURRENT".to_owned());
                let (current, _) = stages.unwrap().into_iter().find(|(_, labels)| is_current(labels)).unwrap();
                let finish = UpdateSecretVersionStageRequest::new(id, "AWSCURRENT").move_to_version_id(token);
                secrets.update_secret_version_stage(finish.remove_from_version_id(current))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A token that is told apart by its number.
pub(crate) fn token(number: u32) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

/// Works on the store `vault` with a function and a clock.
pub(crate) fn furnish(folder: &Folder, work: impl FnOnce(&SecretStore, &SecretsManager, &ManualClock, &AtomicBool)) {
    let (clock, function) = (ManualClock::new(at(PAST)), Renew::default());
    let keyring = LocalKeyring::open(folder.join("vault.keyring")).unwrap();
    let builder = SecretStore::builder(folder.join("vault")).key_provider(keyring).mode(OpenMode::OpenExisting);
    let builder = builder.clock(clock.clone()).durability(Durability::Eventual);
    let store = builder.rotation_function(FUNCTION, function.clone()).open().unwrap();
    work(&store, &store.default_secrets_manager(), &clock, &function.refuses);
    store.close().unwrap();
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn begin(secrets: &SecretsManager, name: &str, number: u32, rules: Option<RotationRules>) {
    let create = CreateSecretRequest::new(name).secret_string("v").client_request_token(token(number));
    secrets.create_secret(create).unwrap();
    let mut rotate = RotateSecretRequest::new(name).rotation_lambda_arn(FUNCTION);
    rotate.rotation_rules = rules;
    secrets.rotate_secret(rotate.client_request_token(token(number + 1))).unwrap();
}

/// `given-up`: five attempts failed, and there is no schedule. Its rotation has token 11.
fn give_up(folder: &Folder) {
    furnish(folder, |store, secrets, clock, refuses| {
        refuses.store(true, Ordering::Relaxed);
        begin(secrets, "given-up", 10, None);
        for attempt in 1..=5 {
            assert_eq!(store.maintain().unwrap().failed_rotations, 1, "attempt {attempt}");
            clock.advance(TimeDelta::minutes(8));
        }
        assert_eq!(store.maintain().unwrap().failed_rotations, 0);
    });
}

/// One secret for every state that a rotation can be in.
fn furnished() -> Folder {
    let folder = Folder::with_store();
    give_up(&folder);
    furnish(&folder, |store, secrets, clock, refuses| {
        secrets.create_secret(CreateSecretRequest::new("plain").secret_string("v")).unwrap();
        begin(secrets, "off", 20, None);
        assert_eq!(store.maintain().unwrap().rotated_secrets, 1);
        secrets.cancel_rotate_secret(CancelRotateSecretRequest::new("off")).unwrap();

        clock.set(at(FUTURE));
        begin(secrets, "weekly", 30, Some(RotationRules::new().automatically_after_days(7).duration("3h")));
        let evenings = RotationRules::new().schedule_expression("cron(0 18 1 * ? *)");
        begin(secrets, "nightly", 40, Some(evenings));
        assert_eq!(store.maintain().unwrap().rotated_secrets, 2);

        clock.set(at(PAST));
        secrets.create_secret(CreateSecretRequest::new("gone").secret_string("v")).unwrap();
        secrets.delete_secret(DeleteSecretRequest::new("gone").recovery_window_in_days(7)).unwrap();
        refuses.store(true, Ordering::Relaxed);
        begin(secrets, "retried", 50, None);
        assert_eq!(store.maintain().unwrap().failed_rotations, 1);
    });
    folder
}

/// The rows of a table, as the texts that are in their columns.
fn rows(printed: &Outcome) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    printed.text().lines().map(cells).collect()
}

fn failure(date: &str) -> String {
    format!(r"{date}: Error when executing lambda {FUNCTION} during createSecret step: not \u{{1b}}[31mtoday")
}

#[test]
fn the_status_lists_every_secret_whose_rotation_was_configured() {
    let folder = furnished();
    let listed = folder.vault("rotation status").quiet();
    let (given_up, retried) = (failure("2020-01-15 12:32:00 UTC"), failure("2020-01-15 12:00:00 UTC"));
    let expected: [&[&str]; 6] = [
        &["NAME", "ENABLED", "FUNCTION", "SCHEDULE", "LAST", "NEXT WINDOW", "ATTEMPTS", "NEXT ATTEMPT", "LAST FAILURE"],
        &["given-up", "yes", "rotate-db", "on demand", "never", "5", "none", &given_up],
        &["nightly", "yes", "rotate-db", "cron(0 18 1 * ? *)", "2090-01-15 12:00:00 UTC", "2090-02-01 18:00 UTC, 6h"],
        &["off", "no", "rotate-db", "on demand", "2020-01-15 12:00:00 UTC"],
        &["retried", "yes", "rotate-db", "on demand", "never", "1", "2020-01-15 12:01:00 UTC", &retried],
        &["weekly", "yes", "rotate-db", "every 7 days for 3h", "2090-01-15 12:00:00 UTC", "2090-01-22 00:00 UTC, 3h"],
    ];
    assert_eq!(rows(&listed), expected);

    let listed = folder.vault("rotation status --json").quiet().json();
    let listed = listed["Rotations"].as_array().unwrap();
    assert_eq!(listed.len(), 5);
    let elsewhere = folder.vault("rotation status --json --region eu-central-1").quiet().json();
    assert_eq!(elsewhere, json!({ "Rotations": [] }));
    let weekly = json!({
        "ARN": folder.vault("describe weekly --json").quiet().json()["ARN"],
        "Name": "weekly",
        "RotationEnabled": true,
        "RotationLambdaARN": FUNCTION,
        "RotationRules": { "AutomaticallyAfterDays": 7, "Duration": "3h" },
        "LastRotatedDate": at(FUTURE).timestamp(),
        "NextWindow": {
            "StartDate": at("2090-01-22T00:00:00Z").timestamp(),
            "EndDate": at("2090-01-22T03:00:00Z").timestamp(),
        },
    });
    assert_eq!(listed[4], weekly);
    let one =
        folder.arguments(&["rotation", "status", weekly["ARN"].as_str().unwrap(), "--json", "--dir", "vault"], b"");
    assert_eq!(one.quiet().json(), weekly);
    let retried = json!({
        "VersionId": token(51),
        "IsTest": false,
        "Attempts": 1,
        "NextAttemptDate": at("2020-01-15T12:01:00Z").timestamp(),
        "LastFailureDate": at(PAST).timestamp(),
        "LastFailureReason": format!("Error when executing lambda {FUNCTION} during createSecret step: not \u{1b}[31mtoday"),
    });
    assert_eq!(listed[3]["InProgress"], retried);
}

#[test]
fn the_status_of_one_secret_tells_all_of_it() {
    let folder = furnished();
    let told: Vec<(String, String)> =
        folder.vault("rotation status retried").quiet().text().lines().map(split).collect();
    let arn = folder.vault("describe retried --json").quiet().json()["ARN"].as_str().unwrap().to_owned();
    let (version, last_failure) = (token(51), failure("2020-01-15 12:00:00 UTC"));
    let expected = [
        ("Name", "retried"),
        ("ARN", &arn),
        ("Enabled", "yes"),
        ("Function", FUNCTION),
        ("Schedule", "on demand"),
        ("Last rotated", "never"),
        ("In progress", &version),
        ("Attempts", "1"),
        ("Next attempt", "2020-01-15 12:01:00 UTC"),
        ("Last failure", &last_failure),
    ];
    assert_eq!(told, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));

    let plain = folder.vault("rotation status plain").quiet();
    assert_eq!(plain.text(), "rotation was never configured for plain\n");
    assert_eq!(folder.vault("rotation status plain --json").quiet().json(), Value::Null);
    folder.vault("rotation status absent").fails(3, &["ResourceNotFoundException"]);
    folder.arguments(&["rotation", "status", "", "--dir", "vault"], b"").fails(5, &["secretId"]);
}

/// A name and what stands behind it, which may contain single spaces both.
pub(crate) fn split(line: &str) -> (String, String) {
    let (name, text) = line.split_once("  ").unwrap();
    (name.trim().to_owned(), text.trim().to_owned())
}

#[test]
fn maintain_does_what_is_due_and_its_exit_code_tells_a_failed_rotation() {
    let folder = furnished();
    let done = folder.vault("maintain");
    assert_eq!(done.code, Some(9), "{done:?}");
    let secret = "error: 1 rotation failed: arn:aws:secretsmanager:us-east-1:000000000000:secret:retried-";
    assert!(done.stderr.starts_with(secret), "{}", done.stderr);
    let reason = format!(": {UNKNOWN}\nhint: `strongroom rotation status` says ");
    assert!(done.stderr.contains(&reason), "{}", done.stderr);
    let told: Vec<(String, String)> = done.text().lines().map(split).collect();
    let counts = [
        ("Purged", "1 secret"),
        ("Removed", "0 versions"),
        ("Rotated", "0 secrets"),
        ("Tested", "0 functions"),
        ("Replicated", "0 secrets"),
        ("Failed", "1 rotation"),
    ];
    assert_eq!(told[..6], counts.map(|(name, text)| (name.to_owned(), text.to_owned())));

    let status = folder.vault("rotation status retried --json").quiet().json();
    let progress = &status["InProgress"];
    assert_eq!((&progress["Attempts"], &progress["LastFailureReason"]), (&json!(2), &json!(UNKNOWN)));
    let wait = progress["NextAttemptDate"].as_f64().unwrap() - progress["LastFailureDate"].as_f64().unwrap();
    assert!((wait - 120.0).abs() < 0.01, "the second wait is twice the first: {wait}");

    let again = folder.vault("maintain").quiet();
    assert!(again.text().contains("Failed      0 rotations"), "it is not due yet: {again:?}");
    let next = folder.vault("maintain --json").quiet().json();
    let idle = json!({
        "purged_secrets": 0,
        "removed_versions": 0,
        "rotated_secrets": 0,
        "tested_rotations": 0,
        "failed_rotations": 0,
        "replicated_secrets": 0,
        "failed_replications": 0,
        "next_due_at": progress["NextAttemptDate"],
    });
    assert_eq!(next, idle);
    let nothing = Folder::with_store();
    assert!(nothing.vault("maintain").quiet().text().ends_with("Next        nothing is scheduled\n"));
    nothing.run("maintain --dir nowhere").fails(3, &["no store in `", "init"]);
}

#[test]
fn a_rotation_that_cannot_begin_says_why_and_stores_nothing() {
    let folder = furnished();
    folder.vault("delete off").quiet();
    let schedule = |expression| vec!["plain", "--function", FUNCTION, "--schedule", expression];
    let elsewhere = "arn:aws:lambda:eu-central-1:000000000000:function:rotate-db";
    let (used, taken) = (token(30), token(31));
    let rows: [(Vec<&str>, i32, &[&str]); 17] = [
        (
            vec!["plain", "--function", FUNCTION],
            9,
            &["AccessDeniedException", FUNCTION, "hint: ", "--rotation-command", "--lambda-endpoint", "library"],
        ),
        (vec!["plain", "--function", FUNCTION, "--no-run-now"], 9, &["AccessDeniedException", FUNCTION]),
        (vec!["plain"], 4, &["No Lambda rotation function ARN", "hint: --function ARN"]),
        (vec!["plain", "--function", "rotate-db"], 5, &["Invalid rotation Lambda ARN"]),
        (vec!["plain", "--function", elsewhere], 5, &["Invalid rotation Lambda ARN"]),
        (vec!["plain", "--function", FUNCTION, "--every-days", "0"], 5, &["automaticallyAfterDays"]),
        (vec!["plain", "--function", FUNCTION, "--every-days", "1001"], 5, &["automaticallyAfterDays"]),
        (schedule("rate(3 hours)"), 5, &["Rate in hour"]),
        (schedule("weekly"), 5, &["Invalid schedule expression"]),
        (schedule("\u{1f511}"), 5, &["scheduleExpression"]),
        (vec!["plain", "--function", FUNCTION, "--duration", "3 hours"], 5, &["duration"]),
        (vec!["plain", "--function", FUNCTION, "--token", "short"], 5, &["clientRequestToken"]),
        (vec!["absent", "--function", FUNCTION], 3, &["ResourceNotFoundException"]),
        (vec!["off"], 4, &["marked for deletion"]),
        (vec!["retried"], 4, &["A previous rotation isn't complete", "rotation status", "rotation cancel"]),
        (vec!["weekly", "--token", &used], 4, &["ClientRequestToken", &used]),
        (vec!["weekly", "--token", &taken], 4, &["ClientRequestToken", &taken]),
    ];
    let before = folder.vault("rotation status --json").quiet();
    for (arguments, code, named) in rows {
        let whole = [&["rotate"], arguments.as_slice(), &["--dir", "vault"]].concat();
        folder.arguments(&whole, b"").fails(code, named);
    }
    assert_eq!(folder.vault("rotation status --json").quiet().text(), before.text());

    for line in [
        "rotate --dir vault",
        "rotate plain --every-days 3 --schedule rate(3) --dir vault",
        "rotate plain --every-days soon --dir vault",
        "rotate plain off --dir vault",
        "rotation --dir vault",
        "rotation cancel --dir vault",
        "rotation status a b --dir vault",
        "maintain plain --dir vault",
        "maintain --dir vault --account 000000000000",
    ] {
        let refused = folder.run(line);
        assert_eq!((refused.code, refused.text()), (Some(2), ""), "{line}: {refused:?}");
    }
}

#[test]
fn a_rotation_that_was_given_up_is_taken_up_again_by_its_token_and_its_failure_is_told() {
    let folder = Folder::with_store();
    give_up(&folder);
    let line = format!("rotate given-up --token {}", token(11));
    let done = folder.vault(&line);
    assert_eq!(done.code, Some(9), "{done:?}");
    let error =
        format!("error: given-up was not rotated: {UNKNOWN}\nhint: `strongroom maintain` tries it again, from ");
    assert!(done.stderr.starts_with(&error), "{done:?}");
    let told: Vec<(String, String)> = done.text().lines().map(split).collect();
    assert_eq!(told[1..], [("Version", token(11)), ("Rotation", "failed".to_owned())].map(|(a, b)| (a.to_owned(), b)));
    let status = folder.vault("rotation status given-up --json").quiet().json();
    assert_eq!(status["InProgress"]["Attempts"], 1);
    // What is waiting for its next attempt is not begun twice.
    let again = folder.vault(&format!("{line} --json"));
    assert_eq!((again.code, &again.json()["VersionId"]), (Some(9), &json!(token(11))));
    assert_eq!(folder.vault("rotation status given-up --json").quiet().json(), status);
}

#[test]
fn a_cancelled_rotation_leaves_its_version_and_everything_else_as_it_was() {
    let folder = furnished();
    let done = folder.vault("rotation cancel retried").quiet();
    assert_eq!(done.text(), format!("retried is not rotated any more\nAWSPENDING is still on version {}\n", token(51)));
    let status = folder.vault("rotation status retried --json").quiet().json();
    assert_eq!((&status["RotationEnabled"], &status["RotationLambdaARN"]), (&json!(false), &json!(FUNCTION)));
    assert!(status.get("InProgress").is_none(), "{status}");
    assert_eq!(folder.vault("rotation cancel retried").quiet().text(), "retried is not rotated any more\n");
    let weekly = folder.vault("rotation cancel weekly --json").quiet().json();
    assert_eq!((&weekly["Name"], weekly.get("VersionId")), (&json!("weekly"), None));
    folder.vault("rotation cancel plain").fails(4, &["No Lambda rotation function ARN is associated"]);
    folder.vault("rotation cancel absent").fails(3, &["ResourceNotFoundException"]);
    // As the help says.
    folder.vault(&format!("stage retried AWSPENDING --from {}", token(51))).quiet();
    folder.vault("rotate retried").fails(9, &["AccessDeniedException"]);
    assert_eq!(folder.vault("maintain").quiet().code, Some(0), "nothing is left that could fail");
}

/// What a server does about a rotation that was asked for, and how often it has tried.
fn tried(server: &Server) -> usize {
    server.log().lines().filter(|line| line.contains("maintained") && line.contains("failed_rotations=1")).count()
}

fn resume(server: &Server) {
    let body = json!({ "SecretId": "given-up", "ClientRequestToken": token(11) });
    assert_eq!(server.call("RotateSecret", &body.to_string()).ok().json()["VersionId"], token(11));
}

#[test]
fn a_rotation_that_was_asked_for_is_made_at_once_whatever_the_interval_is() {
    for options in ["--maintain-every 0", "--maintain-every 86400", "--admin", ""] {
        let folder = Folder::with_store();
        give_up(&folder);
        let mut server = Server::start(&folder, options);
        resume(&server);
        until("the rotation", || tried(&server) == 1);
        // It waits for its next attempt now, and asking again does not hasten that.
        resume(&server);
        server.stop();
        assert_eq!(tried(&server), 1, "{options}: {}", server.log());
        let status = folder.vault("rotation status given-up --json").quiet().json();
        assert_eq!(status["InProgress"]["Attempts"], 1, "{options}");
        assert_eq!(status["InProgress"]["LastFailureReason"], UNKNOWN, "{options}");
    }
}

#[test]
fn a_further_attempt_is_made_when_it_is_due_and_not_only_after_the_interval() {
    let folder = Folder::with_store();
    give_up(&folder);
    let mut server = Server::start(&folder, "--admin --maintain-every 86400");
    resume(&server);
    until("the first attempt", || tried(&server) == 1);
    // Just before the second one, so that it is the server's own thread that finds it due.
    server.admin("clock", Some(r#"{"advance_seconds": 58.5}"#)).ok();
    until("the second attempt", || tried(&server) == 2);
    // And when the clock is moved beyond the time of the third.
    server.admin("clock", Some(r#"{"advance_seconds": 121}"#)).ok();
    until("the third attempt", || tried(&server) == 3);
    server.stop();
}

#[test]
fn without_maintenance_of_its_own_a_server_tries_again_when_it_is_told() {
    let folder = Folder::with_store();
    give_up(&folder);
    let server = Server::start(&folder, "--admin");
    resume(&server);
    until("the first attempt", || tried(&server) == 1);
    server.admin("clock", Some(r#"{"advance_seconds": 61}"#)).ok();
    let done = server.admin("maintain", Some("{}")).ok().json();
    assert_eq!((&done["failed_rotations"], &done["rotated_secrets"]), (&json!(1), &json!(0)));
    assert!(done["next_due_at"].is_f64() && done["tested_rotations"] == 0, "{done}");
    let again = server.admin("maintain", Some("{}")).ok().json();
    assert_eq!(again["failed_rotations"], 0);
    assert_eq!(server.admin("maintain", Some(r#"{"all": true}"#)).status, 400);
}

#[test]
fn a_reset_and_maintenance_do_not_get_into_each_others_way() {
    let folder = Folder::with_store();
    let server = Server::start(&folder, "--admin --maintain-every 1");
    std::thread::scope(|scope| {
        let maintaining = scope.spawn(|| {
            for _ in 0..20 {
                server.admin("maintain", Some("{}")).ok();
            }
        });
        for _ in 0..5 {
            server.admin("reset", Some("{}")).ok();
        }
        maintaining.join().unwrap();
    });
    assert!(server.is_well());
}
