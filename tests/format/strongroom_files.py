"""The files of a store beside its records: sections 10 and 11 of docs/FORMAT.md, as in strongroom_format.py."""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom_format import FORMAT, Reader, Refused, data, field, mac, sha256, u16, u32, u64

# --- Section 10: the anchor -----------------------------------------------------------------------------------------

SLOT = 512


def anchor_slot(anchor_key, instance, epoch, head_tag):
    body = b"STRONGAN" + u16(FORMAT) + instance + u64(epoch) + head_tag
    return (body + mac(anchor_key, body)).ljust(SLOT, b"\0")


def new_anchor(anchor_key, instance, epoch, head_tag):
    return 2 * anchor_slot(anchor_key, instance, epoch, head_tag)


def advanced_anchor(anchor_key, anchor, instance, epoch, head_tag):
    """The file after one more commit: the slot that does not hold the newest epoch is overwritten."""
    slots = [anchor[:SLOT], anchor[SLOT:]]
    first, second = (int.from_bytes(slot[26:34], "big") for slot in slots)
    slots[1 if first >= second else 0] = anchor_slot(anchor_key, instance, epoch, head_tag)
    return b"".join(slots)


def read_anchor(anchor_keys, instance, anchor):
    """The newest epoch and the end of its head, of the slots that name the instance and authenticate under any key."""
    found = []
    for slot in (anchor[:SLOT], anchor[SLOT : 2 * SLOT]):
        reader = Reader(slot)
        try:
            magic, format_, of = reader.take(8), reader.number(2), reader.take(16)
            epoch, tag, code = reader.number(8), reader.take(16), reader.take(32)
        except Refused:
            continue
        is_ours = (magic, format_, of) == (b"STRONGAN", FORMAT, instance)
        if is_ours and code in [mac(key, slot[:50]) for key in anchor_keys]:
            found.append((epoch, tag))
    if not found:
        raise Refused("no slot of the anchor authenticates")
    return max(found)


# --- Section 11: the seal of a closed store -------------------------------------------------------------------------


BLOCK = 262_144


def block_digest(seal_key, salt, number, content):
    """What the tags of a file's blocks come to. The file is the one of this number."""
    cipher, tags = AESGCM(mac(seal_key, b"blocks" + salt)), b""
    for index in range(0, len(content), BLOCK):
        nonce = u32(number) + u64(index // BLOCK)
        tags += cipher.encrypt(nonce, content[index : index + BLOCK], None)[-16:]
    return sha256(tags)


def store_seal(seal_key, instance, epoch, salt, files):
    """`files` are pairs of a path inside `sled/` and its content."""
    body = b"STRONGSE" + u16(FORMAT) + instance + u64(epoch) + salt + u32(len(files))
    for number, (path, content) in enumerate(sorted((data(path), content) for path, content in files)):
        body += field(path) + u64(len(content)) + block_digest(seal_key, salt, number, content)
    return body + mac(seal_key, body)


def read_store_seal(seal_key, instance, sealed):
    """The epoch, the salt, and length and digest of every file by its path."""
    if len(sealed) < 32 or sealed[-32:] != mac(seal_key, sealed[:-32]):
        raise Refused("the seal does not authenticate")
    reader, files = Reader(sealed[:-32]), {}
    if (reader.take(8), reader.number(2), reader.take(16)) != (b"STRONGSE", FORMAT, instance):
        raise Refused("a seal of something else")
    epoch, salt = reader.number(8), reader.take(32)
    for _ in range(reader.number(4)):
        path = reader.field()
        if files and path <= max(files):
            raise Refused("the files in the seal are out of order")
        files[path] = reader.number(8), reader.take(32)
    reader.end()
    return epoch, salt, files
