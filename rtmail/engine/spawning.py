"""Opens the requests that are split off another one, from words that stand there."""

from __future__ import annotations

from datetime import datetime, timedelta

from rtmail.desk.commanded.splitting import split_off
from rtmail.desk.decision import Decision
from rtmail.desk.ticket import Status, Ticket
from rtmail.engine.keeping import Keeper
from rtmail.engine.office import Office
from rtmail.mail.model import Address
from rtmail.store import Origin, Store

_FOR_EVER = timedelta(days=365_000)


def spawn(keeper: Keeper, decision: Decision, kept: Ticket, now: datetime) -> None:
    """Open the requests that a kept decision splits off."""
    for one in decision.spawns:
        _open(keeper, kept, one.seq, one.reason, now)


def next_turn(store: Store, office: Office, queue: str, now: datetime) -> int:
    """Which request of its queue one that opens is, counted where that decides who gets it."""
    in_turn = office.directory.queues[queue].assign == "round-robin"
    return store.count(f"turn:{queue}", now, _FOR_EVER) if in_turn else 0


def _open(keeper: Keeper, ticket: Ticket, seq: int, reason: str, now: datetime) -> None:
    """Open a new request from the words of one event; its clocks start now, the arrival stays shown."""
    store, office = keeper.store, keeper.office
    event = store.event(ticket.id, seq)
    assert event is not None
    content = store.content(event.content_id)
    party = store.party(content.party) if content.party else None
    version, policy = office.current_policy(ticket.queue)
    fresh = Ticket(
        id=0,
        number=store.next_number(),
        queue=ticket.queue,
        subject=content.subject,
        status=Status.NEW,
        opened_at=now,
        policy_version=version,
    )
    decision = split_off(
        policy,
        fresh,
        now,
        office.house,
        source=ticket,
        event=event,
        text=content.text,
        raw_id=content.raw_id,
        spool_id=content.spool_id,
        person=content.party,
        sender=Address(party.address, party.name) if party else Address("", ""),
        language=party.language if party else "",
        reason=reason,
        turn=next_turn(store, office, ticket.queue, now),
    )
    kept = keeper.keep(decision, now, content.attachments)
    if event.message_id:
        store.record(event.message_id, kept.id, 1, Origin.RECEIVED, content.party)
