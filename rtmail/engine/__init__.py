"""Load, read, decide, compose and commit, as one transaction."""
