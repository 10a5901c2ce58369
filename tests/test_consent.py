"""Priorities with consent: what staff set, what the requestor says of it, and what he may suggest himself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.promised.consent import find
from rtmail.desk.ticket import EventKind
from rtmail.mail.token import Action
from rtmail.policy.model import Suggest
from tests.fakes.customers import ANN, BOB, JANE, Case, kinds
from tests.fakes.house import House, blueprint, mail

Opens = Callable[..., Case]


@pytest.fixture
def house_of(tmp_path: Path) -> Iterator[Opens]:
    """Makes a house under the PortaCare policy with another rule of what customers may suggest."""
    houses: list[House] = []

    def make(suggest: Suggest | None = None) -> Case:
        plan = blueprint(policy="portacare")
        if suggest is not None:
            plan = replace(plan, policies={queue: replace(policy, suggest=suggest) for queue, policy in plan.policies.items()})
        houses.append(House(tmp_path, plan))
        return Case(houses[-1])

    yield make
    for house in houses:
        house.close()


@pytest.fixture
def case(house_of: Opens) -> Case:
    """A request of Jane's whose priority is not set yet."""
    case = house_of()
    case.open()
    case.staff("take")
    return case


@pytest.fixture
def proposed(case: Case) -> Case:
    """P3, which Bob was told of."""
    case.staff("Priority: 3")
    return case


def state(case: Case) -> tuple[str, str]:
    return case.ticket.priority, case.ticket.priority_state


def notice(case: Case) -> str:
    """The latest word to Jane."""
    return case.last(JANE).text


# what staff set


def test_the_requestor_is_told_what_his_priority_means(case: Case) -> None:
    sent = case.staff("Priority: P3")
    assert kinds(sent) == [("priority-told", "bob"), ("receipt", "jane")]
    told = case.last(BOB).text
    for said in ("P3", "Operation impaired, but generally working", "Tue 24 Nov 2026", "1 business day", "Do you agree?"):
        assert said in told, said
    assert state(case) == ("P3", "proposed")
    assert case.clock("triage").state == "met"


def test_only_a_change_is_told_again(proposed: Case) -> None:
    assert kinds(proposed.staff("Priority: P3")) == [("receipt", "jane")]
    assert state(proposed) == ("P3", "proposed")
    assert ("priority-told", "bob") in kinds(proposed.staff("Priority: P2"))
    assert "2 hours" in proposed.last(BOB).text


@pytest.mark.parametrize(
    ("named", "key"), [("P2", "P2"), ("p2", "P2"), ("2", "P2"), ("60", "P2"), (" 1 ", "P1"), ("5", ""), ("P", ""), ("", ""), ("80h", "")]
)
def test_a_priority_is_named_by_key_number_or_code(case: Case, named: str, key: str) -> None:
    found = find(case.house.plan.policies["support"], named)
    assert (found.key if found else "") == key


# what he says of it


@pytest.mark.parametrize("text", ["agree", "Agree.", "I agree!", "*Einverstanden*", "Згоден.", "agree\n\nThanks, Jane"])
def test_he_agrees_by_a_word(proposed: Case, text: str) -> None:
    assert kinds(proposed.writes(BOB, text)) == []
    assert state(proposed) == ("P3", "agreed")


@pytest.mark.parametrize("text", ["disagree", "I disagree.", "Nicht einverstanden", "не згоден"])
def test_he_disagrees_by_a_word_and_staff_are_told(proposed: Case, text: str) -> None:
    assert kinds(proposed.writes(BOB, text)) == [("state", "jane")]
    assert state(proposed) == ("P3", "disputed")
    assert "P3 (proposed) -> P3 (disputed)" in notice(proposed)


def test_he_says_so_by_link_and_may_change_his_mind(proposed: Case) -> None:
    told = proposed.last(BOB)
    proposed.clicks(BOB, Action.AGREE, sent=told)
    assert state(proposed) == ("P3", "agreed")
    assert kinds(proposed.clicks(BOB, Action.DISAGREE, "It is far worse than that.", sent=told)) == [("notice", "jane")]
    assert "far worse" in notice(proposed)
    assert "Disagrees with the priority P3" in notice(proposed)
    assert state(proposed) == ("P3", "disputed")
    assert kinds(proposed.clicks(BOB, Action.AGREE, sent=told)) == [("state", "jane")], "a dispute that ends is told as well"
    assert state(proposed) == ("P3", "agreed")


def test_words_below_the_word_are_an_answer(proposed: Case) -> None:
    proposed.staff("wait")
    sent = proposed.writes(BOB, "disagree\n\nProduction stands still, nobody can work here.")
    assert kinds(sent) == [("notice", "jane"), ("relayed", "ann")]
    assert "Disagrees with the priority P3" in notice(proposed)
    assert proposed.status == "open"
    assert state(proposed) == ("P3", "disputed")


