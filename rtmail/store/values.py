"""How values stand in the database: instants as whole microseconds UTC, text without NUL and surrogates, JSON as text.

Integers mean the same in both engines; a `timestamp` would lose its zone in one of them and sort as text in the other.
PostgreSQL takes no NUL in text and neither engine takes a lone surrogate; both arrive in real mail.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def micros(at: datetime) -> int:
    """Return the aware instant `at` as microseconds since 1970 UTC; a naive one raises TypeError."""
    return (at - EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """Return the instant that `micros` made `value` from."""
    return EPOCH + timedelta(microseconds=value)


def micros_or_none(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def instant_or_none(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


def length(span: timedelta) -> int:
    """Return `span` in microseconds."""
    return span // _MICROSECOND


def clean(text: str) -> str:
    """Return `text` with U+FFFD for every NUL and lone surrogate."""
    if "\0" in text:
        text = text.replace("\0", _REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def dump(value: Any) -> str:
    """Return `value` as compact JSON, cleaned; mappings and sequences of any kind are taken."""
    text = _ENCODER.encode(value)
    if "\\u0000" in text:
        text = _ENCODER.encode(_without_nul(json.loads(text)))
    return clean(text)


def load(text: str) -> Any:
    return json.loads(text)


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(f"{type(value).__name__} is no JSON value")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): _without_nul(item) for key, item in value.items()}
    return value


UNPACKED_LIMIT_BYTES = 1 << 30
"""No mail that we took in is larger; a damaged row must not fill the memory."""


class _Packer(threading.local):
    """A thread's own compressor: making one for each mail takes longer than compressing it."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=3).compress


_packer = _Packer()


def pack(raw: bytes) -> bytes:
    """Return `raw` compressed (zstd level 3)."""
    return _packer.compress(raw)


def unpacked_size(packed: bytes) -> int:
    """Return how many bytes `unpack` would return."""
    return int(zstandard.frame_content_size(packed))


def unpack(packed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=UNPACKED_LIMIT_BYTES)
