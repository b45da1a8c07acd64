"""Requests that no client would send: a plain answer, nothing stored, and the server goes on."""

import base64
import json
import pathlib
import random
import socket

import pytest

from server import Server

TOKEN = "00000000000000000000000000000001"
GOOD = {"Name": "good", "SecretString": "x", "ClientRequestToken": TOKEN}
LIMIT = 1_048_576
MANY = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("bad input")) as server:
        yield server


@pytest.fixture(autouse=True)
def stores_nothing(server):
    """After each test there is no secret, and the server answers."""
    yield
    listed = server.send({"IncludePlannedDeletion": True}, "ListSecrets")
    assert listed.status == 200
    names = [entry["Name"] for entry in listed.json["SecretList"]]
    for name in names:
        # One failure is enough.
        server.send({"SecretId": name, "ForceDeleteWithoutRecovery": True}, "DeleteSecret")
    assert names == []


def refuse(answer, status=400, code=None):
    assert answer.status == status
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-RequestId"]
    assert set(answer.json) in [{"__type", "message"}, {"__type", "Message"}]
    assert answer.code and "#" not in answer.code
    assert answer.text
    if code:
        assert answer.code == code


def good_but(**changed):
    return json.dumps({**GOOD, **changed}).encode()


def create(text):
    """A creation whose last member is this text."""
    return json.dumps(GOOD).encode()[:-1] + b"," + text.encode() + b"}"