def test_a_word_alone_moves_no_waiting_request(proposed: Case) -> None:
    proposed.staff("wait")
    proposed.writes(BOB, "agree")
    assert (proposed.status, state(proposed)) == ("waiting", ("P3", "agreed"))


@pytest.mark.parametrize("text", ["I agree that it is slow", "agree?", "We do not agree", "> agree", "agreement", "disagree with whom?"])
def test_other_words_say_nothing_of_it(proposed: Case, text: str) -> None:
    proposed.writes(BOB, text)
    assert state(proposed) == ("P3", "proposed")


@pytest.mark.parametrize("text", ["agree", "disagree", "Priority: P1"])
def test_only_the_requestor_consents(proposed: Case, text: str) -> None:
    proposed.staff("Hello both")
    sent = proposed.writes(ANN, text)
    assert state(proposed) == ("P3", "proposed")
    assert ("relayed", "bob") in kinds(sent), "to Ann's word it is a mail like any other"


@pytest.mark.parametrize("text", ["agree", "disagree", "Priority: P1"])
def test_unproven_words_consent_to_nothing(proposed: Case, text: str) -> None:
    proposed.house.receive(mail(subject="Re: [Example #1] Printer down", text=text, message_id="<u1@acme.example>"))
    proposed.writes(BOB, text, verdict="fail")
    assert state(proposed) == ("P3", "proposed")
    assert len(proposed.events(EventKind.UNVERIFIED)) == 2
    assert proposed.ticket.fields.get("asked_priority") is None


def test_machines_consent_to_nothing(proposed: Case) -> None:
    proposed.writes(BOB, "agree", headers="Precedence: bulk")
    proposed.writes(BOB, "disagree", headers="Auto-Submitted: auto-replied")
    proposed.clicks(BOB, Action.AGREE, headers="Precedence: bulk")
    assert state(proposed) == ("P3", "proposed")


def test_without_a_priority_there_is_nothing_to_agree_with(case: Case) -> None:
    case.writes(BOB, "agree")
    assert state(case) == ("", "")


def test_staff_propose_again_after_a_dispute(proposed: Case) -> None:
    proposed.writes(BOB, "disagree")
    proposed.staff("Priority: P3")
    assert state(proposed) == ("P3", "disputed"), "to say it again is no consent"
    proposed.staff("Priority: P2")
    assert state(proposed) == ("P2", "proposed")


# asking for another


def test_he_asks_for_another(proposed: Case) -> None:
    due = proposed.clock("first-response").due_at
    sent = proposed.writes(BOB, "Priority: 1\n\nThe whole site is down now.")
    assert state(proposed) == ("P3", "disputed")
    assert proposed.ticket.fields["asked_priority"] == "P1"
    assert proposed.clock("first-response").due_at == due, "a wish moves no clock"
    told = next(one.text for one in sent if one.item.recipient == JANE)
    assert "Asks for the priority P1 (Network down" in told
    assert "instead of P3" in told
    assert "Priority: 1" in told.split("\r\n"), "the line itself is shown"
    sent = proposed.staff("Priority: P1")
    assert state(proposed) == ("P1", "agreed"), "what he asked for needs no consent"
    assert "that you asked for" in proposed.last(BOB).text
    assert proposed.ticket.fields["asked_priority"] is None


def test_asking_for_the_one_there_is_agrees(proposed: Case) -> None:
    proposed.writes(BOB, "Priority: P3")
    assert state(proposed) == ("P3", "agreed")


@pytest.mark.parametrize(
    ("text", "flag"),
    [("Priority: P9", "'P9', which there is not"), ("Priority: whatever", "'whatever', which there is not")],
)  # fmt: skip
def test_a_priority_that_there_is_not(proposed: Case, text: str, flag: str) -> None:
    proposed.writes(BOB, text)
    assert flag in notice(proposed)
    assert state(proposed) == ("P3", "proposed")


# suggesting one with the first mail


ALL = ("P1", "P2", "P3", "P4")


