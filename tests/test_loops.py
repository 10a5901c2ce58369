"""No loops from the first day: robots get no automatic answer, our own mail comes to nothing, and two trackers fall silent.

What carries no sign at all is stopped by counting: caps per address and overall, in the store, with one notice to the admin.
"""

from __future__ import annotations

import re
import smtplib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.message import Message
from functools import partial
from pathlib import Path

import pytest

from rtmail.engine.office import Caps
from rtmail.mail.model import Envelope
from tests.fakes.daemon import Running, free_port, parsed, wait_for
from tests.fakes.house import House, Sent, blueprint, mail
from tests.fakes.looking import rests, rows
from tests.fakes.sink import Sink, Taken

HOP = b"Received: from mx.acme.example by mx.example.com; Mon, 23 Nov 2026 10:00:00 +0100\r\n"
GOLDEN = Path(__file__).parent / "golden"
STAFF = ("jane@staff.example", "kim@staff.example", "max@staff.example", "ops@admin.example")


def outside(sent: list[Sent]) -> list[str]:
    """Who of those that are not staff got a mail."""
    return [one.item.recipient for one in sent if one.item.recipient not in STAFF]


def opened(folder: Path, **caps: int) -> House:
    return House(folder, blueprint(caps=Caps(**caps)))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = opened(tmp_path)
    yield house
    house.close()


# What gets no automatic answer

Given = dict[str, str]
"""What is not as in any other mail: of the mail itself, and of its envelope."""

INERT = {
    "null sender": ({}, {"sender": ""}),
    "auto-replied": ({"headers": "Auto-Submitted: auto-replied"}, {}),
    "our own header": ({"headers": "X-RTMail-Loop: example.com"}, {}),
    "an old vacation": ({"headers": "X-Autoreply: yes\nPrecedence: bulk"}, {}),
    "delivery report": ({"sender": "MAILER-DAEMON@mx.acme.example", "subject": "Undelivered Mail Returned to Sender"}, {"sender": ""}),
}
UNANSWERED = {
    "auto-generated": ({"headers": "Auto-Submitted: auto-generated"}, {}),
    "bulk": ({"headers": "Precedence: bulk"}, {}),
    "a list": ({"headers": "List-Id: <helpers.lists.acme.example>\nPrecedence: list"}, {}),
    "one who wants none": ({"headers": "X-Auto-Response-Suppress: All"}, {}),
    "no-reply": ({"sender": "no-reply@acme.example"}, {"sender": "no-reply@acme.example"}),
    "mail from our own address": ({"sender": "Example <support@example.com>"}, {"sender": "support@example.com"}),
    "mail from our comment address": ({"sender": "support-comment@example.com"}, {"sender": "support-comment@example.com"}),
    "mail from our own postmaster": ({"sender": "postmaster@example.com"}, {"sender": "postmaster@example.com"}),
}


@pytest.mark.parametrize(("made", "envelope"), INERT.values(), ids=INERT)
def test_robots_open_nothing_and_are_not_answered(house: House, made: Given, envelope: Given) -> None:
    house.receive(mail(**made), **envelope)  # type: ignore[arg-type]
    assert outside(house.sent()) == []
    assert house.store.by_number(1) is None
    assert house.store.audit_counts().closes


@pytest.mark.parametrize(("made", "envelope"), UNANSWERED.values(), ids=UNANSWERED)
def test_machines_lists_and_our_own_name_get_a_request_and_no_answer(house: House, made: Given, envelope: Given) -> None:
    house.receive(mail(**made), **envelope)  # type: ignore[arg-type]
    assert outside(house.sent()) == []
    assert house.store.by_number(1) is not None


@pytest.mark.parametrize("to", ["support@example.com", "support-comment@example.com", "sales@example.com", "postmaster@example.com"])
def test_our_own_mail_comes_to_nothing(house: House, to: str) -> None:
    house.receive(mail())
    acknowledgement, *_ = (one for one in house.sent() if one.item.recipient == "bob@acme.example")
    for sender in (acknowledgement.item.envelope_sender, "", "bob@acme.example"):
        house.receive(acknowledgement.item.raw, to=to, sender=sender)
        house.receive(HOP + acknowledgement.item.raw, to=to, sender=sender)
    assert [one for one in house.sent() if one.item.recipient != "ops@admin.example"] == []
    assert house.store.by_number(2) is None


