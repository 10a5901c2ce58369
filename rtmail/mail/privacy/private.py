"""What in a text must not lie in a ticket system: card numbers, social security numbers, IBANs, medical records, keys, passwords.

A finding is a stretch of the text and what it seems to be, never its value, so that nothing of it reaches a log or a notice.
Numbers are believed by their check digits, their issuer's or country's ranges and the words before them. Time is linear in the
length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from stdnum import iban, luhn
from stdnum.us import ssn


class Sort(StrEnum):
    """What a finding seems to be, as people read it."""

    CARD = "card number"
    SSN = "social security number"
    IBAN = "bank account number"
    MEDICAL = "medical record"
    KEY = "private key"
    PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of a text, [start, end), and what it seems to be."""

    sort: Sort
    start: int
    end: int


LOOKED_AT = 1_000_000
"""Characters of a text that are looked at."""


def find(text: str) -> tuple[Finding, ...]:
    """Return what in `text` seems private, in order, none inside another."""
    text = text[:LOOKED_AT]
    found = [*_keys(text), *_passwords(text), *_ibans(text), *_cards(text), *_ssns(text), *_medical(text)]
    kept: list[Finding] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = Finding(kept[-1].sort, kept[-1].start, one.end)
            continue
        kept.append(one)
    return tuple(kept)


def sorts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what the texts seem to hold, each sort once, in the order of `Sort`."""
    found = {one.sort for text in texts if text for one in find(text)}
    return tuple(str(sort) for sort in Sort if sort in found)


def redacted(text: str) -> str:
    """Return `text` with each finding replaced by what it was."""
    parts, at = [], 0
    for one in find(text):
        parts += [text[at : one.start], f"[{one.sort} removed]"]
        at = one.end
    return "".join(parts) + text[at:]


# -- numbers ----------------------------------------------------------------------------------------------------------

_JOINTS = r"(?:[ \t\u00a0\u2009\u202f]?[-.\u2010-\u2015][ \t\u00a0]?|[ \t\u00a0\u2009\u202f]|[ ]?\r?\n(?:>[ ]?)?)"
_RUN = re.compile(rf"(?<![\w])\d+(?:{_JOINTS}\d+)*", re.ASCII)
"""Groups of digits with one joint between each two."""
_GROUP = re.compile(r"\d+", re.ASCII)
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}(?:\d{3})?)?"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}(?:\d{3})?"  # Discover
    r"|3(?:0[0-5]\d|095|[689]\d\d)\d{10}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}(?:\d{3})?"  # JCB
    r"|62\d{14}(?:\d{3})?"  # UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}",  # Maestro
    re.ASCII,
)
"""Ranges by ISO/IEC 7812, as the issuers publish them."""
_SHAPES = frozenset({(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (4, 4, 4, 1), (6, 13), (6, 10), (8, 8), (4, 4, 5)})
"""How card numbers are grouped; other groupings count only where a word says that it is one."""
_CARD_DIGITS = range(12, 20)
_AROUND = 80
_CARD_WORD = re.compile(
    r"card|karte|visa|master|amex|american express|discover|diners|\bjcb\b|maestro|credit|debit|kredit|\bcc\b|\bpan\b|cvv|cvc|expir|"
    r"gültig bis|карт|carte|tarjeta|carta|karta",
    re.IGNORECASE,
)
_OTHER_WORD = re.compile(
    r"\b(?:tracking|order|invoice|serial|imei|ticket|case|parcel|shipment|sku|barcode|ean|isbn|licen[cs]e|bestell|sendungs?|rechnungs?|"
    r"auftrags?|serien|lizenz|замовлення|накладна|uuid|hash|build|version|transaction|reference|ref)"
    r"[ -]?(?:nummer|number|num|no|nr|id|code|key)?[ .:#=]*(?:is|was|ist|lautet)?[ :#]*$",
    re.IGNORECASE,
)
"""Directly before a number: it is somebody else's."""


def _cards(text: str) -> Iterator[Finding]:
    for run in _RUN.finditer(text):
        if run.end() - run.start() < _CARD_DIGITS.start:
            continue
        groups = [(one.start(), one.end()) for one in _GROUP.finditer(text, run.start(), run.end())]
        at = 0
        while at < len(groups):
            upto = _card_at(text, groups, at)
            if upto:
                yield Finding(Sort.CARD, groups[at][0], groups[upto - 1][1])
            at = upto or at + 1


