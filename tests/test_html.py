"""HTML that reads like the plain part its sender did not write."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inscriptis.model.canvas.prefix import Prefix

from rtmail.mail.reading import html
from rtmail.mail.reading.quoting import split

OUTLOOK_RULE = '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in">'


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("no tags at all", "no tags at all"),
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two<br/><br />Three", "One\nTwo\n\nThree"),
        ("a<span>b</span>c <b>d</b>", "abc d"),
        ("<script>alert(1)</script><style>p{}</style>words", "words"),
        ('<div style="display:none">preheader</div>words', "words"),
        ("<ul><li>one</li><li>two</li></ul>", "  * one\n  * two"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>cc</td><td>dd</td></tr></table>", "a   b\ncc  dd"),
        ("&lt;b&gt; &amp; &euro;&nbsp;5", "<b> & € 5"),
        ('<?xml version="1.0" encoding="utf-16"?><html><body>Grüße</body></html>', "Grüße"),
        ("<blockquote>quoted<blockquote>deeper</blockquote>again</blockquote>new", "> quoted\n>> deeper\n> again\nnew"),
        ('<blockquote style="margin:0 0 0 40px;border:none;padding:0px">indented</blockquote>', "indented"),
        ('<blockquote type="cite" style="border:none">quoted</blockquote>', "> quoted"),
        ('<div class="yahoo_quoted">On Monday Bob wrote:<br>old</div>', "On Monday Bob wrote:\nold"),
        ('<div class="x_gmail_quote">On Monday Bob wrote:<br>old</div>', "> On Monday Bob wrote:\n> old"),
        ('<div class="gmail_quote">------ Forwarded message ------<br>From: C</div>', "------ Forwarded message ------\nFrom: C"),
        (f"New{OUTLOOK_RULE}<b>From:</b> Jane<br><b>Sent:</b> Monday</div>Old", f"New\n{html.DIVIDER}\nFrom: Jane\nSent: Monday\nOld"),
        (f"New{OUTLOOK_RULE}just a line above</div>", "New\njust a line above"),
        ('Words<div class="gmail_signature">Bob</div>', "Words\n-- \nBob"),
        ('Words<div class="gmail_signature">Bob</div><p>and a PS</p>', "Words\nBob\n\nand a PS"),
        ('Words<div class="moz-signature">-- <br>Bob</div>', "Words\n-- \nBob"),
        ('<a href="https://x.example/a?b=1">here</a>', "here <https://x.example/a?b=1>"),
        ('<a href="https://x.example/">x.example</a> <a href="mailto:a@x.example">a@x.example</a>', "x.example a@x.example"),
        ('<a href="mailto:a@x.example?subject=hi">mail me</a>', "mail me <a@x.example>"),
        ('<a href="javascript:alert(1)">here</a>', "here"),
        ('see <img src="cid:a@b"> and <img src="https://track.example/1.gif">', "see [cid:a@b] and"),
    ],
)
def test_html_to_text(source: str, text: str) -> None:
    assert html.html_to_text(source) == text


ATTRIBUTION = "On Mon, 2 Nov 2026 at 09:05, Jane &lt;j@x.example&gt; wrote:"
HEADER = "<b>From:</b> Jane &lt;j@x.example&gt;<br><b>Sent:</b> Monday, November 2, 2026 9:05<br><b>To:</b> Bob<br><b>Subject:</b> Re"
ANSWERS = {
    "Gmail": f'''<div dir="ltr">New words</div><br><div class="gmail_quote"><div class="gmail_attr">{ATTRIBUTION}<br></div>
<blockquote class="gmail_quote">Old words</blockquote></div>''',
    "Apple Mail": f'''<html><body>New words<br><div><br><blockquote type="cite"><div>{ATTRIBUTION}</div><br>
<div>Old words</div></blockquote></div></body></html>''',
    "Thunderbird": f'''<body><p>New words</p><div class="moz-cite-prefix">{ATTRIBUTION}<br></div>
<blockquote type="cite" cite="mid:1@x"><p>Old words</p></blockquote></body>''',
    "Outlook": f'''<p class="MsoNormal">New words</p>{OUTLOOK_RULE}<p class="MsoNormal">{HEADER}</p></div>
<p class="MsoNormal">Old words</p>''',
    "Outlook on the web": f'''<div>New words</div><hr style="display:inline-block;width:98%">
<div id="divRplyFwdMsg">{HEADER}<div>&nbsp;</div></div><div>Old words</div>''',
    "Yahoo": f'''<div>New words</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>{ATTRIBUTION}</div><div>Old words</div></div>''',
    "ProtonMail": f'''<div>New words</div><div class="protonmail_quote">{ATTRIBUTION}<br>
<blockquote class="protonmail_quote" type="cite">Old words</blockquote></div>''',
}


@pytest.mark.parametrize("client", ANSWERS)
def test_the_new_words_of_html_answers(client: str) -> None:
    parted = split(html.html_to_text(ANSWERS[client]))
    assert parted.new.strip() == "New words"
    assert "Old words" in parted.quoted


BOMBS = {
    "200,000 div": ("<div>" * 200_000, ""),
    "900 div": ("<div>" * 900 + "deep", "deep"),
    "5,000 div": ("<div>" * 5000 + "deep", "deep"),
    "5,000 blockquote": ("<blockquote>" * 5000 + "deep", "deep"),
    "300 quotes": ("<blockquote>" * 300 + "deep", "deep"),
    "1,000,000 <": ("<" * 1_000_000, "<"),
    "open tags": ("<a" * 400_000, ""),
    "open comments": ("words<!--" * 100_000, "words"),
    "open scripts": ("words<script>" * 100_000, "words"),
    "open entities": ("&#" * 500_000, "&#"),
    "20,000 paragraphs": ("<p>a</p>" * 20_000, "a"),
    "60,000 table rows": ("<table>" + "<tr><td>x" * 30_000, "x"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_keep_their_words(name: str) -> None:
    source, word = BOMBS[name]
    assert word in html.html_to_text(source)


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.sampled_from(["<", ">", "</", "div", "blockquote", "table", " ", "a", "&#", ";", '"', "\0", "\ue0001\ue001"])))
def test_any_html_becomes_storable_text(pieces: list[str]) -> None:
    text = html.html_to_text("".join(pieces))
    text.encode()
    assert "\0" not in text


@given(st.lists(st.text(alphabet=st.sampled_from("ab \t\n\xa0\u2028\x1c&lt;é"), max_size=8), max_size=6), st.booleans())
def test_our_merging_of_white_space_is_the_librarys(texts: list[str], bullet: bool) -> None:
    """A copy of the library's module that nobody has changed says the same for every text."""
    spec = importlib.util.find_spec("inscriptis.model.canvas.block")
    assert spec is not None
    assert spec.loader is not None
    untouched = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(untouched)
    told = []
    for merge in (html._merge_normal_text, untouched.Block.merge_normal_text):
        prefix = Prefix()
        prefix.register_prefix(2, "* " if bullet else "")
        block = untouched.Block(0, prefix)
        for text in texts:
            merge(block, text)
        told.append((block.content, block.idx, block.collapsable_whitespace, prefix.consumed))
    assert told[0] == told[1]
