"""The stored format of strongroom, once more, in Python: written from docs/FORMAT.md alone, section by section."""

import hashlib
import hmac
import struct
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SUITE = 1
FORMAT = 1
PREFIX = b"strongroom/v1/"
LABELS = ["metadata", "head", "value", "data-key", "wrap", "token", "former-root"]
PURPOSES = ["root/index", "root/metadata", "root/outer", "root/token", "root/header"]
PURPOSES += ["root/manifest", "root/anchor", "root/seal", "root/backup", "root/former"]
MAIN, RECOVERY = 0, 1
REENCRYPTION = 1
TASKS = {1: "purge", 2: "remove versions", 3: "rotate", 4: "replicate"}


class Refused(Exception):
    """What was read is not what the format says."""


# --- Notation -------------------------------------------------------------------------------------------------------


def u8(n):
    return struct.pack(">B", n)


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


def i64(n):
    return struct.pack(">q", n)


def data(x):
    return x.encode() if isinstance(x, str) else x


def field(x):
    return u32(len(data(x))) + data(x)


def fields(*items):
    return b"".join(field(item) for item in items)


def sha256(x):
    return hashlib.sha256(x).digest()


def mac(key, message):
    return hmac.digest(key, message, "sha256")


def hkdf_expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = mac(prk, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:length]


def hkdf(salt, key, info, length=32):
    return hkdf_expand(mac(salt if salt else bytes(32), key), info, length)


# --- Section 2: sealing ---------------------------------------------------------------------------------------------


def frame_length(plain):
    n = plain + 4
    if n <= 256:
        unit = 32
    else:
        e = n.bit_length() - 1
        s = (e.bit_length() - 1) + 1
        unit = 1 << (e - s)
    return (n + unit - 1) // unit * unit


def frame(plaintext):
    zeros = frame_length(len(plaintext)) - len(plaintext) - 4
    return plaintext + bytes(zeros) + u32(len(plaintext))


def unframe(framed):
    if len(framed) < 4:
        raise Refused("the frame has no length")
    (length,) = struct.unpack(">I", framed[-4:])
    if frame_length(length) != len(framed):
        raise Refused("the frame has another length than the padding rule gives")
    return framed[:length]


def derive(key, salt, label, ad):
    """The AES key, the nonce and the commitment of a sealed text."""
    prk = mac(salt, key)
    start, end = PREFIX + label.encode(), sha256(ad)
    return (
        hkdf_expand(prk, start + b"/key" + end, 32),
        hkdf_expand(prk, start + b"/nonce" + end, 12),
        hkdf_expand(prk, start + b"/commit" + end, 32),
    )


def salt_for(key, ad, plaintext, r):
    hedge = hkdf(b"", key, PREFIX + b"hedge")
    return mac(hedge, r + u64(len(ad)) + ad + u64(len(plaintext)) + plaintext)


def seal(key, label, ad, plaintext, r):
    salt = salt_for(key, ad, plaintext, r)
    aes_key, nonce, commitment = derive(key, salt, label, ad)
    return u16(SUITE) + salt + commitment + AESGCM(aes_key).encrypt(nonce, frame(plaintext), ad)


def unseal(key, label, ad, sealed):
    if len(sealed) < 2 + 32 + 32 + 16:
        raise Refused("too short to be sealed")
    if sealed[:2] != u16(SUITE):
        raise Refused("another suite")
    salt, stored, body = sealed[2:34], sealed[34:66], sealed[66:]
    aes_key, nonce, commitment = derive(key, salt, label, ad)
    if not hmac.compare_digest(stored, commitment):
        raise Refused(f"the commitment does not match ({label})")
    try:
        framed = AESGCM(aes_key).decrypt(nonce, body, ad)
    except InvalidTag as error:
        raise Refused(f"the tag does not match ({label})") from error
    return unframe(framed)


# --- Section 3: associated data -------------------------------------------------------------------------------------


def partition(region):
    table = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ]
    return next((name for start, name in table if region.startswith(start)), "aws")


