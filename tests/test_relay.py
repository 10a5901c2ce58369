"""What became of a mail, for everything that a relay may do; the bytes that leave us; Maildirs."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from rtmail.egress.fate import Fate, PutOff, remote_id, status_of
from rtmail.egress.relay import Relay, Settings, Timeouts, make_relay
from rtmail.store.outbox import Failed, Sent
from tests.fakes.badmta import ANSWERS, STAGES, BadMta
from tests.fakes.sink import Sink

# The sink asks for AUTH without TLS in some of its roles.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")

RAW = b"From: support@example.com\r\nTo: ann@customer.test\r\nSubject: hi\r\n\r\n.dot\r\nwords\r\n"
PATIENT = Timeouts(**dict.fromkeys(("connect", "hello", "starttls", "auth", "mail", "rcpt", "data", "dot"), 20.0), quit=2)
"""For what is answered, however busy this machine is."""


def settings(url: str, **more: object) -> Settings:
    return replace(Settings(url, "rtmail.example.com", timeouts=PATIENT), **more)  # type: ignore[arg-type]


def send(how: Settings, *mails: tuple[str, str, bytes], folder: Path = Path()) -> list[Fate]:
    async def all_of_them() -> list[Fate]:
        relay: Relay = make_relay(how, folder)
        fates = [await relay.send(sender, recipient, raw, outbox_id=n) for n, (sender, recipient, raw) in enumerate(mails, 1)]
        await relay.close()
        return fates
    return asyncio.run(all_of_them())


def send_one(how: Settings, raw: bytes = RAW, sender: str = "support@example.com", recipient: str = "ann@customer.test") -> Fate:
    return send(how, (sender, recipient, raw))[0]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def expected(stage: str, answer: str) -> str:
    """The fate of a mail: before MAIL the relay is at fault, after 250 nothing matters any more."""
    if stage == "QUIT":
        return "sent"
    if stage in ("MAIL", "RCPT", "DATA", "dot") and answer in ("4xx", "5xx"):
        return "put off" if answer == "4xx" else "failed"
    return "relay down"


@pytest.mark.parametrize("pipelining", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_answer_at_every_stage_has_its_fate(stage: str, answer: str, pipelining: bool, tls: ssl.SSLContext, ca_file: str) -> None:
    scheme = "smtp+starttls" if stage in ("STARTTLS", "AUTH") else "smtp"
    with BadMta(stage, answer, tls=tls, pipelining=pipelining) as mta:
        slot = {"banner": "connect", "EHLO": "hello"}.get(stage, stage.lower())
        how = settings(f"{scheme}://jane@127.0.0.1:{mta.port}", password="secret", ca_file=ca_file)
        fate = send_one(replace(how, timeouts=replace(PATIENT, **{slot: 0.5 if answer == "hang" else 20.0})))
        match fate:
            case Sent():
                name = "sent"
            case Failed():
                name = "failed"
                assert fate.status == "5.7.1"
            case PutOff():
                name = "relay down" if fate.relay_down else "put off"
                if answer != "cut" or not pipelining:
                    # A reset may overtake the answers before it.
                    assert fate.stage == ("connect" if stage == "banner" else stage)
        assert name == expected(stage, answer)
        assert len(mta.mails) == (stage in ("dot", "QUIT"))
        assert mta.connections <= 1


def test_commands_go_together_only_where_the_relay_offers_it() -> None:
    for pipelining, early in ((False, []), (True, ["MAIL", "RCPT"])):
        with BadMta("none", "hang", pipelining=pipelining) as mta:
            assert isinstance(send_one(settings(f"smtp://127.0.0.1:{mta.port}")), Sent)
            assert mta.early == early
            assert mta.commands == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(("stage", "answer", "kind"), [
    ("MAIL", "5xx", Failed), ("RCPT", "5xx", Failed), ("RCPT", "4xx", PutOff), ("DATA", "4xx", PutOff),
])
def test_a_refusal_amid_commands_sent_together_leaves_the_connection_usable(stage: str, answer: str, kind: type, lenient: bool) -> None:
    """A relay that says 354 although it took nobody gets a mail without a line (RFC 2920 3.1), and nobody gets anything."""
    two = [("s@example.com", "a@customer.test", RAW), ("s@example.com", "b@customer.test", RAW)]
    with BadMta(stage, answer, times=1, pipelining=True, lenient=lenient) as mta:
        refused, sent = send(settings(f"smtp://127.0.0.1:{mta.port}"), *two)
        assert isinstance(refused, kind)
        assert isinstance(sent, Sent)
        assert (mta.connections, len(mta.mails)) == (1, 1)
        assert mta.commands == ["EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize(("stage", "answer"), [
    ("MAIL", "twice"), ("RCPT", "twice"), ("DATA", "twice"), ("DATA", b"354 go on\r\n250 2.0.0 queued\r\n"),
    ("MAIL", b"250 ok\r\n250 ok\r\n354 go on\r\n250 2.0.0 queued\r\n"), ("DATA", b"250 ok\r\n"), ("dot", b"354 go on\r\n"),
    ("dot", b"250-ok\r\n"), ("dot", b"25\r\n"), ("dot", b"\r\n"), ("dot", b"2500 ok\r\n"), ("dot", b"251 ok\r\n"),
])
def test_nothing_is_sent_but_what_was_taken_with_a_250_to_its_dot(stage: str, answer: str | bytes, pipelining: bool) -> None:
    """A relay that says too much, too little or too early; what it said for one command counts for no other."""
    with BadMta(stage, answer, pipelining=pipelining) as mta:
        fate = send_one(settings(f"smtp://127.0.0.1:{mta.port}", timeouts=replace(PATIENT, dot=1)))
        assert isinstance(fate, PutOff)
        assert fate.relay_down
        assert len(mta.mails) == (stage == "dot")


def test_a_relay_that_says_more_after_the_dot_is_not_used_again() -> None:
    with BadMta("dot", "twice", pipelining=True) as mta:
        fates = send(settings(f"smtp://127.0.0.1:{mta.port}"), *[("s@example.com", "a@customer.test", RAW)] * 3)
        assert [type(fate) for fate in fates] == [Sent] * 3
        assert (mta.connections, len(mta.mails)) == (3, 3)


@pytest.mark.parametrize("pipelining", [False, True])
@pytest.mark.parametrize("answer", ["421", "cut", "4xx", "5xx", "garbage", "hang"])
def test_a_connection_that_cannot_be_reset_is_left(answer: str, pipelining: bool) -> None:
    async def story() -> list[Fate]:
        with BadMta("RCPT", "5xx", pipelining=pipelining) as mta:
            relay = make_relay(settings(f"smtp://127.0.0.1:{mta.port}", timeouts=replace(PATIENT, mail=2)), Path())
            fates = [await relay.send("s@example.com", "a@customer.test", RAW, outbox_id=1)]
            mta.turn("RSET", answer)
            fates.append(await relay.send("s@example.com", "b@customer.test", RAW, outbox_id=2))
            assert (mta.connections, len(mta.mails)) == (2, 1)
            await relay.close()
            return fates

    refused, sent = asyncio.run(story())
    assert isinstance(refused, Failed)
    assert isinstance(sent, Sent)


def test_a_token_for_each_connection_and_the_refusal_behind_the_challenge() -> None:
    """XOAUTH2: a token that is not taken is answered with a challenge; only an empty line brings the relay's word."""
    asked: list[str] = []

    async def token() -> str:
        asked.append(f"token-{len(asked) + 1}")
        return asked[-1]

    challenge = b"334 eyJzdGF0dXMiOiI0MDAifQ==\r\n"
    with BadMta("AUTH", challenge, times=1) as mta:
        mta.offers = b"AUTH XOAUTH2"
        how = settings(f"smtp://jane%40example.com@127.0.0.1:{mta.port}", token=token, uses=1)
        refused, first, second = send(how, *[("s@example.com", "a@customer.test", RAW)] * 3)
        assert isinstance(refused, PutOff)
        assert (refused.stage, refused.relay_down, refused.text) == ("AUTH", True, "AUTH: 535 5.7.8 not this token")
        assert [type(fate) for fate in (first, second)] == [Sent, Sent]
        assert asked == ["token-1", "token-2", "token-3"]
        assert [base64.b64decode(line.split()[2]) for line in mta.logins] == [
            b"user=jane@example.com\x01auth=Bearer %s\x01\x01" % one.encode() for one in asked]


