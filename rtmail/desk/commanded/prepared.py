"""Prepared answers: by the policy, where somebody has no claim to more, or by staff with a word (`redirect forum`)."""

from __future__ import annotations

from rtmail.desk import audience
from rtmail.desk.decision import Builder, Words
from rtmail.desk.outcome import CannotDo
from rtmail.desk.people import Person
from rtmail.desk.ticket import PREPARED_MARK, EventKind, Status
from rtmail.mail.writing.draft import Auto, Visibility
from rtmail.policy import signals
from rtmail.policy.terms import Prepared, Then

_STATUS = {Then.CLOSE: Status.CLOSED, Then.WAIT: Status.WAITING, Then.OPEN: Status.OPEN}


def by_itself(builder: Builder, name: str) -> bool:
    """Send the answer that the policy has for such a sender in the place of an acknowledgement; tell whether somebody gets it."""
    answer, requestor = builder.policy.answers[name], builder.ticket.addressee
    if requestor is None:
        return False
    event = builder.add(EventKind.TOLD, visibility=Visibility.PUBLIC, facts={"notice": "prepared", "answer": name})
    text = _filled(builder, answer, requestor.language)
    audience.to_requestor(builder, event, "prepared", facts={"text": text}, auto=Auto.REPLIED)
    _left(builder, answer, 0, name)
    return True


def redirect(builder: Builder, value: str, person: Person) -> str:
    """Send a prepared answer as the words of a member of staff, or of the house from the shell, and leave the request as it says."""
    answers, wanted = builder.policy.answers, value.strip().lower()
    answer = next((one for one in answers.values() if one.name.lower() == wanted), None)
    if answer is None:
        known = ", ".join(answers) or "none"
        raise CannotDo(f"there is no prepared answer {value.strip()}; there are {known}", f"redirect {next(iter(answers), 'forum')}")
    requestor = builder.ticket.addressee
    if requestor is None:
        raise CannotDo("this request has nobody who could be written to", "AddRequestor: bob@acme.example")
    if builder.ticket.status not in (Status.NEW, Status.OPEN, Status.WAITING):
        raise CannotDo(f"the request is {builder.ticket.status}", "reopen")
    text = _filled(builder, answer, requestor.language)
    words = Words(builder.ticket.subject, text, text, 0, 0, person.party)
    event = builder.say(
        EventKind.CORRESPONDENCE,
        actor=person.party,
        words=words,
        facts={"by_staff": True, "answer": answer.name, "after": builder.ticket.last_public_seq},
    )
    author = audience.signed_by(builder, person.name) if person.party else ""
    audience.to_customers(builder, event, audience.WORDS, author=author, text=text, people=builder.customers(), report=True)
    builder.signal(signals.Answered(at=builder.now, event=event.seq, by=person.party))
    _left(builder, answer, person.party, answer.name)
    return f"{answer.name} went to {audience.named(requestor)}; the request is {builder.ticket.status}"


def _left(builder: Builder, answer: Prepared, actor: int, name: str) -> None:
    if answer.mark:
        builder.note(PREPARED_MARK, answer.mark)
    builder.status(_STATUS[answer.then], actor=actor, reason=f"prepared answer {name}")


def _filled(builder: Builder, answer: Prepared, language: str) -> str:
    """The words, with the number of the request and the telephone of the plan where they name them."""
    facts = {"number": str(builder.ticket.number), "telephone": audience.telephone(builder)}
    text = answer.text(language or builder.house.site.language)
    for name, value in facts.items():
        text = text.replace("{" + name + "}", value)
    return text
