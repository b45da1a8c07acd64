"""A whole store: read from a dump of its records, or written for the engine to read."""

import uuid

from forgeries import fixed
from strongroom_format import (
    TASKS,
    Reader,
    Refused,
    block_digest,
    data_key_ad,
    decode_due,
    decode_head,
    decode_secret,
    derived_key,
    due_key,
    encode_due,
    encode_head,
    encode_secret,
    field,
    head_ad,
    header,
    local_unwrap,
    local_wrap,
    read_anchor,
    read_header,
    read_store_seal,
    record_ad,
    seal,
    secret_key,
    store_context,
    tally,
    u8,
    u64,
    unseal,
    value_ad,
    version_context,
    version_key,
)

DEFAULT_KEY = "DefaultEncryptionKey"


# --- Reading --------------------------------------------------------------------------------------------------------


class Store:
    """The records of a store, and the keys that open them."""

    def __init__(self, dump):
        self.kek = bytes.fromhex(dump["provider_key"])
        self.records = {bytes.fromhex(record["key"]): bytes.fromhex(record["value"]) for record in dump["records"]}
        self.left = set(self.records)
        found = read_header(self.take(b"m"), self.unwrap_root)
        self.id, _instance, self.generation, _flags, _wraps, self.root = found

    def take(self, key):
        if key not in self.records:
            raise Refused(f"no record {key.hex()}")
        self.left.discard(key)
        return self.records[key]

    def key(self, purpose):
        return derived_key(self.root, self.id, self.generation, purpose)

    def unwrap_root(self, wrap, store):
        provider, arn, _version, wrapped = wrap
        if provider != b"static":
            raise Refused("a wrap of another provider")
        return local_unwrap(self.kek, "static", arn.decode(), store_context(store), wrapped)

    def metadata(self, key):
        """Revision and plaintext of a secret or a due entry."""
        reader = Reader(self.take(key))
        revision = reader.number(8)
        ad = record_ad(self.id, key, revision)
        return revision, unseal(self.key("root/metadata"), "metadata", ad, reader.rest())

    def head(self):
        reader = Reader(self.take(b"h"))
        epoch = reader.number(8)
        plain = unseal(self.key("root/metadata"), "head", head_ad(self.id, epoch), reader.rest())
        inner, secrets, revision, records, set_hash = decode_head(plain)
        if inner != epoch:
            raise Refused("the head is of another epoch than it says")
        return secrets, revision, records, set_hash

    def value(self, secret, version):
        """The value of a version, opened by each of its wrapped data keys in turn."""
        reader = Reader(self.take(version_key(self.key("root/index"), secret["uid"], version["id"])))
        wraps = [reader.field() for _ in range(reader.number(1))]
        sealed, values = reader.rest(), set()
        keys = [secret["keys"][i] for i in version["content"]["keys"]]
        if len(keys) != len(wraps):
            raise Refused("not as many wrapped data keys as keys")
        tenant = secret["account"], secret["region"], secret["arn"], secret["uid"], version["id"]
        context = version_context(secret["arn"], version["id"])
        for i, (key, wrap) in enumerate(zip(keys, wraps, strict=True)):
            names = key["provider"], key["arn"], key["version"]
            ad = data_key_ad(self.id, secret["uid"], version["id"], *names, i)
            wrapped = unseal(self.key("root/outer"), "data-key", ad, wrap)
            data_key = local_unwrap(self.kek, "static", key["arn"], context, wrapped)
            values.add(unseal(data_key, "value", value_ad(self.id, *tenant, version["content"]["binary"]), sealed))
        if len(values) != 1:
            raise Refused("the wrapped data keys give different values")
        return values.pop(), len(wraps)


