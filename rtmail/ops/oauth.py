"""Access tokens for mailboxes and relays that take no passwords any more (XOAUTH2): Microsoft 365 by msal, Google by google-auth.

Both libraries are imported when the first token is asked for, in the thread that asks, and only where an `[oauth.NAME]` is configured. A
token is asked for at each connection and comes from memory while it lives. What a login by device code gave is kept in
the state folder, readable for its owner alone, and refreshed there.
"""

from __future__ import annotations

import functools
import os
import secrets
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtmail.errors import RtmailError

MICROSOFT = "https://login.microsoftonline.com"
MICROSOFT_SCOPES = ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
MICROSOFT_DAEMON_SCOPES = ("https://outlook.office365.com/.default",)
GOOGLE_SCOPES = ("https://mail.google.com/",)
PATIENCE_SECONDS = 30.0


class NoToken(RtmailError, OSError):  # noqa: N818  (told like any other trouble of a connection)
    """No token can be had now, with what to do about it."""


@dataclass(frozen=True, slots=True)
class Account:
    """One `[oauth.NAME]`.

    flow       "device": a person logged in once; "client": the daemon proves itself, by `secret` or by the file of a service account
    authority  of Microsoft's: the tenant's URL
    user       whose mailbox a service account asks for
    ca_file    further authorities to trust, "" for the system's
    """

    name: str
    provider: Literal["microsoft", "google"]
    flow: Literal["device", "client"]
    client_id: str = ""
    secret: str = ""
    authority: str = ""
    key_file: str = ""
    user: str = ""
    ca_file: str = ""


class Tokens:
    """Gives the access tokens of one account; from any thread, one at a time."""

    def __init__(self, account: Account, folder: Path) -> None:
        self._account, self._file = account, folder / f"oauth-{account.name}.json"
        self._lock = threading.Lock()
        self._source: _Microsoft | _Google | None = None

    def token(self) -> str:
        """Return a token that is good for some minutes at least. Raises NoToken."""
        with self._lock:
            return self._asked(lambda source: source.token())

    def login(self, show: Callable[[str], None]) -> None:
        """Let a person log in by device code: `show` gets what he has to do; returns when he has. Raises NoToken."""
        with self._lock:
            self._asked(lambda source: source.login(show))

    def _asked(self, ask: Callable[[_Microsoft | _Google], str]) -> str:
        try:
            if self._source is None:
                make = _Microsoft if self._account.provider == "microsoft" else _Google
                self._source = make(self._account, self._file)
            return ask(self._source)
        except NoToken:
            raise
        except ImportError:
            raise NoToken("msal or google-auth is not installed: pip install 'rtmail[oauth]'") from None
        except Exception as error:
            # These libraries raise whatever the network below them raises; its words may quote what was sent.
            raise NoToken(
                f"[oauth.{self._account.name}]: the token server cannot be reached or talks nonsense ({type(error).__name__})"
            ) from error


class _Microsoft:
    """msal: the device code flow with its refresh tokens, and client credentials."""

    def __init__(self, account: Account, file: Path) -> None:
        import msal

        self._account, self._file = account, file
        self._cache = msal.SerializableTokenCache()
        self._seen_at = 0
        kind = msal.ConfidentialClientApplication if account.flow == "client" else msal.PublicClientApplication
        self._app: Any = kind(
            account.client_id,
            client_credential=account.secret if account.flow == "client" else None,
            authority=account.authority,
            token_cache=self._cache,
            validate_authority=False,
            instance_discovery=False,
            http_client=_session(account.ca_file),
        )

    def token(self) -> str:
        if self._account.flow == "client":
            return self._taken(self._app.acquire_token_for_client(list(MICROSOFT_DAEMON_SCOPES)))
        self._read()
        accounts = self._app.get_accounts()
        if not accounts:
            raise NoToken(f"nobody has logged in: rtmail oauth login {self._account.name}")
        found = self._app.acquire_token_silent_with_error(list(MICROSOFT_SCOPES), account=accounts[0])
        self._write()
        return self._taken(found)

    def login(self, show: Callable[[str], None]) -> str:
        flow = self._app.initiate_device_flow(list(MICROSOFT_SCOPES))
        if "user_code" not in flow:
            self._taken(flow)
        show(str(flow.get("message") or f"open {flow['verification_uri']} and enter {flow['user_code']}"))
        for known in self._app.get_accounts():
            self._app.remove_account(known)
        found = self._taken(self._app.acquire_token_by_device_flow(flow))
        self._write()
        return found

    def _taken(self, answer: dict[str, Any] | None) -> str:
        if answer and answer.get("access_token"):
            return str(answer["access_token"])
        # The description names the tenant, a time and an id for Microsoft's support, on further lines; never a secret.
        code, words = (answer or {}).get("error", "no answer"), str((answer or {}).get("error_description", ""))
        cure = "see the secret's end and the app's rights" if self._account.flow == "client" else f"rtmail oauth login {self._account.name}"
        raise NoToken(f"[oauth.{self._account.name}]: {code}: {words.splitlines()[0][:200] if words else 'no token was given'}; {cure}")

    def _read(self) -> None:
        """Take what is in the file, where somebody logged in meanwhile."""
        try:
            changed_at = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed_at != self._seen_at:
            self._cache.deserialize(self._file.read_text("utf-8"))
            self._seen_at = changed_at

    def _write(self) -> None:
        if self._cache.has_state_changed:
            keep(self._file, self._cache.serialize())
            self._seen_at = self._file.stat().st_mtime_ns


class _Google:
    """google-auth: a service account that a Workspace's admin lets read one user's mail."""

    def __init__(self, account: Account, file: Path) -> None:
        from google.auth.transport.requests import Request
        from google.oauth2.service_account import Credentials

        self._account = account
        self._request = Request(_session(account.ca_file))
        found: Any = Credentials.from_service_account_file(account.key_file, scopes=list(GOOGLE_SCOPES))
        self._credentials = found.with_subject(account.user)

    def token(self) -> str:
        from google.auth.exceptions import RefreshError

        if not self._credentials.valid:
            try:
                self._credentials.refresh(self._request)
            except RefreshError as error:
                code = error.args[1].get("error", "") if len(error.args) > 1 and isinstance(error.args[1], dict) else ""
                raise NoToken(f"[oauth.{self._account.name}]: Google gives no token ({code or 'refused'}); let the service account act for "
                              f"{self._account.user} with {GOOGLE_SCOPES[0]} in the admin console") from None
        return str(self._credentials.token)

    def login(self, show: Callable[[str], None]) -> str:
        raise NoToken("a service account needs no login: rtmail doctor tries it")


def _session(ca_file: str) -> Any:
    """Return a session of requests that trusts `ca_file` besides what it trusts anyway, and that waits no longer than it must."""
    import requests
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            context = ssl.create_default_context()
            if ca_file:
                context.load_verify_locations(ca_file)
            super().init_poolmanager(*args, **kwargs, ssl_context=context)

    session = requests.Session()
    session.mount("https://", Adapter(max_retries=1))
    session.request = functools.partial(session.request, timeout=PATIENCE_SECONDS)  # type: ignore[method-assign]
    return session


def keep(file: Path, text: str) -> None:
    """Write a secret whole, readable for its owner alone."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
