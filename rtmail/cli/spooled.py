"""`rtmail quarantine|held|junk list|show|retry|drop`: mail that did not become an event of a request."""

from __future__ import annotations

from dataclasses import replace

import click

from rtmail.cli import owner
from rtmail.cli.common import NUMBER, Commands, config_option, end, json_option, opened, put, shown, tell, utc
from rtmail.cli.tables import columns
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.desk.received.private import HOLD
from rtmail.store import Held, NotThere, Outcome, SpoolRow, Store

_RETRIED = {Outcome.QUARANTINED: "is worked on again", Outcome.HELD: "goes its way as confirmed", Outcome.JUNK: "opens with its own time"}


def _group(outcome: Outcome, help_: str) -> click.Group:
    group = Commands(help=help_)

    @group.command("list", help="List them, oldest first.")
    @json_option
    @config_option
    def list_(found: Config, as_json: bool) -> None:
        with opened(found) as store:
            rows = list(store.list_spool(outcome, settled=False) if outcome is Outcome.HELD else store.list_spool(outcome))
            if outcome is Outcome.HELD:
                rows = sorted([*rows, *_withheld(store)], key=lambda row: row.id)
        if as_json:
            for row in rows:
                put(_described(row))
        elif rows:
            zone = found.settings.timezone
            columns(("mail", "arrived", "from", "why"), [
                (str(row.id), shown(row.arrived_at, zone)[4:21], f"<{row.envelope.sender or ''}>",
                 (row.reason.strip().splitlines() or [""])[-1])
                for row in rows])  # fmt: skip
        else:
            click.echo("none")

    @group.command("show", help="Show one, its bytes as they came in.")
    @click.argument("number", type=NUMBER)
    @json_option
    @config_option
    def show(found: Config, number: int, as_json: bool) -> None:
        with opened(found) as store:
            row = _row(store, number, outcome)
            if as_json:
                put(_described(row))
                return
            click.echo(
                f"spool {row.id}, {shown(row.arrived_at, found.settings.timezone)}, from <{row.envelope.sender or ''}> to "
                f"{', '.join(row.envelope.recipients) or 'a mailbox'}"
            )
            click.echo(row.reason.rstrip())
            click.echo("")
            if row.outcome != outcome:
                # Content that waits is shown to nobody, root included: a terminal keeps what it shows.
                return
            try:
                click.echo(store.raw(row.raw_id).decode("utf-8", "replace"))
            except NotThere:
                click.echo("(its bytes were erased)")

    @group.command("retry", help=f"Let one go through: it {_RETRIED[outcome]}.")
    @click.argument("number", type=NUMBER)
    @json_option
    @config_option
    def retry(found: Config, number: int, as_json: bool) -> None:
        now = system()
        with opened(found) as store, store.transaction():
            _own(store, number, outcome)
            for hold in store.holds_of(number):
                store.settle_hold(hold.id, Held.RELEASED, 0, now)
            if not store.requeue_spool(number, now):
                end(f"rtmail: mail {number} was dropped: its bytes were erased")
        tell(as_json, {"id": number, "done": "retry"}, f"mail {number} {_RETRIED[outcome]}")

    @group.command("drop", help="Take one off the list and erase its bytes.")
    @click.argument("number", type=NUMBER)
    @json_option
    @config_option
    def drop(found: Config, number: int, as_json: bool) -> None:
        now = system()
        with opened(found) as store, store.transaction():
            _own(store, number, outcome)
            for hold in store.holds_of(number):
                store.settle_hold(hold.id, Held.DISCARDED, 0, now)
            store.drop_spool(number, owner.name(), now)
        tell(as_json, {"id": number, "done": "drop"}, f"mail {number} is dropped")

    return group


def _row(store: Store, number: int, outcome: Outcome) -> SpoolRow:
    try:
        row = store.spool_row(number)
    except NotThere:
        end(f"rtmail: there is no mail {number}")
    if outcome is Outcome.HELD and (withheld := [one for one in _withheld(store) if one.id == number]):
        return withheld[0]
    if row.outcome != outcome:
        end(f"rtmail: mail {number} is not {outcome}: it is {row.outcome or 'waiting'}")
    return row


def _own(store: Store, number: int, outcome: Outcome) -> None:
    """End with what to do instead where a mail is not this list's to let go or to drop."""
    row = _row(store, number, outcome)
    if row.outcome != outcome:
        end(f"rtmail: {row.reason}")


def _withheld(store: Store) -> list[SpoolRow]:
    """Return the mails that are part of a request while their content waits, with what to do instead of a reason."""
    found = []
    for hold in store.holds_waiting(kind=HOLD):
        number = hold.details.get("number")
        why = f"content withheld ({hold.reason}): rtmail ticket do {number} redact, release or erase"
        found.append(replace(store.spool_row(hold.spool_id), reason=why, trace={"number": number, "withheld": hold.reason}))
    return found


def _described(row: SpoolRow) -> dict[str, object]:
    return {
        "id": row.id,
        "arrived_at": utc(row.arrived_at),
        "ingress": row.envelope.ingress,
        "sender": row.envelope.sender,
        "recipients": list(row.envelope.recipients),
        "attempts": row.attempts,
        "outcome": row.outcome,
        "reason": row.reason,
        **row.trace,
    }


quarantine = _group(Outcome.QUARANTINED, "Mail that failed three times and waits for the admin.")
held = _group(Outcome.HELD, "Mail that waits for a person's word.")
junk = _group(Outcome.JUNK, "Mail set aside as spam.")
