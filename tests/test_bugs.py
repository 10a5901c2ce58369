"""Bugs that are kept elsewhere: one bug and many requests, a tracker whose mail is a comment always, and telling all who wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.machines.systems import Tracker
from rtmail.desk.machines.trackers import read
from rtmail.desk.notes import reference
from rtmail.desk.ticket import EventKind, Ticket
from rtmail.engine.office import Caps
from rtmail.mail.model import Envelope
from rtmail.mail.reading.message import read as read_mail
from rtmail.store import Outcome
from tests.fakes.house import NOW, House, Sent, blueprint, mail
from tests.fakes.staff import ANN, BOB, JANE, KIM, answered, flat, opened, sent_to, told_us

JIRA = Tracker("jira", ("jira@dev.example.net", "@bugs.example.net"))
SECRET = "Their licence check is a joke"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path, replace(blueprint(), trackers=(JIRA,)))
    yield one
    one.close()


def request(house: House, number: int = 1) -> Ticket:
    found = house.store.by_number(number)
    assert found is not None
    return found


def tracked(house: House, subject: str, text: str = SECRET, *, to: str = "support@example.com", headers: str = "", number: int = 1,
            peer: str = "127.0.0.1") -> tuple[int, list[Sent]]:
    raw = mail(sender="Jira <jira@dev.example.net>", to=to, subject=subject, text=text, message_id=f"<{number}@dev.example.net>",
               headers="\n".join(filter(None, ("Auto-Submitted: auto-generated", headers))))
    return house.receive(raw, to=to, sender="jira@dev.example.net", peer=peer), house.sent()


def linked(house: House, *subjects: str) -> list[Sent]:
    """Open a request of Bob's for each subject, linked with EB-12; return what its staff got of each."""
    notices = []
    for number, subject in enumerate(subjects, 1):
        notices.append(sent_to(opened(house, subject=subject), JANE, "opened"))
        answered(house, notices[-1], "take\nbug EB-12")
        assert request(house, number).fields["refs"] == ["EB-12"]
    return notices


# what is written


@pytest.mark.parametrize(("written", "kept"), [
    ("eb-12", "EB-12"), ("https://jira.example.net/browse/EB-12", "EB-12"), ("https://jira.example.net/browse/EB-12/", "EB-12"),
    ("org/app#12", "org/app#12"),
    ("https://git.example.net/org/app/issues/12", "https://git.example.net/org/app/issues/12"), ("#12", "#12"),
])
def test_a_bug_has_one_number_however_it_is_written(written: str, kept: str) -> None:
    assert reference(written) == kept


@pytest.mark.parametrize(("written", "said"), [
    ("EB-12 in 4.2", ("EB-12", "4.2", False)), ("eb-12", ("EB-12", "", False)), ("EB-12 in 4.2 yes", ("EB-12", "4.2", True)),
    ("EB-12, yes", ("EB-12", "", True)), ("EB-12 in v4.2-rc1 YES", ("EB-12", "v4.2-rc1", True)),
])
def test_what_is_fixed(written: str, said: tuple[str, str, bool]) -> None:
    one = arguments.fixed(written)
    assert (one.ref, one.version, one.sure) == said


@pytest.mark.parametrize("written", ["it", "EB-12 in the next version of ours", "the printer", "EB-12 and EB-13"])
def test_what_names_no_bug(written: str) -> None:
    with pytest.raises(ArgumentError):
        arguments.fixed(written)


def test_fixed_in_a_sentence_is_words_for_the_customer(house: House) -> None:
    (notice,) = linked(house, "It fails")
    sent = answered(house, notice, "Fixed it this morning, please try again.")
    assert "Fixed it this morning" in sent_to(sent, BOB, "words").text


# linking


def test_the_second_request_hears_of_the_first_and_undo_forgets_it(house: House) -> None:
    first, second = (sent_to(opened(house, subject=subject), JANE, "opened") for subject in ("Login fails", "No login"))
    answered(house, first, "bug EB-12")
    sent = answered(house, second, "bug https://jira.example.net/browse/eb-12")
    assert "noted: EB-12; #1 hangs on it too" in flat(sent_to(sent, JANE, "receipt"))
    answered(house, second, "undo")
    assert request(house, 2).fields["refs"] is None
    assert [one.tickets for one in house.store.linked_with()] == [(request(house).id,)]


