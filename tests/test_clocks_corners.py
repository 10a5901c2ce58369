"""Where promises could get lost between two rules of the clock table: targets that only one priority has, what happens while a request
rests, merges, another policy, and clocks that were wrong. Minutes were computed by hand from Monday 10:00 in Berlin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rtmail.policy.clocks import ClockKind, NoticeKind, State
from rtmail.policy.duration import Duration
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
    ManagerAcked,
    Merged,
    Opened,
    PolicyApplied,
    Prioritised,
    Promised,
    Refused,
    Returned,
    Signal,
    StatusChanged,
    Taken,
    Tick,
)
from tests.fakes.clockwork import Clockwork, shipped

TSM, CRM, CTO = "technical-support-manager", "customer-relations-manager", "cto"
PORTACARE = shipped("portacare")
MONDAY = datetime(2026, 6, 8, 8, tzinfo=UTC)
TRIAGE, FIRST, UPDATE, LADDER, CLOSING = (ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE, ClockKind.UPDATE, ClockKind.LADDER, ClockKind.CLOSING)
RESOLUTION = ClockKind.RESOLUTION


def m(minutes: float) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


def changed(*pairs: tuple[str, str], policy: Policy = PORTACARE) -> Policy:
    text = policy.text
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return parse(text, "changed.toml", "Europe/Berlin")


def opened(policy: Policy = PORTACARE, priority: str = "") -> Clockwork:
    request = Clockwork(policy, MONDAY)
    request.send(Opened(MONDAY, event=1))
    if priority:
        request.send(Prioritised(MONDAY, priority, event=2))
    return request


def answer(request: Clockwork, minute: float, event: int) -> None:
    request.send(Answered(m(minute), event=event), Delivered(m(minute), event=event))


def told(request: Clockwork, kind: NoticeKind = NoticeKind.ESCALATION) -> list[tuple[datetime, tuple[str, ...]]]:
    return [(notice.at, notice.tell) for notice in request.notices if notice.kind is kind]


def due(request: Clockwork, kind: ClockKind) -> datetime | None:
    row = request.latest(kind)
    return row.due_at if row.open else None


# -- a priority promises what the former did not ----------------------------------------------------------------------

NO_UPDATES = changed(('first_response = "1bd"\nupdate_every = "1bd"\n', 'first_response = "1bd"\n'))
NO_FIRST = changed(('first_response = "2bd"\n', ""))
SOLVED = changed(('first_response = "1h"\n', 'first_response = "1h"\nresolution = "8h"\n'))


def test_updates_begin_when_a_priority_that_promises_them_is_set() -> None:
    request = opened(NO_UPDATES, "P3")
    answer(request, 10, 3)
    assert not request.of(UPDATE)
    request.send(Prioritised(m(30), "P1", event=4))
    assert due(request, UPDATE) == m(90)                     # an hour from the change
    request.send(Prioritised(m(40), "P3", event=5))
    assert request.latest(UPDATE).settled_by == "no-target"
    request.send(Prioritised(m(50), "P4", event=6))          # lowered, and promised again: 2 business days from now
    assert due(request, UPDATE) == m(50 + 2 * 1440)


def test_updates_are_not_owed_before_anybody_answered() -> None:
    request = opened(NO_UPDATES, "P3")
    request.send(Prioritised(m(30), "P1", event=4))
    assert not request.of(UPDATE)
    assert due(request, FIRST) == m(90)


def test_a_first_response_that_a_priority_did_not_promise_is_owed_from_the_raise() -> None:
    request = opened(NO_FIRST, "P4")
    assert request.latest(FIRST).settled_by == "no-target"
    request.send(Prioritised(m(100), "P2", event=4))
    assert (request.latest(FIRST).generation, due(request, FIRST)) == (2, m(220))
    answered = opened(NO_FIRST, "P4")
    answer(answered, 10, 3)
    answered.send(Prioritised(m(100), "P2", event=4))
    assert request.latest(FIRST).generation == 2
    assert len(answered.of(FIRST)) == 1, "who answered once owes no first response"


@pytest.mark.parametrize(("met_by", "signal"), [
    ("acknowledgement", AcknowledgementSent(MONDAY, event=2)), ("taken", Taken(MONDAY, event=2)),
])
def test_what_met_a_first_response_meets_none_that_wants_a_human(met_by: str, signal: Signal) -> None:
    """The shipped policy of the kind lets an acknowledgement be the answer, but to an emergency."""
    policy = parse(shipped("interopion").text.replace('met_by = "acknowledgement"', f'met_by = "{met_by}"', 1), "x.toml")
    request = opened(policy)
    request.send(signal)
    assert request.latest(FIRST).state is State.MET
    request.send(Prioritised(m(30), "P1", event=3))
    assert (request.latest(FIRST).generation, due(request, FIRST)) == (2, m(150))
    assert not request.of(UPDATE), "it follows the answer"
    answer(request, 40, 4)
    assert due(request, UPDATE) == m(280)
    request.send(Prioritised(m(50), "P3", event=5), Prioritised(m(60), "P1", event=6))
    assert [row.generation for row in request.of(FIRST)] == [1, 2], "somebody answered"
    calm = opened(policy)
    calm.send(signal, Prioritised(m(30), "P2", event=3))      # met_by as before, and updates
    assert [row.state for row in calm.of(FIRST)] == [State.MET]
    assert due(calm, UPDATE) == m(360 + 360)                  # 6 hours from Monday 08:00 in Denver


def test_a_resolution_is_promised_from_the_change_that_first_promises_it() -> None:
    request = opened(SOLVED, "P2")
    assert not request.of(RESOLUTION)
    request.send(Prioritised(m(60), "P1", event=4))
    assert due(request, RESOLUTION) == m(540)
    request.send(Prioritised(m(70), "P2", event=5))
    assert request.latest(RESOLUTION).settled_by == "no-target"
    request.send(Prioritised(m(80), "P1", event=6))
    assert (request.latest(RESOLUTION).generation, due(request, RESOLUTION)) == (2, m(560))


def test_a_priority_raised_and_lowered_again_and_again_never_gives_time_away() -> None:
    """Raised: the earlier of the old instant and the change's; lowered: start plus target. No sequence of both puts an instant off beyond
    the present priority's own target, and each raise begins one generation of the ladder."""
    request = opened(PORTACARE, "P2")                         # first response at 120
    expected = {"P1": [60, 60, 60], "P2": [120, 120, 120]}
    for number in range(3):
        request.send(Prioritised(m(5 + 10 * number), "P1", event=10 + number))
        # Raised at 5, 15, 25: 65, 75, 85 from the change, the old instant (120) is later.
        assert due(request, FIRST) == m(65 + 10 * number)
        request.send(Prioritised(m(10 + 10 * number), "P2", event=20 + number))
        assert due(request, FIRST) == m(expected["P2"][number])
    assert [row.generation for row in request.of(LADDER)] == [1, 2, 3, 4]
    # Rung 1 of P1 is due at once: TSM heard at 5, and at 15 and 25 less than a quarter of an hour had passed since... 10 minutes each.
    assert told(request) == [(m(5), (TSM,)), (m(25), (TSM,))]


