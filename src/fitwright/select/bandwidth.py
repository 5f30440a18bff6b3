"""Copy bandwidth of main memory, measured."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np

MIN_ARRAY_BYTES = 64 << 20
MAX_ARRAY_BYTES = 1 << 30
REPEATS = 8


def array_bytes(*, last_cache_bytes: int, memory_bytes: int) -> int:
    """Size of each of the two arrays: four times the last cache, within reason."""
    wanted = max(4 * last_cache_bytes, MIN_ARRAY_BYTES)
    return min(wanted, MAX_ARRAY_BYTES, max(memory_bytes // 8, 1 << 20))


@dataclass(frozen=True, kw_only=True)
class Copied:
    """Rates of one kind of copy.

    Attributes:
        rates_bytes_per_s: bytes read plus bytes written per second, one per repeat.
        cpu_share: CPU time used over CPU time asked for; below 1 others were at work.
    """

    num_threads: int
    rates_bytes_per_s: tuple[float, ...]
    cpu_share: float


def copy_rates(num_bytes: int, *, num_threads: int, repeats: int = REPEATS) -> Copied:
    """Time copies between two arrays.

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
        started_s, used_s = perf_counter(), process_time()
        rates = tuple(copy() for _ in range(repeats))
        asked_s = (perf_counter() - started_s) * num_threads
        share = min(1.0, (process_time() - used_s) / asked_s)
    return Copied(num_threads=num_threads, rates_bytes_per_s=rates, cpu_share=share)


def best_copy(num_bytes: int, *, num_threads: int) -> Copied:
    """One core and all cores; the thread count with the higher median."""
    tried = [copy_rates(num_bytes, num_threads=threads) for threads in sorted({1, num_threads})]
    return max(tried, key=lambda copied: float(np.median(copied.rates_bytes_per_s)))
