"""A solved request: the question, approval by link or by one word, thanks, silence, and words that nobody vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind
from rtmail.mail.token import Action
from rtmail.store import Origin
from tests.fakes.customers import ANN, BOB, JANE, Case, kinds
from tests.fakes.house import House, mail


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """A request that is Jane's, answered, and not yet solved."""
    house = House(tmp_path)
    try:
        case = Case(house)
        case.open()
        case.staff("take\nPriority: normal\n\nWe have a look.")
        yield case
    finally:
        house.close()


@pytest.fixture
def solved(case: Case) -> Case:
    case.forward(minutes=5)
    case.staff("resolve\n\nThe tray is mended.")
    assert case.status == "resolved"
    return case


def test_words_and_question_are_one_mail(case: Case) -> None:
    case.forward(minutes=5)
    sent = case.staff("resolve\n\nThe tray is mended.")
    assert kinds(sent) == [("closing", "bob"), ("receipt", "jane"), ("words", "ann")]
    question = case.last(BOB)
    assert "The tray is mended." in question.text
    assert "Is it?" in question.text
    assert "resolve" not in question.text.splitlines()
    assert question["From"] == "Jane Doe via Example <support@example.com>"
    assert question["Auto-Submitted"] == "", "a person wrote it"
    assert "Is it?" not in case.last(ANN).text, "only the requestor is asked"
    due = case.clock("closing").due_at
    assert due is not None
    assert f"{due:%d %b %Y}".lstrip("0") in question.text


def test_resolving_without_words_asks_alone(case: Case) -> None:
    assert kinds(case.staff("resolve")) == [("closing", "bob"), ("receipt", "jane")]
    assert case.last(BOB)["Auto-Submitted"] == "auto-generated"


def test_the_answer_in_the_mail_that_resolves_meets_the_first_response_and_counts_when_it_is_delivered(tmp_path: Path) -> None:
    house = House(tmp_path)
    try:
        case = Case(house)
        case.open()
        case.staff("resolve\n\nOut of paper.")
        assert (case.clock("first-response").state, case.clock("first-response").confirmed) == ("met", True)
        assert case.clock("first-response").settled_person == house.engine.office.directory.people["jane"].party
    finally:
        house.close()


@pytest.mark.parametrize("text", ["", "approve", "Approve.", "Bob Roe\nAcme Ltd, Tel. 123"])
def test_the_requestor_approves_by_link(solved: Case, text: str) -> None:
    solved.clicks(BOB, Action.APPROVE, text)
    assert solved.status == "closed"
    assert not solved.clock("closing").running


def test_words_beside_the_link_are_shown_to_staff(solved: Case) -> None:
    assert kinds(solved.clicks(BOB, Action.APPROVE)) == []
    assert solved.status == "closed"
    solved.clicks(BOB, Action.REOPEN, sent=[one for one in solved.mails if one.item.template == "closing"][-1])
    solved.staff("resolve")
    sent = solved.clicks(BOB, Action.APPROVE, "Next time please call before you come.")
    assert kinds(sent) == [("notice", "jane")]
    assert "call before you come" in sent[0].text
    assert "the request is closed" in sent[0].text
    solved.clicks(JANE, Action.REOPEN, verdict="pass")
    assert solved.status == "open"


@pytest.mark.parametrize("text", ["approve", "Approve!", "approve\n\nThank you, Jane"])
def test_the_requestor_approves_by_one_word(solved: Case, text: str) -> None:
    solved.writes(BOB, text)
    assert solved.status == "closed"


@pytest.mark.parametrize(
    "text",
    [
        "approve\n\nBut how did you do it?", "I approve", "approved by my boss?", "Yes, close it and send me the bill", "no",
        "do not approve",
        "The scanner does not work either.", "Thanks, but it jams again.", "Thanks!\n\nOne more thing: the scanner is dead.",
    ],
)  # fmt: skip
def test_any_other_answer_opens_it_again(solved: Case, text: str) -> None:
    resolution = [(one.name, one.generation) for one in solved.ticket.clocks if one.name == "ladder"]
    solved.writes(BOB, text)
    assert solved.status == "open"
    assert solved.clock("closing").state == "void"
    assert [(one.name, one.generation) for one in solved.ticket.clocks if one.name == "ladder"] == resolution, "the same ladder goes on"
    assert solved.clock("update").running
    assert solved.until(solved.house.now + timedelta(days=20)) is not None
    assert solved.status == "open", "it does not close by itself any more"


YES = ["Yes", "Yes, it is.", "Ja, danke!", "Так."]


@pytest.mark.parametrize("text", YES)
def test_a_bare_yes_to_the_question_alone_approves_and_the_owner_may_undo_it(case: Case, text: str) -> None:
    case.staff("resolve")
    sent = case.writes(BOB, text)
    assert case.status == "closed"
    assert kinds(sent) == [("notice", "jane")]
    assert "Says that it is solved; the request is closed." in sent[0].text
    assert text in sent[0].text
    case.clicks(JANE, Action.REOPEN, sent=sent[0], verdict="pass")
    assert case.status == "open"


