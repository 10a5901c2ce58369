"""The loop breaker: stops by counting what shows no sign of a robot (promise 8).

Called by `intake` for each mail that concerns a request. It counts automatic answers to an address and altogether, and mails that
come from an address and to a request. What goes beyond its cap is taken in as ever, but nothing of it goes out by itself: no
automatic answer, no passing on; notices to staff are folded into one in `Caps.fold`, and the admin hears of it once in a window.
Everything is counted in the store, in the transaction of the mail, so that no restart and no other daemon begins at zero.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rtmail import log
from rtmail.desk.audience import staff_recipient
from rtmail.desk.decision import Decision
from rtmail.desk.judging.match import Verdict
from rtmail.desk.people import Person
from rtmail.engine import notices
from rtmail.engine.keeping import Keeper
from rtmail.engine.office import Caps
from rtmail.mail import address
from rtmail.mail.model import Mail
from rtmail.mail.reading.quoting import strip_reply_prefixes
from rtmail.mail.writing.draft import Auto, Draft, ReplyTo, Suppress, Visibility
from rtmail.store import Store

FOLDED = frozenset({"opened", "words", "notice", "state", "comment"})
"""Mails that tell staff of what came; what asks them for something (a held mail, a hand-over) is never folded."""
TEMPLATE = "folded"
LISTED = 100
SAID_AGAIN = 5
"""So often a colleague may say the same on a request within `Caps.burst`; nobody does."""
_PENDING = "fold:"
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Trip:
    """A cap that a mail reached: `key` names whom or what it stops, `why` says so in words, `window` until when at most.

    readers  party id -> whether this mail's notice goes to him as it is; settled once, however often the mail is decided
    """

    key: str
    why: str
    window: timedelta
    readers: dict[int, bool] = field(default_factory=dict)


def answers(store: Store, caps: Caps, verdict: Verdict, now: datetime) -> Trip | None:
    """Return the cap on automatic answers that is reached for the sender; counts nothing."""
    spec = (verdict.requestor or verdict.sender.address).spec
    if store.peek(f"auto:{address.key(spec)}", now, caps.window) >= caps.per_address:
        why = f"{caps.per_address} automatic answers to this address within {notices.span(caps.window)}"
        return Trip(spec.lower(), why, caps.window)
    if store.tallied("auto", now, caps.window) >= caps.overall:
        return Trip("everybody", f"{caps.overall} automatic answers within {notices.span(caps.window)}", caps.window)
    return None


def came(store: Store, caps: Caps, verdict: Verdict, mail: Mail, now: datetime) -> Trip | None:
    """Count a mail, and return the cap that it goes beyond: one from outside by its sender or by its request, staff's by its words."""
    if verdict.sender.staff and verdict.sender.authenticated:
        return _said_again(store, caps, verdict, mail, now)
    to = came_to(store, caps, verdict.number, now) if verdict.number else None
    by = came_from(store, caps, verdict, now)
    return to or by


def _said_again(store: Store, caps: Caps, verdict: Verdict, mail: Mail, now: datetime) -> Trip | None:
    """Count a colleague's words on a request: the vacation programs of two of them would tell each other for ever that they are away."""
    words = " ".join(_NUMBERS.sub("", mail.reply_text).split())
    if not verdict.number or not words:
        return None
    said = hashlib.sha256(words.encode()).hexdigest()[:32]
    if store.count(f"said-to:{verdict.number}:{verdict.sender.party}:{said}", now, caps.burst) <= SAID_AGAIN:
        return None
    why = f"the same words came from {verdict.sender.address.spec} more than {SAID_AGAIN} times within {notices.span(caps.burst)}"
    return Trip(f"request #{verdict.number}", why, caps.burst)


def came_to(store: Store, caps: Caps, number: int, now: datetime) -> Trip | None:
    """Count a mail to a request, and return the cap that it goes beyond."""
    if store.count(f"came-to:{number}", now, caps.burst) <= caps.per_request:
        return None
    return Trip(f"request #{number}", f"more than {caps.per_request} mails to this request within {notices.span(caps.burst)}", caps.burst)


def came_from(store: Store, caps: Caps, verdict: Verdict, now: datetime) -> Trip | None:
    """Count a mail by its sender, and return the cap that it goes beyond."""
    spec = verdict.sender.address.spec
    if not spec or store.count(f"came-from:{address.key(spec)}", now, caps.burst) <= caps.per_sender:
        return None
    why = f"more than {caps.per_sender} mails from this address within {notices.span(caps.burst)}"
    return Trip(spec.lower(), why, caps.burst)


