"""The clock table, row by row and bullet by bullet; then random histories that must keep its laws."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.desk.ticket import Status, legal
from rtmail.policy.clocks import Clock, ClockKind, NoticeKind, State, What, advance, wake_at
from rtmail.policy.duration import Duration
from rtmail.policy.hours import between
from rtmail.policy.model import Policy
from rtmail.policy.rows import Basis
from rtmail.policy.schema import parse
from rtmail.policy.signals import (
    AcknowledgementSent,
    Answered,
    CadenceSet,
    ClosingHeld,
    ClosingReleased,
    CustomerWrote,
    Delivered,
    Ended,
    ManagerAcked,
    Merged,
    NoticeFailed,
    Opened,
    PolicyApplied,
    Prioritised,
    Promised,
    Refused,
    ReopenedAfterClosed,
    Returned,
    Signal,
    Snoozed,
    StatusChanged,
    Taken,
    Tick,
)
from tests.fakes.clockwork import Clockwork, after, mails, shipped

TSM, CRM, CTO = "technical-support-manager", "customer-relations-manager", "cto"
PORTACARE = shipped("portacare")
HOLDING = shipped("portacare", update_mode='"hold"')
MONDAY = datetime(2026, 6, 8, 8, tzinfo=UTC)        # 10:00 in Berlin
TRIAGE, FIRST, UPDATE, LADDER, CLOSING = (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.LADDER, ClockKind.CLOSING)
RESOLUTION = ClockKind.RESOLUTION


def m(minutes: float) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


def opened(policy: Policy = PORTACARE, priority: str = "", owner: int = 7) -> Clockwork:
    request = Clockwork(policy, MONDAY, owner=owner)
    request.send(Opened(MONDAY, event=1))
    if priority:
        request.send(Prioritised(MONDAY, priority, event=2))
    return request


def answered(policy: Policy = PORTACARE, priority: str = "P1") -> Clockwork:
    request = opened(policy, priority)
    request.send(Answered(m(10), event=3), Delivered(m(10), event=3))
    return request


def with_keys(**keys: str) -> Policy:
    """PortaCare with one line of a priority added or put in the place of the same key's."""
    text = PORTACARE.text
    for priority, line in keys.items():
        before, head, section = text.partition(f"[priorities.{priority}]\n")
        section, ladder, rest = section.partition("ladder = [\n")
        kept = [each for each in section.splitlines() if not each.startswith(line.partition(" ")[0] + " ")]
        text = before + head + "\n".join([*kept, line]) + "\n" + ladder + rest
    return parse(text, "x.toml", "Europe/Berlin")


# opening, acknowledgement, triage


def test_the_acknowledgement_says_when_a_person_will_have_looked() -> None:
    request = opened()
    assert mails(request.notices) == [("acknowledgement", "", None, ("requestor",))]
    assert request.notices[0].next_at == m(30)
    no_triage = parse(PORTACARE.text.replace('triage = "30m"', ""), "x.toml")
    assert opened(no_triage).notices[0].next_at == m(60)
    quiet = Clockwork(PORTACARE, MONDAY)
    assert quiet.send(Opened(MONDAY, acknowledge=False)) == []


def test_triage_reminds_the_queue_and_at_due_tells_the_first_rung_of_the_highest_priority() -> None:
    request = opened()
    assert [(notice.at, *mail) for notice, mail in zip(request.until(m(59)), mails(request.notices[1:]), strict=True)] == [
        (m(22.5), "nudge", "triage", None, ("queue",)),
        (m(30), "escalation", "triage", 1, (TSM,)),
        (m(45), "nudge", "first-response", None, ("owner", "queue")),
    ]
    assert request.latest(TRIAGE).state is State.MISSED


def test_an_on_call_role_is_reminded_instead_of_the_queue() -> None:
    policy = parse(PORTACARE.text.replace('triage = "30m"', 'on_call = "night"\ntriage = "30m"'), "x.toml")
    assert opened(policy).until(m(25))[0].tell == ("night",)


def test_triage_is_met_by_staff_only() -> None:
    request = opened()
    request.send(Prioritised(m(5), "P3", by_staff=False))
    assert request.latest(TRIAGE).state is State.RUNNING
    request.send(Prioritised(m(10), "P3", event=4))
    triage = request.latest(TRIAGE)
    assert (triage.state, triage.settled_by, triage.settled_at, triage.settled_event) == (State.MET, "staff", m(10), 4)


def test_an_answer_alone_is_not_triage() -> None:
    request = opened()
    request.send(Answered(m(10), event=3))
    assert request.latest(TRIAGE).state is State.RUNNING
    assert request.latest(UPDATE).due_at == m(70)           # on the untriaged priority
    request.send(Prioritised(m(40), "P3"))                  # late: settled, still missed
    triage = request.latest(TRIAGE)
    assert (triage.state, triage.settled_at) == (State.MISSED, m(40))


def test_a_missed_first_response_tells_the_triage_rung_too() -> None:
    request = opened()
    request.until(m(60))
    assert mails(request.notices)[-1] == ("missed", "first-response", None, (TSM,))


# first response


def test_first_response_is_met_provisionally_and_confirmed_by_the_relay() -> None:
    request = opened(priority="P1")
    request.send(Answered(m(10), event=3))
    first = request.latest(FIRST)
    assert (first.state, first.settled_at, first.settled_by, first.settled_event, first.confirmed) == (State.MET, m(10), "human", 3, False)
    request.send(Delivered(m(11), event=3))
    assert request.latest(FIRST).confirmed
    assert request.until(m(62)) == [notice for notice in request.notices if notice.clock in ("update", "ladder") and notice.at > m(11)]


