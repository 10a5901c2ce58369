"""Asks the store what the evidence of a mail names: ledger, requests with their survivors, people, outgoing mails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from rtmail.desk.judging.evidence import Evidence, LedgerEntry, Lookups, Origin, RequestFacts, keys, numbers
from rtmail.desk.notes import system_of
from rtmail.desk.outages.about import ABOUT
from rtmail.desk.ticket import Event, EventKind, Participant, Role, Ticket
from rtmail.engine.office import Office
from rtmail.mail import address
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Visibility
from rtmail.store import Entry, LinkKind, Store
from rtmail.store import Origin as Kept

ORIGINS = {Kept.OURS: Origin.OURS, Kept.RECEIVED: Origin.SEEN, Kept.CITED: Origin.REFERENCED}
_INTERNAL = frozenset(
    {
        EventKind.COMMENT,
        EventKind.COMMAND,
        EventKind.ASKED,
        EventKind.TOLD,
        EventKind.DELIVERY,
        EventKind.FORWARDED,
        EventKind.STATUS,
        EventKind.OWNER,
        EventKind.MOVED,
        EventKind.LINKED,
    }
)
"""Events whose mails to staff are answered at the comment address."""
_ANSWERED_TO_CUSTOMERS = frozenset({"nudge", "also-sent", "wait-over"})
"""Of what staff are told, these are answered with words to the customer."""
_WORDS, _HITS = 6, 50
"""So many words of a subject are looked for, and so many requests with each."""
_PASSED_ON = frozenset({EventKind.OPENED, EventKind.CORRESPONDENCE})
"""Events whose words the whole circle gets."""


def look_up(store: Store, office: Office, evidence: Evidence) -> tuple[Lookups, dict[int, Ticket]]:
    """Return what matching needs, and the tickets that were loaded for it by number."""
    wanted = keys(evidence)
    entries = store.find(wanted.message_ids) if wanted.message_ids else []
    outbox = {outbox_id: row.ticket for outbox_id in wanted.outbox_ids if (row := store.by_id(outbox_id)) and row.ticket}
    by_id = store.tickets({entry.ticket for entry in entries} | set(outbox.values()))
    ledger: dict[str, tuple[LedgerEntry, ...]] = {}
    for entry in entries:
        if ticket := by_id.get(entry.ticket):
            one = LedgerEntry(ticket.number, ORIGINS[entry.origin], is_internal(store, entry))
            ledger[entry.message_id] = (*ledger.get(entry.message_id, ()), one)
    named = {outbox_id: by_id[ticket_id].number for outbox_id, ticket_id in outbox.items() if ticket_id in by_id}
    tickets = {ticket.number: ticket for ticket in by_id.values()}
    load(store, tickets, numbers(evidence, ledger, named))
    parties = {spec: party.id for spec, party in store.parties_by_address(wanted.addresses).items()}
    _answered_before(store, office, evidence, parties, tickets)
    requests = {number: facts_of(office, ticket) for number, ticket in tickets.items()}
    return Lookups(ledger=ledger, requests=requests, parties=parties, outbox=named), tickets


def _answered_before(store: Store, office: Office, evidence: Evidence, parties: Mapping[str, int], tickets: dict[int, Ticket]) -> None:
    """Let who answers what was told of an incident once more reach the request that his first answer became."""
    if any(one.detail and one.detail.action in (Action.MUTE, Action.UNMUTE) for one in evidence.details):
        return
    identity = evidence.mail.identity
    party = parties.get(address.key(identity), 0) if identity and office.directory.staff(identity) is None else 0
    for incident in [ticket for ticket in tickets.values() if ticket.fields.get(ABOUT)] if party else ():
        mine = store.linked_to(incident.id, LinkKind.INCIDENT, requestor=party, limit=1)
        if mine:
            tickets.setdefault(mine[0].number, mine[0])
            tickets[incident.number] = replace(incident, merged_into=mine[0].number)


def lives_on(store: Store, ticket: Ticket, *, lock: bool = False) -> Ticket:
    """Return the request that one was merged into, and that one, and so on; itself where it was not. `lock` locks those on the way."""
    seen: set[int] = set()
    while ticket.merged_into and ticket.number not in seen and (found := store.by_number(ticket.merged_into, lock=lock)):
        seen.add(ticket.number)
        ticket = found
    return ticket


def survivor(store: Store, number: int) -> Ticket | None:
    """Return a request by its number, locked; for one that was merged, its survivor. None for none, or 0."""
    found = store.by_number(number, lock=True) if number else None
    return lives_on(store, found, lock=True) if found else None


def linked(store: Store, refs: Iterable[str]) -> list[Ticket]:
    """Return the requests that are linked with any of these bugs, those that they were merged into in their place, by number."""
    ids = {ticket_id for ref in refs for ticket_id in store.by_outside_ref(system_of(ref), ref)}
    # In the order of their numbers, so that two who lock them never wait for each other.
    found = (survivor(store, number) for number in sorted(ticket.number for ticket in store.tickets(ids).values()))
    return sorted({ticket.number: ticket for ticket in found if ticket}.values(), key=lambda ticket: ticket.number)


def alike_bugs(store: Store, ticket: Ticket) -> tuple[str, ...]:
    """Return bugs that hang on requests with at least half of the longer words of this one's subject, the closest first, at most three."""
    words = sorted({word for word in ticket.subject.lower().split() if len(word) > 3}, key=lambda word: (-len(word), word))[:_WORDS]
    shared = Counter(one for word in words for one in {hit.ticket for hit in store.search(word, _HITS)} if one != ticket.id)
    near = {one: count for one, count in shared.items() if 2 * count >= len(words)}
    bugs = store.linked_with(near, _HITS)
    return tuple(bug.ref for bug in sorted(bugs, key=lambda bug: -max(near.get(one, 0) for one in bug.tickets))[:3])


