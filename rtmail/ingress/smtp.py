"""The SMTP and LMTP listeners: where mail arrives from other servers. Built and drained by the daemon.

Promise 1 and 12 are kept here: 250 is said only after `Acceptor.keep` returned, unknown recipients are refused at
RCPT, and no trouble of ours is ever told as more than "not now". What a session says is in `smtp_session`; here are
the door (sockets, caps, draining) and what stands behind it, `Acceptor`, which the daemon gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, cast

from rtmail import log
from rtmail.ingress.limits import Limits, Shares, plain_address, within
from rtmail.ingress.smtp_session import Acceptor, House, LmtpSession, Session, Settings

__all__ = ["Acceptor", "Limits", "Listener", "Settings", "Shares", "Where"]

BACKLOG = 128
GOODBYE = "421 4.3.2 service is going down, try again later"
FULL = "421 4.7.0 too many connections, try again later"


@dataclass(frozen=True, slots=True)
class Where:
    """Where a listener listens: a socket handed over (systemd), a unix socket's path, or host and port (0: any free one).

    mode, group  of the unix socket; group "" leaves it as the process has it
    """

    host: str = "127.0.0.1"
    port: int = 0
    path: str = ""
    mode: int = 0o660
    group: str = ""
    sock: socket.socket | None = None


class Listener:
    """One listening socket and its sessions.

    shares  caps and budgets, one object for all listeners of the process
    clock   gives the aware instant that an envelope notes as its arrival
    Raises ValueError for LMTP that others than this machine could reach: it has no authentication and no limits of
    its own (DESIGN 3).
    """

    def __init__(self, kind: Literal["smtp", "lmtp"], acceptor: Acceptor, settings: Settings, shares: Shares,
                 clock: Callable[[], datetime], where: Where) -> None:
        host = _host(where)
        if kind == "lmtp" and host and not _is_loopback(host):
            raise ValueError(f"LMTP listens on loopback or a unix socket only, not on {host}")
        # aiosmtpd writes addresses and, at DEBUG, every line of a mail to its log.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._where = where
        self._house = House(kind, acceptor, settings, shares, clock, server_tls(settings))
        self._proxies = [ip_network(network) for network in settings.proxy]
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the place is taken or not ours."""
        loop, where = asyncio.get_running_loop(), self._where
        if where.sock is not None and where.sock.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._doorman, sock=where.sock, backlog=BACKLOG)
        elif where.sock is not None:
            self._server = await loop.create_server(self._doorman, sock=where.sock, backlog=BACKLOG)
        elif where.path:
            self._server = await loop.create_unix_server(self._doorman, sock=unix_socket(where), backlog=BACKLOG)
        else:
            self._server = await loop.create_server(self._doorman, where.host, where.port, backlog=BACKLOG)

    @property
    def port(self) -> int:
        """The port listened on; 0 for a unix socket."""
        name = self._server.sockets[0].getsockname() if self._server and self._server.sockets else ""
        return cast(int, name[1]) if isinstance(name, tuple) else 0

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._house.sessions)

    def reload(self) -> None:
        """Read the TLS certificate again; sessions that begin after this show it. Raises OSError or ssl.SSLError."""
        settings = self._house.settings
        if self._house.tls is not None:
            self._house.tls.load_cert_chain(settings.certificate, settings.key or None)

    async def drain(self, seconds: float) -> None:
        """Stop listening; let DATA in progress be kept and answered for up to `seconds`, tell everyone else 421."""
        house = self._house
        house.closing = GOODBYE
        if self._server is not None:
            self._server.close()
        for session in tuple(house.sessions):
            session.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await house.empty.wait()
        for session in tuple(house.sessions):
            session.cut(GOODBYE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await house.empty.wait()
        if self._where.path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._where.path)

    def _doorman(self) -> asyncio.Protocol:
        return _Doorman(self._house, self._proxies)


class _Doorman(asyncio.Protocol):
    """Looks at who comes before a session is made for him; a refused connection costs two lines."""

    def __init__(self, house: House, proxies: list[Any]) -> None:
        self._house, self._proxies = house, proxies

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        house, connections = self._house, self._house.shares.connections
        name = transport.get_extra_info("peername")
        peer = plain_address(str(name[0])) if isinstance(name, tuple) else ""
        if house.closing:
            self._refuse(transport, peer, house.closing)
        elif self._proxies and not (peer and within(peer, self._proxies)):
            self._refuse(transport, peer, "554 5.7.1 only our proxies connect here")
        elif not self._proxies and not connections.claim(peer):
            self._refuse(transport, peer, FULL)
        elif not house.shares.enter(peer):
            if not self._proxies:
                connections.release(peer)
            self._refuse(transport, peer, FULL)
        else:
            session = LmtpSession(house) if house.kind == "lmtp" else Session(house)
            session.welcome(peer, claimed=not self._proxies)
            transport.set_protocol(session)
            session.connection_made(transport)

    def _refuse(self, transport: asyncio.Transport, peer: str, reply: str) -> None:
        log.connection_refused(ingress=self._house.kind, peer=peer, reply=reply)
        transport.write(reply.encode() + b"\r\n")
        transport.close()


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the context for STARTTLS, None without a certificate. Raises OSError or ssl.SSLError for a bad one."""
    if not settings.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate, settings.key or None)
    return context


def unix_socket(where: Where) -> socket.socket:
    """Return a socket bound to `where.path` that nobody but mode and group name can ever open; clears away a dead one."""
    path = Path(where.path)
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(where.path) == 0:
                raise OSError(errno.EADDRINUSE, "somebody listens there already", where.path)
        path.unlink()
    sock = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o777)
    try:
        sock.bind(where.path)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    if where.group:
        os.chown(where.path, -1, grp.getgrnam(where.group).gr_gid)
    path.chmod(where.mode)
    return sock


def _host(where: Where) -> str:
    """Return the address listened on, "" for a unix socket."""
    if where.sock is None:
        return "" if where.path else where.host
    name = where.sock.getsockname()
    return str(name[0]) if isinstance(name, tuple) else ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
