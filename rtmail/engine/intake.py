"""The road of one mail inside one transaction: seen before? who wrote? what does it do? and the keeping of all that.

Called by the engine for a leased spool item whose bytes were read; returns how the item ends. Everything that it writes
commits with that ending, or not at all (promises 2, 3, 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rtmail.desk.absence import SEEN_FOR, Absence
from rtmail.desk.commanded.accepting import ALIAS
from rtmail.desk.commanded.effects import ACTIONS
from rtmail.desk.commanded.errands import only_errands
from rtmail.desk.decide import decide
from rtmail.desk.decision import Decision
from rtmail.desk.fields import filled
from rtmail.desk.grammar import commands
from rtmail.desk.grammar.queries import asked_by_participant, stands_alone
from rtmail.desk.judging.evidence import Evidence, bare_of_details, gather
from rtmail.desk.judging.match import Result, Verdict, judge
from rtmail.desk.known import Known
from rtmail.desk.machines import monitoring, trackers
from rtmail.desk.outages import incidents
from rtmail.desk.outages.about import Plan
from rtmail.desk.outcome import Result as Line
from rtmail.desk.stimulus import AlsoSent, Delivered, Received
from rtmail.desk.ticket import Status, Ticket
from rtmail.desk.wording import Said
from rtmail.engine import alerts, breaker, junk, notices, privacy, tracking
from rtmail.engine.asking import HOLD_ACTIONS, Asking
from rtmail.engine.background import Background
from rtmail.engine.breaker import Trip
from rtmail.engine.holding import STAFF_CLAIM
from rtmail.engine.keeping import Keeper, ids_of
from rtmail.engine.lookup import look_up, survivor
from rtmail.engine.office import Office
from rtmail.engine.overheard import HELD_WORDS, overheard
from rtmail.engine.revised import ANSWERED_RULE, BY_OTHERS, OPENING, as_answered, of_program, read_at_last, whole_at_last
from rtmail.engine.spawning import next_turn, spawn
from rtmail.mail import address
from rtmail.mail.model import Address, Kind, Mail, Proof
from rtmail.mail.reading.transit import taken_at
from rtmail.mail.site import Site
from rtmail.mail.token import Action
from rtmail.mail.tripwire import LeakError
from rtmail.policy.model import Policy
from rtmail.store import Duplicate, Held, Hold, Outcome, SameIdOtherPrint, Settlement, SpoolItem, Store

_FROM_OUTSIDE = BY_OTHERS | {Result.CORRESPONDENCE, Result.UNVERIFIED, Result.COLLEAGUE_JOINS, Result.OUTSIDE}
_COUNTED = _FROM_OUTSIDE | {Result.STAFF_COMMENT}
"""What two programs could send each other for ever."""
_LET_GO = (Held.RELEASED, Held.WRITTEN, Held.COMMENTED)


class Intake:
    """Takes mails in for one office."""

    def __init__(self, store: Store, office: Office) -> None:
        self.store, self.office = store, office
        self.keeper = Keeper(store, office)
        self.asking = Asking(self.keeper)
        self.background = Background(store, office)

    def take(self, item: SpoolItem, mail: Mail, now: datetime) -> Settlement:
        """Return how `item` ends; what follows from it is written in the caller's transaction."""
        holds = self.store.holds_of(item.id)
        if (settled := privacy.second(self.keeper, item, mail, holds, now)) is not None:
            return settled
        if self.store.buried(privacy.digests(self.office.keyring, [mail.fingerprint])):
            self.store.erase_mail(item.id)
            return Settlement(item, Outcome.IGNORED, "erased mail", trace={"rule": "erased"})
        seen = self.store.remember(mail.message_id, mail.fingerprint, item.id, item.arrived_at, mail.date is not None)
        answered_holds = [hold for hold in holds if hold.state in _LET_GO and hold.kind in (STAFF_CLAIM, "asked")]
        mail = junk.as_judged(self.store, mail, holds)
        flagged = isinstance(seen, SameIdOtherPrint) and seen.spool_id != item.envelope.begun
        if flagged and not item.stub_ticket:
            # Another arrival of the same bytes may be in quarantine: what was read of it has another fingerprint.
            item = replace(item, stub_ticket=self.store.ticket_of_same(item))
        known = replace(mail, message_id="") if flagged else mail
        evidence = gather(known, item.envelope, self.office.site, self.office.keyring, now.astimezone(UTC).date())
        mail = replace(mail, subject=bare_of_details(mail.subject, self.office.site))
        if isinstance(seen, Duplicate):
            return self._again(item, evidence, seen, now)
        lookups, tickets = look_up(self.store, self.office, evidence)
        confirmed = next((hold for hold in answered_holds if hold.kind == STAFF_CLAIM), None)
        person = self.office.directory.by_party(confirmed.person) if confirmed else None
        key = person.key if person else ""
        verdict = judge(evidence, lookups, self.office.site, self.office.directory, now, confirmed=key)
        if mail.kind is Kind.JUNK and verdict.result is not Result.JUNK:
            # Of somebody whom no filter sets aside: then it is what it would be without.
            mail, evidence = junk.beneath(mail), replace(evidence, mail=junk.beneath(evidence.mail))
            verdict = judge(evidence, lookups, self.office.site, self.office.directory, now, confirmed=key)
        verdict = as_answered(verdict, answered_holds)
        alert = monitoring.read(self.office.monitors, mail) if verdict.result in BY_OTHERS else None
        if item.envelope.begun:
            begun = self.background.opened_by(item.envelope.begun)
            verdict = whole_at_last(verdict, begun.number if begun else 0)
            tickets = {**tickets, begun.number: begun} if begun else tickets
        elif item.stub_ticket and verdict.result in BY_OTHERS:
            begun = survivor(self.store, self.store.ticket(item.stub_ticket).number)
            if begun:
                tickets = {**tickets, begun.number: begun}
                verdict = read_at_last(verdict, begun.number)
        trace = trace_of(verdict, mail, flagged=flagged, seen=seen)
        if alert:
            if (settled := alerts.again(self.keeper, item, mail, verdict, alert, trace, now)) is not None:
                return settled
            verdict = of_program(verdict)
        note = trackers.read(self.office.trackers, mail) if verdict.result not in tracking.UNTOUCHED else None
        if note:
            if (settled := tracking.comment(self.keeper, item, mail, verdict, note, trace, now)) is not None:
                return settled
            verdict = of_program(verdict)
        return self._end(item, mail, verdict, tickets, trace, now, flagged=flagged, answered=answered_holds)

    def _again(self, item: SpoolItem, evidence: Evidence, seen: Duplicate, now: datetime) -> Settlement:
        """The same mail once more: nothing happens twice, but queues that only this delivery names are told."""
        queues = [door.address.queue for door in evidence.doors if door.address.queue]
        first = self.store.spool_row(seen.spool_id)
        private = bool(first.trace.get("private"))
        if private and item.raw_id != first.raw_id:
            # What waits for a word is kept once, where that word reaches it.
            self.store.erase_mail(item.id)
        if seen.ticket:
            ticket = self.store.ticket(seen.ticket, lock=True)
            told = {ticket.queue, *(ticket.fields.get("queues") or ())}
            also = tuple(dict.fromkeys(queue for queue in queues if queue not in told))
            if also:
                policy = self.office.policy(ticket.policy_version)
                sender = evidence.mail.sender.spec if private else evidence.mail.sender.shown
                stimulus = AlsoSent(
                    queues=also,
                    who=sender,
                    text="" if private else evidence.mail.text,
                    message_id=evidence.mail.message_id,
                    at=first.arrived_at,
                )
                self.keeper.keep(decide(policy, ticket, stimulus, now, self.office.house), now)
        return Settlement(
            item, Outcome.IGNORED, f"duplicate of spool {seen.spool_id}", seen.ticket, 0, {"rule": "duplicate", "of": seen.spool_id}
        )

    def _end(
        self,
        item: SpoolItem,
        mail: Mail,
        verdict: Verdict,
        tickets: Mapping[int, Ticket],
        trace: dict[str, Any],
        now: datetime,
        *,
        flagged: bool,
        answered: Sequence[Hold],
    ) -> Settlement:
        verdict = replace(verdict, outbox_id=verdict.outbox_id or self.background.answered(verdict, mail))
        match verdict.result:
            case Result.LOOP:
                return Settlement(item, Outcome.IGNORED, f"own loop: {verdict.reason}", trace=trace)
            case Result.JUNK:
                junk.box(self.store, item, mail, self._queue(verdict), mail.reason, now)
                return Settlement(item, Outcome.JUNK, f"{verdict.reason} ({mail.reason})", trace=trace)
            case Result.ADMIN | Result.ADMIN_LOOP:
                if verdict.result is Result.ADMIN:
                    notices.pass_to_admin(self.keeper, item, mail, now)
                return Settlement(item, Outcome.QUARANTINED, f"for the admin: {verdict.reason}", trace=trace)
            case Result.HOLD_STAFF_CLAIM:
                person = self.office.directory.people[verdict.sender.staff]
                self.store.hold(
                    STAFF_CLAIM, item.id, person.party, _unproven(verdict),
                    {"number": verdict.number or 0, "queue": verdict.queue, "words": mail.reply_text[:HELD_WORDS]}, now
                )  # fmt: skip
                return Settlement(item, Outcome.HELD, verdict.reason, trace=trace)
            case Result.BOUNCE if outbox_id := verdict.outbox_id or self._returned(item, mail):
                return self._bounced(item, mail, replace(verdict, outbox_id=outbox_id), tickets, trace, now)
            case Result.BOUNCE if verdict.number is None:
                return Settlement(item, Outcome.BOUNCE, "bounce of no mail of ours", trace=trace)
            case Result.AUTO_REPLY | Result.REPORT if verdict.number is None:
                self._absent(verdict, now)
                if not self.office.directory.staff(mail.sender.spec):
                    why = "an automatic answer about no request"
                    junk.box(self.store, item, mail, self._queue(verdict), why, now, waits=False)
                return Settlement(item, Outcome.IGNORED, f"{verdict.result} without a request", trace=trace)
        if verdict.sender.authenticated and verdict.sender.staff:
            # Who writes is there, whatever his out-of-office says.
            self.store.end_absence(verdict.sender.party, only_seen=True)
        parsed = commands.of_mail(mail, self._fields(verdict, tickets))
        ran = self.store.commands_ran(mail.fingerprint, item.id, item.arrived_at, mail.date is not None) if _orders(verdict, parsed) else 0
        if ran:
            return self.asking.replayed(item, mail, verdict, parsed, self.store.spool_row(ran), trace, now)
        if verdict.result is Result.STAFF_TO_US and verdict.commands and incidents.opens(parsed):
            if wrong := self._not_opened(item, mail, parsed, verdict, now):
                return self.asking.not_opened(item, mail, verdict, wrong, trace, now)
        elif verdict.result is Result.STAFF_TO_US and verdict.commands and only_errands(parsed, mail):
            return self.asking.errands(item, mail, verdict, parsed, trace, now)
        asks = verdict.result is Result.NEW_REQUEST and verdict.answerable and not flagged and asked_by_participant(parsed, mail)
        if asks and stands_alone(parsed, mail.subject) and not self._stopped(verdict, now):
            settled = self.asking.participant(item, mail, verdict, parsed, trace, now)
            if settled:
                return settled
        if verdict.detail and verdict.result is Result.ACTION and verdict.detail.action in HOLD_ACTIONS:
            return self.asking.hold(item, mail, verdict, trace, now)
        return self._event(item, mail, parsed, verdict, tickets, trace, now, flagged=flagged, answered=answered)

    def _fields(self, verdict: Verdict, tickets: Mapping[int, Ticket]) -> dict[str, str]:
        """The names of the fields that a member of staff may fill in on the request that his mail is about."""
        if not verdict.commands or (verdict.number is None and verdict.queue not in self.office.directory.queues):
            return {}
        ticket = tickets.get(verdict.number) if verdict.number is not None else None
        policy = self.office.policy(ticket.policy_version) if ticket else self.office.current_policy(verdict.queue)[1]
        return filled.staff_names(policy)

    def _not_opened(self, item: SpoolItem, mail: Mail, parsed: commands.Parsed, verdict: Verdict, now: datetime) -> Sequence[Line]:
        """Why a mail of staff opens no incident although it wants to; nothing where it does."""
        _, policy = self.office.current_policy(verdict.queue)
        at = _counts_from(item, mail, verdict, self.office.site, now, confirmed=False)
        said = overheard(self.store, self.office, verdict, mail, None, parsed)
        plan = incidents.read(parsed, policy, self.office.house, at, self.office.zone, said)
        return () if isinstance(plan, Plan) else plan

    def _event(
        self,
        item: SpoolItem,
        mail: Mail,
        parsed: commands.Parsed,
        verdict: Verdict,
        tickets: Mapping[int, Ticket],
        trace: dict[str, Any],
        now: datetime,
        *,
        flagged: bool,
        answered: Sequence[Hold],
    ) -> Settlement:
        """The mail concerns a request: decide and keep."""
        private = privacy.look(self.store, self.office.directory, item, mail, verdict, parsed)
        raw_id = item.raw_id
        if private:
            mail, verdict = privacy.nameless(mail, verdict)
            trace |= {"private": list(private.sorts), "private_mode": private.mode}
        if private and private.withholds:
            (mail, parsed), raw_id = privacy.withheld(mail, parsed, verdict), 0
            trace["defects"] = []
        parties, languages = self._parties(verdict, mail, now)
        opening = verdict.result in OPENING
        at = _counts_from(item, mail, verdict, self.office.site, now, confirmed=bool(answered))
        if at != item.arrived_at:
            trace["counts_from"] = at.isoformat()
        if opening:
            version, policy = self.office.current_policy(verdict.queue)
            ticket = Ticket(
                id=0,
                number=self.store.next_number(),
                queue=verdict.queue,
                subject=mail.subject,
                status=Status.NEW,
                opened_at=at,
                policy_version=version,
            )
        else:
            assert verdict.number is not None
            ticket = self.store.ticket(tickets[verdict.number].id, lock=True)
            policy = self.office.policy(ticket.policy_version)
        known = Known()
        if verdict.commands:
            known = self.background.know(_with_action(parsed, verdict), ticket, verdict.sender.party, parties, now)
        elif verdict.detail and verdict.detail.action is Action.CONFIRM_ALIAS:
            known = Known(people=self.background.people([(ticket.fields.get(ALIAS) or {}).get(str(verdict.sender.party), 0)]))
        shows = verdict.detail is not None and verdict.detail.action is Action.SHOW
        asks = not verdict.sender.staff and (shows or (verdict.sender.role is not None and asked_by_participant(parsed, mail)))
        if item.envelope.cut:
            verdict = replace(verdict, passed_on=False)
            trace["cut"] = {"bytes": item.envelope.cut.whole_bytes, "limit": item.envelope.cut.limit_bytes}
        trip = breaker.came(self.store, self.office.caps, verdict, mail, now) if verdict.result in _COUNTED else None
        if trip is None and (verdict.answerable or asks) and not flagged:
            trip = breaker.answers(self.store, self.office.caps, verdict, now)
        withheld = trip.why if trip else ""
        if verdict.answerable and not flagged:
            caps = self.office.caps
            withheld = withheld or breaker.unproven(caps, verdict) or breaker.repeats(self.store, caps, verdict, mail, now)
        if trip:
            verdict = replace(verdict, passed_on=False)
        if why := withheld or (opening and verdict.result in _FROM_OUTSIDE and _unanswered(mail, verdict, flagged=flagged)):
            trace["no_answer"] = why
        received = Received(
            mail=replace(mail, message_id="") if flagged else mail,
            verdict=verdict,
            raw_id=raw_id,
            spool_id=item.id,
            at=at,
            parties=parties,
            languages=languages,
            parsed=parsed,
            answerable=verdict.answerable and not withheld and not flagged,
            withheld=withheld,
            flagged=flagged,
            confirmed=bool(answered),
            chosen=next((str(hold.state) for hold in answered if hold.kind == "asked"), ""),
            came_back=self.background.came_back(verdict),
            known=known,
            question=self.background.question(verdict, mail, ticket),
            turn=next_turn(self.store, self.office, ticket.queue, now) if opening else 0,
            reached=self.background.reached(mail),
            said=Said() if verdict.rule == ANSWERED_RULE else overheard(self.store, self.office, verdict, mail, ticket, parsed),
            private=private,
            cut=item.envelope.cut,
            problem=alerts.named(self.office, mail) if opening else ("", ""),
            **self.background.state_answered(verdict, mail, ticket),
        )
        try:
            decision = self._decided(policy, ticket, received, now, trip)
            with self.store.transaction():
                kept = self.keeper.keep(decision, now, mail.attachments)
        except LeakError as leak:
            # What the rails in desk did not see: staff are asked, a customer's words are kept from the other participants.
            decision = self._decided(policy, ticket, replace(received, leak=leak.reason), now, trip)
            kept = self.keeper.keep(decision, now, mail.attachments)
        spawn(self.keeper, decision, kept, now)
        if trip:
            breaker.tell_admin(self.keeper, trip, now)
        seq = self._event_of(decision, item)
        kept_words = any(entry.words and entry.words.spool_id == item.id for entry in decision.entries)
        held = any(ask.kind == "asked" for ask in decision.asks) and not kept_words
        author = parties.get(address.key(verdict.sender.address.spec), 0)
        self.store.record_many(ids_of(received.mail, kept.id, seq, author))
        trace["number"] = kept.number
        if private and private.mode == "discard":
            privacy.bury(self.store, self.office.keyring, item.id, now)
        elif verdict.admin:
            notices.pass_to_admin(self.keeper, item, mail, now)
        return Settlement(item, Outcome.HELD if held else Outcome.EVENT, verdict.reason, kept.id, seq, trace)

    def _queue(self, verdict: Verdict) -> str:
        """The queue whose staff hear of a mail that reached no request."""
        return verdict.queue or next(iter(self.office.directory.queues))

    def _decided(self, policy: Policy, ticket: Ticket, received: Received, now: datetime, trip: Trip | None) -> Decision:
        decision = decide(policy, ticket, received, now, self.office.house)
        return breaker.folded(self.store, self.office.caps, decision, trip, now) if trip else decision

    def _stopped(self, verdict: Verdict, now: datetime) -> bool:
        return breaker.answers(self.store, self.office.caps, verdict, now) is not None

    def _absent(self, verdict: Verdict, now: datetime) -> None:
        """An out-of-office that answers a mail about no request (a digest, a receipt) tells of an absence too."""
        row = self.store.by_id(verdict.outbox_id) if verdict.result is Result.AUTO_REPLY and verdict.outbox_id else None
        if row and self.office.directory.by_party(row.person):
            self.store.set_absence(row.person, Absence(now + SEEN_FOR, declared=False), now)

    def _event_of(self, decision: Decision, item: SpoolItem) -> int:
        """The event that this mail became: the first with its words, else the last."""
        return next((entry.event.seq for entry in decision.entries if entry.words and entry.words.spool_id == item.id), decision.last_seq)

    def _parties(self, verdict: Verdict, mail: Mail, now: datetime) -> tuple[dict[str, int], dict[int, str]]:
        """Give a party row to everybody whom the mail makes part of a request; returns ids by address key, and languages by id."""
        people: list[Address] = [verdict.sender.address, *verdict.joins, *verdict.ask_accept]
        if verdict.requestor:
            people.append(verdict.requestor)
        if mail.forwarded and mail.forwarded.sender and verdict.sender.staff:
            people.append(mail.forwarded.sender)
        found: dict[str, int] = {}
        languages: dict[int, str] = {}
        for one in people:
            if one.spec and address.key(one.spec) not in found:
                organisation = self.office.directory.organisation_of(one.spec)
                agreed = organisation.language if organisation else ""
                party = self.store.party_for(
                    one.spec,
                    one.name,
                    now,
                    organisation=organisation.key if organisation else "",
                    language=agreed or ("" if verdict.sender.staff else mail.language),
                    settled=bool(agreed),
                )
                found[address.key(one.spec)] = party.id
                languages[party.id] = party.language
        return found, languages

    def _returned(self, item: SpoolItem, mail: Mail) -> int:
        """Return which mail of ours a report is about, by the id and the recipient that it quotes, where mails have no envelope sender
        of their own (VERP); 0 where these do not tell, since copies of one event share their id, and for what a person sent."""
        site, bounce = self.office.site, mail.bounce
        sender = item.envelope.sender
        if sender is None:  # out of a mailbox, whose server noted it
            sender = next(iter(mail.headers.get("return-path", ())), "").strip("<> ")
        if (site.verp and site.detail != "off") or sender or bounce is None or not bounce.original_message_id:
            return 0
        copies = self.store.by_message_id(bounce.original_message_id)
        named = {address.key(one) for one in bounce.recipients}
        found = [row for row in copies if address.key(row.recipient) in named] or copies
        return found[0].id if len(found) == 1 else 0

    def _bounced(
        self, item: SpoolItem, mail: Mail, verdict: Verdict, tickets: Mapping[int, Ticket], trace: dict[str, Any], now: datetime
    ) -> Settlement:
        """A report about a mail of ours: it is recorded on its request, and a final one settles the mail's fate."""
        bounce = mail.bounce
        final = bounce is not None and not bounce.temporary
        said = bounce.said if bounce and bounce.said else mail.subject
        fresh = False
        if final and bounce:
            fresh = self.store.mark_bounced(verdict.outbox_id, bounce.status, said, now)
        row = self.store.by_id(verdict.outbox_id)
        if row is not None and fresh:
            self.store.share_fate(row)
        if row is None or not row.ticket:
            return Settlement(item, Outcome.BOUNCE, verdict.reason, trace=trace)
        ticket = self.store.ticket(row.ticket)
        ended = self._event(
            item,
            mail,
            commands.of_mail(mail),
            replace(verdict, number=ticket.number),
            {**tickets, ticket.number: ticket},
            trace,
            now,
            flagged=False,
            answered=(),
        )
        about = self.store.event(row.ticket, row.event)
        if final and fresh and about:
            text = self.store.content(about.content_id).text if about.content_id else ""
            moved = self.store.ticket(row.ticket, lock=True)
            fate = Delivered(
                outcome="bounced",
                template=row.template,
                about=about,
                person=row.person,
                recipient=row.recipient,
                status=row.status,
                said=said,
                text=text,
                outbox_id=row.id,
            )
            self.keeper.keep(decide(self.office.policy(moved.policy_version), moved, fate, now, self.office.house), now)
        return ended


