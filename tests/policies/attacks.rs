//! Ways around a policy that somebody might try, and what comes of them.

use strongroom::{
    AuthorizationRequest, Caller, CreateSecretRequest, Decision, DeleteSecretRequest, DescribeSecretRequest, ErrorKind,
    GetSecretValueRequest, IdentityPolicy, ListSecretsRequest, Policies, Principal, PutResourcePolicyRequest,
    PutSecretValueRequest, ResourcePolicy, RotateSecretRequest, SecretsManager, Tag, TagResourceRequest,
    UntagResourceRequest, UpdateSecretRequest, ValidateResourcePolicyRequest,
};

use crate::people::{
    OTHER, OWN, allow, attach, caller, create, is_denied, own, principal, read, statement, store, user,
};

const SHARED: &str = "alias/shared";

fn share(secrets: &SecretsManager, id: &str) {
    attach(secrets, id, &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", "")]);
}

fn bob(secrets: &SecretsManager) -> SecretsManager {
    secrets.as_caller(caller(user(OTHER, "bob"), &[&allow("*")]))
}

#[test]
fn an_old_version_under_the_default_key_stays_in_its_account_when_the_secret_gets_another_key() {
    let (store, _) = store();
    let secrets = own(&store);
    let first = "a".repeat(32);
    let arn = secrets
        .create_secret(CreateSecretRequest::new("db").secret_string("v1").client_request_token(&first))
        .unwrap()
        .arn;
    for value in ["v2", "v3", "v4"] {
        secrets.put_secret_value(PutSecretValueRequest::new("db", value)).unwrap();
    }
    secrets.update_secret(UpdateSecretRequest::new("db").kms_key_id(SHARED)).unwrap();
    share(&secrets, "db");
    let bob = bob(&secrets);
    assert_eq!(read(&bob, &arn).unwrap(), "v4", "what was wrapped for the new key is shared");
    let old = GetSecretValueRequest::new(&arn).version_id(&first);
    assert_eq!(*bob.get_secret_value(old).unwrap_err().kind(), ErrorKind::InvalidRequest);
    let repeat = PutSecretValueRequest::new(&arn, "v1").client_request_token(&first);
    assert_eq!(
        *bob.put_secret_value(repeat).unwrap_err().kind(),
        ErrorKind::InvalidRequest,
        "nor is it compared with a guess"
    );
    assert!(secrets.get_secret_value(GetSecretValueRequest::new("db").version_id(&first)).is_ok());
}

#[test]
fn another_account_moves_no_secret_under_the_default_key() {
    let (store, _) = store();
    let secrets = own(&store);
    let request = CreateSecretRequest::new("db").secret_string("v1").kms_key_id(SHARED);
    let arn = secrets.create_secret(request).unwrap().arn;
    share(&secrets, "db");
    let theirs = format!("arn:aws:kms:us-east-1:{OTHER}:alias/aws/secretsmanager");
    let ours = format!("arn:aws:kms:us-east-1:{OWN}:alias/aws/secretsmanager");
    for key in ["", "alias/aws/secretsmanager", &theirs, &ours] {
        let update = UpdateSecretRequest::new(&arn).kms_key_id(key).secret_string("x");
        assert!(bob(&secrets).update_secret(update).is_err(), "{key}");
        assert!(bob(&secrets).update_secret(UpdateSecretRequest::new(&arn).kms_key_id(key)).is_err(), "{key}");
    }
    let described = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap();
    assert!(described.kms_key_id.is_some(), "it is where it was");
    assert_eq!(read(&secrets, "db").unwrap(), "v1");
}

#[test]
fn the_default_key_is_a_key_to_a_condition_too() {
    let (store, _) = store();
    let secrets = own(&store);
    create(&secrets, "db");
    let everything = allow("*");
    let nobody_changes_keys = r#"{"Effect": "Deny", "Action": "secretsmanager:UpdateSecret", "Resource": "*",
                                  "Condition": {"Null": {"secretsmanager:KmsKeyId": "false"}}}"#;
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[&everything, nobody_changes_keys]));
    for key in ["", "alias/aws/secretsmanager", SHARED] {
        assert!(is_denied(&alice.update_secret(UpdateSecretRequest::new("db").kms_key_id(key))), "{key}");
    }
    assert!(alice.update_secret(UpdateSecretRequest::new("db").description("d")).is_ok());
}

