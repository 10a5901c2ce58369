"""Lengths of time as policies and people write them: `90m`, `4h`, `1h30m`, `1bd` (business day), `30d`, `0` (at once).

`h` and `m` count open time on a calendar, `bd` counts its open days, `d` counts whole days round the clock whatever the
calendar. What a length comes to is asked of `Duration.after`, with the calendar it runs on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtmail.policy.hours import Hours, add, add_business_days

_OPEN_TIME = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?")
_DAYS = re.compile(r"([0-9]{1,4})(bd|d)")
CURE = 'write minutes and hours as "90m", "4h" or "1h30m", business days as "1bd", days round the clock as "30d", at once as "0"'


@dataclass(frozen=True, slots=True)
class Duration:
    """A length: `business_days` open days, or `days` round the clock, or `open_time` on a calendar; one of them only."""

    open_time: timedelta = timedelta(0)
    business_days: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return the length that `text` says; blanks and case do not matter. Raises ValueError with the cure in its words."""
        compact = "".join(text.split()).lower()
        if compact == "0":
            return cls()
        if match := _DAYS.fullmatch(compact):
            number = int(match[1])
            return cls(business_days=number) if match[2] == "bd" else cls(days=number)
        match = _OPEN_TIME.fullmatch(compact)
        if match is None or not compact:
            raise ValueError(f"{text!r} is no length of time: {CURE}")
        return cls(open_time=timedelta(hours=int(match[1] or 0), minutes=int(match[2] or 0)))

    @property
    def is_zero(self) -> bool:
        return not (self.open_time or self.business_days or self.days)

    def after(self, start: datetime, hours: Hours) -> datetime:
        """Return the instant (UTC) this long after `start` on `hours`; zero is `start`, or the next opening when closed then.

        Raises NeverOpens when the calendar has no further opening.
        """
        if self.days:
            return start.astimezone(hours.utc) + timedelta(days=self.days)
        if self.business_days:
            return add_business_days(start, self.business_days, hours)
        return add(start, self.open_time, hours)

    def __str__(self) -> str:
        if self.business_days:
            return f"{self.business_days}bd"
        if self.days:
            return f"{self.days}d"
        minutes = int(self.open_time.total_seconds()) // 60
        hours, minutes = divmod(minutes, 60)
        return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") or "0"
