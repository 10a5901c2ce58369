"""The SMTP listener over real sockets: what is kept, what is refused and how, and what one peer may use of us."""

from __future__ import annotations

import asyncio
import base64
import os
import smtplib
import socket
import ssl
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from rtmail.errors import Deferred, DiskFull
from rtmail.ingress import crowding
from rtmail.ingress.content import Content, LineMeter, Unwrapper, hops
from rtmail.ingress.crowding import Guest, least_missed
from rtmail.ingress.limits import Connections, Gate, Limits, network_of, plain_address
from rtmail.ingress.smtp import Where
from rtmail.ingress.smtp_session import enhanced
from rtmail.mail.model import Envelope
from tests.fakes.listening import ARRIVED, House, until

MAIL = b"From: ann@customer.test\r\nSubject: hi\r\n\r\nwords\r\n"
FAST = Limits(message_bytes=100_000, idle_commands=1000, errors=1000)


# The DATA phase as values


@pytest.mark.parametrize(("sent", "content", "rest"), [
    (b".\r\n", b"", b""),
    (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
    (b"..a\r\n.b\r\n...\r\n.\r\n", b".a\r\nb\r\n..\r\n", b""),
    (b"\r\n.\r\n", b"\r\n", b""),
    (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", b""),
    (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", b""),
    (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", b""),
    (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", b""),
    (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", b""),
    (b"a\r\n\x00.\r\nb\r\n.\r\n", b"a\r\n\x00.\r\nb\r\n", b""),
    (b"\r.\r\n\r\r\n\r\n.\r\n", b"\r.\r\n\r\r\n\r\n", b""),
])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_only_crlf_dot_crlf_ends_data(sent: bytes, content: bytes, rest: bytes, step: int) -> None:
    unwrapper, got, used = Unwrapper(), b"", 0
    while not unwrapper.done:
        got += unwrapper.feed(sent[used:used + step])
        used += step
    assert got == content
    assert unwrapper.rest + sent[used:] == rest


@pytest.mark.parametrize(("pieces", "too_long"), [
    ([b"12345\n12345\n"], False), ([b"123456\n"], True), ([b"123", b"45\n"], False), ([b"123", b"456\n"], True),
    ([b"12345"], False), ([b"123456"], True), ([b"1\n" * 50 + b"12345", b"\n12345"], False), ([b"\n" * 9 + b"12345", b"6\n"], True),
    ([b"1", b"2", b"3", b"4", b"5", b"\n", b"12345"], False), ([b"1", b"2", b"3", b"4", b"5", b"6"], True),
])
def test_line_meter(pieces: list[bytes], too_long: bool) -> None:
    meter = LineMeter(5)
    for piece in pieces:
        meter.add(piece)
    assert meter.too_long is too_long


@pytest.mark.parametrize(("raw", "count"), [
    (b"Received: a\r\nreceived : b\r\nX-Received: c\r\n\r\nReceived: d\r\n", 2),
    (b"Received: a\nRECEIVED: b\n\nx", 2), (b"\r\nReceived: a\r\n", 0),
    (b"", 0), (b"Received: a", 1),
])
def test_hops(raw: bytes, count: int) -> None:
    assert hops(raw) == count


def test_large_content_goes_to_a_file_without_a_name(tmp_path: Path) -> None:
    async def story() -> None:
        content = Content(1000, tmp_path / "spill")
        for n in range(50):
            await content.add(bytes([n]) * 77)
        assert not list((tmp_path / "spill").iterdir())
        assert content.size == 50 * 77
        assert await content.whole() == b"".join(bytes([n]) * 77 for n in range(50))
        content.close()
    asyncio.run(story())


@pytest.mark.parametrize(("reply", "full"), [
    ("250 OK", "250 2.0.0 OK"), ("503 Error: need RCPT command", "503 5.5.1 need RCPT command"), ("250 2.1.5 ok", "250 2.1.5 ok"),
    ("354 go on", "354 go on"), ("220 host", "220 host"), ("552 Error: too large", "552 5.3.4 too large"),
])
def test_enhanced_codes(reply: str, full: str) -> None:
    assert enhanced(reply) == full


# The caps as values


@pytest.mark.parametrize(("peer", "network"), [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64")])
def test_network_of(peer: str, network: str) -> None:
    assert network_of(peer) == network


@pytest.mark.parametrize(("peer", "plain"), [("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1"), ("", ""), ("nonsense", "")])
def test_plain_address(peer: str, plain: str) -> None:
    assert plain_address(peer) == plain


def test_each_address_and_network_has_its_share() -> None:
    connections = Connections(Limits(per_address=2, per_network=3))
    assert [connections.claim("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert [connections.claim("192.0.2.2") for _ in range(2)] == [True, False]
    assert connections.claim("192.0.3.1")
    assert all(connections.claim("127.0.0.1") for _ in range(20))
    connections.release("192.0.2.1")
    assert connections.claim("192.0.2.2")


def test_the_gate_lets_in_by_bytes_and_in_order() -> None:
    async def story() -> None:
        gate, order = Gate(10), []
        release = {name: asyncio.Event() for name in "abcd"}

        async def pass_through(name: str, size: int) -> None:
            async with gate.hold(size):
                order.append(name)
                await release[name].wait()
        tasks = {name: asyncio.create_task(pass_through(name, size)) for name, size in zip("abcd", (6, 6, 25, 4), strict=True)}
        await asyncio.sleep(0)
        assert order == ["a"]
        tasks["b"].cancel()
        release["a"].set()
        await asyncio.wait({tasks["a"], tasks["b"]})
        await asyncio.sleep(0)
        assert order == ["a", "c"]
        release["c"].set()
        release["d"].set()
        await asyncio.gather(tasks["c"], tasks["d"])
        assert order == ["a", "c", "d"]
    asyncio.run(story())


# The dialogue


def test_a_mail_is_kept_with_its_envelope(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        client = house.client()
        client.begin("support@example.com", "sales@example.com", "support@example.com")
        client.send(MAIL + b"..\r\n.\r\n")
        assert client.reply() == "250 2.0.0 kept as 1"
        (raw, envelope), = house.acceptor.kept
        assert raw == MAIL + b".\r\n"
        assert envelope == Envelope(
            "ann@customer.test", ("support@example.com", "sales@example.com"), "smtp", ARRIVED, "127.0.0.1", "client.test")
        assert client.say("QUIT").startswith("221")
        assert client.ended()


def test_nothing_is_answered_before_it_is_kept(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.acceptor.gate = asyncio.Event()
        client = house.client()
        client.begin()
        client.send(MAIL + b".\r\n")
        assert house.acceptor.entered.wait(10)
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(10)
        house.loop.call_soon_threadsafe(house.acceptor.gate.set)
        assert client.sock.recv(100).startswith(b"250 ")


def test_what_is_offered(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        client = house.client()
        assert client.reply() == "220 mx.example.com SMTP"
        offer = client.say("EHLO client.test").split("\n")
        assert offer == ["250-mx.example.com", f"250-SIZE {Limits().message_bytes}", "250-8BITMIME", "250-SMTPUTF8", "250-PIPELINING",
                         "250 ENHANCEDSTATUSCODES"]
        assert client.say("VRFY support@example.com").startswith("252 2.5.0")
        assert client.say("EXPN support").startswith("502 5.5.1")
        assert client.say("NOOP").startswith("250 2.0.0")
        assert client.say("HELO client.test") == "250 mx.example.com"


@pytest.mark.parametrize(("commands", "reply"), [
    (["MAIL FROM:<a@b.test>", "RCPT TO:<nobody@example.com>"], "550 5.1.1"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<ann@elsewhere.test>"], "550 5.1.1"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<support%example.com@elsewhere.test>"], "550 5.1.1"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<@relay.test:ann@elsewhere.test>"], "550 5.1.1"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<a@b@c>"], "55"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<>"], "55"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<postmaster>"], "250"),
    (["MAIL FROM:<a@b.test>", "RCPT TO:<Postmaster>"], "250"),
    (["MAIL FROM:<>", "RCPT TO:<support@example.com>"], "250"),
    (["MAIL FROM:<a@b.test> SIZE=100001"], "552 5.3.4"),
    (["MAIL FROM:<a@b.test> SIZE=100000 BODY=8BITMIME AUTH=<>"], "250"),
    (["MAIL FROM:<jürgen@b.test>"], "553 5.6.7"),
    (["MAIL FROM:<jürgen@b.test> SMTPUTF8", "RCPT TO:<grün@example.com>"], "250"),
    (["MAIL FROM:<a\x00@b.test>"], "55"),
    (["MAIL FROM:<a\r@b.test>"], "55"),
    (["MAIL FROM:<a@b.test> FROBNICATE=1"], "555 5.5.4"),
    (["MAIL FROM:<a@b.test> BODY=BINARYMIME"], "501 5.5.4"),
    (["RCPT TO:<support@example.com>"], "503 5.5.1"),
    (["DATA"], "503 5.5.1"),
    (["MAIL FROM:<a@b.test>", "DATA"], "503 5.5.1"),
    (["MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test>"], "503 5.5.1"),
    (["STARTTLS"], "454 4.7.0"),
    (["AUTH PLAIN AGEAYg=="], "502 5.5.1"),
    (["FROBNICATE"], "500 5.5.2"),
    (["MAIL FROM:<((((((((@b>"], "553 5.1.3"),
])
def test_answers(tmp_path: Path, commands: list[str], reply: str) -> None:
    with House(tmp_path, limits=FAST) as house:
        client = house.client()
        client.hello()
        *before, last = [client.say(command) for command in commands]
        assert all(answer.startswith("250 ") for answer in before)
        assert last.startswith(reply)


def test_the_null_sender_is_empty(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        client = house.client()
        client.begin(sender="")
        client.send(MAIL + b".\r\n")
        assert client.reply().startswith("250")
        assert house.acceptor.kept[0][1].sender == ""


@pytest.mark.parametrize(("content", "reply"), [
    (b"Subject: x\r\n\r\n" + (b"x" * 78 + b"\r\n") * 1300, "552 5.3.4"),
    (b"Subject: x\r\n\r\n" + b"x" * 65537 + b"\r\n", "554 5.6.0"),
    (b"Subject: x\r\n\r\n" + b"x" * 65535 + b"\r\n", "250"),
    (b"Received: by a\r\n" * 51 + b"\r\n", "554 5.4.6"),
    (b"Received: by a\r\n" * 50 + b"\r\n", "250"),
    (b"Subject: x\r\n\r\na\x00b\r\n", "250"),
    (b"", "250"),
])
def test_content(tmp_path: Path, content: bytes, reply: str) -> None:
    with House(tmp_path, limits=FAST) as house:
        client = house.client()
        client.begin()
        client.send(content + b".\r\n")
        assert client.reply().startswith(reply)
        assert [raw for raw, _ in house.acceptor.kept] == ([content] if reply == "250" else [])
        assert client.say("NOOP").startswith("250")
        assert house.shares.flight.used == 0


SMUGGLED = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<support@example.com>\r\nDATA\r\nsmuggled\r\n.\r\n"
ENDINGS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r.\r\n", b"\n.\r"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_smuggling_in(tmp_path: Path, ending: bytes) -> None:
    with House(tmp_path) as house:
        client = house.client()
        client.begin()
        client.send(b"Subject: a\r\n\r\nbody" + ending + SMUGGLED)
        assert client.reply().startswith("250 2.0.0 kept as 1")
        assert client.say("QUIT").startswith("221")
        (raw, envelope), = house.acceptor.kept
        assert b"smuggled" in raw
        assert envelope.sender == "ann@customer.test"


def test_pipelining_up_to_the_second_mail(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        client = house.client()
        client.hello()
        one = b"MAIL FROM:<ann@customer.test>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n"
        client.send(one + MAIL + b".\r\n" + one + MAIL + b".\r\nQUIT\r\n")
        assert [client.reply()[:3] for _ in range(9)] == ["250", "250", "354", "250", "250", "250", "354", "250", "221"]
        assert len(house.acceptor.kept) == 2


@pytest.mark.parametrize(("fault", "reply"), [
    ({"keeping": ValueError("db password=secret")}, "451 4.3.0"),
    ({"keeping": DiskFull()}, "452 4.3.1"),
    ({"keeping": Deferred()}, "451 4.3.0"),
    ({"keeping": OSError(5, "EIO")}, "451 4.3.0"),
])
def test_our_trouble_is_not_now_and_no_more(tmp_path: Path, fault: dict[str, object], reply: str) -> None:
    with House(tmp_path) as house:
        for name, value in fault.items():
            setattr(house.acceptor, name, value)
        client = house.client()
        client.begin()
        client.send(MAIL + b".\r\n")
        answer = client.reply()
        assert answer.startswith(reply)
        assert "secret" not in answer
        assert "EIO" not in answer


@pytest.mark.parametrize(("fault", "reply"), [
    ({"full": DiskFull()}, "452 4.3.1"), ({"ill": "config/rtmail.toml:3 is wrong"}, "451 4.3.0"),
])
def test_before_data_a_pipelining_client_hears_nothing_permanent(tmp_path: Path, fault: dict[str, object], reply: str) -> None:
    with House(tmp_path) as house:
        client = house.client()
        client.hello()
        for name, value in fault.items():
            setattr(house.acceptor, name, value)
        client.send(b"MAIL FROM:<ann@customer.test>\r\nRCPT TO:<nobody@example.com>\r\nDATA\r\n")
        for _ in range(3):
            answer = client.reply()
            assert answer.startswith(reply)
            assert "toml" not in answer
        house.acceptor.full, house.acceptor.ill = None, ""
        assert client.say("MAIL FROM:<ann@customer.test>").startswith("250")
        assert client.say("RCPT TO:<support@example.com>").startswith("250")
        house.acceptor.full = DiskFull()
        assert client.say("DATA").startswith("452 4.3.1")


def test_a_disk_that_takes_no_content_does_not_desynchronise(tmp_path: Path) -> None:
    with House(tmp_path, limits=replace(FAST, memory_bytes=1000)) as house:
        house.spill.write_text("not a folder")
        client = house.client()
        client.begin()
        client.send(b"Subject: x\r\n\r\n" + b"RSET\r\n" * 2000 + b".\r\n")
        assert client.reply().startswith("452 4.3.1")
        assert client.say("NOOP").startswith("250")


def test_a_client_gone_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        client = house.client()
        client.begin()
        client.send(MAIL)
        until(lambda: house.shares.flight.used > 0)
        client.close()
        until(lambda: house.listener.sessions == 0)
        assert house.shares.flight.used == 0
        assert house.acceptor.kept == []


# Who may use how much


def test_too_many_connections(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(connections=2)) as house:
        first, second = house.client(), house.client()
        assert first.reply().startswith("220")
        assert second.reply().startswith("220")
        third = house.client()
        assert third.reply().startswith("421 4.7.0")
        assert third.ended()
        first.close()
        until(lambda: house.listener.sessions == 1)
        assert house.client().reply().startswith("220")


def test_too_many_from_one_network(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(per_address=2, per_network=3, exempt=())) as house:
        clients = [house.client("127.0.0.1") for _ in range(3)] + [house.client("127.0.0.2") for _ in range(2)]
        assert [client.reply()[:3] for client in clients] == ["220", "220", "421", "220", "421"]
        assert house.client("127.0.1.1").reply().startswith("220")
        clients[0].close()
        until(lambda: house.client("127.0.0.1").reply().startswith("220"))


@pytest.mark.parametrize(("limits", "commands", "ends"), [
    (Limits(errors=3), ["RCPT TO:<x@y>"] * 4, 4),
    (Limits(idle_commands=5), ["NOOP"] * 6, 5),
    (Limits(), ["FROB"] * 6, 5),
])
def test_a_session_that_leads_nowhere_ends(tmp_path: Path, limits: Limits, commands: list[str], ends: int) -> None:
    with House(tmp_path, limits=limits) as house:
        client = house.client()
        client.hello()
        answers = [client.say(command) for command in commands[:ends]]
        assert answers[-1][:3] in ("421", "502")
        assert client.ended()


def test_so_many_recipients_a_mail(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(recipients=2)) as house:
        client = house.client()
        client.hello()
        client.say("MAIL FROM:<a@b.test>")
        answers = [client.say(f"RCPT TO:<{name}@example.com>")[:9] for name in ("support", "sales", "postmaster")]
        assert answers == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        assert client.say("DATA").startswith("354")
        client.send(MAIL + b".\r\n")
        assert client.reply().startswith("250")


def test_more_in_flight_than_we_carry(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(flight_bytes=50_000)) as house:
        slow, other = house.client(), house.client()
        slow.begin()
        slow.send(b"Subject: x\r\n\r\n" + b"words\r\n" * 5000)
        until(lambda: house.shares.flight.used >= 35_000)
        other.begin()
        other.send(b"Subject: x\r\n\r\n" + b"words\r\n" * 1000)
        until(lambda: house.shares.flight.used >= 42_000)
        other.send(b"words\r\n" * 4000)
        # What a refused one gave up is free at once, though he goes on sending.
        until(lambda: house.shares.flight.used < 36_000)
        other.send(b".\r\n")
        assert other.reply().startswith("452 4.3.1")
        announced = house.client()
        announced.hello()
        announced.send(b"MAIL FROM:<a@b.test> SIZE=20000\r\nRCPT TO:<support@example.com>\r\nDATA\r\n")
        assert [announced.reply()[:9] for _ in range(3)] == ["452 4.3.1"] * 3
        slow.send(b".\r\n")
        assert slow.reply().startswith("250")
        assert house.shares.flight.used == 0


@pytest.mark.parametrize("limits", [
    Limits(command_seconds=0.2), Limits(idle_seconds=0.2),
])
def test_who_does_nothing_is_told_so(tmp_path: Path, limits: Limits) -> None:
    with House(tmp_path, limits=limits) as house:
        client = house.client()
        assert client.reply().startswith("220")
        assert client.reply().startswith("421 4.4.2")
        assert client.ended()


def test_noop_holds_no_slot(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(command_seconds=0.3, idle_commands=10**9)) as house:
        client = house.client()
        client.hello()
        for _ in range(100_000):
            if not client.say("NOOP").startswith("250"):
                break
        else:
            pytest.fail("still there")


@pytest.mark.parametrize("limits", [
    Limits(rate_bytes=10**9, grace_seconds=0.05), Limits(data_seconds=0.05), Limits(idle_seconds=0.2),
])
def test_data_that_hardly_flows_is_cut(tmp_path: Path, limits: Limits) -> None:
    with House(tmp_path, limits=limits) as house:
        client = house.client()
        client.begin()
        client.send(b"Subject: x\r\n")
        client.sock.settimeout(0.1)
        try:
            client.sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            client.send(b"x\r\n")
        client.sock.settimeout(10)
        assert client.sock.recv(100).startswith(b"421 4.4.2")


def test_endless_data_is_cut(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(message_bytes=10_000)) as house:
        client = house.client()
        client.begin()
        with pytest.raises(ConnectionError):
            client.send((b"x" * 70 + b"\r\n" * 100) * 100_000)
        assert house.acceptor.kept == []


# TLS and AUTH


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    authority, path = trustme.CA(), tmp_path_factory.mktemp("tls") / "chain.pem"
    authority.issue_cert("mx.example.com", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return authority, str(path)


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_starttls_and_auth(tmp_path: Path, certificate: tuple[trustme.CA, str]) -> None:
    authority, path = certificate
    with House(tmp_path, certificate=path, auth=True) as house, smtplib.SMTP("127.0.0.1", house.port, timeout=10) as client:
        client.starttls(context=trusting(authority))
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        assert client.docmd("STARTTLS")[0] == 503
        credentials = base64.b64encode("\0jane@example.com\0sécret".encode()).decode()
        assert client.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0jane@example.com\0wrong").decode())[0] == 535
        assert client.docmd("AUTH", "plain " + credentials) == (235, b"2.7.0 authenticated")
        client.sendmail("jane@example.com", ["support@example.com"], MAIL)
        assert house.acceptor.kept[0][1].auth_user == "jane"


def test_auth_login(tmp_path: Path) -> None:
    with House(tmp_path, auth=True) as house:
        client = house.client()
        assert "AUTH PLAIN LOGIN" in client.hello()
        assert client.say("AUTH LOGIN").startswith("334")
        assert client.say(base64.b64encode(b"jane@example.com").decode()).startswith("334")
        assert client.say(base64.b64encode("sécret".encode()).decode()).startswith("235")
        assert client.say("MAIL FROM:<jane@example.com>").startswith("250")
        assert client.say("RCPT TO:<ann@elsewhere.test>").startswith("550 5.1.1")


@pytest.mark.parametrize("dialogue", [
    ["AUTH PLAIN !!!"], ["AUTH PLAIN AGE="], ["AUTH LOGIN", "*"], ["AUTH CRAM-MD5"], ["AUTH"], ["AUTH PLAIN a b c"], ["AUTH LOGIN", "!!"],
])
def test_auth_gone_wrong(tmp_path: Path, dialogue: list[str]) -> None:
    with House(tmp_path, auth=True) as house:
        client = house.client()
        client.hello()
        assert [client.say(line)[:1] for line in dialogue][-1] == "5"
        assert client.say("NOOP").startswith("250")


def test_no_auth_in_the_clear_from_afar(tmp_path: Path, certificate: tuple[trustme.CA, str]) -> None:
    _, path = certificate
    with House(tmp_path, certificate=path, auth=True, proxy=("127.0.0.0/8",)) as house:
        client = house.client()
        client.send(b"PROXY TCP4 192.0.2.1 127.0.0.1 4242 25\r\n")
        offer = client.hello()
        assert "AUTH" not in offer
        assert "STARTTLS" in offer
        assert client.say("AUTH PLAIN AGEAYg==").startswith("538")


def test_nothing_from_before_starttls_survives_it(tmp_path: Path, certificate: tuple[trustme.CA, str]) -> None:
    authority, path = certificate
    with House(tmp_path, certificate=path) as house:
        client = house.client()
        client.hello()
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n")
        assert client.reply().startswith("220")
        secure = trusting(authority).wrap_socket(client.sock, server_hostname="127.0.0.1")
        secure.sendall(b"RCPT TO:<support@example.com>\r\n")
        assert secure.recv(100).startswith(b"503")


def test_tls_required(tmp_path: Path, certificate: tuple[trustme.CA, str]) -> None:
    with House(tmp_path, certificate=certificate[1], tls_required=True) as house:
        client = house.client()
        client.hello()
        assert client.say("MAIL FROM:<a@b.test>").startswith("530 5.7.0")


def test_garbage_instead_of_tls_ends_the_session(tmp_path: Path, certificate: tuple[trustme.CA, str]) -> None:
    with House(tmp_path, certificate=certificate[1]) as house:
        client = house.client()
        client.hello()
        client.say("STARTTLS")
        client.send(b"EHLO again\r\n")
        assert client.sock.recv(1000)[:1] != b"2"
        client.close()
        until(lambda: house.listener.sessions == 0)
        assert house.client().reply().startswith("220")


def test_a_new_certificate_after_reload(tmp_path: Path, certificate: tuple[trustme.CA, str]) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(Path(certificate[1]).read_bytes())
    with House(tmp_path, certificate=str(chain)) as house:
        other = trustme.CA()
        other.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
        house.listener.reload()
        with smtplib.SMTP("127.0.0.1", house.port, timeout=10) as client:
            client.starttls(context=trusting(other))
            assert client.noop()[0] == 250


# PROXY


def test_proxy_protocol(tmp_path: Path) -> None:
    with House(tmp_path, proxy=("127.0.0.1/32",), limits=Limits(per_address=1)) as house:
        client = house.client()
        client.send(b"PROXY TCP4 192.0.2.9 127.0.0.1 4242 25\r\n")
        client.begin()
        client.send(MAIL + b".\r\n")
        assert client.reply().startswith("250")
        assert house.acceptor.kept[0][1].peer == "192.0.2.9"
        second = house.client()
        second.send(b"PROXY TCP4 192.0.2.9 127.0.0.1 4243 25\r\n")
        assert second.reply().startswith("421 4.7.0")
        assert house.client("127.0.0.2").reply().startswith("554 5.7.1")
        silent = house.client()
        silent.send(b"EHLO client.test\r\n")
        assert silent.ended()


# Going down


def test_drain_finishes_data_and_sends_the_others_away(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        idle, busy = house.client(), house.client()
        idle.hello()
        busy.begin()
        busy.send(MAIL)
        until(lambda: house.shares.flight.used > 0)
        draining = asyncio.run_coroutine_threadsafe(house.listener.drain(10), house.loop)
        assert idle.reply().startswith("421 4.3.2")
        assert idle.ended()
        with pytest.raises(ConnectionRefusedError):
            house.client()
        busy.send(b".\r\n")
        assert busy.reply().startswith("250 2.0.0 kept as 1")
        assert busy.reply().startswith("421 4.3.2")
        draining.result(10)
        assert len(house.acceptor.kept) == 1


def test_drain_does_not_wait_for_ever(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        busy = house.client()
        busy.begin()
        house.do(house.listener.drain(0.1))
        assert busy.reply().startswith("421 4.3.2")
        assert house.acceptor.kept == []


def test_a_socket_that_was_handed_over(tmp_path: Path) -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        given.listen()
        with House(tmp_path, where=Where(sock=given.dup())) as house:
            assert house.port == given.getsockname()[1]
            client = house.client()
            client.begin()
            client.send(MAIL + b".\r\n")
            assert client.reply().startswith("250")


# Memory

EMPTY_LINES = """
    import asyncio, resource, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from rtmail.ingress.smtp import Limits, Listener, Settings, Shares, Where
    sys.path.insert(0, sys.argv[1])
    from tests.fakes.listening import FakeAcceptor

    async def main() -> None:
        acceptor = FakeAcceptor(sizes=[])
        settings = Settings("mx", "example.com", Path(sys.argv[2]))
        listener = Listener("smtp", acceptor, settings, Shares(Limits()), lambda: datetime.now(UTC), Where())
        await listener.start()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async def client() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"EHLO x\\r\\nMAIL FROM:<a@b.test>\\r\\nRCPT TO:<support@example.com>\\r\\nDATA\\r\\n")
            for _ in range(128):
                writer.write(b"\\r\\n" * 32768)
                await writer.drain()
            writer.write(b".\\r\\nQUIT\\r\\n")
            lines = (await reader.read()).splitlines()
            assert lines[-2].startswith(b"250"), lines
        await asyncio.gather(*(client() for _ in range(6)))
        print(acceptor.sizes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        await listener.drain(1)

    asyncio.run(main())
"""


def test_empty_lines_do_not_swell(tmp_path: Path) -> None:
    """Six times 8 MiB at once: aiosmtpd's own list of lines took 24 times that."""
    root = Path(__file__).resolve().parent.parent
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(EMPTY_LINES), str(root), str(tmp_path)], capture_output=True, text=True,
                           timeout=120, cwd=root, env={**os.environ, "MALLOC_ARENA_MAX": "2"}, check=False)
    assert ended.returncode == 0, ended.stderr
    sizes, grown = ended.stdout.strip().rsplit(" ", 1)
    assert sizes == str([8 << 20] * 6)
    assert int(grown) < 100 * 1024, f"grew by {grown} KiB"


# swaks


def test_swaks(tmp_path: Path) -> None:
    with House(tmp_path, auth=True) as house:
        ended = subprocess.run(
            ["swaks", "--server", f"127.0.0.1:{house.port}", "--from", "jane@example.com", "--to", "support@example.com,sales@example.com",
             "--auth", "LOGIN", "--auth-user", "jane@example.com", "--auth-password", "sécret", "--pipeline",
             "--body", "words\n.\nmore"],
            capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (raw, envelope), = house.acceptor.kept
        assert b"words\r\n.\r\nmore" in raw
        assert (envelope.auth_user, envelope.recipients) == ("jane", ("support@example.com", "sales@example.com"))


def test_a_clients_control_characters_end_no_line_of_ours(tmp_path: Path) -> None:
    """Found by fuzzing: what was not understood was repeated with its bare CR."""
    with House(tmp_path) as house:
        client = house.client()
        client.hello()
        client.send(b"QUIT\r250 2.0.0 kept\x00\x1b[1m\r\n")
        assert client.reply() == '500 5.5.2 command "QUIT?250" not recognized'
        client.send(b"x" * 3000 + b"\r\n")
        assert len(client.reply()) <= 512
        client.close()


# A full house


HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"


@pytest.mark.parametrize(("guests", "gone"), [
    ([], None),
    ([Guest(HERE, waiting=1)], None),
    ([Guest(HERE, waiting=11), Guest(THERE, waiting=12), Guest(THERE, waiting=1)], 1),
    ([Guest(HERE, waiting=1), Guest(THERE, waiting=2), Guest(THERE, waiting=3)], 2),
    ([Guest("", waiting=100), Guest("", lasting=900, rate=1)], None),
    ([Guest(HERE, lasting=31, rate=500), Guest(THERE, lasting=31, rate=200), Guest(HERE, lasting=29, rate=1)], 1),
    ([Guest(HERE, lasting=31, rate=50_000), Guest(THERE, lasting=31, rate=40_000), Guest(THERE, lasting=99, rate=30_000)], 2),
    ([Guest(HERE, lasting=31, rate=50_000), Guest(THERE, lasting=31, rate=50_000)], None),
])
def test_who_is_missed_least(guests: list[Guest], gone: int | None) -> None:
    assert least_missed(guests, "203.0.113.0/24") == gone


def test_a_house_full_of_silence_has_room_for_a_mail(tmp_path: Path) -> None:
    """Networks enough to fill the house, each within its share, connect and say nothing, or drip a mail: a good client is served."""
    with House(tmp_path, limits=Limits(connections=12, exempt=())) as house:
        quiet = [house.client(f"127.1.{network}.{number}") for network in range(6) for number in (1, 2)]
        assert all(client.reply().startswith("220") for client in quiet)
        for client in quiet[:6]:
            assert client.say("EHLO x").startswith("250")
        for number in range(4):
            good = house.client(f"127.9.{number}.1")
            good.begin()
            good.send(MAIL + b".\r\n")
            assert good.reply().startswith("250")
        assert len(house.acceptor.kept) == 4
        assert house.listener.sessions <= 12
        late = house.client("127.1.0.3")
        assert late.reply().startswith(("220", "421"))
    assert house.shares.connections._all == 0
    assert not house.shares.guests


def test_who_is_over_his_share_makes_nobody_leave(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(connections=3, per_network=2, exempt=())) as house:
        first = [house.client("127.1.0.1"), house.client("127.1.0.2"), house.client("127.2.0.1")]
        assert all(client.reply().startswith("220") for client in first)
        assert house.client("127.1.0.3").reply().startswith("421")
        assert all(client.say("NOOP").startswith("250") for client in first)


def test_a_mail_that_is_being_kept_is_never_cut(tmp_path: Path) -> None:
    with House(tmp_path, limits=Limits(connections=2, exempt=())) as house:
        house.acceptor.gate = house.do(_event())
        clients = [house.client("127.1.0.1"), house.client("127.1.0.2")]
        for client in clients:
            client.begin()
            client.send(MAIL + b".\r\n")
        until(lambda: house.shares.flight.used > 0 and house.acceptor.entered.is_set())
        until(lambda: all(one._receiving and not one._began for one in house.listener._house.sessions))
        assert house.client("127.2.0.1").reply().startswith("421")
        house.loop.call_soon_threadsafe(house.acceptor.gate.set)
        assert all(client.reply().startswith("250") for client in clients)


def test_a_slow_mail_that_gives_way_is_told_to_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An honest sender behind a slow line loses his place, not his mail: not now, nothing of it kept, and welcome the next time."""
    monkeypatch.setattr(crowding, "RECEIVED", 0.0)
    monkeypatch.setattr(crowding, "SLOW", 1e9)
    with House(tmp_path, limits=Limits(connections=1, exempt=())) as house:
        slow = house.client("127.1.0.1")
        slow.begin()
        slow.send(MAIL)
        until(lambda: house.shares.flight.used > 0)
        good = house.client("127.2.0.1")
        good.begin()
        assert slow.reply().startswith("421 4.3.2")
        assert slow.ended()
        until(lambda: house.shares.flight.used == 0)
        good.send(MAIL + b".\r\n")
        assert good.reply().startswith("250")
        assert good.say("QUIT").startswith("221")
        until(lambda: house.listener.sessions == 0)
        assert len(house.acceptor.kept) == 1
        again = house.client("127.1.0.1")
        again.begin()
        again.send(MAIL + b".\r\n")
        assert again.reply().startswith("250")
    assert len(house.acceptor.kept) == 2


async def _event() -> asyncio.Event:
    return asyncio.Event()
