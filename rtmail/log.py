"""One function per thing that happens to a mail; one line of key=value per call, on stderr.

Called from every floor. The lines carry the ids that join them (spool, ticket, event, outbox) and addresses, never
subjects, words or signed details. A reader of stderr that stands still must not stop mail (R27): lines go to a queue of
limited length, one thread writes them, and what finds no room is counted and told later.
INFO is what happened, WARNING wants a look this week, ERROR a look now, with the command that helps.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
import traceback
from collections import deque
from collections.abc import Iterable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from rtmail.errors import Problem, RtmailError

QUEUE_LINES = 10_000
GATHER_SECONDS = 0.02
"""So long the thread that writes lets lines gather: were it woken for each, it would stop those who write them as often."""
LINE_CHARACTERS = 2000
FRAMES = 4
"""Of a failure's stack, innermost first."""

_DETAIL = re.compile(r"(?<![a-z0-9])[a-z2-7]{36}(?![a-z0-9])", re.IGNORECASE)
_TAGGED = re.compile(r"\+[^\s@<>,\"]+@")
_PRIORITY = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def _in_journal() -> bool:
    """Tell whether what we write to stderr goes to systemd's journal: then a line may begin with its priority (sd-daemon(3))."""
    try:
        err = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{err.st_dev}:{err.st_ino}"


