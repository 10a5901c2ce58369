"""Who is on a request by a word of staff: participants added and removed, colleagues who watch, copies that nobody wants any more."""

from __future__ import annotations

from collections.abc import Mapping

from rtmail.desk.decision import Builder
from rtmail.desk.grammar import arguments
from rtmail.desk.grammar.registry import closest
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Directory, Person
from rtmail.desk.ticket import EventKind, Role
from rtmail.mail import address

_TYPED = str.maketrans({"\u2018": "'", "\u2019": "'"})


def colleague(directory: Directory, named: str, example: str) -> Person:
    """Return whom a key, an address or a name means. Raises CannotDo, with the command `example` for whoever is nearest."""
    wanted = " ".join(named.translate(_TYPED).split()).lower().removeprefix("@").strip(" .")
    if found := directory.people.get(wanted) or directory.staff(wanted):
        return found
    full = [one for one in directory.people.values() if one.name.lower() == wanted]
    # "Jane" is enough where one colleague alone is called so.
    part = full or [one for one in directory.people.values() if wanted in one.name.lower().split()]
    if len(part) == 1:
        return part[0]
    keys = sorted(directory.people)
    near = [one.key for one in part] or [one for one in (closest(wanted, keys),) if one] or [key for key in keys if key[:2] == wanted[:2]]
    raise CannotDo(f"there is no colleague {named.strip()!r}; there are {', '.join(keys)}", f"{example}: {near[0]}" if near else "")


def add(builder: Builder, role: Role, value: str, person: Person, parties: Mapping[str, int]) -> str:
    """Let people take part. Raises CannotDo or ArgumentError."""
    added = []
    for one in arguments.addresses(value):
        if address.split_detail(one.spec, builder.house.site)[0]:
            raise CannotDo(f"{one.spec} is an address of ours")
        if staff := builder.house.directory.staff(one.spec):
            raise CannotDo(f"{one.spec} is a colleague's address", f"AddAdminCc: {staff.key}")
        party = parties.get(address.key(one.spec), 0)
        if not party:
            raise CannotDo(f"{one.spec} is not known")
        if builder.join(party, role, one.spec, one.name, actor=person.party, reason="added by staff"):
            added.append(one.spec)
    return f"{', '.join(added)} {_takes(added)} part now" if added else "they took part already"


def remove(builder: Builder, role: Role, value: str, person: Person) -> str:
    """Let people take no part any more. Raises CannotDo or ArgumentError."""
    gone = []
    for one in arguments.addresses(value):
        for participant in [p for p in builder.ticket.people(role) if address.key(p.address) == address.key(one.spec)]:
            builder.leave(participant.person, role, actor=person.party, by_staff=True)
            gone.append(one.spec)
    if not gone:
        there = ", ".join(p.address for p in builder.ticket.people(role) if p.address)
        raise CannotDo("nobody with this address takes part that way" + (f"; there are {there}" if there else ""))
    return f"{', '.join(gone)} {_takes(gone)} no part any more"


def watch(builder: Builder, watcher: Person, by: Person, *, joins: bool) -> str:
    """Send a colleague copies, or no more of them; whoever muted the request hears of it again."""
    mine = [p for p in builder.ticket.participants if p.person == watcher.party and p.role is Role.WATCHER]
    you = watcher.party == by.party
    who = "you get" if you else f"{watcher.name} gets"
    if not joins:
        if not mine:
            raise CannotDo("you do not watch it" if you else f"{watcher.name} does not watch it")
        builder.leave(watcher.party, Role.WATCHER, actor=by.party)
        return f"{who} no more copies"
    if any(p.muted for p in mine):
        builder.add(EventKind.MUTED, actor=by.party, facts={"person": watcher.party, "muted": False})
    elif not builder.join(watcher.party, Role.WATCHER, watcher.email, watcher.name, actor=by.party, reason="added by staff"):
        return f"{who} copies already"
    return f"{who} copies"


def mute(builder: Builder, me: Person, *, muted: bool) -> str:
    """No more copies of this request for a member of staff, or copies again. Raises CannotDo.

    Who gets them as one of the queue alone is put down as a watcher who wants none: nothing else would remember it.
    """
    mine = [p for p in builder.ticket.participants if p.person == me.party]
    if muted == any(p.muted for p in mine):
        return "it was muted already" if muted else "it was not muted"
    if muted and builder.ticket.owner == me.party:
        raise CannotDo("you own it: whoever answers for a request hears of it", "untake")
    if not mine:
        builder.join(me.party, Role.WATCHER, me.email, me.name, actor=me.party, reason="mutes it")
    builder.add(EventKind.MUTED, actor=me.party, facts={"person": me.party, "muted": muted})
    if not muted:
        return "copies of this request again"
    duty = not builder.ticket.owner and me in builder.house.directory.staff_of(builder.ticket.queue)
    when = ", once somebody owns it: what nobody has, all hear of who serve its queue" if duty else ""
    return f"no more copies of this request{when}; `unmute` brings them back"


def _takes(people: list[str]) -> str:
    return "takes" if len(people) == 1 else "take"
