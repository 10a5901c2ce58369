"""What a mail of an archive becomes: the same rows of the sender table as for new mail, but what it did is history. Pure.

`match.judge` says which request a mail belongs to and who wrote it; here that becomes events with the mail's own time. Nothing goes
out, no command runs, nobody is asked, no clock starts: a request that was moved in promises nothing until somebody writes
(`policy.course`). Where new mail of staff would wait for its author's word, whom the old one went to tells what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk.decision import Builder, Words
from rtmail.desk.judging.match import Result, Verdict
from rtmail.desk.known import LINKED
from rtmail.desk.received import standing
from rtmail.desk.ticket import MOVED_IN, EventKind, Role, Status, Ticket
from rtmail.mail import address
from rtmail.mail.model import Mail
from rtmail.mail.site import Door
from rtmail.mail.writing.draft import Visibility

DISOWNED = "its From is a colleague's, but nothing says that he wrote it"
OPENING = frozenset({
    Result.NEW_REQUEST, Result.NEW_LINKED, Result.CONTINUES, Result.STAFF_TO_US, Result.STAFF_ON_BEHALF, Result.STAFF_FORWARD_NEW,
})
"""Results by which a request opens."""
_LIVE = frozenset({Status.NEW, Status.OPEN, Status.WAITING})
_BY_STAFF = frozenset({
    Result.STAFF_CORRESPONDENCE, Result.STAFF_COMMENT, Result.STAFF_BOTH_ADDRESSES, Result.STAFF_ASK_FIRST, Result.STAFF_NO_RIGHT,
})


@dataclass(frozen=True, slots=True)
class Old:
    """A judged mail of an archive.

    raw_id, spool_id  where its bytes are kept and which arrival it counts as
    at                when it was taken in then
    parties           `address.key` -> party id of everybody the verdict names
    outside           it went to somebody who is neither ours nor staff
    proof             why staff words are taken as theirs, "" for anybody else's
    """

    mail: Mail
    verdict: Verdict
    raw_id: int
    spool_id: int
    at: datetime
    parties: Mapping[str, int]
    outside: bool = False
    proof: str = ""


def quiet_since(ticket: Ticket, at: datetime, closed_after: timedelta) -> datetime | None:
    """Return when a request that was moved in had been quiet for so long before `at` that it counts as closed; None where it is not so."""
    if not rests(ticket) or ticket.status not in _LIVE:
        return None
    ended = (ticket.last_public_at or ticket.opened_at) + closed_after
    return ended if ended <= at else None


def rests(ticket: Ticket) -> bool:
    """Tell whether a request was moved in and nothing has happened to it here: its status is ours to reckon."""
    return bool(ticket.fields.get(MOVED_IN)) and not ticket.clocks


def close(builder: Builder, at: datetime, closed_after: timedelta) -> None:
    """Close a request that nobody wrote to for so long."""
    _status(builder, Status.CLOSED, at, f"moved in; nobody wrote for {closed_after.days} days")


def conclude(builder: Builder, by_staff: bool, now: datetime, closed_after: timedelta) -> None:
    """Give a request that rests the status in which it lies here.

    by_staff  whether the last public words are the house's: then it waits for the customer; else it is open, or new without an answer
    """
    if (ended := quiet_since(builder.ticket, now, closed_after)) is not None:
        close(builder, ended, closed_after)
    elif builder.ticket.status in _LIVE:
        last = builder.ticket.last_public_at or now
        wanted = Status.WAITING if by_staff else Status.OPEN if builder.ticket.answered else Status.NEW
        _status(builder, wanted, last, "moved in; the last word was ours" if by_staff else "moved in; the last word was the customer's")


def record(builder: Builder, old: Old, *, source: str = "") -> str:
    """Add the events that an old mail is; return what was not clear about it, "" for nothing. The builder's now is the mail's time.

    source  where a request that opens comes from, for its field `MOVED_IN`
    """
    verdict, result = old.verdict, old.verdict.result
    if result in OPENING:
        return _open(builder, old, source)
    match result:
        case Result.BOUNCE:
            bounce = old.mail.bounce
            _say(builder, EventKind.BOUNCE, old, Visibility.INTERNAL, status=bounce.status if bounce else "",
                 temporary=bounce.temporary if bounce else False)
        case Result.AUTO_REPLY | Result.REPORT:
            _say(builder, EventKind.AUTO_REPLY, old, Visibility.INTERNAL)
        case Result.STAFF_FORWARD_ON_REQUEST:
            _say(builder, EventKind.FORWARDED, old, Visibility.INTERNAL, words=_forwarded(old))
            _remark(builder, old)
        case Result.ACTION | Result.ACTION_NEEDS_PROOF:
            return _action(builder, old)
        case Result.OUTSIDE | Result.HOLD_STAFF_CLAIM:
            _say(builder, EventKind.OUTSIDE, old, Visibility.INTERNAL)
            return f"kept for staff only: {verdict.reason if result is Result.OUTSIDE else DISOWNED}"
        case Result.UNVERIFIED:
            _say(builder, EventKind.UNVERIFIED, old, Visibility.INTERNAL, **_manner(old))
            _stirred(builder, old)
        case _ if result in _BY_STAFF:
            return _staff(builder, old)
        case _:
            _customer(builder, old)
    return ""


def _open(builder: Builder, old: Old, source: str) -> str:
    verdict, result = old.verdict, old.verdict.result
    requestor = verdict.requestor or verdict.sender.address
    forwarded = old.mail.forwarded if result is Result.STAFF_FORWARD_NEW else None
    words = _words(old)
    if forwarded:
        words = _forwarded(old)
        builder.ticket = replace(builder.ticket, subject=forwarded.subject or builder.ticket.subject)
    builder.add(EventKind.OPENED, visibility=Visibility.PUBLIC, actor=words.person, facts=_facts(old), words=words,
                message_id=forwarded.message_id if forwarded else old.mail.message_id)
    person = old.parties.get(address.key(requestor.spec), 0)
    if person and verdict.requestor:
        builder.join(person, Role.REQUESTOR, requestor.spec, requestor.name, reason=verdict.rule)
    _joins(builder, old)
    for link in verdict.links:
        builder.links.append((str(link.kind), link.number))
        builder.add(EventKind.FIELD, facts={"name": LINKED, "value": link.number})
        builder.add(EventKind.LINKED, facts={"kind": str(link.kind), "number": link.number})
    builder.add(EventKind.FIELD, facts={"name": MOVED_IN, "value": source})
    standing.settle(builder, requestor.spec)
    if result is Result.STAFF_ON_BEHALF:
        _say(builder, EventKind.CORRESPONDENCE, old, Visibility.PUBLIC, by_staff=True, direct=True, proof=old.proof)
        _watch(builder, old)
    elif result is Result.STAFF_FORWARD_NEW:
        _remark(builder, old)
        _watch(builder, old)
    elif result is Result.NEW_LINKED:
        return verdict.reason + f": a request of its own, linked to #{verdict.links[0].number}" if verdict.links else ""
    return ""


def _customer(builder: Builder, old: Old) -> None:
    sender = old.verdict.sender
    if old.verdict.result is Result.COLLEAGUE_JOINS:
        builder.join(_party(old), Role.CC, sender.address.spec, sender.address.name, reason=old.verdict.rule)
    _say(builder, EventKind.CORRESPONDENCE, old, Visibility.PUBLIC, **_manner(old))
    _joins(builder, old)
    _stirred(builder, old)


def _staff(builder: Builder, old: Old) -> str:
    """Words of staff: to the customer where the mail went to somebody outside, else among staff."""
    result = old.verdict.result
    public = result is Result.STAFF_CORRESPONDENCE or (result in (Result.STAFF_ASK_FIRST, Result.STAFF_NO_RIGHT) and old.outside)
    if public and old.verdict.door is Door.CORRESPONDENCE:
        _say(builder, EventKind.CORRESPONDENCE, old, Visibility.PUBLIC, by_staff=True, proof=old.proof)
        _joins(builder, old)
        _watch(builder, old)
        return ""
    _remark(builder, old)
    _watch(builder, old)
    return f"kept among staff: {old.verdict.ask or old.verdict.reason}" if result is Result.STAFF_ASK_FIRST else ""


def _action(builder: Builder, old: Old) -> str:
    """A click on a link of ours: what it did then is not done again; words beside it stay."""
    if not old.mail.reply_text.strip() and not old.mail.attachments:
        builder.add(EventKind.COMMAND, actor=_party(old), facts={**_facts(old), "action": "an old link, not followed"})
    elif old.verdict.sender.staff:
        _remark(builder, old)
    else:
        _customer(builder, old)
    return "a link of an old mail: what it did is not done again"


def _remark(builder: Builder, old: Old) -> None:
    if old.mail.reply_text.strip() or old.mail.attachments:
        _say(builder, EventKind.COMMENT, old, Visibility.INTERNAL, proof=old.proof)


def _say(builder: Builder, kind: EventKind, old: Old, visibility: Visibility, *, words: Words | None = None, **more: Any) -> None:
    words = words or _words(old)
    builder.add(kind, visibility=visibility, actor=_party(old), facts={**_facts(old), **{k: v for k, v in more.items() if v != ""}},
                words=words, message_id=old.mail.message_id)


def _stirred(builder: Builder, old: Old) -> None:
    """A customer's words open again what was closed since nobody wrote, where the sender table lets them."""
    if rests(builder.ticket) and old.verdict.reopens and builder.ticket.status in (Status.CLOSED, Status.RESOLVED):
        _status(builder, Status.OPEN, old.at, "customer wrote")


