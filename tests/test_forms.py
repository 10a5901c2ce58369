"""What people fill in, read forgivingly and from nowhere else: lines, forms filled in between their lines, HTML, boxes, other languages."""

from __future__ import annotations

import pytest

from rtmail.desk.grammar.forms import Reading, one, read
from rtmail.errors import PolicyError
from rtmail.mail.reading.html import html_to_text
from rtmail.mail.reading.quoting import split
from rtmail.policy.fields import Condition
from rtmail.policy.schema import parse

POLICY = parse(
    """
name = "X"
[priorities.P1]
code = 1
[fields.version]
required = true
also = ["Release"]
[fields.places]
label = "Environments"
kind = "choices"
choices = ["Production", "Test", "Development"]
de = "Umgebungen"
choices_de = ["Produktion", "Prüfung", "Entwicklung"]
[fields.steps]
label = "Steps to reproduce"
uk = "Кроки"
[fields.severity]
kind = "choice"
choices = ["1 critical", "2 high"]
[fields.clean]
label = "No health data is included"
kind = "confirm"
required = true
""",
    "x.toml",
)
FORM = """=== Form for request #7 ===

Version:

Environments (one or more of: Production, Test, Development; optional):

Steps to reproduce (optional):

Severity (one of: 1 critical, 2 high):

No health data is included (yes or no):

=== End of the form ==="""


def quoted(text: str, sign: str = "> ") -> str:
    return "\n".join((sign + line).rstrip() for line in text.split("\n"))


def answered(text: str) -> str:
    """A mail client's answer: its line above, and the quotation."""
    return f"On Mon, 23 Nov 2026 at 10:00, Example <support@example.com> wrote:\n{quoted(text)}"


def found(text: str, *, number: int = 7, new_words: str | None = None) -> dict[str, object]:
    words = split(text).new if new_words is None else new_words
    return {reading.key: reading.value for reading in read(text, words, POLICY.fields, number)}


LINES = {
    "plain": ("Hi,\n\nVersion: 4.2\nSeverity: 2 high", {"version": "4.2", "severity": "2 high"}),
    "another name, another case": ("RELEASE : 4.2", {"version": "4.2"}),
    "bold, bullets, numbers": (
        "*Version:* 4.2\n- Severity: high\n3. Umgebungen: Test", {"version": "4.2", "severity": "2 high", "places": ("Test",)},
    ),
    "equals, and a full-width colon": ("Version = 4.2\nSeverity\uff1a1", {"version": "4.2", "severity": "1 critical"}),
    "a table": ("Version | 4.2\nSeverity\t2 high", {"version": "4.2", "severity": "2 high"}),
    "a paragraph below": ("Steps to reproduce:\n\n1. open\n2. click\n\nThat is all.", {"steps": "1. open\n2. click"}),
    "what a client broke off": (
        f"Steps to reproduce: {'open it and ' * 5}then\nclick twice\nand wait", {"steps": f"{'open it and ' * 5}then\nclick twice"},
    ),
    "a short value takes no sentence with it": ("Version: 4.2\nIt burns.", {"version": "4.2"}),
    "several choices": ("Environments: prod and Prüfung; development", {"places": ("Production", "Test", "Development")}),
    "all of them": ("Umgebungen: alle", {"places": ("Production", "Test", "Development")}),
    "boxes": ("Environments:\n[x] Production\n[ ] Test\n[X] Development", {"places": ("Production", "Development")}),
    "a box on one line": ("Severity: [ ] 1 critical [x] 2 high", {"severity": "2 high"}),
    "in a sentence": ("Severity: I think it is 2 high", {"severity": "2 high"}),
    "Ukrainian": ("Кроки: відкрити", {"steps": "відкрити"}),
    "confirmed": ("No health data is included: I confirm", {"clean": "yes"}),
    "so, too": ("No health data is included: ja", {"clean": "yes"}),
    "not confirmed": ("No health data is included: I can not confirm that", {"clean": "no"}),
    "nothing behind it": ("Version:\n\n\nSeverity: ____\nSteps to reproduce: ?", {}),
    "below the closing words": ("It is down.\n\nBest regards\nVersion: 9", {}),
    "in a signature": ("It is down.\n-- \nBob\nVersion: 9", {}),
    "in the middle of a line": ("The Version: 4.2 we have", {}),
    "in what is quoted": ("> Version: 9\n\nno idea", {}),
    "a log with double lines": ("====== build ======\nVersion: 4.2", {"version": "4.2"}),
}


