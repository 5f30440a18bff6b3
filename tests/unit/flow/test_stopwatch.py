"""The budget leaves room for the final run and for everything around it."""

from __future__ import annotations

import pytest

from fitwright.flow.ending import Ending
from fitwright.flow.stopwatch import LEAST_S, Stopwatch
from fitwright.start import Silent
from fitwright.testing.fakes import FakeClock


def stopwatch(*, budget_s: float, spent_s: float) -> Stopwatch:
    return Stopwatch(
        started=100.0, budget_s=budget_s, clock=FakeClock(now_s=100.0 + spent_s), console=Silent()
    )


def test_a_quarter_is_kept_for_the_final_run_and_90_s_at_most() -> None:
    assert stopwatch(budget_s=60, spent_s=0).search_left_s(Ending()) == 45
    assert stopwatch(budget_s=600, spent_s=0).search_left_s(Ending()) == 510


def test_opening_and_writing_come_out_of_the_search_and_of_the_measuring() -> None:
    watch = stopwatch(budget_s=60, spent_s=30)
    assert watch.search_left_s(Ending(around_s=4)) == 11
    assert watch.final_left_s(Ending(around_s=4)) == 26


def test_a_percentile_that_needs_longer_gets_up_to_half_of_the_budget() -> None:
    watch = stopwatch(budget_s=600, spent_s=0)
    assert watch.search_left_s(Ending(measuring_s=160)) == 440
    assert watch.search_left_s(Ending(measuring_s=1e4)) == 300


def test_a_final_run_is_never_shorter_than_it_takes_to_see_anything() -> None:
    assert stopwatch(budget_s=60, spent_s=70).final_left_s(Ending()) == LEAST_S
    assert stopwatch(budget_s=60, spent_s=70).early_final_left_s(Ending()) == LEAST_S


@pytest.mark.parametrize(
    ("spent_s", "expected_s"),
    [(30.0, 285.0), (450.0, 90.0), (540.0, 60.0)],
    ids=["half", "the reserve", "all that is left"],
)
def test_an_early_final_run_leaves_half_to_the_search(spent_s: float, expected_s: float) -> None:
    assert stopwatch(budget_s=600, spent_s=spent_s).early_final_left_s(Ending()) == expected_s
