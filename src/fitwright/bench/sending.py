"""How the queries of one block are sent: the contract's scenario, by its scheduler.

Fitwright's own scheduler and MLCommons LoadGen send the same traffic and count alike; they
are compared in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fitwright.ports import LoadBlock, LoadGenLoad, Worker
from fitwright.records.contract import Traffic


def num_in_flight(worker: Worker, traffic: Traffic) -> int:
    """Queries under way at once when throughput is asked.

    One in single_stream; the contract's streams in multi_stream; in offline and server as
    many as the compiled model can take at once (`concurrency` of the worker's facts).
    """
    if traffic.scenario == "single_stream":
        return 1
    if traffic.scenario == "multi_stream":
        return traffic.streams
    stated = worker.facts.get("concurrency", "1")
    return max(traffic.streams, int(stated) if stated.isdigit() else 1)


def kept_busy(worker: Worker, traffic: Traffic, *, seconds: float, seed: int) -> tuple[int, float]:
    """Queries finished and elapsed time of a worker that always has work.

    Server traffic is replaced by that of offline: capacity is asked, not the rate served.
    """
    in_flight = num_in_flight(worker, traffic)
    bursts = traffic.scenario == "multi_stream" and traffic.streams > 1
    if traffic.scheduler == "loadgen":
        scenario = "offline" if traffic.scenario == "server" else traffic.scenario
        block = by_loadgen(worker, traffic, scenario=scenario, seconds=seconds, seed=seed)
    elif bursts:
        block = worker.burst_block(seconds=seconds, size=in_flight)
    else:
        block = worker.load_block(seconds=seconds, concurrency=in_flight)
    latencies_s, elapsed_s = block
    return len(latencies_s) * (traffic.streams if bursts else 1), elapsed_s


def streamed(worker: Worker, traffic: Traffic, *, seconds: float, seed: int) -> Sequence[float]:
    """Latencies in single_stream, of a query, and in multi_stream, of a burst."""
    if traffic.scheduler == "loadgen":
        scenario = traffic.scenario
        return by_loadgen(worker, traffic, scenario=scenario, seconds=seconds, seed=seed)[0]
    return worker.burst_block(seconds=seconds, size=traffic.streams)[0]


def by_loadgen(
    worker: Worker,
    traffic: Traffic,
    *,
    scenario: Literal["single_stream", "multi_stream", "server", "offline"],
    seconds: float,
    seed: int,
) -> LoadBlock:
    """One block of LoadGen's."""
    return worker.loadgen_block(
        LoadGenLoad(
            scenario=scenario,
            seconds=seconds,
            concurrency=num_in_flight(worker, traffic),
            streams=traffic.streams,
            rate_per_s=traffic.rate_per_s,
            seed=seed,
        )
    )
