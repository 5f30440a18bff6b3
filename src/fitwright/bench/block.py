"""One block: a short stretch of one worker's time, the unit that is interleaved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fitwright.ports import Worker
from fitwright.records.contract import Traffic

MIN_BLOCK_S = 0.02
RUNS_PER_BLOCK = 5
ROUNDS_PER_BUDGET = 30


class Block(Protocol):
    """Runs a worker for a short while; seconds per query, lower is better."""

    def __call__(self, worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]: ...


def latency_block(worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:
    """Latency of each query, one at a time."""
    return worker.time_block(seconds=seconds, min_runs=min_runs)


def in_flight_block(num_in_flight: int) -> Block:
    """Latency of each query with `num_in_flight` under way at once."""

    def block(worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:  # noqa: ARG001
        return worker.load_block(seconds=seconds, concurrency=num_in_flight)[0]

    return block


def rate_block(traffic: Traffic) -> Block:
    """One number: elapsed time per finished query when the worker is kept busy."""

    def block(worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:  # noqa: ARG001
        latencies, elapsed_s = worker.load_block(
            seconds=seconds, concurrency=num_in_flight(worker, traffic)
        )
        return [elapsed_s / len(latencies)] if latencies else [elapsed_s]

    return block


def latency_block_under(traffic: Traffic) -> Block:
    """How latency is taken: queries in flight as the contract's streams, else one at a time.

    Server traffic is compared by service time here (it is monotone in it and far less
    noisy); `load.serve` measures the latency under Poisson arrivals.
    """
    if traffic.scenario == "multi_stream" and traffic.streams > 1:
        return in_flight_block(traffic.streams)
    return latency_block


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


def block_s(latency_s: float, *, budget_s: float) -> float:
    """Length of one block: some runs, yet enough rounds of two blocks within the budget."""
    wanted = max(MIN_BLOCK_S, RUNS_PER_BLOCK * latency_s)
    return min(wanted, max(MIN_BLOCK_S, budget_s / (2 * ROUNDS_PER_BUDGET)))
