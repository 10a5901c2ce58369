"""What staff do at the shell: done on the store as their mails would do it, in the name of this machine's user, and told by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from rtmail.cli import owner
from rtmail.cli.common import end, opened, put
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.engine.engine import Engine, NoSuchRequest
from rtmail.engine.office import Office
from rtmail.engine.reader import ReaderPool
from rtmail.ops import building

Results = Sequence[dict[str, Any]]
"""The lines of a receipt, each with what became of it."""


def carried_out(found: Config, do: Callable[[Engine, str, datetime], Results]) -> Results:
    """Return what `do` did with an engine, for this machine's user, at this instant; an unknown request ends the command."""
    now, user = system(), owner.name()
    with opened(found) as store, ReaderPool(workers=1) as pool:
        engine = Engine(store, pool, Office(building.blueprint(found), store, now), f"shell:{user}")
        try:
            return do(engine, user, now)
        except NoSuchRequest as error:
            end(f"rtmail: {error}")


def told(results: Results, as_json: bool) -> None:
    """Print what became of each line; exit 1 when one of them was not done."""
    for result in results:
        if as_json:
            put(result)
            continue
        instead = f"; write: {result['instead']}" if result["instead"] else ""
        click.echo(f"{'done' if result['done'] else 'NOT DONE'}: {result['line']}: {result['outcome']}{instead}")
    if not all(result["done"] for result in results):
        raise SystemExit(1)
