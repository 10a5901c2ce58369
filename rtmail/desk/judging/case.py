"""One mail before the sender table: whom it names, which request it belongs to, and what its sender is to that request.

`match` asks a `Case` and never the evidence itself, so each of its rows is one line. Everything here is worked out from the
evidence and the store's answers when first asked, and stays the same for one judgement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from rtmail.desk.judging.evidence import ABOUT_HOLDS, DetailSeen, Evidence, Lookups, Origin, RequestFacts
from rtmail.desk.judging.sender import Sender, StaffProof, author, claimed, is_revoked, outsiders, signed_for_staff, staff_proof, stand_in
from rtmail.desk.people import PRIVACY, Directory, Person, Tie, listed
from rtmail.desk.ticket import Participant, Role
from rtmail.mail.address import key, split_detail
from rtmail.mail.model import Address, Kind, Proof
from rtmail.mail.reading.subject_words import absence
from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.token import Action, Detail
from rtmail.mail.writing.compose import bare_subject


class Sign(StrEnum):
    """How a mail names a request, the strongest first."""

    SIGNED = "signed address of the sender"
    OUR_ID = "our Message-ID"
    MARK = "mark in the quoted text"
    SIGNED_OTHER = "signed address of someone else"
    FOREIGN_ID = "foreign Message-ID"
    TAG = "subject tag"


_STRENGTH = {sign: rank for rank, sign in enumerate(Sign)}
STRONG = frozenset({Sign.SIGNED, Sign.OUR_ID, Sign.MARK, Sign.SIGNED_OTHER})
"""What a stranger cannot have without having seen a mail of ours; a foreign id and a number can be guessed or seen elsewhere."""
_PROVES = frozenset({Sign.SIGNED, Sign.OUR_ID, Sign.MARK})
"""What proves a participant; someone else's signed address rather shows that it was handed on."""

_ANSWERS = frozenset({Action.REPLY, Action.COMMENT})
_BY_REQUESTOR = frozenset({Action.APPROVE, Action.AGREE, Action.DISAGREE, Action.APPEAL})
_BY_PARTICIPANT = frozenset({Action.REOPEN, Action.MUTE, Action.UNMUTE, Action.SHOW, Action.CONFIRM_ALIAS})
_BY_STAFF = frozenset(Action) - _ANSWERS - _BY_REQUESTOR - {Action.BOUNCE, Action.MARK, Action.CONFIRM_ALIAS}
BY_PRIVACY = frozenset({Action.RELEASE, Action.REDACT, Action.ERASE})
"""Destructive: by people with the right "privacy", and only with DMARC pass or SMTP AUTH."""