def test_answered_in_time_and_not_delivered_tells_author_and_admin_only() -> None:
    request = opened(priority="P2")
    request.send(Answered(m(60), event=3))
    request.until(m(119))
    told = request.until(m(125))
    assert ("nudge", "first-response", None, ("author", "admin")) in mails(told)
    assert "missed" not in {notice.kind for notice in told}
    assert len([notice for notice in request.until(m(170)) if "author" in notice.tell]) == 0


def test_an_answer_at_the_due_instant_is_in_time_and_one_a_second_later_is_not() -> None:
    request = opened(priority="P1")
    request.send(Answered(m(60), event=3))
    assert request.latest(FIRST).state is State.MET
    request = opened(priority="P1")
    request.send(Answered(m(60) + timedelta(seconds=1), event=3))
    first = request.latest(FIRST)
    assert (first.state, first.settled_at) == (State.MISSED, m(60) + timedelta(seconds=1))
    assert request.latest(UPDATE).running


def test_a_miss_tells_the_rungs_told_so_far_or_the_first_one() -> None:
    request = opened(priority="P3")
    due = datetime(2026, 6, 9, 8, tzinfo=UTC)
    told = [notice for notice in request.until(due) if notice.kind is NoticeKind.MISSED]
    assert mails(told) == [("missed", "first-response", None, (TSM,))]      # none told yet: the first
    assert request.latest(LADDER).steps[0].done_at is None                   # whose rung still comes
    late = with_keys(P1='first_response = "2h"')
    request = opened(late, "P1")
    assert mails(request.until(m(120)))[-1] == ("missed", "first-response", None, (CRM, TSM))


def test_a_miss_and_a_rung_at_the_same_instant_are_one_mail() -> None:
    request = opened(priority="P1")
    at_due = [notice for notice in request.until(m(60)) if notice.at == m(60)]
    assert mails(at_due) == [("escalation", "ladder", 2, (CRM,))]
    assert (at_due[0].also, at_due[0].cc) == (("first-response",), (TSM,))


def test_taking_or_acknowledging_counts_where_the_policy_says_so() -> None:
    taken = with_keys(P1='met_by = "taken"')
    request = opened(taken, "P1")
    request.send(AcknowledgementSent(m(1), event=3))
    assert request.latest(FIRST).running
    request.send(Taken(m(5), event=4))
    assert (request.latest(FIRST).settled_by, request.latest(FIRST).confirmed) == ("taken", True)
    assert request.latest(UPDATE).due_at == m(65)           # taken, and still no word to the customer: that comes next
    request = opened(with_keys(P1='met_by = "acknowledgement"'), "P1")
    request.send(Taken(m(1)), AcknowledgementSent(m(2), event=4))
    assert (request.latest(FIRST).settled_by, request.latest(FIRST).confirmed) == ("acknowledgement", False)
    request = opened(PORTACARE, "P1")
    request.send(Taken(m(5)), AcknowledgementSent(m(6)))
    assert request.latest(FIRST).running


# answers that come back


def test_a_returned_first_answer_is_owed_again_from_the_bounce() -> None:
    request = opened(priority="P1")
    request.send(Answered(m(10), event=3), Delivered(m(10), event=3))
    told = request.send(Returned(m(30), event=3))
    assert [notice for notice in told if notice.kind is NoticeKind.MISSED] == []
    assert request.states(FIRST) == [State.RETURNED, State.RUNNING]
    assert request.latest(FIRST).due_at == m(90)
    assert request.states(UPDATE) == [State.VOID]           # the cadence that the lost answer began
    request.send(Answered(m(40), event=6))
    assert (request.states(FIRST), request.latest(UPDATE).due_at) == ([State.RETURNED, State.MET], m(100))


def test_the_ladder_hears_of_a_bounce_after_the_due_instant() -> None:
    request = opened(priority="P1")
    request.send(Answered(m(10), event=3))
    told = request.send(Returned(m(90), event=3))
    assert mails(told)[-1] == ("missed", "first-response", None, (CRM, TSM))


def test_a_returned_update_is_owed_again() -> None:
    request = answered()
    request.send(Answered(m(40), event=5), Returned(m(50), event=5))
    assert request.states(UPDATE) == [State.RETURNED, State.VOID, State.RUNNING]
    assert request.latest(UPDATE).due_at == m(110)
    assert request.states(FIRST) == [State.MET]


def test_a_later_answer_that_stands_pays_for_the_one_that_came_back() -> None:
    request = opened(priority="P1")
    request.send(Answered(m(10), event=3), Answered(m(20), event=4), Delivered(m(20), event=4), Returned(m(30), event=3))
    assert request.states(FIRST) == [State.RETURNED, State.MET]
    assert (request.latest(FIRST).settled_event, request.latest(FIRST).confirmed) == (4, True)
    assert request.latest(UPDATE).due_at == m(80)


def test_a_late_answer_that_came_back_leaves_the_miss_unsettled() -> None:
    request = opened(priority="P1")
    request.send(Answered(m(70), event=3), Returned(m(75), event=3))
    assert request.states(FIRST) == [State.MISSED, State.RUNNING]
    assert request.of(FIRST)[0].settled_at is None


