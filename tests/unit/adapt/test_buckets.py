"""Lengths to make a model for: the best there are, and only where they save something."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from fitwright.adapt.buckets import bucket_lengths, computed, planned
from fitwright.records.recipe import Buckets, Trim


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 4))
def test_no_other_choice_of_lengths_computes_fewer_tokens(lengths: list[int], most: int) -> None:
    chosen = bucket_lengths(lengths, most=most, longest=9)
    others = [(*few, 9) for num in range(most) for few in combinations(range(1, 9), num)]
    assert len(chosen) <= most and chosen[-1] == 9
    assert computed(lengths, chosen) == min(computed(lengths, o) for o in others)


def test_queries_of_full_length_need_no_second_length() -> None:
    assert bucket_lengths([128] * 5, most=4, longest=128) == (128,)
    assert planned([128] * 5, longest=128, mask="mask", symbol="tokens") is None


def test_a_length_that_saves_next_to_nothing_is_not_planned() -> None:
    mostly_full = [128] * 39 + [40]
    assert planned(mostly_full, longest=128, mask="mask", symbol="tokens") is None


def test_short_queries_get_lengths_in_steps_of_eight_and_the_whole_one() -> None:
    found = planned([3, 5, 8, 17, 30, 31], longest=100, mask="mask", symbol="tokens")
    assert found == (
        Buckets(mask="mask", symbol="tokens", lengths=(8, 24, 32, 100)),
        Trim(mask="mask", symbol="tokens", lengths=(25, 50, 100)),
    )


def test_queries_of_hardly_any_tokens_are_left_alone() -> None:
    assert planned([1], longest=3, mask="mask", symbol="tokens") is None


def test_a_length_between_the_last_step_and_the_whole_is_the_whole() -> None:
    assert bucket_lengths([2, 99], most=4, longest=100, step=8) == (8, 100)
