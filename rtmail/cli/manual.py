"""The manual pages rtmail(1) and rtmail.toml(5), made from the commands and from the commented config themselves.

`python -m rtmail.cli.manual DIR` writes them, as whoever makes a package does; `make man` writes them into build/man.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from rtmail import __version__
from rtmail import cli as commands
from rtmail.config import find_shipped
from rtmail.errors import EX_CONFIG, EX_TEMPFAIL

FILES = (
    ("config/rtmail.toml, /etc/rtmail/rtmail.toml", "the config: the first of them, unless -c or $RTMAIL_CONFIG names one; rtmail.toml(5)"),
    (".env", "passwords and other secrets, beside the config; mode 0600"),
    ("policies/NAME.toml, templates/NAME.txt.j2", "own promises and own words, beside the config"),
    ("/var/lib/rtmail", "the data, where the unit runs the daemon; var/ beside config/ otherwise"),
)
ENVIRONMENT = (
    ("RTMAIL_CONFIG", "the config to use"),
    ("RTMAIL_…", "secrets, by the names that rtmail.toml(5) lists; they win over .env"),
    ("NO_COLOR", "no colours, whatever the terminal can"),
    ("STATE_DIRECTORY, CREDENTIALS_DIRECTORY", "as systemd sets them: where the data lies, and where secrets are files"),
)
CODES = (
    ("0", "done"),
    ("1", "not done, or something to look at (doctor: this week, audit: the sum does not close)"),
    ("2", "wrong words on the command line (doctor: look now)"),
    (str(EX_TEMPFAIL), "not now; whatever goes wrong in receive"),
    (str(EX_CONFIG), "the config has mistakes: rtmail check"),
)
ABOUT = (
    "Mail to an address becomes a request with a number; everybody works from the mail client that he has, and what was promised "
    "about time is kept, or managers hear of it. One daemon, rtmail serve, takes mail in and sends mail out; the other commands "
    "look at its store and act on it, whether it runs or not."
)
_KEY = re.compile(r"(?:# )?([a-z_]+|\"[^\"]+\") = (.+?)(?:\s+#\s*(.*))?$")
_TABLE = re.compile(r"(?:# )?\[([a-z0-9_.-]+)\]\s*(?:#\s*(.*))?$")


def pages() -> dict[str, str]:
    """Return file name -> the page in man(7)."""
    return {"rtmail.1": "\n".join(_commands()) + "\n", "rtmail.toml.5": "\n".join(_config()) + "\n"}


def _commands() -> Iterator[str]:
    yield from _head("RTMAIL", 1, "rtmail", "a request tracker that lives in e-mail")
    yield from (".SH SYNOPSIS", ".B rtmail", ".I COMMAND", "[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]")
    yield from (".SH DESCRIPTION", _text(ABOUT))
    yield ".SH COMMANDS"
    group = commands.rtmail
    context = click.Context(group, info_name="rtmail")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield from _command(command, f"rtmail {name}", context)
    yield from (
        ".SH COMPLETION",
        _text("bash, zsh and fish complete commands and options. In ~/.bashrc:"),
        ".PP",
        ".nf",
        'eval "$(_RTMAIL_COMPLETE=bash_source rtmail)"',
        ".fi",
        ".PP",
        _text("zsh_source in ~/.zshrc, and for fish in ~/.config/fish/completions/rtmail.fish:"),
        ".PP",
        ".nf",
        "_RTMAIL_COMPLETE=fish_source rtmail | source",
        ".fi",
    )
    for title, rows in (("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", CODES)):
        yield f".SH {title}"
        for what, says in rows:
            yield from (".TP", f".B {_text(what)}", _text(says))
    yield from (".SH SEE ALSO", ".BR rtmail.toml (5)")


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from _command(found, f"{name} {inner}", context)
        return
    words = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield from (".SS " + _text(" ".join([name, *words])), _text(" ".join((command.help or "").split())))
    for option in command.params:
        record = option.get_help_record(context)
        if record is not None and record[1] and "-h, --help" not in record[0]:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))


def _config() -> Iterator[str]:
    file = find_shipped("config", "rtmail.toml")
    if file is None:
        raise FileNotFoundError("config/rtmail.toml")
    lines = file.read_text("utf-8").splitlines()
    start = lines.index("")
    yield from _head("RTMAIL.TOML", 5, "rtmail.toml", "the config of rtmail")
    yield ".SH DESCRIPTION"
    for line in lines[:start]:
        said = line.lstrip("#")
        if not said.strip():
            yield ".PP"
        elif said.startswith("   "):
            variable, _, says = said.strip().partition("  ")
            yield from (".TP", f".B {_text(variable)}", _text(says.strip()))
        else:
            yield _text(said.strip())
    for line in lines[start:]:
        if table := _TABLE.match(line):
            yield f".SH [{_text(table[1])}]"
            if table[2]:
                yield _text(table[2].strip())
        elif key := _KEY.match(line):
            shown = "default, or an example" if line.startswith("#") else "example"
            yield from (".TP", f".B {_text(key[1])}")
            if key[3]:
                yield from (_text(key[3]), ".br")
            yield _text(f"{shown}: {key[2]}")
    yield from (".SH SEE ALSO", ".BR rtmail (1)", ", rtmail check")


def _head(title: str, section: int, name: str, says: str) -> Iterator[str]:
    yield '.\\" Made by rtmail.cli.manual.'
    yield f'.TH {title} {section} "" "rtmail {__version__}" "rtmail"'
    yield from (".SH NAME", f"{name} \\- {says}")


def _text(text: str) -> str:
    """Return text as it stands, whatever it holds: no line of it is a request of troff's."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("…", "...").replace("→", "->")
    return f"\\&{safe}" if safe.startswith((".", "'", "\\(aq")) else safe


def main(folder: Path) -> None:
    """Write the pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
