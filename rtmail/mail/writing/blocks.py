"""What a rendered template says, as blocks, so that text and HTML are two spellings of one content.

A template is plain text. `parse` reads its shape: a paragraph; a heading (underlined with "---"); a list ("- item");
rows ("  Label: value", two spaces before); and pieces that templates put in by `words`, `quote`, `link`, `links`, `aside`, `row` and `bar`.
`plain` spells blocks as text; the HTML layout draws them. Values never make structure: they arrive as single lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

_MARKER = re.compile("\x02([0-9]+)\x03")
_ROW = re.compile(r"  (\S[^:]{0,40}): (.*)")
_URL = re.compile(r"https?://[^\s<>\"'\\^`{|}]+[^\s<>\"'\\^`{|}.,;:!?)\]]")
PICTURE = re.compile(r"\[(?:cid:([^\]\s]{1,200})|image: ?([^\]\n]{1,200}))\]")
"""Where a picture stands in a text: Outlook and our own reading name its Content-ID, Gmail its file."""
_GAP = re.compile(r"\S {3,}\S|\t|^ {4}|[|│┃].*[|│┃]", re.MULTILINE)
_GAP_SIGNS = ("   ", "\t", "|", "│", "┃")
_RUNS_OF_SPACES = re.compile(r"^ | {2,}", re.MULTILINE)
TEXT_WIDTH = 78
"""So wide is a table in plain text: it fits a terminal of 80 columns with its cursor."""
_NARROWEST = 12
_BAR_WIDTH = 40
_MARKS = "=#+"
_COLOURS = ("#2e7d32", "#c62828", "#1a5fb4")
"""Of the parts of a bar: kept, missed, and whatever comes third; seen on white and on black."""
_GROWING = frozenset({"table", "bars"})
_SHADES = 3
"""Depths of quotation that get a line of their own; deeper ones join the last."""


@dataclass(frozen=True, slots=True)
class Run:
    """Text within a line; with a `url` it is a link."""

    text: str
    url: str = ""


NEW_LINE = Run("\n")
"""Within an item of a list, which goes on in lines that begin with two spaces."""


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One block. Which fields it uses depends on `kind`:

    paragraph   lines       list   lines (one an item)      rows    rows
    heading     text        words  text (may be quoted)     links   lines[0], one run a link; aside the same, of one
    table       lines (the titles, then one a row), one run a cell
    bars        rows, the runs of each the lengths of its parts, whole numbers; lines[0] names the parts
    """

    kind: str
    lines: tuple[tuple[Run, ...], ...] = ()
    rows: tuple[Row, ...] = ()
    text: str = ""
    quoted: bool = False


class Marker(str):
    """Stands in rendered text for a piece; only `Pieces` makes one, and its control characters survive in no value."""


class Pieces:
    """Collects what a template puts in besides text, during one rendering."""

    def __init__(self) -> None:
        self._kept: list[Run | Block] = []

    def keep(self, piece: Run | Block) -> Marker:
        self._kept.append(piece)
        return Marker(f"\x02{len(self._kept) - 1}\x03")

    def block(self, line: str) -> Block | None:
        """Return the block that `line` consists of, None when it is something else."""
        match = _MARKER.fullmatch(line.strip())
        piece = self._kept[int(match[1])] if match else None
        return piece if isinstance(piece, Block) else None

    def runs(self, line: str) -> tuple[Run, ...]:
        """Return `line` cut at its links; a block in the middle of a line is left out."""
        runs = []
        for at, text in enumerate(_MARKER.split(line)):
            piece = self._kept[int(text)] if at % 2 else Run(text)
            if isinstance(piece, Run) and (piece.text or piece.url):
                runs.append(piece)
        return tuple(runs)


def parse(body: str, pieces: Pieces) -> tuple[Block, ...]:
    """Return the blocks of a template's rendered body."""
    blocks: list[Block] = []
    lines = body.split("\n")
    for at, line in enumerate(lines):
        below = lines[at + 1] if at + 1 < len(lines) else ""
        if piece := pieces.block(line):
            (_append if piece.kind in _GROWING else _add)(blocks, piece)
        elif not line.strip():
            blocks.append(Block("gap"))
        elif below.startswith("---") and not below.strip("-"):
            blocks.append(Block("heading", text=line))
        elif line.startswith("---") and not line.strip("-"):
            continue
        elif line.startswith("- "):
            _append(blocks, Block("list", lines=(pieces.runs(line[2:]),)))
        elif line.startswith("  ") and blocks and blocks[-1].kind == "list":
            last = blocks[-1].lines
            blocks[-1] = Block("list", lines=(*last[:-1], (*last[-1], NEW_LINE, *pieces.runs(line.strip()))))
        elif row := _ROW.fullmatch(line):
            _append(blocks, Block("rows", rows=(Row(row[1], pieces.runs(row[2])),)))
        else:
            _append(blocks, Block("paragraph", lines=(pieces.runs(line),)))
    return tuple(block for block in blocks if block.kind != "gap")


