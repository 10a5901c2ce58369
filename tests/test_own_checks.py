"""Own DKIM, ARC, SPF and DMARC checks: what proves a From line where no trusted server has judged, and what never does."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.engine.engine import Engine
from rtmail.engine.resolver import DnsResolver, NoAnswer, split_place
from rtmail.engine.sender_checks import SenderChecks, ask_spf
from rtmail.mail.headers import scan
from rtmail.mail.model import Answers, Envelope, Mail, Proof
from rtmail.mail.proof import dmarc, own_checks
from rtmail.mail.reading.message import read
from rtmail.mail.site import Site
from tests.fakes.daemon import Running, wait_for
from tests.fakes.dnszone import NameServer, Records, Zone
from tests.fakes.house import NOW, House, blueprint, mail
from tests.fakes.signer import keys, sealed, signed

JANE = "Jane Doe <jane@acme.example>"
SITE = Site("Example", "Example", "example.com", "ops@example.net", authserv_ids=("mx.example.com",), arc_sealers=("group.example",))
REJECT: Records = {("_dmarc.acme.example", "TXT"): ("v=DMARC1; p=reject",)}
STRICT: Records = {("_dmarc.acme.example", "TXT"): ("v=DMARC1; p=reject; adkim=s; aspf=s",)}
RAW = mail(sender=JANE, subject="Printer down", text="It is down.\nBadly.")
OUTSIDE = "203.0.113.9"


def answered(raw: bytes, zone: Zone, spf: tuple[str, str] = ("", ""), site: Site = SITE, peer: str = "") -> Mail:
    fields = scan(raw, 0, len(raw)).fields
    names = own_checks.questions(fields, "jane@acme.example", site.arc_sealers)
    txt = {name: zone.txt().get(name, ()) for name in names}
    envelope = Envelope("jane@acme.example", ("support@example.com",), "smtp", NOW, peer=peer or OUTSIDE, answers=Answers(txt, *spf))
    return read(raw, envelope, site)


def with_l(raw: bytes) -> bytes:
    return signed(raw, length=True) + b"appended by somebody else\r\n"


CASES: dict[str, tuple[Callable[[], bytes], Records, tuple[str, str], Proof]] = {
    "rsa": (lambda: signed(RAW), {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "ed25519": (lambda: signed(RAW, selector="ed", ed=True), {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "both": (lambda: signed(signed(RAW), selector="ed", ed=True), {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "simple": (lambda: signed(RAW, canonicalize=(b"simple", b"simple")), {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "simple, folded": (
        lambda: signed(RAW.replace(b"Subject: Printer", b"Subject:   Printer\r\n\tand more "), canonicalize=(b"simple", b"simple")),
        {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "1024 bits": (lambda: signed(RAW, selector="small", bits=1024), {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "no DMARC record": (lambda: signed(RAW), keys(), ("", ""), Proof.DKIM_ALIGNED),
    "subdomain's signature": (
        lambda: signed(RAW, "mail.acme.example"), {**keys("mail.acme.example"), **REJECT}, ("", ""), Proof.DMARC_PASS),
    "subdomain's signature, strict": (
        lambda: signed(RAW, "mail.acme.example"), {**keys("mail.acme.example"), **STRICT}, ("", ""), Proof.NONE),
    "spf": (lambda: RAW, REJECT, ("pass", "bounces.acme.example"), Proof.DMARC_PASS),
    "spf, strict": (lambda: RAW, STRICT, ("pass", "bounces.acme.example"), Proof.DMARC_FAIL),
    "spf without DMARC": (lambda: RAW, {}, ("pass", "acme.example"), Proof.NONE),
    "spf of another": (lambda: RAW, REJECT, ("pass", "evil.example"), Proof.DMARC_FAIL),
    "spf softfail": (lambda: RAW, REJECT, ("softfail", "acme.example"), Proof.DMARC_FAIL),
    "spf fail without DMARC": (lambda: RAW, {}, ("fail", "acme.example"), Proof.SPF_FAIL),
    "spf fail of another": (lambda: RAW, {}, ("fail", "evil.example"), Proof.NONE),
    "spf fail, but signed": (lambda: signed(RAW), keys(), ("fail", "acme.example"), Proof.DKIM_ALIGNED),
    "spf temperror": (lambda: RAW, REJECT, ("temperror", "acme.example"), Proof.NONE),
    "nothing, behind our own server": (lambda: RAW, REJECT, ("", ""), Proof.NONE),
    "another's signature": (
        lambda: signed(RAW, "evil.example"), {**keys("evil.example"), **REJECT}, ("fail", "evil.example"), Proof.DMARC_FAIL),
    "another's name around ours": (
        lambda: signed(RAW, "acme.example.evil.example"), {**keys("acme.example.evil.example"), **REJECT}, ("", ""), Proof.NONE),
    "changed body": (lambda: signed(RAW).replace(b"Badly", b"Madly"), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "changed subject": (lambda: signed(RAW).replace(b"Printer down", b"Printer gone"), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "a subject above the signed one": (lambda: b"Subject: close 1042\r\n" + signed(RAW), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "a Reply-To above": (
        lambda: b"Reply-To: evil@evil.example\r\n" + signed(RAW.replace(b"Subject:", b"Reply-To: jane@acme.example\r\nSubject:")),
        {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "a second From": (lambda: b"From: jane@acme.example\r\n" + signed(RAW), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "l=": (lambda: with_l(RAW), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "subject not covered": (lambda: signed(RAW, include_headers=[b"from"]), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "sha1": (lambda: signed(RAW, algorithm=b"rsa-sha1"), {**keys(), **REJECT}, ("", ""), Proof.NONE),
    "key tried out": (lambda: signed(RAW), {**keys(flags="t=y; "), **REJECT}, ("", ""), Proof.NONE),
    "key not for subdomains": (
        lambda: signed(RAW, identity=b"jane@x.acme.example"), {**keys(flags="t=s; "), **REJECT}, ("", ""), Proof.NONE),
    "key for other services": (lambda: signed(RAW), {**keys(flags="s=tlsrpt; "), **REJECT}, ("", ""), Proof.NONE),
    "key for SHA-1": (lambda: signed(RAW), {**keys(flags="h=sha1; "), **REJECT}, ("", ""), Proof.NONE),
    "no key": (lambda: signed(RAW), REJECT, ("", ""), Proof.NONE),
    "revoked key": (lambda: signed(RAW), {("s1._domainkey.acme.example", "TXT"): ("v=DKIM1; p=",), **REJECT}, ("", ""), Proof.NONE),
    "two keys": (
        lambda: signed(RAW), {("s1._domainkey.acme.example", "TXT"): keys()[("s1._domainkey.acme.example", "TXT")] * 2, **REJECT},
        ("", ""), Proof.NONE),
    "bare line ends": (lambda: signed(RAW).replace(b"\r\n", b"\n"), {**keys(), **REJECT}, ("", ""), Proof.DMARC_PASS),
}


@pytest.mark.parametrize("name", CASES)
def test_what_proves_a_sender(name: str) -> None:
    make, records, spf, expected = CASES[name]
    found = answered(make(), Zone(records), spf)
    assert found.proof is expected, found.proof_reason
    assert found.proof_reason.startswith(own_checks.CHECKED) or not found.identity, found.proof_reason


@pytest.mark.parametrize("away", ["s1._domainkey.acme.example", "_dmarc.acme.example"])
def test_a_temporary_failure_is_no_pass_and_held_against_nobody(away: str) -> None:
    zone = Zone({**keys(), **REJECT}, away={away})
    found = answered(signed(RAW), zone, ("fail", "acme.example"))
    assert found.proof in (Proof.NONE, Proof.DKIM_ALIGNED)
    assert found.proof is Proof.NONE or away.startswith("_dmarc")
    assert "temperror" in found.proof_reason
    assert not own_checks.is_final(found.proof_reason)


# ARC


def forwarded(result: str = "dmarc=pass header.from=acme.example", then: bytes = b"-- \r\nYou got this through the group\r\n") -> bytes:
    """As a group sends it on: the results noted and sealed, after a footer broke the sender's signature."""
    inner = signed(RAW)
    return sealed(f"Authentication-Results: mx.group.example; {result}\r\n".encode() + inner + then)


