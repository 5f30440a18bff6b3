"""Callers that share one infer request are served in turn."""

from __future__ import annotations

import threading
import time

from fitwright.backends.openvino.turns import Turns


def test_what_was_given_back_can_be_taken_again() -> None:
    turns = Turns("ab")
    first, second = turns.take(), turns.take()
    assert {first, second} == {"a", "b"}
    turns.give(first)
    assert turns.take() == first


def test_nobody_starves_while_another_comes_back_at_once() -> None:
    turns, served, enough = Turns(["request"]), [0, 0], threading.Event()

    def caller(number: int) -> None:
        while not enough.is_set():
            thing = turns.take()
            served[number] += 1
            time.sleep(1e-4)  # an inference, with the interpreter free for others
            turns.give(thing)

    threads = [threading.Thread(target=caller, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    enough.set()
    for thread in threads:
        thread.join()
    # strict turns once both are there; the first may have been alone at the beginning
    assert min(served) > 0.5 * max(served)
