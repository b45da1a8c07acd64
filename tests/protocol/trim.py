#!/usr/bin/env python3
"""Reduces the service's API model, and its examples, to what the tests need.

    trim.py model    service-2.json   > api_model.json
    trim.py examples examples-1.json  > examples.json
    trim.py seeds    examples.json DIRECTORY
    trim.py words    api_model.json   > wire.dict

The model keeps names, kinds and limits; no documentation and no other text. The seeds are the examples as inputs of the
fuzz target, each after requests that make its success possible; the words are the names that it is worth trying.
"""

import json
import pathlib
import sys

LIMITS = ("min", "max", "pattern", "enum", "sensitive", "required", "exception")


def shape(of):
    kept = {"type": of["type"]}
    kept.update((limit, of[limit]) for limit in LIMITS if limit in of)
    if "members" in of:
        kept["members"] = {name: member["shape"] for name, member in of["members"].items()}
    for part in ("member", "key", "value"):
        if part in of:
            kept[part] = of[part]["shape"]
    return kept


def operation(of):
    kept = {"input": of["input"]["shape"]}
    if "output" in of:
        kept["output"] = of["output"]["shape"]
    kept["errors"] = [error["shape"] for error in of["errors"]]
    return kept


def model(path):
    whole = json.loads(pathlib.Path(path).read_text())
    return {
        "operations": {name: operation(of) for name, of in whole["operations"].items()},
        "shapes": {name: shape(of) for name, of in whole["shapes"].items()},
    }


def examples(path):
    whole = json.loads(pathlib.Path(path).read_text())["examples"]
    return [
        {"operation": name, **{part: example[part] for part in ("input", "output") if part in example}}
        for name, several in whole.items()
        for example in several
    ]


