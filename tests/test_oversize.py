"""A mail in a mailbox that is too large: its start opens or joins a request, people are told, and nobody answers by half a mail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from rtmail.mail.model import Cut, Envelope
from tests.fakes.house import House, Sent, mail

BOB, JANE, KIM = "bob@acme.example", "jane@staff.example", "kim@staff.example"
CUT = Cut(43_201_000, 26_214_400, "office")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def large(*, sender: str = BOB, subject: str = "Crash dump", text: str = "It crashed again.", message_id: str = "<big@acme.example>",
          headers: str = "", file_bytes: int = 300_000) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"], message["Message-ID"] = sender, "support@example.com", subject, message_id
    message["Date"] = "Mon, 23 Nov 2026 09:00:00 +0000"
    for line in headers.splitlines():
        name, _, value = line.partition(": ")
        message[name] = value
    message.set_content(text)
    message.add_attachment(b"small", "application", "octet-stream", filename="small.bin")
    message.add_attachment(b"\xfe" * file_bytes, "application", "octet-stream", filename="dump.bin")
    return message.as_bytes()


def found(house: House, raw: bytes, *, cut: Cut | None = CUT, begun: int = 0) -> tuple[int, list[Sent]]:
    """Let a mail, or its first bytes, be found in the mailbox; returns its spool id and what went out."""
    raw = raw[:100_000] if cut else raw
    envelope = Envelope(None, (), "imap:office", house.now, queue="support", cut=cut, begun=begun)
    (spool_id,) = house.store.put_many([(raw, envelope)])
    house.settle()
    return spool_id, house.sent()


def by(sent: list[Sent], template: str, recipient: str) -> Sent:
    return next(one for one in sent if (one.item.template, one.item.recipient) == (template, recipient))


def who(sent: list[Sent]) -> list[tuple[str, str]]:
    return sorted((one.item.template, one.item.recipient) for one in sent)


def joined(text: str) -> str:
    return " ".join(text.split())


def test_its_start_opens_a_request_and_staff_and_sender_know_what_is_missing(house: House) -> None:
    spool_id, sent = found(house, large())
    assert who(sent) == [("acknowledgement", BOB), ("opened", JANE), ("opened", KIM), ("too-large", BOB)]
    opened = by(sent, "opened", JANE)
    assert "It crashed again." in opened.text
    assert "Too large (41.2 MB, at most 25 MB)" in joined(opened.text)
    assert "mailbox office" in joined(opened.text)
    assert "cut off: dump.bin" in joined(opened.text)
    names = [part.get_filename() for part in opened.mail.walk() if part.get_filename()]
    assert names == ["small.bin"], "half a file is none"
    told = by(sent, "too-large", BOB)
    assert "41.2 MB" in told.text
    assert "25 MB" in told.text
    assert told["Auto-Submitted"] == "auto-replied"
    assert told["In-Reply-To"] == "<big@acme.example>"
    assert house.store.spool_row(spool_id).trace["cut"] == {"bytes": 43_201_000, "limit": 26_214_400}
    # Found once more after a kill between keeping and noting: nothing happens twice.
    assert found(house, large())[1] == []


@pytest.mark.parametrize("headers", ["Auto-Submitted: auto-generated", "Precedence: bulk", "X-Auto-Response-Suppress: All",
                                     "List-Id: <l.acme.example>"])
def test_no_automatic_answer_where_none_is_allowed(house: House, headers: str) -> None:
    _, sent = found(house, large(headers=headers))
    assert {one.item.recipient for one in sent} == {JANE, KIM}
    assert all("Too large" in one.text for one in sent)


def test_an_auto_reply_that_is_too_large_stays_inert(house: House) -> None:
    house.receive(mail())
    house.sent()
    _, sent = found(house, large(subject="Re: [Example #1] Printer down", headers="Auto-Submitted: auto-replied"))
    assert sent == []


def test_words_of_a_participant_reach_staff_and_no_other_participant(house: House) -> None:
    house.receive(mail(headers="Cc: ann@acme.example"))
    house.sent()
    proven = b"Authentication-Results: mx.example.com; dmarc=pass header.from=acme.example\r\n"
    _, sent = found(house, proven + large(subject="Re: [Example #1] Printer down"))
    assert who(sent) == [("notice", JANE), ("notice", KIM), ("too-large", BOB)]


def jane(text: str, **more: str) -> bytes:
    return b"Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example\r\n" + large(
        sender=JANE, subject="Re: [Example #1] Printer down", text=text, message_id="<j@staff.example>", **more)


def answer(house: House) -> str:
    house.receive(mail())
    notice = by(house.sent(), "opened", JANE)
    return f"In-Reply-To: {notice['Message-ID']}"


def test_an_engineers_answer_waits_and_so_do_its_commands(house: House) -> None:
    _, sent = found(house, jane("resolve\n\nHere is the new firmware.", headers=answer(house)))
    assert who(sent) == [("asked", JANE)]
    assert "too large (41.2 MB, at most 25 MB)" in joined(sent[0].text)
    assert "Send to the customer" not in sent[0].text, "half an answer is not offered to the customer"
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert str(ticket.status) == "new"


def test_all_of_it_joins_its_start_once_the_limit_is_raised(house: House) -> None:
    spool_id, _ = found(house, large())
    _, sent = found(house, large(), cut=None, begun=spool_id)
    assert who(sent) == [("notice", JANE), ("notice", KIM)]
    names = [part.get_filename() for part in sent[0].mail.walk() if part.get_filename()]
    assert names == ["small.bin", "dump.bin"]
    assert house.store.by_number(2) is None


def test_all_of_an_engineers_answer_asks_him_before_it_goes_out(house: House) -> None:
    headers = answer(house)
    spool_id, _ = found(house, jane("resolve\n\nHere is the new firmware.", headers=headers))
    whole_id, sent = found(house, jane("resolve\n\nHere is the new firmware.", headers=headers), cut=None, begun=spool_id)
    assert who(sent) == [("asked", JANE)]
    (hold,) = house.store.holds_of(whole_id)
    assert hold.kind == "asked"


def test_without_a_message_id_it_joins_its_start_as_well(house: House) -> None:
    raw = large(message_id="").replace(b"Message-ID: \n", b"")
    spool_id, _ = found(house, raw)
    found(house, raw, cut=None, begun=spool_id)
    assert house.store.by_number(2) is None


def test_an_envelope_keeps_what_is_missing_over_a_restart(house: House) -> None:
    envelope = Envelope(None, (), "imap:office", house.now, queue="support", cut=CUT, begun=3)
    (spool_id,) = house.store.put_many([(b"Subject: x\r\n\r\n", envelope)])
    assert house.store.spool_row(spool_id).envelope == envelope
    (spool_id,) = house.store.put_many([(b"Subject: x\r\n\r\n", replace(envelope, cut=None, begun=0))])
    assert house.store.spool_row(spool_id).envelope == replace(envelope, cut=None, begun=0)


def fresh(text: str = "") -> EmailMessage:
    """A mail of Jane's about no request."""
    message = EmailMessage()
    message["Authentication-Results"] = "mx.example.com; dmarc=pass header.from=staff.example"
    message["From"], message["To"], message["Subject"] = JANE, "support@example.com", "Away"
    message["Message-ID"], message["Date"] = "<half@staff.example>", "Mon, 23 Nov 2026 09:00:00 +0000"
    if text:
        message.set_content(text)
    return message


