"""Signed details, VERP details, marks and Message-IDs: out and back, and nothing forged or damaged gets through."""

from __future__ import annotations

import string
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtmail.mail.token import (
    LENGTH,
    Action,
    Detail,
    Keyring,
    Rejected,
    bounce_detail,
    make_mark,
    make_message_id,
    read_message_id,
    sign,
    verify,
)

KEYS = {0: b"zero" * 8, 1: b"one!" * 8, 3: b"tri!" * 8}
RING = Keyring(1, KEYS)
TODAY = date(2026, 11, 22)
ALPHABET = string.ascii_lowercase + "234567"
NUMBERS = st.integers(0, 2**32 - 1)
DAYS = st.none() | st.dates(TODAY, date(2149, 6, 6))


@given(st.sampled_from(Action), NUMBERS, NUMBERS, DAYS, st.sampled_from(sorted(KEYS)))
def test_a_detail_comes_back_as_signed_in_any_case(action: Action, request: int, person: int, expires: date | None, key_id: int) -> None:
    text = sign(Keyring(key_id, KEYS), action, request, person, expires)
    assert len(text) == LENGTH
    assert set(text) <= set(ALPHABET)
    want = Detail(action, request, person, expires, key_id)
    assert verify(RING, text, TODAY) == want
    assert verify(RING, text.upper(), TODAY) == want
    assert verify(RING, text.title(), TODAY) == want


def test_one_damaged_character_anywhere_is_damage() -> None:
    text = sign(RING, Action.REPLY, 1042, 7, TODAY)
    for position in range(LENGTH):
        for character in set(ALPHABET) - {text[position]}:
            damaged = text[:position] + character + text[position + 1 :]
            assert verify(RING, damaged, TODAY) == Rejected("damaged"), damaged


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1], lambda t: t + "a", lambda t: "", lambda t: t[:17] + " " + t[17:], lambda t: t[:-1] + "=",
        lambda t: t.replace("a", "ä"), lambda t: "\u212a" * LENGTH, lambda t: t[:-1] + "\n", lambda t: "a" * LENGTH, lambda t: "8" + t[1:],
    ],
)  # fmt: skip
def test_what_is_no_detail_is_damaged(spoil) -> None:  # type: ignore[no-untyped-def]
    rejected = verify(RING, spoil(sign(RING, Action.REPLY, 1, 1, None)), TODAY)
    assert rejected in (Rejected("damaged"), Rejected("unknown-version"))
    assert isinstance(rejected, Rejected)


def test_the_last_valid_day_is_valid() -> None:
    text = sign(RING, Action.ACK, 5, 6, TODAY)
    assert isinstance(verify(RING, text, TODAY), Detail)
    assert verify(RING, text, TODAY + timedelta(days=1)) == Rejected("expired", Detail(Action.ACK, 5, 6, TODAY, 1))


def test_a_key_that_is_gone_is_told_apart_from_damage() -> None:
    text = sign(Keyring(3, KEYS), Action.REPLY, 1, 1, None)
    assert verify(Keyring(1, {1: KEYS[1]}), text, TODAY) == Rejected("unknown-key")


def test_another_house_with_the_same_key_id_is_damaged() -> None:
    foreign = sign(Keyring(1, {1: b"other" * 8}), Action.REPLY, 1, 1, None)
    assert verify(RING, foreign, TODAY) == Rejected("damaged")


def test_a_future_version_is_named() -> None:
    # "aj" begins byte 2: what a later rtmail would write
    assert verify(RING, "ai" + sign(RING, Action.REPLY, 1, 1, None)[2:12] + "a" * 24, TODAY) == Rejected("unknown-version")


@given(st.integers(0, 2**64 - 1))
def test_verp_carries_a_64_bit_outbox_id(outbox_id: int) -> None:
    detail = verify(RING, bounce_detail(RING, outbox_id), TODAY + timedelta(days=9000))
    assert isinstance(detail, Detail)
    assert (detail.action, detail.outbox_id) == (Action.BOUNCE, outbox_id)


def test_a_mark_is_a_detail_without_an_end() -> None:
    mark = make_mark(RING, 1042, 9)
    assert mark.startswith("ref:")
    assert verify(RING, mark.removeprefix("ref:"), date(2149, 1, 1)) == Detail(Action.MARK, 1042, 9, None, 1)


@pytest.mark.parametrize(
    ("request_", "person", "expires"),
    [(2**32, 0, None), (-1, 0, None), (0, 2**32, None), (1, 1, date(1970, 1, 1)), (1, 1, date(2150, 1, 1))],
)
def test_what_does_not_fit_is_not_signed(request_: int, person: int, expires: date | None) -> None:
    with pytest.raises(ValueError, match="fit"):
        sign(RING, Action.REPLY, request_, person, expires)


@pytest.mark.parametrize(("current", "keys"), [(2, KEYS), (4, {4: b"k" * 32}), (0, {0: b"short"})])
def test_a_keyring_is_checked(current: int, keys: dict[int, bytes]) -> None:
    with pytest.raises(ValueError):
        Keyring(current, keys)


def test_a_keyring_never_prints_its_keys() -> None:
    assert "zero" not in repr(RING)


def test_action_values_are_fixed() -> None:
    assert [action.value for action in Action] == list(range(1, 33))
    assert (Action.REPLY, Action.BOUNCE, Action.UNDO, Action.SEND_AS_COMMENT) == (1, 3, 17, 29)


VARIANTS = st.text(string.ascii_lowercase + string.digits, max_size=32)


@given(st.integers(0, 10**10 - 1), st.integers(0, 10**10 - 1), VARIANTS)
def test_a_message_id_comes_back(number: int, event: int, variant: str) -> None:
    made = make_message_id(RING, number, event, "Example.com", variant)
    assert made.startswith("<rt-")
    assert made.endswith("@example.com>")
    for seen in (made, made.upper(), made.strip("<>"), f" <{made}> ", made.replace("@", "@\r\n ")):
        assert read_message_id(Keyring(0, KEYS), seen, "example.COM") == (number, event)


def test_a_message_id_of_another_number_domain_or_key_is_not_ours() -> None:
    made = make_message_id(RING, 1042, 7, "example.com")
    spoiled = [
        made.replace("1042", "1043"), made.replace("-7-", "-8-"), made.replace("@example.com", "@example.org"),
        made.replace("-7-", "-7-x-"),
        made.replace("rt-", "rt-0"), "<rt-1042-7-aaaaaaaaaaaaaaaa@example.com>", "", "<>", "@", "<<<<", "rt-\u0661-7@example.com",
        make_message_id(Keyring(0, {0: b"other" * 8}), 1042, 7, "example.com"),
        "<" * 100_000,
    ]  # fmt: skip
    for message_id in spoiled:
        assert read_message_id(RING, message_id, "example.com") is None, message_id[:80]
    with pytest.raises(ValueError):
        make_message_id(RING, 1, 1, "example.com", "No Spaces")


@settings(max_examples=500)
@given(st.text(max_size=60))
def test_no_text_verifies_or_raises(text: str) -> None:
    assert isinstance(verify(RING, text, TODAY), Rejected)
    assert read_message_id(RING, text, "example.com") is None
