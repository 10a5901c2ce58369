"""Questions by mail: what staff and participants are answered, and what they may not see."""

from __future__ import annotations

import mailbox
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.grammar.commands import parse
from rtmail.desk.grammar.queries import stands_alone
from rtmail.desk.ticket import Status
from rtmail.mail.model import Address
from rtmail.mail.writing.mbox import Letter, mbox
from rtmail.store import Outcome
from tests.fakes.house import NOW, House, Sent, blueprint
from tests.fakes.neomutt import Neomutt
from tests.fakes.staff import ANN, BOB, BOSS, EVE, JANE, KIM, MAX, answered, clicked, opened, request, sent_to, told_us


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.close()


def asked(house: House, who: str, text: str) -> str:
    """The one answer to a fresh mail."""
    (sent,) = told_us(house, who, text)
    assert sent.item.recipient == who
    assert sent.item.template in ("receipt", "answer")
    return sent.text.replace("\r\n", "\n")


def enclosed(sent: Sent, folder: Path) -> list[str]:
    """The texts of the mails in the mbox that a mail encloses, as a mail client reads them."""
    (part,) = [part for part in sent.mail.walk() if part.get_content_type() == "application/mbox"]
    path = folder / "conversation.mbox"
    path.write_bytes(part.get_payload(decode=True))  # type: ignore[arg-type]
    texts = []
    for one in mailbox.mbox(path):
        payload = (next(one.walk()) if not one.is_multipart() else one.get_payload(0)).get_payload(decode=True)  # type: ignore[union-attr]
        texts.append(payload.decode())
    return texts


# Staff


def test_lists_of_staff(house: House) -> None:
    notice = sent_to(opened(house, subject="Network down"), JANE, "opened")
    opened(house, who=EVE, subject="Toner empty")
    opened(house, subject="Offer please", queue="sales")
    answered(house, notice, "take")
    everything = asked(house, KIM, "list")
    assert everything.index("#1 Network down") < everything.index("#2 Toner empty")
    assert "#3 Offer please" in everything
    assert "Jane Doe" in everything
    assert "Take" in everything
    mine = asked(house, JANE, "list mine")
    assert "#1" in mine
    assert "#2" not in mine
    assert "Commands" not in mine
    assert "Done" not in mine
    acme = asked(house, KIM, "list acme")
    assert "#1" in acme
    assert "#2" not in acme
    assert "#3" in acme
    assert "#2" in asked(house, KIM, "list elsewhere.example")
    assert "#2" in asked(house, KIM, "list eve@elsewhere.example")
    assert "#3" in asked(house, KIM, "list sales")
    assert "#1" in asked(house, KIM, "list jane")
    assert "#1" not in asked(house, KIM, "list nobody")
    assert "None." in asked(house, KIM, "list zoe@nowhere.example")
    due = asked(house, KIM, "list due")
    assert "due Mon 23 Nov" in due
    jane = asked(house, JANE, "list")
    assert "#3" not in jane, "not of a queue that she does not serve"
    assert house.store.by_number(4) is None, "questions open no request"
    row = house.store.spool_row(5)
    assert (row.outcome, row.reason) == (Outcome.HELD, "commands about no request, answered")
    assert house.store.audit_counts().closes


def test_show_tells_all_and_encloses_the_conversation(house: House, tmp_path: Path) -> None:
    notice = sent_to(opened(house, text="The toner is empty.\nFrom here on it prints white."), JANE, "opened")
    answered(house, notice, "take\ntime 30m\n\nPlease shake it.")
    answered(house, notice, "comment\n\nHe should buy a new one.")
    (sent,) = told_us(house, KIM, "show 1")
    said = " ".join(sent.text.split())
    for words in ("Printer down", "Owner: Jane Doe", "bob@acme.example", "shake it.", "(internal)", "He should buy", "Time worked: 30 min"):
        assert words in said, words
    texts = enclosed(sent, tmp_path)
    assert len(texts) == 3
    assert "From here on it prints white." in texts[0]
    assert "mailto:support-comment+" in sent.text
    answered_link = clicked(house, sent, "answer the customer", body="It is on its way.")
    assert "on its way" in sent_to(answered_link, BOB, "words").text


def test_a_show_link_answers_with_the_request(house: House) -> None:
    opened(house)
    (listed,) = told_us(house, KIM, "list")
    shown = clicked(house, listed, "show")
    assert "The whole conversation" in sent_to(shown, KIM, "receipt").text


def test_search_finds_words_where_the_asker_may_look(house: House) -> None:
    opened(house, text="The toner cartridge leaks.")
    opened(house, subject="Toner price", text="How much?", queue="sales")
    found = asked(house, KIM, "search toner")
    assert "#1 Printer down" in found
    assert "The toner cartridge leaks." in found
    assert "#2 Toner price" in found
    assert "#2" not in asked(house, JANE, "search toner")
    assert "Nothing." in asked(house, KIM, "search moon")


