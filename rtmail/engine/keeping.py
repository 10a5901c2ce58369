"""Carries out a decision: renders its mails and writes ticket, events, outbox and holds in the transaction of the caller.

Ticket state, events, clocks and rendered mails commit together, or not at all (promise 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rtmail import log
from rtmail.desk.absence import AbsenceChange
from rtmail.desk.decision import Ask, Decision, Entry
from rtmail.desk.grammar.queries import Query
from rtmail.desk.ticket import Event, EventKind, Ticket, threaded
from rtmail.engine import privacy
from rtmail.engine.answering import Answerer
from rtmail.engine.office import Office
from rtmail.failpoint import failpoint
from rtmail.mail import address
from rtmail.mail.model import Attachment, Mail
from rtmail.mail.reading.message import payload
from rtmail.mail.writing.compose import compose
from rtmail.mail.writing.draft import Auto, Draft, Outgoing
from rtmail.mail.writing.form import Forms
from rtmail.policy.rows import Reach
from rtmail.store import Content, LinkKind, Origin, OutboxItem, Rung, Store
from rtmail.store import Entry as LedgerEntry

LARGE_BYTES = 1 << 20
"""Behind so many bytes of mails each is handed to the database as soon as it is made: copies for many readers would fill the memory, and a
server that hears nothing while they are made takes us for dead."""
CITED_AT_MOST = 20
"""Ids from one mail's References that are noted; longer chains repeat what is known."""
JOIN_WITHIN = timedelta(minutes=1)
"""So long a mail that may be joined with others waits at most for the sweep to come to its end; after it goes out alone."""
_TOLD_BY_TIME = frozenset({"nudge", "missed", "escalation", "wait-over", "unowned"})
_LAST_HEARD = frozenset({"nudge", "wait-over", "unowned"})
"""Mails that say when the customer last heard from a person."""
_ANSWERS = frozenset({"receipt", "answer"})
LINKS = {"continues": LinkKind.CONTINUES, "related": LinkKind.RELATED, "split": LinkKind.SPLIT, "merged": LinkKind.MERGED,
          "problem": LinkKind.PROBLEM, "incident": LinkKind.INCIDENT}


