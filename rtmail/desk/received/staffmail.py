"""What the mail of staff says on a request: answers and comments, forwarded mails, and the questions about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtmail.desk import audience
from rtmail.desk.commanded import effects
from rtmail.desk.decision import Ask, Builder, Words
from rtmail.desk.grammar.commands import BY_NAME, Parsed
from rtmail.desk.judging.sender import outsiders
from rtmail.desk.known import WRITERS, last_deed
from rtmail.desk.outages import about, incidents
from rtmail.desk.outcome import Result as Line
from rtmail.desk.outcome import refused
from rtmail.desk.people import PRIVACY, Person
from rtmail.desk.promised import agreed
from rtmail.desk.received import arrival, crossing, oversize
from rtmail.desk.stimulus import Received
from rtmail.desk.ticket import Event, EventKind, Role, Status
from rtmail.desk.wording import public_words
from rtmail.mail import address
from rtmail.mail.model import ENCRYPTED
from rtmail.mail.token import Action
from rtmail.mail.writing.draft import Link, Visibility
from rtmail.policy import signals

ASK_LINKS = (Link("send as correspondence", Action.SEND_AS_CORRESPONDENCE), Link("send as comment", Action.SEND_AS_COMMENT))
UNCLEAR_LINKS = (ASK_LINKS[0], Link("send as written", Action.SEND_AS_WRITTEN), ASK_LINKS[1])
_LEAVES = frozenset({"unwatch", "mute", "untake", "undo"})
WAITS = "waits for your answer to this mail"

STAYS = "The other words of your mail stay among staff."
NOT_OUTSIDE = "Your words stay among staff: who wrote from outside does not have them. Write `accept` or `split` first, then answer him."
ALONE = "Your words stay among staff, and nobody else on this request has a copy of them."
UNSENT = "A picture or signature of your mail went to nobody, since no words stand with it."
NOBODY = "this request has nobody who could be written to. Name somebody first (AddRequestor: bob@acme.example), then choose"


def staff_correspondence(builder: Builder, stimulus: Received) -> None:
    """An engineer's answer: commands run, the words go to requestor and Cc without our quoted notice.

    Where it is not certain that the customer is to read them, nothing is done at all until the author says what he meant: his
    mail is one thing, and sent again it must not be half done already.
    """
    person = arrival.staff_author(builder, stimulus)
    parsed = stimulus.parsed
    first, then = effects.in_turn(parsed)
    inside = any(command.name == "comment" for command in parsed.commands)
    words = parsed.whole if stimulus.chosen == "written" else parsed.words
    text = public_words(stimulus.mail, words, builder.house.site, builder.house.directory.parties(), stimulus.said, stimulus.heard)
    told = bool(text.words) or encloses(stimulus)
    leak = text.leak or stimulus.leak
    if told and not inside and leak:
        # No yes lets internal words out: he may keep them as a comment, or write again without the quoted part.
        reason = f"they would show the customer something internal ({leak}). Write again without it, or keep them as a comment."
        _ask(builder, stimulus, person, reason, links=ASK_LINKS[1:])
        return
    if told and not inside and stimulus.cut:
        # Sent without what is missing they would say something else, and his commands with them.
        _ask(builder, stimulus, person, oversize.waits(stimulus.cut), links=ASK_LINKS[1:])
        return
    if told and not inside and not stimulus.chosen and _unreadable(stimulus, text.words):
        _ask(builder, stimulus, person, "they are encrypted, and nobody here can read them, nor what commands stand in them.")
        return
    if told and not inside and text.echo:
        _ask(builder, stimulus, person, f'they repeat what was said among staff: "{text.echo} ...".')
        return
    notice = about.about(builder.ticket.fields) is not None
    if told and not inside and not notice and (waits := _crossing(builder, stimulus, person)):
        _ask(builder, stimulus, person, waits)
        return
    if told and not inside and agreed.lacks_eta(builder, parsed) and not stimulus.chosen:
        _ask(builder, stimulus, person, "at this priority they say by when it will be solved: write a line `eta 15:00` above them.")
        return
    if told and not inside and parsed.unclear and not stimulus.chosen:
        _ask(builder, stimulus, person, "a line in them looks like a command, but cannot be carried out.", text=parsed.words)
        return
    lines = run(builder, stimulus, person, first)
    went, met = "", ""
    if inside and not says_something(stimulus):
        pass  # `comment` with nothing below it: colleagues would have an empty mail
    elif inside:
        remark(builder, stimulus, person)
        went = stays(builder, stimulus)
    elif told and notice:
        if about.tellings(builder.ticket.fields) or builder.ticket.status in about.LIVE:
            said = replace(arrival.words_of(stimulus), reply_text=text.words)
            incidents.publish(builder, person, said, at=stimulus.at, facts=arrival.facts_of(stimulus))
            went = f"The other words of your mail go to {audience.readers(builder)}."
        else:
            remark(builder, stimulus, person, "It is over: these words went to nobody outside.")
            went = "It is over, so the other words of your mail stay among staff. A new incident is opened in a fresh mail."
    elif told and not _reaches_anybody(builder, stimulus):
        _ask(builder, stimulus, person, NOBODY, ran=True, results=lines + run(builder, stimulus, person, then))
        join_staff(builder, stimulus, person)
        return
    elif told:
        reader = builder.ticket.addressee or next((one for one in builder.customers() if one.address), None)
        went = f"The other words of your mail were sent to {audience.named(reader)}."
        met = _publish(builder, stimulus, person, text.words)
        if met:
            went = f"{went} {met}: that answer went out after the mail that you answered."
    elif parsed.card or stimulus.mail.attachments:
        went = UNSENT
    lines += run(builder, stimulus, person, then)
    join_staff(builder, stimulus, person)
    lines = effects.as_written(lines, (*first.commands, *then.commands))
    receipt(builder, stimulus, person, lines, went, anyway=bool(met or stimulus.chosen))


def encloses(stimulus: Received) -> bool:
    """Tell whether the files of a mail without words are meant for somebody: below commands a client's own are not."""
    return any(one.by_hand or not stimulus.parsed.commands for one in stimulus.mail.attachments)


