"""Template texts and facts -> what a mail says; the only door to jinja2. `compose` renders, `rtmail check` lints.

A template NAME.txt.j2 is plain text with the subject on its first line; `blocks` reads its shape, and layout.html.j2
draws the same blocks as HTML. Looked up by queue, then by language: QUEUE/NAME.de.txt.j2, QUEUE/NAME.txt.j2,
NAME.de.txt.j2, NAME.txt.j2. Texts are handed in by their path below the templates folder.

Every value that a template prints becomes one clean line, so that no name or subject can add a line, a header or a
heading; longer words go in by `words` and `quote` only. No mail is ever template source. Templates are sysadmins' files:
the sandbox, the strictness and the caps catch their slips.
"""

from __future__ import annotations

import functools
import itertools
import re
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import CodeType
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import FunctionLoader, StrictUndefined, Template, TemplateNotFound, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Undefined, markup_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from rtmail.errors import Problem, RtmailError
from rtmail.mail.speech import brief, duration, size, when, workdays
from rtmail.mail.writing.blocks import Block, Marker, Pieces, Row, Run, bars_html, parse, runs_html, shortened, words_html
from rtmail.mail.writing.phrases import said
from rtmail.mail.writing.wire import many_lines, one_line

LAYOUT = "layout"
SOURCE_CHARACTERS = 64 * 1024
OUTPUT_CHARACTERS = 512 * 1024
"""Of one rendering; people's words are not counted, since they are put in afterwards."""
PIECES = 64
"""Of a rendering, after which its length is looked at: the words between two expressions, and what these print, are short."""
RANGE = 1000
TURNS = 100_000
"""Turns of loops and calls of macros in one rendering: some tenths of a second."""
ARGUMENT = 10_000
"""A width, or a string that others are made of, is no larger."""
QUOTED_LINES = 20

_PIECES = "words", "quote", "link", "links", "aside", "row", "bar"
_ALWAYS = frozenset({*_PIECES, "range", "dict", "lang", "zone", "_turn", "_joined"})
_OURS = frozenset({Block, Row, Run})
_LOOP = frozenset({"first", "last", "index", "index0", "length"})
_GROWING = frozenset({"*", "**", "%"})
_GROWING_FILTERS = ("batch", "center", "format", "indent", "join", "replace", "slice", "truncate", "wordwrap", "pprint")
_WIDTH = re.compile(r"\d{4,}|\*")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


