"""`--verify-signatures` with a credentials file."""

import json

import pytest
from botocore import UNSIGNED

from expect import refused
from server import Server, run

ALICE = {"access_key_id": "AKIDALICE", "secret_access_key": "alice/secret+key", "account": "111122223333"}
BOB = {
    "access_key_id": "ASIABOB",
    "secret_access_key": "bob/secret+key",
    "session_token": "FwoGZXIvYXdzEBYaD+token/for/bob==",
    "account": "444455556666",
    "principal": "arn:aws:iam::444455556666:user/bob",
}


def write_credentials(folder, mode=0o600, content=None):
    path = folder / "credentials.json"
    path.write_text(json.dumps({"credentials": [ALICE, BOB]}) if content is None else content)
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified")
    with Server(folder, "--verify-signatures", "--credentials", write_credentials(folder)) as server:
        yield server


def alice(server, **more):
    return server.client(**{"key_id": "AKIDALICE", "secret": "alice/secret+key", **more})


def bob(server, **more):
    default = {"key_id": "ASIABOB", "secret": "bob/secret+key", "session_token": BOB["session_token"]}
    return server.client(**{**default, **more})


def test_the_right_keys_work_for_every_operation_and_name(server):
    client = alice(server, region="eu-west-1")
    created = client.create_secret(Name="a/b_+=.@-c!", SecretString="\u00e4\u20ac\U0001f511 '\"\\", Description="d e")
    assert created["ARN"].startswith("arn:aws:secretsmanager:eu-west-1:111122223333:secret:a/b_+=.@-c!-")
    assert client.get_secret_value(SecretId=created["ARN"])["SecretString"] == "\u00e4\u20ac\U0001f511 '\"\\"
    client.put_secret_value(SecretId="a/b_+=.@-c!", SecretBinary=bytes(range(256)) * 256)
    assert client.get_secret_value(SecretId="a/b_+=.@-c!")["SecretBinary"] == bytes(range(256)) * 256
    assert client.list_secrets()["SecretList"][0]["Name"] == "a/b_+=.@-c!"
    assert len(client.get_random_password()["RandomPassword"]) == 32


def test_a_session_token_belongs_to_its_key(server):
    client = bob(server)
    arn = client.create_secret(Name="his", SecretString="x")["ARN"]
    assert arn.startswith("arn:aws:secretsmanager:us-east-1:444455556666:secret:his-")
    for token in [None, "another"]:
        wrong = bob(server, session_token=token)
        with refused(wrong, "UnrecognizedClientException"):
            wrong.get_secret_value(SecretId="his")
    # And a key that has none accepts none.
    wrong = alice(server, session_token="another")
    with refused(wrong, "UnrecognizedClientException"):
        wrong.list_secrets()


@pytest.mark.parametrize(
    "make, code",
    [
        (lambda server: alice(server, secret="alice/secret+kez"), "InvalidSignatureException"),
        (lambda server: alice(server, secret=BOB["secret_access_key"]), "InvalidSignatureException"),
        (lambda server: bob(server, secret="wrong"), "InvalidSignatureException"),
        (lambda server: server.client("AKIDNOBODY", secret="alice/secret+key"), "UnrecognizedClientException"),
        (lambda server: server.client("akidalice", secret="alice/secret+key"), "UnrecognizedClientException"),
        (lambda server: server.client("111122223333", secret="alice/secret+key"), "UnrecognizedClientException"),
        (lambda server: server.client(signature_version=UNSIGNED), "MissingAuthenticationTokenException"),
    ],
    ids=[
        "a wrong secret",
        "the secret of somebody else",
        "a wrong secret beside a session token",
        "an unknown key",
        "a key in small letters",
        "an account number is no key",
        "no signature",
    ],
)
def test_everything_else_is_refused(make, code, server):
    before = len(alice(server).list_secrets()["SecretList"])
    client = make(server)
    for call in [
        lambda: client.create_secret(Name="intruder", SecretString="x"),
        lambda: client.get_random_password(),
        lambda: client.get_secret_value(SecretId="missing"),
        lambda: client.rotate_secret(SecretId="missing"),
    ]:
        with refused(client, code) as caught:
            call()
        text = caught.value.response["Error"]["Message"]
        assert ALICE["secret_access_key"] not in text and BOB["secret_access_key"] not in text
    assert len(alice(server).list_secrets()["SecretList"]) == before


def test_the_body_is_part_of_what_is_signed(server):
    client = alice(server)
    client.create_secret(Name="signed", SecretString="original")

    def forge(request, **_):
        request.body = request.body.replace(b"original", b"tampered")

    client.meta.events.register("before-send", forge)
    with refused(client, "InvalidSignatureException"):
        client.put_secret_value(SecretId="signed", SecretString="original")
    assert alice(server).get_secret_value(SecretId="signed")["SecretString"] == "original"


def test_the_operation_is_part_of_what_is_signed(server):
    client = alice(server)
    client.create_secret(Name="described", SecretString="x")

    def forge(request, **_):
        request.headers["X-Amz-Target"] = "secretsmanager.DeleteSecret"

    client.meta.events.register("before-send", forge)
    with refused(client, "InvalidSignatureException"):
        client.describe_secret(SecretId="described")
    assert "DeletedDate" not in alice(server).describe_secret(SecretId="described")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_credentials_file_that_others_can_read_is_refused(mode, tmp_path):
    path = write_credentials(tmp_path, mode)
    ended = serve(tmp_path, "--verify-signatures", "--credentials", path)
    assert ended.returncode != 0
    assert str(path) in ended.stderr
    assert ALICE["secret_access_key"] not in ended.stderr


CONTENTS = [
    ("not JSON", '{"credentials": [{"secret_access_key": "alice/secret+key"'),
    ("another shape", '["alice/secret+key"]'),
    ("no secret", '{"credentials": [{"access_key_id": "AKIDALICE", "account": "111122223333"}]}'),
    (
        "an account of 11 digits",
        '{"credentials": [{"access_key_id": "A", "secret_access_key": "alice/secret+key", "account": "11112222333"}]}',
    ),
    (
        "a key twice",
        json.dumps({"credentials": [ALICE, {**ALICE, "account": "444455556666"}]}),
    ),
]


@pytest.mark.parametrize("content", [row[1] for row in CONTENTS], ids=[row[0] for row in CONTENTS])
def test_a_credentials_file_that_says_nothing_useful_is_refused(content, tmp_path):
    path = write_credentials(tmp_path, content=content)
    ended = serve(tmp_path, "--verify-signatures", "--credentials", path)
    assert ended.returncode != 0
    assert str(path) in ended.stderr
    assert ALICE["secret_access_key"] not in ended.stderr


def test_verifying_needs_a_credentials_file(tmp_path):
    ended = serve(tmp_path, "--verify-signatures")
    assert ended.returncode != 0
    assert "--credentials" in ended.stderr


def serve(folder, *options):
    return run("serve", "--dir", folder / "store", "--listen", "127.0.0.1:0", *options)


def test_only_a_server_that_verifies_listens_to_everybody(start, tmp_path):
    for listen in ["0.0.0.0:0", "[::]:0"]:
        ended = run("serve", "--dir", tmp_path / "store", "--listen", listen)
        assert ended.returncode != 0
        assert ended.stdout == ""
        assert "--verify-signatures" in ended.stderr
    path = write_credentials(tmp_path)
    server = start("--verify-signatures", "--credentials", path, listen="0.0.0.0:0")
    assert alice(server).list_secrets()["SecretList"] == []
