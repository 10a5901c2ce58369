"""Copies of a request that a Cc does not want, by his word or link (`company` has what colleagues do).

A requestor cannot mute his own request: his answers would reach nobody, and count as given.
"""

from __future__ import annotations

import re

from rtmail.desk import audience
from rtmail.desk.decision import Builder
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import EventKind, Role
from rtmail.mail.model import Kind
from rtmail.mail.token import Action

_SAID = {
    **dict.fromkeys(("mute", "unsubscribe", "abbestellen", "abmelden", "відписатися"), Action.MUTE),
    **dict.fromkeys(("unmute", "subscribe", "abonnieren", "підписатися"), Action.UNMUTE),
}


def lone_word(builder: Builder, stimulus: Received, person: int) -> Action | None:
    """Return what a Cc's mail says that is nothing but one word for it; None for any other mail."""
    word = re.sub(r"[\s*_`]+", " ", stimulus.mail.reply_text).strip(" .!").casefold()
    says = _SAID.get(word) if stimulus.mail.kind is Kind.REQUEST_OR_REPLY and not stimulus.mail.attachments else None
    return says if says and may(builder, person) else None


def may(builder: Builder, person: int) -> bool:
    """Tell whether this participant may do without copies."""
    roles = {one.role for one in builder.ticket.participants if one.person == person}
    return Role.CC in roles and Role.REQUESTOR not in roles


def by_participant(builder: Builder, person: int, action: Action) -> None:
    """Carry out a Cc's wish, and let the request's staff know who hears of it and who does not."""
    muted = action is Action.MUTE
    if not _set(builder, person, muted):
        return
    event = builder.entries[-1].event
    audience.tell_state(builder, event, person, "Copies to him", *(("yes", "none") if muted else ("none", "yes")))


def _set(builder: Builder, person: int, muted: bool) -> bool:
    """Note it; False where it is so already."""
    if all(one.muted is muted for one in builder.ticket.participants if one.person == person):
        return False
    builder.add(EventKind.MUTED, actor=person, facts={"person": person, "muted": muted})
    return True
