"""The mail grammar: what staff (and for queries, participants) write to make rtmail act, told apart from words for people.

Where commands stand: in the new words of a mail, in the block at the very top. The block goes from the first line to the
first line that is neither a command, nor looks like one, nor is blank; everything from there on is words, even if a
command stands among them. A line of the block is `Key: value` with a known key, or a short word (`take`, `merge 17`) with
nothing else on its line. A mail without any words may carry one command in its subject instead.

What looks like a command but is none that can be run is `unclear`: its author is asked before anybody else gets to see the
mail, since a misspelled `comment` would send a colleague's remark to the customer. That covers what `lookalikes` knows, known
words with an argument that cannot be read, and commands that stand below other words, where nobody would run them.

The caller hands in new words only: quotes, signatures, forwarded and attached mail never get here. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rtmail.desk.grammar import lookalikes
from rtmail.desk.grammar.arguments import CALENDAR_WORDS, Argument, problem
from rtmail.desk.grammar.registry import (
    BY_NAME,
    FREE,
    KEYS,
    LISTS,
    NOT_HERE,
    PROSE_KEYS,
    SPECS,
    TOPICS,
    WORDS,
    Spec,
    closest,
    plain,
    spelled,
)
from rtmail.mail.model import Mail
from rtmail.mail.reading.signature import closes_only
from rtmail.policy.field_rules import folded

__all__ = ["BY_NAME", "SPECS", "Command", "Parsed", "Spec", "Unclear", "closest", "of_mail", "parse"]


@dataclass(frozen=True, slots=True)
class Command:
    """One command as written: the name of its Spec, its argument ("" for none) and its line, counted from 1 (0: the subject)."""

    name: str
    value: str
    line: str
    lineno: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """A line that looks like a command: what is wrong with it, and the line that was probably meant ("" for no idea)."""

    line: str
    lineno: int
    why: str
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Commands in order, what looks like one, and the words that are left for people.

    words  without the lines of both; whole: with the unclear lines in their places, as they were written
    card   a closing and signature that stood for words, which nobody gets
    """

    commands: tuple[Command, ...] = ()
    words: str = ""
    unclear: tuple[Unclear, ...] = ()
    whole: str = ""
    card: str = ""


def parse(reply_text: str, *, subject: str = "", fields: Mapping[str, str] | None = None) -> Parsed:
    """Return the commands in the new words of a mail and what is left of the words.

    reply_text  new words only
    subject     as it stands; read as one command when there are no words at all (an answer's has a prefix and is none)
    fields      names of what the request's policy lets staff fill in, `folded`, with their keys: such a line is a command `field`
    """
    fields = fields or {}
    lines = _LINE_END.split(reply_text)
    shown = [_shown(line) for line in lines]
    if not any(shown):
        one = _read(subject, 0, alone=True, fields=fields)
        return Parsed((one,)) if isinstance(one, Command) else Parsed(unclear=(one,)) if one else Parsed()
    commands: list[Command] = []
    unclear: list[Unclear] = []
    end, below = len(lines), False
    for index, line in enumerate(lines):
        if not shown[index]:
            below = False
            continue
        one = _read(line, index + 1, alone=_alone(shown, index), below=below, fields=fields)
        if one is None:
            end = index
            break
        below = isinstance(one, Command)
        if isinstance(one, Command):
            commands.append(one)
        else:
            unclear.append(one)
    stray = _stray(lines, shown, end)
    if any(shown[end:]):
        doubted = [one for one in commands if _asks_in_prose(one)]
        commands = [one for one in commands if one not in doubted]
        unclear += [Unclear(one.line, one.lineno, "a question to rtmail, or words for people?", one.line) for one in doubted]
    unclear = sorted([*unclear, *stray], key=lambda one: one.lineno)
    gone = {one.lineno for one in commands}
    left = gone | {number for one in unclear for number in (one.lineno, *_blank_below(shown, one.lineno, end))}
    words, whole = (
        "\n".join(line for index, line in enumerate(lines) if index >= start and index + 1 not in without).rstrip()
        for start, without in ((end, left), (_first_left(shown, gone), gone))
    )
    return Parsed(tuple(commands), words, tuple(unclear), whole)


