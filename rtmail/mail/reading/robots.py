"""What sort of sender a mail shows: person, machine, list, auto-reply, bounce, report or loop, with the reason.

Called by `message.read` once headers, structure and report are known; looks at nothing but the mail itself, listed
contacts and machines are judged by `desk`. It keeps promise 8: robots are inert, machines and lists are not robots, and
nothing that a person wrote is taken for a robot's on the strength of its words alone. The order of the rules is the
order of the functions in `_RULES`; the first that speaks decides the kind (RFC 3834, RFC 5230, RFC 3798, RFC 3464).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rtmail.mail.model import Bounce, Kind
from rtmail.mail.reading import subject_words


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verdict is made from.

    headers          decoded, unfolded values by lower-case name
    content_type     of the whole mail, lower case; report_type is its report-type parameter, part_types those of all parts
    sender, subject  the From addr-spec and the decoded subject
    envelope_sender  MAIL FROM; "" is the null sender, None where there was no envelope
    to_verp          it came to a bounce address of ours
    own              it carries a header that only our own mail carries
    bounce           what `bounce.read_report` found
    answers_invitation  a part of it is a calendar's yes or no (RFC 5546 3.2.3)
    """

    headers: Mapping[str, tuple[str, ...]]
    sender: str = ""
    subject: str = ""
    content_type: str = "text/plain"
    report_type: str = ""
    part_types: tuple[str, ...] = ()
    envelope_sender: str | None = None
    to_verp: bool = False
    own: bool = False
    bounce: Bounce | None = None
    answers_invitation: bool = False

    def said(self, name: str) -> str:
        """The first value of a header that says more than "no", stripped and in lower case; "" when there is none."""
        values = (value.strip().lower() for value in self.headers.get(name, ()))
        return next((value for value in values if value not in _NO), "")

    @property
    def null_sender(self) -> bool:
        """Whether the envelope, or without one the Return-Path of the delivery agent, shows the null sender (RFC 5321 4.5.5)."""
        if self.envelope_sender is not None:
            return self.envelope_sender.strip("<> ") == ""
        paths = self.headers.get("return-path", ())
        return bool(paths) and paths[0].strip() in ("", "<>")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The kind, whether an automatic answer may go out as far as the mail itself tells, and the sign that decided."""

    kind: Kind
    answerable: bool
    reason: str


def classify(facts: Facts) -> Verdict:
    """Return what sort of sender `facts` show. Total and pure; every verdict names its reason."""
    for rule in _RULES:
        verdict = rule(facts)
        if verdict is not None:
            return verdict
    reason = _unanswerable(facts)
    return Verdict(Kind.REQUEST_OR_REPLY, not reason, reason or "no sign of a robot, machine or list")


def _loop(facts: Facts) -> Verdict | None:
    """Our own mail come back."""
    return _inert(Kind.LOOP, "carries a header of our own mail") if facts.own else None


def _report(facts: Facts) -> Verdict | None:
    """Delivery and disposition reports, by structure or as `bounce` read them."""
    bounce = facts.bounce
    if bounce is not None and not bounce.temporary:
        return _inert(Kind.BOUNCE, f"delivery report: failed{_told(bounce)}")
    if bounce is not None:
        return _inert(Kind.REPORT, f"delivery report: delayed, still being tried{_told(bounce)}")
    if facts.content_type == "multipart/report" or (facts.null_sender and _REPORT_PARTS & set(facts.part_types)):
        shown = facts.report_type or next(
            (kind.partition("/")[2] for kind in facts.part_types if kind in _REPORT_PARTS), "of no known type"
        )
        return _inert(Kind.REPORT, f"multipart/report: {shown}")
    if facts.content_type in ("message/disposition-notification", "message/delivery-status"):
        return _inert(Kind.REPORT, facts.content_type)
    return None


_REPORT_PARTS = frozenset(
    {"message/disposition-notification", "message/delivery-status", "message/global-delivery-status", "message/feedback-report"}
)


def _told(bounce: Bounce) -> str:
    """Return the status in words for a reason."""
    return f" ({bounce.status})" if bounce.status else ""


def _auto_reply(facts: Facts) -> Verdict | None:
    """Automatic answers that say so in a header, or by two signs of which the subject may be one."""
    for name, wanted in _REPLY_SIGNS.items():
        value = facts.said(name)
        if value and (wanted is None or wanted.search(value)):
            return _inert(Kind.AUTO_REPLY, f"{name}: {value[:60]}")
    generated = facts.said("auto-submitted").startswith("auto-generated")
    forwarded = _FORWARDED.match(facts.subject) or facts.said("x-ms-exchange-organization-autoforwarded") == "true"
    if generated and "x-ms-exchange-inbox-rules-loop" in facts.headers and not forwarded:
        return _inert(Kind.AUTO_REPLY, "x-ms-exchange-inbox-rules-loop with auto-submitted: auto-generated")
    words = _robot_words(facts.subject)
    if not words:
        return None
    if generated:
        return _inert(Kind.AUTO_REPLY, f"{words}, with auto-submitted: auto-generated")
    if facts.said("precedence") in _MACHINE_PRECEDENCE:
        return _inert(Kind.AUTO_REPLY, f"{words}, with precedence: {facts.said('precedence')}")
    if facts.null_sender:
        return _inert(Kind.AUTO_REPLY, f"{words}, from the null sender")
    return _inert(Kind.AUTO_REPLY, f"{words}, to a bounce address") if facts.to_verp else None


def _invited(facts: Facts) -> Verdict | None:
    """A calendar's yes or no to an invitation of ours: a click, not words that anybody awaits an answer to."""
    return _inert(Kind.AUTO_REPLY, "a calendar answers an invitation") if facts.answers_invitation else None


