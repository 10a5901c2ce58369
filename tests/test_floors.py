"""Who may import whom: downwards only, one door per library, and nothing pure touches the world."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "rtmail"
MODULES = sorted(ROOT.rglob("*.py"))

FLOORS = {
    "errors": 0, "failpoint": 0, "log": 0, "logwriter": 0,
    "mail": 1, "policy": 1,
    "desk": 2,
    "store": 3,
    "engine": 4, "ingress": 4, "egress": 4,
    "config": 5, "ops": 5,
    "clockwork": 6, "systemd": 6, "ticking": 6, "workroom": 6, "partner": 6, "daemon": 6, "cli": 6, "__main__": 6,
    "allocator": 6,
}
SIDEWAYS = {
    ("ops", "config"), ("log", "logwriter"), ("daemon", "partner"), ("daemon", "workroom"), ("daemon", "clockwork"), ("daemon", "systemd"),
    ("daemon", "allocator"),
    ("partner", "workroom"), ("workroom", "ticking"), ("workroom", "clockwork"), ("ticking", "clockwork"),
    ("cli", "workroom"), ("cli", "clockwork"), ("cli", "daemon"), ("__main__", "cli"),
}
"""Imports within a floor that are meant; everything else on one floor keeps to itself."""
ROOMS = {"": 0, "proof": 1, "reading": 2, "privacy": 3, "writing": 3}
"""Of `mail`: what stands in the wing itself is below its rooms, and they import downwards only."""
CONFIG_READERS = {"config", "ops", "workroom", "partner", "daemon", "cli", "__main__"}
ANYWHERE = {"errors", "failpoint", "log"}
DOORS = {
    "aiosmtpd": {"ingress/smtp"}, "aiosmtplib": {"egress/relay"}, "imapclient": {"ingress/imap"},
    "mailparser": {"mail/reading/message"}, "jinja2": {"mail/writing/templates"}, "peewee": {"store/"}, "playhouse": {"store/"},
    "schedule": {"ticking"}, "dotenv": {"config"}, "structlog": {"log"}, "holidays": {"policy/hours"},
    "authres": {"mail/proof/identity"}, "dkim": {"mail/proof/own_checks"}, "cryptography": {"mail/writing/dkim_sign"},
    "dns": {"engine/resolver"}, "spf": {"engine/sender_checks"}, "click": {"cli/"}, "pydantic": {"config"},
    "flufl": {"mail/reading/bounce"},
    "quotequail": {"mail/reading/quoting"}, "inscriptis": {"mail/reading/html"}, "tnefparse": {"mail/reading/tnef"},
    "publicsuffixlist": {"mail/address", "mail/domains"}, "zstandard": {"store/"}, "psycopg": {"store/"},
    "prometheus_client": {"ops/metrics"}, "stdnum": {"mail/privacy/private"}, "csv": {"mail/writing/table_csv", "config/importing"},
    "rich": {"cli/"}, "icalendar": {"mail/writing/calendar"}, "msal": {"ops/oauth"}, "google": {"ops/oauth"}, "requests": {"ops/oauth"},
    "ctypes": {"allocator"},
}
WORLDLY = {"os", "socket", "random", "secrets", "time", "subprocess", "sqlite3", "asyncio", "threading", "pathlib"}


def wing(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix()


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    here = wing(path)
    if here == "__init__":
        return
    for imported in imports(path):
        parts = imported.split(".")
        if parts[0] != "rtmail" or len(parts) < 2 or parts[1].startswith("__"):
            continue
        there = parts[1]
        if there in ANYWHERE or there == here:
            continue
        assert there in FLOORS, f"{name_of(path)} imports unknown wing {there}"
        if there == "config":
            assert here in CONFIG_READERS, f"{name_of(path)} imports config"
            continue
        assert FLOORS[there] < FLOORS[here] or (here, there) in SIDEWAYS, f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_library_has_one_door(path: Path) -> None:
    here = name_of(path)
    for imported in imports(path):
        doors = DOORS.get(imported.split(".")[0])
        assert doors is None or any(here == door or here.startswith(door) for door in doors), f"{here} imports {imported}"


@pytest.mark.parametrize("path", [p for p in MODULES if wing(p) in ("mail", "policy", "desk")], ids=name_of)
def test_the_pure_wings_touch_no_world(path: Path) -> None:
    touched = {imported.split(".")[0] for imported in imports(path)} & WORLDLY
    assert not touched, f"{name_of(path)} imports {touched}"
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"open", "datetime.now", "datetime.utcnow", "date.today"}, name_of(path)


@pytest.mark.parametrize("path", [path for path in MODULES if wing(path) == "mail"], ids=name_of)
def test_rooms_of_mail_import_downwards(path: Path) -> None:
    here = name_of(path).split("/")[1:-1]
    for imported in imports(path):
        _, there, *rest = imported.split(".")[:4] if imported.startswith("rtmail.") else ("", "")
        if there != "mail" or not rest:
            continue
        room = rest[0] if rest[0] in ROOMS else ""
        mine = here[0] if here else ""
        assert room == mine or ROOMS[room] < ROOMS[mine], f"{name_of(path)} imports {imported}"
