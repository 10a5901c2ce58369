"""Staff at work in a `House`: answers, commands by mail, and their automatic answers."""

from __future__ import annotations

from itertools import count
from urllib.parse import parse_qs

from rtmail.desk.ticket import Ticket
from tests.fakes.daemon import next_date, reply
from tests.fakes.house import House, Sent, mail

BOB, ANN, EVE, BOSS = "bob@acme.example", "ann@acme.example", "eve@elsewhere.example", "boss@acme.example"
JANE, KIM, MAX, CARL = "jane@staff.example", "kim@staff.example", "max@staff.example", "carl@staff.example"
NAMES = {JANE: "Jane Doe", KIM: "Kim Lee", MAX: "Max Boss", CARL: "Carl Roe"}
NAMES |= {BOB: "Bob Roe", ANN: "Ann Poe", EVE: "Eve Moe", BOSS: "Big Boss"}
_COUNT = count(1)


def fresh_id(who: str) -> str:
    return f"<m{next(_COUNT)}@{who.rpartition('@')[2]}>"


def trusted(raw: bytes, who: str) -> bytes:
    """As our own MTA hands it in: its verdict on top."""
    return f"Authentication-Results: mx.example.com; dmarc=pass header.from={who.rpartition('@')[2]}\r\n".encode() + raw


def sent_to(sent: list[Sent], recipient: str, template: str = "") -> Sent:
    """The one mail of `sent` to this recipient."""
    found = [one for one in sent if one.item.recipient == recipient and template in ("", one.item.template)]
    assert len(found) == 1, f"{len(found)} mails of {template or 'any kind'} to {recipient} in {sent}"
    return found[0]


def flat(sent: Sent) -> str:
    """The words of a mail in one line."""
    return " ".join(sent.text.split())


def swept(house: House) -> list[Sent]:
    """What goes out by itself at this instant."""
    house.sweep()
    return house.sent()


def receivers(sent: list[Sent], template: str) -> set[str]:
    return {one.item.recipient for one in sent if one.item.template == template}


def address_of(header: str) -> str:
    return header.rpartition("<")[2].rstrip(">")


def opened(
    house: House,
    *,
    who: str = BOB,
    subject: str = "Printer down",
    text: str = "It is down.",
    cc: str = "",
    queue: str = "support",
    headers: str = "",
) -> list[Sent]:
    """A request of `who`; returns what went out."""
    lines = "\n".join(filter(None, [f"Cc: {cc}" if cc else "", headers]))
    house.receive(
        mail(
            sender=f"{NAMES[who]} <{who}>", to=f"{queue}@example.com", subject=subject, text=text, message_id=fresh_id(who), headers=lines
        ),
        to=f"{queue}@example.com",
        sender=who,
    )
    return house.sent()


def answered(house: House, to: Sent, text: str, *, who: str = "", proven: bool = True, subject: str | None = None) -> list[Sent]:
    """`who` (the reader of `to`) answers a mail of ours; returns what went out."""
    who = who or to.item.recipient
    raw = reply(to.item.raw, text, sender=f"{NAMES[who]} <{who}>", message_id=fresh_id(who), subject=subject)
    house.receive(trusted(raw, who) if proven else raw, to=address_of(to["Reply-To"] or to["From"]), sender=who, peer="127.0.0.1")
    return house.sent()


def told_us(house: House, who: str, text: str, *, subject: str = "", to: str = "support@example.com", proven: bool = True) -> list[Sent]:
    """`who` writes a fresh mail to us; returns what went out."""
    raw = mail(sender=f"{NAMES[who]} <{who}>", to=to, subject=subject, text=text, message_id=fresh_id(who), date=next_date())
    house.receive(trusted(raw, who) if proven else raw, to=to, sender=who, peer="127.0.0.1")
    return house.sent()


def clicked(house: House, on: Sent, action: str, *, who: str = "", body: str = "") -> list[Sent]:
    """`who` sends the mail that the link `action` of `on` opens; returns what went out."""
    who = who or on.item.recipient
    text = " ".join(on.text.split())
    starts = (at for at in range(len(text)) if text.startswith("<mailto:", at))
    start = next(at for at in starts if text[:at].rstrip(" :").lower().endswith(action.lower()))
    to, _, query = text[start + len("<mailto:") :].partition(">")[0].partition("?")
    subject = parse_qs(query)["subject"][0]
    raw = mail(sender=f"{NAMES[who]} <{who}>", to=to, subject=subject, text=body, message_id=fresh_id(who), date=next_date())
    house.receive(raw, to=to, sender=who)
    return house.sent()


def out_of_office(house: House, on: Sent, who: str = "", *, proven: bool = False) -> list[Sent]:
    """The vacation program of the reader of `on`, or of `who`, answers it; returns what went out."""
    who = who or on.item.recipient
    raw = mail(
        sender=f"{NAMES[who]} <{who}>",
        to=on.item.envelope_sender,
        subject=f"Automatic reply: {on['Subject']}",
        text="I am on leave.",
        message_id=fresh_id(who),
        headers=f"Auto-Submitted: auto-replied\nIn-Reply-To: {on['Message-ID']}",
    )
    if proven:
        house.receive(trusted(raw, who), to=on.item.envelope_sender, sender="", peer="127.0.0.1")
    else:
        house.receive(raw, to=on.item.envelope_sender, sender="")
    return house.sent()


def request(house: House, number: int = 1) -> Ticket:
    ticket = house.store.by_number(number)
    assert ticket is not None
    return ticket
