"""Templates: which file is used, how strict they are, what values may do, and how blocks, instants and lengths read."""

from __future__ import annotations

import ast
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rtmail.mail.speech import duration, when, workdays
from rtmail.mail.writing.blocks import Block, Run, plain, words_html
from rtmail.mail.writing.samples import OPTIONAL, facts_of, known_facts, names, sample, sample_draft
from rtmail.mail.writing.templates import Offer, TemplateError, Templates
from tests.fakes.mailroom import FOLDER, TEMPLATES, TEXTS, composed, kind, parsed, part

CUSTOMERS = ("acknowledgement", "numbered", "received", "holding-update", "closing", "closed", "priority-told", "promised")


def said(source: str, offers: list[Offer] | None = None, **facts: Any) -> str:
    """Return the plain text that the template `source` says."""
    return plain(Templates({"x.txt.j2": "subject\n\n" + source}).render("x", facts, offers or []).blocks)


# The shipped ones


def test_every_mail_has_its_template_and_no_template_is_left_over() -> None:
    assert TEMPLATES.names() == tuple(sorted(names()))


TEMPLATE_AT = {"Notice": 5, "to_staff": 2, "to_customers": 2, "to_requestor": 2, "beside_words": 1}
"""Which argument of these calls names the template."""


def test_every_mail_that_the_code_names_is_one_of_them() -> None:
    named: set[object] = set()
    for path in (FOLDER.parent / "rtmail").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
            at = TEMPLATE_AT.get(name, len(call.args))
            said = [*call.args[at : at + 1], *(word.value for word in call.keywords if word.arg == "template")]
            named |= {one.value for one in said if isinstance(one, ast.Constant)}
    assert {"opened", "undelivered", "escalation", "promised", "priority-told"} <= named
    assert named <= set(names())


def test_shipped_templates_have_no_mistakes() -> None:
    assert TEMPLATES.problems(known_facts()) == []


@pytest.mark.parametrize("name", names())
def test_every_language_tells_the_same_facts(name: str) -> None:
    def told(language: str) -> set[str]:
        text = TEXTS[f"{name}{'' if language == 'en' else '.' + language}.txt.j2"]
        text = text.partition("-#}")[2] if text.startswith("{#-") else text
        text = re.sub(r'"[^"]*"', "", text)
        return {fact for fact in facts_of(name) if re.search(rf"{{[{{%][^}}]*\b{fact}\b", text)}

    for language in TEMPLATES.languages(name):
        assert told(language) == told("en"), language


@pytest.mark.parametrize("name", names())
def test_no_sentence_is_broken_in_its_middle(name: str) -> None:
    """A line of a template is a line of the mail, whatever its reader's screen is wide."""
    for language in TEMPLATES.languages(name):
        draft = sample_draft(name, language=language)
        text = part(composed(draft), "text/plain")
        lines = text.split("\n")
        broken = [line for line, below in itertools.pairwise(lines) if len(line) > 60 and line[-1].isalnum() and below[:1].islower()]
        assert broken == []


def test_mails_that_speak_of_one_thing_say_so() -> None:
    folded = sample_draft("folded")
    one = replace(folded, facts={**folded.facts, "mails": 1, "others": 1})
    assert "1 mail without a notice of its own" in parsed(composed(one))["Subject"]
    assert "And 1 more request." in part(composed(one), "text/plain")


def test_words_of_the_desk_speak_the_mails_language() -> None:
    german = "{{ 'first response'|term }}, {{ 'Status'|term }}, {{ 'else'|term }}\n\n{{ links() }}"
    templates = Templates({"x.txt.j2": "s", "x.de.txt.j2": german})
    rendered = templates.render("x", {}, [Offer("take", "Take", "mailto:a@b", 1)], language="de")
    assert rendered.subject == "erste Antwort, Status, else"
    assert "Übernehmen" in plain(rendered.blocks)


@pytest.mark.parametrize("name", CUSTOMERS)
def test_customers_are_written_to_in_three_languages(name: str) -> None:
    assert TEMPLATES.languages(name) == ("de", "en", "uk")


@pytest.mark.parametrize("name", names())
def test_every_template_does_without_its_optional_facts(name: str) -> None:
    for language in TEMPLATES.languages(name):
        facts = {fact: value for fact, value in sample(name).items() if fact not in OPTIONAL.get(name, ())}
        text = part(composed(kind(name, facts=facts, to=sample_draft(name, language=language).to)), "text/plain")
        assert "\n\n\n" not in text
        assert "None" not in text


@pytest.mark.parametrize("name", names())
def test_every_template_needs_its_other_facts(name: str) -> None:
    for fact in set(sample(name)) - OPTIONAL.get(name, frozenset()):
        with pytest.raises(TemplateError):
            composed(kind(name, facts={other: value for other, value in sample(name).items() if other != fact}))


