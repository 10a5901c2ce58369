"""Tables for people: drawn by rich on a terminal, plain columns where they are piped; --json is for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from rtmail.cli.terminal import harmless

PLAIN_WIDTH = 80


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; its last column takes what is left of the line."""
    if sys.stdout.isatty():
        _drawn(titles, rows)
    else:
        _plain(titles, rows)


def _drawn(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", expand=False)
    for title in titles:
        last = title == titles[-1]
        table.add_column(title, no_wrap=True, overflow="ellipsis", ratio=1 if last else None, min_width=16 if last else None)
    for row in rows:
        # As text: what stands in a subject is no markup.
        table.add_row(*(Text(harmless(cell)) for cell in row))
    Console(file=getattr(sys.stdout, "terminal", sys.stdout), highlight=False).print(table)


def _plain(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[at]) for row in [titles, *rows]) for at in range(len(titles) - 1)]
    left = max(PLAIN_WIDTH - sum(widths) - 2 * len(widths), 16)
    for row in [titles, *rows]:
        cells = [cell.ljust(size) for cell, size in zip(row[:-1], widths, strict=True)]
        last = row[-1] if len(row[-1]) <= left else row[-1][: left - 1] + "…"
        click.echo("  ".join([*cells, last]).rstrip())
