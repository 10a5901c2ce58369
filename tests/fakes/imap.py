"""An IMAP server in a thread that does what it is told to: serve, lie, drop, renumber and hang (RFC 9051, what rtmail uses of it).

It keeps folders in memory. `twist` names a command and a function that takes its place or goes before it.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

ARRIVED = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
CAPABILITIES = "IMAP4rev1 IDLE UIDPLUS MOVE"


@dataclass
class Message:
    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)
    arrived: str = f"{ARRIVED:%d-%b-%Y %H:%M:%S} +0000"
    size: int | None = None
    """What the server tells, when it is not the truth."""


Twist = Callable[["Session", str, str], bool | None]
"""Called with the session, the tag and the arguments; True when it answered in the command's place."""


class Drop(Exception):  # noqa: N818  (an order)
    """End the connection without a word."""


class ImapServer:
    """`with ImapServer() as server:` listens on `server.port`.

    capabilities   after login; `before` are those told before it
    commands       every line that clients sent, in order, without its tag
    """

    def __init__(self, *, user: str = "box", password: str = "secret", capabilities: str = CAPABILITIES, before: str = "IMAP4rev1",
                 tls: ssl.SSLContext | None = None, implicit: bool = False, greeting: str = "* OK here", token: str = "") -> None:
        self.user, self.password, self.token = user, password, token
        self.capabilities, self.before = capabilities, before
        self.tls, self.implicit, self.greeting = tls, implicit, greeting
        self.folders: dict[str, list[Message]] = {"INBOX": []}
        self.uidvalidity, self.next_uid = 7, 1
        self.twists: dict[str, Twist] = {}
        self.commands: list[str] = []
        self.logins = self.connections = 0
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.sessions: list[Session] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop_all()

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self.tls and self.implicit:
                sock = self.tls.wrap_socket(sock, server_side=True)
            session = Session(self, sock)
            self.sessions.append(session)
            session.run()
        except (OSError, Drop, ValueError):
            pass
        finally:
            # The session's file holds the socket open: only this ends the connection.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    # what tests do

    def append(self, raw: bytes, *flags: str, folder: str = "INBOX", **told: object) -> int:
        """Put a mail into a folder and tell those who wait; returns its UID."""
        with self.changed:
            uid, self.next_uid = self.next_uid, self.next_uid + 1
            self.folders[folder].append(Message(uid, raw, set(flags), **told))  # type: ignore[arg-type]
            self.changed.notify_all()
            return uid

    def renumber(self, uidvalidity: int = 0) -> None:
        """Another UIDVALIDITY, and UIDs from 1."""
        with self.lock:
            self.uidvalidity = uidvalidity or self.uidvalidity + 1
            for n, message in enumerate(self.folders["INBOX"], 1):
                message.uid = n
            self.next_uid = len(self.folders["INBOX"]) + 1
            self.drop_all()

    def drop_all(self) -> None:
        """Cut every connection."""
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)
        self.sessions.clear()

    def inbox(self) -> list[Message]:
        with self.lock:
            return list(self.folders["INBOX"])

    def flagged(self, flag: str = "\\Seen") -> set[int]:
        return {message.uid for message in self.inbox() if flag in message.flags}

    def said(self, command: str) -> list[str]:
        """Return what clients sent of one command: "UID FETCH", "IDLE" …"""
        return [line for line in list(self.commands) if line.upper().startswith(command)]


