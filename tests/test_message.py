"""What is read from a mail: own compositions with the facts that must come out, limits, bombs, and mails of other projects."""

from __future__ import annotations

import hashlib
import json
import os
import random
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.mail import headers, token
from rtmail.mail.fields import REFERENCES
from rtmail.mail.model import Envelope, Kind, Mail
from rtmail.mail.reading import body, message, structure
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.site import Door, OwnAddress, Site

HERE = Path(__file__).parent
MAILS = sorted((HERE / "mails").glob("*.eml"))
HOSTILE = sorted((HERE / "hostile").glob("*.eml"))
SITE = Site(
    "Example",
    "Example",
    "example.com",
    "ops@example.net",
    old_tags=("OldName",),
    addresses={"support@example.com": OwnAddress("support@example.com", "support", Door.CORRESPONDENCE)},
)
HEAD = b"From: Bob Roe <bob@acme.example>\r\nTo: support@example.com\r\nSubject: Printer down\r\nMessage-ID: <1@acme.example>\r\n"


def envelope(sender: str | None = "bob@acme.example", *recipients: str) -> Envelope:
    return Envelope(sender, recipients or ("support@example.com",), "pipe", datetime(2026, 11, 2, 9, tzinfo=UTC))


def read(raw: bytes, sender: str | None = "bob@acme.example") -> Mail:
    return message.read(raw, envelope(sender), SITE)


def parts(*pieces: bytes, kind: bytes = b"mixed", boundary: bytes = b"b") -> bytes:
    inside = b"".join(b"--%b\r\n%b\r\n" % (boundary, piece) for piece in pieces)
    return HEAD + b"Content-Type: multipart/%b; boundary=%b\r\n\r\n%b--%b--\r\n" % (kind, boundary, inside, boundary)


# --- compositions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_own_compositions(path: Path) -> None:
    expected = tomllib.loads(path.with_suffix(".toml").read_text())
    raw = path.read_bytes()
    mail = read(raw, expected.pop("envelope", {}).get("sender", "bob@acme.example"))
    described = message.describe(mail, path.name)
    json.dumps(described, ensure_ascii=False).encode()
    for key, wanted in expected.items():
        check(key, wanted, mail, described, raw)


def check(key: str, wanted: Any, mail: Mail, described: dict[str, Any], raw: bytes) -> None:
    if key in ("text", "reply_text"):
        assert described[key].strip("\n") == wanted.strip("\n")
    elif key == "text_contains":
        assert all(piece in mail.text for piece in wanted), mail.text
    elif key == "text_absent":
        assert not any(piece in mail.text for piece in wanted), mail.text
    elif key == "defects_contain":
        assert all(any(piece in defect for defect in mail.defects) for piece in wanted), mail.defects
    elif key == "headers_absent":
        assert not set(wanted) & set(mail.headers)
    elif key == "headers_present":
        assert set(wanted) <= set(mail.headers)
    elif key == "attachment_names":
        assert [entry.name for entry in mail.attachments] == wanted
    elif key == "attachments":
        assert len(mail.attachments) == len(wanted), mail.attachments
        for attachment, facts in zip(mail.attachments, wanted, strict=True):
            text = facts.pop("payload", None)
            assert {name: getattr(attachment, name) for name in facts} == facts
            data = message.payload(raw, attachment.part)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (attachment.bytes, attachment.sha256)
            assert text is None or data.decode() == text
    elif key == "forwarded":
        assert mail.forwarded is not None
        assert mail.forwarded.text.strip() == wanted.pop("text")
        assert {name: described["forwarded"][name] for name in wanted} == wanted
    elif key == "bounce":
        assert mail.bounce is not None
        assert {name: list(value) if isinstance(value := getattr(mail.bounce, name), tuple) else value for name in wanted} == wanted
    elif key == "date":
        assert (mail.date.isoformat() if mail.date else "") == wanted
    elif key in described:
        assert described[key] == wanted
    else:
        value = getattr(mail, key)
        assert (list(value) if isinstance(value, tuple) else value) == wanted


