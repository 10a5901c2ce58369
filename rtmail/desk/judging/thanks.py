"""Is this mail a short thanks, or a bare yes, and nothing else? Called where a customer answers a request that rests.

When unsure, it is neither.

A thanks is recorded and neither closes nor reopens. To say so of anything more would leave a customer without an answer, so
every single word must be known: a word of thanks from the policy, a word of courtesy beside it, or somebody's name. A digit, an
address, a question, an attachment, a word like "but" or any other word makes it a mail to be answered.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from rtmail.mail.model import Kind, Mail
from rtmail.policy.model import Thanks


@dataclass(frozen=True, slots=True)
class Reading:
    """Whether it is a thanks, and the sign that decided."""

    thanks: bool
    reason: str


COURTESY: Mapping[str, str] = {
    "en": "a all and appreciate appreciated best bye day dear did do everyone everything excellent fast fine for good great hello helped "
    "helpful helping hi i indeed is it job kind kindly lot lots many much nice now ok okay prompt quick quickly really regards so super "
    "sincerely team that the this to very was we well wonderful work works yes you your yours, your help, the help, all the help, "
    "your support, the support, your reply, the reply, quick reply, your response, the response, quick response, quick help, great help, "
    "kind help, great support",
    "de": "alles allen auch beste besten das dem den der die es fein für ganz ganze grüße grüßen gruß gruss gruesse gut guten gute hallo "
    "herr herzliche herzlichen ihnen ihr ihre ihren ist ja jetzt lg liebe lieben lieber mfg mit prima rasche schnelle schnell schönen "
    "schöne sehr so team toll tolle und viele vielen war wir wunderbar freundliche freundlichen tag frau euch eure dir dich, ihre hilfe, "
    "die hilfe, eure hilfe, deine hilfe, schnelle hilfe, ihre unterstützung, die unterstützung, ihre antwort, die antwort, "
    "schnelle antwort, ihre rückmeldung, die rückmeldung, schnelle rückmeldung",
    "uk": "все вже всім вам вас ваш ваша вашу вашої ви велике гарного дня день добре добрий доброго допомогли дуже за з і й клас команда "
    "команді на найкращими оперативну оперативність повагою так тепер то це швидку швидко щиро чудово працює хороший пане пані, "
    "за допомогу, вашу допомогу, швидку допомогу, за підтримку, вашу підтримку, за відповідь, вашу відповідь, швидку відповідь",
    "fr": "à avec beaucoup bien bon bonjour bonne c cordialement de est et fonctionne infiniment journée la le les marche mille monsieur "
    "madame parfaitement pour rapide super tout toute très un une votre vous l, votre aide, ton aide, l'aide, votre réponse, la réponse",
    "es": "a atentamente bien buen buenos con de día días el es está excelente funciona genial hola la las lo los mil muy muchas por "
    "rápida rápido saludos su tu todo un una y ya, su ayuda, tu ayuda, la ayuda, su respuesta, la respuesta",
    "it": "bene buona buongiorno ciao con cordiali e è funziona giornata il la l mille molte ora ottimo per perfettamente saluti tante "
    "tutto un una vostro vostra suo sua rapida, vostro aiuto, suo aiuto, l'aiuto, vostra risposta, la risposta",
    "nl": "alles allemaal dag de en fijn fijne goed goede groet groeten heel het is je jullie met nu ook snel snelle super top uw u voor "
    "vriendelijke werkt wel zo zeer, uw hulp, je hulp, jullie hulp, de hulp, uw reactie, de reactie, snelle reactie",
}
"""What says nothing new beside a thanks, by language: single words, then phrases behind commas.

