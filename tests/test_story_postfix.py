"""The main road on real servers: Debian's Postfix and Dovecot, NeoMutt at both ends.

Customer -> Postfix -> rtmail -> Postfix -> the customer's and the engineer's Dovecot mailboxes, and back. rtmail takes its mail
by LMTP, or by IDLE from a mailbox that Dovecot keeps for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.fakes.clients import CLIENTS, reply_from
from tests.fakes.daemon import Running, free_port, parsed, plain, wait_for
from tests.fakes.dovecot import Dovecot
from tests.fakes.house import mail
from tests.fakes.neomutt import BOTTOM, INLINE, Neomutt
from tests.fakes.postfix import EXAMPLES, Postfix, example

pytestmark = pytest.mark.servers

BOB, JANE, KIM, BOX = "bob@acme.example", "jane@staff.example", "kim@staff.example", "support@example.com"
PASSWORD = "secret"
INET = "lmtp:inet:127.0.0.1:2424"


class Town:
    """Postfix for everybody, Dovecot for everybody's mailboxes, and rtmail among them."""

    def __init__(self, folder: Path, dovecot: Dovecot, by: str) -> None:
        self.folder, self.dovecot = folder, dovecot
        lmtp, mailboxes = free_port(), f"lmtp:inet:127.0.0.1:{dovecot.lmtp_port}"
        table = example("postfix/rtmail.lmtp", {INET: f"lmtp:inet:127.0.0.1:{lmtp}" if by == "lmtp" else mailboxes})
        for domain in ("acme.example", "staff.example"):
            table += f"{domain}  {mailboxes}\n@{domain}  known\n"
        # Further domains of this server; what is for none of them would stay in the queue and be noticed.
        more = "default_transport = retry:nobody should write there\n"
        files = {"rtmail": table}
        if by == "imap":
            files["rtmail-aliases"] = example("dovecot/aliases")
            more += "virtual_alias_maps = texthash:/etc/postfix/rtmail-aliases\n"
        main = example("postfix/main.cf", {"relay_domains = example.com": "relay_domains = example.com acme.example staff.example"})
        self.postfix = Postfix(main=main + more, master=example("postfix/master.cf"), files=files)
        ingress = f'[ingress.lmtp]\nlisten = "127.0.0.1:{lmtp}"' if by == "lmtp" else (
            f'[ingress.imap.office]\nhost = "127.0.0.1"\nport = {dovecot.tls_port}\nca_file = "{dovecot.ca_file}"\nuser = "{BOX}"\n'
            'after = "move:Processed"\npoll = "5m"')
        self.daemon = Running(folder, relay=f"smtp://127.0.0.1:{self.postfix.port}", ingress=ingress, caps="per_address = 100",
                              environ={"RTMAIL_IMAP_OFFICE_PASSWORD": PASSWORD})

    def client(self, name: str, address: str) -> Neomutt:
        folder = self.folder / address
        folder.mkdir(exist_ok=True)
        return Neomutt(folder, name, address, PASSWORD, self.dovecot.port, self.postfix.port)

    def box(self, user: str, count: int) -> list[bytes]:
        """Return somebody's mails, oldest first (within a second as they arrived), once there are so many."""
        try:
            wait_for(lambda: len(self.dovecot.mails(user)) >= count, 60, f"{count} mails did not come to {user}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.postfix.log()[-2000:]}\n{self.daemon.told()[-3000:]}") from None
        found = self.dovecot.mails(user)
        assert len(found) == count, f"{user} got unexpected mail: {[str(parsed(raw)['Subject']) for raw in found]}"
        return sorted(found, key=lambda raw: parsed(raw)["Date"].datetime)

    def threads(self, user: str) -> int:
        """Return in how many threads a client shows somebody's mails (RFC 5256, REFERENCES)."""
        with self.dovecot.client(user) as client:
            client.select("INBOX", readonly=True)
            answer = client.thread("REFERENCES", "UTF-8", "ALL")
        depth = begun = 0
        for sign in answer[1][0].decode():
            begun += sign == "(" and depth == 0
            depth += (sign == "(") - (sign == ")")
        return begun


