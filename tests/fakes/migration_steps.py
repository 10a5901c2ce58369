"""Kills every migration that ships after its 1st, 2nd, 3rd … statement, on a database with rows in every table, and starts it again.

Usage: migration_steps.py URL. Prints one JSON line a kill: migration, number of the statement, whether it was killed at all, what the
killed process left ("before", "after" or how it differs), and what the next start made of it ("well" or how it differs).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from rtmail.store import Store
from rtmail.store.engines import HISTORY, Engine, engine_for
from rtmail.store.schema import MIGRATIONS, bring_up

Rows = dict[str, list[tuple[Any, ...]]]
URL = sys.argv[1]
SQLITE = URL.startswith("sqlite")
NAMES = sorted(path.stem for path in MIGRATIONS.glob("0*.py"))
WORDS = "words"
"""The index of words: what its rows hold cannot be read back, how many they are can."""


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    engine = engine_for(url, Path(), timedelta(seconds=5))
    engine.prepare()
    try:
        engine.connection()
        yield engine
    finally:
        engine.close()


def named(name: str) -> str:
    """Return the URL of a database beside the one of the test."""
    return f"{URL.rpartition('/')[0]}/{name}"


def copied(url: str, name: str) -> str:
    """Return a copy of a database that nobody has open."""
    to = named(f"{name}.db" if SQLITE else f"{URL.rpartition('/')[2]}_{name}")
    if SQLITE:
        for end in ("", "-wal", "-shm"):
            there = Path(to.removeprefix("sqlite:///") + end)
            there.unlink(missing_ok=True)
            if (source := Path(url.removeprefix("sqlite:///") + end)).exists():
                shutil.copyfile(source, there)
    else:
        base, copy = url.rpartition("/")[2], to.rpartition("/")[2]
        with psycopg.connect(named("postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {copy} TEMPLATE {base}")
    return to


def filled(engine: Engine) -> None:
    """Put three rows into every table that is empty."""
    for table in sorted(set(engine.layout()) - {HISTORY, WORDS}):
        if engine.execute(f"SELECT 1 FROM {table}").fetchone():
            continue
        columns = engine.database.get_columns(table)
        for row in range(1, 4):
            values = [_value(column.name, column.data_type.lower(), row, place) for place, column in enumerate(columns)]
            named_so, marks = ", ".join(column.name for column in columns), ", ".join("?" for _ in columns)
            engine.execute(f"INSERT INTO {table} ({named_so}) VALUES ({marks})", values)
    if not SQLITE:
        engine.commit()


def _value(name: str, kind: str, row: int, place: int) -> Any:
    if name in ("erased", "applied"):
        return int(row == 3)
    if kind in ("blob", "bytea"):
        return b"packed %d" % row
    return row * 100 + place if "int" in kind else f"word{row} {name}"


def applied(engine: Engine) -> list[str]:
    if HISTORY not in engine.database.get_tables():
        return []
    return sorted(name for (name,) in engine.execute(f"SELECT name FROM {HISTORY}").fetchall())


def schema(engine: Engine) -> str:
    """Return tables, columns and indexes as one hash."""
    if SQLITE:
        found = engine.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name").fetchall()
    else:
        found = [*engine.execute("SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns "
                                 "WHERE table_schema = 'public' ORDER BY 1, 2").fetchall(),
                 *engine.execute("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1").fetchall(),
                 *engine.execute("SELECT relname, relkind FROM pg_class WHERE relkind = 'S' ORDER BY 1").fetchall()]  # fmt: skip
    return hashlib.sha256(repr(found).encode()).hexdigest()


def rows(engine: Engine, layout: dict[str, list[str]]) -> Rows:
    """Return what stands in these columns of these tables."""
    return {table: sorted(tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
                          for row in engine.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall())
            for table, columns in layout.items()}  # fmt: skip


def own(engine: Engine) -> dict[str, list[str]]:
    return {table: columns for table, columns in engine.layout().items() if table not in (HISTORY, WORDS)}


def killed_after(url: str, folder: Path, n: int) -> bool:
    pid = os.fork()
    if pid == 0:
        seen = itertools.count(1)

        def hook(_: object) -> None:
            if next(seen) == n:
                os.kill(os.getpid(), signal.SIGKILL)

        with opened(url) as victim:
            victim.database.query_hooks.append(hook)
            bring_up(victim, folder)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    whole_url = copied(URL, "whole")
    with opened(whole_url) as engine:
        bring_up(engine)
        whole = schema(engine)
    base = URL
    for place, migration in enumerate(NAMES):
        with opened(base) as engine:
            before, layout = schema(engine), own(engine)
            kept = rows(engine, layout)
        shutil.copy(MIGRATIONS / f"{migration}.py", folder)
        after_url = copied(base, "after")
        with opened(after_url) as engine:
            bring_up(engine, folder)
            after = schema(engine)
        for n in itertools.count(1):
            copy = copied(base, "copy")
            killed = killed_after(copy, folder, n)
            with opened(copy) as engine:
                stands = {(*NAMES[:place], before): "before", (*NAMES[: place + 1], after): "after"}
                # The table that notes them is made by whoever asks first.
                left = stands.get((*applied(engine), schema(engine)), f"{applied(engine)}, and another schema")
                bring_up(engine)
                told = "well" if (applied(engine), schema(engine)) == (NAMES, whole) else f"{applied(engine)}, and another schema"
                if (found := rows(engine, layout)) != kept:
                    told = f"other rows in {[table for table in kept if kept[table] != found[table]]}"
                (words,) = engine.execute(f"SELECT count(*) FROM {WORDS}").fetchone()
                if words != (expected := sum(1 for row in kept.get("content", ()) if not row[layout["content"].index("erased")])):
                    told = f"{words} contents can be found, not {expected}"
            with closing(Store(copy)) as store:
                store.open()
            print(json.dumps({"migration": migration, "n": n, "killed": killed, "left": left, "told": told}), flush=True)
            if not killed:
                break
        base = copied(after_url, f"base{place % 2}")
        with opened(base) as engine:
            filled(engine)


main()
