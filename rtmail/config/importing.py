"""Lists of customers in files -> organisations, checked as the config is; every mistake with its line.

CSV has one line a contact, and repeats what belongs to the organisation; JSON is one object a line, or a list of them.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from pydantic import ValidationError

from rtmail.config import Config, customers
from rtmail.config.reading import Report
from rtmail.config.sections import OrganisationTable, Tables
from rtmail.desk.people import Organisation
from rtmail.errors import ConfigError, Problem

COLUMNS = ("organisation", "name", "domains", "plan", "plan_from", "plan_until", "language", "timezone", "holidays",
           "contact", "contact_name", "roles", "statement_to", "services")
"""Of a CSV file; `domains`, `roles` and `services` hold several parted by blanks. Only `organisation` must be there."""
_DERIVED = frozenset({"key", "holds", "imported"})
_AT_MOST = 50


class _Lines(Report):
    """A report that knows on which line of the file each organisation, and each of its contacts, stands."""

    def __init__(self, file: str, lines: dict[tuple[str | int, ...], int]) -> None:
        super().__init__(file, "")
        self.lines = self.places = lines


def read_customers(raw: bytes, name: str, config: Config) -> dict[str, Organisation]:
    """Return the organisations of a CSV or JSON file, whose name mistakes are told by. Raises ConfigError with all of them."""
    try:
        text = io.TextIOWrapper(io.BytesIO(raw), "utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(name, 1, f"not UTF-8: {error}", "save it as UTF-8")]) from None
    if not text.strip():
        # A query that failed prints nothing; with --sync that would be nobody at all.
        raise ConfigError([Problem(name, 1, "it is empty", "write at least the line of columns")])
    lines: dict[tuple[str | int, ...], int] = {}
    report = _Lines(name, lines)
    rows = _json(text, report) if text.lstrip()[:1] in ("{", "[") else _csv(text, report)
    tables: dict[str, OrganisationTable] = {}
    for name, row in rows.items():
        try:
            tables[name] = OrganisationTable.model_validate(row)
        except ValidationError as error:
            for one in error.errors(include_input=False, include_url=False):
                place = ".".join(str(part) for part in one["loc"])
                report.tell(("organisations", name), f"{name}: {place}: {one['msg']}", "mend the value")
    whole = Tables(organisations=tables, plans=config.tables.plans, queues=config.tables.queues)
    customers.check(whole, report, config.site())
    if report.problems:
        raise ConfigError(sorted(report.problems, key=lambda one: one.line)[:_AT_MOST])
    return {name: customers.organisation(name, one, imported=True) for name, one in tables.items()}


def _csv(text: str, report: _Lines) -> dict[str, dict[str, Any]]:
    dialect = csv.excel()
    dialect.delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.DictReader(io.StringIO(text), dialect=dialect)
    unknown = [column for column in reader.fieldnames or () if column not in COLUMNS]
    if unknown or "organisation" not in (reader.fieldnames or ()):
        what = f"unknown columns: {', '.join(unknown)}" if unknown else "there is no column `organisation`"
        raise ConfigError([Problem(report.file, 1, what, f"the first line names columns of these: {', '.join(COLUMNS)}")])
    rows: dict[str, dict[str, Any]] = {}
    for line in reader:
        said = {column: (line.get(column) or "").strip() for column in COLUMNS}
        name = said["organisation"]
        if not name:
            report.problems.append(Problem(report.file, reader.line_num, "the line names no organisation", "write its key"))
            continue
        row = rows.setdefault(name, {"name": name, "contacts": []})
        report.places.setdefault(("organisations", name), reader.line_num)
        for column in ("name", "plan", "plan_from", "plan_until", "language", "timezone", "holidays", "statement_to"):
            if said[column]:
                row[column] = said[column]
        if said["domains"]:
            row["domains"] = said["domains"].split()
        if said["services"]:
            row["services"] = said["services"].split()
        if said["contact"]:
            report.places["organisations", name, "contacts", len(row["contacts"])] = reader.line_num
            row["contacts"].append({"email": said["contact"], "name": said["contact_name"], "roles": said["roles"].split()})
    return rows


def _json(text: str, report: _Lines) -> dict[str, dict[str, Any]]:
    try:
        if text.lstrip().startswith("["):
            found = [(1, one) for one in json.loads(text)]
        else:
            found = [(number, json.loads(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    except json.JSONDecodeError as error:
        cure = "write one object a line, or a list of objects"
        raise ConfigError([Problem(report.file, error.lineno, f"not JSON: {error.msg}", cure)]) from None
    rows: dict[str, dict[str, Any]] = {}
    for line, one in found:
        name = str(one.get("key", "")) if isinstance(one, dict) else ""
        if not name:
            report.problems.append(Problem(report.file, line, "an organisation without a key", 'add "key": "acme"'))
            continue
        report.places["organisations", name] = line
        rows[name] = {column: value for column, value in one.items() if column not in _DERIVED and value is not None}
    return rows