def as_expected(secret, versions):
    """A secret in the form of expected.json."""
    same = ["account", "region", "name", "arn", "description", "kms_key_id", "type", "tags", "created"]
    out = {member: secret[member] for member in same}
    out |= {"last_changed": secret["changed"], "last_accessed": secret["accessed"], "deleted": secret["deletion"]}
    return out | {"owning_service": secret["owner"], "primary_region": secret["primary"], "versions": versions}


def version_as_expected(secret, i, version, value):
    content = version["content"]
    out = {"id": version["id"], "created": version["created"], "last_accessed": version["accessed"]}
    out["stages"] = sorted(label for label, of in secret["labels"] if of == i)
    keys = [secret["keys"][k]["given"] or DEFAULT_KEY for k in content["keys"]] if content else []
    shown = None
    if content:
        shown = {"bytes": value.hex()} if content["binary"] else {"text": value.decode()}
    return out | {"kms_key_ids": keys, "value": shown}


def read_store(dump):
    """Everything in a dump, and how many records of each kind there were. Refuses what does not fit together."""
    store = Store(dump)
    secrets, counts = [], {"secrets": 0, "values": 0, "wrapped data keys": 0} | {name: 0 for name in TASKS.values()}
    due, highest = {}, 0
    index = store.key("root/index")
    for key in sorted(store.records):
        if key[:1] != b"s":
            continue
        revision, plain = store.metadata(key)
        secret, highest = decode_secret(plain), max(highest, revision)
        if key != secret_key(index, secret["account"], secret["region"], secret["name"]):
            raise Refused(f"{secret['name']} is not where it belongs")
        numbers = [0] + [version["number"] for version in secret["versions"]] + [secret["made"] + 1]
        if any(a >= b for a, b in zip(numbers, numbers[1:])):
            raise Refused(f"the versions of {secret['name']} are numbered {numbers[1:-1]}, of {secret['made']}")
        versions = []
        for i, version in enumerate(secret["versions"]):
            value = None
            if version["content"]:
                value, wraps = store.value(secret, version)
                counts["values"] += 1
                counts["wrapped data keys"] += wraps
            versions.append(version_as_expected(secret, i, version, value))
        counts["secrets"] += 1
        due[key] = secret["deletion"]
        secrets.append(as_expected(secret, sorted(versions, key=lambda version: version["id"])))
    for key in sorted(store.records):
        if key[:1] == b"d":
            revision, plain = store.metadata(key)
            secret, highest = decode_due(plain), max(highest, revision)
            at = (int.from_bytes(key[1:9], "big") ^ 1 << 63) - (1 << 64 if not key[1] & 0x80 else 0)
            tasks = [task for task in TASKS if key == due_key(index, at, task, secret)]
            if secret not in due or not tasks or (tasks == [1] and due[secret] != at):
                raise Refused(f"an entry is due at {at} for nothing")
            counts[TASKS[tasks[0]]] += 1
    count, revision, *sealed_tally = store.head()
    if count != len(secrets) or revision < highest:
        raise Refused(f"the head says {count} secrets up to revision {revision}; there are {len(secrets)}, {highest}")
    found = tally(store.key("root/manifest"), store.records)
    if found[0] != sealed_tally[0]:
        raise Refused(f"the head says {sealed_tally[0]} records; there are {found[0]}")
    if found[1] != sealed_tally[1]:
        raise Refused("the set hash in the head is not that of the records")
    counts = {"records": found[0]} | counts
    if counts["purge"] != sum(at is not None for at in due.values()):
        raise Refused("not every scheduled deletion is due")
    if store.left:
        raise Refused(f"records that nothing refers to: {[key.hex() for key in store.left]}")
    return {"secrets": sorted(secrets, key=lambda s: (s["account"], s["region"], s["name"]))}, counts


