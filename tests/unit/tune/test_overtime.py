"""What was ahead of the best when noise left its race open gets a longer race in the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.overtime import MOST_OVERTIMES, overtime
from fitwright.tune.proposal import BASELINE, OVERTIME, RUNOFF, SETTINGS, Knowledge
from fitwright.tune.standing import Standing
from proposals import FIXED, ONE, ORIGINAL, knowledge, trial

BEST = trial(0, ORIGINAL, "a", decision="accepted", round_=BASELINE)
THREE, FOUR = Settings(threads=3), Settings(threads=4)


def left_open(
    number: int,
    ratio: float,
    *,
    settings: Settings = ONE,
    against: Trial = BEST,
    more_s: float | None = 9.0,
    round_: int = SETTINGS,
) -> Trial:
    made = trial(
        number, FIXED, "a", decision="rejected", ratio=ratio, against=against,
        settings=settings, round_=round_,
    )  # fmt: skip
    assert made.comparison is not None
    told = made.comparison.model_copy(update={"outcome": "undecided", "more_s": more_s})
    return made.model_copy(update={"comparison": told})


def known(*trials: Trial) -> Knowledge:
    adapted = Adapted(variants=(ORIGINAL, FIXED))
    return replace(knowledge(adapted, ()), standing=Standing((BEST, *trials)))


def raced(found: Knowledge) -> list[Candidate]:
    steps = list(overtime(found))
    assert all(len(step.tries) == 1 and step.tries[0].round == OVERTIME for step in steps)
    return [step.tries[0].candidate for step in steps]


def test_the_furthest_ahead_comes_first() -> None:
    near, far = left_open(1, 1.05), left_open(2, 1.11, settings=THREE)
    assert raced(known(near, far)) == [far.candidate, near.candidate]


@pytest.mark.parametrize(
    "other",
    [
        left_open(1, 1.005),
        left_open(1, 0.95),
        left_open(1, 1.11, more_s=None),
        trial(1, FIXED, "a", decision="rejected", ratio=1.11, against=BEST, settings=ONE),
    ],
    ids=["next to no gain", "behind", "no time would decide", "decided"],
)
def test_what_more_time_would_not_win_is_left(other: Trial) -> None:
    assert raced(known(other)) == []


def test_the_last_race_of_a_candidate_counts() -> None:
    first, again = left_open(1, 1.11), left_open(2, 0.97, round_=RUNOFF)
    assert raced(known(first, again)) == []


def test_a_race_against_an_earlier_best_says_nothing_of_this_one() -> None:
    better = trial(2, FIXED, "a", decision="accepted", ratio=1.2, against=BEST, settings=THREE)
    assert raced(known(left_open(1, 1.1), better)) == []


@pytest.mark.parametrize(
    ("high", "is_open"), [(1.35, True), (1.19, False)], ids=["may be faster", "is not"]
)
def test_who_left_a_cohort_before_it_met_the_best_meets_it_in_the_end(
    high: float, is_open: bool
) -> None:
    better = trial(2, FIXED, "a", decision="accepted", ratio=1.2, against=BEST, settings=THREE)
    early = left_open(1, 1.0, more_s=None)
    assert early.comparison is not None
    seen = early.comparison.model_copy(update={"high": high})
    early = early.model_copy(update={"comparison": seen, "eliminated": True})
    assert raced(known(early, better)) == ([early.candidate] if is_open else [])


def test_nobody_gets_two_and_there_are_a_few_at_most() -> None:
    waiting = [left_open(n, 1.1, settings=s) for n, s in enumerate((ONE, THREE, FOUR), start=1)]
    once = left_open(4, 1.1, round_=OVERTIME)
    assert once.candidate not in raced(known(*waiting, once))
    over = [
        left_open(n, 1.1, settings=s, round_=OVERTIME)
        for n, s in enumerate((ONE, THREE)[:MOST_OVERTIMES], start=4)
    ]
    assert raced(known(*waiting, *over)) == []
