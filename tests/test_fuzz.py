# ruff: noqa: E501  (what is said stands on one line)
"""The fuzz targets over their seeds, and over everything that `make fuzz` ever found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

HERE = Path(__file__).resolve().parent
FOUND = [(path.parent.name, path) for path in sorted((HERE / "fuzz").glob("*/*"))]
SEEDS = {
    "smtp": [b"EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n"
             b"QUIT\r\n",
             b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.com>\r\nRSET\r\nNOOP\r\nVRFY a\r\n"
             b"AUTH PLAIN\r\n*\r\nSTARTTLS\r\nQUIT\r\n"],
    "lmtp": [b"LHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<support@example.com>\r\nRCPT TO:<sales@example.com>\r\nDATA\r\nx\r\n.\r\n"
             b"QUIT\r\n"],
    "sender": [b"Bob Roe <bob@acme.example>", b'"a, b" <c@d.example>', b"boss@corp.com <evil@x.com>", b"=?utf-8?q?b?= <a@b.example>"],
    "results": [b"mx.example.com; dmarc=pass header.from=acme.example", b"mx.example.com; dkim=pass header.d=acme.example header.s=a"],
    "signature": [b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=acme.example; s=s1; h=from:subject; bh=AAAA; b=AAAA",
                  b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=group.example; s=arc; b=AAAA\r\nARC-Message-Signature: i=1; a=rsa-sha256; "
                  b"d=group.example; s=arc; h=from; bh=AAAA; b=AAAA\r\nARC-Authentication-Results: i=1; mx; dmarc=pass header.from=acme.example"],
    "detail": [b"", b"aa", b"a" * 36],
    "command": [b"take\npriority: P2\n\nHello Bob,\nit works.\n", b"resolved", b"merge 12\nnext: Fri 15:00\n"],
    "policy": [(HERE.parent / "config" / "policies" / "portacare.toml").read_bytes(), b"[priorities.P1]\ncode = 80\n"],
    "headers": ["Grüße \r\n Bcc: evil@x.example".encode(), b"=?utf-8?q?=0ABcc:_x=40y?=",
                "A 💩 subject=?UTF-8?Q?=0A?=Bcc: x@y".encode(), b"\xff\xfe\x00"],
    "mail": [path.read_bytes() for path in sorted((HERE / "mails").glob("*.eml"))],
    "report": [path.read_bytes() for path in sorted((HERE / "mails" / "bounces").rglob("*.txt"))],
}
assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.name}" for name, path in FOUND])
def test_what_was_found_is_mended(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_mutations(name: str) -> None:
    luck = random.Random(2026)
    for seed in SEEDS[name][:60]:
        TARGETS[name](seed)
        for _ in range(3):
            mutated = bytearray(seed)
            for _ in range(luck.randint(1, 4)):
                at = luck.randrange(len(mutated) + 1)
                mutated[at : at + luck.randint(0, 3)] = bytes(luck.choices(b"\0\r\n\t <>@;:=\"(),.%\xff\x80aA1", k=luck.randint(0, 3)))
            TARGETS[name](bytes(mutated))
