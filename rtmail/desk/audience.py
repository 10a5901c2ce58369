"""Who gets which copy of an event: the drafts that an event of a ticket leads to.

Promise 7 holds by construction: what a participant receives is drafted here from public words only, and what staff receive
is a draft of another kind. Nobody gets two copies, whatever his roles, and nobody whom the author's own To/Cc reached.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from rtmail.desk import notes
from rtmail.desk.decision import Builder, circle
from rtmail.desk.fields import filled
from rtmail.desk.known import last_deed
from rtmail.desk.outages import about, affected
from rtmail.desk.outcome import ANSWERED
from rtmail.desk.people import Person
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Event, EventKind, Participant, Role, Ticket
from rtmail.mail import address
from rtmail.mail.model import Address, Attachment
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import AttachmentRef, Auto, Draft, Link, Recipient, ReplyTo, Suppress, Visibility
from rtmail.policy import signals
from rtmail.policy.hours import next_open
from rtmail.policy.model import MetBy, UpdateMode
from rtmail.policy.rows import ClockKind
from rtmail.policy.terms import TERMS, Terms

THREADS = "threads"
"""The field that holds the Message-IDs by which people of a merged request know their conversation: party id -> ids."""
WORDS, RELAYED, FIXED = "words", "relayed", "fixed"
"""The templates of an engineer's words to customers, of a participant's to the others, and of the word that a bug is fixed."""
MUTE_LINK = Link("mute", Action.MUTE)
"""For whom copies are no duty: a Cc, and a watcher of what somebody else owns."""
STAFF_LINKS = (Link("take", Action.TAKE),)
_UNDO = (Link("undo", Action.UNDO),)


def refs(attachments: Iterable[Attachment], raw_id: int) -> tuple[AttachmentRef, ...]:
    """References to the parts of a stored mail, for passing them on."""
    return tuple(AttachmentRef(raw_id, a.part, a.name, a.type, a.bytes, a.content_id if a.inline else "") for a in attachments)


def staff_recipient(person: Person) -> Recipient:
    return Recipient(person.party, person.email, person.name, staff=True, language=person.language)


def participant_recipient(participant: Participant) -> Recipient:
    return Recipient(participant.person, participant.address, participant.name, staff=False, language=participant.language)


def acknowledge(builder: Builder) -> None:
    """The acknowledgement, to the requestor alone: number, subject, when a person will have looked, how to add words."""
    requestor = builder.ticket.addressee
    if requestor is None:
        return
    event = builder.add(EventKind.ACKNOWLEDGED, visibility=Visibility.PUBLIC)
    builder.signal(signals.AcknowledgementSent(at=builder.now, event=event.seq))
    thread = builder.ticket.thread
    asked = form_facts(builder)
    if asked.get("form") and not builder.ticket.fields.get(filled.ASKED_TIMES):
        builder.note(filled.ASKED_TIMES, 1)
    builder.drafts.append(
        Draft(
            template="acknowledgement",
            to=participant_recipient(requestor),
            visibility=Visibility.PUBLIC,
            subject=builder.ticket.subject,
            queue=builder.ticket.queue,
            number=builder.ticket.number,
            event=event.seq,
            facts={
                "looked_at": _looked_at(builder), "incidents": [dict(one) for one in builder.told_of], **_hours(builder), **asked,
            },
            in_reply_to=thread[-1] if thread else "",
            references=thread,
            auto=Auto.REPLIED,
            reply_to=ReplyTo.CUSTOMER,
        )
    )


def _looked_at(builder: Builder) -> datetime | None:
    """By when a person will have looked: by triage, without it by the first response. What a late mail has missed is promised to nobody.

    Where the acknowledgement itself is the first response, the next word that a person is asked for stands in its place, if there is one.
    """
    clocks = builder.ticket.clocks
    ahead = {clock.kind: clock.due_at for clock in clocks if clock.running and clock.due_at and clock.due_at > builder.now}
    met = any(clock.kind is ClockKind.FIRST_RESPONSE and clock.settled_by == MetBy.ACKNOWLEDGEMENT for clock in clocks)
    by_person = builder.policy.priority(builder.ticket.priority).update_mode is UpdateMode.NUDGE
    next_word = ahead.get(ClockKind.UPDATE) if met and by_person else None
    return ahead.get(ClockKind.TRIAGE) or ahead.get(ClockKind.FIRST_RESPONSE) or next_word


def form_facts(builder: Builder) -> dict[str, Any]:
    """What an automatic mail says of the form: what was understood, what was not, and what is still to be filled in."""
    policy, ticket, requestor = builder.policy, builder.ticket, builder.ticket.requestor
    if requestor is None or builder.asks_no_form or not policy.fields:
        return {}
    language = requestor.language or builder.house.site.language
    understood = filled.rows(policy, ticket, language, staff=False, echoed=builder.echoes)
    misread = [
        {"label": policy.fields[key].label(language), "said": filled.short(said) if builder.echoes else ""} for key, said in builder.misread
    ]
    # Who is asked for nothing that must be there is sent no form: it would only ask for what he chose to leave out.
    wanted = filled.open_fields(policy, ticket) if misread or filled.missing(policy, ticket) else ()
    again = [policy.fields[key] for key, _ in builder.misread if policy.fields[key] not in wanted]
    return {"understood": understood, "misread": misread, "form": filled.form((*wanted, *again), language)}


def telephone(builder: Builder) -> str:
    """Return the number that the requestor may call by his plan, "" for none."""
    terms = Terms.from_row(builder.ticket.fields.get(TERMS))
    plan = builder.house.directory.plans.get(terms.plan) if terms else None
    return plan.telephone if plan else ""


def _hours(builder: Builder) -> dict[str, Any]:
    """What an acknowledgement says of hours: after them when the office opens, and by which word it is critical; whom to call."""
    facts: dict[str, Any] = {"telephone": telephone(builder)}
    after = builder.policy.after_hours
    if after is None or builder.ticket.priority == after.priority:
        return facts
    hours = builder.policy.hours(after.calendar)
    if after.closed(builder.now, hours):
        facts |= {"opens_at": next_open(builder.now, hours), "critical_word": next(iter(after.words), "")}
    return facts


def signed_by(builder: Builder, name: str) -> str:
    """Return under which name a member of staff writes to customers: his own, or the one that the policy has for all of them."""
    voice = builder.policy.voice
    return name if not voice else "" if voice.casefold() == builder.house.site.name.casefold() else voice


def to_requestor(
    builder: Builder,
    event: Event,
    template: str,
    *,
    facts: Mapping[str, Any],
    links: Sequence[Link] = (),
    urgency: int = 1,
    report: bool = False,
    auto: Auto = Auto.GENERATED,
) -> None:
    """Draft one of our own mails to the requestor alone; none where nobody asked, or who did was erased."""
    ticket, requestor = builder.ticket, builder.ticket.addressee
    if requestor is None:
        return
    builder.drafts.append(
        Draft(
            template=template,
            to=participant_recipient(requestor),
            visibility=Visibility.PUBLIC,
            subject=ticket.subject,
            queue=ticket.queue,
            number=ticket.number,
            event=event.seq,
            auto=auto,
            reply_to=ReplyTo.CUSTOMER,
            links=tuple(links),
            references=ticket.thread,
            in_reply_to=ticket.thread[-1] if ticket.thread else "",
            facts=dict(facts),
            urgency=urgency,
            report=report,
        )
    )


def to_writer(builder: Builder, stimulus: Received, event: int, template: str, facts: Mapping[str, Any]) -> None:
    """Draft an automatic answer to whoever wrote a mail, in his language, whatever he is on the request."""
    ticket, mail, sender = builder.ticket, stimulus.mail, stimulus.verdict.sender
    person = stimulus.parties.get(address.key(sender.address.spec), sender.party)
    language = stimulus.languages.get(person) or mail.language
    builder.drafts.append(
        Draft(
            template=template,
            to=Recipient(person, sender.address.spec, sender.address.name, staff=False, language=language),
            visibility=Visibility.PUBLIC,
            subject=ticket.subject,
            queue=ticket.queue,
            number=ticket.number,
            event=event,
            facts=dict(facts),
            in_reply_to=mail.message_id,
            references=(mail.message_id,) if mail.message_id else (),
            auto=Auto.REPLIED,
            reply_to=ReplyTo.CUSTOMER,
        )
    )


def beside_words(builder: Builder, template: str, *, facts: Mapping[str, Any], links: Sequence[Link] = ()) -> bool:
    """Say it in the mail by which this very decision sends an engineer's words to the requestor; tell whether there is one.

    It keeps its event, author and headers: a person wrote it, and its delivery counts as that of his words.
    """
    requestor = builder.ticket.requestor
    for at, draft in enumerate(builder.drafts):
        if requestor and draft.template == WORDS and draft.to.person == requestor.person:
            builder.drafts[at] = replace(draft, template=template, facts={**draft.facts, **facts}, links=(*draft.links, *links))
            return True
    return False


def to_staff(
    builder: Builder,
    event: Event,
    template: str,
    *,
    who: str,
    author: str,
    text: str,
    people: Sequence[Person],
    attachments: tuple[AttachmentRef, ...] = (),
    flags: Sequence[str] = (),
    links: Sequence[Link] = STAFF_LINKS,
    about_customer: bool = True,
    human: bool = True,
    reached: Collection[str] = (),
    but: Collection[int] = (),
    facts: Mapping[str, Any] | None = None,
    report: bool = False,
    urgency: int = 1,
) -> None:
    """Tell staff of an event, one copy a person.

    who, author     whose words they are, with address for the text, as a name for the From line
    about_customer  the words are a customer's: an answer goes to the customer, the comment address is a link; else the reverse
    flags           what staff must know of these words ("unverified", "from outside" ...)
    reached, but    address keys that the mail itself reached, and party ids, that get no copy
    """
    ticket = builder.ticket
    root = builder.house.message_id(ticket.number, 1)
    thread = tuple(dict.fromkeys((*ticket.thread[:1], *(() if event.seq == 1 else (root,)))))
    everyone = ticket.people(Role.REQUESTOR, Role.CC)
    has_copy = {draft.to.person for draft in builder.drafts if draft.event == event.seq and draft.number == ticket.number}
    watchers = {one.person for one in ticket.people(Role.WATCHER)} if ticket.owner else set()
    shown = {"who": who, "text": text, "flags": list(flags), "at": event.at, **(facts or {})}
    for person in people:
        if person.party in but or person.party in has_copy or any(address.key(own) in reached for own in person.addresses):
            continue
        builder.drafts.append(
            Draft(
                template=template,
                to=staff_recipient(person),
                visibility=Visibility.INTERNAL,
                subject=ticket.subject,
                queue=ticket.queue,
                number=ticket.number,
                event=event.seq,
                author=author if human else "",
                circle_to=circle(everyone, Role.REQUESTOR),
                circle_cc=circle(everyone, Role.CC),
                facts=shown,
                in_reply_to=root if event.seq > 1 else "",
                references=_known_to(ticket, person.party, thread),
                links=(*links, MUTE_LINK) if person.party in watchers and person.party != ticket.owner else tuple(links),
                attachments=attachments,
                auto=Auto.NO if human else Auto.GENERATED,
                suppress=Suppress.NONE if human else Suppress.ABSENCES,
                reply_to=ReplyTo.CORRESPONDENCE if about_customer else ReplyTo.COMMENT,
                headers=staff_headers(builder),
                report=report,
                urgency=urgency,
            )
        )


def staff_headers(builder: Builder) -> dict[str, str]:
    """The X-RTMail-* headers that staff can sort their mail by."""
    ticket = builder.ticket
    headers = {"X-RTMail-Request": str(ticket.number), "X-RTMail-Status": str(ticket.status)}
    if ticket.priority:
        headers["X-RTMail-Priority"] = ticket.priority
    due = min((clock.due_at for clock in ticket.clocks if clock.running and clock.due_at), default=None)
    if due:
        headers["X-RTMail-Due"] = due.strftime("%Y-%m-%dT%H:%M:%SZ")
    return headers


def to_customers(
    builder: Builder,
    event: Event,
    template: str,
    *,
    author: str,
    text: str,
    people: Iterable[Participant],
    attachments: tuple[AttachmentRef, ...] = (),
    reached: Collection[str] = (),
    answering: str = "",
    facts: Mapping[str, Any] | None = None,
    report: bool = False,
) -> int:
    """Send public words to participants, one copy each; tells how many copies were drafted.

    reached    address keys in the author's own To/Cc: they have the mail already
    answering  Message-ID these words answer, "" for the last one of the thread
    facts      of a template that writes the words itself
    """
    ticket = builder.ticket
    everyone = ticket.people(Role.REQUESTOR, Role.CC)
    thread = tuple(one for one in ticket.thread if one != event.message_id)
    count = 0
    for participant in people:
        if not participant.address or address.key(participant.address) in reached:
            continue
        others = tuple(p for p in everyone if p.person != participant.person and p.address)
        copied = participant.role is Role.CC and template in (WORDS, RELAYED, FIXED)
        builder.drafts.append(
            Draft(
                template=template,
                to=participant_recipient(participant),
                visibility=Visibility.PUBLIC,
                subject=ticket.subject,
                queue=ticket.queue,
                number=ticket.number,
                event=event.seq,
                author=author,
                circle_to=circle(others, Role.REQUESTOR),
                circle_cc=circle(others, Role.CC),
                facts={"text": text} if facts is None else dict(facts),
                in_reply_to=answering or (thread[-1] if thread else ""),
                references=_known_to(ticket, participant.person, thread),
                attachments=attachments,
                links=(MUTE_LINK,) if copied else (),
                auto=Auto.NO,
                suppress=Suppress.NONE,
                reply_to=ReplyTo.CUSTOMER,
                report=report,
                urgency=0,
            )
        )
        count += 1
    return count


def _known_to(ticket: Ticket, person: int, thread: tuple[str, ...]) -> tuple[str, ...]:
    """The thread as a person's client can join it: who came with a merged request knows that one's mails."""
    return tuple(dict.fromkeys((*((ticket.fields.get(THREADS) or {}).get(str(person)) or ()), *thread)))


def ask_author(
    builder: Builder,
    person: Person,
    *,
    reason: str,
    text: str,
    links: Sequence[Link],
    answering: str = "",
    results: Sequence[Mapping[str, Any]] = (),
    waits: bool = False,
) -> Event:
    """Ask a member of staff what was meant, before anything goes out.

    results  lines of the receipt of this mail, which the question is as well; `waits`: nothing of them was done yet
    """
    event = builder.add(EventKind.ASKED, actor=person.party, facts={"reason": reason})
    ticket = builder.ticket
    root = builder.house.message_id(ticket.number, 1)
    builder.drafts.append(
        Draft(
            template="asked",
            to=staff_recipient(person),
            visibility=Visibility.INTERNAL,
            subject=ticket.subject,
            queue=ticket.queue,
            number=ticket.number,
            event=event.seq,
            links=(*links, *undo_links(builder, person, results)),
            auto=Auto.REPLIED,
            reply_to=ReplyTo.COMMENT,
            urgency=0,
            facts={
                "reason": reason,
                "text": text,
                "requestor": readers(builder),
                "results": [dict(r) for r in results if r["outcome"] != ANSWERED],
                "waits": waits,
            },
            in_reply_to=answering or root,
            references=(root,),
        )
    )
    return event


def readers(builder: Builder) -> str:
    """Who reads what goes out on the request: its requestor, or everybody whom an incident affects; for staff, in words."""
    found = about.about(builder.ticket.fields)
    house = builder.house
    if about.on_page_alone(builder.policy, builder.ticket):
        return "the status page alone"
    return affected.readers(found.affects, house.directory, house.site) if found else named(builder.ticket.requestor)


def receipt(builder: Builder, person: Person, results: Sequence[Mapping[str, Any]], *, answering: str = "", words_went: str = "") -> None:
    """One private answer to a command mail: each line, what it did or why not, and the state after it."""
    event = builder.add(EventKind.COMMAND, actor=person.party, facts={"results": [{"line": r["line"], "done": r["done"]} for r in results]})
    ticket = builder.ticket
    root = builder.house.message_id(ticket.number, 1)
    zone = builder.zone
    state = [
        {"what": "Status", "value": str(ticket.status)},
        {"what": "Owner", "value": owner_name(builder) or "nobody"},
        {"what": "Priority", "value": ticket.priority or "not set yet"},
        *notes.rows(ticket.fields, zone),
        *filled.noted(builder.policy, ticket, person.language or "en"),
    ]
    builder.drafts.append(
        Draft(
            template="receipt",
            to=staff_recipient(person),
            visibility=Visibility.INTERNAL,
            subject=ticket.subject,
            queue=ticket.queue,
            number=ticket.number,
            event=event.seq,
            auto=Auto.REPLIED,
            reply_to=ReplyTo.COMMENT,
            in_reply_to=answering or root,
            references=(root,),
            links=undo_links(builder, person, results),
            facts={"results": [dict(r) for r in results if r["outcome"] != ANSWERED], "state": state, "words_went": words_went},
        )
    )


def undo_links(builder: Builder, person: Person, results: Sequence[Mapping[str, Any]]) -> tuple[Link, ...]:
    """The link that takes the last command back, where one of these did something."""
    acted = any(r["done"] and r["outcome"] != ANSWERED for r in results)
    return _UNDO if acted and any(last_deed(one.ticket, person.party) for one in (builder, *builder.further)) else ()


def tell_state(builder: Builder, event: Event, actor: int, what: str, old: str, new: str) -> None:
    """Tell staff that a participant changed how the request stands."""
    who = next((one for one in builder.ticket.participants if one.person == actor), None)
    to_staff(
        builder,
        event,
        "state",
        who=named(who),
        author="",
        text="",
        people=builder.staff(),
        human=False,
        about_customer=False,
        facts={"reason": "", "changes": [{"what": what, "old": old, "new": new}]},
    )


def named(participant: Participant | None) -> str:
    """Name and address of a participant as staff read them."""
    if participant is None or not (participant.address or participant.name):
        return "nobody"
    return Address(participant.address, participant.name).shown


def owner_name(builder: Builder) -> str:
    owner = builder.house.directory.by_party(builder.ticket.owner) if builder.ticket.owner else None
    return owner.name if owner else ""
