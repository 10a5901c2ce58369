"""One large mail of which many hear: each gets a copy, and no more than one of them is in memory."""

from __future__ import annotations

import base64
import random
import tracemalloc
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rtmail.desk.people import Person
from rtmail.engine import keeping
from rtmail.mail.tripwire import LeakError
from rtmail.mail.writing.compose import Outgoing
from rtmail.mail.writing.compose import compose as compose_really
from rtmail.mail.writing.draft import Draft
from tests.fakes.house import House, blueprint, mail

MIB = 1 << 20


@pytest.mark.parametrize(("readers", "size"), [(30, 2 * MIB), (90, 700 << 10)])
def test_copies_of_a_large_mail_do_not_fill_the_memory(readers: int, size: int, tmp_path: Path) -> None:
    plan = blueprint()
    plan.directory.people.update({f"e{n}": Person(f"e{n}", f"Eng {n}", f"e{n}@staff.example", queues=("support",)) for n in range(readers)})
    file = base64.encodebytes(random.Random(1).randbytes(size)).decode()
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
        assert len(with_file) >= readers
        assert all(len(one.item.raw) > size for one in with_file)
        assert peak < 45 * MIB


def test_what_a_refused_copy_leaves_behind_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tripwire stopped the third copy; the bytes of the first two were in the database already, and belonged to no mail."""
    made, refused = list[int](), list[int]()

    def compose(draft: Draft, now: datetime, outbox_id: int, *more: Any) -> Outgoing:
        if len(made) == 2 and not refused:
            refused.append(outbox_id)
            raise LeakError("words of staff")
        made.append(outbox_id)
        return compose_really(draft, now, outbox_id, *more)

    monkeypatch.setattr(keeping, "compose", compose)
    monkeypatch.setattr(keeping, "LARGE_BYTES", 1)
    with closing(House(tmp_path)) as house:
        house.put(mail())
        assert house.engine.work(house.now) == 1
        assert refused
        sent = {one.item.id for one in house.sent()}
        assert sent
        assert {id_ for (id_,) in house.store._rows("SELECT id FROM outbox_mail")} == sent
