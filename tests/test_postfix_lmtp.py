"""LMTP from a real Postfix, as docs/postfix.md has it: an answer for each recipient, unix sockets, bounces that find home."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.daemon import Running, free_port, wait_for
from tests.fakes.house import mail
from tests.fakes.postfix import Postfix, example
from tests.fakes.sink import Sink

pytestmark = pytest.mark.servers

BOB, JANE, KIM = "bob@acme.example", "jane@staff.example", "kim@staff.example"
INET = "lmtp:inet:127.0.0.1:2424"
SOCKET = "/run/rtmail-lmtp.sock"


def postfix_for(table: str, filled: dict[str, str], relay: int) -> Postfix:
    return Postfix(main=example("postfix/main.cf") + f"relayhost = [127.0.0.1]:{relay}\n", master=example("postfix/master.cf"),
                   files={"rtmail": example(table, filled)})


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink(refuse={"ann@acme.example": "550 5.1.1 <ann@acme.example>: no such user"}) as sink:
        yield sink


def to(sink: Sink, recipient: str) -> list[str]:
    return [one.raw.decode() for one in sink.mails if one.recipients == (recipient,)]


def test_each_recipient_has_its_own_fate(tmp_path: Path, sink: Sink) -> None:
    lmtp = free_port()
    with postfix_for("postfix/rtmail.lmtp", {INET: f"lmtp:inet:127.0.0.1:{lmtp}"}, sink.port) as postfix:
        # An address that Postfix knows and rtmail does not.
        table = postfix.folder / "rtmail"
        table.write_text(table.read_text() + f"sales@example.com  lmtp:inet:127.0.0.1:{lmtp}\n")
        postfix.reload()
        running = Running(tmp_path, relay=f"smtp://127.0.0.1:{postfix.port}", ingress=f'[ingress.lmtp]\nlisten = "127.0.0.1:{lmtp}"')
        # The daemon is not there yet: nobody is refused.
        seen = len(postfix.deferrals())
        postfix.send(mail(), ["support@example.com", "sales@example.com", "support+unknown.detail@example.com"], BOB)
        assert "Connection refused" in postfix.next_deferral(seen)
        assert not sink.mails
        with running as daemon:
            postfix.wait_empty()
            wait_for(lambda: to(sink, JANE) and to(sink, KIM) and len(to(sink, BOB)) == 2, told="the notices and the bounce did not come")
            (bounce,) = [one for one in to(sink, BOB) if "multipart/report" in one]
            assert re.search(r"Final-Recipient: rfc822; sales@example.com\r\n.*?Status: 5\.1\.1", bounce, re.DOTALL)
            assert "support@example.com" not in re.findall(r"Final-Recipient: rfc822; (\S+)", bounce)
            assert [one["number"] for one in daemon.tickets()] == [1], "both its addresses of one mail are one request"
            assert f"lmtp:inet:127.0.0.1:{lmtp}" in table.read_text()
            assert re.search(r"to=<sales@example.com>, .*status=bounced", postfix.log())
            assert re.search(r"to=<support@example.com>, .*status=sent \(250 2.1.5 <support@example.com> kept as 1\)", postfix.log())


@pytest.mark.parametrize("by_group", [False, True])
def test_a_unix_socket_opens_for_its_group_alone(tmp_path: Path, sink: Sink, by_group: bool) -> None:
    """Postfix's client runs as its own user, who is in no group of ours."""
    postfix = postfix_for("postfix/rtmail.socket", {}, sink.port)
    table = postfix.folder / "rtmail"
    table.write_text(table.read_text().replace(SOCKET, f"{postfix.home}/lmtp"))
    with postfix:
        access = 'mode = "0660"\ngroup = "postfix"' if by_group else 'mode = "0660"'
        ingress = f'[ingress.lmtp]\nlisten = "unix:{postfix.home}/lmtp"\n{access}'
        with Running(tmp_path, relay=f"smtp://127.0.0.1:{postfix.port}", ingress=ingress) as daemon:
            seen = len(postfix.deferrals())
            postfix.send(mail(), "support@example.com", BOB)
            if by_group:
                wait_for(lambda: len(sink.mails) == 3, told="acknowledgement and notices did not come")
                postfix.wait_empty()
                assert [one["number"] for one in daemon.tickets()] == [1]
            else:
                assert "Permission denied" in postfix.next_deferral(seen)


def test_a_bounce_comes_home_by_the_envelope_sender(tmp_path: Path, sink: Sink) -> None:
    """The customer's server refuses our mail to one of them; Postfix's report goes to the VERP address, by LMTP, to the request."""
    lmtp = free_port()
    with postfix_for("postfix/rtmail.lmtp", {INET: f"lmtp:inet:127.0.0.1:{lmtp}"}, sink.port) as postfix:
        ingress = f'[ingress.lmtp]\nlisten = "127.0.0.1:{lmtp}"'
        with Running(tmp_path, relay=f"smtp://127.0.0.1:{postfix.port}", ingress=ingress) as daemon:
            postfix.send(mail(sender="Ann Poe <ann@acme.example>"), "support@example.com", "ann@acme.example")
            wait_for(lambda: [one for one in daemon.ticket(1)["events"] if "bounce" in one["kind"]] if daemon.tickets() else None,
                     told=f"the bounce did not arrive at the request:\n{daemon.told()[-3000:]}")
            postfix.wait_empty()
            wait_for(lambda: len(sink.mails) >= 4, told="staff did not hear of the bounce")
            # Two notices of the request, two of the bounce; nothing to anybody else, and nothing to Ann again.
            assert sorted(one.recipients for one in sink.mails) == [(JANE,), (JANE,), (KIM,), (KIM,)]
            assert "ann@acme.example" in to(sink, JANE)[1]
            assert "the sum closes" in daemon.cli("audit")