def _status(builder: Builder, new: Status, at: datetime, reason: str) -> None:
    # Not `Builder.status`: a clock that starts in the past would be due at once.
    if builder.ticket.status is not new:
        facts = {"old": builder.ticket.status, "new": new, "reason": reason}
        builder.add(EventKind.STATUS, visibility=Visibility.PUBLIC, facts=facts, at=at)


def _joins(builder: Builder, old: Old) -> None:
    requestor = builder.ticket.requestor
    for one in old.verdict.joins:
        person = old.parties.get(address.key(one.spec), 0)
        if person and not (requestor and requestor.person == person):
            builder.join(person, Role.CC, one.spec, one.name, reason=old.verdict.rule)


def _watch(builder: Builder, old: Old) -> None:
    person = builder.house.directory.people.get(old.verdict.sender.staff)
    if person is not None and builder.ticket.owner != person.party:
        builder.join(person.party, Role.WATCHER, person.email, person.name, reason="wrote")


def _manner(old: Old) -> dict[str, Any]:
    return {} if old.verdict.reopens else {"doubtful": True}


def _party(old: Old) -> int:
    sender = old.verdict.sender
    return sender.party or old.parties.get(address.key(sender.address.spec), 0)


def _facts(old: Old) -> dict[str, object]:
    return {"rule": old.verdict.rule, "spool": old.spool_id, "kind": str(old.mail.kind), "moved_in": True}


def _words(old: Old) -> Words:
    mail = old.mail
    return Words(mail.subject, mail.text, mail.reply_text, old.raw_id, old.spool_id, _party(old))


def _forwarded(old: Old) -> Words:
    forwarded = old.mail.forwarded
    if forwarded is None:
        return _words(old)
    author = old.parties.get(address.key(forwarded.sender.spec), 0) if forwarded.sender else 0
    return Words(forwarded.subject, forwarded.text, forwarded.text, old.raw_id, old.spool_id, author)
