"""rtmail's command line with the engine's thread under cProfile: python -m benchmarks.profiled FILE serve -c CONFIG.

The profile is written when the daemon ends; read it with `python -m pstats FILE`.
"""

from __future__ import annotations

import cProfile
import sys
import threading


def main() -> None:
    file, *words = sys.argv[1:]
    profile = cProfile.Profile()
    run = threading.Thread.run

    def watched(thread: threading.Thread) -> None:
        if thread.name == "engine":
            profile.runcall(run, thread)
            profile.dump_stats(file)
        else:
            run(thread)

    threading.Thread.run = watched  # type: ignore[method-assign,assignment]
    sys.argv = ["rtmail", *words]
    from rtmail.cli import rtmail

    rtmail()


if __name__ == "__main__":
    main()
