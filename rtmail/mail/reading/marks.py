"""Our marks in what people quote: `ref:` and the token behind it, wrapped, indented and decorated as clients do it.

`quoting` and `message` ask here; what a token proves is for `token` and `desk.match`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK_CHARS = 36
MAX_MARKS = 20

_DEPTH = re.compile(r"^(?:[ \t]{0,3}[>＞])+")
_MARK = re.compile(r"(?<![^\W_])ref:", re.IGNORECASE)
_MARK_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\u00ad\ufeff")


def depth(line: str) -> int:
    """Return how many levels of quoting a line carries."""
    found = _DEPTH.match(line[:200])
    return sum(found.group().count(sign) for sign in ">＞") if found else 0


def undepth(line: str) -> str:
    """Return a quoted line without its signs of quoting and outer spaces."""
    return _DEPTH.sub("", line, count=1).strip()


def marks_in(quoted: str) -> tuple[str, ...]:
    """Return the tokens of `ref:` marks in quoted text, lower case, nearest (least quoted, then first) first.

    A token is 36 characters a-z2-7. Clients wrap it, put "> " before the rest, or turn it to upper case.
    """
    lines = quoted.split("\n")
    bare = [undepth(line) for line in lines]
    starts, position = [], 0
    for line in bare:
        starts.append(position)
        position += len(line) + 1
    text = "\n".join(bare)
    found: list[tuple[int, int, str]] = []
    number = 0
    for match in _MARK.finditer(text):
        while number + 1 < len(starts) and starts[number + 1] <= match.start():
            number += 1
        token = _token(text, match.end())
        if token and all(token != known for _, _, known in found):
            found.append((depth(lines[number]), len(found), token))
        if len(found) >= MAX_MARKS:
            break
    return tuple(token for _, _, token in sorted(found))


def _token(text: str, start: int) -> str:
    """Return the 36 characters of a mark from `start`, over at most three line breaks; "" when there are not exactly as many."""
    chars: list[str] = []
    breaks = 0
    number = start
    while number < len(text) and len(chars) < MARK_CHARS:
        char = text[number].lower()
        if char in _MARK_CHARS:
            chars.append(char)
        elif char == "=" and text[number + 1 : number + 2] == "\n":
            pass
        elif char == "\n" and breaks < 3:
            breaks += 1
        elif char not in _INVISIBLE and not (char in " \xa0" and not chars):
            return ""
        number += 1
    if len(chars) < MARK_CHARS or text[number : number + 1].isalnum():
        return ""
    return "".join(chars)


def last_mark_line(lines: Sequence[str]) -> int:
    """Return the number of the last line that holds a mark, or -1."""
    for number in range(len(lines) - 1, -1, -1):
        if _MARK.search(lines[number][:2000]) and _has_token(lines, number):
            return number
    return -1


def _has_token(lines: Sequence[str], number: int) -> bool:
    """Return whether a whole mark begins on a line."""
    return bool(marks_in("\n".join(line[:2000] for line in lines[number : number + 4])))
