"""Authentication x token x role x address, on the whole road: exactly the allowed cells act, the others degrade as the sender table says.

Every mail says "take" and "Try this.", whoever writes it: to rtmail the one is a command only where it is staff's, and the other
goes out only where its writer may speak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.people import Person
from rtmail.mail.address import with_detail
from rtmail.mail.token import Action, sign
from rtmail.store import Outcome
from tests.fakes.house import KEYRING, House, blueprint, mail
from tests.fakes.staff import ANN, BOB, EVE, JANE, KIM, MAX, fresh_id, opened, request, sent_to

SAL, COLIN = "sal@staff.example", "colin@acme.example"
SUPPORT, COMMENT = "support@example.com", "support-comment@example.com"
KEYS = {JANE: "jane", KIM: "kim", MAX: "max", SAL: "sal"}
"""Kim is an engineer of the queue, Max a manager, Sal an engineer of another queue; Bob asked, Ann is in Cc, Colin is of their house."""

AUTHENTICATION = ("nothing", "dmarc pass", "dkim", "smtp auth", "dmarc fail")
TOKENS = (
    "none", "tag", "our id", "own reply", "own comment", "own take", "own resolve", "another's reply", "another's comment",
    "another's take", "customer's reply", "expired reply", "expired take", "forged reply", "foreign id",
)  # fmt: skip

CELLS: list[tuple[str, str, str, str, str]] = [
    # who, authentication, token, door, what it does
    # -- an engineer: any proof is enough for words and commands, and the address says which they are
    (KIM, "dmarc pass", "own reply", "public", "acts public inside"),
    (KIM, "dkim", "own reply", "public", "acts public inside"),
    (KIM, "smtp auth", "own reply", "public", "acts public inside"),
    (KIM, "nothing", "own reply", "public", "acts public inside"),
    (KIM, "dmarc fail", "own reply", "public", "held"),
    (KIM, "dmarc pass", "our id", "public", "acts public inside"),
    (KIM, "nothing", "our id", "public", "held"),
    (KIM, "dmarc pass", "tag", "public", "asked"),
    (KIM, "nothing", "tag", "public", "held"),
    (KIM, "dmarc pass", "foreign id", "public", "asked"),
    (KIM, "dmarc pass", "own comment", "comment", "acts inside"),
    (KIM, "nothing", "own comment", "comment", "acts inside"),
    (KIM, "dmarc fail", "own comment", "comment", "held"),
    (KIM, "dmarc pass", "tag", "comment", "acts inside"),
    (KIM, "nothing", "tag", "comment", "held"),
    (KIM, "smtp auth", "our id", "comment", "acts inside"),
    (KIM, "nothing", "expired reply", "public", "held"),
    (KIM, "dmarc pass", "expired reply", "public", "asked"),
    (KIM, "nothing", "forged reply", "public", "held"),
    (KIM, "nothing", "another's reply", "public", "held"),
    (KIM, "nothing", "another's comment", "comment", "held"),
    (KIM, "dmarc pass", "another's comment", "comment", "acts inside"),
    (KIM, "nothing", "customer's reply", "public", "held"),
    (KIM, "nothing", "own take", "public", "acts inside"),
    (KIM, "dmarc fail", "own take", "public", "held"),
    (KIM, "dmarc pass", "another's take", "public", "asked"),
    (KIM, "nothing", "another's take", "public", "held"),
    (KIM, "nothing", "expired take", "public", "held"),
    (KIM, "dmarc pass", "none", "public", "new"),
    # -- a manager may in any queue, an engineer of another one may not
    (MAX, "dmarc pass", "own reply", "public", "acts public inside"),
    (MAX, "nothing", "own take", "public", "acts inside"),
    (SAL, "dmarc pass", "own reply", "public", "inside"),
    (SAL, "dmarc pass", "own take", "public", "inside"),
    (SAL, "dmarc pass", "own comment", "comment", "inside"),
    (SAL, "nothing", "own reply", "public", "inside"),
    # -- participants: their words go on, their commands are words, and no address of staff serves them
    (BOB, "nothing", "own reply", "public", "public inside"),
    (BOB, "dmarc pass", "tag", "public", "public inside"),
    (BOB, "nothing", "tag", "public", "inside"),
    (BOB, "dmarc fail", "own reply", "public", "inside"),
    (BOB, "nothing", "own reply", "comment", "public inside"),
    (BOB, "nothing", "another's reply", "public", "inside"),
    (BOB, "dmarc pass", "another's take", "public", "public inside"),
    (BOB, "nothing", "another's take", "public", "inside"),
    (BOB, "nothing", "forged reply", "public", "inside"),
    (BOB, "nothing", "own resolve", "public", "public inside"),
    (ANN, "nothing", "own reply", "public", "public inside"),
    (ANN, "nothing", "foreign id", "public", "inside"),
    (ANN, "nothing", "own take", "public", "public inside"),
    # -- colleagues and strangers
    (COLIN, "nothing", "customer's reply", "public", "public inside"),
    (COLIN, "nothing", "tag", "public", "new"),
    (COLIN, "nothing", "another's comment", "comment", "public inside"),
    (EVE, "dmarc pass", "customer's reply", "public", "inside"),
    (EVE, "nothing", "our id", "public", "inside"),
    (EVE, "nothing", "another's take", "public", "inside"),
    (EVE, "nothing", "another's comment", "comment", "inside"),
    (EVE, "dmarc pass", "tag", "public", "new"),
    (EVE, "nothing", "forged reply", "public", "new"),
    (EVE, "nothing", "none", "comment", "new"),
]  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    plan = blueprint()
    people = {**plan.directory.people, "sal": Person("sal", "Sal Fox", SAL, queues=("sales",))}
    one = House(tmp_path, replace(plan, directory=replace(plan.directory, people=people)))
    yield one
    one.close()


def party(house: House, who: str) -> int:
    if who in KEYS:
        return house.engine.office.directory.people[KEYS[who]].party
    return house.store.party_for(who, "", house.now).id


def detail(house: House, who: str, token: str) -> str:
    """The signed detail that a token is, "" for those that stand elsewhere in a mail."""
    whose, _, what = token.rpartition(" ")
    action = {"reply": Action.REPLY, "comment": Action.COMMENT, "take": Action.TAKE, "resolve": Action.RESOLVE}.get(what)
    if action is None:
        return ""
    owner = {"another's": JANE, "customer's": BOB}.get(whose, who)
    lasts = timedelta(days=-1 if whose == "expired" else 20)
    expires = None if action is Action.REPLY and owner not in KEYS and whose != "expired" else (house.now + lasts).date()
    signed = sign(KEYRING, action, 1, party(house, owner), expires)
    return ("b" if signed[-1] == "a" else "a").join((signed[:-1], "")) if whose == "forged" else signed


@pytest.mark.parametrize(("who", "authentication", "token", "door", "does"), CELLS, ids=[" - ".join(cell[:4]) for cell in CELLS])
def test_exactly_the_allowed_cells_act(house: House, who: str, authentication: str, token: str, door: str, does: str) -> None:
    ours = sent_to(opened(house, cc=ANN), JANE, "opened")
    house.engine.command(1, "AddAdminCc: jane", "root", house.now)
    site, bare = house.engine.office.site, {"public": SUPPORT, "comment": COMMENT}[door]
    signed = detail(house, who, token)
    to = with_detail(bare, signed, site) if signed else bare
    headers = {"our id": f"In-Reply-To: {ours['Message-ID']}", "foreign id": f"In-Reply-To: {_first_id(house)}"}.get(token, "")
    number = "" if token in ("none", "foreign id", "our id") else "Re: [Example #1] "
    raw = mail(sender=f"X <{who}>", to=to, subject=f"{number}Printer down" if number else "Re: Printer down" if headers else "A word",
               text="take\n\nTry this.", message_id=fresh_id(who), headers=headers)
    spool = house.receive(_judged(authentication, who) + raw, to=to, sender=who, peer="127.0.0.1",
                          auth_user=KEYS[who] if authentication == "smtp auth" else "")
    assert _what_it_did(house, spool, who) == set(does.split())
    assert house.store.audit_counts().closes


def _first_id(house: House) -> str:
    return request(house).thread[0]


def _judged(authentication: str, who: str) -> bytes:
    """What our own mail server says about the sender."""
    domain = who.partition("@")[2]
    said = {"dmarc pass": f"dmarc=pass header.from={domain}", "dmarc fail": f"dmarc=fail header.from={domain}",
            "dkim": f"dkim=pass header.d={domain}"}.get(authentication)
    return f"Authentication-Results: mx.example.com; {said}\r\n".encode() if said else b""


def _what_it_did(house: House, spool: int, who: str) -> set[str]:
    row, ticket, sent = house.store.spool_row(spool), request(house), house.sent()
    did = {"acts"} if ticket.owner else set()
    assert not ticket.owner or ticket.owner == party(house, who), "whoever takes it has it"
    for one in sent:
        if "Try this." in one.text and one.item.template in ("words", "relayed"):
            assert one.item.recipient in (BOB, ANN)
            did.add("public")
        elif "Try this." in one.text and one.item.template in ("notice", "comment"):
            assert one.item.recipient.endswith("@staff.example")
            did.add("inside")
    if house.store.by_number(2):
        did = (did - {"inside"}) | {"new"}
    if row.outcome == Outcome.HELD:
        did.add("asked" if "asked" in {one.item.template for one in sent} else "held")
    return did


def test_the_table_is_whole() -> None:
    assert len(CELLS) >= 40
    assert len({cell[:4] for cell in CELLS}) == len(CELLS)
    assert {cell[1] for cell in CELLS} == set(AUTHENTICATION)
    assert {cell[2] for cell in CELLS} == set(TOKENS)
