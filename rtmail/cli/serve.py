"""`rtmail serve`: the daemon in the foreground."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from rtmail.cli.common import config_option, end, refuse
from rtmail.clockwork import Clock, Rehearsal, system
from rtmail.config import Config
from rtmail.daemon import EngineEnded
from rtmail.daemon import serve as run
from rtmail.errors import ConfigError, RtmailError
from rtmail.store import StoreFailed


@click.command()
@click.option("--clock-rate", type=click.FloatRange(min=0.001), help="rehearse: run the clock so many times as fast")
@click.option("--clock-from", help="rehearse: the instant at which the clock starts")
@click.option("--clock-zero", type=float, help="rehearse: the system's time (seconds) at which it started; default: now")
@config_option
def serve(found: Config, clock_rate: float | None, clock_from: str | None, clock_zero: float | None) -> None:
    """Run the daemon: take mail in, send mail out, keep the clocks."""
    clock: Clock = system
    if clock_rate is not None or clock_from is not None:
        if clock_rate is None or clock_from is None:
            end("rtmail: --clock-rate and --clock-from go together", 2)
        if not _harmless(found):
            end("rtmail: a clock that is not the system's is for a Maildir or a relay on this machine only", 2)
        start = datetime.fromisoformat(clock_from)
        if start.tzinfo is None:
            start = start.replace(tzinfo=ZoneInfo(found.settings.timezone))
        clock = Rehearsal(start, clock_zero if clock_zero is not None else time.time(), clock_rate)
    try:
        run(found, clock, clock_rate or 1.0)
    except ConfigError as error:
        refuse(error)
    except EngineEnded as error:
        end(f"rtmail: ended, since {error}", error.exit_code)
    except StoreFailed as error:
        end(f"rtmail: ended, for the database cannot be trusted: {error}", error.exit_code)
    except (RtmailError, OSError, ValueError) as error:
        end(f"rtmail: cannot start: {error}", getattr(error, "exit_code", 1))


def _harmless(found: Config) -> bool:
    url = found.relay_url
    return url.startswith("maildir:") or any(f"//{host}" in url or f"@{host}" in url for host in ("127.", "localhost", "[::1]"))
