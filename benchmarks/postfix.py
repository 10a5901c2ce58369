"""Postfix accepting to its queue, as a measure: an instance of its own that delivers nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.postfix import Postfix

MAIN = """
relay_domains = example.com
relay_recipient_maps =
defer_transports = relay
smtpd_client_connection_count_limit = 0
"""


@contextmanager
def postfix() -> Iterator[int]:
    """Yield the port of a Postfix that keeps what it accepts in its queue; 0 where there is none, or we may not start it."""
    try:
        instance = Postfix(main=MAIN)
    except pytest.skip.Exception:
        yield 0
        return
    with instance:
        yield instance.port
