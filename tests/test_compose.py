"""Drafts become mails: headers by the table of DESIGN 3, threads, circles, links, parts, and nothing that was not meant."""

from __future__ import annotations

import os
import random
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.mail.model import Address, Envelope, Kind
from rtmail.mail.reading import message
from rtmail.mail.token import Action, Detail, read_message_id
from rtmail.mail.token import verify as verify_detail
from rtmail.mail.tripwire import STAFF_MARK, LeakError
from rtmail.mail.writing.compose import bare_subject
from rtmail.mail.writing.draft import AttachmentRef, Auto, Link, Recipient, ReplyTo, Suppress, Visibility
from rtmail.mail.writing.intent import Enclosed, Intent, IntentError, verify
from rtmail.mail.writing.samples import SENT_AT, names, sample_draft
from rtmail.mail.writing.wire import lines_fit, text_part
from tests.fakes.mailroom import ADDRESS, COMMENT, KEYRING, OUTBOX_ID, SITE, TEMPLATES, composed, kind, parsed, part, with_site

GOLDEN = Path(__file__).parent / "golden"
RENDERINGS = [(name, language) for name in names() for language in TEMPLATES.languages(name)]
SIGNED = r"[a-z2-7]{36}"
ALL, ABSENCES = Suppress.ALL.value, Suppress.ABSENCES.value


def golden_name(name: str, language: str) -> str:
    return f"{name}.eml" if language == "en" else f"{name}.{language}.eml"


def decoded(value: str | None) -> str:
    return str(make_header(decode_header(value or "")))


def detail_in(address: str) -> Detail:
    found = re.search(SIGNED, address)
    assert found, address
    detail = verify_detail(KEYRING, found[0], SENT_AT.date())
    assert isinstance(detail, Detail)
    return detail


# Golden mails


@pytest.mark.parametrize(("name", "language"), RENDERINGS)
def test_every_mail_looks_as_agreed(name: str, language: str) -> None:
    """RTMAIL_WRITE_GOLDEN=1 writes them anew; read the difference before committing it."""
    raw = composed(sample_draft(name, language=language)).raw
    path = GOLDEN / golden_name(name, language)
    if os.environ.get("RTMAIL_WRITE_GOLDEN"):
        path.write_bytes(raw)
    assert raw == path.read_bytes()


def test_no_golden_mail_is_left_over() -> None:
    assert {path.name for path in GOLDEN.glob("*.eml")} == {golden_name(*rendering) for rendering in RENDERINGS}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.eml")), ids=lambda path: path.stem)
def test_no_golden_mail_answers_itself(path: Path) -> None:
    envelope = Envelope("support@example.com", ("support@example.com",), "smtp", SENT_AT)
    mail = message.read(path.read_bytes(), envelope, SITE)
    assert mail.own
    assert mail.kind is Kind.LOOP
    assert not mail.answerable


@pytest.mark.parametrize("name", names())
def test_the_same_draft_gives_the_same_bytes(name: str) -> None:
    assert composed(sample_draft(name)) == composed(sample_draft(name))


# Headers


@pytest.mark.parametrize(
    ("name", "sender", "auto", "suppress", "reply_to"),
    [
        ("acknowledgement", f"Example <{ADDRESS}>", "auto-replied", ALL, "support+"),
        ("holding-update", f"Example <{ADDRESS}>", "auto-generated", ALL, "support+"),
        ("closing", f"Example <{ADDRESS}>", "auto-generated", ALL, "support+"),
        ("priority-told", f"Example <{ADDRESS}>", "auto-generated", ALL, "support+"),
        ("words", f"Jane Doe via Example <{ADDRESS}>", None, None, "support+"),
        ("relayed", f"Bob Roe via Example <{ADDRESS}>", None, None, "support+"),
        ("opened", f"Bob Roe via Example <{ADDRESS}>", None, None, "support+"),
        ("notice", f"Bob Roe via Example <{ADDRESS}>", None, None, "support+"),
        ("comment", f"Jane Doe via Example <{COMMENT}>", None, None, "support-comment+"),
        ("state", f"Jane Doe via Example <{COMMENT}>", "auto-generated", ALL, "support-comment+"),
        ("receipt", f"Example <{COMMENT}>", "auto-replied", ALL, "support-comment+"),
        ("asked", f"Example <{COMMENT}>", "auto-replied", ALL, "support-comment+"),
        ("undeliverable", f"Example <{COMMENT}>", "auto-replied", ALL, "support-comment+"),
        ("received", f"Example <{ADDRESS}>", "auto-replied", ALL, ""),
        ("nudge", f"Example <{ADDRESS}>", "auto-generated", ABSENCES, "support+"),
        ("missed", f"Example <{COMMENT}>", "auto-generated", ABSENCES, "support-comment+"),
        ("escalation", f"Example <{COMMENT}>", "auto-generated", ABSENCES, "support-comment+"),
        ("admin-notice", f"Example <{ADDRESS}>", "auto-generated", ALL, ""),
    ],
)
def test_headers_follow_the_table(name: str, sender: str, auto: str | None, suppress: str | None, reply_to: str) -> None:
    mail = parsed(composed(sample_draft(name)))
    assert mail["From"] == sender
    assert mail["Auto-Submitted"] == auto
    assert mail["X-Auto-Response-Suppress"] == suppress
    assert mail["X-RTMail-Loop"] == "example.com"
    assert mail["Precedence"] is None
    signed = re.search(r"<(.*)>", mail.get("Reply-To", "<>"))
    assert signed
    assert re.fullmatch(rf"{re.escape(reply_to)}{SIGNED}@example\.com" if reply_to else "", signed[1])


