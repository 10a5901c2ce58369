"""Addresses: no parser may name another mailbox than we believe, and no list yields what is not an address."""

from __future__ import annotations

import email
import email.policy
import random
from email.utils import getaddresses, parseaddr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtmail.mail import address
from rtmail.mail.domains import PUBLIC_DOMAINS
from rtmail.mail.model import Address
from rtmail.mail.site import Door, OwnAddress, Site


def own(spec: str, queue: str = "support", door: Door = Door.CORRESPONDENCE) -> tuple[str, OwnAddress]:
    return spec, OwnAddress(spec, queue, door)


ADDRESSES = dict(
    [
        own("support@example.com"),
        own("support-comment@example.com", door=Door.COMMENT),
        own("postmaster@example.com", "", Door.ADMIN),
    ]
)
PLUS, MINUS, OFF = (
    Site("Example", "Example", "example.com", "ops@example.net", detail=detail, addresses=ADDRESSES, public_domains=("isp.example",))
    for detail in ("+", "-", "off")
)

SPECS = [
    ("jane@example.com", True), ("j.d+x@mail.example.co.uk", True), ("o'neil_1=2@x-y.io", True), ("root@localhost", True),
    ("a@xn--mller-kva.de", True), ("", False), ("@", False), ("a@", False), ("@b.c", False), ("a b@c.d", False), ("a@b..c", False),
    ("a..b@c.d", False), (".a@c.d", False), ("a.@c.d", False), ("a@-b.c", False), ("a@b-.c", False), ("a@b_c.d", False), ("a@b.c\n", False),
    ("a@[127.0.0.1]", False), ("a@127.0.0.1", False), ("a@1", False), ('"a b"@c.d', False), ("<a@b.c>", False), ("a@b.c,d@e.f", False),
    ("a@b@c.d", False), ("a\0@b.c", False), ("ä@b.c", False), ("a@bä.c", False), ("=?utf-8?q?a?=@b.c", False), ("a" * 64 + "@b.c", True),
    ("a" * 250 + "@b.c", True), ("a" * 251 + "@b.c", False), ("a@" + "b" * 64 + ".c", False), ("a@b.c" * 100_000, False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "valid"), SPECS)
def test_valid_spec(text: str, valid: bool) -> None:
    assert address.valid_spec(text) is valid


