"""The real daemon as a process of its own, with a config in a temporary folder, a free loopback port and a relay of the test's."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ENGINE = "rtmail-engine"
ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "6b" * 32
_FIRST_DATE = datetime(2026, 11, 23, 11, tzinfo=timezone(timedelta(hours=1)))
_WRITTEN = count()

CONFIG = """
[site]
name = "{name}"
domain = "{domain}"
timezone = "Europe/Berlin"
admin = "ops@admin.example"
{site}

[store]
url = "{store}"

[ingress.smtp]
listen = "127.0.0.1:{port}"
{smtp}

{ingress}

[relay]
url = "{relay}"
min_pause = "1s"
{relay_keys}

[caps]
{caps}

[auth]
trusted_authserv_ids = ["mx.{domain}"]

[queues.support]
address = "support@{domain}"
comment_address = "support-comment@{domain}"
policy = "{policy}"

[people.jane]
name = "Jane Doe"
email = "jane@staff.example"

[people.kim]
name = "Kim Lee"
email = "kim@staff.example"

[people.max]
name = "Max Boss"
email = "max@staff.example"
rights = ["manager"]

[people.carla]
name = "Carla Relations"
email = "carla@staff.example"
rights = ["manager"]

[people.tom]
name = "Tom Officer"
email = "tom@staff.example"
rights = ["manager"]

[roles.support-manager]
person = "max"
deputy = "kim"

[roles.director]
person = "tom"

[roles.technical-support-manager]
person = "max"
deputy = "kim"

[roles.customer-relations-manager]
person = "carla"

[roles.cto]
person = "tom"

[organisations.acme]
name = "Acme Ltd"
domains = ["acme.example"]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], Any], seconds: float = 60, told: str = "it did not happen") -> Any:
    """Return the first true value of `what`; fails after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = what()
        if value:
            return value
        time.sleep(0.02)  # between two looks at another process; the deadline is what decides
    raise AssertionError(f"{told} within {seconds} s")


class Running:
    """`with Running(folder, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:` serves until the block ends."""

    def __init__(self, folder: Path, *, relay: str = "maildir:sent", name: str = "Example", domain: str = "example.com", site: str = "",
                 smtp: str = "", ingress: str = "", relay_keys: str = "", caps: str = "", policy: str = "default", store: str = "sqlite:///rtmail.db",
                 arguments: tuple[str, ...] = (), environ: dict[str, str] | None = None, port: int = 0) -> None:
        self.folder, self.port, self.domain = folder, port or free_port(), domain
        self.config = folder / "config" / "rtmail.toml"
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(CONFIG.format(name=name, domain=domain, site=site, store=store, port=self.port, smtp=smtp, ingress=ingress,
                                             relay=relay, relay_keys=relay_keys, caps=caps, policy=policy))
        shipped, own = ROOT / "config" / "policies" / f"{policy}.toml", self.config.parent / "policies" / f"{policy}.toml"
        if shipped.exists() and not own.exists() and "--clock-from" not in arguments:
            # By the real clock, a daily picture would come in between the mails of a test that runs after its hour.
            own.parent.mkdir(exist_ok=True)
            own.write_text(re.sub(r'(?m)^(?:daily|weekly) = ".*\n', "", shipped.read_text()))
        self.arguments = arguments
        self.environ = {**os.environ, "RTMAIL_SECRET_KEY": SECRET, **(environ or {})}
        self.log = folder / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.folder / "var"

    def start(self, **environ: str) -> None:
        """Start and wait until it listens."""
        self.spawn(**environ)
        self.wait_ready()

    def spawn(self, **environ: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "rtmail", "serve", "-c", str(self.config), *self.arguments],
                                            stderr=log, stdout=log, env={**self.environ, **environ}, cwd=self.folder)

    def wait_ready(self, seconds: float = 60) -> None:
        wait_for(lambda: self._listens() or self._ended(), seconds, f"the daemon did not listen; its log:\n{self.told()[-3000:]}")
        assert not self._ended(), f"the daemon ended:\n{self.told()[-3000:]}"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def engine(self) -> int:
        """Return the process in which the engine works, 0 while there is none."""
        with suppress(OSError):
            for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == ENGINE:
                    return int(child)
        return 0

    def told(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM, and return the exit code; fails when it does not drain in time."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process is not None and self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.kill()
        if kind is not None:
            print(self.told()[-6000:])

    def send(self, raw: bytes, to: str | None = None, sender: str = "bob@acme.example") -> None:
        """Hand one mail over by SMTP."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, [to or f"support@{self.domain}"], raw)

    def cli(self, *words: str, stdin: bytes = b"", check: bool = True) -> str:
        """Run `rtmail WORDS` beside the daemon and return what it prints."""
        ran = subprocess.run([sys.executable, "-m", "rtmail", *words, "-c", str(self.config)], input=stdin, capture_output=True,
                             env=self.environ, cwd=self.folder, timeout=60, check=False)
        assert not check or ran.returncode == 0, f"{words}: {ran.returncode}\n{ran.stdout.decode()}\n{ran.stderr.decode()}"
        return ran.stdout.decode()

    def ticket(self, number: int) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.cli("ticket", "show", str(number), "--json"))
        return shown

    def tickets(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.cli("ticket", "list", "--all", "--json").splitlines()]


def parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def plain(raw: bytes) -> str:
    body = parsed(raw).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def next_date() -> str:
    """A Date for a mail that somebody writes now: no two are of the same second."""
    return format_datetime(_FIRST_DATE + timedelta(seconds=next(_WRITTEN)))


def reply(raw: bytes, text: str, *, sender: str, message_id: str, references: bool = True, subject: str | None = None,
          top: bool = True) -> bytes:
    """What a client sends when its user answers `raw`: to Reply-To, with the old words quoted below."""
    old = parsed(raw)
    to = str(old["Reply-To"] or old["From"])
    quoted = "".join(f"> {line}\n" for line in plain(raw).splitlines())
    answer = EmailMessage(policy=default.clone(linesep="\r\n", max_line_length=998))
    answer["From"], answer["To"], answer["Message-ID"] = sender, to, message_id
    answer["Subject"] = subject if subject is not None else ("Re: " + str(old["Subject"]).removeprefix("Re: "))
    answer["Date"] = next_date()
    if references:
        answer["In-Reply-To"] = str(old["Message-ID"])
        answer["References"] = " ".join(filter(None, [str(old["References"] or ""), str(old["Message-ID"])]))
    attribution = f"On Mon, 23 Nov 2026 at 10:00, {str(old['From']).replace(chr(34), '')} wrote:\n"
    answer.set_content(f"{text}\n\n{attribution}{quoted}" if top else f"{attribution}{quoted}\n{text}\n")
    return answer.as_bytes()
