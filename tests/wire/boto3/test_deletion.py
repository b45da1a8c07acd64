"""Deletion with a recovery window, restoring, deletion by force."""

from datetime import datetime, timedelta, timezone

import pytest

from expect import NOT_FOUND, members, refused


@pytest.mark.parametrize("more, days", [({}, 30), ({"RecoveryWindowInDays": 7}, 7), ({"RecoveryWindowInDays": 30}, 30)])
def test_a_secret_is_kept_for_its_recovery_window(more, days, client):
    created = client.create_secret(Name="leaving", SecretString="one", Tags=[{"Key": "k", "Value": "v"}])
    before = datetime.now(timezone.utc)
    deleted = client.delete_secret(SecretId="leaving", ForceDeleteWithoutRecovery=False, **more)
    assert members(deleted) == {"ARN", "Name", "DeletionDate"}
    assert (deleted["ARN"], deleted["Name"]) == (created["ARN"], "leaving")
    assert abs(deleted["DeletionDate"] - before - timedelta(days=days)) < timedelta(minutes=1)
    described = client.describe_secret(SecretId="leaving")
    assert described["DeletedDate"] == deleted["DeletionDate"]
    assert described["VersionIdsToStages"] == {created["VersionId"]: ["AWSCURRENT"]}

    assert client.list_secrets()["SecretList"] == []
    planned = client.list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert [(entry["Name"], entry["DeletedDate"]) for entry in planned] == [("leaving", deleted["DeletionDate"])]

    restored = client.restore_secret(SecretId="leaving")
    assert members(restored) == {"ARN", "Name"}
    described = client.describe_secret(SecretId="leaving")
    assert "DeletedDate" not in described
    assert described["Tags"] == [{"Key": "k", "Value": "v"}]
    assert client.get_secret_value(SecretId="leaving")["SecretString"] == "one"


@pytest.mark.parametrize("scheduled_first", [False, True])
def test_force_removes_a_secret_at_once(scheduled_first, client):
    created = client.create_secret(Name="leaving", SecretString="one")
    if scheduled_first:
        client.delete_secret(SecretId="leaving")
    before = datetime.now(timezone.utc)
    deleted = client.delete_secret(SecretId="leaving", ForceDeleteWithoutRecovery=True)
    assert deleted["ARN"] == created["ARN"]
    assert abs(deleted["DeletionDate"] - before) < timedelta(minutes=1)
    for operation in [client.get_secret_value, client.describe_secret, client.restore_secret]:
        with refused(client, "ResourceNotFoundException", NOT_FOUND):
            operation(SecretId="leaving")
    assert client.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []
    # The name is free, and the ARN is another one.
    again = client.create_secret(Name="leaving", SecretString="two")
    assert again["ARN"] != created["ARN"]
    with refused(client, "ResourceNotFoundException", NOT_FOUND):
        client.get_secret_value(SecretId=created["ARN"])


def test_force_succeeds_on_a_secret_that_never_existed(client, account):
    deleted = client.delete_secret(SecretId="never", ForceDeleteWithoutRecovery=True)
    assert members(deleted) == {"ARN", "Name", "DeletionDate"}
    assert deleted["Name"] == "never"
    assert deleted["ARN"].startswith(f"arn:aws:secretsmanager:us-east-1:{account}:secret:never-")


def test_restoring_a_secret_that_is_not_deleted_changes_nothing(client):
    client.create_secret(Name="staying", SecretString="one")
    assert client.restore_secret(SecretId="staying")["Name"] == "staying"
    assert client.get_secret_value(SecretId="staying")["SecretString"] == "one"
