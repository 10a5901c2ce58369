"""Versions of policies: the text that a request was opened under, and the holidays that it meant then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rtmail.store.database import Database, reads, writes
from rtmail.store.faults import NotThere
from rtmail.store.values import clean, dump, instant, load, micros


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of one policy file. `hash` is over text and holidays; `holidays` as the policy module expanded them."""

    id: int
    name: str
    hash: str
    text: str
    holidays: Mapping[str, Any]
    created_at: datetime


_ROW = "SELECT id, name, hash, text, holidays, created_at FROM policy_version"


class Policies(Database):
    """The policies' part of the store."""

    @writes
    def policy_version(self, name: str, hash_: str, text: str, holidays: Mapping[str, Any], now: datetime) -> int:
        """Return the id of this version, kept when it is new."""
        known = self._row("SELECT id FROM policy_version WHERE name = ? AND hash = ?", (clean(name), hash_))
        if known is None:
            (new,) = self._engine.reserve("policy", 1)
            self._do("INSERT INTO policy_version (id, name, hash, text, holidays, created_at) VALUES (?, ?, ?, ?, ?, ?) "
                     "ON CONFLICT (name, hash) DO NOTHING", (new, clean(name), hash_, clean(text), dump(holidays), micros(now)))
            known = self._row("SELECT id FROM policy_version WHERE name = ? AND hash = ?", (clean(name), hash_))
        if known is None:
            raise NotThere(f"policy {name}")
        return int(known[0])

    @reads
    def policy(self, policy_id: int) -> PolicyVersion:
        """Return one version; raises NotThere."""
        row = self._row(f"{_ROW} WHERE id = ?", (policy_id,))
        if row is None:
            raise NotThere(f"policy version {policy_id}")
        id_, name, hash_, text, holidays, created = row
        return PolicyVersion(id_, name, hash_, text, load(holidays), instant(created))
