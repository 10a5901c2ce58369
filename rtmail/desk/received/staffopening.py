"""What staff open with a mail: a request of a customer, of somebody whose mail they forward, or of their own, or an incident.

And what they say on a request of their own.
"""

from __future__ import annotations

from dataclasses import replace

from rtmail.desk import audience
from rtmail.desk.commanded import effects
from rtmail.desk.decision import Builder, Words
from rtmail.desk.outages import about, incidents
from rtmail.desk.outcome import done, refused
from rtmail.desk.promised import urgency
from rtmail.desk.received import arrival, customers, opening, standing
from rtmail.desk.received.staffmail import STAYS, encloses, join_staff, receipt, remark, run, says_something, stays
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import EventKind, Role, Status
from rtmail.desk.wording import public_words
from rtmail.mail import address
from rtmail.mail.model import Kind
from rtmail.mail.site import Door
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, Link, ReplyTo, Suppress, Visibility
from rtmail.policy import signals


def forward_new(builder: Builder, stimulus: Received) -> None:
    """A forwarded mail opens a request of the forwarded From; the engineer's words above it are a comment."""
    person = arrival.staff_author(builder, stimulus)
    forwarded = stimulus.mail.forwarded
    text = forwarded.text if forwarded else stimulus.mail.text
    subject = forwarded.subject if forwarded else stimulus.mail.subject
    requestor = stimulus.verdict.requestor or stimulus.verdict.sender.address
    words = Words(
        subject=subject,
        text=text,
        reply_text=text,
        raw_id=stimulus.raw_id,
        spool_id=stimulus.spool_id,
        person=stimulus.parties.get(address.key(requestor.spec), 0),
    )
    builder.ticket = replace(builder.ticket, subject=subject or builder.ticket.subject)
    ack = builder.policy.forward_ack
    opening.opened(builder, stimulus, requestor, words, forwarded.message_id if forwarded else "", ack == "yes")
    if stimulus.parsed.whole.strip():
        remark(builder, stimulus, person)
    join_staff(builder, stimulus, person)
    results = run(builder, stimulus, person)
    asked_for = builder.ticket.requestor
    if ack == "ask" and asked_for:
        audience.ask_author(
            builder,
            person,
            reason=f"shall {asked_for.address} be told of this request and its number?",
            text=text,
            links=(Link("tell the requestor", Action.CONFIRM_FORWARD),),
            answering=stimulus.mail.message_id,
            results=results,
        )
    else:
        receipt(builder, stimulus, person, results)