def test_a_raise_brings_an_answer_that_the_customer_waits_for_forward_and_lowering_leaves_it() -> None:
    request = opened(PORTACARE, "P4")
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "waiting"), CustomerWrote(m(30), event=4))
    assert due(request, UPDATE) == datetime(2026, 6, 9, 8, 30, tzinfo=UTC)            # a business day
    request.send(Prioritised(m(40), "P1", event=5))
    assert (due(request, UPDATE), request.latest(UPDATE).basis) == (m(100), Basis.REPLY)      # P1 answers within the hour
    request.send(Prioritised(m(50), "P4", event=6), Prioritised(m(55), "P2", event=7))
    assert due(request, UPDATE) == m(100)
    calm = changed(('reply_within = "1bd"', ""), ('first_response = "2bd"\nupdate_every = "2bd"\n', ""), ('code = 20', 'code = 90'))
    request = opened(calm, "P1")
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "waiting"), CustomerWrote(m(30), event=4), Prioritised(m(40), "P4", event=5))
    assert due(request, UPDATE) == m(90), "raised to one that promises nothing of the kind"


def test_a_raise_lets_an_agreed_cadence_run_round_the_clock() -> None:
    request = opened(PORTACARE, "P3")                         # counts office hours, which end at 18:00
    request.send(CadenceSet(m(400), Duration.parse("4h"), event=3))
    answer(request, 420, 4)
    assert due(request, UPDATE) == datetime(2026, 6, 9, 10, tzinfo=UTC)
    request.send(Prioritised(m(430), "P1", event=5))
    assert due(request, UPDATE) == m(670)
    request.send(Prioritised(m(440), "P2", event=6))
    assert due(request, UPDATE) == m(670)


