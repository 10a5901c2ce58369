"""python -m torture [CASE ...]: plays all cases in random order until the time is over, and prints one table; `make torture`.

TORTURE_MINUTES (30) bounds it, TORTURE_SEED chooses the dice. What was played stands in .cache/torture/state.json after each case, so
that a run that was interrupted goes on where it was; one that came to its end, or `--fresh`, begins anew. Exits 1 when a row failed
or was not reached; the story of each failure lies in .cache/torture.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fakes.nursery import Nursery
from torture.books import Sums
from torture.cases import CASES
from torture.rows import ROWS
from torture.told import Bench, Case, Told

GROUND = Path(__file__).resolve().parent.parent / ".cache" / "torture"
STATE = GROUND / "state.json"


@dataclass
class Row:
    """One line of the table."""

    cases: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0


@dataclass
class State:
    """What was played so far; `played` is how many cases, of which the order follows from the seed."""

    seed: int
    played: int = 0
    seconds: float = 0.0
    mails: int = 0
    repeated: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def save(self) -> None:
        GROUND.mkdir(parents=True, exist_ok=True)
        new = STATE.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1))
        new.replace(STATE)


def resumed(seed: int, minutes: float, *, fresh: bool) -> State:
    """Return the state of a run that was interrupted, else a new one."""
    if not fresh and STATE.exists():
        found = json.loads(STATE.read_text())
        state = State(**{**found, "rows": {name: Row(**row) for name, row in found["rows"].items()}})
        if state.seconds < minutes * 60 and seed in (0, state.seed):
            print(f"going on with seed {state.seed} after {state.played} cases, {state.seconds / 60:.0f} min", flush=True)
            return state
    return State(seed or secrets.randbelow(1 << 30) + 1)


def chosen(state: State, cases: tuple[Case, ...]) -> tuple[Case, random.Random]:
    """Return the next case and its dice, which follow from the seed and from how many were played."""
    lap, place = divmod(state.played, len(cases))
    order = list(cases)
    random.Random(f"{state.seed}:{lap}").shuffle(order)
    return order[place], random.Random(f"{state.seed}:{state.played}")


def play(case: Case, dice: random.Random, nursery: Nursery) -> Told:
    """Play one case in a folder of its own; a case that breaks has failed."""
    folder = Path(tempfile.mkdtemp(prefix="rtmail-torture-"))
    try:
        return case(Bench(dice, folder, nursery))
    except Exception:
        return Told(Counter({case.__name__: 1}), Sums(wrong=["the case broke"]), log=traceback.format_exc().splitlines())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def enter(state: State, case: Case, told: Told) -> None:
    """Put what a case found into the table; of a control the finding is the proof."""
    sums = told.sums
    for name, count in told.rows.items():
        row = state.rows.setdefault(name, Row())
        row.cases += count
        row.lost += len(sums.lost)
        row.doubled += len(sums.doubled)
        row.wrong += len(sums.wrong)
    if not case.__name__.startswith("control"):
        state.mails += sums.mails
        state.repeated += sums.repeated
    if sums.wrong or (sums and not case.__name__.startswith("control")):
        file = GROUND / f"failed-{state.seed}-{state.played}-{case.__name__}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([*sums.lost, *sums.doubled, *sums.wrong, "", *told.log, ""]))
        print(f"    see {file}", flush=True)


def verdict(name: str, row: Row) -> str:
    """Return what the last column says."""
    if name.startswith("control: "):
        # Of one that dies by chance each case alone may see nothing.
        return "seen" if row.lost else "NOT SEEN"
    if not row.cases:
        return "NOT REACHED"
    return "FAILED" if row.lost or row.doubled or row.wrong else "held"


def table(state: State) -> tuple[list[str], bool]:
    """Return the table's lines, and whether every row held."""
    names = [*ROWS, *(name for name in state.rows if name not in ROWS)]
    lines, held = ["| row | what was done | cases | lost | doubled | verdict |", "| --- | --- | --: | --: | --: | --- |"], True
    for name in names:
        row = state.rows.get(name, Row())
        said = verdict(name, row)
        held = held and said in ("held", "seen")
        done = ROWS.get(name, "must be seen to lose" if name.startswith("control: ") else "the case broke")
        lines.append(f"| {name} | {done} | {row.cases} | {row.lost} | {row.doubled} | {said} |")
    return lines, held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CASE", help=", ".join(sorted({case.__name__ for case in CASES})))
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("TORTURE_MINUTES", "30")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TORTURE_SEED", "0")))
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    given = parser.parse_args()
    cases = tuple(case for case in CASES if not given.names or case.__name__ in given.names)
    state = resumed(given.seed, given.minutes, fresh=given.fresh or bool(given.names))
    print(f"seed {state.seed}: {given.minutes:g} min", flush=True)
    with Nursery() as nursery:
        while state.seconds < given.minutes * 60:
            case, dice = chosen(state, cases)
            begun = time.monotonic()
            told = play(case, dice, nursery)
            took = time.monotonic() - begun
            sums = told.sums
            found = f"lost {len(sums.lost)}, doubled {len(sums.doubled)}, wrong {len(sums.wrong)}"
            played = f"{state.seconds / 60:5.1f} min  {case.__name__:<20} {took:5.0f} s  {sums.mails:5} mails"
            print(f"{played}  {found}  {told.note}", flush=True)
            enter(state, case, told)
            if told.note:
                state.notes.append(f"{case.__name__}: {told.note}")
            state.played += 1
            state.seconds += took
            if given.names:
                if state.played >= len(cases):
                    break
            else:
                state.save()
    lines, held = table(state)
    summary = (f"seed {state.seed}, {state.seconds / 60:.0f} min, {state.played} cases, {state.mails} mails promised; "
               f"{state.repeated} outgoing mails went again with the same bytes and Message-ID")
    print("\n".join(["", *lines, "", summary]), flush=True)
    if given.names:
        return int(any(verdict(name, row) not in ("held", "seen") for name, row in state.rows.items()))
    (GROUND / "table.md").write_text("\n".join([*lines, "", summary, ""]))
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