def of_mail(mail: Mail, fields: Mapping[str, str] | None = None) -> Parsed:
    """Return the commands in a mail and what is left of its words; `fields` as for `parse`.

    Below the header that a client puts above history, without a quotation mark, may stand what somebody else wrote: who forwards
    a mail, or answers without a word, must not command what his customer wrote. What HTML and plain text do not both say is
    likewise asked about.
    """
    if mail.history_first and mail.forwarded:
        return Parsed()
    # An answer's subject is the request's, and that of a link's mail says what its address does.
    parsed = parse(mail.reply_text, subject="" if mail.reply_prefix or mail.tags else mail.subject, fields=fields)
    if parsed.commands and closes_only(parsed.words, mail.sender.name):
        parsed = replace(parsed, words="", whole=parsed.whole.removesuffix(parsed.words).rstrip(), card=parsed.words)
    if mail.history_first:
        return _doubted(parsed, parsed.commands, "nothing tells whether you or somebody else wrote this line")
    said = _letters(mail.other_text) if parsed.commands else ""
    hidden = [one for one in parsed.commands if said and one.lineno and _letters(_LINKED.sub("", one.line)) not in said]
    return _doubted(parsed, hidden, "it stands in one of the two versions of your mail only, plain text or HTML")


def _doubted(parsed: Parsed, commands: Sequence[Command], why: str) -> Parsed:
    """Return `parsed` with these commands as unclear lines; what is left for people stays, and `whole` holds them too."""
    if not commands:
        return parsed
    unclear = [Unclear(one.line, one.lineno, why, one.line) for one in commands]
    kept = tuple(one for one in parsed.commands if one not in commands)
    lines = "\n".join(one.line for one in commands)
    whole = f"{lines}\n\n{parsed.whole}".strip()
    return replace(parsed, commands=kept, unclear=tuple(sorted([*unclear, *parsed.unclear], key=lambda one: one.lineno)), whole=whole)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


_LINE_END = re.compile("\r\n|[\r\n\u2028\u2029]")
_INVISIBLE = re.compile("[\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_BULLET = re.compile(r"^(?:[-*\u2022\u00b7\u2013+]\s+|\d{1,2}[.)]\s+)")
_FORMAT = "*_`~"
_KEYED = re.compile("([A-Za-z][A-Za-z _\\-\u2010-\u2015\u2212]{0,30}?)[*_`~ ]*:[*_`~]*(?!//)\\s*(.*)")
_TYPED = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00ab": '"', "\u00bb": '"', "\u201e": '"',
                        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-"})
"""What phones and word processors make of quotation marks and hyphens."""
_LINKED = re.compile(r"(?<=\S)\s?<(?:mailto:|https?://)[^<>\s]*>")
"""Behind an address or link Outlook's plain text repeats its target."""
_LONGEST_LINE, _LONGEST_NAME = 400, 60
_BUG = re.compile(r"[A-Za-z][\w.]*-\d+\b")
"""A tracker's number, which no customer reads."""
_SENTENCE_WORDS = 5
"""From so many words on, what follows a known key and is not its argument is a sentence: "Status: we have found the cause"."""
_SAID_ALONE = frozenset({"fixed", "bugs"})
"""Words that people say, or set above a paragraph, with nothing behind them."""
_UNUSUAL = frozenset({"eta", "snooze", "ack", "update-every", "mute", "unmute", "untake", "unwatch", "undo"})
_OPEN_END = ("?", ":", ",", ";")


def _shown(line: str) -> str:
    """Return a line as its writer saw it: without invisible characters, bullets and emphasis, blanks of any kind as blanks."""
    if line.isascii():
        return _BULLET.sub("", " ".join(line.split())).strip(_FORMAT + " ")
    text = _INVISIBLE.sub("", line)
    text = " ".join(text.replace("\uff1a", ":").split())
    folded = unicodedata.normalize("NFKC", text)
    return _BULLET.sub("", folded if folded.isascii() else text).strip(_FORMAT + " ")


def _alone(shown: Sequence[str], index: int) -> bool:
    """Tell whether a line ends its paragraph, other commands not counted."""
    if index + 1 >= len(shown) or not shown[index + 1]:
        return True
    return isinstance(_read(shown[index + 1], 0, alone=True), Command)


def _first_left(shown: Sequence[str], gone: set[int]) -> int:
    """Return the index of the first line that is said to people, commands left out."""
    return next((index for index, line in enumerate(shown) if line and index + 1 not in gone), len(shown))


def _blank_below(shown: Sequence[str], lineno: int, end: int) -> tuple[int, ...]:
    """Return the number of the blank line below a paragraph of one line that goes: no gap is to stay."""
    alone = lineno > end and not shown[lineno - 2] and lineno < len(shown) and not shown[lineno]
    return (lineno + 1,) if alone else ()


def _asks_in_prose(command: Command) -> bool:
    """Tell whether a query above words for people may be one of these words: "Status" as a heading, "Search the log"."""
    if command.name == "list":
        return bool(command.value) and plain(command.value) not in LISTS
    return command.name in ("standing", "help", "search")


