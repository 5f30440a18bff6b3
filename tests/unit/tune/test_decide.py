"""A candidate is kept only for a proven reason; a comparison that decides nothing says so."""

from __future__ import annotations

import pytest

from fitwright.records.figure import Figure
from fitwright.records.trial import Comparison
from fitwright.tune.decide import decide
from needs import SIZE, need
from proposals import comparison


@pytest.mark.parametrize(
    ("more_s", "num_heats", "said"),
    [
        (40.0, 3, "too noisy to decide: about 40 s more would decide: 1.02x"),
        (None, 1, "too noisy to decide: 1.02x"),
    ],
)
def test_a_race_that_decides_nothing_says_how_much_more_time_would(
    more_s: float | None, num_heats: int, said: str
) -> None:
    undecided = Comparison(
        incumbent="x",
        ratio=1.02,
        low=0.97,
        high=1.07,
        num_rounds=30,
        outcome="undecided",
        num_heats=num_heats,
        more_s=more_s,
    )
    decision = decide(need(), candidate={}, incumbent={}, comparison=undecided)
    assert not decision.accepted
    assert decision.reason.startswith(said)
    assert ("in 3 pairs of processes" in decision.reason) is (num_heats == 3)


@pytest.mark.parametrize(
    ("seen", "proven", "kept"),
    [
        (1.8, 1.4, True),
        (1.07, 1.07, True),
        (1.8, 1.02, False),
        (1.8, 0.0, False),
        (1.02, 1.4, False),
    ],
    ids=["far", "well", "by too little before", "never before", "by too little now"],
)
def test_noise_does_not_refute_what_was_well_ahead_beyond_doubt(
    seen: float, proven: float, kept: bool
) -> None:
    noisy = Comparison(
        incumbent="x", ratio=seen, low=0.5, high=6.0, num_rounds=28, outcome="undecided"
    )
    decision = decide(need(), candidate={}, incumbent={}, comparison=noisy, proven=proven)
    assert decision.accepted is kept
    assert "too noisy" in decision.reason
    assert ("was proven before" in decision.reason) is kept
    slower = noisy.model_copy(update={"outcome": "slower", "ratio": 0.8, "high": 0.9})
    assert not decide(need(), candidate={}, incumbent={}, comparison=slower, proven=proven).accepted


@pytest.mark.parametrize(
    ("seen", "low", "gained", "kept"),
    [
        (1.11, 0.92, 1.3, True),
        (1.11, 0.92, 1.05, False),
        (1.11, 0.92, 0.0, False),
        (1.03, 0.97, 1.3, False),
    ],
    ids=["ahead at no risk", "may be slower than the baseline", "nothing was proven", "next to no"],
)
def test_what_is_ahead_is_the_better_bet_where_nothing_proven_is_at_stake(
    seen: float, low: float, gained: float, kept: bool
) -> None:
    noisy = Comparison(
        incumbent="x", ratio=seen, low=low, high=1.3, num_rounds=12, outcome="undecided"
    )
    decision = decide(need(), candidate={}, incumbent={}, comparison=noisy, gained=gained)
    assert decision.accepted is kept
    assert "too noisy to decide" in decision.reason
    assert ("1.2x of the baseline at least" in decision.reason) is kept
    lost = noisy.model_copy(update={"outcome": "slower", "ratio": 0.8, "high": 0.9})
    assert not decide(need(), candidate={}, incumbent={}, comparison=lost, gained=9.0).accepted


@pytest.mark.parametrize(
    ("before", "kept"), [(None, True), (0.9, True), (0.67, False)],
    ids=["raced once", "ahead on the average", "behind on the average"],
)  # fmt: skip
def test_what_is_raced_again_must_be_ahead_of_the_best_on_the_average_of_both(
    before: float | None, kept: bool
) -> None:
    won = comparison(1.35, "x")
    decision = decide(need(), candidate={}, incumbent={}, comparison=won, before=before)
    assert decision.accepted is kept
    assert ("an earlier race had it at 0.67x" in decision.reason) is not kept
    lost = comparison(0.8, "x", outcome="slower")
    again = decide(need(), candidate={}, incumbent={}, comparison=lost, before=before)
    assert not again.accepted and again.reason.startswith("slower")


LIMITED = need(SIZE)


SMALL, BIG, HUGE = ({"size": Figure.measured(v)} for v in (500.0, 1500.0, 3000.0))


def test_a_limit_gained_outweighs_speed_and_a_limit_lost_is_refused() -> None:
    slower = comparison(0.8, "x", outcome="slower")
    faster = comparison(3.0, "x")
    assert decide(LIMITED, candidate=SMALL, incumbent=BIG, comparison=slower).accepted
    lost = decide(LIMITED, candidate=BIG, incumbent=SMALL, comparison=faster)
    assert not lost.accepted
    assert "size" in lost.reason


def test_a_smaller_breach_is_progress_and_a_larger_one_is_not() -> None:
    same = comparison(1.0, "x", outcome="same")
    assert decide(LIMITED, candidate=BIG, incumbent=HUGE, comparison=same).accepted
    assert not decide(
        LIMITED, candidate=HUGE, incumbent=BIG, comparison=comparison(2.0, "x")
    ).accepted


def test_without_limits_only_a_proven_gain_is_kept() -> None:
    for outcome, kept in (
        ("faster", True),
        ("slower", False),
        ("same", False),
        ("undecided", False),
    ):
        c = comparison(1.1, "x", outcome=outcome)
        assert decide(need(), candidate={}, incumbent={}, comparison=c).accepted is kept


@pytest.mark.parametrize(
    ("low", "ours", "theirs", "kept"),
    [
        (0.97, 0.025, 0.040, True),
        (0.90, 0.025, 0.040, False),  # may be 10 % slower
        (0.97, 0.035, 0.040, False),  # hardly nearer
        (0.97, 1e-7, 1e-5, False),  # both are rounding
    ],
)
def test_a_tie_goes_to_the_one_nearer_to_the_original(
    low: float, ours: float, theirs: float, kept: bool
) -> None:
    tie = Comparison(
        incumbent="x", ratio=0.99, low=low, high=1.03, num_rounds=40, outcome="undecided"
    )
    decision = decide(
        need(),
        candidate={"relative_l2": Figure.measured(ours)},
        incumbent={"relative_l2": Figure.measured(theirs)},
        comparison=tie,
    )
    assert decision.accepted is kept
