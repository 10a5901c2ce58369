"""From a Debian with nothing but Python to an acknowledged mail and a doctor who finds nothing: how long each step takes.

The steps are those of tests/fresh/house.sh, in a container without a network, with the wheels at hand. What has to be fetched before
is measured by itself: rtmail's libraries from the registry, into an empty folder and without pip's cache.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.fakes.machine import Bare, wheel_of_rtmail

ROOT = Path(__file__).resolve().parent.parent


def fresh(folder: Path) -> None:
    """Print seconds since the start at which each step was done, by the clock and of all processors, and those of the downloads."""
    wheel = wheel_of_rtmail(folder)
    bare = Bare(folder)
    for file in (wheel, *(ROOT / "tests" / "fresh").iterdir()):
        shutil.copy(file, bare.path(f"/root/{file.name}"))
    said = bare.run(f"sh house.sh /root/{wheel.name}", seconds=900)
    begun = time.monotonic()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--quiet", "--no-cache-dir", "--dest", folder / "downloads", wheel]
    subprocess.run(pip, check=True, timeout=900)
    fetched = time.monotonic() - begun
    print("\n## a house on a machine with nothing but Python\n")
    for step, clock, processors in re.findall(r"^(.+): (\d+) ms, (\d+) ms of processors$", said, re.MULTILINE):
        print(f"{step:24} {int(clock) / 1000:7.1f} s {int(processors) / 1000:7.1f} s of processors")
    print(f"{'downloads besides':24} {fetched:7.1f} s")