def test_history_and_help(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "Status: waiting")
    told = asked(house, KIM, "history 1")
    assert "opened by Bob Roe" in told
    assert "status by Jane Doe: new -> waiting" in told
    helped = asked(house, KIM, "help")
    assert "merge 17" in helped
    assert "snooze until Mon 9:00" in helped
    assert "merge 17" not in asked(house, KIM, "help take")
    assert "There is no request #99" in asked(house, KIM, "show 99")
    assert "There is no request #99" in asked(house, KIM, "history 99")


def test_a_history_tells_instants_on_the_sites_clock_in_its_readers_language(tmp_path: Path) -> None:
    plan = blueprint()
    people = {key: replace(person, language="de") for key, person in plan.directory.people.items()}
    plan = replace(plan, directory=replace(plan.directory, people=people), site=replace(plan.site, timezone="Europe/Berlin"))
    house = House(tmp_path, plan=plan)
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "Priority: normal\nwait until Fri 9:00\nDue: 5 Dec\ntime 30m billable\nnext Tue 15:00")
    told = " ".join(asked(house, KIM, "history 1\nshow 1").split())
    for line in ("Frist: erste Antwort begonnen: 4h im Kalender office nach normal (noch ohne Einstufung)",
                 "Angabe: wartet bis: Fr 27. Nov. 2026, 09:00 CET", "fällig: Sa 5. Dez. 2026, 17:00 CET",
                 "dazugekommen: Bob Roe (anfragend)", "Priorität: normal, vorgeschlagen", "Arbeitszeit: 30 min (davon 30 min abrechenbar)",
                 "Fällig: Sa 5. Dez. 2026, 17:00 CET"):
        assert line in told, told
    assert not re.search(r"\+00:00|\b(?:started|untriaged|requestor)\b", told)
    house.close()


def test_questions_in_an_answer_are_answered_with_its_receipt(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "Priority: P1\nlist mine\n\nWe look into it.")
    receipt = sent_to(sent, JANE, "receipt")
    assert "Requests: mine" in receipt.text
    assert "We look into it." in sent_to(sent, BOB, "words").text
    assert all("list mine" not in one.text for one in sent if one.item.recipient == BOB)


def test_who_does_not_prove_himself_is_told_nothing(house: House) -> None:
    opened(house)
    sent = told_us(house, KIM, "list", proven=False)
    assert [one.item.template for one in sent] == ["held"]


# Participants


def test_participants_list_and_see_what_is_theirs(house: House, tmp_path: Path) -> None:
    notice = sent_to(opened(house, text="It smokes."), JANE, "opened")
    answered(house, notice, "comment\n\nHe is a difficult one.")
    words = sent_to(answered(house, notice, "AddCc: ann@acme.example\n\nPlease pull the plug."), BOB, "words")
    opened(house, who=EVE, subject="Secret project")
    listed = asked(house, BOB, "list")
    assert "#1 Printer down" in listed
    assert "Secret" not in listed
    (shown,) = told_us(house, BOB, "show 1")
    assert shown.item.template == "answer"
    assert "Please pull the plug." in shown.text
    assert "difficult" not in shown.item.raw.decode()
    texts = enclosed(shown, tmp_path)
    assert [text.strip() for text in texts] == ["It smokes.", "Please pull the plug."]
    assert shown["Auto-Submitted"] == "auto-replied"
    assert "There is no request #2 of yours" in asked(house, BOB, "show 2")

    # A Cc sees what was public since he joined; nothing before.
    (copied,) = told_us(house, ANN, "show 1")
    assert "pull the plug" in copied.text
    assert "smokes" not in copied.text
    assert [text.strip() for text in enclosed(copied, tmp_path)] == ["Please pull the plug."]

    # In an answer it concerns that request; nobody else hears, and nothing reopens.
    answered(house, notice, "resolve")
    sent = answered(house, words, "status", proven=False)
    assert {one.item.recipient for one in sent} == {BOB}
    assert "Status: resolved" in sent[0].text
    assert request(house).status is Status.RESOLVED
    assert [row.number for row in house.store.list_tickets(statuses=None)] == [1, 2]


def test_a_colleague_who_joined_by_an_answer_sees_nothing_earlier(house: House, tmp_path: Path) -> None:
    """He had the mail from the requestor: what he sees begins with his own words."""
    sent = opened(house, text="It smokes.")
    notice, acknowledgement = sent_to(sent, JANE, "opened"), sent_to(sent, BOB, "acknowledgement")
    answered(house, notice, "The zinnober fuser, we think.")
    answered(house, notice, "comment\n\nHe is a difficult one.")
    answered(house, acknowledgement, "Here too.", who=ANN)
    answered(house, notice, "We come at noon.")
    (shown,) = told_us(house, ANN, "show 1")
    assert "We come at noon." in shown.text
    for earlier in ("smokes", "zinnober", "difficult"):
        assert earlier not in shown.item.raw.decode()
        assert not any(earlier in text for text in enclosed(shown, tmp_path))
    assert "Here too." in enclosed(shown, tmp_path)[0]


