"""A house with its requests, and mails composed to be judged there: what test_match writes its tables in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from rtmail.desk.judging.evidence import Evidence, LedgerEntry, Lookups, Origin, RequestFacts, gather
from rtmail.desk.judging.match import Verdict, judge
from rtmail.desk.people import Directory, ManagementRole, Organisation, Person, Queue
from rtmail.desk.ticket import Participant, Role, Status
from rtmail.mail.address import split_detail, with_detail
from rtmail.mail.model import Address, Bounce, Envelope, Forwarded, Kind, Mail, Proof
from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.token import Action, Keyring, make_mark, make_message_id, sign

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
LATER = TODAY + timedelta(days=20)
YESTERDAY = TODAY - timedelta(days=1)
KEYRING = Keyring(0, {0: b"k" * 32})

SUPPORT, COMMENT = "support@example.com", "support-comment@example.com"
SALES, SALES_COMMENT = "sales@example.com", "sales-comment@example.com"
OWN = (
    OwnAddress(SUPPORT, "support", Door.CORRESPONDENCE), OwnAddress(COMMENT, "support", Door.COMMENT),
    OwnAddress(SALES, "sales", Door.CORRESPONDENCE), OwnAddress(SALES_COMMENT, "sales", Door.COMMENT),
    OwnAddress("postmaster@example.com", "", Door.ADMIN), OwnAddress("abuse@example.com", "", Door.ADMIN),
)
SITE = Site(
    name="Example", tag="Example", domain="example.com", admin="ops@example.net", addresses={own.spec: own for own in OWN},
    machines=("nagios@monitor.example",), forms=("form@web.example",),
)

JANE, CARL, ANN, PRU, WILL = 1, 2, 3, 4, 5
"""Staff: engineer of support, manager, engineer of sales, privacy officer, engineer of sales who watches #5."""
BOB, CAROL, COLIN, DAVE, EVE, REX, TOM = 101, 102, 103, 105, 106, 107, 108
"""Customers: requestor of #5, his Cc at a partner, his colleague at acme, requestor of #7, of the merged #11, removed from #5, of #9."""

DIRECTORY = Directory(
    people={
        "jane": Person("jane", "Jane Doe", "jane@example.com", ("jane.doe@example.com",), queues=("support",), party=JANE),
        "carl": Person("carl", "Carl Fox", "carl@example.com", rights=frozenset({"manager"}), party=CARL),
        "ann": Person("ann", "Ann Lee", "ann@example.com", queues=("sales",), party=ANN),
        "pru": Person("pru", "Pru Roy", "pru@example.com", rights=frozenset({"privacy"}), party=PRU),
        "will": Person("will", "Will Orr", "will@example.com", queues=("sales",), party=WILL),
    },
    queues={"support": Queue("support", SUPPORT, COMMENT, "default"), "sales": Queue("sales", SALES, SALES_COMMENT, "default")},
    roles={"cto": ManagementRole("cto", "carl", "ann")},
    organisations={"acme": Organisation("acme", "Acme", ("acme.example",), ("boss@gmail.com",))},
)


def took(person: int, role: Role, spec: str) -> Participant:
    return Participant(person, role, spec, "")


REQUESTS = {
    5: RequestFacts(5, "support", Status.OPEN, NOW - timedelta(days=3), "Printer down", (
        took(BOB, Role.REQUESTOR, "bob@acme.example"), took(CAROL, Role.CC, "carol@partner.example"), took(JANE, Role.OWNER, ""),
        took(WILL, Role.WATCHER, ""),
    ), removed=frozenset({REX}), organisation="acme"),
    7: RequestFacts(7, "support", Status.OPEN, NOW - timedelta(days=3), "Router", (took(DAVE, Role.REQUESTOR, "dave@small.example"),)),
    9: RequestFacts(9, "support", Status.CLOSED, NOW - timedelta(days=31), "Old", (took(TOM, Role.REQUESTOR, "tom@small.example"),)),
    10: RequestFacts(10, "support", Status.CLOSED, NOW - timedelta(days=29), "Young", (took(TOM, Role.REQUESTOR, "tom@small.example"),)),
    11: RequestFacts(11, "support", Status.MERGED, NOW - timedelta(days=2), "Printer", (took(EVE, Role.REQUESTOR, "eve@other.example"),),
                     merged_into=5),
    12: RequestFacts(12, "sales", Status.OPEN, NOW - timedelta(days=2), "Offer", (took(DAVE, Role.REQUESTOR, "dave@small.example"),)),
    13: RequestFacts(13, "sales", Status.OPEN, NOW - timedelta(days=2), "My desk", (took(JANE, Role.REQUESTOR, "jane@example.com"),)),
    14: RequestFacts(14, "support", Status.RESOLVED, NOW - timedelta(days=60), "Done", (took(TOM, Role.REQUESTOR, "tom@small.example"),)),
    15: RequestFacts(15, "support", Status.OPEN, NOW - timedelta(days=1), "Automatic reply is broken", (
        took(BOB, Role.REQUESTOR, "bob@acme.example"),), organisation="acme"),
    16: RequestFacts(16, "support", Status.OPEN, NOW - timedelta(days=1), "Mail is slow", (took(JANE, Role.OWNER, ""),), notice=True),
}
PARTIES = {
    "bob@acme.example": BOB, "carol@partner.example": CAROL, "colin@acme.example": COLIN, "dave@small.example": DAVE,
    "eve@other.example": EVE,
    "rex@acme.example": REX, "tom@small.example": TOM,
}
LEDGER = {
    "<first@acme.example>": (LedgerEntry(5, Origin.SEEN),),
    "<cited@elsewhere.example>": (LedgerEntry(5, Origin.REFERENCED),),
    "<kept-after-key-loss@example.com>": (LedgerEntry(5, Origin.OURS),),
    "<router@small.example>": (LedgerEntry(7, Origin.SEEN),),
}
LOOKUPS = Lookups(ledger=LEDGER, requests=REQUESTS, parties=PARTIES, outbox={77: 5, 78: 11})


