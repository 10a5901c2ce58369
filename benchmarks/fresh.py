"""From a Debian with nothing but Python to an acknowledged mail and a doctor who finds nothing: how long each step takes.

The steps are those of tests/fresh/house.sh, in a container without a network, with the Debian package and with the wheel, which finds
the wheels of rtmail's libraries beside it. What has to be fetched before is measured by itself: the libraries from the registry, into an
empty folder and without pip's cache.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.fakes.machine import Bare, brought, deb_of_rtmail, wheel_of_rtmail

ROOT = Path(__file__).resolve().parent.parent


def fresh(folder: Path) -> None:
    """Print seconds since the start at which each step was done, by the clock and of all processors, and those of the downloads."""
    wheel = wheel_of_rtmail(folder)
    packages = {"wheel": wheel, "Debian package": deb_of_rtmail(folder)} if shutil.which("dh") else {"wheel": wheel}
    for kind, package in packages.items():
        box = folder / package.suffix[1:]
        box.mkdir()
        bare = Bare(box)
        brought(bare, package, *(ROOT / "tests" / "fresh").iterdir())
        said = bare.run(f"sh house.sh /root/{package.name}", seconds=900)
        print(f"\n## a house on a machine with nothing but Python, by the {kind}\n")
        for step, clock, processors in re.findall(r"^(.+): (\d+) ms, (\d+) ms of processors$", said, re.MULTILINE):
            print(f"{step:24} {int(clock) / 1000:7.1f} s {int(processors) / 1000:7.1f} s of processors")
    begun = time.monotonic()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--quiet", "--no-cache-dir", "--dest", folder / "downloads", wheel]
    subprocess.run(pip, check=True, timeout=900)
    print(f"\nfetching the libraries besides: {time.monotonic() - begun:.1f} s")