@pytest.mark.parametrize("case", LINES, ids=str)
def test_lines(case: str) -> None:
    text, wanted = LINES[case]
    assert found(text) == wanted


ONLY_PLAIN = ("in a signature", "in what is quoted", "a table", "boxes")
"""HTML has other ways to say these."""


@pytest.mark.parametrize("case", [case for case in LINES if case not in ONLY_PLAIN], ids=str)
def test_the_same_in_html(case: str) -> None:
    text, wanted = LINES[case]
    html = "".join(f"<p>{'<br>'.join(part.split(chr(10)))}</p>" for part in text.split("\n\n"))
    got = found(html_to_text(f"<html><body>{html}</body></html>"))
    first, should = ({key: str(value).split("\n")[0] for key, value in some.items()} for some in (got, wanted))
    assert first == should


FILLED = FORM.replace("Version:\n", "Version: 4.2\n").replace("2 high):", "2 high): 1").replace("or no):", "or no): yes")
BELOW = (
    quoted(FORM)
    .replace("> Version:\n>", "> Version:\n4.2\n>")
    .replace("2 high):\n>", "2 high):\n\ncritical, I fear\n\n>")
    .replace("or no):", "or no): yes")
)
WRAPPED = quoted(FILLED).replace("Test, Development; optional):", "Test,\n> Development; optional): Test")
WANTED = {"version": "4.2", "severity": "1 critical", "clean": "yes"}
FORMS = {
    "filled in, above the quotation": (FILLED, WANTED),
    "filled in within the quotation": (answered(FILLED), WANTED),
    "and words above": (f"Here you are.\n\n{answered(FILLED)}", WANTED),
    "answered between the lines": (f"See below.\n\nOn Mon, 23 Nov 2026 at 10:00, Example <support@example.com> wrote:\n{BELOW}", WANTED),
    "a broken question": (f"Hi\n\n{WRAPPED}", {**WANTED, "places": ("Test",)}),
    "quoted by nothing but a header": (
        f"Done.\n\n-----Original Message-----\nFrom: Example <support@example.com>\nSent: Monday, 23 November 2026 10:00\n"
        f"To: Bob\nSubject: Re: [Example #7] Down\n\n{FILLED}\n\nref:abc", WANTED),
    "an empty form": (f"Later.\n\n{answered(FORM)}", {}),
    "lines without colons": (FILLED.replace("Version: 4.2", "Version\n4.2"), WANTED),
    "its last line deleted": (FILLED.replace("=== End of the form ===", "-- \nBob\nSteps to reproduce: none"), WANTED),
    "the nearest form counts": (f"{answered(FORM)}\n{quoted(FILLED, '>> ')}", {}),
}


@pytest.mark.parametrize("case", FORMS, ids=str)
def test_forms(case: str) -> None:
    text, wanted = FORMS[case]
    assert found(text) == wanted


@pytest.mark.parametrize("case", ["filled in within the quotation", "answered between the lines", "filled in, above the quotation"])
def test_a_form_of_another_request_is_not_read(case: str) -> None:
    assert found(FORMS[case][0], number=8) == {}


def test_a_form_in_html_as_webmail_quotes_it() -> None:
    lines = "".join(f"<p>{line}</p>" for line in FILLED.split("\n") if line)
    above = '<div>Done.</div><div class="gmail_quote"><div>On Mon, Example wrote:<br></div>'
    assert found(html_to_text(f'{above}<blockquote class="gmail_quote">{lines}</blockquote></div>')) == WANTED


