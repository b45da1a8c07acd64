"""The plaintexts of records: section 6 of docs/FORMAT.md, as in strongroom_format.py."""

from strongroom_format import Reader, Refused, data, u8

DAY = 86_400_000
# Versions beyond this number are removed when they may.
KEPT = 100
STATUSES = {1: "InSync", 2: "Failed", 3: "InProgress", 4: "Pending", 5: "Detached"}

# --- bincode --------------------------------------------------------------------------------------------------------


def varint(n):
    if n <= 250:
        return u8(n)
    for mark, width in ((251, 2), (252, 4), (253, 8)):
        if n < 1 << (8 * width):
            return u8(mark) + n.to_bytes(width, "big")
    raise ValueError(n)


def signed(n):
    return varint(2 * n if n >= 0 else -2 * n - 1)


def text(x):
    return varint(len(data(x))) + data(x)


def optional(encode, x):
    return u8(0) if x is None else u8(1) + encode(x)


def listed(encode, items):
    return varint(len(items)) + b"".join(encode(item) for item in items)


class Bincode(Reader):
    def varint(self):
        first = self.number(1)
        if first <= 250:
            return first
        if first not in (251, 252, 253):
            raise Refused("no such number")
        return self.number({251: 2, 252: 4, 253: 8}[first])

    def signed(self):
        n = self.varint()
        return n // 2 if n % 2 == 0 else -(n // 2) - 1

    def text(self):
        return self.take(self.varint()).decode()

    def boolean(self):
        n = self.number(1)
        if n > 1:
            raise Refused("neither true nor false")
        return n == 1

    def optional(self, read):
        return read() if self.boolean() else None

    def listed(self, read):
        return [read() for _ in range(self.varint())]


def versioned(plain):
    b = Bincode(plain)
    if b.number(1) != 1:
        raise Refused("a record of another version")
    return b


# --- Secrets --------------------------------------------------------------------------------------------------------


def encode_secret(s):
    out = u8(1) + text(s["account"]) + text(s["region"]) + s["uid"] + text(s["name"]) + text(s["arn"])
    out += optional(text, s["description"]) + optional(text, s["kms_key_id"]) + optional(text, s["type"])
    out += optional(lambda tags: listed(lambda tag: text(tag[0]) + text(tag[1]), tags), s["tags"])
    out += signed(s["created"]) + signed(s["changed"])
    out += optional(signed, s["accessed"]) + optional(signed, s["deletion"])
    out += optional(text, s["owner"]) + optional(text, s["primary"])
    out += encode_links(s["links"]) + optional(encode_rotation, s["rotation"])
    out += listed(lambda policy: text(policy[0]) + text(policy[1]), s["policies"])
    out += varint(s.get("made", len(s["versions"])))
    numbered = [{"number": i} | version for i, version in enumerate(s["versions"], 1)]
    out += listed(encode_key, s["keys"]) + listed(encode_version, numbered)
    return out + listed(lambda pair: text(pair[0]) + varint(pair[1]), s["labels"])


def encode_links(l):
    def state(state):
        out = u8(status(state["status"])) + optional(text, state["message"])
        return out + optional(signed, state["due"]) + varint(state["failures"])

    def region(link):
        out = text(link["region"]) + optional(text, link["kms_key_id"])
        return out + u8(1 if link["overwrite"] else 0) + u8(1 if link["rekeyed"] else 0) + state(link["state"])

    def account(link):
        out = text(link["replica"]) + optional(text, link["role"])
        return out + u8(1 if link["same_organization"] else 0) + state(link["state"])

    def primary(primary):
        return text(primary["arn"]) + u8(status(primary["status"])) + optional(text, primary["message"])

    def status(name):
        return next(number for number, known in STATUSES.items() if known == name)

    return listed(region, l["regions"]) + listed(account, l["accounts"]) + optional(primary, l["primary"])


def encode_rotation(r):
    def rules(rules):
        out = optional(signed, rules["days"]) + optional(text, rules["duration"])
        return out + optional(text, rules["expression"])

    def running(job):
        out = text(job["version"]) + u8(1 if job["test"] else 0) + text(job["token"]) + varint(job["attempts"])
        out += optional(signed, job["next"]) + optional(signed, job["until"])
        return out + optional(lambda failure: signed(failure[0]) + text(failure[1]), job["failure"])

    out = u8(1 if r["enabled"] else 0) + optional(text, r["function"]) + optional(rules, r["rules"])
    out += optional(lambda items: listed(lambda item: text(item[0]) + text(item[1]), items), r["metadata"])
    out += optional(text, r["role"]) + optional(signed, r["rotated"])
    out += signed(r["configured"]) + signed(r["counts_from"])
    out += optional(lambda window: signed(window[0]) + signed(window[1]), r["window"])
    out += optional(signed, r["next"]) + optional(signed, r["days"])
    return out + optional(running, r["running"])


def encode_key(k):
    out = optional(text, k["given"]) + text(k["provider"]) + text(k["arn"]) + text(k["version"])
    return out + u8(1 if k["recovery"] else 0)


def encode_version(v):
    def content(c):
        return u8(1 if c["binary"] else 0) + listed(varint, c["keys"])

    out = text(v["id"]) + varint(v["number"]) + signed(v["created"])
    return out + optional(signed, v["accessed"]) + optional(content, v["content"])


