"""How our mails are drawn by a browser: on a phone, on a wide screen, in the dark. RTMAIL_PICTURES=FOLDER keeps pictures to look at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtmail.mail.writing.samples import names, sample_draft
from tests.fakes.browser import drawn
from tests.fakes.mailroom import TEMPLATES, composed, kind, part

pytestmark = [pytest.mark.long, pytest.mark.servers]
PICTURES = os.environ.get("RTMAIL_PICTURES", "")
LONGEST = "https://printers.example/" + "a-very-long-path-without-a-break/" * 8
READABLE = 4.5
"""Contrast of text with what is behind it (WCAG 2.1, level AA)."""


def mails() -> dict[str, str]:
    """Every mail in every language that has HTML."""
    every = {f"{name}.{tongue}": composed(sample_draft(name, language=tongue)) for name in names() for tongue in TEMPLATES.languages(name)}
    return {name: part(one, "text/html") for name, one in every.items() if b"text/html" in one.raw}


@pytest.mark.parametrize(("mode", "width", "dark"), [("narrow", 360, False), ("wide", 1000, False), ("dark", 360, True)])
def test_every_mail_fits_and_can_be_read(tmp_path: Path, mode: str, width: int, dark: bool) -> None:
    picture = Path(PICTURES) / f"{mode}.png" if PICTURES else None
    seen = drawn(mails(), tmp_path, width=width, dark=dark, picture=picture)
    assert len(seen) > 40
    assert {name: one.over for name, one in seen.items() if one.over > 0} == {}
    assert {name: (one.where, one.contrast) for name, one in seen.items() if one.contrast < READABLE} == {}
    assert {name: one.narrowest for name, one in seen.items() if one.narrowest < 60} == {}
    assert {name: one.hidden for name, one in seen.items() if one.hidden > 0} == {}
    assert min(one.smallest for one in seen.values()) >= 11
    assert all((sum(one.page) < 200) is dark for one in seen.values()), "the dark scheme is dark, the light one light"


def test_long_words_of_people_do_not_widen_a_phones_screen(tmp_path: Path) -> None:
    draft = sample_draft("notice")
    text = f"{LONGEST}\n\n{'x' * 400}\n\n    {'y' * 300}\n\n| {'z' * 100} | {'w' * 100} |"
    html = part(composed(kind("notice", facts={**draft.facts, "text": text})), "text/html")
    (seen,) = drawn({"long": html}, tmp_path, width=360).values()
    assert seen.over <= 0
