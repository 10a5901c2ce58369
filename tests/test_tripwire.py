"""Internal things are found in would-be customer text, however clients wrapped, quoted or escaped them; other text passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from email.message import Message
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest

from rtmail.mail.token import Action, make_mark, sign
from rtmail.mail.tripwire import STAFF_MARK, leaks
from rtmail.mail.writing.samples import sample_draft
from tests.fakes.mailroom import ADDRESS, COMMENT, KEYRING, SITE, composed, part

STAFF = frozenset({1, 2})
DAY = date(2026, 12, 23)
TAKE = sign(KEYRING, Action.TAKE, 1042, 1, DAY)
STAFF_REPLY = sign(KEYRING, Action.REPLY, 1042, 1, DAY)
STAFF_COMMENT = sign(KEYRING, Action.COMMENT, 1042, 1, DAY)
CUSTOMER_REPLY = sign(KEYRING, Action.REPLY, 1042, 101, None)
APPROVE = sign(KEYRING, Action.APPROVE, 1042, 101, DAY)
STAFF_MARK_LINE = f"{STAFF_MARK} {make_mark(KEYRING, 1042, 1)}"

INTERNAL = {
    "staff mark": STAFF_MARK,
    "comment address": COMMENT,
    "staff detail": f"support+{TAKE}@example.com",
    "mark of a staff mail": make_mark(KEYRING, 1042, 1),
}


def quoted_printable(text: str) -> str:
    mail = Message()
    mail.set_payload(text + "ü" * 30, "utf-8")
    mail.replace_header("Content-Transfer-Encoding", "quoted-printable")
    return "=\n".join(text[at : at + 20] for at in range(0, len(text), 20))


DISGUISES = {
    "as it is": lambda text: text,
    "capitals": str.upper,
    "quoted": lambda text: f"On Monday Jane wrote:\n> {text}\n",
    "quoted thrice": lambda text: f">>> > {text}",
    "wrapped": lambda text: "\n".join(text[at : at + 9] for at in range(0, len(text), 9)),
    "wrapped in a quote": lambda text: "> " + "\n> > ".join(text[at : at + 11] for at in range(0, len(text), 11)),
    "wrapped with initials": lambda text: "| " + "\r\n| ".join(text[at : at + 13] for at in range(0, len(text), 13)),
    "soft line ends": quoted_printable,
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "narrow and other spaces": lambda text: text.replace(" ", "\u202f\u2009 "),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "zero width": lambda text: "\u200b\ufeff".join(text),
    "escaped": lambda text: escape(text).replace("[", "&#91;").replace("@", "&#x40;").replace(" ", "&nbsp;"),
    "escaped twice": lambda text: escape(escape(f"<{text}>").replace("@", "&#64;")),
    "percent": lambda text: f"mailto:{quote(text, safe='')}?subject=x",
    "tags": lambda text: f"<b>{text[:5]}</b><wbr>{text[5:9]}<span style='x'>{text[9:]}</span>",
    "emphasis": lambda text: f"*{text[:4]}*{text[4:]}*",
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("reason", INTERNAL)
def test_internal_things_are_found_in_any_disguise(reason: str, disguise: str) -> None:
    assert leaks(f"Done.\n\n{DISGUISES[disguise](INTERNAL[reason])}\n\nBye", SITE, STAFF) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"support+{STAFF_REPLY}@example.com", "staff detail"),
        (f"support-comment+{STAFF_COMMENT}@example.com", "comment address"),
        (f"take [Example #1042] {TAKE}", "staff detail"),
        (STAFF_MARK_LINE, "staff mark"),
        (STAFF_MARK_LINE.replace("[", "").replace("]", ""), "mark of a staff mail"),
        (f"[internal:\n> staff   only\n> ] {make_mark(KEYRING, 7, 101)}", "staff mark"),
        ("SUPPORT-COMMENT@EXAMPLE.COM", "comment address"),
    ],
)
def test_each_internal_thing_has_its_name(text: str, reason: str) -> None:
    assert leaks(text, SITE, STAFF) == reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello Bob,\n\nplease open tray 2.\n",
        f"answer to support+{CUSTOMER_REPLY}@example.com",
        f"mailto:support+{APPROVE}@example.com?subject=approve",
        make_mark(KEYRING, 1042, 101),
        f"write to {ADDRESS}",
        "The sign says: internal, staff only. Internal: staff only access",
        "support-comment@example.org and comment@example.com",
        "aeration of the aquariums aeriallyaeriallyaeriallyaeriallyaerially ref:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "git checkout 3f5a7c9d0b1e2f4a6c8d7e9f0a1b2c3d4e5f6a7b",
        "100% of it @ noon <b>bold</b> &amp; co [1]",
        "внутрішнє: лише для співробітників",
    ],
)
def test_ordinary_words_pass(text: str) -> None:
    assert leaks(text, SITE, STAFF) == ""


def test_without_a_list_of_staff_marks_say_nothing() -> None:
    assert leaks(make_mark(KEYRING, 1042, 1), SITE) == ""


def test_minus_details_are_found_too() -> None:
    site = replace(SITE, detail="-")
    assert leaks(f"> support-\n> {TAKE[:20]}\n> {TAKE[20:]}@example.com", site) == "staff detail"
    assert leaks(f"support-{CUSTOMER_REPLY}@example.com", site) == ""


@pytest.mark.parametrize(
    "path", [p for p in sorted((Path(__file__).parent / "golden").glob("*.eml")) if p.stem.partition(".")[0] != "page"],
    ids=lambda path: path.stem,
)
def test_golden_mails_trip_exactly_when_they_are_for_staff(path: Path) -> None:
    name, _, language = path.stem.partition(".")
    draft = sample_draft(name, language=language)
    outgoing = composed(draft)
    for type_ in ("text/plain", "text/html"):
        assert bool(leaks(part(outgoing, type_), SITE, STAFF)) is draft.to.staff


def test_a_megabyte_is_no_trouble() -> None:
    for heap in ("<" * 1_000_000, "[internal:" * 100_000, "a" * 1_000_000, "&amp;" * 200_000, "support+" * 100_000, "> " * 500_000):
        assert leaks(heap, SITE, STAFF) == ""