def read_closed(directory, kek):
    """What the files of a closed store say, without the records: the epoch, and how many files are sealed."""

    def unwrap(wrap, store):
        provider, arn, _version, wrapped = wrap
        if provider != b"static":
            raise Refused("a wrap of another provider")
        return local_unwrap(kek, "static", arn.decode(), store_context(store), wrapped)

    id_, instance, generation, _flags, _wraps, root = read_header((directory / "store.hdr").read_bytes(), unwrap)
    keys = {name: derived_key(root, id_, generation, f"root/{name}") for name in ("anchor", "seal")}
    acknowledged, _tag = read_anchor(keys["anchor"], instance, (directory / "store.anchor").read_bytes())
    epoch, salt, files = read_store_seal(keys["seal"], instance, (directory / "store.seal").read_bytes())
    if epoch < acknowledged:
        raise Refused(f"closed at commit {epoch}, and {acknowledged} was acknowledged")
    sled = directory / "sled"
    found = {str(path.relative_to(sled)).encode(): path.read_bytes() for path in sled.rglob("*") if path.is_file()}
    if files.keys() != found.keys():
        raise Refused("other files than those that were sealed")
    for number, path in enumerate(sorted(files)):
        if files[path] != (len(found[path]), block_digest(keys["seal"], salt, number, found[path])):
            raise Refused(f"{path.decode()} is not the file that was sealed")
    return epoch, acknowledged, len(files)


# --- Writing --------------------------------------------------------------------------------------------------------

DAY = 86_400_000
NOW = 1_700_000_000_000
TODAY = NOW // DAY * DAY


def secret(name, account="111122223333", region="eu-central-1", **members):
    arn = f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"
    default = {"given": None, "provider": "static", "version": "1"}
    default["arn"] = f"arn:aws:kms:{region}:{account}:alias/aws/secretsmanager"
    out = {"account": account, "region": region, "uid": fixed(f"uid of {name} {account}", 16), "name": name, "arn": arn}
    out |= {"description": None, "kms_key_id": None, "type": None, "tags": None, "created": NOW - 5000}
    out |= {"changed": NOW - 4000, "accessed": None, "deletion": None, "owner": None, "primary": None}
    return out | {"keys": [default], "versions": [], "labels": []} | members


def version(number, content=None, **members):
    id_ = str(uuid.UUID(bytes=fixed(f"version {number}", 16), version=4))
    return {"id": id_, "created": NOW - 5000 + number, "accessed": None, "content": content} | members


TEXT, BYTES = {"binary": False, "keys": [0]}, {"binary": True, "keys": [0]}


def cases():
    """Secrets with the values of their versions."""
    other = {"given": "alias/other", "provider": "static", "version": "1"}
    other["arn"] = "arn:aws:kms:eu-central-1:111122223333:alias/other"
    lost = {"given": "lost", "provider": "not there", "version": ""}
    lost["arn"] = "arn:aws:kms:eu-central-1:111122223333:key/lost"
    plain = secret("plain", versions=[version(1, TEXT)], labels=[("AWSCURRENT", 0)])
    keys = [plain["keys"][0], other, lost]
    various = [
        version(4, {"binary": False, "keys": [0]}),
        version(5, {"binary": True, "keys": [0, 1]}, accessed=TODAY - DAY),
        version(6, {"binary": False, "keys": [2, 1]}),
        version(7),
    ]
    current = [("AWSCURRENT", 0)]
    many = [version(10 + i, TEXT) for i in range(60)]
    return [
        (plain, ["one"]),
        (secret("empty"), []),
        (secret("bytes", versions=[version(2, BYTES)], labels=current), [bytes(range(256))]),
        (secret("other/tenant", "444455556666", "us-gov-west-1", versions=[version(3, TEXT)], labels=current), ["gov"]),
        (
            secret("everything", kms_key_id="alias/other", accessed=TODAY - DAY)
            | {"tags": [["Name", "x" * 256], ["ключ", ""]]}
            | {"description": "ü" * 1024, "type": "Partner", "owner": "rds", "primary": "us-west-2", "keys": keys}
            | {"versions": various, "labels": [("AWSCURRENT", 2), ("AWSPREVIOUS", 1), ("größe", 1), ("AWSPENDING", 3)]},
            ["deprecated", b"\0" * 252, "the first key is lost", None],
        ),
        (
            secret("scheduled", tags=[], changed=NOW, deletion=NOW + 7 * DAY)
            | {"versions": [version(8, TEXT)], "labels": current},
            ["may be restored"],
        ),
        (
            secret("many", versions=many, labels=[("AWSPREVIOUS", 58), ("AWSCURRENT", 59)]),
            [f"value {i}" for i in range(60)],
        ),
        (
            secret("long ago", created=-62_135_596_800_000, changed=-1, versions=[version(9, TEXT, created=-1)])
            | {"name": "long-ago", "arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:long-ago-AbCdEf"}
            | {"labels": current},
            ["x" * 4096],
        ),
    ]


