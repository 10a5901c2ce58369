# ruff: noqa: E501  (report fields stand on one line each, so that they can be compared)
"""Delivery reports: whom they name, hard or soft, which mail of ours they are about; and who is no report."""

from __future__ import annotations

import email
import json
import threading
from dataclasses import replace
from email.message import Message
from pathlib import Path

import pytest

from rtmail.mail.model import Bounce
from rtmail.mail.reading.bounce import read_report

CORPUS = Path(__file__).parent / "mails" / "bounces"
EXPECTED: dict[str, dict[str, object]] = json.loads((CORPUS / "expected.json").read_text(encoding="utf-8"))


def report(
    fields: str, original: str = "Message-ID: <rt-1042-7-abc@example.com>\nSubject: x\n", *, kind: str = "message/delivery-status", encoding: str = "7bit",
    carried: str = "message/rfc822", sender: str = "MAILER-DAEMON@acme.example", top: str = "multipart/report; report-type=delivery-status",
) -> Message:  # fmt: skip
    """Return a report with the given per-recipient fields and the headers of the mail that came back."""
    return email.message_from_string(
        f"From: {sender}\nTo: support@example.com\nSubject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n"
        f'Content-Type: {top}; boundary="b"\n\n--b\nContent-Type: text/plain\n\nSorry.\n\n--b\nContent-Type: {kind}\n'
        f"Content-Transfer-Encoding: {encoding}\n\n{fields}\n--b\nContent-Type: {carried}\n\n{original}\nbody\n--b--\n"
    )


MTA = "Reporting-MTA: dns; mx.acme.example\n\n"
FIELDS = [
    ("failed", "Final-Recipient: rfc822; bob@acme.example\nAction: failed\nStatus: 5.1.1\n", (("bob@acme.example",), "5.1.1", False)),
    ("failed softly is final", "Final-Recipient: rfc822; bob@acme.example\nAction: failed\nStatus: 4.4.7\n", (("bob@acme.example",), "4.4.7", False)),
    ("delayed", "Final-Recipient: rfc822; bob@acme.example\nAction: delayed\nStatus: 4.4.1\n", (("bob@acme.example",), "4.4.1", True)),
    ("original before final", "Original-Recipient: rfc822;bob@acme.example\nFinal-Recipient: rfc822;catchall@acme.example\nAction: failed\nStatus: 5.0.0\n",
        (("bob@acme.example",), "5.0.0", False)),
    ("x.400 final", "Original-Recipient: rfc822; bob@acme.example\nFinal-Recipient: x400; /S=bob/\nAction: failed\nStatus: 5.0.0\n",
        (("bob@acme.example",), "5.0.0", False)),
    ("commented action", "Final-Recipient: rfc822; bob@acme.example\nAction: failed (permanent)\nStatus: 5.2.2 (mailbox full)\n",
        (("bob@acme.example",), "5.2.2", False)),
    ("opensmtpd", "Final-Recipient: rfc822; bob@acme.example\nAction: error\nStatus: 5.0.0\n", (("bob@acme.example",), "5.0.0", False)),
    ("status in the diagnostic", "Final-Recipient: rfc822; bob@acme.example\nAction: failed\nDiagnostic-Code: smtp; 550 5.7.1 no (mx 10.5.5.5)\n",
        (("bob@acme.example",), "5.7.1", False)),
    ("no action", "Final-Recipient: rfc822; bob@acme.example\nStatus: 5.1.1\n", (("bob@acme.example",), "5.1.1", False)),
    ("angle address without type", "Final-Recipient: <bob@acme.example>\nAction: failed\nStatus: 5.1.1\n", (("bob@acme.example",), "5.1.1", False)),
    ("folded", "Final-Recipient: rfc822;\n bob@acme.example\nAction: failed\nStatus: 5.1.1\n", (("bob@acme.example",), "5.1.1", False)),
    ("worst of several",
        "Final-Recipient: rfc822; a@acme.example\nAction: failed\nStatus: 4.2.2\n\nFinal-Recipient: rfc822; b@acme.example\nAction: failed\nStatus: 5.1.1\n",
        (("a@acme.example", "b@acme.example"), "5.1.1", False)),
    ("failed counts, delayed waits",
        "Final-Recipient: rfc822; a@acme.example\nAction: delayed\nStatus: 4.2.2\n\nFinal-Recipient: rfc822; b@acme.example\nAction: failed\nStatus: 5.1.1\n",
        (("b@acme.example",), "5.1.1", False)),
    ("named twice", "Final-Recipient: rfc822; a@acme.example\nAction: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; A@acme.example\nAction: failed\n",
        (("a@acme.example",), "5.1.1", False)),
    ("nobody named", "Action: failed\nStatus: 5.1.1\n", ((), "5.1.1", False)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "expected"), FIELDS, ids=[row[0] for row in FIELDS])