def _card_at(text: str, groups: list[tuple[int, int]], at: int) -> int:
    """Return behind which group a card number ends that begins with group `at`; 0 where none does."""
    digits, best = "", 0
    if text[groups[at][0]] not in "23456":
        return 0
    for upto in range(at, min(at + _CARD_DIGITS.stop, len(groups))):
        start, end = groups[upto]
        if len(digits) + end - start >= _CARD_DIGITS.stop:
            break
        digits += text[start:end]
        if len(digits) in _CARD_DIGITS and _ISSUED.fullmatch(digits) and len(set(digits)) > 1 and luhn.is_valid(digits):
            shape = tuple(last - first for first, last in groups[at : upto + 1])
            best = upto + 1 if _is_card(text, shape, groups[at][0], end) else best
    return best


def _is_card(text: str, shape: tuple[int, ...], start: int, end: int) -> bool:
    """Tell whether a number that could be a card's stands as one: by what is around it and how it is grouped."""
    if text[end : end + 1].isalnum() or text[end : end + 1] == "_" or "\n\n" in text[start:end]:
        return False
    before = text[max(0, start - _AROUND) : start]
    named = bool(_CARD_WORD.search(before) or _CARD_WORD.search(text[end : end + _AROUND]))
    if _OTHER_WORD.search(before):
        return bool(_CARD_WORD.search(before[-25:]))
    return named or len(shape) == 1 or shape in _SHAPES


_SSN = re.compile(r"(?<![\w.-])\d{3}([-\u2010-\u2013 ])\d{2}\1\d{4}(?![\w-])", re.ASCII)
_SSN_BARE = re.compile(r"(?:\bSSN\b|social[ -]security)[^\d\n]{0,30}(\d{9})(?!\d)", re.IGNORECASE | re.ASCII)
_SSN_WORD = re.compile(r"\bSSN\b|social[ -]security|tax(?:payer)?[ -]id", re.IGNORECASE)


def _ssns(text: str) -> Iterator[Finding]:
    for one in _SSN.finditer(text):
        before = text[max(0, one.start() - _AROUND) : one.start()]
        named = one[1] == "-" or _SSN_WORD.search(before)
        if named and ssn.is_valid("-".join(_GROUP.findall(one[0]))) and not _OTHER_WORD.search(before):
            yield Finding(Sort.SSN, one.start(), one.end())
    for one in _SSN_BARE.finditer(text):
        if ssn.is_valid(one[1]):
            yield Finding(Sort.SSN, one.start(1), one.end(1))


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}(?![A-Za-z0-9])")


def _ibans(text: str) -> Iterator[Finding]:
    for one in _IBAN.finditer(text):
        end = _iban_end(one[0])
        if end:
            yield Finding(Sort.IBAN, one.start(), one.start() + end)


def _iban_end(text: str) -> int:
    """Return where in `text` an IBAN ends that it begins with: what follows may be the next word in capitals."""
    ends = [at for at in range(len(text), 14, -1) if at == len(text) or not text[at].isalnum()]
    return next((at for at in ends if iban.is_valid(re.sub("[^A-Z0-9]", "", text[:at]))), 0)


# -- keys and passwords -----------------------------------------------------------------------------------------------

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,30})PRIVATE KEY( BLOCK)?-----")
_PEM_LINE = re.compile(r"[> \t]*(?:[A-Za-z0-9+/=]{1,200}|[A-Za-z-]{1,40}: [^\n]{0,200})?[ \t]*(?:\r?\n|$)")
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{50,255}|glpat-[\w-]{20,64}|xox[abprs]-[\w-]{10,200}|"
    r"[sr]k_live_[A-Za-z0-9]{16,200}|AIza[\w-]{35}|AGE-SECRET-KEY-1[0-9A-Z]{58})(?![A-Za-z0-9])"
)
_PUTTY = re.compile(r"PuTTY-User-Key-File-\d: ")
_PRIVATE_LINES = re.compile(r"Private-Lines: \d+")


def _keys(text: str) -> Iterator[Finding]:
    for one in _PEM.finditer(text):
        last = text.find(f"-----END {one[1]}PRIVATE KEY", one.end(), one.end() + 20_000)
        yield Finding(Sort.KEY, one.start(), _line_end(text, last) if last >= 0 else _lines_end(text, one.end()))
    for one in _PUTTY.finditer(text):
        private = _PRIVATE_LINES.search(text, one.end(), one.end() + 20_000)
        yield Finding(Sort.KEY, one.start(), _lines_end(text, private.end() if private else one.end()))
    for one in _TOKENS.finditer(text):
        yield Finding(Sort.KEY, one.start(), one.end())


def _line_end(text: str, at: int) -> int:
    end = text.find("-----", at + 5)
    return end + 5 if end >= 0 else len(text)


def _lines_end(text: str, at: int) -> int:
    """Return where the lines of a key that begins at `at` end."""
    at = text.find("\n", at) + 1 or len(text)
    while at < len(text) and (line := _PEM_LINE.match(text, at)) and line.end() > at:
        at = line.end()
    return at


