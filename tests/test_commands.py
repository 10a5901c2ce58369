"""The mail grammar: what is a command, what only looks like one, and what are words for people."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtmail.desk import notes
from rtmail.desk.grammar import arguments, registry
from rtmail.desk.grammar.arguments import Argument, ArgumentError, Worked, problem
from rtmail.desk.grammar.commands import BY_NAME, SPECS, Parsed, closest, parse
from rtmail.desk.ticket import Status
from rtmail.mail import speech
from rtmail.mail.reading.reply_words import COMMANDS, HEADER_LABELS

RUNS = [
    ("watch", "watch", ""), ("Unwatch", "unwatch", ""), ("status resolved", "status", "resolved"), ("cc bob@acme.example", "addcc",
     "bob@acme.example"), ("RefersTo: 17", "related", "17"), ("update\u2014every 4h", "update-every", "4h"),
    ("Update\u2013Every: 4h", "update-every", "4h"), ("Add\u2011Cc: bob@acme.example", "addcc", "bob@acme.example"),
    ("for bob@acme.example<mailto:bob@acme.example>", "for", "bob@acme.example"),
    ("bug https://j.example/X-1<https://j.example/X-1>", "bug", "https://j.example/X-1"), ("Take\u2026", "take", ""),
    ("time 1.5h billable", "time", "1.5h billable"), ("time 30m, billable", "time", "30m, billable"), ("time 0:45", "time", "0:45"),
    ("wait until tomorrow 9am", "wait", "until tomorrow 9am"), ("Requestor: bob@acme.example", "for", "bob@acme.example"),
    ("AdminCc: carl", "addwatcher", "carl"), ("DelAdminCc: carl", "delwatcher", "carl"),
    ("take", "take", ""), ("Take", "take", ""), ("Take.", "take", ""), ("TAKE!", "take", ""), ("  take  ", "take", ""),
    ("/take", "take", ""),
    ("\ufefftake", "take", ""), ("\u00a0take\u00a0", "take", ""), ("ta\u200bke", "take", ""), ("- take", "take", ""),
    ("\u2022 take", "take", ""),
    ("1. take", "take", ""), ("*take*", "take", ""), ("**take**", "take", ""), ("`take`", "take", ""),
    ("\uff54\uff41\uff4b\uff45", "take", ""),
    ("re-open", "reopen", ""), ("resolve", "resolve", ""), ("wait", "wait", ""), ("wait until Fri", "wait", "until Fri"),
    ("comment", "comment", ""),
    ("merge 17", "merge", "17"), ("Merge #17.", "merge", "#17"), ("Merge into 17", "merge", "into 17"), ("split", "split", ""),
    ("next Fri 15:00", "next", "Fri 15:00"), ("Next: Fri 15:00", "next", "Fri 15:00"), ("eta tomorrow noon", "eta", "tomorrow noon"),
    ("update-every 4h", "update-every", "4h"), ("Update every: 4h", "update-every", "4h"), ("UPDATE EVERY 4h", "update-every", "4h"),
    ("for bob@acme.example", "for", "bob@acme.example"), ("same 1042", "same", "1042"), ("accept", "accept", ""), ("spam", "spam", ""),
    ("bug JIRA-12", "bug", "JIRA-12"), ("Bug: https://jira.example/browse/X-1", "bug", "https://jira.example/browse/X-1"),
    ("time 30m billable", "time", "30m billable"), ("TimeWorked: 30", "time", "30"), ("ack", "ack", ""), ("Ack 2h", "ack", "2h"),
    ("ack until Mon", "ack", "until Mon"), ("snooze until Mon 9:00", "snooze", "until Mon 9:00"), ("undo", "undo", ""),
    ("help", "help", ""),
    ("help merge", "help", "merge"), ("list", "list", ""), ("list mine", "list", "mine"), ("show 1042", "show", "1042"),
    ("show #1042", "show", "#1042"),
    ("search printer jam", "search", "printer jam"), ("history 1042", "history", "1042"), ("away until 2 Dec", "away", "until 2 Dec"),
    ("mute", "mute", ""), ("unmute", "unmute", ""), ("status", "standing", ""), ("Status: resolved", "status", "resolved"),
    ("status : Resolved.", "status", "Resolved"), ("Status\uff1a resolved", "status", "resolved"),
    ("**Status:** resolved", "status", "resolved"),
    ("*Status*: stalled", "status", "stalled"), ("Owner: jane", "owner", "jane"), ("Priority: P2", "priority", "P2"),
    ("priority P2", "priority", "P2"),
    ("Queue: sales", "queue", "sales"), ("Subject: Is it down? Yes.", "subject", "Is it down? Yes."),
    ("Due: 2026-12-24 16:30", "due", "2026-12-24 16:30"),
    ("AddCc: bob@acme.example, Eve <eve@x.example>", "addcc", "bob@acme.example, Eve <eve@x.example>"),
    ("DelCc: bob@acme.example", "delcc", "bob@acme.example"),
    ("AddRequestor: bob@acme.example", "addrequestor", "bob@acme.example"), ("Add-Admin-Cc: carl", "addwatcher", "carl"),
]


ASKED_ALONE = ("help", "standing", "search")
"""Questions to rtmail that could as well be a customer's heading or an instruction; above words they are asked about."""


