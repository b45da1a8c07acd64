#!/usr/bin/env python3
"""A rotation function without an SDK, which signs by hand. In the folder in which it runs,

events   gets a line for each call: the step, and what came of it
broken   if it is there, the step setSecret fails
others   if it is there, the step setSecret also tries what the API answers to others than the program

A new value is a text that names the version.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import sys
import urllib.parse

KEYS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]


def signature(secret, scope, text):
    key = b"AWS4" + secret.encode()
    for part in [*scope.split("/"), text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def call(operation, request, keys=None):
    """Calls an operation, and gives the status and the body of the answer. With empty `keys` nothing is signed."""
    key_id, secret, token = [os.environ.get(name, "") for name in KEYS] if keys is None else keys
    host = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL_SECRETS_MANAGER"]).netloc
    body = json.dumps(request)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": now}
    if token:
        headers["x-amz-security-token"] = token
    headers["x-amz-target"] = f"secretsmanager.{operation}"
    if key_id:
        signed = ";".join(headers)
        lines = [f"{name}:{value}" for name, value in headers.items()]
        digest = hashlib.sha256(body.encode()).hexdigest()
        canonical = "\n".join(["POST", "/", "", *lines, "", signed, digest])
        scope = f"{now[:8]}/{os.environ['AWS_REGION']}/secretsmanager/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, "
            f"Signature={signature(secret, scope, text)}"
        )
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def ask(operation, **request):
    status, answer = call(operation, request)
    if status != 200:
        sys.exit(f"{operation}: {answer}")
    return answer


def others(secret):
    """What the API answers to whoever has not the keys of this call."""
    key_id, secret_key, token = [os.environ[name] for name in KEYS]
    tried = {
        "nobody": ["", "", ""],
        "an account": ["000000000000", "any", ""],
        "a guess": [key_id, "guess", token],
        "without its token": [key_id, secret_key, ""],
        "the step before": json.loads(pathlib.Path("keys").read_text()),
    }
    answers = {who: call("GetSecretValue", {"SecretId": secret}, keys) for who, keys in tried.items()}
    return " ".join(f"{status}:{answer['__type']}" for status, answer in answers.values())


def main():
    event = json.load(sys.stdin)
    step, secret, version = event["Step"], event["SecretId"], event["ClientRequestToken"]
    told = ""
    if step == "createSecret":
        pathlib.Path("keys").write_text(json.dumps([os.environ.get(name, "") for name in KEYS]))
        ask(
            "PutSecretValue",
            SecretId=secret,
            ClientRequestToken=version,
            RotationToken=event["RotationToken"],
            SecretString=f"made for {version}",
            VersionStages=["AWSPENDING"],
        )
    elif step == "setSecret" and os.path.exists("broken"):
        sys.exit("the system is \x1b[31mdown\nfor today")
    elif step == "setSecret" and os.path.exists("others"):
        told = others(secret)
    elif step == "testSecret":
        told = ask("GetSecretValue", SecretId=secret, VersionId=version, VersionStage="AWSPENDING")["SecretString"]
    elif step == "finishSecret":
        stages = ask("DescribeSecret", SecretId=secret)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        ask(
            "UpdateSecretVersionStage",
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=version,
            RemoveFromVersionId=current,
        )
    with open("events", "a", encoding="utf-8") as events:
        events.write(f"{step} {told}".rstrip() + "\n")


main()
