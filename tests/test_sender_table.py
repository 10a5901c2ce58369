"""What follows from each row of the sender table, seen from outside: who hears what, and how the request stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind, Role, Status
from rtmail.policy.schema import parse
from rtmail.store import Outcome
from tests.fakes.daemon import reply
from tests.fakes.house import House, Sent, blueprint, mail

BOB, ANN, EVE = "bob@acme.example", "ann@acme.example", "eve@elsewhere.example"
JANE, KIM = "jane@staff.example", "kim@staff.example"
DMARC = "Authentication-Results: mx.example.com; dmarc=pass header.from={domain}"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def trusted(raw: bytes, domain: str) -> bytes:
    """As our own MTA hands it in: its verdict on top."""
    return DMARC.format(domain=domain).encode() + b"\r\n" + raw


def to(sent: list[Sent], recipient: str, template: str = "") -> Sent:
    found = [one for one in sent if one.item.recipient == recipient and template in ("", one.item.template)]
    assert len(found) == 1, f"{len(found)} mails of {template or 'any kind'} to {recipient} in {sent}"
    return found[0]


def kinds(house: House, number: int) -> list[EventKind]:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return [event.kind for event, _ in house.store.events(ticket.id)]


def status(house: House, number: int) -> Status:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return ticket.status


def opened(house: House, **headers: str) -> Sent:
    """Request 1 of Bob; returns Jane's notice of it."""
    house.receive(mail(**headers))
    return to(house.sent(), JANE, "opened")


