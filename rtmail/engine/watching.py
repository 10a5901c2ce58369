"""Tells the admin how the polled mailboxes fare: one that cannot be read, one that works again, mail that is left in one.

Called by the engine from time to time; what is told is noted in the same transaction, so each thing is told once, by
whichever daemon comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from rtmail import log
from rtmail.engine import notices
from rtmail.engine.keeping import Keeper
from rtmail.store import AsideRow, MailboxRow, NotThere

SILENT_AT_MOST = timedelta(minutes=15)
"""A mailbox that did not work for so long is told of."""
SHOWN = 20
"""Mails named in one notice."""


def mailboxes(keeper: Keeper, names: Sequence[str], now: datetime) -> int:
    """Tell what there is to tell of these mailboxes; returns the notices."""
    told = 0
    for name in names:
        try:
            row = keeper.store.mailbox(name)
        except NotThere:
            continue
        if row.alarmed_at is None and row.silent_for(now) >= SILENT_AT_MOST:
            told += keeper.store.run(partial(_cannot_be_read, keeper, row, now))
        elif row.alarmed_at is not None and row.worked_at is not None and row.worked_at > row.alarmed_at:
            told += keeper.store.run(partial(_works_again, keeper, row, now))
    return told + (keeper.store.run(partial(_left, keeper, names, now)) if names else 0)


def _cannot_be_read(keeper: Keeper, row: MailboxRow, now: datetime) -> int:
    if not keeper.store.alarm_mailbox(row.name, now):
        return 0
    notices.tell_admin(
        keeper,
        title=f"Mailbox {row.name} cannot be read",
        what="Mail that arrives in it waits there; it is tried again all the time, and you will hear when it works.",
        rows=(
            ("Mailbox", row.place),
            ("Last success", f"{row.worked_at:%Y-%m-%d %H:%M} UTC" if row.worked_at else "none yet"),
            ("Trouble", row.trouble or "no answer"),
        ),
        cure="rtmail doctor",
        now=now,
    )
    log.alarm(what=f"mailbox {row.name} cannot be read: {row.trouble or 'no answer'}", help="rtmail doctor")
    return 1


def _works_again(keeper: Keeper, row: MailboxRow, now: datetime) -> int:
    if not keeper.store.calm_mailbox(row.name):
        return 0
    notices.tell_admin(
        keeper, title=f"Mailbox {row.name} works again", what="What arrived meanwhile is taken in.", rows=(("Mailbox", row.place),), now=now
    )
    return 1


def _left(keeper: Keeper, names: Sequence[str], now: datetime) -> int:
    told = 0
    for name, mails in groupby(keeper.store.asides_to_tell(names), key=lambda mail: mail.mailbox):
        # A restart judges them anew; the same one is not told twice.
        fresh = [mail for mail in mails if keeper.store.once(f"left:{name}:{mail.uidvalidity}:{mail.uid}", now, None)]
        if fresh:
            _left_in(keeper, name, fresh, now)
            told += 1
    return told


def _left_in(keeper: Keeper, name: str, mails: Sequence[AsideRow], now: datetime) -> None:
    rows = [(f"Mail {mail.uid}", f"{mail.why}{_size(mail.size_bytes)}") for mail in mails[:SHOWN]]
    if len(mails) > SHOWN:
        rows.append(("And", f"{len(mails) - SHOWN} more"))
    notices.tell_admin(
        keeper,
        title=f"Mail was left in mailbox {name}",
        what="It was not taken in: it stands in the mailbox as before, flagged as important. Nobody was told that it arrived.",
        rows=(("Mailbox", keeper.store.mailbox(name).place), *rows),
        cure="answer it from the mailbox; larger mail is taken in after raising max_message under [ingress.smtp] and a restart",
        now=now,
    )


def _size(size_bytes: int) -> str:
    return f", {size_bytes / 1024**2:.1f} MB" if size_bytes else ""
