"""`rtmail audit`: the conservation sum; exit 1 with the culprits when it does not close (promise 3)."""

from __future__ import annotations

import click

from rtmail.cli.common import config_option, json_option, opened, put
from rtmail.config import Config


@click.command()
@json_option
@config_option
def audit(found: Config, as_json: bool) -> None:
    """Prove that every accepted mail has exactly one outcome."""
    with opened(found) as store:
        sums = store.audit_counts()
    if as_json:
        put(
            {
                "accepted": sums.accepted,
                "waiting": sums.waiting,
                "outcomes": dict(sums.outcomes),
                "closes": sums.closes,
                "culprits": [{"spool": spool_id, "why": why} for spool_id, why in sums.culprits],
            }
        )
    else:
        click.echo(f"accepted    {sums.accepted}")
        click.echo(f"  waiting   {sums.waiting}")
        for outcome, count in sorted(sums.outcomes.items()):
            click.echo(f"  {outcome:<11} {count}")
        for spool_id, why in sums.culprits:
            click.echo(f"spool {spool_id}: {why}", err=True)
        click.echo("the sum closes" if sums.closes else "THE SUM DOES NOT CLOSE", err=not sums.closes)
    raise SystemExit(0 if sums.closes else 1)