def address_of(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


def answer(
    house: House, notice: Sent, text: str, *, sender: str = f"Jane Doe <{JANE}>", message_id: str = "<j1@staff.example>"
) -> list[Sent]:
    house.receive(
        reply(notice.item.raw, text, sender=sender, message_id=message_id), to=address_of(notice["Reply-To"]), sender=address_of(sender)
    )
    return house.sent()


def outcome(house: House, spool_id: int) -> tuple[str, str]:
    row = house.store.spool_row(spool_id)
    return row.outcome, row.reason


# -- customers ------------------------------------------------------------------------------------------------------


def test_participants_words_go_to_the_others_and_to_staff(house: House) -> None:
    notice = opened(house, headers=f"Cc: {ANN}")
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.receive(
        reply(words.item.raw, "The red one.", sender=f"Bob Roe <{BOB}>", message_id="<b2@acme.example>"), to=address_of(words["Reply-To"])
    )
    sent = house.sent()
    relayed = to(sent, ANN, "relayed")
    assert relayed["From"] == "Bob Roe via Example <support@example.com>"
    assert "The red one." in relayed.text
    assert "Which printer?" not in relayed.text
    assert "The red one." in to(sent, JANE, "notice").text
    assert not [one for one in sent if one.item.recipient == BOB]


def test_a_reply_all_is_passed_on_to_nobody_twice(house: House) -> None:
    notice = opened(house, headers=f"Cc: {ANN}")
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    raw = reply(words.item.raw, "The red one.", sender=f"Bob Roe <{BOB}>", message_id="<b2@acme.example>").replace(
        b"\r\nMessage-ID", b"\r\nCc: ann@acme.example\r\nMessage-ID", 1
    )
    house.receive(raw, to=address_of(words["Reply-To"]))
    assert not [one for one in house.sent() if one.item.recipient == ANN]


def test_a_tag_alone_is_unverified_and_reopens_but_is_passed_on_to_nobody(house: House) -> None:
    opened(house, headers=f"Cc: {ANN}")
    house.engine.command(1, "Status: waiting", "root", house.now)
    house.sent()
    house.receive(mail(subject="Re: [Example #1] Printer down", text="Still down.", message_id="<b9@acme.example>"))
    sent = house.sent()
    assert "Unverified" in to(sent, JANE, "notice").text
    assert not [one for one in sent if one.item.recipient in (ANN, BOB)]
    assert status(house, 1) is Status.OPEN
    assert EventKind.UNVERIFIED in kinds(house, 1)


def test_dmarc_pass_makes_a_tag_enough(house: House) -> None:
    opened(house, headers=f"Cc: {ANN}")
    house.receive(
        trusted(mail(subject="Re: [Example #1] Printer down", text="Still down.", message_id="<b9@acme.example>"), "acme.example"),
        peer="127.0.0.1",
    )
    assert to(house.sent(), ANN, "relayed")


def test_a_colleague_of_the_organisation_joins_and_sees_nothing_earlier(house: House) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.receive(
        reply(words.item.raw, "I sit beside Bob.", sender="Carl <carl@acme.example>", message_id="<c1@acme.example>"),
        to=address_of(words["Reply-To"]),
        sender="carl@acme.example",
    )
    sent = house.sent()
    assert not [one for one in sent if one.item.recipient == "carl@acme.example"]
    assert "new on this request" in to(sent, JANE, "notice").text
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert "carl@acme.example" in [p.address for p in ticket.people(Role.CC)]


def test_a_stranger_with_a_signed_address_reaches_staff_only_and_splits_off_in_time(house: House) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.receive(
        mail(
            sender=f"Eve <{EVE}>",
            to=address_of(words["Reply-To"]),
            subject="Re: [Example #1] Printer down",
            text="Let me in.",
            message_id="<e1@elsewhere.example>",
            headers=f"In-Reply-To: {words['Message-ID']}",
        ),
        to=address_of(words["Reply-To"]),
        sender=EVE,
    )
    sent = house.sent()
    received = to(sent, EVE, "received")
    assert "1" not in received["Subject"]
    assert "printer" not in received.text.lower()
    assert "From outside" in to(sent, JANE, "notice").text
    assert not [one for one in sent if one.item.recipient == BOB]
    assert house.store.by_number(2) is None
    house.forward(days=3)
    house.sweep()
    ticket = house.store.by_number(2)
    assert ticket is not None
    assert ticket.requestor is not None
    assert ticket.requestor.address == EVE
    assert ticket.opened_at == house.now, "its clocks start at the split"
    assert to(house.sent(), EVE, "acknowledgement")


def from_outside(house: House, notice: Sent, *headers: str) -> None:
    """Eve writes to Bob's own address of his request."""
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    raw = mail(sender=f"Eve <{EVE}>", to=address_of(words["Reply-To"]), subject="Re: [Example #1] Printer down", text="Let me in.",
               message_id="<e1@elsewhere.example>", headers="\r\n".join((f"In-Reply-To: {words['Message-ID']}", *headers)))
    house.receive(raw, to=address_of(words["Reply-To"]), sender=EVE)


@pytest.mark.parametrize("header", ["Precedence: bulk", "X-Auto-Response-Suppress: All"])
def test_what_gets_no_automatic_answer_gets_none_when_it_is_split_off(house: House, header: str) -> None:
    from_outside(house, opened(house), header)
    assert not [one for one in house.sent() if one.item.recipient == EVE]
    house.forward(days=3)
    house.sweep()
    assert house.store.by_number(2) is not None
    assert not [one for one in house.sent() if one.item.recipient == EVE]


@pytest.mark.parametrize(("unknown", "heard", "clocks"), [("hold", [], 0), ("answer elsewhere", ["prepared"], 0),
                                                          ("best-effort", ["acknowledgement"], 0), ("serve", ["acknowledgement"], 2)])
def test_words_that_are_split_off_are_served_as_their_author_is(tmp_path: Path, unknown: str, heard: list[str], clocks: int) -> None:
    plan = blueprint()
    rules = f'\n[customers]\nunknown = "{unknown}"\n\n[answers.elsewhere]\ntext = "Please ask your own provider."\n'
    policy = parse(plan.policies["support"].text + rules, "default.toml")
    house = House(tmp_path, replace(plan, policies=dict.fromkeys(plan.policies, policy)))
    try:
        from_outside(house, opened(house))
        house.sent()
        house.forward(days=3)
        house.sweep()
        assert [one.item.template for one in house.sent() if one.item.recipient == EVE] == heard
        ticket = house.store.by_number(2)
        assert ticket is not None
        assert len([clock for clock in ticket.clocks if clock.open]) == clocks
    finally:
        house.close()


@pytest.mark.parametrize("word", ["accept", "split"])
def test_staff_decide_about_words_from_outside(house: House, word: str) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.receive(
        mail(
            sender=f"Eve <{EVE}>",
            to=address_of(words["Reply-To"]),
            subject="Re: [Example #1] Printer down",
            text="Let me in.",
            message_id="<e1@elsewhere.example>",
            headers=f"In-Reply-To: {words['Message-ID']}",
        ),
        to=address_of(words["Reply-To"]),
        sender=EVE,
    )
    house.sent()
    results = house.engine.command(1, word, "root", house.now)
    assert results[0]["done"], results
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert (EVE in [p.address for p in ticket.people(Role.CC)]) is (word == "accept")
    assert (house.store.by_number(2) is not None) is (word == "split")
    house.forward(days=3)
    house.sweep()
    assert (house.store.by_number(2) is not None) is (word == "split")


def test_a_stranger_with_the_number_opens_his_own_linked_request(house: House) -> None:
    opened(house)
    house.receive(mail(sender=f"Eve <{EVE}>", subject="Re: [Example #1] Printer down", message_id="<e1@elsewhere.example>"), sender=EVE)
    sent = house.sent()
    assert to(sent, EVE, "acknowledgement")["Subject"] == "Re: [Example #2] Printer down"
    assert "#1" in to(sent, JANE, "opened").text


def test_closed_for_long_continues_in_a_new_request(house: House) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.engine.command(1, "Status: closed", "root", house.now)
    house.sent()
    house.forward(days=5)
    house.receive(
        reply(words.item.raw, "It is back.", sender=f"Bob Roe <{BOB}>", message_id="<b2@acme.example>"), to=address_of(words["Reply-To"])
    )
    assert status(house, 1) is Status.OPEN
    house.engine.command(1, "Status: closed", "root", house.now)
    house.sent()
    house.forward(days=80)
    house.receive(
        reply(words.item.raw, "And again.", sender=f"Bob Roe <{BOB}>", message_id="<b3@acme.example>"), to=address_of(words["Reply-To"])
    )
    assert status(house, 1) is Status.CLOSED
    ticket = house.store.by_number(2)
    assert ticket is not None
    assert "continues #1" in to(house.sent(), JANE, "opened").text


def test_dmarc_fail_opens_without_an_automatic_answer(house: House) -> None:
    house.receive(b"Authentication-Results: mx.example.com; dmarc=fail header.from=acme.example\r\n" + mail(), peer="127.0.0.1")
    assert [one.item.template for one in house.sent()] == ["opened", "opened"]


# -- staff ----------------------------------------------------------------------------------------------------------


def test_a_comment_stays_among_staff(house: House) -> None:
    opened(house)
    house.receive(
        trusted(
            mail(
                sender=f"Jane Doe <{JANE}>",
                to="support-comment@example.com",
                subject="[Example #1] Printer down",
                text="Fuser, I guess.",
                message_id="<j9@staff.example>",
            ),
            "staff.example",
        ),
        to="support-comment@example.com",
        sender=JANE,
        peer="127.0.0.1",
    )
    sent = house.sent()
    assert [one.item.recipient for one in sent] == [KIM]
    assert sent[0]["From"] == "Jane Doe via Example <support-comment@example.com>"


def test_both_addresses_at_once_is_a_comment_and_the_author_is_asked(house: House) -> None:
    notice = opened(house)
    raw = reply(notice.item.raw, "Shall I tell him?", sender=f"Jane Doe <{JANE}>", message_id="<j9@staff.example>")
    raw = raw.replace(b"\r\nMessage-ID", b"\r\nCc: support-comment@example.com\r\nMessage-ID", 1)
    house.receive(raw, to=address_of(notice["Reply-To"]), sender=JANE)
    sent = house.sent()
    assert not [one for one in sent if one.item.recipient == BOB]
    asked = to(sent, JANE, "asked")
    confirm = address_of_link(asked, "Send to the customer")
    house.receive(
        mail(sender=f"Jane Doe <{JANE}>", to=confirm, subject="yes", text="", message_id="<j10@staff.example>"), to=confirm, sender=JANE
    )
    words = to(house.sent(), BOB, "words")
    assert "Shall I tell him?" in words.text


def address_of_link(sent: Sent, label: str) -> str:
    _, _, rest = sent.text.partition(label)
    return rest.partition("<mailto:")[2].partition("?")[0]


def test_only_a_tag_from_staff_is_asked_about_first(house: House) -> None:
    opened(house)
    spool = house.receive(
        trusted(
            mail(
                sender=f"Jane Doe <{JANE}>", subject="Re: [Example #1] Printer down", text="Try again.", message_id="<j9@staff.example>"
            ),
            "staff.example",
        ),
        sender=JANE,
        peer="127.0.0.1",
    )
    asked = to(house.sent(), JANE, "asked")
    assert "Bob Roe" in asked.text
    assert outcome(house, spool)[0] == Outcome.HELD
    confirm = address_of_link(asked, "Send to the customer")
    house.receive(
        mail(sender=f"Jane Doe <{JANE}>", to=confirm, subject="yes", text="", message_id="<j10@staff.example>"), to=confirm, sender=JANE
    )
    assert "Try again." in to(house.sent(), BOB, "words").text
    assert outcome(house, spool)[0] == Outcome.EVENT
    house.receive(
        mail(sender=f"Jane Doe <{JANE}>", to=confirm, subject="yes", text="", message_id="<j11@staff.example>"), to=confirm, sender=JANE
    )
    assert not house.sent(), "a second yes does nothing"


def test_a_quoted_internal_text_in_a_public_answer_is_not_sent(house: House) -> None:
    notice = opened(house)
    leak = "Kim said: mail support-comment@example.com about it."
    spool = house.receive(
        reply(notice.item.raw, leak, sender=f"Jane Doe <{JANE}>", message_id="<j9@staff.example>"),
        to=address_of(notice["Reply-To"]),
        sender=JANE,
    )
    sent = house.sent()
    assert not [one for one in sent if one.item.recipient == BOB]
    assert "comment address" in to(sent, JANE, "asked").text
    assert outcome(house, spool)[0] == Outcome.HELD


def test_a_forwarded_mail_opens_a_request_of_its_writer(house: House) -> None:
    inner = (
        "---------- Forwarded message ---------\nFrom: Zoe Poe <zoe@far.example>\nDate: Mon, 23 Nov 2026 at 08:00\n"
        "Subject: VPN gone\nTo: <jane@staff.example>\n\nThe VPN is gone.\n"
    )
    house.receive(
        trusted(
            mail(
                sender=f"Jane Doe <{JANE}>", subject="Fwd: VPN gone", text="She rang me too.\n\n" + inner, message_id="<f1@staff.example>"
            ),
            "staff.example",
        ),
        sender=JANE,
        peer="127.0.0.1",
    )
    sent = house.sent()
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.requestor is not None
    assert ticket.requestor.address == "zoe@far.example"
    assert ticket.subject == "VPN gone"
    assert not [one for one in sent if one.item.recipient == "zoe@far.example"], "she is told once staff say so"
    assert "She rang me too." in to(sent, KIM, "comment").text
    asked = to(sent, JANE, "asked")
    confirm = address_of_link(asked, "ell the requestor")
    house.receive(
        mail(sender=f"Jane Doe <{JANE}>", to=confirm, subject="yes", text="", message_id="<j10@staff.example>"), to=confirm, sender=JANE
    )
    acknowledgement = to(house.sent(), "zoe@far.example", "acknowledgement")
    assert "She rang" not in acknowledgement.text


def test_an_attached_mail_opens_a_request_too(house: House) -> None:
    inner = EmailMessage()
    inner["From"], inner["Subject"], inner["Message-ID"] = "Zoe Poe <zoe@far.example>", "VPN gone", "<z1@far.example>"
    inner.set_content("The VPN is gone.")
    outer = EmailMessage()
    outer["From"], outer["To"], outer["Subject"] = f"Jane Doe <{JANE}>", "support@example.com", "Fwd: VPN gone"
    outer["Message-ID"], outer["Date"] = "<f1@staff.example>", "Mon, 23 Nov 2026 10:00:00 +0100"
    outer.set_content("For the queue.")
    outer.add_attachment(inner)
    house.receive(trusted(outer.as_bytes(), "staff.example"), sender=JANE, peer="127.0.0.1")
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.requestor is not None
    assert ticket.requestor.address == "zoe@far.example"
    assert "The VPN is gone." in to(house.sent(), KIM, "opened").text


def test_a_forward_on_a_request_is_recorded_and_goes_nowhere(house: House) -> None:
    notice = opened(house)
    inner = (
        "\n---------- Forwarded message ---------\nFrom: Zoe Poe <zoe@far.example>\nDate: Mon, 23 Nov 2026 at 08:00\n"
        "Subject: Fw\nTo: <jane@staff.example>\n\nIt was the fuser.\n"
    )
    raw = reply(
        notice.item.raw,
        "What the vendor says:" + inner,
        sender=f"Jane Doe <{JANE}>",
        message_id="<j9@staff.example>",
        subject="Fwd: Printer down",
    )
    house.receive(raw, to=address_of(notice["Reply-To"]), sender=JANE)
    sent = house.sent()
    assert not [one for one in sent if one.item.recipient == BOB]
    assert EventKind.FORWARDED in kinds(house, 1)


def test_a_fresh_mail_to_a_customer_with_us_in_cc_opens_on_his_behalf(house: House) -> None:
    house.receive(
        trusted(
            mail(
                sender=f"Jane Doe <{JANE}>",
                to="Zoe Poe <zoe@far.example>",
                subject="Your VPN",
                text="I saw an outage at yours.",
                message_id="<j1@staff.example>",
                headers="Cc: support@example.com",
            ),
            "staff.example",
        ),
        sender=JANE,
        peer="127.0.0.1",
    )
    sent = house.sent()
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.requestor is not None
    assert ticket.requestor.address == "zoe@far.example"
    assert ticket.answered
    assert "#1" in to(sent, "zoe@far.example", "numbered").text
    assert "outage" not in to(sent, "zoe@far.example").text, "that mail is not sent again"
    assert {clock.name: str(clock.state) for clock in ticket.clocks}["first-response"] == "met"


def test_staff_to_us_alone_are_customers(house: House) -> None:
    house.receive(
        trusted(
            mail(sender=f"Jane Doe <{JANE}>", subject="My chair", text="It squeaks.", message_id="<j1@staff.example>"), "staff.example"
        ),
        sender=JANE,
        peer="127.0.0.1",
    )
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.requestor is not None
    assert ticket.requestor.address == JANE
    assert not ticket.answered


def test_a_staff_claim_without_proof_is_held_and_shown_to_the_queue_in_time(house: House) -> None:
    opened(house)
    spool = house.receive(
        mail(sender=f"Jane Doe <{JANE}>", subject="Re: [Example #1] Printer down", text="Hello.", message_id="<x@evil.example>"),
        sender="x@evil.example",
    )
    assert outcome(house, spool)[0] == Outcome.HELD
    assert [one.item.template for one in house.sent()] == ["held"]
    house.receive(
        mail(sender=f"Jane Doe <{JANE}>", subject="Re: [Example #1] Printer down", text="Again.", message_id="<y@evil.example>"),
        sender="x@evil.example",
    )
    assert not house.sent(), "at most one notice an hour"
    house.forward(hours=1, minutes=1)
    house.settle()
    notice = to(house.sent(), JANE, "held")
    assert "Hello." in notice.text
    assert "Again." in notice.text
    house.forward(hours=3)
    house.settle()
    shown = to([one for one in house.sent() if "Hello." in one.text], KIM, "held-expired")
    assert "jane@staff.example" in shown.text


# -- other kinds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ("Auto-Submitted: auto-replied", BOB),
        ("X-Autoreply: yes", BOB),
        ("X-Autorespond: yes", BOB),
    ],
)
def test_robots_are_inert(house: House, headers: str, sender: str) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.engine.command(1, "Status: waiting", "root", house.now)
    house.sent()
    house.receive(
        mail(
            sender=sender,
            to=address_of(words["Reply-To"]),
            subject="Re: Printer down",
            headers=f"{headers}\nIn-Reply-To: {words['Message-ID']}",
            message_id="<auto@acme.example>",
        ),
        to=address_of(words["Reply-To"]),
        sender=sender,
    )
    assert not house.sent()
    assert status(house, 1) is Status.WAITING
    assert EventKind.AUTO_REPLY in kinds(house, 1)
    fresh = house.receive(mail(sender=sender, headers=headers, message_id="<auto2@acme.example>"), sender=sender)
    assert not house.sent()
    assert outcome(house, fresh)[0] == Outcome.IGNORED
    assert house.store.by_number(2) is None


