"""Debian's Best Practical RT 5, unpacked and not installed: it makes a database and fills it through its own mail gateway."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.needed import lacking

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".cache" / "rt"
FILL = Path(__file__).with_name("rt_fill.pl")
CONFIG = """
Set($rtname, 'old.example.com');
Set($Organization, 'old.example.com');
{database}
Set($CorrespondAddress, 'support@old.example.com');
Set($CommentAddress, 'support-comment@old.example.com');
Set($MailCommand, 'testfile');
Set($LogToFile, undef);
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'error');
Set($Timezone, 'UTC');
1;
"""


def filled(folder: Path, requests: int, url: str = "") -> list[dict[str, Any]]:
    """Make a database of so many requests and return what RT says is in it; ends the test where RT cannot be had.

    url  postgresql://… of an empty database; without one it is the file rt.sqlite in `folder`
    """
    if not (UNPACKED / "usr" / "sbin" / "rt-setup-database-5").is_file():
        lacking(f"RT is not unpacked in {UNPACKED.relative_to(ROOT)}: tools/servers.sh long")
    config = folder / "RT_SiteConfig.pm"
    config.write_text(CONFIG.replace("{database}", _database(folder, url)))
    libraries = UNPACKED / "usr" / "lib" / "x86_64-linux-gnu"
    perl = (UNPACKED / "usr/share/request-tracker5/lib", UNPACKED / "usr/share/perl5", *sorted((libraries / "perl5").glob("5.*")))
    environ = {**os.environ, "PERL5LIB": ":".join(map(str, perl)), "LD_LIBRARY_PATH": str(libraries), "RT_SITE_CONFIG": str(config)}
    setup = ["perl", str(UNPACKED / "usr/sbin/rt-setup-database-5"), "--action", "init", "--skip-create", "--dba-password", ""]
    _ran(setup, folder, environ)
    said = _ran(["perl", str(FILL), str(requests)], folder, environ)
    return [json.loads(line) for line in said.splitlines()]


def _database(folder: Path, url: str) -> str:
    if not url:
        return f"Set($DatabaseType, 'SQLite');\nSet($DatabaseName, '{folder / 'rt.sqlite'}');"
    parts = urlsplit(url)
    said = {"Type": "Pg", "Host": parts.hostname or dict(parse_qsl(parts.query)).get("host", ""), "Port": str(parts.port or ""),
            "Name": parts.path.strip("/"), "User": parts.username or "", "Password": parts.password or ""}
    return "\n".join(f"Set($Database{name}, '{value}');" for name, value in said.items())


def _ran(words: list[str], folder: Path, environ: dict[str, str]) -> str:
    ran = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=1200, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