@pytest.mark.parametrize(
    ("spec", "normal", "key"),
    [
        ("Jane@Example.COM", "Jane@example.com", "jane@example.com"),
        (" jane@MÜLLER.de ", "jane@xn--mller-kva.de", "jane@xn--mller-kva.de"),
        ("jane@Straße.de", "jane@xn--strae-oqa.de", "jane@xn--strae-oqa.de"),
        ("Jürgen@acme.example", "Jürgen@acme.example", "jürgen@acme.example"),
        ("ju\u0308rgen@acme.example", "jürgen@acme.example", "jürgen@acme.example"),
        ("ю.я@ПОЧТА.рф", "ю.я@xn--80a1acny.xn--p1ai", "ю.я@xn--80a1acny.xn--p1ai"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v", "用户@xn--fsqu00a.xn--4rr70v"),
        ("a..B@docomo.ne.jp", '"a..B"@docomo.ne.jp', '"a..b"@docomo.ne.jp'),
        ('"a..B"@docomo.ne.jp', '"a..B"@docomo.ne.jp', '"a..b"@docomo.ne.jp'),
        ("a.@docomo.ne.jp", '"a."@docomo.ne.jp', '"a."@docomo.ne.jp'),
        ('"jane.doe"@x.com', "jane.doe@x.com", "jane.doe@x.com"),
        ("..@x.com", "", "..@x.com"),
        ('"a b"@x.com', "", '"a b"@x.com'),
        ('"a@b"@x.com', "", '"a@b"@x.com'),
        ("jü..r@x.com", "", "jü..r@x.com"),
        ("jü\u200br@x.com", "", "jü\u200br@x.com"),
        ("j\udcfcr@x.com", "", "j\udcfcr@x.com"),
        # What becomes somebody else's address by lower case or by normalising.
        ("\u212aim@staff.example", "", "\u212aim@staff.example"),
        ("ｊane@staff.example", "", "ｊane@staff.example"),
        ("jane@evil。com", "", "jane@evil。com"),
        ("ü" * 126 + "@x.com", "", "ü" * 126 + "@x.com"),
        ("jane@a\u200db.de", "", "jane@a\u200db.de"),
        ("no address", "", "no address"),
        ("x@" + "ä" * 400, "", "x@" + "ä" * 400),
    ],
)
def test_normalise_and_key(spec: str, normal: str, key: str) -> None:
    assert address.normalise(spec) == normal
    assert address.key(spec) == key


IDENTITIES = [
    (["jane@Example.com"], "jane@example.com"),
    (["Jane Doe <jane@example.com>"], "jane@example.com"),
    (["<jane@example.com>\r\n"], "jane@example.com"),
    (["Jane Q. Doe\r\n <jane@example.com>"], "jane@example.com"),
    (['"Doe, Jane (Sales)" <jane@example.com>'], "jane@example.com"),
    (['"jane@example.com" <jane@example.com>'], "jane@example.com"),
    (["=?utf-8?q?J=C3=B6rg_M=C3=BCller=2C_Sales?= <j@example.com>"], "j@example.com"),
    (["Jörg <j@example.com>"], "j@example.com"),
    (["J\udcf6rg <j@example.com>"], "j@example.com"),
    ([], ""),
    (["a@b.c", "a@b.c"], ""),
    (["a@b.c, d@e.f"], ""),
    (["boss@corp.com <evil@x.com>"], ""),
    (["boss@corp.com(<evil@x.com>"], ""),
    (["jane@x.com (Jane)"], ""),
    (["Jane (Sales) <jane@x.com>"], ""),
    (["friends: jane@x.com;"], ""),
    (["<@relay.com:jane@x.com>"], ""),
    (["<boss@corp.com> <evil@x.com>"], ""),
    (["<boss@corp.com>, <evil@x.com>"], ""),
    (["Jane <jane@x.com> extra"], ""),
    (["Jane <jane@x.com"], ""),
    (["jane@x.com>"], ""),
    (['"boss@corp.com\\" <evil@x.com>'], ""),
    (['"boss@corp.com <boss@corp.com>" <evil@x.com>'], ""),
    (["=?utf-8?q?boss=40corp.com?= <evil@x.com>"], ""),
    (["=?utf-8?q?boss=40corp=2Ecom_=3Cboss=40corp=2Ecom=3E?= <evil@x.com>"], ""),
    (['"=?utf-8?b?Ym9zc0Bjb3JwLmNvbQ==?=" <evil@x.com>'], ""),
    (["=?utf-8?q?boss=0Aevil?= <evil@x.com>"], ""),
    (["=?utf-8?q?boss=40corp.com?=@x.com"], ""),
    (["Jane\0 <jane@x.com>"], ""),
    (["Jane\r\nBcc: evil@x.com <jane@x.com>"], ""),
    (["Jane\r\n\t\r\n<jane@x.com>"], ""),
    (['"Jane\r\n Doe" <jane@x.com>'], ""),
    (["Jane\r\n Doe\n\t<jane@x.com>"], "jane@x.com"),
    (["Jane\n<jane@x.com>"], ""),
    (["Jane\x0b<jane@x.com>"], ""),
    (["Jane\u2028 <jane@x.com>"], ""),
    (["Jane\u202e <jane@x.com>"], ""),
    (["Jane <ｊane@x.com>"], ""),
    (["Jane <jane@xä.com>"], "jane@xn--x-0fa.com"),
    (["Jürgen <jürgen@xä.com>"], "jürgen@xn--x-0fa.com"),
    (["jürgen@x.com"], "jürgen@x.com"),
    (["Ann <a..b@docomo.ne.jp>"], '"a..b"@docomo.ne.jp'),
    (['"a..b"@docomo.ne.jp'], '"a..b"@docomo.ne.jp'),
    (['"Ann" <"a..b"@docomo.ne.jp>'], '"a..b"@docomo.ne.jp'),
    (['"boss@corp.com"@x.com'], ""),
    (['"boss"evil@x.com'], ""),
    (["<a..b@docomo.ne.jp> jürgen@x.com"], ""),
    (["Jane <jane@straße.de>"], ""),
    (["Kim <\u212aim@x.com>"], ""),
    (["Jane <jane@ｘ.com>"], ""),
    (["Jane <j\udcfcrgen@x.com>"], ""),
    (["jane@corp.com@x.com"], ""),
    (["jane@x.com\u3000"], ""),
    ([""], ""),
    (["x" * 3000 + " <jane@x.com>"], ""),
]


@pytest.mark.parametrize(("values", "identity"), IDENTITIES)
def test_strict_identity(values: list[str], identity: str) -> None:
    assert address.strict_identity(values) == identity


FRAGMENTS = [
    "boss@corp.com", "evil@x.com", "jane", "Jane Doe", "<", ">", "<boss@corp.com>", "<evil@x.com>", '"', "'", "(", ")", ",", ";", ":",
    "\\",
    "@", ".", " ", "\t", "\r\n ", "\n", "\r", "\0", "\x0b", "\x0c", "\x85", "\u2028", "=?utf-8?q?boss=40corp.com?=", "=?utf-8?q?=3C?=",
    "=?utf-8?b?PGJvc3NAY29ycC5jb20+?=", "=?utf-8?q?J=C3=B6rg?=", "?=", "=?", "group:", "[", "]", "é", "\udcff", "\u202e", "\u3000",
    "*", "/",
    "%", "!", "via", "xn--", "..", "-", "@relay.com:", "mailto:", "&lt;", "+x",
    "jürgen@evil.com", "<a..b@corp.com>", '"a..b"', "@bücher.com", "\u212aim", '"boss@corp.com"', "(boss@corp.com)", "=",
]  # fmt: skip
PIECES = st.sampled_from(FRAGMENTS)
LINES = st.lists(PIECES, min_size=1, max_size=9).map("".join) | st.tuples(
    st.lists(PIECES, max_size=4).map("".join), st.sampled_from(["<evil@x.com>", " <boss@corp.com>"])
).map("".join)


def named_by_the_library(line: str) -> set[str]:
    """Whom the standard library's three parsers name: every address that any of them sees."""
    seen = {parseaddr(line)[1]} | {spec for _, spec in getaddresses([line])}
    raw = b"From: " + line.encode("utf-8", "surrogateescape") + b"\r\n\r\n"
    try:
        header = email.message_from_bytes(raw, policy=email.policy.default)["From"]
        seen |= {mailbox.addr_spec for mailbox in header.addresses}
    except (AttributeError, IndexError, ValueError):
        seen.add("no word from this parser")
    # Of bytes it makes lone surrogates, which are the letters all the same.
    return {address.key(spec.encode("utf-8", "surrogateescape").decode("utf-8", "replace")) for spec in seen}


def agreed(line: str) -> str:
    """The identity of a line, after every parser was heard about it."""
    identity = address.strict_identity([line])
    if identity:
        assert named_by_the_library(line) == {address.key(identity)}, repr(line)
    return identity


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES)
def test_an_identity_is_what_every_parser_names(line: str) -> None:
    agreed(line)


