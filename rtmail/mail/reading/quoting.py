"""New words against quoted history and signature; forwarded mails inside a text; our marks in what people quote.

Called by `message.read`, by `compose` (subjects) and by whoever renders words for customers. Its law: no new word is ever
lost. History is cut only below what a mail client wrote above it (`history`), quoted lines only where such a line vouches
for them, and where anything speaks against it the whole text is new. Nothing is destroyed: the full text is kept beside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtmail.mail.model import Address, Forwarded
from rtmail.mail.reading.history import Boundary, What, boundary_at, header_block, unknown_block
from rtmail.mail.reading.marks import depth, last_mark_line, undepth
from rtmail.mail.reading.reply_words import FORWARD_PREFIXES, INLINE_HINTS, REPLY_PREFIXES
from rtmail.mail.reading.signature import MAX_LINES, words_end

MAX_LIBRARY_LINES = 500
MAX_LIBRARY_CHARS = 200


@dataclass(frozen=True, slots=True)
class Split:
    """A text in its parts.

    new               the writer's words; quoted lines stay among them where he answers between them
    quoted            every line that is history or quoted, also those that `new` keeps; our marks are read here
    signature         what was taken off the end of the words
    history_first     the text begins with a client's header: what stands below may be the writer's, or history that nothing marks
    forwarded_header  the text holds the header of a forwarded mail
    sure              False where something looked like history but `new` is the whole text nevertheless
    """

    new: str
    quoted: str = ""
    signature: str = ""
    forwarded_header: bool = False
    history_first: bool = False
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines `start` to before `end`: words, a signature above a quote, a client's header, a quote that a header vouches for ("quote")
    or that none does ("loose")."""

    kind: str
    start: int
    end: int


_QUOTE = re.compile(r"^[ \t]{0,2}[>＞]")
_PIPE = re.compile(r"^\|(?: |$)")
_NAMED_QUOTE = re.compile(r"^[ \t]?[A-Za-z][\w.-]{0,14}>(?: |$)")
_INLINE = re.compile(
    r"(?<!\w)(?:" + "|".join(re.escape(hint) for hint in sorted(INLINE_HINTS, key=len, reverse=True)) + r")(?!\w)", re.IGNORECASE
)
_SALUTATION = re.compile(r"^[^\W\d_][^.!?:;\n]{0,50}[,，]$")


def split(text: str) -> Split:
    """Return `text` in new words, history and signature; the whole text as new when unsure. Linear in its length."""
    lines = _lines(text)
    pieces, cut, guarded = _pieces(lines)
    if guarded is not None:
        return Split(_joined(lines), _joined(lines[guarded:]), sure=False, forwarded_header=_holds_forward(lines, pieces, cut))
    headed = any(piece.kind in ("header", "quote", "signature") for piece in pieces)
    shown = _shown(lines, pieces) if headed else list(lines[:cut])
    end = words_end(shown)
    quoted = _of(lines, pieces, "header", "quote", "loose") + list(lines[cut:])
    result = Split(
        _joined(shown[:end]),
        _joined(quoted),
        _joined([*_of(lines, pieces, "signature"), *shown[end:]]),
        forwarded_header=_holds_forward(lines, pieces, cut),
        history_first=_history_first(pieces),
    )
    return _second_opinion(lines, result) if not headed and cut == len(lines) else result


def _of(lines: Sequence[str], pieces: Sequence[_Piece], *kinds: str) -> list[str]:
    """Return the lines of the pieces of these kinds."""
    return [line for piece in pieces if piece.kind in kinds for line in lines[piece.start : piece.end]]


