"""The control of the power cuts: rtmail as it is, on a database that does not sync each commit. Run as a module with its words."""

from __future__ import annotations

import peewee

_made = peewee.SqliteDatabase.__init__


def _unsynced(self: peewee.SqliteDatabase, database: str, pragmas: dict[str, object] | None = None, **settings: object) -> None:
    _made(self, database, pragmas={**pragmas, "synchronous": "normal"} if pragmas else pragmas, **settings)


if __name__ == "__main__":
    peewee.SqliteDatabase.__init__ = _unsynced
    from rtmail.__main__ import main

    main()