@pytest.mark.parametrize("text", ["No", "No.", "No, it is not.", "Nein, noch nicht", "Ні", "Yes?", "Yes, but it jams again."])
def test_a_bare_no_and_a_yes_with_more_open_it_again(case: Case, text: str) -> None:
    case.staff("resolve")
    case.writes(BOB, text)
    assert case.status == "open"


@pytest.mark.parametrize("text", YES)
def test_a_yes_below_words_of_an_engineer_is_a_thanks_since_it_may_be_meant_for_them(solved: Case, text: str) -> None:
    notice = next(one for one in solved.writes(BOB, text) if one.item.recipient == JANE)
    assert solved.status == "resolved"
    assert solved.clock("closing").running
    assert "the request stays resolved, and closes by itself" in " ".join(notice.text.split())
    solved.clicks(JANE, Action.REOPEN, sent=notice, verdict="pass")
    assert solved.status == "open"


def test_a_yes_to_an_engineers_question_is_an_answer(case: Case) -> None:
    case.staff("resolve\n\nThe tray is mended. Does the scanner jam as well?")
    case.writes(BOB, "Yes")
    assert case.status == "open"


def test_a_yes_to_any_other_mail_or_to_an_earlier_question_is_an_answer(case: Case) -> None:
    case.staff("Is it on?")
    words = next(one for one in case.mails if one.item.template == "words" and one.item.recipient == BOB)
    case.staff("resolve")
    case.writes(BOB, "Yes", answering=words["Message-ID"])
    assert case.status == "open"
    first = next(one for one in case.mails if one.item.template == "closing")
    case.forward(minutes=5)
    case.staff("Status: resolved")
    assert case.status == "resolved"
    case.writes(BOB, "Yes", answering=first["Message-ID"])
    assert case.status == "open", "that question was of another solution"


def test_a_yes_of_a_copy_or_of_nobody_known_approves_nothing(case: Case) -> None:
    case.staff("resolve")
    question = case.last(BOB)
    case.writes(ANN, "Yes", answering=question["Message-ID"])
    assert case.status == "open"
    case.staff("Status: resolved")
    case.writes(BOB, "Yes", verdict="fail")
    assert (case.status, case.clock("closing").state) == ("resolved", "paused")


def test_a_yes_that_comes_after_it_closed_by_itself_leaves_it_closed(case: Case) -> None:
    case.staff("resolve")
    question = case.last(BOB)
    due = case.clock("closing").due_at
    assert due is not None
    case.until(due)
    assert case.status == "closed"
    case.writes(BOB, "Yes", answering=question["Message-ID"])
    assert case.status == "closed"


def test_a_yes_where_the_relay_gave_the_question_another_id(case: Case) -> None:
    case.staff("resolve")
    row = case.last(BOB).item
    case.house.store.record("<0102-ses@relay.example>", case.ticket.id, row.event, Origin.RECEIVED, row.person)
    case.writes(BOB, "Yes", answering="<0102-ses@relay.example>")
    assert case.status == "closed"


def test_a_short_thanks_does_neither_and_the_owner_is_told(solved: Case) -> None:
    before = solved.clock("closing")
    sent = solved.writes(BOB, "Great, thank you very much Jane!")
    assert solved.status == "resolved"
    assert solved.clock("closing") == before
    notice = next(one for one in sent if one.item.recipient == JANE)
    assert "A short thanks" in notice.text
    solved.clicks(JANE, Action.REOPEN, sent=notice, verdict="pass")
    assert solved.status == "open"


def test_a_thanks_while_it_is_open_or_waiting_is_an_answer_as_any_other(case: Case) -> None:
    case.staff("wait")
    assert case.status == "waiting"
    case.writes(BOB, "Thanks!")
    assert case.status == "open"


def test_a_thanks_to_a_closed_request_leaves_it_closed_and_other_words_do_not(solved: Case) -> None:
    solved.clicks(BOB, Action.APPROVE)
    told = next(one.text for one in solved.writes(BOB, "Thank you!") if one.item.recipient == JANE)
    assert "A short thanks: the request stays closed." in told
    assert solved.status == "closed"
    told = next(one.text for one in solved.writes(BOB, "It jams once more.") if one.item.recipient == JANE)
    assert "It was closed; it is open again." in told
    assert solved.status == "open"
    assert solved.clock("update").running
    assert solved.clock("update").basis == "reply"


def test_silence_closes_with_a_word_at_its_hour(solved: Case) -> None:
    due = solved.clock("closing").due_at
    assert due is not None
    assert solved.until(due - timedelta(seconds=1)) == []
    assert solved.status == "resolved"
    assert kinds(solved.until(due)) == [("closed", "bob")]
    assert solved.status == "closed"
    assert solved.until(due + timedelta(days=1)) == []
    solved.clicks(BOB, Action.REOPEN)
    assert solved.status == "open"


