"""Old mail in the folders of an IMAP mailbox. They are opened for reading only: no flag changes, nothing is marked as seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rtmail.ingress.imap import Connection, MailboxTrouble, Server
from rtmail.ops.moving.boxes import NoArchive, Place, is_passed_over, is_sent

LIMIT_BYTES = 64 << 20
_SENT, _NOT_WANTED = "\\sent", frozenset({"\\trash", "\\junk", "\\drafts", "\\all", "\\flagged", "\\important"})
_AT_ONCE_BYTES = 8 << 20


class ImapFolder:
    """One folder."""

    def __init__(self, server: Server, *, sent: bool) -> None:
        self._connection = Connection(server, LIMIT_BYTES, readonly=True)
        self._server, self._sent = server, sent

    def places(self) -> Iterator[Place]:
        listed = self._connection.listed(self._connection.uids())
        uids = sorted(uid for uid, one in listed.items() if one.size_bytes <= LIMIT_BYTES)
        for start in range(0, len(uids), 500):
            heads = self._connection.heads(uids[start : start + 500])
            for uid in uids[start : start + 500]:
                one = listed[uid]
                yield Place(uid, f"{self._server.place}:{uid}", heads.get(uid, b""), one.size_bytes, one.arrived_at, self._sent)

    def raws(self, places: Sequence[Place]) -> list[bytes]:
        found: dict[int, bytes] = {}
        some: dict[int, int] = {}
        for place in places:
            if some and sum(some.values()) + place.size_bytes > _AT_ONCE_BYTES:
                found |= self._connection.bodies(some)
                some = {}
            some[place.number] = place.size_bytes
        if some:
            found |= self._connection.bodies(some)
        return [found.get(place.number, b"") for place in places]

    def close(self) -> None:
        self._connection.close()


def folders(server: Server, wanted: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the folders to take in as (name, whether it holds sent mail): those `wanted`, or all but drafts, trash and junk.

    Raises NoArchive for one that is not there, MailboxTrouble, OSError.
    """
    connection = Connection(server, LIMIT_BYTES, readonly=True)
    try:
        there = dict(connection.folders())
    finally:
        connection.close()
    if missing := [name for name in wanted if name not in there]:
        raise NoArchive(f"{server.user}@{server.host} has no folder {missing[0]}; it has {', '.join(sorted(there))}")
    chosen = wanted or [name for name, flags in there.items() if not (flags & _NOT_WANTED or is_passed_over(name))]
    return [(name, _SENT in there[name] or is_sent(name)) for name in chosen]


def mailbox(server: Server, wanted: Sequence[str], sent: Sequence[str]) -> list[ImapFolder]:
    """Return the folders of a mailbox, each on a connection of its own. Raises as `folders` does."""
    found: list[ImapFolder] = []
    try:
        for name, holds_sent in folders(server, [*wanted, *sent]):
            found.append(ImapFolder(replace(server, folder=name), sent=holds_sent or name in sent))
    except (MailboxTrouble, OSError):
        for box in found:
            box.close()
        raise
    return found
