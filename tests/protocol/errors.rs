//! Errors: their form, and which there are.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::json;
use strongroom::testing::FaultyBackend;
use strongroom::{KeyScope, LocalKeyring, MemoryBackend, SecretStore, StaticKey, wire};

use crate::fixture::{Answer, OTHER, Server, policy, replica_arn, token};
use crate::model::{Model, model};

/// Errors of the model for which no cause is known.
const NEVER: [&str; 1] = ["PreconditionNotMetException"];

/// One error of each code, with the operation that gave it.
fn errors() -> Vec<(&'static str, Answer)> {
    let server = Server::with_app();
    let keyring = LocalKeyring::in_memory();
    let key = keyring.create_key(KeyScope::new("aws", "000000000000", "us-east-1")).unwrap();
    let keys = Server::with(SecretStore::in_memory(), |builder| builder.key_provider(keyring.clone()));
    keys.ok("CreateSecret", &json!({"Name": "app", "SecretString": "one", "KmsKeyId": key}));
    keyring.disable_key(&key).unwrap();
    let few =
        Server::with(SecretStore::in_memory(), |builder| builder.key_provider(StaticKey::new([7; 32])).secrets_max(1));
    few.ok("CreateSecret", &json!({"Name": "app"}));
    let backend = FaultyBackend::new(MemoryBackend::new());
    let faulty = Server::with(SecretStore::with_backend(backend.clone()), |builder| {
        builder.key_provider(StaticKey::new([7; 32]))
    });
    backend.fail_commit(0);
    let rows = [
        (&server, "GetSecretValue", json!({})),
        (&server, "GetSecretValue", json!({"SecretId": "missing"})),
        (&server, "CreateSecret", json!({"Name": "app", "SecretString": "two"})),
        (&server, "DeleteSecret", json!({"SecretId": "app", "RecoveryWindowInDays": 1})),
        (&server, "PutSecretValue", json!({"SecretId": "app"})),
        (&server, "ListSecrets", json!({"NextToken": "mine"})),
        (&server, "GetSecretValue", json!({"SecretId": 7})),
        (&server, "Nothing", json!({})),
        (&server, "PutResourcePolicy", json!({"SecretId": "app", "ResourcePolicy": "{}"})),
        (
            &server,
            "PutResourcePolicy",
            json!({"SecretId": "app", "ResourcePolicy": policy("*"), "BlockPublicPolicy": true}),
        ),
        (&few, "CreateSecret", json!({"Name": "more"})),
        (&keys, "GetSecretValue", json!({"SecretId": "app"})),
        (&keys, "PutSecretValue", json!({"SecretId": "app", "SecretString": "two"})),
        (&keys, "CreateSecret", json!({"Name": "new", "KmsKeyId": "alias/missing"})),
        (&faulty, "CreateSecret", json!({"Name": "new"})),
    ];
    rows.into_iter().map(|(server, operation, body)| (operation, server.send(operation, &body))).collect()
}

/// The errors of the model that the tests here look at.
pub(crate) fn visited(model: &Model) -> BTreeSet<&str> {
    let codes: BTreeSet<String> = errors().into_iter().map(|(_, answer)| answer.code).collect();
    let seen = |name: &&str| codes.contains(*name) || NEVER.contains(name) || *name == "ErrorMessage";
    model.shapes.keys().map(String::as_str).filter(seen).collect()
}

