"""Power cuts at any moment, played from a recording: strace notes what a daemon writes and syncs, and disks are made of it.

A disk after a cut holds everything that was synced; of what was written since, any part may be there, a piece of a write too
(sectors of 512 bytes); a new file's name is there for sure once its folder was synced. `images` makes such disks for any moment of
the recording, with the spool numbers that had been told "kept as" before it.
"""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.daemon import Running
from tests.fakes.family import family, tell

CALLS = "openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink,sendto,sendmsg"
SECTOR = 512
_BEGUN = re.compile(r"^(\d+)\s+(\w+)\((.*)$", re.DOTALL)
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_FILE = re.compile(r"^(?:AT_FDCWD|\d+)<((?:[^<>]|<[^>]*>)*)>, ?(.*)$|^\d+<((?:[^<>]|<[^>]*>)*)>(.*)$", re.DOTALL)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Recorded(Running):
    """The daemon under strace; `unsynced` makes it promise more than its disk does: the control that must lose mail."""

    def __init__(self, folder: Path, *, unsynced: bool = False, **settings: object) -> None:
        super().__init__(folder, **settings)  # type: ignore[arg-type]
        self.record = folder / "record"
        self._unsynced = unsynced

    def spawn(self, **environ: str) -> None:
        module = "tests.fakes.unsynced" if self._unsynced else "rtmail"
        root = Path(__file__).resolve().parent.parent
        words = ["strace", "-f", "-y", "-xx", "-s", "1000000", "--signal=none", "-e", f"trace={CALLS}", "-o", str(self.record),
                 sys.executable, "-m", module, "serve", "-c", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=root, env={**self.environ, **environ})

    def kill(self) -> None:
        """End the daemon; strace ends with it, and its record is whole then."""
        assert self.process is not None
        tell(family(self.process.pid)[1:], signal.SIGKILL)
        self.process.wait(30)


@dataclass(frozen=True)
class Step:
    """One thing that happened: a write (offset, data), a cut to a length, a sync, a new or removed name, or a mail told kept."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    kept: int = 0


def read(record: Path, folder: Path) -> list[Step]:
    """The steps that concern files in `folder`, the database's own, in order."""
    steps: list[Step] = []
    begun: dict[tuple[str, str], str] = {}
    with record.open(errors="replace") as lines:
        for line in lines:
            if resumed := _RESUMED.match(line):
                pid, call, rest = resumed.groups()
                steps += _done(call, begun.pop((pid, call), ""), rest, folder)
            elif found := _BEGUN.match(line):
                pid, call, rest = found.groups()
                steps += _started(call, rest, folder)
                if "<unfinished ..." in rest:
                    begun[pid, call] = rest
                else:
                    steps += _done(call, rest, rest, folder)
    return steps


def _started(call: str, rest: str, folder: Path) -> Iterator[Step]:
    """What may have happened as soon as a call began: writes, and what is said to a client."""
    path, after = _file(rest)
    match call:
        case "pwrite64" | "write" if _ours(path, folder):
            data = _bytes(after)
            if call == "pwrite64":
                numbers = re.findall(r", (\d+), (\d+)", after[after.rindex('"'):])
                yield Step("write", path, int(numbers[0][1]), data)
        case "sendto" | "sendmsg" | "write":
            data = _bytes(after)
            if said := re.match(rb"250 2\.0\.0 kept as (\d+)", data):
                yield Step("kept", kept=int(said[1]))
        case "ftruncate" if _ours(path, folder):
            length = re.match(r"(?:, )?(\d+)", after)
            assert length, rest
            yield Step("cut", path, int(length[1]))


def _done(call: str, rest: str, end: str, folder: Path) -> Iterator[Step]:
    """What has happened once a call returned: syncs, and names."""
    if re.search(r"= -1 ", end):
        return
    path, _ = _file(rest)
    match call:
        case "fsync" | "fdatasync":
            yield Step("sync", path)
        case "openat" if "O_CREAT" in rest:
            named = re.search(r"= \d+<(.*)>\s*$", end)
            if named and _ours(_decoded(named[1]), folder):
                yield Step("made", _decoded(named[1]))
        case "unlink":
            name = _decoded(rest.partition('"')[2].partition('"')[0])
            if _ours(name, folder):
                yield Step("gone", name)


def _file(rest: str) -> tuple[str, str]:
    found = _FILE.match(rest)
    if not found:
        return "", rest
    return _decoded(found[1] or found[3] or ""), found[2] or found[4] or ""


