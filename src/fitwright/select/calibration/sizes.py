"""Bandwidth by size, which shows the levels of the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter

import numpy as np

from fitwright.records.profile import BySize

SMALLEST, LARGEST = 32 << 10, 512 << 20
ROUND_S = 0.02  # per size and operation
FALL = 0.75  # of the best rate so far: below it a level of the cache is left behind


def by_size(num_threads: int, *, most_bytes: int) -> tuple[BySize, ...]:
    """Copy (one array read, one written) and sum (two read, one written), every factor of two.

    The bytes touched are counted; each thread works on a part of its own.

    Args:
        num_threads: that work together.
        most_bytes: the largest set of arrays together.
    """
    found = []
    with ThreadPoolExecutor(num_threads) as pool:
        size = SMALLEST
        while size <= min(most_bytes, LARGEST):
            found.append(_rates(pool, size, num_threads))
            size *= 2
    return tuple(found)


def _rates(pool: ThreadPoolExecutor, size: int, num_threads: int) -> BySize:
    """Both rates with arrays of `size` bytes in all."""
    parts = [
        np.ones(max(size // 3 // 4 // num_threads, 64), np.float32) for _ in range(num_threads)
    ]
    others, targets = [p.copy() for p in parts], [p.copy() for p in parts]

    def copy(i: int) -> None:
        np.copyto(targets[i], parts[i])

    def add(i: int) -> None:
        np.add(parts[i], others[i], out=targets[i])

    moved = sum(p.nbytes for p in parts)
    return BySize(
        bytes=size,
        copy_bytes_per_s=2 * moved / _each_s(pool, copy, num_threads),
        add_bytes_per_s=3 * moved / _each_s(pool, add, num_threads),
    )


def _each_s(pool: ThreadPoolExecutor, work: Callable[[int], None], num_threads: int) -> float:
    """Time of one pass over all parts; many passes within a task, so that handing out is free."""

    def passes(count: int) -> float:
        def task(i: int) -> None:
            for _ in range(count):
                work(i)

        begin = perf_counter()
        list(pool.map(task, range(num_threads)))
        return (perf_counter() - begin) / count

    first = passes(1)
    count = max(1, round(ROUND_S / 4 / max(first, 1e-7)))
    return min(passes(count) for _ in range(4))


def cache_bytes(rates: Sequence[BySize]) -> tuple[int, ...]:
    """Sizes that were the last before the copy became slower by a quarter or more."""
    found, level = list[int](), 0.0
    for before, after in pairwise(rates):
        level = max(level, before.copy_bytes_per_s)
        if after.copy_bytes_per_s < FALL * level:
            found.append(before.bytes)
            level = after.copy_bytes_per_s
    return tuple(found)
