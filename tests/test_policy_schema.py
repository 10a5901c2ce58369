"""Policy files: what they say is what the policy holds, and each mistake is told with its line and its cure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from rtmail.errors import PolicyError
from rtmail.policy.duration import Duration
from rtmail.policy.lines import locate
from rtmail.policy.model import ALWAYS, ForwardAck, LadderFrom, MetBy, Nudge, UpdateMode
from rtmail.policy.schema import from_version, parse

SHIPPED = sorted((Path(__file__).resolve().parent.parent / "config" / "policies").glob("*.toml"))
SMALL = dedent("""\
    name = "Small"
    [calendars.office]
    mon-fri = "09:00-17:00"
    [priorities.P1]
    code = 80
    first_response = "1h"
    update_every = "1h"
    ladder = [
      {after = "0", tell = "lead"},
      {after = "1h", tell = "boss"},
    ]
    [priorities.P2]
    code = 20
    calendar = "office"
    first_response = "2bd"
    """)

A_LONG_TIME = [date(2027, 3, 1) + timedelta(days=days) for days in range(410)]


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(PolicyError) as caught:
        parse(text, "x.toml")
    assert all(problem.file == "x.toml" for problem in caught.value.problems)
    return [(problem.line, problem.what, problem.cure) for problem in caught.value.problems]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_policies_are_sound(path: Path) -> None:
    policy = parse(path.read_text(), path.name)
    assert policy.triage is not None or policy.untriaged or policy.suggest.sets, "nobody waits for a priority without a promise"
    assert policy.roles
    assert list(policy.priorities.values()) == sorted(policy.priorities.values(), key=lambda priority: -priority.code)


def test_what_the_core_process_says() -> None:
    policy = parse(next(path for path in SHIPPED if path.stem == "portacare").read_text(), "portacare.toml")
    table = {key: (p.code, str(p.first_response), str(p.update_every), p.calendar, [(str(rung.after), *rung.tell) for rung in p.ladder])
             for key, p in policy.priorities.items()}
    tsm, crm, cto = "technical-support-manager", "customer-relations-manager", "cto"
    assert table == {
        "P1": (80, "1h", "1h", ALWAYS, [("0", tsm), ("1h", crm), ("4h", cto)]),
        "P2": (60, "2h", "2h", ALWAYS, [("1h", tsm), ("4h", crm), ("8h", cto)]),
        "P3": (40, "1bd", "1bd", "office", [("48h", tsm), ("96h", crm)]),
        "P4": (20, "2bd", "2bd", "office", [("96h", tsm)]),
    }
    assert all(priority.ladder_calendar == ALWAYS for priority in policy.priorities.values())
    assert not any(rung.ack_holds for priority in policy.priorities.values() for rung in priority.ladder)
    assert (str(policy.triage), policy.untriaged, policy.ladder_from) == ("30m", "P1", LadderFrom.PRIORITISED)
    assert date(2026, 12, 25) in policy.hours("office").closed


def test_defaults() -> None:
    policy = parse(SMALL, "x.toml", "Europe/Berlin")
    first, second = policy.priorities["P1"], policy.priorities["P2"]
    assert policy.triage is None
    assert policy.untriaged == "P1"
    assert policy.highest is first
    assert policy.priority("") is policy.priority("gone") is first
    assert (first.calendar, first.update_calendar, first.ladder_calendar) == (ALWAYS, ALWAYS, ALWAYS)
    assert (second.calendar, second.update_calendar, second.ladder_calendar) == ("office", "office", ALWAYS)
    assert (first.update_mode, first.met_by, first.nudge) == (UpdateMode.NUDGE, MetBy.HUMAN, Nudge(percent=25))
    assert (first.ladder[0].ack_holds, first.ladder[0].ack_for, first.ladder[0].ack_max) == (True, None, None)
    assert policy.waiting_pauses == {"update", "resolution"}
    assert (policy.reopen_within, policy.close_after, policy.forward_ack) == (Duration(days=30), None, ForwardAck.ASK)
    assert policy.roles == {"lead": 9, "boss": 10}
    assert str(policy.hours("office").zone) == str(policy.hours(ALWAYS).zone) == "Europe/Berlin"


def test_every_key_is_read() -> None:
    policy = parse(dedent("""\
        name = "All"
        triage = "15m"
        triage_calendar = "shop"
        untriaged = "low"
        on_call = "night"
        update_mode = "hold"
        met_by = "taken"
        ladder_from = "opened"
        waiting_pauses = ["update", "ladder", "first-response"]
        nudge = "5m"
        reply_within = "3h"
        ack_holds = false
        ack_for = "30m"
        ack_max = "8h"
        close_after = "3bd"
        close_calendar = "shop"
        reopen_within = "14d"
        forward_ack = "yes"
        [suggest]
        allow = ["low"]
        headers = false
        sets = true
        [thanks]
        max_words = 8
        en = ["Thanks", "ta"]
        [digest]
        calendar = "shop"
        daily = "7:30"
        weekly = "fri 16:00"
        bundle_from = 3
        [calendars.shop]
        timezone = "America/Denver"
        mon-thu = ["09:00-12:00", "13:00-18:00"]
        "fri,sat" = "09:00-12:00"
        holidays = ["US", "US-CO"]
        closed = ["2026-12-24", 2026-12-31]
        2026-07-03 = "10:00-11:00"
        [priorities.high]
        code = 2
        meaning = "much"
        calendar = "shop"
        update_calendar = "always"
        ladder_calendar = "shop"
        first_response = "1h"
        update_every = "2h"
        resolution = "1bd"
        reply_within = "1h"
        update_mode = "silent"
        met_by = "acknowledgement"
        nudge = "0"
        page = true
        bundle = false
        ladder = [ {after = "1h", tell = ["a", "b"], ack_holds = true, ack_for = "1h", ack_max = "2h"} ]
        [priorities.low]
        code = 1
        """), "x.toml")
    high, low = policy.priorities["high"], policy.priorities["low"]
    rung = high.ladder[0]
    assert (policy.untriaged, policy.on_call, policy.forward_ack) == ("low", "night", "yes")
    assert policy.nudge == Nudge(before=timedelta(minutes=5))
    assert (high.update_calendar, high.ladder_calendar, str(high.resolution)) == (ALWAYS, "shop", "1bd")
    assert (high.page, high.bundle) == (True, False)
    assert (high.update_mode, low.update_mode, high.met_by, low.met_by) == ("silent", "hold", "acknowledgement", "taken")
    assert (high.nudge, low.nudge, str(high.reply_within), str(low.reply_within)) == (Nudge(), policy.nudge, "1h", "3h")
    assert (rung.tell, rung.ack_holds, str(rung.ack_for), str(rung.ack_max)) == (("a", "b"), True, "1h", "2h")
    assert (low.first_response, low.update_every, low.ladder) == (None, None, ())
    assert (policy.suggest.allow, policy.suggest.headers, policy.suggest.sets) == (("low",), False, True)
    assert (policy.thanks.max_words, policy.thanks.words) == (8, {"en": ("thanks", "ta")})
    digest = policy.digest
    assert (digest.calendar, digest.daily, digest.weekly, digest.weekly_day, digest.bundle_from) == ("shop", time(7, 30), time(16), 4, 3)
    assert set(policy.roles) == {"night", "a", "b"}
    shop = policy.hours("shop")
    assert shop.spans(date(2026, 12, 24)) == shop.spans(date(2026, 12, 31)) == ()
    assert shop.spans(date(2026, 7, 3)) == ((600, 660),)         # Independence Day observed, but with hours of its own
    assert shop.spans(date(2026, 7, 10)) == ((540, 720),)
    assert shop.spans(date(2026, 7, 13)) == ((540, 720), (780, 1080))
    assert shop.spans(date(2026, 7, 12)) == shop.spans(date(2026, 11, 26)) == ()


MISTAKES = [
    ('name = "Small"', "", 1, "no name", 'name = "…"'),
    ('name = "Small"', 'name = "Small"\ntriagge = "30m"', 2, "unknown key triagge", '"triage"'),
    ('name = "Small"', 'name = "Small"\ntriage = "30 minutes"', 2, "no length", '"90m"'),
    ('name = "Small"', 'name = "Small"\ntriage = true', 2, "triage is True", '"90m"'),
    ('name = "Small"', 'name = "Small"\ntriage = 0.5', 2, "triage is 0.5", '"90m"'),
    ('name = "Small"', 'name = "Small"\nupdate_mode = "nudging"', 2, "update_mode is 'nudging'", '"nudge"'),
    ('name = "Small"', 'name = "Small"\nmet_by = "nobody"', 2, "met_by is 'nobody'", '"human", "taken"'),
    ('name = "Small"', 'name = "Small"\nack_holds = "yes"', 2, "ack_holds is 'yes'", "true or false"),
    ('name = "Small"', 'name = "Small"\nuntriaged = "P3"', 2, "untriaged names no priority", '"P'),
    ('name = "Small"', 'name = "Small"\nwaiting_pauses = ["updates"]', 2, "waiting_pauses names 'updates'", '"update"'),
    ('name = "Small"', 'name = "Small"\ntriage_calendar = "offfice"', 2, "names no calendar", '"office"'),
    ('name = "Small"', 'name = "Small"\nnudge = "95%"', 2, "nudge is '95%'", "1 to 90"),
    ('name = "Small"', 'name = "Small"\nnudge = "1bd"', 2, "nudge is '1bd'", '"15m"'),
    ('name = "Small"', 'name = "Small"\nnudge = "90m"', 8, "update_every (1h) is not longer than the nudge", "shorten nudge"),
    ('name = "Small"', 'name = "Small"\nnudge = "90m"\ntriage = "1h"', 3, "triage (1h) is not longer than the nudge", "shorten nudge"),
    ('name = "Small"', 'name = "Small"\nclose_after = "30m"', 11, "rung 2 of P1 (1h) comes after closing", "close_after longer"),
    ('name = "Small"', 'name = "Small"\nsuggest = {allow = ["P9"]}', 2, "suggest.allow names no priority: 'P9'", '"P'),
    ('name = "Small"', 'name = "Small"\nthanks = {english = ["ta"]}', 2, "'english' is no language", "en ="),
    ('name = "Small"', 'name = "Small"\nthanks = {max_words = 0}', 2, "thanks.max_words is 0", "from 1 to 50"),
    ('name = "Small"', 'name = "Small"\ndigest = {daily = "8 am"}', 2, "digest.daily is '8 am'", '"08:00"'),
    ('name = "Small"', 'name = "Small"\ndigest = {weekly = "monday 08:00"}', 2, "digest.weekly is", '"mon 08:00"'),
    ('mon-fri = "09:00-17:00"', "", 2, 'calendar "office" never opens', "mon-fri"),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "closed"', 2, 'calendar "office" never opens', "mon-fri"),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\n' + "\n".join(f'"{day}" = "closed"' for day in A_LONG_TIME), 2,
     "no opening for more than 400 days from 2027-03-01", "open it on a day between"),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\nclosed = ' + str([str(day) for day in A_LONG_TIME]), 2,
     "no opening for more than 400 days from 2027-03-01", "open it on a day between"),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "17:00-09:00"', 3, "ends before it begins", "17:00-24:00"),
    ('mon-fri = "09:00-17:00"', 'mo-fri = "09:00-17:00"', 3, "unknown key calendars.office.mo-fri", '"mon-fri"'),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\nfri = "09:00-12:00"', 4, "fri has hours twice", "one key"),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\nholidays = "Narnia"', 4, "no holidays are known for 'Narnia'", '"DE"'),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\nclosed = ["24.12."]', 4, "closed holds '24.12.'", '"2026-12-24"'),
    ('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\ntimezone = "Berlin"', 4, "no time zone is named 'Berlin'", "Europe/Berlin"),
    ("[calendars.office]", "[calendars.always]", 2, '"always" is built in', "another name"),
    ("code = 80\n", "", 4, "P1 has no code", "code = 80"),
    ("code = 80", "code = 20", 12, "the same code", "of its own"),
    ("code = 80", 'code = "80"', 5, "code is '80'", "whole number"),
    ('first_response = "1h"', 'first_reponse = "1h"', 6, "unknown key priorities.P1.first_reponse", '"first_response"'),
    ('update_every = "1h"', 'update_every = "0"', 7, "without a pause", '"4h"'),
    ('{after = "0", tell = "lead"}', '{after = "0", tell = ""}', 9, "rung 1 tells nobody", "tell ="),
    ('{after = "0", tell = "lead"}', '{after = "0", tell = []}', 9, "rung 1 tells nobody", "tell ="),
    ('{after = "0", tell = "lead"}', '{after = "0"}', 9, "rung 1 tells nobody", "tell ="),
    ('{after = "0", tell = "lead"}', '{tell = "lead"}', 9, "rung 1 says not when", "after ="),
    ('{after = "0", tell = "lead"}', '{after = "0", tel = "lead"}', 9, "unknown key priorities.P1.ladder.0.tel", '"tell"'),
    ('{after = "0", tell = "lead"}', '{after = "2h", tell = "lead"}', 10, "rung 2 (1h) does not come later than rung 1 (2h)", "order"),
    ('{after = "0", tell = "lead"}', '"lead"', 9, "holds 'lead'", "table"),
    ('calendar = "office"', 'calendar = "night"', 14, "names no calendar: 'night'", "[calendars.night]"),
]


@pytest.mark.parametrize(("old", "new", "line", "what", "cure"), MISTAKES, ids=[f"{m[3]} <- {m[1][:40]!r}" for m in MISTAKES])
def test_each_mistake_is_told_with_line_and_cure(old: str, new: str, line: int, what: str, cure: str) -> None:
    assert old in SMALL
    found = problems(SMALL.replace(old, new, 1))
    assert any(at == line and what in said and cure in mend for at, said, mend in found), found
    assert not [mend for _, _, mend in found if "write write" in mend]


def test_all_mistakes_are_told_at_once_in_order() -> None:
    text = SMALL.replace('name = "Small"', 'name = "Small"\ntriage = "x"')
    text = text.replace("code = 80", "code = true").replace('tell = "boss"', "tell = 3")
    assert [line for line, _, _ in problems(text)][:3] == [2, 6, 11]


def test_a_policy_without_priorities_or_syntax() -> None:
    assert "no priorities" in problems('name = "x"\n')[0][1]
    line, what, _ = problems('name = "x"\nbroken = \n')[0]
    assert line == 2
    assert "not valid TOML" in what
    assert problems("a = [1,\n2\n")[0][0] >= 2


def test_a_version_is_its_text_and_its_expanded_holidays() -> None:
    text = SMALL.replace('mon-fri = "09:00-17:00"', 'mon-fri = "09:00-17:00"\nholidays = "DE"')
    policy = parse(text, "x.toml", "Europe/Berlin")
    again = from_version(policy.text, policy.expanded())
    assert again == policy
    assert again.hash == policy.hash
    without = policy.expanded().replace('"2026-12-25",', "")    # as if the library had changed its mind
    older = from_version(policy.text, without)
    assert older.hash != policy.hash
    start = datetime(2026, 12, 24, 12, tzinfo=UTC)
    assert Duration.parse("1bd").after(start, policy.hours("office")) == start + timedelta(days=4)
    assert Duration.parse("1bd").after(start, older.hours("office")) == start + timedelta(days=1)


def test_a_version_does_not_follow_the_site() -> None:
    berlin = parse(SMALL, "x.toml", "Europe/Berlin")
    assert parse(SMALL, "x.toml", "UTC").hash != berlin.hash
    assert str(from_version(berlin.text, berlin.expanded()).hours(ALWAYS).zone) == "Europe/Berlin"
    assert parse(SMALL + "# a word\n", "x.toml", "Europe/Berlin").hash != berlin.hash


NUDGES = [
    (Nudge(percent=25), "2026-07-06T09:00", "2026-07-06T13:00", "2026-07-06T12:00"),
    (Nudge(percent=25), "2026-07-03T16:00", "2026-07-06T12:00", "2026-07-06T11:00"),      # a quarter of four open hours
    (Nudge(percent=50), "2026-07-03T16:00", "2026-07-06T10:00", "2026-07-03T17:00"),
    (Nudge(before=timedelta(minutes=15)), "2026-07-06T09:00", "2026-07-06T13:00", "2026-07-06T12:45"),
    (Nudge(before=timedelta(minutes=15)), "2026-07-06T09:00", "2026-07-06T09:10", "2026-07-06T09:05"),  # does not fit: half
    (Nudge(percent=25), "2026-07-03T17:00", "2026-07-03T21:00", "2026-07-03T20:00"),      # a promise for a closed hour
    (Nudge(), "2026-07-06T09:00", "2026-07-06T13:00", None),
    (Nudge(percent=25), "2026-07-06T13:00", "2026-07-06T13:00", None),
]


@pytest.mark.parametrize(("nudge", "start", "due", "expected"), NUDGES)
def test_when_staff_are_reminded(nudge: Nudge, start: str, due: str, expected: str | None) -> None:
    hours = parse(SMALL, "x.toml").hours("office")
    at = nudge.at(utc(start), utc(due), hours)
    assert at == (utc(expected) if expected else None)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_lines_of_keys_in_every_shape() -> None:
    lines = locate(dedent('''\
        # a comment [with] = signs
        a.b = [1,
          2, # three ]
          {c = "}]", d = [3]},
        ]
        [t."q.r"]
        k = """multi
        [line]
        """
        "quoted \\u00e9" = \'it"s\'
        [[many]]
        x = 1
        [[many]]
        x = 2024-01-01
        [many.sub]
        y = \'\'\'z\'\'\'
        '''))
    assert lines["a", "b", 1] == 3
    assert lines["a", "b", 2, "d", 0] == 4
    assert lines["t", "q.r", "k"] == 7
    assert lines["t", "q.r", "quoted é"] == 10
    assert lines["many", 1, "x"] == 14
    assert lines["many", 1, "sub", "y"] == 16


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_lines_are_found_for_all_that_is_shipped(path: Path) -> None:
    text = path.read_text()
    lines = locate(text)
    for keys, line in lines.items():
        assert 1 <= line <= text.count("\n")
        if isinstance(keys[-1], str):
            assert keys[-1] in text.splitlines()[line - 1]
