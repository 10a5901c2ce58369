"""CSV that is data to every spreadsheet, and that comes back as it was where nothing had to be guarded."""

from __future__ import annotations

import csv
import io
import random
import re

import pytest

from rtmail.mail.writing.table_csv import guarded, lines

ORDINARY = ["Printer down", "Über 5 % mehr", "a, b", 'he said "no"', "first\r\nsecond", "1-2", "a=b", "x@y.example", "", "'q'", "5 + 3"]


def test_ordinary_cells_come_back_as_they_were() -> None:
    rows = [[text, number] for number, text in enumerate(ORDINARY)]
    made = "".join(lines(["text", "number"], rows))
    assert [*csv.reader(made.splitlines(keepends=True))] == [["text", "number"], *([text, str(number)] for text, number in rows)]
    assert made.count("\n") == made.count("\r\n")


def test_numbers_stay_numbers() -> None:
    assert [*lines(["a", "b", "c", "d"], [[-5, -0.5, None, True]])][1] == '-5,-0.5,"","true"\r\n'


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 cells below 1"):
        [*lines(["a"], [["b", "c"]])]


FUEL = ["=", "+", "-", "@", "\t", "\r", "\n", "\r\n", ";", ",", '"', "'", " ", "\x00", "\x1b", "|", "%", "\uff1d", "1", "a", "\u00a0"]


def test_no_cell_is_a_formula_whatever_separates() -> None:
    """For who takes commas our quotes count; for who takes semicolons or tabs nothing that we wrote need mean anything."""
    luck = random.Random(4180)
    for _ in range(20_000):
        text = "".join(luck.choices(FUEL, k=luck.randrange(9)))
        (_, line) = lines(["x", "y"], [["a", text]])
        ((_, cell),) = csv.reader(io.StringIO(line, newline=""))
        assert not re.match(r"[\t\r\n]|[ \u00a0]*[=+@\uff1d|%-]", cell), text
        for found in re.split(r"[;\t\r\n]", line):
            assert not re.match(r"[ \u00a0\"]*[=+@\uff1d|%-]", found), (text, found)


def test_what_no_reader_wants_is_taken_out() -> None:
    assert guarded("a\x00b\x1b[31mc\x9b\ud800d") == "ab[31mcd"
    "".join(lines(["x"], [["\ud800"]])).encode()
