"""Mails about no request: to the admin, and to staff about mail that claims to be theirs. Each has a key that keeps it single."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rtmail.engine.keeping import Keeper
from rtmail.mail.model import Mail
from rtmail.mail.writing.draft import AttachmentRef, Auto, Draft, Recipient, Suppress, Visibility
from rtmail.store import SpoolItem

PAUSE_TOLD_EVERY = timedelta(days=1)


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
    if keeper.store.once(f"admin-mail:{mail.message_id}:{mail.fingerprint}", now, None):
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


def stuck(keeper: Keeper, number: int, error: Exception, now: datetime) -> None:
    """Time cannot act on a request: nobody is told of its promises, which the admin hears once a day."""
    if keeper.store.once(f"stuck:{number}", now, now + timedelta(days=1)):
        tell_admin(
            keeper,
            title=f"The clocks of request #{number} are stuck",
            now=now,
            what="What falls due on it could not be worked out. It is tried again; until then nobody is told of its promises.",
            rows=(("Request", str(number)), ("Why", f"{type(error).__name__}: {error}")),
            cure=f"rtmail why {number}, and the log of the daemon",
        )


def paused(keeper: Keeper, now: datetime) -> int:
    """Remind the admin of what stands still, once a day; returns the mails."""
    sent = 0
    for pause in keeper.store.pauses():
        with keeper.store.transaction():
            key = f"paused:{pause.what}:{pause.at.isoformat()}"
            if now - pause.at < PAUSE_TOLD_EVERY or not keeper.store.once(key, now, now + PAUSE_TOLD_EVERY):
                continue
            tell_admin(
                keeper,
                title=f"Still paused: {pause.what}",
                what="It stands still by somebody's word, and you are reminded once a day.",
                rows=(("Paused", f"{pause.at:%Y-%m-%d %H:%M} UTC"), ("By", pause.by)),
                cure=f"rtmail resume {pause.what}",
                now=now,
            )
            sent += 1
    return sent
