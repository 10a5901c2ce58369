"""A real Exim before rtmail, as docs/exim.md has it: LMTP with whole addresses, and a pipe that defers what is broken."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from rtmail.store import Store
from tests.fakes.daemon import CONFIG, Running, free_port
from tests.fakes.exim import Exim
from tests.fakes.house import mail
from tests.fakes.installed import Installed
from tests.fakes.postfix import EXAMPLES, example
from tests.fakes.sink import Sink

pytestmark = pytest.mark.servers

BOB = "bob@acme.example"


def test_lmtp_hands_addresses_over_whole(tmp_path: Path) -> None:
    lmtp = free_port()
    with Sink() as sink, Exim(example("exim/rtmail.conf", {"port = 2424": f"port = {lmtp}"})) as exim:
        ingress = f'[ingress.lmtp]\nlisten = "127.0.0.1:{lmtp}"'
        with Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", ingress=ingress) as daemon:
            exim.send(mail(), ["support@example.com", "support+a.detail-of=ours@example.com"], BOB)
            exim.try_all()
            sink.wait(3)
            assert [one["number"] for one in daemon.tickets()] == [1]
            assert "<support+…@example.com>" in daemon.told(), daemon.told()
            assert exim.waiting() == 0, exim.log()
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                exim.send(mail(), "nobody@example.com", BOB)
            assert refused.value.recipients["nobody@example.com"][0] == 550


def test_the_pipe_keeps_what_cannot_be_delivered_now() -> None:
    with Installed() as installed:
        config, state = installed.folder("config") / "rtmail.toml", installed.folder("state")
        config.write_text(CONFIG.format(
            name="Example", domain="example.com", site='state = "state"', store="sqlite:///rtmail.db", port=2525, smtp="", ingress="",
            relay="maildir:sent", relay_keys="", caps="", policy="default"))
        config.chmod(0o600)
        script = installed.home / "rtmail-receive"
        text = example("rtmail-receive", {"/opt/rtmail/bin/python": str(installed.python), "/etc/rtmail/rtmail.toml": str(config)})
        conf = example("exim/rtmail.conf", {"transport = rtmail_lmtp": "transport = rtmail_pipe",
                                            "/usr/local/lib/rtmail": str(installed.home)})
        with Exim(conf) as exim:
            exim.send(mail(), "support+ab@example.com", "")
            # No script at all, one that is killed, a config that the user may not read, and then as it should be.
            for broken, told in (("", "failed to exec"), ("#!/bin/sh\nkill -9 $$\n", "signal 9"), (text, "returned 75")):
                if broken:
                    script.write_text(broken)
                    script.chmod(0o755)
                exim.try_all()
                assert told in exim.log()
                assert exim.waiting() == 1, exim.log()
            installed.own(config)
            config.chmod(0o600)
            exim.try_all()
            assert exim.waiting() == 0, exim.log()
        store = Store("sqlite:///rtmail.db", state)
        store.open()
        envelope = store.spool_row(1).envelope
        raw = store.raw(store.spool_row(1).raw_id)
        store.close()
        assert (envelope.sender, envelope.recipients) == ("", ("support+ab@example.com",))
        assert not raw.startswith(b"From ")
        assert raw.endswith(b"It is down.\n")


def test_the_documentation_shows_these_files() -> None:
    page = (EXAMPLES.parent / "exim.md").read_text()
    assert (EXAMPLES / "exim" / "rtmail.conf").read_text().strip() in page
