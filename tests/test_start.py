"""What a command loads before it begins: a person waits for it at each call, and an MTA's pipe for each mail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtmail.cli import COMMANDS
from tests.fakes.daemon import Running

SENDING = {"aiosmtplib", "aiosmtpd", "imapclient", "msal", "dns"}
ENGINE = {"rtmail.engine.engine", "rtmail.mail.reading.message", "mailparser", "lxml"}
HOUSE = {"pydantic", "peewee", "asyncio", "rtmail.config", "rtmail.store"}
SAYS_WHAT = """
import sys
from rtmail.__main__ import main
sys.argv[0] = "rtmail"
try:
    main()
finally:
    print("\\nloaded", *sys.modules)
"""


def loaded(*words: object, stdin: bytes = b"", **environ: str) -> set[str]:
    """Return the modules that a command has loaded when it ends."""
    ran = subprocess.run([sys.executable, "-c", SAYS_WHAT, *map(str, words)], input=stdin, capture_output=True, timeout=60, check=False,
                         env={**os.environ, **environ})  # fmt: skip
    assert not ran.returncode, ran.stderr.decode()
    return set(ran.stdout.decode().rpartition("\nloaded ")[2].split())


def test_help_and_completion_load_nothing_of_the_house() -> None:
    assert not loaded("--help") & (HOUSE | SENDING | ENGINE)
    assert not loaded(_RTMAIL_COMPLETE="bash_complete", COMP_WORDS="rtmail re", COMP_CWORD="1") & (HOUSE | SENDING | ENGINE)


@pytest.mark.parametrize("words", [("ticket", "list"), ("check",), ("audit",), ("outbox", "list")], ids=" ".join)
def test_a_command_that_only_looks_loads_no_engine_and_nothing_that_sends(words: tuple[str, ...], tmp_path: Path) -> None:
    assert not loaded(*words, "-c", Running(tmp_path).config) & (SENDING | ENGINE)


def test_a_pipe_loads_no_engine_and_nothing_that_sends(tmp_path: Path) -> None:
    words = ("receive", "-c", Running(tmp_path).config, "--to", "support@example.com")
    assert not loaded(*words, stdin=b"From: bob@acme.example\r\nMessage-ID: <1@x>\r\n\r\nIt burns.\r\n") & (SENDING | ENGINE | {"jinja2"})


def test_help_says_of_each_command_what_it_does_in_one_whole_line() -> None:
    ran = subprocess.run([sys.executable, "-m", "rtmail", "--help"], capture_output=True, text=True, timeout=60, check=True,
                         env={**os.environ, "COLUMNS": "80"})  # fmt: skip
    said = {line.split()[0]: line.split(maxsplit=1)[1] for line in ran.stdout.partition("Commands:\n")[2].splitlines()}
    assert said == {name: line for name, (_, line) in COMMANDS.items()}
    assert max(map(len, ran.stdout.splitlines())) <= 80
