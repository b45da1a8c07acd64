"""A whole store: read from a dump of its records, or written for the engine to read."""

from cases import NOW, cases
from forgeries import fixed
from strongroom_changes import decode_standby, is_kept, read_kept
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
    decode_due,
    decode_head,
    decode_job,
    decode_secret,
    encode_due,
    encode_head,
    encode_job,
    encode_secret,
    replication_due,
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

    def epoch(self):
        return Reader(self.records[b"h"]).number(8)

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
    out |= {"rotation": rotation_as_expected(secret["rotation"]), "policies": secret["policies"]}
    return out | links_as_expected(secret["links"])


def links_as_expected(links):
    """What a description tells of replicas."""

    def told(of):
        return {"status": of["status"], "message": of["message"]}

    regions = [
        {"region": link["region"], "kms_key_id": link["kms_key_id"] or "alias/aws/secretsmanager"} | told(link["state"])
        for link in links["regions"]
    ]
    accounts = [
        {"arn": link["replica"], "role": link["role"]} | told(link["state"]) for link in links["accounts"]
    ]
    return {"replica_regions": regions, "account_replicas": accounts, "account_primary": links["primary"]}


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
    times = zip(TASKS, (secret["deletion"], versions_due(secret), rotation_due(secret), replication_due(secret)), strict=True)
    return {task: at for task, at in times if at is not None}


def read_store(dump):
    """Everything in a dump, and how many records of each kind there were. Refuses what does not fit together."""
    store = Store(dump)
    secrets, counts = [], {"secrets": 0, "values": 0, "wrapped data keys": 0} | {name: 0 for name in TASKS.values()}
    counts |= {"jobs": 0} | {f"of generation {generation}": 0 for generation in sorted(store.roots)}
    for key in store.records:
        if key not in (b"h", b"m") and not is_kept(key):
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
        if key[:1] == b"f":
            revision, plain = store.metadata(key)
            counts["standby"] = decode_standby(plain)["stage"]
            highest = max(highest, revision)
    kept = read_kept(store)
    if kept:
        _, commits = kept
        if commits and max(commits) != store.epoch():
            raise Refused("the newest commit is not among those that are kept")
        pieces = [piece for _, (_, pieces) in sorted(commits.items()) for piece in pieces if piece[0] != "version"]
        told = {place: secret for _, place, secret in pieces}
        counts["kept commits"], counts["told secrets"] = len(commits), sum(secret is not None for secret in told.values())
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
