"""Raw bytes to a `Mail`: headers, ids, text, attachments, judgement by the mail alone, defects. Total, never raises.

`engine.reader` calls `read` in limited child processes, `rtmail read` directly. What a step cannot take becomes a defect,
and the Mail is the best that the other steps can make of it. The order: `structure` finds the parts within limits,
mail-parser reads the light copy (its tree is what reports are found in), `body` gathers text and attachments, then who and
what wrote it is judged by `address`, `identity`, `bounce`, `robots` and `quoting`.
"""

from __future__ import annotations

import base64
import binascii
import email
import functools
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import Any, TypeVar

from rtmail.mail import address
from rtmail.mail.fields import LOOP_HEADER, Fields, aware, bare_id, date_of, ids_in
from rtmail.mail.headers import text_of, unfolded
from rtmail.mail.language import language_of
from rtmail.mail.model import Address, Bounce, Envelope, Forwarded, Kind, Mail, Proof
from rtmail.mail.proof import own_checks
from rtmail.mail.proof.identity import prove
from rtmail.mail.reading import body, enclosed, junk, quoting, robots
from rtmail.mail.reading.bounce import read_report
from rtmail.mail.reading.fingerprint import fingerprint_of, without_list_footer
from rtmail.mail.reading.marks import marks_in
from rtmail.mail.reading.outline import tags
from rtmail.mail.reading.structure import BLANK_START, NO_END, Node, Survey, light, survey
from rtmail.mail.reading.stub import stub_of
from rtmail.mail.site import Site
from rtmail.mail.token import Action

RECIPIENTS = 100
"""Of To and Cc together; ours are read however far back they stand."""
QUOTE_LINES = 20_000
QUOTE_LINE_CHARS = 50_000
"""A longer text, or one with a longer line, is not searched for quotes, all of it counts as new (a pasted log, or a bomb)."""
HALF_LINE_CHARS = 500
"""Longer than a line of commands: what was cut there is somebody's words."""

_T = TypeVar("_T")
_LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(?=$|[-_;, ])")


def read(raw: bytes, envelope: Envelope, site: Site) -> Mail:
    """Return the mail in `raw`; never raises (an exhausted process excepted: MemoryError passes)."""
    try:
        return _Reading(raw, envelope, site).mail()
    except MemoryError:
        raise
    except Exception as error:  # the steps guard themselves; what still comes through must not stop the next mail
        return stub_of(raw, envelope, site, f"not readable: {type(error).__name__}")


def warm_up() -> None:
    """Import what nearly every mail needs, so that the first one does not pay for it."""
    _parser()


@functools.cache
def _parser() -> Any:
    """Return mail-parser's class, without the summary of all headers that it would make of each mail, twice, and nobody here reads."""
    # Imported here: the daemon uses `payload` and has no need of a parser in its own process.
    import mailparser

    logging.getLogger("mailparser").setLevel(logging.CRITICAL)

    class Parser(mailparser.MailParser):
        def _make_mail(self, complete: bool = True) -> dict[str, object]:
            return {}

    return Parser


def payload(raw: bytes, part: str) -> bytes:
    """Return the bytes of the attachment at path `part`.

    Raises KeyError when the mail has no such attachment.
    """
    for found in body.gather(raw, survey(raw)).found:
        if found.attachment.part == part:
            return found.load()
    raise KeyError(part)


def describe(mail: Mail, path: str) -> dict[str, Any]:
    """Return what `rtmail read --json` prints of a mail; plain JSON values."""
    bounce = mail.bounce
    return {
        "path": path,
        "from_addr": mail.sender.spec,
        "from_name": mail.sender.name,
        "identity": mail.identity,
        "to_addrs": [entry.spec for entry in mail.to],
        "cc_addrs": [entry.spec for entry in mail.cc],
        "reply_to_addrs": [entry.spec for entry in mail.reply_to],
        "date": mail.date.isoformat() if mail.date else None,
        "subject": mail.subject,
        "message_id": mail.message_id,
        "in_reply_to": list(mail.in_reply_to),
        "references": list(mail.references),
        "text": mail.text,
        "reply_text": mail.reply_text,
        "attachments": [{"name": a.name, "type": a.type, "bytes": a.bytes, "sha256": a.sha256} for a in mail.attachments],
        "kind": mail.kind.value,
        "answerable": mail.answerable,
        "reason": mail.reason,
        "bounce": {"recipients": list(bounce.recipients), "status": bounce.status, "temporary": bounce.temporary} if bounce else None,
        "forwarded": _described_forward(mail.forwarded),
        "proof": mail.proof.value,
        "proof_reason": mail.proof_reason,
        "fingerprint": mail.fingerprint,
        "defects": list(mail.defects),
    }


