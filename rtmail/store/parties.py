"""People: who they are, by which addresses they are known, and which of them are staff.

A party's number is what events hold; its name and addresses stand here alone, so that erasing them leaves the log true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rtmail.desk.people import Organisation, Person
from rtmail.store.database import Database, chunks, places, reads, writes
from rtmail.store.faults import NotThere
from rtmail.store.values import clean, micros


@dataclass(frozen=True, slots=True)
class Party:
    """A person. `address` is what we write to, `addresses` all he is known by; `staff` is his key in the config, "" for none."""

    id: int
    name: str
    address: str
    addresses: tuple[str, ...]
    organisation: str = ""
    language: str = ""
    staff: str = ""


def address_key(spec: str) -> str:
    """Return what an address is looked up by: the whole of it in lower case."""
    return clean(spec).lower()


class Parties(Database):
    """The people's part of the store."""

    @writes
    def party_for(
        self, address: str, name: str, now: datetime, *, organisation: str = "", language: str = "", settled: bool = False
    ) -> Party:
        """Return the party that owns `address`, made when there is none; name and language are taken over where none was known.

        settled   the language is his house's own and comes before another that was noted
        """
        key, name = address_key(address), clean(name)
        known = self._party_id(key)
        if known is None:
            known = self._add_party(key, clean(address), name, micros(now), organisation, language)
        party = self._parties([known])[known]
        if name and not party.name:
            self._do("UPDATE party SET name = ? WHERE id = ? AND name = ''", (name, known))
            party = self._parties([known])[known]
        if language and language != party.language and (settled or not party.language):
            self._do("UPDATE party SET language = ? WHERE id = ?", (language, known))
            party = self._parties([known])[known]
        return party

    def _party_id(self, key: str) -> int | None:
        row = self._row("SELECT party_id FROM party_address WHERE address = ?", (key,))
        return int(row[0]) if row else None

    def _add_party(self, key: str, spec: str, name: str, at: int, organisation: str = "", language: str = "", staff: str = "") -> int:
        (new,) = self._engine.reserve("party", 1)
        if self._do("INSERT INTO party_address (address, spec, party_id, verified, added_at) VALUES (?, ?, ?, 0, ?) "
                    "ON CONFLICT (address) DO NOTHING", (key, spec, new, at)):
            self._do("INSERT INTO party (id, name, address, organisation, language, staff, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                     (new, name, spec, organisation, language, staff, at))
            return new
        # Someone else was faster, and has committed: the insert waited for that.
        known = self._party_id(key)
        if known is None:
            raise NotThere(f"party of {key}")
        return known

    @reads
    def party(self, party_id: int) -> Party:
        """Return one party; raises NotThere."""
        found = self._parties([party_id])
        if party_id not in found:
            raise NotThere(f"party {party_id}")
        return found[party_id]

    @reads
    def parties(self, ids: Iterable[int]) -> dict[int, Party]:
        """Return the parties with these ids; unknown ones are left out."""
        return self._parties(sorted(set(ids)))

    @reads
    def party_by_address(self, address: str) -> Party | None:
        """Return the party that owns `address`, None when nobody does."""
        known = self._party_id(address_key(address))
        return None if known is None else self._parties([known])[known]

    @reads
    def parties_by_address(self, addresses: Iterable[str]) -> dict[str, Party]:
        """Return the parties that own any of `addresses`, by address as given; unknown ones are left out."""
        keys = {address: address_key(address) for address in addresses}
        found: dict[str, int] = {}
        wanted = sorted(set(keys.values()))
        for some in chunks(wanted):
            found.update(self._rows(f"SELECT address, party_id FROM party_address WHERE address IN {places(len(some))}", some))
        parties = self._parties(sorted(set(found.values())))
        return {address: parties[found[key]] for address, key in keys.items() if key in found}

    def _parties(self, ids: Sequence[int]) -> dict[int, Party]:
        found: dict[int, Party] = {}
        for some in chunks(ids):
            addresses: dict[int, list[str]] = {}
            for party_id, spec in self._rows(
                    f"SELECT party_id, spec FROM party_address WHERE party_id IN {places(len(some))} ORDER BY added_at, address", some):
                addresses.setdefault(party_id, []).append(spec)
            for id_, name, address, organisation, language, staff in self._rows(
                    f"SELECT id, name, address, organisation, language, staff FROM party WHERE id IN {places(len(some))}", some):
                others = [spec for spec in addresses.get(id_, ()) if spec != address]
                found[id_] = Party(id_, name, address, (address, *others) if address else tuple(others), organisation, language, staff)
        return found

    @writes
    def add_address(self, party_id: int, address: str, now: datetime, *, verified: bool = False) -> bool:
        """Let a party be known by `address` too; False when it belongs to someone else already."""
        key = address_key(address)
        self._do("INSERT INTO party_address (address, spec, party_id, verified, added_at) VALUES (?, ?, ?, ?, ?) "
                 "ON CONFLICT (address) DO UPDATE SET verified = CASE WHEN excluded.verified = 1 THEN 1 ELSE party_address.verified END "
                 "WHERE party_address.party_id = excluded.party_id", (key, clean(address), party_id, int(verified), micros(now)))
        return self._party_id(key) == party_id

    @writes
    def adopt(self, party_id: int, other: int) -> None:
        """Let a party be known by the addresses of another one, who is nobody's staff; what that one takes part in stays his."""
        self._do("UPDATE party_address SET party_id = ?, verified = 1 WHERE party_id = ? "
                 "AND NOT EXISTS (SELECT 1 FROM party WHERE id = ? AND staff <> '')", (party_id, other, other))

    @writes
    def update_party(self, party_id: int, *, name: str | None = None, organisation: str | None = None, language: str | None = None) -> None:
        """Change what is known of a party; None leaves a value as it is."""
        values = {"name": name, "organisation": organisation, "language": language}
        for column, value in values.items():
            if value is not None:
                self._do(f"UPDATE party SET {column} = ? WHERE id = ?", (clean(value), party_id))

    @writes
    def sync_staff(self, people: Mapping[str, Person], now: datetime) -> dict[str, int]:
        """Bring the staff of the config into the store; return party ids by key.

        Whoever is no longer in the config stays as a person, but not as staff. An address that someone else had
        becomes the staff member's.
        """
        at = micros(now)
        ids: dict[str, int] = {}
        self._engine.exclusive()
        if people:
            keys = sorted(people)
            self._do(f"UPDATE party SET staff = '' WHERE staff <> '' AND staff NOT IN {places(len(keys))}", keys)
        else:
            self._do("UPDATE party SET staff = '' WHERE staff <> ''")
        for key in sorted(people):
            person = people[key]
            row = self._row("SELECT id FROM party WHERE staff = ?", (key,))
            email = address_key(person.email)
            party_id = int(row[0]) if row else self._party_id(email) or self._add_party(email, clean(person.email), clean(person.name), at)
            self._do("UPDATE party SET staff = ?, name = ?, address = ?, language = ? WHERE id = ?",
                     (key, clean(person.name), clean(person.email), clean(person.language), party_id))
            self._many("INSERT INTO party_address (address, spec, party_id, verified, added_at) VALUES (?, ?, ?, 1, ?) "
                       "ON CONFLICT (address) DO UPDATE SET party_id = excluded.party_id, verified = 1",
                       [(address_key(spec), clean(spec), party_id, at) for spec in person.addresses])
            ids[key] = party_id
        return ids

    @writes
    def sync_organisations(self, organisations: Mapping[str, Organisation]) -> None:
        """Bring the organisations of the config into the store."""
        self._many("INSERT INTO organisation (key, name, plan) VALUES (?, ?, ?) "
                   "ON CONFLICT (key) DO UPDATE SET name = excluded.name, plan = excluded.plan",
                   [(clean(o.key), clean(o.name), clean(o.plan)) for o in organisations.values()])

    @writes
    def erase_party(self, party_id: int) -> None:
        """Forget name and addresses of a party; its number stays, so that the log of events stays true."""
        self._do("DELETE FROM party_address WHERE party_id = ?", (party_id,))
        self._do("UPDATE party SET name = '', address = '', organisation = '', language = '', erased = 1 WHERE id = ?", (party_id,))


