"""The documentation is true: its commands run as pasted, its links lead somewhere, and every command and key is in it."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest

from rtmail import cli
from rtmail.cli import COMMANDS
from rtmail.config import reading
from rtmail.errors import PolicyError, Problem
from rtmail.policy.schema import parse
from tests.fakes.daemon import free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md", ROOT / "tests" / "mails" / "README.md"])
TEXT = {page: page.read_text("utf-8") for page in PAGES}
SHIPPED = [*ROOT.glob("config/**/*.toml"), *ROOT.glob("templates/*"), ROOT / "rtmail.service", ROOT / "Makefile", *PAGES]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_OURS = re.compile(r"\b(?:TODO|FIXME|XXX|blazing|seamless|world-class|cutting-edge|enterprise-grade|simply|easily)\b", re.IGNORECASE)
"""Words of drafts and of advertisements."""
NAMED = re.compile(r"`((?:rtmail|tests|config|docs|templates|benchmarks|tools|store|engine|egress|ingress)/[\w./*-]+\.\w+)`")
ELSEWHERE = ("http://", "https://", "mailto:")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(TEXT[page]) if kind == language]


def anchors(page: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(page.read_text("utf-8"))}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(TEXT[page]):
        if target.startswith(ELSEWHERE):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(there), f"{name_of(page)} links to {target}: no such heading"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text("utf-8")) if not link.startswith(ELSEWHERE))
        waiting += [there for link in links if link.endswith(".md") and (there := (page.parent / link).resolve()).exists()]
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= reached


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"`rtmail {command}\b", TEXT[README]), f"README.md says nothing of rtmail {command}"


def test_the_readme_names_no_command_that_is_not_there() -> None:
    named = set(re.findall(r"`rtmail ([a-z]+)\b", "\n".join(TEXT.values())))
    assert named <= set(COMMANDS)


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b(?=[`:,. \n])", "\n".join(blocks(README, "sh")))) <= targets
    assert set(re.findall(r"`make ([a-z-]+)`", "\n".join(TEXT.values()))) <= targets


def test_every_config_key_that_the_pages_name_exists() -> None:
    known = (ROOT / "config" / "rtmail.toml").read_text()
    tables = set(re.findall(r"^(?:# )?\[([a-z_.-]+)\]", known, re.MULTILINE))
    kinds = {table.rpartition(".")[0] for table in tables if "." in table} | tables
    for table in re.findall(r"`\[([a-z_.]+)(?:\.(?:NAME|…))?\]", TEXT[README]):
        assert table in kinds, f"README.md names [{table}]"


def test_every_policy_key_has_a_comment_or_stands_for_itself() -> None:
    """The default policy is where a reader learns the keys: all of its top-level ones are explained on their line."""
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    parse(text, "default.toml", "UTC")
    table = ""
    for line in text.splitlines():
        table = line if line.startswith("[") else table
        if table or not re.match(r"[a-z_]+ = ", line):
            continue
        key = line.partition(" ")[0]
        assert "#" in line or key == "name" or key.endswith("_calendar"), f"default.toml: {key} is not explained"


def test_the_table_of_tables_is_whole() -> None:
    migrations = "\n".join(path.read_text() for path in sorted((ROOT / "rtmail" / "store" / "migrations").glob("0*.py")))
    page = TEXT[ROOT / "docs" / "ground.md"]
    for table in set(re.findall(r"CREATE TABLE (\w+)", migrations)):
        assert f"`{table}`" in page, f"docs/ground.md does not name the table {table}"


def test_the_modules_that_the_pages_name_exist() -> None:
    for page in PAGES:
        for path in NAMED.findall(TEXT[page]):
            assert any(itertools.chain(ROOT.glob(path), (ROOT / "rtmail").glob(path))), f"{name_of(page)} names {path}"


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_nothing_of_the_makers_machine_is_told(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(?:home|root|work|tmp)/", text), f"{name_of(path)} names a path of one machine"
    assert not NOT_OURS.search(text), f"{name_of(path)} says {NOT_OURS.search(text)}"


def test_every_failpoint_has_one_spelling() -> None:
    """docs/ground.md says that the names can be listed from the source: all are literals."""
    for path in (ROOT / "rtmail").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint":
                assert [type(word) for word in node.args] == [ast.Constant], f"{name_of(path)}:{node.lineno}"


# -- the road of a newcomer ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with what the commands touch: rtmail is installed, the port is a free one, the state is empty."""
    there = tmp_path_factory.mktemp("newcomer") / "a clone"
    there.mkdir()
    for name in ("config", "docs", "templates"):
        shutil.copytree(ROOT / name, there / name)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, there / name)
    example = there / "config" / "rtmail.toml"
    example.write_text(example.read_text().replace('"127.0.0.1:2525"', f'"127.0.0.1:{free_port()}"'))
    command = there / ".venv" / "bin" / "rtmail"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rtmail "$@"\n')
    command.chmod(0o755)
    (there / ".venv" / ".installed").touch()
    return there


