"""What the doctor found of one part."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """WARN: look this week. FAIL: look now; mail or promises suffer."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: what was tried, what was seen or said, and what to do about it ("" when nothing)."""

    part: str
    verdict: Verdict
    tried: str
    said: str
    cure: str = ""


def ok(part: str, tried: str, said: str) -> Finding:
    return Finding(part, Verdict.OK, tried, said)


def warn(part: str, tried: str, said: str, cure: str) -> Finding:
    return Finding(part, Verdict.WARN, tried, said, cure)


def fail(part: str, tried: str, said: str, cure: str) -> Finding:
    return Finding(part, Verdict.FAIL, tried, said, cure)
