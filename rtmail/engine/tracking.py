"""Mail of a development tracker: a comment on every request that is linked with the bug, by number or by what the mail answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rtmail.desk.decide import decide
from rtmail.desk.decision import Words
from rtmail.desk.match import Result, Verdict
from rtmail.desk.stimulus import Tracked
from rtmail.desk.trackers import Note
from rtmail.engine.alerts import BELIEVED
from rtmail.engine.keeping import Keeper
from rtmail.engine.lookup import linked, survivor
from rtmail.mail.identity import trusted_peer
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
    sender = verdict.sender.address
    person = store.party_for(sender.spec, sender.name, now).id
    kept = []
    for ticket in tickets:
        stimulus = Tracked(
            tracker=note.tracker,
            refs=tuple(ref for ref in note.refs if ref in (ticket.fields.get("refs") or ())),
            who=f"{sender.name} <{sender.spec}>" if sender.name else sender.spec,
            words=Words(mail.subject, mail.text, mail.reply_text, item.raw_id, item.id, person),
            message_id=mail.message_id,
            at=min(item.arrived_at, now),
            believed=mail.proof in BELIEVED or trusted_peer(item.envelope, office.site),
            attachments=mail.attachments,
        )
        decision = decide(office.policy(ticket.policy_version), ticket, stimulus, now, office.house)
        kept.append((keeper.keep(decision, now, mail.attachments), decision.entries[0].event.seq))
    first, seq = kept[0]
    if mail.message_id:
        store.record(mail.message_id, first.id, seq, Origin.RECEIVED, person)
    trace |= {"number": first.number, "rule": "tracker", "tracker": note.tracker, "requests": [ticket.number for ticket, _ in kept]}
    about = ", ".join(note.refs) or f"#{first.number}"
    return Settlement(item, Outcome.EVENT, f"the tracker {note.tracker} about {about}: a comment", first.id, seq, trace)
