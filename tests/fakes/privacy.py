"""Mails that hold private data and mails that only look like it, written with a seed: each with what is in it.

Values are made up by the rules of their kind (check digits, ranges); none is anybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Labelled:
    """One text: `sort` is what it holds ("" for nothing), `value` the value as written, `shape` the generator that made it."""

    text: str
    sort: str
    value: str
    shape: str


def luhn(body: str) -> str:
    """Return `body` with its check digit."""
    total = 0
    for at, digit in enumerate(reversed(body)):
        number = int(digit) * (2 if at % 2 == 0 else 1)
        total += number - 9 if number > 9 else number
    return body + str(-total % 10)


def digits(random: Random, count: int) -> str:
    return "".join(random.choice("0123456789") for _ in range(count))


ISSUERS = (
    ("4", 16),
    ("4", 16),
    ("4", 13),
    ("4", 19),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("65", 16),
    ("644", 16),
    ("300", 14),
    ("36", 14),
    ("38", 14),
    ("3528", 16),
    ("3589", 16),
    ("62", 16),
    ("6759", 16),
    ("5018", 13),
)


def card(random: Random) -> str:
    """Return a card number as people write it."""
    prefix, length = random.choice(ISSUERS)
    number = luhn(prefix + digits(random, length - len(prefix) - 1))
    joint = random.choice(("", "", " ", " ", "-", "\u00a0", "."))
    if length == 15 or length == 14:
        groups = [number[:4], number[4:10], number[10:]]
    else:
        groups = [number[at : at + 4] for at in range(0, length, 4)]
    return joint.join(groups)


CARD_MAILS = (
    "Hello,\n\nplease charge my card {v}, valid until 09/29.\n\nBob",
    "My credit card number is {v} and the CVC is 123.",
    "Die Zahlung ging nicht durch. Kartennummer: {v}, gültig bis 11/28\n\nGrü\u00dfe",
    "card={v}&exp=0129",
    "Number\tExpiry\n{v}\t01/30\n",
    "> please send the number\n\n{v}\n\nThanks",
    "I paid with {v} on 12 November 2026 14:05 and was charged 2 times 49.90.",
    "Visa {v} 12/27 Bob Roe",
    "The terminal printed {v}. What now?",
    "Please update the card on file from {v} to the new one.",
    "Оплатив карткою {v}, але гроші не надійшли.",
    "4 digits of the old one: 1234. The new one: {v}",
)


def decoy(random: Random) -> tuple[str, str]:
    """Return (text, what kind of decoy): numbers of all sorts that are no card, SSN or account."""
    made: list[tuple[str, Callable[[], str]]] = [
        ("order", lambda: f"Order number {digits(random, 16)} has not arrived."),
        ("luhn-order", lambda: f"My order no. {luhn('4' + digits(random, 14))} is still open."),
        ("tracking", lambda: f"Tracking: 1Z{digits(random, 16)} and {digits(random, 20)}"),
        ("sendung", lambda: f"Sendungsnummer {digits(random, 12)}, Rechnung {digits(random, 10)}"),
        ("imei", lambda: f"IMEI {luhn('35' + digits(random, 12))}, serial {digits(random, 14)}"),
        (
            "phone",
            lambda: f"Call me: +49 {digits(random, 3)} {digits(random, 7)} or +1 (555) {digits(random, 3)}-{digits(random, 4)}",
        ),
        (
            "uuid",
            lambda: (
                f"trace {random.randrange(16**8):08x}-{digits(random, 4)}-{digits(random, 4)}-{digits(random, 4)}-{digits(random, 12)}"
            ),
        ),
        ("hash", lambda: f"commit {random.randrange(16**40):040x}"),
        (
            "clock",
            lambda: (
                f"2026-11-23T10:{random.randrange(60):02d}:07.{digits(random, 6)}Z node{digits(random, 3)} up 1732{digits(random, 9)}"
            ),
        ),
        ("bad-check", lambda: f"The reading was {_wrong(luhn('4' + digits(random, 14)))} today."),
        ("no-issuer", lambda: f"Meter {luhn('9' + digits(random, 14))} reads 17."),
        (
            "ip",
            lambda: (
                f"From 10.{random.randrange(255)}.{random.randrange(255)}.1:{digits(random, 5)} to 192.168.{random.randrange(255)}.2"
            ),
        ),
        ("table", lambda: "\n".join(f"{digits(random, 4)} {digits(random, 4)} {digits(random, 3)}" for _ in range(4))),
        ("ean", lambda: f"EAN {digits(random, 13)}, ISBN 978-3-{digits(random, 3)}-{digits(random, 5)}-1"),
        ("ssn-like", lambda: f"Part 000-{digits(random, 2)}-{digits(random, 4)} and 9{digits(random, 2)}-00-{digits(random, 4)}"),
        ("iban-like", lambda: f"Gate DE{digits(random, 2)} and model GB{digits(random, 2)} ABCD {digits(random, 4)}"),
        ("password", lambda: "I forgot my password: please reset it. The password is wrong, it says."),
        ("masked", lambda: f"The card ending in {digits(random, 4)} (**** **** **** {digits(random, 4)}) and password: ********"),
        ("medical-talk", lambda: "The patient portal shows an error on the diagnosis page."),
        ("public-key", lambda: "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----"),
    ]
    name, make = random.choice(made)
    return make(), name


def _wrong(number: str) -> str:
    return number[:-1] + str((int(number[-1]) + 1) % 10)


FILLER = (
    "The printer on the second floor stopped at 9:30.",
    "We run version 4.2.1 on 3 servers.",
    "Room 204, extension 1234.",
    "It happens since 12.11.2026.",
    "Please call before 17:00.",
    "See https://example.com/a?id=8812731 for the log.",
)


def mails(seed: int, count: int) -> list[Labelled]:
    """Return `count` texts, half of them with a card number."""
    random = Random(seed)
    found = []
    for at in range(count):
        before, after = (" ".join(random.sample(FILLER, 2)) for _ in range(2))
        if at % 2:
            value, template = card(random), random.choice(CARD_MAILS)
            found.append(Labelled(f"{before}\n\n{template.format(v=value)}\n\n{after}", "card number", value, template))
        else:
            text, shape = decoy(random)
            found.append(Labelled(f"{before}\n\n{text}\n\n{after}", "", "", shape))
    return found
