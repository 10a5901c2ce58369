"""Takes mail out of the outbox and to the relay, until it is sent, refused or expired. Run by the daemon as one task.

Promise 5: every mail is tried for days, at least once and recognisably; what became of it goes back into its row, where the
engine finds it. Claims are leases with a fencing number, renewed while a mail is under way. A relay that is out of order
is probed with one mail at a time, and nothing else waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from rtmail import log
from rtmail.egress.fate import Fate, PutOff
from rtmail.egress.relay import Relay
from rtmail.failpoint import failpoint
from rtmail.store.faults import LeaseLost
from rtmail.store.outbox import Deferred, Expired, Failed, OutboxItem, OutboxRow, Sent, Settled

FIRST_PROBE = timedelta(seconds=5)
LONGEST_PROBE = timedelta(minutes=5)
STORE_PAUSE_SECONDS = 1.0
MOST_BYTES = 32 << 20
"""While so much is claimed or under way nothing more is claimed; each byte of it takes three until it has left."""


class Outbox(Protocol):
    """What the courier needs of the store; every call may block and is made in a thread."""

    def lease_outbox(self, owner: str, now: datetime, limit: int, seconds: float) -> list[OutboxItem]: ...
    def renew_outbox(self, item: OutboxItem, now: datetime, seconds: float) -> None: ...
    def settle_outbox_many(self, settled: Sequence[tuple[OutboxItem, Settled]], now: datetime) -> None: ...
    def release_outbox(self, items: Sequence[OutboxItem]) -> None: ...
    def by_id(self, outbox_id: int) -> OutboxRow | None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How the courier works.

    owner          names this process in the leases
    concurrency    mails under way at once
    redirect_to    every mail goes to this address instead (staging), "" for the real recipients
    min_pause, max_pause  between two tries of a mail: doubling from one to the other
    lease_seconds  of a claim; it is renewed at a third of it, so a killed process keeps its mails back no longer than this
    poll_seconds   between looks at the outbox when nobody wakes us: other daemons add mail as well
    probe_mails    claimed for one probe of a relay that is down, of which the expired ones are settled on the way
    """

    owner: str
    concurrency: int = 8
    redirect_to: str = ""
    min_pause: timedelta = timedelta(minutes=1)
    max_pause: timedelta = timedelta(hours=4)
    lease_seconds: float = 60
    poll_seconds: float = 2
    probe_mails: int = 20


def growing(times: int, first: timedelta, longest: timedelta, luck: float) -> timedelta:
    """Return a pause that doubles with each of `times` (from 1) up to `longest`, by a quarter shorter or longer.

    luck  a random number from 0 to 1, so that mails put off together do not come back together
    """
    doublings = min(times - 1, 32)
    pause: timedelta = min(first * 2**doublings, longest) * (0.75 + luck / 2)
    return pause


class Health:
    """Whether the relay works, and when to probe it next."""

    def __init__(self) -> None:
        self.probe_at: datetime | None = None
        self.trouble = ""
        self._failures = 0

    @property
    def down(self) -> bool:
        return self.probe_at is not None

    def probe_due(self, now: datetime) -> bool:
        """Tell whether it may be tried. Where the next probe is further away than any pause, the clock was set back since."""
        return self.probe_at is None or not timedelta(0) < self.probe_at - now <= 2 * LONGEST_PROBE

    def failed(self, text: str, now: datetime, luck: float) -> bool:
        """Note that it does not work; True when this is news."""
        news = not self.down
        # Several mails under way meet the same trouble; one pause answers them all.
        if self.probe_due(now):
            self._failures += 1
            self.probe_at = now + growing(self._failures, FIRST_PROBE, LONGEST_PROBE, luck)
        self.trouble = text
        return news

    def worked(self) -> bool:
        """Note that it works; True when this is news."""
        news = self.down
        self.probe_at, self.trouble, self._failures = None, "", 0
        return news


