#!/usr/bin/env python3
"""Known answers for the stored format of strongroom, by an implementation written from docs/FORMAT.md alone.

    vectors.py                      writes vectors.json, v1/written_by_script.json and v1/written_in_a_change.json anew
                                    (always the same bytes)
    vectors.py --check              only says whether those files are what the script would write
    vectors.py --verify-golden F    decrypts every record of a dumped store and compares it with expected.json
                                    beside F (or with --expected E)
    vectors.py --verify-closed D --key K
                                    checks header, anchor and seal of a closed store in a directory

Needs Python 3.11 and the package `cryptography` for AES; the rest is the standard library.
"""

import argparse
import json
import pathlib
import sys
import uuid

from cases import governed, replicated, rotating
from forgeries import fixed, frame_vectors, salamander, spliced_vectors
from stored import read_closed, read_store, written_in_a_change, written_store
from strongroom_changes import open_frame, read_seed
from strongroom_files import advanced_anchor, new_anchor, store_seal
from strongroom_format import (
    LABELS,
    MAIN,
    PURPOSES,
    RECOVERY,
    REENCRYPTION,
    Refused,
    add,
    data_key_ad,
    derived_key,
    due_key,
    element,
    fields,
    former_root,
    former_root_ad,
    frame_length,
    head_ad,
    header,
    i64,
    job_key,
    key_file,
    local_unwrap,
    local_wrap,
    mark,
    partition,
    record_ad,
    seal,
    secret_key,
    sha256,
    store_context,
    subtract,
    tally,
    token_ad,
    unseal,
    value_ad,
    version_context,
    version_key,
)
from strongroom_records import encode_head, encode_job, encode_secret, encode_token

HERE = pathlib.Path(__file__).resolve().parent


def pattern(length):
    """The plaintext of a given length."""
    return bytes((31 * i + 7 * length + 1) & 0xFF for i in range(length))


STORE = fixed("store", 16)
INSTANCE = fixed("instance", 16)
UID = fixed("uid", 16)
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:app/db-AbCdEf"
VERSION_ID = "6fa1b0a4-2f0a-4b8e-9d6e-0c1d2e3f4a5b"
# Beginning, end and beginning of the marks, and one that is far from them.
GENERATIONS = (1, 255, 256, 4_000_000_000)
STATIC_ARN = "arn:aws:kms:eu-central-1:111122223333:key/static"


def short_or_digest(name, x, limit=2048):
    return {name: x.hex()} if len(x) <= limit else {f"{name}_sha256": sha256(x).hex(), f"{name}_len": len(x)}


def seal_vectors():
    out = []
    for label in LABELS:
        for length in (0, 1, 28, 29, 252, 253, 1000, 65536):
            name = f"{label} of {length} bytes"
            key, r, plain = fixed(f"key {label}"), fixed(f"r {name}"), pattern(length)
            ad = fixed(f"ad {name}", length % 48)
            sealed = seal(key, label, ad, plain, r)
            assert unseal(key, label, ad, sealed) == plain
            row = {"name": name, "label": label, "key": key.hex(), "ad": ad.hex(), "r": r.hex(), "plain_len": length}
            row |= {"plain_sha256": sha256(plain).hex(), "salt": sealed[2:34].hex(), "commitment": sealed[34:66].hex()}
            out.append(row | short_or_digest("sealed", sealed))
    return out


def padding_vectors():
    edges = [0, 1, 27, 28, 29, 60, 61, 92, 93, 251, 252, 253, 254, 268, 269, 507, 508, 509, 1000, 1020, 1021]
    edges += [2044, 2045, 4092, 4093, 8188, 8189, 16380, 16381, 32764, 32765]
    edges += [65532, 65533, 65536, 114687, 114688, 131068, 131069]
    return [{"plain_len": n, "frame_len": frame_length(n)} for n in edges]