def _described_forward(forwarded: Forwarded | None) -> dict[str, Any] | None:
    if forwarded is None:
        return None
    sender = forwarded.sender.spec if forwarded.sender else ""
    return {"how": forwarded.how, "from_addr": sender, "subject": forwarded.subject, "message_id": forwarded.message_id}


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the mail's headers and structure say about its sender."""

    verdict: robots.Verdict
    bounce: Bounce | None
    own: bool
    junk: str = ""
    """Why it is junk, "" where nobody says so."""


@dataclass(slots=True)
class _Reading:
    """One mail on its way through the steps; each step that fails leaves a defect and a neutral value."""

    raw: bytes
    envelope: Envelope
    site: Site
    defects: list[str] = field(default_factory=list)

    def mail(self) -> Mail:
        tree = survey(self.raw)
        # Who writes raw letters into a header writes them in the charset of his text.
        written = next((node.message for node in tree.nodes if node.type.startswith("text/")), tree.root.message)
        hint = self._guarded("charset", written.get_content_charset, None)
        fields = Fields(tree.root.fields, hint)
        self._look_for_tricks(fields)
        ambiguous = fields.bare_cr or fields.nul or BLANK_START in tree.defects
        # A bare CR or a NUL ends a line for some parsers, and an empty line the header: who sees which From is open.
        identity = "" if ambiguous else self._guarded("From", lambda: address.strict_identity(fields.all("from")), "")
        # Before the bodies are decoded: a signature is checked over copies of the whole mail.
        proof, proof_reason = self._proof(tree, identity)
        parsed, parser_date = self._parsed(tree)
        gathered = body.gather(self.raw, tree)
        sender = self._sender(fields)
        subject = text_of(fields.first("subject"))
        text = self._whole_lines(gathered, tree)
        headers = fields.decoded()
        judged = self._judged(tree, parsed, headers, fields, sender, subject)
        lines = text.split("\n")
        short = len(lines) <= QUOTE_LINES and max(map(len, lines)) <= QUOTE_LINE_CHARS
        split = self._guarded("quotes", lambda: quoting.split(text), None) if short else None
        if not short:
            self.defects.append("too long to be searched for quotes")
        reply_text = split.new if split is not None else text
        quoted = split.quoted if split is not None else ""
        attached = self._attached(gathered, tree, judged)
        # Looked for only where the first look saw its header: each look reads every line.
        holds_forward = split is not None and (split.forwarded_header or quoting.has_forward_prefix(subject))
        inline = self._guarded("forwarded block", lambda: quoting.forwarded_block(text, subject) if holds_forward else None, None)
        date = parser_date or date_of(fields.first("date"))
        to, cc = self._recipients(fields)
        ids = ids_in([fields.first("message-id")])
        inside, attached_text = self._guarded("what is attached", lambda: self._enclosed(gathered), ("", ""))
        attachments = tuple(found.attachment for found in gathered.found if not self._cut_off(found, tree))
        said = " ".join(gathered.overlong) or without_list_footer(text)
        digests = sorted(found.digest for found in gathered.found)
        return Mail(
            message_id=ids[0] if ids else bare_id(fields.first("message-id")),
            date=date,
            subject=subject,
            sender=sender,
            identity=identity,
            reply_to=self._addresses("Reply-To", fields.all("reply-to"))[:RECIPIENTS],
            to=to,
            cc=cc,
            in_reply_to=ids_in(fields.all("in-reply-to")),
            references=ids_in(fields.all("references")),
            text=text,
            reply_text=reply_text,
            attachments=attachments,
            kind=Kind.JUNK if judged.junk else judged.verdict.kind,
            beneath=judged.verdict.kind,
            answerable=judged.verdict.answerable,
            reason=judged.junk or judged.verdict.reason,
            bounce=judged.bounce,
            forwarded=attached or inline,
            marks=self._guarded("marks", lambda: marks_in(quoted), ()),
            tags=tags(subject, self.site),
            reply_prefix=quoting.has_reply_prefix(subject),
            proof=proof,
            proof_reason=proof_reason,
            fingerprint=fingerprint_of(sender.spec or sender.name, date, fields.first("date"), subject, said, digests),
            own=judged.own,
            from_html=gathered.from_html,
            other_text=gathered.other_text,
            history_first=split is not None and split.history_first,
            language=self._guarded("the language", lambda: language_of(reply_text, _language(fields)), ""),
            enclosed=inside,
            written=attached_text,
            headers=headers,
            defects=tuple(one for one in dict.fromkeys([*self.defects, *gathered.defects]) if not self.envelope.cut or one != NO_END),
        )

    def _whole_lines(self, gathered: body.Body, tree: Survey) -> str:
        """Return the text, without its last line where the mail's start ends in it: half of it may say something else ("merge 17")."""
        last = tree.nodes[-1]
        files = {found.attachment.part for found in gathered.found}
        if self.envelope.cut is None or not last.type.startswith("text/") or last.path in files or last.end < tree.root.end:
            return gathered.text
        self.defects.append("cut off: text")
        whole, _, half = gathered.text.rpartition("\n")
        return whole if len(half) < HALF_LINE_CHARS else gathered.text

    def _cut_off(self, found: body.Found, tree: Survey) -> bool:
        """Tell whether a file's end is missing, as only the start of the mail was fetched: half a file is none."""
        if self.envelope.cut is None:
            return False
        reached = next((node.end for node in tree.nodes if node.path == found.attachment.part), tree.root.end)
        if reached < tree.root.end:
            return False
        self.defects.append(f"cut off: {found.attachment.name or found.attachment.type}")
        return True

    def _guarded(self, step: str, make: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return make()
        except MemoryError:
            raise
        except Exception as error:  # whatever a step meets in hostile input is a defect of the mail
            self.defects.append(f"{step} not readable: {type(error).__name__}")
            return otherwise

    def _parsed(self, tree: Survey) -> tuple[Message, datetime | None]:
        """Return the parser's tree of the light copy and the Date it read; the standard library's tree where it fails."""
        copy = light(self.raw, tree)
        parser: Any = self._guarded("MIME", lambda: _parser().from_bytes(copy), None)
        if parser is not None:
            date = self._guarded("Date", lambda: aware(parser.date), None)
            # Other hosts' trace lines are none of the mail's faults.
            self.defects += sorted(category for category in parser.defects_categories if category != "ReceivedHeaderDefect")
            return parser.message, date
        # The copy's header alone cannot nest, so this cannot fail as the whole did.
        header_end = copy.find(b"\n\n")
        return email.message_from_bytes(copy[: header_end if header_end >= 0 else len(copy)]), None

    def _proof(self, tree: Survey, identity: str) -> tuple[Proof, str]:
        """What trusted servers prove about the sender; where they say nothing, what we find ourselves."""
        pairs = [(entry.name, unfolded(entry.value)) for entry in tree.root.fields]
        nothing = (Proof.NONE, "not readable")
        proof, why = self._guarded("proof", lambda: prove(pairs, identity, self.site, self.envelope), nothing)
        if proof not in (Proof.NONE, Proof.SPF_FAIL) or not identity:
            return proof, why
        checked = self._guarded("own checks", lambda: self._checked(tree, identity), None)
        # What a server saw of SPF stands as long as no signature is found to speak against it.
        return (proof, why) if checked is None or (checked[0] is Proof.NONE and proof is Proof.SPF_FAIL) else checked

    def _checked(self, tree: Survey, identity: str) -> tuple[Proof, str] | None:
        """What our own checks prove, now or when the mail was first read; None where none were made."""
        if self.envelope.checked:
            return Proof(self.envelope.checked[0]), self.envelope.checked[1]
        if self.envelope.answers is None:
            return None
        root, sealers = tree.root, self.site.arc_sealers
        return own_checks.verify(self.raw, root.fields, root.start, identity, self.envelope.answers, sealers)

    def _look_for_tricks(self, fields: Fields) -> None:
        for name in ("from", "sender", "subject", "message-id", "date", "to", "cc", "reply-to"):
            if len(fields.all(name)) > 1:
                self.defects.append(f"more than one {name.title()}")
        if fields.nul:
            self.defects.append("NUL in the header")
        if fields.bare_cr:
            self.defects.append("bare CR in the header")

    def _sender(self, fields: Fields) -> Address:
        shown = fields.first("from")
        found = self._addresses("From", [shown])
        if found:
            return found[0]
        name = text_of(shown).strip("\"<> ")[:200]
        if not shown:
            self.defects.append("no From")
            for other in (fields.first("sender"), fields.first("return-path"), self.envelope.sender or ""):
                if found := self._addresses("Sender", [other]):
                    return found[0]
        else:
            self.defects.append("no address in From")
        return Address("", name)

    def _addresses(self, step: str, values: list[str]) -> tuple[Address, ...]:
        nobody: tuple[Address, ...] = ()
        return self._guarded(step, lambda: address.parse_list(values), nobody)

    def _recipients(self, fields: Fields) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
        room = RECIPIENTS
        lists: list[tuple[Address, ...]] = []
        for name in ("to", "cc"):
            found = self._addresses(name.title(), fields.all(name))
            kept = [entry for index, entry in enumerate(found) if index < room or address.split_detail(entry.spec, self.site)[0]]
            if len(found) > room:
                self.defects.append(f"more than {RECIPIENTS} recipients")
            room = max(0, room - len(found))
            lists.append(tuple(kept))
        return lists[0], lists[1]

    def _judged(
        self, tree: Survey, parsed: Message, headers: Mapping[str, tuple[str, ...]], fields: Fields, sender: Address, subject: str
    ) -> _Judged:
        root = tree.root
        bounce = self._guarded("report", lambda: read_report(parsed, self.envelope.sender), None)
        # Our domain in it: what other houses' trackers send is mail like any other.
        own = self.site.domain.lower() in " ".join(text_of(value) for value in fields.all(LOOP_HEADER)).lower().split()
        facts = robots.Facts(
            headers=headers,
            sender=sender.spec,
            subject=subject,
            content_type=root.type,
            report_type=self._guarded("report type", lambda: _printable(root.message.get_param("report-type")), "").lower(),
            part_types=tuple(node.type for node in tree.nodes),
            answers_invitation=self._guarded("calendar", lambda: any(_method(node) == "reply" for node in tree.nodes), False),
            envelope_sender=self.envelope.sender,
            to_verp=any(_is_bounce_address(recipient, self.site) for recipient in self.envelope.recipients),
            own=own,
            bounce=bounce,
        )
        unknown = robots.Verdict(Kind.REQUEST_OR_REPLY, False, "could not be judged")
        verdict = self._guarded("judgement", lambda: robots.classify(facts), unknown)
        pairs = [(entry.name, unfolded(entry.value)) for entry in tree.root.fields]
        said = self._guarded("junk", lambda: junk.verdict(pairs, sender.spec, self.site, self.envelope), "")
        return _Judged(verdict, bounce, own, said if verdict.kind in _MAY_BE_JUNK else "")

    def _attached(self, gathered: body.Body, tree: Survey, judged: _Judged) -> Forwarded | None:
        """Return the first attached mail, read for whom it is from and what it says; reports carry none of interest."""
        if not gathered.attached or judged.bounce is not None or tree.root.type == "multipart/report":
            return None
        found = gathered.attached[0]
        return self._guarded("attached mail", lambda: _read_attached(found.load(), found.attachment.part), None)

    def _enclosed(self, gathered: body.Body) -> tuple[str, str]:
        files = ((one.attachment.type, one.load()) for one in gathered.found)
        return enclosed.internal(files, self.site) if gathered.found else ("", "")


_MAY_BE_JUNK = frozenset({Kind.REQUEST_OR_REPLY, Kind.MACHINE, Kind.LIST})


def _read_attached(raw: bytes, part: str) -> Forwarded:
    tree = survey(raw)
    fields = Fields(tree.root.fields, None)
    senders = address.parse_list([fields.first("from")])
    ids = ids_in([fields.first("message-id")])
    text = body.gather(raw, tree).text
    return Forwarded("attached", senders[0] if senders else None, text_of(fields.first("subject")), text, ids[0] if ids else "", part)


def _language(fields: Fields) -> str:
    for name in ("content-language", "accept-language"):
        if match := _LANGUAGE.match(fields.first(name)):
            return match[0].lower()
    return ""


def _method(node: Node) -> str:
    """Return what a calendar part is for (RFC 6047 2.4), "" for any other part."""
    return str(node.message.get_param("method") or "").lower() if node.type == "text/calendar" else ""


def _is_bounce_address(recipient: str, site: Site) -> bool:
    """Tell whether `recipient` has the shape of a VERP address of ours; whether it is one, its signature says later."""
    own, detail = address.split_detail(recipient, site)
    if own is None or len(detail) != 36:
        return False
    try:
        return base64.b32decode(detail.upper() + "====")[1] & 0x3F == Action.BOUNCE
    except (binascii.Error, ValueError):
        return False


def _printable(parameter: object) -> str:
    return "".join(filter(str.isprintable, str(parameter or "")))
