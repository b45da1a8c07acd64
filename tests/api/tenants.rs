//! Many accounts and Regions in one store.

use strongroom::{
    CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, GetSecretValueRequest, ListSecretsRequest,
    PutSecretValueRequest, RestoreSecretRequest, SecretsManager, Tag, TagResourceRequest,
};

use crate::fixture::{Fixture, NOT_FOUND, creation, refused, token};

const TENANTS: [(&str, &str, &str); 6] = [
    ("000000000000", "us-east-1", "aws"),
    ("000000000000", "eu-central-1", "aws"),
    ("123456789012", "us-east-1", "aws"),
    ("123456789012", "eu-central-1", "aws"),
    ("123456789012", "cn-north-1", "aws-cn"),
    ("123456789012", "us-gov-west-1", "aws-us-gov"),
];

fn handles(fixture: &Fixture) -> Vec<SecretsManager> {
    TENANTS.iter().map(|(account, region, _)| fixture.store.secrets_manager(account, region).unwrap()).collect()
}

fn read(secrets: &SecretsManager, id: &str) -> String {
    let read = secrets.get_secret_value(GetSecretValueRequest::new(id)).unwrap();
    read.secret_string.unwrap().expose().to_owned()
}

#[test]
fn an_arn_names_the_partition_the_region_and_the_account() {
    let fixture = Fixture::new();
    for (handle, (account, region, partition)) in handles(&fixture).iter().zip(TENANTS) {
        assert_eq!((handle.account(), handle.region()), (account, region));
        let arn = handle.create_secret(creation("db/main", 1)).unwrap().arn;
        let start = format!("arn:{partition}:secretsmanager:{region}:{account}:secret:db/main-");
        assert!(arn.starts_with(&start) && arn.len() == start.len() + 6, "{arn}");
        assert_eq!(handle.describe_secret(DescribeSecretRequest::new("db/main")).unwrap().arn, arn);
    }
}

#[test]
fn the_same_name_and_token_mean_another_secret_in_each_account_and_region() {
    let fixture = Fixture::new();
    let handles = handles(&fixture);
    let mut arns = Vec::new();
    for (n, handle) in handles.iter().enumerate() {
        let request = creation("app", 1).secret_string(format!("of tenant {n}"));
        arns.push(handle.create_secret(request).unwrap().arn);
    }
    for (n, handle) in handles.iter().enumerate() {
        assert_eq!(read(handle, "app"), format!("of tenant {n}"));
        assert_eq!(read(handle, &arns[n]), format!("of tenant {n}"));
        let listed = handle.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
        assert_eq!(listed.iter().map(|entry| &entry.arn).collect::<Vec<_>>(), [&arns[n]]);
        for (_, foreign) in arns.iter().enumerate().filter(|(other, _)| *other != n) {
            let partial = foreign.rsplit_once('-').unwrap().0;
            for id in [foreign.as_str(), partial] {
                refused(handle.get_secret_value(GetSecretValueRequest::new(id)), NOT_FOUND);
                refused(handle.describe_secret(DescribeSecretRequest::new(id)), NOT_FOUND);
                refused(handle.put_secret_value(PutSecretValueRequest::new(id, "stolen")), NOT_FOUND);
                refused(handle.delete_secret(DeleteSecretRequest::new(id)), NOT_FOUND);
            }
        }
    }
    assert_eq!(fixture.store.stats().unwrap().secrets, 6);
}

#[test]
fn what_happens_to_a_secret_happens_to_no_other_tenant() {
    let fixture = Fixture::new();
    let handles = handles(&fixture);
    for handle in &handles {
        handle.create_secret(creation("app", 1)).unwrap();
    }
    let describe = |handle: &SecretsManager| handle.describe_secret(DescribeSecretRequest::new("app")).unwrap();
    let before: Vec<_> = handles.iter().map(describe).collect();

    let put = PutSecretValueRequest::new("app", "changed").client_request_token(token(2));
    handles[0].put_secret_value(put).unwrap();
    handles[0].tag_resource(TagResourceRequest::new("app", [Tag::new("k", "v")])).unwrap();
    handles[1].delete_secret(DeleteSecretRequest::new("app")).unwrap();
    handles[2].delete_secret(DeleteSecretRequest::new("app").force_delete_without_recovery(true)).unwrap();
    // Forced deletion by the ARN of another tenant's secret succeeds, and deletes nothing.
    let foreign = DeleteSecretRequest::new(&before[3].arn).force_delete_without_recovery(true);
    let answer = handles[4].delete_secret(foreign).unwrap();
    assert_eq!((answer.arn, answer.name.as_str()), (before[3].arn.clone(), "app"));

    for n in 3..6 {
        assert_eq!(describe(&handles[n]), before[n]);
        assert_eq!(read(&handles[n], "app"), "value 1");
    }
    assert_eq!(read(&handles[0], "app"), "changed");
    handles[1].restore_secret(RestoreSecretRequest::new("app")).unwrap();
    assert_eq!(read(&handles[1], "app"), "value 1");
    refused(handles[2].describe_secret(DescribeSecretRequest::new("app")), NOT_FOUND);
}

#[test]
fn handles_of_one_tenant_see_the_same_secrets() {
    let fixture = Fixture::with(|builder| builder.account("123456789012").region("eu-central-1"));
    fixture.create("app");
    let same = fixture.store.secrets_manager("123456789012", "eu-central-1").unwrap();
    assert_eq!(read(&same, "app"), "value 1");
    assert_eq!(read(&same.clone(), "app"), "value 1");
    assert_eq!((fixture.secrets.account(), fixture.secrets.region()), ("123456789012", "eu-central-1"));
    let other = fixture.store.secrets_manager("000000000000", "us-east-1").unwrap();
    refused(other.describe_secret(DescribeSecretRequest::new("app")), NOT_FOUND);
    other.create_secret(CreateSecretRequest::new("app")).unwrap();
    assert_eq!(read(&same, "app"), "value 1");
}

#[test]
fn an_account_is_twelve_digits_and_a_region_has_a_place_and_a_number() {
    let fixture = Fixture::new();
    for (account, region) in [
        ("", "us-east-1"),
        ("12345678901", "us-east-1"),
        ("1234567890123", "us-east-1"),
        ("12345678901a", "us-east-1"),
        ("123456789012", ""),
        ("123456789012", "us-east"),
        ("123456789012", "1"),
        ("123456789012", "US-EAST-1"),
        ("123456789012", "us east-1"),
        ("123456789012", "us-east-1:"),
    ] {
        let error = fixture.store.secrets_manager(account, region).unwrap_err();
        assert_eq!(*error.kind(), strongroom::ErrorKind::Configuration, "{account} {region}");
    }
}