def ad_vectors():
    rows = []
    regions = ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1"]
    regions += ["eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1"]
    for region in regions:
        for is_binary in (False, True):
            arn = f"arn:{partition(region)}:secretsmanager:{region}:111122223333:secret:app/db-AbCdEf"
            row = {"of": "value", "name": f"value in {region}, {'bytes' if is_binary else 'text'}", "region": region}
            row |= {"account": "111122223333", "arn": arn, "uid": UID.hex()}
            row |= {"version_id": VERSION_ID, "binary": is_binary}
            row["ad"] = value_ad(STORE, "111122223333", region, arn, UID, VERSION_ID, is_binary).hex()
            rows.append(row)
    other = "arn:aws:kms:us-east-1:444455556666:key/k"
    for i, key_version, arn in ((0, "1", STATIC_ARN), (1, "2", other), (255, "", "")):
        row = {"of": "data key", "name": f"data key {i}", "uid": UID.hex(), "version_id": VERSION_ID}
        row |= {"provider": "static", "key_arn": arn, "key_version": key_version, "index": i}
        row["ad"] = data_key_ad(STORE, UID, VERSION_ID, "static", arn, key_version, i).hex()
        rows.append(row)
    places = b"s" + fixed("a", 25), b"d" + fixed("b", 33), b"v" + fixed("c", 25), job_key(1, REENCRYPTION)
    for key, revision in zip(places, (1, 2**64 - 1, 0, 2**33), strict=True):
        row = {"of": "record", "name": f"record of revision {revision}", "key": key.hex(), "revision": str(revision)}
        rows.append(row | {"ad": record_ad(STORE, key, revision).hex()})
    for epoch in (0, 1, 2**40 + 5, 2**64 - 1):
        row = {"of": "head", "name": f"head of epoch {epoch}", "epoch": str(epoch)}
        rows.append(row | {"ad": head_ad(STORE, epoch).hex()})
    for issued in (0, 1_700_000_000_123, -1):
        digest = sha256(b"query " + i64(issued))
        row = {"of": "token", "name": f"token issued at {issued}", "account": "111122223333", "region": "eu-central-1"}
        row |= {"digest": digest.hex(), "issued": issued}
        rows.append(row | {"ad": token_ad(STORE, "111122223333", "eu-central-1", digest, issued).hex()})
    for generation in GENERATIONS:
        row = {"of": "former root", "name": f"root key of generation {generation}", "generation": generation}
        rows.append(row | {"ad": former_root_ad(STORE, generation).hex()})
    return rows


def derived_key_vectors():
    root = fixed("root")
    return [
        {"root": root.hex(), "generation": g, "purpose": p, "key": derived_key(root, STORE, g, p).hex()}
        for g in (*GENERATIONS, 2, 10, 2**32 - 1)
        for p in PURPOSES
    ]


def storage_key_vectors(generation):
    key = derived_key(fixed("root"), STORE, generation, "root/index")
    rows = []
    for account, region, name in (
        ("111122223333", "eu-central-1", "app/db"),
        ("444455556666", "eu-central-1", "app/db"),
        ("111122223333", "us-gov-west-1", "app/db"),
        ("111122223333", "eu-central-1", "a"),
        ("111122223333", "eu-central-1", "n" * 512),
        ("111122223333", "eu-central-1", "/_+=.@-!"[:7]),
    ):
        row = {"of": "secret", "account": account, "region": region, "name": name}
        rows.append(row | {"key": secret_key(key, generation, account, region, name).hex()})
    for uid, version_id in ((UID, VERSION_ID), (fixed("other uid", 16), VERSION_ID), (UID, "x" * 64), (UID, "y" * 32)):
        row = {"of": "version", "uid": uid.hex(), "version_id": version_id}
        rows.append(row | {"key": version_key(key, generation, uid, version_id).hex()})
    secret = secret_key(key, generation, "111122223333", "eu-central-1", "app/db")
    for at in (1_700_000_000_000, 0, -1, -86_400_000 * 365, 253_402_300_799_999):
        row = {"of": "purge", "at": at, "secret": secret.hex()}
        rows.append(row | {"key": due_key(key, generation, at, 1, secret).hex()})
    row = {"of": "rotation", "at": 1_700_000_000_000, "secret": secret.hex()}
    rows.append(row | {"key": due_key(key, generation, 1_700_000_000_000, 3, secret).hex()})
    row = {"of": "replication", "at": 1_700_000_000_000, "secret": secret.hex()}
    rows.append(row | {"key": due_key(key, generation, 1_700_000_000_000, 4, secret).hex()})
    rows.append({"of": "job", "key": job_key(generation, REENCRYPTION).hex()})
    return {"generation": generation, "index_key": key.hex(), "rows": rows}