def test_the_keys_that_scripts_rely_on() -> None:
    described = message.describe(read(parts(b"\r\nhi", b"Content-Type: image/png; name=a.png\r\n\r\nx")), "a.eml")
    assert set(described) >= {
        "path", "from_addr", "from_name", "to_addrs", "cc_addrs", "subject", "message_id", "references", "text", "reply_text",
        "attachments", "kind", "answerable", "reason", "bounce", "defects",
    }  # fmt: skip
    assert [set(entry) for entry in described["attachments"]] == [{"name", "type", "bytes", "sha256"}]
    assert described["path"] == "a.eml"
    assert described["bounce"] is None


def test_unknown_part_has_no_payload() -> None:
    with pytest.raises(KeyError):
        message.payload(HEAD + b"\r\nhi", "2")


# --- the fingerprint ------------------------------------------------------------------------------------------------------

DATED = HEAD + b"Date: Mon, 02 Nov 2026 09:00:00 +0100\r\n"
PLAIN = DATED + b"\r\nIt blinks.\r\nSecond floor.\r\n"
FOOTERS = [
    b"_______________________________________________\r\nusers mailing list\r\nhttps://lists.acme.example/listinfo/users\r\n",
    b"-- \r\nYou received this message because you are subscribed to the Google Groups \"ops\" group.\r\nTo unsubscribe, send mail.\r\n",
    b"=======================\r\nGroups.io Links: You receive all messages\r\nhttps://groups.io/g/ops\r\n=======================\r\n",
]


@pytest.mark.parametrize(
    "same",
    [
        PLAIN.replace(b"\r\n", b"\n"),
        b"Received: from a by b; Mon, 2 Nov 2026 09:00:01 +0100\r\nX-Spam-Score: 1\r\nList-Id: <ops.acme.example>\r\n" + PLAIN,
        DATED.replace(b"09:00:00 +0100", b"08:00:00 +0000") + b"\r\nIt blinks.\r\nSecond floor.\r\n\r\n\r\n",
        DATED + b"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\nIt=20blinks.=0ASecond floor=\r\n.\r\n",
        DATED + b"Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nSXQgYmxpbmtzLgpTZWNvbmQgZmxvb3Iu\r\n",
        *(PLAIN + footer for footer in FOOTERS),
    ],
)
def test_relays_and_lists_leave_the_fingerprint(same: bytes) -> None:
    assert read(same).fingerprint == read(PLAIN).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(b"blinks", b"burns"),
        PLAIN.replace(b"bob@", b"rob@"),
        PLAIN.replace(b"Printer", b"Scanner"),
        PLAIN.replace(b"09:00:00", b"09:00:01"),
        PLAIN + b"-- \r\nBob Roe, Acme\r\n",
    ],
)
def test_what_the_sender_changed_changes_the_fingerprint(other: bytes) -> None:
    assert read(other).fingerprint != read(PLAIN).fingerprint


def test_attachments_are_in_the_fingerprint_whatever_the_line_ends() -> None:
    first = parts(b"\r\nhi", b"Content-Type: text/csv; name=a.csv\r\n\r\n1,2\r\n3,4")
    assert read(first).fingerprint == read(first.replace(b"\r\n", b"\n")).fingerprint
    assert read(first).fingerprint != read(first.replace(b"3,4", b"3,5")).fingerprint


def test_an_overlong_text_counts_whole() -> None:
    long = PLAIN + b"line of a log\r\n" * 80_000
    assert read(long).fingerprint == read(long.replace(b"\r\n", b"\n")).fingerprint
    assert read(long).fingerprint != read(long + b"one more\r\n").fingerprint


# --- limits ---------------------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    out = HEAD + b"MIME-Version: 1.0\r\n"
    for level in range(depth):
        out += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return out + b"Content-Type: text/plain\r\n\r\ninnermost\r\n" + b"".join(b"--b%d--\r\n" % level for level in reversed(range(depth)))


