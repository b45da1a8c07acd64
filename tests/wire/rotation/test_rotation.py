"""Rotations from end to end: the command, a function written for the service, and what a client sees of it."""

import contextlib
import json
import pathlib
import shlex
import sys
import time
import uuid

import pytest
from expect import refused
from function import handler
from lambda_server import LambdaServer
from server import Server, run

HERE = pathlib.Path(__file__).parent
PATIENCE_SECONDS = 60
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
NOT_INVOCABLE = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
    "principal secretsmanager.amazonaws.com."
)
NOT_COMPLETE = "A previous rotation isn't complete. That rotation will be reattempted."
NO_FUNCTION = "No Lambda rotation function ARN is associated with this secret."
VALUE = {"username": "app", "password": "zero", "port": 5432}

BEHAVIOURS = {
    "keeps": {},
    "removes": {"removes_pending": True},
    "fails-createSecret": {"fails_at": "createSecret"},
    "fails-setSecret": {"fails_at": "setSecret"},
    "fails-finishSecret": {"fails_at": "finishSecret"},
    "fails-testSecret": {"fails_at": "testSecret"},
}


def arn_of(function):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{function}"


def as_program(folder, name, behaviour):
    """A program that behaves so. Its environment has nothing but what the server gives it."""
    settings = {
        "ROTATION_LOG": folder / f"{name}.log",
        "ROTATION_REMOVES_PENDING": "1" if behaviour.get("removes_pending") else "0",
        "ROTATION_FAILS_AT": behaviour.get("fails_at", ""),
    }
    settings = " ".join(shlex.quote(f"{key}={value}") for key, value in settings.items())
    program = folder / name
    program.write_text(f"#!/bin/sh\nexec env {settings} {shlex.quote(sys.executable)} {HERE / 'as_command.py'}\n")
    program.chmod(0o700)
    return program


class Rotating:
    """A server with rotation functions, and one secret after the other."""

    def __init__(self, folder, server):
        self.folder = folder
        self.client = server.client()

    def create(self):
        self.name = f"secret-{uuid.uuid4()}"
        made = self.client.create_secret(Name=self.name, SecretString=json.dumps(VALUE))
        self.arn = made["ARN"]
        return made["VersionId"]

    def describe(self):
        return self.client.describe_secret(SecretId=self.arn)

    def stages(self):
        return {version: sorted(labels) for version, labels in self.describe()["VersionIdsToStages"].items()}

    def rotate(self, function=None, **more):
        if function:
            more["RotationLambdaARN"] = arn_of(function)
        return self.client.rotate_secret(SecretId=self.arn, **more)

    def value(self, **which):
        return json.loads(self.client.get_secret_value(SecretId=self.arn, **which)["SecretString"])

    def events(self, function):
        """The events about this secret that a function got, in order."""
        log = self.folder / f"{function}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [event for event in map(json.loads, lines) if event["SecretId"] == self.arn]

    def steps(self, function, token):
        return [event["Step"] for event in self.events(function) if event["ClientRequestToken"] == token]


def until(what, is_so):
    """Waits until something is so, and gives what `is_so` gave."""
    for _ in range(PATIENCE_SECONDS * 10):
        found = is_so()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen")


