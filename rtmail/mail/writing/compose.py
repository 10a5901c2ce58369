"""A Draft and its template become RFC 5322 bytes and one envelope; the engine calls it inside the transaction.

Here the table of DESIGN 3 ("Outgoing mail") is written down: whom a mail is from, where answers and bounces go, which
automatic headers it bears, and the signed links and marks by which it is known again. Two checks stand at the end: what
leaves the house holds nothing internal (`tripwire`), and the bytes say what was meant and nothing else (`intent`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import accumulate
from urllib.parse import quote

from rtmail.mail.address import key, normalise, split_detail, with_detail
from rtmail.mail.model import Address
from rtmail.mail.reading.quoting import strip_reply_prefixes
from rtmail.mail.site import Site
from rtmail.mail.token import Action, Keyring, bounce_detail, make_mark, make_message_id, sign
from rtmail.mail.tripwire import STAFF_MARK, LeakError, leaks
from rtmail.mail.writing import calendar, phrases
from rtmail.mail.writing.blocks import PICTURE, Block, plain
from rtmail.mail.writing.dkim_sign import Signer
from rtmail.mail.writing.dkim_sign import sign as sign_mail
from rtmail.mail.writing.draft import Auto, Draft, Link, Outgoing, ReplyTo, Report, Suppress, Visibility
from rtmail.mail.writing.form import MARK, Form, Forms, blank, fill_html, fill_text
from rtmail.mail.writing.intent import Enclosed, Intent, IntentError, verify
from rtmail.mail.writing.templates import Offer, Templates
from rtmail.mail.writing.wire import (
    File,
    Part,
    address_header,
    file_name,
    file_part,
    ids_header,
    many_lines,
    media_type,
    message,
    multipart,
    one_line,
    text_header,
    text_part,
    valid_message_id,
)

LOOP_HEADER = "X-RTMail-Loop"
"""On every mail of ours: who sees it come back with his own domain in it knows a loop."""
REFERENCES = 20
"""Ids kept in References: the root and the latest (RFC 5322 3.6.4 lets a thread be cut)."""

_COPIES = frozenset({"opened", "notice", "words", "relayed", "fixed", "comment", "state", "incident", "maintenance"})
"""Mails that carry an event itself: all copies of one event share one Message-ID, so that everybody's client threads them."""
_BRIEF = frozenset({"page"})
"""Mails to a pager or phone: one line of PAGE_CHARACTERS, nothing else; a mark would be half of it."""
PAGE_CHARACTERS = 140
HTML_CHARACTERS = 100_000
"""A longer text, a log pasted into a mail say, goes out as text alone: as HTML it is many times as long, and Gmail cuts it at 102 KB."""
NO_SUBJECT = "(no subject)"
LINK_CHARACTERS = 1000
"""Of the subject in a link, as it is encoded there: Windows opens no link of more than 2,083 characters."""
_STAFF_HEADER = re.compile(r"X-RTMail-[A-Z][A-Za-z-]{0,40}")
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

Load = Callable[[int, str], bytes]
"""(raw id, part) -> the decoded bytes of a stored attachment."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What composing needs besides the draft.

    queues   name -> (address, comment address)
    staff    party ids of staff, whose marks must not go out
    signers  keys that every mail is signed with (DKIM)
    """

    site: Site
    queues: Mapping[str, tuple[str, str]]
    keyring: Keyring
    templates: Templates
    staff: frozenset[int] = field(default_factory=frozenset)
    signers: tuple[Signer, ...] = ()


def compose(draft: Draft, date: datetime, outbox_id: int, workshop: Workshop, load: Load, forms: Forms | None = None) -> Outgoing:
    """Return `draft` as bytes with a fixed Message-ID, and its envelope. The same arguments give the same bytes.

    date        aware; shared by all copies of one event
    outbox_id   row that this mail will be; bounces find it by the envelope sender (VERP)
    load        brings the bytes of attachments
    forms       what was made for other copies of the same event, of use here where they say the same

    Raises LeakError where something internal would go out (the author is asked then), TemplateError for a template that
    cannot be rendered, IntentError where the bytes would not say what was meant.
    """
    return _Composing(draft, date, outbox_id, workshop).outgoing(load, forms or Forms())


