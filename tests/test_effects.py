"""Every command of staff: what it does, its receipt, its refusal, and taking it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.desk.ticket import EventKind, Role, Status, Ticket
from rtmail.policy.rows import ClockKind, State
from rtmail.store import LinkKind
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.staff import ANN, BOB, EVE, JANE, KIM, answered, clicked, fresh_id, opened, receivers, request, sent_to, told_us


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path, blueprint(policy="portacare"))
    yield one
    one.close()


def addresses(ticket: Ticket, role: Role) -> list[str]:
    return [p.address for p in ticket.participants if p.role is role]


def receipt(sent: list[Sent], who: str = JANE) -> str:
    return " ".join(sent_to(sent, who, "receipt").text.split())


def notice_of(house: House, **what: str) -> Sent:
    return sent_to(opened(house, **what), JANE, "opened")


# What each does


EFFECTS: list[tuple[str, str, Callable[[Ticket], bool]]] = [
    ("Status: waiting", "request #1 is waiting", lambda t: t.status is Status.WAITING),
    ("status: Stalled", "request #1 is waiting", lambda t: t.status is Status.WAITING),
    ("resolve", "request #1 is resolved", lambda t: t.status is Status.RESOLVED),
    ("wait", "request #1 is waiting", lambda t: t.status is Status.WAITING),
    ("close", "request #1 is closed", lambda t: t.status is Status.CLOSED),
    ("reject", "request #1 is rejected", lambda t: t.status is Status.REJECTED),
    ("spam", "closed silently", lambda t: t.status is Status.REJECTED),
    ("Priority: P2", "the priority is P2", lambda t: t.priority == "P2"),
    ("prio 1", "the priority is P1", lambda t: t.priority == "P1"),
    ("Subject: Toner empty", "the subject is changed", lambda t: t.subject == "Toner empty"),
    ("Queue: sales", "it is in sales now", lambda t: t.queue == "sales"),
    ("Owner: kim", "Kim Lee owns it now", lambda t: t.owner != 0),
    ("AddCc: ann@acme.example", "ann@acme.example takes part now", lambda t: addresses(t, Role.CC) == [ANN]),
    ("AddRequestor: Ann <ann@acme.example>", "takes part now", lambda t: addresses(t, Role.REQUESTOR) == [BOB, ANN]),
    ("DelRequestor: bob@acme.example", "takes no part any more", lambda t: addresses(t, Role.REQUESTOR) == []),
    ("AddAdminCc: kim", "Kim Lee gets copies", lambda t: KIM in addresses(t, Role.WATCHER)),
    ("for ann@acme.example", "a request of ann@acme.example now", lambda t: addresses(t, Role.REQUESTOR) == [ANN]),
    ("Due: 2026-12-01 15:00", "it is due Tue 01 Dec 2026 15:00", lambda t: t.fields["due"] == "2026-12-01T15:00:00+00:00"),
    ("time 90m billable", "1 h 30 min (1 h 30 min billable)", lambda t: t.fields["worked"] == {"minutes": 90, "billable": 90}),
    ("TimeWorked: 20", "Time worked: 20 min", lambda t: t.fields["worked"] == {"minutes": 20, "billable": 0}),
    ("bug JIRA-12", "Elsewhere: JIRA-12", lambda t: t.fields["refs"] == ["JIRA-12"]),
]


@pytest.mark.parametrize(("line", "said", "holds"), EFFECTS, ids=[line for line, _, _ in EFFECTS])
def test_what_a_command_does_stands_in_its_receipt(house: House, line: str, said: str, holds: Callable[[Ticket], bool]) -> None:
    sent = answered(house, notice_of(house), line)
    assert said in receipt(sent)
    ticket = request(house)
    assert holds(ticket)
    assert house.store.replayed(ticket.id) == ticket or line.startswith("Subject"), "a subject is words, not an event"
    assert not any(line in one.text for one in sent if one.item.recipient in (BOB, ANN)), "no command reaches a customer"


@pytest.mark.parametrize(
    ("line", "why", "instead"),
    [
        ("Status: merged", "is no status", "Status: resolved"),
        ("reopen", "", ""),
        ("Priority: P9", "there is no priority P9", "Priority: P1"),
        ("Queue: moon", "there is no queue moon; there are support, sales", "Queue: support"),
        ("Owner: joe", "there is no colleague", ""),
        ("AddCc: support@example.com", "an address of ours", ""),
        ("AddCc: support+x@example.com", "an address of ours", ""),
        ("AddCc: kim@staff.example", "a colleague's address", "AddAdminCc: kim"),
        ("DelCc: ann@acme.example", "nobody with this address", ""),
        ("Due: 2025-01-01", "has passed", ""),
        ("time 9000h", "no time that somebody worked", "time 30m billable"),
        ("for bob@acme.example, ann@acme.example", "one person is the requestor", "for bob@acme.example"),
        ("merge 99", "there is no request #99", ""),
        ("merge 1", "these are one request already", ""),
        ("same", "which request do these words belong to", "same 1042"),
        ("problem 99", "there is no other request", ""),
        ("undo", "there is no command of yours", ""),
        ("accept", "nobody waits for a word", ""),
        ("accept zoe@far.example", "does not wait for a word", "AddCc: zoe@far.example"),
        ("accept as zoe@far.example", "takes no part in this request", "accept"),
        ("tiem 30m", "there is no command", "time 30m"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_line_to_copy(house: House, line: str, why: str, instead: str) -> None:
    notice = notice_of(house)
    if line == "reopen":
        line, why = "reopen", "it was open already"
        answered(house, notice, "Hello.")
    before = request(house)
    said = receipt(answered(house, notice, line))
    assert why in said
    assert not instead or f"Write instead: {instead}" in said
    after = request(house)
    assert (after.status, after.queue, after.priority, after.owner) == (before.status, before.queue, before.priority, before.owner)


def test_several_commands_and_words_in_one_mail(house: House) -> None:
    sent = answered(house, notice_of(house), "take\nPriority: P2\nAddCc: ann@acme.example\n\nWe look into it.\n\nJane")
    ticket = request(house)
    assert (ticket.priority, addresses(ticket, Role.CC), ticket.answered) == ("P2", [ANN], True)
    assert receivers(sent, "words") | receivers(sent, "promised") >= {BOB, ANN}
    assert all("Priority: P2" not in sent_to(sent, who, "words").text for who in (BOB, ANN))
    assert len([one for one in sent if one.item.template == "receipt"]) == 1


# Paperwork


def test_a_moved_request_keeps_its_promises_and_its_addresses(house: House) -> None:
    notices = opened(house)
    due = {clock.kind: clock.due_at for clock in request(house).clocks}
    sent = answered(house, sent_to(notices, JANE, "opened"), "take\nQueue: sales")
    ticket = request(house)
    assert ticket.owner == 0, "who does not work there has it no more"
    assert {clock.kind: clock.due_at for clock in ticket.clocks} == due
    assert "Queue: support -> sales" in sent_to([one for one in sent if "Queue:" in one.text], KIM, "state").text
    acknowledgement = sent_to(notices, BOB, "acknowledgement")
    assert receivers(answered(house, acknowledgement, "Any news?", proven=False), "notice") >= {KIM}
    assert request(house).events > ticket.events, "the old address goes on working"


def test_due_is_a_promise_that_no_priority_moves(house: House) -> None:
    notice = notice_of(house)
    answered(house, notice, "Due: 2026-12-01 15:00")
    answered(house, notice, "Priority: P1")
    (resolution,) = [clock for clock in request(house).clocks if clock.kind is ClockKind.RESOLUTION and clock.open]
    assert resolution.due_at == datetime(2026, 12, 1, 15, tzinfo=UTC)
    assert "by a word of staff" in resolution.rule


def test_the_new_requestor_is_told_the_number_and_the_old_one_stays(house: House) -> None:
    sent = answered(house, notice_of(house), "for ann@acme.example")
    assert addresses(request(house), Role.CC) == [BOB]
    assert "#1" in sent_to(sent, ANN, "acknowledgement")["Subject"]
    back = answered(house, sent_to(sent, JANE, "receipt"), "undo")
    assert "for is taken back" in receipt(back)
    assert addresses(request(house), Role.REQUESTOR) == [BOB]


def test_a_number_elsewhere_finds_the_request(house: House) -> None:
    notice = notice_of(house)
    answered(house, notice, "bug JIRA-12\nbug https://bugs.example/7")
    ticket = request(house)
    assert house.store.by_outside_ref("jira", "JIRA-12") == [ticket.id]
    assert house.store.by_outside_ref("bugs.example", "https://bugs.example/7") == [ticket.id]
    assert "noted already" in receipt(answered(house, notice, "bug JIRA-12"))


# Taking back


@pytest.mark.parametrize(
    ("line", "again"),
    [
        ("Status: waiting", lambda t: t.status is Status.OPEN),
        ("resolve", lambda t: t.status is Status.OPEN),
        ("close", lambda t: t.status is Status.OPEN),
        ("reject", lambda t: t.status is Status.OPEN),
        ("take", lambda t: t.owner == 0),
        ("Owner: jane", lambda t: t.owner == 0),
        ("Priority: P1", lambda t: t.priority == "P3"),
        ("Subject: Toner", lambda t: t.subject == "Printer down"),
        ("Queue: sales", lambda t: t.queue == "support"),
        ("AddCc: ann@acme.example", lambda t: addresses(t, Role.CC) == []),
        ("DelRequestor: bob@acme.example", lambda t: addresses(t, Role.REQUESTOR) == [BOB]),
    ],
)
def test_undo_takes_the_last_command_back(house: House, line: str, again: Callable[[Ticket], bool]) -> None:
    notice = sent_to(opened(house), KIM, "opened")
    answered(house, notice, "Priority: P3\n\nWe look into it.")
    sent = answered(house, notice, line)
    assert not again(request(house))
    back = clicked(house, sent_to(sent, KIM, "receipt"), "undo")
    assert "is taken back" in receipt(back, KIM)
    assert again(request(house))


def test_undo_goes_back_step_by_step_and_only_ones_own(house: House) -> None:
    notices = opened(house)
    jane, kim = (sent_to(notices, who, "opened") for who in (JANE, KIM))
    answered(house, jane, "Priority: P3\nStatus: waiting")
    assert "there is no command of yours" in receipt(answered(house, kim, "undo"), KIM)
    assert "status is taken back" in receipt(answered(house, jane, "undo"))
    assert "cannot be without one again" in receipt(answered(house, jane, "undo"))


def test_undo_has_its_time_and_yields_to_what_came_since(house: House) -> None:
    notices = opened(house)
    jane, kim = (sent_to(notices, who, "opened") for who in (JANE, KIM))
    answered(house, jane, "take")
    answered(house, kim, "take")
    assert "the owner was changed since" in receipt(answered(house, jane, "undo"))
    answered(house, jane, "Status: waiting")
    house.forward(minutes=61)
    assert "more than an hour old" in receipt(answered(house, jane, "undo"))
    answered(house, jane, "eta tomorrow")
    assert "cannot be taken back" in receipt(answered(house, jane, "undo"))


# Merging


def two(house: House, other: str = ANN) -> tuple[Sent, Sent, Sent]:
    """Request 1 of Bob and 2 of another; Jane's notices of both, and the acknowledgement of the second."""
    first = sent_to(opened(house), JANE, "opened")
    house.forward(minutes=10)
    sent = opened(house, who=other, subject="Printer broken")
    return first, sent_to(sent, JANE, "opened"), sent_to(sent, other, "acknowledgement")


