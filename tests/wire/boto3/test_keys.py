"""What clients see of a key that cannot be used."""

import hashlib
import re

from expect import refused

CANNOT_ENCRYPT = "Secrets Manager can't encrypt the protected secret text using the provided KMS key."
CANNOT_DECRYPT = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
ENABLED, DISABLED = 0, 1


def set_state(keyring, account, region, state):
    """Changes the state of an account's key in the key file, which is the byte behind the key's ARN."""
    content = bytearray(keyring.read_bytes()[:-32])
    keys = list(re.finditer(rf"arn:aws:kms:{region}:{account}:key/[0-9a-f-]{{36}}".encode(), content))
    assert len(keys) == 1
    assert content[keys[0].end()] in {ENABLED, DISABLED}
    content[keys[0].end()] = state
    keyring.write_bytes(content + hashlib.sha256(content).digest())


def test_a_disabled_key_neither_encrypts_nor_decrypts(start, tmp_path):
    keyring = tmp_path / "store.keyring"
    server = start()
    server.client("111122223333").create_secret(Name="locked", SecretString="one")
    server.client("444455556666").create_secret(Name="free", SecretString="one")
    assert server.stop() == 0

    set_state(keyring, "111122223333", "us-east-1", DISABLED)
    server = start()
    client = server.client("111122223333")
    with refused(client, "DecryptionFailure") as caught:
        client.get_secret_value(SecretId="locked")
    assert caught.value.response["Error"]["Message"].startswith(CANNOT_DECRYPT)
    for write in [
        lambda: client.put_secret_value(SecretId="locked", SecretString="two"),
        lambda: client.update_secret(SecretId="locked", SecretString="two"),
        lambda: client.create_secret(Name="new", SecretString="two"),
    ]:
        with refused(client, "EncryptionFailure") as caught:
            write()
        assert caught.value.response["Error"]["Message"].startswith(CANNOT_ENCRYPT)
    batch = client.batch_get_secret_value(SecretIdList=["locked"])
    assert [error["ErrorCode"] for error in batch["Errors"]] == ["DecryptionFailure"]
    # What needs no value goes on, and so do other accounts.
    assert client.describe_secret(SecretId="locked")["Name"] == "locked"
    assert [entry["Name"] for entry in client.list_secrets()["SecretList"]] == ["locked"]
    assert server.client("444455556666").get_secret_value(SecretId="free")["SecretString"] == "one"
    assert server.stop() == 0

    set_state(keyring, "111122223333", "us-east-1", ENABLED)
    server = start()
    assert server.client("111122223333").get_secret_value(SecretId="locked")["SecretString"] == "one"


def test_a_key_file_from_a_backup_lacks_the_keys_made_since(start, tmp_path):
    keyring = tmp_path / "store.keyring"
    server = start()
    server.client("111122223333").create_secret(Name="early", SecretString="one")
    backup = keyring.read_bytes()
    server.client("444455556666").create_secret(Name="late", SecretString="one")
    assert server.stop() == 0

    newest = keyring.read_bytes()
    keyring.write_bytes(backup)
    server = start()
    assert server.client("111122223333").get_secret_value(SecretId="early")["SecretString"] == "one"
    client = server.client("444455556666")
    with refused(client, "DecryptionFailure") as caught:
        client.get_secret_value(SecretId="late")
    assert caught.value.response["Error"]["Message"].startswith(CANNOT_DECRYPT)
    assert server.stop() == 0

    keyring.write_bytes(newest)
    server = start()
    assert server.client("444455556666").get_secret_value(SecretId="late")["SecretString"] == "one"
