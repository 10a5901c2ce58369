"""Debian's Postfix as an instance of its own: config, queue and data in a temporary folder, on free loopback ports.

It runs with Debian's own master.cf, chroots included, so that what works here works in a house. Nothing of /etc/postfix is
read but the list of its files, and `postfix -c FOLDER stop` ends this instance alone. Starting it needs root.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fakes.daemon import ROOT, free_port, wait_for
from tests.fakes.needed import lacking, program

EXAMPLES = ROOT / "docs" / "examples"
FLUSH_SECONDS = 0.5
_DEFERRED = re.compile(r"status=deferred \((.*)\)")
SHIPPED_MASTER = Path("/usr/share/postfix/master.cf.dist")

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {hostname}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
mynetworks = 127.0.0.0/8
max_idle = 10s
"""


def example(name: str, filled: Mapping[str, str] | None = None) -> str:
    """Return a file of docs/examples, what stands for a house in it replaced: `{text of the file: text of the test}`.

    Fails when the file does not hold a text, so that documentation and tests cannot part.
    """
    text = (EXAMPLES / name).read_text()
    for old, new in (filled or {}).items():
        assert old in text, f"docs/examples/{name} does not say {old!r}"
        text = text.replace(old, new)
    return text


class Postfix:
    """`with Postfix(main=…, master=…) as postfix:` runs until the block ends.

    main      lines of main.cf, after those that keep it apart
    master    lines of master.cf, after Debian's; files  name -> text of tables, put beside main.cf
    folder    is where main.cf lies: docs' /etc/postfix
    """

    def __init__(self, *, main: str = "", master: str = "", files: Mapping[str, str] | None = None,
                 hostname: str = "mx.example.com") -> None:
        program("postfix", "postfix")
        if os.geteuid():
            lacking("Postfix starts only as root: run the tests with sudo")
        if not SHIPPED_MASTER.exists():
            lacking(f"{SHIPPED_MASTER} is missing: apt-get install postfix")
        self.port = free_port()
        # Where an unprivileged delivery agent can walk to.
        self.home = Path(tempfile.mkdtemp(prefix="rtmail-postfix-"))
        self.home.chmod(0o755)
        self.folder = self.home / "etc"
        user = pwd.getpwnam("postfix")
        for name, mode in (("etc", 0o755), ("queue", 0o755), ("data", 0o700), ("log", 0o755)):
            (self.home / name).mkdir(mode=mode)
        os.chown(self.home / "data", user.pw_uid, user.pw_gid)
        os.chown(self.home / "log", user.pw_uid, user.pw_gid)
        base = MAIN.format(folder=self.home, hostname=hostname)
        (self.folder / "main.cf").write_text(base + main.replace("/etc/postfix", str(self.folder)))
        listener = "smtp      inet  n "
        shipped = SHIPPED_MASTER.read_text()
        assert listener in shipped
        (self.folder / "master.cf").write_text(shipped.replace(listener, f"127.0.0.1:{self.port} inet n ", 1) + master)
        for name, text in (files or {}).items():
            (self.folder / name).write_text(text)

    def start(self) -> None:
        """Start it and wait until it listens."""
        started = self._run("postfix", "start", check=False)
        assert started.returncode == 0, started.stdout + started.stderr + self.log()
        wait_for(self._listens, told=f"Postfix did not listen:\n{self.log()}")

    def stop(self) -> None:
        """Stop this instance and wait until its master has gone."""
        self._run("postfix", "stop", check=False)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if kind is not None:
            print(self.log()[-6000:])
        shutil.rmtree(self.home, ignore_errors=True)

    def send(self, raw: bytes, to: str | list[str], sender: str) -> None:
        """Hand one mail over by SMTP."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, to, raw)

    def queue(self) -> list[dict[str, Any]]:
        """Return what lies in its queues: queue_name, sender, recipients with delay_reason, …"""
        return [json.loads(line) for line in self._run("postqueue", "-j").stdout.splitlines()]

    def deferrals(self) -> list[str]:
        """Return why deliveries were deferred, each in the order of the log."""
        return _DEFERRED.findall(self.log())

    def next_deferral(self, seen: int) -> str:
        """Return why the mail in the queue is deferred once more, after `seen` deferrals before; has it tried until it is."""
        def deferred() -> bool:
            return len(self.deferrals()) > seen
        self._flushing(deferred, 30, "nothing was deferred")
        return self.deferrals()[-1]

    def wait_empty(self, seconds: float = 60) -> None:
        """Return when every mail has left the queues; has deferred ones tried again until they have."""
        self._flushing(lambda: not self.queue(), seconds, "Postfix kept mail")

    def _flushing(self, done: Callable[[], bool], seconds: float, told: str) -> None:
        # A flush passes over mail that is just on its way into the deferred queue.
        flushed = time.monotonic()

        def looked() -> bool:
            nonlocal flushed
            if done():
                return True
            if time.monotonic() > flushed + FLUSH_SECONDS:
                self._run("postqueue", "-f")
                flushed = time.monotonic()
            return False

        try:
            wait_for(looked, seconds, told)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.queue()}\n{self.log()[-3000:]}") from None

    def forget(self) -> None:
        """Throw away what lies in its queues."""
        if self.queue():
            self._run("postsuper", "-d", "ALL")

    def reload(self) -> None:
        """Read config and tables again."""
        self._run("postfix", "reload")

    def log(self) -> str:
        file = self.home / "log" / "mail.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _listens(self) -> bool:
        try:
            smtplib.SMTP("127.0.0.1", self.port, timeout=5).quit()
        except (OSError, smtplib.SMTPException):
            return False
        return True

    def _run(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [program(name, "postfix"), "-c", str(self.folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"{name} {words}: {done.stdout}{done.stderr}"
        return done
