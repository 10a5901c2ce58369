"""Mails that claim to be a colleague's and wait: each person is asked about his, and the queue's staff see what waited too long.

However many somebody forges, a person is asked at most once an hour, and a queue's staff are told at most once an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk.audience import staff_recipient
from rtmail.desk.fields import filled
from rtmail.desk.grammar import commands
from rtmail.desk.people import Person
from rtmail.desk.ticket import Role
from rtmail.engine.keeping import Keeper
from rtmail.mail.address import split_detail
from rtmail.mail.model import Mail
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, ReplyTo, Suppress, Visibility
from rtmail.store import Hold

STAFF_CLAIM = "staff-claim"
SEEN_AFTER = timedelta(hours=4)
"""A mail that claims to be a colleague's and that he did not confirm is then shown to the queue's staff as unverified."""
LISTED_AT_MOST = 20
"""So many mails stand in one notice, the latest ones; of more it tells the number."""
_SHOWN_AT_ONCE = 200
ReadAgain = Callable[[int], Mail]
"""Spool id -> the mail read once more."""


def remind(keeper: Keeper, read_again: ReadAgain, now: datetime) -> int:
    """Tell each person what waits for his word, and each queue's staff what nobody confirmed in time. Returns mails sent."""
    sent = 0
    for party, count, latest in keeper.store.waiting_by_person(STAFF_CLAIM):
        person = keeper.office.directory.by_party(party)
        if person is not None:
            sent += _ask(keeper, person, count, latest, read_again, now)
    late: dict[str, list[Hold]] = {}
    for hold in keeper.store.holds_waiting(kind=STAFF_CLAIM, held_before=now - SEEN_AFTER, unshown=True, limit=_SHOWN_AT_ONCE):
        late.setdefault(str(hold.details.get("queue") or next(iter(keeper.office.directory.queues))), []).append(hold)
    return sent + sum(_show(keeper, queue, holds, read_again, now) for queue, holds in late.items())


def _ask(keeper: Keeper, person: Person, count: int, latest: int, read_again: ReadAgain, now: datetime) -> int:
    told = f"held-told:{person.email}:{count}:{latest}"
    with keeper.store.transaction():
        if keeper.store.known(told, now) or not keeper.store.hold_notice_due(person.email, now):
            return 0
        keeper.store.once(told, now, None)
        holds = keeper.store.holds_waiting(person=person.party, kind=STAFF_CLAIM, latest=True, limit=LISTED_AT_MOST)
        draft = Draft(
            template="held",
            to=staff_recipient(person),
            visibility=Visibility.INTERNAL,
            subject="Did you write this?",
            queue=holds[0].details.get("queue") or next(iter(keeper.office.directory.queues)),
            facts={"held": [_row(keeper, hold, read_again(hold.spool_id)) for hold in holds], "more": count - len(holds)},
            links=tuple(
                Link(name, action, request=hold.id)
                for hold in holds
                for name, action in (("confirm", Action.CONFIRM_HELD), ("discard", Action.DISCARD_HELD))
            ),
            auto=Auto.REPLIED,
            suppress=Suppress.ALL,
            reply_to=ReplyTo.COMMENT,
            urgency=0,
        )
        keeper.post(keeper.render([draft], now), None, [draft], now)
    return 1


def _row(keeper: Keeper, hold: Hold, mail: Mail) -> dict[str, Any]:
    """What a person must see to say whether it is his: whose request, who would get it, the words and commands."""
    number = int(hold.details.get("number") or 0)
    ticket = keeper.store.by_number(number) if number else None
    parsed = commands.of_mail(mail, filled.staff_names(keeper.office.policy(ticket.policy_version)) if ticket else None)
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


def _show(keeper: Keeper, queue: str, holds: list[Hold], read_again: ReadAgain, now: datetime) -> int:
    directory = keeper.office.directory
    with keeper.store.transaction():
        if not keeper.store.hold_notice_due(f"queue {queue}", now):
            return 0
        holds = [hold for hold in holds if keeper.store.once(f"held-shown:{hold.id}", now, None)]
        rows = {}
        for hold in holds[-LISTED_AT_MOST:]:
            claimed, mail = directory.by_party(hold.person), read_again(hold.spool_id)
            rows[hold.id] = {
                "claimed": claimed.email if claimed else "", "at": hold.held_at, "reason": hold.reason, "subject": mail.subject,
                "text": mail.reply_text,
            }
        drafts = []
        for one in directory.staff_of(queue):
            others = [hold for hold in holds if hold.person != one.party]
            listed = [rows[hold.id] for hold in others if hold.id in rows]
            if not listed:
                continue
            drafts.append(
                Draft(
                    template="held-expired",
                    to=staff_recipient(one),
                    visibility=Visibility.INTERNAL,
                    subject=str(listed[0]["subject"]) if len(others) == 1 else f"{len(others)} mails that nobody confirmed",
                    queue=queue,
                    auto=Auto.GENERATED,
                    suppress=Suppress.ABSENCES,
                    reply_to=ReplyTo.COMMENT,
                    facts={"held": listed, "more": len(others) - len(listed)},
                )
            )
        keeper.post(keeper.render(drafts, now), None, drafts, now)
    return len(drafts)
