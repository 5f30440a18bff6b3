"""Dominance under intervals is an order; the front it leaves is complete and has no excess."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.tune.dominance import Spans, dominates, dominators, hypervolume

ENDS = st.tuples(st.integers(-4, 9), st.integers(0, 4)).map(lambda e: (e[0], e[0] + e[1]))
UNKNOWN = st.just((math.inf, math.inf))
POINTS = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(ENDS | UNKNOWN, min_size=k, max_size=k), min_size=1, max_size=12)
)


def spans(points: list[list[tuple[float, float]]]) -> Spans:
    ends = np.array(points, float).reshape(len(points), -1, 2)
    return Spans(lows=ends[:, :, 0], highs=ends[:, :, 1])


@given(POINTS)
def test_no_member_is_dominated_and_every_other_point_is_dominated_by_a_member(
    points: list[list[tuple[float, float]]],
) -> None:
    known = spans(points)
    found = dominators(known)
    members = {i for i, above in enumerate(found) if not above}
    assert members
    everyone = range(len(points))
    for i, above in enumerate(found):
        beaten_by = {j for j in everyone if dominates(known, j, i)}  # by brute force
        assert set(above) == beaten_by & members
        assert bool(beaten_by) == (i not in members)


@given(POINTS, st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order(
    points: list[list[tuple[float, float]]], random: object
) -> None:
    order = list(range(len(points)))
    random.shuffle(order)  # type: ignore[attr-defined]
    before = {i for i, above in enumerate(dominators(spans(points))) if not above}
    shuffled = dominators(spans([points[i] for i in order]))
    assert before == {order[i] for i, above in enumerate(shuffled) if not above}


@given(POINTS)
def test_dominance_is_transitive_and_never_mutual(
    points: list[list[tuple[float, float]]],
) -> None:
    known = spans(points)
    n = range(len(points))
    table = [[dominates(known, i, j) for j in n] for i in n]
    for i in n:
        assert not table[i][i]
        for j in n:
            assert not (table[i][j] and table[j][i])
            assert all(table[i][k] for k in n if table[i][j] and table[j][k])


def test_overlapping_intervals_dominate_nobody() -> None:
    known = spans([[(1, 5), (1, 1)], [(3, 7), (1, 1)]])
    assert dominators(known) == [(), ()]


def test_the_next_step_is_no_difference_and_the_one_after_is() -> None:
    assert not dominates(spans([[(3, 3)], [(4, 4)]]), 0, 1)  # may be neighbours across a border
    assert dominates(spans([[(3, 3)], [(5, 5)]]), 0, 1)


def test_what_is_not_known_counts_as_worse_than_any_figure() -> None:
    known = spans([[(1, 1), (900, 900)], [(1, 1), (math.inf, math.inf)]])
    assert dominators(known) == [(), (0,)]


def test_the_hypervolume_of_a_staircase_is_its_area() -> None:
    # three steps below (10, 10): 9 x 1 + 6 x 3 + 2 x 4, added by hand
    assert hypervolume([(1, 9), (4, 6), (8, 2)], reference=(10, 10)) == 9 + 6 * 3 + 2 * 4


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8))
def test_in_two_dimensions_the_hypervolume_counts_the_squares_below(
    points: list[tuple[int, int]],
) -> None:
    squares = sum(any(x <= i and y <= j for x, y in points) for i in range(10) for j in range(10))
    assert hypervolume(points, reference=(10, 10)) == squares


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=5))
def test_in_three_dimensions_it_counts_the_cubes(points: list[tuple[int, int, int]]) -> None:
    cubes = sum(
        any(x <= i and y <= j and z <= k for x, y, z in points)
        for i in range(4)
        for j in range(4)
        for k in range(4)
    )
    assert hypervolume(points, reference=(4, 4, 4)) == cubes


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([(11, 0), (0, 10)], reference=(10, 10)) == 0.0
    assert hypervolume([], reference=(1.0,)) == 0.0
    assert hypervolume([(0.25,), (0.5,)], reference=(1.0,)) == pytest.approx(0.75)  # one float step