def test_no_mail_of_ours_answers_itself(house: House) -> None:
    """Golden mails come from another house that knows our addresses: even so nothing goes out but to staff, whatever their envelope."""
    raws = [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in sorted(GOLDEN.glob("*.eml"))]
    assert len(raws) > 20
    house.store.put_many([(raw, Envelope(sender, ("support@example.com",), "smtp", house.now)) for raw in raws
                          for sender in ("support@example.com", "robot@acme.example")])
    house.settle()
    assert outside(house.sent()) == []


# Counting


def robot(number: int, sender: str = "Robot <robot@acme.example>") -> bytes:
    """What a program writes that knows no RFC: a fresh mail each time, without any sign, not even in its words."""
    return mail(sender=sender, subject=f"Case {number}", text=f"We have taken note {number} of it.", message_id=f"<v{number}@acme.example>")


def answer_everything(house: House, who: Callable[[int], str], rounds: int = 60) -> Counter[str]:
    """Let a robot answer whatever goes to it, until nothing does; returns how many mails went to whom."""
    went: Counter[str] = Counter()
    written = 1
    house.receive(robot(0, who(0)), sender=who(0))
    for _ in range(rounds):
        sent = house.sent()
        went.update(one.item.recipient for one in sent)
        went["said"] += any("No automatic answer went out" in one.text for one in sent if one.item.template == "opened")
        answers = outside(sent)
        if not answers:
            return went
        for _ in answers:
            house.receive(robot(written, who(written)), sender=who(written))
            written += 1
        house.forward(seconds=5)
    raise AssertionError(f"it never ends: {went}")


def test_a_robot_without_any_sign_is_stopped_by_its_address(tmp_path: Path) -> None:
    house = opened(tmp_path, per_address=4)
    try:
        went = answer_everything(house, lambda _: "robot@acme.example")
        assert went["robot@acme.example"] == 4
        assert went["ops@admin.example"] == 1, "one notice"
        assert house.store.by_number(5) is not None, "what it wrote is taken in all the same"
        assert went["said"] == 1, "staff know that the customer heard nothing"
        # Counted in the store: a new engine knows it, and goes on with it after the window.
        house.close()
        house = House(tmp_path, house.plan, now=house.now)
        house.receive(robot(100), sender="robot@acme.example")
        sent = house.sent()
        assert outside(sent) == []
        assert [one for one in sent if one.item.recipient == "ops@admin.example"] == []
        house.receive(mail(), sender="bob@acme.example")
        assert outside(house.sent()) == ["bob@acme.example"], "others are answered as ever"
        house.forward(seconds=house.plan.caps.window.total_seconds())
        house.receive(robot(101), sender="robot@acme.example")
        assert outside(house.sent()) == ["robot@acme.example"]
    finally:
        house.close()


def test_a_robot_with_a_thousand_faces_is_stopped_by_the_sum(tmp_path: Path) -> None:
    house = opened(tmp_path, per_address=4, overall=7)
    try:
        went = answer_everything(house, lambda number: f"robot{number}@acme.example")
        assert sum(count for recipient, count in went.items() if recipient.startswith("robot")) == 7
        assert went["ops@admin.example"] == 1, "one notice"
    finally:
        house.close()


# Live


class Exchange(Sink):
    """The one relay of several daemons: hands on what is for a domain of theirs, keeps a copy, and loses headers that `strips` matches."""

    def __init__(self, strips: str = "") -> None:
        super().__init__()
        self.routes: dict[str, int] = {}
        self.between: list[Taken] = []
        self.handed_on: list[int] = []
        self._strips = re.compile(rb"(?im)^(?:%s):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*" % strips.encode()) if strips else None

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        said = await super().handle_DATA(server, session, envelope)
        taken = self.mails[-1]
        port = self.routes.get(taken.recipients[0].rpartition("@")[2])
        if port:
            self.between.append(taken)
            self._pass_on(port, taken)
        return said

    def _pass_on(self, port: int, taken: Taken) -> None:
        head, gap, body = taken.raw.partition(b"\r\n\r\n")
        raw = (self._strips.sub(b"", head + b"\r\n").rstrip(b"\r\n") if self._strips else head) + gap + body
        # In a thread: whoever takes it may be about to hand us a mail at the same moment.
        threading.Thread(target=lambda: self._deliver(port, taken.sender, taken.recipients[0], raw), daemon=True).start()

    def _deliver(self, port: int, sender: str, recipient: str, raw: bytes) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            client.sendmail(sender, [recipient], raw)
        self.handed_on.append(port)

    @property
    def quiet(self) -> bool:
        return len(self.handed_on) == len(self.between)


