"""Texts of the config that mean more than a text: lengths of time, sizes, where to listen, what becomes of read mail.

Each reader returns the value or raises `Mistake`, which carries the cure.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class Mistake(ValueError):  # noqa: N818 - a person's mistake, told as such
    """What is wrong with a value, and the cure."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.what, self.cure = what, cure


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def loopback(self) -> bool:
        """Only this machine can connect."""
        return bool(self.path) or is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class After:
    """What becomes of a mailbox's mail once it is kept: "move" (to `folder`), "flag" or "delete"."""

    how: str
    folder: str = ""


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine's own name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_duration(value: Any) -> timedelta:
    """Return the length of `30s`, `90m`, `4h` or `5d`."""
    match = re.fullmatch(r"(\d{1,7})([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise Mistake(f"{value!r} is no length of time", 'write a number and s, m, h or d in quotes: "90m", "4h", "5d"')
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def read_size(value: Any) -> int:
    """Return the bytes of `25MB` (1 MB is 1024 * 1024 bytes), or of a whole number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = re.fullmatch(r"(\d{1,9}) ?(B|KB|MB|GB)", value) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        raise Mistake(f"{value!r} is no size", 'write a number and KB, MB or GB in quotes: "25MB"')
    return int(match[1]) * _BYTES[match[2]]


def read_listen(value: Any) -> Listen:
    """Return where `127.0.0.1:25`, `[::1]:25`, `localhost:25` or `unix:/run/rtmail/lmtp` is."""
    cure = 'write host and port in quotes: "127.0.0.1:2525", "[::1]:2525", "0.0.0.0:25" for every address'
    if not isinstance(value, str):
        raise Mistake(f"{value!r} is no place to listen", cure)
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if not path or "\0" in path or len(path.encode()) > 100:
            raise Mistake(f"{value!r} names no unix socket", 'write a path of at most 100 characters: "unix:/run/rtmail/lmtp"')
        return Listen(path=path)
    host, colon, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise Mistake(f"{value!r} is no place to listen", cure)
    if host != bare:
        try:
            ipaddress.IPv6Address(bare)
        except ValueError:
            raise Mistake(f"{value!r} is no place to listen", cure) from None
    elif not _HOST.fullmatch(bare):
        raise Mistake(f"{value!r} is no place to listen", cure)
    return Listen(bare, int(port))


def read_after(value: Any) -> After:
    """Return what `move:Processed`, `flag` or `delete` asks for."""
    if value in ("flag", "delete"):
        return After(str(value))
    if isinstance(value, str) and value.startswith("move:") and one_line(value) and len(value) > 5:
        return After("move", value.removeprefix("move:"))
    raise Mistake(f"{value!r} is not what can become of a mail", 'write "move:FOLDER", "flag" or "delete"')


def read_mode(value: Any) -> int:
    """Return the permission bits of `"0660"`."""
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        raise Mistake(f"{value!r} is no file mode", 'write three octal digits in quotes: "0660"')
    return int(value, 8)


def read_day(value: Any) -> date:
    """Return the date of `2026-12-31`, with or without quotes."""
    try:
        return value if type(value) is date else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise Mistake(f"{value!r} is no date", 'write "2026-12-31"') from None


def one_line(text: str) -> bool:
    """Tell whether `text` has only printable characters."""
    return text.isprintable()


Duration = Annotated[timedelta, BeforeValidator(read_duration)]
Size = Annotated[int, BeforeValidator(read_size)]
Place = Annotated[Listen, BeforeValidator(read_listen)]
AfterReading = Annotated[After, BeforeValidator(read_after)]
Day = Annotated[date, BeforeValidator(read_day)]
Mode = Annotated[int, BeforeValidator(read_mode)]