def unproven(caps: Caps, verdict: Verdict) -> str:
    """Return why a sender whom nothing proves gets no automatic answer, "" where the house answers him."""
    proven = verdict.sender.proof.proven or bool(verdict.sender.staff and verdict.sender.authenticated)
    return "" if proven or not caps.only_proven else "nothing proves the sender, and only proven ones are answered"


def repeats(store: Store, caps: Caps, verdict: Verdict, mail: Mail, now: datetime) -> str:
    """Return why a mail that says what its sender said before gets no automatic answer, "" for new words; they are noted.

    A vacation message says the same every time, under the same subject but for numbers, also one that shows no sign of a program. A
    person who has the same to say of another thing names it in the subject.
    """
    subject = _NUMBERS.sub("", strip_reply_prefixes(mail.subject))
    said = hashlib.sha256(" ".join([*subject.split(), "", *mail.reply_text.split()]).encode()).hexdigest()[:32]
    spec = (verdict.requestor or verdict.sender.address).spec
    fresh = store.once(f"said:{address.key(spec)}:{said}", now, now + caps.window)
    return "" if fresh or not mail.reply_text.strip() else "the same words came from this address before"


def folded(store: Store, caps: Caps, decision: Decision, trip: Trip, now: datetime) -> Decision:
    """Return the decision without those notices whose reader had one within `Caps.fold`; they are counted for `tell`.

    The first notice after a silence goes out as it is, and says why no answer went out.
    """
    kept = []
    for draft in decision.drafts:
        person = draft.to.person
        if draft.to.staff and draft.template in FOLDED:
            if person not in trip.readers:
                trip.readers[person] = store.once(f"folded:{person}", now, now + caps.fold)
                if not trip.readers[person]:
                    store.add_up(f"{_PENDING}{person}:{draft.number}")
            if not trip.readers[person]:
                continue
        kept.append(draft)
    return replace(decision, drafts=tuple(kept))


def tell_admin(keeper: Keeper, trip: Trip, now: datetime) -> None:
    """The admin hears once a window that something stands still."""
    if keeper.store.once(f"breaker:{trip.key}", now, now + trip.window):
        log.breaker_tripped(what=trip.key, why=trip.why)
        by_address = "@" in trip.key
        notices.tell_admin(
            keeper,
            title="The loop breaker stopped automatic answers",
            now=now,
            rows=(("Address" if by_address else "Stopped for", trip.key), ("Why", trip.why)),
            what="Mail is still taken in as ever; only our automatic answers and what would be passed on stop until the window is over.",
            cure=f"see who writes there: rtmail ticket list --all{f' --requestor {trip.key}' if by_address else ''}",
        )


def tell(keeper: Keeper, now: datetime) -> int:
    """Send staff what was folded, one mail a person, none sooner than `Caps.fold` after the last; returns the mails."""
    waiting: dict[int, dict[int, int]] = {}
    for name, mails in keeper.store.counted(_PENDING).items():
        reader, _, number = name.partition(":")
        waiting.setdefault(int(reader), {})[int(number)] = mails
    sent = 0
    for party, requests in waiting.items():
        person = keeper.office.directory.by_party(party)
        with keeper.store.transaction():
            if person and not keeper.store.once(f"folded:{party}", now, now + keeper.office.caps.fold):
                continue
            keeper.store.start_anew([f"{_PENDING}{party}:{number}" for number in requests])
            if person:
                draft = _mail(keeper, person, requests)
                keeper.post(keeper.render([draft], now), None, [draft], now)
                sent += 1
    return sent


def _mail(keeper: Keeper, person: Person, requests: dict[int, int]) -> Draft:
    rows: Sequence[int] = sorted(requests, key=lambda number: (-requests[number], number))
    tickets = {number: keeper.store.by_number(number) for number in rows[:LISTED]}
    lines = [
        {"number": number, "mails": requests[number], "subject": ticket.subject, "from": getattr(ticket.requestor, "address", "")}
        for number, ticket in tickets.items()
        if ticket
    ]
    first = next((ticket for ticket in tickets.values() if ticket), None)
    return Draft(
        template=TEMPLATE,
        to=staff_recipient(person),
        visibility=Visibility.INTERNAL,
        subject=f"{sum(requests.values())} mails without a notice of their own",
        queue=first.queue if first else "",
        auto=Auto.GENERATED,
        suppress=Suppress.ABSENCES,
        reply_to=ReplyTo.PLAIN,
        facts={"mails": sum(requests.values()), "requests": lines, "others": len(rows) - len(lines),
               "minutes": int(keeper.office.caps.fold.total_seconds() // 60)},
    )
