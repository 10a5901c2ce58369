"""What scripts and configs out there rely on: commands, exit codes, JSON keys and config keys, by their names."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rtmail.cli import rtmail
from rtmail.cli.common import load, opened
from rtmail.store import LinkKind
from tests.fakes.daemon import reply
from tests.fakes.house import ROOT, House, blueprint, mail
from tests.test_simulate import toml

READ = {
    "path", "from_addr", "from_name", "to_addrs", "cc_addrs", "subject", "message_id", "references", "text", "reply_text", "attachments",
    "kind", "answerable", "reason", "bounce", "defects",
}
LIST = {"number", "subject", "status", "priority", "owner", "requestor", "queue", "created_at", "next_due_at"}
SHOW = {"number", "subject", "status", "priority", "priority_code", "owner", "requestor", "participants", "queue", "clocks", "events"}
CONFIG = """
[site]
name = "Example"
tag = "Example"
domain = "example.com"
timezone = "UTC"
admin = "ops@example.net"
old_tags = ["Old"]
detail = "+"
public_domains = ["freemail.example"]
state = "data"

[store]
url = "sqlite:///rtmail.db"

[ingress]
trusted_hops = ["127.0.0.1/32"]

[ingress.smtp]
listen = "127.0.0.1:2525"

[ingress.lmtp]
listen = "127.0.0.1:2424"

[ingress.imap.box]
host = "imap.example.net"
port = 993
tls = "implicit"
user = "support"
mailbox = "INBOX"
after = "move:Processed"
queue = "support"

[relay]
url = "maildir:sent"
verp = true
redirect_to = "me@example.net"

[auth]
trusted_authserv_ids = ["mx.example.com"]

[queues.support]
address = "support@example.com"
comment_address = "support-comment@example.com"
policy = "default"

[people.jane]
name = "Jane Doe"
email = "jane@example.net"
aliases = ["j.doe@example.net"]
rights = ["engineer", "manager", "privacy", "admin"]
queues = ["support"]
page = "49170555@sms.example"

[roles.support-manager]
person = "jane"

[roles.director]
person = "jane"

[organisations.acme]
name = "Acme Ltd"
domains = ["acme.example"]
contacts = ["boss@acme.example"]
plan = "gold"

[machines]
senders = ["monitor@acme.example"]

[forms]
senders = ["form@www.example"]
"""


def run(*words: str, config: Path | None = None, **more: Any) -> Result:
    return CliRunner().invoke(rtmail, [*words, *(["-c", str(config)] if config else [])], **more)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A house with two requests, one of them answered, with a priority and closed."""
    file = tmp_path / "config" / "rtmail.toml"
    file.parent.mkdir()
    file.write_text(toml("portacare"))
    state = tmp_path / "var"
    state.mkdir()
    house = House(state, blueprint(policy="portacare"), now=datetime.now(UTC), url="sqlite:///rtmail.db")
    house.receive(mail(headers="Cc: ann@acme.example"))
    notice = next(one for one in house.sent() if one.item.recipient == "jane@staff.example")
    raw = reply(notice.item.raw, "Priority: P2\n\nWhich one?", sender="Jane Doe <jane@staff.example>", message_id="<j1@staff.example>")
    house.receive(raw, to=notice["Reply-To"].rpartition("<")[2].rstrip(">"), sender="jane@staff.example")
    house.sent()
    house.receive(mail(message_id="<2@acme.example>", subject="Scanner"))
    house.engine.command(2, "close", "test", house.now)
    house.close()
    return file


def is_instant(text: str) -> bool:
    return datetime.fromisoformat(text).utcoffset() is not None and text.endswith("Z")


def test_read_has_its_keys(tmp_path: Path) -> None:
    mails = [ROOT / "docs" / "first.eml", *sorted((ROOT / "tests" / "mails").glob("*.eml"))[:20]]
    ran = run("read", "--json", *map(str, mails))
    assert ran.exit_code == 0
    shown = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one["path"] for one in shown] == [str(path) for path in mails]
    for one in shown:
        assert one.keys() >= READ
        assert one["kind"] in ("request-or-reply", "machine", "list", "auto-reply", "bounce", "report", "loop", "junk")
        assert isinstance(one["answerable"], bool)
        assert all(attachment.keys() >= {"name", "type", "bytes", "sha256"} for attachment in one["attachments"])
        assert one["bounce"] is None or one["bounce"].keys() >= {"recipients", "status", "temporary"}


def test_ticket_list_has_its_keys_and_options(config: Path) -> None:
    def numbers(*words: str) -> list[int]:
        ran = run("ticket", "list", "--json", *words, config=config)
        assert ran.exit_code == 0, ran.output
        shown = [json.loads(line) for line in ran.stdout.splitlines()]
        assert all(one.keys() >= LIST and is_instant(one["created_at"]) for one in shown)
        return [one["number"] for one in shown]

    assert numbers() == [1]
    assert sorted(numbers("--all")) == [1, 2]
    assert numbers("--status", "closed") == [2]
    assert sorted(numbers("--all", "--queue", "support")) == [1, 2]
    assert run("ticket", "list", "--owner", "jane", config=config).exit_code == 0


