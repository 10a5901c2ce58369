"""One plausible draft for every mail that we send: for `rtmail template show|test`, for the linter, and for the tests.

The facts here are the facts that the desk hands over; a template may use these names and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rtmail.mail.model import Address
from rtmail.mail.token import Action
from rtmail.mail.writing.calendar import Entry, Method
from rtmail.mail.writing.draft import Auto, Draft, Link, Recipient, ReplyTo, Suppress, Visibility
from rtmail.mail.writing.templates import LAYOUT

SENT_AT = datetime(2026, 11, 23, 13, 58, tzinfo=UTC)
STATUS = "status"
"""The status page, which is no mail."""
ALWAYS = frozenset({"site", "queue", "address", "number", "subject", "to", "author", "circle_to", "circle_cc", "fields", "status_url",
                    "portal_url"})
"""Facts that `compose` gives to every template."""

_CUSTOMER = Recipient(101, "bob@acme.example", "Bob Roe", staff=False)
_COPIED = Recipient(102, "ann@acme.example", "Ann Poe", staff=False)
_STRANGER = Recipient(0, "zoe@elsewhere.example", "", staff=False)
_ENGINEER = Recipient(1, "jane@example.com", "Jane Doe", staff=True)
_MANAGER = Recipient(2, "max@example.com", "Max Lee", staff=True)
_PAGER = Recipient(2, "4915550100@sms.example", "", staff=True)
_ADMIN = Recipient(0, "ops@example.net", "", staff=True)
_BOB = "Bob Roe <bob@acme.example>"
_CIRCLE_TO = (Address("bob@acme.example", "Bob Roe"),)
_CIRCLE_CC = (Address("ann@acme.example", "Ann Poe"),)
_ROOT = "<20261123.4711@mail.acme.example>"

_QUESTION = """Hi,

the printer on the second floor prints nothing since this morning. The display says:

    E-042  tray 2   jam
    E-043  tray 3   empty

Can you help? The manual is at https://printers.example/manual?model=x&page=3.

Bob"""
_ANSWER = """Hello Bob,

please open tray 2 and take out the torn sheet behind the roller; then switch it off and on.

> Can you help?

If E-042 stays, tell me the firmware version and I will come by.

