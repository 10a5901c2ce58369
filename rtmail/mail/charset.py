"""Bytes to text: what was declared, else UTF-8, else what they look like, else cp1252.

`message` and `headers` call it for every body and every raw 8-bit header. Only charsets of the list below are ever
handed to a codec: a declared name is a sender's word, and Python's registry also holds zlib and idna. UTF-7, which
Outlook once wrote, is read as long as it hides nothing that ASCII could say: `+ADw-script+AD4-` is an attack on filters and
stays as it is. The result never holds a surrogate, so that every database takes it.
"""

from __future__ import annotations

import codecs
import contextlib
import re

ALIASES = {
    # Labels that senders use for the larger set (the WHATWG encoding list says the same).
    "us-ascii": "ascii", "ansi_x3.4-1968": "ascii", "iso646-us": "ascii", "646": "ascii",
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "l1": "cp1252", "iso8859-1": "cp1252", "iso-8859-1-windows": "cp1252",
    "ansi": "cp1252", "windows-1252": "cp1252", "x-cp1252": "cp1252",
    "iso-8859-9": "cp1254", "iso8859-9": "cp1254", "latin5": "cp1254",
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "cp936": "gb18030", "ms936": "gb18030", "euc-cn": "gb18030",
    "gb_2312-80": "gb18030", "csgb2312": "gb18030", "hz-gb-2312": "hz",
    "big5": "cp950", "x-big5": "cp950", "big-5": "cp950", "cn-big5": "cp950", "csbig5": "cp950", "big5-hkscs": "big5hkscs",
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932", "ms_kanji": "cp932", "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext", "iso2022jp": "iso2022_jp_ext", "csiso2022jp": "iso2022_jp_ext",
    "ks_c_5601-1987": "cp949", "ks_c_5601": "cp949", "ksc5601": "cp949", "ksc_5601": "cp949", "euc-kr": "cp949", "euckr": "cp949",
    "tis-620": "cp874", "iso-8859-11": "cp874", "windows-874": "cp874",
    "x-mac-roman": "mac_roman", "macintosh": "mac_roman", "x-mac-cyrillic": "mac_cyrillic", "x-mac-ce": "mac_latin2",
    "uft-8": "utf-8", "utf8": "utf-8", "utf-8mb4": "utf-8", "utf8mb4": "utf-8", "unicode-1-1-utf-8": "utf-8", "x-utf-8": "utf-8",
    "utf-8-sig": "utf-8", "utf_8": "utf-8", "cp65001": "utf-8", "65001": "utf-8",
    "ansi_x3.110-1983": "cp1252",
    "iso-8859-8-i": "iso8859_8", "iso-8859-8-e": "iso8859_8",
    "iso-8859-6-i": "iso8859_6", "iso-8859-6-e": "iso8859_6", "visual": "iso8859_8",
    "unicode": "utf-16", "ucs-2": "utf-16", "iso-10646-ucs-2": "utf-16",
}
NAMELESS = frozenset({
    "", "unknown", "x-unknown", "unknown-8bit", "x-user-defined", "default", "default_charset", "_autodetect_all", "none", "8bit", "7bit",
})
"""Labels that say nothing; no defect is recorded for them."""