def test_who_waits_for_an_answer_that_was_missed_goes_on_waiting_when_the_priority_changes() -> None:
    silent = changed(('update_every = "1bd"\nladder', 'reply_within = "2h"\nladder'),
                     ('update_every = "2bd"\nladder', 'reply_within = "4h"\nladder'))
    request = opened(silent, "P3")
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "waiting"), CustomerWrote(m(30), event=4))
    request.until(m(151))
    assert request.latest(UPDATE).generation == 2
    request.send(Prioritised(m(160), "P4", event=5))
    assert request.latest(UPDATE).running


# -- answers that came back -------------------------------------------------------------------------------------------


def test_a_returned_answer_to_the_customers_words_is_owed_in_the_time_in_which_he_is_answered() -> None:
    """Also where the priority promises no updates; and a promise that was in the answer never reached him."""
    silent = changed(('update_every = "1bd"\nladder', "ladder"))
    slow = changed(('update_every = "1bd"\nladder', 'update_every = "9bd"\nladder'))
    for policy in (silent, slow):
        request = opened(policy, "P3")
        answer(request, 10, 3)
        request.send(StatusChanged(m(20), "waiting"), CustomerWrote(m(30), event=4), Answered(m(40), event=5), Returned(m(45), event=5))
        row = request.latest(UPDATE)
        assert (row.running, row.due_at, row.basis) == (True, datetime(2026, 6, 9, 8, 45, tzinfo=UTC), Basis.REPLY)
    request = opened(PORTACARE, "P1")
    answer(request, 10, 3)
    request.send(Answered(m(20), event=4), Promised(m(20), m(3000), event=5), Returned(m(25), event=4))
    assert due(request, UPDATE) == m(85)


# -- what happens while a request rests -------------------------------------------------------------------------------


def test_a_priority_set_while_resolved_counts_when_it_opens_again() -> None:
    request = opened()
    request.send(StatusChanged(m(10), "resolved"), Prioritised(m(15), "P1", event=4))
    assert not request.of(LADDER)
    request.send(CustomerWrote(m(60), event=5))
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(60), m(120), m(300)]
    assert told(request)[-1] == (m(60), (TSM,))


def test_a_priority_raised_while_resolved_counts_when_it_opens_again() -> None:
    request = opened(PORTACARE, "P2")                         # CRM at 240, CTO at 480
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "resolved"), Prioritised(m(30), "P1", event=4), Refused(m(50)))
    ladder = request.latest(LADDER)
    assert (ladder.generation, ladder.priority) == (2, "P1")
    assert [step.due_at for step in ladder.steps] == [m(50), m(110), m(290)]
    lowered = opened(PORTACARE, "P1")
    lowered.send(StatusChanged(m(20), "resolved"), Prioritised(m(30), "P2", event=4), Refused(m(50)))
    ladder = lowered.latest(LADDER)                           # 30 minutes in resolved do not count
    assert (ladder.generation, ladder.priority) == (1, "P2")
    assert [step.due_at for step in ladder.steps] == [m(90), m(270), m(510)]