def test_a_new_number_names_bugs_that_look_alike(house: House) -> None:
    for number, (subject, ref) in enumerate((("Login fails after update", "EB-12"), ("Login fails after update again", "EB-30")), 1):
        notice = sent_to(opened(house, subject=subject), JANE, "opened")
        sent = answered(house, notice, f"bug {ref}")
        said = flat(sent_to(sent, JANE, "receipt"))
        assert ("EB-12 may be the same" in said) == (number == 2), said


def test_bugs_are_listed_and_found_by_number_and_by_words(house: House) -> None:
    linked(house, "Login fails", "Export is empty")
    house.forward(minutes=1)
    third = sent_to(opened(house, subject="Printer on fire"), JANE, "opened")
    answered(house, third, "bug EB-77")
    everything = flat(sent_to(told_us(house, JANE, "list bugs"), JANE))
    assert everything.index("EB-77") < everything.index("EB-12")
    assert "#1 Login fails" in everything
    assert "#2 Export is empty" in everything
    found = flat(sent_to(told_us(house, JANE, "bugs login"), JANE))
    assert "EB-12" in found
    assert "EB-77" not in found
    assert "#2 Export is empty" in found, "the whole bug is shown, not only the request that was found"
    assert "#3 Printer on fire" in flat(sent_to(told_us(house, JANE, "bugs eb-77"), JANE))
    assert "None." in sent_to(told_us(house, JANE, "bugs submarine"), JANE).text


def test_bugs_in_a_customers_list_is_a_word(house: House) -> None:
    linked(house, "Login fails")
    assert "EB-12" not in sent_to(told_us(house, BOB, "list bugs"), BOB).text


def test_requests_of_other_peoples_queues_are_not_shown(house: House) -> None:
    notice = sent_to(opened(house, queue="sales", subject="Offer for Eve"), KIM, "opened")
    answered(house, notice, "bug EB-12", who=KIM)
    assert "Offer" not in sent_to(told_us(house, JANE, "list bugs"), JANE).text
    assert "Offer" in sent_to(told_us(house, KIM, "list bugs"), KIM).text


# the tracker's mail


def test_a_trackers_mail_is_a_comment_on_each_request_of_the_bug(house: House) -> None:
    linked(house, "It fails", "It fails too")
    spool, sent = tracked(house, "[JIRA] (EB-12) Login broken: new comment")
    assert {(one.item.recipient, one.item.template) for one in sent} == {(JANE, "comment")}
    assert len(sent) == 2
    assert all("About EB-12, with which this request is linked." in flat(one) for one in sent)
    assert all(SECRET in one.text for one in sent)
    assert house.store.spool_row(spool).outcome == Outcome.EVENT
    for number in (1, 2):
        last = house.store.events(request(house, number).id)[-1][0]
        assert (last.kind, last.visibility) == (EventKind.COMMENT, "internal")
    assert house.store.audit_counts().closes


@pytest.mark.parametrize("where", ["reply", "public", "comment"])
def test_whatever_address_and_evidence_it_never_reaches_the_customer(house: House, where: str) -> None:
    """The tracker was in Cc of an answer, or somebody gave it the customer's reply address: still a comment."""
    sent = opened(house)
    notice, acknowledgement = sent_to(sent, JANE, "opened"), sent_to(sent, BOB, "acknowledgement")
    answered(house, notice, "take\nbug EB-12\nAddCc: jira@dev.example.net")
    to = {"reply": acknowledgement["Reply-To"].rpartition("<")[2].rstrip(">"), "public": "support@example.com",
          "comment": "support-comment@example.com"}[where]
    headers = f"In-Reply-To: {acknowledgement['Message-ID']}\nReferences: {acknowledgement['Message-ID']}"
    _, sent = tracked(house, "Re: [Example #1] Printer down (EB-12)", to=to, headers=headers)
    assert {one.item.recipient for one in sent} == {JANE}
    assert request(house).status == "new"


def test_it_answers_meets_and_reopens_nothing(house: House) -> None:
    (notice,) = linked(house, "It fails")
    answered(house, notice, "Priority: normal\nresolve\n\nPlease look.")
    before = request(house)
    tracked(house, "EB-12 resolved")
    after = request(house)
    assert after.status == "resolved"
    assert after.clocks == before.clocks


