"""In which language somebody writes, so that he is answered in it: by small words that no text does without, or by script.

`message` asks. Clients' Content-Language tells the language of their menus, so words come first where they are clear. A few lines
decide nothing: then the header is believed, and where it says nothing the site's own language is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CHARACTERS = 4000
ENOUGH = 3
"""So many different small words make a language clear; and half as many again as any other has."""

_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and is are was were with this that have has had for not you your please we they it its on can could our when what",
        "de": "der die das und ist sind nicht ich wir mit für auf ein eine einen bitte haben hat kann können werden wird sie es zu wenn",
        "nl": "het een van niet ik wij met voor op en graag hebben kan worden wordt zijn deze maar ook naar als bij",
        "fr": "le la les des est sont nous vous pas pour avec une que je dans merci mais sur cette bonjour ne plus",
        "es": "el los las es son por para con una que gracias está del pero como cuando nos hola buenos ya más",
        "it": "il gli che non per con una sono grazie della è di ma come quando buongiorno questo nella dal più",
        "pt": "os não para com uma que obrigado está do da em mas como quando nos bom são pelo isso mais",
        "pl": "nie jest się na do że proszę dziękuję dla ale jak czy mamy przy tego oraz już nam po co",
        "cs": "není je se na že prosím děkuji pro ale jak jsme při tento také už nám po co byl kdy",
        "uk": "і й та не що на у в як це ми ви для але є його при вже будь ласка з до від якщо немає",
        "ru": "и не что на в как это мы вы для но его при уже пожалуйста с до от если нет у вас по",
    }.items()
}
_WORD = re.compile(r"[^\W\d_]+")
_ONLY_UKRAINIAN, _ONLY_RUSSIAN = frozenset("іїєґ"), frozenset("ыэъё")


def spoken(text: str) -> str:
    """Return the code of the language that `text` is clearly written in ("de"), "" when nothing is clear. Linear, total."""
    lowered = text[:CHARACTERS].lower()
    said = frozenset(_WORD.findall(lowered))
    found = {language: len(words & said) for language, words in _WORDS.items()}
    letters = frozenset(lowered)
    if letters & _ONLY_UKRAINIAN:
        found["ru"] = 0
    elif letters & _ONLY_RUSSIAN:
        found["uk"] = 0
    best, second = sorted(found, key=lambda language: -found[language])[:2]
    return best if found[best] >= ENOUGH and found[best] * 2 >= found[second] * 3 else ""


def language_of(text: str, declared: str) -> str:
    """Return the language that `text` is written in, else the one `declared` by the client; a region is kept ("de-at")."""
    clear = spoken(text)
    return declared if not clear or declared.partition("-")[0] == clear else clear
