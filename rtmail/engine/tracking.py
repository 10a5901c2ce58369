"""Mail of a development tracker: a comment on every request that is linked with the bug, by number or by what the mail answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rtmail.desk.decide import decide
from rtmail.desk.judging.match import Result, Verdict
from rtmail.desk.machines.trackers import Note
from rtmail.desk.stimulus import Tracked
from rtmail.engine import breaker, privacy
from rtmail.engine.alerts import believed
from rtmail.engine.keeping import Keeper
from rtmail.engine.lookup import linked, survivor
from rtmail.mail.model import Mail
from rtmail.store import Origin, Outcome, Settlement, SpoolItem

UNTOUCHED = frozenset({Result.LOOP, Result.JUNK, Result.BOUNCE, Result.ADMIN, Result.ADMIN_LOOP, Result.HOLD_STAFF_CLAIM})
"""What these are they are, whoever wrote them."""


def comment(keeper: Keeper, item: SpoolItem, mail: Mail, verdict: Verdict, note: Note, trace: dict[str, Any],
            now: datetime) -> Settlement | None:
    """Record a tracker's mail on the requests that it is about; None where it is about none."""
    store, office = keeper.store, keeper.office
    tickets = linked(store, note.refs)
    if not tickets and verdict.number is not None:
        named = survivor(store, verdict.number)
        tickets = [named] if named else []
    if not tickets:
        return None
    # A tracker whose own notices reach us through a list, or that is told of each comment, answers itself for ever.
    by_sender = breaker.came_from(store, office.caps, verdict, now)
    queues = list(dict.fromkeys(ticket.queue for ticket in tickets))
    sender = verdict.sender.address
    for queue in queues:
        sender = privacy.named(office.directory, queue, sender)
    person = store.party_for(sender.spec, sender.name, now).id
    words, attachments = privacy.of_program(store, office.directory, item, mail, queues, person)
    kept = []
    for ticket in tickets:
        trip = breaker.came_to(store, office.caps, ticket.number, now) or by_sender
        stimulus = Tracked(
            tracker=note.tracker,
            refs=tuple(ref for ref in note.refs if ref in (ticket.fields.get("refs") or ())),
            who=sender.shown,
            words=words,
            message_id=mail.message_id,
            at=min(item.arrived_at, now),
            believed=believed(office, item, mail),
            attachments=attachments,
        )
        decision = decide(office.policy(ticket.policy_version), ticket, stimulus, now, office.house)
        if trip:
            decision = breaker.folded(store, office.caps, decision, trip, now)
            breaker.tell_admin(keeper, trip, now)
        kept.append((keeper.keep(decision, now, attachments), decision.entries[0].event.seq))
    first, seq = kept[0]
    if mail.message_id:
        store.record(mail.message_id, first.id, seq, Origin.RECEIVED, person)
    trace |= {"number": first.number, "rule": "tracker", "tracker": note.tracker, "requests": [ticket.number for ticket, _ in kept]}
    about = ", ".join(note.refs) or f"#{first.number}"
    return Settlement(item, Outcome.EVENT, f"the tracker {note.tracker} about {about}: a comment", first.id, seq, trace)
