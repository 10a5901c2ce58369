"""What a mail does: the sender table of DESIGN 5 as a table of rules.

Second half of matching: `judge` takes the evidence of one mail and what the store knew about it, and returns a Verdict that
names the rule, the request and the sender. It decides nothing about clocks or mails; `decide` does, from the Verdict.

`RULES` is read from the top; the first row that applies decides, as in Mailman's chains. Each row names the row of the
table that it is, so that `rtmail why` can say it, and shapes its Verdict with the functions below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rtmail.desk.judging.case import BY_PRIVACY, STRONG, Case, Sign
from rtmail.desk.judging.evidence import ABOUT_HOLDS, Evidence, Lookups, Place
from rtmail.desk.judging.sender import Sender, StaffProof, cc_joins
from rtmail.desk.people import Directory, Tie
from rtmail.desk.ticket import Role, Status
from rtmail.mail.address import key, split_detail
from rtmail.mail.model import Address, Kind
from rtmail.mail.site import Door, Site
from rtmail.mail.token import Detail

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
    INCIDENT = "incident"
    """It answers what was told of an incident: whoever is affected sees nothing of what others write."""


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


_ENDED = frozenset({Status.CLOSED, Status.REJECTED})


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
    if case.person and not case.staff:
        sender = replace(sender, authenticated=True, staff_proof=StaffProof.DETAIL)
    return replace(verdict, number=facts.number if facts else None, queue=facts.queue if facts else case.queue, detail=detail,
                   sender=sender, commands=case.person is not None and verdict.result is Result.ACTION)


def _held(case: Case, verdict: Verdict) -> Verdict:
    return replace(verdict, number=case.facts.number if case.facts else None, queue=case.facts.queue if case.facts else case.queue)


# -- staff --


def _on_request(case: Case, verdict: Verdict) -> Verdict:
    """Staff on a request: nothing but what the row says; the words go nowhere by themselves."""
    assert case.facts is not None
    facts = case.facts
    return replace(verdict, number=facts.number, queue=facts.queue, other_queues=case.others(facts.queue),
                   commands=case.may_answer and not case.machine)


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
    """Words on a request. DMARC fail and unlisted machines reopen nothing but stop automatic closing until staff looked; a bare click
    on a link that was made for somebody else reopens nothing either."""
    assert case.facts is not None
    facts = case.facts
    doubtful = case.failed or (case.machine and not case.listed)
    _, others = cc_joins(case.mail, verdict.sender, case.directory, case.site, facts, case.lookups.parties, limit=0)
    return replace(verdict, number=facts.number, queue=facts.queue, other_queues=case.others(facts.queue), ask_accept=others,
                   reopens=not doubtful and not case.bare_click, stops_closing=doubtful)


def _corresponded(case: Case, verdict: Verdict) -> Verdict:
    verdict = _recorded(case, verdict)
    joins, ask = cc_joins(case.mail, verdict.sender, case.directory, case.site, case.facts, case.lookups.parties)
    if case.machine:
        joins, ask = (), joins + ask
    return replace(verdict, joins=joins, ask_accept=ask, passed_on=not case.machine,
                   commands=case.staff is not None and case.may_answer and not case.machine)


def _by_reply_to(case: Case, verdict: Verdict) -> Verdict:
    return replace(_recorded(case, verdict), sender=case.sender(by_reply_to=True))


def _from_outside(case: Case, verdict: Verdict) -> Verdict:
    return replace(_recorded(case, verdict), ask_accept=(), reopens=False, answerable=case.answerable)


def _own(case: Case) -> bool:
    return case.mail.own or case.mail.kind is Kind.LOOP


def _forwards(case: Case) -> bool:
    """An answer that quotes with a header block, or has a mail attached, stays an answer."""
    forwarded = case.mail.forwarded
    if forwarded is None or forwarded.sender is None or case.mail.reply_prefix:
        return False
    return split_detail(forwarded.sender.spec, case.site)[0] is None


def _closed_too_long(case: Case) -> bool:
    facts = case.facts
    return facts is not None and facts.status in _ENDED and case.now - facts.status_at > facts.reopen_within


def _staff_on_request(case: Case) -> bool:
    return case.staff is not None and case.facts is not None


def _mailbox_only(case: Case) -> bool:
    return not case.details and all(seen.place is Place.MAILBOX for seen in case.evidence.doors)


RULES: tuple[Rule, ...] = (
    # Kinds of mail that never reach the table (promises 3, 8, 12).
    Rule("own-mail-to-admin", "our own mail, or a bounce, came back to postmaster", Result.ADMIN_LOOP,
         lambda c: c.admin_only and (_own(c) or (c.mail.kind is Kind.BOUNCE and not c.evidence.outbox_ids)), _plain),
    Rule("own-mail", "our own mail came back", Result.LOOP, _own, _elsewhere),
    Rule("bounce", "a delivery report, or mail from the null sender", Result.BOUNCE,
         lambda c: c.mail.kind is Kind.BOUNCE, _inert),
    Rule("report", "a report of a mail system", Result.REPORT,
         lambda c: c.mail.kind is Kind.REPORT, _inert),
    Rule("auto-reply", "an automatic answer", Result.AUTO_REPLY,
         lambda c: c.mail.kind is Kind.AUTO_REPLY, _inert),
    Rule("admin-address", "to postmaster or abuse of our domain", Result.ADMIN,
         lambda c: c.admin_only, _plain),
    Rule("junk", "junk by a trusted filter, from nobody we know", Result.JUNK,
         lambda c: c.mail.kind is Kind.JUNK and not c.known, _elsewhere),

    # A signed action address, used by the person it was made for (DESIGN 3; a destructive one needs more).
    Rule("action-needs-proof", "a destructive action needs DMARC pass or SMTP AUTH", Result.ACTION_NEEDS_PROOF,
         lambda c: c.action is not None and c.action[0].action in BY_PRIVACY and not c.proof.strong, _action),
    Rule("action", "signed action address, used by the person it was made for", Result.ACTION,
         lambda c: c.action is not None, _action),

    # Staff.
    Rule("staff-unproven", "staff address, not authenticated | any", Result.HOLD_STAFF_CLAIM,
         lambda c: c.person is not None and c.staff is None, _held),
    Rule("staff-is-requestor", "participant (a member of staff who asked for something himself)", Result.CORRESPONDENCE,
         lambda c: _staff_on_request(c) and c.role is Role.REQUESTOR and not c.to_comment, _corresponded),
    Rule("staff-no-right", "staff, authenticated, without a right in this queue", Result.STAFF_NO_RIGHT,
         lambda c: _staff_on_request(c) and not (c.may_comment if c.to_comment and not c.to_public else c.may_answer), _on_request),
    Rule("staff-machine", "machine mail of staff is never passed on", Result.STAFF_COMMENT,
         lambda c: _staff_on_request(c) and c.machine, _staff_comment),
    Rule("staff-forwards", "staff, authenticated, forwards a mail | a request's", Result.STAFF_FORWARD_ON_REQUEST,
         lambda c: _staff_on_request(c) and _forwards(c), _on_request),
    Rule("staff-both-addresses", "staff mail to a correspondence and a comment address both", Result.STAFF_BOTH_ADDRESSES,
         lambda c: _staff_on_request(c) and c.to_comment and c.to_public, _both_addresses),
    Rule("staff-comment", "staff, authenticated | a request's: comment by address", Result.STAFF_COMMENT,
         lambda c: _staff_on_request(c) and c.to_comment, _staff_comment),
    Rule("staff-ask-bounce-address", "staff mail to the address that bounces and vacation programs answer", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and bool(c.evidence.outbox_ids),
         _asked("it came to the address that only mail programs answer, so a program may have written it")),
    Rule("staff-ask-foreign-action", "a signed action address used by somebody else degrades safely", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.foreign_action,
         _asked("sent to an action address that was not made for you, or that you may not use")),
    Rule("staff-ask-answers-internal", "staff mail that answers internal mail at the public address", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.answers_internal, _asked("it answers internal mail, but was sent to the public address")),
    Rule("staff-ask-weak", "staff, authenticated, to the public address | tag or foreign Message-ID only, and no participant in To/Cc",
         Result.STAFF_ASK_FIRST, lambda c: _staff_on_request(c) and not c.strong and not c.participants_reached,
         _asked("only the subject or a reference names this request")),
    Rule("staff-ask-mark-only", "staff mail at the bare public address whose mark may be that of internal mail", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.signs & STRONG == {Sign.MARK} and not c.participants_reached,
         _asked("it may answer internal mail, but was sent to the public address")),
    Rule("staff-ask-colleagues-named", "staff mail to the public address that names another staff member and no outsider in To/Cc",
         Result.STAFF_ASK_FIRST, lambda c: _staff_on_request(c) and c.colleagues_named and not c.outside,
         _asked("it names a colleague and no customer, but was sent to the public address")),
    Rule("staff-ask-automatic", "subject words of an automatic answer, from staff, ask before sending", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and c.looks_automatic, _asked("its subject looks like that of an automatic answer")),
    Rule("staff-ask-no-address", "staff mail in a mailbox, with no address of ours in it", Result.STAFF_ASK_FIRST,
         lambda c: _staff_on_request(c) and _mailbox_only(c), _asked("no address of ours tells whether it is for the customer")),
    Rule("staff-answers", "staff, authenticated | a request's: correspondence by address", Result.STAFF_CORRESPONDENCE,
         _staff_on_request, _staff_answer),
    Rule("staff-on-behalf", "staff, authenticated, fresh mail to a customer with us in Cc | none", Result.STAFF_ON_BEHALF,
         lambda c: c.may_answer and bool(c.customers_to) and not c.machine, _on_behalf),
    Rule("staff-forwards-new", "staff, authenticated, forwards a mail | none", Result.STAFF_FORWARD_NEW,
         lambda c: c.may_answer and _forwards(c), _forward_new),
    Rule("staff-to-us", "staff, authenticated, to us alone | none", Result.STAFF_TO_US,
         lambda c: c.staff is not None, _to_us),

    # Customers and strangers, on a request.
    Rule("incident", "an answer to what was told of an incident is a request of its own", Result.NEW_LINKED,
         lambda c: c.facts is not None and c.facts.notice, _linked(LinkKind.INCIDENT)),
    Rule("stranger-weak", "stranger or any colleague | tag or foreign Message-ID only", Result.NEW_LINKED,
         lambda c: c.facts is not None and not c.role and not c.strong and not c.colleague, _linked(LinkKind.RELATED)),
    Rule("closed-too-long", "anyone but staff | closed longer than reopen_within", Result.CONTINUES,
         _closed_too_long, _linked(LinkKind.CONTINUES)),
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
