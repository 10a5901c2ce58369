"""Backing a running house up, and putting it back elsewhere without sending again what was sent.

A backup holds a copy of the database of one moment (an SQLite file, also of a PostgreSQL house), the signing key where it lies in the
state folder, and the config without its secrets. Nothing is known of what the house did between the backup and its end. So what
waited to go out when it was made is set aside until somebody says otherwise, and numbers that may have been given out since are passed
over: a number, and a signed address, must never mean two requests.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rtmail import __version__
from rtmail.config import Config
from rtmail.config.secrets import KEY_FILE, read_keys
from rtmail.errors import RtmailError
from rtmail.failpoint import failpoint
from rtmail.ops import archive, opening
from rtmail.ops.tenure import Tenure
from rtmail.store import Damaged, Store, Unusable

DATABASE = "rtmail.db"
CONFIG = "config"
NUMBERS_GAP = 1000
OTHERS_GAP = 1_000_000
"""Rows that one house could have made between a backup and its end; ids have room for four thousand such gaps."""

Progress = Callable[[str, int], None]


class NotRestored(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """The backup cannot be put back here, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made and read back. `unsound` is what its own audit found, "" for nothing."""

    size_bytes: int
    requests: int
    mails: int
    waiting: int
    key: bool
    unsound: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back: the moment that it is of, what waits for a word, and where the former data lies now ("" for none)."""

    made_at: str
    requests: int
    mails: int
    aside: int
    next_number: int
    key: bool
    former: str


def make(config: Config, store: Store, file: Path, now: datetime, progress: Progress) -> Made:
    """Write the backup `file` while the house runs. Raises FileExistsError, OSError, BadArchive, or what the store raises."""
    if file.exists():
        raise FileExistsError(f"{file} exists: name another file")
    with _workshop(file.parent) as folder:
        copy = folder / DATABASE
        store.snapshot(copy, progress)
        failpoint("backup-copied")
        with _opened(copy) as held:
            sums, waiting, version = held.audit_counts(), held.outbox_depth(), held.version()
            unsound = held.sound() or ("" if sums.closes else f"the audit does not close ({len(sums.culprits)} mails)")
            requests = held.requests()
        members = {DATABASE: copy}
        key = config.state / KEY_FILE
        with_key = not config.key_given and key.is_file()
        if with_key:
            members[KEY_FILE] = key
            unsound = "; ".join(filter(None, (unsound, _keyless(key))))
        members.update({f"{CONFIG}/{path.relative_to(config.folder)}": path for path in config.files()})
        manifest = {
            "rtmail": __version__, "made_at": now.isoformat(), "host": socket.gethostname(), "store": config.store_name.partition(":")[0],
            "schema": version, "requests": requests, "mails": sums.accepted, "outbox": waiting,
            "key": "in the archive" if with_key else "given from outside: keep it",
        }
        size = archive.write(file, manifest, members)
    store.note_backup(now)
    return Made(size, requests, sums.accepted, waiting, with_key, unsound)


def restore(config: Config, file: Path, now: datetime, *, replace: bool, send_waiting: bool, gap: int, progress: Progress) -> Restored:
    """Put a backup into the store that `config` names; everything, or nothing.

    replace       what is there is moved aside (SQLite only), else it is a reason to refuse
    send_waiting  what waited to go out goes out: only right when the house that was backed up sent nothing since
    gap           numbers of requests that are passed over
    Raises NotRestored, BadArchive, Occupied, SchemaError, OSError, or what the store raises.
    """
    manifest = archive.manifest_of(file)
    config.make_state()
    tenure = Tenure(config.state)
    try:
        with _workshop(config.state) as folder:
            names = set(archive.read(file, folder))
            if DATABASE not in names:
                raise NotRestored(f"{file}: there is no database in it")
            made_at, stamp = str(manifest["made_at"]), f"{now:%Y%m%dT%H%M%SZ}"
            with _opened(folder / DATABASE) as held:
                if found := held.sound():
                    raise NotRestored(f"{file}: its database is damaged ({found}); take another backup")
                held.take_back()
                held.release_mailboxes()
                held.fall_silent()
                said = f"waited in the backup of {made_at[:16]}; may have been sent since"
                aside = 0 if send_waiting else held.set_aside_waiting(said, now)
                held.leave_gap(gap, OTHERS_GAP)
                requests, mails, last_number = held.requests(), held.audit_counts().accepted, held.last_number()
            with_key = KEY_FILE in names and not config.key_given
            former, whole = _room_for(config, replace=replace)
            # The key first: a house that starts without it would make one of its own.
            if with_key:
                _put_key(folder / KEY_FILE, config.state / KEY_FILE, stamp)
                archive.sync(config.state)
            moved = _put(config, folder / DATABASE, stamp if former else "", progress, whole=whole)
            archive.sync(config.state)
        return Restored(made_at, requests, mails, aside, last_number + 1, with_key, moved)
    finally:
        tenure.close()


