"""A polled mailbox: a thread that takes new mail into the spool and then flags, moves or deletes it. Started by the daemon.

Promise 1 in the order of its steps: fetch without touching, commit to the spool, note UID and spool id in the ledger, and only
then change the mailbox. Killed between any two of them, the next start goes on: a mail that is in the spool but not in
the ledger is fetched again, and the engine knows it (promise 2); one that is in the ledger but untouched is only touched.
What the server says about a mail is never more than UID, size and arrival; whatever goes wrong costs this mailbox a pause
that grows, and no other mailbox anything. Of a mail that is too large its start is taken in: the mail itself stays where it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rtmail import log
from rtmail.errors import Deferred, RtmailError
from rtmail.failpoint import failpoint
from rtmail.ingress.imap import Connection, Listed, LoginRefused, MailboxTrouble, Refused, Server, TooMuch, printable
from rtmail.mail.model import Cut, Envelope
from rtmail.store import UNFINISHED, MailState, Store

LEASE_SECONDS = 90.0
"""How long a mailbox stays ours without a word from us. A giant mail on a slow line may outlast it: then two daemons fetch the
same mails, which the engine takes in once."""
BATCH_BYTES = 4 << 20
BATCH_MAILS = 50
"""Mails that are fetched and committed together."""
TRIES = 5
"""A mail that the server cannot hand out so often, alone, is left to people."""
NOT_TAKEN = frozenset({MailState.ASIDE, MailState.LEFT})
TOLD_EVERY = timedelta(minutes=1)
"""So often a look that takes long notes that it gets on."""
KEEP_SECONDS = 120.0
"""How long the spool may take before we say that it does not work."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `look` between two whole looks at the folder; pauses double from `pause` to `longest`, after a refused login from
    `login` to `login_longest`."""

    pause: float = 1.0
    longest: float = 60.0
    login: float = 30.0
    login_longest: float = 900.0
    look: float = 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """One mailbox of the config.

    after        what becomes of mail once it is kept: "flag" (\\Seen), "delete", or "move" to `folder`
    queue        for mail in which no address of ours stands
    limit_bytes  larger mail is left in place, and its start alone taken in
    """

    name: str
    server: Server
    after: str
    folder: str
    queue: str
    poll: timedelta
    limit_bytes: int
    pace: Pace = field(default_factory=Pace)

    @property
    def ingress(self) -> str:
        return f"imap:{self.name}"


class Lost(RtmailError):  # noqa: N818  (another daemon has it)
    """The claim on the mailbox ran out, and another daemon reads it now."""


class Mailbox:
    """Reads one mailbox in a thread of its own, from `start` until `stop`.

    submit  the spool writer's: a future of the spool id, done once the mail is on the disk
    room    returns when there is room for mail, else raises Deferred: then the mailbox stays as it is
    owner   names this daemon in the claim; `random` gives numbers from 0 to 1 for the jitter of pauses
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        submit: Callable[[bytes, Envelope], Future[int]],
        room: Callable[[], None],
        owner: str,
        clock: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._store, self._submit, self._room, self._owner, self._clock, self._random = store, submit, room, owner, clock, random
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=settings.ingress, daemon=True)
        self._begun = False
        self._claimed = 0.0
        self._failures = 0
        self._stumbles: dict[int, int] = {}
        """UID -> how often it could not be fetched; such a mail comes last and alone."""
        self._larger: set[int] = set()
        """Mails that turned out too large, whatever the server had said."""
        self._fetching: tuple[int, ...] = ()
        self._refusal = ""
        """What the server refused at the last look: logged when it changes."""
        self._after: Sequence[Mailbox] = ()
        self.worked_at: datetime | None = None
        self.trouble = ""
        """When a look last found nothing wrong, and what is wrong since; for whoever asks, from any thread."""

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self, after: Sequence[Mailbox] = ()) -> None:
        """Begin, once those that read this mailbox before have ended: two at once would write one ledger."""
        self._after = after
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way; returns at once."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait until it has; a server that hangs is not waited for, as being killed costs nothing."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set() and any(former.running for former in self._after):
            self._stopping.wait(0.1)
        self._after = ()
        while not self._stopping.is_set():
            try:
                if self._claim():
                    self._visit()
                else:
                    self._stopping.wait(LEASE_SECONDS / 6)
            except Lost:
                continue
            except Exception as error:
                self._stopping.wait(self._failed(error))
        if self._begun:
            try:
                self._store.release_mailbox(self.settings.name, self._owner)
            except Deferred as error:
                log.failed(stage="mailbox", error=error)

    def _claim(self) -> bool:
        """Claim the mailbox, or claim it on; False while another daemon has it."""
        name, now = self.settings.name, self._clock()
        mine = self._store.lease_mailbox(name, self._owner, now, LEASE_SECONDS)
        self._claimed = time.monotonic()
        if mine and not self._begun:
            self._store.begin_mailbox(name, self.settings.server.place, now)
            self._stumbles.clear()
            self._larger.clear()
        self._begun = mine
        if not mine:
            # How it fares is the other daemon's to tell; what we knew gets older and older.
            self.worked_at, self.trouble = None, ""
        return mine

    def _on(self) -> bool:
        """Tell whether to go on; claims the mailbox on when it is time. Raises Lost."""
        if time.monotonic() - self._claimed > LEASE_SECONDS / 6 and not self._claim():
            raise Lost(self.settings.name)
        return not self._stopping.is_set()

    def _failed(self, error: Exception) -> float:
        """Note what went wrong and return the seconds to pause."""
        for uid in self._fetching:
            # In company it counts once, so that each is tried alone; alone it is the mail itself that is suspected.
            self._stumbles[uid] = self._stumbles.get(uid, 0) + 1 if len(self._fetching) == 1 else 1
        self._fetching = ()
        pace = self.settings.pace
        first, longest = (pace.login, pace.login_longest) if isinstance(error, LoginRefused) else (pace.pause, pace.longest)
        pause = min(first * 2.0 ** min(self._failures, 30), longest) * (0.5 + self._random() / 2)
        self._failures += 1
        trouble = error if isinstance(error, RtmailError) else MailboxTrouble(_words(error)).with_traceback(error.__traceback__)
        log.mailbox_lost(ingress=self.settings.ingress, host=self.settings.server.host, error=trouble, retry_seconds=pause)
        self._tell(str(trouble))
        return pause

    def _tell(self, trouble: str) -> None:
        self.trouble = trouble
        try:
            self._store.mailbox_failed(self.settings.name, trouble, self._clock())
        except Exception as error:  # whatever it is: the thread goes on
            log.failed(stage="mailbox", error=error)

    def _visit(self) -> None:
        """Connect, and look again and again, until told to stop; any exception ends the connection."""
        connection = Connection(self.settings.server, self.settings.limit_bytes)
        try:
            log.mailbox_connected(ingress=self.settings.ingress, host=self.settings.server.host)
            visit = self._open(connection)
            wait = max(self.settings.poll.total_seconds(), 1.0)
            idle_lies = 0
            while self._on():
                found = self._look(visit)
                if not connection.can_idle:
                    self._sleep(wait)
                elif connection.idle(wait, self._on):
                    # A server that tells of mail which is not there must not keep us running in circles.
                    idle_lies = 0 if found else min(idle_lies + 1, 6)
                    if idle_lies > 1:
                        self._sleep(0.1 * 2.0**idle_lies)
        except BaseException:
            connection.drop()
            raise
        connection.close()

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._on():
            self._stopping.wait(min(left, 5.0))

    # -- a look -----------------------------------------------------------------------------------------------------

    def _open(self, connection: Connection) -> _Visit:
        """Return what is known of the folder; at a new UIDVALIDITY begins its ledger."""
        name, validity, store = self.settings.name, connection.uidvalidity, self._store
        known = store.mailbox_mails(name, validity)
        row = store.mailbox(name)
        if row.uidvalidity != validity:
            self._stumbles.clear()
            self._larger.clear()
        if row.uidvalidity != validity and not known:
            # Every UID is new. What people read before we ever looked is theirs; the rest is fetched, and what was taken in
            # under another UID is known to the engine by Message-ID and fingerprint (R15).
            store.take_census(name, validity, connection.read_by_people(row.first_at), self._clock())
            known = store.mailbox_mails(name, validity)
        # What was too large once may be taken in whole today.
        begun = store.begun_mails(name, validity)
        for uid, (_, size) in begun.items():
            if size <= self.settings.limit_bytes:
                known.pop(uid, None)
        return _Visit(connection, known, {uid: spool_id for uid, (spool_id, _) in begun.items()})

    def _look(self, visit: _Visit) -> int:
        """Take in what is new and finish what is kept; returns how many mails were new."""
        connection, known = visit.connection, visit.known
        if time.monotonic() >= visit.whole_at:
            there = connection.uids()
            self._gone(visit, there)
            visit.whole_at = time.monotonic() + self.settings.pace.look
        else:
            there = connection.uids(visit.last)
        new = there - known.keys()
        # Taking in comes before touching: a server that cannot move a mail must not keep new ones from us.
        not_now: Deferred | None = None
        told_at = self._clock()
        try:
            for batch in self._batches(visit, new):
                if not self._on():
                    return len(new)
                self._take(visit, batch)
                # A look at a full folder may take an hour. That it gets on says nothing of what the server refused at the last one's end.
                if not self._refusal and self._clock() - told_at >= TOLD_EVERY:
                    told_at = self._works()
        except Deferred as error:
            not_now = error
        trouble = self._finish(visit)
        if not_now is not None:
            raise not_now
        if trouble or new - known.keys():
            # Whoever emptied the folder meanwhile, or whatever the server withheld, is seen by a whole look.
            visit.whole_at = 0.0
        # What a server named but never showed must not hide what comes after it.
        visit.last = max((visit.last, *(uid for uid in there if known.get(uid, MailState.ASIDE) not in NOT_TAKEN)))
        self._failures = 0
        if trouble is None:
            self._works()
        else:
            self._tell(str(trouble))
        if trouble is not None and str(trouble) != self._refusal:
            wait = self.settings.poll.total_seconds()
            log.mailbox_lost(ingress=self.settings.ingress, host=self.settings.server.host, error=trouble, retry_seconds=wait)
        self._refusal = str(trouble or "")
        return len(new)

    def _works(self) -> datetime:
        now = self._clock()
        self.worked_at, self.trouble = now, ""
        self._store.mailbox_worked(self.settings.name, now)
        return now

    def _gone(self, visit: _Visit, there: Set[int]) -> None:
        """Mails that somebody moved or deleted need nothing more from us."""
        gone = visit.known.keys() - there
        for state in UNFINISHED:
            self._move_on(visit, visit.due[state] & gone, MailState.DONE)
        self._store.forget_gone(self.settings.name, visit.connection.uidvalidity, gone, self._clock())
        for uid in self._stumbles.keys() - there:
            del self._stumbles[uid]

    def _batches(self, visit: _Visit, new: Iterable[int]) -> Iterator[Mapping[int, Listed]]:
        """Yield mails to be fetched together, oldest first; at the end, each alone, suspects and those of which the start is fetched."""
        new = sorted(new)
        listed = visit.connection.listed(new)
        for uid in new:
            if uid not in listed:
                # It may have vanished since; otherwise the next whole look finds it again.
                self._stumbled(visit, uid, "the server does not tell its size")
            elif uid in self._larger:
                listed[uid] = replace(listed[uid], size_bytes=max(listed[uid].size_bytes, self.settings.limit_bytes + 1))
        alone = {uid for uid, mail in listed.items() if uid in self._stumbles or mail.size_bytes > self.settings.limit_bytes}
        batch: dict[int, Listed] = {}
        for uid, mail in listed.items():
            if uid in alone:
                continue
            if batch and (len(batch) == BATCH_MAILS or sum(one.size_bytes for one in batch.values()) + mail.size_bytes > BATCH_BYTES):
                yield batch
                batch = {}
            batch[uid] = mail
        if batch:
            yield batch
        for uid in sorted(alone, key=lambda uid: (self._stumbles.get(uid, 0), uid)):
            if self._stumbles.get(uid, 0) < TRIES:
                yield {uid: listed[uid]}
            elif listed[uid].size_bytes > self.settings.limit_bytes:
                self._set_aside(visit, uid, listed[uid].size_bytes, self._too_large())
            else:
                self._set_aside(visit, uid, listed[uid].size_bytes, "the server does not hand it out")

    def _stumbled(self, visit: _Visit, uid: int, why: str) -> None:
        self._stumbles[uid] = self._stumbles.get(uid, 0) + 1
        if self._stumbles[uid] >= TRIES:
            self._set_aside(visit, uid, 0, why)

    def _take(self, visit: _Visit, batch: Mapping[int, Listed]) -> None:
        """Fetch mails, commit them to the spool and note them."""
        self._room()
        self._fetching = tuple(batch)
        first, mail = next(iter(batch.items()))
        if mail.size_bytes > self.settings.limit_bytes:
            self._take_start(visit, first, mail)
            return
        try:
            bodies = visit.connection.bodies({uid: mail.size_bytes for uid, mail in batch.items()})
        except TooMuch:
            if len(batch) == 1:
                self._fetching = ()
                self._larger.add(first)
            raise
        self._fetching = ()
        failpoint("imap-fetched")
        now, futures = self._clock(), {}
        for uid, raw in bodies.items():
            futures[uid] = self._submit(raw, replace(self._envelope(batch[uid], now), begun=visit.begun.get(uid, 0)))
        kept, fault = _results(futures)
        failpoint("imap-kept")
        self._store.note_kept(self.settings.name, visit.connection.uidvalidity, kept, now)
        visit.mark(kept, MailState.KEPT)
        failpoint("imap-noted")
        for uid, spool_id in kept.items():
            self._stumbles.pop(uid, None)
            log.accepted(spool=spool_id, ingress=self.settings.ingress, peer=self.settings.server.host, sender=None, recipients=(),
                         size=len(bodies[uid]))
        for uid in batch.keys() - bodies.keys():
            self._stumbled(visit, uid, "the server does not hand it out")
        if fault is not None:
            raise fault

    def _take_start(self, visit: _Visit, uid: int, mail: Listed) -> None:
        """Fetch the start of a mail that is too large, commit that to the spool, and note that the mail stays."""
        begun = visit.begun.get(uid, 0)
        raw = b"" if begun else visit.connection.start(uid)
        self._fetching = ()
        if not raw and not begun:
            self._stumbled(visit, uid, self._too_large())
            return
        if not begun:
            failpoint("imap-fetched")
            now = self._clock()
            cut = Cut(mail.size_bytes, self.settings.limit_bytes, self.settings.name)
            kept, fault = _results({uid: self._submit(raw, replace(self._envelope(mail, now), cut=cut))})
            if fault is not None:
                raise fault
            begun = kept[uid]
            failpoint("imap-kept")
            log.accepted(spool=begun, ingress=self.settings.ingress, peer=self.settings.server.host, sender=None, recipients=(),
                         size=len(raw))
        self._set_aside(visit, uid, mail.size_bytes, self._too_large(), begun=begun)

    def _too_large(self) -> str:
        return f"larger than {self.settings.limit_bytes / 1024**2:.4g} MB"

    def _envelope(self, mail: Listed, now: datetime) -> Envelope:
        # A server whose clock is ahead must not date a promise into the future.
        arrived_at = min(mail.arrived_at or now, now)
        return Envelope(sender=None, recipients=(), ingress=self.settings.ingress, arrived_at=arrived_at, queue=self.settings.queue)

    def _set_aside(self, visit: _Visit, uid: int, size_bytes: int, why: str, *, begun: int = 0) -> None:
        name, validity = self.settings.name, visit.connection.uidvalidity
        self._store.note_aside(name, validity, uid, size_bytes, why, self._clock(), begun=begun)
        failpoint("imap-noted")
        visit.mark((uid,), MailState.ASIDE)
        self._stumbles.pop(uid, None)
        log.refused(ingress=self.settings.ingress, peer=self.settings.server.host, sender="", recipient="",
                    reply=f"mail {uid} stays in the mailbox: {why}")

    # -- afterwards -------------------------------------------------------------------------------------------------

    def _finish(self, visit: _Visit) -> Refused | None:
        """Flag, move or delete what is kept; returns what the server refused, with which the mail stays kept (R16)."""
        connection, folder = visit.connection, self.settings.folder
        steps: list[tuple[MailState, MailState, Callable[[Sequence[int]], None]]] = [
            (MailState.ASIDE, MailState.LEFT, lambda uids: connection.flag(uids, "\\Flagged"))
        ]
        match self.settings.after:
            case "flag":
                steps.append((MailState.KEPT, MailState.DONE, lambda uids: connection.flag(uids, "\\Seen")))
            case "delete":
                steps.append((MailState.KEPT, MailState.DONE, connection.delete))
            case "move" if connection.can_move:
                steps.append((MailState.KEPT, MailState.DONE, lambda uids: connection.move(uids, folder)))
            case "move":
                # Noted in between: were it copied again whenever the deletion fails, copies would fill the server.
                steps.append((MailState.KEPT, MailState.COPIED, lambda uids: connection.copy(uids, folder)))
        # Also what a server that could not move, or another setting, left half done.
        steps.append((MailState.COPIED, MailState.DONE, connection.delete))
        refused = None
        for state, then, change in steps:
            refused = self._step(visit, state, then, change) or refused
        return refused

    def _step(self, visit: _Visit, state: MailState, then: MailState, change: Callable[[Sequence[int]], None]) -> Refused | None:
        due = sorted(visit.due[state])
        for start in range(0, len(due), 100):
            some = due[start : start + 100]
            try:
                change(some)
            except Refused as refused:
                return refused if len(some) == 1 else self._one_by_one(visit, some, then, change)
            failpoint("imap-changed")
            self._move_on(visit, some, then)
        return None

    def _one_by_one(self, visit: _Visit, uids: Sequence[int], then: MailState, change: Callable[[Sequence[int]], None]) -> Refused | None:
        """One mail that the server will not change must not hold back the others; three in a row mean that it changes none."""
        refused, row = None, 0
        for uid in uids:
            try:
                change([uid])
            except Refused as error:
                refused, row = error, row + 1
                if row == 3:
                    break
            else:
                row = 0
                self._move_on(visit, [uid], then)
        return refused

    def _move_on(self, visit: _Visit, uids: Collection[int], state: MailState) -> None:
        if uids:
            self._store.move_on(self.settings.name, visit.connection.uidvalidity, uids, state, self._clock())
            visit.mark(uids, state)


