"""How the C library keeps memory: what a large mail needed goes back to the system at once (mallopt(3)).

Left alone, glibc keeps what was freed, in an arena for each thread, and after a burst of large mails twice as much is taken as is in
use. Said here, by the process itself, it holds however the daemon was started: by systemd, by hand or in a container.
"""

from __future__ import annotations

from collections.abc import Mapping

_OPTIONS = (
    # name in the environment, name in GLIBC_TUNABLES, number (malloc.h), value
    ("MALLOC_TRIM_THRESHOLD_", "glibc.malloc.trim_threshold", -1, 1024 * 1024),
    ("MALLOC_MMAP_THRESHOLD_", "glibc.malloc.mmap_threshold", -3, 256 * 1024),
    ("MALLOC_ARENA_MAX", "glibc.malloc.arena_max", -8, 2),
)


def give_back(environ: Mapping[str, str]) -> bool:
    """Tell the allocator to give memory back; return whether it heard of all of it. Before there are threads, which get their arenas.

    What the environment sets stays. A C library that knows no such options (musl, macOS) does as it does.
    """
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return False
    tuned = environ.get("GLIBC_TUNABLES", "")
    wanted = [(number, value) for name, tunable, number, value in _OPTIONS if name not in environ and tunable not in tuned]
    answers = [mallopt(number, value) for number, value in wanted]
    return all(answer == 1 for answer in answers)
