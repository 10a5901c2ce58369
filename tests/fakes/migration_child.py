"""Kills the bringing-up of an empty database after its 1st, 2nd, 3rd … statement, and starts it again each time.

Usage: migration_child.py URL MIGRATIONS. Prints one JSON line a kill: its number, what the killed process left behind
(names of the migrations, number of tables) and what the next start made of it; the last line has `killed` false.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from rtmail.store.engines import HISTORY, Engine, engine_for
from rtmail.store.schema import bring_up

url, folder = sys.argv[1], Path(sys.argv[2])


def engine() -> Engine:
    made = engine_for(url, Path(), timedelta(seconds=5))
    made.prepare()
    return made


def state(of: Engine) -> list[Any]:
    of.connection()
    tables = set(of.database.get_tables())
    names = sorted(name for (name,) in of.execute(f"SELECT name FROM {HISTORY}").fetchall()) if HISTORY in tables else []
    return [names, len(tables), len(of.execute("SELECT 1 FROM note").fetchall()) if "note" in tables else 0]


def empty() -> None:
    if url.startswith("sqlite"):
        for end in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + end).unlink(missing_ok=True)
    else:
        server = engine()
        server.execute("DROP SCHEMA public CASCADE")
        server.execute("CREATE SCHEMA public")
        server.close()


def killed_after(n: int) -> bool:
    pid = os.fork()
    if pid == 0:
        seen = itertools.count(1)

        def hook(_: object) -> None:
            if next(seen) == n:
                os.kill(os.getpid(), signal.SIGKILL)

        victim = engine()
        victim.database.query_hooks.append(hook)
        bring_up(victim, folder)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


for n in itertools.count(1):
    empty()
    killed = killed_after(n)
    again = engine()
    left = state(again)
    bring_up(again, folder)
    print(json.dumps({"n": n, "killed": killed, "left": left, "again": state(again)}), flush=True)
    again.close()
    if not killed:
        break