def test_reports_about_other_mail_move_nothing() -> None:
    request = answered()
    before = request.clocks
    request.send(Delivered(m(11), event=99), Returned(m(12), event=99), Returned(m(12), event=0))
    assert request.clocks == before


# update cadence


def test_each_answer_begins_the_next_interval() -> None:
    request = answered()
    request.send(Answered(m(50), event=5))
    assert [(row.state, row.due_at) for row in request.of(UPDATE)] == [(State.MET, m(70)), (State.RUNNING, m(110))]


def test_an_answer_read_late_does_not_pull_the_interval_back() -> None:
    request = answered()
    request.send(Answered(m(50), event=5))
    request.give(Answered(m(20), event=6))
    assert request.latest(UPDATE).due_at == m(110)


def test_nudges_come_once_an_interval_and_silence_is_not_mailed() -> None:
    request = answered()
    mailed = [(notice.at, notice.kind, notice.tell) for notice in request.until(m(200)) if notice.clock == "update"]
    assert mailed == [(m(55), "nudge", ("owner",)), (m(115), "nudge", ("owner",)), (m(175), "nudge", ("owner",))]
    assert request.states(UPDATE) == [State.MISSED, State.MISSED, State.MISSED, State.RUNNING]
    request.send(Answered(m(200), event=9))
    assert all(row.settled_at == m(200) and row.state is State.MISSED for row in request.of(UPDATE)[:3])
    silent = answered(with_keys(P1='update_mode = "silent"'))
    assert [notice for notice in silent.until(m(200)) if notice.clock == "update"] == []


def test_a_holding_update_says_when_the_next_word_comes_and_two_in_a_row_climb() -> None:
    request = answered(HOLDING, "P2")                       # updates every 2 h; rungs at 1, 4 and 8 h
    mailed = [(notice.at, *mail) for notice, mail in zip(request.until(m(380)), mails(request.notices), strict=False)]
    mailed = [(notice.at, notice.kind.value, notice.rung, notice.next_at) for notice in request.notices
              if notice.kind in (NoticeKind.HOLDING_UPDATE, NoticeKind.ESCALATION)]
    assert mailed == [
        (m(60), "escalation", 1, None),
        (m(130), "holding-update", None, m(250)),
        (m(240), "escalation", 2, None),
        (m(250), "holding-update", None, m(370)),
        (m(250), "escalation", 3, None),                    # the second in a row: the next rung, early
        (m(370), "holding-update", None, m(490)),
    ]
    assert request.latest(LADDER).steps[2].outcome == "early"
    assert request.latest(UPDATE).holds == 3


def test_a_human_answer_ends_the_row_of_holding_updates() -> None:
    request = answered(HOLDING, "P2")
    request.send(Answered(m(140), event=5))
    request.until(m(265))
    assert request.latest(UPDATE).holds == 1
    assert request.latest(LADDER).steps[2].done_at is None


def test_when_all_rungs_are_told_two_more_holding_updates_remind_them_unless_acknowledged() -> None:
    request = answered(HOLDING, "P1")
    request.until(m(250))                                   # holds at 70, 130 (climbs: CTO), 190, 250 (nobody left to climb to)
    reminded = [notice for notice in request.notices if notice.kind is NoticeKind.MISSED]
    assert mails(reminded) == [("missed", "update", None, (CTO, CRM, TSM))]
    acked = answered(HOLDING, "P1")
    acked.until(m(200))
    acked.send(ManagerAcked(m(200), CTO, until=m(400)))
    acked.until(m(260))
    assert [notice for notice in acked.notices if notice.kind is NoticeKind.MISSED] == []


def test_an_acknowledgement_that_holds_rungs_holds_the_climb_as_well() -> None:
    policy = shipped("portacare", update_mode='"hold"', ack_holds="true")
    request = answered(policy, "P2")
    request.until(m(60))
    request.send(ManagerAcked(m(61), TSM, until=m(400)))
    request.until(m(399))                                   # two holding updates went out, at 130 and 250
    assert request.latest(UPDATE).holds == 3
    assert [notice.rung for notice in request.notices if notice.clock == "ladder"] == [1]


def test_no_holding_update_while_waiting_even_where_the_clock_runs() -> None:
    policy = shipped("portacare", update_mode='"hold"', waiting_pauses='["resolution"]')
    request = answered(policy)
    request.send(StatusChanged(m(20), "waiting"))
    request.until(m(80))
    assert request.of(UPDATE)[0].state is State.MISSED
    assert NoticeKind.HOLDING_UPDATE not in {notice.kind for notice in request.notices}


def test_a_promise_moves_the_update_and_stands_through_waiting() -> None:
    request = answered()
    request.send(Promised(m(20), due_at=m(300)))
    assert (request.latest(UPDATE).due_at, request.latest(UPDATE).basis) == (m(300), Basis.PROMISE)
    request.send(CadenceSet(m(30), Duration.parse("4h")), Prioritised(m(40), "P2"))
    assert request.latest(UPDATE).due_at == m(300)
    request.send(StatusChanged(m(50), "waiting"), StatusChanged(m(100), "open"))
    assert request.latest(UPDATE).due_at == m(300)
    request.send(StatusChanged(m(110), "waiting"), StatusChanged(m(400), "open"))
    assert request.of(UPDATE)[0].due_at == m(400)           # it passed meanwhile: due at once


def test_a_promise_before_any_answer_starts_an_update_clock() -> None:
    request = opened(priority="P1")
    request.send(Promised(m(5), due_at=m(120)))
    assert request.latest(UPDATE).due_at == m(120)
    assert request.latest(FIRST).running


