"""Answers questions from the store: what `list`, `show`, `search`, `history` and `help` say, as facts for the answer's template.

Staff see the requests of the queues that they serve and those that they take part in; a participant what was public of his own
while he took part, the requestor and his organisation's contact all that is public.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk import audience, notes
from rtmail.desk.commanded import bugs
from rtmail.desk.fields import filled
from rtmail.desk.grammar import arguments, queries
from rtmail.desk.grammar.queries import Query
from rtmail.desk.people import Directory, Person
from rtmail.desk.reports import history
from rtmail.desk.ticket import Event, EventKind, Role, Status, Ticket
from rtmail.engine.lookup import linked, lives_on
from rtmail.engine.office import Office
from rtmail.mail.model import Address
from rtmail.mail.token import Action
from rtmail.mail.writing.compose import bare_subject
from rtmail.mail.writing.draft import AttachmentRef, Link, Visibility
from rtmail.mail.writing.mbox import Letter, mbox
from rtmail.store import Content, NotThere, Store, TicketSummary

MOST_LISTED = 25
MOST_WORDS = 3
MOST_HISTORY = 200
MBOX_BYTES = 8 << 20
DUE_WITHIN = timedelta(days=1)
_SHOWN = (Status.NEW, Status.OPEN, Status.WAITING, Status.RESOLVED)
_PUBLIC = frozenset({EventKind.OPENED, EventKind.CORRESPONDENCE})
_SPOKEN = _PUBLIC | {EventKind.COMMENT, EventKind.UNVERIFIED, EventKind.OUTSIDE, EventKind.FORWARDED, EventKind.AUTO_REPLY}
Log = Sequence[tuple[Event, Content | None]]


@dataclass(slots=True)
class Answered:
    """What the answer says, its links, and the files that it encloses by the name that `AttachmentRef.part` gives them."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    attachments: list[AttachmentRef] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


