"""A rotation function as one would write it for the service. What it rotates opens nothing: a new value is a new password.

Environment of `lambda_handler`:

ROTATION_REMOVES_PENDING  1: the last step also removes the label AWSPENDING
ROTATION_FAILS_AT         the step that always fails
ROTATION_LOG              a file to which every event is appended, as a line of JSON without its RotationToken
"""

import json
import os

import boto3

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"


class Refused(Exception):
    """The event does not fit the state of the secret."""


class Rotation:
    """One event, and the secret that it is about."""

    def __init__(self, client, secret_id, token):
        self.client = client
        self.secret_id = secret_id
        self.token = token

    def stages(self):
        """The labels of every version, once it is certain that the event belongs to a rotation."""
        about = self.client.describe_secret(SecretId=self.secret_id)
        if not about.get("RotationEnabled"):
            raise Refused("the secret is not to be rotated")
        stages = about.get("VersionIdsToStages", {})
        if self.token not in stages:
            raise Refused("the secret has no version for this rotation")
        if CURRENT not in stages[self.token] and PENDING not in stages[self.token]:
            raise Refused("the version for this rotation is not the pending one")
        return stages

    def pending(self):
        return self.client.get_secret_value(SecretId=self.secret_id, VersionId=self.token, VersionStage=PENDING)

    def create_secret(self, _):
        current = self.client.get_secret_value(SecretId=self.secret_id, VersionStage=CURRENT)
        try:
            self.pending()
        except self.client.exceptions.ResourceNotFoundException:
            value = json.loads(current["SecretString"])
            made = self.client.get_random_password(ExcludeCharacters="/@\"'\\")
            value["password"] = made["RandomPassword"]
            self.client.put_secret_value(
                SecretId=self.secret_id,
                ClientRequestToken=self.token,
                SecretString=json.dumps(value),
                VersionStages=[PENDING],
            )

    def set_secret(self, _):
        self.pending()

    def test_secret(self, _):
        if not json.loads(self.pending()["SecretString"])["password"]:
            raise Refused("the pending value opens nothing")

    def finish_secret(self, stages):
        # The other versions are not to see the new label before it is final.
        assert stages[self.token] == [PENDING], stages
        former = next((version for version, labels in stages.items() if CURRENT in labels), None)
        more = {"RemoveFromVersionId": former} if former else {}
        self.client.update_secret_version_stage(
            SecretId=self.secret_id, VersionStage=CURRENT, MoveToVersionId=self.token, **more
        )

    def remove_pending(self):
        self.client.update_secret_version_stage(
            SecretId=self.secret_id, VersionStage=PENDING, RemoveFromVersionId=self.token
        )


STEPS = {
    "createSecret": Rotation.create_secret,
    "setSecret": Rotation.set_secret,
    "testSecret": Rotation.test_secret,
    "finishSecret": Rotation.finish_secret,
}


def handler(removes_pending=False, fails_at=None, log=None):
    """A Lambda handler that behaves as it is told here."""

    def handle(event, context):
        del context
        if log:
            noted = {name: value for name, value in event.items() if name != "RotationToken"}
            noted["HasRotationToken"] = bool(event.get("RotationToken"))
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps(noted) + "\n")
        step = event["Step"]
        work = STEPS[step]
        rotation = Rotation(boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"])
        stages = rotation.stages()
        if step == fails_at:
            raise Refused(f"{step} was told to fail")
        if CURRENT in stages[rotation.token]:
            return
        work(rotation, stages)
        if step == "finishSecret" and removes_pending:
            rotation.remove_pending()

    return handle


def lambda_handler(event, context):
    """The handler that the environment describes."""
    handle = handler(
        removes_pending=os.environ.get("ROTATION_REMOVES_PENDING") == "1",
        fails_at=os.environ.get("ROTATION_FAILS_AT"),
        log=os.environ.get("ROTATION_LOG"),
    )
    return handle(event, context)
