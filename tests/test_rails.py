"""What staff send by mistake: nothing said among staff reaches a customer, and the author is asked once what he meant (promise 7)."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from html import escape
from pathlib import Path

import pytest

from rtmail.mail.tripwire import STAFF_MARK
from rtmail.store import Outcome
from tests.fakes.house import House, Sent, mail
from tests.fakes.staff import (
    ANN,
    BOB,
    JANE,
    KIM,
    NAMES,
    address_of,
    answered,
    clicked,
    flat,
    fresh_id,
    opened,
    receivers,
    request,
    sent_to,
    told_us,
    trusted,
)

CANARY = "zinnober"
SECOND = f"Second line about the {CANARY} contract and its margin."
COMMENT = f"The {CANARY} word is that his own fuser did it, and that he never pays.\n\n{SECOND}"
PUBLIC, INSIDE, PRIVATE = "support@example.com", "support-comment@example.com", "jane@home.example"
OUTSIDE = (BOB, ANN, PRIVATE)


class Desk:
    """Request 1 of Bob with Ann in Cc, of which Jane has her notice, and Kim's comment."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.notice = sent_to(opened(house, cc=ANN), JANE, "opened")
        raw = mail(sender=f"Kim Lee <{KIM}>", to=INSIDE, subject="Re: [Example #1] Printer down", text=COMMENT, message_id=fresh_id(KIM))
        house.receive(trusted(raw, KIM), to=INSIDE, sender=KIM, peer="127.0.0.1")
        self.comment = sent_to(house.sent(), JANE, "comment")
        self.spool = 0

    def public(self) -> str:
        return address_of(self.notice["Reply-To"])

    def writes(self, text: str, *, on: Sent | None = None, to: str = "", cc: str = "", who: str = JANE, headers: str = "",
               subject: str = "Re: [Example #1] Printer down", through: str = "") -> list[Sent]:
        """A mail of `who`, an answer to `on` (his notice); `through` is the envelope recipient where headers hide it."""
        on, to = on or self.notice, to or self.public()
        lines = [f"In-Reply-To: {on['Message-ID']}", f"References: {on['References']} {on['Message-ID']}", *headers.splitlines()]
        lines += [f"Cc: {cc}"] if cc else []
        raw = mail(sender=f"Jane Doe <{who}>", to=to, subject=subject, text=text, message_id=fresh_id(who), headers="\n".join(lines))
        return self.posts(raw, to=through or to, who=who)

    def posts(self, raw: bytes, *, to: str = "", who: str = JANE) -> list[Sent]:
        self.spool = self.house.receive(trusted(raw, who), to=to or self.public(), sender=who, peer="127.0.0.1")
        return self.house.sent()

    def composed(self, text: str) -> EmailMessage:
        """Jane's answer to her notice, as a program composes it."""
        answer = EmailMessage(policy=SMTP)
        answer["From"], answer["To"], answer["Subject"] = f"Jane Doe <{JANE}>", self.public(), "Re: [Example #1] Printer down"
        answer["Message-ID"], answer["In-Reply-To"] = fresh_id(JANE), self.notice["Message-ID"]
        answer["Date"] = "Mon, 23 Nov 2026 11:00:00 +0100"
        answer.set_content(text)
        return answer


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    house = House(tmp_path)
    yield Desk(house)
    house.close()


def nothing_inside(sent: list[Sent]) -> None:
    """No mail to people outside holds anything internal, wherever in it."""
    for one in sent:
        if one.item.recipient in OUTSIDE:
            whole = "\n".join([one.item.raw.decode(errors="replace"), *(str(part.get_payload(decode=True)) for part in one.mail.walk())])
            assert CANARY not in whole, one
            assert STAFF_MARK not in whole, one
            assert INSIDE not in whole, one


def quoted(text: str, attribution: str = "On Mon, 23 Nov 2026 at 10:00, Kim Lee via Example wrote:", sign: str = "> ") -> str:
    return "\n".join([*([attribution, ""] if attribution else []), *(f"{sign}{line}" for line in text.splitlines())])


def forwarded(text: str, sender: str = f"Kim Lee via Example <{INSIDE}>") -> str:
    return (f"For your information.\n\n---------- Forwarded message ---------\nFrom: {sender}\nDate: Mon, 23 Nov 2026 at 08:00\n"
            f"Subject: [Example #1] Printer down\nTo: <{JANE}>\n\n{text}")


OUTLOOK = (
    f"-----Original Message-----\nFrom: Kim Lee via Example <{INSIDE}>\nSent: Monday, 23 November 2026 10:00\nTo: Jane Doe\n"
    "Subject: Printer\n\n"
)
WRAPPED = f"> Second line about the\n> {CANARY} contract and\n> its margin."

