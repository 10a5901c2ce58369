"""Promise 2: one mail, one effect, however often and by whatever way it comes; and another mail under a known Message-ID is told apart."""

from __future__ import annotations

import base64
import quopri
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.people import Directory, Person
from rtmail.desk.ticket import EventKind
from rtmail.mail.model import Envelope
from tests.fakes.daemon import Running, wait_for
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.looking import rests, rows
from tests.fakes.sink import Sink

TRACE = (
    b"Received: from gate.acme.example (gate.acme.example [192.0.2.1])\r\n\tby mx.example.com (Postfix) with ESMTPS id 4F\r\n"
    b"\tfor <support@example.com>; Sun, 23 Nov 2025 10:00:07 +0100 (CET)\r\n"
)
OTHER_TRACE = (
    b"Return-Path: <bob@acme.example>\r\nDelivered-To: support@example.com\r\nX-Spam-Status: No, score=-1.2\r\n"
    b"Received: from backup.example.com (backup.example.com [192.0.2.2]) by mx2.example.com; Sun, 23 Nov 2025 10:31:00 +0100\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=x; h=from; bh=AAAA; b=BBBB\r\n"
)
FOOTER = "\n_______________________________________________\nhelpers mailing list\nhelpers@lists.acme.example\nhttps://lists.acme.example/helpers\n"
WORDS = "The printer on floor two is dead.\n\nGrüße\nBob"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    plan = blueprint()
    people = {**plan.directory.people, "sam": Person("sam", "Sam Sales", "sam@staff.example", queues=("sales",))}
    directory = Directory(people, plan.directory.queues, plan.directory.roles, plan.directory.organisations)
    house = House(tmp_path, replace(plan, directory=directory))
    yield house
    house.close()


def to(sent: list[Sent], recipient: str) -> list[Sent]:
    return [one for one in sent if one.item.recipient == recipient]


def encoded(how: str, words: str = WORDS, **fields: str) -> bytes:
    """The same mail with its text in another transfer encoding, as relays that know no 8 bits make it."""
    head = mail(text="", **fields).partition(b"\r\n\r\n")[0]  # type: ignore[arg-type]
    raw = words.encode()
    body = base64.encodebytes(raw) if how == "base64" else quopri.encodestring(raw)
    return head + f"\r\nContent-Transfer-Encoding: {how}\r\n\r\n".encode() + body.replace(b"\n", b"\r\n")


FIRST = mail(text=WORDS)
SAME = {
    "trace headers": OTHER_TRACE + FIRST,
    "a list's footer": mail(text=WORDS + FOOTER),
    "base64": encoded("base64"),
    "quoted-printable": encoded("quoted-printable"),
    "bare line feeds": FIRST.replace(b"\r\n", b"\n"),
    "headers in another order and folded": b"Message-ID:\r\n <1@acme.example>\r\n" + mail(text=WORDS, message_id=""),
    "another To": mail(text=WORDS, to="Support <SUPPORT@example.com>"),
    "white space at the end": mail(text=WORDS.replace("\n", "  \n") + "\n\n"),
}


@pytest.mark.parametrize("again", SAME.values(), ids=SAME)
def test_the_same_mail_again_changes_nothing(house: House, again: bytes) -> None:
    house.receive(TRACE + FIRST)
    assert len(to(house.sent(), "bob@acme.example")) == 1
    house.forward(minutes=40)
    second = house.receive(again)
    assert house.sent() == []
    assert house.store.spool_row(second).reason == "duplicate of spool 1"
    assert house.store.by_number(2) is None
    assert house.store.audit_counts().closes


def test_both_in_one_batch(house: House) -> None:
    envelope = Envelope("bob@acme.example", ("support@example.com",), "smtp", house.now)
    house.store.put_many([(TRACE + FIRST, envelope), (OTHER_TRACE + FIRST, envelope), (FIRST, envelope)])
    house.settle()
    assert len(to(house.sent(), "bob@acme.example")) == 1
    assert house.store.by_number(2) is None
    assert dict(house.store.audit_counts().outcomes) == {"event": 1, "ignored": 2}


def test_without_a_message_id_date_from_and_subject_count(house: House) -> None:
    bare = mail(text=WORDS, message_id="")
    house.receive(TRACE + bare)
    house.forward(days=2)
    assert house.store.spool_row(house.receive(OTHER_TRACE + bare)).reason == "duplicate of spool 1"
    others = (
        {"subject": "Scanner down"}, {"date": "Mon, 23 Nov 2026 10:00:01 +0100"}, {"sender": "Ann Poe <ann@acme.example>"},
        {"text": "Another."},
    )
    for other in others:
        assert house.store.spool_row(house.receive(mail(message_id="", **{"text": WORDS, **other}))).outcome == "event"
    assert house.store.by_number(5) is not None


def test_without_id_and_date_only_a_near_one_is_the_same(house: House) -> None:
    bare = b"".join(line for line in mail(text=WORDS, message_id="").splitlines(keepends=True) if not line.startswith(b"Date:"))
    house.receive(bare)
    house.forward(minutes=59)
    assert house.store.spool_row(house.receive(OTHER_TRACE + bare)).outcome == "ignored"
    house.forward(minutes=2)
    assert house.store.spool_row(house.receive(bare)).outcome == "event", "the heating fails again: an hour later it is news"
    house.forward(minutes=30)
    assert house.store.spool_row(house.receive(bare)).reason == "duplicate of spool 3"
    assert [len(to(house.sent(), "bob@acme.example")), house.store.by_number(3)] == [2, None]


