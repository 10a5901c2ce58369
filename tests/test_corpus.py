"""Other projects' mails, where the environment names a folder of them: nothing new is lost, and every difference is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.corpus import REPLY, VARIABLE, Case, cases, folder

EXPLAINED = Path(__file__).parent.parent / "benchmarks" / "corpus.md"

pytestmark = pytest.mark.skipif(folder() is None, reason=f"{VARIABLE} names no folder")


@pytest.fixture(scope="module")
def judged() -> list[Case]:
    named = folder()
    assert named is not None
    return list(cases(named))


def test_most_of_what_others_state_is_read_so(judged: list[Case]) -> None:
    for reply, share in ((True, 0.95), (False, 0.98)):
        right = [case.right for case in judged if (case.kind == REPLY) is reply]
        assert sum(right) >= share * len(right)


def test_no_new_word_is_lost(judged: list[Case]) -> None:
    assert [(case.path, case.lost) for case in judged if case.lost] == []


def test_every_difference_is_explained_and_nothing_else(judged: list[Case]) -> None:
    told: set[tuple[str, str]] = set()
    for row in EXPLAINED.read_text().splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in row.split("|")]
        if len(cells) == 5 and cells[1]:
            family = cells[1][0].partition("/")[0]
            told |= {(path if "/" in path else f"{family}/{path}", key) for path in cells[1] for key in cells[2]}
    assert told == {(case.path, case.key) for case in judged if not case.right}