def test_new_words_count_before_the_quoted_form() -> None:
    text = f"Version: 5\n\n{answered(FILLED)}"
    assert found(text)["version"] == "5"
    readings = {reading.key: reading.quoted for reading in read(text, split(text).new, POLICY.fields, 7)}
    assert readings == {"version": False, "severity": True, "clean": True}


@pytest.mark.parametrize(
    ("key", "said", "wrong"), [("severity", "awful", "choice"), ("places", "Production, moon", "choices"), ("clean", "perhaps", "confirm")]
)
def test_what_cannot_be_is_told(key: str, said: str, wrong: str) -> None:
    label = POLICY.fields[key].label("en")
    (reading,) = read("", f"{label}: {said}", POLICY.fields, 7)
    assert (reading.key, reading.said, reading.wrong) == (key, said, wrong)


def test_staff_take_a_value_away() -> None:
    assert one(POLICY.fields["version"], "-") == Reading("version", None, "-", taken_away=True)
    assert one(POLICY.fields["version"], " 4.2 ").value == "4.2"


HOSTILE = ("=" * 100_000, "a " * 50_000, "(" * 100_000, "Version" + " " * 100_000 + "x", "[x]" * 30_000, ">" * 50_000)


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_read_in_no_time(hostile: str) -> None:
    for text in (hostile, f"Version: {hostile}", f"=== #7 ===\nSeverity: {hostile}\n" * 3, f"Environments: {hostile}"):
        read(text, text, POLICY.fields, 7)


def test_conditions() -> None:
    both = Condition({"places": ("Production", "Test"), "version": ("*",)})
    assert both.holds({"places": ("Development", "Test"), "version": "4"})
    assert not both.holds({"places": ("Development",), "version": "4"})
    assert not both.holds({"places": ("Test",)})
    assert Condition().holds({})


BAD = {
    '[fields.a]\nlabel = "A: b"': "fields.a.label is 'A: b'",
    '[fields.a]\nkind = "choice"': "fields.a.choices is missing",
    '[fields.a]\nkind = "choice"\nchoices = ["x", "X"]': "fields.a.choices has the same choice twice",
    '[fields.a]\nkind = "choice"\nchoices = ["x, y"]': "'x, y' cannot be a choice",
    '[fields.a]\nkind = "choice"\nchoices = ["x", "y"]\nchoices_de = ["x"]': "fields.a.choices_de has 1 choices, not 2",
    '[fields.a]\nchoices = ["x"]': "fields.a.choices has no meaning in a text",
    '[fields.a]\nlabel = "Same"\n[fields.b]\nlabel = "same"': "a and b are both called 'same'",
    '[fields.a]\nwhen = {b = "x"}': "fields.a.when.b names no field above it",
    '[fields.a]\nneeded_to = "sing"': "fields.a.needed_to names 'sing'",
    '[fields.a]\nby = "staff"\nrequired = true': "staff are asked for nothing at intake",
    '[fields.a]\npublic = false': "a customer cannot be kept from what he wrote himself",
    '[[rules]]\nwhen = {a = "x"}\npriority = "P1"': "rules.0.when.a names no field above it",
    '[fields.a]\n[[rules]]\npriority = "P1"': "a rule says not when",
    '[fields.a]\n[[rules]]\nwhen = {a = "x"}\npriority = "P9"': "rules.priority names no priority: 'P9'",
    '[fields.a]\n[[rules]]\nwhen = {a = "x"}': "nothing follows from a rule",
    "[fields.A]": "'A' cannot name a field",
}


@pytest.mark.parametrize("text", BAD, ids=BAD.get)
def test_mistakes_are_told(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f'name = "X"\n{text}\n[priorities.P1]\ncode = 1\n', "x.toml")
    assert BAD[text] in [problem.what for problem in caught.value.problems]
