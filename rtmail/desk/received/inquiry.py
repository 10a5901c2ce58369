"""A participant asks about his requests: noted, answered to him alone, and passed on to nobody."""

from __future__ import annotations

from collections.abc import Sequence

from rtmail.desk.decision import Builder
from rtmail.desk.grammar.arguments import ArgumentError
from rtmail.desk.grammar.commands import Command
from rtmail.desk.grammar.queries import query
from rtmail.desk.received import arrival
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import EventKind
from rtmail.mail.model import Address
from rtmail.mail.writing.draft import Auto, Draft, Recipient, ReplyTo, Visibility


def ask(builder: Builder, stimulus: Received, commands: Sequence[Command]) -> None:
    """Note the questions and let them be answered; they reopen nothing and move no clock. A robot or a loop gets no answer."""
    sender, mail, ticket = stimulus.verdict.sender, stimulus.mail, builder.ticket
    person = arrival.party_of(stimulus, sender)
    event = builder.add(
        EventKind.COMMAND,
        actor=person,
        facts={"action": ", ".join(command.name for command in commands)},
        words=arrival.words_of(stimulus),
        message_id=mail.message_id,
        at=stimulus.at,
    )
    if not mail.answerable or stimulus.withheld:
        return
    for command in commands:
        try:
            builder.queries.append(query(command, person, staff=False, number=ticket.number))
        except ArgumentError:
            continue  # the grammar let no such line through; what cannot be read asks nothing
    if builder.queries:
        builder.drafts.append(
            answer(
                person,
                sender.address,
                ticket.queue,
                ticket.subject,
                mail.message_id,
                event.seq,
                ticket.number,
                ticket.thread,
                language=stimulus.languages.get(person) or mail.language,
            )
        )


def answer(
    person: int, to: Address, queue: str, subject: str, answering: str, event: int, number: int = 0, thread: tuple[str, ...] = (),
    *, proven: bool = True, language: str = "",
) -> Draft:
    """Return the mail that the answers go into; a writer who proved nothing gets it with the null sender."""
    return Draft(
        template="answer",
        to=Recipient(person, to.spec, to.name, staff=False, language=language),
        visibility=Visibility.PUBLIC,
        subject=subject,
        queue=queue,
        number=number,
        event=event,
        auto=Auto.REPLIED,
        reply_to=ReplyTo.CUSTOMER if number else ReplyTo.PLAIN,
        in_reply_to=answering,
        references=tuple(dict.fromkeys((*thread, *([answering] if answering else [])))),
        null_sender=not proven,
        urgency=0,
    )