NOT_JSON = {
    "nothing": b"",
    "white space": b" \n",
    "an open brace": b"{",
    "a cut text": good_but()[:-3],
    "no value": create('"Description":'),
    "a comma too much": create(""),
    "a second document": good_but() + good_but(),
    "something behind": good_but() + b"x",
    "a list": b"[" + good_but() + b"]",
    "a text": b'"CreateSecret"',
    "a number": b"1",
    "null": b"null",
    "single quotes": b"{'Name':'good'}",
    "a comment": b"/**/" + good_but(),
    "not a number": create('"Description":NaN'),
    "a form": b"Name=good&SecretString=x",
    "UTF-16": good_but().decode().encode("utf-16"),
    "bytes that are no text": good_but().replace(b'"good"', b'"g\xff\xfed"'),
    "an overlong encoding": good_but().replace(b'"good"', b'"g\xc0\xafd"'),
    "an encoded surrogate": good_but().replace(b'"good"', b'"\xed\xa0\x80"'),
    "a zero byte": b"\x00" + good_but(),
    "a raw line break in a text": good_but().replace(b"good", b"go\nod"),
    "half an escape": good_but().replace(b"good", b"\\u00"),
    "an unknown escape": good_but().replace(b"good", b"\\x41"),
    "a lone high surrogate": good_but(SecretString="?").replace(b"?", b"\\ud800"),
    "a lone low surrogate": good_but(SecretString="?").replace(b"?", b"\\udc00"),
    "surrogates in the wrong order": good_but(SecretString="?").replace(b"?", b"\\udc00\\ud800"),
    "a lone surrogate in a member name": create('"\\ud800":1'),
    "random bytes": random.Random(1).randbytes(1_000),
    "open brackets": b"[" * MANY,
    "open braces": b'{"a":' * MANY,
    "nested lists": b"[" * MANY + b"]" * MANY,
    "nested lists in a known member": create('"Tags":' + "[" * MANY + "]" * MANY),
    "nested lists in a text member": create('"Description":' + "[" * MANY + "]" * MANY),
    "a name twice": create('"Name":"other"'),
    "a value twice": create('"SecretString":"x"'),
    "a token twice": create(f'"ClientRequestToken":"{TOKEN}"'),
    "a name twice, once escaped": create('"\\u004eame":"other"'),
    "a tag key twice": create('"Tags":[{"Key":"a","Key":"b","Value":"c"}]'),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_cannot_be_read_is_refused(body, server):
    refuse(server.send(body, "CreateSecret"))


def changed(body):
    """What is wrong in a request, for the name of a test."""
    return json.dumps({name: value for name, value in body.items() if GOOD.get(name) != value})


WRONG_TYPES = [
    ("CreateSecret", {**GOOD, "Name": 5}),
    ("CreateSecret", {**GOOD, "Name": True}),
    ("CreateSecret", {**GOOD, "Name": ["good"]}),
    ("CreateSecret", {**GOOD, "Name": {"S": "good"}}),
    ("CreateSecret", {**GOOD, "SecretString": 1}),
    ("CreateSecret", {**GOOD, "SecretString": {"user": "admin"}}),
    ("CreateSecret", {**GOOD, "SecretString": ["x"]}),
    ("CreateSecret", {**GOOD, "ClientRequestToken": 10**31}),
    ("CreateSecret", {**GOOD, "Tags": {}}),
    ("CreateSecret", {**GOOD, "Tags": "team"}),
    ("CreateSecret", {**GOOD, "Tags": ["team"]}),
    ("CreateSecret", {**GOOD, "Tags": [[]]}),
    ("CreateSecret", {**GOOD, "Tags": [{"Key": 1, "Value": "v"}]}),
    ("CreateSecret", {**GOOD, "Description": False}),
    ("ListSecrets", {"MaxResults": "1"}),
    ("ListSecrets", {"MaxResults": 1.5}),
    ("ListSecrets", {"MaxResults": 10**30}),
    ("ListSecrets", {"MaxResults": [1]}),
    ("ListSecrets", {"IncludePlannedDeletion": "true"}),
    ("ListSecrets", {"IncludePlannedDeletion": 1}),
    ("ListSecrets", {"Filters": {"Key": "name"}}),
    ("ListSecrets", {"Filters": [{"Key": "name", "Values": "x"}]}),
    ("ListSecrets", {"SortBy": 1}),
    ("DeleteSecret", {"SecretId": "good", "ForceDeleteWithoutRecovery": "true"}),
    ("DeleteSecret", {"SecretId": "good", "RecoveryWindowInDays": "7"}),
    ("DeleteSecret", {"SecretId": "good", "RecoveryWindowInDays": 7.5}),
    ("GetRandomPassword", {"PasswordLength": {}}),
    ("BatchGetSecretValue", {"SecretIdList": "good"}),
    ("UntagResource", {"SecretId": "good", "TagKeys": [1]}),
]


@pytest.mark.parametrize("operation, body", WRONG_TYPES, ids=[changed(row[1]) for row in WRONG_TYPES])
def test_a_member_of_the_wrong_type_is_refused(operation, body, server):
    refuse(server.send(body, operation))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e-400", "01", "+1", "0x10", "1.", ".5", "1e", "--1"])
def test_a_number_that_is_none_is_refused(number, server):
    refuse(server.send(f'{{"MaxResults":{number}}}'.encode(), "ListSecrets"))


@pytest.mark.parametrize(
    "operation, body, path",
    [
        ("CreateSecret", {**GOOD, "Name": None}, "name"),
        ("GetSecretValue", {"SecretId": None}, "secretId"),
        ("DescribeSecret", {}, "secretId"),
        ("TagResource", {"SecretId": "good", "Tags": None}, "tags"),
        ("UntagResource", {"SecretId": "good", "TagKeys": None}, "tagKeys"),
        ("UpdateSecretVersionStage", {"SecretId": "good", "VersionStage": None}, "versionStage"),
    ],
)
def test_null_is_no_value_for_a_member_that_is_required(operation, body, path, server):
    answer = server.send(body, operation)
    refuse(answer, code="ValidationException")
    assert answer.json["message"] == (
        f"1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
    )


@pytest.mark.parametrize(
    "operation, body",
    [
        ("CreateSecret", {**GOOD, "Tags": [None]}),
        ("BatchGetSecretValue", {"SecretIdList": [None]}),
        ("UntagResource", {"SecretId": "good", "TagKeys": [None]}),
        ("ListSecrets", {"Filters": [None]}),
        ("ListSecrets", {"Filters": [{"Key": "name", "Values": [None]}]}),
    ],
)
def test_null_in_a_list_is_refused(operation, body, server):
    refuse(server.send(body, operation))


def test_null_is_the_same_as_absent_for_other_members(server):
    nulls = dict.fromkeys(["Description", "KmsKeyId", "SecretBinary", "Tags", "Type", "AddReplicaRegions"])
    assert server.send({**GOOD, **nulls}, "CreateSecret").status == 200
    try:
        described = server.send({"SecretId": "good"}, "DescribeSecret").json
        assert set(described) == {"ARN", "Name", "VersionIdsToStages", "CreatedDate", "LastChangedDate"}
        got = server.send({"SecretId": "good", "VersionId": None, "VersionStage": None}, "GetSecretValue").json
        assert got["SecretString"] == "x"
    finally:
        server.send({"SecretId": "good", "ForceDeleteWithoutRecovery": True}, "DeleteSecret")


@pytest.mark.parametrize(
    "value",
    [
        "[" * MANY + "]" * MANY,
        '{"a":' * MANY + "1" + "}" * MANY,
        '"\\ud800"',
        "1e400",
    ],
    ids=["nested lists", "nested objects", "a lone surrogate", "a huge number"],
)
def test_what_an_unknown_member_holds_does_no_harm(value, server):
    """It is skipped, so whether it is looked into is not promised; the server must survive it."""
    answer = server.send(f'{{"Unknown":{value}}}'.encode(), "ListSecrets")
    if answer.status != 200:
        refuse(answer)


def test_members_that_are_unknown_are_ignored(server):
    answer = server.send({"Unknown": [{"a": [1, None]}], "SecretString": 7, "maxResults": "x"}, "ListSecrets")
    assert (answer.status, answer.json) == (200, {"SecretList": []})


@pytest.mark.parametrize(
    "text",
    [
        "%%%%",
        "Zg",
        "Zg=",
        "Z===",
        "Zh==",
        "Zm9v\n",
        "Zm 9v",
        "-_-_",
        "Zm9v=",
        "=",
        "\u00e9\u00e9\u00e9\u00e9",
        "Zg==Zg==",
    ],
)
def test_bytes_that_are_not_in_base64_are_refused(text, server):
    body = {"Name": "good", "ClientRequestToken": TOKEN, "SecretBinary": text}
    answer = server.send(body, "CreateSecret")
    refuse(answer)
    # Nor are they told to everybody.
    assert text == "=" or text.encode() not in answer.body


@pytest.mark.parametrize("value", [7, [1, 2], {"B": "Zg=="}, True, ""])
def test_bytes_that_are_not_a_text_are_refused(value, server):
    refuse(server.send({"Name": "good", "ClientRequestToken": TOKEN, "SecretBinary": value}, "CreateSecret"))


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "x"],
)
def test_a_form_of_a_web_page_is_refused(content_type, server):
    """A page in a browser can send these to any address without asking."""
    refuse(server.send(GOOD, "CreateSecret", Content_Type=content_type))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example:4566"},
        {"Host": "localhost.evil.example"},
        {"Host": "192.168.1.5"},
        {"Host": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("method, path", [("POST", "/"), ("GET", "/health"), ("OPTIONS", "/")])
def test_a_page_in_a_browser_gets_nothing(method, path, headers, server):
    """Neither by sending its own requests, nor by giving its own name the address of this machine."""
    answer = server.send(good_but() if method == "POST" else b"", "CreateSecret", method=method, path=path, **headers)
    assert answer.status == 403
    assert not any(name.lower().startswith("access-control-") for name in answer.headers)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:4566", "a.localhost", "vault.test"])
def test_names_of_the_server_are_known(host, start):
    server = start("--allow-host", "vault.test")
    assert server.send({}, "ListSecrets", Host=host).status == 200
    assert server.send({}, "ListSecrets", Host="other.test").status == 403


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "Unknown.Thing",
        "secretsmanager.",
        "secretsmanager.Unknown",
        "secretsmanager.createsecret",
        "secretsmanager.CreateSecret.x",
        "secretsmanager.CreateSecret ,x",
        "SecretsManager.CreateSecret",
        "TrentService.CreateSecret",
        ".CreateSecret",
        "secretsmanager." + "x" * 8_000,
    ],
)
def test_an_operation_that_does_not_exist_is_refused(target, server):
    headers = {} if target is None else {"X_Amz_Target": target}
    answer = server.send(GOOD, **headers)
    refuse(answer)
    assert b"x" * 8_000 not in answer.body


