"""Private data: found, withheld, let through, taken out and erased; nothing of it in a log, a notice or anywhere in the state folder."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtmail import log
from rtmail.cli import rtmail
from rtmail.desk.machines.systems import Monitor, Tracker
from rtmail.mail.privacy import private
from rtmail.mail.privacy.redact import found_in, rewritten
from rtmail.store import NotThere
from rtmail.store.values import unpack
from tests.fakes import privacy
from tests.fakes.daemon import reply
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.stores import url
from tests.test_simulate import toml

JANE, KIM, MAX, BOB, ANN = "jane@staff.example", "kim@staff.example", "max@staff.example", "bob@acme.example", "ann@acme.example"
CARD = "4111 1111 1111 1111"


# -- detectors --


def test_card_numbers_among_two_thousand_mails() -> None:
    """Recall of card numbers at least 99 %, false findings of any sort at most 1 %, of a thousand each."""
    missed, wrong = [], []
    for one in privacy.mails(20261126, 2000):
        found = private.find(one.text)
        if one.sort and not any(hit.sort == one.sort and one.text[hit.start : hit.end] == one.value for hit in found):
            missed.append((one.value, one.shape))
        if not one.sort and found:
            wrong.append((one.shape, [one.text[hit.start : hit.end] for hit in found]))
    assert len(missed) <= 10, missed
    assert len(wrong) <= 10, wrong


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Card 4111-1111-1111-1111 exp 12/27", "Card [card number removed] exp 12/27"),
        ("3782 822463 10005", "[card number removed]"),
        ("> 4111 1111\n> 1111 1111", "> [card number removed]"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 is my card", "[card number removed] is my card"),
        ("SSN 536-90-4399", "SSN [social security number removed]"),
        ("social security number: 536904399", "social security number: [social security number removed]"),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX", "IBAN [bank account number removed] BIC COBADEFFXXX"),
        ("to GB82WEST12345698765432.", "to [bank account number removed]."),
        ("Patient: John Smith\nMRN 12345678", "Patient: [medical record removed]\nMRN [medical record removed]"),
        ("geb. 01.02.1980, Diagnose: Grippe", "geb. [medical record removed], Diagnose: [medical record removed]"),
        ("Пацієнт: Іван Франко, діагноз: грип", "Пацієнт: [medical record removed], діагноз: [medical record removed]"),
        ("The password is hunter2!x", "The password is [password removed]"),
        ("Passwort: geheim\nDanke", "Passwort: [password removed]\nDanke"),
        ("postgres://bob:s3cr3t@db/x", "postgres://bob:[password removed]@db/x"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n[private key removed]\nb"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\nAAAA\n\nHello world", "[private key removed]Hello world"),
        ("AKIAIOSFODNN7EXAMPLE", "[private key removed]"),
    ],
)
def test_what_is_private_is_taken_out_and_nothing_else(text: str, left: str) -> None:
    assert private.redacted(text) == left


@pytest.mark.parametrize("text", [
    "Order 4111111111111112", "My order no. 4111111111111111", "IMEI 356938035643809", "000-12-3456", "DE00 3704 0044 0532 0130 00",
    "I forgot my password: please reset it", "password: ********", "The password is wrong", "The patient portal shows diagnosis pages",
    "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----", "commit 4111111111111111aaaa", "2026-11-23 10:00:00",
])  # fmt: skip
def test_what_only_looks_private_stays(text: str) -> None:
    assert private.redacted(text) == text


def test_hostile_texts_take_linear_time() -> None:
    for text in ("4 " * 50_000, "1" * 100_000, "DE89 " * 20_000, "password: " * 10_000, "-----BEGIN PRIVATE KEY-----\n" * 2_000):
        assert len(private.redacted(text)) <= len(text) * 2


def test_a_redacted_mail_keeps_its_parts() -> None:
    raw = (
        b"From: bob@acme.example\r\nSubject: =?utf-8?q?card_4111_1111_1111_1111?=\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        b"<p>4111 <b>1111</b> 1111 1111 thanks</p>\r\n--b\r\nContent-Type: text/csv; name=a.csv\r\n"
        b"Content-Disposition: attachment; filename=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"bmFtZSxjYXJkCkJvYiw0MTExMTExMTExMTExMTExCg==\r\n--b\r\nContent-Type: image/png\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b--\r\n"
    )
    assert found_in(raw) == ("card number",)
    done = rewritten(raw, "", "")
    assert found_in(done) == ()
    parts = message_from_bytes(done).get_payload()
    assert isinstance(parts, list)
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/csv", "image/png"]
    assert b"thanks" in parts[0].get_payload(decode=True)
    assert parts[1].get_payload(decode=True) == b"name,card\nBob,[card number removed]\n"
    assert parts[2].get_payload(decode=True) == b"\x89PNG\r\n\x1a\n"
    assert message_from_bytes(done)["Message-ID"] == "<1@x>"


# -- the road --


def plan(mode: str) -> object:
    known = blueprint()
    people = dict(known.directory.people)
    people["max"] = replace(people["max"], rights=frozenset({"privacy"}))
    queues = {name: replace(queue, private=mode) for name, queue in known.directory.queues.items()}
    return replace(known, directory=replace(known.directory, people=people, queues=queues))


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest, url: str) -> Iterator[House]:
    one = House(tmp_path, plan(getattr(request, "param", "hold")), url=url)  # type: ignore[arg-type]
    yield one
    one.close()


def of(sent: list[Sent], template: str, recipient: str) -> Sent:
    return next(one for one in sent if (one.item.template, one.item.recipient) == (template, recipient))


def proven(raw: bytes) -> bytes:
    return b"Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example\r\n" + raw


def click(house: House, sent: Sent, label: str) -> list[Sent]:
    """Use a link of a mail, as the person that it was made for."""
    found = re.search(rf"mailto:(\S+?)\?subject={label}", sent.text)
    assert found
    house.receive(proven(mail(sender=f"Max <{MAX}>", to=found[1], subject=label, text="", message_id=f"<{label}@staff.example>")),
                  to=found[1], sender=MAX, peer="127.0.0.1")
    return house.sent()


def word(house: House, text: str, *, sender: str = MAX, strong: bool = True, message_id: str = "<w@staff.example>") -> list[Sent]:
    raw = mail(sender=f"Max <{sender}>", to="support-comment@example.com", subject="[Example #1] x", text=text, message_id=message_id)
    house.receive(proven(raw) if strong else raw, to="support-comment@example.com", sender=sender, peer="127.0.0.1")
    return house.sent()


def everything(house: House) -> bytes:
    """Every byte of the state folder and of the database, with what is compressed in it unpacked."""
    engine = house.store._engine
    found = b"".join(path.read_bytes() for path in sorted(house.folder.rglob("*")) if path.is_file())
    if engine.name != "sqlite":
        rows = [house.store._look(lambda t=table: house.store._rows(f"SELECT {t}::text FROM {t}")) for table in engine.layout()]  # type: ignore[misc]
        found += repr(rows).encode()
    for table in ("raw", "outbox_mail"):
        packed = house.store._look(lambda t=table: house.store._rows(f"SELECT packed FROM {t} WHERE packed IS NOT NULL"))  # type: ignore[misc]
        found += b"".join(unpacked(unpack(bytes(one))) for (one,) in packed)
    return found


def unpacked(raw: bytes) -> bytes:
    """A mail, and its parts decoded."""
    return raw + b"".join(_parts(raw))


def test_content_waits_and_all_else_goes_on(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    house.receive(mail(subject=f"Refund to {CARD}", text=f"My card is {CARD}, thanks.", headers=f"Cc: {ANN}"))
    sent = house.sent()
    assert sorted((one.item.template, one.item.recipient) for one in sent) == [
        ("acknowledgement", BOB), ("opened", JANE), ("opened", KIM), ("private", MAX), ("private-told", BOB),
    ]  # fmt: skip
    for one in sent:
        assert "1111" not in one.item.raw.decode()
        assert "Refund" not in one.item.raw.decode() or one.item.recipient == MAX
    assert "Refund to [card number removed]" in of(sent, "private", MAX).text
    assert "It seems to hold a card number" in of(sent, "opened", JANE).text.replace("\n", " ")
    assert "[Example #1] (content withheld)" in of(sent, "acknowledgement", BOB)["Subject"]
    assert "- card number" in of(sent, "private-told", BOB).text
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.clocks, "promises run"
    assert house.store.search("thanks") == []
    assert house.store.replayed(ticket.id) == ticket
    # Staff who ask for the whole request get no bytes of the mail either.
    house.receive(proven(mail(sender=f"Jane <{JANE}>", subject="show 1", text="", message_id="<s@staff.example>")), sender=JANE,
                  peer="127.0.0.1")
    assert not any(b"1111" in part for one in house.sent() for part in _parts(one.item.raw))
    assert log.flush(10)
    logged = capfd.readouterr()
    assert "event=matched" in logged.err, "the log is looked at"
    assert "1111" not in logged.err + logged.out


def _parts(raw: bytes) -> list[bytes]:
    return [bytes(part.get_payload(decode=True) or b"") for part in message_from_bytes(raw).walk() if not part.is_multipart()]


def test_released_words_reach_staff_and_participants(house: House) -> None:
    house.receive(mail(headers=f"Cc: {ANN}"))
    notice = of(house.sent(), "acknowledgement", BOB)
    house.receive(reply(notice.item.raw, f"Charge {CARD}.", sender=f"Bob <{BOB}>", message_id="<2@acme.example>", subject="My card"),
                  to=notice["Reply-To"].rpartition("<")[2].rstrip(">"), sender=BOB)
    waits = house.sent()
    assert not any("1111" in one.item.raw.decode() for one in waits)
    assert not [one for one in waits if one.item.recipient == ANN], "she has no empty mail meanwhile"
    assert "(content withheld)" not in of(waits, "notice", JANE).text
    refused = word(house, "release", sender=JANE)
    assert "your rights do not include it" in " ".join(of(refused, "receipt", JANE).text.split())
    weak = word(house, "release", strong=False, message_id="<weak@staff.example>")
    assert [one.item.template for one in weak] == ["held"]
    sent = word(house, "release", message_id="<strong@staff.example>")
    assert CARD in of(sent, "notice", JANE).text
    assert "Subject: My card" in " ".join(of(sent, "notice", JANE).text.split())
    assert CARD in of(sent, "relayed", ANN).text
    assert [hit.text for hit in house.store.search("charge")] == [f"Charge {CARD}."]
    assert "no content waits" in " ".join(of(word(house, "release #1", message_id="<3@staff.example>"), "receipt", MAX).text.split())


@pytest.mark.parametrize("text", ["redact", "erase"])
def test_no_canary_is_left_after_redaction(house: House, text: str) -> None:
    """Cards, keys and the rest in body, subject, HTML and attachment; the same mail twice by other roads."""
    raw = mail(subject=f"Refund to {CARD}", text=f"My card is {CARD}.\n\nPassword: Tr0ub4dor&3", headers=f"Cc: {ANN}")
    house.receive(raw)
    house.receive(b"Received: from other by example.com; Mon, 23 Nov 2026 10:00:01 +0100\r\n" + raw)
    house.sent()
    sent = word(house, text)
    if text == "redact":
        assert "My card is [card number removed]." in of(sent, "notice", JANE).text
        assert "Refund to [card number removed]" in of(sent, "notice", JANE)["Subject"]
    house.settle()
    found = everything(house)
    for canary in (b"4111 1111", b"1111 1111", b"Tr0ub4dor"):
        assert canary not in found
    house.receive(raw)
    house.settle()
    assert b"4111 1111" not in everything(house), "delivered once more"
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert house.store.replayed(ticket.id) == ticket
    assert house.store.audit_counts().closes


@pytest.mark.parametrize("house", ["warn"], indirect=True)
def test_what_was_let_through_is_redacted_everywhere(house: House) -> None:
    """Words that went out to staff and participants already: store, search, copies, subject, traces."""
    raw = mail(subject=f"Refund to {CARD}", text=f"My card is {CARD}.", headers=f"Cc: {ANN}")
    house.receive(raw)
    sent = house.sent()
    assert "It seems to hold a card number" in " ".join(of(sent, "opened", JANE).text.split())
    ack = of(sent, "acknowledgement", BOB)
    house.receive(reply(ack.item.raw, f"Again: {CARD}", sender=f"Bob <{BOB}>", message_id="<2@acme.example>"),
                  to=ack["Reply-To"].rpartition("<")[2].rstrip(">"), sender=BOB)
    house.forward(hours=30)
    house.sweep()
    assert b"4111 1111" in everything(house)
    word(house, "redact")
    house.settle()
    left = everything(house)
    assert b"4111 1111" not in left
    assert b"[card number removed]" in left
    assert house.store.search("4111") == []
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.subject == "Refund to [card number removed]"
    assert house.store.replayed(ticket.id) == ticket


@pytest.mark.parametrize("house", ["discard"], indirect=True)
def test_discarded_content_is_not_kept(house: House) -> None:
    raw = mail(text=f"My card is {CARD}.")
    spool_id = house.receive(raw)
    sent = house.sent()
    assert sorted({one.item.template for one in sent}) == ["acknowledgement", "opened", "private-told"]
    assert "were not kept" in of(sent, "private-told", BOB).text
    with pytest.raises(NotThere):
        house.store.raw(house.store.spool_row(spool_id).raw_id)
    house.settle()
    assert b"4111 1111" not in everything(house)
    again = house.receive(raw)
    assert (house.store.spool_row(again).outcome, house.store.spool_row(again).reason) == ("ignored", "erased mail")
    assert b"4111 1111" not in everything(house)
    assert not house.sent()
    assert house.store.audit_counts().closes


@pytest.mark.parametrize("house", ["off"], indirect=True)
def test_a_queue_that_wants_none_of_it_is_left_alone(house: House) -> None:
    house.receive(mail(text=f"My card is {CARD}."))
    assert CARD in of(house.sent(), "opened", JANE).text


def test_links_work_for_whom_they_were_made(house: House) -> None:
    house.receive(mail(text=f"My card is {CARD}."))
    notice = of(house.sent(), "private", MAX)
    assert "My card is [card number removed]." in notice.text
    sent = click(house, notice, "redact")
    assert "what seemed private is taken out" in " ".join(of(sent, "receipt", MAX).text.split()).replace("seems", "seemed")
    assert "My card is [card number removed]." in of(sent, "notice", JANE).text


def test_a_redacted_mail_keeps_the_attachments_that_hold_nothing(house: House) -> None:
    raw = (
        b"From: Bob <bob@acme.example>\r\nTo: support@example.com\r\nSubject: Files\r\nMessage-ID: <f@acme.example>\r\n"
        b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain\r\n\r\nSee the files.\r\n--b\r\nContent-Type: text/csv; name=cards.csv\r\n"
        b"Content-Disposition: attachment; filename=cards.csv\r\n\r\nname,card\r\nBob,4111111111111111\r\n--b\r\n"
        b"Content-Type: image/png; name=a.png\r\nContent-Disposition: attachment; filename=a.png\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b--\r\n"
    )
    house.receive(raw)
    assert not any(b"4111" in part for one in house.sent() for part in _parts(one.item.raw))
    notice = of(word(house, "redact"), "notice", JANE)
    assert "See the files." in notice.text
    names = [part.get_filename() for part in notice.mail.walk() if part.get_filename()]
    assert "a.png" in names
    assert "cards.csv" not in names
    house.settle()
    assert b"4111111111111111" not in everything(house)


def test_the_shell_may_too(house: House) -> None:
    house.receive(mail(text=f"My card is {CARD}."))
    house.sent()
    (result,) = house.engine.command(1, "redact", "root", house.now)
    assert result["done"]
    house.settle()
    assert "[card number removed]" in of(house.sent(), "notice", JANE).text


@pytest.mark.parametrize("word", ["merge", "same"])
def test_a_request_with_withheld_content_is_not_merged(house: House, word: str) -> None:
    house.receive(mail())
    house.receive(mail(text=f"My card is {CARD}.", subject="Other", message_id="<2@acme.example>"))
    (result,) = house.engine.command(2, f"{word} 1", "root", house.now)
    assert not result["done"]
    assert "content waits" in str(result["outcome"])


# -- names, quotations, forwards, alerts, lists, backups --


def test_a_name_is_looked_at_and_shown_to_nobody(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """A form that puts everything into From, Cc and Reply-To; afterwards none of it is left beside the addresses."""
    raw = mail(sender=f"Bob {CARD} <{BOB}>", headers=f"Cc: Ann {CARD} <{ANN}>\nReply-To: {CARD} <{BOB}>", text="Please call.")
    house.receive(raw)
    house.receive(b"Received: from other by example.com; Mon, 23 Nov 2026 10:00:01 +0100\r\n" + raw, to="sales@example.com")
    sent = house.sent()
    assert {one.item.template for one in sent} >= {"acknowledgement", "opened", "private", "private-told"}
    assert not any(b"1111" in unpacked(one.item.raw) for one in sent)
    assert "Bob [card number removed]" in of(sent, "private", MAX).text
    sent = word(house, "redact")
    assert "Bob [card number removed]" in of(sent, "notice", JANE).text
    house.settle()
    assert b"1111 1111" not in everything(house)
    assert log.flush(10)
    assert "1111" not in capfd.readouterr().err


@pytest.mark.parametrize("house", ["warn"], indirect=True)
def test_a_name_is_taken_out_where_words_go_their_way(house: House) -> None:
    house.receive(mail(sender=f"Bob {CARD} <{BOB}>", text="Please call."))
    sent = house.sent()
    assert "It seems to hold a card number" in " ".join(of(sent, "opened", JANE).text.split())
    assert not any(b"1111" in unpacked(one.item.raw) for one in sent)


FORWARD = f"""{{note}}

