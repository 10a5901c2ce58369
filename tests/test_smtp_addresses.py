"""The addresses that a session reads by itself are read as the library reads them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from aiosmtpd.smtp import SMTP
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtmail.ingress.limits import Limits, Shares
from rtmail.ingress.smtp_session import _PLAIN_ADDRESS, House, Session, Settings

CRUMBS = ["<", ">", "a", "B9", ".", "..", "@", "-", "+", "=", " ", "\t", "(x)", '"', "\\", ",", ":", "[1.2.3.4]", "ü", "_", "*", "\x0b"]


def arguments(addresses: list[str]) -> list[tuple[str, tuple[str | None, str | None]]]:
    """Return each argument that our own reading takes, with what the library makes of it."""

    async def read() -> list[tuple[str, tuple[str | None, str | None]]]:
        acceptor: object = None
        shown = Settings(hostname="mx.example.com", domain="example.com", spill=Path())
        house = House("smtp", acceptor, shown, Shares(Limits()), lambda: datetime.now(UTC), None)  # type: ignore[arg-type]
        session = Session(house)
        return [(one, session._getaddr(one)) for one in addresses]

    return asyncio.run(read())


BEHIND = ["", " ", " SIZE=10 BODY=8BITMIME", "(x)", " (x) SIZE=1"]


@given(st.lists(st.sampled_from(CRUMBS), max_size=8).map("".join), st.sampled_from(BEHIND))
@example("a.b", "")
@settings(max_examples=400, deadline=None)
def test_plain_addresses_are_read_as_the_library_reads_them(inside: str, behind: str) -> None:
    candidates = [f"<{inside}@b.example>{behind}", f"<a@{inside}>{behind}", f"<a.{inside}@b.example>{behind}", inside + behind]
    for argument, ours in arguments([one for one in candidates if _PLAIN_ADDRESS.match(one)]):
        # It asks the session for nothing but a limit.
        assert ours == SMTP._getaddr(SimpleNamespace(local_part_limit=0), argument), argument  # type: ignore[arg-type]


def test_ordinary_addresses_are_plain() -> None:
    for one in ("<bob.o'neil+tag@eu.acme.example>", "<support@example.com> SIZE=100", "<a@localhost>\t"):
        assert _PLAIN_ADDRESS.match(one), one
    for one in ("<>", "<a..b@c>", "<.a@b>", '<"a b"@c>', "<a@[1.2.3.4]>", "<a@b", "a@b", "<@x:a@b>", "<a@b> (x)"):
        assert not _PLAIN_ADDRESS.match(one), one
