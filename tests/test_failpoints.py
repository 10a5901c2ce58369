"""Every failpoint killed in a scenario that passes it: after the restart the store equals the ledger, and nobody is answered twice.

Then all of them held, stopped and failed, some after the other, in a daemon that must bear it.

The list is read from the source, so that a point without a case fails here. A point that another file kills stands in ELSEWHERE.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.daemon import parsed, reply, wait_for
from tests.fakes.family import family, tell
from tests.fakes.house import mail
from tests.fakes.imap import ImapServer
from tests.fakes.looking import rests, rows
from tests.fakes.nursery import Nursed, Nursery
from tests.fakes.senders import Ledger, Posted, Senders
from tests.fakes.sink import Sink

MAILBOX = """[ingress.imap.office]
host = "127.0.0.1"
port = {port}
tls = "none"
user = "box"
poll = "1s"
"""

ROOT = Path(__file__).resolve().parent.parent
CAPS = "per_address = 1000000\noverall = 1000000"

BY_SMTP = [
    ("claims-taken-back", 1), ("daemon-listening", 1),
    ("ingress-data", 1), ("ingress-received", 1), ("mail-received", 1), ("spool-before-commit", 1), ("spool-after-commit", 1),
    ("mail-kept", 1), ("ingress-kept", 1), ("ingress-answered", 1),
    ("engine-beat", 3), ("engine-warmed", 1), ("spool-leased-before-commit", 1), ("engine-leased", 1), ("engine-read", 1),
    ("intake-taken", 1), ("ticket-saved-before-commit", 1), ("outbox-added-before-commit", 1), ("decision-kept-before-commit", 1),
    ("engine-committed", 1), ("store-before-commit", 1), ("store-after-commit", 1), ("store-before-commit", 12), ("store-after-commit", 12),
    ("outbox-leased-before-commit", 3), ("outbox-leased", 3), ("relay-connected", 1), ("relay-recipient", 1), ("relay-before-dot", 2),
    ("relay-after-dot", 1), ("outbox-before-settle", 1), ("outbox-settled-before-commit", 1), ("outbox-after-settle", 1),
]
BY_PIPE = [("pipe-received", 1), ("spool-before-commit", 1), ("pipe-kept", 1)]
AT_FIRST_START = [("key-written", 1), ("migration-before-commit", 1), ("migration-after-commit", 1)]
BY_SIGNAL = [
    ("reload-read", signal.SIGHUP), ("reload-used", signal.SIGHUP), ("drain-begun", signal.SIGTERM), ("drain-written", signal.SIGTERM),
]
FROM_A_MAILBOX = [("imap-fetched", 1), ("spool-after-commit", 1), ("imap-kept", 1), ("imap-noted", 1), ("imap-changed", 1)]
INTO_A_MAILDIR = ["relay-before-dot", "relay-after-dot"]
IN_TIME = ["sweep-leased", "sweep-committed"]
WHEN_A_FATE_COMES_BACK = ["report-read", "report-committed"]
FOR_A_PERSON = ["remind-committed"]
FROM_THE_SHELL = ["command-committed"]
ELSEWHERE = {
    "store-asked": "tests/test_systemd.py",
    **dict.fromkeys(("backup-copied", "backup-written", "copy-table", "restore-ready"), "tests/test_backup.py"),
    **dict.fromkeys(("telling-kept", "status-before-replace"), "tests/test_story_incidents_daemon.py"),
    **dict.fromkeys(("history-before-commit", "history-after-commit"), "tests/test_cli_moving.py"),
}
"""A point's name -> the file that stops a process there."""


def points() -> set[str]:
    """Every literal that the source passes to `failpoint`."""
    found: set[str] = set()
    for path in (ROOT / "rtmail").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "failpoint":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: a failpoint's name is a literal"
                found.add(str(name.value))
    return found


def test_each_failpoint_has_a_case() -> None:
    here = {name for name, _ in [*BY_SMTP, *BY_PIPE, *FROM_A_MAILBOX, *AT_FIRST_START, *BY_SIGNAL]} | {
        *INTO_A_MAILDIR, *IN_TIME, *WHEN_A_FATE_COMES_BACK, *FOR_A_PERSON, *FROM_THE_SHELL}
    inside = points()
    assert len(inside) >= 25
    for name in sorted(inside - here):
        assert name in ELSEWHERE, f"failpoint {name} is never killed: give it a case"
        assert name in (ROOT / ELSEWHERE[name]).read_text(), f"failpoint {name} is never killed: {ELSEWHERE[name]} does not name it"
    assert not here - inside, "a case for a point that is not there"


