"""What a mail does: the sender table of DESIGN 5 as a table of rules.

Second half of matching: `judge` takes the evidence of one mail and what the store knew about it, and returns a Verdict that
names the rule, the request and the sender. It decides nothing about clocks or mails; `decide` does, from the Verdict.

`RULES` is read from the top; the first row that applies decides, as in Mailman's chains. Each row names the row of the
table that it is, so that `rtmail why` can say it, and shapes its Verdict with the functions below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from rtmail.desk.evidence import ABOUT_HOLDS, DetailSeen, Evidence, Lookups, Origin, Place, RequestFacts
from rtmail.desk.people import PRIVACY, Directory, Person, Tie, listed
from rtmail.desk.sender import Sender, StaffProof, author, cc_joins, claimed, is_revoked, outsiders, signed_for_staff, staff_proof, stand_in
from rtmail.desk.ticket import Participant, Role, Status
from rtmail.mail.address import key, split_detail
from rtmail.mail.compose import bare_subject
from rtmail.mail.model import Address, Kind, Proof
from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.subject_words import absence
from rtmail.mail.token import Action, Detail

__all__ = ["RULES", "Link", "LinkKind", "Result", "Rule", "Sender", "Sign", "StaffProof", "Verdict", "judge"]


class Result(StrEnum):
    """What a mail is and does; one for each row of the table and for each kind of mail that never reaches the table."""

    NEW_REQUEST = "new-request"
    NEW_LINKED = "new-linked"
    """A new request linked to the one it names: evidence too weak, or fresh words to a kept reply address."""
    CONTINUES = "continues"
    """A new request linked "continues #N": the one it names is closed for longer than `reopen_within`."""
    CORRESPONDENCE = "correspondence"
    UNVERIFIED = "unverified"
    COLLEAGUE_JOINS = "colleague-joins"
    OUTSIDE = "outside"
    STAFF_CORRESPONDENCE = "staff-correspondence"
    STAFF_COMMENT = "staff-comment"
    STAFF_BOTH_ADDRESSES = "staff-both-addresses"
    """A comment; the author is asked."""
    STAFF_ASK_FIRST = "staff-ask-first"
    """Nothing goes out and nothing is recorded as correspondence until the author says what he meant (`ask` says why)."""
    STAFF_NO_RIGHT = "staff-no-right"
    """Authenticated, but without the right to act in this queue: kept as a comment, the author is told."""
    STAFF_TO_US = "staff-to-us"
    """To us alone, about no request: commands and queries run; other words open a request on which he is a customer."""
    STAFF_FORWARD_NEW = "staff-forward-new"
    STAFF_FORWARD_ON_REQUEST = "staff-forward-on-request"
    STAFF_ON_BEHALF = "staff-on-behalf"
    HOLD_STAFF_CLAIM = "hold-staff-claim"
    ACTION = "action"
    """A signed action address used by the person it was made for."""
    ACTION_NEEDS_PROOF = "action-needs-proof"
    """A destructive action by its person, but without DMARC pass or SMTP AUTH: not done, the person is told."""
    BOUNCE = "bounce"
    AUTO_REPLY = "auto-reply"
    REPORT = "report"
    LOOP = "loop"
    ADMIN = "admin"
    """To postmaster@ or abuse@ only: passed to the admin once."""
    ADMIN_LOOP = "admin-loop"
    """Our own mail or a bounce coming back to postmaster@: quarantine and log, never mail."""
    JUNK = "junk"


class LinkKind(StrEnum):
    CONTINUES = "continues"
    RELATED = "related"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that a new request gets."""

    kind: LinkKind
    number: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a mail does, by which rule, on what evidence.

    number        the request it belongs to (after merges), None where a new one opens or none is meant
    queue         the request's queue, or the one in which a new request opens; "" for ADMIN results
    other_queues  names of further queues it was sent to; their staff are told
    links         links of the new request
    door          correspondence or comment, as it counts for this sender
    requestor     of a request that opens: the sender, the forwarded From, or the customer written to; None where none opens, or
                  where nobody who could be written to stands in From
    joins         addresses that become Cc; ask_accept: those that need a word of staff
    answerable    an automatic answer may go to the sender
    reopens       these words may reopen a resolved or closed request
    stops_closing automatic closing stops until staff looked
    passed_on     the words may go to the other participants
    commands      commands of staff in it may run
    ask           why the author is asked, "" when he is not
    revoke        party ids of staff whose signed addresses were shown to outsiders: their details for the request end now
    detail        the signed detail that an ACTION (or a bounce) came in by
    outbox_id     the outgoing mail that a bounce or auto-reply came back for, 0 for none
    admin         postmaster@ or abuse@ was addressed too
    rule          name of the row that decided; reason: it in words; evidence: lines for `rtmail why`
    """

    result: Result
    rule: str
    reason: str
    sender: Sender
    number: int | None = None
    queue: str = ""
    other_queues: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    door: Door = Door.CORRESPONDENCE
    requestor: Address | None = None
    joins: tuple[Address, ...] = ()
    ask_accept: tuple[Address, ...] = ()
    answerable: bool = False
    reopens: bool = False
    stops_closing: bool = False
    passed_on: bool = False
    commands: bool = False
    ask: str = ""
    revoke: tuple[int, ...] = ()
    detail: Detail | None = None
    outbox_id: int = 0
    admin: bool = False
    evidence: tuple[str, ...] = ()


class Sign(StrEnum):
    """How a mail names a request, the strongest first."""

    SIGNED = "signed address of the sender"
    OUR_ID = "our Message-ID"
    MARK = "mark in the quoted text"
    SIGNED_OTHER = "signed address of someone else"
    FOREIGN_ID = "foreign Message-ID"
    TAG = "subject tag"


_STRENGTH = {sign: rank for rank, sign in enumerate(Sign)}
_STRONG = frozenset({Sign.SIGNED, Sign.OUR_ID, Sign.MARK, Sign.SIGNED_OTHER})
"""What a stranger cannot have without having seen a mail of ours; a foreign id and a number can be guessed or seen elsewhere."""
_PROVES = frozenset({Sign.SIGNED, Sign.OUR_ID, Sign.MARK})
"""What proves a participant; someone else's signed address rather shows that it was handed on."""

