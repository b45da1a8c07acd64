"""Many clients at once, and answers that get lost."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from expect import stages

CLIENTS = 32


def test_32_clients_at_once(server, account):
    clients = [server.client(account) for _ in range(CLIENTS)]
    clients[0].create_secret(Name="shared", SecretString="first")

    def work(number):
        client, name = clients[number], f"own-{number}"
        client.create_secret(Name=name, SecretString="0")
        for value in range(1, 5):
            client.put_secret_value(SecretId=name, SecretString=str(value))
            assert client.get_secret_value(SecretId=name)["SecretString"] == str(value)
            assert client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == str(value - 1)
        token = f"{number:032}"
        client.put_secret_value(SecretId="shared", SecretString=f"from {number}", ClientRequestToken=token)
        assert client.get_secret_value(SecretId="shared", VersionId=token)["SecretString"] == f"from {number}"

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))

    listed = clients[0].get_paginator("list_secrets").paginate().search("SecretList[].Name")
    assert sorted(listed) == sorted(["shared", *(f"own-{number}" for number in range(CLIENTS))])
    everything = clients[0].list_secret_version_ids(SecretId="shared", IncludeDeprecated=True)["Versions"]
    assert len(everything) == CLIENTS + 1
    assert sorted(labels for each in stages(clients[0], "shared").values() for labels in each) == [
        "AWSCURRENT",
        "AWSPREVIOUS",
    ]


def test_one_of_32_creates_a_name(server, account):
    clients = [server.client(account) for _ in range(CLIENTS)]
    barrier = threading.Barrier(CLIENTS)

    def create(client):
        barrier.wait()
        try:
            return client.create_secret(Name="once", SecretString="x")["VersionId"]
        except client.exceptions.ResourceExistsException:
            return None

    with ThreadPoolExecutor(CLIENTS) as pool:
        winners = [version for version in pool.map(create, clients) if version]
    assert winners == list(stages(clients[0], "once"))


class Forgetful:
    """Passes requests on to a server, and hangs up instead of passing on the first answers."""

    def __init__(self, port, forgets):
        self.port, self.forgets, self.requests = port, forgets, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self.port)) as server:
                server.sendall(self.request(client))
                answer = server.recv(65_536)
                if self.requests > self.forgets:
                    client.sendall(answer)

    def request(self, client):
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(65_536)
        head, body = received.split(b"\r\n\r\n", 1)
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += client.recv(65_536)
        self.requests += 1
        return head + b"\r\n\r\n" + body


def test_a_client_that_repeats_after_a_lost_answer_writes_once(server, account):
    """The client repeats by itself, with the token it made for the first attempt."""
    direct = server.client(account)
    for name, call in [
        ("created", lambda client: client.create_secret(Name="created", SecretString="new")),
        ("put", lambda client: client.put_secret_value(SecretId="put", SecretString="new")),
        ("updated", lambda client: client.update_secret(SecretId="updated", SecretString="new")),
    ]:
        if name != "created":
            direct.create_secret(Name=name, SecretString="old")
        proxy = Forgetful(server.port, forgets=1)
        try:
            client = server.client(account, retries={"mode": "standard"})
            client.meta.events.register("before-send", lambda request, url=proxy.url, **_: redirect(request, url))
            answer = call(client)
        finally:
            proxy.listener.close()
        assert proxy.requests == 2
        assert answer["ResponseMetadata"]["RetryAttempts"] == 1
        versions = direct.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
        assert len(versions) == (1 if name == "created" else 2)
        got = direct.get_secret_value(SecretId=name)
        assert (got["VersionId"], got["SecretString"]) == (answer["VersionId"], "new")


def redirect(request, url):
    request.url = url + "/"
