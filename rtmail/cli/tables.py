"""Tables for people: drawn by rich on a terminal, plain columns with nothing cut where they are piped; --json is for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from rtmail.cli.terminal import harmless

GAP = 2
"""Blanks between two columns."""
WHOLE, LEAST = 18, 10
"""Cells in which an instant or most names are whole; cells below which no column is narrowed."""


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; its first column names the row and is always whole, its last one takes what is left of the line."""
    if sys.stdout.isatty():
        _drawn(titles, rows)
    else:
        _plain(titles, rows)


def widths(natural: Sequence[int], room: int) -> list[int]:
    """Return how many cells each column gets in a line of `room` cells, gaps aside, for columns as wide as `natural`.

    All of them where there is room. Else the widest gives way, as long as something whole is seen of it; then the last one, which is
    text; then whichever is widest. The first never does: by it a person names the row in the next command.
    """
    given, behind = list(natural), range(1, len(natural))
    for giving, floor in ((behind, WHOLE), (behind[-1:], LEAST), (behind, LEAST)):
        while sum(given) > room and (able := [at for at in giving if given[at] > floor]):
            given[max(able, key=given.__getitem__)] -= 1
    return given


def _drawn(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=getattr(sys.stdout, "terminal", sys.stdout), highlight=False)
    shown = [[harmless(cell).replace("\n", " ") for cell in row] for row in rows]
    natural = [max(cell_len(row[at]) for row in [titles, *shown]) for at in range(len(titles))]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold", expand=False)
    for title, width in zip(titles, widths(natural, console.width - GAP * (len(titles) - 1)), strict=True):
        table.add_column(title, no_wrap=True, overflow="ellipsis", width=width)
    for row in shown:
        # As text: what stands in a subject is no markup.
        table.add_row(*map(Text, row))
    console.print(table)


def _plain(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.cells import cell_len

    natural = [max(cell_len(row[at]) for row in [titles, *rows]) for at in range(len(titles))]
    for row in [titles, *rows]:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, natural, strict=True))
        click.echo("  ".join(cells).rstrip())
