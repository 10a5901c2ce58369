"""The ledger of mailboxes, and what the admin hears of them."""

# ruff: noqa: F401, F811 -- fixtures are imported, and asked for by name
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from rtmail.store import MailState, NotThere, Store
from rtmail.store.mailboxes import FORGET_AFTER
from tests.fakes.house import House
from tests.fakes.stores import NOW, minutes, store, url

PLACE = "box@imap.example.com:993/INBOX"


@pytest.fixture
def box(store: Store) -> Store:
    assert store.lease_mailbox("office", "me", NOW, 60)
    store.begin_mailbox("office", PLACE, NOW)
    return store


def test_one_owner_at_a_time(store: Store) -> None:
    assert store.lease_mailbox("office", "me", NOW, 60)
    assert store.lease_mailbox("office", "me", NOW, 90)
    assert not store.lease_mailbox("office", "you", NOW + minutes(1), 60)
    assert store.lease_mailbox("other", "you", NOW, 60)
    store.release_mailbox("office", "you")
    assert not store.lease_mailbox("office", "you", NOW, 60)
    assert store.lease_mailbox("office", "you", NOW + minutes(1.5), 60), "the claim ran out"
    assert not store.lease_mailbox("office", "me", NOW + minutes(1.6), 60)
    store.release_mailbox("office", "you")
    assert store.lease_mailbox("office", "me", NOW + minutes(1.6), 60)


def test_many_claim_at_once_and_one_has_it(store: Store) -> None:
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda n: store.lease_mailbox("office", f"owner {n}", NOW, 60), range(12)))
    assert sum(got) == 1


def test_what_became_of_each_mail(box: Store) -> None:
    box.take_census("office", 7, [1, 2], NOW)
    box.note_kept("office", 7, {3: 30, 4: 40}, NOW)
    box.note_aside("office", 7, 5, 30_000_000, "larger", NOW)
    box.note_kept("office", 8, {3: 50}, NOW)
    box.move_on("office", 7, [3], MailState.DONE, NOW)
    box.note_kept("office", 7, {3: 99}, NOW)  # noted twice, as by two daemons: the first note stays
    assert box.mailbox_mails("office", 7) == {
        1: MailState.OLD, 2: MailState.OLD, 3: MailState.DONE, 4: MailState.KEPT, 5: MailState.ASIDE}
    assert box.mailbox_mails("office", 8) == {3: MailState.KEPT}
    assert box.mailbox_mails("other", 7) == {}
    box.move_on("office", 7, [], MailState.DONE, NOW)
    box.note_kept("office", 7, {}, NOW)


def test_the_first_look_is_remembered_over_a_new_uidvalidity(box: Store) -> None:
    assert box.mailbox("office").first_at is None
    box.take_census("office", 7, [], NOW)
    box.take_census("office", 8, [1], NOW + minutes(5))
    row = box.mailbox("office")
    assert (row.uidvalidity, row.first_at) == (8, NOW)


def test_a_start_judges_anew_what_was_set_aside(box: Store) -> None:
    box.note_aside("office", 7, 1, 1, "larger", NOW)
    box.note_aside("office", 7, 2, 1, "larger", NOW)
    box.move_on("office", 7, [2], MailState.LEFT, NOW)
    box.note_kept("office", 7, {3: 30}, NOW)
    box.begin_mailbox("office", PLACE, NOW)
    assert box.mailbox_mails("office", 7) == {3: MailState.KEPT}


def test_a_start_that_was_taken_in_stays_noted_until_all_of_it_is(box: Store) -> None:
    box.note_aside("office", 7, 1, 5_000, "larger", NOW, begun=12)
    box.move_on("office", 7, [1], MailState.LEFT, NOW)
    assert box.asides_to_tell(["office"]) == []
    box.begin_mailbox("office", PLACE, NOW)
    assert box.mailbox_mails("office", 7) == {1: MailState.LEFT}
    assert box.begun_mails("office", 7) == {1: (12, 5_000)}
    box.note_aside("office", 7, 1, 6_000, "larger still", NOW)
    assert box.begun_mails("office", 7) == {1: (12, 5_000)}
    box.note_kept("office", 7, {1: 13}, NOW)
    assert (box.mailbox_mails("office", 7), box.begun_mails("office", 7)) == ({1: MailState.KEPT}, {})
    box.move_on("office", 7, [1], MailState.DONE, NOW)
    box.note_kept("office", 7, {1: 14}, NOW)
    assert box.mailbox_mails("office", 7) == {1: MailState.DONE}