def test_standard_reports(name: str, fields: str, expected: tuple[tuple[str, ...], str, bool]) -> None:
    found = read_report(report(MTA + fields), "")
    assert found is not None
    assert replace(found, said="") == Bounce(*expected, original_message_id="<rt-1042-7-abc@example.com>")


@pytest.mark.parametrize(("code", "said"), [
    ("smtp; 550 5.1.1 <bob@acme.example>:\n  no such user; ask us", "550 5.1.1 <bob@acme.example>: no such user; ask us"),
    ("X-Postfix; unknown user: \"bob\"", "unknown user: \"bob\""), ("550 no; never", "550 no; never"), ("smtp;", ""),
])  # fmt: skip
def test_what_the_server_said(code: str, said: str) -> None:
    waits = "Final-Recipient: rfc822; a@acme.example\nAction: delayed\nStatus: 4.2.2\nDiagnostic-Code: smtp; 450 later\n\n"
    failed = f"Final-Recipient: rfc822; bob@acme.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: {code}\n"
    found = read_report(report(MTA + waits + failed), "")
    assert found is not None
    assert found.said == said


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_report_of_success_is_no_bounce(action: str) -> None:
    assert read_report(report(f"{MTA}Final-Recipient: rfc822; bob@acme.example\nAction: {action}\nStatus: 2.0.0\n"), "") is None


def test_internationalised_report() -> None:
    fields = MTA + "Final-Recipient: utf-8; b\\x{F6}b@acme.example\nAction: failed\nStatus: 5.1.1\n"
    for kind in ("message/global-delivery-status", "message/delivery-status"):
        found = read_report(report(fields, kind=kind, carried="message/global-headers"), "")
        assert found == Bounce(("böb@acme.example",), "5.1.1", False, "<rt-1042-7-abc@example.com>")


def test_encoded_report() -> None:
    fields = "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGJvYkBhY21lLmV4YW1wbGUKQWN0aW9uOiBmYWlsZWQKU3RhdHVzOiA1LjEuMQo=\n"
    found = read_report(report(fields, kind="message/global-delivery-status", encoding="base64"), "")
    assert found is not None
    assert (found.recipients, found.status) == (("bob@acme.example",), "5.1.1")


@pytest.mark.parametrize("carried", ["message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"])
def test_the_mail_that_came_back_is_named(carried: str) -> None:
    found = read_report(report(f"{MTA}Final-Recipient: rfc822; bob@acme.example\nAction: failed\nStatus: 5.1.1\n", carried=carried), "")
    assert found is not None
    assert found.original_message_id == "<rt-1042-7-abc@example.com>"


def test_the_id_in_prose_is_found() -> None:
    raw = (
        "From: MAILER-DAEMON@acme.example\nSubject: failure notice\n\nHi. This is the qmail-send program at acme.example.\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n\n<bob@acme.example>:\nSorry, no mailbox here. (#5.1.1)\n\n"
        "--- Below this line is a copy of the message.\n\nFrom: support@example.com\nMessage-ID: <rt-1042-7-abc@example.com>\n\nHello\n"
    )
    assert read_report(email.message_from_string(raw), "") == Bounce(("bob@acme.example",), "5.1.1", False, "<rt-1042-7-abc@example.com>")


@pytest.mark.parametrize("path", sorted(EXPECTED))
def test_mail_systems_of_all_ages(path: str) -> None:
    found = read_report(email.message_from_bytes((CORPUS / path).read_bytes()), None)
    assert found is not None
    assert sorted(spec.lower() for spec in found.recipients) == sorted(str(spec).lower() for spec in EXPECTED[path]["recipients"])  # type: ignore[attr-defined]
    assert found.temporary is EXPECTED[path]["temporary"]


