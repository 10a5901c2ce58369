"""No loops: two daemons that write to each other fall silent, and a robot without any sign of one meets the caps."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtmail.engine.office import Caps
from tests.fakes.daemon import Running, free_port, parsed, wait_for
from tests.fakes.house import House, blueprint, mail
from tests.fakes.sink import Sink, Taken


def test_two_daemons_pointed_at_each_other_fall_silent(tmp_path: Path) -> None:
    """Each one's customer is the other's support address: three mails at most, then nothing more."""
    one, other = free_port(), free_port()
    with (
        Sink() as sink,
        Switch({"one.example": one, "other.example": other}, sink.port) as switch,
        Running(tmp_path / "one", domain="one.example", name="One", relay=f"smtp://127.0.0.1:{switch.port}", port=one) as first,
        Running(tmp_path / "other", domain="other.example", name="Other", relay=f"smtp://127.0.0.1:{switch.port}", port=other) as second,
    ):
        first.send(
            mail(sender="Other <support@other.example>", to="support@one.example", message_id="<seed@other.example>"),
            sender="support@other.example",
        )
        wait_for(lambda: switch.between, told="the first daemon answered nobody")
        wait_for(lambda: quiet(first) and quiet(second), 30, "the daemons did not come to rest")
        assert len(switch.between) <= 3, [str(parsed(mail_.raw)["Subject"]) for mail_ in switch.between]
        assert len(first.tickets()) == 1
        assert len(second.tickets()) <= 1
        assert "the sum closes" in first.cli("audit")
        assert "the sum closes" in second.cli("audit")


def quiet(daemon: Running) -> bool:
    return "waiting   0" in daemon.cli("audit") and daemon.cli("outbox", "list").strip() == "none"


class Switch:
    """Takes what both daemons send, hands their mails for each other on, and everything else to the sink."""

    def __init__(self, ports: dict[str, int], rest: int) -> None:
        self._ports, self._rest, self._sink, self._seen = ports, rest, Sink(), 0
        self.between: list[Taken] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def port(self) -> int:
        return self._sink.port

    def __enter__(self) -> Switch:
        self._sink.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)
        self._sink.stop()

    def _work(self) -> None:
        while not self._ended.wait(0.02):
            for taken in self._sink.mails[self._seen :]:
                self._seen += 1
                port = self._ports.get(taken.recipients[0].rpartition("@")[2], self._rest)
                if port != self._rest:
                    self.between.append(taken)
                with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                    client.sendmail(taken.sender, list(taken.recipients), taken.raw)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, plan=blueprint(caps=Caps(per_address=3, overall=5)))
    yield made
    made.close()


def test_a_robot_without_any_sign_meets_the_cap_of_its_address(house: House) -> None:
    """It answers each acknowledgement with a fresh mail: three answers, one word to the admin, requests open as ever."""
    for number in range(8):
        house.receive(
            mail(sender="Robot <robot@far.example>", subject=f"Your mail {number}", message_id=f"<{number}@far.example>"),
            sender="robot@far.example",
        )
    sent = house.sent()
    assert sum(one.item.template == "acknowledgement" for one in sent) == 3
    assert sum(one.item.template == "admin-notice" for one in sent) == 1
    assert house.store.by_number(8) is not None
    shown = next(one for one in sent if one.item.template == "opened" and "mail 7" in one["Subject"])
    assert "No automatic answer went out" in shown.text


def test_the_cap_over_all_addresses_holds_too_and_ends_with_its_window(house: House) -> None:
    for number in range(9):
        house.receive(
            mail(sender=f"<u{number}@far{number}.example>", message_id=f"<{number}@far.example>", subject=f"Case {number}"),
            sender=f"u{number}@far{number}.example",
        )
    assert sum(one.item.template == "acknowledgement" for one in house.sent()) == 5
    house.forward(hours=2)
    house.receive(mail(sender="<z@farther.example>", message_id="<z@farther.example>"), sender="z@farther.example")
    assert sum(one.item.template == "acknowledgement" for one in house.sent()) == 1


@pytest.mark.parametrize(
    ("headers", "sender"),
    [
        ("", ""),
        ("Auto-Submitted: auto-replied", "bob@acme.example"),
        ("X-Autoreply: yes", "bob@acme.example"),
        ("X-RTMail-Loop: example.com", "bob@acme.example"),
        ("Precedence: bulk", "bob@acme.example"),
    ],
)
def test_no_automatic_answer_to_robots_reports_and_ourselves(house: House, headers: str, sender: str) -> None:
    house.receive(mail(headers=headers), sender=sender)
    assert not [one for one in house.sent() if one.item.template in ("acknowledgement", "received")]


def test_mail_from_our_own_address_is_never_answered(house: House) -> None:
    house.receive(mail(sender="Us <support@example.com>"), sender="support@example.com")
    assert not [one for one in house.sent() if one.item.recipient == "support@example.com"]
