"""Archives become requests: all threads as they were, in silence, once and not twice, also after an interruption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rtmail.desk.people import Person
from rtmail.desk.ticket import EventKind, Status
from rtmail.engine.engine import Engine
from rtmail.engine.history import Became, Historian, Terms
from rtmail.engine.office import Blueprint, Office
from rtmail.ops.moving import archive, boxes
from rtmail.ops.moving.boxes import Box, Place
from rtmail.policy.rows import ClockKind
from rtmail.store import Fate, Origin, Store
from tests.fakes.archives import Archive, generated
from tests.fakes.house import House, blueprint, mail, readers
from tests.fakes.stores import url  # noqa: F401  (a fixture)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
JANE = Person("jane", "Jane Doe", "jane@example.net", queues=("support",))
CARL = Person("carl", "Carl Boss", "carl@example.net", queues=("support",))


def plan() -> Blueprint:
    made = blueprint()
    people = {"jane": JANE, "carl": CARL}
    roles = {name: replace(role, person="carl", deputy="") for name, role in made.directory.roles.items()}
    return replace(
        made, directory=replace(made.directory, people=people, roles=roles), site=replace(made.site, old_tags=("Old",), junk=made.site.junk)
    )


@contextmanager
def boxes_of(folder: Path, old: Archive) -> Iterator[list[Box]]:
    folder.mkdir(exist_ok=True)
    for name, sent in (("support.mbox", False), ("Sent.mbox", True)):
        (folder / name).write_bytes(old.mbox(sent=sent))
    found = boxes.mboxes([folder])
    try:
        yield found
    finally:
        for box in found:
            box.close()


def silent(what: str, done: int, whole: int) -> None:
    pass


def take(store: Store, found: Sequence[Box], *, now: datetime = NOW, progress: archive.Progress = silent, **terms: Any) -> archive.Report:
    office = Office(plan(), store, now)
    historian = Historian(store, office, Terms(**terms), now)
    return archive.take_in(store, office, historian, found, now, progress, pool=readers())


def opened(address: str) -> Store:
    store = Store(address)
    store.open()
    return store


def conversations(store: Store) -> dict[int, list[tuple[str, str, str, datetime]]]:
    """Number of each request -> its words: kind, author, the first line, when."""
    found = {}
    for summary in store.list_tickets(statuses=None):
        lines = []
        for event, content in store.events(summary.id):
            if content is not None:
                author = store.party(content.party).address if content.party else ""
                lines.append((str(event.kind), author, content.text.strip().splitlines()[0], event.at))
        found[summary.number] = lines
    return found


def everything(store: Store) -> list[Any]:
    """All that a store holds of its requests, mails and people."""
    kept: list[Any] = [store.audit_counts()]
    for summary in store.list_tickets(statuses=None):
        kept += [summary, store.ticket(summary.id), store.events(summary.id), store.spool_of(summary.id), store.links(summary.id)]
    return kept


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_every_thread_is_as_it_was(tmp_path: Path, count: int) -> None:
    old = generated(count)
    store = opened(f"sqlite:///{tmp_path / 'new.db'}")
    with boxes_of(tmp_path / "old", old) as found:
        report = take(store, found)
        assert report.mails == len(old.mails)
        assert sum(report.became.values()) == len(old.mails)
        ids = {one.thread: set[int]() for one in old.mails}
        for one in old.mails:
            message_id = next(line.split(b": ")[1] for line in one.raw.split(b"\r\n") if line.startswith(b"Message-ID")).decode()
            ids[one.thread] |= {entry.ticket for entry in store.find([message_id]) if entry.origin is Origin.RECEIVED}
        assert not ids.pop(-1), "what is no mail of a request became one"
        assert all(len(tickets) == 1 for tickets in ids.values())
        assert len(set.union(*ids.values())) == len(ids)
        said = conversations(store)
        numbers = {thread: store.ticket(tickets.pop()).number for thread, tickets in ids.items()}
        assert {thread: numbers[thread] for thread in old.numbers} == old.numbers
        for thread, number in numbers.items():
            wanted = [(one.words.splitlines()[0], one.at) for one in old.mails if one.thread == thread and one.words]
            assert [(words, at) for _, _, words, at in said[number]] == wanted
        in_silence(store)
        before = everything(store)
        again = take(store, found, now=NOW + timedelta(minutes=5))
        assert again.became == {Became.HERE: report.became[Became.OPENED] + report.became[Became.ADDED] + report.became[Became.NOTED],
                                Became.LEFT: report.became[Became.LEFT]}
        assert everything(store) == before
    store.close()


def in_silence(store: Store) -> None:
    assert not [row for fate in Fate for row in store.list_outbox(fate)]
    assert store.next_wake_at() is None
    assert not store.spool_depth()
    assert store.audit_counts().closes
    for summary in store.list_tickets(statuses=None):
        ticket = store.ticket(summary.id)
        assert not ticket.clocks
        assert store.replayed(summary.id) == ticket


def test_what_is_said_by_whom(tmp_path: Path) -> None:
    old = generated(300, seed=5)
    store = opened(f"sqlite:///{tmp_path / 'new.db'}")
    with boxes_of(tmp_path / "old", old) as found:
        take(store, found)
    said = {words: (kind, author) for lines in conversations(store).values() for kind, author, words, _ in lines}
    for one in old.mails:
        if not one.words:
            continue
        kind, author = said[one.words.splitlines()[0]]
        comment = b"support-comment@" in one.raw.partition(b"\r\n\r\n")[0]
        wanted = {EventKind.COMMENT} if comment else {EventKind.OPENED, EventKind.CORRESPONDENCE, EventKind.UNVERIFIED}
        assert kind in wanted, one.raw.decode()
        assert author.endswith("@example.net") is one.by_staff
    assert not [kind for kind, _ in said.values() if kind == EventKind.OUTSIDE]
    store.close()


class BrokenError(Exception):
    pass


class Breaking:
    """A box whose file cannot be read any more when `left` mails of all boxes were."""

    def __init__(self, box: Box, left: list[int]) -> None:
        self._box, self._left = box, left

    def places(self) -> Iterator[Place]:
        return self._box.places()

    def raws(self, places: Sequence[Place]) -> list[bytes]:
        self._left[0] -= len(places)
        if self._left[0] < 0:
            raise BrokenError
        return self._box.raws(places)

    def close(self) -> None:
        self._box.close()


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BATCH", 20)
    old = generated(300, seed=3)
    whole, twice = (opened(f"sqlite:///{tmp_path / name}.db") for name in ("whole", "twice"))
    with boxes_of(tmp_path / "old", old) as found:
        take(whole, found)
        for left in ([150], [210]):
            with pytest.raises(BrokenError):
                take(twice, [Breaking(box, left) for box in found])
            in_silence(twice)
        assert 0 < len(conversations(twice)) < len(conversations(whole))
        take(twice, found)
    assert conversations(twice) == conversations(whole)
    statuses = [{one.number: (one.status, one.subject) for one in store.list_tickets(statuses=None)} for store in (whole, twice)]
    assert statuses[0] == statuses[1]
    whole.close()
    twice.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, plan())
    yield made
    made.close()


def old_mail(number: int, sender: str, to: str, subject: str, text: str, *, days: float, answers: str = "", headers: str = "") -> bytes:
    at = NOW - timedelta(days=days)
    lines = f"In-Reply-To: {answers}\nReferences: {answers}\n" if answers else ""
    return mail(sender=sender, to=to, subject=subject, text=text, message_id=f"<{number}@old.example>",
                date=f"{at:%a, %d %b %Y %H:%M:%S +0000}", headers=(lines + headers).strip())


def mbox(folder: Path, *mails: bytes, name: str = "support.mbox") -> list[Box]:
    file = folder / name
    file.write_bytes(b"".join(b"From x@y.example Mon Nov 23 10:00:00 2020\n" + one.replace(b"\r\n", b"\n") + b"\n" for one in mails))
    return boxes.mboxes([file])


BOB, SUPPORT = "Bob Roe <bob@acme.example>", "support@example.com"


def test_how_requests_lie_here(house: House, tmp_path: Path) -> None:
    """Quiet for long: closed. Else the last word tells: ours, it waits; the customer's, it is new or open. A late answer opens anew."""
    answer = old_mail(22, "jane@example.net", "bob@acme.example", "Re: Two", "Which one?", days=3, answers="<21@old.example>",
                      headers=f"Cc: {SUPPORT}")
    mails = [
        old_mail(11, BOB, SUPPORT, "One", "Old.", days=200),
        old_mail(21, BOB, SUPPORT, "Two", "Fresh.", days=4), answer,
        old_mail(31, BOB, SUPPORT, "Three", "Unheard.", days=4),
        old_mail(41, BOB, SUPPORT, "Four", "Old.", days=300),
        old_mail(42, BOB, SUPPORT, "Re: Four", "Once more.", days=2, answers="<41@old.example>"),
    ]
    take(house.store, mbox(tmp_path, *mails))
    found = {one.subject: one for one in house.store.list_tickets(statuses=None)}
    assert {subject: one.status for subject, one in found.items()} == {
        "One": Status.CLOSED, "Two": Status.WAITING, "Three": Status.NEW, "Four": Status.CLOSED, "Re: Four": Status.NEW}
    assert house.store.ticket(found["One"].id).status_at == NOW - timedelta(days=170)
    ((link),) = house.store.links(found["Re: Four"].id)
    assert (link.kind, link.other) == ("continues", found["Four"].id)
    house.settle()
    house.sweep()
    assert not house.sent()


