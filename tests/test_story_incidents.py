"""Incidents by real mail: opened by a mail of staff, told to whom they affect, answered, muted, linked, closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.people import Organisation
from rtmail.desk.ticket import EventKind
from rtmail.engine.office import Office
from rtmail.policy.clocks import State
from rtmail.store.outbox import Failed
from rtmail.store.outbox import Sent as Taken
from tests.fakes.entitled import ANN, BOB, OLD, WORKDAY, clock, due, entitled, request
from tests.fakes.house import House, Sent
from tests.fakes.staff import EVE, JANE, KIM, MAX, NAMES, answered, clicked, flat, opened, out_of_office, receivers, sent_to, swept, told_us

PIA = "pia@globex.example"
NAMES[PIA] = "Pia Wert"
OPEN = """Incident: Mail is slow
Severity: critical
Affects: all

Mail is slow since this morning. We look for the cause."""
WORDS = "Mail is slow since this morning."


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = entitled(tmp_path, "interopion", roles=("support-management",), services=("mail",))
    directory = one.plan.directory
    globex = Organisation("globex", "Globex", ("globex.example",), (PIA, BOB, "noreply@globex.example", "robot@globex.example"), "basic",
                          language="de", names={PIA: "Pia Wert"})  # fmt: skip
    directory = replace(directory, organisations={"globex": globex, **directory.organisations})
    site = replace(one.plan.site, machines=("robot@globex.example",), status_url="https://status.example.com")
    one.plan = replace(one.plan, directory=directory, site=site)
    one.engine.use(Office(one.plan, one.store, one.now))
    yield one
    one.close()


def incident(house: House, text: str = OPEN) -> list[Sent]:
    """Jane opens an incident; returns what went out, tellings too."""
    return told_us(house, JANE, text) + swept(house)


def test_a_mail_of_staff_opens_an_incident_and_every_contact_has_a_mail_of_his_own(house: House) -> None:
    sent = incident(house)
    told = [one for one in sent if one.item.template == "incident"]
    assert sorted(one.item.recipient for one in told) == [BOB, OLD, PIA], "once however many roles; no machine, no stranger"
    for one in told:
        assert one.item.recipient in one["To"]
        assert not one["Cc"]
        others = {BOB, OLD, PIA} - {one.item.recipient}
        assert not any(other in one.item.raw.decode() for other in others), "nobody sees another customer"
        assert WORDS in flat(one)
        assert "https://status.example.com" in flat(one)
        assert one["Auto-Submitted"] == "auto-generated"
    assert "Guten Tag" in sent_to(sent, PIA).text
    assert "Hello" in sent_to(sent, BOB).text
    assert [line for line in sent_to(sent, KIM, "opened").text.splitlines() if line.startswith("-")] == [
        "- An incident of severity critical; affects all."
    ]
    receipt = flat(sent_to(sent, JANE, "receipt"))
    assert "#1: An incident of severity critical" in receipt
    assert "3 contacts" in receipt
    ticket = request(house)
    assert (ticket.subject, ticket.status, ticket.priority, ticket.requestor) == ("Mail is slow", "open", "critical", None)
    first = clock(house, "first-response")
    assert first is not None
    assert (first.state, first.confirmed) == (State.MET, True)


def test_an_incident_that_nobody_announced_is_told_up_the_ladder(house: House) -> None:
    sent = incident(house, OPEN.partition("\n\n")[0])
    assert not receivers(sent, "incident")
    assert "Nobody outside was told" in flat(sent_to(sent, KIM, "opened"))
    assert due(house, "first-response") == WORKDAY + timedelta(hours=4)
    house.forward(hours=3, minutes=1)
    assert JANE in receivers(swept(house), "nudge")
    house.forward(hours=1)
    assert MAX in receivers(swept(house), "escalation")


def test_updates_on_a_cadence_and_a_summary_at_the_end_are_one_conversation(house: House) -> None:
    first = incident(house)
    opened_mail = sent_to(first, BOB, "incident")
    house.forward(hours=2)
    receipt = sent_to(first, JANE, "receipt")
    assert not receivers(answered(house, receipt, "We found it."), "incident"), "an answer to an internal mail stays among staff"
    house.forward(hours=1, minutes=10)
    reminder = sent_to(swept(house), JANE, "nudge")
    update = sent_to(answered(house, reminder, "A disk is full; we move it.") + swept(house), BOB, "incident")
    assert "there is news" in flat(update)
    assert update["In-Reply-To"] == opened_mail["Message-ID"]
    assert due(house, "update") == house.now + timedelta(hours=4)
    house.forward(hours=1)
    refused = answered(house, reminder, "close")
    assert "say below, in the same mail, what it was" in flat(sent_to(refused, JANE, "receipt"))
    sent = answered(house, reminder, "close\n\nThe disk is replaced; nothing was lost.") + swept(house)
    assert receivers(sent, "incident") == {BOB, OLD, PIA}
    closing = sent_to(sent, BOB, "incident")
    assert "is over" in flat(closing)
    assert "nothing was lost" in flat(closing)
    assert request(house).status == "closed"
    house.forward(days=3)
    assert not [one for one in swept(house) if one.item.template not in ("daily", "weekly")]


def test_managers_hear_of_a_missed_update(house: House) -> None:
    incident(house)
    house.forward(hours=9)
    sent = swept(house)
    assert MAX in receivers(sent, "missed") | receivers(sent, "escalation")
    missed = [one for one in request(house).clocks if one.name == "update" and one.state is State.MISSED]
    assert missed


def test_comments_on_an_incident_never_reach_a_contact(house: House) -> None:
    notice = sent_to(incident(house), KIM, "opened")
    raw_to = "support-comment@example.com"
    sent = told_us(house, KIM, "The cause is Bob's own script SECRET.", subject=notice["Subject"], to=raw_to) + swept(house)
    sent += answered(house, notice, "comment\n\nSECRET again") + swept(house)
    assert not [one for one in sent if one.item.recipient in (BOB, OLD, PIA)]
    assert any("SECRET" in one.text for one in sent)


def test_an_answer_to_an_announcement_is_a_request_that_nobody_else_sees(house: House) -> None:
    told = sent_to(incident(house), BOB, "incident")
    sent = answered(house, told, "It is slow here too.", who=BOB, proven=False) + swept(house)
    assert receivers(sent, "acknowledgement") == {BOB}
    assert not {OLD, PIA} & {one.item.recipient for one in sent}
    ack = flat(sent_to(sent, BOB, "acknowledgement"))
    assert "We know of this already and are at work on it: Mail is slow" in ack
    assert flat(sent_to(sent, JANE, "opened")).count("Linked: incident #1") == 1
    mine = request(house, 2)
    assert mine.fields["incidents"] == [1]
    assert [str(link.kind) for link in house.store.links(mine.id)] == ["incident"]
    more = answered(house, told, "Still slow.", who=BOB, proven=False)
    assert not receivers(more, "acknowledgement"), "his next answer goes to the request that the first became"
    assert [event.kind for event, _ in house.store.events(mine.id)].count(EventKind.CORRESPONDENCE) == 1
    assert not [event for event, _ in house.store.events(request(house).id) if event.actor and event.kind is EventKind.CORRESPONDENCE
                and not event.facts.get("by_staff")]  # fmt: skip


def test_a_new_request_of_somebody_affected_is_linked_and_told_and_hears_of_the_end(house: House) -> None:
    incident(house)
    notice = sent_to(opened(house, who=BOB, subject="No mail"), JANE, "opened")
    assert "Linked: incident #1, Mail is slow." in flat(notice)
    assert request(house, 2).fields["incidents"] == [1]
    held = opened(house, who=ANN, subject="No mail either")
    assert request(house, 3).fields["incidents"] == [1]
    assert ANN not in {one.item.recipient for one in held}, "no registered contact"
    stranger = opened(house, who=EVE, subject="Offer")
    assert not request(house, 4).fields.get("incidents")
    assert EVE not in {one.item.recipient for one in stranger}
    sent = told_us(house, JANE, "close\n\nIt is mended.", subject="Re: [Example #1] Mail is slow")
    asked = sent_to(sent, JANE, "asked")
    sent = clicked(house, asked, "send to the customer", who=JANE) + swept(house)
    assert receivers(sent, "incident") == {BOB, OLD, PIA}
    assert receivers(sent, "incident-over") == {ANN}, "who heard it as a contact hears it once"
    assert "your request #3 belongs, is over" in flat(sent_to(sent, ANN, "incident-over"))
    opened(house, who=BOB, subject="Another thing")
    assert not request(house, 5).fields.get("incidents")


def test_a_contact_mutes_one_incident_by_his_link(house: House) -> None:
    told = sent_to(incident(house), BOB, "incident")
    assert not clicked(house, told, "No more mail about this", who=BOB)
    assert request(house).fields["notice_mutes"]
    house.forward(hours=3, minutes=10)
    reminder = sent_to(swept(house), JANE, "nudge")
    assert receivers(answered(house, reminder, "News.") + swept(house), "incident") == {OLD, PIA}


def test_an_absence_of_a_contact_is_inert(house: House) -> None:
    told = sent_to(incident(house), BOB, "incident")
    assert not out_of_office(house, told)
    assert house.store.by_number(2) is None


@pytest.mark.parametrize(
    ("lines", "why", "instead"),
    [
        ("Incident: Down\nAffects: all", "how bad is it? critical", "Severity: critical"),
        ("Incident: Down\nSeverity: critical", "whom does it affect?", "Affects: all"),
        ("Incident: Down\nSeverity: mild\nAffects: all", "there is no severity 'mild'", "Severity: critical"),
        ("Incident: Down\nSeverity: critical\nAffects: acmee", "no organisation, plan, queue or service is called", "Affects: acme"),
    ],
)
def test_what_is_missing_opens_nothing_and_is_said(house: House, lines: str, why: str, instead: str) -> None:
    sent = told_us(house, JANE, f"{lines}\n\n{WORDS}") + swept(house)
    receipt = flat(sent_to(sent, JANE, "receipt"))
    assert why in receipt
    assert instead in receipt
    assert len(sent) == 1
    assert house.store.by_number(1) is None


def test_who_is_not_proven_opens_none(house: House) -> None:
    assert not receivers(told_us(house, JANE, OPEN, proven=False) + swept(house), "incident")
    assert not receivers(told_us(house, BOB, OPEN) + swept(house), "incident")


@pytest.mark.parametrize(
    ("affects", "told"),
    [
        ("acme", {BOB}), ("globex", {BOB, PIA}), ("service mail", {BOB}), ("plan basic", {BOB, OLD, PIA}),
        ("oldco, Globex", {BOB, OLD, PIA}), ("queue sales", {BOB, OLD, PIA}),
    ],
)  # fmt: skip
def test_whom_an_incident_affects(house: House, affects: str, told: set[str]) -> None:
    assert receivers(incident(house, OPEN.replace("all", affects)), "incident") == told


def test_who_is_affected_later_hears_of_it_then_and_nobody_twice(house: House) -> None:
    first = incident(house, OPEN.replace("all", "oldco"))
    assert receivers(first, "incident") == {OLD}
    sent = told_us(house, JANE, "Affects: oldco, acme", subject="Re: [Example #1] Mail is slow", to="support-comment@example.com")
    assert receivers(sent + swept(house), "incident") == {BOB}


def test_words_for_a_customer_alone_mean_nothing_on_an_incident(house: House) -> None:
    notice = sent_to(incident(house), KIM, "opened")
    for line in ("AddCc: eve@elsewhere.example", "for bob@acme.example", "wait until Mon 9:00"):
        assert "on which no customer takes part" in flat(sent_to(answered(house, notice, line), KIM, "receipt"))
    opened(house, who=BOB)
    other = sent_to(opened(house, who=OLD), JANE, "opened")
    assert "others would see these words" in flat(sent_to(answered(house, other, "merge 1"), JANE, "receipt"))


def test_a_dead_address_is_told_once_and_takes_nothing_back(house: House) -> None:
    told_us(house, JANE, OPEN)
    house.sweep()
    items = house.store.lease_outbox("relay", house.now, 50, 60)
    for item in items:
        lost = item.template == "incident" and item.recipient != BOB
        house.store.settle_outbox(item, Failed("550 5.1.1 unknown", "5.1.1") if lost else Taken("250 2.0.0 ok"), house.now)
    while house.engine.report(house.now):
        pass
    assert len([one for one in house.sent() if one.item.template == "undeliverable"]) == 1
    first = clock(house, "first-response")
    assert first is not None
    assert first.state is State.MET


# What was said among staff: everybody affected would read it.

REMARK = "They never pay, and their margin is laughable."
INSIDE = "support-comment@example.com"
PLANNED = "Starts: 2026-12-05 12:00\nEnds: 2026-12-05 14:00"
OPENINGS = [("Incident", "Severity: critical"), ("Maintenance", PLANNED), ("Emergency", PLANNED)]


def remarked(house: House) -> None:
    """Jane's comment on request 1."""
    answered(house, sent_to(opened(house), JANE, "opened"), f"comment\n\nFor us.\n{REMARK}")


