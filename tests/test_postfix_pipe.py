"""`rtmail receive` behind the pipe transport of a real Postfix, as docs/postfix.md has it.

Whatever is broken on our side (config, installation, disk), Postfix keeps the mail and delivers it when it is mended; it
bounces only what rtmail itself refuses.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rtmail.store import Store
from tests.fakes.daemon import CONFIG, wait_for
from tests.fakes.house import mail
from tests.fakes.installed import Installed
from tests.fakes.needed import lacking
from tests.fakes.postfix import EXAMPLES, Postfix, example
from tests.fakes.sink import Sink

pytestmark = pytest.mark.servers

BOB = "bob@acme.example"


class House:
    """Postfix with the documented pipe, an installation behind it, and a sink for the bounces."""

    def __init__(self, installed: Installed, sink: Sink) -> None:
        self.installed, self.sink = installed, sink
        self.config = installed.folder("config") / "rtmail.toml"
        self.state = installed.folder("state")
        text = CONFIG.format(name="Example", domain="example.com", site='state = "state"', store="sqlite:///rtmail.db", port=2525, smtp="",
                             ingress="", relay="maildir:sent", relay_keys="", caps="", policy="default")
        self.write(text.replace('listen = "127.0.0.1:2525"', 'listen = "127.0.0.1:2525"\nmax_message = "100KB"'))
        script = installed.home / "rtmail-receive"
        script.write_text(example("rtmail-receive", {"/opt/rtmail/bin/python": str(installed.python),
                                                     "/etc/rtmail/rtmail.toml": str(self.config)}))
        script.chmod(0o755)
        pipe = {"user=rtmail ": f"user={installed.user} ", "/usr/local/lib/rtmail/rtmail-receive": str(script)}
        self.postfix = Postfix(main=example("postfix/main.cf") + f"relayhost = [127.0.0.1]:{sink.port}\n",
                               master=example("postfix/master.cf", pipe), files={"rtmail": example("postfix/rtmail.pipe")})

        # The store is made by its user: what root makes is root's.
        made = installed.rtmail("audit", "-c", str(self.config))
        assert made.returncode == 0, made.stderr.decode()

    def write(self, text: str) -> None:
        self.config.write_text(text)
        self.installed.own(self.config)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """What rtmail keeps."""
        store = Store("sqlite:///rtmail.db", self.state)
        store.open()
        try:
            yield store
        finally:
            store.close()

    def kept(self) -> int:
        """How many mails rtmail has kept."""
        with self.store() as store:
            return store.audit_counts().accepted

    def envelope(self, spool_id: int) -> tuple[str | None, tuple[str, ...]]:
        with self.store() as store:
            envelope = store.spool_row(spool_id).envelope
        return envelope.sender, envelope.recipients

    def bounces(self) -> list[str]:
        return [one.raw.decode() for one in self.sink.mails if one.sender == ""]


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with Installed() as installed, Sink() as sink:
        place = House(installed, sink)
        with place.postfix:
            yield place


@pytest.fixture
def house(running: House) -> Iterator[House]:
    yield running
    # What a test that failed left behind is not the next one's.
    running.postfix.forget()


def test_a_mail_goes_through_the_pipe_as_it_was_sent(house: House) -> None:
    before = house.kept()
    raw = mail(text="From here on, as sent.\n.\n  end", message_id="<pipe1@acme.example>")
    house.postfix.send(raw, ["support@example.com", "support-comment@example.com", "support+AB-c.d@example.com"], BOB)
    house.postfix.wait_empty()
    # A delivery each, so that an unknown one among them could not bounce the others.
    assert house.kept() == before + 3
    assert {house.envelope(before + n) for n in (1, 2, 3)} == {
        (BOB, (to,)) for to in ("support@example.com", "support-comment@example.com", "support+AB-c.d@example.com")}
    with house.store() as store:
        kept = store.raw(store.spool_row(before + 1).raw_id)
    assert kept.startswith(b"Received: ")
    # No From_ line, and nothing but line ends changed: Postfix hands a pipe Unix lines.
    assert kept.endswith(raw.replace(b"\r\n", b"\n"))
    assert not house.bounces()


@pytest.mark.parametrize(("sender", "known"), [
    ("", ""), ("odd..dots@acme.example", '"odd..dots"@acme.example'), ('"a b"@acme.example', '"a b"@acme.example'),
    ("=to=$x`y`|@acme.example", "=to=$x`y`|@acme.example"),
])
def test_odd_envelope_senders_reach_us_whole(house: House, sender: str, known: str) -> None:
    before = house.kept()
    house.postfix.send(mail(message_id=f"<sender{before}@acme.example>"), "support@example.com", sender)
    house.postfix.wait_empty()
    assert house.envelope(before + 1) == (known, ("support@example.com",))


def no_config(house: House) -> Callable[[], None]:
    aside = house.config.rename(house.config.with_suffix(".aside"))
    return lambda: (aside.rename(house.config), None)[1]


def broken_config(house: House) -> Callable[[], None]:
    text = house.config.read_text()
    house.write(text.replace("[site]", "[site]\nnmae = 1"))
    return lambda: house.write(text)


def unreadable_config(house: House) -> Callable[[], None]:
    os.chown(house.config, 0, 0)
    house.config.chmod(0o600)
    return lambda: house.installed.own(house.config)


def broken_policy(house: House) -> Callable[[], None]:
    policies = house.config.parent / "policies"
    policies.mkdir()
    (policies / "default.toml").write_text("name = [")
    policies.chmod(0o755)
    return lambda: shutil.rmtree(policies)


def without(path: Callable[[Installed], Path]) -> Callable[[House], Callable[[], None]]:
    def broken(house: House) -> Callable[[], None]:
        gone = path(house.installed)
        aside = house.installed.home / "aside"
        gone.rename(aside)
        return lambda: (aside.rename(gone), None)[1]
    return broken


def shadowed(house: House) -> Callable[[], None]:
    """A package of that name which dies, as after an upgrade of half of them."""
    own = house.installed.packages / "peewee.py"
    aside = own.with_suffix(".aside")
    own.rename(aside)
    own.write_text("raise SystemError('built for another Python')\n")
    return lambda: (aside.replace(own), None)[1]


def damaged_database(house: House) -> Callable[[], None]:
    own = house.state / "rtmail.db"
    aside = own.with_suffix(".aside")
    for left in house.state.glob("rtmail.db-*"):
        left.unlink()
    own.rename(aside)
    own.write_bytes(b"This is no database. " * 1000)
    house.installed.own(own)
    return lambda: (aside.replace(own), None)[1]


def state_of_another(house: House) -> Callable[[], None]:
    os.chown(house.state, 0, 0)
    return lambda: house.installed.own(house.state)


def killed(house: House) -> Callable[[], None]:
    """The interpreter dies of a signal, as by the kernel's hand when memory is short."""
    own = house.installed.python
    aside = own.rename(own.with_suffix(".aside"))
    own.write_text("#!/bin/sh\nkill -9 $$\n")
    own.chmod(0o755)
    return lambda: (aside.replace(own), None)[1]