def test_a_token_that_cannot_be_had_leaves_no_connection_open() -> None:
    async def token() -> str:
        raise LookupError("no token")

    async def story() -> None:
        with BadMta("none", "hang") as mta:
            mta.offers = b"AUTH XOAUTH2"
            relay = make_relay(settings(f"smtp://jane@127.0.0.1:{mta.port}", token=token), Path())
            with pytest.raises(LookupError):
                await relay.send("s@example.com", "a@customer.test", RAW, outbox_id=1)
            await asyncio.to_thread(mta.wait_ended, 1)
    asyncio.run(story())


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fate = send_one(settings(f"smtp://127.0.0.1:{port}"))
    assert isinstance(fate, PutOff)
    assert fate.relay_down
    assert not fate.about_mail


def test_a_mail_arrives_as_it_is() -> None:
    with Sink() as sink:
        fate = send_one(settings(f"smtp://127.0.0.1:{sink.port}"), sender="")
        assert fate == Sent("250 2.0.0 Ok: queued as 4F")
        mail, = sink.mails
        assert (mail.sender, mail.recipients, mail.raw) == ("", ("ann@customer.test",), RAW)
        assert mail.options == (f"SIZE={len(RAW)}",)


def test_connections_are_used_again_and_a_refused_mail_leaves_them_usable() -> None:
    ann, bob = ("s@example.com", "ann@customer.test", RAW), ("s@example.com", "bob@customer.test", RAW)
    with Sink(refuse={"bob@customer.test": "550 5.1.1 no bob"}) as sink:
        fates = send(settings(f"smtp://127.0.0.1:{sink.port}"), ann, bob, ann, ann)
        assert [type(fate) for fate in fates] == [Sent, Failed, Sent, Sent]
        assert sink.connections == 1


