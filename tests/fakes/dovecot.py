"""Debian's Dovecot as an ordinary process: own config, users and Maildirs in a temporary folder, on free loopback ports.

As root it runs with Debian's service users and keeps mail as `nobody`; as anybody else, all of it runs as him. Nothing of
/etc/dovecot is read. Its folder is its own, since a service user could not reach into pytest's.
"""

from __future__ import annotations

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from tests.fakes.daemon import free_port, wait_for
from tests.fakes.needed import lacking, program

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = {protocols}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
mail_location = maildir:{folder}/mail/%u
mail_fsync = never
first_valid_uid = 1
maildir_stat_dirs = yes
mailbox_list_index = no
imap_idle_notify_interval = 1 mins
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
service imap-login {{
  {free}
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  {free}
}}
service stats {{
  {free}
}}
service auth {{
  {whole}
}}
service auth-worker {{
  {whole}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.com
}}
{more}
"""


class Dovecot:
    """`with Dovecot({"support@example.com": "secret"}) as dovecot:` serves IMAP until the block ends.

    users      login -> password; each has a Maildir
    lmtp       also deliver by LMTP, on `lmtp_port`, to addresses that are logins
    more       further lines of the config
    port, tls_port, lmtp_port   of IMAP with STARTTLS, of IMAP over TLS, of LMTP
    ca_file    PEM of the authority that made its certificate, for 127.0.0.1 and localhost
    """

    def __init__(self, users: Mapping[str, str], *, lmtp: bool = False, more: str = "") -> None:
        self._program = program("dovecot", "dovecot-imapd")
        if lmtp and not Path("/usr/lib/dovecot/lmtp").exists():
            lacking("dovecot's lmtp is missing: apt-get install dovecot-lmtpd")
        self.users = dict(users)
        self.port, self.tls_port, self.lmtp_port = free_port(), free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="rtmail-dovecot-"))
        self.ca_file = self.folder / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._write(lmtp, more)

    def _write(self, lmtp: bool, more: str) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(str(self.ca_file))
        with (self.folder / "certificate.pem").open("wb") as pem:
            pem.write(b"".join(part.bytes() for part in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        (self.folder / "users").write_text("".join(f"{user}:{password}\n" for user, password in self.users.items()))
        me = pwd.getpwuid(os.geteuid())
        root = not os.geteuid()
        owner = _service("nobody") if root else me
        internal = _service("dovecot") if root else me
        for name in ("mail", "home", "run", "state"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        if root:
            for name in ("mail", "home"):
                os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
            os.chown(self.folder / "users", internal.pw_uid, internal.pw_gid)
        text = CONFIG.format(
            folder=self.folder, protocols="imap lmtp" if lmtp else "imap", port=self.port, tls_port=self.tls_port,
            lmtp_port=self.lmtp_port if lmtp else 0, internal=internal.pw_name, group=grp.getgrgid(internal.pw_gid).gr_name,
            login=_service("dovenull").pw_name if root else me.pw_name, uid=owner.pw_uid, gid=owner.pw_gid,
            # Only root may change the root of a process or its user.
            free="" if root else "chroot =", whole="" if root else f"user = {me.pw_name}", more=more)
        (self.folder / "dovecot.conf").write_text(text)

    # running

    def start(self) -> None:
        """Start it and wait until it greets; tried again while somebody else has one of its ports."""
        wait_for(self._started, 30, "dovecot did not start")

    def _started(self) -> bool:
        log = (self.folder / "out").open("ab")
        self._process = subprocess.Popen([self._program, "-F", "-c", str(self.folder / "dovecot.conf")], stdout=log, stderr=log,
                                         cwd=self.folder, start_new_session=True)
        log.close()
        process = self._process
        wait_for(lambda: self._greets() or process.poll() is not None, 20, f"dovecot did not greet:\n{self.told()}")
        return process.poll() is None

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as client:
                return b"Dovecot" in client.recv(1000)
        except OSError:
            return False

    def stop(self, seconds: float = 20) -> None:
        """Stop it, and with it every session."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(seconds)

    def told(self) -> str:
        return "".join((self.folder / name).read_text() for name in ("out", "log") if (self.folder / name).exists())[-4000:]

    def close(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            print(self.told())
        self.close()

    # mailboxes

    def maildir(self, user: str, folder: str = "INBOX") -> Path:
        """Return the Maildir of a folder."""
        home = self.folder / "mail" / user
        return home if folder == "INBOX" else home / f".{folder}"

    def mails(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """Return what lies in a folder, in the order it arrived, read from the disk; a mail that moves meanwhile may be missed."""
        found = {}
        for part in ("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                for path in (self.maildir(user, folder) / part).iterdir():
                    with contextlib.suppress(FileNotFoundError):
                        found[_arrived(path.name)] = path.read_bytes()
        return [found[name] for name in sorted(found)]

    def seen(self, user: str, folder: str = "INBOX") -> int:
        """Return how many mails of a folder carry \\Seen."""
        with contextlib.suppress(FileNotFoundError):
            return sum("S" in path.name.partition(":2,")[2] for path in (self.maildir(user, folder) / "cur").iterdir())
        return 0

    def flagged(self, user: str) -> int:
        """Return how many mails of the inbox carry \\Flagged."""
        with contextlib.suppress(FileNotFoundError):
            return sum("F" in path.name.partition(":2,")[2] for path in (self.maildir(user) / "cur").iterdir())
        return 0

    def client(self, user: str) -> imaplib.IMAP4_SSL:
        """Return a client of the user's own, logged in over TLS; use it with `with`."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        client = imaplib.IMAP4_SSL("127.0.0.1", self.tls_port, ssl_context=context, timeout=20)
        client.login(user, self.users[user])
        return client

    def append(self, user: str, mails: Sequence[bytes], folder: str = "INBOX", at: datetime | None = None) -> None:
        """Put mails into a folder."""
        with self.client(user) as client:
            for raw in mails:
                answer: Any = client.append(folder, "", imaplib.Time2Internaldate(at) if at else "", raw)
                assert answer[0] == "OK", answer

    def renumber(self, user: str) -> None:
        """Give the folder another UIDVALIDITY and every mail another UID, as a restored or rebuilt mailbox has; while it is stopped."""
        assert self._process is None or self._process.poll() is not None
        for path in self.maildir(user).glob("dovecot[.-]*"):
            if path.name.startswith(("dovecot-uidlist", "dovecot.index")):
                path.unlink()


def _service(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        lacking(f"dovecot needs the user {name}: apt-get install dovecot-imapd")


def _arrived(name: str) -> tuple[int, int, str]:
    """Return second, microsecond and the rest of a Maildir file's name without its flags: 1732628724.M71234P77.host,S=812:2,S."""
    second, _, rest = name.partition(":")[0].partition(".")
    microsecond, _, more = rest.partition("P")
    return int(second), int(microsecond.removeprefix("M")), more
