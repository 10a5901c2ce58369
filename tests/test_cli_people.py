"""The command line as a person meets it: tables on a terminal, colours or none, one line for what goes wrong, manual pages, completion."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rtmail.cli import COMMANDS, rtmail
from rtmail.cli.manual import pages
from rtmail.cli.tables import LEAST, WHOLE, widths
from rtmail.config.sections import Tables
from tests.fakes.daemon import ROOT, Running
from tests.fakes.house import mail
from tests.test_config import every_key

PAGES = pages()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A house with a request whose subject is long, looks like markup and is not in ASCII; the daemon is gone again."""
    running = Running(tmp_path_factory.mktemp("people"))
    with running:
        running.send(mail(subject="[bold red]Drücker[/bold red] 打印机 " + "x" * 90))
        running.send(mail(sender="Jane Doe <jane@staff.example>", message_id="<2@staff.example>"))
        while running.cli("audit").splitlines()[1].split() != ["waiting", "0"]:
            pass
    return running


def on_terminal(running: Running, *words: str, columns: int = 100, **environ: str) -> str:
    """What a command prints on a terminal so wide."""
    pid, terminal = pty.fork()
    if pid == 0:
        env = {**running.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), **environ}
        os.chdir(running.folder)
        os.execve(sys.executable, [sys.executable, "-m", "rtmail", *words, "-c", str(running.config)], env)
    said = b""
    try:
        while chunk := os.read(terminal, 4096):
            said += chunk
    except OSError:
        pass  # the end of a terminal
    os.waitpid(pid, 0)
    os.close(terminal)
    return said.decode().replace("\r\n", "\n")


LISTS = [("held", "list"), ("outbox", "list", "--fate", "sent"), ("outbox", "list", "--fate", "waiting"), ("junk", "list")]


def test_tables_are_drawn_on_a_terminal_and_plain_in_a_pipe(asked: Running) -> None:
    drawn = on_terminal(asked, "ticket", "list")
    assert "\x1b[1m" in drawn
    assert "[bold red]Drücker[/bold red]" in drawn, "a subject is no markup"
    plain = asked.cli("ticket", "list")
    assert plain.isprintable() or "\x1b" not in plain
    assert [line.split()[0] for line in plain.splitlines()] == ["request", "#1"]
    assert plain.splitlines()[1].endswith("[bold red]Drücker[/bold red] 打印机 " + "x" * 90), "what is searched for in a pipe is whole"
    for columns in (60, 80, 140):
        lines = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(asked, "ticket", "list", columns=columns)).splitlines()
        assert all(cell_len(line) <= columns for line in lines)
        assert [line.split()[0] for line in (lines[0], lines[2])] == ["request", "#1"], "its number is what the next command needs"
        assert "26 Nov" in lines[2] or "…" in lines[2]


@given(st.lists(st.integers(1, 200), min_size=2, max_size=7), st.integers(20, 250))
def test_columns_share_a_line(natural: list[int], room: int) -> None:
    given_ = widths(natural, room)
    assert given_[0] == natural[0]
    assert all(min(LEAST, wanted) <= got <= wanted for got, wanted in zip(given_, natural, strict=True))
    if sum(natural) <= room:
        assert given_ == natural
    elif sum(given_) > room:
        assert all(got <= LEAST for got in given_[1:]), "only a line that is too narrow for any table is exceeded"
    else:
        assert sum(given_) == room, "nothing of the line is wasted"
    if any(got < min(wanted, WHOLE) for got, wanted in zip(given_[:-1], natural, strict=False)):
        assert given_[-1] <= LEAST, "an instant is cut only when there is no text left to cut"


def test_no_color_is_respected(asked: Running) -> None:
    colour = re.compile(r"\x1b\[(3\d|9\d|38)")
    assert colour.search(on_terminal(asked, "doctor"))
    for words in (("doctor",), ("ticket", "list")):
        assert not colour.search(on_terminal(asked, *words, NO_COLOR="1")), words


@pytest.mark.parametrize(
    "words", LISTS
)
def test_lists_have_columns_and_json(asked: Running, words: tuple[str, ...]) -> None:
    plain, lines = asked.cli(*words), [json.loads(line) for line in asked.cli(*words, "--json").splitlines()]
    assert len(plain.splitlines()) == (len(lines) + 1 if lines else 1)
    if lines:
        assert plain.startswith("mail ")
        assert all(str(line["id"]) == shown.split()[0] for line, shown in zip(lines, plain.splitlines()[1:], strict=True))


def leaves(command: click.Command, name: str, parent: click.Context) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(command, info_name=name, parent=parent)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from leaves(found, f"{name} {inner}", context)
    else:
        yield name, command


LEAVES = dict(leaves(rtmail, "rtmail", click.Context(rtmail)))