class Courier:
    """The outbox's way out.

    clock   gives the aware instant now
    random  gives a number from 0 to 1
    """

    def __init__(self, store: Outbox, relay: Relay, settings: Settings, *, clock: Callable[[], datetime],
                 random: Callable[[], float]) -> None:
        self._store, self._relay, self._settings = store, relay, settings
        self._clock, self._random = clock, random
        self._health = Health()
        self._settler = _Settler(store, clock)
        self._unrecorded: dict[int, tuple[int, Settled]] = {}
        """Mail that was tried and could not be recorded -> the fence of that claim, and what came of it."""
        self._deliveries: dict[asyncio.Task[None], int] = {}
        """What is under way, and how many bytes it has."""
        self._claimed: deque[tuple[OutboxItem, float]] = deque()
        """What is claimed and waits for its turn on the wire, and since when."""
        self._woken, self._ended = asyncio.Event(), asyncio.Event()
        self._ended.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self.rounds = 0
        """How often we looked at the outbox: it grows while the courier gets on."""

    @property
    def trouble(self) -> str:
        """Why the relay is thought to be out of order, "" while it works."""
        return self._health.trouble

    def wake(self) -> None:
        """Look at the outbox now; to be called after each commit that added mail, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Work until `drain`."""
        self._loop = asyncio.get_running_loop()
        self._ended.clear()
        try:
            while not self._stopping:
                await self._round()
        finally:
            self._ended.set()

    async def drain(self, seconds: float) -> None:
        """Claim nothing more, let what is under way finish for up to `seconds`, and put the rest back."""
        self._stopping = True
        self._woken.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
                if self._deliveries:
                    await asyncio.wait(self._deliveries)
        with suppress(Exception):  # the next start takes it back
            await self._put_back()
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        await self._settler.rest()
        await self._relay.close()

    async def _round(self) -> None:
        """Look at the outbox once, then wait until there is reason to look again."""
        self._woken.clear()
        self.rounds += 1
        pause = self._settings.poll_seconds
        try:
            if await self._start_some():
                return
        except Exception as error:
            log.failed(stage="courier", error=error)
            pause = STORE_PAUSE_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._woken.wait()

    async def _start_some(self) -> bool:
        """Claim what is due and send it; True when there may be more at once."""
        now = self._clock()
        if self._health.down:
            await self._put_back()
            if self._health.probe_due(now) and not self._deliveries:
                await self._probe(now)
            return False
        claimed = asyncio.get_running_loop().time()
        if self._claimed and claimed - self._claimed[0][1] > self._settings.lease_seconds / 3:
            # The wire hardly moves; before these claims end they are given up, so that nobody counts a try that was none.
            await self._put_back()
        self._go_on()
        # As many again are claimed as go over the wire at once: while these are under way, so that a line never waits for the store.
        room = 2 * self._settings.concurrency - len(self._deliveries) - len(self._claimed)
        busy = len(self._deliveries) >= self._settings.concurrency
        if room <= 0 or (busy and len(self._claimed) > self._settings.concurrency // 2) or self._bytes() >= MOST_BYTES:
            return False
        items = await asyncio.to_thread(self._store.lease_outbox, self._settings.owner, now, room, self._settings.lease_seconds)
        failpoint("outbox-leased")
        self._claimed += [(item, claimed) for item in items]
        self._go_on()
        return len(items) == room and not self._health.down

    def _go_on(self) -> None:
        """Send what is claimed, as far as there is a place on the wire."""
        while self._claimed and len(self._deliveries) < self._settings.concurrency and not (self._stopping or self._health.down):
            self._begin(*self._claimed.popleft())

    def _bytes(self) -> int:
        """How much of mails is in memory."""
        return sum(len(item.raw) for item, _ in self._claimed) + sum(self._deliveries.values())

    async def _put_back(self) -> None:
        """Give up the claims on what was not tried."""
        if self._claimed:
            waiting = [item for item, _ in self._claimed]
            self._claimed.clear()
            await asyncio.to_thread(self._store.release_outbox, waiting)

    async def _probe(self, now: datetime) -> None:
        """Try the relay with the first mail that has not expired."""
        items = await asyncio.to_thread(
            self._store.lease_outbox, self._settings.owner, now, self._settings.probe_mails, self._settings.lease_seconds)
        alive = [item for item in items if not _expired(item, now)]
        if alive[1:]:
            await asyncio.to_thread(self._store.release_outbox, alive[1:])
        for item in items:
            if item in alive[:1] or _expired(item, now):
                self._begin(item, asyncio.get_running_loop().time())

    def _begin(self, item: OutboxItem, claimed: float) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(item, claimed))
        self._deliveries[task] = len(item.raw)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._deliveries[task]
        self._go_on()
        self._woken.set()

    async def _deliver(self, item: OutboxItem, leased: float) -> None:
        """Take one mail from its lease to its settlement; whatever fails on the way, the lease's end brings it back."""
        try:
            fence, outcome = self._unrecorded.pop(item.id, (0, None))
            if outcome is None or item.fence != fence + 1:  # somebody else had it since
                outcome = await self._outcome(item, leased)
            failpoint("outbox-before-settle")
            if outcome is None:
                await asyncio.to_thread(self._store.release_outbox, [item])
            else:
                await self._settled(item, outcome)
            failpoint("outbox-after-settle")
        except LeaseLost:
            log.lease_lost(outbox=item.id)
        except asyncio.CancelledError:
            with suppress(Exception):
                await asyncio.to_thread(self._store.release_outbox, [item])
            raise
        except Exception as error:
            log.failed(stage="courier", error=error, outbox=item.id)

    async def _settled(self, item: OutboxItem, outcome: Settled) -> None:
        """Record an outcome, as often as it takes while the claim is ours: what went out and is not recorded goes out again.

        When the claim runs out meanwhile, it is ours who claims the mail next, if it is us.
        """
        while True:
            try:
                await self._settler.settle(item, outcome)
                self._unrecorded.pop(item.id, None)
                return
            except LeaseLost:
                raise
            except Exception as error:
                self._unrecorded[item.id] = item.fence, outcome
                log.failed(stage="courier", error=error, outbox=item.id)
            await asyncio.sleep(STORE_PAUSE_SECONDS)

    async def _outcome(self, item: OutboxItem, leased: float) -> Settled | None:
        """Try one mail; returns what to settle, None to put it back as if untried. Raises LeaseLost."""
        if _expired(item, self._clock()):
            row = await asyncio.to_thread(self._store.by_id, item.id)
            log.expired(outbox=item.id, ticket=item.ticket, recipient=item.recipient)
            return Expired(row.said if row else "")
        try:
            fate = await self._send(item, leased)
        except LeaseLost:
            raise
        except Exception as error:
            log.failed(stage="relay", error=error, outbox=item.id)
            fate = PutOff("trouble of our own, see the log", "dot")
        now = self._clock()
        self._note(fate, now)
        return self._judge(item, fate, now)

    async def _send(self, item: OutboxItem, leased: float) -> Fate:
        """Send, renewing the claim meanwhile; raises LeaseLost, with the attempt broken off, when someone else has it."""
        loop, renewal = asyncio.get_running_loop(), self._settings.lease_seconds / 3
        # We may have stood still since the claim (stopped, swapped out): then it may be someone else's by now.
        if loop.time() - leased > renewal:
            await self._renew(item)
        recipient = self._settings.redirect_to or item.recipient
        sending = loop.create_task(self._relay.send(
            item.envelope_sender, recipient, item.raw, outbox_id=item.id, again=item.attempts > 1))
        try:
            while True:
                done, _ = await asyncio.wait({sending}, timeout=renewal)
                if done:
                    return sending.result()
                await self._renew(item)
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})

    async def _renew(self, item: OutboxItem) -> None:
        await asyncio.to_thread(self._store.renew_outbox, item, self._clock(), self._settings.lease_seconds)

    def _note(self, fate: Fate, now: datetime) -> None:
        if isinstance(fate, PutOff) and fate.relay_down:
            if self._health.failed(fate.text, now, self._random()):
                log.relay_down(text=fate.text)
        elif self._health.worked():
            log.relay_up()

    def _judge(self, item: OutboxItem, fate: Fate, now: datetime) -> Settled | None:
        """Return what `fate` means for this mail; None when it was put off without having had its turn."""
        match fate:
            case Sent():
                log.sent(outbox=item.id, ticket=item.ticket, recipient=item.recipient, text=fate.text)
                return fate
            case Failed():
                log.undeliverable(outbox=item.id, ticket=item.ticket, recipient=item.recipient, status=fate.status, text=fate.text)
                return fate
        if fate.relay_down and not fate.about_mail:
            # The relay's trouble costs the mail nothing: it is first in line for the next probe. Its ticket hears of it once.
            if item.attempts > 1:
                return None
            at = self._health.probe_at or now
        else:
            at = now + growing(item.attempts, self._settings.min_pause, self._settings.max_pause, self._random())
        if item.expires_at is not None:
            at = min(at, item.expires_at)
        log.deferred(outbox=item.id, ticket=item.ticket, recipient=item.recipient, until=at, text=fate.text)
        return Deferred(fate.text, at, blocks=not fate.about_content)