def test_precedence_is_a_key_and_for_automatic_mail_alone() -> None:
    site = with_site(precedence=True)
    assert parsed(composed(sample_draft("acknowledgement"), workshop=site))["Precedence"] == "bulk"
    assert parsed(composed(sample_draft("words"), workshop=site))["Precedence"] is None


@pytest.mark.parametrize(
    ("reply_to", "staff", "action", "expires"),
    [
        (ReplyTo.CUSTOMER, False, Action.REPLY, None),
        (ReplyTo.CORRESPONDENCE, True, Action.REPLY, date(2026, 12, 23)),
        (ReplyTo.COMMENT, True, Action.COMMENT, date(2026, 12, 23)),
    ],
)
def test_reply_addresses_are_signed_for_this_reader_and_request(
    reply_to: ReplyTo, staff: bool, action: Action, expires: date | None
) -> None:
    to = Recipient(5, "reader@acme.example", "", staff)
    detail = detail_in(parsed(composed(kind("received", number=1042, to=to, reply_to=reply_to)))["Reply-To"])
    assert (detail.action, detail.request, detail.person, detail.expires) == (action, 1042, 5, expires)


def test_nothing_is_signed_for_nobody_or_for_no_request() -> None:
    nobody = Recipient(0, "zoe@elsewhere.example", "", staff=False)
    assert parsed(composed(kind("received", number=1042, to=nobody, reply_to=ReplyTo.CUSTOMER)))["Reply-To"] is None
    assert parsed(composed(kind("held")))["Reply-To"] is None


def test_a_page_is_one_line_of_140_characters() -> None:
    outgoing = composed(kind("page", subject="Printer down " * 20))
    mail = parsed(outgoing)
    assert mail.get_content_type() == "text/plain"
    assert len(part(outgoing, "text/plain").rstrip("\n")) == 140
    assert part(outgoing, "text/plain").startswith("#1042 P1 rung 2 of P1: its time came: Printer down")


@pytest.mark.parametrize("name", [name for name in names() if name != "page"])
def test_staff_headers_and_marks_are_for_staff_alone(name: str) -> None:
    draft = sample_draft(name)
    outgoing = composed(draft)
    special = [header for header in parsed(outgoing) if header.startswith("X-RTMail-") and header != "X-RTMail-Loop"]
    lines = part(outgoing, "text/plain").rstrip("\n").split("\n")
    assert re.search(rf"ref:{SIGNED}$", lines[-1])
    assert part(outgoing, "text/html").count(lines[-1]) == (2 if draft.to.staff else 1)
    if draft.to.staff:
        assert lines[0] == lines[-1]
        assert lines[0].startswith(STAFF_MARK + " ref:")
    else:
        assert not special
        assert "internal" not in outgoing.raw.decode().lower()


