//! Calls on somebody's behalf: what is allowed, what is refused and how, within an account and across accounts.

use strongroom::wire::dispatch;
use strongroom::{
    BatchGetSecretValueRequest, Caller, CreateSecretRequest, DeleteSecretRequest, DescribeSecretRequest, ErrorKind,
    Filter, FilterKey, GetRandomPasswordRequest, GetResourcePolicyRequest, ListSecretVersionIdsRequest,
    ListSecretsRequest, Principal, PutResourcePolicyRequest, PutSecretValueRequest, RestoreSecretRequest, Tag,
    TagResourceRequest, UntagResourceRequest, UpdateSecretRequest, ValidateResourcePolicyRequest,
};

use crate::people::{
    OTHER, OWN, allow, attach, caller, create, is_denied, is_refusal, own, principal, read, statement, store, user,
};

/// Every operation with a body that is good enough to be asked for.
const OPERATIONS: [(&str, &str); 26] = [
    (
        "AssociateCrossAccountReplica",
        r#"{"SecretId": "db", "CrossAccountReplicaARN": "arn:aws:secretsmanager:us-east-1:444455556666:secret:copy-AbCdEf"}"#,
    ),
    ("BatchGetSecretValue", r#"{"SecretIdList": ["db"]}"#),
    ("CancelRotateSecret", r#"{"SecretId": "db"}"#),
    ("CreateSecret", r#"{"Name": "new"}"#),
    ("DeleteResourcePolicy", r#"{"SecretId": "db"}"#),
    ("DeleteSecret", r#"{"SecretId": "db"}"#),
    ("DescribeSecret", r#"{"SecretId": "db"}"#),
    (
        "DisassociateCrossAccountReplica",
        r#"{"SecretId": "db", "CrossAccountReplicaARN": "arn:aws:secretsmanager:us-east-1:444455556666:secret:copy-AbCdEf"}"#,
    ),
    ("GetRandomPassword", "{}"),
    ("GetResourcePolicy", r#"{"SecretId": "db"}"#),
    ("GetSecretValue", r#"{"SecretId": "db"}"#),
    ("ListResourcePolicies", r#"{"SecretId": "db"}"#),
    ("ListSecretVersionIds", r#"{"SecretId": "db"}"#),
    ("ListSecrets", "{}"),
    (
        "PutResourcePolicy",
        r#"{"SecretId": "db", "ResourcePolicy": "{\"Statement\": {\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"111122223333\"}, \"Action\": \"*\", \"Resource\": \"*\"}}"}"#,
    ),
    ("PutSecretValue", r#"{"SecretId": "db", "SecretString": "v2"}"#),
    ("RemoveRegionsFromReplication", r#"{"SecretId": "db", "RemoveReplicaRegions": ["eu-west-1"]}"#),
    ("ReplicateSecretToRegions", r#"{"SecretId": "db", "AddReplicaRegions": [{"Region": "eu-west-1"}]}"#),
    ("RestoreSecret", r#"{"SecretId": "db"}"#),
    ("RotateSecret", r#"{"SecretId": "db"}"#),
    ("StopReplicationToReplica", r#"{"SecretId": "db"}"#),
    ("TagResource", r#"{"SecretId": "db", "Tags": [{"Key": "k", "Value": "v"}]}"#),
    ("UntagResource", r#"{"SecretId": "db", "TagKeys": ["k"]}"#),
    ("UpdateSecret", r#"{"SecretId": "db", "Description": "d"}"#),
    (
        "UpdateSecretVersionStage",
        r#"{"SecretId": "db", "VersionStage": "X", "MoveToVersionId": "11111111111111111111111111111111"}"#,
    ),
    (
        "ValidateResourcePolicy",
        r#"{"ResourcePolicy": "{\"Statement\": {\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"111122223333\"}, \"Action\": \"*\", \"Resource\": \"*\"}}"}"#,
    ),
];

#[test]
fn every_operation_is_refused_unless_its_own_action_is_allowed() {
    for (operation, body) in OPERATIONS {
        let (store, _) = store();
        let secrets = own(&store);
        create(&secrets, "db");
        let target = format!("secretsmanager.{operation}");
        let is_denied = |caller: Caller| is_refusal(&dispatch(&secrets.as_caller(caller), &target, body.as_bytes()));
        let alice = || user(OWN, "alice");
        assert!(is_denied(caller(alice(), &[])), "{operation}");
        let others = format!(r#"{{"Effect": "Allow", "NotAction": "secretsmanager:{operation}", "Resource": "*"}}"#);
        assert!(is_denied(caller(alice(), &[&others])), "{operation}");
        let denied = allow("*");
        let deny = format!(r#"{{"Effect": "Deny", "Action": "SECRETSMANAGER:{operation}", "Resource": "*"}}"#);
        assert!(is_denied(caller(alice(), &[&denied, &deny])), "{operation}");
        let only = allow(&format!("secretsmanager:{operation}"));
        assert!(!is_denied(caller(alice(), &[&only])), "{operation}");
    }
}

#[test]
fn without_a_caller_no_policy_is_asked() {
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    attach(&secrets, "db", &[&statement("Deny", r#""*""#, "secretsmanager:GetSecretValue", "")]);
    assert_eq!(read(&secrets, "db").unwrap(), "s3cret");
    let root = caller(principal(&format!("arn:aws:iam::{OWN}:root")), &[]);
    assert!(is_denied(&read(&secrets.as_caller(root), &arn)), "not even for the root of the account");
}

#[test]
fn what_is_refused_is_told_in_the_words_of_the_service() {
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    let get = "secretsmanager:GetSecretValue";
    let deny = format!(r#"{{"Effect": "Deny", "Action": "{get}", "Resource": "*"}}"#);
    let alice = || user(OWN, "alice");
    let bob = || user(OTHER, "bob");
    let session = principal(&format!("arn:aws:sts::{OWN}:assumed-role/app/one"));
    let rows: [(Caller, &[String], String); 5] = [
        (
            caller(alice(), &[]),
            &[],
            format!(
                "User: arn:aws:iam::{OWN}:user/alice is not authorized to perform: {get} on resource: {arn} because no \
                 identity-based policy allows the {get} action"
            ),
        ),
        (
            caller(alice(), &[&allow("*"), &deny]),
            &[],
            format!(
                "User: arn:aws:iam::{OWN}:user/alice is not authorized to perform: {get} on resource: {arn} with an \
                 explicit deny in an identity-based policy"
            ),
        ),
        (
            caller(session, &[&allow("*")]),
            &[statement("Deny", r#"{"AWS": "111122223333"}"#, get, "")],
            format!(
                "User: arn:aws:sts::{OWN}:assumed-role/app/one is not authorized to perform: {get} on resource: {arn} with \
                 an explicit deny in a resource-based policy"
            ),
        ),
        (
            caller(bob(), &[&allow("*")]),
            &[],
            format!(
                "User: arn:aws:iam::{OTHER}:user/bob is not authorized to perform: {get} on resource: {arn} because no \
                 resource-based policy allows the {get} action"
            ),
        ),
        (
            caller(bob(), &[]),
            &[statement("Allow", r#"{"AWS": "444455556666"}"#, get, "")],
            format!(
                "User: arn:aws:iam::{OTHER}:user/bob is not authorized to perform: {get} on resource: {arn} because no \
                 identity-based policy allows the {get} action"
            ),
        ),
    ];
    for (caller, statements, text) in rows {
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        if !statements.is_empty() {
            attach(&secrets, "db", &statements);
        }
        let error = read(&secrets.as_caller(caller), &arn).unwrap_err();
        assert_eq!((error.code(), error.message()), ("AccessDeniedException", text.as_str()));
        let ErrorKind::AccessDenied(fault) = error.kind() else { panic!("{error:?}") };
        assert_eq!((fault.action.as_str(), fault.resource.as_deref()), (get, Some(arn.as_str())));
    }
    let error = secrets.as_caller(caller(alice(), &[])).list_secrets(ListSecretsRequest::new()).unwrap_err();
    assert_eq!(
        error.message(),
        format!(
            "User: arn:aws:iam::{OWN}:user/alice is not authorized to perform: secretsmanager:ListSecrets because no \
             identity-based policy allows the secretsmanager:ListSecrets action"
        )
    );
}

#[test]
fn within_an_account_either_policy_is_enough() {
    let get = "secretsmanager:GetSecretValue";
    let alice = r#"{"AWS": "arn:aws:iam::111122223333:user/alice"}"#;
    let account = r#"{"AWS": "arn:aws:iam::111122223333:root"}"#;
    let role = r#"{"AWS": "arn:aws:iam::111122223333:role/app"}"#;
    let session = format!("arn:aws:sts::{OWN}:assumed-role/app/one");
    let root = format!("arn:aws:iam::{OWN}:root");
    let alice_arn = format!("arn:aws:iam::{OWN}:user/alice");
    // Who, whether an identity policy allows it, the resource policy, and whether it is allowed.
    let rows: [(&str, bool, Vec<String>, bool); 14] = [
        (&alice_arn, false, vec![], false),
        (&alice_arn, true, vec![], true),
        (&alice_arn, false, vec![statement("Allow", alice, get, "")], true),
        (&alice_arn, false, vec![statement("Allow", r#""*""#, get, "")], true),
        (&alice_arn, false, vec![statement("Allow", account, get, "")], false),
        (&alice_arn, true, vec![statement("Allow", account, get, "")], true),
        (&alice_arn, true, vec![statement("Deny", alice, get, "")], false),
        (&alice_arn, true, vec![statement("Deny", account, get, "")], false),
        (&alice_arn, true, vec![statement("Allow", alice, get, ""), statement("Deny", alice, "*:*", "")], true),
        (&session, false, vec![statement("Allow", role, get, "")], true),
        (&session, false, vec![statement("Allow", alice, get, "")], false),
        (&root, false, vec![], true),
        (&root, false, vec![statement("Allow", alice, get, "")], true),
        (&root, false, vec![statement("Deny", account, get, "")], false),
    ];
    for (who, by_identity, statements, is_allowed) in rows {
        let statements: Vec<&str> =
            statements.iter().map(String::as_str).filter(|text| !text.contains("*:*")).collect();
        let (store, _) = store();
        let secrets = own(&store);
        create(&secrets, "db");
        if !statements.is_empty() {
            attach(&secrets, "db", &statements);
        }
        let identity = allow(get);
        let identity: &[&str] = if by_identity { &[&identity] } else { &[] };
        let outcome = read(&secrets.as_caller(caller(principal(who), identity)), "db");
        assert_eq!(outcome.is_ok(), is_allowed, "{who} {by_identity} {statements:?}: {outcome:?}");
        assert!(is_allowed || is_denied(&outcome), "{outcome:?}");
    }
}

#[test]
fn a_caller_works_in_their_own_account() {
    let (store, _) = store();
    let (mine, theirs) = (own(&store), store.secrets_manager(OTHER, "us-east-1").unwrap());
    create(&mine, "db");
    let arn = create(&mine, "only-here");
    create(&theirs, "db");
    theirs.put_secret_value(PutSecretValueRequest::new("db", "theirs")).unwrap();
    // Whatever the account of the handle is.
    let bob = mine.as_caller(caller(user(OTHER, "bob"), &[&allow("*")]));
    assert_eq!((bob.account(), bob.region()), (OTHER, "us-east-1"));
    assert_eq!(read(&bob, "db").unwrap(), "theirs");
    assert_eq!(*read(&bob, "only-here").unwrap_err().kind(), ErrorKind::ResourceNotFound);
    assert!(is_denied(&read(&bob, &arn)));
    let (partial, _) = arn.rsplit_once('-').unwrap();
    attach(&mine, "only-here", &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "*", "")]);
    assert!(is_denied(&read(&bob, partial)), "across accounts only the complete ARN is understood");
    let absent = arn.replace("only-here", "absent");
    assert!(is_denied(&read(&bob, &absent)), "whether a secret of others is there is not told");
    let elsewhere = arn.replace("us-east-1", "us-east-2");
    assert_eq!(*read(&bob, &elsewhere).unwrap_err().kind(), ErrorKind::ResourceNotFound, "and only in the same Region");
    let listed = bob.list_secrets(ListSecretsRequest::new()).unwrap().secret_list;
    assert_eq!(listed.len(), 1, "what others share is not listed");
    bob.create_secret(CreateSecretRequest::new("made-by-bob")).unwrap();
    assert!(theirs.describe_secret(DescribeSecretRequest::new("made-by-bob")).is_ok());
}

#[test]
fn across_accounts_both_policies_must_allow() {
    let get = "secretsmanager:GetSecretValue";
    let (store, _) = store();
    let secrets = own(&store);
    let arn = secrets
        .create_secret(CreateSecretRequest::new("shared").secret_string("s3cret").kms_key_id(customer_key(&secrets)))
        .unwrap()
        .arn;
    let session = format!("arn:aws:sts::{OTHER}:assumed-role/app/one");
    let bob = format!("arn:aws:iam::{OTHER}:user/bob");
    let root = format!("arn:aws:iam::{OTHER}:root");
    let to_bob = r#"{"AWS": "arn:aws:iam::444455556666:user/bob"}"#;
    let to_role = r#"{"AWS": "arn:aws:iam::444455556666:role/app"}"#;
    let to_account = r#"{"AWS": "444455556666"}"#;
    let rows: [(&str, bool, String, bool); 11] = [
        (&bob, true, statement("Allow", to_bob, get, ""), true),
        (&bob, false, statement("Allow", to_bob, get, ""), false),
        (&bob, true, statement("Allow", to_role, get, ""), false),
        (&bob, true, statement("Allow", to_account, get, ""), true),
        (&bob, false, statement("Allow", to_account, get, ""), false),
        (&bob, true, statement("Allow", r#""*""#, get, ""), true),
        (&bob, false, statement("Allow", r#""*""#, get, ""), false),
        (&session, true, statement("Allow", to_role, get, ""), true),
        (&root, false, statement("Allow", to_account, get, ""), true),
        (&root, false, statement("Allow", to_bob, get, ""), false),
        (&bob, true, statement("Allow", to_account, "secretsmanager:DescribeSecret", ""), false),
    ];
    for (who, by_identity, shared, is_allowed) in rows {
        attach(&secrets, "shared", &[&shared]);
        let identity = allow("*");
        let identity: &[&str] = if by_identity { &[&identity] } else { &[] };
        let outcome = read(&secrets.as_caller(caller(principal(who), identity)), &arn);
        assert_eq!(outcome.is_ok(), is_allowed, "{who} {by_identity} {shared}: {outcome:?}");
        assert!(is_allowed || is_denied(&outcome), "{outcome:?}");
    }
    let nobody = secrets.as_caller(Caller::new(Principal::anonymous()));
    attach(&secrets, "shared", &[&statement("Allow", r#""*""#, get, "")]);
    assert!(read(&nobody, &arn).is_ok(), "who has no account needs only the policy of the secret");
    let service = secrets.as_caller(Caller::new(Principal::service("lambda.amazonaws.com")));
    attach(&secrets, "shared", &[&statement("Allow", r#"{"Service": "lambda.amazonaws.com"}"#, get, "")]);
    assert!(read(&service, &arn).is_ok());
    assert!(is_denied(&read(&nobody, &arn)));
}

/// A key that other accounts may be let use.
fn customer_key(secrets: &strongroom::SecretsManager) -> String {
    format!("arn:aws:kms:us-east-1:{}:alias/shared", secrets.account())
}

#[test]
fn the_default_key_is_for_its_own_account_alone() {
    const REFUSED: &str = "You can't access a secret from a different AWS account if you encrypt the secret with the \
                           default KMS service key.";
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    attach(&secrets, "db", &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", "")]);
    let bob = secrets.as_caller(caller(user(OTHER, "bob"), &[&allow("*")]));

    let refused = |error: strongroom::Error| (error.code(), error.message().to_owned());
    let expected = ("InvalidRequestException", REFUSED.to_owned());
    assert_eq!(refused(read(&bob, &arn).unwrap_err()), expected);
    let put = PutSecretValueRequest::new(&arn, "v2").client_request_token("a".repeat(32));
    assert_eq!(refused(bob.put_secret_value(put).unwrap_err()), expected);
    assert_eq!(refused(bob.update_secret(UpdateSecretRequest::new(&arn).secret_string("v2")).unwrap_err()), expected);
    let batch = bob.batch_get_secret_value(BatchGetSecretValueRequest::new().secret_id_list([arn.as_str()])).unwrap();
    assert_eq!(batch.errors[0].error.message(), REFUSED);

    // What needs no value is permitted.
    assert_eq!(bob.describe_secret(DescribeSecretRequest::new(&arn)).unwrap().arn, arn);
    assert_eq!(bob.list_secret_version_ids(ListSecretVersionIdsRequest::new(&arn)).unwrap().versions.len(), 1);
    assert!(bob.get_resource_policy(GetResourcePolicyRequest::new(&arn)).unwrap().resource_policy.is_some());
    bob.tag_resource(TagResourceRequest::new(&arn, [Tag::new("k", "v")])).unwrap();
    bob.untag_resource(UntagResourceRequest::new(&arn, ["k"])).unwrap();
    let policy =
        format!(r#"{{"Statement": [{}]}}"#, statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", ""));
    bob.put_resource_policy(PutResourcePolicyRequest::new(&arn, policy)).unwrap();
    bob.update_secret(UpdateSecretRequest::new(&arn).description("shared")).unwrap();
    bob.delete_secret(DeleteSecretRequest::new(&arn).recovery_window_in_days(7)).unwrap();
    bob.restore_secret(RestoreSecretRequest::new(&arn)).unwrap();
    bob.delete_secret(DeleteSecretRequest::new(&arn).force_delete_without_recovery(true)).unwrap();
    assert_eq!(*read(&secrets, "db").unwrap_err().kind(), ErrorKind::ResourceNotFound);
}

#[test]
fn a_secret_under_a_customer_managed_key_is_written_and_read_across_accounts() {
    let (store, _) = store();
    let secrets = own(&store);
    let request = CreateSecretRequest::new("shared").secret_string("v1").kms_key_id(customer_key(&secrets));
    let arn = secrets.create_secret(request).unwrap().arn;
    attach(&secrets, "shared", &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", "")]);
    let bob = secrets.as_caller(caller(user(OTHER, "bob"), &[&allow("*")]));
    assert_eq!(read(&bob, &arn).unwrap(), "v1");
    let token = "b".repeat(32);
    let put = || PutSecretValueRequest::new(&arn, "v2").client_request_token(&token);
    bob.put_secret_value(put()).unwrap();
    bob.put_secret_value(put()).unwrap();
    assert_eq!(read(&bob, &arn).unwrap(), "v2");
    assert_eq!(read(&secrets, "shared").unwrap(), "v2", "it is sealed for its own account");
    bob.update_secret(UpdateSecretRequest::new(&arn).secret_string("v3")).unwrap();
    assert_eq!(read(&secrets, "shared").unwrap(), "v3");
}

#[test]
fn who_may_not_know_of_a_secret_learns_nothing_of_its_state() {
    let (store, _) = store();
    let secrets = own(&store);
    create(&secrets, "db");
    secrets.delete_secret(DeleteSecretRequest::new("db")).unwrap();
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[]));
    assert!(is_denied(&read(&alice, "db")), "before its being marked for deletion counts");
    let create = alice.create_secret(CreateSecretRequest::new("db"));
    assert!(is_denied(&create), "before the name being taken counts");
    let shape = alice.describe_secret(DescribeSecretRequest::new("no name"));
    assert_eq!(*shape.unwrap_err().kind(), ErrorKind::Validation, "what needs no state is told to everybody");
    let absent = alice.describe_secret(DescribeSecretRequest::new("absent"));
    assert_eq!(*absent.unwrap_err().kind(), ErrorKind::ResourceNotFound);
}

#[test]
fn a_batch_needs_its_own_action_and_that_of_every_secret() {
    let (store, _) = store();
    let secrets = own(&store);
    let (a, b) = (create(&secrets, "a"), create(&secrets, "b"));
    attach(&secrets, "b", &[&statement("Deny", r#"{"AWS": "111122223333"}"#, "secretsmanager:GetSecretValue", "")]);
    let (batch, get, list) = (
        allow("secretsmanager:BatchGetSecretValue"),
        allow("secretsmanager:GetSecretValue"),
        allow("secretsmanager:ListSecrets"),
    );
    let by_id = || BatchGetSecretValueRequest::new().secret_id_list(["a", "b"]);
    let by_filter = || BatchGetSecretValueRequest::new().filters([Filter::new(FilterKey::Name, ["a", "b"])]);
    let alice = |statements: &[&str]| secrets.as_caller(caller(user(OWN, "alice"), statements));
    assert!(is_denied(&alice(&[&get]).batch_get_secret_value(by_id())));
    assert!(is_denied(&alice(&[&get, &batch]).batch_get_secret_value(by_filter())));
    for (request, ids) in [(by_id(), ["a", "b"]), (by_filter(), [a.as_str(), b.as_str()])] {
        let answer = alice(&[&get, &batch, &list]).batch_get_secret_value(request).unwrap();
        assert_eq!(answer.secret_values.len(), 1);
        assert_eq!(answer.secret_values[0].arn, a);
        assert_eq!(answer.errors[0].secret_id, ids[1]);
        assert_eq!(answer.errors[0].error.code(), "AccessDeniedException");
    }
}

#[test]
fn nobody_attaches_a_policy_that_keeps_them_from_the_next_one() {
    const LOCKED_OUT: &str = "Your requested changes will not allow you to manage this secret in the future.";
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    let alice = || secrets.as_caller(caller(user(OWN, "alice"), &[&allow("*")]));
    let bob = || secrets.as_caller(caller(user(OTHER, "bob"), &[&allow("*")]));
    let root = r#"{"AWS": "111122223333"}"#;
    let deny_alice = r#"{"AWS": "arn:aws:iam::111122223333:user/alice"}"#;
    let to_other = r#"{"AWS": "444455556666"}"#;
    attach(&secrets, "db", &[&statement("Allow", to_other, "secretsmanager:*", "")]);
    let rows: [(strongroom::SecretsManager, Vec<String>, bool); 9] = [
        (alice(), vec![statement("Deny", deny_alice, "secretsmanager:PutResourcePolicy", "")], true),
        (alice(), vec![statement("Deny", r#""*""#, "*", "")], true),
        (alice(), vec![statement("Deny", deny_alice, "secretsmanager:GetSecretValue", "")], false),
        (bob(), vec![statement("Allow", root, "secretsmanager:*", "")], true),
        (bob(), vec![statement("Allow", to_other, "secretsmanager:GetSecretValue", "")], true),
        (bob(), vec![statement("Allow", to_other, "secretsmanager:*", "")], false),
        (secrets.clone(), vec![statement("Deny", root, "secretsmanager:*", "")], true),
        (secrets.clone(), vec![statement("Deny", deny_alice, "secretsmanager:*", "")], false),
        // From where the host would call as the account's root is not known.
        (
            secrets.clone(),
            vec![statement(
                "Deny",
                r#""*""#,
                "*",
                r#", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}"#,
            )],
            false,
        ),
    ];
    for (who, statements, is_locked_out) in rows {
        attach(&secrets, "db", &[&statement("Allow", to_other, "secretsmanager:*", "")]);
        let document = format!(r#"{{"Statement": [{}]}}"#, statements.join(","));
        let checked = ValidateResourcePolicyRequest::new(document.as_str()).secret_id(arn.as_str());
        let checked = who.validate_resource_policy(checked).unwrap().validation_errors;
        assert_eq!(checked.iter().any(|check| check.check_name == "LockOutCheck"), is_locked_out, "{document}");
        let outcome = who.put_resource_policy(PutResourcePolicyRequest::new(&arn, document.as_str()));
        assert_eq!(outcome.is_err(), is_locked_out, "{document}");
        if let Err(error) = outcome {
            assert_eq!((error.code(), error.message()), ("InvalidParameterException", LOCKED_OUT), "{document}");
        }
    }
}

#[test]
fn nobody_tags_themselves_out() {
    let (store, _) = store();
    let secrets = own(&store);
    secrets
        .create_secret(CreateSecretRequest::new("db").tags([Tag::new("team", "red"), Tag::new("more", "")]))
        .unwrap();
    let red = r#"{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
                  "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}"#;
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[red]));
    let tags = || secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap().tags.unwrap();
    let before = tags();
    assert!(is_denied(&alice.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "blue")]))));
    assert!(is_denied(&alice.untag_resource(UntagResourceRequest::new("db", ["team"]))));
    assert_eq!(tags(), before, "nothing was changed");
    alice.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "red"), Tag::new("stage", "test")])).unwrap();
    alice.untag_resource(UntagResourceRequest::new("db", ["more"])).unwrap();
    assert_eq!(tags().len(), 2);
    secrets.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "blue")])).unwrap();
    assert!(is_denied(&alice.get_random_password(GetRandomPasswordRequest::new())), "which has no tags");
    assert!(is_denied(&read(&alice, "db")), "the host may do it");
}

#[test]
fn tags_that_a_secret_is_made_with_need_the_permission_to_tag() {
    let (store, _) = store();
    let secrets = own(&store);
    let only = allow("secretsmanager:CreateSecret");
    let tag = allow("secretsmanager:TagResource");
    let tagged = |name: &str| CreateSecretRequest::new(name).tags([Tag::new("k", "v")]);
    let alice = |statements: &[&str]| secrets.as_caller(caller(user(OWN, "alice"), statements));
    assert!(alice(&[&only]).create_secret(CreateSecretRequest::new("plain")).is_ok());
    let refused = alice(&[&only]).create_secret(tagged("tagged")).unwrap_err();
    assert!(refused.message().contains("secretsmanager:TagResource on resource: tagged because"));
    assert!(alice(&[&only, &tag]).create_secret(tagged("tagged")).is_ok());
    let own_names = r#"{"Effect": "Allow", "Action": "secretsmanager:CreateSecret",
        "Resource": "arn:aws:secretsmanager:*:111122223333:secret:alice/*"}"#;
    assert!(alice(&[own_names]).create_secret(CreateSecretRequest::new("alice/db")).is_ok());
    assert!(is_denied(&alice(&[own_names]).create_secret(CreateSecretRequest::new("bob/db"))));
}

#[test]
fn an_audit_record_tells_who_called_and_was_refused() {
    use std::sync::{Arc, Mutex};
    use strongroom::{AuditRecord, Observer, SecretStore, StaticKey};
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<serde_json::Value>>>);
    impl Observer for Kept {
        fn observe(&self, record: &AuditRecord) {
            self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
        }
    }
    let kept = Kept::default();
    let store = SecretStore::in_memory().key_provider(StaticKey::new([7; 32])).observer(kept.clone()).open().unwrap();
    let secrets = own(&store);
    create(&secrets, "db");
    assert!(is_denied(&read(&secrets.as_caller(caller(user(OWN, "staff/alice"), &[])), "db")));
    let session = principal(&format!("arn:aws:sts::{OTHER}:assumed-role/app/one"));
    let _ = read(&secrets.as_caller(caller(session, &[])), "db");
    let _ = read(&secrets.as_caller(Caller::new(Principal::service("lambda.amazonaws.com"))), "db");
    let _ = read(&secrets.as_caller(Caller::new(Principal::anonymous())), "db");
    let kept = kept.0.lock().unwrap();
    let told: Vec<_> = kept.iter().map(|record| (&record["userIdentity"], record["errorCode"].as_str())).collect();
    let denied = Some("AccessDeniedException");
    let expected = [
        (serde_json::Value::Null, None),
        (
            serde_json::json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/staff/alice",
                               "accountId": OWN, "userName": "alice"}),
            denied,
        ),
        (
            serde_json::json!({"type": "AssumedRole", "arn": "arn:aws:sts::444455556666:assumed-role/app/one",
                               "accountId": OTHER}),
            Some("ResourceNotFoundException"),
        ),
        (serde_json::json!({"type": "AWSService", "arn": "lambda.amazonaws.com"}), denied),
        (serde_json::json!({"type": "Unknown"}), denied),
    ];
    assert_eq!(told, expected.iter().map(|(identity, code)| (identity, *code)).collect::<Vec<_>>());
}
