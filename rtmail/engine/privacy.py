"""Private data on the road of a mail, and what the words release, redact and erase do to what is kept.

`look` is asked before a mail is decided on, `carry_out` by the keeper in the transaction of a decision, `second` when a mail whose
content waited comes by again. What finds private data is read only where a queue wants it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from rtmail.desk.decide import decide
from rtmail.desk.decision import Deed, Words
from rtmail.desk.grammar.commands import Parsed
from rtmail.desk.judging.match import Result, Verdict
from rtmail.desk.people import Directory
from rtmail.desk.received.private import HOLD, NO_SUBJECT, blanked
from rtmail.desk.stimulus import LetGo, Private
from rtmail.desk.ticket import Event, EventKind, Ticket
from rtmail.mail import address
from rtmail.mail.model import Address, Attachment, Kind, Mail
from rtmail.mail.reading.message import payload
from rtmail.mail.token import Keyring
from rtmail.store import Held, Hold, NotThere, Outcome, Settlement, SpoolItem, Store

if TYPE_CHECKING:
    from rtmail.engine.keeping import Keeper

_FORWARDS = frozenset({Result.STAFF_FORWARD_NEW, Result.STAFF_FORWARD_ON_REQUEST})
_READ_AS_TEXT = (".txt", ".csv", ".log", ".json", ".xml", ".pem", ".key", ".ini", ".env", ".yml", ".yaml", ".md", ".eml", ".ppk", ".sql")
_ATTACHMENT_BYTES = 1_000_000
"""So much of an attachment that is text is looked at."""


def look(store: Store, directory: Directory, item: SpoolItem, mail: Mail, verdict: Verdict, parsed: Parsed) -> Private | None:
    """Return what a mail seems to hold, as its queue wants it known; None for nothing. What a colleague wrote himself is only warned of."""
    queue = directory.queues.get(verdict.queue)
    mode = queue.private if queue else "off"
    if mode == "off" or mail.kind is Kind.BOUNCE:
        return None
    from rtmail.mail.privacy import private

    forwards = bool(verdict.sender.staff) and verdict.result in _FORWARDS
    files = _files(store, item, mail.attachments)
    if verdict.sender.staff and not forwards:
        found = private.sorts([mail.subject, parsed.words, *files])
        return Private(found, "warn") if found else None
    forwarded = mail.forwarded
    words = [forwarded.subject, forwarded.text, forwarded.sender.name if forwarded.sender else ""] if forwarded else []
    names = [one.name for one in (mail.sender, *mail.reply_to, *mail.to, *mail.cc)]
    texts = words if forwards else [mail.subject, mail.text, mail.other_text, *names, *words]
    found = private.sorts([*texts, *files])
    if not found:
        own = private.sorts([parsed.words]) if forwards else ()
        return Private(own, "warn") if own else None
    subject, text = (words[0], words[1]) if forwards and words else (mail.subject, mail.text)
    return Private(found, mode, private.redacted(subject), private.redacted(text))


def withheld(mail: Mail, parsed: Parsed, verdict: Verdict) -> tuple[Mail, Parsed]:
    """Return a mail without its content, and of its words a colleague's commands and what he wrote himself, without what is private."""
    from rtmail.mail.privacy import private

    if not verdict.sender.staff:
        return blanked(mail), Parsed()
    return blanked(mail), replace(parsed, words=private.redacted(parsed.words), whole=private.redacted(parsed.whole))


def nameless(mail: Mail, verdict: Verdict) -> tuple[Mail, Verdict]:
    """Return both with what is private taken out of people's names: these stand in every notice, and beside their addresses for good."""
    from rtmail.mail.privacy import private

    def clean(one: Address) -> Address:
        return replace(one, name=private.redacted(one.name)) if one.name else one

    def every(people: Iterable[Address]) -> tuple[Address, ...]:
        return tuple(clean(one) for one in people)

    forwarded = mail.forwarded
    if forwarded and forwarded.sender:
        forwarded = replace(forwarded, sender=clean(forwarded.sender))
    seen = replace(mail, sender=clean(mail.sender), reply_to=every(mail.reply_to), to=every(mail.to), cc=every(mail.cc))
    return replace(seen, forwarded=forwarded), replace(
        verdict,
        sender=replace(verdict.sender, address=clean(verdict.sender.address)),
        joins=every(verdict.joins),
        ask_accept=every(verdict.ask_accept),
        requestor=clean(verdict.requestor) if verdict.requestor else None,
    )


def named(directory: Directory, queue: str, one: Address) -> Address:
    """Return an address with what is private taken out of its name, where the queue wants that looked for."""
    found = directory.queues.get(queue)
    if not one.name or found is None or found.private == "off":
        return one
    from rtmail.mail.privacy import private

    return replace(one, name=private.redacted(one.name))