@pytest.mark.parametrize(
    ("changes", "site", "sender"),
    [
        ({}, {}, rf"support\+{SIGNED}@example\.com"),
        ({}, {"detail": "-"}, rf"support-{SIGNED}@example\.com"),
        ({}, {"detail": "off"}, r"support@example\.com"),
        ({}, {"verp": False}, r"support@example\.com"),
        ({"null_sender": True}, {}, ""),
        ({"reply_to": ReplyTo.COMMENT, "to": Recipient(1, "jane@example.com", "", True)}, {}, rf"support\+{SIGNED}@example\.com"),
    ],
)
def test_envelope_senders(changes: dict[str, object], site: dict[str, object], sender: str) -> None:
    outgoing = composed(kind("words", **changes), workshop=with_site(**site))
    assert re.fullmatch(sender, outgoing.envelope_sender)
    if SIGNED in sender:
        assert detail_in(outgoing.envelope_sender).outbox_id == OUTBOX_ID


def test_the_outgoing_mail_carries_what_the_outbox_needs() -> None:
    outgoing = composed(sample_draft("escalation"))
    assert (outgoing.recipient, outgoing.person, outgoing.template, outgoing.urgency, outgoing.report) == (
        "max@example.com",
        2,
        "escalation",
        0,
        False,
    )
    assert outgoing.message_id == parsed(outgoing)["Message-ID"]


# Threads


def test_copies_of_one_event_share_their_id_and_other_mails_about_it_do_not() -> None:
    ids = {name: composed(sample_draft(name), outbox_id=at).message_id for at, name in enumerate(names())}
    assert ids["words"] == ids["notice"] == ids["relayed"]
    shared = ("opened", "words", "relayed", "fixed", "notice", "comment", "state", "incident", "maintenance")
    others = [name for name in names() if name not in shared]
    assert len({ids[name] for name in (*others, "words")}) == len(others) + 1
    assert read_message_id(KEYRING, ids["acknowledgement"], "example.com") == (1042, 7)


def test_mails_about_no_event_have_an_id_each() -> None:
    assert len({composed(sample_draft("received"), outbox_id=at).message_id for at in range(3)}) == 3


def test_long_references_are_never_encoded() -> None:
    """An id longer than the line came out RFC 2047-encoded from the standard library."""
    ids = tuple(f"<{'x' * 300}.{at}@{'y' * 100}.example>" for at in range(30))
    mail = parsed(composed(kind("words", references=ids[:-1], in_reply_to=ids[-1])))
    assert mail["In-Reply-To"].strip() == ids[-1]
    assert tuple(mail["References"].split()) == (ids[0], *ids[11:])
    assert "=?" not in mail["References"]


def test_what_is_no_message_id_stays_out_of_the_thread() -> None:
    mail = parsed(
        composed(kind("words", references=("<a b@x>", "<ok@x>", "none", "<" + "z" * 600 + "@x>"), in_reply_to="<ü@x>\r\nBcc: e@x"))
    )
    assert mail["In-Reply-To"] is None
    assert mail["References"] == "<ok@x>"


@pytest.mark.parametrize(
    ("subject", "in_reply_to", "number", "seen"),
    [
        ("Printer down", "<a@x>", 1042, "Re: [Example #1042] Printer down"),
        ("Printer down", "", 1042, "[Example #1042] Printer down"),
        ("Printer down", "", 0, "Printer down"),
        ("Re: AW: SV: Printer down", "<a@x>", 1042, "Re: [Example #1042] Printer down"),
        ("Re: [Example #1042] Re: Printer down", "<a@x>", 1042, "Re: [Example #1042] Printer down"),
        ("AW: [EXAMPLE #7] Re: [Exsample #1042] Printer down", "<a@x>", 1042, "Re: [Example #1042] Printer down"),
        ("[JIRA #12] [Example #1042] Printer down", "<a@x>", 1042, "Re: [Example #1042] [JIRA #12] Printer down"),
        ("Printer\r\nBcc: evil@x.example", "", 1042, "[Example #1042] Printer Bcc: evil@x.example"),
        ("pay\u202etxt.exe\u0000\u0007", "", 1042, "[Example #1042] paytxt.exe"),
        ("", "", 1042, "[Example #1042] (no subject)"),
        ("[Example #1042]", "<a@x>", 1042, "Re: [Example #1042] (no subject)"),
        ("Übersicht für Öl", "<a@x>", 1042, "Re: [Example #1042] Übersicht für Öl"),
        ("принтер не друкує", "", 1042, "[Example #1042] принтер не друкує"),
        ("x" * 400, "", 1042, "[Example #1042] " + "x" * 233 + "…"),
        ("x" * 400, "<a@x>", 1042, "Re: [Example #1042] " + "x" * 229 + "…"),
        ("{{ 7*7 }} {% raw %}", "", 1042, "[Example #1042] {{ 7*7 }} {% raw %}"),
    ],
)
def test_subjects(subject: str, in_reply_to: str, number: int, seen: str) -> None:
    mail = parsed(composed(kind("words", subject=subject, in_reply_to=in_reply_to, number=number)))
    assert decoded(mail["Subject"]).replace("\r\n", "") == seen
    assert mail["Bcc"] is None


