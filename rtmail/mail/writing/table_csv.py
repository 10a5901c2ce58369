"""Rows as CSV (RFC 4180, UTF-8, CRLF) in which nothing that people wrote is a formula to the spreadsheet that opens it.

Every export as CSV is written here. A text is data in Excel, LibreOffice and Google Sheets alike, whatever it begins with and whatever
the reader takes for the separator: a comma, a semicolon or a tab. The guard is an apostrophe, as OWASP advises ("CSV injection");
who wants texts to the letter takes JSON.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

Cell = str | int | float | bool | None
"""Numbers are written as numbers, true and false as words, None as nothing; only what is a `str` is guarded."""

# A spreadsheet that splits at ";" or a tab does not see our quotes: for it a cell may begin behind either, and behind a line end.
# The full-width forms become the plain ones where a program normalises them.
_FORMULA = re.compile(r"\A(?=[\t\r\n])|(\A|[;\t\r\n])(?=[ \u00a0\"']*[=+\-@\uff1d\uff0b\uff0d\uff20|%])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def lines(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield the line of the titles, then one for each row, each with its CRLF. Raises ValueError for a row of another length."""
    yield _line(titles)
    for row in rows:
        if len(row) != len(titles):
            raise ValueError(f"a row of {len(row)} cells below {len(titles)} titles")
        yield _line(row)


def guarded(text: str) -> str:
    """Return a text that is no formula, with the control characters taken out that no reader of CSV wants."""
    return _FORMULA.sub(lambda found: f"{found[1] or ''}'", _CONTROLS.sub("", text))


def _line(cells: Iterable[Cell]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC).writerow([_cell(one) for one in cells])
    return out.getvalue()


def _cell(value: Cell) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return guarded(value) if isinstance(value, str) else value
