"""What was said among staff that an engineer's answer may repeat: on its request, on those it cites, and wherever its words are known from.

Asked by `intake` for each answer that may go to a customer; `desk.echo` compares. All is bounded: so many latest words of a request, so
many other requests, and a few look-ups in the index of words, however much the store holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtmail.desk.grammar.arguments import Argument
from rtmail.desk.grammar.commands import Parsed
from rtmail.desk.grammar.registry import SPECS
from rtmail.desk.judging import echo
from rtmail.desk.judging.match import Result, Verdict
from rtmail.desk.outages import incidents
from rtmail.desk.ticket import Event, EventKind, Ticket
from rtmail.desk.wording import Said
from rtmail.engine.holding import STAFF_CLAIM
from rtmail.engine.office import Office
from rtmail.mail.model import Mail
from rtmail.mail.token import read_message_id
from rtmail.mail.writing.draft import Visibility
from rtmail.store import Store

AMONG_STAFF = frozenset({EventKind.COMMENT, EventKind.FORWARDED, EventKind.OUTSIDE})
HELD_WORDS = 4000
"""Characters of a held mail that are kept for comparing."""
_COMPARED = 300
"""So many of the latest words of each kind are compared."""
_OTHERS = 5
"""So many other requests are looked at as a whole."""
_CITED = 20
_SAYING = frozenset({Result.STAFF_CORRESPONDENCE, Result.STAFF_TO_US, Result.CORRESPONDENCE})
_SHOWN = frozenset({"field", *incidents.OPENS, *(spec.name for spec in SPECS if spec.shown or spec.argument is Argument.ADDRESSES)})
"""Commands whose words the customer reads, or may."""


def overheard(store: Store, office: Office, verdict: Verdict, mail: Mail, ticket: Ticket | None, parsed: Parsed) -> Said:
    """Return what a mail must not carry to the customer, and what he may know; nothing for one that says nothing to him.

    An answer of staff does, also on what they asked for themselves, and a command whose words he reads, by whichever address it
    comes; without a `ticket`, one that opens a request, for everybody affected or who takes part later.
    What waits as a colleague's words, whom nothing proves, is no public word either; his own are no secret of his.
    """
    says = verdict.result in _SAYING or any(command.name in _SHOWN for command in parsed.commands)
    if not verdict.sender.staff or not says:
        return Said()
    shown = "\n".join((mail.reply_text, _values(parsed), mail.written))
    said = _said(store, ticket.id if ticket else 0, shown, _cited(office, mail, ticket.number if ticket else 0), verdict.sender.party)
    return replace(said, files=_files(store, ticket.id, verdict.sender.party)) if ticket and mail.attachments else said


def at_the_shell(store: Store, ticket_id: int, parsed: Parsed, words: str = "") -> Said:
    """Return the same for what is written at the shell: lines of commands, and words for everybody affected."""
    if not words.strip() and not any(command.name in _SHOWN for command in parsed.commands):
        return Said()
    return _said(store, ticket_id, f"{_values(parsed)}\n{words}", [], 0)


def _values(parsed: Parsed) -> str:
    """What follows the commands that somebody reads, without their keys: these would hide a line of a colleague's."""
    return "\n".join(command.value for command in parsed.commands if command.name in _SHOWN)


def _said(store: Store, ticket_id: int, shown: str, cited: Sequence[int], author: int) -> Said:
    internal, public = _on(store, ticket_id)
    known: list[str] = []
    for number in cited:
        if other := store.by_number(number):
            said, there = _on(store, other.id)
            internal, known = internal + said, known + there
    claims = store.holds_waiting(kind=STAFF_CLAIM, latest=True, limit=_COMPARED)
    internal += [str(hold.details.get("words", "")) for hold in claims if hold.person != author]
    elsewhere: dict[int, str] = {}
    for other_id, text in store.texts_with(echo.pieces(shown, public), sorted(AMONG_STAFF), ticket_id):
        elsewhere[other_id] = f"{elsewhere.get(other_id, '')}\n{text}"
    for other_id in list(elsewhere)[:_OTHERS]:
        known += _on(store, other_id)[1]
    return Said(tuple(internal), tuple(public), tuple(elsewhere.values()), tuple(known))


def _files(store: Store, ticket_id: int, author: int) -> frozenset[str]:
    """Digests of the files that others attached on a request for staff alone; pictures within a text are often a signature's."""
    inside, public = set[str](), set[str]()
    for event, content in store.events(ticket_id):
        for one in content.attachments if content and not content.erased else ():
            if not _among_staff(event):
                public.add(one.sha256)
            elif event.actor != author and one.bytes and not one.inline:
                inside.add(one.sha256)
    return frozenset(inside - public)


def _cited(office: Office, mail: Mail, number: int) -> list[int]:
    """The other requests whose mails it answers or refers to."""
    ids = (read_message_id(office.keyring, one, office.site.domain) for one in (*mail.in_reply_to, *mail.references[-_CITED:]))
    return sorted({other for other, _ in filter(None, ids)} - {0, number})[:_OTHERS]


def _among_staff(event: Event) -> bool:
    """Tell whether words are for staff alone: also with which they opened a request, and what they filled in, for themselves."""
    kept = event.kind in (EventKind.FIELD, EventKind.OPENED) and event.visibility is Visibility.INTERNAL
    return event.kind in AMONG_STAFF or kept


def _on(store: Store, ticket_id: int) -> tuple[list[str], list[str]]:
    """The latest words on one request: those among staff, and those that its participants have."""
    log = [(_among_staff(event), content) for event, content in store.events(ticket_id) if content and not content.erased]
    internal = [content.text for inside, content in log if inside]
    public = [text for inside, content in log if not inside for text in (content.subject, content.text)]
    return internal[-_COMPARED:], public[-_COMPARED:]