def local_wrap_vectors():
    kek, data_key = fixed("kek"), fixed("data key")
    keyring_id = str(uuid.UUID(bytes=fixed("keyring key", 16)))
    keyring_arn = f"arn:aws:kms:eu-central-1:111122223333:key/{keyring_id}"
    rows = [
        ("no context", keyring_id, keyring_arn, 1, []),
        ("the context of a version", keyring_id, keyring_arn, 1, version_context(ARN, VERSION_ID)),
        ("the same, given the other way round", keyring_id, keyring_arn, 1, version_context(ARN, VERSION_ID)[::-1]),
        ("the context of a store", keyring_id, keyring_arn, 7, store_context(STORE)),
        (
            "five names out of order, one the beginning of another",
            keyring_id,
            keyring_arn,
            2**32 - 1,
            [("b", "2"), ("Z", "4"), ("ä", "5"), ("a", "1"), ("aa", ""), ("", "empty name")],
        ),
        ("a static key", "static", STATIC_ARN, 1, version_context(ARN, VERSION_ID)),
    ]
    out = []
    for name, key_id, arn, version, context in rows:
        r = fixed(f"r {name}")
        row = {"name": name, "kek": kek.hex(), "key_id": key_id, "key_arn": arn, "key_version": version}
        row |= {"data_key": data_key.hex(), "context": context, "r": r.hex()}
        row["wrapped"] = local_wrap(kek, key_id, arn, version, data_key, context, r).hex()
        assert local_unwrap(kek, key_id, arn, sorted(context), bytes.fromhex(row["wrapped"])) == data_key
        out.append(row)
    return out


