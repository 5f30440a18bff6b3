"""Blocks of timed runs: what is run, and what a latency counts."""

from __future__ import annotations

import gc
import sys
import threading
import time

import numpy as np
import pytest

from fitwright.executors import timing
from fitwright.ports import Array, Tensors

QUERIES = [{"x": np.array(i)} for i in range(5)]
SERVICE_S = 2e-3
PATIENCE_S = 120.0
LONGER_S = (0.02, 0.2, 2.0, 20.0)
"""What a block does within its time it must do in one of these: a machine may stand still."""


class Recorder:
    """A model that remembers which queries it saw."""

    def __init__(self, service_s: float = 0.0) -> None:
        self.seen: list[int] = []
        self.service_s = service_s

    def __call__(self, inputs: Tensors) -> dict[str, Array]:
        time.sleep(self.service_s)
        self.seen.append(int(inputs["x"]))
        return {}


def test_blocks_rotate_through_the_queries_and_go_on_where_they_stopped() -> None:
    run = Recorder()
    first, after = timing.block(run, QUERIES, first=0, seconds=0.0, min_runs=7)
    _, last = timing.block(run, QUERIES, first=after, seconds=0.0, min_runs=4)
    assert len(first) == 7
    assert run.seen == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]
    assert last == 1


def test_a_block_lasts_as_long_as_asked() -> None:
    latencies_s, _ = timing.block(Recorder(SERVICE_S), QUERIES, first=0, seconds=0.05, min_runs=1)
    # a sleep never ends early, so all but the last run lie within the 50 ms
    assert min(latencies_s) >= SERVICE_S
    assert sum(latencies_s[:-1]) <= 0.05


def test_garbage_collection_rests_inside_and_comes_back() -> None:
    states = []
    timing.block(
        lambda _: states.append(gc.isenabled()) or {}, QUERIES, first=0, seconds=0.0, min_runs=1
    )
    assert (states, gc.isenabled()) == ([False], True)


def test_closed_loop_callers_run_at_once() -> None:
    together = threading.Barrier(3)  # breaks unless three runs are in flight

    def run(_: Tensors) -> dict[str, Array]:
        together.wait(timeout=PATIENCE_S)
        return {}

    interval_s = sys.getswitchinterval()
    latencies_s, elapsed_s = timing.closed_loop(run, QUERIES, seconds=0.0, concurrency=3)
    assert len(latencies_s) == 3
    assert min(latencies_s) <= elapsed_s
    assert sys.getswitchinterval() == interval_s


def test_closed_loop_covers_every_query() -> None:
    for seconds in LONGER_S:
        run = Recorder(1e-4)
        timing.closed_loop(run, QUERIES, seconds=seconds, concurrency=2)
        if len(run.seen) >= 4 * len(QUERIES):
            break
    # each of two callers goes through all of them
    assert set(run.seen) == {0, 1, 2, 3, 4}


def test_a_closed_loop_keeps_the_law_of_little() -> None:
    """Callers are queries per second times latency, however unequal their last ends are.

    A caller that begins late, because the machine stood still, is missing: not every time.
    """
    # what a caller does between two queries is not in their latencies: well below a tenth
    close = pytest.approx(2, rel=0.1)
    seen = []
    while not (seen and seen[-1] == close) and len(seen) < 5:
        seen.append(callers_by_little())
    assert seen[-1] == close, seen


def callers_by_little() -> float:
    """Queries over elapsed time, times mean latency, of a closed loop of two callers."""
    service_s = [0.030, 0.004]
    callers: dict[int, float] = {}

    def run(_: Tensors) -> dict[str, Array]:
        time.sleep(callers.setdefault(threading.get_ident(), service_s[len(callers) % 2]))
        return {}

    latencies_s, elapsed_s = timing.closed_loop(run, QUERIES, seconds=0.04, concurrency=2)
    mean_s = sum(latencies_s) / len(latencies_s)
    return len(latencies_s) / elapsed_s * mean_s


