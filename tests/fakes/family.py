"""The processes of a daemon, as /proc tells: itself and whatever it started, at any depth."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path


def family(pid: int) -> list[int]:
    """Return `pid` and its descendants, parents first; those that ended meanwhile are left out."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # pid (name) state parent ...; the name may hold anything
                children[int((entry / "stat").read_text().rpartition(")")[2].split()[1])].append(int(entry.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def tell(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to all of them."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def resident_bytes(pids: list[int]) -> int:
    """Return the memory that only they hold or share among themselves (PSS), in bytes."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
