"""What is fuzzed: each target takes bytes that a stranger might send and raises when a promise about them does not hold.

`python -m fuzz` runs them under atheris; tests/test_fuzz.py runs them over the seeds and over everything that was ever found.
"""

from __future__ import annotations

import atexit
import contextlib
import email
import email.policy
import json
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from email.utils import getaddresses, parseaddr
from functools import cache
from pathlib import Path
from typing import Literal

from rtmail.desk.grammar import commands
from rtmail.errors import PolicyError, Problem
from rtmail.ingress.limits import Limits
from rtmail.mail import address, token
from rtmail.mail.headers import clean_body, scan
from rtmail.mail.model import Address, Answers, Envelope, Kind, Mail, Proof
from rtmail.mail.proof import identity, own_checks
from rtmail.mail.reading import bounce, message
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.site import Door, OwnAddress, Site
from rtmail.mail.writing.intent import Enclosed, Intent, verify
from rtmail.mail.writing.wire import address_header, one_line, text_header, text_part
from rtmail.mail.writing.wire import message as written
from rtmail.policy import schema
from tests.fakes.listening import KNOWN, House

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SITE = Site(
    "Example", "Example", "example.com", "ops@example.net", authserv_ids=("mx.example.com",), arc_sealers=("group.example",),
    addresses={"support@example.com": OwnAddress("support@example.com", "support", Door.CORRESPONDENCE)},
)
KEYRING = token.Keyring(0, {0: b"k" * 32})
ENVELOPE = Envelope("bob@acme.example", ("support@example.com",), "smtp", NOW, peer="203.0.113.9")
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLY = re.compile(rb"[2345]\d\d(?:[ -][^\r\n]*)?")
KEY = "v=DKIM1; k=rsa; p=" + "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC" + "A" * 160 + "IDAQAB"


# Sessions over a real socket


@cache
def listener(kind: Literal["smtp", "lmtp"]) -> House:
    folder = tempfile.TemporaryDirectory(prefix="rtmail-fuzz-")
    house = House(Path(folder.name), kind=kind, limits=Limits(message_bytes=50_000, errors=50, idle_seconds=5))
    house.__enter__()
    atexit.register(folder.cleanup)
    atexit.register(house.__exit__, None, None, None)
    return house


def _session(kind: Literal["smtp", "lmtp"], data: bytes) -> None:
    house = listener(kind)
    kept = house.acceptor.kept
    kept.clear()
    with socket.create_connection(("127.0.0.1", house.port), 20) as sock:
        sock.settimeout(20)
        said = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                said += chunk
    replies = said.split(b"\r\n")
    assert replies[-1] == b"" or not said, "a reply without an end"
    for reply in replies[:-1]:
        assert _REPLY.fullmatch(reply), reply
        assert b"Traceback" not in reply
        assert b"Error:" not in reply
    taken = sum(b"kept" in reply or re.match(rb"250 2\.\d\.\d .*\d+$", reply) is not None for reply in replies)
    assert len(kept) <= max(taken, 0), (len(kept), replies)
    for raw, envelope in kept:
        assert len(raw) <= 50_000
        assert set(envelope.recipients) <= KNOWN | {"postmaster"}, envelope.recipients
        assert envelope.sender is not None
        assert not set("\r\n\0") & set(envelope.sender)


def smtp(data: bytes) -> None:
    """An SMTP session: whatever is said, each line of ours is a reply, and what is kept was addressed to us."""
    _session("smtp", data)


def lmtp(data: bytes) -> None:
    """An LMTP session, likewise."""
    _session("lmtp", data)


# Mail


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for part in value.values() for text in _texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in _texts(part))


def _sound(mail: Mail) -> None:
    described = message.describe(mail, "x")
    json.dumps(described)
    assert not any("\0" in text or _SURROGATE.search(text) for text in _texts(described))
    assert mail.reason
    assert len(mail.fingerprint) == 64
    for line in (mail.subject, mail.sender.name, mail.message_id, *(one.name for one in mail.attachments)):
        assert not set("\r\n\0") & set(line), line
    for spec in (mail.sender.spec, *(one.spec for one in (*mail.to, *mail.cc, *mail.reply_to))):
        assert not spec or address.normalise(spec) == spec, spec
    assert not any(name.startswith("x-rtmail-") for name in mail.headers)
    if mail.kind in (Kind.AUTO_REPLY, Kind.BOUNCE, Kind.REPORT, Kind.LOOP, Kind.MACHINE, Kind.LIST):
        assert not mail.answerable


def mail(data: bytes) -> None:
    """A whole mail: read without an exception, to values that any store and any screen can take."""
    read = message.read(data, ENVELOPE, SITE)
    _sound(read)
    assert message.read(data, ENVELOPE, SITE) == read
    assert not any("not readable:" in defect and defect.startswith("not readable") for defect in read.defects), read.defects
    _sound(stub_of(data, ENVELOPE, SITE, "why"))
    for one in read.attachments:
        assert len(message.payload(data, one.part)) == one.bytes


