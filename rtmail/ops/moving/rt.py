"""Takes requests over from the database of Best Practical RT 5: in the order of their numbers, some in each commit, silently.

What was taken over before is passed over, and what RT got since is added, as long as nothing has happened to the request here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from rtmail.desk.archive import rt as desk
from rtmail.desk.archive.oldmail import rests
from rtmail.desk.archive.rt import Known, RtTicket, Spoken, Transaction, User
from rtmail.desk.decision import Builder
from rtmail.desk.ticket import Event, Status, Ticket
from rtmail.engine.history import OLD_NUMBER
from rtmail.engine.keeping import content_of, ids_of
from rtmail.engine.office import Office
from rtmail.engine.reader import ReaderPool, ReadFailed
from rtmail.mail import address
from rtmail.mail.model import Address, Envelope, Mail
from rtmail.mail.reading.stub import stub_of
from rtmail.ops.moving.archive import Progress
from rtmail.store import Content, LinkKind, MovedMail, MovedTicket, Origin, Store
from rtmail.store import Entry as Noted
from rtmail.store.rt import NotRt, RtDatabase

INGRESS = "rt"


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something about a request that somebody may want to know."""

    number: int
    why: str


@dataclass(slots=True)
class Report:
    """What was taken over."""

    requests: int = 0
    became: Counter[str] = field(default_factory=Counter)
    """opened, added, here, alive (changed here since: left as it is)."""
    mails: int = 0
    unclear: list[Unclear] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wish:
    """How requests are taken over.

    queues        RT's queue -> ours
    closed_after  what RT calls resolved for so long is closed here
    """

    queues: Mapping[str, str]
    closed_after: timedelta = timedelta(days=30)


def queues(source: RtDatabase, office: Office, given: Mapping[str, str]) -> dict[str, str]:
    """Return which of our queues each of RT's is: as `given`, by its address, or by its name. Raises NotRt for one without."""
    ours, found = office.directory.queues, dict[str, str]()
    for name, (public, _) in source.queues().items():
        by_address = (key for key, queue in ours.items() if public and address.key(queue.address) == address.key(public))
        found[name] = given.get(name) or next(by_address, "") or next((key for key in ours if key.lower() == name.lower()), "")
        if found[name] not in ours:
            raise NotRt(f"no queue here for RT's {name!r}: --queue {name}=NAME, one of {', '.join(ours)}")
    return found


def take_over(
    store: Store, office: Office, source: RtDatabase, wish: Wish, now: datetime, progress: Progress, *, pool: ReaderPool
) -> Report:
    """Take over all requests of `source`; returns what became of them. Raises DiskFull as the import of an archive does."""
    report = Report(requests=source.count)
    people = _People(store, office, source.users(), now)
    taking = _Taking(store, office, people, wish, now)
    # What gets another number than it had must not take that of a later one.
    store.start_numbers_at(source.last + 1)
    ties: list[RtTicket] = []
    for page in source.tickets():
        mails = _mails(page, people, office, pool)
        store.room()
        done = store.run(partial(taking.page, page, mails))
        report.became += done.became
        report.unclear += done.unclear
        report.mails += len(done.mails)
        ties += [replace(ticket, transactions=ticket.transactions[-1:]) for ticket in page if ticket.merged_into or ticket.refers_to]
        progress("taking over", sum(report.became.values()), report.requests)
    for ticket in ties:
        store.run(partial(taking.tie, ticket))
    return report


