# ruff: noqa: E501  (reports stand as mail systems write them)
"""Bounces of our own mail, as mail systems write them, on the whole road: matched by the envelope sender, told to who wrote, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtmail.desk.ticket import EventKind
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.staff import ANN, BOB, JANE, answered, opened, request, sent_to


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def dsn(of: Sent, *, action: str = "failed", status: str = "5.1.1", kind: str = "delivery-status", recipient: str = BOB) -> bytes:
    """As Postfix and Exchange write it (RFC 3464)."""
    return (
        f"From: MAILER-DAEMON@mx.acme.example (Mail Delivery System)\r\nTo: {of.item.envelope_sender}\r\nSubject: Undelivered Mail\r\n"
        "Auto-Submitted: auto-replied\r\nMessage-ID: <dsn@mx.acme.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\nIt did not work.\r\n--b\r\n'
        f"Content-Type: message/{kind}\r\n\r\nReporting-MTA: dns; mx.acme.example\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 no such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {of['Message-ID']}\r\n\r\n--b--\r\n"
    ).encode()


def qmail(of: Sent) -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.acme.example\r\nTo: {of.item.envelope_sender}\r\nSubject: failure notice\r\nMessage-ID: <q@mx.acme.example>\r\n"
        "\r\nHi. This is the qmail-send program at mx.acme.example.\r\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\r\nThis is a permanent error; I've given up. "
        f"Sorry it didn't work out.\r\n\r\n<{BOB}>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n"
        f"--- Below this line is a copy of the message.\r\n\r\nMessage-ID: {of['Message-ID']}\r\n\r\nHello\r\n"
    ).encode()


def exim(of: Sent) -> bytes:
    return (
        f"X-Failed-Recipients: {BOB}\r\nAuto-Submitted: auto-replied\r\nFrom: Mail Delivery System <Mailer-Daemon@mx.acme.example>\r\n"
        f"To: {of.item.envelope_sender}\r\nSubject: Mail delivery failed: returning message to sender\r\nMessage-ID: <e@mx.acme.example>\r\n\r\n"
        "This message was created automatically by mail delivery software.\r\n\r\nA message that you sent could not be delivered to one or "
        f"more of its\r\nrecipients. This is a permanent error. The following address(es) failed:\r\n\r\n  {BOB}\r\n    Unrouteable address\r\n"
    ).encode()


def unreadable(of: Sent) -> bytes:
    """What no parser knows: only the null sender and our own address say what it is."""
    return f"From: postmaster@mx.acme.example\r\nTo: {of.item.envelope_sender}\r\nSubject: Zustellung\r\nMessage-ID: <u@x>\r\n\r\nGing nicht.\r\n".encode()


def first_response(house: House) -> list[str]:
    return [str(clock.state) for clock in request(house).clocks if clock.name == "first-response"]


def asked(house: House) -> Sent:
    """An engineer's first answer, as it went to the customer."""
    notice = sent_to(opened(house), JANE, "opened")
    words = sent_to(answered(house, notice, "Which printer is it?"), BOB, "words")
    assert first_response(house) == ["met"]
    return words


@pytest.mark.parametrize("changes", [{"verp": False}, {"detail": "off"}], ids=["no verp", "no details"])
def test_without_an_address_for_each_mail_the_id_and_the_recipient_tell_which_one_it_was(tmp_path: Path, changes: dict[str, Any]) -> None:
    plan = blueprint()
    house = House(tmp_path, plan=replace(plan, site=replace(plan.site, **changes)))
    notice = sent_to(opened(house, cc="Ann Poe <ann@acme.example>"), JANE, "opened")
    sent = answered(house, notice, "Which printer is it?")
    words = sent_to(sent, BOB, "words")
    assert words.item.envelope_sender == "support@example.com"
    assert words["Message-ID"] == sent_to(sent, ANN, "words")["Message-ID"]
    house.receive(dsn(words, recipient="somebody@forwarded.example"), to=words.item.envelope_sender, sender="")
    assert house.sent() == [], "which of both came back is not known"
    house.receive(dsn(words).replace(b"<dsn@", b"<eve@"), to=words.item.envelope_sender, sender="eve@elsewhere.example")
    polled = {"ingress": "imap", "sender": None, "queue": "support"}
    by_eve = b"Return-Path: <eve@elsewhere.example>\r\n" + dsn(words).replace(b"<dsn@", b"<eve2@")
    house.receive(by_eve, **polled)  # type: ignore[arg-type]
    assert first_response(house) == ["met"], "what a person sends settles nothing"
    house.receive(b"Return-Path: <>\r\n" + qmail(words), **polled)  # type: ignore[arg-type]
    told = sent_to(house.sent(), JANE, "undeliverable")
    assert BOB in told.text
    assert ANN not in told.text
    assert first_response(house) == ["returned", "running"]
    house.receive(dsn(words), to=words.item.envelope_sender, sender="")
    assert house.sent() == [], "told once"
    house.close()