def _unreadable(stimulus: Received, words: str) -> bool:
    """Tell whether an answer is encrypted as a whole; what is so below words of his is meant for the customer."""
    return ENCRYPTED in stimulus.mail.defects and (not words.strip() or words.lstrip().startswith("-----BEGIN PGP MESSAGE-----"))


def stays(builder: Builder, stimulus: Received) -> str:
    """Say that words stay among staff, and who has them all the same since the mail itself went to him."""
    return " ".join((STAYS, *_seen_outside(builder, stimulus)))


def _seen_outside(builder: Builder, stimulus: Received) -> tuple[str, ...]:
    mail, house = stimulus.mail, builder.house
    reached = dict.fromkeys(one.spec for one in outsiders((*mail.to, *mail.cc), house.site, house.directory))
    return (f"The mail itself went to {', '.join(reached)} too.",) if reached else ()


def _reaches_anybody(builder: Builder, stimulus: Received) -> bool:
    """Tell whether an answer has a reader: a participant with an address, or somebody whom the mail itself brings in."""
    return bool(stimulus.verdict.joins) or any(one.address for one in builder.ticket.people(Role.REQUESTOR, Role.CC))


def _crossing(builder: Builder, stimulus: Received, person: Person) -> str:
    """Why an answer waits that a colleague's came before, where the queue wants its author asked; "" where it goes out."""
    queue = builder.house.directory.queues.get(builder.ticket.queue)
    if queue is None or queue.crossed != "ask" or stimulus.chosen:
        return ""
    met = crossing.crossed(builder, stimulus, person)
    told = crossing.told(*met, builder.house.site.timezone) if met else ""
    return f"{told.lower()[:1]}{told[1:]}, whose answer went out after the mail that you answered." if told else ""


def _publish(builder: Builder, stimulus: Received, person: Person, text: str, *, reached: frozenset[str] | None = None) -> str:
    """Send an engineer's words to requestor and Cc; return with whose answer they crossed, "" for nobody's."""
    words = replace(arrival.words_of(stimulus), reply_text=text)
    met = crossing.crossed(builder, stimulus, person)
    told = crossing.told(*met, builder.house.site.timezone) if met else ""
    event = builder.say(
        EventKind.CORRESPONDENCE,
        actor=person.party,
        words=words,
        at=stimulus.at,
        facts={**arrival.facts_of(stimulus), "by_staff": True, "after": builder.ticket.last_public_seq},
    )
    attachments = audience.refs((one for one in stimulus.mail.attachments if not one.signs_mail), stimulus.raw_id)
    reached = arrival.reached_by(stimulus) if reached is None else reached
    audience.to_customers(
        builder,
        event,
        "words",
        author=audience.signed_by(builder, person.name),
        text=text,
        people=builder.customers(),
        attachments=attachments,
        reached=reached,
        report=True,
    )
    direct = not any(draft.event == event.seq and draft.report for draft in builder.drafts)
    builder.signal(signals.Answered(at=stimulus.at, event=event.seq, by=person.party))
    if direct:
        # The author's own mail reached everybody: there is no copy of ours whose fate could still be learnt.
        builder.signal(signals.Delivered(at=stimulus.at, event=event.seq))
    # After the answer, whose time may lie before that of a change decided now: an answer at the due instant is in time.
    if builder.ticket.status is Status.NEW:
        builder.status(Status.OPEN, actor=person.party, reason="answered")
    audience.to_staff(
        builder,
        event,
        "notice",
        who=person.name,
        author=person.name,
        text=text,
        people=tuple({one.key: one for one in (*builder.staff(), *met[:1])}.values()) if met else builder.staff(),
        attachments=attachments,
        flags=("A colleague's words; they went to the customer.", *((f"{told}: its author had not seen that answer.",) if told else ())),
        about_customer=False,
        reached=reached,
        but=(person.party,),
    )
    return told


