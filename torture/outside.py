"""Faults of those around a house: customers, strangers, the relay, the mailbox."""

from __future__ import annotations

import smtplib
import socket
from contextlib import suppress
from pathlib import Path

from tests.fakes.imap import Drop
from torture.relay import ANSWERS, STAGES
from torture.siege import Fault, Siege

HOSTILE = Path(__file__).resolve().parent.parent / "tests" / "hostile"


class AnswersEaten(Fault):
    """The answer to a mail is lost on its way: the client sends it again, mostly to a daemon that kept it."""

    rows = ("R3",)

    def act(self, siege: Siege) -> None:
        door = self.dice.choice(siege.doors)
        door.swallow = True
        before = door.swallowed
        for _ in range(20):
            self.pause(0.05, 0.1)
            if door.swallowed >= before + 5:
                break
        self.count = door.swallowed - before
        siege.say(f"{self.count} answers eaten")
        door.swallow = False


class RelayMoody(Fault):
    """Some of the relay's answers at one stage, or at any, are not what they should be."""

    rows = ("R12",)
    answers: tuple[str, ...] = ("4xx", "5xx", "421", "garbage", "cut")

    def act(self, siege: Siege) -> None:
        stage = self.dice.choice((*STAGES, ""))
        answer, share = self.dice.choice(self.answers), self.dice.choice((0.1, 0.5, 1.0))
        assert answer in ANSWERS
        siege.say(f"relay says {answer} at {stage or 'any stage'}, {share:.0%}")
        siege.relay.mood = lambda here: answer if here in (stage or here,) and self.dice.random() < share else ""
        self.pause(0.5, 2)


class RelayHangs(RelayMoody):
    """The relay says nothing at one stage, for some of its connections."""

    rows = ("R11",)
    answers = ("hang",)


class RelayAway(Fault):
    """Nobody listens at the relay's port for a while; what gathers goes out afterwards."""

    rows = ("R13",)

    def act(self, siege: Siege) -> None:
        siege.say("relay away")
        siege.relay.down()
        self.pause(0.5, 2.5)
        if self.dice.random() < 0.6:
            siege.relay.up()
            siege.works(2)


class MailboxSilent(Fault):
    """The line to the mailbox swallows everything, without a FIN."""

    rows = ("R14",)

    def act(self, siege: Siege) -> None:
        siege.say("line to the mailbox silent")
        siege.post_line.freeze()
        siege.post(2)
        self.pause()


class MailboxDrops(Fault):
    """The mailbox server ends its connections, also in the middle of what it says."""

    rows = ("R14",)

    def act(self, siege: Siege) -> None:
        siege.say("mailbox drops")
        siege.post(2)

        def drop(session: object, tag: str, rest: str) -> bool:
            raise Drop

        siege.mailbox.twists[self.dice.choice(("UID FETCH", "UID STORE", "UID SEARCH", "SELECT", "LOGIN", "IDLE"))] = drop
        siege.mailbox.drop_all()
        self.pause()


class MailboxRenumbers(Fault):
    """Another UIDVALIDITY: every mail is there again under a UID that another one had."""

    rows = ("R15",)

    def act(self, siege: Siege) -> None:
        siege.say("mailbox renumbered")
        siege.post(2)
        siege.mailbox.renumber()
        self.pause()


class MailboxForgets(Fault):
    """Flags are lost."""

    rows = ("R15",)

    def act(self, siege: Siege) -> None:
        siege._look_into_mailbox()
        siege.say("mailbox forgot some flags")
        for message in siege.mailbox.inbox():
            if self.dice.random() < 0.2:
                message.flags.discard("\\Seen")
        siege.mailbox.renumber()
        self.pause()


class MailboxRefuses(Fault):
    """The mailbox does not let itself be changed, or looked into."""

    rows = ("R16",)

    def act(self, siege: Siege) -> None:
        command = self.dice.choice(("UID STORE", "UID FETCH", "SELECT", "IDLE"))
        siege.say(f"mailbox says NO to {command}")
        siege.post(2)
        siege.mailbox.twists[command] = lambda session, tag, rest: session.no(tag, "[OVERQUOTA] not now")
        siege.mailbox.drop_all()
        self.pause()


class Poison(Fault):
    """Mails that break readers come between the others."""

    rows = ("R17",)
    files = sorted(HOSTILE.glob("*.eml"))

    def act(self, siege: Siege) -> None:
        self.count = 0
        for file in self.dice.sample(self.files, 6):
            # As any mail server would hand it over; who dies of it must not take the others' mails along.
            with suppress(smtplib.SMTPException, OSError):
                self.dice.choice(siege.daemons).send(file.read_bytes(), sender="poison@evil.example")
                self.count += 1
        siege.say(f"{self.count} hostile mails taken")


class CustomersCut(Fault):
    """A customer's connections break off in the middle of everything they say."""

    rows = ("R12",)

    def act(self, siege: Siege) -> None:
        siege.say("customers' connections cut")
        for _ in range(5):
            for door in siege.doors:
                door.cut()
            self.pause(0.02, 0.2)


class HalfMails(Fault):
    """Clients that go away in the middle of a mail leave nothing behind."""

    rows = ("R25",)

    def act(self, siege: Siege) -> None:
        for _ in range(3):
            with suppress(OSError), socket.create_connection(("127.0.0.1", siege.daemon.port), 3) as client:
                client.sendall(b"EHLO x\r\nMAIL FROM:<half@evil.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n")
                self.pause(0.02, 0.1)
                client.sendall(b"Subject: half\r\n\r\nhalf a m")
        siege.say("halves of mails")
