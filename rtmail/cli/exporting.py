"""`rtmail export mbox|json|csv FILE`: requests as files that mail clients, programs and spreadsheets read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import click

from rtmail.cli.common import NUMBER, Commands, end, files_option, json_option, known_queue, opened, put, several
from rtmail.cli.importing import shown_progress
from rtmail.config import Config
from rtmail.desk.ticket import Ticket
from rtmail.mail.writing import table_csv
from rtmail.ops.moving import leaving
from rtmail.store import Store

FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


@click.group(cls=Commands)
def export() -> None:
    """Move out: requests as an mbox file, as JSON lines or as a table. Comments of staff are in it; erased and withheld words are not."""


_export_options = several(
    click.argument("file", type=FILE),
    click.option("--number", "numbers", type=NUMBER, multiple=True, help="this request only; as often as you like"),
    click.option("--queue", default="", help="requests of this queue only"),
    click.option("--since", help="requests on which something happened since then (2026-01-31, or with a time), in the site's zone"),
    json_option,
    files_option,
)


@export.command("mbox")
@_export_options
def mbox(found: Config, file: Path, numbers: tuple[int, ...], queue: str, since: str | None, as_json: bool) -> None:
    """Write the conversations into the mbox FILE ("-": standard output), and what was sent to customers automatically.

    Mail clients show them as threads. `rtmail import mbox` makes the same conversations of it again.
    """
    with opened(found) as store, _writing(file) as out, shown_progress(as_json) as progress:
        house, count = leaving.House(found.site(), found.directory()), 0
        for ticket in _chosen(store, found, numbers, queue, since):
            count += 1
            out.write(leaving.as_mbox(store, house, ticket))
            progress("writing", count, 0)
    _told(file, count, as_json)


@export.command("json")
@_export_options
def json_(found: Config, file: Path, numbers: tuple[int, ...], queue: str, since: str | None, as_json: bool) -> None:
    """Write requests, their events and people into FILE, one JSON object a line ("-": standard output)."""
    told, count = set[int](), 0
    with opened(found) as store, _writing(file) as out, shown_progress(as_json) as progress:
        for ticket in _chosen(store, found, numbers, queue, since):
            count += 1
            for line in leaving.as_lines(store, ticket, told):
                out.write(json.dumps(line, ensure_ascii=False, default=str).encode() + b"\n")
            progress("writing", count, 0)
    _told(file, count, as_json)


@export.command("csv")
@_export_options
def csv(found: Config, file: Path, numbers: tuple[int, ...], queue: str, since: str | None, as_json: bool) -> None:
    """Write a table of requests into FILE ("-": standard output), one line each. Texts that look like formulas begin with an apostrophe."""
    lines = 0
    with opened(found) as store, _writing(file) as out:
        rows = (leaving.as_row(store, ticket) for ticket in _chosen(store, found, numbers, queue, since))
        for line in table_csv.lines(leaving.COLUMNS, rows):
            out.write(line.encode())
            lines += 1
    _told(file, lines - 1, as_json)


def _chosen(store: Store, found: Config, numbers: tuple[int, ...], queue: str, since: str | None) -> Iterator[Ticket]:
    if missing := [number for number in numbers if store.by_number(number) is None]:
        end(f"rtmail: there is no request #{missing[0]}")
    return leaving.tickets(store, leaving.Chosen(numbers, known_queue(found, queue), _instant(since, found) if since else None))


def _instant(text: str, found: Config) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        end(f"rtmail: --since {text}: write a day or an instant, like 2026-01-31 or 2026-01-31T15:00", 2)
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(found.settings.timezone))


@contextmanager
def _writing(file: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner reads: it holds people's mail. It appears whole, or not at all."""
    if str(file) == "-":
        yield sys.stdout.buffer
        return
    draft = file.with_name(f".{file.name}.part")
    try:
        if file.exists():
            end(f"rtmail: {file} is there already; name another file")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as out:
            yield out
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _told(file: Path, count: int, as_json: bool) -> None:
    if str(file) == "-":
        return
    if as_json:
        put({"file": str(file), "requests": count, "bytes": file.stat().st_size})
    else:
        click.echo(f"{file}: {count} requests, {file.stat().st_size / 1e6:.1f} MB, readable by you alone")