@pytest.mark.parametrize(("every", "due"), [("4h", 250), ("30m", 50), ("0", 70)])
def test_a_cadence_as_agreed(every: str, due: float) -> None:
    """Longer from the interval's start; shorter by the earlier of old due and change plus new; nought is no cadence."""
    request = answered()
    request.send(CadenceSet(m(20), Duration.parse(every)))
    assert request.latest(UPDATE).due_at == m(due)


def test_an_agreed_cadence_overrides_the_table_until_it_ends() -> None:
    request = answered()
    request.send(CadenceSet(m(20), Duration.parse("4h")), Prioritised(m(30), "P2"), Answered(m(60), event=5))
    assert request.latest(UPDATE).due_at == m(300)
    request.send(CadenceSet(m(70), None))
    assert request.latest(UPDATE).due_at == m(190)          # two hours again: shorter, so from the change


def test_an_agreed_cadence_starts_updates_that_the_priority_does_not_promise() -> None:
    policy = parse(PORTACARE.text.replace('update_every = "1h"\n', "", 1), "x.toml", "Europe/Berlin")
    request = answered(policy)
    assert request.of(UPDATE) == []
    request.send(CadenceSet(m(20), Duration.parse("2h")))
    assert request.latest(UPDATE).due_at == m(140)
    request.send(CadenceSet(m(30), None))
    assert request.latest(UPDATE).state is State.VOID


# raised and lowered


def test_raised_is_the_earlier_of_the_old_instant_and_change_plus_target() -> None:
    request = opened(priority="P2")                         # first response due at 120
    request.send(Prioritised(m(30), "P1"))
    assert request.latest(FIRST).due_at == m(90)
    request = opened(priority="P2")
    request.send(Prioritised(m(100), "P1"))
    assert request.latest(FIRST).due_at == m(120)
    assert request.latest(FIRST).priority == "P1"


def test_lowered_is_start_plus_target() -> None:
    request = opened(priority="P1")
    request.send(Prioritised(m(30), "P2"))
    assert request.latest(FIRST).due_at == m(120)
    request.send(Prioritised(m(40), "P3"))
    assert request.latest(FIRST).due_at == datetime(2026, 6, 9, 8, tzinfo=UTC)


def test_setting_a_priority_late_can_not_be_late() -> None:
    request = opened()
    request.send(Prioritised(m(55), "P1"))
    assert request.latest(FIRST).due_at == m(60)


def test_each_change_of_due_is_logged_with_old_and_new() -> None:
    request = opened(priority="P1")
    request.send(Prioritised(m(30), "P2"))
    change = next(change for change in request.changes if change.kind is FIRST and change.what is What.DUE)
    assert (change.old_due, change.new_due) == (m(60), m(120))
    assert "lowered from P1 to P2" in change.rule


def test_a_paused_update_is_raised_and_lowered_as_if_it_ran_on() -> None:
    request = answered(priority="P2")                       # update due at 130
    request.send(StatusChanged(m(20), "waiting"), Prioritised(m(100), "P1"), StatusChanged(m(110), "open"))
    assert request.latest(UPDATE).due_at == m(170)          # 60 from the change, 10 of them in waiting
    request.send(StatusChanged(m(120), "waiting"), Prioritised(m(130), "P2"), StatusChanged(m(140), "open"))
    assert request.latest(UPDATE).due_at == m(10 + 120 + 90 + 20)


def test_a_reply_owed_to_the_customer_is_not_moved_by_a_priority() -> None:
    request = answered(priority="P1")
    request.send(StatusChanged(m(20), "waiting"), CustomerWrote(m(30)))
    assert (request.latest(UPDATE).due_at, request.latest(UPDATE).basis) == (m(90), Basis.REPLY)
    request.send(Prioritised(m(40), "P2"))
    assert request.latest(UPDATE).due_at == m(90)


# waiting, resolved, closed


def test_waiting_pauses_what_the_policy_says_and_loses_no_second() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "waiting"))
    assert request.latest(UPDATE).state is State.PAUSED
    assert request.latest(LADDER).running
    request.until(m(200))
    request.send(StatusChanged(m(200), "open"))
    assert request.latest(UPDATE).due_at == m(250)
    assert request.latest(UPDATE).pauses == ((m(20), m(200)),)
    unanswered = opened(priority="P2")
    unanswered.send(StatusChanged(m(20), "waiting"))
    assert unanswered.latest(FIRST).running


def test_an_answer_while_waiting_begins_an_interval_that_stands_still() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "waiting"), Answered(m(30), event=5))
    assert (request.latest(UPDATE).state, request.latest(UPDATE).due_at) == (State.PAUSED, m(90))


def test_a_ladder_stands_still_where_the_policy_says_so() -> None:
    policy = shipped("portacare", waiting_pauses='["update", "ladder"]')
    request = answered(policy)
    request.send(StatusChanged(m(30), "waiting"))
    assert [notice for notice in request.until(m(300)) if notice.clock == "ladder"] == []
    request.send(StatusChanged(m(300), "open"))
    assert [step.due_at for step in request.latest(LADDER).steps][1:] == [m(330), m(510)]