_NO_REPLY = re.compile(r"(?:do[._-]?not|no)[._-]?(?:reply|respond)", re.IGNORECASE)
_SUPPRESSED = re.compile(r"\b(?:all|oof|autoreply)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clue:
    """One sign that names one request. `insiders`: it counts for people of that request only."""

    sign: Sign
    number: int
    text: str
    insiders: bool = False


class Case:
    """One mail before the table: everything that its rows ask, each worked out once, when first asked."""

    def __init__(self, evidence: Evidence, lookups: Lookups, site: Site, directory: Directory, now: datetime, confirmed: str) -> None:
        self.evidence, self.mail, self.envelope, self.lookups = evidence, evidence.mail, evidence.envelope, lookups
        self.site, self.directory, self.now, self.confirmed = site, directory, now, confirmed

    # -- who wrote --

    @cached_property
    def author(self) -> Address:
        return author(self.mail, self.envelope)

    @cached_property
    def stand_in(self) -> Address | None:
        return stand_in(self.mail, self.author, self.site, self.directory)

    @cached_property
    def person(self) -> Person | None:
        """The member of staff whom the mail claims as its author."""
        return claimed(self.mail, (self.author, *((self.stand_in,) if self.stand_in else ())), self.directory)

    @cached_property
    def party(self) -> int:
        """Party id of the one address that From names beyond doubt, 0 for nobody known."""
        person = self.directory.staff(self.mail.identity)
        return person.party if person else self.lookups.parties.get(key(self.mail.identity), 0) if self.mail.identity else 0

    @cached_property
    def details(self) -> tuple[Detail, ...]:
        """Details that are good: verified, in time, not revoked."""
        good = []
        for one in self.evidence.details:
            if one.detail is None or one.detail.action is Action.BOUNCE or self.revoked(one):
                continue
            good.append(one.detail)
        return tuple(good)

    def revoked(self, seen: DetailSeen) -> bool:
        detail = seen.detail
        if detail is None or detail.expires is None or detail.action in ABOUT_HOLDS:
            return False
        facts = self.lookups.requests.get(detail.request)
        return facts is not None and is_revoked(detail.expires, facts.revoked.get(detail.person))

    @cached_property
    def staff_details(self) -> tuple[Detail, ...]:
        return tuple(signed_for_staff(self.details, self.lookups.requests, self.directory))

    @cached_property
    def proof(self) -> StaffProof:
        """What proves the person claimed; a signed address counts for the request that it was made for, and no other."""
        if self.person is None:
            return StaffProof.NONE
        facts = self.facts
        signed = (detail for detail in self.staff_details
                  if facts and detail.action not in ABOUT_HOLDS and self.same(detail.request, facts))
        return staff_proof(self.person, self.evidence, signed, self.confirmed)

    @cached_property
    def staff(self) -> Person | None:
        """The member of staff who is proven to have written."""
        return self.person if self.proof is not StaffProof.NONE else None

    @cached_property
    def failed(self) -> bool:
        """A trusted server saw DMARC fail, and nothing stronger stands against it."""
        return self.mail.proof is Proof.DMARC_FAIL and self.staff is None

    # -- which request --

    @cached_property
    def clues(self) -> tuple[Clue, ...]:
        """Everything that names a request, the strongest first."""
        return tuple(sorted(self._clues(), key=lambda clue: _STRENGTH[clue.sign]))

    def _clues(self) -> Iterator[Clue]:
        for detail in self.details:
            if detail.action not in ABOUT_HOLDS:
                sign = Sign.SIGNED if detail.person == self.party != 0 else Sign.SIGNED_OTHER
                yield Clue(sign, detail.request, f"{sign} for {detail.action.name.lower()}")
        for own in self.evidence.own_ids:
            yield Clue(Sign.OUR_ID, own.number, f"{Sign.OUR_ID} {own.message_id}")
        for mark in self.evidence.marks:
            yield Clue(Sign.MARK, mark.request, Sign.MARK)
        foreign = list(self.evidence.foreign_ids)
        if self.person and self.mail.forwarded:
            # What a colleague forwards may be known already; a customer's forward says nothing about where it belongs.
            foreign.append(self.mail.forwarded.message_id)
        for message_id in foreign:
            for entry in self.lookups.ledger.get(message_id, ()):
                sign = Sign.OUR_ID if entry.origin is Origin.OURS else Sign.FOREIGN_ID
                yield Clue(sign, entry.number, f"{sign} {message_id}", entry.origin is Origin.REFERENCED)
        for number in self.evidence.tags:
            yield Clue(Sign.TAG, number, Sign.TAG)

    def request(self, number: int) -> RequestFacts | None:
        """Return the request, or the survivor of its merges; whoever took part in a merged one is Cc of the survivor."""
        facts, seen = self.lookups.requests.get(number), {number}
        brought: tuple[Participant, ...] = ()
        while facts is not None and facts.merged_into and facts.merged_into not in seen:
            seen.add(facts.merged_into)
            brought += tuple(replace(one, role=Role.CC) for one in facts.participants if one.role in (Role.REQUESTOR, Role.CC))
            facts = self.lookups.requests.get(facts.merged_into)
        return replace(facts, participants=facts.participants + brought) if facts and brought else facts

    def same(self, number: int, facts: RequestFacts) -> bool:
        """Tell whether `number` leads to this request."""
        led = self.request(number)
        return led is not None and led.number == facts.number

    @cached_property
    def named(self) -> tuple[tuple[Clue, RequestFacts], ...]:
        """The clues that count for this sender, with the requests that they lead to."""
        found = ((clue, self.request(clue.number)) for clue in self.clues)
        return tuple((clue, facts) for clue, facts in found
                     if facts and (not clue.insiders or self.roles(facts, self.party, self.author)))

    @cached_property
    def kept(self) -> RequestFacts | None:
        """The request whose reply address is used for something new: no reference, no reply prefix, another subject."""
        mail = self.mail
        if mail.in_reply_to or mail.references or mail.reply_prefix or mail.forwarded or not mail.subject.strip() or not self.named:
            return None
        if any(clue.sign not in (Sign.SIGNED, Sign.SIGNED_OTHER) for clue in self.clues):
            return None
        if any(detail.action is not Action.REPLY for detail in self.details):
            return None
        facts = self.named[0][1]
        bare, wanted = (bare_subject(subject, self.site).casefold() for subject in (mail.subject, facts.subject))
        # What a program put before a subject ("Automatic reply: ...") makes no other subject of it.
        before = bare.removesuffix(wanted)
        return None if before != bare and not before[-1:].isalnum() else facts

    @cached_property
    def facts(self) -> RequestFacts | None:
        """The request that the mail belongs to by its strongest sign, whoever wrote it; None for none."""
        return self.named[0][1] if self.named and not self.kept else None

    @cached_property
    def signs(self) -> frozenset[Sign]:
        return frozenset(clue.sign for clue, facts in self.named if self.facts and facts.number == self.facts.number)

    @cached_property
    def strong(self) -> bool:
        return bool(self.signs & STRONG)

    # -- what he is to it --

    def roles(self, facts: RequestFacts, party: int, address: Address) -> frozenset[Role]:
        """Return the roles of a person on a request; whoever staff removed has none."""
        if party and party in facts.removed:
            return frozenset()
        return frozenset(one.role for one in facts.participants
                         if (party and one.person == party) or (address.spec and one.address and key(one.address) == key(address.spec)))

    @cached_property
    def role(self) -> Role | None:
        """Requestor or Cc, by From alone."""
        return self.taking_part(self.facts, self.party, self.author)

    def taking_part(self, facts: RequestFacts | None, party: int, address: Address) -> Role | None:
        roles = self.roles(facts, party, address) if facts else frozenset()
        return next((role for role in (Role.REQUESTOR, Role.CC) if role in roles), None)

    @cached_property
    def verified(self) -> bool:
        """A participant who is proven enough: his words are passed on, he may bring others in."""
        if self.staff:
            return True
        return bool(self.mail.identity) and not self.failed and (bool(self.signs & _PROVES) or self.mail.proof is Proof.DMARC_PASS)

    @cached_property
    def tie(self) -> Tie:
        """What ties the sender to the requestor; nothing, once staff removed him."""
        facts, identity = self.facts, self.mail.identity
        if facts is None or not identity or (self.party and self.party in facts.removed):
            return Tie.NONE
        organisation = self.directory.organisation_of(identity)
        if organisation and organisation.key == facts.organisation and not self.directory.staff(identity):
            return Tie.ORGANISATION
        requestor = next((one for one in facts.participants if one.role is Role.REQUESTOR), None)
        return self.directory.tie(identity, requestor.address, self.site) if requestor else Tie.NONE

    @cached_property
    def colleague(self) -> Tie:
        """The tie, where the evidence suffices for it: all but the tag within an organisation, only strong signs within a domain."""
        if self.tie is Tie.ORGANISATION and self.signs - {Sign.TAG}:
            return Tie.ORGANISATION
        return Tie.DOMAIN if self.tie is Tie.DOMAIN and self.strong else Tie.NONE

    @cached_property
    def participant_by_reply_to(self) -> bool:
        stand_in = self.stand_in
        return stand_in is not None and self.taking_part(self.facts, self.lookups.parties.get(key(stand_in.spec), 0), stand_in) is not None

    # -- where to --

    @cached_property
    def admin_only(self) -> bool:
        return bool(self.evidence.doors) and all(seen.address.door is Door.ADMIN for seen in self.evidence.doors)

    @cached_property
    def doors(self) -> tuple[OwnAddress, ...]:
        """Our queue addresses among the recipients, in the order To, Cc, envelope."""
        return tuple(seen.address for seen in self.evidence.doors if seen.address.door is not Door.ADMIN)

    @cached_property
    def to_comment(self) -> bool:
        return any(own.door is Door.COMMENT for own in self.doors) or any(detail.action is Action.COMMENT for detail in self.details)

    @cached_property
    def to_public(self) -> bool:
        return any(own.door is Door.CORRESPONDENCE for own in self.doors)

    @cached_property
    def queue(self) -> str:
        """The queue in which a request opens: the first by To, Cc, envelope; the mailbox's; else the first of the house."""
        if self.doors:
            return self.doors[0].queue
        return self.envelope.queue or next(iter(self.directory.queues), "")

    def others(self, queue: str) -> tuple[str, ...]:
        """Queues to tell besides `queue`. A single address of another queue than the request's is one that was kept from before a move."""
        queues = tuple(dict.fromkeys(own.queue for own in self.doors))
        return tuple(one for one in queues if one != queue) if queue in queues else ()

    @cached_property
    def outside(self) -> tuple[Address, ...]:
        """Recipients in To and Cc who are neither ours nor staff."""
        return tuple(outsiders((*self.mail.to, *self.mail.cc), self.site, self.directory))

    @cached_property
    def customers_to(self) -> tuple[Address, ...]:
        return tuple(outsiders(self.mail.to, self.site, self.directory))

    @cached_property
    def participants_reached(self) -> bool:
        facts = self.facts
        there = {key(one.address) for one in facts.participants if one.role in (Role.REQUESTOR, Role.CC)} if facts else set()
        return any(key(one.spec) in there for one in self.outside)

    @cached_property
    def answers_internal(self) -> bool:
        """The mail answers internal mail of ours. Only the id answered counts: a thread carries ids of all kinds further up."""
        answered = self.mail.in_reply_to or self.mail.references[-1:]
        entries = (entry for one in answered for entry in self.lookups.ledger.get(one, ()))
        return any(entry.internal and self.facts and self.same(entry.number, self.facts) for entry in entries)

    @cached_property
    def colleagues_named(self) -> bool:
        """Another member of staff stands in To or Cc."""
        people = (self.directory.staff(one.spec) for one in (*self.mail.to, *self.mail.cc))
        return any(person and self.person and person.key != self.person.key for person in people)

    # -- what kind of mail --

    @cached_property
    def machine(self) -> bool:
        return self.mail.kind is Kind.MACHINE

    @cached_property
    def listed(self) -> bool:
        """The sender is a registered contact or a listed machine."""
        identity = self.mail.identity
        return bool(identity) and (self.directory.is_contact(identity) or listed(identity, self.site.machines))

    @cached_property
    def known(self) -> bool:
        """Somebody whom no junk filter sets aside: staff, contact, or participant of the request named."""
        return self.staff is not None or self.listed or (self.role is not None and self.verified)

    @cached_property
    def own_sender(self) -> bool:
        return split_detail(self.author.spec, self.site)[0] is not None

    @cached_property
    def answerable(self) -> bool:
        """Whether an automatic answer may go to the sender: the mail allows it, or only its machine or list signs stand against a
        listed sender; never without a believable From, after a failed check of the sender, to the null sender or to ourselves."""
        mail = self.mail
        if not mail.identity or mail.proof in (Proof.DMARC_FAIL, Proof.SPF_FAIL) or self.own_sender or self.envelope.sender == "":
            return False
        if mail.answerable:
            return True
        suppressed = any(_SUPPRESSED.search(value) for value in mail.headers.get("x-auto-response-suppress", ()))
        return self.listed and mail.kind in (Kind.MACHINE, Kind.LIST) and not suppressed and not _NO_REPLY.match(mail.identity)

    @cached_property
    def looks_automatic(self) -> bool:
        """Absence words in the subject that the request itself has not."""
        return bool(absence(self.mail.subject)) and not (self.facts and absence(self.facts.subject))

    # -- actions --

    @cached_property
    def action(self) -> tuple[Detail, RequestFacts | None] | None:
        """The action address that this mail uses as the person it was made for, where his role lets him; else None."""
        if self.machine or self.failed or not self.party:
            return None
        for detail in self.details:
            if detail.action in _ANSWERS or detail.person != self.party:
                continue
            facts = None if detail.action in ABOUT_HOLDS else self.request(detail.request)
            if self.may(detail, facts):
                return detail, facts
        return None

    def may(self, detail: Detail, facts: RequestFacts | None) -> bool:
        """Tell whether the sender's role of today lets him use an action address that was made for him.

        Such an address proves its person as a reply address does; DMARC fail was ruled out before.
        """
        person = self.staff or (self.person if detail in self.staff_details else None)
        role = self.taking_part(facts, self.party, self.author) if self.person is None or person else None
        if self.person is None and facts is not None and facts.notice:
            return detail.action in (Action.MUTE, Action.UNMUTE)
        if role and (detail.action in _BY_PARTICIPANT or (role is Role.REQUESTOR and detail.action in _BY_REQUESTOR)):
            return True
        if person is None or detail.action not in _BY_STAFF:
            return False
        if detail.action in BY_PRIVACY:
            return facts is not None and PRIVACY in person.rights
        if detail.action is Action.UNDO and facts and self.roles(facts, person.party, self.author):
            # Who moved a request to a queue that he does not serve may take that back; effects see to it that he does no more.
            return True
        return detail.action in ABOUT_HOLDS or (facts is not None and self.directory.may_answer(person, facts.queue))

    @cached_property
    def foreign_action(self) -> bool:
        """An action address is among the recipients that this sender may not use."""
        return any(detail.action not in _ANSWERS for detail in self.details)

    @cached_property
    def bare_click(self) -> bool:
        """A mail without a word, to an action address that this sender may not use."""
        return self.foreign_action and not self.mail.reply_text.strip() and not self.mail.attachments

    @cached_property
    def may_answer(self) -> bool:
        queue = self.facts.queue if self.facts else self.queue
        return self.staff is not None and self.directory.may_answer(self.staff, queue)

    @cached_property
    def may_comment(self) -> bool:
        """Whoever may answer, and colleagues whom somebody asked to watch or own the request."""
        roles = self.roles(self.facts, self.staff.party, self.author) if self.facts and self.staff else frozenset()
        return self.may_answer or bool(roles & {Role.OWNER, Role.WATCHER})

    # -- the sender as the Verdict shows him --

    def sender(self, *, by_reply_to: bool = False) -> Sender:
        """Return From, or the Reply-To that stands for it, as a Sender."""
        mail, person = self.mail, self.person
        if by_reply_to and self.stand_in and person is None:
            party = self.lookups.parties.get(key(self.stand_in.spec), 0)
            return Sender(self.stand_in, party=party, role=self.taking_part(self.facts, party, self.stand_in), by_reply_to=True)
        if person is not None:
            stand_in = self.stand_in if self.stand_in and self.directory.staff(self.stand_in.spec) else None
            roles = self.roles(self.facts, person.party, self.author) if self.facts else frozenset()
            role = next((role for role in Role if role in roles), None)
            return Sender(stand_in or self.author, party=person.party, staff=person.key, authenticated=self.staff is not None,
                          proof=mail.proof, staff_proof=self.proof, role=role, by_reply_to=stand_in is not None)
        return Sender(self.author, party=self.party, authenticated=bool(mail.identity) and mail.proof is Proof.DMARC_PASS, proof=mail.proof,
                      role=self.role)

    def told(self) -> tuple[str, ...]:
        """Return the evidence in lines for `rtmail why`."""
        mail = self.mail
        lines = [f"From {self.author.spec or '(none)'}" + ("" if mail.identity else ", which leaves room for doubt")]
        lines.append(f"{mail.proof}: {mail.proof_reason}" if mail.proof_reason else str(mail.proof))
        if self.person:
            lines.append(f"claims to be {self.person.key} of the staff, proof: {self.proof}")
        if self.stand_in:
            lines.append(f"Reply-To {self.stand_in.spec} stands for From")
        lines += [f"{seen.place}: {seen.address.spec}" for seen in self.evidence.doors]
        lines += [f"detail at {seen.address.spec} not used: {seen.rejected or 'revoked'}" for seen in self.evidence.details
                  if seen.rejected or self.revoked(seen)]
        for clue in self.clues:
            facts = self.request(clue.number)
            unknown = "" if facts else ", which is no request here"
            merged = f", merged into #{facts.number}" if facts and facts.number != clue.number else ""
            lines.append(f"{clue.text} names #{clue.number}{merged}{unknown}")
        if self.tie:
            lines.append(f"shares the requestor's {self.tie}")
        return tuple(lines)
