"""Reading a TOML table key by key, with every mistake noted: where it stands, what is wrong, how to mend it.

Used by `policy.schema` and `policy.calendars`. A getter takes a key out and returns its value or the default; a wrong one is
noted in the shared `Problems` and read as the default, so that one run finds all mistakes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from rtmail.errors import Problem
from rtmail.policy.duration import CURE, Duration
from rtmail.policy.lines import Path

Choice = TypeVar("Choice", bound=StrEnum)


class Problems:
    """The mistakes found in one file so far."""

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self._file = file
        self._lines = lines
        self._found: list[Problem] = []

    def complain(self, path: Path, what: str, cure: str) -> None:
        self._found.append(Problem(self._file, self.line(path), what, cure))

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that stands in the file."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def in_order(self) -> list[Problem]:
        return sorted(self._found, key=lambda problem: problem.line)


class Table:
    """One TOML table while it is read: each getter takes a key out, `done` complains of what is left."""

    def __init__(self, problems: Problems, path: Path, values: Mapping[str, Any]) -> None:
        self._problems = problems
        self.path = path
        self.values = values
        self._known: set[str] = set()

    def complain(self, key: str | int | None, what: str, cure: str) -> None:
        path = self.path if key is None else (*self.path, key)
        self._problems.complain(path, what, cure)

    def named(self, key: str) -> str:
        """The key as the reader of a report finds it in the file."""
        return ".".join(str(part) for part in (*self.path, key))

    def take(self, key: str, kind: type | tuple[type, ...], wanted: str) -> Any:
        """The raw value, None when absent or of another kind (which is a problem)."""
        self._known.add(key)
        value = self.values.get(key)
        if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
            return value
        self.complain(key, f"{self.named(key)} is {value!r}", f"write {wanted}")
        return None

    def text(self, key: str, default: str = "") -> str:
        value = self.take(key, str, f'a text in quotes: {key} = "…"')
        return default if value is None else str(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, bool, "true or false, without quotes")
        return default if value is None else bool(value)

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = self.take(key, int, f"a whole number from {least} to {most}")
        if value is None:
            return default
        if not least <= value <= most:
            self.complain(key, f"{self.named(key)} is {value}", f"write a whole number from {least} to {most}")
            return default
        return int(value)

    def length(self, key: str, default: str | None = None) -> Duration | None:
        value = self.take(key, (str, int), CURE.removeprefix("write "))
        text = default if value is None else str(value)
        if text is None:
            return None
        try:
            return Duration.parse(text)
        except ValueError:
            self.complain(key, f"{self.named(key)} is {value!r}, no length of time", CURE)
            return None

    def choice(self, key: str, default: Choice) -> Choice:
        value = self.take(key, str, f"one of {listed(type(default))}")
        try:
            return default if value is None else type(default)(value)
        except ValueError:
            self.complain(key, f"{self.named(key)} is {value!r}", suggestion(value, type(default)))
            return default

    def names(self, key: str, default: Iterable[str] = ()) -> tuple[str, ...]:
        """A text or a list of texts."""
        value = self.take(key, (str, list), 'a text or a list of texts: ["…", "…"]')
        if value is None:
            return tuple(default)
        texts = [value] if isinstance(value, str) else value
        if not all(isinstance(text, str) for text in texts):
            self.complain(key, f"{self.named(key)} holds what is no text", 'write a list of texts: ["…", "…"]')
            return tuple(default)
        return tuple(texts)

    def table(self, key: str) -> Table:
        """A table below; empty when absent."""
        value = self.take(key, dict, f"a table: [{self.named(key)}]")
        return Table(self._problems, (*self.path, key), value or {})

    def tables(self, key: str) -> list[Table]:
        """A list of tables below."""
        value = self.take(key, list, "a list of tables: [ {…}, {…} ]") or []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append(Table(self._problems, (*self.path, key, index), item))
            else:
                self._problems.complain((*self.path, key, index), f"{self.named(key)} holds {item!r}", "write each entry as a table: {…}")
        return found

    def over(self, base: Mapping[str, Any]) -> Table:
        """This table laid over another one: what it does not say is as there."""
        return Table(self._problems, self.path, {**base, **self.values})

    def instead(self, values: Mapping[str, Any]) -> Table:
        """A table at this place with other values."""
        return Table(self._problems, self.path, values)

    def done_but(self, read: Iterable[str]) -> None:
        """`done`, where others read the keys `read`."""
        self._known.update(read)
        self.done()

    def done(self, *also: str) -> None:
        """Complain of the keys that nothing asked for; `also` are keys that could stand here too."""
        known = self._known.union(also)
        for key in self.values:
            if key not in self._known:
                cure = suggestion(key, known, f"remove it; known here: {', '.join(sorted(known))}")
                self.complain(key, f"unknown key {self.named(key)}", cure)


def listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The cure for a name that is not among `known`."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{close[0]}"?' if close else otherwise or f"write one of {listed(known)}"
