"""python -m fuzz [NAME ...] [--seconds 60]: runs the targets under atheris, two at a time; what is found is kept as a test.

Inputs that break a promise are written to tests/fuzz/NAME, where tests/test_fuzz.py tries them from then on; what only led to
new ground is kept in .cache/fuzz/NAME for the next run. Exits 1 when something was found.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / "tests" / "fuzz"
GROUND = ROOT / ".cache" / "fuzz"
MAX_LEN = {"mail": 65_536, "report": 32_768, "smtp": 8192, "lmtp": 8192}


def run(name: str, seconds: int) -> tuple[str, int, str]:
    """Fuzz one target in a process of its own; return its name, exit code and last words."""
    (GROUND / name).mkdir(parents=True, exist_ok=True)
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "fuzz.one", name, f"-max_total_time={seconds}", f"-max_len={MAX_LEN.get(name, 4096)}", "-timeout=25",
             "-rss_limit_mb=1500", "-print_final_stats=1", f"-artifact_prefix={FOUND / name}/", str(GROUND / name), str(FOUND / name)]
    words += [str(folder) for folder in seeds(name)]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, errors="replace")
    return name, done.returncode, f"{done.stderr}\n{done.stdout}"


def seeds(name: str) -> list[Path]:
    tests = ROOT / "tests"
    known = {
        "mail": [tests / "mails", tests / "hostile"], "report": [tests / "mails" / "bounces"], "policy": [ROOT / "config" / "policies"],
    }
    return known.get(name, [])


def main() -> int:
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for name, code, said in pool.map(lambda name: run(name, given.seconds), given.names or list(TARGETS)):
            units = [line.split()[-1] for line in said.splitlines() if line.startswith("stat::number_of_executed_units")]
            print(f"{name:<10}{units[-1] if units else '?':>9} runs  {'ok' if not code else 'FOUND'}", flush=True)
            if code:
                failed += 1
                print("    " + "\n    ".join(said.splitlines()[-25:]), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