STRIPPED = "auto-submitted|precedence|x-[a-z-]*|list-[a-z-]*|references|in-reply-to"


@pytest.mark.parametrize("strips", ["", STRIPPED], ids=["as it is", "every sign lost on the way"])
def test_two_daemons_pointed_at_each_other_fall_silent(tmp_path: Path, strips: str) -> None:
    with Exchange(strips) as exchange, ExitStack() as stack:
        daemons = []
        for name, domain in (("One", "one.example"), ("Two", "two.example")):
            daemon = Running(tmp_path / name, relay=f"smtp://127.0.0.1:{exchange.port}", name=name, domain=domain, port=free_port())
            exchange.routes[domain] = daemon.port
            daemons.append(stack.enter_context(daemon))
        # The first mail: as if a person at the second house wrote in the name of its queue.
        first = mail(sender="Two <support@two.example>", to="support@one.example", subject="Hello", message_id="<1@two.example>")
        daemons[0].send(first, sender="support@two.example")
        one, two = (daemon.state for daemon in daemons)
        wait_for(lambda: exchange.between, told="no answer at all")
        wait_for(lambda: exchange.quiet and rests(one) and rests(two) and exchange.quiet and rests(one), 30, "they go on and on")
        assert 1 + len(exchange.between) <= 3, [parsed(one.raw)["Subject"] for one in exchange.between]
        assert rows(one, "SELECT count(*) FROM ticket") == [(1,)]
        assert rows(two, "SELECT count(*) FROM ticket") <= [(1,)]
        assert all("the sum closes" in daemon.cli("audit") for daemon in daemons)


class Vacation(Sink):
    """A mailbox whose program answers each mail to it with a fresh one that shows no sign of a robot."""

    def __init__(self) -> None:
        super().__init__()
        self.target = 0
        self.answered: list[int] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        said = await super().handle_DATA(server, session, envelope)
        if self.mails[-1].recipients == ("robot@acme.example",):
            threading.Thread(target=self._answer, args=(len(self.mails), parsed(self.mails[-1].raw)), daemon=True).start()
        return said

    def _answer(self, number: int, came: Message) -> None:
        to = re.search(r"[^\s<>]+@[^\s<>]+", str(came["From"]))
        assert to is not None
        with smtplib.SMTP("127.0.0.1", self.target, timeout=30) as client:
            client.sendmail("robot@acme.example", [to[0]], robot(number))
        self.answered.append(number)


def test_a_live_robot_without_any_sign(tmp_path: Path) -> None:
    with Vacation() as vacation, Running(tmp_path, relay=f"smtp://127.0.0.1:{vacation.port}", caps="per_address = 3") as daemon:
        vacation.target = daemon.port
        daemon.send(robot(0), sender="robot@acme.example")

        def to(recipient: str) -> int:
            return sum(came.recipients == (recipient,) for came in vacation.mails)

        wait_for(lambda: to("ops@admin.example"), told="the admin hears nothing")
        wait_for(lambda: len(vacation.answered) == to("robot@acme.example") and rests(daemon.state), told="it goes on and on")
        assert to("robot@acme.example") == 3
        assert to("ops@admin.example") == 1
        assert rows(daemon.state, "SELECT count(*) FROM ticket") == [(4,)]
        assert rows(daemon.state, "SELECT uses FROM cap WHERE key = 'auto:robot@acme.example'") == [(3,)]


class Beside(Exchange):
    """The exchange, with a mailbox beside it whose program answers every mail under its subject, and without one sign of a program."""

    SAYS = "Thank you for your mail. I am not at my desk; Carla helps you."

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str] = []
        self.answered = 0

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
        said = await super().handle_DATA(server, session, envelope)
        if self.mails[-1].recipients == ("robot@acme.example",):
            self.answers.append(str(parsed(self.mails[-1].raw)["Subject"]))
            threading.Thread(target=self._answer, args=(len(self.answers), parsed(self.mails[-1].raw)), daemon=True).start()
        return said

    def _answer(self, number: int, came: Message) -> None:
        to = re.search(r"[^\s<>]+@[^\s<>]+", str(came["From"]))
        assert to is not None
        self.write(to[0], f"Re: {came['Subject']}", f"<a{number}@acme.example>")
        self.answered += 1

    def write(self, to: str, subject: str, message_id: str) -> None:
        raw = mail(sender="Robot <robot@acme.example>", to=to, subject=subject, text=self.SAYS, message_id=message_id)
        with smtplib.SMTP("127.0.0.1", self.routes[to.rpartition("@")[2]], timeout=30) as client:
            client.sendmail("robot@acme.example", [to], raw)

    @property
    def quiet(self) -> bool:
        return super().quiet and self.answered == len(self.answers)


