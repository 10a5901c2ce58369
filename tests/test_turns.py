"""The turn to write: in order among threads, to and fro between two processes, and nobody waits for one that has died."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rtmail.store.turns import Between, Turn

PATIENCE = 30.0


@contextmanager
def other(between: Between, work: Callable[[], None]) -> Iterator[int]:
    """Run `work` in a forked process that is the turn's other side; it is gone when the block ends."""
    pid = os.fork()
    if not pid:
        between.side = 1
        try:
            work()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)  # between two looks at another thread or process; the deadline is what decides


@pytest.fixture
def shared() -> Turn:
    turn = Turn()
    turn.between = Between()
    return turn


def test_threads_get_it_in_the_order_in_which_they_asked() -> None:
    turn, order = Turn(), list[int]()
    assert turn.take(1)
    threads = []
    for number in range(5):

        def write(number: int = number) -> None:
            assert turn.take(PATIENCE)
            order.append(number)
            turn.give()

        threads.append(threading.Thread(target=write))
        threads[-1].start()
        until(lambda: len(turn._waiting) == len(threads))
    assert turn.wanted
    turn.give()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == [0, 1, 2, 3, 4]
    assert not turn.wanted


def test_two_processes_write_by_turns(shared: Turn) -> None:
    """Each asks again as soon as it has given the turn away; where the other one waited, it gets it."""
    reads, writes = os.pipe()
    assert shared.between is not None
    between, rounds = shared.between, 200

    def write(letter: bytes) -> None:
        for place in range(rounds):
            assert shared.take(PATIENCE)
            if place < rounds - 1:
                until(lambda: shared.wanted)
            os.write(writes, letter)
            shared.give()

    written = b""
    with other(between, lambda: write(b"b")):
        write(b"a")
        while len(written) < 2 * rounds and select.select([reads], [], [], PATIENCE)[0]:
            written += os.read(reads, 4 * rounds)
    assert written in (b"ab" * rounds, b"ba" * rounds)


def test_whoever_does_not_get_it_in_time_can_ask_again(shared: Turn) -> None:
    go_reads, go_writes = os.pipe()
    assert shared.between is not None

    def hold() -> None:
        assert shared.take(PATIENCE)
        os.write(held_writes, b"1")
        os.read(go_reads, 1)
        shared.give()
        os.read(go_reads, 1)

    held_reads, held_writes = os.pipe()
    with other(shared.between, hold):
        os.read(held_reads, 1)
        assert not shared.take(0.05)
        assert not shared.wanted
        os.write(go_writes, b"1")
        assert shared.take(PATIENCE)
        shared.give()
        assert shared.take(0)
        shared.give()


def test_nobody_waits_for_one_that_has_died(shared: Turn) -> None:
    held_reads, held_writes = os.pipe()
    assert shared.between is not None

    def hold() -> None:
        assert shared.take(PATIENCE)
        os.write(held_writes, b"1")
        signal.pause()

    got = list[bool]()
    waiting = threading.Thread(target=lambda: got.append(shared.take(PATIENCE)))
    with other(shared.between, hold):
        os.read(held_reads, 1)
        waiting.start()
        until(lambda: bool(shared.between and shared.between._page[1]))
    shared.between.alone()
    waiting.join(PATIENCE)
    assert got == [True]
    shared.give()
    for _ in range(3):
        assert shared.take(0)
        assert not shared.wanted
        shared.give()


def test_who_has_patience_lets_others_go_on_and_go_before() -> None:
    turn, order = Turn(), list[str]()
    assert turn.take(1)

    def write(name: str, patience: float) -> None:
        assert turn.take(PATIENCE, patience)
        order.append(name)
        turn.give()

    threads = [threading.Thread(target=write, args=("patient", PATIENCE))]
    threads[0].start()
    until(lambda: len(turn._waiting) == 1)
    assert not turn.wanted
    threads.append(threading.Thread(target=write, args=("hurried", 0.0)))
    threads[1].start()
    until(lambda: turn.wanted)
    turn.give()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["hurried", "patient"]


def test_the_other_process_hears_of_one_in_a_hurry_behind_a_patient_one(shared: Turn) -> None:
    told_reads, told_writes = os.pipe()
    assert shared.between is not None
    between = shared.between

    def hold() -> None:
        assert shared.take(PATIENCE)
        os.write(told_writes, b"h")
        until(lambda: bool(between._page[1]))
        os.write(told_writes, b"w" if shared.wanted else b"p")
        until(lambda: shared.wanted)
        shared.give()
        signal.pause()

    done = list[bool]()
    threads = [threading.Thread(target=lambda patience=patience: done.append(shared.take(PATIENCE, patience)) or shared.give())
               for patience in (PATIENCE, 0.0)]
    with other(between, hold):
        assert os.read(told_reads, 1) == b"h"
        threads[0].start()
        assert os.read(told_reads, 1) == b"p"
        threads[1].start()
        for thread in threads:
            thread.join(PATIENCE)
    assert done == [True, True]