@pytest.mark.parametrize(("language", "seen"), [("de", "(kein Betreff)"), ("uk", "(без теми)"), ("en", "(no subject)")])
def test_no_subject_is_said_in_the_readers_language(language: str, seen: str) -> None:
    draft = replace(sample_draft("words", language=language), subject="", in_reply_to="<a@x>")
    assert decoded(parsed(composed(draft))["Subject"]) == f"Re: [Example #1042] {seen}"


def test_a_mail_with_a_subject_of_its_own_answers_nothing() -> None:
    mail = parsed(composed(kind("escalation", in_reply_to="<a@x>")))
    assert mail["Subject"] == "[Example #1042] Escalation P1: Printer down"
    assert mail["In-Reply-To"] == "<a@x>"


def test_the_tag_stays_readable_where_the_rest_is_encoded() -> None:
    assert b"\r\nSubject: Re: [Example #1042] =?utf-8?" in composed(kind("words", subject="принтер")).raw


def test_bare_subjects_are_found_under_any_nesting() -> None:
    assert bare_subject("Re: " * 40 + "[Example #1] " * 40 + "x", SITE) == "x"


# Circles


def circles(**changes: object) -> tuple[list[str], list[str]]:
    mail = parsed(composed(kind("words", **changes)))
    return tuple([spec for _, spec in getaddresses(mail.get_all(name, []))] for name in ("To", "Cc"))  # type: ignore[return-value]


def test_a_participants_copy_shows_the_circle() -> None:
    ann, eve = Address("ann@acme.example", "Ann"), Address("eve@acme.example", "Eve")
    assert circles(circle_to=(), circle_cc=(ann, eve)) == (["bob@acme.example"], ["ann@acme.example", "eve@acme.example"])


def test_the_reader_stands_where_the_circle_has_him() -> None:
    bob, ann = Address("BOB@acme.example"), Address("ann@acme.example")
    assert circles(circle_to=(ann,), circle_cc=(bob,)) == (["ann@acme.example"], ["BOB@acme.example"])


def test_nobody_is_shown_twice_and_no_address_of_ours_ever() -> None:
    ours = tuple(
        Address(spec) for spec in (ADDRESS, COMMENT, "support+x@example.com", "SUPPORT-comment@EXAMPLE.com", "postmaster", "no address")
    )
    ann = Address("ann@acme.example")
    assert circles(circle_to=(*ours, ann), circle_cc=(ann, *ours)) == (["bob@acme.example", "ann@acme.example"], [])


def test_a_staff_copy_shows_its_reader_alone_and_the_circle_in_its_text() -> None:
    outgoing = composed(sample_draft("notice"))
    mail = parsed(outgoing)
    assert mail["To"] == "Jane Doe <jane@example.com>"
    assert mail["Cc"] is None
    text = " ".join(part(outgoing, "text/plain").split())
    assert "From: Bob Roe <bob@acme.example> Also in it: Ann Poe <ann@acme.example> New in Cc:" in text, "who wrote is not named twice"


@pytest.mark.parametrize(
    "name", ["Roe, Bob", 'Bob "the" Roe', "Bøb Røe", "Боб", "boss@corp.example", "=?utf-8?q?x?=", "Bob\r\nBcc: e@x", "\u202eeoR"]
)
def test_names_in_any_script_and_shape_name_nobody_else(name: str) -> None:
    mail = parsed(composed(kind("words", author=name, to=Recipient(9, "bob@acme.example", name, staff=False), circle_cc=())))
    clean = " ".join(name.replace("\u202e", "").split())
    ((shown, spec),) = getaddresses([mail["To"].replace("\r\n", "")])
    assert (decoded(shown), spec) == (clean, "bob@acme.example")
    ((shown, spec),) = getaddresses([mail["From"].replace("\r\n", "")])
    assert (decoded(shown), spec) == (f"{clean} via Example", ADDRESS)


@pytest.mark.parametrize(
    "address", ["", "nobody", "a b@x.example", "a@x.example\r\nRCPT TO:<e@x>", "a@x.example, b@x.example", "<a@x.example>"]
)
def test_a_recipient_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(IntentError):
        composed(kind("words", to=Recipient(9, address, "", staff=False)))