def test_ticket_list_by_a_mark_has_closed_ones_too(config: Path) -> None:
    policy = config.parent / "policies" / "portacare.toml"
    policy.parent.mkdir()
    shipped = (ROOT / "config" / "policies" / "portacare.toml").read_text()
    policy.write_text(f'{shipped}\n[answers.feature]\nmark = "feature"\ntext = "It is logged as #{{number}}."\n')
    assert run("policy", "apply", config=config, input="y\n").exit_code == 0
    did = run("ticket", "do", "1", "redirect feature", config=config)
    assert did.exit_code == 0, did.output
    (line,) = run("ticket", "list", "--mark", "feature", "--json", config=config).stdout.splitlines()
    assert {name: json.loads(line)[name] for name in ("number", "status", "mark")} == {"number": 1, "status": "closed", "mark": "feature"}
    assert "#1" in run("ticket", "list", "--mark", "feature", config=config).stdout
    assert "no such requests" in run("ticket", "list", "--mark", "feature", "--status", "open", config=config).stdout
    assert json.loads(run("ticket", "show", "1", "--json", config=config).stdout)["mark"] == "feature"


def test_a_bug_is_listed_and_shown_with_what_reproduces_it(config: Path) -> None:
    assert "no request hangs on a bug" in run("bug", "list", config=config).stdout
    policy = config.parent / "policies" / "portacare.toml"
    policy.parent.mkdir()
    shipped = (ROOT / "config" / "policies" / "portacare.toml").read_text()
    policy.write_text(f'{shipped}\n[fields.steps]\nlabel = "Steps"\nby = "staff"\n')
    assert run("policy", "apply", config=config).exit_code == 0
    assert run("ticket", "do", "1", "Steps: pay twice", "bug eb-12", config=config).exit_code == 0
    (line,) = run("bug", "list", "--json", config=config).stdout.splitlines()
    shown = json.loads(run("bug", "show", "https://jira.example.net/browse/EB-12", "--json", config=config).stdout)
    assert shown == json.loads(line)
    assert (shown["bug"], shown["fixed"], shown["version"]) == ("EB-12", False, None)
    (hangs,) = shown["requests"]
    assert (hangs["number"], hangs["status"], hangs["fields"]) == (1, "open", {"steps": "pay twice"})
    assert "Steps: pay twice" in run("bug", "show", "EB-12", config=config).stdout
    assert run("bug", "list", config=config).stdout.splitlines()[1].split() == ["EB-12", "-", "#1"]
    assert run("bug", "show", "EB-13", config=config).exit_code == 1


def test_ticket_show_says_which_request_continues_which(config: Path) -> None:
    with opened(load(config)) as store:
        one, two = (store.by_number(number) for number in (1, 2))
        assert one
        assert two
        for kind in (LinkKind.CONTINUES, LinkKind.SPLIT, LinkKind.RELATED):
            store.add_link(one.id, two.id, kind, 0, datetime.now(UTC))
    lines = {1: ("continues: #2", "split from: #2", "related: #2"), 2: ("continued by: #1", "split off: #1", "related: #1")}
    for number, words in lines.items():
        said = run("ticket", "show", str(number), config=config).stdout.splitlines()
        assert [f"  {line}" in said for line in words] == [True] * 3, said
        links = json.loads(run("ticket", "show", str(number), "--json", config=config).stdout)["links"]
        assert {"kind": "continues", "number": 3 - number, "from_other": number == 2} in links


def test_ticket_show_has_its_keys(config: Path) -> None:
    ran = run("ticket", "show", "1", "--json", config=config)
    (line,) = ran.stdout.splitlines()
    shown = json.loads(line)
    assert shown.keys() >= SHOW
    assert (shown["priority"], shown["priority_code"], shown["status"]) == ("P2", 60, "open")
    assert shown["participants"]
    for clock in shown["clocks"]:
        assert clock.keys() >= {"name", "state", "generation", "started_at", "due_at", "settled_at"}
        assert clock["name"] in ("triage", "first-response", "update", "resolution", "ladder")
        assert is_instant(clock["started_at"])
    for event in shown["events"]:
        assert event.keys() >= {"at", "kind", "actor", "visibility", "message_id"}
        assert is_instant(event["at"])
    assert run("ticket", "show", "99", config=config).exit_code == 1


def test_help_at_the_shell_lists_what_can_be_written(config: Path) -> None:
    """What `ticket do` points at when nothing of it is a command."""
    assert "rtmail ticket do NUMBER help" in run("ticket", "do", "1", "hello", config=config).stderr
    told = run("ticket", "do", "1", "help", config=config)
    assert (told.exit_code, told.stdout.splitlines()[1].split()[:2]) == (0, ["Status:", "resolved"])
    (one,) = map(json.loads, run("ticket", "do", "1", "help owner", "--json", config=config).stdout.splitlines())
    assert one == {"example": "Owner: jane", "help": "give the request to a colleague, or to nobody"}


