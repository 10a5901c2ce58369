"""What the copies of one event have in common, made once: their words as text and HTML, and the files that they enclose.

Copies differ in their reader: in the envelope, a few headers, the mark, and the signed address behind each link. A form
has blanks where those go; `compose` fills them in for each copy. A blank begins with a control character, which no value
of a template survives with, so nobody's words can be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from rtmail.mail.writing.wire import File, Part

MARK = "\x02mark\x03"
_BLANK = re.compile("\x02(?:mark|link([0-9]+))\x03")


@dataclass(frozen=True, slots=True)
class Form:
    """A mail before it has a reader.

    subject    as the template says it, without prefix and tag
    text, html with blanks; `html` is "" for a mail of text alone
    shown, enclosed   the pictures that the HTML shows and all other files, each with its part
    """

    subject: str
    text: str
    html: str
    shown: tuple[tuple[File, Part], ...] = ()
    enclosed: tuple[tuple[File, Part], ...] = ()


class Forms:
    """The forms made for the mails of one decision."""

    def __init__(self) -> None:
        self._made: list[tuple[object, Form]] = []

    def get(self, made_of: object, make: Callable[[], Form]) -> Form:
        """Return the form for all that it is made of; what is compared are the values, the longest of which are mostly the same objects."""
        for known, form in self._made:
            if known == made_of:
                return form
        form = make()
        self._made.append((made_of, form))
        return form


def blank(number: int) -> str:
    """Return what stands for the address of the link with this number."""
    return f"\x02link{number}\x03"


def fill_text(text: str, mark: str, links: Sequence[str]) -> str:
    """Return a form's text for one reader."""
    return _BLANK.sub(lambda found: links[int(found[1])] if found[1] else mark, text)


def fill_html(html: str, mark: str, links: Sequence[str]) -> str:
    """Return a form's HTML for one reader."""
    return fill_text(html, escape(mark), [escape(link) for link in links])