def _decoded(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode("utf-8", "replace") if text.startswith("\\x") else text


def _bytes(text: str) -> bytes:
    return b"".join(bytes.fromhex(piece.replace("\\x", "")) for piece in _TEXT.findall(text))


def _ours(path: str, folder: Path) -> bool:
    """Told of the database and its logs; its shared index is made anew after a cut."""
    return path.startswith(str(folder / "rtmail.db")) and not path.endswith("-shm")


@dataclass
class _File:
    """One file: its synced bytes, and what was done to it since."""

    durable: bytes = b""
    since: list[Step] = field(default_factory=list)
    named: bool = False

    def sync(self) -> None:
        self.durable = _applied(self.durable, self.since)
        self.since = []


def _applied(data: bytes, steps: list[Step]) -> bytes:
    whole = bytearray(data)
    for step in steps:
        if step.kind == "cut":
            del whole[step.offset:]
            whole.extend(bytes(max(0, step.offset - len(whole))))
        else:
            whole.extend(bytes(max(0, step.offset - len(whole))))
            whole[step.offset:step.offset + len(step.data)] = step.data
    return bytes(whole)


@dataclass(frozen=True)
class Image:
    """A disk after a cut: name -> bytes, and the spool numbers that had been told kept."""

    at: int
    how: str
    files: dict[str, bytes]
    kept: frozenset[int]


def images(steps: list[Step], dice: random.Random, count: int) -> Iterator[Image]:
    """So many disks, at moments chosen by chance among those at which something was written since the last sync."""
    moments = sorted(dice.sample(range(1, len(steps) + 1), min(count, len(steps))))
    if not moments:
        return
    each = -(-count // len(moments))
    files: dict[str, _File] = {}
    kept: set[int] = set()
    ahead = iter(moments)
    following = next(ahead)
    for at, step in enumerate(steps, 1):
        _play(step, files, kept)
        while following == at:
            for number in range(each):
                how = ("nothing more", "everything", "some", "some, torn")[(at + number) % 4]
                yield Image(at, how, {Path(path).name: _left(file, how, dice) for path, file in files.items()
                                      if file.named or how == "everything" or dice.random() < 0.5}, frozenset(kept))
            following = next(ahead, 0)


def _play(step: Step, files: dict[str, _File], kept: set[int]) -> None:
    match step.kind:
        case "kept":
            kept.add(step.kept)
        case "sync":
            if step.path in files:
                files[step.path].sync()
            for path, file in files.items():
                if str(Path(path).parent) == step.path:
                    file.named = True
        case "made":
            files.setdefault(step.path, _File())
        case "gone":
            files.pop(step.path, None)
        case _:
            files.setdefault(step.path, _File()).since.append(step)


def _left(file: _File, how: str, dice: random.Random) -> bytes:
    match how:
        case "nothing more":
            return file.durable
        case "everything":
            return _applied(file.durable, file.since)
        case "some":
            return _applied(file.durable, [step for step in file.since if dice.random() < 0.5])
    torn = []
    for step in file.since:
        if step.kind == "cut" or dice.random() < 0.3:
            torn.append(step)
        else:
            for start in range(0, len(step.data), SECTOR):
                if dice.random() < 0.5:
                    torn.append(Step("write", step.path, step.offset + start, step.data[start:start + SECTOR]))
    return _applied(file.durable, torn)


def missing(image: Image, folder: Path) -> list[str]:
    """Lay the disk into `folder`, and return what is wrong on it: mails told kept that are not there, or a database that is not sound."""
    for end in ("", "-wal", "-shm", "-journal"):
        (folder / f"rtmail.db{end}").unlink(missing_ok=True)
    for name, data in image.files.items():
        (folder / name).write_bytes(data)
    if not (folder / "rtmail.db").exists():
        return [f"mail {number}" for number in sorted(image.kept)]
    with closing(sqlite3.connect(folder / "rtmail.db")) as database:
        try:
            if (said := database.execute("PRAGMA quick_check").fetchall()) != [("ok",)]:
                return [f"not sound: {said[:2]}"]
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'spool'").fetchall():
                return [f"mail {number}" for number in sorted(image.kept)]
            there = {number for (number,) in database.execute(
                "SELECT s.id FROM spool s JOIN raw r ON r.id = s.raw_id WHERE r.packed IS NOT NULL")}
        except sqlite3.DatabaseError as error:
            return [f"not sound: {error}"]
    return [f"mail {number}" for number in sorted(image.kept - there)]
