"""Warm-up: until the time of a block has settled, within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from fitwright.bench.block import MIN_BLOCK_S, Block, latency_block
from fitwright.ports import Clock, Worker

LAST_BLOCKS = 3
SPREAD = 0.05
MAX_BLOCKS = 200


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What the warm-up saw.

    Attributes:
        latency_s: median of the last blocks; the scale of one query from here on.
        num_runs: queries thrown away.
        stable: False when the bounds ended it first.
    """

    latency_s: float
    num_runs: int
    seconds: float
    stable: bool


def warm_up(
    worker: Worker, *, budget_s: float, clock: Clock, block: Block = latency_block
) -> WarmUp:
    """Run until the medians of the last three blocks lie within 5 % of each other.

    Clock frequency, caches, memory pools and lazily compiled kernels settle in the first
    blocks; after `budget_s` seconds or 200 blocks it goes on with what there is.
    """
    start = clock()
    medians: list[float] = []
    num_runs = 0
    while not _settled(medians) and len(medians) < MAX_BLOCKS:
        times = block(worker, seconds=MIN_BLOCK_S, min_runs=1)
        medians.append(median(times))
        num_runs += len(times)
        if clock() - start >= budget_s:
            break
    return WarmUp(
        latency_s=median(medians[-LAST_BLOCKS:]),
        num_runs=num_runs,
        seconds=clock() - start,
        stable=_settled(medians),
    )


def _settled(medians: list[float]) -> bool:
    last = medians[-LAST_BLOCKS:]
    return len(last) == LAST_BLOCKS and max(last) <= (1 + SPREAD) * min(last)
