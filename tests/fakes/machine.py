"""A Debian of its own, with a systemd that lives or with nothing but Python: run by systemd-nspawn as an ordinary process of the test's.

Its root is made by debootstrap once and cached, with the wheels that rtmail needs; each machine runs on a copy. It has a network of
its own, so that port 25 is free and nothing gets out.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.fakes.daemon import ROOT, wait_for
from tests.fakes.needed import lacking, program

T = TypeVar("T")

CACHE = ROOT / ".cache" / "systemd"
PYTHON = "python3,python3-venv"
PACKAGES = f"systemd,systemd-sysv,dbus,{PYTHON}"
WHEELS = "wheels"
WHEEL = (sys.executable, "-m", "pip", "wheel", "--quiet", "--quiet")
ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0",
    "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/{WHEELS}", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}  # fmt: skip
CLONE_NEWNET = 0x40000000


class Machine:
    """`with Machine(folder) as machine:` has booted; it is powered off when the block ends."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            lacking("only root can boot a container")
        self._nspawn = program("systemd-nspawn", "systemd-container")
        self.root = folder / "root"
        _copy(_base(PACKAGES), self.root)
        self._console = folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def path(self, inside: str) -> Path:
        """Return the file that the machine knows by this name; what is mounted in there is not seen."""
        return self.root / inside.lstrip("/")

    def run(self, script: str, *, stdin: str = "", seconds: float = 120, check: bool = True) -> str:
        """Run a shell script as root in the machine; return what it said on both streams."""
        command = ["nsenter", "--target", str(self._leader), "--all", "--wdns=/root", "/bin/sh", "-ec", script]
        ran = subprocess.run(command, input=stdin, env=ENVIRON, text=True, timeout=seconds,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)  # fmt: skip
        assert not check or ran.returncode == 0, f"{script}\n{ran.returncode}: {ran.stdout}"
        return ran.stdout

    def shown(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run(f"systemctl show --value --property={name} {unit}").strip()

    def journal(self, options: str = "") -> str:
        """Return what rtmail wrote since the boot."""
        return self.run(f"journalctl --unit rtmail --output cat --no-pager --boot {options}", check=False)

    def online(self, job: Callable[[], T]) -> T:
        """Return what `job` returns, called where sockets are those of the machine's network."""
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                with open(f"/proc/{self._leader}/ns/net") as network:
                    if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(job())
            except BaseException as error:
                errors.append(error)

        # A network belongs to a thread; this one ends with the job.
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def __enter__(self) -> Self:
        command = [self._nspawn, "--quiet", f"--directory={self.root}", "--boot", "--register=no", "--keep-unit", "--private-network",
                   "--link-journal=no", "--console=pipe", f"--machine=rtmail-{os.getpid()}"]  # fmt: skip
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            self._leader = wait_for(self._find_leader, 30, f"nothing booted: {self._told()}")
            wait_for(self._is_up, 60, "it did not come up")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            print(self.run("systemctl status rtmail.service rtmail-smtp.socket; systemctl list-jobs", check=False))
            print(self.journal("--lines 80"))
        self._end()

    def _end(self) -> None:
        """Power off; whatever does not obey is killed, and with its first process all of the machine dies."""
        assert self._process is not None
        if self._leader and self._process.poll() is None:
            self.run("systemctl poweroff --no-block", check=False)
        else:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            if self._leader:
                os.kill(self._leader, signal.SIGKILL)
            self._process.kill()
            self._process.wait(10)

    def _is_up(self) -> bool:
        return self.run("systemctl is-system-running", check=False).strip() in ("running", "degraded")

    def _find_leader(self) -> int:
        """Return the machine's first process, once it is systemd."""
        assert self._process is not None
        assert self._process.poll() is None, f"systemd-nspawn ended: {self._told()}"
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            if re.search(r"^Name:\s+systemd$", status, re.MULTILINE) and re.search(r"^NSpid:.*\s1$", status, re.MULTILINE):
                return int(child)
        return 0

    def _told(self) -> str:
        return self._console.read_text(errors="replace")[-2000:] if self._console.exists() else ""


class Bare:
    """A Debian with nothing but Python, not booted: each command runs alone in it, and whatever it started ends with it."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            lacking("only root can run a container")
        self._nspawn = program("systemd-nspawn", "systemd-container")
        self.root = folder / "bare"
        _copy(_base(PYTHON), self.root)

    def path(self, inside: str) -> Path:
        """Return the file that is known by this name in there."""
        return self.root / inside.lstrip("/")

    def run(self, script: str, *, stdin: str = "", seconds: float = 300, check: bool = True) -> str:
        """Run a shell script as root in there; return what it said on both streams."""
        command = [self._nspawn, "--quiet", f"--directory={self.root}", "--register=no", "--keep-unit", "--private-network", "--pipe",
                   "--as-pid2", "--chdir=/root", f"--machine=bare-{os.getpid()}", *(f"--setenv={k}={v}" for k, v in ENVIRON.items()),
                   "/bin/sh", "-ec", f"exec 2>&1\n{script}"]  # fmt: skip
        # What systemd-nspawn itself has to say goes to its own stderr.
        ran = subprocess.run(command, input=stdin, text=True, timeout=seconds, capture_output=True, check=False)
        assert not check or ran.returncode == 0, f"{script}\n{ran.returncode}: {ran.stdout}{ran.stderr}"
        return ran.stdout


def brought(machine: Bare | Machine, *files: Path) -> None:
    """Copy files into /root of the machine."""
    for file in files:
        shutil.copy(file, machine.path(f"/root/{file.name}"))


def wheel_of_rtmail(folder: Path) -> Path:
    """Build the wheel of this checkout into `folder` and return it."""
    subprocess.run([*WHEEL, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True, timeout=300)
    (wheel,) = folder.glob("rtmail-*.whl")
    return wheel


def deb_of_rtmail(folder: Path) -> Path:
    """Build the Debian package of this checkout into `folder` and return it: packed less tightly, since nobody downloads it."""
    program("dh", "debhelper")
    quick = {**os.environ, "DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}
    subprocess.run(["sh", ROOT / "tools" / "deb.sh", folder], check=True, env=quick, timeout=1800, stdout=subprocess.DEVNULL)
    (made,) = folder.glob("rtmail_*.deb")
    return made


def _base(packages: str) -> Path:
    """Return the cached root, made now if there is none of these packages and dependencies."""
    suite, mirror = _debian()
    needs = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert needs
    recipe = "\n".join([suite, mirror, packages, needs[1], *sys.version.split()[:1]])
    kind = f"root-{packages.count(',')}"
    base = CACHE / f"{kind}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    if base.exists():
        return base
    debootstrap = program("debootstrap", "debootstrap")
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{kind}-*"):
        shutil.rmtree(old)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=CACHE))
    try:
        root = draft / "root"
        made = subprocess.run([debootstrap, "--variant=minbase", f"--include={packages}", suite, root, mirror], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=1800, check=False)  # fmt: skip
        if made.returncode:
            lacking(f"debootstrap of {suite} from {mirror} failed: {made.stdout[-500:]}")
        version = Path(os.path.realpath(root / "usr" / "bin" / "python3")).name
        if version != f"python{sys.version_info.major}.{sys.version_info.minor}":
            lacking(f"{suite} has {version}, and its wheels can only be made by the same: make clean && make test-systemd PYTHON={version}")
        subprocess.run([*WHEEL, "--wheel-dir", root / WHEELS, ROOT], check=True, timeout=900)
        for own in (root / WHEELS).glob("rtmail-*.whl"):
            own.unlink()
        for package in (root / "var" / "cache" / "apt" / "archives").glob("*.deb"):
            package.unlink()
        root.rename(base)
    finally:
        _unmount(draft)
        shutil.rmtree(draft, ignore_errors=True)
    return base


def _debian() -> tuple[str, str]:
    """Return the release and the mirror that this machine's apt uses."""
    told = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"], capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    mirrors = dict(line.split(" ", 1) for line in told.stdout.splitlines())
    if release is None or release[1] not in mirrors:
        lacking("apt knows no mirror of this machine's Debian: apt-get update")
    return release[1], mirrors[release[1]].rstrip("/")


def _copy(base: Path, root: Path) -> None:
    root.mkdir()
    subprocess.run(["cp", "--archive", "--reflink=auto", f"{base}/.", root], check=True, timeout=300)


def _unmount(folder: Path) -> None:
    """Undo the mounts that a debootstrap which was broken off left behind; deleting must not get into them."""
    inside = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((place for place in inside if place.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False)
