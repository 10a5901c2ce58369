"""What can be wrong with [oauth.NAME]: tokens instead of passwords, for mailboxes and the relay."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rtmail.config import secrets
from rtmail.config.reading import Report, suggestion
from rtmail.config.secrets import Secrets
from rtmail.config.sections import Tables


def used(tables: Tables, report: Report, path: tuple[str, ...], name: str) -> None:
    """Tell of a mailbox or relay that names an [oauth.NAME] which is not there."""
    if name not in tables.oauth:
        report.tell(path, f"there is no [oauth.{name}]", suggestion(name, tables.oauth, f"add [oauth.{name}] with client_id and tenant"))


def check(tables: Tables, report: Report, folder: Path, found: Secrets) -> None:
    """Tell what keeps a token from being had."""
    for name, table in tables.oauth.items():
        path = ("oauth", name)
        library = "msal" if table.provider == "microsoft" else "google"
        if not _installed("msal" if library == "msal" else "google.oauth2"):
            report.tell(path, f"the library for {table.provider} is not installed", "pip install 'rtmail[oauth]'")
        if table.ca_file and not (folder / table.ca_file).is_file():
            cure = "write the path of a PEM file, relative to the config folder"
            report.tell((*path, "ca_file"), f"there is no file {folder / table.ca_file}", cure)
        if table.provider == "google":
            _google(report, path, table.flow, folder / table.key_file if table.key_file else None)
            continue
        if not table.client_id:
            report.tell(path, "no app is named", 'add client_id = "…", the Application (client) ID of the app registration')
        if not table.tenant and not table.authority:
            report.tell(path, "no tenant is named", 'add tenant = "example.com", or the Directory (tenant) ID')
        if table.authority and not table.authority.startswith("https://"):
            cure = 'write an address with the tenant: "https://login.example/TENANT"'
            report.tell((*path, "authority"), f"{table.authority!r} is no authority", cure)
        if table.flow == "client" and not found.get(secrets.oauth_secret(name)):
            report.tell(path, "the app has no secret", f"set {secrets.oauth_secret(name)} in .env beside the config")


def _google(report: Report, path: tuple[str, ...], flow: str, key: Path | None) -> None:
    if flow != "client":
        report.tell((*path, "flow"), "Google lets no device code read mail", 'write flow = "client", with a service account\'s key_file')
    if key is None:
        report.tell(path, "no service account is named", 'add key_file = "google.json", the key of the service account, mode 0600')
    elif not key.is_file():
        report.tell((*path, "key_file"), f"there is no file {key}", "download the key of the service account as JSON")
    elif key.stat().st_mode & 0o077:
        report.tell((*path, "key_file"), f"others can read {key}", f"chmod 600 {key}")


def _installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ModuleNotFoundError:
        return False