def sender(data: bytes) -> None:
    """A From line: who is believed is whom every parser names."""
    line = data.decode("utf-8", "surrogateescape")
    found = address.strict_identity([line])
    for one in address.parse_list([line]):
        assert address.normalise(one.spec) == one.spec, one.spec
        assert not set("\r\n\0") & set(one.name)
    if not found or not line.isprintable():
        return
    seen = {parseaddr(line)[1]} | {spec for _, spec in getaddresses([line])}
    with contextlib.suppress(AttributeError, IndexError, ValueError):
        header = email.message_from_bytes(b"From: " + data + b"\r\n\r\n", policy=email.policy.default)["From"]
        # It leaves the bytes of UTF-8 as they are, each for itself.
        seen |= {mailbox.addr_spec.encode("utf-8", "surrogateescape").decode() for mailbox in header.addresses}
    assert {address.key(spec) for spec in seen} == {address.key(found)}, line


def results(data: bytes) -> None:
    """Authentication-Results below an untrusted hop prove nothing, wherever else they may stand they raise nothing."""
    value = data.decode("utf-8", "replace")
    hop = ("Received", "from mail.acme.com (mail.acme.com [198.51.100.7]) by mx.example.com with ESMTPS; Sun, 22 Nov 2026 10:00:00 +0000")
    trusted = Envelope("bob@acme.example", (), "lmtp", NOW)
    for fields in ([hop, ("Authentication-Results", value)], [("Authentication-Results", value)], [("Received", value), hop]):
        proof, why = identity.prove(fields, "bob@acme.example", SITE, trusted)
        assert why
        if fields[0] is hop:
            assert proof is Proof.NONE
        if proof in (Proof.DMARC_PASS, Proof.DKIM_ALIGNED):
            assert "mx.example.com" in value.lower()
            assert "acme.example" in value.lower()


def signature(data: bytes) -> None:
    """DKIM and ARC fields, with keys for all that they name: nothing made up verifies, nothing raises."""
    raw = data + b"\r\nFrom: bob@acme.example\r\nSubject: x\r\n\r\nwords\r\n"
    fields = scan(raw, 0, len(raw)).fields
    names = own_checks.questions(fields, "bob@acme.example", SITE.arc_sealers)
    assert len(names) <= 2 + own_checks.SIGNATURES + 2 * own_checks.ARC_SETS
    answers = Answers(dict.fromkeys(names, (KEY,)) | {"_dmarc.acme.example": ("v=DMARC1; p=reject",)}, "fail", "evil.example")
    read = message.read(raw, Envelope("bob@acme.example", (), "smtp", NOW, peer="203.0.113.9", answers=answers), SITE)
    assert read.proof in (Proof.NONE, Proof.DMARC_FAIL), read.proof_reason


def report(data: bytes) -> None:
    """A delivery report, from the null sender and from anybody: read without an exception, and its names fit for a look-up."""
    parsed = email.message_from_bytes(data)
    for envelope_sender in ("", None, "bob@acme.example"):
        found = bounce.read_report(parsed, envelope_sender)
        if found is not None:
            assert all(spec and not set("\r\n\0 <>") & set(spec) for spec in found.recipients), found
            assert re.fullmatch(r"([245]\.\d{1,3}\.\d{1,3})?", found.status), found


# What signs and commands


def detail(data: bytes) -> None:
    """A signed detail: only what we signed is believed, and every change to it is noticed."""
    today = date(2026, 11, 23)
    text = data.decode("latin-1")
    good = token.sign(KEYRING, token.Action.REPLY, 1042, 7, date(2026, 12, 1))
    assert text.lower() == good or not isinstance(token.verify(KEYRING, text, today), token.Detail), text
    at, letter = (data[0] % len(good), chr(97 + data[1] % 26)) if len(data) > 1 else (0, good[0])
    changed = good[:at] + letter + good[at + 1 :]
    assert isinstance(token.verify(KEYRING, changed, today), token.Detail) is (changed == good)
    assert token.read_message_id(KEYRING, text, "example.com") is None


def command(data: bytes) -> None:
    """A block of commands and words: parsed without an exception, and no word is both a command and said to the customer."""
    text = clean_body(data.decode("utf-8", "replace"))
    parsed = commands.parse(text, subject=" ".join(text[:100].split()))
    lines = text.split("\n")
    for one in parsed.commands:
        assert one.name
        assert one.lineno == 0 or lines[one.lineno - 1].strip(), one
    assert "".join(parsed.whole.split()) in "".join(text.split()) or parsed.commands
    assert len(parsed.words) <= len(text)


def policy(data: bytes) -> None:
    """A policy file: a Policy, or every mistake with its line."""
    problems: Sequence[Problem] | None = None
    try:
        schema.parse(data.decode("utf-8", "replace"), "p.toml", "UTC")
    except PolicyError as error:
        problems = error.problems
    assert problems is None or (problems and all(one.line >= 1 and one.what and one.cure for one in problems)), problems


def headers(data: bytes) -> None:
    """Whatever stands in a subject or a name: the bytes that we write say that and nothing else."""
    text = data.decode("utf-8", "surrogateescape")
    subject, name = one_line(text), one_line(text[::-1], 100)
    to = (Address("bob@acme.example", name),)
    ours = (Address("support@example.com", name),)
    meant: list[tuple[str, str | tuple[Address, ...]]] = [("From", ours), ("To", to), ("Subject", subject)]
    lines = [address_header(key, value) if not isinstance(value, str) else text_header(key, value) for key, value in meant]
    raw = written(lines, text_part("words\n", "plain"))
    verify(raw, Intent(meant, [Enclosed("text/plain")], "support@example.com", "bob@acme.example"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "smtp": smtp, "lmtp": lmtp, "mail": mail, "sender": sender, "results": results, "signature": signature, "report": report,
    "detail": detail, "command": command, "policy": policy, "headers": headers,
}
