//! Secrets with replicas: what a store tells of those that the script wrote, and of some that make no sense inside.

use serde_json::{Value, json};
use strongroom::testing::{ManualClock, fuzzing};
use strongroom::{
    CheckRecords, DescribeSecretRequest, ErrorKind, ExportOptions, GetSecretValueRequest, ListSecretsRequest,
    PutSecretValueRequest, SecretStore, VerifyOptions, VerifyReport,
};

use crate::fixture::{NOW, Records, backend, builder};
use crate::golden::written;
use crate::insider::Insider;

const MAIN: [&str; 2] = ["111122223333", "eu-central-1"];
const REPLICA: [&str; 2] = ["111122223333", "eu-west-1"];
const OTHER: [&str; 2] = ["444455556666", "eu-central-1"];
const PRIMARY_ARN: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:replicated/primary-AbCdEf";
const ACCOUNT_ARN: &str = "arn:aws:secretsmanager:eu-central-1:444455556666:secret:replicated/account-AbCdEf";

fn open(records: &Records, now: i64) -> SecretStore {
    let builder = builder(backend(records), 2).clock(ManualClock::at_millis(now));
    builder.check_records(CheckRecords::Always).open().unwrap()
}

/// A secret, as a line of an export has it.
fn exported(store: &SecretStore, name: &str) -> Value {
    let mut lines = Vec::new();
    store.export_plaintext(&mut lines, &ExportOptions::new(), &mut |_| {}).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let secrets = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    secrets.into_iter().find(|secret| secret["Name"] == name).unwrap()
}

fn verified(store: &SecretStore) -> VerifyReport {
    store.verify(VerifyOptions::new(), &mut |_| {}).unwrap()
}

#[test]
fn what_only_an_export_tells_of_replicas_is_what_the_script_wrote() {
    let (records, _) = written("v1/written_by_script.json");
    let store = open(&records, NOW);
    let role = "arn:aws:iam::111122223333:role/replicates";
    for (name, member, expected) in [
        ("replicated/account", "CrossAccountPrimary", json!({"PrimarySecretARN": PRIMARY_ARN})),
        (
            "replicated/waits",
            "CrossAccountPrimary",
            json!({"PrimarySecretARN": PRIMARY_ARN, "ReplicationStatus": "Pending"}),
        ),
        (
            "replicated/scheduled",
            "CrossAccountReplicas",
            json!([{
                "ReplicaSecretARN": ACCOUNT_ARN,
                "ReplicaRestriction": "SameOrg",
                "ReplicationStatus": "Detached",
            }]),
        ),
    ] {
        assert_eq!(exported(&store, name)[member], expected, "{name}");
    }
    let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
    let described = manager.describe_secret(DescribeSecretRequest::new("replicated/primary")).unwrap();
    assert_eq!(described.cross_account_replicas.unwrap()[0].replication_role_arn.as_deref(), Some(role));
}

