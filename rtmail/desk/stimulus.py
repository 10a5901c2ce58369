"""What can happen to a ticket: a mail arrives, time passes, somebody commands, a sent mail meets its fate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rtmail.desk.decision import Words
from rtmail.desk.grammar.commands import Parsed
from rtmail.desk.judging.match import Verdict
from rtmail.desk.known import Known
from rtmail.desk.outages.about import Plan
from rtmail.desk.people import Person
from rtmail.desk.ticket import Event
from rtmail.desk.wording import NOTHING_SAID, Said
from rtmail.mail.model import Attachment, Cut, Mail
from rtmail.mail.writing.draft import AttachmentRef, Recipient


@dataclass(frozen=True, slots=True)
class CameBack:
    """A mail of ours that an automatic answer came back for: its template, the event it was about, and whom it was to."""

    template: str
    about: Event
    person: int


class Question(StrEnum):
    """How the closing question stood in the mail that its requestor answers."""

    ALONE = "alone"
    """Nothing else was asked."""
    BESIDE = "beside"
    """Below an engineer's words, which have no question mark: a yes may be meant for them all the same."""


@dataclass(frozen=True, slots=True)
class Private:
    """What a mail seems to hold (`mail.privacy.private.sorts`), what its queue makes of that, and its redacted subject and words.

    mode  "warn": staff are told | "hold": the content waits | "discard": it is not kept
    """

    sorts: tuple[str, ...]
    mode: str
    subject: str = ""
    text: str = ""

    @property
    def withholds(self) -> bool:
        return self.mode in ("hold", "discard")


@dataclass(frozen=True, slots=True)
class Spoken:
    """Words of staff at the shell for everybody whom an incident affects, and what else is done with it.

    plan  what is opened with them; None: they are about an incident that is open; said: what was said among staff
    """

    person: Person
    words: Words
    at: datetime
    parsed: Parsed = field(default_factory=Parsed)
    plan: Plan | None = None
    shell_user: str = ""
    said: Said = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Slice:
    """The next contacts who are told of an incident, and what: the words of the event that they hear of.

    after  key of the last of them; last: nobody comes after them
    """

    readers: tuple[Recipient, ...]
    after: str
    last: bool
    text: str = ""
    attachments: tuple[AttachmentRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Over:
    """An incident that the request is linked to is over; `told` are the party ids of those who heard of that as contacts."""

    number: int
    title: str
    text: str
    told: frozenset[int]


@dataclass(frozen=True, slots=True)
class Received:
    """A mail was judged.

    raw_id, spool_id  where its bytes are kept and which arrival it was
    at                the time of the event (envelope's arrival, never the Date header)
    parties           `address.key` -> party id of everybody the verdict names: sender, requestor, joins
    parsed            commands and other words of its new text
    answerable        an automatic answer may go out; `withheld` says why not (caps of the loop breaker)
    flagged           its Message-ID was seen before with other words
    confirmed         the author was asked and said yes: it is not asked about again
    chosen            what he chose when he was asked about its words: "released", "written" (with the lines that looked like
                      commands), "commented"; "" for not asked
    came_back         which mail of ours it is the automatic answer to, None for none
    question          how we asked in the mail it answers whether the request is solved; None where it is not known that we did
    answers           event whose mail it answers by its In-Reply-To, 0 where that is not known
    last_answer       the latest public answer of staff, asked for where its author may not have seen it
    reached           `address.key` of every address of those known people whom its To and Cc name
    turn              which request of its queue it would be, counted from 1, where that decides who gets it; else 0
    leak              what internal thing would have gone out with it, found when its copies were rendered; "" for nothing
    said              what was said before, asked for where staff words may go out; nothing where their author confirmed them
    known             what its commands name besides this request
    languages         party id -> the language that he is written to in, where it is known
    problem           (system, id) of the problem that it is a monitoring's first alert of
    private           what it seems to hold that must not lie about; its content is blank here where that waits, or is not kept
    cut               its bytes are the start alone of a mail that is too large; None for all of it
    heard             words of the customer's side that everybody in the circle has: an answer between their lines may quote them
    """

    mail: Mail
    verdict: Verdict
    raw_id: int
    spool_id: int
    at: datetime
    parties: Mapping[str, int]
    parsed: Parsed
    answerable: bool
    withheld: str = ""
    flagged: bool = False
    confirmed: bool = False
    chosen: str = ""
    came_back: CameBack | None = None
    question: Question | None = None
    answers: int = 0
    last_answer: Event | None = None
    reached: frozenset[str] = frozenset()
    turn: int = 0
    leak: str = ""
    said: Said = NOTHING_SAID
    known: Known = field(default_factory=Known)
    heard: str = ""
    private: Private | None = None
    cut: Cut | None = None
    problem: tuple[str, str] = ("", "")
    languages: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """Staff commands that came without words: from the shell, or by an action address.

    strong  the proof suffices for destructive words; answering: Message-ID of the command mail, "" for the shell
    """

    person: Person
    parsed: Parsed
    strong: bool
    answering: str = ""
    shell_user: str = ""
    parties: Mapping[str, int] = field(default_factory=dict)
    known: Known = field(default_factory=Known)
    said: Said = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Delivered:
    """The fate of one outgoing mail: outcome "sent", "deferred" (the first time), "bounced", "failed", "expired", "dropped".

    about  the event it was sent for; text: its words; said: what the other side's server said
    """

    outcome: str
    template: str
    about: Event
    person: int
    recipient: str
    status: str
    said: str
    text: str
    outbox_id: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked about the request, or said what shall become of a mail about it that waits; nothing else follows.

    person  party id; action: what he asked or said, in words of ours; message_id: of his mail
    """

    person: int
    action: str
    message_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LetGo:
    """The content of event `of` waited and is there now: it was released, or redacted.

    word         "release" or "redact"; by: party id of who said so, 0 for the shell
    who, author  its writer, with address and as a name; reached: `address.key` of whom his mail itself went to
    passed_on    the words may go to the other participants
    whole        the text of the mail with its history, where all of it was let through
    fills_in     what they fill in counts: somebody of the customer's side wrote them, believed
    """

    of: int
    word: str
    by: int
    words: Words
    who: str
    author: str
    attachments: tuple[Attachment, ...] = ()
    reached: frozenset[str] = frozenset()
    passed_on: bool = False
    whole: str = ""
    fills_in: bool = False


@dataclass(frozen=True, slots=True)
class Alerted:
    """A monitoring system wrote about a problem that has its request.

    recovered    it is over; on_recovery: what that does ("record" | "resolve" | "close"), where its sender is `believed`
    """

    words: Words
    message_id: str
    at: datetime
    recovered: bool
    on_recovery: str
    believed: bool


@dataclass(frozen=True, slots=True)
class Tracked:
    """A development tracker wrote about a bug that this request is linked with.

    refs      the bugs' numbers; who: the tracker as people read it
    believed  something proves that it was the tracker
    """

    tracker: str
    refs: tuple[str, ...]
    who: str
    words: Words
    message_id: str
    at: datetime
    believed: bool
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class AlsoSent:
    """A mail of this ticket came by a further delivery, to queues that had not heard of it."""

    queues: tuple[str, ...]
    who: str
    text: str
    message_id: str
    at: datetime


Stimulus = Received | Asked | Tick | Commanded | Delivered | AlsoSent | Alerted | Tracked | LetGo | Spoken | Slice | Over
