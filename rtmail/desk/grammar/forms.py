"""Reads what people fill in: `Field: value` lines, and answers under the questions of a form of ours, quoted or not. Pure.

A form in a mail stands between two lines of "=", of which the first names the request. In the writer's new words a line that begins
with the name of a field answers it, wherever it stands above the closing words; quoted lines answer only within the form of this very
request, so that no value comes from another one that was quoted. What stands in history is read from the form quoted least, and the
caller knows (`Reading.quoted`) that it may be an echo of what its writer said before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rtmail.mail.reading.marks import depth, undepth
from rtmail.policy.field_rules import folded
from rtmail.policy.fields import NO, YES, Field, FieldKind, Value

MOST_CHARACTERS = 4000
"""Of one value."""
MOST_LINES = 20_000
_LONGEST_QUESTION = 3000
_LONGEST_FENCE, _LONGEST_CLOSING = 200, 60
WRAPPED = 60
"""A line of so many characters may go on in the next one: mail clients break lines behind it."""

_FENCE = re.compile(r"[*_\s]*={3,}(?P<said>[^=]*)={3,}[*_\s]*")
_NUMBER = re.compile(r"#\s?(\d{1,12})")
_BULLET = re.compile(r"^(?:[-*•·–+]\s+|\d{1,2}[.)]\s+)")
_EMPTY = re.compile(r"[\s._…?\-–—]*")
_TAKE_AWAY = frozenset({"-", "–", "—"})
_SPLIT = re.compile(r"[,;\n]|\s(?:and|und|та|і|й)\s|\s[/&+]\s")
_TICKED = re.compile(r"[\[(]\s*[xX✓✔☑+]\s*[\])]|[☑☒✅]")
_UNTICKED = re.compile(r"[\[(]\s*[\])]|☐")
_YES = frozenset({
    "yes", "y", "yep", "ok", "okay", "true", "confirmed", "confirm", "done", "x", "1", "ja", "j", "jawohl", "bestätigt", "bestätige",
    "так", "т", "ага", "підтверджую", "підтверджено",
})
_NO = frozenset({"no", "n", "nope", "not", "cannot", "false", "don", "doesn", "isn", "0", "nein", "nicht", "kein", "keine", "ні", "не"})
_ALL = frozenset({"all", "allofthem", "everything", "alle", "alles", "усі", "всі", "все"})
_CLOSINGS = re.compile(
    r"(?:(?:(?:best|kind|warm|many)\s+)?regards|best|cheers|sincerely|yours\s+\w+|thanks?(?:\s+(?:you|and\s+regards|in\s+advance))?|"
    r"(?:mit\s+)?(?:freundlichen?|besten?|herzlichen?|viele|liebe|schöne)\s+(?:grüßen?|gruß|gruss|grüsse)|mfg|vg|lg|danke|vielen\s+dank|"
    r"з\s+(?:найкращими\s+)?(?:повагою|побажаннями)|дякую|щиро)[\s,.!]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one field: its value (None: nothing that it can be), what stood there, and what is wrong with that.

    quoted  it stood in a quoted form: an echo, if its writer said just that before
    wrong   "choice" | "choices" | "confirm", "" where all is well; taken_away: a bare "-" stood there
    """

    key: str
    value: Value | None
    said: str
    quoted: bool = False
    wrong: str = ""
    taken_away: bool = False


def read(text: str, new_words: str, fields: Mapping[str, Field], number: int) -> tuple[Reading, ...]:
    """Return what a mail says of `fields`, in their order; new words count before what is quoted.

    text       the whole text of the mail, history and all; new_words: without history and signature (it may keep quoted lines)
    number     of the request that the mail is about; a form of any other is not read
    """
    if not fields:
        return ()
    names = {folded(name): key for key, one in fields.items() for name in one.names()}
    found: dict[str, Reading] = {}
    fresh, free = _regions(_lines(new_words), number)
    for region in fresh:
        _into(found, _answers(region, names, fenced=True), fields)
    _into(found, _answers(free, names, fenced=False), fields)
    if all(_depth_of(region) for region in fresh):
        # What he kept of a quoted form ends with his last words; the rest of it stands below.
        regions, _ = _regions(_lines(text), number)
        nearest = min(regions, key=_depth_of, default=())
        _into(found, ((key, said, True) for key, said, _ in _answers(nearest, names, fenced=True)), fields)
    return tuple(found[key] for key in fields if key in found)


