"""The door to one IMAP server: an authenticated connection to one folder, and what may be asked of it.

`mailbox` calls it from one thread (docs/faults.md R14-R16). Everything that a server says is taken as a claim: it may lie, hang,
drip, or send without end, so each request has a deadline and a size, and whatever goes wrong ends in an exception after
which the connection is closed and never used again. Nothing that stands in a mail ever enters a command: commands are
made of UIDs, which are integers, and of names from the config.
"""

from __future__ import annotations

import contextlib
import functools
import imaplib
import ipaddress
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from rtmail.errors import RtmailError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

# The library's own words quote what servers sent; ours are the ones for the log.
logging.getLogger("imapclient").addHandler(logging.NullHandler())

IDLE_RENEWED = 25 * 60.0
"""Seconds; servers end an IDLE after 29 or 30 minutes (RFC 2177)."""
LAST_UID = (1 << 32) - 1
SPOKEN_BYTES = 32 << 20
"""What a server may say in answer to one command, besides the mails asked for: two million UIDs fit."""
START_BYTES = 256 * 1024
"""Of a mail that is too large: its header, and nearly always its words."""
SLOWEST = 32 * 1024
"""Bytes a second below which a mail is too slow to wait for."""


class MailboxTrouble(RtmailError):  # noqa: N818  (the base of sentences, as in rtmail.errors)
    """The mailbox cannot be read now; the text is fit for a log and for the admin."""


class LoginRefused(MailboxTrouble):
    """The server does not take the password or the token: asking often would lock the account."""


class TooMuch(MailboxTrouble):
    """A mail turned out larger than may be taken in, whatever size was told before."""


class Refused(MailboxTrouble):
    """The server said NO to a change of the mailbox: nothing was changed, and the connection is fine."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the mailbox is and how to get in.

    ca_file   PEM file of further authorities, "" for the system's alone
    token     returns a fresh OAuth 2 access token, fetched for each connection since they live an hour; None for a password
    connect, answer   seconds until a connection stands, and until a command is answered
    """

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    user: str
    password: str = field(default="", repr=False)
    token: Callable[[], str] | None = None
    ca_file: str = ""
    folder: str = "INBOX"
    connect: float = 15.0
    answer: float = 30.0

    @property
    def place(self) -> str:
        """What tells this mailbox from others."""
        return f"{self.user}@{self.host}:{self.port}/{self.folder}"


@dataclass(frozen=True, slots=True)
class Listed:
    """What the server tells of a mail before it is fetched; `arrived_at` is None where it cannot be told."""

    size_bytes: int
    arrived_at: datetime | None


