"""The wrapped key and the key versions that tests/keys/pbkdf2.rs compares with, made by the script of the format.

    python3 tests/keys/passphrase_wraps.py
"""

import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "format"))
from strongroom_format import encode_context, field, fields, seal, u16, u32, u8  # noqa: E402

SALT = bytes(range(16))
ARN = "arn:aws:kms:us-east-1:000000000000:alias/aws/secretsmanager"
CONTEXT = [("SecretARN", "a"), ("SecretVersionId", "v")]


def prefix(function, numbers):
    return u16(1) + u8(function) + b"".join(u32(number) for number in numbers) + SALT


def version(text):
    return hashlib.sha256(text).digest()[:8].hex()


def wrap(passphrase, iterations, data_key, r):
    front = prefix(2, [iterations, 0, 0])
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), SALT, iterations, 32)
    ad = fields("wrap", encode_context(CONTEXT), ARN, u32(1)) + field(front)
    return front + seal(key, "wrap", ad, data_key, r)


if __name__ == "__main__":
    print("pbkdf2", version(prefix(2, [600_000, 0, 0])))
    print("argon2id", version(prefix(1, [19_456, 2, 1])))
    print(wrap("p\u00e4ssword", 600_000, bytes([0x2A] * 32), bytes([7] * 32)).hex())
