"""Polled mailboxes against a server that serves, lies, drops, renumbers and hangs (docs/faults.md R14-R16)."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from rtmail import log
from rtmail.engine.watching import SILENT_AT_MOST
from rtmail.errors import Deferred, DiskFull
from rtmail.ingress import mailbox as module
from rtmail.ingress.imap import Connection, LoginRefused, MailboxTrouble, Server
from rtmail.ingress.mailbox import Mailbox, Pace, Settings
from rtmail.mail.model import Cut, Envelope
from rtmail.store import MailState, SpoolWriter, Store
from tests.fakes.house import mail
from tests.fakes.imap import Drop, ImapServer, Message, Session
from tests.fakes.stores import until

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LIMIT = 100_000
FAST = Pace(pause=0.01, longest=0.02, login=0.01, login_longest=0.02, look=0.0)


def raw(n: int, size: int = 0) -> bytes:
    return mail(message_id=f"<{n}@acme.example>", subject=f"Mail {n}", text="It is down." + "x" * size)


@dataclass
class Box:
    """A mailbox thread on a real store, and what came of it."""

    server: ImapServer
    store: Store
    settings: Settings
    submit: Callable[[bytes, Envelope], Future[int]]
    owner: str = "me"
    room: Callable[[], None] = lambda: None
    clock: Callable[[], datetime] = lambda: NOW
    running: list[Mailbox] = field(default_factory=list)

    def start(self) -> Mailbox:
        box = Mailbox(self.settings, self.store, self.submit, self.room, self.owner, self.clock, lambda: 1.0)
        self.running.append(box)
        box.start()
        return box

    def stop(self) -> None:
        for box in self.running:
            box.stop()
        for box in self.running:
            box.join(20)
            assert not box._thread.is_alive()
        self.running.clear()

    def kept(self) -> list[bytes]:
        return [self.store.raw(row.raw_id) for row in self.store.list_spool("")]

    def envelopes(self) -> list[Envelope]:
        return [row.envelope for row in self.store.list_spool("")]

    def states(self) -> dict[int, MailState]:
        return self.store.mailbox_mails("office", self.server.uidvalidity)

    def settled(self, *uids: int, state: MailState = MailState.DONE) -> None:
        until(lambda: all(self.states().get(uid) is state for uid in uids))

    def trouble(self) -> str:
        return next((row.trouble for row in self.store.mailboxes() if row.name == "office"), "")


@contextmanager
def boxed(at: Path, server: ImapServer, *, after: str = "flag", to: str = "", poll: float = 0.2, pace: Pace = FAST, writer: Any = None,
          room: Callable[[], None] = lambda: None, limit: int = LIMIT, **access: Any) -> Iterator[Box]:
    store = Store(f"sqlite:///{at / 'box.db'}")
    store.open()
    spool = SpoolWriter(store)
    known = {"host": "127.0.0.1", "port": server.port, "tls": "none", "user": server.user, "password": server.password, "connect": 5.0,
             "answer": 5.0, **access}
    settings = Settings("office", Server(**known), after, to, "support", timedelta(seconds=poll), limit, pace)
    box = Box(server, store, settings, writer or spool.submit, room=room)
    try:
        yield box
    finally:
        box.stop()
        spool.close()
        store.close()


# the road


def test_new_mail_is_kept_then_flagged_and_read_untouched(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        first = server.append(raw(1))
        box.start()
        box.settled(first)
        server.append(raw(2))  # told by IDLE: the poll is far away
        box.settled(1, 2)
        assert box.kept() == [raw(1), raw(2)]
        assert box.envelopes()[0] == Envelope(None, (), "imap:office", NOW - timedelta(hours=1), queue="support")
        assert server.flagged() == {1, 2}
        assert all("BODY.PEEK[]" in line or "SIZE" in line for line in server.said("UID FETCH"))
        assert box.store.mailbox("office").worked_at == NOW


@pytest.mark.parametrize("capabilities", ["IMAP4rev1 IDLE UIDPLUS MOVE", "IMAP4rev1 IDLE UIDPLUS"])
def test_moved_to_a_folder_that_is_made(tmp_path: Path, capabilities: str) -> None:
    with ImapServer(capabilities=capabilities) as server, boxed(tmp_path, server, after="move", to="Gelöst") as box:
        for n in range(1, 4):
            server.append(raw(n))
        box.start()
        box.settled(1, 2, 3)
        assert server.inbox() == []
        assert [message.raw for message in server.folders["Gel&APY-st"]] == [raw(1), raw(2), raw(3)]
        assert any(line.startswith("SUBSCRIBE") for line in server.commands)


def test_deleted_alone_where_the_server_can(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server, after="delete") as box:
        other = server.append(raw(9), "\\Deleted", "\\Seen")
        server.append(raw(1))
        box.start()
        box.settled(2)
        assert [message.uid for message in server.inbox()] == [other], "what another person marked stays"
    with ImapServer(capabilities="IMAP4rev1 IDLE") as server, boxed(tmp_path / "plain", server, after="delete") as box:
        server.append(raw(1))
        box.start()
        box.settled(1)
        assert server.flagged("\\Deleted") == {1}
        assert not [line for line in server.commands if "EXPUNGE" in line]


def test_a_server_without_idle_is_polled(tmp_path: Path) -> None:
    with ImapServer(capabilities="IMAP4rev1 MOVE") as server, boxed(tmp_path, server, poll=0.1) as box:
        box.start()
        until(lambda: box.store.mailboxes() != [] and box.store.mailbox("office").worked_at is not None)
        server.append(raw(1))
        box.settled(1)
        assert not server.said("IDLE")


def test_what_people_read_before_is_theirs_and_what_they_read_later_is_ours(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        later = "23-Nov-2026 09:00:01 +0000"
        server.append(raw(1), "\\Seen")
        server.append(raw(2), arrived=later)
        box.start()
        box.settled(2)
        server.append(raw(3), "\\Seen", arrived=later)  # somebody was faster than our poll
        box.settled(3)
        assert box.kept() == [raw(2), raw(3)]
        assert box.states()[1] is MailState.OLD
        # Renumbered, the old one is still old; ours come again, for the engine to know them.
        server.renumber()
        box.settled(2, 3)
        assert box.states()[1] is MailState.OLD
        assert len(box.kept()) == 4


@pytest.mark.parametrize(("arrived", "taken"), [
    ("23-Nov-2026 08:00:00 +0000", NOW - timedelta(hours=1)),
    ("23-Nov-2026 10:30:00 +0200", NOW - timedelta(minutes=30)),
    ("23-Nov-2036 08:00:00 +0000", NOW),
    ("31-Dec-9999 23:59:59 -1400", NOW),
    ("yesterday", NOW),
    ("99-Foo-2026 99:99:99 +9999", NOW),
])
def test_arrival_is_the_servers_word_but_never_the_future(tmp_path: Path, arrived: str, taken: datetime) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.append(raw(1), arrived=arrived)
        box.start()
        box.settled(1)
        assert box.envelopes()[0].arrived_at == taken


def test_of_a_mail_too_large_the_start_is_taken_in_once_and_the_mail_stays(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.append(raw(1, LIMIT))
        server.append(raw(2))
        box.start()
        box.settled(1, state=MailState.LEFT)
        box.settled(2)
        assert box.kept() == [raw(2), raw(1, LIMIT)[:LIMIT]]
        assert [one.cut for one in box.envelopes()] == [None, Cut(len(raw(1, LIMIT)), LIMIT, "office")]
        assert server.flagged("\\Flagged") == {1}
        assert server.flagged() == {2}
        assert box.store.asides_to_tell(["office"]) == [], "the staff of the queue are told by the request"
        box.stop()
        box.start()
        server.append(raw(3))
        box.settled(3)
        assert box.kept() == [raw(2), raw(1, LIMIT)[:LIMIT], raw(3)]
        box.stop()
        box.settings = replace(box.settings, limit_bytes=2 * LIMIT)  # raised by the admin: taken in after a restart
        box.start()
        box.settled(1)
        assert box.kept()[3:] == [raw(1, LIMIT)]
        assert box.envelopes()[3].begun == 2


def hands_out_all(session: Session, tag: str, rest: str) -> bool | None:
    if "BODY" not in rest:
        return None
    (message,) = session.server.inbox()
    session.send(f"* 1 FETCH (UID 1 BODY[] {{{len(message.raw)}}}\r\n".encode() + message.raw + b")\r\n")
    session.ok(tag)
    return True


def hands_out_nothing(session: Session, tag: str, rest: str) -> bool | None:
    return session.no(tag, "no partial fetch here") if "BODY" in rest else None


@pytest.mark.parametrize("twist", [hands_out_all, hands_out_nothing])
def test_where_the_server_hands_out_no_start_the_admin_is_told(tmp_path: Path, twist: Any) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.twists["UID FETCH"] = twist
        server.append(raw(1, LIMIT))
        box.start()
        box.settled(1, state=MailState.LEFT)
        assert box.kept() == []
        (told,) = box.store.asides_to_tell(["office"])
        assert (told.uid, told.size_bytes > LIMIT) == (1, True)
        assert box.store.asides_to_tell(["office"]) == []


def test_any_number_of_mailboxes_and_the_trouble_of_one_stays_its_own(tmp_path: Path) -> None:
    with ImapServer() as good, ImapServer() as bad, boxed(tmp_path, good) as box:
        bad.twists["SELECT"] = lambda session, tag, rest: threading.Event().wait(3) or True
        one = box.start()
        box.settings = replace(box.settings, name="ill", server=replace(box.settings.server, port=bad.port, answer=0.3))
        box.start()
        until(lambda: bad.connections > 1)
        good.append(raw(1))
        box.settled(1)
        assert one._thread.is_alive()
        until(lambda: box.store.mailbox("ill").trouble == "the server took too long")
        assert box.trouble() == ""


# getting in


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.mark.parametrize("how", ["implicit", "starttls"])
def test_tls_with_a_name_and_an_authority_that_are_checked(tmp_path: Path, authority: trustme.CA, how: str) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with ImapServer(tls=tls_of(authority, "127.0.0.1"), implicit=how == "implicit", before="IMAP4rev1 STARTTLS") as server, \
            boxed(tmp_path, server, tls=how, ca_file=str(ca)) as box:
        server.append(raw(1))
        box.start()
        box.settled(1)
    for names, trusted in ((("elsewhere.example",), str(ca)), (("127.0.0.1",), "")):
        with ImapServer(tls=tls_of(authority, *names), implicit=how == "implicit", before="IMAP4rev1 STARTTLS") as server, \
                boxed(tmp_path, server, tls=how, ca_file=trusted) as box:
            with pytest.raises(ssl.SSLCertVerificationError):
                Connection(box.settings.server, LIMIT)
            assert server.logins == 0
            assert not server.said("LOGIN")


def stripped(session: Session, tag: str, rest: str) -> bool:
    session.send("* CAPABILITY IMAP4rev1\r\n")
    session.ok(tag)
    return True


def refused_tls(session: Session, tag: str, rest: str) -> bool:
    return session.no(tag)


def injected(session: Session, tag: str, rest: str) -> bool:
    session.send(f"{tag} OK begin\r\n* CAPABILITY IMAP4rev1 EVIL\r\n")
    return True


@pytest.mark.parametrize(("command", "twist", "words"), [
    ("CAPABILITY", stripped, "no STARTTLS"),
    ("STARTTLS", refused_tls, "refused STARTTLS"),
    ("STARTTLS", injected, "in the clear"),
])
def test_starttls_that_fails_is_the_end_of_the_try(tmp_path: Path, authority: trustme.CA, command: str, twist: Any, words: str) -> None:
    context = tls_of(authority, "127.0.0.1")
    with ImapServer(tls=context, before="IMAP4rev1 STARTTLS") as server, boxed(tmp_path, server, tls="starttls") as box:
        server.twists[command] = twist
        with pytest.raises(MailboxTrouble, match=words):
            Connection(box.settings.server, LIMIT)
        assert server.logins == 0
        assert not server.said("LOGIN")


@pytest.mark.parametrize("how", ["starttls", "none"])
def test_a_session_open_before_the_login_is_not_taken(tmp_path: Path, how: str) -> None:
    with ImapServer(greeting="* PREAUTH welcome", before="IMAP4rev1 STARTTLS") as server, boxed(tmp_path, server, tls=how) as box:
        with pytest.raises(MailboxTrouble, match="did not ask for a login"):
            Connection(box.settings.server, LIMIT)
        assert server.commands == ["CAPABILITY"]


def test_no_password_in_the_clear_off_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        monkeypatch.setattr("rtmail.ingress.imap._Wire.peer", "192.0.2.1")
        with pytest.raises(MailboxTrouble, match="in the clear"):
            Connection(box.settings.server, LIMIT)
        assert not server.said("LOGIN")


def test_a_token_is_fetched_for_each_connection(tmp_path: Path) -> None:
    """I7: tokens live an hour, connections longer."""
    fresh = iter(f"token-{n}" for n in range(1, 99))
    with ImapServer(token="token-1") as server, boxed(tmp_path, server, token=lambda: next(fresh)) as box:
        server.append(raw(1))
        box.start()
        box.settled(1)
        server.token = "token-2"
        server.drop_all()
        server.append(raw(2))
        box.settled(2)
        assert server.said("AUTHENTICATE XOAUTH2")
        assert not server.said("LOGIN")


@pytest.mark.parametrize(("user", "password", "said"), [
    ('do"main\\box', "sec ret", 'LOGIN "do\\"main\\\\box" "sec ret"'),
    ("grün@example.com", "größe", "AUTHENTICATE PLAIN"),
])
def test_odd_names_and_passwords(tmp_path: Path, user: str, password: str, said: str) -> None:
    with ImapServer(user=user, password=password) as server, boxed(tmp_path, server) as box:
        server.twists["LOGIN"] = lambda session, tag, rest: session._enter(tag, True) or True
        Connection(box.settings.server, LIMIT).close()
        assert said in server.commands


@pytest.mark.parametrize("field_", ["user", "password", "folder"])
def test_no_line_end_gets_into_a_command(tmp_path: Path, field_: str) -> None:
    """F9: it would be a command of its own."""
    with ImapServer() as server, boxed(tmp_path, server, **{field_: "x\r\nX DELETE INBOX"}) as box:
        with pytest.raises(MailboxTrouble, match="line end"):
            Connection(box.settings.server, LIMIT)
        assert server.connections == 0


def test_a_folder_beyond_ascii_is_named_in_its_own_way(tmp_path: Path) -> None:
    """Modified UTF-7 (RFC 3501 5.1.3), where a plain & is &-."""
    with ImapServer() as server, boxed(tmp_path, server, folder="Büro & Co") as box:
        server.append(raw(1))
        box.start()
        box.settled(1)
        assert server.said("SELECT") == ['SELECT "B&APw-ro &- Co"']


def test_words_of_a_mail_never_get_into_a_command(tmp_path: Path) -> None:
    evil = b'Message-ID: <a>"\r\nX9 DELETE INBOX\r\n\r\n'.replace(b'"\r\n', b'"\nX9 ')
    with ImapServer() as server, boxed(tmp_path, server, after="move", to="Done") as box:
        server.append(evil)
        server.append(raw(2))
        box.start()
        box.settled(1, 2)
        assert not [line for line in server.commands if "X9" in line or "DELETE" in line]


def test_a_refused_login_is_tried_slowly_and_names_no_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slow = replace(FAST, login=60.0, login_longest=60.0)
    with ImapServer() as server, boxed(tmp_path, server, password="wr0ng-secret", pace=slow) as box:
        with pytest.raises(LoginRefused):
            Connection(box.settings.server, LIMIT)
        box.start()
        until(lambda: box.trouble() != "")
        assert box.trouble() == "the server refused the login of box (AUTHENTICATIONFAILED)"
        assert server.connections == 2
    assert log.flush(10)
    said = capfd.readouterr().err
    assert "mailbox_lost" in said
    assert "secret" not in said


def test_pauses_grow_and_are_jittered() -> None:
    pauses = []
    for jitter in (0.0, 1.0):
        box = Mailbox(Settings("b", Server("h", 1, "none", "u"), "flag", "", "", timedelta(1), 1), _Deaf(), None, None, "me",  # type: ignore[arg-type]
                      lambda: NOW, lambda jitter=jitter: jitter)
        pauses.append([box._failed(OSError(111, "refused")) for _ in range(9)])
    assert pauses[1] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses[0] == [seconds / 2 for seconds in pauses[1]]


class _Deaf:
    def mailbox_failed(self, *_: object) -> None:
        """The ledger that this test does not look at."""


# servers that lie, drop and hang


def test_i1_a_server_that_dies_in_idle_is_noticed_at_once(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        box.start()
        until(lambda: bool(server.said("IDLE")))
        server.drop_all()
        until(lambda: len(server.said("IDLE")) == 2)
        server.append(raw(1))
        box.settled(1)
        assert server.connections == 2


def test_i1_goodbye_in_idle_is_the_end(tmp_path: Path) -> None:
    def bye(session: Session, tag: str, rest: str) -> bool:
        session.send("+ idling\r\n* BYE shutting down\r\n")
        del server.twists["IDLE"]
        session.file.readline()
        return True

    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        server.twists["IDLE"] = bye
        box.start()
        until(lambda: server.connections == 2)
        server.append(raw(1))
        box.settled(1)


def test_i2_a_line_that_comes_in_pieces_is_one_line(tmp_path: Path) -> None:
    def pieces(session: Session, tag: str, rest: str) -> bool:
        session.send("+ idling\r\n")
        del server.twists["IDLE"]
        server.append(raw(1))
        for piece in ("* OK still", " here\r\n* ", "1 EXI", "STS\r\n"):
            session.send(piece)
            time.sleep(0.6)  # longer than one read of the client waits
        assert session.file.readline() == b"DONE\r\n"
        session.ok(tag)
        return True

    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        server.twists["IDLE"] = pieces
        box.start()
        box.settled(1)
        assert server.connections == 1


def garbage(session: Session, tag: str, rest: str) -> bool:
    session.send(b"* \xff\xfe (((((\r\n\x00\r\n" + tag.encode() + b" WHAT\r\n")
    return True


def half(session: Session, tag: str, rest: str) -> bool:
    session.send("* 1 FETCH (UID 1 BODY[] {500}\r\nFrom:")
    raise Drop


def unbalanced(session: Session, tag: str, rest: str) -> bool:
    session.send("* 1 FETCH " + "(" * 5000 + "\r\n")
    session.ok(tag)
    return True


def endless(session: Session, tag: str, rest: str) -> bool:
    while True:
        session.send(b"* 1 EXISTS\r\n" * 5000)


def endless_line(session: Session, tag: str, rest: str) -> bool:
    session.send(b"* OK ")
    while True:
        session.send(b"x" * 65536)


def drip(session: Session, tag: str, rest: str) -> bool:
    while True:
        session.send(b"*")
        time.sleep(0.05)


def hang(session: Session, tag: str, rest: str) -> bool:
    session.file.readline()
    raise Drop


def other_tag(session: Session, tag: str, rest: str) -> bool:
    session.send("ZZZZ9 OK done\r\n")
    return True


def literal_of_2_gb(session: Session, tag: str, rest: str) -> bool:
    session.send("* 1 FETCH (UID 1 BODY[] {2147483648}\r\n")
    session.file.readline()
    raise Drop


def many_mails(session: Session, tag: str, rest: str) -> bool:
    session.send("* 1000000000 EXISTS\r\n* SEARCH 1 4294967296 99999999999999999999 0 1\r\n")
    session.ok(tag)
    return True


NONSENSE = (garbage, half, unbalanced, endless, endless_line, drip, hang, other_tag, literal_of_2_gb, many_mails)


@pytest.mark.parametrize("command", ["CAPABILITY", "LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "IDLE"])
def test_nonsense_ends_the_connection_and_nothing_else(tmp_path: Path, command: str) -> None:
    """Each answer once at each command; afterwards the server is as good as any, and every mail is taken in once."""
    with ImapServer() as server, boxed(tmp_path, server, answer=0.4, connect=0.4, poll=1.0) as box:
        box.start()
        until(lambda: bool(server.said("IDLE")))
        for n, twist in enumerate(NONSENSE, 1):
            def once(session: Session, tag: str, rest: str, twist: Any = twist) -> bool | None:
                del server.twists[command]
                return bool(twist(session, tag, rest))

            server.twists[command] = once
            server.append(raw(n))
            server.drop_all()
            box.settled(n)
            until(lambda: command not in server.twists)
        assert box.kept() == [raw(n) for n in range(1, len(NONSENSE) + 1)]


def test_a_server_that_never_stops_talking_is_stopped_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtmail.ingress.imap.SPOKEN_BYTES", 1 << 20)
    with ImapServer() as server, boxed(tmp_path, server, answer=600.0) as box:
        server.twists["SELECT"] = endless
        with pytest.raises(MailboxTrouble, match="says too much"):
            Connection(box.settings.server, LIMIT)


def test_i3_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    with ImapServer(greeting="") as server, boxed(tmp_path, server, connect=0.3, answer=0.3) as box:
        server.twists["CAPABILITY"] = hang
        box.start()
        until(lambda: box.trouble() == "the server took too long")
        assert server.connections >= 1


def test_r14_silence_in_idle_is_found_by_the_poll(tmp_path: Path) -> None:
    """The line is cut without a FIN: nothing arrives any more, DONE is not answered."""
    with ImapServer() as server, boxed(tmp_path, server, poll=1.0, answer=0.5) as box:
        def dead(session: Session, tag: str, rest: str) -> bool:
            session.send("+ idling\r\n")
            del server.twists["IDLE"]
            return bool(threading.Event().wait(30)) or True

        server.twists["IDLE"] = dead
        box.start()
        until(lambda: "IDLE" not in server.twists)
        server.append(raw(1))
        box.settled(1)


def test_idle_is_renewed_before_servers_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.Connection.idle.__globals__["IDLE_RENEWED"] < 29 * 60
    monkeypatch.setitem(module.Connection.idle.__globals__, "IDLE_RENEWED", 0.3)
    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        box.start()
        until(lambda: len(server.said("IDLE")) >= 3)
        assert server.connections == 1


def test_i4_the_last_mail_is_not_new_again(tmp_path: Path) -> None:
    slow = replace(FAST, look=3600.0)
    with ImapServer() as server, boxed(tmp_path, server, pace=slow, poll=1.0) as box:
        server.append(raw(1))
        box.start()
        until(lambda: "UID SEARCH UID 2:*" in server.commands)
        looks = len(server.said("UID SEARCH"))
        until(lambda: len(server.said("UID SEARCH")) > looks)
        assert len(box.kept()) == 1
        assert len(server.said("UID FETCH")) == 2
        connection = Connection(box.settings.server, LIMIT)
        assert [connection.uids(after) for after in (0, 1, 2**32 - 1)] == [{1}, set(), set()]
        connection.close()


@pytest.mark.parametrize("after", ["flag", "move"])
def test_r15_a_new_uidvalidity_is_read_again(tmp_path: Path, after: str) -> None:
    with ImapServer() as server, boxed(tmp_path, server, after=after, to="Done") as box:
        server.twists["UID MOVE"] = lambda session, tag, rest: session.no(tag, "[OVERQUOTA] full")
        for n in range(1, 4):
            server.append(raw(n), arrived="23-Nov-2026 09:00:01 +0000")
        box.start()
        until(lambda: len(box.kept()) == 3)
        box.stop()
        server.inbox()[0].flags.clear()
        server.folders["INBOX"].reverse()
        server.twists.clear()
        server.renumber()
        box.start()
        box.settled(1, 2, 3)
        # Read again and kept again: that it is the same mail is the engine's to know.
        assert len(box.kept()) == 6
        assert len(set(box.kept())) == 3
        assert (server.flagged() == {1, 2, 3}) if after == "flag" else (len(server.folders["Done"]) == 3)
        # Back to the number before: nothing of it is read a third time.
        kept = len(box.kept())
        server.renumber(7)
        server.next_uid = 50
        until(lambda: len(server.said("SELECT")) >= 3 and box.store.mailbox("office").worked_at is not None)
        server.append(raw(9))
        until(lambda: raw(9) in box.kept())
        assert len(box.kept()) == kept + 1


def test_no_uidvalidity_is_no_mailbox_that_can_be_read(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.twists["SELECT"] = lambda session, tag, rest: session.send(f"* 1 EXISTS\r\n{tag} OK [READ-WRITE]\r\n") or True
        with pytest.raises(MailboxTrouble, match="UIDVALIDITY"):
            Connection(box.settings.server, LIMIT)


def test_another_place_under_the_same_name_is_another_mailbox(tmp_path: Path) -> None:
    with ImapServer() as server, ImapServer() as other, boxed(tmp_path, server) as box:
        server.append(raw(1))
        box.start()
        box.settled(1)
        box.stop()
        other.append(raw(2))  # the same UIDVALIDITY and UID
        box.settings = replace(box.settings, server=replace(box.settings.server, port=other.port))
        box.start()
        until(lambda: box.kept() == [raw(1), raw(2)] and other.flagged() == {1})


def test_a_mail_that_vanishes_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        def vanish(session: Session, tag: str, rest: str) -> None:
            if "BODY" in rest:
                del server.twists["UID FETCH"]
                session._remove([server.inbox()[0]])

        server.twists["UID FETCH"] = vanish
        server.append(raw(1))
        server.append(raw(2))
        box.start()
        box.settled(2)
        until(lambda: box.store.mailbox("office").worked_at is not None)
        assert box.kept() == [raw(2)]
        assert server.connections == 1


def test_mails_that_appear_below_the_last_are_found(tmp_path: Path) -> None:
    """A server with several heads shows UID 2 before UID 1."""
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.next_uid = 2
        server.append(raw(2))
        box.start()
        box.settled(2)
        server.folders["INBOX"].insert(0, Message(1, raw(1)))
        box.settled(1)


def test_a_mail_that_kills_every_fetch_is_left_to_people_and_holds_back_nobody(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        def choke(session: Session, tag: str, rest: str) -> None:
            uids = [message.uid for _, message in session._chosen(rest.split(" ")[0])]
            if "BODY" in rest and 2 in uids:
                raise Drop

        server.twists["UID FETCH"] = choke
        for n in range(1, 4):
            server.append(raw(n))
        box.start()
        box.settled(1, 3)
        box.settled(2, state=MailState.LEFT)
        assert server.flagged("\\Flagged") == {2}
        assert box.kept() == [raw(1), raw(3)]
        until(lambda: box.trouble() == "")


@pytest.mark.parametrize("told", [10, 0, LIMIT])
def test_a_mail_larger_than_was_told(tmp_path: Path, told: int) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.append(raw(1))
        server.append(raw(2, LIMIT), size=told)
        server.append(raw(3), size=told)  # smaller or larger than told, and small enough: as good as any
        box.start()
        box.settled(1, 3)
        box.settled(2, state=MailState.LEFT)


def withheld(session: Session, tag: str, rest: str) -> bool | None:
    if "BODY" not in rest:
        return None
    session.send("* 1 FETCH (UID 1 BODY[] NIL)\r\n* 9 FETCH (UID 77 BODY[] {4}\r\nevil)\r\n* 2 FETCH (FLAGS ())\r\n")
    session.ok(tag)
    return True


def empty(session: Session, tag: str, rest: str) -> bool | None:
    if "BODY" not in rest:
        return None
    session.send('* 1 FETCH (UID 1 BODY[] "")\r\n')
    session.ok(tag)
    return True


def unlisted(session: Session, tag: str, rest: str) -> bool | None:
    session.ok(tag)
    return True


@pytest.mark.parametrize("twist", [withheld, empty, unlisted])
def test_a_mail_that_is_not_handed_out_is_left_to_people(tmp_path: Path, twist: Any) -> None:
    with ImapServer() as server, boxed(tmp_path, server, poll=1.0) as box:
        server.twists["UID FETCH"] = twist
        server.append(raw(1))
        box.start()
        box.settled(1, state=MailState.LEFT)
        assert box.kept() == []
        assert server.flagged("\\Flagged") == {1}


# R16: a server that does not change what it is asked to change


@pytest.mark.parametrize("capabilities", ["IMAP4rev1 IDLE UIDPLUS MOVE", "IMAP4rev1 IDLE UIDPLUS"])
def test_r16_a_full_folder_never_takes_a_mail_in_twice(tmp_path: Path, capabilities: str) -> None:
    with ImapServer(capabilities=capabilities) as server, boxed(tmp_path, server, after="move", to="Done", poll=1.0) as box:
        server.folders["Done"] = []
        for command in ("UID MOVE", "UID COPY"):
            server.twists[command] = lambda session, tag, rest: session.no(tag, "[OVERQUOTA] full")
        for n in range(1, 4):
            server.append(raw(n))
        box.start()
        until(lambda: "[OVERQUOTA] full" in box.trouble())
        for _ in range(3):
            looks = len(server.said("UID SEARCH"))
            until(lambda: len(server.said("UID SEARCH")) > looks)  # noqa: B023
        assert len(box.kept()) == 3
        assert len(server.inbox()) == 3
        assert box.store.mailbox("office").worked_at is None
        assert server.connections == 1
        server.append(raw(4))  # new mail is taken in all the same
        until(lambda: len(box.kept()) == 4)
        server.twists.clear()
        box.settled(1, 2, 3, 4)
        assert len(server.folders["Done"]) == 4
        until(lambda: box.trouble() == "")


def test_r16_a_folder_that_cannot_be_made_is_told_and_new_mail_comes_in_all_the_same(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server, after="move", to="Done", poll=1.0) as box:
        server.twists["CREATE"] = lambda session, tag, rest: session.no(tag, "[CANNOT] below INBOX only")
        server.append(raw(1))
        box.start()
        until(lambda: "no such folder" in box.trouble())
        server.append(raw(2))
        until(lambda: len(box.kept()) == 2)
        looks = len(server.said("UID MOVE"))
        until(lambda: len(server.said("UID MOVE")) > looks)
        assert len(server.said("CREATE")) == 1
        assert box.kept() == [raw(1), raw(2)]
        server.folders["Done"] = []  # made by hand
        box.settled(1, 2)


def test_r16_copies_do_not_grow_while_the_original_cannot_be_deleted(tmp_path: Path) -> None:
    with ImapServer(capabilities="IMAP4rev1 IDLE UIDPLUS") as server, boxed(tmp_path, server, after="move", to="Done", poll=1.0) as box:
        server.twists["UID STORE"] = lambda session, tag, rest: session.no(tag)
        server.append(raw(1))
        box.start()
        until(lambda: box.trouble() != "")
        for _ in range(3):
            looks = len(server.said("UID STORE"))
            until(lambda: len(server.said("UID STORE")) > looks)  # noqa: B023
        assert len(server.folders["Done"]) == 1
        server.twists.clear()
        box.settled(1)
        assert server.inbox() == []
        assert len(server.folders["Done"]) == 1
        assert len(box.kept()) == 1


def test_r16_one_mail_that_cannot_be_moved_holds_back_no_other(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server, after="move", to="Done") as box:
        server.twists["UID MOVE"] = lambda session, tag, rest: (
            session.no(tag) if any(message.uid == 2 for _, message in session._chosen(rest.split(" ")[0])) else None)
        for n in range(1, 6):
            server.append(raw(n))
        box.start()
        box.settled(1, 3, 4, 5)
        assert box.states()[2] is MailState.KEPT
        server.folders["INBOX"].clear()
        box.settled(2)  # somebody moved it by hand


def test_a_read_only_mailbox_is_told_as_trouble(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server) as box:
        server.twists["SELECT"] = lambda session, tag, rest: session.send(
            f"* 0 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n{tag} OK [READ-ONLY] in\r\n") or True
        box.start()
        until(lambda: box.trouble() != "")


# ours


def test_no_room_leaves_the_mailbox_as_it_is(tmp_path: Path) -> None:
    full = [True]

    def room() -> None:
        if full:
            raise DiskFull

    with ImapServer() as server, boxed(tmp_path, server, room=room) as box:
        server.append(raw(1))
        box.start()
        until(lambda: "insufficient system storage" in box.trouble())
        assert not [line for line in server.commands if "BODY" in line or "STORE" in line]
        full.clear()
        box.settled(1)


def test_a_look_that_takes_long_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten thousands of mails in it, the mailbox was told as one that cannot be read, while it was."""
    monkeypatch.setattr("rtmail.ingress.mailbox.BATCH_MAILS", 1)
    now, silent = [NOW], list[timedelta]()

    with ImapServer() as server, boxed(tmp_path, server) as box:
        def room() -> None:
            silent.append(box.store.mailbox("office").silent_for(now[0]))
            now[0] += timedelta(minutes=10)

        box.room, box.clock = room, lambda: now[0]
        for n in range(1, 6):
            server.append(raw(n))
        box.start()
        box.settled(*range(1, 6))
        assert len(silent) == 5
        assert max(silent) < SILENT_AT_MOST