def _read(
    line: str, lineno: int, *, alone: bool, below: bool = False, fields: Mapping[str, str] | None = None
) -> Command | Unclear | None:
    """Return what one line is: a command, something that looks like one, or None for words.

    alone  it is the last line of its paragraph; below: it stands directly below a command
    """
    shown = _shown(line)
    one = (_field(shown, lineno, fields) if fields else None) or _read_plain(shown, lineno, alone, below)
    if isinstance(one, Command) and _DIRECTION.search(line):
        # What its writer saw may be another command than what we read (Trojan Source).
        return Unclear(one.line, lineno, "it holds invisible marks that turn the direction of writing", one.line)
    return one


def _field(shown: str, lineno: int, fields: Mapping[str, str]) -> Command | None:
    """Return the command by which a line fills in a field of the request; names of commands come first."""
    name, colon, value = shown.partition(":")
    key = fields.get(folded(name)) if colon and len(name) <= _LONGEST_NAME and value.strip() else None
    return Command("field", f"{key}: {value.strip()}", shown, lineno) if key and plain(name) not in KEYS else None


def _read_plain(shown: str, lineno: int, alone: bool, below: bool) -> Command | Unclear | None:
    text = shown.removeprefix("/")
    if not text or len(text) > _LONGEST_LINE:
        return None
    keyed = _KEYED.fullmatch(text)
    one = _read_keyed(text, keyed[1], keyed[2].strip(), lineno, below) if keyed else _read_short(text, lineno, alone)
    if one is not None:
        return one
    if found := lookalikes.internal(text):
        return Unclear(text, lineno, *found)
    if not alone and not keyed:
        return None
    if found := lookalikes.meant(text):
        return Unclear(text, lineno, *found)
    for inner in lookalikes.wrapped(text):
        hidden = _read_plain(inner, lineno, alone=True, below=False) if inner != text else None
        if isinstance(hidden, Command) and BY_NAME[hidden.name].argument not in FREE:
            bare = BY_NAME[hidden.name].argument is Argument.NONE
            right = hidden.line.lower() if bare else hidden.line
            return Unclear(text, lineno, "a command stands on its line with nothing around it", right)
    return None


def _read_keyed(text: str, key: str, value: str, lineno: int, below: bool) -> Command | Unclear | None:
    spec, name = KEYS.get(plain(key)), plain(key)
    short = len(value.split()) < _SENTENCE_WORDS
    begins = key.split()
    if spec is None and len(begins) > 2 and (two := WORDS.get(plain("".join(begins[:2])))) and two.argument is Argument.TEXT:
        # "hand over escalation: what was found"
        return Command(two.name, f"{' '.join(begins[2:])}: {value}".strip(), text, lineno)
    if spec is None and name in NOT_HERE and short:
        return Unclear(text, lineno, f"there is no {key} here", NOT_HERE[name])
    if spec is None and name in WORDS and WORDS[name].argument not in FREE:
        bare = WORDS[name].argument is Argument.NONE
        right = bare if not value else not problem(WORDS[name].argument, value)
        suggested = f"{name} {value}".strip() if right else WORDS[name].example
        asked = right or (bare and short) or name == "comment"
        return Unclear(text, lineno, "this word stands without a colon", suggested) if asked else None
    if spec is None:
        meant = closest(key, KEYS) if name not in PROSE_KEYS else ""
        if meant:
            return Unclear(text, lineno, f"there is no command {key!r}", f"{spelled(meant)}: {value}".rstrip())
        if below and value and " " not in key and name not in PROSE_KEYS:
            return Unclear(text, lineno, f"there is no command {key!r}")
        return None
    value = _argument(spec, value)
    wrong = problem(spec.argument, value) if value else "something is missing behind it"
    if not wrong:
        return Command(spec.name, value, text, lineno)
    sentence = not short and spec.argument is not Argument.ADDRESSES
    return None if sentence else Unclear(text, lineno, wrong, spec.example)


def _argument(spec: Spec, value: str) -> str:
    """Return what stands behind a command without what clients add; a subject or a name stays as it is."""
    if spec.argument in (Argument.ADDRESSES, Argument.REFERENCE, Argument.FIXED):
        value = _LINKED.sub("", value)
    return value if spec.argument is Argument.TEXT else value.translate(_TYPED).rstrip(" .!\u2026")