GROUP_KEY: Records = {("arc._domainkey.group.example", "TXT"): keys()[("s1._domainkey.acme.example", "TXT")]}


def test_a_trusted_sealer_saw_it_pass() -> None:
    found = answered(forwarded(), Zone({**keys(), **REJECT, **GROUP_KEY}), ("fail", "group.example"))
    assert found.proof is Proof.DMARC_PASS, found.proof_reason
    assert "group.example" in found.proof_reason


UNSEALED: dict[str, tuple[Callable[[], bytes], Site]] = {
    "nobody trusts the sealer": (forwarded, dataclasses.replace(SITE, arc_sealers=())),
    "another is trusted": (forwarded, dataclasses.replace(SITE, arc_sealers=("google.com",))),
    "he saw it fail": (lambda: forwarded("dmarc=fail header.from=acme.example"), SITE),
    "he saw another's pass": (lambda: forwarded("dmarc=pass header.from=evil.example"), SITE),
    "changed after the seal": (lambda: forwarded().replace(b"Badly", b"Madly"), SITE),
    "results changed after the seal": (
        lambda: forwarded("dmarc=fail header.from=acme.example").replace(b"dmarc=fail header.from", b"dmarc=pass header.from"), SITE),
    "an untrusted one sealed above": (
        lambda: sealed(b"Authentication-Results: mx.evil.example; arc=pass\r\n" + forwarded(), "evil.example", "mx.evil.example"), SITE),
}


