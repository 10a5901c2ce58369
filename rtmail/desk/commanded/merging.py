"""Two requests become one: `merge` makes this one part of another, `same` says that its words belong there, `problem` only links them.

The survivor takes over the people as Cc and the earlier due instants; who writes to the merged one reaches the survivor for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtmail.desk import audience
from rtmail.desk.commanded import undoing
from rtmail.desk.decision import Builder
from rtmail.desk.known import LINKED, Known, Other
from rtmail.desk.outages.about import ABOUT
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person, Tie
from rtmail.desk.ticket import WAIT_UNTIL, Event, EventKind, Role, Status
from rtmail.mail.writing.draft import Visibility
from rtmail.policy import signals

_LIVE = (Status.NEW, Status.OPEN, Status.WAITING)


def merge(builder: Builder, number: int, person: Person, known: Known) -> tuple[str, dict[str, Any]]:
    """Make this request part of another; return what happened in words and for undoing. Raises CannotDo."""
    other = _other(builder, number, person, known)
    mine, theirs = builder.ticket.requestor, other.ticket.requestor
    directory, site = builder.house.directory, builder.house.site
    if mine and theirs and mine.person != theirs.person and directory.tie(mine.address, theirs.address, site) is Tie.NONE:
        raise CannotDo(
            f"{audience.named(mine)} and {audience.named(theirs)} have nothing in common, and each would see the other's words",
            f"problem {other.ticket.number}",
        )
    survivor, deed = _join(builder, other, person, opens=True)
    _told(survivor, person, builder.ticket.number)
    return f"it is part of #{survivor.ticket.number} now; whoever writes to #{builder.ticket.number} reaches that", deed


def same(builder: Builder, number: int, person: Person, known: Known) -> tuple[str, dict[str, Any]]:
    """Let the words that opened this request be words of another: their author takes part there. Raises CannotDo."""
    wanted = number or int(builder.ticket.fields.get(LINKED) or 0)
    if not wanted:
        raise CannotDo("which request do these words belong to?", "same 1042")
    if known.opening is None:
        raise CannotDo("the words of this request are for staff alone, or not there any more", f"merge {wanted}")
    other = _other(builder, wanted, person, known)
    survivor, deed = _join(builder, other, person)
    words = known.opening
    event = survivor.add(
        EventKind.CORRESPONDENCE,
        visibility=Visibility.PUBLIC,
        actor=words.person,
        words=words,
        message_id=known.opening_id,
        facts={"rule": "same", "from": builder.ticket.number},
    )
    survivor.signal(signals.CustomerWrote(at=survivor.now, event=event.seq))
    if survivor.ticket.status is Status.WAITING:
        survivor.status(Status.OPEN, actor=words.person, reason="customer wrote")
    who = next((p for p in survivor.ticket.participants if p.person == words.person), None)
    # Whoever was shown a mail of staff may have quoted it: his words are staff's to read then, and nobody else's.
    leak = builder.house.leaks(words.text)
    if not leak:
        audience.to_customers(
            survivor,
            event,
            "relayed",
            author=(who.name or who.address) if who else "",
            text=words.text,
            people=tuple(p for p in survivor.customers() if p.person != words.person),
            answering=known.opening_id,
        )
    _told(survivor, person, builder.ticket.number, who=audience.named(who), text=words.text, event=event)
    kept_back = f"; they were passed on to nobody, since they hold something internal ({leak})" if leak else ""
    return f"the words are part of #{survivor.ticket.number} now, and their author takes part there{kept_back}", deed


def linked(builder: Builder, kind: str, number: int, known: Known, person: Person) -> str:
    """Link two requests, as "related" or because they have one cause; nobody of one sees anything of the other. Raises CannotDo."""
    other = known.others.get(number)
    if other is None or other.ticket.number == builder.ticket.number:
        raise CannotDo(f"there is no other request #{number}")
    builder.links.append((kind, other.ticket.number))
    builder.add(EventKind.LINKED, actor=person.party, facts={"kind": kind, "number": other.ticket.number})
    return f"linked with #{other.ticket.number} {'as one problem' if kind == 'problem' else 'as related to it'}"


def part(builder: Builder, person: Person, deed: Mapping[str, Any], known: Known) -> str:
    """Undo a merge: the other request stands on its own again, its promises as if they had never stopped. Raises CannotDo."""
    number = int(deed["merged"])
    other = known.others.get(number)
    if other is None or other.ticket.status is not Status.MERGED or other.ticket.merged_into != builder.ticket.number:
        raise CannotDo(f"#{number} is no longer part of this request")
    again = Builder(other.policy, other.ticket, builder.now, builder.house)
    again.status(Status.OPEN, actor=person.party, reason="the merge was undone")
    again.unlinks.append(("merged", builder.ticket.number))
    for party, role in deed.get("joined", ()):
        builder.leave(party, Role(role), actor=person.party)
    if "owner" in deed and builder.ticket.owner == deed["owner"][1]:
        builder.own(builder.house.directory.by_party(deed["owner"][0]), actor=person.party)
    undoing.put_clocks_back(builder, deed.get("clocks", ()), "the merge was undone")
    seq, until = deed.get("waited", (0, None))
    if seq and seq == builder.ticket.last_public_seq and builder.status(Status.WAITING, actor=person.party, reason="the merge was undone"):
        builder.note(WAIT_UNTIL, until)
    builder.add(EventKind.LINKED, actor=person.party, facts={"kind": "unmerged", "number": number})
    builder.further.append(again)
    return f"#{number} stands on its own again"


def _other(builder: Builder, number: int, person: Person, known: Known) -> Other:
    if builder.ticket.fields.get("withheld"):
        raise CannotDo("content waits on it for somebody with the right privacy, who could not find it after that")
    other = known.others.get(number)
    if other is None:
        raise CannotDo(f"there is no request #{number}")
    ticket = other.ticket
    if ticket.number == builder.ticket.number:
        raise CannotDo("these are one request already")
    if ticket.fields.get(ABOUT):
        raise CannotDo(f"#{ticket.number} is an incident, of which others would see these words", f"Incident: {ticket.number}")
    if builder.ticket.status is Status.MERGED:
        raise CannotDo(f"this request is part of #{builder.ticket.merged_into} already")
    if person.party and not builder.house.directory.may_answer(person, ticket.queue):
        raise CannotDo(f"you may not answer in {ticket.queue}, where #{ticket.number} is")
    if ticket.status not in _LIVE:
        raise CannotDo(f"#{ticket.number} is {ticket.status}: reopen it first")
    return other


def _join(builder: Builder, other: Other, person: Person, *, opens: bool = False) -> tuple[Builder, dict[str, Any]]:
    """End this request in the other one; return the builder of that, and what undoing needs to know.

    opens  the other one waits for its customer no longer where it is we who owe him something on this one
    """
    ticket, before = builder.ticket, other.ticket
    survivor = Builder(other.policy, before, builder.now, builder.house)
    event = survivor.add(EventKind.LINKED, actor=person.party, facts={"kind": "merged-in", "number": ticket.number})
    threads = dict(before.fields.get(audience.THREADS) or {})
    for one in ticket.participants:
        customer = one.role in (Role.REQUESTOR, Role.CC)
        there = {p.role for p in survivor.ticket.participants if p.person == one.person}
        if one.person in before.removed or (there & {Role.REQUESTOR, Role.CC} if customer else there):
            continue
        role = Role.CC if customer else Role.WATCHER
        survivor.join(one.person, role, one.address, one.name, actor=person.party, reason=f"took part in #{ticket.number}")
        threads[str(one.person)] = list(dict.fromkeys((*ticket.thread[:1], *ticket.thread[-2:])))
    if threads:
        survivor.note(audience.THREADS, threads)
    owner = builder.house.directory.by_party(ticket.owner)
    if owner and not before.owner:
        survivor.own(owner, actor=person.party)
    elif owner and owner.party != before.owner:
        survivor.join(owner.party, Role.WATCHER, owner.email, owner.name, actor=person.party, reason=f"owned #{ticket.number}")
    waited: dict[str, Any] = {}
    if opens and before.status is Status.WAITING and ticket.status in (Status.NEW, Status.OPEN):
        waited = {"waited": [survivor.ticket.last_public_seq, before.fields.get(WAIT_UNTIL)]}
        survivor.status(Status.OPEN, actor=person.party, reason=f"#{ticket.number} is part of it")
    survivor.signal(signals.Merged(at=builder.now, clocks=ticket.clocks, event=event.seq))
    builder.signal(signals.Ended(at=builder.now, how="merged", event=builder.ticket.events + 1))
    builder.add(EventKind.MERGED, actor=person.party, facts={"into": before.number})
    builder.links.append(("merged", before.number))
    builder.further.append(survivor)
    clocks = undoing.clock_changes(before.clocks, survivor.ticket.clocks)
    return survivor, {"merged": ticket.number, "clocks": clocks, **waited, **_people(before, survivor)}


def _people(before: Any, survivor: Builder) -> dict[str, Any]:
    was = {(p.person, str(p.role)) for p in before.participants}
    joined = [[p.person, str(p.role)] for p in survivor.ticket.participants if (p.person, str(p.role)) not in was]
    owner = {"owner": [before.owner, survivor.ticket.owner]} if before.owner != survivor.ticket.owner else {}
    return {"joined": joined, **owner}


def _told(survivor: Builder, person: Person, number: int, *, who: str = "", text: str = "", event: Event | None = None) -> None:
    """The survivor's staff hear of it: of the merge alone, or with the words that came with it."""
    if event is not None:
        flags = (f"From #{number}, by a word of {person.name}: its author takes part here now.",)
        audience.to_staff(
            survivor,
            event,
            "notice",
            who=who,
            author=who,
            text=text,
            people=survivor.staff(),
            flags=flags,
            but=(person.party,),
            facts={"joined": []},
        )
        return
    linked = next(entry.event for entry in survivor.entries if entry.event.kind is EventKind.LINKED)
    changes = [{"what": "Merged in", "old": "", "new": f"#{number}"}]
    if survivor.ticket.status is not survivor.before.status:
        changes.append({"what": "Status", "old": str(survivor.before.status), "new": str(survivor.ticket.status)})
    audience.to_staff(
        survivor,
        linked,
        "state",
        who=person.name,
        author="",
        text="",
        people=survivor.staff(),
        human=False,
        about_customer=False,
        but=(person.party,),
        facts={"reason": f"#{number} is part of this request now.", "changes": changes},
    )
