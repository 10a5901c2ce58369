"""Every command of the registry: its effect, its receipt, its refusal with a line to copy, and taking it back; none is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtmail.desk.grammar.commands import SPECS, parse
from rtmail.desk.people import PRIVACY
from rtmail.desk.ticket import EventKind, Role, Status
from rtmail.engine.engine import Engine
from rtmail.engine.office import Office
from rtmail.policy.rows import ClockKind
from rtmail.policy.schema import parse as parse_policy
from tests.fakes.daemon import reply
from tests.fakes.house import House, Sent, blueprint
from tests.fakes.staff import (
    ANN,
    BOB,
    EVE,
    JANE,
    KIM,
    MAX,
    NAMES,
    address_of,
    answered,
    clicked,
    fresh_id,
    opened,
    receivers,
    request,
    sent_to,
    told_us,
    trusted,
)

Holds = Callable[[House], bool]


@dataclass(frozen=True)
class Row:
    """One command.

    line     as it is written; `by` whom, in answer to a mail of ours, after `before` has happened
    said     stands in its receipt; `holds` is true afterwards, and was not before
    refused  a line that cannot be done there, and why not ("" for help, which always can); instead: the line that is offered
    undone   stands in the receipt of `undo`, after which `holds` is false; "" where there is nothing to take back
    final    it cannot be taken back: why
    """

    name: str
    line: str
    said: str
    holds: Holds
    refused: tuple[str, str]
    instead: str = ""
    undone: str = ""
    final: str = ""
    by: str = JANE
    before: str = "opened"


def status(new: Status) -> Holds:
    return lambda house: request(house).status is new


def people(role: Role, *specs: str) -> Holds:
    return lambda house: [p.address for p in request(house).participants if p.role is role] == list(specs)


def watches(spec: str, *, muted: bool = False) -> Holds:
    return lambda house: any(p.address == spec and p.role is Role.WATCHER and p.muted is muted for p in request(house).participants)


def owns(spec: str) -> Holds:
    def holds(house: House) -> bool:
        person = house.engine.office.directory.by_party(request(house).owner)
        return (person.email if person else "") == spec

    return holds


def noted(name: str, value: object) -> Holds:
    return lambda house: request(house).fields.get(name) == value


def due(kind: ClockKind, at: datetime) -> Holds:
    return lambda house: any(c.kind is kind and c.open and c.due_at == at for c in request(house).clocks)


def linked(kind: str, count: int = 1) -> Holds:
    return lambda house: sum(str(link.kind) == kind for link in house.store.links(request(house).id)) == count


def words(kind: EventKind, text: str) -> Holds:
    return lambda house: any(content and content.text == text for event, content in house.store.events(request(house).id)
                             if event.kind is kind)


def always(_: House) -> bool:
    return True


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TERMS = """
[appeal]
tell = "technical-support-manager"
within = "1bd"
calendar = "office"
[customers]
unknown = "hold"
[answers.forum]
text = "Please ask in the forum."
[urgency.impact]
data-loss = 5
question = 1
[urgency.spread]
all-users = 3
one = 1
[fields.version]
label = "Version"
[hand_over.tier2]
queue = "sales"
words = 2
"""
ROWS = [
    Row("status", "Status: waiting", "request #1 is waiting", status(Status.WAITING), ("Status: merged", "is no status"),
        "Status: resolved", "it is open again"),
    Row("owner", "Owner: kim", "Kim Lee owns it now, and is told", owns(KIM), ("Owner: kmi", "there is no colleague"), "Owner: kim",
        "nobody owns it again"),
    Row("priority", "Priority: P2", "the priority is P2", lambda h: request(h).priority == "P2",
        ("Priority: P9", "there is no priority P9"), "Priority: P1", "the priority is P3", before="prioritised"),
    Row("reclassify", "Reclassify: P2, it stops all work", "the priority is P2", lambda h: request(h).priority == "P2",
        ("Reclassify: P2", "say why"), "Reclassify: P2, it works slowly", "the priority is P3", before="prioritised"),
    Row("appeal", "appeal: he says that nobody can work", "Max Boss decides; the requestor is told",
        lambda h: request(h).priority_state == "disputed", ("appeal:", "something is missing"), "appeal: he says that nobody can work",
        final="management and the requestor were told", before="prioritised"),
    Row("impact", "impact: data loss", "the urgency is 5", lambda h: request(h).fields["urgency"].get("impact") == "data-loss",
        ("impact: boredom", "there are data-loss"), "impact: data-loss", "the urgency is 1 again"),
    Row("spread", "spread: all users", "the urgency is 3", lambda h: request(h).fields["urgency"].get("spread") == "all-users",
        ("spread: nobody", "there are all-users"), "spread: all-users", "the urgency is 1 again"),
    Row("field", "field: Version: 4.2", "the field Version is 4.2",
        lambda h: (request(h).filled.get("version") or {}).get("value") == "4.2",
        ("field: Colour: red", "there is no field Colour; there are Version"), undone="Version is empty again"),
    Row("handover", "hand over tier2: it jams twice", "handed over to tier2, whose staff are told", lambda h: request(h).queue == "sales",
        ("hand over moon", "there is nobody moon to hand over to"), "hand over tier2: what you found", "it is in support again"),
    Row("ask", "ask: log of the gateway", "asked for as number 1", status(Status.WAITING), ("ask:", "something is missing"),
        "ask: log of the gateway", final="the customer was asked"),
    Row("got", "got 1", "nothing is asked for any more", noted("got", [1]), ("got 9", "9 is not asked for"), "got 1",
        "the list is as it was", before="asked"),
    Row("redirect", "redirect forum", "forum went to Bob Roe", status(Status.CLOSED), ("redirect moon", "there is no prepared answer moon"),
        "redirect forum", final="the customer has the answer"),
    Row("serve", "serve", "it is served from now on", lambda h: request(h, 2).fields["terms"].get("promises", True),
        ("serve", "is served with all that is promised"), final="its clocks run", before="held"),
    Row("queue", "Queue: sales", "it is in sales now", lambda h: request(h).queue == "sales", ("Queue: moon", "there is no queue moon"),
        "Queue: support", "it is in support again"),
    Row("subject", "Subject: Toner empty", "the subject is changed", lambda h: request(h).subject == "Toner empty",
        ("Subject:", "something is missing"), "Subject: Printer on floor 2", "the subject is the old one again"),
    Row("due", "Due: 2026-12-01 15:00", "it is due Tue 01 Dec 2026 15:00",
        due(ClockKind.RESOLUTION, datetime(2026, 12, 1, 15, tzinfo=UTC)),
        ("Due: 2025-01-01", "has passed"), "tomorrow 15:00", "it is due at no set time"),
    Row("time", "time 90m billable", "1 h 30 min (1 h 30 min billable)", noted("worked", {"minutes": 90, "billable": 90}),
        ("time 9000h", "no time that somebody worked"), "time 30m billable", "90 min are taken off"),
    Row("addcc", "AddCc: ann@acme.example", "ann@acme.example takes part now", people(Role.CC, ANN),
        ("AddCc: kim@staff.example", "a colleague's address"), "AddAdminCc: kim", "is cc no more"),
    Row("delcc", "DelCc: ann@acme.example", "ann@acme.example takes no part", people(Role.CC), ("DelCc: eve@elsewhere.example", "nobody"),
        "", "is cc again", before="with Ann in Cc"),
    Row("addrequestor", "AddRequestor: ann@acme.example", "takes part now", people(Role.REQUESTOR, BOB, ANN),
        ("AddRequestor: support@example.com", "an address of ours"), "", "is requestor no more"),
    Row("delrequestor", "DelRequestor: bob@acme.example", "takes no part", people(Role.REQUESTOR),
        ("DelRequestor: eve@elsewhere.example", "there are bob@acme.example"), "", "is requestor again"),
    Row("related", "RefersTo: 2", "linked with #2 as related", linked("related"), ("RefersTo: 99", "there is no other request #99"), "",
        "the link with #2 is gone", before="two"),
    Row("addwatcher", "AddAdminCc: kim", "Kim Lee gets copies", watches(KIM), ("AddAdminCc: joe", "there is no colleague 'joe'"), "",
        "is watcher no more"),
    Row("delwatcher", "DelAdminCc: kim", "Kim Lee gets no more copies", lambda h: not watches(KIM)(h),
        ("DelAdminCc: max", "Max Boss does not watch it"), "", "is watcher again", before="Kim watches"),
    Row("watch", "watch", "you get copies", watches(JANE), ("watch this", "nothing belongs behind"), "watch", "is watcher no more"),
    Row("unwatch", "unwatch", "you get no more copies", lambda h: not watches(KIM)(h), ("unwatch", "you do not watch it"), "",
        "is watcher again", by=KIM, before="Kim watches"),
    Row("mute", "mute", "no more copies of this request", watches(KIM, muted=True), ("mute all", "nothing belongs"), "mute",
        "copies come again", by=KIM),
    Row("unmute", "unmute", "copies of this request again", watches(KIM), ("unmute", "it was not muted"), "", "no more copies", by=KIM,
        before="Kim mutes"),
    Row("update-every", "update-every 4h", "hears of it every 4h", noted("update_every", "4h"), ("update-every 1m", "too short"),
        "Update-every: 4h", final="the requestor was told already", before="prioritised"),
    Row("next", "next tomorrow 12:00", "the next update is promised for Tue 24 Nov 12:00", noted("next", NOON.isoformat()),
        ("next 2025-01-01", "has passed"), "tomorrow 15:00", final="the requestor was told already"),
    Row("eta", "eta tomorrow noon", "expected to be solved Tue 24 Nov 12:00", noted("eta", NOON.isoformat()),
        ("eta some day", "is no day and time"), "eta tomorrow noon", final="the requestor was told already"),
    Row("for", "for ann@acme.example", "it is a request of ann@acme.example now", people(Role.REQUESTOR, ANN),
        ("for bob@acme.example, ann@acme.example", "one person is the requestor"), "for bob@acme.example", "for is taken back"),
    Row("take", "take", "it is yours now", owns(JANE), ("take now", "nothing belongs"), "take", "nobody owns it again"),
    Row("untake", "untake", "nobody owns it now", owns(""), ("untake me", "nothing belongs"), "untake", "Jane Doe owns it again",
        before="Jane owns"),
    Row("resolve", "resolve", "request #1 is resolved", status(Status.RESOLVED), ("resolv", "there is no command"), "resolve",
        "it is open again"),
    Row("wait", "wait until tomorrow noon", "if nothing comes until Tue 24 Nov 12:00 UTC it is open again",
        noted("wait_until", NOON.isoformat()),
        ("wait until 2025-01-01", "has passed"), "tomorrow 15:00", "it is open again"),
    Row("reopen", "reopen", "request #1 is open", status(Status.OPEN), ("reopen it", "nothing belongs"), "reopen", "it is closed again",
        before="closed"),
    Row("close", "close", "request #1 is closed", status(Status.CLOSED), ("close it", "nothing belongs"), "close", "it is open again"),
    Row("reject", "reject", "request #1 is rejected", status(Status.REJECTED), ("reject him", "nothing belongs"), "reject",
        "it is open again"),
    Row("comment", "comment\n\nHe never pays.", "stay among staff", words(EventKind.COMMENT, "He never pays."),
        ("commnet", "there is no command"), "comment"),
    Row("merge", "merge 2", "it is part of #2 now", status(Status.MERGED), ("merge 99", "there is no request #99"), "",
        "#1 stands on its own again", before="two"),
    Row("problem", "problem 2", "linked with #2 as one problem", linked("problem"), ("problem 1", "there is no other request #1"), "",
        "the link with #2 is gone", before="two"),
    Row("split", "split", "are a request of their own", lambda h: h.store.by_number(2) is not None,
        ("split", "no words from outside wait"), "", final="merge that into this one", before="outside"),
    Row("same", "same 2", "the words are part of #2 now", status(Status.MERGED), ("same", "which request do these words belong to"),
        "same 1042", "#1 stands on its own again", before="two"),
    Row("accept", "accept", "Cc", people(Role.CC, EVE), ("accept", "nobody"), "", "is cc no more", before="outside"),
    Row("spam", "spam", "closed silently as junk", status(Status.REJECTED), ("spam it", "nothing belongs"), "spam", "it is open again"),
    Row("bug", "bug JIRA-12", "noted: JIRA-12", lambda h: h.store.by_outside_ref("jira", "JIRA-12") == [request(h).id],
        ("bug JIRA-12 and JIRA-13", "is no reference"), "bug JIRA-12", "JIRA-12 is forgotten"),
    Row("fixed", "fixed JIRA-12 in 4.2 yes", "JIRA-12 is fixed in 4.2: #1 was told", noted("fixed", {"JIRA-12": "4.2"}),
        ("fixed JIRA-99 in 4.2 yes", "no request is linked with JIRA-99"), "bug JIRA-99", final="the customers have it", before="bugged"),
    Row("bugs", "bugs down", "Bugs: down", always, ("bugs moon", "None."), "", before="bugged"),
    Row("ack", "ack 2h", "acknowledged: no more reminders until", lambda h: any(c.acks for c in request(h).clocks),
        ("ack", "only who was told up the ladder"), "", "the reminders are as before", by=MAX, before="escalated"),
    Row("snooze", "snooze 2h", "no reminder before", lambda h: any(c.snoozed for c in request(h).clocks),
        ("snooze until 2025-01-01", "has passed"), "tomorrow 15:00", "the reminders are as before", by=MAX, before="escalated"),
    Row("undo", "undo", "priority is taken back", lambda h: request(h).priority == "P3", ("undo", "there is no command of yours"), "",
        before="changed"),
    Row("away", "away until 2 Dec", "you are away until Wed 02 Dec 2026 09:00", lambda h: bool(h.store.absences(h.now)),
        ("away until 2025-01-01", "has passed"), "tomorrow 15:00"),
    Row("back", "back", "you are here again", lambda h: not h.store.absences(h.now), ("back now", "nothing belongs"), "back",
        before="away"),
    Row("list", "list mine", "Requests: mine", always, ("list moon", "None."), ""),
    Row("show", "show 1", "#1 Printer down", always, ("show 99", "There is no request #99"), ""),
    Row("search", "search down", "Found: down", always, ("search", "something is missing"), "search printer jam"),
    Row("history", "history 1", "History of #1", always, ("history 99", "There is no request #99"), ""),
    Row("standing", "status", "it is new, nobody owns it, priority not set yet", always, ("status reslved", "nothing belongs"), "status"),
    Row("help", "help", "snooze until Mon 9:00", always, ("", "")),
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    plan = blueprint(policy="portacare")
    text = next(iter(plan.policies.values())).text + TERMS
    one = House(tmp_path, replace(plan, policies=dict.fromkeys(plan.policies, parse_policy(text, "x.toml"))))
    yield one
    one.close()


def prepared(house: House, row: Row) -> Sent:
    """Let happen what has to; return the mail of ours that `row.by` answers."""
    sent = opened(house, cc="Ann Poe <ann@acme.example>" if row.before == "with Ann in Cc" else "")
    notices = {who: sent_to(sent, who, "opened") for who in (JANE, KIM)}
    mine = notices.get(row.by, notices[JANE])
    match row.before:
        case "prioritised":
            answered(house, mine, "Priority: P3")
        case "bugged":
            answered(house, mine, "bug JIRA-12")
        case "changed":
            answered(house, mine, "Priority: P3\nPriority: P2")
        case "asked":
            answered(house, notices[KIM], "ask: log of the gateway")
        case "held":
            mine = sent_to(opened(house, who=EVE), JANE, "opened")
        case "two":
            opened(house, who=ANN, subject="Printer broken")
        case "Kim watches":
            answered(house, notices[JANE], "AddAdminCc: kim")
        case "Kim mutes":
            answered(house, notices[KIM], "mute")
        case "Jane owns":
            answered(house, notices[JANE], "take")
        case "closed":
            answered(house, notices[KIM], "close")
        case "outside":
            answered(house, sent_to(sent, BOB, "acknowledgement"), "It smokes here too.", who=EVE, proven=False)
        case "away":
            answered(house, mine, "away until 2 Dec")
        case "escalated":
            house.forward(minutes=31)
            house.sweep()
            mine = sent_to(house.sent(), MAX, "escalation")
    return mine


def receipt(sent: list[Sent], who: str) -> str:
    return " ".join(next(one for one in sent if one.item.recipient == who and one.item.template in ("receipt", "asked")).text.split())


def test_no_command_is_left_out() -> None:
    # The words about private data have a house of their own: test_private_data; so have incidents: test_story_incidents.
    elsewhere = {"incident", "severity", "affects", "maintenance", "emergency", "starts", "ends"}
    here = {spec.name for spec in SPECS if spec.rights != {PRIVACY}} - elsewhere
    assert sorted(row.name for row in ROWS) == sorted(here)
    for row in ROWS:
        assert [one.name for one in parse(row.line.partition("\n")[0]).commands] == [row.name]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_effect_receipt_and_taking_back(house: House, row: Row) -> None:
    notice = prepared(house, row)
    asks = row.holds is always
    assert asks or not row.holds(house), "it is not so before"
    sent = answered(house, notice, row.line)
    assert row.holds(house)
    said = receipt(sent, row.by)
    assert row.said in said
    assert len([one for one in sent if one.item.recipient == row.by and one.item.template in ("receipt", "asked")]) == 1
    command = row.line.partition("\n")[0]
    for one in sent:
        if one.item.recipient in (BOB, ANN, EVE):
            assert command not in one.text.splitlines(), "no command line reaches a customer"
            assert "support-comment" not in one.item.raw.decode()
    ticket = request(house)
    assert house.store.replayed(ticket.id) == ticket or row.name == "subject", "a subject is words, not an event"

    if row.final:
        assert row.final in receipt(answered(house, notice, "undo"), row.by)
        assert row.holds(house)
    elif row.undone:
        assert "Undo:" in said, "the receipt has a link for it"
        back = receipt(answered(house, notice, "undo"), row.by)
        assert f"{row.name} is taken back" in back or row.name == "merge"
        assert row.undone in back
        assert not row.holds(house)
        for number in (1, 2):
            if house.store.by_number(number):
                assert house.store.replayed(request(house, number).id) == request(house, number) or row.name == "subject"


@pytest.mark.parametrize("row", [row for row in ROWS if row.refused[0]], ids=lambda row: row.name)
def test_refusal(house: House, row: Row) -> None:
    line, why = row.refused
    # What is refused for want of something is tried where it has not happened.
    missing = line == row.line or row.name == "ack"
    plain = replace(row, before="opened" if missing else row.before, by=JANE if row.name == "ack" else row.by)
    notice = prepared(house, plain)
    before = request(house)
    sent = answered(house, notice, line)
    said = receipt(sent, plain.by)
    assert why in said
    if row.instead:
        assert f"Write instead: {row.instead}" in said
    after = request(house)
    same = ("status", "priority", "owner", "queue", "subject", "clocks", "participants")
    changed = [name for name in same if getattr(before, name) != getattr(after, name)]
    assert set(changed) <= {"participants"}, "nothing but who wrote watches it now"
    assert not receivers(sent, "words") & {BOB, ANN}


def test_ways_to_write_the_same(house: House) -> None:
    """What RT's users have in their fingers, and phones and office programs make of it."""
    notice = prepared(house, ROWS[0])
    lines = ("STATUS: Stalled", "\u00a0Priority\uff1a p2\u00a0", "\ufeffOwner: Jane Doe", "Add\u2011Admin\u2011Cc: Kim", "TimeWorked: 15")
    answered(house, notice, "\n".join(lines))
    ticket = request(house)
    assert (ticket.status, ticket.priority, ticket.fields["worked"]["minutes"]) == (Status.WAITING, "P2", 15)
    assert owns(JANE)(house)
    assert watches(KIM)(house)


