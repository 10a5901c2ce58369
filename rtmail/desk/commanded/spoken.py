"""What staff say at the shell for everybody affected by an incident: it opens one, or is new of one, or ends it."""

from __future__ import annotations

from rtmail.desk import audience
from rtmail.desk.commanded import effects
from rtmail.desk.decision import Builder
from rtmail.desk.outages import about, incidents
from rtmail.desk.outcome import done, refused
from rtmail.desk.stimulus import Spoken
from rtmail.desk.ticket import EventKind
from rtmail.desk.wording import unsayable


def say(builder: Builder, stimulus: Spoken) -> None:
    """Open it, or let the words and commands act on it; one line each is left in the results."""
    person, text = stimulus.person, stimulus.words.reply_text
    if why := unsayable(f"{stimulus.words.subject}\n{text}", builder.house.site, builder.house.directory.parties(), stimulus.said):
        builder.results.append(refused("(your words)", why))
        return
    if stimulus.plan:
        facts = {"rule": "shell", "shell_user": stimulus.shell_user}
        incidents.begin(builder, stimulus.plan, person, stimulus.words, at=stimulus.at, facts=facts)
        heard = f"; it goes to {audience.readers(builder)}" if builder.announces else "; nobody outside is told yet"
        builder.results.append(done("open", f"it is #{builder.ticket.number}{heard}"))
        return
    found = about.about(builder.ticket.fields)
    if found is None or builder.ticket.status not in about.LIVE:
        builder.results.append(refused("(your words)", f"#{builder.ticket.number} is no incident or maintenance that is open"))
        return
    if text.strip():
        incidents.publish(builder, person, stimulus.words, at=stimulus.at, facts={"rule": "shell"})
        builder.results.append(done("(your words)", f"they go to {audience.readers(builder)}"))
    builder.results.extend(effects.run(effects.Run(builder, person, strong=True, said=stimulus.said), stimulus.parsed))
    shown = [{"line": r["line"], "done": r["done"]} for r in builder.results]
    builder.add(EventKind.COMMAND, facts={"shell_user": stimulus.shell_user, "results": shown})