@pytest.mark.parametrize(
    "headers", ["Precedence: bulk", "List-Id: <ops.groups.acme.example>\nPrecedence: list", "Auto-Submitted: auto-generated"]
)
def test_machines_and_lists_open_but_get_no_automatic_answer(house: House, headers: str) -> None:
    house.receive(mail(headers=headers))
    assert sorted(one.item.template for one in house.sent()) == ["opened", "opened"]


def test_a_bounced_answer_returns_to_its_author_and_gives_the_time_back(house: House) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    house.forward(minutes=30)
    head = (
        f"From: MAILER-DAEMON@mx.acme.example\r\nTo: {words.item.envelope_sender}\r\nSubject: Undelivered Mail\r\n"
        "Message-ID: <dsn@mx.acme.example>\r\n"
        "Date: Mon, 23 Nov 2026 10:30:00 +0100\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    ).encode()
    body = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nno such user\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        b"Reporting-MTA: dns; mx.acme.example\r\n\r\nFinal-Recipient: rfc822; bob@acme.example\r\nAction: failed\r\n"
        b"Status: 5.1.1\r\n\r\n--b--\r\n"
    )
    spool = house.receive(head + body, to=words.item.envelope_sender, sender="")
    told = to(house.sent(), JANE, "undeliverable")
    assert BOB in told.text
    assert "5.1.1" in told.text
    assert outcome(house, spool)[0] in (Outcome.EVENT, Outcome.BOUNCE)
    ticket = house.store.by_number(1)
    assert ticket is not None
    states = [(clock.name, str(clock.state)) for clock in ticket.clocks if clock.name == "first-response"]
    assert states == [("first-response", "returned"), ("first-response", "running")]


