"""The canary: a mail of ours that goes out through the relay to our own address, comes back in, and is worked off.

It proves the whole road that customers' mail takes, with whatever other servers stand on it. As our own mail that came back it opens
nothing. It goes out once in a time, by whichever daemon comes first; what is known of it stands in the store, so that a restart
forgets nothing. Called by the engine from time to time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rtmail import log
from rtmail.engine import notices
from rtmail.engine.keeping import Keeper
from rtmail.mail.writing.draft import Auto, Draft, Recipient, Suppress, Visibility
from rtmail.store import Flight, Pausable, SpoolRow

TEMPLATE = "canary"


@dataclass(frozen=True, slots=True)
class Settings:
    """How often a canary flies (zero: never), how long it may take, and to which queue's address."""

    every: timedelta
    within: timedelta
    queue: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A canary that came back. `round_trip` until it was back in; `answer` from there until an acknowledgement would be at the relay:
    the time for working it off, and the time for which mail of ours waits until the relay takes it."""

    at: datetime
    round_trip: timedelta
    answer: timedelta


def look(keeper: Keeper, settings: Settings, now: datetime) -> tuple[Heard | None, bool]:
    """See whether the last canary is back, tell the admin when it is late, and send the next one when it is time.

    Returns one that just came, and whether mail was put into the outbox.
    """
    if not settings.every:
        return None, False
    heard, posted, flight = None, False, keeper.store.flight()
    still = {pause.what for pause in keeper.store.pauses()} & {Pausable.OUTBOX, Pausable.INGRESS}
    if flight is not None and flight.back_at is None:
        heard = _heard(keeper, flight, now)
        if heard is None and not flight.missed and still:
            # Late it may be, when the house goes on, by as long as that stood still: the next one tells.
            keeper.store.forget_flight()
        elif heard is None and not flight.missed and now - flight.at > settings.within:
            keeper.store.run(lambda: _missed(keeper, flight, settings, now))
            posted = True
    if not still:
        posted = keeper.store.run(lambda: _fly(keeper, settings, now)) or posted
    return heard, posted or heard is not None


def _fly(keeper: Keeper, settings: Settings, now: datetime) -> bool:
    if not keeper.store.once("canary", now, now + settings.every):
        return False
    before = keeper.store.flight()
    draft = Draft(
        template=TEMPLATE,
        to=Recipient(0, keeper.office.directory.queues[settings.queue].address, "", staff=True),
        visibility=Visibility.INTERNAL,
        subject="Canary",
        queue=settings.queue,
        auto=Auto.GENERATED,
        suppress=Suppress.ALL,
        facts={"at": now},
        expires=settings.within,
    )
    outgoing = keeper.render([draft], now)
    keeper.post(outgoing, None, [draft], now)
    # That the one before was missed is not forgotten before one comes back: the admin hears of a silence once.
    missed = before is not None and before.missed and before.back_at is None
    keeper.store.note_flight(Flight(outgoing[0][0], now, missed=missed))
    return True


def _heard(keeper: Keeper, flight: Flight, now: datetime) -> Heard | None:
    sent = keeper.store.by_id(flight.outbox)
    back = next((row for row in keeper.store.spool_by_message_id(sent.message_id) if row.settled_at), None) if sent else None
    if sent is None or back is None:
        return None
    worked = _worked(back)
    heard = Heard(now, max(back.arrived_at - flight.at, timedelta()), worked + max((sent.settled_at or now) - flight.at, timedelta()))
    keeper.store.run(lambda: _note(keeper, flight, now))
    log.canary_back(spool=back.id, outbox=flight.outbox, round_seconds=heard.round_trip.total_seconds(),
                    answer_seconds=heard.answer.total_seconds())
    return heard


def _worked(back: SpoolRow) -> timedelta:
    return max(back.settled_at - back.arrived_at, timedelta()) if back.settled_at else timedelta()


def _note(keeper: Keeper, flight: Flight, now: datetime) -> None:
    keeper.store.note_flight(replace(flight, back_at=now, missed=False))
    if flight.missed:
        notices.tell_admin(keeper, title="The canary mail comes back again", now=now,
                           what="Mail goes out through the relay and comes back in.")


def _missed(keeper: Keeper, flight: Flight, settings: Settings, now: datetime) -> None:
    """Tell once that it did not come back; should the relay be the trouble, this waits like all mail, and the log tells."""
    keeper.store.note_flight(replace(flight, missed=True))
    sent = keeper.store.by_id(flight.outbox)
    minutes = int((now - flight.at).total_seconds() // 60)
    log.canary_missed(outbox=flight.outbox, minutes=minutes)
    notices.tell_admin(
        keeper,
        title="The canary mail did not come back",
        what=f"A mail of our own was to go out through the relay and come back in within {notices.span(settings.within)}. Mail of "
        "customers may be on its way as long, or lost.",
        rows=(("Sent to", sent.recipient if sent else "?"), ("The relay", sent.said or str(sent.fate) if sent else "?"),
              ("Mail", f"outbox {flight.outbox}")),
        cure=f"rtmail outbox show {flight.outbox}; rtmail doctor",
        now=now,
    )