@pytest.mark.parametrize("name", names())
def test_every_template_says_what_it_is_given(name: str) -> None:
    """Each fact is documented at the top of its template."""
    head = TEXTS[f"{name}.txt.j2"].partition("-#}")[0]
    assert [fact for fact in sample(name) if fact not in head] == []


def test_an_acknowledgement_tells_nothing_of_the_body() -> None:
    text = part(composed(kind("acknowledgement", facts={**sample("acknowledgement"), "text": "SECRET"})), "text/plain")
    assert "SECRET" not in text
    assert "15:30 CET" in text


# Which file


@pytest.mark.parametrize(
    ("queue", "language", "used"),
    [
        ("", "", "plain"),
        ("", "en", "plain"),
        ("", "de", "german"),
        ("", "de-AT", "austrian"),
        ("", "de_CH", "german"),
        ("", "fr", "plain"),
        ("sales", "", "sales"),
        ("sales", "de", "german sales"),
        ("sales", "fr", "sales"),
        ("support", "de", "german"),
        ("support", "uk", "plain"),
    ],
)  # fmt: skip
def test_the_nearest_file_is_used(queue: str, language: str, used: str) -> None:
    texts = {
        "x.txt.j2": "plain", "x.de.txt.j2": "german", "x.de-at.txt.j2": "austrian", "sales/x.txt.j2": "sales",
        "sales/x.de.txt.j2": "german sales",
    }  # fmt: skip
    assert Templates(texts).render("x", {}, queue=queue, language=language).subject == used


def test_the_sites_language_stands_in_for_an_unknown_one() -> None:
    templates = Templates({"x.txt.j2": "plain", "x.uk.txt.j2": "Ukrainian"}, language="uk")
    assert templates.render("x", {}).language == "uk"
    assert templates.render("x", {}, language="en").subject == "plain"


def test_a_template_in_english_speaks_english_throughout() -> None:
    templates = Templates({"x.txt.j2": "{{ at|when }}"})
    assert templates.render("x", {"at": datetime(2026, 5, 4, tzinfo=UTC)}, language="de").subject == "Mon 4 May 2026, 00:00 UTC"


# Strict, sandboxed, capped


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% if nothing %}x{% endif %}", "'nothing' is undefined"),
        ("{{ words(nothing) }}", "'nothing' is undefined"),
        ("{{ nothing|when }}", "undefined"),
        ("{{ 3|when }}", "'when' takes an instant"),
        ("{{ 3|duration }}", "'duration' takes a length"),
        ("{{ 'x'|workdays }}", "'workdays' takes a number"),
        ("{{ ''.__class__ }}", "unsafe"),
        ("{{ (1).__class__.__base__ }}", "unsafe"),
        ("{{ 'a' * 1000000000 }}", "numbers only"),
        ("{{ 10 ** 10 ** 10 }}", "powers"),
        ("{{ '%1000000000d' % 1 }}", "numbers only"),
        ("{{ range(1001)|list }}", "at most 1000"),
        ("{% for a in range(99) %}{% for b in range(1000) %}spam and eggs{% endfor %}{% endfor %}", "writes more than"),
        ("{% for a in range(1000) %}{% for b in range(1000) %}{% set c = a %}{% endfor %}{% endfor %}", "loops more than"),
        ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}", "loops more than"),
        ("{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a|length }}", "writes more than"),
        ("{{ 'a'|center(1000000000) }}", "no number above"),
        ("{{ 'a'.ljust(1000000000) }}", "no number above"),
        ("{{ '%1000000000d'|format(1) }}", "such a width"),
        ("{{ '{:1000000000}'.format(1) }}", "such a width"),
        ("{{ '{:{}}'.format(1, 1000000000) }}", "no number above"),
        ("{{ 'a'|indent(1000000000) }}", "no number above"),
        ("{{ rows.append(1) }}", "unsafe"),
        ("{{ rows.nothing }}", "no attribute 'nothing'"),
        ("{% include 'secret.txt' %}", "does not exist"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
    ],
)
def test_mistakes_and_tricks_are_refused_with_their_line(text: str, what: str) -> None:
    with pytest.raises(TemplateError) as caught:
        said(text, rows=[])
    assert what in caught.value.problem.what
    assert (caught.value.problem.file, caught.value.problem.line) in (("x.txt.j2", 3), ("x.txt.j2", 1))