FAULTS: dict[str, tuple[Callable[[House], Callable[[], None]], str]] = {
    "no config": (no_config, "temporary trouble"),
    "broken config": (broken_config, "temporary trouble"),
    "unreadable config": (unreadable_config, "is not readable"),
    "broken policy": (broken_policy, "temporary trouble"),
    "a package missing": (without(lambda installed: installed.packages / "click"), "cannot start: ModuleNotFoundError"),
    "a package of the store missing": (without(lambda installed: installed.packages / "peewee.py"), "cannot start: ModuleNotFoundError"),
    "a package broken": (shadowed, "cannot start: SystemError"),
    "a module of ours missing": (without(lambda installed: installed.packages / "rtmail" / "ingress" / "pipe.py"),
                                 "cannot start: ImportError"),
    "rtmail missing": (without(lambda installed: installed.packages / "rtmail"), "No module named rtmail"),
    "no interpreter": (without(lambda installed: installed.python), "not found"),
    "interpreter killed": (killed, ""),
    "no script": (without(lambda installed: installed.home / "rtmail-receive"), "No such file or directory"),
    "damaged database": (damaged_database, "temporary trouble"),
    "state folder of another user": (state_of_another, "Permission denied"),
}


def test_a_mail_outlives_everything_that_can_be_broken(house: House) -> None:
    before, sent = house.kept(), False
    for fault, (break_it, told) in FAULTS.items():
        seen = len(house.postfix.deferrals())
        mend = break_it(house)
        try:
            if not sent:
                house.postfix.send(mail(message_id="<patient@acme.example>"), "support@example.com", BOB)
                sent = True
            reason = house.postfix.next_deferral(seen)
            assert told in reason, f"{fault}: {reason}"
            assert not house.bounces(), fault
        finally:
            mend()
    house.postfix.wait_empty()
    assert house.kept() == before + 1
    assert not house.bounces()