def test_20_000_lines_and_no_parser_is_fooled() -> None:
    """Short lines out of the same pieces, so that many of them do hold an identity."""
    luck = random.Random(2026)
    believed = [agreed("".join(luck.choices(FRAGMENTS, k=luck.randint(1, 5)))) for _ in range(20_000)]
    assert sum(map(bool, believed)) > 200
    assert {"evil@x.com", "boss@corp.com"} <= set(believed)


LISTS = [
    (["jane@x.com, Bob Roe <Bob@Y.com>"], [Address("jane@x.com"), Address("Bob@y.com", "Bob Roe")]),
    (["a@b.c; d@e.f"], [Address("a@b.c"), Address("d@e.f")]),
    (['"x, <evil@x.com>, yyy" <d@e.f>'], [Address("d@e.f", "x, <evil@x.com>, yyy")]),
    (["undisclosed-recipients:;"], []),
    (["friends: a@b.c, D <d@e.f>;, g@h.i"], [Address("a@b.c"), Address("d@e.f", "D"), Address("g@h.i")]),
    (["root@host (Cron Daemon)"], [Address("root@host", "Cron Daemon")]),
    (["a@b.c (x (y) z, d@e.f)"], [Address("a@b.c", "x (y) z, d@e.f")]),
    (["<@r.com,@s.com:a@b.c>"], [Address("a@b.c")]),
    (["<mailto:a@b.c>", "<<d@e.f>>"], [Address("a@b.c"), Address("d@e.f")]),
    (["A <a@b.c> <d@e.f>, g@h.i"], [Address("g@h.i")]),
    (["\"Jane <jane@x.com>, bob@y.com"], [Address("jane@x.com", '"Jane'), Address("bob@y.com")]),
    (["(((( a@b.c"], []),
    (["Jane <jane@x.com, bob@y.com"], [Address("jane@x.com", "Jane"), Address("bob@y.com")]),
    (["=?utf-8?q?a=40b.c?="], []),
    (['"evil@x.com"'], []),
    (["=?iso-8859-1?q?J=F6rg?= <j@x.com>"], [Address("j@x.com", "Jörg")]),
    (["A@x.com, a@X.com"], [Address("A@x.com")]),
    (["a@b.c\r\nBcc: evil@x.com"], [Address("a@b.c")]),
    (["J\u202eane\x00\n Doe <j@x.com>"], [Address("j@x.com", "Jane Doe")]),
    (["j@müller.de"], [Address("j@xn--mller-kva.de")]),
    (["a@b.c., D <d@e.f.>, g@h..i., ."], [Address("a@b.c"), Address("d@e.f", "D")]),
    (["a..b@docomo.ne.jp, Ann <.c@docomo.ne.jp>"], [Address('"a..b"@docomo.ne.jp'), Address('".c"@docomo.ne.jp', "Ann")]),
    (['"a..b"@docomo.ne.jp, "D" <"e."@x.com>'], [Address('"a..b"@docomo.ne.jp'), Address('"e."@x.com', "D")]),
    (['"Roe, Bob" <"a..b"@x.com>, "a..b"@x.com (again)'], [Address('"a..b"@x.com', "Roe, Bob")]),
    (["Jürgen <jürgen@acme.example>; ю@почта.рф"], [Address("jürgen@acme.example", "Jürgen"), Address("ю@xn--80a1acny.xn--p1ai")]),
    ([""], []),
]