@pytest.fixture(scope="module")
def serving(clone: Path) -> Iterator[str]:
    """`make run` in the clone; yields what it printed until it was ready."""
    log = clone / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(["make", "run"], cwd=clone, stdout=out, stderr=out, start_new_session=True, env=_environ())
    try:
        wait_for(lambda: "event=started" in log.read_text() or process.poll() is not None, 60, "make run did not start the daemon")
        assert process.poll() is None, log.read_text()
        yield log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def printed(clone: Path, serving: str) -> dict[str, str]:
    """Each command of the first screen -> what it printed, run one after the other as a newcomer would."""
    receive, *look = blocks(README, "sh")[1].strip().splitlines()
    said = {receive: pasted(receive, clone)}
    log = clone / "run.log"
    wait_for(lambda: log.read_text().count("event=sent") == 3, 60, "three mails sent")
    return said | {line: pasted(line, clone) for line in look}


def _environ() -> dict[str, str]:
    """A newcomer's environment: nothing of rtmail, and the package found although the clone has none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RTMAIL", "MAKE", "STATE_DIRECTORY"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


def pasted(lines: str, folder: Path) -> str:
    """Run `lines` as pasted into a shell and return what they print."""
    ran = subprocess.run(["sh", "-eu", "-c", lines], cwd=folder, capture_output=True, text=True, env=_environ(), timeout=120, check=False)
    assert ran.returncode == 0, f"{lines}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def _timeless(text: str) -> list[str]:
    """The lines of `text`, instants and names of files aside."""
    text = re.sub(r"\w{3} \d\d \w{3} \d{4} \d\d:\d\d:\d\d UTC", "INSTANT", text)
    text = re.sub(r"\d{9}\.[0-9a-f]+\.rtmail", "FILE", text)
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_readme_begins_with_make_run_and_says_what_make_run_says(clone: Path, serving: str) -> None:
    start, look, *_ = blocks(README, "sh")
    assert start.strip() == "make run"
    commands = [line.strip() for line in serving.splitlines() if line.startswith("    ")]
    assert commands == [f"cd '{clone}'", *look.strip().splitlines()]
    assert pasted(f"{commands[0]}\npwd", clone.parent).strip() == str(clone)


def test_the_readme_shows_what_is_printed(printed: dict[str, str]) -> None:
    receive, show, why, mails = printed
    assert _timeless(printed[receive] + printed[show]) == _timeless(blocks(README, "text")[0])
    assert "anyone not staff" in printed[why]
    for line in blocks(README, "text")[1].splitlines():
        assert line in printed[mails] or "by Mon" in line, f"the README's acknowledgement says {line!r}"


def test_the_configuration_of_the_readme(clone: Path) -> None:
    said = pasted(blocks(README, "sh")[2], clone)
    assert "no mistakes" in said
    written = tomllib.loads((clone / "desk" / "config" / "rtmail.toml").read_text())
    assert written["queues"]["support"]["address"] == "support@acme.example"
    assert written["people"]["jane"]["name"] == "Jane Doe"


def test_a_taken_port_is_what_the_readme_says(clone: Path, serving: str) -> None:
    second = clone / "config" / "second.toml"
    second.write_text((clone / "config" / "rtmail.toml").read_text().replace('# state = "var"', 'state = "var2"'))
    words = [".venv/bin/rtmail", "serve", "-c", "config/second.toml"]
    ran = subprocess.run(words, cwd=clone, capture_output=True, text=True, env=_environ(), timeout=60, check=False)
    assert ran.returncode != 0
    assert "address already in use" in ran.stderr


# -- examples --------------------------------------------------------------------------------------------------------

PAGES_OF_USERS = [README, *sorted(ROOT.glob("docs/*.md"))]
COMMAND = re.compile(r"^\s*(?:\$ )?(?:runuser -u rtmail -- )?(?:\S*/bin/)?rtmail ((?:.*\\\n)*.*)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES_OF_USERS, ids=name_of)
def test_every_toml_example_has_keys_that_exist_and_values_of_their_kind(page: Path) -> None:
    """Each is an excerpt of the config, or of a policy."""
    for text in blocks(page, "toml"):
        tried = [_as_config(text), _as_policy(text)]
        assert [] in tried, f"{name_of(page)}:\n{text}\n{tried}"


def _as_config(text: str) -> list[str]:
    return _mistakes(reading.read(text, "rtmail.toml")[1].problems)


def _as_policy(text: str) -> list[str]:
    default = (ROOT / "config" / "policies" / "default.toml").read_text("utf-8")
    keys, bracket, tables = f"\n{text}".partition("\n[")
    try:
        parse(text if "priorities" in tomllib.loads(text) else f"{keys}\n{default}\n{bracket}{tables}", "policy", "UTC")
    except PolicyError as error:
        return [str(one) for one in error.problems if "unknown key" in one.what or "priorities" in tomllib.loads(text)]
    return []


def _mistakes(problems: Iterable[Problem]) -> list[str]:
    """Return them but for those that come of an excerpt: it leaves out, or names, what only the whole has."""
    return [str(one) for one in problems if not re.search(r"\] has no |there is no |names no priority|is no priority", one.what)]


@pytest.mark.parametrize("page", PAGES_OF_USERS, ids=name_of)
def test_every_command_line_of_an_example_has_words_that_exist(page: Path) -> None:
    for line in [line for kind in ("sh", "console", "") for text in blocks(page, kind) for line in COMMAND.findall(text)]:
        words = shlex.split(line.replace("\\\n", " "), comments=True)
        command, context = cli.rtmail, click.Context(cli.rtmail, info_name="rtmail")
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(context, words[0])
            assert found is not None, f"{name_of(page)}: rtmail {line}"
            command, words = found, words[1:]
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h", "--version"}
        wrong = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
        assert not wrong, f"{name_of(page)}: rtmail {line}: {wrong}"


def test_the_policy_that_the_page_writes_does_what_the_page_says(tmp_path: Path) -> None:
    """docs/policy.md from its first block to its simulations."""
    page = ROOT / "docs" / "policy.md"
    policy, tables = blocks(page, "toml")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "acme.toml").write_text(policy, "utf-8")
    site = '[site]\nname = "Acme"\ndomain = "acme.example"\nadmin = "ops@other.example"\n[relay]\nurl = "maildir:sent"\n'
    (tmp_path / "rtmail.toml").write_text(site + tables.replace("kim@acme", "kim@other"), "utf-8")
    command = f'exec "{sys.executable}" -m rtmail "$@"'
    (tmp_path / "rtmail").write_text(f"#!/bin/sh\n{command}\n")
    (tmp_path / "rtmail").chmod(0o755)
    said = pasted(f'PATH="$PWD:$PATH" RTMAIL_CONFIG=rtmail.toml; export PATH RTMAIL_CONFIG\n{blocks(page, "sh")[0]}', tmp_path)
    assert "no mistakes" in said
    # Four hours after Christmas Eve, half past four, round the clock: Kim's role hears of what stands still.
    assert re.search(r"Thu 24 Dec 20:30 +escalation +ladder 1 +head-of-support", said), said