def _read_short(text: str, lineno: int, alone: bool) -> Command | Unclear | None:
    bare = text.rstrip(" .!\u2026")
    words = bare.split()
    for taken in (2, 1):
        spec = WORDS.get(plain("".join(words[:taken]))) if len(words) >= taken else None
        if spec is not None:
            return _read_argument(spec, " ".join(words[taken:]), text, lineno, alone)
    keyed = KEYS.get(plain(words[0])) if words and alone and len(words) <= 3 else None
    if keyed is not None and len(words) > 1:
        value = _argument(keyed, " ".join(words[1:]))
        if keyed.argument is Argument.ADDRESSES and not problem(keyed.argument, value):
            return Command(keyed.name, value, text, lineno)
        if keyed.argument is not Argument.TEXT or (keyed.name != "subject" and len(words) == 2):
            right = f"{spelled(plain(words[0]))}: {value}" if not problem(keyed.argument, value) else keyed.example
            return Unclear(text, lineno, "a colon is missing behind its first word", right)
    meant = closest(words[0], WORDS) if words and alone and not text.endswith(_OPEN_END) else ""
    if not meant:
        return None
    spec, rest = WORDS[meant], " ".join(words[1:])
    fits = not rest if spec.argument in FREE else not rest or not problem(spec.argument, rest)
    return Unclear(text, lineno, f"there is no command {words[0]!r}", f"{meant} {rest}".rstrip()) if fits else None


def _read_argument(spec: Spec, value: str, text: str, lineno: int, alone: bool) -> Command | Unclear | None:
    """Judge what follows a known short word; an ordinary sentence may begin with any of them."""
    value = _argument(spec, value)
    if not value:
        if spec.optional or spec.argument is Argument.NONE:
            return Command(spec.name, "", text, lineno)
        said = alone and spec.name not in _SAID_ALONE
        return Unclear(text, lineno, "something is missing behind it", spec.example) if said else None
    if spec.name == "standing" and not problem(Argument.STATUS, value):
        return Command("status", value, text, lineno)
    wrong = problem(spec.argument, value)
    if not wrong:
        if spec.argument in FREE and (not alone or text.endswith(_OPEN_END) or (spec.name == "help" and plain(value) not in TOPICS)):
            return None
        if spec.name == "next" and value.isalpha():
            return Unclear(text, lineno, "a promise of the next update, or words for the customer?", f"next {value} 15:00")
        return Command(spec.name, value, text, lineno)
    if alone and not text.endswith(_OPEN_END) and _looks_meant(spec.argument, value, unusual=spec.name in _UNUSUAL):
        return Unclear(text, lineno, wrong, spec.example)
    return None


def _looks_meant(kind: Argument, value: str, *, unusual: bool = False) -> bool:
    """Tell whether what cannot be read as an argument still looks as if it was to be one; `unusual`: its word begins no sentence."""
    words, digits = value.split(), any(character.isdigit() for character in value)
    match kind:
        case Argument.NONE:
            return len(words) == 1 or (unusual and len(words) <= 4)
        case Argument.ADDRESSES | Argument.PERSON:
            return "@" in value
        case Argument.NUMBER | Argument.REFERENCE | Argument.FIXED | Argument.LENGTH | Argument.WORKED:
            return digits and (len(words) <= 3 or (kind is Argument.FIXED and bool(_BUG.match(value))))
        case Argument.INSTANT | Argument.UNTIL | Argument.LENGTH_OR_UNTIL if not unusual:
            return len(words) <= 4 and (digits or any(closest(word, CALENDAR_WORDS) for word in words))
        case _:
            return unusual and len(words) <= 4


def _stray(lines: Sequence[str], shown: Sequence[str], end: int) -> tuple[Unclear, ...]:
    """Return what stands below the block and is not meant for a customer: nobody would run it there.

    A command that is a paragraph of its own, a bare word as the last line of one, and what says that it is for staff alone.
    """
    found = []
    for index in range(end, len(lines)):
        if not shown[index]:
            continue
        if inside := lookalikes.internal(shown[index]):
            found.append(Unclear(shown[index], index + 1, *inside))
            continue
        last = index + 1 >= len(shown) or not shown[index + 1]
        if index == end or not last:
            continue
        apart = not shown[index - 1]
        one = _read(lines[index], index + 1, alone=True)
        if not isinstance(one, Command):
            continue
        spec = BY_NAME[one.name]
        bare = spec.argument is Argument.NONE and not spec.participants and not _BULLET.match(lines[index].strip())
        if bare or (apart and (spec.argument not in FREE or not one.value)):
            found.append(Unclear(one.line, one.lineno, "commands stand above all other words", one.line))
    return tuple(found)