# Links


def links_of(text: str) -> list[str]:
    return re.findall(r"<(mailto:[^>]+)>", text)


def test_links_are_signed_for_reader_action_and_request() -> None:
    draft = kind(
        "opened", links=(Link("snooze", Action.SNOOZE, body="snooze until Mon 9:00\nplease"), Link("other", Action.TAKE, request=17))
    )
    urls = [urlsplit(url) for url in links_of(part(composed(draft), "text/plain"))]
    seen = [detail_in(url.path) for url in urls]
    assert [(detail.action, detail.request, detail.person, detail.expires) for detail in seen] == [
        (Action.SNOOZE, 1042, 1, date(2026, 12, 23)),
        (Action.TAKE, 17, 1, date(2026, 12, 23)),
        (Action.COMMENT, 1042, 1, date(2026, 12, 23)),
    ]
    assert parse_qs(urls[0].query) == {"subject": ["snooze [Example #1042]"], "body": ["snooze until Mon 9:00\r\nplease"]}
    assert unquote(urls[2].path).startswith("support-comment+")


def test_the_other_door_is_always_a_link() -> None:
    assert any("support-comment+" in url for url in links_of(part(composed(sample_draft("notice")), "text/plain")))
    assert any("mailto:support+" in url for url in links_of(part(composed(sample_draft("comment")), "text/plain")))


@pytest.mark.parametrize("name", names())
def test_action_addresses_are_never_senders(name: str) -> None:
    mail = parsed(composed(sample_draft(name)))
    for header in ("From", "Reply-To"):
        for detail in map(detail_in, re.findall(SIGNED, mail.get(header, ""))):
            assert detail.action in (Action.REPLY, Action.COMMENT)


def test_without_plus_addresses_the_detail_ends_the_subject() -> None:
    outgoing = composed(sample_draft("closing"), workshop=with_site(detail="off"))
    approve = urlsplit(links_of(part(outgoing, "text/plain"))[0])
    assert approve.path == ADDRESS
    subject = parse_qs(approve.query)["subject"][0]
    assert re.fullmatch(rf"approve \[Example #1042\] {SIGNED}", subject)
    assert detail_in(subject).action is Action.APPROVE
    assert parsed(outgoing)["Reply-To"] == f"Example <{ADDRESS}>"


@pytest.mark.parametrize("subject", ["x" * 400, "принтер " * 40, "印" * 300, "🔥" * 300])
def test_a_long_subject_makes_no_link_that_windows_cannot_open(subject: str) -> None:
    links = links_of(part(composed(kind("notice", subject=subject)), "text/plain"))
    assert links
    assert all(len(link) < 1200 for link in links)
    (comment,) = [parse_qs(urlsplit(link).query)["subject"][0] for link in links if "Re%3A" in link]
    assert comment.startswith(f"Re: [Example #1042] {subject[:20].strip()}")
    assert comment.endswith("…")


def test_text_and_html_hold_the_same_links() -> None:
    for name in set(names()) - {"page"}:
        outgoing = composed(sample_draft(name))
        html = part(outgoing, "text/html").replace("&amp;", "&")
        assert links_of(part(outgoing, "text/plain")) == re.findall(r'href="(mailto:[^"]+)"', html)