def test_a_connection_serves_so_many_mails_only() -> None:
    with Sink() as sink:
        send(settings(f"smtp://127.0.0.1:{sink.port}", uses=2), *[("s@example.com", "ann@customer.test", RAW)] * 5)
        assert [mail.connection for mail in sink.mails] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("answer", ["421", "cut"])
def test_an_idle_connection_that_went_away_costs_nothing(answer: str) -> None:
    async def story() -> None:
        with BadMta("MAIL", answer, times=1) as mta:
            mta._times = 0
            relay = make_relay(settings(f"smtp://127.0.0.1:{mta.port}"), Path())
            assert isinstance(await relay.send("s@example.com", "a@customer.test", RAW, outbox_id=1), Sent)
            mta._times = 1
            assert isinstance(await relay.send("s@example.com", "b@customer.test", RAW, outbox_id=2), Sent)
            assert mta.connections == 2
            await relay.close()
    asyncio.run(story())


def test_an_idle_connection_is_quit_after_a_while() -> None:
    async def story() -> None:
        with BadMta("none", "hang") as mta:
            relay = make_relay(settings(f"smtp://127.0.0.1:{mta.port}", idle_seconds=0.05), Path())
            await relay.send("s@example.com", "a@customer.test", RAW, outbox_id=1)
            await asyncio.to_thread(mta.wait_for, "QUIT")
            await relay.close()
    asyncio.run(story())


