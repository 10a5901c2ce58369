"""What of an engineer's mail goes to the customer: his words, without commands, without our quoted notices (promise 7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rtmail.desk.commands import Parsed
from rtmail.mail.model import Mail
from rtmail.mail.quoting import cut_own_quotes
from rtmail.mail.site import Site
from rtmail.mail.tripwire import leaks


@dataclass(frozen=True, slots=True)
class PublicWords:
    """`words` is what may go out; `leak` names what internal thing it still shows, "" for nothing."""

    words: str
    leak: str


def public_words(mail: Mail, parsed: Parsed, site: Site, staff: Collection[int]) -> PublicWords:
    """Return the customer's version of a staff mail.

    Whole quoted lines of ours are cut; if what is left still holds a staff mark, a staff detail or a comment address,
    or a file name does, the author has to be asked.
    """
    words = cut_own_quotes(parsed.words, lambda line: bool(leaks(line, site, staff))).strip("\n")
    names = "\n".join(one.name for one in mail.attachments)
    return PublicWords(words, leaks(f"{words}\n{names}", site, staff))
