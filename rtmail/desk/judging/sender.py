"""Who wrote a mail: whom From names, whom Reply-To may stand for, which colleague it claims to be, and what proves that.

Called by `match` before it looks at the sender table. From is the only line that can prove anybody; Reply-To says at most
where a customer wants his answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from rtmail.desk.judging.evidence import ABOUT_HOLDS, Evidence, RequestFacts
from rtmail.desk.people import Directory, Person, Tie, listed
from rtmail.desk.ticket import Role
from rtmail.mail.address import key, normalise, parse_list, same_organisation_domain, split_detail
from rtmail.mail.model import Address, Envelope, Mail, Proof
from rtmail.mail.site import Site
from rtmail.mail.token import Action, Detail

STAFF_DETAIL_LIFE = timedelta(days=30)
"""How long a signed staff address lives (DESIGN 3); whoever signs one for staff lets it expire, or it proves nobody."""
MOST_CC = 20
"""So many Cc's of one mail join by themselves (DESIGN 5)."""


class StaffProof(StrEnum):
    """What proved that a member of staff wrote; the strongest that there is."""

    DMARC = "dmarc"
    AUTH = "auth"
    DKIM = "dkim"
    DETAIL = "detail"
    CONFIRMED = "confirmed"
    """The real address confirmed the held mail by its link."""
    NONE = "none"

    @property
    def strong(self) -> bool:
        """Enough for destructive words: merge, erase, release of held data."""
        return self in (StaffProof.DMARC, StaffProof.AUTH)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote.

    address        whom the words belong to: From, or Reply-To where it may stand for it; the spec may be "" (no From at all)
    party          party id, 0 for a person not known yet
    staff          key of the staff member that From claims to be, "" for none; believe it only when `authenticated`
    authenticated  staff: one of the proofs of DESIGN 5; others: From has DMARC pass
    proof          what a trusted server said about From
    role           his role on the request, None for none
    by_reply_to    the address stood in Reply-To; such an identity is never verified
    """

    address: Address
    party: int = 0
    staff: str = ""
    authenticated: bool = False
    proof: Proof = Proof.NONE
    staff_proof: StaffProof = StaffProof.NONE
    role: Role | None = None
    by_reply_to: bool = False


def author(mail: Mail, envelope: Envelope) -> Address:
    """Return whom From names, beyond doubt or not; the envelope sender where there is no From at all.

    What no mail can be sent to (a quoted local part, a domain literal) is not an address here: the spec is "" then.
    """
    if mail.identity:
        return Address(mail.identity, mail.sender.name)
    return mail.sender if mail.sender.spec else Address(normalise(envelope.sender or ""), mail.sender.name)


def stand_in(mail: Mail, written_by: Address, site: Site, directory: Directory) -> Address | None:
    """Return the Reply-To address that stands for From as requestor, None where From speaks for itself.

    It does where it shares From's organisation or non-public domain, or From is a listed web form, which alone may name a
    member of staff (who is then claimed, never proven).
    """
    if len(mail.reply_to) != 1 or not mail.identity:
        return None
    wanted = mail.reply_to[0]
    if key(wanted.spec) == key(written_by.spec) or split_detail(wanted.spec, site)[0]:
        return None
    if listed(written_by.spec, site.forms):
        return wanted
    return wanted if directory.tie(written_by.spec, wanted.spec, site) is not Tie.NONE else None


def claimed(mail: Mail, named: Iterable[Address], directory: Directory) -> Person | None:
    """Return the member of staff that the mail claims as its author.

    Where From leaves a choice, every address that any reader could find in it is a claim: a mail that some client
    shows as a colleague's is held, whatever another client shows.
    """
    specs = [one.spec for one in named]
    if not mail.identity:
        specs += [one.spec for one in parse_list(mail.headers.get("from", ()))]
    return next((person for spec in specs if (person := directory.staff(spec))), None)


def staff_proof(person: Person, evidence: Evidence, signed: Iterable[Detail], confirmed: str) -> StaffProof:
    """Return what proves that `person` wrote.

    signed     details made for staff that are good today and not revoked
    confirmed  key of the person whose real address confirmed this mail by its link, "" for none

    The person's address must be the single address of a single From, except for what he confirmed afterwards.
    """
    mail = evidence.mail
    if mail.identity and key(mail.identity) in map(key, person.addresses):
        if mail.proof is Proof.DMARC_PASS:
            return StaffProof.DMARC
        if evidence.envelope.auth_user == person.key:
            return StaffProof.AUTH
        if mail.proof is Proof.DKIM_ALIGNED:
            return StaffProof.DKIM
        if mail.proof is not Proof.DMARC_FAIL and any(detail.person == person.party for detail in signed):
            return StaffProof.DETAIL
    return StaffProof.CONFIRMED if confirmed == person.key else StaffProof.NONE


def signed_for_staff(details: Iterable[Detail], requests: Mapping[int, RequestFacts], directory: Directory) -> Iterator[Detail]:
    """Yield those of the details that prove the member of staff they were made for: with an expiry, and not revoked.

    What never expires was made for a customer; a customer who joined the staff does not prove himself by his old address.
    """
    for detail in details:
        if detail.action is Action.BOUNCE or detail.expires is None or not directory.by_party(detail.person):
            continue
        facts = None if detail.action in ABOUT_HOLDS else requests.get(detail.request)
        if facts is None or not is_revoked(detail.expires, facts.revoked.get(detail.person)):
            yield detail


def is_revoked(expires: date, revoked_on: date | None) -> bool:
    """Tell whether a detail with this last day was made on or before the day of revocation."""
    return revoked_on is not None and expires <= revoked_on + STAFF_DETAIL_LIFE


def outsiders(addresses: Iterable[Address], site: Site, directory: Directory) -> Iterator[Address]:
    """Yield the addresses that are neither ours nor of our staff."""
    for one in addresses:
        if split_detail(one.spec, site)[0] is None and directory.staff(one.spec) is None:
            yield one


def cc_joins(mail: Mail, sender: Sender, directory: Directory, site: Site, facts: RequestFacts | None = None,
             parties: Mapping[str, int] | None = None, limit: int = MOST_CC) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """Return who of the mail's other recipients becomes Cc, and who needs a word of staff first.

    facts    the request that the mail belongs to, None where it opens one: then all join, up to `limit`. Later ones join if
             the sender is proven (DMARC pass, SMTP AUTH) or they share his non-public domain.
    parties  `address.key` -> party id, by which those are known again whom staff removed; they come back by a word of
             staff only
    Never the sender, staff or addresses of ours.
    """
    known = {key(one.address) for one in facts.participants} if facts else set()
    known |= {key(sender.address.spec), key(mail.sender.spec)}
    proven = sender.proof is Proof.DMARC_PASS or sender.staff_proof.strong
    joins: list[Address] = []
    ask: list[Address] = []
    for one in outsiders((*mail.to, *mail.cc), site, directory):
        wanted = key(one.spec)
        if wanted in known:
            continue
        known.add(wanted)
        removed = facts is not None and (parties or {}).get(wanted, 0) in facts.removed
        allowed = facts is None or proven or same_organisation_domain(sender.address.spec, one.spec, site)
        (joins if allowed and not removed and len(joins) < limit else ask).append(one)
    return tuple(joins), tuple(ask)
