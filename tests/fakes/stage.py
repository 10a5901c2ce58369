"""The real daemon in rehearsal: a clock that runs fast or passes over idle time, people who answer what they get, every mail seen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rtmail.desk.ticket import Event, Ticket
from rtmail.store import Fate, Store
from tests.fakes.daemon import ROOT, Running, next_date, parsed, plain, reply, wait_for
from tests.fakes.house import mail
from tests.fakes.looking import rests, rows
from tests.fakes.staff import NAMES, fresh_id, trusted

RATE = 1000.0
"""Five hours in 18 seconds. Much faster, and a courier's lease ends before a busy machine has written the mail."""


class Mailbox:
    """What the relay wrote, in the order in which it was seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: dict[str, bytes] = {}

    def look(self) -> list[bytes]:
        """Return the mails that came since the last look."""
        fresh = sorted(path for path in self.folder.glob("*") if path.name not in self.seen) if self.folder.is_dir() else []
        self.seen.update((path.name, path.read_bytes()) for path in fresh)
        return [self.seen[path.name] for path in fresh]

    def to(self, recipient: str, subject: str = "") -> list[bytes]:
        return [raw for raw in self.seen.values() if to(raw) == recipient and subject in str(parsed(raw)["Subject"])]


def to(raw: bytes) -> str:
    return str(parsed(raw)["Delivered-To"])


def flat(raw: bytes) -> str:
    """The words of a mail in one line."""
    return " ".join(plain(raw).split())


class Stage:
    """A daemon in rehearsal. Its clock stands still while it is dead: it starts again with what it showed when it was killed.

    policy  the name of a shipped policy, and of the file; text: what it says, by default as it ships
    begins  what the clock shows at first
    house   tables of the config: queues, people, roles, plans, organisations; site: lines of `[site]`
    """

    def __init__(self, folder: Path, policy: str, text: str = "", *, begins: datetime, rate: float = RATE, house: str = "",
                 site: str = "") -> None:
        (folder / "config" / "policies").mkdir(parents=True)
        shipped = (ROOT / "config" / "policies" / f"{policy}.toml").read_text()
        (folder / "config" / "policies" / f"{policy}.toml").write_text(text or shipped)
        self.daemon = Running(folder, policy=policy, ingress=house, site=site)
        self.box = Mailbox(self.daemon.state / "sent" / "new")
        self.begins, self.rate = begins, rate
        self.zero = time.time()
        self.starting = 0.0
        self.kills = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.daemon.__exit__(kind, error, trace)
        if kind is not None:
            print("\n".join(self.told()))

    @property
    def now(self) -> datetime:
        return self.begins + timedelta(seconds=(time.time() - self.zero) * self.rate)

    def start(self) -> None:
        self.zero += self.starting
        begun = time.time()
        self.daemon.arguments = ("--clock-rate", str(self.rate), "--clock-from", self.begins.isoformat(), "--clock-zero", str(self.zero))
        self.daemon.start()
        self.starting = time.time() - begun

    def kill(self) -> None:
        died = time.time()
        self.daemon.kill()
        self.kills += 1
        self.zero += time.time() - died
        self.start()

    def pass_over(self, at: datetime) -> None:
        """Stop, and start again at an instant before which nothing is due: so nothing is lost by passing over it."""
        self.rest()
        self.daemon.stop()
        with self.store() as store:
            wake = store.next_wake_at()
        assert wake is None or wake >= at, f"due at {wake}, before {at}"
        assert at > self.now
        self.begins, self.zero = at, time.time()
        self.start()

    def until_due(self, before: timedelta = timedelta(minutes=2)) -> None:
        """Pass over the time to shortly before what is due next."""
        self.rest()
        with self.store() as store:
            wake = store.next_wake_at()
        assert wake is not None, "nothing is ever due"
        if wake - before > self.now + timedelta(minutes=10):
            self.pass_over(wake - before)

    def play(self, parts: Mapping[tuple[str, str], Callable[[bytes], None]], until: Callable[[], object], *, killing: bool = False,
             seconds: float = 240) -> None:
        """Let time run: `parts` are what people do when (recipient, in the subject) comes, once each; `killing`: kill -9 at each mail."""
        left = dict(parts)
        ends = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < ends, f"it did not happen within {seconds} s: {self.told()}"
            came = self.box.look()
            if came and killing:
                self.kill()
            for raw in came:
                for one in [one for one in left if one[0] == to(raw) and one[1] in str(parsed(raw)["Subject"])]:
                    left.pop(one)(raw)
            time.sleep(0.02)  # between two looks at the folder; the deadline decides
        assert not left, f"never came: {list(left)}"

    def told(self) -> list[str]:
        return [f"{parsed(raw)['Date']} {to(raw)}: {parsed(raw)['Subject']}" for raw in self.box.seen.values()]

    def send(self, raw: bytes, sender: str) -> None:
        answered = parsed(raw)["To"].addresses[0].addr_spec
        self.daemon.send(raw, to=answered, sender=sender)

    def writes(self, who: str, text: str, *, to: str = "support@example.com", subject: str = "") -> None:
        """`who` writes a fresh mail to us, proven as his."""
        raw = mail(sender=f"{NAMES[who]} <{who}>", to=to, subject=subject, text=text, message_id=fresh_id(who), date=next_date())
        self.send(trusted(raw, who), who)

    def answers(self, raw: bytes, text: str) -> None:
        """Whoever got this mail answers it, proven as himself."""
        who = to(raw)
        self.send(trusted(reply(raw, text, sender=f"{NAMES[who]} <{who}>", message_id=fresh_id(who)), who), who)

    def came(self, recipient: str, template: str, words: str = "", *, number: int = 1, seconds: float = 30) -> bytes:
        """Wait for the `number`-th mail of this template to this recipient with these words, in its subject or below, and return it."""

        def found() -> list[bytes]:
            names = {row for row, *kind in self.sent() if kind == [recipient, template]}
            self.box.look()
            mails = [raw for name, raw in self.box.seen.items() if int(name.partition(".")[0]) in names
                     and words in f"{parsed(raw)['Subject']} {flat(raw)}"]
            return mails[number - 1:]

        try:
            return bytes(wait_for(found, seconds)[0])
        except AssertionError:
            there = "\n".join(f"{one[2]} to {one[1]}" for one in self.sent())
            told = f"no {template} to {recipient} with {words!r} by {self.now:%a %d %b %H:%M}; there are\n{there}"
            raise AssertionError(told) from None

    def store(self) -> Opened:
        """The daemon's store, for `with`."""
        return Opened("sqlite:///rtmail.db", self.daemon.state)

    def sent(self) -> list[tuple[Any, ...]]:
        """Number, recipient and template of each mail that is out."""
        return rows(self.daemon.state, "SELECT id, recipient, template FROM outbox WHERE state = 'sent' ORDER BY id")

    def ticket(self, number: int = 1) -> Ticket:
        with self.store() as store:
            ticket = store.by_number(number)
            assert ticket is not None
            assert store.replayed(ticket.id) == ticket
            return ticket

    def rest(self) -> None:
        """Wait until everything that came in is dealt with, and everything is out."""
        wait_for(lambda: rests(self.daemon.state), 60, "it did not come to rest")

    def ended(self) -> tuple[Ticket, list[Event]]:
        """Let everything go out, stop, and return the first request with its log; each mail was written once, and no other."""
        self.close()
        with self.store() as store:
            ticket = store.by_number(1)
            assert ticket is not None
            assert store.replayed(ticket.id) == ticket
            sent = list(store.list_outbox(Fate.SENT))
            copies = Counter((row.event, row.template, row.recipient) for row in sent)
            assert set(copies.values()) == {1}, copies
            return ticket, [event for event, _ in store.events(ticket.id)]

    def close(self) -> dict[str, dict[str, int]]:
        """Let everything go out, stop, see that the books close, and return who had how many mails of which template."""
        self.rest()
        self.daemon.stop()
        self.box.look()
        sent = self.sent()
        assert sorted(int(name.partition(".")[0]) for name in self.box.seen) == [number for number, *_ in sent], self.told()
        assert "the sum closes" in self.daemon.cli("audit")
        had: dict[str, dict[str, int]] = {}
        for (recipient, template), count in Counter((recipient, template) for _, recipient, template in sent).items():
            had.setdefault(recipient.partition("@")[0], {})[template] = count
        return had


class Opened(Store):
    """A store that `with` opens and closes."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
