"""The database of Best Practical RT 5, on SQLite or PostgreSQL, read and never written. Its tables are RT's: etc/schema.* in RT."""

from __future__ import annotations

import base64
import binascii
import quopri
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rtmail.desk.archive.rt import RtPart, RtTicket, Transaction, User
from rtmail.errors import RtmailError
from rtmail.store.database import chunks, places

_PAGE = 50
_KINDS = ("Create", "Correspond", "Comment", "Status", "Set", "EmailRecord", "CommentEmailRecord")


class NotRt(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """The database cannot be opened, or is none of RT's."""


class RtDatabase:
    """RT's database at `url`: sqlite:///FILE, the FILE alone, or postgresql://…; what is read is of one moment. Raises NotRt."""

    def __init__(self, url: str) -> None:
        self._postgres = url.startswith(("postgresql://", "postgres://"))
        try:
            self._connection: Any = self._connect(url)
            counted = "SELECT count(*), coalesce(max(id), 0) FROM Tickets WHERE Type = 'ticket' AND Status <> 'deleted'"
            ((self.count, self.last),) = self._all(counted)
        except Exception as error:
            raise NotRt(f"{url.partition('?')[0]} cannot be read as a database of RT: {' '.join(str(error).split())}") from error

    def _connect(self, url: str) -> Any:
        if self._postgres:
            import psycopg

            connection = psycopg.connect(url, options="-c default_transaction_read_only=on")
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return connection
        path = Path(url.removeprefix("sqlite:///"))
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        file: Any = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        # What its columns hold is not always what they say.
        file.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        file.execute("BEGIN")
        return file

    def close(self) -> None:
        self._connection.close()

    def queues(self) -> dict[str, tuple[str, str]]:
        """Return name -> (correspondence address, comment address) of the queues that hold requests."""
        return {name: (str(public or ""), str(inside or "")) for name, public, inside in self._all(
            "SELECT Name, CorrespondAddress, CommentAddress FROM Queues q WHERE EXISTS "
            "(SELECT 1 FROM Tickets t WHERE t.Queue = q.id AND t.Type = 'ticket' AND t.Status <> 'deleted') ORDER BY q.id")}

    def users(self) -> dict[int, User]:
        """Return RT's users by id."""
        staff = {id_ for (id_,) in self._all(
            "SELECT m.MemberId FROM CachedGroupMembers m JOIN Groups g ON g.id = m.GroupId "
            "WHERE g.Domain = 'SystemInternal' AND g.Name = 'Privileged' AND m.Disabled = 0")}
        return {id_: User(id_, str(real or name or ""), str(address or ""), id_ in staff) for id_, name, real, address in self._all(
            "SELECT id, Name, RealName, EmailAddress FROM Users")}

    def tickets(self) -> Iterator[list[RtTicket]]:
        """Yield the requests by number, some at a time; deleted ones stay behind."""
        last = 0
        while rows := self._all(
                "SELECT t.id, t.EffectiveId, q.Name, t.Subject, t.Status, t.Priority, t.Owner, t.Created FROM Tickets t "
                "JOIN Queues q ON q.id = t.Queue WHERE t.Type = 'ticket' AND t.Status <> 'deleted' AND t.id > ? ORDER BY t.id LIMIT ?",
                (last, _PAGE)):
            last = rows[-1][0]
            ids = [row[0] for row in rows]
            log, watching, links = self._transactions(ids), self._watching(ids), self._links(ids)
            yield [RtTicket(
                number=id_, queue=queue, subject=_text(subject), status=status, priority=int(priority or 0), owner=int(owner or 0),
                created_at=_instant(created), merged_into=effective if effective != id_ else 0, transactions=tuple(log.get(id_, ())),
                watching=tuple(watching.get(id_, ())), refers_to=tuple(links.get(id_, ())),
            ) for id_, effective, queue, subject, status, priority, owner, created in rows]

    def _transactions(self, tickets: Sequence[int]) -> dict[int, list[Transaction]]:
        kinds = ", ".join(repr(kind) for kind in _KINDS)
        rows = self._all(
            "SELECT id, ObjectId, Type, Field, OldValue, NewValue, Creator, Created FROM Transactions "
            f"WHERE ObjectType = 'RT::Ticket' AND ObjectId IN {places(len(tickets))} AND Type IN ({kinds}) ORDER BY id", tickets)
        parts: dict[int, list[RtPart]] = {}
        ids = [row[0] for row in rows]
        for some in chunks(ids):
            for id_, transaction, parent, type_, name, encoding, content, headers in self._all(
                    "SELECT id, TransactionId, Parent, ContentType, Filename, ContentEncoding, Content, Headers FROM Attachments "
                    f"WHERE TransactionId IN {places(len(some))} ORDER BY id", some):
                parts.setdefault(transaction, []).append(RtPart(
                    id_, int(parent or 0), str(type_ or "text/plain").lower(), _text(name), _text(headers), _decoded(content, encoding)))
        found: dict[int, list[Transaction]] = {}
        for id_, ticket, kind, field, old, new, creator, created in rows:
            found.setdefault(ticket, []).append(Transaction(
                id_, kind, _text(field), _text(old), _text(new), int(creator or 0), _instant(created), tuple(parts.get(id_, ()))))
        return found

    def _watching(self, tickets: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
        """Who watches, members of groups among them."""
        found: dict[int, list[tuple[str, int]]] = {}
        for ticket, role, user in self._all(
                "SELECT g.Instance, g.Name, m.MemberId FROM Groups g JOIN CachedGroupMembers m ON m.GroupId = g.id "
                "JOIN Users u ON u.id = m.MemberId WHERE g.Domain = 'RT::Ticket-Role' AND g.Name IN ('Requestor', 'Cc', 'AdminCc') "
                f"AND m.Disabled = 0 AND g.Instance IN {places(len(tickets))} ORDER BY m.id", tickets):
            found.setdefault(ticket, []).append((role, user))
        return found

    def _links(self, tickets: Sequence[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for base, target in self._all(
                "SELECT LocalBase, LocalTarget FROM Links WHERE Type IN ('RefersTo', 'DependsOn', 'MemberOf') AND LocalTarget > 0 "
                f"AND LocalBase IN {places(len(tickets))} ORDER BY id", tickets):
            found.setdefault(base, []).append(target)
        return found

    def _all(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(text.replace("?", "%s") if self._postgres else text, tuple(values))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _decoded(content: object, encoding: object) -> bytes:
    raw = content if isinstance(content, bytes) else _text(content).encode("utf-8", "surrogateescape")
    match str(encoding or "none").lower():
        case "base64":
            with suppress(binascii.Error):
                return base64.b64decode(raw)
        case "quoted-printable":
            return quopri.decodestring(raw)
    return raw


def _instant(value: object) -> datetime:
    """RT's times are UTC, without saying so."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return at if at.tzinfo else at.replace(tzinfo=UTC)