Best regards
Jane"""


def _at(hour: int, minute: int = 0, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def _row(**values: Any) -> dict[str, Any]:
    return values


_MINE = [
    _row(number=1042, subject="Printer down", status="open", priority="P2", what="update", due_at=_at(7), late=True),
    _row(number=977, subject="New laptop for the second floor, with dock, screen and a keyboard that has a pound sign", status="waiting",
         priority="", what="", due_at=None, late=False),
]
_PROMISES = _row(
    since=_at(7, 30, day=20), until=_at(7, 30, day=24), kept=13, missed=1,
    priorities=[_row(name="P1", kept=3, missed=1, coming=0), _row(name="not set yet", kept=10, missed=0, coming=2)],
    people=[_row(name="Jane Doe", kept=13, missed=0, coming=2), _row(name="nobody", kept=0, missed=1, coming=0)],
    lost=[_row(number=1040, subject="Network down", what="first response", due_at=_at(15, day=20), priority="P1", owner="")],
)

_ANSWERS = [
    _row(kind="list", what="mine", more=2, requests=[
        _row(number=1042, subject="Printer down", status="open", priority="P2", owner="", requestor="bob@acme.example", due_at=_at(15),
             opened_at=_at(12)),
    ]),
    _row(kind="show", request=_row(
        number=1042, subject="Printer down", status="open", priority="P2 agreed", owner="", queue="support", opened_at=_at(12), count=2,
        due=[_row(what="update", at=_at(15))], noted=[_row(what="Time worked", value="30 min")],
        people=[_row(role="requestor", who=_BOB)], words=[_row(who="Bob Roe", at=_at(12), text=_QUESTION, inside=False)],
    )),
    _row(kind="search", words="toner", more=0, found=[_row(number=1042, subject="Printer down", status="open", excerpt="no toner in it")]),
    _row(kind="history", number=1042, subject="Printer down", more=0, lines=[
        _row(at=_at(12), kind="opened", who="Bob Roe", said="", written=False),
        _row(at=_at(13), kind="status", who="Jane Doe", said="new -> open", written=False),
        _row(at=_at(13, 5), kind="command", who="Jane Doe", said="Status: open", written=True),
    ]),
    _row(kind="bugs", words="export", bugs=[_row(ref="JIRA-12", fixed=True, version="4.2", requests=[
        _row(number=1042, subject="Printer down", status="open"),
    ])]),
    _row(kind="fixed", ref="JIRA-12", version="4.2", requests=[
        _row(number=1042, subject="Printer down", status="open", who=_BOB),
    ]),
    _row(kind="help", lines=[_row(example="take", help="become the owner")]),
    _row(kind="none", number=7),
]
_SHOWN = [
    _row(kind="list", more=1, requests=[
        _row(number=1042, subject="Printer down", status="open", opened_at=_at(12), noted=[_row(label="Version", value="4.2")]),
    ]),
    _row(kind="show", request=_row(number=1042, subject="Printer down", status="open", opened_at=_at(12), count=2,
                                   noted=[_row(what="Version", value="4.2")], words=[_row(who="Jane Doe", at=_at(13), text=_ANSWER)])),
    _row(kind="help", lines=[_row(example="list", help="requests that are open")]),
    _row(kind="none", number=7),
]

_FORM = _row(
    understood=[_row(key="version", label="Version", value="4.2"), _row(key="steps", label="Steps", value="")],
    misread=[_row(label="Severity", said="awful")],
    form=[
        _row(label="Severity", kind="choice", choices=["1 critical", "2 high"], required=True),
        _row(label="Environments", kind="choices", choices=["Production", "Test"], required=True),
        _row(label="Workaround", kind="text", choices=[], required=False),
        _row(label="No health data is included", kind="confirm", choices=["yes", "no"], required=True),
    ],
)

_ITEMS = [_row(number=1, text="log of the gateway", got=False), _row(number=3, text="the version", got=False)]

_FACTS: Mapping[str, Mapping[str, Any]] = {
    "acknowledgement": {
        "looked_at": _at(14, 30), "opens_at": _at(8, day=24), "critical_word": "outage", "telephone": "+49 30 1234", **_FORM,
        "incidents": [_row(title="Printing is slow", since=_at(9))],
    },
    "form": _FORM,
    "asking": {"text": "Thank you. We can see it, but not where it comes from.", "items": _ITEMS},
    "reminder": {"items": _ITEMS, "close_at": _at(14, day=27), "said_at": _at(12), "text": "We can see it, but not where it comes from."},
    "unanswered": {"items": _ITEMS},
    "statement": {
        "organisation": "Acme Ltd", "month": "2026-11", "minutes": 150, "billable": 30,
        "requests": [
            _row(number=1042, subject="Printer down", requestor="bob@acme.example", days=["23.11."], minutes=90, billable=30),
            _row(number=1043, subject="New laptop", requestor="ann@acme.example", days=["24.11.", "25.11."], minutes=60, billable=0),
        ],
    },
    "incident": {
        "what": "announced", "meaning": "Many cannot work", "since": _at(9), "services": "ERP", "next_at": _at(16),
        "text": "Printing is slow since this morning. We look for the cause.",
    },
    "maintenance": {
        "what": "planned", "starts_at": _at(21, day=28), "ends_at": _at(2, day=29), "services": "ERP", "emergency": False,
        "text": "The print server moves to a new machine.",
    },
    "incident-over": {"title": "Printing is slow", "text": "A cable was broken; it is replaced."},
    "prepared": {"text": "Questions about how to use it are answered at https://docs.example.com, or in the forum."},
    "appealed": {"priority": "P3", "decided_by": _at(10, day=24)},
    "opened": {
        "who": _BOB, "text": _QUESTION, "received_at": SENT_AT, "flags": ["The sender is not verified."],
        "due": [_row(what="Triage", at=_at(14, 30)), _row(what="First response", at=_at(15))],
    },
    "notice": {
        "who": _BOB, "text": _QUESTION, "at": SENT_AT, "joined": ["eve@acme.example"], "title": "It smokes",
        "flags": ["Unverified: the mail was known by its subject tag only, and was passed on to nobody."],
    },
    "numbered": {"engineer": "Jane Doe"},
    "words": {"text": _ANSWER},
    "fixed": {"version": "4.2"},
    "relayed": {"text": _QUESTION},
    "handed-over": {
        "who": "Jane Doe", "at": SENT_AT, "tier": "tier2", "owner": "", "text": "It happens with every file above 2 GB.",
        "rows": [_row(what="Version", value="4.2", written=True)], "flags": [],
    },
    "comment": {"who": "Jane Doe", "text": "The fuser was replaced last week.\nProbably the same batch.", "at": SENT_AT, "flags": []},
    "state": {
        "who": "Jane Doe", "at": SENT_AT, "reason": "Jane Doe answers for it now.",
        "changes": [_row(what="Status", old="open", new="waiting"), _row(what="Owner", old="", new="Jane Doe")],
    },
    "receipt": {
        "results": [
            _row(line="Status: waiting", done=True, outcome="request #1042 is waiting", instead=""),
            _row(line="Priority: P9", done=False, outcome="there is no priority P9; there are P1, P2, P3, P4", instead="Priority: P2"),
        ],
        "state": [
            _row(what="Status", value="waiting"), _row(what="Owner", value="Jane Doe"), _row(what="Priority", value="P3"),
            _row(what="Version", value="4.2", written=True),
        ],
        "words_went": "The other words of your mail were sent to Bob Roe.",
        "answers": _ANSWERS,
    },
    "answer": {"answers": _SHOWN},
    "asked": {
        "reason": "a line in them looks like a command, but cannot be carried out.", "requestor": _BOB, "text": _ANSWER, "waits": True,
        "results": [
            _row(line="take", done=False, outcome="waits for your answer to this mail", instead=""),
            _row(line="reslove", done=False, outcome="there is no command 'reslove'", instead="resolve"),
        ],
    },
    "junk": {
        "junk": [
            _row(id=9, at=_at(3, 12), subject="Win a phone", reason="x-spam-flag: YES", waits=True, **{"from": "win@casino.example"}),
            _row(id=10, at=_at(4, 1), subject="Automatic reply: Lunch", reason="an automatic answer about no request", waits=False,
                 **{"from": "carl@elsewhere.example"}),
        ],
        "more": 3,
    },
    "private": {
        "who": _BOB, "at": _at(12, 5), "what": "a card number", "title": "Refund",
        "text": "Hello,\n\nplease pay it back to my card [card number removed].\n\nBob",
    },
    "private-told": {"sorts": ["card number", "password"], "kept": True},
    "too-large": {"bytes": 43_201_000, "limit": 26_214_400},
    "held": {
        "held": [
            _row(id=7, at=_at(12, 5), reason="no trusted server vouches for the sender", subject="Re: [Example #1042] Printer down",
                 recipients=["bob@acme.example"], commands=["Status: resolved"], text=_ANSWER),
            _row(id=8, at=_at(12, 40), reason="DMARC failed", subject="", recipients=[], commands=[], text="Please merge these."),
        ],
        "more": 3,
    },
    "held-expired": {
        "held": [_row(claimed="jane@example.com", at=_at(9, 50), reason="DMARC failed", subject="Printer down", text=_ANSWER)], "more": 0,
    },
    "received": {},
    "undeliverable": {
        "recipient": "ann@acme.example", "status": "5.1.1", "answer": "550 5.1.1 <ann@acme.example>: user unknown", "outcome": "bounced",
        "at": SENT_AT, "clock": "The first response is owed again, by Mon 23 Nov 2026 16:00 UTC.", "text": _ANSWER,
    },
    "admin-notice": {
        "title": "A mail is in quarantine",
        "what": "It could not be read three times and was set aside; request #1042 was opened from what could be read.",
        "at": SENT_AT, "rows": [_row(what="Quarantine", value="3"), _row(what="From", value="bob@acme.example")],
        "cure": "rtmail quarantine show 3",
    },
    "canary": {"at": SENT_AT},
    "wait-over": {"until": _at(9, day=27), "who": _BOB, "priority": "P2", "last_at": _at(10), "said_at": _at(9), "text": _QUESTION},
    "nudge": {
        "clock": "update", "due_at": _at(15), "left": timedelta(minutes=62), "who": _BOB, "priority": "P2", "last_at": _at(11),
        "said_at": _at(12, 30), "text": _QUESTION,
    },
    "unowned": {
        "who": _BOB, "priority": "P1", "opened_at": _at(13, 40), "last_at": _at(13, 45), "said_at": _at(13, 50),
        "text": _QUESTION,
    },
    "holding-update": {"status": "open", "owner": "Jane Doe", "eta_at": _at(16, day=24), "next_at": _at(16)},
    "missed": {
        "clock": "first response", "due_at": _at(13), "late": timedelta(minutes=58), "who": _BOB, "owner": "", "priority": "P1",
        "instead": "", "said_at": _at(12), "text": _QUESTION,
    },
    "escalation": {
        "role": "customer-relations-manager", "rung": 2, "why": "rung 2 of P1: its time came", "who": _BOB,
        "organisation": "Acme Ltd", "owner": "Jane Doe", "status": "open", "priority": "P1: Network down or severely degraded",
        "opened_at": _at(12), "late": timedelta(minutes=12),
        "late_why": "rtmail was not running, or could not be reached, when it fell due.",
        "acked": "Max Lee, until Mon 23 Nov 13:20 UTC", "alarm": False,
        "promises": [_row(what="first response", due_at=_at(13), state="kept"), _row(what="update", due_at=_at(13, 50), state="missed")],
        "customer": _row(at=_at(12), text=_QUESTION), "staff": _row(at=_at(12, 50), who="Jane Doe", text=_ANSWER),
        "told": [_row(at=_at(12, 46), who="Max Lee (technical-support-manager)")],
    },
    "bundle": {
        "count": 5,
        "others": ["#1050", "#1051"],
        "requests": [
            _row(number=1042, priority="P2", code=60, what="ladder rung 2", due_at=_at(13), owner="Jane Doe", subject="Printer down"),
            _row(number=1044, priority="P3", code=40, what="ladder rung 1", due_at=_at(12), owner="nobody", subject="Scanner too"),
            _row(number=1043, priority="-", code=20, what="triage missed", due_at=_at(13, 30), owner="nobody", subject="Question"),
        ],
    },
    "folded": {
        "mails": 14, "others": 2, "minutes": 10,
        "requests": [
            _row(number=1042, mails=12, subject="Printer down", **{"from": "robot@acme.example"}),
            _row(number=1043, mails=2, subject="Scanner too", **{"from": ""}),
        ],
    },
    "daily": {
        "at": _at(7, 30), "mine": _MINE, "more": 3, "unowned": [_row(queue="support", count=2, due_at=_at(9))], "promises": _PROMISES,
    },
    "weekly": {
        "at": _at(7, 30), "mine": _MINE, "more": 3, "unowned": [_row(queue="support", count=2, due_at=None)], "promises": _PROMISES,
        "days": [_row(label="Mon 16", kept=9, missed=1), _row(label="Tue 17", kept=4, missed=0), _row(label="Wed 18", kept=0, missed=0)],
        "solved": [_row(label="Root cause", total=6, rows=[_row(value="configuration", count=4), _row(value="", count=2)])],
    },
    "page": {"priority": "P1", "rule": "rung 2 of P1: its time came", "due_at": _at(13)},
    "closed": {},
    "alias": {"asked_about": "bob.private@elsewhere.example"},
    "closing": {"text": "The spare part is in, the printer works again.", "close_at": _at(14, day=26),
                "stated": [_row(label="Solved by", value="a workaround")]},
    "priority-told": {
        "priority": "P2", "meaning": "The network is degraded", "first_by": _at(16), "update_every": timedelta(hours=2),
        "update_days": 0, "agreed": False, "reason": "It works, but slowly.", "decided": True, "appeal": True,
    },
    "promised": {
        "text": "The technician comes on Friday.", "update_every": timedelta(hours=4), "update_days": 0, "next_at": _at(15),
        "eta_at": _at(16, day=27),
    },
    "undelivered": {
        "clock": "first response", "due_at": _at(15), "who": _BOB, "priority": "P2", "written_by": "Jane Doe", "admin": False,
        "said_at": _at(14, 40), "text": _ANSWER,
    },
}

OPTIONAL: Mapping[str, frozenset[str]] = {
    "acknowledgement": frozenset({"looked_at", "opens_at", "critical_word", "telephone", "incidents", "understood", "misread", "form"}),
    "opened": frozenset({"flags", "due"}), "form": frozenset({"understood", "misread", "form"}),
    "asking": frozenset({"text"}), "reminder": frozenset({"close_at", "said_at", "text"}),
    "incident": frozenset({"meaning", "services", "next_at", "text"}), "maintenance": frozenset({"services", "emergency", "text"}),
    "incident-over": frozenset({"text"}),
    "notice": frozenset({"flags", "joined", "title"}),
    "handed-over": frozenset({"flags", "owner", "rows", "text"}),
    "comment": frozenset({"flags"}), "state": frozenset({"reason"}), "receipt": frozenset({"state", "words_went", "answers"}),
    "held": frozenset({"more"}), "held-expired": frozenset({"more"}),
    "undeliverable": frozenset({"at", "clock", "text"}), "admin-notice": frozenset({"rows", "cure"}),
    "page": frozenset({"due_at"}), "daily": frozenset({"mine", "more", "unowned", "promises"}),
    "weekly": frozenset({"mine", "more", "unowned", "promises", "days", "solved"}),
    "nudge": frozenset({"last_at", "said_at", "text"}), "wait-over": frozenset({"last_at", "said_at", "text"}),
    "unowned": frozenset({"last_at", "said_at", "text"}),
    "holding-update": frozenset({"owner", "eta_at", "next_at"}),
    "missed": frozenset({"said_at", "text", "instead"}),
    "escalation": frozenset({"late", "late_why", "acked", "alarm", "customer", "staff"}),
    "closing": frozenset({"text", "close_at", "stated"}), "appealed": frozenset({"decided_by"}),
    "priority-told": frozenset({"first_by", "update_every", "update_days", "agreed", "reason", "decided", "appeal"}),
    "promised": frozenset({"text", "update_every", "update_days", "next_at", "eta_at"}), "undelivered": frozenset({"said_at", "text"}),
}
"""Facts that the desk may leave out; a template tests for them with `|default`."""

_ASKED_LINKS = tuple(
    Link(f"{name} #1042", action, request=1042)
    for name, action in (("show", Action.SHOW), ("take", Action.TAKE), ("answer", Action.REPLY), ("comment on", Action.COMMENT))
)
_LINKS: Mapping[str, tuple[Link, ...]] = {
    "relayed": (Link("mute", Action.MUTE),),
    "opened": (Link("take", Action.TAKE),),
    "notice": (Link("take", Action.TAKE), Link("accept", Action.ACCEPT), Link("split", Action.SPLIT)),
    "receipt": (Link("undo", Action.UNDO), *_ASKED_LINKS),
    "answer": (_ASKED_LINKS[0], _ASKED_LINKS[2]),
    "asked": (
        Link("send as correspondence", Action.SEND_AS_CORRESPONDENCE), Link("send as written", Action.SEND_AS_WRITTEN),
        Link("send as comment", Action.SEND_AS_COMMENT),
    ),
    "held": tuple(
        Link(name, action, request=hold) for hold in (7, 8)
        for name, action in (("confirm", Action.CONFIRM_HELD), ("discard", Action.DISCARD_HELD))
    ),
    "junk": (Link("not junk", Action.NOT_JUNK, request=9),),
    "private": (Link("redact", Action.REDACT), Link("release", Action.RELEASE), Link("erase", Action.ERASE)),
    "nudge": (Link("take", Action.TAKE), Link("wait", Action.WAIT)),
    "wait-over": (Link("take", Action.TAKE), Link("wait", Action.WAIT), Link("resolve", Action.RESOLVE)),
    "unowned": (Link("take", Action.TAKE),),
    "missed": (Link("take", Action.TAKE),),
    "escalation": (Link("acknowledge", Action.ACK), Link("take", Action.TAKE), Link("snooze", Action.SNOOZE, body="snooze until Mon 9:00")),
    "bundle": tuple(
        Link(f"{name} #{number}", action, request=number) for number in (1042, 1044, 1043)
        for name, action in (("acknowledge", Action.ACK), ("take", Action.TAKE))
    ),
    "closed": (Link("reopen", Action.REOPEN),),
    "unanswered": (Link("reopen", Action.REOPEN),),
    "incident": (Link("mute", Action.MUTE),),
    "maintenance": (Link("mute", Action.MUTE),),
    "alias": (Link("confirm", Action.CONFIRM_ALIAS),),
    "closing": (Link("approve", Action.APPROVE), Link("reopen", Action.REOPEN)),
    "priority-told": (Link("agree", Action.AGREE), Link("disagree", Action.DISAGREE), Link("appeal", Action.APPEAL)),
}


def names() -> tuple[str, ...]:
    """Return the name of every mail that we send."""
    return tuple(_FACTS)


def facts_of(name: str) -> frozenset[str]:
    """Return the names that the template of mail `name` may use; for the layout, those of its frame."""
    if name == LAYOUT:
        return frozenset({"blocks", "subject", "site", "number", "staff", "mark", "pictures", "loose_pictures"})
    if name == STATUS:
        return frozenset({"title", "site", "at", "open", "planned", "running", "past", "portal_url"})
    return ALWAYS | frozenset(_FACTS[name])


def known_facts() -> dict[str, frozenset[str]]:
    """Return what `Templates.problems` wants to know: every template's name and its facts."""
    return {name: facts_of(name) for name in (*names(), LAYOUT, STATUS)}


