"""Copy bandwidth of main memory, measured."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

MIN_ARRAY_BYTES = 64 << 20
MAX_ARRAY_BYTES = 1 << 30
REPEATS = 12


def array_bytes(*, last_cache_bytes: int, memory_bytes: int) -> int:
    """Size of each of the two arrays: four times the last cache, within reason."""
    wanted = max(4 * last_cache_bytes, MIN_ARRAY_BYTES)
    return min(wanted, MAX_ARRAY_BYTES, max(memory_bytes // 8, 1 << 20))


def copy_rates_bytes_per_s(
    num_bytes: int, *, num_threads: int, repeats: int = REPEATS
) -> list[float]:
    """Bytes read plus bytes written per second, one rate per repeat.

    numpy gives up the interpreter lock while it copies, so threads copy in parallel.
    A line that is fetched before it is overwritten is not counted.

    Args:
        num_bytes: of each array; much larger than the last cache.
        num_threads: each copies its own part.
        repeats: timed copies, after one that touches every page.
    """
    source = np.ones(num_bytes, np.uint8)
    target = np.zeros_like(source)
    targets, sources = (np.array_split(a, num_threads) for a in (target, source))
    with ThreadPoolExecutor(num_threads) as pool:

        def copy() -> float:
            start = perf_counter()
            for done in [
                pool.submit(np.copyto, t, s) for t, s in zip(targets, sources, strict=True)
            ]:
                done.result()
            return 2 * num_bytes / (perf_counter() - start)

        copy()
        return [copy() for _ in range(repeats)]


def best_copy_rates_bytes_per_s(num_bytes: int, *, num_threads: int) -> tuple[int, list[float]]:
    """One core and all cores; the thread count with the higher median, and its rates."""
    tried = [
        (threads, copy_rates_bytes_per_s(num_bytes, num_threads=threads))
        for threads in sorted({1, num_threads})
    ]
    return max(tried, key=lambda pair: float(np.median(pair[1])))