def test_a_mail_without_a_number_that_answers_ours_is_a_comment_there(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    _, sent = tracked(house, "Re: something", headers=f"In-Reply-To: {notice['Message-ID']}")
    assert {(one.item.template, one.item.recipient) for one in sent} == {("comment", JANE), ("comment", KIM)}


def test_one_about_a_bug_that_nothing_hangs_on_opens_a_request_and_gets_no_answer(house: House) -> None:
    spool, sent = tracked(house, "(EB-99) new bug")
    assert {one.item.template for one in sent} == {"opened"}
    assert house.store.spool_row(spool).outcome == Outcome.EVENT
    assert request(house).requestor is None


def test_what_only_claims_to_be_the_tracker_is_flagged(house: House) -> None:
    linked(house, "It fails")
    _, sent = tracked(house, "EB-12 is nothing", peer="203.0.113.9")
    assert "Nothing proves that the tracker wrote it." in flat(sent[0])


def test_what_an_engineer_repeats_of_a_trackers_words_he_is_asked_about(house: House) -> None:
    (notice,) = linked(house, "It fails")
    tracked(house, "(EB-12) new comment", "The licence check of Acme has never worked since they refuse to pay for it.")
    sent = answered(house, notice, "Hello Bob,\n\nthe licence check of Acme has never worked since they refuse to pay for it.")
    assert {(one.item.template, one.item.recipient) for one in sent} == {("asked", JANE)}
    sent = answered(house, notice, "> since they refuse to pay for it\n\nWe know.")
    assert {(one.item.template, one.item.recipient) for one in sent} == {("asked", JANE)}


def test_a_tracker_without_end_is_recorded_and_staff_are_told_in_one(tmp_path: Path) -> None:
    """A bulk change over there, or a tracker that takes each notice of ours for a new comment."""
    house = House(tmp_path, replace(blueprint(caps=Caps(per_request=3, per_sender=100)), trackers=(JIRA,)))
    linked(house, "It fails", "It fails too")
    sent = [one for number in range(1, 11) for one in tracked(house, "(EB-12) comment", f"Word {number}.", number=number)[1]]
    # Three about each of the two requests before the cap, and the first beyond it.
    assert [one.item.template for one in sent if one.item.recipient == JANE].count("comment") == 7
    assert [one.item.template for one in sent].count("admin-notice") == 2
    for number in (1, 2):
        log = house.store.events(request(house, number).id)
        assert sum(event.facts.get("tracker") == "jira" for event, _ in log) == 10
    house.forward(minutes=11)
    house.settle()
    folded = sent_to(house.sent(), JANE)
    assert folded.item.template == "folded"
    assert "13 mails without a notice of their own" in folded["Subject"]
    house.close()


def test_the_subject_names_the_bug_and_the_text_only_where_it_names_none() -> None:
    def refs(subject: str, text: str) -> tuple[str, ...]:
        note = read((JIRA,), read_mail(mail(sender="jira@dev.example.net", subject=subject, text=text),
                                       Envelope("j@x", (), ingress="smtp", arrived_at=NOW), blueprint().site))
        assert note is not None
        return note.refs

    assert refs("[JIRA] (EB-12) Broken", "See EB-13.") == ("EB-12",)
    assert refs("Your digest", "eb-12 and EB-13, not XEB-12-3") == ("EB-12", "EB-13")
    assert refs("Nothing", "here") == ()


def test_a_merged_request_hears_of_it_where_it_went(house: House) -> None:
    _, second = linked(house, "It fails", "It fails too")
    answered(house, second, "merge 1")
    assert request(house, 2).status == "merged"
    _, sent = tracked(house, "EB-12: found")
    assert [one["X-RTMail-Request"] for one in sent] == ["1"]


# telling who waits


def test_a_fix_is_shown_first_and_told_to_each_on_his_own_request(house: House) -> None:
    notices = linked(house, "It fails")
    other = sent_to(opened(house, who=ANN, subject="No login at all"), JANE, "opened")
    answered(house, other, "take\nbug EB-12")
    shown = answered(house, notices[0], "fixed EB-12 in 4.2")
    (preview,) = shown
    assert preview.item.recipient == JANE
    said = flat(preview)
    assert "Nothing has gone out yet." in said
    assert "is fixed in version 4.2" in said
    assert "#1 It fails" in said
    assert "#2 No login at all" in said
    assert "body=fixed%20EB-12%20in%204.2%20yes" in preview.text.replace("=\n", "")

    sent = answered(house, notices[0], "fixed EB-12 in 4.2 yes")
    told = [one for one in sent if one.item.template == "fixed"]
    assert {(one.item.recipient, one["Subject"]) for one in told} == {
        (BOB, "Re: [Example #1] It fails"), (ANN, "Re: [Example #2] No login at all"),
    }
    for one in told:
        assert "version 4.2" in flat(one)
        assert "EB-12" not in one.item.raw.decode()
        assert one["Auto-Submitted"] == ""
        assert one["From"].startswith('"Jane Doe via Example"') or one["From"].startswith("Jane Doe via Example")
    assert ANN not in told[0].item.raw.decode() or BOB not in told[0].item.raw.decode()
    assert "EB-12 is fixed in 4.2: #1, #2 were told" in flat(sent_to(sent, JANE, "receipt"))
    again = answered(house, notices[0], "fixed EB-12 in 4.2 yes\ntime 5m")
    assert not [one for one in again if one.item.template == "fixed"]
    assert "knew it already" in flat(sent_to(again, JANE, "receipt"))


def test_the_link_of_the_preview_sends_it(house: House) -> None:
    notices = linked(house, "It fails")
    preview = answered(house, notices[0], "fixed EB-12 in 4.2")[0]
    link = preview.text.partition("<mailto:")[2].partition(">")[0].replace("\n", "")
    assert "support-comment" in link.partition("?")[0]
    raw = mail(sender="Jane Doe <jane@staff.example>", to=link.partition("?")[0].replace("%2B", "+"), subject="fixed EB-12 in 4.2 yes",
               text="fixed EB-12 in 4.2 yes", message_id="<click@staff.example>",
               headers="Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example")
    house.receive(raw, to=link.partition("?")[0].replace("%2B", "+"), sender=JANE, peer="127.0.0.1")
    assert "is fixed in version 4.2" in flat(sent_to(house.sent(), BOB, "fixed"))


def test_the_word_of_a_fix_is_an_answer_and_a_bounce_of_it_comes_home(house: House) -> None:
    (notice,) = linked(house, "It fails")
    answered(house, notice, "fixed EB-12 in 4.2 yes")
    first = next(clock for clock in request(house).clocks if clock.name == "first-response")
    assert str(first.state) == "met"


def test_a_closed_request_is_told_and_stays_closed(house: House) -> None:
    (notice,) = linked(house, "It fails")
    answered(house, notice, "close")
    sent = answered(house, notice, "fixed EB-12 in 4.2 yes")
    assert "version 4.2" in flat(sent_to(sent, BOB, "fixed"))
    assert request(house).status == "closed"


def test_a_bug_that_nothing_hangs_on_is_told_to_nobody(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "fixed EB-5 in 4.2 yes")
    assert "no request is linked with EB-5" in flat(sent_to(sent, JANE, "receipt"))
    assert "Nobody waits for it" in flat(answered(house, notice, "fixed EB-5")[0])


def test_who_does_not_work_in_a_queue_tells_nobody_there(house: House) -> None:
    linked(house, "It fails")
    theirs = sent_to(opened(house, queue="sales", subject="Offer"), KIM, "opened")
    answered(house, theirs, "bug EB-12", who=KIM)
    notice = sent_to(opened(house, subject="Third"), JANE, "opened")
    sent = answered(house, notice, "fixed EB-12 in 4.2 yes")
    assert [one.item.recipient for one in sent if one.item.template == "fixed"] == [BOB]
    assert "#1 was told; #2 was not" in flat(sent_to(sent, JANE, "receipt"))


def test_a_fix_told_cannot_be_taken_back(house: House) -> None:
    (notice,) = linked(house, "It fails")
    answered(house, notice, "fixed EB-12 in 4.2 yes")
    assert "cannot be taken back" in flat(sent_to(answered(house, notice, "undo"), JANE, "receipt"))


def test_staff_see_that_it_is_fixed(house: House) -> None:
    (notice,) = linked(house, "It fails")
    answered(house, notice, "fixed EB-12 in 4.2 yes")
    assert "EB-12 (fixed in 4.2)" in flat(sent_to(told_us(house, JANE, "show 1"), JANE))
    assert "EB-12, fixed in 4.2" in flat(sent_to(told_us(house, JANE, "list bugs"), JANE))
    other = sent_to(opened(house, subject="Once more"), JANE, "opened")
    assert "told that it is fixed in 4.2" in flat(sent_to(answered(house, other, "bug EB-12"), JANE, "receipt"))
