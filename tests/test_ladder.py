"""The escalation ladder: who is told at which rung, what an acknowledgement holds, and who stands for a role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rtmail.policy.clocks import ClockKind, Notice, NoticeKind, State, What
from rtmail.policy.ladder import Choice, Holder, choose
from rtmail.policy.model import Policy
from rtmail.policy.rows import Reach
from rtmail.policy.schema import parse
from rtmail.policy.signals import ManagerAcked, NoticeFailed, Opened, Prioritised, StatusChanged, Tick
from tests.fakes.clockwork import Clockwork, mails, shipped

TSM, CRM, CTO = "technical-support-manager", "customer-relations-manager", "cto"
PORTACARE = shipped("portacare")
HOLDING = shipped("portacare", ack_holds="true")
MONDAY = datetime(2026, 6, 8, 8, tzinfo=UTC)
LADDER = ClockKind.LADDER


def m(minutes: float) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


def prioritised(policy: Policy = PORTACARE, priority: str = "P1") -> Clockwork:
    request = Clockwork(policy, MONDAY)
    request.send(Opened(MONDAY, event=1), Prioritised(MONDAY, priority, event=2))
    return request


def rungs(request: Clockwork) -> list[tuple[datetime, int, int | None, tuple[str, ...], tuple[str, ...]]]:
    return [(notice.at, notice.generation, notice.rung, notice.tell, notice.cc) for notice in request.notices
            if notice.kind is NoticeKind.ESCALATION and notice.clock == "ladder"]


def changed(policy: Policy, *pairs: tuple[str, str]) -> Policy:
    text = policy.text
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return parse(text, "x.toml", "Europe/Berlin")


def test_each_rung_tells_its_role_and_copies_those_below() -> None:
    request = prioritised()
    request.until(m(10_000))
    assert rungs(request) == [(m(0), 1, 1, (TSM,), ()), (m(60), 1, 2, (CRM,), (TSM,)), (m(240), 1, 3, (CTO,), (CRM, TSM))]
    assert request.latest(LADDER).due_at is None
    assert request.latest(LADDER).running


def test_what_a_rungs_notice_says_about_its_priority() -> None:
    urgent, ordinary = prioritised().notices[-1], prioritised(priority="P2")
    assert (urgent.page, urgent.bundle) == (True, False)
    ordinary.until(m(60))
    assert (ordinary.notices[-1].page, ordinary.notices[-1].bundle) == (False, True)


def test_no_ladder_before_a_priority_is_set_and_then_from_that_instant() -> None:
    request = Clockwork(PORTACARE, MONDAY)
    request.send(Opened(MONDAY), Prioritised(m(20), "P2"))
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(80), m(260), m(500)]


def test_measured_from_the_opening_where_the_policy_says_so() -> None:
    policy = shipped("portacare", ladder_from='"opened"')
    request = Clockwork(policy, MONDAY)
    request.send(Opened(MONDAY), Prioritised(m(25), "P2"))
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(60), m(240), m(480)]
    late = Clockwork(policy, MONDAY)
    late.send(Opened(MONDAY))
    late.give(Prioritised(m(300), "P2"))                    # both rungs lie in the past: the higher one, with the lower in Cc
    assert [(rung, tell, cc) for _, _, rung, tell, cc in rungs(late)] == [(2, (CRM,), ())]     # TSM heard of triage just now


def test_a_raise_begins_a_new_generation_and_tells_nobody_twice_in_a_quarter_of_an_hour() -> None:
    request = prioritised(priority="P2")
    request.until(m(60))                                    # TSM told
    told = request.send(Prioritised(m(70), "P1"))
    assert told == []                                       # ten minutes ago
    assert (request.latest(LADDER).generation, request.latest(LADDER).steps[0].outcome) == (2, "told-recently")
    assert request.of(LADDER)[0].state is State.VOID
    again = prioritised(priority="P2")
    again.until(m(60))
    assert mails(again.send(Prioritised(m(75), "P1"))) == [("escalation", "ladder", 1, (TSM,))]


def test_a_raise_never_puts_a_role_off() -> None:
    request = prioritised(priority="P2")                    # CRM at 240, CTO at 480
    request.send(Prioritised(m(220), "P1"))
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(220), m(240), m(460)]
    request = prioritised(priority="P2")
    request.send(Prioritised(m(450), "P1"))                 # CTO would come at 690, the old ladder has him at 480, and so CRM too
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(450), m(480), m(480)]
    request.until(m(480))
    assert rungs(request)[-1] == (m(480), 2, 3, (CTO,), (CRM, TSM))


def test_lowering_goes_on_with_the_lower_ladder_and_repeats_no_rung() -> None:
    request = prioritised()
    request.send(Prioritised(m(30), "P2"))
    steps = request.latest(LADDER).steps
    assert [(step.due_at, step.done_at) for step in steps] == [(m(60), m(0)), (m(240), None), (m(480), None)]
    request.until(m(1000))
    assert [rung for _, _, rung, _, _ in rungs(request)] == [1, 2, 3]
    request = prioritised()
    request.until(m(60))
    request.send(Prioritised(m(100), "P4"))
    request.until(m(10_000))
    assert [rung for _, _, rung, _, _ in rungs(request)] == [1, 2]


def test_lowered_to_a_priority_without_ladder_and_back() -> None:
    policy = changed(PORTACARE, ('ladder = [\n  {after = "96h", tell = "technical-support-manager"},\n]\n', ""))
    request = prioritised(policy)
    request.send(Prioritised(m(10), "P4"))
    assert request.latest(LADDER).state is State.VOID
    request.send(Prioritised(m(100), "P1"))
    assert request.latest(LADDER).generation == 2
    assert rungs(request)[-1][:3] == (m(100), 2, 1)


# acknowledgements


def test_the_core_process_an_acknowledgement_is_quoted_and_the_rung_fires() -> None:
    request = prioritised()
    request.send(ManagerAcked(m(10), TSM, event=4))
    told = [notice for notice in request.until(m(60)) if notice.rung == 2]
    assert [(notice.at, notice.tell) for notice in told] == [(m(60), (CRM,))]
    assert [(ack.role, ack.at, ack.until) for ack in told[0].acks] == [(TSM, m(10), m(70))]


def test_an_acknowledgement_holds_the_next_rung_and_its_expiry_fires_the_highest_then_due() -> None:
    request = prioritised(HOLDING)
    request.send(ManagerAcked(m(50), TSM, until=m(250)))
    request.until(m(249))
    assert len(rungs(request)) == 1
    told = [notice for notice in request.until(m(250)) if notice.clock == "ladder"]
    assert mails(told) == [("escalation", "ladder", 3, (CTO,))]
    assert (told[0].skipped, told[0].late_by) == ((2,), timedelta(0))
    assert "the acknowledgement expired" in told[0].rule


def test_without_a_time_it_counts_for_one_update_interval() -> None:
    request = prioritised(HOLDING)
    request.send(ManagerAcked(m(50), TSM))
    request.until(m(300))
    assert [at for at, *_ in rungs(request)] == [m(0), m(110), m(240)]


def test_how_long_a_rung_lets_it_count() -> None:
    policy = changed(HOLDING, ('{after = "0", tell = "technical-support-manager"}',
                               '{after = "0", tell = "technical-support-manager", ack_for = "30m", ack_max = "100m"}'))
    request = prioritised(policy)
    request.send(ManagerAcked(m(40), TSM))
    assert request.latest(LADDER).acks[-1].until == m(70)
    request.send(ManagerAcked(m(65), TSM), ManagerAcked(m(90), TSM, until=m(900)))
    assert request.latest(LADDER).acks[-1].until == m(140)      # a hundred minutes from the first of them, no more
    request.until(m(200))
    assert [at for at, *_ in rungs(request)] == [m(0), m(140)]


def test_the_held_rungs_own_word_decides() -> None:
    policy = changed(PORTACARE, ('{after = "4h", tell = "cto"}', '{after = "4h", tell = "cto", ack_holds = true}'))
    request = prioritised(policy)
    request.send(ManagerAcked(m(10), TSM, until=m(400)))
    request.until(m(500))
    assert [(at, rung) for at, _, rung, _, _ in rungs(request)] == [(m(0), 1), (m(60), 2), (m(400), 3)]


def test_an_acknowledgement_after_the_end_moves_nothing() -> None:
    request = prioritised()
    request.send(StatusChanged(m(10), "closed"))
    before = request.clocks
    request.send(ManagerAcked(m(20), TSM))
    assert request.clocks == before


def test_an_outage_over_an_acknowledgement_is_one_mail() -> None:
    request = prioritised(HOLDING)
    request.send(ManagerAcked(m(50), TSM, until=m(100)))
    followed = request.give(Tick(m(1000)))
    up = [notice for notice in followed.notices if notice.clock == "ladder"]
    assert mails(up) == [("escalation", "ladder", 3, (CTO,))]
    assert up[0].late_by == timedelta(minutes=760)


# nobody there


def failed(request: Clockwork, role: str, reach: Reach, at: datetime) -> list[Notice]:
    return request.send(NoticeFailed(at, 1, 1, role, reach, event=9))


def test_a_rung_that_reaches_nobody_goes_to_the_deputy_and_then_to_the_admin_with_an_alarm() -> None:
    request = prioritised()
    deputy = failed(request, TSM, Reach.PERSON, m(1))
    assert [(notice.tell, notice.reach, notice.alarm, notice.rung) for notice in deputy] == [((TSM,), Reach.DEPUTY, False, 1)]
    assert failed(request, TSM, Reach.PERSON, m(2)) == []   # the report came twice
    admin = failed(request, TSM, Reach.DEPUTY, m(3))
    assert [(notice.reach, notice.alarm) for notice in admin] == [(Reach.ADMIN, True)]
    assert failed(request, TSM, Reach.ADMIN, m(4)) == []


def test_failures_of_rungs_not_told_or_not_there_move_nothing() -> None:
    request = prioritised()
    before = request.clocks
    request.send(NoticeFailed(m(1), 1, 2, CRM), NoticeFailed(m(1), 5, 1, TSM), NoticeFailed(m(1), 1, 1, CTO))
    assert request.clocks == before


def test_a_deputy_who_was_told_is_not_told_again_after_lowering() -> None:
    request = prioritised()
    failed(request, TSM, Reach.PERSON, m(1))
    request.send(Prioritised(m(2), "P2"))
    assert failed(request, TSM, Reach.PERSON, m(3)) == []


def test_triages_rung_has_a_deputy_too() -> None:
    request = Clockwork(PORTACARE, MONDAY)
    request.send(Opened(MONDAY))
    request.until(m(30))
    told = request.send(NoticeFailed(m(31), 1, 1, TSM, clock=ClockKind.TRIAGE))
    assert [(notice.clock, notice.tell, notice.reach) for notice in told] == [("triage", (TSM,), Reach.DEPUTY)]


HOLDERS = {"cto": Holder("carl", "ann"), "lone": Holder("lee"), "vacant": Holder("", "ann")}


@pytest.mark.parametrize(("role", "away", "least", "expected"), [
    ("cto", set(), Reach.PERSON, Choice("carl", Reach.PERSON, "person of cto")),
    ("cto", {"carl"}, Reach.PERSON, Choice("ann", Reach.DEPUTY, "the person of cto is away")),
    ("cto", {"carl", "ann"}, Reach.PERSON, Choice("", Reach.ADMIN, "the person of cto is away; the deputy of cto is away")),
    ("cto", set(), Reach.DEPUTY, Choice("ann", Reach.DEPUTY, "deputy of cto")),
    ("cto", set(), Reach.ADMIN, Choice("", Reach.ADMIN, "person and deputy of cto were not reached")),
    ("lone", {"lee"}, Reach.PERSON, Choice("", Reach.ADMIN, "the person of lone is away; lone has no deputy")),
    ("vacant", set(), Reach.PERSON, Choice("ann", Reach.DEPUTY, "vacant has no person")),
    ("unknown", set(), Reach.PERSON, Choice("", Reach.ADMIN, "unknown has no person; unknown has no deputy")),
])
def test_who_stands_for_a_role(role: str, away: set[str], least: Reach, expected: Choice) -> None:
    assert choose(role, HOLDERS, frozenset(away), least) == expected


def test_every_escalation_is_a_change_of_its_row() -> None:
    request = prioritised()
    request.until(m(1000))
    told = [change.row.steps for change in request.changes if change.kind is LADDER and change.what is What.TOLD]
    assert [sum(step.done_at is not None for step in steps) for steps in told] == [1, 2, 3]