def _append(blocks: list[Block], block: Block) -> None:
    if blocks and blocks[-1].kind == block.kind:
        lines = blocks[-1].lines if block.kind == "bars" else blocks[-1].lines + block.lines
        block = Block(block.kind, lines=lines, rows=blocks[-1].rows + block.rows)
        blocks.pop()
    blocks.append(block)


def _add(blocks: list[Block], block: Block) -> None:
    blocks.append(block)


def plain(blocks: Iterable[Block]) -> str:
    """Return the blocks as text, an empty line between them."""
    return "\n\n".join(filter(None, map(_plain, blocks)))


def _plain(block: Block) -> str:
    match block.kind:
        case "heading":
            return f"{block.text}\n{'-' * min(len(block.text), TEXT_WIDTH)}"
        case "list":
            return "\n".join("- " + _line(line).replace("\n", "\n  ") for line in block.lines)
        case "rows":
            width = max(len(row.label) for row in block.rows) + 1
            return "\n".join(f"  {row.label + ':':<{width}} {_line(row.runs)}" for row in block.rows)
        case "links" | "aside":
            return "\n".join(f"  {run.text}:\n  <{run.url}>" for run in block.lines[0])
        case "table":
            return _table([[run.text for run in line] for line in block.lines])
        case "bars":
            return _bars(block)
        case "words":
            return "\n".join("> " + line if line else ">" for line in block.text.split("\n")) if block.quoted else block.text
        case _:
            return "\n".join(_line(line) for line in block.lines)


def _table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table in columns, at most TEXT_WIDTH wide: the last column is cut where it would go beyond."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    left = max(TEXT_WIDTH - 2 * (len(widths) - 1) - sum(widths[:-1]), _NARROWEST)
    widths[-1] = min(widths[-1], left)
    shown = [[*line[:-1], line[-1] if len(line[-1]) <= left else line[-1][: left - 1] + "…"] for line in lines]
    shown.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in shown)


