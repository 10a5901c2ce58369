"""Our reader of what we are about to send, beside the standard library's: it never reads anything that the library does not."""

from __future__ import annotations

import random
import re
from email import message_from_bytes
from email.utils import getaddresses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.mail.model import Address
from rtmail.mail.writing import readback
from rtmail.mail.writing.intent import Enclosed, Intent, IntentError, compare, plainly
from rtmail.mail.writing.wire import (
    File,
    address_header,
    file_name,
    file_part,
    media_type,
    message,
    multipart,
    one_line,
    text_header,
    text_part,
)
from tests.test_compose import FUEL

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.eml"))
STRUCTURE = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding")
CRUMBS = [
    "\r\n", "\r\n ", "\r\n\t", "\r\n\r\n", ":", ": ", " ", "\t", '"', "\\", "(", ")", "<", ">", ",", ", ", ";", "=", "=?", "?=", "*", "'",
    "@", "--", "--=_rtmail_alternative", "\r\n--=_rtmail_alternative", "--=_rtmail_alternative--\r\n", "\r\n--=_rtmail_mixed\r\n",
    "\r\n--=_rtmail_alternative-- \r\n", "Content-Type: text/plain\r\n", "Content-Type: multipart/mixed; boundary=x\r\n", "; boundary=x",
    "\r\nMIME-Version: 1.0\r\n", "\r\nBcc: evil@x.example\r\n", "=?utf-8?q?=0A?=", "=?utf-8?b?DQpCY2M6IGVAeA==?=", "name=", "x" * 70,
    "\r\nContent-Disposition: attachment; filename=y\r\n", "message/rfc822", "MESSAGE/RFC822", "evil@x.example", "From x\r\n",
]


def by_library(raw: bytes) -> tuple[list[tuple[str, str]], list[readback.Leaf], list[object]]:
    """Header fields but MIME's, leaves, and defects, as the standard library has them."""
    mail = message_from_bytes(raw)
    fields = [(name, re.sub(r"\r\n[ \t]", " ", value)) for name, value in mail.items() if name not in STRUCTURE]
    leaves = [
        readback.Leaf(part.get_content_type(), part.get_filename("") or "", str(part.get("Content-ID", "")).strip("<>"))
        for part in mail.walk()
        if not part.is_multipart()
    ]
    return fields, leaves, [defect for part in mail.walk() for defect in part.defects]


def agrees(raw: bytes) -> bool:
    """Compare both readings of `raw`; False where ours leaves it to the library."""
    said = readback.read(raw)
    if said is None:
        return False
    fields, leaves, defects = by_library(raw)
    assert said.fields == fields
    assert said.leaves == leaves
    assert not defects
    for name, value in said.fields:
        if name in ("From", "To", "Cc", "Reply-To") and (mailboxes := readback.mailboxes(value)) is not None:
            assert mailboxes == getaddresses([value])
    return True


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """The mail with one to three things in it that do not belong there, mostly near its header and its boundaries."""
    text = raw.decode()
    for _ in range(chance.randrange(1, 4)):
        borders = [max(text.find("\r\n\r\n"), 0), *(found.start() for found in re.finditer("--=_", text))]
        at = max(0, chance.choice(borders) - chance.randrange(-120, 120)) if chance.random() < 0.7 else chance.randrange(len(text))
        match chance.randrange(4):
            case 0:
                text = text[:at] + chance.choice(CRUMBS) + text[at:]
            case 1:
                text = text[:at] + text[at + chance.randrange(1, 60) :]
            case 2:
                lines = text.split("\r\n")
                line = chance.randrange(len(lines))
                text = "\r\n".join([*lines[:line], lines[chance.randrange(len(lines))], *lines[line:]])
            case _:
                text = text[:at] + chance.choice(CRUMBS) + text[at + chance.randrange(1, 4) :]
    return text.encode()


def is_lawful(raw: bytes) -> bool:
    return raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r") and b"\r\n\r\n" in raw


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_what_we_write_is_read_without_asking_the_library(path: Path) -> None:
    raw = path.read_bytes()
    assert agrees(raw)
    said = readback.read(raw)
    assert said is not None
    for name, value in said.fields:
        if name in ("From", "To", "Cc", "Reply-To"):
            assert readback.mailboxes(value) is not None, value


def test_damaged_mails_are_read_as_the_library_reads_them_or_not_at_all() -> None:
    chance, read, left = random.Random(7), 0, 0
    originals = [path.read_bytes() for path in GOLDEN]
    for _ in range(3000):
        raw = damaged(chance.choice(originals), chance)
        if is_lawful(raw):
            if agrees(raw):
                read += 1
            else:
                left += 1
    assert read > 100
    assert left > 100


pieces = st.lists(st.sampled_from([one for one in FUEL if one.isprintable()] + ["Ann", "Lee", " "]), max_size=6).map("".join)


@given(pieces, pieces, pieces, pieces, st.sampled_from(["text/plain", "application/pdf", "message/rfc822", "x/y"]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_names_of_any_shape_are_read_as_the_library_reads_them(
    subject: str, name: str, other: str, file: str, kind: str, shown: bool
) -> None:
    people = (Address("bob@acme.example", one_line(name)), Address("ann.lee@acme.example", one_line(other)))
    subject = one_line(subject) or "none"
    enclosed = File(file_name(file), media_type(kind), b"x", "1.a@b" if shown else "")
    raw = message(
        [address_header("To", people), text_header("Subject", subject)],
        multipart("mixed", [multipart("alternative", [text_part("a", "plain"), text_part("b", "html")]), file_part(enclosed)]),
    )
    agrees(raw)
    leaves = (Enclosed("text/plain"), Enclosed("text/html"), Enclosed(enclosed.type, enclosed.name, enclosed.content_id))
    meant = Intent((("To", people), ("Subject", subject)), leaves, "a@x.example", "bob@acme.example")
    compare(raw, meant)
    for other_subject, other_people in ((subject + "x", people), (subject, people[:1])):
        changed = Intent((("To", other_people), ("Subject", other_subject)), leaves, "a@x.example", "bob@acme.example")
        assert not plainly(raw, changed)
        with pytest.raises(IntentError):
            compare(raw, changed)


@pytest.mark.parametrize(
    "value",
    [
        "bob@acme.example,ann@acme.example", "bob@acme.example, ", "a <bob@acme.example", "(x) bob@acme.example", "x y@acme.example",
        '"a\\"b" <bob@acme.example>', "<bob@acme.example>", "undisclosed-recipients:;", "a: b@acme.example;", "a..b <c@acme.example> d", "",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_left_to_the_library(value: str) -> None:
    assert not readback.mailboxes(value)
