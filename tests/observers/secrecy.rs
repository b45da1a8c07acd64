//! What no record ever contains.

use serde_json::{Value, json};
use strongroom::testing::{ManualClock, SeededEntropy};
use strongroom::{GetRandomPasswordRequest, SecretStore, StaticKey};

use crate::fixture::{START_MILLIS, Seen, call, observed_by};

/// In every value of a secret, in different forms.
const CANARY: &str = "CANARY-7f3a91";
const CANARY_BASE64: &str = "Q0FOQVJZLTdmM2E5MQ==";
const ROTATION_TOKEN: &str = "CANARY-rotation-0123456789-0123456789-0123";

#[test]
fn no_value_no_password_and_no_token_is_in_any_record() {
    let seen = Seen::default();
    let (_store, secrets) = observed_by(seen.clone());
    let mut hidden: Vec<String> = [CANARY, CANARY_BASE64, ROTATION_TOKEN, "CANARY"].map(str::to_owned).to_vec();
    let bytes = format!("{:?}", CANARY.as_bytes());
    hidden.push(bytes.trim_matches(['[', ']']).to_owned());

    let mut calls = 0;
    let mut answers: Vec<Value> = Vec::new();
    let too_long = format!("{CANARY}{}", "x".repeat(70_000));
    for name in ["a", "b", "c"] {
        let creates = [
            json!({"Name": name, "SecretString": CANARY}),
            // Refused: it is there, then for its form, then because two forms are given.
            json!({"Name": name, "SecretString": CANARY}),
            json!({"Name": name, "SecretString": too_long}),
            json!({"Name": "", "SecretBinary": CANARY_BASE64}),
            json!({"Name": "z", "SecretString": CANARY, "SecretBinary": CANARY_BASE64}),
        ];
        for body in creates {
            answers.push(call(&secrets, "CreateSecret", &body.to_string()).1);
            calls += 1;
        }
        let id = json!(name);
        let others = [
            ("PutSecretValue", json!({"SecretId": id, "SecretBinary": CANARY_BASE64, "RotationToken": ROTATION_TOKEN})),
            ("PutSecretValue", json!({"SecretId": id, "SecretString": CANARY, "RotationToken": "CANARY"})),
            ("PutSecretValue", json!({"SecretId": "nope", "SecretString": CANARY, "VersionStages": []})),
            ("UpdateSecret", json!({"SecretId": id, "SecretString": format!("{CANARY}2"), "Description": "d"})),
            ("UpdateSecret", json!({"SecretId": id, "SecretString": too_long})),
            ("GetSecretValue", json!({"SecretId": id})),
            ("GetSecretValue", json!({"SecretId": id, "VersionStage": "AWSPREVIOUS"})),
            ("BatchGetSecretValue", json!({"SecretIdList": [id, "nope"]})),
            ("BatchGetSecretValue", json!({"Filters": [{"Key": "name", "Values": [id]}]})),
        ];
        for (operation, body) in others {
            answers.push(call(&secrets, operation, &body.to_string()).1);
            calls += 1;
        }
    }
    assert!(answers.iter().filter(|answer| answer.to_string().contains(CANARY)).count() >= 9, "nothing was hidden");

    for _ in 0..10 {
        let password = secrets.get_random_password(GetRandomPasswordRequest::new()).unwrap().random_password;
        hidden.push(password.expose().to_owned());
        calls += 1;
    }
    // Page tokens: those that are given out, those that come back, and those that are refused, even with a text that quotes
    // them.
    for (operation, body) in [
        ("ListSecrets", json!({"MaxResults": 1})),
        ("BatchGetSecretValue", json!({"MaxResults": 1, "Filters": [{"Key": "name", "Values": [""]}]})),
        ("ListSecretVersionIds", json!({"SecretId": "a", "MaxResults": 1})),
    ] {
        let (_, page) = call(&secrets, operation, &body.to_string());
        let token = page["NextToken"].as_str().unwrap().to_owned();
        for token in
            [token.clone(), format!("{token}{}", "y".repeat(5_000)), format!("CANARY' at 'x{}", "y".repeat(5_000))]
        {
            let mut next = body.clone();
            next["NextToken"] = json!(token);
            call(&secrets, operation, &next.to_string());
            calls += 1;
        }
        hidden.push(token);
        calls += 1;
    }

    let records = seen.take();
    assert_eq!(records.len(), calls);
    for record in &records {
        let texts = [format!("{record:?}"), serde_json::to_string(record).unwrap()];
        for secret in &hidden {
            assert!(texts.iter().all(|text| !text.contains(secret.as_str())), "{secret} is in {record:?}");
        }
    }
    eprintln!("{calls} calls, {} hidden texts in none of their records", hidden.len());
}

/// Where nobody observes, or somebody does, the store does the same: everything that it makes at random is the same.
#[test]
fn a_seeded_store_behaves_the_same_with_and_without_observers() {
    let run = |seen: Option<Seen>| -> Vec<String> {
        let mut builder = SecretStore::in_memory()
            .key_provider(StaticKey::new([7; 32]))
            .clock(ManualClock::at_millis(START_MILLIS))
            .entropy(SeededEntropy::new(9));
        if let Some(seen) = seen {
            builder = builder.observer(seen.clone()).observer(seen);
        }
        let store = builder.open().unwrap();
        let secrets = store.default_secrets_manager();
        let mut answers = Vec::new();
        for number in 0..20 {
            for (operation, body) in [
                ("CreateSecret", json!({"Name": format!("s{number}"), "SecretString": "v"})),
                ("PutSecretValue", json!({"SecretId": format!("s{number}"), "SecretString": "w"})),
                ("CreateSecret", json!({"Name": "s0", "SecretString": "v"})),
                ("GetRandomPassword", json!({})),
                ("ListSecrets", json!({"MaxResults": 3})),
                ("DescribeSecret", json!({"SecretId": "s0"})),
            ] {
                answers.push(call(&secrets, operation, &body.to_string()).1.to_string());
            }
        }
        answers
    };
    let seen = [Seen::default(), Seen::default()];
    let without = run(None);
    for seen in &seen {
        assert_eq!(run(Some(seen.clone())), without);
    }
    // And what is told is the same too, so that whoever compares runs can compare records.
    let [first, second] = seen.map(|seen| seen.take());
    assert_eq!(first.len(), 2 * without.len());
    assert_eq!(first, second);
}