def recipients(count: int) -> bytes:
    return b"From: bob@acme.example\r\nTo: " + b",\r\n ".join(b"x%d@acme.example" % n for n in range(count)) + b"\r\n\r\nhi\r\n"


def parameters(count: int) -> bytes:
    return HEAD + b"Content-Type: text/plain" + b"".join(b"; p%d=x" % n for n in range(count)) + b"\r\n\r\nhi\r\n"


def fields(count: int) -> bytes:
    return HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(count - 4)) + b"\r\nhi\r\n"


def header_bytes(count: int) -> bytes:
    return HEAD + b"X-A: " + b"y" * (count - len(HEAD) - 7) + b"\r\n\r\nhi\r\n"


def entities(count: int) -> bytes:
    """A mail of `count` parts besides the container itself."""
    return parts(*[b"\r\nx"] * count)


LIMITS: list[tuple[str, Callable[[int], bytes], int]] = [
    (f"nested deeper than {structure.DEPTH}", nested, structure.DEPTH),
    (f"more than {structure.PARTS} parts", entities, structure.PARTS),
    (f"more than {headers.HEADER_FIELDS} header fields", fields, headers.HEADER_FIELDS),
    (f"header larger than {headers.HEADER_BYTES} bytes", header_bytes, headers.HEADER_BYTES),
    (f"more than {structure.PARAMETERS} parameters in Content-Type", parameters, structure.PARAMETERS),
    (f"more than {message.RECIPIENTS} recipients", recipients, message.RECIPIENTS),
    (f"text longer than {body.TEXT_BYTES} bytes", lambda count: HEAD + b"\r\n" + b"x" * count, body.TEXT_BYTES),
]


@pytest.mark.parametrize(("defect", "make", "limit"), LIMITS, ids=[defect for defect, _, _ in LIMITS])
def test_limits_at_one_less_the_limit_and_one_more(defect: str, make: Callable[[int], bytes], limit: int) -> None:
    assert [defect in read(make(count)).defects for count in (limit - 1, limit, limit + 1)] == [False, False, True]
    mail = read(make(limit + 1))
    assert mail.sender.spec == "bob@acme.example"
    assert mail.text or mail.attachments


def test_over_the_part_limit_the_first_parts_are_there() -> None:
    mail = read(parts(b"\r\nThe words", *[b"Content-Type: image/png; name=a.png\r\n\r\nx"] * 1000))
    assert mail.text == "The words"
    assert len(mail.attachments) == structure.PARTS - 1


def test_encoded_words_beyond_the_limit_stay_as_they_are() -> None:
    words = " ".join(["=?utf-8?q?a?="] * (headers.ENCODED_WORDS + 1))
    assert headers.decode_words(words) == "a" * headers.ENCODED_WORDS + " =?utf-8?q?a?="


def test_our_address_is_seen_however_far_back_it_stands() -> None:
    mail = read(recipients(300).replace(b"x299@acme.example", b"support@example.com"))
    assert [entry.spec for entry in mail.to][-1] == "support@example.com"
    assert len(mail.to) == message.RECIPIENTS + 1


def test_a_mail_over_the_size_limit_is_read_to_the_limit() -> None:
    mail = read(PLAIN + b"\0" * structure.MAIL_BYTES)
    assert mail.subject == "Printer down"
    assert f"larger than {structure.MAIL_BYTES} bytes" in mail.defects


def test_references_keep_the_root_and_the_latest() -> None:
    ids = " ".join(f"<{number}@acme.example>" for number in range(500))
    mail = read(HEAD + b"References: " + ids.encode() + b"\r\n\r\nhi")
    assert len(mail.references) == REFERENCES
    assert (mail.references[0], mail.references[-1]) == ("<0@acme.example>", "<499@acme.example>")


# --- bombs ----------------------------------------------------------------------------------------------------------------

