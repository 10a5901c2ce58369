"""Random histories of requests in one house: what people quote, paste, attach, forward and address by mistake, by one seed each.

All that staff say among themselves holds a canary word; `check` looks for it, and for everything else internal, in each mail to
anybody outside.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP
from pathlib import Path
from textwrap import wrap

from rtmail.engine.engine import Engine
from rtmail.engine.office import Caps, Office
from rtmail.mail.model import Envelope, Mail
from rtmail.mail.reading import message
from rtmail.mail.site import Site
from rtmail.mail.tripwire import STAFF_MARK
from rtmail.store import OutboxItem
from tests.fakes.house import House, blueprint, mail

CANARY = "zinnober"
STAFF = {"jane@staff.example": "Jane Doe", "kim@staff.example": "Kim Lee"}
INSIDE = (*STAFF, "max@staff.example", "ops@admin.example")
NO_CAPS = Caps(per_address=10**9, overall=10**9, per_sender=10**9, per_request=10**9)
Job = tuple[bytes, Envelope]


class HereReader:
    """Reads in this process: a hundred thousand histories have no time for another one."""

    processes = 1

    def warm(self) -> None:
        message.warm_up()

    def read_many(self, jobs: Sequence[Job], site: Site) -> list[Mail]:
        return [message.read(raw, envelope, site) for raw, envelope in jobs]


def quick_house(folder: Path) -> House:
    """A house whose engine reads here and whose breaker stops nobody."""
    house = House(folder, blueprint(caps=NO_CAPS))
    house.engine = Engine(house.store, HereReader(), Office(house.plan, house.store, house.now), "test")  # type: ignore[arg-type]
    return house


class Copy:
    """One mail as it left, read by the quickest means there are."""

    def __init__(self, item: OutboxItem) -> None:
        self.item, self.mail = item, message_from_bytes(item.raw)
        self.leaves = [part for part in self.mail.walk() if not part.is_multipart()]

    def __getitem__(self, header: str) -> str:
        return " ".join(str(self.mail[header] or "").split())

    @property
    def text(self) -> str:
        return _said(next(part for part in self.leaves if part.get_content_type() == "text/plain"))

    def address(self, header: str = "Reply-To") -> str:
        return (self[header] or self["From"]).rpartition("<")[2].rstrip(">")


def _said(part: Message) -> str:
    data = part.get_payload(decode=True)
    return data.decode("utf-8", "replace").replace("\r\n", "\n") if isinstance(data, bytes) else ""


class History:
    """One request and what its people do to it."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.luck, self.seed, self.count = house, random.Random(seed), seed, 0
        self.bob, self.ann = f"bob{seed}@acme.example", f"ann{seed}@acme.example"
        self.received: dict[str, list[Copy]] = {}
        self.secrets: list[str] = []
        self.outside = 0

    def moves(self, steps: int) -> Iterator[None]:
        """Open the request, comment on it once, and let up to `steps` things happen; what comes of a move is there after it."""
        raw = mail(sender=f"Bob Roe <{self.bob}>", subject=f"Case {self.seed}", text=f"Case {self.seed} is broken.",
                   message_id=self._id("acme.example"), headers=f"Cc: {self.ann}")
        self.house.put(raw, sender=self.bob)
        yield
        self.comments()
        yield
        for _ in range(self.luck.randint(1, steps)):
            self.luck.choice(self.ACTS)(self)
            yield

    def get(self, copy: Copy) -> None:
        """One of its people gets a mail of ours."""
        self.received.setdefault(copy.item.recipient, []).append(copy)
        self.outside += copy.item.recipient not in INSIDE

    # -- who writes --

    def _id(self, domain: str) -> str:
        self.count += 1
        return f"<{self.seed}.{self.count}@{domain}>"

    def _staff(self, *, inside: bool = False) -> tuple[str, Copy]:
        """A member of staff and a mail that he answers; `inside`: one about what colleagues said, where he has one."""
        who = self.luck.choice([one for one in STAFF if self.received.get(one)])
        mine = [copy for copy in self.received[who][-6:] if not inside or copy.item.template == "comment"] or self.received[who][-6:]
        return who, self.luck.choice(mine)

    def _post(self, who: str, old: Copy, text: str, to: str, *, cc: str = "", name: str = "", headers: str = "", through: str = "",
              proven: float = 0.8) -> None:
        raw = mail(sender=f"{name or STAFF.get(who, 'Bob Roe')} <{who}>", to=to, subject=self._subject(old), text=text,
                   message_id=self._id(who.partition("@")[2]), headers=self._thread(old) + (f"\nCc: {cc}" if cc else "") + headers)
        self._hand_in(raw, who, through or to, proven)

    def _hand_in(self, raw: bytes, who: str, to: str, proven: float = 0.8) -> None:
        if who in STAFF and self.luck.random() < proven:
            raw = b"Authentication-Results: mx.example.com; dmarc=pass header.from=staff.example\r\n" + raw
        self.house.put(raw, to=to, sender=who, peer="127.0.0.1")

    @staticmethod
    def _subject(old: Copy) -> str:
        return old["Subject"] if old["Subject"].startswith("Re:") else f"Re: {old['Subject']}"

    @staticmethod
    def _thread(old: Copy) -> str:
        return f"In-Reply-To: {old['Message-ID']}\nReferences: {old['References']} {old['Message-ID']}"

    # -- what is quoted --

    def _secret_words(self) -> str:
        """Part of what was said among staff: whole lines, or a run of words that is long enough to be known again."""
        line = self.luck.choice(self.secrets)
        words = line.split()
        if self.luck.random() < 0.5:
            return line
        length = self.luck.randint(9, len(words))
        start = self.luck.randint(0, len(words) - length)
        return " ".join(words[start : start + length])

    def _shown(self, old: Copy) -> str:
        """An old mail or a part of what was said inside, as clients, habits and mistakes show it."""
        how = self.luck.randrange(9)
        lines = old.text.splitlines()
        attribution = self.luck.choice(("On Mon, 23 Nov 2026 at 10:00, Example wrote:", "Am 23.11.2026 um 10:00 schrieb Example:", "Kim:"))
        match how:
            case 0 | 1:
                return attribution + "\n" + "\n".join(f"> {line}" for line in lines)
            case 2:
                return "-----Original Message-----\nFrom: Example\nSent: Monday, 23 November 2026 10:00\nSubject: Case\n\n" + old.text
            case 3:
                return "\n".join(f"| {line}" for line in lines)
            case 4:
                return old.text
            case 5:
                return "\n".join(f">> {line}" for line in lines[: max(len(lines) // 2, 1)])
            case 6:
                return "\n".join(f"> {line}" for line in wrap(self._secret_words(), self.luck.randint(18, 60)))
            case 7:
                return f"{attribution}\n> {self._secret_words()}\n\nand so on."
            case _:
                return f"As we say: {self._secret_words()}"

    # -- what people do --

    def comments(self) -> None:
        who, old = self._staff()
        said = f"The {CANARY} number {self.count} of case {self.seed} stays here since he never pays in time"
        self.secrets.append(said)
        detail = old.text.partition("support-comment+")[2].partition("@")[0]
        to = f"support-comment+{detail}@example.com" if detail else INSIDE_DOOR
        # Proven always: what is held nobody has said yet.
        self._post(who, old, f"{said}\n\nAnd one line more, {CANARY}.", to, proven=1)

    def answers(self) -> None:
        who, old = self._staff()
        words, shown = f"Please try step {self.count}.", self._shown(old)
        self._post(who, old, f"{words}\n\n{shown}" if self.luck.random() < 0.6 else f"{shown}\n\n{words}", old.address())

    def answers_inside(self) -> None:
        """He answers a colleague's comment at an address of the customer's notice."""
        who, old = self._staff(inside=True)
        notice = self.luck.choice(self.received[who])
        self._post(who, old, f"Step {self.count}.\n\n{self._shown(old)}", notice.address())

    def reply_all(self) -> None:
        who, old = self._staff()
        colleague = next(one for one in STAFF if one != who)
        cc = self.luck.choice((colleague, INSIDE_DOOR, self.bob, "support@example.com", f"{self.bob}, {INSIDE_DOOR}"))
        inside = INSIDE_DOOR in cc or cc == colleague
        self._post(who, old, f"{CANARY} {self.count}?" if inside else f"Step {self.count}.\n\n{self._shown(old)}", old.address(), cc=cc)

    def forwards(self) -> None:
        who, old = self._staff(inside=True)
        head = f"\n\n---------- Forwarded message ---------\nFrom: Kim Lee via Example <{INSIDE_DOOR}>\nSubject: Case\nTo: <{who}>\n\n"
        to = self.luck.choice((old.address(), "support@example.com", f"{self.bob}, support@example.com"))
        self._post(who, old, f"See below.{head}{old.text}", to, through="support@example.com")

    def is_away(self) -> None:
        """A vacation program, some of them without a header that says so."""
        who, old = self._staff()
        header = self.luck.choice(("", "\nAuto-Submitted: auto-replied", "\nX-Autoreply: yes"))
        self._post(who, old, f"Away, {CANARY}.", old.item.envelope_sender, headers=header)

    def from_home(self) -> None:
        who, old = self._staff(inside=self.luck.random() < 0.5)
        self._post("jane@home.example", old, f"{CANARY}\n\n{self._shown(old)}", old.address(), name=STAFF[who])

    def encloses(self) -> None:
        """He attaches a mail of ours that he has, saved or as his client forwards it."""
        who, old = self._staff(inside=True)
        answer = EmailMessage(policy=SMTP)
        answer["From"], answer["To"], answer["Subject"] = f"{STAFF[who]} <{who}>", old.address(), self._subject(old)
        answer["Message-ID"], answer["In-Reply-To"] = self._id("staff.example"), old["Message-ID"]
        answer["Date"] = f"Mon, 23 Nov 2026 11:00:{self.count % 60:02} +0100"
        answer.set_content(f"As attached, {self.count}.")
        match self.luck.randrange(3):
            case 0:
                answer.add_attachment(message_from_bytes(old.item.raw, policy=SMTP))
            case 1:
                answer.add_attachment(old.item.raw, maintype="application", subtype="octet-stream", filename="mail.eml")
            case _:
                answer.add_attachment(f"{old.text}", filename="note.txt")
        self._hand_in(answer.as_bytes(), who, old.address())

    def commands(self) -> None:
        who, old = self._staff()
        word = self.luck.choice(("take", "resolve", "wait", "reopen", "untake", "Priority: urgent", "comment", "show", "mute"))
        words = f"{CANARY} stays here." if word == "comment" else f"Done with {self.count}."
        self._post(who, old, f"{word}\n\n{words}\n\n{self._shown(old)}", old.address())

    def keeps_as_comment(self) -> None:
        """Who is asked keeps his words among staff; a yes would be his own doing."""
        asked = [copy for who in STAFF for copy in self.received.get(who, ()) if copy.item.template == "asked"]
        for copy in asked[-1:]:
            link = copy.text.rpartition("<mailto:")[2].partition("?")[0]
            self._post(copy.item.recipient, copy, "", link)

    def customer(self) -> None:
        who = self.luck.choice((self.bob, self.ann))
        if mails := self.received.get(who):
            old = self.luck.choice(mails[-3:])
            lines = "\n".join(f"> {line}" for line in old.text.splitlines())
            self._post(who, old, f"It says {self.count}.\n\nOn Monday Example wrote:\n{lines}", old.address())

    def customer_asks(self) -> None:
        """A participant asks for everything that there is."""
        who = self.luck.choice((self.bob, self.ann))
        if mails := self.received.get(who):
            self._post(who, mails[-1], self.luck.choice(("show", "list", "status")), mails[-1].address())

    def time_passes(self) -> None:
        self.house.forward(hours=self.luck.choice((1, 5, 30)))
        self.house.sweep()
        self.house.settle()

    ACTS = (answers, answers, answers_inside, comments, reply_all, forwards, is_away, from_home, encloses, commands, keeps_as_comment,
            customer, customer_asks)
    """Time passes for a whole house, so whoever plays many histories lets it pass himself."""


INSIDE_DOOR = "support-comment@example.com"


_CASE = re.compile(r"Case (\d+)")
AT_ONCE = 24
"""So many histories go on side by side: the engine takes their mails in together, as it does when much comes in."""


def check(copy: Copy) -> None:
    """Fail where anything internal stands anywhere in a mail to somebody outside."""
    about = f"{copy['Subject']}, {copy.item.template} to {copy.item.recipient}"
    for shown in (copy.item.raw.decode("ascii", "replace"), *map(_said, copy.leaves)):
        lowered = shown.lower()
        for word in (CANARY, STAFF_MARK, "support-comment", "x-rtmail-r", "x-rtmail-s", "x-rtmail-p", "x-rtmail-d", "x-rtmail-i"):
            assert word not in lowered, f"{about}: {word}\n{shown}"
    head = copy.item.raw.partition(b"\r\n\r\n")[0]
    assert b"@staff.example" not in head, f"{about}: {head.decode()}"


def deliver(house: House, histories: Mapping[int, History]) -> None:
    """Let the engine work, look at all that leaves, and hand it to the people of each history, which its subject names."""
    house.settle()
    for sent in house.sent():
        copy = Copy(sent.item)
        if copy.item.recipient not in INSIDE:
            check(copy)
        found = _CASE.search(copy["Subject"])
        history = histories.get(int(found[1])) if found else None
        if history:
            history.get(copy)


def play(folder: Path, seeds: range, steps: int, *, time_passes: float = 0.0) -> tuple[int, int]:
    """Play the histories of these seeds in one house; return how many mails went outside, and how many were asked about.

    steps        after its opening and a comment, each has one to so many further mails
    time_passes  the share of histories after which time goes on for all of them
    """
    folder.mkdir(parents=True, exist_ok=True)
    house = quick_house(folder)
    outside = asked = 0
    try:
        for start in range(0, len(seeds), AT_ONCE):
            histories = {seed: History(house, seed) for seed in seeds[start : start + AT_ONCE]}
            going = [history.moves(steps) for history in histories.values()]
            while going:
                going = [moves for moves in going if next(moves, _OVER) is not _OVER]
                deliver(house, histories)
            for history in histories.values():
                if history.luck.random() < time_passes:
                    history.time_passes()
                    deliver(house, histories)
            outside += sum(history.outside for history in histories.values())
            mails = (copy for history in histories.values() for copies in history.received.values() for copy in copies)
            asked += sum(copy.item.template == "asked" for copy in mails)
        assert house.store.audit_counts().closes
    finally:
        house.close()
    return outside, asked


_OVER = object()


def collected(results: Sequence[Future[tuple[int, int]]]) -> tuple[int, int]:
    """Add up what several processes played; the first failure is raised."""
    counts = [one.result() for one in results]
    return sum(outside for outside, _ in counts), sum(asked for _, asked in counts)