/// What is due of a store that the script wrote is due for the engine, too: the replicas that can be made are then there.
#[test]
fn a_replication_that_the_script_wrote_goes_on_when_it_is_due() {
    let (records, _) = written("v1/written_by_script.json");
    for (now, expected) in [
        (NOW + 119_999, ["InSync", "Failed", "InProgress", "Failed"]),
        // What was refused to somebody waits for somebody who asks.
        (NOW + 120_000, ["InSync", "Failed", "InSync", "Failed"]),
        (NOW + 3_600_000, ["InSync", "InSync", "InSync", "Failed"]),
    ] {
        let store = open(&records, now);
        store.maintain().unwrap();
        let manager = store.secrets_manager(MAIN[0], MAIN[1]).unwrap();
        let described = manager.describe_secret(DescribeSecretRequest::new("replicated/primary")).unwrap();
        let regions = described.replication_status.unwrap().into_iter().map(|told| told.status);
        let accounts = described.cross_account_replicas.unwrap().into_iter().map(|told| told.replication_status);
        let statuses: Vec<_> = regions.chain(accounts).map(|status| status.as_str()).collect();
        assert_eq!(statuses, expected, "after {} ms", now - NOW);
        if now == NOW + 3_600_000 {
            manager.put_secret_value(PutSecretValueRequest::new("replicated/primary", "new")).unwrap();
            for (account, region, name) in [
                ("111122223333", "eu-west-1", "replicated/primary"),
                ("111122223333", "eu-west-2", "replicated/primary"),
                ("111122223333", "us-west-2", "replicated/primary"),
                ("444455556666", "eu-central-1", "replicated/account"),
            ] {
                let replica = store.secrets_manager(account, region).unwrap();
                let read = replica.get_secret_value(GetSecretValueRequest::new(name)).unwrap();
                assert_eq!(read.secret_string.unwrap().expose(), "new", "{account} {region}");
            }
        }
        assert!(verified(&store).is_clean(), "{:?}", verified(&store).findings);
    }
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).ok().filter(|length| *length <= 250).unwrap()], text.as_bytes()].concat()
}

fn list(entries: &[Vec<u8>]) -> Vec<u8> {
    [vec![u8::try_from(entries.len()).unwrap()], entries.concat()].concat()
}

/// Links, as `docs/FORMAT.md` writes them.
fn links(regions: &[Vec<u8>], accounts: &[Vec<u8>], primary: &[u8]) -> Vec<u8> {
    [list(regions), list(accounts), primary.to_vec()].concat()
}

/// Under the default key, with nothing due.
fn region(region: &str, status: u8) -> Vec<u8> {
    [text(region), vec![0, 0, 0, status, 0, 0, 0]].concat()
}

fn account(status: u8) -> Vec<u8> {
    [text(ACCOUNT_ARN), vec![0, 1, status, 0, 0, 0]].concat()
}

fn primary(status: u8) -> Vec<u8> {
    [vec![1], text(PRIMARY_ARN), vec![status, 0]].concat()
}

/// The store of the script, of which a secret has other bytes, once, behind the beginning of its record.
fn forged(tenant: [&str; 2], name: &str, before: &[u8], after: &[u8]) -> SecretStore {
    let (records, _) = written("v1/written_by_script.json");
    let insider = Insider::of(&records);
    let key = insider.secret(tenant, name);
    let plain = insider.open(&records, &key);
    let mut places = plain.windows(before.len()).enumerate().filter(|(_, window)| *window == before);
    let place = places.next().expect("it has those bytes").0;
    assert!(places.next().is_none(), "{name}");
    let changed = [&plain[..place], after, &plain[place + before.len()..]].concat();
    let mut forged = records.clone();
    forged.insert(key.clone(), insider.replace(&records, &key, &changed));
    open(&insider.with_right_head(forged), NOW)
}

/// The replica of another account that waits for its primary, with these links.
fn waiting(links_: &[u8]) -> SecretStore {
    forged(OTHER, "replicated/waits", &links(&[], &[], &primary(4)), links_)
}

