"""The time left is what is still to come, at the pace so far, within the budget."""

from __future__ import annotations

import pytest

from fitwright.tune.eta import NUM_RECENT, eta_s


def test_what_is_left_takes_as_long_as_its_kind_took_so_far() -> None:
    left = eta_s([2.0, 4.0], [10.0], num_trials_left=5, num_passes_left=2, left_s=1000.0)
    assert left == 5 * 3.0 + 2 * 10.0


def test_the_budget_bounds_it() -> None:
    assert eta_s([60.0], [], num_trials_left=100, num_passes_left=0, left_s=90.0) == 90.0
    assert eta_s([60.0], [], num_trials_left=100, num_passes_left=0, left_s=-3.0) == 0.0


def test_nothing_is_claimed_before_anything_of_the_kind_has_finished() -> None:
    assert eta_s([], [], num_trials_left=3, num_passes_left=0, left_s=90.0) is None
    assert eta_s([2.0], [], num_trials_left=3, num_passes_left=1, left_s=90.0) is None
    assert eta_s([0.0], [], num_trials_left=3, num_passes_left=0, left_s=90.0) is None


def test_when_nothing_is_left_it_is_over() -> None:
    assert eta_s([], [], num_trials_left=0, num_passes_left=0, left_s=90.0) == 0.0


def test_the_latest_trials_tell_what_the_next_ones_take() -> None:
    slow_start = [100.0] * 5 + [1.0] * NUM_RECENT
    assert eta_s(slow_start, [], num_trials_left=4, num_passes_left=0, left_s=900.0) == 4.0


def test_trials_that_were_passed_over_do_not_make_the_rest_look_quick() -> None:
    left = eta_s([3.0, 0.0, 0.0], [], num_trials_left=2, num_passes_left=0, left_s=900.0)
    assert left == pytest.approx(6.0)