class _Writer:
    """A queue of lines and the thread that writes them to a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._prefix = _PRIORITY["warning"] if _in_journal() else ""
        self._lines: deque[bytes] = deque()
        self._changed, self._some = threading.Condition(), threading.Event()
        self._hurried = False
        self._thread: threading.Thread | None = None
        self._writing = False
        self._untold = 0
        self.dropped = 0

    def msg(self, line: str) -> None:
        """Queue one line, or count it as dropped. Never waits for the reader."""
        with self._changed:
            if len(self._lines) >= QUEUE_LINES:
                self.dropped += 1
                self._untold += 1
                return
            self._lines.append(line[:LINE_CHARACTERS].encode("utf-8", "replace") + b"\n")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        self._some.set()

    debug = info = warning = error = msg

    def flush(self, seconds: float) -> bool:
        """Wait until everything queued is written, at most `seconds`; False when it is not."""
        with self._changed:
            self._hurried = True
            self._some.set()
            return self._changed.wait_for(lambda: not self._lines and not self._writing, seconds)

    def _run(self) -> None:
        while True:
            self._some.wait()
            if not self._hurried:
                threading.Event().wait(GATHER_SECONDS)  # not sleep: a clock set back ends it with an error
            with self._changed:
                self._some.clear()
                self._hurried = False
                lines = list(self._lines)
                self._lines.clear()
                self._writing = True
                untold, self._untold = self._untold, 0
            self._write(b"".join(lines))
            if untold:
                self._write(f"{self._prefix}at={_now()} level=warning event=log_lines_dropped lines={untold}\n".encode())
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            # Nobody reads us any more; there is no place left to say so.
            with self._changed:
                self.dropped += data.count(b"\n")


_writer = _Writer(2)


def dropped() -> int:
    """Return how many lines found no room, or no reader, since the process began."""
    return _writer.dropped


def flush(seconds: float = 0.5) -> bool:
    """Wait until all lines are written, at most `seconds`; for the end of a process, and tests."""
    return _writer.flush(seconds)


def _after_fork() -> None:
    # The thread is not in the child, and the lock may have been held: a fresh writer, with nothing queued twice.
    global _writer, _log
    _writer = _Writer(2)
    _log = _logger(_writer)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stamp(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"at": _now(), "level": method, "event": fields.pop("event"), **fields}


def _clean(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    said = {key: value for key, value in fields.items() if value not in (None, "")}
    return {key: value if isinstance(value, int) else without_details(str(value)) for key, value in said.items()}


def _prioritized(logger: Any, method: str, line: Any) -> str:
    return _PRIORITY[method] + str(line)


def _logger(writer: _Writer) -> Any:
    rendered = structlog.processors.LogfmtRenderer(key_order=("at", "level", "event"), bool_as_flag=False)
    last = [_prioritized] if _in_journal() else []
    return structlog.wrap_logger(writer, processors=[_stamp, _clean, rendered, *last], wrapper_class=structlog.BoundLogger)


def without_details(text: str) -> str:
    """Return `text` as one line in which no signed detail is left: `support+…@example.com`."""
    return _TAGGED.sub("+…@", _DETAIL.sub("…", _CONTROL.sub(" ", text)))


_log = _logger(_writer)
atexit.register(flush)
os.register_at_fork(after_in_child=_after_fork)


def _to(recipients: Iterable[str]) -> str:
    shown = [f"<{recipient}>" for recipient in recipients]
    more = f",+{len(shown) - 5}" if len(shown) > 5 else ""
    return ",".join(shown[:5]) + more


# In


def accepted(*, spool: int, ingress: str, peer: str, sender: str | None, recipients: Sequence[str], size: int) -> None:
    """A mail is kept: committed to the spool. `sender` is None where the envelope was not told, "" for the null sender."""
    known = "unknown" if sender is None else f"<{sender}>"
    _log.info("accepted", spool=spool, **{"from": known}, to=_to(recipients), ingress=ingress, peer=peer, bytes=size)


def refused(*, ingress: str, peer: str, sender: str, recipient: str, reply: str) -> None:
    """A mail or a recipient was refused for good."""
    _log.info("refused", **{"from": f"<{sender}>"}, to=f"<{recipient}>", ingress=ingress, peer=peer, reply=reply)


def put_off(*, ingress: str, peer: str, reply: str, why: str) -> None:
    """A peer was told to come again, for trouble of ours."""
    _log.warning("put_off", ingress=ingress, peer=peer, reply=reply, why=why, help="rtmail doctor")


def connection_refused(*, ingress: str, peer: str, reply: str) -> None:
    """A connection over one of the caps."""
    _log.info("connection_refused", ingress=ingress, peer=peer, reply=reply)


def auth_refused(*, ingress: str, peer: str, user: str) -> None:
    """SMTP AUTH with a wrong name or password."""
    _log.warning("auth_refused", ingress=ingress, peer=peer, user=user)


def mailbox_connected(*, ingress: str, host: str) -> None:
    """An IMAP mailbox is open."""
    _log.info("mailbox_connected", ingress=ingress, host=host)


def mailbox_lost(*, ingress: str, host: str, error: BaseException, retry_seconds: float) -> None:
    """An IMAP mailbox cannot be reached, or the connection ended."""
    _log.warning("mailbox_lost", ingress=ingress, host=host, retry_seconds=round(retry_seconds), **_told(error), help="rtmail doctor")


# What became of it


def matched(*, spool: int, sender: str, kind: str, ticket: int, event: int, queue: str, why: str) -> None:
    """A mail became an event of a request; `event` 1 opened it."""
    _log.info("matched", spool=spool, **{"from": f"<{sender}>"}, kind=kind, ticket=ticket, ticket_event=event, queue=queue, why=why)


def ignored(*, spool: int, sender: str, kind: str, why: str) -> None:
    """A mail that changes nothing: a duplicate, our own, erased, an auto-reply without a request."""
    _log.info("ignored", spool=spool, **{"from": f"<{sender}>"}, kind=kind, why=why)


def junked(*, spool: int, sender: str, why: str) -> None:
    """A mail set aside as spam."""
    _log.info("junked", spool=spool, **{"from": f"<{sender}>"}, why=why, help=f"rtmail junk show {spool}")


def bounced(*, spool: int, outbox: int | None, ticket: int | None, status: str, why: str) -> None:
    """A delivery report was recorded."""
    _log.info("bounced", spool=spool, outbox=outbox, ticket=ticket, status=status, why=why)


def held(*, spool: int, hold: int, sender: str, ticket: int | None, why: str) -> None:
    """A mail waits for a person's word."""
    _log.info("held", spool=spool, hold=hold, **{"from": f"<{sender}>"}, ticket=ticket, why=why, help=f"rtmail held show {hold}")


def quarantined(*, spool: int, why: str) -> None:
    """A mail that could not be processed was set aside for the admin."""
    _log.error("quarantined", spool=spool, why=why, help=f"rtmail quarantine show {spool}")


def for_admin(*, spool: int, sender: str, why: str) -> None:
    """A mail to postmaster or abuse was passed to the admin, or is a copy of ours that came back there."""
    _log.info("for_admin", spool=spool, **{"from": f"<{sender}>"}, why=why, help=f"rtmail quarantine show {spool}")


def retried(*, spool: int, attempt: int, until: datetime, error: BaseException) -> None:
    """Processing a kept mail failed and is tried again."""
    _log.warning("retried", spool=spool, attempt=attempt, until=_instant(until), **_told(error))


# Time


def tick(*, due: int, mails: int, seconds: float) -> None:
    """Rows that were due were worked on; silent ticks are not logged."""
    _log.info("tick", due=due, mails=mails, seconds=f"{seconds:.3f}")


def clock(*, ticket: int, clock: str, state: str, why: str, rung: int | None = None) -> None:
    """A clock was met, missed, given back or climbed a rung."""
    _log.info("clock", ticket=ticket, clock=clock, state=state, rung=rung, why=why)


