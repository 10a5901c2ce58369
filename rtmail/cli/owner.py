"""Whose files a command makes: root's commands go on as the user that the state folder belongs to.

A database, a key or a token that root made is one that the daemon cannot open. What an own user may read and write is also what
`rtmail doctor` has to look at. Commands whose arguments name root's files (backup, restore) stay root, and give back what they made.
"""

from __future__ import annotations

import getpass
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def become_owner(state: Path) -> bool:
    """Turn this process for good into the owner of `state`; False when it is not root's, or there is nobody else to become."""
    there = _owner(state)
    if there is None:
        return False
    uid, gid = there
    try:
        found = pwd.getpwuid(uid)
        os.initgroups(found.pw_name, found.pw_gid)
        gid = found.pw_gid
        os.environ["HOME"] = found.pw_dir
    except KeyError:
        os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    return True


@contextmanager
def giving_back(state: Path) -> Iterator[None]:
    """Whatever root makes below `state` in here belongs to its owner afterwards."""
    try:
        yield
    finally:
        there = _owner(state)
        if there is not None:
            for path in state.rglob("*"):
                with suppress(FileNotFoundError):
                    if path.lstat().st_uid == 0:
                        os.chown(path, *there, follow_symlinks=False)


def share_secrets(file: Path, state: Path) -> None:
    """Let the owner of `state` read `file`, which root made, through its group."""
    there = _owner(state)
    if there is not None:
        os.chown(file, 0, there[1])
        file.chmod(0o640)


def hint(error: Exception) -> str:
    """Return what helps against a file that we may not open; "" where that is not the trouble."""
    if (not isinstance(error, PermissionError) and not isinstance(error.__cause__, PermissionError)) or os.geteuid() == 0:
        return ""
    try:
        who = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        who = f"user {os.geteuid()}"
    return f"this runs as {who}: run it as root, or as the user whose file that is"


def name() -> str:
    """Return who gave the command, also where we go on as somebody else; in a container a user need not have a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.geteuid()}"


def _owner(state: Path) -> tuple[int, int] | None:
    """Return user and group of `state` where we are root and somebody else owns it."""
    try:
        there = state.stat()
    except OSError:
        return None
    return (there.st_uid, there.st_gid) if os.geteuid() == 0 and there.st_uid != 0 else None
