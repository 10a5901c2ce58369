"""The desk's sentences in the reader's language: what became of a command, what staff must know of a mail, why somebody is told.

The desk speaks English, in its events, in `--json` and to the shell. Templates translate what they show by the filter `term`: the
sentence is looked up by its English words, what it names stays ("#17", "Jane", a line to copy) or is looked up in turn. A sentence
that the list of a language lacks stays English; a test holds every sentence of the desk against the lists. Pure.

What people wrote is no sentence of ours, however much it looks like one: a place that holds their words is `{!s}` in the translation
and stays as it is (`{!l}` holds a list of sentences), and templates pass no text through `term` that is somebody's whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from rtmail.mail.speech import instant, span, term
from rtmail.mail.writing.phrases_de import PHRASES as GERMAN
from rtmail.mail.writing.phrases_uk import PHRASES as UKRAINIAN

_LISTS: Mapping[str, Mapping[str, str]] = {"de": GERMAN, "uk": UKRAINIAN}
_DEPTH = 4
"""A sentence may name another, which ends with a third, in a list of them."""
_PLACE = re.compile(r"\{\d?(![sl])?\}")
_WORDS = re.compile(r"[a-z]{2,} [a-z]{2,}")
"""Two words: no name of somebody, a state or a number."""


def said(text: str, language: str) -> str:
    """Return a sentence of the desk's in `language`; itself where it is none, or where there is no other for it."""
    key = language.lower().partition("-")[0]
    return _said(text, key, _DEPTH) if key in _LISTS else text


def known(text: str, language: str) -> bool:
    """Tell whether the list of a language has this sentence, whatever it names; what stands at its places is names or sentences too."""
    if text in _LISTS[language] or term(text, language) != text:
        return True
    found = _found(text, language)
    return found is not None and all(known(value, language) for value in found[1] if _WORDS.search(value))


def _said(text: str, language: str, depth: int) -> str:
    for end in ("", "."):
        if (whole := _LISTS[language].get(text.removesuffix(end))) is not None and "{" not in whole and text.endswith(end):
            return whole + end
    if (translated := term(text, language)) != text:
        return translated
    if when := instant(text, language) or span(text, language):
        return when
    found = _found(text, language) if depth else None
    if found is None:
        return text
    pattern, values = found
    places = enumerate(_PLACE.finditer(pattern))
    marked = {int(place[0][1]) if place[0][1].isdigit() else at: place[1] for at, place in places}
    for place, value in enumerate(values):
        if marked.get(place) == "!l":
            comma = "; " if "; " in value else ", "
            values[place] = comma.join(_said(piece, language, depth - 1) for piece in value.split(comma))
        elif marked.get(place) != "!s":
            values[place] = _said(value, language, depth - 1)
    return pattern.replace("!l", "").format(*values)


def _found(text: str, language: str) -> tuple[str, list[str]] | None:
    """Return the translation that fits, with what its places stand for; of several the one with the most words of its own."""
    for pieces, translation in _patterns(language):
        if (values := _values(text, pieces)) is not None:
            return translation, values
    return None


@cache
def _patterns(language: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    found = [(tuple(english.split("{}")), translation) for english, translation in _LISTS[language].items() if "{}" in english]
    return tuple(sorted(found, key=lambda row: (-sum(map(len, row[0])), -len(row[0]))))


def _values(text: str, pieces: Sequence[str]) -> list[str] | None:
    """Return what stands between the pieces, None where they do not make up the text; linear, whatever somebody is called."""
    first, *middle, last = pieces
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return None
    left, values = text[len(first) : len(text) - len(last)], []
    for at, piece in enumerate(middle):
        if piece:
            value, found, left = left.partition(piece)
            if not found:
                return None
        else:
            # A sentence with a clause behind it, or without one.
            begin = min((place for clause in _clauses() if (place := left.find(clause)) >= 0), default=-1)
            if begin < 0:
                after = next((other for other in middle[at + 1 :] if other), "")
                begin = left.find(after) if after else len(left)
            if begin < 0:
                return None
            value, left = left[:begin], left[begin:]
        values.append(value)
    return [*values, left]


@cache
def _clauses() -> tuple[str, ...]:
    """How clauses begin that are put behind a sentence."""
    return tuple(english.split("{}")[0] for english in GERMAN if english.startswith((", ", "; ", " ")))
