"""Accounts and Regions, as the signature of a request names them."""

import pytest
from botocore import UNSIGNED

from expect import NOT_FOUND, refused


def test_accounts_and_regions_are_separate(server):
    places = [(key_id, region) for key_id in ["555500000001", "555500000002"] for region in ["us-east-1", "eu-west-1"]]
    arns = set()
    for key_id, region in places:
        created = server.client(key_id, region).create_secret(Name="same", SecretString=f"{key_id} {region}")
        assert created["ARN"].startswith(f"arn:aws:secretsmanager:{region}:{key_id}:secret:same-")
        arns.add(created["ARN"])
    assert len(arns) == 4
    for key_id, region in places:
        client = server.client(key_id, region)
        assert client.get_secret_value(SecretId="same")["SecretString"] == f"{key_id} {region}"
        assert [entry["Name"] for entry in client.list_secrets()["SecretList"]] == ["same"]
    server.client(*places[0]).delete_secret(SecretId="same", ForceDeleteWithoutRecovery=True)
    for key_id, region in places[1:]:
        assert server.client(key_id, region).get_secret_value(SecretId="same")["Name"] == "same"


def test_an_arn_of_another_region_is_not_found(server, account):
    arn = server.client(account, "eu-west-1").create_secret(Name="there", SecretString="x")["ARN"]
    client = server.client(account, "us-east-1")
    with refused(client, "ResourceNotFoundException", NOT_FOUND):
        client.get_secret_value(SecretId=arn)


@pytest.mark.parametrize("account, region", [("000000000000", "us-east-1"), ("123456789012", "eu-central-1")])
def test_requests_without_an_account_get_the_fallback(account, region, start):
    is_default = account == "000000000000"
    server = start(*([] if is_default else ["--account", account, "--region", region]))
    unsigned = server.client(signature_version=UNSIGNED)
    arn = unsigned.create_secret(Name="unsigned", SecretString="x")["ARN"]
    assert arn.startswith(f"arn:aws:secretsmanager:{region}:{account}:secret:unsigned-")
    # An access key id that is no account number keeps the Region it names.
    for key_id in ["AKIAIOSFODNN7EXAMPLE", "12345678901", "1234567890123", "test"]:
        arn = server.client(key_id, "ap-south-1").create_secret(Name=key_id)["ARN"]
        assert arn.startswith(f"arn:aws:secretsmanager:ap-south-1:{account}:secret:{key_id}-")
    assert [entry["Name"] for entry in server.client(account, region).list_secrets()["SecretList"]] == ["unsigned"]
    assert len(server.client(account, "ap-south-1").list_secrets()["SecretList"]) == 4


def test_a_credentials_file_names_accounts(start, tmp_path):
    credentials = tmp_path / "credentials.json"
    credentials.write_text(
        '{"credentials": [{"access_key_id": "AKIDALICE", "secret_access_key": "s", "account": "111122223333"}]}'
    )
    credentials.chmod(0o600)
    server = start("--credentials", credentials)
    # Signatures are not verified unless that is asked for.
    arn = server.client("AKIDALICE", secret="wrong").create_secret(Name="hers", SecretString="x")["ARN"]
    assert arn.startswith("arn:aws:secretsmanager:us-east-1:111122223333:secret:hers-")
    assert server.client("111122223333").get_secret_value(SecretId="hers")["SecretString"] == "x"
    assert ":444455556666:" in server.client("444455556666").create_secret(Name="his")["ARN"]
    assert ":000000000000:" in server.client("AKIDBOB").create_secret(Name="anybody")["ARN"]