def comment(builder: Builder, stimulus: Received) -> None:
    person = arrival.staff_author(builder, stimulus)
    results = run(builder, stimulus, person)
    went = ""
    if says_something(stimulus):
        event = remark(builder, stimulus, person)
        results += oversize.missing(stimulus.cut)
        went = _unheard(builder, stimulus, person, event)
    join_staff(builder, stimulus, person)
    if stimulus.verdict.ask and not stimulus.confirmed:
        _ask(builder, stimulus, person, stimulus.verdict.ask, links=ASK_LINKS[:1], ran=True, results=results)
    else:
        receipt(builder, stimulus, person, results, went, anyway=bool(went))


def remark(builder: Builder, stimulus: Received, person: Person, *flags: str) -> Event:
    # Among colleagues a line that looks like a command stays where it stood: nothing of what he wrote is lost.
    words = replace(arrival.words_of(stimulus), reply_text=stimulus.parsed.whole)
    flags = (*flags, *_seen_outside(builder, stimulus))
    return _among_staff(builder, stimulus, person, EventKind.COMMENT, words, *flags, reached=arrival.reached_by(stimulus))


def _among_staff(
    builder: Builder, stimulus: Received, person: Person, kind: EventKind, words: Words, *flags: str, reached: frozenset[str] = frozenset()
) -> Event:
    """Keep words that only staff may read, and tell the others of them."""
    event = builder.say(
        kind,
        actor=person.party,
        words=words,
        visibility=Visibility.INTERNAL,
        at=stimulus.at,
        facts=arrival.facts_of(stimulus),
    )
    audience.to_staff(
        builder,
        event,
        "comment",
        who=person.name,
        author=person.name,
        text=words.reply_text,
        people=builder.staff(),
        attachments=audience.refs(stimulus.mail.attachments, stimulus.raw_id),
        flags=flags,
        about_customer=False,
        reached=reached,
        but=(person.party,),
    )
    return event


def _unheard(builder: Builder, stimulus: Received, person: Person, event: Event) -> str:
    """Say that an answer to a mail of ours is a comment which he may have thought to be read by somebody; "" where that is no news."""
    if not stimulus.answers or stimulus.withheld:
        return ""
    if str(stimulus.answers) in (builder.ticket.fields.get(WRITERS) or {}):
        return NOT_OUTSIDE
    copies = any(draft.event == event.seq and draft.number == builder.ticket.number for draft in builder.drafts)
    mail, directory = stimulus.mail, builder.house.directory
    read = any(one is not None and one.key != person.key for one in (directory.staff(to.spec) for to in (*mail.to, *mail.cc)))
    return "" if copies or read else ALONE


def says_something(stimulus: Received) -> bool:
    """Tell whether the mail holds more than commands."""
    return bool(stimulus.parsed.whole.strip() or stimulus.mail.attachments)


def beside_action(builder: Builder, stimulus: Received, person: Person) -> str:
    """Keep the words that somebody wrote into the mail of a link, as a comment; return what became of them, "" for none."""
    if not says_something(stimulus):
        return ""
    remark(builder, stimulus, person)
    return STAYS


def ask_first(builder: Builder, stimulus: Received) -> None:
    """Nothing is done until its author says what he meant."""
    reason = f"{stimulus.verdict.ask or stimulus.verdict.reason}."
    _ask(builder, stimulus, arrival.staff_author(builder, stimulus), reason)


