"""Would-be customer text -> what internal thing it holds, if any (promise 7); `compose` refuses to render what trips.

Customers' copies are made from correspondence alone, so this should never find anything; it looks for what a careless
quotation brings along: the staff mark, the comment address, a detail that only staff get. Clients wrap, quote, escape
and decorate text, so it is compared with everything but letters, digits and a few signs taken out.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from html import unescape
from urllib.parse import unquote

from rtmail.errors import RtmailError
from rtmail.mail.site import Door, Site
from rtmail.mail.token import LENGTH, MARK_PREFIX, VERSION, Action

STAFF_MARK = "[internal: staff only]"
"""Begins and ends every mail to staff, in any language and any client."""

_PUBLIC = frozenset({
    Action.REPLY, Action.BOUNCE, Action.MARK, Action.APPROVE, Action.REOPEN, Action.AGREE, Action.DISAGREE, Action.MUTE,
    Action.UNMUTE, Action.SHOW, Action.CONFIRM_ALIAS, Action.APPEAL,
})
"""Actions whose details go to participants too."""
_TAG = re.compile(r"<[^<>]{0,2000}>")
_DECORATION = re.compile(r"[^\w\[\]:@+.%-]|_")
_STAFF_WORDS = re.compile(r"\[+internal:staffonly|internal:staffonly\]")
_TOKEN = re.compile(rf"(?<![a-z2-7])[a-z2-7]{{{LENGTH}}}(?![a-z2-7])")
_MARKED = re.compile(rf"{MARK_PREFIX}([a-z2-7]{{{LENGTH}}})")


class LeakError(RtmailError):
    """A mail to somebody outside would show something internal; `reason` names it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def leaks(text: str, site: Site, staff: Collection[int] = ()) -> str:
    """Return what internal thing `text` holds, "" for nothing.

    "staff mark", "comment address", "staff detail" (an address or action link that only staff get) or "mark of a staff
    mail" (its person is one of `staff`, party ids). Works without keys: a detail need not be genuine to be a leak.
    """
    bare = _unwrapped(text)
    views = {_squashed(bare), _squashed(_TAG.sub("", bare))} if "<" in bare else {_squashed(bare)}
    if any(_STAFF_WORDS.search(view) for view in views):
        return "staff mark"
    comment = [own.spec.lower() for own in site.addresses.values() if own.door is Door.COMMENT]
    if any(_holds_address(view, spec) for view in views for spec in comment):
        return "comment address"
    if len(bare) < LENGTH:
        return ""
    details = [*_details(bare.lower()), *(detail for view in views for detail in _addressed(view, site))]
    if any(_is_staffs(detail) for detail in details):
        return "staff detail"
    marks = [*details, *(found[1] for view in views for found in _MARKED.finditer(view))]
    if any(_is_mark_of(detail, staff) for detail in marks):
        return "mark of a staff mail"
    return ""


def _unwrapped(text: str) -> str:
    """Entities and percent signs undone (twice: quoted HTML is escaped again), compatibility forms and invisibles gone."""
    for _ in range(2):
        text = unescape(unquote(text))
    text = unicodedata.normalize("NFKC", text)
    return "".join(character for character in text if unicodedata.category(character) != "Cf") if not text.isascii() else text


def _squashed(text: str) -> str:
    """Lower case without white space, quotation signs, emphasis and soft line ends of quoted-printable ("=")."""
    return _DECORATION.sub("", text.casefold())


def _holds_address(view: str, spec: str) -> bool:
    local, pattern = _bare_or_with_detail(spec)
    return local in view and pattern.search(view) is not None


@lru_cache(maxsize=256)
def _bare_or_with_detail(spec: str) -> tuple[str, re.Pattern[str]]:
    local, _, domain = spec.partition("@")
    local, domain = _squashed(local), _squashed(domain)
    return local, re.compile(rf"{re.escape(local)}(?:[+-][a-z2-7]{{{LENGTH}}})?@{re.escape(domain)}")


def _details(lowered: str) -> Iterator[str]:
    yield from (found[0] for found in _TOKEN.finditer(lowered))


def _addressed(view: str, site: Site) -> Iterator[str]:
    """Yield details inside addresses of ours, however they were wrapped."""
    if site.detail == "off":
        return
    for own in site.addresses.values():
        yield from (found[1] for found in _with_detail(own.spec, site.detail).finditer(view))


@lru_cache(maxsize=256)
def _with_detail(spec: str, sign: str) -> re.Pattern[str]:
    local, _, domain = spec.lower().partition("@")
    return re.compile(rf"{re.escape(_squashed(local))}{re.escape(sign)}([a-z2-7]{{{LENGTH}}})@{re.escape(_squashed(domain))}")


def _fields(detail: str) -> tuple[int, int, bool] | None:
    """Return (action, person, expires?) as a detail claims, None for what is no detail of this version."""
    raw = base64.b32decode(detail.upper() + "====")
    return (raw[1] & 0x3F, int.from_bytes(raw[6:10], "big"), raw[10:12] != b"\0\0") if raw[0] == VERSION else None


def _is_staffs(detail: str) -> bool:
    fields = _fields(detail)
    if fields is None or fields[0] not in Action.__members__.values():
        return False
    action, _, expires = fields
    return action not in _PUBLIC or (action == Action.REPLY and expires)


def _is_mark_of(detail: str, staff: Collection[int]) -> bool:
    fields = _fields(detail)
    return fields is not None and fields[0] == Action.MARK and fields[1] in staff