@pytest.mark.parametrize(("values", "found"), LISTS)
def test_parse_list(values: list[str], found: list[Address]) -> None:
    assert list(address.parse_list(values)) == found


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES | st.text(max_size=80), max_size=4))
def test_a_list_yields_valid_addresses_with_clean_names(values: list[str]) -> None:
    for found in address.parse_list(values):
        assert address.normalise(found.spec) == found.spec
        assert found.domain == found.domain.lower()
        assert found.name == address.clean_name(found.name) or "=?" in found.name
        assert not set(found.name) & set("\r\n\0\x85\u2028\u202e")


@pytest.mark.parametrize(
    "hostile",
    [
        "(" * 100_000, '"' * 100_001, "<" * 100_000, "a@b.c," * 40_000, '"\\' * 100_000, "(a" * 100_000 + ")",
        "=?utf-8?q?a?= " * 20_000 + "<a@b.c>",
        ":" * 200_000, "=?" * 100_000, ",".join(f"u{n}@x.com" for n in range(20_000)),
    ],
    ids=range(10),
)  # fmt: skip
def test_hostile_lists_are_read_to_a_limit(hostile: str) -> None:
    assert len(address.parse_list([hostile, hostile])) <= address.MAX_ADDRESSES
    assert address.strict_identity([hostile]) == ""


