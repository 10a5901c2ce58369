"""The mails of the benchmark: 70 % plain of 2 KB, 25 % alternatives of 10 KB, 5 % with an attachment of 200 KB."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

TEXT = """
the printer on second floor answers nothing since this morning and display says offline we tried to restart it twice but
order number cannot be read any more please tell us when someone can look at it because customers are waiting thank you
"""
WORDS = TEXT.split()
PLAIN_BYTES, ALTERNATIVE_BYTES, ATTACHMENT_BYTES = 2_000, 10_000, 200_000


def mails(seed: int, domain: str = "example.com") -> Iterator[tuple[str, str, bytes]]:
    """Yield (Message-ID, sender, bytes) without end. No sender writes twice: each mail opens a request and is acknowledged."""
    chance = random.Random(seed)
    text = _prose(chance, PLAIN_BYTES)
    halves = _prose(chance, ALTERNATIVE_BYTES // 2)
    page = "<html><body>" + "".join(f"<p>{line}</p>\r\n" for line in halves.split("\r\n")) + "</body></html>"
    blob = base64.encodebytes(chance.randbytes(ATTACHMENT_BYTES * 3 // 4)).replace(b"\n", b"\r\n").decode()
    number = 0
    while True:
        number += 1
        message_id, sender = f"<{seed}.{number}@bench.example>", f"someone.{seed}.{number}@customer{number % 997}.example"
        subject = " ".join(chance.choices(WORDS, k=5))
        head = (
            f"From: Some One <{sender}>\r\nTo: support@{domain}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n"
            f"Date: Mon, 23 Nov 2026 09:12:{number % 60:02} +0100\r\nMIME-Version: 1.0\r\n"
        )
        opening = f"Hello,\r\n\r\nthis is mail {number} about {subject}.\r\n\r\n"
        kind = chance.random()
        if kind < 0.70:
            body = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{opening}{text}"
        elif kind < 0.95:
            body = (
                'Content-Type: multipart/alternative; boundary="b1"\r\n\r\n'
                f"--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{opening}{halves}\r\n"
                f"--b1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}\r\n--b1--\r\n"
            )
        else:
            body = (
                'Content-Type: multipart/mixed; boundary="b1"\r\n\r\n'
                f"--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{opening}{text}\r\n"
                '--b1\r\nContent-Type: application/pdf; name="report.pdf"\r\nContent-Disposition: attachment; filename="report.pdf"\r\n'
                f"Content-Transfer-Encoding: base64\r\n\r\n{blob}--b1--\r\n"
            )
        yield message_id, sender, (head + body).encode()


def _prose(chance: random.Random, size: int) -> str:
    lines: list[str] = []
    while sum(map(len, lines)) + 2 * len(lines) < size:
        lines.append(" ".join(chance.choices(WORDS, k=12)))
    return "\r\n".join(lines)
