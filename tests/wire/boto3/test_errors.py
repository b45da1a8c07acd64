"""Every error class that the operations reach, with its code, text and status."""

import pytest
from botocore.exceptions import ClientError

from expect import (
    ALL_EXCLUDED,
    BAD_NAME,
    CURRENT_STAYS,
    MARKED,
    NO_FILTERS,
    NO_KMS,
    NO_TOKEN,
    NO_VALUE,
    NOT_FOUND,
    ONE_SELECTOR,
    SCHEDULED,
    SHORT_PASSWORD,
    STAGE_MISMATCH,
    TYPE_EXCLUDED,
    WINDOW_AND_FORCE,
    WINDOW_RANGE,
    name_taken,
    no_such_label,
    no_such_version,
    refused,
    remove_from_missing,
    token_taken,
)

FIRST = "00000000-0000-0000-0000-000000000001"
SECOND = "00000000-0000-0000-0000-000000000002"
UNKNOWN = "00000000-0000-0000-0000-00000000000f"

ON_A_SECRET = [
    ("delete_secret", {}),
    ("describe_secret", {}),
    ("get_secret_value", {}),
    ("list_secret_version_ids", {}),
    ("put_secret_value", {"SecretString": "x"}),
    ("restore_secret", {}),
    ("tag_resource", {"Tags": [{"Key": "k", "Value": "v"}]}),
    ("untag_resource", {"TagKeys": ["k"]}),
    ("update_secret", {"SecretString": "x"}),
    ("update_secret_version_stage", {"VersionStage": "a", "MoveToVersionId": UNKNOWN}),
]
NAMES = [operation for operation, _ in ON_A_SECRET]


@pytest.fixture
def two(client):
    """A secret with a current and a previous version."""
    arn = client.create_secret(Name="two", SecretString="one", ClientRequestToken=FIRST)["ARN"]
    client.put_secret_value(SecretId="two", SecretString="two", ClientRequestToken=SECOND)
    return arn


@pytest.mark.parametrize("operation, more", ON_A_SECRET, ids=NAMES)
def test_a_missing_secret_is_not_found(operation, more, client, account):
    for secret_id in ["missing", f"arn:aws:secretsmanager:us-east-1:{account}:secret:missing-a1B2c3"]:
        with refused(client, "ResourceNotFoundException", NOT_FOUND):
            getattr(client, operation)(SecretId=secret_id, **more)


