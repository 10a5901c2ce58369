"""The house itself: its folder, its disk, its database, what waits in it, who works on it, and whether it is backed up."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta

from rtmail import __version__
from rtmail.config import Config
from rtmail.config.secrets import KEY_FILE, read_keys
from rtmail.errors import RtmailError
from rtmail.ops.doctor.finding import Finding, fail, ok, warn
from rtmail.ops.tenure import SILENT
from rtmail.store import Ages, Store

LITTLE_BYTES = 1 << 30
LEAST_BYTES = 64 << 20
"""Below that mail is answered 452, as the store keeps so much free."""
FEW_INODES = 1000
WAITS_TOO_LONG = timedelta(minutes=5)
GOES_TOO_LATE = timedelta(minutes=30)
STALE = timedelta(minutes=15)
OLD_BACKUP = timedelta(days=7)
SKEW = timedelta(seconds=5)


def span(length: timedelta) -> str:
    """Return a length of time as a person says it: two units at most."""
    minutes = int(length.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def state_folder(config: Config) -> Iterator[Finding]:
    """Yield whether the data is ours, and ours alone."""
    tried = f"looked at {config.state}"
    try:
        config.make_state()
        found = config.state.stat()
        if not os.access(config.state, os.R_OK | os.W_OK | os.X_OK):
            yield fail("state folder", tried, "it may not be written to", f"chown -R rtmail: {config.state}, or run as the daemon's user")
            return
    except OSError as error:
        yield fail("state folder", tried, error.strerror or str(error), "make it, and give it to the daemon's user")
        return
    open_to = stat.S_IMODE(found.st_mode) & 0o077
    key = config.state / KEY_FILE
    if open_to & 0o007:
        yield fail("state folder", tried, "everybody on this machine can read the mail in it", f"chmod 0700 {config.state}")
    elif key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield fail("state folder", f"looked at {key}", "others can read the signing key", f"chmod 0600 {key}")
    else:
        yield ok("state folder", tried, "readable and writable for us alone")
    if not config.key_given and key.exists():
        try:
            read_keys(key.read_text("ascii"))
        except (OSError, ValueError):
            yield fail("signing key", f"read {key}", "it holds no signing key", "rtmail restore FILE --replace puts it back from a backup")


def disk(config: Config) -> Iterator[Finding]:
    """Yield how much room there is for mail."""
    try:
        found = os.statvfs(config.state)
    except OSError as error:
        yield fail("disk", f"asked for free space at {config.state}", error.strerror or str(error), "see the state folder above")
        return
    free, tried = found.f_bavail * found.f_frsize, f"asked for free space at {config.state}"
    said = f"{free / 1e9:.1f} GB free"
    if free < LEAST_BYTES:
        yield fail("disk", tried, f"{said}: mail is answered 452", "make room, or move the state folder to a larger disk")
    elif found.f_files and found.f_favail < FEW_INODES:
        yield fail("disk", tried, f"{found.f_favail} inodes free", "remove small files on that disk: it takes no new ones")
    elif free < LITTLE_BYTES:
        yield warn("disk", tried, said, "make room before mail has to wait: below 64 MB it is answered 452")
    else:
        yield ok("disk", tried, said)


def inside(config: Config, store: Store, now: datetime) -> Iterator[Finding]:
    """Yield how the database answers, and what its rows tell."""
    tried = f"read and wrote {config.store_name}"
    try:
        store.ping()
        with store.transaction():
            pass
        ages = store.ages(now, STALE, now - timedelta(days=1))
    except RtmailError as error:
        yield fail("database", tried, str(error), "see who holds it: another program, or a daemon that hangs (systemctl restart rtmail)")
        return
    yield ok("database", tried, f"answers; schema {store.version()}")
    yield _clock(ages.latest, now)
    yield from _waiting(ages, now)
    yield from _daemons(config, store, now)
    yield _paused(store, now)
    yield _backup(store, now)


def _clock(latest: datetime | None, now: datetime) -> Finding:
    tried = "compared the clock with the latest mail"
    if latest is not None and latest > now + SKEW:
        said = f"a mail arrived {span(latest - now)} from now"
        return fail("clock", tried, said, "set the clock (timedatectl set-ntp true): promises run by it")
    return ok("clock", tried, f"{now:%Y-%m-%d %H:%M:%S} UTC, after everything that is stored")


def _waiting(ages: Ages, now: datetime) -> Iterator[Finding]:
    waits = now - ages.spool.since if ages.spool.since else timedelta(0)
    said = f"{ages.spool.count} wait" + (f", the oldest for {span(waits)}" if ages.spool.since else "")
    late = waits > WAITS_TOO_LONG
    cure = "see that the daemon runs, and its log: journalctl -u rtmail"
    yield (warn if late else ok)("mail in", "looked at what waits to be worked on", said, *((cure,) if late else ()))
    waits = now - ages.outbox.since if ages.outbox.since else timedelta(0)
    said = f"{ages.outbox.count} are due" + (f", the oldest for {span(waits)}" if ages.outbox.since else "")
    said += f"; {ages.failed} failed, expired or bounced in 24 hours"
    late = waits > GOES_TOO_LATE
    cure = "rtmail outbox list shows what the relay says of each"
    yield (warn if late else ok)("mail out", "looked at what waits to go out", said, *((cure,) if late else ()))
    if ages.stale:
        yield warn("claims", "looked for claims that ended", f"{ages.stale} mail claimed by a daemon that left it",
                   "see that a daemon runs: whichever comes next takes them over")
    if ages.quarantined or ages.held:
        yield warn("set aside", "looked at what waits for a person", f"{ages.quarantined} in quarantine, {ages.held} held",
                   "rtmail quarantine list; rtmail held list")


def _daemons(config: Config, store: Store, now: datetime) -> Iterator[Finding]:
    tried = "looked who works on the store"
    serving = store.serving()
    alive = [one for one in serving if now - one.at < SILENT]
    if not alive:
        last = max((one.at for one in serving), default=None)
        said = f"nobody; the last one spoke {span(now - last)} ago" if last else "nobody"
        yield fail("daemon", tried, said, "systemctl start rtmail (or rtmail serve), and see journalctl -u rtmail")
        return
    yield ok("daemon", tried, ", ".join(f"{one.owner} (rtmail {one.version})" for one in alive))
    digest = config.digest()
    tried = "compared the files of the config with what the daemons work by"
    drifted = [one.owner for one in alive if one.config != digest]
    if drifted:
        yield warn("config", tried, f"{', '.join(drifted)} works by another one", "rtmail check, then systemctl reload rtmail")
    else:
        yield ok("config", tried, "the same")
    if {one.version for one in alive} != {__version__}:
        yield warn("version", "compared versions", f"this is {__version__}", "restart the daemons: they run what was installed before")


def _paused(store: Store, now: datetime) -> Finding:
    pauses = store.pauses()
    if not pauses:
        return ok("pauses", "looked for what stands still", "nothing")
    said = "; ".join(f"{one.what} for {span(now - one.at)}, by {one.by}" for one in pauses)
    return warn("pauses", "looked for what stands still", said, f"rtmail resume {pauses[0].what}")


def _backup(store: Store, now: datetime) -> Finding:
    tried, last, cure = "looked for the last backup", store.last_backup(), "rtmail backup FILE, best from a timer every night"
    if last is None:
        return warn("backup", tried, "none was ever made here", cure)
    said = f"{span(now - last)} ago"
    return warn("backup", tried, said, cure) if now - last > OLD_BACKUP else ok("backup", tried, said)
