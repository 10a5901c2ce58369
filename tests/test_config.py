"""Config: where it is found, what it says by default, where secrets and data lie, and what others are handed."""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import stat
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from rtmail import config
from rtmail.config import passwords, secrets
from rtmail.config.sections import (
    DkimTable,
    DutyTable,
    ImapTable,
    LmtpTable,
    MonitorTable,
    OauthTable,
    OrganisationTable,
    PersonTable,
    PlanTable,
    QueueTable,
    RoleTable,
    SmtpTable,
    Table,
    Tables,
    TrackerTable,
)
from rtmail.config.values import After, Listen, Mistake, read_after, read_duration, read_listen, read_mode, read_size
from rtmail.errors import ConfigError
from rtmail.mail.site import Door
from rtmail.mail.token import Keyring, make_mark

ROOT = Path(__file__).parent.parent
MINIMAL = """
[site]
name = "Example"
domain = "Example.com"
admin = "ops@example.net"
[queues.support]
address = "Support@example.com"
comment_address = "support-comment@example.com"
policy = "quiet"
[people.jane]
name = "Jane Doe"
email = "Jane@example.net"
aliases = ["jd@example.org"]
"""
QUIET = 'name = "Quiet"\nuntriaged = "normal"\n[priorities.normal]\ncode = 50\nmeaning = "Anything"\n'


def write(folder: Path, text: str = MINIMAL) -> Path:
    """Write a config whose folder has the policy "quiet"; returns the file."""
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    (folder / "policies" / "quiet.toml").write_text(QUIET)
    (folder / "rtmail.toml").write_text(text, "utf-8")
    return folder / "rtmail.toml"


def problems(file: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as told:
        config.load(file, environ or {})
    return [problem.what for problem in told.value.problems]


# Where it is found


def test_the_first_config_found_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, by_name, here = (write(tmp_path / name / "config") for name in ("named", "environment", "here"))
    monkeypatch.chdir(tmp_path / "here")
    assert config.load(named, {"RTMAIL_CONFIG": str(by_name)}).file == named
    assert config.load(None, {"RTMAIL_CONFIG": str(by_name)}).file == by_name
    assert config.load(None, {}).file == here
    monkeypatch.setattr(config, "LAST_RESORT", by_name)
    monkeypatch.chdir(tmp_path)
    assert config.load(None, {}).file == by_name
    monkeypatch.setattr(config, "LAST_RESORT", tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="there is no config"):
        config.load(None, {})


def test_a_folder_that_nobody_may_look_into_does_not_end_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`runuser -u rtmail -- rtmail check` in root's home: the config of the house is used, or what is wrong with it is told."""
    house = write(tmp_path / "house")
    closed = {Path("config/rtmail.toml")}
    looks = Path.stat

    def stat_of(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return looks(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat_of)
    monkeypatch.setattr(config, "LAST_RESORT", house)
    assert config.load(None, {}).file == house
    closed.add(house)
    assert config.find_config(None, {}) == config.find_config(house, {}) == house


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    file = write(tmp_path)
    file.write_bytes(b'[site]\nname = "Gr\xfc\xdfe"\n')
    with pytest.raises(ConfigError) as told:
        config.load(file, {})
    assert (told.value.problems[0].line, told.value.problems[0].what) == (2, "the file is not UTF-8")
    with pytest.raises(ConfigError):
        config.load(tmp_path, {})


def test_the_mark_of_a_windows_editor_is_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path)
    for one in (file, tmp_path / "policies" / "quiet.toml"):
        one.write_bytes(b"\xef\xbb\xbf" + one.read_bytes().replace(b"\n", b"\r\n"))
    assert config.load(file, {}).policies()


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ("", {}, "var"),
        ("", {"STATE_DIRECTORY": "/srv/state:/srv/other"}, "/srv/state"),
        ("data", {"STATE_DIRECTORY": "/srv/state"}, "data"),
        ("/srv/data", {}, "/srv/data"),
    ],
)
def test_the_state_folder(given: str, environ: dict[str, str], expected: str, tmp_path: Path) -> None:
    line = f'state = "{given}"\n' if given else ""
    file = write(tmp_path / "config", MINIMAL.replace("[site]\n", f"[site]\n{line}"))
    assert config.load(file, environ).state == tmp_path / expected


def test_data_never_lands_below_etc() -> None:
    from rtmail.config import reading

    tables, report = reading.read(MINIMAL, "rtmail.toml")
    config._state(tables, Path("/etc/rtmail"), {}, report)
    assert [problem.what for problem in report.problems] == ["data has no place below /etc"]
    assert config._state(tables, Path("/etc/rtmail"), {"STATE_DIRECTORY": "/var/lib/rtmail"}, report) == Path("/var/lib/rtmail")