def test_the_first_word_begins_the_promises(house: House, tmp_path: Path) -> None:
    take(house.store, mbox(tmp_path, old_mail(31, BOB, SUPPORT, "Three", "Unheard.", days=4)))
    house.forward(hours=1)
    house.receive(mail(subject="Re: Three", text="Hello?", message_id="<live@acme.example>", headers="In-Reply-To: <31@old.example>\n"
                       "Authentication-Results: mx.example.com; dmarc=pass header.from=acme.example"))
    ((summary),) = house.store.list_tickets(statuses=None)
    ticket = house.store.ticket(summary.id)
    assert {clock.kind for clock in ticket.clocks if clock.running} >= {ClockKind.TRIAGE, ClockKind.FIRST_RESPONSE}
    assert all(clock.started_at >= NOW for clock in ticket.clocks)
    house.engine.command(summary.number, "Priority: P1", "test", house.now)
    assert all(clock.started_at >= NOW for clock in house.store.ticket(summary.id).clocks)


def test_a_colleague_is_believed_unless_a_server_disowns_the_mail(house: House, tmp_path: Path) -> None:
    failed = "Authentication-Results: mx.example.com; dmarc=fail header.from=example.net"
    mails = [
        old_mail(1, BOB, SUPPORT, "One", "Help.", days=5),
        old_mail(2, "jane@example.net", "bob@acme.example", "Re: One", "On it.\n\nStatus: resolved", days=4, answers="<1@old.example>"),
        old_mail(3, "jane@example.net", "bob@acme.example", "Re: One", "Pay me.", days=3, answers="<1@old.example>", headers=failed),
        old_mail(4, "carl@example.net", "jane@example.net, support@example.com", "Re: One", "A fool.", days=2, answers="<1@old.example>"),
    ]
    report = take(house.store, mbox(tmp_path, *mails))
    ((lines),) = conversations(house.store).values()
    assert [(kind, words) for kind, _, words, _ in lines] == [
        (EventKind.OPENED, "Help."), (EventKind.CORRESPONDENCE, "On it."), (EventKind.OUTSIDE, "Pay me."), (EventKind.COMMENT, "A fool.")]
    assert [one.message_id for one in report.unclear] == ["<3@old.example>", "<4@old.example>"]
    # What a forger could have written is no key to the request afterwards.
    house.receive(mail(sender="eve@evil.example", subject="Re: One", message_id="<e@evil.example>", headers="In-Reply-To: <2@old.example>"),
                  sender="eve@evil.example")
    assert len(conversations(house.store)) == 2


