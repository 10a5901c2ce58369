"""Secrets: from the environment, `.env` beside the config, or systemd credentials; never from TOML.

And the signing key: given as RTMAIL_SECRET_KEY, or made once in the state folder. It signs every detail, mark and
Message-ID of ours, so one that is lost makes old mails of ours strangers; `rtmail backup` takes it along.
"""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream

from rtmail.config.reading import text_of
from rtmail.errors import ConfigError, Problem
from rtmail.failpoint import failpoint
from rtmail.mail.token import Keyring

SECRET_KEY = "RTMAIL_SECRET_KEY"
RELAY_PASSWORD = "RTMAIL_RELAY_PASSWORD"
STORE_PASSWORD = "RTMAIL_STORE_PASSWORD"
HEARTBEAT_URL = "RTMAIL_HEARTBEAT_URL"
KEY_FILE = "secret.key"
KEY_CURE = "write 64 hex digits, or ID:HEX,ID:HEX with ids 0 to 3 and the current key first (openssl rand -hex 32 makes one)"

_KEY = re.compile(r"(?:([0-3]):)?([0-9a-fA-F]{32,128})")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What was found, by variable name; `where` tells whence ("environment", "credentials" or the `.env` file and line)."""

    values: Mapping[str, str] = field(repr=False)
    where: Mapping[str, tuple[str, int]]
    problems: tuple[Problem, ...] = ()

    def get(self, name: str) -> str:
        return self.values.get(name, "")


def imap_password(name: str) -> str:
    """Return the variable that holds the password of mailbox `name`."""
    return f"RTMAIL_IMAP_{_upper(name)}_PASSWORD"


def oauth_secret(name: str) -> str:
    """Return the variable that holds the secret of [oauth.NAME]."""
    return f"RTMAIL_OAUTH_{_upper(name)}_SECRET"


def auth_password(person: str) -> str:
    """Return the variable that holds the password hash of a person for SMTP AUTH."""
    return f"RTMAIL_AUTH_{_upper(person)}"


def gather(folder: Path, environ: Mapping[str, str]) -> Secrets:
    """Return every RTMAIL_* value; the environment wins over `.env` in `folder`, that over $CREDENTIALS_DIRECTORY.

    A credential is a file named like the variable. A `.env` that others can read is a problem, and so is whatever of these
    cannot be read: a password that is read by halves is a wrong one.
    """
    values: dict[str, str] = {}
    where: dict[str, tuple[str, int]] = {}
    problems: list[Problem] = []
    credentials = environ.get("CREDENTIALS_DIRECTORY", "")
    for path in sorted(Path(credentials).glob("RTMAIL_*")) if credentials else []:
        try:
            values[path.name] = text_of(path).strip()
        except ConfigError as error:
            problems += error.problems
        where[path.name] = ("credentials", 0)
    file = folder / ".env"
    if file.is_file():
        if stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO:
            problems.append(Problem(str(file), 1, "everybody on this machine can read the secrets", f"chmod o= {file}"))
        try:
            lines = text_of(file)
        except ConfigError as error:
            problems += error.problems if os.access(file, os.R_OK) else [_closed(file)]
            lines = ""
        for one in parse_stream(io.StringIO(lines)):
            before = len(one.original.string) - len(one.original.string.lstrip())
            line, name = one.original.line + one.original.string.count("\n", 0, before), one.key or ""
            if one.error and "RTMAIL_" in one.original.string:
                problems.append(Problem(str(file), line, "the line cannot be read", "write NAME='…', with a quote at both ends"))
            if not name.startswith("RTMAIL_"):
                continue
            where[name] = (str(file), line)
            if one.value is None:
                problems.append(Problem(str(file), line, f"{name} has no value", f"write {name}='…'"))
            values[name] = one.value or ""
    for name, value in environ.items():
        if name.startswith("RTMAIL_"):
            values[name] = value
            where[name] = ("environment", 0)
    return Secrets(values, where, tuple(problems))


def _closed(file: Path) -> Problem:
    who = f"user {os.geteuid()}"
    with contextlib.suppress(KeyError):
        who = pwd.getpwuid(os.geteuid()).pw_name
    cure = f"let the user of the daemon read it: chown root:rtmail {file} && chmod 640 {file}"
    return Problem(str(file), 1, f"cannot be read by {who}: Permission denied", cure)


def read_keys(text: str) -> Keyring:
    """Return the keyring of `HEX` (id 0) or `ID:HEX,ID:HEX`, the current key first. Raises ValueError."""
    keys: dict[int, bytes] = {}
    for part in re.split(r"[\s,]+", text.strip()):
        match = _KEY.fullmatch(part)
        if match is None or len(match[2]) % 2 or int(match[1] or 0) in keys:
            raise ValueError("not a signing key")
        keys[int(match[1] or 0)] = bytes.fromhex(match[2])
    return Keyring(next(iter(keys)), keys)


def key_in(state: Path) -> Keyring:
    """Return the keyring of `secret.key` in `state`, made (mode 0600) when there is none.

    Two processes that start at once get the same key: the file appears whole, and only once.
    Raises ValueError for a file that holds no key, OSError when it cannot be read or made.
    """
    file = state / KEY_FILE
    if not file.exists():
        # Not named by process id: in a container that is the same after a kill, and the draft left behind would be in the way.
        draft = state / f"{KEY_FILE}.{secrets.token_hex(8)}.new"
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "w") as out:
                out.write(secrets.token_hex(32) + "\n")
                out.flush()
                os.fsync(out.fileno())
            failpoint("key-written")
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
        folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return read_keys(file.read_text("ascii"))


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
