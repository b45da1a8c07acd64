"""Fixtures: one server for everybody, an account of its own for each test, and servers for tests that need one alone."""

import itertools
import os

# Nothing of the machine's own configuration may reach the clients or the server.
for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
for name in ["STRONGROOM_DIR", "STRONGROOM_ACCOUNT", "STRONGROOM_REGION"]:
    os.environ.pop(name, None)
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")

import pytest

from server import Server

ACCOUNTS = itertools.count(111111111111)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def start(tmp_path):
    """Starts servers on the folder of the test."""
    servers = []

    def start(*options, **more):
        servers.append(Server(tmp_path, *options, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def account():
    """An account that no other test uses."""
    return str(next(ACCOUNTS))


@pytest.fixture
def client(server, account):
    return server.client(account)


@pytest.fixture
def unchecked(server, account):
    """The same account without the client's own checks of what is sent."""
    return server.client(account, parameter_validation=False)
