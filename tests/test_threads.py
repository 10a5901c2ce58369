"""Our mails in other people's clients: one thread a request for customer, Cc and engineer, by ids alone, also after a merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.fakes.house import House, Sent, mail
from tests.fakes.staff import ANN, BOB, BOSS, JANE, KIM, MAX, NAMES, address_of, fresh_id, request, trusted
from tests.fakes.threaded import threads


class Mailboxes:
    """What everybody has before him: mails of ours, and his own that he sent."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.boxes: dict[str, list[Message]] = {}
        self.last: dict[str, Sent] = {}

    def deliver(self) -> list[Sent]:
        sent = self.house.sent()
        for one in sent:
            self.boxes.setdefault(one.item.recipient, []).append(message_from_bytes(one.item.raw))
            self.last[one.item.recipient] = one
        return sent

    def posts(self, who: str, raw: bytes, to: str, *, copies: tuple[str, ...] = ()) -> list[Sent]:
        for reader in (who, *copies):
            self.boxes.setdefault(reader, []).append(message_from_bytes(raw))
        self.house.receive(trusted(raw, who), to=to, sender=who, peer="127.0.0.1")
        self.house.forward(minutes=7)
        return self.deliver()

    def opens(self, who: str, subject: str, cc: str = "") -> str:
        message_id = fresh_id(who)
        raw = mail(sender=f"{NAMES[who]} <{who}>", subject=subject, text=f"{subject}.", message_id=message_id,
                   headers=f"Cc: {cc}" if cc else "")
        self.posts(who, raw, "support@example.com", copies=tuple(filter(None, (cc,))))
        return message_id

    def answers(self, who: str, text: str, *, on: Sent | None = None, to: str = "", cc: str = "", references: bool = True) -> list[Sent]:
        """By what his client answers: the mail before him, its References extended by its id, or In-Reply-To alone."""
        on = on or self.last[who]
        to = to or address_of(on["Reply-To"])
        lines = [f"In-Reply-To: {on['Message-ID']}", *([f"Cc: {cc}"] if cc else [])]
        lines += [f"References: {' '.join(filter(None, (on['References'], on['Message-ID'])))}"] if references else []
        subject = on["Subject"] if on["Subject"].startswith("Re:") else f"Re: {on['Subject']}"
        raw = mail(sender=f"{NAMES[who]} <{who}>", to=to, subject=subject, text=text, message_id=fresh_id(who), headers="\n".join(lines))
        return self.posts(who, raw, to, copies=tuple(filter(None, (cc,))))

    def threads(self, who: str) -> list[list[Message]]:
        return threads(self.boxes[who])

    def one_thread(self, *people: str) -> None:
        for who in people:
            found = self.threads(who)
            assert len(found) == 1, f"{who} has {[[str(one['Subject']) for one in thread] for thread in found]}"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Mailboxes]:
    house = House(tmp_path)
    yield Mailboxes(house)
    house.close()


def conversation(office: Mailboxes) -> None:
    """A request with all that happens to one, as customer, Cc and engineers see it."""
    office.opens(BOB, "Printer down", ANN)
    notice = office.last[JANE]
    office.answers(JANE, "take\n\nWhich one?", on=notice)
    office.answers(BOB, "The red one.", cc=ANN)
    office.answers(KIM, "comment\n\nThe fuser, I guess.", on=office.last[KIM])
    office.answers(ANN, "I saw smoke.")
    office.answers(JANE, "Priority: urgent\nnext tomorrow 15:00\n\nWe come by.", on=notice)
    office.answers(BOB, "Thanks, when?", references=False)
    office.answers(JANE, "resolve\n\nDone.", on=office.last[JANE])
    office.answers(BOB, "It is down again.", references=False)
    office.answers(JANE, "Status: waiting\n\nOdd.", on=notice)


def test_one_thread_for_customer_cc_and_engineer(office: Mailboxes) -> None:
    conversation(office)
    office.one_thread(BOB, ANN, JANE, KIM)
    assert len(office.boxes[BOB]) > 8


def test_mails_that_time_causes_join_the_thread(office: Mailboxes) -> None:
    office.opens(BOB, "Printer down", ANN)
    kinds: set[str] = set()
    for step in range(30):
        if step == 10:
            office.answers(JANE, "We look.")
        office.house.forward(hours=2)
        office.house.sweep()
        kinds |= {one.item.template for one in office.deliver()}
    assert kinds >= {"nudge", "escalation"}
    office.one_thread(BOB, ANN, JANE, KIM, MAX)


