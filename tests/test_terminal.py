"""What strangers wrote moves no cursor, sets no title and writes to no clipboard of the admin who looks at it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rtmail.cli.terminal import harmless
from rtmail.engine.intake import Intake
from tests.fakes.house import House, mail
from tests.test_simulate import toml

EVIL = "\x1b]52;c;cm0gLXJmIC8K\x07\x1b[2J\x9b31mgone\x1b[8m\x08\x08 \u202etxt.exe"
OURS = re.compile(rb"\x1b\[[0-9;]*m")


def on_a_terminal(config: Path, *words: str) -> bytes:
    """Run a command with a terminal for its output, and return what that was sent."""
    ours, its = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "rtmail", *words, "-c", str(config)], stdout=its, stderr=its, stdin=subprocess.DEVNULL,
                          env={**os.environ, "TERM": "xterm", "COLUMNS": "200"}) as process:
        os.close(its)
        said = b""
        # A terminal whose other side is closed ends with an error, not with an end of file.
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:
            pass
        process.wait(60)
    os.close(ours)
    return said


def test_a_hostile_mail_is_only_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*words: object) -> None:
        raise ValueError(f"no idea of {EVIL}")

    (tmp_path / "var").mkdir()
    config = tmp_path / "config" / "rtmail.toml"
    config.parent.mkdir()
    config.write_text(toml("default"))
    house = House(tmp_path / "var", url="sqlite:///rtmail.db")
    raw = mail(subject=f"Help {EVIL}", text=f"Look {EVIL}", sender=f"{EVIL} <bob@acme.example>", message_id="<a\x1b[2Jb@acme.example>")
    house.receive(raw)
    with monkeypatch.context() as patched:
        patched.setattr(Intake, "take", fails)
        house.receive(raw.replace(b"<a\x1b", b"<c\x1b").replace(b"Look", b"See"))
        for _ in range(3):
            house.forward(hours=1)
            house.settle()
    house.close()
    for words in (["quarantine", "list"], ["quarantine", "show", "2"], ["ticket", "show", "1"], ["why", "1"], ["outbox", "show", "1"]):
        said = on_a_terminal(config, *words)
        left = OURS.sub(b"", said)
        assert len(left) > 10, words
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae", left), (words, left)
        assert b"\x1b[8m" not in said
    assert b"\\x1b]52;c;" in on_a_terminal(config, "quarantine", "show", "2")


@pytest.mark.parametrize(("text", "shown"), [
    ("plain\ttext\r\nnext\n", "plain\ttext\nnext\n"), ("\x1b[32mok\x1b[0m", "\x1b[32mok\x1b[0m"), ("\x1b[8mhid", "\\x1b[8mhid"),
    ("a\rb", "a"), ("\x9b2J", "\\x9b2J"), ("\u202ea", "\\u202ea"),
])  # fmt: skip
def test_text_stays_and_orders_are_shown(text: str, shown: str) -> None:
    assert harmless(text).startswith(shown)
    assert "\r" not in harmless(text)
