"""An MTA that takes what it is given and remembers it: aiosmtpd in a thread, on a free loopback port."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


@dataclass(frozen=True)
class Taken:
    """One mail as it arrived."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    options: tuple[str, ...]
    connection: int


class Sink:
    """`with Sink() as sink:` listens on `sink.port`; `sink.mails` is what came.

    refuse  recipient -> reply to its RCPT;  answers: replies to DATA in turn, 250 afterwards
    users   user -> password, needed when given
    """

    def __init__(self, *, refuse: Mapping[str, str] | None = None, answers: tuple[str, ...] = (), users: Mapping[str, str] | None = None,
                 tls: ssl.SSLContext | None = None, implicit_tls: bool = False, smtputf8: bool = True, size: int = 2**25,
                 port: int = 0, taken_text: str = "250 2.0.0 Ok: queued as 4F") -> None:
        self.mails: list[Taken] = []
        self.connections = 0
        self._news = threading.Condition()
        self._refuse, self._answers, self._users = dict(refuse or {}), list(answers), users
        self._taken_text = taken_text
        self._controller = _Controller(
            self, tls if implicit_tls else None, port,
            {"enable_SMTPUTF8": smtputf8, "data_size_limit": size, "ident": "sink", "hostname": "sink.test", "auth_require_tls": False,
             "auth_required": users is not None, "authenticator": self._authenticate, "tls_context": None if implicit_tls else tls,
             "require_starttls": bool(tls and not implicit_tls)})

    @property
    def port(self) -> int:
        return self._controller.port

    def wait(self, count: int, seconds: float = 10) -> list[Taken]:
        """Return the mails once there are `count`; fails when there are not within `seconds`."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.mails) >= count, seconds), f"{len(self.mails)} of {count} mails came"
            return list(self.mails)

    def start(self) -> None:
        self._controller.start()
        # The controller looks itself up first.
        self.connections = 0

    def stop(self) -> None:
        self._controller.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = (self._users or {}).get(data.login.decode()) == data.password.decode()
        return AuthResult(success=good, handled=False, auth_data=data)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self._refuse:
            return self._refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self._answers:
            return self._answers.pop(0)
        with self._news:
            self.mails.append(Taken(
                "" if envelope.mail_from == "<>" else envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content,
                tuple(envelope.mail_options), server.number))
            self._news.notify_all()
        return self._taken_text


class _Counted(SMTP):
    def __init__(self, sink: Sink, **settings: Any) -> None:
        sink.connections += 1
        self.number = sink.connections
        super().__init__(sink, **settings)


class _Controller(Controller):
    def __init__(self, sink: Sink, implicit_tls: ssl.SSLContext | None, port: int, settings: dict[str, Any]) -> None:
        super().__init__(sink, hostname="127.0.0.1", port=port, ssl_context=implicit_tls)
        self._settings = settings

    def factory(self) -> SMTP:
        return _Counted(self.handler, **self._settings)

    def _trigger_server(self) -> None:
        # aiosmtpd 1.4.6 looks itself up on port 0 otherwise.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
