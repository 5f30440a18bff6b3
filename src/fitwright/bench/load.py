"""Throughput and latency under the contract's traffic, as MLPerf inference names it.

Source: MLPerf Inference rules, section "Scenarios" (Reddi et al., ISCA 2020): single
stream sends the next query when the last returns, multi stream several together and the next
ones when the last of them returns, server sends at Poisson times, offline has everything at
once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from fitwright.bench.block import Pace, interleaved, rate_block
from fitwright.bench.sending import by_loadgen, num_in_flight
from fitwright.bench.statistics import percentile_interval
from fitwright.ports import Worker
from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure

MIN_BLOCKS = 8
MAX_BLOCKS = 40
NARROW = 0.02
MIN_BLOCK_S = 0.1
MIN_QUERIES_PER_SERVER_BLOCK = 50
DRAIN_SHARE = 0.05
DRAIN_LATENCIES = 1.5


def poisson_arrivals(rate_per_s: float, *, seconds: float, seed: int) -> tuple[float, ...]:
    """Arrival times within [0, seconds): exponential gaps of mean 1 / rate; at least one."""
    rng = np.random.default_rng(seed)
    num = max(1, math.ceil(rate_per_s * seconds + 6 * math.sqrt(rate_per_s * seconds) + 6))
    times = np.cumsum(rng.exponential(1 / rate_per_s, num))
    kept = times[times < seconds]
    return tuple(float(t) for t in (kept if len(kept) else times[:1]))


class ServerBlock:
    """Latency of queries that arrive at Poisson times, counted from the arrival.

    Every call draws new arrivals, the same ones for the same seed and number of calls. Where
    the queue grows, draining it takes longer than the block; the blocks after it are
    shortened by as much, so that an overload does not eat the time of the run.
    """

    def __init__(self, traffic: Traffic, *, seed: int) -> None:
        self._traffic = traffic
        self._draws = itertools.count(seed)
        self._backlogs: dict[int, list[bool]] = {}
        self._stretches: dict[int, float] = {}

    def __call__(self, worker: Worker, *, seconds: float, min_runs: int) -> Sequence[float]:  # noqa: ARG002
        seconds /= max((s for i, s in self._stretches.items() if self._is_behind(i)), default=1.0)
        latencies_s, elapsed_s, span_s = self._served(worker, seconds=seconds)
        grows = backlog_grows(latencies_s, span_s=span_s, elapsed_s=elapsed_s)
        self._backlogs.setdefault(id(worker), []).append(grows)
        if grows:
            self._stretches[id(worker)] = max(1.0, elapsed_s / seconds)
        return latencies_s

    def _served(self, worker: Worker, *, seconds: float) -> tuple[Sequence[float], float, float]:
        """Latencies, elapsed time and the time within which the queries came."""
        traffic, seed = self._traffic, next(self._draws)
        if traffic.scheduler == "loadgen":
            sent = by_loadgen(worker, traffic, scenario="server", seconds=seconds, seed=seed)
            return *sent, min(seconds, sent[1])
        arrivals_s = poisson_arrivals(traffic.rate_per_s or 1.0, seconds=seconds, seed=seed)
        latencies_s, elapsed_s = worker.load_block(
            seconds=seconds,
            concurrency=num_in_flight(worker, traffic),
            arrivals_s=arrivals_s,
        )
        return latencies_s, elapsed_s, arrivals_s[-1]

    def overloaded(self, worker: Worker) -> bool:
        """Whether queries came faster than they left in most of this worker's blocks."""
        return self._is_behind(id(worker))

    def _is_behind(self, worker_id: int) -> bool:
        seen = self._backlogs.get(worker_id, [])
        return 2 * sum(seen) > len(seen)


def backlog_grows(latencies_s: Sequence[float], *, span_s: float, elapsed_s: float) -> bool:
    """Whether the queue, empty at first, was still growing when the last query came.

    A growing queue makes latency rise from nothing to what the last query waits: then the
    time to drain it is about twice the median latency, and a share of the whole span. A
    queue that empties now and then drains in about one usual latency. Single blocks can
    err by chance; most of many do not.
    """
    drain_s = elapsed_s - span_s
    return drain_s > DRAIN_SHARE * span_s and drain_s > DRAIN_LATENCIES * median(latencies_s)


