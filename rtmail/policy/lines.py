"""Where each key of a TOML text stands: `locate(text)` maps paths such as ("priorities", "P1", "ladder", 2, "after") to lines.

tomllib gives values without their places; a mistake in a policy file is told by line. The text is one that tomllib has
already accepted, so the scanner follows the grammar (TOML 1.0) without judging it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def locate(text: str) -> Mapping[Path, int]:
    """Return the line (from 1) at which each key, table and array element of a valid TOML text begins."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}

    def run(self) -> dict[Path, int]:
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._lines

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _note(self, path: Path) -> None:
        line = self._text.count("\n", 0, self._at) + 1
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _header(self) -> Path:
        start = self._at
        many = self._text.startswith("[[", start)
        self._at += 2 if many else 1
        path = self._resolved(self._dotted())
        if many:
            index = self._arrays.get(path, -1) + 1
            self._arrays[path] = index
            path = (*path, index)
        self._skip()
        after, self._at = self._at + (2 if many else 1), start
        self._note(path)
        self._at = after
        return path

    def _resolved(self, keys: Path) -> Path:
        """A header below an array of tables means that array's latest table."""
        path: Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if path in self._arrays and position + 1 < len(keys):
                path = (*path, self._arrays[path])
        return path

    def _dotted(self) -> Path:
        keys: list[str] = []
        while True:
            self._skip()
            keys.append(self._key())
            self._skip()
            if self._text[self._at] != ".":
                return tuple(keys)
            self._at += 1

    def _key(self) -> str:
        if match := _STRING.match(self._text, self._at):
            self._at = match.end()
            return next(iter(tomllib.loads(f"{match[0]} = 0")))
        match = _BARE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return match[0]

    def _pair(self, table: Path) -> None:
        start = self._at
        path = (*table, *self._dotted())
        equals, self._at = self._at + 1, start
        self._note(path)
        self._at = equals
        self._skip()
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if match := _STRING.match(self._text, self._at):
            self._at = match.end()
        elif opening == "[":
            self._members(path, "]")
        elif opening == "{":
            self._members(path, "}")
        else:
            match = _SCALAR.match(self._text, self._at)
            assert match is not None
            self._at = match.end()

    def _members(self, path: Path, closing: str) -> None:
        self._at += 1
        self._skip()
        index = 0
        while self._text[self._at] != closing:
            if closing == "]":
                self._note((*path, index))
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            self._skip()
            if self._text[self._at] == ",":
                self._at += 1
                self._skip()
        self._at += 1
