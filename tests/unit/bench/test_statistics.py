"""Intervals contain what they should as often as they say, and never claim too much."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwright.bench import statistics as s

unhurried = settings(max_examples=50, deadline=None)  # other work shares the machine
values = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=300)
percents = st.integers(1, 99)


@unhurried
@given(values, percents)
def test_a_percentile_is_one_of_the_values_with_enough_of_them_at_or_below(
    seen: list[float], percent: int
) -> None:
    found = s.percentile(seen, percent)
    assert found in seen
    at_or_below = sum(v <= found for v in seen)
    below = sum(v < found for v in seen)
    assert 100 * below < percent * len(seen) <= 100 * at_or_below


@unhurried
@given(values)
def test_percentiles_never_fall_as_the_percent_rises(seen: list[float]) -> None:
    found = [s.percentile(seen, p) for p in range(1, 101)]
    assert found == sorted(found)


@unhurried
@given(values, percents, st.floats(0.5, 0.999), st.floats(1, 20))
def test_the_interval_contains_the_percentile(
    seen: list[float], percent: int, level: float, effect: float
) -> None:
    low, high = s.percentile_interval(seen, percent, level=level, design_effect=effect)
    assert low <= s.percentile(seen, percent) <= high


@unhurried
@given(values, percents)
def test_a_stricter_level_never_narrows_the_interval(seen: list[float], percent: int) -> None:
    wide = s.percentile_interval(seen, percent, level=0.999)
    plain = s.percentile_interval(seen, percent, level=0.9)
    assert wide.low <= plain.low <= plain.high <= wide.high


@unhurried
@given(values, percents, st.floats(0.1, 10))
def test_percentile_and_interval_scale_with_the_unit(
    seen: list[float], percent: int, factor: float
) -> None:
    once = s.percentile_interval(seen, percent)
    scaled = s.percentile_interval([v * factor for v in seen], percent)
    assert scaled == (once.low * factor, once.high * factor)


@pytest.mark.parametrize(("percent", "num"), [(50, 6), (90, 36), (95, 72), (99, 368)])
def test_so_many_samples_bound_the_percentile_from_above(percent: int, num: int) -> None:
    assert s.num_samples_for(percent) == num
    assert math.isfinite(s.percentile_interval(np.arange(num), percent).high)
    assert math.isinf(s.percentile_interval(np.arange(num - 1), percent).high)


@pytest.mark.parametrize(("percent", "num"), [(50, 2), (90, 10), (95, 20), (99, 100)])
def test_a_point_needs_one_sample_beyond_it(percent: int, num: int) -> None:
    assert s.num_samples_for_point(percent) == num
    seen = np.arange(num, dtype=float)
    assert s.percentile(seen, percent) < seen.max()
    assert s.percentile(seen[:-1], percent) == seen[:-1].max()


@pytest.mark.parametrize(("num", "percent"), [(20, 50), (60, 50), (200, 90), (600, 99)])
def test_order_statistics_cover_the_true_percentile_at_the_stated_level(
    num: int, percent: int
) -> None:
    rng = np.random.default_rng(num + percent)
    true = -math.log(1 - percent / 100)  # of the exponential distribution
    trials = 800
    hits = sum(
        low <= true <= high
        for low, high in (
            s.percentile_interval(rng.exponential(1, num), percent) for _ in range(trials)
        )
    )
    # exact intervals cover at least 95 %; 800 trials have a standard error of 0.77 %, so
    # 0.925 is over three of them below; above 0.995 the interval would be uselessly wide
    assert 0.925 <= hits / trials <= 0.995


def clustered(rng: np.random.Generator, num_blocks: int, per_block: int) -> list[np.ndarray]:
    """Blocks that are slow as a whole now and then."""
    slow = rng.random(num_blocks) < 0.2
    return [rng.exponential(1, per_block) + 5 * late for late in slow]


def test_the_design_effect_restores_coverage_when_slow_runs_come_in_bursts() -> None:
    rng = np.random.default_rng(5)
    true = s.percentile(np.concatenate(clustered(rng, 20_000, 10)), 90)
    plain = corrected = 0
    for _ in range(150):
        blocks = clustered(rng, 60, 10)
        seen = np.concatenate(blocks)
        effect = s.design_effect(blocks, 90)
        low, high = s.percentile_interval(seen, 90)
        plain += low <= true <= high
        low, high = s.percentile_interval(seen, 90, design_effect=effect)
        corrected += low <= true <= high
    # the estimated effect is itself noisy, so a little below 95 % is accepted
    assert plain / 150 < 0.85
    assert corrected / 150 > 0.9


def test_independent_blocks_have_a_design_effect_near_one() -> None:
    rng = np.random.default_rng(1)
    effects = [s.design_effect(list(rng.exponential(1, (50, 20))), 90) for _ in range(200)]
    # clipped at 1 from below, so the median sits barely above it
    assert 1.0 <= np.median(effects) < 1.15


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    seen = np.random.default_rng(0).normal(10, 1, 50)
    assert s.mean_interval(seen, seed=7) == s.mean_interval(seen, seed=7)
    assert s.mean_interval(seen, seed=7) != s.mean_interval(seen, seed=8)


def test_the_mean_interval_covers() -> None:
    rng = np.random.default_rng(3)
    trials = 150
    hits = 0
    for trial in range(trials):
        low, high = s.mean_interval(rng.normal(10, 1, 40), seed=trial)
        hits += low <= 10 <= high
    # the percentile bootstrap of 40 values covers about 93.5 %; three standard errors of
    # 150 trials are 6 %
    assert hits / trials > 0.87


def test_the_mean_over_blocks_weighs_values_and_not_blocks() -> None:
    blocks = [[0.001] * 99, [0.1]] * 20
    low, high = s.block_mean_interval(blocks, seed=0)
    mean = (0.099 + 0.1) / 100
    # the mean of the block means would be 50 ms
    assert low < mean < high < 3 * mean


def test_a_statistic_undefined_on_most_resamples_is_known_to_nothing() -> None:
    assert s.bootstrap_interval(5, lambda i: math.nan, seed=0) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("num_true", "num", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), p. 857-872, table I, method 3
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_share_interval_is_wilsons(num_true: int, num: int, low: float, high: float) -> None:
    found = s.share_interval(num_true, num)
    # the table prints four decimals
    assert found == pytest.approx((low, high), abs=5e-5)


@unhurried
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_share_interval_contains_the_share_and_stays_within_0_and_1(
    counted: tuple[int, int],
) -> None:
    num_true, num = counted
    low, high = s.share_interval(num_true, num)
    assert 0 <= low <= num_true / num <= high <= 1
    assert low < high


pairs = st.integers(1, 300).flatmap(
    lambda n: st.integers(0, n).flatmap(
        lambda lost: st.tuples(st.just(lost), st.integers(0, n - lost), st.just(n))
    )
)


@unhurried
@given(pairs)
def test_the_paired_interval_contains_the_difference_and_mirrors(
    counted: tuple[int, int, int],
) -> None:
    lost, won, num = counted
    low, high = s.paired_share_interval(lost, won, num)
    assert -1 <= low <= (lost - won) / num <= high <= 1
    mirrored = s.paired_share_interval(won, lost, num)
    # bisection to 2**-60 of the width
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


def test_no_changed_pair_still_leaves_room_for_doubt() -> None:
    # with no discordant pair Tango's interval is ± z² / (n + z²)
    z2 = 1.959964**2
    expected = z2 / (100 + z2)
    # z is given to seven digits
    assert s.paired_share_interval(0, 0, 100) == pytest.approx((-expected, expected), abs=1e-6)


def test_the_paired_interval_satisfies_tangos_equation() -> None:
    """The ends are where the score test of the difference is just rejected."""
    lost, won, num = 12, 4, 60
    z = 1.959964
    for end, sign in zip(s.paired_share_interval(lost, won, num), (1, -1), strict=True):
        b = (2 * num - lost + won) * end - lost - won
        share = (math.sqrt(b * b + 8 * num * won * end * (1 - end)) - b) / (4 * num)
        score = (lost - won - num * end) / math.sqrt(num * (2 * share + end * (1 - end)))
        # z is given to seven digits
        assert score == pytest.approx(sign * z, abs=1e-5)


def test_the_paired_interval_covers() -> None:
    rng = np.random.default_rng(11)
    trials, num = 600, 200
    counts = rng.multinomial(num, [0.03, 0.01, 0.96], trials)
    hits = 0
    for lost, won, _ in counts:
        low, high = s.paired_share_interval(int(lost), int(won), num)
        hits += low <= 0.02 <= high
    # asymptotic, so one percent of slack beside three standard errors (2.7 %)
    assert hits / trials > 0.913


def test_all_looks_together_spend_no_more_than_alpha() -> None:
    assert sum(s.spent_alpha(k) for k in range(1, 10_000)) < 0.05


def test_looks_come_at_the_stated_sizes() -> None:
    looks = s.Looks(first=6)
    assert [n for n in range(1, 32) if looks.due(n)] == [6, 7, 8, 10, 12, 15, 18, 22, 27]


def test_five_rounds_give_no_interval_of_the_ratio() -> None:
    ratio, interval = s.median_ratio_interval([0.1] * 5)
    assert ratio == pytest.approx(math.exp(0.1))
    assert interval == (0.0, math.inf)


def test_one_disturbed_round_does_not_move_the_ratio() -> None:
    rounds = [math.log(2) + 0.001 * i for i in range(12)]
    ratio, interval = s.median_ratio_interval([*rounds, -5.0])
    # the median moves by half a step of 0.1 %
    assert ratio == pytest.approx(2.0, rel=0.01)
    assert interval.low > 1.9
