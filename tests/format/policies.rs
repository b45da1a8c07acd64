//! Secrets with policies: names out of order, and documents that are none, by somebody who has the store's keys.

use strongroom::testing::fuzzing;
use strongroom::{
    CheckRecords, DescribeSecretRequest, ErrorKind, ExportOptions, GetResourcePolicyRequest, ImportOptions,
    PutResourcePolicyRequest, SecretStore, VerifyOptions,
};

use crate::fixture::{Records, backend, builder};
use crate::golden::written;
use crate::insider::Insider;

const MAIN: [&str; 2] = ["111122223333", "eu-central-1"];
const NAME: &str = "governed/by-service";

/// Names and documents, as `docs/FORMAT.md` writes them. No document here has more than 250 bytes.
fn list(policies: &[(&str, &str)]) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).ok().filter(|length| *length <= 250).unwrap();
    let text = |text: &str| [&[length(text)], text.as_bytes()].concat();
    let pairs = policies.iter().map(|(name, document)| [text(name), text(document)].concat());
    [vec![u8::try_from(policies.len()).unwrap()], pairs.collect::<Vec<_>>().concat()].concat()
}

/// The store of the script, of which the secret without versions has other policies.
fn forged(policies: &[u8]) -> SecretStore {
    let (records, _): (Records, _) = written("v1/written_by_script.json");
    let insider = Insider::of(&records);
    let key = insider.secret(MAIN, NAME);
    let plain = insider.open(&records, &key);
    let deny = r#"{"Version": "2012-10-17","Statement": [{"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:Delete*", "Resource": "*"}]}"#;
    let before = list(&[("CrossAccount", deny)]);
    let place = plain.windows(before.len()).position(|window| window == before).expect("it has that policy");
    let changed = [&plain[..place], policies, &plain[place + before.len()..]].concat();
    let mut forged = records.clone();
    forged.insert(key.clone(), insider.replace(&records, &key, &changed));
    let records = insider.with_right_head(forged);
    builder(backend(&records), 2).check_records(CheckRecords::Always).open().unwrap()
}

#[test]
fn policies_that_are_there_twice_or_out_of_order_are_corrupted() {
    for (what, policies, is_read) in [
        ("in order", list(&[("default", "1"), ("A", "2"), ("a", "3"), ("b", "4")]), true),
        ("none", list(&[]), true),
        ("one without a name", list(&[("", "1")]), true),
        ("the default one twice", list(&[("default", "1"), ("default", "1")]), false),
        ("another one twice", list(&[("default", "1"), ("a", "2"), ("a", "2")]), false),
        ("the default one behind another", list(&[("a", "1"), ("default", "2")]), false),
        ("backwards", list(&[("b", "1"), ("a", "2")]), false),
        ("fewer than there are", [&[3], &list(&[("a", "1"), ("b", "2")])[1..]].concat(), false),
        ("more than there are", [&[1], &list(&[("a", "1"), ("b", "2")])[1..]].concat(), false),
        (
            "as many as can be counted",
            [&[253, 255, 255, 255, 255, 255, 255, 255, 255], &list(&[])[1..]].concat(),
            false,
        ),
        ("a name that is no text", vec![1, 1, 0xff, 0], false),
    ] {
        let store = forged(&policies);
        let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
        let described = manager.describe_secret(DescribeSecretRequest::new(NAME));
        match described {
            Ok(_) => assert!(is_read, "{what}: read"),
            Err(error) => assert!(!is_read && *error.kind() == ErrorKind::Corrupted, "{what}: {error:?}"),
        }
    }
}

/// Such a policy was never attached by any call. It harms nothing, goes into no other store, and can be replaced.
#[test]
fn a_stored_document_that_is_no_policy_is_shown_as_it_is_and_imported_by_nobody() {
    let store = forged(&list(&[("default", "no policy\n")]));
    let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
    let found = manager.get_resource_policy(GetResourcePolicyRequest::new(NAME)).unwrap();
    assert_eq!(found.resource_policy.as_deref(), Some("no policy\n"));
    assert!(store.verify(VerifyOptions::new(), &mut |_| {}).unwrap().is_clean());
    let moved = || {
        let mut lines = Vec::new();
        store.export_plaintext(&mut lines, &ExportOptions::new().only(MAIN[0], MAIN[1]), &mut |_| {}).unwrap();
        let other = builder(backend(&Records::new()), 3).open().unwrap();
        other.import_plaintext(&mut std::io::Cursor::new(lines), &ImportOptions::new(), &mut |_| {})
    };
    let error = moved().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::BackupFile);
    assert!(error.to_string().contains("the policy default is not a resource policy"), "{error}");
    let policy = r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}}"#;
    manager.put_resource_policy(PutResourcePolicyRequest::new(NAME, policy)).unwrap();
    assert!(moved().unwrap().created > 1);
}

/// Whatever becomes of a byte, the record is read as something that is written as the same thing, or is refused.
#[test]
fn every_changed_byte_of_a_secret_with_policies_is_read_or_refused() {
    let (records, _) = written("v1/written_by_script.json");
    let insider = Insider::of(&records);
    let (mut read, mut refused) = (0, 0);
    for name in ["governed/by-many", NAME] {
        let plain = insider.open(&records, &insider.secret(MAIN, name));
        for at in 0..plain.len() {
            for byte in [0, 1, 2, b'A', b'z', 127, 250, 251, 252, 253, 254, 255] {
                let mut changed = plain.clone();
                changed[at] = byte;
                if fuzzing::decode_record("secret", &changed) {
                    assert!(fuzzing::encode_again("secret", &changed).is_some(), "{name}, byte {at}: {byte}");
                    read += 1;
                } else {
                    refused += 1;
                }
            }
            assert!(!fuzzing::decode_record("secret", &plain[..at]), "{name}, {at} bytes");
        }
    }
    assert!(read > 1_000 && refused > 1_000);
    eprintln!("changed bytes of secrets with policies: {read} read, {refused} refused");
}