def test_the_house_under_its_own_address_and_former_colleagues(house: House, tmp_path: Path) -> None:
    mails = [
        old_mail(1, BOB, SUPPORT, "One", "Help.", days=9),
        old_mail(2, '"Jane Doe via Example" <support@example.com>', "bob@acme.example", "Re: [Old #77] One", "Coming.", days=8,
                 answers="<1@old.example>"),
        old_mail(3, "Example <support@example.com>", "bob@acme.example", "Re: [Old #77] One", "Done.", days=7, answers="<1@old.example>"),
        old_mail(4, "Old Hand <hand@example.net>", "bob@acme.example", "Re: One", "Bye.", days=6, answers="<1@old.example>"),
        old_mail(5, "support@example.com", "bob@acme.example, support@example.com", "Offer", "Buy this.", days=5),
    ]
    report = take(house.store, mbox(tmp_path, *mails), staff=("hand@example.net",))
    assert list(conversations(house.store)) == [77]
    assert [(kind, author) for kind, author, _, _ in conversations(house.store)[77]] == [
        ("opened", "bob@acme.example"), ("correspondence", "jane@example.net"), ("correspondence", "support@example.com"),
        ("correspondence", "hand@example.net")]
    ticket = house.store.by_number(77)
    assert ticket
    assert ticket.status is Status.WAITING
    assert {one.address for one in ticket.participants} == {"bob@acme.example", "jane@example.net"}, "nobody of the past gets copies"
    assert report.left == {"it claims an address of ours, answers nothing, and nothing proves it": 1}


