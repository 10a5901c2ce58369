"""What can happen to a request's clocks, each as a value; `clocks.advance` says what follows.

`at` is the event's own time (IMAP INTERNALDATE, our commit, or a trusted hop's Received; never the Date header, never the
future). `event` is the event's number in the ticket's log, by which a delivery report finds the clock that its mail settled.
When one mail means several signals they are given in the order: CustomerWrote or Answered, StatusChanged, Prioritised,
CadenceSet, Promised; each with the facts as they stand before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rtmail.policy.duration import Duration
from rtmail.policy.rows import Clock, ClockKind, Reach


@dataclass(frozen=True, slots=True)
class Facts:
    """The request as its clocks see it, before the signal.

    priority  "" while untriaged; owner: party id, 0 for nobody; answered: staff wrote to the customer
    cadence   update interval agreed for this request alone, None for the priority's
    moved_in  it came out of an archive or another tracker: what is promised begins with the first words here, not with its opening
    """

    status: str
    opened_at: datetime
    priority: str = ""
    priority_state: str = ""
    owner: int = 0
    cadence: Duration | None = None
    answered: bool = False
    moved_in: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A request began. `acknowledge`: an automatic answer may go out."""

    at: datetime
    event: int = 0
    acknowledge: bool = True


@dataclass(frozen=True, slots=True)
class Prioritised:
    """A priority was set or confirmed. Only staff meet the triage clock.

    since  when it was said, where that was before it is heard at `at`: promises count from then, and whoever is to be told is told now
    """

    at: datetime
    priority: str
    by_staff: bool = True
    event: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """Authenticated staff wrote to the customer; counts from `at`, provisionally until Delivered. `by`: the author's party id."""

    at: datetime
    event: int
    by: int = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The relay accepted the requestor's copy of the answer `event`."""

    at: datetime
    event: int


@dataclass(frozen=True, slots=True)
class Returned:
    """The answer `event` bounced or expired."""

    at: datetime
    event: int


@dataclass(frozen=True, slots=True)
class CustomerWrote:
    """A participant's words. `thanks`: a short thanks, which to a resolved or closed request means nothing."""

    at: datetime
    thanks: bool = False
    event: int = 0


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The status becomes `new`; the facts hold the old one."""

    at: datetime
    new: str
    event: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The customer does not accept the resolution (by link; words are CustomerWrote)."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class ReopenedAfterClosed:
    """A closed request is open again. `by_customer`: he awaits an answer."""

    at: datetime
    by_customer: bool = True
    event: int = 0


@dataclass(frozen=True, slots=True)
class Promised:
    """Staff told the customer when the next word comes ("Next: Fri 15:00")."""

    at: datetime
    due_at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class DueSet:
    """Staff said by when the request is to be solved."""

    at: datetime
    due_at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class CadenceSet:
    """An update interval was agreed for this request; None: the priority's again."""

    at: datetime
    every: Duration | None
    event: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """A member of staff took the request."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class AcknowledgementSent:
    """The acknowledgement `event` went out."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class ManagerAcked:
    """Someone who was told answered "ack"; `until` None: as long as the rung's `ack_for`."""

    at: datetime
    role: str
    until: datetime | None = None
    event: int = 0


@dataclass(frozen=True, slots=True)
class Snoozed:
    """`who` (a role, or "owner") wants no reminder before `until`. A rung's first mail comes all the same."""

    at: datetime
    who: str
    until: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class NoticeFailed:
    """A rung's mail to `role` bounced, or nobody could be found at `reach`: the next one in line hears of it."""

    at: datetime
    generation: int
    rung: int
    role: str
    reach: Reach = Reach.PERSON
    clock: ClockKind = ClockKind.LADDER
    event: int = 0


@dataclass(frozen=True, slots=True)
class Appealed:
    """The customer appeals against the priority."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class AppealDecided:
    """Management set or confirmed the priority."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class ClosingHeld:
    """Automatic closing stops until staff looked."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class ClosingReleased:
    """Staff looked: automatic closing counts on."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """Another request was merged into this one; `clocks` are its rows before they ended."""

    at: datetime
    clocks: tuple[Clock, ...]
    event: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """The request ended without an outcome (rejected, spam, merged away); `how` is kept with each clock."""

    at: datetime
    how: str
    event: int = 0


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """The request moves to the policy that `advance` is called with: what is open runs on its targets from its own start."""

    at: datetime
    event: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""

    at: datetime


Signal = (
    Opened | Prioritised | Answered | Delivered | Returned | CustomerWrote | StatusChanged | Refused | ReopenedAfterClosed | Promised
    | DueSet | CadenceSet | Taken | AcknowledgementSent | ManagerAcked | Snoozed | NoticeFailed | ClosingHeld | ClosingReleased | Merged
    | Ended | PolicyApplied | Appealed | AppealDecided | Tick
)
