"""Password hashes for SMTP AUTH: `rtmail password` prints what goes into `.env`.

scrypt (RFC 7914) with its parameters in front, so that they can grow: `scrypt:N:R:P:SALT:HASH`, salt and hash in hex.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

N, R, P = 16384, 8, 1
_FORM = re.compile(r"scrypt:(\d{1,7}):(\d{1,2}):(\d{1,2}):([0-9a-f]{16,64}):([0-9a-f]{64})")
NOBODY = f"scrypt:{N}:{R}:{P}:{'00' * 16}:{'00' * 32}"
"""A hash that no password has: looking up an unknown name costs the same time."""
_MEMORY_BYTES = 64 * 1024 * 1024


def make(password: str) -> str:
    """Return a hash of `password` with a fresh salt."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{N}:{R}:{P}:{salt.hex()}:{_digest(password, salt, N, R, P).hex()}"


def is_hash(text: str) -> bool:
    """Tell whether `text` is a hash that `matches` can use."""
    found = _FORM.fullmatch(text)
    return found is not None and 128 * int(found[1]) * int(found[2]) < _MEMORY_BYTES and int(found[1]).bit_count() == 1 < int(found[1])


def matches(text: str, password: str) -> bool:
    """Tell whether `password` is the one that the hash `text` was made of; takes some 50 ms, whatever the answer."""
    found = _FORM.fullmatch(text)
    if found is None:
        return False
    digest = _digest(password, bytes.fromhex(found[4]), int(found[1]), int(found[2]), int(found[3]))
    return hmac.compare_digest(digest, bytes.fromhex(found[5]))


def _digest(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=32)