@pytest.mark.parametrize(
    ("suggest", "text", "headers", "wanted"),
    [
        (Suggest(ALL), "Priority: 1\n\nAll is down.", "", "P1"),
        (Suggest(ALL), "\npriority: p4\nA question", "", "P4"),
        (Suggest(ALL), "Priority: high\n\nAll is down.", "", "P1"),
        (Suggest(("P3", "P4")), "Priority: urgent\n\nAll is down.", "", "P3"),
        (Suggest(ALL), "It is down.", "X-Priority: 1 (Highest)", "P1"),
        (Suggest(ALL), "It is down.", "Importance: High", "P1"),
        (Suggest(("P2", "P3")), "It is down.", "X-MSMail-Priority: High", "P2"),
        (Suggest(ALL), "A question", "Importance: low", "P4"),
        (Suggest(ALL), "Priority: P2\n\nIt is down.", "X-Priority: 5", "P2"),
        (Suggest(ALL), "It is down.", "X-Priority: 3 (Normal)", None),
        (Suggest(ALL), "It is down.", "Importance: normal", None),
        (Suggest(ALL, headers=False), "It is down.", "X-Priority: 1", None),
        (Suggest(()), "It is down.", "X-Priority: 1", None),
        (Suggest(("P3",)), "A question", "Importance: low", None),
        (Suggest(ALL), "It is down.\n\nPriority: 1 is what it says.", "", None),
        (Suggest(ALL), "> Priority: 1\n\nIt is down.", "", None),
    ],
)  # fmt: skip
def test_a_suggestion_is_noted_and_told_and_sets_nothing(
    house_of: Opens, suggest: Suggest, text: str, headers: str, wanted: str | None
) -> None:
    case = house_of(suggest)
    case.open(text, headers=headers)
    assert case.ticket.fields.get("asked_priority") == wanted
    assert state(case) == ("", "")
    assert case.clock("triage").running
    assert ("Asks for the priority" in notice(case)) is bool(wanted)


def test_what_he_suggested_and_staff_set_is_agreed(house_of: Opens) -> None:
    case = house_of(Suggest(ALL))
    case.open("Priority: 2\n\nIt is slow.")
    case.staff("Priority: 2")
    assert state(case) == ("P2", "agreed")
    case.staff("Priority: 3")
    assert state(case) == ("P3", "proposed")


def test_what_the_policy_does_not_allow_is_told_and_not_set(house_of: Opens) -> None:
    case = house_of(Suggest(("P3", "P4"), sets=True))
    case.open("Priority: P1\n\nAll is down.")
    assert "lets no customer choose" in notice(case)
    assert state(case) == ("", "")


def test_where_the_policy_lets_his_word_set_it(house_of: Opens) -> None:
    case = house_of(Suggest(ALL, sets=True))
    sent = case.open("Priority: 3\n\nIt is slow.")
    assert state(case) == ("P3", "suggested")
    assert "Set the priority to P3" in notice(case)
    assert ("escalation", "max") not in kinds(sent)
    due = case.clock("first-response").due_at
    assert due is not None
    assert (due - case.house.now).days == 1, "the clock follows: one business day instead of P1's hour"
    assert case.clock("triage").running, "only staff meet the triage"
    assert kinds(case.staff("Priority: P3")) == [("priority-told", "bob"), ("receipt", "jane")]
    assert state(case) == ("P3", "agreed")
    assert case.clock("triage").state == "met"


def test_his_word_sets_another_later(house_of: Opens) -> None:
    case = house_of(Suggest(ALL, sets=True))
    case.open()
    case.staff("take\nPriority: P4")
    sent = case.writes(BOB, "Priority: P1\n\nNow all is down.")
    assert state(case) == ("P1", "suggested")
    assert "it was P4" in next(one.text for one in sent if one.item.recipient == JANE)
    assert ("escalation", "max") in kinds(sent), "a raised request tells its first rung at once"
    case.writes(ANN, "Priority: P4")
    assert state(case) == ("P1", "suggested")
    notices = [one.text for one in case.mails if (one.item.recipient, one.item.template) == (JANE, "notice")]
    assert "nothing was changed" in notices[-1]


@pytest.mark.parametrize("headers", ["Precedence: bulk", "List-Unsubscribe: <mailto:u@acme.example>\nPrecedence: bulk"])
def test_a_machine_sets_nothing(house_of: Opens, headers: str) -> None:
    case = house_of(Suggest(ALL, sets=True))
    case.open("Priority: P1\n\nDisk full.", headers=headers)
    assert state(case) == ("", "")


def test_a_mail_that_fails_dmarc_sets_nothing(house_of: Opens) -> None:
    case = house_of(Suggest(ALL, sets=True))
    failed = b"Authentication-Results: mx.example.com; dmarc=fail header.from=acme.example\r\n"
    case.house.receive(failed + mail(text="Priority: P1\n\nAll is down."), peer="127.0.0.1")
    assert state(case) == ("", "")


def test_a_mark_of_the_client_counts_only_until_there_is_a_priority(proposed: Case) -> None:
    proposed.writes(BOB, "Any news?", headers="X-Priority: 1")
    assert state(proposed) == ("P3", "proposed")


def test_replaying_the_events_gives_the_request(house_of: Opens) -> None:
    case = house_of(Suggest(ALL, sets=True))
    case.open("Priority: P3\n\nIt is slow.")
    case.staff("Priority: P2")
    case.writes(BOB, "disagree")
    assert case.house.store.replayed(case.ticket.id) == case.ticket