def command(*, ticket: int | None, person: str, name: str, result: str, via: str) -> None:
    """A command of staff ran, or did not; `via` names the mail ("spool 71") or the unix user."""
    _log.info("command", ticket=ticket, person=person, name=name, result=result, via=via)


# Out


def composed(*, outbox: int, ticket: int | None, event: int | None, template: str, recipient: str) -> None:
    """A mail was rendered and committed to the outbox."""
    _log.info("composed", outbox=outbox, ticket=ticket, ticket_event=event, template=template, to=f"<{recipient}>")


def leased(*, outbox: int, ticket: int | None, recipient: str, attempt: int) -> None:
    """A mail of the outbox is being tried."""
    _log.info("leased", outbox=outbox, ticket=ticket, to=f"<{recipient}>", attempt=attempt)


def sent(*, outbox: int, ticket: int | None, recipient: str, text: str) -> None:
    """The relay took a mail; `text` is its reply."""
    _log.info("sent", outbox=outbox, ticket=ticket, to=f"<{recipient}>", reply=text)


def deferred(*, outbox: int, ticket: int | None, recipient: str, until: datetime, text: str) -> None:
    """The relay did not take a mail now; it is tried again at `until`."""
    _log.info("deferred", outbox=outbox, ticket=ticket, to=f"<{recipient}>", until=_instant(until), reply=text)


def undeliverable(*, outbox: int, ticket: int | None, recipient: str, status: str, text: str) -> None:
    """The relay refused a mail for good."""
    cure = f"rtmail outbox show {outbox}"
    _log.warning("undeliverable", outbox=outbox, ticket=ticket, to=f"<{recipient}>", status=status, reply=text, help=cure)


def expired(*, outbox: int, ticket: int | None, recipient: str) -> None:
    """A mail was tried for as long as it is worth."""
    _log.warning("expired", outbox=outbox, ticket=ticket, to=f"<{recipient}>", help=f"rtmail outbox show {outbox}")


def lease_lost(*, outbox: int) -> None:
    """Another daemon took over a mail while we held it; its word counts."""
    _log.warning("lease_lost", outbox=outbox)


def relay_down(*, text: str) -> None:
    """The relay takes nothing; one probe at a time until it does."""
    _log.error("relay_down", reply=text, help="rtmail doctor")


def relay_up() -> None:
    """The relay works again."""
    _log.info("relay_up")


# The daemon


def failed(*, stage: str, error: BaseException, spool: int | None = None, ticket: int | None = None, outbox: int | None = None) -> None:
    """Something of ours went wrong: what, and where in the code. The mail concerned is kept."""
    _log.error("failed", stage=stage, spool=spool, ticket=ticket, outbox=outbox, **_told(error))


def started(*, version: str, config: str, store: str, listening: Sequence[str]) -> None:
    """The daemon is ready; `store` names the engine, never its password."""
    _log.info("started", version=version, config=config, store=store, listening=",".join(listening))


def draining(*, why: str) -> None:
    """No new mail is taken; what is under way is brought to its end."""
    _log.info("draining", why=why)


def stopped(*, seconds: float) -> None:
    """The daemon ended in order."""
    _log.info("stopped", seconds=f"{seconds:.1f}")


def reloaded(*, config: str, policies: int) -> None:
    """A changed config counts from now on; `policies` are new versions."""
    _log.info("reloaded", config=config, new_policies=policies)


def restart_needed(*, tables: Sequence[str]) -> None:
    """A reload cannot take what changed in these tables; all the rest of the config counts from now on."""
    _log.warning("restart_needed", changed=", ".join(tables), help="systemctl restart rtmail")


def broken_config(*, problems: Sequence[Problem], keeps: bool) -> None:
    """The config has mistakes. `keeps`: the one before goes on."""
    for problem in problems:
        where, old = f"{problem.file}:{problem.line}", "kept" if keeps else "none"
        _log.error("broken_config", where=where, what=problem.what, cure=problem.cure, old_config=old, help="rtmail check")


def paused(*, what: str, still: bool) -> None:
    """The outbox, the escalations or the ingress stand still from now on, or go on."""
    _log.warning("paused" if still else "resumed", what=what, help=f"rtmail resume {what}" if still else "rtmail pause")


def alarm(*, what: str, help: str) -> None:
    """A state that a person must mend, such as an escalation that reached nobody; `help` is the command to begin with."""
    _log.error("alarm", what=what, help=help)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _told(error: BaseException) -> dict[str, str]:
    """What of an exception may be logged. Messages of other people's exceptions quote mails and rows, ours do not."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = "<".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    else:
        text = str(error).partition("\n")[0] if isinstance(error, RtmailError) else ""
    return {"error": type(error).__name__, "text": text, "code_at": where}