def begun(house: House, raw: bytes, keep: bytes) -> tuple[int, list[Sent]]:
    """A mail whose start was fetched as far as `keep`."""
    raw = raw[: raw.index(keep) + len(keep)]
    envelope = Envelope(None, (), "imap:office", house.now, queue="support", cut=CUT)
    (spool_id,) = house.store.put_many([(raw, envelope)])
    house.settle()
    return spool_id, house.sent()


def test_commands_about_no_request_run_and_their_author_hears_that_the_rest_was_not_read(house: House) -> None:
    """Commands stand above all other words, so they are there whole; what he sent along is not silently gone."""
    raw = fresh("away until 2 Dec")
    raw.add_attachment(b"\xfe" * 300_000, "application", "octet-stream", filename="dump.bin")
    _, sent = found(house, raw.as_bytes())
    assert who(sent) == [("receipt", JANE)]
    receipt = joined(sent[0].text)
    assert "done: you are away until" in receipt
    assert "(the rest of your mail) NOT DONE: too large (41.2 MB, at most 25 MB): only its beginning was read" in receipt


@pytest.mark.parametrize("text", ["merge 17", "away until 2 Dec\nmerge 17"])
def test_half_a_line_is_no_command(house: House, text: str) -> None:
    """A picture first, and the text behind it ends where the start of the mail does."""
    message = fresh()
    message.make_mixed()
    message.add_attachment(b"\x89PNG" * 1000, "image", "png", filename="screen.png", disposition="inline")
    words = EmailMessage()
    words.set_content(f"{text}42\n")
    message.attach(words)
    _, sent = begun(house, message.as_bytes(), text.encode())
    assert "merge" not in " ".join(one.text for one in sent)
    assert sent, "he hears of it"
