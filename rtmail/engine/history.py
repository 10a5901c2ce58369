"""Takes old mails in: judged as the daemon judges new ones, kept as history, and silent.

Called by `ops.moving` with mails in their order. Many are one transaction; each is settled where it is written, so that nothing of an
archive ever waits in the spool. A mail that is here already, by its bytes or by what it is recognised by, is passed over: taking the
same archive twice, or going on after an interruption, gives the same requests.

What is believed here is not what is believed of new mail (docs/moving-in.md): who hands the archive in vouches for it, so a mail from
a colleague's address counts as his words, unless a server that we trust said that it was not his. Nothing rests on that afterwards:
no command runs, and the ids of such mails open no door to new mail that a stranger's would not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from rtmail.desk.archive import oldmail
from rtmail.desk.commanded.errands import only_errands
from rtmail.desk.decision import Builder
from rtmail.desk.grammar import commands
from rtmail.desk.judging.evidence import Evidence, LedgerEntry, Lookups, bare_of_details, gather, keys, numbers
from rtmail.desk.judging.evidence import Origin as Shown
from rtmail.desk.judging.match import Result, Verdict, judge
from rtmail.desk.judging.sender import outsiders
from rtmail.desk.people import Directory, Person, listed
from rtmail.desk.ticket import Event, Status, Ticket
from rtmail.engine import privacy
from rtmail.engine.intake import trace_of
from rtmail.engine.keeping import LINKS, content_of, ids_of
from rtmail.engine.lookup import ORIGINS, facts_of, is_internal, load
from rtmail.engine.office import Office
from rtmail.engine.reader import ReadFailed
from rtmail.failpoint import failpoint
from rtmail.mail import address
from rtmail.mail.address import split_detail
from rtmail.mail.model import Address, Envelope, Kind, Mail, Proof
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.site import Door
from rtmail.store import Conflict, Content, MovedMail, MovedTicket, Origin, Print, Store
from rtmail.store import Entry as Noted
from rtmail.store.spool import UNDATED_SAME_WITHIN, message_id_key

INGRESS = "archive"
"""How an old mail came in, as its envelope says."""
OLD_NUMBER = "old number"
"""The system under whose name a request keeps the number that it had, where another request has that here."""
COPY_WITHIN = timedelta(hours=1)
"""Words of staff, and the copy of them that the house sent the customer, lie no further apart."""
LEFT_FOR = timedelta(days=400)
"""So long the same archive, taken in once more, leaves what it left."""
_REMEMBERED = 5
_TRIES = 5
_AUTOMATIC = frozenset({Kind.AUTO_REPLY, Kind.MACHINE, Kind.BOUNCE, Kind.REPORT, Kind.LIST})
_OUTSIDE_TABLE = frozenset({Result.LOOP, Result.JUNK, Result.ADMIN, Result.ADMIN_LOOP})


class Became(StrEnum):
    """What an old mail became."""

    OPENED = "opened"
    ADDED = "added"
    HERE = "here"
    """It was here before."""
    NOTED = "noted"
    """An automatic mail of the house, or a copy of words that are here: only its Message-ID is noted."""
    LEFT = "left"
    """No mail of a request."""


@dataclass(frozen=True, slots=True)
class Found:
    """A mail of an archive: its bytes, when it was taken in then, and the number that its thread had.

    place  where it stands, for people; sent: in a folder of sent mail
    key    by which it is known again, in this archive, as one that became nothing
    """

    raw: bytes
    at: datetime
    number: int = 0
    place: str = ""
    sent: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one: the number of its request (0: none), and what was not clear, or why it was left."""

    became: Became
    number: int = 0
    unclear: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an archive is taken in.

    staff         addresses, or "@domain", of people who were of the house when they wrote
    queue         of mails in which no address of ours stands, "" to leave those
    closed_after  a request to which nobody wrote for so long is closed
    source        what requests are marked with
    """

    staff: tuple[str, ...] = ()
    queue: str = ""
    closed_after: timedelta = timedelta(days=30)
    source: str = "archive"


@dataclass(slots=True)
class _Ticket:
    """A ticket under work: as it was (None: new), as it is, and its new rows."""

    before: Ticket | None
    now: Ticket
    rows: list[tuple[Event, Content | None]] = field(default_factory=list)
    wake_at: datetime | None = None


@dataclass(slots=True)
class _Said:
    """Words of the house: when and what, white space as one blank, and the event that they are."""

    at: datetime
    text: str
    seq: int


@dataclass(slots=True)
class _Batch:
    """What one transaction knows and has changed so far."""

    ledger: dict[str, list[LedgerEntry]]
    tickets: dict[int, _Ticket]
    parties: dict[str, int]
    prints: dict[str, list[Print]]
    spool_ids: list[int]
    raw_ids: list[int]
    known: Mapping[str, tuple[int, bool]]
    here: set[str]
    """Message-IDs that requests have had mail under."""
    mails: list[MovedMail] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)
    links: list[tuple[int, str, int, datetime]] = field(default_factory=list)
    refs: list[tuple[int, int]] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)
    """Old numbers that are other requests' here -> the numbers given instead."""
    said: dict[int, list[_Said]] = field(default_factory=dict)
    digests: set[str] = field(default_factory=set)


