#!/usr/bin/env python3
"""The published test suite of Signature Version 4 as one file, for the tests of the server's verification.

    published.py DIRECTORY     writes published.json from the directory `aws-signing-test-suite/v4` of the crate aws-sigv4

Needs Python 3.9 and nothing else. See README.md for what is left out and why.
"""

import json
import pathlib
import re
import sys

FILE = pathlib.Path(__file__).with_name("published.json")

LEFT_OUT = {
    "double-encode-path": "the date of the request is not that of the canonical request",
    "double-url-encode": "has no signature of the key that the suite publishes",
    "get-space-normalized": "for services whose paths are encoded once; get-space-unnormalized has the same answer",
    "post-sts-header-after": "the session token is added after signing, which this server refuses",
}


def row(directory):
    """The row of a test, or None if its path is to be signed as it stands, as for S3."""
    context = json.loads((directory / "context.json").read_text())
    request = (directory / "header-signed-request.txt").read_text()
    canonical_request = (directory / "header-canonical-request.txt").read_text()
    head, _, body = request.partition("\n\n")
    first, *lines = head.split("\n")
    method, target = re.fullmatch(r"(\S+) (.*) HTTP/1.1", first).groups()
    path, _, query = target.partition("?")
    is_plain = not re.search(r"//|/\.\.?(/|$)", path)
    if not context["normalize"] and not is_plain:
        return None
    headers = []
    for line in filter(None, lines):
        if line.startswith(" "):
            headers[-1][1] += f"\n{line}"
        else:
            headers.append(line.split(":", 1))
    credentials = context["credentials"]
    credential = {name: credentials[name] for name in ["access_key_id", "secret_access_key"]}
    if "token" in credentials:
        credential["session_token"] = credentials["token"]
    return {
        "name": directory.name,
        "now": re.sub(r"[-:]", "", context["timestamp"]),
        "region": context["region"],
        "credential": credential | {"account": "111122223333"},
        "method": method,
        "path": path,
        "query": query,
        "headers": headers,
        "body": body,
        "canonical_request": canonical_request,
        "signature": (directory / "header-signature.txt").read_text().strip(),
    }


def main():
    directories = [test for test in sorted(pathlib.Path(sys.argv[1]).iterdir()) if test.name not in LEFT_OUT]
    rows = [found for test in directories if (found := row(test)) is not None]
    FILE.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
