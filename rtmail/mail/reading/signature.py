"""Where a mail's own words end: signature, what phones and clients add, mailing list footers.

`quoting` asks once above history and once at the end. Only what is certain is taken off: the "-- " of RFC 3676, a "--"
over lines that read like a card and not like sentences, the lines that clients are known to write, Mailman's footer.
Rows of dashes, tables, logs and closings ("Best regards, Jane") stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rtmail.mail.reading.reply_words import CLOSINGS, EXCUSES, MOBILE_SIGNATURES, SIGNATURE_WORDS, WEAK_SIGNATURES

MAX_LINES = 40
MAX_CARD_LINES = 12
MAX_FOOTER_LINES = 8

_MOBILE = re.compile("|".join(f"(?:{pattern})" for pattern in MOBILE_SIGNATURES), re.IGNORECASE)
_EXCUSE = re.compile(rf"(?:^|[.,;(!]) ?{EXCUSES}.{{0,120}}$", re.IGNORECASE)
_LINK = re.compile(r"[(<\[]{0,2}(?:https?|mailto):\S*|<[^<>\s]*>", re.IGNORECASE)
_WEAK = re.compile("|".join(f"(?:{pattern})" for pattern in WEAK_SIGNATURES), re.IGNORECASE)
_SENTENCE = re.compile(r"(?:\S+\s+){4,}\S*[.!?…]\s*$|\?")
_ITEM = re.compile(r"^\s*(?:[-*•+]|\d{1,3}[.)])\s+\S")
_CLOSING = re.compile(rf"(?:{CLOSINGS})[ ,.!]*(?P<name>.{{0,60}})", re.IGNORECASE)
_POSTSCRIPT = re.compile(r"^\W*p\.? ?s\b", re.IGNORECASE)
_FOOTER_ROW = re.compile(r"^_{20,}\s*$")
_FOOTER_LINE = re.compile(r"mailing[ -]?list|https?://|listinfo|^\S+@\S+$|unsubscribe", re.IGNORECASE)
_DASH_NAME = re.compile(r"^-[^\W\d_a-z][^\W\d_]{1,20}(?: [^\W\d_a-z][^\W\d_]{0,20}){1,2}$")


def words_end(lines: Sequence[str]) -> int:
    """Return how many of `lines` are words; what follows is signature and footer."""
    end = _trimmed(lines, len(lines))
    for _ in range(4):
        cut = min(_list_footer(lines, end), _mobile(lines, end), _delimiter(lines, end))
        if cut >= end:
            break
        end = _trimmed(lines, cut)
    return end


def closes_only(text: str, name: str) -> bool:
    """Tell whether a text is a closing with what clients put below it, or the card of `name`, and says nothing else.

    Above them stood commands: whoever has a signature does not mean to send it to a customer all alone.
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip(" \t\xa0-_*")]
    if not lines or len(lines) > MAX_LINES or any(_POSTSCRIPT.match(line) for line in lines):
        return False
    found = _CLOSING.fullmatch(lines[0].strip(" *_"))
    if found is None:
        return bool(name) and lines[0].strip(" *_,.").casefold() == name.casefold() and _is_card(lines)
    return all(word[:1].isupper() for word in found["name"].split()) and _is_card(lines[1:3])


def _trimmed(lines: Sequence[str], end: int) -> int:
    """Return `end` without the blank lines before it."""
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def _delimiter(lines: Sequence[str], end: int) -> int:
    """Return where the last signature delimiter stands, or `end` (RFC 3676 4.3: "-- ", which many programs strip to "--")."""
    for number in range(end - 1, max(-1, end - MAX_LINES), -1):
        line = lines[number]
        if line.startswith((">", "|")):
            return end
        if line in ("-- ", "--", "—", "--\xa0", "- -"):
            below = [row for row in lines[number + 1 : end] if row.strip()]
            if line == "-- " or (line in ("--", "--\xa0") and _is_card(below)):
                return number
            return end
    return end


def _is_card(rows: Sequence[str]) -> bool:
    """Return whether `rows` read like a visiting card: few lines, none of them a sentence, a question or a list item."""
    if len(rows) > MAX_CARD_LINES:
        return False
    return not any(
        (_SENTENCE.search(row[:400]) and not _is_mobile(row)) or _ITEM.match(row) or row.rstrip().endswith(("|", ";", "{")) for row in rows
    )


def _mobile(lines: Sequence[str], end: int) -> int:
    """Return where the lines that phones and clients add begin, or `end`; weak ones count only below a certain one."""
    cut = number = end
    while number and end - number < MAX_LINES:
        line = lines[number - 1].strip()
        if line and not _is_mobile(line):
            if not _WEAK.fullmatch(line[:200]):
                break
        elif line:
            cut = number - 1
        number -= 1
    return cut


def _is_mobile(line: str) -> bool:
    """Return whether a line is one that a phone or client adds: a known beginning, then only names, numbers and an excuse.

    "Sent from Outlook it works, sent from the phone it does not" is somebody's news.
    """
    text = " ".join(line.strip(" \t*_").split())
    found = _MOBILE.match(text) if len(text) <= 240 else None
    if found is None:
        return False
    rest = _EXCUSE.sub("", _LINK.sub(" ", text[found.end() :]))
    words = [word.strip(".,;:()[]<>!*-") for word in rest.split()]
    return len(words) <= 8 and all(
        not word or word[:1].isupper() or word.lower() in SIGNATURE_WORDS or any(char.isdigit() for char in word) for word in words
    )


def _list_footer(lines: Sequence[str], end: int) -> int:
    """Return where a mailing list's footer begins, or `end`; a "-First Last" right above it goes with it."""
    for number in range(end - 1, max(-1, end - MAX_FOOTER_LINES), -1):
        if not _FOOTER_ROW.match(lines[number]):
            continue
        below = [row.strip() for row in lines[number + 1 : end] if row.strip()]
        if not below or not all(_FOOTER_LINE.search(row[:300]) for row in below):
            return end
        above = _trimmed(lines, number)
        return above - 1 if above and _DASH_NAME.match(lines[above - 1].strip()) and _alone(lines, above - 1) else number
    return end


def _alone(lines: Sequence[str], number: int) -> bool:
    """Return whether a line is a paragraph of its own."""
    return number == 0 or not lines[number - 1].strip()
