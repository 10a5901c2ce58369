"""The engine: takes mails from the spool, wakes tickets that are due, brings fates of sent mails back, runs commands.

Each of `work`, `sweep`, `report` and `remind` does one bounded batch and says how much it did; the daemon calls them in a
thread of their own. Work on one mail or ticket is one transaction; several share a commit, each in a savepoint of its own,
so that one that fails takes none of the others with it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from rtmail import log
from rtmail.desk.decide import decide
from rtmail.desk.decision import Decision, Words
from rtmail.desk.fields import filled
from rtmail.desk.grammar import commands
from rtmail.desk.judging.match import Result
from rtmail.desk.outages import about, incidents
from rtmail.desk.people import Person
from rtmail.desk.stimulus import Commanded, Delivered, Spoken, Tick
from rtmail.desk.ticket import Event, Status, Ticket
from rtmail.engine import announcing, breaker, bundles, canary, holding, junk, notices, retention, watching
from rtmail.engine.background import Background
from rtmail.engine.batches import AGAIN_AFTER, BATCH, DEATHS, LEASE_SECONDS, Batches
from rtmail.engine.digests import Digests
from rtmail.engine.intake import Intake
from rtmail.engine.keeping import Keeper
from rtmail.engine.office import Office
from rtmail.engine.overheard import at_the_shell
from rtmail.engine.reader import ReaderPool, ReadFailed
from rtmail.engine.sender_checks import SenderChecks
from rtmail.engine.spawning import spawn
from rtmail.engine.statements import Statements
from rtmail.engine.status import StatusPage
from rtmail.errors import RtmailError
from rtmail.failpoint import failpoint
from rtmail.mail.model import Mail
from rtmail.mail.proof import own_checks
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.tripwire import LeakError
from rtmail.store import Conflict, Fate, LeaseLost, Origin, OutboxRow, Outcome, RowKept, Settlement, SpoolItem, StoodStill, Store

T = TypeVar("T")

ATTEMPTS = 3
"""After so many failures a mail is set aside."""
STORM = 3
"""So many mails were accepted while we worked on what one commit holds."""
STEPS_BACK_SECONDS = 0.5
"""So long at most, though the disk stood still meanwhile: deadlines, the watchdog and who stops us wait for the whole batch."""


class NoSuchRequest(RtmailError, LookupError):  # noqa: N818
    """There is no request with this number."""


class Engine:
    """One daemon's engine.

    owner     names it in leases
    posted    is called when mails were put into the outbox
    alone_to  up to this spool id mails are taken one by one: the daemon died while it worked on some of them
    checks    asks DNS about senders whom no trusted server judged; None where that is not wanted
    """

    def __init__(
        self,
        store: Store,
        pool: ReaderPool,
        office: Office,
        owner: str,
        posted: Callable[[], None] = lambda: None,
        *,
        alone_to: int = 0,
        checks: SenderChecks | None = None,
    ) -> None:
        self.store, self.pool, self.owner, self.posted = store, pool, owner, posted
        self._left, self._page = False, StatusPage()
        self._unswept: Sequence[int] = ()
        """Tickets that are claimed still, though the database took nothing of what time did on them."""
        self._batches = Batches(store, pool, owner, alone_to, checks)
        self.use(office)

    def use(self, office: Office) -> None:
        """Work with another office from the next batch on (reload)."""
        self.office = office
        self._intake = Intake(self.store, office)
        self._keeper, self._background = Keeper(self.store, office), Background(self.store, office)
        self._digests = Digests(self._keeper)
        self._statements = Statements(self._keeper)

    # -- mails --------------------------------------------------------------------------------------------------

    def work(self, now: datetime) -> int:
        """Take in up to a batch of waiting mails; returns how many were looked at."""
        site = self.office.site
        batch = self._batches.next(site, now)
        if batch is None:
            return 0
        items = batch.items
        try:
            self.office.look_round(now)
            mails = batch.mails()
            failpoint("engine-read")
            self._batches.go_ahead(batch, site, now)
            for left in self._commits(list(zip(items, mails, strict=True)), lambda one: self._take_one(*one, now)):
                items = [item for item, _ in left]
                failpoint("engine-committed")
                self.posted()
        except Exception as error:
            by_store = self.store.undoes(error) and not isinstance(error, StoodStill)
            self._batches.spoiled(items, now, by_store=by_store, kept=isinstance(error, RowKept))
            raise
        return len(batch.items)

    def close(self) -> None:
        """Give back what is claimed; no work follows."""
        self._batches.close()

    def _commits(self, things: Sequence[T], do: Callable[[T], None]) -> Iterator[Sequence[T]]:
        """Do `things` in as few commits as may be, and yield after each what is left.

        A commit comes early when somebody else waits to write: who hands us a mail waits for his. In a storm, with a part of which we
        could not keep up anyhow, three quarters of the time are theirs: what they hand over is safe sooner, and worked off afterwards.
        """
        left = things
        while left:
            newest, begun = self.store.newest_spooled(), time.monotonic()
            left = self.store.run(partial(self._until_wanted, left, do))
            yield left
            if left and self.store.newest_spooled() - newest >= STORM:
                time.sleep(min(3 * (time.monotonic() - begun), STEPS_BACK_SECONDS))

    def _until_wanted(self, things: Sequence[T], do: Callable[[T], None]) -> Sequence[T]:
        for count, thing in enumerate(things, 1):
            do(thing)
            if self.store.wanted:
                return things[count:]
        return ()

    def _take_one(self, item: SpoolItem, mail: Mail | ReadFailed, now: datetime) -> None:
        if isinstance(mail, ReadFailed):
            self._failed(item, mail, f"could not be read: {mail.reason}", now)
        else:
            self._take(item, mail, now)

    def _take(self, item: SpoolItem, mail: Mail, now: datetime) -> None:
        try:
            with self.store.transaction():
                settlement = self._intake.take(item, mail, now)
                if item.envelope.checked is None and own_checks.is_final(mail.proof_reason):
                    self.store.note_checked(item, str(mail.proof), mail.proof_reason)
                failpoint("intake-taken")
                self.store.settle_many([settlement], now)
        except LeaseLost as error:
            log.failed(stage="settle", error=error, spool=item.id)
        except Conflict:
            self.store.retry_spool(item, now)
        except Exception as error:
            if self.store.undoes(error):
                raise
            self._failed(item, error, "".join(traceback.format_exception(error, limit=-4)), now)
        else:
            _tell(settlement, mail)

    def _failed(self, item: SpoolItem, error: Exception, why: str, now: datetime) -> None:
        """Try again later; the third time set the mail aside, tell the admin, and open a request from what could be read."""
        if item.attempts < ATTEMPTS:
            later = now + AGAIN_AFTER * item.attempts
            self.store.retry_spool(item, later)
            log.retried(spool=item.id, attempt=item.attempts, until=later, error=error)
            return
        last = why.strip().splitlines()[-1]
        stub = stub_of(self._batches.raw(item) or b"", item.envelope, self.office.site, last)
        ticket, number = 0, 0
        try:
            if ticket := self.store.ticket_of_same(item):
                # Its sender handed it over twice, and the other one was taken in: a request from a stub would be a second one.
                number = self.store.ticket(ticket).number
            elif item.attempts <= DEATHS + 1:  # not if that, too, was what we died of
                with self.store.transaction():
                    taken = self._intake.take(item, stub, now)
                    ticket, number = taken.ticket, int((taken.trace or {}).get("number") or 0)
        except Exception as second:
            if self.store.undoes(second):
                raise
            log.failed(stage="stub", error=second, spool=item.id)
        try:
            with self.store.transaction():
                notices.quarantined(self._keeper, item, last, number, now)
        except Exception as third:
            if self.store.undoes(third):
                raise
            log.failed(stage="notice", error=third, spool=item.id)
        self.store.settle_many([Settlement(item, Outcome.QUARANTINED, why, ticket, 0, {"rule": "quarantine", "number": number})], now)
        # What others say in their exceptions quotes mails; the admin sees it in the quarantine.
        log.quarantined(spool=item.id, why=last if isinstance(error, ReadFailed) else type(error).__name__)

    # -- time ---------------------------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> int:
        """Wake up to a batch of tickets whose time has come; returns how many. With the last of them, what can be joined is joined."""
        count = self.wake(now)
        if self._left:
            # There is more to tell: the next round does not wait for the scheduler.
            return max(count, BATCH)
        if count < BATCH and bundles.join(self._keeper, now):
            self.posted()
        return count

    def wake(self, now: datetime) -> int:
        """Wake up to a batch of tickets whose time has come, and leave their mails that may be joined waiting; returns how many."""
        self._left = False
        if self._unswept:
            self.store.release_tickets(self.owner, self._unswept)
            self._unswept = ()
        ids = self.store.due_tickets(now, BATCH, self.owner, LEASE_SECONDS)
        if not ids:
            return 0
        unswept: Sequence[int] = ids
        try:
            failpoint("sweep-leased")
            self.office.look_round(now)
            for left in self._commits(ids, lambda one: self._tick(one, now)):
                unswept = left
                failpoint("sweep-committed")
                self.posted()
        except Exception as error:
            if self.store.undoes(error):
                self._unswept = unswept
            raise
        return len(ids)

    def _tick(self, ticket_id: int, now: datetime) -> None:
        number = 0
        try:
            with self.store.transaction():
                ticket = self.store.ticket(ticket_id, lock=True)
                number = ticket.number
                decision = decide(self.office.policy(ticket.policy_version), ticket, Tick(), now, self.office.house)
                kept = self._keeper.keep(decision, now)
                spawn(self._keeper, decision, kept, now)
                if about.tellings(kept.fields):
                    self._left |= announcing.go_on(self._keeper, kept, now)
        except Exception as error:
            if self.store.undoes(error):
                raise
            # One ticket's trouble must not keep the others from being told; its lease brings it back.
            log.failed(stage="sweep", error=error, ticket=ticket_id)
            with self.store.transaction():
                notices.stuck(self._keeper, number, error, now)

    # -- fates --------------------------------------------------------------------------------------------------

    def report(self, now: datetime) -> int:
        """Bring what became of outgoing mails back to their tickets; returns how many fates."""
        rows = self.store.unreported(BATCH)
        if rows:
            failpoint("report-read")
            self.office.look_round(now)
            for _ in self._commits(rows, lambda one: self._report_one(one, now)):
                failpoint("report-committed")
                self.posted()
        return len(rows)

    def _report_one(self, row: OutboxRow, now: datetime) -> None:
        try:
            with self.store.transaction():
                self._report(row, now)
        except Conflict:
            # The ticket moved on at this very moment: the next round tells it.
            return
        except Exception as error:
            if self.store.undoes(error):
                raise
            # `rtmail outbox` shows this fate all the same; told again and again it would keep the others from being told.
            log.failed(stage="report", error=error, outbox=row.id)
            self.store.mark_reported([row])

    def _report(self, row: OutboxRow, now: datetime) -> None:
        if row.id not in self.store.mark_reported([row]):
            return
        if row.template == bundles.TEMPLATE and row.fate is not Fate.WAITING:
            self.store.share_fate(row)
        if row.ticket:
            self._delivered(row, now)

    def _delivered(self, row: OutboxRow, now: datetime) -> None:
        ticket = self.store.ticket(row.ticket, lock=True)
        about = self.store.event(row.ticket, row.event)
        if about is None:
            return
        if row.remote_id:
            self.store.record(row.remote_id, row.ticket, row.event, Origin.RECEIVED, row.person)
        self._keeper.keep(
            decide(self.office.policy(ticket.policy_version), ticket, fate_of(row, about, self._text_of(about)), now, self.office.house),
            now,
        )

    def _text_of(self, about: Event) -> str:
        return self.store.content(about.content_id).text if about.content_id else ""

    # -- people -------------------------------------------------------------------------------------------------

    def remind(self, now: datetime) -> int:
        """Tell people what waits for their word."""
        sent = holding.remind(self._keeper, self._read_again, now) + notices.paused(self._keeper, now)
        sent += breaker.tell(self._keeper, now)
        if self.store.forgets():
            self.store.forget()
        if sent:
            failpoint("remind-committed")
            self.posted()
        return sent

    def watch(self, mailboxes: Sequence[str], now: datetime) -> int:
        """Tell the admin how these polled mailboxes fare; returns the mails."""
        told = watching.mailboxes(self._keeper, mailboxes, now)
        if told:
            self.posted()
        return told

    def canary(self, settings: canary.Settings, now: datetime) -> canary.Heard | None:
        """Let the canary fly and look for it; returns one that just came back."""
        heard, posted = canary.look(self._keeper, settings, now)
        if posted:
            self.posted()
        return heard

    def digest(self, now: datetime) -> int:
        """Write the daily, weekly and monthly mails whose hour has come; returns how many."""
        for number, event in retention.withheld(self.store, self.office.retention, now):
            self.command(number, f"erase {event}", "retention", now)
        if retention.run(self.store, self.office, self.office.retention, now) and self.store.forgets():
            self.store.forget()
        sent = self._digests.send(now) + junk.digest(self._keeper, self.office.junk_digest, now) + self._statements.send(now)
        if sent:
            self.posted()
        return sent

    def status(self, now: datetime) -> int:
        """Write the status page where it has news; returns the pages written."""
        return self._page.write(self.store, self.office, now)

    def _read_again(self, spool_id: int) -> Mail:
        row = self.store.spool_row(spool_id)
        raw = self.store.raw(row.raw_id)
        (mail,) = self.pool.read_many([(raw, row.envelope)], self.office.site)
        return stub_of(raw, row.envelope, self.office.site, mail.reason) if isinstance(mail, ReadFailed) else mail

    def command(self, number: int, text: str, unix_user: str, now: datetime) -> list[dict[str, object]]:
        """Run the mail grammar from the shell on request `number`; returns the receipt's lines. Raises NoSuchRequest."""
        person = shell(unix_user)

        def job() -> list[dict[str, object]]:
            found = self._there(number)
            policy = self.office.policy(found.policy_version)
            parsed = commands.parse(text, fields=filled.staff_names(policy))
            parties: dict[str, int] = {}
            known = self._background.know(parsed, found, 0, parties, now)
            stimulus = Commanded(person=person, parsed=parsed, strong=True, shell_user=unix_user, parties=parties, known=known,
                                 said=at_the_shell(self.store, found.id, parsed))  # fmt: skip
            decision = decide(policy, found, stimulus, now, self.office.house)
            spawn(self._keeper, decision, self._keeper.keep(decision, now), now)
            return [dict(result) for result in decision.results]

        return self._done(text, job)

    def declare(self, queue: str, text: str, words: str, unix_user: str, now: datetime) -> list[dict[str, object]]:
        """Open an incident or plan a maintenance from the shell: `text` are the lines of the mail grammar; returns the receipt's lines."""

        def job() -> list[dict[str, object]]:
            self.office.look_round(now)
            version, policy = self.office.current_policy(queue)
            parsed = commands.parse(text)
            inside = at_the_shell(self.store, 0, parsed, words)
            plan = incidents.read(parsed, policy, self.office.house, now, self.office.zone, inside)
            if not isinstance(plan, about.Plan):
                return [dict(one) for one in plan]
            said = Words(plan.title, words, words, 0, 0, 0)
            stimulus = Spoken(shell(unix_user), said, now, plan=plan, shell_user=unix_user, said=inside)
            fresh = Ticket(0, self.store.next_number(), queue, plan.title, Status.NEW, now, version)
            return self._all_or_nothing(decide(policy, fresh, stimulus, now, self.office.house), now)

        return self._done(text, job)

    def speak(self, number: int, text: str, words: str, unix_user: str, now: datetime) -> list[dict[str, object]]:
        """Say `words` to everybody whom incident `number` affects, and run the lines of `text` on it. Raises NoSuchRequest."""

        def job() -> list[dict[str, object]]:
            self.office.look_round(now)
            found = self._there(number)
            said = Words(found.subject, words, words, 0, 0, 0)
            parsed = commands.parse(text)
            inside = at_the_shell(self.store, found.id, parsed, words)
            stimulus = Spoken(shell(unix_user), said, now, parsed, shell_user=unix_user, said=inside)
            return self._all_or_nothing(decide(self.office.policy(found.policy_version), found, stimulus, now, self.office.house), now)

        return self._done(text, job)

    def _there(self, number: int) -> Ticket:
        found = self.store.by_number(number, lock=True)
        if found is None:
            raise NoSuchRequest(f"there is no request #{number}")
        return found

    def _all_or_nothing(self, decision: Decision, now: datetime) -> list[dict[str, object]]:
        """Keep a decision all of whose lines were done; returns its lines."""
        results = [dict(one) for one in decision.results]
        if all(one["done"] for one in results):
            self._keeper.keep(decision, now)
        return results

    def _done(self, text: str, job: Callable[[], list[dict[str, object]]]) -> list[dict[str, object]]:
        """Return the lines of a receipt, of what `job` did in one transaction; of nothing, where a mail would show internal words."""
        try:
            results = self.store.run(job)
        except LeakError as leak:
            why = f"a mail to a customer would hold something internal ({leak.reason}), so nothing was done"
            return [{"line": text.strip(), "done": False, "outcome": why, "instead": ""}]
        failpoint("command-committed")
        self.posted()
        return results


