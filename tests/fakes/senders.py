"""Customers' mail servers: several connections that try each mail until it is taken, and a ledger of what they were told."""

from __future__ import annotations

import hashlib
import smtplib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from tests.fakes.house import mail


@dataclass(frozen=True)
class Posted:
    """One mail of a customer's."""

    number: int

    @property
    def sender(self) -> str:
        return f"customer{self.number}@acme.example"

    @property
    def message_id(self) -> str:
        return f"<load-{self.number}@acme.example>"

    @cached_property
    def raw(self) -> bytes:
        return mail(sender=f"Customer {self.number} <{self.sender}>", subject=f"Trouble {self.number}",
                    text=f"It happened {self.number} times.", message_id=self.message_id)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


@dataclass
class Ledger:
    """What the servers know: which mails were answered 250, and how often each was tried."""

    acknowledged: dict[str, Posted] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0

    def next(self) -> Posted:
        with self.lock:
            self.begun += 1
            return Posted(self.begun)

    def tried(self, posted: Posted) -> None:
        with self.lock:
            self.tries[posted.message_id] = self.tries.get(posted.message_id, 0) + 1

    def taken(self, posted: Posted) -> None:
        with self.lock:
            self.acknowledged[posted.message_id] = posted

    def snapshot(self) -> list[Posted]:
        with self.lock:
            return list(self.acknowledged.values())


class Senders:
    """`connections` threads that send new mails to `port` while `wanted()`; after `finish` each brings its last mail home first."""

    def __init__(self, port: int, ledger: Ledger, wanted: Callable[[], bool], connections: int = 4,
                 to: str = "support@example.com") -> None:
        self.ledger, self._port, self._wanted, self._to = ledger, port, wanted, to
        self._finishing, self._given_up = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"sender-{number}") for number in range(connections)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float = 60) -> None:
        """No new mails; fails when a last one is not taken in time."""
        self._finishing.set()
        for thread in self._threads:
            thread.join(seconds)
        late = [thread.name for thread in self._threads if thread.is_alive()]
        self.give_up()
        assert not late, f"not taken within {seconds} s: the last mails of {late}"

    def give_up(self) -> None:
        """Stop without bringing anything home."""
        self._finishing.set()
        self._given_up.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        client: smtplib.SMTP | None = None
        while not self._finishing.is_set():
            if not self._wanted():
                self._finishing.wait(0.01)
                continue
            posted = self.ledger.next()
            while not self._given_up.is_set():
                try:
                    client = client or smtplib.SMTP("127.0.0.1", self._port, local_hostname="mx.acme.example", timeout=20)
                    self._send(client, posted)
                    break
                except (OSError, smtplib.SMTPException):
                    if client is not None:
                        client.close()
                    client = None
                    self._given_up.wait(0.02)
        if client is not None:
            client.close()

    def _send(self, client: smtplib.SMTP, posted: Posted) -> None:
        self.ledger.tried(posted)
        client.ehlo_or_helo_if_needed()
        for code, said in (client.mail(posted.sender), client.rcpt(self._to), client.data(posted.raw)):
            if code != 250:
                raise smtplib.SMTPResponseException(code, said)
        self.ledger.taken(posted)
