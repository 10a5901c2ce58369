"""Addresses: a strict addr-spec grammar, lenient lists, the strict identity of a From line, details out and back.

Parsers of From lines disagree on hostile ones, and who trusts one parser while another shows a different mailbox has
been fooled. So nothing here re-reads what some parser made of a header: `strict_identity` takes only lines that leave
no choice, and `parse_list` yields only specs that passed the grammar, whatever it was given. Both are linear and total.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rtmail.mail.domains import is_public_domain, organisational_domain, same_organisation_domain
from rtmail.mail.headers import decode_words, text_of
from rtmail.mail.model import Address
from rtmail.mail.site import OwnAddress, Site

__all__ = [
    "clean_name",
    "is_public_domain",
    "key",
    "normalise",
    "organisational_domain",
    "parse_list",
    "same_organisation_domain",
    "split_detail",
    "strict_identity",
    "valid_spec",
    "with_detail",
]

MAX_ADDRESSES = 1000
"""Of one mail's list; what comes after is not read (8,000 addresses took another parser 1.2 s)."""
MAX_LIST_CHARACTERS = 200_000
MAX_NAME_CHARACTERS = 200

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_ATOM = rf"[{_ATEXT}]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SPEC_TEXT = rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
_SPEC = re.compile(_SPEC_TEXT)
# What people have been given besides: dots where none may stand (docomo, au), and letters of any script (RFC 6531). Quotes only
# around what could do without them: inside others there may stand what one reader takes for the end of the address.
_ANY_LOCAL_TEXT = rf'(?:[.\u00a1-\ud7ff\uf900-\U000e00ff{_ATEXT}]+|"[.{_ATEXT}]+")'
_ANY_SPEC_TEXT = rf"{_ANY_LOCAL_TEXT}@[A-Za-z0-9.\u00a1-\ud7ff\uf900-\U000e00ff-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_LOCAL = re.compile(rf'"([.{_ATEXT}]+)"')
_ODD_LOCAL = re.compile(rf"(?=.*[{_ATEXT}])[.{_ATEXT}]+")
_WIDE_LOCAL = re.compile(r"[^.]+(?:\.[^.]+)*")
_QUOTED_SPEC = re.compile(rf'\s*("[.{_ATEXT}]+"@[^\s"<>()]+)\s*')
# A phrase as senders write it: words with dots, and quoted strings without escapes, folds or angle brackets inside.
_PHRASE_TEXT = r'(?!\s*\.)(?:[^"()<>\[\]:;@\\,]|"[^"\\<>\n]*")*(?<!\.)'
_FROM = re.compile(rf"[ \t\n]*(?:(?P<bare>{_ANY_SPEC_TEXT})|(?P<phrase>{_PHRASE_TEXT})<(?P<spec>{_ANY_SPEC_TEXT})>)[ \t\n]*")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_LINE_END = re.compile(r"[\r\n]+(?![ \t])")
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")
"""Letters that IDNA 2003 and IDNA 2008 turn into different domains (RFC 5894 7.2)."""
KNOWN = 10_000
"""So many addresses are remembered in their normal form: one mail's are looked at forty times on its way."""
_JOINERS = frozenset("\u200c\u200d")


def valid_spec(text: str) -> bool:
    """Tell whether `text` is an addr-spec that everybody knows how to write: ASCII dot-atom @ host name (RFC 5321 4.1.2).

    Ours and those of staff are such; customers may have others, see `normalise`. Quoted local parts, domain literals, numeric
    top domains, encoded-words in the local part and more than 254 characters are not.
    """
    if len(text) > 254 or "=?" in text or not _SPEC.fullmatch(text):
        return False
    return not text.rpartition(".")[2].isdigit() and not text.rpartition("@")[2].isdigit()


@lru_cache(KNOWN)
def normalise(spec: str) -> str:
    """Return `spec` as we write to it, "" when that is no valid addr-spec; what it returns is its own normal form.

    The domain is in lower case and as A-labels (IDNA). A local part is a dot-atom; one with dots where none may stand, in
    quotes, as RFC 5321 wants them ("a..b"@docomo.ne.jp); or one beyond ASCII, in NFC (RFC 6531): then mail to it needs SMTPUTF8.
    """
    written, at, domain = spec.strip().rpartition("@")
    if not at or len(spec) > 320:
        return ""
    local, domain = _local(written), _a_labels(domain)
    made = f"{local}@{domain}"
    if not local or "=?" in local or len(made.encode()) > 254 or not valid_spec(f"a@{domain}"):
        return ""
    return made