def test_the_copy_of_an_engineers_words_is_no_second_answer(house: House, tmp_path: Path) -> None:
    mails = [
        old_mail(1, BOB, SUPPORT, "One", "Help.", days=9),
        old_mail(2, "jane@example.net", SUPPORT, "Re: One", "It runs\nagain.", days=8, answers="<1@old.example>"),
        old_mail(3, "jane@example.net", "bob@acme.example", "Re: One", "It runs again.", days=7.999, answers="<1@old.example>"),
        old_mail(4, '"Jane Doe via Example" <support@example.com>', "bob@acme.example", "Re: One", "It runs again.\n\n-- \nExample",
                 days=7.998, answers="<1@old.example>"),
        old_mail(5, BOB, SUPPORT, "Re: One", "Thank you!", days=7, answers="<4@old.example>"),
    ]
    found = mbox(tmp_path, *mails)
    report = take(house.store, found)
    ((lines),) = conversations(house.store).values()
    assert [kind for kind, *_ in lines] == ["opened", "comment", "correspondence", "correspondence"]
    assert report.became[Became.NOTED] == 1
    assert take(house.store, found).became == {Became.HERE: 5}


def test_a_number_that_is_taken_here(house: House, tmp_path: Path) -> None:
    house.receive(mail(message_id="<live@acme.example>"))
    mails = [
        old_mail(1, BOB, SUPPORT, "One", "Help.", days=9),
        old_mail(2, "jane@example.net", "bob@acme.example", "Re: [Old #1] One", "On it.", days=8, answers="<1@old.example>"),
        old_mail(3, BOB, SUPPORT, "Re: [Old #1] One", "Thanks, but no.", days=7),
    ]
    found = mbox(tmp_path, *mails)
    report = take(house.store, found)
    said = conversations(house.store)
    assert {number: len(lines) for number, lines in said.items()} == {1: 1, 2: 3}
    assert [one.why for one in report.unclear] == ["#1 is another request here: it is #2 now"]
    late = old_mail(4, BOB, SUPPORT, "Re: [Old #1] One", "Still.", days=6)
    take(house.store, mbox(tmp_path, late, name="more.mbox"))
    assert len(conversations(house.store)[2]) == 4


