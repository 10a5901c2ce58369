"""A terminal obeys what it is sent, and much of what we print was written by strangers: nothing but text gets through to it.

Subjects and names are clean since they were read, but a mail as it came in, the reason why one failed and what a relay replied
are not. Where the output is no terminal, it is passed on as it is.
"""

from __future__ import annotations

import re
import sys
from typing import IO, Any

_HEARD = re.compile(
    r"\x1b\[(?:0|1|3[1-6])m"  # our own colours
    r"|\r(?=\n)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def harmless(text: str) -> str:
    """Return `text` with control characters and direction marks shown instead of sent; line ends, tabs and plain colours stay."""
    return _HEARD.sub(lambda found: found[0] if len(found[0]) > 1 else _shown(found[0]), text)


def _shown(character: str) -> str:
    return "" if character == "\r" else f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


class Harmless:
    """A text stream to a terminal; `terminal` is the stream below, for who draws by himself."""

    def __init__(self, terminal: IO[str]) -> None:
        self.terminal = terminal

    def write(self, text: str) -> int:
        self.terminal.write(harmless(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


def guard() -> None:
    """Let nothing but text through to a terminal from here on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty() and not isinstance(stream, Harmless):
            setattr(sys, name, Harmless(stream))