# Nothing internal goes outside


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"visibility": Visibility.INTERNAL}, "internal mail"),
        ({"reply_to": ReplyTo.COMMENT}, "staff address"),
        ({"reply_to": ReplyTo.CORRESPONDENCE}, "staff address"),
        ({"headers": {"X-RTMail-Status": "open"}}, "staff headers"),
        ({"facts": {"text": f"Yes.\n\n> {STAFF_MARK} ref:x"}}, "staff mark"),
        ({"facts": {"text": f"write to {COMMENT}"}}, "comment address"),
        ({"links": (Link("take", Action.TAKE),)}, "staff detail"),
    ],
)
def test_internal_things_are_never_rendered_for_customers(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(LeakError, match=reason):
        composed(kind("words", **changes))


@pytest.mark.parametrize(
    ("changes", "header", "value"),
    [
        ({"subject": f"Fwd: {STAFF_MARK}"}, "Subject", "[Example #1042] (...)"),
        ({"author": f"Bob {COMMENT}"}, "From", "Example <support@example.com>"),
        ({"circle_cc": (Address("x@y.example", f"X {STAFF_MARK}"),)}, "Cc", "x@y.example"),
        ({"to": replace(sample_draft("words").to, name=STAFF_MARK)}, "To", sample_draft("words").to.address),
    ],
)
def test_a_subject_or_name_that_its_owner_chose_to_look_internal_is_left_out(changes: dict[str, object], header: str, value: str) -> None:
    """Else whoever calls himself so could be written to no more, nor anybody else on his request."""
    outgoing = composed(kind("words", in_reply_to="", **changes))
    assert parsed(outgoing)[header].strip() == value
    assert b"internal" not in outgoing.raw


def test_a_staff_notice_quoted_whole_never_goes_out() -> None:
    for name in names():
        notice = composed(sample_draft(name))
        if sample_draft(name).to.staff and name != "page":
            for quoted in (part(notice, "text/plain"), part(notice, "text/html")):
                with pytest.raises(LeakError):
                    composed(kind("words", facts={"text": "Done.\n\n" + "\n".join("> " + line for line in quoted.split("\n"))}))


# Parts


def test_attachments_keep_bytes_names_and_types() -> None:
    files = [
        ("report.pdf", "application/pdf", "report.pdf", "application/pdf"),
        ("Отчёт за ноябрь.docx", "application/msword", "Отчёт за ноябрь.docx", "application/msword"),
        ("../../etc/pass\r\nwd", "text/plain", "_._etc_pass wd", "text/plain"),
        ('a"b=?utf-8?q?x?=.txt', "text/html", "a_b=_utf-8_q_x_=.txt", "text/html"),
        ("", "message/rfc822", "attachment", "application/octet-stream"),
        ("x" * 400 + ".tar.gz", "evil\r\nBcc: e@x", "x" * 197 + ".gz", "application/octet-stream"),
        ("\u202efdp.exe", "multipart/mixed", "fdp.exe", "application/octet-stream"),
    ]
    content = {f"{at}": bytes(range(256)) * at for at in range(len(files))}
    refs = tuple(AttachmentRef(3, f"{at}", name, type_, 0) for at, (name, type_, _, _) in enumerate(files))
    outgoing = composed(kind("words", attachments=refs), load=lambda raw_id, path: content[path])
    mail = parsed(outgoing)
    assert mail.get_content_type() == "multipart/mixed"
    leaves = [leaf for leaf in mail.walk() if not leaf.is_multipart()][2:]
    assert [(leaf.get_filename(""), leaf.get_content_type()) for leaf in leaves] == [(name, type_) for _, _, name, type_ in files]
    assert [leaf.get_payload(decode=True) for leaf in leaves] == list(content.values())
    assert {leaf.get_content_disposition() for leaf in leaves} == {"attachment"}


def test_pictures_in_the_words_stay_where_they_were() -> None:
    refs = (
        AttachmentRef(3, "2", "screen.png", "image/png", 4, content_id="<ii_1@mail>"),
        AttachmentRef(3, "3", "logo.jpg", "image/jpeg", 4, content_id="ii_2"),
        AttachmentRef(3, "4", "drawing.svg", "image/svg+xml", 4, content_id="ii_3"),
    )
    outgoing = composed(
        kind("words", attachments=refs, facts={"text": "Look:\n[cid:ii_1@mail]\nOk?"}), load=lambda raw_id, path: b"\x89PNG"
    )
    types = [leaf.get_content_type() for leaf in parsed(outgoing).walk()]
    assert types == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "image/jpeg",
        "image/svg+xml",
    ]
    html = part(outgoing, "text/html")
    ids = [leaf["Content-ID"].strip("<>") for leaf in parsed(outgoing).walk() if leaf["Content-ID"]]
    assert len(ids) == 2
    assert html.index("Look:") < html.index(f'src="cid:{ids[0]}"') < html.index("Ok?") < html.index(f'src="cid:{ids[1]}"')


def test_pictures_are_named_in_the_text_and_found_by_their_names() -> None:
    """Gmail's plain text names the file; a Content-ID says nothing to a reader of plain text."""
    files = {"2": "my screen.png", "3": "b.png"}
    refs = tuple(AttachmentRef(3, at, name, "image/png", 4, content_id=f"ii_{at}") for at, name in files.items())
    words = "Look:\n[image: my screen.png]\nand\n[cid:ii_3]\n[image: other.png] Ok?"
    outgoing = composed(kind("words", attachments=refs, facts={"text": words}), load=lambda raw_id, path: b"\x89PNG")
    html, text = part(outgoing, "text/html"), part(outgoing, "text/plain")
    ids = [leaf["Content-ID"].strip("<>") for leaf in parsed(outgoing).walk() if leaf["Content-ID"]]
    assert html.index("Look:") < html.index(ids[0]) < html.index("and") < html.index(ids[1]) < html.index("[image: other.png] Ok?")
    assert html.count("<img") == 2
    assert "[image: my screen.png]\nand\n[b.png]" in text
    assert "cid:" not in text


