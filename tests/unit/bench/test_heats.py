"""What several pairs of processes say together, and what one of them cannot."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
import pytest

from fitwright.bench.heats import (
    LEAST_SPREAD,
    MOST_WEIGHT,
    PRIOR_SPREAD,
    Floor,
    Heat,
    combined,
    heat_of,
    num_heats_to_decide,
)
from fitwright.bench.statistics import student_quantile


def heats(log_ratios: Sequence[float], *, variance: float = 1e-6) -> list[Heat]:
    return [
        Heat(log_ratio=x, variance=variance, num_rounds=12, candidate_first=i % 2 == 1)
        for i, x in enumerate(log_ratios)
    ]


def quiet_rounds(ratio: float, num: int, *, seed: int = 0) -> list[tuple[float, float]]:
    rng = np.random.default_rng(seed)
    noise = 0.01 * rng.standard_normal((num, 2))
    return [(0.001 * exp(a), 0.001 * ratio * exp(b)) for a, b in noise]


def test_one_heat_cannot_tell_a_difference_within_the_floor() -> None:
    ratio, interval = combined(heats([log(1.05)]), Floor(), level=0.95)
    assert ratio == pytest.approx(1.05)
    assert interval.low < 1 < interval.high


def test_one_heat_tells_a_large_difference() -> None:
    _, interval = combined(heats([log(1.5)]), Floor(), level=0.995)
    assert interval.low > 1.2


def test_heats_that_agree_narrow_the_interval_beyond_what_the_floor_alone_would() -> None:
    floor = Floor()
    ratio, interval = combined(heats([0.05, 0.051, 0.049, 0.05] * 3), floor, level=0.95)
    half_by_floor_alone = 2 * (floor.pair_variance / 12) ** 0.5
    assert log(interval.high / interval.low) / 2 < half_by_floor_alone
    assert interval.low < ratio < interval.high


def test_heats_that_scatter_widen_it_however_steady_each_of_them_is() -> None:
    steady = combined(heats([0.05] * 6), Floor(), level=0.95)[1]
    scattered = combined(heats([0.15, 0.15, -0.05, -0.05, 0.05, 0.05]), Floor(), level=0.95)[1]
    # 10 % away in a floor of 3.5 %, four times: the variance is nine times as large
    assert log(scattered.high / scattered.low) > 2.5 * log(steady.high / steady.low)


def test_an_effect_of_the_order_of_opening_cancels() -> None:
    with_order = heats([0.05 + (0.03 if i % 2 else -0.03) for i in range(12)])
    ratio, interval = combined(with_order, Floor(), level=0.95)
    assert log(ratio) == pytest.approx(0.05, abs=1e-9)
    # fitted and taken out, so it does not count as noise either
    assert interval.low > 1.03


def test_a_noisy_heat_weighs_less() -> None:
    noisy = Heat(log_ratio=0.5, variance=1.0, num_rounds=12, candidate_first=False)
    ratio, _ = combined([*heats([0.0] * 4), noisy], Floor(), level=0.95)
    assert abs(log(ratio)) < 0.001


def test_a_load_on_half_of_the_rounds_does_not_move_a_heat() -> None:
    loaded = [(0.004, 0.001)] * 3 + [(0.001, 0.006)] * 3
    heat = heat_of(quiet_rounds(1.1, 8) + loaded, candidate_first=False, seed=0)
    # the mean of some rounds of 1.4 % each
    assert heat.log_ratio == pytest.approx(log(1.1), abs=0.02)
    assert heat.variance < 0.01**2


def test_a_machine_that_is_fast_now_and_then_does_not_move_a_heat() -> None:
    slow = [(2 * ours, 2 * theirs) for ours, theirs in quiet_rounds(1.1, 8)]
    # one round was fast, and in three the speed changed between the two sides
    rounds = [*slow, (0.001, 0.0011), (0.001, 0.0022), (0.002, 0.0011), (0.002, 0.0011)]
    heat = heat_of(rounds, candidate_first=False, seed=0)
    assert heat.log_ratio == pytest.approx(log(1.1), abs=0.02)  # rounds of 1.4 % each
    assert heat.variance < 0.02**2


def test_the_bootstrap_knows_the_spread_of_a_heat() -> None:
    seen = [
        heat_of(quiet_rounds(1.0, 12, seed=i), candidate_first=False, seed=i) for i in range(200)
    ]
    true_sd = float(np.std([h.log_ratio for h in seen]))
    told_sd = float(np.sqrt(np.mean([h.variance for h in seen])))
    # 12 rounds resampled: known within a quarter
    assert told_sd == pytest.approx(true_sd, rel=0.25)


def test_the_floor_learns_what_processes_differ_by() -> None:
    rng, floor = np.random.default_rng(1), Floor()
    for _ in range(30):
        floor.learn(heats(0.1 + 0.04 * 2**0.5 * rng.standard_normal(8)))
    # 30 x 6 degrees of freedom: 5 %, and the prior pulls a little
    assert floor.spread == pytest.approx(0.04, rel=0.1)
    assert floor.weight == MOST_WEIGHT


def test_the_floor_learns_nothing_from_noisier_rounds_or_from_too_few_heats() -> None:
    floor = Floor()
    floor.learn(heats([0.3, -0.3, 0.3, -0.2], variance=0.1))
    floor.learn(heats([0.3, -0.3]))
    assert floor.spread == pytest.approx(PRIOR_SPREAD)


def test_the_floor_never_sinks_to_nothing() -> None:
    floor = Floor()
    for _ in range(100):
        floor.learn(heats([0.02] * 10))
    assert floor.spread == LEAST_SPREAD


def test_more_heats_are_asked_for_a_smaller_difference_and_none_for_a_hopeless_one() -> None:
    def needed(log_ratio: float) -> int | None:
        spread = [log_ratio + x for x in (0.03, -0.03, -0.03, 0.03)]
        return num_heats_to_decide(heats(spread), Floor(), same=0.01)

    large, small = needed(0.06), needed(0.03)
    assert large is not None
    assert small is not None
    assert 4 < large < small
    assert needed(0.008) is None


@pytest.mark.parametrize(
    ("share", "degrees", "quantile"),
    [(0.975, 4, 2.7764), (0.995, 12, 3.0545), (0.025, 4, -2.7764), (0.9, 1.5, 2.199)],
)
def test_students_quantiles_are_those_of_the_tables(
    share: float, degrees: float, quantile: float
) -> None:
    # the grid is good to a tenth of a percent; 1.5 degrees interpolated from the tables
    assert student_quantile(share, degrees) == pytest.approx(quantile, rel=2e-3)
