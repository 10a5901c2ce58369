"""Does an answer repeat what was said among staff? Quoted in part, wrapped anew, or pasted, where no mark of ours came along.

Compared are words, without case, signs and line ends. What was said in public as well is no secret: engineers quote customers in
comments. A quoted line needs little to be known again; the writer's own words have to share a whole run, since everybody thanks,
greets and promises with the same few. Among all other requests much is alike: there it takes more, and what stands in several is
nobody's secret. `pieces` says what to look for there, so that the store is asked a few times, whatever it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Measure:
    """How much gives internal text away, as (in quoted lines, elsewhere): words in a row, and the words of a whole line.

    often   what stands in so many texts is a phrase or a signature; 0 where each text counts
    """

    run: tuple[int, int]
    line: tuple[int, int]
    often: int = 0


HERE = Measure(run=(4, 8), line=(1, 4))
"""Against what was said on the request itself."""
ELSEWHERE = Measure(run=(6, 12), line=(4, 8), often=3)
"""Against what was said on all others."""
PIECES, PIECE_WORDS = 12, 6
"""So many of quoted lines and as many of his own words are looked for, by so many words each."""
SHORTEST_LINE = 6
"""Characters of a line that can be told from any other."""
SHOWN_WORDS = 8
TEXT_CHARACTERS = 100_000
_QUOTE = re.compile(r"^[ \t]*(?:[>＞|][ \t]?)+")
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
Words = tuple[str, ...]


def echo(text: str, internal: Iterable[str], public: Iterable[str], measure: Measure = HERE) -> str:
    """Return the first words of `internal` that `text` repeats and that nothing in `public` holds, "" for none."""
    secret = [_lines(one) for one in internal]
    if not secret or not text:
        return ""
    known = [_lines(one) for one in public]
    quoted, spoken = _parted(text)
    for lines, run, line in zip((quoted, spoken), measure.run, measure.line, strict=True):
        times = Counter(words for part in secret for words in set(_signs(part, run, line)))
        held = {words for words, count in times.items() if not measure.often or count < measure.often}
        held -= {words for part in known for words in _signs(part, run, line)}
        # A line cut out of a longer one that is known stays known.
        for words in _signs(lines, run, line):
            if words in held and (len(words) >= run or not _stands_in(words, known)):
                return " ".join(words[:SHOWN_WORDS])
    return ""


def pieces(text: str, public: Iterable[str]) -> list[str]:
    """Return what of a text is most its own, as words to look for among all others: its longest, as they are the rarest.

    public   what may be said: lines that stand in it are passed over
    A piece of the writer's own words is so short that whatever tells by ELSEWHERE.run holds one whole.
    """
    known = [_lines(one) for one in public]
    quoted, spoken = _parted(text)
    cut = [*(line for line in quoted if len(line) >= ELSEWHERE.line[0]), *_cut(quoted, ELSEWHERE.run[0] // 2)]
    # A line of ELSEWHERE.line words may lie across two cuts and hold neither whole.
    short = [line for line in spoken if ELSEWHERE.line[1] <= len(line) < ELSEWHERE.run[1] - 1]
    return list(dict.fromkeys([*_rarest(cut, known), *_rarest(short, known), *_rarest(_cut(spoken, ELSEWHERE.run[1] // 2), known)]))


def _cut(lines: Sequence[Words], size: int) -> list[Words]:
    said = [word for line in lines for word in line]
    return [tuple(said[at : at + size]) for at in range(0, len(said) - size + 1, size)]


def _rarest(found: Sequence[Words], known: Sequence[Sequence[Words]]) -> list[str]:
    longest = sorted((words for words in dict.fromkeys(found) if _letters(words) >= 2 * SHORTEST_LINE), key=_letters, reverse=True)
    new = islice((words for words in longest[: 10 * PIECES] if not _stands_in(words, known)), PIECES)
    return [" ".join(sorted(set(words), key=lambda word: (-len(word), word))[:PIECE_WORDS]) for words in new]


def _letters(words: Words) -> int:
    return sum(map(len, words))


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
    yield from (words for words in lines if len(words) >= line and _letters(words) >= SHORTEST_LINE)
    said = [word for words in lines for word in words]
    yield from (tuple(said[at : at + run]) for at in range(len(said) - run + 1))


def _stands_in(words: Words, known: Sequence[Sequence[Words]]) -> bool:
    for lines in known:
        said = [word for line in lines for word in line]
        if any(tuple(said[at : at + len(words)]) == words for at in range(len(said) - len(words) + 1)):
            return True
    return False
