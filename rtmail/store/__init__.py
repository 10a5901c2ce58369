"""The store: SQLite or PostgreSQL behind one interface, and the only SQL (DESIGN 6).

Ingress puts mail into the spool, the engine turns it into tickets, events and outgoing mail in one transaction, egress
takes the outbox away. Each part below says what it keeps; rows leave as frozen values.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rtmail.store.absences import Absences
from rtmail.store.bundles import Bundles
from rtmail.store.caps import Caps
from rtmail.store.copying import Copies, NotEmpty
from rtmail.store.customers import Customers
from rtmail.store.database import writes
from rtmail.store.erasing import Erasing
from rtmail.store.facts import Age, Ages, Facts, Pausable, Pause, Serving
from rtmail.store.faults import (
    Again,
    Conflict,
    Damaged,
    LeaseLost,
    NotThere,
    RowKept,
    RungTaken,
    SchemaError,
    StoodStill,
    StoreFailed,
    Unusable,
)
from rtmail.store.figures import Due, Figures, Flight
from rtmail.store.forgetting import Forgetting
from rtmail.store.history import History, MovedMail, MovedTicket, Print
from rtmail.store.holds import Held, Hold, Holds
from rtmail.store.junk import Junk
from rtmail.store.ledger import Entry, Ledger, Origin
from rtmail.store.mailboxes import UNFINISHED, AsideRow, Mailboxes, MailboxRow, MailState
from rtmail.store.outbox import Fate, Outbox, OutboxItem, OutboxRow
from rtmail.store.parties import Parties, Party
from rtmail.store.policies import Policies, PolicyVersion
from rtmail.store.promises import Promises
from rtmail.store.references import Linked, References
from rtmail.store.spool import (
    Audit,
    Duplicate,
    First,
    Outcome,
    SameIdOtherPrint,
    Settlement,
    SpoolItem,
    SpoolRow,
)
from rtmail.store.spool_writer import SpoolWriter
from rtmail.store.tickets import Content, LinkKind, Rung, TicketLink, TicketSummary
from rtmail.store.values import length, micros
from rtmail.store.writeback import WriteBack

__all__ = [
    "UNFINISHED", "Again", "Age", "Ages", "AsideRow", "Audit", "Conflict", "Content", "Damaged", "Due", "Duplicate", "Entry", "Fate",
    "First", "Flight",
    "Held", "Hold", "LeaseLost", "LinkKind", "Linked", "MailState", "MailboxRow", "MovedMail", "MovedTicket",
    "NotEmpty", "NotThere", "Origin", "OutboxItem",
    "OutboxRow", "Outcome", "Party", "Pausable", "Pause", "PolicyVersion", "Print", "RowKept", "Rung", "RungTaken", "SameIdOtherPrint",
    "SchemaError", "Serving", "Settlement", "SpoolItem", "SpoolRow", "SpoolWriter", "StoodStill", "Store", "StoreFailed", "TicketLink",
    "TicketSummary", "Unusable", "WriteBack",
]


class Store(
    History, Customers, Parties, Erasing, Forgetting, Ledger, Outbox, Bundles, Holds, Junk, Mailboxes,
    Caps, Policies, Absences, Promises, Facts, Figures, References, Copies,
):  # fmt: skip
    """All of it. `open()` first; then any thread may call, inside `transaction()` or outside."""

    @writes
    def take_back(self, owner: str = "") -> int:
        """End all claims of `owner`, as it starts again after a crash; of everyone where one daemon owns the store ("").

        A mail of the spool that was claimed alone keeps its attempt: what it was worked on with, died of it or beside it. Of
        several nobody knows which one it was; none is blamed, and the highest spool id of them is returned (0 for none): up to
        there mails are to be claimed one by one. The next claim has a new fence: an owner that lives after all cannot settle.
        """
        whose, values = ("AND owner = ?", (owner,)) if owner else ("", ())
        claimed = self._rows(f"SELECT id FROM spool WHERE outcome = '' AND lease_until > 0 {whose}", values)
        several = len(claimed) > 1
        self._do(f"UPDATE spool SET lease_until = 0, attempts = attempts - ? WHERE outcome = '' AND lease_until > 0 {whose}",
                 (int(several), *values))
        self._do(f"UPDATE outbox SET lease_until = 0 WHERE state = 'waiting' AND lease_until > 0 {whose}", values)
        self._do(f"UPDATE ticket SET sweep_until = 0 WHERE wake_at IS NOT NULL AND sweep_until > 0 {whose.replace('owner', 'sweep_owner')}",
                 values)
        return max(id_ for (id_,) in claimed) if several else 0

    @writes
    def set_back(self, by: timedelta, now: datetime) -> int:
        """Bring forward what was put off, as the clock was set back by `by` since; return how many mails. What was put off before it was
        ahead is tried early."""
        return sum(
            self._do(f"UPDATE {table} SET due_at = due_at - ? WHERE {waits} AND due_at > ?", (length(by), micros(now)))
            for table, waits in (("spool", "outcome = ''"), ("outbox", "state = 'waiting'"))
        )