def test_a_merged_request_lives_on_in_the_other(house: House) -> None:
    _, second, acknowledgement = two(house)
    said = receipt(answered(house, second, "merge 1"))
    assert "it is part of #1 now" in said
    one, gone = request(house, 1), request(house, 2)
    assert (gone.status, gone.merged_into) == (Status.MERGED, 1)
    assert all(not clock.open for clock in gone.clocks)
    assert addresses(one, Role.CC) == [ANN]
    assert [link.kind for link in house.store.links(one.id)] == [LinkKind.MERGED]
    for ticket in (one, gone):
        assert house.store.replayed(ticket.id) == ticket

    # Whoever writes to it reaches the survivor, in a thread that his client knows.
    sent = answered(house, acknowledgement, "It smokes now.", proven=False)
    assert request(house, 1).events > one.events
    assert request(house, 2).events == gone.events
    notice = next(one for one in sent if one.item.template == "notice")
    assert "#1]" in notice["Subject"]
    words = answered(house, notice, "We come at once.")
    copy = sent_to(words, ANN, "words")
    assert acknowledgement["References"].split()[0] == copy["References"].split()[0]


def test_whoever_writes_to_a_request_that_was_merged_twice_reaches_the_last_one_for_ever(house: House) -> None:
    """Years later, by its address, its Message-ID or the mark in what is quoted; and staff who name its number too."""
    sent = [opened(house, subject=f"Thing {number}") for number in (1, 2, 3)]
    notices, first = [sent_to(one, JANE, "opened") for one in sent], sent_to(sent[0], BOB, "acknowledgement")
    for notice, survivor in zip(notices, (2, 3), strict=False):
        assert f"it is part of #{survivor} now" in receipt(answered(house, notice, f"merge {survivor}"))
    house.forward(days=800)
    house.sent()
    for words in ("It smokes.", "It burns."):
        before = request(house, 3).events
        answered(house, first, words, proven=False)
        assert request(house, 3).events > before
    raw = mail(sender=f"Bob <{BOB}>", subject=first["Subject"], message_id=fresh_id(BOB), text=f"By hand.\n\n{quote(first.text)}")
    before = request(house, 3).events
    house.receive(raw)
    house.sent()
    assert request(house, 3).events > before
    assert house.store.by_number(4) is None
    shown = told_us(house, JANE, "show 1")
    assert "Merged into: #3" in sent_to(shown, JANE).text
    assert "show%20%233" in sent_to(shown, JANE).text or "show%203" in sent_to(shown, JANE).text
    assert "It burns." in sent_to(told_us(house, BOB, "show 1"), BOB).text


