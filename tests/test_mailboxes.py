"""The mailboxes of a daemon through a reload: who goes on, who begins anew and when, and what is told of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rtmail.ingress.imap import Server
from rtmail.ingress.mailbox import Mailbox, Pace, Settings
from rtmail.ops.mailboxes import Mailboxes
from rtmail.store import MailState, SpoolWriter, Store
from tests.fakes.house import mail
from tests.fakes.imap import ImapServer, Session
from tests.fakes.stores import until

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PACE = Pace(pause=0.01, longest=0.02, login=0.01, login_longest=0.02, look=0.0)


def settings(server: ImapServer, name: str = "office", **more: object) -> Settings:
    place = Server("127.0.0.1", server.port, "none", server.user, server.password, connect=5.0, answer=20.0)
    return replace(Settings(name, place, "flag", "", "support", timedelta(minutes=10), 100_000, PACE), **more)  # type: ignore[arg-type]


@contextmanager
def reading(folder: Path) -> Iterator[tuple[Mailboxes, Store]]:
    store = Store(f"sqlite:///{folder / 'boxes.db'}")
    store.open()
    spool = SpoolWriter(store)
    boxes = Mailboxes(lambda one: Mailbox(one, store, spool.submit, lambda: None, "me", lambda: NOW, lambda: 1.0))
    try:
        yield boxes, store
    finally:
        boxes.stop()
        boxes.join(30)
        spool.close()
        store.close()


def state(store: Store, name: str, uid: int, validity: int = 7) -> Callable[[], bool]:
    return lambda: store.mailbox_mails(name, validity).get(uid) is MailState.DONE


def test_a_reload_changes_only_the_mailboxes_that_changed(tmp_path: Path) -> None:
    with ImapServer() as same, ImapServer() as changed, ImapServer() as gone, ImapServer() as new, reading(tmp_path) as (boxes, store):
        first = [settings(same, "same"), settings(changed, "changed"), settings(gone, "gone")]
        boxes.use(first)
        until(lambda: all(server.said("IDLE") for server in (same, changed, gone)))
        boxes.use([first[0], settings(changed, "changed", after="move", folder="Done"), settings(new, "new")])
        assert sorted(boxes.names()) == ["changed", "new", "same"]
        for server in (same, changed, new):
            server.append(mail())
        until(state(store, "same", 1))
        until(state(store, "changed", 1))
        until(state(store, "new", 1))
        assert len(changed.folders["Done"]) == 1
        assert (same.connections, changed.connections) == (1, 2)
        until(lambda: gone.commands[-1] == "LOGOUT")
        until(lambda: store.lease_mailbox("gone", "another", NOW, 60))


def test_a_changed_mailbox_begins_when_its_former_reader_has_ended(tmp_path: Path) -> None:
    """Under its name the ledger of another place begins: what the former reader still notes must not stand in it."""
    go_on = threading.Event()

    def slow(session: Session, tag: str, rest: str) -> None:
        if "BODY" in rest:
            go_on.wait(20)

    with ImapServer() as former, ImapServer() as latter, reading(tmp_path) as (boxes, store):
        former.twists["UID FETCH"] = slow
        former.append(mail(message_id="<1@acme.example>"))
        latter.append(mail(message_id="<2@acme.example>"))  # the same UIDVALIDITY and UID
        boxes.use([settings(former)])
        until(lambda: any("BODY" in line for line in former.said("UID FETCH")))
        # Changed, and changed again, while the first one is still at it.
        boxes.use([settings(latter, after="delete")])
        boxes.use([settings(latter)])
        threading.Event().wait(0.5)
        assert latter.connections == 0
        go_on.set()
        until(lambda: latter.flagged() == {1})
        assert len(list(store.list_spool(""))) == 2


def test_what_is_told_of_them(tmp_path: Path) -> None:
    with ImapServer() as good, ImapServer() as bad, reading(tmp_path) as (boxes, _):
        bad.twists["SELECT"] = lambda session, tag, rest: session.no(tag, "[NOPERM] not for you")
        assert boxes.told(NOW) == []
        boxes.use([settings(good, "good")])
        until(lambda: boxes.told(NOW) == ["mailbox good: last success 0 s ago"])
        ages = {119: "119 s", 120: "2 min", 7199: "119 min", 7200: "2 h", 47 * 3600: "47 h", 48 * 3600: "2 d", -5: "0 s"}
        for age, told in ages.items():
            assert boxes.told(NOW + timedelta(seconds=age)) == [f"mailbox good: last success {told} ago"]
        boxes.use([settings(good, "good"), settings(bad, "bad")])
        until(lambda: "mailbox bad: no success yet, " in boxes.told(NOW)[0])
        assert boxes.told(NOW)[1] == "mailbox good: last success 0 s ago"
        boxes.use([settings(good, f"good{n}") for n in range(9)] + [settings(bad, "bad")])
        until(lambda: len(boxes.told(NOW)) == 2 and boxes.told(NOW)[1] == "9 more mailboxes, 0 of them with trouble")
        assert boxes.told(NOW)[0].startswith("mailbox bad: no success yet, ")


@pytest.mark.parametrize("stopped_early", [True, False])
def test_one_that_waits_for_its_former_reader_can_be_stopped(tmp_path: Path, stopped_early: bool) -> None:
    go_on = threading.Event()

    def slow(session: Session, tag: str, rest: str) -> bool:
        go_on.wait(20)
        return session.no(tag)

    with ImapServer() as server, reading(tmp_path) as (boxes, store):
        server.twists["SELECT"] = slow
        boxes.use([settings(server)])
        until(lambda: bool(server.said("SELECT")))
        boxes.use([settings(server, after="delete")])
        if stopped_early:
            boxes.stop()
        go_on.set()
        server.twists.clear()
        if not stopped_early:
            until(lambda: bool(server.said("IDLE")))
            boxes.stop()
        boxes.join(20)
        assert store.lease_mailbox("office", "another", NOW, 60)
