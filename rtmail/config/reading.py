"""Files -> text -> tables, and every mistake of form with its line: encoding, syntax, unknown keys, wrong kinds, missing keys.

A value that cannot be used is told and left out, so that the rest is still checked: all mistakes come at once.
"""

from __future__ import annotations

import copy
import difflib
import pathlib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rtmail.config.sections import REQUIRED, Table, Tables
from rtmail.config.values import Mistake
from rtmail.errors import ConfigError, Problem
from rtmail.policy.lines import locate

Path = tuple[str | int, ...]

BOM = "\ufeff"
_SECRET = re.compile(r"passw|secret|token|credential|api_?key", re.IGNORECASE)
_KINDS = {
    "string_type": ("is not a text", "write it in quotes"),
    "int_type": ("is not a whole number", "write digits without quotes"),
    "bool_type": ("is neither true nor false", "write true or false, without quotes"),
    "list_type": ("is not a list", 'write a list of texts: ["…", "…"]'),
    "dict_type": ("is not a table", "write it as a table of its own: [{name}]"),
    "model_type": ("is not a table", "write it as a table of its own: [{name}]"),
}


class Report:
    """Collects problems of one file; knows the line of every key."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = locate(text)
        self.problems: list[Problem] = []
        self._told: set[Path] = set()

    def tell(self, path: Path, what: str, cure: str) -> None:
        """Add a problem at `path`; at a key that is not in the file, at its nearest table that is."""
        self._told.add(path)
        self.problems.append(Problem(self.file, self._line(path), what, cure))

    def told(self, path: Path) -> bool:
        """Was a problem at `path`, or in it, told already?"""
        return any(known[: len(path)] == path for known in self._told)

    def _line(self, path: Path) -> int:
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 1)


def text_of(file: pathlib.Path) -> str:
    """Return the text of a file of the config, without the mark that some editors put before it. Raises ConfigError."""
    try:
        return file.read_text("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(str(file), line, "the file is not UTF-8", "save it as UTF-8")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(file), 1, f"cannot be read: {error.strerror}", f"see ls -l {file}")]) from None


def read(text: str, file: str) -> tuple[Tables, Report]:
    """Return the tables of `text` and a report of what is wrong with their form.

    Raises ConfigError, with that one problem, for a text that is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        what = str(error).partition(" (at ")[0]
        raise ConfigError([Problem(file, line, f"not TOML: {what}", "mend the line; texts stand in double quotes")]) from None
    report = Report(file, text)
    tables = _usable(data, report)
    _miss_required(tables, (), report)
    return tables, report


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return the cure for a name that is not among `known`."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{close[0]}"?' if close else otherwise


def dotted(path: Path) -> str:
    """Return how a person writes the key at `path`."""
    return ".".join(str(part) for part in path if isinstance(part, str))


def _usable(data: dict[str, Any], report: Report) -> Tables:
    left = copy.deepcopy(data)
    while True:
        try:
            return Tables.model_validate(left)
        except ValidationError as error:
            wrong: list[Path] = []
            for found in error.errors(include_input=False, include_url=False):
                path: Path = tuple(found["loc"])
                report.tell(path, *_words(path, found["type"], found["msg"], found.get("ctx", {}), data))
                wrong.append(path)
            # From the back, so that the indexes of list members before stay true.
            for path in sorted(set(wrong), key=_last, reverse=True):
                _remove(left, path)


def _last(path: Path) -> int:
    return path[-1] if isinstance(path[-1], int) else -1


def _remove(data: Any, path: Path) -> None:
    for part in path[:-1]:
        data = data[part]
    del data[path[-1]]


def _words(path: Path, kind: str, message: str, context: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and the cure."""
    name = dotted(path)
    if kind == "extra_forbidden":
        key = str(path[-1])
        if _SECRET.search(key):
            cure = "put it into .env beside the config, as RTMAIL_… (the comments of rtmail.toml name them)"
            return f"{name}: a secret has no place in this file", cure
        known = _known_at(path[:-1])
        return f"unknown key {name}", suggestion(key, known, f"remove it; known here: {', '.join(sorted(known))}")
    if kind in _KINDS:
        what, cure = _KINDS[kind]
        return f"{name} {what}", cure.format(name=name)
    if kind == "value_error" and isinstance(mistake := context.get("error"), Mistake):
        return f"{name}: {mistake.what}", mistake.cure
    if kind == "literal_error":
        value = _value(data, path)
        choices = [choice.strip("'") for choice in re.findall(r"'[^']*'", str(context["expected"]))]
        return f"{name} is {value!r}", suggestion(str(value), choices, "write one of " + ", ".join(f'"{choice}"' for choice in choices))
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"{context['ge']} or more" if "ge" in context else f"{context['le']} or less"
        return f"{name} is {_value(data, path)!r}", f"write a whole number, {bound}"
    return f"{name}: {message[:1].lower()}{message[1:]}", "see rtmail.toml of rtmail init for how it is written"


def _value(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _known_at(path: Path) -> list[str]:
    """Return the keys that the table at `path` knows."""
    found: Any = Tables
    for part in path:
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = found.model_fields[str(part)].annotation
        elif get_origin(found) is dict:
            found = get_args(found)[1]
        elif get_origin(found) is list:
            found = get_args(found)[0]
        while hasattr(found, "__metadata__"):
            found = get_args(found)[0]
        if type(None) in get_args(found):
            found = next(arm for arm in get_args(found) if arm is not type(None))
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []


def _miss_required(table: Table, path: Path, report: Report) -> None:
    for key, example in REQUIRED.get(type(table), {}).items():
        if not getattr(table, key) and not report.told((*path, key)):
            report.tell((*path, key), f"[{dotted(path)}] has no {key}", f"add {key} = {example}")
    _each_table(table, path, lambda inner, at: _miss_required(inner, at, report))


def _each_table(table: Table, path: Path, visit: Callable[[Table, Path], None]) -> None:
    for key in type(table).model_fields:
        value = getattr(table, key)
        if isinstance(value, Table):
            visit(value, (*path, key))
        elif isinstance(value, dict):
            for name, inner in value.items():
                if isinstance(inner, Table):
                    visit(inner, (*path, key, name))