def test_very_long_words_go_out_whole_without_html() -> None:
    """A customer's pasted log must not stop his request: half a megabyte of HTML is more than a template may write."""
    log = "<begin> & end\n" * 70_000
    refs = (AttachmentRef(3, "2", "screen.png", "image/png", 4, content_id="<ii_1@mail>"),)
    outgoing = composed(kind("words", attachments=refs, facts={"text": log}), load=lambda raw_id, path: b"\x89PNG")
    assert [leaf.get_content_type() for leaf in parsed(outgoing).walk()] == ["multipart/mixed", "text/plain", "image/png"]
    assert part(outgoing, "text/plain").count("<begin> & end") == 70_000
    alone = parsed(composed(kind("words", facts={"text": log})))
    assert alone.get_content_type() == "text/plain"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))) | st.sampled_from(["\n", "\nFrom ", "\n.", " \n", "\t"])
    )
)
def test_any_text_survives_its_encoding(pieces: list[str]) -> None:
    text = "".join(pieces)
    made = text_part(text, "plain")
    mail = parsed(replace(composed(sample_draft("received")), raw=made.head.encode() + b"\r\n\r\n" + made.body))
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.decode().replace("\r\n", "\n") == text.rstrip("\n") + "\n"
    assert not re.search(rb"(?m)^From ", made.body)
    assert made.body.isascii()


def test_long_lines_and_odd_line_ends_become_lawful_ones() -> None:
    outgoing = composed(kind("words", facts={"text": "a" * 3000 + "\rb\u2028c\x85d\r\n\x00\x1b[31me"}))
    assert part(outgoing, "text/plain").startswith("a" * 3000 + "\nb\nc\nd\n[31me\n")
    assert max(map(len, outgoing.raw.split(b"\r\n"))) <= 998
    assert outgoing.raw.count(b"\n") == outgoing.raw.count(b"\r\n") == outgoing.raw.count(b"\r")


def test_html_shows_words_and_loads_nothing() -> None:
    evil = '<img src="http://x.example/p.png"><script>alert(1)</script> javascript:x http://ok.example/?a=1&b=<"\n> <b>q</b>'
    html = part(composed(kind("words", facts={"text": evil}, subject="</title><script>")), "text/html")
    assert "<script" not in html.replace("&lt;script", "")
    assert re.findall(r'<img[^>]*>|src="[^"]*"|url\(|@import', html) == []
    assert 'href="http://ok.example/?a=1&amp;b="' in html
    assert set(re.findall(r'href="([a-z]+):', html)) == {"http"}


# Bytes say what was meant

FUEL = [
    "=?UTF-8?Q?=0A?=",
    "\r\nBcc: evil@x.example",
    "\n\n",
    "\r",
    "\x00",
    "=?utf-8?b?DQpCY2M6IGVAeA==?=",
    "💩",
    "ü",
    "Ж",
    "漢",
    "\u202e",
    "\u00ad",
    "\ud83d",
    ", <evil@x.com>, ",
    '"',
    "\\",
    "(",
    ")",
    "<",
    ">",
    "@",
    ":",
    ";",
    ",",
    "x" * 90,
    " ",
    "\t",
    "=?",
    "?=",
    "_",
    "=",
    "{{ 7*7 }}",
    "Re: ",
    "[Example #7]",
    "\u2028",
    "\x85",
    "\x0b",
    "%0d%0a",
    "a",
    "B",
    "0",
    "--=_rtmail_alternative",
    "boundary",
    "'",
    "*",
    "evil@x.com",
    "\U000e0041",
]


def fuzzed(chance: random.Random) -> str:
    return "".join(chance.choice(FUEL) for _ in range(chance.randrange(12)))


