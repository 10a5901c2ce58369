"""R4: whatever a disk holds after a power cut, every mail that was answered 250 is on it; a database that does not sync loses some."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.fakes.daemon import wait_for
from tests.fakes.senders import Ledger, Senders
from torture.powercut import Recorded, Step, images, missing, read

CUTS = int(os.environ.get("RTMAIL_CUTS", "120"))
"""About 20 ms each; the variable is for those who want thousands."""


def recorded(folder: Path, *, unsynced: bool) -> list[Step]:
    """What a daemon did to its disk while it took in forty mails."""
    daemon, ledger = Recorded(folder, unsynced=unsynced), Ledger()
    daemon.start()
    senders = Senders(daemon.port, ledger, lambda: ledger.begun < 40)
    senders.start()
    try:
        wait_for(lambda: len(ledger.acknowledged) >= 40, 120, "mails were not taken")
    finally:
        senders.give_up()
        daemon.kill()
    if "Operation not permitted" in daemon.told() and os.environ.get("CI") != "true":
        pytest.skip("R4 not tested: strace may not trace here")
    return read(daemon.record, daemon.state)


def test_no_power_cut_loses_mail(tmp_path: Path) -> None:
    steps = recorded(tmp_path, unsynced=False)
    assert len([step for step in steps if step.kind == "kept"]) >= 40, "what clients were told is not in the record"
    for image in images(steps, random.Random(4), CUTS):
        assert missing(image, tmp_path) == [], f"cut at step {image.at}, {image.how}"


def test_the_cuts_see_a_database_that_does_not_sync(tmp_path: Path) -> None:
    """The control: the same cuts, and commits that wait for no disk."""
    cuts = images(recorded(tmp_path, unsynced=True), random.Random(4), 60)
    assert [image for image in cuts if missing(image, tmp_path)]


def test_what_a_cut_leaves() -> None:
    wal, folder = "/x/rtmail.db-wal", "/x"
    steps = [Step("made", wal), Step("write", wal, 0, b"a" * 600), Step("sync", wal), Step("sync", folder), Step("kept", kept=1),
             Step("write", wal, 600, b"b" * 600), Step("cut", wal, 900), Step("kept", kept=2)]
    seen = [image for seed in range(40) for image in images(steps, random.Random(seed), len(steps))]
    early = {image.files.get("rtmail.db-wal", b"") for image in seen if image.at == 3}
    assert early == {b"", b"a" * 600}, "until its folder is synced, a new file's name may be lost"
    ends = [image for image in seen if image.at == 8]
    assert {image.kept for image in ends} == {frozenset({1, 2})}
    assert all(image.files["rtmail.db-wal"].startswith(b"a" * 600) for image in ends), "what was synced stays"
    whole = images([*steps, Step("sync", wal)], random.Random(1), 9)
    assert [image.files.get("rtmail.db-wal") for image in whole][-1] == b"a" * 600 + b"b" * 300