def test_a_resolution_follows_a_priority_that_was_set_while_resolved() -> None:
    policy = changed(('update_every = "1bd"\nladder', 'update_every = "1bd"\nresolution = "5bd"\nladder'),
                     ('update_every = "1h"\n', 'update_every = "1h"\nresolution = "4h"\n'))
    raised = opened(policy, "P3")
    raised.send(StatusChanged(m(20), "resolved"), Prioritised(m(30), "P1", event=4), Refused(m(50)))
    assert (due(raised, RESOLUTION), raised.latest(RESOLUTION).priority) == (m(290), "P1")
    lowered = opened(policy, "P1")
    lowered.send(StatusChanged(m(20), "resolved"), Prioritised(m(30), "P3", event=4), Refused(m(50)))
    assert due(lowered, RESOLUTION) == datetime(2026, 6, 15, 8, 30, tzinfo=UTC)       # 30 minutes in resolved do not count
    there_and_back = opened(policy, "P1")
    there_and_back.send(StatusChanged(m(20), "resolved"), Prioritised(m(30), "P3", event=4), Prioritised(m(40), "P1", event=5),
                        Refused(m(50)))
    assert due(there_and_back, RESOLUTION) == m(270)
    ended = opened(policy, "P1")
    ended.send(StatusChanged(m(20), "resolved"), Prioritised(m(30), "P2", event=4), Refused(m(50)))
    assert ended.latest(RESOLUTION).state is State.VOID


@pytest.mark.parametrize("status", ["waiting", "resolved"])
def test_the_instant_promised_to_the_customer_stands_when_he_writes_before_it(status: str) -> None:
    request = opened(PORTACARE, "P3")
    answer(request, 10, 3)
    request.send(Promised(m(20), m(300), event=4), StatusChanged(m(30), status))
    request.send(CustomerWrote(m(60), event=5))
    assert due(request, UPDATE) == m(300)                     # not a business day from his words
    assert request.latest(UPDATE).running
    later = opened(PORTACARE, "P1")
    answer(later, 10, 3)
    later.send(Promised(m(20), m(300), event=4), StatusChanged(m(30), status), CustomerWrote(m(60), event=5))
    assert due(later, UPDATE) == m(120)                       # his words are answered within an hour


# -- merges -----------------------------------------------------------------------------------------------------------


def test_the_ladder_of_a_merged_request_goes_on_in_a_survivor_without_one() -> None:
    theirs = opened(PORTACARE, "P1")
    theirs.until(m(60))                                       # TSM and CRM heard
    mine = Clockwork(PORTACARE, m(50))
    mine.send(Opened(m(50), event=1), Merged(m(65), theirs.clocks, event=2))
    mine.until(m(240))
    assert (m(240), (CTO,)) in told(mine)
    mine.send(Prioritised(m(250), "P1", event=3))
    assert [row.generation for row in mine.of(LADDER)] == [1], "the same priority leaves it as it is"
    assert told(mine).count((m(240), (CTO,))) == 1
    raised = Clockwork(PORTACARE, m(50))
    raised.send(Opened(m(50), event=1), Merged(m(65), opened(PORTACARE, "P3").clocks, event=2), Prioritised(m(70), "P1", event=3))
    assert [(row.generation, row.priority) for row in raised.of(LADDER)] == [(1, "P3"), (2, "P1")]


def test_a_ladder_that_came_with_a_merge_gives_way_to_the_one_of_the_same_name_in_another_policy() -> None:
    other = shipped("interopion")
    theirs = opened(PORTACARE, "P1")
    mine = Clockwork(other, m(10))
    mine.send(Opened(m(10), event=1), Merged(m(20), theirs.clocks, event=2), Prioritised(m(30), "P1", event=3))
    assert (m(30), ("support-management",)) in told(mine)


def test_a_rung_that_is_due_at_the_instant_of_the_merge_is_told_once_by_the_survivor() -> None:
    theirs = opened(PORTACARE, "P2")                          # TSM at 60
    mine = Clockwork(PORTACARE, m(10))
    mine.send(Opened(m(10), event=1), Prioritised(m(10), "P2", event=2))      # TSM at 70
    theirs._run(m(60), included=False)
    mine.send(Merged(m(60), theirs.clocks, event=3))
    theirs.give(StatusChanged(m(60), "merged"))
    assert (told(theirs), told(mine)) == ([], [(m(60), (TSM,))])
    mine.until(m(200))
    assert told(mine) == [(m(60), (TSM,))]


