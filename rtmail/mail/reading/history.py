"""Where other people's words begin: reply lines, header blocks and dividers that mail clients write above history.

`quoting` asks `boundary_at` line by line. Each boundary says how far its own lines reach and whether it is strong enough
to cut text below it that carries no "> ". Only what a client writes is strong: an address in angle brackets, a whole
header block, a divider. What people type ("on Monday he wrote:") never is. Every look is bounded in lines and characters,
so a hostile text of any length costs time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rtmail.mail.reading.reply_words import COMMANDS, FORWARD_DIVIDERS, HEADER_LABELS, OPENERS, ORIGINAL_DIVIDERS, WROTE

MAX_LINE_CHARS = 400
MAX_REPLY_LINES = 6
MAX_BLOCK_LINES = 30
WRAP_CHARS = 55
"""Clients break a reply line that is longer than this."""


class What(StrEnum):
    """What a boundary is."""

    REPLY_LINE = "reply-line"
    HEADER_BLOCK = "header-block"
    ORIGINAL = "original"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Boundary:
    """Lines `start` to before `end` are a client's; `strong`: unquoted text below them is history, not new words.

    `fields` are the header values that the boundary tells (from, date, to, subject ...).
    """

    what: What
    start: int
    end: int
    strong: bool
    fields: tuple[tuple[str, str], ...] = ()

    def field(self, name: str) -> str:
        """The value of a header of the block, "" when it has none."""
        return next((value for key, value in self.fields if key == name), "")


_LABELS: dict[str, frozenset[str]] = {}
for _kind, _names in HEADER_LABELS.items():
    for _name in _names:
        _LABELS[_name.casefold()] = _LABELS.get(_name.casefold(), frozenset()) | {_kind}

_LABEL = re.compile(r"^[ \t*_]{0,12}([^\W\d_][^:：<>@\"]{0,28}?)[ \t*_]{0,4}[:：](?!//)[ \t*_]{0,6}(.*)$")
_DIVIDER = re.compile(r"^[ \t*]{0,8}[-‐‑–—=_~*]{2,60}[ \t]{0,4}([^\W\d_][^\n]{2,60}?)[ \t]{0,4}[-‐‑–—=_~*]{2,60}[ \t*:]{0,8}$")
_FORWARDED_BY = re.compile(
    r"^[ \t]{0,4}-{3,60} ?(?:forwarded|weitergeleitet|transmis|reenviado|inoltrato)\b.{3,160}-{3,60}[ \t]{0,4}$", re.IGNORECASE
)
_ROW = re.compile(r"^[ \t]{0,8}[-_=*‐–—]{3,}[ \t]{0,8}$")
_RULERS = frozenset("-‐‑–—=_~*")
"""What rows and dividers begin with, behind blanks."""
_DIVIDERS = {
    **dict.fromkeys(map(str.casefold, ORIGINAL_DIVIDERS), What.ORIGINAL),
    **dict.fromkeys(map(str.casefold, FORWARD_DIVIDERS), What.FORWARD),
}
_PREVIOUS = re.compile(r"^[ \t]{0,4}[*_]{0,2}previous replies[*_]{0,2}[ \t]{0,4}$", re.IGNORECASE)


def _alternatives(words: Sequence[str]) -> str:
    """Return a pattern of `words`, longest first, with word borders where their script has them."""
    spaced = sorted((word for word in words if not _unspaced(word)), key=len, reverse=True)
    joined = sorted((word for word in words if _unspaced(word)), key=len, reverse=True)
    border = r"(?<!\w)(?:" + "|".join(map(re.escape, spaced)) + r")(?!\w)"
    return border + ("|" + "|".join(map(re.escape, joined)) if joined else "")


def _unspaced(word: str) -> bool:
    """Return whether `word` is in a script that sets no spaces between words (CJK, Hangul particles, Thai)."""
    return any("\u0e00" <= char <= "\u0e7f" or char >= "\u3000" for char in word)


_WROTE = re.compile(f"(?:{_alternatives(WROTE)})", re.IGNORECASE)
_GLUED_WROTE = re.compile(r">\s?wrote\s?[:-]", re.IGNORECASE)
_OPENER = re.compile(rf"^(?:{'|'.join(sorted(map(re.escape, OPENERS), key=len, reverse=True))})[\s,]", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|(?<!\d)\d{1,2}[:.h][0-5]\d(?!\d)|(?<!\d)\d{1,2}[./-]\d{1,2}[./-]\d{2}(?!\d)")
_ISO = re.compile(r"^(?:19|20)\d\d[-/.年]")
_ANGLE = re.compile(r"(?:<|&lt;|\[)\s{0,3}(?:mailto:)?[^<>\s\[\]]{1,120}@[^<>\s\[\]]{1,120}|<\s{0,3}mailto:[^<>]{0,120}<[^<>\s]{1,100}@")
_NAMED = re.compile(r"^[\"'“„]?[^\W\d_][^<>@:?!\d]{0,70}[\"'”]?\s?(?:<|&lt;|\[)\s?(?:mailto:)?[^<>\s]{1,120}@[^<>\s]{1,160}")
_BARE = re.compile(r"^[\w.+-]{1,64}@[\w.-]{1,120}\w(?=\s)")
_WEEKDAY = re.compile(r"^[^\W\d_]{2,14}[,.]{0,2} ?\d{1,2}\D")
_SENTENCE_END = re.compile(r"[^\W\d_]{5,}[.!?]$|[!?]$")
_TIME = re.compile(r"(?<!\d)\d{1,2}[:.h][0-5]\d(?::[0-5]\d)?(?: ?[AaPp]\.?[Mm]\b\.?)?(?: (?:GMT|UTC)?[+-]\d\d:?\d\d)?")
_DATE_LAST = re.compile(
    r"(?:\d{4}|\d{1,2}[:.h][0-5]\d(?::[0-5]\d)?)(?: ?[AaPp]\.?[Mm]\b\.?)?(?: (?:GMT|UTC)?[+-]\d\d:?\d\d)?(?:,.{0,40}|\W{0,3})$"
)
_DIRECTION = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_NAME_PARTICLES = frozenset({"via", "von", "van", "de", "der", "den", "da", "di", "del", "la", "le", "af", "bin", "al"})
_FROM = re.compile(r"^,? (?:from|von|от|від) ")
_WRAPPED = frozenset("<(")


def boundary_at(lines: Sequence[str], start: int) -> Boundary | None:
    """Return the boundary whose first line is `lines[start]`, or None. A row above a header block belongs to it."""
    line = lines[start][:MAX_LINE_CHARS]
    if not line.strip():
        return None
    # Asked of every line of every mail: what cannot be is seen by a character.
    row = _block_below_row(lines, start) if line.lstrip(" \t")[:1] in _RULERS else None
    headed = ":" in line or "：" in line
    return _divider(lines, start) or row or (header_block(lines, start) if headed else None) or _reply_line(lines, start)


def _divider(lines: Sequence[str], start: int) -> Boundary | None:
    """Return "---- Original Message ----" and its kind, with the header block below it."""
    line = lines[start][:MAX_LINE_CHARS]
    ruled = line.lstrip(" \t")[:1] in _RULERS
    found = _DIVIDER.match(line) if ruled else None
    what = _DIVIDERS.get(" ".join(found.group(1).split()).casefold().strip(":")) if found else None
    if what is None and ruled and _FORWARDED_BY.match(line):
        what = What.FORWARD
    opened = what is not None
    if what is None:
        # Apple Mail writes "Begin forwarded message:" without a row, so there the header block below must vouch for it.
        what = _DIVIDERS.get(" ".join(line.strip(" \t*_").split()).casefold().rstrip(": ："))
    if what is None:
        return None
    below = _next_words(lines, start + 1)
    block = header_block(lines, below, loose=True) if below < len(lines) else None
    if block is None and not opened:
        return None
    if block is not None:
        return Boundary(what, start, block.end, True, block.fields)
    reply = _reply_line(lines, below) if below < len(lines) else None
    return Boundary(what, start, reply.end if reply else start + 1, True)


def _block_below_row(lines: Sequence[str], start: int) -> Boundary | None:
    """Return a header block that stands below a row of dashes, with the row."""
    if not _ROW.match(lines[start][:MAX_LINE_CHARS]):
        return None
    below = _next_words(lines, start + 1)
    if below >= len(lines):
        return None
    if _PREVIOUS.match(lines[below][:MAX_LINE_CHARS]):
        return Boundary(What.ORIGINAL, start, below + 1, True)
    block = header_block(lines, below) if below - start <= 3 else None
    return Boundary(block.what, start, block.end, block.strong, block.fields) if block else None


def header_block(lines: Sequence[str], start: int, *, loose: bool = False) -> Boundary | None:
    """Return the block of From, Sent, To, Subject lines that begins at `start`.

    loose  a divider above vouches for it: two known labels will do, in any order; else it begins with From and tells
           subject and (date or recipient), as Outlook does
    """
    fields: dict[str, str] = {}
    end, last, number = start, "", start
    strays = 0
    while number < len(lines) and number - start < MAX_BLOCK_LINES:
        line = lines[number][:MAX_LINE_CHARS]
        found = _LABEL.match(line)
        kinds = _LABELS.get(" ".join(found.group(1).split()).casefold(), frozenset()) if found else frozenset()
        fresh = sorted(kind for kind in kinds if kind not in fields)
        if found and kinds:
            if not fields and not loose and "from" not in kinds:
                return None
            if not fresh:
                break
            last = "from" if "from" in fresh and not fields else fresh[0]
            fields[last] = found.group(2).strip(" \t*")
            number, end, strays = number + 1, number + 1, 0
            continue
        if not fields:
            return None
        if line.strip():
            strays += 1
            # A folded value counts only when another header line follows it.
            if strays > 3 or last not in ("to", "cc", "subject", "from", "bcc") or _ROW.match(line):
                break
            pending = f"{fields[last]} {line.strip()}" if len(fields[last]) < 2000 else fields[last]
            if not _label_within(lines, number + 1, 3 - strays + 1):
                break
            fields[last] = pending
        elif number + 1 >= len(lines) or not _is_label(lines[number + 1]):
            break
        number += 1
    if loose:
        enough = len(fields) >= 2
    else:
        dated = any(char.isdigit() for char in fields.get("date", ""))
        enough = bool(fields.get("from")) and "subject" in fields and (dated or "to" in fields) and len(fields) >= 3
    return Boundary(What.HEADER_BLOCK, start, end, True, tuple(fields.items())) if enough else None


def _is_label(line: str) -> bool:
    """Return whether `line` begins with a known header label."""
    found = _LABEL.match(line[:MAX_LINE_CHARS])
    return bool(found) and " ".join(found.group(1).split()).casefold() in _LABELS if found else False


def _label_within(lines: Sequence[str], start: int, count: int) -> bool:
    """Return whether one of the next `count` lines is a header line, before any blank one."""
    for line in lines[start : start + count]:
        if not line.strip():
            return False
        if _is_label(line):
            return True
    return False


def unknown_block(lines: Sequence[str], start: int) -> Boundary | None:
    """Return a header block in a language that we have no labels for, by its shape alone.

    Three or more "Label: value" lines, an address and a date among the first three values. Web forms look like that too,
    so callers ask only where a mark of ours stands below.
    """
    values: list[str] = []
    end = start
    for number in range(start, min(len(lines), start + 8)):
        found = _LABEL.match(lines[number][:MAX_LINE_CHARS])
        if not found or not found.group(2).strip():
            break
        if any("".join(filter(str.isalpha, said)).casefold() in COMMANDS for said in (found.group(1), found.group(1).split()[0])):
            # Whoever commands names addresses and times as well.
            return None
        values.append(found.group(2))
        end = number + 1
    told = values[:3]
    if len(values) < 3 or not any("@" in value for value in told) or not any(_DATE.search(value) for value in told):
        return None
    return Boundary(What.HEADER_BLOCK, start, end, True)


def _reply_line(lines: Sequence[str], start: int) -> Boundary | None:
    """Return "On DATE, NAME <ADDRESS> wrote:", which clients wrap over up to six lines."""
    first = _plain(lines[start]).strip("*_ \t")
    lead = first.lstrip("-‐–— \t\"'“„\u200e\u200f")
    by_date = bool(_OPENER.match(lead)) or lead[:1].isdigit() or lead.startswith("在")
    by_weekday = not by_date and bool(_WEEKDAY.match(lead))
    by_name = not by_date and not by_weekday and "@" in lead and bool(_NAMED.match(lead) or _BARE.match(lead))
    if not (by_date or by_weekday or by_name):
        return None
    joined, number, used = "", start, 0
    while number < len(lines) and used < MAX_REPLY_LINES:
        line = _plain(lines[number])
        if not line:
            following = lines[number + 1].strip()[:1] if number + 1 < len(lines) else ""
            if not joined or following not in _WRAPPED:
                return None
            number += 1
            continue
        if used and _belongs_elsewhere(joined, line):
            return None
        joined = line if not joined else joined + ("" if joined[-1] in _WRAPPED else " ") + line
        used, number = used + 1, number + 1
        if len(joined) > 600:
            return None
        if _closes(joined):
            strong = bool(_ANGLE.search(joined)) or bool(_BARE.match(lead) and _DATE.search(joined))
            return Boundary(What.REPLY_LINE, start, number, strong) if _is_reply_line(joined.strip(" \t*_"), by_name) else None
        if _SENTENCE_END.search(line):
            return None
    return None


def _belongs_elsewhere(joined: str, line: str) -> bool:
    """Return whether `line` is no continuation of the reply line begun in `joined`: a quote, or a reply line of its own."""
    if line.startswith(">"):
        return joined.count("<") <= joined.count(">")
    if _starts_anew(line):
        return True
    # "10:12 restart" above "Bob <bob@...> wrote:" is a person's line; a client broke its own only at the edge, or after the date.
    return bool(_NAMED.match(line)) and len(joined) < WRAP_CHARS and not _DATE_LAST.search(joined)


def _starts_anew(line: str) -> bool:
    """Return whether `line` begins a reply line of its own, so that what stands above it is none of it."""
    lead = line.lstrip("-‐–— \t\"'")
    return bool(_OPENER.match(lead)) and bool(_DATE.search(lead[:60]))


def _closes(joined: str) -> bool:
    """Return whether a reply line may end here: at a colon, or at the verb."""
    text = joined.rstrip(" \t*_-‐–—")
    if text.endswith((":", "：")):
        return not text.endswith(("mailto:", "<mailto:"))
    if joined.endswith(">") and _ISO.match(joined):
        return True
    tail = [found.end() for found in _WROTE.finditer(text[-40:])]
    return bool(tail) and tail[-1] == len(text[-40:])


def _is_reply_line(joined: str, by_name: bool) -> bool:
    """Return whether the joined lines say who wrote when, as a client says it."""
    text = joined.replace("&lt;", "<").replace("&gt;", ">")
    if not by_name and not _DATE.search(text[:160]):
        return False
    verbs = list(_WROTE.finditer(text))
    if verbs or _GLUED_WROTE.search(text):
        behind = text[verbs[-1].end() :].strip(" \xa0\u202f:：-‐–—*_>\"'") if verbs else ""
        # "he wrote that nothing works and asked:" is a person's sentence; a client has only a name, an address, a date there.
        return _is_name(behind) or bool(_ANGLE.search(behind) or _DATE.search(behind))
    if not _ANGLE.search(text) or not text.rstrip(" :：").endswith(">"):
        return False
    return bool(_ISO.match(text)) or _date_then_name(text)


def _date_then_name(text: str) -> bool:
    """Return whether nothing but a name, or "from" and a name, stands between the time and the address.

    These are the reply lines without a verb: Russian Gmail, mail.ru, ukr.net.
    """
    times = [found.end() for found in _TIME.finditer(text) if found.end() < text.rfind("<")]
    if not times or not text.rstrip().endswith((":", "：")):
        return False
    return _is_name(_FROM.sub("", text[times[-1] : text.rfind("<")]))


def _is_name(text: str) -> bool:
    """Return whether `text` may be a name: a few words, none of them in lower case but what names hold; nothing at all will do."""
    words = text.split()
    return len(words) <= 8 and not any(word[:1].islower() and word not in _NAME_PARTICLES for word in words)


def _plain(line: str) -> str:
    """Return a line without the marks of writing direction, outer spaces and excess length."""
    text = line[:MAX_LINE_CHARS]
    return (text if text.isascii() else _DIRECTION.sub("", text)).strip()


def _next_words(lines: Sequence[str], start: int) -> int:
    """Return the number of the next line that is not blank, at most four further on; else the length of `lines`."""
    for number in range(start, min(len(lines), start + 4)):
        if lines[number].strip():
            return number
    return len(lines)