def test_syntax_errors_and_missing_templates_say_where() -> None:
    with pytest.raises(TemplateError, match=r"x\.txt\.j2:2: .*unknown tag 'endfor'"):
        Templates({"x.txt.j2": "hi\n{% endfor %}"}).render("x", {})
    with pytest.raises(TemplateError, match="no such template"):
        Templates({}).render("x", {})
    with pytest.raises(TemplateError, match="too long"):
        Templates({"x.txt.j2": "x" * 70_000}).render("x", {})


def test_the_linter_finds_names_that_no_mail_has() -> None:
    templates = Templates(
        {"x.txt.j2": "s\n\n{{ known }}\n{{ knwon }}", "y.txt.j2": "{% if %}", "sales/z.de.txt.j2": "", "x.de.txt.j2": "{{ link('a') }}"}
    )
    found = [(problem.file, problem.line, problem.what) for problem in templates.problems({"x": {"known"}, "y": ()})]
    assert found == [
        ("sales/z.de.txt.j2", 1, "no mail is called 'z'"),
        ("x.txt.j2", 4, "no fact is called 'knwon'"),
        ("y.txt.j2", 1, "Expected an expression, got 'end of statement block'"),
    ]


@pytest.mark.parametrize("text", ["", "\n \n", "{# what it is for\n#}\n"])
def test_a_template_with_nothing_in_it_is_a_mistake(text: str) -> None:
    """What a full disk leaves behind an editor: customers would get empty mails."""
    templates = Templates({"closing.txt.j2": text, "_shared.txt.j2": ""}, "UTC", "en")
    assert [problem.what for problem in templates.problems({"closing": ()})] == ["nothing is written in it"]


def test_files_to_be_included_are_no_mails() -> None:
    templates = Templates({"x.txt.j2": "s\n\n{% include '_foot.txt.j2' %}", "_foot.txt.j2": "Yours, {{ site }}"})
    assert templates.names() == ("x",)
    assert templates.problems({"x": {"site"}}) == []
    assert plain(templates.render("x", {"site": "Example"}).blocks) == "Yours, Example"


def test_the_documentation_names_every_mail_and_every_filter() -> None:
    text = (FOLDER.parent / "docs" / "templates.md").read_text()
    assert [name for name in names() if f"| `{name}` |" not in text] == []
    assert [use for use in ("|when", "|duration", "|workdays", "words(", "quote(", "link(", "links(") if use not in text] == []


def test_no_value_is_template_source() -> None:
    assert said("{{ name }}\n\n{{ words(name) }}", name="{{ 7*7 }}{% raw %}") == "{{ 7*7 }}{% raw %}\n\n{{ 7*7 }}{% raw %}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines", "two lines"), ("a\r\n\r\n- item\n---", "a - item ---"), ("\x020\x03", "0"), ("\u202eabc", "abc"),
        (None, ""), (["a\nb", 3], "a b, 3"),
        ("x" * 2000, "x" * 999 + "…"), (7, "7"), ("  Label: value", "Label: value"),
    ],
)  # fmt: skip
def test_a_value_is_one_line_and_makes_no_structure(value: object, shown: str) -> None:
    rendered = Templates({"x.txt.j2": "{{ value }}\n\nIt says: {{ value }}"}).render("x", {"value": value})
    assert plain(rendered.blocks) == f"It says: {shown}"
    assert [block.kind for block in rendered.blocks] == ["paragraph"]
    assert rendered.subject == (shown if len(shown) <= 250 else shown[:249] + "…")


# Blocks


def test_the_shape_of_a_template_becomes_blocks() -> None:
    text = "One\ntwo\n\nHead\n---\n- a\n- b\n  more\n\n  Label: 1\n  Longer label: 2\nafter"
    assert said(text) == "One\ntwo\n\nHead\n----\n\n- a\n- b\n  more\n\n  Label:        1\n  Longer label: 2\n\nafter"


def test_links_stand_where_they_are_placed_and_the_rest_at_the_end() -> None:
    offers = [
        Offer(name, name.title(), f"mailto:{name}@x", request) for name, request in (("take", 1), ("ack", 1), ("snooze", 2), ("wait", 2))
    ]
    assert said("Now {{ link('ack', 'yes') }}!{{ link('none') }}\n\n{{ links(request=2) }}\n\nBye", offers) == (
        "Now yes <mailto:ack@x>!\n\n  Snooze:\n  <mailto:snooze@x>\n  Wait:\n  <mailto:wait@x>\n\nBye\n\n  Take:\n  <mailto:take@x>"
    )
    assert said("{{ links(('wait', 'Later'), 'take') }}", offers).startswith("  Take:\n  <mailto:take@x>\n  Later:\n")