@pytest.mark.parametrize("status", ["waiting", "resolved"])
def test_a_customers_mail_starts_a_fresh_update_clock(status: str) -> None:
    request = answered(priority="P2")
    request.send(StatusChanged(m(30), status), CustomerWrote(m(300), event=5), StatusChanged(m(300), "open"))
    assert request.latest(UPDATE).due_at == m(420)          # reply_within of P2
    assert request.states(UPDATE) == [State.VOID, State.RUNNING]
    again = request.clocks
    request.send(CustomerWrote(m(310)))
    assert request.clocks == again                          # while open a further mail changes nothing


def test_a_customers_mail_before_the_first_answer_needs_no_second_promise() -> None:
    request = opened(priority="P2")
    request.send(StatusChanged(m(10), "waiting"), CustomerWrote(m(20)))
    assert request.of(UPDATE) == []


def test_a_short_thanks_while_resolved_changes_nothing_and_while_waiting_it_does() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "resolved"))
    before = request.clocks
    request.send(CustomerWrote(m(30), thanks=True))
    assert request.clocks == before
    request = answered()
    request.send(StatusChanged(m(20), "waiting"), CustomerWrote(m(30), thanks=True))
    assert request.latest(UPDATE).running


WITH_RESOLUTION = with_keys(P1='resolution = "8h"', P2='resolution = "20h"')


def test_resolution_counts_from_the_opening_and_is_met_by_resolved() -> None:
    request = opened(WITH_RESOLUTION)
    request.send(Prioritised(m(20), "P1"))
    assert request.latest(RESOLUTION).due_at == m(480)
    request.send(StatusChanged(m(100), "resolved"))
    assert (request.latest(RESOLUTION).state, request.latest(RESOLUTION).confirmed) == (State.MET, False)
    assert (request.latest(LADDER).state, request.latest(FIRST).state) == (State.MET, State.MISSED)


def test_resolution_refused_goes_on_without_the_time_in_resolved() -> None:
    request = opened(WITH_RESOLUTION, "P1")
    request.send(Answered(m(10), event=3), Delivered(m(10), event=3), StatusChanged(m(100), "resolved"))
    assert request.latest(CLOSING).running
    request.send(Refused(m(400)))
    assert (request.latest(RESOLUTION).state, request.latest(RESOLUTION).due_at) == (State.RUNNING, m(780))
    assert (request.latest(LADDER).generation, request.latest(LADDER).steps[2].due_at) == (1, m(540))
    assert request.latest(CLOSING).state is State.VOID
    assert request.latest(UPDATE).due_at == m(460)
    request.until(m(540))
    assert mails(request.notices)[-1] == ("escalation", "ladder", 3, (CTO,))


def test_staff_open_it_again_and_the_update_goes_on() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "resolved"), StatusChanged(m(40), "open"))
    assert (request.latest(UPDATE).due_at, request.latest(LADDER).state) == (m(90), State.RUNNING)


def test_resolved_without_a_human_answer_first_response_and_triage_run_on() -> None:
    request = opened()
    request.send(StatusChanged(m(5), "resolved"))
    told = request.until(m(60))
    assert ("escalation", "triage", 1, (TSM,)) in mails(told)
    assert mails(told)[-1] == ("missed", "first-response", None, (TSM,))


def test_no_answer_closes_with_a_word() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "resolved"))
    told = request.until(m(60 * 24 * 20))
    assert mails(told) == [("closing", "", None, ("requestor",))]
    assert told[0].at == datetime(2026, 6, 22, 8, 20, tzinfo=UTC)       # ten business days at 10:20 in Berlin
    request.send(StatusChanged(told[0].at, "closed"))
    assert not any(row.open for row in request.clocks)
    assert request.latest(LADDER).confirmed
    assert wake_at(request.clocks) is None


def test_automatic_closing_stops_until_staff_looked() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "resolved"), ClosingHeld(m(30)))
    assert request.until(m(60 * 24 * 30)) == []
    request.send(ClosingReleased(m(60 * 24 * 30)))
    assert request.latest(CLOSING).running
    assert NoticeKind.CLOSING in {notice.kind for notice in request.until(m(60 * 24 * 60))}


def test_approval_settles() -> None:
    request = answered()
    request.send(StatusChanged(m(20), "resolved"), StatusChanged(m(30), "closed"))
    assert request.latest(CLOSING).state is State.MET
    assert request.latest(UPDATE).state is State.VOID
    assert request.latest(LADDER).confirmed


def test_reopened_after_closed_begins_new_instances() -> None:
    request = answered(WITH_RESOLUTION)
    request.send(StatusChanged(m(20), "resolved"), StatusChanged(m(30), "closed"))
    told = request.send(CustomerWrote(m(1000)), StatusChanged(m(1000), "open"))
    assert (request.latest(RESOLUTION).generation, request.latest(RESOLUTION).due_at) == (2, m(1480))
    assert request.latest(UPDATE).due_at == m(1060)
    assert mails(told) == [("escalation", "ladder", 1, (TSM,))]
    assert request.latest(LADDER).generation == 2
    staff = answered()
    staff.send(StatusChanged(m(20), "closed"), StatusChanged(m(1000), "open"))
    assert (staff.latest(UPDATE).due_at, staff.latest(UPDATE).basis) == (m(1060), Basis.TARGET)


def test_reopened_before_any_answer_owes_the_first_response_again() -> None:
    request = opened()
    request.send(StatusChanged(m(5), "rejected"), ReopenedAfterClosed(m(100), by_customer=False))
    assert (request.latest(FIRST).due_at, request.latest(TRIAGE).due_at) == (m(160), m(130))
    assert request.of(UPDATE) == []