class _Composing:
    """One mail in the making: what several steps need of draft and workshop."""

    def __init__(self, draft: Draft, date: datetime, outbox_id: int, workshop: Workshop) -> None:
        _refuse_internal(draft)
        self.draft, self.date, self.outbox_id, self.workshop = draft, date, outbox_id, workshop
        self.site = workshop.site
        self.language = draft.to.language or self.site.language
        self.address, self.comment_address = workshop.queues.get(draft.queue) or next(iter(workshop.queues.values()))
        self.recipient = normalise(draft.to.address)
        if not self.recipient:
            raise IntentError(f"recipient {draft.to.address!r} is no address")
        self.expires = (date + timedelta(days=draft.detail_days)).date()
        self.title = self._harmless(self._title(draft.subject)) or "(...)"
        self.message_id = make_message_id(workshop.keyring, draft.number, draft.event, self.site.domain, self._variant())

    def outgoing(self, load: Load, forms: Forms) -> Outgoing:
        """Return the finished mail."""
        draft, templates, language = self.draft, self.workshop.templates, self.language
        links = self._links()
        facts = self._facts(templates.uses(draft.template, "to", queue=draft.queue, language=language))
        made_of = (draft.template, draft.queue, language, draft.to.staff, draft.number, self.message_id, self.title, draft.in_reply_to,
                   facts, [(link.name, link.request) for link in links], draft.attachments)
        form = forms.get(made_of, lambda: self._form(facts, links, language, load))
        mark = self._mark()
        urls = [self._mailto(link) for link in links]
        text, html = fill_text(form.text, mark, urls), fill_html(form.html, mark, urls)
        subject = self._subject(form.subject)
        headers = self._headers(subject)
        self._trip(text, subject, form)
        entry = self._entry()
        raw = message([_written(name, value) for name, value in headers], _body(text, html, form, entry))
        sender = self._envelope_sender()
        verify(raw, Intent(headers, _leaves(form, entry), sender, self.recipient))
        return Outgoing(
            raw=sign_mail(raw, self.workshop.signers, self.date),
            message_id=self.message_id, envelope_sender=sender, recipient=self.recipient, person=draft.to.person,
            template=draft.template, urgency=draft.urgency, expires=draft.expires, report=self._report(),
        )

    def _form(self, facts: Mapping[str, object], links: Sequence[Link], language: str, load: Load) -> Form:
        """Return what this mail has in common with other copies of its event."""
        draft, templates = self.draft, self.workshop.templates
        offers = [
            Offer(link.name, link.name[:1].upper() + link.name[1:], blank(at), link.request or draft.number)
            for at, link in enumerate(links)
        ]
        rendered = templates.render(draft.template, facts, offers, queue=draft.queue, language=language)
        if draft.template in _BRIEF:
            return Form(rendered.subject, one_line(plain(rendered.blocks), PAGE_CHARACTERS), "")
        files, html = self._files(load), ""
        text = self._text(rendered.blocks, files)
        if len(text) <= HTML_CHARACTERS:
            frame = self._frame(self._subject(rendered.subject), files, rendered.blocks)
            html = templates.html(rendered.blocks, frame, queue=draft.queue, language=rendered.language)
        parts = [(file, file_part(file)) for _, file in files]
        return Form(
            rendered.subject,
            text,
            html,
            shown=tuple((file, part) for file, part in parts if file.content_id),
            enclosed=tuple((file, part) for file, part in parts if not file.content_id),
        )

    def _entry(self) -> Part | None:
        """Return the calendar entry, an invitation of this reader alone."""
        entry = self.draft.calendar
        if entry is None:
            return None
        reader = Address(self.recipient, self._harmless(one_line(self.draft.to.name)))
        said = "\n\n".join(filter(None, (str(self.draft.facts.get("text") or ""), self.site.status_url)))
        written = calendar.text(entry, Address(self.address, one_line(self.site.name)), reader, self.date, many_lines(said))
        return text_part(written.replace("\r\n", "\n"), "calendar", f"; method={entry.method}")

    def _mark(self) -> str:
        mark = make_mark(self.workshop.keyring, self.draft.number, self.draft.to.person)
        return f"{STAFF_MARK} {mark}" if self.draft.to.staff else mark

    def _harmless(self, shown: str) -> str:
        """What is shown beside the words, a subject or a name. Its writer chose it: what trips there is left out, or nobody
        could be written to any more on his request."""
        return "" if not self.draft.to.staff and self._leaks(shown) else shown

    def _title(self, subject: str) -> str:
        bare = one_line(bare_subject(subject, self.site))
        return phrases.said(bare, self.language) if bare == NO_SUBJECT else bare

    def _shown(self, address: Address) -> str:
        name = self._harmless(one_line(address.name))
        return f"{name} <{address.spec}>" if name else address.spec

    def _leaks(self, shown: str) -> str:
        return leaks(shown, self.site, self.workshop.staff - {self.draft.to.person})

    def _variant(self) -> str:
        """Tells mails about one event apart that are not copies of it: clients hide a second mail with the same id."""
        if not self.draft.event:
            return str(self.outbox_id)
        return "" if self.draft.template in _COPIES else re.sub(r"[^a-z0-9]", "", self.draft.template)[:32]

    # What it says

    def _facts(self, named: bool) -> dict[str, object]:
        """Return what the template may say; the reader's name only where it is named, so that copies which do not are alike."""
        draft = self.draft
        facts: dict[str, object] = {
            "site": self.site.name, "queue": draft.queue, "address": self.address, "number": draft.number, "subject": self.title,
            "to": self._harmless(one_line(draft.to.name)) if named else "", "author": self._harmless(one_line(draft.author)),
            "circle_to": [self._shown(address) for address in draft.circle_to],
            "circle_cc": [self._shown(address) for address in draft.circle_cc], "fields": {},
            "status_url": self.site.status_url, "portal_url": self.site.portal_url.replace("{number}", str(draft.number)),
        }
        if draft.to.staff:
            return {**facts, **draft.facts}
        # A word of ours or of an author's trips as ever; what stands in rows (fields, subjects of requests) is shown beside it.
        return {**facts, **{key: said if isinstance(said, str) else self._rows(said) for key, said in draft.facts.items()}}

    def _rows(self, said: object) -> object:
        """Return a fact with every text in it `_harmless`."""
        if isinstance(said, str):
            return self._harmless(said)
        if isinstance(said, Mapping):
            return {key: self._rows(one) for key, one in said.items()}
        return [self._rows(one) for one in said] if isinstance(said, list | tuple) else said

    def _subject(self, said: str) -> str:
        """Prefix, tag, subject. A mail with a subject of its own ("Escalation P1: ...") begins a topic, it answers none."""
        said = bare_subject(said, self.site)
        answers = self.draft.in_reply_to and said == self.title
        tag = f"[{self.site.tag} #{self.draft.number}] " if self.draft.number else ""
        return one_line(f"{'Re: ' if answers else ''}{tag}{said}")

    def _text(self, blocks: Sequence[Block], files: Sequence[tuple[str, File]]) -> str:
        text = f"{plain(blocks)}\n\n{MARK}\n"
        if pictures := _pictures(files):
            text = PICTURE.sub(lambda found: f"[{pictures[found[1]][1]}]" if found[1] in pictures else found[0], text)
        return f"{MARK}\n\n{text}" if self.draft.to.staff else text

    def _links(self) -> list[Link]:
        """Return the draft's links, and for staff the other door."""
        draft = self.draft
        links = list(draft.links)
        if draft.to.staff and draft.number and draft.template not in _BRIEF:
            if draft.reply_to is ReplyTo.CORRESPONDENCE and not any(link.action is Action.COMMENT for link in links):
                links.append(Link("comment", Action.COMMENT))
            if draft.reply_to is ReplyTo.COMMENT and not any(link.action is Action.REPLY for link in links):
                links.append(Link("answer the customer", Action.REPLY))
        return links

    def _mailto(self, link: Link) -> str:
        """RFC 6068. Without plus addresses the signed detail ends the subject."""
        detail = self._detail(link.action, link.request)
        subject = _fitting(link.subject or self._link_subject(link))
        if self.site.detail == "off":
            subject = f"{subject} {detail}"
        to = with_detail(self.comment_address if link.action is Action.COMMENT else self.address, detail, self.site)
        fields = f"subject={quote(subject, safe='')}"
        if link.body:
            fields += "&body=" + quote("\r\n".join(link.body.splitlines()), safe="")
        return f"mailto:{quote(to, safe='@+-._')}?{fields}"

    def _link_subject(self, link: Link) -> str:
        tag = f"[{self.site.tag} #{self.draft.number}]" if self.draft.number else ""
        if link.action in (Action.REPLY, Action.COMMENT):
            return one_line(f"Re: {tag} {self.title}")
        return one_line(f"{link.name} {tag}")

    def _detail(self, action: Action, request: int = 0) -> str:
        customers_reply = action is Action.REPLY and not self.draft.to.staff and self.draft.to.person not in self.workshop.staff
        return sign(
            self.workshop.keyring, action, request or self.draft.number, self.draft.to.person, None if customers_reply else self.expires
        )

    # Who, where to, and how robots shall take it

    def _headers(self, subject: str) -> list[tuple[str, str | tuple[Address, ...]]]:
        draft = self.draft
        to, cc = self._circle()
        author = self._harmless(one_line(draft.author, 100))
        named = f"{author} via {self.site.name}" if author else self.site.name
        comment = draft.reply_to is ReplyTo.COMMENT
        headers: list[tuple[str, str | tuple[Address, ...]]] = [
            ("From", (Address(self.comment_address if comment else self.address, one_line(named)),)),
        ]
        headers += [(name, people) for name, people in (("To", to), ("Cc", cc)) if people]
        if reply_to := self._reply_to():
            headers.append(("Reply-To", (Address(reply_to, one_line(self.site.name)),)))
        headers += [("Subject", subject), ("Date", format_datetime(self.date)), ("Message-ID", self.message_id)]
        thread = self._thread()
        if valid_message_id(draft.in_reply_to):
            headers.append(("In-Reply-To", draft.in_reply_to))
        if thread:
            headers.append(("References", " ".join(thread)))
        if draft.auto is not Auto.NO:
            headers.append(("Auto-Submitted", draft.auto.value))
        if draft.suppress is not Suppress.NONE:
            headers.append(("X-Auto-Response-Suppress", draft.suppress.value))
        if draft.auto is not Auto.NO and self.site.precedence:
            headers.append(("Precedence", "bulk"))
        headers.append((LOOP_HEADER, self.site.domain))
        headers += [(name, one_line(value)) for name, value in draft.headers.items()]
        return headers

    def _report(self) -> Report:
        """A customer who cannot be written to must not go unnoticed, whatever the mail."""
        if self.draft.report:
            return Report.FATE
        return Report.NO if self.draft.to.staff or not self.draft.number else Report.FAILURE

    def _circle(self) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
        """To and Cc, nobody twice, no address of ours. A staff copy shows its reader alone: the circle stands in its text.

        Who has an address beyond ASCII is shown to those alone who have one as well: else their mail, too, would need SMTPUTF8.
        """
        reader = Address(self.recipient, self._harmless(one_line(self.draft.to.name)))
        if self.draft.to.staff:
            return (reader,), ()
        seen: set[str] = set()
        fields = []
        for people in (self.draft.circle_to, self.draft.circle_cc):
            shown = []
            for person in people:
                spec = normalise(person.spec)
                shows = spec.isascii() or not self.recipient.isascii()
                if spec and shows and key(spec) not in seen and split_detail(spec, self.site)[0] is None:
                    seen.add(key(spec))
                    shown.append(Address(spec, self._harmless(one_line(person.name))))
            fields.append(shown)
        if key(self.recipient) not in seen:
            fields[0].insert(0, reader)
        return tuple(fields[0]), tuple(fields[1])

    def _reply_to(self) -> str:
        """Return the signed address that answers go to; "" where From does, since nothing could be signed for."""
        if self.draft.reply_to is ReplyTo.PLAIN or not (self.draft.number and self.draft.to.person):
            return ""
        if self.draft.reply_to is ReplyTo.COMMENT:
            return with_detail(self.comment_address, self._detail(Action.COMMENT), self.site)
        return with_detail(self.address, self._detail(Action.REPLY), self.site)

    def _envelope_sender(self) -> str:
        if self.draft.null_sender:
            return ""
        if not self.site.verp:
            return self.address
        return with_detail(self.address, bounce_detail(self.workshop.keyring, self.outbox_id), self.site)

    def _thread(self) -> list[str]:
        ids = [id_ for id_ in dict.fromkeys((*self.draft.references, self.draft.in_reply_to)) if valid_message_id(id_)]
        ids = [id_ for id_ in ids if id_ != self.message_id]
        return ids if len(ids) <= REFERENCES else [ids[0], *ids[1 - REFERENCES :]]

    # What it is made of

    def _files(self, load: Load) -> list[tuple[str, File]]:
        """Return (the Content-ID that the words know it by, file); pictures that words show get an id of ours."""
        files = []
        for at, ref in enumerate(self.draft.attachments, 1):
            type_ = media_type(ref.type)
            shown = f"{at}.{self.message_id.strip('<>')}" if ref.content_id and type_ in _PICTURES else ""
            files.append((ref.content_id.strip("<>"), File(file_name(ref.name), type_, load(ref.raw_id, ref.part), shown)))
        return files

    def _frame(self, subject: str, files: Sequence[tuple[str, File]], blocks: Sequence[Block]) -> dict[str, object]:
        pictures = _pictures(files)
        words = "\n".join(block.text for block in blocks if block.kind == "words")
        placed = {pictures.get(found[1] or found[2]) for found in PICTURE.finditer(words)}
        loose = [drawn for drawn in dict.fromkeys(pictures.values()) if drawn not in placed]
        return {
            "subject": subject, "site": self.site.name, "number": self.draft.number, "staff": self.draft.to.staff, "mark": MARK,
            "pictures": pictures, "loose_pictures": loose,
        }

    def _trip(self, text: str, subject: str, form: Form) -> None:
        if self.draft.to.staff:
            return
        if reason := self._leaks("\n\n".join((text, subject, *(file.name for file, _ in (*form.shown, *form.enclosed))))):
            raise LeakError(reason)