def outside(sent: list[Sent]) -> list[str]:
    return [one.item.raw.decode() for one in sent if one.item.recipient in (ANN, BOB, OLD, PIA, EVE)]


@pytest.mark.parametrize(("opening", "more"), OPENINGS)
@pytest.mark.parametrize("title", [REMARK, f"Mail to {INSIDE} is slow"])
def test_a_title_that_says_what_is_for_staff_alone_opens_nothing(house: House, opening: str, more: str, title: str) -> None:
    remarked(house)
    sent = incident(house, f"{opening}: {title}\n{more}\nAffects: all\n\nIt is slow.")
    assert not outside(sent)
    receipt = flat(sent_to(sent, JANE))
    assert "the customer reads it, and it" in receipt
    assert f"{opening}: {title}"[:40] in receipt
    assert house.store.by_number(2) is None


@pytest.mark.parametrize(("opening", "more"), OPENINGS)
def test_words_of_an_announcement_that_were_said_among_staff_stay_there(house: House, opening: str, more: str) -> None:
    remarked(house)
    sent = incident(house, f"{opening}: Mail is slow\n{more}\nAffects: all\n\nWe look for it.\n{REMARK}")
    assert not outside(sent)
    assert "they repeat what was said among staff" in flat(sent_to(sent, JANE, "receipt"))
    assert request(house, 2).subject == "Mail is slow"


