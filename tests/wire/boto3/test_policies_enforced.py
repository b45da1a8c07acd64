"""`--enforce-policies` with three callers of two accounts."""

import itertools
import json

import pytest
from botocore import UNSIGNED

from expect import NOT_FOUND, refused
from server import Server, run

HOME, AWAY = "111122223333", "444455556666"
ROOT, READER, STRANGER = (
    f"arn:aws:iam::{HOME}:root",
    f"arn:aws:iam::{HOME}:user/reader",
    f"arn:aws:iam::{AWAY}:user/stranger",
)
DEFAULT_KEY = (
    "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key."
)
LOCKED_OUT = "Your requested changes will not allow you to manage this secret in the future."
SHARED_KEY = "alias/shared"
NAMES = itertools.count(1)


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def entry(key_id, principal, *policies, **more):
    account = principal.split(":")[4]
    secret = f"secret/of+{key_id}"
    known = {"access_key_id": key_id, "secret_access_key": secret, "account": account, "principal": principal}
    return {**known, "policies": list(policies), **more}


CREDENTIALS = [
    entry("AKIDROOT", ROOT),
    entry(
        "AKIDREADER",
        READER,
        document(
            allow("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:*:{HOME}:secret:open/*"),
            allow(["secretsmanager:ListSecrets", "secretsmanager:BatchGetSecretValue"]),
        ),
        document(
            allow(
                "secretsmanager:*",
                f"arn:aws:secretsmanager:*:{HOME}:secret:tagged/*",
                Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
            )
        ),
        tags={"team": "payments"},
        session_token="token/of+reader",
    ),
    entry(
        "AKIDSTRANGER",
        STRANGER,
        document(
            allow("secretsmanager:*", f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:shared/*"),
            allow("secretsmanager:*", f"arn:aws:secretsmanager:*:{AWAY}:secret:*"),
            allow(["secretsmanager:ListSecrets", "secretsmanager:GetRandomPassword"]),
        ),
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("enforced")
    store = ["--dir", folder / "store", "--account", HOME]
    for line in [["init"], ["keys", "create", "--alias", SHARED_KEY]]:
        done = run(*line, *store)
        assert done.returncode == 0, done.stderr
    path = folder / "credentials.json"
    path.write_text(json.dumps({"credentials": CREDENTIALS}))
    path.chmod(0o600)
    with Server(folder, "--enforce-policies", "--credentials", path) as server:
        yield server


def of(server, key_id, **more):
    known = next(entry for entry in CREDENTIALS if entry["access_key_id"] == key_id)
    return server.client(key_id, secret=known["secret_access_key"], session_token=known.get("session_token"), **more)


@pytest.fixture
def root(server):
    return of(server, "AKIDROOT")


@pytest.fixture
def reader(server):
    return of(server, "AKIDREADER")


@pytest.fixture
def stranger(server):
    return of(server, "AKIDSTRANGER")


def make(root, folder, policy=None, **more):
    """Makes a secret, and gives its ARN."""
    arn = root.create_secret(Name=f"{folder}/{next(NAMES)}", SecretString="v", **more)["ARN"]
    if policy:
        root.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy))
    return arn


def name(arn):
    return arn.split(":")[6].rsplit("-", 1)[0]


def missing(principal, action, resource=None, kind="identity"):
    on = f" on resource: {resource}" if resource else ""
    action = f"secretsmanager:{action}"
    return (
        f"User: {principal} is not authorized to perform: {action}{on} because no {kind}-based policy allows the "
        f"{action} action"
    )


def denied(principal, action, resource, kind):
    return (
        f"User: {principal} is not authorized to perform: secretsmanager:{action} on resource: {resource} with an "
        f"explicit deny in a {kind}-based policy"
    )


def reads(client, arn):
    return client.get_secret_value(SecretId=arn)["SecretString"] == "v"


def test_what_no_policy_allows_is_denied_in_the_services_words(root, reader):
    arn = make(root, "other")
    for action, call in [
        ("GetSecretValue", lambda: reader.get_secret_value(SecretId=arn)),
        ("DescribeSecret", lambda: reader.describe_secret(SecretId=arn)),
        ("PutSecretValue", lambda: reader.put_secret_value(SecretId=arn, SecretString="w")),
        ("UpdateSecret", lambda: reader.update_secret(SecretId=arn, Description="d")),
        ("DeleteSecret", lambda: reader.delete_secret(SecretId=arn)),
        ("TagResource", lambda: reader.tag_resource(SecretId=arn, Tags=[{"Key": "a", "Value": "b"}])),
        ("GetResourcePolicy", lambda: reader.get_resource_policy(SecretId=arn)),
        ("DeleteResourcePolicy", lambda: reader.delete_resource_policy(SecretId=arn)),
        ("RestoreSecret", lambda: reader.restore_secret(SecretId=arn)),
    ]:
        with refused(reader, "AccessDeniedException", missing(READER, action, arn)):
            call()
    with refused(reader, "AccessDeniedException", missing(READER, "GetRandomPassword")):
        reader.get_random_password()
    with refused(reader, "AccessDeniedException") as caught:
        reader.create_secret(Name="new/one")
    text = caught.value.response["Error"]["Message"]
    assert "secretsmanager:CreateSecret on resource: new/one because" in text
    assert "new/one" not in {entry["Name"] for entry in root.list_secrets()["SecretList"]}
    assert root.describe_secret(SecretId=arn).keys().isdisjoint({"Description", "DeletedDate", "Tags"})


def test_the_root_user_of_the_account_may_do_everything_in_it(root):
    arn = make(root, "any")
    assert reads(root, name(arn)) and len(root.get_random_password()["RandomPassword"]) == 32
    root.put_secret_value(SecretId=arn, SecretString="w")
    root.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_an_identity_policy_allows(root, reader):
    arn = make(root, "open")
    assert reads(reader, arn) and reads(reader, name(arn))
    with refused(reader, "AccessDeniedException", missing(READER, "DescribeSecret", arn)):
        reader.describe_secret(SecretId=arn)
    # In every Region, and what is not there is not there for those who may read it.
    with refused(reader, "ResourceNotFoundException", NOT_FOUND):
        reader.get_secret_value(SecretId="open/absent")


def test_a_resource_policy_that_names_the_caller_allows_by_itself(root, reader):
    policy = document(allow("secretsmanager:GetSecretValue", Principal={"AWS": READER}))
    arn = make(root, "private", policy)
    assert reads(reader, arn)
    # One that names the account leaves it to the policies of the caller.
    root.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy).replace(READER, ROOT))
    with refused(reader, "AccessDeniedException", missing(READER, "GetSecretValue", arn)):
        reader.get_secret_value(SecretId=arn)
    root.delete_resource_policy(SecretId=arn)
    assert "ResourcePolicy" not in root.get_resource_policy(SecretId=arn)


@pytest.mark.parametrize("principal", [STRANGER, f"arn:aws:iam::{AWAY}:root", AWAY, "*"])
def test_another_account_needs_both_policies_and_the_whole_arn(principal, root, stranger):
    policy = document(allow("secretsmanager:GetSecretValue", Principal={"AWS": principal}))
    arn = make(root, "shared", KmsKeyId=SHARED_KEY)
    with refused(stranger, "AccessDeniedException", missing(STRANGER, "GetSecretValue", arn, "resource")):
        stranger.get_secret_value(SecretId=arn)
    root.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy))
    assert reads(stranger, arn)
    assert stranger.get_secret_value(SecretId=arn)["ARN"] == arn
    # A name is one of the caller's own account, and an ARN without its end is nothing in another one.
    with refused(stranger, "ResourceNotFoundException", NOT_FOUND):
        stranger.get_secret_value(SecretId=name(arn))
    partial = arn.rsplit("-", 1)[0]
    with refused(stranger, "AccessDeniedException", missing(STRANGER, "GetSecretValue", partial, "resource")):
        stranger.get_secret_value(SecretId=partial)
    with refused(stranger, "AccessDeniedException", missing(STRANGER, "DescribeSecret", arn, "resource")):
        stranger.describe_secret(SecretId=arn)
    # The resource's policy alone is not enough.
    private = make(root, "private", policy, KmsKeyId=SHARED_KEY)
    with refused(stranger, "AccessDeniedException", missing(STRANGER, "GetSecretValue", private)):
        stranger.get_secret_value(SecretId=private)


def test_the_default_key_is_for_its_own_account_only(root, stranger):
    policy = document(allow("secretsmanager:*", Principal={"AWS": STRANGER}))
    arn = make(root, "shared", policy)
    for call in [
        lambda: stranger.get_secret_value(SecretId=arn),
        lambda: stranger.put_secret_value(SecretId=arn, SecretString="w"),
        lambda: stranger.update_secret(SecretId=arn, SecretString="w"),
    ]:
        with refused(stranger, "InvalidRequestException", DEFAULT_KEY):
            call()
    # What needs no value goes on.
    assert stranger.describe_secret(SecretId=arn)["Name"] == name(arn)
    root.update_secret(SecretId=arn, KmsKeyId=SHARED_KEY)
    assert reads(stranger, arn)
    stranger.put_secret_value(SecretId=arn, SecretString="theirs")
    assert root.get_secret_value(SecretId=arn)["SecretString"] == "theirs"


def test_a_statement_that_denies_decides(root, reader):
    office = {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    policy = document(
        allow("secretsmanager:GetSecretValue", Principal="*"),
        deny("secretsmanager:GetSecretValue", Principal="*", Condition=office),
    )
    arn = make(root, "open", policy)
    for client, principal in [(root, ROOT), (reader, READER)]:
        with refused(client, "AccessDeniedException", denied(principal, "GetSecretValue", arn, "resource")):
            client.get_secret_value(SecretId=arn)
    assert root.describe_secret(SecretId=arn)["ARN"] == arn, "the statement is about reading only"


@pytest.mark.parametrize(
    "condition, is_allowed",
    [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.1"}}, True),
        ({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "127.0.0.0/8"]}}, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}, True),
        ({"StringEquals": {"secretsmanager:VersionStage": "AWSPENDING"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HOME}:user/*"}}, True),
    ],
)
def test_conditions_see_the_request(condition, is_allowed, root, reader):
    policy = document(allow("secretsmanager:GetSecretValue", Principal={"AWS": READER}, Condition=condition))
    arn = make(root, "private", policy)
    if is_allowed:
        assert reader.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"] == "v"
    else:
        with refused(reader, "AccessDeniedException", missing(READER, "GetSecretValue", arn)):
            reader.get_secret_value(SecretId=arn)


def test_tags_of_secret_and_caller_decide(root, reader):
    arns = {
        team: make(root, "tagged", Tags=[{"Key": "team", "Value": team}]) for team in ["payments", "orders"]
    }
    assert reads(reader, arns["payments"])
    assert reader.describe_secret(SecretId=arns["payments"])["Tags"] == [{"Key": "team", "Value": "payments"}]
    with refused(reader, "AccessDeniedException", missing(READER, "GetSecretValue", arns["orders"])):
        reader.get_secret_value(SecretId=arns["orders"])
    root.tag_resource(SecretId=arns["orders"], Tags=[{"Key": "team", "Value": "payments"}])
    assert reads(reader, arns["orders"])


def test_nobody_takes_away_what_they_may_by_changing_tags(root, reader):
    arn = make(root, "tagged", Tags=[{"Key": "team", "Value": "payments"}, {"Key": "stage", "Value": "test"}])
    for call in [
        lambda: reader.tag_resource(SecretId=arn, Tags=[{"Key": "team", "Value": "orders"}]),
        lambda: reader.untag_resource(SecretId=arn, TagKeys=["team"]),
    ]:
        with refused(reader, "AccessDeniedException"):
            call()
    assert root.describe_secret(SecretId=arn)["Tags"][0] == {"Key": "team", "Value": "payments"}
    reader.untag_resource(SecretId=arn, TagKeys=["stage"])
    reader.tag_resource(SecretId=arn, Tags=[{"Key": "stage", "Value": "live"}])
    assert reads(reader, arn)


def test_nobody_locks_themselves_out_by_a_policy(root, reader):
    arn = make(root, "tagged", Tags=[{"Key": "team", "Value": "payments"}])
    locked = [
        document(deny("secretsmanager:*", Principal="*")),
        document(deny("secretsmanager:PutResourcePolicy", Principal={"AWS": [READER, ROOT]})),
    ]
    for client, policy in itertools.product([root, reader], locked):
        with refused(client, "InvalidParameterException", LOCKED_OUT):
            client.put_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy))
        checked = client.validate_resource_policy(SecretId=arn, ResourcePolicy=json.dumps(policy))
        assert [error["CheckName"] for error in checked["ValidationErrors"]] == ["LockOutCheck"]
    assert "ResourcePolicy" not in root.get_resource_policy(SecretId=arn)
    # To lock somebody else out is no fault.
    only = json.dumps(document(deny("secretsmanager:*", Principal={"AWS": READER})))
    root.put_resource_policy(SecretId=arn, ResourcePolicy=only)
    with refused(reader, "AccessDeniedException", denied(READER, "DeleteResourcePolicy", arn, "resource")):
        reader.delete_resource_policy(SecretId=arn)
    root.delete_resource_policy(SecretId=arn)
    assert reads(reader, arn)


def test_a_list_is_of_the_callers_own_account(server, root, reader, stranger):
    arn = make(root, "shared", document(allow("secretsmanager:*", Principal={"AWS": STRANGER})))
    theirs = stranger.create_secret(Name=name(arn), SecretString="theirs")["ARN"]
    assert theirs.split(":")[4] == AWAY
    assert [entry["ARN"] for entry in stranger.list_secrets()["SecretList"]] == [theirs]
    listed = {entry["ARN"] for page in reader.get_paginator("list_secrets").paginate() for entry in page["SecretList"]}
    assert arn in listed and theirs not in listed
    assert stranger.get_secret_value(SecretId=name(arn))["SecretString"] == "theirs"
    assert of(server, "AKIDSTRANGER", region="eu-west-1").list_secrets()["SecretList"] == []


def test_a_batch_tells_for_each_secret_whether_it_may_be_read(root, reader):
    mine, other = make(root, "open"), make(root, "other")
    batch = reader.batch_get_secret_value(SecretIdList=[mine, other, "open/absent"])
    assert [value["ARN"] for value in batch["SecretValues"]] == [mine]
    errors = {error["SecretId"]: (error["ErrorCode"], error["Message"]) for error in batch["Errors"]}
    assert errors == {
        other: ("AccessDeniedException", missing(READER, "GetSecretValue", other)),
        "open/absent": ("ResourceNotFoundException", NOT_FOUND),
    }


def test_whoever_is_not_named_is_not_let_in(server):
    for client, code in [
        (server.client(signature_version=UNSIGNED), "MissingAuthenticationTokenException"),
        (server.client(HOME, secret="any"), "UnrecognizedClientException"),
        (server.client("AKIDROOT", secret="wrong"), "InvalidSignatureException"),
        (server.client("AKIDREADER", secret="secret/of+AKIDREADER"), "UnrecognizedClientException"),
    ]:
        with refused(client, code):
            client.list_secrets()
    assert of(server, "AKIDROOT", region="eu-west-1").list_secrets()["SecretList"] == []
