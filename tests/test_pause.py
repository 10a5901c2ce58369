"""What a person told to stand still stands still, in every daemon of the store, loses nothing, and is not forgotten."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

import smtplib
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.store import Pausable, Store
from rtmail.store.outbox import ADMIN_TEMPLATE
from rtmail.ticking import Ticker
from tests.fakes.daemon import Running, wait_for
from tests.fakes.house import House, mail
from tests.fakes.sink import Sink
from tests.fakes.stores import NOW, minutes, store, url
from tests.test_store_outbox import add


def test_a_paused_outbox_hands_out_nothing_but_the_admins_notices(store: Store) -> None:
    (held,) = add(store, 1, ticket=0, expires_at=NOW + timedelta(days=5))
    assert store.pause(Pausable.OUTBOX, "root", NOW)
    assert not store.pause(Pausable.OUTBOX, "jane", NOW), "once"
    (notice,) = add(store, 1, ticket=0, template=ADMIN_TEMPLATE)
    assert [(pause.what, pause.by) for pause in store.pauses()] == [(Pausable.OUTBOX, "root")]
    assert [item.id for item in store.lease_outbox("courier", NOW, 10, 60)] == [notice.id]
    later = NOW + timedelta(days=7)
    assert store.resume(Pausable.OUTBOX, later)
    assert not store.resume(Pausable.OUTBOX, later)
    (leased,) = [item for item in store.lease_outbox("courier", later, 10, 60) if item.id == held.id]
    assert leased.expires_at == NOW + timedelta(days=12), "the time for which it stood still does not count"


def test_mail_made_while_the_outbox_stood_still_gets_only_the_rest_of_the_pause(store: Store) -> None:
    store.pause(Pausable.OUTBOX, "root", NOW - timedelta(days=3))
    (made,) = add(store, 1, ticket=0, expires_at=NOW + timedelta(days=5))
    store.resume(Pausable.OUTBOX, NOW + timedelta(days=1))
    (leased,) = store.lease_outbox("courier", NOW + timedelta(days=1), 10, 60)
    assert (leased.id, leased.expires_at) == (made.id, NOW + timedelta(days=6))


def test_paused_escalations_wait_and_come_as_one_mail(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        house.receive(mail())
        house.sent()
        ticker = Ticker(house.engine, lambda: house.now, house.store, tuple)
        house.store.pause(Pausable.ESCALATIONS, "root", house.now)
        ticker._look_at_pauses()
        house.forward(days=3)
        assert ticker._sweep() == 0
        assert ticker._digest() == 0
        assert house.sent() == []
        house.store.resume(Pausable.ESCALATIONS, house.now)
        ticker._look_at_pauses()
        while ticker._sweep():
            pass
        told = [one for one in house.sent() if one.item.template == "escalation"]
        assert len({one.item.recipient for one in told}) == len(told) > 0, "each manager once"


def test_the_admin_is_reminded_once_a_day(tmp_path: Path) -> None:
    with closing(House(tmp_path)) as house:
        house.store.pause(Pausable.OUTBOX, "root", house.now)
        seen = []
        for _ in range(5 * 24):
            house.forward(hours=1)
            house.engine.remind(house.now)
            seen += house.sent()
        assert [(one.item.recipient, one["Subject"]) for one in seen] == [("ops@admin.example", "Still paused: outbox")] * 5
        assert "rtmail resume outbox" in seen[0].text
        assert "root" in seen[0].text
        house.store.resume(Pausable.OUTBOX, house.now)
        house.forward(days=2)
        house.engine.remind(house.now)
        assert house.sent() == []


def receive(house: Running, raw: bytes) -> int:
    return subprocess.run([sys.executable, "-m", "rtmail", "receive", "--to", "support@example.com", "-c", str(house.config)], input=raw,
                          capture_output=True, env=house.environ, cwd=house.folder, timeout=60, check=False).returncode


def test_a_running_house_stands_still_and_goes_on_within_a_moment(tmp_path: Path) -> None:
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as house:
        assert "rtmail resume outbox" in house.cli("pause", "outbox")
        house.send(mail())
        wait_for(house.tickets, 30, "nothing opens")
        assert "paused since" in house.cli("pause")
        assert sink.mails == []
        house.cli("pause", "ingress")

        def answer() -> int:
            try:
                house.send(mail(message_id="<2@acme.example>"))
            except smtplib.SMTPResponseException as error:
                return error.smtp_code
            except smtplib.SMTPSenderRefused as error:
                return error.smtp_code
            return 250

        wait_for(lambda: answer() == 451, 30, "mail is still taken in")
        assert receive(house, mail(message_id="<3@acme.example>")) == 75
        house.cli("resume", "ingress")
        wait_for(lambda: answer() == 250, 30, "mail is not taken in again")
        assert receive(house, mail(message_id="<3@acme.example>")) == 0
        house.cli("resume", "outbox")
        sink.wait(6)