@pytest.mark.parametrize("name", UNSEALED)
def test_no_other_seal_proves_anything(name: str) -> None:
    make, site = UNSEALED[name]
    evil: Records = {("arc._domainkey.evil.example", "TXT"): GROUP_KEY[("arc._domainkey.group.example", "TXT")]}
    zone = Zone({**keys(), **REJECT, **GROUP_KEY, **evil})
    found = answered(make(), zone, ("fail", "group.example"), site)
    assert found.proof is Proof.DMARC_FAIL, found.proof_reason


# DMARC records


@pytest.mark.parametrize(
    ("texts", "subdomain", "expected"),
    [
        (["v=DMARC1; p=none"], False, dmarc.Record("none")),
        (["v=DMARC1;p=reject;sp=none"], True, dmarc.Record("none")),
        (["v=DMARC1; p=quarantine; adkim=s; aspf=r", "v=spf1 -all"], False, dmarc.Record("quarantine", True)),
        (["v=DMARC1; rua=mailto:x@y.example"], False, dmarc.Record("none")),
        (["v=DMARC1; p=bogus"], False, None),
        (["v=DMARC1; p=none", "v=DMARC1; p=none"], False, None),
        (["v=DMARC11; p=none"], False, None),
        (["p=none; v=DMARC1"], False, None),
        ([], False, None),
    ],
)
def test_records(texts: list[str], subdomain: bool, expected: dmarc.Record | None) -> None:
    assert dmarc.parse(texts, subdomain=subdomain) == expected


# SPF


SPF: Records = {
    ("acme.example", "TXT"): ("v=spf1 mx ip4:192.0.2.0/24 include:_spf.acme.example -all",),
    ("_spf.acme.example", "TXT"): ("v=spf1 a:host.acme.example -all",),
    ("host.acme.example", "A"): ("198.51.100.9",),
    ("acme.example", "MX"): ((10, "mx.acme.example"),),
    ("mx.acme.example", "A"): ("203.0.113.5",),
    ("mail.acme.example", "TXT"): ("v=spf1 a -all",),
    ("mail.acme.example", "A"): ("192.0.2.77",),
    ("loop.example", "TXT"): ("v=spf1 include:loop.example -all",),
    ("broken.example", "TXT"): ("v=spf1 nonsense:x -all",),
    ("away.example", "TXT"): ("v=spf1 a:gone.example -all",),
}


