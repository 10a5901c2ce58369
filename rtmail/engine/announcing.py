"""Works off what is to be told of incidents: a slice of contacts, or of linked requests, in each transaction.

Called by the engine's sweep for a ticket that has something to tell. What a slice does and how far it came commit together, so a
crash repeats nothing and leaves nobody out; between slices whoever waits to write gets his turn.
"""

from __future__ import annotations

from datetime import datetime

from rtmail.desk.audience import refs
from rtmail.desk.decide import decide
from rtmail.desk.outages import about, affected
from rtmail.desk.outages.about import Telling, What
from rtmail.desk.stimulus import Over, Slice
from rtmail.desk.ticket import Ticket
from rtmail.engine.keeping import Keeper
from rtmail.failpoint import failpoint
from rtmail.mail import address
from rtmail.mail.writing.draft import AttachmentRef, Recipient
from rtmail.store import LinkKind

SLICE = 200
"""So many are told in one transaction: some tenths of a second."""


def go_on(keeper: Keeper, ticket: Ticket, now: datetime) -> bool:
    """Tell the next slice, in the caller's transaction, in which `ticket` is locked; tell whether more is left."""
    waiting = about.tellings(ticket.fields)
    if not waiting:
        return False
    telling = waiting[0]
    stimulus = _over(keeper, ticket, telling, now) if telling.what is What.LINKED else _slice(keeper, ticket, telling, now)
    policy = keeper.office.policy(ticket.policy_version)
    kept = keeper.keep(decide(policy, ticket, stimulus, now, keeper.office.house), now)
    failpoint("telling-kept")
    return bool(about.tellings(kept.fields))


def _slice(keeper: Keeper, ticket: Ticket, telling: Telling, now: datetime) -> Slice:
    """The next contacts in the order of their addresses. Whoever has several of these is told at the first."""
    office, store = keeper.office, keeper.store
    found = about.about(ticket.fields)
    assert found is not None
    everybody = affected.contacts(found.affects, office.directory, office.site, but=telling.but)
    ahead = [one for one in everybody if one.key > telling.after]
    chosen, listed = ahead[:SLICE], {one.key for one in everybody}
    readers: list[Recipient] = []
    for one in chosen:
        party = store.party_for(one.spec, one.name, now, organisation=one.organisation, language=one.language, settled=bool(one.language))
        first = min((key for key in map(address.key, party.addresses) if key in listed), default=one.key)
        if first == one.key:
            readers.append(Recipient(party.id, one.spec, one.name or party.name, staff=False, language=party.language))
    text, attachments = _words(keeper, ticket, telling)
    return Slice(tuple(readers), chosen[-1].key if chosen else telling.after, len(ahead) <= SLICE, text, attachments)


def _over(keeper: Keeper, ticket: Ticket, telling: Telling, now: datetime) -> Slice:
    """Tell linked requests; what is left of the incident's own part is to move on."""
    store, office = keeper.store, keeper.office
    found = about.about(ticket.fields)
    assert found is not None
    linked = store.linked_to(ticket.id, LinkKind.INCIDENT, after=int(telling.after), limit=SLICE)
    alone = about.on_page_alone(office.policy(ticket.policy_version), ticket)
    told = () if alone else affected.contacts(found.affects, office.directory, office.site)
    parties = store.parties_by_address([one.spec for one in told]) if linked else {}
    text, _ = _words(keeper, ticket, telling)
    muted = set(ticket.fields.get(about.MUTES) or ())
    over = Over(ticket.number, ticket.subject, text, frozenset(party.id for party in parties.values()) - muted)
    for one in linked:
        locked = store.ticket(one.id, lock=True)
        keeper.keep(decide(office.policy(locked.policy_version), locked, over, now, office.house), now)
    return Slice((), str(linked[-1].id) if linked else telling.after, len(linked) < SLICE)


def _words(keeper: Keeper, ticket: Ticket, telling: Telling) -> tuple[str, tuple[AttachmentRef, ...]]:
    event = keeper.store.event(ticket.id, telling.event)
    content = keeper.store.content(event.content_id) if event and event.content_id else None
    if content is None or content.erased:
        return "", ()
    return content.text, refs(content.attachments, content.raw_id)
