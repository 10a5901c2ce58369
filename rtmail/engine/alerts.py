"""Alerts about a problem that has its request already: recorded there, without mail to anybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rtmail.desk.decide import decide
from rtmail.desk.judging.match import Verdict
from rtmail.desk.machines import monitoring
from rtmail.desk.machines.monitoring import Alert
from rtmail.desk.stimulus import Alerted
from rtmail.engine import privacy
from rtmail.engine.keeping import Keeper
from rtmail.engine.lookup import survivor
from rtmail.engine.office import Office
from rtmail.mail.model import Mail
from rtmail.mail.proof.identity import trusted_peer
from rtmail.store import Origin, Outcome, Settlement, SpoolItem

_COUNTED = timedelta(hours=1)


def named(office: Office, mail: Mail) -> tuple[str, str]:
    """Return the problem that a mail is about, as a reference from outside; ("", "") for none."""
    alert = monitoring.read(office.monitors, mail)
    return (alert.system, alert.problem) if alert else ("", "")


def believed(office: Office, item: SpoolItem, mail: Mail) -> bool:
    """Tell whether a program's mail is proven to be of its sender, or comes straight from a host of the house."""
    return mail.proof.proven or trusted_peer(item.envelope, office.site)


def again(keeper: Keeper, item: SpoolItem, mail: Mail, verdict: Verdict, alert: Alert, trace: dict[str, Any],
          now: datetime) -> Settlement | None:
    """Record an alert on the request of its problem; None where there is none that is open, and one is to open.

    A recovery goes to the latest request of the problem, be that closed.
    """
    store, office = keeper.store, keeper.office
    # Counting locks the problem: of two daemons that read its first two alerts at once, the second waits and finds the request.
    store.count(f"{alert.system}:{alert.problem}", now, _COUNTED)
    ids = store.by_outside_ref(alert.system, alert.problem)
    tickets = [found for one in ids[:10] if (found := survivor(store, store.ticket(one).number)) is not None]
    about = next((one for one in tickets if monitoring.live(one.status)), tickets[0] if tickets and alert.recovered else None)
    if about is None:
        return None
    ticket = store.ticket(about.id, lock=True)
    sender = privacy.named(office.directory, ticket.queue, verdict.sender.address)
    person = store.party_for(sender.spec, sender.name, now).id
    words, _ = privacy.of_program(store, office.directory, item, mail, [ticket.queue], person)
    stimulus = Alerted(
        words=replace(words, reply_text=words.text),
        message_id=mail.message_id,
        at=min(item.arrived_at, now),
        recovered=alert.recovered,
        on_recovery=alert.on_recovery,
        believed=believed(office, item, mail),
    )
    decision = decide(office.policy(ticket.policy_version), ticket, stimulus, now, office.house)
    kept = keeper.keep(decision, now)
    seq = decision.entries[0].event.seq
    if mail.message_id:
        store.record(mail.message_id, kept.id, seq, Origin.RECEIVED, person)
    trace |= {"number": kept.number, "alert": alert.state}
    why = f"{alert.system}: the same problem {'is over' if alert.recovered else 'again'}"
    return Settlement(item, Outcome.EVENT, why, kept.id, seq, trace)
