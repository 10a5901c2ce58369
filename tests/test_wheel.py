"""The wheel carries all that a running rtmail needs, and asks for all that it imports: it works alone in an empty venv."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.fakes.daemon import free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent


def run(*words: object, cwd: Path, stdin: bytes = b"", expected: int = 0, seconds: float = 120, **environ: str) -> str:
    """Run a program with nothing of ours in its environment; return what it prints."""
    ours = ("RTMAIL", "PYTHON", "VIRTUAL_ENV", "STATE_DIRECTORY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | environ
    ran = subprocess.run([*map(str, words)], cwd=cwd, input=stdin, capture_output=True, env=kept, timeout=seconds, check=False)
    said = ran.stdout.decode()
    assert ran.returncode == expected, f"{words}: {ran.returncode}\n{said}\n{ran.stderr.decode()}"
    return said


def built(source: Path, into: Path, target: str) -> Path:
    """Build a "wheel" or an "sdist" of the tree `source`; needs nothing from outside."""
    into.mkdir(exist_ok=True)
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into, cwd=source)
    (made,) = into.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout to build from, as the files stood at one moment."""
    there = tmp_path_factory.mktemp("tree") / "rtmail"
    beside = shutil.ignore_patterns(".git", ".venv", ".cache", ".*_cache", ".hypothesis", "__pycache__", "var", "tests", "build", "dist")
    shutil.copytree(ROOT, there, ignore=beside)
    return there


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tree, tmp_path_factory.mktemp("wheel"), "wheel")


def required(of: Distribution, seen: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return all that `of` asks for and what that asks for, extras aside, as it is installed here."""
    for text in of.requires or ():
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        found = distribution(need.name)
        assert need.specifier.contains(found.version, prereleases=True), f"{of.name} asks for {need}, {found.version} is installed"
        if found.name not in seen:
            seen[found.name] = found
            required(found, seen)
    return seen


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with the wheel and what it asks for, and nothing else. What it asks for is linked from where it is installed."""
    there = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(there, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--python", there / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=there)
    (packages,) = there.glob("lib/python3*/site-packages")
    (ours,) = packages.glob("rtmail-*.dist-info")
    for found in required(PathDistribution(ours), {}).values():
        for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(found.locate_file(name))))
    return there


def test_the_venv_is_what_a_sysadmin_gets(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "bin" / "python", "-c", "import rtmail, sys; print(rtmail.__file__)", cwd=tmp_path)
    assert Path(said.strip()).is_relative_to(installed)
    run(installed / "bin" / "python", "-c", "import pytest", cwd=tmp_path, expected=1)


def test_a_house_can_be_opened_with_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    rtmail = installed / "bin" / "rtmail"
    raw = (ROOT / "docs" / "first.eml").read_bytes()
    said = run(rtmail, "init", "desk", "--site", "Acme", "--domain", "acme.example", "--admin", "ops@other.example", cwd=tmp_path)
    assert "wrote desk/config/rtmail.toml" in said
    config = tmp_path / "desk" / "config" / "rtmail.toml"
    config.write_text(config.read_text().replace('"127.0.0.1:2525"', f'"127.0.0.1:{free_port()}"'))
    assert "no mistakes" in run(rtmail, "check", "-c", config, cwd=tmp_path)
    assert run(rtmail, "receive", "-c", config, "--to", "support@acme.example", cwd=tmp_path, stdin=raw).startswith("2.0.0 kept")
    assert run(rtmail, "receive", "-c", config, "--to", "nobody@acme.example", cwd=tmp_path, stdin=raw, expected=67)
    (tmp_path / "first.eml").write_bytes(raw)
    assert "Printer down" in run(rtmail, "read", "-c", config, "first.eml", cwd=tmp_path)
    # As the unit starts it: isolated from the folder and the environment.
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen([installed / "bin" / "python", "-I", "-m", "rtmail", "serve", "-c", config], cwd=tmp_path, stderr=log)
    try:
        wait_for(lambda: len(list((tmp_path / "desk" / "var" / "sent" / "new").glob("*"))) >= 3, 60, "no acknowledgement")
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0, (tmp_path / "log").read_text()
    assert "the sum closes" in run(rtmail, "audit", "-c", config, cwd=tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_pipx_installs_it_with_what_it_asks_for(target: str, tree: Path, wheel: Path, tmp_path: Path) -> None:
    """What it asks for can be had from the registry, in versions that go together; the command is on the path and works."""
    package = wheel if target == "wheel" else built(tree, tmp_path / "sdist", "sdist")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "pipx", cwd=tmp_path, seconds=600)
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "PIPX_MAN_DIR": str(tmp_path / "man")}
    run(python, "-m", "pipx", "install", "--python", sys.executable, package, cwd=tmp_path, seconds=900, **places)
    rtmail = tmp_path / "bin" / "rtmail"
    run(rtmail, "init", "desk", cwd=tmp_path)
    assert "no mistakes" in run(rtmail, "check", "-c", "desk/config/rtmail.toml", cwd=tmp_path)
    raw = (ROOT / "docs" / "first.eml").read_bytes()
    words = ("receive", "-c", "desk/config/rtmail.toml", "--to", "support@example.com")
    assert run(rtmail, *words, cwd=tmp_path, stdin=raw) == "2.0.0 kept as 1\n"


def test_every_shipped_file_is_in_the_wheel(tree: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        inside = set(packed.namelist())
    shipped = [*tree.glob("templates/*.j2"), *tree.glob("config/**/*.toml"), tree / "rtmail.service"]
    assert {f"rtmail/_shipped/{path.relative_to(tree).as_posix()}" for path in shipped} <= inside
    assert {path.relative_to(tree).as_posix() for path in (tree / "rtmail").rglob("*") if path.is_file()} <= inside
    assert not [name for name in inside if name.endswith((".env", ".key", ".db")) or name.startswith(("tests/", "var/"))]


def test_the_sdist_makes_the_same_wheel(tree: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built(tree, tmp_path / "sdist", "sdist")) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.glob("rtmail-*") if path.is_dir())
    assert (unpacked / "Makefile").exists()
    with zipfile.ZipFile(built(unpacked, tmp_path / "again", "wheel")) as again, zipfile.ZipFile(wheel) as first:
        assert {entry.filename: entry.CRC for entry in again.infolist()} == {entry.filename: entry.CRC for entry in first.infolist()}
