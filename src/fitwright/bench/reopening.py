"""Candidates opened again in fresh processes: each heat needs two of them."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.bench.block import Block, WorkerLost, latency_block_under, rate_block
from fitwright.bench.opening import open_worker
from fitwright.bench.race import CANDIDATE, INCUMBENT, Fresh
from fitwright.bench.setup import Contender, Setup, Target
from fitwright.bench.warmup import warm_up
from fitwright.errors import TrialFailed
from fitwright.ports import Worker

WARM_S, WARM_RUNS = 0.5, 3  # at most: half a second and three queries


def open_contender(setup: Setup, target: Target, *, warm_s: float = 2.0) -> Contender:
    """Open, feed and warm a candidate that was verified before.

    Raises:
        TrialFailed: it no longer runs.
    """
    worker = open_worker(setup, target)
    try:
        worker.feed(setup.samples.inputs)
        warm = warm_up(worker, budget_s=warm_s, clock=setup.clock)
    except TrialFailed:
        worker.close()
        raise
    return Contender(target=target, worker=worker, latency_s=warm.latency_s)


def objective_block(setup: Setup) -> Block:
    """What two candidates are compared by: latency, or time per query under full load."""
    if setup.need.objective == "throughput":
        return rate_block(setup.need.traffic)
    return latency_block_under(setup.need.traffic)


def reopen(setup: Setup, contender: Contender, *, warm_s: float = 2.0) -> None:
    """The same candidate in a fresh process, as before; the old one ends first.

    Raises:
        TrialFailed: it no longer runs; its worker stays closed.
    """
    contender.worker.close()
    again = open_contender(setup, contender.target, warm_s=warm_s)
    contender.worker, contender.latency_s = again.worker, again.latency_s


def fresh_pair(setup: Setup, candidate: Contender, incumbent: Contender) -> Fresh:
    """What opens further heats; both contenders always hold the newest of their workers."""
    sides: Mapping[str, Contender] = {CANDIDATE: candidate, INCUMBENT: incumbent}

    def fresh(*, candidate_first: bool) -> tuple[Worker, Worker]:
        for name in sides if candidate_first else reversed(list(sides)):
            side = sides[name]
            try:
                reopen(setup, side, warm_s=WARM_S + WARM_RUNS * side.latency_s)
            except TrialFailed as error:
                raise WorkerLost(name, error) from error
        return candidate.worker, incumbent.worker

    return fresh