def _local(written: str) -> str:
    """Return a local part in its one form, "" for what is none of ours to write to."""
    if not written.isascii():
        named = _WIDE_LOCAL.fullmatch(written) and all(_of_a_name(character) for character in written if character != ".")
        return unicodedata.normalize("NFC", written) if named else ""
    quoted = _QUOTED_LOCAL.fullmatch(written)
    local = quoted[1] if quoted else written
    if _DOT_ATOM.fullmatch(local):
        return local
    return f'"{local}"' if _ODD_LOCAL.fullmatch(local) else ""


def _of_a_name(character: str) -> bool:
    """Tell whether a character may stand in a local part: an atom's, or a letter or figure that is no other spelling of an ASCII one.

    The Kelvin sign is a "k" to whoever compares in lower case, a full-width letter its narrow one to whoever normalises.
    """
    if character.isascii():
        return _DOT_ATOM.fullmatch(character) is not None
    return unicodedata.category(character)[0] in "LMN" and not unicodedata.normalize("NFKC", character.lower()).isascii()


def _a_labels(domain: str) -> str:
    """Return a domain in lower case and as A-labels, "" where there is no such."""
    if domain.isascii():
        return domain.lower()
    if _JOINERS & set(domain) or not all(character in ".-" or unicodedata.category(character)[0] in "LMN" for character in domain):
        return ""
    try:
        # Python's IDNA is that of 2003, which writes other letters for a few; registries and clients have moved on (RFC 5891).
        labels = (_a_label(label) if _DEVIATIONS & set(label) else label.encode("idna").decode() for label in domain.split("."))
        return ".".join(labels).lower()
    except UnicodeError:
        return ""


def _a_label(label: str) -> str:
    return "xn--" + unicodedata.normalize("NFC", label.lower()).encode("punycode").decode()


@lru_cache(KNOWN)
def key(spec: str) -> str:
    """Return what look-ups compare: the whole address in its normal form and lower case."""
    made = normalise(spec) or spec.strip()
    lowered = made.lower()
    # The Kelvin sign's small letter is an ASCII "k": what is no address must not look like somebody's.
    return lowered if made.isascii() or not lowered.isascii() else made


def strict_identity(raw_from_values: Sequence[str]) -> str:
    """Return the addr-spec that a mail's From names beyond doubt, with its domain in lower case, else "".

    raw_from_values   the value of each From header line, undecoded, folds in or out

    "" for none or more than one header, more than one address, groups, comments, routes, escapes, control characters,
    unquoted @ or brackets in the name, and encoded-words that would change the meaning for a parser that decodes before
    it splits (CVE-2019-16056, CVE-2023-27043).
    """
    if len(raw_from_values) != 1 or len(raw_from_values[0]) > 2000:
        return ""
    line = _FOLD.sub("\n", raw_from_values[0]).rstrip("\r\n")
    if not all(_harmless(character) for character in line.replace("\n", "")) or _LINE_END.search(line):
        return ""
    match = _FROM.fullmatch(line)
    if match is None:
        return ""
    phrase, spec = match["phrase"] or "", match["bare"] or match["spec"]
    if "=?" in phrase and not _same_meaning_decoded(phrase, spec):
        return ""
    # What the versions of IDNA, or who normalises and who does not, turn into different domains.
    domain = spec.rpartition("@")[2]
    if not domain.isascii() and (_DEVIATIONS & set(domain) or unicodedata.normalize("NFKC", domain) != domain):
        return ""
    return normalise(spec)


def parse_list(values: Iterable[str]) -> tuple[Address, ...]:
    """Return the mailboxes of address headers (To, Cc, Reply-To; raw or decoded values), each address once, in order.

    Lenient about everything around the addresses (groups, comments, semicolons, missing quotes); an address itself
    is what `normalise` makes of it, or left out. At most MAX_ADDRESSES, names cleaned and cut to MAX_NAME_CHARACTERS.
    """
    found: dict[str, Address] = {}
    budget = MAX_LIST_CHARACTERS
    for value in values:
        # A line end that is no fold begins another header in some hands: nothing behind it is read.
        for spec, name in _mailboxes(_LINE_END.split(value[:budget], maxsplit=1)[0]):
            # The dot of the root, which some write behind a domain.
            valid = normalise(spec) or normalise(spec.strip().removesuffix("."))
            if valid:
                found.setdefault(valid.lower(), Address(valid, name))
            if len(found) >= MAX_ADDRESSES:
                return tuple(found.values())
        budget -= len(value)
        if budget <= 0:
            break
    return tuple(found.values())


