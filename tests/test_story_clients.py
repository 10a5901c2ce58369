"""Answers as people's clients send them, on the whole road: eleven clients, twelve languages, words above, below and between.

A customer's answer reaches staff with its new words alone; an engineer's answer reaches the customer without the notice that it
quotes. The clients themselves are in `tests/fakes/clients.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rtmail.engine.office import Caps
from rtmail.mail.model import Envelope
from rtmail.mail.reading import message
from tests.fakes.clients import CLIENTS, LANGUAGES, POSTINGS, UNMARKED, reply_from
from tests.fakes.house import NOW, House, Sent, blueprint
from tests.fakes.staff import ANN, BOB, JANE, NAMES, address_of, answered, opened, request, sent_to, trusted

QUESTION = "Hello,\n\nthe printer on floor two is dead.\n\nWhat shall I do?"
ANSWER = "Hello Bob,\n\nplease pull the plug for a minute.\n\nWhich printer is it?"
THEIRS = ("That helped, thank you.", "But now the scanner on floor three is dead too.")
OURS = ("We shall come at noon, Bob.", "Until then please use the spare one.")
OLD = ("floor two", "pull the plug")
INSIDE = ("internal", "support-comment", "staff.example", "New request", "Comment:", "mailto:")
"""Words of staff mail that no customer may see."""

ROADS = {
    client: [*((LANGUAGES[(4 * number + step) % len(LANGUAGES)], "top") for step in range(4)), ("en", "bottom"), ("de", "inline")]
    for number, client in enumerate(CLIENTS)
}
"""The languages and postings that each client's answers take the whole road in; reading them is tried in all."""

HOUSES: dict[str, tuple[House, Sent, Sent]] = {}


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Sent, Sent]:
    """A house with a request, the notice of it to Jane and her answer to Bob; one for all tests, which only add to it."""
    if not HOUSES:
        house = House(tmp_path_factory.mktemp("house"), plan=blueprint(caps=Caps(per_sender=1000, per_request=1000)))
        notice = sent_to(opened(house, text=QUESTION), JANE, "opened")
        HOUSES["one"] = house, notice, sent_to(answered(house, notice, ANSWER), BOB, "words")
    return HOUSES["one"]


def bobs(client: str, to: Sent, posting: str, language: str, *, html_only: bool = False) -> bytes:
    return reply_from(client, to.item.raw, THEIRS, sender=f"{NAMES[BOB]} <{BOB}>", posting=posting, language=language,
                      at="Which printer", html_only=html_only)


def janes(client: str, to: Sent, posting: str, language: str, *, html_only: bool = False) -> bytes:
    raw = reply_from(client, to.item.raw, OURS, sender=f"{NAMES[JANE]} <{JANE}>", posting=posting, language=language,
                     at="What shall I do?", html_only=html_only)
    return trusted(raw, JANE)


@pytest.mark.parametrize("html_only", [False, True], ids=["both", "html"])
@pytest.mark.parametrize("posting", POSTINGS)
@pytest.mark.parametrize("client", CLIENTS)
def test_new_words_are_told_from_history_in_every_language(
    place: tuple[House, Sent, Sent], client: str, posting: str, html_only: bool
) -> None:
    house, _, answer = place
    for language in LANGUAGES:
        raw = bobs(client, answer, posting, language, html_only=html_only)
        mail = message.read(raw, Envelope(BOB, ("support@example.com",), "smtp", NOW), house.plan.site)
        said = " ".join(mail.reply_text.split())
        assert all(word in said for word in THEIRS), (language, mail.reply_text)
        if posting == "inline" or (posting == "bottom" and client in UNMARKED):
            continue
        assert said == " ".join(THEIRS), (language, mail.reply_text)
        assert mail.marks, "the quote is known by its mark"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_customers_answer_reaches_staff_with_its_new_words_alone(place: tuple[House, Sent, Sent], client: str) -> None:
    house, _, answer = place
    for language, posting in ROADS[client]:
        house.receive(bobs(client, answer, posting, language), to=address_of(answer["Reply-To"]), sender=BOB)
        heard = sent_to(house.sent(), JANE, "notice")
        told = " ".join(heard.text.split())
        assert all(word in told for word in THEIRS), (language, posting)
        if posting == "top":
            assert not any(word in told for word in OLD), (language, heard.text)
    assert house.store.by_number(2) is None, "every answer belongs to the request"


@pytest.mark.parametrize("client", CLIENTS)
def test_an_engineers_answer_reaches_the_customer_without_the_notice(place: tuple[House, Sent, Sent], client: str) -> None:
    house, notice, _ = place
    for language, posting in ROADS[client]:
        house.receive(janes(client, notice, posting, language), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
        sent = house.sent()
        if posting != "top" and client in UNMARKED:
            # What she wrote cannot be told from the notice: she is asked, and the customer hears nothing meanwhile.
            assert {one.item.template for one in sent} == {"asked"}, (language, posting, sent)
            assert all(word in " ".join(sent_to(sent, JANE).text.split()) for word in OURS)
            continue
        words = sent_to(sent, BOB, "words")
        said = " ".join(words.text.split())
        assert all(word in said for word in OURS), (language, posting)
        assert not any(word in words.item.raw.decode() for word in ("internal", "support-comment", "staff.example")), (language, posting)
        assert not any(word in words.text for word in INSIDE), (language, posting, words.text)
        if posting == "inline":
            assert "> What shall I do?" in words.text, "his own question stays above the answer"
        else:
            assert not any(word in said for word in OLD), (language, words.text)


def test_an_answer_between_the_lines_quotes_nothing_that_a_reader_has_not_had(tmp_path: Path) -> None:
    house = House(tmp_path)
    notice = sent_to(opened(house, text=QUESTION), JANE, "opened")
    answered(house, notice, "AddCc: ann@acme.example")
    house.receive(janes("thunderbird", notice, "inline", "en"), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    sent = house.sent()
    for reader in (BOB, ANN):
        text = sent_to(sent, reader, "words").text
        assert all(word in text for word in OURS)
        assert "What shall I do" not in text
    house.close()


def test_what_a_customer_wrote_commands_nothing_in_an_empty_answer_from_a_phone(tmp_path: Path) -> None:
    """Outlook on a phone writes its line above a history that it does not mark."""
    house = House(tmp_path)
    notice = sent_to(opened(house, text="resolve"), JANE, "opened")
    raw = reply_from("outlook-phone", notice.item.raw, (), sender=f"{NAMES[JANE]} <{JANE}>")
    house.receive(trusted(raw, JANE), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    assert not [one for one in house.sent() if one.item.recipient == BOB]
    assert request(house).status == "new"
    house.close()