class _Settler:
    """Records outcomes, many in one commit: what arrives while a commit runs shares the next one."""

    def __init__(self, store: Outbox, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock
        self._waiting: list[tuple[OutboxItem, Settled, asyncio.Future[None]]] = []
        self._working: asyncio.Task[None] | None = None

    async def settle(self, item: OutboxItem, outcome: Settled) -> None:
        """Return once the outcome is committed; raises LeaseLost, or what the store raises. A begun settlement goes on when cancelled."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome, settled))
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work())
        await asyncio.shield(settled)

    async def rest(self) -> None:
        """Return once nothing is left to record."""
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        while batch := self._waiting:
            self._waiting = []
            try:
                await self._commit([(item, outcome) for item, outcome, _ in batch])
            except Exception as error:
                if len(batch) == 1:
                    _end(batch[0][2], error)
                    continue
                # One lost lease undoes them all: each for itself.
                for item, outcome, settled in batch:
                    try:
                        await self._commit([(item, outcome)])
                    except Exception as own:
                        _end(settled, own)
                    else:
                        _end(settled, None)
                continue
            for _, _, settled in batch:
                _end(settled, None)
        self._working = None

    async def _commit(self, settled: list[tuple[OutboxItem, Settled]]) -> None:
        await asyncio.to_thread(self._store.settle_outbox_many, settled, self._clock())


def _end(settled: asyncio.Future[None], error: Exception | None) -> None:
    if settled.done():
        return
    if error is None:
        settled.set_result(None)
    else:
        settled.set_exception(error)


def _expired(item: OutboxItem, now: datetime) -> bool:
    """Tell whether no more is tried. A first try is made however late: we may have been down for days, or our clock was wrong.

    A claim alone is no try: whoever had it may have ended before he sent anything, or while the relay had not answered.
    """
    return item.expires_at is not None and item.expires_at <= now and item.attempts > 1 and item.failed