class _People:
    """RT's users as people here, made when they are first met."""

    def __init__(self, store: Store, office: Office, users: Mapping[int, User], now: datetime) -> None:
        self._store, self._office, self._users, self._now = store, office, users, now
        self._known: dict[int, Known | None] = {}

    def of(self, ticket: RtTicket) -> dict[int, Known]:
        """Those whom a request names, by RT's ids."""
        ids = {ticket.owner, *(user for _, user in ticket.watching)}
        for one in ticket.transactions:
            ids |= {one.by, int(one.new) if one.field == "Owner" and one.new.isdigit() else 0}
        return {user: known for user in ids if (known := self.get(user))}

    def get(self, user: int) -> Known | None:
        if user not in self._known:
            self._known[user] = self._made(user)
        return self._known[user]

    def address(self, user: int) -> Address:
        one = self._users.get(user)
        return Address(address.normalise(one.address), one.name) if one else Address("", "")

    def _made(self, user: int) -> Known | None:
        one = self._users.get(user)
        spec = address.normalise(one.address) if one else ""
        if one is None or user in desk.NOBODY or not spec:
            return None
        person = self._office.directory.staff(spec)
        if person is not None:
            return Known(person.party, Address(person.email, person.name), person, staff=True)
        organisation = self._office.directory.organisation_of(spec)
        party = self._store.party_for(spec, one.name if "@" not in one.name else "", self._now,
                                      organisation=organisation.key if organisation else "")
        return Known(party.id, Address(spec, party.name), None, staff=one.staff)


_Read = dict[int, tuple[bytes, Envelope, Mail]]
"""Transaction -> its mail: bytes, envelope, as read."""


def _mails(page: Sequence[RtTicket], people: _People, office: Office, pool: ReaderPool) -> _Read:
    spoken = [(ticket, one) for ticket in page for one in ticket.transactions if one.kind in desk.SPOKEN and one.parts]
    jobs = [(desk.rebuilt(one, ticket, people.address(one.by)), _envelope(one)) for ticket, one in spoken]
    read: _Read = {}
    for (_, one), (raw, envelope), mail in zip(spoken, jobs, pool.read_many(jobs, office.site), strict=True):
        if isinstance(mail, ReadFailed):
            mail = stub_of(raw, envelope, office.site, f"could not be read: {mail.reason}")
        read[one.id] = (raw, envelope, mail)
    return read


def _envelope(one: Transaction) -> Envelope:
    return Envelope(sender=None, recipients=(), ingress=INGRESS, arrived_at=one.at)


@dataclass(slots=True)
class _Done:
    """What one commit keeps, and tells."""

    became: Counter[str] = field(default_factory=Counter)
    unclear: list[Unclear] = field(default_factory=list)
    mails: list[MovedMail] = field(default_factory=list)
    tickets: list[MovedTicket] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)


