"""`rtmail check` and `rtmail init`: one folder per mistake, each with what must be told; and a beginning that passes."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from rtmail import config
from rtmail.cli import asking, rtmail
from rtmail.cli.check import check
from rtmail.cli.init import init
from rtmail.cli.password import password
from rtmail.config import Config, passwords
from rtmail.config.values import read_listen
from rtmail.errors import EX_CONFIG
from rtmail.ops import opening
from rtmail.ops.beginning import example
from tests.fakes.imap import ImapServer
from tests.fakes.sink import Sink

BAD = Path(__file__).parent / "bad_config"
ROOT = BAD.parent.parent
FOLDERS = sorted(path.name for path in BAD.iterdir() if path.is_dir())


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("RTMAIL_") or name in ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"):
            monkeypatch.delenv(name)


def laid_out(name: str, tmp_path: Path) -> Path:
    """Copy a case into a config folder; its `env` becomes `.env`."""
    folder = tmp_path / "config"
    shutil.copytree(BAD / name, folder)
    if (folder / "env").exists():
        (folder / "env").rename(folder / ".env")
        (folder / ".env").chmod(0o600)
    return folder


@pytest.mark.parametrize("name", FOLDERS)
def test_every_mistake_is_told_with_line_and_cure(name: str, tmp_path: Path) -> None:
    folder = laid_out(name, tmp_path)
    result = CliRunner().invoke(check, ["-c", str(folder / "rtmail.toml")])
    told = result.stderr.replace(f"{folder}/", "")
    assert told == (BAD / name / "expected.txt").read_text("utf-8")
    assert result.exit_code == EX_CONFIG
    assert "hunter2" not in result.output


def followed(folder: Path, cure: str) -> None:
    """Do what `cure` says: `FILE:LINE: text` puts text in place of a line (`-` takes it out), `FILE:LINE+ text` behind it, `run:` runs.

    Lines are numbered as they stand before. `certificate FILE` in a `run:` stands for getting one from an authority.
    """
    lines: dict[str, dict[int, list[str]]] = {}
    for step in cure.splitlines():
        if step.startswith("run: "):
            continue
        place = re.fullmatch(r"([^:+]+)(?::(\d+))?([:+]) (.*)", step)
        assert place, step
        name, line, how, text = place[1], int(place[2] or 0), place[3], place[4]
        file = folder / name
        if name not in lines:
            before = file.read_text("utf-8").splitlines() if file.exists() else []
            lines[name] = {0: [], **{number: [one] for number, one in enumerate(before, 1)}}
        if how == "+":
            lines[name][line].append(text)
        else:
            lines[name][line][0:1] = [] if text == "-" else [text]
    for name, numbered in lines.items():
        (folder / name).write_text("".join(f"{line}\n" for _, kept in sorted(numbered.items()) for line in kept), "utf-8")
        (folder / name).chmod(0o600)
    tools = folder.parent / "tools"
    tools.mkdir()
    certificate = 'mkdir -p "$(dirname "$1")" && cat "$PEM" > "$1"'
    for tool, said in (("rtmail", f'exec "{sys.executable}" -m rtmail "$@"'), ("certificate", certificate)):
        (tools / tool).write_text(f"#!/bin/sh\n{said}\n")
        (tools / tool).chmod(0o755)
    pem = tools / "pem"
    authority = trustme.CA()
    authority.issue_cert("example.com").private_key_and_cert_chain_pem.write_to_path(pem)
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PEM": str(pem), "PYTHONPATH": str(ROOT)}
    for step in cure.splitlines():
        if step.startswith("run: "):
            subprocess.run(["sh", "-euc", step.removeprefix("run: ")], cwd=folder, env=environ, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_cure_that_is_followed_cures(name: str, tmp_path: Path) -> None:
    """Nor does any other mistake come to light by it."""
    folder = laid_out(name, tmp_path)
    followed(folder, (BAD / name / "cure.txt").read_text("utf-8"))
    result = CliRunner().invoke(check, ["-c", str(folder / "rtmail.toml")])
    assert (result.exit_code, result.stderr) == (0, "")


def test_there_are_enough_cases() -> None:
    assert len(FOLDERS) >= 60


def test_the_shipped_config_has_no_mistakes() -> None:
    result = CliRunner().invoke(check, ["-c", str(ROOT / "config" / "rtmail.toml")])
    assert result.exit_code == 0, result.stderr
    assert "no mistakes" in result.stdout


def test_who_is_on_duty_is_told_with_who_is_next(tmp_path: Path) -> None:
    file = laid_out("role-unknown-person", tmp_path) / "rtmail.toml"
    text = file.read_text("utf-8").replace('jan"\ndeputy = "jane"', 'jane"')
    text = text.replace('policy = "quiet"', 'policy = "quiet"\nduty = "support"')
    week = '[duty.support.week]\n"mon,wed,fri,sun" = ["jane"]\n"tue,thu,sat" = ["cto"]\n'
    file.write_text(f"{text}\n{week}", "utf-8")
    result = CliRunner().invoke(check, ["-c", str(file)])
    assert result.exit_code == 0, result.stderr
    assert re.search(r"on duty for support: (jane|cto), from \w{3} \d\d \w{3} 00:00 (jane|cto)\n", result.stdout), result.stdout


def test_no_config_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(check, [])
    assert result.exit_code == EX_CONFIG
    assert "rtmail init" in result.stderr
    result = CliRunner().invoke(check, ["-c", "nowhere.toml"])
    assert (result.exit_code, result.stderr.splitlines()[0]) == (EX_CONFIG, "nowhere.toml:1: there is no such file")


def test_a_broken_template_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    (folder / "templates" / "support").mkdir(parents=True)
    shutil.copy(ROOT / "config" / "rtmail.toml", folder)
    (folder / "templates" / "receipt.txt.j2").write_text("Subject\n\n{% if %}\n")
    (folder / "templates" / "support" / "nudge.txt.j2").write_text("Subject\n\n{{ no_such_fact }}\n")
    (folder / "templates" / "reciept.txt.j2").write_text("Subject\n\nBody\n")
    result = CliRunner().invoke(check, ["-c", str(folder / "rtmail.toml")])
    assert result.exit_code == EX_CONFIG
    for place in ("receipt.txt.j2:3:", "support/nudge.txt.j2:3: no fact is called 'no_such_fact'", "reciept.txt.j2:1: no mail is called"):
        assert f"{folder}/templates/{place}" in result.stderr
    assert result.stderr.endswith("3 mistakes\n")


@pytest.mark.parametrize("gone", ["undelivered.txt.j2", "promised.txt.j2", "layout.html.j2"])
def test_a_missing_template_is_told(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Config.templates
    monkeypatch.setattr(Config, "templates", lambda self: {name: text for name, text in shipped(self).items() if name != gone})
    result = CliRunner().invoke(check, ["-c", str(ROOT / "config" / "rtmail.toml")])
    assert result.exit_code == EX_CONFIG
    assert f"templates/{gone}:1: there is no such template\n    cure: put the file back, or reinstall rtmail" in result.stderr


def run_init(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(init, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def test_init_alone_passes_check(tmp_path: Path) -> None:
    code, out, err = run_init(tmp_path / "rt")
    assert (code, err) == (0, "")
    file = tmp_path / "rt" / "config" / "rtmail.toml"
    assert file.read_text("utf-8") == (ROOT / "config" / "rtmail.toml").read_text("utf-8")
    assert stat.S_IMODE((file.parent / ".env").stat().st_mode) == 0o600
    told = [line.strip().split()[:2] for line in out.splitlines() if line.strip().startswith("rtmail ")]
    assert told == [["rtmail", "check"], ["rtmail", "serve"], ["rtmail", "receive"]]
    assert CliRunner().invoke(check, ["-c", str(file)]).exit_code == 0


def test_init_with_values_passes_check(tmp_path: Path) -> None:
    code, out, err = run_init(
        tmp_path, "--site", 'Ämce "Help"', "--domain", "acme.example", "--address", "hilfe@acme.example", "--relay", "smtp://127.0.0.1:25",
        "--admin", "ops@else.example", "--person", "jo=Jo Doe <jo@else.example>", "--person", "al=al@else.example",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "--to hilfe@acme.example" in out
    result = CliRunner().invoke(check, ["-c", str(tmp_path / "config" / "rtmail.toml")])
    assert result.exit_code == 0, result.stderr
    assert "hilfe@acme.example" in result.stdout
    assert "people: jo, al" in result.stdout
    text = (tmp_path / "config" / "rtmail.toml").read_text("utf-8")
    assert 'name = "Ämce \\"Help\\""' in text
    assert 'comment_address = "hilfe-comment@acme.example"' in text
    assert "example.net" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_init_never_overwrites(tmp_path: Path) -> None:
    assert run_init(tmp_path)[0] == 0
    files = [tmp_path / "config" / name for name in ("rtmail.toml", ".env", "policies/default.toml")]
    for file in files:
        file.write_text('address = "mine@example.com"\n')
    code, out, _ = run_init(tmp_path, "--domain", "other.example")
    assert code == 0
    assert out.count("kept ") == 3
    assert "--to mine@example.com" in out
    assert {file.read_text() for file in files} == {'address = "mine@example.com"\n'}


def test_init_with_a_mistake_writes_nothing(tmp_path: Path) -> None:
    code, _, err = run_init(tmp_path / "rt", "--domain", "acme.example", "--admin", "support@acme.example")
    assert code == EX_CONFIG
    assert f"{tmp_path}/rt/config/rtmail.toml:" in err
    assert "nothing written" in err
    assert not (tmp_path / "rt").exists()
    assert run_init(tmp_path / "rt", "--person", "Jane Doe")[0] == 2
    assert run_init(tmp_path / "rt", "--address", "nobody")[0] == 2


def test_init_with_a_relay_that_needs_a_password(tmp_path: Path) -> None:
    assert run_init(tmp_path, "--relay", "smtps://user@mail.acme.example")[0] == 0
    result = CliRunner().invoke(check, ["-c", str(tmp_path / "config" / "rtmail.toml")])
    assert "RTMAIL_RELAY_PASSWORD" in result.stderr
    (tmp_path / "config" / ".env").write_text("RTMAIL_RELAY_PASSWORD='$x'\n")
    assert CliRunner().invoke(check, ["-c", str(tmp_path / "config" / "rtmail.toml")]).exit_code == 0


def test_init_with_a_mailbox_and_another_policy(tmp_path: Path) -> None:
    """What is commented out in the shipped file stands open, with every comment in its place; the policy's roles are people."""
    with ImapServer(user="help@acme.example", password="open sesame") as server, Sink() as sink:
        result = CliRunner().invoke(init, [
            str(tmp_path), "--domain", "acme.example", "--admin", "ops@else.example", "--policy", "portacare",
            "--timezone", "Europe/Berlin",
            "--mailbox", f"imap://help@acme.example@127.0.0.1:{server.port}", "--relay", f"smtp://127.0.0.1:{sink.port}",
            "--person", "jo=Jo Doe <jo@else.example>", "--lmtp", "127.0.0.1:2424",
        ], env={"RTMAIL_IMAP_OFFICE_PASSWORD": "open sesame"})  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "ok    relay: " in result.stdout
    assert "ok    mailbox office: open" in result.stdout
    assert sink.mails == [], "it was asked, and nothing was sent"
    file = tmp_path / "config" / "rtmail.toml"
    assert (file.parent / ".env").read_text().endswith("RTMAIL_IMAP_OFFICE_PASSWORD='open sesame'\n")
    assert "sesame" not in file.read_text() + result.output
    found = config.load(file, {})
    assert (found.ingress.imap["office"].user, found.ingress.imap["office"].port) == ("help@acme.example", server.port)
    assert (found.queues["support"].policy, found.settings.timezone) == ("portacare", "Europe/Berlin")
    assert str(found.ingress.lmtp and found.ingress.lmtp.listen) == "127.0.0.1:2424"
    assert {"technical-support-manager", "customer-relations-manager", "cto"} <= set(found.tables.roles)
    comments = [re.sub(r"^.*?(#.*)$", r"\1", line) for line in file.read_text().splitlines() if "#" in line and "policies/" not in line]
    shipped = (ROOT / "config" / "rtmail.toml").read_text()
    assert all(comment.lstrip("# ")[:60] in shipped for comment in comments)


