#!/usr/bin/env python3
"""Signed requests of botocore, the signer of the AWS CLI and of boto3, for the tests of the server's verification.

    record.py            writes recorded.json anew (the same bytes with the same version of botocore)
    record.py --check    only says whether the file is what the script would write

Needs Python 3.9 and `pip install botocore==1.44.5`. Nothing is sent anywhere.
"""

import argparse
import datetime
import hashlib
import json
import pathlib
import sys
from unittest import mock

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session

FILE = pathlib.Path(__file__).with_name("recorded.json")

ALICE = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
BOB = ("ASIAEXAMPLE0BOB00000", "slashes/and+pluses/and=equals+EXAMPLE000", "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC==")
ACCOUNT = ("111122223333", "not-very-secret", None)
LONG = ("key_with-marks.0", "s", "t" * 2000)

NOON = datetime.datetime(2026, 1, 1, 12, 0, 0)
MIDNIGHT = datetime.datetime(2026, 3, 1, 0, 0, 0)
LEAP_DAY = datetime.datetime(2028, 2, 29, 23, 59, 59)
LONG_AGO = datetime.datetime(1999, 12, 31, 23, 59, 59)

HOST = "secretsmanager.us-east-1.amazonaws.com"
BODY = '{"SecretId":"database"}'
HASH = "X-Amz-Content-SHA256"


def row(name, **changes):
    """A row: a request to the service as it is usually made, with some changes."""
    usual = {
        "name": name,
        "method": "POST",
        "target": "/",
        "body": BODY,
        "key": ALICE,
        "region": "us-east-1",
        "time": NOON,
        "host": HOST,
        "headers": [],
        "date_header": False,
        "operation": "GetSecretValue",
        "service": "secretsmanager",
        "is_payload_signed": True,
    }
    return usual | changes


ROWS = [
    row("usual"),
    row("session token", key=BOB),
    row("long session token", key=LONG),
    row("access key id of twelve digits", key=ACCOUNT),
    row("empty body", body=""),
    row("empty object", body="{}", operation="ListSecrets"),
    row("body with line ends", body='{\r\n\t"SecretId": "database"\n}\n'),
    row("body in Greek", body='{"SecretId":"βάση","SecretString":"μυστικό"}', operation="PutSecretValue"),
    row("body with emoji", body='{"Name":"🔑","SecretString":"👩‍👩‍👧‍👦"}', operation="CreateSecret"),
    row("body with escapes", body='{"Name":"a\\u0000b","SecretString":"\\"\\\\"}', operation="CreateSecret"),
    row("long body", body=json.dumps({"SecretId": "n", "SecretString": "0123456789abcdef" * 512})),
    row("session token and Greek", key=BOB, body='{"SecretId":"βάση"}'),
    row("Frankfurt", region="eu-central-1", host="secretsmanager.eu-central-1.amazonaws.com"),
    row("Sydney", region="ap-southeast-2", host="secretsmanager.ap-southeast-2.amazonaws.com"),
    row("China", region="cn-northwest-1", host="secretsmanager.cn-northwest-1.amazonaws.com.cn"),
    row("GovCloud", region="us-gov-west-1", host="secretsmanager-fips.us-gov-west-1.amazonaws.com"),
    row("a Region of many words", region="one-two-three-four-5"),
    row("first second of a day", time=MIDNIGHT),
    row("last second of a leap day", time=LEAP_DAY),
    row("last second of a century", time=LONG_AGO),
    row("session token at midnight in Frankfurt", key=BOB, region="eu-central-1", time=MIDNIGHT),
    row("host with a port", host="127.0.0.1:4566"),
    row("host by name with a port", host="localhost:4566"),
    row("IPv6 host", host="[::1]:4566"),
    row("Date header", date_header=True),
    row("Date header and session token", date_header=True, key=BOB, time=LEAP_DAY),
    row("spaces around a value", headers=[("X-Custom", "   value  ")]),
    row("spaces inside a value", headers=[("X-Custom", "one  two   three    four")]),
    row("spaces inside quotes", headers=[("X-Custom", '"one   two"')]),
    row("tab inside a value", headers=[("X-Custom", "one\ttwo \t three")]),
    row("empty value", headers=[("X-Custom", "")]),
    row("repeated header", headers=[("X-Custom", "b"), ("X-Custom", "a"), ("X-Custom", "a")]),
    row("repeated header with spaces", headers=[("X-Custom", " b  c "), ("X-Custom", "a, d")]),
    row("value beyond ASCII", headers=[("X-Custom", "grün"), ("X-Other", "鍵")]),
    row("names that sort between others", headers=[("A", "1"), ("Hosts", "2"), ("X-Amz-Dat", ""), ("X-Amz-Dates", "")]),
    row("names in odd case", headers=[("x-CUSTOM", "Value"), ("X-aMz-MeTa", "VALUE")]),
    row("user agent, which is not signed", headers=[("User-Agent", "Boto3/1.0"), ("X-Amzn-Trace-Id", "Root=1")]),
    row("headers of the SDK", headers=[("amz-sdk-invocation-id", "0b1c"), ("amz-sdk-request", "attempt=1")]),
    row("GET without a body", method="GET", body="", target="/health"),
    row("PUT", method="PUT"),
    row("path of words", target="/one/two/three"),
    row("path that is encoded", target="/a%20b/%E9%8D%B5/c%2Fd"),
    row("path with reserved characters", target="/a@b:c,d;e=f(g)!h*i'j$k&l+m"),
    row("path with dots and slashes", target="//one/./two/../three//"),
    row("path that climbs above the root", target="/../../one"),
    row("query", target="/?b=2&a=1"),
    row("query with repetitions", target="/?a=2&a=1&A=3&a-b=4&ab=5"),
    row("query without values", target="/?b&a=&c=1"),
    row("query that is encoded", target="/?name=a%20b%2Fc&%E9%8D%B5=%26%3D"),
    row("path, query, session token and header", target="/x/../y?z=1", key=BOB, headers=[("X-Custom", " 1  2 ")]),
    row("hash of the body", headers=[(HASH, hashlib.sha256(BODY.encode()).hexdigest())]),
]

