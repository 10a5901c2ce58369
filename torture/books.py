"""The independent ledger: what customers were told and what the relay got, compared with what stands in the store, by plain SQL."""

from __future__ import annotations

import email.parser
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.fakes.senders import Posted
from torture.relay import Came

WAITING = ("SELECT (SELECT count(*) FROM spool WHERE outcome = '') + (SELECT count(*) FROM ticket WHERE sweep_until > 0) "
           "+ (SELECT count(*) FROM outbox WHERE state = 'waiting' OR unreported = 1)")
KEPT = "SELECT r.sha256 FROM spool s JOIN raw r ON r.id = s.raw_id WHERE r.packed IS NOT NULL"


@dataclass
class Sums:
    """What a comparison found, in words of one line each.

    lost      promised and not there
    doubled   there twice, and nobody could see that it is the same
    wrong     neither: states that must not be
    repeated  outgoing mails that went again with the same bytes and Message-ID, as promise 5 allows
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    mails: int = 0
    repeated: int = 0

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.wrong)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What `query` finds; `url` as in the config, with the file's whole path."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as database:
            return database.execute(query).fetchall()
    with psycopg.connect(url, connect_timeout=10) as server:
        return [tuple(row) for row in server.execute(query.encode()).fetchall()]


def rests(url: str) -> bool:
    """Nothing waits to be worked on, to be sent or to be reported."""
    return rows(url, WAITING) == [(0,)]


def begun(url: str) -> bool:
    """The first migrations are over: there is a spool."""
    if url.startswith("sqlite"):
        return rows(url, "SELECT 1 FROM sqlite_master WHERE name = 'spool'") != []
    return rows(url, "SELECT to_regclass('spool') IS NOT NULL") == [(True,)]


def missing(url: str, told: Iterable[Posted]) -> list[str]:
    """The mails that were answered 250 and whose bytes are not in the spool."""
    kept = {digest for (digest,) in rows(url, KEPT)}
    return [posted.message_id for posted in told if posted.digest not in kept]


def compare(url: str, told: Iterable[Posted], came: Iterable[Came], refused: Iterable[str], staff: Iterable[str]) -> Sums:
    """Compare a house at rest with what customers were told (250, or the flag in the mailbox) and what its relay said."""
    told, came, refused = list(told), list(came), set(refused)
    sums = Sums(mails=len(told))
    if url.startswith("sqlite") and (said := rows(url, "PRAGMA integrity_check")) != [("ok",)]:
        sums.wrong.append(f"the database is not sound: {said[:3]}")
    _taken_in(url, told, sums)
    _gone_out(url, told, came, refused, list(staff), sums)
    return sums


def _taken_in(url: str, told: list[Posted], sums: Sums) -> None:
    opened = Counter(str(found) for (found,) in rows(url, "SELECT message_id FROM event WHERE kind = 'opened'"))
    kept = {digest for (digest,) in rows(url, KEPT)}
    for posted in told:
        if not opened[posted.message_id] or posted.digest not in kept:
            sums.lost.append(f"{posted.message_id} was taken and opened nothing")
    ours = Counter({found: count for found, count in opened.items() if found.startswith("<load-")})
    sums.doubled += [f"{found} opened {count} requests" for found, count in ours.items() if count > 1]
    known = {posted.message_id for posted in told}
    sums.wrong += [f"{found} opened a request, and nobody brought it home" for found in ours if found not in known]
    for outcome, count in rows(url, "SELECT outcome, count(*) FROM spool WHERE outcome = '' GROUP BY outcome"):
        sums.wrong.append(f"{count} mails have no outcome {outcome!r}")
    numbers = rows(url, "SELECT number FROM ticket GROUP BY number HAVING count(*) > 1")
    sums.doubled += [f"number {number} was given twice" for (number,) in numbers]
    rungs = rows(url, "SELECT ticket_id, clock, generation, rung FROM rung GROUP BY 1, 2, 3, 4 HAVING count(*) > 1")
    sums.doubled += [f"a rung was told twice: {row}" for row in rungs]


def _gone_out(url: str, told: list[Posted], came: list[Came], refused: set[str], staff: list[str], sums: Sums) -> None:
    decided = "SELECT ticket_id, event, recipient, template FROM outbox WHERE ticket_id <> 0 GROUP BY 1, 2, 3, 4 HAVING count(*) > 1"
    sums.doubled += [f"decided twice: {row}" for row in rows(url, decided)]
    letters: dict[str, set[tuple[str, str, bytes]]] = {}
    for mail in came:
        message_id = str(email.parser.BytesHeaderParser().parsebytes(mail.raw)["Message-ID"])
        letters.setdefault(mail.sender, set()).add((mail.recipient, message_id, mail.raw))
    sums.repeated = len(came) - sum(map(len, letters.values()))
    sums.doubled += [f"{sender} went out as {len(seen)} different mails" for sender, seen in letters.items() if len(seen) > 1]
    sure = {mail.sender for mail in came if mail.sure}
    out = rows(url, "SELECT envelope_sender, recipient, message_id, state, template, id, carrier FROM outbox")
    of = {its: (sender, recipient, message_id) for sender, recipient, message_id, _, _, its, _ in out}
    for sender, recipient, message_id, state, template, _, carrier in out:
        if carrier:
            # It became a line of another mail, and has that one's fate.
            sender, recipient, message_id = of.get(carrier, (sender, recipient, message_id))
        if state == "sent":
            if sender not in sure:
                sums.lost.append(f"{template} {message_id} to {recipient} is settled as sent, and the relay never said so")
            elif (recipient, message_id) not in {(to, its) for to, its, _ in letters[sender]}:
                sums.wrong.append(f"{template} {message_id} went to another: {[one[:2] for one in letters[sender]]}")
        elif state != "failed" or sender not in refused:
            sums.wrong.append(f"{template} {message_id} to {recipient} is {state}, which the relay did not say")
    ours = {row[0] for row in out}
    sums.wrong += [f"the relay got {sender}, of which the outbox knows nothing" for sender in letters if sender not in ours]
    per = Counter((recipient, template) for _, recipient, _, _, template, _, _ in out)
    for posted in told:
        count = per[posted.sender, "acknowledgement"]
        if count != 1:
            (sums.lost if not count else sums.doubled).append(f"{posted.sender} has {count} acknowledgements")
    for person in staff:
        ((heard,),) = rows(url, f"SELECT count(DISTINCT ticket_id) FROM outbox WHERE recipient = '{person}'")
        if heard < len(told):
            sums.lost.append(f"{person} heard of {heard} of {len(told)} requests")


def audited(said: str) -> list[str]:
    """What `rtmail audit --json` finds wrong."""
    sums = json.loads(said or '{"closes": false}')
    return [] if sums["closes"] and not sums["waiting"] else [f"the audit disagrees: {said}"]