def quote(text: str) -> str:
    return "On Mon, 23 Nov 2026 at 10:00, Support wrote:\n" + "\n".join(f"> {line}" for line in text.splitlines())


def test_the_survivor_takes_the_earlier_due_instant_and_undoing_gives_it_back(house: House) -> None:
    first, second, _ = two(house)
    answered(house, second, "Priority: P4")
    answered(house, first, "Priority: P1")
    before = {name: request(house, name).clocks for name in (1, 2)}
    house.forward(minutes=5)
    sent = answered(house, first, "merge 2")

    def due(number: int, kind: ClockKind) -> datetime | None:
        return next((clock.due_at for clock in request(house, number).clocks if clock.kind is kind and clock.state is State.RUNNING), None)

    assert due(2, ClockKind.FIRST_RESPONSE) == next(c.due_at for c in before[1] if c.kind is ClockKind.FIRST_RESPONSE)
    back = clicked(house, sent_to(sent, JANE, "receipt"), "undo")
    assert "#1 stands on its own again" in receipt(back)
    one, two_ = request(house, 1), request(house, 2)
    assert (one.status, one.merged_into) == (Status.OPEN, 0)
    assert addresses(two_, Role.CC) == []
    assert {(c.kind, c.due_at) for c in two_.clocks if c.open} == {(c.kind, c.due_at) for c in before[2] if c.open}
    assert {(c.kind, c.due_at) for c in one.clocks if c.open} == {(c.kind, c.due_at) for c in before[1] if c.open}
    assert not house.store.links(one.id)
    for ticket in (one, two_):
        assert house.store.replayed(ticket.id) == ticket


