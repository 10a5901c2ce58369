"""Debian's Exim as an instance of its own, on a free loopback port, with everything it writes in a temporary folder.

Exim trusts only /etc/exim4/exim4.conf with root's rights, and Debian's wants a user of its own. Both are there for it alone:
it runs in a mount namespace, where a layer in memory lies over /etc. Debian's package would remove Postfix, so `make servers`
unpacks it below .cache instead of installing it. Starting it needs root.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import smtplib
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.daemon import ROOT, free_port, wait_for
from tests.fakes.needed import lacking

UNPACKED = ROOT / ".cache" / "exim" / "usr" / "sbin" / "exim4"
MAIN = """\
primary_hostname = mx.example.com
exim_path = {program}
tls_advertise_hosts =
spool_directory = {home}/spool
log_file_path = {home}/spool/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
queue_only
acl_smtp_rcpt = known
begin acl
known:
  require verify = recipient
  accept
begin retry
* * F,1h,1s
"""
LAYER = """\
mount -t tmpfs tmpfs {home}/layer && mkdir {home}/layer/upper {home}/layer/work && cp -a {home}/etc/. {home}/layer/upper/ &&
mount -t overlay overlay -o lowerdir=/etc,upperdir={home}/layer/upper,workdir={home}/layer/work /etc && exec "$@"
"""


class Exim:
    """`with Exim(routers_and_transports) as exim:` runs until the block ends. To it alone, `nobody` is called rtmail as well."""

    def __init__(self, conf: str) -> None:
        installed = shutil.which("exim4", path="/usr/sbin")
        self._program = Path(installed) if installed else UNPACKED
        if not self._program.exists():
            lacking("Exim is missing: make servers")
        if os.geteuid():
            lacking("Exim starts only as root: run the tests with sudo")
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix="rtmail-exim-"))
        self.home.chmod(0o755)
        for name in ("etc/exim4", "spool", "layer"):
            (self.home / name).mkdir(parents=True)
        os.chown(self.home / "spool", 64999, 64999)
        nobody = pwd.getpwnam("nobody")
        known = {"Debian-exim": (64999, 64999), "rtmail": (nobody.pw_uid, nobody.pw_gid)}
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        passwd += "".join(f"{name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n" for name, (uid, gid) in known.items())
        (self.home / "etc" / "passwd").write_text(passwd)
        (self.home / "etc" / "group").write_text(group + "".join(f"{name}:x:{gid}:\n" for name, (_, gid) in known.items()))
        (self.home / "etc" / "exim4" / "exim4.conf").write_text(MAIN.format(home=self.home, port=self.port, program=self._program) + conf)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.home / "out").open("ab") as out:
            self._process = subprocess.Popen(self._inside("-bdf"), stdout=out, stderr=out, cwd="/", start_new_session=True)
        wait_for(lambda: self._listens() or self._ended(), told="Exim did not listen")
        assert not self._ended(), self.log()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        if kind is not None:
            print(self.log()[-6000:])
        shutil.rmtree(self.home, ignore_errors=True)

    def send(self, raw: bytes, to: str | list[str], sender: str) -> None:
        """Hand one mail over by SMTP."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, to, raw)

    def run(self, *words: str) -> str:
        """Run the command with this instance's config and return what it prints."""
        return subprocess.run(self._inside(*words), capture_output=True, text=True, timeout=60, check=False, cwd="/").stdout

    def waiting(self) -> int:
        """Return how many mails it keeps."""
        return int(self.run("-bpc").strip() or 0)

    def try_all(self) -> None:
        """Try everything again now, frozen mail too."""
        self.run("-qff")

    def log(self) -> str:
        files = [self.home / "out", *(self.home / "spool" / f"{name}log" for name in ("main", "reject", "panic"))]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def _listens(self) -> bool:
        try:
            smtplib.SMTP("127.0.0.1", self.port, timeout=5).quit()
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _inside(self, *words: str) -> list[str]:
        script = LAYER.format(home=shlex.quote(str(self.home)))
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(self._program), *words]