class TemplateError(RtmailError):
    """A template cannot be found, read or rendered; `problem` says where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Offer:
    """A link that a template may place: the draft's name for it, its label and its URL; `request` tells whose it is."""

    name: str
    label: str
    url: str
    request: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a mail says: its subject (without prefix and tag), its blocks, and the language that it speaks."""

    subject: str
    blocks: tuple[Block, ...]
    language: str


class Templates:
    """All template texts of a site, compiled when first used.

    texts      path below the templates folder ("acknowledgement.de.txt.j2", "sales/words.txt.j2") -> text
    timezone   IANA name of the zone that instants are shown in
    language   used where a recipient's is not known
    """

    def __init__(self, texts: Mapping[str, str], timezone: str = "UTC", language: str = "en") -> None:
        self._texts = dict(texts)
        self._zone = ZoneInfo(timezone)
        self._language = language
        loader = FunctionLoader(self._source)
        self._text, self._html = _Sandbox(html=False, loader=loader), _Sandbox(html=True, loader=loader)
        self._found: dict[tuple[str, str, str, str], tuple[Template, str]] = {}
        self._used: dict[str, frozenset[str]] = {}

    def names(self) -> tuple[str, ...]:
        """Return the name of every mail that has a template, sorted."""
        files = (path.rpartition("/")[2] for path in self._texts if path.endswith(".txt.j2"))
        return tuple(sorted({file.partition(".")[0] for file in files if not file.startswith("_")}))

    def languages(self, name: str) -> tuple[str, ...]:
        """Return the languages in which `name` exists, "en" for the file without one."""
        files = (path.rpartition("/")[2].split(".") for path in self._texts if path.endswith(".txt.j2"))
        return tuple(sorted({parts[1] if len(parts) == 4 else "en" for parts in files if parts[0] == name}))

    def render(
        self, name: str, facts: Mapping[str, object], offers: Sequence[Offer] = (), *, queue: str = "", language: str = ""
    ) -> Rendered:
        """Return what the mail `name` says; links that the template places nowhere come at its end.

        Raises TemplateError for a template that is missing, broken, uses an undefined name or writes too much.
        """
        template, spoken = self._find(name, "txt", queue, language)
        pieces = Pieces()
        placing = _Placing(pieces, [replace(offer, label=said(offer.label, spoken)) for offer in offers])
        values = {**facts, **placing.functions(), "lang": spoken, "zone": self._zone}
        subject, _, body = self._run(template, values).partition("\n")
        blocks = parse(body.strip("\n"), pieces)
        return Rendered(one_line(subject), blocks + placing.rest(), spoken)

    def uses(self, name: str, fact: str, *, queue: str = "", language: str = "") -> bool:
        """Tell whether the mail `name` prints `fact`, itself or in what it includes. Raises TemplateError."""
        template, _ = self._find(name, "txt", queue, language)
        return fact in self._facts_of(template.name or "")

    def html(self, blocks: Iterable[Block], frame: Mapping[str, object], *, queue: str = "", language: str = "") -> str:
        """Return `blocks` as an HTML document, drawn by the layout with the facts of `frame`. Raises TemplateError."""
        template, _ = self._find(LAYOUT, "html", queue, language)
        return self._run(template, {**frame, "blocks": tuple(blocks), "lang": language or "en"}) + "\n"

    def page(self, name: str, facts: Mapping[str, object], *, language: str = "") -> str:
        """Return the HTML page `name`, which is no mail. Raises TemplateError."""
        template, _ = self._find(name, "html", "", language)
        spoken = (language or self._language).lower().replace("_", "-").partition("-")[0]
        return self._run(template, {**facts, "lang": spoken, "zone": self._zone}) + "\n"

    def problems(self, known: Mapping[str, Collection[str]], paths: Iterable[str] = ()) -> list[Problem]:
        """Return the mistakes that can be seen without rendering: syntax, size, nothing in it, and names that no mail of that kind has.

        known   template name -> the facts that it may use; a file of no known name is a mistake too, unless it begins with
                "_": such a file is there to be included
        paths   the templates to look at; all of them where none is named
        """
        found = []
        for path in sorted(paths or self._texts):
            name = path.rpartition("/")[2].partition(".")[0]
            shared = name.startswith("_")
            if name not in known and not shared:
                found.append(Problem(path, 1, f"no mail is called {name!r}", f"name it after one of: {', '.join(sorted(known))}"))
                continue
            try:
                _fits(self._texts[path], path)
                read = _read(self._texts[path], path, path.endswith(".html.j2"))
            except TemplateSyntaxError as error:
                found.append(_syntax(error, path))
                continue
            except TemplateError as error:
                found.append(error.problem)
                continue
            if not shared and not _COMMENT.sub("", self._texts[path]).strip():
                # As a full disk leaves it behind an editor.
                cure = "write the subject on the first line and the words below it; or remove the file: then the shipped one counts"
                found.append(Problem(path, 1, "nothing is written in it", cure))
            facts = {fact for each in known.values() for fact in each} if shared else set(known[name])
            for unknown in sorted(read.names - facts - _ALWAYS):
                line = next((n for n, text in enumerate(self._texts[path].split("\n"), 1) if unknown in text), 1)
                found.append(Problem(path, line, f"no fact is called {unknown!r}", f"use one of: {', '.join(sorted(facts))}"))
        return found

    def _facts_of(self, path: str) -> frozenset[str]:
        """Return the names that the template at `path` does not make itself, with those of what it includes."""
        if path not in self._used:
            self._used[path] = frozenset()  # one that includes itself ends here
            read = _read(self._texts.get(path, ""), path, path.endswith(".html.j2"))
            self._used[path] = read.names.union(*map(self._facts_of, read.includes))
        return self._used[path]

    def _find(self, name: str, kind: str, queue: str, language: str) -> tuple[Template, str]:
        wanted = (name, kind, queue, language)
        if wanted not in self._found:
            self._found[wanted] = self._look_up(*wanted)
        return self._found[wanted]

    def _look_up(self, name: str, kind: str, queue: str, language: str) -> tuple[Template, str]:
        asked = (language or self._language).lower().replace("_", "-")
        tongues = list(dict.fromkeys(("" if spoken == "en" else spoken) for spoken in (asked, asked.partition("-")[0])))
        folders = [f"{queue}/", ""] if queue else [""]
        for folder in folders:
            for spoken in dict.fromkeys([*tongues, ""]):
                path = f"{folder}{name}{'.' if spoken else ''}{spoken}.{kind}.j2"
                if path in self._texts:
                    return self._compile(self._html if kind == "html" else self._text, path), spoken or "en"
        raise TemplateError(Problem(f"{name}.{kind}.j2", 1, "there is no such template", "put the file back, or reinstall rtmail"))

    def _compile(self, environment: _Sandbox, path: str) -> Template:
        _fits(self._texts[path], path)
        try:
            return environment.get_template(path)
        except TemplateSyntaxError as error:
            raise TemplateError(_syntax(error, path)) from error

    def _source(self, path: str) -> tuple[str, str, Callable[[], bool]] | None:
        return (self._texts[path], path, lambda: True) if path in self._texts else None

    def _run(self, template: Template, values: Mapping[str, object]) -> str:
        written, size = list[str](), 0
        path = template.name or ""
        environment: Any = template.environment
        environment.turns = 0
        try:
            pieces = template.generate(values)
            while some := list(itertools.islice(pieces, PIECES)):
                written += some
                size += sum(map(len, some))
                if size > OUTPUT_CHARACTERS:
                    raise SecurityError(f"writes more than {OUTPUT_CHARACTERS} characters")
        except TemplateNotFound as error:
            raise TemplateError(Problem(path, 1, f"includes {error.name!r}, which does not exist", "mend the include")) from error
        except Exception as error:
            # Whatever a sysadmin's template trips over (a type, a number, a missing name) is told with its line.
            lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
            at = (lines[-1] if lines else 1) or 1
            cure = "the facts of a mail stand in the comment at the top of its English file"
            raise TemplateError(Problem(path, at, str(error), cure)) from error
        return "".join(written)


class _Sandbox(ImmutableSandboxedEnvironment):
    """No attribute of Python's inside, no chance, and nothing that takes long or turns a short expression into a long string."""

    intercepted_binops = _GROWING

    def __init__(self, *, html: bool, loader: FunctionLoader | None = None) -> None:
        super().__init__(loader=loader, undefined=StrictUndefined, finalize=None if html else _finalized, autoescape=html,
                         trim_blocks=True, lstrip_blocks=True)
        self.turns = 0
        self._turns = self._turn  # one object: each look at a method makes another
        self.globals = {"range": _short_range, "dict": dict, "_turn": self._turns, "_joined": _joined}
        del self.filters["random"]
        for name in _GROWING_FILTERS:
            self.filters[name] = _bounded(self.filters[name])
        self.filters["when"] = _when
        self.filters["brief"] = _brief
        self.filters["duration"] = _duration
        self.filters["workdays"] = _workdays
        self.filters["size"] = _size
        self.filters["term"] = _term
        if html:
            self.filters["words"] = words_html
            self.filters["bars"] = bars_html
            self.filters["runs"] = runs_html

    def compile(self, source: str | nodes.Template, name: str | None = None, filename: str | None = None, raw: Any = False,
                defer_init: bool = False) -> Any:
        """Return the code of a template; of a text that was compiled before in this process, the same."""
        if isinstance(source, str):
            return _read(source, name or "", bool(self.autoescape)).code
        return super().compile(source, name, filename, raw, defer_init)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Return the tree with a count in each loop and macro, and with "~" that knows a limit."""
        tree = super()._parse(source, name, filename)
        repeated: list[nodes.For | nodes.Macro] = [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro)]
        for node in repeated:
            node.body.insert(0, nodes.ExprStmt(_call("_turn", [], node.lineno), lineno=node.lineno))
        _Joining().visit(tree)
        tree.set_environment(self)
        return tree

    def _turn(self) -> str:
        self.turns += 1
        if self.turns > TURNS:
            raise SecurityError(f"loops more than {TURNS} times")
        return ""

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Methods of strings may make long strings of short ones; functions that are handed in are ours."""
        if called is self._turns:
            return called()
        bound = getattr(called, "__self__", None)
        if isinstance(bound, (str, bytes)):
            _check_arguments((bound, *args, *kwargs.values()))
        return super().call(context, called, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The sandbox has a `str.format` of its own; it knows no width that is too large."""
        wrapped = super().wrap_str_format(value)
        return _bounded(wrapped, value.__self__) if wrapped else None

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Facts are dicts, and their keys come before the methods of dicts; blocks are ours and need no sandbox."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if (type(obj) in _OURS and attribute in obj.__slots__) or (type(obj) is LoopContext and attribute in _LOOP):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if any(isinstance(side, (str, bytes, list, tuple, dict)) for side in (left, right)):
            raise SecurityError(f"{operator!r} works on numbers only")
        if operator == "**":
            raise SecurityError("no powers here")
        return super().call_binop(context, operator, left, right)


@dataclass(frozen=True, slots=True)
class _Read:
    """A compiled template, the names that it does not make itself, and what it includes."""

    code: CodeType
    names: frozenset[str]
    includes: tuple[str, ...]


@functools.lru_cache(maxsize=1024)
def _read(text: str, path: str, html: bool) -> _Read:
    """Read a template once, however often the config is read. Raises TemplateSyntaxError.

    html  values are escaped: asked by whoever draws, since an HTML page may include what is called .txt.j2
    """
    sandbox = _reader(html)
    tree = sandbox.parse(text, path, path)
    code = sandbox.compile(tree, path, path)
    included = tuple(name for name in meta.find_referenced_templates(tree) if name)
    return _Read(code, frozenset(meta.find_undeclared_variables(tree)), included)


@functools.cache
def _reader(html: bool) -> _Sandbox:
    return _Sandbox(html=html)


def _fits(text: str, path: str) -> None:
    if len(text) > SOURCE_CHARACTERS:
        raise TemplateError(Problem(path, 1, "the template is too long", f"keep it below {SOURCE_CHARACTERS} characters"))


def _call(name: str, args: list[nodes.Expr], lineno: int) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load", lineno=lineno), args, [], None, None, lineno=lineno)


class _Joining(NodeTransformer):
    """Makes a call of each "~"."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:  # noqa: N802 -- named for the kind of node
        self.generic_visit(node)
        return _call("_joined", node.nodes, node.lineno)


def _joined(*pieces: Any) -> str:
    """What "~" makes of its sides."""
    if sum(len(piece) for piece in pieces if isinstance(piece, str)) > OUTPUT_CHARACTERS:
        raise SecurityError(f"writes more than {OUTPUT_CHARACTERS} characters")
    return markup_join(pieces)


def _bounded(growing: Callable[..., Any], pattern: str = "") -> Callable[..., Any]:
    """Return the filter or method `growing` with a limit to what it is given; `pattern` is a format string that it holds already."""

    @functools.wraps(growing)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _check_arguments((*args, *kwargs.values()))
        if _WIDTH.search(pattern or (str(args[0]) if growing.__name__ == "do_format" else "")):
            raise SecurityError("takes no format with such a width")
        return growing(*args, **kwargs)

    return bounded


def _check_arguments(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, (str, bytes)) and len(value) > ARGUMENT:
            raise SecurityError(f"takes no text of more than {ARGUMENT} characters")
        if isinstance(value, int) and value > ARGUMENT:
            raise SecurityError(f"takes no number above {ARGUMENT}")


class _Placing:
    """The functions by which a template puts in words and links; remembers which links it placed."""

    def __init__(self, pieces: Pieces, offers: Sequence[Offer]) -> None:
        self._pieces, self._offers = pieces, list(offers)

    def functions(self) -> dict[str, Callable[..., Marker]]:
        return {name: getattr(self, name) for name in _PIECES}

    def words(self, text: object) -> Marker:
        """Somebody's words as they are."""
        return self._pieces.keep(Block("words", text=many_lines(str(text)).strip("\n")))

    def quote(self, text: object, lines: int = QUOTED_LINES) -> Marker:
        """The first lines of somebody's words, as a quotation."""
        return self._pieces.keep(Block("words", text=shortened(many_lines(str(text)).strip("\n"), lines), quoted=True))

    def link(self, name: str, label: str = "") -> Marker:
        """The link called `name`, inside a sentence or list; nothing where the mail has none."""
        for offer in self._offers:
            if offer.name == name:
                self._offers.remove(offer)
                return self._pieces.keep(Run(one_line(label or offer.label), offer.url))
        return Marker("")

    def links(self, *wanted: str | tuple[str, str], request: int = 0) -> Marker:
        """A row of buttons: the links named (a name, or name and label), or all not placed yet; of one request or of any."""
        labels = dict((item, "") if isinstance(item, str) else item for item in wanted)
        fitting = [offer for offer in self._offers if (not labels or offer.name in labels) and request in (0, offer.request)]
        self._offers = [offer for offer in self._offers if offer not in fitting]
        placed = [replace(offer, label=labels.get(offer.name) or offer.label) for offer in fitting]
        return self._pieces.keep(_buttons(placed)) if placed else Marker("")

    def aside(self, name: str, label: str = "") -> Marker:
        """The link called `name` as a quiet line of its own, for what few will want; nothing where the mail has none."""
        offer = next((offer for offer in self._offers if offer.name == name), None)
        if offer is None:
            return Marker("")
        self._offers.remove(offer)
        return self._pieces.keep(Block("aside", lines=((Run(one_line(label or offer.label), offer.url),),)))

    def row(self, *cells: object) -> Marker:
        """One line of a table; the first one of several gives the titles."""
        return self._pieces.keep(Block("table", lines=(tuple(Run(one_line(str(_finalized(cell)), 1000)) for cell in cells),)))

    def bar(self, label: object, **parts: int) -> Marker:
        """One bar of a chart: its label, and the parts that it consists of by name."""
        row = Row(one_line(str(label)), tuple(Run(str(max(int(length), 0))) for length in parts.values()))
        return self._pieces.keep(Block("bars", lines=(tuple(Run(name) for name in parts),), rows=(row,)))

    def rest(self) -> tuple[Block, ...]:
        return (_buttons(self._offers),) if self._offers else ()


def _buttons(offers: Iterable[Offer]) -> Block:
    return Block("links", lines=(tuple(Run(one_line(offer.label), offer.url) for offer in offers),))


def _finalized(value: object) -> object:
    """What a template prints, as one clean line; pieces pass as they are. None prints nothing."""
    if isinstance(value, Marker):
        return value
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(one_line(str(item)) for item in value)
    return one_line(str(value), 1000)


def _short_range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > RANGE:
        raise SecurityError(f"a range has at most {RANGE} numbers")
    return made


@pass_context
def _when(context: Context, at: datetime | Undefined) -> str:
    """An instant on the site's wall clock, in the mail's language."""
    if not isinstance(at, datetime):
        raise TypeError(f"'when' takes an instant, not {str(at)!r}")
    return when(at, context["zone"], context["lang"])


@pass_context
def _brief(context: Context, at: datetime | Undefined) -> str:
    """An instant for a table: without year and zone."""
    if not isinstance(at, datetime):
        raise TypeError(f"'brief' takes an instant, not {str(at)!r}")
    return brief(at, context["zone"], context["lang"])


@pass_context
def _duration(context: Context, length: timedelta | Undefined) -> str:
    """A length of time in the mail's language."""
    if not isinstance(length, timedelta):
        raise TypeError(f"'duration' takes a length of time, not {str(length)!r}")
    return duration(length, context["lang"])


@pass_context
def _workdays(context: Context, count: int | Undefined) -> str:
    """A number of business days in the mail's language."""
    if not isinstance(count, int):
        raise TypeError(f"'workdays' takes a number of days, not {str(count)!r}")
    return workdays(count, context["lang"])


@pass_context
def _size(context: Context, count: int | Undefined) -> str:
    """A number of bytes in a fitting unit, in the mail's language."""
    if not isinstance(count, int):
        raise TypeError(f"'size' takes a number of bytes, not {str(count)!r}")
    return size(count, context["lang"])


@pass_context
def _term(context: Context, word: object) -> str:
    """A word or a sentence of the desk's (a promise, a state, what became of a command) in the mail's language."""
    return said(str(word), context["lang"])


def _syntax(error: TemplateSyntaxError, path: str) -> Problem:
    return Problem(error.name or path, error.lineno, error.message or "syntax error", "mend the template's syntax")