def _counts_from(item: SpoolItem, mail: Mail, verdict: Verdict, site: Site, now: datetime, *, confirmed: bool) -> datetime:
    """From when a mail counts: from when it was taken in, but staff words that waited for their author's yes from that (DESIGN 5)."""
    if confirmed and verdict.sender.staff:
        return now
    return min(taken_at(mail.headers.get("received", ()), item.envelope, site), item.arrived_at, now)


def _with_action(parsed: commands.Parsed, verdict: Verdict) -> commands.Parsed:
    """The commands of a mail, with the one that the action of its address stands for."""
    detail = verdict.detail if verdict.result is Result.ACTION else None
    if detail is None or detail.action not in ACTIONS:
        return parsed
    name, value = ACTIONS[detail.action]
    return replace(parsed, commands=(*parsed.commands, commands.Command(name, value, "", 0)))


def _orders(verdict: Verdict, parsed: commands.Parsed) -> bool:
    """Tell whether a mail has commands of staff that would run."""
    acts = verdict.result is Result.ACTION and verdict.detail is not None and verdict.detail.action in ACTIONS
    return verdict.commands and bool(verdict.sender.staff) and verdict.sender.authenticated and (acts or bool(parsed.commands))


def _unproven(verdict: Verdict) -> str:
    """Why a mail that claims to be a colleague's is not believed, in words for him."""
    return "DMARC failed" if verdict.sender.proof is Proof.DMARC_FAIL else "no trusted server vouches for the sender"