def test_a_ladder_that_stands_still_takes_the_earlier_instants_as_of_the_merge() -> None:
    policy = changed(('waiting_pauses = ["update", "resolution"]', 'waiting_pauses = ["update", "resolution", "ladder"]'))
    theirs, mine = opened(policy, "P2"), opened(policy, "P2")             # TSM at 60
    mine.send(StatusChanged(m(30), "waiting"), Merged(m(45), theirs.clocks, event=3))
    assert mine.latest(LADDER).state is State.PAUSED
    mine.send(StatusChanged(m(50), "open"))
    assert [step.due_at for step in mine.latest(LADDER).steps] == [m(65), m(245), m(485)]


def test_a_request_of_another_policy_may_be_merged_and_its_calendar_is_missed_by_nobody() -> None:
    other = changed(("[calendars.office]", "[calendars.bureau]"), ('close_calendar = "office"', 'close_calendar = "bureau"'),
                    ('calendar = "office"\ndaily', 'calendar = "bureau"\ndaily'), ('calendar = "office"\nfirst_response = "1bd"',
                    'calendar = "bureau"\nfirst_response = "1bd"'), ('calendar = "office"\nfirst_response = "2bd"',
                    'calendar = "bureau"\nfirst_response = "2bd"'))
    theirs = opened(other, "P3")
    answer(theirs, 5, 3)
    theirs.send(StatusChanged(m(10), "waiting"))
    mine = opened(PORTACARE, "P2")
    mine.send(Merged(m(20), theirs.clocks, event=4))
    mine.send(StatusChanged(m(30), "waiting"), StatusChanged(m(60), "open"))
    assert due(mine, UPDATE) is not None
    assert due(mine, FIRST) == m(120)


@pytest.mark.parametrize(("before", "ladder", "open_kinds"), [
    ("open", [1], {FIRST, LADDER}), ("resolved", [1], {FIRST, LADDER}), ("closed", [1, 2], {FIRST, LADDER}),
])
def test_an_undone_merge_leaves_nothing_without_a_clock(before: str, ladder: list[int], open_kinds: set[ClockKind]) -> None:
    """Whatever it was before, it is open after: what it owes runs, and it does not close by itself."""
    request = opened(PORTACARE, "P1")
    request.send(StatusChanged(m(10), before), StatusChanged(m(20), "merged"), StatusChanged(m(30), "open"))
    assert {row.kind for row in request.clocks if row.open} == open_kinds
    assert [row.generation for row in request.of(LADDER)] == ladder


# -- another policy ---------------------------------------------------------------------------------------------------


def applied(request: Clockwork, policy: Policy, minute: float) -> Clockwork:
    request._run(m(minute), included=False)
    request.policy = policy
    request.give(PolicyApplied(m(minute)))
    return request


def test_what_only_the_new_policy_promises_begins_with_it() -> None:
    request = applied(opened(changed(('triage = "30m"', "")), ""), SOLVED, 20)
    assert due(request, TRIAGE) == m(50)
    request = applied(opened(PORTACARE, "P1"), SOLVED, 30)
    assert due(request, RESOLUTION) == m(510)
    bare = changed(*((text, "") for text in _ladders(PORTACARE.text)))
    request = applied(opened(bare, "P2"), PORTACARE, 30)
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(90), m(270), m(510)]


def test_a_policy_with_a_shorter_ladder_and_back_tells_no_rung_twice() -> None:
    request = opened(PORTACARE, "P1")
    request.until(m(600))
    assert [at for at, _ in told(request)] == [m(0), m(60), m(240)]
    shorter = changed(('  {after = "1h", tell = "customer-relations-manager"},\n  {after = "4h", tell = "cto"},\n', ""))
    applied(applied(request, shorter, 600), PORTACARE, 610)
    request.until(m(2000))
    assert len(told(request)) == 3