def test_another_place_has_a_ledger_of_its_own(box: Store) -> None:
    box.take_census("office", 7, [1], NOW)
    box.mailbox_worked("office", NOW)
    box.begin_mailbox("office", "else@imap.example.com:993/INBOX", NOW)
    row = box.mailbox("office")
    assert (row.uidvalidity, row.first_at, row.worked_at) == (0, None, None)
    assert box.mailbox_mails("office", 7) == {}


def test_what_is_long_over_is_forgotten(box: Store) -> None:
    later = NOW + FORGET_AFTER + minutes(1)
    box.take_census("office", 7, [1], NOW)
    box.note_kept("office", 7, {2: 20, 3: 30}, NOW)
    box.move_on("office", 7, [2], MailState.DONE, NOW)
    box.forget_gone("office", 7, [1, 2, 3], NOW + minutes(1))
    assert len(box.mailbox_mails("office", 7)) == 3
    box.forget_gone("office", 7, [1, 2, 3], later)
    assert box.mailbox_mails("office", 7) == {3: MailState.KEPT}, "what is not finished is never forgotten here"
    box.take_census("office", 8, [], later)
    assert box.mailbox_mails("office", 7) == {}


def test_trouble_keeps_its_first_instant_until_it_works(box: Store) -> None:
    box.mailbox_failed("office", "no\0route", NOW)
    box.mailbox_failed("office", "refused", NOW + minutes(3))
    row = box.mailbox("office")
    assert (row.trouble, row.trouble_at) == ("refused", NOW)
    box.mailbox_worked("office", NOW + minutes(4))
    row = box.mailbox("office")
    assert (row.trouble, row.trouble_at, row.worked_at) == ("", None, NOW + minutes(4))
    assert [one.name for one in box.mailboxes()] == ["office"]
    with pytest.raises(NotThere):
        box.mailbox("other")


# what the admin hears


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def begin(house: House) -> None:
    house.store.lease_mailbox("office", "me", house.now, 60)
    house.store.begin_mailbox("office", PLACE, house.now)


def watched(house: House) -> list[str]:
    house.engine.watch(["office", "never begun"], house.now)
    mails = house.sent()
    assert all(one.item.recipient == "ops@admin.example" for one in mails)
    return [one["Subject"] for one in mails]


def test_an_outage_is_told_once_and_its_end_once(house: House) -> None:
    begin(house)
    house.store.mailbox_worked("office", house.now)
    house.forward(minutes=10)
    house.store.mailbox_failed("office", "the server took too long", house.now)
    assert watched(house) == []
    house.forward(minutes=5)
    assert watched(house) == ["Mailbox office cannot be read"]
    house.forward(hours=30)
    assert watched(house) == []
    house.store.mailbox_worked("office", house.now)
    house.forward(minutes=1)
    assert watched(house) == ["Mailbox office works again"]
    assert watched(house) == []
    # The next one is another one.
    house.forward(minutes=15)
    assert watched(house) == ["Mailbox office cannot be read"]


def test_the_alarm_says_what_is_needed(house: House) -> None:
    begin(house)
    house.store.mailbox_failed("office", "the server refused the login of box (AUTHENTICATIONFAILED)", house.now)
    house.forward(minutes=15)
    house.engine.watch(["office"], house.now)
    (alarm,) = house.sent()
    for words in ("refused the login", PLACE, "none yet", "rtmail doctor"):
        assert words in alarm.text


def test_a_daemon_that_was_down_is_no_outage_of_the_mailbox(house: House) -> None:
    begin(house)
    house.store.mailbox_worked("office", house.now)
    house.forward(days=3)
    begin(house)
    assert watched(house) == []


def test_mail_left_in_the_mailbox_is_told_once(house: House) -> None:
    begin(house)
    for uid in range(1, 31):
        house.store.note_aside("office", 7, uid, 30 << 20, "larger than 25 MB", house.now)
    house.engine.watch(["office"], house.now)
    (told,) = house.sent()
    assert told["Subject"] == "Mail was left in mailbox office"
    assert "Mail 1:  larger than 25 MB, 30.0 MB" in told.text
    assert "10 more" in told.text
    # After a restart it is set aside again, which is no news.
    house.forward(days=1)
    begin(house)
    house.store.note_aside("office", 7, 1, 30 << 20, "larger", house.now)
    assert watched(house) == []
    house.store.note_aside("office", 7, 99, 30 << 20, "larger", house.now)
    assert watched(house) == ["Mail was left in mailbox office"]


def test_a_mailbox_that_is_not_ours_to_watch_is_not_told_of(house: House) -> None:
    begin(house)
    house.store.note_aside("office", 7, 1, 1, "larger", house.now)
    house.forward(days=1)
    house.engine.watch([], house.now)
    house.engine.watch(["other"], house.now)
    assert house.sent() == []