def test_init_tells_what_cannot_be_reached_and_leaves_the_files(tmp_path: Path) -> None:
    code, out, _ = run_init(tmp_path, "--domain", "acme.example", "--admin", "ops@else.example", "--relay", "smtp://127.0.0.1:1")
    assert code == 0
    assert "fail  relay: connect: " in out
    assert "do:    see that it runs" in out
    assert (tmp_path / "config" / "rtmail.toml").exists()
    assert "relay:" not in run_init(tmp_path / "two", "--no-try", "--relay", "smtp://127.0.0.1:1")[1]


def test_init_sends_a_first_mail_where_it_shall(tmp_path: Path) -> None:
    with Sink() as sink:
        words = ("--domain", "acme.example", "--admin", "ops@else.example", "--relay", f"smtp://127.0.0.1:{sink.port}")
        code, out, _ = run_init(tmp_path / "one", *words, "--first-mail")
        assert code == 0
        assert "ok    first mail: " in out
        (taken,) = sink.wait(1)
        assert taken.recipients == ("ops@else.example",)
        assert taken.sender == "support@acme.example"
        assert b"This mail shows that what rtmail sends arrives." in taken.raw
        assert "first mail" not in run_init(tmp_path / "two", *words)[1], "flags alone send nothing"
        assert len(sink.mails) == 1


