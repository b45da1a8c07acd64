"""A whole store: read from a dump of its records, or written for the engine to read."""

import uuid

from forgeries import fixed
from strongroom_files import block_digest, read_anchor, read_store_seal
from strongroom_format import (
    MAIN,
    RECOVERY,
    REENCRYPTION,
    TASKS,
    Reader,
    Refused,
    data_key_ad,
    derived_key,
    due_key,
    field,
    former_root,
    head_ad,
    header,
    job_key,
    local_unwrap,
    local_wrap,
    mark,
    mark_of,
    read_header,
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
from strongroom_records import (
    DAY,
    decode_due,
    decode_head,
    decode_job,
    decode_secret,
    encode_due,
    encode_head,
    encode_job,
    encode_secret,
    rotation_due,
    versions_due,
)

DEFAULT_KEY = "DefaultEncryptionKey"


# --- Reading --------------------------------------------------------------------------------------------------------


class Store:
    """The records of a store, and the keys that open them."""

    def __init__(self, dump):
        self.kek = bytes.fromhex(dump["provider_key"])
        self.records = {bytes.fromhex(record["key"]): bytes.fromhex(record["value"]) for record in dump["records"]}
        self.left = set(self.records)
        self.id, _instance, _flags, _wraps, self.roots = read_header(self.take(b"m"), unwrap_root(self.kek))

    def take(self, key):
        if key not in self.records:
            raise Refused(f"no record {key.hex()}")
        self.left.discard(key)
        return self.records[key]

    def key(self, generation, purpose):
        return derived_key(self.roots[generation], self.id, generation, purpose)

    def generation_of(self, key):
        """The generation that a record is of."""
        found = [generation for generation in self.roots if mark(generation) == mark_of(key)]
        if not found:
            raise Refused(f"{key.hex()} is of no generation that is in use")
        return found[0]

    def manifest_key(self, mark_):
        return self.key(self.generation_of(b"s" + mark_), "root/manifest")

    def metadata(self, key):
        """Revision and plaintext of a secret, a due entry or a job."""
        reader = Reader(self.take(key))
        revision = reader.number(8)
        ad = record_ad(self.id, key, revision)
        return revision, unseal(self.key(self.generation_of(key), "root/metadata"), "metadata", ad, reader.rest())

    def head(self):
        reader = Reader(self.take(b"h"))
        epoch = reader.number(8)
        sealed, plain = reader.rest(), None
        for generation in self.roots:
            try:
                plain = unseal(self.key(generation, "root/metadata"), "head", head_ad(self.id, epoch), sealed)
                break
            except Refused:
                pass
        if plain is None:
            raise Refused("no root key opens the head")
        inner, secrets, revision, records, set_hash = decode_head(plain)
        if inner != epoch:
            raise Refused("the head is of another epoch than it says")
        return secrets, revision, records, set_hash

    def version_place(self, generation, secret, version):
        """Where a version of a secret is, which may be under a newer generation than its secret."""
        places = [
            (at, version_key(self.key(at, "root/index"), at, secret["uid"], version["id"]))
            for at in self.roots
            if at >= generation
        ]
        found = [place for place in places if place[1] in self.records]
        if len(found) != 1:
            raise Refused(f"version {version['id']} is there {len(found)} times")
        return found[0]

    def value(self, generation, secret, version):
        """The value of a version, opened by each of its wrapped data keys in turn."""
        generation, place = self.version_place(generation, secret, version)
        reader = Reader(self.take(place))
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
            wrapped = unseal(self.key(generation, "root/outer"), "data-key", ad, wrap)
            data_key = local_unwrap(self.kek, "static", key["arn"], context, wrapped)
            values.add(unseal(data_key, "value", value_ad(self.id, *tenant, version["content"]["binary"]), sealed))
        if len(values) != 1:
            raise Refused("the wrapped data keys give different values")
        return values.pop(), len(wraps)


def unwrap_root(kek):
    def unwrap(provider, arn, wrapped, store):
        if provider != b"static":
            raise Refused("a wrap of another provider")
        return local_unwrap(kek, "static", arn.decode(), store_context(store), wrapped)

    return unwrap


def as_expected(secret, versions):
    """A secret in the form of expected.json."""
    same = ["account", "region", "name", "arn", "description", "kms_key_id", "type", "tags", "created"]
    out = {member: secret[member] for member in same}
    out |= {"last_changed": secret["changed"], "last_accessed": secret["accessed"], "deleted": secret["deletion"]}
    out |= {"owning_service": secret["owner"], "primary_region": secret["primary"], "versions": versions}
    return out | {"rotation": rotation_as_expected(secret["rotation"]), "policies": secret["policies"]}


def rotation_as_expected(rotation):
    if rotation is None:
        return None
    same = ["enabled", "function", "rules", "metadata", "role", "rotated", "window", "next"]
    out = {member: rotation[member] for member in same}
    out["days_shown"] = rotation["rules"] and (rotation["rules"]["days"] or rotation["days"])
    job = rotation["running"]
    return out | {"running": job and {member: job[member] for member in job if member != "token"}}


def version_as_expected(secret, i, version, value):
    content = version["content"]
    out = {"id": version["id"], "created": version["created"], "last_accessed": version["accessed"]}
    out["stages"] = sorted(label for label, of in secret["labels"] if of == i)
    keys = [secret["keys"][k] for k in content["keys"]] if content else []
    keys = [key["given"] or DEFAULT_KEY for key in keys if not key["recovery"]]
    shown = None
    if content:
        shown = {"bytes": value.hex()} if content["binary"] else {"text": value.decode()}
    return out | {"kms_key_ids": keys, "value": shown}


def tasks(secret):
    """What has to be done with a secret, and when."""
    times = zip(TASKS, (secret["deletion"], versions_due(secret), rotation_due(secret)), strict=True)
    return {task: at for task, at in times if at is not None}


def read_store(dump):
    """Everything in a dump, and how many records of each kind there were. Refuses what does not fit together."""
    store = Store(dump)
    secrets, counts = [], {"secrets": 0, "values": 0, "wrapped data keys": 0} | {name: 0 for name in TASKS.values()}
    counts |= {"jobs": 0} | {f"of generation {generation}": 0 for generation in sorted(store.roots)}
    for key in store.records:
        if key not in (b"h", b"m"):
            counts[f"of generation {store.generation_of(key)}"] += 1
    due, highest = {}, 0
    for key in sorted(store.records):
        if key[:1] != b"s":
            continue
        revision, plain = store.metadata(key)
        secret, highest = decode_secret(plain), max(highest, revision)
        generation = store.generation_of(key)
        index = store.key(generation, "root/index")
        if key != secret_key(index, generation, secret["account"], secret["region"], secret["name"]):
            raise Refused(f"{secret['name']} is not where it belongs")
        numbers = [0] + [version["number"] for version in secret["versions"]] + [secret["made"] + 1]
        if any(a >= b for a, b in zip(numbers, numbers[1:])):
            raise Refused(f"the versions of {secret['name']} are numbered {numbers[1:-1]}, of {secret['made']}")
        versions = []
        for i, version in enumerate(secret["versions"]):
            value = None
            if version["content"]:
                value, wraps = store.value(generation, secret, version)
                counts["values"] += 1
                counts["wrapped data keys"] += wraps
            versions.append(version_as_expected(secret, i, version, value))
        counts["secrets"] += 1
        due[key] = tasks(secret)
        secrets.append(as_expected(secret, sorted(versions, key=lambda version: version["id"])))
    for key in sorted(store.records):
        if key[:1] == b"d":
            revision, plain = store.metadata(key)
            secret, highest = decode_due(plain), max(highest, revision)
            at = (int.from_bytes(key[1:9], "big") ^ 1 << 63) - (1 << 64 if not key[1] & 0x80 else 0)
            generation = store.generation_of(secret)
            index = store.key(generation, "root/index")
            found = [task for task in TASKS if key == due_key(index, generation, at, task, secret)]
            if secret not in due or not found or due[secret].pop(found[0], None) != at:
                raise Refused(f"an entry is due at {at} for nothing")
            counts[TASKS[found[0]]] += 1
        if key[:1] == b"j":
            revision, plain = store.metadata(key)
            if key != job_key(store.generation_of(key), REENCRYPTION):
                raise Refused("a job of an unknown kind")
            decode_job(plain)
            highest = max(highest, revision)
            counts["jobs"] += 1
    names = [(secret["account"], secret["region"], secret["name"]) for secret in secrets]
    if len(names) != len(set(names)):
        raise Refused("a secret is there twice")
    count, revision, *sealed_tally = store.head()
    if count != len(secrets) or revision < highest:
        raise Refused(f"the head says {count} secrets up to revision {revision}; there are {len(secrets)}, {highest}")
    found = tally(store.manifest_key, store.records)
    if found[0] != sealed_tally[0]:
        raise Refused(f"the head says {sealed_tally[0]} records; there are {found[0]}")
    if found[1] != sealed_tally[1]:
        raise Refused("the set hash in the head is not that of the records")
    counts = {"records": found[0]} | counts
    if any(due.values()):
        raise Refused("not everything that has to be done with a secret is due")
    if store.left:
        raise Refused(f"records that nothing refers to: {[key.hex() for key in store.left]}")
    return {"secrets": sorted(secrets, key=lambda s: (s["account"], s["region"], s["name"]))}, counts


def read_closed(directory, kek):
    """What the files of a closed store say, without the records: the epoch, and how many files are sealed."""

    id_, instance, _flags, _wraps, roots = read_header((directory / "store.hdr").read_bytes(), unwrap_root(kek))
    anchors, seals = (
        [derived_key(root, id_, generation, f"root/{name}") for generation, root in roots.items()]
        for name in ("anchor", "seal")
    )
    acknowledged, _tag = read_anchor(anchors, instance, (directory / "store.anchor").read_bytes())
    # The seal is by the newest generation alone.
    epoch, salt, files = read_store_seal(seals[0], instance, (directory / "store.seal").read_bytes())
    if epoch < acknowledged:
        raise Refused(f"closed at commit {epoch}, and {acknowledged} was acknowledged")
    sled = directory / "sled"
    found = {str(path.relative_to(sled)).encode(): path.read_bytes() for path in sled.rglob("*") if path.is_file()}
    if files.keys() != found.keys():
        raise Refused("other files than those that were sealed")
    for number, path in enumerate(sorted(files)):
        if files[path] != (len(found[path]), block_digest(seals[0], salt, number, found[path])):
            raise Refused(f"{path.decode()} is not the file that was sealed")
    return epoch, acknowledged, len(files)


# --- Writing --------------------------------------------------------------------------------------------------------

NOW = 1_700_000_000_000
TODAY = NOW // DAY * DAY


def secret(name, account="111122223333", region="eu-central-1", **members):
    arn = f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"
    default = {"given": None, "provider": "static", "version": "1", "recovery": False}
    default["arn"] = f"arn:aws:kms:{region}:{account}:alias/aws/secretsmanager"
    out = {"account": account, "region": region, "uid": fixed(f"uid of {name} {account}", 16), "name": name, "arn": arn}
    out |= {"description": None, "kms_key_id": None, "type": None, "tags": None, "created": NOW - 5000}
    out |= {"changed": NOW - 4000, "accessed": None, "deletion": None, "owner": None, "primary": None}
    out |= {"rotation": None, "policies": []}
    return out | {"keys": [default], "versions": [], "labels": []} | members


def version(number, content=None, **members):
    id_ = str(uuid.UUID(bytes=fixed(f"version {number}", 16), version=4))
    return {"id": id_, "created": NOW - 5000 + number, "accessed": None, "content": content} | members


FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:rotate"


def rotation(rules=None, **members):
    """One that is enabled and was never carried out. `rules` are days, duration and expression."""
    out = {"enabled": True, "function": FUNCTION, "rules": None, "metadata": None, "role": None, "rotated": None}
    out |= {"configured": NOW - 4000, "counts_from": NOW - 4000, "window": None, "next": None, "days": None}
    if rules:
        out["rules"] = dict(zip(("days", "duration", "expression"), rules, strict=True))
    return out | {"running": None} | members


def running(of, **members):
    out = {"version": of["id"], "test": False, "token": str(uuid.UUID(bytes=fixed("rotation token", 16), version=4))}
    return out | {"attempts": 0, "next": None, "until": None, "failure": None} | members


TEXT, BYTES = {"binary": False, "keys": [0]}, {"binary": True, "keys": [0]}


def cases():
    """Secrets with the values of their versions."""
    other = {"given": "alias/other", "provider": "static", "version": "1", "recovery": False}
    other["arn"] = "arn:aws:kms:eu-central-1:111122223333:alias/other"
    lost = {"given": "lost", "provider": "not there", "version": "", "recovery": False}
    lost["arn"] = "arn:aws:kms:eu-central-1:111122223333:key/lost"
    recovery = {"given": "alias/recovery", "provider": "static", "version": "1", "recovery": True}
    recovery["arn"] = "arn:aws:kms:us-east-1:000000000000:alias/recovery"
    plain = secret("plain", versions=[version(1, TEXT)], labels=[("AWSCURRENT", 0)])
    keys = [plain["keys"][0], other, lost, recovery]
    various = [
        version(4, {"binary": False, "keys": [0]}),
        version(5, {"binary": True, "keys": [0, 1, 3]}, accessed=TODAY - DAY),
        version(6, {"binary": False, "keys": [2, 3]}),
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
            secret("scheduled-too", changed=NOW, deletion=NOW + 30 * DAY, versions=[version(70, TEXT)], labels=current),
            ["may be restored, too"],
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
        *rotating(),
        *governed(),
    ]


def policy(effect, principal, action="secretsmanager:GetSecretValue", before="", after=""):
    """A document of one statement, with white space of one's choice."""
    statement = f'{{"Effect": "{effect}", "Principal": {principal}, "Action": "{action}", "Resource": "*"}}'
    return f'{before}{{"Version": "2012-10-17",{before}"Statement": [{statement}]}}{after}'


def governed():
    """Secrets with policies, with the values of their versions."""
    current = [("AWSCURRENT", 0)]
    reader = '{"AWS": "arn:aws:iam::444455556666:role/readers/nightly"}'
    documents = [
        ["default", policy("Allow", reader, before=" \t\r\n", after="\n" * 300)],
        ["CrossAccount", policy("Deny", '"*"', "secretsmanager:Delete*")],
        ["a-Replica_1", policy("Allow", '{"AWS": "444455556666"}', "secretsmanager:*")],
    ]
    sid = '{"Statement": {"Sid": "größer, 秘密", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}'
    return [
        (
            secret("governed/by-many", policies=documents, versions=[version(90, TEXT)], labels=current),
            ["who may read it is written down"],
        ),
        (secret("governed/by-service", policies=documents[1:2], owner="rds", keys=[]), []),
        (
            secret("governed/scheduled", policies=[["default", sid]], changed=NOW, deletion=NOW + 9 * DAY)
            | {"versions": [version(91, TEXT)], "labels": current},
            ["may be restored with its policy"],
        ),
    ]


def rotating():
    """Secrets that rotate, or did, with the values of their versions."""
    labels = [("AWSCURRENT", 0), ("AWSPENDING", 1)]
    whole, waiting, tested = ([version(at, TEXT), version(at + 1)] for at in (80, 82, 84))
    half = version(87, TEXT)
    tuesdays, window = (
        (None, "3h", "cron(0 8 ? * TUE#3 *)"),
        [TODAY + 7 * DAY + 28_800_000, TODAY + 7 * DAY + 39_600_000],
    )
    by_tuesdays = {"window": window, "next": window[1] - 1000, "days": 35}
    by_days = {"window": [TODAY + DAY, TODAY + 2 * DAY], "next": TODAY + 2 * DAY - 1000, "days": 1000}
    everything = rotation(tuesdays, **by_tuesdays, role="arn:aws:iam::111122223333:role/partner", rotated=-1)
    everything |= {"metadata": [["Name", "x" * 2048], ["ключ", "w"]], "configured": -(2**40), "counts_from": 251}
    next_, failure = {"next": NOW + 60_000, "until": NOW + 3_600_000}, [NOW - 1, "größer " * 100]
    everything["running"] = running(whole[1], attempts=2**32 - 1, **next_, failure=failure)
    nothing = rotation(function=None, enabled=False)
    by_rate = rotation((None, None, "rate(12 hours)"), window=[TODAY + DAY, TODAY + DAY + 3_600_000], days=1)
    return [
        (
            secret("rotates/everything", type="Partner", rotation=everything, versions=whole, labels=labels),
            ["new", None],
        ),
        (secret("rotates/nothing", rotation=nothing, keys=[]), []),
        (
            secret("rotates/waits", rotation=rotation((1000, None, None), **by_days, rotated=NOW - 3 * DAY))
            | {"versions": waiting, "labels": labels},
            ["waits for its next window", None],
        ),
        (
            secret("rotates/tested", rotation=rotation(running=running(tested[1], test=True, next=NOW + 1)))
            | {"versions": tested, "labels": labels},
            ["is tried", None],
        ),
        (
            secret("rotates/half", owner="rds", rotation=by_rate | {"function": None, "metadata": []})
            | {"versions": [version(86, TEXT), half], "labels": labels},
            ["managed", "has its value"],
        ),
        (
            secret(
                "rotates/scheduled", changed=NOW, deletion=NOW + 8 * DAY, rotation=rotation((1, "24h", None), **by_days)
            )
            | {"versions": [version(88, TEXT)], "labels": labels[:1]},
            ["does not rotate"],
        ),
    ]


KEYS = ["index", "metadata", "outer", "manifest"]


class Writer:
    """The records of a store that is being written, and the keys of the generations in use."""

    def __init__(self, name, generation, has_former):
        self.kek, self.name, self.id = bytes([0x42]) * 32, name, fixed(f"{name} store", 16)
        self.newest, self.former = generation, generation - 1 if has_former else generation
        generations = sorted({self.newest, self.former})
        roots = {g: fixed(f"{name} root" + (" before" if g < generation else "")) for g in generations}
        self.keys = {g: {k: derived_key(roots[g], self.id, g, f"root/{k}") for k in KEYS} for g in generations}
        self.revision, self.records = 2**32, {}
        arns = [f"arn:aws:kms:us-east-1:000000000000:alias/{key}" for key in ("aws/secretsmanager", "recovery")]
        lost = b"arn:aws:kms:us-east-1:000000000000:key/lost"
        wraps = [(MAIN, b"lost", b"not there", lost, b"9", self.fixed("foreign", 99))]
        for role, requested, arn in zip((MAIN, RECOVERY), (b"", b"alias/recovery"), arns, strict=True):
            r = self.fixed(f"r of root {role}")
            wrapped = local_wrap(self.kek, "static", arn, 1, roots[generation], store_context(self.id), r)
            wraps.append((role, requested, b"static", arn.encode(), b"1", wrapped))
        sealed_former = b""
        if has_former:
            before = roots[self.former], self.former, self.fixed("r of former")
            sealed_former = former_root(roots[generation], self.id, generation, *before)
        instance = self.fixed("instance", 16)
        self.records[b"m"] = header(roots[generation], self.id, instance, generation, 1, wraps, sealed_former)

    def fixed(self, name, length=32):
        return fixed(f"{self.name} {name}", length)

    def put(self, generation, key, plain):
        self.revision += 1
        ad, r = record_ad(self.id, key, self.revision), self.fixed(f"r {key.hex()}")
        self.records[key] = u64(self.revision) + seal(self.keys[generation]["metadata"], "metadata", ad, plain, r)

    def put_version(self, generation, s, v, value):
        keys, data_key = self.keys[generation], self.fixed(f"data key of {v['id']}")
        out = u8(len(v["content"]["keys"]))
        for place, k in enumerate(v["content"]["keys"]):
            key, r = s["keys"][k], self.fixed(f"r {v['id']} {place}")
            wrap = local_wrap(self.kek, "static", key["arn"], 1, data_key, version_context(s["arn"], v["id"]), r)
            ad = data_key_ad(self.id, s["uid"], v["id"], key["provider"], key["arn"], key["version"], place)
            out += field(seal(keys["outer"], "data-key", ad, wrap, r))
        ad = value_ad(self.id, s["account"], s["region"], s["arn"], s["uid"], v["id"], v["content"]["binary"])
        out += seal(data_key, "value", ad, value, self.fixed(f"r {v['id']}"))
        self.records[version_key(keys["index"], generation, s["uid"], v["id"])] = out

    def put_secret(self, generation, s):
        index = self.keys[generation]["index"]
        place = secret_key(index, generation, s["account"], s["region"], s["name"])
        self.put(generation, place, encode_secret(s))
        for task, at in tasks(s).items():
            self.put(generation, due_key(index, generation, at, task, place), encode_due(place))

    def dump(self, secrets):
        epoch = 2**16
        manifest = {mark(generation): keys["manifest"] for generation, keys in self.keys.items()}
        head = encode_head(epoch, secrets, self.revision, *tally(manifest.__getitem__, self.records))
        key = self.keys[self.newest]["metadata"]
        self.records[b"h"] = u64(epoch) + seal(key, "head", head_ad(self.id, epoch), head, self.fixed("r of head"))
        return [{"key": key.hex(), "value": value.hex()} for key, value in sorted(self.records.items())]


def store_of(writer, generations_of):
    """A dump as the engine would make it, and what it holds.

    `generations_of(secret, i)` gives the generations of a secret and of its version of this number.
    """
    expected = []
    for s, values in cases():
        versions = []
        for i, (v, value) in enumerate(zip(s["versions"], values, strict=True)):
            value = value.encode() if isinstance(value, str) else value
            versions.append(version_as_expected(s, i, v, value))
            if value is not None:
                writer.put_version(generations_of(s, i)[1], s, v, value)
        writer.put_secret(generations_of(s, 0)[0], s)
        expected.append(as_expected(s, sorted(versions, key=lambda v: v["id"])))
    dump = writer.dump(len(expected))
    expected.sort(key=lambda s: (s["account"], s["region"], s["name"]))
    return {"provider_key": writer.kek.hex(), "now": NOW, "records": dump, "expected": {"secrets": expected}}


def written_store():
    writer = Writer("written", 4_000_000_000, has_former=False)
    return store_of(writer, lambda _secret, _i: (writer.newest, writer.newest))


def written_in_a_change():
    """A store whose root key is being changed: some secrets have gone over, some versions have gone before theirs."""
    writer = Writer("changing", 256, has_former=True)
    moved = "plain", "empty", "other/tenant", "scheduled-too", "rotates/everything", "rotates/scheduled"
    moved += ("governed/by-many",)
    going = "everything", "many", "rotates/waits"

    def generations_of(s, i):
        if s["name"] in moved:
            return writer.newest, writer.newest
        return writer.former, writer.newest if s["name"] in going and i % 2 == 0 else writer.former

    after = "111122223333", "eu-central-1", "empty"
    writer.put(writer.former, job_key(writer.former, REENCRYPTION), encode_job("", after, 251, 65_536))
    return store_of(writer, generations_of)