@pytest.mark.parametrize(
    ("address", "sender", "expected"),
    [
        ("192.0.2.7", "bob@acme.example", "pass"),
        ("198.51.100.9", "bob@acme.example", "pass"),
        ("203.0.113.5", "bob@acme.example", "pass"),
        ("2001:db8::1", "bob@acme.example", "fail"),
        ("203.0.113.99", "bob@acme.example", "fail"),
        ("192.0.2.77", "", "pass"),
        ("203.0.113.99", "", "fail"),
        ("192.0.2.7", "bob@nothing.example", "none"),
        ("192.0.2.7", "bob@loop.example", "permerror"),
        ("192.0.2.7", "bob@broken.example", "permerror"),
        ("192.0.2.7", "bob@away.example", "temperror"),
        ("192.0.2.7", "bob@" + "x" * 64 + ".example", "none"),
    ],
)
def test_spf(address: str, sender: str, expected: str) -> None:
    assert ask_spf(Zone(SPF, away={"gone.example"}), address, sender, "mail.acme.example", 10)[0] == expected


# The engine


@pytest.fixture
def zone() -> Zone:
    staff = {("_dmarc.staff.example", "TXT"): ("v=DMARC1; p=reject",)}
    return Zone({**keys("staff.example"), **keys(), **staff, **REJECT, ("staff.example", "TXT"): ("v=spf1 ip4:192.0.2.0/24 -all",)})


@pytest.fixture
def house(tmp_path: Path, zone: Zone) -> Iterator[House]:
    house = House(tmp_path, blueprint())
    checks = SenderChecks(zone, seconds=20)
    house.engine = Engine(house.store, house.pool, house.engine.office, "test", checks=checks)
    yield house
    checks.close()
    house.close()


def trace(house: House, spool_id: int) -> tuple[str, str]:
    found = house.store.spool_row(spool_id).trace
    return str(found["proof"]), str(found["staff_proof"])


STAFF_MAIL = mail(sender="Jane Doe <jane@staff.example>", to="support@example.com", subject="For the record", text="I saw it too.")


def test_staff_prove_themselves_by_their_own_signature(house: House) -> None:
    spool_id = house.receive(signed(STAFF_MAIL, "staff.example"), sender="jane@staff.example", peer=OUTSIDE)
    assert trace(house, spool_id) == ("dmarc-pass", "dmarc")


def test_staff_prove_themselves_by_spf_of_our_own_listener(house: House) -> None:
    spool_id = house.receive(STAFF_MAIL, sender="jane@staff.example", peer="192.0.2.9")
    assert trace(house, spool_id) == ("dmarc-pass", "dmarc")


@pytest.mark.parametrize("envelope", [{"peer": "192.0.2.9", "ingress": "lmtp"}, {"peer": OUTSIDE}])
def test_spf_counts_nowhere_else(house: House, envelope: dict[str, str]) -> None:
    spool_id = house.receive(STAFF_MAIL, sender="jane@staff.example", **envelope)
    assert house.store.spool_row(spool_id).outcome == "held"


def test_what_a_trusted_server_judged_is_not_asked_about(house: House, zone: Zone) -> None:
    judged = b"Authentication-Results: mx.example.com; dmarc=fail header.from=staff.example\r\n" + signed(STAFF_MAIL, "staff.example")
    spool_id = house.receive(judged, sender="jane@staff.example", peer="127.0.0.1")
    assert house.store.spool_row(spool_id).outcome == "held"
    assert zone.asked == []


@pytest.mark.parametrize(
    ("said", "sign_it", "expected"),
    [
        ("spf=pass smtp.mailfrom=jane@staff.example", True, "dmarc-pass"),
        ("spf=fail smtp.mailfrom=jane@staff.example", True, "dmarc-pass"),
        ("spf=fail smtp.mailfrom=jane@staff.example", False, "spf-fail"),
        ("none", True, "dmarc-pass"),
        ("dkim=fail header.d=staff.example", True, "none"),
    ],
)
def test_what_a_trusted_server_left_open_is_for_us(house: House, said: str, sign_it: bool, expected: str) -> None:
    """A server that looks at SPF alone says nothing of signatures; one that looked at them has spoken."""
    raw = f"Authentication-Results: mx.example.com; {said}\r\n".encode() + (signed(STAFF_MAIL, "staff.example") if sign_it else STAFF_MAIL)
    spool_id = house.receive(raw, sender="jane@staff.example", peer="127.0.0.1")
    assert trace(house, spool_id)[0] == expected


