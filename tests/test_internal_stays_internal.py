"""Random histories: whatever people quote, paste, attach and forward, no internal byte reaches anybody outside (promise 7).

RTMAIL_HISTORIES sets how many the long test plays; `make histories` plays 100,000, which takes two cores about an hour.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.histories import collected, play

HISTORIES = int(os.environ.get("RTMAIL_HISTORIES", "20000"))
IN_A_HOUSE = 250
"""A house with many requests is slower, and a fresh one takes its time to open."""


def test_no_internal_byte_goes_out_of_a_few_histories(tmp_path: Path) -> None:
    outside, asked = play(tmp_path, range(48), 9, time_passes=0.3)
    assert outside > 60, "too little went out for the test to mean anything"
    assert asked > 20


def _house(folder: str, start: int) -> tuple[int, int]:
    """Play the histories of one house, in memory where there is room, and take it away again."""
    place = Path(folder) / str(start)
    try:
        return play(place, range(start, min(start + IN_A_HOUSE, HISTORIES)), 3, time_passes=0.02)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.long
def test_no_internal_byte_goes_out_of_many_histories() -> None:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, ProcessPoolExecutor(os.cpu_count()) as processes:
        outside, asked = collected([processes.submit(_house, folder, start) for start in range(0, HISTORIES, IN_A_HOUSE)])
    print(f"{HISTORIES} histories: {outside} mails to people outside, {asked} questions to authors")
    assert outside > HISTORIES // 2
    assert asked > HISTORIES // 5
