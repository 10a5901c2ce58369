"""Everything that can go wrong, done to the real daemon in random order, with books of our own about what was promised: `make torture`."""
