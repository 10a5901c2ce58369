"""One SMTP or LMTP session: aiosmtpd's command loop with our own answers, limits and DATA phase.

Made by the doorman of `smtp.Listener`. What aiosmtpd 1.4.6 leaves open is closed here: errors leak and bounce, LMTP answers
once, timeouts cut slow senders, long lines, no caps, the null sender and the banner, PROXY. Content goes to `content`, never line by
line into a list.
"""

# ruff: noqa: N802 - aiosmtpd finds commands and hooks by their names
from __future__ import annotations

import asyncio
import re
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, syntax

from rtmail import log
from rtmail.errors import Answered, Deferred, DiskFull, Refused, TooLarge
from rtmail.failpoint import failpoint
from rtmail.ingress.content import Content, LineMeter, Unwrapper, hops
from rtmail.ingress.crowding import Guest
from rtmail.ingress.limits import Shares, plain_address
from rtmail.mail.model import Envelope

CHUNK = 65536
KEEP_SECONDS = 540
"""Clients wait 10 minutes for the answer to the final dot (RFC 5321 4.5.3.2.6)."""
PROXY_SECONDS = 5
LINGER_SECONDS = 5
"""How long a closed connection may take to read our last words."""
OVERRUN = 4
"""A sender who goes on to so many times the size limit is cut instead of read to his end."""


class Acceptor(Protocol):
    """What stands behind the door; the daemon gives it, with the store inside.

    What is not a coroutine is asked on the event loop at every command: it looks at memory, or a file system's figures.
    """

    def recipient(self, address: str) -> None:
        """Return when mail for `address` is taken; raises UnknownRecipient, or Deferred."""

    def room(self) -> None:
        """Return when there is room for one more mail; raises DiskFull or Deferred."""

    def healthy(self) -> str:
        """Return "", or why no mail can be taken now (bad config, paused); the peer is told 451 without the reason."""

    async def keep(self, raw: bytes, envelope: Envelope) -> int:
        """Commit the mail to disk and return its spool number; raises Answered. Nobody is told 250 before it returns."""

    async def authenticate(self, user: str, password: str) -> str | None:
        """Return the key of the person whose credentials these are, or None."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a listener shows and offers.

    hostname      our name in the banner and EHLO
    domain        completes a bare `<postmaster>` (RFC 5321 4.5.1)
    spill         folder for content too large for memory; its files have no name
    certificate   PEM file with the chain, and `key` when that is apart; "" offers no STARTTLS
    tls_required  refuses mail before STARTTLS
    auth          offers AUTH PLAIN and LOGIN, under TLS or on loopback
    proxy         networks that must speak the PROXY protocol to us; empty: nobody does
    """

    hostname: str
    domain: str
    spill: Path
    certificate: str = ""
    key: str = ""
    tls_required: bool = False
    auth: bool = False
    proxy: tuple[str, ...] = ()


@dataclass(slots=True)
class House:
    """What the sessions of one listener share; `closing` is the goodbye while it drains, "" before."""

    kind: str
    acceptor: Acceptor
    settings: Settings
    shares: Shares
    clock: Callable[[], datetime]
    tls: ssl.SSLContext | None
    closing: str = ""
    sessions: set[Session] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.empty.set()

    def enter(self, session: Session) -> None:
        self.sessions.add(session)
        self.shares.guests.add(session)
        self.empty.clear()

    def leave(self, session: Session) -> None:
        self.sessions.discard(session)
        self.shares.guests.discard(session)
        if not self.sessions:
            self.empty.set()


