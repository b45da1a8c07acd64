"""What a store keeps of its commits, and frames made of it: section 17 of docs/FORMAT.md, in Python."""

import uuid

from strongroom_format import FORMAT, Reader, Refused, fields, u16, u32, unseal
from strongroom_records import decode_secret, versioned

PART = 64 * 1024
CHUNK = 128 * 1024
KINDS = {0: "changes", 1: "copy", 2: "end of copy"}
STAGES = {0: "copying", 1: "catching up", 2: "following", 3: "promoted"}


def decode_kept(plain):
    b = versioned(plain)
    kept = {"feed": b.take(16), "key": b.take(32), "commits": b.varint()}
    b.end()
    return kept


def decode_standby(plain):
    b = versioned(plain)
    standby = {"instance": b.take(16), "feed": b.take(16), "key": b.take(32), "epoch": b.varint(), "tag": b.take(16)}
    standby["copy"] = b.take(16)
    stage = b.varint()
    if stage not in STAGES:
        raise Refused("a stage of no kind")
    standby["stage"] = STAGES[stage]
    standby["number"] = b.varint() if stage < 2 else None
    b.end()
    if standby["stage"] == "promoted" and any(standby["key"]):
        raise Refused("a promoted standby has the key of the feed")
    return standby


def is_kept(key):
    """Whether a record is what is kept of commits, which does not count."""
    return key[:1] == b"c"


def decode_pieces(stream):
    reader, pieces = Reader(stream), []
    while reader.at < len(stream):
        kind = reader.number(1)
        if kind in (1, 2):
            place = tuple(reader.field().decode() for _ in range(3))
            secret = decode_secret(reader.field()) if kind == 1 else None
            if secret and place != (secret["account"], secret["region"], secret["name"]):
                raise Refused("a secret is told as another")
            pieces.append(("secret" if secret else "removal", place, secret))
        elif kind == 3:
            pieces.append(("version", reader.take(16), (reader.field().decode(), reader.field())))
        else:
            raise Refused("a piece of no kind")
    return pieces


def read_kept(store):
    """How many commits are kept at most, and what is kept of each: the tag of the one before, and its pieces."""
    keys = sorted(key for key in store.records if is_kept(key))
    if not keys:
        return None
    settings = [key for key in keys if len(key) == 2]
    if len(settings) != 1 or any(len(key) not in (2, 14) for key in keys):
        raise Refused("what is kept has keys of another form")
    kept = decode_kept(store.metadata(settings[0])[1])
    entries = {}
    for key in keys:
        if len(key) == 14:
            epoch = int.from_bytes(key[2:10], "big")
            revision, plain = store.metadata(key)
            if revision != epoch:
                raise Refused("an entry is of another commit than it says")
            entries.setdefault(epoch, []).append(plain)
    commits = {}
    for epoch, parts in entries.items():
        reader = Reader(parts[0])
        if reader.number(1) != 1 or reader.number(4) != len(parts):
            raise Refused(f"commit {epoch} does not have all of its entries")
        tag, first = reader.take(16), reader.rest()
        if any(len(part) != PART for part in [first, *parts[1:]][:-1]):
            raise Refused(f"commit {epoch} is cut elsewhere")
        commits[epoch] = tag, decode_pieces(b"".join([first, *parts[1:]]))
    epochs = sorted(commits)
    if epochs and epochs != list(range(epochs[0], epochs[-1] + 1)):
        raise Refused("a commit is missing")
    if len(epochs) > kept["commits"]:
        raise Refused("more commits are kept than should be")
    return kept, commits


def position(reader):
    ids = [str(uuid.UUID(bytes=reader.take(16))) for _ in range(3)]
    return {"store": ids[0], "instance": ids[1], "feed": ids[2], "epoch": reader.number(8), "tag": reader.take(16).hex()}


def start(reader, magic):
    if reader.take(8) != magic or reader.number(2) != FORMAT:
        raise Refused("it does not begin as it should")


def read_seed(seed):
    reader = Reader(seed)
    start(reader, b"STRONGSD")
    flags, at, copy, key = reader.number(1), position(reader), reader.take(16), reader.take(32)
    reader.end()
    return {"for tests": flags == 1, "position": at, "copy": copy.hex()}, key


def chunk_ad(front, index):
    return fields("chg", u16(FORMAT), front, u32(index))


def open_frame(frame, key):
    """A frame: what stands in front of it, and the states in it."""
    reader = Reader(frame)
    start(reader, b"STRONGCH")
    kind, is_latest, origin = KINDS[reader.number(1)], reader.number(1) == 1, position(reader)
    to = {**origin, "epoch": reader.number(8), "tag": reader.take(16).hex()}
    copy, index, complete, count = reader.take(16), reader.number(8), reader.number(8), reader.number(4)
    if (kind == "changes") != (not any(copy)):
        raise Refused("the frame is of a copy, or should be")
    front = frame[:144]
    chunks = [unseal(key, "changes", chunk_ad(front, i), reader.field()) for i in range(count)]
    reader.end()
    if any(len(chunk) != CHUNK for chunk in chunks[:-1]):
        raise Refused("the body is cut elsewhere")
    body, states = Reader(b"".join(chunks)), []
    while body.at < len(body.bytes):
        match body.number(1):
            case 1 | 3 as state:
                secret = decode_secret(body.field())
                versions = {}
                for _ in range(body.number(4)):
                    version = body.field().decode()
                    wraps = [body.field() for _ in range(body.number(1))]
                    versions[version] = {"wraps": len(wraps), "bytes": len(body.field())}
                states.append({"name": secret["name"], "versions": versions, "ahead": state == 3})
            case 2:
                states.append({"gone": [body.field().decode() for _ in range(3)][2]})
            case 4:
                uid = body.take(16).hex()
                states.append({"withdrawn": uid, "ids": [body.field().decode() for _ in range(body.number(4))]})
            case _:
                raise Refused("a state of no kind")
    if kind != "copy" and any(state.get("ahead") or "withdrawn" in state for state in states):
        raise Refused("a part of a copy is elsewhere")
    return {
        "kind": kind, "latest": is_latest, "from": origin, "to": to, "copy": copy.hex(), "index": index,
        "complete at": complete, "states": states,
    }
