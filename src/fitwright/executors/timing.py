"""Clocks around a model's `run`, inside the child: nothing else is in the interval."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fitwright.ports import Array, Tensors

Run = Callable[[Tensors], dict[str, Array]]
SPIN_S = 100e-6  # a sleep wakes late by about half of this on Linux; the rest is waited awake


@contextmanager
def prompt_switches() -> Iterator[None]:
    """A caller whose query is answered waits 0.1 ms at most for the interpreter, not 5."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


@contextmanager
def no_collection() -> Iterator[None]:
    """Python's garbage collector rests.

    What survives the collection before is frozen for good, so the collection before the next
    block has next to nothing to look at.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def block(
    run: Run, queries: Sequence[Tensors], *, first: int, seconds: float, min_runs: int
) -> tuple[list[float], int]:
    """Latency of each query in turn, seconds, and the query to begin the next block with."""
    latencies_ns: list[int] = []
    i, clock = first, time.perf_counter_ns
    with no_collection():
        end = clock() + round(seconds * 1e9)
        while True:
            query = queries[i % len(queries)]
            begin = clock()
            run(query)
            done = clock()
            latencies_ns.append(done - begin)
            i += 1
            if done >= end and len(latencies_ns) >= min_runs:
                break
    return [ns * 1e-9 for ns in latencies_ns], i % len(queries)


def closed_loop(
    run: Run, queries: Sequence[Tensors], *, seconds: float, concurrency: int
) -> tuple[list[float], float]:
    """`concurrency` callers, each sending its next query when the last is answered."""

    def caller(number: int, begin: float, latencies_s: list[float]) -> None:
        i, now = number, time.perf_counter()
        while now - begin < seconds or not latencies_s:
            run(queries[i % len(queries)])
            done = time.perf_counter()
            latencies_s.append(done - now)
            i, now = i + concurrency, done

    return _together(caller, concurrency)


def open_loop(
    run: Run, queries: Sequence[Tensors], arrivals_s: Sequence[float], *, concurrency: int
) -> tuple[list[float], float]:
    """Queries at the given times from the start, first come first served.

    A latency counts from the arrival, so waiting for a free caller is part of it.
    """
    turns, turn = iter(enumerate(sorted(arrivals_s))), threading.Lock()

    def caller(_number: int, begin: float, latencies_s: list[float]) -> None:
        while True:
            with turn:
                i, arrival_s = next(turns, (-1, 0.0))
                if i < 0:
                    return
                _wait_until(begin + arrival_s)
            run(queries[i % len(queries)])
            latencies_s.append(time.perf_counter() - begin - arrival_s)

    return _together(caller, concurrency)


def _wait_until(moment: float) -> None:
    left = moment - time.perf_counter() - SPIN_S
    if left > 0:
        time.sleep(left)
    while time.perf_counter() < moment:
        time.sleep(0)  # gives up the interpreter, so that other callers go on


def _together(
    caller: Callable[[int, float, list[float]], None], concurrency: int
) -> tuple[list[float], float]:
    """Run the callers at once; all latencies and the time until the last has ended."""
    latencies_s: list[list[float]] = [[] for _ in range(concurrency)]
    started: list[float] = []
    gate = threading.Barrier(concurrency, action=lambda: started.append(time.perf_counter()))

    def enter(number: int) -> float:
        gate.wait()
        caller(number, started[0], latencies_s[number])
        return time.perf_counter()

    with no_collection(), prompt_switches(), ThreadPoolExecutor(concurrency) as pool:
        running = [pool.submit(enter, n) for n in range(concurrency)]
    ends = [one.result() for one in running]
    return [s for part in latencies_s for s in part], max(ends) - started[0]
