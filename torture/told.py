"""What a case gets, and what it tells."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.nursery import Nursery
from torture.books import Sums


@dataclass
class Told:
    """What a case found. `rows` counts the cases of each row in it, and a finding counts for all of them; `log` is its story."""

    rows: Counter[str]
    sums: Sums
    note: str = ""
    log: list[str] = field(default_factory=list)


@dataclass
class Bench:
    """What a case gets: its dice, a folder of its own, a nursery."""

    dice: random.Random
    folder: Path
    nursery: Nursery


Case = Callable[[Bench], Told]


def together(*parts: Sums) -> Sums:
    """Return what several comparisons found."""
    whole = Sums()
    for part in parts:
        whole.lost += part.lost
        whole.doubled += part.doubled
        whole.wrong += part.wrong
        whole.mails += part.mails
        whole.repeated += part.repeated
    return whole
