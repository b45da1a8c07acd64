"""The life of replicas: in other Regions, and in another account."""

import json
from datetime import datetime, timezone

import pytest

from expect import NOT_FOUND, members, refused, stages
from server import run

REPLICA = "Operation not permitted on a replica secret. Call must be made in primary secret's region."
ACCOUNT_REPLICA = (
    "Operation not permitted on a cross-account replica secret. Call must be made on the primary secret, or after "
    "StopReplicationToReplica."
)
NO_REPLICA = "You can't stop replication to a secret that isn't a replica secret."
BAD_REGION = "Invalid replica region."
DEFAULT_KEY = "alias/aws/secretsmanager"
OURS, THEIRS = "111122223333", "444455556666"

# What changes a secret.
WRITES = [
    ("update_secret", {"Description": "d"}),
    ("put_secret_value", {"SecretString": "refused"}),
    ("tag_resource", {"Tags": [{"Key": "k", "Value": "v"}]}),
    ("untag_resource", {"TagKeys": ["k"]}),
    ("put_resource_policy", {"ResourcePolicy": "{}"}),
    ("delete_resource_policy", {}),
    ("restore_secret", {}),
    ("rotate_secret", {}),
    ("cancel_rotate_secret", {}),
    ("update_secret_version_stage", {"VersionStage": "own", "MoveToVersionId": "0" * 32}),
    ("replicate_secret_to_regions", {"AddReplicaRegions": [{"Region": "eu-west-3"}]}),
    ("remove_regions_from_replication", {"RemoveReplicaRegions": ["eu-west-3"]}),
]


@pytest.fixture
def ireland(server, account):
    return server.client(account, "eu-west-1")


def exists(name, region):
    return f"Replication failed: Secret name {name} already exists in region {region}."


def in_sync(region, key=DEFAULT_KEY, **more):
    return {"Region": region, "KmsKeyId": key, "Status": "InSync", **more}


def same(described, *left_out):
    """What a replica has of its primary."""
    return {name: described[name] for name in members(described) - {"ARN", "ReplicationStatus", *left_out}}


