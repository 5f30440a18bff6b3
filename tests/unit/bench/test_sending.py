"""Both schedulers are asked for the same traffic, and their blocks count alike."""

from __future__ import annotations

import pytest

from bench_machine import FakeClock, FakeWorker, noisy
from fitwright.bench.block import latency_block, latency_block_under, rate_block
from fitwright.bench.load import ServerBlock, busy_block
from fitwright.bench.sending import num_in_flight
from fitwright.records.contract import Traffic

SERVICE_S = 0.01


def worker(concurrency: int = 3) -> FakeWorker:
    facts = {"concurrency": str(concurrency)}
    return FakeWorker(FakeClock(), latency=lambda _: SERVICE_S, facts=facts)


TRAFFICS = {
    "single_stream": {"scenario": "single_stream"},
    "multi_stream": {"scenario": "multi_stream", "streams": 4},
    "offline": {"scenario": "offline"},
    "server": {"scenario": "server", "rate_per_s": 20.0},
}


@pytest.mark.parametrize("stated", TRAFFICS.values(), ids=TRAFFICS)
@pytest.mark.parametrize("scheduler", ["own", "loadgen"])
def test_time_per_query_is_that_of_the_server_whatever_the_traffic(
    stated: dict[str, object], scheduler: str
) -> None:
    traffic = Traffic(scheduler=scheduler, **stated)  # type: ignore[arg-type]
    # the fake serves one query after another, so bursts and callers change nothing
    (per_query_s,) = rate_block(traffic)(worker(), seconds=1.0, min_runs=1)
    assert per_query_s == pytest.approx(SERVICE_S)


def test_loadgen_is_asked_for_the_contracts_traffic() -> None:
    traffic = Traffic(scenario="multi_stream", streams=4, scheduler="loadgen")
    one = worker()
    latencies_s = latency_block_under(traffic)(one, seconds=0.5, min_runs=1)
    (load,) = one.sent
    assert (load.scenario, load.streams, load.concurrency) == ("multi_stream", 4, 4)
    assert latencies_s[0] == pytest.approx(4 * SERVICE_S)


def test_capacity_of_a_server_is_asked_offline() -> None:
    one = worker()
    traffic = Traffic(scenario="server", rate_per_s=20.0, scheduler="loadgen")
    rate_block(traffic)(one, seconds=0.5, min_runs=1)
    assert (one.sent[0].scenario, one.sent[0].concurrency) == ("offline", 3)


@pytest.mark.parametrize("block_of", [rate_block, latency_block_under])
def test_each_block_of_loadgen_draws_anew(block_of: object) -> None:
    one, block = worker(), block_of(Traffic(scheduler="loadgen"))  # type: ignore[operator]
    for _ in range(3):
        block(one, seconds=0.1, min_runs=1)
    assert len({load.seed for load in one.sent}) == 3


@pytest.mark.parametrize("utilisation", [0.5, 2.0])
def test_overload_is_noticed_under_loadgen_too(utilisation: float) -> None:
    one = FakeWorker(FakeClock(), latency=noisy(utilisation / 200), facts={})
    traffic = Traffic(scenario="server", rate_per_s=200.0, scheduler="loadgen")
    block = ServerBlock(traffic, seed=0)
    for _ in range(10):
        block(one, seconds=2.0, min_runs=1)
    assert block.overloaded(one) == (utilisation > 1)
    assert {load.rate_per_s for load in one.sent} == {200.0}


@pytest.mark.parametrize("scenario", ["single_stream", "offline", "server"])
def test_a_service_time_needs_no_loadgen_except_for_streams(scenario: str) -> None:
    traffic = Traffic(scheduler="loadgen", **TRAFFICS[scenario])  # type: ignore[arg-type]
    block = latency_block_under(traffic)
    assert (block is latency_block) == (scenario != "single_stream")


def test_memory_and_energy_are_taken_without_loadgen() -> None:
    one = worker()
    for stated in TRAFFICS.values():
        traffic = Traffic(scheduler="loadgen", **stated)  # type: ignore[arg-type]
        busy_block(one, traffic=traffic, seconds=0.2, seed=1)
    assert one.sent == []


def test_a_burst_counts_all_its_queries() -> None:
    traffic = Traffic(scenario="multi_stream", streams=4)
    num, elapsed_s = busy_block(worker(), traffic=traffic, seconds=1.0, seed=1)
    assert num == 100
    assert elapsed_s == pytest.approx(1.0)
    assert num_in_flight(worker(), traffic) == 4