PROSE = "I'm afraid I wasn't able to deliver your message to the following addresses.\n\n<bob@acme.example>:\nSorry, no mailbox here. (#5.1.1)\n"


@pytest.mark.parametrize("envelope_sender", ["jane@acme.example", None])
def test_a_person_who_quotes_or_forwards_a_report_is_a_person(envelope_sender: str | None) -> None:
    quoted = email.message_from_string(
        f"From: jane@acme.example\nSubject: Fwd: failure notice\n\nWhy?\n\nHi. This is the qmail-send program.\n{PROSE}"
    )
    assert read_report(quoted, envelope_sender) is None
    inside = report(
        f"{MTA}Final-Recipient: rfc822; bob@acme.example\nAction: failed\nStatus: 5.1.1\n",
        sender="jane@acme.example",
        top="multipart/mixed",
    )
    assert read_report(inside, envelope_sender) is None
    whole = Message()
    whole["From"] = "jane@acme.example"
    whole["Content-Type"] = 'multipart/mixed; boundary="x"'
    attached = Message()
    attached["Content-Type"] = "message/rfc822"
    attached.set_payload([report(f"{MTA}Final-Recipient: rfc822; bob@acme.example\nAction: failed\nStatus: 5.1.1\n")])
    whole.set_payload([attached])
    assert read_report(whole, envelope_sender) is None


def test_a_postmaster_is_a_person_when_the_envelope_says_so() -> None:
    raw = f"From: postmaster@acme.example\nSubject: your mail\n\nHi. This is the qmail-send program at acme.example.\n{PROSE}"
    assert read_report(email.message_from_string(raw), "jane@acme.example") is None
    assert read_report(email.message_from_string(raw), "") is not None


def test_a_programs_mail_with_the_subject_of_a_report_is_one_whoever_it_is_from() -> None:
    """As Microsoft CDO wrote it for a list's administrator: no null sender, no daemon's name, a Precedence."""
    words = "--- Non-Delivery Report ---\nThe email below could not be delivered to the following user:\n\n"
    raw = "From: <admin@acme.example>\nX-Mailer: Microsoft CDO\nSubject: Non-Delivery: Your message\n{}\n" + words + (
        '"bob@acme.example" <bob@acme.example>\n\nOld message:\n\nHello\n')
    bulk = read_report(email.message_from_string(raw.format("Precedence: bulk\n")), "admin@acme.example")
    assert bulk == Bounce(("bob@acme.example",), "", False)
    assert read_report(email.message_from_string(raw.format("")), "admin@acme.example") is None, "the same words from a person"


HOSTILE = {
    "blank lines": b"From: MAILER-DAEMON@a\n\n" + b"\n" * 500_000,
    "raw headers": b"From: MAILER-DAEMON@a\nSubject: \xff\xfe\nContent-Type: \xff; b\n\nx",
    "empty address": b"From: MAILER-DAEMON@a\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: ;\nAction: failed\n",
    "many blocks": b"From: MAILER-DAEMON@a\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
    + b"Final-Recipient: rfc822; a@b\nAction: failed\n\n" * 20_000,
    "many parts": b"From: MAILER-DAEMON@a\nContent-Type: multipart/report; boundary=b\n\n" + b"--b\nContent-Type: message/delivery-status\n\nAction: failed\n" * 5_000,
    "deep": b"From: MAILER-DAEMON@a\n" + b"Content-Type: message/rfc822\n\n" * 60,
    "surrogates": b"From: MAILER-DAEMON@a\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
    b"Final-Recipient: utf-8; \\x{D800}\\x{FFFFFF}@b\nAction: failed\nStatus: 999.1.1\n",
    "no header at all": b"\n\n\n",
    "nul": b"From: MAILER-DAEMON@a\0\nContent-Type: multipart/report\n\n\0\0\0",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_reports_neither_raise_nor_hang(name: str) -> None:
    message = email.message_from_bytes(HOSTILE[name])
    done: list[object] = []
    worker = threading.Thread(target=lambda: done.append(read_report(message, "")), daemon=True)
    worker.start()
    worker.join(timeout=120)
    assert len(done) == 1, "a hang, or an exception in the worker"