def test_a_closed_loop_can_begin_at_a_given_moment() -> None:
    moments: list[float] = []
    begin_at = time.perf_counter() + 0.03
    _, elapsed_s = timing.closed_loop(
        lambda _: moments.append(time.perf_counter()) or {},
        QUERIES,
        seconds=0.01,
        concurrency=2,
        begin_at=begin_at,
    )
    assert min(moments) >= begin_at
    # one that begins late counts the time it lost
    _, late_s = timing.closed_loop(
        lambda _: {}, QUERIES, seconds=0.0, concurrency=1, begin_at=time.perf_counter() - 1
    )
    assert elapsed_s >= 0.01
    assert late_s >= 1


def test_a_burst_waits_for_its_slowest_query() -> None:
    for seconds in LONGER_S:
        run = Recorder(SERVICE_S)
        latencies_s, elapsed_s = timing.bursts(run, QUERIES, seconds=seconds, size=3)
        if len(latencies_s) >= 2:
            break
    assert len(run.seen) == 3 * len(latencies_s)
    # each burst begins where the last one ended
    assert sorted(run.seen[:3]) == [0, 1, 2]
    assert sorted(run.seen[3:6]) == [0, 3, 4]
    assert min(latencies_s) >= SERVICE_S
    assert sum(latencies_s) == pytest.approx(elapsed_s)


def test_the_queries_of_a_burst_run_at_once() -> None:
    together = threading.Barrier(3)  # breaks unless three runs are in flight

    def run(_: Tensors) -> dict[str, Array]:
        together.wait(timeout=PATIENCE_S)
        return {}

    latencies_s, _ = timing.bursts(run, QUERIES, seconds=0.0, size=3)
    assert len(latencies_s) == 1


def test_an_open_loop_serves_the_turns_it_is_given() -> None:
    run, numbers = Recorder(), iter([1, 3])
    latencies_s, _ = timing.open_loop(
        run, QUERIES, [0.0, 0.001, 0.002, 0.003], concurrency=1, take=lambda: next(numbers, None)
    )
    assert run.seen == [1, 3]
    assert len(latencies_s) == 2


def test_open_loop_serves_in_order_of_arrival() -> None:
    run = Recorder()
    timing.open_loop(run, QUERIES, [0.02, 0.0, 0.01, 0.03], concurrency=1)
    assert run.seen == [0, 1, 2, 3]


def test_open_loop_latency_counts_from_the_arrival() -> None:
    run = Recorder(SERVICE_S)
    latencies_s, elapsed_s = timing.open_loop(run, QUERIES, [0.0] * 10, concurrency=1)
    # the i-th of ten waits for all before it
    assert all(s >= (i + 1) * SERVICE_S for i, s in enumerate(latencies_s))
    assert elapsed_s >= 10 * SERVICE_S


def test_open_loop_never_begins_before_the_arrival() -> None:
    begin = time.perf_counter()
    moments: list[float] = []
    timing.open_loop(
        lambda _: moments.append(time.perf_counter() - begin) or {},
        QUERIES,
        [0.01, 0.03],
        concurrency=2,
    )
    assert moments[0] >= 0.01
    assert moments[1] >= 0.03


def test_open_loop_with_a_free_caller_does_not_wait() -> None:
    together = threading.Barrier(2)  # breaks unless two runs are in flight

    def run(_: Tensors) -> dict[str, Array]:
        together.wait(timeout=PATIENCE_S)
        return {}

    latencies_s, _ = timing.open_loop(run, QUERIES, [0.0, 0.0], concurrency=2)
    assert len(latencies_s) == 2


@pytest.mark.parametrize("arrivals_s", [(), (0.0, 0.0, 0.0)])
def test_an_error_of_one_caller_is_raised(arrivals_s: tuple[float, ...]) -> None:
    class Foreign(Exception):
        pass

    def run(_: Tensors) -> dict[str, Array]:
        raise Foreign("from native code")

    with pytest.raises(Foreign):
        if arrivals_s:
            timing.open_loop(run, QUERIES, arrivals_s, concurrency=2)
        else:
            timing.closed_loop(run, QUERIES, seconds=0.0, concurrency=2)