_ANSWERS = frozenset({Action.REPLY, Action.COMMENT})
_BY_REQUESTOR = frozenset({Action.APPROVE, Action.AGREE, Action.DISAGREE})
_BY_PARTICIPANT = frozenset({Action.REOPEN, Action.MUTE, Action.UNMUTE, Action.SHOW, Action.CONFIRM_ALIAS})
_BY_STAFF = frozenset(Action) - _ANSWERS - _BY_REQUESTOR - {Action.BOUNCE, Action.MARK, Action.CONFIRM_ALIAS}
_BY_PRIVACY = frozenset({Action.RELEASE, Action.REDACT})
"""Destructive: by people with the right "privacy", and only with DMARC pass or SMTP AUTH."""

_ENDED = frozenset({Status.CLOSED, Status.REJECTED})
_NO_REPLY = re.compile(r"(?:do[._-]?not|no)[._-]?(?:reply|respond)", re.IGNORECASE)
_SUPPRESSED = re.compile(r"\b(?:all|oof|autoreply)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clue:
    """One sign that names one request. `internal`: the mail answers internal mail of ours; `insiders`: it counts for people of that
    request only."""

    sign: Sign
    number: int
    text: str
    internal: bool = False
    insiders: bool = False


class Case:
    """One mail before the table: everything that its rows ask, each worked out once, when first asked."""

    def __init__(self, evidence: Evidence, lookups: Lookups, site: Site, directory: Directory, now: datetime, confirmed: str) -> None:
        self.evidence, self.lookups, self.site, self.directory, self.now, self.confirmed = evidence, lookups, site, directory, now, confirmed
        self.mail, self.envelope = evidence.mail, evidence.envelope

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
        return staff_proof(self.person, self.evidence, self.staff_details, self.confirmed) if self.person else StaffProof.NONE

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
            internal = any(entry.internal for entry in self.lookups.ledger.get(own.message_id, ()) if entry.number == own.number)
            yield Clue(Sign.OUR_ID, own.number, f"{Sign.OUR_ID} {own.message_id}", internal=internal)
        for mark in self.evidence.marks:
            yield Clue(Sign.MARK, mark.request, Sign.MARK)
        foreign = list(self.evidence.foreign_ids)
        if self.staff and self.mail.forwarded:
            foreign.append(self.mail.forwarded.message_id)
        for message_id in foreign:
            for entry in self.lookups.ledger.get(message_id, ()):
                sign = Sign.OUR_ID if entry.origin is Origin.OURS else Sign.FOREIGN_ID
                yield Clue(sign, entry.number, f"{sign} {message_id}", entry.internal, entry.origin is Origin.REFERENCED)
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

    @cached_property
    def named(self) -> tuple[tuple[Clue, RequestFacts], ...]:
        """The clues that count for this sender, with the requests that they lead to."""
        found = ((clue, self.request(clue.number)) for clue in self.clues)
        return tuple((clue, facts) for clue, facts in found if facts and not (clue.insiders and not self.roles(facts, self.party, self.author)))

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
        same = bare_subject(mail.subject, self.site).casefold() == bare_subject(facts.subject, self.site).casefold()
        return None if same else facts

    @cached_property
    def facts(self) -> RequestFacts | None:
        """The request that the mail belongs to by its strongest sign, whoever wrote it; None for none."""
        return self.named[0][1] if self.named and not self.kept else None

    @cached_property
    def signs(self) -> frozenset[Sign]:
        return frozenset(clue.sign for clue, facts in self.named if self.facts and facts.number == self.facts.number)

    @cached_property
    def strong(self) -> bool:
        return bool(self.signs & _STRONG)

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
        listed sender; never without a believable From, after DMARC fail, to the null sender or to ourselves."""
        mail = self.mail
        if not mail.identity or mail.proof is Proof.DMARC_FAIL or self.own_sender or self.envelope.sender == "":
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
            if self.may(detail.action, facts):
                return detail, facts
        return None

    def may(self, action: Action, facts: RequestFacts | None) -> bool:
        """Tell whether the sender's role of today lets him use `action`."""
        role = self.taking_part(facts, self.party, self.author)
        if self.person is None or (self.staff and role):
            if role is Role.REQUESTOR and action in _BY_REQUESTOR:
                return True
            if role is not None and action in _BY_PARTICIPANT:
                return True
        if self.staff is None or action not in _BY_STAFF:
            return False
        if action in _BY_PRIVACY:
            return facts is not None and PRIVACY in self.staff.rights
        return action in ABOUT_HOLDS or (facts is not None and self.directory.may_answer(self.staff, facts.queue))

    @cached_property
    def anothers_action(self) -> bool:
        """An action address is among the recipients that this sender may not use."""
        return any(detail.action not in _ANSWERS for detail in self.details)

    @cached_property
    def may_answer(self) -> bool:
        queue = self.facts.queue if self.facts else self.queue
        return self.staff is not None and self.directory.may_answer(self.staff, queue)

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
            return Sender(stand_in or self.author, party=person.party, staff=person.key, authenticated=self.staff is not None, proof=mail.proof,
                          staff_proof=self.proof, role=role, by_reply_to=stand_in is not None)
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


# -- the table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: its name, the row of DESIGN 5 (or the promise) that it is, when it applies, and how its Verdict is shaped."""

    name: str
    row: str
    result: Result
    applies: Callable[[Case], bool]
    shape: Callable[[Case, Verdict], Verdict]


def judge(evidence: Evidence, lookups: Lookups, site: Site, directory: Directory, now: datetime, *, confirmed: str = "") -> Verdict:
    """Return what the mail does.

    lookups    what the store answered for `evidence.keys` and `evidence.numbers`
    now        aware UTC; only the age of a closed request is measured with it
    confirmed  key of the staff member whose real address confirmed this held mail by its link, "" for none
    """
    case = Case(evidence, lookups, site, directory, now, confirmed)
    rule = next(rule for rule in RULES if rule.applies(case))
    verdict = Verdict(
        result=rule.result, rule=rule.name, reason=rule.row, sender=case.sender(), evidence=case.told(),
        door=Door.COMMENT if case.staff and case.to_comment else Door.CORRESPONDENCE,
        admin=any(seen.address.door is Door.ADMIN for seen in evidence.doors), revoke=_shown_outside(case),
    )
    return rule.shape(case, verdict)


def _shown_outside(case: Case) -> tuple[int, ...]:
    """Return whose signed staff addresses this mail shows to people outside: its recipients, or its author himself."""
    if case.staff and not case.outside:
        return ()
    return tuple(dict.fromkeys(detail.person for detail in case.staff_details if detail.action not in ABOUT_HOLDS))


def _plain(case: Case, verdict: Verdict) -> Verdict:
    return verdict


def _elsewhere(case: Case, verdict: Verdict) -> Verdict:
    """A mail that reaches no request, but may name a queue."""
    return replace(verdict, queue=case.queue)


def _inert(case: Case, verdict: Verdict) -> Verdict:
    """A robot's mail: recorded on the request that it certainly came back from, and nothing else."""
    outbox_id = next(iter(case.evidence.outbox_ids), 0)
    facts = case.request(case.lookups.outbox.get(outbox_id, 0))
    if facts is None and case.mail.kind is Kind.BOUNCE:
        facts = next((facts for clue, facts in case.named if clue.sign is Sign.OUR_ID), None)
    elif facts is None and (case.strong or case.role or case.staff):
        facts = case.facts
    return replace(verdict, number=facts.number if facts else None, queue=facts.queue if facts else case.queue, outbox_id=outbox_id)


def _action(case: Case, verdict: Verdict) -> Verdict:
    assert case.action is not None
    detail, facts = case.action
    sender = replace(verdict.sender, role=case.taking_part(facts, case.party, case.author) or verdict.sender.role)
    return replace(verdict, number=facts.number if facts else None, queue=facts.queue if facts else case.queue, detail=detail, sender=sender,
                   commands=case.staff is not None and verdict.result is Result.ACTION)


def _held(case: Case, verdict: Verdict) -> Verdict:
    return replace(verdict, number=case.facts.number if case.facts else None, queue=case.facts.queue if case.facts else case.queue)


# -- staff --


def _on_request(case: Case, verdict: Verdict) -> Verdict:
    """Staff on a request: nothing but what the row says; the words go nowhere by themselves."""
    assert case.facts is not None
    facts = case.facts
    return replace(verdict, number=facts.number, queue=facts.queue, other_queues=case.others(facts.queue), commands=case.may_answer and not case.machine)


def _staff_comment(case: Case, verdict: Verdict) -> Verdict:
    ask = "a customer is in To or Cc of this comment and has it already" if case.outside and not case.machine else ""
    return replace(_on_request(case, verdict), door=Door.COMMENT, ask=ask)


def _both_addresses(case: Case, verdict: Verdict) -> Verdict:
    return replace(_on_request(case, verdict), door=Door.COMMENT, ask="sent to the public and to the comment address; kept as a comment")


def _asked(why: str) -> Callable[[Case, Verdict], Verdict]:
    def shape(case: Case, verdict: Verdict) -> Verdict:
        return replace(_on_request(case, verdict), ask=why)

    return shape


def _staff_answer(case: Case, verdict: Verdict) -> Verdict:
    verdict = _on_request(case, verdict)
    joins, ask = cc_joins(case.mail, verdict.sender, case.directory, case.site, case.facts, case.lookups.parties)
    return replace(verdict, joins=joins, ask_accept=ask, passed_on=True)


def _to_us(case: Case, verdict: Verdict) -> Verdict:
    return replace(_opened(case, verdict), commands=not case.machine)


def _on_behalf(case: Case, verdict: Verdict) -> Verdict:
    """The first customer in To is the requestor; the others join like the Cc's of an opening mail."""
    first = case.customers_to[0]
    joins, ask = cc_joins(case.mail, verdict.sender, case.directory, case.site)
    others = tuple(one for one in joins if key(one.spec) != key(first.spec))
    return replace(_in_queue(case, verdict), requestor=first, joins=others, ask_accept=ask, commands=True)


def _forward_new(case: Case, verdict: Verdict) -> Verdict:
    assert case.mail.forwarded is not None
    return replace(_in_queue(case, verdict), requestor=case.mail.forwarded.sender, commands=True)


# -- customers and strangers --


def _in_queue(case: Case, verdict: Verdict) -> Verdict:
    """A request opens in the first queue addressed; a request whose reply address was used for it is linked."""
    links = (Link(LinkKind.RELATED, case.kept.number),) if case.kept else ()
    return replace(verdict, queue=case.queue, other_queues=case.others(case.queue), links=links)


def _opened(case: Case, verdict: Verdict) -> Verdict:
    """A new request of the sender. Who is not believed, and machines, bring nobody with them."""
    sender = case.sender(by_reply_to=True)
    joins, ask = cc_joins(case.mail, sender, case.directory, case.site)
    if case.machine or case.failed or not case.mail.identity:
        joins, ask = (), joins + ask
    writable = bool(sender.address.spec) and split_detail(sender.address.spec, case.site)[0] is None
    return replace(_in_queue(case, verdict), sender=sender, requestor=sender.address if writable else None, joins=joins, ask_accept=ask,
                   answerable=case.answerable and writable, stops_closing=case.failed)


def _linked(kind: LinkKind) -> Callable[[Case, Verdict], Verdict]:
    def shape(case: Case, verdict: Verdict) -> Verdict:
        number = case.facts.number if case.facts else case.kept.number if case.kept else 0
        return replace(_opened(case, verdict), links=(Link(kind, number),))

    return shape


def _recorded(case: Case, verdict: Verdict) -> Verdict:
    """Words on a request. DMARC fail and unlisted machines reopen nothing but stop automatic closing until staff looked."""
    assert case.facts is not None
    facts = case.facts
    doubtful = case.failed or (case.machine and not case.listed)
    _, others = cc_joins(case.mail, verdict.sender, case.directory, case.site, facts, case.lookups.parties, limit=0)
    return replace(verdict, number=facts.number, queue=facts.queue, other_queues=case.others(facts.queue), ask_accept=others,
                   reopens=not doubtful, stops_closing=doubtful)


def _corresponded(case: Case, verdict: Verdict) -> Verdict:
    verdict = _recorded(case, verdict)
    joins, ask = cc_joins(case.mail, verdict.sender, case.directory, case.site, case.facts, case.lookups.parties)
    if case.machine:
        joins, ask = (), joins + ask
    return replace(verdict, joins=joins, ask_accept=ask, passed_on=not case.machine, commands=case.staff is not None and case.may_answer)


def _by_reply_to(case: Case, verdict: Verdict) -> Verdict:
    return replace(_recorded(case, verdict), sender=case.sender(by_reply_to=True))


def _from_outside(case: Case, verdict: Verdict) -> Verdict:
    return replace(_recorded(case, verdict), ask_accept=(), reopens=False, answerable=case.answerable)


def _forwards(case: Case) -> bool:
    forwarded = case.mail.forwarded
    return forwarded is not None and forwarded.sender is not None and split_detail(forwarded.sender.spec, case.site)[0] is None


def _closed_too_long(case: Case) -> bool:
    facts = case.facts
    return facts is not None and facts.status in _ENDED and case.now - facts.status_at > facts.reopen_within


def _staff_on_request(case: Case) -> bool:
    return case.staff is not None and case.facts is not None


def _mailbox_only(case: Case) -> bool:
    return not case.details and all(seen.place is Place.MAILBOX for seen in case.evidence.doors)


def _answers_internal(case: Case) -> bool:
    facts = case.facts
    return any(clue.internal for clue, named in case.named if facts and named.number == facts.number)


RULES: tuple[Rule, ...] = (
    # Kinds of mail that never reach the table (promises 3, 8, 12).
    Rule("own-mail-to-admin", "our own mail, or a bounce, came back to postmaster", Result.ADMIN_LOOP,
         lambda c: c.admin_only and (c.mail.own or c.mail.kind is Kind.LOOP or (c.mail.kind is Kind.BOUNCE and not c.evidence.outbox_ids)), _plain),
    Rule("own-mail", "our own mail came back", Result.LOOP, lambda c: c.mail.own or c.mail.kind is Kind.LOOP, _elsewhere),
    Rule("bounce", "a delivery report, or mail from the null sender", Result.BOUNCE, lambda c: c.mail.kind is Kind.BOUNCE, _inert),
    Rule("report", "a report of a mail system", Result.REPORT, lambda c: c.mail.kind is Kind.REPORT, _inert),
    Rule("auto-reply", "an automatic answer", Result.AUTO_REPLY, lambda c: c.mail.kind is Kind.AUTO_REPLY, _inert),
    Rule("admin-address", "to postmaster or abuse of our domain", Result.ADMIN, lambda c: c.admin_only, _plain),
    Rule("junk", "junk by a trusted filter, from nobody we know", Result.JUNK, lambda c: c.mail.kind is Kind.JUNK and not c.known, _elsewhere),

    # A signed action address, used by the person it was made for (DESIGN 3; a destructive one needs more).
    Rule("action-needs-proof", "a destructive action needs DMARC pass or SMTP AUTH", Result.ACTION_NEEDS_PROOF,
         lambda c: c.action is not None and c.action[0].action in _BY_PRIVACY and not c.proof.strong, _action),
    Rule("action", "signed action address, used by the person it was made for", Result.ACTION, lambda c: c.action is not None, _action),

    # Staff.
    Rule("staff-unproven", "staff address, not authenticated | any", Result.HOLD_STAFF_CLAIM,
         lambda c: c.person is not None and c.staff is None, _held),
    Rule("staff-is-requestor", "participant (a member of staff who asked for something himself)", Result.CORRESPONDENCE,
         lambda c: _staff_on_request(c) and c.role is Role.REQUESTOR and not c.to_comment, _corresponded),
    Rule("staff-no-right", "staff, authenticated, without a right in this queue", Result.STAFF_NO_RIGHT,
         lambda c: _staff_on_request(c) and not c.may_answer, _on_request),
    Rule("staff-machine", "machine mail of staff is never passed on", Result.STAFF_COMMENT, lambda c: _staff_on_request(c) and c.machine, _staff_comment),
    Rule("staff-forwards", "staff, authenticated, forwards a mail | a request's", Result.STAFF_FORWARD_ON_REQUEST,
         lambda c: _staff_on_request(c) and _forwards(c), _on_request),
    Rule("staff-both-addresses", "staff mail to a correspondence and a comment address both", Result.STAFF_BOTH_ADDRESSES,
         lambda c: _staff_on_request(c) and c.to_comment and c.to_public, _both_addresses),
    Rule("staff-comment", "staff, authenticated | a request's: comment by address", Result.STAFF_COMMENT,
         lambda c: _staff_on_request(c) and c.to_comment, _staff_comment),
    Rule("staff-ask-another's-action", "a signed action address used by somebody else degrades safely", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.anothers_action, _asked("sent to an action address that was not made for you, or that you may not use")),
    Rule("staff-ask-answers-internal", "staff mail that answers internal mail at the public address", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and _answers_internal(c), _asked("it answers internal mail, but was sent to the public address")),
    Rule("staff-ask-weak", "staff, authenticated, to the public address | tag or foreign Message-ID only, and no participant in To/Cc",
         Result.STAFF_ASK_FIRST, lambda c: _staff_on_request(c) and not c.strong and not c.participants_reached,
         _asked("only the subject or a reference names this request")),
    Rule("staff-ask-mark-only", "staff mail at the bare public address whose mark may be that of internal mail", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.signs & _STRONG == {Sign.MARK} and not c.participants_reached,
         _asked("it may answer internal mail, but was sent to the public address")),
    Rule("staff-ask-colleagues-named", "staff mail to the public address that names another staff member and no outsider in To/Cc",
         Result.STAFF_ASK_FIRST, lambda c: _staff_on_request(c) and c.colleagues_named and not c.outside,
         _asked("it names a colleague and no customer, but was sent to the public address")),
    Rule("staff-ask-automatic", "subject words of an automatic answer, from staff, ask before sending", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.looks_automatic, _asked("its subject looks like that of an automatic answer")),
    Rule("staff-ask-no-address", "staff mail in a mailbox, with no address of ours in it", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and _mailbox_only(c), _asked("no address of ours tells whether it is for the customer")),
    Rule("staff-answers", "staff, authenticated | a request's: correspondence by address", Result.STAFF_CORRESPONDENCE, _staff_on_request, _staff_answer),
    Rule("staff-on-behalf", "staff, authenticated, fresh mail to a customer with us in Cc | none", Result.STAFF_ON_BEHALF,
         lambda c: c.may_answer and bool(c.customers_to) and not c.machine, _on_behalf),
    Rule("staff-forwards-new", "staff, authenticated, forwards a mail | none", Result.STAFF_FORWARD_NEW,
         lambda c: c.may_answer and _forwards(c), _forward_new),
    Rule("staff-to-us", "staff, authenticated, to us alone | none", Result.STAFF_TO_US, lambda c: c.staff is not None, _to_us),

    # Customers and strangers, on a request.
    Rule("stranger-weak", "stranger or any colleague | tag or foreign Message-ID only", Result.NEW_LINKED,
         lambda c: c.facts is not None and not c.role and not c.strong and not c.colleague, _linked(LinkKind.RELATED)),
    Rule("closed-too-long", "anyone but staff | closed longer than reopen_within", Result.CONTINUES, _closed_too_long, _linked(LinkKind.CONTINUES)),
    Rule("dmarc-fail", "DMARC fail by a trusted id: as unverified", Result.UNVERIFIED,
         lambda c: c.facts is not None and c.failed and bool(c.role or c.colleague), _recorded),
    Rule("participant", "participant | signed address, our Message-ID, mark, or DMARC pass", Result.CORRESPONDENCE,
         lambda c: c.facts is not None and c.role is not None and c.verified, _corresponded),
    Rule("participant-unverified", "participant | tag or foreign Message-ID only", Result.UNVERIFIED,
         lambda c: c.facts is not None and c.role is not None, _recorded),
    Rule("colleague-organisation", "colleague, same configured organisation | all but tag only", Result.COLLEAGUE_JOINS,
         lambda c: c.facts is not None and c.colleague is Tie.ORGANISATION, _corresponded),
    Rule("colleague-domain", "colleague, same non-public mail domain only | signed address, our Message-ID or mark", Result.COLLEAGUE_JOINS,
         lambda c: c.facts is not None and c.colleague is Tie.DOMAIN, _corresponded),
    Rule("participant-by-reply-to", "an identity from Reply-To is never verified", Result.UNVERIFIED,
         lambda c: c.facts is not None and c.participant_by_reply_to, _by_reply_to),
    Rule("outside", "stranger | signed address of someone else, or our verifiable Message-ID or mark", Result.OUTSIDE,
         lambda c: c.facts is not None, _from_outside),

    # No request.
    Rule("kept-address", "a reply detail with no reference, no reply prefix and another subject", Result.NEW_LINKED,
         lambda c: c.kept is not None, _linked(LinkKind.RELATED)),
    Rule("new", "anyone not staff | none", Result.NEW_REQUEST, lambda c: True, _opened),
)
"""The order of rules; the first that applies decides."""
