#!/usr/bin/env python3
"""Checks an audit file of strongroom, by an implementation written from docs/FORMAT.md alone.

    audit_file.py FILE [--expect-head HEX]

Prints one object of JSON: records, lost_records, torn_lines, head, and broken, which is null or [line, kind]. Needs
nothing but the standard library.
"""

import argparse
import hashlib
import json
import re

FIRST = b'{"sequence":0,"format":"strongroom-audit","version":1'
LINE = re.compile(rb'(\{"sequence":(0|[1-9][0-9]*),.*),"hash":"([0-9a-f]{64})"\}', re.DOTALL)
RESUMED = re.compile(
    rb'\{"sequence":[0-9]+,"resumed":\{"tornBytes":(0|[1-9][0-9]*),"tornHash":"([0-9a-f]{64})",'
    rb'"lostRecords":(0|[1-9][0-9]*)\}'
)
LONGEST = 2 * 1024 * 1024


def parts(line):
    """Number, what is hashed, and hash of a line; or None."""
    found = LINE.fullmatch(line) if len(line) <= LONGEST else None
    if found is None or int(found[2]) >= 1 << 64:
        return None
    return int(found[2]), found[1], found[3].decode()


def chained(previous, body):
    return hashlib.sha256(bytes.fromhex(previous) + body).hexdigest()


def check(content, expected):
    report = {"records": 0, "lost_records": 0, "torn_lines": 0, "head": None, "broken": None}
    lines = content.split(b"\n")
    tail = lines.pop()
    if tail:
        lines.append(tail)
    seen = expected is None

    def broken(line, kind):
        report["broken"] = [line, kind]
        return report

    first = parts(lines[0]) if lines and (len(lines) > 1 or not tail) else None
    if first is None or first[1] != FIRST or first[2] != chained("00" * 32, FIRST):
        return broken(1, "not-an-audit-file")
    head, sequence = first[2], 1
    report["head"] = head
    seen = seen or head == expected
    gap, gap_line = b"", None
    for number, line in enumerate(lines[1:], 2):
        if tail and number == len(lines):
            return broken(gap_line or number, "torn")
        found = parts(line)
        if found is None:
            gap, gap_line = gap + line + b"\n", gap_line or number
            continue
        if found[0] != sequence or found[2] != chained(head, found[1]):
            if gap_line:
                return broken(gap_line, "foreign")
            if found[0] == sequence:
                return broken(number, "changed")
            later = [other[0] for other in map(parts, lines[number:]) if other]
            return broken(number, "reordered" if found[0] < sequence or sequence in later else "removed")
        resumed = RESUMED.fullmatch(found[1])
        if gap_line:
            if not resumed or int(resumed[1]) != len(gap) or resumed[2].decode() != hashlib.sha256(gap).hexdigest():
                return broken(gap_line, "foreign")
            report["torn_lines"] += 1
            gap, gap_line = b"", None
        elif resumed and int(resumed[1]) > 0:
            return broken(number, "removed")
        if resumed:
            report["lost_records"] += int(resumed[3])
        else:
            record = json.loads(line)
            assert record["eventSource"] == "secretsmanager.amazonaws.com"
            report["records"] += 1
        head, sequence = found[2], sequence + 1
        report["head"] = head
        seen = seen or head == expected
    if gap_line:
        return broken(gap_line, "foreign")
    if not seen:
        return broken(len(lines) + 1, "head-missing")
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--expect-head")
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as file:
        content = file.read()
    print(json.dumps(check(content, arguments.expect_head)))


if __name__ == "__main__":
    main()
