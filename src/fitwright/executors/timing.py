"""Clocks around a model's `run`, inside the child: nothing else is in the interval."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import fmean

from fitwright.ports import Array, Tensors

Run = Callable[[Tensors], dict[str, Array]]
Take = Callable[[], int | None]
"""The number of the next query to serve, from 0; None when there are no more."""
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
    run: Run,
    queries: Sequence[Tensors],
    *,
    seconds: float,
    concurrency: int,
    begin_at: float | None = None,
) -> tuple[list[float], float]:
    """`concurrency` callers, each sending its next query when the last is answered.

    The elapsed time is the mean over the callers, each until its last answer: the load is
    full until the first of them ends, and that the others end a little later is no idleness
    of the model. So queries over elapsed time is callers over mean latency (Little's law).

    Args:
        begin_at: moment of `time.perf_counter` to begin at, which is one clock for all
            processes of a machine; now by default.
    """

    def caller(number: int, begin: float, latencies_s: list[float]) -> None:
        i, now = number, max(begin, time.perf_counter())
        while now - begin < seconds or not latencies_s:
            run(queries[i % len(queries)])
            done = time.perf_counter()
            latencies_s.append(done - now)
            i, now = i + concurrency, done

    latencies_s, spans_s = _together(caller, concurrency, begin_at=begin_at)
    return latencies_s, fmean(spans_s)


def bursts(
    run: Run, queries: Sequence[Tensors], *, seconds: float, size: int
) -> tuple[list[float], float]:
    """`size` queries sent together, the next ones when the last of them is answered.

    Each latency is that of a whole burst: MLPerf's multi-stream.
    """
    latencies_s: list[float] = []
    with no_collection(), prompt_switches(), ThreadPoolExecutor(size) as pool:
        list(pool.map(time.sleep, [1e-3] * size))  # every thread has started
        begin = now = time.perf_counter()
        while now - begin < seconds or not latencies_s:
            first = len(latencies_s) * size
            sent = [pool.submit(run, queries[(first + n) % len(queries)]) for n in range(size)]
            for one in sent:
                one.result()
            done = time.perf_counter()
            latencies_s.append(done - now)
            now = done
    return latencies_s, now - begin


def open_loop(
    run: Run,
    queries: Sequence[Tensors],
    arrivals_s: Sequence[float],
    *,
    concurrency: int,
    begin_at: float | None = None,
    take: Take | None = None,
) -> tuple[list[float], float]:
    """Queries at the given times from the start, first come first served.

    A latency counts from the arrival, so waiting for a free caller is part of it.

    Args:
        begin_at: as for `closed_loop`.
        take: hands out the arrivals by number, in order, where several processes share them.
    """
    ordered_s, turn = sorted(arrivals_s), threading.Lock()
    take = take or _each(len(ordered_s))

    def caller(_number: int, begin: float, latencies_s: list[float]) -> None:
        while True:
            with turn:
                i = take()
                if i is None:
                    return
                _wait_until(begin + ordered_s[i])
            run(queries[i % len(queries)])
            latencies_s.append(time.perf_counter() - begin - ordered_s[i])

    latencies_s, spans_s = _together(caller, concurrency, begin_at=begin_at)
    return latencies_s, max(spans_s)


def _each(num: int) -> Take:
    numbers = iter(range(num))
    return lambda: next(numbers, None)


def _wait_until(moment: float) -> None:
    left = moment - time.perf_counter() - SPIN_S
    if left > 0:
        time.sleep(left)
    while time.perf_counter() < moment:
        time.sleep(0)  # gives up the interpreter, so that other callers go on


def _together(
    caller: Callable[[int, float, list[float]], None],
    concurrency: int,
    *,
    begin_at: float | None,
) -> tuple[list[float], list[float]]:
    """Run the callers at once; all latencies, and how long after the beginning each ended."""
    latencies_s: list[list[float]] = [[] for _ in range(concurrency)]
    started: list[float] = []

    def start() -> None:
        if begin_at is not None:
            _wait_until(begin_at)
        started.append(time.perf_counter() if begin_at is None else begin_at)

    gate = threading.Barrier(concurrency, action=start)

    def enter(number: int) -> float:
        gate.wait()
        caller(number, started[0], latencies_s[number])
        return time.perf_counter()

    with no_collection(), prompt_switches(), ThreadPoolExecutor(concurrency) as pool:
        running = [pool.submit(enter, n) for n in range(concurrency)]
    ends = [one.result() for one in running]
    return [s for part in latencies_s for s in part], [end - started[0] for end in ends]
