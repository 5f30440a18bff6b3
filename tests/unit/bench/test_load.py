"""Traffic as the contract states it, and a queue that grows is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_machine import FakeClock, FakeWorker, noisy
from fitwright.bench.block import Pace
from fitwright.bench.load import (
    ServerBlock,
    backlog_grows,
    busy_block,
    poisson_arrivals,
    throughput_figure,
    throughput_run,
)
from fitwright.bench.sending import num_in_flight
from fitwright.records.contract import Traffic

unhurried = settings(max_examples=50, deadline=None)  # other work shares the machine


@unhurried
@given(st.floats(0.1, 1000), st.floats(0.1, 5), st.integers(0, 2**32 - 1))
def test_arrivals_are_ordered_within_the_time_and_never_none(
    rate: float, seconds: float, seed: int
) -> None:
    times = poisson_arrivals(rate, seconds=seconds, seed=seed)
    assert len(times) >= 1
    assert list(times) == sorted(times)
    assert times[0] > 0
    assert len(times) == 1 or times[-1] < seconds
    assert times == poisson_arrivals(rate, seconds=seconds, seed=seed)


def test_arrivals_are_poisson_at_the_stated_rate() -> None:
    counts = [len(poisson_arrivals(50, seconds=2, seed=s)) for s in range(400)]
    # mean 100, standard error 0.5; variance 100, standard error 7
    assert np.mean(counts) == pytest.approx(100, abs=2)
    assert np.var(counts) == pytest.approx(100, abs=25)


def serve(rate: float, service_s: float, *, num_blocks: int = 10) -> tuple[list[list[float]], bool]:
    worker = FakeWorker(FakeClock(), latency=noisy(service_s))
    block = ServerBlock(Traffic(scenario="server", rate_per_s=rate), seed=0)
    times = [list(block(worker, seconds=2.0, min_runs=1)) for _ in range(num_blocks)]
    return times, block.overloaded(worker)


@pytest.mark.parametrize("utilisation", [1.2, 2.0, 10.0])
def test_more_arrivals_than_the_worker_serves_is_overload(utilisation: float) -> None:
    assert serve(200, utilisation / 200)[1]


@pytest.mark.parametrize("utilisation", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("rate", [3, 100])
def test_a_queue_that_empties_again_is_not_overload(rate: float, utilisation: float) -> None:
    assert not serve(rate, utilisation / rate)[1]


def test_the_order_in_which_latencies_come_back_does_not_matter() -> None:
    growing = [0.01 * i for i in range(100)]
    for seen in (growing, growing[::-1], growing[::2] + growing[1::2]):
        assert backlog_grows(seen, span_s=1.0, elapsed_s=2.0)
        assert not backlog_grows(seen, span_s=1.0, elapsed_s=1.01)


def test_latency_under_load_counts_the_wait() -> None:
    times = np.concatenate(serve(100, 0.008, num_blocks=40)[0])
    # queue with Poisson arrivals and fixed service at 80 %: mean wait 2 services
    # (Pollaczek-Khinchine), so 24 ms in all; short blocks start empty, so somewhat less
    assert 0.014 < times.mean() < 0.028


def test_each_server_block_draws_new_arrivals() -> None:
    (first, second), _ = serve(100, 0.001, num_blocks=2)
    assert first != second


def test_an_overload_takes_no_longer_than_a_load_that_can_be_served() -> None:
    clock = FakeClock()
    worker = FakeWorker(clock, latency=noisy(0.01), facts={})  # 100 queries/s at most
    block = ServerBlock(Traffic(scenario="server", rate_per_s=4000.0), seed=0)
    for _ in range(5):
        block(worker, seconds=1.0, min_runs=1)
    # 4000 queries at 100/s for the first block, then about a second each
    assert 38 < clock() < 42 + 4 * 1.5
    assert block.overloaded(worker)


def test_one_slow_block_among_many_does_not_shorten_the_others() -> None:
    clock = FakeClock()
    stalls = iter([False, False, True])
    slow = [0.001]

    def latency(_i: int) -> float:
        return slow[0]

    worker = FakeWorker(clock, latency=latency)
    block = ServerBlock(Traffic(scenario="server", rate_per_s=100.0), seed=0)
    for stalled in stalls:
        slow[0] = 0.1 if stalled else 0.001
        block(worker, seconds=1.0, min_runs=1)
    slow[0] = 0.001
    assert 70 < len(block(worker, seconds=1.0, min_runs=1)) < 130  # Poisson: 100 ± 10


def run(traffic: Traffic, service_s: float = 0.002) -> tuple[float, ...]:
    clock = FakeClock()
    worker = FakeWorker(clock, latency=noisy(service_s))
    pace = Pace(latency_s=service_s, budget_s=10, clock=clock)
    return throughput_run({"one": worker}, traffic=traffic, pace=pace)["one"]


def test_throughput_counts_inferences_not_queries() -> None:
    once = throughput_figure(run(Traffic()), traffic=Traffic())
    batched = throughput_figure(run(Traffic(batch=8)), traffic=Traffic(batch=8))
    # 2 ms a query, 2 % spread averaged over a block of fifty
    assert once.value == pytest.approx(500, rel=0.01)
    assert batched.value == pytest.approx(4000, rel=0.01)
    assert batched.low is not None
    assert batched.high is not None
    assert batched.low <= 4000 * 1.005
    assert batched.high >= 4000 * 0.995
    assert batched.unit == "/s"


def test_throughput_ends_once_it_is_known_within_two_percent() -> None:
    assert len(run(Traffic())) == 8


def test_few_blocks_give_their_range_and_say_so() -> None:
    figure = throughput_figure([0.001, 0.002, 0.0015], traffic=Traffic())
    assert (figure.low, figure.high) == (500.0, 1000.0)
    assert "range" in figure.source


@pytest.mark.parametrize(
    ("traffic", "num"),
    [
        (Traffic(), 1),
        (Traffic(scenario="multi_stream", streams=5), 5),
        (Traffic(scenario="offline"), 3),
        (Traffic(scenario="server", rate_per_s=10.0), 3),
    ],
)
def test_as_many_are_under_way_as_the_scenario_says(traffic: Traffic, num: int) -> None:
    worker = FakeWorker(FakeClock(), facts={"concurrency": "3"})
    assert num_in_flight(worker, traffic) == num


@pytest.mark.parametrize(
    ("traffic", "queries", "elapsed_s"),
    [
        (Traffic(), 100, 1.0),
        (Traffic(scenario="offline"), 100, 1.0),
        (Traffic(scenario="server", rate_per_s=20.0), 20, 1.0),
    ],
)
def test_a_busy_block_follows_the_scenario(
    traffic: Traffic, queries: int, elapsed_s: float
) -> None:
    worker = FakeWorker(FakeClock(), latency=lambda i: 0.01)
    num, elapsed = busy_block(worker, traffic=traffic, seconds=1.0, seed=1)
    # Poisson: 20 ± 4.5; the closed loops are exact to one run
    assert num == pytest.approx(queries, abs=14 if traffic.rate_per_s else 1)
    assert elapsed == pytest.approx(elapsed_s, abs=0.2 if traffic.rate_per_s else 0.02)


def test_a_busy_block_draws_no_more_queries_than_it_can_serve() -> None:
    worker = FakeWorker(FakeClock(), latency=lambda i: 0.01, facts={})
    traffic = Traffic(scenario="server", rate_per_s=4000.0)
    _, elapsed_s = busy_block(worker, traffic=traffic, seconds=1.0, seed=1, latency_s=0.01)
    assert elapsed_s == pytest.approx(1.0, abs=0.3)  # 100 Poisson arrivals, ± 10