def test_quotations_are_cut_and_words_are_not() -> None:
    text = "\n".join(f"line {n}" for n in range(30))
    assert said("{{ words(text) }}", text=text) == text
    assert said("{{ quote(text, 2) }}", text="a\n\nb") == "> a\n>\n> […]"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a < b & c\nd", '<p dir="auto" style="margin:0 0 12px;">a &lt; b &amp; c<br>\nd</p>'),
        ("a  b", '<p dir="auto" style="margin:0 0 12px;">a&nbsp;&nbsp;b</p>'),
        ("see (https://x.example/a_(b)?c=1&d).", 'see (<a href="https://x.example/a_(b)?c=1&amp;d"'),
        ("javascript:alert(1) data:text/html,x", '<p dir="auto" style="margin:0 0 12px;">javascript:alert(1) data:text/html,x</p>'),
        ('http://x.example/"onclick="x', "http://x.example/</a>&quot;onclick=&quot;x"),
        ("a    b\nc    d", "<pre "),
        ("| a | b |", "<pre "),
        ("> q\n>> r\nmine", "<blockquote "),
        ("[cid:1] [cid:2]", 'src="cid:ours" alt="p.png" style="max-width:100%;height:auto;border:0;"> [cid:2]'),
    ],
)
def test_words_as_html(text: str, html: str) -> None:
    assert html in words_html(text, {"1": ("ours", "p.png")})


def test_deep_quotations_do_not_grow_the_html() -> None:
    assert len(words_html("\n".join(">" * n + " x" for n in range(500)), {})) < 20_000


def test_the_layout_escapes_what_it_draws() -> None:
    blocks = (Block("paragraph", lines=((Run("<b>"), Run("l<", 'mailto:x@y?subject="')),)), Block("heading", text="<h>"))
    frame = {"subject": "<s>", "site": "", "number": 0, "staff": False, "mark": "<m>", "pictures": {}, "loose_pictures": []}
    html = TEMPLATES.html(blocks, frame)
    assert all(tag not in html for tag in ("<b>", "<h>", "<s>", "<m>"))
    assert 'href="mailto:x@y?subject=&quot;"' in html


def test_what_an_html_page_includes_is_escaped_whatever_it_is_called() -> None:
    """And in a plain mail it is not, though the same text was read before."""
    including = "s\n\n{% include '_foot.txt.j2' %}"
    templates = Templates({"x.html.j2": including, "x.txt.j2": including, "_foot.txt.j2": "{{ word }}"})
    assert plain(templates.render("x", {"word": "<b>"}).blocks) == "<b>"
    assert templates.page("x", {"word": "<b>"}) == "s\n\n&lt;b&gt;\n"


# Instants and lengths


@pytest.mark.parametrize(
    ("zone", "language", "shown"),
    [
        ("Europe/Berlin", "en", "Mon 23 Nov 2026, 15:00 CET"),
        ("Europe/Berlin", "de-AT", "Mo 23. Nov. 2026, 15:00 CET"),
        ("Europe/Kyiv", "uk", "пн 23 листопада 2026, 16:00 EET"),
        ("America/Sao_Paulo", "pt", "Mon 23 Nov 2026, 11:00 UTC-03"),
        ("Asia/Kathmandu", "en", "Mon 23 Nov 2026, 19:45 UTC+0545"),
        ("UTC", "en", "Mon 23 Nov 2026, 14:00 UTC"),
    ],
)
def test_instants_are_told_on_the_wall_clock(zone: str, language: str, shown: str) -> None:
    assert when(datetime(2026, 11, 23, 14, tzinfo=UTC), ZoneInfo(zone), language) == shown


@pytest.mark.parametrize(
    ("length", "language", "shown"),
    [
        (timedelta(minutes=90), "en", "1 hour 30 minutes"),
        (timedelta(days=2, hours=3, minutes=4), "en", "2 days 3 hours"),
        (timedelta(seconds=59), "en", "less than a minute"),
        (-timedelta(hours=1), "en", "1 hour"),
        (timedelta(days=1, minutes=1), "de", "1 Tag 1 Minute"),
        (timedelta(hours=21, minutes=22), "uk", "21 година 22 хвилини"),
        (timedelta(hours=11, minutes=12), "uk", "11 годин 12 хвилин"),
    ],
)
def test_lengths_are_told_in_their_two_largest_units(length: timedelta, language: str, shown: str) -> None:
    assert duration(length, language) == shown


@pytest.mark.parametrize(
    ("count", "language", "shown"),
    [(1, "en", "1 business day"), (2, "en", "2 business days"), (5, "de", "5 Werktage"), (1, "de-AT", "1 Werktag"),
     (2, "uk", "2 робочі дні"), (5, "uk", "5 робочих днів")],
)  # fmt: skip
def test_business_days_are_told_in_words(count: int, language: str, shown: str) -> None:
    assert workdays(count, language) == shown
