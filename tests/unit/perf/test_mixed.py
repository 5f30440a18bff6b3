"""Which groups stay in int8, as arithmetic on their gains and errors."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.perf.mixed import (
    MOST_EXACT,
    Worth,
    combined_error,
    kept_for,
    ladder,
    next_rung,
)


def worth(name: str, gained_s: float, error: float) -> Worth:
    return Worth(name=name, gained_s=gained_s, error=error)


@st.composite
def several(draw: st.DrawFn, most: int = 8) -> list[Worth]:
    pairs = st.lists(st.tuples(st.integers(-1000, 9999), st.integers(0, 999)), max_size=most)
    return [worth(f"g{i}", g * 1e-6, e * 1e-4) for i, (g, e) in enumerate(draw(pairs))]


def in_int8(groups: list[Worth], kept: frozenset[str]) -> list[Worth]:
    return [g for g in groups if g.name not in kept]


@given(several(), st.floats(0, 0.2))
def test_the_choice_keeps_the_budget_and_no_other_choice_gains_more(
    groups: list[Worth], budget: float
) -> None:
    chosen = in_int8(groups, kept_for(groups, error_budget=budget))
    # 1e-12: squares are summed in another order here
    assert combined_error(chosen) <= budget + 1e-12
    best = max(
        sum(g.gained_s for g in some)
        for size in range(len(groups) + 1)
        for some in combinations(groups, size)
        if combined_error(some) <= budget - 1e-12 or not some
    )
    assert sum(g.gained_s for g in chosen) >= best - 1e-12


@given(several())
def test_a_group_that_int8_does_not_speed_up_is_always_kept(groups: list[Worth]) -> None:
    kept = kept_for(groups, error_budget=math.inf)
    assert kept == {g.name for g in groups if g.gained_s <= 0}


@given(st.integers(MOST_EXACT + 1, 60), st.floats(0, 1))
def test_many_groups_are_chosen_greedily_within_the_budget(num: int, budget: float) -> None:
    groups = [worth(f"g{i}", 1e-3 * (i + 1), 0.01 * (1 + i % 5)) for i in range(num)]
    assert combined_error(in_int8(groups, kept_for(groups, error_budget=budget))) <= budget + 1e-12


@given(several())
def test_rungs_grow_by_one_group_and_error_never_grows(groups: list[Worth]) -> None:
    rungs = ladder(groups)
    assert [len(rung) for rung in rungs] == list(range(len(groups) + 1))
    assert all(a < b for a, b in pairwise(rungs))


def test_the_first_to_go_cost_most_error_for_each_second() -> None:
    groups = [worth("cheap", 2e-3, 0.01), worth("dear", 1e-3, 0.05), worth("slow", -1e-3, 0.001)]
    assert ladder(groups) == (
        frozenset(),
        {"slow"},
        {"slow", "dear"},
        {"slow", "dear", "cheap"},
    )
    assert ladder(groups, always={"cheap"})[0] == {"cheap"}


@given(st.integers(2, 40), st.data())
def test_bisection_finds_the_shortest_good_rung_in_a_logarithm_of_trials(
    num_rungs: int, data: st.DataObject
) -> None:
    rungs = ladder([worth(f"g{i}", 1e-3, 0.01 + i) for i in range(num_rungs - 1)])
    first_good = data.draw(st.integers(1, num_rungs - 1))
    guess = data.draw(st.sampled_from([None, *rungs]))
    good: set[frozenset[str]] = set()
    bad = {rungs[0]}
    trials = 0
    while (rung := next_rung(rungs, good=good, bad=bad, guess=guess)) is not None:
        assert rung not in good | bad, "nothing is tried twice"
        (good if rungs.index(rung) >= first_good else bad).add(rung)
        trials += 1
    # the guess may cost one trial more
    assert trials <= math.ceil(math.log2(num_rungs)) + 1
    shortest = min((rungs.index(r) for r in good), default=num_rungs - 1)
    assert shortest == first_good


def test_errors_add_in_squares() -> None:
    # exact: the 3-4-5 triangle up to rounding of decimals
    assert combined_error([worth("a", 1, 0.03), worth("b", 1, 0.04)]) == pytest.approx(0.05)