@pytest.mark.parametrize(("scheme", "implicit"), [("smtp+starttls", False), ("smtps", True)])
def test_tls_and_auth(scheme: str, implicit: bool, tls: ssl.SSLContext, ca_file: str) -> None:
    with Sink(tls=tls, implicit_tls=implicit, users={"jane": "secret"}) as sink:
        url = f"{scheme}://jane@127.0.0.1:{sink.port}"
        assert isinstance(send_one(settings(url, password="secret", ca_file=ca_file)), Sent)
        wrong = send_one(settings(url, password="wrong", ca_file=ca_file))
        assert isinstance(wrong, PutOff)
        assert (wrong.stage, wrong.relay_down) == ("AUTH", True)
        unknown_authority = send_one(settings(url, password="secret"))
        assert isinstance(unknown_authority, PutOff)
        assert "certificate" in unknown_authority.text.lower()
        assert len(sink.mails) == 1


def test_never_in_the_clear_when_tls_was_asked_for(ca_file: str) -> None:
    with Sink() as sink:
        fate = send_one(settings(f"smtp+starttls://127.0.0.1:{sink.port}", ca_file=ca_file))
        assert isinstance(fate, PutOff)
        assert (fate.stage, fate.relay_down, sink.mails) == ("STARTTLS", True, [])


def test_auth_asked_for_in_the_dialogue_is_no_fault_of_the_mail() -> None:
    with Sink(users={"jane": "secret"}) as sink:
        fate = send_one(settings(f"smtp://127.0.0.1:{sink.port}"))
        assert isinstance(fate, PutOff)
        assert (fate.stage, fate.relay_down) == ("MAIL", True)


