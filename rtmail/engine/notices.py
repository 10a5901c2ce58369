"""Mails about no request: to the admin, and to staff about mail that claims to be theirs. Each has a key that keeps it single."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk import commands
from rtmail.desk.ticket import Role
from rtmail.engine.keeping import Keeper
from rtmail.mail.address import split_detail
from rtmail.mail.draft import AttachmentRef, Auto, Draft, Link, Recipient, Suppress, Visibility
from rtmail.mail.model import Mail
from rtmail.mail.token import Action
from rtmail.store import Hold, SpoolItem

HELD_SEEN_AFTER = timedelta(hours=4)
"""A mail that claims to be a colleague's and that he did not confirm is then shown to the queue's staff as unverified."""
ReadAgain = Callable[[int], Mail]
"""Spool id -> the mail read once more."""


def span(length: timedelta) -> str:
    """Return a length of time in words."""
    minutes = int(length.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def tell_admin(
    keeper: Keeper,
    *,
    title: str,
    what: str,
    now: datetime,
    cure: str = "",
    rows: Sequence[tuple[str, str]] = (),
    attachments: tuple[AttachmentRef, ...] = (),
) -> None:
    """One mail to the admin."""
    office = keeper.office
    draft = Draft(
        template="admin-notice",
        to=Recipient(0, office.site.admin, "", staff=True),
        visibility=Visibility.INTERNAL,
        subject=title,
        queue=next(iter(office.directory.queues)),
        auto=Auto.GENERATED,
        suppress=Suppress.ALL,
        attachments=attachments,
        facts={"title": title, "what": what, "at": now, "cure": cure, "rows": [{"what": name, "value": value} for name, value in rows]},
    )
    keeper.post(keeper.render([draft], now), None, [draft], now)


def pass_to_admin(keeper: Keeper, item: SpoolItem, mail: Mail, now: datetime) -> None:
    """Mail to postmaster@ or abuse@: to the admin, once a mail."""
    if keeper.store.once(f"admin-mail:{mail.message_id or mail.fingerprint}", now, None):
        tell_admin(
            keeper,
            title=f"Mail to {', '.join(item.envelope.recipients) or 'postmaster'}",
            now=now,
            what="Somebody wrote to the postmaster or abuse address of our domain. The mail is attached.",
            rows=(("From", mail.sender.spec), ("Subject", mail.subject), ("Spool", str(item.id))),
            attachments=(AttachmentRef(item.raw_id, "", "mail.eml", "application/octet-stream", 0),),
        )


def quarantined(keeper: Keeper, item: SpoolItem, why: str, number: int, now: datetime) -> None:
    """A mail that could not be read or worked on three times: set aside, nothing of it lost."""
    opened = f" Request #{number} was opened from what could be read." if number else ""
    tell_admin(
        keeper,
        title="A mail is in quarantine",
        now=now,
        what=f"It failed three times and was set aside.{opened}",
        rows=(("Quarantine", str(item.id)), ("Envelope sender", item.envelope.sender or "<>"), ("Why", why)),
        cure=f"rtmail quarantine show {item.id}",
    )


def breaker_tripped(keeper: Keeper, spec: str, why: str, now: datetime) -> None:
    """Automatic answers stop for an address: the admin hears of it once a window."""
    window = keeper.office.caps.window
    if keeper.store.once(f"breaker:{spec.lower()}", now, now + window):
        tell_admin(
            keeper,
            title="The loop breaker stopped automatic answers",
            now=now,
            rows=(("Address", spec), ("Why", why)),
            what="Mail is still taken in as ever; only our automatic answers to this address stop until the window is over.",
            cure=f"see who writes there: rtmail ticket list --all --requestor {spec}",
        )


def held(keeper: Keeper, read_again: ReadAgain, now: datetime) -> int:
    """Tell each person what waits for his word, at most once an hour; show the queue what waited too long. Returns mails sent."""
    waiting: dict[int, list[Hold]] = {}
    for hold in keeper.store.holds_waiting(kind="staff-claim"):
        waiting.setdefault(hold.person, []).append(hold)
    sent = 0
    for party, holds in waiting.items():
        person = keeper.office.directory.by_party(party)
        if person is None:
            continue
        fresh = hashlib.sha256(repr(sorted(hold.id for hold in holds)).encode()).hexdigest()
        with keeper.store.transaction():
            if keeper.store.known(f"held-told:{person.email}:{fresh}", now) or not keeper.store.hold_notice_due(person.email, now):
                continue
            keeper.store.once(f"held-told:{person.email}:{fresh}", now, None)
            rows = [_held_row(keeper, hold, read_again(hold.spool_id)) for hold in holds[-20:]]
            links = tuple(
                Link(name, action, request=hold.id)
                for hold in holds[-20:]
                for name, action in (("confirm", Action.CONFIRM_HELD), ("discard", Action.DISCARD_HELD))
            )
            draft = Draft(
                template="held",
                to=Recipient(person.party, person.email, person.name, staff=True, language=person.language),
                visibility=Visibility.INTERNAL,
                subject="Did you write this?",
                queue=holds[0].details.get("queue") or "",
                facts={"held": rows},
                links=links,
                auto=Auto.GENERATED,
                suppress=Suppress.ALL,
                urgency=0,
            )
            keeper.post(keeper.render([draft], now), None, [draft], now)
            sent += 1
    for hold in keeper.store.holds_waiting(kind="staff-claim", held_before=now - HELD_SEEN_AFTER):
        sent += _seen_by_queue(keeper, hold, read_again, now)
    return sent


def _held_row(keeper: Keeper, hold: Hold, mail: Mail) -> dict[str, Any]:
    """What a person must see to say whether it is his: whose request, who would get it, the words and commands."""
    parsed = commands.of_mail(mail)
    number = int(hold.details.get("number") or 0)
    ticket = keeper.store.by_number(number) if number else None
    outside = [one for one in (*mail.to, *mail.cc) if split_detail(one.spec, keeper.office.site)[0] is None]
    recipients = [one.spec for one in outside]
    if ticket:
        recipients += [p.address for p in ticket.people(Role.REQUESTOR, Role.CC) if p.address not in recipients]
    return {
        "id": hold.id,
        "at": hold.held_at,
        "reason": hold.reason,
        "subject": mail.subject,
        "text": mail.reply_text,
        "recipients": recipients,
        "commands": [command.line for command in parsed.commands],
    }


def _seen_by_queue(keeper: Keeper, hold: Hold, read_again: ReadAgain, now: datetime) -> int:
    directory = keeper.office.directory
    claimed = directory.by_party(hold.person)
    queue = hold.details.get("queue") or next(iter(directory.queues))
    with keeper.store.transaction():
        if not keeper.store.once(f"held-shown:{hold.id}", now, None):
            return 0
        mail = read_again(hold.spool_id)
        drafts = [
            Draft(
                template="held-expired",
                to=Recipient(one.party, one.email, one.name, staff=True, language=one.language),
                visibility=Visibility.INTERNAL,
                subject=mail.subject,
                queue=queue,
                auto=Auto.GENERATED,
                suppress=Suppress.ABSENCES,
                facts={"claimed": claimed.email if claimed else "", "at": hold.held_at, "reason": hold.reason, "text": mail.reply_text},
            )
            for one in directory.staff_of(queue)
            if claimed is None or one.key != claimed.key
        ]
        keeper.post(keeper.render(drafts, now), None, drafts, now)
        return len(drafts)