@pytest.mark.parametrize(
    ("spec", "site", "door", "detail"),
    [
        ("support@example.com", PLUS, Door.CORRESPONDENCE, ""),
        ("SUPPORT@Example.com", OFF, Door.CORRESPONDENCE, ""),
        ("support+ABC@example.com", PLUS, Door.CORRESPONDENCE, "ABC"),
        ("support+a+b@example.com", PLUS, Door.CORRESPONDENCE, "a+b"),
        ("support+@example.com", PLUS, Door.CORRESPONDENCE, ""),
        ("support-comment+abc@example.com", PLUS, Door.COMMENT, "abc"),
        ("support-comment-abc@example.com", MINUS, Door.COMMENT, "abc"),
        ("support-abc@example.com", MINUS, Door.CORRESPONDENCE, "abc"),
        ("support-comment@example.com", MINUS, Door.COMMENT, ""),
        ("postmaster", PLUS, Door.ADMIN, ""),
        ("Postmaster+x@example.com", PLUS, Door.ADMIN, "x"),
        ("support+abc@example.com", OFF, None, ""),
        ("support-abc@example.com", PLUS, None, ""),
        ("+support@example.com", PLUS, None, ""),
        ("support+abc@evil.com", PLUS, None, ""),
        ("support@example.com.evil.com", PLUS, None, ""),
        ("", PLUS, None, ""),
    ],
)
def test_split_detail(spec: str, site: Site, door: Door | None, detail: str) -> None:
    found, tail = address.split_detail(spec, site)
    assert (found.door if found else None, tail) == (door, detail)


@pytest.mark.parametrize("site", [PLUS, MINUS])
def test_a_detail_comes_back(site: Site) -> None:
    for spec in ("support@example.com", "support-comment@example.com"):
        found, detail = address.split_detail(address.with_detail(spec, "a" * 36, site), site)
        assert (found, detail) == (ADDRESSES[spec], "a" * 36)


def test_with_detail_off_and_too_long() -> None:
    assert address.with_detail("support@example.com", "abc", OFF) == "support@example.com"
    assert address.with_detail("q" * 27 + "@x.com", "a" * 36, PLUS) == "q" * 27 + "+" + "a" * 36 + "@x.com"
    with pytest.raises(ValueError, match="too long"):
        address.with_detail("q" * 28 + "@x.com", "a" * 36, PLUS)


@pytest.mark.parametrize(
    ("domain", "organisational"),
    [
        ("mail.Acme.co.uk", "acme.co.uk"), ("acme.com", "acme.com"), ("a.b.c.acme.com.", "acme.com"), ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("host.internal.lan", "internal.lan"), ("evil-acme.com", "evil-acme.com"), ("acme.com.evil.org", "evil.org"), ("", ""),
    ],
)  # fmt: skip
def test_organisational_domain(domain: str, organisational: str) -> None:
    assert address.organisational_domain(domain) == organisational


@pytest.mark.parametrize(
    ("domain", "public"),
    [
        ("gmail.com", True), ("GMX.de", True), ("outlook.co.id", True), ("sub.yahoo.co.jp", True), ("isp.example", True),
        ("mx.isp.example", True),
        ("co.uk", True), ("com", True), ("acme.com", False), ("notgmail.com", False), ("gmail.com.acme.com", False),
        ("mail.acme.com", False),
    ],
)  # fmt: skip
def test_public_domains(domain: str, public: bool) -> None:
    assert address.is_public_domain(domain, PLUS) is public


def test_the_list_of_providers_is_long_and_well_formed() -> None:
    assert len(PUBLIC_DOMAINS) >= 500
    assert all(address.valid_spec(f"a@{domain}") and domain == domain.lower() for domain in PUBLIC_DOMAINS)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("acme.com", "mail.acme.com", True), ("jane@acme.com", "bob@ACME.com", True), ("gmail.com", "gmail.com", False),
        ("acme.com", "evil-acme.com", False),
        ("acme.com", "acme.com.evil.com", False), ("a.co.uk", "b.co.uk", False), ("isp.example", "isp.example", False),
    ],
)  # fmt: skip
def test_colleagues_share_a_domain_of_their_own(a: str, b: str, same: bool) -> None:
    assert address.same_organisation_domain(a, b, PLUS) is same