@pytest.fixture(params=["lmtp", "imap"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    more = example("dovecot/rtmail.conf") if request.param == "imap" else ""
    with Dovecot(dict.fromkeys((BOB, JANE, KIM, BOX), PASSWORD), lmtp=True, more=more) as dovecot:
        place = Town(tmp_path, dovecot, request.param)
        with place.postfix, place.daemon:
            yield place


def test_a_request_and_its_answers_travel_through_real_servers(town: Town) -> None:
    first = mail(text="The printer on floor two is dead.", date=format_datetime(datetime.now(UTC) - timedelta(minutes=1)))
    town.postfix.send(first, "support@example.com", BOB)
    town.dovecot.append(BOB, [first])  # his own sent mail, where his client looks for threads

    _, acknowledgement = town.box(BOB, 2)
    assert parsed(acknowledgement)["Subject"] == "Re: [Example #1] Printer down"
    assert parsed(acknowledgement)["In-Reply-To"] == "<1@acme.example>"
    assert parsed(acknowledgement)["Return-Path"].startswith("<support+")
    (notice,) = town.box(JANE, 1)
    assert "floor two" in plain(notice)
    town.box(KIM, 1)

    town.client("Jane Doe", JANE).reply("Example #1", "Hello Bob,\n\nplease pull the plug for a minute.")
    answer = town.box(BOB, 3)[-1]
    assert str(parsed(answer)["From"]) == "Jane Doe via Example <support@example.com>"
    assert "pull the plug" in plain(answer)
    assert "floor two" not in plain(answer), "the notice that she quoted stays with us"
    assert not any(word in answer.decode() for word in ("internal", "support-comment", "staff.example>"))
    assert parsed(answer)["References"].startswith("<1@acme.example>")
    assert town.threads(BOB) == 1, "the customer sees one thread"

    town.client("Bob Roe", BOB).reply("Example #1", "That helped, thank you. But now the scanner is dead too.")
    heard = town.box(JANE, 2)[-1]
    assert "scanner" in plain(heard)
    assert str(parsed(heard)["From"]).startswith("Bob Roe via Example")
    assert [one["number"] for one in town.daemon.tickets()] == [1]
    assert town.daemon.ticket(1)["status"] == "open"
    assert town.threads(JANE) == 1

    # Words for her colleagues, to the signed comment address that the notice names.
    comment = re.search(r"support-comment\+[a-z0-9]+@example\.com", plain(heard))
    assert comment
    town.postfix.send(mail(sender=f"Jane Doe <{JANE}>", to=comment[0], subject="His scanner", message_id="<2@staff.example>",
                           text="He pulled the wrong plug."), comment[0], JANE)
    assert sum("wrong plug" in plain(raw) for raw in town.box(KIM, 4)) == 1

    # Nothing else was sent, to them or to anybody.
    wait_for(lambda: town.daemon.cli("outbox", "list").strip() == "none", told="the outbox did not empty")
    town.postfix.wait_empty()
    assert len(town.box(BOB, 3)) == 3
    assert len(town.box(JANE, 2)) == 2
    assert sum("now the scanner" in plain(raw) for raw in town.box(KIM, 4)) == 1
    assert not town.dovecot.mails(BOX), "what rtmail has kept is moved away"
    assert "the sum closes" in town.daemon.cli("audit")
    assert "level=error" not in town.daemon.told()


@pytest.mark.parametrize("town", ["lmtp"], indirect=True)
def test_answers_of_every_client_travel_through_real_servers(town: Town) -> None:
    """A request for each client: an engineer answers its notice with that client, then the customer answers him with it."""
    everyone = [*CLIENTS, "neomutt-bottom", "neomutt-inline"]
    for client in everyone:
        first = mail(subject=client, text="The printer on floor two is dead.\n\nWhat shall I do?", message_id=f"<{client}@acme.example>",
                     date=format_datetime(datetime.now(UTC)))
        town.postfix.send(first, BOX, BOB)
    town.box(BOB, len(everyone))
    notices = {str(parsed(raw)["Subject"]).partition("] ")[2]: raw for raw in town.box(JANE, len(everyone))}

    for client in CLIENTS:
        raw = reply_from(client, notices[client], ["Hello Bob,", f"please pull the plug of {client}."], sender=f"Jane Doe <{JANE}>")
        town.postfix.send(raw, parsed(raw)["To"].addresses[0].addr_spec, JANE)
    jane = town.client("Jane Doe", JANE)
    jane.reply("neomutt-bottom", "please pull the plug of neomutt-bottom.", edit=BOTTOM)
    jane.reply("neomutt-inline", "please pull the plug of neomutt-inline.", edit=INLINE, at="What shall I do")
    answers = {str(parsed(raw)["Subject"]).partition("] ")[2]: raw for raw in town.box(BOB, 2 * len(everyone))[len(everyone):]}
    assert set(answers) == set(everyone)
    for client, raw in answers.items():
        text = plain(raw)
        assert f"pull the plug of {client}" in text
        # What the customer wrote himself may stand around an inline answer; what the notice added never does.
        assert ("floor two" in text) == (client == "neomutt-inline"), text
        assert not any(word in raw.decode() for word in ("internal", "support-comment", "staff.example", "New request")), text

    for client in CLIENTS:
        raw = reply_from(client, answers[client], [f"Thank you, {client} works.", "But the scanner does not."], sender=f"Bob Roe <{BOB}>")
        town.postfix.send(raw, parsed(raw)["To"].addresses[0].addr_spec, BOB)
    heard = town.box(JANE, len(everyone) + len(CLIENTS))[len(everyone):]
    for raw in heard:
        client = str(parsed(raw)["Subject"]).partition("] ")[2]
        text = plain(raw)
        assert f"Thank you, {client} works." in text
        assert "the scanner does not" in text
        assert "pull the plug" not in text, text
    assert len(town.daemon.tickets()) == len(everyone)
    wait_for(lambda: town.daemon.cli("outbox", "list").strip() == "none", told="the outbox did not empty")
    assert len(town.box(BOB, 2 * len(everyone))) == 2 * len(everyone)
    assert "the sum closes" in town.daemon.cli("audit")
    assert "level=error" not in town.daemon.told()


def test_the_documentation_shows_these_files() -> None:
    page = (EXAMPLES.parent / "dovecot.md").read_text()
    for name in ("dovecot/rtmail.conf", "dovecot/aliases"):
        assert (EXAMPLES / name).read_text().strip() in page, f"docs/dovecot.md does not show docs/examples/{name}"
    assert "virtual_alias_maps = texthash:/etc/postfix/rtmail-aliases" in page
