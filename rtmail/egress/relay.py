"""Hands one mail to one MTA, and tells what became of it. Called by the courier, for one recipient at a time.

Promise 5 as seen from here: the bytes go out as they are, CRLF only; 250 after the final dot is success whatever happens
then; what nobody confirmed is put off and comes again. What goes wrong before MAIL is the relay's trouble or our own
configuration's, never the mail's, and never bounces it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, Protocol, cast
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib.auth import auth_login_encode, auth_plain_encode, auth_xoauth2_encode

from rtmail.egress.dialogue import Broken, Dialogue, Reply
from rtmail.egress.fate import Examined, Fate, PutOff, remote_id, shown, status_of
from rtmail.egress.maildir import MaildirRelay
from rtmail.failpoint import failpoint
from rtmail.store.outbox import Failed, Sent

_LINE_END = re.compile(rb"\r\n|\r|\n")
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_OURS = frozenset({530, 534, 535, 538})
"""Replies that speak of our credentials, at whatever stage: a matter of configuration, not of the mail."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait at each stage (RFC 5321 4.5.3.2). `connect` is for the connection, with TLS for smtps, and again for
    the banner; `dot` covers the upload."""

    connect: float = 60
    hello: float = 60
    starttls: float = 60
    auth: float = 60
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    dot: float = 600
    quit: float = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """How a relay is reached.

    url         smtp://, smtp+starttls://, smtps:// with [user@]host[:port], or maildir:PATH
    hostname    our name in EHLO
    password    for AUTH PLAIN or LOGIN; `token` instead gives an OAuth access token for XOAUTH2, asked for at each connection
    ca_file     PEM file of further authorities to trust, "" for the system's alone
    idle_seconds, uses  how long, and for how many mails, a connection is kept
    """

    url: str
    hostname: str
    password: str = ""
    token: Callable[[], Awaitable[str]] | None = None
    ca_file: str = ""
    timeouts: Timeouts = Timeouts()
    idle_seconds: float = 60
    uses: int = 100


class Relay(Protocol):
    """Whatever takes our mail."""

    async def send(self, sender: str, recipient: str, raw: bytes, *, outbox_id: int, again: bool = False) -> Fate:
        """Hand one mail over.

        sender     envelope sender, "" for the null sender
        outbox_id  its row; `again` says that it was tried before
        Raises nothing that the peer or the network can cause.
        """

    async def close(self) -> None:
        """Close what is kept open."""

    async def examine(self, sender: str, recipient: str) -> Examined:
        """Ask whether it would take a mail, and send none. Raises nothing that the peer or the network can cause."""


def make_relay(settings: Settings, folder: Path) -> Relay:
    """Return the relay that `settings.url` names; a relative Maildir is below `folder`.

    Raises ValueError for an URL that makes no sense, or that would send a password in the clear across a network;
    OSError or ssl.SSLError when the CA file cannot be read.
    """
    parts = urlsplit(settings.url)
    if parts.scheme == "maildir" and parts.path:
        return MaildirRelay(folder / unquote(parts.path))
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"relay url {settings.url!r}: expected smtp://, smtp+starttls://, smtps:// with a host, or maildir:PATH")
    if parts.password:
        raise ValueError("relay url: the password belongs into the environment, not into the url")
    if parts.scheme == "smtp" and parts.username and not _is_loopback(parts.hostname):
        raise ValueError(f"relay url: smtp:// would send the password to {parts.hostname} in the clear; use smtp+starttls:// or smtps://")
    return SmtpRelay(settings, parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], unquote(parts.username or ""))


class _AttemptError(Exception):
    """An attempt ended early, in `fate`; `usable` tells whether the connection may serve the next mail."""

    def __init__(self, fate: Fate, *, usable: bool = False) -> None:
        super().__init__(fate.text)
        self.fate, self.usable = fate, usable


@dataclass(slots=True)
class _Line:
    """One connection that is ready for MAIL; `dirty` wants RSET before it."""

    smtp: aiosmtplib.SMTP
    dialogue: Dialogue
    uses: int = 0
    dirty: bool = False
    idle: asyncio.TimerHandle | None = None


class _Step(NamedTuple):
    """One command of a mail's dialogue: the stage's name, its line, seconds to wait, and the good replies."""

    stage: str
    command: bytes
    patience: float
    good: tuple[int, ...]


class SmtpRelay:
    """An MTA, with the connections to it that stand idle. As many mails may be sent at once as the caller likes."""

    def __init__(self, settings: Settings, scheme: str, host: str, port: int, user: str) -> None:
        self._settings, self._scheme, self._host, self._port, self._user = settings, scheme, host, port, user
        self._tls = ssl.create_default_context()
        if settings.ca_file:
            self._tls.load_verify_locations(settings.ca_file)
        self._idle: list[_Line] = []
        self._parting: set[asyncio.Task[None]] = set()

    async def send(self, sender: str, recipient: str, raw: bytes, *, outbox_id: int, again: bool = False) -> Fate:
        """Send over an idle connection or a new one. An idle one that turns out dead costs nothing but a new one."""
        if not _sendable(recipient) or not (_sendable(sender) or sender == ""):
            return Failed("not a valid address", "5.1.3")
        wire = raw if _is_clean(raw) else await asyncio.to_thread(_LINE_END.sub, b"\r\n", raw)
        line = self._reuse()
        if line is not None:
            fate = await self._attempt(line, sender, recipient, wire)
            if not (isinstance(fate, PutOff) and fate.relay_down and fate.stage in ("RSET", "MAIL", "RCPT")):
                return fate
        try:
            line = await self._connect()
        except _AttemptError as trouble:
            return trouble.fate
        return await self._attempt(line, sender, recipient, wire)

    async def close(self) -> None:
        """Say QUIT on every idle connection."""
        while self._idle:
            self._part(self._idle.pop())
        await asyncio.gather(*self._parting)

    async def examine(self, sender: str, recipient: str) -> Examined:
        """Go through the dialogue up to RCPT on a connection of its own, and take it back."""
        ends: datetime | None = None
        stage = "connect"
        try:
            line = await self._connect()
            certificate = line.smtp.get_transport_info("peercert") or {}
            if "notAfter" in certificate:
                ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
            try:
                for step in self._recipient(line, sender, recipient, b""):
                    stage = step.stage
                    with _stage(stage):
                        line.dialogue.send(step.command)
                    await self._heard(line.dialogue, step)
            finally:
                await self._quit(line)
        except _AttemptError as trouble:
            return Examined(False, trouble.fate.stage if isinstance(trouble.fate, PutOff) else stage, trouble.fate.text, ends)
        return Examined(True, "RCPT", f"takes mail for <{recipient}>", ends)

    # A connection's life

    async def _connect(self) -> _Line:
        """Return a connection that is ready for MAIL; raises _AttemptError, whose fate always is PutOff with relay_down."""
        settings, limits = self._settings, self._settings.timeouts
        smtp = aiosmtplib.SMTP(
            hostname=self._host, port=self._port, local_hostname=settings.hostname, use_tls=self._scheme == "smtps", start_tls=False,
            tls_context=self._tls,
        )
        try:
            with _stage("connect"):
                await smtp.connect(timeout=limits.connect)
            failpoint("relay-connected")
            with _stage("EHLO"):
                await smtp.ehlo(timeout=limits.hello)
            if self._scheme == "smtp+starttls":
                with _stage("STARTTLS"):
                    await smtp.starttls(timeout=limits.starttls)
                with _stage("EHLO"):
                    await smtp.ehlo(timeout=limits.hello)
            if self._user:
                with _stage("AUTH"):
                    await self._authenticate(smtp)
            if not smtp.is_connected:
                raise _AttemptError(PutOff("the relay closed the connection", "connect", relay_down=True))
            return _Line(smtp, Dialogue(cast(asyncio.Transport, smtp.transport)))
        except BaseException:
            smtp.close()
            raise

    async def _authenticate(self, smtp: aiosmtplib.SMTP) -> None:
        """Log in by the strongest way that both sides know; raises what aiosmtplib raises."""
        timeout, password = self._settings.timeouts.auth, self._settings.password
        offered = smtp.server_auth_methods
        if self._settings.token is not None:
            if "xoauth2" not in offered:
                raise aiosmtplib.SMTPException("the relay offers no XOAUTH2")
            # A token that is not taken is answered with a challenge that tells why; the refusal itself follows an empty line.
            steps = [b"XOAUTH2 " + auth_xoauth2_encode(self._user, await self._settings.token()), b""]
        elif "plain" in offered:
            steps = [b"PLAIN " + auth_plain_encode(self._user, password)]
        elif "login" in offered:
            steps = [b"LOGIN", *auth_login_encode(self._user, password)]
        else:
            raise aiosmtplib.SMTPException("the relay offers neither AUTH PLAIN nor LOGIN")
        response = await smtp.execute_command(b"AUTH", *steps[0].split(b" "), timeout=timeout)
        for step in steps[1:]:
            if response.code != 334:
                break
            response = await smtp.execute_command(step, timeout=timeout)
        if response.code != 235:
            raise aiosmtplib.SMTPAuthenticationError(response.code, response.message)

    def _reuse(self) -> _Line | None:
        """Return an idle connection that still stands, None when there is none."""
        while self._idle:
            line = self._idle.pop()
            if line.idle is not None:
                line.idle.cancel()
            if line.dialogue.usable:
                return line
            line.smtp.close()
        return None

    def _rest(self, line: _Line) -> None:
        """Keep a connection for the next mail, for a while."""
        if line.uses >= self._settings.uses or not line.dialogue.usable:
            self._part(line)
            return
        line.idle = asyncio.get_running_loop().call_later(self._settings.idle_seconds, self._expire, line)
        self._idle.append(line)

    def _expire(self, line: _Line) -> None:
        self._idle.remove(line)
        self._part(line)

    def _part(self, line: _Line) -> None:
        """Say QUIT beside everything else: what the relay answers no longer matters."""
        if line.idle is not None:
            line.idle.cancel()
        task = asyncio.get_running_loop().create_task(self._quit(line))
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)

    async def _quit(self, line: _Line) -> None:
        with suppress(Broken):
            line.dialogue.send(b"QUIT\r\n")
            await line.dialogue.reply(self._settings.timeouts.quit)
        line.smtp.close()

    # One mail

    async def _attempt(self, line: _Line, sender: str, recipient: str, wire: bytes) -> Fate:
        line.uses += 1
        try:
            fate: Fate = await self._transact(line, sender, recipient, wire)
        except _AttemptError as trouble:
            if not trouble.usable:
                line.smtp.close()
                return trouble.fate
            line.dirty, fate = True, trouble.fate
        except BaseException:
            line.smtp.close()
            raise
        self._rest(line)
        return fate

    async def _transact(self, line: _Line, sender: str, recipient: str, wire: bytes) -> Sent:
        """Send one mail; raises _AttemptError for every other end."""
        dialogue, limits = line.dialogue, self._settings.timeouts
        steps = [*self._recipient(line, sender, recipient, wire), _Step("DATA", b"DATA\r\n", limits.data, (354,))]
        if line.dirty:
            steps.insert(0, _Step("RSET", b"RSET\r\n", limits.mail, (250,)))
        if line.smtp.supports_extension("pipelining"):
            await self._together(dialogue, steps)
        else:
            for step in steps:
                with _stage(step.stage):
                    dialogue.send(step.command)
                await self._heard(dialogue, step)
        with _stage("dot"):
            stuffed = wire.replace(b"\r\n.", b"\r\n..")
            dialogue.send(b"." if stuffed.startswith(b".") else b"", stuffed, b"" if stuffed.endswith(b"\r\n") else b"\r\n", answers=0)
            failpoint("relay-before-dot")
            dialogue.send(b".\r\n")
            reply = await dialogue.reply(limits.dot)
            failpoint("relay-after-dot")
        _judge("dot", reply, (250,))
        line.dirty = False
        text = shown(reply.code, reply.text)
        return Sent(text, remote_id(text, self._host))

    def _recipient(self, line: _Line, sender: str, recipient: str, wire: bytes) -> list[_Step]:
        """Return the commands that name sender and recipient of a mail."""
        limits = self._settings.timeouts
        parameters = b"".join(b" " + option for option in self._options(line.smtp, sender, recipient, wire))
        return [
            _Step("MAIL", f"MAIL FROM:<{_ascii_domain(sender)}>".encode() + parameters + b"\r\n", limits.mail, (250,)),
            _Step("RCPT", f"RCPT TO:<{_ascii_domain(recipient)}>\r\n".encode(), limits.rcpt, (250, 251)),
        ]

    async def _together(self, dialogue: Dialogue, steps: list[_Step]) -> None:
        """Send the commands in one piece (RFC 2920); the first that is refused decides, after the answers to the rest are read."""
        with _stage(steps[0].stage):
            dialogue.send(*(step.command for step in steps), answers=len(steps))
        for position, step in enumerate(steps):
            try:
                await self._heard(dialogue, step)
            except _AttemptError as trouble:
                if trouble.usable and not await self._read_off(dialogue, steps[position + 1 :]):
                    trouble.usable = False
                raise

    async def _heard(self, dialogue: Dialogue, step: _Step) -> None:
        with _stage(step.stage):
            reply = await dialogue.reply(step.patience)
        _judge(step.stage, reply, step.good)
        if step.stage == "RCPT":
            failpoint("relay-recipient")

    async def _read_off(self, dialogue: Dialogue, rest: list[_Step]) -> bool:
        """Read the answers to what was sent behind a refused command; False when the connection cannot be used again."""
        try:
            for step in rest:
                reply = await dialogue.reply(step.patience)
                if reply.code == 354:
                    # It waits for a mail although it took nobody: one without a line, to nobody (RFC 2920 3.1).
                    dialogue.send(b".\r\n")
                    reply = await dialogue.reply(self._settings.timeouts.dot)
                if reply.code == 421:
                    return False
        except Broken:
            return False
        return True

    def _options(self, smtp: aiosmtplib.SMTP, sender: str, recipient: str, wire: bytes) -> list[bytes]:
        """Return the parameters of MAIL; raises _AttemptError for what this relay can never take."""
        options = []
        limit = smtp.esmtp_extensions.get("size", "")
        if limit.isdigit() and 0 < int(limit) < len(wire):
            raise _AttemptError(Failed(f"the relay takes {limit} bytes at most, this mail has {len(wire)}", "5.3.4"), usable=True)
        if smtp.supports_extension("size"):
            options.append(f"SIZE={len(wire)}".encode())
        if not (sender.rpartition("@")[0] + recipient.rpartition("@")[0]).isascii():
            if not smtp.supports_extension("smtputf8"):
                raise _AttemptError(Failed("the relay does not know SMTPUTF8, which this address needs", "5.6.7"), usable=True)
            options.append(b"SMTPUTF8")
        # A relay that offers no 8BITMIME gets the bytes all the same: re-encoding them would be another mail.
        if not wire.isascii() and smtp.supports_extension("8bitmime"):
            options.append(b"BODY=8BITMIME")
        return options


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """Turn whatever the network does in a stage of the dialogue into a deferral of the relay's."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        raise _AttemptError(PutOff(f"{name}: {shown(error.code, str(error.message))}", name, relay_down=True)) from error
    except (aiosmtplib.SMTPException, OSError, EOFError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise _AttemptError(PutOff(f"{name}: {text}", name, relay_down=True)) from error


def _judge(stage: str, reply: Reply, good: tuple[int, ...]) -> None:
    """Return when the reply is a good one; raises _AttemptError with the fate that any other one means."""
    code, text = reply.code, shown(reply.code, reply.text)
    if code in good:
        return
    if 500 <= code <= 599 and code not in _OURS and stage != "RSET":
        raise _AttemptError(Failed(text, status_of(text, code)), usable=True)
    down = code == 421 or code in _OURS or not 400 <= code <= 499 or stage == "RSET"
    raise _AttemptError(PutOff(f"{stage}: {text}", stage, relay_down=down), usable=not down)


def _sendable(address: str) -> bool:
    """Tell whether an address can stand in a command: one @, nothing that ends or splits the line."""
    local, _, domain = address.rpartition("@")
    return bool(local and domain) and address.isprintable() and not re.search(r"[\s<>]", address)


def _ascii_domain(address: str) -> str:
    """Return the address with its domain in IDNA form, so that only a local part beyond ASCII needs SMTPUTF8."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    with suppress(UnicodeError):
        return f"{local}{at}{domain.encode('idna').decode()}"
    return address


def _is_clean(raw: bytes) -> bool:
    """Tell whether every CR and LF stands in a CRLF, so that no bare one leaves us (smuggling)."""
    pairs = raw.count(b"\r\n")
    return pairs == raw.count(b"\r") == raw.count(b"\n")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
