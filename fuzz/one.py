"""python -m fuzz.one NAME [libFuzzer options]: one target under atheris, in this process."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["rtmail", "authres", "dkim", "flufl"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
