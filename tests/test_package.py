"""The Debian package and the wheel on machines that have seen neither: installed, set up, upgraded, removed, purged."""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
from functools import partial
from pathlib import Path

import pytest

from rtmail import __version__
from tests.fakes.daemon import wait_for
from tests.fakes.machine import Bare, Machine, brought, deb_of_rtmail, wheel_of_rtmail
from tests.fakes.needed import program

pytestmark = [pytest.mark.long, pytest.mark.servers]

ROOT = Path(__file__).resolve().parent.parent
FRESH = ROOT / "tests" / "fresh"
STEPS = ("installed", "configured", "serving", "acknowledged", "doctor finds nothing")
NEXT = "9.9.9-1"
INIT = ("rtmail init /etc/rtmail --site Acme --domain acme.example --admin ops@other.example "
        "--person jane='Jane Doe <jane@other.example>'")  # fmt: skip


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deb_of_rtmail(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def newer(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a later version, whose example config says more and whose default policy is as it was."""
    folder = tmp_path_factory.mktemp("newer")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True, timeout=300)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {NEXT}", control.read_text(), flags=re.MULTILINE))
    example = tree / "etc" / "rtmail" / "rtmail.toml"
    example.write_text(f"{example.read_text()}\n# said by the later version\n")
    (package,) = tree.glob("usr/lib/rtmail/lib/python3*/site-packages/rtmail/__init__.py")
    package.write_text(package.read_text().replace(__version__, NEXT))
    made = folder / f"rtmail_{NEXT}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, made], check=True, timeout=300)
    shutil.rmtree(tree)
    return made


# -- from nothing to an answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wheel", "deb"])
def test_a_house_on_a_machine_with_nothing_but_python(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Installed, `rtmail init` by flags, `serve`, a mail in, its acknowledgement out, and a doctor who finds nothing."""
    package = request.getfixturevalue("deb") if kind == "deb" else wheel_of_rtmail(tmp_path)
    bare = Bare(tmp_path)
    brought(bare, package, *FRESH.iterdir())
    said = bare.run(f"sh house.sh /root/{package.name}", seconds=600)
    took = dict(re.findall(r"^(.+): (\d+) ms, \d+ ms of processors$", said, re.MULTILINE))
    assert tuple(took) == STEPS, said
    assert "Subject: Re: [Acme #1] Printer down" in said
    findings = re.findall(r"^(ok|warn|fail) +(.+?): ", said, re.MULTILINE)
    assert {verdict for verdict, _ in findings} == {"ok"}, said
    assert len(findings) > 12
    assert "the sum closes" in said


# -- dpkg ------------------------------------------------------------------------------------------------------------


def files(bare: Bare) -> set[str]:
    """Return all that lies on the machine, but for dpkg's and adduser's own notes and what belongs to the test."""
    said = bare.run("find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o -path /run -prune -o -path /root -prune"
                    " -o -path /wheels -prune -o -path /tmp -prune -o -name __pycache__ -prune -o -print")  # fmt: skip
    own = re.compile(r"/var/(lib/dpkg|log|cache|backups)(/|$)|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$")
    return {line for line in said.splitlines() if not own.match(line)}


def test_installed_upgraded_removed_and_purged(deb: Path, newer: Path, tmp_path: Path) -> None:
    bare = Bare(tmp_path)
    brought(bare, deb, newer)
    before = files(bare)
    users = bare.run("getent passwd; getent group")
    said = bare.run(f"dpkg --install {deb.name}")
    assert "rtmail init /etc/rtmail" in said
    conffiles = set(re.findall(r"^ (/etc/\S+) ", bare.run("dpkg-query --showformat '${Conffiles}\\n' --show rtmail"), re.MULTILINE))
    assert conffiles == {"/etc/rtmail/rtmail.toml", "/etc/rtmail/policies/default.toml"}
    assert bare.run("stat -c '%a %U %G' /var/lib/rtmail").split() == ["700", "rtmail", "rtmail"]
    assert bare.run("getent passwd rtmail").strip().endswith(":/var/lib/rtmail:/usr/sbin/nologin")
    assert f"rtmail, version {__version__}" in bare.run("rtmail --version")
    for path in ("/usr/share/man/man1/rtmail.1.gz", "/usr/share/man/man5/rtmail.toml.5.gz", "/lib/systemd/system/rtmail-smtp.socket",
                 "/usr/share/zsh/vendor-completions/_rtmail", "/usr/share/fish/vendor_completions.d/rtmail.fish"):  # fmt: skip
        assert bare.path(path).exists(), path
    completing = "COMP_WORDS='rtmail doc' COMP_CWORD=1 _RTMAIL_COMPLETE=bash_complete rtmail"
    assert "plain,doctor" in bare.run(completing)
    assert "complete -o nosort -F _rtmail_completion rtmail" in bare.path("/usr/share/bash-completion/completions/rtmail").read_text()
    unit = bare.path("/lib/systemd/system/rtmail.service").read_text()
    assert "ExecStart=/usr/lib/rtmail/bin/python -I -m rtmail serve --config %E/rtmail/rtmail.toml\n" in unit
    assert "/opt" not in unit
    assert "no mistakes" in bare.run("rtmail check"), "the example is sound as it comes"
    # What compiled parts there are can all be loaded.
    bare.run("/usr/lib/rtmail/bin/python -I -c 'import psycopg, msal, google.auth, prometheus_client, dkim, spf, lxml.etree, nh3'")

    # An example that nobody touched is replaced without a question.
    assert "Configuration file" not in bare.run(f"dpkg --install {newer.name}")
    assert "said by the later version" in bare.path("/etc/rtmail/rtmail.toml").read_text()
    assert NEXT in bare.run("rtmail --version")
    bare.run(f"dpkg --install {deb.name}")

    # init fills it in; from then on it is the admin's.
    bare.run(f"RTMAIL_RELAY_PASSWORD=hunter2 {INIT} --relay smtps://desk@mail.acme.example --no-try")
    assert bare.run("stat -c '%a %U %G' /etc/rtmail/.env").split() == ["640", "root", "rtmail"]
    mine = bare.path("/etc/rtmail/rtmail.toml").read_text()
    assert "support@acme.example" in mine
    assert "kept" in bare.run(INIT)
    assert bare.path("/etc/rtmail/rtmail.toml").read_text() == mine
    mail = (ROOT / "docs" / "first.eml").read_text()
    assert "2.0.0 kept" in bare.run("rtmail receive --to support@acme.example", stdin=mail)
    assert bare.run("find /var/lib/rtmail ! -user rtmail") == "", "root's command made the daemon's files"
    bare.run("rtmail backup /root/house.backup")
    assert bare.run("stat -c '%a %U' /root/house.backup").split() == ["600", "root"]
    assert bare.run("find /var/lib/rtmail ! -user rtmail") == ""
    said = bare.run("chmod 600 /etc/rtmail/.env; ! rtmail ticket list")
    assert "/etc/rtmail/.env:1: cannot be read by rtmail: Permission denied" in said
    assert "chown root:rtmail /etc/rtmail/.env && chmod 640 /etc/rtmail/.env" in said
    bare.run("chown root:rtmail /etc/rtmail/.env && chmod 640 /etc/rtmail/.env && rtmail ticket list")
    said = bare.run("! runuser -u nobody rtmail ticket list")
    assert "nobody" in said

    # The same example again asks nothing; a changed one asks, and the answer "keep" keeps.
    assert "Configuration file" not in bare.run(f"dpkg --install {deb.name} </dev/null")
    asked = bare.run(f"dpkg --install {newer.name}", stdin="N\n")
    assert "Configuration file '/etc/rtmail/rtmail.toml'" in asked
    assert "policies/default.toml" not in asked
    assert bare.path("/etc/rtmail/rtmail.toml").read_text() == mine
    assert "said by the later version" in bare.path("/etc/rtmail/rtmail.toml.dpkg-dist").read_text()
    assert "no mistakes" in bare.run("rtmail check")

    bare.run("dpkg --remove rtmail")
    assert not bare.path("/usr/lib/rtmail").exists()
    assert bare.path("/etc/rtmail/rtmail.toml").read_text() == mine
    assert bare.path("/var/lib/rtmail/rtmail.db").exists()
    bare.run(f"dpkg --install {newer.name}")
    # The spool still holds the mail: it can be counted.
    assert re.search(r"accepted +1", bare.run("rtmail audit", check=False))
    bare.run("dpkg --purge rtmail")
    assert files(bare) == before
    assert bare.run("getent passwd; getent group") == users
    assert "no packages found" in bare.run("dpkg --list rtmail", check=False)


def test_lintian_finds_nothing(deb: Path) -> None:
    lintian = program("lintian", "lintian")
    command = [lintian, "--allow-root", "--fail-on", "error,warning", deb]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert ran.returncode == 0, ran.stdout
    assert not re.search(r"^[EW]: ", ran.stdout, re.MULTILINE), ran.stdout


def test_the_changelog_is_of_this_version() -> None:
    assert (ROOT / "debian" / "changelog").read_text().startswith(f"rtmail ({__version__}-1) ")


# -- under systemd ---------------------------------------------------------------------------------------------------


def test_an_upgrade_stops_and_starts_what_ran(deb: Path, newer: Path, tmp_path: Path) -> None:
    with Machine(tmp_path) as machine:
        brought(machine, deb, newer)
        machine.run(f"dpkg --install {deb.name}", seconds=300)
        assert machine.run("systemctl is-enabled rtmail.service rtmail-smtp.socket", check=False).split() == ["disabled", "disabled"]
        assert machine.shown("rtmail", "ActiveState") == "inactive", "an example is not served"
        machine.run(INIT)
        machine.run("systemctl enable --now rtmail-smtp.socket rtmail.service")
        send(machine, 1)
        wait_for(partial(acknowledged, machine, 1), 60, "no acknowledgement")
        first = machine.shown("rtmail", "MainPID")

        machine.run(f"dpkg --install --force-confold {newer.name}", seconds=300)
        assert machine.run("systemctl is-active rtmail.service rtmail-smtp.socket").split() == ["active", "active"]
        assert machine.shown("rtmail", "MainPID") not in ("0", first)
        assert f"rtmail {NEXT}" in machine.run("rtmail doctor", check=False)
        send(machine, 2)
        wait_for(partial(acknowledged, machine, 2), 60, "no acknowledgement after the upgrade")

        # What stood still is not started by an upgrade.
        machine.run("systemctl stop rtmail-smtp.socket rtmail.service")
        machine.run(f"dpkg --install --force-confold {newer.name}", seconds=300)
        assert machine.shown("rtmail", "ActiveState") == "inactive"
        assert machine.run("systemctl is-enabled rtmail.service").strip() == "enabled"

        machine.run("systemctl start rtmail-smtp.socket rtmail.service")
        machine.run("dpkg --remove rtmail")
        assert machine.shown("rtmail", "ActiveState") != "active"
        machine.run("dpkg --purge rtmail")
        assert not machine.path("/var/lib/rtmail").exists()
        assert machine.run("systemctl list-unit-files 'rtmail*'", check=False).count("rtmail") == 0


def send(machine: Machine, number: int) -> None:
    """Hand a mail to port 25 of the machine."""

    def over() -> None:
        with smtplib.SMTP("127.0.0.1", 25, timeout=60) as client:
            head = f"From: bob{number}@acme.test\r\nSubject: Printer\r\nMessage-ID: <{number}@acme.test>\r\n"
            client.sendmail(f"bob{number}@acme.test", ["support@acme.example"], f"{head}\r\nIt burns.\r\n")

    machine.online(over)


def acknowledged(machine: Machine, number: int) -> bool:
    return any(b"To: bob%d@acme.test" % number in path.read_bytes() for path in machine.path("/var/lib/rtmail/sent/new").glob("*"))
