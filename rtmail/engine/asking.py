"""Mails that want nothing but an answer, or are one: commands and questions about no request, words about mail that waits.

Called by `intake`. Such a mail opens no request and says nothing to anybody else. It ends as an event of the request that it is
about; where it is about none, it is listed among what was held, as answered: nothing of it waits any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rtmail.desk.audience import staff_recipient
from rtmail.desk.commanded.errands import Errand
from rtmail.desk.commanded.errands import run as run_errands
from rtmail.desk.decide import decide
from rtmail.desk.grammar import commands
from rtmail.desk.grammar.queries import Query, asked_for, query
from rtmail.desk.judging.match import Verdict
from rtmail.desk.outcome import ANSWERED, Result, refused
from rtmail.desk.people import Person
from rtmail.desk.received import inquiry, oversize
from rtmail.desk.stimulus import Asked
from rtmail.desk.ticket import Role, Ticket
from rtmail.engine.keeping import Keeper
from rtmail.engine.lookup import survivor
from rtmail.mail.model import Mail
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Auto, Draft, ReplyTo, Visibility
from rtmail.store import Held, Hold, NotThere, Outcome, Settlement, SpoolItem, SpoolRow
from rtmail.store.junk import JUNK

HOLD_ACTIONS = {
    Action.CONFIRM_HELD: Held.RELEASED,
    Action.DISCARD_HELD: Held.DISCARDED,
    Action.SEND_AS_CORRESPONDENCE: Held.RELEASED,
    Action.SEND_AS_WRITTEN: Held.WRITTEN,
    Action.SEND_AS_COMMENT: Held.COMMENTED,
    Action.NOT_JUNK: Held.RELEASED,
}
REPLAY_TOLD_EVERY = timedelta(hours=1)
ERRAND = "errand"
"""The kind of hold that lists a mail which asked for something and has its answer."""
_SAID = {
    Held.RELEASED: "was let through", Held.WRITTEN: "was let through as it was written", Held.DISCARDED: "was discarded",
    Held.COMMENTED: "was kept as a comment",
}


class Asking:
    """Answers for one office."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper, self.store, self.office = keeper, keeper.store, keeper.office

    def errands(self, item: SpoolItem, mail: Mail, verdict: Verdict, parsed: commands.Parsed, trace: dict[str, Any],
                now: datetime) -> Settlement:
        """Commands of staff about no request: done, and answered in one mail."""
        person = self.office.directory.people[verdict.sender.staff]
        errand = Errand(person, self.office.house, now)
        results = [*run_errands(errand, parsed), *oversize.unread(item.envelope.cut)]
        self.keeper.note_absences(errand.absences, now)
        self._receipt(item, mail, verdict.queue, person, results, errand.queries, now)
        return self._ended(item, mail, self._about(errand.queries), person.party, errand.queries, "commands about no request, answered",
                           trace, now)

    def not_opened(self, item: SpoolItem, mail: Mail, verdict: Verdict, wrong: Sequence[Result], trace: dict[str, Any],
                   now: datetime) -> Settlement:
        """A mail that would open an incident, but lacks something or says it wrong: nothing of it is done, its author hears why."""
        person = self.office.directory.people[verdict.sender.staff]
        self._receipt(item, mail, verdict.queue, person, wrong, (), now)
        return self._ended(item, mail, None, person.party, (), "an incident that was not opened, its author told why", trace, now)

    def replayed(self, item: SpoolItem, mail: Mail, verdict: Verdict, parsed: commands.Parsed, before: SpoolRow, trace: dict[str, Any],
                 now: datetime) -> Settlement:
        """A mail of staff whose commands ran already came again, under another Message-ID: nothing of it is done a second time.

        Whoever has a copy of a mail can change its Message-ID and pass the rest on as it was proven. The author is told, once an hour.
        """
        person = self.office.directory.people[verdict.sender.staff]
        if self.store.once(f"replay:{mail.fingerprint}", now, now + REPLAY_TOLD_EVERY):
            at = before.arrived_at.astimezone(ZoneInfo(self.office.site.timezone))
            why = f"this mail came before, on {at:%a %d %b, %H:%M}, and its commands ran then. To run them again write a new mail"
            lines = [one.line.strip() or one.name for one in parsed.commands] or [_word(verdict)]
            self._receipt(item, mail, verdict.queue, person, [refused(line, why) for line in lines], (), now)
        reason = f"duplicate of spool {before.id} under another Message-ID: its commands ran then"
        return Settlement(item, Outcome.IGNORED, reason, before.ticket, 0, {**trace, "rule": "replay", "of": before.id})

    def participant(self, item: SpoolItem, mail: Mail, verdict: Verdict, parsed: commands.Parsed, trace: dict[str, Any],
                    now: datetime) -> Settlement | None:
        """Questions of somebody who takes part in requests; None where he takes part in none: then it is a request."""
        party = self.store.party_by_address(verdict.sender.address.spec)
        if party is None or not self.store.tickets_of(party.id, roles=(Role.REQUESTOR, Role.CC)):
            return None
        asked = [query(command, party.id, staff=False) for command in parsed.commands]
        draft = inquiry.answer(party.id, verdict.sender.address, verdict.queue, mail.subject or asked_for(asked), mail.message_id, item.id,
                               proven=verdict.sender.authenticated, language=party.language or mail.language)
        drafts, files = self.keeper.answered([draft], asked, now)
        self.keeper.post(self.keeper.render(drafts, now, files), None, drafts, now)
        about = self._about(asked)
        mine = about if about and party.id in {one.person for one in about.participants} else None
        return self._ended(item, mail, mine, party.id, asked, "questions about no request, answered", trace, now)

    def hold(self, item: SpoolItem, mail: Mail, verdict: Verdict, trace: dict[str, Any], now: datetime) -> Settlement:
        """The real person answered about a mail that waits: it goes its way, or is discarded. Once; a second word is answered."""
        assert verdict.detail is not None
        action = verdict.detail.action
        wanted, hold = HOLD_ACTIONS[action], self._hold(verdict.detail.request)
        person = self.office.directory.people[verdict.sender.staff]
        # Whose word a mail awaits stands with it; what is no junk is for anybody of its queue to say.
        awaited = hold is not None and (hold.kind == JUNK if action is Action.NOT_JUNK else hold.person == verdict.detail.person)
        if hold is None or not awaited:
            said, about = "answer about a mail that nobody holds for this person", None
            self._refuse(item, mail, verdict, person, "that mail does not wait any more", now)
        else:
            about = survivor(self.store, int(hold.details.get("number") or 0))
            if self.store.settle_hold(hold.id, wanted, verdict.detail.person, now):
                if action is Action.NOT_JUNK:
                    self.store.unlearn_junk([str(hold.details.get("from", ""))])
                said = f"{wanted} the held mail {hold.spool_id}"
                if wanted is not Held.DISCARDED and not self.store.requeue_spool(hold.spool_id, now, confirmed=True):
                    said += ", which was erased"
                    self._refuse(item, mail, verdict, person, "that mail does not wait any more", now)
            else:
                said = f"hold {hold.id} was answered before"
                if hold.state is not wanted:
                    self._refuse(item, mail, verdict, person, f"that mail {_SAID.get(hold.state, 'is settled')} before", now)
        return self._ended(item, mail, about, person.party, (), said, trace, now, action=action.name.lower().replace("_", "-"))

    def _refuse(self, item: SpoolItem, mail: Mail, verdict: Verdict, person: Person, why: str, now: datetime) -> None:
        self._receipt(item, mail, verdict.queue, person, [refused(_word(verdict), why)], (), now)

    def _receipt(self, item: SpoolItem, mail: Mail, queue: str, person: Person, results: Iterable[Result], asked: Sequence[Query],
                 now: datetime) -> None:
        answer = Draft(
            template="receipt",
            to=staff_recipient(person),
            visibility=Visibility.INTERNAL,
            subject=mail.subject or asked_for(asked),
            queue=queue or next(iter(self.office.directory.queues)),
            event=item.id,
            auto=Auto.REPLIED,
            reply_to=ReplyTo.COMMENT,
            in_reply_to=mail.message_id,
            references=(*mail.references, mail.message_id) if mail.message_id else (),
            urgency=0,
            facts={"results": [dict(result) for result in results if result["outcome"] != ANSWERED]},
        )
        drafts, files = self.keeper.answered([answer], asked, now)
        self.keeper.post(self.keeper.render(drafts, now, files), None, drafts, now)

    def _about(self, asked: Iterable[Query]) -> Ticket | None:
        """The first request that questions name."""
        return next((ticket for one in asked if one.number and (ticket := survivor(self.store, one.number))), None)

    def _ended(self, item: SpoolItem, mail: Mail, about: Ticket | None, person: int, asked: Iterable[Query], reason: str,
               trace: dict[str, Any], now: datetime, *, action: str = "") -> Settlement:
        if about is None:
            self.store.settle_hold(self.store.hold(ERRAND, item.id, person, reason, {}, now), Held.ANSWERED, person, now)
            return Settlement(item, Outcome.HELD, reason, trace=trace)
        stimulus = Asked(person, action or ", ".join(one.name for one in asked), mail.message_id, min(item.arrived_at, now))
        decision = decide(self.office.policy(about.policy_version), about, stimulus, now, self.office.house)
        kept = self.keeper.keep(decision, now)
        trace["number"] = kept.number
        return Settlement(item, Outcome.EVENT, reason.replace("no request", f"#{kept.number}"), kept.id, decision.last_seq, trace)

    def _hold(self, hold_id: int) -> Hold | None:
        try:
            return self.store.held(hold_id)
        except NotThere:
            return None


def _word(verdict: Verdict) -> str:
    """The action that a mail came in by, as a word."""
    return verdict.detail.action.name.lower().replace("_", " ") if verdict.detail else ""
