"""Tokens instead of passwords: by device code, by an app's secret, by a service account; kept, refreshed, taken by servers."""

from __future__ import annotations

import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail import config
from rtmail.clockwork import system
from rtmail.errors import ConfigError
from rtmail.ops import building
from rtmail.ops.doctor import Verdict, mailboxes, relay
from rtmail.ops.oauth import NoToken
from tests.fakes.badmta import BadMta
from tests.fakes.daemon import Running, wait_for
from tests.fakes.dovecot import Dovecot
from tests.fakes.house import mail
from tests.fakes.tokens import APP, APP_SECRET, TokenServer

TABLE = """
[oauth.office]
flow = "{flow}"
client_id = "{app}"
authority = "{authority}"
ca_file = "{ca_file}"
"""
SECRETS = {"RTMAIL_SECRET_KEY": "6b" * 32, "RTMAIL_OAUTH_OFFICE_SECRET": APP_SECRET}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TokenServer]:
    with TokenServer(tmp_path) as started:
        yield started


def table(server: TokenServer, flow: str) -> str:
    return TABLE.format(flow=flow, app=APP, authority=server.authority, ca_file=server.ca_file)


def found(running: Running, **secrets: str) -> config.Config:
    building._tokens.cache_clear()
    return config.load(running.config, {**SECRETS, **secrets})


def test_a_person_logs_in_once_and_the_token_is_refreshed_from_what_is_kept(tmp_path: Path, server: TokenServer) -> None:
    running = Running(tmp_path, ingress=table(server, "device"))
    with pytest.raises(NoToken, match="rtmail oauth login office"):
        building.tokens(found(running), "office", "").token()
    said = running.cli("oauth", "login", "office")
    assert "enter the code ABC-123" in said
    assert "next: rtmail doctor" in said
    kept = running.state / "oauth-office.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in running.state.glob("oauth*")] == ["oauth-office.json"], "no draft is left"
    tokens = building.tokens(found(running), "office", "")
    assert tokens.token() == tokens.token() == "token-device_code-1", "from memory, while it lives"
    server.lifetime = 60
    assert running.cli("oauth", "login", "office")
    tokens = building.tokens(found(running), "office", "")
    first, second = tokens.token(), tokens.token()
    assert (first, second) == ("token-refresh_token-3", "token-refresh_token-4"), "what ends within minutes is refreshed before"
    assert "refresh-4" in kept.read_text(), "and what refreshes it next is kept"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_login_that_was_taken_back_says_what_to_do(tmp_path: Path, server: TokenServer) -> None:
    server.lifetime = 60
    running = Running(tmp_path, ingress=table(server, "device"))
    running.cli("oauth", "login", "office")
    server.refusal = "AADSTS700082: The refresh token has expired due to inactivity.\r\nTrace ID: 1"
    with pytest.raises(NoToken) as caught:
        building.tokens(found(running), "office", "").token()
    assert "AADSTS700082: The refresh token has expired due to inactivity.; rtmail oauth login office" in str(caught.value)
    assert "Trace" not in str(caught.value)
    assert "nobody is logged in" in login_fails(running)
    assert "there is no [oauth.other]" in login_fails(running, "other")


def login_fails(running: Running, name: str = "office") -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "rtmail", "oauth", "login", name, "-c", str(running.config)],
        capture_output=True,
        text=True,
        env=running.environ,
        cwd=running.folder,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    return ran.stderr


def test_an_app_proves_itself(tmp_path: Path, server: TokenServer) -> None:
    running = Running(tmp_path, ingress=table(server, "client"))
    tokens = building.tokens(found(running), "office", "")
    assert tokens is building.tokens(config.load(running.config, SECRETS), "office", ""), "a reload disturbs nobody"
    assert tokens.token() == tokens.token() == "token-client_credentials-1"
    with pytest.raises(NoToken, match=r"invalid_client: AADSTS7000215: Invalid client secret provided.; see the secret's end"):
        building.tokens(found(running, RTMAIL_OAUTH_OFFICE_SECRET="wrong"), "office", "").token()