def unpack_config(file: Path, into: Path) -> list[Path]:
    """Write the config of a backup below `into`, which must be empty or missing; returns the files. Raises NotRestored, BadArchive."""
    if into.exists() and any(into.iterdir()):
        raise NotRestored(f"{into} is not empty: name a new folder")
    into.mkdir(parents=True, exist_ok=True)
    with _workshop(into.parent) as folder:
        names = sorted(name for name in archive.read(file, folder) if name.startswith(f"{CONFIG}/"))
        for name in names:
            there = into / name
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, there)
    return [into / name for name in names]


def _room_for(config: Config, *, replace: bool) -> tuple[bool, bool]:
    """Tell whether there is something that must be moved aside, and whether it is a database that we can use, as a damaged one is not.

    Raises NotRestored when it may not be moved.
    """
    file, said = Store(config.store_url, config.state).file(), ""
    try:
        store = opening.open_store(config)
        try:
            used = store.used()
        finally:
            store.close()
    except (Unusable, Damaged) as error:
        used, said = True, str(error)
    if used and not (replace and file):
        cure = "add --replace to move it aside" if file else "name another database in [store] url"
        raise NotRestored(f"{said or f'there are requests or mails in {config.store_name}'}: {cure}")
    return used, not said


def _put(config: Config, copy: Path, stamp: str, progress: Progress, *, whole: bool) -> str:
    """Let the store of `config` be what `copy` holds; return where what was there lies now, "" when there was nothing (no `stamp`)."""
    file = Store(config.store_url, config.state).file()
    if whole:
        store = opening.open_store(config)
        try:
            if file is None:
                with _opened(copy) as held:
                    store.fill_from(held, progress)
                return ""
        finally:
            # The last to close it writes what its log holds into the file itself.
            store.close()
    assert file is not None
    former = file.with_name(f"{file.name}.before-{stamp}") if stamp else None
    # One that was killed here in this same second has left its link.
    if former is not None and not (former.exists() and former.samefile(file)):
        os.link(file, former)
    failpoint("restore-ready")
    for log in (file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        if former is not None and not whole and log.exists():
            # What is in the log of a database that cannot be opened stands nowhere else.
            os.rename(log, log.with_name(log.name.replace(file.name, former.name, 1)))
        log.unlink(missing_ok=True)
    os.rename(copy, file)
    return str(former or "")


def _keyless(key: Path) -> str:
    """Return what is wrong with the file of the signing key, "" for nothing."""
    try:
        read_keys(key.read_text())
    except ValueError:
        return f"{key} holds no signing key"
    return ""


def _put_key(key: Path, there: Path, stamp: str) -> None:
    if there.exists() and not _same(key, there):
        os.rename(there, there.with_name(f"{there.name}.before-{stamp}"))
    if not there.exists():
        os.rename(key, there)


def _same(key: Path, other: Path) -> bool:
    return key.read_bytes().strip() == other.read_bytes().strip()


@contextmanager
def _opened(file: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{file}")
    store.open()
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _workshop(beside: Path) -> Iterator[Path]:
    """A folder on the same disk that only we can read, gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=beside, prefix=".rtmail-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
