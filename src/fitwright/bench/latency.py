"""Latency percentiles that carry their interval, and how many runs they take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fitwright.bench.block import Block, Pace, interleaved, latency_block
from fitwright.bench.statistics import (
    LEVEL,
    MIN_BLOCKS_FOR_DESIGN_EFFECT,
    Interval,
    Looks,
    block_mean_interval,
    design_effect,
    mean_interval,
    num_samples_for,
    num_samples_for_point,
    percentile,
    percentile_interval,
    spent_alpha,
)
from fitwright.ports import Worker
from fitwright.records.figure import Figure

PERCENTS = (50, 90, 95, 99)
MAX_KEPT = 2000
MIN_ROUNDS = 12
NARROW = 0.05
TAIL = 99
TAIL_SHARE = 0.3

Blocks = Sequence[Sequence[float]]
Stop = Literal["decided", "narrow", "out_of_time"]


@dataclass(frozen=True, kw_only=True)
class LatencyResult:
    """One worker's side of a percentile run.

    Attributes:
        figures: ``latency_p50`` … ``latency_p99`` and ``latency_mean``.
        blocks: every latency, block by block, in order; block i of each worker belongs to
            the same round.
        stop: decided (the bounds are kept or broken beyond doubt), narrow (within ±5 %),
            or out_of_time.
    """

    figures: dict[str, Figure]
    blocks: tuple[tuple[float, ...], ...]
    stop: Stop


def percentile_run(
    workers: Mapping[str, Worker],
    *,
    judged: str,
    percentile: int,
    bounds: Mapping[int, float],
    pace: Pace,
    block: Block = latency_block,
    length_s: float | None = None,
) -> dict[str, LatencyResult]:
    """Latencies of several workers, interleaved, until the contract's percentile is known.

    From 12 rounds on it is looked at whenever it has grown by a quarter, and ends when for
    every bound the judged worker's interval lies on one side (at the level `spent_alpha`
    leaves to this look) or is within ±5 %; without bounds, when `percentile` is within
    ±5 %. Up to 30 % of the budget goes into enough runs for p99, which every report shows.

    Args:
        judged: the worker whose percentiles are judged.
        bounds: percent to largest allowed latency, seconds.
        length_s: of one block; that of the pace by default.

    Raises:
        WorkerLost: a child died.
    """
    start, looks, stop = pace.clock(), Looks(first=MIN_ROUNDS), None
    blocks: dict[str, list[tuple[float, ...]]] = {name: [] for name in workers}
    for times in interleaved(workers, block, seconds=length_s or pace.block_s):
        for name, seen in blocks.items():
            seen.append(tuple(times[name]))
        spent_s = pace.clock() - start
        if looks.due(len(blocks[judged])):
            known = spent_s >= TAIL_SHARE * pace.budget_s or _carries_tail(blocks[judged])
            stop = _settled(blocks[judged], percentile, bounds, look=looks.number, tail=known)
        if stop or spent_s >= pace.budget_s:
            break
    return {n: _result(seen, stop or "out_of_time", seed=pace.seed) for n, seen in blocks.items()}


def _result(blocks: Blocks, stop: Stop, *, seed: int) -> LatencyResult:
    return LatencyResult(
        figures=latency_figures(blocks, seed=seed),
        blocks=tuple(tuple(b) for b in blocks),
        stop=stop,
    )


def _settled(
    blocks: Blocks, percentile: int, bounds: Mapping[int, float], *, look: int, tail: bool
) -> Stop | None:
    """Whether every bound (or the contract's percentile) is settled, and how."""
    if not tail:
        return None
    decided = [
        _decided(_interval(blocks, percent, level=1 - spent_alpha(look)), bound)
        for percent, bound in bounds.items()
    ]
    if decided and all(decided):
        return "decided"
    narrow = (
        known or _narrow(_interval(blocks, percent))
        for percent, known in zip(bounds, decided, strict=True)
    )
    if all(narrow) if bounds else _narrow(_interval(blocks, percentile)):
        return "narrow"
    return None


def _interval(blocks: Blocks, percent: int, *, level: float = LEVEL) -> Interval:
    times = [t for block in blocks for t in block]
    effect = design_effect(blocks, percent)
    return percentile_interval(times, percent, level=level, design_effect=effect)


def _decided(interval: Interval, bound: float) -> bool:
    return interval.high <= bound or interval.low > bound


def _narrow(interval: Interval) -> bool:
    low, high = interval
    return math.isfinite(low) and math.isfinite(high) and high - low <= NARROW * (high + low)


def _carries_tail(blocks: Blocks) -> bool:
    return math.isfinite(_interval(blocks, TAIL).high)


def latency_figures(blocks: Blocks, *, seed: int) -> dict[str, Figure]:
    """``latency_p50`` … ``latency_p99`` and ``latency_mean``."""
    figures = {f"latency_p{p}": percentile_figure(blocks, p) for p in PERCENTS}
    return figures | {"latency_mean": mean_figure(blocks, seed=seed)}


def percentile_figure(blocks: Blocks, percent: int) -> Figure:
    """One percentile with its 95 % interval, or why the runs cannot carry it.

    With too few runs for an upper end (fewer than 368 for p99), the value is still given
    from 100 runs on, with an infinite upper end: enough to show that a limit is missed,
    never that it is kept. Below that the percentile is unavailable.
    """
    times = np.concatenate([np.asarray(b, np.float64) for b in blocks])
    effect = design_effect(blocks, percent)
    num_effective = len(times) / effect
    low, high = percentile_interval(times, percent, design_effect=effect)
    if math.isinf(low) or (math.isinf(high) and num_effective < num_samples_for_point(percent)):
        return Figure.unavailable(too_few(len(times), percent, effect=effect), unit="s")
    source = f"order statistics of {len(times)} runs"
    if effect > 1.5:
        source += f", which count as {num_effective:.0f}: slow ones come in bursts"
    if math.isinf(high):
        source += f"; {too_few(len(times), percent, effect=effect)} for an upper end"
    return Figure.measured(
        percentile(times, percent),
        unit="s",
        low=low,
        high=high,
        source=source,
        num_samples=len(times),
    )


def too_few(num: int, percent: int, *, effect: float = 1.0) -> str:
    """How many more runs a percentile needs."""
    needed = math.ceil(num_samples_for(percent) * effect)
    return f"{num} runs cannot carry p{percent}; it needs {needed} ({max(1, needed - num)} more)"


def mean_figure(blocks: Blocks, *, seed: int) -> Figure:
    """Mean latency; its interval is over blocks when there are several, else over runs."""
    times = np.concatenate([np.asarray(b, np.float64) for b in blocks])
    value = float(times.mean())
    if len(blocks) >= MIN_BLOCKS_FOR_DESIGN_EFFECT:
        low, high = block_mean_interval(blocks, seed=seed)
    else:
        low, high = mean_interval(times, seed=seed)
    return Figure.measured(
        value,
        unit="s",
        low=max(0.0, min(low, value)),
        high=max(high, value),
        source=f"mean of {len(times)} runs in {len(blocks)} blocks",
        num_samples=len(times),
    )


def thinned(blocks: Blocks) -> tuple[float, ...]:
    """At most 2000 latencies, evenly spread over the run, for the distribution plot."""
    times = [t for block in blocks for t in block]
    if len(times) <= MAX_KEPT:
        return tuple(times)
    return tuple(times[i] for i in np.linspace(0, len(times) - 1, MAX_KEPT).astype(int))
