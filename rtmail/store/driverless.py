"""peewee and its migrations, imported without PostgreSQL's driver, which they take along where it is installed: it is slow to import
and large, and only who has such a database needs it (`engines` brings it then). Whoever of the store uses peewee has it from here."""

from __future__ import annotations

import sys

_had_driver = "psycopg" in sys.modules
if not _had_driver:
    sys.modules["psycopg"] = None  # type: ignore[assignment]
import peewee  # noqa: E402
from playhouse import migrations  # noqa: E402

if not _had_driver:
    del sys.modules["psycopg"]

__all__ = ["migrations", "peewee"]
