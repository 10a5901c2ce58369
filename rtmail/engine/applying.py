"""Moves open requests to the current version of their policy, one transaction a request."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime
from itertools import islice

from rtmail.desk.promised.versions import OPEN, Move, applied, moved
from rtmail.desk.ticket import Ticket
from rtmail.engine.keeping import Keeper
from rtmail.engine.office import Office
from rtmail.store import Conflict, Store

_PAGE = 200
_TRIES = 5


def open_tickets(store: Store) -> Iterator[Ticket]:
    """Yield the requests that a policy can still move, by number."""
    listed = store.list_tickets(statuses=OPEN)
    while page := [one.id for one in islice(listed, _PAGE)]:
        yield from store.tickets(page).values()


def home(store: Store, ticket: Ticket, queues: Container[str]) -> str:
    """Return the queue whose policy a request goes by: where it was opened, though it was moved since, while there is such a queue."""
    first = store.opened_in(ticket)
    return first if first in queues else ticket.queue


def apply_policy(store: Store, office: Office, ticket_id: int, now: datetime) -> tuple[Move, ...] | None:
    """Move one request to its policy as it is now; return what moved, None when it runs on that version already.

    Raises Conflict when others keep working on the request.
    """
    keeper = Keeper(store, office)

    def job() -> tuple[Move, ...] | None:
        ticket = store.ticket(ticket_id, lock=True)
        version, policy = office.current_policy(home(store, ticket, office.directory.queues))
        if version == ticket.policy_version or ticket.status not in OPEN:
            return None
        decision = applied(policy, version, ticket, now, office.house)
        keeper.keep(decision, now)
        return moved(ticket.clocks, decision.ticket.clocks)

    for _ in range(_TRIES - 1):
        try:
            return store.run(job)
        except Conflict:
            continue
    return store.run(job)
