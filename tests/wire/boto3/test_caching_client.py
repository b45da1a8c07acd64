"""The caching client for Python reads through the server."""

import pytest
from aws_secretsmanager_caching import InjectKeywordedSecretString, SecretCache, SecretCacheConfig
from aws_secretsmanager_caching.cache.items import SecretCacheObject

from expect import NOT_FOUND, refused

ALWAYS, HOURLY = 0, 3600


def cache(client, refresh_seconds):
    return SecretCache(config=SecretCacheConfig(secret_refresh_interval=refresh_seconds), client=client)


def test_values_are_read_through_the_cache(client):
    client.create_secret(Name="text", SecretString="one")
    client.create_secret(Name="bytes", SecretBinary=b"\x00\xff")
    cached = cache(client, HOURLY)
    assert cached.get_secret_string("text") == "one"
    assert cached.get_secret_binary("bytes") == b"\x00\xff"
    assert cached.get_secret_string("bytes") is None
    client.put_secret_value(SecretId="text", SecretString="two")
    assert cached.get_secret_string("text") == "one"
    assert cache(client, HOURLY).get_secret_string("text") == "two"
    assert cache(client, HOURLY).get_secret_string("text", version_stage="AWSPREVIOUS") == "one"


def test_a_cache_that_is_due_sees_a_new_value(client):
    client.create_secret(Name="text", SecretString="one")
    cached = cache(client, ALWAYS)
    assert cached.get_secret_string("text") == "one"
    client.put_secret_value(SecretId="text", SecretString="two")
    assert cached.get_secret_string("text") == "two"
    assert cached.get_secret_string("text", version_stage="AWSPREVIOUS") == "one"


def test_a_cache_that_is_told_to_refresh_sees_a_new_value(client, monkeypatch):
    # Otherwise it waits some seconds at random.
    monkeypatch.setattr(SecretCacheObject, "FORCE_REFRESH_JITTER_SLEEP", 0)
    client.create_secret(Name="text", SecretString="one")
    cached = cache(client, HOURLY)
    assert cached.get_secret_string("text") == "one"
    client.put_secret_value(SecretId="text", SecretString="two")
    assert cached.refresh_secret_now("text")
    assert cached.get_secret_string("text") == "two"


def test_a_missing_secret_is_missing_in_the_cache(client):
    with refused(client, "ResourceNotFoundException", NOT_FOUND):
        cache(client, HOURLY).get_secret_string("missing")


def test_the_decorator_injects_members_of_a_value(client):
    client.create_secret(Name="json", SecretString='{"user":"admin","password":"p"}')

    @InjectKeywordedSecretString("json", cache=cache(client, HOURLY), name="user", password="password")
    def login(name, password):
        return name, password

    assert login() == ("admin", "p")


@pytest.mark.parametrize("refresh_seconds", [ALWAYS, HOURLY])
def test_the_cache_follows_labels(refresh_seconds, client):
    first = client.create_secret(Name="moved", SecretString="one")["VersionId"]
    second = client.put_secret_value(SecretId="moved", SecretString="two", VersionStages=["AWSPENDING"])["VersionId"]
    cached = cache(client, refresh_seconds)
    assert cached.get_secret_string("moved") == "one"
    assert cached.get_secret_string("moved", version_stage="AWSPENDING") == "two"
    client.update_secret_version_stage(
        SecretId="moved", VersionStage="AWSCURRENT", RemoveFromVersionId=first, MoveToVersionId=second
    )
    assert cached.get_secret_string("moved") == ("two" if refresh_seconds == ALWAYS else "one")