def one(field: Field, said: str) -> Reading:
    """Return what `said` is for a field, as staff write it behind its name."""
    text = said.strip()
    if text in _TAKE_AWAY:
        return Reading(field.key, None, text, taken_away=True)
    return _understood(field, text)


def _into(found: dict[str, Reading], answers: Iterable[tuple[str, str, bool]], fields: Mapping[str, Field]) -> None:
    for key, said, quoted in answers:
        if not _EMPTY.fullmatch(said) and key not in found:
            reading = _understood(fields[key], said)
            found[key] = Reading(key, reading.value, reading.said, quoted, reading.wrong)


# -- lines --


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    depth: int


def _lines(text: str) -> list[_Line]:
    shown = text.replace("\xa0", " ").replace("\u200b", "").split("\n")[:MOST_LINES]
    return [_Line(undepth(line), depth(line)) for line in shown]


def _depth_of(region: Sequence[_Line]) -> int:
    return region[0].depth if region else 0


def _regions(lines: Sequence[_Line], number: int) -> tuple[list[tuple[_Line, ...]], list[_Line]]:
    """Return the forms of this request (each with its first line, which is blank here), and the lines outside of all forms."""
    regions: list[tuple[_Line, ...]] = []
    free: list[_Line] = []
    region: list[_Line] | None = None
    mine = False
    for line in lines:
        fence = _FENCE.fullmatch(line.text) if len(line.text) <= _LONGEST_FENCE else None
        if fence is None:
            (free if region is None else region).append(line)
            continue
        named = _NUMBER.search(fence["said"])
        if region is not None and mine:
            regions.append(tuple(region))
        elif region is None and named is None:
            free.append(line)
        region = None
        if named is not None:
            mine, region = int(named[1]) == number, [_Line("", line.depth)]
    if region is not None and mine:
        regions.append(_until_it_ends(region))
    return regions, free


def _until_it_ends(region: Sequence[_Line]) -> tuple[_Line, ...]:
    """A form whose last line was deleted ends with the quotation, with a signature, or where two lines are blank."""
    kept: list[_Line] = []
    for at, line in enumerate(region):
        gone = line.depth < region[0].depth and not line.text and at and region[at - 1].depth < region[0].depth
        if _closes(line.text) or (gone and not region[at - 1].text):
            break
        kept.append(line)
    return tuple(kept)


def _closes(text: str) -> bool:
    """Tell whether a line is where a letter ends; below it stand names and cards."""
    return text in ("--", "—") or (len(text) <= _LONGEST_CLOSING and _CLOSINGS.fullmatch(text) is not None)


# -- answers --