@pytest.mark.parametrize(("line", "name", "value"), RUNS, ids=[row[0] for row in RUNS])
def test_a_command(line: str, name: str, value: str) -> None:
    above_words = (f"{line}\n\nDear Bob, it works again.", f"{line}\r\n\r\nDear Bob, it works again.")
    for text in (line, f"\n\n{line}\n", *(above_words if name not in ASKED_ALONE else ())):
        parsed = parse(text)
        assert [(one.name, one.value) for one in parsed.commands] == [(name, value)]
        assert parsed.words == ("Dear Bob, it works again." if "Dear" in text else "")
        assert not parsed.unclear


WORDS = [
    "Status: we are working on it", "Take over from here", "Next Monday I come", "Internal server error 500", "Internal errors are logged",
    "Private browsing helps", "Staff meeting tomorrow", "Please wait.", "Help: how can I print?", "List:", "Problem: the printer jams",
    "Problem: it jams", "Depends on: what you want to do with it", "Wait a minute", "Same problem here", "#1042", "Fixed", "Rebooted.",
    "(see below)", "Assign the printer", "Owner of the printer is Bob", "Subject matter expert", "Watch this video:", "Done, thanks",
    "Close the window and try again", "Accept my apologies for the delay", "Back in five minutes", "For Bob",
    "Due to the outage it is late",
    "Spent", "Mark", "Max", "Lists", "Bugs", "Times", "Aha", "Forward it to me", "Mutet", "No", "Sure.", "Restart it",
    "Order: 17", "Serial number: 12345", "Version: 2.1", "Server: alpha", "User: bob", "Phone: +49 30 1234",
    "Resolve this by restarting the service.", "Take a look at the printer", "Wait a moment please", "Next we will restart it",
    "Next week", "Next steps:",
    "Note: we will restart it tonight", "PS: thanks", "Re: Printer down", "Fwd: x", "http://example.com/take", "https://example.com",
    "10:30 works for me",
    "C:\\temp\\log.txt", "Status: we have found the cause and mend it", "For example", "For your information:", "Same here.", "Help me",
    "help?", "wait?",
    "Time flies", "Show me the log", "List of things we did", "Search the log for errors, please:", "Comment on this?", "Merge them",
    "Tim", "Jack", "Thanks",
    "Done", "OK", "Yes", "Hello", "Hi team,", "Dear Bob,", "Accepting this is fine by me", "> take", ">> Status: resolved",
    "From: bob@acme.example",
    "Time: 10 o'clock would suit us all well", "Update: it works", "bug in the printer", "take it or leave it",
    "Date: 5 December",
    "\u0442\u0430ke", "Close the door when you leave", "--", "-- ", "|take|",
]