None of them is a no, a but, a still or an again ("it did it again, thanks"), nor asks for anything ("help!", "thanks in advance").
"""

YES: Mapping[str, tuple[str, ...]] = {
    "en": ("yes", "yep", "yeah", "yup"),
    "de": ("ja", "jawohl", "jep"),
    "uk": ("так", "авжеж", "ага"),
}
_BESIDE_YES: Mapping[str, str] = {
    "en": "agree agreed approved been case close closed confirm confirmed correct done fixed has my our please request resolved solved "
    "thank thanks thx ticket, can be closed, can close, may be closed, may close, issue is solved, issue is resolved, issue is fixed, "
    "issue has been resolved, problem is solved, problem is resolved, problem is fixed, problem has been solved",
    "de": "anfrage behoben bestätige bestätigen bestätigt bitte danke dank erledigt funktioniert genau gelöst geschlossen ich klappt "
    "korrekt meine richtig schließen stimmt ticket unsere wurde, funktioniert wieder, geht wieder, klappt wieder, hat sich erledigt, "
    "kann geschlossen werden, können sie schließen, können schließen, problem ist gelöst, problem ist behoben, problem gelöst, "
    "problem behoben, sehe ich auch so, sehe ich so, sehe das auch so, sehen wir auch so, sehen wir so",
    "uk": "було вирішена вирішене вирішено дякую дякуємо закривайте запит звернення згоден згодна наше підтверджую підтверджуємо, "
    "будь ласка, можете закривати, можете закрити, можна закривати, можна закрити, питання вирішено, питання закрито, "
    "проблема вирішена, проблему вирішено",
}
"""What may stand beside a yes to "is it solved?", and says nothing else; words of courtesy may as well."""

_WORD = re.compile(r"[^\W\d_]+(?:[’'\-][^\W\d_]+)*")
_AROUND = re.compile("[\\s.,!:;…\"'’“”„«»\\-–—)~*👍🙏🙂😀😃😄😊☺❤🎉👏💪🤝\u200d\ufe0f\U0001f3fb-\U0001f3ff\u2060\u200b\ufeff]*")
_QUESTION = re.compile("[?？؟⁇⁈¿\u037e]")


def read(mail: Mail, rules: Thanks, names: Collection[str] = ()) -> Reading:
    """Return whether the new words of `mail` are a short thanks.

    rules  how many words, and which ones, by language
    names  names of people that may stand in it ("Bob Roe", "Jane Doe"); each of their words counts
    """
    words, strange = _words(mail, rules.max_words)
    if strange:
        return Reading(False, strange)
    known = _words_of(names)
    unknown = ""
    for language, phrases in rules.words.items():
        thanked, new = _said(words, phrases, [COURTESY.get(language.partition("-")[0].lower(), "")], known)
        if thanked and not new:
            return Reading(True, f"a short thanks ({language})")
        if thanked:
            unknown = new
    return Reading(False, f"{unknown!r} may say something new" if unknown else "no word of thanks")


def affirms(mail: Mail, rules: Thanks, names: Collection[str] = ()) -> bool:
    """Tell whether the new words of `mail` are a bare yes ("Yes, it is solved. Thanks", "Ja", "Так"); arguments as for `read`."""
    words, strange = _words(mail, rules.max_words)
    known = _words_of(names)
    return not strange and any(
        _said(words, yes, [COURTESY[language], _BESIDE_YES[language]], known) == (True, "") for language, yes in YES.items()
    )


def asks(text: str) -> bool:
    """Tell whether a text has a question mark."""
    return bool(_QUESTION.search(text))


def _words(mail: Mail, most: int) -> tuple[list[str], str]:
    """Return the new words of a mail, or none and why they may say more than a few words can."""
    text = unicodedata.normalize("NFC", mail.reply_text).strip()
    if mail.kind is not Kind.REQUEST_OR_REPLY:
        return [], "not written by a person"
    if mail.attachments or mail.forwarded:
        return [], "something is attached"
    if asks(text):
        return [], "it asks something"
    if any(character.isnumeric() for character in text):
        return [], "it holds a number"
    words = _WORD.findall(text.casefold())
    if not words:
        return [], "it has no words"
    if len(words) > most:
        return [], f"it has more than {most} words"
    if not _AROUND.fullmatch(_WORD.sub(" ", text)):
        return [], "it holds signs that are no words"
    return words, ""


def _words_of(names: Iterable[str]) -> frozenset[str]:
    return frozenset(word for name in names for word in _WORD.findall(unicodedata.normalize("NFC", name).casefold()))


def _said(words: list[str], phrases: Iterable[str], beside: Iterable[str], known: Collection[str]) -> tuple[bool, str]:
    """Return whether one of the phrases stands in `words`, and the first word that is none of theirs, nor of `beside`, nor `known`."""
    said, left = _without(words, phrases)
    single = set(known)
    for text in beside:
        bare, *more = text.casefold().split(",")
        _, left = _without(left, more)
        single.update(bare.split())
    return said, next((word for word in left if word not in single), "")


def _without(words: list[str], phrases: Iterable[str]) -> tuple[bool, list[str]]:
    """Return whether any of the phrases stands in `words`, and the words that belong to none; longer phrases come first."""
    left, found = list(words), False
    for phrase in sorted(filter(None, (_WORD.findall(phrase.casefold()) for phrase in phrases)), key=len, reverse=True):
        at = 0
        while at <= len(left) - len(phrase):
            if left[at : at + len(phrase)] == phrase:
                left[at : at + len(phrase)] = [""]
                found = True
            at += 1
    return found, [word for word in left if word]