def test_a_service_account_of_google_asks_for_a_user(tmp_path: Path, server: TokenServer) -> None:
    key = server.service_account(tmp_path / "google.json")
    running = Running(
        tmp_path, ingress=f'[oauth.office]\nprovider = "google"\nflow = "client"\nkey_file = "{key}"\nca_file = "{server.ca_file}"\n'
    )
    tokens = building.tokens(found(running), "office", "support@example.com")
    assert tokens.token() == tokens.token() == "token-jwt-bearer-1"
    server.refusal = "Client is unauthorized"
    with pytest.raises(NoToken, match=r"let the service account act for jane@example.com"):
        building.tokens(found(running), "office", "jane@example.com").token()


def test_a_token_server_that_is_away_is_no_secret_and_no_crash(tmp_path: Path, server: TokenServer) -> None:
    running = Running(tmp_path, ingress=table(server, "client").replace(server.authority, "https://127.0.0.1:1/tenant"))
    with pytest.raises(NoToken, match="cannot be reached or talks nonsense"):
        building.tokens(found(running), "office", "").token()


MISNAMED = """
[ingress.imap.office]
host = "imap.example.net"
user = "box"
oauth = "ofice"
[oauth.office]
client_id = "x"
tenant = "y"
"""
DOVECOT = """
auth_mechanisms = plain login xoauth2
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {args}
}}
"""


@pytest.mark.servers
def test_dovecot_and_the_relay_take_the_tokens(tmp_path: Path, server: TokenServer) -> None:
    with tempfile.NamedTemporaryFile("w", prefix="rtmail-oauth-", suffix=".ext") as args:
        args.write(
            f"introspection_mode = post\nintrospection_url = {server.introspection}\nusername_attribute = username\n"
            "active_attribute = active\nactive_value = true\n"
        )
        args.flush()
        Path(args.name).chmod(0o644)
        with Dovecot({"box": "unused"}, more=DOVECOT.format(args=args.name)) as dovecot, BadMta("", "", times=0) as mta:
            mta.offers = b"AUTH XOAUTH2"
            ingress = (
                table(server, "client") + f'[ingress.imap.office]\nhost = "127.0.0.1"\nport = {dovecot.port}\ntls = "none"\nuser = "box"\n'
                'oauth = "office"\npoll = "1s"\n'
            )
            running = Running(
                tmp_path, relay=f"smtp://box@127.0.0.1:{mta.port}", relay_keys='oauth = "office"', ingress=ingress, environ=SECRETS
            )
            (one,) = mailboxes(found(running))
            assert one.verdict is Verdict.OK, one
            dovecot.append("box", [mail()])
            with running:
                wait_for(lambda: [ticket["subject"] for ticket in running.tickets()] == ["Printer down"])
                wait_for(lambda: "event=sent" in running.told(), told=running.told()[-2000:])
            server.dead.update(server.given)
            building._tokens.cache_clear()
            server.refusal = "AADSTS65001: the admin has not consented"
            (one,) = mailboxes(found(running))
            assert one.verdict is Verdict.FAIL
            assert "AADSTS65001" in one.said
            assert "docs/oauth.md" in one.cure
            said = relay(found(running), system())
            assert (said.verdict, "AADSTS65001" in said.said, "docs/oauth.md" in said.cure) == (Verdict.FAIL, True, True)
        assert not [token for token in server.given if token in running.told()]
        assert APP_SECRET not in running.told()


@pytest.mark.parametrize(
    ("tables", "secrets", "cure"),
    [
        ('[oauth.office]\nclient_id = "x"\n', {}, "tenant"),
        ('[oauth.office]\ntenant = "x"\n', {}, "client_id"),
        ('[oauth.office]\nclient_id = "x"\ntenant = "y"\nflow = "client"\n', {}, "RTMAIL_OAUTH_OFFICE_SECRET"),
        ('[oauth.office]\nclient_id = "x"\nauthority = "http://y/z"\n', {}, "https://login.example/TENANT"),
        ('[oauth.office]\nprovider = "google"\n', {}, 'flow = "client"'),
        ('[oauth.office]\nprovider = "google"\nflow = "client"\n', {}, "key_file"),
        ('[oauth.office]\nprovider = "google"\nflow = "client"\nkey_file = "none.json"\n', {}, "download"),
        (MISNAMED, {}, "office"),
    ],
)
def test_mistakes_are_told_with_their_cure(tmp_path: Path, tables: str, secrets: dict[str, str], cure: str) -> None:
    running = Running(tmp_path, ingress=tables)
    with pytest.raises(ConfigError) as caught:
        config.load(running.config, secrets)
    (problem,) = [one for one in caught.value.problems if cure in one.cure]
    assert problem.line > 1
