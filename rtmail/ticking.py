"""The engine's thread: works off the spool when woken, and does what time asks for. Made and ended by the daemon.

In-memory timers only wake it; what is due stands in the store, so that a restart forgets nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import schedule

from rtmail import __version__, log
from rtmail.clockwork import Clock
from rtmail.engine.batches import BATCH
from rtmail.engine.canary import Heard
from rtmail.engine.canary import Settings as Canary
from rtmail.engine.engine import Engine
from rtmail.engine.watching import SILENT_AT_MOST
from rtmail.errors import Deferred
from rtmail.failpoint import failpoint
from rtmail.store import Pausable, Serving, Store, StoreFailed

PAUSE_SECONDS = 0.25
STORE_AGAIN_SECONDS = 1.0
SPEAKS_SECONDS = 30.0
LATE_SECONDS = 1.5
"""Until the next of what is done every second: more, and the clock went back."""
REHEARSED_SECONDS = 15.0
"""A rehearsal looks for what is due so often, on its own clock."""


class Ticker:
    """The engine's thread: works off the spool when woken, and what the scheduler calls for."""

    def __init__(self, engine: Engine, clock: Clock, store: Store, mailboxes: Callable[[], Sequence[str]], rate: float = 1.0) -> None:
        self.engine, self._clock, self._store = engine, clock, store
        self.beat = time.monotonic()
        self._woken, self._stopping = threading.Event(), threading.Event()
        self._scheduler = schedule.Scheduler()
        self.rounds = 0
        self._behind = False
        self._hurried = rate != 1.0
        self._pause = PAUSE_SECONDS if rate <= 1.0 else max(min(PAUSE_SECONDS, REHEARSED_SECONDS / rate), 0.005)
        self.config_digest = ""
        self._spoken, self._spoken_at = "", 0.0
        self._latest: datetime | None = None
        """The clock when last looked at."""
        self.still: frozenset[Pausable] = frozenset()
        """What was paused when last looked at."""
        self._names = mailboxes
        self.canary: Canary | None = None
        self.heard: Heard | None = None
        """The last canary that came back to this daemon."""
        self.missed = False
        """Whether the last one, of whichever daemon, did not come back in time."""
        self.changed: Callable[[], None] = lambda: None
        """Called in the engine's thread when any of these did."""
        self._ingress_paused_at: datetime | None = None
        self._scheduler.every(1).seconds.do(self._guarded, "pauses", self._look_at_pauses)
        self._scheduler.every(1).seconds.do(self._guarded, "sweep", self._sweep)
        self._scheduler.every(10).seconds.do(self._guarded, "remind", lambda: self.engine.remind(self._clock()))
        self._scheduler.every(10).seconds.do(self._guarded, "watch", self._watch)
        self._scheduler.every(10).seconds.do(self._guarded, "digest", self._digest)
        self._scheduler.every(2).seconds.do(self._guarded, "status", lambda: self.engine.status(self._clock()))
        self._scheduler.every(1).seconds.do(self._guarded, "speak", self._speak)
        self._scheduler.every(2).seconds.do(self._guarded, "canary", self._look_for_canary)
        self._scheduler.every(1).hours.do(self._guarded, "forget", lambda: self._store.forget_expired(self._clock()))
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._guarded("pauses", self._look_at_pauses)
        self._thread.start()

    def wake(self) -> None:
        """There is mail in the spool, or a fate to report; from any thread."""
        self._woken.set()

    def stop(self, seconds: float) -> None:
        """Finish the batch under way, then end."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        # Before anything else: what comes in from now on is no news of this morning's.
        self._guarded("digest", self._digest)
        self._guarded("clock", self._look_at_clock)
        self._guarded("speak", self._speak)
        while not self._stopping.is_set():
            self._woken.clear()
            if not self._guarded("round", self._round):
                self._woken.wait(self._pause)
        self.engine.close()

    def _round(self) -> int:
        """Do what there is to do; 0 when that was nothing. Whatever fails here outside its own guard must not end the thread either."""
        self.rounds += 1
        failpoint("engine-beat")
        self._guarded("clock", self._look_at_clock)
        worked = self._guarded("work", lambda: self.engine.work(self._clock()))
        worked += self._guarded("report", lambda: self.engine.report(self._clock()))
        if self._behind:
            worked += self._guarded("sweep", self._sweep)
        if self._hurried or (self._scheduler.idle_seconds or 0) > LATE_SECONDS:
            # schedule goes by whole seconds of this machine's local time. A rehearsal's clock is another one; and when summer time ends, or
            # the clock is set back, nothing would be done until it has caught up.
            self._scheduler.run_all()
        else:
            self._scheduler.run_pending()
        return worked

    def _speak(self) -> int:
        """Note in the store, twice a minute, that this daemon lives, and at once by which config it works."""
        if self._spoken != self.config_digest or time.monotonic() - self._spoken_at > SPEAKS_SECONDS:
            self._spoken, self._spoken_at = self.config_digest, time.monotonic()
            self._store.speak(Serving(self.engine.owner, self._clock(), __version__, self._spoken))
        return 0

    def _look_at_clock(self) -> int:
        """Where the clock went back, also while we were down: what was put off by it must not wait until it has caught up."""
        now = self._clock()
        back = (self._latest or self._store.last_spoke(self.engine.owner) or now) - now
        if back.total_seconds() > LATE_SECONDS:
            mails = self._store.set_back(back, now)
            log.clock_set_back(seconds=back.total_seconds(), mails=mails)
            self.engine.posted()
        self._latest = now
        return 0

    def _look_at_pauses(self) -> int:
        still = frozenset(pause.what for pause in self._store.pauses())
        for what in still ^ self.still:
            log.paused(what=str(what), still=what in still)
        if still != self.still:
            self.still = still
            self.changed()
        if Pausable.INGRESS in still:
            self._ingress_paused_at = self._clock()
        return 0

    def _watch(self) -> int:
        """Look at the mailboxes; that they were left alone while the ingress was paused is no trouble of theirs."""
        now, paused_at = self._clock(), self._ingress_paused_at
        if paused_at is not None and now - paused_at < SILENT_AT_MOST:
            return 0
        return self.engine.watch(self._names(), now)

    def _look_for_canary(self) -> int:
        if self.canary is not None:
            before = self.heard, self.missed
            self.heard = self.engine.canary(self.canary, self._clock()) or self.heard
            flight = self._store.flight() if self.canary.every else None
            self.missed = flight is not None and flight.missed
            if (self.heard, self.missed) != before:
                self.changed()
        return 0

    def _digest(self) -> int:
        return 0 if Pausable.ESCALATIONS in self.still else self.engine.digest(self._clock())

    def _sweep(self) -> int:
        """Wake a batch of what is due; while batches are full there is more, and the next one does not wait for the scheduler."""
        count = 0 if Pausable.ESCALATIONS in self.still else self.engine.sweep(self._clock())
        self._behind = count >= BATCH
        return count

    def _guarded(self, stage: str, job: Callable[[], int]) -> int:
        """A job of the ticking that fails must not end the ticking; what it left undone is done by the next round."""
        self.beat = time.monotonic()
        try:
            return job()
        except StoreFailed:
            # The database cannot be trusted any more (a failed fsync): only a new start can (R5).
            self._stopping.set()
        except Deferred as error:
            log.failed(stage=stage, error=error)
            self._stopping.wait(STORE_AGAIN_SECONDS)
        except Exception as error:
            log.failed(stage=stage, error=error)
            self._stopping.wait(STORE_AGAIN_SECONDS)
        return 0
