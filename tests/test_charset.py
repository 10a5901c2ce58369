"""Bytes to text: what is declared, what is meant, and what is refused."""

from __future__ import annotations

import codecs
import encodings.aliases

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.mail import charset


@pytest.mark.parametrize(
    ("data", "declared", "text", "defect"),
    [
        (b"plain", None, "plain", ""),
        (b"plain", "us-ascii", "plain", ""),
        (b"plain", "X-UNKNOWN", "plain", ""),
        (b"plain", "klingon", "plain", "unknown charset 'klingon'"),
        ("Grüße".encode(), "utf-8", "Grüße", ""),
        ("Grüße".encode(), " 'UTF8' ", "Grüße", ""),
        ("Grüße".encode(), "utf-8*de", "Grüße", ""),
        ("Grüße".encode(), "uft-8", "Grüße", ""),
        ("Grüße".encode(), None, "Grüße", "no charset declared"),
        ("Grüße".encode(), "us-ascii", "Grüße", "not us-ascii"),
        ("Grüße".encode(), "iso-8859-1", "Grüße", "not iso-8859-1, read as utf-8"),
        ("Grüße".encode("latin-1"), "iso-8859-1", "Grüße", ""),
        ("Grüße".encode("latin-1"), None, "Grüße", "no charset declared, read as cp1252"),
        (b"\x93hi\x94", "ISO-8859-1", "“hi”", ""),
        (b"\x81\x8d", "iso-8859-1", "\ufffd\ufffd", "not iso-8859-1, read as cp1252"),
        ("Принтер не печатает, помогите".encode("koi8-r"), "koi8-r", "Принтер не печатает, помогите", ""),
        ("Принтер не печатает, помогите пожалуйста".encode("cp1251"), None, "Принтер не печатает, помогите пожалуйста",
         "no charset declared, read as cp1251"),
        ("镕基".encode("gbk"), "gb2312", "镕基", ""),
        ("프린터".encode("cp949"), "ks_c_5601-1987", "프린터", ""),
        ("印刷①".encode("cp932"), "shift_jis", "印刷①", ""),
        ("印刷".encode("iso2022_jp"), "iso-2022-jp", "印刷", ""),
        ("印刷".encode("iso2022_jp"), None, "印刷", ""),
        (b"\x1b$B-!\x1b(B x \x1b(I1\x1b(B", "iso-2022-jp", "① x ｱ", ""),
        ("เครื่องพิมพ์".encode("cp874"), "tis-620", "เครื่องพิมพ์", ""),
        ("héllo".encode("utf-16"), "utf-16", "héllo", ""),
        (b"+ADw-script+AD4-", "utf-7", "+ADw-script+AD4-", "unknown charset 'utf-7'"),
        (b"+ADw-script+AD4-", "unicode-1-1-utf-7", "+ADw-script+AD4-", "unknown charset 'unicode-1-1-utf-7'"),
        (b"Fr+APY-sche+ADs- +ACI-la+AN8-t uns+ACE-", "UTF-7", 'Frösche; "laßt uns!', ""),
        (b"+AEEAQg- hides A and B", "utf-7", "+AEEAQg- hides A and B", "unknown charset 'utf-7'"),
        (b"+2AA-", "utf-7", "\ufffd", ""),
        (b"+ACY-lt+ADs-", "utf-7", "+ACY-lt+ADs-", "unknown charset 'utf-7'"),
    ],
)  # fmt: skip
def test_decode(data: bytes, declared: str | None, text: str, defect: str) -> None:
    assert charset.decode(data, declared) == (text, defect)


def test_one_broken_letter_does_not_change_the_charset() -> None:
    data = "Принтер не печатает".encode() + b"\xd0 " + "совсем".encode()
    assert charset.decode(data, "utf-8")[0] == "Принтер не печатает\ufffd совсем"


REFUSED = ["zlib", "bz2", "base64", "hex", "quopri", "uu", "rot13", "idna", "punycode", "utf-7", "unicode_escape", "undefined"]
DECLARED = [None, "", "utf-8", "us-ascii", "iso-2022-jp", "gb2312", "big5", "utf-16", "utf-7", "hz", "euc-kr", "x"]


@pytest.mark.parametrize("name", [*REFUSED, "x" * 5000, "\udcff", "../../etc/passwd", "mbcs", "oem"])
def test_no_codec_but_those_of_the_list(name: str) -> None:
    assert charset.codec(name) is None
    charset.decode(b"\xff+ADw-", name)


def test_every_codec_of_the_interpreter_is_on_the_list_or_refused() -> None:
    for name in set(encodings.aliases.aliases.values()):
        found = charset.codec(name)
        assert found is None or found in charset.ALLOWED
        if found is None and name not in REFUSED:
            # What is left out is no charset of mails: binary transforms and mainframes' EBCDIC.
            try:
                decoded = codecs.lookup(name).name
            except LookupError:
                continue
            assert decoded not in charset.ALLOWED


@settings(max_examples=300, deadline=None, database=None)
@given(st.binary(max_size=60), st.sampled_from(DECLARED))
def test_any_bytes_become_storable_text(data: bytes, declared: str | None) -> None:
    text, _ = charset.decode(data, declared)
    text.encode()
