"""Mail as it lies in files: mbox files and Maildirs, one after the other, each mail by its place. Nothing is changed in them.

A box lists its mails first (`places`), with as much of each as holds its header; `raws` gives some of them whole.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from rtmail.errors import RtmailError
from rtmail.mail.reading.outline import HEAD_BYTES

_SEPARATOR = re.compile(rb"From [^\r\n]*[0-9:]{4,}[^\r\n]*\r?\n")
"""The line before a mail; one without a time or a year is somebody's words."""
_STAMP = re.compile(rb"(?:[A-Z][a-z]{2},? +)?([A-Z][a-z]{2}) +(\d{1,2}) +(\d\d):(\d\d)(?::(\d\d))?(?: +[A-Z+-][A-Za-z0-9+-]*)? +(\d{4})")
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
SENT = frozenset({
    "sent", "sent items", "sent messages", "sent mail", "sent-mail", "outbox", "gesendet", "gesendete objekte", "gesendete elemente",
    "надіслані", "відправлені", "envoyés", "éléments envoyés", "enviados", "posta inviata", "verzonden items", "skickat",
})
"""Names under which mail programs keep what was sent."""
PASSED_OVER = frozenset({
    "drafts", "trash", "junk", "spam", "deleted items", "deleted messages", "templates", "entwürfe", "papierkorb", "junk e-mail",
    "чернетки", "кошик", "спам", "brouillons", "corbeille",
})
"""Folders whose mail belongs to no request."""


