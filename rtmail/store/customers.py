"""Customers that were imported: one row an organisation, as JSON, with a mark that changes whenever they do.

The list is small beside the requests (thousands), and is asked at every mail: whoever works holds it whole in memory, with its
index (`desk.people.Directory`), and reads it again when the mark has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from rtmail.desk.people import Organisation
from rtmail.store.database import reads, writes
from rtmail.store.parties import Parties
from rtmail.store.values import clean, dump, load, micros

_MARK = "customers"
_TEXTS = ("name", "plan", "language", "timezone", "holidays", "statement_to")
_DAYS = ("plan_from", "plan_until")


class Customers(Parties):
    """The customers' part of the store."""

    @writes
    def put_customers(self, organisations: Mapping[str, Organisation], now: datetime, *, gone: Collection[str] = ()) -> None:
        """Keep these organisations, each in the place of its former row, and forget those that are `gone`."""
        self._many("INSERT INTO customer (key, about, at) VALUES (?, ?, ?) "
                   "ON CONFLICT (key) DO UPDATE SET about = excluded.about, at = excluded.at",
                   [(clean(key), dump(_to_row(one)), micros(now)) for key, one in organisations.items()])
        self._many("DELETE FROM customer WHERE key = ?", [(clean(key),) for key in gone])
        self.sync_organisations(organisations)
        known = self._row("SELECT value FROM meta WHERE key = ?", (_MARK,))
        self._do("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                 (_MARK, str(int(known[0]) + 1 if known else 1)))

    @reads
    def customers_mark(self) -> int:
        """Return what changes with every import; 0 before the first."""
        row = self._row("SELECT value FROM meta WHERE key = ?", (_MARK,))
        return int(row[0]) if row else 0

    @reads
    def customers(self) -> dict[str, Organisation]:
        """Return every imported organisation by its key."""
        return {key: _from_row(key, load(about)) for key, about in self._rows("SELECT key, about FROM customer ORDER BY key")}


def _to_row(one: Organisation) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(one, name) for name in _TEXTS}
    row |= {name: value.isoformat() for name in _DAYS if (value := getattr(one, name))}
    lists = {"domains": list(one.domains), "contacts": list(one.contacts), "services": list(one.services)}
    return {**row, **lists, "roles": {spec: list(roles) for spec, roles in one.roles.items()}, "names": dict(one.names)}


def _from_row(key: str, row: Mapping[str, Any]) -> Organisation:
    begins, ends = (date.fromisoformat(row[name]) if name in row else None for name in _DAYS)
    return Organisation(
        key, domains=tuple(row["domains"]), contacts=tuple(row["contacts"]), names=row["names"], imported=True,
        services=tuple(row.get("services", ())),
        roles={spec: tuple(roles) for spec, roles in row["roles"].items()}, plan_from=begins, plan_until=ends,
        **{name: row.get(name, "") for name in _TEXTS},
    )
