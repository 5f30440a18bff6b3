"""One block: a short stretch of one worker's time, the unit that is interleaved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fitwright.bench.sending import kept_busy, streamed
from fitwright.errors import TrialFailed
from fitwright.ports import Clock, Worker
from fitwright.records.contract import Traffic

MIN_BLOCK_S = 0.05  # a request to a child costs up to 15 ms beside the runs themselves
RUNS_PER_BLOCK = 5
ROUNDS_PER_BUDGET = 30


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a measurement may take, and on what clock.

    Attributes:
        latency_s: time of one query of the slowest worker; sets the length of a block.
        budget_s: of the whole measurement; at least one round is always run.
        seed: of everything random in it.
    """

    latency_s: float
    budget_s: float
    clock: Clock
    seed: int = 0

    @property
    def block_s(self) -> float:
        """Some runs long, yet short enough for many rounds of two blocks."""
        wanted = max(MIN_BLOCK_S, RUNS_PER_BLOCK * self.latency_s)
        return min(wanted, max(MIN_BLOCK_S, self.budget_s / (2 * ROUNDS_PER_BUDGET)))


class Block(Protocol):
    """Runs a worker for a short while; seconds per query, lower is better."""

    def __call__(self, worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]: ...


class WorkerLost(Exception):
    """One of several interleaved children died; says whose it was."""

    def __init__(self, name: str, cause: TrialFailed) -> None:
        super().__init__(f"{name}: {cause.rule}")
        self.name = name
        self.cause = cause


def interleaved(
    workers: Mapping[str, Worker],
    block: Block,
    *,
    seconds: float,
    min_runs: int = 1,
    forward: bool = True,
) -> Iterator[dict[str, Sequence[float]]]:
    """Rounds without end: one block of each worker, the order turned round every time.

    A B, B A, A B, …: a drift of the machine falls on all of them alike.

    Raises:
        WorkerLost: a child died.
    """
    names = list(workers) if forward else list(workers)[::-1]
    while True:
        times: dict[str, Sequence[float]] = {}
        for name in names:
            try:
                times[name] = block(workers[name], seconds=seconds, min_runs=min_runs)
            except TrialFailed as error:
                raise WorkerLost(name, error) from error
        yield times
        names.reverse()


def latency_block(worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:
    """Latency of each query, one at a time."""
    return worker.time_block(seconds=seconds, min_runs=min_runs)


def streamed_block(traffic: Traffic) -> Block:
    """Latencies of the contract's streams, as its scheduler sends them."""
    seeds = itertools.count()

    def block(worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:  # noqa: ARG001
        return streamed(worker, traffic, seconds=seconds, seed=next(seeds))

    return block


def rate_block(traffic: Traffic) -> Block:
    """One number: elapsed time per finished query when the worker is kept busy."""
    seeds = itertools.count()

    def block(worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:  # noqa: ARG001
        num, elapsed_s = kept_busy(worker, traffic, seconds=seconds, seed=next(seeds))
        return [elapsed_s / num] if num else [elapsed_s]

    return block


def latency_block_under(traffic: Traffic) -> Block:
    """How latency is taken: bursts of the contract's streams, else one query at a time.

    Server traffic is compared by service time here (it is monotone in it and far less
    noisy); `load.ServerBlock` measures the latency under Poisson arrivals.
    """
    if traffic.scenario == "multi_stream" and traffic.streams > 1:
        return streamed_block(traffic)
    if traffic.scheduler == "loadgen" and traffic.scenario in ("single_stream", "multi_stream"):
        return streamed_block(traffic)
    return latency_block