class _Visit:
    """What one connection knows of the folder.

    known     UID -> how far we are, as in the ledger; `due` has those by state with which we are not done
    begun     UID -> spool id of the start of a mail that was too large
    last      the highest UID that a look saw
    whole_at  monotonic seconds at which the whole folder is looked at again; a server may show a lower UID later than a higher one
    """

    def __init__(self, connection: Connection, known: dict[int, MailState], begun: Mapping[int, int]) -> None:
        self.connection, self.known, self.begun = connection, known, begun
        self.due: dict[MailState, set[int]] = {state: {uid for uid, one in known.items() if one is state} for state in UNFINISHED}
        self.last = 0
        self.whole_at = 0.0

    def mark(self, uids: Collection[int], state: MailState) -> None:
        """Take over what was just noted in the ledger."""
        self.known.update(dict.fromkeys(uids, state))
        for one, due in self.due.items():
            due.difference_update(uids)
            if one is state:
                due.update(uids)


def _results(futures: Mapping[int, Future[int]]) -> tuple[dict[int, int], BaseException | None]:
    """Return the spool ids of the mails that are kept, and the first reason why another is not."""
    kept: dict[int, int] = {}
    fault: BaseException | None = None
    for uid, future in futures.items():
        try:
            kept[uid] = future.result(KEEP_SECONDS)
        except Exception as error:
            fault = fault or error
    return kept, fault


def _words(error: Exception) -> str:
    """Return what may be told of an error that is not ours: the system's words; the kind where a library may quote the mail."""
    if isinstance(error, OSError):
        return printable(error.strerror or str(error) or type(error).__name__)
    return f"the server talks nonsense ({type(error).__name__})"
