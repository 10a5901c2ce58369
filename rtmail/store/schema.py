"""The schema: which version stands in the database, and the way up to ours. Forward only.

Each migration is one transaction under a lock, so a process killed at any statement leaves either the old version or
the new one, and the next start goes on from there (docs/faults.md R26).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from rtmail.failpoint import failpoint
from rtmail.store.driverless import migrations
from rtmail.store.engines import HISTORY, Engine
from rtmail.store.faults import Unusable

MIGRATIONS = Path(__file__).with_name("migrations")


def bring_up(engine: Engine, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing of the migrations in `folder`, in order; return the names of those applied.

    Raises SchemaError when the database holds a migration that is not in `folder`.
    """
    done: list[str] = []
    engine.connection()
    runner: Any = migrations.Runner(engine.database, str(folder), table_name=HISTORY)  # type: ignore[no-untyped-call]
    known = {migration.name: migration for migration in runner.migrations()}
    while pending(runner, known):
        with engine.turn():
            engine.begin(write=True)
            try:
                engine.exclusive()
                # Looked at again under the lock: another process may have been faster.
                waiting = pending(runner, known)
                if waiting:
                    _apply(runner, known[waiting[0]])
                    done.append(waiting[0])
                failpoint("migration-before-commit")
                engine.commit()
            except BaseException:
                engine.rollback()
                raise
        failpoint("migration-after-commit")
    return done


def _apply(runner: Any, migration: Any) -> None:
    """Run one migration and note it, in the transaction that is open (the runner would begin one of its own)."""
    module = migration.load()
    runner.History.create_table()
    module.up(runner.migrator, runner.database)
    runner.History.create(name=migration.name)


def pending(runner: Any, known: Collection[str]) -> list[str]:
    """Return the names of the known migrations that are still to be applied, in order; raises SchemaError as `bring_up` does."""
    applied = runner.applied()
    newer = sorted(set(applied) - set(known))
    if newer:
        raise Unusable(
            f"the database was written by a newer rtmail (it holds {newer[-1]}, this one knows up to {max(known)}): "
            "install that version again, or restore a backup made before the upgrade")
    return [name for name in known if name not in applied]
