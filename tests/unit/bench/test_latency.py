"""Percentiles carry their interval, or say how many runs they lack."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench_machine import FakeClock, FakeWorker, noisy
from fitwright.bench.block import Pace
from fitwright.bench.latency import (
    LatencyResult,
    latency_figures,
    percentile_figure,
    percentile_run,
    thinned,
)


def blocks(num: int, *, per_block: int = 10) -> list[list[float]]:
    times = np.random.default_rng(0).exponential(0.001, num)
    return [list(times[i : i + per_block]) for i in range(0, num, per_block)]


def test_p99_of_few_runs_is_unavailable_and_says_how_many_more() -> None:
    figure = percentile_figure([[0.001] * 60], 99)
    assert figure.label == "unavailable"
    assert figure.unit == "s"
    assert figure.source == "60 runs cannot carry p99; it needs 368 (308 more)"


def test_p99_of_some_hundred_runs_can_be_missed_but_not_kept() -> None:
    figure = percentile_figure(blocks(200), 99)
    assert figure.value is not None
    assert figure.low is not None
    assert figure.low <= figure.value
    assert figure.high == math.inf
    assert "168 more" in figure.source


def test_p99_of_enough_runs_has_both_ends() -> None:
    figure = percentile_figure(blocks(1000), 99)
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    assert 0 < figure.low <= figure.value <= figure.high < math.inf
    assert figure.num_samples == 1000


def test_bursts_make_runs_count_for_less() -> None:
    rng = np.random.default_rng(1)
    bursty = [list(rng.exponential(0.001, 10) + 0.01 * (i % 10 == 0)) for i in range(60)]
    figure = percentile_figure(bursty, 90)
    assert "bursts" in figure.source
    assert figure.high is not None
    plain = percentile_figure([[t for block in bursty for t in block]], 90)
    assert plain.high is not None
    assert figure.high >= plain.high


def test_all_latency_figures_are_in_order() -> None:
    figures = latency_figures(blocks(1000), seed=0)
    values = [figures[f"latency_p{p}"].value for p in (50, 90, 95, 99)]
    assert None not in values
    assert values == sorted(values, key=lambda v: v or 0.0)
    # exponential: the mean lies above the median
    assert (figures["latency_mean"].value or 0) > (values[0] or 0)


def test_the_plot_gets_an_even_sample_of_bounded_size() -> None:
    kept = thinned([list(range(5000)), list(range(5000, 10000))])
    assert len(kept) == 2000
    assert (kept[0], kept[-1]) == (0, 9999)
    assert thinned([[1.0], [2.0]]) == (1.0, 2.0)


def run(
    *, bounds: dict[int, float], budget_s: float = 60.0, spread: float = 0.2
) -> tuple[dict[str, LatencyResult], float]:
    clock = FakeClock()
    workers = {
        "artefact": FakeWorker(clock, latency=noisy(0.001, spread=spread, seed=1)),
        "baseline": FakeWorker(clock, latency=noisy(0.002, spread=spread, seed=2)),
    }
    results = percentile_run(
        workers,
        judged="artefact",
        percentile=max(bounds, default=50),
        bounds=bounds,
        pace=Pace(latency_s=0.002, budget_s=budget_s, clock=clock),
    )
    return results, clock.now_s


def test_the_run_ends_early_when_the_bound_is_far_away() -> None:
    results, seconds = run(bounds={99: 0.010})
    assert results["artefact"].stop == "decided"
    assert results["artefact"].figures["latency_p99"].label == "measured"
    assert (results["artefact"].figures["latency_p99"].high or math.inf) <= 0.010
    assert seconds < 6


def test_a_missed_bound_is_decided_too() -> None:
    results, _ = run(bounds={99: 0.0005})
    assert results["artefact"].stop == "decided"
    assert (results["artefact"].figures["latency_p99"].low or 0) > 0.0005


def test_without_bounds_it_ends_when_the_percentile_is_narrow() -> None:
    results, seconds = run(bounds={})
    assert results["artefact"].stop == "narrow"
    figure = results["artefact"].figures["latency_p50"]
    assert figure.high is not None
    assert figure.low is not None
    assert figure.high - figure.low <= 0.1 * figure.high
    # p99 was carried as well, on the way
    assert math.isfinite(results["artefact"].figures["latency_p99"].high or math.inf)
    assert seconds < 20


def test_a_spent_budget_ends_it() -> None:
    results, seconds = run(bounds={99: 0.0064}, budget_s=0.5, spread=0.8)
    assert results["artefact"].stop == "out_of_time"
    # one round of two 20 ms blocks more than the budget at most
    assert seconds <= 0.6


def test_rounds_pair_the_workers() -> None:
    results, _ = run(bounds={})
    blocks = [results[name].blocks for name in ("artefact", "baseline")]
    ours, theirs = ([np.median(times) for times in seen] for seen in blocks)
    assert len(ours) == len(theirs) >= 12
    # medians of some 20 runs of 20 % spread: 6 % each, and the median of a dozen rounds
    assert np.median(np.array(theirs) / np.array(ours)) == pytest.approx(2.0, rel=0.1)