class Scene:
    """A daemon that dies at a point and starts again, its customers, and its relay."""

    def __init__(self, nursery: Nursery, folder: Path, *, relay: str = "", ingress: str = "") -> None:
        self.sink = Sink()
        self.sink.start()
        self.daemon = Nursed(nursery, folder, relay=relay or f"smtp://127.0.0.1:{self.sink.port}", caps=CAPS, ingress=ingress)
        self.ledger, self._wished = Ledger(), 0
        self._senders = Senders(self.daemon.port, self.ledger, lambda: self.ledger.begun < self._wished, connections=1)
        self._senders.start()

    def close(self) -> None:
        self._senders.give_up()
        self.daemon.kill()
        self.sink.stop()

    def post(self) -> None:
        """A customer writes; his server tries until it is taken."""
        self._wished += 1

    def taken(self) -> Posted:
        """Return the mail that the customer wrote last, once it was answered 250."""
        wait_for(lambda: len(self.ledger.acknowledged) >= self._wished, told="the mail was not taken")
        return self.ledger.snapshot()[-1]

    def dies(self, point: str, nth: int = 1, before: Callable[[], object] = lambda: None, **environ: str) -> None:
        """Start, do `before`, and be killed at the nth pass of `point`."""
        self.daemon.spawn(RTMAIL_FAILPOINT=f"{point}:{nth}:kill", **environ)
        before()
        try:
            assert self.daemon.wait(30) == -signal.SIGKILL, f"{point} was not passed:\n{self.daemon.told()[-3000:]}"
        finally:
            self.daemon.kill()

    def rests(self, seconds: float = 30) -> None:
        wait_for(lambda: rests(self.daemon.state), seconds, "mail waits for ever")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.daemon.state, query)

    def check(self, each: int = 1, *, by_smtp: bool = True, aside: int = 0) -> None:
        """The store equals the ledger, and what came out equals the outbox; `each` customer got so many mails.

        aside   so many mails may have failed three times, and their requests were opened from what could be read
        """
        acknowledged = self.ledger.snapshot()
        opened = Counter(str(message_id) for (message_id,) in self.rows("SELECT message_id FROM event WHERE kind = 'opened'"))
        assert opened == Counter(posted.message_id for posted in acknowledged), "lost or doubled"
        odd = self.rows("SELECT outcome, count(*) FROM spool WHERE outcome NOT IN ('event', 'ignored') GROUP BY outcome")
        assert [row for row in odd if row[0] != "quarantined" or row[1] > aside] == []
        assert self.rows("SELECT ticket_id, event, recipient, template FROM outbox GROUP BY 1, 2, 3, 4 HAVING count(*) > 1") == []
        assert self.rows("SELECT * FROM outbox WHERE state <> 'sent'") == []
        copies = {(came.recipients[0], str(parsed(came.raw)["Message-ID"])): came.raw for came in self.sink.mails}
        assert all(copies[came.recipients[0], str(parsed(came.raw)["Message-ID"])] == came.raw for came in self.sink.mails), "other bytes"
        if by_smtp:
            assert Counter(list(copies)) == Counter(self.rows("SELECT recipient, message_id FROM outbox"))
            customers = Counter(recipient for recipient, _ in copies if recipient.startswith("customer"))
            assert customers == Counter([posted.sender for posted in acknowledged] * each)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