def _unanswered(mail: Mail, verdict: Verdict, *, flagged: bool) -> str:
    """Return why a mail that opens a request has no automatic answer, "" where it has one: `rtmail why` tells it."""
    if flagged:
        return "another mail had its Message-ID"
    if verdict.answerable:
        return ""
    if verdict.sender.proof in (Proof.DMARC_FAIL, Proof.SPF_FAIL):
        return "the check of its sender failed"
    return "it comes from an address of ours" if mail.answerable else mail.reason


def trace_of(verdict: Verdict, mail: Mail, *, flagged: bool, seen: object) -> dict[str, Any]:
    """Return what `rtmail why` prints of the judgement."""
    sender = verdict.sender
    return {
        "result": str(verdict.result),
        "rule": verdict.rule,
        "reason": verdict.reason,
        "number": verdict.number or 0,
        "queue": verdict.queue,
        "kind": str(mail.kind),
        "kind_reason": mail.reason,
        "staff": sender.staff,
        "authenticated": sender.authenticated,
        "proof": str(sender.proof),
        "staff_proof": str(sender.staff_proof),
        "role": str(sender.role or ""),
        "evidence": list(verdict.evidence),
        "flagged": flagged,
        "first": seen.spool_id if isinstance(seen, SameIdOtherPrint) else 0,
        "defects": list(mail.defects[:20]),
        "links": [[str(link.kind), link.number] for link in verdict.links],
        "message_id": mail.message_id,
    }
