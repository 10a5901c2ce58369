"""In what order the mails of an archive are taken in, and which request gets which of its old numbers. Pure.

Folders are read one after the other, and clocks were wrong: what answers another mail comes after it here whatever its date says,
since otherwise the answer would open a request and the question another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from rtmail.mail.reading.outline import Outline

LARGEST = 1_000_000
"""Of the numbers that only others' mail names, where no mail of the house names any: a made-up one must not use numbers up."""


def ordered(outlines: Sequence[Outline]) -> list[int]:
    """Return the places of `outlines` by time, each behind the mails that it cites as far as they are there."""
    by_time = sorted(range(len(outlines)), key=lambda place: (outlines[place].at, place))
    by_id: dict[str, int] = {}
    for place in by_time:
        if outlines[place].message_id:
            by_id.setdefault(outlines[place].message_id, place)
    done = bytearray(len(outlines))
    order: list[int] = []
    for first in by_time:
        # A stack, since threads are deeper than Python's; 1: under way, 2: in its place.
        stack = [first]
        while stack:
            place = stack[-1]
            if done[place]:
                if done[place] == 1:
                    done[place] = 2
                    order.append(place)
                stack.pop()
                continue
            done[place] = 1
            cited = (by_id.get(one, place) for one in outlines[place].cited)
            stack += [before for before in cited if not done[before]]
    return order


def numbered(outlines: Sequence[Outline], of_house: Callable[[str], bool]) -> dict[int, int]:
    """Return the number that a thread's tags name, by the place of every mail of the thread.

    of_house  tells whether an address (`address.key`) is the house's: its word comes first; of others' mail only answers count,
              and no number far beyond those of the house
    A number that several threads name is that of the one in which the house said it first.
    """
    thread = _threads(outlines)
    said: dict[int, list[tuple[int, int]]] = defaultdict(list)
    house = [number for one in outlines if one.tags and of_house(one.sender) for number in one.tags]
    most = 2 * max(house) if house else LARGEST
    for place in sorted(range(len(outlines)), key=lambda place: (outlines[place].at, place)):
        one = outlines[place]
        if one.tags and of_house(one.sender):
            said[0].append((one.tags[0], thread[place]))
        elif one.tags and one.reply and one.cited and one.tags[0] <= most:
            said[1].append((one.tags[0], thread[place]))
    taken: dict[int, int] = {}
    owner: dict[int, int] = {}
    for number, root in (*said[0], *said[1]):
        if number and root not in taken and number not in owner:
            taken[root], owner[number] = number, root
    return {place: taken[thread[place]] for place in range(len(outlines)) if thread[place] in taken}


def _threads(outlines: Sequence[Outline]) -> list[int]:
    """Return for each mail the number of its thread: those that cite each other, or the same mail, are one."""
    above: dict[str, str] = {}

    def root(name: str) -> str:
        top = name
        while (next_ := above.get(top, top)) != top:
            top = next_
        while name != top:
            above[name], name = top, above.get(name, name)
        return top

    names = [one.message_id or f"#{place}" for place, one in enumerate(outlines)]
    for name, one in zip(names, outlines, strict=True):
        for cited in one.cited:
            above[root(cited)] = root(name)
    numbers: dict[str, int] = {}
    return [numbers.setdefault(root(name), len(numbers)) for name in names]
