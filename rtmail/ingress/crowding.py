"""Who leaves when the house is full and somebody new stands at the door. Pure; the listener asks and cuts.

A cap on connections alone is a gift to who opens two hundred and says nothing: everybody else is sent away until his patience, or
ours, ends. So the newcomer gets the place of the session that is missed least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

WAITED = 10.0
"""Seconds after which a session that has not begun its mail may be ended for the sake of another."""
RECEIVED = 30.0
SLOW = 2000.0
"""A mail that comes in for longer than `RECEIVED` at less than so many bytes a second may be ended as well: no line is as slow as that."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One session as it stands.

    network  what it counts for: its /24 or /48, "" where it may stay whatever happens (our own, or a mail that is being kept)
    waiting  seconds that no mail was begun, since it came or since its last mail; 0 while a mail comes in
    lasting  seconds that a mail has been coming in; 0 before
    rate     bytes a second of it so far
    """

    network: str
    waiting: float = 0
    lasting: float = 0
    rate: float = 0


class Leaver(Protocol):
    """A session that can give its place away."""

    leaving: bool

    def as_guest(self) -> Guest:
        """Return how it stands now."""

    def give_way(self) -> None:
        """Free its place at once and say goodbye."""


def least_missed(guests: Sequence[Guest], network: str) -> int | None:
    """Return which guest leaves for a newcomer out of `network`, None for nobody.

    In order: who began no mail for longest, beyond `WAITED`; of the network with the most sessions, where that has more than the
    newcomer's would have, who waits longest; the slowest mail below `SLOW`; and the slowest of a network with too many.
    """
    counts = Counter(one.network for one in guests if one.network)
    idle = [at for at, one in enumerate(guests) if one.network and not one.lasting]
    longest = max(idle, key=lambda at: guests[at].waiting, default=None)
    if longest is not None and guests[longest].waiting > WAITED:
        return longest

    def crowded(ones: Sequence[int]) -> list[int]:
        name = max((guests[at].network for at in ones), key=lambda name: counts[name], default="")
        return [at for at in ones if guests[at].network == name and counts[name] > counts[network] + 1]

    if found := crowded(idle):
        return max(found, key=lambda at: guests[at].waiting)
    coming = [at for at, one in enumerate(guests) if one.network and one.lasting > RECEIVED]
    found = [at for at in coming if guests[at].rate < SLOW] or crowded(coming)
    return min(found, key=lambda at: guests[at].rate, default=None)
