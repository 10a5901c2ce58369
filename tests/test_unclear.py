"""What looks like a command and cannot be carried out: its author is asked, and nothing reaches the customer before he answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.grammar.commands import Parsed, of_mail
from rtmail.desk.ticket import EventKind, Status
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.reading import message
from rtmail.store import Outcome
from tests.fakes.house import NOW, House, blueprint, mail
from tests.fakes.staff import ANN, BOB, JANE, KIM, answered, clicked, flat, fresh_id, opened, receivers, request, sent_to, trusted

WORDS = "Dear Bob, it works again.\n\nJane"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path, blueprint(policy="portacare"))
    yield one
    one.close()


def said_to_customers(house: House) -> list[str]:
    log = house.store.events(request(house).id)
    return [content.text for event, content in log if content and event.kind is EventKind.CORRESPONDENCE]


@pytest.mark.parametrize(
    ("text", "line", "right", "words"),
    [
        (f"commnet\n\n{WORDS}", "commnet", "comment", WORDS),
        (f"Comment: he never pays\n\n{WORDS}", "Comment: he never pays", "comment", WORDS),
        (f"Internal: he never pays\n\n{WORDS}", "Internal: he never pays", "comment", WORDS),
        (f"Resolved.\n\n{WORDS}", "Resolved.", "resolve", WORDS),
        (f"take\nStatsu: resolved\n\n{WORDS}", "Statsu: resolved", "Status: resolved", WORDS),
        ("Dear Bob, it works again.\n\nresolve\n\nJane", "resolve", "resolve", WORDS),
        ("Dear Bob, it works again.\n\nInternal: he never pays.\n\nJane", "Internal: he never pays.", "comment", WORDS),
        ("Dear Bob,\nit works again.\nresolve", "resolve", "resolve", "Dear Bob,\nit works again."),
    ],
)
def test_the_whole_mail_waits_for_its_author(house: House, text: str, line: str, right: str, words: str) -> None:
    notice = sent_to(opened(house, cc="Ann Poe <ann@acme.example>"), JANE, "opened")
    before = request(house)
    sent = answered(house, notice, text)
    assert {one.item.recipient for one in sent} == {JANE}
    (asked,) = sent
    assert asked.item.template == "asked"
    assert f"- {line} NOT DONE:" in flat(asked)
    assert f"Write instead: {right}" in flat(asked)
    after = request(house)
    assert (after.status, after.owner, after.priority) == (before.status, before.owner, before.priority), "nothing is half done"
    assert house.store.spool_row(2).outcome == Outcome.HELD

    # What he chooses is done then, once.
    sent = clicked(house, asked, "send to the customer")
    for who in (BOB, ANN):
        assert sent_to(sent, who, "words").text.replace("\r\n", "\n").startswith(words.replace("\n\n", "\n").split("\n")[0])
        assert line not in sent_to(sent, who, "words").text.split("ref:")[0].splitlines()
    assert said_to_customers(house) == [words]
    assert "were sent to Bob Roe" in flat(sent_to(sent, JANE, "receipt"))
    assert (request(house).owner != 0) is text.startswith("take")
    again = clicked(house, asked, "keep as a comment among staff")
    assert "that mail was let through before" in flat(sent_to(again, JANE, "receipt"))
    assert len(said_to_customers(house)) == 1


def test_sent_just_as_it_was_written(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    asked = sent_to(answered(house, notice, "take\nList attached.\n\nPlease read it."), JANE, "asked")
    sent = clicked(house, asked, "send with the lines above in it")
    assert said_to_customers(house) == ["List attached.\n\nPlease read it."]
    assert "List attached." in sent_to(sent, BOB, "words").text
    assert "take" not in sent_to(sent, BOB, "words").text.split("ref:")[0]
    assert request(house).owner != 0


def test_kept_among_staff(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    asked = sent_to(answered(house, notice, "commnet\n\nHe never pays."), JANE, "asked")
    sent = clicked(house, asked, "keep as a comment among staff")
    assert receivers(sent, "words") == set()
    assert said_to_customers(house) == []
    assert "He never pays." in sent_to(sent, KIM, "comment").text if receivers(sent, "comment") else True
    log = [(event.kind, content.text) for event, content in house.store.events(request(house).id) if content]
    assert (EventKind.COMMENT, "commnet\n\nHe never pays.") in log


def test_sent_again_corrected_it_is_done_once(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, f"time 30m\nreslove\n\n{WORDS}")
    answered(house, notice, f"time 30m\nresolve\n\n{WORDS}")
    ticket = request(house)
    assert ticket.fields["worked"] == {"minutes": 30, "billable": 0}
    assert ticket.status is Status.RESOLVED
    assert said_to_customers(house) == [WORDS]


def test_without_words_for_the_customer_the_other_commands_run(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    said = flat(sent_to(answered(house, notice, "take\nreslove"), JANE, "receipt"))
    assert "take done: it is yours now" in said
    assert "Write instead: resolve" in said


def test_a_comment_loses_no_line(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    comment = notice.text.partition("<mailto:support-comment+")[2].partition("?")[0]
    comment = f"support-comment+{comment}"
    raw = mail(sender=f"Jane Doe <{JANE}>", to=comment, subject=f"Re: {notice['Subject']}", text="Resolved.\n\nBut not paid.",
               message_id=fresh_id(JANE))
    house.receive(trusted(raw, JANE), to=comment, sender=JANE, peer="127.0.0.1")
    assert "Write instead: resolve" in flat(sent_to(house.sent(), JANE, "receipt"))
    assert any(content and content.text == "Resolved.\n\nBut not paid." for _, content in house.store.events(request(house).id))


def test_internal_words_that_are_quoted_hold_back_the_commands_as_well(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "resolve\n\nSee support-comment@example.com.")
    assert [one.item.template for one in sent] == ["asked"]
    assert request(house).status is Status.NEW


# Whose words they are


GMAIL = "---------- Forwarded message ---------\nFrom: Bob Roe <bob@acme.example>\nDate: Mon, 23 Nov 2026 at 10:00\n" \
    "Subject: Printer\nTo: <jane@staff.example>\n\n"
OUTLOOK = "From: Bob Roe <bob@acme.example>\nSent: Monday, 23 November 2026 10:00\nTo: Jane Doe <jane@staff.example>\nSubject: Printer\n\n"
ONLY_ATTRIBUTED = "On Mon, 23 Nov 2026 at 10:00, Bob Roe <bob@acme.example> wrote:\n\n"


def read(raw: bytes) -> Mail:
    envelope = Envelope(sender=JANE, recipients=("support@example.com",), ingress="smtp", arrived_at=NOW)
    return message.read(raw, envelope, blueprint().site)


def parsed(text: str, subject: str) -> Parsed:
    return of_mail(read(mail(sender=f"Jane Doe <{JANE}>", text=text, subject=subject)))


@pytest.mark.parametrize("header", [GMAIL, OUTLOOK, ONLY_ATTRIBUTED, "________________________________\n" + OUTLOOK])
@pytest.mark.parametrize("subject", ["Re: Printer", "Fwd: Printer"])
@pytest.mark.parametrize("theirs", ["resolve\n\nIt is down.", "merge 17", "Status: closed\nOwner: nobody", "Dear all,\n\nresolve\n\nBob"])
def test_below_a_header_without_a_quote_nobody_commands(header: str, subject: str, theirs: str) -> None:
    assert parsed(header + theirs, subject).commands == ()
    above = parsed(f"take\n\n{header}{theirs}", subject)
    assert [one.name for one in above.commands] == ["take"]


@pytest.mark.parametrize(
    "text",
    [
        "> resolve\n> It is down.\n",
        ONLY_ATTRIBUTED + "> resolve\n",
        "| resolve\n",
        "Thanks.\n\n-- \nresolve\n",
        "Thanks.\n\nSent from my iPhone\nresolve\n",
    ],
)
def test_quotes_and_signatures_command_nothing(text: str) -> None:
    assert parsed(text, "Re: Printer").commands == ()


def test_who_answers_below_a_quote_commands() -> None:
    assert [one.name for one in parsed(ONLY_ATTRIBUTED + "> It is down.\n\ntake\nresolve\n", "Re: Printer").commands] == ["take", "resolve"]


def test_an_attached_mail_commands_nothing(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    to = notice["Reply-To"].rpartition("<")[2].rstrip(">")
    inner = "From: bob@acme.example\r\nSubject: x\r\nMessage-ID: <in@acme.example>\r\n\r\nresolve\r\n"
    raw = (
        f"From: Jane Doe <{JANE}>\r\nTo: {to}\r\nSubject: Fwd: x\r\nMessage-ID: {fresh_id(JANE)}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntake\r\n'
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b--\r\n"
    )
    house.receive(trusted(raw.encode(), JANE), to=to, sender=JANE, peer="127.0.0.1")
    ticket = request(house)
    assert ticket.owner != 0, "her own command runs"
    assert ticket.status is Status.NEW, "the attached one does not"


def alternative(plain: str, html: str) -> bytes:
    return (
        f"From: Jane Doe <{JANE}>\r\nTo: support@example.com\r\nSubject: Re: Printer\r\nMessage-ID: <a@x>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{plain}\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("plain", "html", "commands"),
    [
        ("take\n\nHello", "<div>take</div><p>Hello</p>", ["take"]),
        ("*Status:* resolved\n", "<b>Status:</b>&nbsp;resolved", ["status"]),
        ("for bob@acme.example<mailto:bob@acme.example>", '<p>for <a href="mailto:bob@acme.example">bob@acme.example</a></p>', ["for"]),
        ("merge 17\n\nHello", "<p>Hello</p>", []),
        ("merge 17\n\nHello", "<p>merge 18</p><p>Hello</p>", []),
        ("resolve", "<p style='display:none'>resolve</p><p>I look into it</p>", []),
    ],
)
def test_a_command_stands_in_both_versions_of_a_mail(plain: str, html: str, commands: list[str]) -> None:
    found = of_mail(read(alternative(plain, html)))
    assert [one.name for one in found.commands] == commands
    assert bool(found.unclear) is not bool(commands)


@pytest.mark.parametrize(
    "html",
    [
        "<div>take</div><div>Priority: P2</div><div><br></div><div>Dear Bob</div>",
        "<p>take</p><p>Priority:&nbsp;P2</p><p>Dear Bob</p>",
        "<p class=MsoNormal>Take<o:p></o:p></p><p class=MsoNormal><b>Priority:</b> P2<o:p></o:p></p><p>&nbsp;</p><p>Dear Bob</p>",
        "<html><body><span>Take.</span><br><span>PRIORITY:\u00a0p2</span><br><br>Dear Bob</body></html>",
        "<ul><li>take</li><li>priority P2</li></ul><p>Dear Bob</p>",
        "<table><tr><td>take</td></tr><tr><td>Priority: P2</td></tr></table><p>Dear Bob</p>",
        "\ufeff<div dir=ltr>\u200btake<br>Priority: P2</div><br>Dear Bob",
    ],
)
def test_mails_in_html_alone(html: str) -> None:
    raw = (
        f"From: Jane Doe <{JANE}>\r\nTo: support@example.com\r\nSubject: Re: x\r\nMessage-ID: <a@x>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{html}\r\n"
    ).encode()
    found = of_mail(read(raw))
    assert [(one.name, one.value.lower()) for one in found.commands] == [("take", ""), ("priority", "p2")]
    assert found.words.strip() == "Dear Bob"


@pytest.mark.parametrize("ack", ["ask", "yes", "no"])
def test_commands_above_a_forwarded_mail_run_and_what_is_forwarded_commands_nothing(tmp_path: Path, ack: str) -> None:
    plan = blueprint(policy="portacare")
    policies = {name: replace(policy, forward_ack=ack) for name, policy in plan.policies.items()}
    house = House(tmp_path, replace(plan, policies=policies))
    try:
        text = f"take\nPriority: P2\nfor ann@acme.example\n\nHe called twice.\n\n{GMAIL}resolve\n\nIt is down."
        raw = mail(sender=f"Jane Doe <{JANE}>", text=text, subject="Fwd: Printer", message_id=fresh_id(JANE))
        house.receive(trusted(raw, JANE), sender=JANE, peer="127.0.0.1")
        sent = house.sent()
        ticket = request(house)
        assert (ticket.priority, ticket.status, ticket.subject) == ("P2", Status.NEW, "Printer")
        assert house.engine.office.directory.by_party(ticket.owner).email == JANE  # type: ignore[union-attr]
        assert ticket.requestor is not None
        assert ticket.requestor.address == ANN
        answers = [one for one in sent if one.item.recipient == JANE and one.item.template in ("receipt", "asked")]
        assert len(answers) == 1, "one answer to one mail"
        assert "take done: it is yours now" in flat(answers[0])
        assert ("shall ann@acme.example be told" in flat(answers[0])) is (ack == "ask")
        assert receivers(sent, "acknowledgement") == ({ANN} if ack == "yes" else set())
        comments = [c.text for e, c in house.store.events(ticket.id) if c and e.kind is EventKind.COMMENT]
        assert comments == ["He called twice."]

        # Forwarded without a word of his own: nothing in it is his.
        text = f"{GMAIL}close\nmerge 1\n\nIt is down."
        raw = mail(sender=f"Jane Doe <{JANE}>", text=text, subject="Fwd: Printer", message_id=fresh_id(JANE))
        house.receive(trusted(raw, JANE), sender=JANE, peer="127.0.0.1")
        second = request(house, 2)
        assert (second.status, second.merged_into) == (Status.NEW, 0)
        assert not [e for e, c in house.store.events(second.id) if e.kind is EventKind.COMMENT]
    finally:
        house.close()