/// Recorded: modelled errors have `Message`; SDKs find none for the two codes that the model does not have.
#[test]
fn each_error_has_its_status_its_code_and_its_text_in_one_place() {
    let expected = [
        (400, "ValidationException", "message"),
        (400, "ResourceNotFoundException", "Message"),
        (400, "ResourceExistsException", "Message"),
        (400, "InvalidParameterException", "Message"),
        (400, "InvalidRequestException", "Message"),
        (400, "InvalidNextTokenException", "Message"),
        (400, "SerializationException", "Message"),
        (400, "UnknownOperationException", "Message"),
        (400, "MalformedPolicyDocumentException", "Message"),
        (400, "PublicPolicyException", "Message"),
        (400, "LimitExceededException", "Message"),
        (400, "DecryptionFailure", "Message"),
        (400, "EncryptionFailure", "Message"),
        (400, "AccessDeniedException", "message"),
        (500, "InternalServiceError", "Message"),
    ];
    let model = model();
    let errors = errors();
    assert_eq!(errors.len(), expected.len());
    for ((operation, answer), (status, code, member)) in errors.iter().zip(expected) {
        assert_eq!((answer.status, answer.code.as_str()), (status, code), "{operation}: {answer}");
        let body = answer.json();
        assert_eq!(body["__type"], code);
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{answer}");
        assert!(answer.bytes.starts_with(format!(r#"{{"__type":"{code}","{member}":""#).as_bytes()), "{answer}");
        if let Some(shape) = model.shapes.get(code) {
            assert!(shape.exception && shape.members.contains_key(member), "{code}");
            assert!(model.operations[*operation].errors.iter().any(|declared| declared == code), "{operation} {code}");
        }
    }
    let codes: BTreeSet<&str> = expected.iter().map(|(_, code, _)| *code).collect();
    let exceptions = model.shapes.iter().filter(|(_, shape)| shape.exception).map(|(name, _)| name.as_str());
    let unseen: Vec<&str> = exceptions.filter(|name| !codes.contains(name)).collect();
    assert_eq!(unseen, NEVER);
}

#[test]
fn texts_of_errors_are_the_services() {
    let server = Server::with_app();
    let arn = server.ok("DescribeSecret", &json!({"SecretId": "app"}))["ARN"].as_str().unwrap().to_owned();
    let in_use = format!(
        "You can't use ClientRequestToken {} because that value is already in use for a version of secret {arn}.",
        token(1)
    );
    let no_label = "Secrets Manager can't find the specified secret value for staging label: none";
    let no_version = format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(9));
    let current = format!(
        "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version {}, \
         so you must explicitly reference that version in RemoveFromVersionId.",
        token(1)
    );
    let not_found = "Secrets Manager can't find the specified secret.";
    let name =
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
    let rows = [
        ("GetSecretValue", json!({"SecretId": "no"}), "ResourceNotFoundException", not_found),
        ("GetSecretValue", json!({"SecretId": "a b"}), "ValidationException", name),
        ("CreateSecret", json!({"Name": "Inv*Name?"}), "ValidationException", name),
        ("GetSecretValue", json!({"SecretId": "app", "VersionStage": "none"}), "ResourceNotFoundException", no_label),
        ("GetSecretValue", json!({"SecretId": "app", "VersionId": token(9)}), "ResourceNotFoundException", &no_version),
        (
            "GetSecretValue",
            json!({"SecretId": "app", "VersionId": token(2), "VersionStage": "AWSCURRENT"}),
            "InvalidRequestException",
            "You provided a VersionStage that is not associated to the provided VersionId.",
        ),
        (
            "CreateSecret",
            json!({"Name": "app", "SecretString": "one"}),
            "ResourceExistsException",
            "The operation failed because the secret app already exists.",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "app", "SecretString": "other", "ClientRequestToken": token(1)}),
            "ResourceExistsException",
            &in_use,
        ),
        (
            "UpdateSecretVersionStage",
            json!({"SecretId": "app", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(2)}),
            "InvalidParameterException",
            &current,
        ),
        (
            "BatchGetSecretValue",
            json!({"SecretIdList": ["app"], "MaxResults": 1}),
            "InvalidParameterException",
            "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
        ),
        (
            "PutResourcePolicy",
            json!({"SecretId": "app", "ResourcePolicy": "{}"}),
            "MalformedPolicyDocumentException",
            "This resource policy contains a syntax error.",
        ),
        (
            "PutResourcePolicy",
            json!({"SecretId": "app", "ResourcePolicy": policy("nobody")}),
            "MalformedPolicyDocumentException",
            "This resource policy contains an unsupported principal.",
        ),
        (
            "PutResourcePolicy",
            json!({"SecretId": "app", "ResourcePolicy": policy("*"), "BlockPublicPolicy": true}),
            "PublicPolicyException",
            "You can't attach a resource-based policy that allows broad access to the secret.",
        ),
        (
            "PutResourcePolicy",
            json!({"SecretId": "app", "ResourcePolicy": policy("*").replace("Allow", "Deny")}),
            "InvalidParameterException",
            "Your requested changes will not allow you to manage this secret in the future.",
        ),
        (
            "GetResourcePolicy",
            json!({"SecretId": "app", "PolicyName": "other"}),
            "ResourceNotFoundException",
            not_found,
        ),
    ];
    for (operation, body, code, message) in rows {
        server.send(operation, &body).check(&body.to_string(), 400, code, message);
    }
    server.ok("DeleteSecret", &json!({"SecretId": "app"}));
    server.clock.advance(TimeDelta::days(1));
    let marked = "You can't perform this operation on the secret because it was marked for deletion.";
    for (operation, body) in [
        ("GetSecretValue", json!({"SecretId": "app"})),
        ("TagResource", json!({"SecretId": "app", "Tags": []})),
        ("UntagResource", json!({"SecretId": "app", "TagKeys": []})),
        ("UpdateSecret", json!({"SecretId": "app"})),
        ("PutResourcePolicy", json!({"SecretId": "app", "ResourcePolicy": "{}"})),
        ("GetResourcePolicy", json!({"SecretId": "app"})),
        ("DeleteResourcePolicy", json!({"SecretId": "app"})),
        ("ListResourcePolicies", json!({"SecretId": "app"})),
        ("ValidateResourcePolicy", json!({"SecretId": "app", "ResourcePolicy": "{}"})),
        ("ReplicateSecretToRegions", json!({"SecretId": "app", "AddReplicaRegions": [{"Region": "eu-west-1"}]})),
        ("RemoveRegionsFromReplication", json!({"SecretId": "app", "RemoveReplicaRegions": ["eu-west-1"]})),
        ("StopReplicationToReplica", json!({"SecretId": "app"})),
        ("AssociateCrossAccountReplica", json!({"SecretId": "app", "CrossAccountReplicaARN": replica_arn()})),
        ("DisassociateCrossAccountReplica", json!({"SecretId": "app", "CrossAccountReplicaARN": replica_arn()})),
    ] {
        server.send(operation, &body).check(operation, 400, "InvalidRequestException", marked);
    }
}