def value_ad(store, account, region, arn, uid, version_id, is_binary):
    form = u8(1 if is_binary else 0)
    return fields("val", u16(FORMAT), store, partition(region), account, region, arn, uid, version_id, form)


def data_key_ad(store, uid, version_id, provider, key_arn, key_version, index):
    return fields("dek", u16(FORMAT), store, uid, version_id, provider, key_arn, key_version, u8(index))


def record_ad(store, key, revision):
    return fields("met", u16(FORMAT), store, key, u64(revision))


def head_ad(store, epoch):
    return fields("head", u16(FORMAT), store, u64(epoch))


def token_ad(store, account, region, digest, issued):
    return fields("tok", store, account, region, digest, i64(issued))


def former_root_ad(store, generation):
    return fields("root", u16(FORMAT), store, u32(generation))


def encode_context(context):
    pairs = sorted(context, key=lambda pair: pair[0].encode())
    return b"".join(fields(name, value) for name, value in pairs)


def wrap_ad(context, key_arn, key_version):
    return fields("wrap", encode_context(context), key_arn, u32(key_version))


# --- Section 4: keys ------------------------------------------------------------------------------------------------


def derived_key(root, store, generation, purpose):
    return hkdf(store, root, PREFIX + f"{purpose}/{generation}".encode())


def local_wrap(kek, key_id, key_arn, key_version, data_key, context, r):
    sealed = seal(kek, "wrap", wrap_ad(context, key_arn, key_version), data_key, r)
    return u16(SUITE) + field(key_id) + u32(key_version) + sealed


def local_unwrap(kek, key_id, key_arn, context, wrapped):
    reader = Reader(wrapped)
    if reader.take(2) != u16(SUITE):
        raise Refused("a wrap of another suite")
    if reader.field() != key_id.encode():
        raise Refused("a wrap of another key")
    key_version = reader.number(4)
    return unseal(kek, "wrap", wrap_ad(context, key_arn, key_version), reader.rest())


def version_context(arn, version_id):
    return [("SecretARN", arn), ("SecretVersionId", version_id)]


def store_context(store):
    return [("strongroom:store", str(uuid.UUID(bytes=store)))]


# The key file of a local keyring: keys are (id, ARN, state, default, versions), aliases are (ARN, id of the key).
def key_file(keys, aliases):
    out = b"STRONGKR" + u16(1) + u32(len(keys))
    for key_id, arn, state, is_default, versions in keys:
        out += fields(key_id, arn) + u8(state) + u8(is_default) + u32(len(versions)) + fields(*versions)
    out += u32(len(aliases)) + b"".join(fields(*alias) for alias in aliases)
    return out + sha256(out)


# --- Section 5: header ----------------------------------------------------------------------------------------------


class Reader:
    """Reads fields and numbers, and refuses to read past the end."""

    def __init__(self, bytes_):
        self.bytes, self.at = bytes_, 0

    def take(self, count):
        if self.at + count > len(self.bytes):
            raise Refused("cut short")
        out = self.bytes[self.at : self.at + count]
        self.at += count
        return out

    def number(self, width):
        return int.from_bytes(self.take(width), "big")

    def field(self):
        return self.take(self.number(4))

    def rest(self):
        return self.take(len(self.bytes) - self.at)

    def end(self):
        if self.at != len(self.bytes):
            raise Refused("bytes are left over")


def former_root(root, store, generation, former, former_generation, r):
    """The last field of a header while records are under the root key of the generation before."""
    key, ad = derived_key(root, store, generation, "root/former"), former_root_ad(store, former_generation)
    return u32(former_generation) + seal(key, "former-root", ad, former, r)


def header(root, store, instance, generation, flags, wraps, former=b""):
    """`wraps` are (role, key as requested, provider id, key ARN, key version, wrapped root key)."""
    body = b"STRONGRM" + u16(FORMAT) + u16(1) + u16(SUITE) + u16(flags) + store + u32(generation)
    body += field(instance) + u16(len(wraps)) + b"".join(u8(wrap[0]) + fields(*wrap[1:]) for wrap in wraps)
    body += field(former)
    copy = field(body) + sha256(body) + mac(derived_key(root, store, generation, "root/header"), body)
    copy += bytes(-len(copy) % 4096)
    return copy + copy


