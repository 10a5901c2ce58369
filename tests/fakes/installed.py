"""An rtmail installed where a user without rights can run it, in a virtual environment that a test may break.

MTAs run `rtmail receive` as such a user, who often may not read the checkout or the interpreter that runs the tests. So
all of it is put together in a temporary folder as pip would, by hard links where the file system allows them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import site
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.daemon import ROOT

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
UNNEEDED = shutil.ignore_patterns("pip", "mypy", "mypyc", "*__mypyc*.so", "ruff*", "hypothesis", "setuptools", "pkg_resources", "_pytest",
                                  "coverage", "cryptography*", "rtmail*", "*editable*", "a1_coverage.pth")
SMALLER = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "config-*", "ensurepip")


class Installed:
    """`with Installed() as installed:` has `installed.python`, run by `installed.user`, until the block ends."""

    user = "nobody"

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rtmail-installed-"))
        self.home.chmod(0o755)
        base = Path(sys.base_prefix)
        interpreter = Path(os.path.realpath(sys.executable))
        if not _for_all(interpreter):
            own = self.home / "python"
            (own / "bin").mkdir(parents=True)
            # An interpreter with a library of its own looks for it where it was built.
            built, here = f"\0{base}/lib\0".encode(), b"\0$ORIGIN/../lib"
            (own / "bin" / VERSION).write_bytes(interpreter.read_bytes().replace(built, here.ljust(len(built), b"\0")))
            (own / "bin" / VERSION).chmod(0o755)
            for library in (base / "lib").glob("libpython*.so*"):
                _copied(library, own / "lib" / library.name)
            _tree(base / "lib" / VERSION, own / "lib" / VERSION, SMALLER)
            interpreter = own / "bin" / VERSION
        self.venv = self.home / "venv"
        self.packages = self.venv / "lib" / VERSION / "site-packages"
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
        self.python.symlink_to(interpreter)
        _tree(Path(site.getsitepackages()[0]), self.packages, UNNEEDED)
        shutil.copytree(ROOT / "rtmail", self.packages / "rtmail")
        for kind in ("templates", "config"):
            shutil.copytree(ROOT / kind, self.packages / "rtmail" / "_shipped" / kind)

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def folder(self, name: str) -> Path:
        """Return a new folder that belongs to the user."""
        folder = self.home / name
        folder.mkdir(mode=0o700)
        self.own(folder)
        return folder

    def own(self, path: Path) -> None:
        """Give a file to the user."""
        known = pwd.getpwnam(self.user)
        os.chown(path, known.pw_uid, known.pw_gid)

    def rtmail(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the command as the user."""
        known = pwd.getpwnam(self.user)
        return subprocess.run(
            [str(self.python), "-I", "-m", "rtmail", *words], input=stdin, capture_output=True, timeout=60, check=False, cwd="/",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, user=known.pw_uid, group=known.pw_gid, extra_groups=())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


def _for_all(path: Path) -> bool:
    """Tell whether everybody may walk to `path` and run it."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents))


def _tree(source: Path, target: Path, unneeded: object) -> None:
    shutil.copytree(source, target, ignore=unneeded, copy_function=_copied, symlinks=True)  # type: ignore[arg-type]


def _copied(source: str | Path, target: str | Path) -> str:
    """Link a file, or copy it where it cannot be linked; links are only ever deleted or replaced, never written to."""
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return str(target)