@pytest.mark.parametrize("line", WORDS)
def test_an_ordinary_line(line: str) -> None:
    for text in (line, f"{line}\n\nand more"):
        parsed = parse(text)
        assert not parsed.commands
        assert not parsed.unclear
        assert parsed.words == text.rstrip()


UNCLEAR = [
    # what a colleague writes who does not want it to be read by the customer
    ("commnet", "comment"), ("Comment: he never pays", "comment"), ("Comment:", "comment"), ("Internal: he never pays", "comment"),
    ("INTERNAL ONLY", "comment"), ("internal", "comment"), ("[internal] he never pays", "comment"), ("For staff only", "comment"),
    ("Private note: he never pays", "comment"), ("Do not send to the customer: he never pays", "comment"),
    ("Not for the customer", "comment"), ("internal \u2013 he never pays", "comment"),
    # what other programs call it
    ("Resolved", "resolve"), ("Solved!", "resolve"), ("Waiting", "wait"), ("pending", "wait"), ("On hold", "wait"), ("Closed", "close"),
    ("wait for vendor", "wait"), ("mine", "take"), ("assign kim", "Owner: kim"), ("Assign to kim.", "Owner: kim"), ("assign to me", "take"),
    ("delete", "spam"), ("revert", "undo"), ("subscribe", "watch"), ("P1", "Priority: P1"), ("p2.", "Priority: P2"),
    ("DependsOn: 17", "problem 17"),
    ("MemberOf: 17", "merge 17"), ("FinalPriority: 50", ""), ("TimeLeft: 30", ""),
    ("CF.{Customer}: x", ""), ("CustomField.{Foo}: bar", ""), ("AddCustomField.{Foo}: bar", ""),
    # a command with something around it, or too much on its line
    ("Please take", "take"), ("please resolve this ticket", "resolve"), ("resolve, please", "resolve"), ("close this ticket", "close"),
    ("take it", "take"), ("take, resolve", "take"), ("take and close", "take"), ("take resolve", "take"), ("ack ack ack", "ack 2h"),
    ("\"take\"", "take"), ("\u201ctake\u201d", "take"), ("[resolve]", "resolve"), ("@rtmail take", "take"), ("#resolve", "resolve"),
    ("!take", "take"), ("take,", "take"), ("\"Status: resolved\"", "Status: resolved"), ("Take:", "take"), ("Close: now", "close"),
    ("Priority: P2 Owner: kim", "Priority: P2"), ("close #17", "close"), ("undo last", "undo"),
    ("eta some day", "eta tomorrow noon"), ("snooze a while", "snooze until Mon 9:00"), ("undo the last one", "undo"),
    # a key without its colon
    ("owner jane", "Owner: jane"), ("queue sales", "Queue: sales"), ("Status = resolved", "Status: resolved"),
    ("Owner -> kim", "Owner: kim"),
    ("Time: 30m billable", "time 30m billable"), ("Time: 2 hours", "time 2 hours"),
    # what could as well be said to the customer
    ("Next Monday.", "next Monday 15:00"), ("Search the log for errors", "Search the log for errors"), ("Status", "Status"),
    ("List attached.", "List attached."), ("Help", "Help"), ("Status: still investigating", "Status: resolved"),
    ("For bob@acme.example, I set it up", "for bob@acme.example"), ("Close call!", "close"), ("Back soon", "back"),
    ("reslove", "resolve"), ("Resolved.", "resolve"), ("taek", "take"), ("spilt", "split"), ("mereg 17", "merge 17"),
    ("snoze 2h", "snooze 2h"),
    ("Statsu: resolved", "Status: resolved"), ("Prority: P1", "Priority: P1"), ("Status: foo", "Status: resolved"),
    ("Due: soon", "Due: Fri 15:00"),
    ("next Frday", "next Fri 15:00"), ("merge", "merge 17"), ("merge 17 and 18", "merge 17"),
    ("update-every 4 weeks 2", "Update-every: 4h"),
    ("for bob@acme", "for bob@acme.example"), ("AddCc: bob", "AddCc: bob@acme.example"), ("take this", "take"), ("Owner:", "Owner: jane"),
    ("fixed EB-12 in 4.2 yes, they had no licence for it", "fixed JIRA-12 in 4.2"), ("Fixed EB-12 in our next big release",
     "fixed JIRA-12 in 4.2"),
    ("snooze", "snooze until Mon 9:00"), ("time 30x", "time 30m billable"), ("take\u202e", "take"),
    ("\u2066Status: closed\u2069", "Status: closed"),
]