@pytest.mark.parametrize("status", ["rejected", "merged"])
def test_end_states_void_open_clocks_and_tell_nobody(status: str) -> None:
    request = opened(priority="P1")
    request.send(StatusChanged(m(5), status))
    assert {row.state for row in request.clocks} == {State.VOID, State.MET}      # triage was met
    assert request.until(m(10_000)) == []


def test_an_undone_merge_counts_as_if_nothing_had_stopped() -> None:
    request = opened(priority="P1")
    request.send(StatusChanged(m(5), "merged"), StatusChanged(m(20), "open"))
    assert (request.latest(FIRST).state, request.latest(FIRST).due_at) == (State.RUNNING, m(60))


def test_the_survivor_of_a_merge_takes_the_earlier_due_of_each_kind() -> None:
    other = answered(WITH_RESOLUTION, "P1")
    mine = Clockwork(WITH_RESOLUTION, m(5))
    mine.send(Opened(m(5)), Prioritised(m(5), "P2"))
    theirs = opened(WITH_RESOLUTION, "P1").clocks
    mine.send(Merged(m(30), theirs))
    assert mine.latest(FIRST).due_at == m(60)
    assert mine.latest(RESOLUTION).due_at == m(480)
    assert [step.due_at for step in mine.latest(LADDER).steps] == [m(65), m(60), m(240)]
    mine.send(Merged(m(31), other.clocks))
    assert mine.latest(UPDATE).due_at == m(70)              # what only the other owed
    late = Clockwork(PORTACARE, m(0))
    late.send(Opened(m(0)))
    late.send(Merged(m(10), opened(priority="P2").clocks))
    assert late.latest(FIRST).due_at == m(60)               # the survivor's own is the earlier one


def test_a_finished_survivor_takes_nothing() -> None:
    mine = answered()
    mine.send(StatusChanged(m(20), "closed"))
    before = mine.clocks
    mine.send(Merged(m(30), opened().clocks))
    assert mine.clocks == before


def test_ended_voids_with_its_word() -> None:
    request = opened()
    request.send(Ended(m(5), "erased"))
    assert {row.settled_by for row in request.clocks} == {"erased"}


# time


def test_a_late_tick_sends_one_mail_up_the_ladder_that_says_how_late() -> None:
    request = answered()
    followed = request.give(Tick(m(600)))
    assert mails(followed.notices) == [("escalation", "ladder", 3, (CTO,))]
    assert (followed.notices[0].late_by, followed.notices[0].skipped) == (timedelta(minutes=360), (2,))
    assert request.latest(UPDATE).due_at == m(660)          # the next interval counts from now
    assert request.give(Tick(m(601))).notices == ()


def test_an_outage_over_everything_is_one_mail() -> None:
    request = opened()
    followed = request.give(Tick(m(600)))
    assert mails(followed.notices) == [("escalation", "triage", 1, (TSM,))]
    assert followed.notices[0].also == ("first-response",)
    holding = answered(HOLDING)
    kinds = [notice.kind for notice in holding.give(Tick(m(600))).notices]
    assert sorted(kinds) == ["escalation", "holding-update"]


def test_after_a_short_outage_the_ladders_mail_stands_for_the_reminders_too() -> None:
    request = opened()
    followed = request.give(Tick(m(50)))                    # triage was due at 30, the first response's reminder at 45
    assert mails(followed.notices) == [("escalation", "triage", 1, (TSM,))]
    assert request.latest(FIRST).nudged_at == m(50)
    assert [notice.kind for notice in request.until(m(59))] == []


def test_after_an_outage_shorter_than_the_interval_it_counts_from_now() -> None:
    request = answered(HOLDING)
    request.give(Tick(m(90)))                               # due at 70
    assert request.latest(UPDATE).due_at == m(150)


def test_a_tick_a_little_late_does_not_shift_the_cadence() -> None:
    request = answered()
    request.give(Tick(m(70) + timedelta(seconds=2)))
    assert request.latest(UPDATE).due_at == m(130)


def test_a_clock_set_back_fires_nothing_again() -> None:
    request = answered()
    request.until(m(130))
    for earlier in (m(129), m(60), m(0)):
        assert request.give(Tick(earlier)).changes == ()


def test_a_mail_from_before_an_outage_is_judged_by_its_own_time() -> None:
    request = opened(priority="P1")
    request.give(Answered(m(50), event=3))                  # read first, at restart …
    request.give(Tick(m(300)))                              # … then time catches up
    assert request.latest(FIRST).state is State.MET


def test_a_mail_read_after_the_miss_was_told_settles_it_and_leaves_it_missed() -> None:
    request = opened(priority="P1")
    request.until(m(60))
    request.give(Answered(m(50), event=3))
    first = request.latest(FIRST)
    assert (first.state, first.settled_at) == (State.MISSED, m(50))


def test_snoozing_moves_the_owners_reminder() -> None:
    request = answered()
    request.send(Snoozed(m(20), "owner", until=m(65)))
    assert [notice.at for notice in request.until(m(69)) if notice.kind is NoticeKind.NUDGE] == [m(65)]
    request = answered()
    request.send(Snoozed(m(20), "owner", until=m(90)))
    assert [notice for notice in request.until(m(69)) if notice.kind is NoticeKind.NUDGE] == []


