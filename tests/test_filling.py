"""What is filled in on a request, by real mail: acknowledgement and form, what changes it, who sees it, and that it goes when erased."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.desk.fields import filled
from rtmail.desk.ticket import Ticket
from rtmail.engine import privacy
from rtmail.engine.digests import Digests
from rtmail.mail.tripwire import STAFF_MARK
from rtmail.ops.moving.leaving import House as Leaving
from rtmail.ops.moving.leaving import as_lines, as_mbox
from rtmail.policy.schema import parse
from rtmail.store import Outcome
from tests.fakes.house import ROOT, House, Sent, blueprint, mail
from tests.fakes.staff import (
    ANN,
    BOB,
    EVE,
    JANE,
    KIM,
    MAX,
    NAMES,
    answered,
    fresh_id,
    opened,
    receivers,
    request,
    sent_to,
    told_us,
    trusted,
)

COMMENT = "support-comment@example.com"
FIELDS = """
[fields.version]
label = "Version"
required = true
listed = true
[fields.places]
label = "Environments"
de = "Umgebungen"
kind = "choices"
choices = ["Production", "Test"]
choices_de = ["Produktion", "Prüfung"]
required = true
[fields.hosting]
kind = "choice"
choices = ["cloud", "own"]
[fields.server]
label = "Server"
required = true
when = {hosting = "own"}
[fields.cause]
label = "Root cause"
kind = "choice"
choices = ["configuration", "defect"]
by = "staff"
needed_to = ["resolve", "close"]
reported = true
[fields.mode]
label = "Solved by"
kind = "choice"
choices = ["fix", "workaround"]
by = "staff"
public = true
when = {cause = "defect"}
needed_to = "resolve"
[fields.findings]
label = "Findings"
by = "staff"
[[rules]]
when = {places = "Production"}
priority = "urgent"
mark = "production"
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    base = blueprint()
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    policy = parse(f"{text}\n{FIELDS}", "default.toml")
    policy = replace(policy, suggest=replace(policy.suggest, allow=tuple(policy.priorities), sets=True))
    one = House(tmp_path, replace(base, policies=dict.fromkeys(base.directory.queues, policy)))
    yield one
    one.close()


def held(house: House, number: int = 1) -> dict[str, object]:
    return dict(filled.values(request(house, number)))


def form_in(sent: Sent) -> str:
    """The form of a mail of ours, with its first and last line."""
    return "===" + sent.text.replace("\r", "").partition("===")[2].rpartition("===")[0] + "==="


def filled_in(sent: Sent, **answers: str) -> str:
    """The form of a mail, filled in by labels."""
    lines = form_in(sent).split("\n")
    for label, answer in answers.items():
        at = next(number for number, line in enumerate(lines) if line.startswith(label))
        lines[at] = f"{lines[at]} {answer}"
    return "\n".join(lines)


def test_the_acknowledgement_shows_what_was_understood_and_asks_for_what_is_missing(house: House) -> None:
    sent = opened(house, text="It is down.\n\nVersion: 4.2")
    told = sent_to(sent, BOB, "acknowledgement").text
    assert "Version: noted" in told, "nothing proves who wrote it: his words are not repeated"
    assert "=== Form for request #1 ===" in told
    assert "Environments (one or more of: Production, Test):" in told
    assert "Server" not in told, "asked where the condition holds only"
    assert "Root cause" not in told, "for staff"
    notice = " ".join(sent_to(sent, JANE, "opened").text.split())
    assert "Version: 4.2" in notice
    assert "Missing in the form: Environments." in notice


def test_who_is_proven_reads_his_own_words(house: House) -> None:
    sent = told_us(house, BOB, "Version: 4.2\n\nIt is down.", subject="Down")
    assert "Version: 4.2" in sent_to(sent, BOB, "acknowledgement").text


def test_a_complete_mail_is_sent_no_form(house: House) -> None:
    told = sent_to(opened(house, text="Version: 4.2\nEnvironments: test"), BOB, "acknowledgement").text
    assert "Environments: Test" in told
    assert "===" not in told