def _pieces(lines: Sequence[str]) -> tuple[list[_Piece], int, int | None]:
    """Return the pieces from the top, the line from which all is history (or the length), and where a guard stopped the cut."""
    pieces: list[_Piece] = []
    last_mark = last_mark_line(lines)
    number, words, kept_below = 0, 0, False
    while number < len(lines):
        if not lines[number].strip():
            number += 1
            continue
        boundary = boundary_at(lines, number) if not _QUOTE.match(lines[number]) else None
        if boundary is None and number < last_mark and not _QUOTE.match(lines[number]):
            boundary = unknown_block(lines, number)
        if boundary is not None:
            if words and len(pieces) == words <= MAX_LINES and not words_end(lines[max(0, number - MAX_LINES) : number]):
                # A phone's line above a quote is no answer: the words stand within or below what was quoted.
                pieces, words = [_Piece("signature", piece.start, piece.end) for piece in pieces], 0
            style = _style(lines, boundary.end)
            if style is not None:
                end = _run_end(lines, boundary.end, style)
                pieces += [_Piece("header", number, boundary.end), _Piece("quote", boundary.end, end)]
                number = end
                continue
            if boundary.strong and not words and not kept_below:
                pieces.append(_Piece("header", number, boundary.end))
                number, kept_below = boundary.end, True
                continue
            if boundary.strong and not kept_below:
                if _unsure(lines, number):
                    return pieces, len(lines), number
                return pieces, number, None
        if boundary is None and _QUOTE.match(lines[number]):
            end = _run_end(lines, number, _QUOTE)
            headed = _is_headed(lines, number, end) or number <= last_mark < end
            pieces.append(_Piece("quote" if headed else "loose", number, end))
            number = end
            continue
        end = number + 1
        pieces.append(_Piece("words", number, end))
        words += 1
        number = end
    return pieces, len(lines), None


def _history_first(pieces: Sequence[_Piece]) -> bool:
    """Return whether a client's header stands above everything else, and no quote follows it."""
    kinds = [piece.kind for piece in pieces if piece.kind != "signature"][:2]
    return kinds[:1] == ["header"] and kinds[1:] != ["quote"]


def _shown(lines: Sequence[str], pieces: Sequence[_Piece]) -> list[str]:
    """Return the lines to show when clients' headers were found: without them, without quotes that nobody wrote below."""
    signature = _signature_start(lines, pieces)
    wordy = [number for number, piece in enumerate(pieces) if piece.kind == "words" and piece.start < signature]
    if not wordy:
        return _of(lines, pieces, "words")
    first, last = wordy[0], wordy[-1]
    kept = [
        piece
        for number, piece in enumerate(pieces)
        if piece.kind not in ("header", "signature") and (number <= last or piece.kind == "words" or not _is_history(lines, piece))
    ]
    between = any(piece.kind != "words" for piece in pieces[first:last])
    above = [piece for piece in pieces[:first] if piece.kind in ("quote", "loose")]
    below = any(piece.kind == "quote" for piece in pieces[last:])
    if above and not between and not below and len(above) == 1 and above[0].kind == "quote":
        kept = [piece for piece in kept if piece is not above[0]]
    shown: list[str] = []
    for number, piece in enumerate(kept):
        shown += lines[piece.start : piece.end]
        following = kept[number + 1].start if number + 1 < len(kept) else piece.end
        shown += [line for line in lines[piece.end : following] if not line.strip()]
    return shown


def _signature_start(lines: Sequence[str], pieces: Sequence[_Piece]) -> int:
    """Return the line at which a signature below the last quote begins, or the length of `lines`.

    A signature below the history is no inline answer, so it must not make the history above it look answered.
    """
    start = next((piece.end for piece in reversed(pieces) if piece.kind != "words"), 0)
    return start + words_end(lines[start:]) if start else len(lines)


def _is_history(lines: Sequence[str], piece: _Piece) -> bool:
    """Return whether a quote below the last words is history, and not a pasted diff or a Python session."""
    depths = [depth(line) for line in lines[piece.start : piece.end] if line.strip()]
    above = lines[piece.start - 1] if piece.start else ""
    return piece.kind == "quote" or (min(depths, default=1) < 3 and not above.startswith(("< ", "---")))


def _unsure(lines: Sequence[str], number: int) -> bool:
    """Return whether the words above line `number` speak against cutting below it.

    They announce what follows with a colon, tell of answers inside the history, or are but a salutation.
    """
    above = [line.strip() for line in lines[max(0, number - 60) : number] if line.strip()][-15:]
    if not above:
        return False
    if above[-1].endswith((":", "：")) and not above[-1].endswith((" :", "::")):
        return True
    if len(above) == 1 and number < 60 and _SALUTATION.match(above[0]):
        return True
    return any(_INLINE.search(line[:400]) for line in above)