def test_a_colleague_is_found_by_his_first_name(house: House) -> None:
    answered(house, prepared(house, ROWS[0]), "Owner: @Kim")
    assert owns(KIM)(house)


def test_muting(house: House) -> None:
    notices = opened(house)
    answered(house, sent_to(notices, KIM, "opened"), "mute")
    acknowledgement = sent_to(notices, BOB, "acknowledgement")
    told = receivers(answered(house, acknowledgement, "It smokes.", proven=False), "notice")
    assert told == {JANE}, "nobody owns it, yet she wants no copies"
    answered(house, sent_to(notices, JANE, "opened"), "Owner: kim")
    assert receivers(answered(house, acknowledgement, "It burns.", proven=False), "notice") >= {KIM}, "whoever owns it hears of it"
    answered(house, sent_to(notices, KIM, "opened"), "unmute")
    assert "you own it" in receipt(answered(house, sent_to(notices, KIM, "opened"), "mute"), KIM)


def test_whatever_moves_it_before_the_day_that_was_named_ends_the_waiting(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "wait until Mon 9:00")
    assert "Waits until: Mon 30 Nov 2026 09:00" in receipt(answered(house, notice, "watch"), JANE)
    assert "Waits until" not in receipt(answered(house, notice, "reopen"), JANE)
    assert request(house).waits_until is None


