"""Callers that share one infer request are served in turn."""

from __future__ import annotations

import threading
import time

from fitwright.backends.openvino.turns import Turns

NUM_RETURNS = 50


def test_what_was_given_back_can_be_taken_again() -> None:
    turns = Turns("ab")
    first, second = turns.take(), turns.take()
    assert {first, second} == {"a", "b"}
    turns.give(first)
    assert turns.take() == first


def test_nobody_starves_while_another_comes_back_at_once() -> None:
    turns, served = Turns(["request"]), list[str]()

    def wait_for_a_turn() -> None:
        thing = turns.take()
        served.append("who waited")
        turns.give(thing)

    thing = turns.take()
    for _ in range(NUM_RETURNS):
        waiting = threading.Thread(target=wait_for_a_turn)
        waiting.start()
        while not turns._waiting:
            time.sleep(0.001)
        turns.give(thing)
        thing = turns.take()
        served.append("who came back")
        waiting.join()
    assert served == ["who waited", "who came back"] * NUM_RETURNS