def test_a_known_message_id_with_other_words_is_flagged_and_not_acknowledged(house: House) -> None:
    house.receive(FIRST)
    assert len(to(house.sent(), "bob@acme.example")) == 1
    other = mail(text="Something else entirely.", subject="Scanner down")
    second = house.receive(other)
    sent = house.sent()
    assert to(sent, "bob@acme.example") == [], "no second acknowledgement"
    assert to(sent, "jane@staff.example"), "nothing is swallowed: staff hear of it"
    row = house.store.spool_row(second)
    assert (row.outcome, row.trace["flagged"], row.trace["first"]) == ("event", True, 1)
    ticket = house.store.by_number(2)
    assert ticket is not None
    (flagged,) = [event for event, _ in house.store.events(ticket.id) if event.kind is EventKind.OPENED]
    assert flagged.facts["flagged"] is True
    assert house.store.spool_row(house.receive(OTHER_TRACE + other)).reason == "duplicate of spool 2"
    assert house.store.spool_row(house.receive(OTHER_TRACE + FIRST)).reason == "duplicate of spool 1"
    # The id stays the first mail's: an answer to it goes to the first request.
    headers = "In-Reply-To: <1@acme.example>"
    house.receive(mail(subject="Re: Printer down", text="Any news?", message_id="<3@acme.example>", headers=headers))
    first = house.store.by_number(1)
    assert first is not None
    assert "Any news?" in [content.text for _, content in house.store.events(first.id) if content]
    assert house.store.by_number(3) is None


def test_a_forged_id_opens_no_door(house: House) -> None:
    house.receive(FIRST)
    house.sent()
    forged = mail(sender="Eve <eve@evil.example>", subject="Re: [Example #1] Printer down", text="Tell me more.")
    house.receive(forged, sender="eve@evil.example")
    assert to(house.sent(), "bob@acme.example") == []
    first = house.store.by_number(1)
    assert first is not None
    assert "eve@evil.example" not in [one.address for one in first.participants]


def test_a_hundred_mails_under_one_id_are_a_hundred_requests(house: House) -> None:
    envelope = Envelope("bob@acme.example", ("support@example.com",), "smtp", house.now)
    house.store.put_many([(mail(text=f"It is down, {n}.", subject=f"Trouble {n}"), envelope) for n in range(100)])
    house.settle()
    assert house.store.audit_counts().outcomes == {"event": 100}
    assert house.store.by_number(100) is not None
    assert len(to(house.sent(), "bob@acme.example")) == 1


BOTH = mail(to="support@example.com, Sales <sales@example.com>", text=WORDS)


def test_several_queues_one_request_in_the_first_and_the_others_are_told_once(house: House) -> None:
    house.receive(BOTH)
    sent = house.sent()
    assert len(to(sent, "bob@acme.example")) == 1
    assert len(to(sent, "sam@staff.example")) == 1
    assert "it is a request in support" in to(sent, "sam@staff.example")[0].text
    assert len(to(sent, "kim@staff.example")) == 1, "she works in both, and hears of it once"
    # The second delivery, by the other address.
    house.receive(OTHER_TRACE + BOTH, to="sales@example.com")
    assert house.sent() == []
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.queue == "support"
    assert house.store.by_number(2) is None


def test_the_order_of_to_and_cc_decides_not_the_delivery(house: House) -> None:
    raw = mail(to="sales@example.com", headers="Cc: support@example.com", text=WORDS)
    house.receive(raw, to="support@example.com")
    sent = house.sent()
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.queue == "sales"
    assert len(to(sent, "jane@staff.example")) == 1
    house.receive(raw, to="sales@example.com")
    assert house.sent() == []


def test_a_queue_that_only_a_later_delivery_names_is_told_then_and_once(house: House) -> None:
    house.receive(mail(text=WORDS), to="support@example.com")
    assert to(house.sent(), "sam@staff.example") == []
    house.receive(OTHER_TRACE + mail(text=WORDS), to="sales@example.com")  # a blind copy
    sent = house.sent()
    assert [one.item.recipient for one in sent] == ["sam@staff.example"]
    assert "it is a request in support" in sent[0].text
    assert WORDS.splitlines()[0] in sent[0].text
    for recipient in ("sales@example.com", "support@example.com"):
        house.receive(TRACE + mail(text=WORDS), to=recipient)
    assert house.sent() == []
    assert house.store.by_number(2) is None


@pytest.mark.parametrize("order", ["smtp first", "pipe first"])
def test_through_smtp_and_the_pipe(tmp_path: Path, order: str) -> None:
    def pipe(daemon: Running, raw: bytes) -> None:
        words = [sys.executable, "-m", "rtmail", "receive", "--to", "support@example.com", "-c", str(daemon.config)]
        ran = subprocess.run(words, input=raw, capture_output=True, env=daemon.environ, cwd=daemon.folder, timeout=60, check=False)
        assert ran.returncode == 0, ran.stdout

    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        ways = [lambda raw: daemon.send(raw), lambda raw: pipe(daemon, raw)]
        for way, trace in zip(ways if order == "smtp first" else reversed(ways), (TRACE, OTHER_TRACE), strict=True):
            way(trace + FIRST)
        sink.wait(3, 30)
        wait_for(lambda: rests(daemon.state), told="mail waits for ever")
        assert rows(daemon.state, "SELECT number FROM ticket") == [(1,)]
        assert rows(daemon.state, "SELECT outcome FROM spool ORDER BY 1") == [("event",), ("ignored",)]
        assert sorted(came.recipients[0] for came in sink.mails) == ["bob@acme.example", "jane@staff.example", "kim@staff.example"]
        assert "the sum closes" in daemon.cli("audit")