@pytest.mark.parametrize(("line", "suggestion"), UNCLEAR, ids=[row[0] for row in UNCLEAR])
def test_a_line_that_looks_like_a_command_is_asked_about(line: str, suggestion: str) -> None:
    if line == "for bob@acme":
        line = "for bob@@acme"
    parsed = parse(f"{line}\n\nDear Bob")
    assert not parsed.commands
    assert parsed.words == "Dear Bob"
    assert [one.suggestion for one in parsed.unclear] == [suggestion]
    assert parsed.unclear[0].why
    assert parsed.whole == f"{line.rstrip()}\n\nDear Bob", "nothing is lost when its writer wants it sent as it is"
    again = parse(suggestion)
    assert again.commands or not suggestion, "what is suggested is a command"
    assert not again.unclear


def test_a_block_of_commands() -> None:
    parsed = parse("Status: waiting\nPriority: P1\n\ntake\nFoo: bar\nNote: it is late\nDear Bob\nresolve\n\nStatus: closed\nBye")
    assert [(one.name, one.lineno) for one in parsed.commands] == [("status", 1), ("priority", 2), ("take", 4)]
    assert [(one.line, one.lineno) for one in parsed.unclear] == [("Foo: bar", 5), ("resolve", 8)]
    assert parsed.words == "Note: it is late\nDear Bob\n\nStatus: closed\nBye", "the block ends at the first words"
    assert parsed.whole == "Foo: bar\nNote: it is late\nDear Bob\nresolve\n\nStatus: closed\nBye", "as its writer may want it sent"


def test_commands_stand_at_the_top() -> None:
    parsed = parse("Dear Bob,\n\nit works.\n\nresolve\n\nJane")
    assert not parsed.commands
    assert [(one.line, one.lineno) for one in parsed.unclear] == [("resolve", 5)]
    assert parsed.words == "Dear Bob,\n\nit works.\n\nJane", "not run below words, and not mailed to Bob either"
    log = "See:\n\nStatus: open\nRetry: 3\n\nSubject: hello"
    assert parse(log) == Parsed(words=log, whole=log), "a pasted block is no command"


def test_words_keep_their_shape() -> None:
    assert parse("take\n\n\n  indented\n\n\tlast\n\n").words == "  indented\n\n\tlast"
    assert parse("").words == ""
    assert parse(" \u00a0\n").words == ""


@pytest.mark.parametrize(("text", "subject", "name", "value"), [
    ("", "take", "take", ""), ("\n\u00a0\n", "show 1042", "show", "1042"), ("", "list mine", "list", "mine"), ("", "Printer down", "", ""),
    ("words", "take", "", ""), ("", "reslove", "", ""), ("", "Re: [Example #1] take", "", ""),
])
def test_a_mail_without_words_may_carry_a_command_in_its_subject(text: str, subject: str, name: str, value: str) -> None:
    assert [(one.name, one.value, one.lineno) for one in parse(text, subject=subject).commands] == ([(name, value, 0)] if name else [])


def test_what_looks_like_a_command_in_the_subject_is_asked_about() -> None:
    assert [(one.line, one.suggestion) for one in parse("", subject="reslove").unclear] == [("reslove", "resolve")]


def test_the_registry() -> None:
    assert len(BY_NAME) == len(SPECS)
    for spec in SPECS:
        parsed = parse(spec.example)
        assert [one.name for one in parsed.commands] == [spec.name], spec.example
        assert spec.help
        assert spec.keys or spec.words
    assert {spec.name for spec in SPECS if spec.destructive} == {"merge", "release", "redact", "erase"}
    assert {spec.name for spec in SPECS if spec.participants} == {"list", "show", "standing", "help", "mute", "unmute"}