ALLOWED = frozenset(
    codecs.lookup(name).name
    for name in (
        "ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be",
        *(f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"cp{n}" for n in (437, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874, 1006, 1125)),
        *(f"cp{n}" for n in range(1250, 1259)),
        "koi8-r", "koi8-u", "koi8-t", "kz1048", "ptcp154",
        "mac-roman", "mac-cyrillic", "mac-greek", "mac-turkish", "mac-iceland", "mac-latin2",
        "gb18030", "hz", "cp950", "big5hkscs", "cp932", "euc_jp", "euc_jis_2004", "shift_jis_2004",
        "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_2004", "iso2022_jp_ext", "iso2022_kr", "cp949", "johab",
    )
)
"""Every charset that is decoded, by its codec's own name."""
DAMAGED_SHARE = 0.25
"""A declared charset is kept as long as it leaves no more unreadable characters than this share of its non-ASCII ones."""
DETECT_BYTES = 20_000
"""How much of the data the detector looks at."""
DETECT_SURE = 0.3
_ISO_2022_JP = re.compile(rb"\x1b\$[@B(]|\x1b\([JI]")
_JIS_RUN = re.compile(rb"\x1b(\$[@B]|\([BJI])([^\x1b]*)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF_7 = frozenset({"utf-7", "utf7", "unicode-1-1-utf-7", "csunicode11utf7"})
_UTF_7_OPTIONAL = frozenset("!\"#$%*;=@[]^_`{|}\t\r\n ")
"""Its Set O, which Outlook shifts too, without < > and &."""
_UTF_7_RUN = re.compile(r"\+[A-Za-z0-9+/]+-?")


def codec(declared: str | None) -> str | None:
    """Return the codec that reads the charset called `declared`, None where it names none that we decode."""
    label = (declared or "").strip().strip("'\"").lower()
    # RFC 2231 lets a language follow the charset in an encoded-word: "utf-8*en".
    label = label.partition("*")[0]
    label = ALIASES.get(label, label)
    if not label or not label.isascii() or len(label) > 40:
        return None
    try:
        found = codecs.lookup(label).name
    except (LookupError, UnicodeError, ValueError):
        return None
    return found if found in ALLOWED else None


def decode(data: bytes, declared: str | None) -> tuple[str, str]:
    """Return the text of `data` and a defect, "" when the declared charset (or none, for ASCII) told the truth.

    Tried in order: the declared charset (larger sets for the usual lies, cp1252 for iso-8859-1, and for that UTF-8 first),
    UTF-8, the detector's guess, cp1252. Never raises.
    """
    text, defect = _decode(data, declared)
    return (_SURROGATE.sub("\ufffd", text) if not text.isascii() else text), defect


def _decode(data: bytes, declared: str | None) -> tuple[str, str]:
    if (declared or "").strip().strip("'\"").lower() in _UTF_7 and (text := _utf_7(data)):
        return text, ""
    name = codec(declared)
    plain = data.isascii()
    if plain and b"\x1b" in data and name in (None, "ascii", "utf-8", "cp1252") and _ISO_2022_JP.search(data):
        name = "iso2022_jp_ext"
    if name == "cp1252" and not plain:
        # A letter of two or more bytes in every place where UTF-8 wants one is no coincidence: the label lies.
        with contextlib.suppress(UnicodeError):
            return data.decode("utf-8"), f"not {(declared or '').strip().lower()[:40]}, read as utf-8"
    if name is not None:
        try:
            return data.decode(name), ""
        except UnicodeError:
            if name.startswith("iso2022_jp") and plain:
                return _windows_jis(data), ""
    label = (declared or "").strip().lower()[:40]
    if name is None and label not in NAMELESS:
        defect = f"unknown charset {label!r}"
    elif name is None:
        defect = "" if plain else "no charset declared"
    else:
        defect = f"not {label}"
    if plain:
        return data.decode("ascii"), defect
    try:
        return data.decode("utf-8"), defect
    except UnicodeError:
        pass
    if name is not None and name != "ascii":
        text = data.decode(name, "replace")
        damaged = text.count("\ufffd")
        if damaged <= DAMAGED_SHARE * sum(not char.isascii() for char in text if char != "\ufffd"):
            return text, defect
    guess = codec(_detected(data))
    # Any bytes of even number are UTF-16: as a guess it is worth nothing.
    if guess is not None and not guess.startswith(("ascii", "utf")):
        try:
            return data.decode(guess), f"{defect}, read as {guess}"
        except UnicodeError:
            pass
    return data.decode("cp1252", "replace"), f"{defect}, read as cp1252"


def _utf_7(data: bytes) -> str:
    """Return the text of UTF-7 (RFC 2152) in which no shifted run hides what ASCII says directly, or markup; "" for any other."""
    try:
        plain = data.decode("ascii")
        runs = (run[0].encode().decode("utf-7") for run in _UTF_7_RUN.finditer(plain))
        honest = all(not character.isascii() or character in _UTF_7_OPTIONAL for run in runs for character in run)
        return plain.encode().decode("utf-7") if honest else ""
    except UnicodeError:
        return ""


def _windows_jis(data: bytes) -> str:
    """Return ISO-2022-JP with Windows' additions to JIS X 0208 (circled digits, CP50221), by way of cp932."""
    return _JIS_RUN.sub(_shifted, data).decode("cp932", "replace")


def _shifted(run: re.Match[bytes]) -> bytes:
    """Return one run between escape sequences as Shift_JIS (the arithmetic of JIS X 0208:1997, appendix 1)."""
    if run[1] == b"(I":
        return bytes(byte | 0x80 for byte in run[2])
    if run[1] in (b"(B", b"(J"):
        return run[2]
    out = bytearray()
    for row, cell in zip(run[2][::2], run[2][1::2], strict=False):
        if not (0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E):
            out += bytes((row, cell))
            continue
        lead = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)
        trail = cell + (0x1F if cell < 0x60 else 0x20) if row % 2 else cell + 0x7E
        out += bytes((lead, trail))
    return bytes(out)


def _detected(data: bytes) -> str | None:
    # Imported where it is needed: few mails get here, and its tables cost memory.
    import chardet

    try:
        found = chardet.detect(data[:DETECT_BYTES])
    except Exception:  # a guess that fails is no guess
        return None
    confidence, encoding = found.get("confidence"), found.get("encoding")
    return encoding if encoding and (confidence or 0) >= DETECT_SURE else None