def _answers(lines: Sequence[_Line], names: Mapping[str, str], *, fenced: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield (field, what stands there, whether all of that is quoted) in the order of the lines; a field answered twice comes twice."""
    at = 0
    while at < len(lines):
        line = lines[at]
        if not fenced and line.depth == 0 and _closes(line.text):
            return
        asked = _question(lines, at, names, fenced)
        if asked is None:
            at += 1
            continue
        key, value, end = asked
        if not fenced and line.depth:
            # A question of ours that he kept to answer below it; where something stands behind it, it was no open question.
            at += 1 if value else 0
            if value:
                continue
        below, at = _below(lines, end, names, fenced, value, quoted=line.depth)
        quoted = all(one.depth for one in ([line] if value else []) + below)
        yield key, "\n".join([*([value] if value else []), *(one.text for one in below)]).strip(), quoted


def _question(lines: Sequence[_Line], at: int, names: Mapping[str, str], fenced: bool) -> tuple[str, str, int] | None:
    """Return the field that a line asks for or answers, what stands behind it, and the line after it; its hint may be broken."""
    text = lines[at].text
    end = at + 1
    opens = text.count("(") > text.count(")") and fenced
    while opens and end < min(at + 6, len(lines)):
        text = f"{text} {lines[end].text}"
        end += 1
        opens = text.count("(") > text.count(")")
    bare = _BULLET.sub("", text).lstrip("*_ \t|")
    if fenced and folded(bare.strip("*_ |")) in names and ":" not in bare:
        return names[folded(bare.strip("*_ |"))], "", end
    cell = re.match(r"([^|\t]{1,60})[|\t]\s*(.*)", bare)
    head, value = _cut(bare)
    if head and (key := names.get(folded(head.partition("(")[0]))):
        return key, re.sub(r"^[*_]+(?=\s|$)", "", value).strip(" \t|"), end
    if cell and (key := names.get(folded(cell[1].split("(")[0]))):
        return key, cell[2].strip(" \t|"), end
    return None


def _cut(text: str) -> tuple[str, str]:
    """Return what stands before the first colon outside of brackets, and what stands behind it; "" where there is none."""
    inside = 0
    for at, character in enumerate(text[:_LONGEST_QUESTION]):
        inside += (character == "(") - (character == ")")
        if character in ":=\uff1a" and inside <= 0:
            return text[:at], text[at + 1 :]
    return "", ""


def _below(
    lines: Sequence[_Line], at: int, names: Mapping[str, str], fenced: bool, value: str, *, quoted: int
) -> tuple[list[_Line], int]:
    """Return the lines that go on with an answer, and the line behind them.

    In a form everything up to the next question; elsewhere a paragraph below a question that nothing stands behind, or what a client
    broke off a long line.
    """
    taken: list[_Line] = []
    last = value
    start = at
    while at < len(lines):
        line = lines[at]
        if _question(lines, at, names, fenced) is not None:
            break
        if not fenced:
            goes_on = (not value and (taken or at <= start + 1)) or len(last) >= WRAPPED
            blank = not line.text
            if _closes(line.text) or (line.depth and quoted) or not goes_on or (blank and (taken or value)):
                break
        if line.text:
            taken.append(line)
        last = line.text or last
        at += 1
    return taken, at


# -- values --


def _understood(field: Field, said: str) -> Reading:
    text = "\n".join(line.strip() for line in said.strip().split("\n"))[:MOST_CHARACTERS].strip()
    match field.kind:
        case FieldKind.TEXT:
            return Reading(field.key, "".join(c for c in text if c.isprintable() or c == "\n"), text)
        case FieldKind.CONFIRM:
            words = re.findall(r"\w+", _TICKED.sub(" x ", text).casefold())
            # Whoever writes both has not confirmed it: "I can not confirm this".
            value = NO if _NO.intersection(words) else YES if _YES.intersection(words) else None
            return Reading(field.key, value, text, wrong="" if value else "confirm")
        case FieldKind.CHOICE:
            found = _named(field, _ticked(text))
            return Reading(field.key, found, text, wrong="" if found else "choice")
        case _:
            return _several(field, text)


def _several(field: Field, text: str) -> Reading:
    ticked = _ticked(text)
    if folded(ticked) in _ALL:
        return Reading(field.key, field.choices, text)
    parts = [part.strip() for part in ticked.split("\n" if _TICKED.search(text) else "\0")] if _TICKED.search(text) else None
    parts = parts or [part for part in _SPLIT.split(ticked) if part.strip()]
    named = [_named(field, _BULLET.sub("", part.strip())) for part in parts]
    chosen = tuple(one for one in field.choices if one in named)
    return Reading(field.key, chosen or None, text, wrong="" if chosen and None not in named else "choices")


def _ticked(text: str) -> str:
    """Return what is ticked where a list has boxes, one a line; else the text."""
    if not _TICKED.search(text):
        return text
    boxes = re.compile(f"(?P<yes>{_TICKED.pattern})|(?P<no>{_UNTICKED.pattern})")
    marks = list(boxes.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return "\n".join(text[mark.end() : end].strip(" ,;\n") for mark, end in zip(marks, ends, strict=True) if mark["yes"])


def _named(field: Field, text: str) -> str | None:
    """Return the choice that a text names: itself in any language, its beginning, or the only one that the text speaks of."""
    wanted, spoken = folded(text), " ".join(text.casefold().split())
    if not wanted:
        return None
    tongues = (field.choices, *field.shown.values())
    spelled = [(name, choice) for names in tongues for name, choice in zip(names, field.choices, strict=True)]
    # "1 critical" is known as "critical", too.
    spelled += [(bare, choice) for name, choice in spelled if (bare := name.lstrip("0123456789.)-: ")) != name and bare]
    for matches in (
        {choice for name, choice in spelled if folded(name) == wanted},
        {choice for name, choice in spelled if folded(name).startswith(wanted)},
        {choice for name, choice in spelled if re.search(rf"(?<!\w){re.escape(' '.join(name.casefold().split()))}(?!\w)", spoken)},
    ):
        if len(matches) == 1:
            return next(iter(matches))
        if matches:
            return None
    return None
