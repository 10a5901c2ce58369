"""The ground that every part of the store stands on: opening, transactions, retries, and the mapping of failures.

A transaction belongs to a thread: never `await` inside one (two tasks of one thread would share it). Methods of the
store may be called inside or outside `Store.transaction()`; outside, each is a transaction of its own and is repeated
when the connection broke or the server undid it.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from rtmail.errors import Deferred, DiskFull, plain
from rtmail.failpoint import failpoint
from rtmail.store import schema
from rtmail.store.engines import Engine, engine_for
from rtmail.store.faults import Again, Damaged, RowKept, StoreFailed, Unusable
from rtmail.store.turns import Between

T = TypeVar("T")
P = ParamSpec("P")
S = TypeVar("S", bound="Database")

PATIENCE_SECONDS = 0.008
"""So long the engine goes on with the mails of its batch while the courier waits to write: two or three share a commit, which costs
as much as half a mail. Much longer, and the few mails that may be under way at once would be what limits how many leave."""
_AT_ONCE = 500
"""So many values stand in one statement at most: databases have limits for their number."""
_CLAIMS = 1000
"""So many claims of one owner are told from each other by their ends."""
_PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0)
"""Seconds before each repetition of a job; afterwards the caller is told "not now"."""
_REPEATS_SECONDS = 5.0
"""So long after the first failure a job is begun again: a server that says nothing costs ten seconds at each try, and who hands us a mail
waits for an answer, the watchdog for a sign of life."""


class _Local(threading.local):
    depth = 0
    writing = False


class Database:
    """An opened database with transactions that nest.

    url          sqlite:///FILE (relative to `folder`) or postgresql://…
    busy         how long to wait for other writers before answering Deferred
    floor_bytes  free space below which `room` raises DiskFull, so that reading and sending still work on a full disk
    """

    def __init__(self, url: str, folder: Path = Path(), *, busy: timedelta = timedelta(seconds=5), floor_bytes: int = 64 << 20) -> None:
        self._engine: Engine = engine_for(url, folder, busy)
        self._floor_bytes = floor_bytes
        self._local = _Local()
        self._busy: set[int] = set()
        """Threads that are in a transaction."""
        self._claims: dict[str, tuple[set[int], deque[int]]] = {}
        """Whose -> the ends of those claims whose commit was never answered, and of the last ones."""
        self.failed = ""
        """Why the database cannot be trusted any more, "" while it can."""
        self.gave_up: Callable[[], None] = lambda: None
        """Called in whichever thread found that out, once."""

    def open(self) -> None:
        """Connect and bring the schema up to date.

        Raises SchemaError for a newer, a foreign or a damaged database, Deferred when it cannot be reached.
        """
        try:
            self._repeat(self._engine.prepare)
            self._repeat(lambda: schema.bring_up(self._engine))
        except Damaged as damaged:
            raise Unusable(f"{damaged.text}: put a backup back with `rtmail restore FILE --replace`") from damaged
        except UnicodeDecodeError as error:
            # Of SQLite's own words about a schema that it cannot read, where it repeats what stands there.
            raise Unusable("database damaged: its schema is no text: put a backup back with `rtmail restore FILE --replace`") from error
        except OSError as error:
            raise Deferred(f"database not usable: {plain(error)}") from error

    def close(self) -> None:
        """Close the connections of all threads, but for those that are in a transaction: closed under its hands, a connection
        would take the whole process with it. The end of the process undoes it as well."""
        self._engine.close(self._busy - {threading.get_ident()})

    def share(self, between: Between) -> None:
        """Write in turn with a process that is about to be forked from this one; on return no connection is open that it would inherit."""
        self._engine.close()
        self._engine.share(between)

    def ping(self) -> None:
        """Prove that the database answers; raises Deferred or StoreFailed."""
        self._alive()
        failpoint("store-asked")
        self._repeat(lambda: self._rows("SELECT 1"))

    def write_back(self) -> bool:
        """Bring what was committed from SQLite's log to its place in the file; False when there was nothing new. Nobody waits for it."""
        self._alive()
        return self._repeat(self._engine.write_back)

    def room(self) -> None:
        """Raise DiskFull below the floor of free space, StoreFailed when the database is given up."""
        self._alive()
        free = self._engine.room()
        if free is not None and free < self._floor_bytes:
            raise DiskFull

    @contextmanager
    def transaction(self, *, lasting: bool = True, patience: float = 0.0) -> Iterator[None]:
        """Commit what happens inside as one, or none of it; an inner one is a savepoint.

        lasting   it is on the disk when it is committed; else it outlasts this process, but perhaps no loss of power
        patience  so many seconds whoever writes may go on, though this waits
        Raises Again when it was undone through nobody's fault, Deferred, DiskFull or StoreFailed otherwise.
        """
        if self._local.depth:
            if not self._local.writing:
                raise RuntimeError("a transaction that writes inside one that reads")
            with self._savepoint():
                yield
        else:
            with self._engine.turn(patience), self._outermost(write=True, lasting=lasting):
                yield

    @property
    def wanted(self) -> bool:
        """Whether somebody waits to write: then a long job had better commit what it has, and go on in a transaction of its own."""
        return self._engine.wanted

    def run(self, job: Callable[[], T], *, lasting: bool = True, patience: float = 0.0) -> T:
        """Return what `job` returns, run in a transaction of its own, repeated while it is undone through nobody's fault.

        Inside a transaction it is simply called. Raises what `transaction` raises.
        """
        if self._local.depth:
            return job()

        def whole() -> T:
            with self.transaction(lasting=lasting, patience=patience):
                return job()

        return self._repeat(whole)

    def _led(self, now: int) -> int:
        """Return `now` by the clock by which claims end, which is one for all who claim; microseconds, of the transaction under way."""
        return now + self._engine.ahead()

    def _claim(self, whose: str, now: int, last: int, take: Callable[[int, int], list[T]],
               put_back: Callable[[Sequence[int]], object]) -> list[T]:
        """Return what `take` claims from one instant to another that it is given; nobody waits for the disk, as with `claims`.

        Where a connection broke before the commit was answered, nobody knows whether it claimed something, and nobody would work on
        that before the claim's end: `put_back` undoes what was claimed until then, before anything else is claimed. It does so with
        each claim until that end: the commit may come through later than our next word, which a new connection brings.

        now, last  microseconds; a claim lasts by so many longer that no two of one owner end together, whichever try made them
        """
        unsure, ends = self._claims.setdefault(whose, (set(), deque(maxlen=_CLAIMS)))
        tried = list[int]()

        def whole() -> list[T]:
            begin = self._led(now)
            # Not what another thread is about to claim: that is unsure only once it failed.
            if lost := sorted(end for end in {*unsure, *tried} if end > begin):
                put_back(lost)
            until = (begin + last) // 2 * 2  # an odd one is that of a claim that was renewed
            while until in ends or until in unsure:
                until += 2
            ends.append(until)
            tried.append(until)
            return take(begin, until)

        try:
            claimed = self.run(whole, lasting=False, patience=PATIENCE_SECONDS)
            tried.pop()
        finally:
            unsure.update(tried)
            # The others have ended by themselves. Where nothing can be written for hours, there would be one of each try.
            unsure.difference_update([end for end in tuple(unsure) if end <= now])
        return claimed

    def _look(self, job: Callable[[], T]) -> T:
        """Return what the reading `job` returns; all it reads is of one instant."""
        if self._local.depth:
            return job()

        def whole() -> T:
            with self._outermost(write=False):
                return job()

        return self._repeat(whole)

    def _repeat(self, job: Callable[[], T]) -> T:
        pauses, until = iter(_PAUSES), 0.0
        while True:
            try:
                return job()
            except Exception as error:
                fault, now = self._seen(error), time.monotonic()
                until = until or now + _REPEATS_SECONDS
                pause = next(pauses, None) if isinstance(fault, Again) and now < until else None
                if pause is None:
                    if fault is error:
                        raise
                    raise fault from error
            time.sleep(pause)

    @contextmanager
    def _outermost(self, *, write: bool, lasting: bool = True) -> Iterator[None]:
        self._alive()
        thread = threading.get_ident()
        self._busy.add(thread)
        try:
            self._begin(write, lasting)
            self._local.depth, self._local.writing = 1, write
            yield
            if write:
                failpoint("store-before-commit")
            self._engine.commit()
            if write:
                failpoint("store-after-commit")
        except BaseException as error:
            self._engine.rollback()
            fault = self._seen(error) if isinstance(error, Exception) else error
            if isinstance(fault, RowKept):
                self._engine.end_who_stands_still()
            if fault is error:
                raise
            raise fault from error
        finally:
            self._local.depth = 0
            self._busy.discard(thread)

    def _begin(self, write: bool, lasting: bool) -> None:
        # Nothing was done yet: that the old connection is gone is no reason to bother the caller.
        for last in (False, True):
            try:
                self._engine.begin(write, lasting)
                return
            except Exception as error:
                fault = self._seen(error)
                if last or not isinstance(fault, Again):
                    raise fault from error

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        name = f"inner{self._local.depth}"
        self._do(f"SAVEPOINT {name}")
        self._local.depth += 1
        try:
            yield
        except BaseException:
            with suppress(Exception):  # a broken connection cannot undo, nor need it: what broke it is what is told
                self._do(f"ROLLBACK TO SAVEPOINT {name}")
                self._do(f"RELEASE SAVEPOINT {name}")
            raise
        else:
            self._do(f"RELEASE SAVEPOINT {name}")
        finally:
            self._local.depth -= 1

    def undoes(self, error: Exception) -> bool:
        """Tell whether `error` undoes the whole transaction in which it came up: trouble of the database, not of what was done in it."""
        return isinstance(error, Deferred) or self._engine.fault(error) is not None

    def _seen(self, error: Exception) -> Exception:
        """Return `error` as the outside shall see it; remembers when the database is to be given up."""
        fault = self._engine.fault(error)
        if isinstance(fault, StoreFailed):
            self.distrust(fault.text)
        return fault or error

    def distrust(self, why: str) -> None:
        """Take nothing more from here on."""
        if not self.failed:
            self.failed = why
            self.gave_up()

    def _alive(self) -> None:
        if self.failed:
            raise StoreFailed(self.failed)

    def _do(self, text: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; return how many rows it changed."""
        return int(self._engine.execute(text, values).rowcount)

    def _many(self, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each of `rows`; return how many rows it changed."""
        return self._engine.executemany(text, rows)

    def _rows(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._engine.execute(text, values).fetchall()
        return rows

    def _row(self, text: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row. All are fetched: an unfinished statement would keep its transaction open."""
        rows = self._rows(text, values)
        return rows[0] if rows else None


def writes(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method a whole job: a transaction of its own unless it is called inside one."""

    @functools.wraps(method)
    def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(lambda: method(self, *args, **kwargs))

    return whole


def claims(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method a whole job as `writes` does, of which nobody waits for the disk: it says who works on what.

    A loss of power may undo it, which ends whoever claimed as well; the next start would undo it anyhow. What comes of a claim is
    committed to the disk, and everything before with it.
    """

    @functools.wraps(method)
    def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(lambda: method(self, *args, **kwargs), lasting=False, patience=PATIENCE_SECONDS)

    return whole


def patiently(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method a whole job as `writes` does, for which nobody waits on a line: whoever writes may finish a few things more."""

    @functools.wraps(method)
    def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(lambda: method(self, *args, **kwargs), patience=PATIENCE_SECONDS)

    return whole


def reads(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method see one unmoving state of the database, beside whoever writes."""

    @functools.wraps(method)
    def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._look(lambda: method(self, *args, **kwargs))

    return whole


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `values` in parts that one statement takes at once."""
    return (values[start:start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def places(n: int) -> str:
    """Return `(?, ?, …)` for `n` values."""
    return "(" + ", ".join("?" * n) + ")"