def test_a_snoozed_role_hears_no_miss_but_its_rung() -> None:
    request = opened(priority="P2")
    request.until(m(60))
    request.send(Snoozed(m(70), TSM, until=m(500)))
    assert [notice for notice in request.until(m(121)) if notice.kind is NoticeKind.MISSED] == []
    request = opened(priority="P2")
    request.send(Snoozed(m(10), TSM, until=m(500)))
    assert mails(request.until(m(60)))[-1] == ("escalation", "ladder", 1, (TSM,))


def test_another_policy_moves_what_is_open_from_its_own_start() -> None:
    request = answered(WITH_RESOLUTION, "P1")
    faster = parse(WITH_RESOLUTION.text.replace('update_every = "1h"', 'update_every = "30m"', 1)
                   .replace('{after = "4h", tell = "cto"}', '{after = "2h", tell = "cto"}', 1), "x.toml", "Europe/Berlin")
    request.policy = faster
    request.send(PolicyApplied(m(20)))
    assert request.latest(UPDATE).due_at == m(40)
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(0), m(60), m(120)]
    assert request.latest(LADDER).steps[0].done_at == m(0)
    untriaged = opened()
    untriaged.policy = shipped("portacare", triage='"20m"')
    untriaged.send(PolicyApplied(m(5)))
    assert untriaged.latest(TRIAGE).due_at == m(20)


def test_rows_are_plain_json() -> None:
    request = answered(HOLDING)
    request.send(ManagerAcked(m(15), TSM), StatusChanged(m(20), "waiting"))
    for row in request.clocks:
        assert Clock.from_row(json.loads(json.dumps(row.to_row()))) == row


def test_a_priority_that_the_policy_does_not_know_is_refused() -> None:
    with pytest.raises(KeyError):
        advance(PORTACARE, (), opened().facts, Prioritised(m(1), "P9"))


# Random histories

POLICIES = [WITH_RESOLUTION, HOLDING, shipped("portacare", ack_holds="true", waiting_pauses='["update", "resolution", "ladder"]'),
            shipped("default"), parse(PORTACARE.text.replace('ladder_from = "prioritised"', 'ladder_from = "opened"'), "x.toml")]
GAPS = (0, 0, 1, 7, 20, 45, 60, 60, 90, 240, 600, 1500)
STATUSES = ("open", "waiting", "resolved", "closed", "rejected", "merged")
STEP = st.tuples(st.integers(0, 24), st.sampled_from(GAPS), st.integers(0, 7), st.booleans())


def signal_of(request: Clockwork, what: int, at: datetime, number: int, flag: bool, event: int) -> Signal:
    priorities = list(request.policy.priorities)
    ladders = request.of(LADDER)
    match what:
        case 0 | 1 | 2:                                     # what is written to a merged request reaches the other one
            return Answered(at, event) if request.facts.status != "merged" else Tick(at)
        case 3:
            return Delivered(at, max(1, event - number))
        case 4:
            return Returned(at, max(1, event - number))
        case 5 | 6:
            return CustomerWrote(at, thanks=flag, event=event)
        case 7 | 8 | 9:
            new = STATUSES[number % len(STATUSES)]
            return StatusChanged(at, new) if legal(Status(request.facts.status), Status(new)) else Tick(at)
        case 10 | 11 | 12:
            return Prioritised(at, priorities[number % len(priorities)], by_staff=flag, event=event)
        case 13:
            return Promised(at, at + timedelta(minutes=37 * number), event=event)
        case 14:
            return CadenceSet(at, Duration.parse(f"{number}h") if flag else None, event=event)
        case 15 | 16:
            return ManagerAcked(at, TSM, at + timedelta(minutes=30 * number) if flag else None)
        case 17:
            return Snoozed(at, "owner" if flag else TSM, at + timedelta(minutes=30 * number))
        case 18:
            ladder = ladders[-1] if ladders else None
            step = ladder.steps[number % len(ladder.steps)] if ladder else None
            return NoticeFailed(at, ladder.generation, step.rung, step.tell[0]) if ladder and step else Tick(at)
        case 19:
            return Refused(at) if request.facts.status == "resolved" else Taken(at, event)
        case 20:
            return ReopenedAfterClosed(at, by_customer=flag) if request.facts.status == "closed" else AcknowledgementSent(at, event)
        case 21:
            return ClosingHeld(at) if flag else ClosingReleased(at)
        case 22:
            other = Clockwork(POLICIES[number % len(POLICIES)], at - timedelta(minutes=10 * number))
            other.give(Opened(other.facts.opened_at))
            if flag:
                other.give(Prioritised(other.facts.opened_at, list(other.policy.priorities)[number % 2]))
            return Merged(at, other.clocks, event)
        case 23:
            return PolicyApplied(at)
        case _:
            return Tick(at)


def the_laws_hold(request: Clockwork) -> None:
    kinds = {row.kind for row in request.clocks}
    for kind in kinds:
        rows = request.of(kind)
        assert [row.generation for row in rows] == list(range(1, len(rows) + 1))
        assert not any(row.open for row in rows[:-1]), "two instances at once"
    for row in request.clocks:
        assert row.open == (row.state in (State.RUNNING, State.PAUSED))
        assert (row.paused_at is not None) == (row.state is State.PAUSED) or row.state is State.VOID
        assert row.settled_at is None or row.settled_at >= row.started_at
        assert not row.open or row.settled_at is None
        assert row.state not in (State.MET, State.RETURNED) or row.settled_at is not None
    outcomes: dict[tuple[ClockKind, int], What] = {}
    for change in request.changes:
        key = (change.kind, change.generation)
        if change.what is What.RESUMED:
            outcomes.pop(key, None)
        elif change.what in (What.MET, What.MISSED, What.VOID):
            assert key not in outcomes, f"{key}: {outcomes[key]} and then {change.what}"
            outcomes[key] = change.what
    rungs = [(notice.clock, notice.generation, notice.rung, notice.reach, notice.tell if notice.reach != "person" else ())
             for notice in request.notices if notice.kind is NoticeKind.ESCALATION]
    assert len(rungs) == len(set(rungs)), "a rung twice"


