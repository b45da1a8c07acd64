//! Policies go wherever their secret goes: over a restart, into backups and exports, and under other keys.

use std::path::Path;

use strongroom::testing::SeededEntropy;
use strongroom::{
    Builder, ConflictReason, CreateSecretRequest, DeleteResourcePolicyRequest, ErrorKind, ExportOptions, ImportOptions,
    KeyOptions, PutResourcePolicyRequest, SecretStore, StaticKey, VerifyOptions,
};

use crate::fixture::{Fixture, allow, policy_of};

fn builder(directory: &Path) -> Builder {
    SecretStore::builder(directory).key_provider(StaticKey::new([7; 32]))
}

/// Two policies, one with characters of several bytes and white space, and a secret without one.
fn filled(directory: &Path) -> SecretStore {
    let store = builder(directory).open().unwrap();
    let secrets = store.default_secrets_manager();
    for (name, policy) in policies() {
        secrets.create_secret(CreateSecretRequest::new(name).secret_string("v")).unwrap();
        if let Some(policy) = policy {
            secrets.put_resource_policy(PutResourcePolicyRequest::new(name, policy)).unwrap();
        }
    }
    store
}

fn policies() -> [(&'static str, Option<String>); 3] {
    let odd = allow("*").replacen('{', "\n\t{\"Id\": \"größer, 秘密, 🔑\",\r\n ", 1) + "\n\n";
    [("app", Some(allow("111122223333"))), ("none", None), ("odd", Some(odd))]
}

#[track_caller]
fn check(store: &SecretStore) {
    let secrets = store.default_secrets_manager();
    for (name, policy) in policies() {
        assert_eq!(policy_of(&secrets, name), policy, "{name}");
    }
    assert!(store.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
}

#[test]
fn policies_are_there_when_the_store_is_opened_again() {
    let place = tempfile::tempdir().unwrap();
    let store = filled(&place.path().join("store"));
    check(&store);
    store.close().unwrap();
    let store = builder(&place.path().join("store")).open().unwrap();
    check(&store);
    let secrets = store.default_secrets_manager();
    secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("app")).unwrap();
    store.close().unwrap();
    let store = builder(&place.path().join("store")).open().unwrap();
    assert_eq!(policy_of(&store.default_secrets_manager(), "app"), None);
}

#[test]
fn policies_survive_new_keys_compaction_backup_and_salvage() {
    let place = tempfile::tempdir().unwrap();
    let [path, copy, restored, salvaged] =
        ["store", "copy", "restored", "salvaged"].map(|name| place.path().join(name));
    let store = filled(&path);
    store.rewrap(&KeyOptions::new(), &mut |_| {}).unwrap();
    store.reencrypt(&KeyOptions::new(), &mut |_| {}).unwrap();
    store.rotate_root_key(&mut |_| {}).unwrap();
    check(&store);
    store.backup(&copy, &mut |_| {}).unwrap();
    store.close().unwrap();
    builder(&path).compact(&mut |_| {}).unwrap();
    check(&builder(&path).open().unwrap());
    check(&builder(&restored).restore(&copy, &mut |_| {}).unwrap());
    let (store, report) = builder(&salvaged).salvage(&path, None, &mut |_| {}).unwrap();
    assert_eq!(report.secrets, 3);
    check(&store);
}

fn lines(store: &SecretStore) -> String {
    let mut lines = Vec::new();
    store.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| {}).unwrap();
    String::from_utf8(lines).unwrap()
}

