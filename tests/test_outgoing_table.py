"""Each kind of mail that we send, as it really leaves: From, envelope sender, Auto-Submitted, Suppress, Reply-To, thread."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rtmail.mail.token import Action
from rtmail.policy.schema import parse
from tests.fakes.daemon import reply
from tests.fakes.house import ROOT as FOLDER
from tests.fakes.house import House, Sent, blueprint, mail

BOB, ANN, EVE, ZOE = "bob@acme.example", "ann@acme.example", "eve@far.example", "zoe@far.example"
JANE, KIM, MAX, ADMIN = "jane@staff.example", "kim@staff.example", "max@staff.example", "ops@admin.example"
ROOT = "<1@acme.example>"
ALL, ABSENCES = "DR, RN, NRN, OOF, AutoReply", "DR, RN, NRN"
SITE, COMMENT = "Example <support@example.com>", "Example <support-comment@example.com>"


def address_of(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


def proven(raw: bytes) -> bytes:
    return b"Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example\r\n" + raw


def bounce_of(sent: Sent) -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.acme.example\r\nTo: {sent.item.envelope_sender}\r\nSubject: Undelivered\r\n"
        "Message-ID: <d@mx.acme.example>\r\n"
        "Date: Mon, 23 Nov 2026 10:30:00 +0100\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
        "Content-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.acme.example\r\n\r\nFinal-Recipient: rfc822; {sent.item.recipient}\r\nAction: failed\r\n"
        "Status: 5.1.1\r\n\r\n--b--\r\n"
    ).encode()


def of(sent: list[Sent], template: str, recipient: str) -> Sent:
    return next(one for one in sent if (one.item.template, one.item.recipient) == (template, recipient))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Sent]:
    """All mails of a busy month around one request and a few others."""
    house, out = House(tmp_path_factory.mktemp("house")), []

    def went() -> list[Sent]:
        sent = house.sent()
        out.extend(sent)
        return sent

    def staff(text: str, message_id: str, *, to: str = "support@example.com", subject: str = "", headers: str = "") -> list[Sent]:
        raw = proven(mail(sender=f"Jane Doe <{JANE}>", to=to, subject=subject, text=text, message_id=message_id, headers=headers))
        house.receive(raw, to=address_of(to) if "example.com" in to else "support@example.com", sender=JANE, peer="127.0.0.1")
        return went()

    house.receive(mail(headers=f"Cc: {ANN}"))
    notice = of(went(), "opened", JANE)
    house.receive(
        reply(notice.item.raw, "Priority: normal\n\nWhich one?", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>"),
        to=address_of(notice["Reply-To"]), sender=JANE,
    )
    words = of(went(), "words", ANN)
    house.receive(reply(words.item.raw, "The red one.", sender=f"Ann <{ANN}>", message_id="<a2@acme.example>"),
                  to=address_of(words["Reply-To"]), sender=ANN)
    went()
    raw = mail(sender=f"Eve <{EVE}>", subject="Let me in", message_id="<e@far.example>", headers=f"In-Reply-To: {words['Message-ID']}")
    house.receive(raw, to=address_of(words["Reply-To"]), sender=EVE)
    went()
    staff("Fuser.", "<jc@staff.example>", to="support-comment@example.com", subject="[Example #1] Printer down")
    staff("Weak.", "<jw@staff.example>", subject="Re: [Example #1] Printer down")
    staff("help", "<jh@staff.example>")
    staff("I saw it.", "<ob@staff.example>", to=f"Zoe <{ZOE}>", subject="Your VPN", headers="Cc: support@example.com")
    house.receive(mail(sender=f"Jane Doe <{JANE}>", text="A claim.", message_id="<jx@evil.example>"), sender="x@evil.example")
    went()
    house.receive(bounce_of(words), to=words.item.envelope_sender, sender="")
    went()
    house.engine.command(1, "Owner: kim", "root", house.now)
    house.receive(mail(subject="list", text="", message_id="<q@acme.example>"))
    house.receive(mail(to="postmaster@example.com", message_id="<pm@acme.example>"), to="postmaster@example.com")
    went()
    for _ in range(40):
        house.forward(hours=1)
        house.sweep()
        house.settle()
        house.engine.digest(house.now)
        went()
    house.engine.command(1, "Status: resolved", "root", house.now)
    went()
    house.forward(days=10)
    house.sweep()
    went()
    house.close()

    plan = blueprint(policy="portacare")
    text = (FOLDER / "config" / "policies" / "portacare.toml").read_text().replace('update_mode = "nudge"', 'update_mode = "hold"')
    house = House(tmp_path_factory.mktemp("hold"), replace(plan, policies=dict.fromkeys(plan.policies, parse(text, "portacare.toml"))))
    house.receive(mail())
    notice = of(house.sent(), "opened", JANE)
    house.receive(
        reply(notice.item.raw, "Priority: P1\n\nWhich one?", sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>"),
        to=address_of(notice["Reply-To"]), sender=JANE,
    )
    house.sent()
    for _ in range(3):
        house.forward(minutes=30)
        house.sweep()
        out += [one for one in house.sent() if one.item.template == "holding-update"]
    house.close()
    return out


TABLE = [
    # template, recipient, From, envelope sender, Auto-Submitted, Suppress, Reply-To's action, In-Reply-To, References (first)
    ("acknowledgement", BOB, SITE, "verp", "auto-replied", ALL, Action.REPLY, ROOT, ROOT),
    ("holding-update", BOB, SITE, "verp", "auto-generated", ALL, Action.REPLY, None, ROOT),
    ("closing", BOB, SITE, "verp", "auto-generated", ALL, Action.REPLY, None, ROOT),
    ("closed", BOB, SITE, "verp", "auto-generated", ALL, Action.REPLY, None, ROOT),
    ("priority-told", BOB, SITE, "verp", "auto-generated", ALL, Action.REPLY, None, ROOT),
    ("numbered", ZOE, SITE, "verp", "auto-generated", ALL, Action.REPLY, "<ob@staff.example>", "<ob@staff.example>"),
    ("words", ANN, "Jane Doe via Example <support@example.com>", "verp", "", "", Action.REPLY, ROOT, ROOT),
    ("relayed", BOB, "Ann via Example <support@example.com>", "verp", "", "", Action.REPLY, "<a2@acme.example>", ROOT),
    ("received", EVE, SITE, "null", "auto-replied", ALL, None, "<e@far.example>", "<e@far.example>"),
    ("answer", BOB, SITE, "null", "auto-replied", ALL, None, "<q@acme.example>", "<q@acme.example>"),
    ("opened", JANE, "Bob Roe via Example <support@example.com>", "verp", "", "", Action.REPLY, "", ROOT),
    ("notice", JANE, "Ann via Example <support@example.com>", "verp", "", "", Action.REPLY, "ours", ROOT),
    ("comment", KIM, "Jane Doe via Example <support-comment@example.com>", "verp", "", "", Action.COMMENT, "ours", ROOT),
    ("state", KIM, COMMENT, "verp", "auto-generated", None, Action.COMMENT, "ours", ROOT),
    ("receipt", JANE, COMMENT, "verp", "auto-replied", ALL, Action.COMMENT, "<j1@staff.example>", "ours"),
    ("asked", JANE, COMMENT, "verp", "auto-replied", ALL, Action.COMMENT, "<jw@staff.example>", "ours"),
    ("held", JANE, COMMENT, "verp", "auto-replied", ALL, None, "", ""),
    ("held-expired", KIM, COMMENT, "verp", "auto-generated", ABSENCES, None, "", ""),
    ("undeliverable", JANE, COMMENT, "verp", "auto-replied", ALL, Action.COMMENT, None, "ours"),
    ("nudge", KIM, SITE, "verp", "auto-generated", ABSENCES, Action.REPLY, "ours", None),
    ("missed", MAX, COMMENT, "verp", "auto-generated", ABSENCES, Action.COMMENT, "ours", None),
    ("escalation", MAX, COMMENT, "verp", "auto-generated", ABSENCES, Action.COMMENT, "ours", None),
    ("daily", KIM, COMMENT, "verp", "auto-generated", ABSENCES, None, "", ""),
    ("weekly", KIM, COMMENT, "verp", "auto-generated", ABSENCES, None, "", ""),
    ("admin-notice", ADMIN, SITE, "verp", "auto-generated", ALL, None, "", ""),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_mails_leave_as_the_table_says(everything: list[Sent], row: tuple[str, ...]) -> None:
    template, recipient, sender, envelope, auto, suppress, reply_to, answers, root = row
    sent = of(everything, template, recipient)
    assert sent["From"] == sender
    assert sent["Auto-Submitted"] == auto
    assert suppress is None or sent["X-Auto-Response-Suppress"] == suppress
    assert sent.mail["Precedence"] is None
    assert sent["X-RTMail-Loop"] == "example.com"
    if envelope == "verp":
        verp = re.fullmatch(r"support\+[a-z2-7]{36}@example\.com", sent.item.envelope_sender)
        assert verp, sent.item.envelope_sender
    else:
        assert sent.item.envelope_sender == ""
    ours = r"<rt-\d-1-[a-z2-7]{16}@example\.com>"
    if reply_to is None:
        assert not sent["Reply-To"]
    else:
        pattern = "support-comment" if reply_to is Action.COMMENT else "support"
        assert re.fullmatch(rf"Example <{pattern}\+[a-z2-7]{{36}}@example\.com>", sent["Reply-To"])
    for wanted, value in ((answers, sent["In-Reply-To"]), (root, sent["References"].partition(" ")[0])):
        assert wanted is None or (re.fullmatch(ours, value) if wanted == "ours" else value == wanted), (wanted, value)
    assert not sent["In-Reply-To"] or sent["In-Reply-To"] in sent["References"].split()


def test_every_kind_of_mail_stands_in_the_table(everything: list[Sent]) -> None:
    assert {one.item.template for one in everything} <= {row[0] for row in TABLE}


def test_all_copies_of_an_event_share_id_and_date(everything: list[Sent]) -> None:
    copies: dict[str, set[str]] = {}
    for sent in everything:
        copies.setdefault(sent["Message-ID"], set()).add(sent["Date"])
    assert all(len(dates) == 1 for dates in copies.values())
    opened = {one["Message-ID"] for one in everything if one.item.template == "opened" and one["X-RTMail-Request"] == "1"}
    assert len(opened) == 1


def test_no_copy_shows_staff_to_a_participant_or_anybody_to_staff(everything: list[Sent]) -> None:
    staff = {JANE, KIM, MAX}
    for sent in everything:
        shown = set(re.findall(r"[\w.]+@[\w.]+", f"{sent['To']} {sent['Cc']}"))
        if sent.item.recipient in staff | {ADMIN}:
            assert shown == {sent.item.recipient}
        else:
            assert not shown & staff
            assert sent.item.recipient in shown


def test_escalations_and_nudges_can_be_sorted_by_their_headers(everything: list[Sent]) -> None:
    for sent in everything:
        if sent.item.template in ("nudge", "missed", "escalation"):
            assert sent["X-RTMail-Request"].isdigit()
            assert sent["X-RTMail-Status"] in ("new", "open")
            assert re.fullmatch(r"|2026-\d\d-\d\dT\d\d:\d\d:\d\dZ", sent["X-RTMail-Due"])
    assert "normal" in {one["X-RTMail-Priority"] for one in everything if one.item.template in ("nudge", "missed", "comment")}