def load(store: Store, tickets: dict[int, Ticket], wanted: Iterable[int]) -> None:
    """Load requests by number, and those that they were merged into."""
    missing = [number for number in wanted if number not in tickets]
    while missing:
        found = [ticket for number in missing if (ticket := store.by_number(number))]
        tickets.update({ticket.number: ticket for ticket in found})
        missing = [ticket.merged_into for ticket in found if ticket.merged_into and ticket.merged_into not in tickets]
    for ticket in list(tickets.values()):
        if ticket.merged_into and ticket.merged_into not in tickets:
            load(store, tickets, [ticket.merged_into])


def is_internal(store: Store, entry: Entry) -> bool:
    """Tell whether our mail with this id was among staff: an answer to it at the public address is asked about, not sent."""
    if entry.origin is not Kept.OURS:
        return False
    found = store.event(entry.ticket, entry.event)
    if found is not None and found.kind is EventKind.TOLD and found.facts.get("notice") in _ANSWERED_TO_CUSTOMERS:
        return False
    return found is not None and (found.kind in _INTERNAL or (found.kind is EventKind.CORRESPONDENCE and bool(found.facts.get("by_staff"))))


def heard(store: Store, ticket: Ticket, answered: int) -> str:
    """Return the customer's words in the mail about event `answered`, and his latest, where everybody in the circle has them."""
    latest = store.last_words(ticket.id, by_staff=False)
    found = [latest] if latest else []
    event = store.event(ticket.id, answered) if answered else None
    if event and event.content_id and not (latest and latest[0].seq == event.seq):
        found.append((event, store.content(event.content_id)))
    return "\n".join(
        content.text
        for event, content in found
        if event.kind in _PASSED_ON
        and event.visibility is Visibility.PUBLIC
        and not content.erased
        and _everybody_has(store, ticket, event)
    )


def _everybody_has(store: Store, ticket: Ticket, words: Event) -> bool:
    """Tell whether nobody of the circle joined after these words; who joined by the same mail got it."""
    known_until = words.seq
    for event, _ in store.events(ticket.id, after=words.seq):
        if event.kind is not EventKind.JOINED or event.seq != known_until + 1:
            break
        known_until = event.seq
    return all(one.since <= known_until for one in ticket.people(Role.CC))


def facts_of(office: Office, ticket: Ticket) -> RequestFacts:
    """Return what judging needs to know of a request."""
    policy = office.policy(ticket.policy_version)
    status_at = ticket.status_at or ticket.opened_at
    requestor = ticket.requestor
    organisation = office.directory.organisation_of(requestor.address) if requestor and requestor.address else None
    reopen_until = policy.reopen_within.after(status_at, policy.hours(policy.close_calendar))
    revoked = {int(party): _day(value) for party, value in (ticket.fields.get("revoked") or {}).items()}
    return RequestFacts(
        number=ticket.number,
        queue=ticket.queue,
        status=ticket.status,
        status_at=status_at,
        subject=ticket.subject,
        participants=_with_owner(office, ticket),
        removed=ticket.removed,
        merged_into=ticket.merged_into,
        organisation=organisation.key if organisation else "",
        reopen_within=reopen_until - status_at,
        revoked=revoked,
        notice=bool(ticket.fields.get(ABOUT)) and not ticket.merged_into,
    )


def _with_owner(office: Office, ticket: Ticket) -> tuple[Participant, ...]:
    owner = office.directory.by_party(ticket.owner) if ticket.owner else None
    return (*ticket.participants, Participant(owner.party, Role.OWNER, owner.email, owner.name)) if owner else ticket.participants


def _day(text: str) -> date:
    return date.fromisoformat(text)
