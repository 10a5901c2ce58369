"""Mail that is too large for us: what staff must know of one whose start alone was taken in, and what its sender is told. Pure.

Only a mailbox that we read can hold such mail; everybody else is refused with the reason when he sends it. The mail itself stays there.
"""

from __future__ import annotations

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.outcome import Result, refused
from rtmail.desk.received import private
from rtmail.desk.stimulus import Received
from rtmail.mail.model import Cut
from rtmail.mail.speech import size


def flags(cut: Cut | None) -> tuple[str, ...]:
    """Return what staff must know of words that are the start of such a mail."""
    if cut is None:
        return ()
    return (f"Too large ({_sizes(cut)}): only its beginning was taken in, and passed on to nobody. All of it stands in the mailbox "
            f"{cut.mailbox}, flagged.",)


def waits(cut: Cut) -> str:
    """Return why an engineer's answer does not go out."""
    return f"they are too large ({_sizes(cut)}). Write again with smaller files, or keep their beginning as a comment."


def missing(cut: Cut | None) -> list[Result]:
    """Return what an engineer hears of a comment that is not whole."""
    return [refused("(your words)", f"too large ({_sizes(cut)}): colleagues have their beginning alone")] if cut else []


def unread(cut: Cut | None) -> list[Result]:
    """Return what somebody of the staff hears whose commands stand in such a mail: they stand above all else, so they were there whole."""
    return [refused("(the rest of your mail)", f"too large ({_sizes(cut)}): only its beginning was read")] if cut else []


def follow(builder: Builder, stimulus: Received) -> None:
    """Tell the sender, where an automatic answer may go to him."""
    said = next((entry.event for entry in builder.entries if entry.words and entry.words.spool_id == stimulus.spool_id), None)
    if stimulus.cut is None or said is None or not private.may_tell(stimulus):
        return
    facts = {"bytes": stimulus.cut.whole_bytes, "limit": stimulus.cut.limit_bytes}
    audience.to_writer(builder, stimulus, said.seq, "too-large", facts)


def _sizes(cut: Cut) -> str:
    return f"{size(cut.whole_bytes, 'en')}, at most {size(cut.limit_bytes, 'en')}"