def lines(content):
    """One entry a line, so that changes can be read."""
    if isinstance(content, list):
        return "[\n" + ",\n".join(json.dumps(entry) for entry in content) + "\n]\n"
    parts = []
    for part, entries in content.items():
        rows = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
        parts.append(f"{json.dumps(part)}: {{\n" + ",\n".join(rows) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def request(operation, **members):
    return f"secretsmanager.{operation}\n{json.dumps(members)}"


def world(secret):
    """Two versions of a secret, as the examples know them, with a label, a tag and a description."""
    first, second = "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1", "EXAMPLE2-90ab-cdef-fedc-ba987SECRET2"
    return [
        request("CreateSecret", Name=secret, ClientRequestToken=first, SecretString="one", Description="My database",
                Tags=[{"Key": "FirstTag", "Value": "SomeValue"}]),
        request("PutSecretValue", SecretId=secret, ClientRequestToken=second, SecretBinary="dHdv",
                VersionStages=["STAGINGLABEL2"]),
    ]


def policy(principal):
    statement = {"Sid": "s", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": "secretsmanager:*",
                 "Resource": "*", "Condition": {"StringNotEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:rotate"

# What the examples do not show.
STORIES = {
    "pages": [
        *(request("CreateSecret", Name=f"prod/{name}", SecretString=name) for name in "abc"),
        request("ListSecrets", MaxResults=1, SortBy="name", SortOrder="desc"),
        request("ListSecrets", MaxResults=1, SortBy="name", SortOrder="desc", NextToken="@NEXT@"),
        request("BatchGetSecretValue", Filters=[{"Key": "name", "Values": ["prod/", "!x"]}], MaxResults=2),
        request("BatchGetSecretValue", Filters=[{"Key": "name", "Values": ["prod/", "!x"]}], MaxResults=2,
                NextToken="@NEXT@"),
    ],
    "deletion": [
        *world("main"),
        request("DeleteSecret", SecretId="main", RecoveryWindowInDays=7),
        request("GetSecretValue", SecretId="main"),
        request("ListSecrets", IncludePlannedDeletion=True),
        request("RestoreSecret", SecretId="@ARN@"),
        request("DeleteSecret", SecretId="main"),
        "@advance 2592001",
        request("DescribeSecret", SecretId="main"),
        request("CreateSecret", Name="main", SecretString="again"),
        request("DeleteSecret", SecretId="main", ForceDeleteWithoutRecovery=True),
    ],
    "labels": [
        *world("main"),
        request("PutSecretValue", SecretId="main", SecretString="three", VersionStages=["AWSPENDING", "own"]),
        request("UpdateSecretVersionStage", SecretId="main", VersionStage="AWSCURRENT", MoveToVersionId="@VERSION@",
                RemoveFromVersionId="EXAMPLE1-90ab-cdef-fedc-ba987SECRET1"),
        request("UpdateSecretVersionStage", SecretId="main", VersionStage="own", RemoveFromVersionId="@VERSION@"),
        request("ListSecretVersionIds", SecretId="main", IncludeDeprecated=True, MaxResults=1),
        request("ListSecretVersionIds", SecretId="main", IncludeDeprecated=True, MaxResults=1, NextToken="@NEXT@"),
        request("GetSecretValue", SecretId="@ARN@", VersionId="@VERSION@", VersionStage="AWSCURRENT"),
    ],
    "rotation": [
        *world("main"),
        request("RotateSecret", SecretId="main", RotationLambdaARN=FUNCTION, RotationRules={"AutomaticallyAfterDays": 7}),
        request("PutSecretValue", SecretId="main", SecretString="new", ClientRequestToken="@VERSION@",
                VersionStages=["AWSPENDING"]),
        request("RotateSecret", SecretId="main", ClientRequestToken="@VERSION@"),
        "@maintain",
        request("DescribeSecret", SecretId="main"),
        request("RotateSecret", SecretId="main", RotationRules={"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"},
                RotateImmediately=False),
        request("RotateSecret", SecretId="main"),
        "@advance 2592000",
        "@maintain",
        request("ListSecrets"),
        request("CancelRotateSecret", SecretId="main"),
        request("CreateSecret", Name="external", SecretString="one", Type="Partner"),
        request("RotateSecret", SecretId="external", ExternalSecretRotationMetadata=[{"Key": "k", "Value": "v"}],
                ExternalSecretRotationRoleArn="arn:aws:iam::000000000000:role/rotate"),
    ],
    "policies": [
        *world("main"),
        request("GetResourcePolicy", SecretId="main"),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("123456789012")),
        request("GetResourcePolicy", SecretId="@ARN@", PolicyName="default"),
        request("ListResourcePolicies", SecretId="main", MaxResults=1),
        request("ListResourcePolicies", SecretId="main", MaxResults=1, NextToken="@NEXT@"),
        request("ValidateResourcePolicy", ResourcePolicy=policy("*")),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("*"), BlockPublicPolicy=True),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("*"), BlockPublicPolicy=False),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("nobody")),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("*").replace("Allow", "Deny")),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("*")[1:]),
        request("PutResourcePolicy", SecretId="main", ResourcePolicy=policy("*"), PolicyName="other"),
        request("GetResourcePolicy", SecretId="main", PolicyName="other"),
        request("ValidateResourcePolicy", SecretId="main", ResourcePolicy=policy("*").replace("Action", "Acton")),
        request("DeleteResourcePolicy", SecretId="main"),
        request("DeleteResourcePolicy", SecretId="main", PolicyName="default"),
    ],
    "replication": [
        *world("main"),
        "@handle 000000000000 eu-west-1",
        request("CreateSecret", Name="main", SecretString="in the way"),
        "@handle 000000000000 us-east-1",
        request("ReplicateSecretToRegions", SecretId="main", AddReplicaRegions=[
            {"Region": "eu-west-1"}, {"Region": "eu-west-3", "KmsKeyId": "alias/own"}]),
        request("ReplicateSecretToRegions", SecretId="main", AddReplicaRegions=[{"Region": "eu-west-1"}],
                ForceOverwriteReplicaSecret=True),
        request("PutSecretValue", SecretId="main", SecretString="three", VersionStages=["AWSCURRENT", "own"]),
        request("TagResource", SecretId="main", Tags=[{"Key": "more"}]),
        request("DeleteSecret", SecretId="main", ForceDeleteWithoutRecovery=True),
        "@handle 000000000000 eu-west-3",
        request("GetSecretValue", SecretId="main"),
        request("PutSecretValue", SecretId="main", SecretString="refused"),
        request("DescribeSecret", SecretId="main"),
        request("ListSecrets", Filters=[{"Key": "primary-region", "Values": ["us-east-1"]}]),
        request("StopReplicationToReplica", SecretId="main"),
        request("PutSecretValue", SecretId="main", SecretString="its own"),
        "@handle 000000000000 us-east-1",
        request("DescribeSecret", SecretId="main"),
        request("RemoveRegionsFromReplication", SecretId="main", RemoveReplicaRegions=["eu-west-1", "eu-south-1"]),
        request("CreateSecret", Name="other", SecretString="one", AddReplicaRegions=[{"Region": "eu-west-3"}],
                ForceOverwriteReplicaSecret=True),
        "@maintain",
        request("DescribeSecret", SecretId="other"),
    ],
    "accounts": [
        request("CreateSecret", Name="main", SecretString="one"),
        "@handle 444455556666 us-east-1",
        request("CreateSecret", Name="copy", KmsKeyId="alias/own", CrossAccountPrimaryARN="@ARN@"),
        "@handle 000000000000 us-east-1",
        request("AssociateCrossAccountReplica", SecretId="main", CrossAccountReplicaARN="@ARN@",
                ReplicaRestriction="NoRestriction", ReplicationRoleARN="arn:aws:iam::000000000000:role/replicate"),
        request("PutSecretValue", SecretId="main", SecretString="two"),
        request("DescribeSecret", SecretId="main"),
        request("DeleteSecret", SecretId="main"),
        "@handle 444455556666 us-east-1",
        request("GetSecretValue", SecretId="copy"),
        request("GetResourcePolicy", SecretId="copy", PolicyName="cross-account-replication"),
        request("DeleteSecret", SecretId="copy"),
        request("DescribeSecret", SecretId="copy"),
        "@handle 000000000000 us-east-1",
        request("DisassociateCrossAccountReplica", SecretId="main", CrossAccountReplicaARN="@ARN@"),
        "@handle 444455556666 us-east-1",
        request("StopReplicationToReplica", SecretId="copy"),
        request("UpdateSecret", SecretId="copy", SecretString="its own"),
        request("DeleteSecret", SecretId="copy", ForceDeleteWithoutRecovery=True),
    ],
    "refusals": [
        request("CreateSecret", Name="main", SecretString=""),
        request("CreateSecret", SecretBinary="no base64", Tags=[{"Value": "v"}, {"Key": "k"}]),
        request("ListSecrets", Filters=[{"Key": "colour", "Values": ["*"]}], MaxResults=101, SortBy="size"),
        request("GetRandomPassword", PasswordLength=0, ExcludeLowercase=True, ExcludeCharacters="abc"),
        'secretsmanager.CreateSecret\n{"Name": "main", "SecretString": "\\u00e9\\ud83d\\ude00\\n", "Name": "twice"}',
        'secretsmanager.CreateSecret\n{"Name": "main", "SecretString": "\\ud83d", "Unknown": [[[{}]]]}',
        request("CreateSecret", Name="main", AddReplicaRegions=[{"Region": "us-east-1"}, {}], CrossAccountPrimaryARN="arn"),
        request("CreateSecret", Name="main", AddReplicaRegions=[{"Region": "cn-north-1"}]),
        request("CreateSecret", Name="main", CrossAccountPrimaryARN="arn:aws:secretsmanager:us-east-1:444455556666:secret:a-AAAAAA"),
        request("ReplicateSecretToRegions", SecretId="main", AddReplicaRegions=[{"Region": "eu-west-3"}]),
        request("RemoveRegionsFromReplication", SecretId="main", RemoveReplicaRegions=["eu-west-3"]),
        request("StopReplicationToReplica", SecretId="main"),
        request("AssociateCrossAccountReplica", SecretId="main", CrossAccountReplicaARN="@ARN@"),
        request("DisassociateCrossAccountReplica", SecretId="main", CrossAccountReplicaARN="@ARN@"),
        "secretsmanager.Nothing\n{}",
        "createSecret\n",
    ],
}