#[test]
fn nobody_guesses_a_value_by_creating_a_secret_again() {
    let (store, _) = store();
    let secrets = own(&store);
    let token = "a".repeat(32);
    let create = |value: &str| CreateSecretRequest::new("db").secret_string(value).client_request_token(&token);
    secrets.create_secret(create("s3cret")).unwrap();
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[&allow("secretsmanager:CreateSecret")]));
    assert!(alice.create_secret(create("s3cret")).is_ok(), "who may create it may repeat that");
    attach(&secrets, "db", &[&statement("Deny", r#"{"AWS": "arn:aws:iam::111122223333:user/alice"}"#, "*", "")]);
    for guess in ["s3cret", "wrong"] {
        assert!(is_denied(&alice.create_secret(create(guess))), "{guess}");
    }
}

#[test]
fn what_is_refused_tells_nothing_that_was_not_said() {
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db/main");
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[]));
    for (asked, shown) in [("db/main", "db/main"), (arn.as_str(), arn.as_str())] {
        let error = read(&alice, asked).unwrap_err();
        assert!(error.message().contains(&format!("on resource: {shown} because")), "{}", error.message());
    }
    let error = alice.create_secret(CreateSecretRequest::new("new")).unwrap_err();
    assert!(error.message().contains("on resource: new because"), "{}", error.message());
}

#[test]
fn what_succeeds_without_a_secret_needs_permission_all_the_same() {
    let (store, _) = store();
    let secrets = own(&store);
    let force = |id: &str| DeleteSecretRequest::new(id).force_delete_without_recovery(true);
    let alice = |statements: &[&str]| secrets.as_caller(caller(user(OWN, "alice"), statements));
    let elsewhere = format!("arn:aws:secretsmanager:us-east-1:{OTHER}:secret:db-a1b2c3");
    for id in ["absent", &elsewhere] {
        assert!(is_denied(&alice(&[]).delete_secret(force(id))), "{id}");
    }
    assert!(alice(&[&allow("secretsmanager:DeleteSecret")]).delete_secret(force("absent")).is_ok());
    assert!(is_denied(&alice(&[&allow("*")]).delete_secret(force(&elsewhere))), "it is not theirs");
}

#[test]
fn a_function_is_called_only_for_who_may_call_it_and_only_where_it_belongs() {
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    share(&secrets, "db");
    let function = |account: &str| format!("arn:aws:lambda:us-east-1:{account}:function:f");
    let rotate = |arn: &str, account| RotateSecretRequest::new(arn).rotation_lambda_arn(function(account));
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[&allow("secretsmanager:*")]));
    let error = alice.rotate_secret(rotate("db", OWN)).unwrap_err();
    assert!(
        error.message().contains("is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda")
    );
    let may = secrets.as_caller(caller(user(OWN, "alice"), &[&allow("secretsmanager:*"), &allow("lambda:*")]));
    let error = may.rotate_secret(rotate("db", OWN)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::FunctionNotInvocable { .. }), "nothing is registered, which comes next");
    for (who, account) in [(&bob(&secrets), OTHER), (&may, OTHER)] {
        let error = who.rotate_secret(rotate(&arn, account)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::FunctionNotInvocable { .. }), "{error}");
    }
}