def test_a_proof_is_kept_for_the_next_reading(house: House, zone: Zone) -> None:
    """A key that is gone when the mail is read again takes nothing back."""
    spool_id = house.receive(signed(STAFF_MAIL, "staff.example"), sender="jane@staff.example", peer=OUTSIDE)
    kept = house.store.spool_row(spool_id).envelope
    assert kept.checked is not None
    assert kept.checked[0] == "dmarc-pass"
    assert kept.answers is None
    zone.records.clear()
    asked = len(zone.asked)
    again = house.engine._read_again(spool_id)
    assert again.proof is Proof.DMARC_PASS
    assert len(zone.asked) == asked


def test_dns_away_holds_staff_mail_and_nothing_else(house: House, zone: Zone) -> None:
    zone.away.add("*")
    held = house.receive(signed(STAFF_MAIL, "staff.example"), sender="jane@staff.example", peer=OUTSIDE)
    opened = house.receive(signed(RAW), sender="jane@acme.example", peer=OUTSIDE)
    assert house.store.spool_row(held).outcome == "held"
    assert house.store.spool_row(opened).outcome == "event"
    assert house.store.spool_row(held).envelope.checked is None, "a later reading may ask again"


def test_slow_dns_delays_a_batch_only_so_long(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(Zone):
        def ask(self, name: str, kind: str, seconds: float) -> tuple[object, ...]:
            gate.wait(60)
            return super().ask(name, kind, seconds)

    checks = SenderChecks(Slow(REJECT), seconds=3)
    site, mails = blueprint().site, [(signed(RAW), Envelope("jane@acme.example", (), "smtp", NOW, peer=OUTSIDE))]
    took = []
    for _ in range(2):
        begun = time.monotonic()
        (envelope,) = checks.prepared(mails, site)
        took.append(time.monotonic() - begun)
        assert envelope.answers is not None
        assert set(envelope.answers.txt.values()) == {None}
        assert envelope.answers.spf_result == "temperror"
    assert 3 <= took[0] < 30
    assert took[1] < took[0], "the next batch is not held up as long"
    gate.set()
    (envelope,) = checks.prepared(mails, site)
    assert envelope.answers is not None
    assert envelope.answers.txt["_dmarc.acme.example"] == ("v=DMARC1; p=reject",)
    checks.close()


# The resolver, against a name server


def test_the_resolver_asks_a_real_server() -> None:
    zone = Zone({**SPF, **keys()}, away={"broken.example"})
    with NameServer(zone, silent=("silent.example",)) as server:
        resolver = DnsResolver([f"127.0.0.1:{server.port}"])
        assert resolver.ask("s1._domainkey.acme.example", "TXT", 20) == keys()[("s1._domainkey.acme.example", "TXT")]
        assert resolver.ask("host.acme.example.", "A", 20) == ("198.51.100.9",)
        assert resolver.ask("acme.example", "MX", 20) == ((10, "mx.acme.example"),)
        assert resolver.ask("nothing.example", "TXT", 20) == ()
        assert resolver.ask("host.acme.example", "TXT", 20) == ()
        for name in ("broken.example", "silent.example"):
            with pytest.raises(NoAnswer):
                resolver.ask(name, "TXT", 1.5)
        asked = len(zone.asked)
        assert resolver.ask("ACME.example", "MX", 20) == ((10, "mx.acme.example"),)
        with pytest.raises(NoAnswer):
            resolver.ask("silent.example", "TXT", 1.5)
        assert len(zone.asked) == asked, "remembered"


def test_dns_that_is_away_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    from rtmail.engine import resolver as module

    asked: list[str] = []

    def away(_asking: object, name: str, _kind: str, _seconds: float) -> tuple[None, float]:
        asked.append(name)
        return None, module.TROUBLE_SECONDS

    monkeypatch.setattr(module, "_look_up", away)
    now = [1000.0]
    resolver = DnsResolver(["127.0.0.1"], clock=lambda: now[0])
    for number in range(20):
        with pytest.raises(NoAnswer):
            resolver.ask(f"name{number}.example", "TXT", 1)
    assert len(asked) == module.TROUBLES
    now[0] += timedelta(minutes=1).total_seconds()
    with pytest.raises(NoAnswer):
        resolver.ask("name0.example", "TXT", 1)
    assert len(asked) == module.TROUBLES + 1


@pytest.mark.parametrize(
    ("text", "place"),
    [("192.0.2.53", ("192.0.2.53", 53)), ("127.0.0.1:5353", ("127.0.0.1", 5353)), ("2001:db8::1", ("2001:db8::1", 53)),
     ("[2001:db8::1]:54", ("2001:db8::1", 54))],
)
def test_places_of_name_servers(text: str, place: tuple[str, int]) -> None:
    assert split_place(text) == place


# Hostile input


@pytest.mark.parametrize(
    "header",
    [
        b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=s1; h=from:subject; bh=x; b=x\r\n",
        b"DKIM-Signature: d=acme.example; s=s1\r\n",
        b"DKIM-Signature: " + b"d=acme.example; s=s1; " * 800 + b"\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=s1; h=" + b"from:" * 4000 + b"; bh=x; b=x\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; c=x/y/z; d=acme.example; s=s1; t=9999999999999; x=1; h=from:subject; bh=AAAA; b=AAAA\r\n",
        b"DKIM-Signature: \xff\xfe d=acme.example; s=\xff\r\n",
        b"ARC-Seal: i=1; d=group.example; s=arc; cv=none; a=rsa-sha256; b=x\r\nARC-Message-Signature: i=99; d=group.example; s=arc\r\n",
        b"ARC-Seal: i=0; d=group.example\r\nARC-Message-Signature: i=0\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=a..b; h=from:subject; bh=x; b=x\r\n",
    ],
)
def test_hostile_signatures_prove_nothing(header: bytes) -> None:
    found = answered(header + RAW, Zone({**keys(), **REJECT, **GROUP_KEY}))
    assert found.proof is Proof.NONE, found.proof_reason


@pytest.mark.parametrize("canonical", [b"simple", b"relaxed"])
def test_a_large_mail_fits_into_a_reader(house: House, canonical: bytes) -> None:
    """Twenty megabytes of blanks, of which the library's own way would make a list."""
    line = b"x " * 35 + b"\r\n"
    big = signed(STAFF_MAIL + line * (20 * 1024 * 1024 // len(line)), "staff.example", canonicalize=(b"relaxed", canonical))
    spool_id = house.receive(big, sender="jane@staff.example", peer=OUTSIDE)
    assert house.store.spool_row(spool_id).attempts == 1, "no reader died of it"
    assert trace(house, spool_id)[0] == "dmarc-pass"


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r\n\r\n", b"  \r\n", b"bb"]), max_size=12).map(b"".join), st.booleans(),
       st.integers(1, 6))
def test_the_body_is_hashed_as_the_library_does(body: bytes, relaxed: bool, piece: int) -> None:
    from dkim.canonicalization import Relaxed, Simple

    # Without a line end at last a trailing blank is no trailing blank to the library.
    body = body if not relaxed or body.endswith(b"\r\n") else body.rstrip(b" \t") + b"\r\n"
    expected = hashlib.sha256((Relaxed if relaxed else Simple).canonicalize_body(body)).digest()
    with mock.patch.object(own_checks, "PIECE_BYTES", piece):
        assert own_checks.body_hash(b"head" + body, 4, relaxed) == expected


# Live, and Microsoft 365


def test_a_daemon_asks_dns_and_believes_a_colleague(tmp_path: Path) -> None:
    """Over a real socket, with a real name server: his words are no longer held, and another's in his name are."""
    zone = Zone({**keys("staff.example"), ("_dmarc.staff.example", "TXT"): ("v=DMARC1; p=reject",)})
    with NameServer(zone) as server:
        daemon = Running(tmp_path)
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace("[auth]\n", f'[auth]\nown_checks = true\nnameservers = ["127.0.0.1:{server.port}"]\n'))
        with daemon:
            forged = STAFF_MAIL.replace(b"<1@acme.example>", b"<2@evil.example>")
            daemon.send(forged, sender="jane@staff.example")
            daemon.send(signed(STAFF_MAIL, "staff.example"), sender="jane@staff.example")
            wait_for(daemon.tickets, told="the signed mail opened nothing")
            wait_for(lambda: "jane@staff.example" in daemon.cli("held", "list"), told="the forged mail was not held")
            assert len(daemon.tickets()) == 1
            assert "dmarc=pass" in daemon.cli("why", "<1@acme.example>")
        assert ("_dmarc.staff.example", "TXT") in zone.asked


EXCHANGE = "Authentication-Results: spf=pass smtp.mailfrom=staff.example; dmarc=pass action=none header.from=staff.example"


def test_a_daemon_asks_spf_about_the_client_that_a_proxy_names(tmp_path: Path) -> None:
    zone = Zone({("staff.example", "TXT"): ("v=spf1 ip4:192.0.2.0/24 -all",), ("_dmarc.staff.example", "TXT"): ("v=DMARC1; p=reject",)})
    with NameServer(zone) as server:
        daemon = Running(tmp_path, smtp='proxy = ["127.0.0.1/32"]')
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace("[auth]\n", f'[auth]\nown_checks = true\nnameservers = ["127.0.0.1:{server.port}"]\n'))
        with daemon:
            for number, client in enumerate(("203.0.113.9", "192.0.2.9"), 1):
                raw = STAFF_MAIL.replace(b"<1@acme.example>", b"<s%d@staff.example>" % number)
                with socket.create_connection(("127.0.0.1", daemon.port), 30) as sock:
                    said = sock.makefile("rb")
                    sock.sendall(f"PROXY TCP4 {client} 127.0.0.1 40000 25\r\n".encode())
                    envelope = (b"MAIL FROM:<jane@staff.example>", b"RCPT TO:<support@example.com>")
                    for line in (b"", b"HELO mail.staff.example", *envelope, b"DATA"):
                        sock.sendall(line + b"\r\n" if line else b"")
                        assert said.readline()[:1] in b"23"
                    sock.sendall(raw + b".\r\n")
                    assert said.readline().startswith(b"250")
            wait_for(daemon.tickets, told="the mail of the right machine opened nothing")
            wait_for(lambda: "jane@staff.example" in daemon.cli("held", "list"), told="the other one was not held")
            assert "spf=pass for staff.example" in daemon.cli("why", "<s2@staff.example>")