class Session:
    """One connection."""

    def __init__(self, server: ImapServer, sock: socket.socket) -> None:
        self.server, self.sock = server, sock
        self.file = sock.makefile("rb")
        self.shown = 0
        self.secure = server.implicit

    def send(self, data: bytes | str) -> None:
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def ok(self, tag: str, text: str = "done") -> None:
        self.send(f"{tag} OK {text}\r\n")

    def no(self, tag: str, text: str = "no") -> bool:
        self.send(f"{tag} NO {text}\r\n")
        return True

    def run(self) -> None:
        if self.server.greeting:
            self.send(self.server.greeting + "\r\n")
        for tag, name, rest in self._lines():
            key = name
            if name == "UID":
                verb, _, rest = rest.partition(" ")
                key = f"UID {verb.upper()}"
            twist = self.server.twists.get(key)
            if twist and twist(self, tag, rest):
                continue
            if not hasattr(self, f"do_{key.replace(' ', '_').lower()}"):
                raise Drop  # the rest of a line that a broken connection left
            getattr(self, f"do_{key.replace(' ', '_').lower()}")(tag, rest)
            if name == "LOGOUT":
                return

    def _lines(self) -> Iterator[tuple[str, str, str]]:
        while line := self.file.readline().decode():
            tag, _, command = line.rstrip("\r\n").partition(" ")
            self.server.commands.append(command)
            name, _, rest = command.partition(" ")
            yield tag, name.upper(), rest

    # any time

    def do_capability(self, tag: str, rest: str) -> None:
        self.send(f"* CAPABILITY {self.server.before}\r\n")
        self.ok(tag)

    def do_logout(self, tag: str, rest: str) -> None:
        self.send("* BYE bye\r\n")
        self.ok(tag)

    def do_noop(self, tag: str, rest: str) -> None:
        self.ok(tag)

    def do_starttls(self, tag: str, rest: str) -> None:
        assert self.server.tls is not None
        self.ok(tag)
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")
        self.secure = True

    # login

    def do_login(self, tag: str, rest: str) -> None:
        user, _, password = rest.partition(" ")
        self._enter(tag, [user.strip('"'), password.strip('"')] == [self.server.user, self.server.password])

    def do_authenticate(self, tag: str, rest: str) -> None:
        self.send("+ \r\n")
        words = base64.b64decode(self.file.readline()).decode()
        if rest == "XOAUTH2":
            self._enter(tag, words == f"user={self.server.user}\1auth=Bearer {self.server.token}\1\1")
        else:
            self._enter(tag, words == f"\0{self.server.user}\0{self.server.password}")

    def _enter(self, tag: str, good: bool) -> None:
        if not good:
            self.no(tag, f"[AUTHENTICATIONFAILED] not {self.server.user} {self.server.password}")
            return
        self.server.logins += 1
        self.ok(tag, f"[CAPABILITY {self.server.capabilities}] in")

    # the folder

    def do_select(self, tag: str, rest: str) -> None:
        with self.server.lock:
            self.shown = len(self.server.inbox())
            self.send(f"* {self.shown} EXISTS\r\n* FLAGS (\\Seen \\Deleted \\Flagged)\r\n* OK [UIDVALIDITY {self.server.uidvalidity}] v\r\n"
                      f"* OK [UIDNEXT {self.server.next_uid}] n\r\n{tag} OK [READ-WRITE] in\r\n")

    def _chosen(self, spec: str) -> list[tuple[int, Message]]:
        inbox = self.server.inbox()
        last = max((message.uid for message in inbox), default=0)
        uids: set[int] = set()
        for piece in spec.split(","):
            low, _, high = piece.partition(":")
            ends = sorted((int(low.replace("*", str(last))), int((high or low).replace("*", str(last)))))
            # `n:*` names the last mail when n is beyond it, as the RFC asks.
            uids |= {message.uid for message in inbox if ends[0] <= message.uid <= ends[1]}
        return [(n, message) for n, message in enumerate(inbox, 1) if message.uid in uids]

    def do_uid_search(self, tag: str, rest: str) -> None:
        if rest.startswith("UID "):
            found = [message for _, message in self._chosen(rest.removeprefix("UID "))]
        else:
            assert rest == "SEEN", rest
            found = [message for message in self.server.inbox() if "\\Seen" in message.flags]
        self.send(f"* SEARCH{''.join(f' {message.uid}' for message in found)}\r\n")
        self.ok(tag)

    def do_uid_fetch(self, tag: str, rest: str) -> None:
        spec, _, items = rest.partition(" ")
        for n, message in self._chosen(spec):
            if partial := re.fullmatch(r"\(?BODY\.PEEK\[\]<0\.(\d+)>\)?", items):
                start = message.raw[: int(partial[1])]
                self.send(f"* {n} FETCH (UID {message.uid} BODY[]<0> {{{len(start)}}}\r\n".encode() + start + b")\r\n")
            elif "BODY.PEEK[]" in items:
                self.send(f"* {n} FETCH (UID {message.uid} BODY[] {{{len(message.raw)}}}\r\n".encode() + message.raw + b")\r\n")
            else:
                size = len(message.raw) if message.size is None else message.size
                self.send(f'* {n} FETCH (UID {message.uid} RFC822.SIZE {size} INTERNALDATE "{message.arrived}")\r\n')
        self.ok(tag)

    def do_uid_store(self, tag: str, rest: str) -> None:
        spec, how, flags = re.fullmatch(r"(\S+) (\S+) \((.*)\)", rest).groups()  # type: ignore[union-attr]
        assert how == "+FLAGS.SILENT"
        for _, message in self._chosen(spec):
            message.flags |= set(flags.split())
        self.ok(tag)

    def do_uid_expunge(self, tag: str, rest: str) -> None:
        with self.server.lock:
            gone = [message for _, message in self._chosen(rest) if "\\Deleted" in message.flags]
            self._remove(gone)
        self.ok(tag)

    def do_uid_copy(self, tag: str, rest: str) -> None:
        spec, folder = rest.split(" ", 1)
        name = folder.strip('"')
        if name not in self.server.folders:
            self.no(tag, "[TRYCREATE] no such folder")
            return
        with self.server.lock:
            self.server.folders[name] += [message for _, message in self._chosen(spec)]
        self.ok(tag)

    def do_uid_move(self, tag: str, rest: str) -> None:
        spec, folder = rest.split(" ", 1)
        name = folder.strip('"')
        if name not in self.server.folders:
            self.no(tag, "[TRYCREATE] no such folder")
            return
        with self.server.lock:
            moved = [message for _, message in self._chosen(spec)]
            self.server.folders[name] += moved
            self._remove(moved)
        self.ok(tag)

    def _remove(self, gone: list[Message]) -> None:
        self.server.folders["INBOX"] = [message for message in self.server.inbox() if message not in gone]
        self.shown = len(self.server.inbox())

    def do_create(self, tag: str, rest: str) -> None:
        self.server.folders.setdefault(rest.strip('"'), [])
        self.ok(tag)

    def do_subscribe(self, tag: str, rest: str) -> None:
        self.ok(tag)

    def do_idle(self, tag: str, rest: str) -> None:
        self.send("+ idling\r\n")
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        watcher.start()
        line = self.file.readline()
        ended.set()
        with self.server.changed:
            self.server.changed.notify_all()
        watcher.join()
        if not line:
            raise Drop
        self.server.commands.append(line.decode().strip())
        self.ok(tag)

    def _watch(self, ended: threading.Event) -> None:
        with self.server.changed, contextlib.suppress(OSError):
            while not ended.is_set():
                count = len(self.server.inbox())
                if count > self.shown:
                    self.send(f"* {count} EXISTS\r\n")
                self.shown = count
                self.server.changed.wait(5)