def _none(state: Path, counted: str) -> bool:
    return rows(state, counted) == [(0,)]


HOURS = (0, 6, 25)
"""The daemons are started anew at these hours of the day that is played: a clock that runs fast would outrun their leases."""


def test_24_hours_of_two_daemons_and_a_robot_beside_them(tmp_path: Path) -> None:
    """Each conversation that is begun holds three mails at most, the one that began it counted; then a day of silence."""
    begun = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    with Beside() as exchange:
        daemons = []
        for name, domain in (("One", "one.example"), ("Two", "two.example")):
            relay = f"smtp://127.0.0.1:{exchange.port}"
            daemons.append(Running(tmp_path / name, relay=relay, name=name, domain=domain, port=free_port()))
            exchange.routes[domain] = daemons[-1].port
        for hour in HOURS:
            at = begun + timedelta(hours=hour)
            with ExitStack() as stack:
                for daemon in daemons:
                    daemon.arguments = ("--clock-rate", "1", "--clock-from", at.isoformat())
                    stack.enter_context(daemon)
                if not hour:
                    first = mail(sender="Two <support@two.example>", to="support@one.example", subject="Hello",
                                 message_id="<1@two.example>", headers="Cc: robot@acme.example")
                    daemons[0].send(first, sender="support@two.example")
                    for name in ("one", "two"):
                        exchange.write(f"support@{name}.example", f"To {name}", f"<r-{name}@acme.example>")
                    wait_for(lambda: exchange.quiet and len(exchange.answers) >= 2, told="the robot was never answered")
                due = f"SELECT count(*) FROM ticket WHERE wake_at <= {int(at.timestamp())} * 1000000"
                for daemon in daemons:
                    wait_for(partial(_none, daemon.state, due), 60, "what was due was not done")
                wait_for(lambda: exchange.quiet and all(rests(daemon.state) for daemon in daemons), 60, "they go on and on")
        assert 1 + len(exchange.between) <= 3, [parsed(one.raw)["Subject"] for one in exchange.between]
        # The robot's own first mails, one to each house; the acknowledgement of each; what it says to that.
        assert len(exchange.answers) == 2, exchange.answers
        assert any(one.recipients[0] in STAFF for one in exchange.mails), "staff are told all day"
        for daemon in daemons:
            assert "the sum closes" in daemon.cli("audit")


# The same outage, three times


OUTAGE = "All of Berlin is down since 9:12."
ROADS = {
    "google group": (
        "Ops <ops@acme.example>",
        "Precedence: list\nList-ID: <ops.acme.example>\nMailing-list: list ops@acme.example; contact ops+owners@acme.example\n"
        "X-Google-Group-Id: 77\nX-BeenThere: ops@acme.example\nList-Unsubscribe: <mailto:x@acme.example>",
    ),
    "microsoft 365 group": (
        "Ann Poe <ann@acme.example>",
        "List-ID: <ops.acme.example>\nX-Auto-Response-Suppress: DR, OOF, AutoReply\nX-MS-Exchange-Organization-AuthAs: Anonymous\n"
        "X-MS-Exchange-Parent-Message-Id: <p@acme.example>\nPrecedence: list",
    ),
    "a customer's ticket system": (
        "Acme Helpdesk <helpdesk@acme.example>",
        "Auto-Submitted: auto-generated\nPrecedence: bulk\nX-Auto-Response-Suppress: All\nX-Mailer: Zendesk Mailer\n"
        "X-Zendesk-From-Account-Id: 1",
    ),
}


def test_the_same_outage_by_three_roads_opens_a_request_each_time(house: House) -> None:
    for number, (sender, headers) in enumerate(ROADS.values(), 1):
        spec = sender.rpartition("<")[2].rstrip(">")
        house.receive(mail(sender=sender, subject="Outage in Berlin", text=OUTAGE, headers=headers, message_id=f"<o{number}@acme.example>"),
                      sender=f"ops+bounces{number}@acme.example")
        ticket = house.store.by_number(number)
        assert ticket is not None, sender
        assert ticket.requestor is not None
        assert ticket.requestor.address == spec
        sent = house.sent()
        assert outside(sent) == [], "no automatic answer to a group or a machine"
        assert {one.item.recipient for one in sent if one.item.template == "opened"} >= {"jane@staff.example", "kim@staff.example"}
    assert house.store.by_number(4) is None