class Historian:
    """Takes archives in for one office."""

    def __init__(self, store: Store, office: Office, terms: Terms, now: datetime) -> None:
        self.store, self.office, self.terms, self._now = store, office, terms, now
        self._said: dict[int, list[_Said]] = {}
        self._former: dict[str, Person] = {}
        self._own = {spec for spec, own in office.site.addresses.items() if own.door is not Door.ADMIN}
        for spec in sorted(self._own):
            self._former[spec] = self._person(spec, office.site.name)
        self._directory = self._extended()
        self._names = {person.name.casefold(): person for person in office.directory.people.values() if person.name}

    # -- before reading --

    def envelope(self, found: Found) -> Envelope:
        """Return the envelope with which an old mail is read."""
        queue = "" if found.sent else self.terms.queue
        return Envelope(sender=None, recipients=(), ingress=INGRESS, arrived_at=found.at, queue=queue)

    def fresh(self, digests: Sequence[str]) -> list[bool]:
        """Tell of each mail, by the SHA-256 of its bytes in hex, whether it did not come in before."""
        known = self.store.known_bytes(digests)
        return [not known.get(digest, (0, False))[1] for digest in digests]

    def of_house(self, spec: str) -> bool:
        """Tell whether an address is one of ours, or of somebody who is or was of the staff."""
        return spec in self._own or self.office.directory.staff(spec) is not None or listed(spec, self.terms.staff)

    # -- taking in --

    def take(self, mails: Sequence[tuple[Found, Mail | ReadFailed]], now: datetime) -> list[Taken]:
        """Take mails in, in their order; return what became of each. A commit comes early when somebody else waits to write."""
        read = [(found, self._readable(found, mail)) for found, mail in mails]
        self._meet([mail for _, mail in read], [found for found, _ in read])
        told: list[Taken] = []
        while len(told) < len(read):
            told += self._tried(read[len(told):], now)
        return told

    def conclude(self, now: datetime) -> int:
        """Give the requests that were moved in, and rest, the status in which they lie; return how many changed it."""
        changed, waiting = 0, [summary.id for summary in self.store.list_tickets()]
        for start in range(0, len(waiting), 200):
            some = waiting[start:start + 200]
            changed += self.store.run(partial(self._concluded, some, now))
        return changed

    def _concluded(self, ids: Sequence[int], now: datetime) -> int:
        moved = []
        for ticket in self.store.tickets(ids, lock=True).values():
            if not oldmail.rests(ticket):
                continue
            staff, customer = (self.store.last_words(ticket.id, by_staff=side) for side in (True, False))
            by_staff = staff is not None and (customer is None or staff[0].seq > customer[0].seq)
            builder = self._builder(ticket, now)
            oldmail.conclude(builder, by_staff, now, self.terms.closed_after)
            if builder.entries:
                rows = [(entry.event, None) for entry in builder.entries]
                moved.append(MovedTicket(ticket, builder.ticket, rows))
        self.store.move_in((), moved, now)
        return len(moved)

    def _readable(self, found: Found, mail: Mail | ReadFailed) -> Mail:
        if not isinstance(mail, ReadFailed):
            return mail
        return stub_of(found.raw, self.envelope(found), self.office.site, f"could not be read: {mail.reason}")

    def _tried(self, read: Sequence[tuple[Found, Mail]], now: datetime) -> list[Taken]:
        for left in reversed(range(_TRIES)):
            try:
                batch, told = self.store.run(lambda: self._some(read, now))
            except Conflict:
                # A daemon works beside us and changed the same request: once more, from what it is now.
                if not left:
                    raise
                continue
            failpoint("history-after-commit")
            for ticket, said in batch.said.items():
                self._said[ticket] = said
            return told
        raise AssertionError("unreachable")

    def _some(self, read: Sequence[tuple[Found, Mail]], now: datetime) -> tuple[_Batch, list[Taken]]:
        prepared = [self._prepared(found, mail) for found, mail in read]
        batch = self._begin(read, [evidence for _, evidence, _ in prepared])
        told: list[Taken] = []
        for (found, _), (mail, evidence, proof) in zip(read, prepared, strict=True):
            told.append(self._one(batch, found, mail, evidence, proof))
            if self.store.wanted:
                break
        self._write(batch, now)
        left = [found.key for (found, _), taken in zip(read, told, strict=False) if taken.became is Became.LEFT]
        self.store.note_left(filter(None, left), now + LEFT_FOR)
        failpoint("history-before-commit")
        return batch, told

    def _begin(self, read: Sequence[tuple[Found, Mail]], evidences: Sequence[Evidence]) -> _Batch:
        """Ask the store at once for all that the mails name."""
        store, wanted = self.store, [keys(evidence) for evidence in evidences]
        own = {mail.message_id for _, mail in read if mail.message_id}
        entries = store.find(own.union(*(key.message_ids for key in wanted)))
        by_id = store.tickets({entry.ticket for entry in entries}, lock=True)
        # The house's mail to the customer is as good as an id of ours, though a colleague wrote it in his own client.
        received = [entry for entry in entries if entry.origin is Origin.RECEIVED]
        facts = store.facts_of_events({(entry.ticket, entry.event) for entry in received})
        people = store.parties(entry.person for entry in received)
        house = {id_ for id_, party in people.items() if any(self.of_house(address.key(spec)) for spec in party.addresses)}
        ledger: dict[str, list[LedgerEntry]] = {}
        for entry in entries:
            if ticket := by_id.get(entry.ticket):
                origin = ORIGINS[entry.origin]
                if origin is Shown.SEEN and (entry.person in house or facts.get((entry.ticket, entry.event), {}).get("by_staff")):
                    origin = Shown.OURS
                ledger.setdefault(entry.message_id, []).append(LedgerEntry(ticket.number, origin, is_internal(store, entry)))
        tickets = {ticket.number: ticket for ticket in by_id.values()}
        load(store, tickets, {number for evidence in evidences for number in numbers(evidence, {}, {})})
        parties = store.parties_by_address({spec for key in wanted for spec in key.addresses})
        prints: dict[str, list[Print]] = {}
        for one in store.known_prints((mail.message_id, mail.fingerprint) for _, mail in read):
            prints.setdefault(one.message_id or one.fingerprint, []).append(one)
        return _Batch(
            ledger=ledger,
            tickets={number: _Ticket(ticket, ticket) for number, ticket in tickets.items()},
            parties={spec: party.id for spec, party in parties.items()},
            prints=prints,
            spool_ids=store.reserve_rows("spool", len(read)),
            raw_ids=store.reserve_rows("raw", len(read)),
            known=store.known_bytes(hashlib.sha256(found.raw).hexdigest() for found, _ in read),
            here={entry.message_id for entry in entries if entry.origin is not Origin.CITED},
        )

    def _one(self, batch: _Batch, found: Found, mail: Mail, evidence: Evidence, proof: str) -> Taken:
        digest = hashlib.sha256(found.raw).hexdigest()
        if digest in batch.digests or batch.known.get(digest, (0, False))[1]:
            return Taken(Became.HERE)
        same, flagged = self._seen(batch, found, mail)
        if same is not None or (message_id_key(mail.message_id) in batch.here and not flagged):
            return Taken(Became.HERE)
        if self.store.buried(privacy.digests(self.office.keyring, [mail.fingerprint])):
            return Taken(Became.LEFT, 0, "it was erased here")
        if flagged:
            evidence = replace(evidence, mail=replace(evidence.mail, message_id=""))
        evidence = replace(evidence, tags=tuple(batch.moved.get(number, number) for number in evidence.tags))
        if flagged and proof and message_id_key(mail.message_id) in batch.here:
            # Of the house's own words no two are under one id: what differs was quoted, or written for an export.
            return Taken(Became.HERE)
        lookups = self._lookups(batch, evidence, found.at)
        confirmed = self._directory.staff(mail.identity) if proof else None
        verdict = judge(evidence, lookups, self.office.site, self._directory, found.at, confirmed=confirmed.key if confirmed else "")
        if left := self._left(found, mail, evidence, verdict, proof):
            return left
        ours = confirmed is not None
        if ours and (mail.kind in _AUTOMATIC or _automatic(mail)):
            return self._noted(batch, mail, verdict, "an automatic mail of the house")
        opening = verdict.result in oldmail.OPENING
        if ours and not opening and (copied := self._copied(batch, verdict.number or 0, mail, found.at)):
            return self._noted(batch, mail, verdict, "a copy of words that are here", copied)
        parties = self._parties(batch, verdict, mail, found.at)
        spool_id = batch.spool_ids[len(batch.mails)]
        raw_id = batch.known[digest][0] if digest in batch.known else batch.raw_ids[len(batch.mails)]
        if opening:
            work, unclear_number = self._opened(batch, verdict.queue, mail.subject, found)
        else:
            assert verdict.number is not None
            work, unclear_number = batch.tickets[verdict.number], ""
        builder = self._builder(work.now, found.at)
        outside = any(True for _ in outsiders((*mail.to, *mail.cc), self.office.site, self._directory))
        old = oldmail.Old(replace(mail, message_id="") if flagged else mail, verdict, raw_id, spool_id, found.at, parties, outside, proof)
        unclear = oldmail.record(builder, old, source=self.terms.source)
        self._keep(work, builder, mail)
        seq = next((entry.event.seq for entry in builder.entries if entry.words), builder.ticket.events)
        if builder.entries and any(entry.event.facts.get("by_staff") for entry in builder.entries):
            said = batch.said.setdefault(work.now.id, list(self._said.get(work.now.id) or self._said_before(work.now.id)))
            said.append(_Said(found.at, _even(mail.reply_text), seq))
            del said[:-_REMEMBERED]
        number = work.now.number
        batch.links += [(work.now.id, kind, other, found.at) for kind, other in builder.links]
        trace = trace_of(verdict, mail, flagged=flagged, seen=None) | {"number": number, "moved_in": True, "place": found.place}
        batch.mails.append(MovedMail(
            spool_id, raw_id, found.raw, digest, self.envelope(found), mail.message_id, mail.fingerprint, work.now.id, seq,
            f"moved in: {verdict.reason}", trace))
        batch.digests.add(digest)
        batch.prints.setdefault(message_id_key(mail.message_id) or mail.fingerprint, []).append(
            Print(message_id_key(mail.message_id), mail.fingerprint, spool_id, work.now.id, found.at))
        self._note(batch, work.now, seq, old.mail, parties.get(address.key(verdict.sender.address.spec), 0), by_staff=ours)
        if not unclear and not ours and (hint := self._stranger_of_ours(mail)):
            unclear = hint
        return Taken(Became.OPENED if opening else Became.ADDED, number, "; ".join(filter(None, (unclear, unclear_number))))

    # -- whose it is --

    def _meet(self, mails: Sequence[Mail], found: Sequence[Found]) -> None:
        """Get to know who was of the house then: whom the terms name, and whoever wrote what lies in a folder of sent mail."""
        fresh = {}
        for mail, one in zip(mails, found, strict=True):
            spec = address.key(mail.identity)
            if spec and spec not in self._former and self.office.directory.staff(spec) is None and (
                    one.sent or listed(spec, self.terms.staff)):
                fresh[spec] = mail.sender.name
        for spec, name in fresh.items():
            self._former[spec] = self._person(spec, name)
        if fresh:
            self._directory = self._extended()

    def _person(self, spec: str, name: str) -> Person:
        return Person(f"was:{spec}", name, spec, party=self.store.party_for(spec, name, self._now).id)

    def _extended(self) -> Directory:
        """The directory with those who are no longer in it, and with the house itself: their words are the house's words."""
        people = {**self.office.directory.people, **{person.key: person for person in self._former.values()}}
        return replace(self.office.directory, people=people)

    def _prepared(self, found: Found, mail: Mail) -> tuple[Mail, Evidence, str]:
        """Return a mail as it is judged, what it shows, and why it is taken as the house's own ("" for others')."""
        mail = replace(mail, subject=bare_of_details(mail.subject, self.office.site))
        if mail.own or mail.kind is Kind.LOOP:
            mail = replace(mail, own=False, kind=Kind.REQUEST_OR_REPLY)
        bare = split_detail(mail.identity, self.office.site)[0]
        if bare is not None and bare.door is not Door.ADMIN:
            mail = _as_colleague(mail, self._names) or replace(mail, identity=bare.spec, sender=Address(bare.spec, mail.sender.name))
        person = self._directory.staff(mail.identity)
        proof = ""
        if person is not None:
            if mail.proof.proven:
                proof = str(mail.proof)
            elif found.sent:
                proof = "sent-folder"
            elif mail.proof is not Proof.DMARC_FAIL:
                proof = "archive"
        evidence = gather(mail, self.envelope(found), self.office.site, self.office.keyring, found.at.date())
        return mail, replace(evidence, tags=self._renumbered(evidence.tags)), proof

    def _renumbered(self, tags: tuple[int, ...]) -> tuple[int, ...]:
        """Numbers of tags as they are here: a request whose number was taken has another."""
        here = []
        for number in tags:
            moved = self.store.tickets(self.store.by_outside_ref(OLD_NUMBER, str(number))[:1])
            here.append(next((ticket.number for ticket in moved.values()), number))
        return tuple(here)

    def _stranger_of_ours(self, mail: Mail) -> str:
        """Why a mail may be a former colleague's: its domain is one of the staff's or ours, and nobody's else."""
        domain = mail.identity.rpartition("@")[2]
        site, directory = self.office.site, self.office.directory
        house = {site.domain.lower(), *(person.email.rpartition("@")[2].lower() for person in directory.people.values())}
        if domain not in house or address.is_public_domain(domain, site) or directory.staff(mail.identity):
            return ""
        return f"{mail.identity} has an address of the house, but is nobody's in [people]: --staff {mail.identity} if he was of the staff"

    # -- what it does --

    def _lookups(self, batch: _Batch, evidence: Evidence, at: datetime) -> Lookups:
        ids = keys(evidence).message_ids
        ledger = {one: tuple(batch.ledger[one]) for one in ids if one in batch.ledger}
        outbox = {}
        for outbox_id in evidence.outbox_ids:
            row = self.store.by_id(outbox_id)
            if row and row.ticket:
                ticket = self.store.ticket(row.ticket)
                batch.tickets.setdefault(ticket.number, _Ticket(ticket, ticket))
                outbox[outbox_id] = ticket.number
        requests = {}
        waiting = list(numbers(evidence, ledger, outbox))
        while waiting:
            number = waiting.pop()
            work = batch.tickets.get(number)
            if work is None or number in requests:
                continue
            ended = oldmail.quiet_since(work.now, at, self.terms.closed_after)
            if ended is not None:
                builder = self._builder(work.now, at)
                oldmail.close(builder, ended, self.terms.closed_after)
                self._keep(work, builder, evidence.mail)
            requests[number] = facts_of(self.office, work.now)
            if work.now.merged_into:
                waiting.append(work.now.merged_into)
        parties = {spec: batch.parties[spec] for spec in keys(evidence).addresses if spec in batch.parties}
        return Lookups(ledger=ledger, requests=requests, parties=parties, outbox=outbox)

    def _left(self, found: Found, mail: Mail, evidence: Evidence, verdict: Verdict, proof: str) -> Taken | None:
        """Why a mail becomes nothing, None where it becomes something."""
        why = ""
        if verdict.result in _OUTSIDE_TABLE:
            why = verdict.reason
        elif verdict.result in (Result.BOUNCE, Result.AUTO_REPLY, Result.REPORT, Result.ACTION, Result.HOLD_STAFF_CLAIM):
            why = f"{verdict.reason}, about no request here" if verdict.number is None else ""
        elif verdict.result in oldmail.OPENING and not evidence.doors:
            why = "no address of ours stands in it, and it answers nothing here"
        elif verdict.result in oldmail.OPENING and proof == "archive" and address.key(mail.identity) in self._own:
            why = "it claims an address of ours, answers nothing, and nothing proves it"
        elif verdict.result is Result.STAFF_TO_US and only_errands(commands.of_mail(mail), mail):
            why = "a question or a command to rtmail"
        return Taken(Became.LEFT, 0, why) if why else None

    def _opened(self, batch: _Batch, queue: str, subject: str, found: Found) -> tuple[_Ticket, str]:
        """A new ticket, under the number that its thread had where nobody has that."""
        version, _ = self.office.current_policy(queue)
        number, unclear = found.number, ""
        if number and (number in batch.tickets or self.store.numbers_in_use([number])):
            unclear = f"#{number} is another request here"
        if not number or unclear:
            number = self.store.next_number()
        (row,) = self.store.reserve_rows("ticket", 1)
        if unclear:
            unclear += f": it is #{number} now"
            batch.refs.append((row, found.number))
            batch.moved[found.number] = number
        else:
            self.store.start_numbers_at(number + 1)
        ticket = Ticket(row, number, queue, subject, Status.NEW, found.at, version)
        work = batch.tickets[number] = _Ticket(None, ticket)
        return work, unclear

    def _builder(self, ticket: Ticket, at: datetime) -> Builder:
        return Builder(self.office.policy(ticket.policy_version), ticket, at, self.office.house)

    def _keep(self, work: _Ticket, builder: Builder, mail: Mail) -> None:
        work.rows += [(entry.event, content_of(entry, mail.attachments)) for entry in builder.entries]
        work.now, work.wake_at = builder.ticket, builder.wake_at()

    def _note(self, batch: _Batch, ticket: Ticket, seq: int, mail: Mail, person: int, *, by_staff: bool) -> None:
        for one in ids_of(mail, ticket.id, seq, person):
            batch.noted.append(one)
            origin = Shown.OURS if by_staff and one.origin is Origin.RECEIVED else ORIGINS[one.origin]
            batch.ledger.setdefault(one.message_id, []).append(LedgerEntry(ticket.number, origin))

    def _noted(self, batch: _Batch, mail: Mail, verdict: Verdict, why: str, seq: int = 0) -> Taken:
        """Note the id of a mail that brings no words of its own: answers to it find their request."""
        work = batch.tickets.get(verdict.number or 0)
        if work is None:
            return Taken(Became.LEFT, 0, f"{why}, about no request here")
        if mail.message_id:
            person = verdict.sender.party
            batch.noted.append(Noted(mail.message_id, work.now.id, seq or work.now.last_public_seq, Origin.RECEIVED, person))
            batch.here.add(message_id_key(mail.message_id))
            batch.ledger.setdefault(mail.message_id, []).append(LedgerEntry(work.now.number, Shown.OURS))
        return Taken(Became.NOTED, work.now.number)

    def _copied(self, batch: _Batch, number: int, mail: Mail, at: datetime) -> int:
        """Return the event whose words this mail of the house repeats, 0 for none: it sent the customer a copy of an engineer's words."""
        work = batch.tickets.get(number)
        if work is None:
            return 0
        said = batch.said.get(work.now.id) or self._said.get(work.now.id)
        if said is None and work.before is not None:
            said = self._said_before(work.now.id)
        whole = _even(mail.text)
        new = _even(mail.reply_text)
        for one in reversed(said or ()):
            near = abs(one.at - at) <= COPY_WITHIN
            if near and one.text and new and (one.text in whole or new == one.text or new in one.text):
                return one.seq
        return 0

    def _said_before(self, ticket: int) -> list[_Said]:
        """The latest words of the house on a request that was here before."""
        found = self.store.last_words_of_staff(ticket, _REMEMBERED)
        return [_Said(event.at, _even(content.text), event.seq) for event, content in reversed(found)]

    def _seen(self, batch: _Batch, found: Found, mail: Mail) -> tuple[Print | None, bool]:
        """The mail that this one is once more, if any; and whether its Message-ID is known from another one (promise 2)."""
        key = message_id_key(mail.message_id)
        known = batch.prints.get(key or mail.fingerprint, ())
        same = [one for one in known if one.fingerprint == mail.fingerprint]
        if not key and mail.date is None:
            same = [one for one in same if abs(one.at - found.at) < UNDATED_SAME_WITHIN]
        return (same[0] if same else None), bool(key and known and not same)

    def _parties(self, batch: _Batch, verdict: Verdict, mail: Mail, at: datetime) -> dict[str, int]:
        people: list[Address] = [verdict.sender.address, *verdict.joins]
        people += [verdict.requestor] if verdict.requestor else []
        if mail.forwarded and mail.forwarded.sender and verdict.sender.staff:
            people.append(mail.forwarded.sender)
        found: dict[str, int] = {}
        for one in people:
            spec = address.key(one.spec)
            if not spec or spec in found:
                continue
            if spec not in batch.parties:
                organisation = self.office.directory.organisation_of(one.spec)
                language = (organisation.language if organisation else "") or ("" if verdict.sender.staff else mail.language)
                party = self.store.party_for(one.spec, one.name, at, organisation=organisation.key if organisation else "",
                                             language=language)
                batch.parties[spec] = party.id
            found[spec] = batch.parties[spec]
        return found

    # -- writing --

    def _write(self, batch: _Batch, now: datetime) -> None:
        moved = [MovedTicket(work.before, work.now, work.rows, work.wake_at) for work in batch.tickets.values() if work.rows]
        self.store.move_in(batch.mails, moved, now)
        self.store.record_many(batch.noted)
        for ticket, kind, other, at in batch.links:
            if linked := batch.tickets.get(other):
                self.store.add_link(ticket, linked.now.id, LINKS[kind], 0, at)
        for ticket, number in batch.refs:
            self.store.add_outside_ref(ticket, OLD_NUMBER, str(number), now)


def _as_colleague(mail: Mail, names: Mapping[str, Person]) -> Mail | None:
    """A mail under the house's address that bears a colleague's name ("Jane Doe via Example") is his."""
    name = mail.sender.name.casefold().partition(" via ")[0].strip()
    person = names.get(name)
    return replace(mail, identity=person.email, sender=Address(person.email, person.name)) if person else None


def _automatic(mail: Mail) -> bool:
    said = (value.strip().lower() for value in mail.headers.get("auto-submitted", ()))
    return any(value and not value.startswith("no") for value in said)


def _even(text: str) -> str:
    return " ".join(text.split())
