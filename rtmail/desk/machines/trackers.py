"""Mail of a development tracker about a bug: on each request that is linked with it a comment, whatever the mail says. Pure.

Two systems that are linked must never let what developers say among themselves reach a customer: a tracker's words are no
correspondence, by whichever address and with whatever evidence they come.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.machines.systems import Tracker
from rtmail.desk.notes import reference
from rtmail.desk.people import listed
from rtmail.desk.stimulus import Tracked
from rtmail.desk.ticket import EventKind
from rtmail.mail.model import Mail

_READ = 2_000
"""Characters of a mail's text that are looked through where its subject names no bug."""
_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Note:
    """What a tracker's mail is about: the numbers of bugs as `notes.reference` writes them, none where it names none."""

    tracker: str
    refs: tuple[str, ...]


def read(trackers: Iterable[Tracker], mail: Mail) -> Note | None:
    """Return what a tracker's mail is about; None for a mail of anybody else.

    The subject names the bug; the text counts only where the subject names none, since it may speak of others as well.
    """
    for tracker in trackers:
        if mail.identity and listed(mail.identity, tracker.senders):
            return Note(tracker.name, _refs(tracker, mail.subject) or _refs(tracker, mail.reply_text[:_READ]))
    return None


def _refs(tracker: Tracker, text: str) -> tuple[str, ...]:
    found = (reference(one[0]) for one in re.finditer(rf"(?<![\w-])(?:{tracker.key})(?![\w-])", text))
    return tuple(dict.fromkeys(found))[:_AT_MOST]


def noted(builder: Builder, stimulus: Tracked) -> None:
    """Record a tracker's mail among staff; whose request it is hears of it. It moves no clock, opens and reopens nothing."""
    words = stimulus.words
    flags = [f"About {', '.join(stimulus.refs)}, with which this request is linked."] if stimulus.refs else []
    if not stimulus.believed:
        flags.append("Nothing proves that the tracker wrote it.")
    event = builder.add(
        EventKind.COMMENT,
        actor=words.person,
        words=words,
        message_id=stimulus.message_id,
        at=stimulus.at,
        facts={"tracker": stimulus.tracker, "refs": list(stimulus.refs), "spool": words.spool_id},
    )
    audience.to_staff(
        builder,
        event,
        "comment",
        who=stimulus.who,
        author="",
        text=words.text,
        people=builder.staff(),
        flags=flags,
        attachments=audience.refs(stimulus.attachments, words.raw_id),
        about_customer=False,
        human=False,
    )