def test_a_role_that_was_not_told_yet_is_told_by_a_ladder_whose_first_rungs_are_others() -> None:
    """Its own rung of that number was told, but to somebody else."""
    policy = changed(*((old, new) for old, new in zip(_ladders(PORTACARE.text), (
        'ladder = [\n  {after = "0", tell = "technical-support-manager"},\n  {after = "15m", tell = "cto"},\n]\n',
        'ladder = [\n  {after = "1h", tell = "cto"},\n  {after = "2h", tell = "cto"},\n]\n',
    ), strict=False)))
    request = opened(policy, "P1")
    request.send(Prioritised(m(5), "P2", event=3))
    request.until(m(60))
    applied(request, policy, 70)
    request.until(m(1000))
    assert told(request) == [(m(0), (TSM,)), (m(60), (CTO,)), (m(120), (CTO,))]
    assert [step.rung for step in request.latest(LADDER).steps] == [1, 2, 3]
    late = opened(PORTACARE, "P1")
    late.until(m(30))
    applied(late, changed(('tell = "technical-support-manager"', f'tell = "{CRM}"'), ('after = "1h"', 'after = "2h"')), 40)
    assert told(late)[-1] == (m(40), (CRM,)), "the new policy would have told him long ago"


def test_an_answer_that_the_customer_waits_for_stays_on_its_calendar_when_a_policy_is_applied() -> None:
    policy = changed(('calendar = "always"\nfirst_response = "1h"\n',
                      'calendar = "always"\nupdate_calendar = "office"\nfirst_response = "1h"\n'))
    saturday = MONDAY - timedelta(days=2)
    request = Clockwork(policy, saturday)
    request.send(Opened(saturday, event=1), Prioritised(saturday, "P1", event=2), Answered(saturday, event=3),
                 StatusChanged(saturday, "waiting"), CustomerWrote(saturday + timedelta(minutes=10), event=4))
    before = due(request, UPDATE)
    request.send(PolicyApplied(saturday + timedelta(minutes=20)))
    assert before == due(request, UPDATE) == saturday + timedelta(minutes=70)


def _ladders(text: str) -> list[str]:
    parts = text.split("ladder = [\n")[1:]
    return ["ladder = [\n" + part.partition("]\n")[0] + "]\n" for part in parts]


def test_a_policy_applied_while_clocks_stand_still_leaves_them_standing_and_loses_no_minute() -> None:
    request = opened(PORTACARE, "P1")
    answer(request, 10, 3)                                    # update due at 70
    request.send(StatusChanged(m(30), "waiting"))
    slower = changed(('update_every = "1h"\nreply_within', 'update_every = "3h"\nreply_within'))
    applied(request, slower, 100)
    row = request.latest(UPDATE)
    assert (row.state, row.paused_at) == (State.PAUSED, m(100))
    request.send(StatusChanged(m(130), "open"))
    assert due(request, UPDATE) == m(290)                     # 10 + 180, and 100 minutes of waiting


def test_closing_follows_the_new_policy() -> None:
    request = opened(PORTACARE, "P1")
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "resolved"))
    applied(request, changed(('close_after = "10bd"', 'close_after = "15bd"')), 30)
    assert due(request, CLOSING) == datetime(2026, 6, 29, 8, 20, tzinfo=UTC)          # 15 business days after Monday 10:20
    applied(request, changed(('close_after = "10bd"', "")), 40)
    assert request.latest(CLOSING).state is State.VOID


def test_a_solved_request_goes_on_by_the_new_policy_when_the_customer_refuses() -> None:
    request = opened(SOLVED, "P1")
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "resolved"))
    faster = changed(('resolution = "8h"', 'resolution = "2h"'), ('after = "1h"', 'after = "90m"'), policy=SOLVED)
    applied(request, faster, 30)
    assert request.latest(RESOLUTION).state is request.latest(LADDER).state is State.MET
    request.send(Refused(m(50), event=4))
    assert due(request, RESOLUTION) == m(150)                 # 30 minutes in resolved do not count
    assert [step.due_at for step in request.latest(LADDER).steps] == [m(0), m(120), m(270)]
    late = opened(SOLVED, "P1")
    late.send(StatusChanged(m(200), "resolved"))
    applied(late, faster, 210)
    assert late.latest(RESOLUTION).state is State.MET, "it was kept, by what counted then"
    late.send(Refused(m(220), event=4))
    assert (late.latest(RESOLUTION).state, late.latest(RESOLUTION).due_at) == (State.MISSED, m(220))
    bare = changed(('resolution = "8h"\n', ""), *((text, "") for text in _ladders(SOLVED.text)), policy=SOLVED)
    without = opened(SOLVED, "P1")
    without.send(StatusChanged(m(20), "resolved"))
    applied(without, bare, 30).send(Refused(m(40), event=4))
    assert due(without, RESOLUTION) is due(without, LADDER) is None