def _is_headed(lines: Sequence[str], start: int, end: int) -> bool:
    """Return whether a quoted run begins with a client's header inside the quote, as Apple Mail and some webmails write it."""
    inner = [_DEPTH_ONE.sub("", line, count=1) for line in lines[start : min(end, start + 40)]]
    for number in range(min(3, len(inner))):
        if inner[number].strip():
            return boundary_at(inner, number) is not None
    return False


_DEPTH_ONE = re.compile(r"^[ \t]{0,2}[>＞][ ]?")


def _style(lines: Sequence[str], start: int) -> re.Pattern[str] | None:
    """Return how the text below a header is quoted, or None when it is not."""
    for line in lines[start : start + 12]:
        if line.strip():
            return next((style for style in (_QUOTE, _PIPE, _NAMED_QUOTE) if style.match(line[:40])), None)
    return None


def _run_end(lines: Sequence[str], start: int, style: re.Pattern[str]) -> int:
    """Return the end of the quoted run from `start`; blank lines inside belong to it, those after it do not."""
    end = number = start
    while number < len(lines):
        if style.match(lines[number][:40]):
            end = number + 1
        elif lines[number].strip():
            break
        number += 1
    return end


def _holds_forward(lines: Sequence[str], pieces: Sequence[_Piece], cut: int) -> bool:
    """Return whether the first header found is that of a forwarded mail."""
    start = next((piece.start for piece in pieces if piece.kind in ("header", "quote")), cut)
    if start >= len(lines):
        return False
    found = boundary_at(lines, start) or _inner_boundary(lines, start)
    return found is not None and found.what is What.FORWARD


def _inner_boundary(lines: Sequence[str], start: int) -> Boundary | None:
    """Return the boundary inside a quote that begins at `start`."""
    inner = [_DEPTH_ONE.sub("", line, count=1) for line in lines[start : start + 40]]
    return next((boundary_at(inner, number) for number in range(min(3, len(inner))) if inner[number].strip()), None)


def _second_opinion(lines: Sequence[str], own: Split) -> Split:
    """Return `own`, or what quotequail sees where our rules saw nothing: a reply line above lines that are all quoted.

    Its reply lines need no date ("On Friday, Bob wrote:"), so people may have typed them: the line stays, the quote goes.
    It is quadratic in its input (20,000 "From: a" lines take longer than a worker may), so it gets bounded texts only.
    """
    if len(lines) > MAX_LIBRARY_LINES or any(len(line) > MAX_LIBRARY_CHARS for line in lines):
        return own
    start = next((number for number, line in enumerate(lines) if _QUOTE.match(line)), 0)
    if not start or any(line.strip() and not _QUOTE.match(line) for line in lines[start:]):
        return own
    import quotequail  # where mail is read, and nowhere else

    found = quotequail.unwrap("\n".join(lines))
    if not found or found.get("type") != "reply" or found.get("text_bottom"):
        return own
    end = words_end(lines[:start])
    return Split(_joined(lines[:end]), _joined(lines[start:]), _joined(lines[end:start]))


def cut_own_quotes(text: str, is_ours: Callable[[str], bool], is_public: Callable[[str], bool] | None = None) -> str:
    """Return `text` for people outside: when one quoted line is ours, all quoted lines go, the writer's own words stay.

    is_ours    tells a line of our staff mail (staff mark, notice, comment address), given without its "> "
    is_public  tells a quoted line that may stay because the reader has seen it; None: none may
    A person quotes one mail of ours, so once one line of it is found the other quoted lines are of it too (promise 7).
    The client's line above a quote goes with the quote.
    """
    lines = _lines(text)
    bare = {number: undepth(line) for number, line in enumerate(lines) if _QUOTE.match(line)}
    if not any(is_ours(line) for line in bare.values()):
        return text
    kept: list[str] = []
    number = gaps = 0
    while number < len(lines):
        if number in bare:
            if not bare[number]:
                gaps += bool(kept) and bool(_QUOTE.match(kept[-1]))
            elif is_public is not None and not is_ours(bare[number]) and is_public(bare[number]):
                kept += [">"] * min(gaps, 1) + [lines[number]]
                gaps = 0
            number += 1
            continue
        gaps = 0
        boundary = boundary_at(lines, number)
        if boundary is not None and _style(lines, boundary.end) is _QUOTE:
            number = boundary.end
            continue
        kept.append(lines[number])
        number += 1
    return re.sub(r"\n{3,}", "\n\n", _joined(kept))