def header_vectors():
    root, before, out = fixed("root"), fixed("root before"), []
    wrapped = local_wrap(fixed("kek"), "static", STATIC_ARN, 1, root, store_context(STORE), fixed("r1"))
    static = (MAIN, b"", b"static", STATIC_ARN.encode(), b"1", wrapped)
    arn = b"arn:aws:kms:us-east-1:444455556666:key/"
    second = (MAIN, b"alias/second", b"local-keyring", arn + b"second", b"3", fixed("opaque wrap", 150))
    large = (MAIN, arn + b"large", b"remote", arn + b"large", b"", fixed("large wrap", 5000))
    recovery = (RECOVERY, b"alias/recovery", b"key-file", arn + b"recovery", b"1", fixed("recovery wrap", 130))
    of_default = (RECOVERY, b"", b"passphrase", arn + b"default", b"1", fixed("another recovery wrap", 131))
    for name, generation, flags, wraps, former in (
        ("one wrap", 1, 0, [static], None),
        ("one wrap, a clock of tests", 1, 1, [static], None),
        ("two wraps", 2, 0, [static, second], None),
        ("two wraps and two blocks a copy", 3, 1, [large, static], None),
        ("a recipient", 1, 0, [static, recovery], None),
        ("recipients before the key, one of them the default key", 255, 1, [of_default, recovery, static], None),
        ("the root key before the second", 2, 0, [static], 1),
        ("the root key before, where marks begin anew", 256, 1, [static], 255),
        ("the root key before, and a recipient", 4_000_000_000, 0, [static, recovery], 3_999_999_999),
    ):
        r = fixed(f"r of the root key before: {name}")
        sealed_former = b"" if former is None else former_root(root, STORE, generation, before, former, r)
        stored = header(root, STORE, INSTANCE, generation, flags, wraps, sealed_former)
        row = {"name": name, "root": root.hex(), "generation": generation, "flags": flags}
        row["wraps"] = [
            {"recovery": role == RECOVERY, "requested": k.decode(), "provider": p.decode(), "arn": a.decode()}
            | {"version": v.decode(), "wrapped": w.hex()}
            for role, k, p, a, v, w in wraps
        ]
        row["former"] = None
        if former is not None:
            row["former"] = {"root": before.hex(), "generation": former, "r": r.hex(), "sealed": sealed_former.hex()}
        copy = stored[: len(stored) // 2]
        row |= {"copy_len": len(copy), "copy_without_zeros": copy.rstrip(b"\0").hex(), "sha256": sha256(stored).hex()}
        out.append(row)
    return out


def key_file_vectors():
    """A key file with two keys, one of them with two versions, and what each of them wrapped."""
    scope = "eu-central-1:111122223333"
    ids = [str(uuid.UUID(bytes=fixed(f"key file {i}", 16), version=4)) for i in range(2)]
    arns = [f"arn:aws:kms:{scope}:key/{id_}" for id_ in ids]
    versions = [[fixed("first key, version 1"), fixed("first key, version 2")], [fixed("second key")]]
    keys = [(ids[0], arns[0], 0, 0, versions[0]), (ids[1], arns[1], 1, 1, versions[1])]
    aliases = [
        (f"arn:aws:kms:{scope}:alias/app", ids[0]),
        (f"arn:aws:kms:{scope}:alias/aws/secretsmanager", ids[1]),
    ]
    context, wraps = version_context(ARN, VERSION_ID), []
    for key, version in ((0, 1), (0, 2), (1, 1)):
        data_key = fixed(f"data key {key} {version}")
        wrapped = local_wrap(versions[key][version - 1], ids[key], arns[key], version, data_key, context, fixed("r"))
        row = {"key_arn": arns[key], "key_version": str(version), "data_key": data_key.hex(), "wrapped": wrapped.hex()}
        wraps.append(row | {"enabled": key == 0})
    return {"file": key_file(keys, aliases).hex(), "context": context, "wraps": wraps}


def token_vectors():
    key, digest = derived_key(fixed("root"), STORE, 1, "root/token"), sha256(fields("query", "ListSecrets"))
    out = []
    for issued, sort, last in ((1_700_000_000_000, None, "app/db"), (0, -5, "x" * 300), (1, 2**40, VERSION_ID)):
        ad = token_ad(STORE, "111122223333", "eu-central-1", digest, issued)
        plain, r = encode_token(sort, last), fixed(f"r {last}")
        row = {"key": key.hex(), "ad": ad.hex(), "plain": plain.hex(), "r": r.hex(), "issued": issued}
        out.append(row | {"token": (i64(issued) + seal(key, "token", ad, plain, r)).hex()})
    return out


def head_vectors():
    rows = [(0, 0, 0, 0, bytes(32)), (1, 1, 2, 3, fixed("set hash")), (250, 251, 2**16 - 1, 2**16, b"\xff" * 32)]
    rows.append((2**32 - 1, 2**32, 2**64 - 1, 2**63, bytes(range(32))))
    names = ["epoch", "secrets", "revision", "records"]
    return [
        {name: str(n) for name, n in zip(names, row, strict=False)}
        | {"set_hash": row[4].hex(), "plain": encode_head(*row).hex()}
        for row in rows
    ]


def job_vectors():
    rows = [("", ("", "", ""), 0, 0), ("alias/a", ("111122223333", "eu-central-1", "app/db"), 250, 251)]
    rows.append(("ключ " * 60, ("444455556666", "us-gov-west-1", "n" * 512), 2**32, 2**64 - 1))
    return [
        {"scope": scope, "after": after, "secrets": str(secrets), "versions": str(versions)}
        | {"plain": encode_job(scope, after, secrets, versions).hex()}
        for scope, after, secrets, versions in rows
    ]


def secret_vectors():
    """Plaintexts of the secrets in the written stores that rotate, or did, or have policies, or replicas, or are any."""
    chosen = [*rotating(), *governed(), *replicated()]
    return [{"name": secret["name"], "plain": encode_secret(secret).hex()} for secret, _values in chosen]


def set_hash_vectors():
    """Elements of single records, sums of several, and sums of made-up elements in which carries run."""
    key = derived_key(fixed("root"), STORE, 1, "root/manifest")
    records = {
        b"s" + mark(1) + fixed("a", 24): fixed("value a", 200),
        b"s" + mark(1) + fixed("b", 24): b"",
        b"v" + mark(1) + fixed("a", 24): fixed("value a", 200),
        b"d" + fixed("a", 8) + mark(1) + fixed("a", 24): fixed("value d", 90),
        b"": b"",
        b"a": b"bc",
        b"ab": b"c",
        b"v" + mark(1) + fixed("long", 24): pattern(114_688),
        job_key(1, REENCRYPTION): fixed("value j", 120),
    }
    elements = []
    for record_key, value in records.items():
        row = {"key": record_key.hex()} | ({"value": value.hex()} if len(value) <= 200 else {"pattern": len(value)})
        elements.append(row | {"element": element(key, record_key, value).hex()})
    sums = [{"of": n, "sum": tally(lambda _: key, dict(list(records.items())[:n]))[1].hex()} for n in range(10)]

    def number(n):
        return n.to_bytes(32, "big")

    carries = []
    for name, a, b in (
        ("nothing and nothing", 0, 0),
        ("one and one", 1, 1),
        ("a carry out of the last byte", 255, 1),
        ("a carry out of the last 64 bits", 2**64 - 1, 1),
        ("a carry that runs through 128 bits", 2**128 - 1, 1),
        ("a carry into the highest 64 bits", 2**192 - 1, 1),
        ("a carry that runs through everything and falls off", 2**256 - 1, 1),
        ("the highest bit falls off", 2**255, 2**255),
        ("the largest twice", 2**256 - 1, 2**256 - 1),
        ("a carry and a full word above it", 2**64 - 1 + ((2**64 - 1) << 64), 1),
        ("two carries that meet in one word", (2**64 - 1) * (1 + 2**64), (2**64 - 1) * (1 + 2**64)),
        ("words that only a carry fills", 2**192 - 2**64, 2**64),
        ("elements of records", *(int.from_bytes(fixed(f"element {i}"), "big") for i in (1, 2))),
    ):
        row = {"name": name, "a": number(a).hex(), "b": number(b).hex(), "sum": add(number(a), number(b)).hex()}
        carries.append(row | {"difference": subtract(number(a), number(b)).hex()})
    return {"key": key.hex(), "elements": elements, "sums": sums, "carries": carries}


def anchor_vectors():
    """The anchor when it is made, and after each of some commits."""
    key, out = derived_key(fixed("root"), STORE, 1, "root/anchor"), []
    for name, epochs in (
        ("a new store", [0]),
        ("a store that replaces another", [2**33 + 7]),
        ("one commit", [0, 1]),
        ("two commits", [0, 1, 2]),
        ("five commits", [0, 1, 2, 3, 4, 5]),
        ("commits of which some were not durable by themselves", [2**32 - 2, 2**32 + 40, 2**64 - 1]),
    ):
        tags = [fixed(f"head tag {epoch}", 16) for epoch in epochs]
        file = new_anchor(key, INSTANCE, epochs[0], tags[0])
        for epoch, tag in zip(epochs[1:], tags[1:], strict=True):
            file = advanced_anchor(key, file, INSTANCE, epoch, tag)
        slots = [file[:512].rstrip(b"\0").hex(), file[512:].rstrip(b"\0").hex()]
        commits = [{"epoch": str(epoch), "head_tag": tag.hex()} for epoch, tag in zip(epochs, tags, strict=True)]
        row = {"name": name, "key": key.hex(), "instance": INSTANCE.hex(), "commits": commits}
        out.append(row | {"slots_without_zeros": slots, "sha256": sha256(file).hex()})
    return out


def store_seal_vectors():
    key, out = derived_key(fixed("root"), STORE, 1, "root/seal"), []
    sled = [("db", pattern(5000)), ("conf", b"conf"), ("snap.0000000000000ABC", pattern(60))]
    deep = [("blobs/2", b"2"), ("blobs/10", b""), ("a.b", b"3")]
    beside = [("a/b", b"1"), ("a.c", b"2"), ("a-b", b"3"), ("ä", b"4")]
    for name, epoch, files in (
        ("no files", 0, []),
        ("one empty file", 1, [("db", b"")]),
        ("what a store has", 77, sled),
        ("paths in directories, in the order of bytes", 2**40, sled + deep),
        ("a directory beside a name that it begins", 2**64 - 1, beside),
    ):
        salt = fixed(f"salt of the seal: {name}")
        row = {"name": name, "key": key.hex(), "instance": INSTANCE.hex(), "epoch": str(epoch), "salt": salt.hex()}
        row["files"] = [{"path": path, "content": content.hex()} for path, content in files]
        out.append(row | {"file": store_seal(key, INSTANCE, epoch, salt, files).hex()})
    return out


def vectors():
    return {
        "store": STORE.hex(),
        "instance": INSTANCE.hex(),
        "seal": seal_vectors(),
        "padding": padding_vectors(),
        "associated_data": ad_vectors(),
        "derived_keys": derived_key_vectors(),
        "storage_keys": [storage_key_vectors(generation) for generation in GENERATIONS],
        "local_wraps": local_wrap_vectors(),
        "headers": header_vectors(),
        "key_file": key_file_vectors(),
        "tokens": token_vectors(),
        "heads": head_vectors(),
        "jobs": job_vectors(),
        "secrets": secret_vectors(),
        "set_hash": set_hash_vectors(),
        "anchors": anchor_vectors(),
        "store_seals": store_seal_vectors(),
        "salamander": salamander(),
        "spliced": spliced_vectors(),
        "frames": frame_vectors(),
    }


# --- Commands -------------------------------------------------------------------------------------------------------


def as_json(x):
    return json.dumps(x, indent=1, ensure_ascii=True) + "\n"


def generated():
    return {
        "vectors.json": as_json(vectors()),
        "v1/written_by_script.json": as_json(written_store()),
        "v1/written_in_a_change.json": as_json(written_in_a_change()),
    }


def verify(dump, expected):
    """Says on stdout what was read, and gives what differs."""
    found, counts = read_store(json.loads(dump.read_text()))
    wanted = json.loads(expected.read_text())
    for secret in found["secrets"]:
        tenant = f"{secret['account']} {secret['region']}"
        print(f"{tenant} {secret['name']}: {len(secret['versions'])} versions, deleted {secret['deleted']}")
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    names = [[(s["account"], s["region"], s["name"]) for s in store["secrets"]] for store in (found, wanted)]
    if names[0] != names[1]:
        return f"other secrets: {names[0]} for {names[1]}"
    for one, other in zip(found["secrets"], wanted["secrets"], strict=True):
        for member in sorted(one.keys() | other.keys()):
            if one.get(member) != other.get(member):
                found, wanted = one.get(member), other.get(member)
                return f"{one['name']}: {member} is {str(found)[:400]}, expected {str(wanted)[:400]}"
    print("as expected")
    return 0


def main():
    parser = argparse.ArgumentParser(description="Known answers for the stored format of strongroom.")
    parser.add_argument("--check", action="store_true", help="compare the files with what would be written")
    parser.add_argument("--verify-golden", metavar="F", type=pathlib.Path, help="read a dumped store")
    parser.add_argument("--expected", metavar="E", type=pathlib.Path, help="what it has to hold")
    parser.add_argument("--verify-closed", metavar="D", type=pathlib.Path, help="check the files of a closed store")
    parser.add_argument("--key", metavar="K", type=bytes.fromhex, help="the key of the store's provider")
    parser.add_argument("--count", metavar="F", type=pathlib.Path, help="what a dumped store has how much of")
    parser.add_argument("--open-frame", metavar="F", type=pathlib.Path, help="what a frame of changes holds")
    parser.add_argument("--seed", metavar="S", type=pathlib.Path, help="the seed of its standby")
    options = parser.parse_args()
    if options.count:
        try:
            _, counts = read_store(json.loads(options.count.read_text()))
            print(", ".join(f"{count} {what}" for what, count in counts.items()))
        except Refused as refused:
            return f"refused: {refused}"
        return 0
    if options.open_frame:
        try:
            about, key = read_seed(options.seed.read_bytes())
            print(json.dumps({"seed": about, "frame": open_frame(options.open_frame.read_bytes(), key)}))
        except Refused as refused:
            return f"refused: {refused}"
        return 0
    if options.verify_closed:
        try:
            epoch, acknowledged, files = read_closed(options.verify_closed, options.key)
        except Refused as refused:
            return f"refused: {refused}"
        print(f"closed at commit {epoch}, {acknowledged} was acknowledged, {files} files as they were sealed")
        return 0
    if options.verify_golden:
        try:
            return verify(options.verify_golden, options.expected or options.verify_golden.parent / "expected.json")
        except Refused as refused:
            return f"refused: {refused}"
    if options.check:
        differing = [name for name, made in generated().items() if (HERE / name).read_text() != made]
        return f"not what the script writes: {', '.join(differing)}" if differing else 0
    for name, made in generated().items():
        (HERE / name).write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
