"""The same directory again: after a clean end, and after none."""

import os
import random
import signal
import socket
import threading

import pytest
from botocore.exceptions import BotoCoreError

from server import PATIENCE_SECONDS, run

ROUNDS = 30 if os.environ.get("STRONGROOM_LONG") == "1" else 3
WRITERS = 6


class Writer(threading.Thread):
    """Writes numbered values to a secret of its own until the server is gone, and notes what was acknowledged."""

    def __init__(self, server, number, on_acknowledged):
        super().__init__(daemon=True)
        self.client = server.client(retries={"total_max_attempts": 1})
        self.name = f"writer-{number}-{server.port}"
        self.on_acknowledged = on_acknowledged
        self.acknowledged = []
        self.attempted = None
        self.error = None

    def run(self):
        try:
            for number in range(1_000_000):
                self.attempted = f"{number:032}"
                write(self.client, self.name, self.attempted)
                self.acknowledged.append(self.attempted)
                self.on_acknowledged()
        except BotoCoreError:
            # The server is gone.
            pass
        except Exception as error:
            self.error = error


def value_of(name, token):
    return f"{name} {token}"


def write(client, name, token):
    more = {"SecretString": value_of(name, token), "ClientRequestToken": token}
    if int(token) == 0:
        client.create_secret(Name=name, **more)
    else:
        client.put_secret_value(SecretId=name, **more)


def test_every_acknowledged_value_survives_a_kill(start):
    chance = random.Random(7)
    written = {}
    for _ in range(ROUNDS):
        server = start()
        check(server.client(), written)
        left = [chance.randint(1, 120)]
        lock = threading.Lock()

        def count(server=server, left=left, lock=lock):
            with lock:
                left[0] -= 1
                if left[0] == 0:
                    server.process.send_signal(signal.SIGKILL)

        writers = [Writer(server, number, count) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(PATIENCE_SECONDS)
            assert not writer.is_alive()
            assert writer.error is None
        assert server.process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        server.kill()

        server = start()
        client = server.client()
        for writer in writers:
            current = current_token(client, writer.name)
            if not writer.acknowledged:
                assert current in {None, writer.attempted}
            else:
                assert current in {writer.acknowledged[-1], writer.attempted}
            # The attempt that had no answer is repeated, and then is done exactly once.
            write(client, writer.name, writer.attempted)
            assert current_token(client, writer.name) == writer.attempted
            written[writer.name] = sorted({*writer.acknowledged, writer.attempted})
        check(client, written)
        server.kill()
    check(start().client(), written)


def current_token(client, name):
    try:
        got = client.get_secret_value(SecretId=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    assert got["SecretString"] == value_of(name, got["VersionId"])
    return got["VersionId"]


def check(client, written):
    assert {entry["Name"] for entry in all_secrets(client)} == set(written)
    for name, tokens in written.items():
        for token in tokens:
            got = client.get_secret_value(SecretId=name, VersionId=token)
            assert got["SecretString"] == value_of(name, token)
        listed, more = [], {}
        while more is not None:
            page = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True, **more)
            listed += [version["VersionId"] for version in page["Versions"]]
            more = {"NextToken": page["NextToken"]} if "NextToken" in page else None
        assert sorted(listed) == tokens


def all_secrets(client):
    return client.get_paginator("list_secrets").paginate().search("SecretList[]")


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_server_that_is_asked_to_end_ends_well(by, start):
    server = start()
    client = server.client()
    created = client.create_secret(Name="kept", SecretBinary=b"\x00\xff", Tags=[{"Key": "k", "Value": "v"}])
    client.put_secret_value(SecretId="kept", SecretString="two")
    client.create_secret(Name="leaving", SecretString="x")
    client.delete_secret(SecretId="leaving", RecoveryWindowInDays=7)
    described = client.describe_secret(SecretId="kept")
    # The client keeps its connection open meanwhile.
    assert server.stop(by) == 0
    assert server.process.stdout.read() == ""

    client = start().client()
    again = client.describe_secret(SecretId="kept")
    assert {name: again[name] for name in again if name != "ResponseMetadata"} == {
        name: described[name] for name in described if name != "ResponseMetadata"
    }
    assert client.get_secret_value(SecretId="kept")["SecretString"] == "two"
    assert client.get_secret_value(SecretId="kept", VersionId=created["VersionId"])["SecretBinary"] == b"\x00\xff"
    assert client.restore_secret(SecretId="leaving")["Name"] == "leaving"


def test_what_is_only_written_is_kept_by_a_clean_end(start):
    server = start("--durability", "eventual")
    for number in range(50):
        server.client().create_secret(Name=f"quick-{number}", SecretString=str(number))
    assert server.stop() == 0
    client = start().client()
    assert len(client.list_secrets()["SecretList"]) == 50
    assert client.get_secret_value(SecretId="quick-49")["SecretString"] == "49"


def test_a_request_under_way_is_finished_before_the_end(start):
    server = start()
    body = b'{"Name":"late","SecretString":"x","ClientRequestToken":"00000000000000000000000000000001"}'
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/x-amz-json-1.1\r\n"
        f"X-Amz-Target: secretsmanager.CreateSecret\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100")
        connection.sendall(body[:40])
        server.process.send_signal(signal.SIGTERM)
        while accepts(server.port):
            assert server.process.poll() is None
        connection.sendall(body[40:])
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert start().client().get_secret_value(SecretId="late")["SecretString"] == "x"


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_store_is_served_once(start):
    server = start()
    second = run("serve", "--dir", server.directory, "--listen", "127.0.0.1:0")
    assert second.returncode == 7
    assert second.stdout == "" and second.stderr != ""
    # The first one is not disturbed.
    assert server.client().list_secrets()["SecretList"] == []