class _Taking:
    """Turns pages of RT's requests into rows."""

    def __init__(self, store: Store, office: Office, people: _People, wish: Wish, now: datetime) -> None:
        self._store, self._office, self._people, self._wish, self._now = store, office, people, wish, now

    def page(self, page: Sequence[RtTicket], read: _Read) -> _Done:
        """Keep some requests; a job for `Store.run`."""
        done = _Done()
        store = self._store
        digests = {id_: hashlib.sha256(raw).hexdigest() for id_, (raw, _, _) in read.items()}
        rows = {digest: row for digest, (row, _) in store.known_bytes(set(digests.values())).items()}
        prints = ((mail.message_id, mail.fingerprint) for _, _, mail in read.values())
        seen = {(one.message_id, one.fingerprint) for one in store.known_prints(prints)}
        for ticket in page:
            here = self._here(ticket.number)
            last = max((one.id for one in ticket.transactions), default=0)
            if here is not None and (not rests(here) or int(here.fields.get(desk.LAST) or 0) >= last):
                done.became["here" if rests(here) else "alive"] += 1
                continue
            after = replace(here, subject=ticket.subject) if here else self._begun(ticket, done)
            fresh = [one for one in ticket.transactions if one.id > int(after.fields.get(desk.LAST) or 0)]
            spoken = {one.id: self._spoken(read[one.id][2], digests[one.id], rows) for one in fresh if one.id in read}
            builder = self._builder(after)
            wish = self._wish
            told = desk.moved(builder, ticket, self._people.of(ticket), spoken, builder.general, wish.closed_after, self._now)
            done.unclear += [Unclear(after.number, why) for why in told]
            self._keep(done, here, builder, spoken, read, digests, seen)
            for one in fresh:
                if one.id not in read:
                    # Mail that RT sent: whoever answers it answers this request.
                    sent = builder.ticket.last_public_seq
                    done.noted += [Noted(id_, after.id, sent, Origin.RECEIVED, 0) for id_ in desk.message_ids(one)]
            done.became["added" if here else "opened"] += 1
        store.move_in(done.mails, done.tickets, self._now)
        store.record_many(done.noted)
        return done

    def tie(self, ticket: RtTicket) -> None:
        """Merge and link a request as it is in RT, now that all of them are here."""
        mine = self._here(ticket.number)
        if mine is None:
            return
        for number in ticket.refers_to:
            if other := self._here(number):
                self._store.add_link(mine.id, other.id, LinkKind.RELATED, 0, ticket.created_at)
        into = self._here(ticket.merged_into)
        if into is None or not rests(mine) or mine.status is Status.MERGED:
            return
        builder = self._builder(mine)
        at = ticket.transactions[-1].at if ticket.transactions else ticket.created_at
        desk.merge(builder, into, at)
        self._store.save(mine, builder.ticket, [(entry.event, None) for entry in builder.entries])
        self._store.add_link(mine.id, into.id, LinkKind.MERGED, 0, at)

    def _begun(self, ticket: RtTicket, done: _Done) -> Ticket:
        """A request as it begins, under RT's number where nobody has that here."""
        queue, store, number = self._wish.queues[ticket.queue], self._store, ticket.number
        (row,) = store.reserve_rows("ticket", 1)
        if store.numbers_in_use([number]):
            number = store.next_number()
            done.unclear.append(Unclear(number, f"#{ticket.number} is another request here: RT's is #{number} now"))
            store.add_outside_ref(row, OLD_NUMBER, str(ticket.number), ticket.created_at)
        store.add_outside_ref(row, desk.SYSTEM, str(ticket.number), ticket.created_at)
        version, _ = self._office.current_policy(queue)
        return Ticket(row, number, queue, ticket.subject, Status.NEW, ticket.created_at, version)

    def _spoken(self, mail: Mail, digest: str, rows: dict[str, int]) -> Spoken:
        if digest not in rows:
            (rows[digest],) = self._store.reserve_rows("raw", 1)
        (spool,) = self._store.reserve_rows("spool", 1)
        return Spoken(mail, rows[digest], spool)

    def _keep(self, done: _Done, before: Ticket | None, builder: Builder, spoken: Mapping[int, Spoken], read: _Read,
              digests: Mapping[int, str], seen: set[tuple[str, str]]) -> None:  # fmt: skip
        kept: list[tuple[Event, Content | None]] = []
        ticket = builder.ticket
        for entry in builder.entries:
            said = spoken.get(int(entry.event.facts.get("rt") or 0))
            kept.append((entry.event, content_of(entry, said.mail.attachments if said else ())))
            if said is None or entry.words is None:
                continue
            transaction, mail = int(entry.event.facts["rt"]), said.mail
            raw, envelope, _ = read[transaction]
            # The same mail to two queues of RT's is two requests there; it is recognised as the first.
            fingerprint = "" if (mail.message_id, mail.fingerprint) in seen else mail.fingerprint
            seen.add((mail.message_id, mail.fingerprint))
            trace = {"rule": "rt", "number": ticket.number, "moved_in": True, "message_id": mail.message_id}
            done.mails.append(MovedMail(
                said.spool_id, said.raw_id, raw, digests[transaction], envelope, mail.message_id, fingerprint, ticket.id, entry.event.seq,
                f"taken over from RT, transaction {transaction}", trace))
            done.noted += ids_of(mail, ticket.id, entry.event.seq, entry.words.person)
        done.tickets.append(MovedTicket(before, ticket, kept, builder.wake_at()))

    def _builder(self, ticket: Ticket) -> Builder:
        return Builder(self._office.policy(ticket.policy_version), ticket, self._now, self._office.house)

    def _here(self, number: int) -> Ticket | None:
        """The request that one of RT's is here."""
        rows = self._store.by_outside_ref(desk.SYSTEM, str(number)) if number else []
        return self._store.tickets(rows[:1], lock=True).get(rows[0]) if rows else None
