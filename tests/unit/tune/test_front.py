"""The front of a run: times chained through races, limits kept, alternatives named."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.records.figure import Figure
from fitwright.records.front import Front
from fitwright.records.need import Need
from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Comparison, Failure, Trial
from fitwright.tune.alternatives import alternatives
from fitwright.tune.chained import time_ratios
from fitwright.tune.front import front
from needs import SIZE, need

FREE = need()
LABELLED = FREE.model_copy(update={"has_labels": True, "metric": "accuracy"})


def candidate(name: str) -> Candidate:
    return Candidate(variant_id=name, title=name, backend="a", settings=Settings())


def race(against: str, ratio: float, spread: float = 0.01) -> Comparison:
    return Comparison(
        incumbent=candidate(against).key,
        ratio=ratio,
        low=ratio / (1 + spread),
        high=ratio * (1 + spread),
        num_rounds=20,
        outcome="faster" if ratio > 1 + spread else "undecided",
    )


def trial(
    number: int,
    name: str,
    *,
    against: str = "",
    ratio: float = 1.0,
    spread: float = 0.01,
    accepted: bool = False,
    drop: tuple[float, float, float] | None = None,
    **figures: float,
) -> Trial:
    known = {n: Figure.measured(v) for n, v in ({"size": 100.0} | figures).items()}
    if drop is not None:
        known["accuracy_drop"] = Figure.measured(drop[1], low=drop[0], high=drop[2])
    return Trial(
        number=number,
        round=1,
        candidate=candidate(name),
        decision="accepted" if accepted or not against else "rejected",
        reason="",
        figures=known,
        comparison=race(against, ratio, spread) if against else None,
    )


def standings(found: Front | None) -> dict[str, str]:
    assert found is not None
    return {p.candidate.title: p.standing for p in found.points}


def test_before_anything_is_measured_there_is_no_front() -> None:
    failed = trial(1, "x").model_copy(
        update={"decision": "failed", "failure": Failure(cause="raised", detail=""), "figures": {}}
    )
    assert front([], FREE) is None
    assert front([failed], FREE) is None


def test_times_are_chained_through_the_incumbents_and_told_against_the_best() -> None:
    trials = [
        trial(1, "first"),
        trial(2, "second", against="first", ratio=2.0, accepted=True),
        trial(3, "third", against="second", ratio=1.5, accepted=True),
        trial(4, "loser", against="second", ratio=0.5),
    ]
    ratios = time_ratios(trials, reference=candidate("third").key)
    value = {key.split("/")[0]: f.value for key, f in ratios.items()}
    # products of a few factors: rounding only
    assert value == pytest.approx({"first": 3.0, "second": 1.5, "third": 1.0, "loser": 3.0})
    assert ratios[candidate("third").key].low == ratios[candidate("third").key].high == 1.0


def test_the_intervals_of_a_chain_add_in_quadrature() -> None:
    trials = [
        trial(1, "first"),
        trial(2, "second", against="first", ratio=2.0, spread=0.03, accepted=True),
        trial(3, "third", against="second", ratio=1.5, spread=0.04, accepted=True),
    ]
    first = time_ratios(trials, reference=candidate("third").key)[candidate("first").key]
    assert first.value is not None and first.low is not None and first.high is not None
    width = math.hypot(math.log(1.03), math.log(1.04))
    assert math.log(first.high / first.value) == pytest.approx(width)
    assert math.log(first.value / first.low) == pytest.approx(width)


def test_a_candidate_without_a_race_that_leads_to_the_best_has_no_place() -> None:
    trials = [trial(1, "first"), trial(2, "odd", against="gone", ratio=9.0)]
    assert standings(front(trials, FREE)) == {"first": "member"}


def test_absolute_times_of_another_minute_do_not_matter() -> None:
    """The machine was twice as slow when the loser was measured; the race knows."""
    trials = [
        trial(1, "first", latency_p50=0.010),
        trial(2, "second", against="first", ratio=2.0, accepted=True, latency_p50=0.012),
    ]
    assert standings(front(trials, FREE)) == {"first": "dominated", "second": "member"}


def test_a_tie_keeps_both_and_a_proven_difference_does_not() -> None:
    tied = [trial(1, "first"), trial(2, "tied", against="first", ratio=1.005)]
    apart = [trial(1, "first"), trial(2, "slow", against="first", ratio=0.9)]
    assert standings(front(tied, FREE)) == {"first": "member", "tied": "member"}
    assert standings(front(apart, FREE)) == {"first": "member", "slow": "dominated"}


def test_slower_but_smaller_is_a_member() -> None:
    trials = [trial(1, "first"), trial(2, "small", against="first", ratio=0.9, size=50.0)]
    assert standings(front(trials, FREE)) == {"first": "member", "small": "member"}


def test_candidates_that_break_a_limit_compete_with_nobody() -> None:
    trials = [
        trial(1, "big", size=5000.0),
        trial(2, "fits", against="big", ratio=0.5, accepted=True, size=900.0),
    ]
    found = front(trials, need(SIZE))
    assert standings(found) == {"big": "refused", "fits": "member"}
    assert found is not None and found.points[0].breaks == ("size",)


def test_where_every_candidate_breaks_a_limit_they_compete_all_the_same() -> None:
    trials = [
        trial(1, "big", size=5000.0),
        trial(2, "slow", against="big", ratio=0.5, size=5000.0),
    ]
    assert standings(front(trials, need(SIZE))) == {"big": "member", "slow": "dominated"}


def test_an_objective_that_few_candidates_know_is_left_out_and_named() -> None:
    trials = [
        trial(1, "first", energy=0.001),
        trial(2, "second", against="first", ratio=1.5, accepted=True),
        trial(3, "third", against="second", ratio=0.5),
    ]
    found = front(trials, FREE)
    assert found is not None
    assert "energy" not in found.objectives
    assert ("energy", "is known of 1 of 3 candidates") in found.left_out
    assert standings(found) == {"first": "dominated", "second": "member", "third": "dominated"}


def test_rounding_is_no_distance_to_the_original() -> None:
    trials = [
        trial(1, "first", relative_l2=1e-7),
        trial(2, "second", against="first", ratio=1.5, accepted=True, relative_l2=9e-4),
    ]
    assert standings(front(trials, FREE))["first"] == "dominated"


def test_a_metric_of_unknown_scale_is_compared_as_it_is() -> None:
    mse = LABELLED.model_copy(update={"metric": "mse"})
    trials = [
        trial(1, "first", drop=(1e-9, 1e-9, 1e-9)),
        trial(2, "second", against="first", ratio=0.99, drop=(2e-9, 2e-9, 2e-9)),
    ]
    assert standings(front(trials, mse)) == {"first": "member", "second": "dominated"}


def test_a_throughput_contract_tells_the_time_per_query_under_load() -> None:
    by_rate = FREE.model_copy(
        update={
            "objective": "throughput",
            "traffic": FREE.traffic.model_copy(update={"batch": 4}),
        }
    )
    found = front([trial(1, "first", throughput=200.0)], by_rate)
    assert found is not None
    assert found.time_is == "time per query under load"
    assert found.reference_time.value == 4 / 200.0


RACES = st.lists(
    st.tuples(
        st.floats(0.5, 2.0), st.floats(0.001, 0.2), st.integers(1, 3), st.booleans(), st.booleans()
    ),
    min_size=1,
    max_size=14,
)


def drawn(races: list[tuple[Any, ...]]) -> list[Trial]:
    trials = [trial(1, "t1", size=200.0, relative_l2=0.0)]
    incumbent = "t1"
    for number, (ratio, spread, size, near, accepted) in enumerate(races, start=2):
        name = f"t{number}"
        trials.append(
            trial(
                number, name, against=incumbent, ratio=ratio, spread=spread, accepted=accepted,
                size=100.0 * size, relative_l2=0.01 if near else 0.03,
            )
        )  # fmt: skip
        incumbent = name if accepted else incumbent
    return trials


@given(RACES)
def test_nobody_beaten_is_a_member_and_everybody_else_names_the_member_that_beats_it(
    races: list[tuple[Any, ...]],
) -> None:
    found = front(drawn(races), FREE)
    assert found is not None and len(found.points) == len(races) + 1
    members = {p.trial for p in found.members}
    assert members
    for point in found.points:
        assert (point.standing == "member") == (point.dominated_by is None)
        assert point.dominated_by is None or point.dominated_by in members
    assert Front.model_validate_json(found.to_json()) == found


@given(RACES, st.integers(0, 99))
def test_the_order_in_which_trials_are_given_does_not_matter(
    races: list[tuple[Any, ...]], seed: int
) -> None:
    trials = drawn(races)
    mixed = trials[:]
    random.Random(seed).shuffle(mixed)
    assert front(mixed, FREE) == front(trials, FREE)


def test_a_long_run_keeps_every_member_and_counts_the_rest() -> None:
    trials = [trial(1, "best")]
    trials += [trial(n, f"t{n}", against="best", ratio=1 / n) for n in range(2, 310)]
    found = front(trials, FREE)
    assert found is not None
    assert found.num_dominated == 308
    assert [p.trial for p in found.points] == list(range(1, 1 + 201))  # the fastest of them


# --- alternatives -----------------------------------------------------------------------


def texts(trials: list[Trial], need: Need, artefact: str) -> dict[str, str]:
    found = front(trials, need)
    assert found is not None
    named = alternatives(found, need, artefact=candidate(artefact).key)
    return {a.candidate.title: a.text for a in named}


def test_the_nearest_alternatives_are_named_with_gain_and_price() -> None:
    trials = [
        trial(1, "best", drop=(0.009, 0.010, 0.011)),
        trial(2, "sharp", against="best", ratio=1 / 1.12, drop=(0.005, 0.006, 0.007)),
        trial(3, "sharper", against="best", ratio=1 / 3, drop=(0.0, 0.001, 0.002)),
        trial(4, "small", against="best", ratio=1 / 1.5, drop=(0.009, 0.010, 0.011), size=40.0),
    ]
    assert texts(trials, LABELLED, "best") == {
        "sharp": "0.4 points more accurate, at 12 % more latency",
        "small": "2.5x smaller files, at 50 % more latency",
    }


def test_one_alternative_may_do_better_in_several_things() -> None:
    trials = [
        trial(1, "best", relative_l2=0.04, peak_memory=100.0),
        trial(2, "other", against="best", ratio=0.5, relative_l2=0.0, size=80.0, peak_memory=300.0),
    ]
    assert texts(trials, FREE, "best") == {
        "other": "nearer to the original (practically 0 from it, not 0.04) and 20 % smaller "
        "files, at 2x more latency and 3x more memory"
    }


def test_a_difference_within_the_noise_is_no_alternative() -> None:
    trials = [
        trial(1, "best", drop=(-0.01, 0.0, 0.01)),
        trial(2, "other", against="best", ratio=0.999, drop=(-0.012, -0.004, 0.005)),
    ]
    assert texts(trials, LABELLED, "best") == {}


def test_nothing_is_said_about_a_candidate_that_has_no_place() -> None:
    assert texts([trial(1, "best")], FREE, "elsewhere") == {}