class NoArchive(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """What was named is no such archive."""


@dataclass(frozen=True, slots=True)
class Place:
    """A mail in a box: `number` is the box's own, `name` where it stands, for people; kept_at is when the box says it came."""

    number: int
    name: str
    head: bytes
    size_bytes: int
    kept_at: datetime | None = None
    sent: bool = False


class Box(Protocol):
    """Where old mails are."""

    def places(self) -> Iterator[Place]:
        """Yield the mails, in the order in which they lie."""

    def raws(self, places: Sequence[Place]) -> list[bytes]:
        """Return some of them whole, in the order asked for; b"" for one that is gone meanwhile."""

    def close(self) -> None:
        """Let go of files and connections."""


class Mbox:
    """An mbox file (RFC 4155): mboxo or mboxrd."""

    def __init__(self, path: Path, *, sent: bool = False) -> None:
        self._path, self._sent = path, sent or is_sent(path.stem)
        self._file = path.open("rb")
        self._map: mmap.mmap | bytes = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        self._ends: dict[int, int] = {}
        if self._map and not _SEPARATOR.match(self._map[:1000]):
            self.close()
            raise NoArchive(f"{path} is no mbox file: it does not begin with a line \"From ADDRESS DATE\"")

    def places(self) -> Iterator[Place]:
        data = self._map
        at, size, number = 0, len(data), 0
        while at < size:
            line_end = data.find(b"\n", at) + 1 or size
            end = self._next(line_end, size)
            self._ends[line_end] = end
            number += 1
            kept_at = _stamp(data[at:line_end])
            head = bytes(data[line_end:min(end, line_end + HEAD_BYTES)])
            yield Place(line_end, f"{self._path}:{number}", head, end - line_end, kept_at, self._sent)
            at = end

    def _next(self, at: int, size: int) -> int:
        """Return where the next mail's separator begins, behind an empty line."""
        data = self._map
        while (found := data.find(b"\nFrom ", at - 1)) >= 0:
            begin = found + 1
            before = data[max(0, found - 2):found]
            if (before.endswith((b"\n", b"\n\r")) or found == 0) and _SEPARATOR.match(data[begin:begin + 1000]):
                return begin
            at = begin + 1
        return size

    def raws(self, places: Sequence[Place]) -> list[bytes]:
        return [self._raw(place) for place in places]

    def _raw(self, place: Place) -> bytes:
        raw = bytes(self._map[place.number:self._ends[place.number]])
        return _QUOTED.sub(rb"\1", _without_last_blank(raw))

    def close(self) -> None:
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        self._file.close()


class Maildir:
    """A Maildir with its folders, those of Maildir++ (.Sent) and ordinary ones below it."""

    def __init__(self, path: Path, *, sent: bool = False) -> None:
        self._path, self._sent = path, sent
        self._files: list[Path] = []
        self.passed_over: list[str] = []
        if not (path / "cur").is_dir():
            raise NoArchive(f"{path} is no Maildir: it has no folder cur")

    def places(self) -> Iterator[Place]:
        for folder in sorted({found.parent for found in self._path.glob("**/cur") if found.is_dir()}):
            name = folder.relative_to(self._path).as_posix()
            if is_passed_over(name):
                self.passed_over.append(name)
                continue
            sent = self._sent or is_sent(name)
            for file in sorted((*(folder / "cur").iterdir(), *_listed(folder / "new")), key=lambda file: file.name):
                flags = file.name.rpartition(":2,")[2] if ":2," in file.name else ""
                if not file.is_file() or file.name.startswith(".") or set(flags) & set("DT"):
                    continue
                with suppress(FileNotFoundError), file.open("rb") as opened:
                    self._files.append(file)
                    kept_at = _of_name(file.name)
                    size = file.stat().st_size
                    yield Place(len(self._files) - 1, str(file), opened.read(HEAD_BYTES), size, kept_at, sent)

    def raws(self, places: Sequence[Place]) -> list[bytes]:
        return [self._raw(place) for place in places]

    def _raw(self, place: Place) -> bytes:
        try:
            return self._files[place.number].read_bytes()
        except FileNotFoundError:
            # Its flags, and with them its name, may have changed since.
            bare = self._files[place.number].name.partition(":")[0]
            folder = self._files[place.number].parent.parent
            again = next((file for part in ("cur", "new") for file in folder.glob(f"{part}/{bare}*")), None)
            return again.read_bytes() if again else b""

    def close(self) -> None:
        self._files.clear()


def mboxes(paths: Sequence[Path], *, sent: bool = False) -> list[Box]:
    """Return the mbox files named, and those in folders named. Raises NoArchive, OSError."""
    found: list[Box] = []
    for path in paths:
        if not path.is_dir():
            found.append(Mbox(path, sent=sent))
            continue
        inside = [file for file in sorted(path.rglob("*")) if file.is_file() and not is_passed_over(file.stem) and _begins_as_mbox(file)]
        if not inside:
            raise NoArchive(f"{path} holds no mbox file")
        found += [Mbox(file, sent=sent) for file in inside]
    return found


def maildirs(paths: Sequence[Path], *, sent: bool = False) -> list[Box]:
    """Return the Maildirs named. Raises NoArchive."""
    return [Maildir(path, sent=sent) for path in paths]


def is_sent(folder: str) -> bool:
    """Tell whether a folder's name says that it holds sent mail; the last part of it counts."""
    return _last_part(folder) in SENT


def is_passed_over(folder: str) -> bool:
    """Tell whether a folder's name says that its mail belongs to nobody."""
    return _last_part(folder) in PASSED_OVER


def _last_part(folder: str) -> str:
    return re.split(r"[./]", folder.strip("./"))[-1].strip("[]").casefold()


def _begins_as_mbox(file: Path) -> bool:
    with file.open("rb") as opened:
        return bool(_SEPARATOR.match(opened.read(1000)))


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _of_name(name: str) -> datetime | None:
    """The seconds with which the name of a file in a Maildir begins."""
    seconds = name.partition(".")[0]
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() and 8 < len(seconds) < 11 else None


def _stamp(line: bytes) -> datetime | None:
    """The time of a separator (asctime, taken as UTC)."""
    found = _STAMP.search(line)
    if found is None or found[1] not in _MONTHS:
        return None
    with suppress(ValueError):
        return datetime(int(found[6]), _MONTHS[found[1]], int(found[2]), int(found[3]), int(found[4]), int(found[5] or 0), tzinfo=UTC)
    return None


def _without_last_blank(raw: bytes) -> bytes:
    """The empty line before the next separator is the file's, not the mail's."""
    for end in (b"\r\n\r\n", b"\n\n"):
        if raw.endswith(end):
            return raw[:-len(end) // 2]
    return raw