def test_a_forged_report_changes_nothing(house: House) -> None:
    notice = opened(house)
    words = to(answer(house, notice, "Which printer?"), BOB, "words")
    before = house.store.by_number(1)
    raw = (
        b"From: MAILER-DAEMON@evil.example\r\nTo: support@example.com\r\nSubject: Undelivered\r\nMessage-ID: <d@evil.example>\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        b"Final-Recipient: rfc822; bob@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: "
        + words["Message-ID"].encode()
        + b"\r\n\r\n--b--\r\n"
    )
    house.receive(raw, sender="")
    assert not [one for one in house.sent() if one.item.template == "undeliverable"]
    after = house.store.by_number(1)
    assert before is not None
    assert after is not None
    assert before.clocks == after.clocks


def test_postmasters_mail_goes_to_the_admin_once(house: House) -> None:
    spool = house.receive(mail(to="postmaster@example.com", text="Your server is odd."), to="postmaster@example.com")
    sent = to(house.sent(), "ops@admin.example", "admin-notice")
    assert [part.get_filename() for part in sent.mail.iter_attachments()] == ["mail.eml"]  # type: ignore[attr-defined]
    assert outcome(house, spool)[0] == Outcome.QUARANTINED
    house.receive(mail(to="postmaster@example.com", text="Your server is odd.", headers="X-Trace: 2"), to="postmaster@example.com")
    assert not house.sent()


def test_the_sum_closes_after_all_of_it(house: House) -> None:
    test_robots_are_inert(house, "Auto-Submitted: auto-replied", BOB)
    assert house.store.audit_counts().closes
    assert all(house.store.replayed(ticket.id).status is ticket.status for ticket in house.store.tickets([1]).values())