def of_program(store: Store, directory: Directory, item: SpoolItem, mail: Mail, queues: Iterable[str],
               person: int) -> tuple[Words, tuple[Attachment, ...]]:
    """Return the words of a program's mail that is noted on requests of `queues` (an alert, a tracker's comment), and its attachments.

    Where one of them wants private data to wait, or not to be kept, what a program sent of it is taken out at once, of its mail as well.
    """
    words = Words(mail.subject, mail.text, mail.reply_text, item.raw_id, item.id, person)
    known = (directory.queues.get(queue) for queue in queues)
    if not any(found and found.private in ("hold", "discard") for found in known):
        return words, mail.attachments
    from rtmail.mail.privacy import private, redact

    if not private.sorts([mail.subject, mail.text, mail.other_text, *_files(store, item, mail.attachments)]):
        return words, mail.attachments
    raw = redact.rewritten(store.raw(item.raw_id), mail.subject, mail.text)
    store.change_raw(item.raw_id, raw)
    subject, text, reply_text = map(private.redacted, (mail.subject, mail.text, mail.reply_text))
    return replace(words, subject=subject, text=text, reply_text=reply_text), _left(raw, mail.attachments)


def _files(store: Store, item: SpoolItem, attachments: Sequence[Attachment]) -> list[str]:
    """Return the names of attached files, and the words of those that are text."""
    if not attachments:
        return []
    texts, raw = [one.name for one in attachments], b""
    for one in attachments:
        if one.part and (one.type.startswith(("text/", "message/")) or one.name.lower().endswith(_READ_AS_TEXT)):
            raw = raw or store.raw(item.raw_id)
            try:
                texts.append(payload(raw, one.part)[:_ATTACHMENT_BYTES].decode("utf-8", "replace"))
            except KeyError:
                continue
    return texts


# -- not taken in again --


def digests(keyring: Keyring, fingerprints: Iterable[str]) -> list[str]:
    """Return the keyed hashes by which an erased mail is known, one a key."""
    keys = keyring.keys.values()
    return [hmac.new(key, b"tombstone:" + one.encode(), hashlib.sha256).hexdigest() for one in fingerprints for key in keys]


def bury(store: Store, keyring: Keyring, spool_id: int, now: datetime) -> None:
    """Erase a mail's bytes and note that it is not taken in again."""
    store.bury(digests(keyring, store.fingerprints(spool_id)), now)
    store.erase_mail(spool_id)


# -- release, redact, erase --


def carry_out(store: Store, keyring: Keyring, ticket: Ticket, deed: Deed, now: datetime) -> None:
    """Do what was said about private content of `ticket`; what waits and is let through takes the road once more, to be read."""
    if deed.spool_id and deed.word in ("release", "redact"):
        state = Held.RELEASED if deed.word == "release" else Held.REDACTED
        store.settle_holds(deed.spool_id, HOLD, state, deed.actor, now)
        store.requeue_spool(deed.spool_id, now, confirmed=True)
        return
    # What a mail filled in goes with its words.
    chosen = [
        (event, content)
        for event, content in store.events(ticket.id)
        if content and (not deed.seq or event.seq == deed.seq or (event.kind is EventKind.FIELD and event.facts.get("of") == deed.seq))
    ]
    for _, content in chosen:
        if deed.word == "erase":
            store.erase_content(content.id)
            if content.spool_id:
                store.settle_holds(content.spool_id, HOLD, Held.DISCARDED, deed.actor, now)
                bury(store, keyring, content.spool_id, now)
        elif not content.erased:
            redact(store, content.id, now)
    if deed.spool_id and not any(content.spool_id == deed.spool_id for _, content in chosen):
        store.settle_holds(deed.spool_id, HOLD, Held.DISCARDED, deed.actor, now)
        bury(store, keyring, deed.spool_id, now)
    if deed.word == "erase":
        erase_copies(store, ticket.id)
    else:
        redact_copies(store, ticket.id)


def redact(store: Store, content_id: int, now: datetime) -> None:
    """Take what is private out of somebody's words, of the mail that they came in, and of the subject of their request."""
    from rtmail.mail.privacy import private, redact

    content = store.content(content_id)
    raw, attachments = _bytes(store, content.raw_id), content.attachments
    if raw:
        raw = redact.rewritten(raw, content.subject, content.text)
        store.change_raw(content.raw_id, raw)
        attachments = _left(raw, attachments)
    store.fill_content(content_id, private.redacted(content.subject), private.redacted(content.text), attachments, content.raw_id)
    if content.spool_id:
        store.change_trace(content.spool_id, private.redacted)
        store.erase_copies(content.spool_id)