def test_init_tells_why_a_first_mail_was_not_taken(tmp_path: Path) -> None:
    with Sink(answers=("554 5.7.1 no",)) as sink:
        words = ("--domain", "acme.example", "--admin", "ops@else.example", "--relay", f"smtp://127.0.0.1:{sink.port}", "--first-mail")
        code, out, _ = run_init(tmp_path, *words)
    assert code == 0
    assert "fail  first mail: " in out
    assert "5.7.1 no" in out


@pytest.mark.parametrize("words", [("--policy", "gold"), ("--mailbox", "imaps://imap.acme.example"), ("--mailbox", "pop3://a@b")])
def test_init_refuses_in_a_line_with_the_cure(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, _, err = run_init(tmp_path / "rt", *words)
    assert code == 2
    assert "portacare" in err or "imaps://support@example.com@imap.example.com" in err
    assert not (tmp_path / "rt").exists()


@pytest.mark.parametrize(("admin", "sender"), [("ops@else.example", "ops@else.example"), ("jo@else.example", "customer@example.net")])
def test_what_init_says_comes_next_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, admin: str, sender: str) -> None:
    """From a virtual environment that is not in PATH, into a folder with a space; the first mail is nobody's of the staff."""
    command = tmp_path / "my venv" / "rtmail"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rtmail "$@"\n')
    command.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(command)])
    code, out, _ = run_init(tmp_path / "a desk", "--domain", "acme.example", "--admin", admin, "--person", "jo=Jo Doe <jo@else.example>")
    assert code == 0
    lines = [line.strip() for line in out.partition("\nNext:\n")[2].splitlines() if line.startswith("    ")]
    serve = next(line for line in lines if " serve " in line)
    assert shlex.split(serve)[:2] == [str(command), "serve"]
    lines.remove(serve)
    ran = subprocess.run(["sh", "-eu", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120, check=False,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ran.returncode == 0, ran.stderr
    assert "no mistakes" in ran.stdout
    assert "kept as 1" in ran.stdout
    found = config.load(tmp_path / "a desk" / "config" / "rtmail.toml", {})
    with contextlib.closing(opening.open_store(found)) as store:
        raw = store.raw(store.spool_row(1).raw_id)
    assert raw == f"From: {sender}\nSubject: A try\n\nHello\n".encode()


def test_a_command_in_path_is_named_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "rtmail"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(command)])
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "\n    rtmail check -c " in run_init(tmp_path / "rt")[1]