@pytest.mark.parametrize("operation", ["Unknown", "createsecret"])
def test_an_unknown_operation_has_the_code_for_it(operation, server):
    refuse(server.send(GOOD, operation), code="UnknownOperationException")


@pytest.mark.parametrize("path", ["/secrets", "/x/y", "/index.html", "//", "/../", "/%00", "/health/x"])
def test_another_path_is_not_found(path, server):
    answer = server.send(GOOD, "CreateSecret", path=path)
    assert answer.status in {400, 404, 405}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"])
def test_another_method_is_refused(method, server):
    answer = server.send(
        good_but() if method in {"PUT", "PATCH", "X"} else b"",
        "CreateSecret",
        method=method,
        Content_Type="application/x-amz-json-1.1",
    )
    assert answer.status in {400, 404, 405}
    assert not any(name.lower().startswith("access-control-") for name in answer.headers)


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n\r\n",
        b"x\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"POST / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(5_000)) + b"\r\n",
        b"POST / HTTP/1.1\r\nx: " + b"y" * 2_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        random.Random(2).randbytes(5_000),
    ],
    ids=lambda head: repr(head[:30]),
)
def test_what_is_not_http_is_not_answered_with_success(head, server):
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        try:
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
        except TimeoutError:
            raise
        except OSError:
            # It hung up at once.
            return
        assert answer == b"" or answer.split()[1].startswith((b"4", b"5"))