def hostile_mails(count: int, seed: int) -> None:
    """Each mail is verified by `compose` itself; here a second look, at headers and recipients only, in other words."""
    chance = random.Random(seed)
    for _ in range(count):
        refs = (
            (AttachmentRef(1, "2", fuzzed(chance), chance.choice(["text/plain", fuzzed(chance)]), 1, fuzzed(chance)),)
            if chance.random() < 0.2
            else ()
        )
        draft = kind(
            "words",
            subject=fuzzed(chance),
            author=fuzzed(chance),
            to=Recipient(9, "bob@acme.example", fuzzed(chance), staff=False),
            circle_cc=(Address("ann@acme.example", fuzzed(chance)),),
            in_reply_to=chance.choice(["", "<a@b>", fuzzed(chance)]),
            references=(fuzzed(chance), "<c@d>"),
            facts={"text": fuzzed(chance)},
            attachments=refs,
            auto=Auto.NO,
        )
        outgoing = composed(draft, load=lambda raw_id, path: b"x")
        head = outgoing.raw.split(b"\r\n\r\n", 1)[0].decode()
        found = re.findall(r"(?m)^([^\s:]+):", head)
        wanted = [
            "From",
            "To",
            "Cc",
            "Reply-To",
            "Subject",
            "Date",
            "Message-ID",
            "In-Reply-To",
            "References",
            "X-RTMail-Loop",
            "MIME-Version",
            "Content-Type",
        ]
        assert found == [name for name in wanted if name != "In-Reply-To" or name in found]
        mail = parsed(outgoing)
        assert [spec for _, spec in getaddresses([mail["To"], mail["Cc"]])] == ["bob@acme.example", "ann@acme.example"]
        assert [spec for _, spec in getaddresses([mail["From"]])] == [ADDRESS]


def test_fuzzed_names_subjects_and_file_names_add_nothing() -> None:
    hostile_mails(2500, seed=4)


@pytest.mark.long
def test_a_hundred_thousand_fuzzed_mails_add_nothing() -> None:
    hostile_mails(100_000, seed=5)


SENT = b"From: a@x.example\r\nTo: b@y.example\r\nSubject: hi\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
MEANT = Intent(
    (("From", (Address("a@x.example"),)), ("To", (Address("b@y.example"),)), ("Subject", "hi")),
    (Enclosed("text/plain"),),
    "a@x.example",
    "b@y.example",
)


def test_what_was_meant_passes() -> None:
    verify(SENT, MEANT)


@pytest.mark.parametrize(
    "raw",
    [
        SENT.replace(b"Subject: hi", b"Subject: hi\r\nBcc: e@x.example"),
        SENT.replace(b"Subject: hi", b"Subject: ho"),
        SENT.replace(b"Subject: hi\r\n", b""),
        SENT.replace(b"To: b@y.example", b"To: b@y.example, c@y.example"),
        SENT.replace(b"To: b@y.example", b'To: "x" <c@y.example>'),
        SENT.replace(b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nMIME-Version: 1.0\r\n"),
        SENT.replace(b"text/plain", b"text/html"),
        SENT.replace(b"text/plain", b"text/plain; name=x"),
        SENT.replace(b"body\r\n", b"body\n"),
        SENT.replace(b"body\r\n", b"bo\rdy\r\n"),
        SENT.replace(b"body", b"b\x00dy"),
        SENT.replace(b"body", b"b\xfcdy"),
        SENT.replace(b"body", b"b" * 999),
        SENT.replace(b"Subject: hi", b"\r\nSubject: hi"),
    ],
)
def test_what_was_not_meant_is_found(raw: bytes) -> None:
    with pytest.raises(IntentError):
        verify(raw, MEANT)


@pytest.mark.parametrize("changes", [{"recipient": "c@y.example"}, {"recipient": "b"}, {"envelope_sender": "a@x.example> SIZE=1"}])
def test_an_envelope_that_was_not_meant_is_found(changes: dict[str, str]) -> None:
    with pytest.raises(IntentError):
        verify(SENT, replace(MEANT, **changes))


def test_a_large_attachment_is_verified_too() -> None:
    refs = (AttachmentRef(3, "2", "big.bin", "application/zip", 300_000),)
    outgoing = composed(kind("words", attachments=refs), load=lambda raw_id, path: os.urandom(300_000))
    assert len(outgoing.raw) > 400_000


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_measured_as_if_each_was_looked_at(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        lengths = [chance.choice([0, 1, 70, 497, 500, 996, 997, 998, 999, 1000, 1001]) for _ in range(chance.randrange(1, 6))]
        data = b"\r\n".join(b"x" * length for length in lengths)
        assert lines_fit(data) is (max(lengths) <= 998), lengths


def test_the_date_is_the_events() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert parsed(composed(sample_draft("words"), at=at))["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