def test_an_answer_may_stand_in_quotes_as_it_does_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmail.cli.asking.click.prompt", lambda *_, **__: ' "127.0.0.1:2424" ')
    assert asking._until("Where to listen", "", lambda text: str(read_listen(text))) == "127.0.0.1:2424"


INTERRUPT, END = "\x03", "\x04"
PASSWORD = "open 's\\esame\\"


def talk(folder: Path, answers: Sequence[tuple[str, str]], last: str) -> tuple[int, str]:
    """Answer `rtmail init` at a real terminal: each question waits for its answer. Returns the exit code and all that was heard."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever was started in the background ignores it, and would hand that on
        os.execve(sys.executable, [sys.executable, "-m", "rtmail", "init", str(folder)], {**os.environ, "TERM": "xterm"})
    heard = b""
    seen = 0

    def read_to(what: bytes) -> None:
        nonlocal heard, seen
        while what not in heard[seen:]:
            assert select.select([terminal], [], [], 60)[0], f"{what!r} was not asked; {heard[seen:]!r} was"
            heard += os.read(terminal, 4096)
        seen = heard.index(what, seen) + len(what)

    for question, answer in answers:
        read_to(question.encode())
        os.write(terminal, answer.encode() if answer in (INTERRUPT, END) else answer.encode() + b"\n")
    read_to(last.encode())
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            heard += chunk
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return code, heard.decode()


ANSWERS = [
    ("Name of the house", "Acme"), ("Address that customers write to", "nonsense"), ("write one address", "help@acme.example"),
    ("Who hears of trouble", "help@acme.example"), ("is received by rtmail itself", "ops@else.example"),
    ("Time zone", "Europe/Berlin"), ("How mail comes in", "mailbox"),
    ("The mailbox", "imap://help@mail.acme.example"), ("would cross the network in the clear", "imap://help@acme.example@127.0.0.1:1"),
    ("Password of help@acme.example", PASSWORD), ("Relay", "smpt://127.0.0.1"), ("names no relay", "maildir:sent"),
    ("Name:", "Jo Doe"), ("Address of Jo Doe", "help@acme.example"), ("is received by rtmail itself", "jo@else.example"),
    ("Name:", ""), ("Policy [", "portacare"),
]  # fmt: skip
"""What is asked, or said against an answer, and what is typed then."""


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    """Each mistake is told at its question, and the password is not shown."""
    code, heard = talk(tmp_path / "rt", ANSWERS, "Next:")
    assert code == 0
    assert "esame" not in heard
    found = config.load(tmp_path / "rt" / "config" / "rtmail.toml", {})
    assert (found.settings.name, found.imap_password("office")) == ("Acme", PASSWORD)
    assert (found.settings.admin, found.relay_url) == ("ops@else.example", "maildir:sent")
    assert found.queues["support"].address == "help@acme.example"
    assert found.tables.people["jo"].name == "Jo Doe"
    assert found.queues["support"].policy == "portacare"
    assert stat.S_IMODE(found.state.stat().st_mode) == 0o700, "made when the relay was tried"


@pytest.mark.parametrize("stop", [INTERRUPT, END])
def test_init_that_is_broken_off_writes_nothing(tmp_path: Path, stop: str) -> None:
    code, _ = talk(tmp_path / "rt", [*ANSWERS[:9], ("Password of help@acme.example", stop)], "nothing written")
    assert code == 1
    assert not (tmp_path / "rt").exists()


def test_init_asks_no_password_where_none_is_taken(tmp_path: Path) -> None:
    """At Microsoft 365 an app comes first: what is written passes check, so that the snippet tells how."""
    answers = [
        ("Name of the house", ""), ("Address", "help@acme.example"), ("Who hears", ""), ("Time zone", ""), ("How mail comes in", "mailbox"),
        ("The mailbox", "imaps://help@acme.example@outlook.office365.com"), ("Tenant", ""),
        ("Relay", "smtp+starttls://smtp.office365.com:587"), ("Name:", ""), ("Policy [", ""),
    ]  # fmt: skip
    code, heard = talk(tmp_path / "rt", answers, "Next:")
    assert code == 0
    assert "assword of" not in heard
    assert heard.count("Tenant") == 1
    file = tmp_path / "rt" / "config" / "rtmail.toml"
    assert f" snippet microsoft -c {file}" in heard
    result = CliRunner().invoke(rtmail, ["snippet", "microsoft", "-c", str(file)])
    assert (result.exit_code, 'user = "help@acme.example"' in result.stdout) == (0, True)


@pytest.mark.parametrize("secret", ["", "its ~secret"])
def test_init_fills_in_an_app_at_microsoft_365(tmp_path: Path, secret: str) -> None:
    """By its secret, or by a person who logs in; what the snippet tells stands in the file, and passes check."""
    answers = [
        ("Name of the house", ""), ("Address", "help@acme.example"), ("Who hears", ""), ("Time zone", ""), ("How mail comes in", "smtp"),
        ("Relay", "smtp+starttls://smtp.office365.com:587"), ("Tenant", "acme.example"), ("client) ID", "0f-0e"),
        ("Secret of the app", secret), ("Name:", ""), ("Policy [", ""),
    ]  # fmt: skip
    code, heard = talk(tmp_path / "rt", answers, "Next:")
    assert code == 0
    assert "~" not in heard
    file = tmp_path / "rt" / "config" / "rtmail.toml"
    assert (f" oauth login office -c {file}" in heard) is not bool(secret)
    found = config.load(file, {})
    app, relay = found.tables.oauth["office"], found.tables.relay
    assert (app.tenant, app.client_id, app.flow) == ("acme.example", "0f-0e", "client" if secret else "device")
    assert (relay.oauth, relay.user, relay.verp) == ("office", "help@acme.example", False)
    assert found.oauth_secret("office") == secret


def test_init_takes_an_app_at_microsoft_365_by_flags(tmp_path: Path) -> None:
    words = ("--domain", "acme.example", "--admin", "ops@else.example", "--no-try",
             "--mailbox", "imaps://support@acme.example@outlook.office365.com", "--tenant", "acme.example")  # fmt: skip
    code, _, err = run_init(tmp_path, *words)
    assert (code, "--client-id" in err) == (2, True)
    assert run_init(tmp_path, *words, "--client-id", "0f-0e")[0] == 0
    mailbox = config.load(tmp_path / "config" / "rtmail.toml", {}).ingress.imap["office"]
    assert (mailbox.oauth, mailbox.trusted_headers) == ("office", ["X-MS-Exchange-Organization-AuthAs", "Authentication-Results"])


def test_a_package_is_filled_in_where_its_example_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below /etc the folder is the config folder itself; the package's example makes room, whatever an admin wrote does not."""
    etc = tmp_path / "etc" / "rtmail"
    etc.mkdir(parents=True)
    monkeypatch.setattr("rtmail.cli.init.SYSTEM", tmp_path / "etc")
    (etc / "rtmail.toml").write_text(example((ROOT / "config" / "rtmail.toml").read_text("utf-8"), config.SYSTEM_STATE), "utf-8")
    code, out, err = run_init(etc, "--domain", "acme.example", "--admin", "ops@other.example")
    assert (code, err) == (0, "")
    assert f"wrote {etc / 'rtmail.toml'}" in out
    written = config.load(etc / "rtmail.toml", {})
    assert (str(written.state), written.settings.domain) == (config.SYSTEM_STATE, "acme.example")
    code, out, _ = run_init(etc, "--domain", "other.example")
    assert f"kept  {etc / 'rtmail.toml'}" in out
    assert "acme.example" in (etc / "rtmail.toml").read_text("utf-8")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
