"""`rtmail snippet`: what it prints for the shipped example is what the pages show, and what the tests run real servers with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtmail import config
from rtmail.cli.snippet import snippet
from rtmail.ops.snippets import MAKE
from tests.fakes.daemon import ROOT

EXAMPLES = ROOT / "docs" / "examples"
LMTP = '[ingress.lmtp]\nlisten = "127.0.0.1:2424"\n'


def house(folder: Path, *, lmtp: str = "", smtp: bool = True, detail: str = "+") -> Path:
    file = folder / "config" / "rtmail.toml"
    file.parent.mkdir(parents=True)
    text = (ROOT / "config" / "rtmail.toml").read_text().replace('# detail = "+"', f'detail = "{detail}" #')
    if not smtp:
        text = text.replace("[ingress.smtp] ", "# ").replace('listen = "127.0.0.1:2525"', "#")
    file.write_text(text.replace("\n[relay]\n", f"\n{lmtp}\n[relay]\n", 1))
    return file


def printed(file: Path, what: str) -> str:
    result = CliRunner().invoke(snippet, [what, "-c", str(file)])
    assert result.exit_code == 0, result.output
    return result.stdout


def said(text: str) -> list[str]:
    """The lines that count, however they are spaced."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize(
    ("lmtp", "smtp", "table"),
    [
        (LMTP, True, "rtmail.lmtp"),
        ("", False, "rtmail.pipe"),
        ('[ingress.lmtp]\nlisten = "unix:/run/rtmail-lmtp.sock"\n', True, "rtmail.socket"),
    ],
)
def test_postfix(tmp_path: Path, lmtp: str, smtp: bool, table: str) -> None:
    lines = said(printed(house(tmp_path, lmtp=lmtp, smtp=smtp), "postfix"))
    folder = EXAMPLES / "postfix"
    main = said((folder / "main.cf").read_text())
    pipe_only = [line for line in main if line.startswith("rtmail_destination")]
    wanted = [line for line in main if line not in pipe_only or table == "rtmail.pipe"] + said((folder / table).read_text())
    assert lines[: len(wanted)] == wanted
    assert set(lines[len(wanted) :]) <= set(said((folder / "master.cf").read_text()))
    assert bool(lines[len(wanted) :]) is (table != "rtmail.lmtp")


def test_postfix_by_smtp(tmp_path: Path) -> None:
    assert "support@example.com smtp:[127.0.0.1]:2525" in said(printed(house(tmp_path), "postfix"))


@pytest.mark.parametrize("lmtp", [LMTP, ""])
def test_exim(tmp_path: Path, lmtp: str) -> None:
    lines = said(printed(house(tmp_path, lmtp=lmtp), "exim"))
    known = said((EXAMPLES / "exim" / "rtmail.conf").read_text())
    transport = "rtmail_lmtp" if lmtp else "rtmail_pipe"
    assert f"transport = {transport}" in lines
    assert [line for line in lines if not line.startswith("transport =")] == [
        line
        for line in known[: known.index("begin transports") + 1] + _section(known, f"{transport}:")
        if not line.startswith("transport =")
    ]


def _section(lines: list[str], name: str) -> list[str]:
    start = lines.index(name)
    end = next((at for at in range(start + 1, len(lines)) if lines[at].endswith(":")), len(lines))
    return lines[start:end]


def test_exim_looks_at_the_comment_address_first_where_the_delimiter_is_in_it(tmp_path: Path) -> None:
    lines = said(printed(house(tmp_path, detail="-"), "exim"))
    assert "local_parts = support-comment : support : postmaster : abuse" in lines
    assert "local_part_suffix = -*" in lines
    assert not [line for line in said(printed(house(tmp_path / "off", detail="off"), "exim")) if "part_suffix" in line]


def test_dovecot(tmp_path: Path) -> None:
    lines = said(printed(house(tmp_path), "dovecot"))
    assert said((EXAMPLES / "dovecot" / "rtmail.conf").read_text()) + said((EXAMPLES / "dovecot" / "aliases").read_text()) == lines[:5]


@pytest.mark.parametrize("what", ["dovecot", "microsoft", "gmail"])
def test_our_own_lines_are_a_config(tmp_path: Path, what: str) -> None:
    """Pasted into the file, in the place of the tables that it has, they pass; what only an admin knows aside."""
    file = house(tmp_path)
    ours = printed(file, what).partition("rtmail.toml")[2].partition("\n")[2]
    tables = tomllib.loads(ours)
    assert tables["ingress"]["imap"]["office"]["user"] == "support@example.com"
    text = file.read_text()
    if "relay" in tables:
        start = text.index("\n[relay]")
        text = text[:start] + text[text.index("\n[caps]") :]
    file.write_text(text + ours)
    config.load(file, {"RTMAIL_IMAP_OFFICE_PASSWORD": "x", "RTMAIL_RELAY_PASSWORD": "x", "RTMAIL_OAUTH_OFFICE_SECRET": "x"})


def test_aliases_name_every_address(tmp_path: Path) -> None:
    lines = said(printed(house(tmp_path), "aliases"))
    assert [line.split(":")[0] for line in lines] == ["support", "support-comment", "postmaster", "abuse"]
    assert all(line.endswith('"|/usr/local/lib/rtmail/rtmail-receive"') for line in lines)


def test_every_snippet_is_there_and_names_nothing_of_another_house(tmp_path: Path) -> None:
    file = house(tmp_path)
    file.write_text(file.read_text().replace("example.com", "acme.example"))
    for what in MAKE:
        text = printed(file, what)
        assert "example.com" not in text, what
        assert "support@acme.example" in text or what in ("exim", "aliases")
        assert max(map(len, text.splitlines())) <= 140
