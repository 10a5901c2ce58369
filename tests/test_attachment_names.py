# ruff: noqa: E501  (names in other scripts, and heads on one line)

"""Names of attached files, as clients write them, in any script; what is dangerous in one is data; pictures stay where they were."""

from __future__ import annotations

import base64
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import quote

import pytest

from rtmail.mail.model import Envelope
from rtmail.mail.reading import message
from rtmail.mail.writing.wire import file_name
from tests.fakes.house import NOW, House, blueprint
from tests.fakes.staff import BOB, JANE, address_of, fresh_id, sent_to, trusted

NAMES = [
    "отчёт за ноябрь.pdf", "звіт №5.txt", "报告 2026.docx", "見積書.xlsx", "تقرير.xlsx", "דוח.png", "résumé – final.pdf", "📷 photo.jpg",
    'a "b".txt',
]  # fmt: skip
SITE = blueprint().site
PNG = b"\x89PNG\r\n\x1a\nxxxx"


def word(name: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(name.encode()).decode()}?="


def words(name: str) -> str:
    return "\r\n ".join(word(name[at : at + 8]) for at in range(0, len(name), 8))


def continued(name: str) -> str:
    """RFC 2231 3 and 4.1: in pieces, each of whole characters."""
    pieces = [quote(name[at : at + 6], safe="") for at in range(0, len(name), 6)]
    return "".join(f";\r\n filename*{at}*={'utf-8' + chr(39) * 2 if at == 0 else ''}{piece}" for at, piece in enumerate(pieces))


def escaped(name: str) -> str:
    return name.replace('"', r"\"")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "rfc2231": lambda name: f"application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''{quote(name, safe='')}",
    "rfc2231 in pieces": lambda name: f"application/pdf\r\nContent-Disposition: attachment{continued(name)}",
    "outlook": lambda name: f'application/pdf; name="{word(name)}"\r\nContent-Disposition: attachment; filename="{word(name)}"; size=3',
    "outlook, folded": lambda name: f'application/pdf;\r\n name="{words(name)}"\r\nContent-Disposition: attachment;\r\n filename="{words(name)}"',
    "unquoted": lambda name: f"application/pdf; name={word(name)}\r\nContent-Disposition: attachment; filename={word(name)}",
    "name alone": lambda name: f'application/pdf; name="{word(name)}"',
    "raw": lambda name: f'application/pdf; name="{escaped(name)}"\r\nContent-Disposition: attachment; filename="{escaped(name)}"',
}


def with_file(head: str, *, text: str = "See the file.", headers: str = "", data: bytes = b"%PDF") -> bytes:
    top = headers or "From: Bob Roe <bob@acme.example>\r\nTo: support@example.com\r\nSubject: A file\r\nMessage-ID: <file@acme.example>"
    return (
        f"{top}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"{text}\r\n--b\r\nContent-Type: {head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(data).decode()}\r\n--b--\r\n"
    ).encode()


def names_in(raw: bytes) -> list[str]:
    mail = message.read(raw, Envelope(BOB, ("support@example.com",), "smtp", NOW), SITE)
    return [one.name for one in mail.attachments]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", NAMES)
def test_names_are_read_as_clients_write_them(name: str, spelling: str) -> None:
    assert names_in(with_file(SPELLINGS[spelling](name))) == [name]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\Temp\\x.exe", "x.exe"), ("invoice\u202efdp.exe", "invoicefdp.exe"), ("a\x00b.txt", "a b.txt"),
        ("", "part-2.pdf"), ("...", "part-2.pdf"), (".htaccess", "htaccess"), ("a\r\nBcc: x@y", "a Bcc: x@y"),
        ("=?utf-8?q?=0A?=", "=?utf-8?q?=0A?="),
    ],
)  # fmt: skip
def test_dangerous_names_are_data(name: str, shown: str) -> None:
    assert names_in(with_file(SPELLINGS["rfc2231"](name))) == [shown]
    safe = file_name(shown)
    assert not set(safe) & set('/\\:*?"<>|\r\n\0\u202e')
    assert len(file_name("ж" * 500 + ".pdf").encode()) <= 200


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def files_of(raw: bytes) -> list[tuple[str, str, bytes]]:
    found = message_from_bytes(raw, policy=default)
    parts = [part for part in found.walk() if part.get_filename()]
    return [(str(part.get_filename()), str(part.get_content_disposition()), part.get_payload(decode=True)) for part in parts]


@pytest.mark.parametrize("name", NAMES)
def test_files_reach_staff_and_customers_under_their_names(house: House, name: str) -> None:
    house.receive(with_file(SPELLINGS["outlook"](name), data=b"one"))
    notice = sent_to(house.sent(), JANE, "opened")
    assert files_of(notice.item.raw) == [(file_name(name), "attachment", b"one")]
    headers = (f"From: Jane Doe <{JANE}>\r\nTo: {address_of(notice['Reply-To'])}\r\nSubject: Re: {notice['Subject']}\r\n"
               f"Message-ID: {fresh_id(JANE)}\r\nIn-Reply-To: {notice['Message-ID']}")
    raw = with_file(SPELLINGS["rfc2231"](name), text="Signed, see the file.", headers=headers, data=b"two")
    house.receive(trusted(raw, JANE), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    assert files_of(sent_to(house.sent(), BOB, "words").item.raw) == [(file_name(name), "attachment", b"two")]


@pytest.mark.parametrize("place", ["[image: screen.png]", "[cid:screen@mail]"], ids=["gmail", "outlook"])
def test_a_picture_in_an_engineers_answer_stays_in_its_place(house: House, place: str) -> None:
    house.receive(with_file(SPELLINGS["rfc2231"]("a.pdf")))
    notice = sent_to(house.sent(), JANE, "opened")
    to = address_of(notice["Reply-To"])
    html = '<div>Press here:</div><img src="cid:screen@mail" alt="screen.png"><div>and wait.</div>'
    raw = (
        f"From: Jane Doe <{JANE}>\r\nTo: {to}\r\nSubject: Re: {notice['Subject']}\r\nMessage-ID: {fresh_id(JANE)}\r\n"
        f"In-Reply-To: {notice['Message-ID']}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\n"
        "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Press here:\r\n{place}\r\nand wait.\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--a--\r\n--r\r\n"
        'Content-Type: image/png; name="screen.png"\r\nContent-Disposition: inline; filename="screen.png"\r\nContent-ID: <screen@mail>\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(PNG).decode()}\r\n--r--\r\n"
    ).encode()
    house.receive(trusted(raw, JANE), to=to, sender=JANE, peer="127.0.0.1")
    sent = sent_to(house.sent(), BOB, "words")
    found = message_from_bytes(sent.item.raw, policy=default)
    (picture,) = [part for part in found.walk() if part.get_content_type() == "image/png"]
    assert (picture.get_filename(), picture.get_content_disposition(), picture.get_payload(decode=True)) == ("screen.png", "inline", PNG)
    (drawn,) = [part.get_content() for part in found.walk() if part.get_content_type() == "text/html"]
    shown = f'src="cid:{picture["Content-ID"].strip("<>")}"'
    assert drawn.index("Press here:") < drawn.index(shown) < drawn.index("and wait.")
    assert "screen.png]\nand wait." in sent.text.replace("\r\n", "\n")