@pytest.mark.parametrize("fault", ["a package missing", "a package of the store missing", "a package broken", "a module of ours missing",
                                   "broken config", "damaged database"])
def test_the_command_alone_says_75(house: House, fault: str) -> None:
    """Without the script around it, for those who name `rtmail receive` in master.cf."""
    break_it, told = FAULTS[fault]
    mend = break_it(house)
    try:
        ended = house.installed.rtmail("receive", "--to=support@example.com", "--from=", "-c", str(house.config), stdin=mail())
    finally:
        mend()
    assert ended.returncode == 75, ended
    assert ended.stdout.startswith(b"4.3.0 ")
    assert told in ended.stdout.decode()


def test_a_full_disk_defers_until_there_is_room(house: House) -> None:
    """First below the floor that keeps reading and sending possible, then to the last byte (R6)."""
    before = house.kept()
    aside = house.state.rename(house.state.with_name("aside"))
    house.state.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(house.state)],
                             capture_output=True, text=True, check=False)
    if mounted.returncode:
        house.state.rmdir()
        aside.rename(house.state)
        lacking(f"cannot mount a small tmpfs: {mounted.stderr.strip()}")
    try:
        shutil.copytree(aside, house.state, dirs_exist_ok=True)
        for path in (house.state, *house.state.iterdir()):
            house.installed.own(path)
        filler = house.state / "filler"
        for number, left in enumerate((32 << 20, 0), 1):
            with filler.open("ab") as file:
                room = shutil.disk_usage(house.state).free - left
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room)
            seen = len(house.postfix.deferrals())
            house.postfix.send(mail(message_id=f"<full{number}@acme.example>"), "support@example.com", BOB)
            assert "insufficient system storage" in house.postfix.next_deferral(seen)
        filler.unlink()
        house.postfix.wait_empty()
        assert house.kept() == before + 2
        assert not house.bounces()
    finally:
        subprocess.run(["umount", "--lazy", str(house.state)], check=True)
        house.state.rmdir()
        aside.rename(house.state)


def test_what_rtmail_refuses_bounces_with_its_reason(house: House) -> None:
    """Last of all: these are the bounces that may be."""
    assert not house.bounces()
    before = house.kept()
    # Postfix's table knows an address that rtmail's config does not: only then does the pipe have to say so.
    table = house.postfix.folder / "rtmail"
    table.write_text(table.read_text() + "sales@example.com  rtmail:\n")
    house.postfix.reload()
    house.postfix.send(mail(message_id="<nobody@acme.example>"), ["sales@example.com", "support@example.com"], BOB)
    house.postfix.send(mail(message_id="<large@acme.example>", text="words\n" * 20_000), "support@example.com", BOB)
    house.postfix.wait_empty()
    wait_for(lambda: len(house.bounces()) >= 2, told="two bounces did not come")
    large, unknown = sorted(house.bounces(), key=lambda text: "<nobody@acme.example>" in text)
    assert "Status: 5.1.1" in unknown
    assert "no such mailbox here" in unknown
    assert "Status: 5.3.4" in large
    assert "larger than 102400 bytes" in large
    assert house.kept() == before + 1, "the one that is known was kept"


def test_addresses_that_are_not_in_the_table_are_refused_at_the_door(house: House) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        house.postfix.send(mail(), "nobody@example.com", BOB)
    assert refused.value.recipients["nobody@example.com"][0] == 550


def test_the_documentation_shows_these_files() -> None:
    page = (EXAMPLES.parent / "postfix.md").read_text()
    for name in ("rtmail-receive", "postfix/main.cf", "postfix/master.cf", "postfix/rtmail.lmtp"):
        assert (EXAMPLES / name).read_text().strip() in page, f"docs/postfix.md does not show docs/examples/{name}"
