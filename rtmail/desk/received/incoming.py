"""What follows from a mail: the table of results of `match.judge`, and what is neither a customer's nor a colleague's words.

Each function adds events to the builder and drafts the copies that they lead to; the sender table of DESIGN 5 says who may do
what, the functions here and in `opening`, `customers`, `staffmail` and `staffopening` say what then happens.
"""

from __future__ import annotations

from collections.abc import Callable

from rtmail.desk import audience
from rtmail.desk.absence import SEEN_FOR, Absence, AbsenceChange
from rtmail.desk.commanded import effects
from rtmail.desk.decision import Builder
from rtmail.desk.grammar.commands import Command
from rtmail.desk.judging.match import Result
from rtmail.desk.outages import about, telling
from rtmail.desk.outcome import refused
from rtmail.desk.promised import awaiting, closing, consent, delivery
from rtmail.desk.received import arrival, customers, inquiry, opening, oversize, private, staffmail, staffopening
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import EventKind
from rtmail.mail.token import Action

LOOKED_BY_STAFF = frozenset(
    {
        Result.ACTION,
        Result.STAFF_BOTH_ADDRESSES,
        Result.STAFF_COMMENT,
        Result.STAFF_CORRESPONDENCE,
        Result.STAFF_FORWARD_ON_REQUEST,
        Result.STAFF_NO_RIGHT,
    }
)
"""By these somebody of the staff shows that he looked at the request."""


def receive(builder: Builder, stimulus: Received) -> None:
    """Carry out what the verdict says."""
    HANDLERS[stimulus.verdict.result](builder, stimulus)
    private.follow(builder, stimulus)
    oversize.follow(builder, stimulus)
    if stimulus.verdict.result in LOOKED_BY_STAFF and stimulus.verdict.sender.staff:
        closing.looked(builder, builder.now)
        awaiting.looked(builder)
    if stimulus.verdict.revoke:
        revoked = dict(builder.ticket.fields.get("revoked") or {})
        builder.note("revoked", {**revoked, **{str(party): builder.now.date().isoformat() for party in stimulus.verdict.revoke}})


def _correspondence(builder: Builder, stimulus: Received) -> None:
    """A participant's words, a colleague's among them who asked for something himself."""
    of_staff = bool(stimulus.verdict.sender.staff) and stimulus.verdict.sender.authenticated
    (staffopening.of_requestor if of_staff else customers.correspondence)(builder, stimulus)


def _action(builder: Builder, stimulus: Received) -> None:
    """A signed action address used by its person: the action is a command, words beside it are a comment."""
    verdict = stimulus.verdict
    assert verdict.detail is not None
    action = verdict.detail.action
    if not verdict.sender.staff and action is Action.SHOW:
        inquiry.ask(builder, stimulus, (Command("show", str(builder.ticket.number), "", 0),))
        return
    if not verdict.sender.staff and action is Action.CONFIRM_ALIAS:
        customers.confirmed_alias(builder, stimulus)
        return
    if not verdict.sender.staff and about.about(builder.ticket.fields):
        telling.mute(builder, arrival.party_of(stimulus, verdict.sender), muted=action is Action.MUTE)
        builder.add(EventKind.COMMAND, actor=arrival.party_of(stimulus, verdict.sender), words=arrival.words_of(stimulus),
                    message_id=stimulus.mail.message_id, at=stimulus.at, facts={"action": action.name.lower()})  # fmt: skip
        return
    if not verdict.sender.staff:
        consent.act(builder, action, arrival.party_of(stimulus, verdict.sender), arrival.words_of(stimulus), stimulus)
        return
    person = arrival.staff_author(builder, stimulus)
    running = effects.Run(builder, person, verdict.sender.staff_proof.strong, stimulus.parties, stimulus.known, said=stimulus.said)
    results = effects.act(running, action, stimulus.parsed)
    kept = staffmail.beside_action(builder, stimulus, person)
    audience.receipt(builder, person, results, answering=stimulus.mail.message_id, words_went=kept)


def _action_needs_proof(builder: Builder, stimulus: Received) -> None:
    person = arrival.staff_author(builder, stimulus)
    word = stimulus.verdict.detail.action.name.lower() if stimulus.verdict.detail else ""
    audience.receipt(builder, person, [refused(word, stimulus.verdict.reason)], answering=stimulus.mail.message_id)


def _auto_reply(builder: Builder, stimulus: Received) -> None:
    """Recorded, and nothing else: it opens, reopens, answers, moves nothing (promise 8); an absence of staff adds the deputy."""
    words = arrival.words_of(stimulus)
    builder.add(
        EventKind.AUTO_REPLY,
        actor=words.person,
        facts=arrival.facts_of(stimulus),
        words=words,
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
    )
    returned = stimulus.came_back
    if returned is None or builder.house.directory.by_party(returned.person) is None:
        return
    builder.absences.append(AbsenceChange(returned.person, Absence(builder.now + SEEN_FOR, declared=False)))
    if returned.template in delivery.LADDER_TEMPLATES:
        delivery.untold(builder, returned.about, returned.person)


def _bounce(builder: Builder, stimulus: Received) -> None:
    bounce = stimulus.mail.bounce
    builder.add(
        EventKind.BOUNCE,
        words=arrival.words_of(stimulus),
        message_id=stimulus.mail.message_id,
        at=stimulus.at,
        facts={
            **arrival.facts_of(stimulus),
            "outbox": stimulus.verdict.outbox_id,
            "status": bounce.status if bounce else "",
            "temporary": bounce.temporary if bounce else False,
        },
    )


HANDLERS: dict[Result, Callable[[Builder, Received], None]] = {
    Result.NEW_REQUEST: opening.open_request,
    Result.NEW_LINKED: opening.open_request,
    Result.CONTINUES: opening.open_request,
    Result.CORRESPONDENCE: _correspondence,
    Result.UNVERIFIED: customers.unverified,
    Result.COLLEAGUE_JOINS: customers.colleague,
    Result.OUTSIDE: customers.outside,
    Result.STAFF_CORRESPONDENCE: staffmail.staff_correspondence,
    Result.STAFF_COMMENT: staffmail.comment,
    Result.STAFF_BOTH_ADDRESSES: staffmail.comment,
    Result.STAFF_ASK_FIRST: staffmail.ask_first,
    Result.STAFF_NO_RIGHT: staffmail.no_right,
    Result.STAFF_TO_US: staffopening.staff_to_us,
    Result.STAFF_FORWARD_NEW: staffopening.forward_new,
    Result.STAFF_FORWARD_ON_REQUEST: staffmail.forward_on_request,
    Result.STAFF_ON_BEHALF: staffopening.on_behalf,
    Result.ACTION: _action,
    Result.ACTION_NEEDS_PROOF: _action_needs_proof,
    Result.AUTO_REPLY: _auto_reply,
    Result.REPORT: _auto_reply,
    Result.BOUNCE: _bounce,
}
"""Results that concern a ticket; the others (held, junk, loop, admin) end in the engine without one."""
