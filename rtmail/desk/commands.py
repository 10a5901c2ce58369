"""The mail grammar: what staff (and for queries, participants) write to make rtmail act, told apart from words for people.

Where commands stand: in the new words of a mail, in the block at the very top. The block goes from the first line to the
first line that is neither a command, nor looks like one, nor is blank; everything from there on is words, even if a
command stands among them. A line of the block is `Key: value` with a known key, or a short word (`take`, `merge 17`) with
nothing else on its line. A mail without any words may carry one command in its subject instead.

What looks like a command but is none that can be run is `unclear`: its author is asked, and nobody else gets to see it. That
covers misspelled words in the block, known words with an argument that cannot be read, and a short command that stands as
a paragraph of its own below other words, where nobody would run it.

The caller hands in new words only: quotes, signatures, forwarded and attached mail never get here. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rtmail.desk.arguments import CALENDAR_WORDS, Argument, problem
from rtmail.desk.people import ENGINEER, MANAGER


@dataclass(frozen=True, slots=True)
class Spec:
    """One command.

    name          by which effects know it
    keys          what may stand before a colon, compared without case, blanks, "-" and "_"
    words         what may begin a line as a short word, compared likewise
    argument      what follows; `optional` when it may be missing (in the short form only)
    rights        one of these is needed; none: every member of staff
    participants  requestor and Cc may use it too
    destructive   needs DMARC pass or SMTP AUTH (DESIGN 5)
    help          one line for `help`; example: a line to copy
    """

    name: str
    argument: Argument
    help: str
    example: str
    keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    optional: bool = False
    rights: frozenset[str] = frozenset({ENGINEER, MANAGER})
    participants: bool = False
    destructive: bool = False


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
    """Commands in order, what looks like one, and the words that are left for people, without the lines of both."""

    commands: tuple[Command, ...] = ()
    words: str = ""
    unclear: tuple[Unclear, ...] = ()


_ANY_STAFF: frozenset[str] = frozenset()

SPECS: tuple[Spec, ...] = (
    Spec("status", Argument.STATUS, "set the status: open, waiting, resolved, closed, rejected", "Status: resolved", ("status",)),
    Spec("owner", Argument.TEXT, "give the request to a colleague, or to nobody", "Owner: jane", ("owner",)),
    Spec("priority", Argument.TOKEN, "set or confirm the priority", "Priority: P2", ("priority", "prio"), ("priority", "prio")),
    Spec("queue", Argument.TOKEN, "move the request to another queue", "Queue: sales", ("queue",)),
    Spec("subject", Argument.TEXT, "change the subject", "Subject: Printer on floor 2", ("subject",)),
    Spec("due", Argument.INSTANT, "set when the request is due", "Due: Fri 15:00", ("due",), ("due",)),
    Spec("time", Argument.WORKED, "note time worked", "time 30m billable", ("time-worked",), ("time", "time-worked")),
    Spec("addcc", Argument.ADDRESSES, "add a participant", "AddCc: bob@acme.example", ("add-cc", "cc")),
    Spec("delcc", Argument.ADDRESSES, "remove a participant", "DelCc: bob@acme.example", ("del-cc", "remove-cc")),
    Spec("addrequestor", Argument.ADDRESSES, "make somebody the requestor too", "AddRequestor: bob@acme.example", ("add-requestor",)),
    Spec("delrequestor", Argument.ADDRESSES, "take a requestor away", "DelRequestor: bob@acme.example", ("del-requestor",)),
    Spec("addwatcher", Argument.TEXT, "send copies to a colleague", "AddAdminCc: carl", ("add-admin-cc", "admin-cc", "add-watcher")),
    Spec("delwatcher", Argument.TEXT, "stop a colleague's copies", "DelAdminCc: carl", ("del-admin-cc", "del-watcher")),
    Spec("update-every", Argument.LENGTH, "how often this customer hears of it", "Update-every: 4h", ("update-every",), ("update-every",)),
    Spec("next", Argument.INSTANT, "promise the next update", "next Fri 15:00", ("next", "next-update"), ("next",)),
    Spec("eta", Argument.INSTANT, "say when it will be solved", "eta tomorrow noon", ("eta",), ("eta",)),
    Spec("for", Argument.ADDRESSES, "make this the request of a customer", "for bob@acme.example", ("for", "requestor"), ("for",)),
    Spec("take", Argument.NONE, "become the owner", "take", words=("take", "steal")),
    Spec("untake", Argument.NONE, "give the request back to the queue", "untake", words=("untake",)),
    Spec("resolve", Argument.NONE, "mark it solved and ask the customer", "resolve", words=("resolve",)),
    Spec("wait", Argument.UNTIL, "wait for the customer", "wait", words=("wait",), optional=True),
    Spec("reopen", Argument.NONE, "open it again", "reopen", words=("reopen",)),
    Spec("close", Argument.NONE, "close it without asking", "close", words=("close",)),
    Spec("reject", Argument.NONE, "refuse it", "reject", words=("reject",)),
    Spec("comment", Argument.NONE, "keep the words below among staff", "comment", words=("comment",), rights=_ANY_STAFF),
    Spec("merge", Argument.NUMBER, "make this request part of another", "merge 17", ("merge", "merge-into"), ("merge",), destructive=True),
    Spec("problem", Argument.NUMBER, "this and another request have one cause", "problem 17", words=("problem",)),
    Spec("split", Argument.NONE, "make the latest words from outside their own request", "split", words=("split",)),
    Spec("same", Argument.NUMBER, "these words belong to another request", "same 1042", ("same",), ("same",), optional=True),
    Spec("accept", Argument.PERSON, "let the person from outside, or who stood in Cc, take part", "accept zoe@far.example",
         words=("accept",), optional=True),
    Spec("spam", Argument.NONE, "close it silently as junk", "spam", words=("spam",)),
    Spec("bug", Argument.REFERENCE, "note the number of it elsewhere", "bug JIRA-12", ("bug", "reference"), ("bug",)),
    Spec("ack", Argument.LENGTH_OR_UNTIL, "I have seen it; stop the reminders", "ack 2h", ("ack",), ("ack", "acknowledge"), optional=True),
    Spec("snooze", Argument.LENGTH_OR_UNTIL, "remind me later", "snooze until Mon 9:00", ("snooze",), ("snooze",)),
    Spec("undo", Argument.NONE, "take back the last command", "undo", words=("undo",)),
    Spec("mute", Argument.NONE, "no more copies of this request", "mute", words=("mute", "unsubscribe"), rights=_ANY_STAFF,
         participants=True),
    Spec("unmute", Argument.NONE, "copies of this request again", "unmute", words=("unmute",), rights=_ANY_STAFF, participants=True),
    Spec("away", Argument.UNTIL, "my deputy stands in for me until then", "away until 2 Dec", ("away",), ("away",), rights=_ANY_STAFF),
    Spec("back", Argument.NONE, "I am here again", "back", words=("back",), rights=_ANY_STAFF),
    Spec("list", Argument.TOKENS, "requests that are open: all, mine, due, of a customer", "list mine", words=("list",), optional=True,
         rights=_ANY_STAFF, participants=True),
    Spec("show", Argument.NUMBER, "one request, whole", "show 1042", ("show",), ("show",), rights=_ANY_STAFF, participants=True),
    Spec("search", Argument.TEXT, "requests with these words", "search printer jam", ("search",), ("search",),
         rights=_ANY_STAFF),
    Spec("history", Argument.NUMBER, "everything that happened to a request", "history 1042", ("history",), ("history",),
         rights=_ANY_STAFF),
    Spec("standing", Argument.NONE, "where this request stands", "status", words=("status",), rights=_ANY_STAFF,
         participants=True),
    Spec("help", Argument.TOKEN, "these lines", "help", words=("help",), optional=True, rights=_ANY_STAFF,
         participants=True),
)
"""The registry: a later command is a row here and its effect."""

BY_NAME: Mapping[str, Spec] = {spec.name: spec for spec in SPECS}


def parse(reply_text: str, *, subject: str = "") -> Parsed:
    """Return the commands in the new words of a mail and what is left of the words.

    reply_text  new words only
    subject     without reply prefix and tag; read as one command when there are no words at all
    """
    lines = _LINE_END.split(reply_text)
    shown = [_shown(line) for line in lines]
    if not any(shown):
        one = _read(subject, 0, alone=True)
        return Parsed((one,)) if isinstance(one, Command) else Parsed()
    commands: list[Command] = []
    unclear: list[Unclear] = []
    end, below = len(lines), False
    for index, line in enumerate(lines):
        if not shown[index]:
            below = False
            continue
        one = _read(line, index + 1, alone=_alone(shown, index), below=below)
        if one is None:
            end = index
            break
        below = isinstance(one, Command)
        if isinstance(one, Command):
            commands.append(one)
        else:
            unclear.append(one)
    stray = _stray(lines, shown, end)
    gone = {number for one in stray for number in (one.lineno, one.lineno + 1)}
    left = "\n".join(line for index, line in enumerate(lines[end:], end) if index + 1 not in gone)
    return Parsed(tuple(commands), left.rstrip(), (*unclear, *stray))


def closest(written: str, names: Iterable[str]) -> str:
    """Return the one of `names` that `written` is a misspelling of, "" for none.

    Short words need all their letters: "Tim" is no "time" and "Jack" no "ack", but "taek" is "take".
    """
    word = _plain(written)
    best, best_ratio = "", 0.8
    for name in names:
        known = _plain(name)
        near = len(known) >= 6 or sorted(known) == sorted(word) or (len(known) == 5 and len(word) in (4, 6))
        if word[:1] != known[:1] or word == known or not near or abs(len(word) - len(known)) > 2:
            continue
        # Two neighbours that changed places count as one slip; the ratio alone would count them as two.
        ratio = 1.0 if sorted(known) == sorted(word) else SequenceMatcher(None, word, known).ratio()
        if ratio > best_ratio:
            best, best_ratio = name, ratio
    return best


_LINE_END = re.compile("\r\n|[\r\n\u2028\u2029]")
_INVISIBLE = re.compile("[\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_DIRECTION = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_BULLET = re.compile(r"^(?:[-*\u2022\u00b7\u2013+]\s+|\d{1,2}[.)]\s+)")
_FORMAT = "*_`~"
_KEYED = re.compile(r"([A-Za-z][A-Za-z _-]{0,30}?)[*_`~ ]*:[*_`~]*(?!//)\s*(.*)")
_LONGEST_LINE = 400
_SENTENCE_WORDS = 5
"""From so many words on, what follows a known key and is not its argument is a sentence: "Status: we have found the cause"."""
_OPEN_END = ("?", ":", ",", ";")
_FREE = frozenset({Argument.TEXT, Argument.TOKEN, Argument.TOKENS})
"""Arguments that almost any words would be; in the short form they need a paragraph of their own."""
_PROSE_KEYS = frozenset({
    "note", "notes", "ps", "nb", "re", "fw", "fwd", "aw", "wg", "sv", "hi", "hello", "hey", "dear", "update", "fyi", "edit", "todo",
    "question", "answer", "warning", "important", "attention", "summary", "reason", "cause", "step", "steps", "result", "example",
    "error", "from", "to", "sent", "date", "time", "hinweis", "achtung", "frage", "antwort",
})


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()


_KEYS: Mapping[str, Spec] = {_plain(key): spec for spec in SPECS for key in spec.keys}
_WORDS: Mapping[str, Spec] = {_plain(word): spec for spec in SPECS for word in spec.words}


def _shown(line: str) -> str:
    """Return a line as its writer saw it: without invisible characters, bullets and emphasis, blanks of any kind as blanks."""
    text = _INVISIBLE.sub("", line)
    text = " ".join(text.replace("\uff1a", ":").split())
    folded = unicodedata.normalize("NFKC", text)
    return _BULLET.sub("", folded if folded.isascii() else text).strip(_FORMAT + " ")


def _alone(shown: Sequence[str], index: int) -> bool:
    """Tell whether a line ends its paragraph, other commands not counted."""
    if index + 1 >= len(shown) or not shown[index + 1]:
        return True
    return isinstance(_read(shown[index + 1], 0, alone=True), Command)


def _read(line: str, lineno: int, *, alone: bool, below: bool = False) -> Command | Unclear | None:
    """Return what one line is: a command, something that looks like one, or None for words.

    alone  it is the last line of its paragraph; below: it stands directly below a command
    """
    text = _shown(line).removeprefix("/")
    if not text or len(text) > _LONGEST_LINE:
        return None
    keyed = _KEYED.fullmatch(text)
    one = _read_keyed(text, keyed[1], keyed[2].strip(), lineno, below) if keyed else _read_short(text, lineno, alone)
    if isinstance(one, Command) and _DIRECTION.search(line):
        # What its writer saw may be another command than what we read (Trojan Source).
        return Unclear(one.line, lineno, "it holds invisible marks that turn the direction of writing", one.line)
    return one


def _read_keyed(text: str, key: str, value: str, lineno: int, below: bool) -> Command | Unclear | None:
    spec = _KEYS.get(_plain(key))
    if spec is None:
        meant = closest(key, _KEYS) if _plain(key) not in _PROSE_KEYS else ""
        if meant:
            name = _KEYS[meant].example.partition(":")[0] if ":" in _KEYS[meant].example else meant.capitalize()
            return Unclear(text, lineno, f"there is no command {key!r}", f"{name}: {value}".rstrip())
        if below and value and " " not in key and _plain(key) not in _PROSE_KEYS:
            return Unclear(text, lineno, f"there is no command {key!r}")
        return None
    if spec.argument is not Argument.TEXT:
        value = value.rstrip(" .!\u2026")
    wrong = problem(spec.argument, value) if value else "something is missing behind it"
    if not wrong:
        return Command(spec.name, value, text, lineno)
    sentence = len(value.split()) >= _SENTENCE_WORDS and spec.argument is not Argument.ADDRESSES
    return None if sentence else Unclear(text, lineno, wrong, spec.example)


def _read_short(text: str, lineno: int, alone: bool) -> Command | Unclear | None:
    bare = text.rstrip(" .!\u2026")
    words = bare.split()
    for taken in (2, 1):
        spec = _WORDS.get(_plain("".join(words[:taken]))) if len(words) >= taken else None
        if spec is not None:
            return _read_argument(spec, " ".join(words[taken:]), text, lineno, alone)
    meant = closest(words[0], _WORDS) if words and alone and not text.endswith(_OPEN_END) else ""
    if not meant:
        return None
    spec, rest = _WORDS[meant], " ".join(words[1:])
    fits = not rest if spec.argument in _FREE else not rest or not problem(spec.argument, rest)
    return Unclear(text, lineno, f"there is no command {words[0]!r}", f"{meant} {rest}".rstrip()) if fits else None


def _read_argument(spec: Spec, value: str, text: str, lineno: int, alone: bool) -> Command | Unclear | None:
    """Judge what follows a known short word; an ordinary sentence may begin with any of them."""
    if not value:
        if spec.optional or spec.argument is Argument.NONE:
            return Command(spec.name, "", text, lineno)
        return Unclear(text, lineno, "something is missing behind it", spec.example) if alone else None
    wrong = problem(spec.argument, value)
    if not wrong:
        if spec.argument in _FREE and (not alone or text.endswith(_OPEN_END) or (spec.name == "help" and _plain(value) not in _TOPICS)):
            return None
        return Command(spec.name, value, text, lineno)
    if alone and not text.endswith(_OPEN_END) and _looks_meant(spec.argument, value):
        return Unclear(text, lineno, wrong, spec.example)
    return None


_TOPICS = frozenset({*_KEYS, *_WORDS, *(_plain(spec.name) for spec in SPECS)})


def _looks_meant(kind: Argument, value: str) -> bool:
    """Tell whether what cannot be read as an argument still looks as if it was to be one."""
    words, digits = value.split(), any(character.isdigit() for character in value)
    match kind:
        case Argument.NONE:
            return len(words) == 1
        case Argument.ADDRESSES | Argument.PERSON:
            return "@" in value
        case Argument.NUMBER | Argument.REFERENCE | Argument.LENGTH | Argument.WORKED:
            return digits and len(words) <= 3
        case Argument.INSTANT | Argument.UNTIL | Argument.LENGTH_OR_UNTIL:
            return len(words) <= 4 and (digits or any(closest(word, CALENDAR_WORDS) for word in words))
        case _:
            return False


def _stray(lines: Sequence[str], shown: Sequence[str], end: int) -> tuple[Unclear, ...]:
    """Return the commands that stand as paragraphs of their own below the block: not run there, and not meant for a customer."""
    found = []
    for index in range(end + 1, len(lines)):
        if not shown[index] or shown[index - 1] or (index + 1 < len(shown) and shown[index + 1]):
            continue
        one = _read(lines[index], index + 1, alone=True)
        if isinstance(one, Command) and (BY_NAME[one.name].argument not in _FREE or not one.value):
            found.append(Unclear(one.line, one.lineno, "commands stand above all other words", one.line))
    return tuple(found)
