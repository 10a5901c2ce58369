"""Takes an archive in: all of it is looked at once for its order and its old numbers, then it is read and kept in that order.

Reading happens in the reader's limited processes, a few batches ahead of the one that is written. The daemon may run meanwhile.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from rtmail.desk.archive.oldorder import numbered, ordered
from rtmail.engine.history import Became, Found, Historian, Taken
from rtmail.engine.office import Office
from rtmail.engine.reader import ReaderPool, ReadFailed
from rtmail.mail.model import Mail
from rtmail.mail.reading.outline import Outline, outline
from rtmail.ops.moving.boxes import Box, Place
from rtmail.store import Store

BATCH = 200
BATCH_BYTES = 16 << 20
AHEAD = 3
"""Batches that are read, or were, before the one that is written."""
LARGEST = 64 << 20
"""Bytes of a mail beyond which it is left: no mail server takes such."""
MAILS_PER_READER = 20_000


@dataclass(frozen=True, slots=True)
class Unclear:
    """A mail about which somebody may want to know: why, and the request that it is on (0: none)."""

    place: str
    message_id: str
    sender: str
    at: datetime
    became: str
    number: int
    why: str


@dataclass(slots=True)
class Report:
    """What became of an archive."""

    mails: int = 0
    became: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """Reason -> how many were left for it."""
    unclear: list[Unclear] = field(default_factory=list)
    settled: int = 0
    """Requests that got their status at the end."""


Progress = Callable[[str, int, int], None]
"""(what is done, how many of it, of how many): called often."""


@dataclass(slots=True)
class _Archive:
    """The mails of all boxes, in their order."""

    places: list[tuple[Box, Place]]
    outlines: list[Outline]
    order: list[int]
    numbers: dict[int, int]
    key: bytes


def readers() -> ReaderPool:
    """Return readers for a whole archive, one a processor."""
    return ReaderPool(workers=max(2, os.cpu_count() or 2), mails_per_reader=MAILS_PER_READER)


def take_in(
    store: Store, office: Office, historian: Historian, boxes: Sequence[Box], now: datetime, progress: Progress, *, pool: ReaderPool,
    settings: str = "",
) -> Report:
    """Take in all mails of `boxes`; returns what became of them.

    settings  what besides the mails decides what becomes of them: with other settings, what was left is looked at again
    pool      reads them
    Raises DiskFull where mail is not accepted any more; what was taken in until then is here.
    """
    archive = _looked_at(boxes, office, historian, now, progress, settings)
    report = Report(mails=len(archive.order))
    with ThreadPoolExecutor(1, "rtmail-archive") as ahead:
        waiting: list[Future[list[tuple[Found, Mail | ReadFailed]]]] = []
        batches = _batches(store, historian, archive, report)
        more = True
        while more or waiting:
            while more and len(waiting) < AHEAD:
                batch = next(batches, None)
                more = batch is not None
                if batch is not None:
                    waiting.append(ahead.submit(_read, pool, historian, batch, office))
            if waiting:
                read = waiting.pop(0).result()
                # What is left of the disk is for those who answer mail today.
                store.room()
                office.look_round(now)
                for (found, mail), taken in zip(read, historian.take(read, now), strict=True):
                    _count(report, found, mail, taken)
                progress("taking in", sum(report.became.values()), report.mails)
    report.settled = historian.conclude(now)
    return report


def _looked_at(
    boxes: Sequence[Box], office: Office, historian: Historian, now: datetime, progress: Progress, settings: str
) -> _Archive:
    places: list[tuple[Box, Place]] = []
    outlines: list[Outline] = []
    whole = hashlib.sha256(settings.encode())
    for box in boxes:
        for place in box.places():
            seen = outline(place.head, place.kept_at, office.site, now)
            places.append((box, replace(place, head=b"")))
            outlines.append(seen)
            whole.update(f"{seen.message_id}\0{seen.at.isoformat()}\0".encode())
            if not len(places) % 500:
                progress("looking", len(places), 0)
    return _Archive(places, outlines, ordered(outlines), numbered(outlines, historian.of_house), whole.digest())


def _batches(store: Store, historian: Historian, archive: _Archive, report: Report) -> Iterator[list[Found]]:
    """Yield what is to be read, in order; what is here already, or was left before, is counted and passed over."""
    if archive.numbers:
        store.start_numbers_at(max(archive.numbers.values()) + 1)
    batch: list[int] = []
    size = 0
    for index in archive.order:
        bytes_ = archive.places[index][1].size_bytes
        if bytes_ > LARGEST:
            _leave(report, "larger than any mail server takes")
            continue
        if batch and (len(batch) == BATCH or size + bytes_ > BATCH_BYTES):
            yield _fresh(store, historian, archive.key, _found(archive, batch, report), report)
            batch, size = [], 0
        batch.append(index)
        size += bytes_
    if batch:
        yield _fresh(store, historian, archive.key, _found(archive, batch, report), report)


def _found(archive: _Archive, batch: Sequence[int], report: Report) -> list[Found]:
    """The mails of a batch whole, each box asked once for all of its own."""
    raws: dict[int, bytes] = {}
    for box in {id(archive.places[index][0]): archive.places[index][0] for index in batch}.values():
        mine = [index for index in batch if archive.places[index][0] is box]
        raws.update(zip(mine, box.raws([archive.places[index][1] for index in mine]), strict=True))
    found = []
    for index in batch:
        place = archive.places[index][1]
        if raws[index]:
            found.append(Found(raws[index], archive.outlines[index].at, archive.numbers.get(index, 0), place.name, place.sent))
        else:
            _leave(report, "gone while it was read")
    return found


def _leave(report: Report, why: str) -> None:
    report.became[Became.LEFT] += 1
    report.left[why] += 1


def _fresh(store: Store, historian: Historian, key: bytes, batch: Sequence[Found], report: Report) -> list[Found]:
    digests = [hashlib.sha256(found.raw).hexdigest() for found in batch]
    keys = [hashlib.sha256(key + digest.encode()).hexdigest()[:32] for digest in digests]
    left = store.were_left(keys)
    fresh = []
    for found, one, new in zip(batch, keys, historian.fresh(digests), strict=True):
        if not new:
            report.became[Became.HERE] += 1
        elif one in left:
            _leave(report, "left before")
        else:
            fresh.append(Found(found.raw, found.at, found.number, found.place, found.sent, one))
    return fresh


def _read(pool: ReaderPool, historian: Historian, batch: Sequence[Found], office: Office) -> list[tuple[Found, Mail | ReadFailed]]:
    return list(zip(batch, pool.read_many([(found.raw, historian.envelope(found)) for found in batch], office.site), strict=True))


def _count(report: Report, found: Found, mail: Mail | ReadFailed, taken: Taken) -> None:
    report.became[taken.became] += 1
    if taken.became is Became.LEFT:
        report.left[taken.unclear] += 1
    failed = f"could not be read whole: {mail.reason}" if isinstance(mail, ReadFailed) else ""
    if taken.unclear or failed:
        message_id, sender = (mail.message_id, mail.sender.spec) if isinstance(mail, Mail) else ("", "")
        why = taken.unclear or failed
        report.unclear.append(Unclear(found.place, message_id, sender, found.at, str(taken.became), taken.number, why))