ASKED: list[tuple[str, Callable[[Desk], list[Sent]]]] = [
    ("a colleague named, no customer", lambda d: d.writes(f"Kim, what of {CANARY}?", cc=KIM)),
    ("a customer in Cc of a comment", lambda d: d.writes(f"{CANARY}, I think.", to=INSIDE, cc=BOB)),
    ("both addresses", lambda d: d.writes(f"{CANARY}, I think.", cc=INSIDE)),
    ("both addresses, the other way", lambda d: d.writes(f"{CANARY}, I think.", to=INSIDE, cc=PUBLIC)),
    ("part of a comment between his words", lambda d: d.writes(f"> {SECOND}\n\nYes, we replace it.")),
    ("part of it wrapped anew", lambda d: d.writes(f"{WRAPPED}\n\nYes, we replace it.")),
    ("part of it in another style", lambda d: d.writes(f"{quoted(SECOND, '', '| ')}\n\nYes, we replace it.")),
    ("part of it pasted", lambda d: d.writes(f"As we say here: {SECOND}\n\nWe replace it.")),
    ("part of it under words of an unknown language", lambda d: d.writes(f"Ua tuhi a Kim Lee i te 23:\n\n{SECOND}\n\nWe replace it.")),
    ("an absence by its subject", lambda d: d.writes(f"Gone, {CANARY}.", subject="Automatic reply: [Example #1] Printer down")),
    ("an absence in another language", lambda d: d.writes(f"Weg, {CANARY}.", subject="Abwesenheitsnotiz: [Example #1] Printer down")),
    ("an absence without any sign", lambda d: d.writes(f"Gone, {CANARY}.", to=d.notice.item.envelope_sender)),
    ("in blind copy, to a colleague", lambda d: d.writes(f"{CANARY}?", on=d.comment, to=KIM, through=PUBLIC)),
    ("a comment in blind copy, to the customer", lambda d: d.writes("Hello Bob.", to=BOB, through=INSIDE)),
    ("a comment answered at the public address", lambda d: d.writes(f"{CANARY}!", on=d.comment)),
    ("a staff mail forwarded to the customer and us", lambda d: d.writes(forwarded(d.comment.text), on=d.comment, to=BOB, cc=PUBLIC,
                                                                          subject="Fwd: [Example #1] Printer down", through=PUBLIC)),
    ("a staff mail forwarded to us", lambda d: d.writes(forwarded(d.comment.text), on=d.comment, subject="Fwd: [Example #1] Printer down")),
]


@pytest.mark.parametrize("does", [row[1] for row in ASKED], ids=[row[0] for row in ASKED])
def test_the_author_is_asked_once_and_no_customer_hears_of_it(desk: Desk, does: Callable[[Desk], list[Sent]]) -> None:
    sent = does(desk)
    nothing_inside(sent)
    assert not {BOB, ANN} & {one.item.recipient for one in sent}
    assert [one.item.recipient for one in sent if one.item.template == "asked"] == [JANE]
    assert not request(desk.house).answered
    assert desk.house.store.audit_counts().closes


UNSAID: list[tuple[str, Callable[[Desk], list[Sent]]]] = [
    ("a whole comment below his words", lambda d: d.writes(f"Switch it off.\n\n{quoted(d.comment.text)}")),
    ("a whole comment above his words", lambda d: d.writes(f"{quoted(d.comment.text)}\n\nSwitch it off.")),
    ("a whole comment without attribution", lambda d: d.writes(f"Switch it off.\n\n{quoted(d.comment.text, '')}")),
    ("a part of it", lambda d: d.writes(f"{quoted(SECOND)}\n\nSwitch it off.")),
    ("a translated attribution", lambda d: d.writes(f"{quoted(SECOND, 'Am 23.11.2026 um 10:00 schrieb Kim Lee:')}\n\nSwitch it off.")),
    ("Outlook's header block", lambda d: d.writes(f"Switch it off.\n\n{OUTLOOK}{d.comment.text}")),
]


@pytest.mark.parametrize("does", [row[1] for row in UNSAID], ids=[row[0] for row in UNSAID])
def test_what_a_client_quotes_is_cut_or_asked_about(desk: Desk, does: Callable[[Desk], list[Sent]]) -> None:
    sent = does(desk)
    nothing_inside(sent)
    if BOB in {one.item.recipient for one in sent}:
        assert "Switch it off." in sent_to(sent, BOB, "words").text
    else:
        assert receivers(sent, "asked") == {JANE}


@pytest.mark.parametrize("style", ["gmail", "outlook", "bare"])
@pytest.mark.parametrize("what", ["whole", "part"])
def test_html_that_quotes_a_comment(desk: Desk, style: str, what: str) -> None:
    shown = "<br>".join(escape(line) for line in (desk.comment.text if what == "whole" else SECOND).splitlines())
    quotes = {
        "gmail": f'<div class="gmail_quote"><div class="gmail_attr">On Mon, Kim wrote:<br></div><blockquote>{shown}</blockquote></div>',
        "outlook": f'<div style="border-top:solid #E1E1E1 1pt"><p><b>From:</b> Kim Lee<br><b>Sent:</b> Mon<br></p></div><p>{shown}</p>',
        "bare": f"<p><i>{shown}</i></p>",
    }
    answer = desk.composed("")
    answer.set_content(f"<html><body><p>Switch it off.</p>{quotes[style]}<p>And on again.</p></body></html>", subtype="html")
    sent = desk.posts(answer.as_bytes())
    nothing_inside(sent)
    assert (BOB in {one.item.recipient for one in sent}) is not (JANE in receivers(sent, "asked"))