def test_a_solved_request_closes_by_itself_from_when_the_policy_says_so() -> None:
    request = opened(changed(('close_after = "10bd"', "")), "P1")
    answer(request, 10, 3)
    request.send(StatusChanged(m(20), "resolved"))
    assert CLOSING not in {row.kind for row in request.clocks}
    applied(request, PORTACARE, 1500)
    assert due(request, CLOSING) == datetime(2026, 6, 23, 9, 0, tzinfo=UTC)           # 10 business days after Tuesday 11:00
    moved_in = Clockwork(PORTACARE, MONDAY)
    moved_in.facts = replace(moved_in.facts, status="resolved", moved_in=True)
    assert not applied(moved_in, PORTACARE, 20).clocks


def test_a_calendar_that_the_new_policy_lacks_stops_nothing() -> None:
    round_the_clock = changed(("[calendars.office]", "[calendars.bureau]"), ('close_calendar = "office"', 'close_calendar = "bureau"'),
                              ('calendar = "office"\ndaily', 'calendar = "bureau"\ndaily'),
                              ('calendar = "office"\nfirst_response = "1bd"', 'calendar = "bureau"\nfirst_response = "1bd"'),
                              ('calendar = "office"\nfirst_response = "2bd"', 'calendar = "bureau"\nfirst_response = "2bd"'))
    request = opened(PORTACARE, "P3")
    answer(request, 10, 3)
    request.send(Promised(m(20), m(300), event=4), StatusChanged(m(30), "resolved"), ClosingHeld(m(40)))
    applied(request, round_the_clock, 60)
    request.send(ClosingReleased(m(70)), CustomerWrote(m(80), event=5), Promised(m(90), m(400), event=6))
    request.until(m(20_000))
    assert due(request, UPDATE) is not None


# -- clocks that were wrong -------------------------------------------------------------------------------------------


def test_a_rung_that_falls_due_after_the_clock_was_set_back_is_told() -> None:
    """The clock ran a day ahead while the first rung was told; once it is right again the next rungs are told in their turn."""
    request = Clockwork(changed(('{after = "1h", tell = "customer-relations-manager"}', f'{{after = "1h", tell = "{TSM}"}}')), m(1440))
    request.send(Opened(m(1440), event=1), Prioritised(m(1440), "P1", event=2))
    assert told(request) == [(m(1440), (TSM,))]
    request.send(Prioritised(m(0), "P2", event=3), Prioritised(m(5), "P1", event=4))
    assert told(request)[1:] == [(m(5), (TSM,))]


def test_a_clock_that_jumps_forward_tells_once_and_going_back_tells_nothing_again() -> None:
    request = opened(PORTACARE, "P2")
    request.give(Tick(m(700)))                                # all three rungs, one mail
    assert told(request) == [(m(700), (CTO,))]
    for minute in (60, 240, 480, 699, 700):
        assert request.give(Tick(m(minute))).changes == ()


# -- acknowledgements -------------------------------------------------------------------------------------------------


def test_an_acknowledgement_of_triages_rung_is_kept_and_quoted() -> None:
    request = opened()
    request.until(m(30))                                      # TSM hears that nobody looked
    request.send(ManagerAcked(m(35), TSM, m(200), event=3))
    request.send(Prioritised(m(50), "P1", event=4))
    quoted = [notice.acks for notice in request.notices if notice.clock == "ladder"]
    assert [[(ack.role, ack.until) for ack in acks] for acks in quoted] == [[(TSM, m(200))]]