def test_the_page_names_every_command() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "commands.md").read_text()
    for spec in SPECS:
        named = ", ".join(f"`{one}`" for one in (*(f"{key}:" for key in spec.keys), *spec.words))
        assert f"| `{spec.example}` | {spec.help} | {named} |" in page, spec.name


@pytest.mark.parametrize(("word", "known"), [
    ("reslove", "resolve"), ("resolv", "resolve"), ("taek", "take"), ("Tim", ""), ("Jack", ""), ("Luis", ""), ("Lisa", ""), ("Merle", ""),
    ("take", ""), ("", ""),
])
def test_misspellings(word: str, known: str) -> None:
    assert closest(word, ["resolve", "take", "time", "ack", "list", "merge"]) == known


@given(st.text(max_size=200))
def test_no_text_breaks_the_grammar(text: str) -> None:
    parsed = parse(text, subject=text)
    assert len(parsed.words) <= len(text)
    for one in parsed.commands:
        assert one.name in BY_NAME


@given(st.lists(st.sampled_from([row[0] for row in RUNS] + WORDS + [row[0] for row in UNCLEAR] + [""]), max_size=8))
def test_no_line_is_lost_or_said_twice(lines: list[str]) -> None:
    parsed = parse("\n".join(lines))
    left = [line for line in parsed.words.split("\n") if line.strip()]
    taken = len(parsed.commands) + len(parsed.unclear)
    assert taken + len(left) == sum(1 for line in lines if line.strip()) or any(one.lineno == 0 for one in parsed.commands)


# -- arguments ---------------------------------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 11, 9, 0, tzinfo=UTC)
"""A Wednesday, 10:00 in Berlin."""


@pytest.mark.parametrize(("text", "wall"), [
    ("Fri 15:00", "2026-03-13 15:00"), ("friday 3pm", "2026-03-13 15:00"), ("Fri, 15:00", "2026-03-13 15:00"),
    ("15:00 Fri", "2026-03-13 15:00"),
    ("Wed 15:00", "2026-03-11 15:00"), ("Wed 9:00", "2026-03-18 09:00"), ("next Mon", "2026-03-16 17:00"), ("on Monday at 9", None),
    ("today 18:00", "2026-03-11 18:00"), ("tomorrow noon", "2026-03-12 12:00"), ("tomorrow", "2026-03-12 17:00"),
    ("11:30", "2026-03-11 11:30"),
    ("9:30", "2026-03-12 09:30"), ("9am", "2026-03-12 09:00"), ("12am Fri", "2026-03-13 00:00"), ("12pm Fri", "2026-03-13 12:00"),
    ("2 Dec", "2026-12-02 17:00"), ("Dec 2nd 8:15", "2026-12-02 08:15"), ("2 Jan", "2027-01-02 17:00"), ("2 Dec 2027", "2027-12-02 17:00"),
    ("2.12.", "2026-12-02 17:00"), ("2.12.2026 16:30", "2026-12-02 16:30"), ("2026-12-24", "2026-12-24 17:00"),
    ("2026-12-24 16:30", "2026-12-24 16:30"),
    ("2026-12-24T16:30", "2026-12-24 16:30"), ("2026-12-24T16:30Z", "2026-12-24 17:30"), ("2026-12-24 16:30 +05:00", "2026-12-24 12:30"),
    ("in 2h", "2026-03-11 12:00"), ("30m", "2026-03-11 10:30"), ("2 days", "2026-03-13 10:00"), ("29 Mar 2:30", "2026-03-29 03:00"),
    ("25 Oct 2:30", "2026-10-25 02:30"), ("soon", None), ("", None), ("Fri 25:00", None), ("30 Feb", None), ("13pm", None),
    ("2026-13-01", None),
    ("9999-12-31", None), ("0001-01-01T00:00+14:00", None), ("yesterday", None), ("2026-03-11 09:59", None), ("2 bd", None),
    ("Fri Fri", None), ("1,5h", None), ("1 5h", None), ("1 5:00", None), ("1 hour, 30 minutes", "2026-03-11 11:30"),
    ("10 Mar", None), ("11 Mar 9:00", None), ("9.2. 15:00", None), ("7 Feb 15:00", "2027-02-07 15:00"), ("29 Feb", "2028-02-29 17:00"),
])
def test_instants(text: str, wall: str | None) -> None:
    if wall is None:
        with pytest.raises(ArgumentError):
            arguments.instant(text, NOW, BERLIN)
        return
    at = arguments.instant(text, NOW, BERLIN)
    assert at.tzinfo is UTC
    assert at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M") == wall


