"""What is kept of one person, handed out or erased. Events stay true: they hold his number, and nothing that tells who that was.

Erased are his words, their mails, all mails to him, the bytes of whatever was sent about requests in which he took part, and his
name and addresses. What others wrote themselves stays theirs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rtmail.desk.ticket import Role, Status
from rtmail.engine import privacy
from rtmail.mail.token import Keyring
from rtmail.store import Fate, NotThere, Party, Store
from rtmail.store.forgetting import ERASED

_LIVE = (Status.NEW, Status.OPEN, Status.WAITING)


@dataclass(frozen=True, slots=True)
class Found:
    """How much there is of a person: requests, words of his, mails in and out; `alone` are numbers of open requests that are his alone."""

    requests: int
    words: int
    received: int
    sent: int
    alone: tuple[int, ...] = ()


def export(store: Store, address: str, *, raw: bool = False) -> Iterator[dict[str, Any]]:
    """Yield what is kept of a person as plain values, himself first; `raw`: the mails as they came, too (base64)."""
    party = store.party_by_address(address)
    if party is not None:
        yield {"kind": "person", "name": party.name, "addresses": list(party.addresses), "organisation": party.organisation,
               "language": party.language}
        for ticket in store.tickets(store.tickets_with(party.id)).values():
            roles = sorted({str(one.role) for one in ticket.participants if one.person == party.id})
            yield {"kind": "request", "number": ticket.number, "subject": ticket.subject, "status": str(ticket.status), "roles": roles,
                   "opened_at": ticket.opened_at.isoformat()}
        numbers = {ticket.id: ticket.number for ticket in store.tickets(store.tickets_with(party.id)).values()}
        for content_id, ticket_id, _ in store.words_of(party.id):
            content = store.content(content_id)
            yield {"kind": "words", "number": numbers.get(ticket_id, 0), "subject": content.subject, "text": content.text,
                   "attachments": [one.name for one in content.attachments]}
    for spool_id in _mails(store, party, address):
        row = store.spool_row(spool_id)
        told: dict[str, Any] = {"kind": "mail", "at": row.arrived_at.isoformat(), "sender": row.envelope.sender, "outcome": row.outcome,
                                "recipients": list(row.envelope.recipients)}
        if raw:
            told["raw"] = base64.b64encode(_bytes(store, row.raw_id)).decode()
        yield told


def count(store: Store, address: str) -> Found:
    """Return how much `erase` would erase."""
    party = store.party_by_address(address)
    number = party.id if party else -1
    tickets = store.tickets(store.tickets_with(number)).values()
    alone = sorted(one.number for one in tickets if one.status in _LIVE and {who.person for who in one.people(Role.REQUESTOR)} == {number})
    return Found(len(tickets), len(store.words_of(number)), len(_mails(store, party, address)), len(store.mails_to(number, address)),
                 tuple(alone))


def erase(store: Store, keyring: Keyring, address: str, now: datetime) -> Found:
    """Erase a person in one transaction. Raises PermissionError for a member of staff, who stands in the config."""
    party = store.party_by_address(address)
    if party is not None and party.staff:
        raise PermissionError(f"{address} is {party.staff} of the staff: take him out of rtmail.toml first")
    found = count(store, address)
    with store.transaction():
        mails = _mails(store, party, address)
        if party is not None:
            for content_id, _, _ in store.words_of(party.id):
                store.erase_content(content_id)
            for ticket_id in store.tickets_with(party.id):
                _erase_in(store, ticket_id, party.id)
        for spool_id in mails:
            privacy.bury(store, keyring, spool_id, now)
            store.forget_holds(spool_id)
        for outbox_id in store.mails_to(party.id if party else -1, address):
            store.drop_outbox(outbox_id, "erasure", now, claimed=True)
            store.erase_outbox_mail(outbox_id)
        for spec in party.addresses if party else (address,):
            store.erase_address(spec)
        if party is not None:
            store.erase_party(party.id)
    store.forget()
    return found


def _erase_in(store: Store, ticket_id: int, party_id: int) -> None:
    """Erase what of a request may quote or name a person: copies that went out, bytes of all mails where it is his, its subject."""
    ticket = store.ticket(ticket_id, lock=True)
    for outbox_id in store.copies_of(ticket_id):
        row = store.by_id(outbox_id)
        if row is not None and row.fate is not Fate.WAITING:
            store.erase_outbox_mail(outbox_id)
    if ticket.requestor is None or ticket.requestor.person == party_id:
        store.erase_subject(ticket_id, ERASED)
        for _, content in store.events(ticket_id):
            if content and not content.erased and content.subject:
                # What others wrote stays; its subject was his.
                store.fill_content(content.id, "", content.text, content.attachments, content.raw_id)
        for row_in in store.spool_of(ticket_id):
            store.erase_copies(row_in.id)
            store.erase_raw(row_in.raw_id)


def _mails(store: Store, party: Party | None, address: str) -> list[int]:
    """Spool ids of a person's mails: those that his words came in, and those that he sent."""
    found = {spool_id for _, _, spool_id in store.words_of(party.id) if spool_id} if party else set()
    addresses = party.addresses if party else (address,)
    for one in addresses:
        found |= {id_ for id_ in store.mails_with(one) if (store.spool_row(id_).envelope.sender or "").lower() == one.lower()}
    return sorted(found)


def _bytes(store: Store, raw_id: int) -> bytes:
    try:
        return store.raw(raw_id)
    except NotThere:
        return b""