#[test]
fn texts_about_replication_are_the_services_where_they_are_known() {
    let server = Server::with_app();
    let replicate = json!({"SecretId": "app", "AddReplicaRegions": [{"Region": "eu-west-1"}, {"Region": "us-west-2"}]});
    let app = server.ok("ReplicateSecretToRegions", &replicate)["ARN"].as_str().unwrap().to_owned();
    let primary = server.ok("DescribeSecret", &json!({"SecretId": "primary"}))["ARN"].as_str().unwrap().to_owned();
    let region = |region: &str| json!([{"Region": region}]);
    let (replica, unknown) = (replica_arn(), replica_arn().replace("copy", "none"));
    let not_found = "Secrets Manager can't find the specified secret.";
    let kept = format!("You can't delete secret {app} that still has replica regions [eu-west-1, us-west-2].");
    let associated = format!(
        "You can't delete secret {primary} that still has the cross-account replica {replica}. Call \
         DisassociateCrossAccountReplica first."
    );
    let of_another = format!("The secret {replica} wasn't created as a cross-account replica of {app}.");
    let place = "The primary and the replica must be in the same Region and partition and in different accounts, and the \
                 ARN must be complete.";
    let (parameter, request) = ("InvalidParameterException", "InvalidRequestException");
    let rows = [
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "app", "AddReplicaRegions": region("us-east-1")}),
            parameter,
            "Invalid replica region.",
        ),
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "app", "AddReplicaRegions": region("us-none-1")}),
            parameter,
            "Invalid replica region.",
        ),
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "none", "AddReplicaRegions": region("cn-north-1")}),
            parameter,
            "Invalid replica region.",
        ),
        (
            "CreateSecret",
            json!({"Name": "app", "AddReplicaRegions": region("us-east-1")}),
            parameter,
            "Invalid replica region.",
        ),
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "none", "AddReplicaRegions": region("eu-west-1")}),
            "ResourceNotFoundException",
            not_found,
        ),
        ("DeleteSecret", json!({"SecretId": "app"}), parameter, &kept),
        ("DeleteSecret", json!({"SecretId": "app", "ForceDeleteWithoutRecovery": true}), parameter, &kept),
        ("DeleteSecret", json!({"SecretId": "primary"}), request, &associated),
        (
            "StopReplicationToReplica",
            json!({"SecretId": "app"}),
            request,
            "You can't stop replication to a secret that isn't a replica secret.",
        ),
        (
            "AssociateCrossAccountReplica",
            json!({"SecretId": "app", "CrossAccountReplicaARN": replica}),
            request,
            &of_another,
        ),
        (
            "AssociateCrossAccountReplica",
            json!({"SecretId": "app", "CrossAccountReplicaARN": unknown}),
            "ResourceNotFoundException",
            not_found,
        ),
        ("AssociateCrossAccountReplica", json!({"SecretId": "app", "CrossAccountReplicaARN": app}), parameter, place),
        (
            "DisassociateCrossAccountReplica",
            json!({"SecretId": "app", "CrossAccountReplicaARN": replica}),
            "ResourceNotFoundException",
            not_found,
        ),
    ];
    for (operation, body, code, message) in rows {
        let before = server.epoch();
        server.send(operation, &body).check(&format!("{operation} {body}"), 400, code, message);
        assert_eq!(server.epoch(), before, "{operation} {body}");
    }
}

