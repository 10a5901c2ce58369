"""What of an engineer's mail goes to the customer: his words, without commands, without our quoted notices (promise 7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from rtmail.desk.judging.echo import ELSEWHERE, echo
from rtmail.mail.model import Mail
from rtmail.mail.reading.quoting import cut_own_quotes
from rtmail.mail.site import Site
from rtmail.mail.tripwire import leaks


@dataclass(frozen=True, slots=True)
class Said:
    """What was said on a request so far: among staff alone, and where its participants saw it.

    elsewhere, known   the same of other requests: texts of theirs that the answer may repeat, and what was public there
    files              digests of what colleagues attached for staff alone
    """

    internal: tuple[str, ...] = field(default=(), repr=False)
    public: tuple[str, ...] = field(default=(), repr=False)
    elsewhere: tuple[str, ...] = field(default=(), repr=False)
    known: tuple[str, ...] = field(default=(), repr=False)
    files: frozenset[str] = field(default=frozenset(), repr=False)


NOTHING_SAID = Said()


@dataclass(frozen=True, slots=True)
class PublicWords:
    """`words` is what may go out; `leak` names what internal thing they or an attachment still show, `echo` quotes the words
    of colleagues that they repeat; "" for nothing."""

    words: str
    leak: str
    echo: str = ""


def public_words(mail: Mail, words: str, site: Site, staff: Collection[int], said: Said = NOTHING_SAID, heard: str = "") -> PublicWords:
    """Return the customer's version of `words`, what a staff mail says besides its commands.

    heard   words that its readers have: a quoted line of them stays, so that "Yes." between the lines says what it answers

    All other quoted lines go where one of them is ours; if what is left still holds a staff mark, a staff detail or a comment
    address, or a file or its name does, the author has to be asked; likewise where it repeats what was said among staff, or a
    file is one of theirs.
    """
    known = _solid(heard)
    words = cut_own_quotes(words, lambda line: bool(leaks(line, site, staff)), lambda line: _solid(line) in known).strip("\n")
    names = "\n".join(one.name for one in mail.attachments)
    leak = leaks(f"{words}\n{names}", site, staff)
    if not leak and mail.enclosed:
        leak = f"{mail.enclosed}, in an attachment"
    repeated = _repeated(words, said)
    if not repeated and (repeated := _repeated(mail.written, said)):
        repeated = f"(in an attachment) {repeated}"
    if not repeated and (file := next((one.name for one in mail.attachments if one.sha256 in said.files), "")):
        repeated = f"(in an attachment) {file}"
    return PublicWords(words, leak, repeated)


def unsayable(text: str, site: Site, staff: Collection[int], said: Said = NOTHING_SAID) -> str:
    """Return why what follows a command may not be shown to the customer, "" where it may: as for words, but nobody is asked."""
    if leak := leaks(text, site, staff):
        return f"the customer reads it, and it holds something internal ({leak})"
    repeated = _repeated(text, said)
    return f'the customer reads it, and it repeats what was said among staff: "{repeated} ..."' if repeated else ""


def _repeated(text: str, said: Said) -> str:
    known = (*said.public, *said.known)
    return echo(text, said.internal, known) or echo(text, said.elsewhere, known, ELSEWHERE)


def _solid(text: str) -> str:
    """Return `text` without white space and quoting: clients wrap what they quote."""
    return "".join(text.replace(">", "").split())
