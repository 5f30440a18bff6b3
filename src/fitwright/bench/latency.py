"""Latency percentiles that carry their interval, and how many runs they take."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fitwright.bench.statistics import (
    design_effect,
    mean_interval,
    num_samples_for,
    percentile,
    percentile_interval,
)
from fitwright.records.figure import Figure

PERCENTS = (50, 90, 95, 99)
MAX_KEPT = 2000

Blocks = Sequence[Sequence[float]]


def latency_figures(blocks: Blocks, *, seed: int) -> dict[str, Figure]:
    """``latency_p50`` … ``latency_p99`` and ``latency_mean``."""
    figures = {f"latency_p{p}": percentile_figure(blocks, p) for p in PERCENTS}
    return figures | {"latency_mean": mean_figure(blocks, seed=seed)}


def percentile_figure(blocks: Blocks, percent: int) -> Figure:
    """One percentile with its 95 % interval, or why the runs cannot carry it.

    A percentile whose upper end no run can give (fewer than 368 for p99) is unavailable:
    the largest of a few runs says nothing about the tail.
    """
    times = np.concatenate([np.asarray(b, np.float64) for b in blocks])
    effect = design_effect(blocks, percent)
    low, high = percentile_interval(times, percent, design_effect=effect)
    if math.isinf(high) or math.isinf(low):
        return Figure.unavailable(too_few(len(times), percent, effect=effect), unit="s")
    clustered = f"; runs count as {len(times) / effect:.0f}, slow ones come in bursts"
    return Figure.measured(
        percentile(times, percent),
        unit="s",
        low=low,
        high=high,
        source=f"order statistics of {len(times)} runs{clustered if effect > 1.5 else ''}",
        num_samples=len(times),
    )


def too_few(num: int, percent: int, *, effect: float = 1.0) -> str:
    """How many more runs a percentile needs."""
    needed = math.ceil(num_samples_for(percent) * effect)
    return f"{num} runs cannot carry p{percent}; it needs {needed} ({max(1, needed - num)} more)"


def mean_figure(blocks: Blocks, *, seed: int) -> Figure:
    """Mean latency, with the bootstrap over runs."""
    times = np.concatenate([np.asarray(b, np.float64) for b in blocks])
    low, high = mean_interval(times, seed=seed)
    return Figure.measured(
        float(times.mean()),
        unit="s",
        low=max(0.0, low),
        high=high,
        source=f"mean of {len(times)} runs",
        num_samples=len(times),
    )


def thinned(times: Sequence[float]) -> tuple[float, ...]:
    """At most 2000 of them, evenly spread over the run, for the distribution plot."""
    if len(times) <= MAX_KEPT:
        return tuple(times)
    return tuple(times[i] for i in np.linspace(0, len(times) - 1, MAX_KEPT).astype(int))
