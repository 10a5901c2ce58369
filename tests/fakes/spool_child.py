"""Puts mails until it is killed; prints the number of each mail once it may be told "kept".

Usage: spool_child.py URL honest|early START. `early` says so before the commit, as the control that must lose mail.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime

from rtmail.mail.model import Envelope
from rtmail.store import SpoolWriter, Store

url, mode, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
envelope = Envelope("a@example.org", ("support@example.com",), "smtp", datetime(2026, 3, 2, tzinfo=UTC))


def tell(number: int) -> None:
    os.write(1, b"%d\n" % number)


store = Store(url)
store.open()
writer = SpoolWriter(store)
number = start
while True:
    batch = range(number, number + 5)
    if mode == "early":
        for one in batch:
            tell(one)
    futures = [writer.submit(b"mail %d" % one, replace(envelope, helo=str(one))) for one in batch]
    for one, future in zip(batch, futures, strict=True):
        future.result()
        if mode == "honest":
            tell(one)
    number += 5