def test_a_request_that_waits_waits_no_longer_when_one_that_is_owed_an_answer_becomes_part_of_it(house: House) -> None:
    first, second, _ = two(house)
    answered(house, first, "wait until Fri 9:00")
    waiting = request(house, 1)
    assert waiting.status is Status.WAITING
    sent = answered(house, second, "merge 1")
    assert request(house, 1).status is Status.OPEN
    assert request(house, 1).waits_until is None
    clicked(house, sent_to(sent, JANE, "receipt"), "undo")
    again = request(house, 1)
    assert (again.status, again.waits_until) == (Status.WAITING, waiting.waits_until)
    assert {(c.kind, c.state, c.due_at) for c in again.clocks if c.open} == {(c.kind, c.state, c.due_at) for c in waiting.clocks if c.open}
    sent = answered(house, second, "merge 1")
    house.receive(mail(subject="Re: [Example #1] Printer down", text="The blue one.", message_id="<more@acme.example>",
                       headers=f"In-Reply-To: {first['Message-ID']}"))
    house.sent()
    clicked(house, sent_to(sent, JANE, "receipt"), "undo")
    assert request(house, 1).status is Status.OPEN, "he wrote meanwhile"


def test_one_that_waits_too_wakes_nobody(house: House) -> None:
    first, second, _ = two(house)
    for notice in (first, second):
        answered(house, notice, "wait")
    answered(house, second, "merge 1")
    assert request(house, 1).status is Status.WAITING