def server_block_s(traffic: Traffic, *, budget_s: float) -> float:
    """Long enough for a backlog to show, short enough for a dozen blocks of two workers."""
    wanted = max(1.0, MIN_QUERIES_PER_SERVER_BLOCK / (traffic.rate_per_s or 1.0))
    return min(wanted, max(MIN_BLOCK_S, budget_s / 24))


def busy_block(
    worker: Worker, *, traffic: Traffic, seconds: float, seed: int, latency_s: float = 0.0
) -> tuple[int, float]:
    """Queries served and elapsed time under the contract's own traffic.

    Always sent by Fitwright's own scheduler: memory and energy are those of the model.

    Args:
        latency_s: of one query, where known: no more arrive than can be served in `seconds`.
    """
    if traffic.scenario == "single_stream":
        latencies: Sequence[float] = worker.time_block(seconds=seconds, min_runs=1)
        return len(latencies), sum(latencies)
    in_flight = num_in_flight(worker, traffic)
    if traffic.scenario == "multi_stream":
        latencies, elapsed_s = worker.burst_block(seconds=seconds, size=in_flight)
        return len(latencies) * in_flight, elapsed_s
    arrivals_s: tuple[float, ...] = ()
    if traffic.rate_per_s is not None:
        load = traffic.rate_per_s * latency_s / in_flight
        arrivals_s = poisson_arrivals(
            traffic.rate_per_s, seconds=seconds / max(1.0, load), seed=seed
        )
    latencies, elapsed_s = worker.load_block(
        seconds=seconds, concurrency=in_flight, arrivals_s=arrivals_s
    )
    return len(latencies), elapsed_s


def throughput_run(
    workers: Mapping[str, Worker],
    *,
    traffic: Traffic,
    pace: Pace,
) -> dict[str, tuple[float, ...]]:
    """Time per query of saturated blocks, interleaved between the workers.

    Ends when every worker's median is known within ±2 %, after 40 rounds, or when the
    budget is spent (never before one round).

    Raises:
        WorkerLost: a child died.
    """
    end = pace.clock() + pace.budget_s
    length_s = max(MIN_BLOCK_S, pace.block_s)
    times: dict[str, list[float]] = {name: [] for name in workers}
    rounds = interleaved(workers, rate_block(traffic), seconds=length_s)
    for number, seen in enumerate(rounds, start=1):
        for name, known in times.items():
            known += seen[name]
        enough = number >= MIN_BLOCKS and all(_narrow(t) for t in times.values())
        if enough or number == MAX_BLOCKS or pace.clock() >= end:
            break
    return {name: tuple(t) for name, t in times.items()}


def _narrow(times: Sequence[float]) -> bool:
    low, high = percentile_interval(times, 50)
    return high - low <= 2 * NARROW * median(times)


def throughput_figure(times_s: Sequence[float], *, traffic: Traffic) -> Figure:
    """``throughput``: inferences per second, queries times the contract's batch.

    Of a worker that always has work: one query after another in single_stream, bursts of
    the contract's streams in multi_stream, as many as the compiled model takes at
    once in offline and server. For server it is therefore the capacity, which must exceed
    the arrival rate, and not the rate served.

    Args:
        times_s: elapsed time per query of each block.
    """
    value = traffic.batch / median(times_s)
    low_s, high_s = percentile_interval(times_s, 50)
    source = f"inferences per second when kept busy, median of {len(times_s)} blocks"
    if math.isinf(low_s) or math.isinf(high_s):
        low_s, high_s = min(times_s), max(times_s)
        source += "; too few for a 95 % interval, so their range"
    return Figure.measured(
        value,
        unit="/s",
        low=min(value, traffic.batch / high_s),
        high=max(value, traffic.batch / low_s),
        source=source,
        num_samples=len(times_s),
    )