# Signed properly, and to be refused all the same.
REFUSED = [
    row("unsigned payload", is_payload_signed=False),
    row("hash of another body", headers=[(HASH, hashlib.sha256(b"another").hexdigest())]),
    row("hash of the body in upper case", headers=[(HASH, hashlib.sha256(BODY.encode()).hexdigest().upper())]),
    row("streamed payload", headers=[(HASH, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")]),
    row("another service", service="kms"),
    row("service in odd case", service="SecretsManager"),
    row("Region in odd case", region="US-EAST-1"),
    row("Region of one word", region="local"),
    row("no Region", region=""),
]


def signed(row):
    """The row as it arrives at a server."""
    url = f"https://{row['host']}{row['target']}"
    request = AWSRequest(row["method"], url, data=row["body"].encode() or None)
    request.headers["Content-Type"] = "application/x-amz-json-1.1"
    request.headers["X-Amz-Target"] = f"secretsmanager.{row['operation']}"
    request.headers["Host"] = row["host"]
    for name, value in row["headers"]:
        request.headers.add_header(name, value)
    if row["date_header"]:
        request.headers["Date"] = "is set by the signer"
    request.context["payload_signing_enabled"] = row["is_payload_signed"]
    access_key_id, secret_access_key, session_token = row["key"]
    sign(request, row, Credentials(access_key_id, secret_access_key, session_token))
    path, _, query = row["target"].partition("?")
    credential = {"access_key_id": access_key_id, "secret_access_key": secret_access_key, "account": "111122223333"}
    if session_token is not None:
        credential["session_token"] = session_token
    return {
        "name": row["name"],
        "now": row["time"].strftime("%Y%m%dT%H%M%SZ"),
        "region": row["region"],
        "credential": credential,
        "method": row["method"],
        "path": path,
        "query": query,
        "headers": [[name, value] for name, value in request.headers.items()],
        "body": row["body"],
        "signature": request.headers["Authorization"].rpartition("Signature=")[2],
    }


def sign(request, row, credentials):
    """Signs at the time of the row."""
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: row["time"]):
        botocore.auth.SigV4Auth(credentials, row["service"], row["region"]).add_auth(request)


def client_rows():
    """Requests of the whole client, as boto3 makes them, without sending them."""
    calls = [
        ("create_secret", {"Name": "database", "SecretString": "s3cr3t", "ClientRequestToken": "t" * 32}),
        ("get_secret_value", {"SecretId": "database", "VersionStage": "AWSPREVIOUS"}),
        ("put_secret_value", {"SecretId": "d", "SecretBinary": b"\0\xff", "ClientRequestToken": "u" * 32}),
        ("list_secrets", {"MaxResults": 5, "Filters": [{"Key": "name", "Values": ["βάση"]}]}),
    ]
    return [client_row(method, arguments, key) for (method, arguments), key in zip(calls, [ALICE, BOB, ACCOUNT, LONG])]


def client_row(method, arguments, key):
    """One request of the client. What follows chance or the machine is not signed, and left out of the row."""
    access_key_id, secret_access_key, session_token = key
    client = Session().create_client(
        "secretsmanager",
        region_name="us-west-2",
        endpoint_url="http://localhost:4566",
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=session_token,
    )
    sent = []

    def keep(request, **_):
        sent.append(request)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, mock.Mock(stream=lambda: iter([b"{}"])))

    client.meta.events.register("before-send.secretsmanager.*", keep)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: NOON):
        getattr(client, method)(**arguments)
    [request] = sent
    left_out = ["amz-sdk-invocation-id", "user-agent"]
    headers = [[name, text(value)] for name, value in request.headers.items() if name.lower() not in left_out]
    credential = {"access_key_id": access_key_id, "secret_access_key": secret_access_key, "account": "111122223333"}
    if session_token is not None:
        credential["session_token"] = session_token
    authorization = dict(headers)["Authorization"]
    return {
        "name": f"client: {method}",
        "now": NOON.strftime("%Y%m%dT%H%M%SZ"),
        "region": "us-west-2",
        "credential": credential,
        "method": request.method,
        "path": "/",
        "query": "",
        # The HTTP client adds it.
        "headers": [["Host", "localhost:4566"], *headers],
        "body": text(request.body),
        "signature": authorization.rpartition("Signature=")[2],
    }


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    rows = [signed(row) for row in ROWS] + client_rows()
    recorded = {"by": f"botocore {botocore.__version__}", "rows": rows, "refused": [signed(row) for row in REFUSED]}
    written = json.dumps(recorded, indent=1, ensure_ascii=False) + "\n"
    if not arguments.check:
        FILE.write_text(written, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != written:
        sys.exit(f"{FILE} is not what botocore {botocore.__version__} signs")


if __name__ == "__main__":
    main()