BOMBS: dict[str, Callable[[], bytes]] = {
    "1,000 parentheses in To": lambda: b"From: bob@acme.example\r\nTo: " + b"(" * 1000 + b"\r\n\r\nhi",
    "20,000 parentheses in From": lambda: b"From: " + b"(" * 20_000 + b"\r\n\r\nhi",
    "Message-ID of brackets": lambda: HEAD.replace(b"<1@acme.example>", b"<<<<") + b"\r\nhi",
    "multipart nested 2,000 deep": lambda: nested(2000),
    "multipart nested 20,000 deep": lambda: nested(20_000),
    "message/rfc822 nested 3,000 deep": lambda: HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"hi",
    "message/news nested 2,500 deep": lambda: HEAD + b"Content-Type: message/news\r\n\r\n" * 2500 + b"hi",
    "16,000 parameters": lambda: HEAD + b"Content-Type: text/plain" + b"".join(b"; a*%d=x" % n for n in range(16_000)) + b"\r\n\r\nhi",
    "100,000 empty parts": lambda: HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000,
    "200,000 lines like the boundary": lambda: HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bb\r\n" * 200_000,
    "16,000 encoded-words in Subject": lambda: b"From: bob@acme.example\r\nSubject:" + b" =?utf-8?q?a?=\r\n" * 16_000 + b"\r\nhi",
    "8,000 addresses": lambda: recipients(8000),
    "50,000 header fields": lambda: fields(50_000),
    "100,000 blank continuation lines": lambda: HEAD + b"X: a\r\n" + b" \r\n" * 100_000 + b"\r\nhi",
    "1 MB Subject": lambda: b"Subject: " + b"x" * 1_000_000 + b"\r\n\r\nhi",
    "1,500 nested comments in Received": lambda: HEAD + b"Received: " + b"from (by (with " * 1500 + b"\r\n\r\nhi",
    "charset zlib": lambda: HEAD + b"Content-Type: text/plain; charset=zlib\r\n\r\nhi\xff",
    "charset idna": lambda: HEAD + b"Content-Type: text/plain; charset=idna\r\n\r\nhi\xff",
    "charset of 5,000 letters": lambda: HEAD + b"Content-Type: text/plain; charset=" + b"x" * 5000 + b"\r\n\r\nhi\xff",
    "200,000 nested div": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 200_000 + b"hi",
    "5,000 nested blockquote": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<blockquote>" * 5000 + b"hi",
    "300 nested quotes": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<blockquote type=cite>" * 300 + b"hi",
    "300 nested tables": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<table><tr><td>" * 300 + b"hi",
    "1 MB of <": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * 1_000_000,
    "20,000 lines From: a": lambda: HEAD + b"\r\n" + b"From: a\r\n" * 20_000,
    "60 kB of On On On": lambda: HEAD + b"\r\n" + b"On " * 20_000,
    "500,000 blank lines in a bounce": lambda: HEAD + b"Return-Path: <>\r\n\r\n" + b"\r\n" * 500_000,
    "1 MB of >": lambda: HEAD + b"\r\n" + b">" * 1_000_000,
    "50,000 begin lines": lambda: HEAD + b"\r\n" + b"begin 644 x\r\n" * 50_000,
    "20,000 PGP headers": lambda: HEAD + b"\r\n" + b"-----BEGIN PGP SIGNED MESSAGE-----\n" * 20_000,
    "1 MB of CR": lambda: b"\r" * 1_000_000,
    "1 MB of LF": lambda: b"\n" * 1_000_000,
    "1 MB of NUL": lambda: b"\0" * 1_000_000,
    "1 MB of colons": lambda: b":" * 1_000_000,
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_read(name: str) -> None:
    mail = read(BOMBS[name]())
    assert not [defect for defect in mail.defects if defect.startswith("not readable")]
    assert len(mail.text) <= 2 * body.TEXT_BYTES
    assert mail.identity in ("", "bob@acme.example")


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_hostile_files_are_read(path: Path) -> None:
    mail = read(path.read_bytes())
    storable(mail)


def storable(mail: Mail) -> None:
    """No NUL and no surrogate: what both databases take."""
    text = json.dumps(message.describe(mail, ""), ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text
    shown = (mail.subject, mail.sender.name, mail.message_id, *(entry.name for entry in (*mail.to, *mail.cc, *mail.attachments)))
    assert all(character.isprintable() or character == " " or ord(character) >= 0x80 for value in shown for character in value)


@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(raw: bytes) -> None:
    storable(read(raw))
    storable(stub_of(raw, envelope(), SITE, "timeout"))


def test_damaged_compositions_are_read() -> None:
    """Every composition with bytes flipped, cut and doubled; one seed, so that a failure comes again."""
    dice = random.Random(6)
    for path in MAILS:
        raw = bytearray(path.read_bytes())
        for _ in range(4):
            damaged = bytearray(raw)
            for _ in range(dice.randint(1, 12)):
                damaged[dice.randrange(len(damaged))] = dice.choice(b"\0\r\n\t :;=<>()\"\\-\xff\x80=?")
            start, stop = sorted(dice.sample(range(len(damaged)), 2))
            damaged[start:start] = damaged[start:stop]
            storable(read(bytes(damaged[: dice.randint(1, len(damaged))])))


# --- robots and what comes back -------------------------------------------------------------------------------------------


def test_an_auto_reply_to_a_bounce_address_is_known_by_its_shape() -> None:
    detail = token.bounce_detail(token.Keyring(0, {0: b"k" * 32}), 7)
    raw = HEAD.replace(b"Printer down", b"Automatic reply: Printer down") + b"\r\nI am away.\r\n"
    assert message.read(raw, envelope("bob@acme.example", f"support+{detail}@example.com"), SITE).kind is Kind.AUTO_REPLY
    assert message.read(raw, envelope("bob@acme.example"), SITE).kind is Kind.REQUEST_OR_REPLY


# --- stub -----------------------------------------------------------------------------------------------------------------


def test_a_stub_says_what_can_be_read_and_identifies_nobody() -> None:
    raw = DATED + b"In-Reply-To: <rt-1@example.com>\r\nReferences: <a@acme.example>\r\nX-RTMail-Request: 1\r\n\r\nIt blinks.\r\n"
    mail = stub_of(raw, envelope(), SITE, "timeout")
    assert (mail.subject, mail.sender.spec, mail.identity, mail.text) == ("Printer down", "bob@acme.example", "", "It blinks.")
    assert (mail.message_id, mail.in_reply_to, mail.references) == ("<1@acme.example>", ("<rt-1@example.com>",), ("<a@acme.example>",))
    assert mail.defects == ("timeout",)
    assert mail.answerable
    assert "x-rtmail-request" not in mail.headers


@pytest.mark.parametrize(
    "sign", [b"Auto-Submitted: auto-replied", b"Precedence: bulk", b"List-Id: <a.example>", b"X-RTMail-Loop: example.com"]
)
def test_a_stub_of_a_robot_is_not_answered(sign: bytes) -> None:
    assert not stub_of(HEAD + sign + b"\r\n\r\nhi", envelope(), SITE, "timeout").answerable


def test_stubs_of_bombs() -> None:
    for make in BOMBS.values():
        storable(stub_of(make(), envelope(), SITE, "memory"))


# --- other projects' mails ------------------------------------------------------------------------------------------------


@pytest.mark.skipif("RTMAIL_CORPUS" not in os.environ, reason="RTMAIL_CORPUS names no folder of mails")
def test_every_mail_of_the_corpus_is_read() -> None:
    folder = Path(os.environ["RTMAIL_CORPUS"])
    paths = [folder / json.loads(line)["path"] for line in (folder / "MANIFEST.jsonl").read_text().splitlines()]
    assert paths
    for path in paths:
        mail = read(path.read_bytes())
        storable(mail)
        assert not [defect for defect in mail.defects if "not readable" in defect], path