def _fitting(subject: str) -> str:
    """Return the subject of a link, cut where it would make the link longer than LINK_CHARACTERS."""
    lengths = accumulate(len(quote(character, safe="")) for character in subject)
    kept = sum(length <= LINK_CHARACTERS for length in lengths)
    return subject if kept == len(subject) else subject[:kept].rstrip() + "…"


def _body(text: str, html: str, form: Form, entry: Part | None) -> Part:
    shown, enclosed = [part for _, part in form.shown], [part for _, part in form.enclosed]
    versions = [text_part(text, "plain")]
    if html:
        drawn = text_part(html, "html")
        versions.append(multipart("related", [drawn, *shown]) if shown else drawn)
    else:
        enclosed = [*shown, *enclosed]
    if entry:
        # Last: clients that know calendars take it for the best version, and show the others beside it.
        versions.append(entry)
    body = multipart("alternative", versions) if len(versions) > 1 else versions[0]
    return multipart("mixed", [body, *enclosed]) if enclosed else body


def _leaves(form: Form, entry: Part | None) -> list[Enclosed]:
    leaves = [Enclosed("text/calendar")] if entry else []
    leaves += [Enclosed(file.type, file.name, file.content_id) for file, _ in (*form.shown, *form.enclosed)]
    return [Enclosed("text/plain"), *([Enclosed("text/html")] if form.html else []), *leaves]


