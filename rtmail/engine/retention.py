"""What is old enough is erased: bytes of mails, ended requests, quarantine and junk, each by the age that its queue names.

Called once an hour, a bounded number of things each time. Events stay, so that what was promised and done can still be told.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rtmail.desk.received.private import HOLD
from rtmail.engine import privacy
from rtmail.engine.office import Ages, Office, Retention
from rtmail.mail.address import split_detail
from rtmail.mail.token import Keyring
from rtmail.store import Outcome, Store
from rtmail.store.forgetting import ERASED

AT_ONCE = 500
BY = "its age"


def run(store: Store, office: Office, ages: Retention, now: datetime) -> int:
    """Erase what is too old, once an hour; returns how many things."""
    if not store.once(f"retention:{now:%Y-%m-%dT%H}", now, now + timedelta(days=1)):
        return 0
    done = 0
    for queue, age in ages.queues.items():
        if age.closed is not None:
            for ticket_id in store.old_tickets(queue, now - age.closed, AT_ONCE):
                with store.transaction():
                    erase_ticket(store, office.keyring, ticket_id, now)
                done += 1
        if age.raw is not None:
            done += _raws(store, queue, now - age.raw, now)
    done += _aside(store, office, ages, now)
    return done


def withheld(store: Store, ages: Retention, now: datetime) -> list[tuple[int, int]]:
    """Return (number of the request, event) of content that waits for somebody's word longer than its queue keeps what is set aside."""
    found = []
    for queue, age in ages.queues.items():
        if age.quarantine is not None:
            holds = store.holds_waiting(kind=HOLD, held_before=now - age.quarantine, limit=AT_ONCE)
            found += [(int(hold.details["number"]), int(hold.details["of"])) for hold in holds if hold.details.get("queue") == queue]
    return found


def _raws(store: Store, queue: str, before: datetime, now: datetime) -> int:
    """Erase the bytes of old mails. Each week the walk begins anew: not all mails are spooled in the order in which they came in."""
    walk = f"keep_raw:{queue}:{now.isocalendar().week % 2}"
    if store.once(f"retention:{queue}:{now:%G-%V}", now, now + timedelta(days=14)):
        store.mark(walk, 0)
    found = store.old_mails(queue, before, store.marked(walk), AT_ONCE)
    for spool_id in found:
        with store.transaction():
            store.erase_copies(spool_id)
            store.erase_raw(store.spool_row(spool_id).raw_id)
            store.mark(walk, spool_id)
    return len(found)


def _aside(store: Store, office: Office, ages: Retention, now: datetime) -> int:
    done = 0
    shortest = min((age.quarantine for age in ages.queues.values() if age.quarantine is not None), default=None)
    if shortest is not None:
        for spool_id, recipients in store.old_aside(Outcome.QUARANTINED, now - shortest, AT_ONCE):
            known = [own.queue for spec in recipients if (own := split_detail(spec, office.site)[0]) is not None]
            age = ages.queues.get(next(iter(known), ""), Ages()).quarantine or (shortest if not known else None)
            if age is not None and store.spool_row(spool_id).arrived_at < now - age:
                done += _drop(store, spool_id, now)
    if ages.junk is not None:
        done += sum(_drop(store, spool_id, now) for spool_id, _ in store.old_aside(Outcome.JUNK, now - ages.junk, AT_ONCE))
    return done


def _drop(store: Store, spool_id: int, now: datetime) -> int:
    with store.transaction():
        store.drop_spool(spool_id, BY, now)
        store.forget_holds(spool_id)
    return 1


def erase_ticket(store: Store, keyring: Keyring, ticket_id: int, now: datetime) -> None:
    """Erase the words, mails and subject of a request; its events, clocks and people's numbers stay."""
    for _, content in store.events(ticket_id):
        if content and not content.erased:
            store.erase_content(content.id)
            if content.spool_id:
                privacy.bury(store, keyring, content.spool_id, now)
    for outbox_id in store.copies_of(ticket_id):
        store.erase_outbox_mail(outbox_id)
    store.erase_subject(ticket_id, ERASED)
