"""`python -m rtmail`: the command line. Whatever fails before a mail could be taken tells an MTA "not now" (exit 75)."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a broken installation defers mail instead of bouncing it."""
    try:
        from rtmail.cli import rtmail
    except BaseException as error:
        if sys.argv[1:2] != ["receive"]:
            raise
        print(f"4.3.0 rtmail cannot start: {type(error).__name__}")
        sys.exit(75)
    rtmail()


if __name__ == "__main__":
    main()
