"""What tests say about answers."""

from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

NOT_FOUND = "Secrets Manager can't find the specified secret."
MARKED = "You can't perform this operation on the secret because it was marked for deletion."
SCHEDULED = "You can't create this secret because a secret with this name is already scheduled for deletion."
BAD_NAME = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
NO_TOKEN = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
STAGE_MISMATCH = "You provided a VersionStage that is not associated to the provided VersionId."
NO_VALUE = "You must provide either SecretString or SecretBinary."
WINDOW_RANGE = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
WINDOW_AND_FORCE = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
CURRENT_STAYS = (
    "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed."
)
ONE_SELECTOR = "Either 'SecretIdList' or 'Filters' must be provided, but not both."
NO_FILTERS = "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
SHORT_PASSWORD = "Password length is too short based on the required types."
TYPE_EXCLUDED = "All characters of the desired type have been excluded."
ALL_EXCLUDED = "All characters have been excluded from selection."
NO_KMS = "Access to KMS is not allowed"


def name_taken(name):
    return f"The operation failed because the secret {name} already exists."


def token_taken(token, arn):
    return (
        f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
    )


def no_such_label(label):
    return f"Secrets Manager can't find the specified secret value for staging label: {label}"


def no_such_version(version):
    return f"Secrets Manager can't find the specified secret value for VersionId: {version}"


def remove_from_missing(label, version):
    return (
        f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version "
        f"{version}, so you must explicitly reference that version in RemoveFromVersionId."
    )


@contextmanager
def refused(client, code, text=None, status=400):
    """The block must fail with this error of the service; modelled ones as the client's own class for them."""
    error_class = getattr(client.exceptions, code, None) if code in modelled(client) else ClientError
    with pytest.raises(error_class) as caught:
        yield caught
    response = caught.value.response
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["ResponseMetadata"]["RequestId"]
    assert response["Error"]["Message"]
    if text is not None:
        assert response["Error"]["Message"] == text
    # The member `Message` belongs to the modelled shapes only.
    assert ("Message" in response) == (code in modelled(client))


def modelled(client):
    return {shape.name for shape in client.meta.service_model.error_shapes}


def members(response):
    return {name for name in response if name != "ResponseMetadata"}


def stages(client, secret_id):
    """The labels of every version that has some."""
    versions = client.describe_secret(SecretId=secret_id).get("VersionIdsToStages", {})
    return {version: set(labels) for version, labels in versions.items()}