@pytest.mark.parametrize("at", ["before the body", "in the body", "in the head"])
def test_a_client_that_hangs_up_does_no_harm(at, server):
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n"
        f"X-Amz-Target: secretsmanager.CreateSecret\r\nContent-Length: {len(good_but())}\r\n\r\n"
    ).encode()
    sent = {"before the body": head, "in the body": head + good_but()[:-1], "in the head": head[:40]}[at]
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(sent)


def padded(length):
    """A list request of so many bytes."""
    return b"{" + b" " * (length - 2) + b"}"


def test_a_body_has_a_largest_size(server):
    assert server.send(padded(LIMIT), "ListSecrets").status == 200
    refuse(server.send(padded(LIMIT + 1), "ListSecrets"), status=413)


def test_the_largest_size_can_be_set(start):
    server = start("--max-body-bytes", 1_000)
    assert server.send(padded(1_000), "ListSecrets").status == 200
    refuse(server.send(padded(1_001), "ListSecrets"), status=413)


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "in chunks"])
@pytest.mark.parametrize("operation", ["CreateSecret", None])
def test_a_body_of_100_megabytes_is_not_kept(operation, is_chunked, server):
    size, block = 100 * 1024 * 1024, b"x" * 65_536
    before = memory_kib(server)
    connection = server.connect()
    connection.putrequest("POST", "/")
    connection.putheader("Content-Type", "application/x-amz-json-1.1")
    if operation:
        connection.putheader("X-Amz-Target", f"secretsmanager.{operation}")
    if is_chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(size))
    answer = None
    try:
        connection.endheaders()
        for _ in range(size // len(block)):
            connection.send(b"10000\r\n" + block + b"\r\n" if is_chunked else block)
        if is_chunked:
            connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
    except ConnectionError:
        # It hung up while there was more to come. What it said before may still be there.
        try:
            answer = connection.response_class(connection.sock)
            answer.begin()
        except Exception:
            answer = None
    if answer is not None:
        assert answer.status in ({413} if operation else {400, 413})
    connection.close()
    assert memory_kib(server) - before < 16 * 1024


def memory_kib(server):
    """The most memory it has had so far, where the system tells."""
    path = pathlib.Path(f"/proc/{server.process.pid}/status")
    status = path.read_text() if path.exists() else "VmHWM: 0 kB"
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1])


@pytest.mark.parametrize(
    "member, text",
    [
        ("SecretString", '"' + "\\u0041" * 65_536 + '"'),
        ("SecretBinary", '"' + base64.b64encode(b"A" * 65_536).decode() + '"'),
    ],
    ids=["escaped text", "bytes"],
)
def test_the_largest_value_fits_in_however_it_is_written(member, text, server):
    body = f'{{"Name":"largest","ClientRequestToken":"{TOKEN}","{member}":{text}}}'.encode()
    assert server.send(body, "CreateSecret").status == 200
    got = server.send({"SecretId": "largest"}, "GetSecretValue").json
    assert got[member] == json.loads(text)
    server.send({"SecretId": "largest", "ForceDeleteWithoutRecovery": True}, "DeleteSecret")


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=",
        "AWS4-HMAC-SHA256 Credential=////",
        "AWS4-HMAC-SHA256 Credential=111122223333/20250101/../secretsmanager/aws4_request",
        "AWS4-HMAC-SHA256 Credential=111122223333/20250101/us-east-1:x/secretsmanager/aws4_request",
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "x" * 8_000,
    ],
    ids=lambda header: header[:60],
)
def test_a_signature_that_cannot_be_read_does_no_harm(header, server):
    answer = server.send({}, "ListSecrets", Authorization=header)
    assert answer.status in {200, 400}
    if answer.status == 400:
        refuse(answer)