#[test]
fn what_writes_to_a_replica_is_refused_and_what_reads_it_is_not() {
    const REFUSED: &str = "Operation not permitted on a replica secret. Call must be made in primary secret's region.";
    const REFUSED_ELSEWHERE: &str = "Operation not permitted on a cross-account replica secret. Call must be made on the \
                                     primary secret, or after StopReplicationToReplica.";
    let server = Server::with_app();
    let theirs = server.handle(OTHER, "us-east-1");
    for (secrets, secret, text) in
        [(&server.handle("000000000000", "us-east-1"), "replica", REFUSED), (&theirs, "copy", REFUSED_ELSEWHERE)]
    {
        for (operation, more) in [
            ("UpdateSecret", json!({"Description": "d"})),
            ("PutSecretValue", json!({"SecretString": "two"})),
            ("TagResource", json!({"Tags": []})),
            ("UntagResource", json!({"TagKeys": []})),
            ("PutResourcePolicy", json!({"ResourcePolicy": policy("123456789012")})),
            ("DeleteResourcePolicy", json!({})),
            ("RestoreSecret", json!({})),
            ("RotateSecret", json!({})),
            ("CancelRotateSecret", json!({})),
            ("UpdateSecretVersionStage", json!({"VersionStage": "own", "MoveToVersionId": token(1)})),
            ("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": "eu-west-2"}]})),
            ("RemoveRegionsFromReplication", json!({"RemoveReplicaRegions": ["eu-west-2"]})),
        ] {
            let mut body = more;
            body["SecretId"] = json!(secret);
            let answer = Server::send_in(secrets, &format!("secretsmanager.{operation}"), body.to_string().as_bytes());
            answer.check(&format!("{operation} {secret}"), 400, "InvalidParameterException", text);
        }
        let body = json!({"SecretId": secret, "ResourcePolicy": policy("123456789012")});
        for operation in [
            "DescribeSecret",
            "GetResourcePolicy",
            "ListResourcePolicies",
            "ListSecretVersionIds",
            "ValidateResourcePolicy",
        ] {
            server.ok_in(secrets, operation, &body);
        }
    }
    let delete = |secrets: &strongroom::SecretsManager, secret: &str| {
        let body = json!({"SecretId": secret, "ForceDeleteWithoutRecovery": true}).to_string();
        Server::send_in(secrets, "secretsmanager.DeleteSecret", body.as_bytes())
    };
    let answer = delete(&server.handle("000000000000", "us-east-1"), "replica");
    answer.check("DeleteSecret", 400, "InvalidParameterException", REFUSED);
    let text = "You can't delete a cross-account replica secret before you stop its replication with StopReplicationToReplica.";
    delete(&theirs, "copy").check("DeleteSecret", 400, "InvalidRequestException", text);
}