def _null_sender(facts: Facts) -> Verdict | None:
    """What nobody wants an answer to, though no parser could read it (RFC 5321 4.5.5)."""
    return _inert(Kind.BOUNCE, "null envelope sender") if facts.null_sender else None


def _bounce_address(facts: Facts) -> Verdict | None:
    """What came to a bounce address of ours and is no person's: only programs answer an envelope sender."""
    if not facts.to_verp:
        return None
    if _DAEMON.match(facts.sender.partition("@")[0]):
        return _inert(Kind.BOUNCE, "a mail system's words to a bounce address")
    sign = _machine(facts)
    if sign is not None:
        return _inert(Kind.AUTO_REPLY, f"{sign.reason}, to a bounce address")
    return _inert(Kind.AUTO_REPLY, "no-reply sender, to a bounce address") if _NO_REPLY.match(_local(facts.sender)) else None


def _machine(facts: Facts) -> Verdict | None:
    """Mail that a program wrote of itself, not in answer to one of ours (RFC 3834 5, RFC 5436)."""
    submitted = facts.said("auto-submitted")
    if submitted.startswith(("auto-generated", "auto-notified")):
        return _inert(Kind.MACHINE, f"auto-submitted: {submitted[:60]}")
    if _list(facts) is None and facts.said("precedence") in _MACHINE_PRECEDENCE:
        return _inert(Kind.MACHINE, f"precedence: {facts.said('precedence')}")
    name = next((name for name in _MACHINE_HEADERS if facts.said(name)), "")
    return _inert(Kind.MACHINE, f"header {name}") if name else None


def _list(facts: Facts) -> Verdict | None:
    """Mailing lists and groups (RFC 2369, RFC 2919)."""
    if facts.said("precedence") == "list":
        return _inert(Kind.LIST, "precedence: list")
    name = next((name for name in facts.headers if name.startswith("list-") or name in _LIST_HEADERS), "")
    return _inert(Kind.LIST, f"header {name}") if name else None


_RULES: tuple[Callable[[Facts], Verdict | None], ...] = (
    _loop, _report, _auto_reply, _invited, _null_sender, _bounce_address, _machine, _list,
)


def no_reply(spec: str) -> bool:
    """Tell whether an address says of itself that nobody reads what is sent there."""
    return bool(_NO_REPLY.match(_local(spec)) or _DAEMON.match(_local(spec)))


