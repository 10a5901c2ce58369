"""The SMTP and LMTP dialogues with swaks, a client that is not ours: each corner with what it is told and how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trustme

from rtmail.errors import Deferred
from rtmail.ingress.smtp import Limits
from tests.fakes.listening import House
from tests.fakes.needed import program

pytestmark = pytest.mark.servers

SENT, NO_MAIL, NO_RECIPIENT, NO_DATA, NO_AUTH = 0, 23, 24, 26, 28
"""Exit codes of swaks: what the dialogue came to."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "chain.pem"
    trustme.CA().issue_cert("mx.example.com", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


def swaks(house: House, *words: str) -> tuple[int, str]:
    """Return how swaks ended and the dialogue."""
    command = [program("swaks", "swaks"), "--server", f"127.0.0.1:{house.port}", "--helo", "client.test", "--from", "ann@customer.test",
               "--to", "support@example.com", *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(("words", "code", "said", "kept"), [
    ((), SENT, "250 2.0.0 kept as 1", 1),
    (("--pipeline",), SENT, "250 2.0.0 kept as 1", 1),
    (("--from", "<>"), SENT, "250 2.0.0 kept as 1", 1),
    (("--to", "support@example.com,nobody@example.com"), SENT, "550 5.1.1 <nobody@example.com>: no such mailbox here", 1),
    (("--to", "nobody@example.com"), NO_RECIPIENT, "550 5.1.1", 0),
    (("--to", "nobody@example.com", "--pipeline"), NO_RECIPIENT, "550 5.1.1", 0),
    (("--to", "postmaster"), SENT, "250 2.0.0 kept as 1", 1),
    (("--tls",), SENT, "250 2.0.0 kept as 1", 1),
    (("--tls", "--auth", "PLAIN", "--auth-user", "jane@example.com", "--auth-password", "sécret"), SENT, "235 2.7.0", 1),
    (("--tls", "--auth", "LOGIN", "--auth-user", "jane@example.com", "--auth-password", "wrong"), NO_AUTH, "535 5.7.8", 0),
    (("--auth", "CRAM-MD5", "--auth-user", "jane@example.com", "--auth-password", "sécret"), NO_AUTH, "AUTH PLAIN LOGIN", 0),
    (("--body", "x" * 60_000), NO_DATA, "552 5.3.4", 0),
    (("--body", "words\n.\n..\nmore"), SENT, "250 2.0.0 kept as 1", 1),
    (("--protocol", "SMTP"), SENT, "250 2.0.0 kept as 1", 1),
    (("--quit-after", "RCPT"), SENT, "221 2.0.0", 0),
    (("--drop-after", "DATA"), SENT, "354", 0),
    (("--xclient-addr", "192.0.2.1"), 33, "XCLIENT", 0),
])
def test_smtp(tmp_path: Path, certificate: str, words: tuple[str, ...], code: int, said: str, kept: int) -> None:
    with House(tmp_path, certificate=certificate, auth=True, limits=Limits(message_bytes=50_000)) as house:
        ended, dialogue = swaks(house, *words)
        assert said in dialogue, dialogue
        assert (ended, len(house.acceptor.kept)) == (code, kept), dialogue
        # Whatever became of this one: the next is served.
        assert swaks(house, "--body", "next")[0] == SENT
        assert house.acceptor.kept[-1][0].rstrip().endswith(b"next")


def test_what_was_between_the_dots_is_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert swaks(house, "--body", ".\n..\n...end")[0] == SENT
        (raw, envelope), = house.acceptor.kept
        assert raw.rstrip().endswith(b"\r\n\r\n.\r\n..\r\n...end")
        assert (envelope.sender, envelope.helo, envelope.peer) == ("ann@customer.test", "client.test", "127.0.0.1")


def test_trouble_of_ours_is_not_now(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.acceptor.ill = "the config is broken"
        ended, dialogue = swaks(house)
        assert (ended, "broken" in dialogue) == (NO_MAIL, False)
        assert "451 4.3.0" in dialogue
        house.acceptor.ill, house.acceptor.keeping = "", Deferred()
        ended, dialogue = swaks(house)
        assert ended == NO_DATA
        assert "451 4.3.0" in dialogue


def test_lmtp(tmp_path: Path) -> None:
    with House(tmp_path, kind="lmtp") as house:
        ended, dialogue = swaks(house, "--protocol", "LMTP", "--to", "support@example.com,nobody@example.com")
        assert ended == SENT
        assert "550 5.1.1 <nobody@example.com>" in dialogue
        assert "250 2.1.5 <support@example.com> kept as 1" in dialogue
        ended, dialogue = swaks(house, "--protocol", "SMTP")
        assert ended != SENT
        assert "500 5.5.1 this is LMTP: LHLO" in dialogue
        assert len(house.acceptor.kept) == 1