def test_no_two_mails_of_one_reader_share_an_id(office: Mailboxes) -> None:
    """A client shows only one of two mails with the same id."""
    conversation(office)
    for who, box in office.boxes.items():
        ids = Counter(str(one["Message-ID"]) for one in box)
        assert not [one for one, count in ids.items() if count > 1], who


def test_copies_of_one_event_are_one_mail_to_everybody(office: Mailboxes) -> None:
    office.opens(BOB, "Printer down", ANN)
    sent = [one for one in office.answers(JANE, "Which one?") if one.item.template in ("words", "notice")]
    assert {one.item.recipient for one in sent} == {BOB, ANN, KIM}
    assert len({one["Message-ID"] for one in sent}) == 1
    assert len({one["Date"] for one in sent}) == 1


def test_two_requests_of_the_same_subject_are_two_threads(office: Mailboxes) -> None:
    for _ in range(2):
        office.opens(BOB, "Printer down")
        office.answers(JANE, "Which one?")
    assert len(office.threads(BOB)) == 2
    assert len(office.threads(JANE)) == 2


@pytest.mark.parametrize("merged_by", ["merge 1", "same 1"])
def test_after_a_merge_every_thread_goes_on(office: Mailboxes, merged_by: str) -> None:
    """Each goes on in the thread that he knows; who was on both has one new mail in one of his."""
    office.opens(BOB, "Printer down")
    office.answers(JANE, "Which one?")
    office.opens(ANN, "Printer broken", BOSS)
    office.answers(KIM, "We look.")
    second = office.last[ANN]
    assert office.house.engine.command(2, merged_by, "root", office.house.now)[0]["done"]
    office.deliver()
    office.answers(JANE, "One cause.", on=office.last[JANE], to=jane_public(office))
    office.answers(ANN, "Good to know.", on=second)
    office.answers(BOB, "Indeed.")
    office.answers(JANE, "Done.", on=office.last[JANE], to=jane_public(office))
    assert request(office.house, 2).merged_into == 1
    for who, count in ((BOB, 1), (ANN, 1), (BOSS, 1)):
        found = office.threads(who)
        assert len(found) == count, f"{who}: {[[str(one['Subject']) for one in thread] for thread in found]}"
    assert len(office.threads(JANE)) <= 2, "staff had two requests before them"


def jane_public(office: Mailboxes) -> str:
    """Jane's signed address for words to the customer, from the last mail that has one."""
    for raw in reversed(office.boxes[JANE]):
        to = address_of(str(raw["Reply-To"] or ""))
        if to.startswith("support+"):
            return to
    raise AssertionError("no such mail")


def test_a_client_that_writes_no_references_loses_nobody(office: Mailboxes) -> None:
    """Outlook on some roads keeps In-Reply-To alone; a relay may drop References."""
    office.opens(BOB, "Printer down", ANN)
    for number in range(12):
        office.answers(JANE, f"Step {number}.", references=False)
        office.answers(BOB, f"Done {number}.", references=False)
    office.one_thread(BOB, ANN, JANE, KIM)


def test_a_long_conversation_stays_one_thread(office: Mailboxes) -> None:
    """References are cut to root and latest; a client that has all mails still joins them."""
    office.opens(BOB, "Printer down", ANN)
    for number in range(30):
        office.answers(JANE, f"Step {number}.")
        office.answers(BOB, f"Done {number}.")
    office.one_thread(BOB, ANN, JANE, KIM)
    assert all(len(str(one["References"] or "").split()) <= 20 for one in office.boxes[ANN])


def test_the_algorithm_itself() -> None:
    """Its own corners: cited ids that nobody has, one id twice, a ring, roots of one subject."""

    def one(message_id: str, references: str = "", subject: str = "x") -> Message:
        made = Message()
        made["Message-ID"], made["Subject"] = message_id, subject
        if references:
            made["References"] = references
        return made

    assert len(threads([one("<a>"), one("<b>", "<a>"), one("<c>", "<gone> <b>")])) == 1
    assert len(threads([one("<a>", "<gone>"), one("<b>", "<gone>")])) == 1, "an id that nobody has keeps its answers together"
    assert len(threads([one("<a>"), one("<b>")])) == 2
    assert len(threads([one("<a>"), one("<b>", subject="Re: x")], by_subject=True)) == 1
    assert sorted(map(len, threads([one("<a>", "<b>"), one("<b>", "<a>")]))) == [2]
    assert sum(map(len, threads([one("<a>"), one("<a>")]))) == 2
