"""A mail's header fields by name, and what ids and dates in them say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rtmail.mail.headers import Field, clean, text_of, unfolded

REFERENCES = 200
"""Message-IDs kept of References: the first and the last ones."""
MESSAGE_ID_CHARS = 998
OWN_PREFIX = "x-rtmail-"
LOOP_HEADER = "x-rtmail-loop"
_MESSAGE_ID = re.compile(r"<([^<>]{1,998})>")


class Fields:
    """The header fields of a mail by name, unfolded."""

    def __init__(self, entries: list[Field], hint: str | None) -> None:
        self.entries = entries
        self.bare_cr = any(b"\r" in entry.value and b"\r" in entry.value.replace(b"\r\n", b"") for entry in entries)
        self.nul = any(b"\x00" in entry.value for entry in entries)
        self._by_name: dict[str, list[str]] = {}
        for entry in entries:
            # A bare CR is no line end here, whatever other parsers make of it.
            self._by_name.setdefault(entry.name.lower(), []).append(unfolded(entry.value, hint).replace("\r", " "))

    def all(self, name: str) -> list[str]:
        return self._by_name.get(name, [])

    def first(self, name: str) -> str:
        return next((value for value in self.all(name) if value), "")

    def decoded(self) -> dict[str, tuple[str, ...]]:
        """Every field for display, without what only our own mail may say."""
        shown = self._by_name.items()
        return {name: tuple(text_of(value) for value in values) for name, values in shown if not name.startswith(OWN_PREFIX)}


def ids_in(values: Iterable[str]) -> tuple[str, ...]:
    """Return the Message-IDs in `values`, each once, in order; blanks inside one came from folding and go."""
    found = [f"<{''.join(inner.split())}>" for value in values for inner in _MESSAGE_ID.findall(clean(value))]
    found = list(dict.fromkeys(found))
    return tuple(found if len(found) <= REFERENCES else [found[0], *found[1 - REFERENCES :]])


def bare_id(value: str) -> str:
    """Return an id that its sender wrote without its brackets, "" for what is none."""
    bare = "".join(clean(value).split()).strip("<>")
    return f"<{bare}>" if bare and len(bare) <= MESSAGE_ID_CHARS else ""


def date_of(value: str) -> datetime | None:
    """Return the instant of a date as mails write it, in UTC, None for what is none."""
    try:
        return aware(parsedate_to_datetime(clean(value)))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def aware(when: datetime | None) -> datetime | None:
    """Return an instant in UTC; one without a zone counts as UTC."""
    if when is None:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