def on_behalf(builder: Builder, stimulus: Received) -> None:
    """An engineer wrote to a customer with us in Cc: that mail is the first correspondence; the number goes to all."""
    person = arrival.staff_author(builder, stimulus)
    requestor = stimulus.verdict.requestor or stimulus.verdict.sender.address
    words = replace(arrival.words_of(stimulus), text=_without_commands(stimulus), reply_text=stimulus.parsed.whole)
    event = builder.add(
        EventKind.OPENED,
        visibility=Visibility.PUBLIC,
        actor=person.party,
        facts={**arrival.facts_of(stimulus), "on_behalf": True},
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    builder.join(
        stimulus.parties.get(address.key(requestor.spec), 0), Role.REQUESTOR, requestor.spec, requestor.name, reason=stimulus.verdict.rule
    )
    join_staff(builder, stimulus, person)
    if terms := standing.entitled(builder, requestor.spec):
        standing.keep(builder, terms)
    urgency.begin(builder)
    builder.signal(signals.Opened(at=stimulus.at, event=event.seq, acknowledge=False))
    builder.add(
        EventKind.CORRESPONDENCE,
        visibility=Visibility.PUBLIC,
        actor=person.party,
        words=words,
        at=stimulus.at,
        facts={"by_staff": True, "direct": True},
        message_id=stimulus.mail.message_id,
    )
    first = builder.ticket.events
    builder.status(Status.OPEN, actor=person.party, reason="answered")
    builder.signal(signals.Answered(at=stimulus.at, event=first, by=person.party))
    builder.signal(signals.Delivered(at=stimulus.at, event=first))
    numbered = builder.add(EventKind.ACKNOWLEDGED, visibility=Visibility.PUBLIC, facts={"to": "all"})
    for participant in builder.customers():
        builder.drafts.append(
            Draft(
                template="numbered",
                to=audience.participant_recipient(participant),
                visibility=Visibility.PUBLIC,
                subject=builder.ticket.subject,
                queue=builder.ticket.queue,
                number=builder.ticket.number,
                event=numbered.seq,
                facts={"engineer": audience.signed_by(builder, person.name) or builder.house.site.name},
                in_reply_to=stimulus.mail.message_id,
                references=builder.ticket.thread,
                auto=Auto.GENERATED,
                suppress=Suppress.ALL,
                reply_to=ReplyTo.CUSTOMER,
            )
        )
    audience.to_staff(
        builder,
        event,
        "opened",
        who=arrival.shown(requestor),
        author=person.name,
        text=words.text,
        people=builder.staff(all_of_queue=True),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        reached=arrival.reached_by(stimulus),
        flags=(f"{person.name} wrote to the customer; this is that mail.",),
        about_customer=False,
        facts=opening.opening_facts(builder, event),
    )
    comments = any(command.name == "comment" for command in stimulus.parsed.commands)
    receipt(builder, stimulus, person, run(builder, stimulus, person), stays(builder, stimulus) if comments else "")


def staff_to_us(builder: Builder, stimulus: Received) -> None:
    """To us alone about no request: what is left after commands opens a request on which the engineer is a customer.

    Whoever takes part later reads these words, unless they are for staff.
    """
    if stimulus.verdict.commands and incidents.opens(stimulus.parsed):
        _open_incident(builder, stimulus)
        return
    person = arrival.staff_author(builder, stimulus)
    text = _without_commands(stimulus)
    inside = stimulus.verdict.door is Door.COMMENT or _for_staff(builder, stimulus, text)
    opening.opened(
        builder,
        stimulus,
        stimulus.verdict.requestor or stimulus.verdict.sender.address,
        replace(arrival.words_of(stimulus), text=text),
        stimulus.mail.message_id,
        stimulus.answerable,
        inside=inside,
    )
    receipt(builder, stimulus, person, run(builder, stimulus, person), STAYS if inside else "")


def of_requestor(builder: Builder, stimulus: Received) -> None:
    """A member of staff on what he asked for himself: his words are those of a customer and meet no clock; commands are commands."""
    person = arrival.staff_author(builder, stimulus)
    parsed = stimulus.parsed
    doubtful = parsed.unclear and any(one.person != person.party for one in builder.customers())
    if stimulus.mail.kind is Kind.MACHINE or not (parsed.commands or doubtful):
        customers.correspondence(builder, stimulus)
        return
    first, then = effects.in_turn(parsed)
    lines = run(builder, stimulus, person, first)
    went = ""
    if _for_staff(builder, stimulus, parsed.words):
        if says_something(stimulus):
            remark(builder, stimulus, person)
            went = stays(builder, stimulus)
    elif parsed.words.strip() or encloses(stimulus):
        customers.correspondence(builder, replace(stimulus, mail=replace(stimulus.mail, reply_text=parsed.words)))
    lines += run(builder, stimulus, person, then)
    if not stimulus.verdict.commands:
        lines = [refused(one.line, f"you do not work in the queue {builder.ticket.queue}") for one in parsed.commands]
        lines += [refused(one.line, one.why, one.suggestion) for one in parsed.unclear]
    receipt(builder, stimulus, person, effects.as_written(lines, (*first.commands, *then.commands)), went)


def _without_commands(stimulus: Received) -> str:
    """What a mail says that opens a request, as it came but for its commands: these are for us alone."""
    mail, parsed = stimulus.mail, stimulus.parsed
    if not parsed.commands:
        return mail.text
    return mail.text.replace(mail.reply_text, parsed.whole, 1) if mail.reply_text in mail.text else parsed.whole


def _for_staff(builder: Builder, stimulus: Received, text: str) -> bool:
    """Tell whether what a colleague wrote as a customer may be read by staff alone: he says so, it may be so, or it would show too much."""
    parsed = stimulus.parsed
    if parsed.unclear or any(command.name == "comment" for command in parsed.commands):
        return True
    said = public_words(stimulus.mail, text, builder.house.site, builder.house.directory.parties(), stimulus.said)
    return bool(said.leak or stimulus.leak or said.echo)


def _open_incident(builder: Builder, stimulus: Received) -> None:
    """A fresh mail that says `Incident:` or plans a maintenance; whether it can be was seen before it got a number."""
    person = arrival.staff_author(builder, stimulus)
    zone = builder.zone
    plan = incidents.read(stimulus.parsed, builder.given, builder.house, stimulus.at, zone, stimulus.said)
    assert isinstance(plan, about.Plan)
    text = public_words(stimulus.mail, stimulus.parsed.words, builder.house.site, builder.house.directory.parties(), stimulus.said)
    inside = stimulus.verdict.door is Door.COMMENT or bool(text.leak or stimulus.leak or text.echo)
    words = replace(arrival.words_of(stimulus), reply_text=text.words)
    facts, message_id = arrival.facts_of(stimulus), stimulus.mail.message_id
    incidents.begin(builder, plan, person, words, at=stimulus.at, facts=facts, message_id=message_id, told=not inside)
    kept = "The words of your mail stay among staff"
    if builder.announces:
        went = f"The words of your mail go to {audience.readers(builder)}." if words.reply_text.strip() else ""
    elif text.leak:
        went = f"{kept}: they would show customers something internal ({text.leak}). Nobody outside was told."
    elif text.echo:
        went = f'{kept}: they repeat what was said among staff: "{text.echo} ...". Nobody outside was told.'
    else:
        went = f"{kept}; nobody outside was told." if words.reply_text.strip() else ""
    line = f"#{builder.ticket.number}: {incidents.described(builder, plan.found)}"
    results = [done(stimulus.parsed.commands[0].line, line)]
    results += run(builder, stimulus, person, replace(stimulus.parsed, commands=plan.rest))
    audience.receipt(builder, person, results, answering=message_id, words_went=went)
