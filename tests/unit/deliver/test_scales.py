"""Scales place values in order, and their ticks are round and inside."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.deliver.scales import LinearScale, LogScale, decades_around, nice_step
from fitwright.deliver.svg import apart

finite = st.floats(-1e12, 1e12, allow_nan=False)
positive = st.floats(1e-9, 1e15)


@given(finite, finite, st.floats(0, 1))
def test_a_linear_scale_maps_its_ends_to_the_paper_and_keeps_order(
    one: float, other: float, part: float
) -> None:
    low, high = sorted((one, other))
    scale = LinearScale(low=low, high=high, start=10, end=110)
    if low == high:
        assert scale(low) == 60
        return
    assert scale(low) == pytest.approx(10)
    assert scale(high) == pytest.approx(110)
    # rounding of low + part * (high - low) at 1e12 moves a point by far less than a pixel,
    # unless the whole range is itself at the limit of double precision
    if high - low > 1e-3 * max(abs(low), abs(high)):
        assert scale(low + part * (high - low)) == pytest.approx(10 + 100 * part, abs=1e-6)


@given(positive, st.floats(1.01, 1e12))
def test_on_a_log_scale_the_geometric_mean_lies_in_the_middle(low: float, ratio: float) -> None:
    scale = LogScale(low=low, high=low * ratio, start=0, end=200)
    # a hundredth of a pixel: far below what is drawn
    assert scale(low * math.sqrt(ratio)) == pytest.approx(100, abs=0.01)


@given(positive, st.floats(1.01, 1e12))
def test_log_ticks_are_ordered_inside_and_few(low: float, ratio: float) -> None:
    scale = LogScale(low=low, high=low * ratio, start=0, end=1)
    ticks = scale.ticks()
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 12
    # one part in 1e9: a power of ten computed in floating point
    assert all(low * (1 - 1e-8) <= t <= low * ratio * (1 + 1e-8) for t in ticks)


@given(st.floats(0, 1e9), st.floats(1e-3, 1e9))
def test_linear_ticks_are_inside_evenly_spaced_and_near_the_number_asked(
    low: float, span: float
) -> None:
    scale = LinearScale(low=low, high=low + span, start=0, end=1)
    ticks = scale.ticks(5)
    slack = 1e-6 * max(span, low * 1e-6)
    assert all(low - slack <= t <= low + span + slack for t in ticks)
    assert 1 <= len(ticks) <= 7


@given(positive)
def test_a_nice_step_is_round_and_at_most_two_and_a_half_times_too_wide(rough: float) -> None:
    step = nice_step(rough)
    # 1e-6: rounding of the powers of ten
    assert rough * (1 - 1e-6) <= step <= 2.5 * rough * (1 + 1e-6)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 1e-6


@pytest.mark.parametrize("rough", [0.0, -1.0, math.inf, math.nan])
def test_a_step_over_nothing_is_one(rough: float) -> None:
    assert nice_step(rough) == 1.0


def test_byte_ticks_are_whole_binary_units() -> None:
    scale = LinearScale(low=0, high=410_000, start=0, end=1)
    assert scale.byte_ticks() == [0, 100 * 1024, 200 * 1024, 300 * 1024, 400 * 1024]


@given(st.lists(positive, min_size=1))
def test_decades_enclose_the_values(values: list[float]) -> None:
    low, high = decades_around(values)
    assert low <= min(values) * (1 + 1e-9)
    assert high >= max(values) * (1 - 1e-9)
    assert high >= 10 * low * (1 - 1e-9)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=12), st.floats(1, 40))
def test_labels_end_up_apart_and_in_order(wanted: list[float], gap: float) -> None:
    placed = apart(wanted, gap)
    in_order = [placed[i] for i in sorted(range(len(wanted)), key=lambda i: wanted[i])]
    steps = [b - a for a, b in pairwise(in_order)]
    # 1e-9: sums of a dozen floats below 2000
    assert all(s >= gap - 1e-9 for s in steps)


def test_labels_that_are_apart_already_stay_where_they_are() -> None:
    assert apart([300.0, 100.0, 200.0], 20) == [300.0, 100.0, 200.0]