class Connection:
    """Connected, logged in, and `server.folder` selected; `limit_bytes` is the largest mail that is fetched.

    readonly  the folder is only looked at (EXAMINE): nothing that is asked can change it

    Raises MailboxTrouble, OSError (TLS included), or what the protocol's libraries raise when a server talks nonsense.
    """

    def __init__(self, server: Server, limit_bytes: int, *, readonly: bool = False) -> None:
        for name in (server.user, server.password, server.folder):
            _one_line(name)
        self._server, self._limit, self._readonly = server, limit_bytes, readonly
        client = _Client(server, limit_bytes)
        self._wire, self._client = client.wire, cast(Any, client)
        self._made: set[str] = set()
        try:
            self._enter()
        except BaseException:
            self.drop()
            raise

    def _enter(self) -> None:
        self._wire.allow(self._server.answer)
        if self._wire.state != "NONAUTH":
            # A session that is open before we said who we are is somebody else's, or a way around STARTTLS.
            raise MailboxTrouble("the server did not ask for a login")
        if self._server.tls == "starttls":
            self._wire.secure(_context(self._server))
        elif self._server.tls == "none" and not ipaddress.ip_address(self._wire.peer).is_loopback:
            raise MailboxTrouble("the password would cross the network in the clear")
        self._log_in()
        # From here on the capabilities are those of the authenticated session.
        self._can = frozenset(self._client.capabilities())
        selected = self._client.select_folder(self._server.folder, readonly=self._readonly)
        self.uidvalidity = int(selected.get(b"UIDVALIDITY") or 0)
        if not 0 < self.uidvalidity <= LAST_UID:
            raise MailboxTrouble("the server numbers its mails anew at each visit (no UIDVALIDITY)")

    def _log_in(self) -> None:
        server = self._server
        try:
            if server.token is not None:
                self._client.oauth2_login(server.user, server.token())
            elif (server.user + server.password).isascii() and b"LOGINDISABLED" not in self._client.capabilities():
                self._client.login(_quoted(server.user), server.password)
            else:
                self._client.plain_login(server.user, server.password)
        except LoginError as error:
            # The server's words are not repeated: some quote what they were sent.
            found = re.search(r"\[([A-Z-]{1,40})\]", str(error))
            code = found[1] if found else ""
            if code in _NOT_NOW or isinstance(error.__context__, imaplib.IMAP4.abort):
                raise MailboxTrouble(f"the server takes no logins now ({code or 'it talks nonsense'})") from None
            raise LoginRefused(f"the server refused the login of {server.user}{f' ({code})' if code else ''}") from None

    # -- looking ----------------------------------------------------------------------------------------------------

    def uids(self, after: int = 0) -> set[int]:
        """Return the UIDs in the folder above `after`."""
        if after >= LAST_UID:
            return set()
        # `n:*` also names the last mail when none is that far (I4).
        return {uid for uid in self._search(["UID", f"{after + 1}:*"]) if uid > after}

    def read_by_people(self, before: datetime | None) -> set[int]:
        """Return the UIDs of mails flagged \\Seen; those that arrived before an instant when one is given."""
        seen = self._search(["SEEN"])
        if before is None:
            return seen
        return {uid for uid, listed in self.listed(seen).items() if listed.arrived_at is not None and listed.arrived_at < before}

    def _search(self, criteria: Sequence[str]) -> set[int]:
        self._wire.allow(self._server.answer)
        self._wire.forget("EXISTS")
        return {uid for uid in self._client.search(list(criteria)) if 0 < uid <= LAST_UID}

    def listed(self, uids: Iterable[int]) -> dict[int, Listed]:
        """Return what the server tells of mails; those it does not list are missing."""
        found = {}
        for some in _chunks(sorted(uids), 500):
            self._wire.allow(self._server.answer)
            for uid, said in self._client.fetch(some, ["RFC822.SIZE", "INTERNALDATE"]).items():
                size = said.get(b"RFC822.SIZE")
                if isinstance(size, int):
                    found[uid] = Listed(size, _instant(said.get(b"INTERNALDATE")))
        return found

    def bodies(self, sizes: Mapping[int, int]) -> dict[int, bytes]:
        """Return mails as they are, unread as before; those that the server does not hand out are missing.

        sizes   UID -> the bytes that were told for it
        Raises TooMuch when one is larger than the limit.
        """
        told = sum(sizes.values())
        self._wire.allow(self._server.answer + told / SLOWEST, 2 * told + self._limit)
        fetched = self._client.fetch(sorted(sizes), ["BODY.PEEK[]"])
        bodies = {uid: said.get(b"BODY[]") for uid, said in fetched.items()}
        return {uid: raw for uid, raw in bodies.items() if isinstance(raw, bytes) and raw}

    def start(self, uid: int) -> bytes:
        """Return the first bytes of a mail, unread as before: START_BYTES at most, and no more than the limit; b"" for none.

        Raises TooMuch where the server hands out more than it was asked for.
        """
        most = min(START_BYTES, self._limit)
        self._wire.allow(self._server.answer + most / SLOWEST, 2 * most, most)
        said = self._client.fetch([uid], [f"BODY.PEEK[]<0.{most}>"]).get(uid, {})
        raw = said.get(b"BODY[]<0>", b"")
        return raw if isinstance(raw, bytes) else b""

    def heads(self, uids: Sequence[int]) -> dict[int, bytes]:
        """Return the headers of mails, unread as before; those that the server does not hand out are missing."""
        found = {}
        for some in _chunks(sorted(uids), 200):
            self._wire.allow(self._server.answer * 2, self._limit)
            for uid, said in self._client.fetch(some, ["BODY.PEEK[HEADER]"]).items():
                head = said.get(b"BODY[HEADER]")
                if isinstance(head, bytes):
                    found[uid] = head
        return found

    def folders(self) -> list[tuple[str, frozenset[str]]]:
        """Return the folders that can be selected, with their flags in lower case (RFC 6154 names what some are for)."""
        self._wire.allow(self._server.answer)
        found = []
        for flags, _, name in self._client.list_folders():
            said = frozenset(flag.decode("ascii", "replace").lower() for flag in flags)
            if "\\noselect" not in said and "\\nonexistent" not in said:
                found.append((str(name), said))
        return found

    # -- changing ---------------------------------------------------------------------------------------------------

    @property
    def can_move(self) -> bool:
        return b"MOVE" in self._can

    def flag(self, uids: Sequence[int], flag: str) -> None:
        """Set one of the flags that every server knows. Raises Refused."""
        self._change(lambda: self._client.add_flags(uids, [flag], silent=True))

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails to a folder, made when it is missing. Raises Refused."""
        self._into(folder, lambda: self._client.move(uids, folder))

    def copy(self, uids: Sequence[int], folder: str) -> None:
        """Copy mails to a folder, made when it is missing: all or none (RFC 9051 6.4.7). Raises Refused."""
        self._into(folder, lambda: self._client.copy(uids, folder))

    def delete(self, uids: Sequence[int]) -> None:
        """Mark mails as deleted, and expunge these alone where the server can do that. Raises Refused.

        A plain EXPUNGE would also remove what other people marked: without UIDPLUS the mark is all.
        """
        self.flag(uids, "\\Deleted")
        if b"UIDPLUS" in self._can:
            self._change(lambda: self._client.uid_expunge(uids))

    def _into(self, folder: str, change: Callable[[], object]) -> None:
        _one_line(folder)
        try:
            self._change(change)
        except Refused:
            if folder in self._made:
                raise
            # Not every server says TRYCREATE; making what is there already is refused, which tells nothing new.
            self._made.add(folder)
            for make in (self._client.create_folder, self._client.subscribe_folder):
                try:
                    self._change(functools.partial(make, folder))
                except Refused:
                    continue
            self._change(change)

    def _change(self, change: Callable[[], object]) -> None:
        self._wire.allow(self._server.answer)
        try:
            change()
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            if not _SAID_NO.match(str(error)):
                raise
            raise Refused(f"the server refused: {printable(str(error))}") from None

    # -- waiting ----------------------------------------------------------------------------------------------------

    @property
    def can_idle(self) -> bool:
        return b"IDLE" in self._can

    def idle(self, seconds: float, beat: Callable[[], bool]) -> bool:
        """Wait until the server tells of new mail (True), for `seconds`, or until `beat` says False.

        beat   called about twice a second
        The server's answer to the end of the IDLE is also the proof that it still lives (I1, R14).
        """
        if self._wire.heard("EXISTS"):
            return True
        until = time.monotonic() + min(seconds, IDLE_RENEWED)
        self._wire.allow(self._server.answer)
        told = self._wire.begin_idle()
        while not told and beat() and (left := until - time.monotonic()) > 0:
            line = self._wire.line(min(left, 0.5))
            told = line is not None and bool(_NEWS.match(line))
        self._wire.allow(min(self._server.answer, 15.0))
        return self._wire.end_idle() or told

    def close(self) -> None:
        """Say goodbye, where nothing went wrong, and close the socket; never raises."""
        with contextlib.suppress(Exception):
            self._wire.allow(1.0)
            self._wire.logout()
        self.drop()

    def drop(self) -> None:
        """Close the socket without a word: what a server that erred says next cannot be understood (I2)."""
        self._wire.drop()


_NEWS = re.compile(rb"\* \d+ EXISTS\b")
_SAID_NO = re.compile(r"\w+ failed: ")
"""How IMAPClient words a NO; a BAD is worded otherwise."""
_NOT_NOW = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"})
"""Response codes of a refused login that say nothing against the password (RFC 5530)."""


class _Client(IMAPClient):
    """IMAPClient on our wire."""

    wire: _Wire

    def __init__(self, server: Server, limit_bytes: int) -> None:
        self._server, self._limit_bytes = server, limit_bytes
        super().__init__(server.host, server.port, ssl=server.tls == "implicit", timeout=server.connect)
        # Its logging would hold every line, the password among them.
        self.wire.debug = 0
        self.normalise_times = False

    def _create_IMAP4(self) -> _Wire:  # noqa: N802
        context = _context(self._server) if self._server.tls == "implicit" else None
        self.wire = _Wire(self._server, context, self._limit_bytes)
        return self.wire

    def _set_read_timeout(self) -> None:
        """The wire sets its own, before each read."""


class _Wire(imaplib.IMAP4):
    """The bytes of one connection, with a deadline and a size for what a server may say.

    It keeps its own buffer: a read that times out loses nothing of a line that came in pieces (I2), the end of the
    connection is never taken for silence (I1), and what was sent before TLS began can be told from what came after it.
    """

    def __init__(self, server: Server, context: ssl.SSLContext | None, limit_bytes: int) -> None:
        self._server, self._context, self._limit = server, context, limit_bytes
        self._largest = limit_bytes
        self._held = bytearray()
        self._idle_tag = b""
        self.allow(server.connect)
        super().__init__(server.host, server.port, server.connect)

    def allow(self, seconds: float, mail_bytes: int = 0, largest: int | None = None) -> None:
        """Let the server take so long, and say so much, from now on; `largest` is the longest literal, by default a whole mail."""
        self._until, self._room = time.monotonic() + seconds, SPOKEN_BYTES + mail_bytes
        self._largest = self._limit if largest is None else largest

    @property
    def peer(self) -> str:
        return str(self.sock.getpeername()[0]).partition("%")[0]

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock = socket.create_connection((self.host, self.port), timeout)
        try:
            # Commands leave in pieces, and each would wait for the server's acknowledgement of the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
                if hasattr(socket, option):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
            return self._context.wrap_socket(sock, server_hostname=self.host) if self._context else sock
        except BaseException:
            sock.close()
            raise

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self.sock = self._create_socket(timeout)

    def shutdown(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Close the socket, whatever state it is in."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def send(self, data: Buffer) -> None:
        self.sock.settimeout(max(self._until - time.monotonic(), 0.01))
        self.sock.sendall(data)

    def secure(self, context: ssl.SSLContext) -> None:
        """Begin TLS; what the server said before counts for nothing (CVE-2011-0411 and its kin). Raises MailboxTrouble."""
        if "STARTTLS" not in self.capabilities:
            raise MailboxTrouble("the server offers no STARTTLS")
        said, _ = self._simple_command("STARTTLS")
        if said != "OK":
            raise MailboxTrouble("the server refused STARTTLS")
        if self._held:
            raise MailboxTrouble("somebody sent words in the clear that would count as said under TLS")
        self.untagged_responses.clear()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
        self._get_capabilities()

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, size: int) -> bytes:
        if size > self._largest:
            raise TooMuch(f"larger than the server said: {size} bytes")
        while len(self._held) < size:
            self._more()
        return self._cut(size)

    def readline(self) -> bytes:
        looked = 0
        while (end := self._held.find(b"\n", looked)) < 0:
            looked = len(self._held)
            self._more()
        return self._cut(end + 1)

    def line(self, seconds: float) -> bytes | None:
        """Return the next line without its end, None when none was whole within `seconds`. Raises when the server left."""
        until = time.monotonic() + seconds
        while (end := self._held.find(b"\n")) < 0:
            left = until - time.monotonic()
            if left <= 0:
                return None
            try:
                self._receive(left)
            except TimeoutError:
                return None
        line = self._cut(end + 1).rstrip(b"\r\n")
        if line.upper().startswith(b"* BYE"):
            raise _left(line[5:])
        return line

    def _check_bye(self) -> None:
        if "BYE" in self.untagged_responses:
            raise _left(cast(bytes, self.untagged_responses["BYE"][-1]))

    def _more(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise MailboxTrouble("the server took too long")
        try:
            self._receive(left)
        except TimeoutError:
            raise MailboxTrouble("the server took too long") from None

    def _receive(self, seconds: float) -> None:
        self.sock.settimeout(max(seconds, 0.01))
        data = self.sock.recv(65536)
        if not data:
            raise MailboxTrouble("the server closed the connection")
        self._room -= len(data)
        if self._room < 0:
            raise MailboxTrouble("the server says too much")
        self._held += data

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._held[:size])
        del self._held[:size]
        return piece

    # -- waiting ----------------------------------------------------------------------------------------------------

    def forget(self, name: str) -> None:
        """Drop what was told without being asked, under one name."""
        self.untagged_responses.pop(name, None)

    def heard(self, name: str) -> bool:
        """Tell whether the server said this, unasked, since it was forgotten."""
        return name in self.untagged_responses

    def begin_idle(self) -> bool:
        """Begin to wait (RFC 2177); True when there is news already."""
        self.untagged_responses.clear()
        self._idle_tag = self._command("IDLE")
        # What happened in between may be told before the server agrees; None is its agreement.
        while self._get_response() is not None:
            if self.tagged_commands.get(self._idle_tag):
                raise MailboxTrouble("the server refused to IDLE")
        return self.heard("EXISTS")

    def end_idle(self) -> bool:
        """End the wait; True when news came meanwhile. Raises when the server does not answer."""
        self.send(b"DONE\r\n")
        said, _ = self._command_complete("IDLE", self._idle_tag)
        if said != "OK":
            raise MailboxTrouble("the server refused to end the IDLE")
        return self.heard("EXISTS")


def _left(words: bytes) -> MailboxTrouble:
    return MailboxTrouble(f"the server left: {printable(words.decode('ascii', 'replace'))}")


def _context(server: Server) -> ssl.SSLContext:
    """Return a context that checks certificate and name; read anew for each connection, as authorities change."""
    context = ssl.create_default_context()
    if server.ca_file:
        context.load_verify_locations(server.ca_file)
    return context


def _one_line(text: str) -> None:
    if any(character in text for character in "\r\n\0"):
        raise MailboxTrouble("a name or password of the mailbox has a line end in it")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def printable(text: str) -> str:
    """Return what may be shown of a server's words: one line, printable, short."""
    return "".join(character if character.isprintable() else " " for character in text).strip()[:200]


def _instant(at: Any) -> datetime | None:
    """Return INTERNALDATE in UTC; one without a zone is taken as UTC."""
    if not isinstance(at, datetime):
        return None
    try:
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _chunks(uids: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    return (uids[start : start + size] for start in range(0, len(uids), size))