@pytest.mark.parametrize("number", ["99999999999999999999", "#9223372036854775808"])
@pytest.mark.parametrize("words", ["ticket show", "ticket do % take", "why", "outbox show", "held show", "incident show",
                                   "export json - --number"])  # fmt: skip
def test_a_number_that_nothing_can_have_is_told_in_one_line(words: str, number: str, config: Path) -> None:
    said = words.replace("%", number).split() if "%" in words else [*words.split(), number]
    ran = run(*said, config=config)
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1)
    assert ran.stderr.startswith("rtmail: ")


def test_numbers_are_taken_as_they_are_printed(config: Path) -> None:
    assert run("ticket", "show", "#1", config=config).stdout == run("ticket", "show", "1", config=config).stdout
    assert "is no number; write one as 1042" in run("ticket", "show", "one", config=config).stderr
    assert run("why", "\u00b2", config=config).stderr.startswith("rtmail: no mail with the Message-ID")


def test_a_user_without_a_name_may_act(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a bare number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert run("ticket", "do", "1", "take", config=config).exit_code == 1
    assert "by user " in run("pause", "outbox", config=config).output + run("pause", config=config).output


def test_commands_of_the_shell_are_logged_with_their_user(config: Path) -> None:
    ran = run("ticket", "do", "1", "Status: resolved", config=config)
    assert ran.exit_code == 0, ran.output
    assert json.loads(run("ticket", "show", "1", "--json", config=config).stdout)["status"] == "resolved"
    assert f"by {getpass.getuser()} (shell)" in run("ticket", "show", "1", config=config).stdout


@pytest.mark.parametrize("words", [
    "why 1", "why <1@acme.example>", "outbox list", "outbox list --json", "quarantine list", "held list", "junk list", "audit", "check",
    "ticket list", "ticket show 1", "policy diff",
])
def test_every_command_takes_a_config_and_fits_a_narrow_terminal(config: Path, words: str) -> None:
    ran = run(*words.split(), config=config, env={"COLUMNS": "80"})
    assert ran.exit_code == 0, ran.output
    if words == "ticket list":
        assert max(map(len, ran.stdout.splitlines())) <= 80


def test_a_list_of_what_cannot_be_says_so(config: Path) -> None:
    ran = run("ticket", "list", "--queue", "suport", config=config)
    assert (ran.exit_code, ran.stderr) == (2, "rtmail: there is no queue 'suport'; the config has support\n")
    assert run("ticket", "list", "--requestor", "nobody@far.example", config=config).stdout == "no such requests\n"
    assert run("ticket", "list", "--requestor", "nobody@far.example", "--json", config=config).stdout == ""


@pytest.mark.parametrize("words", ["ticket show 1", "why 1"])
def test_a_request_that_is_not_there_yet_is_told_with_the_mails_that_wait(tmp_path: Path, words: str) -> None:
    assert run("init", str(tmp_path)).exit_code == 0
    config = tmp_path / "config" / "rtmail.toml"
    assert "there is no request #1; rtmail" in run(*words.split(), config=config).stderr
    assert run("receive", "--to", "support@example.com", config=config, input=mail()).exit_code == 0
    assert "there is no request #1 (1 mail waits for rtmail serve); rtmail" in run(*words.split(), config=config).stderr


@pytest.mark.parametrize("words", ["export bob", "erase bob", "erase --dry-run bob"])
def test_privacy_wants_an_address(config: Path, words: str) -> None:
    ran = run("privacy", *words.split(), config=config)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "'bob' is no address; write one as jane@example.net" in ran.stderr


WITHOUT_JSON = {"init", "password", "serve", "receive", "demo", "snippet", "oauth login", "privacy export"}
"""Commands that run until they end, ask, hand something on as it is, or print JSON anyway."""


def test_every_other_command_speaks_json() -> None:
    def walk(command: click.Command, name: str, above: click.Context) -> Iterator[tuple[str, bool]]:
        context = click.Context(command, info_name=name, parent=above)
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield from walk(found, f"{name} {inner}".strip(), context)
        else:
            yield name, any("--json" in option.opts for option in command.params)

    speaks = dict(walk(rtmail, "", click.Context(rtmail)))
    assert {name for name, spoken in speaks.items() if not spoken} == WITHOUT_JSON


def test_every_key_of_the_config_is_known(tmp_path: Path) -> None:
    file = tmp_path / "config" / "rtmail.toml"
    file.parent.mkdir()
    file.write_text(CONFIG)
    ran = run("check", config=file, env={"RTMAIL_IMAP_BOX_PASSWORD": "x"})
    assert ran.exit_code == 0, ran.output
    file.write_text(CONFIG.replace("trusted_hops", "trusted_hop"))
    ran = run("check", config=file)
    assert ran.exit_code == 78
    assert "rtmail.toml:" in ran.output
    assert "trusted_hops" in ran.output


def test_the_config_is_looked_for_where_it_may_stand(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTMAIL_CONFIG", str(config))
    assert run("ticket", "show", "1").exit_code == 0
    monkeypatch.delenv("RTMAIL_CONFIG")
    monkeypatch.chdir(config.parent.parent)
    assert run("ticket", "show", "1").exit_code == 0
