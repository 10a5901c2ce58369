"""Whom an incident or a maintenance affects: what staff write of it, which requests that covers, and who is told.

An incident names `all`, organisations, plans, queues, or services (words that organisations list in their table). Only registered
contacts are told; a robot's address among them is not, and nobody twice, whatever roles he has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rtmail.desk.grammar.registry import closest
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Directory, Organisation, listed
from rtmail.mail import address
from rtmail.mail.reading.robots import no_reply
from rtmail.mail.site import Site

ALL = "all"
ORGANISATION, PLAN, QUEUE, SERVICE = "organisation", "plan", "queue", "service"
_KINDS = (ORGANISATION, PLAN, QUEUE, SERVICE)
_EXAMPLE = "Affects: all"


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to tell: his address, its key, his name, organisation and the language agreed with that ("" for none)."""

    key: str
    spec: str
    name: str
    organisation: str
    language: str


def read(text: str, directory: Directory) -> tuple[str, ...]:
    """Return what a line says as kept: "all", or "KIND NAME" each. Raises CannotDo for a name that nothing has, or two things have."""
    found: list[str] = []
    for item in text.split(","):
        words = " ".join(item.split())
        if words:
            found += [one for one in _item(words, directory) if one not in found]
    if not found:
        raise CannotDo("whom does it affect?", _EXAMPLE)
    return (ALL,) if ALL in found else tuple(found)


def _item(words: str, directory: Directory) -> tuple[str, ...]:
    said = words.casefold()
    if said in (ALL, "everybody", "everyone"):
        return (ALL,)
    names = _names(directory)
    kind, _, rest = said.partition(" ")
    kind = "organisation" if kind == "organization" else kind
    if kind in _KINDS and rest:
        wanted = [(kind, names[kind][rest])] if rest in names[kind] else []
    else:
        wanted = [(kind, names[kind][said]) for kind in _KINDS if said in names[kind]]
    if len({kind for kind, _ in wanted}) > 1:
        raise CannotDo(f"{words!r} names {' and '.join(f'a {kind}' for kind, _ in wanted)}", f"Affects: {wanted[0][0]} {words}")
    if not wanted:
        known = [name for kind in _KINDS for name in names[kind]]
        near = closest(said, known)
        raise CannotDo(f"no organisation, plan, queue or service is called {words!r}", f"Affects: {near}" if near else _EXAMPLE)
    return (f"{wanted[0][0]} {wanted[0][1]}",)


def _names(directory: Directory) -> Mapping[str, Mapping[str, str]]:
    """Kind -> name as people may write it -> name as kept."""
    organisations = {one.name.casefold(): one.key for one in directory.organisations.values() if one.name}
    organisations |= {key.casefold(): key for key in directory.organisations}
    return {
        ORGANISATION: organisations,
        PLAN: {plan.name.casefold(): key for key, plan in directory.plans.items()} | {key.casefold(): key for key in directory.plans},
        QUEUE: {name.casefold(): name for name in directory.queues},
        SERVICE: {word.casefold(): word.casefold() for one in directory.organisations.values() for word in one.services},
    }


def covers(affects: Iterable[str], organisation: Organisation | None, queue: str, directory: Directory) -> bool:
    """Tell whether a request of `organisation` in `queue` ("" for any) is affected; whoever is of no organisation never is."""
    return organisation is not None and any(_covers(one, organisation, queue, directory) for one in affects)


def _covers(one: str, organisation: Organisation, queue: str, directory: Directory) -> bool:
    kind, _, name = one.partition(" ")
    match kind:
        case "all":
            return True
        case "organisation":
            return organisation.key == name
        case "plan":
            return organisation.plan == name
        case "service":
            return name in {word.casefold() for word in organisation.services}
        case _:
            plan = directory.plans.get(organisation.plan)
            return queue in ("", name) and (plan is None or not plan.queues or name in plan.queues)


def contacts(affects: Iterable[str], directory: Directory, site: Site, *, but: Iterable[str] = ()) -> list[Contact]:
    """Return who is told, in the order of their addresses' keys: one entry an address.

    but  whoever these cover was told already
    """
    affects, but = tuple(affects), tuple(but)
    found: dict[str, Contact] = {}
    for organisation in directory.organisations.values():
        if not covers(affects, organisation, "", directory) or covers(but, organisation, "", directory):
            continue
        for spec in organisation.contacts:
            key = address.key(spec)
            if key not in found and _wanted(spec, directory, site):
                home = directory.organisation_of(spec) or organisation
                found[key] = Contact(key, spec, home.names.get(key, ""), home.key, home.language)
    return [found[key] for key in sorted(found)]


def _wanted(spec: str, directory: Directory, site: Site) -> bool:
    """Neither one of us, nor a robot, nor an address that takes no mail."""
    robot = listed(spec, site.machines) or listed(spec, site.forms) or no_reply(spec)
    return not robot and directory.staff(spec) is None and address.split_detail(spec, site)[0] is None


def readers(affects: Iterable[str], directory: Directory, site: Site) -> str:
    """Return in words who hears of it."""
    count = len(contacts(affects, directory, site))
    return f"{count} contacts of those affected" if count != 1 else "one contact of those affected"


def public(affects: Iterable[str]) -> bool:
    """Tell whether anybody may know of it: who reads that an organisation or a plan is affected learns whose customer it is."""
    return all(one.partition(" ")[0] in (ALL, SERVICE) for one in affects)


def services(affects: Iterable[str]) -> tuple[str, ...]:
    """Return the services named: the only part of it that customers read."""
    return tuple(one.partition(" ")[2] for one in affects if one.startswith(f"{SERVICE} "))