def test_time_worked_adds_up_and_each_part_is_an_event(house: House) -> None:
    notices = opened(house)
    answered(house, sent_to(notices, JANE, "opened"), "time 30m billable\ntime 15m")
    answered(house, sent_to(notices, KIM, "opened"), "TimeWorked: 60")
    assert request(house).fields["worked"] == {"minutes": 105, "billable": 30}
    parts = [(e.actor, e.facts["minutes"], e.facts["billable"]) for e, _ in house.store.events(request(house).id) if "minutes" in e.facts]
    jane, kim = (house.engine.office.directory.staff(who).party for who in (JANE, KIM))  # type: ignore[union-attr]
    assert parts == [(jane, 30, True), (jane, 15, None), (kim, 60, None)]
    answered(house, sent_to(notices, JANE, "opened"), "undo")
    assert request(house).fields["worked"] == {"minutes": 90, "billable": 30}, "hers alone is taken off, though Kim noted some since"


def test_rights_are_those_of_the_moment(house: House) -> None:
    """A mail that waited, or a link that was kept, acts with the rights that its person has when it is processed."""
    notice = sent_to(opened(house), JANE, "opened")
    people_now = dict(house.plan.directory.people)
    people_now["jane"] = replace(people_now["jane"], queues=("sales",))
    house.plan = replace(house.plan, directory=replace(house.plan.directory, people=people_now))
    house.engine = Engine(house.store, house.pool, Office(house.plan, house.store, house.now), "later")
    said = receipt(answered(house, notice, "take\nPriority: P1"), JANE)
    assert said.count("NOT DONE") == 2
    assert owns("")(house)
    assert request(house).priority == ""