def test_shipped_files_are_found_in_the_config_folder_first(tmp_path: Path) -> None:
    write(tmp_path)
    own = tmp_path / "templates" / "receipt.txt.j2"
    own.parent.mkdir()
    own.write_text("Mine\n\nBody\n")
    assert config.find_shipped("templates", "receipt.txt.j2", tmp_path) == own
    assert config.find_shipped("templates", "nudge.txt.j2", tmp_path) == ROOT / "templates" / "nudge.txt.j2"
    assert config.find_shipped("policies", "quiet.toml", tmp_path) == tmp_path / "policies" / "quiet.toml"
    assert config.find_shipped("policies", "portacare.toml") == ROOT / "config" / "policies" / "portacare.toml"
    assert config.find_shipped("config", "rtmail.toml") == ROOT / "config" / "rtmail.toml"
    for name in ("nothing.toml", "../rtmail.toml", "/etc/passwd"):
        assert config.find_shipped("policies", name, tmp_path) is None
    texts = config.load(tmp_path / "rtmail.toml", {}).templates()
    assert texts["receipt.txt.j2"] == "Mine\n\nBody\n"
    assert len(texts) > 20


# What it says


def every_key(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every key of the file with its default; NAME stands for a name that a sysadmin chooses."""
    inner = {
        "smtp": SmtpTable, "lmtp": LmtpTable, "imap": ImapTable, "queues": QueueTable, "people": PersonTable, "roles": RoleTable,
        "organisations": OrganisationTable, "plans": PlanTable, "duty": DutyTable, "dkim": DkimTable,
        "oauth": OauthTable, "monitoring": MonitorTable, "trackers": TrackerTable,
    }  # fmt: skip
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if name in inner and not isinstance(default, list | str):
            found += every_key(inner[name], (*path, name) if name in ("smtp", "lmtp") else (*path, name, "NAME"))
        elif isinstance(default, Table):
            found += every_key(type(default), (*path, name))
        else:
            found.append(((*path, name), default))
    return found


def uncommented() -> dict[str, Any]:
    lines = (ROOT / "config" / "rtmail.toml").read_text("utf-8").splitlines()
    return tomllib.loads("\n".join(re.sub(r"^# (?=\[|[a-z_]+ = )", "", line) for line in lines))


def test_the_example_shows_every_key() -> None:
    shown = uncommented()
    for path, _ in every_key(Tables):
        at: Any = shown
        for part in path:
            if part == "NAME":
                at = {key: value for table in at.values() for key, value in table.items()}
            else:
                assert part in at, f"config/rtmail.toml does not show {'.'.join(path)}"
                at = at[part]


def test_every_key_is_read_by_somebody() -> None:
    """`min_pause` and `max_pause` were checked and shown, and nobody looked at them."""
    readers = [path for path in (ROOT / "rtmail").rglob("*.py") if path.name not in ("sections.py", "checks.py")]
    read = {node.attr for path in readers for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
    assert {path[-1] for path, _ in every_key(Tables)} <= read


def test_the_example_shows_the_defaults() -> None:
    """A commented key shows its default, unless its comment names another or it has none."""
    lines = (ROOT / "config" / "rtmail.toml").read_text("utf-8").splitlines()
    readers = {timedelta: read_duration, Listen: read_listen, After: read_after}
    table, checked = "", 0
    for line in lines:
        if header := re.match(r"(?:# )?\[([a-z0-9._-]+)\]", line):
            table = header[1]
        pair = re.match(r"# ([a-z_]+) = (.*)", line)
        if not pair or "default:" in line:
            continue
        named = r"\b(imap|queues|people|roles|organisations|plans|duty|dkim|oauth|monitoring|trackers)\.[a-z0-9-]+"
        name = re.sub(named, r"\1.NAME", f"{table}.{pair[1]}")
        (default,) = (default for path, default in every_key(Tables) if ".".join(path) == name)
        shown = tomllib.loads(line[2:])[pair[1]]
        if default in ("", [], 0) and name not in ("caps.per_address",):
            continue
        if isinstance(default, int) and isinstance(shown, str):
            shown = read_mode(shown) if "mode" in name else read_size(shown)
        elif type(default) in readers:
            shown = readers[type(default)](shown)
        assert shown == default, f"{name}: the example shows {shown!r}, the default is {default!r}"
        checked += 1
    assert checked > 20


def test_site_and_directory(tmp_path: Path) -> None:
    text = MINIMAL + (
        '[roles.cto]\nperson = "jane"\n[organisations.acme]\nname = "Acme"\n'
        'domains = ["acme.example"]\ncontacts = ["bob@gmail.com"]\n'
        '[machines]\nsenders = ["Nagios@mon.example"]\n[forms]\nsenders = ["@web.example"]\n'
        '[auth]\ntrusted_authserv_ids = ["mx.example.com"]\n'
        '[ingress.imap.office]\nhost = "imap.example.com"\nuser = "u"\ntrusted_headers = ["X-MS-Exchange-Organization-AuthAs"]\n'
        "[relay]\nverp = false\n"
    )
    found = config.load(write(tmp_path, text), {"RTMAIL_IMAP_OFFICE_PASSWORD": "p"})
    site = found.site()
    assert (site.name, site.tag, site.domain, site.verp) == ("Example", "Example", "example.com", False)
    assert {spec: (own.queue, own.door) for spec, own in site.addresses.items()} == {
        "postmaster@example.com": ("", Door.ADMIN), "abuse@example.com": ("", Door.ADMIN),
        "support@example.com": ("support", Door.CORRESPONDENCE), "support-comment@example.com": ("support", Door.COMMENT),
    }  # fmt: skip
    assert site.machines == ("nagios@mon.example",)
    assert site.forms == ("@web.example",)
    assert site.authserv_ids == ("mx.example.com",)
    assert site.trusted_headers == {"imap:office": ("X-MS-Exchange-Organization-AuthAs",)}
    people = found.directory({"jane": 17})
    assert people.people["jane"].party == 17
    assert people.people["jane"].addresses == ("Jane@example.net", "jd@example.org")
    assert people.queues["support"].policy == "quiet"
    assert people.roles["cto"].person == "jane"
    assert people.organisation_of("x@acme.example") is people.organisations["acme"]
    assert found.imap_password("office") == "p"
    assert set(found.policies()) == {"quiet"}


def test_urls_get_their_user_and_password(tmp_path: Path) -> None:
    text = MINIMAL + '[relay]\nurl = "smtps://mail.example.com"\nuser = "me@example.com"\n[store]\nurl = "postgresql://rt@db/rtmail"\n'
    found = config.load(write(tmp_path, text), {"RTMAIL_RELAY_PASSWORD": "p", "RTMAIL_STORE_PASSWORD": "a/b@c"})
    assert found.relay_url == "smtps://me%40example.com@mail.example.com"
    assert found.relay_password == "p"
    assert found.store_url == "postgresql://rt:a%2Fb%40c@db/rtmail"
    assert found.store_name == "postgresql://rt@db/rtmail"
    assert "a/b@c" not in repr(found)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_duration, "90m", timedelta(minutes=90)), (read_duration, "5d", timedelta(days=5)),
        (read_duration, "30s", timedelta(seconds=30)),
        (read_duration, "1bd", None), (read_duration, "-1h", None), (read_duration, 90, None), (read_duration, "", None),
        (read_size, "25MB", 25 << 20), (read_size, "1 GB", 1 << 30), (read_size, 2048, 2048), (read_size, "0MB", None),
        (read_size, True, None),
        (read_listen, "127.0.0.1:25", Listen("127.0.0.1", 25)), (read_listen, "[::1]:25", Listen("::1", 25)),
        (read_listen, "mail.example.com:25", Listen("mail.example.com", 25)), (read_listen, "unix:/run/x", Listen(path="/run/x")),
        (read_listen, "::1:25", None), (read_listen, ":25", None), (read_listen, "127.0.0.1:0", None), (read_listen, "[x]:25", None),
        (read_listen, "127.0.0.1:70000", None), (read_listen, "unix:", None), (read_listen, 25, None), (read_listen, "a b:25", None),
        (read_after, "move:Done/2026", After("move", "Done/2026")), (read_after, "flag", After("flag")), (read_after, "move:", None),
        (read_after, "move:a\r\nb", None), (read_after, "expunge", None), (read_mode, "0660", 0o660), (read_mode, "660", 0o660),
        (read_mode, "888", None), (read_mode, 660, None),
    ],
)  # fmt: skip
def test_values(read: Any, text: Any, value: Any) -> None:
    if value is None:
        with pytest.raises(Mistake) as told:
            read(text)
        assert told.value.cure
    else:
        assert read(text) == value


# Secrets


def test_the_environment_wins_over_env_file_and_credentials(tmp_path: Path) -> None:
    file = write(tmp_path, MINIMAL + '[relay]\nurl = "smtps://u@mail.example.com"\n')
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "RTMAIL_RELAY_PASSWORD").write_text("of credentials\n")
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert config.load(file, environ).relay_password == "of credentials"
    (tmp_path / ".env").write_text("RTMAIL_RELAY_PASSWORD=\"of ${HOME} file\"\nHOME=x\n")
    (tmp_path / ".env").chmod(0o600)
    assert config.load(file, environ).relay_password == "of ${HOME} file"
    assert config.load(file, {**environ, "RTMAIL_RELAY_PASSWORD": "of environment"}).relay_password == "of environment"


def test_an_env_file_that_everybody_reads_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / ".env").write_text("OTHER=1\n")
    (tmp_path / ".env").chmod(0o644)
    assert problems(file) == ["everybody on this machine can read the secrets"]


@pytest.mark.parametrize(
    ("raw", "line", "what"),
    [
        (b"# ours\nRTMAIL_RELAY_PASSWORD='p\xe4ss'\n", 2, "the file is not UTF-8"),
        (b"\nRTMAIL_RELAY_PASSWORD='pass\nRTMAIL_STORE_PASSWORD=x\n", 2, "the line cannot be read"),
        (b"RTMAIL_RELAY_PASSWORD: pass\n", 1, "the line cannot be read"),
    ],
)
def test_a_secret_that_is_read_by_halves_is_a_mistake(raw: bytes, line: int, what: str, tmp_path: Path) -> None:
    """It would be a wrong password, hours later at another server."""
    file = write(tmp_path)
    (tmp_path / ".env").write_bytes(raw)
    (tmp_path / ".env").chmod(0o600)
    with pytest.raises(ConfigError) as told:
        config.load(file, {})
    assert (line, what) in [(problem.line, problem.what) for problem in told.value.problems]


def test_a_credential_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "RTMAIL_RELAY_PASSWORD").write_bytes(b"p\xe4ss")
    (tmp_path / "RTMAIL_STORE_PASSWORD").mkdir()
    with pytest.raises(ConfigError) as told:
        config.load(write(tmp_path / "config"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert [problem.what for problem in told.value.problems] == ["the file is not UTF-8", "cannot be read: Is a directory"]


def test_the_signing_key_is_made_once_and_kept(tmp_path: Path) -> None:
    found = config.load(write(tmp_path / "config"), {})
    assert not found.state.exists()
    mark = make_mark(found.keyring(), 1, 2)
    key_file = found.state / "secret.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.state.stat().st_mode) == 0o700
    assert make_mark(config.load(found.file, {}).keyring(), 1, 2) == mark
    assert [path.name for path in found.state.iterdir()] == ["secret.key"]
    key_file.write_text("")
    with pytest.raises(ConfigError, match="holds no signing key"):
        found.keyring()


def _key_of(state: str) -> str:
    return make_mark(secrets.key_in(Path(state)), 1, 2)


def test_two_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        assert len(set(pool.map(_key_of, [str(tmp_path)] * 32, chunksize=1))) == 1


def test_a_given_key_leaves_no_file(tmp_path: Path) -> None:
    found = config.load(write(tmp_path / "config"), {"RTMAIL_SECRET_KEY": "2:" + "ab" * 32 + ",0:" + "cd" * 16})
    assert found.keyring() == Keyring(2, {2: b"\xab" * 32, 0: b"\xcd" * 16})
    assert not found.state.exists()


@pytest.mark.parametrize("text", ["", "abc", "ab" * 15, "4:" + "ab" * 32, "ab" * 32 + "," + "cd" * 32, "zz" * 32, "a" * 33])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError):
        secrets.read_keys(text)


def test_smtp_auth(tmp_path: Path) -> None:
    hashed = passwords.make("correct horse")
    found = config.load(write(tmp_path), {"RTMAIL_AUTH_JANE": hashed})
    assert found.authenticate("jane", "correct horse") == "jane"
    assert found.authenticate("JANE@example.NET", "correct horse") == "jane"
    for user, password in (("jane", "wrong"), ("jane", ""), ("bob", "correct horse"), ("", "")):
        assert found.authenticate(user, password) is None
    assert config.load(found.file, {}).authenticate("jane", "") is None
    assert passwords.is_hash(hashed)
    assert passwords.make("correct horse") != hashed
    for text in ("", "correct horse", "scrypt:3:8:1:" + "ab" * 16 + ":" + "ab" * 32, "scrypt:4194304:8:1:" + "ab" * 16 + ":" + "ab" * 32):
        assert not passwords.is_hash(text)


def test_nobody_has_the_hash_of_nobody() -> None:
    assert passwords.is_hash(passwords.NOBODY)
    assert not passwords.matches(passwords.NOBODY, "")