/// Recorded: a raw request without a token is refused before the secret is looked for, with another code by RotateSecret.
#[test]
fn a_store_that_requires_tokens_refuses_requests_without_one() {
    let server = Server::with(SecretStore::in_memory(), |builder| {
        builder.key_provider(StaticKey::new([7; 32])).require_client_request_token(true)
    });
    let message = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    for (operation, body) in [
        ("CreateSecret", json!({"Name": "app", "SecretString": "one"})),
        ("PutSecretValue", json!({"SecretId": "missing", "SecretString": "one", "ClientRequestToken": null})),
        ("UpdateSecret", json!({"SecretId": "missing", "SecretString": "one"})),
        ("RotateSecret", json!({"SecretId": "missing"})),
    ] {
        let code = if operation == "RotateSecret" { "InvalidParameterException" } else { "InvalidRequestException" };
        server.send(operation, &body).check(operation, 400, code, message);
    }
}

/// Recorded: these answer with nothing.
#[test]
fn operations_without_an_answer_have_an_empty_body() {
    let server = Server::with_app();
    for (operation, body) in [
        ("TagResource", json!({"SecretId": "app", "Tags": [{"Key": "k", "Value": "v"}]})),
        ("UntagResource", json!({"SecretId": "app", "TagKeys": ["k", "none"]})),
    ] {
        let answer = server.send(operation, &body);
        assert_eq!((answer.status, answer.bytes.as_slice()), (200, &b""[..]), "{operation}");
    }
}

#[test]
fn a_target_that_names_no_operation_is_unknown_whatever_the_body() {
    let server = Server::with_app();
    let before = server.epoch();
    let targets = [
        "",
        "secretsmanager",
        "secretsmanager.",
        "secretsmanager.Nothing",
        "secretsmanager.createSecret",
        "secretsmanager.CREATESECRET",
        "secretsmanager.CreateSecret ",
        " secretsmanager.CreateSecret",
        "secretsmanager.CreateSecret\n",
        "secretsmanager.CreateSecret\0",
        "secretsmanager..CreateSecret",
        "secretsmanager.secretsmanager.CreateSecret",
        "SecretsManager.CreateSecret",
        "secretsManager.CreateSecret",
        "ssm.CreateSecret",
        "CreateSecret",
        ".CreateSecret",
        "secretsmanager/CreateSecret",
        "secretsmanager.RotateSecrets",
        "secretsmanager.rotateSecret",
        "secretsmanager.Cr\u{e9}ateSecret",
        &format!("secretsmanager.{}", "x".repeat(100_000)),
    ];
    for target in targets {
        for body in [&br#"{"Name": "new", "SecretString": "one"}"#[..], b"", b"not json", b"\xff"] {
            let answer = server.send_to(target, body);
            let row = format!("{:.60?}", target);
            answer.check(&row, 400, "UnknownOperationException", "The requested operation is not known.");
        }
    }
    server.check_unchanged(before, "unknown targets");
}

#[test]
fn a_server_can_report_errors_of_its_own_in_the_same_form() {
    for (status, code, message, body) in [
        (400, "ThrottlingException", "Rate exceeded", r#"{"__type":"ThrottlingException","Message":"Rate exceeded"}"#),
        (400, "ValidationException", "a\"b", r#"{"__type":"ValidationException","message":"a\"b"}"#),
        (400, "AccessDeniedException", "", r#"{"__type":"AccessDeniedException","message":""}"#),
        (413, "RequestEntityTooLarge", "é\n", r#"{"__type":"RequestEntityTooLarge","Message":"é\n"}"#),
    ] {
        let response = wire::WireResponse::error(status, code, message);
        assert_eq!(response.status, status);
        assert_eq!(response.error_code.as_deref(), Some(code));
        assert_eq!(response.content_type, wire::CONTENT_TYPE);
        assert_eq!(str::from_utf8(response.body.expose()).unwrap(), body);
    }
}
