"""A verdict on a mail, revised by what is known besides: its author was asked, its start came before, a program wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtmail.desk.judging.match import Result, StaffProof, Verdict
from rtmail.engine.holding import STAFF_CLAIM
from rtmail.mail.site import Door
from rtmail.store import Held, Hold

BY_OTHERS = frozenset({Result.NEW_REQUEST, Result.NEW_LINKED, Result.CONTINUES})
OPENING = BY_OTHERS | {Result.STAFF_FORWARD_NEW, Result.STAFF_ON_BEHALF, Result.STAFF_TO_US}
"""With these a mail opens a request."""
ANSWERED_RULE = "answered"
"""Its author was asked what he meant, and has said it."""


def as_answered(verdict: Verdict, holds: Sequence[Hold]) -> Verdict:
    """A mail whose author was asked and has answered does what he said; he saw whose request it is for."""
    answered = next((hold for hold in holds if hold.kind == "asked"), None)
    claimed = any(hold.kind == STAFF_CLAIM for hold in holds)
    if verdict.number is None or not (answered or (claimed and verdict.result is Result.STAFF_ASK_FIRST)):
        return verdict
    comment = answered is not None and answered.state is Held.COMMENTED
    proof = max(verdict.sender.staff_proof, StaffProof.CONFIRMED, key=_weight)
    return replace(
        verdict,
        result=Result.STAFF_COMMENT if comment else Result.STAFF_CORRESPONDENCE,
        rule=ANSWERED_RULE if answered else "confirmed",
        reason="its author said what he meant",
        door=Door.COMMENT if comment else Door.CORRESPONDENCE,
        ask="",
        commands=not (answered and answered.details.get("ran")),
        sender=replace(verdict.sender, authenticated=True, staff_proof=proof),
    )


def of_program(verdict: Verdict) -> Verdict:
    """A program reads no answer: nobody is written to but the staff."""
    return replace(verdict, answerable=False, requestor=None, joins=(), ask_accept=())


def read_at_last(verdict: Verdict, number: int) -> Verdict:
    """A mail out of quarantine that had its request opened from a stub: its words belong there, and open no second one."""
    return replace(
        verdict,
        result=Result.CORRESPONDENCE,
        number=number,
        rule="read-at-last",
        reason="its request was opened from what could be read of it before",
        links=(),
        answerable=False,
    )


def whole_at_last(verdict: Verdict, number: int) -> Verdict:
    """All of a mail whose start opened `number` (0: nothing): it belongs there, and what its author was told then stays true."""
    if number and verdict.result in BY_OTHERS:
        verdict = read_at_last(verdict, number)
    elif number and verdict.result in OPENING:
        verdict = replace(verdict, result=Result.STAFF_COMMENT, number=number, rule="read-at-last", links=())
    elif verdict.result is Result.STAFF_CORRESPONDENCE and verdict.rule != ANSWERED_RULE:
        verdict = replace(verdict, result=Result.STAFF_ASK_FIRST, ask="all of it could be read only now; before, it was too large")
    # Its start has moved the clocks, and its author was told that nothing of it is done.
    return replace(verdict, reopens=False, commands=verdict.commands and verdict.rule == ANSWERED_RULE)


def _weight(proof: StaffProof) -> int:
    return list(reversed(StaffProof)).index(proof)