@dataclass(frozen=True, slots=True)
class InlineForward:
    """A forward inside a text: the words above it, and the mail."""

    above: str
    mail: Forwarded


def inline_forward(text: str, subject: str = "") -> InlineForward | None:
    """Return the mail forwarded inside `text` and the words above it, or None.

    Gmail, Apple Mail, Thunderbird, Yahoo and Lotus write a divider; Outlook writes only a header block, which it writes above
    history too: that one counts where `subject` carries a forward's prefix.
    """
    lines = _lines(text)
    forwards = has_forward_prefix(subject)
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        if _QUOTE.match(line):
            if number and _QUOTE.match(lines[number - 1]):
                continue
            found, quoted = _inner_boundary(lines, number), True
        else:
            found, quoted = boundary_at(lines, number), False
        if found is None:
            continue
        if found.what is What.REPLY_LINE:
            if _style(lines, found.end) is None and found.strong:
                return None
            continue
        if found.what is not What.FORWARD and not forwards:
            return None
        end = found.end + number if quoted else found.end
        below = [_DEPTH_ONE.sub("", row, count=1) for row in lines[end:]] if quoted or _style(lines, end) is _QUOTE else lines[end:]
        fields = found if found.fields else header_block(below, 0, loose=True)
        above = lines[:number]
        sender = _sender(fields.field("from")) if fields else None
        mail = Forwarded("inline", sender, fields.field("subject") if fields else "", _joined(below))
        return InlineForward(_joined(above[: words_end(above)]), mail)
    return None


def forwarded_block(text: str, subject: str = "") -> Forwarded | None:
    """Return the mail forwarded inside `text`, or None; see `inline_forward`."""
    found = inline_forward(text, subject)
    return found.mail if found else None


_SPEC = re.compile(r"[^\s<>,;:()\[\]\"']{1,64}@[^\s<>,;:()\[\]\"']{1,190}")


def _sender(value: str) -> Address | None:
    """Return the mailbox that a client's From line names, in any of their spellings, or None."""
    found = _SPEC.search(value)
    if not found:
        return None
    local, _, domain = found.group().rstrip(".").rpartition("@")
    name = re.split(r"[<\[(]", value[: found.start()])[0]
    return Address(f"{local}@{domain.lower()}", "".join(char for char in name if char.isprintable()).strip(" \"'*:"))


def _prefix_pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern of one subject prefix: the word, a count as in "Re[2]", "Re^2" or "Re(2)", a colon of either width."""
    listed = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"^\s*(?:{listed})\s?(?:\[\d{{1,3}}\]|\(\d{{1,3}}\)|\^\d{{1,3}}|\*\d{{1,3}})?\s?[:：]\s*", re.IGNORECASE)


_REPLY_PREFIX = _prefix_pattern(REPLY_PREFIXES)
_FORWARD_PREFIX = _prefix_pattern(FORWARD_PREFIXES)


def has_reply_prefix(subject: str) -> bool:
    """Return whether `subject` begins as an answer's does ("Re:", "AW:", "回复：")."""
    return bool(_REPLY_PREFIX.match(subject))


def has_forward_prefix(subject: str) -> bool:
    """Return whether `subject` begins as a forward's does ("Fwd:", "WG:"), after any reply prefixes."""
    return bool(_FORWARD_PREFIX.match(strip_reply_prefixes(subject)))


def strip_reply_prefixes(subject: str) -> str:
    """Return `subject` without the reply prefixes at its head; forward prefixes stay."""
    rest = subject
    while found := _REPLY_PREFIX.match(rest):
        rest = rest[found.end() :]
    return rest.strip()


def _lines(text: str) -> list[str]:
    """Return the lines of `text` whatever its line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _joined(lines: Sequence[str]) -> str:
    """Return `lines` as text without blank lines around it."""
    start, end = 0, len(lines)
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return "\n".join(lines[start:end]).rstrip()