@pytest.fixture(scope="module", params=["command", "endpoint"])
def rotating(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with contextlib.ExitStack() as stack:
        if request.param == "command":
            programs = {name: as_program(folder, name, behaviour) for name, behaviour in BEHAVIOURS.items()}
            options = [f"--rotation-command={arn_of(name)}={program}" for name, program in programs.items()]
        else:
            functions = {
                name: handler(log=folder / f"{name}.log", **behaviour) for name, behaviour in BEHAVIOURS.items()
            }
            endpoint = stack.enter_context(LambdaServer(functions))
            options = [f"--lambda-endpoint={endpoint.url}"]
        server = stack.enter_context(Server(folder, "--maintain-every=1", *options))
        # Where functions of the endpoint, which run in this process, find the server.
        settings = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "000000000000",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items() if request.param == "endpoint" else ():
                patch.setenv(name, value)
            yield Rotating(folder, server)


@pytest.mark.parametrize("function, is_kept", [("removes", []), ("keeps", ["AWSPENDING"])])
def test_a_secret_is_rotated_and_rotated_again(rotating, function, is_kept):
    """Labels after the first and after the second rotation, of functions that remove AWSPENDING and of others."""
    first = rotating.create()
    passwords = [rotating.value()["password"]]
    versions = [first]
    for more in [{"function": function, "RotationRules": {"AutomaticallyAfterDays": 1}}, {}]:
        token = str(uuid.uuid4())
        last = rotating.describe().get("LastRotatedDate")
        answer = rotating.rotate(**more, ClientRequestToken=token)
        assert (answer["ARN"], answer["Name"], answer["VersionId"]) == (rotating.arn, rotating.name, token)

        def end():
            about = rotating.describe()
            rotated = about.get("LastRotatedDate")
            return about if rotated is not None and (last is None or rotated > last) else None

        about = until(f"the end of rotation {token}", end)
        former = versions[-1]
        versions.append(token)
        # Older versions have lost their labels, and are not in the table.
        assert rotating.stages() == {token: sorted(["AWSCURRENT", *is_kept]), former: ["AWSPREVIOUS"]}
        assert about["RotationEnabled"] is True
        assert about["RotationLambdaARN"] == arn_of(function)
        assert about["RotationRules"] == {"AutomaticallyAfterDays": 1}
        assert about["NextRotationDate"] > about["LastRotatedDate"]
        assert rotating.steps(function, token) == STEPS
        value = rotating.value()
        assert value["password"] not in passwords
        assert {**value, "password": "zero"} == VALUE
        assert rotating.value(VersionStage="AWSPREVIOUS")["password"] == passwords[-1]
        passwords.append(value["password"])
    assert all(event["HasRotationToken"] for event in rotating.events(function))


def test_a_test_run_leaves_no_version(rotating):
    first = rotating.create()
    rules = {"AutomaticallyAfterDays": 30}
    answer = rotating.rotate("keeps", RotateImmediately=False, RotationRules=rules)
    assert answer["ARN"] == rotating.arn
    until("the test", lambda: rotating.events("keeps"))
    until("the end of the test", lambda: rotating.stages() == {first: ["AWSCURRENT"]})
    assert [event["Step"] for event in rotating.events("keeps")] == ["testSecret"]
    assert all(event["ClientRequestToken"] != first for event in rotating.events("keeps"))
    about = rotating.describe()
    assert about["RotationEnabled"] is True
    assert about["RotationRules"] == rules
    assert "NextRotationDate" in about
    assert "LastRotatedDate" not in about
    assert rotating.value() == VALUE
    listed = rotating.client.list_secret_version_ids(SecretId=rotating.arn)["Versions"]
    assert [version["VersionId"] for version in listed] == [first]


def test_a_function_that_is_not_there_is_refused_and_nothing_is_stored(rotating):
    rotating.create()
    before = rotating.describe()
    with refused(rotating.client, "AccessDeniedException", NOT_INVOCABLE):
        rotating.rotate("missing", RotationRules={"AutomaticallyAfterDays": 1})
    with refused(rotating.client, "InvalidRequestException", NO_FUNCTION):
        rotating.rotate(RotationRules={"AutomaticallyAfterDays": 1})
    after = rotating.describe()
    for about in [before, after]:
        del about["ResponseMetadata"]
    assert after == before
    assert "RotationEnabled" not in after or after["RotationEnabled"] is False


@pytest.mark.parametrize("step", STEPS)
def test_a_function_that_fails_leaves_the_pending_version(rotating, step):
    first = rotating.create()
    token = str(uuid.uuid4())
    function = f"fails-{step}"
    rotating.rotate(function, ClientRequestToken=token)
    until("the failure", lambda: step in rotating.steps(function, token))
    assert rotating.stages() == {first: ["AWSCURRENT"], token: ["AWSPENDING"]}
    with refused(rotating.client, "InvalidRequestException", NOT_COMPLETE):
        rotating.rotate()
    # The same request again is the same rotation.
    assert rotating.rotate(ClientRequestToken=token)["VersionId"] == token
    assert rotating.stages() == {first: ["AWSCURRENT"], token: ["AWSPENDING"]}
    assert rotating.value() == VALUE
    assert "LastRotatedDate" not in rotating.describe()
    done = rotating.steps(function, token)
    assert done[: STEPS.index(step) + 1] == STEPS[: STEPS.index(step) + 1]
    assert all(STEPS.index(other) <= STEPS.index(step) for other in done)


def test_a_cancelled_rotation_can_be_cleared_and_begun_again(rotating):
    first = rotating.create()
    token = str(uuid.uuid4())
    rotating.rotate("fails-setSecret", ClientRequestToken=token)
    until("the failure", lambda: "setSecret" in rotating.steps("fails-setSecret", token))
    cancelled = rotating.client.cancel_rotate_secret(SecretId=rotating.arn)
    assert cancelled["VersionId"] == token
    about = rotating.describe()
    assert about["RotationEnabled"] is False
    assert "NextRotationDate" not in about
    with refused(rotating.client, "InvalidRequestException", NOT_COMPLETE):
        rotating.rotate("keeps")
    rotating.client.update_secret_version_stage(
        SecretId=rotating.arn, VersionStage="AWSPENDING", RemoveFromVersionId=token
    )
    again = rotating.rotate("keeps")["VersionId"]
    until("the end", lambda: rotating.stages().get(again) == ["AWSCURRENT", "AWSPENDING"])
    assert rotating.stages()[first] == ["AWSPREVIOUS"]


def test_a_program_rotates_without_a_server(tmp_path):
    """`rotate` and `maintain` serve the store to the program, whatever credentials the shell has for the cloud."""
    program = as_program(tmp_path, "alone", {"removes_pending": True})
    place = ["--dir", tmp_path / "store", "--region", "eu-central-1", "--account", "111122223333"]
    assert run("init", *place).returncode == 0
    (tmp_path / "value").write_text(json.dumps(VALUE))
    arn = json.loads(run("create", "db", "--value-file", tmp_path / "value", "--json", *place).stdout)["ARN"]
    cloud = {
        "AWS_ACCESS_KEY_ID": "AKIDCLOUD",
        "AWS_SECRET_ACCESS_KEY": "cloud",
        "AWS_SESSION_TOKEN": "cloud",
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
    }
    function = "arn:aws:lambda:eu-central-1:111122223333:function:alone"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.items():
            patch.setenv(name, value)
        rotate = ["rotate", "db", "--rotation-command", program, "--json", *place]
        passwords = ["zero"]
        for more in [["--function", function, "--every-days", "30"], []]:
            rotated = run(*rotate, *more)
            assert (rotated.returncode, rotated.stderr) == (0, "")
            value = json.loads(run("get", "db", *place).stdout)
            assert value["password"] not in passwords
            assert {**value, "password": "zero"} == VALUE
            passwords.append(value["password"])
        maintained = run("maintain", "--dir", tmp_path / "store", "--rotation-command", program, "--json")
        assert (maintained.returncode, maintained.stderr) == (0, "")
        assert json.loads(maintained.stdout)["rotated_secrets"] == 0
    events = [json.loads(line) for line in (tmp_path / "alone.log").read_text().splitlines()]
    assert [event["Step"] for event in events] == STEPS * 2
    assert {event["SecretId"] for event in events} == {arn}
    labels = {version["VersionId"]: version["VersionStages"] for version in versions(place)}
    assert sorted(labels.values()) == [["AWSCURRENT"], ["AWSPREVIOUS"]]


def versions(place):
    return json.loads(run("versions", "db", "--json", *place).stdout)["Versions"]
