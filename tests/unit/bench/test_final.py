"""The final run judges both files side by side, in fresh children, to the last figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bench_machine import (
    FakeClock,
    FakeExecutor,
    FakeWorker,
    limit,
    noisy,
    setup,
    target,
)
from fitwright.bench.final import LATENCY_SHARE, THROUGHPUT_SHARE, _shares
from fitwright.bench.physics import arithmetic_dtype, cost_figure
from fitwright.bench.setup import Setup
from fitwright.bench.trial import Measurement, final
from fitwright.records.contract import Traffic
from fitwright.records.figure import Figure
from fitwright.records.need import Limit
from fitwright.records.plan import Settings
from needs import need

EXPECTED = {
    "latency_p50",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_mean",
    "throughput",
    "peak_memory",
    "size",
    "load_time",
    "energy",
    "cost",
    "accuracy",
    "accuracy_drop",
    "relative_l2",
    "top1_agreement",
    "achieved_flops",
    "achieved_bandwidth",
    "share_of_peak_flops",
    "share_of_peak_bandwidth",
}
Maker = Callable[[FakeClock], FakeWorker]


def judged(
    artefact: Maker = lambda clock: FakeWorker(clock, latency=noisy(0.001, seed=1)),
    baseline: Maker = lambda clock: FakeWorker(clock, latency=noisy(0.002, seed=2)),
    **changes: Any,
) -> tuple[Measurement, Measurement, FakeExecutor]:
    clock = FakeClock()
    executor = FakeExecutor(
        {"candidate.onnx": [lambda: artefact(clock)], "baseline.onnx": [lambda: baseline(clock)]}
    )
    ours, theirs = final(
        setup(executor, clock, **changes), target(), target("baseline.onnx"), budget_s=60
    )
    return ours, theirs, executor


def test_both_get_every_figure_and_no_child_stays_open() -> None:
    ours, theirs, executor = judged()
    assert ours.failure is None
    assert theirs.failure is None
    assert set(ours.figures) == set(theirs.figures) == EXPECTED
    assert len(executor.opened) >= 2
    assert all(worker.closed for worker in executor.opened)
    assert ours.latencies_s


def test_the_speedup_comes_from_the_same_rounds() -> None:
    ours, theirs, _ = judged()
    assert ours.comparison is not None
    assert theirs.comparison is None
    assert ours.comparison.outcome == "faster"
    # medians of blocks of 2 % spread
    assert ours.comparison.ratio == pytest.approx(2.0, rel=0.02)
    assert ours.comparison.low <= 2.0 <= ours.comparison.high


def test_throughput_decides_the_comparison_when_it_is_the_objective() -> None:
    ours, _, _ = judged(objective="throughput", traffic=Traffic(scenario="offline"))
    assert ours.comparison is not None
    assert ours.comparison.ratio == pytest.approx(2.0, rel=0.02)


def test_achieved_rates_are_counted_work_over_measured_time() -> None:
    ours, _, _ = judged()
    # 2 MFLOP and 0.5 MB in 1 ms; peaks 100 GFLOP/s and 10 GB/s
    assert ours.figures["achieved_flops"].value == pytest.approx(2e9, rel=0.01)
    assert ours.figures["achieved_bandwidth"].value == pytest.approx(5e8, rel=0.01)
    assert ours.figures["share_of_peak_flops"].value == pytest.approx(0.02, rel=0.01)
    assert ours.figures["share_of_peak_bandwidth"].value == pytest.approx(0.05, rel=0.01)


def test_an_artefact_that_disagrees_fails_alone() -> None:
    ours, theirs, executor = judged(lambda clock: FakeWorker(clock, model=lambda x: -x))
    assert ours.failure is not None
    assert ours.failure.cause == "disagrees"
    assert ours.comparison is None
    assert theirs.failure is None
    assert theirs.figures["accuracy"].value == 0.9
    assert all(worker.closed for worker in executor.opened)


@pytest.mark.parametrize("dies_at", [1, 5, 12, 25])
@pytest.mark.parametrize("which", ["artefact", "baseline"])
def test_a_child_that_dies_fails_its_own_side_only(which: str, dies_at: int) -> None:
    dying: dict[str, Maker] = {
        which: lambda clock: FakeWorker(clock, latency=noisy(0.001), dies_at=dies_at)
    }
    ours, theirs, executor = judged(**dying)
    dead, alive = (ours, theirs) if which == "artefact" else (theirs, ours)
    assert dead.failure is not None
    assert dead.failure.cause == "crashed"
    assert alive.failure is None
    assert all(worker.closed for worker in executor.opened)


def test_latency_under_poisson_traffic_is_the_contracts_latency() -> None:
    traffic = Traffic(scenario="server", rate_per_s=300.0)
    ours, theirs, _ = judged(traffic=traffic, limits=(limit("latency_p99", 0.5),))
    # the baseline works at 60 %, so its queries wait; the artefact at 30 % hardly
    p50, waits = ours.figures["latency_p50"], theirs.figures["latency_p90"]
    assert p50.value is not None
    assert waits.value is not None
    assert p50.value < 0.0015
    assert waits.value > 0.003
    # capacity, not the rate served
    assert ours.figures["throughput"].value == pytest.approx(1000, rel=0.02)


def test_overload_is_said_and_leaves_latency_without_an_upper_end() -> None:
    traffic = Traffic(scenario="server", rate_per_s=2000.0)
    ours, _, _ = judged(traffic=traffic)
    p50 = ours.figures["latency_p50"]
    assert p50.high == float("inf")
    assert p50.source.startswith("overloaded: at 2000 queries/s")


def test_verification_uses_every_sample_however_slow() -> None:
    ours, _, _ = judged(lambda clock: FakeWorker(clock, latency=lambda i: 5.0))
    assert ours.figures["accuracy"].num_samples == 40


def test_cost_is_price_over_throughput() -> None:
    throughput = Figure.measured(100.0, unit="/s", low=80.0, high=125.0)
    cost = cost_figure(throughput, price_usd_per_s=0.001)
    assert cost.value == pytest.approx(1e-5)
    assert (cost.low, cost.high) == pytest.approx((8e-6, 1.25e-5))
    missing = cost_figure(throughput, price_usd_per_s=None)
    assert missing.label == "unavailable"
    assert "price:" in missing.source


@pytest.mark.parametrize(
    ("title", "precision", "facts", "dtype"),
    [
        ("original", None, {}, "float32"),
        ("int8_static/nncf", None, {}, "int8"),
        ("int8_weights/nncf", None, {}, "float32"),
        ("bf16", "bfloat16", {}, "bfloat16"),
        ("original", None, {"INFERENCE_PRECISION_HINT": "bf16"}, "bfloat16"),
    ],
)
def test_the_peak_that_applies_is_that_of_the_arithmetic(
    title: str, precision: Any, facts: dict[str, str], dtype: str
) -> None:
    plain = target(title=title)
    settings = Settings(precision=precision)
    candidate = plain.candidate.model_copy(update={"settings": settings})
    assert arithmetic_dtype(replace(plain, candidate=candidate), facts) == dtype


def test_uncounted_operators_leave_the_rate_unavailable() -> None:
    clock = FakeClock()
    executor = FakeExecutor({"candidate.onnx": [lambda: FakeWorker(clock, latency=noisy(0.001))]})
    unknown = replace(target(), flops=None)
    ours, _ = final(setup(executor, clock), unknown, unknown, budget_s=20)
    assert ours.figures["achieved_flops"].label == "unavailable"
    assert ours.figures["share_of_peak_flops"].label == "unavailable"
    assert np.isfinite(ours.figures["achieved_bandwidth"].value or np.nan)


def test_most_of_the_final_run_goes_to_what_decides() -> None:
    def shares(objective: str, *limits: str) -> tuple[float, float]:
        asked = need().model_copy(update={"objective": objective})
        one = Limit(name="latency_p99", figure="latency_p99", sense="at_most", bound=1.0)
        asked = asked.model_copy(update={"limits": (one,) if limits else ()})
        return _shares(cast("Setup", SimpleNamespace(need=asked)))

    assert shares("throughput") == (THROUGHPUT_SHARE, LATENCY_SHARE)
    assert shares("throughput", "latency_p99") == (LATENCY_SHARE, THROUGHPUT_SHARE)
    assert shares("latency_p50") == (LATENCY_SHARE, THROUGHPUT_SHARE)