def zipped(data: bytes, name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def enclosing(data: bytes) -> bytes:
    """A mail of somebody's that has our staff mail in it."""
    outer = EmailMessage(policy=SMTP)
    outer["From"], outer["Subject"], outer["Message-ID"] = "Zoe <zoe@far.example>", "Fwd", "<z1@far.example>"
    outer.set_content("See below.")
    outer.add_attachment(message_from_bytes(data, policy=default))
    return outer.as_bytes()


def in_base64(data: bytes) -> bytes:
    """The same mail as a relay that allows seven bits only has it: nothing of it can be read as it is."""
    source = message_from_bytes(data, policy=default)
    copy = EmailMessage(policy=SMTP)
    copy["From"], copy["Subject"], copy["Message-ID"] = "Kim Lee <kim@staff.example>", "Printer", str(source["Message-ID"])
    copy.set_content(plain_of(source), cte="base64")
    return copy.as_bytes()


def plain_of(source: EmailMessage) -> str:
    body = source.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


SEPARATOR = b"From a@b Mon Nov 23 10:00:00 2026\n"
File = tuple[str, str, str, Callable[[bytes, str], bytes]]
FILES: list[File] = [
    ("a saved mail", "note.eml", "application/octet-stream", lambda raw, text: raw),
    ("a saved mail without its name", "mail.bin", "application/x-unknown", lambda raw, text: raw),
    ("a saved mail in base64", "note.eml", "application/octet-stream", lambda raw, text: in_base64(raw)),
    ("a mailbox", "all.mbox", "application/mbox", lambda raw, text: SEPARATOR + raw),
    ("the second mail of a mailbox", "all.mbox", "application/mbox",
     lambda raw, text: SEPARATOR + b"From: a@b\nSubject: x\n\nHi.\n\n" + SEPARATOR + in_base64(raw)),
    ("a mail within a mail", "fwd.eml", "application/octet-stream", lambda raw, text: enclosing(in_base64(raw))),
    ("a text", "note.txt", "text/plain", lambda raw, text: text.encode()),
    ("a page", "note.html", "text/html", lambda raw, text: f"<p>{escape(text)}</p>".replace(":", "&#58;").encode()),
    ("an Outlook message", "note.msg", "application/vnd.ms-outlook", lambda raw, text: b"\xd0\xcf" + bytes(500) + text.encode("utf-16le")),
    ("an archive", "mails.zip", "application/zip", lambda raw, text: zipped(raw, "note.eml")),
    ("an archive within an archive", "mails.zip", "application/zip", lambda raw, text: zipped(zipped(in_base64(raw), "a.eml"), "b.zip")),
    ("a compressed mailbox", "mails.mbox.gz", "application/gzip", lambda raw, text: gzip.compress(raw)),
]


@pytest.mark.parametrize("file", FILES, ids=[row[0] for row in FILES])
def test_a_staff_mail_as_an_attachment_is_not_sent_whatever_it_is_packed_in(desk: Desk, file: File) -> None:
    _, name, type_, packed = file
    answer = desk.composed("As attached.")
    maintype, _, subtype = type_.partition("/")
    answer.add_attachment(packed(desk.comment.item.raw, desk.comment.text), maintype=maintype, subtype=subtype, filename=name)
    sent = desk.posts(answer.as_bytes())
    assert [(one.item.template, one.item.recipient) for one in sent] == [("asked", JANE)]
    assert "in an attachment" in sent[0].text
    assert "end to the customer" not in sent[0].text, "no yes lets it out"
    assert not list(sent[0].mail.iter_attachments())  # type: ignore[attr-defined]


def test_a_staff_mail_attached_by_forwarding_it_is_not_sent(desk: Desk) -> None:
    answer = desk.composed("As attached.")
    answer.add_attachment(message_from_bytes(desk.comment.item.raw, policy=default))
    assert receivers(desk.posts(answer.as_bytes()), "asked") == {JANE}


def test_the_conversation_as_staff_get_it_is_not_sent(desk: Desk) -> None:
    """The file that `show` gives staff holds comments, those that came by no mail of ours as well."""
    shown = sent_to(told_us(desk.house, JANE, "show 1"), JANE, "receipt")
    (box,) = [part for part in shown.mail.iter_attachments() if part.get_filename() == "request-1.mbox"]  # type: ignore[attr-defined]
    assert b"X-RTMail-Internal: yes" in box.get_payload(decode=True)
    answer = desk.composed("All of it.")
    answer.add_attachment(box.get_payload(decode=True), maintype="application", subtype="mbox", filename="all.mbox")
    assert receivers(desk.posts(answer.as_bytes()), "asked") == {JANE}


@pytest.mark.parametrize(("name", "type_", "data"), [
    ("log.txt", "text/plain", b"internal error: staff only sees 500"),
    ("mail.eml", "message/rfc822", b""),
    ("a.zip", "application/zip", b"PK\x03\x04 broken"),
    ("b.gz", "application/gzip", b"\x1f\x8b broken"),
    ("photo.png", "image/png", b"\x89PNG" + bytes(1000)),
])  # fmt: skip
def test_other_attachments_are_sent(desk: Desk, name: str, type_: str, data: bytes) -> None:
    answer = desk.composed("As attached.")
    if type_ == "message/rfc822":
        answer.add_attachment(message_from_bytes(mail(text="The customer's own mail."), policy=default), filename=name)
    else:
        maintype, _, subtype = type_.partition("/")
        answer.add_attachment(data, maintype=maintype, subtype=subtype, filename=name)
    words = sent_to(desk.posts(answer.as_bytes()), BOB, "words")
    assert [part.get_filename() for part in words.mail.iter_attachments()] == [name]  # type: ignore[attr-defined]


# What was said on other requests, what waits, and what files say


@pytest.fixture
def other(desk: Desk) -> Sent:
    """Kim's comment on request 2, which Ann opened, as Jane has it."""
    opened(desk.house, who=ANN, subject="Contract")
    raw = mail(sender=f"Kim Lee <{KIM}>", to=INSIDE, subject="Re: [Example #2] Contract", text=ELSEWHERE, message_id=fresh_id(KIM))
    desk.house.receive(trusted(raw, KIM), to=INSIDE, sender=KIM, peer="127.0.0.1")
    return sent_to(desk.house.sent(), JANE, "comment")


MARGIN = f"Their {CANARY} discount ends in January, and legal wants it kept quiet until the merger is announced."
REWRAPPED = f"> Their {CANARY} discount\n> ends in January, and\n> legal wants it kept\n> quiet until the merger\n> is announced."
ELSEWHERE = f"For us only.\n\n{MARGIN}\n\nKim"

FROM_ELSEWHERE: list[tuple[str, Callable[[Desk, Sent], list[Sent]]]] = [
    ("a line quoted", lambda d, other: d.writes(f"> {MARGIN}\n\nSo it is.")),
    ("a line wrapped anew", lambda d, other: d.writes(f"{REWRAPPED}\n\nSo it is.")),
    ("a line pasted", lambda d, other: d.writes(f"Hello Bob,\n\n{MARGIN}\n\nRegards, Jane")),
    ("a part pasted into a sentence", lambda d, other: d.writes(
        f"We can do that next week, as their {CANARY} discount ends in January, and legal wants it kept quiet until spring, I hear.")),
    ("a reference to that mail", lambda d, other: d.writes(
        f"> their {CANARY} discount ends\n\nYes.", headers=f"References: {other['Message-ID']}")),
    ("a note attached", lambda d, other: d.posts(_attached(d, f"{MARGIN}\n".encode(), "note.txt", "text/plain"))),
]


def _attached(desk: Desk, data: bytes, name: str, type_: str) -> bytes:
    answer = desk.composed("As attached.")
    maintype, _, subtype = type_.partition("/")
    answer.add_attachment(data, maintype=maintype, subtype=subtype, filename=name)
    return answer.as_bytes()


@pytest.mark.parametrize("does", [row[1] for row in FROM_ELSEWHERE], ids=[row[0] for row in FROM_ELSEWHERE])
def test_what_was_said_among_staff_on_another_request_is_asked_about(
    desk: Desk, other: Sent, does: Callable[[Desk, Sent], list[Sent]]
) -> None:
    sent = does(desk, other)
    nothing_inside(sent)
    assert not {BOB, ANN} & {one.item.recipient for one in sent}
    assert receivers(sent, "asked") == {JANE}


def test_what_the_customer_there_was_told_too_is_no_secret(desk: Desk) -> None:
    notice = sent_to(opened(desk.house, who=ANN, subject="Again"), JANE, "opened")
    answered(desk.house, notice, MARGIN)
    raw = mail(sender=f"Kim Lee <{KIM}>", to=INSIDE, subject="Re: [Example #2] Again", text=f"I told her: {MARGIN}",
               message_id=fresh_id(KIM))
    desk.house.receive(trusted(raw, KIM), to=INSIDE, sender=KIM, peer="127.0.0.1")
    desk.house.sent()
    assert MARGIN in sent_to(desk.writes(MARGIN), BOB, "words").text.replace("\n", " ")


@pytest.mark.parametrize("text", [
    "Thank you for your patience, and please let us know whether there is anything else that we can do for you.",
    "For us only.", "Their discount ends in January.", "Kim",
])
def test_what_everybody_says_is_sent(desk: Desk, other: Sent, text: str) -> None:
    polite = "Thank you for your patience, and please let us know whether there is anything else that we can do for you."
    for number in range(3, 6):
        opened(desk.house, who=ANN, subject=f"Thing {number}")
        raw = mail(sender=f"Kim Lee <{KIM}>", to=INSIDE, subject=f"Re: [Example #{number}] Thing {number}",
                   text=f"I wrote to her.\n\n{polite}", message_id=fresh_id(KIM))
        desk.house.receive(trusted(raw, KIM), to=INSIDE, sender=KIM, peer="127.0.0.1")
    desk.house.sent()
    assert text in sent_to(desk.writes(f"{text}\n\nWe replace the fuser today."), BOB, "words").text.replace("\n", " ")


def test_what_waits_as_a_colleagues_words_is_asked_about(desk: Desk) -> None:
    raw = mail(sender=f"Kim Lee <{KIM}>", to=PUBLIC, subject="Re: [Example #1] Printer down", text=MARGIN, message_id=fresh_id(KIM))
    desk.house.receive(raw, to=PUBLIC, sender=KIM, peer="127.0.0.1")
    desk.house.sent()
    sent = desk.writes(f"Kim says: {MARGIN}")
    nothing_inside(sent)
    assert receivers(sent, "asked") == {JANE}


NOTES: list[File] = [
    ("a text", "note.txt", "text/plain", lambda raw, text: text.encode()),
    ("a log", "app.log", "application/octet-stream", lambda raw, text: b"10:00 started\n" + text.encode()),
    ("markdown", "note.md", "text/markdown", lambda raw, text: f"# Note\n\n> {text}\n".encode()),
    ("a text as Windows saves it", "note.txt", "text/plain", lambda raw, text: text.encode("utf-16")),
    ("a page", "note.html", "text/html", lambda raw, text: f"<html><p>{text.replace(' ', '&#32;<b></b>')}</p></html>".encode()),
    ("a mail", "note.eml", "message/rfc822", lambda raw, text: in_base64(mail(text=text))),
    ("an archive", "note.zip", "application/zip", lambda raw, text: zipped(text.encode(), "a.txt")),
    ("a document", "note.docx", "application/vnd.openxmlformats",
     lambda raw, text: zipped(f"<?xml version='1.0'?><w:p><w:t>{text}</w:t></w:p>".encode(), "word/document.xml")),
]


@pytest.mark.parametrize("file", NOTES, ids=[row[0] for row in NOTES])
def test_a_comments_line_in_a_file_is_asked_about(desk: Desk, file: File) -> None:
    _, name, type_, packed = file
    data = packed(b"", SECOND)
    if type_ == "message/rfc822":
        answer = desk.composed("As attached.")
        answer.add_attachment(message_from_bytes(data, policy=default), filename=name)
        raw = answer.as_bytes()
    else:
        raw = _attached(desk, data, name, type_)
    sent = desk.posts(raw)
    assert [(one.item.template, one.item.recipient) for one in sent] == [("asked", JANE)]
    words = sent_to(clicked(desk.house, sent[0], "send to the customer"), BOB, "words")
    assert list(words.mail.iter_attachments()), "his yes sends it"  # type: ignore[attr-defined]


def test_his_yes_sends_what_only_repeats_words(desk: Desk) -> None:
    """A colleague's draft may have been meant for the customer all along; marks and addresses of ours never are."""
    asked = sent_to(desk.writes(f"{SECOND}\n\nRegards, Jane"), JANE, "asked")
    assert "second line about the zinnober contract" in asked.text
    words = sent_to(clicked(desk.house, asked, "send to the customer"), BOB, "words")
    assert SECOND in words.text
    marked = sent_to(desk.writes(f"See {INSIDE} for it."), JANE, "asked")
    assert "end to the customer" not in marked.text


def test_what_the_customer_said_himself_may_be_quoted_though_a_colleague_quoted_it_too(desk: Desk) -> None:
    said = "It makes a noise like an old tractor and then prints half of every page."
    raw = mail(text=said, subject="Re: [Example #1] Printer down", message_id=fresh_id(BOB), headers="In-Reply-To: <1@acme.example>",
               to=PUBLIC)
    desk.house.receive(trusted(raw, BOB), sender=BOB, peer="127.0.0.1")
    desk.house.sent()
    desk.writes(f"> {said}\n\nThe fuser.", to=INSIDE)
    words = sent_to(desk.writes(f"> {said}\n\nIs it the left half?"), BOB, "words")
    assert f"> {said}" in words.text


def test_an_absence_with_its_header_goes_nowhere(desk: Desk) -> None:
    assert not desk.writes(f"Gone, {CANARY}.", headers="Auto-Submitted: auto-replied")
    assert not desk.writes(f"Gone, {CANARY}.", to=desk.notice.item.envelope_sender, headers="X-Autoreply: yes")


@pytest.mark.parametrize("which", ["notice", "comment"])
def test_an_answer_from_a_private_address_reaches_staff_alone(desk: Desk, which: str) -> None:
    on = desk.notice if which == "notice" else desk.comment
    to = address_of(on["Reply-To"])
    raw = mail(sender=f"Jane Doe <{PRIVATE}>", to=to, subject=f"Re: {on['Subject']}", text=f"{CANARY} {quoted(on.text)}",
               message_id=fresh_id(PRIVATE), headers=f"In-Reply-To: {on['Message-ID']}")
    desk.house.receive(raw, to=to, sender=PRIVATE)
    sent = desk.house.sent()
    nothing_inside(sent)
    assert {one.item.template for one in sent if one.item.recipient in OUTSIDE} <= {"received"}
    # The signed address was shown outside: it proves Jane no more.
    after = mail(sender=f"Jane Doe <{JANE}>", to=to, subject=f"Re: {on['Subject']}", text="Me again.", message_id=fresh_id(JANE))
    spool = desk.house.receive(after, to=to, sender="x@evil.example")
    assert desk.house.store.spool_row(spool).outcome == Outcome.HELD


def test_reply_all_on_a_staff_copy_reaches_us_alone(desk: Desk) -> None:
    for one in (desk.notice, desk.comment):
        everybody = f"{one['To']} {one['Cc']} {one['Reply-To']}"
        assert BOB not in everybody
        assert ANN not in everybody
        assert KIM not in everybody


def test_a_customers_words_that_look_internal_are_kept_from_the_others_and_lost_to_nobody(desk: Desk) -> None:
    words = sent_to(answered(desk.house, desk.notice, "Which one?"), BOB, "words")
    sent = answered(desk.house, words, f"I wrote to {INSIDE} too. {STAFF_MARK}", who=BOB)
    assert receivers(sent, "notice") == {JANE, KIM}
    assert "Not passed on to the other participants" in sent_to(sent, JANE, "notice").text
    assert not receivers(sent, "relayed")


@pytest.mark.parametrize("name", [INSIDE, STAFF_MARK])
def test_a_customers_name_that_looks_internal_stops_no_answer(tmp_path: Path, name: str) -> None:
    house = House(tmp_path)
    house.receive(mail(sender=f'"{name}" <{BOB}>', message_id=fresh_id(BOB), headers=f"Cc: {ANN}"))
    words = answered(house, sent_to(house.sent(), JANE, "opened"), "We replace it.")
    assert {BOB, ANN} <= receivers(words, "words")
    nothing_inside(words)
    house.close()


def test_a_subject_that_looks_internal_stops_no_answer(tmp_path: Path) -> None:
    house = House(tmp_path)
    notices = opened(house, subject=f"{INSIDE} bounces {STAFF_MARK}", cc=ANN)
    assert receivers(notices, "acknowledgement") == {BOB}
    sent = answered(house, sent_to(notices, JANE, "opened"), "We look.", subject="Re: [Example #1] bounces")
    assert receivers(sent, "words") == {BOB, ANN}
    house.close()


def test_headers_of_customers_mails_name_no_staff(desk: Desk) -> None:
    sent = answered(desk.house, desk.notice, "Which one?")
    sent += answered(desk.house, sent_to(sent, BOB, "words"), "The red one.", who=BOB)
    sent += answered(desk.house, desk.notice, "resolve\n\nDone.")
    outside = [one for one in sent if one.item.recipient in OUTSIDE]
    assert {one.item.template for one in outside} >= {"words", "relayed", "closing"}
    for one in outside:
        for name, value in one.mail.items():
            assert "staff.example" not in value, (one, name)
            assert not name.lower().startswith("x-rtmail-") or name == "X-RTMail-Loop"
        assert "staff.example" not in one.item.envelope_sender
        names = [part.get_filename() or "" for part in one.mail.walk()]
        assert not any("internal" in name or "comment" in name for name in names)
    assert NAMES[JANE] in sent_to(outside, BOB, "words")["From"], "her name is no secret"


# Requests that a colleague opens himself


def shown(house: House, number: int) -> str:
    """What `show` tells Bob of a request, its file as well."""
    answer = sent_to(told_us(house, BOB, f"show {number}"), BOB, "answer")
    files = [str(part.get_payload(decode=True)) for part in answer.mail.iter_attachments()]  # type: ignore[attr-defined]
    return "\n".join([answer.text, *files])


def test_commands_of_a_mail_that_opens_a_request_are_shown_to_nobody(desk: Desk) -> None:
    told_us(desk.house, JANE, "for bob@acme.example\nOwner: kim\n\nBob called: it jams.", subject="Jam")
    assert request(desk.house, 2).owner
    told = shown(desk.house, 2)
    assert "Bob called: it jams." in told
    assert "Owner" not in told
    assert "for bob@" not in told


@pytest.mark.parametrize(("to", "text"), [
    (INSIDE, f"for bob@acme.example\n\nHe never pays, {CANARY}."),
    (PUBLIC, f"for bob@acme.example\ncomment\n\nHe never pays, {CANARY}."),
    (PUBLIC, f"for bob@acme.example\ncoment\n\nHe never pays, {CANARY}."),
    (PUBLIC, f"for bob@acme.example\n\nKim says:\n{SECOND}"),
])  # fmt: skip
def test_what_a_colleague_opens_a_request_with_among_staff_stays_there(desk: Desk, to: str, text: str) -> None:
    sent = told_us(desk.house, JANE, text, subject="Jam", to=to)
    assert "stay among staff" in sent_to(sent, JANE, "receipt").text
    assert CANARY in sent_to(sent, KIM, "opened").text
    assert receivers(sent, "acknowledgement") == {BOB}
    nothing_inside(sent)
    assert CANARY not in shown(desk.house, 2)
    notice = sent_to(sent, KIM, "opened")
    asked = answered(desk.house, notice, f"> He never pays, {CANARY}.\n> {SECOND}\n\nAs said.")
    nothing_inside(asked)
    nothing_inside(answered(desk.house, notice, "same 1"))


def test_later_participants_do_not_see_what_was_said_to_the_comment_address(desk: Desk) -> None:
    sent = told_us(desk.house, JANE, f"He never pays, {CANARY}.", subject="Jam", to=INSIDE)
    answered(desk.house, sent_to(sent, KIM, "opened"), "AddRequestor: bob@acme.example")
    assert CANARY not in shown(desk.house, 2)


def own_request(desk: Desk) -> Sent:
    """Jane asked for something herself, and Bob is in Cc; returns the acknowledgement that she has."""
    sent = told_us(desk.house, JANE, "The gate is stuck.", subject="Gate")
    answered(desk.house, sent_to(sent, KIM, "opened"), "AddCc: bob@acme.example")
    return sent_to(sent, JANE, "acknowledgement")


def test_commands_of_staff_run_on_what_they_asked_for_themselves(desk: Desk) -> None:
    sent = answered(desk.house, own_request(desk), "Owner: kim\n\nKim has the key.")
    assert "Kim Lee owns it now" in flat(sent_to(sent, JANE, "receipt"))
    assert "Owner:" not in sent_to(sent, BOB, "relayed").text
    assert "Kim has the key." in sent_to(sent, BOB, "relayed").text
    assert not request(desk.house, 2).answered, "his own words are no answer"


@pytest.mark.parametrize("word", ["comment", "coment"])
def test_comments_of_staff_on_what_they_asked_for_themselves_stay_inside(desk: Desk, word: str) -> None:
    sent = answered(desk.house, own_request(desk), f"{word}\n\nBob broke it, {CANARY}.")
    nothing_inside(sent)
    assert BOB not in {one.item.recipient for one in sent}
    assert CANARY in sent_to(sent, KIM, "comment").text
    assert "stay among staff" in sent_to(sent, JANE, "receipt").text


def test_a_receipt_says_who_has_a_comment_all_the_same(desk: Desk) -> None:
    sent = desk.writes("comment\n\nHe never pays.", cc=BOB)
    assert f"The mail itself went to {BOB} too." in flat(sent_to(sent, JANE, "receipt"))
    assert f"The mail itself went to {BOB} too." in flat(sent_to(sent, KIM, "comment"))


# What nobody here can read, and files


@pytest.mark.parametrize("kind", ["pgp", "inline", "smime"])
def test_an_answer_that_is_encrypted_is_asked_about(desk: Desk, kind: str) -> None:
    """The customer got an empty mail with a file that he cannot open, and the first response counted as met."""
    armour = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
    answer = desk.composed(armour if kind == "inline" else "")
    if kind == "pgp":
        answer.clear_content()
        answer["Content-Type"] = 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="b"'
        answer.set_payload(f"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\n"
                           f"Content-Type: application/octet-stream; name=encrypted.asc\n\n{armour}\n--b--\n")
    elif kind == "smime":
        answer.set_content(b"0\x80\x06\x09*\x86H\x86\xf7\r\x01\x07\x03", maintype="application", subtype="pkcs7-mime", filename="smime.p7m")
    sent = desk.posts(answer.as_bytes())
    assert [(one.item.template, one.item.recipient) for one in sent] == [("asked", JANE)]
    assert "encrypted" in sent[0].text
    assert not request(desk.house).answered
    assert receivers(clicked(desk.house, sent[0], "send to the customer"), "words") == {BOB, ANN}


def test_what_is_encrypted_below_words_is_meant_for_the_customer(desk: Desk) -> None:
    words = "Your new password:\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
    assert receivers(desk.writes(words), "words") == {BOB, ANN}


def with_file(desk: Desk, text: str, to: str, *, who: str = KIM, data: bytes = b"\x89PNG" + bytes(2000), inline: bool = False) -> bytes:
    raw = desk.composed(text)
    del raw["From"], raw["To"], raw["In-Reply-To"]
    raw["From"], raw["To"] = f"{NAMES[who]} <{who}>", to
    raw.add_attachment(data, maintype="image", subtype="png", filename="debts.png", disposition="inline" if inline else "attachment",
                       cid="<a@b>" if inline else None)
    return raw.as_bytes()


def test_a_file_of_a_comment_is_asked_about(desk: Desk) -> None:
    desk.posts(with_file(desk, "He owes us this.", INSIDE), to=INSIDE, who=KIM)
    answer = desk.composed("See the list.")
    answer.add_attachment(b"\x89PNG" + bytes(2000), maintype="image", subtype="png", filename="list.png")
    (asked,) = desk.posts(answer.as_bytes())
    assert (asked.item.template, asked.item.recipient) == ("asked", JANE)
    assert "list.png" in asked.text
    assert receivers(clicked(desk.house, asked, "send to the customer"), "words") == {BOB, ANN}
    answer.replace_header("Message-ID", fresh_id(JANE))
    answer.replace_header("Subject", "Re: [Example #1] Once more")
    assert receivers(desk.posts(answer.as_bytes()), "words") == {BOB, ANN}, "what the customer has is no secret"


@pytest.mark.parametrize("whose", ["his own", "of a signature", "the customer's"])
def test_other_files_are_sent(desk: Desk, whose: str) -> None:
    if whose == "the customer's":
        desk.house.receive(with_file(desk, "Here.", PUBLIC, who=BOB), to=PUBLIC, sender=BOB)
    comment = with_file(desk, "See this.", INSIDE, who=JANE if whose == "his own" else KIM, inline=whose == "of a signature")
    desk.posts(comment, to=INSIDE, who=JANE if whose == "his own" else KIM)
    answer = desk.composed("As attached.")
    answer.replace_header("Date", "Mon, 23 Nov 2026 12:00:00 +0100")
    answer.add_attachment(b"\x89PNG" + bytes(2000), maintype="image", subtype="png", filename="debts.png")
    assert receivers(desk.posts(answer.as_bytes()), "words") == {BOB, ANN}


# Commands above what a client adds to each mail


CARDS = [
    "Mit freundlichen Grüßen\n\nJane Doe\nStaff GmbH\nTel. +49 30 1234\n\nDiese Mail ist vertraulich. Wer sie hat, lösche sie bitte.",
    "Best regards,\nJane", "Kind regards, Jane Doe", "З повагою,\nДжейн", "Jane Doe\nStaff GmbH | Support\nTel. +49 30 1234", "MfG\nJ. Doe",
]


@pytest.mark.parametrize("card", CARDS)
def test_a_signature_below_commands_is_no_answer(desk: Desk, card: str) -> None:
    sent = desk.writes(f"take\n\n{card}")
    assert not {BOB, ANN} & {one.item.recipient for one in sent}
    assert "went to nobody, since no words stand with it" in flat(sent_to(sent, JANE, "receipt"))
    assert not request(desk.house).answered


@pytest.mark.parametrize("words", [
    "Thanks!", "Jane comes on Friday.", "Best regards to your team, we come.", "Regards\nJane\n\nPS: the key is below it.", "Jane",
    "Best regards\nThe key is below the mat, as it was last time.", "Done.\n\nBest regards\nJane Doe",
])  # fmt: skip
def test_words_below_commands_are_an_answer(desk: Desk, words: str) -> None:
    sent = desk.writes(f"take\n\n{words}")
    assert all(line in sent_to(sent, BOB, "words").text for line in words.splitlines())


@pytest.mark.parametrize("what", ["logo", "smime", "card"])
def test_what_a_client_encloses_below_commands_is_no_answer(desk: Desk, what: str) -> None:
    answer = desk.composed("take\n\nBest regards\nJane")
    types = {"logo": ("image", "png"), "smime": ("application", "pkcs7-signature"), "card": ("text", "x-vcard")}
    maintype, subtype = types[what]
    shown = "inline" if what == "logo" else "attachment"
    answer.add_attachment(b"0" * 50, maintype=maintype, subtype=subtype, filename="x.bin", disposition=shown)
    sent = desk.posts(answer.as_bytes())
    assert not {BOB, ANN} & {one.item.recipient for one in sent}
    assert "went to nobody" in flat(sent_to(sent, JANE, "receipt"))
    assert not request(desk.house).answered


def test_a_file_below_commands_is_an_answer(desk: Desk) -> None:
    answer = desk.composed("take\n\nBest regards\nJane")
    answer.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="manual.pdf")
    assert receivers(desk.posts(answer.as_bytes()), "words") == {BOB, ANN}


