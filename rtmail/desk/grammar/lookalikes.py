"""What is no command and was still meant for rtmail, or for staff alone: how people write who think of another program.

`commands` asks here about lines that it cannot read itself. A line that is found is asked about, never run. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rtmail.desk.grammar.arguments import Argument, problem
from rtmail.desk.grammar.registry import KEYS, MEANT, WORDS, plain, spelled

_INTERNAL = re.compile(
    r"(?:\W*(?:strictly |for )?(?:internal|staff|engineers|colleagues|eyes)\b(?: (?:only|use|use only|note|comment|remark|info|eyes only))*"
    r"|\W*private (?:note|comment|remark)|\W*(?:only )?for (?:staff|internal use|the team|colleagues)(?: only)?"
    r"|\W*(?:not|nothing) for the customer|\W*(?:please )?do not (?:send|forward|show)(?: this)?(?: on)? to (?:the )?(?:customer|client)s?)"
    r"\W*(?::|\]|\)|\u2014|\u2013| - |$).*",
    re.IGNORECASE,
)
_CUSTOM = re.compile(
    r"(?:add|del)?(?:custom-?field|cf|(?:transaction|txn)-?(?:customfield|cf))\s*(?:\.?\{[^}]*\}|\.\S+)\s*:.*", re.IGNORECASE
)
_ASSIGN = re.compile(r"(?:re-?)?assign(?:ed)?(?: (?:this|it))?(?: to)?:? (?!the\b|a\b|an\b)(\S+)", re.IGNORECASE)
_WAITS_FOR = re.compile(r"(?:wait|waiting|on hold) (?:for|on) (?:the |a )?[\w-]+", re.IGNORECASE)
_PRIORITY = re.compile(r"p-?(\d)", re.IGNORECASE)
_SEPARATED = re.compile(r"([A-Za-z][A-Za-z _-]{0,30}?)\s*(=|->|=>|\u2192|\s[\u2013\u2014-]\s)\s*(\S.*)")
_SEVERAL = re.compile(r"\s*(?:[,;/+&]|\s|\band\b)\s*", re.IGNORECASE)
_CALLED = re.compile(r"@?(?:rtmail|rt|bot|tracker)\b[:,]?\s+(.+)|[!#%=+.]{1,3}\s*(?=[A-Za-z])(.+)", re.IGNORECASE)
_ENCLOSED = re.compile("[\"'(\\[<{\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb](.+?)[\"')\\]>}\u2018\u2019\u201c\u201d\u00ab\u00bb][.!]?")
_KINDLY = re.compile(r"(?:please|pls|plz|kindly|bitte) (?:(?:do|now) )?(.+)", re.IGNORECASE)
_POLITE = re.compile(
    r"(\S+)(?: (?:this|it|the))?(?: (?:ticket|request|case|issue|one))?(?: now)?,?(?: (?:please|pls|plz|bitte|thanks|thx))?[,;]?[.!]?",
    re.IGNORECASE,
)
_SPOKEN_TO_CUSTOMERS = frozenset({"wait", "accept", "help", "close", "comment", "list", "show", "search", "for", "next", "due", "watch"})
"""Words that staff may well ask a customer for: "Please wait"."""


def internal(text: str) -> tuple[str, str] | None:
    """Return why a line is for staff alone and what would keep it there, None where it does not say so.

    In a quoted line it is our own mark, which whoever answers between the lines of a notice quotes; it is cut there.
    """
    if text.startswith((">", "\uff1e")) or not _INTERNAL.fullmatch(text):
        return None
    return "it says that it is for staff alone: in a mail of its own, below this line, it stays there", "comment"


def meant(text: str) -> tuple[str, str] | None:
    """Return why a line is no command, and the one that was probably meant; None for ordinary words."""
    bare = text.rstrip(" .!\u2026")
    if suggestion := MEANT.get(plain(bare)):
        return f"there is no command {bare!r}", suggestion
    if _CUSTOM.fullmatch(text):
        return "there are no custom fields here", ""
    if _WAITS_FOR.fullmatch(bare):
        return "nothing but an instant belongs behind this word", "wait"
    if found := _PRIORITY.fullmatch(bare):
        return "something is missing before it", f"Priority: P{found[1]}"
    if found := _ASSIGN.fullmatch(bare):
        return "there is no command 'assign'", "take" if found[1].lower() in ("me", "myself") else f"Owner: {found[1]}"
    if (found := _SEPARATED.fullmatch(bare)) and (spec := KEYS.get(plain(found[1]))):
        fits = not problem(spec.argument, found[3]) if spec.argument is not Argument.TEXT else "=" in found[2] or ">" in found[2]
        if fits and len(found[3].split()) <= 3:
            return "a colon stands behind the first word", f"{spelled(plain(found[1]))}: {found[3]}"
    several = [part for part in _SEVERAL.split(bare) if part and part.lower() != "and"]
    if 1 < len(several) <= 6 and all(_bare_word(part) for part in several):
        return "one command stands on each line", several[0].lower()
    return None


def wrapped(text: str) -> Iterator[str]:
    """Yield what a line may be without what people put around a command: a name to call, quotation marks, a please."""
    for pattern in (_CALLED, _ENCLOSED):
        if found := pattern.fullmatch(text):
            yield next(group for group in found.groups() if group)
    if (found := _KINDLY.fullmatch(text)) and plain(found[1].split()[0].rstrip(".!,;")) not in _SPOKEN_TO_CUSTOMERS:
        yield from (found[1], *(polite[1] for polite in [_POLITE.fullmatch(found[1])] if polite))
    if (found := _POLITE.fullmatch(text)) and _bare_word(found[1].rstrip(",;.")):
        yield found[1].rstrip(",;.")


def _bare_word(word: str) -> bool:
    spec = WORDS.get(plain(word))
    return spec is not None and (spec.argument is Argument.NONE or spec.optional) and word.isascii()