def split_detail(spec: str, site: Site) -> tuple[OwnAddress | None, str]:
    """Return the address of ours that `spec` is, and the detail in it; (None, "") for anybody else's.

    The longest address wins, so that "support-comment-DETAIL" belongs to the comment address where the separator is
    "-". `postmaster` needs no domain (RFC 5321 4.5.1). The detail is returned as written, believed by nobody yet.
    """
    bare = spec.strip()
    if bare.lower() == "postmaster":
        bare = f"{bare}@{site.domain}"
    own = site.addresses.get(key(bare))
    if own is not None or site.detail == "off":
        return own, ""
    local, _, domain = bare.rpartition("@")
    at = local.rfind(site.detail)
    while at > 0:
        own = site.addresses.get(key(f"{local[:at]}@{domain}"))
        if own is not None:
            return own, local[at + 1 :]
        at = local.rfind(site.detail, 0, at)
    return None, ""


def with_detail(spec: str, detail: str, site: Site) -> str:
    """Return `spec` with `detail` in it; `spec` itself where the site uses none.

    Raises ValueError when the local part becomes longer than 64 characters (RFC 5321 4.5.3.1.1).
    """
    if site.detail == "off" or not detail:
        return spec
    local, _, domain = spec.rpartition("@")
    made = f"{local}{site.detail}{detail}"
    if len(made) > 64:
        raise ValueError(f"{local!r} is too long to carry a detail of {len(detail)} characters")
    return f"{made}@{domain}"


def clean_name(text: str) -> str:
    """Return a display name fit to show and to send: encoded-words decoded, one line, no control or direction marks."""
    return text_of(text[: MAX_NAME_CHARACTERS * 10])[:MAX_NAME_CHARACTERS].strip()


def _harmless(character: str) -> bool:
    """Printable, tab, or an undecoded 8-bit byte (which can stand in a name only)."""
    if character.isascii():
        return character.isprintable() or character == "\t"
    return "\udc80" <= character <= "\udcff" or unicodedata.category(character)[0] in "LMNPS"


def _same_meaning_decoded(phrase: str, spec: str) -> bool:
    decoded = decode_words(phrase)
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in decoded if c != "\t"):
        return False
    bare = decoded.replace('"', "").strip().lower()
    return bare == spec.lower() or not set("@<>") & set(bare)


def _mailboxes(text: str) -> Iterable[tuple[str, str]]:
    """Yield (would-be spec, cleaned name) of one header value, in one pass."""
    began = 0
    last_quote, last_parenthesis = text.rfind('"'), text.rfind(")")
    outside: list[str] = []
    comment: list[str] = []
    angle: list[str] = []
    quoted = angled = False
    depth = 0
    where = "outside"
    position, end = 0, len(text)
    while position <= end:
        character = text[position] if position < end else ","
        position += 1
        if position > end:
            where = "outside"
        if where == "quote":
            if character == "\\" and position < end:
                outside.append(text[position])
                position += 1
            elif character == '"':
                where = "outside"
            else:
                outside.append(character)
        elif where == "comment":
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                where = "outside"
            else:
                comment.append(character)
        elif where == "angle" and character == ">":
            where = "outside"
        elif where == "angle" and character == "<":
            angle.clear()
        elif where == "angle" and not (character in ",;" and not "".join(angle[:1]).startswith("@")):
            angle.append(character)
        elif character in ",;":
            where = "outside"
            if angled:
                yield "".join(angle).rpartition(":")[2], clean_name("".join(outside) or "".join(comment))
            elif not quoted:
                yield "".join(outside), clean_name("".join(comment))
            elif bare := _QUOTED_SPEC.fullmatch(text, began, position - 1):
                yield bare[1], ""
            began = position
            outside.clear()
            comment.clear()
            angle.clear()
            quoted = angled = False
        elif character == '"' and position - 1 < last_quote:
            where, quoted = "quote", True
        elif character == "(" and position - 1 < last_parenthesis:
            where, depth = "comment", 1
        elif character == "<":
            # A second pair of brackets leaves two readings: then the whole entry names nobody.
            angle[:] = ["<"] if angled else []
            where, angled = "angle", True
        elif character == ":":
            outside.clear()
        elif character != ">":
            outside.append(character)
