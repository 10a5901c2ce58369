"""The commands there are, by name, key and word; and what people write who mean one of them.

`commands` reads lines by these tables. A later command is a row of `SPECS` and its effect in `effects`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from rtmail.desk.grammar.arguments import Argument
from rtmail.desk.people import ENGINEER, MANAGER, PRIVACY


@dataclass(frozen=True, slots=True)
class Spec:
    """One command.

    name          by which effects know it
    keys          what may stand before a colon, compared without case, blanks, "-" and "_"
    words         what may begin a line as a short word, compared likewise
    argument      what follows; `optional` when it may be missing (in the short form only)
    rights        one of these is needed; none: every member of staff
    participants  requestor and Cc may use it too
    destructive   needs DMARC pass or SMTP AUTH (DESIGN 5)
    shown         what follows is read by the customer
    help          one line for `help`; example: a line to copy
    """

    name: str
    argument: Argument
    help: str
    example: str
    keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    optional: bool = False
    rights: frozenset[str] = frozenset({ENGINEER, MANAGER})
    participants: bool = False
    destructive: bool = False
    shown: bool = False


_ANY_STAFF: frozenset[str] = frozenset()

SPECS: tuple[Spec, ...] = (
    Spec("status", Argument.STATUS, "set the status: open, waiting, resolved, closed, rejected", "Status: resolved", ("status",)),
    Spec("owner", Argument.TEXT, "give the request to a colleague, or to nobody", "Owner: jane", ("owner",)),
    Spec("priority", Argument.TOKEN, "set or confirm the priority", "Priority: P2", ("priority", "prio"), ("priority", "prio")),
    Spec("reclassify", Argument.TEXT, "change the priority and tell the customer why", "Reclassify: P3, it works slowly",
         ("reclassify",), shown=True),
    Spec("impact", Argument.TEXT, "what it does to the customer, for the urgency", "impact: data loss", ("impact",)),
    Spec("spread", Argument.TEXT, "whom it hits, for the urgency", "spread: all users", ("spread",)),
    Spec("appeal", Argument.TEXT, "note that the customer appeals against the priority, by telephone say",
         "appeal: he says that nobody can work", ("appeal",)),
    Spec("field", Argument.TEXT, "fill in a field of the request, by its name", "field: Version: 4.2", ("field",)),
    Spec("redirect", Argument.TOKEN, "send a prepared answer", "redirect forum", ("redirect",), ("redirect",)),
    Spec("serve", Argument.NONE, "serve who has no claim to it as a customer", "serve", words=("serve",)),
    Spec("queue", Argument.TOKEN, "move the request to another queue", "Queue: sales", ("queue",)),
    Spec("handover", Argument.TEXT, "hand the request over to another tier, with what was found",
         "hand over tier2: it happens with every file above 2 GB", ("hand-over", "hand-over-to"), ("hand-over",)),
    Spec("subject", Argument.TEXT, "change the subject", "Subject: Printer on floor 2", ("subject",),
         shown=True),
    Spec("due", Argument.INSTANT, "set when the request is due", "Due: Fri 15:00", ("due",), ("due",)),
    Spec("time", Argument.WORKED, "note time worked", "time 30m billable", ("time-worked",), ("time", "time-worked")),
    Spec("addcc", Argument.ADDRESSES, "add a participant", "AddCc: bob@acme.example", ("add-cc", "cc")),
    Spec("delcc", Argument.ADDRESSES, "remove a participant", "DelCc: bob@acme.example", ("del-cc", "remove-cc")),
    Spec("addrequestor", Argument.ADDRESSES, "make somebody the requestor too", "AddRequestor: bob@acme.example", ("add-requestor",)),
    Spec("delrequestor", Argument.ADDRESSES, "take a requestor away", "DelRequestor: bob@acme.example", ("del-requestor",)),
    Spec("related", Argument.NUMBER, "link it with another request", "RefersTo: 17", ("refers-to", "add-refers-to", "related-to"),
         ("related",)),
    Spec("addwatcher", Argument.TEXT, "send copies to a colleague", "AddAdminCc: carl", ("add-admin-cc", "admin-cc", "add-watcher")),
    Spec("delwatcher", Argument.TEXT, "stop a colleague's copies", "DelAdminCc: carl", ("del-admin-cc", "del-watcher")),
    Spec("update-every", Argument.LENGTH, "how often this customer hears of it", "Update-every: 4h", ("update-every",), ("update-every",)),
    Spec("next", Argument.INSTANT, "promise the next update", "next Fri 15:00", ("next", "next-update"), ("next",)),
    Spec("eta", Argument.INSTANT, "say when it will be solved", "eta tomorrow noon", ("eta",), ("eta",)),
    Spec("for", Argument.ADDRESSES, "make this the request of a customer", "for bob@acme.example", ("for", "requestor"), ("for",)),
    Spec("take", Argument.NONE, "become the owner", "take", words=("take", "steal")),
    Spec("untake", Argument.NONE, "give the request back to the queue", "untake", words=("untake",)),
    Spec("resolve", Argument.NONE, "mark it solved and ask the customer", "resolve", words=("resolve",)),
    Spec("wait", Argument.UNTIL, "wait for the customer, or until a day", "wait until Mon 9:00", words=("wait",), optional=True),
    Spec("ask", Argument.TEXT, "ask the customer for something, and wait for it", "ask: log of the gateway", ("ask",),
         shown=True),
    Spec("got", Argument.NUMBERS, "tick what was asked for and is there", "got 1", ("got",), ("got",)),
    Spec("reopen", Argument.NONE, "open it again", "reopen", words=("reopen",)),
    Spec("close", Argument.NONE, "close it without asking", "close", words=("close",)),
    Spec("reject", Argument.NONE, "refuse it", "reject", words=("reject",)),
    Spec("watch", Argument.NONE, "copies of this request for me", "watch", words=("watch",), rights=_ANY_STAFF),
    Spec("unwatch", Argument.NONE, "no more of these copies", "unwatch", words=("unwatch",), rights=_ANY_STAFF),
    Spec("comment", Argument.NONE, "keep the words below among staff", "comment", words=("comment",), rights=_ANY_STAFF),
    Spec("merge", Argument.NUMBER, "make this request part of another", "merge 17", ("merge", "merge-into"), ("merge",), destructive=True),
    Spec("problem", Argument.NUMBER, "this and another request have one cause", "problem 17", words=("problem",)),
    Spec("split", Argument.NONE, "make the latest words from outside their own request", "split", words=("split",)),
    Spec("same", Argument.NUMBER, "these words belong to another request", "same 1042", ("same",), ("same",), optional=True),
    Spec("accept", Argument.PERSON, "let the person from outside, or who stood in Cc, take part", "accept zoe@far.example",
         words=("accept",), optional=True),
    Spec("spam", Argument.NONE, "close it silently as junk", "spam", words=("spam",)),
    Spec("release", Argument.NUMBER, "let withheld content through, of one event or of all", "release", words=("release",), optional=True,
         rights=frozenset({PRIVACY}), destructive=True),
    Spec("redact", Argument.NUMBER, "take private data out, of one event or of all", "redact 1", words=("redact",), optional=True,
         rights=frozenset({PRIVACY}), destructive=True),
    Spec("erase", Argument.NUMBER, "erase withheld content, or that of one event", "erase 1", words=("erase",), optional=True,
         rights=frozenset({PRIVACY}), destructive=True),
    Spec("incident", Argument.TEXT, "open an incident, or link a request to one", "Incident: Mail is slow", ("incident",)),
    Spec("severity", Argument.TOKEN, "how bad an incident is", "Severity: critical", ("severity",)),
    Spec("affects", Argument.TEXT, "whom an incident or a maintenance affects", "Affects: acme, service mail", ("affects", "affected")),
    Spec("maintenance", Argument.TEXT, "plan work; in an answer: start, done or cancel it", "Maintenance: New router", ("maintenance",)),
    Spec("emergency", Argument.TEXT, "plan work without the usual notice", "Emergency: Router fails", ("emergency",)),
    Spec("starts", Argument.INSTANT, "when planned work begins", "Starts: Sat 22:00", ("starts", "begins")),
    Spec("ends", Argument.INSTANT, "when planned work ends", "Ends: Sun 2:00", ("ends",)),
    Spec("bug", Argument.REFERENCE, "link it with a bug, or note its number elsewhere", "bug JIRA-12", ("bug", "reference"), ("bug",)),
    Spec("fixed", Argument.FIXED, "tell everybody who waits for a bug that it is fixed; first you see what they read",
         "fixed JIRA-12 in 4.2", ("fixed",), ("fixed",)),
    Spec("ack", Argument.LENGTH_OR_UNTIL, "I have seen it; stop the reminders", "ack 2h", ("ack",), ("ack", "acknowledge"), optional=True),
    Spec("snooze", Argument.LENGTH_OR_UNTIL, "remind me later", "snooze until Mon 9:00", ("snooze",), ("snooze",)),
    Spec("undo", Argument.NONE, "take back the last command", "undo", words=("undo",)),
    Spec("mute", Argument.NONE, "no more copies of this request", "mute", words=("mute", "unsubscribe"), rights=_ANY_STAFF,
         participants=True),
    Spec("unmute", Argument.NONE, "copies of this request again", "unmute", words=("unmute",), rights=_ANY_STAFF, participants=True),
    Spec("away", Argument.UNTIL, "my deputy stands in for me until then", "away until 2 Dec", ("away",), ("away",), rights=_ANY_STAFF),
    Spec("back", Argument.NONE, "I am here again", "back", words=("back",), rights=_ANY_STAFF),
    Spec("list", Argument.TOKENS, "requests that are open: all, mine, due, of a customer; all with a mark", "list mine", words=("list",),
         optional=True, rights=_ANY_STAFF, participants=True),
    Spec("show", Argument.NUMBER, "one request, whole", "show 1042", ("show",), ("show",), rights=_ANY_STAFF, participants=True),
    Spec("search", Argument.TEXT, "requests with these words", "search printer jam", ("search",), ("search",),
         rights=_ANY_STAFF),
    Spec("bugs", Argument.TEXT, "bugs with these words, and who waits for them; all: list bugs", "bugs login fails", ("bugs",), ("bugs",),
         rights=_ANY_STAFF),
    Spec("history", Argument.NUMBER, "everything that happened to a request", "history 1042", ("history",), ("history",),
         rights=_ANY_STAFF),
    Spec("standing", Argument.NONE, "where this request stands", "status", words=("status",), rights=_ANY_STAFF,
         participants=True),
    Spec("help", Argument.TOKEN, "these lines", "help", words=("help",), optional=True, rights=_ANY_STAFF,
         participants=True),
)

BY_NAME: Mapping[str, Spec] = {spec.name: spec for spec in SPECS}
FREE = frozenset({Argument.TEXT, Argument.TOKEN, Argument.TOKENS})
"""Arguments that almost any words would be."""


def plain(word: str) -> str:
    """Return a key or word as it is compared: without case, blanks, underscores and dashes of any length."""
    return _JOINTS.sub("", word).lower()


_JOINTS = re.compile("[\\s_\\-\u2010-\u2015\u2212]")
KEYS: Mapping[str, Spec] = {plain(key): spec for spec in SPECS for key in spec.keys}
WORDS: Mapping[str, Spec] = {plain(word): spec for spec in SPECS for word in spec.words}
TOPICS = frozenset({*KEYS, *WORDS, *(plain(spec.name) for spec in SPECS)})
"""What `help` can be asked about."""
LISTS = frozenset({"all", "mine", "my", "due", "nobody", "unowned", "new", "bugs"})
"""What `list` knows besides the names of queues, people and customers."""

PROSE_KEYS = frozenset({
    "note", "notes", "ps", "nb", "re", "fw", "fwd", "aw", "wg", "sv", "hi", "hello", "hey", "dear", "update", "fyi", "edit", "todo",
    "question", "answer", "warning", "important", "attention", "summary", "reason", "cause", "step", "steps", "result", "example",
    "error", "from", "to", "sent", "date", "hinweis", "achtung", "frage", "antwort",
})
"""What people write before a colon in ordinary mails."""

MEANT: Mapping[str, str] = {
    **dict.fromkeys(("resolved", "solved", "solve"), "resolve"),
    **dict.fromkeys(("waiting", "stalled", "stall", "pending", "hold", "onhold", "putonhold"), "wait"),
    **dict.fromkeys(("mine", "taken", "grab", "claim", "assign", "assigntome", "assignme", "assignedtome"), "take"),
    **dict.fromkeys(("unassign", "drop"), "untake"),
    **dict.fromkeys(("delete", "junk", "trash"), "spam"),
    **dict.fromkeys(("private", "internal", "intern", "internalnote", "internalcomment", "privatenote", "staffonly", "internalonly",
                     "donotsend", "notforthecustomer"), "comment"),
    **dict.fromkeys(("revert", "rollback"), "undo"),
    "closed": "close", "reopened": "reopen", "rejected": "reject", "merged": "merge 17", "accepted": "accept", "muted": "mute",
    "subscribe": "watch", "commands": "help", "appeal": "appeal: he says that nobody can work",
}
"""Lines by which somebody means a command: what other trackers call it, and what a request is afterwards."""

NOT_HERE: Mapping[str, str] = {
    **dict.fromkeys(("finalpriority", "timeleft", "timeestimated"), ""),
    **dict.fromkeys(("dependson", "dependedonby", "adddependson", "adddependedonby"), "problem 17"),
    **dict.fromkeys(("memberof", "addmemberof", "hasmember", "addhasmember"), "merge 17"),
    **dict.fromkeys(("referredtoby", "addreferredtoby", "delrefersto"), "RefersTo: 17"),
}
"""Keys of RT that mean nothing here, and what comes nearest."""


def closest(written: str, names: Iterable[str]) -> str:
    """Return the one of `names` that `written` is a misspelling of, "" for none.

    Short words need all their letters: "Tim" is no "time" and "Jack" no "ack", but "taek" is "take".
    """
    word = plain(written)
    best, best_ratio = "", 0.8
    for name in names:
        if word[:1] != name[:1].lower():
            continue
        known = plain(name)
        near = len(known) >= 6 or sorted(known) == sorted(word) or (len(known) == 5 and len(word) in (4, 6))
        if word == known or not near or abs(len(word) - len(known)) > 2:
            continue
        # Two neighbours that changed places count as one slip; the ratio alone would count them as two.
        ratio = 1.0 if sorted(known) == sorted(word) else SequenceMatcher(None, word, known).ratio()
        if ratio > best_ratio:
            best, best_ratio = name, ratio
    return best


def spelled(key: str) -> str:
    """Return a key as it is best written: "Status", "AddCc"; as the example of its command where that has one."""
    example, colon, _ = KEYS[key].example.partition(":")
    return example if colon else key.capitalize()