class Keeper:
    """Writes decisions to the store for one office."""

    def __init__(self, store: Store, office: Office) -> None:
        self.store, self.office = store, office

    def keep(self, decision: Decision, now: datetime, attachments: tuple[Attachment, ...] = ()) -> Ticket:
        """Write one decision; returns the ticket as stored.

        attachments  of the mail that the decision is about; they are noted with each of its words
        Raises Conflict or RungTaken when the ticket moved on meanwhile, LeakError when a mail would show internal words.
        """
        ask_holds = [self._hold(ask, now) for ask in decision.asks]
        drafts = [self._with_last_words(_for_hold(draft, decision.asks, ask_holds), decision.before.id) for draft in decision.drafts]
        drafts = [_outliving_revoked(draft, decision.ticket, now) for draft in drafts]
        drafts, files = self.answered(drafts, decision.queries, now)
        outgoing = self.render(drafts, now, files)
        entries = _named(decision.entries, drafts, outgoing)
        rows = [(entry.event, content_of(entry, attachments)) for entry in entries]
        rungs = [
            _rung(entry.event)
            for entry in entries
            if entry.event.kind is EventKind.TOLD and entry.event.facts.get("rung")
        ]
        ticket = _joined(decision, entries)
        if decision.before.id:
            self.store.save(decision.before, ticket, rows, wake_at=decision.wake_at, rungs=rungs)
        else:
            ticket = self.store.create(ticket, rows, wake_at=decision.wake_at, rungs=rungs)
        for entry in entries:
            facts = entry.event.facts
            if entry.event.kind is EventKind.TOLD and facts.get("rung") and facts.get("due_at"):
                late = now - datetime.fromisoformat(facts["due_at"])
                log.told(ticket=ticket.number, clock=str(facts["clock"]), rung=int(facts["rung"]), late_seconds=late.total_seconds(),
                         why=str(facts["rule"]))
            if entry.event.kind is EventKind.TOLD and entry.event.facts.get("alarm"):
                what = f"nobody was reached on request #{ticket.number}: {entry.event.facts['rule']}"
                log.alarm(what=what, help=f"rtmail why {ticket.number}")
        self.note_absences(decision.absences, now)
        for person, adopted in decision.adoptions:
            self.store.adopt(person, adopted)
        for kind, number in decision.links:
            other = self.store.by_number(number)
            if other:
                self.store.add_link(ticket.id, other.id, LINKS[kind], 0, now)
        for kind, number in decision.unlinks:
            other = self.store.by_number(number)
            if other:
                self.store.remove_link(ticket.id, other.id, LINKS[kind])
        for system, ref in decision.refs:
            self.store.add_outside_ref(ticket.id, system, ref, now)
        for system, ref in decision.unrefs:
            self.store.remove_outside_ref(ticket.id, system, ref)
        self.post(outgoing, ticket, drafts, now)
        for person, junk in decision.junkers:
            addresses = self.store.party(person).addresses
            if junk:
                self.store.learn_junk(addresses, now)
            else:
                self.store.unlearn_junk(addresses)
        for deed in decision.deeds:
            privacy.carry_out(self.store, self.office.keyring, ticket, deed, now)
        for further in decision.further:
            self.keep(further, now)
        failpoint("decision-kept-before-commit")
        return ticket

    def answered(self, drafts: list[Draft], asked: Sequence[Query], now: datetime) -> tuple[list[Draft], dict[str, bytes]]:
        """Put the answers to questions into the mail to who asked; return with it the files that they enclose."""
        if not asked:
            return drafts, {}
        found = Answerer(self.store, self.office).answer(asked, now)
        return [
            replace(
                draft,
                facts={**draft.facts, "answers": found.answers},
                links=(*draft.links, *found.links),
                attachments=(*draft.attachments, *found.attachments),
            )
            if draft.template in _ANSWERS and draft.to.person == asked[0].asker
            else draft
            for draft in drafts
        ], found.files

    def note_absences(self, changes: Sequence[AbsenceChange], now: datetime) -> None:
        """Write who is away or back."""
        for change in changes:
            if change.absence:
                self.store.set_absence(change.person, change.absence, now)
            else:
                self.store.end_absence(change.person)

    def _hold(self, ask: Ask, now: datetime) -> int:
        return self.store.hold(ask.kind, ask.spool_id, ask.person, ask.reason, ask.facts, now)

    def _with_last_words(self, draft: Draft, ticket_id: int) -> Draft:
        """Mails that time causes show the last words of each side, so that their reader needs nothing else."""
        facts = dict(draft.facts)
        if draft.template == "undelivered" and (staff := self.store.last_words(ticket_id, by_staff=True)):
            event, content = staff
            return replace(draft, facts={**facts, "said_at": event.at, "text": content.text})
        if draft.template == "reminder" and (staff := self.store.last_words(ticket_id, by_staff=True)):
            return replace(draft, facts={**facts, "said_at": staff[0].at, "text": staff[1].text})
        if draft.template not in _TOLD_BY_TIME or not ticket_id:
            return draft
        if customer := self.store.last_words(ticket_id, by_staff=False):
            event, content = customer
            if draft.template == "escalation":
                facts["customer"] = {"at": event.at, "text": content.text}
            else:
                facts |= {"said_at": event.at, "text": content.text}
        if draft.template in _LAST_HEARD and (staff := self.store.last_words(ticket_id, by_staff=True)):
            facts["last_at"] = staff[0].at
        if draft.template == "escalation" and (staff := self.store.last_words(ticket_id, by_staff=True)):
            event, content = staff
            person = self.office.directory.by_party(event.actor)
            facts["staff"] = {"at": event.at, "who": person.name if person else "a colleague", "text": content.text}
        return replace(draft, facts=facts)

    def render(self, drafts: Sequence[Draft], now: datetime, files: Mapping[str, bytes] | None = None) -> list[tuple[int, Outgoing]]:
        """Return outbox ids and bytes for `drafts`; the same raw mail is read once for all copies. Part "" is the whole mail.

        Where they are large, the bytes are in the store already, and no more in what is returned: a request may be told to many.

        files  what drafts enclose that stands in no stored mail (raw id 0), by part
        """
        raws: dict[int, bytes] = {}

        def load(raw_id: int, part: str) -> bytes:
            if not raw_id:
                return (files or {})[part]
            if raw_id not in raws:
                raws[raw_id] = self.store.raw(raw_id)
            return payload(raws[raw_id], part) if part else raws[raw_id]

        ids, forms, held, outgoing = self.store.reserve(len(drafts)), Forms(), 0, list[tuple[int, Outgoing]]()
        for outbox_id, draft in zip(ids, drafts, strict=True):
            mail = compose(draft, now, outbox_id, self.office.workshop, load, forms)
            held += len(mail.raw)
            if held >= LARGE_BYTES:
                self.store.add_bytes(outbox_id, mail.raw)
                mail = replace(mail, raw=b"")
            outgoing.append((outbox_id, mail))
        return outgoing

    def post(self, outgoing: Sequence[tuple[int, Outgoing]], ticket: Ticket | None, drafts: Sequence[Draft], now: datetime) -> None:
        """Put rendered mails into the outbox, their ids into the ledger, and count the automatic answers among them."""
        ticket_id = ticket.id if ticket else 0
        self.store.add_many(
            [
                OutboxItem(
                    id=outbox_id,
                    ticket=ticket_id,
                    event=draft.event,
                    person=mail.person,
                    recipient=mail.recipient,
                    envelope_sender=mail.envelope_sender,
                    raw=mail.raw,
                    message_id=mail.message_id,
                    template=mail.template,
                    urgency=mail.urgency,
                    not_before=now + JOIN_WITHIN if draft.joins else now,
                    expires_at=now + (mail.expires or self.office.retry_for),
                    report=mail.report,
                    joins=draft.joins,
                )
                for (outbox_id, mail), draft in zip(outgoing, drafts, strict=True)
            ],
            now,
        )
        if ticket:
            self.store.record_many(
                [
                    LedgerEntry(mail.message_id, ticket.id, draft.event, Origin.OURS, 0)
                    for (_, mail), draft in zip(outgoing, drafts, strict=True)
                ]
            )
        caps = self.office.caps
        for draft in drafts:
            if draft.auto is Auto.REPLIED and not draft.to.staff:
                self.store.count(f"auto:{address.key(draft.to.address)}", now, caps.window)
                self.store.tally("auto", now, caps.window)


