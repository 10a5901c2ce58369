"""What is critical outside of office hours, so that somebody is called at once: by address, by a customer's own word, by the subject.

Such a request has its priority from the first instant on. Its ladder calls who is on call, and triage runs round the clock.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rtmail.desk.decision import Builder
from rtmail.desk.promised import consent
from rtmail.desk.received import standing
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Event
from rtmail.mail.model import Kind
from rtmail.policy.terms import TERMS, Standing, Terms


def critical(builder: Builder, stimulus: Received, terms: Terms | None) -> str:
    """Return why a mail that opens a request is critical after hours, as staff read it; "" where it is not."""
    after = builder.policy.after_hours
    if after is None or (terms and not terms.promises) or not after.closed(stimulus.at, builder.policy.hours(after.calendar)):
        return ""
    if stimulus.mail.kind is not Kind.REQUEST_OR_REPLY:
        return ""
    why = ""
    asked = consent.wish(builder.policy, stimulus, headers=False)
    entitled = terms is None or terms.standing is Standing.ENTITLED
    if builder.ticket.queue in after.queues:
        why = f"it came to {builder.house.queue(builder.ticket.queue).address}"
    elif asked and asked.priority and asked.priority.key == after.priority and asked.allowed and entitled:
        why = "its sender says so"
    else:
        subject = " ".join(stimulus.mail.subject.lower().split())
        said = next((word for word in after.words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", subject)), "")
        why = f"its subject says `{said}`" if said else ""
    return f"Critical after hours: {why}. `Priority: …` lowers it, and the customer is told." if why else ""


def terms(builder: Builder) -> None:
    """Let triage of a critical request run round the clock; before its clocks begin."""
    found = Terms.from_row(builder.ticket.fields.get(TERMS)) or Terms()
    standing.keep(builder, replace(found, critical=True))


def raised(builder: Builder, event: Event) -> None:
    """Give a request its critical priority: the ladder begins, and with it the call of whom its first rung names."""
    after = builder.policy.after_hours
    assert after is not None
    consent.suggested(builder, builder.policy.priorities[after.priority], event.actor)
