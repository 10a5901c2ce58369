"""What is stored behind a mail, of which a decision has to know: who and what its commands name, what its author answered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rtmail.desk.decision import Words
from rtmail.desk.grammar import commands
from rtmail.desk.judging import thanks
from rtmail.desk.judging.match import Result, Verdict
from rtmail.desk.known import Known, Other, wanted
from rtmail.desk.stimulus import CameBack, Question
from rtmail.desk.ticket import EventKind, Status, Ticket
from rtmail.engine.lookup import alike_bugs, heard, linked, lives_on, survivor
from rtmail.engine.office import Office
from rtmail.mail import address
from rtmail.mail.model import Address, Mail, Proof
from rtmail.mail.token import read_message_id
from rtmail.mail.writing.draft import Visibility
from rtmail.store import NotThere, Origin, Store


class Background:
    """Looks it up for one office."""

    def __init__(self, store: Store, office: Office) -> None:
        self.store, self.office = store, office

    def know(self, parsed: commands.Parsed, ticket: Ticket, person: int, parties: dict[str, int], now: datetime) -> Known:
        """Look up what commands of staff name besides their request; new people get a row, and stand in `parties` as well."""
        asked = wanted(parsed, ticket, person)
        for one in asked.people:
            organisation = self.office.directory.organisation_of(one.spec)
            party = self.store.party_for(one.spec, one.name, now, organisation=organisation.key if organisation else "")
            parties[address.key(one.spec)] = party.id
        others = {number: other for number in asked.numbers if (other := self.other(number))}
        if asked.merged and (merged := self.store.by_number(asked.merged, lock=True)):
            others[asked.merged] = Other(merged, self.office.policy(merged.policy_version))
        bugs: dict[str, tuple[int, ...]] = {}
        for ref in asked.bugs:
            waiting = linked(self.store, [ref])
            bugs[ref] = tuple(one.number for one in waiting)
            others |= {one.number: Other(one, self.office.policy(one.policy_version)) for one in waiting}
        alike = alike_bugs(self.store, ticket) if any(not numbers for numbers in bugs.values()) else ()
        opening, opening_id = self._opening(ticket) if asked.opening else (None, "")
        subject, held = (self._put_away(ticket, seq) for seq in (asked.renamed, asked.filled))
        return Known(others, opening, opening_id, subject, held, self.people(asked.waiting), bugs, alike)

    def _put_away(self, ticket: Ticket, seq: int) -> str:
        """The words of an event that a later one put away, "" for none."""
        event = self.store.event(ticket.id, seq) if seq else None
        return self.store.content(event.content_id).text if event and event.content_id else ""

    def opened_by(self, spool_id: int) -> Ticket | None:
        """The request that the start of a mail, kept as this spool item, opened; for one that was merged, its survivor."""
        try:
            ticket_id = self.store.spool_row(spool_id).ticket
        except NotThere:
            return None
        return survivor(self.store, self.store.ticket(ticket_id).number) if ticket_id else None

    def people(self, ids: Iterable[int]) -> dict[int, Address]:
        """Whom these party ids are, where an address of theirs is known."""
        return {one.id: Address(one.address, one.name) for one in self.store.parties(ids).values() if one.address}

    def other(self, number: int) -> Other | None:
        """Another request by its number; for one that was merged, its survivor."""
        found = survivor(self.store, number)
        return Other(found, self.office.policy(found.policy_version)) if found else None

    def _opening(self, ticket: Ticket) -> tuple[Words | None, str]:
        """The words with which a request was opened, and their Message-ID; none where staff alone may read them."""
        event = self.store.event(ticket.id, 1) if ticket.id else None
        if event is None or not event.content_id or event.visibility is not Visibility.PUBLIC:
            return None, ""
        content = self.store.content(event.content_id)
        if content.erased:
            return None, ""
        words = Words(content.subject, content.text, content.text, content.raw_id, content.spool_id, content.party)
        return words, event.message_id

    def answered(self, verdict: Verdict, mail: Mail) -> int:
        """Return which mail of ours the automatic answer of a member of staff is to, by the id that it names, where mails have no envelope
        sender of their own (VERP); 0 where that does not tell.

        Everybody who got a copy knows its id: where somebody else did, something must prove the sender.
        """
        site, sender = self.office.site, verdict.sender
        own_senders = site.verp and site.detail != "off"
        if verdict.result is not Result.AUTO_REPLY or own_senders or not sender.staff or mail.proof is Proof.DMARC_FAIL:
            return 0
        for message_id in mail.in_reply_to or mail.references[-1:]:
            copies = self.store.by_message_id(message_id)
            row = next((row for row in copies if row.person == sender.party), None)
            if row is None:
                continue
            ticket = lives_on(self.store, self.store.ticket(row.ticket)) if row.ticket else None
            shown = ticket is not None and str(sender.party) in (ticket.fields.get("revoked") or {})
            staff_alone = not shown and all(self.office.directory.by_party(copy.person) for copy in copies)
            if (ticket.number if ticket else None) == verdict.number and (sender.authenticated or staff_alone):
                return row.id
        return 0

    def came_back(self, verdict: Verdict) -> CameBack | None:
        """The mail of ours that an automatic answer came back for."""
        row = self.store.by_id(verdict.outbox_id) if verdict.result is Result.AUTO_REPLY and verdict.outbox_id else None
        about = self.store.event(row.ticket, row.event) if row else None
        return CameBack(row.template, about, row.person) if row and about else None

    def question(self, verdict: Verdict, mail: Mail, ticket: Ticket) -> Question | None:
        """How the present closing question stood in the mail that its requestor answers by its id, or the one that a relay gave it."""
        if verdict.sender.staff or ticket.status not in (Status.RESOLVED, Status.CLOSED):
            return None
        for entry in self.store.find(mail.in_reply_to or mail.references[-1:]):
            copies = self.store.outbox_of(ticket.id, entry.event) if entry.ticket == ticket.id and entry.origin is not Origin.CITED else []
            asked = next((row for row in copies if row.template == "closing" and row.person == verdict.sender.party), None)
            event = self.store.event(ticket.id, entry.event) if asked else None
            stale = asked and ticket.status is Status.RESOLVED and ticket.status_at and asked.created_at < ticket.status_at
            if event is None or stale:
                continue
            if event.kind is EventKind.TOLD:
                return Question.ALONE
            words = self.store.content(event.content_id) if event.content_id else None
            return Question.BESIDE if words and not words.erased and not thanks.asks(words.text) else None
        return None

    def state_answered(self, verdict: Verdict, mail: Mail, ticket: Ticket) -> dict[str, Any]:
        """What an engineer had before him when he answered: the event of the mail he answers, and a later answer of a colleague."""
        if verdict.result not in (Result.STAFF_CORRESPONDENCE, Result.STAFF_COMMENT):
            return {}
        ids = (read_message_id(self.office.keyring, one, self.office.site.domain) for one in mail.in_reply_to)
        answers = next((event for number, event in filter(None, ids) if number == ticket.number), 0)
        if verdict.result is Result.STAFF_COMMENT:
            return {"answers": answers}
        found: dict[str, Any] = {"answers": answers, "heard": heard(self.store, ticket, answers) if "\n>" in mail.reply_text else ""}
        if 0 < answers < ticket.last_public_seq:
            last = self.store.last_words(ticket.id, by_staff=True)
            found["last_answer"] = last[0] if last else None
        return found

    def reached(self, mail: Mail) -> frozenset[str]:
        """Every address of those people whom the mail itself went to."""
        people = self.store.parties_by_address(one.spec for one in (*mail.to, *mail.cc)).values()
        return frozenset(address.key(spec) for party in people for spec in party.addresses)
