"""Which int8 variants are taken apart: by their speed, or by what a mix of them comes to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.records.agenda import Chain
from fitwright.records.recipe import Adapted, FixShapes, Int8Static, Variant
from fitwright.records.trial import Failure, Trial
from fitwright.tune.apart import taken_apart
from fitwright.tune.proposal import Knowledge
from fitwright.tune.reach import whole_int8, within_reach
from proposals import ORIGINAL, comparison, knowledge, trial, variant

FIRST = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
SPEEDS = st.floats(0.05, 50.0)
EXCESS = st.floats(1e-4, 10.0)


def too_far(number: int, of: Variant, *, excess: float, timed: float | None) -> Trial:
    """It disagreed, and was so many times as fast as the original meanwhile."""
    glance = None if timed is None else comparison(timed, FIRST.candidate.key)
    failure = Failure(cause="disagrees", detail="", excess=excess, glance=glance)
    failed = trial(number, of, "a", decision="failed")
    return failed.model_copy(update={"failure": failure})


def known(*seen: tuple[float, float | None], top: float = 1.0) -> Knowledge:
    """int8 variants so many times too far from the original, and so fast; the best so far is `top`
    times as fast as the original, all on one backend."""
    int8 = [variant(str(i), FixShapes(batch=i + 1), Int8Static()) for i in range(len(seen))]
    trials = [FIRST]
    if top > 1:
        fast = variant("fast")
        trials.append(trial(1, fast, "a", decision="accepted", ratio=top, against=FIRST))
    trials += [
        too_far(2 + i, v, excess=excess, timed=timed)
        for i, (v, (excess, timed)) in enumerate(zip(int8, seen, strict=True))
    ]
    adapted = Adapted(
        variants=(ORIGINAL, *int8),
        chains=tuple(v.recipes for v in int8),
        made=tuple(v.id for v in int8),
    )
    return knowledge(adapted, trials)


def order(of: Knowledge) -> list[str]:
    return [step.variant.id for step in taken_apart(of)]


def test_of_two_that_disagree_the_one_whose_mix_is_faster_comes_first() -> None:
    assert order(known((1.01, 1.3), (1.18, 1.9))) == ["1", "0"]


def test_what_lies_so_far_off_that_little_of_it_stays_in_int8_comes_later() -> None:
    assert order(known((1.02, 1.3), (2.8, 1.9))) == ["0", "1"]


def test_what_no_mix_of_it_brings_ahead_of_the_best_is_left_alone() -> None:
    assert order(known((1.01, 1.3), (1.18, 1.9), top=1.6)) == ["1"]


def test_where_none_was_timed_the_nearest_comes_first() -> None:
    assert order(known((4.2, None), (1.2, None))) == ["1", "0"]


def test_how_far_beyond_what_is_allowed_decides_how_much_stays_in_int8() -> None:
    assert order(known((1.18, 1.9), top=1.8)) == []
    assert order(known((1.02, 1.9), top=1.8)) == ["0"]


@given(SPEEDS, SPEEDS, EXCESS)
def test_a_mix_lies_between_float_and_int8(speed: float, in_float: float, excess: float) -> None:
    found = within_reach(speed, in_float=in_float, excess=excess)
    low, high = sorted((speed, in_float))
    assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)
    assert excess > 1 or found == pytest.approx(speed)


def test_of_what_lies_nobody_knows_how_far_off_no_gain_is_left() -> None:
    assert within_reach(2.0, in_float=1.0, excess=math.inf) == 1.0


@given(SPEEDS, EXCESS, EXCESS)
def test_the_nearer_the_outputs_the_more_of_the_gain_is_left(
    gain: float, near: float, far: float
) -> None:
    near, far = sorted((near, far))
    one, other = (within_reach(1.0 + gain, in_float=1.0, excess=e) for e in (near, far))
    assert one >= other * (1 - 1e-9)


@pytest.mark.parametrize(
    ("chain", "is_whole"),
    [
        ((FixShapes(), Int8Static(toolkit="nncf")), True),
        ((FixShapes(),), False),
        ((), False),
        ((FixShapes(), Int8Static(toolkit="nncf", keep=("x",))), False),
    ],
)
def test_only_what_is_all_in_int8_is_taken_apart(chain: Chain, is_whole: bool) -> None:
    assert (whole_int8(chain) is not None) is is_whole