_PASSWORD = re.compile(
    r"\b(?:pass ?words?|passwd|passphrase|passcode|pwd|kennwort|passwort|zugangscode|mot de passe|contraseña|hasło|"
    r"пароль)\b(?:[ \t]+(?:for|für|для|to|of)[ \t]+[\w.@-]{1,40})?"
    r"([ \t]*[:=][ \t]*|[ \t]+(?:is|was|ist|lautet|est|es)[ \t]*:?[ \t]+)[\"'\u201c\u201e`]?([^\s\"'\u201c\u201d`]{4,128})",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,64}:([^\s/@]{3,128})@", re.IGNORECASE)
_NO_PASSWORD = re.compile(
    r"https?://.*|[*\u2022x.#_-]+|<.*|\[.*|\$\{?\w+\}?|(?:not|wrong|incorrect|invalid|expired|required|reset|changed|unknown|correct|none|null|true|false|"
    r"forgotten|empty|missing|the|still|rejected|refused|nicht|falsch|abgelaufen|ungültig|не|невірний)\W*",
    re.IGNORECASE,
)
_MIXED = re.compile(r"(?=.*[\d!@#$%^&*_+=?~])")


def _passwords(text: str) -> Iterator[Finding]:
    for one in _PASSWORD.finditer(text):
        value = one[2].rstrip(".,;)")
        # A plain word is one where it stands alone behind a colon: "password: please reset it" is a sentence.
        alone = re.search("[:=]", one[1]) and not text[one.end() : one.end() + 40].partition("\n")[0].strip(" \"'`.,;)\r\t")
        if len(value) < 4 or _NO_PASSWORD.fullmatch(value) or not (alone or _MIXED.match(value)):
            continue
        yield Finding(Sort.PASSWORD, one.start(2), one.start(2) + len(value))
    for one in _URL_PASSWORD.finditer(text):
        yield Finding(Sort.PASSWORD, one.start(1), one.end(1))


# -- medical records --------------------------------------------------------------------------------------------------

_RECORD = re.compile(
    r"\b(?:MRN|medical record(?: (?:no|number))?|patient (?:id|no|number)|health insurance (?:no|number)|NHS (?:no|number)|"
    r"krankenversicher(?:ten|ungs)nummer|versichertennummer|patientennummer|fallnummer|номер пацієнта)"
    r"[ \t]*[.:#]*[ \t]*([A-Z]?\d[\d -]{3,20}\d)",
    re.IGNORECASE,
)
_DIAGNOSIS = re.compile(
    r"\b(?:diagnos(?:is|e|ed with|es)|befund|ICD(?:-1[01])?(?:-?code)?|prescri(?:bed|ption)|medication|medikation|діагноз)\b"
    r"[ \t]*[:\u2013-]*[ \t]*([^\n]{3,200})",
    re.IGNORECASE,
)
_BORN = re.compile(
    r"\b(?:DOB|D\.O\.B\.?|date of birth|born(?: on)?|geb(?:\.|oren)?(?: am)?|geburtsdatum|дата народження)"
    r"[ \t]*[:.]?[ \t]*(\d{1,4}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}\.? \w{3,9} \d{4}|\w{3,9} \d{1,2}, \d{4})",
    re.IGNORECASE,
)
_PATIENT = re.compile(
    r"\b(?i:patient(?:in)?(?: name)?|name des patienten|пацієнт(?:ка)?)[ \t]*[:=]?[ \t]*"
    r"((?:(?:Mr|Mrs|Ms|Dr|Herr|Frau)\.?[ ])?[A-ZÀ-ÞЄ-Я][\w'\u2019-]+(?:,?[ ][A-ZÀ-ÞЄ-Я][\w'\u2019.-]*){1,3})"
)
_NEAR = 400
"""A record and whose it is stand within so many characters of each other."""


def _medical(text: str) -> Iterator[Finding]:
    records = [*_RECORD.finditer(text), *_DIAGNOSIS.finditer(text)]
    if not records:
        return
    people = sorted([*_BORN.finditer(text), *_PATIENT.finditer(text)], key=lambda one: one.start())
    starts = [one.start() for one in people]
    told: set[int] = set()
    for record in records:
        near = _between(starts, record.start() - _NEAR, record.end() + _NEAR)
        if near:
            yield Finding(Sort.MEDICAL, record.start(1), record.end(1))
            told.update(near)
    for at in sorted(told):
        yield Finding(Sort.MEDICAL, people[at].start(1), people[at].end(1))


def _between(starts: list[int], low: int, high: int) -> range:
    return range(bisect_left(starts, low), bisect_left(starts, high))
