"""docs/faults.md has every row of the fault table and of `make torture`, and names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

from torture.__main__ import Row, State, table
from torture.rows import ROWS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
RULES, RUN = PAGE.split("\n## A run of make torture\n")


def cells(part: str) -> list[list[str]]:
    """The rows of a part's tables, heads and rules left out."""
    lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [line for line in lines if line[0] != "row" and not line[0].startswith("---")]


def test_every_row_is_there_and_shown_by_something() -> None:
    rows = cells(RULES)
    assert [row[0] for row in rows] == list(ROWS) == [f"R{number}" for number in range(1, 30)]
    for name, done, holds, shown in rows:
        assert done, name
        assert holds, name
        assert re.search(r"`test_\w+\.py::test_\w+`|`make torture`", shown), name


def test_every_test_that_is_named_exists_and_is_long_where_it_says_so() -> None:
    named = re.findall(r"`(test_\w+)\.py::(test_\w+)`(\*?)", PAGE)
    assert len(named) > 60
    for file, test, long in named:
        text = (ROOT / "tests" / f"{file}.py").read_text("utf-8")
        found = re.search(rf"^((?:@.*\n(?:[ \])].*\n)*)*)def {test}\(", text, re.MULTILINE)
        assert found, f"{file}.py has no {test}"
        assert ("@pytest.mark.long\n" in found[1]) is bool(long), f"{file}.py::{test}"


def test_the_figures_are_those_of_a_run_in_which_every_row_held() -> None:
    rows = {row[0]: row for row in cells(RUN)}
    head = table(State(1, rows={name: Row(cases=1) for name in ROWS}))[0][0]
    assert head in RUN
    for name, done in ROWS.items():
        assert rows[name][1] == done
        assert int(rows[name][2]) > 0
        assert rows[name][3:] == ["0", "0", "held"]
    controls = [row for row in rows.values() if row[0].startswith("control")]
    assert len(controls) == 2
    assert {row[5] for row in controls} == {"seen"}
    assert re.search(r"seed \d+, (\d+) min", RUN)
