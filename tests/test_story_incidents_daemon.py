"""An incident and a maintenance on the real daemon, whose clock runs fast and which is killed between deciding and committing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.fakes.daemon import Running, next_date, parsed, plain, reply, wait_for
from tests.fakes.house import mail
from tests.fakes.staff import JANE, fresh_id, trusted

RATE = 1200
"""Twenty minutes a second: the announcement is due after twelve seconds, as is each update."""
HOUSE = """
[roles.support-management]
person = "max"

[plans.basic]
name = "Basic"

[organisations.globex]
name = "Globex"
contacts = [{email = "pia@globex.example", name = "Pia Wert"}, "robot@globex.example"]
plan = "basic"
language = "de"
services = ["mail"]

[organisations.oldco]
name = "Oldco"
contacts = ["old@oldco.example", "pia@globex.example.net"]

[machines]
senders = ["robot@globex.example"]

[status]
folder = "status"
url = "https://status.example.com"
"""
CONTACTS = {"pia@globex.example", "old@oldco.example", "pia@globex.example.net"}
OPEN = "Incident: Mail is slow\nSeverity: critical\nAffects: all\n\nMail is slow. We look for the cause."


class Story:
    """The daemon, what it sent, and its clock, which stands while it is down."""

    def __init__(self, folder: Path) -> None:
        self.daemon = Running(folder, policy="interopion", ingress=HOUSE)
        self.daemon.arguments = ("--clock-rate", str(RATE), "--clock-from", datetime.now(UTC).isoformat(), "--clock-zero", str(time.time()))

    def start(self, failpoint: str = "") -> None:
        self.daemon.start(**({"RTMAIL_FAILPOINT": failpoint} if failpoint else {}))

    def died(self) -> None:
        process = self.daemon.process
        assert process is not None
        wait_for(lambda: process.poll() is not None, 60, "it was not killed")

    def sent(self) -> list[EmailMessage]:
        folder = self.daemon.state / "sent" / "new"
        return [parsed(path.read_bytes()) for path in sorted(folder.iterdir())] if folder.is_dir() else []

    def told(self, words: str) -> list[str]:
        """Whom the mails to contacts with these words went to."""
        found = [(str(one["To"].addresses[0].addr_spec), plain(one.as_bytes())) for one in self.sent()]
        return sorted(who for who, text in found if who in CONTACTS and words in " ".join(text.split()))

    def jane(self, text: str, *, to: str = "support@example.com") -> None:
        raw = mail(sender=f"Jane Doe <{JANE}>", to=to, subject="", text=text, message_id=fresh_id(JANE), date=next_date())
        self.daemon.send(trusted(raw, JANE), to=to, sender=JANE)

    def to_jane(self, subject: str) -> bytes | None:
        found = [one for one in self.sent() if str(one["To"].addresses[0].addr_spec) == JANE and subject in str(one["Subject"])]
        return found[-1].as_bytes() if found else None

    def page(self) -> str:
        file = self.daemon.state / "status" / "index.html"
        return file.read_text("utf-8") if file.exists() else ""


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    one = Story(tmp_path)
    yield one
    one.daemon.__exit__(None, None, None)


def test_an_incident_survives_kills_and_everybody_hears_everything_once(story: Story) -> None:
    story.start("telling-kept:1:kill")
    story.jane(OPEN)
    story.died()
    assert not story.told("Mail is slow."), "nothing of the slice was kept"
    story.start("status-before-replace:1:kill")
    story.died()
    story.start()
    wait_for(lambda: set(story.told("Mail is slow.")) == CONTACTS, 60, "not all contacts were told")
    wait_for(lambda: "Something is wrong" in story.page(), 60, "the page does not say it")
    nudge = wait_for(lambda: story.to_jane("Update due"), 60, "Jane was not reminded of the update")
    story.daemon.send(trusted(reply(nudge, "A disk is full.", sender=f"Jane Doe <{JANE}>", message_id=fresh_id(JANE)), JANE),
                      to=str(parsed(nudge)["Reply-To"].addresses[0].addr_spec), sender=JANE)  # fmt: skip
    wait_for(lambda: set(story.told("A disk is full.")) == CONTACTS, 60, "not all contacts heard the news")
    said = story.daemon.cli("incident", "close", "1", "--text", "The disk is replaced.")
    assert "3 contacts" in said
    wait_for(lambda: set(story.told("The disk is replaced.")) == CONTACTS, 60, "not all contacts heard the end")
    wait_for(lambda: "Everything works" in story.page() and "The disk is replaced." in story.page(), 60, "the page does not say it")
    for words in ("Mail is slow.", "A disk is full.", "The disk is replaced."):
        assert Counter(story.told(words)) == dict.fromkeys(CONTACTS, 1)
    shown = json.loads(story.daemon.cli("incident", "show", "1", "--json"))
    assert [(one["what"], one["count"]) for one in shown["told"]][:3] == [("announced", 3), ("updated", 3), ("closed", 3)]
    assert "#1" in story.daemon.cli("incident", "list", "--all")
    story.daemon.cli("audit")
    assert story.daemon.stop() == 0


def test_a_maintenance_from_the_shell(story: Story) -> None:
    story.start()
    soon, later = ((datetime.now(UTC) + timedelta(days=days)).replace(hour=18, minute=0) for days in (3, 12))
    words = ("maintenance", "plan", "New router", "--affects", "service mail", "--starts")
    refused = story.daemon.cli(*words, f"{soon:%Y-%m-%d %H:%M}", "--ends", f"{soon:%Y-%m-%d} 19:30", check=False)
    assert "at the earliest" in refused
    assert "Emergency: New router" in refused
    story.daemon.cli(*words, f"{later:%Y-%m-%d %H:%M}", "--ends", f"{later:%Y-%m-%d} 19:30")
    wait_for(lambda: story.told("wir planen eine Wartung"), 60, "nobody was told")
    assert story.told("wir planen eine Wartung") == ["pia@globex.example"], "whoever does not use it hears nothing"
    assert "New router" in story.daemon.cli("maintenance", "list")
    (listed,) = [json.loads(line) for line in story.daemon.cli("maintenance", "list", "--json").splitlines()]
    assert (listed["title"], listed["stage"], listed["affects"]) == ("New router", "planned", ["service mail"])
    number = str(listed["number"])
    assert "planned" in story.daemon.cli("maintenance", "show", number)
    story.daemon.cli("maintenance", "cancel", number, "--text", "Nicht nötig.")
    wait_for(lambda: story.told("Nicht nötig."), 60, "nobody heard that it is off")
    assert "METHOD:CANCEL" in "".join(part.get_payload(decode=True).decode() for one in story.sent() for part in one.walk()
                                      if part.get_content_type() == "text/calendar")  # fmt: skip
    assert "is no maintenance" in story.daemon.cli("maintenance", "done", number, check=False) or story.daemon.cli(
        "maintenance", "list") == "no maintenance is open\n"  # fmt: skip
    story.daemon.cli("audit")
