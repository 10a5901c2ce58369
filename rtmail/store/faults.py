"""What can go wrong in the store, as others may see it; no error of peewee or of a driver leaves this wing on purpose."""

# ruff: noqa: N818 -- they name what happened, and the families of rtmail.errors do the same
from __future__ import annotations

from rtmail.errors import EX_CONFIG, Deferred, RtmailError


class StoreFailed(Deferred):
    """The database can no longer be trusted (an fsync failed, a page is damaged): stop and start again, never carry on.

    Peers are told "not now"; `Store.failed` keeps the reason for the daemon (docs/faults.md R5).
    """


class Damaged(StoreFailed):
    """What is stored cannot be read as a database; at the start this is a SchemaError."""


class Again(Deferred):
    """The transaction was undone through nobody's fault: a lost connection, a deadlock, a serialization failure.

    `Database.run` repeats the whole job; who opened the transaction himself repeats it or answers "not now".
    """


class StoodStill(Again):
    """The server ended our session: we said nothing to it for so long, in the middle of a transaction. Once that is nobody's fault, as when
    we were stopped; where it comes again and again with the same work, it is the work that takes so long."""


class RowKept(Deferred):
    """Somebody else's transaction keeps a row that this one needs, for longer than one waits: what goes alone may pass."""


class SchemaError(RtmailError):
    """The database is not one that this program may use: a newer schema, not ours at all, or damaged (exit 78)."""

    exit_code = EX_CONFIG


class Unusable(SchemaError):
    """It is ours and this program cannot use it, damaged or a newer one's: a backup can be put in its place."""


class Conflict(RtmailError):
    """The ticket changed since it was loaded: load it and decide again."""


class RungTaken(RtmailError):
    """This rung of this clock generation was already told (promise 10)."""


class LeaseLost(RtmailError):
    """The claim ran out and someone else holds the row now; what was done with it must not be recorded."""


class NotThere(RtmailError, LookupError):
    """No row with this id."""