def decode_secret(plain):
    b = versioned(plain)
    s = {"account": b.text(), "region": b.text(), "uid": b.take(16), "name": b.text(), "arn": b.text()}
    s |= {"description": b.optional(b.text), "kms_key_id": b.optional(b.text), "type": b.optional(b.text)}
    s["tags"] = b.optional(lambda: b.listed(lambda: [b.text(), b.text()]))
    s |= {"created": b.signed(), "changed": b.signed()}
    s |= {"accessed": b.optional(b.signed), "deletion": b.optional(b.signed)}
    s |= {"owner": b.optional(b.text), "primary": b.optional(b.text)}
    s["links"] = decode_links(b)
    s["rotation"] = b.optional(lambda: decode_rotation(b))
    s["policies"] = b.listed(lambda: [b.text(), b.text()])
    places = [(name != "default", name.encode()) for name, _document in s["policies"]]
    if any(a >= b for a, b in zip(places, places[1:])):
        raise Refused("policies that are not in order")
    s["made"] = b.varint()
    s["keys"] = b.listed(
        lambda: {
            "given": b.optional(b.text),
            "provider": b.text(),
            "arn": b.text(),
            "version": b.text(),
            "recovery": b.boolean(),
        }
    )

    def content():
        return {"binary": b.boolean(), "keys": b.listed(b.varint)}

    s["versions"] = b.listed(
        lambda: {
            "id": b.text(),
            "number": b.varint(),
            "created": b.signed(),
            "accessed": b.optional(b.signed),
            "content": b.optional(content),
        }
    )
    s["labels"] = b.listed(lambda: (b.text(), b.varint()))
    b.end()
    return s


def decode_links(b):
    def status():
        number = b.number(1)
        if number not in STATUSES:
            raise Refused("an unknown status")
        return STATUSES[number]

    def state():
        return {"status": status(), "message": b.optional(b.text), "due": b.optional(b.signed), "failures": b.varint()}

    def region():
        link = {"region": b.text(), "kms_key_id": b.optional(b.text), "overwrite": b.boolean(), "rekeyed": b.boolean()}
        return link | {"state": state()}

    def account():
        link = {"replica": b.text(), "role": b.optional(b.text), "same_organization": b.boolean()}
        return link | {"state": state()}

    def primary():
        return {"arn": b.text(), "status": status(), "message": b.optional(b.text)}

    return {"regions": b.listed(region), "accounts": b.listed(account), "primary": b.optional(primary)}


def decode_rotation(b):
    def rules():
        return {"days": b.optional(b.signed), "duration": b.optional(b.text), "expression": b.optional(b.text)}

    def running():
        job = {"version": b.text(), "test": b.boolean(), "token": b.text(), "attempts": b.varint()}
        job |= {"next": b.optional(b.signed), "until": b.optional(b.signed)}
        return job | {"failure": b.optional(lambda: [b.signed(), b.text()])}

    r = {"enabled": b.boolean(), "function": b.optional(b.text), "rules": b.optional(rules)}
    r["metadata"] = b.optional(lambda: b.listed(lambda: [b.text(), b.text()]))
    r |= {"role": b.optional(b.text), "rotated": b.optional(b.signed)}
    r |= {"configured": b.signed(), "counts_from": b.signed()}
    r["window"] = b.optional(lambda: [b.signed(), b.signed()])
    r |= {"next": b.optional(b.signed), "days": b.optional(b.signed)}
    return r | {"running": b.optional(running)}


def is_replica(s):
    """Whether a secret follows another one."""
    return s["primary"] not in (None, s["region"]) or s["links"]["primary"] is not None


def replication_due(s):
    """When the entry to bring the replicas of a secret up to date is due, if there is one."""
    links = s["links"]["regions"] + s["links"]["accounts"]
    return min((link["state"]["due"] for link in links if link["state"]["due"] is not None), default=None)


def rotation_due(s):
    """When the entry to rotate a secret is due, if there is one."""
    rotation = s["rotation"]
    if rotation is None or not rotation["enabled"] or s["deletion"] is not None or is_replica(s):
        return None
    running, window = rotation["running"], rotation["window"]
    if running and running["next"] is not None:
        return running["next"]
    return window[0] if window else None


def versions_due(s):
    """When the entry to remove versions of a secret is due, if there is one."""
    if is_replica(s):
        return None
    labelled = {index for _label, index in s["labels"]}
    unlabelled = [version["created"] for i, version in enumerate(s["versions"]) if i not in labelled]
    return min(unlabelled) + DAY if len(s["versions"]) > KEPT and unlabelled else None


# --- Others ---------------------------------------------------------------------------------------------------------


def encode_due(secret):
    return u8(1) + text(secret)


def decode_due(plain):
    b = versioned(plain)
    secret = b.take(b.varint())
    b.end()
    return secret


def encode_job(scope, after, secrets, versions):
    """`after` is account, Region and name of the last secret that was done."""
    return u8(1) + text(scope) + b"".join(text(x) for x in after) + varint(secrets) + varint(versions)


def decode_job(plain):
    b = versioned(plain)
    job = b.text(), (b.text(), b.text(), b.text()), b.varint(), b.varint()
    b.end()
    return job


def encode_head(epoch, secrets, revision, records, set_hash):
    return u8(1) + b"".join(varint(n) for n in (epoch, secrets, revision, records)) + set_hash


def decode_head(plain):
    b = versioned(plain)
    head = b.varint(), b.varint(), b.varint(), b.varint(), b.take(32)
    b.end()
    return head


def encode_token(sort, last):
    return u8(1) + optional(signed, sort) + text(last)
