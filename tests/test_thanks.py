"""A short thanks and everything that only begins like one: what neither closes nor reopens, and what must be answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtmail.desk.judging.thanks import COURTESY, Reading, affirms, read
from rtmail.mail.model import Address, Attachment, Forwarded, Kind, Mail
from rtmail.policy.model import Thanks
from tests.fakes.clockwork import shipped
from tests.fakes.judging import letter

RULES = shipped("default").thanks
NAMES = ("Bob Roe", "Jane Doe")


def said(text: str, rules: Thanks = RULES, **changes: object) -> Reading:
    mail: Mail = replace(letter(), reply_text=text, **changes)  # type: ignore[arg-type]
    return read(mail, rules, NAMES)


THANKS = [
    "Thanks", "thanks!", "Thank you.", "Thank you very much, Jane!", "Thx", "Perfect, thanks a lot for your help.",
    "Great, it works now. Thank you!",
    "Works again, thanks :-)", "Solved. Thanks, Bob", "Thanks again \N{SMILING FACE WITH OPEN MOUTH}", "*Thanks!*",
    "Thanks \N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-3}",
    "Hi Jane,\n\nthanks for the quick reply.\n\nBest regards\nBob Roe", "THANK YOU SO MUCH", "thank\nyou",
    "Danke", "Vielen Dank für Ihre schnelle Hilfe!", "Super, jetzt klappt alles. Danke!", "Herzlichen Dank und viele Grüße\nBob Roe",
    "Ja, gelöst.", "Ja, das ist jetzt gelöst", "Hat sich erledigt, danke.", "Yes, it is solved.", "Так, вирішено",
    "Danke, funktioniert wieder.", "Дякую", "Дякую за допомогу!", "Щиро дякую, все працює!", "Merci beaucoup pour votre aide",
    "Muchas gracias por su ayuda",
    "Grazie mille!", "Dank u wel", "Vielen Dank, scho\u0308ne Gru\u0308\u00dfe",
]  # fmt: skip


@pytest.mark.parametrize("text", THANKS)
def test_a_short_thanks(text: str) -> None:
    assert said(text).thanks, said(text).reason


NOT_THANKS = [
    ("", "no words"), ("   \n", "no words"), ("!!!", "no words"), ("\N{THUMBS UP SIGN}", "no words"),
    ("Hello Jane", "no word of thanks"), ("OK", "no word of thanks"),
    ("Thanks, but it still prints nothing.", "new"), ("Thanks, not yet", "new"), ("No thanks", "new"), ("Thanks for nothing", "new"),
    ("Thanks. The printer on floor two jams.", "new"), ("Thanks in advance", "new"), ("Thanks. Help!", "new"),
    ("It did it again, thanks", "new"),
    ("Danke, aber es geht nicht.", "new"), ("Danke, jetzt ist es wieder so.", "new"), ("Danke. Hilfe!", "new"), ("Danke im Voraus", "new"),
    ("Noch nicht gelöst", "new"), ("Nein, nicht gelöst", "new"),
    ("Дякую, але не працює", "new"), ("Дякую, знову так", "new"), ("Merci, mais non", "new"), ("Gracias, pero no", "new"),
    ("Thanks! Works now?", "asks"), ("Thanks\uff1f", "asks"), ("Thanks \u061f", "asks"), ("Gracias \u00bf", "asks"),
    ("Thanks for your help on 17 May", "number"), ("Thanks, #1042", "number"), ("Thanks, floor \u0662", "number"), ("Thanks \u2461",
    "number"),
    ("Thanks https://acme.example", "signs"), ("Thanks jane@staff.example", "signs"), ("Thanks :-(", "signs"),
    ("Thanks \N{THUMBS DOWN SIGN}", "signs"),
    ("Thanks acme.example", "new"), ("Thanks, see error_log", "signs"), ("Thanks <b>", "signs"), ("Thanks = off", "signs"),
    ("Thanks for all the good and very quick and kind and helpful work, team", "more than 12"),
    ("Danke for the reply", "new"), ("Thanks Eve", "new"), ("Thanks, Jane, Bob and Mallory", "new"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), NOT_THANKS)
def test_when_unsure_it_is_no_thanks(text: str, reason: str) -> None:
    reading = said(text)
    assert not reading.thanks
    assert reason in reading.reason


YES = [
    "Yes", "yes.", "Yes!", "Yes, it is.", "Yes it is, thanks", "Yes, it is solved. Thank you very much!", "Yep", "Yes please close it.",
    "Yes, you can close the ticket.", "Yes, the issue is resolved", "Hi Jane,\n\nyes, it works now.\n\nBest regards\nBob Roe",
    "Ja", "Ja.", "Ja, gelöst.", "Ja, das sehe ich auch so.", "Ja, danke!", "Ja, funktioniert wieder. Vielen Dank!",
    "Ja, bitte schließen.", "Ja, das Problem ist gelöst", "Guten Tag Frau Doe,\n\nja.\n\nMit freundlichen Grüßen\nBob Roe",
    "Так", "так.", "Так, вирішено", "Так, дякую!", "Так, можна закривати.", "Так, все працює",
]  # fmt: skip
NO_YES = [
    "", "No", "Nein", "Ні", "OK", "Thanks", "Yes?", "Yes and no", "Yes, but it jams again.", "Yes, still", "Yes, the problem is this",
    "Yes, I see the problem", "Yes, again", "Yes, not yet", "Yes, close it and send me the bill", "Yes, room 7", "Yes, help",
    "Yes, it did it again",
    "Ja, aber es geht nicht.", "Ja, nein", "Ja, noch nicht", "Ja, das ist wieder das Problem", "Ja, ich sehe das Problem", "Ja, geht so",
    "Так, але не працює", "Так, знову", "Так, проблема", "Yes, Mallory", "Yes " * 13,
]  # fmt: skip


@pytest.mark.parametrize("text", YES)
def test_a_bare_yes(text: str) -> None:
    assert affirms(replace(letter(), reply_text=text), RULES, NAMES)


@pytest.mark.parametrize("text", NO_YES)
def test_when_unsure_it_is_no_yes(text: str) -> None:
    assert not affirms(replace(letter(), reply_text=text), RULES, NAMES)


def test_a_yes_with_a_file_or_by_a_machine_is_none() -> None:
    logo = Attachment("logo.png", "image/png", 100, "", "2", "c@1", inline=True)
    assert not affirms(replace(letter(), reply_text="Yes", attachments=(logo,)), RULES, NAMES)
    assert not affirms(replace(letter(), reply_text="Yes", kind=Kind.MACHINE), RULES, NAMES)


def test_twelve_words_are_the_most() -> None:
    twelve = " ".join(["thanks"] * 12)
    assert said(twelve).thanks
    assert not said(f"{twelve} thanks").thanks
    assert said(f"{twelve} thanks", replace(RULES, max_words=13)).thanks


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.REQUEST_OR_REPLY])
def test_machines_thank_nobody(kind: Kind) -> None:
    assert not said("Thanks", kind=kind).thanks


def test_what_is_attached_may_be_new() -> None:
    logo = Attachment("logo.png", "image/png", 100, "", "2", "c@1", inline=True)
    assert not said("Thanks", attachments=(logo,)).thanks
    assert not said("Thanks", forwarded=Forwarded("inline", Address("eve@x.example"), "Printer", "It is down")).thanks


def test_the_word_list_is_the_policys() -> None:
    assert not said("Thanks", Thanks()).thanks, "no list, no thanks"
    assert said("Tak", Thanks(words={"da": ("tak", "mange tak")})).thanks
    assert said("Mange tak, Jane", Thanks(words={"da": ("mange tak",)})).thanks
    assert not said("Tak for hjælpen", Thanks(words={"da": ("tak",)})).thanks, "a language without words of courtesy knows its list only"
    assert said("Thank you for the reply", Thanks(words={"en-GB": ("thank you",)})).thanks


def test_no_word_of_courtesy_denies_or_asks() -> None:
    doubtful = {
        "no", "not", "but", "still", "again", "please", "however", "yet", "nein", "nicht", "kein", "aber", "noch", "wieder", "bitte",
        "ні", "не", "але",
        "ще", "знову", "non", "ne", "pas", "mais", "encore", "pero", "todavía", "ma", "però", "ancora", "niet", "geen", "maar", "nog",
        "weer",
    }  # fmt: skip
    for language, text in COURTESY.items():
        assert not doubtful & set(text.replace(",", " ").split()), language