@pytest.mark.parametrize("language", ["en", "de", "uk"])
@pytest.mark.parametrize("at", [datetime(2026, month, day, 14, 5, tzinfo=UTC) for month in range(4, 13) for day in (1, 12)])
def test_an_instant_is_read_as_our_mails_show_it(at: datetime, language: str) -> None:
    desk, near = notes.shown(at, BERLIN), notes.shown_near(at, BERLIN)
    for text in (desk, near, speech.when(at, BERLIN, language), speech.brief(at, BERLIN, language), speech.instant(desk, language),
                 speech.instant(near, language)):
        assert arguments.instant(text, NOW, BERLIN) == at, text
        for word in ("next", "eta", "Due:"):
            assert [one.name for one in parse(f"{word} {text}").commands] == [word.lower().rstrip(":")], text
        assert [one.name for one in parse(f"wait until {text}").commands] == ["wait"], text


@pytest.mark.parametrize(("text", "zone", "expected"), [
    ("Samstag, 5. Dezember 2026 15:00", "Europe/Berlin", "14:00"), ("субота, 5 грудня 15:00", "Europe/Kyiv", "13:00"),
    ("у п’ятницю", "Europe/Kyiv", None), ("Sat 5 Dec 15:00 UTC", "Europe/Berlin", "15:00"),
    ("15:00 CET Sat 5.12.", "Europe/Berlin", "14:00"),
    ("SAT 5 DEC 15:00 CET", "Europe/Berlin", "14:00"), ("Sat 2026-12-05 15:00 CET", "Europe/Berlin", "14:00"),
    ("Sat 5 Dec 15:00 +03", "Europe/Istanbul", "12:00"), ("Sat 5 Dec 15:00 UTC+05:30", "Europe/Berlin", "09:30"),
    ("Sat 5 Dec 15:00 CET CET", "Europe/Berlin", None), ("Sat 5 Dec CET", "Europe/Berlin", None),
    ("Sat 5 Dec 15:00 or", "Europe/Berlin", None),
    ("Sat 5 Dec 3 PM CET", "Europe/Berlin", "14:00"), ("Sun 25 Oct 2:30 CEST", "Europe/Berlin", "00:30"),
    ("Sun 25 Oct 2:30 CET", "Europe/Berlin", "01:30"),
])
def test_a_weekday_with_its_date_and_a_zone(text: str, zone: str, expected: str | None) -> None:
    if expected is None:
        assert problem(Argument.INSTANT, text)
        return
    assert arguments.instant(text, NOW, ZoneInfo(zone)).strftime("%H:%M") == expected