_ENHANCED = {
    221: "2.0.0", 250: "2.0.0", 252: "2.5.0", 454: "4.7.0", 500: "5.5.2", 501: "5.5.4", 502: "5.5.1", 503: "5.5.1", 504: "5.5.4",
    530: "5.7.0", 552: "5.3.4", 553: "5.1.3", 554: "5.7.0", 555: "5.5.4",
}
_BARE = re.compile(r"(\d{3}) (?![245]\.\d+\.\d+ )")
_AUTH_PARAMETER = re.compile(r"\s+AUTH=\S+", re.IGNORECASE)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_ADDRESS = re.compile(rf"<({_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>[ \t]*(?=[A-Za-z]|\Z)")
"""What nearly all addresses are; the email package's parser, which reads the others, takes a fifth of a session's time."""
_POSTMASTER = re.compile(r"\s*<postmaster>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
REPLY_CHARACTERS = 500
"""Of a line of ours (RFC 5321 4.5.3.1.5 allows 512 octets with its end)."""
_CROWDED = "too much mail at the same time, try again later"
_MADE_ROOM = "421 4.3.2 too many connections, others wait; try again later"


def enhanced(reply: str) -> str:
    """Return `reply` with an enhanced status code (RFC 2034), added where aiosmtpd's own texts have none."""
    found = _BARE.match(reply)
    if found is None or int(found[1]) not in _ENHANCED:
        return reply
    return f"{found[1]} {_ENHANCED[int(found[1])]} {reply[4:].removeprefix('Error: ')}"


def deliverable(address: str) -> bool:
    """Tell whether an envelope address is free of what could end a line, hide, or not be encoded."""
    return address.isprintable() and len(address) <= 512 and (address.count("<"), address.count(">")) == (0, 0)


class Session(SMTP):
    """A session with one client. Its own hooks stand in the class, so it is its own aiosmtpd handler."""

    # The stream reader's limit as well: a command line or chunk longer than this is read in pieces.
    line_length_limit = 65536
    envelope: Any
    session: Any

    def __init__(self, house: House) -> None:
        # aiosmtpd keeps these on the class, where one session's EHLO changes another's limits.
        self.command_size_limits: defaultdict[str, int] = defaultdict(lambda: 4096)
        settings, self._limits = house.settings, house.shares.limits
        super().__init__(
            self, data_size_limit=self._limits.message_bytes, enable_SMTPUTF8=True, hostname=settings.hostname, ident=house.kind.upper(),
            tls_context=house.tls, require_starttls=settings.tls_required, timeout=self._limits.idle_seconds, auth_require_tls=True,
            authenticator=_credentials, proxy_protocol_timeout=PROXY_SECONDS if settings.proxy else None, loop=asyncio.get_running_loop(),
        )
        self._smtp_methods: dict[str, Callable[[str | None], Awaitable[None]]] = {
            name: self._guarded(name, method) for name, method in self._smtp_methods.items()
        }
        self._house = house
        self._peer, self._claimed = "", False
        self._busy, self._receiving = False, False
        self._errors, self._commands = 0, 0
        self._put_off = ""
        self._patience: asyncio.TimerHandle | None = None
        self._since, self._began, self._received, self._counted = self.loop.time(), 0.0, 0, False
        self.leaving = False

    # Arriving and leaving

    def welcome(self, peer: str, *, claimed: bool) -> None:
        """Note who the client is, before `connection_made`; `claimed` says that his share is counted already."""
        self._peer, self._claimed, self._counted = peer, claimed, True
        self._house.enter(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._auth_require_tls = not self._is_near()
        if self._patience is None:
            self._be_patient()
            assert self._handler_coroutine is not None
            self._handler_coroutine.add_done_callback(self._ended)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self in self._house.sessions:
            self._house.leave(self)
            self._give_back()
        if self._patience is not None:
            self._patience.cancel()

    def _give_back(self) -> None:
        if self._counted:
            self._counted = False
            self._house.shares.connections.leave()
            if self._claimed:
                self._house.shares.connections.release(self._peer)

    def as_guest(self) -> Guest:
        """Return how this session stands when somebody has to go: not while its mail is being kept, nor once its client is known."""
        now, stays = self.loop.time(), (self._receiving and not self._began) or self.session.authenticated
        network = "" if stays else self._house.shares.connections.crowd(self._peer)
        if not self._began:
            return Guest(network, waiting=now - self._since)
        lasting = max(now - self._began, 0.001)
        return Guest(network, lasting=lasting, rate=self._received / lasting)

    def give_way(self) -> None:
        """Make room for somebody at the door: the place is free at once, whenever the client takes notice."""
        self.leaving = True
        log.connection_refused(ingress=self._house.kind, peer=self._peer, reply="421 4.3.2")
        self._give_back()
        self.cut(_MADE_ROOM)

    def leave(self) -> None:
        """Go as soon as it is polite: at once between commands, else when the running one (a DATA phase) is answered."""
        if not self._busy:
            self.cut(self._house.closing)

    def cut(self, reply: str) -> None:
        """Say `reply` and close, whatever is going on; a client that does not read it is dropped."""
        if self.transport is None or self.transport.is_closing():
            return
        transport = cast(asyncio.Transport, self.transport)
        transport.write(reply.encode() + b"\r\n")
        transport.close()
        self.loop.call_later(LINGER_SECONDS, transport.abort)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self.transport is not None:
            self.transport.close()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            log.failed(stage=self._house.kind, error=error)

    def _reset_timeout(self, duration: float | None = None) -> None:
        # aiosmtpd ends one timer and begins another with each line: here one goes on, and when it ends it looks whether time is up.
        self._until = self.loop.time() + (duration or self._timeout_duration)
        if self._timeout_handle is None or self._timeout_handle.when() > self._until:
            self._await_end()

    def _await_end(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timeout_handle = self.loop.call_at(self._until, self._look_at_time)

    def _look_at_time(self) -> None:
        if self.loop.time() < self._until:
            self._await_end()
        else:
            self._timeout_cb()

    def _timeout_cb(self) -> None:
        self.cut("421 4.4.2 waited too long")

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._since = self.loop.time()
        self._patience = self.loop.call_later(self._limits.command_seconds, self._lose_patience)

    def _lose_patience(self) -> None:
        if not self._receiving:
            self.cut("421 4.4.2 waited too long for a mail")

    def _is_near(self) -> bool:
        return not self._peer or ip_address(self._peer).is_loopback

    # Every command

    def _guarded(self, name: str, method: Callable[[str | None], Awaitable[None]]) -> Callable[[str | None], Awaitable[None]]:
        @wraps(method)
        async def guarded(arg: str | None) -> None:
            self._busy = True
            try:
                if ending := self._ending(name):
                    self.cut(ending)
                elif refusal := self._not_now(name):
                    await self.push(refusal)
                else:
                    await method(arg)
            finally:
                self._busy = False
            if self._house.closing:
                self.cut(self._house.closing)
        return guarded

    def _ending(self, name: str) -> str:
        """Return the reply that ends the session before `name` is looked at, "" to go on."""
        if name == "QUIT":
            return ""
        if self._house.closing:
            return self._house.closing
        if self._errors >= self._limits.errors:
            return "421 4.7.0 too many errors"
        if name not in ("RCPT", "DATA") or len(self.envelope.rcpt_tos) >= self._limits.recipients:
            self._commands += 1
        return "421 4.7.0 too many commands without a mail" if self._commands > self._limits.idle_commands else ""

    def _not_now(self, name: str) -> str:
        """Return the reply to a mail that cannot be taken now, "" when it can.

        A client that pipelines sends RCPT and DATA before it read that its MAIL is put off; they get the same answer, since
        "need MAIL first" would be permanent.
        """
        if name not in ("MAIL", "RCPT", "DATA"):
            return ""
        if name != "MAIL" and self._put_off:
            return self._put_off
        try:
            if why := self._house.acceptor.healthy():
                raise Deferred
            if name != "RCPT":
                self._house.acceptor.room()
        except Deferred as deferred:
            log.put_off(ingress=self._house.kind, peer=self._peer, reply=deferred.reply, why=why)
            self._put_off = deferred.reply
            return deferred.reply
        self._put_off = ""
        return ""

    async def push(self, status: str | bytes) -> None:
        """Send a reply; bytes go as they are, text gets its enhanced code."""
        if isinstance(status, str):
            # aiosmtpd repeats what it did not understand: a bare CR of the client's must not end a line of ours.
            lines = (_CONTROL.sub("?", line)[:REPLY_CHARACTERS] for line in enhanced(status).split("\r\n"))
            status = "\r\n".join(lines).encode(errors="replace")
        if status.startswith(b"5"):
            self._errors += 1
        await super().push(status)

    async def handle_exception(self, error: Exception) -> str:
        """Our trouble is told as "not now", without a word of what it is."""
        log.failed(stage=self._house.kind, error=error)
        return Deferred().reply

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        if found := _POSTMASTER.match(arg or ""):
            return f"postmaster@{self._house.settings.domain}", arg[found.end():]
        if plain := _PLAIN_ADDRESS.match(arg or ""):
            return plain[1], arg[plain.end():]
        try:
            return super()._getaddr(arg)
        except (IndexError, ValueError, AttributeError):
            # The email package's parser on what is no address.
            return None, None

    # Greeting, TLS, AUTH

    async def handle_HELO(self, server: SMTP, session: Any, envelope: Any, hostname: str) -> bytes:
        session.host_name = hostname
        return f"250 {self.hostname}".encode()

    async def handle_EHLO(self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[bytes]:
        session.host_name = hostname
        offers = [line[4:] for line in responses[1:] if not line[4:].startswith(("AUTH", "HELP"))]
        offers += ["PIPELINING", "ENHANCEDSTATUSCODES"]
        if self._house.settings.auth and (self._tls_protocol or self._is_near()):
            offers.append("AUTH PLAIN LOGIN")
        lines = [self.hostname, *offers]
        return [f"250{' ' if n == len(lines) else '-'}{line}".encode() for n, line in enumerate(lines, 1)]

    async def handle_PROXY(self, server: SMTP, session: Any, envelope: Any, proxy_data: Any) -> bool:
        self._peer = plain_address(str(proxy_data.src_addr or ""))
        self._claimed = self._house.shares.connections.claim(self._peer)
        if not self._claimed:
            log.connection_refused(ingress=self._house.kind, peer=self._peer, reply="421 4.7.0")
            self.cut("421 4.7.0 too many connections, try again later")
        self._auth_require_tls = not self._is_near()
        return self._claimed

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str) -> None:
        if self._tls_protocol:
            await self.push("503 5.5.1 TLS is on already")
        else:
            await super().smtp_STARTTLS(arg)

    @syntax("AUTH <mechanism>")
    async def smtp_AUTH(self, arg: str) -> None:
        if not self._house.settings.auth:
            await self.push("502 5.5.1 AUTH is not offered")
            return
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    async def handle_AUTH(self, server: SMTP, session: Any, envelope: Any, args: list[str]) -> str | None:
        mechanism = self.auth_PLAIN if args[0] == "PLAIN" else self.auth_LOGIN
        claim = (await mechanism(self, args)).auth_data
        if not isinstance(claim, LoginPassword):
            return None
        user = claim.login.decode(errors="replace")
        person = await self._house.acceptor.authenticate(user, claim.password.decode(errors="replace"))
        if person is None:
            log.auth_refused(ingress=self._house.kind, peer=self._peer, user=user)
            return "535 5.7.8 authentication credentials invalid"
        session.authenticated, session.auth_data = True, person
        return "235 2.7.0 authenticated"

    # The mail

    @syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:
        # RFC 4954 5: whoever offers AUTH takes this parameter, and may do nothing about it.
        await super().smtp_MAIL(_AUTH_PARAMETER.sub("", arg) if arg else arg)

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address != "<>" and not deliverable(address):
            return "553 5.1.7 malformed sender address"
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 an address beyond ASCII needs SMTPUTF8"
        announced = sum(int(option[5:]) for option in options if option.startswith("SIZE="))
        if not self._house.shares.flight.fits(announced):
            self._put_off = Deferred(_CROWDED, 452, "4.3.1").reply
            return self._put_off
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if not deliverable(address):
            return "553 5.1.3 malformed recipient address"
        if len(envelope.rcpt_tos) >= self._limits.recipients:
            return "452 4.5.3 too many recipients, send the rest in another mail"
        try:
            self._house.acceptor.recipient(address)
        except Answered as refusal:
            log.refused(ingress=self._house.kind, peer=self._peer, sender=_sender(envelope), recipient=address, reply=refusal.reply)
            return refusal.reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    @syntax("VRFY <address>")
    async def smtp_VRFY(self, arg: str) -> None:
        await self.push("252 2.5.0 cannot verify, but will take mail for whom we know")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        self._receiving = True
        content = Content(self._limits.memory_bytes, self._house.settings.spill)
        try:
            outcome = await self._take(content)
        finally:
            self._house.shares.flight.give(content.size)
            content.close()
            self._receiving = False
            self._be_patient()
        recipients = self.envelope.rcpt_tos
        self.envelope = self._create_envelope()
        await self.push(self._answer(outcome, recipients))
        failpoint("ingress-answered")

    def _answer(self, outcome: int | Answered, recipients: list[str]) -> str:
        return outcome.reply if isinstance(outcome, Answered) else f"250 2.0.0 kept as {outcome}"

    async def _take(self, content: Content) -> int | Answered:
        """Receive and keep one mail; returns its spool number or the failure to tell."""
        refusal = await self._receive(content)
        # The commit is ours: a client's idle time must not cancel it, and ours must end before the client gives up.
        self._reset_timeout(2 * KEEP_SECONDS)
        envelope = self._noted()
        try:
            if refusal is not None:
                raise refusal
            async with asyncio.timeout(KEEP_SECONDS), self._house.shares.commits.hold(content.size):
                raw = await content.whole()
                content.close()
                if hops(raw) > self._limits.hops:
                    raise Refused(554, "5.4.6", "too many hops, this looks like a mail loop")
                failpoint("ingress-received")
                spool = await self._house.acceptor.keep(raw, envelope)
        except Deferred as deferred:
            why = type(deferred.__cause__).__name__ if deferred.__cause__ else ""
            log.put_off(ingress=self._house.kind, peer=self._peer, reply=deferred.reply, why=why)
            return deferred
        except Answered as answered:
            log.refused(ingress=self._house.kind, peer=self._peer, sender=envelope.sender or "", recipient=",".join(envelope.recipients),
                        reply=answered.reply)
            return answered
        except Exception as error:
            log.failed(stage=self._house.kind, error=error)
            return Deferred()
        failpoint("ingress-kept")
        self._commands = 0
        log.accepted(spool=spool, ingress=self._house.kind, peer=self._peer, sender=envelope.sender or "", recipients=envelope.recipients,
                     size=len(raw))
        return spool

    async def _receive(self, content: Content) -> Answered | None:
        """Read the DATA phase to its end into `content`; returns why it is refused, None when it is not."""
        limits, flight = self._limits, self._house.shares.flight
        unwrapper, meter = Unwrapper(), LineMeter(limits.line_bytes)
        began, received, refusal = self.loop.time(), 0, cast("Answered | None", None)
        self._began = began
        while not unwrapper.done:
            chunk = await self._reader.read(CHUNK)
            self._reset_timeout()
            received += len(chunk)
            self._received = received
            elapsed = self.loop.time() - began
            if not chunk:
                raise asyncio.CancelledError
            failpoint("ingress-data")
            if elapsed > limits.data_seconds or received < limits.rate_bytes * (elapsed - limits.grace_seconds):
                self.cut("421 4.4.2 too slow, try again later")
                raise asyncio.CancelledError
            if received > OVERRUN * limits.message_bytes:
                self.cut(self._answer(TooLarge(limits.message_bytes), self.envelope.rcpt_tos))
                raise asyncio.CancelledError
            piece = unwrapper.feed(chunk)
            if refusal is not None:
                continue
            meter.add(piece)
            if content.size + len(piece) > limits.message_bytes:
                refusal = TooLarge(limits.message_bytes)
            elif meter.too_long:
                refusal = Refused(554, "5.6.0", f"a line is longer than {limits.line_bytes} bytes")
            elif not flight.take(len(piece)):
                refusal = Deferred(_CROWDED, 452, "4.3.1")
            else:
                try:
                    await content.add(piece)
                except OSError as error:
                    log.failed(stage=self._house.kind, error=error)
                    refusal = DiskFull()
            if refusal is not None:
                # At once, not at the end of what is still sent: else all who meet a full house are refused together.
                flight.give(content.forget())
        # What a pipelining client sent after the end is its next command.
        self._reader._buffer[:0] = unwrapper.rest  # type: ignore[attr-defined]
        self._began = 0.0
        return refusal

    def _noted(self) -> Envelope:
        return Envelope(
            sender=_sender(self.envelope), recipients=tuple(dict.fromkeys(self.envelope.rcpt_tos)), ingress=self._house.kind,
            arrived_at=self._house.clock(), peer=self._peer, helo="".join(c for c in self.session.host_name[:255] if c.isprintable()),
            auth_user=self.session.auth_data or "",
        )


class LmtpSession(Session):
    """LMTP (RFC 2033): greeted by LHLO, and DATA is answered once for each recipient that was accepted."""

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:
        await super().smtp_EHLO(arg)

    async def smtp_HELO(self, arg: str) -> None:
        await self.push("500 5.5.1 this is LMTP: LHLO")

    async def smtp_EHLO(self, arg: str) -> None:
        await self.push("500 5.5.1 this is LMTP: LHLO")

    async def check_helo_needed(self, helo: str = "LHLO") -> bool:
        return await super().check_helo_needed("LHLO")

    def _answer(self, outcome: int | Answered, recipients: list[str]) -> str:
        # Without a line each the client waits for ever; on errors too.
        if isinstance(outcome, Answered):
            return "\r\n".join(outcome.reply for _ in recipients)
        return "\r\n".join(f"250 2.1.5 <{recipient}> kept as {outcome}" for recipient in recipients)


def _sender(envelope: Any) -> str:
    return "" if envelope.mail_from in (None, "<>") else str(envelope.mail_from)


def _credentials(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Hand the credentials on to `handle_AUTH`, which may wait for their check as aiosmtpd's callback may not."""
    return AuthResult(success=False, handled=False, auth_data=data)