@pytest.fixture(scope="module")
def old_scene(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A house that lives through one death after the other."""
    scene = Scene(nursery, tmp_path_factory.mktemp("house"))
    yield scene
    scene.close()


@pytest.fixture
def scene(nursery: Nursery, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(nursery, tmp_path)
    yield scene
    scene.close()


def lives_on(scene: Scene) -> None:
    """Start again, wait until everything has gone its way, and compare; killed again, as that must do no harm either."""
    scene.daemon.start()
    scene.taken()
    scene.rests()
    scene.daemon.kill()
    scene.check()


@pytest.mark.parametrize(("point", "nth"), BY_SMTP, ids=str)
def test_on_the_way_from_smtp_to_the_relay(old_scene: Scene, point: str, nth: int) -> None:
    old_scene.dies(point, nth, old_scene.post)
    lives_on(old_scene)


@pytest.mark.parametrize(("point", "nth"), BY_PIPE, ids=str)
def test_on_the_way_through_the_pipe(old_scene: Scene, point: str, nth: int) -> None:
    posted = old_scene.ledger.next()
    old_scene.post()

    def receive(failpoint: str) -> int:
        words = [sys.executable, "-m", "rtmail", "receive", "--to", "support@example.com", "-c", str(old_scene.daemon.config)]
        environ = {**old_scene.daemon.environ, "RTMAIL_FAILPOINT": failpoint}
        return subprocess.run(words, input=posted.raw, env=environ, capture_output=True, timeout=60, check=False).returncode

    assert receive(f"{point}:{nth}:kill") == -signal.SIGKILL
    assert receive("") == 0
    old_scene.ledger.taken(posted)
    lives_on(old_scene)


@pytest.mark.parametrize(("point", "nth"), FROM_A_MAILBOX, ids=str)
def test_on_the_way_from_a_mailbox(nursery: Nursery, tmp_path: Path, point: str, nth: int) -> None:
    with ImapServer() as server:
        scene = Scene(nursery, tmp_path, ingress=MAILBOX.format(port=server.port))
        try:
            posted = scene.ledger.next()
            server.append(posted.raw)
            scene.ledger.taken(posted)
            scene.dies(point, nth, RTMAIL_IMAP_OFFICE_PASSWORD=server.password)
            scene.daemon.start(RTMAIL_IMAP_OFFICE_PASSWORD=server.password)
            wait_for(lambda: server.flagged() == {1}, told="the mail was not flagged as read")
            wait_for(lambda: posted.sender in [came.recipients[0] for came in scene.sink.mails], told="no acknowledgement")
            scene.rests()
            scene.check()
        finally:
            scene.close()


@pytest.mark.parametrize(("point", "number"), BY_SIGNAL, ids=str)
def test_while_it_reloads_and_ends(old_scene: Scene, point: str, number: signal.Signals) -> None:
    def signalled() -> None:
        old_scene.daemon.wait_ready()
        old_scene.post()
        old_scene.taken()
        old_scene.daemon.signal(number)

    old_scene.dies(point, 1, signalled)
    lives_on(old_scene)


@pytest.mark.parametrize(("point", "nth"), AT_FIRST_START, ids=str)
def test_at_the_first_start(scene: Scene, point: str, nth: int) -> None:
    scene.post()
    scene.dies(point, nth, RTMAIL_SECRET_KEY="")
    scene.daemon.start(RTMAIL_SECRET_KEY="")
    scene.taken()
    scene.rests()
    scene.check()


@pytest.mark.parametrize("point", INTO_A_MAILDIR)
def test_into_a_maildir(nursery: Nursery, tmp_path: Path, point: str) -> None:
    scene = Scene(nursery, tmp_path, relay="maildir:sent")
    try:
        scene.dies(point, 2, scene.post)
        scene.daemon.start()
        scene.taken()
        scene.rests()
        scene.check(by_smtp=False)
        files = [file.read_bytes() for file in (scene.daemon.state / "sent" / "new").iterdir()]
        recipients = Counter(str(parsed(file)["Delivered-To"]) for file in files)
        assert recipients == {"customer1@acme.example": 1, "jane@staff.example": 1, "kim@staff.example": 1}
    finally:
        scene.close()


@pytest.mark.parametrize("point", IN_TIME)
def test_when_a_clock_is_due(scene: Scene, point: str) -> None:
    scene.post()
    scene.daemon.start()
    scene.taken()
    scene.rests()
    scene.daemon.kill()
    later = datetime.now(UTC) + timedelta(days=3)
    scene.daemon.arguments = ("--clock-rate", "1.001", "--clock-from", later.isoformat(), "--clock-zero", str(time.time()))
    scene.dies(point)
    scene.daemon.start()
    due = f"SELECT count(*) FROM ticket WHERE wake_at <= {int(later.timestamp() * 1e6)}"
    wait_for(lambda: scene.rows(due) == [(0,)], told="what is due was not done")
    scene.rests()
    scene.check()
    told = scene.rows("SELECT clock, generation, rung FROM rung")
    assert scene.rows("SELECT 1 FROM event WHERE kind = 'told'"), "time told nobody anything"
    assert len(told) == len(set(told))


@pytest.mark.parametrize("point", WHEN_A_FATE_COMES_BACK)
def test_when_the_fate_of_an_answer_comes_back(scene: Scene, point: str) -> None:
    scene.post()
    scene.daemon.start()
    scene.taken()
    scene.rests()
    scene.daemon.kill()
    notice = next(came for came in scene.sink.mails if came.recipients == ("jane@staff.example",))
    answer = reply(notice.raw, "Please pull the plug.", sender="Jane Doe <jane@staff.example>", message_id="<j1@staff.example>")

    def sent() -> None:
        scene.daemon.wait_ready()
        scene.daemon.send(answer, to=str(parsed(notice.raw)["Reply-To"].addresses[0].addr_spec), sender="jane@staff.example")

    scene.dies(point, 1, sent)
    scene.daemon.start()
    scene.rests()
    scene.check(2)
    assert len(scene.rows("SELECT 1 FROM event WHERE kind = 'delivery'")) <= 1, "the fate was noted twice"


@pytest.mark.parametrize("point", FOR_A_PERSON)
def test_while_a_colleague_is_asked(scene: Scene, point: str) -> None:
    forged = mail(sender="Jane Doe <jane@staff.example>", subject="Printer", text="resolve", message_id="<forged@evil.example>")
    scene.daemon.arguments = ("--clock-rate", "1.001", "--clock-from", datetime.now(UTC).isoformat(), "--clock-zero", str(time.time()))

    def sent() -> None:
        scene.daemon.wait_ready()
        scene.daemon.send(forged, sender="evil@evil.example")

    scene.dies(point, 1, sent)
    scene.daemon.start()
    (asked,) = scene.sink.wait(1, 20)
    assert asked.recipients == ("jane@staff.example",)
    scene.rests()
    scene.daemon.stop()
    assert len({str(parsed(came.raw)["Message-ID"]) for came in scene.sink.mails}) == 1, "she was asked twice"


@pytest.mark.parametrize("point", FROM_THE_SHELL)
def test_while_a_command_runs(scene: Scene, point: str) -> None:
    scene.post()
    scene.daemon.start()
    scene.taken()
    scene.rests()

    def command(failpoint: str) -> int:
        words = [sys.executable, "-m", "rtmail", "ticket", "do", "1", "Owner: jane", "-c", str(scene.daemon.config)]
        environ = {**scene.daemon.environ, "RTMAIL_FAILPOINT": failpoint}
        return subprocess.run(words, env=environ, capture_output=True, timeout=60, check=False).returncode

    assert command(f"{point}:1:kill") == -signal.SIGKILL
    wait_for(lambda: scene.rows("SELECT 1 FROM ticket WHERE owner <> 0"), told="what was committed did not happen")
    scene.rests()
    scene.check()


# held, stopped, failed: nothing dies, and the daemon goes on by itself


FLOW = [(point, nth) for point, nth in BY_SMTP if point not in ("claims-taken-back", "daemon-listening")]
ON_THE_WAY = sorted({point for point, _ in FLOW})


def flows(scene: Scene, armed: dict[str, str], mails: int) -> None:
    """So many mails, one after the other, through a daemon with these points armed; at the end the store equals the ledger."""
    # What failed untold stays claimed for some minutes, which are seconds here.
    scene.daemon.arguments = ("--clock-rate", "20", "--clock-from", datetime.now(UTC).isoformat(), "--clock-zero", str(time.time()))
    scene.daemon.start(RTMAIL_FAILPOINT=",".join(f"{point}:{effect}" for point, effect in armed.items()))
    for _ in range(mails):
        scene.post()
        scene.taken()
        # One after the other, as far as they are not put off.
        with suppress(AssertionError):
            scene.sink.wait(3 * len(scene.ledger.acknowledged), 1)
    scene.rests()
    assert scene.daemon.stop() == 0
    scene.check(aside=3)


def test_held_at_every_point(scene: Scene) -> None:
    flows(scene, dict.fromkeys(ON_THE_WAY, "1:delay=0.1"), 2)


def test_stopped_at_every_point(scene: Scene) -> None:
    """Woken each time, as a machine that was put to sleep; each point stops it once."""
    woken: list[int] = []
    ended = threading.Event()

    def wake() -> None:
        while not ended.wait(0.005):
            for pid in family(scene.daemon._pid) if scene.daemon._pid else []:
                with suppress(OSError):
                    if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                        woken.append(pid)
                        os.kill(pid, signal.SIGCONT)

    waker = threading.Thread(target=wake)
    waker.start()
    try:
        flows(scene, dict.fromkeys([*ON_THE_WAY, "daemon-listening"], "1:stop"), 2)
    finally:
        ended.set()
        waker.join()
    assert len(woken) > len(ON_THE_WAY) / 2, "two threads may stop it at once, but not at most of the points"


def failing(names: list[str], mails: int) -> dict[str, str]:
    """Each of the points fails once, about as many with each of the mails: three failures of one mail would set it aside."""
    # A start that cannot commit is none; it has a dozen commits. Readers are made ready once, and mails may share a batch.
    own = {"store-before-commit": 30, "store-after-commit": 40, "engine-warmed": 1, "engine-leased": 2, "engine-read": 4,
           "engine-committed": 6}
    return {point: f"{own.get(point, 1 + place * mails // len(names))}:error" for place, point in enumerate(names)}


def test_failed_at_every_point(scene: Scene) -> None:
    """Fifteen mails, and every few points an error, which the log tells. What could not be done is done again, once."""
    flows(scene, failing(ON_THE_WAY, 15), 15)
    told = scene.daemon.told()
    # What writes many in one commit makes a second try of its own, one by one, before it tells anybody; a point on the relay's road
    # may be told of as the relay's trouble.
    silent = {name for name in ON_THE_WAY if f"failpoint {name}\"" not in told} - {
        "spool-before-commit", "spool-after-commit", "outbox-settled-before-commit"}
    assert len(silent) <= 1, silent


def stopped(pid: int) -> bool:
    with suppress(FileNotFoundError):  # it has ended meanwhile
        return _state(pid) == "T"
    return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.long
@pytest.mark.parametrize("effect", ["delay=1", "error", "stop"])
@pytest.mark.parametrize(("point", "nth"), FLOW, ids=str)
def test_each_point_alone(old_scene: Scene, point: str, nth: int, effect: str) -> None:
    daemon = old_scene.daemon
    daemon.spawn(RTMAIL_FAILPOINT=f"{point}:{nth}:{effect}")
    if effect != "stop":  # which may be before it listens
        wait_for(lambda: daemon._listens() or daemon._ended(), 60)
    if effect == "error" and daemon._ended():
        assert "rtmail: cannot start: " in daemon.told().splitlines()[-1]
        daemon.start()
    old_scene.post()
    if effect == "stop":
        wait_for(lambda: stopped(old_scene.daemon._pid), 30, "not passed")

        def awake() -> bool:
            """Nobody stands still any more. Who is at the point stops right after the daemon, if it is another process."""
            there = family(old_scene.daemon._pid)
            still = any(stopped(pid) for pid in there)
            tell(there, signal.SIGCONT)
            return not still

        wait_for(awake, 30)
    old_scene.taken()
    old_scene.rests(90)  # a claim of the courier's that came to nothing lasts for 60 s
    assert old_scene.daemon.stop() == 0
    old_scene.check()


@pytest.mark.long
@pytest.mark.parametrize("effect", ["delay=1", "error"])
@pytest.mark.parametrize(("point", "nth"), FROM_A_MAILBOX, ids=str)
def test_each_point_of_a_mailbox_alone(nursery: Nursery, tmp_path: Path, point: str, nth: int, effect: str) -> None:
    with ImapServer() as server:
        scene = Scene(nursery, tmp_path, ingress=MAILBOX.format(port=server.port))
        try:
            posted = scene.ledger.next()
            server.append(posted.raw)
            scene.ledger.taken(posted)
            scene.daemon.start(RTMAIL_IMAP_OFFICE_PASSWORD=server.password, RTMAIL_FAILPOINT=f"{point}:{nth}:{effect}")
            wait_for(lambda: server.flagged() == {1}, told="the mail was not flagged as read")
            wait_for(lambda: posted.sender in [came.recipients[0] for came in scene.sink.mails], told="no acknowledgement")
            scene.rests()
            scene.check()
        finally:
            scene.close()