def test_what_shows_something_has_json() -> None:
    shows = {"ticket list", "ticket show", "ticket do", "why", "read", "simulate", "audit", "doctor", "check", "pause", "backup", "restore",
             "policy diff", "outbox list", "outbox show", "held list", "held show", "junk list", "junk show",
             "quarantine list", "quarantine show"}  # fmt: skip
    for name in shows:
        assert "--json" in {word for option in LEAVES[f"rtmail {name}"].params for word in option.opts}, name


def test_check_and_pause_in_json(tmp_path: Path) -> None:
    running = Running(tmp_path)
    assert running.cli("check", "--json") == ""
    running.cli("pause", "outbox")
    (paused,) = [json.loads(line) for line in running.cli("pause", "--json").splitlines()]
    assert paused["what"] == "outbox"
    running.config.write_text(running.config.read_text().replace("[people.jane]", "[people.jane]\ncolour = 1"))
    (mistake,) = [json.loads(line) for line in running.cli("check", "--json", check=False).splitlines()]
    assert mistake["file"] == str(running.config)
    assert mistake["line"] > 1
    assert "colour" in mistake["what"]


def test_what_nobody_foresaw_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*words: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "x"))

    running = Running(tmp_path)
    monkeypatch.setattr("rtmail.store.Store.pauses", fails)
    result = CliRunner().invoke(rtmail, ["pause", "-c", str(running.config)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"rtmail: {tmp_path / 'x'}: Permission denied; ")
    assert len(result.stderr.splitlines()) == 1
    assert ("rtmail doctor" if os.geteuid() == 0 else "this runs as") in result.stderr


# -- the manual ------------------------------------------------------------------------------------------------------


def plain(page: str) -> str:
    return PAGES[page].replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_and_option_is_in_the_manual(name: str) -> None:
    sections = re.split(r"^\.S[SH] ", plain("rtmail.1"), flags=re.MULTILINE)
    (section,) = [one for one in sections if re.match(rf"{name}( [A-Z{{\[]|\n)", one)]
    assert len(section.splitlines()[1]) > 10, f"{name} says nothing of itself"
    for option in LEAVES[name].params:
        if isinstance(option, click.Option) and not option.hidden and "--help" not in option.opts:
            assert option.help, f"{name} {option.opts[-1]} is not explained"
            assert option.opts[-1] in section


def test_every_key_is_in_the_manual() -> None:
    sections = re.findall(r"^\.SH \[(.*?)\]\n(.*?)(?=^\.SH )", plain("rtmail.toml.5"), flags=re.MULTILINE | re.DOTALL)
    for path, _ in every_key(Tables):
        table, key = ".".join(path[:-1]), path[-1]
        same = re.compile(re.escape(table).replace("NAME", "[a-z0-9-]+"))
        shown = "".join(text for name, text in sections if same.fullmatch(name))
        tables = any(re.fullmatch(rf"{same.pattern}\.{key}", name) for name, _ in sections)
        assert tables or re.search(rf"^\.B {key}$", shown, re.MULTILINE), f"{table}.{key}"


def test_every_secret_is_in_the_manual() -> None:
    source = (ROOT / "rtmail" / "config" / "secrets.py").read_text()
    for name in re.findall(r'"(RTMAIL_[A-Z_]+?)_?[{"]', source):
        assert f".B {name}" in plain("rtmail.toml.5"), name


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_are_good_troff(page: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff here")
    ran = subprocess.run(
        ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-"], input=PAGES[page], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stderr == ""
    assert "Traceback" not in ran.stdout
    assert len(ran.stdout.splitlines()) > 200


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_completion_is_what_the_manual_says(shell: str, word: str) -> None:
    assert "_RTMAIL_COMPLETE=bash_source rtmail" in PAGES["rtmail.1"].replace("\\-", "-")
    script = "import sys; sys.argv[0] = 'rtmail'; from rtmail.__main__ import main; main()"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                         env={**os.environ, "_RTMAIL_COMPLETE": f"{shell}_source"}, timeout=60, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert word in ran.stdout
    offered = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "_RTMAIL_COMPLETE": "bash_complete", "COMP_WORDS": "rtmail do", "COMP_CWORD": "1"},
    )
    assert offered.stdout.split() == ["plain,doctor"]


def test_every_command_says_what_it_is() -> None:
    result = CliRunner().invoke(rtmail, ["--help"])
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", result.stdout, re.MULTILINE), name


@pytest.mark.parametrize("command", [name for name in COMMANDS if isinstance(rtmail.get_command(click.Context(rtmail), name), click.Group)])
def test_every_command_below_another_says_what_it_is_in_a_whole_sentence(command: str) -> None:
    result = CliRunner().invoke(rtmail, [command, "--help"], terminal_width=80)
    sentences = result.stdout.partition("Commands:\n")[2]
    assert sentences
    assert not re.search(r"\.\.\.$", sentences, re.MULTILINE), sentences
    assert max(map(len, result.stdout.splitlines())) <= 80
