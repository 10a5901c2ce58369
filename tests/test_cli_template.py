"""`rtmail template`: every mail can be looked at, and a sysadmin's own file is tried before a customer sees it."""

from __future__ import annotations

import shutil
from email import message_from_bytes
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtmail.cli.template import template
from rtmail.errors import EX_CONFIG
from rtmail.mail.writing.samples import names

ROOT = Path(__file__).resolve().parent.parent
OWN = "{{ subject }}\n\nAhoy! Request #{{ number }} is aboard.\n\n{{ links() }}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path / "config"


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(template, [*words, "-c", str(folder / "rtmail.toml")])


def test_a_mail_is_shown_as_text_as_html_and_whole(folder: Path) -> None:
    text = run(folder, "show", "closing", "--language", "de").stdout
    assert "Subject: [Example #1042] Printer down" in text
    assert "Ja, gelöst:\n  <mailto:support+" in text
    assert "Ja, gelöst</a>" in run(folder, "show", "closing", "--language", "de", "--html").stdout
    raw = run(folder, "show", "words", "--raw").stdout_bytes
    assert message_from_bytes(raw).get_content_type() == "multipart/alternative"


def test_every_mail_is_named_with_its_languages(folder: Path) -> None:
    told = dict(line.split(maxsplit=1) for line in run(folder, "list").stdout.splitlines())
    assert set(told) == set(names())
    assert told["acknowledgement"] == "de, en, uk"


def test_unknown_names_are_told_with_those_that_exist(folder: Path) -> None:
    queue = ("show", "words", "--queue", "none")
    for words, code, said in ((("show", "nothing"), 1, "acknowledgement"), (queue, 2, "the config has support")):
        result = run(folder, *words)
        assert result.exit_code == code
        assert said in result.stderr


def test_a_file_in_the_config_folder_comes_first(folder: Path) -> None:
    (folder / "templates").mkdir()
    (folder / "templates" / "acknowledgement.txt.j2").write_text(OWN)
    assert "Ahoy! Request #1042 is aboard." in run(folder, "show", "acknowledgement").stdout
    assert "Guten Tag" in run(folder, "show", "acknowledgement", "--language", "de").stdout, "the others are the shipped ones"
    assert run(folder, "test").exit_code == 0


def test_all_mails_are_tried_and_written(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "test", "--write", str(tmp_path / "out"))
    assert result.exit_code == 0
    assert "no mistakes" in result.stdout
    assert (tmp_path / "out" / "support-closing.uk.eml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s\n\n{{ nmuber }}", "acknowledgement.txt.j2:3: 'nmuber' is undefined"),
        ("s\n\n{% if %}", "acknowledgement.txt.j2:3: Expected an expression"),
        ("s\n\n{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}", "loops more than"),
        ("s\n\n{{ ''.__class__ }}", "unsafe"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_cure(folder: Path, text: str, said: str) -> None:
    (folder / "templates").mkdir()
    (folder / "templates" / "acknowledgement.txt.j2").write_text(text)
    for words in (("test", "acknowledgement"), ("test",), ("show", "acknowledgement")):
        result = run(folder, *words)
        assert result.exit_code == EX_CONFIG
        assert said in result.stderr
        assert "cure:" in result.stderr
