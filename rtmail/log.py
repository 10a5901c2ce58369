"""One function per thing that happens to a mail; one line of key=value per call, on stderr.

Called from every floor. The lines carry the ids that join them (spool, ticket, event, outbox) and addresses, never
subjects, words or signed details. `logwriter` writes them without ever waiting for a reader.
INFO is what happened, WARNING wants a look this week, ERROR a look now, with the command that helps.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

# structlog draws in rich for a renderer that we do not use, and with it 3 MB that a daemon would keep. Without it structlog does as well.
_had_rich = "rich" in sys.modules
if not _had_rich:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if not _had_rich:
    del sys.modules["rich"]

from rtmail.errors import Problem, RtmailError  # noqa: E402
from rtmail.logwriter import (  # noqa: E402
    JOURNAL,
    LEVELS,
    LINE_CHARACTERS,
    JournalWriter,
    Writer,
    as_journal,
    as_json,
    in_journal,
    now,
)

FRAMES = 4
"""Of a failure's stack, innermost first."""

_DETAIL = re.compile(r"(?<![a-z0-9])[a-z2-7]{36}(?![a-z0-9])", re.IGNORECASE)
DETAIL_CHARACTERS = 36
_TAGGED = re.compile(r"\+[^\s@<>,\"]+@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LOGFMT = structlog.processors.LogfmtRenderer(key_order=("at", "level", "event"), drop_missing=True, bool_as_flag=False)


_writer: Writer
_log: Any
_format, _least = "text", LEVELS["info"]
_watchers: list[Callable[[str, Mapping[str, Any]], None]] = []


def set_up(form: str, level: str) -> None:
    """Write lines as `form` ("text", "json", "journald") from now on, and none below `level`; without a journal they stay text."""
    global _format, _least
    flush()
    _format, _least = form, LEVELS[level]
    _begin()


def watch(told: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Call `told` with the name and the fields of whatever is logged from now on, at any level, in the thread that logs it."""
    _watchers.append(told)


def unwatch(told: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Call it no more."""
    _watchers.remove(told)


def pass_on(name: str, fields: Mapping[str, Any]) -> None:
    """Tell whoever watches what another process of ours has logged, which wrote the line itself."""
    for told in tuple(_watchers):
        told(name, fields)


def dropped() -> int:
    """Return how many lines found no room, or no reader, since the process began."""
    return _writer.dropped


def flush(seconds: float = 0.5) -> bool:
    """Wait until all lines are written, at most `seconds`; for the end of a process, and tests."""
    return _writer.flush(seconds)


def _watched(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for told in tuple(_watchers):
        told(fields["event"], fields)
    if LEVELS[method] > _least:
        raise structlog.DropEvent
    return fields


def _stamp(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"at": now(), "level": method, "event": fields.pop("event"), **fields}


def _clean(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    said = {key: value for key, value in fields.items() if value not in (None, "")}
    return {key: value if isinstance(value, int) else without_details(str(value)) for key, value in said.items()}


def _as_text(logger: Any, method: str, fields: MutableMapping[str, Any]) -> str:
    return str(_LOGFMT(logger, method, fields))[:LINE_CHARACTERS]


def _prioritized(logger: Any, method: str, line: Any) -> str:
    return f"<{LEVELS[method]}>{line}"


def _lost(lines: int) -> str:
    """Return the line that says so; made outside of structlog, as the writer's own thread writes it."""
    fields: Any = {"at": now(), "level": "warning", "event": "log_lines_dropped", "lines": lines}
    for render in _renderers():
        fields = render(None, "warning", fields)
    return str(fields)


def _renderers() -> list[Any]:
    if isinstance(_writer, JournalWriter):
        return [as_journal(lambda said: _as_text(None, "", dict(said)))]
    rendered = as_json if _format == "json" else _as_text
    return [rendered, _prioritized] if in_journal() else [rendered]


def _begin() -> None:
    """Make a fresh writer: at the start, for another format, and in a forked child, where the thread is not and the lock may be held."""
    global _writer, _log
    try:
        _writer = JournalWriter(_lost, JOURNAL) if _format == "journald" else Writer(_lost)
    except OSError:
        _writer = Writer(_lost)
    # Bound here: what wrap_logger returns would put itself together anew for each line.
    _log = structlog.wrap_logger(
        _writer, processors=[_watched, _stamp, _clean, *_renderers()], wrapper_class=structlog.BoundLogger
    ).bind()


def without_details(text: str) -> str:
    """Return `text` as one line in which no signed detail is left: `support+…@example.com`."""
    # Nearly all values are short and plain, and each line has ten: the patterns are asked only where they may find something.
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    if len(text) >= DETAIL_CHARACTERS:
        text = _DETAIL.sub("…", text)
    return _TAGGED.sub("+…@", text) if "+" in text else text


_begin()
atexit.register(flush)
os.register_at_fork(after_in_child=_begin)


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


def told(*, ticket: int, clock: str, rung: int, late_seconds: float, why: str) -> None:
    """A rung of a ladder was told, so long after the instant for it."""
    _log.info("told", ticket=ticket, clock=clock, rung=rung, late_seconds=round(late_seconds), why=why)


def command(*, ticket: int | None, person: str, name: str, result: str, via: str) -> None:
    """A command of staff ran, or did not; `via` names the mail ("spool 71") or the unix user."""
    _log.info("command", ticket=ticket, person=person, name=name, result=result, via=via)


def breaker_tripped(*, what: str, why: str) -> None:
    """The loop breaker answers nothing more for whom or what it names until its window is over."""
    _log.warning("breaker_tripped", stopped=what, why=why, help="rtmail ticket list --all")


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


def clock_set_back(*, seconds: float, mails: int) -> None:
    """The clock was set back; so many mails that had been put off by the one before come earlier by that."""
    _log.warning("clock_set_back", seconds=round(seconds), mails=mails)


def paused(*, what: str, still: bool) -> None:
    """The outbox, the escalations or the ingress stand still from now on, or go on."""
    _log.warning("paused" if still else "resumed", what=what, help=f"rtmail resume {what}" if still else "rtmail pause")


def asked(*, path: str, status: int) -> None:
    """A monitoring asked for figures or health."""
    _log.debug("asked", path=path, status=status)


def canary_back(*, spool: int, outbox: int, round_seconds: float, answer_seconds: float) -> None:
    """The canary mail is back and was worked off."""
    _log.info("canary_back", spool=spool, outbox=outbox, round_seconds=round(round_seconds), answer_seconds=round(answer_seconds))


def canary_missed(*, outbox: int, minutes: int) -> None:
    """The canary mail did not come back in time."""
    _log.error("canary_missed", outbox=outbox, minutes=minutes, help="rtmail doctor")


def heartbeat_failed(*, error: BaseException) -> None:
    """Whoever waits for our heartbeat did not take it."""
    _log.warning("heartbeat_failed", **_told(error), help="see RTMAIL_HEARTBEAT_URL")


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