def test_new_requests_keep_clear_of_old_numbers(house: House, tmp_path: Path) -> None:
    mails = [
        old_mail(1, BOB, SUPPORT, "One", "Help.", days=20),
        old_mail(2, BOB, SUPPORT, "Two", "Help.", days=19),
        old_mail(3, "jane@example.net", "bob@acme.example", "Re: [Old #1] Two", "On it.", days=8, answers="<2@old.example>"),
        old_mail(4, BOB, SUPPORT, "Re: [Old #999999999] One", "Mine.", days=7, answers="<1@old.example>"),
    ]
    take(house.store, mbox(tmp_path, *mails))
    numbers = {one.subject: one.number for one in house.store.list_tickets(statuses=None)}
    assert numbers == {"Two": 1, "One": 2}


def test_an_answer_with_a_wrong_clock_comes_behind_its_question(house: House, tmp_path: Path) -> None:
    mails = [
        old_mail(2, "jane@example.net", "bob@acme.example", "Re: One", "On it.", days=9, answers="<1@old.example>"),
        old_mail(1, BOB, SUPPORT, "One", "Help.", days=8),
    ]
    take(house.store, mbox(tmp_path, *mails))
    ((lines),) = conversations(house.store).values()
    assert [words for _, _, words, _ in lines] == ["Help.", "On it."]


@pytest.mark.parametrize("moved", ["mbox", "maildir"])
def test_the_time_is_that_of_then(house: House, tmp_path: Path, moved: str) -> None:
    taken, moved_at = NOW - timedelta(days=100, minutes=3), NOW - timedelta(days=1)
    raw = old_mail(1, BOB, SUPPORT, "One", "Help.", days=100, headers=f"Received: by mx.example.com; {taken:%a, %d %b %Y %H:%M:%S +0000}")
    raw = f"Received: by mover.example.com; {moved_at:%a, %d %b %Y %H:%M:%S +0000}\r\n".encode() + raw
    if moved == "mbox":
        found = mbox(tmp_path, raw)
    else:
        for part in ("cur", "new", "tmp"):
            (tmp_path / "box" / part).mkdir(parents=True)
        (tmp_path / "box" / "cur" / f"{moved_at.timestamp():.0f}.1.host:2,S").write_bytes(raw)
        (tmp_path / "box" / "cur" / f"{moved_at.timestamp():.0f}.2.host:2,T").write_bytes(raw.replace(b"<1@", b"<2@"))
        found = boxes.maildirs([tmp_path / "box"])
    assert take(house.store, found).became == {Became.OPENED: 1}
    ((summary),) = house.store.list_tickets(statuses=None)
    assert summary.created_at == taken.replace(microsecond=0)


def test_a_daemon_beside_it_touches_none_of_it(tmp_path: Path, url: str) -> None:  # noqa: F811
    """On both databases: what is moved in is never seen waiting by an engine that works all the while."""
    old = generated(150, seed=9)
    store = opened(url)
    engine = Engine(store, readers(), Office(plan(), store, NOW), "daemon")
    worked = []

    def work(*_: object) -> None:
        worked.append(engine.work(NOW) + engine.sweep(NOW))

    with boxes_of(tmp_path / "old", old) as found:
        take(store, found, progress=work)
    work()
    assert len(worked) > 1
    assert not any(worked)
    in_silence(store)
    engine.close()
    store.close()


def test_what_is_erased_stays_erased(house: House, tmp_path: Path) -> None:
    found = mbox(tmp_path, old_mail(1, BOB, SUPPORT, "One", "My card is 4111 1111 1111 1111.", days=9))
    take(house.store, found)
    ((summary),) = house.store.list_tickets(statuses=None)
    house.engine.command(summary.number, "erase 1", "test", house.now)
    take(house.store, found)
    ((lines),) = [house.store.events(one.id) for one in house.store.list_tickets(statuses=None)]
    assert [content.erased for _, content in lines if content] == [True]