@pytest.mark.parametrize("make", [dsn, qmail, exim, lambda of: dsn(of, kind="global-delivery-status")], ids=["rfc 3464", "qmail", "exim", "rfc 6533"])
def test_a_bounced_answer_is_told_to_its_author_in_the_thread_and_owed_again(house: House, make: object) -> None:
    words = asked(house)
    house.forward(minutes=5)
    house.receive(make(words), to=words.item.envelope_sender, sender="")  # type: ignore[operator]
    told = sent_to(house.sent(), JANE, "undeliverable")
    assert BOB in told.text
    if make is dsn:
        assert "The server said: 550 no such user" in told.text, "the reason, where a report names one"
    assert "Which printer is it?" in told.text, "he has his words again"
    assert words["Message-ID"] in told["References"], "in the same thread"
    assert first_response(house) == ["returned", "running"]
    assert house.store.by_number(2) is None, "a bounce opens nothing"
    assert str(house.store.by_id(words.item.id).fate) == "bounced"  # type: ignore[union-attr]


def test_twice_is_once(house: House) -> None:
    words = asked(house)
    house.receive(dsn(words), to=words.item.envelope_sender, sender="")
    house.sent()
    house.receive(dsn(words).replace(b"<dsn@", b"<dsn2@"), to=words.item.envelope_sender, sender="")
    house.receive(qmail(words), to=words.item.envelope_sender, sender="")
    assert house.sent() == []
    assert first_response(house) == ["returned", "running"]


@pytest.mark.parametrize("status", ["4.4.1", "4.2.2"])
def test_a_delay_is_recorded_and_gives_nothing_back(house: House, status: str) -> None:
    words = asked(house)
    house.receive(dsn(words, action="delayed", status=status), to=words.item.envelope_sender, sender="")
    assert house.sent() == []
    assert first_response(house) == ["met"]
    kinds = [event.kind for event, _ in house.store.events(request(house).id)]
    assert EventKind.AUTO_REPLY in kinds or EventKind.BOUNCE in kinds


def test_a_failure_with_a_temporary_status_is_final(house: House) -> None:
    """Given up after days: the mail system says so by its action, whatever the last status was."""
    words = asked(house)
    house.receive(dsn(words, status="4.4.7"), to=words.item.envelope_sender, sender="")
    assert sent_to(house.sent(), JANE, "undeliverable")
    assert first_response(house) == ["returned", "running"]


def test_what_nobody_can_read_is_recorded_on_its_request(house: House) -> None:
    words = asked(house)
    spool_id = house.receive(unreadable(words), to=words.item.envelope_sender, sender="")
    row = house.store.spool_row(spool_id)
    assert row.ticket == request(house).id
    assert row.outcome in ("event", "bounce")
    assert house.store.by_number(2) is None


@pytest.mark.parametrize("number", range(8))
def test_an_envelope_sender_with_one_wrong_letter_is_nobodys(house: House, number: int) -> None:
    words = asked(house)
    local, _, domain = words.item.envelope_sender.partition("@")
    base, _, detail = local.partition("+")
    at = number * 4
    wrong = f"{base}+{detail[:at]}{'a' if detail[at] != 'a' else 'b'}{detail[at + 1:]}@{domain}"
    house.receive(dsn(words).replace(words.item.envelope_sender.encode(), wrong.encode()), to=wrong, sender="")
    assert house.sent() == []
    assert first_response(house) == ["met"]


def test_a_report_that_a_person_sends_is_a_persons(house: House) -> None:
    """Our Message-ID in a report shows at most which request it speaks of; what was not sent to the signed envelope sender settles nothing."""
    words = asked(house)
    raw = dsn(words).replace(b"MAILER-DAEMON@mx.acme.example (Mail Delivery System)", b"Eve <eve@elsewhere.example>")
    raw = raw.replace(words.item.envelope_sender.encode(), b"support@example.com").replace(b"Auto-Submitted: auto-replied\r\n", b"")
    house.receive(raw, to="support@example.com", sender="eve@elsewhere.example")
    assert first_response(house) == ["met"]
    assert str(house.store.by_id(words.item.id).fate) == "sent"  # type: ignore[union-attr]


def test_an_acknowledgement_that_bounces_is_told_to_the_queue(house: House) -> None:
    acknowledgement = sent_to(opened(house), BOB, "acknowledgement")
    house.receive(dsn(acknowledgement), to=acknowledgement.item.envelope_sender, sender="")
    told = house.sent()
    assert {one.item.recipient for one in told} <= {"jane@staff.example", "kim@staff.example", "ops@admin.example"}
    assert told
    assert all(BOB in one.text for one in told)


def test_a_bounced_manager_moves_the_escalation_on_at_once(tmp_path: Path) -> None:
    house = House(tmp_path, blueprint(policy="portacare"))
    try:
        opened(house)
        house.forward(minutes=31)
        house.sweep()
        told = [one for one in house.sent() if one.item.template == "escalation"]
        assert [one.item.recipient for one in told] == ["max@staff.example"]
        house.receive(dsn(told[0], recipient="max@staff.example"), to=told[0].item.envelope_sender, sender="")
        house.sweep()
        moved = [one.item.recipient for one in house.sent() if one.item.template == "escalation"]
        assert moved == ["kim@staff.example"], "the deputy, without waiting for the next rung"
    finally:
        house.close()


def test_no_bounce_gets_an_answer(house: House) -> None:
    for number, raw in enumerate((dsn(asked(house)), mail(sender="MAILER-DAEMON@x.example", subject="Undelivered"), b"Subject: x\r\n\r\nx\r\n")):
        house.receive(raw.replace(b"<dsn@", b"<z%d@" % number), sender="")
    assert not any(one.item.recipient.startswith(("MAILER", "postmaster")) or not one.item.recipient for one in house.sent())
