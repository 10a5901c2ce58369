"""The systems that write to us, as the config lists them: monitoring systems and development trackers. Read by `monitoring` and `trackers`.

They are apart from what is done with their mail, so that reading a config loads nothing of that.
"""

from __future__ import annotations

from dataclasses import dataclass

BUG_KEY = r"[A-Za-z][A-Za-z0-9_]{0,30}-\d{1,12}"
"""How most trackers write the number of a bug: JIRA-12."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """How one system's alerts are read.

    senders      addr-specs or "@domain"
    subject      pattern with a group "state"; its other groups name the problem
    recovered    pattern of the whole state when the problem is over
    on_recovery  "record" | "resolve" | "close"
    """

    name: str
    senders: tuple[str, ...]
    subject: str
    recovered: str
    on_recovery: str = "record"


@dataclass(frozen=True, slots=True)
class Tracker:
    """One tracker. senders: addr-specs or "@domain"; key: pattern of its bugs' numbers."""

    name: str
    senders: tuple[str, ...]
    key: str = BUG_KEY