def test_who_is_no_longer_on_the_staff_commands_nothing(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    left = {key: one for key, one in house.plan.directory.people.items() if key != "jane"}
    house.plan = replace(house.plan, directory=replace(house.plan.directory, people=left))
    house.engine = Engine(house.store, house.pool, Office(house.plan, house.store, house.now), "later")
    sent = answered(house, notice, "close")
    assert request(house).status is not Status.CLOSED
    assert receivers(sent, "receipt") == set()


@pytest.mark.parametrize("text", ["take", "Status: closed", "merge 2", "AddCc: eve@elsewhere.example", "list", "history 1", "undo"])
def test_a_customer_commands_nothing(house: House, text: str) -> None:
    sent = opened(house)
    opened(house, who=ANN, subject="Another")
    before = request(house)
    after_mail = answered(house, sent_to(sent, BOB, "acknowledgement"), text)
    after = request(house)
    assert (after.status, after.owner, after.merged_into) == (before.status, before.owner, 0)
    assert [p.address for p in after.participants] == [p.address for p in before.participants]
    assert "History of" not in "".join(one.text for one in after_mail)


def test_a_forged_command_waits_for_the_real_address(house: House) -> None:
    opened(house)
    sent = told_us(house, JANE, "merge 1", subject="Re: [Example #1] Printer down", proven=False)
    assert [one.item.template for one in sent] == ["held"]
    assert "merge 1" in sent[0].text
    assert request(house).status is Status.NEW


def test_the_same_command_mail_again_does_nothing_again(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    raw = trusted(reply(notice.item.raw, "time 30m\ntake", sender=f"{NAMES[JANE]} <{JANE}>", message_id=fresh_id(JANE)), JANE)
    for _ in range(5):
        house.receive(raw, to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    assert request(house).fields["worked"]["minutes"] == 30
    assert len([one for one in house.sent() if one.item.template == "receipt"]) == 1


@pytest.mark.parametrize("by_link", [False, True])
def test_who_moved_a_request_out_of_his_queue_can_take_that_back_and_nothing_else(house: House, by_link: bool) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    moved = answered(house, notice, "Queue: sales")
    assert "NOT DONE" in receipt(answered(house, notice, "Priority: P1"), JANE)
    back = clicked(house, sent_to(moved, JANE, "receipt"), "undo", body="Priority: P1") if by_link else answered(house, notice, "undo")
    assert "it is in support again" in receipt(back, JANE)
    assert request(house).queue == "support"
    assert request(house).priority == ""


def test_comment_with_nothing_below_it_sends_colleagues_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "comment\ntake")
    assert {one.item.template for one in sent} == {"receipt", "state"}
    assert "The other words of your mail" not in sent_to(sent, JANE, "receipt").text
    house.close()