def test_a_secret_is_replicated_changed_and_read_in_every_region(client, ireland):
    regions = [{"Region": "eu-west-1"}]
    created = client.create_secret(
        Name="db/main", SecretString="one", Description="d", Tags=[{"Key": "k", "Value": "v"}], AddReplicaRegions=regions
    )
    assert members(created) == {"ARN", "Name", "VersionId", "ReplicationStatus"}
    assert created["ReplicationStatus"] == [in_sync("eu-west-1")]

    replica = ireland.describe_secret(SecretId="db/main")
    primary = client.describe_secret(SecretId="db/main")
    assert replica["ARN"] == created["ARN"].replace("us-east-1", "eu-west-1")
    assert primary["ReplicationStatus"] == [in_sync("eu-west-1")] and "ReplicationStatus" not in replica
    assert same(replica) == same(primary)
    assert replica["PrimaryRegion"] == primary["PrimaryRegion"] == "us-east-1"

    # Everything that changes comes over.
    policy = json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}})
    put = client.put_secret_value(SecretId="db/main", SecretBinary=b"\x00two", VersionStages=["AWSCURRENT", "own"])
    client.tag_resource(SecretId="db/main", Tags=[{"Key": "more", "Value": ""}])
    client.update_secret(SecretId="db/main", Description="changed")
    client.put_resource_policy(SecretId="db/main", ResourcePolicy=policy)
    assert same(ireland.describe_secret(SecretId="db/main")) == same(client.describe_secret(SecretId="db/main"))
    for secret_id in ["db/main", replica["ARN"], replica["ARN"][:-7]]:
        read = ireland.get_secret_value(SecretId=secret_id)
        assert (read["SecretBinary"], read["VersionId"], read["ARN"]) == (b"\x00two", put["VersionId"], replica["ARN"])
    assert ireland.get_secret_value(SecretId="db/main", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    assert stages(ireland, "db/main") == stages(client, "db/main")
    assert ireland.get_resource_policy(SecretId="db/main")["ResourcePolicy"] == policy
    assert [entry["PrimaryRegion"] for entry in ireland.list_secrets()["SecretList"]] == ["us-east-1"]

    # The primary tells when the replica was read last, and was not read itself.
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    described = client.describe_secret(SecretId="db/main")
    assert described["ReplicationStatus"] == [in_sync("eu-west-1", LastAccessedDate=midnight)]
    assert "LastAccessedDate" not in described


def test_regions_are_added_and_removed(client, server, account):
    client.create_secret(Name="db", SecretString="one")
    assert "PrimaryRegion" not in client.describe_secret(SecretId="db")
    added = client.replicate_secret_to_regions(
        SecretId="db", AddReplicaRegions=[{"Region": "eu-west-1"}, {"Region": "us-west-2", "KmsKeyId": DEFAULT_KEY}]
    )
    assert members(added) == {"ARN", "ReplicationStatus"}
    assert added["ReplicationStatus"] == [in_sync("eu-west-1"), in_sync("us-west-2")]
    more = client.replicate_secret_to_regions(SecretId="db", AddReplicaRegions=[{"Region": "ap-south-1"}])
    assert [status["Region"] for status in more["ReplicationStatus"]] == ["eu-west-1", "us-west-2", "ap-south-1"]

    left = client.remove_regions_from_replication(SecretId="db", RemoveReplicaRegions=["us-west-2", "eu-south-1"])
    assert members(left) == {"ARN", "ReplicationStatus"}
    assert [status["Region"] for status in left["ReplicationStatus"]] == ["eu-west-1", "ap-south-1"]
    gone = server.client(account, "us-west-2")
    with refused(gone, "ResourceNotFoundException", NOT_FOUND):
        gone.describe_secret(SecretId="db")
    assert gone.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []

    text = f"You can't delete secret {added['ARN']} that still has replica regions [eu-west-1, ap-south-1]."
    for more in [{}, {"ForceDeleteWithoutRecovery": True}]:
        with refused(client, "InvalidParameterException", text):
            client.delete_secret(SecretId="db", **more)
    left = client.remove_regions_from_replication(SecretId="db", RemoveReplicaRegions=["eu-west-1", "ap-south-1"])
    assert left["ReplicationStatus"] == []
    described = client.describe_secret(SecretId="db")
    assert described["PrimaryRegion"] == "us-east-1" and "ReplicationStatus" not in described
    client.delete_secret(SecretId="db", ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize(
    "regions",
    [["us-east-1"], ["us-nowhere-1"], ["cn-north-1"], ["eu-west-1", "us-east-1"], ["eu-west-1", "eu-west-1"]],
    ids="-and-".join,
)
def test_regions_where_no_replica_can_be_fail_the_whole_call(regions, client, ireland):
    asked = [{"Region": region} for region in regions]
    with refused(client, "InvalidParameterException", BAD_REGION):
        client.create_secret(Name="new", SecretString="one", AddReplicaRegions=asked)
    client.create_secret(Name="db", SecretString="one")
    with refused(client, "InvalidParameterException", BAD_REGION):
        client.replicate_secret_to_regions(SecretId="db", AddReplicaRegions=asked)
    assert [entry["Name"] for entry in client.list_secrets()["SecretList"]] == ["db"]
    assert ireland.list_secrets()["SecretList"] == []


def test_a_secret_in_the_way_is_told_and_replaced_only_on_request(client, ireland):
    other = ireland.create_secret(Name="db", SecretString="somebody else's")
    regions = [{"Region": "eu-west-1"}]
    created = client.create_secret(Name="db", SecretString="one", AddReplicaRegions=regions)
    failed = {**in_sync("eu-west-1"), "Status": "Failed", "StatusMessage": exists("db", "eu-west-1")}
    assert created["ReplicationStatus"] == [failed]
    again = client.replicate_secret_to_regions(SecretId="db", AddReplicaRegions=regions)
    assert again["ReplicationStatus"] == client.describe_secret(SecretId="db")["ReplicationStatus"] == [failed]
    assert ireland.get_secret_value(SecretId="db")["SecretString"] == "somebody else's"
    forced = client.replicate_secret_to_regions(
        SecretId="db", AddReplicaRegions=regions, ForceOverwriteReplicaSecret=True
    )
    assert forced["ReplicationStatus"] == [in_sync("eu-west-1")]
    assert ireland.get_secret_value(SecretId="db")["SecretString"] == "one"
    with refused(ireland, "ResourceNotFoundException", NOT_FOUND):
        ireland.get_secret_value(SecretId=other["ARN"])


def test_a_key_that_is_not_there_fails_the_replica_and_not_the_call(client, ireland):
    created = client.create_secret(
        Name="db", SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1", "KmsKeyId": "alias/none"}]
    )
    [status] = created["ReplicationStatus"]
    assert (status["Region"], status["KmsKeyId"], status["Status"]) == ("eu-west-1", "alias/none", "Failed")
    assert status["StatusMessage"].startswith("Replication failed: ")
    assert ireland.list_secrets()["SecretList"] == []
    repaired = client.replicate_secret_to_regions(
        SecretId="db", AddReplicaRegions=[{"Region": "eu-west-1", "KmsKeyId": DEFAULT_KEY}]
    )
    assert repaired["ReplicationStatus"] == [in_sync("eu-west-1")]
    assert ireland.get_secret_value(SecretId="db")["SecretString"] == "one"


def test_a_replica_is_read_and_not_changed(client, ireland):
    client.create_secret(Name="db", SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1"}])
    before = ireland.describe_secret(SecretId="db")
    for operation, more in [*WRITES, ("delete_secret", {}), ("delete_secret", {"ForceDeleteWithoutRecovery": True})]:
        with refused(ireland, "InvalidParameterException", REPLICA):
            getattr(ireland, operation)(SecretId="db", **more)
    assert same(ireland.describe_secret(SecretId="db")) == same(before)
    assert ireland.batch_get_secret_value(SecretIdList=["db"])["SecretValues"][0]["SecretString"] == "one"
    assert len(ireland.list_secret_version_ids(SecretId="db")["Versions"]) == 1


def test_a_replica_becomes_a_secret_of_its_own(client, ireland):
    client.create_secret(Name="db", SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1"}])
    arn = ireland.describe_secret(SecretId="db")["ARN"]
    with refused(client, "InvalidRequestException", NO_REPLICA):
        client.stop_replication_to_replica(SecretId="db")
    stopped = ireland.stop_replication_to_replica(SecretId="db")
    assert members(stopped) == {"ARN"} and stopped["ARN"] == arn
    assert "ReplicationStatus" not in client.describe_secret(SecretId="db")
    assert ireland.describe_secret(SecretId="db")["PrimaryRegion"] == "eu-west-1"
    client.put_secret_value(SecretId="db", SecretString="two")
    assert ireland.get_secret_value(SecretId="db")["SecretString"] == "one"
    ireland.put_secret_value(SecretId="db", SecretString="its own")
    with refused(ireland, "InvalidRequestException", NO_REPLICA):
        ireland.stop_replication_to_replica(SecretId="db")
    # It has replicas of its own, and is deleted like any other secret.
    ireland.replicate_secret_to_regions(SecretId="db", AddReplicaRegions=[{"Region": "eu-west-2"}])
    ireland.remove_regions_from_replication(SecretId="db", RemoveReplicaRegions=["eu-west-2"])
    ireland.delete_secret(SecretId="db")
    assert client.get_secret_value(SecretId="db")["SecretString"] == "two"


def test_replicas_survive_the_end_of_the_server(start):
    server = start()
    client = server.client()
    client.create_secret(Name="db", SecretString="one", AddReplicaRegions=[{"Region": "eu-west-1"}])
    server.kill()
    server = start()
    server.client().put_secret_value(SecretId="db", SecretString="two")
    server.kill()
    server = start()
    assert server.client().describe_secret(SecretId="db")["ReplicationStatus"] == [in_sync("eu-west-1")]
    assert server.client(region="eu-west-1").get_secret_value(SecretId="db")["SecretString"] == "two"


@pytest.fixture
def accounts(start, tmp_path):
    """Clients of two accounts, the second of which has a key `alias/theirs`."""
    for line in [["init"], ["keys", "create", "--alias", "alias/theirs"]]:
        made = run(*line, "--dir", tmp_path / "store", "--account", THEIRS)
        assert made.returncode == 0, made.stderr
    server = start()
    return server.client(OURS), server.client(THEIRS)


def test_a_secret_is_replicated_to_another_account(accounts):
    ours, theirs = accounts
    primary = ours.create_secret(Name="db", SecretString="one")["ARN"]
    with refused(theirs, "InvalidParameterException"):
        theirs.create_secret(Name="copy", CrossAccountPrimaryARN=primary)
    created = theirs.create_secret(Name="copy", KmsKeyId="alias/theirs", CrossAccountPrimaryARN=primary)
    assert members(created) == {"ARN", "Name"}
    replica = created["ARN"]
    waiting = {"PrimarySecretARN": primary, "ReplicationStatus": "Pending"}
    assert theirs.describe_secret(SecretId="copy")["CrossAccountPrimary"] == waiting

    associated = ours.associate_cross_account_replica(SecretId="db", CrossAccountReplicaARN=replica)
    assert {name: associated[name] for name in members(associated)} == {
        "ARN": primary,
        "CrossAccountReplicaARN": replica,
        "ReplicationStatus": "InSync",
    }
    entry = {"ReplicaSecretARN": replica, "ReplicationStatus": "InSync"}
    assert ours.describe_secret(SecretId="db")["CrossAccountReplicas"] == [entry]
    put = ours.put_secret_value(SecretId="db", SecretString="two")
    read = theirs.get_secret_value(SecretId="copy")
    assert (read["SecretString"], read["VersionId"], read["ARN"]) == ("two", put["VersionId"], replica)
    assert stages(theirs, "copy") == stages(ours, "db")

    for operation, more in WRITES:
        with refused(theirs, "InvalidParameterException", ACCOUNT_REPLICA):
            getattr(theirs, operation)(SecretId="copy", **more)
    for client, secret in [(ours, "db"), (theirs, "copy")]:
        with refused(client, "InvalidRequestException"):
            client.delete_secret(SecretId=secret)
    policies = theirs.list_resource_policies(SecretId="copy")["ResourcePolicies"]
    assert [policy["PolicyName"] for policy in policies] == ["cross-account-replication"]

    # Another one is one too many, and one for another primary is none.
    second = theirs.create_secret(Name="second", KmsKeyId="alias/theirs", CrossAccountPrimaryARN=primary)["ARN"]
    with refused(ours, "LimitExceededException"):
        ours.associate_cross_account_replica(SecretId="db", CrossAccountReplicaARN=second)
    ours.create_secret(Name="other", SecretString="x")
    with refused(ours, "InvalidRequestException"):
        ours.associate_cross_account_replica(SecretId="other", CrossAccountReplicaARN=second)

    left = ours.disassociate_cross_account_replica(SecretId="db", CrossAccountReplicaARN=replica)
    assert members(left) == {"ARN", "CrossAccountReplicaARN"}
    ours.put_secret_value(SecretId="db", SecretString="three")
    assert theirs.get_secret_value(SecretId="copy")["SecretString"] == "two"
    assert theirs.describe_secret(SecretId="copy")["CrossAccountPrimary"]["ReplicationStatus"] == "Detached"
    with refused(ours, "ResourceNotFoundException", NOT_FOUND):
        ours.disassociate_cross_account_replica(SecretId="db", CrossAccountReplicaARN=replica)
    ours.associate_cross_account_replica(SecretId="db", CrossAccountReplicaARN=replica)
    assert theirs.get_secret_value(SecretId="copy")["SecretString"] == "three"

    assert members(theirs.stop_replication_to_replica(SecretId="copy")) == {"ARN"}
    assert ours.describe_secret(SecretId="db")["CrossAccountReplicas"] == [{**entry, "ReplicationStatus": "Detached"}]
    assert "CrossAccountPrimary" not in theirs.describe_secret(SecretId="copy")
    assert theirs.list_resource_policies(SecretId="copy")["ResourcePolicies"] == []
    theirs.put_secret_value(SecretId="copy", SecretString="its own")
    ours.disassociate_cross_account_replica(SecretId="db", CrossAccountReplicaARN=replica)
    assert "CrossAccountReplicas" not in ours.describe_secret(SecretId="db")
    for client, secret in [(ours, "db"), (theirs, "copy")]:
        client.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
