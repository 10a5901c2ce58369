"""The main road over real sockets: customer, engineer and customer again, and a stranger who reaches nothing."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.daemon import Running, parsed, plain, reply, wait_for
from tests.fakes.house import mail
from tests.fakes.sink import Sink, Taken

BOB, JANE, KIM = "bob@acme.example", "jane@staff.example", "kim@staff.example"


def by(mails: list[Taken], recipient: str) -> list[Taken]:
    return [one for one in mails if one.recipients == (recipient,)]


def test_a_mail_becomes_a_request_and_the_answer_reaches_the_customer(tmp_path: Path) -> None:
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        daemon.send(mail(headers="Cc: Ann Poe <ann@acme.example>", text="The printer on floor two is dead."))
        came = sink.wait(3)
        (acknowledgement,) = by(came, BOB)
        assert parsed(acknowledgement.raw)["Subject"] == "Re: [Example #1] Printer down"
        assert parsed(acknowledgement.raw)["In-Reply-To"] == "<1@acme.example>"
        assert "floor two" not in plain(acknowledgement.raw)
        assert acknowledgement.sender.startswith("support+")
        (notice,) = by(came, JANE)
        assert "floor two" in plain(notice.raw)
        assert not by(came, "ann@acme.example"), "a Cc gets no acknowledgement"

        # The engineer answers from his client; the customer and the Cc get his words alone.
        words = "Hello Bob,\n\nplease pull the plug for a minute."
        daemon.send(reply(notice.raw, words, sender=f"Jane Doe <{JANE}>", message_id="<j1@staff.example>"),
                    to=str(parsed(notice.raw)["Reply-To"].addresses[0].addr_spec), sender=JANE)
        came = sink.wait(6)[3:]
        (answer,) = by(came, BOB)
        (copy,) = by(came, "ann@acme.example")
        assert str(parsed(answer.raw)["From"]) == "Jane Doe via Example <support@example.com>"
        assert "pull the plug" in plain(answer.raw)
        assert "New request" not in plain(answer.raw)
        assert "internal" not in answer.raw.decode()
        assert "support-comment" not in answer.raw.decode()
        assert parsed(answer.raw)["References"].startswith("<1@acme.example>")
        assert parsed(answer.raw)["Message-ID"] == parsed(copy.raw)["Message-ID"]
        assert parsed(answer.raw)["Reply-To"] != parsed(copy.raw)["Reply-To"]
        assert "Auto-Submitted" not in parsed(answer.raw)
        (colleague,) = by(came, KIM)
        assert "went to the customer" in plain(colleague.raw)

        # The customer answers from another client, which keeps no References: the signed address finds the request.
        daemon.send(reply(answer.raw, "That helped, thank you. But now the scanner is dead too.", sender="Bob Roe <bob@acme.example>",
                          message_id="<2@phone.acme.example>", references=False),
                    to=str(parsed(answer.raw)["Reply-To"].addresses[0].addr_spec))
        came = sink.wait(9)[6:]
        assert {one.recipients[0] for one in came} == {JANE, "ann@acme.example", KIM}
        assert "scanner" in plain(by(came, JANE)[0].raw)
        assert daemon.ticket(1)["status"] == "open"

        # A stranger who knows the number sees nothing and reaches nothing.
        daemon.send(mail(sender="Eve <eve@elsewhere.example>", subject="Re: [Example #1] Printer down", text="What did they say?",
                         message_id="<e1@elsewhere.example>"), sender="eve@elsewhere.example")
        came = sink.wait(12)[9:]
        (eve,) = by(came, "eve@elsewhere.example")
        assert parsed(eve.raw)["Subject"] == "Re: [Example #2] Printer down"
        assert not any(word in plain(eve.raw) for word in ("plug", "scanner", "acme", "Jane", "Bob"))
        assert not by(came, BOB)
        assert [one["number"] for one in daemon.tickets()] == [1, 2]

        # A word among colleagues stays there.
        comment = plain(notice.raw).split("support-comment+")[1].split("@")[0]
        daemon.send(mail(sender=f"Jane Doe <{JANE}>", to=f"support-comment+{comment}@example.com", subject="Re: [Example #1] Printer down",
                         text="The fuser again, I guess.", message_id="<j2@staff.example>"),
                    to=f"support-comment+{comment}@example.com", sender=JANE)
        came = sink.wait(13)[12:]
        assert [one.recipients[0] for one in came] == [KIM]
        wait_for(lambda: daemon.cli("outbox", "list").strip() == "none", told="the outbox did not empty")
        assert len(sink.mails) == 13, "an unexpected mail was sent"
        assert "the sum closes" in daemon.cli("audit")
        assert daemon.stop() == 0


def test_a_forged_colleague_is_held_and_the_real_one_is_asked(tmp_path: Path) -> None:
    with Sink() as sink, Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}") as daemon:
        daemon.send(mail())
        sink.wait(3)
        daemon.send(mail(sender=f"Jane Doe <{JANE}>", subject="Re: [Example #1] Printer down", text="resolve\n\nGo away.",
                         message_id="<forged@evil.example>"),
                    sender="evil@evil.example")
        asked = sink.wait(4, 30)[3]
        assert asked.recipients == (JANE,)
        assert "Go away." in plain(asked.raw)
        assert daemon.ticket(1)["status"] == "new"
        held = daemon.cli("held", "list")
        assert "evil@evil.example" in held

        # She wrote it herself after all: the link in the mail lets it go its way, once.
        behind = plain(asked.raw).partition("I wrote this")[2]
        confirm = next(word for word in behind.split() if word.startswith("<mailto:support+"))
        to = confirm.removeprefix("<mailto:").partition("?")[0]
        yes = mail(sender=f"Jane Doe <{JANE}>", to=to, subject="confirm", text="", message_id="<yes@staff.example>")
        daemon.send(yes, to=to, sender=JANE)
        wait_for(lambda: daemon.ticket(1)["status"] == "resolved", told="the confirmed mail did not go its way")
        wait_for(lambda: any(one.recipients == (BOB,) and "Go away." in plain(one.raw) for one in sink.mails),
                 told="the words did not arrive")
        daemon.send(yes.replace(b"<yes@", b"<yes2@"), to=to, sender=JANE)
        wait_for(lambda: "the sum closes" in daemon.cli("audit") and "waiting   0" in daemon.cli("audit"))
        assert sum(one.recipients == (BOB,) and "Go away." in plain(one.raw) for one in sink.mails) == 1