@pytest.mark.parametrize("operation, more", ON_A_SECRET, ids=NAMES)
@pytest.mark.parametrize("name", ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-"])
def test_a_bad_name_is_not_even_looked_up(name, operation, more, client):
    with refused(client, "ValidationException", BAD_NAME):
        getattr(client, operation)(SecretId=name, **more)


def test_a_bad_name_is_refused_at_creation_and_at_a_forced_deletion(client):
    with refused(client, "ValidationException", BAD_NAME):
        client.create_secret(Name="Inv Name", SecretString="x")
    with refused(client, "ValidationException", BAD_NAME):
        client.delete_secret(SecretId="Inv Name", ForceDeleteWithoutRecovery=True)
    assert client.list_secrets()["SecretList"] == []


MARKED_ON = [row for row in ON_A_SECRET if row[0] not in {"describe_secret", "list_secret_version_ids"}]
MARKED_ON = [row for row in MARKED_ON if row[0] != "restore_secret"]


@pytest.mark.parametrize("operation, more", MARKED_ON, ids=[operation for operation, _ in MARKED_ON])
def test_a_secret_marked_for_deletion_refuses(operation, more, client):
    client.create_secret(Name="marked", SecretString="x")
    client.delete_secret(SecretId="marked")
    with refused(client, "InvalidRequestException", MARKED):
        getattr(client, operation)(SecretId="marked", **more)


def test_a_value_that_does_not_exist_is_not_found(client, two):
    with refused(client, "ResourceNotFoundException", no_such_label("AWSPENDING")):
        client.get_secret_value(SecretId="two", VersionStage="AWSPENDING")
    with refused(client, "ResourceNotFoundException", no_such_version(UNKNOWN)):
        client.get_secret_value(SecretId="two", VersionId=UNKNOWN)
    with refused(client, "ResourceNotFoundException", no_such_version(UNKNOWN)):
        client.get_secret_value(SecretId="two", VersionId=UNKNOWN, VersionStage="AWSCURRENT")
    client.create_secret(Name="empty")
    with refused(client, "ResourceNotFoundException", no_such_label("AWSCURRENT")):
        client.get_secret_value(SecretId="empty")


def test_a_version_and_a_label_must_agree(client, two):
    with refused(client, "InvalidRequestException", STAGE_MISMATCH):
        client.get_secret_value(SecretId="two", VersionId=FIRST, VersionStage="AWSCURRENT")


def test_a_name_is_taken_once(client, two):
    with refused(client, "ResourceExistsException", name_taken("two")):
        client.create_secret(Name="two", SecretString="two")
    client.delete_secret(SecretId="two")
    with refused(client, "InvalidRequestException", SCHEDULED):
        client.create_secret(Name="two", SecretString="two")


@pytest.mark.parametrize("operation", ["create_secret", "put_secret_value", "update_secret"])
def test_a_token_is_not_reused_for_another_value(operation, client, two):
    subject = {"Name": "two"} if operation == "create_secret" else {"SecretId": "two"}
    with refused(client, "ResourceExistsException", token_taken(FIRST, two)):
        getattr(client, operation)(SecretString="other", ClientRequestToken=FIRST, **subject)
    # The same bytes in the other form are another value.
    with refused(client, "ResourceExistsException", token_taken(FIRST, two)):
        getattr(client, operation)(SecretBinary=b"one", ClientRequestToken=FIRST, **subject)


@pytest.mark.parametrize("operation", ["CreateSecret", "PutSecretValue", "UpdateSecret"])
def test_a_write_without_a_token_is_refused_before_the_secret_is_looked_up(operation, server):
    subject = {"Name": "raw"} if operation == "CreateSecret" else {"SecretId": "raw"}
    answer = server.send({"SecretString": "x", "Description": "d", **subject}, operation)
    assert answer.status == 400
    assert answer.json == {"__type": "InvalidRequestException", "Message": NO_TOKEN}
    assert server.client().list_secrets()["SecretList"] == []


def test_a_put_needs_a_value(client, two):
    with refused(client, "InvalidRequestException", NO_VALUE):
        client.put_secret_value(SecretId="two")
    with refused(client, "InvalidRequestException", NO_VALUE):
        client.put_secret_value(SecretId="missing")


@pytest.mark.parametrize("operation", ["create_secret", "put_secret_value", "update_secret"])
def test_two_values_at_once_are_refused(operation, client, two):
    subject = {"Name": "new"} if operation == "create_secret" else {"SecretId": "two"}
    with refused(client, "InvalidParameterException"):
        getattr(client, operation)(SecretString="x", SecretBinary=b"x", **subject)
    assert client.get_secret_value(SecretId="two")["VersionId"] == SECOND


@pytest.mark.parametrize("more", [{}, {"ForceDeleteWithoutRecovery": False}, {"ForceDeleteWithoutRecovery": True}])
@pytest.mark.parametrize("days", [-1, 0, 6, 31, 2**40])
def test_a_recovery_window_has_7_to_30_days(days, more, client, two):
    with refused(client, "InvalidParameterException", WINDOW_RANGE):
        client.delete_secret(SecretId="two", RecoveryWindowInDays=days, **more)


def test_a_recovery_window_excludes_force(client, two):
    with refused(client, "InvalidParameterException", WINDOW_AND_FORCE):
        client.delete_secret(SecretId="two", RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True)
    assert "DeletedDate" not in client.describe_secret(SecretId="two")


def test_the_current_label_moves_but_is_never_removed(client, two):
    with refused(client, "InvalidParameterException", CURRENT_STAYS):
        client.update_secret_version_stage(SecretId="two", VersionStage="AWSCURRENT", RemoveFromVersionId=SECOND)
    for label, holder, target in [("AWSCURRENT", SECOND, FIRST), ("AWSPREVIOUS", FIRST, SECOND)]:
        with refused(client, "InvalidParameterException", remove_from_missing(label, holder)):
            client.update_secret_version_stage(SecretId="two", VersionStage=label, MoveToVersionId=target)
    with refused(client, "InvalidParameterException") as caught:
        client.update_secret_version_stage(
            SecretId="two", VersionStage="AWSCURRENT", RemoveFromVersionId=FIRST, MoveToVersionId=FIRST
        )
    assert caught.value.response["Error"]["Message"].startswith(
        "When you move staging label AWSCURRENT, if you specify RemoveFromVersionId, it must be set to the version "
        "that currently has the staging label"
    )
    with refused(client, "InvalidParameterException"):
        client.update_secret_version_stage(SecretId="two", VersionStage="AWSCURRENT")
    with refused(client, "ResourceNotFoundException", no_such_version(UNKNOWN)):
        client.update_secret_version_stage(SecretId="two", VersionStage="new", MoveToVersionId=UNKNOWN)


def test_a_secret_holds_20_labels(server, account, two):
    # This error is one of those that the client would repeat some times.
    client = server.client(account, retries={"total_max_attempts": 1})
    for number in range(18):
        client.update_secret_version_stage(SecretId="two", VersionStage=f"label-{number}", MoveToVersionId=FIRST)
    with refused(client, "LimitExceededException"):
        client.update_secret_version_stage(SecretId="two", VersionStage="label-18", MoveToVersionId=FIRST)
    with refused(client, "LimitExceededException"):
        client.put_secret_value(SecretId="two", SecretString="x", VersionStages=["label-18"])
    assert client.get_secret_value(SecretId="two", VersionStage="label-17")["VersionId"] == FIRST
    assert client.get_secret_value(SecretId="two")["VersionId"] == SECOND


TAG_ROWS = [
    [{"Key": "aws:team", "Value": "v"}],
    [{"Key": "AWS:team", "Value": "v"}],
    [{"Key": "twice", "Value": "a"}, {"Key": "twice", "Value": "b"}],
    [{"Key": str(number), "Value": "v"} for number in range(51)],
]


@pytest.mark.parametrize("tags", TAG_ROWS, ids=["reserved", "reserved in capitals", "twice", "too many"])
def test_tags_are_refused(tags, client, two):
    with refused(client, "InvalidParameterException"):
        client.tag_resource(SecretId="two", Tags=tags)
    with refused(client, "InvalidParameterException"):
        client.create_secret(Name="new", Tags=tags)
    assert "Tags" not in client.describe_secret(SecretId="two")
    assert [entry["Name"] for entry in client.list_secrets()["SecretList"]] == ["two"]


BATCH_ROWS = [
    ({"SecretIdList": ["two"], "Filters": [{"Key": "name", "Values": ["t"]}]}, ONE_SELECTOR),
    ({}, None),
    ({"SecretIdList": ["two"], "MaxResults": 1}, NO_FILTERS),
]


@pytest.mark.parametrize("selectors, text", BATCH_ROWS, ids=["both selectors", "neither", "a page of a list"])
def test_a_batch_has_one_selector(selectors, text, client, two):
    with refused(client, "InvalidParameterException", text):
        client.batch_get_secret_value(**selectors)


PASSWORD_ROWS = [
    ({"PasswordLength": 3}, SHORT_PASSWORD),
    ({"ExcludeCharacters": "0123456789"}, TYPE_EXCLUDED),
    (
        {"ExcludeLowercase": True, "ExcludeUppercase": True, "ExcludeNumbers": True, "ExcludePunctuation": True},
        ALL_EXCLUDED,
    ),
]


@pytest.mark.parametrize("members, text", PASSWORD_ROWS, ids=["too short", "a type is empty", "all is excluded"])
def test_an_impossible_password_is_refused(members, text, client):
    with refused(client, "InvalidParameterException", text):
        client.get_random_password(**members)


@pytest.mark.parametrize(
    "operation, more",
    [
        ("list_secrets", {}),
        ("list_secret_version_ids", {"SecretId": "two"}),
        ("batch_get_secret_value", {"Filters": [{"Key": "name", "Values": ["t"]}]}),
    ],
    ids=["list_secrets", "list_secret_version_ids", "batch_get_secret_value"],
)
def test_a_token_of_nobody_is_no_next_page(operation, more, client, two):
    with refused(client, "InvalidNextTokenException", "The NextToken value is invalid."):
        getattr(client, operation)(NextToken="made up", **more)


def one(text):
    return f"1 validation error detected: {text}"


VALIDATION_ROWS = [
    (
        "get_secret_value",
        {"SecretId": "two", "VersionId": "AWSCURRENT"},
        one(
            "Value 'AWSCURRENT' at 'versionId' failed to satisfy constraint: "
            "Member must have length greater than or equal to 32"
        ),
    ),
    (
        "create_secret",
        {"Name": "new", "SecretString": ""},
        one("Value at 'secretString' failed to satisfy constraint: Member must have length greater than or equal to 1"),
    ),
    (
        "put_secret_value",
        {"SecretId": "two", "SecretString": "x" * 65_537},
        one(
            "Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536"
        ),
    ),
    (
        "put_secret_value",
        {"SecretId": "two", "SecretBinary": b"x" * 65_537},
        one(
            "Value at 'secretBinary' failed to satisfy constraint: Member must have length less than or equal to 65536"
        ),
    ),
    (
        "describe_secret",
        {},
        one("Value null at 'secretId' failed to satisfy constraint: Member must not be null"),
    ),
    (
        "get_random_password",
        {"PasswordLength": 4097},
        one(
            "Value '4097' at 'passwordLength' failed to satisfy constraint: "
            "Member must have value less than or equal to 4096"
        ),
    ),
    (
        "list_secrets",
        {"MaxResults": 0},
        one(
            "Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"
        ),
    ),
    (
        "list_secrets",
        {"Filters": [{"Key": "colour", "Values": ["red"]}]},
        one(
            "Value 'colour' at 'filters.1.member.key' failed to satisfy constraint: Member must satisfy enum value set: "
            "[all, name, tag-key, description, tag-value, primary-region, owning-service]"
        ),
    ),
    (
        "create_secret",
        {"Name": "", "SecretString": "x" * 65_537},
        "2 validation errors detected: Value '' at 'name' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1; "
        "Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536",
    ),
]


@pytest.mark.parametrize(
    "operation, members, text",
    VALIDATION_ROWS,
    ids=[
        "a short version id",
        "an empty value",
        "a long value",
        "many bytes",
        "nothing required",
        "a long password",
        "an empty page",
        "an unknown filter",
        "two at once",
    ],
)
def test_a_request_of_the_wrong_shape_is_refused(operation, members, text, unchecked, client, two):
    with refused(unchecked, "ValidationException") as caught:
        getattr(unchecked, operation)(**members)
    found = caught.value.response["Error"]["Message"]
    if "enum value set" in text:
        # The order of the names inside the brackets is not known.
        assert sorted(found.split("[")[1].strip("]").split(", ")) == sorted(text.split("[")[1].strip("]").split(", "))
        found, text = found.split("[")[0], text.split("[")[0]
    assert found == text
    assert client.get_secret_value(SecretId="two")["VersionId"] == SECOND


def test_a_key_that_does_not_exist_is_refused(client):
    with refused(client, "AccessDeniedException", NO_KMS):
        client.create_secret(Name="new", SecretString="x", KmsKeyId="alias/nobody")
    assert client.list_secrets()["SecretList"] == []


def test_errors_have_the_class_of_the_client(client):
    """A program can catch them by name, and as the general error."""
    try:
        client.get_secret_value(SecretId="missing")
    except client.exceptions.ResourceNotFoundException as error:
        assert isinstance(error, ClientError)
        assert error.operation_name == "GetSecretValue"
    else:
        raise AssertionError("no error")
