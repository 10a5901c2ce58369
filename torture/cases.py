"""The cases of the torture, and in what share a round plays them."""

from __future__ import annotations

from torture import disks, lives, times
from torture.told import Case

CASES: tuple[Case, ...] = (
    *(lives.siege_of_one,) * 3, *(lives.siege_of_two,) * 2, lives.one_stands_still, lives.bombs_away, lives.parts_hang, lives.soak,
    lives.restarts, disks.power_cuts, disks.syncs_fail, disks.flipped_bytes, disks.backed_up, disks.first_starts, times.clock_steps,
    times.down_over_deadlines, times.names_away, lives.control_hasty, disks.control_unsynced)
"""A round plays each, in an order of its own."""