def shell(unix_user: str) -> Person:
    """Return whoever works at the shell: he may do everything, and no mail reaches him."""
    rights = frozenset({"engineer", "manager", "privacy", "admin"})
    return Person(key=f"shell:{unix_user}", name=f"{unix_user} (shell)", email="", rights=rights)


def fate_of(row: OutboxRow, about: Event, text: str) -> Delivered:
    """Return the stimulus that a settled outgoing mail is for its ticket."""
    return Delivered(
        outcome="deferred" if row.fate is Fate.WAITING else str(row.fate),
        template=row.template,
        about=about,
        person=row.person,
        recipient=row.recipient,
        status=row.status,
        said=row.said,
        text=text,
        outbox_id=row.id,
    )


def _tell(settlement: Settlement, mail: Mail) -> None:
    """Log how a mail ended."""
    spool, sender, why = settlement.item.id, mail.sender.spec, settlement.reason
    match settlement.outcome:
        case Outcome.EVENT:
            queue = str((settlement.trace or {}).get("queue") or "")
            log.matched(
                spool=spool,
                sender=sender,
                kind=str(mail.kind),
                ticket=int((settlement.trace or {}).get("number") or 0),
                event=settlement.event,
                queue=queue,
                why=why,
            )
        case Outcome.HELD:
            log.held(spool=spool, hold=spool, sender=sender, ticket=None, why=why)
        case Outcome.BOUNCE:
            log.bounced(spool=spool, outbox=None, ticket=None, status=mail.bounce.status if mail.bounce else "", why=why)
        case Outcome.JUNK:
            log.junked(spool=spool, sender=sender, why=why)
        case Outcome.QUARANTINED if (settlement.trace or {}).get("result") in (Result.ADMIN, Result.ADMIN_LOOP):
            log.for_admin(spool=spool, sender=sender, why=why)
        case Outcome.QUARANTINED:
            log.quarantined(spool=spool, why=why)
        case Outcome.IGNORED:
            log.ignored(spool=spool, sender=sender, kind=str(mail.kind), why=why)
