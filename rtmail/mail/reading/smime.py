"""The signed content inside an opaque S/MIME part (RFC 8551 3.5.2, RFC 5652): taken out, not verified.

`message` reads a mail that came as smime.p7m with it. Only the outer shell of the CMS structure is walked: ContentInfo,
SignedData, encapContentInfo, eContent, in DER and in the indefinite lengths that Outlook and OpenSSL write.
"""

from __future__ import annotations

TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_SEQUENCE, _OCTETS, _OCTETS_BUILT, _EXPLICIT_0 = 0x30, 0x04, 0x24, 0xA0
_CHUNKS = 100_000
_DEPTH = 16


class _DamagedError(Exception):
    """No CMS, or none that ends where it says."""


def signed_content(data: bytes) -> bytes | None:
    """Return the MIME entity that `data` signs, None when it is encrypted, detached or no CMS; never raises."""
    try:
        _, info, _ = _element(data, 0, len(data), _SEQUENCE)
        if data[info : info + len(SIGNED_DATA)] != SIGNED_DATA:
            return None
        _, wrapped, end = _element(data, info + len(SIGNED_DATA), len(data), _EXPLICIT_0)
        _, at, end = _element(data, wrapped, end, _SEQUENCE)
        at = _skip(data, at, end)  # version
        at = _skip(data, at, end)  # digestAlgorithms
        _, at, end = _element(data, at, end, _SEQUENCE)
        at = _skip(data, at, end)  # eContentType
        if data[at] != _EXPLICIT_0:
            return None
        _, at, end = _element(data, at, end, _EXPLICIT_0)
        return _octets(data, at, end)
    except (_DamagedError, IndexError):
        return None


def _element(data: bytes, at: int, end: int, tag: int | None = None) -> tuple[int, int, int]:
    """Return tag, start and end of the contents of the element at `at`; an indefinite length may last to `end`."""
    found = data[at]
    if (tag is not None and found != tag) or found & 0x1F == 0x1F:
        raise _DamagedError
    length = data[at + 1]
    at += 2
    if length == 0x80:
        return found, at, end
    if length & 0x80:
        size = length & 0x7F
        if size > 4:
            raise _DamagedError
        length = int.from_bytes(data[at : at + size], "big")
        at += size
    if at + length > len(data):
        raise _DamagedError
    return found, at, at + length


def _skip(data: bytes, at: int, end: int, depth: int = 0) -> int:
    """Return the offset behind the element at `at`."""
    if depth > _DEPTH:
        raise _DamagedError
    indefinite = data[at + 1] == 0x80
    _, start, stop = _element(data, at, end)
    if not indefinite:
        return stop
    while data[start : start + 2] != b"\x00\x00":
        if start >= end:
            raise _DamagedError
        start = _skip(data, start, end, depth + 1)
    return start + 2


def _octets(data: bytes, at: int, end: int) -> bytes:
    """Return the octet string at `at`, joined when it came in pieces."""
    tag, start, stop = _element(data, at, end)
    if tag == _OCTETS:
        return data[start:stop]
    if tag != _OCTETS_BUILT:
        raise _DamagedError
    pieces: list[bytes] = []
    while start < stop and data[start : start + 2] != b"\x00\x00":
        piece, inner, behind = _element(data, start, stop)
        if piece != _OCTETS or len(pieces) > _CHUNKS:
            raise _DamagedError
        pieces.append(data[inner:behind])
        start = behind
    return b"".join(pieces)
