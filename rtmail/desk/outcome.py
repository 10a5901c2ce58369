"""What became of one command: a line of the receipt, and the refusal that makes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Result = Mapping[str, Any]
"""{line, done, outcome, instead}: the line as written, whether it was done, what happened, a corrected line to copy."""


ANSWERED = ""
"""The outcome of a question: its answer stands below, and a line of its own would only say so."""


class CannotDo(Exception):  # noqa: N818 -- the answer to a person, not an error of ours
    """A command that is refused: why, and the line that would do."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why, self.instead = why, instead


def done(line: str, outcome: str) -> Result:
    return {"line": line, "done": True, "outcome": outcome, "instead": ""}


def refused(line: str, why: str, instead: str = "") -> Result:
    return {"line": line, "done": False, "outcome": why, "instead": instead}
