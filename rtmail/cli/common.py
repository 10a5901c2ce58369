"""What the commands share: the config option, errors in one line with the cure, an opened store."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import click

from rtmail import config
from rtmail.cli import owner
from rtmail.config import Config
from rtmail.errors import EX_CONFIG, ConfigError, RtmailError, plain
from rtmail.ops import opening
from rtmail.policy.model import Policy
from rtmail.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """A command with commands of its own."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each does in a whole sentence: click would cut it to one line."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(limit=1000)) for name, one in commands.items() if one is not None])


def load(path: Path | None) -> Config:
    """Return the config; root's command goes on as the owner of the data, who must be able to read it too. Raises ConfigError."""
    found = config.load(path)
    return config.load(path) if owner.become_owner(found.state) else found


def config_option(command: Command) -> Command:
    """Give a command `-c/--config PATH`; its function gets the loaded Config as `found`, mistakes end it with exit 78."""

    @functools.wraps(command)
    def loaded(*args: Any, path: Path | None, **kwargs: Any) -> Any:
        try:
            found = load(path)
        except ConfigError as error:
            refuse(error)
        return command(*args, found=found, **kwargs)

    return _path_option(loaded)  # type: ignore[no-any-return]


def files_option(command: Command) -> Command:
    """Do as `config_option` does for a command whose arguments name files: root's stays root, so that it can reach them."""

    @functools.wraps(command)
    def loaded(*args: Any, path: Path | None, **kwargs: Any) -> Any:
        try:
            found = config.load(path)
        except ConfigError as error:
            refuse(error)
        with owner.giving_back(found.state):
            return command(*args, found=found, **kwargs)

    return _path_option(loaded)  # type: ignore[no-any-return]


def _path_option(command: Any) -> Any:
    return click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="the rtmail.toml to use")(command)


class _Number(click.types.IntParamType):
    """The number of a request or of a mail, as we print it: with or without "#"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        digits = str(value).removeprefix("#")
        if not digits.isascii() or not digits.isdigit():
            self.fail(f"{value!r} is no number; write one as 1042", param, ctx)
        # More than the databases can hold is a number that nothing has.
        return min(int(digits), LARGEST)


NUMBER = _Number()
LARGEST = 2**63 - 1
"""The largest number that a database can look for."""

json_option = click.option("--json", "as_json", is_flag=True, help="print one JSON object a line")


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator for options that several commands share, in the order in which `--help` shows them."""

    def command_with(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return command_with


def refuse(error: ConfigError) -> NoReturn:
    """Print every mistake and exit 78."""
    for problem in error.problems:
        click.echo(str(problem), err=True)
    raise SystemExit(EX_CONFIG)


def end(text: str, code: int = 1) -> NoReturn:
    """Print one line about what is wrong and exit."""
    click.echo(text, err=True)
    raise SystemExit(code)


def known_queue(found: Config, queue: str) -> str:
    """Return the name of a queue, or "" where none is named; an unknown one ends the command."""
    if queue and queue not in found.queues:
        end(f"rtmail: there is no queue {queue!r}; the config has {', '.join(found.queues)}", 2)
    return queue


def no_request(store: Store, number: int, cure: str) -> NoReturn:
    """End a command that names a request which is not there: perhaps it is not there yet."""
    waiting = store.spool_depth()
    wait = f" ({waiting} mail{' waits' if waiting == 1 else 's wait'} for rtmail serve)" if waiting else ""
    end(f"rtmail: there is no request #{number}{wait}; {cure}")


@contextmanager
def opened(found: Config) -> Iterator[Store]:
    """Open the store for one command; what cannot be opened ends it in one line."""
    try:
        store = opening.open_store(found)
    except (RtmailError, OSError) as error:
        cure = f"; {hint}" if (hint := owner.hint(error)) else ""
        end(f"rtmail: the store {found.store_name} cannot be opened: {plain(error)}{cure}", getattr(error, "exit_code", 1))
    try:
        yield store
    finally:
        store.close()


def policies_of(found: Config) -> dict[str, Policy]:
    """The policy of each queue as it is now; a queue that is gone has none."""
    policies = found.policies()
    return {name: policies[table.policy] for name, table in found.queues.items()}


def put(value: dict[str, Any]) -> None:
    """Print one JSON object on a line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def tell(as_json: bool, values: dict[str, Any], text: str) -> None:
    """Say what was done: as a JSON object for programs, in words for people."""
    if as_json:
        put(values)
    else:
        click.echo(text)


def utc(at: datetime | None) -> str | None:
    """An instant as scripts read it: ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def shown(at: datetime | None, zone: str) -> str:
    """An instant as a person at the terminal reads it."""
    return f"{at.astimezone(ZoneInfo(zone)):%a %d %b %Y %H:%M:%S %Z}" if at else "-"


@contextmanager
def told(doing: str, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show on a terminal's stderr how far a long work is: call it with a table and how many more of its rows are done."""
    if quiet or not sys.stderr.isatty():
        yield lambda table, rows: None
        return
    done = {"rows": 0}

    def show(table: str, rows: int) -> None:
        done["rows"] += rows
        click.echo(f"\r{doing} {table}: {done['rows']:,} rows\x1b[K", err=True, nl=False)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)