def nothing_owed_is_without_a_clock(request: Clockwork, at: datetime) -> None:
    """While a request is alive, each thing that its priority promises has a clock, and none that runs is overdue unnoticed."""
    facts, target = request.facts, request.policy.priority(request.facts.priority)
    for row in request.clocks:
        assert not (row.running and row.due_at is not None and row.kind is not LADDER) or row.due_at > at, f"{row.kind} is overdue"
    if facts.status not in ("new", "open", "waiting"):
        return
    kinds = {row.kind: row for row in request.clocks}           # the latest of each
    if target.first_response and not facts.answered:
        assert FIRST in kinds
        assert kinds[FIRST].state is not State.VOID, "a first response is owed"
    unanswered = FIRST in kinds and kinds[FIRST].state is State.MISSED and kinds[FIRST].settled_at is None    # the ladder has it
    if facts.answered and not unanswered and (facts.cadence or target.update_every):
        open_ones = [kind for kind in (FIRST, UPDATE) if kind in kinds and kinds[kind].open]
        assert open_ones, "an update is owed"
    if facts.priority and target.ladder:
        assert kinds[LADDER].open, "a ladder is owed"


Steps = list[tuple[int, int, int, bool]]
HISTORY = (st.integers(0, len(POLICIES) - 1), st.lists(STEP, min_size=1, max_size=14))


@settings(max_examples=1000, deadline=None)
@given(*HISTORY)
def test_random_histories_keep_the_laws(policy: int, steps: Steps) -> None:
    a_history_keeps_the_laws(policy, steps)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@given(*HISTORY)
def test_ten_thousand_random_histories_keep_the_laws(policy: int, steps: Steps) -> None:
    a_history_keeps_the_laws(policy, steps)


def a_history_keeps_the_laws(policy: int, steps: Steps) -> None:
    request = Clockwork(POLICIES[policy], MONDAY)
    request.give(Opened(MONDAY, event=1))
    at = MONDAY
    for event, (what, gap, number, flag) in enumerate(steps, 2):
        at += timedelta(minutes=gap)
        signal = signal_of(request, what, at, number, flag, event)
        if not (flag and gap > 240):                        # else the daemon was down until now
            request._run(at, included=False)
        if isinstance(signal, PolicyApplied):
            request.policy = POLICIES[number % len(POLICIES)]
        followed = request.give(signal)
        up = [notice for notice in followed.notices if notice.kind in (NoticeKind.ESCALATION, NoticeKind.MISSED)]
        assert len(up) <= 2
        settled = request.give(Tick(at))
        assert settled.changes == (), "a second tick at the same instant did something"
        assert request.give(Tick(at - timedelta(hours=1))).changes == (), "a clock set back fired"
        wake = wake_at(request.clocks)
        assert wake is None or wake > at
        nothing_owed_is_without_a_clock(request, at)
    the_laws_hold(request)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["P1", "P3", "P4"]), st.integers(11, 6000), st.lists(st.integers(1, 5000), min_size=1, max_size=4))
def test_pause_and_resume_lose_no_second(priority: str, first: int, lengths: list[int]) -> None:
    request = answered(priority=priority)
    hours = PORTACARE.hours(request.latest(UPDATE).calendar)
    request.until(m(first))
    at = m(first)
    row = request.latest(UPDATE)
    left = between(at, row.due_at or at, hours)
    for number, length in enumerate(lengths):
        request.give(StatusChanged(at, "waiting"))
        at += timedelta(minutes=length, seconds=number)
        request.give(StatusChanged(at, "open"))
        resumed = next(each for each in request.of(UPDATE) if each.generation == row.generation)
        assert between(at, resumed.due_at or at, hours) == left


@settings(max_examples=100, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=10))
def test_time_in_one_leap_or_tick_by_tick_comes_to_the_same_outcomes_of_the_first_response(steps: list[tuple[int, int, int, bool]]) -> None:
    """What a mail did depends on its own time, not on how often time was looked at before it."""
    slow, fast = Clockwork(PORTACARE, MONDAY), Clockwork(PORTACARE, MONDAY)
    slow.give(Opened(MONDAY, event=1))
    fast.give(Opened(MONDAY, event=1))
    at = MONDAY
    for event, (what, gap, number, flag) in enumerate(steps, 2):
        at += timedelta(minutes=gap)
        signal = signal_of(slow, what if what in (0, 3, 4, 10) else 24, at, number, flag, event)
        slow.send(signal)
        fast.give(signal)
    outcomes = [[(row.state, row.due_at, row.settled_at) for row in request.of(FIRST)] for request in (slow, fast)]
    assert outcomes[0] == outcomes[1]


def test_the_facts_that_the_tests_keep_are_the_signals_own() -> None:
    facts = opened().facts
    assert after(facts, StatusChanged(m(1), "waiting")).status == "waiting"
    assert after(replace(facts, status="resolved"), CustomerWrote(m(1), thanks=True)).status == "resolved"