def read_header(stored, unwrap):
    """Ids of store and instance, flags, wraps, and the root keys by generation, the newest first.

    `unwrap(provider, ARN, wrapped, store)` gives a root key or refuses.
    """
    half = (len(stored) // 2 + 4095) // 4096 * 4096
    for copy in (stored, stored[half:]):
        try:
            reader = Reader(copy)
            body = reader.field()
            if reader.take(32) == sha256(body):
                break
        except Refused:
            pass
    else:
        raise Refused("no copy of the header is whole")
    code = reader.take(32)
    reader = Reader(body)
    if reader.take(8) != b"STRONGRM":
        raise Refused("not a header")
    _format, min_reader, suite, flags = (reader.number(2) for _ in range(4))
    if min_reader != 1 or suite != SUITE or flags & ~1:
        raise Refused("a header of another format")
    store, generation = reader.take(16), reader.number(4)
    instance = reader.field()
    if len(instance) != 16:
        raise Refused("an instance id that is no UUID")
    wraps = [(reader.number(1), *(reader.field() for _ in range(5))) for _ in range(reader.number(2))]
    sealed_former = reader.field()
    reader.end()
    if not 1 <= len(wraps) <= 64 or any(wrap[0] not in (MAIN, RECOVERY) for wrap in wraps):
        raise Refused("no wraps, too many, or one of an unknown role")
    for _role, _requested, provider, arn, _version, wrapped in wraps:
        try:
            root = unwrap(provider, arn, wrapped, store)
            break
        except Refused:
            pass
    else:
        raise Refused("no wrap of the root key opens")
    if mac(derived_key(root, store, generation, "root/header"), body) != code:
        raise Refused("the header does not authenticate")
    roots = {generation: root}
    if sealed_former:
        reader = Reader(sealed_former)
        before, key = reader.number(4), derived_key(root, store, generation, "root/former")
        former = unseal(key, "former-root", former_root_ad(store, before), reader.rest())
        if before + 1 != generation or len(former) != 32:
            raise Refused("the former root key is not that of the generation before")
        roots[before] = former
    return store, instance, flags, wraps, roots


# --- Section 6: keys of records -------------------------------------------------------------------------------------


def index(index_key, *items):
    return mac(index_key, fields(*items))[:24]


def mark(generation):
    return u8(generation % 256)


def mark_of(key):
    """The mark in the key of a record."""
    return key[9:10] if key[:1] == b"d" else key[1:2]


def secret_key(index_key, generation, account, region, name):
    return b"s" + mark(generation) + index(index_key, "secret", account, region, name)


def version_key(index_key, generation, uid, version_id):
    return b"v" + mark(generation) + index(index_key, "version", uid, version_id)


def job_key(generation, kind):
    return b"j" + mark(generation) + u8(kind)


def sortable_time(at):
    return u64((at & (2**64 - 1)) ^ (1 << 63))


def due_key(index_key, generation, at, task, secret):
    return b"d" + sortable_time(at) + mark(generation) + index(index_key, "due", u8(task), secret)


# --- Section 9: the set hash ----------------------------------------------------------------------------------------


def element(manifest_key, key, value):
    """What a record counts as."""
    return mac(manifest_key, fields(key, value))


def add(sum_, element_):
    total = int.from_bytes(sum_, "big") + int.from_bytes(element_, "big")
    return (total % 2**256).to_bytes(32, "big")


def subtract(sum_, element_):
    total = int.from_bytes(sum_, "big") - int.from_bytes(element_, "big")
    return (total % 2**256).to_bytes(32, "big")


def tally(manifest_key_of, records):
    """How many records there are but head and header, and their set hash: each counts by the key for its mark."""
    counted = [(key, value) for key, value in records.items() if key not in (b"h", b"m") and key[:1] != b"c"]
    sum_ = bytes(32)
    for key, value in counted:
        sum_ = add(sum_, element(manifest_key_of(mark_of(key)), key, value))
    return len(counted), sum_