def no_right(builder: Builder, stimulus: Received) -> None:
    person = arrival.staff_author(builder, stimulus)
    if [one.name for one in stimulus.parsed.commands] == ["undo"] and "queue" in last_deed(builder.ticket, person.party):
        # By moving it he lost the right to move it back.
        taken_back = effects.run(effects.Run(builder, person, strong=False), stimulus.parsed)
        audience.receipt(builder, person, taken_back, answering=stimulus.mail.message_id)
        return
    if stimulus.parsed.commands and all(BY_NAME[one.name].rights == {PRIVACY} for one in stimulus.parsed.commands):
        running = effects.Run(builder, person, stimulus.verdict.sender.staff_proof.strong)
        audience.receipt(builder, person, effects.run(running, stimulus.parsed), answering=stimulus.mail.message_id)
        return
    lines = [refused(command.line, stimulus.verdict.reason) for command in stimulus.parsed.commands]
    if says_something(stimulus):
        remark(builder, stimulus, person, "its author may not answer in this queue; kept as a comment")
        lines.append(refused("(your words)", f"{stimulus.verdict.reason}: they stay among staff"))
    audience.receipt(builder, person, lines, answering=stimulus.mail.message_id)


def _ask(
    builder: Builder,
    stimulus: Received,
    person: Person,
    reason: str,
    *,
    text: str | None = None,
    links: tuple[Link, ...] | None = None,
    ran: bool = False,
    results: Sequence[Line] = (),
) -> None:
    """Ask the author what he meant; the question stands for the receipt.

    ran      the commands of the mail were carried out already, with `results`; else they wait
    text     the words in question, where they are not all of his mail
    links    what he may choose; lines that look like commands give one more choice
    """
    parsed = stimulus.parsed
    links = links or (UNCLEAR_LINKS if parsed.unclear else ASK_LINKS)
    waiting = [refused(one.line, WAITS) for one in parsed.commands] + [refused(one.line, one.why, one.suggestion) for one in parsed.unclear]
    event = audience.ask_author(
        builder,
        person,
        reason=reason,
        text=stimulus.mail.reply_text if text is None else text,
        links=links,
        answering=stimulus.mail.message_id,
        results=results if ran else waiting,
        waits=not ran,
    )
    builder.asks.append(
        Ask(
            kind="asked",
            person=person.party,
            reason=reason,
            spool_id=stimulus.spool_id,
            facts={"number": builder.ticket.number, "event": event.seq, "ran": ran},
        )
    )


def run(builder: Builder, stimulus: Received, person: Person, parsed: Parsed | None = None) -> list[Line]:
    """Carry out the commands of the mail, or those of `parsed`. The receipt follows when all else is done: it shows the state after it."""
    if not stimulus.verdict.commands:
        return []
    strong = stimulus.verdict.sender.staff_proof.strong
    running = effects.Run(builder, person, strong, stimulus.parties, stimulus.known, said=stimulus.said)
    return effects.run(running, parsed or stimulus.parsed)


def receipt(
    builder: Builder, stimulus: Received, person: Person, results: list[Line], words_went: str = "", *, anyway: bool = False
) -> None:
    if results or anyway:
        audience.receipt(builder, person, results, answering=stimulus.mail.message_id, words_went=words_went)


def join_staff(builder: Builder, stimulus: Received, person: Person) -> None:
    """Who writes watches the request from then on, unless his very words take him off it."""
    leaves = stimulus.verdict.commands and any(command.name in _LEAVES for command in stimulus.parsed.commands)
    if builder.ticket.owner != person.party and not leaves:
        builder.join(person.party, Role.WATCHER, person.email, person.name, reason="wrote")
    arrival.joins(builder, stimulus)


def forward_on_request(builder: Builder, stimulus: Received) -> None:
    person = arrival.staff_author(builder, stimulus)
    forwarded = stimulus.mail.forwarded
    results = run(builder, stimulus, person)
    sender = forwarded.sender if forwarded else None
    words = Words(
        subject=forwarded.subject if forwarded else stimulus.mail.subject,
        text=forwarded.text if forwarded else stimulus.mail.text,
        reply_text=forwarded.text if forwarded else stimulus.mail.text,
        raw_id=stimulus.raw_id,
        spool_id=stimulus.spool_id,
        person=stimulus.parties.get(address.key(sender.spec), 0) if sender else 0,
    )
    said_by = arrival.shown(sender) if sender else "somebody unknown"
    _among_staff(builder, stimulus, person, EventKind.FORWARDED, words, f"A forwarded mail, written by {said_by}; nothing proves that.")
    if stimulus.parsed.whole.strip():
        remark(builder, stimulus, person)
    join_staff(builder, stimulus, person)
    receipt(builder, stimulus, person, results)
