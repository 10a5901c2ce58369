"""How many mails are accepted a second by the floors, by Postfix and by rtmail, in short rounds by turns.

A machine that others share is now fast and now slow, within seconds. So each measurement stands between two of floor A, and what
counts is its share of these two: the median of the rounds, beside the lowest and the highest.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks.postfix import postfix
from benchmarks.started import cpu_seconds, ended, load, rtmail, server
from tests.fakes.daemon import free_port

CONNECTIONS = (10, 50)
ROUNDS = 5
FLOOR, MEASURED = "A", ("rtmail", "Postfix", "B", "C")


@dataclass(frozen=True, slots=True)
class Taken:
    """Mails accepted a second, and the milliseconds of the processor that the accepting process spent on each (0: not known)."""

    rate: float
    cost: float


def accepted(port: int, process: int, folder: Path, connections: int, seconds: float) -> Taken:
    """Hand mails for `seconds` to what listens on `port`; what counts as its cost is what `process` uses, 0 for none."""
    before = cpu_seconds(process) if process else 0.0
    _, mails, took = ended(load(port, folder, connections=connections, seconds=seconds, seed=connections))
    return Taken(mails / took, (cpu_seconds(process) - before) * 1000 / max(mails, 1) if process else 0.0)


def floor(name: str, folder: Path, connections: int, seconds: float) -> Taken:
    """Measure a floor (see `floors`), in a process of its own."""
    port = free_port()
    folder.mkdir()
    words = [sys.executable, "-m", "benchmarks.floors", name, "--port", str(port), "--file", str(folder / "floor.db")]
    with server(words, port, folder) as process:
        return accepted(port, process.pid, folder, connections, seconds)


def ours(folder: Path, connections: int, seconds: float) -> Taken:
    """Measure rtmail; its engine works on the mails meanwhile, and its readers run already."""
    with rtmail(folder) as (port, process):
        ended(load(port, folder, connections=1, count=1, seed=9))
        return accepted(port, process.pid, folder, connections, seconds)


def theirs(folder: Path, connections: int, seconds: float) -> Taken | None:
    """Measure Postfix; None where there is none."""
    folder.mkdir()
    with postfix() as port:
        return accepted(port, 0, folder, connections, seconds) if port else None


def measured(name: str, folder: Path, connections: int, seconds: float) -> Taken | None:
    """Measure who is called `name`, in the new folder `folder`."""
    if name == "rtmail":
        return ours(folder, connections, seconds)
    return theirs(folder, connections, seconds) if name == "Postfix" else floor(name, folder, connections, seconds)


def accept_table(scratch: Path, seconds: float) -> None:
    """Print rates and ratios; `seconds` for all rounds of one measurement together."""
    each = seconds / ROUNDS
    for connections in CONNECTIONS:
        places = (scratch / f"accept-{connections}-{place}" for place in count(1))
        floors = [floor(FLOOR, next(places), connections, each)]
        found = defaultdict[str, list[tuple[Taken, float]]](list)
        for name in MEASURED * ROUNDS:
            taken = measured(name, next(places), connections, each)
            if taken is not None:
                floors.append(floor(FLOOR, next(places), connections, each))
                found[name].append((taken, taken.rate * 2 / (floors[-2].rate + floors[-1].rate)))
        print(f"{f'accepted at {connections} connections':<30}{'mails/s':>9}{'of A':>8}{'lowest':>9}{'highest':>9}{'ms a mail':>11}")
        print(f"  {FLOOR:<28}{median(one.rate for one in floors):>9.0f}{'':>26}{median(one.cost for one in floors):>11.2f}")
        for name, rounds in found.items():
            rate, cost = median(taken.rate for taken, _ in rounds), median(taken.cost for taken, _ in rounds)
            shares = sorted(share for _, share in rounds)
            told = f"{median(shares):>8.2f}{shares[0]:>9.2f}{shares[-1]:>9.2f}{f'{cost:.2f}' if cost else '-':>11}"
            print(f"  {name:<28}{rate:>9.0f}{told}")
        print(flush=True)
    print("  A: bare aiosmtpd that discards; B: the same with one SQLite commit for each mail; C: with one for all that came meanwhile;")
    print("  Postfix accepts to its queue and delivers nothing; rtmail works on the mails meanwhile. Medians of the rounds; of A: of the")
    print("  rounds of A just before and after. ms a mail: of the processor, in the process that accepts, rtmail's engine apart\n")
