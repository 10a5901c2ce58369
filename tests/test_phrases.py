"""No English in German and Ukrainian mails: every sentence of the desk has its translation, and every sample holds nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest

from rtmail.desk.grammar.registry import SPECS
from rtmail.desk.promised.consent import State
from rtmail.mail.writing.phrases import known, said
from rtmail.mail.writing.phrases_de import PHRASES as GERMAN
from rtmail.mail.writing.phrases_uk import PHRASES as UKRAINIAN
from rtmail.mail.writing.samples import names, sample_draft
from rtmail.policy.rows import ClockKind
from tests.fakes.mailroom import TEMPLATES, composed

DESK = Path(__file__).resolve().parent.parent / "rtmail" / "desk"
LANGUAGES = ("de", "uk")

# What reads or judges mail, and what is about rtmail itself, speaks to programs and to the admin.
_NOT_TO_STAFF = {"lookalikes.py", "sender.py", "evidence.py", "match.py", "case.py", "thanks.py", "duty.py", "simulate.py", "absence.py",
                 "rt.py"}
_SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
_NO_SENTENCES = {
    # Links by their names, whose labels stand in templates; lines to copy; words that customers write.
    "send as correspondence", "send as comment", "send as written", "eta tomorrow noon", "wait until Fri 9:00", "nicht einverstanden",
    "Reclassify: Xx, it works slowly", "Reclassify: Xx, it stops all work", "Xx in Xx", "got all",
    "hand over Xx: it happens with every file above 2 GB", "hand over Xx: what you found", *(spec.example for spec in SPECS),
}


def sentences(path: Path) -> Iterator[str]:
    """Every text of a module that looks like words for people; what it fills in stands as Xx."""
    tree = ast.parse(path.read_text())
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            inner |= {id(value) for value in node.values}
            # What a format asks for ("%d %b") is no sentence.
            inner |= {id(each) for value in node.values for each in ast.walk(value) if isinstance(value, ast.FormattedValue)
                      if isinstance(each, ast.JoinedStr) and each is value.format_spec}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(value.value) if isinstance(value, ast.Constant) else "Xx" for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_the_desk_is_in_the_list(language: str) -> None:
    found = {text for path in sorted(DESK.rglob("*.py")) if path.name not in _NOT_TO_STAFF for text in sentences(path)}
    # Why words wait for their author stands in the table of senders.
    table = DESK / "judging" / "match.py"
    found |= {text for text in sentences(table) if f'_asked("{text}")' in table.read_text()}
    engine = {text for name in ("breaker.py", "revised.py") for text in sentences(DESK.parent / "engine" / name)}
    reasons = {"the same words came from this address before", "nothing proves the sender, and only proven ones are answered",
               "more than Xx mails from this address within Xx", "more than Xx mails to this request within Xx",
               "all of it could be read only now; before, it was too large"}
    assert reasons <= engine
    found |= reasons
    wanted = {text for text in found if _SENTENCE.search(text)} - _NO_SENTENCES
    assert len(wanted) > 250, "the texts are looked at"
    assert sorted(text for text in wanted if not known(text, language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_label_and_every_reason_why_somebody_is_told_is_in_the_list(language: str) -> None:
    labels = set(re.findall(r'"what": "([A-Z][^"]+)"', "".join(path.read_text() for path in DESK.rglob("*.py"))))
    labels |= set(re.findall(r'\("([A-Z][a-z ]+)", (?:WAIT_UNTIL|DUE)\)', (DESK / "notes.py").read_text()))
    told = set(sentences(DESK.parent / "policy" / "due.py")) & {
        "triage missed: the first rung of the highest priority", "appeal: nobody decided it in time", "Xx: due soon",
        "first-response answered in time, but the relay has not accepted it", "rung Xx early: two holding updates in a row",
        "Xx missed: the rungs told so far hear of it, or the first one", "rung Xx of Xx: Xx",
    }
    assert len(labels) > 7
    assert len(told) == 7, "they stand there"
    states = {f"P2 {state}" for state in State} | {kind.value.replace("-", " ") for kind in ClockKind}
    assert sorted(text for text in labels | (told - {"rung Xx of Xx: Xx"}) | states if not known(text, language)) == []


@pytest.mark.parametrize(("english", "german", "ukrainian"), [
    ("Sat 05 Dec 2026 15:00 CET", "Sa 5. Dez. 2026, 15:00 CET", "сб 5 грудня 2026, 15:00 CET"),
    ("Tue 24 Mar 15:00 +0330", "Di 24. März 15:00 +0330", "вт 24 березня 15:00 +0330"),
    ("Thu 26 Nov, 14:00", "Do 26. Nov. 14:00", "чт 26 листопада 14:00"),
    ("05 Dec 2026", "5. Dez. 2026", "5 грудня 2026"),
])  # fmt: skip
def test_instants_within_sentences_speak_their_language(english: str, german: str, ukrainian: str) -> None:
    assert said(english, "de") == german
    assert said(english, "uk") == ukrainian
    assert said(f"request #7 is waiting; if nothing comes until {english} it is open again, and you are told", "de") == (
        f"Anfrage #7 wartet; kommt bis {german} nichts, ist sie wieder offen, und Sie erfahren es"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_of_help_is_in_the_list(language: str) -> None:
    assert [spec.help for spec in SPECS if not known(spec.help, language)] == []


def test_the_lists_have_the_same_sentences_with_the_same_places() -> None:
    assert GERMAN.keys() == UKRAINIAN.keys()
    for phrases in (GERMAN, UKRAINIAN):
        for english, other in phrases.items():
            numbered = set(re.findall(r"\{(\d)(?:![sl])?\}", other))
            places = len(re.findall(r"\{(?:![sl])?\}", other)) or len(numbered)
            assert places == english.count("{}"), english


@pytest.mark.parametrize(("text", "german"), [
    ("it was open already", "sie war schon offen"),
    ("it is yours now, it was Kim Lee´s", "sie gehört jetzt Ihnen, vorher Kim Lee"),
    ("it is yours now", "sie gehört jetzt Ihnen"),
    ("the priority is P2, it was P3; the requestor is told, who asked for it",
     "die Priorität ist P2, sie war P3; der Anfragende erfährt es, der sie gewünscht hat"),
    ("the priority is P2; the requestor is told", "die Priorität ist P2; der Anfragende erfährt es"),
    ("there is no priority P9; there are P1, P2", "eine Priorität P9 gibt es nicht; es gibt P1, P2"),
    ("{0.__class__} is not known", "{0.__class__} ist nicht bekannt"),
    ("Something of their own", "Something of their own"),
    ("9 is not asked for; 1, 2 is", "um 9 ist nicht gebeten, um 1, 2 schon"),
    ("handed over to tier2; its staff are told, it was Kim Lee´s, the customer notices nothing",
     "übergeben an tier2; die dort wissen es, vorher Kim Lee, der Kunde merkt nichts davon"),
    ("tier2 needs to know first: `Version: …`; what you found, in 5 words or more behind `hand over tier2`",
     "tier2 muss zuerst wissen: `Version: …`; was Sie fanden, in 5 Wörtern oder mehr hinter `hand over tier2`"),
    ("Answers 1, 3 of what was asked for. Still asked for: 2. the log. `got 2` ticks it.",
     "Beantwortet 1, 3 von dem, worum gebeten wurde. Noch offen: 2. the log. `got 2` hakt es ab."),
    ("it names a colleague and no customer, but was sent to the public address.",
     "er geht an jemanden aus dem Kollegenkreis und an keinen Kunden, aber an die öffentliche Adresse."),
    ("handover is taken back: it is in support again, Jane Doe owns it again, Jane <jane@staff.example> is watcher no more",
     "handover ist zurückgenommen: sie ist wieder in support, Jane Doe hat sie wieder, Jane <jane@staff.example> ist nicht mehr watcher"),
    ("JIRA-12 is fixed in 4.2: #1 was told; #2 was not: nobody to write to, or a queue that is not yours",
     "JIRA-12 ist behoben in 4.2: #1 weiß es jetzt; #2 nicht: niemand, dem man schreiben könnte, oder ein Bereich, der nicht Ihrer ist"),
    ("#1: A maintenance from Sat 05 Dec 2026 12:00 EST to Sat 05 Dec 2026 14:00 EST; affects organisation acme, service mail.",
     "#1: Eine Wartung von Sa 5. Dez. 2026, 12:00 EST bis Sa 5. Dez. 2026, 14:00 EST; betrifft Organisation acme, Dienst mail."),
    ("noted: EB-30; EB-12 may be the same: `list bugs` shows what hangs on each",
     "vermerkt: EB-30; EB-12 ist vielleicht dasselbe: `list bugs` zeigt, was an jedem hängt"),
    ("Asks for the priority P1 (Down, or (nearly) so) instead of P3. `Priority: P1` sets it.",
     "Wünscht die Priorität P1 (Down, or (nearly) so) statt P3. `Priority: P1` setzt sie."),
    ("What seemed private is taken out by Max Boss; it came in before.",
     "Was vertraulich schien, ist entfernt (Max Boss); sie kam früher herein."),
    ("It seems to hold a card number, a private key and a password: subject and words wait for somebody with the right to see them.",
     "Sie enthält offenbar eine Kartennummer, einen privaten Schlüssel und ein Passwort: Betreff und Text warten auf jemanden, der sie "
     "sehen darf."),
])  # fmt: skip
def test_what_a_sentence_names_stays(text: str, german: str) -> None:
    assert said(text, "de-AT") == german
    assert said(text, "en") == said(text, "fr") == text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("sentence", "written"), [
    ("the field Steps is {}", "it was open already"),
    ("they repeat what was said among staff: \"{} ...\".", "it was open already"),
    ("they repeat what was said among staff: \"(in an attachment) {} ...\".", "it is yours now"),
    ("Steps: it was open already (was: {})", "nobody, yes, none"),
    ("the field Steps is {} again", "no answer"),
    ("Not understood: Severity: {}", "the request is open"),
    ("Root cause is one of: {}", "nobody, yes, none"),
    ("noted; still asked for: {}", "1. the printer is not known"),
    ("Still asked for: {}. `got 1` ticks it.", "1. open"),
    ("say first, in a line of its own: {}", "`Priority: …` (open, closed)"),
])  # fmt: skip
def test_what_people_wrote_stays_within_a_sentence_of_ours(language: str, sentence: str, written: str) -> None:
    told = said(sentence.format(written), language)
    assert written in told
    assert told != sentence.format(written), "the rest of it is translated"


def test_hostile_names_cost_no_time() -> None:
    assert said("the priority is " + ", it was " * 20_000, "uk")


_OWN_WORDS = {"text", "title", "excerpt", "subject", "who", "requestor", "answer", "meaning", "value", "words", "organisation", "role",
              "line", "example", "instead", "priority", "told", "commands"}
"""Facts that people wrote or are called by, and commands as they are written."""


def _bare(facts: Any, key: str = "") -> Any:
    if isinstance(facts, str):
        return "" if key in _OWN_WORDS else facts
    if isinstance(facts, dict):
        return {name: _bare(value, "text" if name == "said" and facts.get("written") else name) for name, value in facts.items()}
    return [_bare(one, key) for one in facts] if isinstance(facts, list) else facts


def text_of(name: str, language: str) -> str:
    draft = sample_draft(name, language=language)
    facts = _bare(dict(draft.facts))
    if name == "priority-told":
        facts["reason"] = ""  # an engineer's own words
    mail = cast(EmailMessage, message_from_bytes(composed(replace(draft, facts=facts)).raw, policy=default))
    body = mail.get_body(("plain",))
    assert body is not None
    # Links and quoted commands are no words of ours.
    return re.sub(r"<[^>]*>|`[^`]*`|'[^']*'|\"list mine\"|\[internal: staff only\]|\S+@\S+|ref:\S+", " ", str(body.get_content()))


_NAMES = {"health", "critical", "data", "high", "included", "awful", "cause", "rtmail", "outage", "support", "down", "mine",
          "flag", "spam", "printing", "slow"}
_SHARED = {
    "de": {"hat", "was", "will", "die", "war", "in", "min"},
    "uk": {"min"},
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", names())
def test_no_sample_holds_a_word_of_the_english_one(name: str, language: str) -> None:
    if language not in TEMPLATES.languages(name):
        pytest.skip("English alone")
    words = set(re.findall(r"\b[a-z]{3,}\b", text_of(name, "en")))
    found = set(re.findall(r"\b[a-z]{3,}\b", text_of(name, language))) & words
    assert found - _SHARED[language] - _NAMES == set()


def test_every_kind_of_answer_to_staff_is_shown_in_every_language() -> None:
    source = (DESK.parent / "engine" / "answering.py").read_text()
    kinds = set(re.findall(r'"kind": "([a-z]+)"', source))
    samples = {one["kind"] for one in sample_draft("receipt").facts["answers"]}
    assert len(kinds) > 5
    assert kinds <= samples, "each holds every kind, and is rendered in every language"