def _refuse_internal(draft: Draft) -> None:
    """Stop what must never reach rendering: it would be a mistake of ours, not of a person's."""
    for name in draft.headers:
        if not _STAFF_HEADER.fullmatch(name) or name == LOOP_HEADER:
            raise IntentError(f"{name!r} is no header for staff mail")
    if draft.to.staff:
        return
    if draft.visibility is Visibility.INTERNAL:
        raise LeakError("internal mail to somebody outside")
    if draft.reply_to in (ReplyTo.COMMENT, ReplyTo.CORRESPONDENCE):
        raise LeakError("staff address to somebody outside")
    if draft.headers:
        raise LeakError("staff headers to somebody outside")


def _pictures(files: Sequence[tuple[str, File]]) -> dict[str, tuple[str, str]]:
    """Return how words may name a picture -> (its Content-ID here, its file name); a name that two have names neither."""
    shown = [(known, file) for known, file in files if file.content_id]
    names = [file.name for _, file in shown]
    found = {file.name: (file.content_id, file.name) for _, file in shown if names.count(file.name) == 1}
    return found | {known: (file.content_id, file.name) for known, file in shown}


def _written(name: str, value: str | tuple[Address, ...]) -> str:
    if not isinstance(value, str):
        return address_header(name, value)
    if name in ("Message-ID", "In-Reply-To", "References"):
        return ids_header(name, value.split(" "))
    return text_header(name, value)


def bare_subject(subject: str, site: Site) -> str:
    """Return `subject` as one line without reply prefixes and without our own tags, old ones included; foreign ones stay."""
    names = "|".join(re.escape(tag) for tag in (site.tag, *site.old_tags))
    bare, before = one_line(subject, 1000), ""
    while bare != before:
        before = bare
        bare = one_line(strip_reply_prefixes(re.sub(rf"\[\s*(?:{names})\s*#\s*\d+\s*\]", " ", bare, flags=re.IGNORECASE)), 1000)
    return bare or NO_SUBJECT