def _unanswerable(facts: Facts) -> str:
    """Return why a person's mail gets no automatic answer, or "" when it may get one."""
    suppress = {word.strip() for word in facts.said("x-auto-response-suppress").split(",")} & _SUPPRESSES
    if suppress:
        return f"x-auto-response-suppress: {', '.join(sorted(suppress))}"
    if facts.said("auto-submitted"):
        return f"auto-submitted: {facts.said('auto-submitted')[:60]}"
    if not facts.sender:
        return "no sender to answer"
    if no_reply(facts.sender):
        return "no-reply sender"
    words = _robot_words(facts.subject) or _returned_words(facts.subject)
    return f"{words}, no header says so" if words else ""


def _robot_words(subject: str) -> str:
    """Return what in a subject sounds like a robot's answer, or ""."""
    language = subject_words.absence(subject)
    if language:
        return f"absence words in the subject ({language})"
    return "challenge words in the subject" if subject_words.challenge(subject) else ""


def _returned_words(subject: str) -> str:
    """Return whether a subject sounds like a delivery report's, in words, or ""."""
    return "words of a delivery report in the subject" if subject_words.returned(subject) else ""


def _local(spec: str) -> str:
    """Return the local part without a plus detail."""
    return spec.partition("@")[0].partition("+")[0]


def _inert(kind: Kind, reason: str) -> Verdict:
    """Return a verdict that lets no automatic answer go out."""
    return Verdict(kind, False, reason)


_NO = frozenset({"", "no", "false", "0", "none"})
_MACHINE_PRECEDENCE = frozenset({"bulk", "junk"})

# Header -> what its value must match; None: its presence with any value but "no".
_REPLY_SIGNS: dict[str, re.Pattern[str] | None] = {
    "auto-submitted": re.compile(r"^auto[- ]?repl"),
    "x-auto-submitted": re.compile(r"^auto[- ]?repl"),
    "x-autoreply": None,
    "x-autorespond": None,
    "x-autoresponder": None,
    "x-auto-reply": None,
    "x-autoreply-from": None,
    "x-auto-reply-from": None,
    "x-mail-autoreply": None,
    "x-vacation": None,
    "x-amazon-auto-reply": None,
    "x-autogenerated": re.compile(r"^(reply|vacation)"),
    "x-post-messageclass": re.compile(r"autoresponder"),
    "x-choicemail-registration-request": None,
    "precedence": re.compile(r"auto[_-]?reply"),
    "x-precedence": re.compile(r"auto[_-]?reply"),
    "preference": re.compile(r"auto[_-]?reply"),
    "delivered-to": re.compile(r"^autorespon(se|der)"),
}
_LIST_HEADERS = frozenset({"x-mailing-list", "mailing-list", "x-mailman-version", "x-beenthere", "x-google-group-id", "x-listname"})
_MACHINE_HEADERS = ("x-cron-env", "x-fc-machinegenerated")
_SUPPRESSES = frozenset({"all", "oof", "autoreply"})
"""The values that ask for no automatic answer; DR, RN and NRN are about receipts, which we never send (MS-OXCMAIL 2.2.3.2.14)."""
_FORWARDED = re.compile(r"^\s*(fw|fwd|wg|tr|rv|vb|i|enc|doorst|pd)\s*:", re.IGNORECASE)
_DAEMON = re.compile(r"^(mailer-?daemon|mdaemon)$", re.IGNORECASE)
_NO_REPLY = re.compile(
    r"^(?:.*[._-])?(?:"
    r"(?:no|do|donot|do[._-]not|dont|never)[._-]?(?:not[._-]?)?(?:reply|replies|respond|answer)|(?:no|nao|não)[._-]?(?:responder|responda|responde)"
    r"|(?:nicht|keine?)[._-]?(?:antworten?|antwort)|ne[._-]?pas[._-]?r[eé]pondre|pas[._-]?de[._-]?r[eé]ponse|non[._-]?rispondere"
    r"|niet[._-]?(?:be)?antwoorden|geen[._-]?antwoord|(?:ej|inte|ikke)[._-]?svara?|ala[._-]?vastaa|nie[._-]?odpowiadaj|neodpovidat|noreply"
    r")(?:[._-].*|\d*)$",
    re.IGNORECASE,
)