#[test]
fn replicas_that_contradict_each_other_are_found_and_harm_nothing() {
    let primary_region = [vec![1], text("eu-central-1")].concat();
    let own = [primary_region.as_slice(), &links(&[], &[], &[0])].concat();
    let replica =
        |links: Vec<u8>| forged(REPLICA, "replicated/much", &own, &[primary_region.as_slice(), &links].concat());
    let (ireland, london) = (region("eu-west-1", 1), region("eu-west-2", 2));
    let (a_replica, own_region) = ("it is a replica, and has replicas of its own", "replicated to its own Region");
    let rows = [
        ("as it should be", waiting(&links(&[ireland.clone(), london.clone()], &[account(5)], &[0])), None),
        (
            "a Region twice",
            waiting(&links(&[ireland.clone(), london.clone(), region("eu-west-1", 2)], &[], &[0])),
            Some("replicated to the Region eu-west-1 twice"),
        ),
        ("its own Region", waiting(&links(&[london.clone(), region("eu-central-1", 1)], &[], &[0])), Some(own_region)),
        ("in two accounts and with a replica", waiting(&links(&[], &[account(1)], &primary(1))), Some(a_replica)),
        (
            "in two accounts and in a Region",
            waiting(&links(std::slice::from_ref(&ireland), &[], &primary(4))),
            Some(a_replica),
        ),
        ("in two Regions and with a third", replica(links(&[london], &[], &[0])), Some(a_replica)),
        ("in two Regions and with an account", replica(links(&[], &[account(2)], &[0])), Some(a_replica)),
    ];
    for (what, store, expected) in rows {
        let findings = verified(&store).findings;
        let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
        match expected {
            Some(expected) => assert!(texts.iter().any(|text| text.contains(expected)), "{what}: {texts:?}"),
            None => assert!(texts.is_empty(), "{what}: {texts:?}"),
        }
        for ([account, region], name) in [(OTHER, "replicated/waits"), (REPLICA, "replicated/much")] {
            let manager = store.secrets_manager(account, region).unwrap();
            manager.describe_secret(DescribeSecretRequest::new(name)).unwrap();
            manager.list_secrets(ListSecretsRequest::new()).unwrap();
            let put = manager.put_secret_value(PutSecretValueRequest::new(name, "new")).map(drop);
            put.unwrap_or_else(|error| assert_eq!(error.code(), "InvalidParameterException", "{what}: {error}"));
        }
        store.maintain().unwrap();
        exported(&store, "replicated/much");
    }
}

#[test]
fn replicas_that_are_none_are_corrupted() {
    let ireland = region("eu-west-1", 1);
    let rows = [
        ("a Region with an unknown status", links(&[region("eu-west-1", 0)], &[], &[0])),
        ("an account with an unknown status", links(&[], &[account(6)], &[0])),
        ("a primary with an unknown status", links(&[], &[], &primary(6))),
        ("a primary neither there nor not", links(&[], &[], &[2])),
        ("more Regions than there are", [vec![2], ireland.clone(), vec![0, 0]].concat()),
        ("fewer Regions than there are", [vec![1], ireland.clone(), ireland.clone(), vec![0, 0]].concat()),
        ("Regions without end", [vec![253], vec![255; 8], ireland, vec![0, 0]].concat()),
        ("a Region that is no text", links(&[[vec![1, 0xff], vec![0, 0, 1, 0, 0, 0]].concat()], &[], &[0])),
        ("more failures than can be counted", {
            links(&[[text("eu-west-1"), vec![0, 0, 1, 0, 0, 253, 0, 0, 0, 1, 0, 0, 0, 0]].concat()], &[], &[0])
        }),
    ];
    for (what, links) in rows {
        let store = waiting(&links);
        let manager = store.secrets_manager(OTHER[0], OTHER[1]).unwrap();
        let error = manager.describe_secret(DescribeSecretRequest::new("replicated/waits")).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Corrupted, "{what}");
    }
}

/// Whatever becomes of a byte, the record is read as something that is written as the same thing, or is refused.
#[test]
fn every_changed_byte_of_a_secret_with_replicas_is_read_or_refused() {
    let (records, _) = written("v1/written_by_script.json");
    let insider = Insider::of(&records);
    let (mut read, mut refused) = (0, 0);
    for (tenant, name) in [(MAIN, "replicated/primary"), (OTHER, "replicated/account"), (OTHER, "replicated/waits")] {
        let plain = insider.open(&records, &insider.secret(tenant, name));
        for at in 0..plain.len() {
            for byte in [0, 1, 2, 5, 6, 127, 250, 251, 252, 253, 254, 255] {
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
    eprintln!("changed bytes of secrets with replicas: {read} read, {refused} refused");
}