@pytest.mark.parametrize("quoting", ["> ", ""])
def test_the_form_is_filled_in_and_sent_back(house: House, quoting: str) -> None:
    ack = sent_to(opened(house), BOB, "acknowledgement")
    form = filled_in(ack, Version="4.2", Environments="prod", Hosting="own")
    text = "Done.\n\nOn Mon, 23 Nov 2026 at 10:00, Example <support@example.com> wrote:\n" if quoting else ""
    sent = answered(house, ack, text + "\n".join((quoting + line).rstrip() for line in form.split("\n")), who=BOB, proven=False)
    assert held(house) == {"version": "4.2", "places": ("Production",), "hosting": "own"}
    assert "Environments: Production" in sent_to(sent, JANE, "notice").text
    more = sent_to(sent, BOB, "form")
    assert "Server:" in more.text, "what the answer makes necessary is asked for"
    assert "Version" not in form_in(more)
    assert more["Auto-Submitted"] == "auto-replied"
    sent = answered(house, more, filled_in(more, Server="Linux"), who=BOB, proven=False)
    assert held(house)["server"] == "Linux"
    assert not receivers(sent, "form"), "all is there"


@pytest.mark.parametrize("client", ["gmail", "outlook"])
def test_the_form_in_html_is_filled_in_where_webmail_shows_it(house: House, client: str) -> None:
    """The HTML of our own mail, as its reader edits it: quoted by a container, or below a header that nothing marks."""
    ack = sent_to(opened(house), BOB, "acknowledgement")
    html = str(ack.mail.get_body(("html",)).get_content())  # type: ignore[attr-defined]
    body = html.partition("<body")[2].partition(">")[2].rpartition("</body>")[0]
    assert "Version:" in body
    body = body.replace("Version:", "Version: 4.2", 1)
    body = body.replace("Production, Test):", "Production, Test): <b>Test</b><br>and&nbsp;Production", 1)
    if client == "gmail":
        above = '<div>Done.</div><div class="gmail_quote"><div class="gmail_attr">On Mon, 23 Nov 2026, Example wrote:<br></div>'
        body = f'{above}<blockquote class="gmail_quote">{body}</blockquote></div>'
    else:
        head = "<b>From:</b> Example &lt;support@example.com&gt;<br><b>Sent:</b> Monday, 23 November 2026 10:00<br><b>To:</b> Bob Roe<br>"
        body = f'<p>Done.</p><div id="divRplyFwdMsg"><hr>{head}<b>Subject:</b> {ack["Subject"]}</div>{body}'
    raw = mail(
        sender=f"{NAMES[BOB]} <{BOB}>", to=ack["Reply-To"].partition("<")[2].rstrip(">"), subject=ack["Subject"], message_id=fresh_id(BOB),
        text=f"<html><body>{body}</body></html>", headers=f"In-Reply-To: {ack['Message-ID']}", date="Mon, 23 Nov 2026 11:00:00 +0100",
    ).replace(b"Content-Type: text/plain", b"Content-Type: text/html")  # fmt: skip
    house.receive(raw, to=ack["Reply-To"].partition("<")[2].rstrip(">"), sender=BOB)
    assert held(house) == {"version": "4.2", "places": ("Production", "Test")}


def test_a_rule_follows_from_what_is_filled_in(house: House) -> None:
    opened(house, text="Environments: Production")
    assert (request(house).priority, request(house).priority_state) == ("urgent", "suggested")
    assert request(house).fields["mark"] == "production"


def test_what_cannot_be_is_asked_again(house: House) -> None:
    told = sent_to(opened(house, text="Version: 4.2\nEnvironments: moon"), BOB, "acknowledgement").text
    assert "- Environments: we could not make anything of what you wrote there." in " ".join(told.split())
    assert "Environments (one or more of: Production, Test):" in told


def test_it_is_asked_in_the_language_of_the_customer(house: House) -> None:
    words = "Guten Tag, seit heute Morgen druckt der Drucker im zweiten Stock nichts mehr. Können Sie uns bitte helfen?"
    text = f"{words}\n\nUmgebungen: Prüfung"
    told = sent_to(opened(house, text=text), BOB, "acknowledgement").text
    assert "Umgebungen: Prüfung" in told
    assert "=== Formular zur Anfrage #1 ===" in told
    assert held(house) == {"places": ("Test",)}


def test_he_is_asked_three_times_at_most(house: House) -> None:
    ack = sent_to(opened(house), BOB, "acknowledgement")
    forms = [receivers(answered(house, ack, f"Version: {number}", who=BOB, proven=False), "form") for number in range(5)]
    assert forms == [{BOB}, {BOB}, set(), set(), set()]
    assert held(house)["version"] == "4"


def test_words_without_a_value_ask_for_nothing(house: House) -> None:
    ack = sent_to(opened(house), BOB, "acknowledgement")
    assert not receivers(answered(house, ack, "Any news?", who=BOB, proven=False), "form")


