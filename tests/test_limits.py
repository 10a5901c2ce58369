"""What one mail may hold, at one less, at the limit, and at one more; beyond it the request opens all the same, and staff hear of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtmail.mail.headers import HEADER_BYTES, HEADER_FIELDS
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.reading.message import RECIPIENTS, read
from rtmail.mail.reading.structure import DEPTH, PARAMETERS, PARTS
from tests.fakes.house import NOW, House, blueprint

HEAD = (
    b"From: Bob Roe <bob@acme.example>\r\nTo: support@example.com\r\nSubject: Limits\r\nMessage-ID: <l@acme.example>\r\n"
    b"MIME-Version: 1.0\r\n"
)
OURS = HEAD.count(b"\r\n")


def parts(count: int) -> bytes:
    """So many parts below the mail itself."""
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nwords\r\n" * count + b"--b--\r\n"


def depth(count: int) -> bytes:
    """So many containers inside one another."""
    opens = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(count))
    return HEAD + opens + b"Content-Type: text/plain\r\n\r\nwords\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(count)))


def fields(count: int) -> bytes:
    return HEAD + b"".join(b"X-Field-%d: x\r\n" % n for n in range(count - OURS)) + b"\r\nwords\r\n"


def header(size: int) -> bytes:
    """A header of so many bytes, without the empty line."""
    line = b"X-Filler: " + b"x" * 900 + b"\r\n"
    head = HEAD + line * ((size - len(HEAD) - 1000) // len(line))
    return head + b"X-Last: " + b"x" * (size - len(head) - len(b"X-Last: \r\n")) + b"\r\n\r\nwords\r\n"


def parameters(count: int) -> bytes:
    return HEAD + b"Content-Type: text/plain" + b"".join(b"; p%d=x" % n for n in range(count)) + b"\r\n\r\nwords\r\n"


def recipients(count: int) -> bytes:
    """So many in To and Cc together, ours the first."""
    return HEAD + b"Cc: " + b",\r\n ".join(b"c%d@acme.example" % n for n in range(count - 1)) + b"\r\n\r\nwords\r\n"


LIMITS: dict[str, tuple[Callable[[int], bytes], int, str]] = {
    "parts": (parts, PARTS, "parts"),
    "depth": (depth, DEPTH, "nested deeper"),
    "header fields": (fields, HEADER_FIELDS, "header fields"),
    "header bytes": (header, HEADER_BYTES, "header larger"),
    "parameters": (parameters, PARAMETERS, "parameters"),
    "recipients": (recipients, RECIPIENTS, "recipients"),
}


def told(mail: Mail, of: str) -> bool:
    return any(of in defect for defect in mail.defects)


@pytest.mark.parametrize("name", LIMITS)
def test_one_less_the_limit_and_one_more(name: str) -> None:
    make, limit, of = LIMITS[name]
    envelope = Envelope("bob@acme.example", ("support@example.com",), "smtp", NOW)
    for count, beyond in ((limit - 1, False), (limit, False), (limit + 1, True)):
        mail = read(make(count), envelope, blueprint().site)
        assert told(mail, of) is beyond, (count, mail.defects)
        assert mail.identity == "bob@acme.example"
        assert mail.subject == "Limits"
        if name not in ("depth", "header bytes") or not beyond:
            assert "words" in mail.text or mail.attachments


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


@pytest.mark.parametrize("name", LIMITS)
def test_beyond_it_the_request_opens_with_a_word_to_staff_and_the_raw_mail_kept(house: House, name: str) -> None:
    make, limit, of = LIMITS[name]
    for raw in (make(limit + 1), make(limit * 3)):
        raw = raw.replace(b"<l@", b"<l%d@" % len(raw), 1)
        spool_id = house.receive(raw)
        row = house.store.spool_row(spool_id)
        assert (row.outcome, row.attempts) == ("event", 1)
        assert house.store.raw(row.raw_id) == raw
        sent = house.sent()
        for one in sent:
            if one.item.template == "opened":
                assert of in " ".join(one.text.split()), one.text
        assert any(one.item.template == "opened" for one in sent)