def test_only_what_is_kept_is_flagged(tmp_path: Path) -> None:
    """Half of a batch is kept, the other half refused: "not now" for it, and a flag for none of it."""
    store_ids = iter(range(100, 200))
    refuse = [True]

    def submit(raw: bytes, envelope: Envelope) -> Future[int]:
        future: Future[int] = Future()
        if refuse and b"Mail 2" in raw:
            future.set_exception(Deferred())
        else:
            future.set_result(next(store_ids))
        return future

    with ImapServer() as server, boxed(tmp_path, server, writer=submit) as box:
        for n in range(1, 4):
            server.append(raw(n))
        box.start()
        box.settled(1, 3)
        assert server.flagged() == {1, 3}
        assert 2 not in box.states()
        refuse.clear()
        box.settled(1, 2, 3)


def test_one_daemon_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_SECONDS", 1.0)
    with ImapServer() as server, boxed(tmp_path, server) as box:
        box.store.lease_mailbox("office", "another", NOW, 60)
        server.append(raw(1))
        box.start()
        time.sleep(0.5)
        assert server.connections == 0
        box.store.release_mailbox("office", "another")
        box.settled(1)
        until(lambda: bool(box.running[0].worked_at))
        # Taken over by another one while we were away: we leave, and tell no more how long ago it was read.
        assert box.store.lease_mailbox("office", "another", NOW + timedelta(minutes=5), 60)
        until(lambda: not box.running[0]._begun)
        until(lambda: not box.running[0].worked_at)
        logins = server.logins
        server.append(raw(2))
        time.sleep(0.5)
        assert 2 not in box.states()
        assert server.logins == logins


def test_it_ends_soon_when_told_and_lets_go(tmp_path: Path) -> None:
    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        box.start()
        until(lambda: bool(server.said("IDLE")))
        begun = time.monotonic()
        box.stop()
        assert time.monotonic() - begun < 5
        assert server.commands[-2:] == ["DONE", "LOGOUT"]
        assert box.store.lease_mailbox("office", "another", NOW, 60)


def test_a_server_that_tells_of_mail_that_is_not_there_does_not_keep_us_busy(tmp_path: Path) -> None:
    def news(session: Session, tag: str, rest: str) -> bool:
        session.send("+ idling\r\n* 99 EXISTS\r\n")
        session.file.readline()
        session.ok(tag)
        return True

    with ImapServer() as server, boxed(tmp_path, server, poll=600) as box:
        server.twists["IDLE"] = news
        box.start()
        until(lambda: len(server.said("IDLE")) >= 4)
        time.sleep(1)
        assert len(server.said("IDLE")) < 8
