"""Debian's PostgreSQL as an ordinary process: a fresh cluster on a free loopback port, a fresh database for whoever asks.

PostgreSQL refuses to run as root, so root starts it as `postgres` (or `nobody`). Nothing outside its folder is touched.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

DEADLINE_SECONDS = 30.0


class PostgresMissingError(Exception):
    """The server is not installed."""


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, the newest version's; raises PostgresMissingError."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in reversed(folders):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise PostgresMissingError("PostgreSQL's server programs are missing: apt-get install postgresql")


class Cluster:
    """A running server. `settings` are lines of postgresql.conf."""

    def __init__(self, *settings: str) -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="rtmail-postgres-"))
        self._user = _unprivileged()
        self.port = _free_port()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        data = self.folder / "data"
        # Without fsync a killed server loses nothing as long as the machine stays up, and databases are made three times faster.
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        # Words are sorted as people sort them, as on most machines: ":" after ";", small letters between the large ones.
        sorting = ("--locale=C", "--locale-provider=icu", "--icu-locale=en")
        self._run("initdb", "-D", str(data), "-U", "rtmail", "-A", "trust", "-E", "UTF8", *sorting, "--no-sync")
        with (data / "postgresql.conf").open("a") as conf:
            conf.write("\n".join((
                "listen_addresses = '127.0.0.1'", f"port = {self.port}", "unix_socket_directories = ''", "max_connections = 60",
                "shared_buffers = 32MB", "fsync = off", "log_min_messages = fatal", "autovacuum = off", *settings, "")))
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen([str(self._programs / "postgres"), "-D", str(self.folder / "data")],
                                         stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._as_user())
        log.close()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}") from None
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The server's first process; while it runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server; SIGQUIT at once and without a checkpoint, as a crash does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://rtmail@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"rtmail_{next(self._numbers)}"
        with self.admin() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Delete a database of `database`, whoever is still connected."""
        with contextlib.suppress(psycopg.OperationalError), self.admin() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def admin(self) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection in autocommit to the server's own database; use it with `with`."""
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def cut(self, url: str) -> int:
        """End every session on a database, as an administrator or a failover does; return how many there were."""
        with self.admin() as connection:
            rows = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                                      (url.rpartition("/")[2],)).fetchall()
        return len(rows)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([str(self._programs / program), *arguments], cwd=self.folder, capture_output=True, text=True,
                              check=False, **self._as_user())
        if done.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _as_user(self) -> dict[str, object]:
        if not self._user:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": ()}


@functools.cache
def shared() -> Cluster:
    """Return the one cluster of this test session; it ends with the process."""
    cluster = Cluster()
    atexit.register(cluster.close)
    return cluster


def _unprivileged() -> pwd.struct_passwd | None:
    """Return whom to run as, None when we are not root anyway."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissingError("running as root, and there is neither a user postgres nor nobody to run the server as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
