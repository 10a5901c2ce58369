"""`python -m rtmail`: the command line. For `receive` whatever goes wrong, a broken installation included, is "not now" (exit 75)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

DEFER = 75
TOLD = (0, 65, 67)
"""What `receive` may end with besides 75: kept, the mail itself, the recipient. An MTA bounces customers' mail on any other code."""


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["receive"]:
        sys.exit(_deferring())
    from rtmail.cli import rtmail

    rtmail()


def _deferring() -> int:
    """Run `rtmail receive` and return a code that an MTA keeps the mail for, unless the command itself says better."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        # A command that a signal ends counts as one that failed for good. Nobody was told yet that the mail is kept.
        signal.signal(number, lambda *_: os._exit(DEFER))
    try:
        from rtmail.cli import rtmail

        rtmail()
        code: object = DEFER
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        with contextlib.suppress(OSError):
            print(f"4.3.0 rtmail cannot start: {type(error).__name__}", flush=True)
            print(f"rtmail: {type(error).__name__}: {error}", file=sys.stderr)
        code = DEFER
    _last_words()
    return code if isinstance(code, int) and code in TOLD else DEFER


def _last_words() -> None:
    """Write what is still to be written; an interpreter that cannot would end with a code of its own."""
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


if __name__ == "__main__":
    main()