def sample(name: str) -> Mapping[str, Any]:
    """Return plausible facts for the mail `name`; raises KeyError for a mail that we do not send."""
    return _FACTS[name]


def sample_draft(name: str, queue: str = "support", language: str = "") -> Draft:
    """Return a plausible draft of the mail `name`, with the headers that DESIGN 3 gives its kind."""
    staff = {"visibility": Visibility.INTERNAL, "circle_to": _CIRCLE_TO, "circle_cc": _CIRCLE_CC}
    customers = {"visibility": Visibility.PUBLIC, "reply_to": ReplyTo.CUSTOMER}
    words = {"auto": Auto.NO, "suppress": Suppress.NONE, "in_reply_to": _ROOT, "references": (_ROOT,)}
    receipt = {"auto": Auto.REPLIED, "suppress": Suppress.ALL, "in_reply_to": "<1@jane.example.com>", "reply_to": ReplyTo.COMMENT}
    told = {"auto": Auto.GENERATED, "suppress": Suppress.ABSENCES, "references": (_ROOT,)}
    request = {"headers": {"X-RTMail-Request": "1042"}}
    due = {"headers": {**request["headers"], "X-RTMail-Priority": "P2", "X-RTMail-Status": "open", "X-RTMail-Due": "2026-11-23T15:00:00Z"}}
    heard = {**staff, **words, **request, "author": "Bob Roe", "reply_to": ReplyTo.CORRESPONDENCE}
    picture = {"suppress": Suppress.ABSENCES, "reply_to": ReplyTo.COMMENT, "number": 0, "event": 0, "urgency": 2}
    kinds: dict[str, dict[str, Any]] = {
        "acknowledgement": {"to": _CUSTOMER, **customers, "auto": Auto.REPLIED, "in_reply_to": _ROOT, "references": (_ROOT,)},
        "opened": {"to": _ENGINEER, **heard, "in_reply_to": ""},
        "notice": {"to": _ENGINEER, **heard},
        "numbered": {"to": _CUSTOMER, **customers, "in_reply_to": "<1@jane.example.com>", "references": ("<1@jane.example.com>",)},
        "words": {"to": _CUSTOMER, **customers, **words, "author": "Jane Doe", "circle_cc": _CIRCLE_CC},
        "fixed": {"to": _CUSTOMER, **customers, **words, "author": "Jane Doe"},
        "relayed": {"to": _COPIED, **customers, **words, "author": "Bob Roe", "circle_to": _CIRCLE_TO},
        "comment": {"to": _MANAGER, **staff, **words, **request, "author": "Jane Doe", "reply_to": ReplyTo.COMMENT},
        "handed-over": {"to": _MANAGER, **staff, **words, **request, "author": "Jane Doe", "reply_to": ReplyTo.COMMENT},
        "state": {"to": _MANAGER, **staff, **request, "author": "Jane Doe", "references": (_ROOT,), "reply_to": ReplyTo.COMMENT},
        "receipt": {"to": _ENGINEER, **staff, **receipt},
        "answer": {"to": _CUSTOMER, **customers, "auto": Auto.REPLIED, "in_reply_to": _ROOT, "references": (_ROOT,)},
        "asked": {"to": _ENGINEER, **staff, **receipt},
        "held": {"to": _ENGINEER, **staff, **receipt, "number": 0, "event": 0, "in_reply_to": ""},
        "held-expired": {"to": _MANAGER, **staff, **told, "reply_to": ReplyTo.COMMENT, "number": 0, "event": 0, "references": ()},
        "junk": {"to": _ENGINEER, **staff, **picture},
        "private": {"to": _MANAGER, **staff, **told, **request, "references": (), "reply_to": ReplyTo.COMMENT, "urgency": 0},
        "private-told": {"to": _CUSTOMER, **customers, "auto": Auto.REPLIED, "in_reply_to": _ROOT, "references": (_ROOT,)},
        "too-large": {"to": _CUSTOMER, **customers, "auto": Auto.REPLIED, "in_reply_to": _ROOT, "references": (_ROOT,)},
        "received": {"to": _STRANGER, **customers, "auto": Auto.REPLIED, "null_sender": True, "number": 0, "event": 0,
                     "in_reply_to": "<9@elsewhere.example>", "reply_to": ReplyTo.PLAIN},
        "undeliverable": {"to": _ENGINEER, **staff, **receipt, "in_reply_to": _ROOT},
        "admin-notice": {"to": _ADMIN, **staff, "queue": "", "number": 0, "event": 0},
        "canary": {"to": Recipient(0, "support@example.com", "", staff=True), **staff, "subject": "Canary", "queue": "", "number": 0,
                   "event": 0},
        "nudge": {"to": _ENGINEER, **staff, **told, **due, "reply_to": ReplyTo.CORRESPONDENCE, "urgency": 0},
        "wait-over": {"to": _ENGINEER, **staff, **told, **due, "reply_to": ReplyTo.CORRESPONDENCE},
        "unowned": {"to": _ENGINEER, **staff, **told, **due, "reply_to": ReplyTo.CORRESPONDENCE, "urgency": 0},
        "holding-update": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "missed": {"to": _ENGINEER, **staff, **told, **due, "reply_to": ReplyTo.COMMENT, "urgency": 0},
        "escalation": {"to": _MANAGER, **staff, **told, **due, "reply_to": ReplyTo.COMMENT, "urgency": 0},
        "bundle": {"to": _MANAGER, **staff, **told, "references": (), "reply_to": ReplyTo.COMMENT, "number": 0, "event": 0,
                   "subject": "5 requests need attention"},
        "folded": {"to": _ENGINEER, **staff, **told, "references": (), "reply_to": ReplyTo.PLAIN, "number": 0, "event": 0,
                   "subject": "14 mails without a notice of their own"},
        "daily": {"to": _MANAGER, **staff, **picture},
        "weekly": {"to": _MANAGER, **staff, **picture},
        "page": {"to": _PAGER, **staff, **told, "reply_to": ReplyTo.COMMENT, "urgency": 0},
        "closed": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "incident": {"to": _CUSTOMER, **customers, "subject": "Printing is slow"},
        "maintenance": {"to": _CUSTOMER, **customers, "subject": "New print server", "calendar": Entry(
            Method.REQUEST, "maintenance-1042@example.com", 0, _at(21, day=28), _at(2, day=29), "New print server")},
        "incident-over": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "alias": {"to": _CUSTOMER, **customers, "in_reply_to": _ROOT, "references": (_ROOT,)},
        "closing": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "form": {"to": _CUSTOMER, **customers, "auto": Auto.REPLIED, "in_reply_to": _ROOT, "references": (_ROOT,)},
        "asking": {"to": _CUSTOMER, **customers, **words, "author": "Jane Doe"},
        "reminder": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "unanswered": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "statement": {"to": Recipient(0, "billing@acme.example", "", staff=False), **customers, "reply_to": ReplyTo.PLAIN, "number": 0,
                      "event": 0, "subject": "", "urgency": 2},
        "prepared": {"to": _CUSTOMER, **customers, "auto": Auto.REPLIED, "references": (_ROOT,)},
        "appealed": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "priority-told": {"to": _CUSTOMER, **customers, "references": (_ROOT,)},
        "promised": {"to": _CUSTOMER, **customers, **words, "author": "Jane Doe", "urgency": 0},
        "undelivered": {"to": _ENGINEER, **staff, **told, **due, "reply_to": ReplyTo.COMMENT, "urgency": 0},
    }
    chosen = {"queue": queue, "subject": "Printer down", "number": 1042, "event": 7, **kinds[name]}
    reader: Recipient = chosen.pop("to")
    to = Recipient(reader.person, reader.address, reader.name, reader.staff, language)
    return Draft(template=name, to=to, facts=sample(name), links=_LINKS.get(name, ()), **chosen)
