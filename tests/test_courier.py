"""The courier between a real outbox and a relay that does as it is told: every mail ends once, none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rtmail.egress import relay as relays
from rtmail.egress.courier import Courier, Health, Settings, growing
from rtmail.egress.fate import Fate as Outcome
from rtmail.egress.fate import PutOff
from rtmail.errors import Deferred
from rtmail.failpoint import arm
from rtmail.store import Fate, OutboxItem, Store
from rtmail.store.outbox import Deferred as PutBack
from rtmail.store.outbox import Failed, Sent
from tests.fakes.badmta import BadMta
from tests.fakes.sink import Sink

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RAW = b"From: support@example.com\r\nSubject: hi\r\n\r\nwords\r\n"
DOWN = PutOff("connect: refused", "connect", relay_down=True)
GREY = PutOff("RCPT: 451 4.7.1 greylisted", "RCPT")


@dataclass
class FakeRelay:
    """Answers by recipient, a list of fates each (the last one stays), or by `always`; `hold` keeps attempts under way."""

    fates: dict[str, list[Outcome]] = field(default_factory=dict)
    always: Outcome | None = None
    hold: asyncio.Event | None = None
    seen: list[tuple[str, bool]] = field(default_factory=list)
    most: int = 0
    now: int = 0
    closed: bool = False

    async def send(self, sender: str, recipient: str, raw: bytes, *, outbox_id: int, again: bool = False) -> Outcome:
        self.seen.append((recipient, again))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.hold is not None:
                await self.hold.wait()
            if self.always is not None:
                return self.always
            left = self.fates.get(recipient) or [Sent("250 ok")]
            fate = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(fate, BaseException):
                raise fate
            return fate
        finally:
            self.now -= 1

    async def close(self) -> None:
        self.closed = True

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)


class Office:
    """A store, a relay, a courier and a clock that stands still until it is told otherwise."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.store = Store(f"sqlite:///{folder / 'rtmail.db'}")
        self.store.open()
        self.relay = FakeRelay()
        self.at = START
        # The clock leaps; only the tests about claims want them to end by it.
        self.settings = Settings("test", **{"poll_seconds": 0.01, "lease_seconds": 10**7, **settings})

    def add(self, *recipients: str, urgency: int = 1, expires: timedelta = timedelta(days=5)) -> list[int]:
        ids = self.store.reserve(len(recipients))
        self.store.add_many([OutboxItem(
            id=n, ticket=0, event=0, person=0, recipient=recipient, envelope_sender=f"support+{n}@example.com", raw=RAW,
            message_id=f"<{n}@example.com>", template="t", urgency=urgency, not_before=self.at, expires_at=self.at + expires, report=True)
            for n, recipient in zip(ids, recipients, strict=True)], self.at)
        return ids

    def courier(self) -> Courier:
        return Courier(self.store, self.relay, self.settings, clock=lambda: self.at, random=lambda: 0.5)

    def fate(self, outbox_id: int) -> tuple[Fate, str, int]:
        row = self.store.by_id(outbox_id)
        assert row is not None
        return row.fate, row.said, row.attempts

    def run(self, story: Callable[[Courier], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            courier = self.courier()
            running = asyncio.create_task(courier.run())
            try:
                await story(courier)
            finally:
                await courier.drain(5)
                await running
        asyncio.run(whole())

    async def until(self, what: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not what():  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.005)

    def settled(self, *ids: int) -> bool:
        return all(self.fate(n)[0] is not Fate.WAITING for n in ids)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.store.close()


def test_each_fate_is_recorded(office: Office) -> None:
    office.relay.fates = {
        "b@x.test": [Failed("550 5.1.1 no b", "5.1.1")], "c@x.test": [GREY], "d@x.test": [Sent("250 <new@ses>", "<new@ses>")]}
    a, b, c, d = office.add("a@x.test", "b@x.test", "c@x.test", "d@x.test")

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(a, b, d) and bool(office.fate(c)[1]))
    office.run(story)
    assert [office.fate(n) for n in (a, b, c, d)] == [
        (Fate.SENT, "250 ok", 1), (Fate.FAILED, "550 5.1.1 no b", 1), (Fate.WAITING, "RCPT: 451 4.7.1 greylisted", 1),
        (Fate.SENT, "250 <new@ses>", 1)]
    assert office.store.by_id(d).remote_id == "<new@ses>"
    assert office.store.by_id(b).status == "5.1.1"
    assert office.store.by_id(c).due_at == START + FIRST_PAUSE
    assert {row.id for row in office.store.unreported(10)} == {a, b, c, d}
    assert office.relay.closed


def test_pauses_grow_until_it_expires(office: Office) -> None:
    office.relay.fates = {"c@x.test": [GREY]}
    c, = office.add("c@x.test", expires=timedelta(days=1))
    dues: list[datetime] = []

    async def story(courier: Courier) -> None:
        while office.fate(c)[0] is Fate.WAITING:
            tried = office.fate(c)[2]
            courier.wake()
            await office.until(
                lambda tried=tried: office.settled(c) or (office.fate(c)[2] > tried and office.store.by_id(c).due_at > office.at))
            dues.append(office.store.by_id(c).due_at)
            office.at = max(office.at, dues[-1])
    office.run(story)
    assert office.fate(c)[:2] == (Fate.EXPIRED, "RCPT: 451 4.7.1 greylisted")
    pauses = [later - earlier for earlier, later in zip([START, *dues], dues, strict=False)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert max(pauses) == LONGEST_PAUSE
    assert START + timedelta(days=1) in dues


def test_pauses_are_as_long_as_the_config_says(tmp_path: Path) -> None:
    office = Office(tmp_path, min_pause=timedelta(seconds=10), max_pause=timedelta(seconds=15))
    office.relay.fates = {"c@x.test": [GREY]}
    c, = office.add("c@x.test")

    async def story(courier: Courier) -> None:
        for pause in (10, 15, 15):
            tried = office.fate(c)[2]
            courier.wake()
            await office.until(lambda tried=tried: office.fate(c)[2] > tried and office.store.by_id(c).due_at > office.at)
            assert office.store.by_id(c).due_at - office.at == timedelta(seconds=pause)
            office.at = office.store.by_id(c).due_at
    office.run(story)


@pytest.mark.parametrize(("times", "luck", "minutes"), [(1, 0, 0.75), (1, 1, 1.25), (3, 0.5, 4), (9, 0.5, 240), (10**6, 0.5, 240)])
def test_growing(times: int, luck: float, minutes: float) -> None:
    assert growing(times, FIRST_PAUSE, LONGEST_PAUSE, luck) == timedelta(minutes=minutes)


def test_urgent_ones_first_and_only_so_many_at_once(tmp_path: Path) -> None:
    office = Office(tmp_path, concurrency=3)
    bulk = office.add(*(f"bulk{n}@x.test" for n in range(6)), urgency=2)
    urgent = office.add("cto@x.test", urgency=0)

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(*bulk, *urgent))
    office.run(story)
    assert office.relay.seen[0][0] == "cto@x.test"
    assert office.relay.most <= 3


def test_a_dead_relay_is_probed_with_one_mail_and_then_everything_flows(office: Office) -> None:
    office.relay.always = DOWN
    ids = office.add(*(f"{n}@x.test" for n in range(30)))

    async def story(courier: Courier) -> None:
        await office.until(lambda: courier.trouble != "" and not courier._deliveries)
        first = len(office.relay.seen)
        assert first <= office.settings.concurrency
        for _ in range(3):
            before = len(office.relay.seen)
            office.at += timedelta(minutes=10)
            courier.wake()
            await office.until(lambda before=before: len(office.relay.seen) == before + 1 and not courier._deliveries)
        # Nothing more goes out before the next probe is due.
        for _ in range(5):
            courier.wake()
            await asyncio.sleep(0.01)
        assert len(office.relay.seen) == first + 3
        assert "refused" in courier.trouble
        office.relay.always = None
        office.at += timedelta(minutes=10)
        courier.wake()
        await office.until(lambda: office.settled(*ids))
        assert courier.trouble == ""
    office.run(story)
    assert {office.fate(n)[0] for n in ids} == {Fate.SENT}
    # Trouble of the relay's counts as one attempt of a mail at most.
    assert max(office.fate(n)[2] for n in ids) <= 2


def test_a_clock_set_back_puts_off_no_probe(office: Office) -> None:
    office.relay.always = DOWN
    office.add("a@x.test")

    async def story(courier: Courier) -> None:
        await office.until(lambda: courier.trouble != "" and not courier._deliveries)
        office.relay.always = None
        office.at -= timedelta(days=1)
        late, = office.add("late@x.test")
        courier.wake()
        await office.until(lambda: office.settled(late), 10)
        assert courier.trouble == ""
    office.run(story)


def test_trouble_of_the_relay_is_no_attempt_of_the_mail(office: Office) -> None:
    office.relay.fates = {"a@x.test": [DOWN] * 10 + [GREY]}
    a, = office.add("a@x.test")

    async def story(courier: Courier) -> None:
        while len(office.relay.seen) < 11:
            office.at += timedelta(seconds=10)
            courier.wake()
            await asyncio.sleep(0.005)
        await office.until(lambda: "greylisted" in office.fate(a)[1])
    office.run(story)
    assert office.fate(a)[2] == 2
    assert office.store.by_id(a).due_at - office.at <= 2 * FIRST_PAUSE


def test_what_is_claimed_ahead_goes_back_untried_when_the_relay_is_dead(tmp_path: Path) -> None:
    office = Office(tmp_path, concurrency=2)
    ids = office.add(*(f"{n}@x.test" for n in range(6)))

    def claims() -> int:
        return sum(office.fate(n)[2] for n in ids)

    async def whole() -> None:
        courier, office.relay.hold = office.courier(), asyncio.Event()
        running = asyncio.create_task(courier.run())
        await office.until(lambda: office.relay.now == 2 and claims() == 4)
        office.relay.always = DOWN
        office.relay.hold.set()
        await office.until(lambda: courier.trouble != "" and claims() == 2)
        assert len(office.relay.seen) == 2
        await courier.drain(5)
        await running
    asyncio.run(whole())
    assert len(office.store.lease_outbox("next", START, 10, 60)) == 4


def test_only_so_much_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large mails go one after the other; each gets its turn."""
    monkeypatch.setattr("rtmail.store.outbox.CLAIM_BYTES", len(RAW))
    monkeypatch.setattr("rtmail.egress.courier.MOST_BYTES", 2 * len(RAW))
    office = Office(tmp_path)
    ids = office.add(*(f"{n}@x.test" for n in range(9)))

    async def story(courier: Courier) -> None:
        office.relay.hold = asyncio.Event()
        await office.until(lambda: office.relay.now == 2)
        rounds = courier.rounds
        await office.until(lambda: courier.rounds > rounds + 3)
        assert office.relay.now == 2
        office.relay.hold.set()
        await office.until(lambda: office.settled(*ids))
    office.run(story)
    assert {office.fate(n)[2] for n in ids} == {1}
    office.store.close()


def test_drain_puts_back_what_is_claimed_ahead(tmp_path: Path) -> None:
    office = Office(tmp_path, concurrency=2)
    ids = office.add(*(f"{n}@x.test" for n in range(6)))

    async def whole() -> None:
        courier, office.relay.hold = office.courier(), asyncio.Event()
        running = asyncio.create_task(courier.run())
        await office.until(lambda: office.relay.now == 2 and sum(office.fate(n)[2] for n in ids) == 4)
        asyncio.get_running_loop().call_later(0.05, office.relay.hold.set)
        await courier.drain(10)
        await running
        assert len(office.relay.seen) == 2
    asyncio.run(whole())
    assert [office.fate(n)[0] for n in ids].count(Fate.SENT) == 2
    assert sum(office.fate(n)[2] for n in ids) == 2


def test_a_mail_put_off_for_its_content_holds_up_no_other(office: Office) -> None:
    fates = {stage: office_fate(office, PutOff("451", stage, relay_down=stage == "dot")) for stage in ("RCPT", "DATA", "dot")}
    assert fates == {"RCPT": True, "DATA": False, "dot": False}


def office_fate(office: Office, fate: PutOff) -> bool:
    """Return whether a mail with this fate holds up later ones to its recipient."""
    item = OutboxItem(1, 0, 0, 0, "a@x.test", "", RAW, "<1@x>", "t", 1, START, None, False, attempts=1)
    settled = office.courier()._judge(item, fate, START)
    assert isinstance(settled, PutBack)
    return settled.blocks


def test_mail_expires_while_the_relay_is_dead(office: Office) -> None:
    office.relay.always = DOWN
    old = office.add("old@x.test", expires=timedelta(hours=1))
    young = office.add("young@x.test")

    async def story(courier: Courier) -> None:
        await office.until(lambda: courier.trouble != "" and not courier._deliveries)
        office.at += timedelta(hours=2)
        courier.wake()
        await office.until(lambda: office.settled(*old))
    office.run(story)
    assert office.fate(old[0])[:2] == (Fate.EXPIRED, "connect: refused")
    assert office.fate(young[0])[0] is Fate.WAITING


def test_a_mail_whose_time_ran_out_while_we_were_down_is_tried_once(office: Office) -> None:
    sent, = office.add("there@x.test", expires=timedelta(hours=1))
    gone, = office.add("gone@x.test", expires=timedelta(hours=1))
    office.relay.fates = {"gone@x.test": [PutOff("RCPT: 451 not now", "RCPT")] * 9}
    office.at += timedelta(hours=2)

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(sent, gone))
    office.run(story)
    assert office.fate(sent)[0] is Fate.SENT
    assert office.fate(gone)[:2] == (Fate.EXPIRED, "RCPT: 451 not now")
    assert [recipient for recipient, _ in office.relay.seen].count("gone@x.test") == 1


def test_a_claim_of_one_who_ended_is_no_try(office: Office) -> None:
    """As the clock was set from two days back to four days ahead just after mails were claimed: they expired, and nobody had sent them."""
    mail, = office.add("there@x.test", expires=timedelta(hours=1))
    assert [item.id for item in office.store.lease_outbox("killed", office.at, 9, 60)] == [mail]
    office.at += timedelta(hours=2)

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(mail))
    office.run(story)
    assert office.fate(mail) == (Fate.SENT, "250 ok", 2)


def test_a_mail_that_the_relay_stumbles_over_stops_no_other(office: Office) -> None:
    office.relay.fates = {"poison@x.test": [PutOff("dot: connection lost", "dot", relay_down=True)]}
    poison, = office.add("poison@x.test", urgency=0)
    others = office.add(*(f"{n}@x.test" for n in range(20)))

    async def story(courier: Courier) -> None:
        while not office.settled(*others):
            courier.wake()
            await asyncio.sleep(0.005)
            office.at += timedelta(seconds=2)
    office.run(story)
    assert office.fate(poison)[0] is Fate.WAITING


def test_a_fault_of_ours_puts_the_mail_off(office: Office) -> None:
    office.relay.fates = {"a@x.test": [ValueError("a bug")]}  # type: ignore[list-item]
    a, = office.add("a@x.test")

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.fate(a)[1] != "")
        assert courier.trouble == ""
    office.run(story)
    assert office.fate(a)[:2] == (Fate.WAITING, "trouble of our own, see the log")


def test_staging_sends_everything_to_one_address(tmp_path: Path) -> None:
    office = Office(tmp_path, redirect_to="me@x.test")
    ids = office.add("ann@customer.test", "bob@customer.test")

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(*ids))
    office.run(story)
    assert {recipient for recipient, _ in office.relay.seen} == {"me@x.test"}


def test_waking_is_enough(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.settings = Settings("test", poll_seconds=3600)

    async def story(courier: Courier) -> None:
        await asyncio.sleep(0.02)
        ids = await asyncio.to_thread(office.add, "a@x.test")
        await asyncio.to_thread(courier.wake)
        await office.until(lambda: office.settled(*ids))
    office.run(story)


def test_a_claim_is_renewed_while_a_mail_is_under_way(tmp_path: Path) -> None:
    office = Office(tmp_path, lease_seconds=0.15)
    other = Settings("other", poll_seconds=0.01, lease_seconds=0.15)
    a, = office.add("slow@x.test")

    async def story(courier: Courier) -> None:
        office.relay.hold = asyncio.Event()
        began = asyncio.get_running_loop().time()
        await office.until(lambda: office.relay.now == 1)
        second = Courier(office.store, office.relay, other, clock=lambda: office.at, random=lambda: 0.5)
        running = asyncio.create_task(second.run())
        # The clock runs with the real one, so that an unrenewed claim would end.
        while (gone := asyncio.get_running_loop().time() - began) < 0.6:
            office.at = START + timedelta(seconds=gone)
            await asyncio.sleep(0.01)
        assert len(office.relay.seen) == 1
        office.relay.hold.set()
        await office.until(lambda: office.settled(a))
        await second.drain(5)
        await running
    office.run(story)
    assert office.fate(a)[0] is Fate.SENT


def test_who_lost_his_claim_stops_sending_and_records_nothing(tmp_path: Path) -> None:
    office = Office(tmp_path, lease_seconds=0.05)
    a, = office.add("slow@x.test")

    async def story(courier: Courier) -> None:
        office.relay.hold = asyncio.Event()
        await office.until(lambda: office.relay.now == 1)
        # We stood still; another daemon found the claim ended, and sent it.
        item, = await asyncio.to_thread(office.store.lease_outbox, "other", office.at + timedelta(hours=1), 1, 3600)
        await office.until(lambda: office.relay.now == 0)
        await asyncio.to_thread(office.store.settle_outbox, item, Sent("250 by the other"), office.at)
    office.run(story)
    assert office.fate(a)[:2] == (Fate.SENT, "250 by the other")


def test_drain_puts_back_what_it_cannot_finish(office: Office) -> None:
    async def whole() -> None:
        courier = office.courier()
        office.relay.hold = asyncio.Event()
        office.add("a@x.test", "b@x.test")
        running = asyncio.create_task(courier.run())
        await office.until(lambda: office.relay.now == 2)
        await courier.drain(0.05)
        await running
        assert office.relay.now == 0
    asyncio.run(whole())
    assert len(office.store.lease_outbox("next", START, 10, 60)) == 2


def test_drain_lets_a_sending_mail_finish(office: Office) -> None:
    a, = office.add("a@x.test")

    async def whole() -> None:
        courier = office.courier()
        office.relay.hold = asyncio.Event()
        running = asyncio.create_task(courier.run())
        await office.until(lambda: office.relay.now == 1)
        asyncio.get_running_loop().call_later(0.05, office.relay.hold.set)
        await courier.drain(10)
        await running
    asyncio.run(whole())
    assert office.fate(a)[0] is Fate.SENT


def test_a_store_in_trouble_is_asked_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmail.egress.courier.STORE_PAUSE_SECONDS", 0.01)
    a, = office.add("a@x.test")
    lease, troubles = office.store.lease_outbox, [Deferred(), Deferred()]

    def faulty(*arguments: Any) -> list[OutboxItem]:
        if troubles:
            raise troubles.pop()
        return lease(*arguments)
    monkeypatch.setattr(office.store, "lease_outbox", faulty)

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(a))
    office.run(story)
    assert not troubles


def test_what_went_out_is_not_sent_again_because_it_could_not_be_recorded_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmail.egress.courier.STORE_PAUSE_SECONDS", 0.01)
    a, b = office.add("a@x.test", "b@x.test")
    settle, troubles = office.store.settle_outbox_many, [Deferred(), OSError(5, "the disk"), Deferred()]

    def faulty(*arguments: Any) -> None:
        if troubles:
            raise troubles.pop()
        settle(*arguments)
    monkeypatch.setattr(office.store, "settle_outbox_many", faulty)

    async def story(courier: Courier) -> None:
        await office.until(lambda: office.settled(a, b))
    office.run(story)
    assert not troubles
    assert [office.fate(one)[2] for one in (a, b)] == [1, 1], "at the first attempt"


def test_what_went_out_is_not_sent_again_when_its_claim_ran_out_unrecorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database was away for longer than a claim lasts; back again, it hears first of a new claim."""
    monkeypatch.setattr("rtmail.egress.courier.STORE_PAUSE_SECONDS", 0.01)
    office = Office(tmp_path, lease_seconds=60)
    a, b = office.add("a@x.test", "b@x.test")
    settle, troubled = office.store.settle_outbox_many, []

    def faulty(settled: Any, now: datetime) -> None:
        if all(item.attempts == 1 for item, _ in settled) and not all(office.fate(item.id)[2] == 2 for item, _ in settled):
            troubled.append(now)
            raise Deferred
        settle(settled, now)
    monkeypatch.setattr(office.store, "settle_outbox_many", faulty)

    async def story(courier: Courier) -> None:
        await office.until(lambda: len(troubled) > 2)
        office.at += timedelta(seconds=61)
        await office.until(lambda: office.settled(a, b))
    office.run(story)
    assert [office.fate(one)[0] for one in (a, b)] == [Fate.SENT, Fate.SENT]
    assert sorted(office.relay.seen) == [("a@x.test", False), ("b@x.test", False)]
    office.store.close()


@pytest.mark.parametrize("point", ["outbox-leased", "outbox-before-settle"])
def test_a_failure_on_the_way_costs_no_mail(tmp_path: Path, point: str) -> None:
    office = Office(tmp_path, lease_seconds=30)
    a, = office.add("a@x.test")
    arm(f"{point}:1:error")
    try:
        async def story(courier: Courier) -> None:
            await office.until(lambda: office.fate(a)[2] == 1)
            while not office.settled(a):
                office.at += timedelta(seconds=31)
                courier.wake()
                with suppress(TimeoutError):
                    await office.until(lambda: office.settled(a), 1)
        office.run(story)
    finally:
        arm("")
    assert office.fate(a)[0] is Fate.SENT


def test_a_lost_claim_spoils_no_other_settlement(tmp_path: Path) -> None:
    """Outcomes share a commit; one that may not be recorded must not undo its neighbours."""
    office = Office(tmp_path, lease_seconds=60)
    ids = office.add(*(f"{n}@x.test" for n in range(8)))

    async def story(courier: Courier) -> None:
        office.relay.hold = asyncio.Event()
        await office.until(lambda: office.relay.now == 8)
        item, = await asyncio.to_thread(office.store.lease_outbox, "other", office.at + timedelta(hours=1), 1, 3600)
        office.relay.hold.set()
        await office.until(lambda: office.settled(*(n for n in ids if n != item.id)))
        assert office.fate(item.id)[0] is Fate.WAITING
    office.run(story)


def test_health_takes_troubles_of_one_moment_as_one() -> None:
    health = Health()
    assert [health.failed("x", START, 0.5) for _ in range(8)] == [True] + [False] * 7
    assert health.probe_at == START + timedelta(seconds=5)
    health.failed("x", START + timedelta(seconds=5), 0.5)
    assert health.probe_at == START + timedelta(seconds=15)
    assert [health.worked(), health.worked()] == [True, False]


def test_over_real_sockets_past_a_relay_that_died(tmp_path: Path) -> None:
    office = Office(tmp_path)
    ids = office.add(*(f"{n}@x.test" for n in range(20)))
    with BadMta("dot", "cut", times=2) as bad:
        office.relay = relays.make_relay(relays.Settings(f"smtp://127.0.0.1:{bad.port}", "rtmail.test"), tmp_path)  # type: ignore[assignment]

        async def story(courier: Courier) -> None:
            while not office.settled(*ids):
                office.at += timedelta(seconds=20)
                courier.wake()
                await asyncio.sleep(0.01)
        office.run(story)
        # The two that were cut after the final dot came again, with the same bytes.
        assert len(bad.mails) == 22
        assert {office.fate(n)[0] for n in ids} == {Fate.SENT}


def test_many_connections_at_once(tmp_path: Path) -> None:
    office = Office(tmp_path)
    ids = office.add(*(f"{n}@x.test" for n in range(100)))
    with Sink() as sink:
        office.relay = relays.make_relay(relays.Settings(f"smtp://127.0.0.1:{sink.port}", "rtmail.test"), tmp_path)  # type: ignore[assignment]

        async def story(courier: Courier) -> None:
            await office.until(lambda: office.settled(*ids), 30)
        office.run(story)
        assert sorted(mail.recipients[0] for mail in sink.mails) == sorted(f"{n}@x.test" for n in range(100))
        assert sink.connections <= office.settings.concurrency
