"""The three families of failure, each knowing its SMTP reply and its exit code.

The peer's fault is `Refused` (5xx), "not now" is `Deferred` (4xx, exit 75); whatever else is ours, and before
acceptance it is told as "not now" too, so that no fault of ours ever bounces a customer's mail.
Every floor may import this module; it imports nothing of rtmail.
"""

from __future__ import annotations

from dataclasses import dataclass

EX_OK = 0
EX_DATAERR = 65
EX_NOUSER = 67
EX_TEMPFAIL = 75
EX_CONFIG = 78


class RtmailError(Exception):
    """Base of everything that rtmail raises on purpose."""


class Answered(RtmailError):  # noqa: N818  (it names what the peer hears)
    """A failure with an SMTP reply: `code`, `enhanced` status and `text`; `exit_code` is what `receive` exits with."""

    exit_code = EX_TEMPFAIL

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(f"{code} {enhanced} {text}")
        self.code, self.enhanced, self.text = code, enhanced, text

    @property
    def reply(self) -> str:
        """The reply line as SMTP and LMTP send it (RFC 5321 4.2, RFC 3463)."""
        return f"{self.code} {self.enhanced} {self.text}"


class Refused(Answered):
    """The peer's fault, for good: 5xx."""

    exit_code = EX_DATAERR


class UnknownRecipient(Refused):
    """No address of ours (550 5.1.1, exit 67)."""

    exit_code = EX_NOUSER

    def __init__(self, address: str) -> None:
        super().__init__(550, "5.1.1", f"<{address}>: no such mailbox here")


class TooLarge(Refused):
    """Over the size limit (552 5.3.4, exit 65)."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(552, "5.3.4", f"message larger than {limit_bytes} bytes; send its files in several mails or as a link")


class Deferred(Answered):
    """Not now: 4xx; the peer tries again."""

    def __init__(self, text: str = "temporary trouble, try again later", code: int = 451, enhanced: str = "4.3.0") -> None:
        super().__init__(code, enhanced, text)


class DiskFull(Deferred):
    """No room (452 4.3.1)."""

    def __init__(self) -> None:
        super().__init__("insufficient system storage", 452, "4.3.1")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a config or policy file: where it stands, what is wrong, how to mend it."""

    file: str
    line: int
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}\n    cure: {self.cure}"


class ConfigError(RtmailError):
    """The configuration cannot be used; `problems` names every mistake found (exit 78)."""

    exit_code = EX_CONFIG

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class PolicyError(ConfigError):
    """A policy file cannot be used."""


def plain(error: BaseException) -> str:
    """Return what an error says to a person: of the system's the file and the reason, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)
