"""Texts as the words that they are searched by: the same for both engines, and the same again when they are taken out."""

from __future__ import annotations

import re
import unicodedata

INDEXED_CHARACTERS = 100_000
"""Of one text; a pasted log of megabytes is found by its beginning."""
TERM_CHARACTERS = 60
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"[\u0300-\u036f]+")


def terms(text: str) -> list[str]:
    """Return the words of a text, each once, in order: without case and accents, letters and digits only."""
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text[:INDEXED_CHARACTERS])).casefold()
    return sorted({word[:TERM_CHARACTERS] for word in _WORD.findall(bare)})