def test_an_update_that_was_said_among_staff_is_asked_about(house: House) -> None:
    remarked(house)
    notice = sent_to(incident(house), KIM, "opened")
    told_us(house, KIM, "It is the zinnober cable in rack nine again.", subject=notice["Subject"], to=INSIDE)
    house.forward(hours=3, minutes=10)
    reminder = sent_to(swept(house), JANE, "nudge")
    for words in (REMARK, "It is the zinnober cable in rack nine again."):
        sent = answered(house, reminder, f"News:\n{words}") + swept(house)
        assert not outside(sent)
        assert receivers(sent, "asked") == {JANE}


def test_the_shell_tells_nobody_what_was_said_among_staff(house: House) -> None:
    remarked(house)
    lines, now = "Severity: critical\nAffects: all", house.now
    for title, words in ((REMARK, "It is slow."), ("Mail is slow", f"Hello,\n{REMARK}")):
        results = house.engine.declare("support", f"Incident: {title}\n{lines}", words, "root", now)
        assert "said among staff" in str(results)
    assert house.store.by_number(2) is None
    assert "it is #" in str(house.engine.declare("support", f"Incident: Mail is slow\n{lines}", "It is slow.", "root", now))
    swept(house)
    (number,) = (one.number for one in house.store.incidents())
    assert "said among staff" in str(house.engine.speak(number, "", REMARK, "root", now))
    assert "said among staff" in str(house.engine.command(1, f"Subject: {REMARK}", "root", now))
    assert not outside(swept(house))
    assert "they go to" in str(house.engine.speak(number, "", "We found it.", "root", now))


def test_nobody_affected_reads_whom_else_it_affects(house: House) -> None:
    sent = incident(house, OPEN.replace("Affects: all", "Affects: organisation acme, organisation globex"))
    assert outside(sent)
    for raw in outside(sent):
        both = "globex" in raw.casefold() and "acme" in raw.casefold()
        assert not both, raw
