"""In which language somebody writes, and that he is answered in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.people import Organisation
from rtmail.mail.language import language_of, spoken
from tests.fakes.house import House, blueprint, mail
from tests.fakes.staff import BOB, EVE, JANE, answered, opened, sent_to, swept, told_us

TEXTS = {
    "en": "Hello, the printer on our floor is not working. Can you please have a look at it?",
    "de": "Guten Tag, unser Drucker im zweiten Stock druckt nicht mehr. Können Sie bitte nachsehen, was mit dem Gerät ist?",
    "uk": "Доброго дня! Принтер на другому поверсі не працює, і ми не можемо друкувати. Подивіться, будь ласка, що з ним.",
    "ru": "Добрый день! Принтер на втором этаже не работает, и мы не можем печатать. Посмотрите, пожалуйста, что с ним.",
    "fr": "Bonjour, l'imprimante du deuxième étage ne marche pas. Est-ce que vous pouvez regarder avec nous ? Merci pour votre aide.",
    "es": "Hola, la impresora del segundo piso no funciona. ¿Pueden ver por favor qué es? Gracias por la ayuda, para nosotros es urgente.",
    "it": "Buongiorno, la stampante del secondo piano non funziona. Grazie per una risposta, è urgente per noi e non sappiamo come fare.",
    "nl": "Goedemiddag, de printer op het tweede is stuk en wij kunnen niet printen. Graag een reactie, dank voor het kijken met ons.",
    "pl": "Dzień dobry, drukarka na drugim piętrze nie działa. Proszę sprawdzić, jak to jest możliwe, bo już nie da się drukować.",
}
UNCLEAR = ["", "Drucker kaputt", "E-042", "printer down", "ok", "тест", "das the le", "2026-11-23 10:12 error 5", "printer\nprinter"]


@pytest.mark.parametrize("language", TEXTS)
def test_a_few_sentences_tell_their_language(language: str) -> None:
    assert spoken(TEXTS[language]) == language


@pytest.mark.parametrize("text", UNCLEAR)
def test_few_words_decide_nothing(text: str) -> None:
    assert spoken(text) == ""
    assert language_of(text, "uk") == "uk"


@pytest.mark.parametrize(("declared", "found"), [("en-us", "de"), ("de-at", "de-at"), ("", "de")])
def test_words_come_before_what_the_client_declares(declared: str, found: str) -> None:
    assert language_of(TEXTS["de"], declared) == found


@pytest.mark.parametrize(
    ("language", "said"),
    [("de", "danke für Ihre Nachricht"), ("uk", "Дякуємо за лист"), ("en", "thank you for writing"), ("fr", "thank you for writing")],
)
def test_a_customer_is_answered_in_the_language_that_he_writes(tmp_path: Path, language: str, said: str) -> None:
    house = House(tmp_path)
    assert said in sent_to(opened(house, text=TEXTS[language]), BOB, "acknowledgement").text
    house.close()


def test_the_language_is_learned_later_and_kept(tmp_path: Path) -> None:
    house = House(tmp_path)
    first = sent_to(opened(house, text="Drucker kaputt"), BOB, "acknowledgement")
    assert "thank you for writing" in first.text
    answered(house, first, TEXTS["de"])
    assert "danke für Ihre Nachricht" in sent_to(opened(house, subject="Scanner", text="Scanner kaputt"), BOB, "acknowledgement").text
    assert "danke für Ihre Nachricht" in sent_to(opened(house, subject="Fax", text=TEXTS["en"]), BOB, "acknowledgement").text
    house.close()


def test_a_houses_own_language_comes_first(tmp_path: Path) -> None:
    plan = blueprint()
    acme = Organisation("acme", "Acme Ltd", ("acme.example",), language="uk")
    house = House(tmp_path, plan=replace(plan, directory=replace(plan.directory, organisations={"acme": acme})))
    house.receive(mail(text=TEXTS["de"], headers="Content-Language: de-DE"))
    assert "Дякуємо за лист" in sent_to(house.sent(), BOB, "acknowledgement").text
    house.close()


def test_words_from_outside_that_are_split_off_are_acknowledged_in_their_writer_s_language(tmp_path: Path) -> None:
    house = House(tmp_path)
    sent = opened(house)
    told = answered(house, sent_to(sent, BOB, "acknowledgement"), TEXTS["de"], who=EVE)
    went = answered(house, sent_to(told, JANE), "split")
    assert "danke für Ihre Nachricht" in sent_to(went, EVE, "acknowledgement").text
    house.close()


@pytest.mark.parametrize("proven", [True, False])
def test_questions_are_answered_in_the_askers_language(tmp_path: Path, proven: bool) -> None:
    house = House(tmp_path)
    acknowledgement = sent_to(opened(house, text=TEXTS["uk"]), BOB, "acknowledgement")
    for sent in (answered(house, acknowledgement, "list", proven=proven), told_us(house, BOB, "list", proven=proven)):
        assert "Ваші звернення" in sent_to(sent, BOB, "answer").text
    house.close()


def test_a_stranger_and_a_pager_are_told_in_their_language(tmp_path: Path) -> None:
    plan = blueprint(policy="default")
    people = {key: replace(person, language="de", page="491555@sms.example") for key, person in plan.directory.people.items()}
    house = House(tmp_path, plan=replace(plan, directory=replace(plan.directory, people=people)))
    acknowledgement = sent_to(opened(house, text=TEXTS["de"]), BOB, "acknowledgement")
    received = sent_to(answered(house, acknowledgement, TEXTS["uk"], who=EVE, proven=False), EVE, "received")
    assert "Ваш лист надійшов" in received.text
    house.forward(hours=2)
    paged = [one.text for one in swept(house) if one.item.template == "page"]
    assert paged
    assert all("Einstufung versäumt: die erste Stufe der höchsten Priorität" in text for text in paged)
    house.close()
