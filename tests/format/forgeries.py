"""Sealed texts that plain AES-GCM would open, and frames that the padding rule does not give."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom_format import SUITE, derive, hkdf, seal, sha256, u16, u32, u64, unframe, unseal


def fixed(name, length=32):
    """Bytes that look random and are always the same."""
    return hkdf(b"strongroom test vectors", name.encode(), b"fixed", length)


def gf_mul(x, y):
    """The product in the field of GCM; the first bit of a block is its highest here."""
    z = 0
    for i in range(127, -1, -1):
        if (x >> i) & 1:
            z ^= y
        y = (y >> 1) ^ (0xE1 << 120 if y & 1 else 0)
    return z


def gf_pow(x, n):
    out = 1 << 127
    while n:
        out = gf_mul(out, x) if n & 1 else out
        x, n = gf_mul(x, x), n >> 1
    return out


def aes_blocks(key, blocks):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(b"".join(blocks))


def keystream(key, nonce, blocks):
    return aes_blocks(key, [nonce + u32(2 + i) for i in range(blocks)])


def gcm_tag(key, nonce, ad, ciphertext):
    h = int.from_bytes(aes_blocks(key, [bytes(16)]), "big")
    padded = ad + bytes(-len(ad) % 16) + ciphertext + bytes(-len(ciphertext) % 16)
    padded += u64(8 * len(ad)) + u64(8 * len(ciphertext))
    y = 0
    for at in range(0, len(padded), 16):
        y = gf_mul(y ^ int.from_bytes(padded[at : at + 16], "big"), h)
    return y ^ int.from_bytes(aes_blocks(key, [nonce + u32(1)]), "big"), h


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def salamander():
    """One AES-GCM text and tag that open under two keys, to two frames that both obey the padding rule.

    Four blocks: the first says what the one key is to read, the second what the other is to read, the third makes the
    tags agree, and the end of the fourth is a possible length under both. Of 2 x 32768 keys some pair allows that.
    """
    salt, ad, label = fixed("salamander salt"), b"salamander", "value"
    possible = range(29, 61)
    ends, found = {}, None
    for i in range(1 << 15):
        key = sha256(b"first key " + u32(i))
        aes_key, nonce, _ = derive(key, salt, label, ad)
        end = int.from_bytes(aes_blocks(aes_key, [nonce + u32(5)])[12:], "big")
        ends.setdefault(end >> 6, (key, end))
    for i in range(1 << 15):
        key = sha256(b"second key " + u32(i))
        aes_key, nonce, _ = derive(key, salt, label, ad)
        end = int.from_bytes(aes_blocks(aes_key, [nonce + u32(5)])[12:], "big")
        first = ends.get(end >> 6)
        lengths = first and [(m, m ^ first[1] ^ end) for m in possible if (m ^ first[1] ^ end) in possible]
        if lengths:
            found = first[0], key, lengths[0]
            break
    assert found, "no pair of keys: choose another salt"
    keys, (length, _) = found[:2], found[2]
    (k1, n1, c1), (k2, n2, c2) = (derive(key, salt, label, ad) for key in keys)
    s1, s2 = keystream(k1, n1, 4), keystream(k2, n2, 4)
    blocks = [xor(b"read by the 1st ", s1[:16]), xor(b"read by the 2nd ", s2[16:32]), bytes(16)]
    blocks.append(xor(bytes(12) + u32(length), s1[48:]))
    (t1, h1), (t2, h2) = (gcm_tag(k, n, ad, b"".join(blocks)) for k, n in ((k1, n1), (k2, n2)))
    # Behind the third block come the fourth and the lengths: its factor is the third power.
    factor = gf_pow(h1, 3) ^ gf_pow(h2, 3)
    blocks[2] = gf_mul(t1 ^ t2, gf_pow(factor, 2**128 - 2)).to_bytes(16, "big")
    ciphertext = b"".join(blocks)
    tag, other = gcm_tag(k1, n1, ad, ciphertext)[0], gcm_tag(k2, n2, ad, ciphertext)[0]
    assert tag == other
    body = ciphertext + tag.to_bytes(16, "big")
    out = {"label": label, "ad": ad.hex(), "body": body.hex(), "readers": []}
    for key, aes_key, nonce, commitment in ((keys[0], k1, n1, c1), (keys[1], k2, n2, c2)):
        framed = AESGCM(aes_key).decrypt(nonce, body, ad)
        sealed = u16(SUITE) + salt + commitment + body
        assert unseal(key, label, ad, sealed) == unframe(framed)
        reader = {"key": key.hex(), "aes_key": aes_key.hex(), "nonce": nonce.hex(), "plain": unframe(framed).hex()}
        out["readers"].append(reader | {"sealed": sealed.hex()})
    return out


def spliced_vectors():
    """Records put together from two others, which plain GCM would open and the commitment does not fit."""
    key, out = fixed("spliced"), []
    a, b = (seal(key, "value", b"ad", p, fixed(f"r {p}")) for p in (b"first value", b"second value"))
    other = seal(fixed("other key"), "value", b"ad", b"first value", fixed("r b'first value'"))
    moved = seal(key, "value", b"other ad", b"first value", fixed("r b'first value'"))
    for name, commitment in (
        ("the commitment of another record", b[34:66]),
        ("the commitment of another key", other[34:66]),
        ("the commitment of other associated data", moved[34:66]),
        ("no commitment", bytes(32)),
    ):
        aes_key, nonce, _ = derive(key, a[2:34], "value", b"ad")
        sealed = a[:34] + commitment + a[66:]
        assert unframe(AESGCM(aes_key).decrypt(nonce, sealed[66:], b"ad")) == b"first value"
        row = {"name": name, "label": "value", "key": key.hex(), "ad": b"ad".hex(), "sealed": sealed.hex()}
        out.append(row | {"aes_key": aes_key.hex(), "nonce": nonce.hex(), "body": sealed[66:].hex()})
    return out


def frame_vectors():
    """Sealed correctly, but the frame is not one that the padding rule gives."""
    key, ad, out = fixed("frames"), b"ad", []
    for name, framed in (
        ("a length of the next step", bytes(28) + u32(29)),
        ("a length beyond the frame", bytes(28) + u32(2**32 - 1)),
        ("a frame that is too long", bytes(60) + u32(28)),
        ("a frame that is no multiple", bytes(29) + u32(28)),
        ("only a length", u32(0)),
        ("three bytes", bytes(3)),
        ("nothing", b""),
    ):
        salt = fixed(f"salt {name}")
        aes_key, nonce, commitment = derive(key, salt, "value", ad)
        sealed = u16(SUITE) + salt + commitment + AESGCM(aes_key).encrypt(nonce, framed, ad)
        out.append({"name": name, "label": "value", "key": key.hex(), "ad": ad.hex(), "sealed": sealed.hex()})
    return out