def at(action: Action, number: int, person: int, *, address: str = SUPPORT, expires: date | None = None) -> str:
    """Return an address of ours with a signed detail."""
    return with_detail(address, sign(KEYRING, action, number, person, expires), SITE)


def staff_at(action: Action, number: int, person: int, *, address: str = SUPPORT, expires: date = LATER) -> str:
    return at(action, number, person, address=address, expires=expires)


def our_id(number: int, event: int = 1) -> str:
    return make_message_id(KEYRING, number, event, "example.com")


def mark(number: int, person: int) -> str:
    return make_mark(KEYRING, number, person)


def people(specs: Sequence[str]) -> tuple[Address, ...]:
    return tuple(Address(spec) for spec in specs)


def letter(
    sender: str = "bob@acme.example", to: Sequence[str] = (SUPPORT,), cc: Sequence[str] = (), *, identity: str | None = None,
    reply_to: Sequence[str] = (), subject: str = "Re: Printer down", in_reply_to: Sequence[str] = (), references: Sequence[str] = (),
    marks: Sequence[str] = (), tags: Sequence[int] = (), proof: Proof = Proof.NONE, kind: Kind = Kind.REQUEST_OR_REPLY,
    answerable: bool = True,
    forwarded: Forwarded | None = None, bounce: Bounce | None = None, own: bool = False,
    headers: Mapping[str, tuple[str, ...]] | None = None,
) -> Mail:
    """Return a mail as reading would have made it."""
    return Mail(
        message_id="<new@client.example>", date=NOW, subject=subject, sender=Address(sender),
        identity=sender if identity is None else identity,
        reply_to=people(reply_to), to=people(to), cc=people(cc), in_reply_to=tuple(in_reply_to), references=tuple(references), text="words",
        reply_text="words", attachments=(), kind=kind, answerable=answerable, reason="", bounce=bounce, forwarded=forwarded,
        marks=tuple(marks),
        tags=tuple(tags), reply_prefix=subject.lower().startswith("re:"), proof=proof, proof_reason="", fingerprint="", own=own,
        headers=headers or {},
    )


def envelope(*recipients: str, sender: str | None = "bounce@client.example", auth: str = "", queue: str = "") -> Envelope:
    return Envelope(sender=sender, recipients=recipients, ingress="smtp" if recipients else "imap:box", arrived_at=NOW, auth_user=auth,
                    queue=queue)


def gathered(mail: Mail, through: Envelope | None = None, *, site: Site = SITE) -> Evidence:
    ours = [one.spec for one in (*mail.to, *mail.cc) if split_detail(one.spec, site)[0]]
    return gather(mail, through or envelope(*ours or [SUPPORT]), site, KEYRING, TODAY)


def judged(mail: Mail, through: Envelope | None = None, *, lookups: Lookups = LOOKUPS, site: Site = SITE, confirmed: str = "") -> Verdict:
    return judge(gathered(mail, through, site=site), lookups, site, DIRECTORY, NOW, confirmed=confirmed)


def with_request(number: int, **changes: object) -> Lookups:
    """Return the lookups with one request changed."""
    return replace(LOOKUPS, requests={**REQUESTS, number: replace(REQUESTS[number], **changes)})  # type: ignore[arg-type]