#[test]
fn an_account_of_another_partition_is_another_account() {
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    let foreign_root = principal(&format!("arn:aws-cn:iam::{OWN}:root"));
    let stranger = secrets.as_caller(Caller::new(foreign_root.clone()));
    assert!(is_denied(&read(&stranger, &arn)));
    assert!(is_denied(&stranger.list_secrets(ListSecretsRequest::new())));

    let policy = |partition: &str| {
        let document = statement("Allow", &format!(r#"{{"AWS": "arn:{partition}:iam::{OWN}:root"}}"#), "*", "");
        ResourcePolicy::parse(&format!(r#"{{"Statement": {document}}}"#)).unwrap()
    };
    let request = AuthorizationRequest::new(foreign_root, "secretsmanager:GetSecretValue", &arn);
    for (partition, decision) in [("aws-cn", Decision::Allow), ("aws", Decision::ImplicitDeny)] {
        assert_eq!(Policies::new().resource(&policy(partition)).evaluate(&request).decision, decision, "{partition}");
    }
}

#[test]
fn tags_that_would_cost_the_policy_are_not_changed_either() {
    let (store, _) = store();
    let secrets = own(&store);
    secrets.create_secret(CreateSecretRequest::new("db").tags([Tag::new("team", "red")])).unwrap();
    let tags = r#"{"Effect": "Allow", "Action": ["secretsmanager:TagResource", "secretsmanager:UntagResource"], "Resource": "*"}"#;
    let policy = r#"{"Effect": "Allow", "Action": "secretsmanager:PutResourcePolicy", "Resource": "*",
                     "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}"#;
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[tags, policy]));
    assert!(is_denied(&alice.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "blue")]))));
    assert!(is_denied(&alice.untag_resource(UntagResourceRequest::new("db", ["team"]))));
    let without = secrets.as_caller(caller(user(OWN, "carol"), &[tags]));
    without.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "blue")])).unwrap();
}