def test_words_that_come_just_before_the_sweep_are_not_closed_upon(solved: Case) -> None:
    """The mail is read when the closing is due already, and nobody swept yet."""
    due = solved.clock("closing").due_at
    assert due is not None
    solved.house.now = due + timedelta(minutes=1)
    sent = solved.writes(BOB, "It jams again.")
    assert solved.status == "open"
    assert "closed" not in [one.item.template for one in sent]
    assert solved.until(due + timedelta(minutes=5)) == []
    assert solved.status == "open"


def test_a_copy_is_nobodys_approval(solved: Case) -> None:
    """Ann is in Cc: her word is a mail like any other."""
    solved.writes(ANN, "approve")
    assert solved.status == "open"


def test_a_link_in_other_hands_approves_nothing(solved: Case) -> None:
    link = solved.address([one for one in solved.mails if one.item.template == "closing"][-1], Action.APPROVE)
    solved.writes(ANN, "approve", to=link)
    assert solved.status == "open", "her words reached the request as an answer"


@pytest.mark.parametrize("headers", ["Precedence: bulk", "Auto-Submitted: auto-generated"])
def test_machines_approve_nothing(solved: Case, headers: str) -> None:
    """A machine that nobody listed reopens nothing either; staff have to look."""
    solved.writes(BOB, "approve", headers=headers)
    assert (solved.status, solved.clock("closing").state) == ("resolved", "paused")
    solved.clicks(BOB, Action.APPROVE, headers=headers)
    assert solved.status == "resolved"


def test_an_out_of_office_changes_nothing(solved: Case) -> None:
    before = solved.ticket
    solved.writes(BOB, "approve", headers="Auto-Submitted: auto-replied", subject="Automatic reply: Printer down")
    assert (solved.status, solved.clock("closing")) == (str(before.status), [one for one in before.clocks if one.name == "closing"][-1])


def test_what_fails_dmarc_stops_closing_until_staff_looked(solved: Case) -> None:
    due = solved.clock("closing").due_at
    assert due is not None
    solved.forward(hours=1)
    sent = solved.writes(BOB, "approve", verdict="fail")
    assert solved.status == "resolved"
    assert solved.clock("closing").state == "paused"
    assert solved.clock("update").state == "paused", "doubtful words set no clock going"
    assert "does not close by itself" in next(one.text for one in sent if one.item.recipient == JANE)
    solved.until(due + timedelta(days=1))
    assert solved.status == "resolved"
    solved.staff("comment\n\nI called Bob, it was not him.")
    assert solved.clock("closing").running
    later = solved.clock("closing").due_at
    assert later is not None
    assert later > due
    assert kinds(solved.until(later))[0] == ("closed", "bob")


def test_a_link_that_fails_dmarc_stops_closing_too(solved: Case) -> None:
    solved.clicks(BOB, Action.APPROVE, verdict="fail")
    assert (solved.status, solved.clock("closing").state) == ("resolved", "paused")


def test_unverified_words_open_it_again_and_approve_nothing(solved: Case) -> None:
    solved.house.receive(mail(subject="Re: [Example #1] Printer down", text="approve", message_id="<u1@acme.example>"))
    assert solved.status == "open"
    assert len(solved.events(EventKind.UNVERIFIED)) == 1


def test_a_question_that_never_arrived_is_not_answered_by_silence(case: Case) -> None:
    case.staff("resolve")
    question = case.last(BOB)
    bounce = (
        "From: <mailer-daemon@mx.acme.example>\r\nTo: bounces@example.com\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nNo such user\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.acme.example\r\n\r\n"
        "Final-Recipient: rfc822; bob@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )  # fmt: skip
    case.house.receive(bounce, to=question.item.envelope_sender, sender="")
    assert case.clock("closing").state == "paused"
    assert "undeliverable" in [one.item.template for one in case.went()]
    case.until(case.house.now + timedelta(days=30))
    assert case.status == "resolved"


def test_answers_and_ends_stop_the_closing(solved: Case) -> None:
    solved.staff("reopen\n\nWait, there is more to do.")
    assert solved.status == "open"
    assert solved.clock("closing").state == "void"
    solved.staff("Status: rejected")
    solved.until(solved.house.now + timedelta(days=20))
    assert solved.status == "rejected"


def test_approving_an_open_request_is_told_to_staff(solved: Case) -> None:
    question = [one for one in solved.mails if one.item.template == "closing"][-1]
    solved.staff("reopen")
    sent = solved.clicks(BOB, Action.APPROVE, sent=question)
    assert solved.status == "open"
    assert kinds(sent) == [("notice", "jane")]
    assert "Says that it is solved" in sent[0].text


def test_replaying_the_events_gives_the_request(solved: Case) -> None:
    solved.writes(BOB, "Thanks!")
    solved.clicks(BOB, Action.APPROVE)
    assert solved.house.store.replayed(solved.ticket.id) == solved.ticket
