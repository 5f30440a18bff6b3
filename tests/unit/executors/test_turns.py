"""Every arrival is taken once, in order, whoever takes it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from fitwright.executors import turns


def test_every_number_is_taken_once_and_in_order_by_each() -> None:
    num, callers = 40_000, 4  # more than a pipe of 64 KiB holds at once
    reading_end, writing_end = turns.pipe()

    def taken(_: int) -> list[int]:
        take, found = turns.taker(reading_end), list[int]()
        while (number := take()) is not None:
            found.append(number)
        return found

    with ThreadPoolExecutor(callers + 1) as pool:
        pool.submit(turns.fill, writing_end, num)
        parts = list(pool.map(taken, range(callers)))
    os.close(reading_end)
    assert sorted(n for part in parts for n in part) == list(range(num))
    assert all(part == sorted(part) for part in parts)


def test_filling_ends_when_nobody_is_left_to_serve() -> None:
    reading_end, writing_end = turns.pipe()
    filling = threading.Thread(target=turns.fill, args=(writing_end, 100_000))
    filling.start()
    os.close(reading_end)
    filling.join(120)
    assert not filling.is_alive()