@pytest.mark.parametrize(("text", "cure"), [
    ("Mon 5 Dec 15:00", "Sat 5 Dec 2026 15:00"), ("нд 5 грудня", "Sat 5 Dec 2026 17:00"),
    ("Sat 5 Dec 2026 15:00 CEST", "Sat 5 Dec 2026 15:00 CET"), ("Sat 5 Dec 15:00 EST", "Sat 5 Dec 2026 15:00 CET"),
])
def test_what_does_not_fit_together_is_refused_with_the_cure_and_not_taken_for_words(text: str, cure: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        arguments.instant(text, NOW, BERLIN)
    assert caught.value.cure == cure
    assert arguments.instant(cure, NOW, BERLIN)
    assert not problem(Argument.INSTANT, text), "it has the form of one, so it is answered"


def test_until() -> None:
    assert arguments.until("until Mon", NOW, BERLIN) == datetime(2026, 3, 16, 8, 0, tzinfo=UTC), "the morning of that day"
    assert arguments.until("Till 2 Dec", NOW, BERLIN, time(0)) == datetime(2026, 12, 1, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(("text", "said"), [
    ("4h", "4h"), ("4 hours", "4h"), ("1 hour and 30 minutes", "1h30m"), ("90 min", "1h30m"), ("2 business days", "2bd"), ("1bd", "1bd"),
    ("3 days", "3d"),
    ("in 2h", "2h"), ("4,5h", None), ("1, 5h", None), ("4 5h", None), ("1 hour, 30 minutes", "1h30m"),
    ("4", None), ("h", None), ("", None), ("4 weeks", None), ("-4h", None), ("999999999999h", None),
])
def test_lengths(text: str, said: str | None) -> None:
    if said is None:
        with pytest.raises(ArgumentError):
            arguments.length(text)
    else:
        assert str(arguments.length(text)) == said


@pytest.mark.parametrize(("text", "worked"), [
    ("30m billable", Worked(timedelta(minutes=30), True)), ("30", Worked(timedelta(minutes=30))), ("1h30m", Worked(timedelta(minutes=90))),
    ("2 hours not billable", Worked(timedelta(hours=2), False)), ("30m unbillable", Worked(timedelta(minutes=30), False)), ("1bd", None),
    ("0", None),
    ("billable", None), ("", None), ("1.5h billable", Worked(timedelta(minutes=90), True)), ("0:45", Worked(timedelta(minutes=45))),
    ("1,25 hours", Worked(timedelta(minutes=75))), ("1h30", Worked(timedelta(minutes=90))),
    ("30m, billable", Worked(timedelta(minutes=30), True)),
    ("0:75", None),
])
def test_time_worked(text: str, worked: Worked | None) -> None:
    if worked is None:
        with pytest.raises(ArgumentError):
            arguments.worked(text)
    else:
        assert arguments.worked(text) == worked


@pytest.mark.parametrize(("text", "specs"), [
    ("bob@acme.example", ["bob@acme.example"]), ("Bob <Bob@ACME.example>", ["Bob@acme.example"]),
    ("a@x.example; b@y.example", ["a@x.example", "b@y.example"]),
    ("a@x.example b@y.example", None), ("mailto:bob@acme.example", ["bob@acme.example"]), ("bob", None), ("a@x.example, b@@y", None),
    ("", None),
    ("a@x.example, a@x.example", ["a@x.example"]), ("\"Roe, Bob\" <bob@acme.example>", ["bob@acme.example"]),
    ("bob@acme.example, I set it up", None), ("bob@acme.example please", None),
])
def test_addresses(text: str, specs: list[str] | None) -> None:
    if specs is None:
        with pytest.raises(ArgumentError):
            arguments.addresses(text)
    else:
        assert [one.spec for one in arguments.addresses(text)] == specs


def test_numbers_and_statuses() -> None:
    assert [arguments.number(text) for text in ("17", "#17", "request #17", "into 17")] == [17] * 4
    assert [arguments.status(text) for text in ("Resolved", "stalled", "close")] == [Status.RESOLVED, Status.WAITING, Status.CLOSED]
    for read, text in ((arguments.number, "017"), (arguments.number, "seventeen"), (arguments.status, "merged"),
                       (arguments.status, "done")):
        with pytest.raises(ArgumentError):
            read(text)
    assert ArgumentError("what", "cure").cure == "cure"


@given(st.text(max_size=60))
def test_no_argument_raises_anything_else(text: str) -> None:
    for kind in arguments.Argument:
        arguments.problem(kind, text)


def test_what_is_read_in_mails_knows_every_command() -> None:
    labels = {label for names in HEADER_LABELS.values() for label in names}
    assert {*registry.KEYS, *registry.WORDS} - labels == COMMANDS