def test_the_organisations_contact_sees_all_that_is_public(house: House) -> None:
    notice = sent_to(opened(house, text="It smokes."), JANE, "opened")
    answered(house, notice, "comment\n\nHe is a difficult one.")
    opened(house, who=BOSS, subject="Another thing")
    (shown,) = told_us(house, BOSS, "show 1")
    assert "It smokes." in shown.text
    assert "difficult" not in shown.item.raw.decode()


def test_a_cry_for_help_is_a_request(house: House) -> None:
    opened(house)
    told_us(house, BOB, "Help!", subject="Printer on fire")
    assert request(house, 2).subject == "Printer on fire"
    assert "What you can write to us" in asked(house, BOB, "help")


def test_a_stranger_s_question_is_a_request(house: House) -> None:
    told_us(house, EVE, "list")
    assert request(house, 1).requestor is not None


@pytest.mark.parametrize(
    ("text", "subject", "alone"),
    [("help", "", True), ("help", "Help", True), ("help", "Printer on fire", False), ("list", "My requests", True), ("status", "", False),
     ("show 7", "whatever", True)],
)  # fmt: skip
def test_which_fresh_mails_are_questions(text: str, subject: str, alone: bool) -> None:
    assert stands_alone(parse(text), subject) is alone


def test_a_robot_gets_no_answer(house: House) -> None:
    words = sent_to(answered(house, sent_to(opened(house), JANE, "opened"), "Please wait."), BOB, "words")
    for _ in range(12):
        sent = answered(house, words, "status", proven=False)
    assert not [one for one in sent if one.item.recipient == BOB], "the loop breaker holds for questions too"


def test_a_manager_sees_every_queue(house: House) -> None:
    opened(house, subject="Offer please", queue="sales")
    assert "#1" in asked(house, MAX, "list")


# The file


def test_an_mbox_reads_back_as_it_was(tmp_path: Path) -> None:
    raw = b"From: a@x.example\r\nSubject: raw\r\n\r\nFrom now on\r\n>From then\r\n"
    letters = [Letter(NOW, Address("bob@acme.example", "Bob Rö"), "Grüße", "From me\n\nto you", "<1@x>"),
               Letter(NOW, Address("not an address"), "", "", raw=raw)]
    path = tmp_path / "m.mbox"
    path.write_bytes(mbox(letters))
    first, second = mailbox.mbox(path)
    assert first["Message-ID"] == "<1@x>"
    assert first.get_payload(decode=True) == b"From me\n\nto you\n"  # type: ignore[comparison-overlap]
    assert second["Subject"] == "raw"
    assert second.get_payload() == ">From now on\n>>From then\n", "mboxrd: readers take one > away"


def test_questions_to_the_comment_address_and_what_their_answers_are_called(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "comment\n\nHe never pays.")
    (listed,) = told_us(house, KIM, "list", to="support-comment@example.com")
    assert listed["Subject"] == "Answer: list"
    (shown,) = told_us(house, KIM, "show 1", to="support-comment@example.com")
    assert shown["Subject"] == "Answer: show 1"
    assert "Jane Doe (internal), " in shown.text
    (searched,) = told_us(house, KIM, "search pays")
    assert searched["Subject"] == "Answer: search pays"
    (named,) = told_us(house, KIM, "history 1", subject="What happened here")
    assert named["Subject"] == "Answer: What happened here"
    assert all(max(map(len, re.sub("<mailto:[^>]*>", "", one.text).splitlines())) <= 80 for one in (listed, shown, searched))


def test_help_for_participants_names_what_they_can_do(house: House) -> None:
    opened(house)
    said = asked(house, BOB, "help")
    for line in ("- list\n", "- show 1042\n", "- status\n", "- unsubscribe\n"):
        assert line in said
    for line in ("mine", "merge", "Priority"):
        assert line not in said


def test_the_enclosed_conversation_opens_in_neomutt(house: House, tmp_path: Path) -> None:
    notice = sent_to(opened(house, text="It smokes.\nFrom the tray, mostly."), JANE, "opened")
    answered(house, notice, "Please pull the plug.")
    answered(house, notice, "comment\n\nHe never pays.")
    (shown,) = told_us(house, KIM, "show 1")
    (part,) = [part for part in shown.mail.walk() if part.get_content_type() == "application/mbox"]
    (tmp_path / "conversation.mbox").write_bytes(part.get_payload(decode=True))  # type: ignore[arg-type]
    client = Neomutt(tmp_path, "Kim Lee", KIM, "", 0, 0)
    first, second, third = (client.decoded(tmp_path / "conversation.mbox", number) for number in (1, 2, 3))
    assert "From the tray, mostly." in first, "no line was taken for the beginning of a mail"
    assert "Please pull the plug." in second
    assert "He never pays." in third