@pytest.mark.parametrize(("url", "why"), [
    ("smtp://jane@relay.example.com", "in the clear"),
    ("smtp://jane:secret@127.0.0.1", "environment"),
    ("ftp://relay", "expected smtp"),
    ("smtp://", "expected smtp"),
])
def test_urls_that_cannot_be_meant(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_relay(settings(url), Path())


BARE = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r.\r\n", b"\r\n.\r\n"]


@pytest.mark.parametrize("ending", BARE)
def test_no_smuggling_out(ending: bytes) -> None:
    inner = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<victim@x.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
    with BadMta("none", "hang") as mta:
        fate = send_one(settings(f"smtp://127.0.0.1:{mta.port}"), raw=b"Subject: a\r\n\r\nbody" + ending + inner)
        assert isinstance(fate, Sent)
        mail, = mta.mails
        rest = mail.replace(b"\r\n", b"")
        assert b"\r" not in rest
        assert b"\n" not in rest
        assert b"smuggled" in mail
        assert mta.commands.count("MAIL") == 1


@pytest.mark.parametrize("address", ["a@b\r\nRCPT TO:<c@d>", "a b@c", "<a@b>", "a@", "@b", "a@b\x00", "no-at"])
def test_an_address_never_becomes_a_command(address: str) -> None:
    with Sink() as sink:
        how = settings(f"smtp://127.0.0.1:{sink.port}")
        for fate in (send_one(how, recipient=address), send_one(how, sender=address)):
            assert isinstance(fate, Failed)
            assert fate.status == "5.1.3"
        assert sink.connections == 0


def test_addresses_beyond_ascii() -> None:
    with Sink() as sink, Sink(smtputf8=False) as old:
        modern = settings(f"smtp://127.0.0.1:{sink.port}")
        assert isinstance(send_one(modern, recipient="jürgen@customer.test"), Sent)
        assert isinstance(send_one(modern, recipient="ann@bücher.test"), Sent)
        assert [mail.recipients for mail in sink.mails] == [("jürgen@customer.test",), ("ann@xn--bcher-kva.test",)]
        assert ["SMTPUTF8" in mail.options for mail in sink.mails] == [True, False]
        refused = send_one(settings(f"smtp://127.0.0.1:{old.port}"), recipient="jürgen@customer.test")
        assert isinstance(refused, Failed)
        assert refused.status == "5.6.7"


def test_eight_bits_and_size_are_announced() -> None:
    eight = RAW + "Grüße\r\n".encode()
    with Sink(size=len(eight) + 1) as sink:
        how = settings(f"smtp://127.0.0.1:{sink.port}")
        assert isinstance(send_one(how, raw=eight), Sent)
        assert "BODY=8BITMIME" in sink.mails[0].options
        large = send_one(how, raw=eight + b"x\r\n")
        assert isinstance(large, Failed)
        assert large.status == "5.3.4"


@pytest.mark.parametrize(("text", "host", "found"), [
    ("250 2.0.0 Ok: queued as 4XyZ", "relay.test", ""),
    ("250 2.6.0 <a.b@x.prod.outlook.com> [InternalId=1] Queued mail for delivery", "smtp.office365.com", "<a.b@x.prod.outlook.com>"),
    ("250 Ok 0102018f3c5e7a11-0f0e0d0c-1111-2222-3333-444455556666-000000", "email-smtp.eu-west-1.amazonaws.com",
     "<0102018f3c5e7a11-0f0e0d0c-1111-2222-3333-444455556666-000000@eu-west-1.amazonses.com>"),
    ("250 Ok 0100018f3c5e7a11-0f0e0d0c-1111-2222-3333-444455556666-000000", "email-smtp.us-east-1.amazonaws.com",
     "<0100018f3c5e7a11-0f0e0d0c-1111-2222-3333-444455556666-000000@email.amazonses.com>"),
])
def test_the_id_that_a_relay_names(text: str, host: str, found: str) -> None:
    assert remote_id(text, host) == found


@pytest.mark.parametrize(("text", "code", "status"), [
    ("550 5.1.1 no such user", 550, "5.1.1"), ("550 no such user", 550, "5.0.0"), ("550 4.2.2 odd", 550, "5.0.0"),
])
def test_status_of_a_reply(text: str, code: int, status: str) -> None:
    assert status_of(text, code) == status


def deliver(folder: Path, outbox_id: int, raw: bytes = RAW, again: bool = False) -> Fate:
    relay = make_relay(settings("maildir:sent"), folder)
    return asyncio.run(relay.send("s+1@example.com", "ann@customer.test", raw, outbox_id=outbox_id, again=again))


def test_a_maildir_gets_one_file_a_copy(tmp_path: Path) -> None:
    assert isinstance(deliver(tmp_path, 7), Sent)
    assert isinstance(deliver(tmp_path, 8), Sent)
    files = sorted((tmp_path / "sent/new").iterdir())
    assert len(files) == 2
    lines = files[0].read_bytes().split(b"\n")
    assert lines[:3] == [b"Return-Path: <s+1@example.com>", b"Delivered-To: ann@customer.test", b"From: support@example.com"]
    assert not list((tmp_path / "sent/tmp").iterdir())


def test_a_maildir_keeps_the_folders_it_makes_to_itself(tmp_path: Path) -> None:
    """The state folder may be made here first, when `rtmail init` tries the relay."""
    state = tmp_path / "var"
    assert isinstance(deliver(state, 7), Sent)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (state, state / "sent", state / "sent" / "new")} == {
        "var": "0o700", "sent": "0o700", "new": "0o700",
    }  # fmt: skip


def test_a_second_try_writes_no_second_file(tmp_path: Path) -> None:
    deliver(tmp_path, 7)
    deliver(tmp_path, 7, again=True)
    file, = (tmp_path / "sent/new").iterdir()
    file.rename(tmp_path / "sent/cur" / f"{file.name}:2,S")
    assert isinstance(deliver(tmp_path, 7, again=True), Sent)
    assert not list((tmp_path / "sent/new").iterdir())
    # A new database counts from one again; its mail is another mail.
    deliver(tmp_path, 7, raw=RAW + b"other\r\n", again=True)
    assert len(list((tmp_path / "sent/new").iterdir())) == 1


def test_a_maildir_that_cannot_be_written_puts_off(tmp_path: Path) -> None:
    (tmp_path / "sent").write_text("a file")
    fate = deliver(tmp_path, 1)
    assert isinstance(fate, PutOff)
    assert fate.relay_down
