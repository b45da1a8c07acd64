"""What the log says, and what it never says."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

CANARY = "canary-7f3a9c51-never-log-me"
BYTES = CANARY.encode()
# As it is, in base64 wherever it begins a value, in hexadecimal, and a piece of it.
FORMS = [BYTES, base64.b64encode(BYTES[:27]), BYTES.hex().encode(), BYTES[7:20]]


def use(server):
    """Every way in which the value passes, with success and without."""
    client = server.client("111122223333", parameter_validation=False)
    client.create_secret(Name="text", SecretString=CANARY)
    client.create_secret(Name="bytes", SecretBinary=BYTES)
    for name in ["text", "bytes"]:
        client.get_secret_value(SecretId=name)
        client.put_secret_value(SecretId=name, SecretString=CANARY + name)
        client.update_secret(SecretId=name, SecretBinary=BYTES + name.encode())
    client.batch_get_secret_value(SecretIdList=["text", "bytes"])
    told = []
    for call, members in [
        (client.create_secret, {"Name": "text", "SecretString": CANARY}),
        (client.create_secret, {"Name": "no name", "SecretString": CANARY}),
        (client.create_secret, {"Name": "new", "SecretString": CANARY, "SecretBinary": BYTES}),
        (client.create_secret, {"Name": "new", "SecretString": CANARY, "KmsKeyId": "alias/nobody"}),
        (client.put_secret_value, {"SecretId": "missing", "SecretString": CANARY}),
        (client.put_secret_value, {"SecretId": "text", "SecretString": CANARY * 3_000}),
        (client.put_secret_value, {"SecretId": "text", "SecretBinary": BYTES * 3_000}),
        (client.update_secret, {"SecretId": "text", "SecretString": CANARY, "ClientRequestToken": "short"}),
        (client.rotate_secret, {"SecretId": "text", "ClientRequestToken": "0" * 32}),
    ]:
        try:
            call(**members)
        except ClientError as error:
            told.append(json.dumps(error.response).encode())
    token = "0" * 32
    for body in [
        f'{{"Name":"raw","ClientRequestToken":"{token}","SecretString":"{CANARY}"',
        f'{{"Name":"raw","ClientRequestToken":"{token}","SecretString":"{CANARY}\\ud800"}}',
        f'{{"Name":"raw","ClientRequestToken":"{token}","SecretString":{{"{CANARY}":"{CANARY}"}}}}',
        f'{{"Name":"raw","ClientRequestToken":"{token}","SecretString":["{CANARY}"]}}',
        f'{{"Name":"raw","ClientRequestToken":"{token}","SecretBinary":"{CANARY}"}}',
        f'{{"Name":"raw","ClientRequestToken":"{token}","SecretString":"{CANARY}","SecretString":"{CANARY}"}}',
        f'"{CANARY}"',
        CANARY,
    ]:
        answer = server.send(body.encode(), "CreateSecret")
        assert answer.status == 400
        told.append(answer.body)
    told.append(server.send(json.dumps({"SecretString": CANARY}).encode(), "Unknown").body)
    told.append(server.send(CANARY.encode() * 100_000, "CreateSecret").body)
    return told


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_value_is_ever_logged(level, log_format, start):
    server = start("--log-level", level, "--log-format", log_format)
    told = use(server)
    assert len(told) == 19
    assert server.stop() == 0
    log = server.log.read_bytes()
    # It does say something.
    assert log.strip()
    for form in FORMS:
        assert form not in log
        assert not any(form in answer for answer in told)
    if log_format == "json":
        lines = [line for line in log.decode().splitlines() if line.startswith("{")]
        assert lines and all(json.loads(line) for line in lines)


def test_the_only_line_on_standard_output_is_the_address(start):
    server = start("--log-level", "debug")
    use(server)
    assert server.stop() == 0
    assert server.process.stdout.read() == ""


def test_nothing_on_disk_can_be_read(start, tmp_path):
    server = start()
    use(server)
    assert server.stop() == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        assert not any(form in content for form in FORMS)