KEYS = ["index", "metadata", "outer", "manifest"]


def written_store():
    """A dump as the engine would make it, and what it holds."""
    kek, id_, root, generation = bytes([0x42]) * 32, fixed("written store", 16), fixed("written root"), 4_000_000_000
    arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager"
    wrapped = local_wrap(kek, "static", arn, 1, root, store_context(id_), fixed("r of root"))
    foreign = (b"not there", b"arn:aws:kms:us-east-1:000000000000:key/lost", b"9", fixed("foreign", 99))
    instance = fixed("written instance", 16)
    records = {b"m": header(root, id_, instance, generation, 1, [foreign, (b"static", arn.encode(), b"1", wrapped)])}
    keys = {name: derived_key(root, id_, generation, f"root/{name}") for name in KEYS}
    revision, expected = 2**32, []

    def put(key, plain):
        nonlocal revision
        revision += 1
        sealed = seal(keys["metadata"], "metadata", record_ad(id_, key, revision), plain, fixed(f"r {key.hex()}"))
        records[key] = u64(revision) + sealed

    for s, values in cases():
        versions = []
        for i, (v, value) in enumerate(zip(s["versions"], values, strict=True)):
            value = value.encode() if isinstance(value, str) else value
            versions.append(version_as_expected(s, i, v, value))
            if value is None:
                continue
            data_key, context = fixed(f"data key of {v['id']}"), version_context(s["arn"], v["id"])
            out = u8(len(v["content"]["keys"]))
            for place, k in enumerate(v["content"]["keys"]):
                key = s["keys"][k]
                r = fixed(f"r {v['id']} {place}")
                wrap = local_wrap(kek, "static", key["arn"], 1, data_key, context, r)
                ad = data_key_ad(id_, s["uid"], v["id"], key["provider"], key["arn"], key["version"], place)
                out += field(seal(keys["outer"], "data-key", ad, wrap, r))
            ad = value_ad(id_, s["account"], s["region"], s["arn"], s["uid"], v["id"], v["content"]["binary"])
            out += seal(data_key, "value", ad, value, fixed(f"r {v['id']}"))
            records[version_key(keys["index"], s["uid"], v["id"])] = out
        place = secret_key(keys["index"], s["account"], s["region"], s["name"])
        put(place, encode_secret(s))
        if s["deletion"] is not None:
            put(due_key(keys["index"], s["deletion"], 1, place), encode_due(place))
        expected.append(as_expected(s, sorted(versions, key=lambda v: v["id"])))
    epoch = 2**16
    head = encode_head(epoch, len(expected), revision, *tally(keys["manifest"], records))
    sealed = seal(keys["metadata"], "head", head_ad(id_, epoch), head, fixed("r of head"))
    records[b"h"] = u64(epoch) + sealed
    dump = [{"key": key.hex(), "value": value.hex()} for key, value in sorted(records.items())]
    expected.sort(key=lambda s: (s["account"], s["region"], s["name"]))
    return {"provider_key": kek.hex(), "now": NOW, "records": dump, "expected": {"secrets": expected}}