def test_questions_above_a_signature_open_no_request(desk: Desk) -> None:
    sent = told_us(desk.house, JANE, "list mine\n\nMit freundlichen Grüßen\nJane Doe")
    assert [(one.item.template, one.item.recipient) for one in sent] == [("receipt", JANE)]
    assert desk.house.store.by_number(2) is None
    assert sent_to(told_us(desk.house, BOB, "show 1\n\nBest regards\nBob Roe"), BOB, "answer")


@pytest.mark.parametrize(("subtype", "name", "goes"), [
    ("pkcs7-signature", "smime.p7s", False), ("x-pkcs7-signature", "", False), ("pgp-signature", "OpenPGP_signature.asc", False),
    ("pgp-signature", "", False), ("pgp-signature", "release-4.2.tar.gz.asc", True),
])  # fmt: skip
def test_the_signature_of_an_engineers_mail_is_not_passed_on(desk: Desk, subtype: str, name: str, goes: bool) -> None:
    answer = desk.composed("It is done.")
    answer.add_attachment(b"certificate of jane@staff.example", maintype="application", subtype=subtype, filename=name or None)
    words = sent_to(desk.posts(answer.as_bytes()), BOB, "words")
    assert [part.get_filename() for part in words.mail.iter_attachments()] == ([name] if goes else [])  # type: ignore[attr-defined]
