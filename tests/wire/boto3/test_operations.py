"""Every operation once, with all the members its answer may have."""

import json
import re
import string
import uuid
from datetime import datetime, timedelta, timezone

import pytest

from expect import members, refused, stages

TOKEN = "11111111-2222-3333-4444-555555555555"
OTHER_TOKEN = "66666666-7777-8888-9999-000000000000"


def arn_of(account, name, region="us-east-1"):
    return re.compile(rf"arn:aws:secretsmanager:{region}:{account}:secret:{re.escape(name)}-[A-Za-z0-9]{{6}}")


def test_a_secret_is_created_with_its_first_version(client, account):
    created = client.create_secret(Name="db/main", SecretString="one", ClientRequestToken=TOKEN)
    assert members(created) == {"ARN", "Name", "VersionId"}
    assert arn_of(account, "db/main").fullmatch(created["ARN"])
    assert (created["Name"], created["VersionId"]) == ("db/main", TOKEN)
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert created["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.1"
    assert stages(client, "db/main") == {TOKEN: {"AWSCURRENT"}}


def test_every_answer_has_a_request_id_of_its_own(client):
    ids = {client.list_secrets()["ResponseMetadata"]["RequestId"] for _ in range(5)}
    assert len(ids) == 5 and all(ids)


def test_a_secret_without_a_value_has_no_versions(client):
    assert members(client.create_secret(Name="empty", Description="")) == {"ARN", "Name"}
    described = client.describe_secret(SecretId="empty")
    assert members(described) == {"ARN", "Name", "CreatedDate", "LastChangedDate"}
    assert client.list_secret_version_ids(SecretId="empty")["Versions"] == []


def test_a_value_is_put(client):
    arn = client.create_secret(Name="put", SecretString="one")["ARN"]
    put = client.put_secret_value(SecretId="put", SecretString="two", ClientRequestToken=TOKEN)
    assert members(put) == {"ARN", "Name", "VersionId", "VersionStages"}
    assert (put["ARN"], put["Name"], put["VersionId"], put["VersionStages"]) == (arn, "put", TOKEN, ["AWSCURRENT"])
    assert client.get_secret_value(SecretId="put")["SecretString"] == "two"
    assert client.get_secret_value(SecretId="put", VersionStage="AWSPREVIOUS")["SecretString"] == "one"


def test_a_secret_is_updated(client):
    client.create_secret(Name="update", SecretString="one", Description="old")
    assert members(client.update_secret(SecretId="update")) == {"ARN", "Name"}
    assert members(client.update_secret(SecretId="update", Description="new")) == {"ARN", "Name"}
    assert client.describe_secret(SecretId="update")["Description"] == "new"
    updated = client.update_secret(SecretId="update", SecretString="two", ClientRequestToken=TOKEN)
    assert members(updated) == {"ARN", "Name", "VersionId"}
    assert updated["VersionId"] == TOKEN
    assert client.describe_secret(SecretId="update")["Description"] == "new"
    assert client.get_secret_value(SecretId="update")["SecretString"] == "two"


def test_a_value_is_read_by_label_and_by_version(client):
    first = client.create_secret(Name="get", SecretString="one")
    second = client.put_secret_value(SecretId="get", SecretString="two")
    for selector, version, value, labels in [
        ({}, second["VersionId"], "two", ["AWSCURRENT"]),
        ({"VersionStage": "AWSCURRENT"}, second["VersionId"], "two", ["AWSCURRENT"]),
        ({"VersionStage": "AWSPREVIOUS"}, first["VersionId"], "one", ["AWSPREVIOUS"]),
        ({"VersionId": first["VersionId"]}, first["VersionId"], "one", ["AWSPREVIOUS"]),
        ({"VersionId": first["VersionId"], "VersionStage": "AWSPREVIOUS"}, first["VersionId"], "one", ["AWSPREVIOUS"]),
    ]:
        got = client.get_secret_value(SecretId="get", **selector)
        assert members(got) == {"ARN", "Name", "VersionId", "SecretString", "VersionStages", "CreatedDate"}
        assert (got["ARN"], got["Name"]) == (first["ARN"], "get")
        assert (got["VersionId"], got["SecretString"], got["VersionStages"]) == (version, value, labels)


@pytest.mark.parametrize("form", ["name", "complete ARN", "ARN without the suffix"])
def test_a_secret_is_found_by(form, client):
    arn = client.create_secret(Name="path/to-it", SecretString="one")["ARN"]
    secret_id = {"name": "path/to-it", "complete ARN": arn, "ARN without the suffix": arn[:-7]}[form]
    got = client.get_secret_value(SecretId=secret_id)
    assert (got["ARN"], got["Name"], got["SecretString"]) == (arn, "path/to-it", "one")


@pytest.mark.parametrize(
    "value",
    [b"\x00", bytes(range(256)), b"footest", b"\xff" * 65_536],
    ids=["one zero", "every byte", "text", "the largest"],
)
def test_bytes_come_back_as_they_were(value, client):
    created = client.create_secret(Name="binary", SecretBinary=value)
    got = client.get_secret_value(SecretId="binary")
    assert got["SecretBinary"] == value
    assert "SecretString" not in got
    batch = client.batch_get_secret_value(SecretIdList=["binary"])
    assert batch["SecretValues"][0]["SecretBinary"] == value
    # Versions of one secret may differ in form.
    client.put_secret_value(SecretId="binary", SecretString="text")
    assert members(client.get_secret_value(SecretId="binary")) >= {"SecretString"}
    assert client.get_secret_value(SecretId="binary", VersionId=created["VersionId"])["SecretBinary"] == value


@pytest.mark.parametrize(
    "value",
    ['{"user":"admin","password":"p\\"w\\\\d"}', " \t\r\n", "\u00e4\u20ac\U0001f511\u0000\u2028", "x" * 65_536],
    ids=["JSON", "white space", "Unicode", "the largest"],
)
def test_text_comes_back_as_it_was(value, client):
    client.create_secret(Name="text", SecretString=value)
    assert client.get_secret_value(SecretId="text")["SecretString"] == value


def test_several_values_are_read_at_once(client):
    for name in ["one", "two"]:
        client.create_secret(Name=name, SecretString=f"value of {name}")
    client.create_secret(Name="empty")
    client.create_secret(Name="gone", SecretString="x")
    client.delete_secret(SecretId="gone")
    answer = client.batch_get_secret_value(SecretIdList=["two", "missing", "one", "empty", "gone"])
    assert members(answer) == {"SecretValues", "Errors"}
    assert [(value["Name"], value["SecretString"]) for value in answer["SecretValues"]] == [
        ("two", "value of two"),
        ("one", "value of one"),
    ]
    assert members(answer["SecretValues"][0]) == {
        "ARN",
        "Name",
        "VersionId",
        "SecretString",
        "VersionStages",
        "CreatedDate",
    }
    assert [(error["SecretId"], error["ErrorCode"], error["Message"]) for error in answer["Errors"]] == [
        ("missing", "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        (
            "empty",
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
        ),
        (
            "gone",
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        ),
    ]
    assert client.batch_get_secret_value(SecretIdList=["one"])["Errors"] == []


def test_a_secret_is_described(client):
    created = client.create_secret(
        Name="whole", SecretString="one", Description="about", Tags=[{"Key": "team", "Value": "a"}]
    )
    client.get_secret_value(SecretId="whole")
    described = client.describe_secret(SecretId="whole")
    assert members(described) == {
        "ARN",
        "Name",
        "Description",
        "Tags",
        "VersionIdsToStages",
        "CreatedDate",
        "LastChangedDate",
        "LastAccessedDate",
    }
    assert (described["ARN"], described["Description"]) == (created["ARN"], "about")
    assert described["VersionIdsToStages"] == {created["VersionId"]: ["AWSCURRENT"]}


def test_dates_arrive_as_moments_in_milliseconds(client):
    before = datetime.now(timezone.utc)
    client.create_secret(Name="dated", SecretString="one")
    after = datetime.now(timezone.utc)
    client.get_secret_value(SecretId="dated")
    described = client.describe_secret(SecretId="dated")
    created = described["CreatedDate"]
    assert before - timedelta(milliseconds=2) <= created <= after + timedelta(milliseconds=2)
    assert created.microsecond % 1000 == 0
    assert described["LastChangedDate"] == created
    # The date of the last access is a whole day.
    accessed = described["LastAccessedDate"].astimezone(timezone.utc)
    assert (accessed.hour, accessed.minute, accessed.second, accessed.microsecond) == (0, 0, 0, 0)
    assert after - timedelta(days=1) <= accessed <= after + timedelta(minutes=1)
    assert client.get_secret_value(SecretId="dated")["CreatedDate"] == created
    assert client.list_secret_version_ids(SecretId="dated")["Versions"][0]["CreatedDate"] == created
    assert client.list_secrets()["SecretList"][0]["CreatedDate"] == created


def test_each_update_changes_the_date_of_the_last_change(client):
    client.create_secret(Name="changing", SecretString="same")
    dates = [client.describe_secret(SecretId="changing")["LastChangedDate"]]
    for _ in range(5):
        client.update_secret(SecretId="changing", SecretString="same")
        dates.append(client.describe_secret(SecretId="changing")["LastChangedDate"])
    assert dates == sorted(set(dates))


def test_tags_are_absent_until_there_were_some(client):
    client.create_secret(Name="tagged", SecretString="one")
    assert "Tags" not in client.describe_secret(SecretId="tagged")
    client.untag_resource(SecretId="tagged", TagKeys=["team"])
    assert "Tags" not in client.describe_secret(SecretId="tagged")
    tags = [{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": ""}]
    assert members(client.tag_resource(SecretId="tagged", Tags=tags)) == set()
    assert client.describe_secret(SecretId="tagged")["Tags"] == tags
    # A known key keeps its place.
    client.tag_resource(SecretId="tagged", Tags=[{"Key": "new", "Value": "n"}, {"Key": "team", "Value": "b"}])
    assert client.describe_secret(SecretId="tagged")["Tags"] == [
        {"Key": "team", "Value": "b"},
        {"Key": "stage", "Value": ""},
        {"Key": "new", "Value": "n"},
    ]
    answer = client.untag_resource(SecretId="tagged", TagKeys=["team", "stage", "new", "unknown"])
    assert members(answer) == set()
    assert client.describe_secret(SecretId="tagged")["Tags"] == []
    assert client.list_secrets()["SecretList"][0]["Tags"] == []


def test_an_empty_list_of_tags_at_creation_is_kept(client):
    client.create_secret(Name="no-tags", Tags=[])
    assert client.describe_secret(SecretId="no-tags")["Tags"] == []


@pytest.mark.parametrize("operation", ["tag_resource", "untag_resource"])
def test_an_operation_without_an_answer_has_an_empty_body(operation, server, account):
    client = server.client(account)
    client.create_secret(Name="tagged")
    target = {"tag_resource": "TagResource", "untag_resource": "UntagResource"}[operation]
    more = {"Tags": [{"Key": "k", "Value": "v"}]} if operation == "tag_resource" else {"TagKeys": ["k"]}
    answer = server.send({"SecretId": "tagged", **more}, target, Authorization=authorization(account))
    assert (answer.status, answer.body) == (200, b"")


def authorization(account, region="us-east-1"):
    scope = f"{account}/20250101/{region}/secretsmanager/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"


@pytest.mark.parametrize("length", [None, 8, 4096])
def test_a_random_password_has_the_length_and_every_type(length, client):
    more = {} if length is None else {"PasswordLength": length}
    answer = client.get_random_password(**more)
    assert members(answer) == {"RandomPassword"}
    password = answer["RandomPassword"]
    assert len(password) == (length or 32)
    for kind in [string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation]:
        assert set(password) & set(kind)
    assert client.get_random_password(**more)["RandomPassword"] != password
    assert client.list_secrets()["SecretList"] == []


def test_a_random_password_is_made_of_what_is_allowed(client):
    password = client.get_random_password(
        PasswordLength=200, ExcludeUppercase=True, ExcludePunctuation=True, ExcludeNumbers=True, ExcludeCharacters="abc"
    )["RandomPassword"]
    assert len(password) == 200
    assert set(password) <= set(string.ascii_lowercase) - set("abc")
    spaces = client.get_random_password(
        IncludeSpace=True, ExcludeUppercase=True, ExcludeLowercase=True, ExcludeNumbers=True, ExcludePunctuation=True
    )["RandomPassword"]
    assert spaces == " " * 32


def test_all_operations_of_the_client_are_known(client):
    exists = {
        "associate_cross_account_replica",
        "batch_get_secret_value",
        "cancel_rotate_secret",
        "create_secret",
        "delete_resource_policy",
        "delete_secret",
        "describe_secret",
        "disassociate_cross_account_replica",
        "get_random_password",
        "get_resource_policy",
        "get_secret_value",
        "list_resource_policies",
        "list_secret_version_ids",
        "list_secrets",
        "put_resource_policy",
        "put_secret_value",
        "remove_regions_from_replication",
        "replicate_secret_to_regions",
        "restore_secret",
        "rotate_secret",
        "stop_replication_to_replica",
        "tag_resource",
        "untag_resource",
        "update_secret",
        "update_secret_version_stage",
        "validate_resource_policy",
    }
    known = {client.meta.method_to_api_mapping[name] for name in exists}
    assert known == set(client.meta.service_model.operation_names)


def test_a_repeated_token_with_the_same_value_changes_nothing(client):
    created = client.create_secret(Name="again", SecretString="one", ClientRequestToken=TOKEN)
    repeated = client.create_secret(Name="again", SecretString="one", ClientRequestToken=TOKEN)
    assert {name: repeated[name] for name in members(repeated)} == {name: created[name] for name in members(created)}
    put = client.put_secret_value(SecretId="again", SecretString="two", ClientRequestToken=OTHER_TOKEN)
    before = client.describe_secret(SecretId="again")
    again = client.put_secret_value(
        SecretId="again", SecretString="two", ClientRequestToken=OTHER_TOKEN, VersionStages=["ignored"]
    )
    assert (again["VersionId"], again["VersionStages"]) == (put["VersionId"], ["AWSCURRENT"])
    updated = client.update_secret(SecretId="again", SecretString="one", ClientRequestToken=TOKEN)
    assert updated["VersionId"] == TOKEN
    after = client.describe_secret(SecretId="again")
    assert after["VersionIdsToStages"] == before["VersionIdsToStages"]
    assert stages(client, "again") == {TOKEN: {"AWSPREVIOUS"}, OTHER_TOKEN: {"AWSCURRENT"}}


def test_a_token_need_not_be_a_uuid(client):
    token = "terraform-20240812120000000000000001"
    assert client.create_secret(Name="t", SecretString="one", ClientRequestToken=token)["VersionId"] == token


def test_the_client_makes_a_token_when_it_is_given_none(client):
    created = client.create_secret(Name="t", SecretString="one")
    assert str(uuid.UUID(created["VersionId"])) == created["VersionId"]
