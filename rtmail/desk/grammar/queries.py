"""What people ask us by mail: lists, one request, words to look for, the commands there are. The engine answers from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.commands import BY_NAME, SPECS, Command, Parsed
from rtmail.desk.ticket import Role, Ticket
from rtmail.mail.model import Kind, Mail

NAMES = frozenset({"list", "show", "search", "bugs", "fixed", "history", "help"})
_BY_PARTICIPANTS = frozenset({"list", "show", "help", "standing"})


@dataclass(frozen=True, slots=True)
class Query:
    """One question.

    number  of the request for show and history, else 0
    words   what stands behind list, search, bugs, fixed and help
    asker   party id; staff: he sees what staff see, else what a participant may
    """

    name: str
    asker: int
    staff: bool
    number: int = 0
    words: str = ""


def query(command: Command, asker: int, *, staff: bool, number: int = 0) -> Query:
    """Return the question that a command is; `number` is the request's for "status" and where none is named. Raises ArgumentError."""
    numbered = command.name in ("show", "history")
    return Query(
        name="show" if command.name == "standing" else command.name,
        asker=asker,
        staff=staff,
        number=number if command.name == "standing" or not command.value else arguments.number(command.value) if numbered else 0,
        words="" if numbered else " ".join(command.value.split()),
    )


def asked_by_participant(parsed: Parsed, mail: Mail) -> bool:
    """Tell whether a participant's mail is questions and nothing else; whatever else it says makes it his words."""
    if mail.kind is not Kind.REQUEST_OR_REPLY or parsed.words.strip() or parsed.unclear or any(one.by_hand for one in mail.attachments):
        return False
    return bool(parsed.commands) and all(command.name in _BY_PARTICIPANTS for command in parsed.commands)


def stands_alone(parsed: Parsed, subject: str) -> bool:
    """Tell whether such a mail about no request is meant for us: "help" below a subject of its own is somebody's cry for help."""
    names = {command.name for command in parsed.commands}
    plain = "".join(subject.split()).lower()
    return "standing" not in names and ("help" not in names or plain in ("", *_BY_PARTICIPANTS, *BY_NAME["help"].words))


def asked_for(asked: Sequence[Query]) -> str:
    """Return the first question as it would be written: the subject of an answer to a mail that has none."""
    return next((" ".join(filter(None, (one.name, str(one.number or ""), one.words))) for one in asked), "")


def may_see(ticket: Ticket, asker: int, *, contact: bool) -> int | None:
    """Return from which event on a person of the customers' side may see what is public of a request; None: nothing.

    contact  he is a registered contact of its requestor's organisation
    """
    mine = [p for p in ticket.participants if p.person == asker]
    if contact or any(p.role is Role.REQUESTOR for p in mine):
        return 0
    return min((p.since for p in mine if p.role is Role.CC), default=None)


def helped(*, staff: bool, word: str = "") -> list[dict[str, str]]:
    """Return the lines of `help`: an example of each command and what it does; of one alone where `word` names it."""
    chosen = [spec for spec in SPECS if staff or spec.participants]
    plain = "".join(word.split()).replace("-", "").lower()
    named = [s for s in chosen if plain and plain in {"".join(k.split()).replace("-", "").lower() for k in (s.name, *s.keys, *s.words)}]
    if staff:
        return [{"example": spec.example, "help": spec.help} for spec in named or chosen]
    return [{"example": _TO_PARTICIPANTS[s.name][0], "help": _TO_PARTICIPANTS[s.name][1]} for s in named or chosen]


_TO_PARTICIPANTS: Mapping[str, tuple[str, str]] = {
    "list": ("list", "your open requests"),
    "show": ("show 1042", "one of them, with what was said"),
    "standing": ("status", "in an answer to one of our mails: how that request stands"),
    "mute": ("unsubscribe", "in an answer to one of our mails: no more copies of a request that is not your own"),
    "unmute": ("unmute", "likewise: copies of it again"),
    "help": ("help", "these lines"),
}