@pytest.mark.parametrize(("ingress", "said", "outcome"), [
    ("imap:office", "X-MS-Exchange-Organization-AuthAs: Internal", "event"),
    ("imap:office", "X-MS-Exchange-Organization-AuthAs: Anonymous", "held"),
    ("imap:other", "X-MS-Exchange-Organization-AuthAs: Internal", "held"),
    ("smtp", "X-MS-Exchange-Organization-AuthAs: Internal", "held"),
    ("imap:office", EXCHANGE, "event"),
    ("imap:other", EXCHANGE, "held"),
])
def test_internal_mail_of_a_tenant_is_believed_in_its_mailbox_alone(tmp_path: Path, ingress: str, said: str, outcome: str) -> None:
    plan = blueprint()
    trusted = {"imap:office": ("X-MS-Exchange-Organization-AuthAs", "Authentication-Results")}
    house = House(tmp_path, dataclasses.replace(plan, site=dataclasses.replace(plan.site, trusted_headers=trusted)))
    try:
        spool_id = house.receive(said.encode() + b"\r\n" + STAFF_MAIL, sender="jane@staff.example", ingress=ingress)
        assert house.store.spool_row(spool_id).outcome == outcome
    finally:
        house.close()


def test_a_web_form_writes_for_its_customer_and_proves_nobody(tmp_path: Path) -> None:
    plan = blueprint()
    house = House(tmp_path, dataclasses.replace(plan, site=dataclasses.replace(plan.site, forms=("form@web.example",))))
    try:
        written = [("form@web.example", "bob@acme.example"), ("other@web.example", "other@web.example")]
        for number, (sender, requestor) in enumerate(written):
            raw = mail(sender=sender, headers="Reply-To: bob@acme.example", message_id=f"<f{number}@web.example>", text=f"Form {number}.")
            house.receive(raw, sender=sender)
            ticket = house.store.by_number(number + 1)
            assert ticket is not None
            assert ticket.requestor is not None
            assert ticket.requestor.address == requestor
        claimed = mail(sender="form@web.example", headers="Reply-To: jane@staff.example", message_id="<f9@web.example>", text="resolved")
        assert house.store.spool_row(house.receive(claimed, sender="form@web.example")).outcome == "held"
    finally:
        house.close()