#[test]
fn another_account_does_not_lock_out_the_owner() {
    let (store, _) = store();
    let secrets = own(&store);
    let arn = create(&secrets, "db");
    share(&secrets, "db");
    let document = format!(
        r#"{{"Statement": [{}, {}]}}"#,
        statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:*", ""),
        statement("Deny", r#"{"AWS": "111122223333"}"#, "secretsmanager:*", "")
    );
    let error = bob(&secrets).put_resource_policy(PutResourcePolicyRequest::new(&arn, document)).unwrap_err();
    assert_eq!(error.code(), "InvalidParameterException");
}

#[test]
fn a_check_of_a_policy_finds_only_what_would_be_lost() {
    let (store, _) = store();
    let secrets = own(&store);
    create(&secrets, "db");
    let harmless = format!(r#"{{"Statement": {}}}"#, statement("Allow", r#"{"AWS": "111122223333"}"#, "*", ""));
    let only_blocked = r#"{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*",
                           "Condition": {"BoolIfExists": {"secretsmanager:BlockPublicPolicy": "true"}}}"#;
    for statements in [&[allow("secretsmanager:ValidateResourcePolicy").as_str()][..], &[only_blocked]] {
        let alice = secrets.as_caller(caller(user(OWN, "alice"), statements));
        for secret in [None, Some("db")] {
            let mut request = ValidateResourcePolicyRequest::new(harmless.as_str());
            request.secret_id = secret.map(str::to_owned);
            assert!(alice.validate_resource_policy(request).unwrap().policy_validation_passed, "{statements:?}");
        }
    }
}

/// Elements that look as if they meant something must mean it, or be refused.
#[test]
fn no_statement_that_denies_is_void_without_a_word() {
    let secret = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1b2c3";
    let admin = Principal::parse("arn:aws:iam::111122223333:role/admin").unwrap();
    for resource in [
        "*",
        "**",
        "arn:aws:secretsmanager",
        "arn:aws:secretsmanager:*",
        "arn:aws:secretsmanager:*:secret:prod/*",
        "arn:aws:secretsmanager:us-east-1:1111*",
        "arn:aws:secretsmanager:*:prod/*",
        "arn:aws:secretsmanager*prod/db-*",
        "arn:*:secret:prod/*",
        "arn:*:secretsmanager:*:*:secret:prod/*",
    ] {
        let document = format!(r#"{{"Statement": {{"Effect": "Deny", "Action": "*", "Resource": "{resource}"}}}}"#);
        let policy = [IdentityPolicy::parse(&document).unwrap()];
        let request = AuthorizationRequest::new(admin.clone(), "secretsmanager:GetSecretValue", secret);
        let decision = Policies::new().identity(&policy).evaluate(&request).decision;
        assert_eq!(decision, Decision::ExplicitDeny, "{resource}");
    }
    for (value, is_read) in [
        ("*", true),
        ("arn:aws:iam::*", true),
        ("arn:aws:iam::111122223333:role/*", true),
        ("arn:aws:iam", true),
        ("*:role/admin", false),
        ("role/admin", false),
    ] {
        let document = format!(
            r#"{{"Statement": {{"Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {{"ArnLike": {{"aws:PrincipalArn": "{value}"}}}}}}}}"#
        );
        let policy = IdentityPolicy::parse(&document);
        assert_eq!(policy.is_ok(), is_read, "{value}");
        if let Ok(policy) = policy {
            let request = AuthorizationRequest::new(admin.clone(), "secretsmanager:GetSecretValue", secret);
            let decision = Policies::new().identity(&[policy]).evaluate(&request).decision;
            assert_eq!(decision, Decision::ExplicitDeny, "{value}");
        }
    }
}

#[test]
fn a_condition_may_be_a_variable_that_is_an_arn() {
    let document = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": "${aws:PrincipalArn}"}}}}"#;
    let policy = [IdentityPolicy::parse(document).unwrap()];
    for (source, decision) in [
        ("arn:aws:iam::111122223333:user/a", Decision::Allow),
        ("arn:aws:iam::111122223333:user/b", Decision::ImplicitDeny),
    ] {
        let context = strongroom::RequestContext::new().with("aws:SourceArn", source);
        let request = AuthorizationRequest::new(user(OWN, "a"), "x:Y", "*").context(context);
        assert_eq!(Policies::new().identity(&policy).evaluate(&request).decision, decision, "{source}");
    }
}

#[test]
fn what_is_printed_is_never_longer_than_what_was_read() {
    for document in [
        r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Statement":{"Sid":"\n\t\r\b\f\u0001\"\\/","Effect":"Allow","Action":["*"],"Resource":["*","arn:a"]}}"#,
        r#"{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":[1,2,3]},"Bool":{"a:c":true}}}]}"#,
    ] {
        let policy = IdentityPolicy::parse(document).unwrap();
        let printed = policy.to_string();
        assert!(printed.len() <= document.len(), "{printed}");
        assert_eq!(IdentityPolicy::parse(&printed).unwrap(), policy);
    }
}

