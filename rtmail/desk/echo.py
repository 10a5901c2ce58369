"""Does an answer repeat what was said among staff? Quoted in part, wrapped anew, or pasted, where no mark of ours came along.

Compared are words, without case, signs and line ends. What was said in public as well is no secret: engineers quote customers in
comments. A quoted line needs little to be known again; the writer's own words have to share a whole run, since everybody thanks,
greets and promises with the same few.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

QUOTED_RUN, SPOKEN_RUN = 4, 8
"""So many words in a row give internal text away: in quoted lines, and elsewhere."""
QUOTED_LINE, SPOKEN_LINE = 1, 4
"""A whole line of so many words does too."""
SHORTEST_LINE = 6
"""Characters of a line that can be told from any other."""
SHOWN_WORDS = 8
TEXT_CHARACTERS = 100_000
_QUOTE = re.compile(r"^[ \t]*(?:[>＞|][ \t]?)+")
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
Words = tuple[str, ...]


def echo(text: str, internal: Iterable[str], public: Iterable[str]) -> str:
    """Return the first words of `internal` that `text` repeats and that nothing in `public` holds, "" for none."""
    secret = [_lines(one) for one in internal]
    if not secret:
        return ""
    known = [_lines(one) for one in public]
    quoted, spoken = _parted(text)
    for lines, run, line in ((quoted, QUOTED_RUN, QUOTED_LINE), (spoken, SPOKEN_RUN, SPOKEN_LINE)):
        held = {words for part in secret for words in _signs(part, run, line)}
        held -= {words for part in known for words in _signs(part, run, line)}
        # A line cut out of a longer one that is known stays known.
        for words in _signs(lines, run, line):
            if words in held and (len(words) >= run or not _stands_in(words, known)):
                return " ".join(words[:SHOWN_WORDS])
    return ""


def _parted(text: str) -> tuple[list[Words], list[Words]]:
    """Return the quoted lines of a text and the others, each as its words."""
    quoted: list[Words] = []
    spoken: list[Words] = []
    for line in text[:TEXT_CHARACTERS].splitlines():
        match = _QUOTE.match(line)
        (quoted if match else spoken).append(_words(line[match.end() :] if match else line))
    return [words for words in quoted if words], [words for words in spoken if words]


def _lines(text: str) -> list[Words]:
    return [words for line in text[:TEXT_CHARACTERS].splitlines() if (words := _words(_QUOTE.sub("", line)))]


def _words(line: str) -> Words:
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", line).casefold()))


def _signs(lines: Sequence[Words], run: int, line: int) -> Iterator[Words]:
    """Yield what tells a text: whole lines, and every run of words over line ends."""
    yield from (words for words in lines if len(words) >= line and sum(map(len, words)) >= SHORTEST_LINE)
    said = [word for words in lines for word in words]
    yield from (tuple(said[at : at + run]) for at in range(len(said) - run + 1))


def _stands_in(words: Words, known: Sequence[Sequence[Words]]) -> bool:
    for lines in known:
        said = [word for line in lines for word in line]
        if any(tuple(said[at : at + len(words)]) == words for at in range(len(said) - len(words) + 1)):
            return True
    return False
