"""Staging labels, as programs that rotate secrets move them."""

import pytest

from expect import members, stages

V = [f"00000000-0000-0000-0000-{number:012}" for number in range(5)]


@pytest.fixture
def secret(client):
    client.create_secret(Name="rotating", SecretString="v1", ClientRequestToken=V[1])
    return "rotating"


def put(client, version, *labels):
    more = {"VersionStages": list(labels)} if labels else {}
    answer = client.put_secret_value(
        SecretId="rotating", SecretString=f"v{V.index(version)}", ClientRequestToken=version, **more
    )
    return set(answer["VersionStages"])


def move(client, label, source, target):
    answer = client.update_secret_version_stage(
        SecretId="rotating", VersionStage=label, RemoveFromVersionId=source, MoveToVersionId=target
    )
    assert members(answer) == {"ARN", "Name"}


def test_labels_rotate(client, secret):
    """Put a pending version, make it the current one, twice; the pending label stays where it was put."""
    assert put(client, V[2], "AWSPENDING") == {"AWSPENDING"}
    assert stages(client, secret) == {V[1]: {"AWSCURRENT"}, V[2]: {"AWSPENDING"}}
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "v1"
    assert client.get_secret_value(SecretId=secret, VersionStage="AWSPENDING")["SecretString"] == "v2"
    move(client, "AWSCURRENT", V[1], V[2])
    assert stages(client, secret) == {V[1]: {"AWSPREVIOUS"}, V[2]: {"AWSCURRENT", "AWSPENDING"}}
    assert put(client, V[3], "AWSPENDING") == {"AWSPENDING"}
    assert stages(client, secret) == {V[1]: {"AWSPREVIOUS"}, V[2]: {"AWSCURRENT"}, V[3]: {"AWSPENDING"}}
    move(client, "AWSCURRENT", V[2], V[3])
    assert stages(client, secret) == {V[2]: {"AWSPREVIOUS"}, V[3]: {"AWSCURRENT", "AWSPENDING"}}
    assert client.get_secret_value(SecretId=secret)["SecretString"] == "v3"
    # A version without labels can still be read by its id.
    got = client.get_secret_value(SecretId=secret, VersionId=V[1])
    assert got["SecretString"] == "v1"
    assert "VersionStages" not in got


def test_a_new_current_version_abandons_the_pending_one(client, secret):
    put(client, V[2], "AWSPENDING")
    move(client, "AWSCURRENT", V[1], V[2])
    assert put(client, V[3]) == {"AWSCURRENT"}
    assert stages(client, secret) == {V[2]: {"AWSPREVIOUS"}, V[3]: {"AWSCURRENT"}}


def test_a_rotation_is_rolled_back(client, secret):
    put(client, V[2])
    move(client, "AWSCURRENT", V[2], V[1])
    assert stages(client, secret) == {V[1]: {"AWSCURRENT"}, V[2]: {"AWSPREVIOUS"}}


def test_labels_of_ones_own(client, secret):
    put(client, V[2], "AWSSOMETHING", "AWSPENDING", "PUT1")
    move(client, "AWSCURRENT", V[1], V[2])
    put(client, V[3], "AWSPENDING", "PUT2")
    assert stages(client, secret) == {
        V[1]: {"AWSPREVIOUS"},
        V[2]: {"AWSCURRENT", "AWSSOMETHING", "PUT1"},
        V[3]: {"AWSPENDING", "PUT2"},
    }
    move(client, "AWSCURRENT", V[2], V[3])
    assert stages(client, secret) == {
        V[2]: {"AWSPREVIOUS", "AWSSOMETHING", "PUT1"},
        V[3]: {"AWSCURRENT", "AWSPENDING", "PUT2"},
    }
    assert client.get_secret_value(SecretId=secret, VersionStage="PUT1")["SecretString"] == "v2"


def test_a_label_is_attached_and_removed(client, secret):
    put(client, V[2])
    client.update_secret_version_stage(SecretId=secret, VersionStage="keep", MoveToVersionId=V[1])
    assert stages(client, secret) == {V[1]: {"AWSPREVIOUS", "keep"}, V[2]: {"AWSCURRENT"}}
    put(client, V[3])
    assert stages(client, secret) == {V[1]: {"keep"}, V[2]: {"AWSPREVIOUS"}, V[3]: {"AWSCURRENT"}}
    client.update_secret_version_stage(SecretId=secret, VersionStage="keep", RemoveFromVersionId=V[1])
    assert stages(client, secret) == {V[2]: {"AWSPREVIOUS"}, V[3]: {"AWSCURRENT"}}


def test_the_first_value_is_current_whatever_labels_it_brings(client):
    client.create_secret(Name="rotating")
    assert put(client, V[1], "AWSPENDING") == {"AWSPENDING", "AWSCURRENT"}


def test_versions_without_labels_are_listed_on_request(client, secret):
    for version in V[2:5]:
        put(client, version)

    def listed(**more):
        answer = client.list_secret_version_ids(SecretId=secret, **more)
        assert members(answer) == {"ARN", "Name", "Versions"}
        return {version["VersionId"]: version for version in answer["Versions"]}

    assert set(listed()) == {V[3], V[4]}
    everything = listed(IncludeDeprecated=True)
    assert set(everything) == set(V[1:5])
    for version in [V[1], V[2]]:
        assert set(everything[version]) == {"VersionId", "CreatedDate", "KmsKeyIds"}
    assert everything[V[4]]["VersionStages"] == ["AWSCURRENT"]
    assert all(version["KmsKeyIds"] == ["DefaultEncryptionKey"] for version in everything.values())


def test_pages_of_versions_are_put_together(client, secret):
    for version in V[2:5]:
        put(client, version)
    found, more = [], {}
    while True:
        page = client.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True, MaxResults=1, **more)
        assert len(page["Versions"]) <= 1
        found += [version["VersionId"] for version in page["Versions"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert found == V[1:5]
