"""A support archive as years of mail leave it, with the threads that it is made of known: for importing, and for measuring that.

Customers write and answer, engineers answer from their own mail clients with the customer in To, some of it lies in a folder of sent
mail; there are colleagues in Cc, comments, automatic answers of the old house with their tags, vacation mail, bounces and spam.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

TEXT = """
printer offline restart display order invoice mailbox password phone router update licence report export login slow
error screen backup server disk quota meeting window version network cable label scanner paper supplier
"""
WORDS = TEXT.split()
STAFF = (("Jane Doe", "jane@example.net"), ("Carl Boss", "carl@example.net"))
START = datetime(2021, 3, 1, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OldMail:
    """A mail of the archive: `thread` names the request that it belongs to, -1 for none; sent: it lies in the folder of sent mail."""

    raw: bytes
    at: datetime
    thread: int
    sent: bool = False
    by_staff: bool = False
    words: str = ""


@dataclass(slots=True)
class Archive:
    """Mails in the order of time, and the old number of each thread that has one."""

    mails: list[OldMail]
    numbers: dict[int, int] = field(default_factory=dict)

    def mbox(self, *, sent: bool) -> bytes:
        """The mails of one folder as an mbox file."""
        return b"".join(_mboxed(one) for one in self.mails if one.sent is sent)


def generated(count: int, seed: int = 1) -> Archive:
    """Return an archive of about `count` mails."""
    chance = random.Random(seed)
    mails: list[OldMail] = []
    numbers: dict[int, int] = {}
    thread = 0
    at = START
    while len(mails) < count:
        at += timedelta(minutes=chance.randint(20, 400))
        if chance.random() < 0.1:
            mails += _noise(chance, at, len(mails))
            continue
        if chance.random() < 0.4:
            numbers[thread] = 3000 + thread
        mails += _thread(chance, thread, at, numbers.get(thread, 0))
        thread += 1
    mails.sort(key=lambda one: one.at)
    return Archive(mails, numbers)


def _thread(chance: random.Random, thread: int, at: datetime, number: int) -> Iterator[OldMail]:
    house = f"customer{thread % 211}.example"
    customer = (f"Person {thread % 17}", f"person{thread % 17}@{house}")
    colleague = (f"Deputy {thread % 5}", f"deputy{thread % 5}@{house}")
    subject = " ".join(chance.choices(WORDS, k=4)).capitalize()
    with_colleague = chance.random() < 0.2
    root = f"<{thread}.0@{house}>"
    cc = [colleague] if with_colleague else []
    said = _prose(chance, thread, 0)
    yield OldMail(_raw(customer, ["support@example.com"], cc, subject, at, root, (), said), at, thread, words=said)
    chain, tagged = [root], f"[Old #{number}] {subject}" if number else subject
    if number:
        at += timedelta(seconds=30)
        ack = f"<ack.{thread}@old.example>"
        yield OldMail(
            _raw(("Example", "support@example.com"), [customer[1]], [], f"Re: {tagged}", at, ack, (root,), "We have your request.",
                 extra="Auto-Submitted: auto-replied\r\n"), at, thread, sent=True)
    quoted = said
    for turn in range(1, chance.choice((1, 2, 2, 3, 4, 6, 9))):
        at += timedelta(minutes=chance.randint(5, 4000))
        message_id = f"<{thread}.{turn}@{house if turn % 2 == 0 else 'mail.example.net'}>"
        said = _prose(chance, thread, turn)
        body = f"{said}\r\n\r\nOn {at:%a, %d %b %Y} somebody wrote:\r\n" + "\r\n".join(f"> {line}" for line in quoted.split("\r\n"))
        if turn % 2:
            author = STAFF[thread % 2]
            sent = chance.random() < 0.7
            if chance.random() < 0.1:
                yield OldMail(_raw(author, ["support-comment@example.com"], [], f"Re: {tagged}", at, message_id, tuple(chain), body), at,
                              thread, by_staff=True, words=said)
                chain.append(message_id)
                continue
            copies = [] if sent else [("", "support@example.com")]
            raw = _raw(author, [customer[1]], copies + cc, f"Re: {tagged}", at, message_id, tuple(chain), body)
            yield OldMail(raw, at, thread, sent=sent, by_staff=True, words=said)
        else:
            author = colleague if with_colleague and chance.random() < 0.3 else customer
            raw = _raw(author, ["support@example.com"], cc if author is customer else [customer], f"Re: {tagged}", at, message_id,
                       tuple(chain), body)
            yield OldMail(raw, at, thread, words=said)
        chain.append(message_id)
        quoted = said


def _noise(chance: random.Random, at: datetime, number: int) -> Iterator[OldMail]:
    """What every mailbox holds besides."""
    to_us = ["support@example.com"]
    match chance.randrange(3):
        case 0:
            author, message_id = ("Away", f"away{number}@far.example"), f"<away.{number}@far.example>"
            raw = _raw(author, to_us, [], "Out of office", at, message_id, (), "I am away.", extra="Auto-Submitted: auto-replied\r\n")
        case 1:
            message_id = f"<private.{number}@mail.example.net>"
            raw = _raw(STAFF[0], ["mum@home.example"], [], "Sunday", at, message_id, (), "See you on Sunday.")
        case _:
            author, message_id = ("Winner", f"w{number}@spam.example"), f"<spam.{number}@spam.example>"
            raw = _raw(author, to_us, [], "You won", at, message_id, (), "Click here.", extra="X-Spam-Flag: YES\r\n")
    yield OldMail(raw, at, -1, sent=b"To: mum@" in raw)


def _raw(author: tuple[str, str], to: list[str], cc: list[tuple[str, str]], subject: str, at: datetime, message_id: str,
         chain: tuple[str, ...], body: str, extra: str = "") -> bytes:  # fmt: skip
    lines = [f"From: {author[0]} <{author[1]}>", f"To: {', '.join(to)}"]
    if cc:
        lines.append("Cc: " + ", ".join(f"{name} <{spec}>" if name else spec for name, spec in cc))
    lines += [f"Subject: {subject}", f"Date: {format_datetime(at)}", f"Message-ID: {message_id}"]
    if chain:
        lines += [f"In-Reply-To: {chain[-1]}", "References: " + "\r\n ".join(chain)]
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
    return ("\r\n".join(lines) + "\r\n" + extra + "\r\n" + body + "\r\n").encode()


def _prose(chance: random.Random, thread: int, turn: int) -> str:
    lines = [" ".join(chance.choices(WORDS, k=chance.randint(6, 12))) for _ in range(chance.randint(2, 9))]
    return f"Hello, this is word {turn} about matter {thread}.\r\n" + "\r\n".join(lines)


def _mboxed(one: OldMail) -> bytes:
    body = one.raw.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
    return f"From somebody@example.com {one.at:%a %b %e %H:%M:%S %Y}\n".encode() + body + b"\n"