class Answerer:
    """Answers for one office."""

    def __init__(self, store: Store, office: Office) -> None:
        self._store, self._office = store, office

    @property
    def _directory(self) -> Directory:
        return self._office.directory

    def answer(self, asked: Sequence[Query], now: datetime) -> Answered:
        """Return the answers in the order of the questions."""
        answered = Answered()
        for one in asked:
            match one.name:
                case "list" if one.staff and one.words.lower() == "bugs":
                    self._bugs(replace(one, words=""), answered)
                case "list":
                    self._list(one, now, answered)
                case "show":
                    self._show(one, answered)
                case "search":
                    self._search(one, answered)
                case "bugs":
                    self._bugs(one, answered)
                case "fixed":
                    self._fixed(one, answered)
                case "history":
                    self._history(one, answered)
                case _:
                    answered.answers.append({"kind": "help", "lines": queries.helped(staff=one.staff, word=one.words)})
        return answered

    # -- lists --

    def _list(self, asked: Query, now: datetime, answered: Answered) -> None:
        rows, count = self._listed(asked, now)
        answered.answers.append({
            "kind": "list",
            "what": asked.words,
            "requests": [self._line(row, self._language(asked), staff=asked.staff) for row in rows],
            "more": count - len(rows),
        })  # fmt: skip
        for row in rows:
            answered.links.append(_show_link(row.number))
            if asked.staff and not row.owner:
                answered.links.append(Link(f"take #{row.number}", Action.TAKE, request=row.number))

    def _listed(self, asked: Query, now: datetime) -> tuple[list[TicketSummary], int]:
        find = self._store.find_tickets
        person = self._directory.by_party(asked.asker) if asked.staff else None
        if person is None:
            ids = set(self._store.tickets_of(asked.asker, roles=(Role.REQUESTOR, Role.CC)))
            return find(ids=sorted(ids), statuses=_SHOWN, limit=MOST_LISTED)
        queues, word = self._queues(person), asked.words.lower()
        match word:
            case "" | "all":
                return find(queues=queues, limit=MOST_LISTED)
            case "mine" | "my":
                return find(owner=person.party, limit=MOST_LISTED)
            case "due":
                return find(queues=queues, due_before=now + DUE_WITHIN, limit=MOST_LISTED)
            case "nobody" | "unowned" | "new":
                return find(queues=queues, owner=0, limit=MOST_LISTED)
        if word in self._directory.queues:
            return find(queues=[queue for queue in queues if queue == word], limit=MOST_LISTED)
        if colleague := self._directory.people.get(word):
            return find(queues=queues, owner=colleague.party, limit=MOST_LISTED)
        for organisation in self._directory.organisations.values():
            if word in (organisation.key.lower(), organisation.name.lower()):
                return find(queues=queues, organisation=organisation.key, limit=MOST_LISTED)
        if mark := self._marks().get(word):
            return find(queues=queues, mark=mark, statuses=tuple(Status), limit=MOST_LISTED)
        if "@" in word:
            party = self._store.party_by_address(word)
            return find(queues=queues, requestor=party.id, limit=MOST_LISTED) if party else ([], 0)
        return find(queues=queues, domain=word, limit=MOST_LISTED)

    def _queues(self, person: Person) -> list[str]:
        return [name for name in self._directory.queues if self._directory.may_answer(person, name)]

    def _marks(self) -> dict[str, str]:
        """The marks that prepared answers and rules of today's policies leave on requests, by how they are asked for."""
        policies = [self._office.current_policy(queue)[1] for queue in self._directory.queues]
        return {mark.lower(): mark for policy in policies for mark in policy.marks}

    def _line(self, row: TicketSummary, language: str, *, staff: bool) -> dict[str, Any]:
        policy = self._office.current_policy(row.queue)[1] if row.queue in self._directory.queues else None
        owner = self._directory.people.get(row.owner)
        line: dict[str, Any] = {"number": row.number, "subject": row.subject, "status": str(row.status), "opened_at": row.created_at}
        if policy:
            line["noted"] = filled.in_lists(policy, row.filled, language, staff=staff)
        if staff:
            line |= {"priority": row.priority, "owner": owner.name if owner else "", "requestor": row.requestor, "due_at": row.next_due_at}
        return line

    # -- one request --

    def _seen(self, asked: Query) -> tuple[Ticket, int] | None:
        """The request and the event from which on the asker may see it; None where he may not, or there is none."""
        ticket = self._store.by_number(asked.number)
        if ticket and not asked.staff:
            ticket = lives_on(self._store, ticket)
        if ticket is None:
            return None
        if asked.staff:
            person = self._directory.by_party(asked.asker)
            takes_part = ticket.owner == asked.asker or any(p.person == asked.asker for p in ticket.participants)
            return (ticket, 0) if person and (takes_part or self._directory.may_answer(person, ticket.queue)) else None
        since = queries.may_see(ticket, asked.asker, contact=self._is_contact(asked.asker, ticket))
        return None if since is None or asked.asker in ticket.removed else (ticket, since)

    def _is_contact(self, asker: int, ticket: Ticket) -> bool:
        requestor = ticket.addressee
        if requestor is None:
            return False
        specs = self._store.party(asker).addresses
        organisation = self._directory.organisation_of(requestor.address)
        return any(self._directory.is_contact(spec) and self._directory.organisation_of(spec) == organisation for spec in specs)

    def _show(self, asked: Query, answered: Answered) -> None:
        found = self._seen(asked)
        if found is None:
            answered.answers.append({"kind": "none", "number": asked.number})
            return
        ticket, since = found
        log = self._store.events(ticket.id)
        names = self._names(log, ticket)
        if not asked.staff and (voice := self._office.policy(ticket.policy_version).voice):
            # All staff write to customers under one name.
            names |= {person.party: voice for person in self._directory.people.values() if person.party in names}
        spoken = [
            (event, content) for event, content in log
            if content and event.kind in (_SPOKEN if asked.staff else _PUBLIC) and not content.erased
            and (asked.staff or (event.visibility is Visibility.PUBLIC and event.seq >= since and not self._leaks(content)))
        ]  # fmt: skip
        shown: dict[str, Any] = {
            "number": ticket.number, "subject": ticket.subject, "status": str(ticket.status), "opened_at": ticket.opened_at,
            "words": [self._words(event, content, names) for event, content in spoken[-MOST_WORDS:] if content],
            "count": len(spoken),
            "noted": self._filled(ticket, asked, since),
        }  # fmt: skip
        subject = f"Re: [{self._office.site.tag} #{ticket.number}] {bare_subject(ticket.subject, self._office.site)}"
        if asked.staff:
            shown |= self._inside(ticket)
            shown["noted"] = [*notes.rows(ticket.fields, self._office.zone), *shown["noted"]]
            if (survivor := lives_on(self._store, ticket)) is not ticket:
                shown["noted"] = [{"what": "Merged into", "value": f"#{survivor.number}", "written": True}, *shown["noted"]]
                answered.links.append(_show_link(survivor.number))
            answered.links += [Link(f"take #{ticket.number}", Action.TAKE, request=ticket.number)] if not ticket.owner else []
            answered.links.append(Link(f"comment on #{ticket.number}", Action.COMMENT, subject=subject, request=ticket.number))
        answered.links.append(Link(f"answer #{ticket.number}", Action.REPLY, subject=subject, request=ticket.number))
        answered.answers.append({"kind": "show", "request": shown})
        self._enclose(ticket, spoken, names, answered, staff=asked.staff)

    def _filled(self, ticket: Ticket, asked: Query, since: int) -> list[dict[str, Any]]:
        """What is filled in; for a participant what is public, and was filled in since he takes part."""
        policy, language = self._office.policy(ticket.policy_version), self._language(asked)
        if asked.staff:
            return filled.noted(policy, ticket, language)
        rows = filled.rows(policy, ticket, language, staff=False)
        seen = [row for row in rows if ticket.filled[row["key"]]["seq"] >= since]
        return [{"what": row["label"], "value": row["value"]} for row in seen]

    def _language(self, asked: Query) -> str:
        person = self._directory.by_party(asked.asker)
        party = None if person else self._store.parties([asked.asker]).get(asked.asker)
        return (person.language if person else party.language if party else "") or self._office.site.language

    def _leaks(self, content: Content) -> bool:
        """A customer's own words can quote what he should never have had; they are not shown to others."""
        names = "\n".join(one.name for one in content.attachments)
        said = "\n\n".join((content.subject, content.text, names))
        return bool(self._office.house.leaks(said))

    def _inside(self, ticket: Ticket) -> dict[str, Any]:
        owner = self._directory.by_party(ticket.owner)
        people = [(str(p.role), audience.named(p)) for p in ticket.participants]
        due = [(clock.name.replace("-", " "), clock.due_at) for clock in ticket.clocks if clock.running and clock.due_at]
        return {
            "priority": f"{ticket.priority} {ticket.priority_state}".strip(), "owner": owner.name if owner else "", "queue": ticket.queue,
            "people": [{"role": role, "who": who} for role, who in people],
            "due": [{"what": what, "at": at} for what, at in sorted(due, key=lambda row: row[1])],
        }  # fmt: skip

    def _words(self, event: Event, content: Content, names: dict[int, str]) -> dict[str, Any]:
        inside = event.visibility is not Visibility.PUBLIC
        return {"who": names.get(event.actor, ""), "at": event.at, "text": content.text, "inside": inside}

    def _names(self, log: Log, ticket: Ticket) -> dict[int, str]:
        ids = {event.actor for event, _ in log} | {p.person for p in ticket.participants} | {ticket.owner}
        ids |= {int(event.facts["person"]) for event, _ in log if "person" in event.facts}
        return {party.id: party.name or party.address for party in self._store.parties(ids - {0}).values()}

    def _enclose(self, ticket: Ticket, spoken: Log, names: dict[int, str], answered: Answered, *, staff: bool) -> None:
        """The conversation as a file for mail clients. Mails as they came are for staff alone: an engineer's holds more than his words."""
        letters, room, taken = [], MBOX_BYTES, set[int]()
        parties = self._store.parties({event.actor for event, _ in spoken} - {0})
        for event, content in spoken:
            if content is None:
                continue
            raw = b""
            if staff and content.raw_id and content.raw_id not in taken:
                taken.add(content.raw_id)
                raw = self._raw(content.raw_id, room)
                room -= len(raw)
            colleague = self._directory.by_party(event.actor)
            party = parties.get(event.actor)
            spec = self._directory.queues[ticket.queue].address if colleague else party.address if party else ""
            letters.append(Letter(
                event.at, Address(spec, names.get(event.actor, "")), content.subject or ticket.subject,
                "\n".join([content.text, *(f"[{one.name}, {one.bytes} bytes]" for one in content.attachments)]),
                event.message_id, ticket.thread[:1] if event.seq > 1 else (), raw, internal=event.visibility is not Visibility.PUBLIC,
            ))  # fmt: skip
        if letters:
            part = f"mbox-{ticket.number}"
            data = answered.files[part] = mbox(letters)
            answered.attachments.append(AttachmentRef(0, part, f"request-{ticket.number}.mbox", "application/mbox", len(data)))

    def _raw(self, raw_id: int, room: int) -> bytes:
        try:
            raw = self._store.raw(raw_id)
        except NotThere:
            return b""
        return raw if len(raw) <= room else b""

    # -- words, and what happened --

    def _search(self, asked: Query, answered: Answered) -> None:
        person = self._directory.by_party(asked.asker)
        queues = set(self._queues(person)) if person else set[str]()
        hits = self._store.search(asked.words)
        tickets = self._store.tickets({hit.ticket for hit in hits})
        found: dict[int, dict[str, Any]] = {}
        for hit in hits:
            ticket = tickets[hit.ticket]
            mine = ticket.owner == asked.asker or any(p.person == asked.asker for p in ticket.participants)
            if ticket.number not in found and (ticket.queue in queues or mine):
                found[ticket.number] = {
                    "number": ticket.number, "subject": ticket.subject, "status": str(ticket.status),
                    "excerpt": _excerpt(hit.text, asked.words),
                }  # fmt: skip
        listed = list(found.values())[:MOST_LISTED]
        answered.answers.append({"kind": "search", "words": asked.words, "found": listed, "more": len(found) - len(listed)})
        answered.links += [_show_link(row["number"]) for row in listed]

    def _bugs(self, asked: Query, answered: Answered) -> None:
        """What hangs on which bug: on all, or on those whose number or whose requests hold the words.

        A bug that is asked for by its number is shown with all that is filled in on its requests.
        """
        store, wanted = self._store, notes.reference(asked.words)
        hits = None
        if asked.words:
            hits = {*(hit.ticket for hit in store.search(asked.words)), *store.by_outside_ref(notes.system_of(wanted), wanted)}
        rows, numbers = [], []
        for bug in store.linked_with(hits, MOST_LISTED):
            tickets = [ticket for ticket in store.tickets(bug.tickets).values() if self._may_look(asked, ticket)]
            versions = [version for ticket in tickets if (version := bugs.fixed_in(ticket.fields, bug.ref)) is not None]
            if tickets:
                numbers += [ticket.number for ticket in tickets]
                listed = [self._hangs(ticket, asked, whole=bug.ref == wanted) for ticket in tickets]
                rows.append({"ref": bug.ref, "requests": listed, "fixed": bool(versions), "version": next(iter(versions), "")})
        answered.answers.append({"kind": "bugs", "words": asked.words, "bugs": rows})
        answered.links += [_show_link(number) for number in dict.fromkeys(numbers)]

    def _hangs(self, ticket: Ticket, asked: Query, *, whole: bool) -> dict[str, Any]:
        """A request below its bug; `whole`: with what is filled in on it, by which the bug is reproduced."""
        noted = self._filled(ticket, asked, 0) if whole else []
        return {"number": ticket.number, "subject": ticket.subject, "status": str(ticket.status), "noted": noted}

    def _fixed(self, asked: Query, answered: Answered) -> None:
        """What everybody would read who waits for a bug, and who that is; a link sends it."""
        said = arguments.fixed(asked.words)
        waiting = [
            ticket for ticket in linked(self._store, [said.ref])
            if self._may_look(asked, ticket) and bugs.fixed_in(ticket.fields, said.ref) != said.version
        ]  # fmt: skip
        requests = [
            {"number": ticket.number, "subject": ticket.subject, "status": str(ticket.status), "who": audience.named(ticket.requestor)}
            for ticket in waiting
        ]
        answered.answers.append({"kind": "fixed", "ref": said.ref, "version": said.version, "requests": requests})
        if waiting:
            line = f"fixed {said.ref}{f' in {said.version}' if said.version else ''} yes"
            answered.links.append(Link("tell them", Action.COMMENT, subject=line, body=line, request=waiting[0].number))

    def _may_look(self, asked: Query, ticket: Ticket) -> bool:
        person = self._directory.by_party(asked.asker)
        return person is not None and self._directory.may_answer(person, ticket.queue)

    def _history(self, asked: Query, answered: Answered) -> None:
        found = self._seen(asked)
        if found is None or not asked.staff:
            answered.answers.append({"kind": "none", "number": asked.number})
            return
        ticket, _ = found
        log = self._store.events(ticket.id)
        names = self._names(log, ticket)
        lines = [
            {"at": event.at, "kind": str(event.kind), "who": names.get(event.actor, ""), "said": said, "written": history.written(event)}
            for event, _ in log
            for said in history.lines(event, names, self._office.zone)
            if said or event.kind not in history.UNTOLD
        ]
        answered.answers.append({
            "kind": "history", "number": ticket.number, "subject": ticket.subject, "lines": lines[-MOST_HISTORY:],
            "more": max(len(lines) - MOST_HISTORY, 0),
        })  # fmt: skip
        answered.links.append(_show_link(ticket.number))


def _show_link(number: int) -> Link:
    return Link(f"show #{number}", Action.SHOW, subject=f"show {number}", request=number)


def _excerpt(text: str, words: str) -> str:
    """The stretch of a text around the first of the words that stands in it."""
    flat = " ".join(text.split())
    places = [at for word in words.lower().split() if (at := flat.lower().find(word)) >= 0]
    start = max(min(places, default=0) - 40, 0)
    return f"{'…' if start else ''}{flat[start : start + 120]}{'…' if len(flat) > start + 120 else ''}"