def seeds(path, directory):
    stories = dict(STORIES)
    for number, example in enumerate(json.loads(pathlib.Path(path).read_text())):
        secret = example["input"].get("SecretId", "other")
        stories[f"example-{number:02}-{example['operation']}"] = [
            *world(secret),
            *([request("DeleteSecret", SecretId=secret)] if example["operation"] == "RestoreSecret" else []),
            request(example["operation"], **example["input"]),
            request("DescribeSecret", SecretId=secret),
        ]
    for name, story in stories.items():
        (pathlib.Path(directory) / name).write_text("\n---\n".join(story))


def words(path):
    whole = json.loads(pathlib.Path(path).read_text())
    found = {f"secretsmanager.{operation}\\x0a" for operation in whole["operations"]}
    for of in whole["shapes"].values():
        if not of.get("exception"):
            found.update(f'\\"{member}\\": ' for member in of.get("members", ()))
        found.update(f'\\"{value}\\"' for value in of.get("enum", ()))
    found.update(f'\\"{label}\\"' for label in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"))
    # Policies are JSON inside of JSON.
    found.update(f'\\\\\\"{name}\\\\\\"' for name in ("Statement", "Effect", "Allow", "Deny", "Principal", "NotPrincipal", "Action",
                                                  "NotAction", "Resource", "NotResource", "Condition", "AWS", "*"))
    found.update(("@ARN@", "@VERSION@", "@NEXT@", "\\x0a---\\x0a", "@advance 2592001\\x0a---\\x0a", "@maintain\\x0a---\\x0a",
                  *(f"@handle {place}\\x0a---\\x0a" for place in
                    ("000000000000 us-east-1", "000000000000 eu-west-3", "444455556666 us-east-1")),
                  *(f'\\"{region}\\"' for region in ("us-east-1", "eu-west-1", "eu-west-3", "us-none-1")), "\\\\u00", "\\\\ud83d"))
    return "".join(f'"{word}"\n' for word in sorted(found))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["model", path]:
            sys.stdout.write(lines(model(path)))
        case ["examples", path]:
            sys.stdout.write(lines(examples(path)))
        case ["seeds", path, directory]:
            seeds(path, directory)
        case ["words", path]:
            sys.stdout.write(words(path))
        case _:
            sys.exit(__doc__)
