"""The junk box: mail without number, answer or clock, listed to the staff of its queue once a day, and let out by one click.

Learnt senders are asked for here, before a mail is judged; whether that holds for a sender whom we know is `match`'s to say.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from rtmail.desk.audience import staff_recipient
from rtmail.engine.keeping import Keeper
from rtmail.mail.model import Kind, Mail
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, ReplyTo, Suppress, Visibility
from rtmail.store import Held, Hold, SpoolItem, Store
from rtmail.store.junk import JUNK

UNASKED = "unasked"
"""The kind of hold that lists an automatic answer about no request; it waits for nothing."""
LISTED = 50
REMEMBERED_FOR = timedelta(days=40)
_MAY_BE = frozenset({Kind.REQUEST_OR_REPLY, Kind.MACHINE, Kind.LIST})


def as_judged(store: Store, mail: Mail, holds: list[Hold]) -> Mail:
    """Return a mail as junk where its sender was called one, and as what it is beneath where staff let it out."""
    if any(one.kind == JUNK and one.state is Held.RELEASED for one in holds):
        return beneath(mail)
    if mail.kind in _MAY_BE and store.sends_junk(mail.identity, mail.sender.spec):
        return replace(mail, kind=Kind.JUNK, beneath=mail.kind, reason="staff called its sender one of junk")
    return mail


def beneath(mail: Mail) -> Mail:
    """Return junk as the mail that it is where no filter counts."""
    return replace(mail, kind=mail.beneath) if mail.kind is Kind.JUNK else mail


def box(store: Store, item: SpoolItem, mail: Mail, queue: str, why: str, now: datetime, *, waits: bool = True) -> None:
    """Put a mail where the daily list finds it, once."""
    if any(one.kind in (JUNK, UNASKED) for one in store.holds_of(item.id)):
        return
    details = {"queue": queue, "from": mail.sender.spec, "subject": mail.subject[:200]}
    hold = store.hold(JUNK if waits else UNASKED, item.id, 0, why, details, now)
    if not waits:
        store.settle_hold(hold, Held.ANSWERED, 0, now)


def digest(keeper: Keeper, at: str, now: datetime) -> int:
    """Write the daily lists of junk whose hour has come; returns how many mails.

    at  "HH:MM" in the site's zone, "" for never
    """
    store, office = keeper.store, keeper.office
    local = now.astimezone(office.zone)
    if not at or local.time() < time.fromisoformat(at):
        return 0
    sent, since = 0, datetime.combine(local.date() - timedelta(days=1), time.fromisoformat(at), office.zone)
    for queue in office.directory.queues:
        if not store.known(_told(queue, local.date()), now):
            with store.transaction():
                if store.once(_told(queue, local.date()), now, now + REMEMBERED_FOR):
                    sent += _send(keeper, queue, since, now)
    return sent


def _told(queue: str, day: date) -> str:
    return f"junk-told:{queue}:{day}"


def _send(keeper: Keeper, queue: str, since: datetime, now: datetime) -> int:
    found, count = keeper.store.junk_of(queue, since, LISTED)
    if not found:
        return 0
    rows = [
        {"id": one.id, "at": one.held_at, "from": one.details.get("from", ""), "subject": one.details.get("subject", ""),
         "reason": one.reason, "waits": one.state is Held.WAITING}
        for one in found
    ]  # fmt: skip
    drafts = [
        Draft(
            template="junk",
            to=staff_recipient(person),
            visibility=Visibility.INTERNAL,
            subject="",
            queue=queue,
            facts={"junk": rows, "more": count - len(found)},
            links=tuple(Link("not junk", Action.NOT_JUNK, request=one.id) for one in found if one.state is Held.WAITING),
            auto=Auto.GENERATED,
            suppress=Suppress.ABSENCES,
            reply_to=ReplyTo.COMMENT,
            urgency=2,
        )
        for person in keeper.office.directory.staff_of(queue)
    ]
    keeper.post(keeper.render(drafts, now), None, drafts, now)
    return len(drafts)