---------- Forwarded message ---------
From: Zoe {CARD} <zoe@far.example>
Date: Mon, 23 Nov 2026 at 08:00
Subject: Refund
To: <{JANE}>

Take it from {CARD}, please."""


def by_jane(house: House, text: str, *, to: str = "support@example.com", subject: str = "Fwd: Refund", number: int = 1) -> list[Sent]:
    raw = mail(sender=f"Jane <{JANE}>", to=to, subject=subject, text=text, message_id=f"<jane{number}@staff.example>")
    house.receive(proven(raw), to=to, sender=JANE, peer="127.0.0.1")
    return house.sent()


def test_what_a_colleague_forwards_waits_like_the_mail_itself(house: House) -> None:
    sent = by_jane(house, FORWARD.format(note=f"He means {CARD}."))
    assert of(sent, "private", MAX)
    assert not any(b"1111" in unpacked(one.item.raw) for one in sent)
    assert "Take it from" not in of(sent, "opened", KIM).text
    again = by_jane(house, FORWARD.format(note="The same."), to="support-comment@example.com", subject="Fwd: [Example #1]", number=2)
    assert not any(b"1111" in unpacked(one.item.raw) for one in again)
    assert house.store.search("take") == []
    sent = word(house, "redact")
    assert "Take it from [card number removed], please." in of(sent, "notice", JANE).text
    house.settle()
    assert b"1111 1111" not in everything(house)


def test_what_a_colleague_writes_above_a_forward_is_warned_of(house: House) -> None:
    clean = FORWARD.replace(CARD, "the account")
    sent = by_jane(house, clean.format(note=f"Charge {CARD}."))
    assert "It seems to hold a card number" in " ".join(of(sent, "opened", KIM).text.split())
    assert not [one for one in sent if one.item.template == "private"]


def test_what_a_colleague_quotes_is_redacted_with_the_rest(house: House) -> None:
    """He had it from the customer as well and answers below it: his mail holds the number too, and no copy of it is left."""
    house.receive(mail(text=f"My card is {CARD}."))
    to = of(house.sent(), "opened", JANE)["Reply-To"].rpartition("<")[2].rstrip(">")
    text = f"I call you.\n\nOn Mon, 23 Nov 2026 at 10:00, Bob wrote:\n> My card is {CARD}."
    sent = by_jane(house, text, to=to, subject="Re: [Example #1] x")
    assert "I call you." in of(sent, "words", BOB).text
    assert not any(b"1111" in unpacked(one.item.raw) for one in sent)
    assert b"1111 1111" in everything(house)
    word(house, "redact")
    house.settle()
    assert b"1111 1111" not in everything(house)


def test_an_alert_that_is_noted_on_its_request_holds_nothing_private(tmp_path: Path, url: str) -> None:
    watched = replace(plan("hold"), monitors=(Monitor("app", ("@mon.example.net",), r"\[(?P<state>\w+)\] (?P<what>\w+)", "OK"),))  # type: ignore[type-var]
    house = House(tmp_path, watched, url=url)  # type: ignore[arg-type]
    for number in range(2):
        text = f"Payment of {CARD} failed." if number else "Payments fail."
        house.receive(mail(sender=f"{CARD if number else 'App'} <app@mon.example.net>", subject="[DOWN] payments", text=text,
                           message_id=f"<{number}@mon.example.net>"), sender="app@mon.example.net", peer="127.0.0.1")
    assert [str(event.kind) for event, _ in house.store.events(1)].count("alert") == 1
    house.settle()
    left = everything(house)
    assert b"Payment of [card number removed] failed." in left
    assert b"1111 1111" not in left
    house.close()


@pytest.mark.parametrize("mode", ["hold", "discard"])
def test_what_a_tracker_says_of_a_bug_holds_nothing_private(tmp_path: Path, url: str, mode: str) -> None:
    house = House(tmp_path, replace(plan(mode), trackers=(Tracker("jira", ("jira@dev.example.net",)),)), url=url)  # type: ignore[arg-type,type-var]
    house.receive(mail())
    house.engine.command(1, "bug EB-12", "root", house.now)
    house.sent()
    house.receive(mail(sender=f"{CARD} <jira@dev.example.net>", subject=f"(EB-12) fails for {CARD}", text=f"Payment of {CARD} failed.",
                       message_id="<2@dev.example.net>"), sender="jira@dev.example.net", peer="127.0.0.1")
    sent = house.sent()
    assert {one.item.template for one in sent} == {"comment"}
    assert not any(b"1111" in unpacked(one.item.raw) for one in sent)
    left = everything(house)
    assert b"Payment of [card number removed] failed." in left
    assert b"1111 1111" not in left
    house.close()


@pytest.mark.parametrize("text", ["redact", "erase"])
def test_a_backup_made_after_it_holds_nothing_either(house: House, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    house.receive(mail(subject=f"Refund to {CARD}", text=f"My card is {CARD}.", headers=f"Cc: {ANN}"))
    house.sent()
    folder = tmp_path_factory.mktemp("copies")
    house.store.snapshot(folder / "before.db")
    word(house, text)
    house.settle()
    house.store.snapshot(folder / "after.db")
    for name, holds in (("before.db", True), ("after.db", False)):
        copied = House(folder, house.plan, url=f"sqlite:///{name}")
        found = everything(replace_folder(copied, folder / name))
        assert (b"1111 1111" in found) is holds, name
        copied.close()


def replace_folder(house: House, file: Path) -> House:
    """The same house, of whose folder only one file is looked at."""
    alone = file.parent / f"only-{file.name}"
    alone.mkdir()
    shutil.copy(file, alone)
    house.folder = alone
    return house


def test_what_is_withheld_stands_in_the_list_of_held_mail_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    house = House(tmp_path / "var", plan("hold"), url="sqlite:///rtmail.db")  # type: ignore[arg-type]
    house.receive(mail(sender=f"Bob {CARD} <{BOB}>", subject=f"Refund to {CARD}", text=f"My card is {CARD}."))
    house.close()
    config = tmp_path / "config" / "rtmail.toml"
    config.parent.mkdir()
    config.write_text(toml("default"))

    def ran(*words: str) -> str:
        found = CliRunner().invoke(rtmail, ["held", *words, "-c", str(config)], catch_exceptions=False)
        return found.stdout + found.stderr

    listed = ran("list") + ran("list", "--json") + ran("show", "1") + ran("show", "1", "--json")
    assert listed.count("content withheld (a card number): rtmail ticket do 1 redact, release or") >= 3
    assert "1111" not in listed
    assert "Refund" not in listed
    for done in ("retry", "drop"):
        assert ran(done, "1").strip() == "rtmail: content withheld (a card number): rtmail ticket do 1 redact, release or erase"
    assert CliRunner().invoke(rtmail, ["ticket", "do", "1", "redact", "-c", str(config)]).exit_code == 0
    assert ran("list").strip() == "none"