#[test]
fn a_fault_of_syntax_is_told_before_a_principal_that_is_not_supported() {
    let statement = |principal: &str, effect: &str| {
        format!(r#"{{"Effect": "{effect}", "Principal": {principal}, "Action": "*", "Resource": "*"}}"#)
    };
    let rows = [
        (r#"{"AWS": "alice"}"#, "Permit", strongroom::PolicyFaultReason::InvalidEffect, "Statement[1].Effect"),
        (r#"{"Robot": "r2"}"#, "Permit", strongroom::PolicyFaultReason::InvalidEffect, "Statement[1].Effect"),
        (
            r#"{"AWS": "alice"}"#,
            "Allow",
            strongroom::PolicyFaultReason::UnsupportedPrincipal,
            "Statement[0].Principal.AWS",
        ),
        (
            r#"{"Service": "x"}"#,
            "Allow",
            strongroom::PolicyFaultReason::UnsupportedServicePrincipal,
            "Statement[0].Principal.Service",
        ),
    ];
    for (principal, effect, reason, path) in rows {
        let document =
            format!(r#"{{"Statement": [{}, {}]}}"#, statement(principal, "Allow"), statement(r#""*""#, effect));
        let fault = ResourcePolicy::parse(&document).unwrap_err();
        assert_eq!((fault.reason, fault.path.as_str()), (reason, path));
    }
}

#[test]
fn the_account_of_somebody_anonymous_confines_nobody() {
    for (value, is_public) in [
        (r#""111122223333""#, false),
        (r#""anonymous""#, true),
        (r#"["111122223333", "anonymous"]"#, true),
        (r#""""#, true),
    ] {
        let document = format!(
            r#"{{"Statement": {}}}"#,
            statement(
                "Allow",
                r#""*""#,
                "*",
                &format!(r#", "Condition": {{"StringEquals": {{"aws:PrincipalAccount": {value}}}}}"#)
            )
        );
        assert_eq!(ResourcePolicy::parse(&document).unwrap().public_statement().is_some(), is_public, "{value}");
    }
}

/// The conditions of a caller's own policies are no questions about the secrets of others.
#[test]
fn what_is_not_shared_answers_nothing_about_itself() {
    let (store, _) = store();
    let secrets = own(&store);
    secrets.create_secret(CreateSecretRequest::new("db").tags([Tag::new("team", "payments")])).unwrap();
    let arn = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap().arn;
    let absent = arn.replace("secret:db-", "secret:no-");
    attach(&secrets, "db", &[&statement("Deny", r#""*""#, "secretsmanager:GetSecretValue", "")]);
    let is_there = r#"{"Effect": "Allow", "Action": "*", "Resource": "*",
                       "Condition": {"Null": {"secretsmanager:SecretId": "false"}}}"#;
    let begins_with_p = r#"{"Effect": "Allow", "Action": "*", "Resource": "*",
                            "Condition": {"StringLike": {"aws:ResourceTag/team": "p*"}}}"#;
    let denies_it = r#"{"Effect": "Deny", "Action": "*", "Resource": "*",
                        "Condition": {"StringLike": {"aws:ResourceTag/team": "p*"}}}"#;
    for statements in [&[is_there][..], &[begins_with_p], &[denies_it], &[]] {
        let bob = secrets.as_caller(caller(user(OTHER, "bob"), statements));
        let told = |arn: &str| read(&bob, arn).unwrap_err().message().replace(arn, "ARN");
        assert_eq!(told(&arn), told(&absent), "{statements:?}");
    }
    let principals = [
        Principal::anonymous(),
        Principal::service("lambda.amazonaws.com"),
        principal(&format!("arn:aws-cn:iam::{OWN}:user/x")),
    ];
    for principal in principals {
        let stranger = secrets.as_caller(Caller::new(principal.clone()));
        for name in ["db", "no"] {
            let outcome = stranger.describe_secret(DescribeSecretRequest::new(name));
            assert!(is_denied(&outcome), "{principal} {name}: {outcome:?}");
        }
    }
}

#[test]
fn a_check_for_another_account_answers_nothing_about_the_secret() {
    let (store, _) = store();
    let secrets = own(&store);
    secrets.create_secret(CreateSecretRequest::new("db").tags([Tag::new("team", "payments")])).unwrap();
    let arn = secrets.describe_secret(DescribeSecretRequest::new("db")).unwrap().arn;
    attach(
        &secrets,
        "db",
        &[&statement("Allow", r#"{"AWS": "444455556666"}"#, "secretsmanager:ValidateResourcePolicy", "")],
    );
    for guess in ["p*", "q*"] {
        let condition = format!(r#", "Condition": {{"StringLike": {{"aws:ResourceTag/team": "{guess}"}}}}"#);
        let document = format!(
            r#"{{"Statement": {}}}"#,
            statement("Deny", r#""*""#, "secretsmanager:PutResourcePolicy", &condition)
        );
        let request = ValidateResourcePolicyRequest::new(document).secret_id(arn.as_str());
        assert!(bob(&secrets).validate_resource_policy(request).unwrap().policy_validation_passed, "{guess}");
    }
}

#[test]
fn what_has_no_account_is_not_deleted_for_everybody() {
    let (store, _) = store();
    let secrets = own(&store);
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[]));
    for id in
        ["arn:aws:secretsmanager:us-east-1:x:secret:a", "arn:aws-cn:secretsmanager:us-east-1:111122223333:secret:a"]
    {
        let force = DeleteSecretRequest::new(id).force_delete_without_recovery(true);
        assert!(alice.delete_secret(force).is_err(), "{id}");
    }
    let ill_named = format!("arn:aws:secretsmanager:us-east-1:{OWN}:secret:bad name-a1b2c3");
    assert_eq!(
        *read(&alice, &ill_named).unwrap_err().kind(),
        ErrorKind::ResourceNotFound,
        "as every secret that is not there"
    );
}

#[test]
fn tags_that_could_not_be_put_back_are_not_removed() {
    let (store, _) = store();
    let secrets = own(&store);
    secrets.create_secret(CreateSecretRequest::new("db").tags([Tag::new("team", "blue")])).unwrap();
    let untag = allow("secretsmanager:UntagResource");
    let tag = r#"{"Effect": "Allow", "Action": "secretsmanager:TagResource", "Resource": "*", "Condition": {
        "StringEquals": {"aws:ResourceTag/team": "blue"}, "ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}}"#;
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[&untag, tag]));
    assert!(is_denied(&alice.untag_resource(UntagResourceRequest::new("db", ["team"]))));
    let policy = r#"{"Effect": "Allow", "Action": "secretsmanager:PutResourcePolicy", "Resource": "*", "Condition": {
        "StringEquals": {"aws:ResourceTag/team": "blue"}, "Bool": {"secretsmanager:BlockPublicPolicy": "true"}}}"#;
    let carol = secrets.as_caller(caller(user(OWN, "carol"), &[&untag, &allow("secretsmanager:TagResource"), policy]));
    assert!(is_denied(&carol.tag_resource(TagResourceRequest::new("db", [Tag::new("team", "red")]))));
}

#[test]
fn a_rotation_is_gone_on_with_only_for_who_may_call_its_function() {
    use strongroom::testing::ManualClock;
    use strongroom::{RotationCall, RotationError, RotationFunction, SecretStore, StaticKey};
    #[derive(Debug)]
    struct Broken;
    impl RotationFunction for Broken {
        fn invoke(&self, _: &RotationCall) -> Result<(), RotationError> {
            Err(RotationError::new("broken"))
        }
    }
    let clock = ManualClock::new(crate::people::NOON.parse().unwrap());
    let store = SecretStore::in_memory()
        .key_provider(StaticKey::new([7; 32]))
        .clock(clock.clone())
        .rotation_function("arn:*", Broken)
        .open()
        .unwrap();
    let secrets = own(&store);
    create(&secrets, "db");
    let function = format!("arn:aws:lambda:us-east-1:{OWN}:function:f");
    let token = "a".repeat(32);
    let begin = RotateSecretRequest::new("db").rotation_lambda_arn(&function).client_request_token(&token);
    secrets.rotate_secret(begin).unwrap();
    for _ in 0..20 {
        store.maintain().unwrap();
        clock.advance(chrono::TimeDelta::hours(1));
    }
    assert!(secrets.rotation_status("db").unwrap().unwrap().in_progress.is_some_and(|progress| progress.attempts == 5));
    let again = || RotateSecretRequest::new("db").client_request_token(&token);
    let mallory = secrets.as_caller(caller(user(OWN, "mallory"), &[&allow("secretsmanager:*")]));
    let error = mallory.rotate_secret(again()).unwrap_err();
    assert!(error.message().contains("lambda:InvokeFunction because"), "and the function is not told: {error}");
    let alice = secrets.as_caller(caller(user(OWN, "alice"), &[&allow("*")]));
    alice.rotate_secret(again()).unwrap();
}