def test_merging_strangers_is_refused_and_a_problem_link_offered(house: House) -> None:
    _, second, _ = two(house, EVE)
    said = receipt(answered(house, second, "merge 1"))
    assert "have nothing in common" in said
    assert "Write instead: problem 1" in said
    assert request(house, 2).status is Status.NEW
    assert "linked with #1 as one problem" in receipt(answered(house, second, "problem 1"))
    assert [link.kind for link in house.store.links(request(house, 1).id)] == [LinkKind.PROBLEM]


def test_merging_needs_a_strong_proof(house: House) -> None:
    _, second, _ = two(house)
    said = receipt(answered(house, second, "merge 1", proven=False))
    assert "proven by DMARC" in said
    assert request(house, 2).status is Status.NEW


def test_a_request_that_is_done_takes_none_in(house: House) -> None:
    first, second, _ = two(house)
    answered(house, first, "close")
    assert "#1 is closed: reopen it first" in receipt(answered(house, second, "merge 1"))


def test_one_word_joins_what_only_named_a_request(house: House) -> None:
    opened(house)
    sent = opened(house, who=EVE, subject="Re: [Example #1] Printer down", text="Mine is down too.")
    notice = sent_to(sent, JANE, "opened")
    assert "Linked: related #1" in notice.text
    joined = clicked(house, notice, "same as #1", body="same 1")
    assert "are part of #1 now" in receipt(joined)
    one = request(house, 1)
    assert addresses(one, Role.CC) == [EVE]
    assert request(house, 2).merged_into == 1
    words = [content.text for event, content in house.store.events(one.id) if content and event.kind is EventKind.CORRESPONDENCE]
    assert words == ["Mine is down too."]
    assert "Mine is down too." in sent_to(joined, KIM, "notice").text


def test_the_shell_speaks_the_same_language(house: House) -> None:
    two(house)
    assert house.engine.command(2, "AddCc: zoe@acme.example\nbug JIRA-9", "root", house.now)[0]["done"]
    assert addresses(request(house, 2), Role.CC) == ["zoe@acme.example"]
    assert house.engine.command(2, "merge 1", "root", house.now)[0]["done"]
    assert request(house, 2).status is Status.MERGED
