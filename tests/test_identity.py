"""What is proven about a From line, and what an outsider can write without proving anything."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.mail.model import Envelope, Proof
from rtmail.mail.proof.identity import prove
from rtmail.mail.site import Site

SITE = Site(
    "Example", "Example", "example.com", "ops@example.net",
    authserv_ids=("mx.example.com", "dmarc.example.com"), trusted_hops=("127.0.0.1/32", "::1/128", "10.0.0.0/8"),
    trusted_headers={"imap:office": ("X-MS-Exchange-Organization-AuthAs", "Authentication-Results")},
)  # fmt: skip
NOW = datetime(2026, 11, 22, tzinfo=UTC)
AR = "Authentication-Results"
OUTSIDE = (
    "Received",
    "from mail.acme.com (mail.acme.com [198.51.100.7])\r\n\tby mx.example.com (Postfix) with ESMTPS id 4F; Sun, 22 Nov 2026 10:00:00 +0000",
)
INSIDE = ("Received", "from mx.example.com (mx.example.com [10.0.0.5]) by store.example.com with ESMTP id 7")
DOVECOT = ("Received", "from mx.example.com\r\n\tby mx.example.com with LMTP id abc\r\n\t(envelope-from <jane@acme.com>); Sun, 22 Nov 2026")
PICKUP = ("Received", "by mx.example.com (Postfix, from userid 33) id 5A; Sun, 22 Nov 2026 10:00:00 +0000")
DMARC_PASS = (AR, "mx.example.com; dmarc=pass (p=reject dis=none) header.from=acme.com")
DMARC_FAIL = (AR, "dmarc.example.com; dmarc=fail (p=none) header.from=acme.com")
DKIM_PASS = (AR, 'mx.example.com; dkim=pass (2048-bit key) header.d=mail.acme.com header.i=@acme.com header.s=s1 header.b="AbC/+1"')


def envelope(ingress: str = "pipe", peer: str = "") -> Envelope:
    return Envelope("jane@acme.com", ("support@example.com",), ingress, NOW, peer=peer)


CASES: dict[str, tuple[list[tuple[str, str]], Proof]] = {
    "dmarc pass": ([DMARC_PASS, OUTSIDE], Proof.DMARC_PASS),
    "dkim aligned": ([DKIM_PASS, OUTSIDE], Proof.DKIM_ALIGNED),
    "dmarc pass behind trusted hops": ([DOVECOT, INSIDE, DMARC_PASS, OUTSIDE], Proof.DMARC_PASS),
    "folded, other case": (
        [("AUTHENTICATION-results", "MX.Example.com;\r\n\tdmarc=Pass\r\n header.from=Acme.COM"), OUTSIDE],
        Proof.DMARC_PASS,
    ),
    "version and comments": ([(AR, "(x) mx.example.com (y) 1; dmarc=pass (p=none; x) header.from=acme.com"), OUTSIDE], Proof.DMARC_PASS),
    "without Received": ([DMARC_PASS], Proof.DMARC_PASS),
    "dmarc none, dkim aligned": (
        [(AR, "mx.example.com; dmarc=none header.from=acme.com; dkim=pass header.d=acme.com")],
        Proof.DKIM_ALIGNED,
    ),
    "gmail names header.i only": ([(AR, "mx.example.com; dkim=pass header.i=@acme.com header.s=a header.b=x")], Proof.DKIM_ALIGNED),
    "one of two signatures": ([(AR, "mx.example.com; dkim=fail header.d=esp.example; dkim=pass header.d=acme.com")], Proof.DKIM_ALIGNED),
    "ed25519 unknown to the verifier": (
        [(AR, "mx.example.com; dkim=neutral header.d=acme.com header.s=ed; dkim=pass header.d=acme.com header.s=rsa")],
        Proof.DKIM_ALIGNED,
    ),
    "nothing": ([OUTSIDE], Proof.NONE),
    "below the untrusted hop": ([OUTSIDE, DMARC_PASS], Proof.NONE),
    "below a local submission": ([PICKUP, DMARC_PASS], Proof.NONE),
    "below an unreadable Received": ([("Received", "nonsense"), DMARC_PASS], Proof.NONE),
    "below a forged LMTP": ([("Received", 'by x (for "a with LMTP id" by y with LMTP) with ESMTP'), DMARC_PASS], Proof.NONE),
    "HELO says a trusted address": (
        [("Received", "from [127.0.0.1] (unknown [203.0.113.9]) by mx.example.com with SMTP"), DMARC_PASS],
        Proof.NONE,
    ),
    "HELO is by": ([("Received", "from by (unknown [203.0.113.9]) by mx.example.com with SMTP"), DMARC_PASS], Proof.NONE),
    "HELO is a name with a trusted address": (
        [("Received", "from 10.0.0.1.evil.com (x.10.0.0.1 [203.0.113.9]) by mx.example.com with SMTP"), DMARC_PASS],
        Proof.NONE,
    ),
    "microsoft's bare address": (
        [("Received", "from a.b (10.1.2.3) by c.d (10.1.2.4) with Microsoft SMTP Server"), DMARC_PASS],
        Proof.DMARC_PASS,
    ),
    "v6 loopback": ([("Received", "from localhost (localhost [IPv6:::1]) by mx with ESMTP"), DMARC_PASS], Proof.DMARC_PASS),
    "mapped v4": ([("Received", "from x ([::ffff:10.0.0.1]) by mx with ESMTP"), DMARC_PASS], Proof.DMARC_PASS),
    "foreign authserv-id": ([(AR, "mx.evil.com; dmarc=pass header.from=acme.com"), OUTSIDE], Proof.NONE),
    "authserv-id that begins like ours": ([(AR, "mx.example.com.evil.com; dmarc=pass header.from=acme.com")], Proof.NONE),
    "authserv-id in a comment": ([(AR, "(mx.example.com) mx.evil.com; dmarc=pass header.from=acme.com")], Proof.NONE),
    "no authserv-id": ([(AR, "dmarc=pass header.from=acme.com")], Proof.NONE),
    "another header's name": (
        [("X-Authentication-Results", DMARC_PASS[1]), ("ARC-Authentication-Results", "i=1; " + DMARC_PASS[1])],
        Proof.NONE,
    ),
    "dmarc of another domain": ([(AR, "mx.example.com; dmarc=pass header.from=evil.com")], Proof.NONE),
    "dmarc of a subdomain": ([(AR, "mx.example.com; dmarc=pass header.from=x.acme.com")], Proof.NONE),
    "dkim of another domain": ([(AR, "mx.example.com; dkim=pass header.d=evil-acme.com")], Proof.NONE),
    "dkim of a longer name": ([(AR, "mx.example.com; dkim=pass header.d=acme.com.evil.com")], Proof.NONE),
    "dkim of the public suffix": ([(AR, "mx.example.com; dkim=pass header.d=com")], Proof.NONE),
    "dkim of two domains at once": ([(AR, "mx.example.com; dkim=pass header.d=acme.com header.d=evil.com")], Proof.NONE),
    "dkim d is another, i is ours": ([(AR, "mx.example.com; dkim=pass header.d=evil.com header.i=@acme.com")], Proof.NONE),
    "dkim in policy": ([(AR, "mx.example.com; dkim=pass policy.d=acme.com")], Proof.NONE),
    "spf alone": ([(AR, "mx.example.com; spf=pass smtp.mailfrom=jane@acme.com")], Proof.NONE),
    "spf fail": ([(AR, "mx.example.com; spf=fail smtp.mailfrom=jane@mail.acme.com")], Proof.SPF_FAIL),
    "spf fail of another": ([(AR, "mx.example.com; spf=fail smtp.mailfrom=list@evil.com")], Proof.NONE),
    "spf softfail": ([(AR, "mx.example.com; spf=softfail smtp.mailfrom=jane@acme.com")], Proof.NONE),
    "spf fail and pass": (
        [(AR, "mx.example.com; spf=fail smtp.mailfrom=a@acme.com"), (AR, "dmarc.example.com; spf=pass smtp.mailfrom=b@acme.com")],
        Proof.NONE,
    ),
    "spf fail, but signed": ([DKIM_PASS, (AR, "dmarc.example.com; spf=fail smtp.mailfrom=jane@acme.com")], Proof.DKIM_ALIGNED),
    "dmarc temperror": ([(AR, "mx.example.com; dmarc=temperror header.from=acme.com")], Proof.NONE),
    "dmarc permerror": ([(AR, "mx.example.com; dmarc=permerror header.from=acme.com")], Proof.NONE),
    "dmarc best guess": ([(AR, "mx.example.com; dmarc=bestguesspass header.from=acme.com")], Proof.NONE),
    "dkim temperror": ([(AR, "mx.example.com; dkim=temperror header.d=acme.com")], Proof.NONE),
    "dmarc none": ([(AR, "mx.example.com; dmarc=none header.from=acme.com")], Proof.NONE),
    "none at all": ([(AR, "mx.example.com; none")], Proof.NONE),
    "does not parse": ([(AR, 'mx.example.com; dmarc=pass header.from="acme.com')], Proof.NONE),
    "dmarc pass of nobody": ([(AR, "mx.example.com; dmarc=pass")], Proof.NONE),
    "dmarc fail of nobody": ([(AR, "mx.example.com; dmarc=fail")], Proof.DMARC_FAIL),
    "unknown version": ([(AR, "mx.example.com 9; dmarc=pass header.from=acme.com")], Proof.NONE),
    "too long": ([(AR, "mx.example.com; " + "x" * 9000 + "; dmarc=pass header.from=acme.com")], Proof.NONE),
    "quoted sender that looks like a result": (
        [(AR, 'mx.example.com; spf=pass smtp.mailfrom="x; dmarc=pass header.from=acme.com; y"@evil.com')],
        Proof.NONE,
    ),
    "dmarc fail": ([DMARC_FAIL, OUTSIDE], Proof.DMARC_FAIL),
    "pass and fail": ([DMARC_PASS, DMARC_FAIL, OUTSIDE], Proof.DMARC_FAIL),
    "fail and pass": ([DMARC_FAIL, DMARC_PASS, OUTSIDE], Proof.DMARC_FAIL),
    "pass and none": ([DMARC_PASS, (AR, "mx.example.com; dmarc=none header.from=acme.com")], Proof.NONE),
    "pass and temperror": ([DMARC_PASS, (AR, "dmarc.example.com; dmarc=temperror header.from=acme.com")], Proof.DMARC_PASS),
    "fail by dmarc, pass by dkim": ([DMARC_FAIL, DKIM_PASS], Proof.DMARC_FAIL),
    "fail by an outsider": ([DMARC_PASS, OUTSIDE, DMARC_FAIL], Proof.DMARC_PASS),
    "dkim pass and fail of one signature": (
        [DKIM_PASS, (AR, "dmarc.example.com; dkim=fail header.d=mail.acme.com header.s=s1")],
        Proof.NONE,
    ),
    "partial signature": ([DKIM_PASS, OUTSIDE, ("DKIM-Signature", "v=1; d=mail.acme.com;\r\n s=s1; l=120; b=x")], Proof.NONE),
    "dmarc by a partial signature": ([DMARC_PASS, OUTSIDE, ("DKIM-Signature", "v=1; l=0; d=acme.com; b=x")], Proof.NONE),
    "dmarc by SPF beside a partial signature": (
        [DMARC_PASS, (AR, "mx.example.com; spf=pass smtp.mailfrom=bounce@mail.acme.com"), OUTSIDE, ("DKIM-Signature", "l=0; d=acme.com")],
        Proof.DMARC_PASS,
    ),
    "a stranger's partial signature": ([DMARC_PASS, OUTSIDE, ("DKIM-Signature", "l=0; d=esp.example")], Proof.DMARC_PASS),
    "exchange header elsewhere": ([("X-MS-Exchange-Organization-AuthAs", "Internal")], Proof.NONE),
}


@pytest.mark.parametrize("name", CASES)
def test_prove(name: str) -> None:
    fields, expected = CASES[name]
    proof, reason = prove(fields, "jane@acme.com", SITE, envelope())
    assert proof is expected, reason
    assert reason


def test_the_strict_identity_comes_first() -> None:
    assert prove([DMARC_PASS], "", SITE, envelope()) == (Proof.NONE, "no single From address")


@pytest.mark.parametrize(
    ("ingress", "peer", "expected"),
    [
        ("smtp", "203.0.113.9", Proof.NONE),
        ("smtp", "", Proof.NONE),
        ("smtp", "10.2.3.4", Proof.DMARC_PASS),
        ("smtp", "::ffff:127.0.0.1", Proof.DMARC_PASS),
        ("lmtp", "", Proof.DMARC_PASS),
        ("pipe", "", Proof.DMARC_PASS),
        ("imap:gmail", "", Proof.DMARC_PASS),
    ],
)
def test_a_client_of_our_listener_must_be_trusted(ingress: str, peer: str, expected: Proof) -> None:
    assert prove([DMARC_PASS, OUTSIDE], "jane@acme.com", SITE, envelope(ingress, peer))[0] is expected


@pytest.mark.parametrize(
    ("ingress", "fields", "expected"),
    [
        ("imap:office", [("X-MS-Exchange-Organization-AuthAs", " Internal")], Proof.DMARC_PASS),
        ("imap:office", [("X-MS-Exchange-Organization-AuthAs", "Anonymous")], Proof.NONE),
        ("imap:office", [("X-MS-Exchange-Organization-AuthAs", "Internal")] * 2, Proof.NONE),
        ("imap:office", [("X-MS-Exchange-Organization-AuthAs", "Internal"), DMARC_FAIL], Proof.DMARC_FAIL),
        ("imap:other", [("X-MS-Exchange-Organization-AuthAs", "Internal")], Proof.NONE),
        ("imap:office", [(AR, "spf=pass (sender IP is 198.51.100.7) smtp.mailfrom=acme.com; dkim=pass (signature was verified)"
                          " header.d=acme.com;dmarc=pass action=none header.from=acme.com;compauth=pass reason=100"), OUTSIDE],
         Proof.DMARC_PASS),
        ("imap:office", [(AR, "mx.evil.com; none"), (AR, "dmarc=pass header.from=acme.com")], Proof.NONE),
        ("imap:office", [OUTSIDE, (AR, "dmarc=pass header.from=acme.com")], Proof.NONE),
        ("imap:other", [(AR, "dmarc=pass header.from=acme.com")], Proof.NONE),
    ],
)  # fmt: skip
def test_trusted_headers_count_on_their_mailbox_only(ingress: str, fields: list[tuple[str, str]], expected: Proof) -> None:
    assert prove(fields, "jane@acme.com", SITE, envelope(ingress))[0] is expected


WORDS = st.sampled_from(
    ["mx.example.com", ";", " ", "dmarc=pass", "dkim=pass", "header.from=acme.com", "header.d=acme.com", "(", ")", '"', "=", "\r\n ", "1",
     "none", "reason=", "policy.x=y", "\\", "é", "\0", "@", "from", "by", "[127.0.0.1]", "with LMTP"]
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([AR, "Received", "DKIM-Signature"]), st.lists(WORDS, max_size=14).map("".join)), max_size=5))
def test_what_stands_below_an_untrusted_hop_never_counts(fields: list[tuple[str, str]]) -> None:
    assert prove([OUTSIDE, *fields], "jane@acme.com", SITE, envelope())[0] is Proof.NONE
    prove(fields, "jane@acme.com", SITE, envelope())


@pytest.mark.parametrize(
    "value",
    ["(" * 3900, "mx.example.com;" * 250, "mx.example.com; " + "dkim=pass " * 350, "mx.example.com; x=" + "(a" * 1800],
)
def test_hostile_fields_end(value: str) -> None:
    assert prove([(AR, value)] * 100 + [("Received", value)] * 5, "jane@acme.com", SITE, envelope())[0] is Proof.NONE
