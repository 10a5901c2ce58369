"""One large mail of which many hear: each gets a copy, and no more than one of them is in memory."""

from __future__ import annotations

import base64
import random
import tracemalloc
from contextlib import closing
from pathlib import Path

from rtmail.desk.people import Person
from tests.fakes.house import House, blueprint, mail

MIB = 1 << 20


def test_copies_of_a_large_mail_do_not_fill_the_memory(tmp_path: Path) -> None:
    plan = blueprint()
    plan.directory.people.update({f"e{n}": Person(f"e{n}", f"Eng {n}", f"e{n}@staff.example", queues=("support",)) for n in range(30)})
    file = base64.encodebytes(random.Random(1).randbytes(2 * MIB)).decode()
    raw = mail(headers='Content-Disposition: attachment; filename="a.bin"\nContent-Transfer-Encoding: base64', text=file)
    raw = raw.replace(b"text/plain; charset=utf-8", b'application/octet-stream; name="a.bin"')
    with closing(House(tmp_path, plan)) as house:
        house.put(raw)
        tracemalloc.start()
        try:
            assert house.engine.work(house.now) == 1
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        with_file = [one for one in house.sent() if one.item.recipient.endswith("@staff.example")]
        assert len(with_file) >= 30
        assert all(len(one.item.raw) > 2 * MIB for one in with_file)
        assert peak < 45 * MIB