/// The same in an order of their own: secrets are exported in none.
fn sorted(store: &SecretStore) -> Vec<String> {
    let mut lines: Vec<String> = lines(store).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn policies_are_exported_and_imported_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let source = filled(&place.path().join("source"));
    let file = place.path().join("export");
    source.export(&file, &StaticKey::new([9; 32]), &ExportOptions::new(), &mut |_| {}).unwrap();
    let encrypted = builder(&place.path().join("encrypted")).entropy(SeededEntropy::new(3)).open().unwrap();
    let plain = builder(&place.path().join("plain")).open().unwrap();
    for again in [false, true] {
        let import = |report: strongroom::ImportReport| {
            assert_eq!((report.created, report.unchanged), if again { (0, 3) } else { (3, 0) });
        };
        import(encrypted.import(&file, &StaticKey::new([9; 32]), &ImportOptions::new(), &mut |_| {}).unwrap());
        let mut input = std::io::Cursor::new(lines(&source));
        import(plain.import_plaintext(&mut input, &ImportOptions::new(), &mut |_| {}).unwrap());
        check(&encrypted);
        check(&plain);
    }
    assert_eq!(sorted(&encrypted), sorted(&source));
    assert_eq!(sorted(&plain), sorted(&source));

    // A policy that was changed, or lost, is a conflict that is named.
    let secrets = encrypted.default_secrets_manager();
    secrets.put_resource_policy(PutResourcePolicyRequest::new("none", allow("*"))).unwrap();
    secrets.delete_resource_policy(DeleteResourcePolicyRequest::new("odd")).unwrap();
    let report = encrypted.import(&file, &StaticKey::new([9; 32]), &ImportOptions::new(), &mut |_| {}).unwrap();
    assert_eq!((report.created, report.unchanged), (0, 1));
    let differs = report.conflicts.iter().map(|conflict| (conflict.name.as_str(), conflict.reason));
    let expected = [("none", ConflictReason::Differs("Policies")), ("odd", ConflictReason::Differs("Policies"))];
    let mut differs: Vec<_> = differs.collect();
    differs.sort_by_key(|(name, _)| *name);
    assert_eq!(differs, expected);
}

#[test]
fn a_line_of_an_export_names_its_policies_as_the_api_does() {
    let fixture = Fixture::empty();
    fixture.import(&["b", "a"]).unwrap();
    fixture.secrets.put_resource_policy(PutResourcePolicyRequest::new("shared", allow("*"))).unwrap();
    fixture.secrets.create_secret(CreateSecretRequest::new("without")).unwrap();
    let lines = lines(&fixture.store);
    let exported: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |name: &str| exported.iter().find(|line| line["Name"] == name).unwrap();
    let expected = serde_json::json!([
        {"PolicyName": "default", "ResourcePolicy": allow("*")},
        {"PolicyName": "a", "ResourcePolicy": allow("111122223333")},
        {"PolicyName": "b", "ResourcePolicy": allow("111122223333")},
    ]);
    assert_eq!(find("shared")["Policies"], expected);
    assert_eq!(find("without").get("Policies"), None);
}

#[test]
fn an_export_with_policies_that_nobody_could_have_attached_is_refused() {
    let policy = |name: &str, text: &str| serde_json::json!({"PolicyName": name, "ResourcePolicy": text});
    let good = allow("111122223333");
    let many: Vec<_> = (0..101).map(|number| policy(&format!("p{number}"), &good)).collect();
    let list = |policies: &[serde_json::Value]| serde_json::json!(policies);
    for (what, policies, told) in [
        (
            "no policy",
            list(&[policy("default", "{}")]),
            "the policy default is not a resource policy: line 1, column 1",
        ),
        ("a broken one among good ones", list(&[policy("a", &good), policy("b", "[")]), "the policy b is not"),
        ("an unsupported principal", list(&[policy("default", &allow("alice"))]), "the principal is not supported"),
        (
            "too long",
            list(&[policy("default", &format!("{good}{}", " ".repeat(20_480)))]),
            "more than 20480 characters",
        ),
        ("an empty name", list(&[policy("", &good)]), "the name of a policy"),
        ("a name with a space", list(&[policy("a b", &good)]), "the name of a policy"),
        ("a long name", list(&[policy(&"n".repeat(65), &good)]), "the name of a policy"),
        ("a name twice", list(&[policy("a", &good), policy("a", &good)]), "a policy is there twice"),
        (
            "the default one twice",
            list(&[policy("default", &good), policy("default", &good)]),
            "a policy is there twice",
        ),
        ("too many", list(&many), "of the wrong type"),
        ("a member more", serde_json::json!([{"PolicyName": "a", "ResourcePolicy": good, "Id": 1}]), "is not known"),
        ("no text", serde_json::json!([{"PolicyName": "a"}]), "missing"),
        ("not a list", serde_json::json!({"default": good}), "of the wrong type"),
    ] {
        let fixture = Fixture::empty();
        let before = fixture.epoch();
        let error = fixture.import_policies(&policies).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::BackupFile, "{what}: {error:?}");
        assert!(error.to_string().contains(told), "{what}: {error}");
        assert_eq!(fixture.epoch(), before, "{what}");
    }
    // None, and any order.
    for policies in [list(&[]), serde_json::Value::Null, list(&[policy("z", &good), policy("default", &good)])] {
        assert_eq!(Fixture::empty().import_policies(&policies).unwrap().created, 1, "{policies}");
    }
}