def redact_copies(store: Store, ticket_id: int) -> None:
    """Take what is private out of the mails that went out about a request, and out of its subject."""
    from rtmail.mail.privacy import private, redact

    for outbox_id in store.copies_of(ticket_id):
        raw = store.outbox_mail(outbox_id)
        if redact.found_in(raw):
            store.change_copy(outbox_id, redact.rewritten(raw, "", ""))
    subject = store.ticket(ticket_id).subject
    if private.find(subject):
        store.erase_subject(ticket_id, private.redacted(subject))


def erase_copies(store: Store, ticket_id: int) -> None:
    """Erase the bytes of the mails that went out about a request, where they may hold what was erased; those that wait still go."""
    from rtmail.mail.privacy import redact

    for outbox_id in store.copies_of(ticket_id):
        store.change_copy(outbox_id, redact.rewritten(store.outbox_mail(outbox_id), "", ""))


def _bytes(store: Store, raw_id: int) -> bytes:
    try:
        return store.raw(raw_id) if raw_id else b""
    except NotThere:
        return b""


def _left(raw: bytes, attachments: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """Return those attachments whose bytes redacting left as they were, their names redacted."""
    from rtmail.mail.privacy import private

    kept = []
    for one in attachments:
        try:
            data = payload(raw, one.part)
        except KeyError:
            continue
        if hashlib.sha256(data).hexdigest() == one.sha256:
            kept.append(replace(one, name=private.redacted(one.name)))
    return tuple(kept)


# -- once more --


def second(keeper: Keeper, item: SpoolItem, mail: Mail, holds: Sequence[Hold], now: datetime) -> Settlement | None:
    """Let the words of a mail whose content waited be seen, where somebody said so; None for any other mail."""
    store, office = keeper.store, keeper.office
    hold = next((one for one in holds if one.kind == HOLD and one.state in (Held.RELEASED, Held.REDACTED)), None)
    found = store.by_number(int(hold.details["number"]), lock=True) if hold else None
    event = store.event(found.id, int(hold.details["of"])) if hold and found else None
    if hold is None or found is None or event is None:
        return None
    from rtmail.mail.privacy import private

    words, attachments = _words(store, item, mail, hold, event.kind is EventKind.OPENED)
    store.fill_content(event.content_id, words.subject, words.reply_text, attachments, item.raw_id)
    if hold.state is Held.REDACTED:
        redact(store, event.content_id, now)
        content = store.content(event.content_id)
        attachments = content.attachments
        words = Words(content.subject, content.text, content.text, item.raw_id, item.id, content.party)
    sender = mail.forwarded.sender if hold.details.get("forwarded") and mail.forwarded else mail.sender
    author = sender or mail.sender
    if hold.state is Held.REDACTED:
        author = replace(author, name=private.redacted(author.name))
    stimulus = LetGo(
        of=event.seq,
        word="redact" if hold.state is Held.REDACTED else "release",
        by=hold.settled_by,
        words=words,
        who=author.shown,
        author=author.name or author.spec,
        attachments=attachments,
        reached=frozenset(address.key(one.spec) for one in (*mail.to, *mail.cc)),
        passed_on=bool(hold.details.get("passed_on")),
        whole=mail.text if hold.state is Held.RELEASED and event.kind is not EventKind.OPENED else "",
        fills_in=_fills_in(event),
    )
    keeper.keep(decide(office.policy(found.policy_version), found, stimulus, now, office.house), now)
    return Settlement(item, Outcome.EVENT, f"its content was let through: {stimulus.word}", found.id, event.seq,
                      store.spool_row(item.id).trace)


def _fills_in(event: Event) -> bool:
    facts = event.facts
    from_customer = event.kind in (EventKind.OPENED, EventKind.CORRESPONDENCE) and not (facts.get("by_staff") or facts.get("on_behalf"))
    return from_customer and facts.get("kind") == Kind.REQUEST_OR_REPLY and not facts.get("doubtful")


def _words(store: Store, item: SpoolItem, mail: Mail, hold: Hold, opened: bool) -> tuple[Words, tuple[Attachment, ...]]:
    """The words that an event of this mail would have had at first."""
    forwarded = mail.forwarded if hold.details.get("forwarded") else None
    subject = forwarded.subject if forwarded else mail.subject
    text = forwarded.text if forwarded else mail.text if opened else mail.reply_text
    party = store.party_by_address(mail.sender.spec)
    return Words(subject or NO_SUBJECT, text, text, item.raw_id, item.id, party.id if party else 0), mail.attachments