def _rung(event: Event) -> Rung:
    """The step of a ladder that was told; whoever is told after it in another's place, since he was not reached, is a step of his own."""
    facts = event.facts
    clock, reach = str(facts["clock"]), str(facts.get("reach") or Reach.PERSON)
    if reach != Reach.PERSON:
        clock = f"{clock}: {reach} of {', '.join(sorted(set(facts['roles'].values())))}"
    return Rung(clock, int(facts["generation"]), int(facts["rung"]))


def _for_hold(draft: Draft, asks: Sequence[Ask], holds: Sequence[int]) -> Draft:
    """Links of a question are signed for the hold that they settle."""
    for ask, hold in zip(asks, holds, strict=True):
        if draft.template == "asked" and draft.event == ask.facts.get("event"):
            return replace(draft, links=tuple(replace(link, request=hold) for link in draft.links))
    return draft


def _outliving_revoked(draft: Draft, ticket: Ticket, now: datetime) -> Draft:
    """Staff details made on or before a day of revocation are dead; one made anew on that day lives a day longer than those."""
    revoked = (ticket.fields.get("revoked") or {}).get(str(draft.to.person))
    return replace(draft, detail_days=draft.detail_days + 1) if draft.to.staff and revoked == now.date().isoformat() else draft


def _named(entries: Sequence[Entry], drafts: Sequence[Draft], outgoing: Sequence[tuple[int, Outgoing]]) -> list[Entry]:
    """Give events the Message-ID that their mail went out under, where they have none of their own."""
    sent = {draft.event: mail.message_id for draft, (_, mail) in zip(drafts, outgoing, strict=True)}
    return [
        entry
        if entry.event.message_id or entry.event.seq not in sent
        else replace(entry, event=_with_id(entry.event, sent[entry.event.seq]))
        for entry in entries
    ]


def _joined(decision: Decision, entries: Sequence[Entry]) -> Ticket:
    """Return the ticket with the thread that its events make, those among them that were given a Message-ID only here."""
    thread = decision.before.thread
    for entry in entries:
        if entry.event.kind in (EventKind.OPENED, EventKind.CORRESPONDENCE):
            thread = threaded(thread, entry.event.message_id)
    return replace(decision.ticket, thread=thread)


def _with_id(event: Event, message_id: str) -> Event:
    return replace(event, message_id=message_id)


def ids_of(mail: Mail, ticket_id: int, seq: int, person: int) -> list[LedgerEntry]:
    """Return what the ledger keeps of a mail that became event `seq`, sent by party `person`: its own id, and those that it cites."""
    own = [LedgerEntry(mail.message_id, ticket_id, seq, Origin.RECEIVED, person)] if mail.message_id else []
    cited = dict.fromkeys((*mail.in_reply_to, *mail.references[-CITED_AT_MOST:]))
    return own + [LedgerEntry(id_, ticket_id, seq, Origin.CITED, person) for id_ in cited]


def content_of(entry: Entry, attachments: tuple[Attachment, ...]) -> Content | None:
    """Return the words of an entry as they are kept, None for one without."""
    words = entry.words
    if words is None:
        return None
    return Content(
        subject=words.subject,
        text=words.reply_text if entry.event.kind is not EventKind.OPENED else words.text,
        attachments=attachments,
        raw_id=words.raw_id,
        spool_id=words.spool_id,
        party=words.person,
    )