def test_what_a_trial_makes_belongs_to_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 12345, 12345)
    monkeypatch.setattr("rtmail.cli.init.SYSTEM", tmp_path / "etc")
    monkeypatch.setattr(config, "SYSTEM_STATE", str(state))
    code, out, err = run_init(tmp_path / "etc" / "rtmail", "--relay", "maildir:sent")
    assert (code, err) == (0, "")
    assert f"mail is written to {state}/sent" in out
    assert {path.stat().st_uid for path in state.rglob("*")} == {12345}


def test_a_password_is_asked_for_or_read_and_only_its_hash_is_printed() -> None:
    result = CliRunner().invoke(password, ["jane"], input="hunter2\n")
    assert result.exit_code == 0
    found = re.fullmatch(r"RTMAIL_AUTH_JANE='(scrypt:.*)'\n", result.stdout)
    assert found
    assert passwords.matches(found[1], "hunter2")
    assert "hunter2" not in result.output
    assert CliRunner().invoke(password, ["jane"], input="\n").exit_code == 2


@pytest.mark.parametrize(("word", "said"), [("tickt", "No such command 'tickt'. Did you mean 'ticket'?"), ("zzz", "No such command")])
def test_a_word_that_is_no_command(word: str, said: str) -> None:
    result = CliRunner().invoke(rtmail, [word])
    assert result.exit_code == 2
    assert said in result.output
