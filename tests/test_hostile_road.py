"""Every odd, hostile or own mail that the tests know, through both entrances of a running house (promises 3 and 12).

Each is refused with a reason, or kept and ends as a request, a bounce, something ignored or set aside with its reason, or
in quarantine with a notice to the admin. A good mail behind each hostile one becomes a request and is acknowledged.
"""

from __future__ import annotations

import io
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rtmail import config
from rtmail.ingress import pipe
from rtmail.ingress.limits import Limits
from rtmail.ops.front import PipeFront
from rtmail.store import Outcome, SpoolRow, Store
from tests.fakes.daemon import SECRET, Running, parsed, wait_for
from tests.fakes.house import mail
from tests.test_message import BOMBS

HERE = Path(__file__).resolve().parent
FILES = {str(path.relative_to(HERE)): path.read_bytes() for path in sorted(HERE.rglob("*.eml"))}
ADMIN = "ops@admin.example"
SECONDS = 240


def good(number: int) -> tuple[str, bytes]:
    """A customer's first mail, each from somebody else."""
    sender = f"good{number}@acme.example"
    return sender, mail(sender=f"Good {number} <{sender}>", subject=f"A good one, {number}", message_id=f"<good{number}@acme.example>")


def all_mails(every: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, envelope sender and bytes; a good one stands behind each `every` hostile ones, and at the end."""
    hostile = dict(FILES)
    for number, (name, make) in enumerate(BOMBS.items()):
        # As first mails, not as duplicates of each other.
        hostile[name] = make().replace(b"<1@acme.example>", b"<bomb%d@elsewhere.example>" % number, 1)
    for number, (name, raw) in enumerate(hostile.items(), 1):
        yield name, "somebody@elsewhere.example", raw
        if number % every == 0 or number == len(hostile):
            yield f"good {number}", *good(number)


def say(client: smtplib.SMTP, sender: str, raw: bytes) -> tuple[int, str]:
    """Send one mail's bytes as they are, dots and the end apart; smtplib would mend line ends."""
    client.mail(sender)
    client.rcpt("support@example.com")
    code, text = client.docmd("DATA")
    assert code == 354, text
    body = raw.replace(b"\r\n.", b"\r\n..")
    client.send((b"." if body.startswith(b".") else b"") + body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    code, text = client.getreply()
    return code, text.decode()


def kept_number(text: str) -> int:
    return int(text.rpartition(" ")[2])


@contextmanager
def opened(daemon: Running) -> Iterator[Store]:
    store = Store("sqlite:///rtmail.db", daemon.state)
    store.open()
    try:
        yield store
    finally:
        store.close()


def prove(daemon: Running, kept: dict[int, str]) -> None:
    """Wait until all is worked off, and hold each fate against the promises; `kept` are spool number -> name."""
    with opened(daemon) as store:
        wait_for(lambda: store.audit_counts().waiting == 0, SECONDS, "mail is still waiting")
        sums = store.audit_counts()
        assert sums.closes, sums.culprits
        assert sums.accepted == len(kept)
        rows = {number: store.spool_row(number) for number in kept}
        wait_for(lambda: not store.outbox_depth(), SECONDS, "mail did not go out")
    for number, row in rows.items():
        accounted(kept[number], row)
    sent = [parsed(path.read_bytes()) for path in (daemon.state / "sent" / "new").iterdir()]
    told = [one for one in sent if one["Delivered-To"] == ADMIN]
    for number, row in rows.items():
        if row.outcome == Outcome.QUARANTINED:
            assert any(str(number) in str(one.get_body(("plain",))) for one in told), f"{kept[number]}: the admin does not know"
    goods = {name.removeprefix("good ") for name in kept.values() if name.startswith("good ")}
    answered = {str(one["Delivered-To"]) for one in sent if one["Auto-Submitted"] == "auto-replied"}
    assert {f"good{number}@acme.example" for number in goods} <= answered
    for one in sent:
        # What a hostile header said has added no recipient to any mail of ours.
        shown = {address.addr_spec for header in ("To", "Cc") for address in (one[header].addresses if one[header] else ())}
        assert shown == {one["Delivered-To"]}, one["Subject"]
        assert one["Bcc"] is None
    quarantined = sum(row.outcome == Outcome.QUARANTINED for row in rows.values())
    assert daemon.told().count("event=quarantined") == quarantined, daemon.told()[-3000:]


def accounted(name: str, row: SpoolRow) -> None:
    assert row.outcome in set(Outcome), name
    if name.startswith("good "):
        assert (row.outcome, row.attempts) == (Outcome.EVENT, 1), f"{name}: {row.outcome} {row.reason}"
        assert row.ticket, name
    if row.outcome == Outcome.EVENT:
        assert row.ticket, name
    else:
        assert row.reason, f"{name}: {row.outcome} without a reason"


def test_through_smtp(tmp_path: Path) -> None:
    with Running(tmp_path, caps="per_address = 1000") as daemon:
        kept: dict[int, str] = {}
        with smtplib.SMTP("127.0.0.1", daemon.port, timeout=60) as client:
            client.ehlo("elsewhere.example")
            for name, sender, raw in all_mails(every=1):
                code, text = say(client, sender, raw)
                if max(map(len, raw.split(b"\n"))) > Limits().line_bytes:
                    assert (code, text[:5]) == (554, "5.6.0"), name
                else:
                    assert code == 250, f"{name}: {code} {text}"
                    kept[kept_number(text)] = name
        prove(daemon, kept)


def test_through_the_pipe(tmp_path: Path) -> None:
    """While the daemon is down; then it starts and works it all off."""
    daemon = Running(tmp_path, caps="per_address = 1000")
    found = config.load(daemon.config, {"RTMAIL_SECRET_KEY": SECRET})
    found.make_state()
    kept: dict[int, str] = {}
    with opened(daemon) as store:
        front = PipeFront(found, store)
        for name, sender, raw in all_mails(every=5):
            outcome = pipe.receive(io.BytesIO(raw), ["support@example.com"], front, limit_bytes=Limits().message_bytes,
                                   max_hops=Limits().hops, now=datetime.now(UTC), sender=sender)
            assert outcome.exit_code == 0, f"{name}: {outcome}"
            kept[kept_number(outcome.line)] = name
    with daemon:
        prove(daemon, kept)