def test_staff_fill_in_and_take_away_by_the_name_of_a_field(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    sent = answered(house, notice, "Version: 5\nRoot cause: defect\nServer: -\ncomment")
    receipt = sent_to(sent, JANE, "receipt").text
    assert "Version is 5" in receipt
    assert "Root cause: defect" in " ".join(receipt.split())
    assert held(house) == {"version": "5", "cause": "defect"}
    refused = sent_to(answered(house, notice, "Root cause: magic"), JANE, "receipt").text
    assert "Root cause is one of: configuration, defect" in " ".join(refused.split())
    assert held(house)["cause"] == "defect"
    answered(house, notice, "undo")
    assert "cause" not in held(house)
    answered(house, notice, "Version: -")
    assert held(house) == {}


def test_a_customer_cannot_fill_in_what_is_for_staff(house: House) -> None:
    opened(house, text="Root cause: defect\nVersion: 4")
    assert held(house) == {"version": "4"}


def test_resolving_asks_for_what_it_needs(house: House) -> None:
    notice = sent_to(opened(house, text="Version: 4\nEnvironments: Test"), JANE, "opened")
    sent = answered(house, notice, "resolve\n\nIt works again.")
    refused = " ".join(sent_to(sent, JANE, "receipt").text.split())
    assert "say first, in a line of its own: `Root cause: …` (configuration, defect)" in refused
    assert request(house).status == "open", "the words went out"
    for word in ("Status: resolved", "close", "Status: closed"):
        answered(house, notice, word)
        assert request(house).status == "open", word
    sent = answered(house, notice, "resolve\nRoot cause: defect\n\nIt works again.")
    assert "`Solved by: …`" in sent_to(sent, JANE, "receipt").text, "what was said needs more"
    sent = answered(house, notice, "resolve\nSolved by: workaround\n\nIt works again.")
    assert request(house).status == "resolved"
    told = sent_to(sent, BOB, "closing").text
    assert "Solved by: workaround" in told
    assert "defect" not in told, "the cause stays among staff"


def test_the_weekly_mail_counts_what_was_filled_in(house: House) -> None:
    for number in range(3):
        notice = sent_to(opened(house, text="Version: 4\nEnvironments: Test"), JANE, "opened")
        said = "Root cause: configuration" if number else "Root cause: defect\nSolved by: fix"
        answered(house, notice, f"{said}\nresolve")
    house.forward(days=7)
    Digests(house.engine._keeper).send(house.now)
    text = sent_to(house.sent(), MAX, "weekly").text
    assert "Solved, by: Root cause (3)" in text
    assert re.search(r"configuration\s+2\r?\n\s*defect\s+1", text)
    assert "Solved, by: Version" not in text


def test_what_lives_again_is_not_counted(house: House) -> None:
    notice = sent_to(opened(house), JANE, "opened")
    answered(house, notice, "Root cause: configuration\nresolve")
    solved = request(house).solved_at
    assert solved == house.now
    house.forward(hours=1)
    answered(house, notice, "close")
    assert request(house).solved_at == solved, "closing is no second solution"
    answered(house, notice, "reopen")
    assert request(house).solved_at is None
    found = request(house)
    assert house.store.replayed(found.id) == found
    assert house.store.solved(house.now - timedelta(days=1), house.now + timedelta(days=1)) == []


def test_what_staff_noted_for_themselves_never_reaches_the_customer(house: House) -> None:
    sent = opened(house, text="Version: 4")
    answered(house, sent_to(sent, JANE, "opened"), "Root cause: defect")
    shown = answered(house, sent_to(sent, BOB, "acknowledgement"), "show 1", who=BOB, proven=False)
    text = sent_to(shown, BOB, "answer").text
    assert "Version: 4" in " ".join(text.split())
    assert "defect" not in text


def test_an_echo_does_not_undo_what_staff_corrected(house: House) -> None:
    ack = sent_to(opened(house), BOB, "acknowledgement")
    form = filled_in(ack, Version="4.2", Environments="Test")
    sent = answered(house, ack, form, who=BOB, proven=False)
    answered(house, sent_to(sent, JANE, "notice"), "Version: 4.3")
    quoted = "\n".join(f"> {line}" for line in form.split("\n"))
    answered(house, ack, f"One more thing.\n\nOn Mon, 23 Nov 2026 at 11:00, Bob Roe <bob@acme.example> wrote:\n{quoted}", who=BOB,
             proven=False)
    assert held(house)["version"] == "4.3"
    answered(house, ack, "No, really.\n\nVersion: 4.2", who=BOB, proven=False)
    assert held(house)["version"] == "4.2"


def test_a_form_of_another_request_that_is_quoted_fills_in_nothing(house: House) -> None:
    ack = sent_to(opened(house), BOB, "acknowledgement")
    other = sent_to(opened(house, subject="Scanner"), BOB, "acknowledgement")
    quoted = "\n".join(f"> {line}" for line in filled_in(ack, Version="4.2").split("\n"))
    above = "As before.\n\nOn Mon, 23 Nov 2026 at 11:00, Example <support@example.com> wrote:"
    answered(house, other, f"{above}\n{quoted}", who=BOB, proven=False)
    assert held(house, 2) == {}
    opened(house, subject="A third", text=f"Again.\n\n{quoted}")
    assert held(house, 3) == {}


def test_who_proves_nothing_fills_in_nothing(house: House) -> None:
    ack = sent_to(opened(house, cc=ANN), BOB, "acknowledgement")
    raw = mail(sender=f"{NAMES[BOB]} <{BOB}>", subject=ack["Subject"], text="Version: 6", message_id=fresh_id(BOB))
    house.receive(raw, sender=BOB)
    notice = sent_to(house.sent(), JANE, "notice").text
    assert "nothing of it was noted" in " ".join(notice.split())
    assert held(house) == {}
    answered(house, ack, "Version: 7", who=EVE, proven=False)
    assert held(house) == {}, "a stranger"


@pytest.mark.parametrize("value", [STAFF_MARK, f"see {COMMENT}"])
def test_a_value_that_looks_internal_is_kept_for_staff_and_left_out_of_the_customers_mails(house: House, value: str) -> None:
    """Its writer chose it: his mail is read, and neither that nor any later mail of his request stands still for it."""
    raw = mail(sender=f"{NAMES[BOB]} <{BOB}>", text=f"Hello\n\nVersion: {value}\nEnvironments: {value}", message_id=fresh_id(BOB))
    spool = house.receive(trusted(raw, BOB), sender=BOB, peer="127.0.0.1")
    assert house.store.spool_row(spool).outcome == Outcome.EVENT
    sent = house.sent()
    ack = sent_to(sent, BOB, "acknowledgement")
    assert value not in ack.text
    assert "Version: noted" in ack.text
    assert "what you wrote there" in " ".join(ack.text.split())
    assert value in sent_to(sent, JANE, "opened").text
    assert held(house) == {"version": value}
    listed = answered(house, ack, "list", who=BOB)
    assert value not in sent_to(listed, BOB).text


@pytest.mark.parametrize("value", ["4.2\r\nBcc: eve@elsewhere.example", "=?UTF-8?Q?=0A?=Bcc: eve@elsewhere.example", "{{7*7}}",
                                   "Status: closed", "=== Form for request #2 ==="])
def test_a_value_is_data_in_every_mail(house: House, value: str) -> None:
    raw = mail(sender=f"{NAMES[BOB]} <{BOB}>", text=f"Hello\n\nVersion: {value}", message_id=fresh_id(BOB))
    house.receive(trusted(raw, BOB), sender=BOB, peer="127.0.0.1")
    sent = house.sent()
    assert {one.item.recipient for one in sent} == {BOB, JANE, KIM}
    assert not any(one["Bcc"] or b"49" in one.item.raw.partition(b"Version")[2][:20] for one in sent)
    assert f"Version: {value.splitlines()[0]}" in sent_to(sent, BOB).text
    # What he wrote stands in the notice that an engineer answers; as the engineer's own words only the first lines count.
    answered(house, sent_to(sent, JANE, "opened"), "We are looking.")
    assert request(house).status == "open"
    assert house.store.by_number(2) is None


def test_staff_tell_a_customer_nothing_internal_by_a_field_or_a_list(house: House) -> None:
    notice = sent_to(opened(house, text="Version: 4\nEnvironments: Test"), JANE, "opened")
    receipt = sent_to(answered(house, notice, f"take\nask: the log, to {COMMENT}"), JANE, "receipt")
    assert "it holds something internal (comment address)" in " ".join(receipt.text.split())
    assert request(house).status != "waiting"


@pytest.mark.parametrize("value", ["{said}", "4.2, {said}", COMMENT])
def test_a_public_field_says_nothing_that_was_said_among_staff(house: House, value: str) -> None:
    said = "They never pay, and their margin is laughable."
    notice = sent_to(opened(house, text="Version: 4"), JANE, "opened")
    answered(house, notice, f"comment\n\nFor us.\n{said}")
    for line in ("Version: {}", "field: Version: {}"):
        sent = answered(house, notice, line.format(value.format(said=said)))
        assert "NOT DONE" in sent_to(sent, JANE, "receipt").text
        assert held(house)["version"] == "4"
        assert BOB not in {one.item.recipient for one in sent}
    answered(house, notice, f"Findings: {said}")
    assert held(house)["findings"] == said, "what staff alone read may say it"


def test_lists_hold_what_is_listed(house: House) -> None:
    opened(house, text="Version: 4.2")
    told = sent_to(told_us(house, JANE, "list"), JANE, "receipt").text
    assert "Version: 4.2" in told


def test_replay_gives_the_request_again(house: House) -> None:
    ack = sent_to(opened(house, text="Version: 4.2"), BOB, "acknowledgement")
    answered(house, ack, "Environments: Test\nVersion: 5", who=BOB, proven=False)
    found = request(house)
    assert house.store.replayed(found.id) == found
    assert not any("4.2" in json.dumps(dict(event.facts)) for event, _ in house.store.events(found.id)), "events hold no words"


def erased(house: House, found: Ticket) -> None:
    for event, content in house.store.events(found.id):
        if content and event.actor == found.participants[0].person:
            house.store.erase_content(content.id)


def test_what_staff_found_out_is_not_repeated_to_the_customer_unasked(house: House) -> None:
    notice = sent_to(opened(house, text="Version: 4"), JANE, "opened")
    found = "their administrator switched the audit log off on Sunday night and told nobody about it"
    answered(house, notice, f"Findings: {found}")
    sent = answered(house, notice, f"It seems that {found}.")
    assert receivers(sent, "asked") == {JANE}
    assert not [one for one in sent if one.item.recipient == BOB]
    assert receivers(answered(house, notice, "Version 4 needs an update."), "words") == {BOB}, "his own value is no secret of ours"


def test_an_export_has_no_letter_of_what_was_filled_in(house: House) -> None:
    opened(house, text="Version: 4.2-canary\n\nIt is down.")
    found = request(house)
    mbox = as_mbox(house.store, Leaving(house.engine.office.site, house.engine.office.directory), found)
    assert mbox.count(b"\nMessage-ID:") + mbox.count(b"\nMessage-Id:") == 2, "his mail, and the acknowledgement"
    (line,) = [line for line in as_lines(house.store, found, set()) if line["type"] == "request"]
    assert line["filled"] == {"version": "4.2-canary"}


def test_what_is_withheld_fills_in_when_it_is_released(tmp_path: Path) -> None:
    """Number and acknowledgement go as ever, but nobody is asked for what he has written and nobody may see yet."""
    base = blueprint()
    queues = {name: replace(queue, private="hold") for name, queue in base.directory.queues.items()}
    text = (ROOT / "config" / "policies" / "default.toml").read_text()
    policy = parse(f"{text}\n{FIELDS.replace('urgent', 'normal')}", "default.toml")
    plan = replace(base, directory=replace(base.directory, queues=queues), policies=dict.fromkeys(queues, policy))
    house = House(tmp_path, plan)
    sent = opened(house, text="My card is 4111 1111 1111 1111.\n\nVersion: 4.2")
    assert "===" not in sent_to(sent, BOB, "acknowledgement").text
    assert held(house) == {}
    results = house.engine.command(1, "redact", "root", house.now)
    assert [one["done"] for one in results] == [True], results
    house.settle()
    assert held(house) == {"version": "4.2"}
    assert "Version: 4.2" in " ".join(sent_to(house.sent(), JANE, "notice").text.split())
    house.engine.command(1, "erase 1", "root", house.now)
    assert held(house) == {"version": "[erased]"}, "with the words that it stood in"
    house.close()


def test_what_is_erased_is_gone_from_the_request_too(house: House) -> None:
    opened(house, text="Version: SECRET-1")
    found = request(house)
    erased(house, found)
    assert held(house) == {"version": "[erased]"}
    assert house.store.replayed(found.id) == request(house)


def test_what_is_redacted_is_redacted_there_too(house: House) -> None:
    opened(house, text="Version: card 4111 1111 1111 1111")
    for event, content in house.store.events(request(house).id):
        if content and event.facts.get("name") == "form:version":
            privacy.redact(house.store, content.id, house.now)
    assert "4111" not in str(held(house))
    assert "card number removed" in str(held(house))