def _bars(block: Block) -> str:
    names = [run.text for run in block.lines[0]]
    width = max(len(row.label) for row in block.rows)
    most = max((sum(parts) for parts in map(bar_parts, block.rows)), default=0) or 1
    drawn = []
    for row in block.rows:
        parts = bar_parts(row)
        bar = "".join(mark * -(-part * _BAR_WIDTH // most) for mark, part in zip(_MARKS, parts, strict=False))
        told = ", ".join(f"{part} {name}" for name, part in zip(names, parts, strict=True) if part)
        drawn.append(f"{row.label:<{width}}  {bar}{' ' if bar else ''}{told or '-'}")
    return "\n".join(drawn)


def bar_parts(row: Row) -> tuple[int, ...]:
    """Return the lengths of the parts of one bar."""
    return tuple(int(run.text) for run in row.runs)


def _line(runs: Iterable[Run]) -> str:
    return "".join(f"{run.text} <{run.url}>" if run.url else run.text for run in runs)


def bars_html(block: Block) -> str:
    """Return a chart as HTML: a table whose cells are the bars, so that it needs no picture and shows in every client."""
    names = [run.text for run in block.lines[0]]
    most = max((sum(bar_parts(row)) for row in block.rows), default=0) or 1
    drawn = []
    for row in block.rows:
        parts = bar_parts(row)
        cells = "".join(
            f'<td bgcolor="{colour}" width="{max(part * 100 // most, 1)}%" style="height:14px;line-height:14px;font-size:1px;">&nbsp;</td>'
            for part, colour in zip(parts, _COLOURS, strict=False)
            if part
        )
        rest = 100 - sum(max(part * 100 // most, 1) for part in parts if part)
        gap = f'<td width="{rest}%" style="font-size:1px;">&nbsp;</td>' if rest > 0 else ""
        told = ", ".join(f"{part} {name}" for name, part in zip(names, parts, strict=True) if part) or "-"
        drawn.append(
            f'<tr><td class="axis" valign="middle" style="width:110px;padding:3px 10px 3px 0;font-size:14px;">{escape(row.label)}</td>'
            '<td valign="middle" style="padding:3px 0;"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
            f'<tr>{cells}{gap}</tr></table></td>'
            f'<td class="told" valign="middle" style="width:150px;padding:3px 0 3px 10px;font-size:13px;">{escape(told)}</td></tr>'
        )
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px;">'
        f"{''.join(drawn)}</table>"
    )


def shortened(text: str, lines: int) -> str:
    """Return the first `lines` lines of `text`, with "[…]" below where there were more."""
    every = text.split("\n")
    return text if len(every) <= lines else "\n".join([*every[:lines], "[…]"])


def runs_html(line: Iterable[Run]) -> str:
    """Return a line as HTML: its text escaped, its links as links, without spaces around it."""
    return "".join(map(_run_html, line)).strip()


def _run_html(run: Run) -> str:
    if run.text == NEW_LINE.text:
        return "<br>"
    return f'<a class="web" href="{escape(run.url)}" style="color:#1a5fb4;">{escape(run.text)}</a>' if run.url else escape(run.text)


def words_html(text: str, images: Mapping[str, tuple[str, str]]) -> str:
    """Return somebody's words as HTML: escaped, quotations indented, columns in a fixed pitch, web addresses as links.

    images   the Content-ID or file that the words name -> (ours, file name), drawn where "[cid:…]" or "[image: …]" stands
    Only http and https become links; nothing remote is ever loaded.
    """
    return "".join(_quotation(depth, lines, images) for depth, lines in _by_depth(text.split("\n")))


def _by_depth(lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    grouped: list[tuple[int, list[str]]] = []
    for line in lines:
        depth, rest = 0, line
        while rest.startswith(">"):
            depth += 1
            rest = rest[1:].removeprefix(" ")
        depth = min(depth, _SHADES)
        if not grouped or grouped[-1][0] != depth:
            grouped.append((depth, []))
        grouped[-1][1].append(rest if depth else line)
    return grouped


def _quotation(depth: int, lines: list[str], images: Mapping[str, tuple[str, str]]) -> str:
    paragraphs = re.split(r"\n(?:[ \t]*\n)+", "\n".join(lines).strip("\n"))
    html = "".join(_paragraph(paragraph, images) for paragraph in paragraphs if paragraph.strip())
    for _ in range(depth if html else 0):
        html = f'<blockquote class="quote" style="margin:0 0 12px;padding:0 0 0 12px;border-left:3px solid #c3cad5;">{html}</blockquote>'
    return html


def _paragraph(text: str, images: Mapping[str, tuple[str, str]]) -> str:
    # Most paragraphs hold nothing of the kind, which looking for a few characters tells in no time.
    if any(sign in text for sign in _GAP_SIGNS) and _GAP.search(text):
        return (
            '<pre class="log" style="margin:0 0 12px;padding:8px 10px;background:#f3f5f8;border-radius:4px;white-space:pre-wrap;'
            "word-break:break-word;font:13px/1.45 ui-monospace,SFMono-Regular,Consolas,'Liberation Mono',monospace;\">"
            f"{_linked(text, images)}</pre>"
        )
    spaced = _linked(text, images)
    if "  " in spaced or "\n " in spaced or spaced.startswith(" "):
        spaced = _RUNS_OF_SPACES.sub(lambda run: "&nbsp;" * len(run[0]), spaced)
    return f'<p dir="auto" style="margin:0 0 12px;">{spaced}</p>'.replace("\n", "<br>\n")


def _linked(text: str, images: Mapping[str, tuple[str, str]]) -> str:
    parts, end = [], 0
    for match in re.finditer(f"{_URL.pattern}|{PICTURE.pattern}", text):
        parts.append(escape(text[end : match.start()]))
        end = match.end()
        picture = match[1] or match[2]
        if picture is None:
            url = escape(match[0])
            parts.append(f'<a href="{url}" class="web" style="color:#1a5fb4;word-break:break-word;overflow-wrap:anywhere;">{url}</a>')
        elif picture in images:
            parts.append(image_html(*images[picture]))
        else:
            parts.append(escape(match[0]))
    return "".join([*parts, escape(text[end:])])


def image_html(content_id: str, name: str) -> str:
    """Return an enclosed picture as HTML."""
    alt = escape(name)
    return f'<img src="cid:{escape(content_id)}" alt="{alt}" style="max-width:100%;height:auto;border:0;">'
